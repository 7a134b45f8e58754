//! `settle`: settlements of many transfers, each one request and one atomic commit.
//!
//! Beside them stands what the database does with the same postings without us, from prepared
//! batches. In the end the partner sends many of the largest at the same time, for which there is no
//! room: what is refused has to be refused with 503, and memory has to stay within its bound.

use std::time::Duration;

use anyhow::ensure;
use serde::Serialize;
use wire::api::{
    quantity::PartnerQuantity,
    settlements::{NewSettlement, PartyAmount, SettlementAmounts},
};

use crate::{
    bare,
    installation::Installation,
    load::{self, Flood, Until, flood},
    partner::StallingPartner,
    report::DatabaseReport,
    stage::{Plan, Stage, ticker},
    workload::{
        Ground,
        series::{Series, figures},
        shape::{Shape, quantity},
    },
};

/// Connections that reserve beside a settlement.
const RESERVING: usize = 8;

/// How long settlements of one size are made, even if not all of them are done then.
const AT_MOST: Duration = Duration::from_secs(60);

/// How many settlements of the largest size are sent a second in the end, and how many of them may
/// be on their way at the same time: both are far more than there is time and room for.
const CROWD: usize = 16;

/// What came of settlements of one size.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Settled {
    pub(crate) transfers: usize,
    pub(crate) at_once: usize,
    pub(crate) settlements_per_second: f64,
    pub(crate) transfers_per_second: f64,
    pub(crate) p50_us: u32,
    pub(crate) p99_us: u32,
    pub(crate) server_us_per_transfer: Option<f64>,
    pub(crate) database_us_per_transfer: Option<f64>,
    /// The p99 of reservations made beside these settlements.
    pub(crate) reserve_p99_us: u32,
    pub(crate) reserve_per_second: f64,
}

pub(crate) async fn measure(
    ground: &Ground<'_>,
    report: &mut DatabaseReport,
) -> anyhow::Result<()> {
    let shapes = Shape::all(ground.bench, [6_000, 240, 8]);
    let (connections, currencies) = Shape::ground(&shapes);
    let accounts = connections * currencies + currencies;
    let bare = bare::measure(ground, accounts).await?;
    for figures in &bare {
        figures.print();
    }
    report.bare = bare;

    let partner = StallingPartner::start(&ground.folder).await?;
    let installation = Installation::start(&ground.folder, ground.cluster).await?;
    let plan = Plan {
        asynchronous: true,
        clients: connections.div_ceil(10),
        connections_each: 10,
        currencies,
        ..Plan::with(partner.url())
    };
    let stage = Stage::set_up(&installation, &plan).await?;
    partner.stall(true).await?;
    println!(
        "\n{:<12}{:>8}{:>14}{:>12}{:>11}{:>11}{:>13}{:>13}{:>24}",
        "settle",
        "at once",
        "transfers/s",
        "each/s",
        "p50 ms",
        "p99 ms",
        "server",
        "database",
        "p99 of reserve beside"
    );
    for shape in &shapes {
        let maker = |number: usize, into: &mut Vec<u8>| settlement(&stage, shape, number, into);
        let series = Series::new(&installation, &maker, 200);
        let settled = settle(&series, &stage, shape).await?;
        settled.print();
        if shape.transfers() == connections * currencies {
            crowd(&series, ground.bench.span()).await?;
        }
        report.settle.push(settled);
    }
    report.note_memory("settle", installation.peak_memory());
    installation.remove().await?;
    partner.kill().await;
    Ok(())
}

async fn settle(series: &Series<'_>, stage: &Stage, shape: &Shape) -> anyhow::Result<Settled> {
    let transfers = shape.transfers();
    let installation = series.installation;
    let address = installation.address()?;
    load::send(
        address,
        vec![series.load(1, 1.0)?],
        Until::FirstIsDone(AT_MOST),
    )
    .await?;

    let load = series.load(shape.at_once, shape.count as f64)?;
    let before = installation.usage().await?;
    let mut runs = load::send(address, vec![load], Until::FirstIsDone(AT_MOST)).await?;
    let after = installation.usage().await?;
    let run = runs.swap_remove(0);
    let alone = figures(&run, shape.at_once, &before, &after);

    let reserving = stage.reservations(&format!("beside-{transfers}"));
    let reserving = Series::new(installation, &reserving, 200);
    let settling = series.load(shape.at_once, shape.count.div_ceil(2) as f64)?;
    let reservations = match transfers < 1_000 {
        true => 500.0,
        false => 20_000.0,
    };
    let loads = vec![settling, reserving.load(RESERVING, reservations)?];
    let runs = load::send(address, loads, Until::FirstIsDone(AT_MOST)).await?;
    let beside = &runs[1];
    let each = transfers as f64;
    Ok(Settled {
        transfers,
        at_once: shape.at_once,
        settlements_per_second: alone.per_second,
        transfers_per_second: alone.per_second * each,
        p50_us: alone.p50_us,
        p99_us: alone.p99_us,
        server_us_per_transfer: alone.server_us.map(|us| us / each),
        database_us_per_transfer: alone.database_us.map(|us| us / each),
        reserve_p99_us: beside.latencies.percentile(99.0),
        reserve_per_second: beside.per_second(),
    })
}

/// Sends more of the largest settlements than are taken at a time.
async fn crowd(series: &Series<'_>, span: Duration) -> anyhow::Result<()> {
    let rate = CROWD as f64;
    // One for all that is sent, however many of them are booked.
    let load = series.load(1, rate * span.as_secs_f64() + rate)?;
    let run = flood(
        series.installation.address()?,
        Flood {
            magazine: load.magazine,
            connections: CROWD,
            rate,
            span,
        },
    )
    .await?;
    let other = run.failed.as_deref().unwrap_or("none");
    println!(
        "of {CROWD} at once {} are booked, {} are told to come again, {} of them without Retry-After; other answers: {other}",
        run.accepted.count(),
        run.refused.count(),
        run.refused_without_date,
    );
    ensure!(
        run.failed.is_none() && run.refused_without_date == 0 && run.accepted.count() > 0,
        "large settlements are to be booked, or to be told to come again"
    );
    Ok(())
}

fn settlement(
    stage: &Stage,
    shape: &Shape,
    number: usize,
    into: &mut Vec<u8>,
) -> anyhow::Result<()> {
    let connections = stage.clients.iter().flat_map(|party| &party.connections);
    let mut amounts = Vec::with_capacity(shape.transfers());
    for connection in connections.take(shape.connections) {
        for currency in 0..shape.currencies {
            amounts.push(PartyAmount {
                connection_id: *connection,
                currency: ticker(currency),
                quantity: PartnerQuantity::parse(quantity(number))?,
            });
        }
    }
    stage.partner.settlement(
        NewSettlement {
            external_id: format!("{}-{number}", shape.connections),
            notes: None,
            settlement_amounts: SettlementAmounts::Party(amounts),
            nonce: String::new(),
        },
        into,
    )
}

impl Settled {
    fn print(&self) {
        let ms = |us: u32| format!("{:.1}", f64::from(us) / 1e3);
        let time = |us: Option<f64>| us.map_or_else(|| "-".to_owned(), |us| format!("{us:.1} µs"));
        println!(
            "{:<12}{:>8}{:>14.0}{:>12.1}{:>11}{:>11}{:>13}{:>13}{:>24}",
            self.transfers,
            self.at_once,
            self.transfers_per_second,
            self.settlements_per_second,
            ms(self.p50_us),
            ms(self.p99_us),
            time(self.server_us_per_transfer),
            time(self.database_us_per_transfer),
            format!(
                "{} ms at {:.0}/s",
                ms(self.reserve_p99_us),
                self.reserve_per_second
            ),
        );
    }
}
