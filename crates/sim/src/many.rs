//! Many runs at once, each in a thread of its own.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rules::planted::Fault;

use crate::{Verdict, run};

/// What came of many runs.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many runs there were.
    pub runs: u64,
    /// How many requests were made of the network in all of them.
    pub operations: u64,
    /// How many batches were committed.
    pub commits: u64,
    /// The full names of the types of all commands that were accepted.
    pub accepted: BTreeSet<&'static str>,
    /// How long it took.
    pub took: Duration,
    /// The first runs in which a law did not hold.
    pub failed: Vec<Verdict>,
}

impl Tally {
    /// How many requests were made of the network in a second.
    pub fn operations_per_second(&self) -> u64 {
        let millis = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX);
        self.operations.saturating_mul(1_000) / millis.max(1)
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} seeds, {} operations, {} commits in {:.1} s: {} simulated operations/s",
            self.runs,
            self.operations,
            self.commits,
            self.took.as_secs_f64(),
            self.operations_per_second()
        )?;
        for Verdict {
            seed, violation, ..
        } in &self.failed
        {
            let violation = violation.iter().map(ToString::to_string);
            let violation: String = violation.collect();
            write!(
                f,
                "\nseed {seed} breaks a law: {violation}\n  replay: cargo run --release -p sim -- replay {seed}"
            )?;
        }
        Ok(())
    }
}

/// Runs these seeds in as many threads as the machine has processors, until all are done or one
/// has failed or the time is over.
///
/// # Errors
///
/// When a run could not even be set up.
pub fn run_many(
    seeds: impl Iterator<Item = u64> + Send,
    fault: Option<Fault>,
    end: Option<Instant>,
) -> anyhow::Result<Tally> {
    let begun = Instant::now();
    let seeds = Mutex::new(seeds);
    let tally = Mutex::new(Tally::default());
    let is_over = AtomicBool::new(false);
    let work = || -> anyhow::Result<()> {
        while !is_over.load(Ordering::Relaxed) && end.is_none_or(|end| Instant::now() < end) {
            let seed = seeds.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(seed) = seed else { break };
            let verdict = run(seed, fault, false)?;
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.runs += 1;
            tally.operations += verdict.operations;
            tally.commits += verdict.commits;
            tally.accepted.extend(&verdict.accepted);
            if verdict.violation.is_some() {
                is_over.store(true, Ordering::Relaxed);
                tally.failed.push(verdict);
            }
        }
        Ok(())
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| {
            let done = worker.join();
            done.unwrap_or_else(|_| Err(anyhow::anyhow!("a run panicked")))
        })
    })?;
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    tally.failed.sort_by_key(|verdict| verdict.seed);
    tally.took = begun.elapsed();
    Ok(tally)
}
