//! The databases, SQLite and PostgreSQL, behind one small interface.
//!
//! Everything that depends on the dialect of SQL or on a client library lives
//! here: opening and migrating a database ([`open`]), transactions of bulk reads
//! and writes on the one write connection ([`Driver`]), queries on a pool of read
//! connections ([`Reader`]). What the tables mean does not.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::TargetSessionAttrs;
use uuid::Uuid;

mod aside;
mod dialect;
mod driver;
mod error;
mod location;
mod migrate;
mod postgres;
mod reader;
mod sqlite;
mod table;
#[cfg(test)]
mod tests;
mod value;
mod wal;

pub(crate) use aside::{Aside, Statement};
pub use driver::{CHAIN, ChainHead, Driver, Fetch, Rows, Write, WriteMode};
pub use error::{CommitError, StoreError};
pub use location::{InvalidLocation, Location};
pub use migrate::{MIGRATIONS, Migration};
pub use reader::{Occupancy, Reader};
pub use table::{Column, Table};
pub use value::{Kind, Row, Value};

/// How to open a database.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// Whether to make a new database where there is none.
    pub create: bool,
    /// Whether the database is to have a test clock. Opening gives one to a database in which
    /// nothing was ever committed; any other has what it was made with.
    pub test_clock: bool,
    /// The most read connections at a time, at least 1.
    pub readers_max: usize,
    /// The longest wait for an answer of a PostgreSQL server. One that says nothing for longer
    /// counts as lost.
    pub answer_within: Duration,
    /// Whether to open a SQLite database although its log is damaged, and give up what stands
    /// behind the damage.
    pub trusting: bool,
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            create: true,
            test_clock: false,
            readers_max: 8,
            answer_within: Duration::from_secs(30),
            trusting: false,
        }
    }
}

/// The write connection, to either database.
pub struct Connection(Session);

enum Session {
    Sqlite(sqlite::Session),
    Postgres(Box<postgres::Patient>),
}

/// Opens a database for writing and brings its schema to the newest version.
/// A SQLite file is ours alone until the connection is dropped; a PostgreSQL
/// database may be shared with other processes.
///
/// # Errors
///
/// [`StoreError::Refused`] when the database is missing, in use, or newer than
/// this program; else any [`StoreError`].
pub async fn open(
    location: &Location,
    opening: Opening,
) -> Result<(Connection, Reader), StoreError> {
    open_with(location, opening, MIGRATIONS).await
}

/// The same with another list of migrations, for tests of upgrades: a database as an earlier
/// version of this program left it.
///
/// # Errors
///
/// As [`open`].
pub async fn open_with(
    location: &Location,
    opening: Opening,
    migrations: &[Migration],
) -> Result<(Connection, Reader), StoreError> {
    let (session, pool) = match location {
        Location::Sqlite(path) => {
            let mut session = sqlite::Session::open(path, opening)?;
            migrate::migrate(&mut session, migrations, opening.create).await?;
            give_test_clock(&mut session, opening).await?;
            (
                Session::Sqlite(session),
                sqlite_readers(path, opening.readers_max)?,
            )
        }
        Location::Postgres(config) => {
            let limit = opening.answer_within;
            let servers = Arc::new(postgres::servers(config, TargetSessionAttrs::ReadWrite));
            let mut session = migrated(&servers, opening, migrations).await?;
            give_test_clock(&mut session, opening).await?;
            let readers = postgres::Readers::of_lists(&servers, opening.readers_max, limit)?;
            (
                Session::Postgres(Box::new(session)),
                reader::Pool::Postgres(readers),
            )
        }
    };
    Ok((Connection(session), Reader(pool)))
}

/// Gives a test clock to a database that is to have one and in which nothing was ever committed.
async fn give_test_clock<S: driver::Session>(
    session: &mut S,
    opening: Opening,
) -> Result<(), StoreError> {
    if !opening.test_clock {
        return Ok(());
    }
    let sql = "UPDATE chain_heads SET clock_ahead_us = 0
        WHERE lane = 0 AND sequence = 0 AND clock_ahead_us IS NULL";
    session.start(sql, &[], &[]).await?;
    session.finish().await.map_err(CommitError::into_inner)
}

/// Connects to the first server that not only accepts writes but also finishes one, and brings
/// its schema to the newest version. An old primary that has lost its standby accepts them.
async fn migrated(
    servers: &Arc<postgres::Servers>,
    opening: Opening,
    migrations: &[Migration],
) -> Result<postgres::Patient, StoreError> {
    let mut refused = StoreError::unavailable("the URL names no server");
    for _ in 0..servers.count() {
        let session = postgres::Session::open(servers, opening.answer_within).await?;
        let mut session = postgres::Patient::new(session, opening.answer_within);
        match migrate::migrate(&mut session, migrations, opening.create).await {
            Ok(()) => return Ok(session),
            Err(error @ StoreError::Unavailable { .. }) => refused = error,
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

/// Opens a database of SQLite in memory, by its name in this process, a new one
/// if none has this name; it is gone with its last connection. It is for
/// simulations: several may write, one at a time, and nobody waits for a lock.
///
/// # Errors
///
/// Any [`StoreError`].
pub async fn open_in_memory(name: &str) -> Result<(Connection, Reader), StoreError> {
    let mut session = sqlite::Session::in_memory(name)?;
    migrate::migrate(&mut session, MIGRATIONS, true).await?;
    let reader = sqlite::MemoryReader::open(name)?;
    Ok((
        Connection(Session::Sqlite(session)),
        Reader(reader::Pool::Memory(Arc::new(reader))),
    ))
}

/// What is wrong with the write-ahead log of a SQLite database, if something is and nobody has the
/// database open for writing.
///
/// # Errors
///
/// Any [`StoreError`] of reading it.
pub fn fault_of_log(location: &Location) -> Result<Option<String>, StoreError> {
    match location {
        Location::Sqlite(path) => sqlite::fault_of_log(path),
        Location::Postgres(_) => Ok(None),
    }
}

/// What SQLite finds wrong with a file of at most so many bytes, whatever is in it; nothing of other
/// databases.
///
/// # Errors
///
/// Any [`StoreError`]; [`StoreError::Corrupt`] where SQLite cannot even look.
pub async fn faults_of_structure(
    location: &Location,
    bytes_max: u64,
) -> Result<Vec<String>, StoreError> {
    match location {
        Location::Sqlite(path) => {
            let reader = Reader(sqlite_readers(path, 1)?);
            reader.faults_of_structure(bytes_max).await
        }
        Location::Postgres(_) => Ok(Vec::new()),
    }
}

/// Opens a database for reading only, beside whoever has it open for writing.
/// Its schema must be of this program's version.
///
/// # Errors
///
/// [`StoreError::Refused`] when the database is missing or of another version;
/// else any [`StoreError`].
pub async fn open_reader(location: &Location, readers_max: usize) -> Result<Reader, StoreError> {
    let reader = Reader(match location {
        Location::Sqlite(path) => sqlite_readers(path, readers_max)?,
        Location::Postgres(config) => {
            let limit = Opening::default().answer_within;
            let servers = Arc::new(postgres::servers(config, config.get_target_session_attrs()));
            reader::Pool::Postgres(postgres::Readers::new(&servers, readers_max, limit)?)
        }
    });
    let applied = reader
        .query(migrate::APPLIED, Vec::new())
        .await
        .map_err(migrate::missing_record)?;
    match migrate::pending(applied, MIGRATIONS)? {
        [] => Ok(reader),
        [next, ..] => Err(StoreError::Refused(format!(
            "the database lacks migration {} ({}): open it for writing once",
            next.version, next.name,
        ))),
    }
}

fn sqlite_readers(path: &Path, readers_max: usize) -> Result<reader::Pool, StoreError> {
    let readers = sqlite::Reader::open(path, readers_max)?;
    Ok(reader::Pool::Sqlite(Arc::new(readers)))
}

impl Driver for Connection {
    async fn begin(
        &mut self,
        lane: i64,
        fetches: &[Fetch],
    ) -> Result<(ChainHead, Vec<Vec<Row>>), StoreError> {
        match &mut self.0 {
            Session::Sqlite(session) => session.begin(lane, fetches).await,
            Session::Postgres(session) => session.begin(lane, fetches).await,
        }
    }

    async fn fetch(&mut self, fetches: &[Fetch]) -> Result<Vec<Vec<Row>>, StoreError> {
        match &mut self.0 {
            Session::Sqlite(session) => session.fetch(fetches).await,
            Session::Postgres(session) => session.fetch(fetches).await,
        }
    }

    async fn commit(
        &mut self,
        writes: Vec<Write<'_>>,
        head: &ChainHead,
    ) -> Result<Duration, CommitError> {
        match &mut self.0 {
            Session::Sqlite(session) => session.commit(writes, head).await,
            Session::Postgres(session) => session.commit(writes, head).await,
        }
    }

    async fn end_unchanged(&mut self, lane: i64) -> Result<(), CommitError> {
        match &mut self.0 {
            Session::Sqlite(session) => session.end_unchanged(lane).await,
            Session::Postgres(session) => session.end_unchanged(lane).await,
        }
    }

    async fn rollback(&mut self) {
        match &mut self.0 {
            Session::Sqlite(session) => session.rollback().await,
            Session::Postgres(session) => session.rollback().await,
        }
    }

    async fn committed(&mut self, batch: Uuid, lane: i64) -> Result<bool, StoreError> {
        match &mut self.0 {
            Session::Sqlite(session) => session.committed(batch, lane).await,
            Session::Postgres(session) => session.committed(batch, lane).await,
        }
    }

    fn pass_over(&mut self) {
        if let Session::Postgres(session) = &mut self.0 {
            session.pass_over();
        }
    }
}
