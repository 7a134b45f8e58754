//! One suite for both databases: every function below `on_both!` runs on each.

use std::error::Error;

use testkit::TestDatabase;
use uuid::Uuid;

use super::postgres::samples;
use super::*;

mod apart;

/// What the head of the chain has beside what it had at first.
const CLOCK: Migration = Migration {
    version: 2,
    ..MIGRATIONS[4]
};

/// A migration for these tests, with a column of every kind that may be NULL.
const SPECIMENS: Migration = Migration {
    version: 3,
    name: "specimens",
    template: "
        CREATE TABLE specimens (
            owner {uuid} NOT NULL,
            number {int} NOT NULL,
            flag {bool},
            text {text},
            bytes {bytes},
            other {uuid},
            amount {amount} {nonneg:amount},
            delta {amount},
            PRIMARY KEY (owner, number)
        ){strict};
        CREATE UNIQUE INDEX specimens_text ON specimens (text);
        CREATE TABLE names (name {text} PRIMARY KEY NOT NULL){strict};",
};

static SPECIMENS_TABLE: Table = Table {
    name: "specimens",
    columns: &[
        Column {
            name: "owner",
            kind: Kind::Uuid,
        },
        Column {
            name: "number",
            kind: Kind::Int,
        },
        Column {
            name: "flag",
            kind: Kind::Bool,
        },
        Column {
            name: "text",
            kind: Kind::Text,
        },
        Column {
            name: "bytes",
            kind: Kind::Bytes,
        },
        Column {
            name: "other",
            kind: Kind::Uuid,
        },
        Column {
            name: "amount",
            kind: Kind::Amount,
        },
        Column {
            name: "delta",
            kind: Kind::Amount,
        },
    ],
    key: &["owner", "number"],
};

static NAMES: Table = Table {
    name: "names",
    columns: &[Column {
        name: "name",
        kind: Kind::Text,
    }],
    key: &["name"],
};

fn migrations() -> Vec<Migration> {
    vec![MIGRATIONS[0], CLOCK, SPECIMENS]
}

fn location(database: &TestDatabase) -> Location {
    database.url.parse().unwrap()
}

async fn open_specimens(database: &TestDatabase) -> (Connection, Reader) {
    open_with(&location(database), Opening::default(), &migrations())
        .await
        .unwrap()
}

fn owner(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A row of which only the key and the amount matter.
fn specimen(owner: Uuid, number: i64, amount: i128) -> Vec<Value> {
    vec![
        owner.into(),
        number.into(),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        amount.into(),
        Value::Null,
    ]
}

fn write(mode: WriteMode, rows: Vec<Vec<Value>>) -> Write<'static> {
    Write {
        table: &SPECIMENS_TABLE,
        mode,
        rows: rows.into(),
    }
}

fn fetch(by: &'static [&'static str], keys: Vec<Vec<Value>>) -> Fetch {
    Fetch {
        table: &SPECIMENS_TABLE,
        by,
        keys,
    }
}

/// The head after one more commit, and the chain's row for it.
fn link(head: &ChainHead, batch: Uuid) -> (ChainHead, Write<'static>) {
    let next = ChainHead {
        lane: head.lane,
        sequence: head.sequence + 1,
        hash: vec![7; 32],
        time_us: head.time_us + 1,
        last_entry: head.last_entry + 2,
        test_clock: head.test_clock,
    };
    let row = vec![
        next.lane.into(),
        next.sequence.into(),
        batch.into(),
        head.hash.clone().into(),
        next.hash.clone().into(),
        next.time_us.into(),
        (head.last_entry + 1).into(),
        next.last_entry.into(),
    ];
    (
        next,
        Write {
            table: &CHAIN,
            mode: WriteMode::Insert,
            rows: vec![row].into(),
        },
    )
}

/// Begins a transaction that loads nothing yet.
async fn begin(connection: &mut Connection) -> Result<ChainHead, StoreError> {
    let (head, rows) = connection.begin(0, &[]).await?;
    assert!(rows.is_empty());
    Ok(head)
}

/// One transaction with these writes, linked to the chain.
async fn commit(
    connection: &mut Connection,
    mut writes: Vec<Write<'_>>,
) -> Result<Uuid, CommitError> {
    let batch = Uuid::new_v4();
    let head = begin(connection).await.unwrap();
    let (next, record) = link(&head, batch);
    writes.push(record);
    connection.commit(writes, &next).await.map(|_| batch)
}

/// The keys' numbers and amounts of fetched rows, sorted.
fn numbers_and_amounts(rows: Vec<Row>) -> Vec<(i64, i128)> {
    let mut found: Vec<_> = rows
        .into_iter()
        .map(|mut row| (row.int(1).unwrap(), row.amount(6).unwrap()))
        .collect();
    found.sort_unstable();
    found
}

async fn count(reader: &Reader, table: &str) -> i64 {
    let rows = reader
        .query(&format!("SELECT count(*) FROM {table}"), vec![])
        .await
        .unwrap();
    rows.into_iter().next().unwrap().int(0).unwrap()
}

macro_rules! on_both {
    ($($name:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(testkit::sqlite::fresh_file()).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(testkit::postgres::fresh_database().await).await;
            })*
        }
    };
}

on_both! {
    every_kind_survives_the_round_trip
    every_kind_survives_among_many
    fetches_find_by_one_and_by_several_columns
    a_taken_key_is_a_conflict
    a_taken_key_among_many_is_a_conflict
    upsert_replaces_the_row
    a_negative_amount_breaks_its_check
    a_broken_check_among_many_leaves_nothing
    rollback_leaves_nothing
    a_row_that_does_not_fit_leaves_nothing_of_many
    nothing_runs_outside_of_a_transaction
    the_head_and_the_chain_move_together
    large_writes_are_complete
    the_reader_binds_parameters_by_number
    the_reader_cannot_write
    a_snapshot_is_of_one_moment
    committed_tells_what_is_in_the_chain
    migrations_are_applied_once
    a_changed_migration_is_refused
    an_unknown_migration_is_refused
    a_missing_database_is_not_made_by_accident
    a_reader_alone_needs_the_newest_schema
}

async fn every_kind_survives_the_round_trip(database: TestDatabase) {
    survives(database, vec![]).await;
}

async fn every_kind_survives_among_many(database: TestDatabase) {
    survives(database, many()).await;
}

/// So many rows that PostgreSQL has them copied.
fn many() -> Vec<Vec<Value>> {
    (0..1_500)
        .map(|number| specimen(owner(7), number, number.into()))
        .collect()
}

async fn survives(database: TestDatabase, companions: Vec<Vec<Value>>) {
    let (mut connection, reader) = open_specimens(&database).await;
    let full = vec![
        owner(1).into(),
        i64::MIN.into(),
        true.into(),
        "täglich 'quoted' \\ {}".into(),
        vec![0, 255, 39].into(),
        Uuid::max().into(),
        (10_i128.pow(38) - 1).into(),
        i128::MIN.into(),
    ];
    let empty = specimen(owner(1), i64::MAX, 0);
    let mut nulls = empty.clone();
    nulls[6] = Value::Null;
    let mut no = empty.clone();
    no[1] = 0_i64.into();
    no[2] = false.into();
    no[3] = "".into();
    no[4] = Vec::new().into();
    let rows = [companions, vec![full, nulls, no]].concat();
    let written = rows.len();
    commit(&mut connection, vec![write(WriteMode::Insert, rows)])
        .await
        .unwrap();
    let counted = usize::try_from(count(&reader, "specimens").await);
    assert_eq!(counted, Ok(written));

    begin(&mut connection).await.unwrap();
    let mut fetched = connection
        .fetch(&[fetch(&["owner"], vec![vec![owner(1).into()]])])
        .await
        .unwrap();
    let fetched = fetched.pop().unwrap();
    let columns = SPECIMENS_TABLE.column_list("");
    let read = reader
        .query(
            &format!("SELECT {columns} FROM specimens WHERE owner = $1"),
            vec![owner(1).into()],
        )
        .await
        .unwrap();
    for mut rows in [fetched, read] {
        rows.sort_by_key(|row| row.clone().int(1).unwrap());
        let [mut full, mut no, mut nulls]: [Row; 3] = rows.try_into().unwrap();
        assert_eq!(full.uuid(0).unwrap(), owner(1));
        assert_eq!(full.int(1).unwrap(), i64::MIN);
        assert!(full.bool(2).unwrap());
        assert_eq!(full.text(3).unwrap(), "täglich 'quoted' \\ {}");
        assert_eq!(full.bytes(4).unwrap(), [0, 255, 39]);
        assert_eq!(full.uuid(5).unwrap(), Uuid::max());
        assert_eq!(full.amount(6).unwrap(), 10_i128.pow(38) - 1);
        assert_eq!(full.amount(7).unwrap(), i128::MIN);

        assert_eq!(no.optional_bool(2).unwrap(), Some(false));
        assert_eq!(no.optional_text(3).unwrap().as_deref(), Some(""));
        assert_eq!(no.optional_bytes(4).unwrap(), Some(vec![]));
        assert_eq!(no.optional_amount(6).unwrap(), Some(0));

        assert_eq!(nulls.int(1).unwrap(), i64::MAX);
        assert_eq!(nulls.optional_bool(2).unwrap(), None);
        assert_eq!(nulls.optional_text(3).unwrap(), None);
        assert_eq!(nulls.optional_bytes(4).unwrap(), None);
        assert_eq!(nulls.optional_uuid(5).unwrap(), None);
        assert_eq!(nulls.optional_amount(6).unwrap(), None);
    }
}

async fn fetches_find_by_one_and_by_several_columns(database: TestDatabase) {
    let (mut connection, _) = open_specimens(&database).await;
    let rows = (1..=3)
        .flat_map(|number| {
            [
                specimen(owner(1), number, number.into()),
                specimen(owner(2), number, 10),
            ]
        })
        .collect();
    let names = Write {
        table: &NAMES,
        mode: WriteMode::Insert,
        rows: vec![vec!["a".into()], vec!["b".into()]].into(),
    };
    commit(&mut connection, vec![write(WriteMode::Insert, rows), names])
        .await
        .unwrap();

    begin(&mut connection).await.unwrap();
    let pair = |owner: Uuid, number: i64| vec![owner.into(), number.into()];
    let mut found = connection
        .fetch(&[
            fetch(
                &["owner"],
                vec![
                    vec![owner(1).into()],
                    vec![owner(9).into()],
                    vec![owner(1).into()],
                ],
            ),
            fetch(
                &["owner", "number"],
                vec![pair(owner(1), 2), pair(owner(2), 3), pair(owner(1), 2)],
            ),
            fetch(&["owner"], vec![]),
            Fetch {
                table: &NAMES,
                by: &["name"],
                keys: vec![vec!["b".into()], vec!["z".into()]],
            },
            fetch(&["text"], vec![vec![Value::Null]]),
        ])
        .await
        .unwrap()
        .into_iter();
    assert_eq!(
        numbers_and_amounts(found.next().unwrap()),
        [(1, 1), (2, 2), (3, 3)]
    );
    assert_eq!(
        numbers_and_amounts(found.next().unwrap()),
        [(2, 2), (3, 10)]
    );
    assert_eq!(found.next().unwrap(), []);
    assert_eq!(found.next().unwrap(), [Row::from(vec!["b".into()])]);
    assert_eq!(found.next().unwrap(), [], "NULL equals nothing");
    connection.rollback().await;
}

async fn a_taken_key_is_a_conflict(database: TestDatabase) {
    let (mut connection, reader) = open_specimens(&database).await;
    let mut first = specimen(owner(1), 1, 1);
    first[3] = "taken".into();
    commit(&mut connection, vec![write(WriteMode::Insert, vec![first])])
        .await
        .unwrap();

    let again = specimen(owner(1), 1, 2);
    let mut same_text = specimen(owner(1), 2, 2);
    same_text[3] = "taken".into();
    for (mode, row) in [
        (WriteMode::Insert, again),
        (WriteMode::Insert, same_text.clone()),
        (WriteMode::Upsert, same_text),
    ] {
        let error = commit(
            &mut connection,
            vec![write(mode, vec![specimen(owner(3), 1, 1), row])],
        )
        .await
        .unwrap_err();
        assert!(
            matches!(error, CommitError::Conflict(StoreError::Conflict { .. })),
            "{error:?}"
        );
        assert_eq!(count(&reader, "specimens").await, 1);
    }
    assert_eq!(begin(&mut connection).await.unwrap().sequence, 1);
}

async fn a_taken_key_among_many_is_a_conflict(database: TestDatabase) {
    let (mut connection, reader) = open_specimens(&database).await;
    let first = vec![specimen(owner(7), 700, 1)];
    commit(&mut connection, vec![write(WriteMode::Insert, first)])
        .await
        .unwrap();
    let error = commit(&mut connection, vec![write(WriteMode::Insert, many())])
        .await
        .unwrap_err();
    assert!(
        matches!(error, CommitError::Conflict(StoreError::Conflict { .. })),
        "{error:?}"
    );
    assert_eq!(count(&reader, "specimens").await, 1);
    let rows = vec![specimen(owner(8), 1, 1)];
    commit(&mut connection, vec![write(WriteMode::Insert, rows)])
        .await
        .unwrap();
    assert_eq!(begin(&mut connection).await.unwrap().sequence, 2);
}

async fn a_broken_check_among_many_leaves_nothing(database: TestDatabase) {
    let (mut connection, reader) = open_specimens(&database).await;
    let mut rows = many();
    rows.push(specimen(owner(1), 1, -1));
    let error = commit(&mut connection, vec![write(WriteMode::Insert, rows)]).await;
    assert!(
        matches!(
            error,
            Err(CommitError::RolledBack(StoreError::Other { .. }))
        ),
        "{error:?}"
    );
    assert_eq!(count(&reader, "specimens").await, 0);
}

async fn a_row_that_does_not_fit_leaves_nothing_of_many(database: TestDatabase) {
    let (mut connection, reader) = open_specimens(&database).await;
    let too_short = vec![owner(1).into()];
    let mut wrong_kind = specimen(owner(1), 1, 1);
    wrong_kind[1] = "one".into();
    for row in [too_short, wrong_kind] {
        // What was sent before it is thrown away as well.
        let rows = [many(), vec![row]].concat();
        let error = commit(&mut connection, vec![write(WriteMode::Insert, rows)]).await;
        assert!(
            matches!(error, Err(CommitError::RolledBack(_))),
            "{error:?}"
        );
        assert_eq!(count(&reader, "specimens").await, 0);
    }
    commit(&mut connection, vec![write(WriteMode::Insert, many())])
        .await
        .unwrap();
    assert_eq!(count(&reader, "specimens").await, 1_500);
}

async fn upsert_replaces_the_row(database: TestDatabase) {
    let (mut connection, reader) = open_specimens(&database).await;
    let mut first = specimen(owner(1), 1, 1);
    first[3] = "text".into();
    commit(&mut connection, vec![write(WriteMode::Upsert, vec![first])])
        .await
        .unwrap();
    let rows = vec![specimen(owner(1), 1, 5), specimen(owner(1), 2, 6)];
    let names = || Write {
        table: &NAMES,
        mode: WriteMode::Upsert,
        rows: vec![vec!["only a key".into()]].into(),
    };
    commit(
        &mut connection,
        vec![write(WriteMode::Upsert, rows), names()],
    )
    .await
    .unwrap();
    commit(&mut connection, vec![names()]).await.unwrap();

    let rows = reader
        .query(
            "SELECT number, amount, text FROM specimens ORDER BY number",
            vec![],
        )
        .await
        .unwrap();
    let [mut first, mut second]: [Row; 2] = rows.try_into().unwrap();
    assert_eq!(
        (
            first.int(0).unwrap(),
            first.amount(1).unwrap(),
            first.optional_text(2).unwrap()
        ),
        (1, 5, None)
    );
    assert_eq!((second.int(0).unwrap(), second.amount(1).unwrap()), (2, 6));
    assert_eq!(count(&reader, "names").await, 1);
}

async fn a_negative_amount_breaks_its_check(database: TestDatabase) {
    let (mut connection, reader) = open_specimens(&database).await;
    let error = commit(
        &mut connection,
        vec![write(WriteMode::Insert, vec![specimen(owner(1), 1, -1)])],
    )
    .await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, CommitError::RolledBack(StoreError::Other { .. })),
        "{error:?}"
    );
    assert_eq!(count(&reader, "specimens").await, 0);
}

async fn rollback_leaves_nothing(database: TestDatabase) {
    let (mut connection, reader) = open_specimens(&database).await;
    begin(&mut connection).await.unwrap();
    connection.rollback().await;
    connection.rollback().await;
    // A transaction that was left open is no obstacle.
    begin(&mut connection).await.unwrap();
    begin(&mut connection).await.unwrap();
    connection.rollback().await;

    // The last of several writes fails: the first are gone.
    let long = vec![vec![0_i64.into(), "too many values".into()]];
    let bad = Write {
        table: &NAMES,
        mode: WriteMode::Insert,
        rows: long.into(),
    };
    let error = commit(
        &mut connection,
        vec![
            write(WriteMode::Insert, vec![specimen(owner(1), 1, 1)]),
            bad,
        ],
    )
    .await;
    assert!(
        matches!(error, Err(CommitError::RolledBack(_))),
        "{error:?}"
    );
    assert_eq!(count(&reader, "specimens").await, 0);
    assert_eq!(count(&reader, "chain").await, 0);
}

async fn nothing_runs_outside_of_a_transaction(database: TestDatabase) {
    let (mut connection, reader) = open_specimens(&database).await;
    let head = begin(&mut connection).await.unwrap();
    connection.rollback().await;
    assert!(connection.fetch(&[]).await.is_err());
    let writes = vec![write(WriteMode::Insert, vec![specimen(owner(1), 1, 1)])];
    let error = connection.commit(writes, &head).await.unwrap_err();
    assert!(matches!(error, CommitError::RolledBack(_)), "{error:?}");
    assert_eq!(count(&reader, "specimens").await, 0);
    assert!(matches!(
        connection.begin(1, &[]).await,
        Err(StoreError::Corrupt(_))
    ));
}

async fn the_head_and_the_chain_move_together(database: TestDatabase) {
    let (mut connection, reader) = open_specimens(&database).await;
    let head = begin(&mut connection).await.unwrap();
    assert_eq!(
        head,
        ChainHead {
            lane: 0,
            sequence: 0,
            hash: vec![0; 32],
            time_us: 0,
            last_entry: 0,
            test_clock: None,
        }
    );
    let batch = Uuid::new_v4();
    let (next, record) = link(&head, batch);
    connection.commit(vec![record], &next).await.unwrap();
    assert_eq!(begin(&mut connection).await.unwrap(), next);
    connection.rollback().await;

    let rows = reader
        .query("SELECT sequence, batch_id, hash FROM chain", vec![])
        .await
        .unwrap();
    let [mut row]: [Row; 1] = rows.try_into().unwrap();
    assert_eq!(
        (
            row.int(0).unwrap(),
            row.uuid(1).unwrap(),
            row.bytes(2).unwrap()
        ),
        (1, batch, vec![7; 32])
    );
}

async fn large_writes_are_complete(database: TestDatabase) {
    let (mut connection, reader) = open_specimens(&database).await;
    let rows: Vec<_> = (0..20_001)
        .map(|number| specimen(owner(1), number, number.into()))
        .collect();
    let keys = (0..20_001)
        .map(|number: i64| vec![owner(1).into(), number.into()])
        .collect();
    commit(&mut connection, vec![write(WriteMode::Upsert, rows)])
        .await
        .unwrap();
    assert_eq!(count(&reader, "specimens").await, 20_001);
    begin(&mut connection).await.unwrap();
    let found = connection
        .fetch(&[fetch(&["owner", "number"], keys)])
        .await
        .unwrap();
    assert_eq!(found[0].len(), 20_001);
}

async fn the_reader_binds_parameters_by_number(database: TestDatabase) {
    let (mut connection, reader) = open_specimens(&database).await;
    let rows = (1..=5)
        .map(|number| specimen(owner(1), number, number.into()))
        .collect();
    commit(&mut connection, vec![write(WriteMode::Insert, rows)])
        .await
        .unwrap();
    let sql = "SELECT number FROM specimens WHERE number < $2 AND owner = $1 AND amount > $4
               AND (text IS NULL OR text = $5) AND number < $2 ORDER BY number LIMIT $3";
    let params = vec![
        owner(1).into(),
        5_i64.into(),
        2_i64.into(),
        1_i128.into(),
        Value::Null,
    ];
    let queries = (0..20).map(|_| reader.query(sql, params.clone()));
    for rows in futures_util::future::join_all(queries).await {
        let numbers: Vec<_> = rows
            .unwrap()
            .into_iter()
            .map(|mut row| row.int(0).unwrap())
            .collect();
        assert_eq!(numbers, [2, 3]);
    }
    assert!(reader.query(sql, vec![]).await.is_err());
    assert!(
        reader
            .query("SELECT nothing FROM nowhere", vec![])
            .await
            .is_err()
    );
}

async fn the_reader_cannot_write(database: TestDatabase) {
    let (_connection, reader) = open_specimens(&database).await;
    assert!(
        reader
            .query("INSERT INTO names (name) VALUES ('x')", vec![])
            .await
            .is_err()
    );
    assert_eq!(count(&reader, "names").await, 0);
}

async fn a_snapshot_is_of_one_moment(database: TestDatabase) {
    let (mut connection, reader) = open_specimens(&database).await;
    let counts =
        || ["names", "chain", "names"].map(|table| format!("SELECT count(*) FROM {table}"));
    let (finished, mut is_finished) = tokio::sync::oneshot::channel();
    let writing = std::thread::spawn({
        let runtime = tokio::runtime::Handle::current();
        move || {
            runtime.block_on(async {
                for number in 0..100 {
                    let name = Write {
                        table: &NAMES,
                        mode: WriteMode::Insert,
                        rows: vec![vec![number.to_string().into()]].into(),
                    };
                    commit(&mut connection, vec![name]).await.unwrap();
                }
            });
            finished.send(()).unwrap();
        }
    });
    loop {
        let done = is_finished.try_recv().is_ok();
        let answers = reader.snapshot(counts()).await.unwrap();
        let [names, commits, again] = answers.map(|mut rows| rows[0].int(0).unwrap());
        assert_eq!((names, again), (commits, commits));
        if done {
            assert_eq!(commits, 100);
            break;
        }
    }
    writing.join().unwrap();

    // After an error the connection is as good as before.
    let wrong = ["SELECT 1", "SELECT nothing FROM nowhere"].map(String::from);
    assert!(reader.snapshot(wrong).await.is_err());
    assert_eq!(count(&reader, "names").await, 100);
    let sql = "INSERT INTO names (name) VALUES ('x') RETURNING 1";
    assert!(reader.snapshot([sql.to_owned()]).await.is_err());
    reader.snapshot(counts()).await.unwrap();
}

async fn committed_tells_what_is_in_the_chain(database: TestDatabase) {
    let (mut connection, reader) = open_specimens(&database).await;
    let batch = commit(&mut connection, vec![]).await.unwrap();
    assert!(connection.committed(batch, 0).await.unwrap());
    assert!(!connection.committed(Uuid::new_v4(), 0).await.unwrap());
    // A transaction that was left open, as after a commit that is unknown.
    begin(&mut connection).await.unwrap();
    assert!(connection.committed(batch, 0).await.unwrap());
    let rows = reader
        .query("SELECT probes, sequence FROM chain_heads", vec![])
        .await
        .unwrap();
    let [mut head]: [Row; 1] = rows.try_into().unwrap();
    assert_eq!((head.int(0).unwrap(), head.int(1).unwrap()), (3, 1));
}

async fn migrations_are_applied_once(database: TestDatabase) {
    for _ in 0..2 {
        let (connection, reader) = open_specimens(&database).await;
        let rows = reader.query(migrate::APPLIED, vec![]).await.unwrap();
        let names: Vec<_> = rows
            .into_iter()
            .map(|mut row| row.text(1).unwrap())
            .collect();
        assert_eq!(names, ["chain", "test_clock", "specimens"]);
        drop(connection);
    }
}

async fn a_changed_migration_is_refused(database: TestDatabase) {
    drop(open_specimens(&database).await);
    let changed = Migration {
        template: "SELECT 1",
        ..SPECIMENS
    };
    let opened = open_with(
        &location(&database),
        Opening::default(),
        &[MIGRATIONS[0], CLOCK, changed],
    )
    .await;
    assert_refused(
        opened,
        "migration 3 (specimens) is not the one that was applied",
    );
}

async fn an_unknown_migration_is_refused(database: TestDatabase) {
    drop(open_specimens(&database).await);
    let known = [MIGRATIONS[0], CLOCK];
    let opened = open_with(&location(&database), Opening::default(), &known).await;
    assert_refused(
        opened,
        "migration 3 (specimens), which this version of tidelock does not know",
    );
}

async fn a_missing_database_is_not_made_by_accident(database: TestDatabase) {
    let opening = Opening {
        create: false,
        ..Opening::default()
    };
    let opened = open(&location(&database), opening).await;
    assert!(
        matches!(opened, Err(StoreError::Refused(_))),
        "{:?}",
        opened.err()
    );
    drop(
        open(&location(&database), Opening::default())
            .await
            .unwrap(),
    );
    open(&location(&database), opening).await.unwrap();
}

async fn a_reader_alone_needs_the_newest_schema(database: TestDatabase) {
    let location = location(&database);
    let read = open_reader(&location, 1).await;
    assert!(
        matches!(read, Err(StoreError::Refused(_))),
        "{:?}",
        read.err()
    );
    drop(open_with(&location, Opening::default(), &[]).await.unwrap());
    let read = open_reader(&location, 1).await;
    assert!(
        matches!(read, Err(StoreError::Refused(_))),
        "{:?}",
        read.err()
    );

    let (connection, _) = open(&location, Opening::default()).await.unwrap();
    assert_eq!(
        count(&open_reader(&location, 1).await.unwrap(), "chain_heads").await,
        1
    );
    drop(connection);
    assert_eq!(
        count(&open_reader(&location, 1).await.unwrap(), "chain_heads").await,
        1
    );
}

fn assert_refused(opened: Result<(Connection, Reader), StoreError>, reason: &str) {
    match opened {
        Err(StoreError::Refused(text)) => assert!(text.contains(reason), "{text}"),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("opened"),
    }
}
