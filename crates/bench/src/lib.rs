//! `tidelock bench`: what the network does in a second, and what it costs.
//!
//! Everything runs as in production: `tidelock serve` in a process of its own on a new
//! installation, with real HTTP over loopback, a database that flushes, its request log on. This
//! process is the load generator; the partner is another one. Beside every figure stand two
//! ceilings of the same run: the server without a commit, and the database without the server.
//!
//! | module | lives here |
//! |---|---|
//! | [`arguments`] | what is measured, how long, on what |
//! | [`machine`] | what it runs on: processor, memory, the flush of the disk |
//! | [`process`] | processes that are started and watched: their time, their memory |
//! | [`cluster`] | a throw-away PostgreSQL that flushes |
//! | [`installation`] | a new network with its server |
//! | [`stage`] | enterprises, keys, connections and money, so that load can be made |
//! | [`partner`] | the partner that keeps everybody waiting |
//! | [`exchange`] | the simulated exchange |
//! | [`load`] | requests that were signed ahead, sent over many connections and timed |
//! | [`workload`] | one module per workload |
//! | [`bare`] | the same postings by the bare database |
//! | [`pgbench`] | the same kind of work by `pgbench`, on the same cluster |
//! | [`report`] | figures for people and for programs |
//!
//! Never here: rules, SQL about the network's own records. It knows the network by its wire, but
//! for what it counts in the chain of commits.

mod arguments;
mod bare;
mod cluster;
mod exchange;
mod installation;
mod load;
mod machine;
mod partner;
mod pgbench;
mod process;
mod report;
mod stage;
mod workload;

use std::process::ExitCode;

use anyhow::bail;

pub use arguments::Bench;
pub use partner::Partner;

impl Bench {
    /// Measures, and prints what was measured.
    ///
    /// # Errors
    ///
    /// What cannot be started or answers otherwise than expected: a figure that was measured on
    /// refusals would be worse than none.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let measuring = workload::measure(&self);
        // Whatever was started ends when the future is dropped.
        tokio::select! {
            report = measuring => {
                let report = report?;
                match self.quick {
                    true => println!("\nquick: it works; the figures say nothing"),
                    false => report.print_targets(),
                }
                if let Some(file) = &self.json {
                    report.write(file)?;
                }
                Ok(ExitCode::SUCCESS)
            }
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        }
    }
}
