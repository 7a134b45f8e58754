//! Figures for people and for programs, and what they are held against.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::Context;
use serde::Serialize;

use crate::{
    arguments::DatabaseKind,
    bare::Bare,
    machine::{Flush, Machine},
    pgbench::Compared,
    workload::{Drain, Grown, Hot, JUDGED, Listing, Overload, Reading, Settled, Staged},
};

/// The most memory that the server may take, in MiB.
const MEMORY_MAX_MIB: f64 = 300.0;

/// The size of the settlement by which the network is judged.
const JUDGED_TRANSFERS: usize = 50_000;

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
    pub(crate) allocate: Option<Figures>,
    pub(crate) hot: Option<Hot>,
    /// The same postings as in a settlement, without us.
    pub(crate) bare: Vec<Bare>,
    pub(crate) settle: Vec<Settled>,
    pub(crate) stage: Vec<Staged>,
    pub(crate) read: Vec<Reading>,
    pub(crate) grow: Vec<Grown>,
    /// Every list in each of its orders.
    pub(crate) lists: Vec<Listing>,
    pub(crate) overload: Option<Overload>,
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
    /// Allocations of memory in the server, if it counts them.
    pub(crate) allocations_each: Option<f64>,
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
            allocate: None,
            hot: None,
            bare: Vec::new(),
            settle: Vec::new(),
            stage: Vec::new(),
            read: Vec::new(),
            grow: Vec::new(),
            lists: Vec::new(),
            overload: None,
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
        if let Some(hot) = &self.hot {
            let (one, many) = (hot.one_account.per_second, hot.many_accounts.per_second);
            let what = format!("hot, of reserve with many accounts ({many:.0}/s)");
            targets.push(at_least(what, one / many, 0.8));
        }
        let bare = self.bare.iter().map(|bare| bare.transfers_per_second);
        let largest = self
            .settle
            .iter()
            .find(|settled| settled.transfers == JUDGED_TRANSFERS);
        if let (Some(settled), Some(bare)) = (largest, bare.reduce(f64::max)) {
            let what = format!(
                "settle at {JUDGED_TRANSFERS} transfers ({:.0}/s), of the bare database ({bare:.0}/s)",
                settled.transfers_per_second
            );
            targets.push(at_least(what, settled.transfers_per_second / bare, 0.6));
        }
        if let [small, .., large] = self.grow.as_slice() {
            targets.extend(judge_growth(small, large));
        }
        targets.extend(self.lists.iter().filter_map(judge_length));
        if let Some(overload) = &self.overload {
            targets.extend(judge_overload(overload));
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

fn judge_growth(small: &Grown, large: &Grown) -> Vec<Target> {
    let sizes = format!(
        "{} journal entries, of that at {}",
        large.entries, small.entries
    );
    let ratio = large.reserve.per_second / small.reserve.per_second;
    let mut targets = vec![at_least(format!("reserve at {sizes}"), ratio, 0.8)];
    for (before, after) in small.lists.iter().zip(&large.lists) {
        let ratio = f64::from(after.p50_us) / f64::from(before.p50_us.max(1));
        targets.push(Target {
            what: format!("time of the first page of {} at {sizes}", after.what),
            wanted: "at most 200 %".to_owned(),
            found: format!("{:.0} %", ratio * 100.0),
            met: ratio <= 2.0,
        });
    }
    targets
}

fn judge_length(list: &Listing) -> Option<Target> {
    let [short, .., long] = list.lengths.as_slice() else {
        return None;
    };
    let ratio = f64::from(long.first_page_us) / f64::from(short.first_page_us.max(1));
    Some(Target {
        what: format!(
            "time of the first page of {} with {} entries, of that with {}",
            list.what, long.entries, short.entries
        ),
        wanted: "at most 200 %".to_owned(),
        found: format!("{:.0} %", ratio * 100.0),
        met: ratio <= 2.0,
    })
}

fn judge_overload(overload: &Overload) -> Vec<Target> {
    let longest_ms = f64::from(overload.accepted_p99_us) / 1e3;
    let told = overload.refused_without_date == 0 && overload.failed.is_none();
    let recovered = overload.recovered_per_second / overload.carried_per_second;
    let [_, meanwhile, after] = overload.memory_mib;
    vec![
        Target {
            what: "p99 of what is accepted under overload".to_owned(),
            wanted: "at most 2000 ms".to_owned(),
            found: format!("{longest_ms:.0} ms"),
            met: longest_ms <= 2_000.0,
        },
        Target {
            what: "under overload only 200, and 503 with Retry-After".to_owned(),
            wanted: "nothing else".to_owned(),
            found: match told {
                true => "so it is",
                false => "others",
            }
            .to_owned(),
            met: told,
        },
        at_least(
            "rate after overload, of that before".to_owned(),
            recovered,
            0.8,
        ),
        Target {
            what: "memory at the end of overload, of that after a third".to_owned(),
            wanted: "at most 125 %".to_owned(),
            found: format!("{:.0} %", after / meanwhile.max(1.0) * 100.0),
            met: after <= meanwhile * 1.25,
        },
    ]
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
    if let Some(allocations) = figures.allocations_each {
        println!("{:<20}{allocations:.0} allocations of memory for each", "");
    }
}
