//! The use-cases of the network, one module per verb: authorise, decide, commit, tell the partner.
//!
//! Here requests become commands, commands become durable, and what follows from them is said to
//! partners, by the request itself where somebody waits for it and by the worker for everything
//! else. What a command decides is in the rules; how it is stored is in the store; HTTP and JSON
//! bodies are above.
//!
//! Every use-case runs in a task of its own: a client that hangs up, or a time limit that
//! strikes, never abandons it after its first commit. Closing waits for these tasks.

mod admission;
mod allocate;
mod approve;
mod authority;
mod clock;
mod connect;
mod dispute;
mod failure;
mod feed;
mod fund;
mod in_hand;
mod known;
mod on_chain;
mod onboard;
mod operate;
mod outbox;
mod partner_terms;
mod read;
mod seal;
mod settle;
mod signing;
mod stage;
mod suspend;
mod timers;
mod watch;
mod windows;

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use partner::PartnerCaller;
use rules::{Command, PartnerId};
use store::{Condition, Store};
use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;
use uuid::Uuid;

pub use admission::Place;
pub use allocate::{AllocationRequest, PartnerAnswerRequest};
pub use authority::{Authentic, Caller, Presented};
pub use connect::ConnectionRequest;
pub use dispute::{
    AdjustmentRequest, DisputeClosureRequest, DisputeRequest, DisputeUpdateRequest, DisputeView,
};
pub use failure::Failure;
pub use fund::Movement;
pub use on_chain::{ChainObserver, DepositsRequest, OnChainFacts, OnChainView};
pub use onboard::PartnerRequest;
pub use operate::{IssuedToken, NewToken, Operator, StuckHold, TokenKind};
pub use partner_terms::PartnerTerms;
pub use read::{
    ClientBalances, ClientSettlement, ClientTransfer, ConnectionBalances, PartnerBalances,
    PartnerView, SettlementDetail, SupportedCurrency,
};
pub use seal::{MasterKey, MasterKeyError};
pub use settle::{SettlementAmount, SettlementRequest};
pub use signing::SignedText;
pub use stage::{StagedSettlement, StagingRequest};

/// How the network behaves where the protocol leaves it open.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a server works on one message before another may take it. Longer than the
    /// longest call to a partner, so that nobody else asks at the same time.
    pub lease: Duration,
    /// How long a repeated request waits for an attempt that is in flight.
    pub patience: Duration,
    /// How often the worker looks for messages that other servers left, at the least.
    pub look_around: Duration,
    /// How many messages are worked on at the same time.
    pub calls_at_once: usize,
    /// How many requests are worked on at the same time; those that wait for a partner do not
    /// count.
    pub requests_at_once: usize,
    /// How often the laws of the books are checked while the network works, at the most.
    pub check_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            lease: Duration::from_secs(30),
            patience: Duration::from_secs(20),
            look_around: Duration::from_secs(1),
            calls_at_once: 64,
            requests_at_once: 1_024,
            check_every: Duration::from_secs(60),
        }
    }
}

impl Settings {
    fn lease_ms(&self) -> i64 {
        i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Why the network cannot commit at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// It takes no more work.
    Closing,
    /// The disk of the database is full.
    StorageFull,
    /// The database cannot be reached or written.
    DatabaseUnavailable,
}

/// The network. Clones share it.
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    partners: PartnerCaller,
    master_key: MasterKey,
    settings: Settings,
    known: known::Known,
    tasks: TaskTracker,
    closing: CancellationToken,
    /// Wakes the worker when something new is to be said.
    news: Notify,
    /// Wakes the worker of the timers.
    timers: Notify,
    calls: Arc<Semaphore>,
    /// One place for each transfer of the settlements that are worked on whole.
    transfers_in_hand: Semaphore,
    /// How many calls of the worker each partner has at the moment.
    calls_by_partner: Mutex<HashMap<PartnerId, usize>>,
    metrics: watch::Metrics,
    places: admission::Places,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Network {
    /// Starts the network on an open store: its worker takes up at once what earlier processes
    /// have left unsaid.
    pub fn start(
        store: Store,
        partners: PartnerCaller,
        master_key: MasterKey,
        settings: Settings,
    ) -> Network {
        let calls = Arc::new(Semaphore::new(settings.calls_at_once));
        let places = admission::Places::new(settings.requests_at_once);
        let network = Network {
            shared: Arc::new(Shared {
                store,
                partners,
                master_key,
                settings,
                known: known::Known::default(),
                tasks: TaskTracker::new(),
                closing: CancellationToken::new(),
                news: Notify::new(),
                timers: Notify::new(),
                places,
                calls,
                transfers_in_hand: in_hand::places(),
                calls_by_partner: Mutex::default(),
                metrics: watch::Metrics::default(),
            }),
        };
        network.spawn(outbox::work(network.clone()));
        network.spawn(timers::work(network.clone()));
        network.spawn(watch::work(network.clone()));
        network.spawn(watch::check(network.clone()));
        network
    }

    /// Takes no more work, and waits until what is in flight has ended and is durable.
    pub async fn close(self) {
        self.shared.closing.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        let store = self.shared.store.clone();
        drop(self);
        store.close().await;
    }

    /// Whether the network works at all, or is about to end in good order. A process that does
    /// not is to be started again.
    pub fn is_live(&self) -> bool {
        self.shared.store.is_writing() || self.shared.closing.is_cancelled()
    }

    /// Whether commands can be committed.
    ///
    /// # Errors
    ///
    /// [`NotReady`] says why not.
    pub fn readiness(&self) -> Result<(), NotReady> {
        if self.shared.closing.is_cancelled() {
            return Err(NotReady::Closing);
        }
        match self.shared.store.condition() {
            Condition::Writable => Ok(()),
            Condition::Full => Err(NotReady::StorageFull),
            Condition::Unavailable => Err(NotReady::DatabaseUnavailable),
        }
    }

    fn store(&self) -> &Store {
        &self.shared.store
    }

    fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// A new identifier.
    fn draw_id(&self) -> Uuid {
        self.store().draw_id()
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.shared.tasks.spawn(task.in_current_span());
    }

    /// Runs a use-case to its end, whether or not anybody waits for it.
    async fn carry_through<T: Send + 'static>(
        &self,
        use_case: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let task = self.shared.tasks.spawn(use_case.in_current_span());
        match task.await {
            Ok(answer) => answer,
            Err(panicked) => Err(Failure::internal(&panicked)),
        }
    }

    async fn submit<C: Command>(&self, command: C) -> Result<C::Outcome, Failure> {
        self.store().submit(command).await.map_err(Failure::from)
    }
}
