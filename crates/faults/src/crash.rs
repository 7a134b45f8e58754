//! The server dies over and over, at chosen moments and at any, and is started again each time.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rand::RngExt;
use testkit::postgres::Proxy;

use crate::acknowledgements::Acknowledgements;
use crate::audit::{Audit, verify};
use crate::load::Load;
use crate::moment::{Death, DiskKiller, Killer};
use crate::world::{Plan, World};

/// How long a chosen moment is waited for; then the server is killed at any.
const MOMENT_MAX: Duration = Duration::from_secs(2);

/// How long the load runs between a restart and the next death, at the most, in milliseconds.
const LIFE_MAX: u64 = 150;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The `tidelock` program.
    pub program: PathBuf,
    /// The database, empty, as the configuration has it.
    pub database: String,
    /// How often the server is killed.
    pub kills: u32,
    /// Where the log of acknowledgements is kept.
    pub log: PathBuf,
}

/// What was done.
#[derive(Debug)]
pub struct Report {
    /// How often it died in which way, and how often another moment was chosen that did not come.
    pub deaths: BTreeMap<String, u32>,
    /// How many operations were asked for and answered.
    pub operations: usize,
    /// How many of them were asked more than once.
    pub repeated: usize,
    /// The median and the longest time from a start to the first request that is taken.
    pub restarts: (Duration, Duration),
    /// From the first death to the last check.
    pub elapsed: Duration,
    /// What `tidelock verify` said.
    pub verified: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (death, count) in &self.deaths {
            writeln!(f, "{count:>5}  killed {death}")?;
        }
        let Report {
            operations,
            repeated,
            restarts: (median, longest),
            elapsed,
            ..
        } = self;
        writeln!(
            f,
            "{operations} operations acknowledged, {repeated} of them after repeating; all there, once"
        )?;
        writeln!(
            f,
            "restart: median {median:.1?}, longest {longest:.1?}; {elapsed:.0?} in all"
        )?;
        write!(f, "{}", self.verified.trim_end())
    }
}

/// Kills the server as often as wanted and checks the books against the log after each restart.
/// `tell` is told how far it is.
///
/// # Errors
///
/// The first thing that is not as it was acknowledged.
pub async fn run(settings: &Settings, tell: impl Fn(&str)) -> anyhow::Result<Report> {
    let (killer, database, environment) = match settings.database.starts_with("sqlite:") {
        true => {
            let disk = DiskKiller::compile()?;
            let environment = disk.environment();
            (Killer::Disk(disk), settings.database.clone(), environment)
        }
        false => {
            let proxy = Arc::new(Proxy::start(&settings.database).await);
            let way = proxy.url.clone();
            (Killer::Database(proxy), way, Vec::new())
        }
    };
    let mut world = World::make(Plan {
        program: settings.program.clone(),
        database,
        servers: 1,
        venue: true,
        clients: 4,
        lease: 1,
        database_time_limit: 30,
        environment,
    })
    .await?;
    let log = Arc::new(Acknowledgements::keep(&settings.log)?);
    let mut load = Load::start(&world, &log, 1)?;
    let mut audit = Audit::default();
    let mut deaths: BTreeMap<String, u32> = BTreeMap::new();
    let mut restarts = Vec::new();
    let began = Instant::now();
    for number in 1..=settings.kills {
        load.resume();
        let life = rand::rng().random_range(0..LIFE_MAX);
        tokio::time::sleep(Duration::from_millis(life)).await;
        let death = killer.choose();
        let came = die(&mut world, &killer, death).await?;
        let way = if came {
            death.to_string()
        } else {
            "at any time, for the chosen moment did not come".to_owned()
        };
        *deaths.entry(way).or_default() += 1;
        let started = Instant::now();
        world.servers[0]
            .restart()
            .await
            .with_context(|| format!("after death {number}, {death:?}"))?;
        restarts.push(started.elapsed());
        let checked = async {
            load.pause().await?;
            audit.check(&world, &log).await
        };
        checked
            .await
            .with_context(|| format!("after death {number}, {death:?}"))?;
        if number % 25 == 0 {
            let operations = log.count();
            tell(&format!("{number} deaths, {operations} operations"));
        }
    }
    audit.check_all_records(&world).await?;
    load.stop().await?;
    world.servers[0].stop().await?;
    let verified = verify(&world).await?;
    restarts.sort();
    Ok(Report {
        deaths,
        operations: log.answered_count(),
        repeated: log.repeated_count(),
        restarts: (
            restarts
                .get(restarts.len() / 2)
                .copied()
                .unwrap_or_default(),
            restarts.last().copied().unwrap_or_default(),
        ),
        elapsed: began.elapsed(),
        verified,
    })
}

/// Lets the server die; whether it did at the chosen moment.
async fn die(world: &mut World, killer: &Killer, death: Death) -> anyhow::Result<bool> {
    killer.arm(world, 0, death)?;
    let limit = match death {
        Death::AnyTime(limit) => limit,
        _ => MOMENT_MAX,
    };
    let died = world.servers[0].dies_within(limit).await?;
    if !died {
        world.servers[0].kill().await?;
    }
    killer.disarm(world)?;
    Ok(died || matches!(death, Death::AnyTime(_)))
}
