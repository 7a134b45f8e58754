//! Load: requests that were made and signed ahead, sent over many connections and timed.
//!
//! The generator shares the machine with what it measures, so it is made to cost little: one
//! thread, whole requests as bytes, answers read into buffers that are used again.

mod connection;
mod flood;
mod latency;
mod magazine;

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::task::LocalSet;

pub(crate) use flood::{Flood, flood};
pub(crate) use latency::{Latencies, Sorted};
pub(crate) use magazine::{Magazine, Maker};

use crate::process;
use connection::Connection;

/// Requests of one kind and how they are sent: over so many connections, each with one request at
/// a time.
pub(crate) struct Load {
    pub(crate) magazine: Magazine,
    pub(crate) connections: usize,
    /// The status of every answer.
    pub(crate) expected: u16,
    /// Whether the requests begin again when all of them are sent: for those that only read.
    pub(crate) repeats: bool,
}

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After this time, or when a load has nothing left to send.
    Time(Duration),
    /// When the first load is sent and answered; after this time at the latest.
    FirstIsDone(Duration),
}

/// What came of one load.
pub(crate) struct Run {
    /// From the first request to the last answer that counts.
    pub(crate) span: Duration,
    /// How long answers took.
    pub(crate) latencies: Sorted,
    /// The generator's own time on the processor, for all loads of the run.
    pub(crate) generator: Option<Duration>,
}

impl Run {
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.count() as f64 / self.span.as_secs_f64()
    }
}

/// Sends loads beside each other; what came of each.
///
/// # Errors
///
/// An answer with another status than expected, or none: with its text.
pub(crate) async fn send(
    address: SocketAddr,
    loads: Vec<Load>,
    until: Until,
) -> anyhow::Result<Vec<Run>> {
    on_one_thread(move || send_all(address, loads, until)).await
}

/// Runs the generator on a thread of its own.
async fn on_one_thread<T: Send + 'static, F: Future<Output = anyhow::Result<T>>>(
    sending: impl FnOnce() -> F + Send + 'static,
) -> anyhow::Result<T> {
    let (report, result) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let result = runtime
                .map_err(Into::into)
                .and_then(|runtime| LocalSet::new().block_on(&runtime, sending()));
            let _ = report.send(result);
        })?;
    result.await.context("the load generator ended early")?
}

/// The state of one load, shared by its connections.
struct Sending {
    load: Load,
    next: Cell<usize>,
    end: Rc<Cell<Instant>>,
    latencies: RefCell<Latencies>,
    unexpected: RefCell<Option<(u16, String)>>,
}

async fn send_all(address: SocketAddr, loads: Vec<Load>, until: Until) -> anyhow::Result<Vec<Run>> {
    let mut open = Vec::new();
    for load in &loads {
        let mut connections = Vec::new();
        for _ in 0..load.connections {
            connections.push(Connection::open(address).await?);
        }
        open.push(connections);
    }
    let generator_before = process::time_of_this_thread();
    let begin = Instant::now();
    let (Until::Time(span) | Until::FirstIsDone(span)) = until;
    let end = Rc::new(Cell::new(begin + span));
    let sendings: Vec<_> = loads
        .into_iter()
        .map(|load| {
            Rc::new(Sending {
                load,
                next: Cell::new(0),
                end: Rc::clone(&end),
                latencies: RefCell::default(),
                unexpected: RefCell::default(),
            })
        })
        .collect();
    let mut tasks: Vec<Vec<_>> = Vec::new();
    for (connections, sending) in open.into_iter().zip(&sendings) {
        let sent = connections.into_iter().map(|connection| {
            let sending = Rc::clone(sending);
            tokio::task::spawn_local(sending.one_after_another(connection, until))
        });
        tasks.push(sent.collect());
    }
    for of_load in tasks {
        for task in of_load {
            task.await??;
        }
        // What is still sent ends now, unless it has ended already.
        end.set(end.get().min(Instant::now()));
    }
    let end = end.get();
    let generator = process::time_of_this_thread()
        .zip(generator_before)
        .map(|(after, before)| after.saturating_sub(before));
    let run = |sending: &Rc<Sending>| {
        if let Some((status, text)) = sending.unexpected.take() {
            let expected = sending.load.expected;
            bail!("an answer had status {status} instead of {expected}: {text}");
        }
        Ok(Run {
            span: end - begin,
            latencies: sending.latencies.take().sorted(),
            generator,
        })
    };
    sendings.iter().map(run).collect()
}

impl Sending {
    async fn one_after_another(
        self: Rc<Self>,
        mut connection: Connection,
        until: Until,
    ) -> anyhow::Result<()> {
        loop {
            let began = Instant::now();
            if began >= self.end.get() {
                return Ok(());
            }
            let index = self.next.get();
            self.next.set(index + 1);
            let request = match self.load.repeats {
                true => self
                    .load
                    .magazine
                    .request(index % self.load.magazine.count()),
                false => self.load.magazine.request(index),
            };
            let Some(request) = request else {
                // What is answered after this moment would be a falling load.
                if matches!(until, Until::Time(_)) {
                    self.end.set(began);
                }
                return Ok(());
            };
            let status = connection.exchange(request).await?;
            let ended = Instant::now();
            if status != self.load.expected {
                let text = connection.body().chars().take(2_000).collect();
                self.unexpected.replace(Some((status, text)));
                self.end.set(ended);
                return Ok(());
            }
            if ended <= self.end.get() {
                self.latencies.borrow_mut().note(ended - began);
            }
        }
    }
}
