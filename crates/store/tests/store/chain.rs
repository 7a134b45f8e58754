//! The chain of commits and the journal: without gaps, and never back in time.

use ledger::Timestamp;
use store::ActFilter;
use testkit::TestDatabase;

use crate::books::Books;
use crate::fixture::{ALL, Alpha, Exchange, Link, ManualClock, Network, START, btc, open};

on_both! {
    commits_and_entries_are_numbered_without_gaps
    time_never_runs_backwards
    every_balance_names_the_entry_that_last_moved_it
}

/// Checks that commits and entries are numbered from 1 and lie in the order of their time.
pub(crate) async fn has_no_gaps(books: &Books) {
    let sequences = books
        .numbers("SELECT sequence FROM chain ORDER BY sequence")
        .await;
    let commits = i64::try_from(sequences.len()).expect("a number");
    assert!(sequences.into_iter().eq(1..=commits));
    let head = "SELECT sequence FROM chain_heads";
    assert_eq!(books.number(head).await, commits);

    let numbers = books
        .numbers("SELECT number FROM journal ORDER BY number")
        .await;
    let entries = i64::try_from(numbers.len()).expect("a number");
    assert!(numbers.into_iter().eq(1..=entries));
    assert_eq!(
        books.number("SELECT last_entry FROM chain_heads").await,
        entries
    );

    // Every commit begins where the one before it ended.
    let broken = "SELECT count(*) FROM chain a JOIN chain b ON b.sequence = a.sequence + 1
        WHERE b.first_entry <> a.last_entry + 1 OR b.time_us < a.time_us
            OR b.previous_hash <> a.hash";
    assert_eq!(books.number(broken).await, 0);
}

async fn commits_and_entries_are_numbered_without_gaps(database: TestDatabase) {
    let network = Network::ready(database).await;
    for _ in 0..10 {
        network.done(network.deposit(Alpha, &btc(), 10)).await;
        network
            .refused(network.withdraw(Alpha, &btc(), 1_000))
            .await;
        let deposits = (0..5).map(|_| network.deposit(Alpha, &btc(), 1));
        network.all_done(deposits).await;
    }
    let books = Books::of(&network.database).await;
    has_no_gaps(&books).await;
    let report = network.verify().await;
    assert_eq!(
        (report.commits, report.entries),
        (books.commits().await, 60)
    );
}

async fn time_never_runs_backwards(database: TestDatabase) {
    let network = Network::ready(database).await;
    network.clock.set(START.plus_seconds(100));
    let first = network.done(network.deposit(Alpha, &btc(), 1)).await;
    assert_eq!(first.created_at, START.plus_seconds(100));

    // The clock jumps back while the process runs …
    network.clock.set(START.plus_seconds(50));
    let second = network.done(network.deposit(Alpha, &btc(), 1)).await;
    assert_eq!(second.created_at, START.plus_seconds(100));

    // … or another process with a clock that is behind takes over.
    let Network {
        store, database, ..
    } = network;
    store.close().await;
    let behind = ManualClock::at(Timestamp(0));
    let store = open(&database.url, &behind).await;
    assert_eq!(store.now(), Timestamp(0));
    let network = Network::reopened(store, behind.clone(), database);
    let third = network.done(network.deposit(Alpha, &btc(), 1)).await;
    assert_eq!(third.created_at, START.plus_seconds(100));
    behind.set(START.plus_seconds(101));
    let fourth = network.done(network.deposit(Alpha, &btc(), 1)).await;
    assert_eq!(fourth.created_at, START.plus_seconds(101));

    has_no_gaps(&Books::of(&network.database).await).await;
    let acts = network.store.operator_acts(ActFilter::default(), ALL).await;
    let acts = acts.expect("a list");
    assert!(acts.is_sorted_by(|later, earlier| later.act.at >= earlier.act.at));
    network.is_sound().await;
}

async fn every_balance_names_the_entry_that_last_moved_it(database: TestDatabase) {
    let network = Network::ready(database).await;
    network.funded(Link(Alpha, Exchange), &btc(), 10).await;
    network
        .all_done((0..7).map(|_| network.deposit(Alpha, &btc(), 1)))
        .await;
    let books = Books::of(&network.database).await;
    let wrong = "SELECT count(*) FROM balances b WHERE b.entry <> (SELECT max(p.entry)
        FROM postings p WHERE p.currency = b.currency
            AND ((p.from_kind = b.owner_kind AND p.from_owner = b.owner)
                OR (p.to_kind = b.owner_kind AND p.to_owner = b.owner)))";
    assert_eq!(books.number(wrong).await, 0);
}
