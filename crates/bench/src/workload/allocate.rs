//! `allocate`: complete allocations through the simulated exchange, which answers at once.
//!
//! Each is held, asked about, moved to the connection and answered *cleared*; that the exchange is
//! told of it follows from the outbox. The exchange checks the network's signature on every call
//! and keeps books of its own, in a process that shares the machine.

use crate::{
    exchange::Exchange,
    installation::Installation,
    report::{self, DatabaseReport},
    stage::{Plan, Stage},
    workload::{CONNECTIONS_PER_ACCOUNT, Ground, series::Series},
};

pub(crate) async fn measure(
    ground: &Ground<'_>,
    report: &mut DatabaseReport,
) -> anyhow::Result<()> {
    let connections = ground.judged_connections();
    let installation = Installation::start(&ground.folder, ground.cluster).await?;
    let exchange = Exchange::start(&ground.folder, &installation.call_key()).await?;
    let plan = Plan {
        exchange: Some(&exchange),
        clients: connections.div_ceil(CONNECTIONS_PER_ACCOUNT),
        ..Plan::with(exchange.url())
    };
    let stage = Stage::set_up(&installation, &plan).await?;
    let maker = stage.reservations("all");
    let series = Series::new(&installation, &maker, 200);
    let figures = series.measure(connections, ground.bench).await?;
    report::print_head();
    report::print_figures("allocate", &figures);
    report.allocate = Some(figures);
    report.note_memory("allocate", installation.peak_memory());
    installation.remove().await?;
    exchange.kill().await;
    Ok(())
}
