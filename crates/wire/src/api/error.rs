//! The body of every refusal and failure (decisions Q12). Which names there are stands with those
//! who refuse; bodies that carry a record beside the error stand with the record's noun.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::Fault;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// A sentence for a person.
    pub error: String,
    /// A stable code for programs, such as `insufficient_available`.
    pub name: String,
    /// The request, as the operator finds it in the log.
    pub request_id: String,
    /// Every fault of the request, on 400 only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
}

/// What is wrong with one member of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// Path of the member, such as `amount.currency`; empty for the request as a whole.
    pub field: String,
    /// What is wanted; completes a sentence that begins with the field.
    pub message: String,
}

impl From<Fault> for FieldError {
    fn from(fault: Fault) -> Self {
        Self {
            field: fault.field,
            message: fault.message,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn field_errors_are_there_only_if_there_are_any() {
        let mut body = ErrorBody {
            error: "the request has 1 fault".to_owned(),
            name: "invalid_request".to_owned(),
            request_id: "r1".to_owned(),
            errors: vec![],
        };
        let bare = json!({"error": "the request has 1 fault", "name": "invalid_request", "requestId": "r1"});
        assert_eq!(serde_json::to_value(&body).unwrap(), bare);
        assert_eq!(serde_json::from_value::<ErrorBody>(bare).unwrap(), body);

        let fault = Fault {
            field: "amount.quantity".to_owned(),
            message: "is required".to_owned(),
        };
        body.errors.push(fault.into());
        assert_eq!(
            serde_json::to_value(&body).unwrap()["errors"],
            json!([{"field": "amount.quantity", "message": "is required"}])
        );
    }
}
