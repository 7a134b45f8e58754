//! Disputes in the hands of operators: one proposes how a dispute ends, and it is approved or rejected
//! in a review, by another one where a second operator is required.

use axum::extract::State;
use ledger::{Currency, SignedAmount};
use network::{AdjustmentRequest, DisputeView, Network};
use rules::record;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use wire::{
    api::settlements,
    body::{Fault, Reader},
    filters::Page,
    json::Json,
};

use super::{input, page_of, stored};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::{self, DisputeEyes},
};

/// A dispute as operators see it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OperatorDispute)]
pub(super) struct Dispute {
    /// The dispute.
    #[serde(flatten)]
    dispute: settlements::Dispute,
    /// Whose it is.
    client_enterprise_id: String,
    /// Against whom.
    #[schema(value_type = Uuid)]
    partner_id: String,
    /// The partner's enterprise.
    partner_enterprise_id: String,
}

impl Dispute {
    fn new(view: &DisputeView) -> Self {
        Dispute {
            client_enterprise_id: view.dispute.client_enterprise_id.to_string(),
            partner_id: view.dispute.partner_id.to_string(),
            partner_enterprise_id: view.dispute.partner_enterprise_id.to_string(),
            dispute: projection::dispute(view, DisputeEyes::Operator),
        }
    }
}

/// One dispute.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = OperatorDisputeResponse)]
pub(super) struct DisputeResponse {
    dispute: Dispute,
    /// Whether acts on money need a second operator here; if not, this operator alone was enough.
    second_operator_required: bool,
}

/// One page of disputes.
#[derive(Serialize, ToSchema)]
#[schema(as = OperatorDisputesResponse)]
pub(super) struct DisputesResponse {
    disputes: Vec<Dispute>,
}

/// How a dispute shall end.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct ClosureProposal {
    /// Why, for client and partner to see, at most 10 000 bytes.
    #[schema(min_length = 1)]
    notes: String,
    /// What moves instead of what is disputed; nothing: none of it ever moves.
    adjustments: Vec<AdjustmentContent>,
}

/// An amount that moves instead of what is disputed.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
struct AdjustmentContent {
    /// The network's ticker.
    #[schema(value_type = String, min_length = 1)]
    currency: Currency,
    /// Base units: positive to the disputing connection, negative away from it, never zero.
    #[schema(value_type = String)]
    quantity: SignedAmount,
    /// The connection on the other side, for settlements between connections; may be left out where
    /// there is only one.
    counterparty_connection_id: Option<Uuid>,
}

impl ClosureProposal {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let notes = input::long_text(&body, "notes");
        let adjustments = body.objects("adjustments").map(|sent| {
            let read = sent.iter().map(|adjustment| {
                let currency = input::member(adjustment, "currency");
                let quantity = input::member(adjustment, "quantity");
                let counterparty = adjustment.optional_uuid("counterpartyConnectionId");
                Some(AdjustmentContent {
                    currency: currency?,
                    quantity: quantity?,
                    counterparty_connection_id: counterparty,
                })
            });
            // Every fault is noted, whatever comes first.
            read.collect::<Vec<Option<AdjustmentContent>>>()
        });
        body.finish(|| {
            Some(ClosureProposal {
                notes: notes?,
                adjustments: adjustments?.into_iter().collect::<Option<_>>()?,
            })
        })
    }

    fn requests(self) -> Vec<AdjustmentRequest> {
        let requests = self.adjustments.into_iter();
        let requests = requests.map(|adjustment| AdjustmentRequest {
            counterparty_connection_id: adjustment.counterparty_connection_id,
            currency: adjustment.currency,
            quantity: adjustment.quantity,
        });
        requests.collect()
    }
}

/// What the reviewer says.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct ClosureReview {
    /// Why, for client and partner to see, at most 10 000 bytes.
    #[schema(min_length = 1)]
    notes: Option<String>,
}

impl ClosureReview {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let notes = input::optional_long_text(&body, "notes");
        body.finish(|| Some(ClosureReview { notes }))
    }
}

/// List disputes
///
/// Every dispute that no closure counts for yet, the oldest first, those that were retracted among
/// them.
#[utoipa::path(get, path = "/disputes", tag = "Operator", operation_id = "operatorListDisputes",
    params(Page),
    responses((status = 200, description = "The disputes.", body = DisputesResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<DisputesResponse> {
    let page = stored(page_of(&call)?);
    let operator = network.operator(call.user_id);
    let found = super::read(operator.records().open_disputes(page).await)?;
    let views = operator.dispute_views(found).await?;
    ok(DisputesResponse {
        disputes: views.iter().map(Dispute::new).collect(),
    })
}

/// List proposed closures
///
/// The disputes for which an operator has proposed an end that has yet to be reviewed, the oldest
/// proposal first.
#[utoipa::path(get, path = "/dispute-closures", tag = "Operator", operation_id = "operatorListDisputeClosures",
    params(Page),
    responses((status = 200, description = "The disputes.", body = DisputesResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn closures(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<DisputesResponse> {
    let page = stored(page_of(&call)?);
    let operator = network.operator(call.user_id);
    let waiting = super::read(operator.records().waiting_closures(page).await)?;
    let mut disputes = Vec::new();
    for closure in waiting {
        disputes.extend(super::read(
            operator.records().dispute(closure.dispute_id).await,
        )?);
    }
    let views = operator.dispute_views(disputes).await?;
    ok(DisputesResponse {
        disputes: views.iter().map(Dispute::new).collect(),
    })
}

/// Propose how a dispute ends
///
/// Once the dispute window of the settlement has ended. It counts when it was approved, by another
/// operator where a second one is required: what is held for the disputed transfers then returns, and what moves instead is held anew and
/// rides on the partner's next settlement.
#[utoipa::path(post, path = "/disputes/{disputeId}/closures", tag = "Operator", operation_id = "operatorProposeDisputeClosure",
    params(("disputeId" = uuid::Uuid, Path, description = "Which dispute.")),
    request_body = ClosureProposal,
    responses((status = 200, description = "The dispute with its closure.", body = DisputeResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Unprocessable, openapi::Fault))]
pub(super) async fn propose(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<DisputeResponse> {
    let id: Uuid = input::from_path(&call.path, "disputeId")?;
    let proposal = ClosureProposal::read(&call.json()?).map_err(ApiError::invalid)?;
    let notes = proposal.notes.clone();
    let operator = network.operator(call.user_id);
    let closure = operator.propose_closure(id, proposal.requests(), notes);
    let closure = closure.await?;
    answer(&network, &call, &closure).await
}

/// Approve a closure
///
/// Where a second operator is required, by another one than the one who proposed it.
#[utoipa::path(post, path = "/dispute-closures/{closureId}/approve", tag = "Operator", operation_id = "operatorApproveDisputeClosure",
    params(("closureId" = uuid::Uuid, Path, description = "Which closure.")),
    request_body = ClosureReview,
    responses((status = 200, description = "The dispute, closed.", body = DisputeResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Unprocessable, openapi::Fault))]
pub(super) async fn approve(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<DisputeResponse> {
    review(&network, &call, true).await
}

/// Reject a closure
///
/// Where a second operator is required, by another one than the one who proposed it. The dispute is open
/// as before.
#[utoipa::path(post, path = "/dispute-closures/{closureId}/reject", tag = "Operator", operation_id = "operatorRejectDisputeClosure",
    params(("closureId" = uuid::Uuid, Path, description = "Which closure.")),
    request_body = ClosureReview,
    responses((status = 200, description = "The dispute, open.", body = DisputeResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Unprocessable, openapi::Fault))]
pub(super) async fn reject(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<DisputeResponse> {
    review(&network, &call, false).await
}

async fn review(
    network: &Network,
    call: &OperatorCall,
    approve: bool,
) -> Answered<DisputeResponse> {
    let id: Uuid = input::from_path(&call.path, "closureId")?;
    let review = ClosureReview::read(&call.json()?).map_err(ApiError::invalid)?;
    let operator = network.operator(call.user_id);
    let closure = operator.review_closure(id, approve, review.notes).await?;
    answer(network, call, &closure).await
}

async fn answer(
    network: &Network,
    call: &OperatorCall,
    closure: &record::DisputeClosure,
) -> Answered<DisputeResponse> {
    let operator = network.operator(call.user_id);
    let dispute = super::read(operator.records().dispute(closure.dispute_id).await)?;
    let views = operator
        .dispute_views(dispute.into_iter().collect())
        .await?;
    let view = views.first().ok_or_else(|| super::not_found("dispute"))?;
    let policy = network.approval_policy().await?;
    ok(DisputeResponse {
        dispute: Dispute::new(view),
        second_operator_required: policy.second_operator_required,
    })
}
