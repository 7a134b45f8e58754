//! The way from the server to an exchange: a proxy that counts what it passes on and, if it is
//! told to, kills the server at an exact moment of a call.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// When in a call the server dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Moment {
    /// The exchange never sees the call.
    BeforeItArrives,
    /// The exchange has acted, the server never learns it.
    BeforeItIsAnswered,
    /// The server has been sent the answer.
    AfterItIsAnswered,
}

struct Armed {
    call: &'static str,
    moment: Moment,
    process: u32,
}

struct Shared {
    exchange_url: String,
    http: reqwest::Client,
    armed: Mutex<Option<Armed>>,
    /// How often each call about each record was answered with success.
    told: Mutex<BTreeMap<(String, String), u32>>,
}

/// The proxy, for as long as the runtime lives.
pub struct PartnerWay {
    /// Where the server finds the exchange.
    pub url: String,
    shared: Arc<Shared>,
}

impl PartnerWay {
    /// Starts a proxy in front of an exchange.
    ///
    /// # Errors
    ///
    /// When no port can be listened on.
    pub async fn start(exchange_url: &str) -> anyhow::Result<PartnerWay> {
        let shared = Arc::new(Shared {
            exchange_url: exchange_url.to_owned(),
            http: reqwest::Client::new(),
            armed: Mutex::new(None),
            told: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let routes = Router::new()
            .fallback(forward)
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(PartnerWay { url, shared })
    }

    /// The next call whose path ends with `call` kills `process` at `moment`.
    pub fn arm(&self, call: &'static str, moment: Moment, process: u32) {
        *lock(&self.shared.armed) = Some(Armed {
            call,
            moment,
            process,
        });
    }

    /// Whatever was armed and did not come is not to come any more.
    pub fn disarm(&self) {
        *lock(&self.shared.armed) = None;
    }

    /// How often each call about each record was answered with success: by the end of the path
    /// and the id.
    pub fn told(&self) -> BTreeMap<(String, String), u32> {
        lock(&self.shared.told).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills a process (`kill -9`). One that is gone already is.
pub fn kill(process: u32) {
    let _ = Command::new("kill")
        .args(["-9", &process.to_string()])
        .output();
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let armed = {
        let mut armed = lock(&shared.armed);
        let fits = armed
            .as_ref()
            .is_some_and(|armed| request.uri().path().ends_with(armed.call));
        if fits { armed.take() } else { None }
    };
    let moment = armed.as_ref().map(|armed| armed.moment);
    if let Some(armed) = &armed
        && moment == Some(Moment::BeforeItArrives)
    {
        kill(armed.process);
        return StatusCode::BAD_GATEWAY.into_response();
    }
    match pass_on(&shared, request).await {
        Ok((status, kind, bytes)) => match armed {
            Some(armed) if armed.moment == Moment::AfterItIsAnswered => {
                let (answered, has_answered) = oneshot::channel::<()>();
                tokio::spawn(async move {
                    // Dropped with the body, which is when the answer has been written.
                    let _ = has_answered.await;
                    kill(armed.process);
                });
                with_guard(status, kind, bytes, answered)
            }
            armed => {
                if let Some(armed) = armed {
                    kill(armed.process);
                }
                respond(status, kind, Body::from(bytes))
            }
        },
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

type Answer = (StatusCode, Option<HeaderValue>, axum::body::Bytes);

async fn pass_on(shared: &Shared, request: Request) -> anyhow::Result<Answer> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await?;
    let call = called(parts.uri.path());
    let id = id_of(&body);
    let url = format!("{}{}", shared.exchange_url, parts.uri);
    let mut onward = shared.http.request(parts.method, url).body(body);
    for (name, value) in &parts.headers {
        if name != "host" && name != "content-length" {
            onward = onward.header(name, value);
        }
    }
    let answer = onward.send().await?;
    let status = answer.status();
    let kind = answer.headers().get("content-type").cloned();
    let bytes = answer.bytes().await?;
    if let Some(id) = id.filter(|_| status.is_success()) {
        *lock(&shared.told).entry((call, id)).or_default() += 1;
    }
    Ok((status, kind, bytes))
}

/// The end of a path without the id, by which calls are told apart: `allocations`,
/// `allocation/clear`.
fn called(path: &str) -> String {
    let parts: Vec<_> = path.rsplit('/').take(3).collect();
    match parts.as_slice() {
        [last @ ("clear" | "release"), _, noun] => format!("{noun}/{last}"),
        [last, ..] => (*last).to_owned(),
        [] => String::new(),
    }
}

/// The record that a call is about.
fn id_of(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    ["allocationId", "deallocationId", "id"]
        .into_iter()
        .find_map(|member| Some(body.get(member)?.as_str()?.to_owned()))
}

fn respond(status: StatusCode, kind: Option<HeaderValue>, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if let Some(kind) = kind {
        response.headers_mut().insert("content-type", kind);
    }
    response
}

/// A response whose body tells, by dropping `guard`, that it was taken to the wire.
fn with_guard(
    status: StatusCode,
    kind: Option<HeaderValue>,
    bytes: axum::body::Bytes,
    guard: oneshot::Sender<()>,
) -> Response {
    let mut state = Some((bytes, guard));
    let stream = futures_util::stream::poll_fn(move |_| {
        std::task::Poll::Ready(state.take().map(|(bytes, guard)| {
            drop(guard);
            Ok::<_, std::convert::Infallible>(bytes)
        }))
    });
    respond(status, kind, Body::from_stream(stream))
}
