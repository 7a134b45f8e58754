//! The server is killed (`kill -9`) at each step around a partner call, and started again: every
//! record reaches its right end, both books agree, nothing acknowledged is missing.
//!
//! Between the server and the simulated exchange stands a proxy that does the killing, so that
//! the moment is exact and not a matter of luck.

mod killer;
mod server;

use std::time::Duration;

use client::{Client, Retry};
use killer::{Killer, Moment};
use serde_json::Value;
use server::{Server, exchange_position};
use wire::api::{
    allocations::{AllocationStatus, NewAllocation},
    quantity::ClientAmount,
};

/// How long something that has to happen is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A step around a partner call at which the server is killed.
struct Step {
    name: &'static str,
    /// The end of the path of the call.
    call: &'static str,
    moment: Moment,
}

/// The steps of one kind of record: hold → ask → clear → tell.
fn steps(reserve: &'static str) -> Vec<Step> {
    let step = |name, call, moment| Step { name, call, moment };
    vec![
        step(
            "the hold is committed, the partner not asked yet",
            reserve,
            Moment::BeforeItArrives,
        ),
        step(
            "the partner holds it, its answer is lost",
            reserve,
            Moment::BeforeItIsAnswered,
        ),
        step(
            "the partner has answered",
            reserve,
            Moment::AfterItIsAnswered,
        ),
        step(
            "it is cleared, the partner not told yet",
            "/clear",
            Moment::BeforeItArrives,
        ),
        step(
            "the partner is told, its acknowledgement is lost",
            "/clear",
            Moment::BeforeItIsAnswered,
        ),
        step(
            "the partner has acknowledged",
            "/clear",
            Moment::AfterItIsAnswered,
        ),
    ]
}

fn request(units: i128, id: String) -> NewAllocation {
    NewAllocation {
        amount: ClientAmount {
            currency: "ofcbtc".parse().expect("a ticker"),
            quantity: ledger::Amount::new(units).expect("an amount"),
        },
        client_external_id: id,
        nonce: client::fresh_nonce(),
        notes: None,
    }
}

/// Waits until `look` finds what it looks for.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = std::time::Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: it did not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn killed_at_every_step(database: testkit::TestDatabase) {
    let killer = Killer::start().await;
    let mut server = Server::start(&database.url, &killer).await;
    let (connection, account) = server.connect().await;
    let mut allocated = 0_i128;
    let mut acknowledgements = vec!["before".to_owned()];

    // Something acknowledged before, that has to be there ever after.
    let before = request(1_000, "before".to_owned());
    let before = server.client().allocate(connection, before).await;
    before.expect("an allocation");
    allocated += 1_000;

    let plan = [
        ("/bitgo/v1/allocations", 100_i128, false),
        ("/bitgo/v1/deallocations", 10_i128, true),
    ];
    for (reserve, units, back) in plan {
        for (number, step) in steps(reserve).into_iter().enumerate() {
            let id = format!("{reserve}-{number}");
            let content = request(units, id.clone());
            killer.arm(step.call, step.moment, server.process_id());
            let asked = {
                let client = server.client();
                tokio::spawn(async move {
                    match back {
                        false => client.allocate(connection, content).await.is_ok(),
                        true => client.deallocate(connection, content).await.is_ok(),
                    }
                })
            };
            server.wait_for_death().await;
            let acknowledged = asked.await.expect("no panic");
            killer.disarm();
            server.restart().await;

            let status = eventually(step.name, async || {
                let all = server
                    .client()
                    .client_allocations(&Default::default())
                    .await
                    .ok()?;
                let mut all = all.allocations.into_iter();
                let record = all.find(|record| record.record.client_external_id == id);
                match record {
                    Some(record) if record.status != AllocationStatus::Reserved => {
                        Some(Some(record.status))
                    }
                    Some(_) => None,
                    // A request whose hold was never committed may be gone, if nobody was told.
                    None => Some(None),
                }
            })
            .await;
            assert_eq!(
                status,
                Some(AllocationStatus::Cleared),
                "{}, {id}",
                step.name
            );
            allocated += if back { -units } else { units };
            if acknowledged {
                acknowledgements.push(id);
            }

            let balances = server.client().client_balances(&Default::default()).await;
            let balances = balances.expect("balances");
            let of_connection = &balances.network_balances[&connection].balances["ofcbtc"];
            assert_eq!(
                of_connection.available,
                allocated.to_string(),
                "{}",
                step.name
            );
            assert_eq!(of_connection.held, "0", "{}", step.name);
            eventually("both books agree", async || {
                let position: Value = exchange_position(&killer, &account, "BTC").await;
                (position["balance"] == allocated.to_string() && position["held"] == "0")
                    .then_some(())
            })
            .await;
        }
    }
    let all = server
        .client()
        .client_allocations(&Default::default())
        .await;
    let all = all.expect("a list").allocations;
    for id in acknowledgements {
        let mut records = all
            .iter()
            .filter(|record| record.record.client_external_id == id);
        let record = records.next().expect("what was acknowledged is there");
        assert_eq!(record.status, AllocationStatus::Cleared, "{id}");
        assert!(records.next().is_none(), "{id} is there once");
    }
    server.stop().await;
    let location = database.url.parse().expect("a database");
    let report = store::verify(&location).await.expect("verify");
    assert!(report.is_sound(), "{:#?}", report.faults);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_every_record_reaches_its_end() {
    killed_at_every_step(testkit::sqlite::fresh_file()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_every_record_reaches_its_end() {
    killed_at_every_step(testkit::postgres::fresh_database().await).await;
}

/// A client that never repeats by itself: what was acknowledged has to be known exactly.
fn impatient(client: Client) -> Client {
    client.with_retry(Retry::never())
}
