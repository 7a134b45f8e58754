//! Settlement over the chain in the hands of operators: what was seen of deposits and withdrawals,
//! and giving up what will not come.

use axum::extract::State;
use ledger::{Amount, Currency};
use network::{ChainObserver, Network, OnChainView};
use rules::{
    SettlementId,
    approve::Undertaken,
    onchain::Withdrawn,
    record::{self, LegState},
};
use serde::Serialize;
use store::OnChainDepositFilter;
use utoipa::ToSchema;
use uuid::Uuid;
use wire::{
    api::{
        DateTime,
        settlements::{SettlementStatus, TransferStatus},
    },
    body::{Fault, Reader},
    filters::Page,
    json::Json,
};

use super::{
    input, page_of,
    proposals::{ActAnswer, ProposalResponse, answered},
    read, stored,
};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi, projection,
    projection::time,
};

/// All transfers of a settlement in one direction and one currency.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OnChainLeg {
    /// `gains` or `losses`, as clients see it.
    direction: &'static str,
    /// The network's ticker.
    currency: String,
    /// How far its transfers have come.
    status: TransferStatus,
    /// How much they move together, in base units.
    total: String,
    /// How much custody has received for them that is in no account yet, in base units.
    received: String,
    /// How many transfers it has; 0 where only deposits are known.
    transfer_count: i64,
    /// How many deposits were announced for it.
    announced_deposits: i64,
    /// The transactions that were seen.
    on_chain_tx_ids: Vec<String>,
    /// Why the chain did not take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// When it last changed.
    updated_at: DateTime,
}

impl From<record::OnChainLeg> for OnChainLeg {
    fn from(leg: record::OnChainLeg) -> Self {
        OnChainLeg {
            direction: leg.key.direction.as_str(),
            currency: leg.key.currency.to_string(),
            status: projection::transfer_status(leg.state.transfer_status()),
            total: leg.total_units.to_string(),
            received: leg.received_units.to_string(),
            transfer_count: leg.transfer_count,
            announced_deposits: leg.announced,
            on_chain_tx_ids: leg.tx_ids,
            reason: match leg.state {
                LegState::Failed { reason } => Some(reason.message),
                _ => None,
            },
            updated_at: time(leg.updated_at),
        }
    }
}

/// A settlement over the chain.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OnChainSettlement {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: String,
    /// Whose.
    #[schema(value_type = Uuid)]
    partner_id: String,
    /// The partner's own name for it.
    external_id: String,
    /// How far it has come.
    status: SettlementStatus,
    /// Whether it was begun: what clients lose was there, and is held until it has left.
    started: bool,
    /// Whether losses were found to be late.
    #[serde(rename = "lossSLAAlertSent")]
    loss_sla_alert_sent: bool,
    /// Whether gains were found to be late.
    #[serde(rename = "gainSLAAlertSent")]
    gain_sla_alert_sent: bool,
    /// Its legs.
    legs: Vec<OnChainLeg>,
    /// When it was made.
    created_at: DateTime,
    /// When it last changed.
    updated_at: DateTime,
}

impl From<OnChainView> for OnChainSettlement {
    fn from(view: OnChainView) -> Self {
        let settlement = view.settlement;
        OnChainSettlement {
            id: settlement.id.to_string(),
            partner_id: settlement.partner_id.to_string(),
            external_id: settlement.external_id,
            status: projection::settlement_status(&settlement.state),
            started: view.on_chain.started,
            loss_sla_alert_sent: view.on_chain.losses.alerted,
            gain_sla_alert_sent: view.on_chain.gains.alerted,
            legs: view.legs.into_iter().map(OnChainLeg::from).collect(),
            created_at: time(settlement.created_at),
            updated_at: time(settlement.updated_at),
        }
    }
}

/// One settlement over the chain.
#[derive(Serialize, ToSchema)]
pub(super) struct OperatedOnChainResponse {
    settlement: OnChainSettlement,
}

/// One settlement over the chain, as an operator has moved it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MovedOnChainResponse {
    settlement: OnChainSettlement,
    /// Whether acts on money need a second operator here; if not, this operator alone was enough.
    second_operator_required: bool,
}

/// One page of settlements over the chain.
#[derive(Serialize, ToSchema)]
pub(super) struct OperatedOnChainsResponse {
    settlements: Vec<OnChainSettlement>,
}

/// A deposit that a partner has announced.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnnouncedDeposit {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: String,
    /// The settlement that it is for, or that it will be for once it is posted.
    #[schema(value_type = Uuid)]
    settlement_id: String,
    /// The partner's own name for the settlement.
    external_settlement_id: String,
    /// Who announced it.
    #[schema(value_type = Uuid)]
    partner_id: String,
    /// The partner's Go Account: what is not needed for gains goes there.
    go_account_id: String,
    /// The network's ticker.
    currency: String,
    /// The transaction on its chain.
    on_chain_tx_id: String,
    /// How much custody received, in base units; absent before it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<String>,
    /// Custody's name for it; absent before it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_id: Option<String>,
    /// When it was announced.
    created_at: DateTime,
    /// When it last changed.
    updated_at: DateTime,
}

impl From<record::OnChainDeposit> for AnnouncedDeposit {
    fn from(deposit: record::OnChainDeposit) -> Self {
        let (amount, transfer_id) = deposit
            .seen
            .map(|seen| (seen.amount.to_string(), seen.transfer_id))
            .unzip();
        AnnouncedDeposit {
            id: deposit.id.to_string(),
            settlement_id: deposit.settlement_id.to_string(),
            external_settlement_id: deposit.external_settlement_id,
            partner_id: deposit.partner_id.to_string(),
            go_account_id: deposit.go_account_id.to_string(),
            currency: deposit.currency.to_string(),
            on_chain_tx_id: deposit.on_chain_tx_id,
            amount,
            transfer_id,
            created_at: time(deposit.created_at),
            updated_at: time(deposit.updated_at),
        }
    }
}

/// One announced deposit that was seen.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnnouncedDepositResponse {
    deposit: AnnouncedDeposit,
    /// Whether acts on money need a second operator here; if not, this operator alone was enough.
    second_operator_required: bool,
}

/// One page of announced deposits.
#[derive(Serialize, ToSchema)]
pub(super) struct AnnouncedDepositsResponse {
    deposits: Vec<AnnouncedDeposit>,
}

/// How much went to the partner's Go Account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReturnedResponse {
    /// In base units; 0 if nothing was there.
    amount: String,
    /// Whether acts on money need a second operator here; if not, this operator alone was enough.
    second_operator_required: bool,
}

/// What custody has received.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SeenDeposit {
    /// How much, in base units.
    #[schema(value_type = String)]
    amount: Amount,
    /// Custody's name for it, at most 512 bytes.
    #[schema(min_length = 1)]
    transfer_id: String,
}

impl SeenDeposit {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let amount = input::member(&body, "amount");
        let transfer_id = input::text(&body, "transferId");
        body.finish(|| {
            Some(SeenDeposit {
                amount: amount?,
                transfer_id: transfer_id?,
            })
        })
    }
}

/// A withdrawal that was sent.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartedWithdrawal {
    /// The transaction, if it is known already; at most 512 bytes.
    #[schema(min_length = 1)]
    on_chain_tx_id: Option<String>,
}

impl StartedWithdrawal {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let on_chain_tx_id = input::optional_text(&body, "onChainTxId");
        body.finish(|| Some(StartedWithdrawal { on_chain_tx_id }))
    }
}

/// A withdrawal that was seen on the chain.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SeenWithdrawal {
    /// The transaction, at most 512 bytes.
    #[schema(min_length = 1)]
    on_chain_tx_id: String,
}

impl SeenWithdrawal {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let on_chain_tx_id = input::text(&body, "onChainTxId");
        body.finish(|| {
            Some(SeenWithdrawal {
                on_chain_tx_id: on_chain_tx_id?,
            })
        })
    }
}

/// Why something is given up.
#[derive(ToSchema)]
pub(super) struct OnChainEnding {
    /// A sentence that the partner sees, at most 10 000 bytes.
    #[schema(min_length = 1)]
    reason: String,
}

impl OnChainEnding {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let reason = input::long_text(&body, "reason");
        body.finish(|| Some(OnChainEnding { reason: reason? }))
    }
}

/// The settlement and the currency of a leg, as the path has them.
fn leg(call: &OperatorCall) -> Result<(Uuid, Currency), ApiError> {
    let id = input::from_path(&call.path, "settlementId")?;
    let currency = input::from_path(&call.path, "currency")?;
    Ok((id, currency))
}

async fn moved(
    network: &Network,
    call: &OperatorCall,
    undertaken: Undertaken<record::Settlement>,
) -> Answered<ActAnswer<MovedOnChainResponse>> {
    let undertaken = match undertaken {
        Undertaken::Proposed(proposal) => Undertaken::Proposed(proposal),
        Undertaken::Done {
            outcome,
            second_operator_required,
        } => Undertaken::Done {
            outcome: network
                .operator(call.user_id)
                .on_chain_settlement(outcome.id.0)
                .await?,
            second_operator_required,
        },
    };
    answered(network, undertaken, |view, second_operator_required| {
        MovedOnChainResponse {
            settlement: view.into(),
            second_operator_required,
        }
    })
}

/// List settlements over the chain
///
/// Those that have begun and have not ended, the newest first, with all their legs.
#[utoipa::path(get, path = "/onChainSettlements", tag = "Operator", operation_id = "operatorListOnChainSettlements",
    params(Page),
    responses((status = 200, description = "The settlements.", body = OperatedOnChainsResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<OperatedOnChainsResponse> {
    let page = stored(page_of(&call)?);
    let found = network.operator(call.user_id).open_on_chain(page).await?;
    ok(OperatedOnChainsResponse {
        settlements: found.into_iter().map(OnChainSettlement::from).collect(),
    })
}

/// Read a settlement over the chain
///
/// In whatever state, with all its legs.
#[utoipa::path(get, path = "/onChainSettlements/{settlementId}", tag = "Operator", operation_id = "operatorReadOnChainSettlement",
    params(("settlementId" = uuid::Uuid, Path, description = "Which settlement.")),
    responses((status = 200, description = "The settlement.", body = OperatedOnChainResponse),
        openapi::Gate, openapi::NotFound, openapi::Fault))]
pub(super) async fn read_one(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<OperatedOnChainResponse> {
    let id: Uuid = input::from_path(&call.path, "settlementId")?;
    let operator = network.operator(call.user_id);
    let view = operator.on_chain_settlement(id).await?;
    ok(OperatedOnChainResponse {
        settlement: view.into(),
    })
}

/// List announced deposits
///
/// The newest first; those of one settlement, and those that were seen or were not.
#[utoipa::path(get, path = "/onChainDeposits", tag = "Operator", operation_id = "operatorListOnChainDeposits",
    params(("settlementId" = Option<uuid::Uuid>, Query, description = "Only those for this settlement."),
        ("seen" = Option<bool>, Query, description = "Only those that were seen, or were not."), Page),
    responses((status = 200, description = "The deposits.", body = AnnouncedDepositsResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn deposits(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<AnnouncedDepositsResponse> {
    let filters = call.filters()?;
    let settlement_id: Option<Uuid> = input::filter(&filters, "settlementId");
    let seen = filters.boolean("seen");
    let page = filters.page();
    let page = stored(filters.finish(page).map_err(ApiError::invalid)?);
    let filter = OnChainDepositFilter {
        settlement_id: settlement_id.map(SettlementId),
        seen,
    };
    let operator = network.operator(call.user_id);
    let found = read(operator.records().on_chain_deposits(filter, page).await)?;
    ok(AnnouncedDepositsResponse {
        deposits: found.into_iter().map(AnnouncedDeposit::from).collect(),
    })
}

/// Say that an announced deposit was seen
///
/// Custody has received it. Once all announced deposits of a currency that were seen cover the gains
/// of their settlement, these are booked and what is over goes to the partner's Go Account; what comes
/// when nothing waits for it goes there at once. Repeating it changes nothing. A transaction that was
/// booked as an ordinary deposit is refused (409). Where a second operator is required, the answer is
/// 202 with the proposal.
#[utoipa::path(post, path = "/onChainDeposits/{depositId}/seen", tag = "Operator", operation_id = "operatorOnChainDepositSeen",
    params(("depositId" = uuid::Uuid, Path, description = "Which deposit.")),
    request_body = SeenDeposit,
    responses((status = 200, description = "The deposit.", body = AnnouncedDepositResponse),
        (status = 202, description = "It waits for a second operator.", body = ProposalResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Unprocessable, openapi::Fault))]
pub(super) async fn deposit_seen(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ActAnswer<AnnouncedDepositResponse>> {
    let id: Uuid = input::from_path(&call.path, "depositId")?;
    let seen = SeenDeposit::read(&call.json()?).map_err(ApiError::invalid)?;
    let operator = network.operator(call.user_id);
    let undertaken = operator
        .deposit_seen(id, seen.amount, seen.transfer_id)
        .await?;
    answered(&network, undertaken, |deposit, second_operator_required| {
        AnnouncedDepositResponse {
            deposit: deposit.into(),
            second_operator_required,
        }
    })
}

/// Say that the losses in a currency were sent
///
/// Their withdrawal is on its way over the chain. Repeating it changes nothing. It moves no money, and
/// needs no second operator.
#[utoipa::path(post, path = "/onChainSettlements/{settlementId}/losses/{currency}/started", tag = "Operator", operation_id = "operatorOnChainLossesStarted",
    params(("settlementId" = uuid::Uuid, Path, description = "Which settlement."),
        ("currency" = String, Path, description = "In what, by the network's ticker.")),
    request_body = StartedWithdrawal,
    responses((status = 200, description = "The settlement.", body = MovedOnChainResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Fault))]
pub(super) async fn losses_started(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ActAnswer<MovedOnChainResponse>> {
    let started = StartedWithdrawal::read(&call.json()?).map_err(ApiError::invalid)?;
    let tx_id = started.on_chain_tx_id;
    withdrawal(&network, &call, Withdrawn::Started { tx_id }).await
}

/// Say that the losses in a currency have left custody
///
/// Their withdrawal was seen on the chain; they are booked. Repeating it changes nothing. Where a
/// second operator is required, the answer is 202 with the proposal.
#[utoipa::path(post, path = "/onChainSettlements/{settlementId}/losses/{currency}/seen", tag = "Operator", operation_id = "operatorOnChainLossesSeen",
    params(("settlementId" = uuid::Uuid, Path, description = "Which settlement."),
        ("currency" = String, Path, description = "In what, by the network's ticker.")),
    request_body = SeenWithdrawal,
    responses((status = 200, description = "The settlement.", body = MovedOnChainResponse),
        (status = 202, description = "It waits for a second operator.", body = ProposalResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Fault))]
pub(super) async fn losses_seen(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ActAnswer<MovedOnChainResponse>> {
    let seen = SeenWithdrawal::read(&call.json()?).map_err(ApiError::invalid)?;
    let tx_id = seen.on_chain_tx_id;
    withdrawal(&network, &call, Withdrawn::Seen { tx_id }).await
}

/// Give up the losses in a currency
///
/// Their withdrawal will not be made: what was held for it is the clients' again. Repeating it
/// changes nothing. Where a second operator is required, the answer is 202 with the proposal.
#[utoipa::path(post, path = "/onChainSettlements/{settlementId}/losses/{currency}/failed", tag = "Operator", operation_id = "operatorOnChainLossesFailed",
    params(("settlementId" = uuid::Uuid, Path, description = "Which settlement."),
        ("currency" = String, Path, description = "In what, by the network's ticker.")),
    request_body = OnChainEnding,
    responses((status = 200, description = "The settlement.", body = MovedOnChainResponse),
        (status = 202, description = "It waits for a second operator.", body = ProposalResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Fault))]
pub(super) async fn losses_failed(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ActAnswer<MovedOnChainResponse>> {
    let ending = OnChainEnding::read(&call.json()?).map_err(ApiError::invalid)?;
    let reason = ending.reason;
    withdrawal(&network, &call, Withdrawn::Failed { reason }).await
}

async fn withdrawal(
    network: &Network,
    call: &OperatorCall,
    withdrawn: Withdrawn,
) -> Answered<ActAnswer<MovedOnChainResponse>> {
    let (id, currency) = leg(call)?;
    let operator = network.operator(call.user_id);
    let undertaken = operator.withdrawal(id, currency, withdrawn).await?;
    moved(network, call, undertaken).await
}

/// Give up the gains in a currency
///
/// Their deposits will not come. What was received of them goes to the partner's Go Account.
/// Repeating it changes nothing. Where a second operator is required, the answer is 202 with the
/// proposal.
#[utoipa::path(post, path = "/onChainSettlements/{settlementId}/gains/{currency}/failed", tag = "Operator", operation_id = "operatorOnChainGainsFailed",
    params(("settlementId" = uuid::Uuid, Path, description = "Which settlement."),
        ("currency" = String, Path, description = "In what, by the network's ticker.")),
    request_body = OnChainEnding,
    responses((status = 200, description = "The settlement.", body = MovedOnChainResponse),
        (status = 202, description = "It waits for a second operator.", body = ProposalResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Fault))]
pub(super) async fn gains_failed(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ActAnswer<MovedOnChainResponse>> {
    let (id, currency) = leg(&call)?;
    let ending = OnChainEnding::read(&call.json()?).map_err(ApiError::invalid)?;
    let operator = network.operator(call.user_id);
    let undertaken = operator.fail_gains(id, currency, ending.reason).await?;
    moved(&network, &call, undertaken).await
}

/// Give back what was received and nothing waits for
///
/// What custody has received in a currency for a settlement that was never posted, has not begun, or
/// has no such gains goes to the partner's Go Account. Where a second operator is required, the answer
/// is 202 with the proposal.
#[utoipa::path(post, path = "/onChainSettlements/{settlementId}/gains/{currency}/returned", tag = "Operator", operation_id = "operatorOnChainReceivedReturned",
    params(("settlementId" = uuid::Uuid, Path, description = "For which settlement; it need not have been posted."),
        ("currency" = String, Path, description = "In what, by the network's ticker.")),
    responses((status = 200, description = "How much went back.", body = ReturnedResponse),
        (status = 202, description = "It waits for a second operator.", body = ProposalResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Fault))]
pub(super) async fn received_returned(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ActAnswer<ReturnedResponse>> {
    let (id, currency) = leg(&call)?;
    let operator = network.operator(call.user_id);
    let undertaken = operator.return_received(id, currency).await?;
    answered(&network, undertaken, |units, second_operator_required| {
        ReturnedResponse {
            amount: units.to_string(),
            second_operator_required,
        }
    })
}

/// Reject a settlement over the chain
///
/// Only before a part of it is booked (422 otherwise). What is held for it is the clients' again, and
/// what was received for it goes to the partner's Go Account. Repeating it changes nothing. Where a
/// second operator is required, the answer is 202 with the proposal.
#[utoipa::path(post, path = "/onChainSettlements/{settlementId}/reject", tag = "Operator", operation_id = "operatorRejectOnChainSettlement",
    params(("settlementId" = uuid::Uuid, Path, description = "Which settlement.")),
    request_body = OnChainEnding,
    responses((status = 200, description = "The settlement, rejected.", body = MovedOnChainResponse),
        (status = 202, description = "It waits for a second operator.", body = ProposalResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Unprocessable, openapi::Fault))]
pub(super) async fn reject(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ActAnswer<MovedOnChainResponse>> {
    let id: Uuid = input::from_path(&call.path, "settlementId")?;
    let ending = OnChainEnding::read(&call.json()?).map_err(ApiError::invalid)?;
    let operator = network.operator(call.user_id);
    let undertaken = operator.reject_on_chain(id, ending.reason).await?;
    moved(&network, &call, undertaken).await
}
