//! What the store tells of itself: figures that batches leave as they go by, at a few atomic
//! operations each, and those that are read off when somebody asks.

use std::{
    fmt,
    time::{Duration, Instant},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use tokio::sync::mpsc::WeakSender;

use crate::{
    batch::{QUEUE_MAX, Waiting},
    sql::{ChainHead, Reader, StoreError},
};

/// One label with one of a few values.
type Label = [(&'static str, &'static str); 1];

/// The figures of one store. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    batch_commands: Histogram,
    stage_seconds: Family<Label, Histogram, fn() -> Histogram>,
    /// Waiting for the head of the chain.
    pub(crate) begin: Stage,
    pub(crate) load: Stage,
    pub(crate) decide: Stage,
    pub(crate) write: Stage,
    /// The COMMIT alone: the database makes the batch durable.
    pub(crate) flush: Stage,
    batches: Family<Label, Counter>,
    commits_asked_for: Family<Label, Counter>,
    commands_refused: Family<Label, Counter>,
    chain_sequence: Gauge,
    journal_entries: Gauge,
}

/// How long one stage of a batch takes.
#[derive(Clone, Debug)]
pub(crate) struct Stage(Histogram);

impl Stage {
    pub(crate) fn took(&self, time: Duration) {
        self.0.observe(time.as_secs_f64());
    }
}

/// Measures one stage after the other.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// The time since the start or the last lap.
    pub(crate) fn lap(&mut self) -> Duration {
        let now = Instant::now();
        now.duration_since(std::mem::replace(&mut self.0, now))
    }
}

fn duration_buckets() -> Histogram {
    // From 50 µs to 26 s.
    Histogram::new(exponential_buckets(0.000_05, 2.0, 20))
}

impl Default for Metrics {
    fn default() -> Metrics {
        let stage_seconds: Family<Label, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(duration_buckets);
        let stage = |name| Stage(stage_seconds.get_or_create_owned(&[("stage", name)]));
        Metrics {
            batch_commands: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            begin: stage("begin"),
            load: stage("load"),
            decide: stage("decide"),
            write: stage("write"),
            flush: stage("flush"),
            stage_seconds,
            batches: counters(
                "outcome",
                &["committed", "unchanged", "conflict", "rolled_back"],
            ),
            commits_asked_for: counters("outcome", &["done", "not_done", "unknown"]),
            commands_refused: counters("reason", &["queue_full", "closing"]),
            chain_sequence: Gauge::default(),
            journal_entries: Gauge::default(),
        }
    }
}

/// A family that tells of all its values from the start, so that rates have a beginning.
fn counters(name: &'static str, values: &[&'static str]) -> Family<Label, Counter> {
    let family = Family::<Label, Counter>::default();
    for value in values {
        drop(family.get_or_create(&[(name, value)]));
    }
    family
}

impl Metrics {
    pub(crate) fn took(&self, commands: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        self.batch_commands.observe(commands as f64);
    }

    pub(crate) fn committed(&self, head: &ChainHead) {
        self.batches
            .get_or_create(&[("outcome", "committed")])
            .inc();
        self.reached(head.sequence, head.last_entry);
    }

    /// The chain is known to be this long.
    pub(crate) fn reached(&self, sequence: i64, entries: i64) {
        self.chain_sequence.set(sequence);
        self.journal_entries.set(entries);
    }

    pub(crate) fn unchanged(&self) {
        self.batches
            .get_or_create(&[("outcome", "unchanged")])
            .inc();
    }

    pub(crate) fn rolled_back(&self, error: &StoreError) {
        let outcome = match error {
            StoreError::Conflict { .. } => "conflict",
            _ => "rolled_back",
        };
        self.batches.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// A commit whose answer was lost has been found done, not done, or neither.
    pub(crate) fn asked_for(&self, done: Option<bool>) {
        let outcome = match done {
            Some(true) => "done",
            Some(false) => "not_done",
            None => "unknown",
        };
        self.commits_asked_for
            .get_or_create(&[("outcome", outcome)])
            .inc();
    }

    /// A command was turned away: because the queue is full, or because the store is closing.
    pub(crate) fn turned_away(&self, closing: bool) {
        let reason = match closing {
            true => "closing",
            false => "queue_full",
        };
        self.commands_refused
            .get_or_create(&[("reason", reason)])
            .inc();
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "batch_commands",
            "Commands in one batch",
            self.batch_commands.clone(),
        );
        registry.register_with_unit(
            "batch_stage",
            "Time of one stage of a batch; flush is the COMMIT alone",
            Unit::Seconds,
            self.stage_seconds.clone(),
        );
        registry.register(
            "batches",
            "Attempts at a batch by what became of them",
            self.batches.clone(),
        );
        registry.register(
            "commits_asked_for",
            "Commits whose answer was lost, by what the database said of them later",
            self.commits_asked_for.clone(),
        );
        registry.register(
            "commands_refused",
            "Commands that were turned away undecided",
            self.commands_refused.clone(),
        );
        registry.register(
            "chain_sequence",
            "Number of the last commit that this process knows of",
            self.chain_sequence.clone(),
        );
        registry.register(
            "journal_entries",
            "Number of the last journal entry that this process knows of",
            self.journal_entries.clone(),
        );
    }
}

/// What is read off when somebody asks: the queue and the readers.
pub(crate) struct Queues {
    pub(crate) queue: WeakSender<Box<dyn Waiting>>,
    pub(crate) reader: Reader,
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queues").finish_non_exhaustive()
    }
}

impl Collector for Queues {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let waiting = self
            .queue
            .upgrade()
            .map_or(0, |queue| QUEUE_MAX.saturating_sub(queue.capacity()));
        let readers = self.reader.occupancy();
        let gauges = [
            (
                "commands_waiting",
                "Commands that wait for a batch",
                waiting,
            ),
            (
                "commands_waiting_max",
                "Commands that may wait; further ones are turned away",
                QUEUE_MAX,
            ),
            (
                "readers_busy",
                "Read connections that are in use",
                readers.busy,
            ),
            (
                "readers_waited_for",
                "Queries that wait for a read connection",
                readers.waited_for,
            ),
            (
                "readers_max",
                "Read connections that may be in use",
                readers.max,
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            let encoder = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(encoder)?;
        }
        Ok(())
    }
}
