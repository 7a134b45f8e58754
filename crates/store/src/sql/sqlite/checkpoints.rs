//! When the write-ahead log is copied back into the database file.
//!
//! SQLite would do it within a COMMIT every thousand pages, and everybody would wait for it. Here
//! a connection on a thread of its own copies while commits go on. It can never catch up with
//! them, and the log begins anew only when all of it is copied; so once the log is long the write
//! connection copies the little that is left between two commits.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use rusqlite::{Connection, OpenFlags};

use super::{classify, connect};
use crate::sql::StoreError;

/// How long the log is, in pages, before it is copied beside the commits, and how many more there
/// are before it is copied again.
const LONG: u32 = 2_000;

/// How long it is before the write connection copies the rest, so that it begins anew: 64 MiB. The
/// longer the log, the more often a page is written to it before it is copied once.
const TOO_LONG: u32 = 16_000;

/// How long the rest may be for that: everybody waits while it is copied and flushed.
const REST_MAX: u32 = 600;

/// How long the log is before the rest is copied however long it is.
const FAR_TOO_LONG: u32 = 2 * TOO_LONG;

/// How far the log is, in pages since it began anew.
#[derive(Default)]
struct Progress {
    /// How many it has.
    written: AtomicU32,
    /// How many of them the thread beside has copied, unless somebody who reads was in its way.
    /// Only when the rest is copied depends on it.
    copied: AtomicU32,
}

/// The checkpoints of one database.
pub(super) struct Checkpoints {
    progress: Arc<Progress>,
    /// At how many the thread beside copies next.
    next: u32,
    /// At how many the write connection copies next.
    due: u32,
    /// Held by whoever copies: of two at once SQLite turns one away.
    turn: Arc<Mutex<()>>,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Takes over from SQLite's own for `connection`, the write connection of the file.
    pub(super) fn start(
        connection: &mut Connection,
        path: &Path,
    ) -> Result<Checkpoints, StoreError> {
        let progress = Arc::new(Progress::default());
        let told = Arc::clone(&progress);
        let hook = move |_: &mut rusqlite::hooks::Wal, pages| {
            let pages = u32::try_from(pages).unwrap_or(0);
            told.written.store(pages, Ordering::Relaxed);
            Ok(())
        };
        connection.wal_hook(Some(hook)).map_err(classify)?;
        let beside = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        beside
            .execute_batch("PRAGMA synchronous = FULL")
            .map_err(classify)?;
        // One wish to copy is enough, however often it is uttered.
        let (wake, wakes) = sync_channel(1);
        let turn = Arc::new(Mutex::new(()));
        let turns = Arc::clone(&turn);
        let copying = Arc::clone(&progress);
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || copy_whenever(&beside, &wakes, &turns, &copying))
            .map_err(StoreError::unavailable)?;
        Ok(Checkpoints {
            progress,
            next: LONG,
            due: TOO_LONG,
            turn,
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    /// To be called while no transaction of the write connection is open, and nobody waits for it.
    pub(super) fn between_batches(&mut self, connection: &Connection) {
        let written = self.progress.written.load(Ordering::Relaxed);
        if written < LONG {
            // It has begun anew.
            (self.next, self.due) = (LONG, TOO_LONG);
            self.progress.copied.store(0, Ordering::Relaxed);
            return;
        }
        let rest = written.saturating_sub(self.progress.copied.load(Ordering::Relaxed));
        if written >= self.due && (rest <= REST_MAX || written >= FAR_TOO_LONG) {
            copy(connection, &self.turn);
            // Somebody who reads may keep the log from beginning anew: not every commit tries.
            self.due = written.saturating_add(LONG);
        } else if written >= self.next.min(self.due)
            && let Some(wake) = &self.wake
        {
            // Once the log is too long it is copied again and again, until the rest is short.
            let _ = wake.try_send(());
            self.next = written.saturating_add(LONG);
        }
    }
}

impl Checkpoints {
    /// Copies all of the log and empties it, so that the file is whole by itself once the database
    /// is closed: readers, which may be closed last, cannot, and would leave the log behind.
    pub(super) fn finish(&mut self, connection: &Connection) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        copy(connection, &self.turn);
        // Whoever reads at this moment keeps it; then it is left, and no harm done.
        let empty = "PRAGMA wal_checkpoint(TRUNCATE)";
        if let Err(error) = connection.query_row(empty, [], |_| Ok(())) {
            tracing::debug!(%error, "the log was not emptied");
        }
    }
}

fn copy_whenever(
    connection: &Connection,
    wakes: &Receiver<()>,
    turn: &Mutex<()>,
    progress: &Progress,
) {
    while wakes.recv().is_ok() {
        let written = progress.written.load(Ordering::Relaxed);
        copy(connection, turn);
        progress.copied.store(written, Ordering::Relaxed);
    }
}

/// Copies what nobody reads any more from the log. What fails is tried again: the log keeps it.
fn copy(connection: &Connection, turn: &Mutex<()>) {
    let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
    let checkpoint = "PRAGMA wal_checkpoint(PASSIVE)";
    if let Err(error) = connection.query_row(checkpoint, [], |_| Ok(())) {
        tracing::warn!(%error, "the log was not copied into the database");
    }
}
