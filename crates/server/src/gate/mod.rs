//! The gate: what every request passes before anything is read from its body, always in the same
//! order (decisions §4).
//!
//! | check | refusal |
//! |---|---|
//! | size | 413 |
//! | bearer token | 401 |
//! | room for a large body | 503 |
//! | a place among the requests that are worked on | 503 |
//! | request HMAC, where one is asked for or given | 401 |
//! | rate of the token | 429 |
//! | path, `enterprise-id` header against it | 400 |
//! | membership; an unknown enterprise looks the same | 401 |
//! | scope | 403 |
//! | OES licence | 403 |
//!
//! After it come, in the handlers: body or query (400), payload (400, 401), existence (404),
//! repeats and conflicts, business rules.

mod credentials;
mod large_bodies;

use std::{marker::PhantomData, net::SocketAddr};

use axum::{
    extract::{
        ConnectInfo, FromRequest, FromRequestParts, OriginalUri, RawPathParams, Request, State,
    },
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use network::{Authentic, Caller, Network, Presented};
use rules::{EnterpriseId, UserId, record::Scope};
use uuid::Uuid;
use wire::{body::Fault, filters::Filters, json::Json};

use crate::{Serving, error::ApiError};

pub(crate) use large_bodies::{LargeBodies, Room};

/// The largest body of an ordinary request, in bytes (decisions §4).
const BODY_MAX: usize = 64 * 1024;

/// The largest body on routes of settlements, in bytes (decisions §4).
const SETTLEMENT_BODY_MAX: usize = 32 * 1024 * 1024;

/// What an operation asks of a request.
pub(crate) trait Demand: Send + Sync + 'static {
    /// The scopes that the token has to have.
    const SCOPES: &'static [Scope];
    /// The largest body, in bytes.
    const BODY_MAX: usize = BODY_MAX;
}

/// The operation reads.
pub(crate) struct Reads;
/// The operation changes something.
pub(crate) struct Writes;
/// The operation reads, and takes a settlement.
pub(crate) struct ReadsSettlement;
/// The operation changes something, and takes a settlement.
pub(crate) struct WritesSettlement;

impl Demand for Reads {
    const SCOPES: &'static [Scope] = &[Scope::Read];
}

impl Demand for Writes {
    const SCOPES: &'static [Scope] = &[Scope::Read, Scope::Write];
}

impl Demand for ReadsSettlement {
    const SCOPES: &'static [Scope] = &[Scope::Read];
    const BODY_MAX: usize = SETTLEMENT_BODY_MAX;
}

impl Demand for WritesSettlement {
    const SCOPES: &'static [Scope] = &[Scope::Read, Scope::Write];
    const BODY_MAX: usize = SETTLEMENT_BODY_MAX;
}

/// A request that has passed the gate.
pub(crate) struct Call<D> {
    pub(crate) caller: Caller,
    ids: Vec<(String, Uuid)>,
    sent: Sent,
    demand: PhantomData<D>,
}

/// What a request sent beside its path.
pub(crate) struct Sent {
    query: Option<String>,
    headers: HeaderMap,
    body: Bytes,
}

impl<D: Demand> FromRequest<Serving> for Call<D> {
    type Rejection = ApiError;

    async fn from_request(request: Request, serving: &Serving) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let (authentic, body) = admit(serving, &parts, body, D::BODY_MAX).await?;
        let path = path_params(&mut parts).await?;
        let enterprise = path.enterprise(&parts.headers)?;
        let caller = serving.network.enter(&authentic, &enterprise).await?;
        let entered = caller.enterprise.id.clone();
        let _ = crate::context::current().enterprise.set(entered);
        caller.require(D::SCOPES)?;
        caller.require_licence()?;
        Ok(Call {
            caller,
            ids: path.ids,
            sent: sent(parts, body),
            demand: PhantomData,
        })
    }
}

/// An operator's request that has passed the gate: it may change the installation.
pub(crate) struct OperatorCall {
    pub(crate) user_id: UserId,
    pub(crate) path: PathTexts,
    sent: Sent,
}

/// An operator's or auditor's request that has passed the gate: it may read the installation.
pub(crate) struct AuditCall {
    pub(crate) user_id: UserId,
    pub(crate) path: PathTexts,
    sent: Sent,
}

/// A request of somebody who may read what concerns the enterprises they belong to.
pub(crate) struct MemberCall {
    pub(crate) enterprises: Vec<EnterpriseId>,
    pub(crate) path: PathTexts,
    sent: Sent,
}

impl FromRequest<Serving> for MemberCall {
    type Rejection = ApiError;

    async fn from_request(request: Request, serving: &Serving) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let (authentic, body) = admit(serving, &parts, body, BODY_MAX).await?;
        let path = path_texts(&mut parts).await?;
        let enterprises = serving.network.enterprises_of(&authentic).await?;
        Ok(MemberCall {
            enterprises,
            path,
            sent: sent(parts, body),
        })
    }
}

impl MemberCall {
    /// The filters of a list, from query and body.
    pub(crate) fn filters(&self) -> Result<Filters, ApiError> {
        self.sent.filters()
    }
}

async fn enter_installation(
    request: Request,
    serving: &Serving,
    changes: bool,
) -> Result<(UserId, PathTexts, Sent), ApiError> {
    let (mut parts, body) = request.into_parts();
    let (authentic, body) = admit(serving, &parts, body, BODY_MAX).await?;
    let path = path_texts(&mut parts).await?;
    let user_id = serving
        .network
        .require_installation_role(&authentic, changes)?;
    Ok((user_id, path, sent(parts, body)))
}

impl FromRequest<Serving> for OperatorCall {
    type Rejection = ApiError;

    async fn from_request(request: Request, serving: &Serving) -> Result<Self, ApiError> {
        let (user_id, path, sent) = enter_installation(request, serving, true).await?;
        Ok(OperatorCall {
            user_id,
            path,
            sent,
        })
    }
}

impl FromRequest<Serving> for AuditCall {
    type Rejection = ApiError;

    async fn from_request(request: Request, serving: &Serving) -> Result<Self, ApiError> {
        let (user_id, path, sent) = enter_installation(request, serving, false).await?;
        Ok(AuditCall {
            user_id,
            path,
            sent,
        })
    }
}

impl<D> Call<D> {
    /// The identifier at this place of the path; the route has it.
    pub(crate) fn id(&self, name: &str) -> Result<Uuid, ApiError> {
        let found = self.ids.iter().find(|(known, _)| known == name);
        found.map(|(_, id)| *id).ok_or_else(ApiError::internal)
    }

    /// The body as strict JSON.
    pub(crate) fn json(&self) -> Result<Json, ApiError> {
        self.sent.json()
    }

    /// The filters of a list, from query and body.
    pub(crate) fn filters(&self) -> Result<Filters, ApiError> {
        self.sent.filters()
    }
}

impl OperatorCall {
    /// The body as strict JSON.
    pub(crate) fn json(&self) -> Result<Json, ApiError> {
        self.sent.json()
    }
}

impl AuditCall {
    /// The filters of a list, from query and body.
    pub(crate) fn filters(&self) -> Result<Filters, ApiError> {
        self.sent.filters()
    }
}

impl Sent {
    fn json(&self) -> Result<Json, ApiError> {
        self.check_content_type()?;
        Json::parse(&self.body).map_err(|error| ApiError::invalid(vec![Fault::from(error)]))
    }

    fn filters(&self) -> Result<Filters, ApiError> {
        self.check_content_type()?;
        Filters::new(self.query.as_deref(), &self.body).map_err(ApiError::invalid)
    }

    /// A body that says it is something else than JSON is refused; one that says nothing is read.
    fn check_content_type(&self) -> Result<(), ApiError> {
        let Some(kind) = self.headers.get(header::CONTENT_TYPE) else {
            return Ok(());
        };
        let kind = kind.to_str().unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        let is_json = essence.eq_ignore_ascii_case("application/json")
            || (essence.len() > 5 && essence.to_ascii_lowercase().ends_with("+json"));
        if is_json || self.body.is_empty() {
            return Ok(());
        }
        let message = "the body has to be application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Err(ApiError::new(status, "unsupported_media_type", message))
    }
}

fn sent(parts: Parts, body: Bytes) -> Sent {
    Sent {
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body,
    }
}

/// Size, bearer, HMAC, rate. A body is kept only for those whose bearer counts: for others it is counted
/// and thrown away, so that strangers cannot fill the memory.
async fn admit(
    serving: &Serving,
    parts: &Parts,
    body: axum::body::Body,
    at_most: usize,
) -> Result<(Authentic, Bytes), ApiError> {
    let announced = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > at_most) {
        return Err(body_too_large(at_most));
    }
    let body = Limited::new(body, at_most);
    let authentic = match authenticate(&serving.network, parts).await {
        Ok(authentic) => authentic,
        Err(error) => {
            discard(body, at_most).await?;
            return Err(error);
        }
    };
    let context = crate::context::current();
    let room = serving.large_bodies.room(authentic.principal.token.id);
    let (body, room) = collect(body, announced, room, at_most).await?;
    let _ = context.room.set(room);
    let uri = parts
        .extensions
        .get::<OriginalUri>()
        .map_or(&parts.uri, |original| &original.0);
    // From here on it is work; a stranger, or one who sends slowly, has taken no place.
    let _ = context.place.set(serving.network.take_place()?);
    // Whoever has the token itself has proved it; a hash proves nothing without an HMAC.
    if authentic.presented == Presented::Token {
        let _ = context.asking.set((&authentic).into());
    }
    credentials::check_hmac(&authentic, parts, uri, &body)?;
    let asking = context.asking.get_or_init(|| (&authentic).into());
    let (standing, passes) = serving.rate_limits.take(asking.token_id);
    let _ = context.rate.set(standing);
    passes?;
    Ok((authentic, body))
}

async fn authenticate(network: &Network, parts: &Parts) -> Result<Authentic, ApiError> {
    let bearer = credentials::bearer(&parts.headers)?;
    let from = parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0.ip());
    Ok(network.authenticate(bearer, from).await?)
}

/// The whole body, if there is room for it, with the room it takes.
async fn collect(
    mut body: Limited<axum::body::Body>,
    announced: Option<usize>,
    mut room: Room,
    at_most: usize,
) -> Result<(Bytes, Room), ApiError> {
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&*error, at_most))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = collected.len().saturating_add(data.len());
        if length > BODY_MAX {
            let length = announced.unwrap_or(0).max(length);
            if let Err(busy) = room.grow_to(length) {
                drop((collected, room));
                discard(body, at_most).await?;
                return Err(busy.into());
            }
            collected.reserve(length - collected.len());
        }
        collected.extend_from_slice(&data);
    }
    Ok((collected.freeze(), room))
}

async fn discard(mut body: Limited<axum::body::Body>, at_most: usize) -> Result<(), ApiError> {
    while let Some(frame) = body.frame().await {
        frame.map_err(|error| broken(&*error, at_most))?;
    }
    Ok(())
}

fn body_too_large(at_most: usize) -> ApiError {
    let message = format!("the body has more than {at_most} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
}

fn broken(error: &(dyn std::error::Error + 'static), at_most: usize) -> ApiError {
    if error.is::<LengthLimitError>() {
        return body_too_large(at_most);
    }
    let message = "the body broke off";
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_request", message)
}

/// The variables of a path as they were sent, their percent-encoding undone.
pub(crate) struct PathTexts(Vec<(String, String)>);

impl PathTexts {
    /// The text at this place of the path; the route has it.
    pub(crate) fn text(&self, name: &str) -> Result<&str, ApiError> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found
            .map(|(_, text)| text.as_str())
            .ok_or_else(ApiError::internal)
    }
}

async fn path_texts(parts: &mut Parts) -> Result<PathTexts, ApiError> {
    let raw = RawPathParams::from_request_parts(parts, &()).await;
    let raw = raw.map_err(|_| {
        ApiError::invalid(vec![Fault {
            field: "path".to_owned(),
            message: "must be percent-encoded UTF-8".to_owned(),
        }])
    })?;
    let texts = raw
        .iter()
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
    Ok(PathTexts(texts.collect()))
}

/// The variables of a path below one enterprise.
struct PathParams {
    enterprise: Option<String>,
    ids: Vec<(String, Uuid)>,
}

async fn path_params(parts: &mut Parts) -> Result<PathParams, ApiError> {
    let PathTexts(texts) = path_texts(parts).await?;
    let mut params = PathParams {
        enterprise: None,
        ids: Vec::new(),
    };
    let mut faults = Vec::new();
    for (name, value) in texts {
        if name == "enterpriseId" {
            params.enterprise = Some(value);
        } else {
            // Go Accounts are written without hyphens, and read with them too.
            let (lengths, wanted): (&[usize], _) = match name.as_str() {
                "goAccountId" => (&[32, 36], "must be 32 hexadecimal digits"),
                _ => (&[36], "must be a UUID"),
            };
            match Uuid::try_parse(&value) {
                Ok(id) if lengths.contains(&value.len()) => params.ids.push((name, id)),
                _ => faults.push(Fault {
                    field: name,
                    message: wanted.to_owned(),
                }),
            }
        }
    }
    match faults.is_empty() {
        true => Ok(params),
        false => Err(ApiError::invalid(faults)),
    }
}

impl PathParams {
    fn enterprise(&self, headers: &HeaderMap) -> Result<String, ApiError> {
        let enterprise = self.enterprise.clone().unwrap_or_default();
        if enterprise.is_empty() {
            return Err(empty_enterprise());
        }
        let claimed = headers.get("enterprise-id");
        if claimed.is_some_and(|claimed| claimed.as_bytes() != enterprise.as_bytes()) {
            return Err(ApiError::invalid(vec![Fault {
                field: "enterprise-id".to_owned(),
                message: "has to be the enterprise of the path".to_owned(),
            }]));
        }
        Ok(enterprise)
    }
}

fn empty_enterprise() -> ApiError {
    ApiError::invalid(vec![Fault {
        field: "enterpriseId".to_owned(),
        message: "must have at least 1 character".to_owned(),
    }])
}

/// What no route fits. A path whose enterprise is empty is a fault of the path, told to those
/// with a token.
pub(crate) async fn unknown_route(State(serving): State<Serving>, request: Request) -> Response {
    let path = request.uri().path();
    let has_no_enterprise = [
        "/api/network/v1/enterprises//",
        "/api/network/v2/enterprises//",
    ]
    .iter()
    .any(|prefix| path.starts_with(prefix));
    if !has_no_enterprise {
        let message = "there is no such route; see /openapi.json for those there are";
        return ApiError::new(StatusCode::NOT_FOUND, "unknown_route", message).into_response();
    }
    let (parts, body) = request.into_parts();
    match admit(&serving, &parts, body, BODY_MAX).await {
        Ok(_) => empty_enterprise().into_response(),
        Err(error) => error.into_response(),
    }
}

/// What a route does not do.
pub(crate) async fn method_not_allowed() -> ApiError {
    let message = "this route does not know the method; see /openapi.json";
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
}
