//! What handlers answer with.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;

use crate::error::ApiError;

/// A body with its status. Bodies are built whole, never streamed, because they are signed.
pub(crate) struct Answer<T>(pub(crate) StatusCode, pub(crate) T);

/// What a handler answers: a body, or a refusal.
pub(crate) type Answered<T> = Result<Answer<T>, ApiError>;

/// 200 with a body.
pub(crate) fn ok<T>(body: T) -> Answered<T> {
    Ok(Answer(StatusCode::OK, body))
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        (self.0, axum::Json(self.1)).into_response()
    }
}
