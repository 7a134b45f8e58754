//! The thread that commits: it takes what waits, has it decided, makes it durable and answers.
//! What a batch reads and writes of records is in [`super::records`], what it comes to in
//! [`super::decided`].

use std::{
    cmp::Ordering::{Equal, Greater, Less},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use rules::{Keys, View};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};
use uuid::Uuid;

use super::{
    Batch, Chain, Failure, Identifiers, LANE, Waiting,
    decided::Decided,
    records::{fetches, placed},
};
use crate::{
    clock::Clocks,
    condition::{Condition, Health},
    metrics::{Metrics, Stopwatch},
    sql::{ChainHead, CommitError, Driver, StoreError},
};

/// The most commands in one batch: bounds the memory and the time of a commit.
const COMMANDS_MAX: usize = 1_024;

/// The most work in one batch, in the size of ordinary commands: a settlement counts its
/// transfers. One command alone may be heavier.
const WEIGHT_MAX: usize = 50_000;

/// The most records of one kind that are read at a time. Of a settlement there are tens of
/// thousands, and the rows of all would be there beside what is made of them.
const READ_AT_ONCE: usize = 4_096;

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

/// What commits.
pub(super) struct Writer<D> {
    pub(super) driver: D,
    pub(super) clocks: Clocks,
    pub(super) metrics: Metrics,
    pub(super) health: Health,
    pub(super) identifiers: Identifiers,
    pub(super) closing: Arc<Notify>,
    /// Where the chain was after the last commit of our own: so much is durable.
    pub(super) known: Option<ChainHead>,
    /// What the last batch left to be read by the next, and where the chain was then. Nothing is
    /// written but by a commit that moves the chain, so that it is true while the chain is there.
    pub(super) remembered: Option<(ChainHead, View)>,
}

/// What became of one attempt at a batch.
enum Attempt {
    Done,
    Again(StoreError),
    Failed(Failure),
}

impl<D: Driver> Writer<D> {
    /// Commits what comes until nobody can send any more, or the store closes.
    pub(super) async fn run(mut self, mut waiting: mpsc::Receiver<Box<dyn Waiting>>) {
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
        let first = keys.take(READ_AT_ONCE);
        let (head, rows) = match self.driver.begin(LANE, &fetches(&first)).await {
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
        let loaded = async {
            let (view, keys) = match is_stale {
                false => (placed(known, first, rows)?, keys),
                true => {
                    remembered = View::default();
                    (View::default(), declared(batch, |waiter| waiter.keys()))
                }
            };
            let view = self.load(view, keys).await?;
            self.load_more(batch, view, &mut remembered).await
        };
        let mut view = match loaded.await {
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

    /// Adds what the keys name.
    async fn load(&mut self, mut view: View, mut keys: Keys) -> Result<View, StoreError> {
        while !keys.is_empty() {
            let next = keys.take(READ_AT_ONCE);
            let rows = self.driver.fetch(&fetches(&next)).await?;
            view = placed(view, next, rows)?;
        }
        Ok(view)
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
        self.load(view, keys).await
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
