//! What calls to partners leave behind: how many there are, how long they take, how they end.

use std::time::Instant;

use prometheus_client::{
    metrics::{
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::endpoint::{Call, Ending};

/// `call` and `outcome`.
type Labels = [(&'static str, &'static str); 2];

/// The figures of one caller. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    in_flight: Gauge,
    seconds: Family<Labels, Histogram, fn() -> Histogram>,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            in_flight: Gauge::default(),
            // From 1 ms to 32 s.
            seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 2.0, 16))
            }),
        }
    }
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "partner_calls_in_flight",
            "Calls to partners that wait for an answer",
            self.in_flight.clone(),
        );
        registry.register_with_unit(
            "partner_call",
            "Time of calls to partners, by the call and the class of its answer",
            Unit::Seconds,
            self.seconds.clone(),
        );
    }

    /// Counts a call that begins now.
    pub(crate) fn begin(&self, call: Call) -> InFlight<'_> {
        self.in_flight.inc();
        InFlight {
            metrics: self,
            call: match call {
                Call::Connect => "connect",
                Call::Reserve(_) => "reserve",
                Call::Tell(_, Ending::Clear) => "clear",
                Call::Tell(_, Ending::Release) => "release",
                Call::Status(_) => "status",
                Call::Finalize(_) => "finalize",
            },
            begun: Instant::now(),
            outcome: "given_up",
        }
    }
}

/// A call for as long as it lives; one that is dropped before it ends was given up.
pub(crate) struct InFlight<'metrics> {
    metrics: &'metrics Metrics,
    call: &'static str,
    begun: Instant,
    outcome: &'static str,
}

impl InFlight<'_> {
    /// The call was answered with this status, or not at all.
    pub(crate) fn ended(&mut self, status: Option<u16>) {
        self.outcome = match status {
            Some(200..=299) => "success",
            Some(400..=499) => "client_error",
            Some(500..=599) => "server_error",
            Some(_) => "other_status",
            None => "no_answer",
        };
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
        let labels = [("call", self.call), ("outcome", self.outcome)];
        let seconds = self.begun.elapsed().as_secs_f64();
        self.metrics.seconds.get_or_create(&labels).observe(seconds);
    }
}
