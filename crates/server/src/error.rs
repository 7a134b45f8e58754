//! Refusals as answers: status, body and headers (decisions Q12).
//!
//! The body is `{"error", "name", "requestId"}`, with `"errors"` on 400; whoever accepts
//! `application/problem+json` gets the same as RFC 9457. What is inside never shows.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use network::Failure;
use rules::{Class, Reason};
use wire::{
    api::error::{ErrorBody, FieldError},
    body::Fault,
};

use crate::context;

/// A refusal on its way out.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) reason: Reason,
    pub(crate) faults: Vec<FieldError>,
    retry_after_s: Option<u32>,
    auth_required: bool,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, name: &str, message: impl Into<String>) -> ApiError {
        ApiError {
            status,
            reason: Reason::new(name, message),
            faults: Vec::new(),
            retry_after_s: None,
            auth_required: false,
        }
    }

    /// 400 with everything that is wrong.
    pub(crate) fn invalid(faults: Vec<Fault>) -> ApiError {
        let told: Vec<String> = faults.iter().map(Fault::to_string).collect();
        let mut error = ApiError::new(StatusCode::BAD_REQUEST, "invalid_request", told.join("; "));
        error.faults = faults.into_iter().map(FieldError::from).collect();
        error
    }

    /// The same may be sent again after so many seconds.
    pub(crate) fn retry_after(mut self, seconds: u32) -> ApiError {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The token has to be renewed.
    pub(crate) fn auth_required(mut self) -> ApiError {
        self.auth_required = true;
        self
    }

    pub(crate) fn internal() -> ApiError {
        let message = "an internal fault; the operator of the network finds it by the request id";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }

    pub(crate) fn time_limit() -> ApiError {
        let message = "the request takes longer than the server waits; what it began goes on. Send the same request again to learn the outcome";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown", message).retry_after(1)
    }

    /// The body of the error alone.
    pub(crate) fn body(&self) -> ErrorBody {
        ErrorBody {
            error: self.reason.message.clone(),
            name: self.reason.name.clone(),
            request_id: context::current().id.clone(),
            errors: self.faults.clone(),
        }
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) => {
                let status = match refusal.class {
                    Class::Invalid => StatusCode::BAD_REQUEST,
                    Class::NotAuthentic => StatusCode::UNAUTHORIZED,
                    Class::NotPermitted => StatusCode::FORBIDDEN,
                    Class::NotFound => StatusCode::NOT_FOUND,
                    Class::Conflict => StatusCode::CONFLICT,
                    Class::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
                };
                // Every 400 lists its faults; a rule's concerns the request as a whole.
                let fault = || FieldError {
                    field: String::new(),
                    message: refusal.reason.message.clone(),
                };
                let faulty = status == StatusCode::BAD_REQUEST;
                ApiError {
                    status,
                    faults: faulty.then(fault).into_iter().collect(),
                    reason: refusal.reason,
                    retry_after_s: None,
                    auth_required: false,
                }
            }
            Failure::Invalid(faults) => ApiError::invalid(faults),
            Failure::TokenExpired => {
                let message = "the access token has expired; ask for a new one";
                ApiError::new(StatusCode::UNAUTHORIZED, "token_expired", message).auth_required()
            }
            Failure::Busy => {
                let message = "the network cannot take this at present; nothing was done. Send it again later";
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).retry_after(1)
            }
            Failure::StorageFull => {
                let message = "the network has no space left to keep this; nothing was done. Send it again later; its operator has to make space";
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "storage_full", message)
                    .retry_after(10)
            }
            Failure::OutcomeUnknown => {
                let message = "it is not known yet whether this was done; send the same request again to learn it";
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown", message)
                    .retry_after(1)
            }
            Failure::Internal => ApiError::internal(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.auth_required {
            let name = HeaderName::from_static("x-auth-required");
            headers.insert(name, HeaderValue::from_static("true"));
        }
        (self.status, headers, axum::Json(self.body())).into_response()
    }
}

/// The error as RFC 9457 has it, from the bytes of the usual body.
pub(crate) fn as_problem(status: StatusCode, body: &[u8]) -> Option<Vec<u8>> {
    let mut problem: serde_json::Value = serde_json::from_slice(body).ok()?;
    let members = problem.as_object_mut()?;
    let detail = members.get("error")?.clone();
    let title = status.canonical_reason().unwrap_or_default();
    members.insert("type".to_owned(), "about:blank".into());
    members.insert("title".to_owned(), title.into());
    members.insert("status".to_owned(), status.as_u16().into());
    members.insert("detail".to_owned(), detail);
    serde_json::to_vec(&problem).ok()
}
