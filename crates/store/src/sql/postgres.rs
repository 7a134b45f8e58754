//! PostgreSQL: one connection that writes and reconnects when it is lost. Those that read are in
//! [`readers`].
//!
//! Statements of one phase are pipelined: sent together, answered together, and
//! every answer is checked.

use std::convert::identity;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use deadpool_postgres::ClientWrapper;
use futures_util::future::{BoxFuture, FutureExt, MaybeDone, join, join_all, maybe_done};
use futures_util::poll;
use futures_util::stream;
use futures_util::{StreamExt, TryStreamExt};
use tokio::task::JoinHandle;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::{BorrowToSql, Type};
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls, Statement};

use super::dialect::Dialect;
use super::driver;
use super::driver::{Fetch, Write, WriteMode};
use super::error::{CommitError, StoreError};
use super::table::Table;
use super::value::{Kind, Row, Value};

mod codec;
mod numeric;
mod patience;
mod readers;
mod servers;

pub(super) use patience::Patient;
pub(super) use readers::Readers;
pub(super) use servers::Servers;

#[cfg(test)]
pub(super) use numeric::tests::samples;

/// Longest wait for a connection, from the name of the host to the session.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// After this long without an answer to what was sent, the peer counts as lost.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(15);

/// Rows per INSERT. Bounds the size of one message, which the server holds in
/// memory several times.
const ROWS_PER_INSERT: usize = 20_000;

/// From how many new rows on they are copied: the server then stores many at once and needs no
/// plan, which takes it half the time, but each table waits for the one before.
const ROWS_TO_COPY: usize = 1_000;

/// A server whose default is stricter than `on` keeps it. A transaction left
/// open by a process that hangs holds the head of the chain, so it ends well
/// before others that wait for the head give up. All that the session looks up
/// has an index, but a plan that is made while a table is small and kept while
/// it grows might scan or hash the whole of it: such plans are out, and with them any reason to
/// plan a statement more than once.
const WRITER_SETTINGS: &str = "
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write');
    SELECT set_config(name, 'off', false) FROM pg_settings
        WHERE name IN ('enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'jit');
    SELECT set_config(name, 'force_generic_plan', false) FROM pg_settings
        WHERE name = 'plan_cache_mode';
    SET idle_in_transaction_session_timeout = '10s'";

const ASIDE_SETTINGS: &str = "
    SET synchronous_commit = off;
    SET idle_in_transaction_session_timeout = '10s'";

/// The write connection.
pub(super) struct Session {
    servers: Arc<Servers>,
    /// The number of the server that the client is connected to, or was.
    server: usize,
    client: Option<ClientWrapper>,
    settings: String,
    /// Whether the server has warned of something since the transaction began.
    warned: Arc<AtomicBool>,
    /// Whether BEGIN was sent and no end of the transaction was seen since.
    in_transaction: bool,
    /// Whether the client has committed something.
    has_committed: bool,
}

impl Session {
    /// Connects to the server that accepts writes.
    pub(super) async fn open(servers: &Arc<Servers>, limit: Duration) -> Result<Self, StoreError> {
        Self::open_as(servers, limit, WRITER_SETTINGS).await
    }

    /// The same for tables beside the books: nothing there is waited for until it is durable.
    pub(super) async fn open_aside(
        servers: &Arc<Servers>,
        limit: Duration,
    ) -> Result<Self, StoreError> {
        Self::open_as(servers, limit, ASIDE_SETTINGS).await
    }

    async fn open_as(
        servers: &Arc<Servers>,
        limit: Duration,
        settings: &str,
    ) -> Result<Self, StoreError> {
        let mut session = Self {
            servers: Arc::clone(servers),
            server: 0,
            client: None,
            settings: format!("{settings}; {}", statement_limit(limit)),
            warned: Arc::default(),
            in_transaction: false,
            has_committed: false,
        };
        session.connected().await?;
        Ok(session)
    }

    /// The client; a new one when there is none or it is closed.
    async fn connected(&mut self) -> Result<&ClientWrapper, StoreError> {
        let client = match self.client.take() {
            Some(client) if !client.is_closed() => client,
            _ => self.connect().await?,
        };
        Ok(self.client.insert(client))
    }

    /// Connects to the first server that accepts writes.
    async fn connect(&mut self) -> Result<ClientWrapper, StoreError> {
        let mut refused = StoreError::unavailable("the URL names no server");
        for (number, config) in self.servers.in_turn() {
            let attempt = connect(config, &self.settings, &self.warned);
            match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
                Ok(Ok((client, task))) => {
                    self.server = number;
                    self.has_committed = false;
                    self.servers.accepts_writes(number);
                    return Ok(ClientWrapper::new(client, task));
                }
                Ok(Err(error)) => refused = cannot_connect(error),
                Err(elapsed) => refused = StoreError::unavailable(elapsed),
            }
        }
        Err(refused)
    }

    /// Gives up the connection with all that is unfinished on it, and the server with it.
    fn give_up(&mut self) {
        self.client = None;
        self.in_transaction = false;
        self.servers.pass_over(self.server);
    }

    /// The client of the open transaction. Without a transaction every
    /// statement would commit by itself, so there is none.
    fn current(&self) -> Result<&ClientWrapper, StoreError> {
        self.client
            .as_ref()
            .filter(|_| self.in_transaction)
            .ok_or_else(|| StoreError::other("no transaction is open"))
    }

    async fn try_start(
        &mut self,
        sql: &str,
        params: &[Value],
        fetches: &[Fetch],
    ) -> Result<(Vec<Row>, Vec<Vec<Row>>), StoreError> {
        self.connected().await?;
        self.in_transaction = true;
        self.warned.store(false, Ordering::SeqCst);
        let client = self.current()?;
        let statement = client.prepare_cached(sql).await.map_err(classify)?;
        let loads = prepare_loads(client, fetches).await?;
        // Each statement sees what was committed before it began, so that what is loaded is what
        // the lock on the head has waited for.
        let ((begun, first), loaded) = join(
            join(
                client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"),
                query(client, &statement, params),
            ),
            run_loads(client, &loads),
        )
        .await;
        begun.map_err(classify)?;
        Ok((first.map_err(classify)?, loaded?))
    }

    /// What the answer to COMMIT says of the transaction, which is over.
    async fn verdict(&mut self, answer: Result<(), Error>) -> Result<(), CommitError> {
        let Err(error) = answer else {
            self.in_transaction = false;
            if !self.warned.load(Ordering::SeqCst) {
                return Ok(());
            }
            // Not what was agreed: somebody has ended the wait for the standby, and what is
            // committed here may be lost with this server; or no transaction was open.
            driver::Session::disconnect(self).await;
            let warned = "the server warned of something and then answered as if it had committed";
            return Err(CommitError::Unknown(StoreError::unavailable(warned)));
        };
        // An ordinary error ends the transaction for certain. A session that
        // ends, or says nothing, may have committed before it did.
        let definite =
            !is_lost(&error) && error.code() != Some(&SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN);
        let error = classify(error);
        if definite {
            driver::Session::abandon(self).await;
            Err(CommitError::rolled_back(error))
        } else {
            driver::Session::disconnect(self).await;
            Err(CommitError::Unknown(error))
        }
    }
}

/// The statements of loads with the arrays of their keys.
type Loads<'fetch> = Vec<(Statement, Vec<Vec<&'fetch Value>>)>;

async fn prepare_loads<'fetch>(
    client: &ClientWrapper,
    fetches: &'fetch [Fetch],
) -> Result<Loads<'fetch>, StoreError> {
    let mut loads = Vec::with_capacity(fetches.len());
    for fetch in fetches {
        let statement = client
            .prepare_cached(&select_sql(fetch)?)
            .await
            .map_err(classify)?;
        let keys = fetch.distinct_keys();
        let keys = keys.into_iter().map(|key| key.iter().collect());
        loads.push((statement, transposed(fetch.by.len(), keys.collect())?));
    }
    Ok(loads)
}

async fn run_loads(client: &Client, loads: &Loads<'_>) -> Result<Vec<Vec<Row>>, StoreError> {
    let loads = loads
        .iter()
        .map(|(statement, keys)| query(client, statement, keys));
    let answers = join_all(loads).await.into_iter();
    answers.map(|answer| answer.map_err(classify)).collect()
}

impl driver::Session for Session {
    const DIALECT: Dialect = Dialect::Postgres;

    async fn start(
        &mut self,
        sql: &str,
        params: &[Value],
        fetches: &[Fetch],
    ) -> Result<(Vec<Row>, Vec<Vec<Row>>), StoreError> {
        self.abandon().await;
        let reused = self.client.is_some();
        let mut rows = self.try_start(sql, params, fetches).await;
        if rows.is_err() {
            self.abandon().await;
            // The connection was lost while it was idle and nobody had noticed.
            if reused && self.client.is_none() {
                rows = self.try_start(sql, params, fetches).await;
                if rows.is_err() {
                    self.abandon().await;
                }
            }
        }
        rows
    }

    async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let client = self.current()?;
        let statement = client.prepare_cached(sql).await.map_err(classify)?;
        query(client, &statement, params).await.map_err(classify)
    }

    async fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        // A transaction that was lost with its connection must not go on
        // outside of one.
        let client = if self.in_transaction {
            self.current()?
        } else {
            self.connected().await?
        };
        client.batch_execute(sql).await.map_err(classify)
    }

    async fn load(&mut self, fetches: &[Fetch]) -> Result<Vec<Vec<Row>>, StoreError> {
        let client = self.current()?;
        let loads = prepare_loads(client, fetches).await?;
        run_loads(client, &loads).await
    }

    async fn save_and_finish(
        &mut self,
        writes: Vec<Write<'_>>,
        head_sql: &str,
        head_params: &[Value],
    ) -> Result<Duration, CommitError> {
        let sent = match self.current() {
            Ok(client) => send_all(client, writes, head_sql, head_params).await,
            Err(error) => Err(error),
        };
        let sent = match sent {
            Ok(sent) => sent,
            Err(error) => {
                self.abandon().await;
                return Err(CommitError::rolled_back(error));
            }
        };
        match (sent.failed, sent.commit) {
            (None, Some(answer)) => {
                self.verdict(answer).await?;
                match sent.heads {
                    1 => Ok(sent.took),
                    // It was locked, so that there was one; or nothing of this is true.
                    heads => Err(CommitError::Unknown(StoreError::Corrupt(format!(
                        "the chain has {heads} heads of one lane"
                    )))),
                }
            }
            // A write that was refused has turned the COMMIT behind it into a rollback.
            (Some(error), commit) if !is_lost(&error) => {
                let ended = commit.is_some_and(|answer| answer.is_ok());
                match ended {
                    true => self.in_transaction = false,
                    false => self.abandon().await,
                }
                Err(CommitError::rolled_back(classify(error)))
            }
            (Some(error), None) => {
                self.disconnect().await;
                Err(CommitError::rolled_back(classify(error)))
            }
            (Some(error), Some(_)) => {
                self.disconnect().await;
                Err(CommitError::Unknown(classify(error)))
            }
            (None, None) => {
                self.disconnect().await;
                let missing = "a transaction was neither refused nor committed";
                Err(CommitError::rolled_back(StoreError::other(missing)))
            }
        }
    }

    fn has_committed(&self) -> bool {
        self.has_committed
    }

    fn note_commit(&mut self) {
        self.has_committed = true;
    }

    async fn finish(&mut self) -> Result<(), CommitError> {
        let answer = match self.current() {
            Ok(client) => client.batch_execute("COMMIT").await,
            Err(error) => return Err(CommitError::RolledBack(error)),
        };
        self.verdict(answer).await
    }

    async fn abandon(&mut self) {
        if let Ok(client) = self.current()
            && let Err(error) = client.batch_execute("ROLLBACK").await
        {
            tracing::warn!(%error, "rolling back; the connection is dropped");
            self.client = None;
        }
        self.in_transaction = false;
    }

    async fn disconnect(&mut self) {
        self.client = None;
        self.in_transaction = false;
    }
}

/// What became of writes and of the COMMIT that was sent behind them.
struct Sent {
    /// The first error of a write.
    failed: Option<Error>,
    /// How many heads were moved.
    heads: u64,
    /// The answer to COMMIT, if it was sent.
    commit: Option<Result<(), Error>>,
    /// How long the COMMIT took once everything before it had answered.
    took: Duration,
}

impl Sent {
    /// The transaction waits for its end, which is not COMMIT.
    fn refused(error: Error) -> Self {
        Self {
            failed: Some(error),
            heads: 0,
            commit: None,
            took: Duration::ZERO,
        }
    }
}

/// Copies what is much, and then sends all other writes, the statement that moves the head, and
/// COMMIT, one behind the other, and takes the answers. COMMIT is sent only once everything before
/// it is on its way: a write that could not even be put into bytes would be missing from what it
/// commits. What the server refuses turns the COMMIT behind it into a rollback that answers OK, so
/// that only all answers together say what happened.
async fn send_all(
    client: &ClientWrapper,
    writes: Vec<Write<'_>>,
    head_sql: &str,
    head_params: &[Value],
) -> Result<Sent, StoreError> {
    let (much, little): (Vec<_>, Vec<_>) = writes.into_iter().partition(|write| {
        write.mode == WriteMode::Insert && write.rows.remaining() >= ROWS_TO_COPY
    });
    for write in much {
        let sql = copy_sql(write.table);
        let statement = client.prepare_cached(&sql).await.map_err(classify)?;
        if let Err(error) = copy_rows(client, &statement, write).await? {
            return Ok(Sent::refused(error));
        }
    }
    let mut statements = Vec::with_capacity(little.len());
    for sql in little.iter().map(insert_sql).collect::<Vec<_>>() {
        statements.push(client.prepare_cached(&sql).await.map_err(classify)?);
    }
    let head = client.prepare_cached(head_sql).await.map_err(classify)?;
    let mut pending: Vec<MaybeDone<BoxFuture<'_, Result<u64, Error>>>> = Vec::new();
    for (statement, mut write) in statements.iter().zip(little) {
        while !write.rows.is_empty() {
            let rows = write.rows.by_ref().take(ROWS_PER_INSERT).collect();
            let columns = transposed(write.table.columns.len(), rows)?;
            let mut call = maybe_done(client.execute_raw(statement, columns).boxed());
            // On its way now, so that its rows need not wait for those of the others.
            let _ = poll!(&mut call);
            pending.push(call);
        }
    }
    pending.push(maybe_done(client.execute_raw(&head, head_params).boxed()));
    let mut commit: Option<BoxFuture<'_, Result<(), Error>>> = None;
    let mut committed = None;
    let mut written_at = None;
    poll_fn(|context| {
        let mut all_done = true;
        for write in &mut pending {
            all_done &= Pin::new(write).poll(context).is_ready();
        }
        if all_done {
            written_at.get_or_insert_with(Instant::now);
        }
        let has_failed = |write: &MaybeDone<_>| matches!(write, MaybeDone::Done(Err(_)));
        if commit.is_none() && pending.iter().any(has_failed) {
            return if all_done {
                Poll::Ready(())
            } else {
                Poll::Pending
            };
        }
        let commit = commit.get_or_insert_with(|| Box::pin(client.batch_execute("COMMIT")));
        if committed.is_none()
            && let Poll::Ready(answer) = commit.as_mut().poll(context)
        {
            committed = Some(answer);
        }
        match all_done && committed.is_some() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    let took = written_at.map_or(Duration::ZERO, |at| at.elapsed());
    let mut failed = None;
    let mut heads = 0;
    for write in pending {
        match write {
            // The last of them is that of the head.
            MaybeDone::Done(Ok(changed)) => heads = changed,
            MaybeDone::Done(Err(error)) => {
                failed.get_or_insert(error);
            }
            MaybeDone::Future(_) | MaybeDone::Gone => {
                return Err(StoreError::other("a write has no answer"));
            }
        }
    }
    Ok(Sent {
        failed,
        heads,
        commit: committed,
        took,
    })
}

/// `SELECT … = ANY($1)`, or a join with all arrays of the keys' columns.
fn select_sql(fetch: &Fetch) -> Result<String, StoreError> {
    let table = fetch.table;
    let columns = table.column_list("t.");
    let arrays = fetch
        .by
        .iter()
        .zip(1..)
        .map(|(name, number)| {
            let kind = table
                .kind(name)
                .ok_or_else(|| StoreError::other(format!("{} has no column {name}", table.name)))?;
            Ok(format!("${number}::{}", array_type(kind)))
        })
        .collect::<Result<Vec<_>, StoreError>>()?
        .join(", ");
    Ok(match fetch.by {
        [by] => format!(
            "SELECT {columns} FROM {} t WHERE t.{by} = ANY({arrays})",
            table.name
        ),
        by => format!(
            "SELECT {columns} FROM UNNEST({arrays}) AS k({}) JOIN {} t USING ({})",
            by.join(", "),
            table.name,
            by.join(", "),
        ),
    })
}

fn insert_sql(write: &Write<'_>) -> String {
    let Table { name, columns, .. } = write.table;
    let arrays: Vec<_> = columns
        .iter()
        .zip(1..)
        .map(|(column, number)| format!("${number}::{}", array_type(column.kind)))
        .collect();
    let conflict = match write.mode {
        WriteMode::Insert => String::new(),
        WriteMode::Upsert => write.table.on_conflict_update(),
    };
    format!(
        "INSERT INTO {name} ({}) SELECT * FROM UNNEST({}){conflict}",
        write.table.column_list(""),
        arrays.join(", "),
    )
}

fn array_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "boolean[]",
        Kind::Int => "bigint[]",
        Kind::Text => "text[]",
        Kind::Bytes => "bytea[]",
        Kind::Uuid => "uuid[]",
        Kind::Amount => "numeric[]",
    }
}

fn copy_sql(table: &Table) -> String {
    format!(
        "COPY {} ({}) FROM STDIN (FORMAT binary)",
        table.name,
        table.column_list(""),
    )
}

/// Sends rows while the server stores those before them. What the server or the connection says
/// against it is inside.
async fn copy_rows(
    client: &ClientWrapper,
    statement: &Statement,
    write: Write<'_>,
) -> Result<Result<(), Error>, StoreError> {
    let columns = write.table.columns;
    let types: Vec<_> = columns.iter().map(|column| type_of(column.kind)).collect();
    let sink = match client.copy_in(statement).await {
        Ok(sink) => sink,
        Err(error) => return Ok(Err(error)),
    };
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for row in write.rows {
        check_width(columns.len(), &row)?;
        if let Err(error) = writer.as_mut().write_raw(row).await {
            // The server may have said why before it stopped to listen.
            return Ok(Err(writer.finish().await.err().unwrap_or(error)));
        }
    }
    Ok(writer.finish().await.map(|_| ()))
}

fn type_of(kind: Kind) -> Type {
    match kind {
        Kind::Bool => Type::BOOL,
        Kind::Int => Type::INT8,
        Kind::Text => Type::TEXT,
        Kind::Bytes => Type::BYTEA,
        Kind::Uuid => Type::UUID,
        Kind::Amount => Type::NUMERIC,
    }
}

/// Rows of `width` values as the arrays of their columns. Arrays of different
/// lengths would be filled up with NULL by the server.
fn transposed<V>(width: usize, rows: Vec<Vec<V>>) -> Result<Vec<Vec<V>>, StoreError> {
    let mut columns: Vec<_> = (0..width).map(|_| Vec::with_capacity(rows.len())).collect();
    for row in rows {
        check_width(width, &row)?;
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    Ok(columns)
}

fn check_width<V>(width: usize, row: &[V]) -> Result<(), StoreError> {
    if row.len() == width {
        return Ok(());
    }
    let found = row.len();
    Err(StoreError::other(format!(
        "a row has {found} values instead of {width}"
    )))
}

/// The server ends by itself, a little before we give it up, what takes too long.
fn statement_limit(limit: Duration) -> String {
    format!("SET statement_timeout = {}", (limit * 5 / 6).as_millis())
}

/// The servers of a URL, each with the limits that a connection of ours has.
pub(super) fn servers(config: &Config, session: TargetSessionAttrs) -> Servers {
    let mut config = config.clone();
    config
        .application_name("tidelock")
        .tcp_user_timeout(TCP_USER_TIMEOUT);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    Servers::of(&config, session)
}

/// Connects; from then on `warned` is set whenever the server warns of something.
async fn connect(
    config: &Config,
    settings: &str,
    warned: &Arc<AtomicBool>,
) -> Result<(Client, JoinHandle<()>), Error> {
    let (client, mut connection) = config.connect(NoTls).await?;
    let warned = Arc::clone(warned);
    let task = tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(message) = messages.next().await {
            match message {
                Ok(AsyncMessage::Notice(notice)) => {
                    if notice.parsed_severity() == Some(Severity::Warning) {
                        // Before the answer to the statement is passed on.
                        warned.store(true, Ordering::SeqCst);
                        tracing::warn!(%notice, "PostgreSQL warns");
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection to PostgreSQL was lost");
                    return;
                }
            }
        }
    });
    client.batch_execute(settings).await?;
    Ok((client, task))
}

async fn query<P>(client: &Client, statement: &Statement, params: &[P]) -> Result<Vec<Row>, Error>
where
    for<'a> &'a P: BorrowToSql,
{
    read(client, statement, params, identity).await
}

/// Runs a query and makes something of each row as soon as it is there.
async fn read<P, T>(
    client: &Client,
    statement: &Statement,
    params: &[P],
    make: impl Fn(Row) -> T,
) -> Result<Vec<T>, Error>
where
    for<'a> &'a P: BorrowToSql,
{
    let rows = client.query_raw(statement, params).await?;
    let rows = rows.map(|row| codec::decode(&row?));
    rows.map_ok(make).try_collect().await
}

/// Whether the session ended, so that what it did last is unknown.
fn is_lost(error: &Error) -> bool {
    match error.as_db_error() {
        Some(error) => error.parsed_severity() != Some(Severity::Error),
        None => true,
    }
}

/// An error of connecting. What a wrong name or password causes does not pass by itself.
fn cannot_connect(error: Error) -> StoreError {
    match error.code().map(SqlState::code) {
        Some(code) if code.starts_with("28") || code.starts_with("3D") => StoreError::other(error),
        _ => StoreError::unavailable(error),
    }
}

fn classify(error: Error) -> StoreError {
    let Some(answer) = error.as_db_error() else {
        // No answer of the server. Without a source, or with one of the
        // socket, the connection is lost; other sources are of the codec.
        let codec =
            std::error::Error::source(&error).is_some_and(|source| !source.is::<std::io::Error>());
        return if codec {
            StoreError::other(error)
        } else {
            StoreError::unavailable(error)
        };
    };
    match answer.code().code() {
        "40001" | "40P01" | "23505" => StoreError::Conflict {
            source: error.into(),
        },
        // Two that create the same table at once.
        "42P07" | "42710" => StoreError::Conflict {
            source: error.into(),
        },
        "53100" => StoreError::Full {
            source: error.into(),
        },
        "XX001" | "XX002" => StoreError::Corrupt(answer.to_string()),
        // A lock that is not had in time; a server that only reads.
        "55P03" | "25006" => StoreError::unavailable(error),
        // Connections, resources, an operator's intervention, the system.
        other
            if ["08", "53", "57", "58"]
                .iter()
                .any(|class| other.starts_with(class)) =>
        {
            StoreError::unavailable(error)
        }
        _ => StoreError::other(error),
    }
}
