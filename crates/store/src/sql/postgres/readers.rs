//! Connections that only read: lists, look-ups, snapshots. What is written has a connection of its
//! own beside it.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{
    Connect, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error, IsolationLevel};

use super::servers::Servers;
use super::{CONNECT_TIMEOUT, cannot_connect, classify, connect, query, read, statement_limit};
use crate::sql::error::StoreError;
use crate::sql::reader::Occupancy;
use crate::sql::value::{Row, Value};

const READER_SETTINGS: &str = "
    SET default_transaction_read_only = on";

/// Every list has an index that begins with whoever asks and goes on in the list's order. As long as
/// somebody has a good part of all rows, or the database does not know better, it would rather go
/// through all of them, or sort all that somebody has.
const LISTS_SETTINGS: &str = "
    SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN
        ('enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'enable_sort', 'enable_material', 'jit')";

/// What is added up over a whole table is not looked up.
const SNAPSHOT_SETTINGS: &str = "
    SELECT set_config(name, 'on', true) FROM pg_settings WHERE name IN
        ('enable_seqscan', 'enable_hashjoin', 'enable_mergejoin', 'enable_sort', 'enable_material')";

/// Connections that only read, a pool for each server; none is opened before it is needed.
#[derive(Clone)]
pub(in crate::sql) struct Readers {
    servers: Arc<Servers>,
    /// As many as servers, in their order.
    pools: Vec<Pool>,
    /// The longest wait for an answer.
    limit: Duration,
}

impl Readers {
    /// For whatever is to be read.
    pub(in crate::sql) fn new(
        servers: &Arc<Servers>,
        readers_max: usize,
        limit: Duration,
    ) -> Result<Self, StoreError> {
        Self::with(servers, readers_max, limit, READER_SETTINGS)
    }

    /// For lists and look-ups.
    pub(in crate::sql) fn of_lists(
        servers: &Arc<Servers>,
        readers_max: usize,
        limit: Duration,
    ) -> Result<Self, StoreError> {
        let settings = format!("{READER_SETTINGS}; {LISTS_SETTINGS}");
        Self::with(servers, readers_max, limit, &settings)
    }

    fn with(
        servers: &Arc<Servers>,
        readers_max: usize,
        limit: Duration,
        settings: &str,
    ) -> Result<Self, StoreError> {
        let mut pools = vec![None; servers.count()];
        for (number, config) in servers.in_turn() {
            pools[number] = Some(pool(config, readers_max, limit, settings)?);
        }
        Ok(Self {
            servers: Arc::clone(servers),
            pools: pools.into_iter().flatten().collect(),
            limit,
        })
    }

    /// How busy the pools are, all of them together.
    pub(in crate::sql) fn occupancy(&self) -> Occupancy {
        let mut all = Occupancy::default();
        for pool in &self.pools {
            let status = pool.status();
            all.busy += status.size.saturating_sub(status.available);
            all.waited_for += status.waiting;
            all.max += status.max_size;
        }
        all
    }

    /// Runs a query on a connection of the pool. See [`crate::sql::Reader::read`].
    pub(in crate::sql) async fn read<T>(
        &self,
        sql: &str,
        params: &[Value],
        make: impl Fn(Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let client = self.connection().await?;
        let answer = async {
            let statement = client.prepare_cached(sql).await?;
            read(&client, &statement, params, make).await
        };
        let answer = tokio::time::timeout(self.limit, answer).await;
        heard(client, answer)?.into_iter().collect()
    }

    /// Runs queries in one transaction, which sees what was there at the first.
    /// It is rolled back when it is dropped.
    pub(in crate::sql) async fn snapshot(
        &self,
        queries: &[String],
    ) -> Result<Vec<Vec<Row>>, StoreError> {
        let mut client = self.connection().await?;
        let transaction = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await
            .map_err(classify)?;
        let settings = transaction.batch_execute(SNAPSHOT_SETTINGS).await;
        settings.map_err(classify)?;
        let mut answers = Vec::with_capacity(queries.len());
        for sql in queries {
            let statement = transaction.prepare_cached(sql).await.map_err(classify)?;
            let rows = query::<&Value>(transaction.client(), &statement, &[]).await;
            answers.push(rows.map_err(classify)?);
        }
        Ok(answers)
    }

    /// A connection to the server where writes go or, if it cannot be reached, to the next one.
    async fn connection(&self) -> Result<Object, StoreError> {
        let mut refused = StoreError::unavailable("the URL names no server");
        for (number, _) in self.servers.in_turn() {
            match self.pools[number].get().await {
                Ok(client) => return Ok(client),
                Err(PoolError::Backend(error)) => refused = cannot_connect(error),
                Err(error) => refused = StoreError::unavailable(error),
            }
        }
        Err(refused)
    }
}

/// What came back in time; a connection on which nothing did is given up.
fn heard<T>(
    client: Object,
    answer: Result<Result<T, Error>, tokio::time::error::Elapsed>,
) -> Result<T, StoreError> {
    match answer {
        Ok(answer) => answer.map_err(classify),
        Err(elapsed) => {
            drop(Object::take(client));
            Err(StoreError::unavailable(elapsed))
        }
    }
}

fn pool(
    config: &Config,
    readers_max: usize,
    limit: Duration,
    settings: &str,
) -> Result<Pool, StoreError> {
    let connect = ReaderConnect {
        settings: format!("{settings}; {}", statement_limit(limit)),
    };
    let manager = Manager::from_connect(
        config.clone(),
        connect,
        ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        },
    );
    Pool::builder(manager)
        .max_size(readers_max)
        .runtime(Runtime::Tokio1)
        .create_timeout(Some(CONNECT_TIMEOUT))
        .build()
        .map_err(StoreError::other)
}

struct ReaderConnect {
    settings: String,
}

impl Connect for ReaderConnect {
    fn connect(&self, config: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        let config = config.clone();
        // What is read is not lost by a warning.
        Box::pin(async move { connect(&config, &self.settings, &Arc::default()).await })
    }
}
