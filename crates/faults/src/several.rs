//! Several servers share one PostgreSQL: the books are one, every partner is told everything, and
//! once; and one of the servers may die without the others missing anything.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::acknowledgements::{Acknowledgements, Outcome, Work};
use crate::audit::{Audit, verify};
use crate::load::Load;
use crate::world::{Plan, World};

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The `tidelock` program.
    pub program: PathBuf,
    /// The database, empty, as the configuration has it.
    pub database: String,
    /// How many servers there are.
    pub servers: usize,
    /// How many ask at the same time on each connection.
    pub workers: usize,
    /// How long the load runs without a fault.
    pub load: Duration,
    /// Whether the last server is then killed.
    pub kill: bool,
    /// Where the log of acknowledgements is kept.
    pub log: PathBuf,
}

/// What was done.
#[derive(Debug)]
pub struct Report {
    /// How many servers there were.
    pub servers: usize,
    /// How many operations were acknowledged without a fault, and in what time.
    pub operations: (usize, Duration),
    /// How many messages partners acknowledged until then, each counted once.
    pub messages: usize,
    /// How many of them were said more than once.
    pub doubled: usize,
    /// The longest time between two acknowledgements after one server was killed.
    pub without_service: Option<Duration>,
    /// What `tidelock verify` said.
    pub verified: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operations, elapsed) = self.operations;
        writeln!(
            f,
            "{} servers: {operations} operations in {elapsed:.1?}, {:.0}/s",
            self.servers,
            operations as f64 / elapsed.as_secs_f64()
        )?;
        writeln!(
            f,
            "{} messages to partners, none lost, {} said more than once",
            self.messages, self.doubled
        )?;
        if let Some(gap) = self.without_service {
            writeln!(
                f,
                "one of them killed: {gap:.2?} without an acknowledgement"
            )?;
        }
        write!(f, "{}", self.verified.trim_end())
    }
}

/// Runs the servers under load and checks the books and what partners were told.
///
/// # Errors
///
/// The first thing that is not as it should be.
pub async fn run(settings: &Settings) -> anyhow::Result<Report> {
    let mut world = World::make(Plan {
        program: settings.program.clone(),
        database: settings.database.clone(),
        servers: settings.servers,
        venue: false,
        clients: 4,
        // A lease that runs out while the machine is busy would have a message said twice, and one
        // of a server that was killed has to run out before anybody else takes over.
        lease: 10,
        database_time_limit: 30,
        environment: Vec::new(),
    })
    .await?;
    let log = Arc::new(Acknowledgements::keep(&settings.log)?);
    let mut load = Load::start(&world, &log, settings.workers)?;
    let mut audit = Audit::default();
    let began = Instant::now();
    load.resume();
    tokio::time::sleep(settings.load).await;
    let operations = (log.answered_count(), began.elapsed());
    load.pause().await?;
    audit.check(&world, &log).await?;
    let (messages, doubled) = messages(&world, &log).await?;

    let mut without_service = None;
    if settings.kill {
        let last = settings.servers - 1;
        log.watch_gaps();
        load.resume();
        tokio::time::sleep(settings.load / 4).await;
        world.servers[last].kill().await?;
        tokio::time::sleep(settings.load / 4).await;
        without_service = Some(log.longest_gap());
        // Whoever asked there needs it back to get an answer.
        world.servers[last].restart().await?;
        load.pause().await?;
        audit
            .check(&world, &log)
            .await
            .context("after one was killed")?;
    }
    audit.check_all_records(&world).await?;
    load.stop().await?;
    for server in &mut world.servers {
        server.stop().await?;
    }
    Ok(Report {
        servers: settings.servers,
        operations,
        messages,
        doubled,
        without_service,
        verified: verify(&world).await?,
    })
}

/// How many messages partners have acknowledged, and how many of them more than once. Every
/// record that was cleared has to be among them.
async fn messages(world: &World, log: &Acknowledgements) -> anyhow::Result<(usize, usize)> {
    let mut told: BTreeMap<(String, String), u32> = BTreeMap::new();
    for partner in &world.partners {
        told.extend(partner.way.told());
    }
    for entry in log.since(0) {
        let noun = match entry.work {
            Work::Allocate { .. } => "allocation",
            Work::Deallocate { .. } => "deallocation",
            _ => continue,
        };
        if let Some(Outcome::Cleared(id)) = entry.outcome {
            let call = (format!("{noun}/clear"), id.to_string());
            ensure!(
                told.contains_key(&call),
                "{}: its partner was not told",
                entry.id
            );
        }
    }
    let doubled = told.values().filter(|count| **count > 1).count();
    Ok((told.len(), doubled))
}
