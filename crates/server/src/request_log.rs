//! What enterprises ask of the network, kept for a while so that whoever builds against it can see
//! what was sent and why it was refused.
//!
//! A request leaves a note in a bounded queue, and a task of its own writes what is there, a batch
//! at a time with a pause behind it. Nothing ever waits for the log: where the queue is full, notes
//! are dropped and counted, those of successes first. Noted is what belongs to an enterprise: the
//! answers to its members, refusals included; never a body but that of an error, never a query,
//! never a token.

mod metrics;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode};
use ledger::Timestamp;
use network::Network;
use rules::EnterpriseId;
use store::{Location, LoggedRequest, StoreError};
use tokio::{
    sync::{OnceCell, mpsc},
    task::JoinHandle,
    time::Instant,
};
use uuid::Uuid;

pub(crate) use metrics::Metrics;

use crate::context::{Asking, RequestContext};

/// How many notes wait to be written at most.
const NOTES_MAX: usize = 4_096;

/// How many notes are written at once at most.
const BATCH_MAX: usize = 256;

/// The pause behind each batch: together they bound what the log may cost.
const PAUSE: Duration = Duration::from_millis(100);

/// How often what is too old is forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How long a server that stops waits for what is still to be written.
const CLOSING_TIME_LIMIT: Duration = Duration::from_secs(5);

/// The longest body of an error that is kept whole, in bytes.
const ERROR_BYTES_MAX: usize = 4_096;

/// The longest path, user agent and sentence of an error that are kept whole, in characters.
const TEXT_MAX: usize = 512;

/// Where requests are logged, and how many.
#[derive(Clone, Debug)]
pub struct RequestLogging {
    /// The database beside which the log is kept.
    pub location: Location,
    /// How long a request is kept.
    pub keep_for: Duration,
    /// How many requests of one enterprise are kept; now and then it is a tenth more.
    pub keep_per_enterprise: u32,
}

impl RequestLogging {
    /// Beside this database, for a week, and at most 10 000 requests of one enterprise.
    pub fn beside(location: Location) -> RequestLogging {
        RequestLogging {
            location,
            keep_for: Duration::from_secs(7 * 86_400),
            keep_per_enterprise: 10_000,
        }
    }
}

/// The log as it is kept. It is opened when it is first needed: what ails it ails nothing else.
pub(crate) struct Kept {
    logging: RequestLogging,
    opened: OnceCell<store::RequestLog>,
}

impl Kept {
    /// The log itself.
    pub(crate) async fn log(&self) -> Result<&store::RequestLog, StoreError> {
        let open = || store::RequestLog::open(&self.logging.location);
        self.opened.get_or_try_init(open).await
    }
}

/// How a request was answered.
pub(crate) struct Answered {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) operation: String,
    pub(crate) status: StatusCode,
    pub(crate) latency: Duration,
    pub(crate) user_agent: Option<HeaderValue>,
}

/// A request on its way into the log.
struct Note {
    id: Uuid,
    at: Timestamp,
    enterprise: EnterpriseId,
    /// Whether the user was found to be a member of the enterprise.
    entered: bool,
    asking: Asking,
    request_id: String,
    answered: Answered,
    error_body: Option<Bytes>,
}

/// Takes notes. Clones share the queue.
#[derive(Clone)]
pub(crate) struct Logger {
    queue: mpsc::Sender<Note>,
    metrics: Metrics,
}

impl Logger {
    /// Notes how a request was answered, if it is one of an enterprise.
    pub(crate) fn note(
        &self,
        context: &RequestContext,
        path: &str,
        status: StatusCode,
        answered: impl FnOnce() -> Answered,
    ) {
        let Some(asking) = context.asking.get() else {
            return;
        };
        let entered = context.enterprise.get();
        let Some(enterprise) = entered.cloned().or_else(|| enterprise_of(path)) else {
            return;
        };
        let failed = status.is_client_error() || status.is_server_error();
        let reserved = if failed { 0 } else { NOTES_MAX / 2 };
        if self.queue.capacity() <= reserved {
            return self.metrics.drop_for_pressure();
        }
        let note = Note {
            id: Uuid::now_v7(),
            at: now(),
            entered: entered.is_some(),
            enterprise,
            asking: asking.clone(),
            request_id: context.id.clone(),
            answered: answered(),
            error_body: context.error_body.get().cloned(),
        };
        if self.queue.try_send(note).is_err() {
            self.metrics.drop_for_pressure();
        }
    }
}

/// The enterprise that a path of the network protocol names.
fn enterprise_of(path: &str) -> Option<EnterpriseId> {
    let rest = path.strip_prefix("/api/network/")?;
    let (_, rest) = rest.split_once("/enterprises/")?;
    rest.split('/').next()?.parse().ok()
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let us = since_epoch.map_or(0, |since| since.as_micros());
    Timestamp(i64::try_from(us).unwrap_or(i64::MAX))
}

/// The task that writes.
pub(crate) struct Writing(JoinHandle<()>);

impl Writing {
    /// Waits until everything is written that was noted before the last logger was gone; not for
    /// long.
    pub(crate) async fn finish(self) {
        let abort = self.0.abort_handle();
        if tokio::time::timeout(CLOSING_TIME_LIMIT, self.0)
            .await
            .is_err()
        {
            abort.abort();
            tracing::warn!("the last requests were not logged");
        }
    }
}

/// Starts logging: who takes notes, what is kept, and the task between them.
pub(crate) fn start(
    logging: &RequestLogging,
    network: Network,
    metrics: &Metrics,
) -> (Logger, Arc<Kept>, Writing) {
    let (queue, inbox) = mpsc::channel(NOTES_MAX);
    let kept = Arc::new(Kept {
        logging: logging.clone(),
        opened: OnceCell::new(),
    });
    let writer = Writer {
        kept: Arc::clone(&kept),
        network,
        metrics: metrics.clone(),
        unswept: HashMap::new(),
        swept_at: None,
        failing: false,
    };
    let writing = Writing(tokio::spawn(writer.work(inbox)));
    let metrics = metrics.clone();
    (Logger { queue, metrics }, kept, writing)
}

struct Writer {
    kept: Arc<Kept>,
    network: Network,
    metrics: Metrics,
    /// How many requests of an enterprise were written since it was last swept.
    unswept: HashMap<EnterpriseId, u32>,
    swept_at: Option<Instant>,
    failing: bool,
}

impl Writer {
    async fn work(mut self, mut inbox: mpsc::Receiver<Note>) {
        let mut notes = Vec::with_capacity(BATCH_MAX);
        while inbox.recv_many(&mut notes, BATCH_MAX).await > 0 {
            let requests = self.attributed(notes.drain(..)).await;
            let written = self.write(&requests).await;
            self.metrics.count(requests.len(), written.is_ok());
            let swept = match written {
                Ok(()) => self.sweep().await,
                Err(error) => Err(error),
            };
            match swept {
                Ok(()) => self.failing = false,
                Err(error) if !self.failing => {
                    tracing::warn!(%error, "requests are not logged");
                    self.failing = true;
                }
                Err(_) => {}
            }
            if !inbox.is_closed() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// What belongs into the log of the enterprise that it names. Whoever was refused before it was
    /// looked up whether they are a member is looked up here.
    async fn attributed(&self, notes: impl Iterator<Item = Note>) -> Vec<LoggedRequest> {
        let mut requests = Vec::new();
        for note in notes {
            let user = note.asking.user_id;
            let is_member = async || self.network.is_member(user, &note.enterprise).await;
            if note.entered || is_member().await.unwrap_or(false) {
                requests.push(logged(note));
            }
        }
        requests
    }

    async fn write(&mut self, requests: &[LoggedRequest]) -> Result<(), StoreError> {
        self.kept.log().await?.write(requests).await?;
        for request in requests {
            let enterprise = request.enterprise_id.clone();
            *self.unswept.entry(enterprise).or_default() += 1;
        }
        Ok(())
    }

    /// Forgets what is too old and, where enough has come, what is too much.
    async fn sweep(&mut self) -> Result<(), StoreError> {
        let kept = Arc::clone(&self.kept);
        let log = kept.log().await?;
        let keep = kept.logging.keep_per_enterprise;
        let full = |count: &u32| *count > keep / 10;
        let due = self.swept_at.is_none_or(|at| at.elapsed() >= SWEEP_EVERY);
        if due {
            let keep_for_us = i64::try_from(kept.logging.keep_for.as_micros());
            let before = now().0.saturating_sub(keep_for_us.unwrap_or(i64::MAX));
            log.forget_before(Timestamp(before)).await?;
            self.swept_at = Some(Instant::now());
        }
        let swept = self.unswept.extract_if(|_, count| due || full(count));
        let swept: Vec<EnterpriseId> = swept.map(|(enterprise, _)| enterprise).collect();
        for enterprise in swept {
            log.keep_newest(&enterprise, keep).await?;
        }
        Ok(())
    }
}

fn logged(note: Note) -> LoggedRequest {
    let Answered {
        method,
        path,
        operation,
        status,
        latency,
        user_agent,
    } = note.answered;
    let user_agent = user_agent.as_ref().and_then(|agent| agent.to_str().ok());
    LoggedRequest {
        id: note.id,
        enterprise_id: note.enterprise,
        at: note.at,
        method: method.to_string(),
        path: beginning(&path),
        operation,
        status: status.as_u16(),
        latency_us: i64::try_from(latency.as_micros()).unwrap_or(i64::MAX),
        user_agent: user_agent.map(beginning),
        request_id: note.request_id,
        token_id: note.asking.token_id,
        token_label: note.asking.token_label,
        error_body: note.error_body.and_then(|body| shortened(&body)),
    }
}

fn beginning(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

/// The body of an error, or what matters of a long one.
fn shortened(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    if text.len() <= ERROR_BYTES_MAX {
        return Some(text.to_owned());
    }
    let whole: serde_json::Value = serde_json::from_str(text).ok()?;
    let mut short = serde_json::Map::new();
    for member in ["error", "name", "requestId"] {
        let text = whole.get(member).and_then(serde_json::Value::as_str);
        let text = text.map(beginning).unwrap_or_default();
        short.insert(member.to_owned(), text.into());
    }
    short.insert("shortened".to_owned(), true.into());
    serde_json::to_string(&short).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_the_network_protocol_name_an_enterprise() {
        let named = |path| enterprise_of(path).map(|id| id.to_string());
        let expected = Some("northwind".to_owned());
        let path = "/api/network/v1/enterprises/northwind/partners";
        assert_eq!(named(path), expected);
        let path = "/api/network/v2/enterprises/northwind";
        assert_eq!(named(path), expected);
        for path in [
            "/api/operator/v1/enterprises/northwind",
            "/api/network/v1/enterprises//partners",
            "/api/network/v1/enterprises/%20/partners",
            "/openapi.json",
        ] {
            assert_eq!(named(path), None, "{path}");
        }
    }

    #[test]
    fn long_errors_are_shortened() {
        let short = br#"{"error":"no","name":"n","requestId":"r"}"#;
        assert_eq!(shortened(short).unwrap().as_bytes(), short);
        let long = serde_json::json!({
            "error": "x".repeat(9_000), "name": "n", "requestId": "r", "errors": [],
        });
        let kept = shortened(long.to_string().as_bytes()).unwrap();
        let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
        let expected = serde_json::json!({
            "error": "x".repeat(TEXT_MAX), "name": "n", "requestId": "r", "shortened": true,
        });
        assert_eq!(kept, expected);
    }
}
