//! Statements and events: what accounts and enterprises are told, part by part.

use ledger::{Currency, Timestamp};
use store::{EventPlace, StatementFilter};
use testkit::TestDatabase;

use crate::fixture::{Alpha, Beta, Exchange, Link, Network, START, Who, btc, eth};

on_both! {
    a_statement_tells_every_entry_with_what_it_left
    a_statement_of_a_period_begins_where_the_one_before_ends
    events_come_in_order_and_once
    enterprises_are_told_of_their_own_events_only
}

const LINK: Link = Link(Alpha, Exchange);

fn filter() -> StatementFilter {
    StatementFilter {
        currency: None,
        since: None,
        before: None,
        after: None,
        limit: 100,
    }
}

async fn work(network: &Network) {
    network.done(network.deposit(Alpha, &btc(), 100)).await;
    network.done(network.deposit(Alpha, &eth(), 5)).await;
    let cleared = network.allocate(LINK, 30);
    network.done(cleared.clone()).await;
    network.done(network.clear(cleared.id)).await;
}

/// Cause, currency, available, held.
async fn told(network: &Network, filter: &StatementFilter) -> Vec<(String, Currency, i128, i128)> {
    let owner = Alpha.go(&btc()).owner;
    let statement = network.store.statement(owner, filter).await;
    let lines = statement.expect("a statement").lines;
    let told = lines.into_iter().map(|line| {
        let balance = line.balance;
        (line.cause, line.currency, balance.available, balance.held)
    });
    told.collect()
}

async fn a_statement_tells_every_entry_with_what_it_left(database: TestDatabase) {
    let network = Network::ready(database).await;
    work(&network).await;
    let all = told(&network, &filter()).await;
    assert_eq!(
        all,
        [
            ("deposit".to_owned(), btc(), 100, 0),
            ("deposit".to_owned(), eth(), 5, 0),
            ("allocation_reserved".to_owned(), btc(), 70, 30),
            ("allocation_cleared".to_owned(), btc(), 70, 0),
        ]
    );
    // Line by line it is the same.
    let mut one_by_one = Vec::new();
    let mut after = None;
    loop {
        let part = StatementFilter {
            after,
            limit: 1,
            ..filter()
        };
        let owner = Alpha.go(&btc()).owner;
        let part = network.store.statement(owner, &part).await.expect("a part");
        assert_eq!(part.lines.len(), 1);
        let line = part.lines[0].clone();
        after = Some((line.entry, line.currency.clone()));
        let balance = line.balance;
        one_by_one.push((line.cause, line.currency, balance.available, balance.held));
        if !part.goes_on {
            break;
        }
    }
    assert_eq!(one_by_one, all);
    let in_ether = StatementFilter {
        currency: Some(eth()),
        ..filter()
    };
    assert_eq!(told(&network, &in_ether).await.len(), 1);
    // The connection has one, too.
    let owner = LINK.net(&btc()).owner;
    let statement = network.store.statement(owner, &filter()).await;
    let lines = statement.expect("a statement").lines;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].balance.available, 30);
}

async fn a_statement_of_a_period_begins_where_the_one_before_ends(database: TestDatabase) {
    let network = Network::ready(database).await;
    work(&network).await;
    network.clock.pass_seconds(3_600);
    let later = network.clock.now();
    network.done(network.allocate(LINK, 20)).await;
    let before = StatementFilter {
        before: Some(later),
        ..filter()
    };
    assert_eq!(told(&network, &before).await.len(), 4);
    let since = StatementFilter {
        since: Some(later),
        ..filter()
    };
    let owner = Alpha.go(&btc()).owner;
    let statement = network.store.statement(owner, &since).await;
    let statement = statement.expect("a statement");
    assert_eq!(statement.lines.len(), 1);
    let opening = statement.before[&btc()];
    assert_eq!((opening.available, opening.held), (70, 0));
    let after_all = StatementFilter {
        since: Some(Timestamp(START.0 + 86_400_000_000)),
        ..filter()
    };
    assert_eq!(told(&network, &after_all).await.len(), 0);
}

async fn feed(network: &Network, who: Who, limit: u32) -> Vec<String> {
    let mut kinds = Vec::new();
    let mut after = EventPlace::default();
    loop {
        let client = Some(who.client());
        let feed = network
            .store
            .events(&who.enterprise(), client, after, limit)
            .await;
        let feed = feed.expect("a feed");
        assert!(feed.next >= after);
        after = feed.next;
        kinds.extend(feed.events.into_iter().map(|event| event.kind));
        if !feed.goes_on {
            return kinds;
        }
    }
}

async fn events_come_in_order_and_once(database: TestDatabase) {
    let network = Network::ready(database).await;
    let before = feed(&network, Alpha, 100).await;
    work(&network).await;
    let all = feed(&network, Alpha, 100).await;
    assert_eq!(all[..before.len()], before);
    assert_eq!(
        all[before.len()..],
        ["allocation.reserved", "allocation.cleared"]
    );
    for limit in [1, 2, 3] {
        assert_eq!(feed(&network, Alpha, limit).await, all);
    }
}

async fn enterprises_are_told_of_their_own_events_only(database: TestDatabase) {
    let network = Network::ready(database).await;
    let before = feed(&network, Beta, 100).await;
    work(&network).await;
    assert_eq!(feed(&network, Beta, 100).await, before);
    let partner = feed(&network, Exchange, 100).await;
    assert!(partner.ends_with(&[
        "allocation.reserved".to_owned(),
        "allocation.cleared".to_owned()
    ]));
}
