//! `grow`: how cost grows with the books.
//!
//! Books of ten thousand, a million and ten million journal entries are written in bulk (the
//! server is not running meanwhile); at each size `reserve`, `read` and the first page of every
//! list are measured.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde::Serialize;

use crate::{
    installation::Installation,
    load::{self, Load, Magazine, Until},
    partner::StallingPartner,
    report::{self, DatabaseReport, Figures},
    stage::{Plan, Stage, request, ticker},
    workload::{
        CONNECTIONS_PER_ACCOUNT, Ground,
        read::{self, Reading},
        series::Series,
    },
};

/// How often each list is asked for, one at a time; and how often if nothing is measured.
const LOOKS: usize = 200;
const QUICK_LOOKS: usize = 20;

/// How long a list is asked for, even if it was not asked that often then.
const AT_MOST: Duration = Duration::from_secs(20);

/// Of so many movements one is a settlement, all others are allocations.
const SETTLEMENT_EACH: usize = 10;

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

/// Whose list it is.
#[derive(Clone, Copy)]
enum Whose {
    Client,
    Partner,
    Operator,
}

/// Who asks for a list, what it is called, and its path.
fn lists() -> Vec<(Whose, &'static str, &'static str)> {
    use Whose::{Client, Operator, Partner};
    vec![
        (Client, "client balances", "/clients/balances"),
        (Client, "client connections", "/clients/connections"),
        (Client, "client allocations", "/clients/allocations"),
        (Client, "client settlements", "/clients/settlements"),
        (Client, "client transfers", "/clients/settlementTransfers"),
        (Client, "partners", "/partners"),
        (Partner, "partner balances", "/partners/balances"),
        (Partner, "partner connections", "/partners/connections"),
        (Partner, "partner allocations", "/partners/allocations"),
        (Partner, "partner settlements", "/partners/settlements"),
        (Operator, "holds", "/holds"),
        (Operator, "deposits", "/deposits"),
        (Operator, "enterprises", "/enterprises"),
        (Operator, "operators' acts", "/acts"),
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
        let pattern = store::Pattern {
            currencies: vec![ticker(0).parse()?],
            settlement_each: SETTLEMENT_EACH,
            transfers: 1,
        };
        store::seed(&installation.location()?, &pattern, entries).await?;
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
        let looks = if bench.quick { QUICK_LOOKS } else { LOOKS };
        let lists = first_pages(looks, &installation, &stage).await?;
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
    looks: usize,
    installation: &Installation<'_>,
    stage: &Stage,
) -> anyhow::Result<Vec<Reading>> {
    let mut readings = Vec::new();
    for (whose, name, path) in lists() {
        let maker = |_: usize, into: &mut Vec<u8>| {
            match whose {
                Whose::Client => stage.clients[0].read(path, into),
                Whose::Partner => stage.partner.read(path, into),
                Whose::Operator => {
                    let path = format!("/api/operator/v1{path}");
                    request(&installation.operator_token, "GET", &path, &[], into);
                }
            }
            Ok(())
        };
        let load = Load {
            magazine: Magazine::fill(0, looks, &maker)?,
            connections: 1,
            expected: 200,
            repeats: false,
        };
        let address = installation.address()?;
        let runs = load::send(address, vec![load], Until::FirstIsDone(AT_MOST)).await?;
        readings.extend(runs.iter().map(|run| Reading::of(name, run)));
    }
    Ok(readings)
}
