//! Drives other ledgers in a closed loop: a number of clients, each of which sends its next
//! operation when the last one is on disk. Prints one line of JSON per run. `benches/peers/run`
//! starts the database, runs everything and prints the table.

mod cala;
mod closed_loop;
mod flush;
mod ours;
mod sqlx_transactions;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser};

#[derive(Parser)]
enum Command {
    /// How long a flush of 8 KiB takes on the disk under a folder
    Flush {
        folder: PathBuf,
        #[arg(long, default_value_t = 3)]
        seconds: u64,
    },
    /// Transfers through cala-ledger, each in a transaction of its own or in batches
    Cala {
        #[command(flatten)]
        load: Load,
        /// Transfers in one call
        #[arg(long, default_value_t = 1)]
        batch: usize,
    },
    /// The figures of one run of `tidelock bench`, out of the file that it wrote
    Ours { report: PathBuf, workload: String },
    /// Transfers in the obvious way: one sqlx transaction each, statement by statement
    Sqlx {
        #[command(flatten)]
        load: Load,
    },
}

#[derive(Args)]
struct Load {
    /// An empty database
    url: String,
    #[arg(long)]
    clients: u32,
    #[arg(long)]
    seconds: u64,
}

impl Load {
    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// How many accounts transfers go between, as in the functions for `pgbench`.
const ACCOUNTS: usize = 1_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let figures = match Command::parse() {
        Command::Flush { folder, seconds } => {
            flush::measure(&folder, Duration::from_secs(seconds))?
        }
        Command::Cala { load, batch } => cala::run(&load, batch).await?,
        Command::Ours { report, workload } => ours::figures(&report, &workload)?,
        Command::Sqlx { load } => sqlx_transactions::run(&load).await?,
    };
    println!("{figures}");
    Ok(())
}
