//! Business time, and the test clock of an installation that has one.

use ledger::Timestamp;
use rules::clock::{Advance, AdvanceClock, TestClock};

use crate::{Failure, Network, Operator};

impl Network {
    /// Business time: what windows, deadlines and dates are reckoned in.
    pub fn business_time(&self) -> Timestamp {
        self.store().now()
    }

    /// Real time: what tokens, leases and attempts to reach a partner are reckoned in.
    pub fn real_time(&self) -> Timestamp {
        self.store().real_now()
    }

    /// The test clock as it was seen last, if the installation has one. Other servers' acts are seen
    /// within [`look_around`](crate::Settings::look_around).
    pub fn test_clock(&self) -> Option<TestClock> {
        self.store().test_clock()
    }

    /// Looks how far other servers have advanced the test clock.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub async fn look_at_clock(&self) -> Result<(), Failure> {
        Ok(self.store().look_at_clock().await?)
    }
}

impl Operator<'_> {
    /// Advances the test clock, and does what is due then.
    ///
    /// # Errors
    ///
    /// See [`Failure`]. What is due and could not be done is no failure: the worker tries again.
    pub async fn advance_clock(&self, advance: Advance) -> Result<TestClock, Failure> {
        let operator = self.act();
        let network = self.network().clone();
        let advanced = async move {
            let clock = network.submit(AdvanceClock { advance, operator }).await?;
            let ahead_s = clock.ahead_us / 1_000_000;
            tracing::warn!(ahead_s, "the test clock was advanced");
            // Whoever waits by the clock is woken; this very request waits for what is due.
            network.tell_timers();
            if let Err(failure) = network.act_on_timers().await {
                tracing::warn!(%failure, "the timers could not be read");
            }
            Ok(clock)
        };
        self.network().carry_through(advanced).await
    }
}
