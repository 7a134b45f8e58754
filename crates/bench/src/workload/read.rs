//! `read`: balances and filtered lists while `reserve` runs.
//!
//! Every kind of question has connections of its own, beside those that reserve.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use crate::{
    installation::Installation,
    load::{self, Load, Magazine, Run, Until},
    partner::StallingPartner,
    report::DatabaseReport,
    stage::{Plan, Stage, ticker},
    workload::{Ground, series::Series},
};

/// Connections of the load beside which is read.
const RESERVING: usize = 16;

/// Connections of each kind of question.
const READING: usize = 2;

/// How many clients there are.
const CLIENTS: usize = 8;

/// One kind of question.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Reading {
    pub(crate) what: String,
    pub(crate) per_second: f64,
    pub(crate) p50_us: u32,
    pub(crate) p99_us: u32,
}

/// The questions: what is asked, and the path below the enterprise.
pub(crate) fn questions() -> Vec<(&'static str, String)> {
    let currency = ticker(0);
    vec![
        ("balances", "/clients/balances".to_owned()),
        (
            "reserved allocations",
            format!("/clients/allocations?statuses=reserved&currencies={currency}"),
        ),
        (
            "newest allocations",
            "/clients/allocations?sortDirection=DESC".to_owned(),
        ),
        ("connections", "/clients/connections".to_owned()),
    ]
}

impl Reading {
    pub(crate) fn of(what: &str, run: &Run) -> Reading {
        Reading {
            what: what.to_owned(),
            per_second: run.per_second(),
            p50_us: run.latencies.percentile(50.0),
            p99_us: run.latencies.percentile(99.0),
        }
    }

    pub(crate) fn print(&self) {
        println!(
            "{:<28}{:>9.0}/s   p50 {:>8.2} ms   p99 {:>8.2} ms",
            self.what,
            self.per_second,
            f64::from(self.p50_us) / 1e3,
            f64::from(self.p99_us) / 1e3
        );
    }
}

pub(crate) async fn measure(
    ground: &Ground<'_>,
    report: &mut DatabaseReport,
) -> anyhow::Result<()> {
    let bench = ground.bench;
    let partner = StallingPartner::start(&ground.folder).await?;
    let installation = Installation::start(&ground.folder, ground.cluster).await?;
    let plan = Plan {
        asynchronous: true,
        clients: CLIENTS,
        ..Plan::with(partner.url())
    };
    let stage = Stage::set_up(&installation, &plan).await?;
    partner.stall(true).await?;
    let maker = stage.reservations("read");
    let series = Series::new(&installation, &maker, 200);
    // The warm-up leaves something to read.
    let rate = series.warm_up(RESERVING, bench.warm_up()).await?;
    println!("\nread, beside reserve at {RESERVING} connections");
    report.read = beside(&stage, &series, rate, bench.span()).await?;
    for reading in &report.read {
        reading.print();
    }
    report.note_memory("read", installation.peak_memory());
    installation.remove().await?;
    partner.kill().await;
    Ok(())
}

/// Reads while it is reserved; the reserving first.
pub(crate) async fn beside(
    stage: &Stage,
    series: &Series<'_>,
    rate: f64,
    span: Duration,
) -> anyhow::Result<Vec<Reading>> {
    let mut loads = vec![series.load(RESERVING, rate * 1.5 * span.as_secs_f64() + 100.0)?];
    let questions = questions();
    for (_, path) in &questions {
        let maker = |number: usize, into: &mut Vec<u8>| {
            let party = &stage.clients[number % stage.clients.len()];
            party.read(path, into);
            Ok(())
        };
        loads.push(Load {
            magazine: Magazine::fill(0, stage.clients.len(), &maker)?,
            connections: READING,
            expected: 200,
            repeats: true,
        });
    }
    let address = series.installation.address()?;
    let runs = load::send(address, loads, Until::Time(span)).await?;
    let names = std::iter::once("reserve").chain(questions.iter().map(|(name, _)| *name));
    let readings: Vec<Reading> = names
        .zip(&runs)
        .map(|(name, run)| Reading::of(name, run))
        .collect();
    readings.first().context("nothing was read")?;
    Ok(readings)
}
