//! How the databases mean to answer every question that is asked outside of batches: no list may
//! read more than what is of whoever asks, in its order. And how SQLite means to write a row.
//!
//! The plans are those of the statements that the functions themselves make, told in the log of the
//! store. Which functions there are is read from its sources: one that is not asked here is a fault.

mod questions;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use store::sql::{MIGRATIONS, Opening, Value, open_with};
use testkit::TestDatabase;

use crate::fixture::location;

use self::questions::{Question, Whose};
use self::told::{Access, Plan, Reading};

on_both! {
    every_list_reads_the_rows_of_whoever_asks
    the_laws_read_what_waits
}

/// The sources of the functions that ask.
const SOURCES: [&str; 9] = [
    include_str!("../../src/lists.rs"),
    include_str!("../../src/lists/disputes.rs"),
    include_str!("../../src/lists/on_chain.rs"),
    include_str!("../../src/lists/windows.rs"),
    include_str!("../../src/acts.rs"),
    include_str!("../../src/proposals.rs"),
    include_str!("../../src/timers.rs"),
    include_str!("../../src/events.rs"),
    include_str!("../../src/statement.rs"),
];

/// Tables that only acts of operators make grow.
const FEW: [&str; 12] = [
    "access_tokens",
    "approval_policy",
    "chain_heads",
    "currencies",
    "enterprises",
    "go_accounts",
    "memberships",
    "partner_configurations",
    "partners",
    "signing_keys",
    "token_uses",
    "users",
];

/// By which columns the rows of a table are those of a client.
const OF_CLIENT: [(&str, &[&str]); 22] = [
    ("account_entries", &["owner_kind", "owner"]),
    ("allocations", &["client_enterprise_id"]),
    ("allocations", &["id"]),
    ("balances", &["owner_kind", "owner"]),
    ("chain", &["lane"]),
    ("connections", &["client_enterprise_id"]),
    ("connections", &["id"]),
    ("deposits", &["go_account_id"]),
    ("disputes", &["client_enterprise_id"]),
    ("disputes", &["id"]),
    ("events", &["audience"]),
    ("journal", &["number"]),
    ("journal", &["rowid"]),
    ("participations", &["client_id"]),
    ("participations", &["settlement_id", "connection_id"]),
    (
        "settlement_transfers",
        &["settlement_id", "destination_connection_id"],
    ),
    (
        "settlement_transfers",
        &["settlement_id", "source_connection_id"],
    ),
    ("settlement_transfers", &["destination_client_id"]),
    ("settlement_transfers", &["dispute_closure_id"]),
    ("settlement_transfers", &["source_client_id"]),
    ("settlements", &["id"]),
    ("withdrawals", &["go_account_id"]),
];

/// By which columns the rows of a table are those of a partner. The settlements that its transfers
/// are asked for are its own.
const OF_PARTNER: [(&str, &[&str]); 11] = [
    ("allocations", &["partner_enterprise_id"]),
    ("allocations", &["id"]),
    ("connections", &["partner_enterprise_id"]),
    ("connections", &["id"]),
    ("disputes", &["partner_enterprise_id"]),
    ("disputes", &["id"]),
    ("participations", &["settlement_id", "connection_id"]),
    ("settlement_transfers", &["settlement_id"]),
    ("settlement_transfers", &["dispute_closure_id"]),
    ("settlements", &["partner_enterprise_id"]),
    ("settlements", &["id"]),
];

/// Indexes that have nothing but what waits for something.
const WAITING: [&str; 6] = [
    "allocations_open",
    "allocations_open_of_client",
    "allocations_open_of_partner",
    "on_chain_open",
    "transfers_holding",
    "withdrawals_requested",
];

/// Whether an access reads only what is of whoever asks.
fn is_own(whose: Whose, access: &Access) -> bool {
    let among = |allowed: &[(&str, &[&str])]| {
        let Reading::By(columns) = &access.reading else {
            return false;
        };
        let has = |column: &&str| columns.iter().any(|known| known == column);
        let mut allowed = allowed.iter().filter(|(table, _)| *table == access.table);
        allowed.any(|(_, wanted)| wanted.iter().all(has))
    };
    let few = FEW.contains(&access.table.as_str());
    match whose {
        Whose::Client => among(&OF_CLIENT),
        Whose::Partner => among(&OF_PARTNER),
        Whose::Named => matches!(&access.reading, Reading::By(columns) if !columns.is_empty()),
        Whose::Operator => few || access.reading != Reading::Whole,
        Whose::Few => few,
    }
}

/// Whether all that an index gives may be sorted before anything is told.
fn may_sort(question: &Question, index: &str) -> bool {
    let by_date = ["created_since", "created_before"];
    match question.function {
        // What is open is not much; and of a period it is the period that bounds what is read.
        "allocations" => {
            index.starts_with("allocations_open_of_")
                || by_date.iter().any(|date| question.case.starts_with(date))
        }
        // What waits for a settlement, of all partners, is not much either.
        "all_waiting_transfers" => true,
        _ => matches!(question.whose, Whose::Named | Whose::Few),
    }
}

/// What is wrong with a plan.
fn faults(question: &Question, plan: &Plan) -> Vec<String> {
    let accesses = plan.accesses();
    let mut faults = match accesses.is_empty() {
        true => vec!["reads nothing".to_owned()],
        false => Vec::new(),
    };
    let strange = accesses
        .iter()
        .filter(|access| !is_own(question.whose, access));
    faults.extend(strange.map(|access| format!("{access:?}")));
    let sorted = plan.sorted();
    let sorted = sorted.iter().filter(|index| !may_sort(question, index));
    faults.extend(sorted.map(|index| format!("sorts all of {index}")));
    faults
}

async fn every_list_reads_the_rows_of_whoever_asks(database: TestDatabase) {
    let network = questions::with_history(database).await;
    let asked = questions::all(&network.store).await;
    let mut told = String::new();
    for question in &asked {
        assert!(!question.plans.is_empty(), "{question:?}");
        for plan in &question.plans {
            for fault in faults(question, plan) {
                let (function, case) = (question.function, &question.case);
                let (whose, text) = (question.whose, &plan.text);
                told.push_str(&format!(
                    "{function} ({case}) of {whose:?}: {fault}\n{text}\n\n"
                ));
            }
        }
    }
    assert!(told.is_empty(), "{told}");
    let asked: BTreeSet<&str> = asked.iter().map(|question| question.function).collect();
    let functions = SOURCES
        .iter()
        .flat_map(|source| source.split("pub async fn ").skip(1))
        .filter_map(|rest| rest.split('(').next());
    assert_eq!(asked, functions.collect());
}

/// Beside the accounts the laws read what holds something, and nothing of what is over.
async fn the_laws_read_what_waits(database: TestDatabase) {
    let network = questions::with_history(database).await;
    let plans = told::plans_of(network.store.check_laws()).await;
    let accesses = plans.iter().flat_map(Plan::accesses);
    let (of_accounts, others): (Vec<Access>, Vec<Access>) =
        accesses.partition(|access| access.table == "balances");
    assert!(!of_accounts.is_empty());
    for access in others {
        let waiting = WAITING.contains(&access.index.as_str());
        let named = matches!(access.reading, Reading::By(_));
        assert!(waiting || named, "{access:?}");
    }
}

/// A list of more than two words in the condition of an index would make one for every row.
#[tokio::test]
async fn writing_a_row_makes_no_other_table_on_sqlite() {
    let database = testkit::sqlite::fresh_file();
    let opened = open_with(&location(&database.url), Opening::default(), MIGRATIONS).await;
    let (_connection, reader) = opened.expect("a database");
    let tables = "SELECT t.name, c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
        WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%'";
    let mut columns: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mut row in reader.query(tables, Vec::new()).await.expect("the tables") {
        let (table, column) = (
            row.text(0).expect("a table"),
            row.text(1).expect("a column"),
        );
        columns.entry(table).or_default().push(column);
    }
    assert!(columns.contains_key("settlement_transfers"));
    for (table, columns) in columns {
        let values = vec!["?"; columns.len()].join(", ");
        let insert = format!(
            "EXPLAIN INSERT INTO {table} ({}) VALUES ({values})",
            columns.join(", ")
        );
        let unbound = vec![Value::Null; columns.len()];
        let steps = reader.query(&insert, unbound).await.expect("its steps");
        let steps: Vec<String> = steps
            .into_iter()
            .map(|mut step| step.text(1).expect("a step"))
            .collect();
        assert!(steps.iter().any(|step| step.contains("Insert")), "{table}");
        assert!(!steps.contains(&"OpenEphemeral".to_owned()), "{table}");
    }
}
