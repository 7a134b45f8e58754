//! The workloads, one module each, and the order in which they are measured.

mod allocate;
mod ceiling;
mod grow;
mod hot;
mod lists;
mod overload;
mod read;
mod reserve;
mod series;
mod settle;
mod shape;
mod stage;

use std::path::PathBuf;

pub(crate) use grow::Grown;
pub(crate) use hot::Hot;
pub(crate) use lists::Listing;
pub(crate) use overload::Overload;
pub(crate) use read::Reading;
pub(crate) use reserve::Drain;
pub(crate) use settle::Settled;
pub(crate) use stage::Staged;

use crate::{
    arguments::{Bench, DatabaseKind, Workload},
    cluster::Cluster,
    machine::{self, Machine},
    pgbench,
    report::{DatabaseReport, Report},
};

/// How many connections share a Go Account.
const CONNECTIONS_PER_ACCOUNT: usize = 10;

/// The number of connections by which the network is judged.
pub(crate) const JUDGED: usize = 64;

/// What a workload is measured on.
pub(crate) struct Ground<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) folder: PathBuf,
    /// The PostgreSQL; none: SQLite.
    pub(crate) cluster: Option<&'a Cluster>,
}

impl Ground<'_> {
    /// The number of connections by which the network is judged; fewer if fewer are wanted.
    fn judged_connections(&self) -> usize {
        JUDGED.min(self.bench.connections().into_iter().max().unwrap_or(1))
    }
}

/// Measures everything that is wanted.
pub(crate) async fn measure(bench: &Bench) -> anyhow::Result<Report> {
    if cfg!(debug_assertions) && !bench.quick {
        println!("A debug build: its figures say nothing. Build with --release.\n");
    }
    let folder = bench.folder();
    std::fs::create_dir_all(&folder)?;
    let machine = Machine::look(&folder, bench.span().min(machine::LOOK))?;
    machine.print();
    let mut databases = Vec::new();
    for kind in bench.database.kinds() {
        databases.push(measure_on(bench, *kind).await?);
    }
    Ok(Report { machine, databases })
}

async fn measure_on(bench: &Bench, kind: DatabaseKind) -> anyhow::Result<DatabaseReport> {
    let folder = bench.folder();
    let programs = bench.postgres_programs.as_deref();
    let cluster = match (kind, &bench.postgres) {
        (DatabaseKind::Sqlite, _) => None,
        (DatabaseKind::Postgres, Some(url)) => Some(Cluster::at(url, programs)),
        (DatabaseKind::Postgres, None) => Some(Cluster::start(&folder, programs).await?),
    };
    let mut report = DatabaseReport::of(kind);
    println!("\n== {}", kind.name());
    match &cluster {
        Some(cluster) => {
            report.version = cluster.version().await?;
            report.durability = cluster.durability().await?;
        }
        None => {
            report.version = rusqlite::version().to_owned();
            report.durability = "journal_mode WAL, synchronous FULL".to_owned();
        }
    }
    println!("{} {}, {}", kind.name(), report.version, report.durability);
    report.flush = Some(machine::flush(&folder, bench.span().min(machine::LOOK))?);
    let ground = Ground {
        bench,
        folder,
        cluster: cluster.as_ref(),
    };
    if bench.wants(Workload::Reserve) {
        reserve::measure(&ground, &mut report).await?;
        if let Some(cluster) = &cluster {
            let compared = pgbench::compare(cluster, bench.span()).await?;
            println!(
                "pgbench, {} clients, one commit per transfer: {:.0}/s",
                compared.clients, compared.per_second
            );
            report.pgbench = Some(compared);
        }
    }
    if bench.wants(Workload::Allocate) {
        allocate::measure(&ground, &mut report).await?;
    }
    if bench.wants(Workload::Hot) {
        hot::measure(&ground, &mut report).await?;
    }
    if bench.wants(Workload::Settle) {
        settle::measure(&ground, &mut report).await?;
    }
    if bench.wants(Workload::Stage) {
        stage::measure(&ground, &mut report).await?;
    }
    if bench.wants(Workload::Read) {
        read::measure(&ground, &mut report).await?;
    }
    if bench.wants(Workload::Grow) {
        grow::measure(&ground, &mut report).await?;
    }
    if bench.wants(Workload::Lists) {
        lists::measure(&ground, &mut report).await?;
    }
    if bench.wants(Workload::Overload) {
        overload::measure(&ground, &mut report).await?;
    }
    report.judge();
    Ok(report)
}
