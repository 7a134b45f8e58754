//! The disk under a running server fails, fills up, or loses its power: what was acknowledged
//! stays, what is refused is told why, and the server goes on when the disk does.
//!
//! The faults are real to SQLite: a library preloaded into the server (`disk.c`, compiled here by
//! the C compiler that the build needs anyway) answers its writes and flushes.

mod image;
mod preload;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use client::ClientError;
use faults::{
    eventually,
    process::Server,
    world::{Plan, World},
};
use ledger::Timestamp;
use preload::Disk;
use reqwest::Method;
use rules::record::{Allocation, AllocationState};
use serde_json::Value;
use store::{AllocationFilter, Opening, Owned, Page, Side, Store};
use testkit::TestDatabase;
use tokio::task::JoinHandle;
use wire::api::{allocations::NewAllocation, quantity::ClientAmount};

/// How many clients allocate at the same time.
const CLIENTS: usize = 4;

/// An allocation that was acknowledged.
struct Acknowledged {
    id: String,
    /// How long the log of the disk was when the acknowledgement came.
    log_length: u64,
}

/// Clients that allocate one unit after the other, each acknowledgement written down.
struct Load {
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
    /// The names of refusals since somebody looked.
    refusals: Arc<Mutex<Vec<String>>>,
    asked: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

fn request(id: &str) -> NewAllocation {
    NewAllocation {
        amount: ClientAmount {
            currency: "ofcbtc".parse().expect("a ticker"),
            quantity: ledger::Amount::new(1).expect("an amount"),
        },
        client_external_id: id.to_owned(),
        nonce: client::fresh_nonce(),
        notes: None,
    }
}

impl Load {
    fn start(world: &World, disk: &Disk) -> Load {
        let mut load = Load {
            acknowledged: Arc::default(),
            refusals: Arc::default(),
            asked: Arc::default(),
            stopping: Arc::default(),
            clients: Vec::new(),
        };
        let connection = world.clients[0].connections[0].id;
        for _ in 0..CLIENTS {
            let client = world.client(&world.clients[0], 0).expect("a client");
            let (acknowledged, refusals) = (load.acknowledged.clone(), load.refusals.clone());
            let (asked, stopping) = (load.asked.clone(), load.stopping.clone());
            let disk = disk.clone();
            load.clients.push(tokio::spawn(async move {
                while !stopping.load(Ordering::Relaxed) {
                    let number = asked.fetch_add(1, Ordering::Relaxed);
                    let id = format!("load-{number}");
                    match client.allocate(connection, request(&id)).await {
                        Ok(_) => {
                            let log_length = disk.log_length();
                            let mut acknowledged = acknowledged.lock().expect("no panic");
                            acknowledged.push(Acknowledged { id, log_length });
                        }
                        Err(ClientError::Unreachable { .. }) => {
                            // It is being started again.
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                        Err(error) => {
                            let refusal = error.refusal().unwrap_or_else(|| panic!("{error}"));
                            assert_eq!(refusal.status, 503, "{refusal:?}");
                            let name = refusal.name.clone().expect("a name");
                            refusals.lock().expect("no panic").push(name);
                            // Nothing is gained by asking a full disk as fast as it refuses.
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    }
                }
            }));
        }
        load
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().expect("no panic").len()
    }

    /// Waits until so many more are acknowledged.
    async fn goes_on(&self, by: usize) -> Result<()> {
        let wanted = self.count() + by;
        eventually("allocations go on", async || {
            ensure!(self.count() >= wanted, "{} of {wanted}", self.count());
            Ok(())
        })
        .await
    }

    /// Waits until requests are refused by this name, and tells by which others.
    async fn is_refused_by(&self, name: &str) -> Result<Vec<String>> {
        self.refusals.lock().expect("no panic").clear();
        eventually("requests are refused", async || {
            let refusals = self.refusals.lock().expect("no panic");
            ensure!(
                refusals.iter().any(|refusal| refusal == name),
                "{refusals:?}"
            );
            Ok(refusals.clone())
        })
        .await
    }

    async fn stop(self) -> Vec<Acknowledged> {
        self.stopping.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.expect("no panic");
        }
        std::mem::take(&mut self.acknowledged.lock().expect("no panic"))
    }
}

async fn readiness(server: &Server) -> Result<(u16, String)> {
    let answer = reqwest::get(format!("{}/readyz", server.url)).await?;
    Ok((answer.status().as_u16(), answer.text().await?))
}

/// Waits until the server says that it is ready, or that it is not.
async fn is_ready(server: &Server, ready: bool) -> Result<()> {
    eventually("the readiness of the server", async || {
        let (status, told) = readiness(server).await?;
        ensure!((status == 200) == ready, "{status}: {told}");
        Ok(())
    })
    .await
}

async fn world_on(database: &TestDatabase, disk: &Disk) -> Result<World> {
    World::make(Plan {
        program: crate::TIDELOCK.into(),
        database: database.url.clone(),
        servers: 1,
        venue: false,
        clients: 1,
        lease: 2,
        database_time_limit: 30,
        environment: disk.environment(),
    })
    .await
}

/// What the exchange has for the connection that the load uses: its balance, and what is held.
async fn position(world: &World) -> Result<(String, String)> {
    let connection = &world.clients[0].connections[0];
    let exchange = &world.partners[connection.partner].exchange;
    let told = exchange.act(Method::GET, "accounts", &Value::Null).await?;
    let all = told["accounts"].as_array().context("accounts")?;
    let own = all
        .iter()
        .find(|a| a["accountId"] == connection.account.as_str());
    let own = &own.context("the account")?["balances"]["BTC"];
    let text = |member: &str| own[member].as_str().unwrap_or_default().to_owned();
    Ok((text("balance"), text("held")))
}

async fn allocations_of(store: &Store, enterprise: &str) -> Vec<Allocation> {
    let own = Owned {
        enterprise_id: enterprise.parse().expect("an enterprise id"),
        side: Side::Client,
    };
    let all = Page {
        number: 0,
        size: 1_000_000,
    };
    let filter = AllocationFilter::default();
    store.allocations(&own, filter, all).await.expect("a list")
}

fn is_cleared(all: &[Allocation], id: &str) -> bool {
    let mut found = all.iter().filter(|record| record.client_external_id == id);
    let cleared = found
        .next()
        .is_some_and(|record| matches!(record.state, AllocationState::Cleared));
    cleared && found.next().is_none()
}

async fn outlives_every_fault() -> Result<()> {
    let database = testkit::sqlite::fresh_file();
    let disk = Disk::under(&database);
    let mut world = world_on(&database, &disk).await?;
    let load = Load::start(&world, &disk);
    load.goes_on(20).await?;

    // A full disk says so, by the request and by /readyz; reading goes on.
    for fault in ["full 0", "short 0"] {
        disk.fails(fault);
        let names = load.is_refused_by("storage_full").await?;
        let known = ["storage_full", "busy", "outcome_unknown"];
        ensure!(
            names.iter().all(|name| known.contains(&name.as_str())),
            "{names:?}"
        );
        is_ready(&world.servers[0], false).await?;
        eventually("it tells that the disk is full", async || {
            let (_, told) = readiness(&world.servers[0]).await?;
            ensure!(told.contains("storage_full"), "{told}");
            Ok(())
        })
        .await?;
        let client = world.client(&world.clients[0], 0)?;
        client.client_balances(&Default::default()).await?;
        disk.fails("none 0");
        load.goes_on(20).await?;
        is_ready(&world.servers[0], true).await?;
    }
    // Writes and flushes that fail, a few times and for a while.
    for fault in ["write 1", "sync 1", "short 1", "sync 5"] {
        disk.fails(fault);
        load.goes_on(20).await?;
    }
    for fault in ["write 0", "sync 0"] {
        disk.fails(fault);
        is_ready(&world.servers[0], false).await?;
        disk.fails("none 0");
        load.goes_on(20).await?;
        is_ready(&world.servers[0], true).await?;
    }
    // Killed while the disk fails, and started again.
    disk.fails("sync 0");
    is_ready(&world.servers[0], false).await?;
    world.servers[0].kill().await?;
    disk.fails("none 0");
    world.servers[0].restart().await?;
    load.goes_on(20).await?;

    let acknowledged = load.stop().await;
    ensure!(acknowledged.len() > 150, "{}", acknowledged.len());
    // What was interrupted comes to its end; then both books say the same.
    let connection = world.clients[0].connections[0].id;
    let allocated = eventually("both books agree", async || {
        let client = world.client(&world.clients[0], 0)?;
        let balances = client.client_balances(&Default::default()).await?;
        let own = &balances.network_balances[&connection].balances["ofcbtc"];
        let ours = (own.available.clone(), own.held.clone());
        let theirs = position(&world).await?;
        ensure!(own.held == "0" && ours == theirs, "{ours:?} {theirs:?}");
        Ok(ours.0)
    })
    .await?;
    world.servers[0].stop().await?;
    let all = contents_of(&database, &world.clients[0].enterprise).await;
    for record in &acknowledged {
        ensure!(
            is_cleared(&all, &record.id),
            "{} was acknowledged",
            record.id
        );
    }
    let cleared = |record: &&Allocation| matches!(record.state, AllocationState::Cleared);
    let cleared = all.iter().filter(cleared).count();
    ensure!(cleared.to_string() == allocated, "{cleared} of {allocated}");
    Ok(())
}

/// Verifies the books and reads the allocations in them.
async fn contents_of(database: &TestDatabase, enterprise: &str) -> Vec<Allocation> {
    let location = database.url.parse().expect("a database");
    let report = store::verify(&location).await.expect("verify");
    assert!(report.is_sound(), "{:#?}", report.faults);
    let opening = Opening {
        create: false,
        ..Opening::default()
    };
    let clock: store::Clock = Arc::new(|| Timestamp(0));
    let store = Store::open(&location, opening, clock).await;
    let store = store.expect("the store opens");
    let all = allocations_of(&store, enterprise).await;
    store.close().await;
    all
}

/// A disk that loses its power keeps what was flushed, and of the rest any part: the server has
/// acknowledged nothing that is not in what it keeps, whatever flushes failed before.
async fn keeps_what_it_acknowledged() -> Result<()> {
    let database = testkit::sqlite::fresh_file();
    let disk = Disk::under(&database).with_log();
    let mut world = world_on(&database, &disk).await?;
    let load = Load::start(&world, &disk);
    for fault in ["none 0", "sync 1", "write 1", "short 1", "sync 3"] {
        disk.fails(fault);
        load.goes_on(40).await?;
    }
    // Killed with a commit in its log that could not be flushed, and started again.
    for _ in 0..3 {
        disk.fails("sync 0");
        is_ready(&world.servers[0], false).await?;
        world.servers[0].kill().await?;
        disk.fails("none 0");
        world.servers[0].restart().await?;
        load.goes_on(40).await?;
    }
    world.servers[0].kill().await?;
    let acknowledged = load.stop().await;
    let log = disk.log();
    let cuts = image::cuts(&log, acknowledged.iter().map(|record| record.log_length));
    ensure!(cuts.len() >= 40, "{}", cuts.len());
    let mut lost = Vec::new();
    for (seed, cut) in (0_u64..).zip(cuts) {
        let left = testkit::sqlite::fresh_file();
        image::leave(&log, cut, seed, &left);
        let all = contents_of(&left, &world.clients[0].enterprise).await;
        let before = acknowledged
            .iter()
            .filter(|record| record.log_length <= cut);
        let gone = before.filter(|record| !is_cleared(&all, &record.id));
        lost.extend(gone.map(|record| format!("{} at {cut} (seed {seed})", record.id)));
    }
    ensure!(lost.is_empty(), "went with the power: {lost:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_outlives_every_fault_of_its_disk() {
    let done = outlives_every_fault().await;
    done.unwrap_or_else(|error| panic!("{error:#}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_goes_with_the_power() {
    let done = keeps_what_it_acknowledged().await;
    done.unwrap_or_else(|error| panic!("{error:#}"));
}
