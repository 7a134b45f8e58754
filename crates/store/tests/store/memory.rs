//! A store in memory, which commits in a task of the runtime it was opened in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rules::fund::BookDeposit;
use rules::operate::{Act, OpenGoAccount, PutCurrency, PutEnterprise};
use store::sql::open_in_memory;
use store::{Store, verify_with};
use uuid::Uuid;

use crate::fixture::{Alpha, ManualClock, START, amount, btc, identifier};

async fn open(name: &str) -> Store {
    let (connection, reader) = open_in_memory(name).await.expect("an open database");
    let clock = ManualClock::at(START).handle();
    Store::over(connection, reader, clock, Arc::new(draw))
}

/// Identifiers that are ours, so that it shows whose are used.
fn draw() -> Uuid {
    static DRAWN: AtomicU64 = AtomicU64::new(0);
    identifier(93, DRAWN.fetch_add(1, Ordering::Relaxed))
}

fn act(number: u64) -> Act {
    Act {
        id: identifier(90, number),
        user_id: None,
    }
}

fn currency() -> PutCurrency {
    PutCurrency {
        ticker: btc(),
        backing: "BTC".to_owned(),
        decimals: 8,
        custody_source: "vault".to_owned(),
        operator: act(1),
    }
}

async fn deposit(store: &Store, number: u64) {
    let deposited = store.submit(BookDeposit {
        id: rules::DepositId(identifier(91, number)),
        entry_id: ledger::EntryId(identifier(92, number)),
        go_account_id: Alpha.go_account(),
        currency: btc(),
        amount: amount(5),
        custody_source: "vault".to_owned(),
        external_reference: number.to_string(),
        operator: act(100 + number),
    });
    deposited.await.expect("a deposit");
}

#[tokio::test]
async fn what_one_store_has_committed_the_next_one_finds() {
    let (keeps_it, reader) = open_in_memory("found").await.expect("an open database");
    let store = open("found").await;
    assert_eq!(store.draw_id().as_bytes()[0], 93);
    store.submit(currency()).await.expect("a currency");
    let put_enterprise = PutEnterprise {
        id: Alpha.enterprise(),
        name: "Alpha".to_owned(),
        trust_org: "trust".to_owned(),
        licensed: true,
        operator: act(2),
    };
    store.submit(put_enterprise).await.expect("an enterprise");
    let open_account = OpenGoAccount {
        id: Alpha.go_account(),
        enterprise_id: Alpha.enterprise(),
        label: "main".to_owned(),
        operator: act(3),
    };
    store.submit(open_account).await.expect("a go account");
    deposit(&store, 1).await;
    store.close().await;

    let store = open("found").await;
    deposit(&store, 2).await;
    let owner = ledger::Owner::Go(Alpha.go_account());
    let balances = store.balances(&[owner]).await.expect("a list");
    assert_eq!(balances[0].balance.available, 10);
    let report = verify_with(reader).await.expect("a report");
    assert!(report.is_sound(), "{:?}", report.faults);
    assert_eq!(report.entries, 2);
    drop(keeps_it);
}

#[tokio::test]
async fn a_database_goes_with_its_last_connection() {
    let store = open("gone").await;
    store.submit(currency()).await.expect("a currency");
    let (connection, reader) = open_in_memory("gone").await.expect("an open database");
    let report = verify_with(reader).await.expect("a report");
    assert_eq!(report.commits, 1);
    drop(connection);
    store.close().await;
    let (_connection, reader) = open_in_memory("gone").await.expect("an open database");
    let report = verify_with(reader).await.expect("a report");
    assert_eq!(report.commits, 0);
}
