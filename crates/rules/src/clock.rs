//! Business time: what windows, deadlines and dates are reckoned in.
//!
//! It is handed to every decision. An installation that was made for testing has a test clock: its
//! business time runs ahead of real time by as much as its operator has advanced it. Leases and
//! the times of attempts to reach a partner are real everywhere; see [`Draft::real_time`].

use ledger::Timestamp;

use crate::{Class, Command, Draft, Keys, Refusal, operate::Act};

/// The farthest that a test clock may be ahead, in seconds: a hundred years.
pub const AHEAD_MAX_S: i64 = 100 * 365 * 86_400;

/// How far business time is ahead of real time in an installation that has a test clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TestClock {
    /// In microseconds; never below zero, and never less than before.
    pub ahead_us: i64,
}

/// How far a test clock is to be advanced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advance {
    /// By so many seconds; above zero.
    Seconds(i64),
    /// To a business time that is still to come.
    To(Timestamp),
}

/// An operator advances the test clock. Business time is ahead from the next batch on.
#[derive(Clone, Debug)]
pub struct AdvanceClock {
    /// How far.
    pub advance: Advance,
    /// Who does it.
    pub operator: Act,
}

impl Draft<'_> {
    /// The real time that belongs to the business time `now`.
    pub fn real_time(&self, now: Timestamp) -> Timestamp {
        let ahead = self.test_clock().unwrap_or_default().ahead_us;
        Timestamp(now.0.saturating_sub(ahead))
    }
}

impl Command for AdvanceClock {
    type Outcome = TestClock;

    fn keys(&self) -> Keys {
        Keys::default()
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<TestClock, Refusal> {
        let before = draft.test_clock().ok_or_else(|| {
            Refusal::new(
                Class::Unprocessable,
                "no_test_clock",
                "this installation keeps real time, and always will; windows are tried on an installation that was made with `tidelock init --test-clock`",
            )
        })?;
        let by_us = match self.advance {
            Advance::Seconds(seconds) => seconds.saturating_mul(1_000_000),
            Advance::To(time) => time.0.saturating_sub(now.0),
        };
        if by_us <= 0 {
            return Err(Refusal::new(
                Class::Unprocessable,
                "clock_runs_forward_only",
                "the test clock runs forward only: name a business time that is still to come",
            ));
        }
        let after = TestClock {
            ahead_us: before.ahead_us.saturating_add(by_us),
        };
        if after.ahead_us > AHEAD_MAX_S.saturating_mul(1_000_000) {
            return Err(Refusal::new(
                Class::Unprocessable,
                "clock_too_far_ahead",
                "the test clock may be at most a hundred years ahead; make a new installation",
            ));
        }
        draft.set_test_clock(after);
        let detail = format!("before: {before:?}\nafter: {after:?}");
        let subject = "test clock".to_owned();
        self.operator
            .record(draft, "advance_clock", subject, &detail, now);
        Ok(after)
    }
}
