//! The second ceiling: the bare database writing the same postings without us.
//!
//! For each transfer one row with a unique identifier and one posting, and two balances that
//! change, in groups of a hundred, a thousand and ten thousand with one durable commit each. The
//! accounts are as many as in the workload, one side of every transfer being one of a few, as a
//! settlement's partner is. Everything is drawn before the clock runs; statements are prepared;
//! nothing is read, decided, hashed, signed or sent. Amounts have the form of the network's own.

mod postgres;
mod sqlite;

use std::time::Instant;

use serde::Serialize;
use uuid::Uuid;

use crate::workload::Ground;

/// How many accounts are the other side of all transfers.
const HUBS: usize = 50;

/// What the bare database did in groups of one size.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Bare {
    pub(crate) group: usize,
    pub(crate) transfers_per_second: f64,
}

/// One transfer: its own identifier, and the numbers of its accounts.
struct Transfer {
    id: Uuid,
    source: i64,
    destination: i64,
}

/// Measures the database of the ground with so many accounts.
pub(crate) async fn measure(ground: &Ground<'_>, accounts: usize) -> anyhow::Result<Vec<Bare>> {
    let (groups, transfers): (&[usize], usize) = match ground.bench.quick {
        true => (&[10, 100], 1_000),
        false => (&[100, 1_000, 10_000], 200_000),
    };
    println!("\nbare database, {accounts} accounts");
    let mut measured = Vec::new();
    for group in groups {
        // Small groups are bound by the flush: fewer of them show it as well.
        let count = transfers.min(group * 1_000);
        let drawn = draw(accounts, count);
        let groups: Vec<&[Transfer]> = drawn.chunks(*group).collect();
        let span = match ground.cluster {
            Some(cluster) => postgres::write(cluster, accounts, &groups).await?,
            None => sqlite::write(&ground.folder, accounts, &groups)?,
        };
        measured.push(Bare {
            group: *group,
            transfers_per_second: count as f64 / span.as_secs_f64(),
        });
    }
    Ok(measured)
}

/// Transfers over all accounts in turn, in a scattered order.
fn draw(accounts: usize, count: usize) -> Vec<Transfer> {
    let number = |account: usize| i64::try_from(account).unwrap_or_default();
    (0..count)
        .map(|index| Transfer {
            id: Uuid::now_v7(),
            // A prime far from any number of accounts visits all of them.
            source: number(index.wrapping_mul(7_919) % accounts),
            destination: number(accounts + index % HUBS),
        })
        .collect()
}

impl Bare {
    pub(crate) fn print(&self) {
        println!(
            "groups of {:<8}{:>12.0} transfers/s",
            self.group, self.transfers_per_second
        );
    }
}

/// Runs and times something.
fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<std::time::Duration, E> {
    let begin = Instant::now();
    work()?;
    Ok(begin.elapsed())
}
