//! A PostgreSQL cluster that is backed up as `docs/operations.md` says, with pg_basebackup and
//! under load: what was acknowledged before it began is in it, and its books are sound.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use testkit::TestDatabase;
use testkit::postgres::Server;

use crate::fixture::{ALL, Alpha, ManualClock, Network, START, btc, location, open};

#[tokio::test(flavor = "multi_thread")]
async fn a_base_backup_taken_under_load_holds_what_was_acknowledged_before() {
    let primary = tokio::task::spawn_blocking(|| Server::start(&[])).await;
    let primary = Arc::new(primary.expect("a server"));
    let database = TestDatabase::elsewhere(&primary.url());
    let network = Arc::new(Network::ready(database).await);
    let stopping = Arc::new(AtomicBool::new(false));
    let load = {
        let (network, stopping) = (Arc::clone(&network), Arc::clone(&stopping));
        tokio::spawn(async move {
            let mut count = 0_i64;
            while !stopping.load(Ordering::Relaxed) {
                network.done(network.deposit(Alpha, &btc(), 1)).await;
                count += 1;
            }
            count
        })
    };
    while network
        .store
        .deposits(None, ALL)
        .await
        .expect("a list")
        .len()
        < 20
    {
        tokio::task::yield_now().await;
    }
    let before = network.store.deposits(None, ALL).await.expect("a list");
    let copy = {
        let primary = Arc::clone(&primary);
        tokio::task::spawn_blocking(move || Server::restored_from(&primary)).await
    };
    let copy = copy.expect("a copy");
    stopping.store(true, Ordering::Relaxed);
    let count = load.await.expect("no panic");

    let place = location(&copy.url());
    let report = store::verify(&place).await.expect("a report");
    assert_eq!(report.faults, [""; 0]);
    assert!((20..=count).contains(&report.entries), "{report:?}");
    let clock = ManualClock::at(START);
    let restored = open(&copy.url(), &clock).await;
    let after = restored.deposits(None, ALL).await.expect("a list");
    for deposit in &before {
        assert!(after.contains(deposit), "{deposit:?}");
    }
    let database = TestDatabase::elsewhere(&copy.url());
    let restored = Network::reopened(restored, clock, database);
    restored.done(restored.deposit(Alpha, &btc(), 1)).await;
    restored.is_sound().await;
}
