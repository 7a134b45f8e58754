//! A simulated exchange behind a proxy that kills the server at a chosen moment of a chosen call.

use std::{
    process::Command,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sandbox::{Exchange, RunningExchange, Settings};
use tokio::{net::TcpListener, sync::oneshot};

/// When in a call the server dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
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
    armed: Mutex<Option<Armed>>,
}

/// The exchange and the proxy before it.
pub(crate) struct Killer {
    /// Where the server finds the exchange.
    pub(crate) url: String,
    /// Where the exchange itself is, for its control API.
    pub(crate) exchange_url: String,
    shared: Arc<Shared>,
    _exchange: RunningExchange,
}

impl Killer {
    pub(crate) async fn start() -> Killer {
        let exchange = Exchange::start(Settings::default())
            .await
            .expect("an exchange");
        let exchange_url = format!("http://{}", exchange.address);
        let shared = Arc::new(Shared {
            exchange_url: exchange_url.clone(),
            armed: Mutex::new(None),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let routes = Router::new()
            .fallback(forward)
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Killer {
            url,
            exchange_url,
            shared,
            _exchange: exchange,
        }
    }

    /// The next call whose path ends with `call` kills `process` at `moment`.
    pub(crate) fn arm(&self, call: &'static str, moment: Moment, process: u32) {
        let mut armed = self.shared.armed.lock().expect("no panic");
        *armed = Some(Armed {
            call,
            moment,
            process,
        });
    }

    pub(crate) fn disarm(&self) {
        *self.shared.armed.lock().expect("no panic") = None;
    }
}

fn kill(process: u32) {
    let killed = Command::new("kill")
        .args(["-9", &process.to_string()])
        .status();
    assert!(killed.expect("kill runs").success());
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let armed = {
        let mut armed = shared.armed.lock().expect("no panic");
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
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    let url = format!("{}{}", shared.exchange_url, parts.uri);
    let mut onward = reqwest::Client::new().request(parts.method, url).body(body);
    for (name, value) in &parts.headers {
        if name != "host" && name != "content-length" {
            onward = onward.header(name, value);
        }
    }
    let answer = onward.send().await.expect("the exchange answers");
    let status = answer.status();
    let kind = answer.headers().get("content-type").cloned();
    let bytes = answer.bytes().await.expect("a body");
    if let Some(armed) = armed {
        match armed.moment {
            Moment::AfterItIsAnswered => {
                let (answered, has_answered) = oneshot::channel::<()>();
                tokio::spawn(async move {
                    // Dropped with the body, which is when the answer has been written.
                    let _ = has_answered.await;
                    kill(armed.process);
                });
                return with_guard(status, kind, bytes, answered);
            }
            _ => kill(armed.process),
        }
    }
    respond(status, kind, Body::from(bytes))
}

fn respond(status: StatusCode, kind: Option<axum::http::HeaderValue>, body: Body) -> Response {
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
    kind: Option<axum::http::HeaderValue>,
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
