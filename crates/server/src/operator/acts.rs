//! What operators did.

use axum::extract::State;
use network::Network;
use rules::record;
use serde::Serialize;
use utoipa::ToSchema;
use wire::{api::DateTime, filters::Page};

use super::{page_of, read, stored};
use crate::{
    answer::{Answered, ok},
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
}

impl From<record::OperatorAct> for OperatorAct {
    fn from(act: record::OperatorAct) -> Self {
        OperatorAct {
            id: act.id.to_string(),
            user_id: act.user_id.map(|id| id.to_string()),
            act: act.act,
            subject: act.subject,
            detail: act.detail,
            at: time(act.at),
        }
    }
}

/// One page of acts.
#[derive(Serialize, ToSchema)]
pub(super) struct OperatorActsResponse {
    acts: Vec<OperatorAct>,
}

/// List what operators did
///
/// The newest first.
#[utoipa::path(get, path = "/acts", tag = "Operator", operation_id = "operatorListActs",
    params(Page),
    responses((status = 200, description = "The acts.", body = OperatorActsResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<OperatorActsResponse> {
    let page = stored(page_of(&call)?);
    let operator = network.operator(call.user_id);
    let found = read(operator.records().operator_acts(page).await)?;
    ok(OperatorActsResponse {
        acts: found.into_iter().map(OperatorAct::from).collect(),
    })
}
