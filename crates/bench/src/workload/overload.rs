//! `overload`: four times what can be carried, for a minute.
//!
//! What is refused has to be refused early, with 503 and a `Retry-After`; what is accepted has to be
//! answered in bounded time; and afterwards everything has to be as before.

use std::time::Duration;

use anyhow::ensure;
use serde::Serialize;

use crate::{
    installation::Installation,
    load::{Flood, flood},
    partner::StallingPartner,
    report::DatabaseReport,
    stage::{Plan, Stage},
    workload::{CONNECTIONS_PER_ACCOUNT, Ground, series::Series},
};

/// How many times what can be carried is sent.
const TIMES: f64 = 4.0;

/// Connections with which it is found out what can be carried.
const CARRYING: usize = 256;

/// What came of too much load.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Overload {
    /// What could be carried before, a second.
    pub(crate) carried_per_second: f64,
    pub(crate) offered_per_second: f64,
    pub(crate) connections: usize,
    pub(crate) accepted_per_second: f64,
    pub(crate) accepted_p50_us: u32,
    pub(crate) accepted_p99_us: u32,
    pub(crate) accepted_longest_us: u32,
    pub(crate) refused_per_second: f64,
    pub(crate) refused_p99_us: u32,
    /// Refusals that did not say when to come again.
    pub(crate) refused_without_date: usize,
    /// Requests for which there was no free connection, a second.
    pub(crate) not_sent_per_second: f64,
    /// Answers that were neither 200 nor 503, the first of them.
    pub(crate) failed: Option<String>,
    /// What could be carried afterwards, a second.
    pub(crate) recovered_per_second: f64,
    /// Memory of the server before, after a third of the time, and at the end, in MiB.
    pub(crate) memory_mib: [f64; 3],
}

pub(crate) async fn measure(
    ground: &Ground<'_>,
    report: &mut DatabaseReport,
) -> anyhow::Result<()> {
    let bench = ground.bench;
    let (carrying, connections, span) = match bench.quick {
        true => (16, 256, Duration::from_secs(1)),
        false => (CARRYING, 4_000, Duration::from_secs(60)),
    };
    let partner = StallingPartner::start(&ground.folder).await?;
    let installation = Installation::start(&ground.folder, ground.cluster).await?;
    let plan = Plan {
        asynchronous: true,
        clients: carrying.div_ceil(CONNECTIONS_PER_ACCOUNT),
        ..Plan::with(partner.url())
    };
    let stage = Stage::set_up(&installation, &plan).await?;
    partner.stall(true).await?;
    let maker = stage.reservations("over");
    let series = Series::new(&installation, &maker, 200);
    let carried = series.measure(carrying, bench).await?.per_second;

    // What is refused is sent again, so only what is accepted needs requests of its own. What a very
    // short run has measured says little of what is accepted: then there is one for all that is sent.
    let share = if bench.quick { TIMES } else { 1.5 };
    let load = series.load(1, share * carried * span.as_secs_f64() + connections as f64)?;
    let before = installation.memory();
    let sampling = async {
        tokio::time::sleep(span / 3).await;
        installation.memory()
    };
    let flooding = flood(
        installation.address()?,
        Flood {
            magazine: load.magazine,
            connections,
            rate: TIMES * carried,
            span,
        },
    );
    let (run, meanwhile) = tokio::join!(flooding, sampling);
    let (run, after) = (run?, installation.memory());
    ensure!(
        run.accepted.count() > 0,
        "nothing was accepted: {:?}",
        run.failed
    );

    let recovered = series.run(carrying, bench.span(), carried).await?;
    let each_second = |count: usize| count as f64 / run.span.as_secs_f64();
    let mib = |bytes: Option<u64>| bytes.unwrap_or_default() as f64 / (1024.0 * 1024.0);
    let overload = Overload {
        carried_per_second: carried,
        offered_per_second: TIMES * carried,
        connections,
        accepted_per_second: each_second(run.accepted.count()),
        accepted_p50_us: run.accepted.percentile(50.0),
        accepted_p99_us: run.accepted.percentile(99.0),
        accepted_longest_us: run.accepted.percentile(100.0),
        refused_per_second: each_second(run.refused.count()),
        refused_p99_us: run.refused.percentile(99.0),
        refused_without_date: run.refused_without_date,
        not_sent_per_second: each_second(run.not_sent),
        failed: run.failed,
        recovered_per_second: recovered.per_second,
        memory_mib: [mib(before), mib(meanwhile), mib(after)],
    };
    overload.print();
    report.overload = Some(overload);
    report.note_memory("overload", installation.peak_memory());
    installation.remove().await?;
    partner.kill().await;
    Ok(())
}

impl Overload {
    fn print(&self) {
        let ms = |us: u32| f64::from(us) / 1e3;
        println!(
            "\noverload: {:.0}/s can be carried; {:.0}/s are offered over {} connections",
            self.carried_per_second, self.offered_per_second, self.connections
        );
        println!(
            "accepted {:.0}/s, p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
            self.accepted_per_second,
            ms(self.accepted_p50_us),
            ms(self.accepted_p99_us),
            ms(self.accepted_longest_us)
        );
        println!(
            "refused {:.0}/s with 503, p99 {:.1} ms, {} of them without Retry-After; {:.0}/s found no free connection",
            self.refused_per_second,
            ms(self.refused_p99_us),
            self.refused_without_date,
            self.not_sent_per_second
        );
        println!(
            "other answers: {}",
            self.failed.as_deref().unwrap_or("none")
        );
        let [before, meanwhile, after] = self.memory_mib;
        println!(
            "afterwards {:.0}/s; memory {before:.0} MiB before, {meanwhile:.0} after a third, {after:.0} at the end",
            self.recovered_per_second
        );
    }
}
