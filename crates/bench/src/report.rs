//! Figures for people and for programs, and what they are held against.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context;
use serde::Serialize;

use crate::{
    arguments::DatabaseKind,
    machine::{Flush, Machine},
    pgbench::Compared,
    workload::{Drain, JUDGED},
};

/// The most memory that the server may take, in MiB.
const MEMORY_MAX_MIB: f64 = 300.0;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) databases: Vec<DatabaseReport>,
}

/// What was measured on one database.
#[derive(Debug, Serialize)]
pub(crate) struct DatabaseReport {
    pub(crate) kind: DatabaseKind,
    pub(crate) version: String,
    pub(crate) durability: String,
    /// The disk, just before.
    pub(crate) flush: Option<Flush>,
    /// Signed requests without a commit.
    pub(crate) ceiling: Option<Figures>,
    pub(crate) reserve: Vec<Figures>,
    pub(crate) drains: Vec<Drain>,
    pub(crate) pgbench: Option<Compared>,
    /// The most memory that the server has had, by workload, in MiB.
    pub(crate) memory_mib: BTreeMap<String, f64>,
    pub(crate) targets: Vec<Target>,
}

/// One kind of request: of several runs the one in the middle.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) connections: usize,
    pub(crate) span_s: f64,
    pub(crate) operations: usize,
    pub(crate) per_second: f64,
    pub(crate) slowest_run: f64,
    pub(crate) fastest_run: f64,
    pub(crate) p50_us: u32,
    pub(crate) p99_us: u32,
    pub(crate) p999_us: u32,
    /// Time on the processor for each operation.
    pub(crate) server_us: Option<f64>,
    pub(crate) database_us: Option<f64>,
    pub(crate) generator_us: Option<f64>,
    pub(crate) commits_each: f64,
    pub(crate) flushes_each: f64,
}

/// Something that was to be reached.
#[derive(Debug, Serialize)]
pub(crate) struct Target {
    pub(crate) what: String,
    pub(crate) wanted: String,
    pub(crate) found: String,
    pub(crate) met: bool,
}

impl Figures {
    /// The run in the middle by its rate, with the slowest and the fastest beside it.
    pub(crate) fn median(mut runs: Vec<Figures>) -> Figures {
        runs.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        let slowest_run = runs.first().map_or(0.0, |run| run.per_second);
        let fastest_run = runs.last().map_or(0.0, |run| run.per_second);
        let middle = runs.swap_remove(runs.len() / 2);
        Figures {
            slowest_run,
            fastest_run,
            ..middle
        }
    }
}

impl DatabaseReport {
    pub(crate) fn of(kind: DatabaseKind) -> DatabaseReport {
        DatabaseReport {
            kind,
            version: String::new(),
            durability: String::new(),
            flush: None,
            ceiling: None,
            reserve: Vec::new(),
            drains: Vec::new(),
            pgbench: None,
            memory_mib: BTreeMap::new(),
            targets: Vec::new(),
        }
    }

    pub(crate) fn note_memory(&mut self, workload: &str, bytes: Option<u64>) {
        if let Some(bytes) = bytes {
            let mib = bytes as f64 / (1024.0 * 1024.0);
            println!("memory of the server, at the most: {mib:.0} MiB");
            self.memory_mib.insert(workload.to_owned(), mib);
        }
    }

    fn judged(&self) -> Option<&Figures> {
        self.reserve.iter().find(|run| run.connections == JUDGED)
    }

    /// Holds the figures against what was to be reached, as far as they were measured.
    pub(crate) fn judge(&mut self) {
        let mut targets = Vec::new();
        if let (Some(reserve), Some(ceiling), Some(flush)) =
            (self.judged(), &self.ceiling, self.flush)
        {
            let by_flush = JUDGED as f64 * 1e6 / (2.0 * f64::from(flush.p50_us.max(1)));
            let least = ceiling.per_second.min(by_flush);
            let wanted = match self.kind {
                DatabaseKind::Sqlite => 0.6,
                DatabaseKind::Postgres => 0.4,
            };
            let what = format!(
                "reserve at {JUDGED} connections, of the lesser of {:.0}/s without a commit and {by_flush:.0}/s by the flush",
                ceiling.per_second
            );
            targets.push(at_least(what, reserve.per_second / least, wanted));
            let p99_max = 6.0 * f64::from(flush.p99_us) / 1e3 + 10.0;
            let p99 = f64::from(reserve.p99_us) / 1e3;
            targets.push(Target {
                what: format!("p99 of reserve at {JUDGED} connections"),
                wanted: format!("at most {p99_max:.1} ms"),
                found: format!("{p99:.1} ms"),
                met: p99 <= p99_max,
            });
        }
        if let (Some(reserve), Some(pgbench)) = (self.judged(), self.pgbench) {
            let what = format!("reserve, of pgbench ({:.0}/s)", pgbench.per_second);
            targets.push(at_least(what, reserve.per_second / pgbench.per_second, 1.0));
        }
        if let Some(most) = self.memory_mib.values().copied().reduce(f64::max) {
            targets.push(Target {
                what: "memory of the server".to_owned(),
                wanted: format!("at most {MEMORY_MAX_MIB} MiB"),
                found: format!("{most:.0} MiB"),
                met: most <= MEMORY_MAX_MIB,
            });
        }
        self.targets = targets;
    }
}

fn at_least(what: String, ratio: f64, wanted: f64) -> Target {
    Target {
        what,
        wanted: format!("at least {:.0} %", wanted * 100.0),
        found: format!("{:.0} %", ratio * 100.0),
        met: ratio >= wanted,
    }
}

impl Report {
    pub(crate) fn print_targets(&self) {
        for database in &self.databases {
            println!("\n== targets on {}", database.kind.name());
            for target in &database.targets {
                let met = match target.met {
                    true => "met    ",
                    false => "NOT MET",
                };
                let Target {
                    what,
                    wanted,
                    found,
                    ..
                } = target;
                println!("{met} {found:>10}  ({wanted})  {what}");
            }
        }
    }

    /// Writes everything as JSON.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))
    }
}

/// The names of the columns of [`print_figures`].
pub(crate) fn print_head() {
    println!(
        "\n{:<20}{:>6}{:>9}{:>16}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>10}{:>10}",
        "",
        "conns",
        "op/s",
        "slowest–fastest",
        "p50 ms",
        "p99 ms",
        "p99.9",
        "server",
        "database",
        "load",
        "op/commit",
        "flush/op"
    );
}

/// One row: rates, latencies, microseconds on the processor per operation.
pub(crate) fn print_figures(name: &str, figures: &Figures) {
    let ms = |us: u32| format!("{:.2}", f64::from(us) / 1e3);
    let time = |us: Option<f64>| us.map_or_else(|| "-".to_owned(), |us| format!("{us:.1}µs"));
    let per_commit = match figures.commits_each > 0.0 {
        true => format!("{:.1}", 1.0 / figures.commits_each),
        false => "-".to_owned(),
    };
    println!(
        "{name:<20}{:>6}{:>9.0}{:>16}{:>9}{:>9}{:>9}{:>9}{:>9}{:>9}{:>10}{:>10.3}",
        figures.connections,
        figures.per_second,
        format!("{:.0}–{:.0}", figures.slowest_run, figures.fastest_run),
        ms(figures.p50_us),
        ms(figures.p99_us),
        ms(figures.p999_us),
        time(figures.server_us),
        time(figures.database_us),
        time(figures.generator_us),
        per_commit,
        figures.flushes_each,
    );
}
