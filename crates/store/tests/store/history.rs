//! What a database shows is not always what is durable, nor what was acknowledged.

use store::SubmitError;
use testkit::TestDatabase;

use crate::books::Books;
use crate::fixture::{Alpha, Network, btc, open};

on_both! {
    what_was_found_is_made_durable_before_it_is_told
    a_database_that_lacks_what_was_committed_is_not_written
}

/// A process or a server that died may have left what was written and never made durable. Whoever
/// finds it must not tell of it before it is.
async fn what_was_found_is_made_durable_before_it_is_told(database: TestDatabase) {
    let network = Network::ready(database).await;
    let deposit = network.deposit(Alpha, &btc(), 100);
    let booked = network.done(deposit.clone()).await;
    network.store.clone().close().await;
    let books = Books::of(&network.database).await;
    let commits = books.commits().await;
    let probes = async || books.number("SELECT probes FROM chain_heads").await;
    assert_eq!(probes().await, 0);

    let store = open(&network.database.url, &network.clock).await;
    for _ in 0..3 {
        let again = store.submit(deposit.clone()).await.expect("the deposit");
        assert_eq!(again.id, booked.id);
        // Once is enough: from then on the connection is known to commit.
        assert_eq!(probes().await, 1);
    }
    assert_eq!(books.commits().await, commits);
    network.is_sound().await;
}

/// An old primary after a failover, or a backup under a running server.
async fn a_database_that_lacks_what_was_committed_is_not_written(database: TestDatabase) {
    let network = Network::ready(database).await;
    network.done(network.deposit(Alpha, &btc(), 100)).await;
    let books = Books::of(&network.database).await;
    let commits = books.commits().await;
    for (take, give_back) in [
        ("sequence = sequence - 1", "sequence = sequence + 1"),
        ("hash = previous", "hash = latest"),
    ] {
        let latest = "(SELECT hash FROM chain ORDER BY sequence DESC LIMIT 1)";
        let previous = "(SELECT previous_hash FROM chain ORDER BY sequence DESC LIMIT 1)";
        let set = |what: &str| {
            let what = what.replace("latest", latest);
            let what = what.replace("= previous", &format!("= {previous}"));
            format!("UPDATE chain_heads SET {what}")
        };
        books.change(&set(take)).await;
        let answer = network
            .store
            .submit(network.deposit(Alpha, &btc(), 10))
            .await;
        assert!(
            matches!(answer, Err(SubmitError::Unavailable)),
            "{answer:?}"
        );
        books.change(&set(give_back)).await;
        assert_eq!(books.commits().await, commits);
    }
    network.done(network.deposit(Alpha, &btc(), 1)).await;
    assert_eq!(network.balance(&Alpha.go(&btc())).await.available, 101);
    network.is_sound().await;
}
