//! How many requests were logged, and how many were not.

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// The counts. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    written: Counter,
    dropped: Family<[(&'static str, &'static str); 1], Counter>,
}

const PRESSURE: [(&str, &str); 1] = [("reason", "pressure")];
const STORAGE: [(&str, &str); 1] = [("reason", "storage")];

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        for reason in [PRESSURE, STORAGE] {
            drop(self.dropped.get_or_create(&reason));
        }
        registry.register(
            "request_log_written",
            "Requests that were written into the log of requests",
            self.written.clone(),
        );
        registry.register(
            "request_log_dropped",
            "Requests that were left out of the log, because there were too many or it could not be written",
            self.dropped.clone(),
        );
    }

    pub(super) fn drop_for_pressure(&self) {
        self.dropped.get_or_create(&PRESSURE).inc();
    }

    /// Counts requests that were written, or could not be.
    pub(super) fn count(&self, requests: usize, written: bool) {
        let requests = u64::try_from(requests).unwrap_or(u64::MAX);
        match written {
            true => self.written.inc_by(requests),
            false => self.dropped.get_or_create(&STORAGE).inc_by(requests),
        };
    }
}
