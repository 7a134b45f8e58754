//! What only one of the two databases can do or suffer.

use super::*;

#[tokio::test]
async fn one_sqlite_file_is_opened_once() {
    let database = testkit::sqlite::fresh_file();
    let (connection, reader) = open_specimens(&database).await;
    assert_refused(
        open(&location(&database), Opening::default()).await,
        "is open already",
    );
    // The same file by another name.
    let link = database.folder().unwrap().join("link.db");
    #[cfg(unix)]
    std::os::unix::fs::symlink(database.folder().unwrap().join("tidelock.db"), &link).unwrap();
    #[cfg(unix)]
    assert_refused(
        open(&Location::Sqlite(link), Opening::default()).await,
        "is open already",
    );
    // Reading beside it is fine.
    assert_eq!(count(&reader, "chain").await, 0);
    drop(connection);
    open_specimens(&database).await;
}

#[tokio::test]
async fn what_is_no_sqlite_file_is_refused() {
    let database = testkit::sqlite::fresh_file();
    let path = database.folder().unwrap().join("tidelock.db");
    std::fs::write(&path, "this is a text file and nothing else ".repeat(100)).unwrap();
    let opened = open(&location(&database), Opening::default()).await;
    assert!(
        matches!(opened, Err(StoreError::Corrupt(_))),
        "{:?}",
        opened.err()
    );
}

#[tokio::test]
async fn two_processes_migrate_one_postgres_at_once() {
    for _ in 0..5 {
        let database = testkit::postgres::fresh_database().await;
        let opened: Vec<_> = (0..4)
            .map(|_| {
                let location = location(&database);
                tokio::spawn(async move {
                    open_with(&location, Opening::default(), &migrations()).await
                })
            })
            .collect();
        for opened in opened {
            opened.await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn batches_of_two_connections_are_serial() {
    let database = testkit::postgres::fresh_database().await;
    open_specimens(&database).await;
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let location = location(&database);
            tokio::spawn(async move {
                let (mut connection, _) = open_with(&location, Opening::default(), &migrations())
                    .await
                    .unwrap();
                for _ in 0..25 {
                    commit(&mut connection, vec![]).await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let (mut connection, _) = open_specimens(&database).await;
    assert_eq!(begin(&mut connection).await.unwrap().sequence, 100);
}

#[tokio::test]
async fn amounts_are_the_same_number_to_postgres() {
    let database = testkit::postgres::fresh_database().await;
    let (mut connection, reader) = open_specimens(&database).await;
    let samples = samples();
    let rows = samples.iter().zip(0..).map(|(sample, number)| {
        let mut row = specimen(owner(1), number, 0);
        row[7] = (*sample).into();
        row
    });
    commit(
        &mut connection,
        vec![write(WriteMode::Insert, rows.collect())],
    )
    .await
    .unwrap();
    let rows = reader
        .query(
            "SELECT delta::text, delta FROM specimens ORDER BY number",
            vec![],
        )
        .await
        .unwrap();
    assert_eq!(rows.len(), samples.len());
    for (mut row, sample) in rows.into_iter().zip(samples) {
        assert_eq!(row.text(0).unwrap(), sample.to_string());
        assert_eq!(row.amount(1).unwrap(), sample);
    }
    // Numbers that the server computed have scales and zeros of its own.
    let sql = "SELECT 1000000 * 1.000::numeric, sum(number) FROM specimens WHERE number < 4";
    let mut row = reader.query(sql, vec![]).await.unwrap().remove(0);
    assert_eq!(
        (row.amount(0).unwrap(), row.int(1).unwrap()),
        (1_000_000, 6)
    );
    // What is no amount does no harm to its neighbours.
    let sql = "SELECT 0.5::numeric, 1e39::numeric, 'NaN'::numeric, 7::numeric";
    let mut row = reader.query(sql, vec![]).await.unwrap().remove(0);
    for position in 0..3 {
        assert!(matches!(row.amount(position), Err(StoreError::Corrupt(_))));
    }
    assert_eq!(row.amount(3).unwrap(), 7);
}

#[tokio::test]
async fn a_cut_connection_is_replaced() {
    let database = testkit::postgres::fresh_database().await;
    let (mut connection, reader) = open_specimens(&database).await;
    // While idle: nobody needs to know.
    testkit::postgres::cut_connections(&database).await;
    commit(&mut connection, vec![]).await.unwrap();

    // In a transaction: it is lost for certain.
    begin(&mut connection).await.unwrap();
    testkit::postgres::cut_connections(&database).await;
    let error = connection
        .fetch(&[fetch(&["owner"], vec![])])
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    connection.rollback().await;

    let head = begin(&mut connection).await.unwrap();
    testkit::postgres::cut_connections(&database).await;
    let (next, record) = link(&head, Uuid::new_v4());
    let error = connection.commit(vec![record], &next).await.unwrap_err();
    assert!(
        matches!(
            error,
            CommitError::RolledBack(StoreError::Unavailable { .. })
        ),
        "{error:?}"
    );

    assert_eq!(begin(&mut connection).await.unwrap().sequence, 1);
    connection.rollback().await;
    assert_eq!(count(&reader, "chain").await, 1);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_found() {
    let database = testkit::postgres::fresh_database().await;
    let proxy = testkit::postgres::Proxy::start(&database.url).await;
    let location = proxy.url.parse().unwrap();
    let (mut connection, _) = open_with(&location, Opening::default(), &migrations())
        .await
        .unwrap();
    let head = begin(&mut connection).await.unwrap();
    let batch = Uuid::new_v4();
    let (next, record) = link(&head, batch);
    proxy.lose_next_commit();
    let error = connection.commit(vec![record], &next).await.unwrap_err();
    assert!(
        matches!(error, CommitError::Unknown(StoreError::Unavailable { .. })),
        "{error:?}"
    );
    assert!(connection.committed(batch, 0).await.unwrap());
    assert_eq!(begin(&mut connection).await.unwrap(), next);
}

#[tokio::test]
async fn a_session_that_dies_at_commit_is_not_found() {
    let database = testkit::postgres::fresh_database().await;
    let suicide = Migration {
        version: 4,
        name: "suicide",
        template: "
            CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
            CREATE CONSTRAINT TRIGGER die AFTER INSERT ON names
                DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION die();",
    };
    let mut migrations = migrations();
    migrations.push(suicide);
    let (mut connection, reader) = open_with(&location(&database), Opening::default(), &migrations)
        .await
        .unwrap();
    let head = begin(&mut connection).await.unwrap();
    let batch = Uuid::new_v4();
    let (next, record) = link(&head, batch);
    let names = Write {
        table: &NAMES,
        mode: WriteMode::Insert,
        rows: vec![vec!["x".into()]].into(),
    };
    let error = connection
        .commit(vec![names, record], &next)
        .await
        .unwrap_err();
    assert!(matches!(error, CommitError::Unknown(_)), "{error:?}");
    assert!(!connection.committed(batch, 0).await.unwrap());
    assert_eq!(count(&reader, "names").await, 0);
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable() {
    let location = "postgres://nobody:hunter2@127.0.0.1:1/nothing"
        .parse()
        .unwrap();
    let Err(error) = open(&location, Opening::default()).await else {
        panic!("opened");
    };
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert!(error.source().is_some());
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}
