//! Business time on an installation with a test clock: it jumps for every server and after every
//! restart, and no other installation ever gets such a clock.

use ledger::Timestamp;
use rules::clock::{Advance, AdvanceClock, TestClock};
use rules::record::{Message, MessageCall, Timer, TimerKind};
use rules::{PartnerId, deliver::Lease};
use store::{Opening, Store, SubmitError};
use testkit::TestDatabase;
use uuid::Uuid;

use crate::fixture::{
    Alpha, ManualClock, Network, START, btc, identifier, location, open, put, scripted,
};

on_both! {
    business_time_jumps_and_stays_ahead_after_a_restart
    a_normal_database_never_gets_a_test_clock
    a_database_with_a_test_clock_never_loses_it
    leases_stay_on_real_time
    timers_are_read_by_the_time_at_which_they_are_due
}

const DAY_S: i64 = 86_400;

/// Opens a database that is to have a test clock.
async fn with_test_clock(url: &str, clock: &ManualClock) -> Store {
    let opening = Opening {
        test_clock: true,
        ..Opening::default()
    };
    let opened = Store::open(&location(url), opening, clock.handle()).await;
    opened.expect("an open store")
}

fn advance(network: &Network, advance: Advance) -> AdvanceClock {
    let operator = network.act();
    AdvanceClock { advance, operator }
}

/// The business time of a batch.
async fn decided_at(store: &Store) -> Timestamp {
    let keys = rules::Keys::default();
    let at = store.submit(scripted(keys, |_| Ok(()))).await;
    at.expect("a decision");
    store.now()
}

async fn a_network_with_a_test_clock(database: TestDatabase) -> Network {
    let clock = ManualClock::at(START);
    let store = with_test_clock(&database.url, &clock).await;
    Network::reopened(store, clock, database)
}

async fn business_time_jumps_and_stays_ahead_after_a_restart(database: TestDatabase) {
    let network = a_network_with_a_test_clock(database).await;
    let store = &network.store;
    assert_eq!(store.test_clock(), Some(TestClock { ahead_us: 0 }));
    assert_eq!((store.now(), store.real_now()), (START, START));

    let ahead = network
        .done(advance(&network, Advance::Seconds(DAY_S)))
        .await;
    let ahead_us = DAY_S * 1_000_000;
    assert_eq!(ahead, TestClock { ahead_us });
    let next_day = START.plus_seconds(DAY_S);
    assert_eq!((store.now(), store.real_now()), (next_day, START));
    let enterprise = network.done(network.put_enterprise(Alpha)).await;
    assert_eq!(enterprise.created_at, next_day);

    let noon = next_day.plus_seconds(3_600);
    network.done(advance(&network, Advance::To(noon))).await;
    assert_eq!((store.now(), store.real_now()), (noon, START));
    for backward in [Advance::To(noon), Advance::To(START), Advance::Seconds(0)] {
        let refused = store.submit(advance(&network, backward)).await;
        assert!(
            matches!(&refused, Err(SubmitError::Refused(r)) if r.reason.name == "clock_runs_forward_only"),
            "{backward:?}: {refused:?}"
        );
    }
    let refused = store
        .submit(advance(&network, Advance::Seconds(i64::MAX)))
        .await;
    assert!(
        matches!(&refused, Err(SubmitError::Refused(r)) if r.reason.name == "clock_too_far_ahead")
    );
    let acts = store
        .operator_acts(store::ActFilter::default(), crate::fixture::ALL)
        .await
        .expect("acts");
    let advances = acts
        .iter()
        .filter(|recorded| recorded.act.act == "advance_clock");
    assert_eq!(advances.count(), 2);

    let Network {
        store,
        clock,
        database,
        ..
    } = network;
    store.close().await;
    clock.pass_seconds(1);
    let reopened = open(&database.url, &clock).await;
    assert_eq!(reopened.now(), noon.plus_seconds(1));
    assert_eq!(reopened.real_now(), START.plus_seconds(1));
    assert_eq!(decided_at(&reopened).await, noon.plus_seconds(1));
    Network::reopened(reopened, clock, database)
        .is_sound()
        .await;
}

async fn a_normal_database_never_gets_a_test_clock(database: TestDatabase) {
    let network = Network::bare(database).await;
    network.done(network.put_currency(btc())).await;
    let refused = network
        .store
        .submit(advance(&network, Advance::Seconds(1)))
        .await;
    assert!(matches!(&refused, Err(SubmitError::Refused(r)) if r.reason.name == "no_test_clock"));
    let Network {
        store,
        clock,
        database,
        ..
    } = network;
    store.close().await;
    let store = with_test_clock(&database.url, &clock).await;
    assert_eq!(store.test_clock(), None);
    let network = Network::reopened(store, clock, database);
    let refused = network
        .store
        .submit(advance(&network, Advance::Seconds(1)))
        .await;
    assert!(matches!(refused, Err(SubmitError::Refused(_))));
    assert_eq!(network.store.now(), START);
}

async fn a_database_with_a_test_clock_never_loses_it(database: TestDatabase) {
    let network = a_network_with_a_test_clock(database).await;
    network
        .done(advance(&network, Advance::Seconds(DAY_S)))
        .await;
    let before = network.store.test_clock();
    let Network {
        store,
        clock,
        database,
        ..
    } = network;
    store.close().await;
    for _ in 0..2 {
        let store = open(&database.url, &clock).await;
        assert_eq!(store.test_clock(), before);
        store.close().await;
        // Asking for a test clock again does not set it back.
        let store = with_test_clock(&database.url, &clock).await;
        assert_eq!(store.test_clock(), before);
        store.close().await;
    }
}

async fn leases_stay_on_real_time(database: TestDatabase) {
    let network = a_network_with_a_test_clock(database).await;
    network
        .done(advance(&network, Advance::Seconds(DAY_S)))
        .await;
    let subject = identifier(20, 1);
    let message = Message {
        subject,
        partner_id: PartnerId(Uuid::nil()),
        call: Some(MessageCall::Clear),
        attempts: 0,
        due_at: START,
        leased_until: Timestamp(0),
        last_error: None,
        created_at: START,
        updated_at: START,
    };
    network.done(put(message)).await;
    let lease = || Lease {
        subjects: vec![subject],
        lease_ms: 5_000,
        only_due: true,
    };
    let leased = network.done(lease()).await;
    assert_eq!(leased[0].leased_until, START.plus_seconds(5));
    // A jump of business time lets nobody else work on it.
    network
        .done(advance(&network, Advance::Seconds(DAY_S)))
        .await;
    assert_eq!(network.done(lease()).await, []);
    let waiting = network.store.waiting_partners(network.store.real_now());
    assert_eq!(waiting.await.expect("a list").time, START);
    network.clock.pass_seconds(5);
    assert_eq!(network.done(lease()).await.len(), 1);
}

async fn timers_are_read_by_the_time_at_which_they_are_due(database: TestDatabase) {
    let network = Network::bare(database).await;
    let timer = |number, kind, due_at: Option<i64>| Timer {
        kind,
        subject: identifier(20, number),
        due_at: due_at.map(Timestamp),
    };
    let (gains, losses) = (TimerKind::OnChainGainsLate, TimerKind::OnChainLossesLate);
    let made = [
        timer(3, gains, Some(10)),
        timer(2, gains, Some(20)),
        timer(1, losses, Some(20)),
        timer(2, losses, Some(20)),
        timer(1, gains, Some(30)),
        timer(4, gains, None),
    ];
    for timer in made.iter().rev() {
        network.done(put(timer.clone())).await;
    }
    let mut read = Vec::new();
    loop {
        let page = network.store.timers(read.last(), 2).await.expect("a list");
        if page.is_empty() {
            break;
        }
        read.extend(page);
    }
    assert_eq!(read, made[..5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_servers_on_one_database_jump_together() {
    let database = testkit::postgres::fresh_database().await;
    let network = a_network_with_a_test_clock(database).await;
    let other = open(&network.database.url, &network.clock).await;
    network
        .done(advance(&network, Advance::Seconds(DAY_S)))
        .await;
    // What another server decides is decided by the new time, whether or not it has looked.
    let enterprise = other.submit(network.put_enterprise(Alpha)).await;
    let enterprise = enterprise.expect("an enterprise");
    assert_eq!(enterprise.created_at, START.plus_seconds(DAY_S));
    // One that decides nothing sees it when it looks.
    let third = open(&network.database.url, &network.clock).await;
    network
        .done(advance(&network, Advance::Seconds(DAY_S)))
        .await;
    assert_eq!(third.now(), START.plus_seconds(DAY_S));
    third.look_at_clock().await.expect("a look");
    assert_eq!(third.now(), START.plus_seconds(2 * DAY_S));
    assert_eq!(third.real_now(), START);
    network.is_sound().await;
}
