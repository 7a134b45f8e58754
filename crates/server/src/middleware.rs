//! What surrounds every request: its name, its time limit, its log line, the signature of its
//! answer. The order matters: compression comes after signing, and everything that can fail is
//! inside what turns failures into JSON.

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
};
use http::{HeaderName, HeaderValue, Method, header};
use http_body_util::BodyExt;
use network::Network;
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer};
use tracing::Instrument;
use wire::{api::DateTime, request_hmac::response_hmac};

use crate::{
    Settings,
    context::{self, RequestContext},
    error::{ApiError, as_problem},
    monitoring::Metrics,
    request_log::{Answered, Logger},
};

/// The header that names a request, in and out.
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// The header that tells business time where the installation has a test clock.
const TEST_CLOCK: HeaderName = HeaderName::from_static("tidelock-test-clock");

/// Those who look on.
#[derive(Clone)]
pub(crate) struct Onlookers {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) request_log: Option<Logger>,
}

pub(crate) fn around(
    routes: Router,
    settings: &Settings,
    onlookers: Onlookers,
    network: Network,
) -> Router {
    routes
        .layer(from_fn_with_state(settings.request_time_limit, limit_time))
        .layer(CatchPanicLayer::custom(
            |_: Box<dyn std::any::Any + Send>| {
                tracing::error!("a handler panicked");
                ApiError::internal().into_response()
            },
        ))
        .layer(from_fn(finish))
        .layer(CompressionLayer::new())
        .layer(from_fn_with_state(network, tell_test_clock))
        .layer(from_fn_with_state(onlookers, name_and_log))
}

async fn limit_time(
    State(limit): State<std::time::Duration>,
    request: Request,
    next: Next,
) -> Response {
    tokio::time::timeout(limit, next.run(request))
        .await
        .unwrap_or_else(|_| ApiError::time_limit().into_response())
}

/// Says in every answer of an installation with a test clock that it has one, so that nobody takes
/// it for a real network.
async fn tell_test_clock(State(network): State<Network>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if network.test_clock().is_some() {
        let now = DateTime::from(network.business_time()).to_string();
        if let Ok(now) = HeaderValue::from_str(&now) {
            response.headers_mut().insert(TEST_CLOCK, now);
        }
    }
    response
}

/// Gives the request its name and its context, and logs and counts how it went.
async fn name_and_log(
    State(onlookers): State<Onlookers>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let given = request.headers().get(&REQUEST_ID);
    let context = RequestContext::new(given.and_then(|id| id.to_str().ok()));
    let began = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let user_agent = request.headers().get(header::USER_AGENT).cloned();
    // Whatever is logged on the way bears the name of the request, use-cases of their own included.
    let span = tracing::info_span!("request", request_id = context.id);
    let running = next.run(request).instrument(span);
    let mut response = Arc::clone(&context).scope(running).await;
    if let Ok(id) = HeaderValue::from_str(&context.id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    if let Some(standing) = context.rate.get() {
        standing.write(response.headers_mut());
    }
    let latency = began.elapsed();
    let matched = matched.as_ref().map(MatchedPath::as_str);
    let metrics = &onlookers.metrics;
    let operation = metrics.answered(&method, matched, response.status(), latency);
    if let Some(log) = &onlookers.request_log {
        log.note(&context, &path, response.status(), || Answered {
            method: method.clone(),
            path: path.clone(),
            operation: operation.to_owned(),
            status: response.status(),
            latency,
            user_agent,
        });
    }
    let latency_us = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    let token = context
        .asking
        .get()
        .map(|asking| asking.token_id.to_string());
    tracing::info!(
        request_id = context.id,
        %method,
        path,
        status = response.status().as_u16(),
        latency_us,
        token,
        "request"
    );
    response
}

/// Builds the answer whole, puts errors into the form that was asked for, and signs it where the
/// request was signed.
async fn finish(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path_and_query = request
        .uri()
        .path_and_query()
        .map_or_else(|| request.uri().path().to_owned(), ToString::to_string);
    let wants_problem = request
        .headers()
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/problem+json"));
    let (mut parts, body) = next.run(request).await.into_parts();
    let Ok(collected) = body.collect().await else {
        return ApiError::internal().into_response();
    };
    let mut bytes = collected.to_bytes();
    let failed = parts.status.is_client_error() || parts.status.is_server_error();
    if failed
        && wants_problem
        && let Some(problem) = as_problem(parts.status, &bytes)
    {
        let kind = HeaderValue::from_static("application/problem+json");
        parts.headers.insert(header::CONTENT_TYPE, kind);
        bytes = problem.into();
    }
    if failed {
        let _ = context::current().error_body.set(bytes.clone());
    }
    sign(&mut parts, &method, &path_and_query, &bytes);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(bytes))
}

/// Signs the answer to a request that came with an HMAC (OES wire §4.3).
fn sign(parts: &mut http::response::Parts, method: &Method, path_and_query: &str, body: &[u8]) {
    let context = context::current();
    let Some(hmac) = context.answer_hmac.get() else {
        return;
    };
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let timestamp = since_epoch.map_or(0, |since| since.as_millis()).to_string();
    let signature = response_hmac(
        &hmac.secret,
        hmac.version,
        method.as_str(),
        &timestamp,
        path_and_query,
        parts.status.as_u16(),
        body,
    );
    let headers = [("hmac", signature), ("timestamp", timestamp)];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            parts.headers.insert(HeaderName::from_static(name), value);
        }
    }
}
