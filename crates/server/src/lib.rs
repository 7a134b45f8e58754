//! The network over HTTP: routes, the gate that every request passes, and the OpenAPI document.
//!
//! A request passes the gate (size, token, HMAC, path, membership, scope, licence: in this order,
//! everywhere), is read into a typed request by the wire, and becomes a use-case of the network.
//! Here nothing is decided and nothing is stored; here alone refusals become statuses.

mod answer;
mod connections;
mod context;
mod developer;
mod error;
mod events;
mod gate;
mod middleware;
mod monitoring;
pub mod openapi;
mod operator;
mod projection;
mod rate_limit;
mod reference;
mod request_log;
mod routes;
mod statements;

use std::{future::Future, sync::Arc, time::Duration};

use axum::{Router, extract::FromRef};
use gate::LargeBodies;
use middleware::Onlookers;
use monitoring::Metrics;
use network::Network;
use rate_limit::RateLimits;
use tokio::{net::TcpListener, sync::oneshot};

pub use rate_limit::RateLimit;
pub use request_log::RequestLogging;

/// How the server treats requests.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a request may take before it is answered that it takes longer. Its use-case goes
    /// on all the same.
    pub request_time_limit: Duration,
    /// How many requests a token may send.
    pub rate_limit: RateLimit,
    /// Where requests are logged, if anywhere.
    pub request_log: Option<RequestLogging>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            request_time_limit: Duration::from_secs(30),
            rate_limit: RateLimit::default(),
            request_log: None,
        }
    }
}

/// Where the server listens.
#[derive(Debug)]
pub struct Listeners {
    /// For the network itself.
    pub network: TcpListener,
    /// For health and figures, which need no token there; without it the figures are not served.
    pub monitoring: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(network: TcpListener) -> Listeners {
        Listeners {
            network,
            monitoring: None,
        }
    }
}

/// What handlers and the gate work with. Clones share it.
#[derive(Clone)]
struct Serving {
    network: Network,
    rate_limits: Arc<RateLimits>,
    large_bodies: Arc<LargeBodies>,
    request_log: Option<Arc<request_log::Kept>>,
}

impl FromRef<Serving> for Network {
    fn from_ref(serving: &Serving) -> Network {
        serving.network.clone()
    }
}

/// All routes of the network, ready to serve, and what has to be ended once they are not.
struct Served {
    router: Router,
    metrics: Arc<Metrics>,
    logging: Option<request_log::Writing>,
}

fn router(network: Network, settings: &Settings) -> Served {
    let (routes, document) = openapi::described();
    let rate_limits = Arc::new(RateLimits::new(settings.rate_limit));
    let logged = request_log::Metrics::default();
    let large_bodies = Arc::new(LargeBodies::default());
    let metrics = Arc::new(Metrics::new(
        &network,
        &rate_limits,
        &large_bodies,
        &logged,
        &document,
    ));
    let logging = settings.request_log.as_ref();
    let logging = logging.map(|logging| request_log::start(logging, network.clone(), &logged));
    let (logger, request_log, logging) = match logging {
        Some((logger, kept, writing)) => (Some(logger), Some(kept), Some(writing)),
        None => (None, None, None),
    };
    let clock = network.clone();
    let routes = routes
        .merge(openapi::document_route(document))
        .merge(reference::routes())
        .fallback(gate::unknown_route)
        .method_not_allowed_fallback(gate::method_not_allowed)
        .with_state(Serving {
            network,
            rate_limits,
            large_bodies,
            request_log,
        });
    let onlookers = Onlookers {
        metrics: Arc::clone(&metrics),
        request_log: logger,
    };
    Served {
        router: middleware::around(routes, settings, onlookers, clock),
        metrics,
        logging,
    }
}

/// Serves until `stop` resolves, then finishes what is in flight and closes the network. Health
/// and figures are told to the end.
pub async fn serve(
    listeners: impl Into<Listeners>,
    network: Network,
    settings: &Settings,
    stop: impl Future<Output = ()>,
) {
    let listeners = listeners.into();
    let Served {
        router,
        metrics,
        logging,
    } = router(network.clone(), settings);
    let patience = settings.request_time_limit + Duration::from_secs(1);
    let (closed, until_closed) = oneshot::channel::<()>();
    let monitored = network.clone();
    let requests = metrics.requests.clone();
    let working = async move {
        connections::serve(listeners.network, router, requests, patience, stop).await;
        if let Some(logging) = logging {
            logging.finish().await;
        }
        network.close().await;
        drop(closed);
    };
    let monitoring = async move {
        if let Some(listener) = listeners.monitoring {
            let stop = async {
                let _ = until_closed.await;
            };
            monitoring::serve(listener, monitored, metrics, stop).await;
        }
    };
    tokio::join!(working, monitoring);
}
