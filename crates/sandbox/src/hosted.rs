//! The endpoints that the network calls, H1 to H9 (OES wire §1c): who calls, what is scripted to
//! go wrong, and the books' answer as HTTP.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Bytes, to_bytes};
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, on};
use axum::{Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;
use wire::connection_key::{ConnectionKey, ConnectionKeySchema};
use wire::partner_call::{
    ConnectRequest, ErrorResponse, FinalizeRequest, MovementKind, MovementRequest, MovementStatus,
    Subject,
};

use crate::books::{Refusal, Taking};
use crate::exchange::Shared;
use crate::faults::{Action, Call, Fault};
use crate::hang_up::Switch;

/// Below which path the exchange answers, the default of partner configurations.
pub const PREFIX: &str = "/bitgo/v1";

/// The most bytes of a request that are read.
const BODY_MAX: usize = 64 * 1024;

/// The same of a settlement, which may be as large as one that is posted.
const SETTLEMENT_BODY_MAX: usize = 32 * 1024 * 1024;

/// How long a scripted timeout lasts unless the script says so.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Members of a request that are not kept in the log.
const SECRETS: [&str; 4] = ["connectionToken", "signature", "apiKey", "apiSecret"];

/// A call that was received, as the log keeps it: without secrets.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LoggedCall {
    pub(crate) received_at_ms: u64,
    pub(crate) call: Call,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<Action>,
    /// The status that was answered; none: the connection was cut.
    pub(crate) answered: Option<u16>,
}

/// The routes of the partner-hosted API.
pub(crate) fn routes(shared: &Arc<Shared>) -> Router {
    let routes = [
        ("connections", MethodFilter::POST, Call::Connect),
        ("allocations", MethodFilter::POST, Call::Allocate),
        ("allocation/{id}", MethodFilter::GET, Call::AllocationStatus),
        (
            "allocation/{id}/clear",
            MethodFilter::PUT,
            Call::ClearAllocation,
        ),
        (
            "allocation/{id}/release",
            MethodFilter::PUT,
            Call::ReleaseAllocation,
        ),
        ("deallocations", MethodFilter::POST, Call::Deallocate),
        (
            "deallocation/{id}",
            MethodFilter::GET,
            Call::DeallocationStatus,
        ),
        (
            "deallocation/{id}/clear",
            MethodFilter::PUT,
            Call::ClearDeallocation,
        ),
        (
            "deallocation/{id}/release",
            MethodFilter::PUT,
            Call::ReleaseDeallocation,
        ),
        (
            "settlements/{id}/finalize",
            MethodFilter::PUT,
            Call::FinalizeSettlement,
        ),
    ];
    let mut router = Router::new();
    for (path, method, call) in routes {
        let handler = move |State(shared), ConnectInfo(line), id: Option<Path<String>>, request| {
            receive(shared, line, call, id.map(|Path(id)| id), request)
        };
        router = router.route(&format!("{PREFIX}/{path}"), on(method, handler));
    }
    router.with_state(Arc::clone(shared))
}

async fn receive(
    shared: Arc<Shared>,
    line: Switch,
    call: Call,
    id: Option<String>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let at_most = match call {
        Call::FinalizeSettlement => SETTLEMENT_BODY_MAX,
        _ => BODY_MAX,
    };
    let Ok(body) = to_bytes(body, at_most).await else {
        return error(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large");
    };
    // In a task of its own, for what was received happens even if the caller hangs up.
    let work = tokio::spawn(async move { serve(&shared, call, id, &head, body).await });
    match work.await {
        Ok(Some(response)) => response,
        Ok(None) => {
            line.cut();
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
        Err(failure) => error(StatusCode::INTERNAL_SERVER_ERROR, &failure.to_string()),
    }
}

/// Answers a call and logs it; nothing if the connection is to be cut.
async fn serve(
    shared: &Arc<Shared>,
    call: Call,
    id: Option<String>,
    head: &Parts,
    body: Bytes,
) -> Option<Response> {
    let received_at = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let path = head
        .uri
        .path_and_query()
        .map_or_else(|| head.uri.path().to_owned(), ToString::to_string);
    let logged_body = without_secrets(&body);
    let (admitted, fault) = {
        let mut desk = shared.desk();
        let header = head.headers.get(&shared.signature_header);
        let now_s = i64::try_from(received_at.as_secs()).unwrap_or(i64::MAX);
        let admitted = desk.gate.admit(
            header.and_then(|value| value.to_str().ok()),
            head.method.as_str(),
            &path,
            &body,
            now_s,
        );
        let fault = admitted.is_ok().then(|| desk.script.take(call)).flatten();
        (admitted, fault)
    };
    let response = match admitted {
        Err(refusal) => Some(error(StatusCode::UNAUTHORIZED, &refusal.to_string())),
        Ok(()) => scripted(shared, call, id, body, fault.as_ref()).await,
    };
    shared.desk().note(LoggedCall {
        received_at_ms: u64::try_from(received_at.as_millis()).unwrap_or(u64::MAX),
        call,
        method: head.method.to_string(),
        path,
        body: logged_body,
        fault: fault.map(|fault| fault.action),
        answered: response.as_ref().map(|response| response.status().as_u16()),
    });
    response
}

async fn scripted(
    shared: &Arc<Shared>,
    call: Call,
    id: Option<String>,
    body: Bytes,
    fault: Option<&Fault>,
) -> Option<Response> {
    let action = fault.map(|fault| fault.action);
    let delay = fault.and_then(|fault| fault.delay_ms);
    let delay = delay.map(Duration::from_millis);
    tokio::time::sleep(match action {
        Some(Action::Timeout) => delay.unwrap_or(TIMEOUT),
        _ => delay.unwrap_or_default(),
    })
    .await;
    match action {
        Some(Action::Error500) => {
            return Some(error(
                StatusCode::INTERNAL_SERVER_ERROR,
                "failed as the script says",
            ));
        }
        Some(Action::HangUpBefore) => return None,
        _ => {}
    }
    let books = Arc::clone(shared);
    let reject = action == Some(Action::Reject);
    let act = move || act(&books, call, id.as_deref(), &body, reject);
    let done = if call == Call::Connect {
        // Opening a sealed key takes a good part of a second.
        let done = tokio::task::spawn_blocking(act).await;
        done.unwrap_or_else(|failure| Err(Refusal::Malformed(failure.to_string())))
    } else {
        act()
    };
    if action == Some(Action::HangUpAfter) {
        return None;
    }
    Some(match done {
        Ok(body) => Json(body).into_response(),
        Err(refusal) => error(status_of(&refusal), &refusal.to_string()),
    })
}

/// What the books say to a call.
fn act(
    shared: &Arc<Shared>,
    call: Call,
    id: Option<&str>,
    body: &[u8],
    reject: bool,
) -> Result<Value, Refusal> {
    let scripted = || "rejected as the script says".to_owned();
    match call {
        Call::Allocate | Call::Deallocate => {
            let request = movement(call, None, body)?;
            let taking = if reject {
                Taking::Reject(scripted())
            } else {
                taking(shared, request.subject.kind())
            };
            let response = shared.books().reserve(&request, taking)?;
            answer_if_pending(shared, request.subject);
            json(response)
        }
        _ if reject => Err(Refusal::Refused(scripted())),
        Call::Connect => {
            let request: ConnectRequest = decode(body)?;
            if shared.desk().gate.partner_id() != Some(request.partner_id) {
                return Err(Refusal::Refused("the partner is another one".to_owned()));
            }
            let key = connection_key(shared, &request)?;
            json(shared.books().connect(&request, &key)?)
        }
        Call::ClearAllocation | Call::ClearDeallocation => {
            let request = movement(call, id, body)?;
            json(shared.books().clear(&request)?)
        }
        Call::ReleaseAllocation | Call::ReleaseDeallocation => {
            let request = movement(call, id, body)?;
            json(shared.books().release(&request)?)
        }
        Call::FinalizeSettlement => {
            let request: FinalizeRequest = decode(body)?;
            if parse_id(id.unwrap_or_default())? != request.settlement_id {
                return Err(Refusal::Malformed(
                    "the body is about something else than the route".to_owned(),
                ));
            }
            shared.books().finalize(&request)?;
            json(&request)
        }
        Call::AllocationStatus | Call::DeallocationStatus => {
            let id = parse_id(id.unwrap_or_default())?;
            let subject = Subject::new(call.kind(), id);
            json(shared.books().status(subject)?)
        }
    }
}

fn taking(shared: &Shared, kind: MovementKind) -> Taking {
    let mode = shared.desk().mode;
    let is_later = match kind {
        MovementKind::Allocation => mode.asynchronous_allocations,
        MovementKind::Deallocation => mode.asynchronous_deallocations,
    };
    if is_later {
        Taking::Later
    } else {
        Taking::Decide
    }
}

fn answer_if_pending(shared: &Arc<Shared>, subject: Subject) {
    if !shared.desk().mode.auto_answer {
        return;
    }
    let status = shared.books().status(subject).map(|known| known.status);
    if status == Ok(MovementStatus::Pending) {
        shared.answer_soon(subject.id());
    }
}

/// The movement that a body is about; a route's own id and kind must be the same.
fn movement(call: Call, id: Option<&str>, body: &[u8]) -> Result<MovementRequest, Refusal> {
    let request: MovementRequest = decode(body)?;
    let is_same_id = match id {
        Some(id) => parse_id(id)? == request.subject.id(),
        None => true,
    };
    if request.subject.kind() != call.kind() || !is_same_id {
        return Err(Refusal::Malformed(
            "the body is about something else than the route".to_owned(),
        ));
    }
    Ok(request)
}

/// The key of a request in the first schema that the exchange takes and that the request fits,
/// the one with the most fields first.
fn connection_key(shared: &Shared, request: &ConnectRequest) -> Result<ConnectionKey, Refusal> {
    let by_fields = [
        ConnectionKeySchema::Clearloop,
        ConnectionKeySchema::TokenAndSignature,
        ConnectionKeySchema::ApiKeyAndSecret,
        ConnectionKeySchema::Token,
    ];
    let key = by_fields
        .into_iter()
        .filter(|schema| shared.schemas.contains(schema))
        .find_map(|schema| request.key.key(schema))
        .ok_or_else(|| Refusal::Refused("the connection key has another schema".to_owned()))?;
    match &shared.private_key {
        Some(private_key) => key.open(private_key).map_err(|error| {
            Refusal::Refused(format!("the connection key cannot be opened: {error}"))
        }),
        None => Ok(key),
    }
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    // The decoder's own words may show values, and values may be secret.
    serde_json::from_slice(body).map_err(|error| {
        Refusal::Malformed(format!(
            "the body is not the expected JSON (line {}, column {})",
            error.line(),
            error.column()
        ))
    })
}

fn json(response: impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(response).map_err(|error| Refusal::Malformed(error.to_string()))
}

fn parse_id(text: &str) -> Result<Uuid, Refusal> {
    text.parse()
        .map_err(|_| Refusal::Malformed("the id in the path is no UUID".to_owned()))
}

fn without_secrets(body: &[u8]) -> Value {
    let mut json: Value = serde_json::from_slice(body).unwrap_or_default();
    for name in SECRETS {
        if let Some(secret) = json.get_mut(name) {
            *secret = "[secret]".into();
        }
    }
    json
}

/// The status that tells a refusal.
pub(crate) fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
        Refusal::NotKnown(_) => StatusCode::NOT_FOUND,
        Refusal::Conflict(_) => StatusCode::CONFLICT,
        Refusal::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// An error as both APIs write it.
pub(crate) fn error(status: StatusCode, message: &str) -> Response {
    let body = ErrorResponse {
        error: Some(message.to_owned()),
        reject_reason: None,
    };
    (status, Json(body)).into_response()
}
