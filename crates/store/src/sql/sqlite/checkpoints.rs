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

/// How long the log is, in pages, before it is copied beside the commits.
const LONG: u32 = 2_000;

/// How long it is before the write connection copies the rest: 24 MiB, which are soon
/// overwritten again and again; a file that grows is flushed more slowly.
const TOO_LONG: u32 = 6_000;

/// The checkpoints of one database.
pub(super) struct Checkpoints {
    /// How many pages the log has.
    pages: Arc<AtomicU32>,
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
        let pages = Arc::new(AtomicU32::new(0));
        let told = Arc::clone(&pages);
        let hook = move |_: &mut rusqlite::hooks::Wal, pages| {
            told.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
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
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || copy_whenever(&beside, &wakes, &turns))
            .map_err(StoreError::unavailable)?;
        Ok(Checkpoints {
            pages,
            next: LONG,
            due: TOO_LONG,
            turn,
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    /// To be called while no transaction of the write connection is open, and nobody waits for it.
    pub(super) fn between_batches(&mut self, connection: &Connection) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < LONG {
            // It has begun anew.
            (self.next, self.due) = (LONG, TOO_LONG);
        } else if pages >= self.due {
            copy(connection, &self.turn);
            // Somebody who reads may keep the log from beginning anew: not every commit tries.
            self.due = pages.saturating_add(LONG);
        } else if pages >= self.next
            && let Some(wake) = &self.wake
        {
            let _ = wake.try_send(());
            self.next = pages.saturating_add(LONG);
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

fn copy_whenever(connection: &Connection, wakes: &Receiver<()>, turn: &Mutex<()>) {
    while wakes.recv().is_ok() {
        copy(connection, turn);
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
