//! What is measured, how long, and on what.

use std::{path::PathBuf, time::Duration};

use clap::ValueEnum;
use serde::Serialize;

/// Measure the network beside the ceilings of the machine
#[derive(clap::Args, Clone, Debug)]
pub struct Bench {
    /// What to measure; everything if nothing is named
    #[arg(value_enum)]
    pub(crate) workloads: Vec<Workload>,

    /// On which database
    #[arg(long, value_enum, default_value = "both")]
    pub(crate) database: Databases,

    /// Connections of the load generator, each with one request at a time; several with commas
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64, 256])]
    connections: Vec<usize>,

    /// Sizes of the books for `grow`, in journal entries, smallest first
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 1_000_000, 10_000_000])]
    entries: Vec<i64>,

    /// Length of one run in seconds
    #[arg(long, default_value_t = 10)]
    seconds: u64,

    /// Runs of each measurement, after a warm-up; the median is told
    #[arg(long, default_value_t = 3)]
    runs: usize,

    /// Everything small: shows that it works, measures nothing
    #[arg(long)]
    pub(crate) quick: bool,

    /// Folder below which installations and clusters are made: the disk that is measured
    #[arg(long)]
    data: Option<PathBuf>,

    /// Writes all figures to this file as JSON
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,

    /// PostgreSQL that is there already, as a superuser on a database for maintenance, instead of
    /// a throw-away cluster
    #[arg(long)]
    pub(crate) postgres: Option<String>,

    /// Folder with initdb, postgres and pgbench; the newest that is found if left out
    #[arg(long)]
    pub(crate) postgres_programs: Option<PathBuf>,
}

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Workload {
    /// Signed allocations that are durably reserved; the partner keeps everybody waiting
    Reserve,
    /// Complete allocations through the simulated exchange
    Allocate,
    /// Reservations from a single Go Account
    Hot,
    /// Settlements of 10, 1 000 and 50 000 transfers
    Settle,
    /// Settlements with a dispute window, staged and then executed, of the same sizes
    Stage,
    /// Balances and lists while reservations are made
    Read,
    /// How cost grows with the books, up to ten million journal entries
    Grow,
    /// Long lists in every order: with ten and a hundred thousand entries
    Lists,
    /// Four times the load that can be carried, for a minute
    Overload,
}

/// Which databases are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Databases {
    /// The embedded one
    Sqlite,
    /// PostgreSQL
    Postgres,
    /// One after the other
    Both,
}

impl Databases {
    pub(crate) fn kinds(self) -> &'static [DatabaseKind] {
        match self {
            Databases::Sqlite => &[DatabaseKind::Sqlite],
            Databases::Postgres => &[DatabaseKind::Postgres],
            Databases::Both => &[DatabaseKind::Sqlite, DatabaseKind::Postgres],
        }
    }
}

/// A database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DatabaseKind {
    Sqlite,
    Postgres,
}

impl DatabaseKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            DatabaseKind::Sqlite => "SQLite",
            DatabaseKind::Postgres => "PostgreSQL",
        }
    }
}

impl Bench {
    pub(crate) fn wants(&self, workload: Workload) -> bool {
        self.workloads.is_empty() || self.workloads.contains(&workload)
    }

    /// How many connections, in the order given.
    pub(crate) fn connections(&self) -> Vec<usize> {
        match self.quick {
            true => vec![8],
            false => self.connections.clone(),
        }
    }

    /// The length of one run.
    pub(crate) fn span(&self) -> Duration {
        match self.quick {
            true => Duration::from_secs(1),
            false => Duration::from_secs(self.seconds),
        }
    }

    /// The length of the warm-up before the runs.
    pub(crate) fn warm_up(&self) -> Duration {
        match self.quick {
            true => Duration::from_millis(300),
            false => Duration::from_secs(3),
        }
    }

    pub(crate) fn runs(&self) -> usize {
        match self.quick {
            true => 1,
            false => self.runs.max(1),
        }
    }

    /// The sizes of the books, in journal entries.
    pub(crate) fn sizes(&self) -> Vec<i64> {
        match self.quick {
            true => vec![500, 2_000],
            false => self.entries.clone(),
        }
    }

    /// Below which folder everything is made.
    pub(crate) fn folder(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(std::env::temp_dir)
    }
}
