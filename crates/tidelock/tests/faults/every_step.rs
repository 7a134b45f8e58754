//! The server is killed (`kill -9`) at each step around a partner call, and started again: every
//! record reaches its right end, both books agree, nothing acknowledged is missing.
//!
//! Between the server and the simulated exchange stands a proxy that does the killing, so that
//! the moment is exact and not a matter of luck.

use anyhow::{Context, ensure};
use faults::acknowledgements::{Acknowledgements, Outcome, Work};
use faults::audit::{Audit, verify};
use faults::eventually;
use faults::partner_way::Moment;
use faults::world::{Plan, World};
use testkit::TestDatabase;
use wire::api::allocations::AcceptedAllocation::{self, Cleared, Reserved};
use wire::api::allocations::{AllocationStatus, NewAllocation};
use wire::api::quantity::ClientAmount;

/// The steps of one kind of record: hold → ask → clear → tell.
fn steps(reserve: &'static str) -> [(&'static str, &'static str, Moment); 6] {
    let held = "the hold is committed, the partner not asked yet";
    let taken = "the partner holds it, its answer is lost";
    let answered = "the partner has answered";
    let cleared = "it is cleared, the partner not told yet";
    let told = "the partner is told, its acknowledgement is lost";
    let acknowledged = "the partner has acknowledged";
    [
        (held, reserve, Moment::BeforeItArrives),
        (taken, reserve, Moment::BeforeItIsAnswered),
        (answered, reserve, Moment::AfterItIsAnswered),
        (cleared, "/clear", Moment::BeforeItArrives),
        (told, "/clear", Moment::BeforeItIsAnswered),
        (acknowledged, "/clear", Moment::AfterItIsAnswered),
    ]
}

/// A request, and its work for the log.
fn request(units: i128, back: bool, id: &str) -> anyhow::Result<(NewAllocation, Work)> {
    let content = NewAllocation {
        amount: ClientAmount {
            currency: "ofcbtc".parse()?,
            quantity: ledger::Amount::new(units).context("an amount")?,
        },
        client_external_id: id.to_owned(),
        nonce: client::fresh_nonce(),
        notes: None,
    };
    let (client, connection) = (0, 0);
    let work = match back {
        false => Work::Allocate {
            client,
            connection,
            units,
        },
        true => Work::Deallocate {
            client,
            connection,
            units,
        },
    };
    Ok((content, work))
}

fn outcome(accepted: &AcceptedAllocation) -> Outcome {
    match accepted {
        Cleared(record) => Outcome::Cleared(record.record.id),
        Reserved(record) => Outcome::Reserved(record.record.id),
    }
}

async fn killed_at_every_step(database: TestDatabase) -> anyhow::Result<()> {
    let mut world = World::make(Plan {
        program: crate::TIDELOCK.into(),
        database: database.url.clone(),
        servers: 1,
        venue: false,
        clients: 1,
        lease: 1,
        database_time_limit: 30,
        environment: Vec::new(),
    })
    .await?;
    let folder = tempfile::tempdir()?;
    let log = Acknowledgements::keep(&folder.path().join("log"))?;
    let mut audit = Audit::default();
    let connection = world.clients[0].connections[0].id;

    // Something acknowledged before, that has to be there ever after.
    let (content, work) = request(1_000, false, "before")?;
    let number = log.asked("before", work);
    let client = world.client(&world.clients[0], 0)?;
    let before = client.allocate(connection, content).await?;
    log.answered(number, outcome(&before.allocation));
    audit.check(&world, &log).await?;

    for (reserve, units, back) in [("/allocations", 100, false), ("/deallocations", 10, true)] {
        for (name, call, moment) in steps(reserve) {
            let id = format!("{reserve}: {name}");
            let (content, work) = request(units, back, &id)?;
            let number = log.asked(&id, work);
            let process = world.servers[0].id().context("the server runs")?;
            world.partners[0].way.arm(call, moment, process);
            let client = world.client(&world.clients[0], 0)?;
            let asked = tokio::spawn(async move {
                let accepted = match back {
                    false => client.allocate(connection, content).await?.allocation,
                    true => client.deallocate(connection, content).await?.deallocation,
                };
                Ok::<_, client::ClientError>(outcome(&accepted))
            });
            ensure!(
                world.servers[0].dies_within(faults::PATIENCE).await?,
                "{id}"
            );
            let acknowledged = asked.await?;
            world.partners[0].way.disarm();
            world.servers[0].restart().await?;

            // Nobody asks again: it comes to its end all the same.
            let record = eventually(&id, async || {
                let client = world.client(&world.clients[0], 0)?;
                let all = client.client_allocations(&Default::default()).await?;
                let mut all = all.allocations.into_iter();
                let record = all.find(|record| record.record.client_external_id == id);
                let record = record.context("it is there")?;
                ensure!(record.status != AllocationStatus::Reserved, "reserved");
                Ok(record)
            })
            .await?;
            let cleared = record.status == AllocationStatus::Cleared;
            ensure!(cleared, "{id}: {record:?}");
            let known = Outcome::Cleared(record.record.id);
            if let Ok(acknowledged) = acknowledged {
                ensure!(acknowledged == known, "{id}: {acknowledged:?}");
            }
            log.answered(number, known);
            audit.check(&world, &log).await.context(id)?;
        }
    }
    audit.check_all_records(&world).await?;
    world.servers[0].stop().await?;
    verify(&world).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_every_record_reaches_its_end() {
    let done = killed_at_every_step(testkit::sqlite::fresh_file()).await;
    done.unwrap_or_else(|error| panic!("{error:#}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_every_record_reaches_its_end() {
    let done = killed_at_every_step(testkit::postgres::fresh_database().await).await;
    done.unwrap_or_else(|error| panic!("{error:#}"));
}
