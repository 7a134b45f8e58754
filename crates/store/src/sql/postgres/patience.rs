//! Time limits on our own side: a server that says nothing is not waited for for ever.
//!
//! The server's own limit on statements ends what takes too long, if the server still works. Not
//! what it waits for after a COMMIT (a standby that is gone), and not a server that hangs, or one
//! behind a way that swallows what is sent. After the limit the connection is given up and the
//! next of the servers is tried first.

use std::future::Future;
use std::time::Duration;

use tokio::time::{error::Elapsed, timeout};

use super::Session;
use crate::sql::dialect::Dialect;
use crate::sql::driver::{self, Fetch, Write};
use crate::sql::error::{CommitError, StoreError};
use crate::sql::value::{Row, Value};

/// A session whose every step ends in time.
pub(in crate::sql) struct Patient {
    session: Session,
    /// The longest wait for the answers to one step.
    limit: Duration,
}

impl Patient {
    pub(in crate::sql) fn new(session: Session, limit: Duration) -> Self {
        Self { session, limit }
    }

    /// Gives up the connection, and passes its server over: it has a history that ends before
    /// ours.
    pub(in crate::sql) fn pass_over(&mut self) {
        self.session.give_up();
    }

    fn heard<T>(
        &mut self,
        answer: Result<Result<T, StoreError>, Elapsed>,
    ) -> Result<T, StoreError> {
        answer.unwrap_or_else(|elapsed| {
            self.session.give_up();
            Err(StoreError::unavailable(elapsed))
        })
    }

    fn heard_of_commit<T>(
        &mut self,
        answer: Result<Result<T, CommitError>, Elapsed>,
    ) -> Result<T, CommitError> {
        answer.unwrap_or_else(|elapsed| {
            self.session.give_up();
            Err(CommitError::Unknown(StoreError::unavailable(elapsed)))
        })
    }
}

/// One step of the session, within the limit.
async fn within<T>(limit: Duration, step: impl Future<Output = T> + Send) -> Result<T, Elapsed> {
    timeout(limit, step).await
}

impl driver::Session for Patient {
    const DIALECT: Dialect = Session::DIALECT;

    async fn start(
        &mut self,
        sql: &str,
        params: &[Value],
        fetches: &[Fetch],
    ) -> Result<(Vec<Row>, Vec<Vec<Row>>), StoreError> {
        let answer = within(self.limit, self.session.start(sql, params, fetches)).await;
        self.heard(answer)
    }

    async fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let answer = within(self.limit, self.session.query(sql, params)).await;
        self.heard(answer)
    }

    /// Without a limit: migrations run as scripts, and on a large database they take their time.
    async fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.session.script(sql).await
    }

    async fn load(&mut self, fetches: &[Fetch]) -> Result<Vec<Vec<Row>>, StoreError> {
        let answer = within(self.limit, self.session.load(fetches)).await;
        self.heard(answer)
    }

    async fn save_and_finish(
        &mut self,
        writes: Vec<Write<'_>>,
        head_sql: &str,
        head_params: &[Value],
    ) -> Result<Duration, CommitError> {
        let saving = self.session.save_and_finish(writes, head_sql, head_params);
        let answer = within(self.limit, saving).await;
        self.heard_of_commit(answer)
    }

    fn has_committed(&self) -> bool {
        self.session.has_committed()
    }

    fn note_commit(&mut self) {
        self.session.note_commit();
    }

    async fn finish(&mut self) -> Result<(), CommitError> {
        let answer = within(self.limit, self.session.finish()).await;
        self.heard_of_commit(answer)
    }

    async fn abandon(&mut self) {
        if within(self.limit, self.session.abandon()).await.is_err() {
            self.session.give_up();
        }
    }

    async fn disconnect(&mut self) {
        self.session.disconnect().await;
    }
}
