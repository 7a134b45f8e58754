//! A PostgreSQL database for each test, on the cluster that `./test` starts;
//! [servers](server) of one's own, to be killed; and [faults of connections](proxy).

use std::env;
use std::thread;

use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::{Kind, TestDatabase};

pub mod proxy;
pub mod server;

pub use proxy::Proxy;
pub use server::Server;

/// The variable with the URL of the cluster: a superuser, on a database for
/// maintenance.
const CLUSTER: &str = "TIDELOCK_TEST_POSTGRES";

/// The database to drop, by the cluster that it is on.
pub(crate) struct Name {
    cluster: String,
    database: String,
}

/// Creates an empty database.
///
/// # Panics
///
/// When `TIDELOCK_TEST_POSTGRES` is not set or the cluster does not work: a
/// test that needs PostgreSQL is never skipped.
pub async fn fresh_database() -> TestDatabase {
    let cluster = env::var(CLUSTER).unwrap_or_else(|_| {
        panic!("{CLUSTER} is not set: run `./test`, or `./test --cluster cargo test …`, which start a cluster")
    });
    let database = format!("test_{}", Uuid::new_v4().simple());
    // Nobody is ever connected to template0, so it can always be copied.
    execute(
        &cluster,
        &format!("CREATE DATABASE {database} TEMPLATE template0"),
    )
    .await;
    TestDatabase {
        url: with_database(&cluster, &database),
        kind: Kind::Postgres(Name { cluster, database }),
    }
}

/// Ends all other connections to the database from the server's side, as a
/// restart or a failover does.
///
/// # Panics
///
/// When the database is not on PostgreSQL or does not work.
pub async fn cut_connections(database: &TestDatabase) {
    let Kind::Postgres(name) = &database.kind else {
        panic!("{} is not on PostgreSQL", database.url);
    };
    let cut = format!(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{}'",
        name.database
    );
    execute(&name.cluster, &cut).await;
}

impl Drop for Name {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.database);
        let cluster = self.cluster.clone();
        // A thread of its own, for the runtime of the test cannot be entered
        // again. What cannot be dropped goes with the cluster.
        let _ = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime
                .expect("a runtime")
                .block_on(execute(&cluster, &drop));
        })
        .join();
    }
}

/// Runs one statement on a connection of its own.
///
/// # Panics
///
/// When the server refuses it.
pub async fn execute(url: &str, sql: &str) {
    let run = async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let connection = tokio::spawn(connection);
        let result = client.batch_execute(sql).await;
        drop(client);
        let _ = connection.await;
        result
    };
    run.await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

/// The one integer that a query finds.
///
/// # Panics
///
/// When it finds something else, or the server does not work.
pub async fn number(url: &str, sql: &str) -> i64 {
    let run = async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let connection = tokio::spawn(connection);
        let row = client.query_one(sql, &[]).await?;
        drop(client);
        let _ = connection.await;
        row.try_get(0)
    };
    run.await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
}

/// The same URL with another database.
fn with_database(url: &str, database: &str) -> String {
    let (base, options) = match url.split_once('?') {
        Some((base, options)) => (base, format!("?{options}")),
        None => (url, String::new()),
    };
    let (server, _) = base
        .rsplit_once('/')
        .filter(|(server, _)| server.contains("://"))
        .unwrap_or_else(|| panic!("{CLUSTER} must be like postgres://user@host:port/database"));
    format!("{server}/{database}{options}")
}
