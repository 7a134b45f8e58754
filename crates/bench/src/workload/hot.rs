//! `hot`: as `reserve`, with all allocations from one Go Account.
//!
//! Runs with many accounts and runs with one take turns on the same installation, so that the disk
//! and the size of the books are the same for both.

use serde::Serialize;

use crate::{
    installation::Installation,
    partner::StallingPartner,
    report::{self, DatabaseReport, Figures},
    stage::{Plan, Stage},
    workload::{CONNECTIONS_PER_ACCOUNT, Ground, series::Series},
};

/// One account beside many.
#[derive(Debug, Serialize)]
pub(crate) struct Hot {
    pub(crate) many_accounts: Figures,
    pub(crate) one_account: Figures,
}

pub(crate) async fn measure(
    ground: &Ground<'_>,
    report: &mut DatabaseReport,
) -> anyhow::Result<()> {
    let bench = ground.bench;
    let connections = ground.judged_connections();
    let partner = StallingPartner::start(&ground.folder).await?;
    let installation = Installation::start(&ground.folder, ground.cluster).await?;
    let plan = Plan {
        asynchronous: true,
        clients: connections.div_ceil(CONNECTIONS_PER_ACCOUNT),
        ..Plan::with(partner.url())
    };
    let stage = Stage::set_up(&installation, &plan).await?;
    partner.stall(true).await?;
    let many = stage.reservations("many");
    let one = |number: usize, into: &mut Vec<u8>| {
        let party = &stage.clients[0];
        party.allocation(party.connections[0], format!("one-{number}"), into)
    };
    let many = Series::new(&installation, &many, 200);
    let one = Series::new(&installation, &one, 200);
    let mut rate = many.warm_up(connections, bench.warm_up()).await?;
    let (mut runs_of_many, mut runs_of_one) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs() {
        for (series, runs) in [(&many, &mut runs_of_many), (&one, &mut runs_of_one)] {
            let figures = series.run(connections, bench.span(), rate).await?;
            rate = figures.per_second;
            runs.push(figures);
        }
    }
    let hot = Hot {
        many_accounts: Figures::median(runs_of_many),
        one_account: Figures::median(runs_of_one),
    };
    report::print_head();
    report::print_figures("reserve, many", &hot.many_accounts);
    report::print_figures("hot, one account", &hot.one_account);
    report.hot = Some(hot);
    report.note_memory("hot", installation.peak_memory());
    installation.remove().await?;
    partner.kill().await;
    Ok(())
}
