//! When a request is sent again, and how long to wait before.

use std::time::Duration;

/// The longest wait that a server may ask for with `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// How often, and how patiently, a request is sent again whose outcome is open.
///
/// Sent again are the very same bytes, and only if no whole answer came (no connection, connection
/// lost, time limit), or on 429, 502, 503, or an error of the name `outcome_unknown`. Every other answer
/// is final. Signed requests are safe to repeat by their external ids and nonces, and the other
/// writes of the API by what they say.
///
/// The pause doubles from try to try, up to a bound, and is then shortened at random by up to a
/// half, so that many clients do not come back at once. A `Retry-After` in seconds lengthens it, up
/// to a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often a request is sent at most; 0 counts as 1.
    pub tries: u32,
    /// How long one try may take, from connecting to the last byte of the answer.
    pub time_limit: Duration,
    /// The pause after the first try.
    pub first_pause: Duration,
    /// The longest pause of our own.
    pub longest_pause: Duration,
}

impl Default for Retry {
    /// Five tries of up to 60 seconds, with pauses from 100 milliseconds to 5 seconds.
    fn default() -> Self {
        Self {
            tries: 5,
            time_limit: Duration::from_secs(60),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
        }
    }
}

impl Retry {
    /// Never sends anything again.
    #[must_use]
    pub fn never() -> Self {
        Self {
            tries: 1,
            ..Self::default()
        }
    }

    /// How long to wait after that many tries; nothing if there is to be no other.
    pub(crate) fn pause(&self, tries: u32, retry_after: Option<Duration>) -> Option<Duration> {
        if tries >= self.tries {
            return None;
        }
        let doubled = 2_u32.saturating_pow(tries.saturating_sub(1));
        let pause = self.first_pause.saturating_mul(doubled);
        let pause = pause.min(self.longest_pause);
        let pause = pause.mul_f64(rand::random_range(0.5..=1.0));
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        Some(pause.max(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound_and_end() {
        let retry = Retry::default();
        for (tries, millis) in [(1, 100), (2, 200), (3, 400), (4, 800)] {
            let longest = Duration::from_millis(millis);
            let pause = retry.pause(tries, None).unwrap();
            assert!(pause >= longest / 2 && pause <= longest, "{tries}");
        }
        assert_eq!(retry.pause(5, None), None);
        let patient = Retry {
            tries: u32::MAX,
            ..retry
        };
        assert!(patient.pause(1_000, None).unwrap() <= retry.longest_pause);
        assert_eq!(Retry::never().pause(1, None), None);
        assert_eq!(Retry { tries: 0, ..retry }.pause(1, None), None);
    }

    #[test]
    fn the_server_may_ask_for_a_longer_pause() {
        let pause = |seconds| Retry::default().pause(1, Some(Duration::from_secs(seconds)));
        assert_eq!(pause(7), Some(Duration::from_secs(7)));
        assert_eq!(pause(3_600), Some(RETRY_AFTER_MAX));
        assert!(pause(0).unwrap() > Duration::ZERO);
    }
}
