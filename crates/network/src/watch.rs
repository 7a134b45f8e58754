//! What the network tells of itself: how much is still to be said to partners and since when,
//! how long money has been held, how much is being worked on.
//!
//! These figures are looked up on a period, not when somebody asks, so that asking costs nothing;
//! several servers on one database tell the same.

use std::time::Duration;

use ledger::Timestamp;
use prometheus_client::{
    metrics::gauge::Gauge,
    registry::{Registry, Unit},
};
use std::sync::atomic::AtomicU64;

use crate::{Failure, Network};

/// How often the figures are looked up.
const PERIOD: Duration = Duration::from_secs(5);

/// Beyond this many messages are not counted.
const COUNTED_AT_MOST: u32 = 100_000;

/// The figures of one network. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    messages: Gauge,
    oldest_message_s: Gauge<f64, AtomicU64>,
    oldest_hold_s: Gauge<f64, AtomicU64>,
    use_cases: Gauge,
    worker_calls: Gauge,
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

impl Network {
    /// Adds the figures of the network, of its store and of its calls to partners.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.store().register_metrics(registry);
        self.shared.partners.register_metrics(registry);
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
        let waiting = store.waiting_partners(store.now()).await?;
        let due = waiting.partners.iter().map(|(_, due)| *due).min();
        metrics.oldest_message_s.set(self.age_s(due));
        let held = store.oldest_reservation().await?;
        metrics.oldest_hold_s.set(self.age_s(held));
        Ok(())
    }

    /// How many seconds lie between then and now; 0 for what is not there or still to come.
    fn age_s(&self, then: Option<Timestamp>) -> f64 {
        let Some(then) = then else {
            return 0.0;
        };
        let age_us = self.store().now().0.saturating_sub(then.0).max(0);
        Duration::from_micros(age_us.cast_unsigned()).as_secs_f64()
    }
}
