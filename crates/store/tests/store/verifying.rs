//! Verification finds what was changed behind the store's back, and nothing where nothing was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ledger::{Hold, HoldId, HoldPurpose};
use rules::allocate::Reserve;
use rules::{Draft, Keys};
use store::Report;
use testkit::TestDatabase;

use crate::books::Books;
use crate::fixture::{Alpha, Exchange, Link, Network, amount, btc, identifier, scripted};

on_both! {
    sound_books_are_found_sound
    an_empty_database_is_sound
    it_runs_beside_a_store_under_load
    large_books_of_a_store_under_load
    an_altered_posting
    a_redirected_posting
    a_removed_posting
    an_altered_cause
    a_deleted_entry
    the_deleted_last_entry
    an_altered_balance
    an_altered_line_of_a_statement
    a_removed_line_of_a_statement
    an_added_balance
    a_removed_balance
    value_made_on_two_accounts
    an_altered_signature
    an_altered_payload
    a_deleted_signed_request
    an_altered_hash
    an_altered_time
    a_removed_commit
    the_removed_last_commit
    a_head_set_back
    a_head_of_another_time
    a_posting_that_nothing_covers
    a_removed_hold
    a_reopened_hold
    an_entry_beyond_the_head
    a_posting_beyond_the_head
    an_entry_before_the_first
    evidence_beyond_the_head
    a_head_out_of_reach
    a_head_set_back_over_what_moved_no_money
    evidence_that_names_another_enterprise
    evidence_that_came_at_another_time
    evidence_that_is_said_to_be_sealed
    an_entry_that_names_another_commit
    a_balance_that_names_another_entry
    a_posting_that_cannot_be_read
    other_rows_that_cannot_be_read
    values_that_are_none
    a_chain_without_a_head
}

const LINK: Link = Link(Alpha, Exchange);

/// A network with entries of every sort, the handles on it, and what it reserved last.
pub(crate) struct Case {
    pub(crate) network: Network,
    pub(crate) books: Books,
    pub(crate) open: Reserve,
    pub(crate) cleared: Reserve,
}

/// Deposits, an open reservation and a cleared one: entries 1 to 4, in this order.
pub(crate) async fn case(database: TestDatabase) -> Case {
    let network = Network::ready(database).await;
    network.done(network.deposit(Alpha, &btc(), 100)).await;
    let cleared = network.allocate(LINK, 30);
    network.done(cleared.clone()).await;
    network.done(network.clear(cleared.id)).await;
    let open = network.allocate(LINK, 20);
    network.done(open.clone()).await;
    network.is_sound().await;
    let books = Books::of(&network.database).await;
    Case {
        network,
        books,
        open,
        cleared,
    }
}

impl Case {
    pub(crate) async fn commit_of(&self, entry: i64) -> i64 {
        let sql = format!("SELECT commit_sequence FROM journal WHERE number = {entry}");
        self.books.number(&sql).await
    }

    /// Checks that some fault says `telling`.
    pub(crate) async fn is_faulty(&self, telling: &str) -> Report {
        let report = self.network.verify().await;
        let told = report.faults.iter().any(|fault| fault.contains(telling));
        assert!(told, "{telling:?} is not among {:#?}", report.faults);
        assert!(!report.is_sound());
        report
    }

    /// Checks that the faults say that what this commit took in was changed, and no other.
    pub(crate) async fn has_changed(&self, commit: i64) {
        let report = self
            .is_faulty(&format!("commit {commit} was changed"))
            .await;
        let changed = report
            .faults
            .iter()
            .filter(|fault| fault.contains("was changed"));
        assert_eq!(changed.count(), 1, "{:?}", report.faults);
    }
}

fn go() -> String {
    format!("go account {} available ofcbtc", Alpha.go_account())
}

async fn sound_books_are_found_sound(database: TestDatabase) {
    let case = case(database).await;
    let report = case.network.verify().await;
    assert!(report.is_sound());
    assert_eq!(report.commits, case.books.commits().await);
    // Custody, the Go Account, the connection's account.
    assert_eq!(
        (report.entries, report.accounts, report.open_holds),
        (4, 3, 1)
    );
    assert_eq!(report.last_hash.len(), 64);
    assert_eq!(case.network.verify().await, report);
    case.network
        .done(case.network.deposit(Alpha, &btc(), 1))
        .await;
    assert_ne!(case.network.verify().await.last_hash, report.last_hash);
}

async fn an_empty_database_is_sound(database: TestDatabase) {
    let network = Network::bare(database).await;
    let expected = Report {
        last_hash: "0".repeat(64),
        ..Report::default()
    };
    assert_eq!(network.verify().await, expected);
}

async fn it_runs_beside_a_store_under_load(database: TestDatabase) {
    let network = Arc::new(Network::ready(database).await);
    network
        .done(network.deposit(Alpha, &btc(), 1_000_000))
        .await;
    let over = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = (0..8)
        .map(|_| {
            let (network, over) = (Arc::clone(&network), Arc::clone(&over));
            tokio::spawn(async move {
                for _ in 0..25 {
                    let placed = network.done(network.allocate(LINK, 1)).await;
                    network.done(network.clear(placed.allocation.id)).await;
                }
                while !over.load(Ordering::SeqCst) {
                    network.done(network.deposit(Alpha, &btc(), 1)).await;
                }
            })
        })
        .collect();
    let mut entries = 0;
    for _ in 0..5 {
        let report = network.verify().await;
        assert_eq!(report.faults, [""; 0]);
        assert!(report.entries >= entries);
        entries = report.entries;
    }
    over.store(true, Ordering::SeqCst);
    for task in load {
        task.await.expect("no panic");
    }
    assert!(network.verify().await.entries > entries);
}

async fn an_altered_posting(database: TestDatabase) {
    let case = case(database).await;
    let units = case.books.amount(101);
    let sql = format!("UPDATE postings SET amount = {units} WHERE entry = 1");
    case.books.change(&sql).await;
    case.has_changed(case.commit_of(1).await).await;
    case.is_faulty(&format!("{} is stored as", go())).await;
}

async fn a_redirected_posting(database: TestDatabase) {
    let case = case(database).await;
    let other = case.books.uuid(crate::fixture::Beta.go_account().0);
    let sql = format!("UPDATE postings SET to_owner = {other} WHERE entry = 1");
    case.books.change(&sql).await;
    case.has_changed(case.commit_of(1).await).await;
}

async fn a_removed_posting(database: TestDatabase) {
    let case = case(database).await;
    case.books
        .change("DELETE FROM postings WHERE entry = 3")
        .await;
    case.has_changed(case.commit_of(3).await).await;
}

async fn an_altered_cause(database: TestDatabase) {
    let case = case(database).await;
    let sql = "UPDATE journal SET cause = 'allocation_released' WHERE number = 3";
    case.books.change(sql).await;
    case.has_changed(case.commit_of(3).await).await;
}

async fn a_deleted_entry(database: TestDatabase) {
    let case = case(database).await;
    let commit = case.commit_of(2).await;
    case.books
        .change("DELETE FROM journal WHERE number = 2")
        .await;
    case.is_faulty("entry 2 is missing from the journal").await;
    case.is_faulty("a posting names entry 2, which is missing")
        .await;
    case.has_changed(commit).await;
}

async fn the_deleted_last_entry(database: TestDatabase) {
    let case = case(database).await;
    case.books
        .change("DELETE FROM postings WHERE entry = 4")
        .await;
    case.books
        .change("DELETE FROM journal WHERE number = 4")
        .await;
    case.is_faulty("entry 4 is missing from the journal").await;
    case.is_faulty("counts 4 entries, the journal has 3").await;
}

async fn an_altered_balance(database: TestDatabase) {
    let case = case(database).await;
    let (units, owner) = (case.books.amount(51), case.books.uuid(Alpha.go_account().0));
    let sql = format!("UPDATE balances SET available = {units} WHERE owner = {owner}");
    case.books.change(&sql).await;
    let report = case.is_faulty(&format!("{} is stored as", go())).await;
    assert!(report.faults[0].contains("available: 51") && report.faults[0].contains("50"));
    case.is_faulty("ofcbtc: all accounts together hold 1, not zero")
        .await;
}

async fn an_altered_line_of_a_statement(database: TestDatabase) {
    let case = case(database).await;
    let units = case.books.amount(51);
    let sql = format!(
        "UPDATE account_entries SET available = {units} WHERE owner_kind = 1 AND entry = 2"
    );
    case.books.change(&sql).await;
    case.is_faulty(&format!(
        "the statement of {} is not what the journal says",
        go()
    ))
    .await;
}

async fn a_removed_line_of_a_statement(database: TestDatabase) {
    let case = case(database).await;
    case.books
        .change("DELETE FROM account_entries WHERE owner_kind = 1 AND entry = 2")
        .await;
    case.is_faulty(&format!(
        "the statement of {} is not what the journal says",
        go()
    ))
    .await;
}

async fn an_added_balance(database: TestDatabase) {
    let case = case(database).await;
    let owner = case.books.uuid(crate::fixture::Beta.go_account().0);
    let (some, none) = (case.books.amount(7), case.books.amount(0));
    let sql = format!("INSERT INTO balances VALUES (1, {owner}, 'ofcbtc', {some}, {none}, 1)");
    case.books.change(&sql).await;
    let account = crate::fixture::Beta.go(&btc()).available();
    case.is_faulty(&format!("{account} has a balance but no entry"))
        .await;
}

async fn a_removed_balance(database: TestDatabase) {
    let case = case(database).await;
    case.books
        .change("DELETE FROM balances WHERE owner_kind = 2")
        .await;
    let account = LINK.net(&btc()).available();
    case.is_faulty(&format!("{account} is stored as")).await;
}

/// Neither conservation nor any other law of balances alone could find this.
async fn value_made_on_two_accounts(database: TestDatabase) {
    let case = case(database).await;
    let (more, less) = (case.books.amount(1_050), case.books.amount(-1_100));
    let sql = format!("UPDATE balances SET available = {more} WHERE owner_kind = 1");
    case.books.change(&sql).await;
    let sql = format!("UPDATE balances SET available = {less} WHERE owner_kind = 0");
    case.books.change(&sql).await;
    let report = case.is_faulty(&format!("{} is stored as", go())).await;
    assert_eq!(report.faults.len(), 2, "{:?}", report.faults);
    case.is_faulty("custody available ofcbtc is stored as")
        .await;
}

async fn an_altered_signature(database: TestDatabase) {
    let case = case(database).await;
    let id = case.books.uuid(case.open.signed.request.id);
    let sql = format!("UPDATE signed_requests SET signature = 'forged' WHERE id = {id}");
    case.books.change(&sql).await;
    case.has_changed(case.commit_of(4).await).await;
}

async fn an_altered_payload(database: TestDatabase) {
    let case = case(database).await;
    let id = case.books.uuid(case.cleared.signed.request.id);
    let payload = case.books.bytes("00");
    let sql = format!("UPDATE signed_requests SET payload = {payload} WHERE id = {id}");
    case.books.change(&sql).await;
    case.has_changed(case.commit_of(2).await).await;
}

async fn a_deleted_signed_request(database: TestDatabase) {
    let case = case(database).await;
    let id = case.books.uuid(case.cleared.signed.request.id);
    case.books
        .change(&format!("DELETE FROM signed_requests WHERE id = {id}"))
        .await;
    case.has_changed(case.commit_of(2).await).await;
}

async fn an_altered_hash(database: TestDatabase) {
    let case = case(database).await;
    let (commit, hash) = (case.commit_of(2).await, case.books.bytes(&"ab".repeat(32)));
    let sql = format!("UPDATE chain SET hash = {hash} WHERE sequence = {commit}");
    case.books.change(&sql).await;
    case.has_changed(commit).await;
    let next = format!(
        "commit {} does not follow from the one before it",
        commit + 1
    );
    case.is_faulty(&next).await;
}

async fn an_altered_time(database: TestDatabase) {
    let case = case(database).await;
    let commit = case.commit_of(2).await;
    let sql = format!("UPDATE chain SET time_us = time_us + 1 WHERE sequence = {commit}");
    case.books.change(&sql).await;
    case.is_faulty("entry 2 bears another time than its commit")
        .await;
    case.has_changed(commit).await;
}

async fn a_removed_commit(database: TestDatabase) {
    let case = case(database).await;
    let commit = case.commit_of(2).await;
    case.books
        .change(&format!("DELETE FROM chain WHERE sequence = {commit}"))
        .await;
    case.is_faulty(&format!("commit {commit} is missing from the chain"))
        .await;
    case.is_faulty(&format!(
        "a signed request names commit {commit}, which is missing"
    ))
    .await;
    let deposited = case.commit_of(1).await;
    case.books
        .change(&format!("DELETE FROM chain WHERE sequence = {deposited}"))
        .await;
    case.is_faulty(&format!(
        "(book_deposit) names commit {deposited}, which is missing"
    ))
    .await;
}

async fn the_removed_last_commit(database: TestDatabase) {
    let case = case(database).await;
    let commit = case.commit_of(4).await;
    case.books
        .change(&format!("DELETE FROM chain WHERE sequence = {commit}"))
        .await;
    case.is_faulty("the head of the chain does not bear the hash of its last commit")
        .await;
}

/// The last commit cut off and the head made to fit: the rest of the books still tells.
async fn a_head_set_back(database: TestDatabase) {
    let case = case(database).await;
    let commit = case.commit_of(4).await;
    let sql = format!(
        "UPDATE chain_heads SET sequence = {commit} - 1, last_entry = 3,
            hash = (SELECT previous_hash FROM chain WHERE sequence = {commit})"
    );
    case.books.change(&sql).await;
    case.is_faulty(&format!("{} is stored as", go())).await;
}

async fn a_head_of_another_time(database: TestDatabase) {
    let case = case(database).await;
    case.books
        .change("UPDATE chain_heads SET time_us = time_us + 1")
        .await;
    let report = case
        .is_faulty("the head of the chain does not bear the time of its last commit")
        .await;
    assert_eq!(report.faults.len(), 1, "{:?}", report.faults);
}

/// What is taken from an account that has not got it.
async fn a_posting_that_nothing_covers(database: TestDatabase) {
    let case = case(database).await;
    let units = case.books.amount(101);
    let sql = format!("UPDATE postings SET amount = {units} WHERE entry = 4");
    case.books.change(&sql).await;
    case.is_faulty(&format!(
        "entry 4 (allocation_reserved): {} would hold -31",
        go()
    ))
    .await;
}

async fn a_removed_hold(database: TestDatabase) {
    let case = case(database).await;
    let id = case.books.uuid(case.open.id.0);
    case.books
        .change(&format!("DELETE FROM holds WHERE id = {id}"))
        .await;
    let report = case
        .is_faulty("holds 20 but its open holds add up to 0")
        .await;
    let whose = Alpha.go_account().0.to_string();
    assert!(report.faults[0].contains(&whose), "{:?}", report.faults);
}

async fn a_reopened_hold(database: TestDatabase) {
    let case = case(database).await;
    let (id, open) = (case.books.uuid(case.cleared.id.0), case.books.boolean(true));
    case.books
        .change(&format!(
            "UPDATE holds SET is_open = {open} WHERE id = {id}"
        ))
        .await;
    case.is_faulty("holds 20 but its open holds add up to 50")
        .await;
}

async fn an_entry_beyond_the_head(database: TestDatabase) {
    let case = case(database).await;
    let id = case.books.uuid(identifier(30, 1));
    let sql = format!(
        "INSERT INTO journal (number, commit_sequence, id, cause, subject, at)
            VALUES (5, 1, {id}, 'deposit', {id}, 0)"
    );
    case.books.change(&sql).await;
    case.is_faulty("entry 5").await;
}

async fn a_posting_beyond_the_head(database: TestDatabase) {
    let case = case(database).await;
    let sql = "INSERT INTO postings SELECT 7, position, currency, amount, from_kind, from_owner,
        from_bucket, to_kind, to_owner, to_bucket FROM postings WHERE entry = 1";
    case.books.change(sql).await;
    case.is_faulty(
        "rows of postings that no commit up to the head took in: 1, the first of entry 7",
    )
    .await;
}

async fn an_entry_before_the_first(database: TestDatabase) {
    let case = case(database).await;
    let id = case.books.uuid(identifier(30, 1));
    let sql = format!(
        "INSERT INTO journal (number, commit_sequence, id, cause, subject, at)
            VALUES (0, 1, {id}, 'deposit', {id}, 0)"
    );
    case.books.change(&sql).await;
    case.is_faulty("entry 0").await;
}

async fn evidence_beyond_the_head(database: TestDatabase) {
    let case = case(database).await;
    let commit = case.commit_of(4).await;
    let id = case.books.uuid(case.open.signed.request.id);
    let sql = format!("UPDATE signed_requests SET commit_sequence = 1000 WHERE id = {id}");
    case.books.change(&sql).await;
    case.is_faulty("the first of commit 1000").await;
    case.has_changed(commit).await;
}

/// No number that was tampered with keeps a verification busy for ever.
async fn a_head_out_of_reach(database: TestDatabase) {
    let case = case(database).await;
    let commits = case.books.commits().await;
    let sql = format!(
        "UPDATE chain_heads SET sequence = {0}, last_entry = {0}",
        i64::MAX
    );
    case.books.change(&sql).await;
    let sql = format!(
        "UPDATE chain SET last_entry = {} WHERE sequence = {commits}",
        i64::MAX
    );
    case.books.change(&sql).await;
    case.has_changed(commits).await;
    case.is_faulty(&format!(
        "entries 5 to {} are missing from the journal",
        i64::MAX
    ))
    .await;
    let gap = format!("commits {} to {} are missing", commits + 1, i64::MAX);
    case.is_faulty(&gap).await;
    let sql = format!(
        "UPDATE chain SET sequence = {} WHERE sequence = {commits}",
        i64::MAX
    );
    case.books.change(&sql).await;
    case.is_faulty(&format!(
        "commits {commits} to {} are missing",
        i64::MAX - 1
    ))
    .await;
}

async fn a_head_set_back_over_what_moved_no_money(database: TestDatabase) {
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

async fn evidence_that_names_another_enterprise(database: TestDatabase) {
    let case = case(database).await;
    let id = case.books.uuid(case.open.signed.request.id);
    let sql = format!("UPDATE signed_requests SET enterprise_id = 'beta' WHERE id = {id}");
    case.books.change(&sql).await;
    case.has_changed(case.commit_of(4).await).await;
}

async fn evidence_that_came_at_another_time(database: TestDatabase) {
    let case = case(database).await;
    let id = case.books.uuid(case.open.signed.request.id);
    let sql = format!("UPDATE signed_requests SET received_at = received_at + 1 WHERE id = {id}");
    case.books.change(&sql).await;
    case.has_changed(case.commit_of(4).await).await;
}

async fn evidence_that_is_said_to_be_sealed(database: TestDatabase) {
    let case = case(database).await;
    let (id, sealed) = (
        case.books.uuid(case.open.signed.request.id),
        case.books.boolean(true),
    );
    let sql = format!("UPDATE signed_requests SET sealed = {sealed} WHERE id = {id}");
    case.books.change(&sql).await;
    case.has_changed(case.commit_of(4).await).await;
}

async fn an_entry_that_names_another_commit(database: TestDatabase) {
    let case = case(database).await;
    let commit = case.commit_of(3).await;
    case.books
        .change("UPDATE journal SET commit_sequence = 1 WHERE number = 3")
        .await;
    case.is_faulty(&format!(
        "entry 3 names commit 1, but commit {commit} took it in"
    ))
    .await;
}

async fn a_balance_that_names_another_entry(database: TestDatabase) {
    let case = case(database).await;
    case.books
        .change("UPDATE balances SET entry = 2 WHERE owner_kind = 1")
        .await;
    let fault = format!(
        "{} is stored as moved last by entry 2, the journal says 4",
        go()
    );
    let report = case.is_faulty(&fault).await;
    assert_eq!(report.faults.len(), 1, "{:?}", report.faults);
}

async fn a_posting_that_cannot_be_read(database: TestDatabase) {
    let case = case(database).await;
    case.books
        .change("UPDATE postings SET to_kind = 9 WHERE entry = 1")
        .await;
    case.is_faulty("postings (entry 1, position 0) cannot be read")
        .await;
    case.has_changed(case.commit_of(1).await).await;
}

async fn other_rows_that_cannot_be_read(database: TestDatabase) {
    let case = case(database).await;
    let books = &case.books;
    let request = case.open.signed.request.id;
    let id = books.uuid(request);
    let sql = format!("UPDATE signed_requests SET enterprise_id = '' WHERE id = {id}");
    books.change(&sql).await;
    books
        .change("UPDATE balances SET currency = '?' WHERE owner_kind = 1")
        .await;
    let sql = format!(
        "UPDATE holds SET purpose = '?' WHERE id = {}",
        books.uuid(case.open.id.0)
    );
    books.change(&sql).await;
    case.is_faulty(&format!("signed_requests (id {request}) cannot be read"))
        .await;
    let owner = Alpha.go_account().0;
    case.is_faulty(&format!(
        "balances (owner_kind 1, owner {owner}, currency ?) cannot be read"
    ))
    .await;
    case.is_faulty(&format!("holds (id {}) cannot be read", case.open.id.0))
        .await;
    case.has_changed(case.commit_of(4).await).await;
}

/// What the database itself lets through, though it is no value of its kind.
async fn values_that_are_none(database: TestDatabase) {
    let case = case(database).await;
    let sql = match case.books {
        Books::Sqlite(_) => "UPDATE journal SET cause = CAST(x'ff' AS TEXT) WHERE number = 2",
        Books::Postgres(_) => "UPDATE postings SET amount = 'NaN' WHERE entry = 2",
    };
    case.books.change(sql).await;
    let fault = match case.books {
        Books::Sqlite(_) => "journal (number 2) cannot be read",
        Books::Postgres(_) => "postings (entry 2, position 0) cannot be read",
    };
    case.is_faulty(fault).await;
    case.has_changed(case.commit_of(2).await).await;
}

async fn a_chain_without_a_head(database: TestDatabase) {
    let case = case(database).await;
    case.books.change("DELETE FROM chain_heads").await;
    case.is_faulty("the chain has no head in chain_heads: nothing can be verified")
        .await;
}

async fn large_books_of_a_store_under_load(database: TestDatabase) {
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
