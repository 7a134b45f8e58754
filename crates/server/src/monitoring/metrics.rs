//! Figures of requests, counted by operation and status without a lock and without memory of
//! their own per request, and the text of all figures there are.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{Method, StatusCode};
use network::Network;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, NoLabelSet, text},
    metrics::{MetricType, gauge::Gauge},
    registry::{Registry, Unit},
};
use utoipa::openapi::{OpenApi, path::Operation as Described};

use crate::{gate::LargeBodies, rate_limit::RateLimits, request_log};

/// The statuses that are told apart; all others are one.
const STATUSES: [u16; 17] = [
    200, 201, 202, 204, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 500, 503,
];

/// The upper ends of the buckets of latencies, in microseconds; what took longer is in the last.
const BOUNDS_US: [u64; 16] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

/// What counts as the operation of requests that no route fits.
const NO_OPERATION: &str = "none";

/// All figures of a server, and the text of them.
pub(crate) struct Metrics {
    registry: Registry,
    operations: Arc<Operations>,
    /// Requests that are being answered.
    pub(crate) requests: Counted,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// The figures of `network` and of requests for the operations that `document` describes.
    pub(crate) fn new(
        network: &Network,
        rate_limits: &RateLimits,
        large_bodies: &LargeBodies,
        request_log: &request_log::Metrics,
        document: &OpenApi,
    ) -> Metrics {
        let mut registry = Registry::with_prefix("tidelock");
        network.register_metrics(&mut registry);
        rate_limits.register(&mut registry);
        large_bodies.register(&mut registry);
        request_log.register(&mut registry);
        let operations = Arc::new(Operations::of(document));
        registry.register_collector(Box::new(Arc::clone(&operations)));
        let requests = Counted::default();
        registry.register(
            "http_requests_in_flight",
            "Requests that are being answered",
            requests.0.clone(),
        );
        Metrics {
            registry,
            operations,
            requests,
        }
    }

    /// Counts a request for what the router has matched, if anything, and tells which operation
    /// that is.
    pub(crate) fn answered(
        &self,
        method: &Method,
        matched: Option<&str>,
        status: StatusCode,
        took: Duration,
    ) -> &str {
        let operation = self.operations.of_request(method, matched);
        operation.count(status, took);
        &operation.name
    }

    /// The text of all figures.
    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// How many of something there are at the moment. Clones share the count.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counted(Gauge);

impl Counted {
    /// Counts one for as long as what is returned lives.
    pub(crate) fn one(&self) -> One {
        self.0.inc();
        One(self.0.clone())
    }

    pub(crate) fn count(&self) -> i64 {
        self.0.get()
    }
}

/// One of what is counted.
pub(crate) struct One(Gauge);

impl Drop for One {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The operations of the API, each with its counts.
#[derive(Debug)]
struct Operations {
    /// By the path as the router spells it.
    by_path: HashMap<String, Vec<(Method, Operation)>>,
    none: Operation,
}

impl Operations {
    fn of(document: &OpenApi) -> Operations {
        let described = |method: Method, operation: &Option<Described>| {
            let name = operation.as_ref()?.operation_id.clone()?;
            Some((method, Operation::new(name)))
        };
        let by_path = document.paths.paths.iter().map(|(path, item)| {
            let operations = [
                described(Method::GET, &item.get),
                described(Method::PUT, &item.put),
                described(Method::POST, &item.post),
                described(Method::DELETE, &item.delete),
                described(Method::PATCH, &item.patch),
            ];
            (path.clone(), operations.into_iter().flatten().collect())
        });
        Operations {
            by_path: by_path.collect(),
            none: Operation::new(NO_OPERATION.to_owned()),
        }
    }

    fn of_request(&self, method: &Method, matched: Option<&str>) -> &Operation {
        matched
            .and_then(|path| self.by_path.get(path))
            .and_then(|operations| operations.iter().find(|(known, _)| known == method))
            .map_or(&self.none, |(_, operation)| operation)
    }

    fn all(&self) -> impl Iterator<Item = &Operation> {
        let described = self.by_path.values().flatten();
        described
            .map(|(_, operation)| operation)
            .chain([&self.none])
            .filter(|operation| operation.was_asked_for())
    }
}

/// The counts of one operation.
#[derive(Debug)]
struct Operation {
    name: String,
    /// By status, in the order of [`STATUSES`]; others last.
    statuses: [AtomicU64; STATUSES.len() + 1],
    /// By latency, in the order of [`BOUNDS_US`]; longer ones last.
    buckets: [AtomicU64; BOUNDS_US.len() + 1],
    total_us: AtomicU64,
}

impl Operation {
    fn new(name: String) -> Operation {
        Operation {
            name,
            statuses: std::array::from_fn(|_| AtomicU64::new(0)),
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
            total_us: AtomicU64::new(0),
        }
    }

    fn count(&self, status: StatusCode, took: Duration) {
        let position = STATUSES.iter().position(|known| *known == status.as_u16());
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        add(&self.statuses, position.unwrap_or(STATUSES.len()), 1);
        add(&self.buckets, bucket, 1);
        self.total_us.fetch_add(us, Ordering::Relaxed);
    }

    fn was_asked_for(&self) -> bool {
        self.statuses
            .iter()
            .any(|count| count.load(Ordering::Relaxed) > 0)
    }
}

fn add(counts: &[AtomicU64], position: usize, more: u64) {
    if let Some(count) = counts.get(position) {
        count.fetch_add(more, Ordering::Relaxed);
    }
}

impl Collector for Operations {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let mut requests = encoder.encode_descriptor(
            "http_requests",
            "Requests that were answered, by operation and status",
            None,
            MetricType::Counter,
        )?;
        let names: Vec<String> = STATUSES
            .iter()
            .map(u16::to_string)
            .chain(["other".to_owned()])
            .collect();
        for operation in self.all() {
            for (status, count) in names.iter().zip(&operation.statuses) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let labels = [
                        ("operation", operation.name.as_str()),
                        ("status", status.as_str()),
                    ];
                    requests
                        .encode_family(&labels)?
                        .encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
                }
            }
        }
        let unit = Unit::Seconds;
        let mut latencies = encoder.encode_descriptor(
            "http_request",
            "Time from the head of a request to its answer, by operation",
            Some(&unit),
            MetricType::Histogram,
        )?;
        for operation in self.all() {
            let bounds = BOUNDS_US
                .iter()
                .map(|bound| Duration::from_micros(*bound).as_secs_f64())
                .chain([f64::INFINITY]);
            let counts = operation.buckets.iter().map(|b| b.load(Ordering::Relaxed));
            let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
            let count = buckets.iter().map(|(_, count)| count).sum();
            let total = Duration::from_micros(operation.total_us.load(Ordering::Relaxed));
            latencies
                .encode_family(&[("operation", operation.name.as_str())])?
                .encode_histogram::<NoLabelSet>(total.as_secs_f64(), count, &buckets, None)?;
        }
        Ok(())
    }
}
