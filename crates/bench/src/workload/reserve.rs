//! `reserve`: signed allocations that are durably *reserved*, at a partner that answers later.
//!
//! The partner keeps everybody waiting during a run, so that the outbox waits by its ordinary
//! bounds; between runs it answers, and the rate at which the backlog is worked off is told.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::{
    installation::Installation,
    partner::StallingPartner,
    report::{self, DatabaseReport, Figures},
    stage::{Plan, Stage},
    workload::{CONNECTIONS_PER_ACCOUNT, Ground, ceiling, series::Series},
};

/// How long the outbox is watched after a run.
const WATCHED: Duration = Duration::from_secs(5);

/// How the outbox was worked off.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Drain {
    /// How many messages a second the partner was told.
    pub(crate) per_second: f64,
    /// How many messages waited when the run ended.
    pub(crate) backlog: usize,
    /// How many were left when it was no longer watched.
    pub(crate) left: usize,
}

/// Measures it with every number of connections, and the ceiling.
pub(crate) async fn measure(
    ground: &Ground<'_>,
    report: &mut DatabaseReport,
) -> anyhow::Result<()> {
    let bench = ground.bench;
    let partner = StallingPartner::start(&ground.folder).await?;
    let installation = Installation::start(&ground.folder, ground.cluster).await?;
    let most = bench.connections().into_iter().max().unwrap_or(1);
    let stage = Stage::set_up(
        &installation,
        &Plan {
            asynchronous: true,
            // Two at the least: the ceiling needs somebody else's connection.
            clients: most.div_ceil(CONNECTIONS_PER_ACCOUNT).max(2),
            ..Plan::with(partner.url())
        },
    )
    .await?;
    report::print_head();
    let judged = ground.judged_connections();
    report.ceiling = Some(ceiling::measure(ground, &installation, &stage, judged).await?);

    let mut watched = Watched {
        partner: &partner,
        reserved: 0,
    };
    for connections in bench.connections() {
        let clients = &stage.clients[..connections.div_ceil(CONNECTIONS_PER_ACCOUNT)];
        let maker = |number: usize, into: &mut Vec<u8>| {
            let party = &clients[number % clients.len()];
            party.allocation(
                party.connections[0],
                format!("{connections}-{number}"),
                into,
            )
        };
        let series = Series::new(&installation, &maker, 200);
        partner.stall(true).await?;
        let mut rate = series.warm_up(connections, bench.warm_up()).await?;
        let mut runs = Vec::new();
        let mut drains = Vec::new();
        for _ in 0..bench.runs() {
            let figures = series.run(connections, bench.span(), rate).await?;
            rate = figures.per_second;
            watched.reserved += figures.operations;
            runs.push(figures);
            drains.push(watched.drain(WATCHED.min(bench.span())).await?);
        }
        let median = Figures::median(runs);
        report::print_figures("reserve", &median);
        report.reserve.push(median);
        report.drains.extend(drains);
    }
    for drain in &report.drains {
        println!(
            "outbox after a run: {} waited, {:.0}/s were told to the partner, {} left",
            drain.backlog, drain.per_second, drain.left
        );
    }
    report.note_memory("reserve", installation.peak_memory());
    installation.remove().await?;
    partner.kill().await;
    Ok(())
}

/// The outbox, as far as the partner sees it.
struct Watched<'a> {
    partner: &'a StallingPartner,
    /// What was reserved in runs; that of warm-ups comes on top.
    reserved: usize,
}

impl Watched<'_> {
    /// Lets the partner answer for a while.
    async fn drain(&mut self, at_most: Duration) -> anyhow::Result<Drain> {
        let before = self.partner.answered().await?;
        let backlog = self.reserved.saturating_sub(before);
        let begin = Instant::now();
        self.partner.stall(false).await?;
        let mut answered = before;
        while begin.elapsed() < at_most && answered < self.reserved {
            tokio::time::sleep(Duration::from_millis(20)).await;
            answered = self.partner.answered().await?;
        }
        let span = begin.elapsed();
        self.partner.stall(true).await?;
        Ok(Drain {
            per_second: (answered - before) as f64 / span.as_secs_f64(),
            backlog,
            left: self.reserved.saturating_sub(answered),
        })
    }
}
