//! `grow`: how cost grows with the books.
//!
//! Books of ten thousand, a million and ten million journal entries are written in bulk (the
//! server is not running meanwhile); at each size `reserve`, `read` and the first page of every
//! list are measured.

use std::time::Instant;

use anyhow::ensure;
use serde::Serialize;

use crate::{
    installation::Installation,
    load::{self, Load, Magazine, Until},
    partner::StallingPartner,
    report::{self, DatabaseReport, Figures},
    stage::{Plan, Stage, ticker},
    workload::{
        CONNECTIONS_PER_ACCOUNT, Ground,
        read::{self, Reading},
        series::Series,
    },
};

/// How often each list is asked for; one at a time.
const LOOKS: usize = 200;

/// Up to this size the books are verified after they were written; beyond it that takes minutes.
const VERIFIED_UP_TO: i64 = 1_000_000;

/// The network with books of one size.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Grown {
    pub(crate) entries: i64,
    pub(crate) seeded_in_s: f64,
    pub(crate) reserve: Figures,
    pub(crate) read: Vec<Reading>,
    /// The first page of every list.
    pub(crate) lists: Vec<Reading>,
}

/// Who asks for a list, what it is called, and its path.
fn lists() -> Vec<(bool, &'static str, &'static str)> {
    vec![
        (false, "client balances", "/clients/balances"),
        (false, "client connections", "/clients/connections"),
        (false, "client allocations", "/clients/allocations"),
        (false, "client settlements", "/clients/settlements"),
        (false, "client transfers", "/clients/settlementTransfers"),
        (false, "partners", "/partners"),
        (true, "partner balances", "/partners/balances"),
        (true, "partner connections", "/partners/connections"),
        (true, "partner allocations", "/partners/allocations"),
        (true, "partner settlements", "/partners/settlements"),
    ]
}

pub(crate) async fn measure(
    ground: &Ground<'_>,
    report: &mut DatabaseReport,
) -> anyhow::Result<()> {
    let bench = ground.bench;
    let connections = ground.judged_connections();
    let partner = StallingPartner::start(&ground.folder).await?;
    let mut installation = Installation::start(&ground.folder, ground.cluster).await?;
    let plan = Plan {
        asynchronous: true,
        clients: connections.div_ceil(CONNECTIONS_PER_ACCOUNT),
        ..Plan::with(partner.url())
    };
    let mut stage = Stage::set_up(&installation, &plan).await?;
    partner.stall(true).await?;
    for entries in bench.sizes() {
        installation.stop().await;
        let begin = Instant::now();
        store::seed(&installation.location()?, &ticker(0).parse()?, entries).await?;
        let seeded_in_s = begin.elapsed().as_secs_f64();
        println!("\n{entries} journal entries, after {seeded_in_s:.0} s");
        if entries <= VERIFIED_UP_TO {
            let verified = store::verify(&installation.location()?).await?;
            let faults = verified.faults.join("; ");
            ensure!(verified.is_sound(), "the books are not sound: {faults}");
        }
        installation.serve_again().await?;
        stage = stage.at(installation.url())?;
        let maker = stage.reservations(&format!("grown-{entries}"));
        let series = Series::new(&installation, &maker, 200);
        report::print_head();
        let reserve = series.measure(connections, bench).await?;
        report::print_figures("reserve", &reserve);
        println!("read, beside reserve");
        let read = read::beside(&stage, &series, reserve.per_second, bench.span()).await?;
        read.iter().for_each(Reading::print);
        println!("first page, one question at a time");
        let lists = first_pages(&installation, &stage).await?;
        lists.iter().for_each(Reading::print);
        report.grow.push(Grown {
            entries,
            seeded_in_s,
            reserve,
            read,
            lists,
        });
    }
    report.note_memory("grow", installation.peak_memory());
    installation.remove().await?;
    partner.kill().await;
    Ok(())
}

async fn first_pages(
    installation: &Installation<'_>,
    stage: &Stage,
) -> anyhow::Result<Vec<Reading>> {
    let mut readings = Vec::new();
    for (of_partner, name, path) in lists() {
        let party = match of_partner {
            true => &stage.partner,
            false => &stage.clients[0],
        };
        let maker = |_: usize, into: &mut Vec<u8>| {
            party.read(path, into);
            Ok(())
        };
        let load = Load {
            magazine: Magazine::fill(0, LOOKS, &maker)?,
            connections: 1,
            expected: 200,
            repeats: false,
        };
        let address = installation.address()?;
        let runs = load::send(address, vec![load], Until::FirstIsDone).await?;
        readings.extend(runs.iter().map(|run| Reading::of(name, run)));
    }
    Ok(readings)
}
