//! The write-ahead log of SQLite, looked at before SQLite does.
//!
//! When SQLite opens a log it takes every frame up to the first whose checksum is wrong, and
//! forgets the rest without a word. That is right for a commit that was being written when the
//! power went: it was never acknowledged. But every commit is flushed before the next one begins,
//! so at most one commit can be in that state. Where whole commits stand behind the first wrong
//! frame, what was acknowledged has been damaged, and SQLite would drop it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Commits behind a damaged place of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CutOff {
    /// Which frame is damaged, from 1; 0 is the head of the log.
    pub(super) frame: u64,
    /// How many commits behind it are whole.
    pub(super) commits: u64,
}

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the write-ahead log is damaged at its frame {}: {} or more commits that stand behind it would be dropped",
            self.frame, self.commits
        )
    }
}

/// This many whole commits behind a wrong frame are no accident of a power failure.
const COMMITS_MIN: u64 = 2;

const HEAD: usize = 32;
const FRAME_HEAD: usize = 24;

/// The page size that is assumed where the head of the log is illegible.
const PAGE_SIZE: usize = 4096;

fn path_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Opens a file if it is there.
fn if_there(opened: io::Result<File>) -> io::Result<Option<File>> {
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the log over itself, byte for byte, and flushes it.
///
/// A process that died may have left commits in the log that it could not flush. The system may
/// take what it failed to flush for flushed: it shows them to us and will never write them. Then
/// our own commits, which stand behind them, would be out of reach after a power failure although
/// they were flushed. Nobody may be writing to the log meanwhile; reading does no harm.
pub(super) fn write_anew(database: &Path) -> io::Result<()> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path_of(database));
    let Some(mut log) = if_there(opened)? else {
        return Ok(());
    };
    let mut bytes = vec![0; 1 << 20];
    loop {
        let place = log.stream_position()?;
        let count = log.read(&mut bytes)?;
        if count == 0 {
            return log.sync_all();
        }
        log.seek(io::SeekFrom::Start(place))?;
        log.write_all(&bytes[..count])?;
    }
}

/// Looks through the log of a database, which nobody may be writing.
pub(super) fn inspect(database: &Path) -> io::Result<Option<CutOff>> {
    let Some(log) = if_there(File::open(path_of(database)))? else {
        return Ok(None);
    };
    let mut log = BufReader::with_capacity(1 << 20, log);
    let mut head = [0; HEAD];
    if !filled(&mut log, &mut head)? {
        return Ok(None);
    }
    let head = Head::read(&head);
    let mut frame = vec![0; FRAME_HEAD + head.page_size];
    let mut number = 0;
    let mut before = head.sums;
    // The first frame that does not follow from what stands before it.
    let mut damaged = (!head.is_whole).then_some(0);
    // Whole commits in one piece behind it.
    let mut commits = 0;
    while filled(&mut log, &mut frame)? {
        number += 1;
        let (first, rest) = frame.split_at(8);
        let (salts, stored) = (&rest[..8], sums_at(&rest[8..16]));
        let page = &rest[16..];
        let ours = !head.is_whole || salts == head.salts;
        let follows = head.sum(page, head.sum(first, before)) == stored;
        before = stored;
        match damaged {
            None if ours && follows => {}
            // Left over from before the log began anew, all the rest with it; unless the rest
            // bears the marks of this log after all.
            None => damaged = Some(number),
            Some(_) if ours && follows => {
                let is_commit = first[4..8] != [0; 4];
                commits += u64::from(is_commit);
            }
            Some(_) if commits < COMMITS_MIN => commits = 0,
            Some(_) => break,
        }
    }
    let cut_off = damaged.map(|frame| CutOff { frame, commits });
    Ok(cut_off.filter(|cut_off| cut_off.commits >= COMMITS_MIN))
}

/// Whether there was enough to fill the buffer.
fn filled(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The running checksum of a log.
type Sums = (u32, u32);

struct Head {
    is_whole: bool,
    big_endian: bool,
    page_size: usize,
    salts: [u8; 8],
    sums: Sums,
}

fn word(bytes: &[u8]) -> [u8; 4] {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[..4]);
    word
}

fn sums_at(bytes: &[u8]) -> Sums {
    (
        u32::from_be_bytes(word(bytes)),
        u32::from_be_bytes(word(&bytes[4..])),
    )
}

impl Head {
    fn read(bytes: &[u8; HEAD]) -> Head {
        let magic = u32::from_be_bytes(word(bytes));
        let page_size = u32::from_be_bytes(word(&bytes[8..])) as usize;
        let fits = page_size.is_power_of_two() && (512..=65_536).contains(&page_size);
        let mut head = Head {
            is_whole: false,
            big_endian: magic & 1 == 1,
            page_size: if fits { page_size } else { PAGE_SIZE },
            salts: [0; 8],
            sums: sums_at(&bytes[24..]),
        };
        head.salts.copy_from_slice(&bytes[16..24]);
        let is_log = magic & !1 == 0x377f_0682;
        head.is_whole = is_log && fits && head.sum(&bytes[..24], (0, 0)) == head.sums;
        head
    }

    /// Carries the checksum on over more bytes.
    fn sum(&self, bytes: &[u8], sums: Sums) -> Sums {
        let number = |bytes: &[u8]| match self.big_endian {
            true => u32::from_be_bytes(word(bytes)),
            false => u32::from_le_bytes(word(bytes)),
        };
        bytes.chunks_exact(8).fold(sums, |(first, second), pair| {
            let first = first.wrapping_add(number(pair)).wrapping_add(second);
            let second = second.wrapping_add(number(&pair[4..])).wrapping_add(first);
            (first, second)
        })
    }
}
