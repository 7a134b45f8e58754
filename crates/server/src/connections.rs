//! Connections: how many there may be, how long a peer may take to say what it wants, and how they
//! end when the server stops.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, extract::ConnectInfo};
use http::{Request, Response, StatusCode, header};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::Instant,
};
use tower::ServiceExt;

use crate::monitoring::Counted;

/// How long a peer may take to send the head of a request, the wait for its next one included.
const HEADER_TIME_LIMIT: Duration = Duration::from_secs(60);

/// How many connections there may be; further ones wait in the system's queue.
const CONNECTIONS_MAX: usize = 10_000;

/// How long the next request of a connection waits at the most, after one that was to come again
/// later. Without that, thousands who come again at once keep the server busy with refusing them,
/// and those whom it has let in wait behind.
const COMES_AGAIN_MAX: Duration = Duration::from_millis(800);

/// How long no request may be in flight before a server that stops ends what is still open.
const IDLE_PATIENCE: Duration = Duration::from_secs(1);

/// How long nothing is accepted after accepting has failed, as it does when the process has no
/// more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` resolves, counting in `requests` what is being answered. Then every
/// connection ends after the request it is at, and what is still open after `patience` is cut.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    requests: Counted,
    patience: Duration,
    stop: impl Future<Output = ()>,
) {
    let mut server = Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME_LIMIT);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(HEADER_TIME_LIMIT));
    let server = Arc::new(server);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => break,
            Some(_) = connections.join_next() => continue,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let server = Arc::clone(&server);
        let service = Service {
            router: router.clone(),
            requests: requests.clone(),
        };
        let watcher = graceful.watcher();
        connections.spawn(async move {
            converse(&server, service, stream, peer, watcher).await;
            drop(place);
        });
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        // What is open then has no request that anybody works on: half a head, for instance.
        () = none_for(&requests, IDLE_PATIENCE) => {}
        () = tokio::time::sleep(patience) => {
            tracing::warn!("requests that were still unanswered are cut off");
        }
    }
    connections.shutdown().await;
}

/// Resolves once no request was being answered for `span`.
async fn none_for(requests: &Counted, span: Duration) {
    const LOOKS: u32 = 10;
    let mut quiet = 0;
    while quiet < LOOKS {
        tokio::time::sleep(span / LOOKS).await;
        quiet = match requests.count() {
            0 => quiet + 1,
            _ => 0,
        };
    }
}

/// What answers the requests of one connection.
struct Service {
    router: Router,
    requests: Counted,
}

async fn converse(
    server: &Builder<TokioExecutor>,
    service: Service,
    stream: TcpStream,
    peer: SocketAddr,
    watcher: hyper_util::server::graceful::Watcher,
) {
    // Answers are small and somebody waits for each of them.
    let _ = stream.set_nodelay(true);
    let pause = Arc::new(Pause::default());
    let service = service_fn(move |mut request: Request<Incoming>| {
        let counted = service.requests.one();
        request.extensions_mut().insert(ConnectInfo(peer));
        let request = request.map(axum::body::Body::new);
        let answering = service.router.clone().oneshot(request);
        let pause = Arc::clone(&pause);
        async move {
            pause.is_over().await;
            let answer = answering.await;
            if let Ok(answer) = &answer {
                pause.begin_after(answer);
            }
            drop(counted);
            answer
        }
    });
    let connection = server.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection.into_owned()).await {
        tracing::debug!(%error, %peer, "a connection ended early");
    }
}

/// Until when a connection is not listened to, because its peer was told to come again later.
#[derive(Default)]
struct Pause(Mutex<Option<Instant>>);

impl Pause {
    async fn is_over(&self) {
        let end = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = end {
            tokio::time::sleep_until(end).await;
        }
    }

    fn begin_after<B>(&self, answer: &Response<B>) {
        if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
            return;
        }
        let after = answer.headers().get(header::RETRY_AFTER);
        let seconds = after.and_then(|after| after.to_str().ok()?.parse().ok());
        if let Some(seconds) = seconds {
            let span = Duration::from_secs(seconds).min(COMES_AGAIN_MAX);
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + span);
        }
    }
}
