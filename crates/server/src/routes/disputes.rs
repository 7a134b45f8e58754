//! C19 to C22, P15: clients' objections to settlements.

use axum::extract::State;
use network::{DisputeClosureRequest, DisputeRequest, DisputeUpdateRequest, Network};
use store::{DisputeFilter, Side};
use wire::api::settlements::{
    ClientClosureResponse, ClientDisputesFilter, DisputeConcession, DisputeResponse, DisputeUpdate,
    DisputesResponse, NewDispute, PartnerDisputesFilter,
};
use wire::api::signed::Signed;

use super::{page, payload::read_signed};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{Call, Reads, Writes},
    openapi::{Conflict, EnterprisePath, Fault, Gate, NotFound, Unprocessable},
    projection::{self, DisputeEyes},
};

/// Dispute a settlement
///
/// Only within the dispute window, and once for every connection and settlement. What was posted for
/// the connection in this settlement is left out of it, for as long as the dispute stands;
/// everything else runs. `expectedTransfers` is evidence for whoever decides. The payload says what
/// the body says, and may name `settlementId` and `enterpriseId`.
#[utoipa::path(post, path = "/clients/settlements/{settlementId}/disputes", tag = "Disputes",
    operation_id = "createClientSettlementDispute",
    params(EnterprisePath, ("settlementId" = uuid::Uuid, Path, description = "The settlement.")),
    request_body = Signed<NewDispute>,
    responses((status = 200, description = "The dispute.", body = DisputeResponse),
        Gate, NotFound, Conflict, Unprocessable, Fault))]
pub(super) async fn open(
    State(network): State<Network>,
    call: Call<Writes>,
) -> Answered<DisputeResponse> {
    let settlement_id = call.id("settlementId")?;
    let settlement = settlement_id.to_string();
    let path = [
        ("enterpriseId", call.caller.enterprise.id.as_str()),
        ("settlementId", settlement.as_str()),
    ];
    let (new, text) = read_signed::<NewDispute>(&call.json()?, &path)?;
    let request = DisputeRequest {
        settlement_id,
        connection_id: new.connection_id,
        reason: new.reason,
        expected: new.expected_transfers,
        text,
    };
    let view = network.open_dispute(&call.caller, request).await?;
    ok(DisputeResponse {
        dispute: projection::plain_dispute(&view),
    })
}

/// Amend, retract or raise a dispute again
///
/// Only within the dispute window. With `retracted: true` what was posted runs with the settlement,
/// and `reason` is why the dispute was taken back; with `retracted: false` it stays out, and `reason`
/// is why. What is left out stays as it was. The payload says what the body says, and may name
/// `disputeId`, `settlementId` and `enterpriseId`.
#[utoipa::path(put, path = "/clients/settlements/disputes/{disputeId}", tag = "Disputes",
    operation_id = "updateClientSettlementDispute",
    params(EnterprisePath, ("disputeId" = uuid::Uuid, Path, description = "The dispute.")),
    request_body = Signed<DisputeUpdate>,
    responses((status = 200, description = "The dispute.", body = DisputeResponse),
        Gate, NotFound, Conflict, Unprocessable, Fault))]
pub(super) async fn update(
    State(network): State<Network>,
    call: Call<Writes>,
) -> Answered<DisputeResponse> {
    let dispute_id = call.id("disputeId")?;
    let json = call.json()?;
    // The payload may name the settlement, and it has to be the right one.
    let settlement = network.disputed_settlement(&call.caller, dispute_id);
    let settlement = settlement.await?.map(|id| id.to_string());
    let dispute = dispute_id.to_string();
    let mut path = vec![
        ("enterpriseId", call.caller.enterprise.id.as_str()),
        ("disputeId", dispute.as_str()),
    ];
    path.extend(settlement.as_deref().map(|id| ("settlementId", id)));
    let (update, text) = read_signed::<DisputeUpdate>(&json, &path)?;
    let request = DisputeUpdateRequest {
        dispute_id,
        connection_id: update.connection_id,
        retracted: update.retracted,
        reason: update.reason,
        expected: update.expected_transfers,
        text,
    };
    let view = network.update_dispute(&call.caller, request).await?;
    ok(DisputeResponse {
        dispute: projection::plain_dispute(&view),
    })
}

/// Close a dispute by conceding
///
/// What was posted stands: it runs with the partner's next settlement, or with this one while its
/// dispute window is open. Only an operator can close a dispute with other amounts. The payload has
/// `notes` and `nonce`, and may name `disputeId` and `enterpriseId`.
#[utoipa::path(post, path = "/clients/settlements/disputes/{disputeId}/close", tag = "Disputes",
    operation_id = "V1ClientSettlementDisputeClosurePostRoute",
    params(EnterprisePath, ("disputeId" = uuid::Uuid, Path, description = "The dispute.")),
    request_body = Signed<DisputeConcession>,
    responses((status = 200, description = "How the dispute ended.", body = ClientClosureResponse),
        Gate, NotFound, Conflict, Unprocessable, Fault))]
pub(super) async fn close(
    State(network): State<Network>,
    call: Call<Writes>,
) -> Answered<ClientClosureResponse> {
    let dispute_id = call.id("disputeId")?;
    let dispute = dispute_id.to_string();
    let path = [
        ("enterpriseId", call.caller.enterprise.id.as_str()),
        ("disputeId", dispute.as_str()),
    ];
    let (concession, text) = read_signed::<DisputeConcession>(&call.json()?, &path)?;
    let (payload, signature) = (text.payload.clone(), text.signature.clone());
    let request = DisputeClosureRequest {
        dispute_id,
        notes: concession.notes,
        text,
    };
    let closure = network.close_dispute(&call.caller, request).await?;
    ok(ClientClosureResponse {
        dispute_closure: projection::client_closure(&closure, payload, signature),
    })
}

/// List disputes (client)
///
/// The client's own disputes, the newest first, each with how it ended or is proposed to end.
#[utoipa::path(get, path = "/clients/settlement/disputes", tag = "Disputes",
    operation_id = "listClientSettlementDisputes",
    params(EnterprisePath, ClientDisputesFilter),
    responses((status = 200, description = "The disputes.", body = DisputesResponse),
        Gate, NotFound, Conflict, Unprocessable, Fault))]
pub(super) async fn list_of_client(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<DisputesResponse> {
    let sent = ClientDisputesFilter::read(call.filters()?).map_err(ApiError::invalid)?;
    let filter = DisputeFilter {
        ids: sent.dispute_ids,
        settlement_ids: sent.settlement_ids,
        settled_in_ids: sent.settled_in_settlement_ids,
        closure_ids: sent.dispute_closure_ids,
        connection_ids: sent.connection_ids,
        partner_ids: sent.partner_ids,
        closed: sent.closed,
        ..DisputeFilter::default()
    };
    let page = page(sent.page);
    let found = network.disputes(&call.caller, Side::Client, filter, page);
    let found = found.await?;
    let shown = found.iter();
    ok(DisputesResponse {
        disputes: shown
            .map(|view| projection::dispute(view, DisputeEyes::Client))
            .collect(),
    })
}

/// List disputes (partner)
///
/// Disputes of the enterprise's settlements, the newest first, without those that were taken back
/// unless they are asked for. Currencies and amounts are written as the partner writes them.
#[utoipa::path(get, path = "/partners/settlement/disputes", tag = "Disputes",
    operation_id = "listPartnerSettlementDisputes",
    params(EnterprisePath, PartnerDisputesFilter),
    responses((status = 200, description = "The disputes.", body = DisputesResponse),
        Gate, NotFound, Conflict, Unprocessable, Fault))]
pub(super) async fn list_of_partner(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<DisputesResponse> {
    let sent = PartnerDisputesFilter::read(call.filters()?).map_err(ApiError::invalid)?;
    let filter = DisputeFilter {
        ids: sent.dispute_ids,
        settlement_ids: sent.settlement_ids,
        settled_in_ids: sent.settled_in_settlement_ids,
        closure_ids: sent.dispute_closure_ids,
        connection_ids: sent.connection_ids,
        partner_ids: sent.partner_ids,
        client_ids: sent.client_ids,
        settlement_external_ids: sent.settlement_external_ids,
        settled_in_external_ids: sent.settled_in_settlement_external_ids,
        closed: sent.closed,
        retracted: (sent.show_retracted != Some(true)).then_some(false),
    };
    let page = page(sent.page);
    let found = network.disputes(&call.caller, Side::Partner, filter, page);
    let found = found.await?;
    let terms = network.own_terms(&call.caller).await?;
    let shown = found.iter().map(|view| {
        let eyes = match terms.get(&view.dispute.partner_id) {
            Some(terms) => DisputeEyes::Partner(terms),
            None => DisputeEyes::Operator,
        };
        projection::dispute(view, eyes)
    });
    ok(DisputesResponse {
        disputes: shown.collect(),
    })
}
