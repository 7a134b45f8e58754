//! Tables beside the books, for what may be lost: a connection of their own that never waits for a
//! disk or a standby and never holds up those who commit.
//!
//! On SQLite they are in a file of their own, named as the database with `.requests` behind it; a
//! damaged one is thrown away. On PostgreSQL they are unlogged: they add nothing to the write-ahead
//! log that the books are flushed with, and are empty after the server crashed or another one took
//! its place.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio_postgres::config::TargetSessionAttrs;

use super::driver::Session as _;
use super::error::{CommitError, StoreError};
use super::reader::{Pool, Reader};
use super::value::{Row, Value};
use super::{Location, Opening, dialect::Dialect, migrate, postgres, sqlite};

/// The most connections that read there at a time.
const READERS_MAX: usize = 2;

/// The longest wait for PostgreSQL there.
const PATIENCE: Duration = Duration::from_secs(10);

/// The connection that writes there.
pub(crate) struct Aside(Session);

enum Session {
    Sqlite(Arc<sqlite::Aside>),
    // One transaction at a time.
    Postgres(Box<Mutex<postgres::Patient>>),
}

/// One statement with its parameters.
pub(crate) type Statement = (String, Vec<Value>);

impl Aside {
    /// Opens the place beside a database and runs `schema`, which changes nothing where it has run
    /// before; it is written as migrations are.
    pub(crate) async fn open(
        location: &Location,
        schema: &str,
    ) -> Result<(Aside, Reader), StoreError> {
        match location {
            Location::Sqlite(path) => {
                let mut name = OsString::from(path);
                name.push(".requests");
                let path = PathBuf::from(name);
                let schema = migrate::render(schema, Dialect::Sqlite)?;
                let opened = sqlite::Aside::open(path.clone(), schema).await?;
                let pool = super::sqlite_readers(&path, READERS_MAX)?;
                Ok((Aside(Session::Sqlite(Arc::new(opened))), Reader(pool)))
            }
            Location::Postgres(config) => {
                let schema = migrate::render(schema, Dialect::Postgres)?;
                let servers = postgres::servers(config, TargetSessionAttrs::ReadWrite);
                let servers = Arc::new(servers);
                let session = postgres::Session::open_aside(&servers, PATIENCE).await?;
                let mut session = postgres::Patient::new(session, PATIENCE);
                // IF NOT EXISTS does not keep two servers from making the same table at once.
                if let Err(StoreError::Conflict { .. }) = session.script(&schema).await {
                    session.script(&schema).await?;
                }
                let limit = Opening::default().answer_within;
                let readers = postgres::Readers::new(&servers, READERS_MAX, limit)?;
                let session = Session::Postgres(Box::new(Mutex::new(session)));
                Ok((Aside(session), Reader(Pool::Postgres(readers))))
            }
        }
    }

    /// Runs statements in one transaction, all or none of them.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`]; the next call connects again if it has to.
    pub(crate) async fn run(&self, statements: Vec<Statement>) -> Result<Vec<Row>, StoreError> {
        let mut session = match &self.0 {
            Session::Sqlite(session) => return Arc::clone(session).run(statements).await,
            Session::Postgres(session) => session.lock().await,
        };
        let mut last = Vec::new();
        for (number, (sql, params)) in statements.iter().enumerate() {
            let ran = match number {
                0 => session.start(sql, params, &[]).await.map(|(rows, _)| rows),
                _ => session.query(sql, params).await,
            };
            match ran {
                Ok(rows) => last = rows,
                Err(error) => {
                    session.abandon().await;
                    return Err(error);
                }
            }
        }
        session.finish().await.map_err(CommitError::into_inner)?;
        Ok(last)
    }
}
