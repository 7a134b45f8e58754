//! PostgreSQL goes away in the middle: everybody is answered, and rightly.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use ledger::Balance;
use store::{Store, StoreError, SubmitError};
use testkit::postgres::{Proxy, cut_connections, fresh_database};
use tokio::sync::watch;

use crate::books::Books;
use crate::chain::has_no_gaps;
use crate::fixture::{ALL, Alpha, Exchange, Link, Network, btc, open, queued};

/// Reads again for as long as the read connections of the pool turn out to be cut.
async fn deposits(store: &Store) -> BTreeSet<String> {
    for _ in 0..20 {
        match store.deposits(None, ALL).await {
            Ok(deposits) => return deposits.into_iter().map(|d| d.external_reference).collect(),
            Err(error @ StoreError::Unavailable { .. }) => eprintln!("again after {error:?}"),
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the readers do not come back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_answered_while_connections_are_cut_is_answered_rightly() {
    const TASKS: usize = 16;
    let network = Network::ready(fresh_database().await).await;
    let over = Arc::new(AtomicBool::new(false));
    let (answered, mut answers_so_far) = watch::channel(0);
    let answered = Arc::new(answered);
    let network = Arc::new(network);
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (network, over) = (Arc::clone(&network), Arc::clone(&over));
            let answered = Arc::clone(&answered);
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while !over.load(Ordering::SeqCst) {
                    let deposit = network.deposit(Alpha, &btc(), 1);
                    let reference = deposit.external_reference.clone();
                    answers.push((reference, network.store.submit(deposit).await));
                    answered.send_modify(|count| *count += 1);
                }
                answers
            })
        })
        .collect();
    for _ in 0..10 {
        // Each cut comes when work is in flight again.
        let wanted = *answered.borrow() + 2 * TASKS;
        let enough = answers_so_far.wait_for(|count| *count >= wanted);
        let enough = tokio::time::timeout(Duration::from_secs(60), enough).await;
        enough.expect("answers in time").expect("tasks that ask");
        cut_connections(&network.database).await;
    }
    over.store(true, Ordering::SeqCst);

    let (mut done, mut undone) = (BTreeSet::new(), BTreeSet::new());
    for task in tasks {
        for (reference, answer) in task.await.expect("no panic") {
            match answer {
                Ok(_) => done.insert(reference),
                Err(SubmitError::Unavailable) => undone.insert(reference),
                Err(SubmitError::OutcomeUnknown) => false,
                Err(error) => panic!("{reference}: {error:?}"),
            };
        }
    }
    let booked = deposits(&network.store).await;
    assert!(done.is_subset(&booked));
    assert!(undone.is_disjoint(&booked));
    has_no_gaps(&Books::of(&network.database).await).await;
    network.is_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_a_commit_is_found_out() {
    let network = Network::ready(fresh_database().await).await;
    let proxy = Proxy::start(&network.database.url).await;
    let store = open(&proxy.url, &network.clock).await;
    let books = Books::of(&network.database).await;
    let before = books.commits().await;

    proxy.lose_next_commit();
    let deposit = network.deposit(Alpha, &btc(), 100);
    let booked = store
        .submit(deposit.clone())
        .await
        .expect("the true answer");
    assert_eq!(booked.external_reference, deposit.external_reference);
    assert_eq!(books.commits().await, before + 1);
    assert_eq!(books.number("SELECT probes FROM chain_heads").await, 1);

    // Nothing happens twice, and the store goes on.
    store.submit(deposit).await.expect("the same deposit");
    let request = network.allocate(Link(Alpha, Exchange), 40);
    proxy.lose_next_commit();
    let placed = store
        .submit(request.clone())
        .await
        .expect("the true answer");
    assert!(placed.fresh);
    let again = store
        .submit(network.again(&request))
        .await
        .expect("the record");
    assert!(!again.fresh);
    let balance = network.balance(&Alpha.go(&btc())).await;
    assert_eq!(
        balance,
        Balance {
            available: 60,
            held: 40
        }
    );
    network.is_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_concerns_everybody_in_the_batch_alike() {
    let network = Network::ready(fresh_database().await).await;
    let proxy = Proxy::start(&network.database.url).await;
    let store = open(&proxy.url, &network.clock).await;
    let books = Books::of(&network.database).await;
    books.lock().await;
    let submits: Vec<_> = (0..20)
        .map(|number| {
            let deposit = network.deposit(Alpha, &btc(), 1 + number % 2);
            (deposit, number)
        })
        .collect();
    let waiting = queued(
        submits
            .iter()
            .map(|(deposit, _)| store.submit(deposit.clone())),
    )
    .await;
    let poor = queued([store.submit(network.withdraw(Alpha, &btc(), 1_000))]).await;
    proxy.lose_next_commit();
    books.unlock().await;
    for (answer, (asked, _)) in join_all(waiting).await.into_iter().zip(submits) {
        let booked = answer.expect("the true answer");
        assert_eq!((booked.id, booked.amount), (asked.id, asked.amount));
    }
    for answer in join_all(poor).await {
        assert_eq!(crate::fixture::refusal_of(answer), "insufficient_available");
    }
    assert_eq!(network.balance(&Alpha.go(&btc())).await.available, 30);
    assert_eq!(books.number("SELECT probes FROM chain_heads").await, 1);
    network.is_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_never_happened_is_done_again() {
    let network = Network::ready(fresh_database().await).await;
    let books = Books::of(&network.database).await;
    // While it waits for the head of the chain its connection is cut: rolled back for certain.
    books.lock().await;
    let waiting = queued([network.store.submit(network.deposit(Alpha, &btc(), 5))]).await;
    cut_connections(&network.database).await;
    for answer in join_all(waiting).await {
        answer.expect("a deposit");
    }
    let books = Books::of(&network.database).await;
    assert_eq!(books.number("SELECT count(*) FROM deposits").await, 1);
    has_no_gaps(&books).await;
}
