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

use std::{
    cmp::Ordering::{Equal, Greater, Less},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use ledger::{Account, Timestamp};
use prometheus_client::registry::Registry;
use rules::{Command, Decidable, Keys, Refusal, Submission, View};
use tokio::{
    sync::{Notify, mpsc, mpsc::error::TrySendError, oneshot, watch},
    time::Instant,
};
use uuid::Uuid;

use crate::{
    clock::{Clock, Clocks},
    condition::{Condition, Health},
    events,
    journal::Commit,
    metrics::{Metrics, Queues, Stopwatch},
    record::{Columns, CommitFacts, Stored, for_each_stored},
    sql::{
        self, ChainHead, CommitError, Driver, Fetch, Location, Opening, Reader, Rows, StoreError,
        Write, WriteMode,
    },
    statement,
};

/// The most commands in one batch: bounds the memory and the time of a commit.
const COMMANDS_MAX: usize = 1_024;

/// The most work in one batch, in the size of ordinary commands: a settlement counts its
/// transfers. One command alone may be heavier.
const WEIGHT_MAX: usize = 50_000;

/// The most commands that wait; beyond that new ones are turned away.
pub(crate) const QUEUE_MAX: usize = 8_192;

/// The most records of one kind that are remembered from one batch for the next.
const REMEMBERED_MAX: usize = 65_536;

/// How often a batch that met a conflict or was rolled back is tried in all.
const ATTEMPTS_MAX: u32 = 5;

/// How often the database is asked whether a commit happened before the question is given up.
const PROBES_MAX: u32 = 20;

/// How long a batch is tried, and how long the database is asked, at the most: whoever waits is
/// told then that it cannot be reached. What is under way is not cut short.
const TRYING_MAX: Duration = Duration::from_secs(30);

/// The pause before the first repetition; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How often a database that could not be written is tried while nobody asks for anything.
const PROBE_PAUSE: Duration = Duration::from_secs(1);

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

/// How many commands from the first on go into one batch; at least one.
fn fitting(waiting: &[Box<dyn Waiting>]) -> usize {
    let weights = waiting.iter().map(|waiter| waiter.weight());
    let totals = weights.scan(0_usize, |total, weight| {
        *total = total.saturating_add(weight);
        Some(*total)
    });
    totals
        .take_while(|total| *total <= WEIGHT_MAX)
        .count()
        .max(1)
}

struct Writer<D> {
    driver: D,
    clocks: Clocks,
    metrics: Metrics,
    health: Health,
    identifiers: Identifiers,
    closing: Arc<Notify>,
    /// Where the chain was after the last commit of our own: so much is durable.
    known: Option<ChainHead>,
    /// What the last batch left to be read by the next, and where the chain was then. Nothing is
    /// written but by a commit that moves the chain, so that it is true while the chain is there.
    remembered: Option<(ChainHead, View)>,
}

/// What became of one attempt at a batch.
enum Attempt {
    Done,
    Again(StoreError),
    Failed(Failure),
}

impl<D: Driver> Writer<D> {
    async fn run(mut self, mut waiting: mpsc::Receiver<Box<dyn Waiting>>) {
        let closing = Arc::clone(&self.closing);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                biased;
                taken = waiting.recv_many(&mut batch, COMMANDS_MAX) => match taken {
                    0 => return,
                    _ => while !batch.is_empty() {
                        let rest = batch.split_off(fitting(&batch));
                        self.serve(&mut batch).await;
                        batch = rest;
                    },
                },
                // What is queued is still taken; then the channel ends.
                () = closing.notified() => waiting.close(),
                () = tokio::time::sleep(PROBE_PAUSE), if !self.is_writable() => {
                    self.probe().await;
                }
            }
        }
    }

    fn take_note(&self, failure: Failure) {
        if let Some(condition) = failure.condition() {
            self.health.set(condition);
        }
    }

    fn is_writable(&self) -> bool {
        self.health.get() == Condition::Writable
    }

    /// Tries whether the database can be written again, while nobody asks for anything.
    async fn probe(&mut self) {
        // Of a batch that never was it is only the attempt to write that counts.
        self.health
            .set(match self.driver.committed(Uuid::nil(), LANE).await {
                Ok(_) => Condition::Writable,
                Err(error) => Condition::of(&error),
            });
    }

    /// Finishes a batch and answers everybody in it, so that it is empty afterwards.
    async fn serve(&mut self, batch: &mut Batch) {
        let done = self.finish(batch).await;
        match done {
            Err(failure) if failure.may_be_of_one() && batch.len() > 1 => {
                let mut lost = false;
                for waiter in batch.drain(..) {
                    let mut alone = vec![waiter];
                    // When the database goes away now, not everybody waits for it in turn.
                    let done = if lost {
                        Err(Failure::Unavailable)
                    } else {
                        self.finish(&mut alone).await
                    };
                    lost = matches!(done, Err(failure) if failure.condition().is_some());
                    answer(alone, done);
                }
            }
            done => answer(batch.drain(..), done),
        }
    }

    /// Decides and commits a batch, trying again as long as that may help.
    async fn finish(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        self.metrics.took(batch.len());
        let batch_id = (self.identifiers)();
        let mut pause = PAUSE_MIN;
        let mut failure = Failure::Unavailable;
        let began = Instant::now();
        // A database that could not be written before is tried once, and not waited for.
        let hopeful = self.is_writable();
        for attempt in 1..=ATTEMPTS_MAX {
            match self.attempt(batch, batch_id).await {
                Attempt::Done => {
                    self.health.set(Condition::Writable);
                    return Ok(());
                }
                Attempt::Failed(failure) => {
                    self.take_note(failure);
                    return Err(failure);
                }
                Attempt::Again(error) => {
                    self.metrics.rolled_back(&error);
                    tracing::warn!(attempt, commands = batch.len(), error = %Chain(&error), "a batch was rolled back");
                    failure = match error {
                        StoreError::Conflict { .. } => Failure::Conflict,
                        StoreError::Full { .. } => Failure::Full,
                        error if error.is_transient() => Failure::Unavailable,
                        StoreError::Corrupt(_) => {
                            self.health.set(Condition::Unavailable);
                            return Err(Failure::Internal);
                        }
                        _ => return Err(Failure::Internal),
                    };
                }
            }
            let hopeless = !hopeful && failure.condition().is_some();
            if hopeless || began.elapsed() > TRYING_MAX {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        self.take_note(failure);
        Err(failure)
    }

    async fn attempt(&mut self, batch: &mut Batch, batch_id: Uuid) -> Attempt {
        let mut watch = Stopwatch::start();
        let (expected, remembered) = self.remembered.take().unzip();
        let mut remembered: View = remembered.unwrap_or_default();
        let mut keys = declared(batch, |waiter| waiter.keys());
        let known = remembered.take_known(&mut keys);
        let (head, rows) = match self.driver.begin(LANE, &fetches(&keys)).await {
            Ok(begun) => begun,
            Err(error) => return Attempt::Again(error),
        };
        self.metrics.begin.took(watch.lap());
        if let Err(error) = self.goes_on_from_what_is_known(&head) {
            self.driver.rollback().await;
            self.driver.pass_over();
            return Attempt::Again(error);
        }
        // Once somebody else has committed, nothing that is remembered counts.
        let is_stale = expected.is_some_and(|expected| expected != head);
        let loaded = match is_stale {
            false => placed(known, keys, rows),
            true => {
                remembered = View::default();
                self.load_anew(batch).await
            }
        };
        let loaded = match loaded {
            Ok(view) => self.load_more(batch, view, &mut remembered).await,
            Err(error) => Err(error),
        };
        let mut view = match loaded {
            Ok(view) => view,
            Err(error) => {
                self.driver.rollback().await;
                return Attempt::Again(error);
            }
        };
        self.metrics.load.took(watch.lap());
        let now = self.clocks.after(&head);
        view.test_clock = head.test_clock;
        view.entries_before = head.last_entry;
        for waiter in batch.iter_mut() {
            // A command that reads what it did not declare panics before it changed anything,
            // and has no answer then.
            guarded(|| waiter.decide(&mut view, now));
        }
        let decided = Decided::of(&view, &head, batch_id, now);
        self.metrics.decide.took(watch.lap());
        let Some(decided) = decided else {
            return match self.driver.end_unchanged(LANE).await {
                Ok(()) => {
                    self.metrics.unchanged();
                    remembered.remember(view, REMEMBERED_MAX);
                    self.remembered = Some((head, remembered));
                    Attempt::Done
                }
                Err(error) => Attempt::Again(error.into_inner()),
            };
        };
        let next = decided.head();
        match self.driver.commit(decided.writes(), &next).await {
            Ok(flush) => {
                self.metrics.write.took(watch.lap().saturating_sub(flush));
                self.metrics.flush.took(flush);
                self.metrics.committed(&next);
                remembered.remember(view, REMEMBERED_MAX);
                self.clocks.note(next.test_clock);
                self.remembered = Some((next.clone(), remembered));
                self.known = Some(next);
                Attempt::Done
            }
            Err(CommitError::Conflict(error) | CommitError::RolledBack(error)) => {
                Attempt::Again(error)
            }
            Err(CommitError::Unknown(error)) => {
                let resolved = self.resolve(batch_id, error).await;
                if matches!(resolved, Attempt::Done) {
                    self.metrics.committed(&next);
                    self.clocks.note(next.test_clock);
                    self.known = Some(next);
                }
                resolved
            }
        }
    }

    /// A chain that ends before what is known to be committed, or ends there otherwise, is that of
    /// an old primary, of a standby that lacked something, or of a backup. Nothing is decided on
    /// it: what was acknowledged would be lost, and could be done a second time.
    fn goes_on_from_what_is_known(&self, head: &ChainHead) -> Result<(), StoreError> {
        let Some(known) = &self.known else {
            return Ok(());
        };
        let goes_on = match head.sequence.cmp(&known.sequence) {
            Less => false,
            Equal => head.hash == known.hash,
            Greater => true,
        };
        if goes_on {
            return Ok(());
        }
        tracing::error!(
            known = known.sequence,
            found = head.sequence,
            "the database lacks what was committed: it is an old primary or an old copy; \
             restart to go on from there if that is meant"
        );
        Err(StoreError::Behind {
            known: known.sequence,
            found: head.sequence,
        })
    }

    /// Finds out whether a commit whose answer was lost has happened.
    async fn resolve(&mut self, batch_id: Uuid, lost: StoreError) -> Attempt {
        tracing::warn!(error = %Chain(&lost), "the answer to a commit was lost; asking for it");
        let mut pause = PAUSE_MIN;
        let began = Instant::now();
        for _ in 0..PROBES_MAX {
            match self.driver.committed(batch_id, LANE).await {
                Ok(done) => {
                    self.metrics.asked_for(Some(done));
                    return match done {
                        true => Attempt::Done,
                        false => Attempt::Again(lost),
                    };
                }
                Err(error) => {
                    self.health.set(Condition::of(&error));
                    tracing::warn!(error = %Chain(&error), "the outcome of a commit is unknown yet");
                }
            }
            if began.elapsed() > TRYING_MAX {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
        self.metrics.asked_for(None);
        Attempt::Failed(Failure::OutcomeUnknown)
    }

    /// A view of what the batch declares from the beginning.
    async fn load_anew(&mut self, batch: &mut Batch) -> Result<View, StoreError> {
        let keys = declared(batch, |waiter| waiter.keys());
        let rows = self.driver.fetch(&fetches(&keys)).await?;
        placed(View::default(), keys, rows)
    }

    /// Adds what the batch declares once it sees that view.
    async fn load_more(
        &mut self,
        batch: &mut Batch,
        mut view: View,
        remembered: &mut View,
    ) -> Result<View, StoreError> {
        let mut keys = declared(batch, |waiter| waiter.more_keys(&view));
        keys.forget_known(&view);
        view.absorb(remembered.take_known(&mut keys));
        if keys.is_empty() {
            return Ok(view);
        }
        let rows = self.driver.fetch(&fetches(&keys)).await?;
        placed(view, keys, rows)
    }
}

fn answer(batch: impl IntoIterator<Item = Box<dyn Waiting>>, done: Result<(), Failure>) {
    for waiter in batch {
        waiter.answer(done);
    }
}

/// Runs code of a command, whose panic is a defect of that command alone: nothing comes of it.
fn guarded<T>(run: impl FnOnce() -> T) -> Option<T> {
    let outcome = catch_unwind(AssertUnwindSafe(run)).ok();
    if outcome.is_none() {
        tracing::error!("a command panicked");
    }
    outcome
}

/// The keys that all of a batch declare. A command that panics at that is answered and leaves the
/// batch: without its keys it must not be decided.
fn declared(batch: &mut Batch, declare: impl Fn(&dyn Waiting) -> Keys) -> Keys {
    let mut keys = Keys::default();
    for waiter in std::mem::take(batch) {
        match guarded(|| declare(waiter.as_ref())) {
            Some(own) => {
                keys.absorb(own);
                batch.push(waiter);
            }
            None => waiter.answer(Err(Failure::Internal)),
        }
    }
    keys
}

macro_rules! define_loading {
    ($($shelf:ident),+) => {
        /// One bulk read for each kind of record among `keys`.
        fn fetches(keys: &Keys) -> Vec<Fetch> {
            let mut fetches = Vec::new();
            $(if !keys.$shelf.is_empty() {
                fetches.push(fetch_of(&View::default().$shelf, &keys.$shelf));
            })+
            fetches
        }

        /// Adds what [`fetches`] of these keys have brought to a view.
        fn placed(
            mut view: View,
            keys: Keys,
            rows: Vec<Vec<sql::Row>>,
        ) -> Result<View, StoreError> {
            let mut rows = rows.into_iter();
            $(if !keys.$shelf.is_empty() {
                place(&mut view.$shelf, keys.$shelf, rows.next().unwrap_or_default())?;
            })+
            Ok(view)
        }

        /// What every changed record writes.
        fn record_writes<'rows>(
            view: &'rows View,
            facts: &'rows CommitFacts<'_>,
        ) -> Vec<Write<'rows>> {
            let mut writes = Vec::new();
            $(writes.extend(write_of(&view.$shelf, facts));)+
            writes
        }
    };
}
for_each_stored!(define_loading);

/// The shelf tells the kind of record.
fn fetch_of<R: Stored>(_: &rules::Shelf<R>, keys: &std::collections::BTreeSet<R::Key>) -> Fetch {
    Fetch {
        table: R::TABLE,
        by: R::TABLE.key,
        keys: keys.iter().map(R::key_values).collect(),
    }
}

fn place<R: Stored>(
    shelf: &mut rules::Shelf<R>,
    keys: std::collections::BTreeSet<R::Key>,
    rows: Vec<sql::Row>,
) -> Result<(), StoreError> {
    shelf.load_absent(keys);
    for row in rows {
        let record = R::from_row(&mut Columns::from(row))?;
        shelf.load(record.key(), Some(record));
    }
    Ok(())
}

fn write_of<'rows, R: Stored>(
    shelf: &'rows rules::Shelf<R>,
    facts: &'rows CommitFacts<'_>,
) -> Option<Write<'rows>> {
    let count = shelf.changed().count();
    let rows = shelf.changed().map(|record| record.to_row(facts));
    // A key that is taken all the same would be a conflict, and the batch is decided anew.
    let mode = match shelf.has_only_new() {
        true => WriteMode::Insert,
        false => R::MODE,
    };
    (count > 0).then_some(Write {
        table: R::TABLE,
        mode,
        rows: Rows::new(count, rows),
    })
}

/// What a batch comes to: its commit, and what the rows of that are made of.
struct Decided<'view> {
    view: &'view View,
    commit: Commit,
    hash: Vec<u8>,
    facts: CommitFacts<'view>,
    lines: Vec<statement::Line<'view>>,
}

impl<'view> Decided<'view> {
    /// Nothing, if nothing changed.
    fn of(view: &'view View, head: &ChainHead, batch_id: Uuid, now: Timestamp) -> Option<Self> {
        let entries = &view.entries;
        let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        let commit = Commit {
            lane: head.lane,
            sequence: head.sequence + 1,
            batch_id,
            previous_hash: head.hash.clone(),
            time: now,
            first_entry: head.last_entry + 1,
            last_entry: head.last_entry + count,
        };
        let after = |account: &Account| {
            let known = view.balances.get(account);
            known.map(|known| known.balance).unwrap_or_default()
        };
        let (last_entries, lines) = statement::lines(entries, commit.first_entry, after);
        let facts = CommitFacts {
            sequence: commit.sequence,
            last_entries,
        };
        if record_writes(view, &facts).is_empty() {
            return None;
        }
        let requests = view.signed_requests.changed();
        let hash = commit.hash(entries, requests, view.operator_acts.changed());
        Some(Decided {
            view,
            commit,
            hash,
            facts,
            lines,
        })
    }

    fn writes(&self) -> Vec<Write<'_>> {
        let Decided { view, commit, .. } = self;
        let mut writes = record_writes(view, &self.facts);
        writes.extend(commit.writes(&self.hash, &view.entries));
        writes.push(statement::write(&self.lines));
        writes.push(events::write(&view.events, commit.sequence, commit.time));
        writes.retain(|write| !write.rows.is_empty());
        writes
    }

    /// The head that the chain then has.
    fn head(&self) -> ChainHead {
        ChainHead {
            lane: self.commit.lane,
            sequence: self.commit.sequence,
            hash: self.hash.clone(),
            time_us: self.commit.time.0,
            last_entry: self.commit.last_entry,
            test_clock: self.view.test_clock,
        }
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
