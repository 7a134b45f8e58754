//! Stuck holds: allocations and deallocations that wait for a partner, and what an operator can do
//! about one (decisions Q18).

use axum::extract::State;
use network::{Network, StuckHold};
use rules::record::{self, AllocationKind, AllocationState, MessageCall};
use serde::Serialize;
use utoipa::ToSchema;
use wire::{
    api::{
        DateTime,
        allocations::{AllocationStatus, AllocationType},
    },
    body::{Fault, Reader},
    filters::Page,
    json::Json,
};

use super::{
    input, page_of,
    proposals::{ActAnswer, ProposalResponse, answered},
    spellings, stored,
};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::time,
};

/// An allocation or deallocation that waits, or has waited, for its partner.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Hold {
    /// The id of the record and of the hold.
    #[schema(value_type = uuid::Uuid)]
    id: String,
    /// Which way it moves money.
    #[schema(value_type = AllocationType)]
    kind: AllocationKind,
    /// How far it has come; in the list always `reserved`.
    status: AllocationStatus,
    /// What is being waited for, what went wrong, or why it was released.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<HoldReason>,
    /// Over which connection.
    #[schema(value_type = uuid::Uuid)]
    connection_id: String,
    /// Whose.
    #[schema(value_type = uuid::Uuid)]
    client_id: String,
    /// The client's enterprise.
    client_enterprise_id: String,
    /// Who has the word.
    #[schema(value_type = uuid::Uuid)]
    partner_id: String,
    /// The partner's enterprise.
    partner_enterprise_id: String,
    /// The client's Go Account.
    go_account_id: String,
    /// In what.
    currency: String,
    /// How much, in base units.
    amount: String,
    /// The client's own name for it.
    client_external_id: String,
    /// The partner's name for it, once told.
    #[serde(skip_serializing_if = "Option::is_none")]
    partner_external_id: Option<String>,
    /// What the partner is asked or told next; absent once everything is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<HoldMessage>,
    /// When it was made.
    created_at: DateTime,
    /// When it last changed.
    updated_at: DateTime,
}

/// Why a hold is as it is.
#[derive(Serialize, ToSchema)]
pub(super) struct HoldReason {
    /// A stable code for programs.
    name: String,
    /// A sentence for a person.
    message: String,
}

/// What a partner is asked or told.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct HoldMessage {
    /// What.
    #[schema(value_type = spellings::MessageCall)]
    call: MessageCall,
    /// How often it was tried.
    attempts: i64,
    /// When it is due.
    due_at: DateTime,
    /// What went wrong last.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
}

impl Hold {
    fn new(record: record::Allocation, message: Option<record::Message>) -> Self {
        let (status, reason) = match record.state {
            AllocationState::Reserved { reason, .. } => (AllocationStatus::Reserved, Some(reason)),
            AllocationState::Cleared => (AllocationStatus::Cleared, None),
            AllocationState::Released { reason } => (AllocationStatus::Released, Some(reason)),
        };
        let message = message.and_then(|message| {
            Some(HoldMessage {
                call: message.call?,
                attempts: message.attempts,
                due_at: time(message.due_at),
                last_error: message.last_error,
            })
        });
        Hold {
            id: record.id.to_string(),
            kind: record.kind,
            status,
            reason: reason.map(|reason| HoldReason {
                name: reason.name,
                message: reason.message,
            }),
            connection_id: record.connection_id.to_string(),
            client_id: record.client_id.to_string(),
            client_enterprise_id: record.client_enterprise_id.to_string(),
            partner_id: record.partner_id.to_string(),
            partner_enterprise_id: record.partner_enterprise_id.to_string(),
            go_account_id: record.go_account_id.to_string(),
            currency: record.currency.to_string(),
            amount: record.amount.to_string(),
            client_external_id: record.client_external_id,
            partner_external_id: record.partner_external_id,
            message,
            created_at: time(record.created_at),
            updated_at: time(record.updated_at),
        }
    }
}

/// One hold.
#[derive(Serialize, ToSchema)]
pub(super) struct HoldResponse {
    hold: Hold,
}

/// One hold that an operator has released.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReleasedHoldResponse {
    hold: Hold,
    /// Whether acts on money need a second operator here; if not, this operator alone was enough.
    second_operator_required: bool,
}

/// One page of stuck holds.
#[derive(Serialize, ToSchema)]
pub(super) struct HoldsResponse {
    holds: Vec<Hold>,
}

/// Why a hold is released.
#[derive(ToSchema)]
pub(super) struct HoldRelease {
    /// A sentence that client and partner see, at most 10 000 bytes.
    #[schema(min_length = 1)]
    reason: String,
}

impl HoldRelease {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let reason = input::long_text(&body, "reason");
        body.finish(|| Some(HoldRelease { reason: reason? }))
    }
}

/// List stuck holds
///
/// Every allocation and deallocation that waits for its partner, the oldest first.
#[utoipa::path(get, path = "/holds", tag = "Operator", operation_id = "operatorListHolds",
    params(Page),
    responses((status = 200, description = "The holds.", body = HoldsResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<HoldsResponse> {
    let page = stored(page_of(&call)?);
    let found = network.operator(call.user_id).stuck_holds(page).await?;
    let holds = found.into_iter().map(
        |StuckHold {
             allocation,
             message,
         }| Hold::new(allocation, message),
    );
    ok(HoldsResponse {
        holds: holds.collect(),
    })
}

/// Ask the partner again, now
///
/// The answer does not wait for the partner's.
#[utoipa::path(post, path = "/holds/{allocationId}/ask", tag = "Operator", operation_id = "operatorAskAgain",
    params(("allocationId" = uuid::Uuid, Path, description = "Which allocation or deallocation.")),
    responses((status = 200, description = "The hold.", body = HoldResponse),
        openapi::Gate, openapi::NotFound, openapi::Unprocessable, openapi::Fault))]
pub(super) async fn ask(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<HoldResponse> {
    let id = input::from_path(&call.path, "allocationId")?;
    let operator = network.operator(call.user_id);
    let record = operator.ask_again(id).await?;
    let message = super::read(operator.records().message(id).await)?;
    ok(HoldResponse {
        hold: Hold::new(record, message),
    })
}

/// Release a hold
///
/// The money goes back to where it was, and the partner is told until it acknowledges. A record
/// that has ended already stays as it is (409). Where a second operator is required, the answer is
/// 202 with the proposal.
#[utoipa::path(post, path = "/holds/{allocationId}/release", tag = "Operator", operation_id = "operatorReleaseHold",
    params(("allocationId" = uuid::Uuid, Path, description = "Which allocation or deallocation.")),
    request_body = HoldRelease,
    responses((status = 200, description = "The hold, released.", body = ReleasedHoldResponse),
        (status = 202, description = "It waits for a second operator.", body = ProposalResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Fault))]
pub(super) async fn release(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ActAnswer<ReleasedHoldResponse>> {
    let id = input::from_path(&call.path, "allocationId")?;
    let wanted = HoldRelease::read(&call.json()?).map_err(ApiError::invalid)?;
    let operator = network.operator(call.user_id);
    let undertaken = operator.release(id, &wanted.reason).await?;
    let message = super::read(operator.records().message(id).await)?;
    answered(&network, undertaken, |record, second_operator_required| {
        ReleasedHoldResponse {
            hold: Hold::new(record, message),
            second_operator_required,
        }
    })
}
