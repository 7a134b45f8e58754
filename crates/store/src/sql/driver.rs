//! The write side: one connection, one transaction at a time.
//!
//! A batch travels as [`begin`](Driver::begin) (locks the head of the journal
//! chain, so batches are serial across processes) → [`fetch`](Driver::fetch) as
//! often as needed → [`commit`](Driver::commit) or
//! [`rollback`](Driver::rollback). What differs between the databases is behind
//! [`Session`]; what is the same, the chain among it, is written here once.

use std::future::Future;
use std::time::Duration;

use rules::clock::TestClock;
use uuid::Uuid;

use super::dialect::Dialect;
use super::error::{CommitError, StoreError};
use super::table::{Column, Table};
use super::value::{Kind, Row, Value};

/// Rows to load: those whose columns `by` equal one of the keys.
#[derive(Debug)]
pub struct Fetch {
    /// Where to look.
    pub table: &'static Table,
    /// Names of columns of the table, at least one, that an index starts with.
    pub by: &'static [&'static str],
    /// Each as long as `by`. A key that is given twice is looked up once.
    pub keys: Vec<Vec<Value>>,
}

impl Fetch {
    /// The keys without repetitions: a join would return their rows twice.
    pub(super) fn distinct_keys(&self) -> Vec<&Vec<Value>> {
        let mut keys: Vec<_> = self.keys.iter().collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// What to do with a row whose key is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// It is an error, [`CommitError::Conflict`].
    Insert,
    /// The row of that key gets the new values.
    Upsert,
}

/// Rows to write into one table.
#[derive(Debug)]
pub struct Write<'rows> {
    /// Where to.
    pub table: &'static Table,
    /// What to do with a key that is taken.
    pub mode: WriteMode,
    /// Each with a value for every column of the table, in its order. No two
    /// rows have the same key.
    pub rows: Rows<'rows>,
}

/// Rows that are made one after the other while they are written: a settlement has tens of
/// thousands, which are never all there at once.
pub struct Rows<'rows> {
    count: usize,
    rows: Box<dyn Iterator<Item = Vec<Value>> + Send + 'rows>,
}

impl<'rows> Rows<'rows> {
    /// `rows`, of which there are `count`.
    pub fn new(count: usize, rows: impl Iterator<Item = Vec<Value>> + Send + 'rows) -> Self {
        Self {
            count,
            rows: Box::new(rows),
        }
    }

    /// How many are still to come.
    pub fn remaining(&self) -> usize {
        self.count
    }

    /// Whether none is to come.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Iterator for Rows<'_> {
    type Item = Vec<Value>;

    fn next(&mut self) -> Option<Vec<Value>> {
        let row = self.rows.next();
        self.count = self.count.saturating_sub(usize::from(row.is_some()));
        row
    }
}

impl From<Vec<Vec<Value>>> for Rows<'_> {
    fn from(rows: Vec<Vec<Value>>) -> Self {
        Self::new(rows.len(), rows.into_iter())
    }
}

impl std::fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows", self.count)
    }
}

/// The head of a lane of the journal chain: what its last commit left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// Which lane.
    pub lane: i64,
    /// The number of the last commit, 0 before the first.
    pub sequence: i64,
    /// The hash of the last commit, 32 bytes, all zero before the first.
    pub hash: Vec<u8>,
    /// The business time of the last commit, microseconds since 1970.
    pub time_us: i64,
    /// The number of the last journal entry, 0 before the first.
    pub last_entry: i64,
    /// The test clock, if the installation was made with one.
    pub test_clock: Option<TestClock>,
}

/// The table of commits, one row for each.
pub static CHAIN: Table = Table {
    name: "chain",
    columns: &[
        Column {
            name: "lane",
            kind: Kind::Int,
        },
        Column {
            name: "sequence",
            kind: Kind::Int,
        },
        Column {
            name: "batch_id",
            kind: Kind::Uuid,
        },
        Column {
            name: "previous_hash",
            kind: Kind::Bytes,
        },
        Column {
            name: "hash",
            kind: Kind::Bytes,
        },
        Column {
            name: "time_us",
            kind: Kind::Int,
        },
        Column {
            name: "first_entry",
            kind: Kind::Int,
        },
        Column {
            name: "last_entry",
            kind: Kind::Int,
        },
    ],
    key: &["lane", "sequence"],
};

/// The one connection that writes. To be used inside a Tokio runtime; on SQLite
/// every call blocks its thread for as long as the disk takes.
pub trait Driver: Send {
    /// Begins a transaction, locks the head of the lane and reads it, and then
    /// loads rows as [`fetch`](Driver::fetch) does. Connects first when the
    /// connection is gone; rolls back first when a transaction was left open.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`]; then no transaction is open.
    fn begin(
        &mut self,
        lane: i64,
        fetches: &[Fetch],
    ) -> impl Future<Output = Result<(ChainHead, Vec<Vec<Row>>), StoreError>> + Send;

    /// Loads rows inside the transaction: for each fetch its rows in no
    /// particular order, with all columns of the table in their order.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`]; then the transaction is to be rolled back.
    fn fetch(
        &mut self,
        fetches: &[Fetch],
    ) -> impl Future<Output = Result<Vec<Vec<Row>>, StoreError>> + Send;

    /// Writes all rows and the new head, then commits; how long the COMMIT
    /// alone took. No transaction is open afterwards, whatever the result.
    ///
    /// # Errors
    ///
    /// [`CommitError`] tells whether it may have been committed all the same.
    fn commit(
        &mut self,
        writes: Vec<Write<'_>>,
        head: &ChainHead,
    ) -> impl Future<Output = Result<Duration, CommitError>> + Send;

    /// Ends a transaction that changed nothing, so that what it has shown may be
    /// acted upon. A connection on which nothing was committed yet makes a small
    /// commit: what it shows may be what a process or a server that died had
    /// written but not made durable, and is durable only with the next commit.
    ///
    /// # Errors
    ///
    /// [`CommitError`]; then what was shown is worth nothing.
    fn end_unchanged(&mut self, lane: i64) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// Rolls the transaction back, if one is open. Cannot fail: a connection
    /// that does not answer is dropped, and its transaction with it.
    fn rollback(&mut self) -> impl Future<Output = ()> + Send;

    /// Whether the batch of this id is in the chain of the lane: the question
    /// after [`CommitError::Unknown`]. The answer is final.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`]; then nothing is known yet and the question is to be
    /// repeated.
    fn committed(
        &mut self,
        batch: Uuid,
        lane: i64,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Gives up the database that was connected, because its history ends before what is known to
    /// be committed. Where there are several servers, the next one is tried first; where there is
    /// one, nothing comes of it.
    fn pass_over(&mut self) {}
}

/// What a database offers to [`Driver`] and to the migrations.
pub(super) trait Session: Send {
    const DIALECT: Dialect;

    /// Opens a transaction, runs its first query, and after it loads rows. After
    /// an error none is open.
    fn start(
        &mut self,
        sql: &str,
        params: &[Value],
        fetches: &[Fetch],
    ) -> impl Future<Output = Result<(Vec<Row>, Vec<Vec<Row>>), StoreError>> + Send;

    /// Runs one statement inside the transaction.
    fn query(
        &mut self,
        sql: &str,
        params: &[Value],
    ) -> impl Future<Output = Result<Vec<Row>, StoreError>> + Send;

    /// Runs statements without parameters, inside the transaction if one is open.
    fn script(&mut self, sql: &str) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// See [`Driver::fetch`].
    fn load(
        &mut self,
        fetches: &[Fetch],
    ) -> impl Future<Output = Result<Vec<Vec<Row>>, StoreError>> + Send;

    /// Writes rows, and with them one statement that must change one row, and
    /// commits; how long the COMMIT alone took. No transaction is open
    /// afterwards, whatever the result.
    fn save_and_finish(
        &mut self,
        writes: Vec<Write<'_>>,
        head_sql: &str,
        head_params: &[Value],
    ) -> impl Future<Output = Result<Duration, CommitError>> + Send;

    /// Whether something was written and committed on this very connection.
    fn has_committed(&self) -> bool;

    /// Something was.
    fn note_commit(&mut self);

    /// Commits. No transaction is open afterwards.
    fn finish(&mut self) -> impl Future<Output = Result<(), CommitError>> + Send;

    /// See [`Driver::rollback`].
    fn abandon(&mut self) -> impl Future<Output = ()> + Send;

    /// Gives up the connection with all that is unfinished on it.
    fn disconnect(&mut self) -> impl Future<Output = ()> + Send;
}

impl<S: Session> Driver for S {
    async fn begin(
        &mut self,
        lane: i64,
        fetches: &[Fetch],
    ) -> Result<(ChainHead, Vec<Vec<Row>>), StoreError> {
        let sql = format!(
            "SELECT sequence, hash, time_us, last_entry, clock_ahead_us FROM chain_heads WHERE lane = $1{}",
            S::DIALECT.for_update(),
        );
        let (head, rows) = self.start(&sql, &[Value::Int(lane)], fetches).await?;
        let head = head
            .into_iter()
            .next()
            .ok_or_else(|| StoreError::Corrupt(format!("the chain has no lane {lane}")))
            .and_then(|mut row| {
                Ok(ChainHead {
                    lane,
                    sequence: row.int(0)?,
                    hash: row.bytes(1)?,
                    time_us: row.int(2)?,
                    last_entry: row.int(3)?,
                    test_clock: row.optional_int(4)?.map(|ahead_us| TestClock { ahead_us }),
                })
            });
        if head.is_err() {
            self.abandon().await;
        }
        Ok((head?, rows))
    }

    async fn fetch(&mut self, fetches: &[Fetch]) -> Result<Vec<Vec<Row>>, StoreError> {
        self.load(fetches).await
    }

    async fn commit(
        &mut self,
        writes: Vec<Write<'_>>,
        head: &ChainHead,
    ) -> Result<Duration, CommitError> {
        let sql = "UPDATE chain_heads SET sequence = $1, hash = $2, time_us = $3, last_entry = $4, clock_ahead_us = $5 WHERE lane = $6";
        let params = [
            head.sequence.into(),
            head.hash.clone().into(),
            head.time_us.into(),
            head.last_entry.into(),
            head.test_clock.map(|clock| clock.ahead_us).into(),
            head.lane.into(),
        ];
        commit(self, writes, sql, &params).await
    }

    async fn end_unchanged(&mut self, lane: i64) -> Result<(), CommitError> {
        if !self.has_committed() {
            return probe(self, lane).await;
        }
        self.abandon().await;
        Ok(())
    }

    async fn rollback(&mut self) {
        self.abandon().await;
    }

    async fn committed(&mut self, batch: Uuid, lane: i64) -> Result<bool, StoreError> {
        // The lock on the head waits until the old backend, if it still works
        // on the lost COMMIT, has ended that transaction.
        self.disconnect().await;
        self.begin(lane, &[]).await?;
        let found = self
            .query(
                "SELECT 1 FROM chain WHERE lane = $1 AND batch_id = $2",
                &[lane.into(), batch.into()],
            )
            .await;
        let found = match found {
            Ok(rows) => !rows.is_empty(),
            Err(error) => {
                self.abandon().await;
                return Err(error);
            }
        };
        // The answer counts only after a commit of our own. On PostgreSQL it
        // proves that this is a primary that can still make things durable, and
        // what was flushed and replicated up to here includes the batch. On
        // SQLite it overwrites what the failed COMMIT may have left in the log,
        // which a restart could otherwise find complete.
        probe(self, lane).await.map_err(CommitError::into_inner)?;
        Ok(found)
    }
}

/// The small commit that makes certain of everything before it.
async fn probe<S: Session>(session: &mut S, lane: i64) -> Result<(), CommitError> {
    let sql = "UPDATE chain_heads SET probes = probes + 1 WHERE lane = $1";
    commit(session, Vec::new(), sql, &[lane.into()]).await?;
    Ok(())
}

async fn commit<S: Session>(
    session: &mut S,
    writes: Vec<Write<'_>>,
    head_sql: &str,
    head_params: &[Value],
) -> Result<Duration, CommitError> {
    let took = session
        .save_and_finish(writes, head_sql, head_params)
        .await?;
    session.note_commit();
    Ok(took)
}
