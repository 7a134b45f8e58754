//! A database that an earlier version of the program made, opened by this one.
//!
//! `upgrading/NNNN.DATABASE.sql` is what a database held after it had been worked on with the
//! migrations up to NNNN, as statements that fill an empty one of that version. With
//! TIDELOCK_WRITE_FIXTURES set, the file of the newest version is written anew; commit it with the
//! migration, for the next one makes it history. The first version had no records to work with.

use std::{fmt::Write as _, fs, path::PathBuf};

use store::sql::{MIGRATIONS, Opening, Reader, Row, Value, open_reader, open_with};
use testkit::TestDatabase;

use crate::fixture::{Alpha, Exchange, Link, ManualClock, Network, START, btc, location, open};

on_both! {
    a_database_of_every_earlier_version_is_brought_up_to_date
}

const LINK: Link = Link(Alpha, Exchange);

fn kind(database: &TestDatabase) -> &'static str {
    match database.folder() {
        Some(_) => "sqlite",
        None => "postgres",
    }
}

/// The file of the version that has so many migrations.
fn fixture(count: usize, kind: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/store/upgrading");
    PathBuf::from(folder).join(format!("{count:04}.{kind}.sql"))
}

/// Brings a database to the version that has so many migrations.
async fn bring(database: &TestDatabase, count: usize) -> Reader {
    let place = location(&database.url);
    let opened = open_with(&place, Opening::default(), &MIGRATIONS[..count]).await;
    opened.expect("a database of that version").1
}

/// A database that was worked on with so many migrations, or with fewer if no version had that
/// many: such a version was never but a step on the way.
async fn left_behind(count: usize, kind: &str) -> TestDatabase {
    let mut counts = (1..=count).rev();
    let made = counts.find(|count| fixture(*count, kind).exists());
    let made = made.expect("a fixture");
    let database = fresh(kind).await;
    drop(bring(&database, made).await);
    let statements = fs::read_to_string(fixture(made, kind)).expect("the fixture");
    database.execute(&statements).await;
    drop(bring(&database, count).await);
    database
}

/// One of each for as little as can be verified: money in, held, cleared, released, still held.
async fn work(network: &Network) {
    network.done(network.deposit(Alpha, &btc(), 100)).await;
    let cleared = network.allocate(LINK, 30);
    network.done(cleared.clone()).await;
    network.done(network.clear(cleared.id)).await;
    network.done(network.allocate(LINK, 20)).await;
}

async fn a_database_of_every_earlier_version_is_brought_up_to_date(newest: TestDatabase) {
    let kind = kind(&newest);
    if writes_fixtures() {
        let first = fresh(kind).await;
        write(1, kind, &dump(&bring(&first, 1).await, kind).await);
        let network = Network::ready(newest).await;
        work(&network).await;
        let reader = open_reader(&location(&network.database.url), 1).await;
        let statements = dump(&reader.expect("a reader"), kind).await;
        write(MIGRATIONS.len(), kind, &statements);
    }
    for version in 1..=MIGRATIONS.len() {
        let database = left_behind(version, kind).await;
        let clock = ManualClock::at(START);
        let store = open(&database.url, &clock).await;
        let network = Network::reopened(store, clock, database);
        let report = network.verify().await;
        assert_eq!(report.faults, [""; 0], "version {version}");
        if version == 1 {
            // It had no records at all.
            assert_eq!(report.commits, 0);
            continue;
        }
        assert!(report.commits > 10, "version {version}: {report:?}");
        assert_eq!((report.entries, report.open_holds), (4, 1));
        // It goes on: with what was held before, and with something new.
        let held = network
            .store
            .reserved_allocations(crate::fixture::ALL)
            .await;
        let held = held.expect("a list").pop().expect("one that waits");
        network.done(network.clear(held.id)).await;
        network.done(network.allocate(LINK, 7)).await;
        let report = network.verify().await;
        assert_eq!(report.faults, [""; 0], "version {version}");
        assert_eq!((report.entries, report.open_holds), (6, 1));
    }
}

fn writes_fixtures() -> bool {
    std::env::var_os("TIDELOCK_WRITE_FIXTURES").is_some()
}

fn write(count: usize, kind: &str, statements: &str) {
    let file = fixture(count, kind);
    fs::create_dir_all(file.parent().expect("a folder")).expect("the folder");
    fs::write(file, statements).expect("the fixture");
}

async fn fresh(kind: &str) -> TestDatabase {
    match kind {
        "sqlite" => testkit::sqlite::fresh_file(),
        _ => testkit::postgres::fresh_database().await,
    }
}

/// Statements that fill a database of the same schema with what this one holds.
async fn dump(reader: &Reader, kind: &str) -> String {
    let tables = match kind {
        "sqlite" => "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
        _ => {
            "SELECT table_name::text FROM information_schema.tables
                WHERE table_schema = 'public' ORDER BY table_name"
        }
    };
    let mut statements = String::new();
    for mut row in read(reader, tables).await {
        let table = row.text(0).expect("a name");
        let _ = writeln!(statements, "DELETE FROM {table};");
        for row in read(reader, &format!("SELECT * FROM {table}")).await {
            let values: Vec<String> = values(row)
                .into_iter()
                .map(|value| literal(value, kind))
                .collect();
            let _ = writeln!(
                statements,
                "INSERT INTO {table} VALUES ({});",
                values.join(", ")
            );
        }
    }
    statements
}

async fn read(reader: &Reader, sql: &str) -> Vec<Row> {
    reader.query(sql, Vec::new()).await.expect(sql)
}

fn values(row: Row) -> Vec<Value> {
    row.into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn literal(value: Value, kind: &str) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Text(text) => format!("'{}'", text.replace('\'', "''")),
        Value::Bytes(bytes) if kind == "sqlite" => format!("x'{}'", hex(&bytes)),
        Value::Bytes(bytes) => format!("'\\x{}'", hex(&bytes)),
        Value::Uuid(id) if kind == "sqlite" => format!("x'{}'", hex(id.as_bytes())),
        Value::Uuid(id) => format!("'{id}'"),
        Value::Amount(amount) => amount.to_string(),
    }
}
