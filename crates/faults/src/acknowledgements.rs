//! The log of what was asked and what was answered, kept outside of the network: a file that only
//! grows, and the same in memory.
//!
//! What is asked is written before it is sent, what is answered before anybody acts upon it. An
//! operation without an answer may have been done or not; asked again, it is the same operation.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::counter::Ended;

/// What somebody asked for.
#[derive(Clone, Debug)]
pub enum Work {
    /// A client allocates.
    Allocate {
        /// The number of the client.
        client: usize,
        /// Over which of its connections.
        connection: usize,
        /// How much, in base units.
        units: i128,
    },
    /// A client takes back.
    Deallocate {
        /// The number of the client.
        client: usize,
        /// Over which of its connections.
        connection: usize,
        /// How much, in base units.
        units: i128,
    },
    /// The operator books a deposit for a client.
    Deposit {
        /// The number of the client.
        client: usize,
        /// How much, in base units.
        units: i128,
    },
    /// A partner posts what was traded.
    Settle {
        /// The number of the partner.
        partner: usize,
    },
    /// The venue makes a settlement that takes its time.
    SettleSlowly {
        /// Over the chain; otherwise it is staged, and disputed.
        over_the_chain: bool,
    },
}

/// What was answered for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Moved, under this id.
    Cleared(Uuid),
    /// Held for a partner that answers later, under this id.
    Reserved(Uuid),
    /// Given up, under this id.
    Released(Uuid),
    /// Booked.
    Booked,
    /// Settled: base units by connection and by the exchange's name of the currency.
    Settled(BTreeMap<Uuid, BTreeMap<String, i128>>),
    /// A settlement of the venue has come to its end.
    Ended(Ended),
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name that whoever asked gave it.
    pub id: String,
    /// What was asked for.
    pub work: Work,
    /// How often it was sent.
    pub sent: u32,
    /// What was answered, if anything was.
    pub outcome: Option<Outcome>,
}

struct Pages {
    file: File,
    entries: Vec<Entry>,
    last: Instant,
    longest_gap: Duration,
}

/// The log.
pub struct Acknowledgements(Mutex<Pages>);

impl Acknowledgements {
    /// A new log in a file that is not there yet.
    ///
    /// # Errors
    ///
    /// When the file cannot be made.
    pub fn keep(path: &Path) -> anyhow::Result<Acknowledgements> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path)?;
        Ok(Acknowledgements(Mutex::new(Pages {
            file,
            entries: Vec::new(),
            last: Instant::now(),
            longest_gap: Duration::ZERO,
        })))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something is about to be asked; its number.
    pub fn asked(&self, id: &str, work: Work) -> usize {
        let mut pages = self.pages();
        pages.write(&json!({"asked": id, "work": format!("{work:?}")}));
        pages.entries.push(Entry {
            id: id.to_owned(),
            work,
            sent: 0,
            outcome: None,
        });
        pages.entries.len() - 1
    }

    /// Notes that it is sent, once more perhaps.
    pub fn sent(&self, number: usize) {
        self.pages().entries[number].sent += 1;
    }

    /// Notes what was answered.
    pub fn answered(&self, number: usize, outcome: Outcome) {
        let mut pages = self.pages();
        let id = pages.entries[number].id.clone();
        pages.write(&json!({"answered": id, "outcome": format!("{outcome:?}")}));
        pages.entries[number].outcome = Some(outcome);
        let now = Instant::now();
        pages.longest_gap = pages.longest_gap.max(now - pages.last);
        pages.last = now;
    }

    /// All operations from the one with this number on.
    pub fn since(&self, number: usize) -> Vec<Entry> {
        self.pages().entries[number..].to_vec()
    }

    /// How many operations there are.
    pub fn count(&self) -> usize {
        self.pages().entries.len()
    }

    /// How many were answered.
    pub fn answered_count(&self) -> usize {
        let answered = |entry: &&Entry| entry.outcome.is_some();
        self.pages().entries.iter().filter(answered).count()
    }

    /// How many had to be asked more than once.
    pub fn repeated_count(&self) -> usize {
        let repeated = |entry: &&Entry| entry.sent > 1;
        self.pages().entries.iter().filter(repeated).count()
    }

    /// Measures the longest time between two answers from now on.
    pub fn watch_gaps(&self) {
        let mut pages = self.pages();
        pages.last = Instant::now();
        pages.longest_gap = Duration::ZERO;
    }

    /// The longest time between two answers since then.
    pub fn longest_gap(&self) -> Duration {
        self.pages().longest_gap
    }
}

impl Pages {
    fn write(&mut self, line: &Value) {
        // A log that cannot be written proves nothing: stop.
        writeln!(self.file, "{line}").expect("the log of acknowledgements can be written");
    }
}
