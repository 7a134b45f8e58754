//! SQLite: one connection that writes, some that read, and a lock file that
//! keeps other processes from writing.
//!
//! The write connection works synchronously inside the async functions: its
//! caller gives it a thread of its own. Readers run on Tokio's blocking threads.
//! A database in memory is for simulations: there everything, reading too, works
//! in the thread that asks, so that nothing depends on how threads take turns.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, Statement, ffi, params_from_iter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::dialect::Dialect;
use super::driver;
use super::driver::{Fetch, Write, WriteMode};
use super::error::{CommitError, StoreError};
use super::reader::Occupancy;
use super::value::{Row, Value, amount_from_blob, amount_to_blob};
use super::{Opening, wal};

/// Longest wait for a lock. Within our own process nobody holds one for long;
/// somebody with a shell on the database might.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements kept per connection: more than there are in the program.
const STATEMENTS_MAX: usize = 256;

/// The memory that the write connection keeps pages in, in KiB. After most commits SQLite goes
/// through all of them once, so that more is not better.
const CACHE_KIB: u32 = 16 * 1024;

mod aside;
mod checkpoints;

pub(super) use aside::Aside;
use checkpoints::Checkpoints;

/// The write connection.
pub(super) struct Session {
    /// None in memory, where there is no log.
    checkpoints: Option<Checkpoints>,
    connection: Connection,
    has_committed: bool,
    /// Held for as long as the connection is open; nobody else reaches a database in memory.
    _lock: Option<File>,
}

impl Session {
    /// Opens the file for writing; with `create` makes it when it is missing.
    pub(super) fn open(path: &Path, opening: Opening) -> Result<Self, StoreError> {
        if !opening.create {
            require(path)?;
        }
        let lock = lock(path)?;
        if !opening.trusting
            && let Some(cut_off) = wal::inspect(path).map_err(StoreError::unavailable)?
        {
            return Err(StoreError::Corrupt(cut_off.to_string()));
        }
        wal::write_anew(path).map_err(StoreError::unavailable)?;
        let mut connection = connect(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        )?;
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -{CACHE_KIB};"
            ))
            .map_err(classify)?;
        Ok(Self {
            checkpoints: Some(Checkpoints::start(&mut connection, path)?),
            connection,
            has_committed: false,
            _lock: Some(lock),
        })
    }

    /// Opens a database in memory, a new one if none has this name.
    pub(super) fn in_memory(name: &str) -> Result<Self, StoreError> {
        Ok(Self {
            checkpoints: None,
            connection: connect_in_memory(name)?,
            has_committed: false,
            _lock: None,
        })
    }

    fn save(
        &self,
        writes: Vec<Write<'_>>,
        head_sql: &str,
        head_params: &[Value],
    ) -> Result<(), Error> {
        for write in writes {
            let mut statement = self.connection.prepare_cached(&insert_sql(&write))?;
            for row in write.rows {
                statement.execute(params_from_iter(row))?;
            }
        }
        let mut statement = self.connection.prepare_cached(&by_place(head_sql))?;
        bind(&mut statement, head_params)?;
        match statement.raw_execute()? {
            1 => Ok(()),
            changed => Err(Error::StatementChangedRows(changed)),
        }
    }

    fn fetch(&self, fetch: &Fetch) -> Result<Vec<Row>, Error> {
        let conditions: Vec<_> = fetch
            .by
            .iter()
            .map(|column| format!("{column} = ?"))
            .collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE {}",
            fetch.table.column_list(""),
            fetch.table.name,
            conditions.join(" AND "),
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = Vec::new();
        for key in fetch.distinct_keys() {
            for row in statement.query_map(params_from_iter(key), decode)? {
                rows.push(row?);
            }
        }
        Ok(rows)
    }

    fn rollback(&self) {
        // SQLite itself rolls back after some errors.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "rolling back");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.rollback();
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.finish(&self.connection);
        }
    }
}

impl driver::Session for Session {
    const DIALECT: Dialect = Dialect::Sqlite;

    async fn start(
        &mut self,
        sql: &str,
        params: &[Value],
        fetches: &[Fetch],
    ) -> Result<(Vec<Row>, Vec<Vec<Row>>), StoreError> {
        self.rollback();
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.between_batches(&self.connection);
        }
        self.connection
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(classify)?;
        let first = query(&self.connection, sql, params);
        let rows = match first {
            Ok(first) => self.load(fetches).await.map(|rows| (first, rows)),
            Err(error) => Err(error),
        };
        if rows.is_err() {
            self.rollback();
        }
        rows
    }

    async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        query(&self.connection, sql, params)
    }

    async fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.connection.execute_batch(sql).map_err(classify)
    }

    async fn load(&mut self, fetches: &[Fetch]) -> Result<Vec<Vec<Row>>, StoreError> {
        self.in_transaction()?;
        fetches
            .iter()
            .map(|fetch| self.fetch(fetch).map_err(classify))
            .collect()
    }

    async fn save_and_finish(
        &mut self,
        writes: Vec<Write<'_>>,
        head_sql: &str,
        head_params: &[Value],
    ) -> Result<Duration, CommitError> {
        let saved = self.in_transaction().and_then(|()| {
            let saved = self.save(writes, head_sql, head_params);
            saved.map_err(classify)
        });
        if let Err(error) = saved {
            self.rollback();
            return Err(CommitError::rolled_back(error));
        }
        let begun = Instant::now();
        self.finish().await?;
        Ok(begun.elapsed())
    }

    fn has_committed(&self) -> bool {
        self.has_committed
    }

    fn note_commit(&mut self) {
        self.has_committed = true;
    }

    async fn finish(&mut self) -> Result<(), CommitError> {
        let Err(error) = self.connection.execute_batch("COMMIT") else {
            return Ok(());
        };
        self.rollback();
        // Of a disk that failed in the middle nobody knows what it has kept.
        let definite = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DiskFull | ErrorCode::ConstraintViolation)
        );
        let error = classify(error);
        Err(if definite {
            CommitError::rolled_back(error)
        } else {
            CommitError::Unknown(error)
        })
    }

    async fn abandon(&mut self) {
        self.rollback();
    }

    async fn disconnect(&mut self) {
        self.rollback();
    }
}

impl Session {
    /// Without a transaction every statement would commit by itself.
    fn in_transaction(&self) -> Result<(), StoreError> {
        if self.connection.is_autocommit() {
            return Err(StoreError::other("no transaction is open"));
        }
        Ok(())
    }
}

fn insert_sql(write: &Write<'_>) -> String {
    let table = write.table;
    let marks = vec!["?"; table.columns.len()].join(", ");
    let conflict = match write.mode {
        WriteMode::Insert => String::new(),
        WriteMode::Upsert => table.on_conflict_update(),
    };
    format!(
        "INSERT INTO {} ({}) VALUES ({marks}){conflict}",
        table.name,
        table.column_list("")
    )
}

/// Connections that only read, opened when needed and then kept.
pub(super) struct Reader {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    readers_max: usize,
    /// Queries that wait for a permit.
    waited_for: AtomicUsize,
}

impl Reader {
    /// The file must exist.
    pub(super) fn open(path: &Path, readers_max: usize) -> Result<Self, StoreError> {
        require(path)?;
        Ok(Self {
            path: path.to_owned(),
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(readers_max)),
            readers_max,
            waited_for: AtomicUsize::new(0),
        })
    }

    /// How busy the connections are.
    pub(super) fn occupancy(&self) -> Occupancy {
        let max = self.readers_max;
        Occupancy {
            busy: max.saturating_sub(self.permits.available_permits()),
            waited_for: self.waited_for.load(Ordering::Relaxed),
            max,
        }
    }

    /// See [`super::Reader::read`].
    pub(super) async fn read<T: Send + 'static>(
        self: Arc<Self>,
        sql: &str,
        params: Vec<Value>,
        make: impl Fn(Row) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Vec<T>, StoreError> {
        let sql = sql.to_owned();
        self.run(move |connection| read(connection, &sql, &params, make))
            .await
    }

    /// Runs queries in one transaction, which sees what was there at the first.
    pub(super) async fn snapshot(
        self: Arc<Self>,
        queries: Vec<String>,
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        self.run(move |connection| snapshot(connection, &queries))
            .await
    }

    /// Writes a copy of the database, as it is now, into an empty file; it is not flushed.
    pub(super) async fn copy_into(self: Arc<Self>, target: PathBuf) -> Result<(), StoreError> {
        self.run(move |connection| {
            let target = target
                .to_str()
                .ok_or_else(|| StoreError::Refused(format!("{} is no UTF-8", target.display())))?;
            let copied = connection.execute("VACUUM INTO ?", [target]);
            copied.map(|_| ()).map_err(classify)
        })
        .await
    }

    /// How many bytes the database has.
    pub(super) fn size(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.len())
    }

    /// Does something with a connection that nobody else uses meanwhile.
    async fn run<T: Send + 'static>(
        self: Arc<Self>,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => self.wait_for_permit().await?,
        };
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let mut connection = match self.idle().pop() {
                Some(connection) => connection,
                None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
            };
            let result = work(&mut connection);
            self.idle().push(connection);
            result
        })
        .await
        .map_err(StoreError::other)?
    }

    async fn wait_for_permit(&self) -> Result<OwnedSemaphorePermit, StoreError> {
        // A query that is given up while it waits waits no more.
        let _waits = Waits::counted_by(&self.waited_for);
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.map_err(StoreError::other)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counted for as long as it lives.
struct Waits<'count>(&'count AtomicUsize);

impl<'count> Waits<'count> {
    fn counted_by(count: &'count AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that reads a database in memory. No query of it is ever left half read, so that it
/// never meets the lock of another connection.
pub(super) struct MemoryReader(Mutex<Connection>);

impl MemoryReader {
    pub(super) fn open(name: &str) -> Result<Self, StoreError> {
        connect_in_memory(name).map(|connection| Self(Mutex::new(connection)))
    }

    /// See [`super::Reader::read`].
    pub(super) fn read<T>(
        &self,
        sql: &str,
        params: &[Value],
        make: impl Fn(Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        read(&self.connection(), sql, params, make)
    }

    /// See [`Reader::snapshot`].
    pub(super) fn snapshot(&self, queries: &[String]) -> Result<Vec<Vec<Row>>, StoreError> {
        snapshot(&mut self.connection(), queries)
    }

    fn connection(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(classify)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(classify)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection
        .create_aggregate_function(SUM_OF_AMOUNTS, 1, flags, Sum)
        .map_err(classify)?;
    Ok(connection)
}

fn connect_in_memory(name: &str) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_URI;
    let address = format!("file:{name}?mode=memory&cache=shared");
    connect(Path::new(&address), flags)
}

/// The name of the function that adds amounts up: to SQLite they are blobs.
pub(super) const SUM_OF_AMOUNTS: &str = "sum_of_amounts";

struct Sum;

impl Aggregate<i128, Vec<u8>> for Sum {
    fn init(&self, _: &mut Context<'_>) -> Result<i128, Error> {
        Ok(0)
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut i128) -> Result<(), Error> {
        let amount = context.get_raw(0).as_blob().ok().and_then(amount_from_blob);
        let total = amount.and_then(|amount| sum.checked_add(amount));
        *sum = total.ok_or_else(|| Error::UserFunctionError("no sum of amounts".into()))?;
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<i128>) -> Result<Vec<u8>, Error> {
        Ok(amount_to_blob(sum.unwrap_or_default()).to_vec())
    }
}

/// What is wrong with the log of a database that nobody has open for writing; one that somebody
/// has open is theirs to look after.
pub(super) fn fault_of_log(path: &Path) -> Result<Option<String>, StoreError> {
    require(path)?;
    let Ok(_lock) = lock(path) else {
        return Ok(None);
    };
    let cut_off = wal::inspect(path).map_err(StoreError::unavailable)?;
    Ok(cut_off.map(|cut_off| cut_off.to_string()))
}

fn require(path: &Path) -> Result<(), StoreError> {
    if path.exists() {
        return Ok(());
    }
    Err(StoreError::Refused(format!(
        "there is no database {}",
        path.display()
    )))
}

/// Takes the lock file beside the database. The database's own locks will not
/// do: SQLite gives them back between transactions.
fn lock(path: &Path) -> Result<File, StoreError> {
    // Two names of one database must have one lock.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut name = OsString::from(&path);
    name.push(".lock");
    let refuse =
        |reason: String| StoreError::Refused(format!("the database {} {reason}", path.display()));
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(|error| refuse(format!("cannot be locked: {error}")))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(refuse("is open already, perhaps in another process".into()))
        }
        Err(TryLockError::Error(error)) => Err(refuse(format!("cannot be locked: {error}"))),
    }
}

fn query(connection: &Connection, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
    read(connection, sql, params, Ok)
}

fn read<T>(
    connection: &Connection,
    sql: &str,
    params: &[Value],
    make: impl Fn(Row) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let statement = connection.prepare_cached(&by_place(sql));
    let mut statement = statement.map_err(classify)?;
    bind(&mut statement, params).map_err(classify)?;
    let rows = statement.raw_query().mapped(decode);
    rows.map(|row| make(row.map_err(classify)?)).collect()
}

fn snapshot(connection: &mut Connection, queries: &[String]) -> Result<Vec<Vec<Row>>, StoreError> {
    let transaction = connection.transaction().map_err(classify)?;
    queries
        .iter()
        .map(|sql| query(&transaction, sql, &[]))
        .collect()
}

/// To SQLite `$n` is a name, which is searched for among all others; `?n` is the place of the value.
fn by_place(sql: &str) -> String {
    sql.replace('$', "?")
}

/// Binds `?n` to the n-th value; there may be more of them than a statement asks for.
fn bind(statement: &mut Statement<'_>, params: &[Value]) -> Result<(), Error> {
    let places = statement.parameter_count();
    let Some(params) = params.get(..places) else {
        return Err(Error::InvalidParameterCount(params.len(), places));
    };
    for (place, value) in (1..).zip(params) {
        statement.raw_bind_parameter(place, value)?;
    }
    Ok(())
}

fn decode(row: &rusqlite::Row<'_>) -> Result<Row, Error> {
    let values: Result<Vec<Value>, _> = (0..row.as_ref().column_count())
        .map(|index| row.get(index))
        .collect();
    values.map(Row::from)
}

fn classify(error: Error) -> StoreError {
    let Error::SqliteFailure(failure, _) = &error else {
        return match error {
            Error::FromSqlConversionFailure(..)
            | Error::InvalidColumnType(..)
            | Error::Utf8Error(..) => StoreError::Corrupt(error.to_string()),
            error => StoreError::other(error),
        };
    };
    match failure.code {
        ErrorCode::ConstraintViolation
            if [
                ffi::SQLITE_CONSTRAINT_UNIQUE,
                ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
                ffi::SQLITE_CONSTRAINT_ROWID,
            ]
            .contains(&failure.extended_code) =>
        {
            StoreError::Conflict {
                source: error.into(),
            }
        }
        ErrorCode::DiskFull => StoreError::Full {
            source: error.into(),
        },
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
            StoreError::Corrupt(error.to_string())
        }
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::SystemIoFailure
        | ErrorCode::CannotOpen
        | ErrorCode::PermissionDenied
        | ErrorCode::ReadOnly
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::OutOfMemory => StoreError::unavailable(error),
        _ => StoreError::other(error),
    }
}
