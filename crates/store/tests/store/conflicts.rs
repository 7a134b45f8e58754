//! PostgreSQL refuses a transaction because of another one: it is decided again, and acts once.

use store::SubmitError;
use testkit::postgres::fresh_database;

use crate::books::Books;
use crate::chain::has_no_gaps;
use crate::fixture::{Alpha, Network, btc, queued};

/// Lets the next transactions that write to the chain fail, with the SQL state `code`, where they
/// write it or at their COMMIT. How often is counted outside of transactions.
fn failing(code: &str, at: &str, times: u32) -> String {
    format!(
        "DROP TRIGGER IF EXISTS refuse ON chain;
         DROP SEQUENCE IF EXISTS refusals;
         CREATE SEQUENCE refusals;
         CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF nextval('refusals') <= {times} THEN
                 RAISE EXCEPTION 'somebody got in the way' USING ERRCODE = '{code}';
             END IF;
             RETURN NULL;
         END $$;
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON chain
             DEFERRABLE INITIALLY {at} FOR EACH ROW EXECUTE FUNCTION refuse();"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_transaction_got_in_the_way_of_is_done_again() {
    let network = Network::ready(fresh_database().await).await;
    let books = Books::of(&network.database).await;
    let mut deposits = 0;
    for code in ["40001", "40P01"] {
        for at in ["IMMEDIATE", "DEFERRED"] {
            let commits = books.commits().await;
            books.run(&failing(code, at, 3)).await;
            let deposit = network.deposit(Alpha, &btc(), 1);
            let booked = network.done(deposit.clone()).await;
            assert_eq!(booked.id, deposit.id, "{code} {at}");
            let failed = books.number("SELECT last_value FROM refusals").await;
            assert_eq!(
                failed, 4,
                "{code} {at}: three that failed and one that did not"
            );
            assert_eq!(books.commits().await, commits + 1, "{code} {at}");
            deposits += 1;

            // However often it is tried: then it is told that nothing was done, and so it is.
            books.run(&failing(code, at, 1_000)).await;
            let deposit = network.deposit(Alpha, &btc(), 1);
            let answer = network.store.submit(deposit.clone()).await;
            assert!(
                matches!(answer, Err(SubmitError::Unavailable)),
                "{code} {at}: {answer:?}"
            );
            assert_eq!(books.commits().await, commits + 1, "{code} {at}");
            books.run("DROP TRIGGER refuse ON chain").await;
            network.done(deposit).await;
            deposits += 1;
        }
    }
    assert_eq!(network.balance(&Alpha.go(&btc())).await.available, deposits);
    // Nobody had to ask: an error is a definite answer.
    assert_eq!(books.number("SELECT probes FROM chain_heads").await, 0);
    has_no_gaps(&books).await;
    network.is_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_with_somebody_at_the_tables_is_survived() {
    let network = Network::ready(fresh_database().await).await;
    network.done(network.deposit(Alpha, &btc(), 1)).await;
    let somebody = Books::of(&network.database).await;
    // The batch is the one that is chosen to give way.
    somebody.run("SET deadlock_timeout = '60s'").await;
    somebody
        .run("BEGIN; SELECT * FROM balances FOR UPDATE")
        .await;
    let waiting = queued([network.store.submit(network.deposit(Alpha, &btc(), 2))]).await;
    let looker = Books::of(&network.database).await;
    let blocked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                   AND application_name = 'tidelock' AND wait_event_type = 'Lock'";
    while looker.number(blocked).await == 0 {
        tokio::task::yield_now().await;
    }
    // Now each waits for the other.
    somebody
        .run("SELECT * FROM chain_heads FOR UPDATE; ROLLBACK")
        .await;
    for answer in futures_util::future::join_all(waiting).await {
        answer.expect("a deposit");
    }
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    while looker.number(deadlocks).await == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(network.balance(&Alpha.go(&btc())).await.available, 3);
    has_no_gaps(&looker).await;
    network.is_sound().await;
}
