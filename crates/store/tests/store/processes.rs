//! Several processes on one PostgreSQL database: batches are serial, the chain is one.

use std::collections::BTreeSet;

use ledger::Balance;
use rules::record::AllocationState;
use store::Store;

use crate::books::Books;
use crate::chain::has_no_gaps;
use crate::fixture::{ALL, Alpha, Exchange, Link, Network, btc, open};

/// A network and, beside its own store, another one on the same database.
async fn two_processes() -> (Network, Store) {
    let network = Network::ready(testkit::postgres::fresh_database().await).await;
    let other = open(&network.database.url, &network.clock).await;
    (network, other)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_share_one_account() {
    let (network, other) = two_processes().await;
    network.done(network.deposit(Alpha, &btc(), 500)).await;
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let store = if number % 2 == 0 {
                &network.store
            } else {
                &other
            };
            let store = store.clone();
            let request = network.allocate(Link(Alpha, Exchange), 10);
            let clear = network.clear(request.id);
            let release = network.release(request.id);
            tokio::spawn(async move {
                let placed = store.submit(request).await.expect("a record");
                let concluded = match number % 3 {
                    0 => store.submit(clear).await,
                    1 => store.submit(release).await,
                    _ => return placed.allocation.state,
                };
                concluded.expect("a record").allocation.state
            })
        })
        .collect();
    let (mut reserved, mut cleared) = (0, 0);
    for task in tasks {
        match task.await.expect("no panic") {
            AllocationState::Reserved { .. } => reserved += 10,
            AllocationState::Cleared => cleared += 10,
            AllocationState::Released { .. } => {}
        }
    }
    let go = network.balance(&Alpha.go(&btc())).await;
    let net = network.balance(&Link(Alpha, Exchange).net(&btc())).await;
    assert_eq!(
        (go.held, net),
        (
            reserved,
            Balance {
                available: cleared,
                held: 0
            }
        )
    );
    assert_eq!(go.available + reserved + cleared, 500);
    assert!(reserved + cleared > 0);
    has_no_gaps(&Books::of(&network.database).await).await;
    network.is_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repetition_at_the_other_process_acts_once() {
    let (network, other) = two_processes().await;
    network.done(network.deposit(Alpha, &btc(), 1_000)).await;
    for round in 1..=10 {
        let request = network.allocate(Link(Alpha, Exchange), 10);
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let store = if number % 2 == 0 {
                    &network.store
                } else {
                    &other
                };
                let (store, again) = (store.clone(), network.again(&request));
                tokio::spawn(async move { store.submit(again).await })
            })
            .collect();
        let mut records = BTreeSet::new();
        let mut fresh = 0;
        for task in tasks {
            let placed = task.await.expect("no panic").expect("an answer");
            fresh += usize::from(placed.fresh);
            records.insert(placed.allocation.id);
        }
        assert_eq!((records.len(), fresh), (1, 1));
        let reserved = other.reserved_allocations(ALL).await.expect("a list");
        assert_eq!(reserved.len(), round);
    }
    assert_eq!(network.balance(&Alpha.go(&btc())).await.held, 100);
    network.is_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_with_a_clock_behind_follows_the_chain() {
    let (network, _) = two_processes().await;
    let behind = crate::fixture::ManualClock::at(ledger::Timestamp(0));
    let other = open(&network.database.url, &behind).await;
    let ours = network.done(network.deposit(Alpha, &btc(), 1)).await;
    let theirs = other
        .submit(network.deposit(Alpha, &btc(), 1))
        .await
        .expect("a deposit");
    assert_eq!(theirs.created_at, ours.created_at);
}
