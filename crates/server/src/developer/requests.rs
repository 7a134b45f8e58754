//! Recent requests: what the enterprises of a user asked of the network, and how it was answered.

use axum::extract::State;
use http::StatusCode;
use ledger::Timestamp;
use network::Failure;
use rules::EnterpriseId;
use serde::Serialize;
use store::{LoggedRequest, RequestFilter, RequestLog};
use utoipa::ToSchema;
use uuid::Uuid;
use wire::{api::DateTime, body::Fault as FieldFault, filters::Filters};

use crate::{
    Serving,
    answer::{Answered, ok},
    error::ApiError,
    gate::MemberCall,
    openapi::{Fault, Gate, NotFound},
    projection::time,
};

/// How many requests are listed at most, and unless asked otherwise.
const LISTED: (u32, u32) = (500, 100);

/// A request to the network and how it was answered.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecentRequest {
    /// Its id in this log.
    #[schema(value_type = Uuid)]
    id: String,
    /// The enterprise that asked.
    enterprise_id: String,
    /// When it was answered.
    at: DateTime,
    /// The HTTP method.
    method: String,
    /// The path, without the query.
    path: String,
    /// The operation, by its `operationId`; `none` if no route fits.
    operation: String,
    /// The HTTP status of the answer.
    #[schema(minimum = 100, maximum = 599)]
    status: u16,
    /// How long the answer took, in microseconds.
    latency_us: i64,
    /// What the sender said it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    /// The request id that the answer bore.
    request_id: String,
    /// The access token, by its id.
    #[schema(value_type = Uuid)]
    token_id: String,
    /// What its owner calls the token.
    token_label: String,
    /// The body of the answer, if it was an error. Of one that is very long only `error`, `name`
    /// and `requestId` are kept, and `shortened` is true.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    error: Option<serde_json::Value>,
}

impl From<LoggedRequest> for RecentRequest {
    fn from(request: LoggedRequest) -> Self {
        let error = request.error_body.as_deref();
        RecentRequest {
            id: request.id.to_string(),
            enterprise_id: request.enterprise_id.to_string(),
            at: time(request.at),
            method: request.method,
            path: request.path,
            operation: request.operation,
            status: request.status,
            latency_us: request.latency_us,
            user_agent: request.user_agent,
            request_id: request.request_id,
            token_id: request.token_id.to_string(),
            token_label: request.token_label,
            error: error.and_then(|body| serde_json::from_str(body).ok()),
        }
    }
}

/// Recent requests, the newest first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RecentRequestsResponse {
    requests: Vec<RecentRequest>,
    /// What to send as `cursor` for those before; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    next_cursor: Option<String>,
}

/// One recent request.
#[derive(Serialize, ToSchema)]
pub(super) struct RecentRequestResponse {
    request: RecentRequest,
}

/// Which requests are listed.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "it is only described; `Wanted` reads it")]
pub(super) struct RequestsFilter {
    /// Only those of this enterprise; else of all that the token's user is a member of.
    enterprise_id: Option<String>,
    /// Only those for this operation, by its `operationId`.
    operation: Option<String>,
    /// Only those with this status, such as `422`, or of this class, such as `4xx`.
    #[param(pattern = "^([1-5][0-9][0-9]|[1-5]xx)$")]
    status: Option<String>,
    /// Only those answered at this time or later.
    since: Option<DateTime>,
    /// Only those answered before this time.
    before: Option<DateTime>,
    /// How many; 100 if left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// Only those before this one: the `nextCursor` of the answer before.
    cursor: Option<Uuid>,
}

/// Which requests are listed, as it was read.
struct Wanted {
    enterprise: Option<EnterpriseId>,
    filter: RequestFilter,
    limit: u32,
}

impl Wanted {
    fn read(filters: Filters) -> Result<Wanted, Vec<FieldFault>> {
        let (most, usual) = LISTED;
        let enterprise = filters.one("enterpriseId", "an enterprise id", |text| text.parse().ok());
        let what = format!("a whole number from 1 to {most}");
        let limit = filters.one("limit", &what, |text| {
            let limit = text.parse().ok()?;
            (1..=most).contains(&limit).then_some(limit)
        });
        let status = "a status such as 422, or a class of them such as 4xx";
        let filter = RequestFilter {
            operation: filters.one("operation", "an operationId", |text| Some(text.to_owned())),
            statuses: filters.one("status", status, statuses),
            since: filters.date_time("since").map(|at| Timestamp(at.0)),
            before: filters.date_time("before").map(|at| Timestamp(at.0)),
            before_id: filters.one("cursor", "a cursor that was answered", |text| {
                (text.len() == 36).then(|| text.parse().ok())?
            }),
        };
        filters.finish(Wanted {
            enterprise,
            filter,
            limit: limit.unwrap_or(usual),
        })
    }
}

/// The first and the last status that a text means.
fn statuses(text: &str) -> Option<(u16, u16)> {
    let (first, last) = match text.strip_suffix("xx") {
        Some(class) => {
            let class: u16 = class.parse().ok()?;
            (class.checked_mul(100)?, class.checked_mul(100)? + 99)
        }
        None => (text.parse().ok()?, text.parse().ok()?),
    };
    (text.len() == 3 && (100..600).contains(&first)).then_some((first, last))
}

/// List recent requests
#[utoipa::path(get, path = "/requests", tag = "Developer",
    operation_id = "developerListRequests",
    params(RequestsFilter),
    responses((status = 200, description = "The requests.", body = RecentRequestsResponse),
        Gate, NotFound, Fault))]
pub(super) async fn list(
    State(serving): State<Serving>,
    call: MemberCall,
) -> Answered<RecentRequestsResponse> {
    let wanted = Wanted::read(call.filters()?).map_err(ApiError::invalid)?;
    let enterprises = match wanted.enterprise {
        None => call.enterprises,
        Some(one) if call.enterprises.contains(&one) => vec![one],
        Some(_) => return Err(Failure::not_a_member().into()),
    };
    let log = log_of(&serving).await?;
    let found = log.list(&enterprises, &wanted.filter, wanted.limit).await;
    let found = found.map_err(Failure::from)?;
    let limit = usize::try_from(wanted.limit).unwrap_or(usize::MAX);
    let last = found.last().map(|request| request.id.to_string());
    ok(RecentRequestsResponse {
        next_cursor: last.filter(|_| found.len() >= limit),
        requests: found.into_iter().map(RecentRequest::from).collect(),
    })
}

/// Read a recent request
#[utoipa::path(get, path = "/requests/{id}", tag = "Developer",
    operation_id = "developerReadRequest",
    params(("id" = Uuid, Path, description = "Its id in the log.")),
    responses((status = 200, description = "The request.", body = RecentRequestResponse),
        Gate, NotFound, Fault))]
pub(super) async fn read(
    State(serving): State<Serving>,
    call: MemberCall,
) -> Answered<RecentRequestResponse> {
    let text = call.path.text("id")?;
    let id: Option<Uuid> = (text.len() == 36).then(|| text.parse().ok()).flatten();
    let id = id.ok_or_else(|| {
        ApiError::invalid(vec![FieldFault {
            field: "id".to_owned(),
            message: "must be a UUID".to_owned(),
        }])
    })?;
    let log = log_of(&serving).await?;
    let found = log.find(&call.enterprises, id).await;
    let found = found.map_err(Failure::from)?.ok_or_else(|| {
        let message = "there is no such request in the log; it may be too old";
        ApiError::new(StatusCode::NOT_FOUND, "request_not_found", message)
    })?;
    ok(RecentRequestResponse {
        request: found.into(),
    })
}

async fn log_of(serving: &Serving) -> Result<&RequestLog, ApiError> {
    let Some(kept) = &serving.request_log else {
        let message = "this server keeps no log of requests";
        let status = StatusCode::NOT_FOUND;
        return Err(ApiError::new(status, "no_request_log", message));
    };
    Ok(kept.log().await.map_err(Failure::from)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_or_a_class() {
        for (text, read) in [
            ("422", Some((422, 422))),
            ("4xx", Some((400, 499))),
            ("5xx", Some((500, 599))),
            ("6xx", None),
            ("0xx", None),
            ("99", None),
            ("4x", None),
            ("+22", None),
            ("04xx", None),
            ("", None),
        ] {
            assert_eq!(statuses(text), read, "{text}");
        }
    }
}
