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
    Postgres(deadpool_postgres::Pool),
}

impl Reader {
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
            Pool::Postgres(pool) => postgres::read(pool, sql, &params).await,
        }
    }
}
