//! The read side: a pool of connections for lists and look-ups that no batch
//! waits for. They see what is committed and write nothing.

use std::sync::Arc;

use super::error::StoreError;
use super::value::{Row, Value};
use super::{postgres, sqlite};

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
        match &self.0 {
            Pool::Sqlite(reader) => Arc::clone(reader).query(sql, params).await,
            Pool::Memory(reader) => reader.query(sql, &params),
            Pool::Postgres(readers) => readers.query(sql, &params).await,
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
        let answers = match &self.0 {
            Pool::Sqlite(reader) => Arc::clone(reader).snapshot(queries.into()).await?,
            Pool::Memory(reader) => reader.snapshot(&queries)?,
            Pool::Postgres(readers) => readers.snapshot(&queries).await?,
        };
        answers
            .try_into()
            .map_err(|_| StoreError::other("not every query was answered"))
    }
}
