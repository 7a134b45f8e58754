//! A PostgreSQL database for each test, on the cluster that `./test` starts;
//! and faults of its connections.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::{Config, NoTls};
use uuid::Uuid;

use crate::{Kind, TestDatabase};

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

/// A way to a PostgreSQL server on which the answer to a COMMIT can get lost.
pub struct Proxy {
    /// The URL of the database by this way.
    pub url: String,
    lose_commit: Arc<AtomicBool>,
}

impl Proxy {
    /// Starts a proxy in front of the database, for as long as the runtime of
    /// the test lives.
    ///
    /// # Panics
    ///
    /// When the URL has no TCP host or no port can be listened on.
    pub async fn start(database: &TestDatabase) -> Self {
        let config: Config = database.url.parse().expect("a PostgreSQL URL");
        let server = match (config.get_hosts(), config.get_ports()) {
            ([tokio_postgres::config::Host::Tcp(host)], [port]) => format!("{host}:{port}"),
            _ => panic!("the URL needs one TCP host and a port"),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let here = listener.local_addr().expect("an address");
        let lose_commit = Arc::new(AtomicBool::new(false));
        let proxy = Self {
            url: database.url.replacen(&server, &here.to_string(), 1),
            lose_commit: Arc::clone(&lose_commit),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.expect("the server");
                tokio::spawn(relay(client, server, Arc::clone(&lose_commit)));
            }
        });
        proxy
    }

    /// Lets the next COMMIT through to the server and cuts the connection once
    /// the server has answered, before the answer is passed on.
    pub fn lose_next_commit(&self) {
        self.lose_commit.store(true, Ordering::SeqCst);
    }
}

/// Passes bytes both ways until one side ends or an answer is to be lost.
async fn relay(mut client: TcpStream, mut server: TcpStream, lose_commit: Arc<AtomicBool>) {
    let (mut from_client, mut from_server) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut losing = false;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let Ok(count @ 1..) = read else { return };
                // A simple query: its type, its length, its text with a NUL.
                let commit = from_client[..count] == *b"Q\0\0\0\x0bCOMMIT\0";
                losing |= commit && lose_commit.swap(false, Ordering::SeqCst);
                if server.write_all(&from_client[..count]).await.is_err() { return }
            }
            read = server.read(&mut from_server) => {
                let Ok(count @ 1..) = read else { return };
                if losing || client.write_all(&from_server[..count]).await.is_err() { return }
            }
        }
    }
}

/// Runs one statement on a connection of its own.
pub(crate) async fn execute(url: &str, sql: &str) {
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
