//! What operators did.

use axum::extract::State;
use ledger::Timestamp;
use network::Network;
use serde::Serialize;
use store::{ActFilter, RecordedAct};
use utoipa::ToSchema;
use wire::{api::DateTime, api::bounds::TEXT_BYTES_MAX, filters::Page};

use super::{input, read, stored};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::AuditCall,
    openapi,
    projection::time,
};

/// What an operator did, kept as evidence.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OperatorAct {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: String,
    /// Who; absent for acts of the installation itself, such as its first token.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// The kind of act, such as `put_enterprise`.
    act: String,
    /// What it was done to.
    subject: String,
    /// What there was before and after, for a person to read; never a secret.
    detail: String,
    /// When.
    at: DateTime,
    /// The number of the commit whose hash covers the act; absent where it was done before hashes
    /// covered acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    commit_sequence: Option<i64>,
}

impl From<RecordedAct> for OperatorAct {
    fn from(recorded: RecordedAct) -> Self {
        let RecordedAct {
            act,
            commit_sequence,
        } = recorded;
        OperatorAct {
            id: act.id.to_string(),
            user_id: act.user_id.map(|id| id.to_string()),
            act: act.act,
            subject: act.subject,
            detail: act.detail,
            at: time(act.at),
            commit_sequence,
        }
    }
}

/// One page of acts.
#[derive(Serialize, ToSchema)]
pub(super) struct OperatorActsResponse {
    acts: Vec<OperatorAct>,
}

/// Which acts are listed.
fn narrowed(call: &AuditCall) -> Result<(ActFilter, store::Page), ApiError> {
    let filters = call.filters()?;
    let text = |name: &str| {
        let what = format!("a text of 1 to {TEXT_BYTES_MAX} bytes");
        filters.one(name, &what, |text| {
            (1..=TEXT_BYTES_MAX)
                .contains(&text.len())
                .then(|| text.to_owned())
        })
    };
    let moment = |name: &str| filters.date_time(name).map(|at| Timestamp(at.0));
    let filter = ActFilter {
        act: text("act"),
        subject: text("subject"),
        user_id: input::filter(&filters, "userId"),
        from: moment("from"),
        before: moment("before"),
    };
    let page = stored(filters.page());
    filters.finish((filter, page)).map_err(ApiError::invalid)
}

/// List what operators did
///
/// The newest first. Every act is covered by the hash of the commit that it was done in, together
/// with the money that it moved, so that `tidelock verify` finds one that was altered, taken away
/// or added afterwards.
#[utoipa::path(get, path = "/acts", tag = "Operator", operation_id = "operatorListActs",
    params(
        ("act" = Option<String>, Query, description = "Only acts of this kind, such as `book_deposit`."),
        ("subject" = Option<String>, Query, description = "Only what was done to this."),
        ("userId" = Option<String>, Query, description = "Only what this user did: 32 hexadecimal digits."),
        ("from" = Option<DateTime>, Query, description = "Only what was done at this time or later."),
        ("before" = Option<DateTime>, Query, description = "Only what was done before this time."),
        Page),
    responses((status = 200, description = "The acts.", body = OperatorActsResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<OperatorActsResponse> {
    let (filter, page) = narrowed(&call)?;
    let operator = network.operator(call.user_id);
    let found = read(operator.records().operator_acts(filter, page).await)?;
    ok(OperatorActsResponse {
        acts: found.into_iter().map(OperatorAct::from).collect(),
    })
}
