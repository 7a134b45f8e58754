//! What a supervisor and a Prometheus ask: `/livez`, `/readyz` and `/metrics`.
//!
//! The figures tell how much business there is and with whom it stalls, so they are not for
//! everybody who reaches the network's own address: they are served on an address of their own,
//! and on none unless one is given. There is no token: whoever reaches that address may read.

mod metrics;

pub(crate) use metrics::{Counted, Metrics};

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{FromRef, State},
    response::IntoResponse,
    routing::get,
};
use http::{StatusCode, header};
use network::{Network, NotReady};
use serde::Serialize;
use tokio::net::TcpListener;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{answer::Answer, connections, error::ApiError};

/// The media type of the figures.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How the server is.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `ready` or `not_ready`; `live` or `stuck`.
    status: &'static str,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// The routes that tell of the server itself, on the network's own address.
pub(crate) fn health<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Network: FromRef<S>,
{
    OpenApiRouter::new()
        .routes(routes!(livez))
        .routes(routes!(readyz))
}

/// Whether the process works at all
///
/// For supervisors, who start it again if it does not. Needs no token.
#[utoipa::path(get, path = "/livez", operation_id = "livez", tag = "Server",
    security(()),
    responses((status = 200, description = "It works.", body = Health),
        (status = 503, description = "It will not work again by itself.", body = Health)))]
async fn livez(State(network): State<Network>) -> Answer<Health> {
    let (status, told) = match network.is_live() {
        true => (StatusCode::OK, "live"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "stuck"),
    };
    Answer(
        status,
        Health {
            status: told,
            reason: None,
        },
    )
}

/// Whether the server can do its work
///
/// For load balancers and start scripts: ready is who can commit. Needs no token.
#[utoipa::path(get, path = "/readyz", operation_id = "readyz", tag = "Server",
    security(()),
    responses((status = 200, description = "The server takes requests.", body = Health),
        (status = 503, description = "It does not, at present; `reason` is `closing`, `storage_full` or `database_unavailable`.", body = Health)))]
async fn readyz(State(network): State<Network>) -> Answer<Health> {
    let (status, told, reason) = match network.readiness() {
        Ok(()) => (StatusCode::OK, "ready", None),
        Err(why) => {
            let reason = match why {
                NotReady::Closing => "closing",
                NotReady::StorageFull => "storage_full",
                NotReady::DatabaseUnavailable => "database_unavailable",
            };
            (StatusCode::SERVICE_UNAVAILABLE, "not_ready", Some(reason))
        }
    };
    Answer(
        status,
        Health {
            status: told,
            reason,
        },
    )
}

/// Serves health and figures on an address of their own until `stop` resolves.
pub(crate) async fn serve(
    listener: TcpListener,
    network: Network,
    metrics: Arc<Metrics>,
    stop: impl Future<Output = ()>,
) {
    let figures = get(move || {
        let metrics = Arc::clone(&metrics);
        async move {
            match metrics.encode() {
                Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
                Err(error) => {
                    tracing::error!(%error, "the figures cannot be written");
                    ApiError::internal().into_response()
                }
            }
        }
    });
    let (routes, _) = health().split_for_parts();
    let routes: Router = routes.route("/metrics", figures).with_state(network);
    let requests = Counted::default();
    connections::serve(listener, routes, requests, Duration::from_secs(1), stop).await;
}
