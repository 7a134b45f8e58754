//! How a store ends, and what the next one finds.

use std::sync::Arc;

use store::{Opening, Store, SubmitError};
use testkit::TestDatabase;

use crate::fixture::{ALL, Alpha, Network, btc, location, open, queued, scripted};

on_both! {
    closing_drains_what_is_queued
    closing_does_not_wait_for_other_handles
    closing_again_after_giving_up_waits_all_the_same
    what_was_closed_opens_again_with_everything_in_it
    a_store_whose_thread_has_died_takes_no_more
    a_missing_database_is_made_only_when_asked
}

async fn closing_drains_what_is_queued(database: TestDatabase) {
    let Network {
        store,
        clock,
        database,
        ..
    } = {
        let network = Network::ready(database).await;
        let books = crate::books::Books::of(&network.database).await;
        books.lock().await;
        let stores: Vec<Store> = (0..300).map(|_| network.store.clone()).collect();
        let submits = stores
            .iter()
            .map(|store| store.submit(network.deposit(Alpha, &btc(), 1)));
        let waiting = queued(submits).await;
        // The handles may go while their commands wait: nobody will read these answers.
        drop(waiting);
        drop(stores);
        books.unlock().await;
        network
    };
    store.close().await;
    let store = open(&database.url, &clock).await;
    assert_eq!(store.deposits(None, ALL).await.expect("a list").len(), 300);
    let report = store::verify(&location(&database.url))
        .await
        .expect("a report");
    assert!(report.is_sound(), "{:?}", report.faults);
}

async fn closing_does_not_wait_for_other_handles(database: TestDatabase) {
    let network = Network::ready(database).await;
    let other = network.store.clone();
    let late = network.deposit(Alpha, &btc(), 1);
    let Network {
        store,
        clock,
        database,
        ..
    } = network;
    store.close().await;
    let refused = other.submit(late).await;
    assert!(
        matches!(refused, Err(SubmitError::Overloaded)),
        "{refused:?}"
    );
    other.close().await;
    // The file is free for the next one at once.
    open(&database.url, &clock).await;
}

async fn closing_again_after_giving_up_waits_all_the_same(database: TestDatabase) {
    let network = Network::ready(database).await;
    let other = network.store.clone();
    let Network {
        store,
        clock,
        database,
        ..
    } = network;
    // Asked once and given up, whether or not it had been that quick.
    let _ = tokio::time::timeout(std::time::Duration::ZERO, store.close()).await;
    other.close().await;
    // The lock of the file is free.
    open(&database.url, &clock).await.close().await;
}

async fn what_was_closed_opens_again_with_everything_in_it(database: TestDatabase) {
    let network = Network::ready(database).await;
    network.done(network.deposit(Alpha, &btc(), 5)).await;
    let before = network.verify().await;
    let Network {
        store,
        clock,
        database,
        ..
    } = network;
    store.close().await;
    for _ in 0..3 {
        let store = open(&database.url, &clock).await;
        assert!(store.is_writing());
        store.close().await;
    }
    let store = open(&database.url, &clock).await;
    let network = Network::reopened(store, clock, database);
    assert_eq!(network.verify().await, before);
    network.done(network.deposit(Alpha, &btc(), 5)).await;
    assert_eq!(network.balance(&Alpha.go(&btc())).await.available, 10);
    network.is_sound().await;
}

async fn a_store_whose_thread_has_died_takes_no_more(database: TestDatabase) {
    let network = Network::ready(database).await;
    let Network {
        store,
        clock,
        database,
        ..
    } = network;
    store.close().await;
    // Of what a command does nothing can kill the thread; what the store was given can.
    let deadly = Arc::new(|| panic!("a defect, as this test wants it"));
    let opened = Store::open(&location(&database.url), Opening::default(), deadly).await;
    let network = Network::reopened(opened.expect("an open store"), clock, database);
    let alive = scripted(rules::Keys::default(), |_| Ok(()));
    let answer = network.store.submit(alive).await;
    assert!(
        matches!(answer, Err(SubmitError::OutcomeUnknown)),
        "{answer:?}"
    );
    // Whoever comes while it unwinds is answered as well, and soon everybody is turned away.
    let turned_away = async {
        loop {
            let alive = scripted(rules::Keys::default(), |_| Ok(()));
            match network.store.submit(alive).await {
                Err(SubmitError::OutcomeUnknown) => tokio::task::yield_now().await,
                answer => return answer,
            }
        }
    };
    let answer = tokio::time::timeout(std::time::Duration::from_secs(60), turned_away).await;
    assert!(
        matches!(answer, Ok(Err(SubmitError::Overloaded))),
        "{answer:?}"
    );
    assert!(!network.store.is_writing());
    // What is committed stays, and closing does not hang.
    let Network {
        store,
        clock,
        database,
        ..
    } = network;
    store.close().await;
    let store = open(&database.url, &clock).await;
    let network = Network::reopened(store, clock, database);
    network.done(network.deposit(Alpha, &btc(), 1)).await;
}

async fn a_missing_database_is_made_only_when_asked(database: TestDatabase) {
    let clock = crate::fixture::ManualClock::at(crate::fixture::START);
    let opening = Opening {
        create: false,
        ..Opening::default()
    };
    let refused = Store::open(&location(&database.url), opening, clock.handle()).await;
    assert!(
        matches!(refused, Err(store::StoreError::Refused(_))),
        "{refused:?}"
    );
    open(&database.url, &clock).await.close().await;
    let opened = Store::open(&location(&database.url), opening, clock.handle()).await;
    assert!(opened.is_ok(), "{opened:?}");
}
