//! The command line of the simulator.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Parser, Subcommand};
use rules::planted::Fault;
use sim::{Tally, run, run_many};

/// Simulates the network with everything around it failing: one seed is one run.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs so many seeds.
    Run {
        /// How many.
        #[arg(default_value_t = 1_000)]
        seeds: u64,
        /// The first of them.
        #[arg(long, default_value_t = 0)]
        first: u64,
        /// A fault that is planted in the network, by its name.
        #[arg(long)]
        fault: Option<String>,
    },
    /// Runs seed after seed for a while.
    Soak {
        /// How long.
        #[arg(long, default_value_t = 600)]
        seconds: u64,
        /// The first seed; by default another one every time.
        #[arg(long)]
        first: Option<u64>,
    },
    /// Runs one seed and tells all that happens.
    Replay {
        /// Which.
        seed: u64,
        /// A fault that is planted in the network, by its name.
        #[arg(long)]
        fault: Option<String>,
    },
}

fn fault_named(name: Option<&str>) -> anyhow::Result<Option<Fault>> {
    let Some(name) = name else { return Ok(None) };
    let named = Fault::ALL
        .into_iter()
        .find(|fault| format!("{fault:?}") == name);
    match named {
        Some(fault) => Ok(Some(fault)),
        None => anyhow::bail!(
            "there is no planted fault {name}; there are {:?}",
            Fault::ALL
        ),
    }
}

fn told(tally: &Tally) -> ExitCode {
    println!("{tally}");
    match tally.failed.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Run {
            seeds,
            first,
            fault,
        } => {
            let fault = fault_named(fault.as_deref())?;
            let seeds = first..first.saturating_add(seeds);
            Ok(told(&run_many(seeds, fault, None)?))
        }
        Command::Soak { seconds, first } => {
            let first = first.unwrap_or_else(rand::random::<u64>);
            println!("from seed {first}");
            let end = Instant::now() + Duration::from_secs(seconds);
            Ok(told(&run_many(first..=u64::MAX, None, Some(end))?))
        }
        Command::Replay { seed, fault } => {
            let verdict = run(seed, fault_named(fault.as_deref())?, true)?;
            for line in &verdict.lines {
                println!("{line}");
            }
            println!("fingerprint {:016x}", verdict.fingerprint);
            match verdict.violation {
                None => {
                    println!("all laws held");
                    Ok(ExitCode::SUCCESS)
                }
                Some(violation) => {
                    println!("seed {seed} breaks a law: {violation}");
                    Ok(ExitCode::FAILURE)
                }
            }
        }
    }
}
