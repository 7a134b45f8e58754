//! Settlements in the hands of operators: what waits for one, and giving up one that failed.

use axum::extract::State;
use network::Network;
use rules::record;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use wire::{
    api::{
        DateTime,
        settlements::{Settlement, TransferStatus},
    },
    body::{Fault, Reader},
    filters::Page,
    json::Json,
};

use super::{
    input, page_of,
    proposals::{ActAnswer, ProposalResponse, answered},
    stored,
};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::{self, time},
};

/// What a closed dispute has ended in and no settlement has taken along yet.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WaitingTransfer {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: String,
    /// On whose next settlement it rides.
    #[schema(value_type = Uuid)]
    partner_id: String,
    /// The closure that has made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    dispute_closure_id: Option<String>,
    /// The network's ticker.
    currency: String,
    /// Base units: positive from source to destination, negative the other way.
    quantity: String,
    /// Always `pending_settlement_assignment`.
    status: TransferStatus,
    /// The connection that it moves money from; absent: the partner itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    losing_connection_id: Option<String>,
    /// The connection that it moves money to; absent: the partner itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    gaining_connection_id: Option<String>,
    /// When it was made.
    created_at: DateTime,
}

impl WaitingTransfer {
    fn new(transfer: &record::Transfer) -> Self {
        let connection =
            |party: &record::TransferParty| party.connection.map(|(id, _)| id.to_string());
        WaitingTransfer {
            id: transfer.id.to_string(),
            partner_id: transfer.partner_id.to_string(),
            dispute_closure_id: transfer.dispute_closure_id.map(|id| id.to_string()),
            currency: transfer.currency.to_string(),
            quantity: transfer.amount.to_string(),
            status: TransferStatus::PendingSettlementAssignment,
            losing_connection_id: connection(transfer.loser()),
            gaining_connection_id: connection(transfer.gainer()),
            created_at: time(transfer.created_at),
        }
    }
}

/// One page of what waits.
#[derive(Serialize, ToSchema)]
pub(super) struct WaitingTransfersResponse {
    transfers: Vec<WaitingTransfer>,
}

/// One settlement that an operator has rejected.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OperatorSettlementResponse)]
pub(super) struct SettlementResponse {
    settlement: Settlement,
    /// Whether acts on money need a second operator here; if not, this operator alone was enough.
    second_operator_required: bool,
}

/// Why a settlement is given up.
#[derive(ToSchema)]
pub(super) struct SettlementRejection {
    /// A sentence that the partner sees, at most 10 000 bytes.
    #[schema(min_length = 1)]
    reason: String,
}

impl SettlementRejection {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let reason = input::long_text(&body, "reason");
        body.finish(|| Some(SettlementRejection { reason: reason? }))
    }
}

/// List what waits for a settlement
///
/// What closed disputes have ended in and no settlement has taken along yet, the oldest first: the
/// partner has not settled since, or it is not covered.
#[utoipa::path(get, path = "/waiting-transfers", tag = "Operator", operation_id = "operatorListWaitingTransfers",
    params(Page),
    responses((status = 200, description = "The transfers.", body = WaitingTransfersResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn waiting_transfers(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<WaitingTransfersResponse> {
    let page = stored(page_of(&call)?);
    let operator = network.operator(call.user_id);
    let found = super::read(operator.records().all_waiting_transfers(page).await)?;
    ok(WaitingTransfersResponse {
        transfers: found.iter().map(WaitingTransfer::new).collect(),
    })
}

/// Reject a settlement
///
/// Only a staged one that has failed (409 otherwise). What is held for it returns, what rode on it
/// waits for another settlement, and it is not tried again. What is disputed in it waits for the end
/// of its disputes. Where a second operator is required, the answer is 202 with the proposal.
#[utoipa::path(post, path = "/settlements/{settlementId}/reject", tag = "Operator", operation_id = "operatorRejectSettlement",
    params(("settlementId" = uuid::Uuid, Path, description = "Which settlement.")),
    request_body = SettlementRejection,
    responses((status = 200, description = "The settlement, rejected.", body = SettlementResponse),
        (status = 202, description = "It waits for a second operator.", body = ProposalResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Fault))]
pub(super) async fn reject(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ActAnswer<SettlementResponse>> {
    let id: Uuid = input::from_path(&call.path, "settlementId")?;
    let rejection = SettlementRejection::read(&call.json()?).map_err(ApiError::invalid)?;
    let operator = network.operator(call.user_id);
    let undertaken = operator.reject_settlement(id, rejection.reason).await?;
    answered(
        &network,
        undertaken,
        |settlement, second_operator_required| SettlementResponse {
            settlement: projection::settlement(&settlement),
            second_operator_required,
        },
    )
}
