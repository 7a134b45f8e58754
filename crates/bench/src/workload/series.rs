//! A load that is run several times, with what each run used.

use std::{cell::Cell, time::Duration};

use anyhow::Context;

use crate::{
    arguments::Bench,
    installation::{Installation, Usage},
    load::{self, Load, Magazine, Maker, Run, Until},
    report::Figures,
};

/// How many requests a second are made for a warm-up, of which nothing is known yet.
const FIRST_GUESS: f64 = 8_000.0;

/// How much faster than before a run may be without ending early.
const ROOM: f64 = 1.5;

/// A kind of request, sent again and again.
pub(crate) struct Series<'a> {
    pub(crate) installation: &'a Installation<'a>,
    pub(crate) maker: &'a dyn Maker,
    /// The status of every answer.
    pub(crate) expected: u16,
    /// The number of the next request: none is made twice, for a repetition would cost less.
    next: Cell<usize>,
}

impl<'a> Series<'a> {
    pub(crate) fn new(
        installation: &'a Installation<'a>,
        maker: &'a dyn Maker,
        expected: u16,
    ) -> Series<'a> {
        Series {
            installation,
            maker,
            expected,
            next: Cell::new(0),
        }
    }

    /// Runs without measuring; how many a second it was.
    pub(crate) async fn warm_up(&self, connections: usize, span: Duration) -> anyhow::Result<f64> {
        let magazine = self.fill(FIRST_GUESS * span.as_secs_f64())?;
        Ok(self.send(magazine, connections, span).await?.per_second())
    }

    /// One run, of which a rate is known by and large.
    pub(crate) async fn run(
        &self,
        connections: usize,
        span: Duration,
        rate: f64,
    ) -> anyhow::Result<Figures> {
        let magazine = self.fill(ROOM * rate * span.as_secs_f64() + 100.0)?;
        let before = self.installation.usage().await?;
        let run = self.send(magazine, connections, span).await?;
        let after = self.installation.usage().await?;
        Ok(figures(&run, connections, &before, &after))
    }

    /// A warm-up and all runs; the one in the middle.
    pub(crate) async fn measure(
        &self,
        connections: usize,
        bench: &Bench,
    ) -> anyhow::Result<Figures> {
        let mut rate = self.warm_up(connections, bench.warm_up()).await?;
        let mut runs = Vec::new();
        for _ in 0..bench.runs() {
            let figures = self.run(connections, bench.span(), rate).await?;
            rate = figures.per_second;
            runs.push(figures);
        }
        Ok(Figures::median(runs))
    }

    fn fill(&self, count: f64) -> anyhow::Result<Magazine> {
        // Whole and positive, and far below what is exact in a float.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of requests that fit in memory"
        )]
        let count = count.ceil().max(1.0) as usize;
        let first = self.next.replace(self.next.get() + count);
        Magazine::fill(first, count, self.maker)
    }

    /// So many further requests as a load.
    pub(crate) fn load(&self, connections: usize, count: f64) -> anyhow::Result<Load> {
        Ok(Load {
            magazine: self.fill(count)?,
            connections,
            expected: self.expected,
            repeats: false,
        })
    }

    async fn send(
        &self,
        magazine: Magazine,
        connections: usize,
        span: Duration,
    ) -> anyhow::Result<Run> {
        let load = Load {
            magazine,
            connections,
            expected: self.expected,
            repeats: false,
        };
        let address = self.installation.address()?;
        let mut runs = load::send(address, vec![load], Until::Time(span)).await?;
        runs.pop().context("there is no run")
    }
}

/// What a run did and used.
pub(crate) fn figures(run: &Run, connections: usize, before: &Usage, after: &Usage) -> Figures {
    let count = run.latencies.count().max(1) as f64;
    let each = |before: Option<Duration>, after: Option<Duration>| {
        let used = after?.checked_sub(before?)?;
        Some(used.as_secs_f64() * 1e6 / count)
    };
    let counted = |before: i64, after: i64| (after - before) as f64 / count;
    Figures {
        connections,
        span_s: run.span.as_secs_f64(),
        operations: run.latencies.count(),
        per_second: run.per_second(),
        slowest_run: run.per_second(),
        fastest_run: run.per_second(),
        p50_us: run.latencies.percentile(50.0),
        p99_us: run.latencies.percentile(99.0),
        p999_us: run.latencies.percentile(99.9),
        server_us: each(before.server, after.server),
        database_us: each(before.database, after.database),
        generator_us: each(Some(Duration::ZERO), run.generator),
        commits_each: counted(before.commits, after.commits),
        flushes_each: counted(before.flushes, after.flushes),
        allocations_each: before
            .allocations
            .zip(after.allocations)
            .map(|(before, after)| after.saturating_sub(before) as f64 / count),
    }
}
