//! What the network tells of itself: how much is still to be said to partners and since when,
//! how long money has been held, how much is being worked on, and whether the books keep the laws.
//!
//! These figures are looked up on a period, not when somebody asks, so that asking costs nothing;
//! several servers on one database tell the same.

use std::{
    sync::atomic::AtomicU64,
    time::{Duration, Instant},
};

use ledger::Timestamp;
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::{Failure, Network};

/// How often the figures are looked up.
const PERIOD: Duration = Duration::from_secs(5);

/// Beyond this many messages are not counted.
const COUNTED_AT_MOST: u32 = 100_000;

/// A check of the laws is followed by a pause that is longer than it took by this factor, at the
/// least: however many accounts there are, it takes next to nothing from the work.
const CHECK_PAUSE_FACTOR: u32 = 50;

/// The figures of one network. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    messages: Gauge,
    oldest_message_s: Gauge<f64, AtomicU64>,
    oldest_hold_s: Gauge<f64, AtomicU64>,
    use_cases: Gauge,
    worker_calls: Gauge,
    checks: Family<[(&'static str, &'static str); 1], Counter>,
    violations: Gauge,
    last_check_s: Gauge<f64, AtomicU64>,
    check_took_s: Gauge<f64, AtomicU64>,
}

impl Metrics {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "outbox_messages",
            format!("Messages to partners that are still to be said; at most {COUNTED_AT_MOST} are counted"),
            self.messages.clone(),
        );
        registry.register_with_unit(
            "outbox_oldest_due_age",
            "For how long the oldest message to a partner has been due; 0 if none is",
            Unit::Seconds,
            self.oldest_message_s.clone(),
        );
        registry.register_with_unit(
            "hold_oldest_age",
            "For how long the oldest open hold has waited for a partner; 0 if none does",
            Unit::Seconds,
            self.oldest_hold_s.clone(),
        );
        registry.register(
            "use_cases_in_flight",
            "Use-cases and deliveries that are being worked on",
            self.use_cases.clone(),
        );
        registry.register(
            "outbox_deliveries_in_flight",
            "Messages to partners that are being worked on",
            self.worker_calls.clone(),
        );
        for result in ["sound", "broken", "failed"] {
            drop(self.checks.get_or_create(&[("result", result)]));
        }
        registry.register(
            "invariant_checks",
            "Checks of conservation, non-negativity and holds, by what they found; failed ones could not be made",
            self.checks.clone(),
        );
        registry.register(
            "invariant_violations",
            "Violations that the last check found: other than 0, the books are broken",
            self.violations.clone(),
        );
        registry.register_with_unit(
            "invariant_check_last",
            "When the last check that could be made ended, in time since 1970",
            Unit::Seconds,
            self.last_check_s.clone(),
        );
        registry.register_with_unit(
            "invariant_check_took",
            "How long the last check took",
            Unit::Seconds,
            self.check_took_s.clone(),
        );
    }
}

/// Looks the figures up until the network closes.
pub(crate) async fn work(network: Network) {
    loop {
        if let Err(failure) = network.look().await {
            tracing::debug!(%failure, "the figures of the network could not be looked up");
        }
        tokio::select! {
            () = network.shared.closing.cancelled() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

/// Checks the laws of the books until the network closes.
pub(crate) async fn check(network: Network) {
    let metrics = &network.shared.metrics;
    loop {
        let began = Instant::now();
        let result = match network.store().check_laws().await {
            Ok(violations) => {
                metrics
                    .violations
                    .set(violations.len().try_into().unwrap_or(i64::MAX));
                metrics.last_check_s.set(seconds_of(network.real_time()));
                for violation in &violations {
                    tracing::error!(%violation, "THE BOOKS BREAK A LAW: stop and run `tidelock verify`");
                }
                if violations.is_empty() {
                    "sound"
                } else {
                    "broken"
                }
            }
            Err(error) => {
                tracing::warn!(%error, "the laws of the books could not be checked");
                "failed"
            }
        };
        let took = began.elapsed();
        metrics.checks.get_or_create(&[("result", result)]).inc();
        metrics.check_took_s.set(took.as_secs_f64());
        let pause = network
            .settings()
            .check_every
            .max(took * CHECK_PAUSE_FACTOR);
        tokio::select! {
            () = network.shared.closing.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

fn seconds_of(at: Timestamp) -> f64 {
    Duration::from_micros(at.0.max(0).cast_unsigned()).as_secs_f64()
}

impl Network {
    /// Adds the figures of the network, of its store and of its calls to partners.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.store().register_metrics(registry);
        self.shared.partners.register_metrics(registry);
        self.shared.places.register(registry);
        self.shared.metrics.register(registry);
    }

    async fn look(&self) -> Result<(), Failure> {
        let metrics = &self.shared.metrics;
        let in_flight = self.shared.tasks.len();
        metrics
            .use_cases
            .set(in_flight.try_into().unwrap_or(i64::MAX));
        let free = self.shared.calls.available_permits();
        let busy = self.settings().calls_at_once.saturating_sub(free);
        metrics
            .worker_calls
            .set(busy.try_into().unwrap_or(i64::MAX));
        let store = self.store();
        metrics
            .messages
            .set(store.count_messages(COUNTED_AT_MOST).await?);
        let waiting = store.waiting_partners(store.real_now()).await?;
        let due = waiting.partners.iter().map(|(_, due)| *due).min();
        metrics.oldest_message_s.set(age_s(due, store.real_now()));
        let held = store.oldest_reservation().await?;
        metrics.oldest_hold_s.set(age_s(held, store.now()));
        Ok(())
    }
}

/// How many seconds lie between then and now; 0 for what is not there or still to come.
fn age_s(then: Option<Timestamp>, now: Timestamp) -> f64 {
    let Some(then) = then else {
        return 0.0;
    };
    let age_us = now.0.saturating_sub(then.0).max(0);
    Duration::from_micros(age_us.cast_unsigned()).as_secs_f64()
}
