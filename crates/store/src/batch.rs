//! Batches: what arrives together is decided together and made durable by one commit.
//!
//! | step | what happens |
//! |---|---|
//! | take | all commands that are waiting, up to [`COMMANDS_MAX`]; a lone one never waits for more |
//! | begin | the head of the journal chain is locked, so that batches are serial across processes |
//! | load | what the commands declare, in two rounds of bulk reads, the first of them together with *begin*; what the batch before has left and nobody has changed since is not read again |
//! | decide | one after the other on the same view; a refused one changes nothing |
//! | commit | all changed records, the journal, the chain: bulk writes and one flush |
//! | answer | only now; every command gets its own answer |
//!
//! After a conflict everything from *begin* on is done again, with the same identifiers. What the
//! database refuses for good may be the fault of one command: then each is done alone, so that
//! its neighbours need not suffer. The batch runs on a thread of its own, because SQLite works
//! synchronously.

use std::sync::Arc;

use ledger::Timestamp;
use prometheus_client::registry::Registry;
use rules::{Command, Decidable, Keys, Refusal, Submission, View};
use tokio::sync::{Notify, mpsc, mpsc::error::TrySendError, oneshot, watch};
use uuid::Uuid;

use crate::{
    clock::{Clock, Clocks},
    condition::{Condition, Health},
    metrics::{Metrics, Queues},
    sql::{self, Driver, Location, Opening, Reader, StoreError},
    statement,
};
use writer::Writer;

mod decided;
mod records;
mod writer;

/// The most commands that wait; beyond that new ones are turned away.
pub(crate) const QUEUE_MAX: usize = 8_192;

/// There is one chain.
pub(crate) const LANE: i64 = 0;

/// Where new identifiers come from: UUIDs of version 7, or what a simulation puts in their place.
pub type Identifiers = Arc<dyn Fn() -> Uuid + Send + Sync>;

/// Why a command has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// It was decided, and refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It was not done: too many others are waiting, or the store is closing.
    #[error("the store takes no more commands at present")]
    Overloaded,
    /// It was not done: the database cannot be written.
    #[error("the database cannot be written at present")]
    Unavailable,
    /// It was not done: the disk of the database is full.
    #[error("the disk of the database is full")]
    Full,
    /// It may have been done or not; repeating it is safe and tells.
    #[error("the database was lost while it committed")]
    OutcomeUnknown,
    /// It was not done: the program is at fault.
    #[error("an internal fault")]
    Internal,
}

/// What becomes of a command that the batch could not finish.
#[derive(Clone, Copy)]
pub(crate) enum Failure {
    Unavailable,
    Full,
    /// A key was taken however often the batch was decided anew.
    Conflict,
    OutcomeUnknown,
    Internal,
}

impl Failure {
    /// Whether one command of a batch may be at fault for all.
    fn may_be_of_one(self) -> bool {
        matches!(self, Failure::Conflict | Failure::Internal)
    }

    /// What it says of the database; nothing, if it is the program or a command that is at fault.
    fn condition(self) -> Option<Condition> {
        match self {
            Failure::Full => Some(Condition::Full),
            Failure::Unavailable | Failure::OutcomeUnknown => Some(Condition::Unavailable),
            Failure::Conflict | Failure::Internal => None,
        }
    }
}

impl From<Failure> for SubmitError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable | Failure::Conflict => SubmitError::Unavailable,
            Failure::Full => SubmitError::Full,
            Failure::OutcomeUnknown => SubmitError::OutcomeUnknown,
            Failure::Internal => SubmitError::Internal,
        }
    }
}

/// A command in the queue, with whoever waits for its answer.
pub(crate) trait Waiting: Decidable {
    fn answer(self: Box<Self>, done: Result<(), Failure>);
}

type Batch = Vec<Box<dyn Waiting>>;

struct Waiter<C: Command> {
    submission: Submission<C>,
    reply: oneshot::Sender<Result<C::Outcome, SubmitError>>,
}

impl<C: Command> Decidable for Waiter<C> {
    fn keys(&self) -> Keys {
        self.submission.keys()
    }

    fn more_keys(&self, view: &View) -> Keys {
        self.submission.more_keys(view)
    }

    fn weight(&self) -> usize {
        self.submission.weight()
    }

    fn decide(&mut self, view: &mut View, now: Timestamp) {
        self.submission.decide(view, now);
    }
}

impl<C: Command> Waiting for Waiter<C> {
    fn answer(self: Box<Self>, done: Result<(), Failure>) {
        let answer = match (done, self.submission.answer) {
            (Err(failure), _) => Err(failure.into()),
            (Ok(()), Some(answer)) => answer.map_err(SubmitError::Refused),
            (Ok(()), None) => Err(SubmitError::Internal),
        };
        // Whoever asked may have gone; what was decided stands all the same.
        let _ = self.reply.send(answer);
    }
}

/// The durable state of the network. Clones share it.
#[derive(Clone)]
pub struct Store {
    queue: mpsc::Sender<Box<dyn Waiting>>,
    reader: Reader,
    clocks: Clocks,
    metrics: Metrics,
    health: Health,
    identifiers: Identifiers,
    /// Asks the thread that commits to take no more.
    closing: Arc<Notify>,
    /// Closed once the thread that commits has ended and the database is closed. Nothing is ever
    /// sent.
    stopped: watch::Receiver<()>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database, brings its schema up to date, and starts the thread that commits.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] of opening the database.
    pub async fn open(
        location: &Location,
        opening: Opening,
        clock: Clock,
    ) -> Result<Store, StoreError> {
        let location = location.clone();
        let (opened, opening_done) = oneshot::channel();
        let commit = move || {
            // A runtime of its own: what the batch waits for must not queue behind requests.
            let runtime = match tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            {
                Ok(runtime) => runtime,
                Err(error) => {
                    let source = error.into();
                    let _ = opened.send(Err(StoreError::Unavailable { source }));
                    return;
                }
            };
            runtime.block_on(async move {
                match sql::open(&location, opening).await {
                    Err(error) => {
                        let _ = opened.send(Err(error));
                    }
                    Ok((mut connection, reader)) => {
                        let head = match statement::fill(&mut connection, &reader).await {
                            Ok(head) => head,
                            Err(error) => {
                                let _ = opened.send(Err(error));
                                return;
                            }
                        };
                        let ids = Arc::new(Uuid::now_v7);
                        let (store, commits) = Store::assemble(connection, reader, clock, ids);
                        store.clocks.note(head.test_clock);
                        let _ = opened.send(Ok(store));
                        Box::pin(commits).await;
                    }
                }
            });
        };
        std::thread::Builder::new()
            .name("commit".to_owned())
            .spawn(commit)
            .map_err(|source| StoreError::Unavailable {
                source: source.into(),
            })?;
        opening_done.await.map_err(|lost| StoreError::Unavailable {
            source: lost.into(),
        })?
    }

    /// A store on an open database whose schema is up to date. It commits in a task of the current
    /// runtime, so that a runtime of one thread with a clock of its own determines everything.
    pub fn over(
        driver: impl Driver + 'static,
        reader: Reader,
        clock: Clock,
        identifiers: Identifiers,
    ) -> Store {
        let (store, commits) = Store::assemble(driver, reader, clock, identifiers);
        tokio::spawn(commits);
        store
    }

    /// A store, and the work of committing, which whoever calls has to set going.
    fn assemble<D: Driver>(
        driver: D,
        reader: Reader,
        clock: Clock,
        identifiers: Identifiers,
    ) -> (Store, impl Future<Output = ()> + use<D>) {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let (running, stopped) = watch::channel(());
        let closing = Arc::new(Notify::new());
        let clocks = Clocks::new(clock);
        let metrics = Metrics::default();
        let health = Health::default();
        let writer = Writer {
            driver,
            clocks: clocks.clone(),
            metrics: metrics.clone(),
            health: health.clone(),
            identifiers: Arc::clone(&identifiers),
            closing: Arc::clone(&closing),
            known: None,
            remembered: None,
        };
        let commits = async move {
            // Held to the very end, and let go by a panic too.
            let _running = running;
            writer.run(waiting).await;
        };
        let store = Store {
            queue,
            reader,
            clocks,
            metrics,
            health,
            identifiers,
            closing,
            stopped,
        };
        (store, commits)
    }

    /// Decides a command and makes what it changes durable before it answers.
    ///
    /// # Errors
    ///
    /// [`SubmitError`]; only [`SubmitError::OutcomeUnknown`] leaves open whether it was done.
    pub async fn submit<C: Command>(&self, command: C) -> Result<C::Outcome, SubmitError> {
        let (reply, answer) = oneshot::channel();
        let waiter = Waiter {
            submission: Submission::new(command),
            reply,
        };
        if let Err(refused) = self.queue.try_send(Box::new(waiter)) {
            let closing = matches!(refused, TrySendError::Closed(_));
            self.metrics.turned_away(closing);
            return Err(SubmitError::Overloaded);
        }
        answer.await.unwrap_or(Err(SubmitError::OutcomeUnknown))
    }

    /// A new identifier.
    pub fn draw_id(&self) -> Uuid {
        (self.identifiers)()
    }

    /// Whether the thread that commits is alive.
    pub fn is_writing(&self) -> bool {
        !self.queue.is_closed()
    }

    /// Whether commands can be committed, as far as is known.
    pub fn condition(&self) -> Condition {
        match self.is_writing() {
            true => self.health.get(),
            false => Condition::Unavailable,
        }
    }

    /// Adds the figures of the store: queue, readers, batches and their stages, the chain.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.metrics.register(registry);
        registry.register_collector(Box::new(Queues {
            queue: self.queue.downgrade(),
            reader: self.reader.clone(),
        }));
    }

    pub(crate) fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    pub(crate) fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Takes no more commands, from this handle or any other, and waits until those that are
    /// queued are committed and the database is closed. Whoever gives up waiting takes nothing
    /// from the others.
    pub async fn close(self) {
        let Store {
            closing,
            mut stopped,
            ..
        } = self;
        closing.notify_one();
        while stopped.changed().await.is_ok() {}
    }
}

/// An error with all its causes, for the log.
pub(crate) struct Chain<'error>(pub(crate) &'error dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
