//! Withdrawals, in two steps: asked for, which holds the money; then paid, or cancelled, which
//! gives it back.

use axum::extract::State;
use network::Network;
use rules::{
    fund::WithdrawalEnding,
    record::{self, WithdrawalState},
};
use serde::Serialize;
use utoipa::ToSchema;
use wire::{api::DateTime, filters::Page};

use super::{
    deposits::{NewMovement, narrowed},
    input,
    proposals::{ActAnswer, ProposalResponse, answered},
    read, spellings,
};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::time,
};

/// Money that leaves a Go Account for outside.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Withdrawal {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: String,
    /// Where it comes from.
    go_account_id: String,
    /// In what.
    currency: String,
    /// How much, in base units.
    amount: String,
    /// Where custody pays it.
    custody_source: String,
    /// The name under which it is known there.
    external_reference: String,
    /// How far it has come.
    #[schema(value_type = spellings::WithdrawalStatus)]
    status: WithdrawalState,
    /// When it was asked for.
    created_at: DateTime,
    /// When it last changed.
    updated_at: DateTime,
}

impl From<record::Withdrawal> for Withdrawal {
    fn from(withdrawal: record::Withdrawal) -> Self {
        Withdrawal {
            id: withdrawal.id.to_string(),
            go_account_id: withdrawal.go_account_id.to_string(),
            currency: withdrawal.currency.to_string(),
            amount: withdrawal.amount.to_string(),
            custody_source: withdrawal.custody_source,
            external_reference: withdrawal.external_reference,
            status: withdrawal.state,
            created_at: time(withdrawal.created_at),
            updated_at: time(withdrawal.updated_at),
        }
    }
}

/// One withdrawal.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WithdrawalResponse {
    withdrawal: Withdrawal,
    /// Whether acts on money need a second operator here; if not, this operator alone was enough.
    second_operator_required: bool,
}

impl WithdrawalResponse {
    fn new(withdrawal: record::Withdrawal, second_operator_required: bool) -> Self {
        WithdrawalResponse {
            withdrawal: withdrawal.into(),
            second_operator_required,
        }
    }
}

/// One page of withdrawals.
#[derive(Serialize, ToSchema)]
pub(super) struct WithdrawalsResponse {
    withdrawals: Vec<Withdrawal>,
}

/// List withdrawals
///
/// Those of a Go Account or all, the newest first.
#[utoipa::path(get, path = "/withdrawals", tag = "Operator", operation_id = "operatorListWithdrawals",
    params(("goAccountId" = Option<String>, Query, description = "Only those of this account."), Page),
    responses((status = 200, description = "The withdrawals.", body = WithdrawalsResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<WithdrawalsResponse> {
    let (account, page) = narrowed(&call)?;
    let operator = network.operator(call.user_id);
    let found = read(operator.records().withdrawals(account, page).await)?;
    ok(WithdrawalsResponse {
        withdrawals: found.into_iter().map(Withdrawal::from).collect(),
    })
}

/// Ask for a withdrawal
///
/// Holds the money until the withdrawal is paid or cancelled. Repeating it with the same content
/// answers the withdrawal there is; the same reference with other content is a conflict. Where a
/// second operator is required, the answer is 202 with the proposal; so for paying and cancelling.
#[utoipa::path(post, path = "/withdrawals", tag = "Operator", operation_id = "operatorRequestWithdrawal",
    request_body = NewMovement,
    responses((status = 200, description = "The withdrawal.", body = WithdrawalResponse),
        (status = 202, description = "It waits for a second operator.", body = ProposalResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Unprocessable, openapi::Fault))]
pub(super) async fn request(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ActAnswer<WithdrawalResponse>> {
    let wanted = NewMovement::read(&call.json()?).map_err(ApiError::invalid)?;
    let operator = network.operator(call.user_id);
    let undertaken = operator.request_withdrawal(wanted.into()).await?;
    answered(&network, undertaken, WithdrawalResponse::new)
}

/// Book that a withdrawal was paid
///
/// The money has left custody. Repeating it changes nothing.
#[utoipa::path(post, path = "/withdrawals/{withdrawalId}/paid", tag = "Operator", operation_id = "operatorWithdrawalPaid",
    params(("withdrawalId" = uuid::Uuid, Path, description = "Which withdrawal.")),
    responses((status = 200, description = "The withdrawal.", body = WithdrawalResponse),
        (status = 202, description = "It waits for a second operator.", body = ProposalResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Fault))]
pub(super) async fn paid(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ActAnswer<WithdrawalResponse>> {
    finish(&network, &call, WithdrawalEnding::Paid).await
}

/// Cancel a withdrawal
///
/// The money goes back to the account. Repeating it changes nothing.
#[utoipa::path(post, path = "/withdrawals/{withdrawalId}/cancelled", tag = "Operator", operation_id = "operatorWithdrawalCancelled",
    params(("withdrawalId" = uuid::Uuid, Path, description = "Which withdrawal.")),
    responses((status = 200, description = "The withdrawal.", body = WithdrawalResponse),
        (status = 202, description = "It waits for a second operator.", body = ProposalResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Fault))]
pub(super) async fn cancelled(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ActAnswer<WithdrawalResponse>> {
    finish(&network, &call, WithdrawalEnding::Cancelled).await
}

async fn finish(
    network: &Network,
    call: &OperatorCall,
    ending: WithdrawalEnding,
) -> Answered<ActAnswer<WithdrawalResponse>> {
    let id = input::from_path(&call.path, "withdrawalId")?;
    let operator = network.operator(call.user_id);
    let undertaken = operator.finish_withdrawal(id, ending).await?;
    answered(network, undertaken, WithdrawalResponse::new)
}
