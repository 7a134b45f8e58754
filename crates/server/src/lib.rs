//! The network over HTTP: routes, the gate that every request passes, and the OpenAPI document.
//!
//! A request passes the gate (size, token, HMAC, path, membership, scope, licence: in this order,
//! everywhere), is read into a typed request by the wire, and becomes a use-case of the network.
//! Here nothing is decided and nothing is stored; here alone refusals become statuses.

mod answer;
mod connections;
mod context;
mod error;
mod gate;
mod middleware;
pub mod openapi;
mod operator;
mod projection;
mod routes;

use std::{future::Future, time::Duration};

use axum::Router;
use network::Network;
use tokio::net::TcpListener;

/// How the server treats requests.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a request may take before it is answered that it takes longer. Its use-case goes
    /// on all the same.
    pub request_time_limit: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            request_time_limit: Duration::from_secs(30),
        }
    }
}

/// All routes of the network, ready to serve.
pub fn router(network: Network, settings: &Settings) -> Router {
    let (routes, document) = openapi::routes().split_for_parts();
    let routes = routes
        .merge(openapi::document_route(document))
        .fallback(gate::unknown_route)
        .method_not_allowed_fallback(gate::method_not_allowed)
        .with_state(network);
    middleware::around(routes, settings)
}

/// Serves until `stop` resolves, then finishes what is in flight and closes the network.
pub async fn serve(
    listener: TcpListener,
    network: Network,
    settings: &Settings,
    stop: impl Future<Output = ()>,
) {
    let router = router(network.clone(), settings);
    let patience = settings.request_time_limit + Duration::from_secs(1);
    connections::serve(listener, router, patience, stop).await;
    network.close().await;
}
