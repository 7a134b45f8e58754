//! The PostgreSQL server itself stops, dies, comes back, or waits for a standby that is gone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use store::SubmitError;
use testkit::postgres::Server;
use testkit::postgres::server::Stop;
use tokio::sync::watch;

use crate::books::Books;
use crate::chain::has_no_gaps;
use crate::fixture::{ALL, Alpha, Network, btc};

const PATIENCE: Duration = Duration::from_secs(60);

/// A server of this test alone. Nothing of it outlives the machine, so nothing is flushed.
fn server() -> Server {
    Server::start(&["fsync = off", "full_page_writes = off"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_answered_while_the_server_restarts_is_answered_rightly() {
    const TASKS: usize = 8;
    let server = server();
    let network = Network::ready(testkit::TestDatabase::elsewhere(&server.url())).await;
    let network = Arc::new(network);
    let over = Arc::new(AtomicBool::new(false));
    let (done, mut done_so_far) = watch::channel(0);
    let done = Arc::new(done);
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (network, over) = (Arc::clone(&network), Arc::clone(&over));
            let done = Arc::clone(&done);
            tokio::spawn(async move {
                let mut answers = Vec::new();
                while !over.load(Ordering::SeqCst) {
                    let deposit = network.deposit(Alpha, &btc(), 1);
                    let reference = deposit.external_reference.clone();
                    let answer = network.store.submit(deposit).await;
                    if answer.is_ok() {
                        done.send_modify(|count| *count += 1);
                    }
                    answers.push((reference, answer));
                }
                answers
            })
        })
        .collect();
    let mut goes_on = async |what: &str| {
        let wanted = *done.borrow() + 4 * TASKS;
        let enough = done_so_far.wait_for(|count| *count >= wanted);
        let enough = tokio::time::timeout(PATIENCE, enough).await;
        enough.expect(what).expect("tasks that ask");
    };
    goes_on("before").await;
    for _ in 0..2 {
        server.stop(Stop::Fast);
        server.start_again();
        goes_on("after a fast restart").await;
        server.stop(Stop::Immediate);
        server.start_again();
        goes_on("after an immediate restart").await;
        server.kill();
        server.start_again();
        goes_on("after a crash").await;
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
    let booked = network.store.deposits(None, ALL).await.expect("a list");
    let booked: BTreeSet<_> = booked.into_iter().map(|d| d.external_reference).collect();
    assert!(done.is_subset(&booked));
    assert!(undone.is_disjoint(&booked));
    has_no_gaps(&Books::of(&network.database).await).await;
    network.is_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_no_standby_has_is_not_acknowledged_even_if_the_wait_is_ended() {
    let server = server();
    let network = Network::ready(testkit::TestDatabase::elsewhere(&server.url())).await;
    let books = Books::of(&network.database).await;
    server.configure(&["synchronous_standby_names = 'nobody'"]);
    server.reload();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    // The setting counts once every process of the server has read it: what is booked before that
    // is booked without a standby, as it was.
    let began = Instant::now();
    let mut booked = 0;
    let answer = loop {
        let (store, deposit) = (network.store.clone(), network.deposit(Alpha, &btc(), 5));
        let answer = tokio::spawn(async move { store.submit(deposit).await });
        booked += 5;
        while !answer.is_finished() && books.number(waits).await == 0 {
            tokio::task::yield_now().await;
        }
        if !answer.is_finished() {
            break answer;
        }
        answer.await.expect("no panic").expect("a deposit");
        assert!(began.elapsed() < PATIENCE, "no commit waits");
    };
    // An operator ends the wait. The server then says COMMIT, with a warning: the store has to ask
    // whether it is committed, by a commit of its own, which waits as well. A wait that was ended
    // is shown until its process has noticed, so each is told from the last by its beginning.
    let shown = "SELECT coalesce(max((extract(epoch FROM query_start) * 1000000)::bigint), 0) \
                 FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let end = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity \
               WHERE wait_event = 'SyncRep'";
    let mut ended = 0;
    for _ in 0..3 {
        let wait = loop {
            assert!(!answer.is_finished(), "answered without a standby");
            let wait = books.number(shown).await;
            if wait > ended {
                break wait;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(books.number(end).await, 1);
        ended = wait;
    }
    assert!(!answer.is_finished(), "acknowledged without a standby");
    server.configure(&["synchronous_standby_names = ''"]);
    server.reload();
    answer.await.expect("no panic").expect("the true answer");
    assert_eq!(network.balance(&Alpha.go(&btc())).await.available, booked);
    assert!(books.number("SELECT probes FROM chain_heads").await >= 1);
    has_no_gaps(&books).await;
    network.is_sound().await;
}
