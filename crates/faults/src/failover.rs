//! The primary of PostgreSQL dies under load, its synchronous standby takes its place, and the old
//! one comes back without knowing: nothing acknowledged is lost, the service comes back by itself,
//! and the old primary acknowledges nothing.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use testkit::postgres::Server;
use testkit::postgres::server::Stop;

use crate::acknowledgements::Acknowledgements;
use crate::audit::{Audit, verify};
use crate::load::Load;
use crate::world::{Plan, World};

/// The name by which the primary knows its standby.
const STANDBY: &str = "second";

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The `tidelock` program.
    pub program: PathBuf,
    /// How long the load runs before and after.
    pub load: Duration,
    /// Whether the database servers flush, which only the loss of a whole machine asks for.
    pub flush: bool,
    /// Where the log of acknowledgements is kept.
    pub log: PathBuf,
}

/// What was done.
#[derive(Debug)]
pub struct Report {
    /// How long the promotion of the standby took.
    pub promotion: Duration,
    /// The longest time between two acknowledgements, from the death of the primary on.
    pub without_service: Duration,
    /// The same when the new primary restarts while the old one is back.
    pub beside_the_old_one: Duration,
    /// How many operations were acknowledged.
    pub operations: usize,
    /// How many of them were asked more than once.
    pub repeated: usize,
    /// What `tidelock verify` said of the new primary.
    pub verified: String,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            promotion,
            without_service,
            beside_the_old_one,
            operations,
            repeated,
            verified,
        } = self;
        writeln!(
            f,
            "primary killed: {without_service:.2?} without service, of which the promotion took {promotion:.2?}"
        )?;
        writeln!(
            f,
            "new primary restarted beside the old one: {beside_the_old_one:.2?} without service"
        )?;
        writeln!(
            f,
            "{operations} operations acknowledged, {repeated} of them after repeating; all there, once"
        )?;
        write!(f, "{}", verified.trim_end())
    }
}

/// Lets the primary die and be replaced.
///
/// # Errors
///
/// The first thing that is not as it should be.
pub async fn run(settings: &Settings) -> anyhow::Result<Report> {
    let flush = ["fsync = off", "full_page_writes = off"];
    let primary = Server::start(if settings.flush { &[] } else { &flush });
    let standby = Server::standby_of(&primary, STANDBY);
    let names = format!("synchronous_standby_names = '{STANDBY}'");
    primary.configure(&[&names]);
    primary.reload();
    let url = format!(
        "postgres://postgres@{},{}/postgres",
        primary.host(),
        standby.host()
    );
    is_synchronous(&primary).await?;

    let mut world = World::make(Plan {
        program: settings.program.clone(),
        database: url,
        servers: 1,
        venue: false,
        clients: 4,
        lease: 2,
        database_time_limit: 2,
        environment: Vec::new(),
    })
    .await?;
    let log = Arc::new(Acknowledgements::keep(&settings.log)?);
    let mut load = Load::start(&world, &log, 1)?;
    let mut audit = Audit::default();

    load.resume();
    goes_on(&mut load, &log, settings.load).await?;
    log.watch_gaps();
    primary.kill();
    let began = Instant::now();
    standby.promote();
    let promotion = began.elapsed();
    goes_on(&mut load, &log, settings.load).await?;
    let without_service = log.longest_gap();
    load.pause().await?;
    audit
        .check(&world, &log)
        .await
        .context("after the failover")?;

    // The old one comes back as what it was. Its standby is gone, so it finishes no commit; a
    // server that starts now, and one that loses its connection, meet it first.
    primary.start_again();
    world.servers[0].stop().await?;
    world.servers[0].restart().await?;
    load.resume();
    goes_on(&mut load, &log, settings.load).await?;
    log.watch_gaps();
    standby.stop(Stop::Fast);
    standby.start_again();
    goes_on(&mut load, &log, settings.load).await?;
    let beside_the_old_one = log.longest_gap();
    load.pause().await?;
    audit
        .check(&world, &log)
        .await
        .context("beside the old primary")?;
    audit.check_all_records(&world).await?;
    ensure!(
        last_commit(&primary).await? < last_commit(&standby).await?,
        "the old primary went on"
    );

    load.stop().await?;
    world.servers[0].stop().await?;
    primary.stop(Stop::Immediate);
    Ok(Report {
        promotion,
        without_service,
        beside_the_old_one,
        operations: log.answered_count(),
        repeated: log.repeated_count(),
        verified: verify(&world).await?,
    })
}

/// Waits until acknowledgements have come for that long.
async fn goes_on(load: &mut Load, log: &Acknowledgements, enough: Duration) -> anyhow::Result<()> {
    let before = log.answered_count();
    crate::eventually("the service is back", async || {
        match log.answered_count() > before + 20 {
            true => Ok(()),
            false => bail!("no more than {before} operations were acknowledged"),
        }
    })
    .await?;
    tokio::time::sleep(enough).await;
    load.check()
}

async fn is_synchronous(primary: &Server) -> anyhow::Result<()> {
    let sql = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
    crate::eventually(
        "the standby is synchronous",
        async || match testkit::postgres::number(&primary.url(), sql).await {
            1 => Ok(()),
            others => bail!("{others} standbys are"),
        },
    )
    .await
}

async fn last_commit(server: &Server) -> anyhow::Result<i64> {
    let sql = "SELECT sequence FROM chain_heads";
    Ok(testkit::postgres::number(&server.url(), sql).await)
}
