//! What a disk holds after its power went, worked out from the log of what reached it.
//!
//! A record of the log is 16 bytes (what, which file, two zeros, count of bytes, offset; in the
//! order of bytes of the machine) and the bytes. Flushed is what was written before a flush that
//! succeeded, unless a flush that failed came between: a system may take what it could not flush
//! for flushed. Of everything else each sector is kept or lost by chance.

use std::{fs, ops::Range};

use testkit::TestDatabase;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

const HEADER: usize = 16;

/// The files, in the order of their numbers in the log.
const SUFFIXES: [&str; 3] = ["", "-wal", "-journal"];

enum What {
    Write,
    Truncate,
    Remove,
    Flush,
    FailedFlush,
}

struct Record {
    what: What,
    file: usize,
    offset: usize,
    bytes: Range<usize>,
    /// Where the next record begins.
    end: usize,
}

fn number<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("so many bytes")
}

fn records(log: &[u8]) -> impl Iterator<Item = Record> {
    let mut begin = 0;
    std::iter::from_fn(move || {
        let header = log.get(begin..begin + HEADER)?;
        let count = u32::from_ne_bytes(number(&header[4..8])) as usize;
        let offset = u64::from_ne_bytes(number(&header[8..16]));
        let bytes = begin + HEADER..begin + HEADER + count;
        if bytes.end > log.len() {
            return None;
        }
        begin = bytes.end;
        Some(Record {
            what: match header[0] {
                b'W' => What::Write,
                b'T' => What::Truncate,
                b'U' => What::Remove,
                b'S' => What::Flush,
                b'F' => What::FailedFlush,
                other => panic!("a record {other}"),
            },
            file: usize::from(header[1]),
            offset: usize::try_from(offset).expect("a small file"),
            end: bytes.end,
            bytes,
        })
    })
}

/// Where to cut a log: at some of the acknowledgements, and wherever a flush has failed.
pub(crate) fn cuts(log: &[u8], acknowledged: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut acknowledged: Vec<u64> = acknowledged.collect();
    acknowledged.sort_unstable();
    acknowledged.dedup();
    let every = (acknowledged.len() / 40).max(1);
    let mut cuts: Vec<u64> = acknowledged.into_iter().step_by(every).collect();
    let failed = records(log).filter(|record| matches!(record.what, What::FailedFlush));
    cuts.extend(failed.map(|record| record.end as u64));
    cuts.push(log.len() as u64);
    cuts
}

/// Random bits from a seed: enough for coins.
struct Coins(u64);

impl Coins {
    fn toss(&mut self) -> bool {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        self.0 >> 63 == 1
    }
}

#[derive(Default)]
struct File {
    exists: bool,
    flushed: Vec<u8>,
    /// Records that no flush has taken in.
    pending: Vec<Record>,
}

impl File {
    fn put(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.flushed.len() < end {
            self.flushed.resize(end, 0);
        }
        self.flushed[offset..end].copy_from_slice(bytes);
    }

    /// Takes in what is pending, all of it or what the coins say.
    fn settle(&mut self, log: &[u8], mut keeps: impl FnMut() -> bool) {
        for record in std::mem::take(&mut self.pending) {
            if matches!(record.what, What::Truncate) {
                if keeps() {
                    self.flushed.resize(record.offset, 0);
                }
                continue;
            }
            let mut offset = record.offset;
            let mut bytes = &log[record.bytes];
            while !bytes.is_empty() {
                let count = (SECTOR - offset % SECTOR).min(bytes.len());
                let (sector, rest) = bytes.split_at(count);
                if keeps() {
                    self.put(offset, sector);
                }
                offset += count;
                bytes = rest;
            }
        }
    }
}

/// Leaves the files of a disk whose power went when its log was `cut` bytes long.
pub(crate) fn leave(log: &[u8], cut: u64, seed: u64, database: &TestDatabase) {
    let mut coins = Coins(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut files: [File; SUFFIXES.len()] = Default::default();
    for record in records(log).take_while(|record| record.end as u64 <= cut) {
        let file = &mut files[record.file];
        file.exists = true;
        match record.what {
            What::Write | What::Truncate => file.pending.push(record),
            What::Remove => *file = File::default(),
            What::Flush => file.settle(log, || true),
            What::FailedFlush => file.settle(log, || coins.toss()),
        }
    }
    let path = database.url.strip_prefix("sqlite:").expect("a file");
    for (file, suffix) in files.iter_mut().zip(SUFFIXES) {
        file.settle(log, || coins.toss());
        if file.exists {
            fs::write(format!("{path}{suffix}"), &file.flushed).expect("a file");
        }
    }
}
