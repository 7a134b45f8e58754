//! How many requests a token may send: a bucket for each token, in this process alone (decisions
//! Q63). It holds as many requests as may come at once and fills at a steady rate.
//!
//! The time is real and monotonic, whatever business time does. Buckets that are full again are
//! forgotten, so that memory is bounded by the tokens that were used lately; a token counts only
//! once it has proved to be one.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock},
    middleware::StateInformationMiddleware,
    state::keyed::HashMapStateStore,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use rules::TokenId;

use crate::error::ApiError;

/// After so many requests full buckets are forgotten.
const FORGET_AFTER: u32 = 4_096;

/// How many requests one token may send to one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in a second, in the long run; at most a million.
    pub per_second: NonZeroU32,
    /// Requests at once.
    pub burst: NonZeroU32,
}

impl Default for RateLimit {
    fn default() -> Self {
        RateLimit {
            per_second: NonZeroU32::MIN.saturating_add(49),
            burst: NonZeroU32::MIN.saturating_add(99),
        }
    }
}

impl RateLimit {
    /// How long it takes until so many requests may be sent again, in seconds, rounded up.
    fn refill_s(self, requests: u32) -> u32 {
        requests.div_ceil(self.per_second.get())
    }
}

/// The buckets of all tokens.
pub(crate) struct RateLimits<C: Clock = MonotonicClock> {
    limit: RateLimit,
    clock: C,
    buckets: RateLimiter<TokenId, HashMapStateStore<TokenId>, C, Informed>,
    asked: AtomicU32,
    refused: Counter,
}

/// Has the limiter tell how much is left.
type Informed = StateInformationMiddleware;

/// How a token stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    limit: RateLimit,
    remaining: u32,
}

/// How long a token that has sent too much has to wait, in seconds, at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait(pub(crate) u32);

impl RateLimits {
    pub(crate) fn new(limit: RateLimit) -> RateLimits {
        RateLimits::with_clock(limit, MonotonicClock)
    }
}

impl<C: Clock + Clone> RateLimits<C> {
    fn with_clock(limit: RateLimit, clock: C) -> RateLimits<C> {
        let quota = Quota::per_second(limit.per_second).allow_burst(limit.burst);
        RateLimits {
            limit,
            buckets: RateLimiter::new(quota, HashMapStateStore::default(), clock.clone()),
            clock,
            asked: AtomicU32::new(0),
            refused: Counter::default(),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "requests_rate_limited",
            "Requests that were refused because their token had sent too many",
            self.refused.clone(),
        );
    }

    /// Takes one request out of the bucket of a token: how it stands then, and whether the request
    /// may pass.
    pub(crate) fn take(&self, token: TokenId) -> (Standing, Result<(), Wait>) {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        if asked % FORGET_AFTER == FORGET_AFTER - 1 {
            self.buckets.retain_recent();
        }
        let standing = |remaining| Standing {
            limit: self.limit,
            remaining,
        };
        match self.buckets.check_key(&token) {
            Ok(left) => (standing(left.remaining_burst_capacity()), Ok(())),
            Err(until) => {
                self.refused.inc();
                let wait = until.wait_time_from(self.clock.now());
                (standing(0), Err(Wait(whole_seconds(wait))))
            }
        }
    }
}

fn whole_seconds(wait: Duration) -> u32 {
    let seconds = wait.as_millis().div_ceil(1_000).max(1);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

impl Standing {
    /// Tells the caller, in the header fields of the IETF's draft and in those that came before it.
    pub(crate) fn write(self, headers: &mut HeaderMap) {
        let Standing { limit, remaining } = self;
        let burst = limit.burst.get();
        let reset = limit.refill_s(burst.saturating_sub(remaining));
        let window = limit.refill_s(burst);
        let numbers = [
            ("x-ratelimit-limit", burst),
            ("x-ratelimit-remaining", remaining),
            ("x-ratelimit-reset", reset),
        ];
        for (name, number) in numbers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
        }
        let texts = [
            (
                "ratelimit-policy",
                format!("\"token\";q={burst};w={window}"),
            ),
            ("ratelimit", format!("\"token\";r={remaining};t={reset}")),
        ];
        for (name, text) in texts {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

impl From<Wait> for ApiError {
    fn from(Wait(seconds): Wait) -> ApiError {
        let message = format!(
            "the access token has sent too many requests; nothing was done. Send it again after {seconds} s"
        );
        let status = StatusCode::TOO_MANY_REQUESTS;
        ApiError::new(status, "rate_limited", message).retry_after(seconds)
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use uuid::Uuid;

    use super::*;

    fn token(number: u128) -> TokenId {
        TokenId(Uuid::from_u128(number))
    }

    fn limits(per_second: u32, burst: u32) -> (RateLimits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let limit = RateLimit {
            per_second: per_second.try_into().unwrap(),
            burst: burst.try_into().unwrap(),
        };
        (RateLimits::with_clock(limit, clock.clone()), clock)
    }

    fn told(standing: Standing) -> [String; 5] {
        let mut headers = HeaderMap::new();
        standing.write(&mut headers);
        [
            "ratelimit",
            "ratelimit-policy",
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
        ]
        .map(|name| headers[name].to_str().unwrap().to_owned())
    }

    #[test]
    fn a_burst_passes_and_then_the_steady_rate() {
        let (limits, clock) = limits(2, 5);
        for left in (0..5).rev() {
            let (standing, passes) = limits.take(token(1));
            assert_eq!((standing.remaining, passes), (left, Ok(())));
        }
        let (standing, passes) = limits.take(token(1));
        assert_eq!((standing.remaining, passes), (0, Err(Wait(1))));
        clock.advance(Duration::from_millis(499));
        assert_eq!(limits.take(token(1)).1, Err(Wait(1)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(limits.take(token(1)).1, Ok(()));
        assert_eq!(limits.take(token(1)).1, Err(Wait(1)));
        // What was refused has cost nothing.
        clock.advance(Duration::from_secs(60));
        assert_eq!(limits.take(token(1)).0.remaining, 4);
        assert_eq!(limits.refused.get(), 3);
    }

    #[test]
    fn each_token_has_a_bucket_of_its_own() {
        let (limits, _) = limits(1, 1);
        assert_eq!(limits.take(token(1)).1, Ok(()));
        assert_eq!(limits.take(token(1)).1, Err(Wait(1)));
        assert_eq!(limits.take(token(2)).1, Ok(()));
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let (limits, clock) = limits(100, 100);
        for number in 0..FORGET_AFTER - 1 {
            let _ = limits.take(token(number.into()));
        }
        assert_eq!(limits.buckets.len(), 4_095);
        clock.advance(Duration::from_secs(2));
        let _ = limits.take(token(u128::MAX));
        assert_eq!(limits.buckets.len(), 1);
    }

    #[test]
    fn headers_tell_what_is_left_and_when_all_of_it_is_back() {
        let (limits, _) = limits(50, 100);
        let (first, _) = limits.take(token(1));
        let fresh = [
            "\"token\";r=99;t=1",
            "\"token\";q=100;w=2",
            "100",
            "99",
            "1",
        ];
        assert_eq!(told(first), fresh);
        let mut last = limits.take(token(1));
        while last.1.is_ok() {
            last = limits.take(token(1));
        }
        let used_up = ["\"token\";r=0;t=2", "\"token\";q=100;w=2", "100", "0", "2"];
        assert_eq!(told(last.0), used_up);
    }
}
