//! C16 to C18, P9 to P11, P13, P14: settlements, booked at once or staged.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use ledger::Timestamp;
use network::{Network, SettlementAmount, SettlementRequest, StagingRequest};
use rules::record::{self, SettlementForm, SettlementState};
use store::{SettlementFilter, Side, TransferFilter};
use wire::api::{
    SortDirection,
    settlements::{
        ClientSettlement, ClientSettlementFilter, ClientSettlementResponse,
        ClientSettlementsFilter, ClientSettlementsResponse, NewSettlement, NewStagedSettlement,
        PartnerSettlementFilter, PartnerSettlementResponse, PartnerSettlementsFilter,
        PartnerSettlementsResponse, Settlement, SettlementAmounts, SettlementCompleted,
        SettlementFailure, SettlementStatus, SettlementToSign, SettlementTransfersFilter,
        SettlementTransfersResponse, SettlementUnfinished, StagedSettlement,
        StagedSettlementResponse, TransferDirection, UnfinishedSettlement,
    },
    signed::{Signed, SigningPayload},
};

use super::{
    page,
    payload::{read_signed, to_sign},
};
use crate::{
    answer::{Answer, Answered, ok},
    error::ApiError,
    gate::{Call, Demand, Reads, ReadsSettlement, WritesSettlement},
    openapi::{Conflict, EnterprisePath, Fault, Gate, NotFound, Unprocessable},
    projection::{self, DisputeEyes, on_chain},
};

/// Payload to sign for a settlement
///
/// Answers the text that has to be signed, byte for byte, and sent as `payload` beside the same
/// members. Nothing is stored.
#[utoipa::path(post, path = "/partners/settlements-signing", tag = "Settlements",
    operation_id = "v1PartnerSettlementsSigningPostRoute",
    params(EnterprisePath),
    request_body = SettlementToSign,
    responses((status = 200, description = "The text to sign.", body = SigningPayload),
        Gate, Conflict, Fault))]
pub(super) async fn sign(call: Call<WritesSettlement>) -> Answered<SigningPayload> {
    signing_payload(&call)
}

/// Payload to sign for a settlement (GET)
///
/// As the POST form; the members stand in a JSON body.
#[utoipa::path(get, path = "/partners/settlements-signing", tag = "Settlements",
    operation_id = "v1PartnerSettlementSigningGetRoute",
    params(EnterprisePath),
    request_body = SettlementToSign,
    responses((status = 200, description = "The text to sign.", body = SigningPayload),
        Gate, Conflict, Fault))]
pub(super) async fn sign_by_get(call: Call<ReadsSettlement>) -> Answered<SigningPayload> {
    signing_payload(&call)
}

fn signing_payload<D: Demand>(call: &Call<D>) -> Answered<SigningPayload> {
    let json = call.json()?;
    SettlementToSign::read(&json).map_err(ApiError::invalid)?;
    to_sign::<NewSettlement>(&json, &[])
}

/// Settle
///
/// Books gains and losses of trading between the partner's Go Account and its clients'
/// connections: all of them or none. A settlement that cannot be funded is answered as `failed`
/// (500) with what is short; fund it and send the same request again. For partners whose clients
/// may dispute settlements this version is refused (403).
#[utoipa::path(post, path = "/partners/settlements", tag = "Settlements",
    operation_id = "v1PartnerSettlementsPostRoute",
    params(EnterprisePath),
    request_body = Signed<NewSettlement>,
    responses((status = 200, description = "Everything is booked.", body = SettlementCompleted),
        (status = 400, description = "The request is malformed or contradicts itself; `errors` names every fault.", body = wire::api::error::ErrorBody),
        (status = 401, description = "No, unknown, expired or malformed token; no member; a signature that does not verify.", body = SettlementFailure),
        (status = 403, description = "No licence, a missing scope, an inactive partner, or clients who may dispute.", body = wire::api::error::ErrorBody),
        (status = 413, description = "The body is too large.", body = wire::api::error::ErrorBody),
        (status = 415, description = "The body is not JSON.", body = wire::api::error::ErrorBody),
        (status = 429, description = "The token has sent more requests than it may; repeat it after `Retry-After` seconds.", body = wire::api::error::ErrorBody),
        (status = 503, description = "Not at present, or the outcome is not known yet; repeat it after `Retry-After` seconds.", body = wire::api::error::ErrorBody),
        Conflict,
        (status = 500, description = "Nothing is booked: something is short. Or an internal fault.", body = SettlementFailure)))]
pub(super) async fn settle(
    State(network): State<Network>,
    call: Call<WritesSettlement>,
) -> Result<Response, ApiError> {
    settle_at_once(&network, &call).await
}

/// Settle (former path)
///
/// The same as posting to `/partners/settlements`, under the path that was used before there was
/// talk of reconciliation. Use the other one.
#[utoipa::path(post, path = "/partners/settlements/nonReconciled", tag = "Settlements",
    operation_id = "v1PartnerSettlementsNonReconciledPostRoute",
    params(EnterprisePath),
    request_body = Signed<NewSettlement>,
    responses((status = 200, description = "Everything is booked.", body = SettlementCompleted),
        (status = 400, description = "The request is malformed or contradicts itself; `errors` names every fault.", body = wire::api::error::ErrorBody),
        (status = 401, description = "No, unknown, expired or malformed token; no member; a signature that does not verify.", body = SettlementFailure),
        (status = 403, description = "No licence, a missing scope, an inactive partner, or clients who may dispute.", body = wire::api::error::ErrorBody),
        (status = 413, description = "The body is too large.", body = wire::api::error::ErrorBody),
        (status = 415, description = "The body is not JSON.", body = wire::api::error::ErrorBody),
        (status = 429, description = "The token has sent more requests than it may; repeat it after `Retry-After` seconds.", body = wire::api::error::ErrorBody),
        (status = 503, description = "Not at present, or the outcome is not known yet; repeat it after `Retry-After` seconds.", body = wire::api::error::ErrorBody),
        Conflict,
        (status = 500, description = "Nothing is booked: something is short. Or an internal fault.", body = SettlementFailure)))]
#[deprecated = "partners settle under the shorter path"]
pub(super) async fn settle_not_reconciled(
    State(network): State<Network>,
    call: Call<WritesSettlement>,
) -> Result<Response, ApiError> {
    settle_at_once(&network, &call).await
}

async fn settle_at_once(
    network: &Network,
    call: &Call<WritesSettlement>,
) -> Result<Response, ApiError> {
    let path = [("enterpriseId", call.caller.enterprise.id.as_str())];
    let (new, text) = read_signed::<NewSettlement>(&call.json()?, &path)?;
    let (form, amounts) = amounts(new.settlement_amounts);
    let request = SettlementRequest {
        external_id: new.external_id,
        notes: new.notes,
        form,
        amounts,
        text,
    };
    let settlement = network.settle(&call.caller, request).await?;
    let unfinished = match projection::settlement(&settlement) {
        Settlement::Completed(settlement) => {
            let body = SettlementCompleted { settlement };
            return Ok(Answer(StatusCode::OK, body).into_response());
        }
        Settlement::Pending(pending) => UnfinishedSettlement::Pending(pending),
        Settlement::Failed(failed) => UnfinishedSettlement::Failed(failed),
        Settlement::Rejected(rejected) => UnfinishedSettlement::Rejected(rejected),
    };
    Ok(unfinished_answer(&settlement, unfinished))
}

fn unfinished_answer(settlement: &record::Settlement, shown: UnfinishedSettlement) -> Response {
    let (name, message) = match &settlement.state {
        SettlementState::Failed { reason } | SettlementState::Rejected { reason, .. } => {
            (reason.name.as_str(), reason.message.as_str())
        }
        _ => ("settlement_pending", "the settlement is not booked yet"),
    };
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    let body = SettlementUnfinished {
        settlement: shown,
        error: ApiError::new(status, name, message).body(),
    };
    Answer(status, body).into_response()
}

fn amounts(sent: SettlementAmounts) -> (SettlementForm, Vec<SettlementAmount>) {
    match sent {
        SettlementAmounts::Party(amounts) => {
            let amount = |amount: wire::api::settlements::PartyAmount| SettlementAmount {
                source: None,
                destination: amount.connection_id,
                currency: amount.currency,
                quantity: amount.quantity.as_str().to_owned(),
            };
            let amounts = amounts.into_iter().map(amount).collect();
            (SettlementForm::Party, amounts)
        }
        SettlementAmounts::Pair(amounts) => {
            let amount = |amount: wire::api::settlements::PairAmount| SettlementAmount {
                source: Some(amount.source_connection_id),
                destination: amount.destination_connection_id,
                currency: amount.currency,
                quantity: amount.quantity.as_str().to_owned(),
            };
            let amounts = amounts.into_iter().map(amount).collect();
            (SettlementForm::Pair, amounts)
        }
    }
}

fn states(statuses: Option<Vec<SettlementStatus>>) -> Option<Vec<&'static str>> {
    statuses.map(|statuses| statuses.into_iter().map(SettlementStatus::as_str).collect())
}

/// Stage a settlement
///
/// For partners whose clients may dispute settlements. What connections are to lose is held at once,
/// transfer by transfer; where it is not there nothing is staged (422, which names every connection
/// with what it needs and has). Clients may then dispute it until the partner's dispute window ends.
/// What is not disputed by then is booked as soon as the partner's Go Account suffices, at the latest
/// when the top-up window ends; if it does not suffice then, the settlement is `failed` and is booked
/// once it does. What closed disputes of earlier settlements have ended in rides along and must not
/// be among the amounts; `settlementAmounts` may be empty while there is some. The same request again
/// answers the settlement as it is.
#[utoipa::path(post, path = "/partners/settlements", tag = "Settlements",
    operation_id = "v2PartnerSettlementsPostRoute",
    params(EnterprisePath),
    request_body = Signed<NewStagedSettlement>,
    responses((status = 200, description = "The settlement is staged, or was before.", body = StagedSettlementResponse),
        Gate, Conflict, Unprocessable, Fault))]
pub(super) async fn stage(
    State(network): State<Network>,
    call: Call<WritesSettlement>,
) -> Answered<StagedSettlementResponse> {
    let path = [("enterpriseId", call.caller.enterprise.id.as_str())];
    let (new, text) = read_signed::<NewStagedSettlement>(&call.json()?, &path)?;
    let NewStagedSettlement {
        settlement,
        cutoff_at,
    } = new;
    let (form, amounts) = amounts(settlement.settlement_amounts);
    let posted = SettlementRequest {
        external_id: settlement.external_id,
        notes: settlement.notes,
        form,
        amounts,
        text,
    };
    let request = StagingRequest {
        posted,
        cutoff_at: Timestamp(cutoff_at.0),
    };
    let staged = network.stage(&call.caller, request).await?;
    let eyes = DisputeEyes::Partner(&staged.terms);
    let settling = staged.settling.iter();
    ok(StagedSettlementResponse {
        settlement: StagedSettlement {
            cutoff_at,
            settling_disputes: settling
                .filter_map(|view| projection::settling_dispute(view, staged.settlement.id, eyes))
                .collect(),
            settlement: projection::staged_settlement(&staged.settlement),
        },
    })
}

/// List settlements (client)
///
/// Settlements that a connection of the client takes part in, the newest first, with the
/// direction in which they move the client's money.
#[utoipa::path(get, path = "/clients/settlements", tag = "Settlements",
    operation_id = "v1ClientSettlementsGetRoute",
    params(EnterprisePath, ClientSettlementsFilter),
    responses((status = 200, description = "The settlements.", body = ClientSettlementsResponse),
        Gate, NotFound, Fault))]
pub(super) async fn list_of_client(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<ClientSettlementsResponse> {
    let sent = ClientSettlementsFilter::read(call.filters()?).map_err(ApiError::invalid)?;
    let filter = SettlementFilter {
        ids: sent.settlement_ids,
        disputed_only: sent.only_show_disputed == Some(true),
        partner_ids: sent.partner_ids,
        states: states(sent.statuses),
        party_connection_ids: sent.party_connection_ids,
        counterparty_connection_ids: sent.counterparty_connection_ids,
        ..SettlementFilter::default()
    };
    let page = page(sent.page);
    let found = network
        .client_settlements(&call.caller, filter, page)
        .await?;
    let facts = network
        .on_chain_facts(found.iter().map(|view| view.settlement.id))
        .await?;
    let shown = found.iter().map(|view| ClientSettlement {
        transfer_direction: match (view.sends, view.receives) {
            (true, true) => TransferDirection::SendAndReceive,
            (true, false) => TransferDirection::Send,
            (false, _) => TransferDirection::Receive,
        },
        settlement: on_chain::marked(
            projection::client_settlement(view),
            &view.settlement,
            &facts,
        ),
    });
    ok(ClientSettlementsResponse {
        settlements: shown.collect(),
    })
}

/// Read a settlement (client)
///
/// With a page of the client's own transfers. What belongs to others is left out or named
/// "Counterparty".
#[utoipa::path(get, path = "/clients/settlements/{settlementId}", tag = "Settlements",
    operation_id = "v1ClientSettlementGetRoute",
    params(EnterprisePath,
        ("settlementId" = uuid::Uuid, Path, description = "The settlement."), ClientSettlementFilter),
    responses((status = 200, description = "The settlement.", body = ClientSettlementResponse),
        Gate, NotFound, Fault))]
pub(super) async fn read_of_client(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<ClientSettlementResponse> {
    let id = call.id("settlementId")?;
    let sent = ClientSettlementFilter::read(call.filters()?).map_err(ApiError::invalid)?;
    let page = page(sent.page);
    let (view, transfers) = network
        .client_settlement(&call.caller, id, sent.currencies, page)
        .await?;
    let [settling, raised] = network
        .settlement_disputes(&call.caller, Side::Client, &view.settlement)
        .await?;
    let (eyes, settlement) = (DisputeEyes::Client, view.settlement.id);
    let name = &call.caller.enterprise.name;
    let facts = network.on_chain_facts([settlement]).await?;
    let shown = transfers
        .iter()
        .map(|view| projection::masked_transfer(view, name, &facts));
    ok(ClientSettlementResponse {
        settlement: on_chain::marked(
            projection::client_settlement(&view),
            &view.settlement,
            &facts,
        ),
        settlement_transfers: shown.collect(),
        settling_disputes: (settling.iter())
            .filter_map(|view| projection::settling_dispute(view, settlement, eyes))
            .collect(),
        settlement_disputes: (raised.iter())
            .map(|view| projection::dispute(view, eyes))
            .collect(),
    })
}

/// List settlement transfers (client)
///
/// All transfers of the client's connections, over all settlements.
#[utoipa::path(get, path = "/clients/settlementTransfers", tag = "Settlements",
    operation_id = "v1ClientSettlementTransfersGetRoute",
    params(EnterprisePath, SettlementTransfersFilter),
    responses((status = 200, description = "The transfers.", body = SettlementTransfersResponse),
        Gate, NotFound, Fault))]
pub(super) async fn transfers(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<SettlementTransfersResponse> {
    let sent = SettlementTransfersFilter::read(call.filters()?).map_err(ApiError::invalid)?;
    let statuses = sent.settlement_transfer_statuses.map(|statuses| {
        let statuses = statuses.into_iter().map(projection::own_transfer_status);
        statuses.collect()
    });
    let filter = TransferFilter {
        settlement_ids: sent.settlement_ids,
        currencies: sent.currencies,
        statuses,
        // Whatever is no user's identifier has initiated nothing.
        initiated_by: sent.initiated_by.map(|users| {
            let users = users.iter().filter_map(|user| user.parse().ok());
            users.chain([uuid::Uuid::nil()]).collect()
        }),
        partner_ids: sent.partner_ids,
        settlement_states: states(sent.settlement_statuses),
        settlement_updated_since: sent
            .settlement_updated_on_or_after
            .map(|at| Timestamp(at.0)),
        settlement_updated_before: sent.settlement_updated_before.map(|at| Timestamp(at.0)),
        by_update: sent.sort_field.is_some(),
        descending: sent.sort_direction == Some(SortDirection::Descending),
        ..TransferFilter::default()
    };
    let page = page(sent.page);
    let found = network.client_transfers(&call.caller, filter, page).await?;
    let name = &call.caller.enterprise.name;
    let facts = network
        .on_chain_facts(found.iter().map(|view| view.settlement.id))
        .await?;
    let shown = found
        .iter()
        .map(|view| projection::masked_transfer(view, name, &facts));
    ok(SettlementTransfersResponse {
        settlement_transfers: shown.collect(),
    })
}

/// List settlements (partner)
///
/// Settlements that the enterprise has posted, the newest first.
#[utoipa::path(get, path = "/partners/settlements", tag = "Settlements",
    operation_id = "v1PartnerSettlementsGetRoute",
    params(EnterprisePath, PartnerSettlementsFilter),
    responses((status = 200, description = "The settlements.", body = PartnerSettlementsResponse),
        Gate, Fault))]
pub(super) async fn list_of_partner(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<PartnerSettlementsResponse> {
    let sent = PartnerSettlementsFilter::read(call.filters()?).map_err(ApiError::invalid)?;
    let filter = SettlementFilter {
        ids: sent.settlement_ids,
        disputed_only: sent.only_show_disputed == Some(true),
        partner_ids: sent.partner_ids,
        external_ids: sent.external_ids,
        party_connection_ids: sent.party_connection_ids,
        counterparty_connection_ids: sent.counterparty_connection_ids,
        created_since: sent.created_on_or_after.map(|at| Timestamp(at.0)),
        created_before: sent.created_before.map(|at| Timestamp(at.0)),
        updated_since: sent.updated_on_or_after.map(|at| Timestamp(at.0)),
        updated_before: sent.updated_before.map(|at| Timestamp(at.0)),
        ..SettlementFilter::default()
    };
    let page = page(sent.page);
    let found = network
        .partner_settlements(&call.caller, filter, page)
        .await?;
    let facts = network
        .on_chain_facts(found.iter().map(|settlement| settlement.id))
        .await?;
    let shown = found.iter().map(|settlement| {
        let shown = projection::settlement(settlement);
        on_chain::marked(shown, settlement, &facts)
    });
    ok(PartnerSettlementsResponse {
        settlements: shown.collect(),
    })
}

/// Read a settlement (partner)
///
/// With a page of its transfers, in the partner's names and amounts.
#[utoipa::path(get, path = "/partners/settlements/{settlementId}", tag = "Settlements",
    operation_id = "v1PartnerSettlementGetRoute",
    params(EnterprisePath,
        ("settlementId" = uuid::Uuid, Path, description = "The settlement."), PartnerSettlementFilter),
    responses((status = 200, description = "The settlement.", body = PartnerSettlementResponse),
        Gate, NotFound, Fault))]
pub(super) async fn read_of_partner(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<PartnerSettlementResponse> {
    let id = call.id("settlementId")?;
    let sent = PartnerSettlementFilter::read(call.filters()?).map_err(ApiError::invalid)?;
    let accounts = |accounts: Option<Vec<ledger::GoAccountId>>| {
        accounts.map(|ids| ids.into_iter().map(|id| id.0).collect())
    };
    let filter = TransferFilter {
        partner_currencies: sent.currencies,
        source_network_account_ids: sent.source_network_account_ids,
        source_go_account_ids: accounts(sent.source_trading_account_ids),
        destination_network_account_ids: sent.destination_network_account_ids,
        destination_go_account_ids: accounts(sent.destination_trading_account_ids),
        ..TransferFilter::default()
    };
    let page = page(sent.page);
    let detail = network
        .partner_settlement(&call.caller, id, filter, page)
        .await?;
    let [settling, raised] = network
        .settlement_disputes(&call.caller, Side::Partner, &detail.settlement)
        .await?;
    let eyes = DisputeEyes::Partner(&detail.terms);
    let facts = network.on_chain_facts([detail.settlement.id]).await?;
    let shown = detail
        .transfers
        .iter()
        .map(|transfer| projection::partner_transfer(transfer, &detail.terms, &facts));
    ok(PartnerSettlementResponse {
        settlement: on_chain::marked(
            projection::settlement(&detail.settlement),
            &detail.settlement,
            &facts,
        ),
        settlement_transfers: shown.collect::<Result<_, _>>()?,
        settling_disputes: (settling.iter())
            .filter_map(|view| projection::settling_dispute(view, detail.settlement.id, eyes))
            .collect(),
        settlement_disputes: (raised.iter())
            .map(|view| projection::dispute(view, eyes))
            .collect(),
    })
}
