//! `lists`: how long lists take that are long, in every order.
//!
//! One client has ten thousand and then a hundred thousand allocations, and as many settlement
//! transfers; they are written in bulk. Every list is asked for in each of its orders with one
//! filter, which two of five entries pass: its first page and its hundredth.

use std::time::Duration;

use serde::Serialize;

use crate::{
    installation::Installation,
    load::{self, Load, Magazine, Until},
    partner::StallingPartner,
    report::DatabaseReport,
    stage::{Plan, Stage, ticker},
    workload::Ground,
};

/// How many entries the lists have, the shorter ones first; and if nothing is measured.
const LENGTHS: [i64; 2] = [10_000, 100_000];
const QUICK_LENGTHS: [i64; 2] = [100, 400];

/// How often each page is asked for, one at a time; and if nothing is measured.
const LOOKS: usize = 100;
const QUICK_LOOKS: usize = 5;

/// How long a page is asked for, even if it was not asked that often then.
const AT_MOST: Duration = Duration::from_secs(10);

/// In how many currencies the entries are. The filter is for two of them.
const CURRENCIES: usize = 5;

/// So many transfers has a settlement; for each there is an allocation.
const TRANSFERS: u32 = 10;

/// So many journal entries are made for ten allocations and a settlement.
const ENTRIES_OF_TEN: i64 = 21;

/// A list in one order, at two lengths.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Listing {
    pub(crate) what: String,
    pub(crate) lengths: Vec<Length>,
}

/// How long its pages take.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Length {
    pub(crate) entries: i64,
    pub(crate) first_page_us: u32,
    pub(crate) hundredth_page_us: u32,
}

/// Who asks for what.
struct Asked {
    of_partner: bool,
    what: String,
    path: String,
}

/// The lists, each in each of its orders.
fn lists(stage: &Stage) -> Vec<Asked> {
    let currencies = format!("currencies={},{}", ticker(0), ticker(1));
    let connection = stage.clients[0].connections[0];
    let connection = format!("partyConnectionIds={connection}");
    let list = |of_partner, path: &'static str, filter: &str, sorts: &[&'static str]| {
        let orders = sorts
            .iter()
            .flat_map(|sort| ["ASC", "DESC"].map(|way| (*sort, way)));
        let unsorted = [String::new(), "&sortDirection=DESC".to_owned()];
        let unsorted = unsorted
            .into_iter()
            .take(if sorts.is_empty() { 1 } else { 2 });
        let sorted = orders.map(|(sort, way)| format!("&sortField={sort}&sortDirection={way}"));
        let asked = unsorted.chain(sorted).map(|order| Asked {
            of_partner,
            what: format!(
                "{path}?{}{order}",
                filter.split('=').next().unwrap_or_default()
            ),
            path: format!("{path}?{filter}{order}"),
        });
        asked.collect::<Vec<_>>()
    };
    let of_client = ["id", "updatedAt", "quantity", "currency"];
    let of_partner = ["id", "updatedAt", "quantity"];
    [
        list(false, "/clients/allocations", &currencies, &of_client),
        list(true, "/partners/allocations", &currencies, &of_partner),
        list(
            false,
            "/clients/settlementTransfers",
            &currencies,
            &["updatedAt"],
        ),
        list(false, "/clients/settlements", &connection, &[]),
        list(true, "/partners/settlements", &connection, &[]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(crate) async fn measure(
    ground: &Ground<'_>,
    report: &mut DatabaseReport,
) -> anyhow::Result<()> {
    let quick = ground.bench.quick;
    let partner = StallingPartner::start(&ground.folder).await?;
    let mut installation = Installation::start(&ground.folder, ground.cluster).await?;
    let plan = Plan {
        currencies: CURRENCIES,
        client_currencies: CURRENCIES,
        ..Plan::with(partner.url())
    };
    let mut stage = Stage::set_up(&installation, &plan).await?;
    let pattern = store::Pattern {
        currencies: (0..CURRENCIES)
            .map(|number| ticker(number).parse())
            .collect::<Result<_, _>>()?,
        settlement_each: usize::try_from(TRANSFERS)? + 1,
        transfers: TRANSFERS,
    };
    let mut listings: Vec<Listing> = Vec::new();
    let lengths = if quick { QUICK_LENGTHS } else { LENGTHS };
    for entries in lengths {
        installation.stop().await;
        let journal = entries / 10 * ENTRIES_OF_TEN;
        store::seed(&installation.location()?, &pattern, journal).await?;
        installation.count_rows().await?;
        installation.serve_again().await?;
        stage = stage.at(installation.url())?;
        println!("\n{entries} allocations, and as many transfers in settlements: p50");
        for (number, asked) in lists(&stage).into_iter().enumerate() {
            let first_page_us = page(&installation, &stage, &asked, 0, quick).await?;
            let hundredth_page_us = page(&installation, &stage, &asked, 99, quick).await?;
            println!(
                "{:<72} first page {:>8.2} ms   page 100 {:>8.2} ms",
                asked.what,
                f64::from(first_page_us) / 1e3,
                f64::from(hundredth_page_us) / 1e3
            );
            if listings.len() == number {
                listings.push(Listing {
                    what: asked.what,
                    lengths: Vec::new(),
                });
            }
            listings[number].lengths.push(Length {
                entries,
                first_page_us,
                hundredth_page_us,
            });
        }
    }
    report.lists = listings;
    report.note_memory("lists", installation.peak_memory());
    installation.remove().await?;
    partner.kill().await;
    Ok(())
}

/// How long a page takes, half of the times it is asked for.
async fn page(
    installation: &Installation<'_>,
    stage: &Stage,
    asked: &Asked,
    number: usize,
    quick: bool,
) -> anyhow::Result<u32> {
    let party = match asked.of_partner {
        true => &stage.partner,
        false => &stage.clients[0],
    };
    let path = format!("{}&pageSize=25&pageNumber={number}", asked.path);
    let maker = |_: usize, into: &mut Vec<u8>| {
        party.read(&path, into);
        Ok(())
    };
    let load = Load {
        magazine: Magazine::fill(0, if quick { QUICK_LOOKS } else { LOOKS }, &maker)?,
        connections: 1,
        expected: 200,
        repeats: false,
    };
    let address = installation.address()?;
    let runs = load::send(address, vec![load], Until::FirstIsDone(AT_MOST)).await?;
    Ok(runs.iter().map(|run| run.latencies.percentile(50.0)).sum())
}
