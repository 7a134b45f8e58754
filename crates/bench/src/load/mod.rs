//! Load: requests that were made and signed ahead, sent over many connections and timed.
//!
//! The generator shares the machine with what it measures, so it is made to cost little: one
//! thread, whole requests as bytes, answers read into buffers that are used again.

mod connection;
mod latency;
mod magazine;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::task::LocalSet;

pub(crate) use latency::{Latencies, Sorted};
pub(crate) use magazine::{Magazine, Maker};

use crate::process;
use connection::Connection;

/// What came of one run.
pub(crate) struct Run {
    /// From the first request to the last answer that counts.
    pub(crate) span: Duration,
    /// How long answers took.
    pub(crate) latencies: Sorted,
    /// The generator's own time on the processor.
    pub(crate) generator: Option<Duration>,
}

impl Run {
    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.count() as f64 / self.span.as_secs_f64()
    }
}

/// Sends the requests of the magazine over so many connections, each with one request at a time,
/// until the time is over or no request is left.
///
/// # Errors
///
/// An answer with another status than expected, or none: with its text.
pub(crate) async fn closed_loop(
    address: SocketAddr,
    magazine: Magazine,
    connections: usize,
    at_most: Duration,
    expected: u16,
) -> anyhow::Result<Run> {
    let (report, run) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("load".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let run = runtime.map_err(Into::into).and_then(|runtime| {
                let sending = send_all(address, magazine, connections, at_most, expected);
                LocalSet::new().block_on(&runtime, sending)
            });
            let _ = report.send(run);
        })?;
    run.await.context("the load generator ended early")?
}

/// What the connections share.
struct Shared {
    magazine: Magazine,
    next: Cell<usize>,
    end: Cell<Instant>,
    expected: u16,
    latencies: RefCell<Latencies>,
    others: RefCell<BTreeMap<u16, (u64, String)>>,
}

async fn send_all(
    address: SocketAddr,
    magazine: Magazine,
    connections: usize,
    at_most: Duration,
    expected: u16,
) -> anyhow::Result<Run> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(address).await?);
    }
    let generator_before = process::time_of_this_thread();
    let begin = Instant::now();
    let shared = Rc::new(Shared {
        magazine,
        next: Cell::new(0),
        end: Cell::new(begin + at_most),
        expected,
        latencies: RefCell::default(),
        others: RefCell::default(),
    });
    let tasks: Vec<_> = open
        .into_iter()
        .map(|connection| {
            tokio::task::spawn_local(one_after_another(connection, Rc::clone(&shared)))
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let others = shared.others.take();
    if let Some((status, (count, text))) = others.first_key_value() {
        bail!("{count} answers had status {status} instead of {expected}, the first: {text}");
    }
    Ok(Run {
        span: shared.end.get() - begin,
        generator: process::time_of_this_thread()
            .zip(generator_before)
            .map(|(after, before)| after.saturating_sub(before)),
        latencies: shared.latencies.take().sorted(),
    })
}

async fn one_after_another(mut connection: Connection, shared: Rc<Shared>) -> anyhow::Result<()> {
    loop {
        let began = Instant::now();
        if began >= shared.end.get() {
            return Ok(());
        }
        let Some(request) = shared.magazine.request(shared.next.get()) else {
            // Nothing is left: what is answered after this moment would be a falling load.
            shared.end.set(began);
            return Ok(());
        };
        shared.next.set(shared.next.get() + 1);
        let status = connection.exchange(request).await?;
        let ended = Instant::now();
        if status != shared.expected {
            let mut others = shared.others.borrow_mut();
            let text = || (0, connection.body().to_owned());
            others.entry(status).or_insert_with(text).0 += 1;
        } else if ended <= shared.end.get() {
            shared.latencies.borrow_mut().note(ended - began);
        }
    }
}
