//! `stage`: settlements with a dispute window, from staging to the end.
//!
//! Staging is one request and one commit each, which holds what connections lose. Then a test clock
//! is advanced beyond the window, and it is timed until all of them are executed: amounts fixed, the
//! partner told, booked. Nobody disputes.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use client::{Client, Retry};
use serde::Serialize;
use serde_json::json;
use wire::{api::settlements::PartnerSettlementsFilter, filters::Page};

use crate::{
    installation::{Clock, Installation},
    load::{self, Until},
    partner::StallingPartner,
    report::DatabaseReport,
    stage::{Plan, Stage, ticker},
    workload::{
        Ground,
        series::{Series, figures},
        shape::{Shape, quantity},
    },
};

/// The dispute window, in minutes: longer than it takes to stage anything.
const WINDOW_MINUTES: u16 = 600;

/// How long settlements of one size are staged, even if not all of them are done then, and how long
/// it is waited for their end.
const AT_MOST: Duration = Duration::from_secs(60);

/// The pause between two looks whether all have ended.
const LOOK: Duration = Duration::from_millis(5);

/// How many settlements are looked at in one request.
const PAGE: u32 = 500;

/// What came of staged settlements of one size.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Staged {
    pub(crate) transfers: usize,
    pub(crate) at_once: usize,
    pub(crate) settlements: usize,
    pub(crate) staged_transfers_per_second: f64,
    pub(crate) p50_us: u32,
    pub(crate) p99_us: u32,
    /// Of staging.
    pub(crate) server_us_per_transfer: Option<f64>,
    /// From the end of the window until all of them were executed.
    pub(crate) finalized_s: f64,
    pub(crate) finalized_transfers_per_second: f64,
}

pub(crate) async fn measure(
    ground: &Ground<'_>,
    report: &mut DatabaseReport,
) -> anyhow::Result<()> {
    let shapes = Shape::all(ground.bench, [2_000, 100, 2]);
    let (connections, currencies) = Shape::ground(&shapes);
    let partner = StallingPartner::start(&ground.folder).await?;
    let installation =
        Installation::with_clock(&ground.folder, ground.cluster, Clock::Test).await?;
    let plan = Plan {
        asynchronous: true,
        clients: connections.div_ceil(10),
        connections_each: 10,
        currencies,
        dispute_window_minutes: Some(WINDOW_MINUTES),
        ..Plan::with(partner.url())
    };
    let stage = Stage::set_up(&installation, &plan).await?;
    println!(
        "\n{:<12}{:>8}{:>8}{:>16}{:>11}{:>11}{:>13}{:>14}{:>19}",
        "stage",
        "at once",
        "count",
        "staged/s",
        "p50 ms",
        "p99 ms",
        "server",
        "finalized s",
        "finalized/s"
    );
    for shape in &shapes {
        let staged = staged(&installation, &stage, shape).await?;
        staged.print();
        report.stage.push(staged);
    }
    report.note_memory("stage", installation.peak_memory());
    installation.remove().await?;
    partner.kill().await;
    Ok(())
}

async fn staged(
    installation: &Installation<'_>,
    stage: &Stage,
    shape: &Shape,
) -> anyhow::Result<Staged> {
    let transfers = shape.transfers();
    let maker = |number: usize, into: &mut Vec<u8>| settlement(stage, shape, number, into);
    let series = Series::new(installation, &maker, 200);
    let address = installation.address()?;
    // What the others win cannot be lost before the first is booked.
    let first = vec![series.load(1, 1.0)?];
    load::send(address, first, Until::FirstIsDone(AT_MOST)).await?;
    finalize(installation, stage).await?;

    let load = series.load(shape.at_once, shape.count as f64)?;
    let before = installation.usage().await?;
    let mut runs = load::send(address, vec![load], Until::FirstIsDone(AT_MOST)).await?;
    let after = installation.usage().await?;
    let staging = figures(&runs.swap_remove(0), shape.at_once, &before, &after);
    let finalized = finalize(installation, stage).await?.as_secs_f64();
    let each = transfers as f64;
    Ok(Staged {
        transfers,
        at_once: shape.at_once,
        settlements: staging.operations,
        staged_transfers_per_second: staging.per_second * each,
        p50_us: staging.p50_us,
        p99_us: staging.p99_us,
        server_us_per_transfer: staging.server_us.map(|us| us / each),
        finalized_s: finalized,
        finalized_transfers_per_second: staging.operations as f64 * each / finalized,
    })
}

/// Lets the windows end; how long it takes until every settlement is completed.
async fn finalize(installation: &Installation<'_>, stage: &Stage) -> anyhow::Result<Duration> {
    let operator = Client::operator(installation.url(), &installation.operator_token)?;
    let operator = operator.with_retry(Retry {
        time_limit: AT_MOST,
        ..Retry::never()
    });
    let advance = json!({"seconds": u32::from(WINDOW_MINUTES) * 60 + 1});
    let began = Instant::now();
    operator.post("/clock/advance", &advance).await?;
    let mut page = 0;
    // The pages from the first on: what is completed stays so.
    loop {
        let filter = PartnerSettlementsFilter {
            page: Page {
                number: page,
                size: PAGE,
            },
            ..PartnerSettlementsFilter::default()
        };
        let listed = stage.partner.client.partner_settlements(&filter).await?;
        let listed = serde_json::to_value(&listed.settlements)?;
        let listed = listed.as_array().context("settlements")?;
        if listed.is_empty() {
            return Ok(began.elapsed());
        }
        if listed.iter().all(|one| one["status"] == "completed") {
            page += 1;
            continue;
        }
        ensure!(
            began.elapsed() < AT_MOST,
            "staged settlements are not executed"
        );
        tokio::time::sleep(LOOK).await;
    }
}

fn settlement(
    stage: &Stage,
    shape: &Shape,
    number: usize,
    into: &mut Vec<u8>,
) -> anyhow::Result<()> {
    let connections = stage.clients.iter().flat_map(|party| &party.connections);
    let mut amounts = serde_json::Map::new();
    for connection in connections.take(shape.connections) {
        let of_connection: serde_json::Map<_, _> = (0..shape.currencies)
            .map(|currency| (ticker(currency), json!(quantity(number))))
            .collect();
        amounts.insert(connection.to_string(), of_connection.into());
    }
    stage.partner.staged_settlement(
        json!({
            "externalId": format!("{}-{number}", shape.connections),
            "settlementAmounts": amounts,
            "cutoffAt": "2026-01-01T00:00:00.000Z",
            "nonce": client::fresh_nonce(),
        }),
        into,
    );
    Ok(())
}

impl Staged {
    fn print(&self) {
        let ms = |us: u32| format!("{:.1}", f64::from(us) / 1e3);
        let time = |us: Option<f64>| us.map_or_else(|| "-".to_owned(), |us| format!("{us:.1} µs"));
        println!(
            "{:<12}{:>8}{:>8}{:>16.0}{:>11}{:>11}{:>13}{:>14.2}{:>19.0}",
            self.transfers,
            self.at_once,
            self.settlements,
            self.staged_transfers_per_second,
            ms(self.p50_us),
            ms(self.p99_us),
            time(self.server_us_per_transfer),
            self.finalized_s,
            self.finalized_transfers_per_second,
        );
    }
}
