//! The two clocks of a process: real time, and business time, which on an installation with a test
//! clock is ahead of it.
//!
//! How far it is ahead stands in the head of the chain, so that every batch reads it under the lock
//! that makes batches serial: all servers on one database decide by the same clock. Outside of
//! batches a server believes what it has seen last, and [`Store::look_at_clock`] sees what others did.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use ledger::Timestamp;
use rules::clock::TestClock;

use crate::{Store, StoreError, sql::ChainHead};

/// The process clock, handed in: real time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Stands for: no test clock.
const NONE: i64 = -1;

/// Both clocks. Clones share what was seen.
#[derive(Clone)]
pub(crate) struct Clocks {
    process: Clock,
    /// The latest business time of a commit that was seen.
    committed_us: Arc<AtomicI64>,
    /// How far business time is ahead, as was seen last; [`NONE`] without a test clock.
    ahead_us: Arc<AtomicI64>,
}

impl Clocks {
    pub(crate) fn new(process: Clock) -> Clocks {
        Clocks {
            process,
            committed_us: Arc::new(AtomicI64::new(0)),
            ahead_us: Arc::new(AtomicI64::new(NONE)),
        }
    }

    /// Takes note of a head of the chain; the business time of a batch that goes on from there.
    pub(crate) fn after(&self, head: &ChainHead) -> Timestamp {
        self.note(head.test_clock);
        let ahead = head.test_clock.unwrap_or_default().ahead_us;
        let now = ahead_of((self.process)(), ahead).max(Timestamp(head.time_us));
        self.committed_us.fetch_max(now.0, Ordering::Relaxed);
        now
    }

    /// Takes note of the test clock. It never runs backwards, so what was seen earlier is not
    /// believed again.
    pub(crate) fn note(&self, clock: Option<TestClock>) {
        if let Some(clock) = clock {
            self.ahead_us.fetch_max(clock.ahead_us, Ordering::Relaxed);
        }
    }

    fn test_clock(&self) -> Option<TestClock> {
        let ahead_us = self.ahead_us.load(Ordering::Relaxed);
        (ahead_us != NONE).then_some(TestClock { ahead_us })
    }

    fn business(&self) -> Timestamp {
        let ahead = self.test_clock().unwrap_or_default().ahead_us;
        let committed = Timestamp(self.committed_us.load(Ordering::Relaxed));
        ahead_of((self.process)(), ahead).max(committed)
    }

    fn real(&self) -> Timestamp {
        let ahead = self.test_clock().unwrap_or_default().ahead_us;
        let committed = self.committed_us.load(Ordering::Relaxed);
        (self.process)().max(Timestamp(committed.saturating_sub(ahead)))
    }
}

fn ahead_of(real: Timestamp, ahead_us: i64) -> Timestamp {
    Timestamp(real.0.saturating_add(ahead_us))
}

impl Store {
    /// Business time, for questions that no command asks: that of the process clock and the test
    /// clock, or of the last commit this process knows of, if that is later.
    pub fn now(&self) -> Timestamp {
        self.clocks().business()
    }

    /// Real time, in which leases, tokens and attempts to reach a partner are reckoned. Without a
    /// test clock it is the same as business time.
    pub fn real_now(&self) -> Timestamp {
        self.clocks().real()
    }

    /// The test clock as it was seen last, if the installation has one.
    pub fn test_clock(&self) -> Option<TestClock> {
        self.clocks().test_clock()
    }

    /// Looks how far the test clock is, which another server may have advanced. Without a test
    /// clock there is nothing to look at.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn look_at_clock(&self) -> Result<(), StoreError> {
        if self.test_clock().is_some() {
            self.read_clock().await?;
        }
        Ok(())
    }

    pub(crate) async fn read_clock(&self) -> Result<(), StoreError> {
        let sql = "SELECT clock_ahead_us FROM chain_heads WHERE lane = 0";
        for mut row in self.reader().query(sql, Vec::new()).await? {
            let clock = row.optional_int(0)?;
            self.clocks()
                .note(clock.map(|ahead_us| TestClock { ahead_us }));
        }
        Ok(())
    }
}
