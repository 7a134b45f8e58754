//! The running exchange: its state, and the acts that span the books and the network.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;
use wire::connection_key::ConnectionKeySchema;
use wire::partner_jwt::{JwtKeyError, JwtVerifier};

use crate::books::{Books, Movement, Posting, Refusal, State, Verdict};
use crate::faults::Script;
use crate::gate::Gate;
use crate::hang_up::{HangUpListener, Switch};
use crate::hosted::LoggedCall;
use crate::network::{Answer, MembershipError, Network};
use crate::settings::{Membership, Mode, Settings};
use crate::{control, hosted};

/// How many calls the log keeps.
const LOG_MAX: usize = 10_000;

/// How often and how far apart an automatic answer is tried.
const AUTO_ATTEMPTS: u32 = 10;
const AUTO_DELAY: Duration = Duration::from_millis(50);

/// How long open requests may run on after a shutdown was asked for.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// A simulated exchange.
pub struct Exchange;

/// An exchange that serves; it stops when this is dropped.
pub struct RunningExchange {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<std::io::Result<()>>,
    shared: Arc<Shared>,
}

/// Why an exchange does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The network's public key is none.
    #[error("the network's public key: {0}")]
    PublicKey(#[from] JwtKeyError),
    /// The membership cannot work.
    #[error("{0}")]
    Membership(String),
}

/// What all requests share. The two locks are never held together, nor across a wait.
pub(crate) struct Shared {
    books: Mutex<Books>,
    desk: Mutex<Desk>,
    /// One settlement is posted at a time.
    settling: tokio::sync::Mutex<()>,
    background: Mutex<JoinSet<()>>,
    pub(crate) schemas: Vec<ConnectionKeySchema>,
    pub(crate) private_key: Option<String>,
    pub(crate) signature_header: String,
    pub(crate) control_token: Option<String>,
}

/// What can be told to the exchange while it runs, and what it has seen.
#[derive(Default)]
pub(crate) struct Desk {
    pub(crate) gate: Gate,
    pub(crate) script: Script,
    pub(crate) mode: Mode,
    pub(crate) network: Option<Arc<Network>>,
    pub(crate) log: VecDeque<LoggedCall>,
}

impl Desk {
    /// The exchange has joined a network.
    pub(crate) fn join(&mut self, membership: &Membership) -> Result<(), MembershipError> {
        let network = Network::join(membership)?;
        self.gate.serve_as(membership.partner_id);
        self.network = Some(Arc::new(network));
        Ok(())
    }

    /// Keeps a call in the log.
    pub(crate) fn note(&mut self, call: LoggedCall) {
        if self.log.len() == LOG_MAX {
            self.log.pop_front();
        }
        self.log.push_back(call);
    }
}

/// Why an act that needs the network did not come to an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ActError {
    /// Our own books do not allow it.
    #[error("{0}")]
    Refusal(#[from] Refusal),
    /// No network was joined.
    #[error("the exchange has not joined a network: PUT /control/v1/partner")]
    NotJoined,
    /// The network gave no answer.
    #[error("nobody knows what became of it: {0}")]
    Unknown(String),
}

impl Exchange {
    /// Starts an exchange: it listens when this returns.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(settings: Settings) -> Result<RunningExchange, StartError> {
        let mut desk = Desk {
            script: Script::new(settings.faults),
            mode: settings.mode,
            ..Desk::default()
        };
        if let Some(pem) = &settings.jwt_public_key {
            desk.gate.trust(JwtVerifier::from_public_pem(pem)?);
        }
        if let Some(membership) = &settings.membership {
            let joined = desk.join(membership);
            joined.map_err(|error| StartError::Membership(error.to_string()))?;
        }
        let failed = |error| StartError::Listen(settings.listen, error);
        let listener = tokio::net::TcpListener::bind(settings.listen)
            .await
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        if settings.control_token.is_none() && !address.ip().is_loopback() {
            tracing::warn!(%address, "the control API is open to everyone who reaches it");
        }
        let shared = Arc::new(Shared {
            books: Mutex::default(),
            desk: Mutex::new(desk),
            settling: tokio::sync::Mutex::default(),
            background: Mutex::default(),
            schemas: settings.schemas,
            private_key: settings.private_key,
            signature_header: settings.signature_header,
            control_token: settings.control_token,
        });
        let app = hosted::routes(&shared).merge(control::routes(&shared));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(
            axum::serve(
                HangUpListener(listener),
                app.into_make_service_with_connect_info::<Switch>(),
            )
            .with_graceful_shutdown(async {
                // Dropped or sent: both mean the end.
                let _ = stopped.await;
            })
            .into_future(),
        );
        tracing::info!(%address, "the exchange is open");
        Ok(RunningExchange {
            address,
            stop: Some(stop),
            server,
            shared,
        })
    }
}

impl RunningExchange {
    /// Stops listening and lets open requests run on for two seconds at most.
    pub async fn shutdown(mut self) {
        drop(self.stop.take());
        let served = tokio::time::timeout(SHUTDOWN_GRACE, &mut self.server).await;
        if served.is_err() {
            tracing::warn!("requests were still open when the exchange closed");
        }
    }
}

impl Drop for RunningExchange {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.server.abort();
        lock(&self.shared.background).abort_all();
    }
}

impl Shared {
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        lock(&self.books)
    }

    pub(crate) fn desk(&self) -> MutexGuard<'_, Desk> {
        lock(&self.desk)
    }

    fn network(&self) -> Result<Arc<Network>, ActError> {
        self.desk().network.clone().ok_or(ActError::NotJoined)
    }

    /// Decides what was taken for later and tells the network (P6, P7). What the network has taken
    /// as cleared is credited or debited at once; its own message (H3, H6) then finds it done.
    pub(crate) async fn answer(
        &self,
        id: Uuid,
        verdict: &Verdict,
    ) -> Result<(Movement, Answer), ActError> {
        let network = self.network()?;
        let movement = self.books().decide(id, verdict)?;
        let answer = network.answer(&movement).await.map_err(ActError::Unknown)?;
        if answer.status == 200 && !matches!(movement.state, State::Rejected(_)) {
            self.books().clear(&movement.request)?;
        }
        Ok((movement, answer))
    }

    /// Accepts a request soon, and again until the network has taken the answer.
    pub(crate) fn answer_soon(self: &Arc<Self>, id: Uuid) {
        let shared = Arc::clone(self);
        let mut background = lock(&self.background);
        // Those that are done need no place.
        while background.try_join_next().is_some() {}
        background.spawn(async move {
            for attempt in 0..AUTO_ATTEMPTS {
                tokio::time::sleep(AUTO_DELAY * 2_u32.saturating_pow(attempt)).await;
                match shared.answer(id, &Verdict::Accept).await {
                    Ok((_, answer)) if answer.status == 200 => return,
                    Ok((_, answer)) => {
                        tracing::debug!(%id, answer.status, "the network does not take the answer");
                    }
                    // Meanwhile it was decided otherwise.
                    Err(ActError::Refusal(_)) => return,
                    Err(error) => tracing::debug!(%id, %error, "no answer from the network"),
                }
            }
            tracing::warn!(%id, "the network took no answer; it has to be given by control");
        });
    }

    /// Posts what was traded since the last settlement (P10).
    pub(crate) async fn settle(
        &self,
        external_id: Option<String>,
    ) -> Result<(Posting, Answer), ActError> {
        let _one_at_a_time = self.settling.lock().await;
        let network = self.network()?;
        let posting = self.books().begin_settlement(external_id)?;
        let (outcome, answer) = network.settle(&posting).await;
        self.books().end_settlement(&posting, outcome);
        Ok((posting, answer.map_err(ActError::Unknown)?))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while holding the lock leaves a simulation that is still worth looking at.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
