//! Acts on money that one operator has proposed and another approves or rejects. Where a second
//! operator is required, the acts themselves answer 202 with a proposal ([`answered`]).

use axum::extract::State;
use http::StatusCode;
use ledger::Timestamp;
use network::Network;
use rules::{
    SettlementId,
    approve::Undertaken,
    fund::WithdrawalEnding,
    onchain::Withdrawn,
    record::{self, ProposalState, ProposedMovement},
};
use serde::Serialize;
use store::ProposalFilter;
use utoipa::ToSchema;
use uuid::Uuid;
use wire::{
    api::DateTime,
    body::{Fault, Reader},
    filters::Page,
    json::Json,
};

use super::{input, not_found, read, spellings, stored};
use crate::{
    answer::{Answer, Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::time,
};

/// What is proposed. Which members it has depends on the act.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProposedAct {
    /// Which act, by the name under which it is recorded once it is done, such as `book_deposit`.
    kind: &'static str,
    /// To or from which account.
    #[serde(skip_serializing_if = "Option::is_none")]
    go_account_id: Option<String>,
    /// In what.
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    /// How much, in base units.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<String>,
    /// Where custody receives or pays it.
    #[serde(skip_serializing_if = "Option::is_none")]
    custody_source: Option<String>,
    /// The name under which it is known there.
    #[serde(skip_serializing_if = "Option::is_none")]
    external_reference: Option<String>,
    /// Which withdrawal is paid or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    withdrawal_id: Option<String>,
    /// Which allocation or deallocation is released.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    allocation_id: Option<String>,
    /// Which announced deposit was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    deposit_id: Option<String>,
    /// Custody's name for that deposit.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_id: Option<String>,
    /// Which settlement is moved over the chain, or given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    settlement_id: Option<String>,
    /// The transaction on its chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_chain_tx_id: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Whether acts on money are to need a second operator.
    #[serde(skip_serializing_if = "Option::is_none")]
    second_operator_required: Option<bool>,
    /// How long a proposal is to be open, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    proposals_expire_after_seconds: Option<i64>,
}

impl From<record::ProposedAct> for ProposedAct {
    fn from(act: record::ProposedAct) -> Self {
        let of_movement = |kind, movement: ProposedMovement| ProposedAct {
            kind,
            go_account_id: Some(movement.go_account_id.to_string()),
            currency: Some(movement.currency.to_string()),
            amount: Some(movement.amount.to_string()),
            custody_source: Some(movement.custody_source),
            external_reference: Some(movement.external_reference),
            ..ProposedAct::default()
        };
        let of_settlement = |kind, id: SettlementId| ProposedAct {
            kind,
            settlement_id: Some(id.to_string()),
            ..ProposedAct::default()
        };
        match act {
            record::ProposedAct::BookDeposit(movement) => of_movement("book_deposit", movement),
            record::ProposedAct::RequestWithdrawal(movement) => {
                of_movement("request_withdrawal", movement)
            }
            record::ProposedAct::FinishWithdrawal { id, ending } => ProposedAct {
                kind: match ending {
                    WithdrawalEnding::Paid => "withdrawal_paid",
                    WithdrawalEnding::Cancelled => "withdrawal_cancelled",
                },
                withdrawal_id: Some(id.to_string()),
                ..ProposedAct::default()
            },
            record::ProposedAct::ReleaseHold { id, reason } => ProposedAct {
                kind: "release_hold",
                allocation_id: Some(id.to_string()),
                reason: Some(reason),
                ..ProposedAct::default()
            },
            record::ProposedAct::SeeDeposit {
                id,
                amount,
                transfer_id,
            } => ProposedAct {
                kind: "on_chain_deposit_seen",
                deposit_id: Some(id.to_string()),
                amount: Some(amount.to_string()),
                transfer_id: Some(transfer_id),
                ..ProposedAct::default()
            },
            record::ProposedAct::MoveLosses {
                settlement_id,
                currency,
                withdrawn,
            } => {
                let kind = withdrawn.act();
                let (on_chain_tx_id, reason) = match withdrawn {
                    Withdrawn::Started { tx_id } => (tx_id, None),
                    Withdrawn::Seen { tx_id } => (Some(tx_id), None),
                    Withdrawn::Failed { reason } => (None, Some(reason)),
                };
                ProposedAct {
                    currency: Some(currency.to_string()),
                    on_chain_tx_id,
                    reason,
                    ..of_settlement(kind, settlement_id)
                }
            }
            record::ProposedAct::FailGains {
                settlement_id,
                currency,
                reason,
            } => ProposedAct {
                currency: Some(currency.to_string()),
                reason: Some(reason),
                ..of_settlement("on_chain_gains_failed", settlement_id)
            },
            record::ProposedAct::ReturnReceived {
                settlement_id,
                currency,
            } => ProposedAct {
                currency: Some(currency.to_string()),
                ..of_settlement("return_received", settlement_id)
            },
            record::ProposedAct::RejectOnChain {
                settlement_id,
                reason,
            } => ProposedAct {
                reason: Some(reason),
                ..of_settlement("reject_on_chain", settlement_id)
            },
            record::ProposedAct::RejectSettlement {
                settlement_id,
                reason,
            } => ProposedAct {
                reason: Some(reason),
                ..of_settlement("reject_settlement", settlement_id)
            },
            record::ProposedAct::SetApprovalPolicy {
                second_operator_required,
                proposals_expire_after_s,
            } => ProposedAct {
                kind: "set_approval_policy",
                second_operator_required: Some(second_operator_required),
                proposals_expire_after_seconds: Some(proposals_expire_after_s),
                ..ProposedAct::default()
            },
        }
    }
}

/// An act that an operator has proposed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Proposal {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: String,
    /// What is proposed.
    act: ProposedAct,
    /// What has become of it.
    #[schema(value_type = spellings::ProposalStatus)]
    status: &'static str,
    /// Who has proposed it: 32 hexadecimal digits.
    proposed_by: String,
    /// Who has approved or rejected it.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<String>,
    /// What they had to say about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<String>,
    /// When they did.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_at: Option<DateTime>,
    /// When it was proposed.
    created_at: DateTime,
    /// From when on it can no longer be approved.
    expires_at: DateTime,
}

impl Proposal {
    fn new(proposal: record::Proposal, now: Timestamp) -> Self {
        let status = match proposal.state {
            ProposalState::Pending if proposal.is_expired(now) => "expired",
            ProposalState::Pending => "open",
            ProposalState::Approved => "approved",
            ProposalState::Rejected => "rejected",
        };
        Proposal {
            id: proposal.id.to_string(),
            act: proposal.act.into(),
            status,
            proposed_by: proposal.proposed_by.to_string(),
            decided_by: proposal.decided_by.map(|id| id.to_string()),
            notes: proposal.notes,
            decided_at: proposal.decided_at.map(time),
            created_at: time(proposal.created_at),
            expires_at: time(proposal.expires_at),
        }
    }
}

/// One proposal.
#[derive(Serialize, ToSchema)]
pub(super) struct ProposalResponse {
    proposal: Proposal,
}

/// One page of proposals.
#[derive(Serialize, ToSchema)]
pub(super) struct ProposalsResponse {
    proposals: Vec<Proposal>,
}

/// What an act on money is answered with: what came of it, or the proposal that it became.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ActAnswer<T> {
    Done(T),
    Proposed(Box<ProposalResponse>),
}

/// The answer to an act on money: 200 with what `shown` makes of what came of it and of whether such
/// acts need a second operator here; 202 with the proposal.
pub(super) fn answered<T, R>(
    network: &Network,
    undertaken: Undertaken<T>,
    shown: impl FnOnce(T, bool) -> R,
) -> Answered<ActAnswer<R>> {
    match undertaken {
        Undertaken::Done {
            outcome,
            second_operator_required,
        } => ok(ActAnswer::Done(shown(outcome, second_operator_required))),
        Undertaken::Proposed(proposal) => {
            let proposal = Proposal::new(*proposal, network.installation().records().now());
            let response = ActAnswer::Proposed(Box::new(ProposalResponse { proposal }));
            Ok(Answer(StatusCode::ACCEPTED, response))
        }
    }
}

/// What a second operator has to say.
#[derive(ToSchema)]
pub(super) struct Approval {
    /// Why, for the record; at most 10 000 bytes.
    notes: Option<String>,
}

impl Approval {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let notes = input::optional_long_text(&body, "notes");
        body.finish(|| Some(Approval { notes }))
    }
}

/// Why a proposal is rejected.
#[derive(ToSchema)]
pub(super) struct Rejection {
    /// Why, for the record; at most 10 000 bytes.
    #[schema(min_length = 1)]
    notes: String,
}

impl Rejection {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let notes = input::long_text(&body, "notes");
        body.finish(|| Some(Rejection { notes: notes? }))
    }
}

/// List proposals
///
/// The newest first.
#[utoipa::path(get, path = "/proposals", tag = "Operator", operation_id = "operatorListProposals",
    params(
        ("status" = Option<spellings::ProposalStatus>, Query, description = "Only those of which this has become."),
        Page),
    responses((status = 200, description = "The proposals.", body = ProposalsResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<ProposalsResponse> {
    let filters = call.filters()?;
    let status = filters.sort_field("status", spellings::PROPOSAL_STATUSES);
    let page = stored(filters.page());
    let (status, page) = filters.finish((status, page)).map_err(ApiError::invalid)?;
    let operator = network.operator(call.user_id);
    let now = operator.records().now();
    let status = status.unwrap_or(ProposalFilter::All);
    let found = read(operator.records().proposals(status, now, page).await)?;
    let shown = found.into_iter().map(|found| Proposal::new(found, now));
    ok(ProposalsResponse {
        proposals: shown.collect(),
    })
}

/// Show a proposal
#[utoipa::path(get, path = "/proposals/{proposalId}", tag = "Operator", operation_id = "operatorGetProposal",
    params(("proposalId" = Uuid, Path, description = "Which proposal.")),
    responses((status = 200, description = "The proposal.", body = ProposalResponse),
        openapi::Gate, openapi::NotFound, openapi::Fault))]
pub(super) async fn show(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<ProposalResponse> {
    let id: Uuid = input::from_path(&call.path, "proposalId")?;
    let operator = network.operator(call.user_id);
    let found = read(operator.records().proposal(rules::ProposalId(id)).await)?;
    let found = found.ok_or_else(|| not_found("proposal"))?;
    shown(&network, found)
}

/// Approve a proposal
///
/// What is proposed is done, in the same commit. Whoever has proposed it cannot approve it (403); nor
/// can anybody once it has expired (422) or was decided on (409). An act that is refused, because the
/// money is not there any more for instance, leaves the proposal open. Repeating an approval changes
/// nothing.
#[utoipa::path(post, path = "/proposals/{proposalId}/approve", tag = "Operator", operation_id = "operatorApproveProposal",
    params(("proposalId" = Uuid, Path, description = "Which proposal.")),
    request_body = Approval,
    responses((status = 200, description = "The proposal, approved.", body = ProposalResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Unprocessable, openapi::Fault))]
pub(super) async fn approve(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ProposalResponse> {
    let id = input::from_path(&call.path, "proposalId")?;
    let wanted = Approval::read(&call.json()?).map_err(ApiError::invalid)?;
    let operator = network.operator(call.user_id);
    let proposal = operator.approve(id, wanted.notes).await?;
    shown(&network, proposal)
}

/// Reject a proposal
///
/// Nothing is done. Whoever has proposed it takes it back so. Repeating a rejection changes nothing.
#[utoipa::path(post, path = "/proposals/{proposalId}/reject", tag = "Operator", operation_id = "operatorRejectProposal",
    params(("proposalId" = Uuid, Path, description = "Which proposal.")),
    request_body = Rejection,
    responses((status = 200, description = "The proposal, rejected.", body = ProposalResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Fault))]
pub(super) async fn reject(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ProposalResponse> {
    let id = input::from_path(&call.path, "proposalId")?;
    let wanted = Rejection::read(&call.json()?).map_err(ApiError::invalid)?;
    let operator = network.operator(call.user_id);
    let proposal = operator.reject(id, wanted.notes).await?;
    shown(&network, proposal)
}

fn shown(network: &Network, proposal: record::Proposal) -> Answered<ProposalResponse> {
    let now = network.installation().records().now();
    ok(ProposalResponse {
        proposal: Proposal::new(proposal, now),
    })
}
