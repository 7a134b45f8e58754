//! The read side: a pool of connections for lists and look-ups that no batch
//! waits for. They see what is committed and write nothing.

use std::path::PathBuf;
use std::sync::Arc;

use super::dialect::Dialect;
use super::error::StoreError;
use super::value::{Row, Value};
use super::{postgres, sqlite};

/// The target of the log in which every query is told with its plan, at the level TRACE.
const PLANS: &str = "store::plans";

fn tells_plans() -> bool {
    tracing::enabled!(target: PLANS, tracing::Level::TRACE)
}

/// A pool of read connections. Clones share it.
#[derive(Clone)]
pub struct Reader(pub(super) Pool);

#[derive(Clone)]
pub(super) enum Pool {
    Sqlite(Arc<sqlite::Reader>),
    Memory(Arc<sqlite::MemoryReader>),
    Postgres(postgres::Readers),
}

/// How busy a pool is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Connections that are in use.
    pub busy: usize,
    /// Queries that wait for one.
    pub waited_for: usize,
    /// The most that may be in use.
    pub max: usize,
}

impl Reader {
    /// How busy the pool is at the moment.
    pub fn occupancy(&self) -> Occupancy {
        match &self.0 {
            Pool::Sqlite(reader) => reader.occupancy(),
            Pool::Memory(_) => Occupancy {
                busy: 0,
                waited_for: 0,
                max: 1,
            },
            Pool::Postgres(readers) => readers.occupancy(),
        }
    }

    /// Runs a query; `$1` in it is the first of the parameters, `$2` the second.
    /// Waits for a connection when all are busy. Statements stay prepared, so
    /// the text must not contain values.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn query(&self, sql: &str, params: Vec<Value>) -> Result<Vec<Row>, StoreError> {
        self.read(sql, params, Ok).await
    }

    /// Runs a query as [`query`](Reader::query) does, and makes something of each row as soon as
    /// it is there: the rows themselves, which take several times as much memory, are never all
    /// there at once.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`], the first one of `read` among them.
    pub async fn read<T: Send + 'static>(
        &self,
        sql: &str,
        params: Vec<Value>,
        read: impl Fn(Row) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Vec<T>, StoreError> {
        if tells_plans() {
            self.tell_plan(sql, params.clone()).await?;
        }
        self.run(sql, params, read).await
    }

    async fn tell_plan(&self, sql: &str, params: Vec<Value>) -> Result<(), StoreError> {
        let plan = self.plan(sql, params).await?;
        tracing::trace!(target: PLANS, sql, plan);
        Ok(())
    }

    /// How the database means to run a query, in its own words.
    async fn plan(&self, sql: &str, params: Vec<Value>) -> Result<String, StoreError> {
        let (explain, column) = match &self.0 {
            Pool::Sqlite(_) | Pool::Memory(_) => ("EXPLAIN QUERY PLAN", 3),
            Pool::Postgres(_) => ("EXPLAIN (COSTS OFF)", 0),
        };
        let sql = format!("{explain} {sql}");
        let steps = self.run(&sql, params, move |mut step: Row| step.text(column));
        Ok(steps.await?.join("\n"))
    }

    async fn run<T: Send + 'static>(
        &self,
        sql: &str,
        params: Vec<Value>,
        read: impl Fn(Row) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Vec<T>, StoreError> {
        match &self.0 {
            Pool::Sqlite(reader) => Arc::clone(reader).read(sql, params, read).await,
            Pool::Memory(reader) => reader.read(sql, &params, read),
            Pool::Postgres(readers) => readers.read(sql, &params, read).await,
        }
    }

    /// Runs queries without parameters, all on the same state of the database,
    /// whatever is committed meanwhile.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn snapshot<const N: usize>(
        &self,
        queries: [String; N],
    ) -> Result<[Vec<Row>; N], StoreError> {
        if tells_plans() {
            for sql in &queries {
                self.tell_plan(sql, Vec::new()).await?;
            }
        }
        let answers = match &self.0 {
            Pool::Sqlite(reader) => Arc::clone(reader).snapshot(queries.into()).await?,
            Pool::Memory(reader) => reader.snapshot(&queries)?,
            Pool::Postgres(readers) => readers.snapshot(&queries).await?,
        };
        answers
            .try_into()
            .map_err(|_| StoreError::other("not every query was answered"))
    }

    /// Whether the database is a file of SQLite.
    pub fn is_file(&self) -> bool {
        matches!(self.0, Pool::Sqlite(_))
    }

    /// The words that add up a column of amounts.
    pub fn sum_of(&self, column: &str) -> String {
        match &self.0 {
            Pool::Sqlite(_) | Pool::Memory(_) => {
                format!("{}({column})", sqlite::SUM_OF_AMOUNTS)
            }
            Pool::Postgres(_) => format!("SUM({column})"),
        }
    }

    /// The amount zero, as a literal.
    pub fn zero_amount(&self) -> &'static str {
        match &self.0 {
            Pool::Sqlite(_) | Pool::Memory(_) => Dialect::Sqlite.zero_amount(),
            Pool::Postgres(_) => Dialect::Postgres.zero_amount(),
        }
    }

    /// What the database itself finds wrong with its pages, its indexes and the constraints of its
    /// tables, if it has at most so many bytes. SQLite alone can be asked.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn faults_of_structure(&self, bytes_max: u64) -> Result<Vec<String>, StoreError> {
        match &self.0 {
            Pool::Sqlite(reader) if reader.size() <= bytes_max => {
                let rows = self.query("PRAGMA integrity_check", Vec::new()).await?;
                let told: Result<Vec<String>, _> =
                    rows.into_iter().map(|mut row| row.text(0)).collect();
                Ok(told?.into_iter().filter(|line| line != "ok").collect())
            }
            Pool::Sqlite(_) | Pool::Memory(_) | Pool::Postgres(_) => Ok(Vec::new()),
        }
    }

    /// Writes a copy of the database, as it is at one moment, into an empty file, beside whoever
    /// writes. It is not flushed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] on PostgreSQL, which has tools of its own for that; else any
    /// [`StoreError`].
    pub async fn copy_into(&self, target: PathBuf) -> Result<(), StoreError> {
        match &self.0 {
            Pool::Sqlite(reader) => Arc::clone(reader).copy_into(target).await,
            Pool::Memory(_) => Err(StoreError::Refused(
                "a database in memory is not backed up".to_owned(),
            )),
            Pool::Postgres(_) => Err(StoreError::Refused(
                "a database on PostgreSQL is backed up by the means of PostgreSQL, such as pg_basebackup".to_owned(),
            )),
        }
    }
}
