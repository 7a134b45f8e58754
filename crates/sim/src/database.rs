//! The database as a server sees it: SQLite in memory behind a driver that fails as databases do.

use std::{sync::Arc, time::Duration};

use store::{
    StoreError,
    sql::{ChainHead, CommitError, Connection, Driver, Fetch, Row, Write},
};
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use crate::{laws, server::Life, world::World};

/// A connection that fails. The lock on the head of the chain, which keeps the batches of several
/// servers apart, is the world's.
pub(crate) struct Faulty {
    inner: Connection,
    world: Arc<World>,
    life: Life,
    server: u64,
    chain_head: Option<OwnedMutexGuard<()>>,
}

impl Faulty {
    pub(crate) fn new(inner: Connection, world: Arc<World>, life: Life, server: u64) -> Faulty {
        Faulty {
            inner,
            world,
            life,
            server,
            chain_head: None,
        }
    }

    fn check_life(&self) -> Result<(), StoreError> {
        match self.life.has_ended() {
            true => Err(unavailable("the server is dead")),
            false => Ok(()),
        }
    }

    fn suffers(&self, often: u64, what: &str) -> bool {
        let suffers = self.world.suffers(often);
        if suffers {
            self.world
                .note(format_args!("server {}: {what}", self.server));
        }
        suffers
    }

    async fn give_up(&mut self) {
        self.inner.rollback().await;
        self.chain_head = None;
    }

    /// Commits what is to be, and looks at the books.
    async fn commit_inside(
        &mut self,
        writes: Vec<Write<'_>>,
        head: &ChainHead,
    ) -> Result<Duration, CommitError> {
        let done = self.inner.commit(writes, head).await;
        if done.is_ok() {
            self.world.note(format_args!(
                "server {} commits {}",
                self.server, head.sequence
            ));
            laws::check_step(&self.world).await;
        }
        self.chain_head = None;
        done
    }
}

fn unavailable(what: &str) -> StoreError {
    StoreError::Unavailable {
        source: what.to_owned().into(),
    }
}

impl Driver for Faulty {
    async fn begin(
        &mut self,
        lane: i64,
        fetches: &[Fetch],
    ) -> Result<(ChainHead, Vec<Vec<Row>>), StoreError> {
        self.give_up().await;
        self.check_life()?;
        let world = Arc::clone(&self.world);
        if world.is_faulty() {
            tokio::time::sleep(world.chance.millis(8)).await;
        }
        self.chain_head = Some(Arc::clone(&world.chain_head).lock_owned().await);
        let begun = match self.check_life() {
            Ok(()) if self.suffers(world.plan.begin_fails, "a transaction does not begin") => {
                Err(unavailable("no connection"))
            }
            Ok(()) => self.inner.begin(lane, fetches).await,
            Err(dead) => Err(dead),
        };
        if begun.is_err() {
            self.chain_head = None;
        } else if self.suffers(self.world.plan.load_fails, "a load fails") {
            self.give_up().await;
            return Err(unavailable("the connection broke"));
        }
        begun
    }

    async fn fetch(&mut self, fetches: &[Fetch]) -> Result<Vec<Vec<Row>>, StoreError> {
        self.check_life()?;
        if self.suffers(self.world.plan.load_fails, "a load fails") {
            return Err(unavailable("the connection broke"));
        }
        self.inner.fetch(fetches).await
    }

    async fn commit(
        &mut self,
        writes: Vec<Write<'_>>,
        head: &ChainHead,
    ) -> Result<Duration, CommitError> {
        let plan = self.world.plan.clone();
        if self.suffers(plan.dies_before_commit, "dies before a commit") {
            self.life.end();
        }
        if let Err(dead) = self.check_life() {
            self.give_up().await;
            return Err(CommitError::RolledBack(dead));
        }
        if self.suffers(plan.commit_conflicts, "a commit meets a conflict") {
            self.give_up().await;
            return Err(CommitError::Conflict(StoreError::Conflict {
                source: "serialization failure".into(),
            }));
        }
        if self.suffers(plan.commit_fails, "a commit is rolled back") {
            self.give_up().await;
            return Err(CommitError::RolledBack(unavailable("the server restarts")));
        }
        if self.suffers(
            plan.commit_lost_and_undone,
            "a commit is lost, and not done",
        ) {
            self.give_up().await;
            return Err(CommitError::Unknown(unavailable("the connection broke")));
        }
        let done = self.commit_inside(writes, head).await?;
        if self.suffers(plan.dies_after_commit, "dies after a commit") {
            self.life.end();
        }
        if self.life.has_ended() {
            // Nobody hears of it any more.
            return Err(CommitError::Unknown(unavailable("the server is dead")));
        }
        if self.suffers(plan.commit_lost_but_done, "a commit is lost, but done") {
            return Err(CommitError::Unknown(unavailable("the connection broke")));
        }
        Ok(done)
    }

    async fn end_unchanged(&mut self, lane: i64) -> Result<(), CommitError> {
        if let Err(dead) = self.check_life() {
            self.give_up().await;
            return Err(CommitError::RolledBack(dead));
        }
        let ended = self.inner.end_unchanged(lane).await;
        self.chain_head = None;
        ended
    }

    async fn rollback(&mut self) {
        self.give_up().await;
    }

    async fn committed(&mut self, batch: Uuid, lane: i64) -> Result<bool, StoreError> {
        self.give_up().await;
        self.check_life()?;
        if self.suffers(
            self.world.plan.probe_fails,
            "what became of a commit is not told",
        ) {
            return Err(unavailable("no connection"));
        }
        self.chain_head = Some(Arc::clone(&self.world.chain_head).lock_owned().await);
        let found = match self.check_life() {
            Ok(()) => self.inner.committed(batch, lane).await,
            Err(dead) => Err(dead),
        };
        self.chain_head = None;
        found
    }
}
