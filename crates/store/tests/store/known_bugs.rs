//! What ought to hold and does not yet. Whoever mends one of these takes its mark away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{join, join_all};
use ledger::{Hold, HoldId, HoldPurpose};
use rules::record::{SettlementForm, SettlementState};
use rules::{Draft, Keys};
use testkit::TestDatabase;

use crate::books::Books;
use crate::fixture::{
    Alpha, Exchange, Link, Network, amount, btc, identifier, open, party_line, queued, scripted,
};
use crate::verifying::case;

on_both! {
    #[ignore = "PostgreSQL takes no NUL in text: the whole batch is answered `Internal`"]
    text_that_one_database_does_not_take_harms_no_neighbour
    #[ignore = "its evidence is written again under the same identifier: `Unavailable`, for all in the batch"]
    a_failed_settlement_can_be_submitted_again_as_it_is
    #[ignore = "only what lies up to the head is read"]
    verification_finds_an_entry_beyond_the_head
    #[ignore = "only what lies up to the head is read"]
    verification_finds_a_head_set_back_over_what_moved_no_money
    #[ignore = "the hash leaves out enterprise_id, sealed and received_at of signed requests"]
    verification_finds_evidence_that_names_another_enterprise
    #[ignore = "it is an error that names neither table nor row"]
    verification_tells_of_a_row_that_cannot_be_read
    #[ignore = "head and balances are not read in one snapshot; takes half a minute"]
    verification_of_large_books_keeps_up_with_a_store_under_load
    #[ignore = "the one signal is lost with the caller that gave up"]
    closing_again_after_giving_up_waits_all_the_same
}

async fn text_that_one_database_does_not_take_harms_no_neighbour(database: TestDatabase) {
    let network = Network::ready(database).await;
    network.done(network.deposit(Alpha, &btc(), 100)).await;
    let books = Books::of(&network.database).await;
    let mut request = network.allocate(Link(Alpha, Exchange), 1);
    request.notes = Some("before\0after".to_owned());
    // However the queue is cut into batches, one of its two neighbours shares the batch with it.
    books.lock().await;
    let before = queued([network.store.submit(network.deposit(Alpha, &btc(), 100))]).await;
    let bad = queued([network.store.submit(request)]).await;
    let after = queued([network.store.submit(network.deposit(Alpha, &btc(), 100))]).await;
    books.unlock().await;
    let (before, (_, after)) = join(join_all(before), join(join_all(bad), join_all(after))).await;
    assert!(before[0].is_ok(), "{before:?}");
    assert!(after[0].is_ok(), "{after:?}");
}

async fn a_failed_settlement_can_be_submitted_again_as_it_is(database: TestDatabase) {
    let network = Network::ready(database).await;
    let lines = vec![party_line(Link(Alpha, Exchange), &btc(), -9)];
    let settle = network.settle(Exchange, SettlementForm::Party, lines);
    let first = network.done(settle.clone()).await;
    assert!(matches!(first.state, SettlementState::Failed { .. }));
    let again = network.done(settle).await;
    assert_eq!(again.id, first.id);
}

async fn verification_finds_an_entry_beyond_the_head(database: TestDatabase) {
    let case = case(database).await;
    let id = case.books.uuid(identifier(30, 1));
    let sql = format!(
        "INSERT INTO journal (number, commit_sequence, id, cause, subject, at)
            VALUES (5, 1, {id}, 'deposit', {id}, 0)"
    );
    case.books.change(&sql).await;
    case.is_faulty("entry 5").await;
}

async fn verification_finds_a_head_set_back_over_what_moved_no_money(database: TestDatabase) {
    let case = case(database).await;
    case.network
        .done(
            case.network
                .put_currency("ofcdoge".parse().expect("a ticker")),
        )
        .await;
    let commit = case.books.commits().await;
    let sql = format!(
        "UPDATE chain_heads SET sequence = {commit} - 1,
            hash = (SELECT previous_hash FROM chain WHERE sequence = {commit})"
    );
    case.books.change(&sql).await;
    case.is_faulty(&format!("commit {commit}")).await;
}

async fn verification_finds_evidence_that_names_another_enterprise(database: TestDatabase) {
    let case = case(database).await;
    let id = case.books.uuid(case.open.signed.request.id);
    let sql = format!("UPDATE signed_requests SET enterprise_id = 'beta' WHERE id = {id}");
    case.books.change(&sql).await;
    case.has_changed(case.commit_of(4).await).await;
}

async fn verification_tells_of_a_row_that_cannot_be_read(database: TestDatabase) {
    let case = case(database).await;
    case.books
        .change("UPDATE postings SET to_kind = 9 WHERE entry = 1")
        .await;
    case.is_faulty("entry 1").await;
}

async fn verification_of_large_books_keeps_up_with_a_store_under_load(database: TestDatabase) {
    let network = Arc::new(Network::ready(database).await);
    let closed_holds = scripted(Keys::default(), |draft: &mut Draft<'_>| {
        for number in 0..50_000 {
            draft.put(Hold {
                id: HoldId(identifier(31, number)),
                account: Alpha.go(&btc()),
                amount: amount(1),
                purpose: HoldPurpose::Allocation,
                open: false,
            });
        }
        Ok(())
    });
    network.done(closed_holds).await;
    let over = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (network, over) = (Arc::clone(&network), Arc::clone(&over));
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    network.done(network.deposit(Alpha, &btc(), 1)).await;
                }
            })
        })
        .collect();
    let report = network.verify().await;
    over.store(true, Ordering::SeqCst);
    for task in load {
        task.await.expect("no panic");
    }
    assert_eq!(report.faults, [""; 0]);
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
    drop(queued([store.close()]).await);
    other.close().await;
    // The lock of the file is free.
    open(&database.url, &clock).await.close().await;
}
