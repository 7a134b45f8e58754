//! C9 to C14, P4 to P7: allocations and deallocations.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use ledger::Timestamp;
use network::{AllocationRequest, Network, PartnerAnswerRequest, PartnerTerms};
use rules::{
    Reason,
    record::{self, AllocationKind, AllocationState},
};
use serde::Serialize;
use store::{AllocationFilter, AllocationSort, Side};
use wire::api::{
    SortDirection,
    allocations::{
        AcceptedAllocation, AllocationAccepted, AllocationFailure, AllocationReleased,
        AllocationResponse, AllocationRetriable, AllocationStatus, AllocationType,
        AllocationUpdate, AllocationUpdated, AllocationsResponse, Cleared, ClearedAllocation,
        ClientAllocationSort, ClientAllocationsFilter, DeallocationAccepted, DeallocationFailure,
        DeallocationReleased, DeallocationRetriable, DeallocationUpdate, DeallocationUpdated,
        Decision, NewAllocation, PartnerAllocationSort, PartnerAllocationsFilter, Released,
        ReleasedAllocation, Reserved, ReservedAllocation,
    },
    error::ErrorBody,
    signed::{Content, Signed, SigningPayload},
};

use super::{
    page,
    payload::{read_signed, to_sign},
};
use crate::{
    answer::{Answer, Answered, ok},
    error::ApiError,
    gate::{Call, Demand, Reads, Writes},
    openapi::{Conflict, EnterprisePath, Fault, Gate, NotFound, Unprocessable},
    projection::{self, Eyes},
};

/// Payload to sign for an allocation
///
/// Answers the text that has to be signed, byte for byte, and sent as `payload` beside the same
/// members. Nothing is stored.
#[utoipa::path(post, path = "/clients/connections/{connectionId}/allocations/signing",
    tag = "Allocations", operation_id = "v1ClientAllocationsSigningPostRoute",
    params(EnterprisePath,
        ("connectionId" = uuid::Uuid, Path, description = "The connection.")),
    request_body = NewAllocation,
    responses((status = 200, description = "The text to sign.", body = SigningPayload),
        Gate, NotFound, Fault))]
pub(super) async fn sign(
    State(network): State<Network>,
    call: Call<Writes>,
) -> Answered<SigningPayload> {
    signing_payload(&network, &call).await
}

/// Payload to sign for an allocation (GET)
///
/// As the POST form; the members stand in a JSON body.
#[utoipa::path(get, path = "/clients/connections/{connectionId}/allocations/signing",
    tag = "Allocations", operation_id = "v1ClientAllocationsSigningGetRoute",
    params(EnterprisePath,
        ("connectionId" = uuid::Uuid, Path, description = "The connection.")),
    request_body = NewAllocation,
    responses((status = 200, description = "The text to sign.", body = SigningPayload),
        Gate, NotFound, Fault))]
pub(super) async fn sign_by_get(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<SigningPayload> {
    signing_payload(&network, &call).await
}

/// Payload to sign for a deallocation
///
/// As that for an allocation.
#[utoipa::path(post, path = "/clients/connections/{connectionId}/deallocations/signing",
    tag = "Allocations", operation_id = "V1ClientDeallocationsSigningPostRoute",
    params(EnterprisePath,
        ("connectionId" = uuid::Uuid, Path, description = "The connection.")),
    request_body = NewAllocation,
    responses((status = 200, description = "The text to sign.", body = SigningPayload),
        Gate, NotFound, Unprocessable, Fault))]
pub(super) async fn sign_deallocation(
    State(network): State<Network>,
    call: Call<Writes>,
) -> Answered<SigningPayload> {
    deallocation_payload(&network, &call).await
}

/// Payload to sign for a deallocation (GET)
///
/// As the POST form; the members stand in a JSON body.
#[utoipa::path(get, path = "/clients/connections/{connectionId}/deallocations/signing",
    tag = "Allocations", operation_id = "V1ClientDeallocationsSigningGetRoute",
    params(EnterprisePath,
        ("connectionId" = uuid::Uuid, Path, description = "The connection.")),
    request_body = NewAllocation,
    responses((status = 200, description = "The text to sign.", body = SigningPayload),
        Gate, NotFound, Unprocessable, Fault))]
pub(super) async fn sign_deallocation_by_get(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<SigningPayload> {
    deallocation_payload(&network, &call).await
}

/// As for an allocation, and only for what could be deallocated at all.
async fn deallocation_payload<D: Demand>(
    network: &Network,
    call: &Call<D>,
) -> Answered<SigningPayload> {
    let payload = signing_payload(network, call).await?;
    let new = NewAllocation::read(&call.json()?).map_err(ApiError::invalid)?;
    let connection = call.id("connectionId")?;
    network
        .check_deallocation(&call.caller, connection, &new.amount.currency)
        .await?;
    Ok(payload)
}

async fn signing_payload<D: Demand>(network: &Network, call: &Call<D>) -> Answered<SigningPayload> {
    let json = call.json()?;
    NewAllocation::read(&json).map_err(ApiError::invalid)?;
    let connection = call.id("connectionId")?;
    let own = network.connection(&call.caller, Side::Client, connection);
    own.await?;
    let connection = connection.to_string();
    let path = [
        ("connectionId", connection.as_str()),
        ("enterpriseId", call.caller.enterprise.id.as_str()),
    ];
    to_sign::<NewAllocation>(&json, &path)
}

/// Allocate
///
/// Locks the amount in the Go Account, asks the partner, and when the partner accepts moves it to
/// the connection. A partner that answers later leaves the record `reserved` (200); one that
/// cannot be reached leaves it `reserved` and `retriable` (500): send the same request again, or
/// wait. What is refused for a business reason is answered with its `released` record (422).
/// `clientExternalId` makes repeats safe: the same content never acts twice.
#[utoipa::path(post, path = "/clients/connections/{connectionId}/allocations",
    tag = "Allocations", operation_id = "V1ClientAllocationsPostRoute",
    params(EnterprisePath,
        ("connectionId" = uuid::Uuid, Path, description = "The connection.")),
    request_body = Signed<NewAllocation>,
    responses((status = 200, description = "Cleared, or reserved at a partner that answers later.", body = AllocationAccepted),
        Gate, NotFound, Conflict,
        (status = 422, description = "Released, with the reason.", body = AllocationReleased),
        (status = 500, description = "Reserved; the partner did not answer. Or an internal fault.", body = AllocationFailure)))]
pub(super) async fn allocate(
    State(network): State<Network>,
    call: Call<Writes>,
) -> Result<Response, ApiError> {
    let record = place(&network, &call, AllocationKind::Allocation).await?;
    Ok(match Outcome::of(&record) {
        Outcome::Accepted(allocation) => {
            Answer(StatusCode::OK, AllocationAccepted { allocation }).into_response()
        }
        Outcome::Released(allocation, error) => {
            unprocessable(AllocationReleased { allocation, error })
        }
        Outcome::Retriable(allocation, error) => failed(AllocationRetriable { allocation, error }),
    })
}

/// Deallocate
///
/// The way back: holds the amount on the connection, asks the partner, and when the partner
/// accepts moves it to the Go Account. Answers and repeats as for allocations.
#[utoipa::path(post, path = "/clients/connections/{connectionId}/deallocations",
    tag = "Allocations", operation_id = "V1ClientDeallocationsPostRoute",
    params(EnterprisePath,
        ("connectionId" = uuid::Uuid, Path, description = "The connection.")),
    request_body = Signed<NewAllocation>,
    responses((status = 200, description = "Cleared, or reserved at a partner that answers later.", body = DeallocationAccepted),
        Gate, NotFound, Conflict,
        (status = 422, description = "Released, with the reason.", body = DeallocationReleased),
        (status = 500, description = "Reserved; the partner did not answer. Or an internal fault.", body = DeallocationFailure)))]
pub(super) async fn deallocate(
    State(network): State<Network>,
    call: Call<Writes>,
) -> Result<Response, ApiError> {
    let record = place(&network, &call, AllocationKind::Deallocation).await?;
    Ok(match Outcome::of(&record) {
        Outcome::Accepted(deallocation) => {
            Answer(StatusCode::OK, DeallocationAccepted { deallocation }).into_response()
        }
        Outcome::Released(deallocation, error) => unprocessable(DeallocationReleased {
            deallocation,
            error,
        }),
        Outcome::Retriable(deallocation, error) => failed(DeallocationRetriable {
            deallocation,
            error,
        }),
    })
}

fn unprocessable<T: Serialize>(body: T) -> Response {
    Answer(StatusCode::UNPROCESSABLE_ENTITY, body).into_response()
}

fn failed<T: Serialize>(body: T) -> Response {
    Answer(StatusCode::INTERNAL_SERVER_ERROR, body).into_response()
}

async fn place(
    network: &Network,
    call: &Call<Writes>,
    kind: AllocationKind,
) -> Result<record::Allocation, ApiError> {
    let connection_id = call.id("connectionId")?;
    let connection = connection_id.to_string();
    let path = [
        ("connectionId", connection.as_str()),
        ("enterpriseId", call.caller.enterprise.id.as_str()),
    ];
    let (new, text) = read_signed::<NewAllocation>(&call.json()?, &path)?;
    let request = AllocationRequest {
        kind,
        connection_id,
        currency: new.amount.currency,
        amount: new.amount.quantity,
        client_external_id: new.client_external_id,
        notes: new.notes,
        text,
    };
    Ok(network.allocate(&call.caller, request).await?)
}

/// How a record is answered to whoever asked for it.
enum Outcome {
    Accepted(AcceptedAllocation),
    Released(ReleasedAllocation, ErrorBody),
    Retriable(ReservedAllocation, ErrorBody),
}

impl Outcome {
    fn of(record: &record::Allocation) -> Outcome {
        let shown = projection::allocation_record(record, &Eyes::Client);
        let error = |status, reason: &Reason| {
            ApiError::new(status, &reason.name, reason.message.as_str()).body()
        };
        match &record.state {
            AllocationState::Cleared => {
                Outcome::Accepted(AcceptedAllocation::Cleared(ClearedAllocation {
                    status: Cleared::Cleared,
                    record: shown,
                }))
            }
            AllocationState::Reserved { retriable, reason } => {
                let reserved = ReservedAllocation {
                    status: Reserved::Reserved,
                    reason: reason.message.clone(),
                    record: shown,
                };
                if *retriable {
                    let error = error(StatusCode::INTERNAL_SERVER_ERROR, reason);
                    Outcome::Retriable(reserved, error)
                } else {
                    Outcome::Accepted(AcceptedAllocation::Reserved(reserved))
                }
            }
            AllocationState::Released { reason } => {
                let released = ReleasedAllocation {
                    status: Released::Released,
                    reason: reason.message.clone(),
                    record: shown,
                };
                let error = error(StatusCode::UNPROCESSABLE_ENTITY, reason);
                Outcome::Released(released, error)
            }
        }
    }
}

fn kinds(types: Option<Vec<AllocationType>>) -> Option<Vec<AllocationKind>> {
    let kind = |kind| match kind {
        AllocationType::Allocation => AllocationKind::Allocation,
        AllocationType::Deallocation => AllocationKind::Deallocation,
    };
    types.map(|types| types.into_iter().map(kind).collect())
}

fn states(statuses: Option<Vec<AllocationStatus>>) -> Option<Vec<&'static str>> {
    statuses.map(|statuses| statuses.into_iter().map(AllocationStatus::as_str).collect())
}

/// List allocations and deallocations (client)
///
/// The oldest first unless sorted otherwise; after the chosen field always by age and id.
#[utoipa::path(get, path = "/clients/allocations", tag = "Allocations",
    operation_id = "v1ClientAllocationsGetRoute",
    params(EnterprisePath, ClientAllocationsFilter),
    responses((status = 200, description = "The records.", body = AllocationsResponse),
        Gate, NotFound, Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<AllocationsResponse> {
    let sent = ClientAllocationsFilter::read(call.filters()?).map_err(ApiError::invalid)?;
    let filter = AllocationFilter {
        ids: sent.allocation_ids,
        kinds: kinds(sent.types),
        states: states(sent.statuses),
        currencies: sent.currencies,
        connection_ids: sent.connection_ids,
        partner_ids: sent.partner_ids,
        created_since: sent.created_on_or_after.map(|at| Timestamp(at.0)),
        created_before: sent.created_before.map(|at| Timestamp(at.0)),
        sort: sent.sort_field.map(|field| match field {
            ClientAllocationSort::Id => AllocationSort::Id,
            ClientAllocationSort::UpdatedAt => AllocationSort::UpdatedAt,
            ClientAllocationSort::Quantity => AllocationSort::Quantity,
            ClientAllocationSort::Currency => AllocationSort::Currency,
        }),
        descending: sent.sort_direction == Some(SortDirection::Descending),
        ..AllocationFilter::default()
    };
    let page = page(sent.page);
    let found = network
        .allocations(&call.caller, Side::Client, filter, page)
        .await?;
    let shown = found
        .iter()
        .map(|record| projection::allocation(record, &Eyes::Client));
    ok(AllocationsResponse {
        allocations: shown.collect(),
    })
}

/// Read an allocation or deallocation (client)
#[utoipa::path(get, path = "/clients/allocations/{allocationId}", tag = "Allocations",
    operation_id = "v1ClientAllocationGetRoute",
    params(EnterprisePath,
        ("allocationId" = uuid::Uuid, Path, description = "The record.")),
    responses((status = 200, description = "The record.", body = AllocationResponse),
        Gate, NotFound, Fault))]
pub(super) async fn read(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<AllocationResponse> {
    let id = call.id("allocationId")?;
    let record = network.allocation(&call.caller, Side::Client, id).await?;
    ok(AllocationResponse {
        allocation: projection::allocation(&record, &Eyes::Client),
    })
}

/// List allocations and deallocations (partner)
///
/// With the partner's own names of currencies and its own way of writing amounts.
#[utoipa::path(get, path = "/partners/allocations", tag = "Allocations",
    operation_id = "v1PartnerAllocationsGetRoute",
    params(EnterprisePath, PartnerAllocationsFilter),
    responses((status = 200, description = "The records.", body = AllocationsResponse),
        Gate, NotFound, Fault))]
pub(super) async fn list_of_partner(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<AllocationsResponse> {
    let sent = PartnerAllocationsFilter::read(call.filters()?).map_err(ApiError::invalid)?;
    let terms = network.own_terms(&call.caller).await?;
    let filter = AllocationFilter {
        ids: sent.allocation_ids,
        kinds: kinds(sent.types),
        states: states(sent.statuses),
        currencies: sent
            .currencies
            .map(|names| PartnerTerms::tickers(terms.values(), &names)),
        connection_ids: sent.connection_ids,
        partner_ids: sent.partner_ids,
        client_ids: sent.client_ids,
        sort: sent.sort_field.map(|field| match field {
            PartnerAllocationSort::Id => AllocationSort::Id,
            PartnerAllocationSort::UpdatedAt => AllocationSort::UpdatedAt,
            PartnerAllocationSort::Quantity => AllocationSort::Quantity,
        }),
        descending: sent.sort_direction == Some(SortDirection::Descending),
        ..AllocationFilter::default()
    };
    let page = page(sent.page);
    let found = network
        .allocations(&call.caller, Side::Partner, filter, page)
        .await?;
    let eyes = Eyes::Partner(&terms);
    let shown = found
        .iter()
        .map(|record| projection::allocation(record, &eyes));
    ok(AllocationsResponse {
        allocations: shown.collect(),
    })
}

/// Read an allocation or deallocation (partner)
#[utoipa::path(get, path = "/partners/allocations/{allocationId}", tag = "Allocations",
    operation_id = "v1PartnerAllocationGetRoute",
    params(EnterprisePath,
        ("allocationId" = uuid::Uuid, Path, description = "The record.")),
    responses((status = 200, description = "The record.", body = AllocationResponse),
        Gate, NotFound, Fault))]
pub(super) async fn read_of_partner(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<AllocationResponse> {
    let id = call.id("allocationId")?;
    let record = network.allocation(&call.caller, Side::Partner, id).await?;
    let terms = network.own_terms(&call.caller).await?;
    ok(AllocationResponse {
        allocation: projection::allocation(&record, &Eyes::Partner(&terms)),
    })
}

/// Answer an allocation
///
/// For partners that answer allocations later: says, signed, whether a reserved allocation is
/// cleared or released. Repeating the same answer changes nothing; the opposite of a final one is
/// refused (409).
#[utoipa::path(put, path = "/partners/allocations", tag = "Allocations",
    operation_id = "v1PartnerAllocationsPutRoute",
    params(EnterprisePath),
    request_body = Signed<AllocationUpdate>,
    responses((status = 200, description = "What was answered.", body = AllocationUpdated),
        Gate, NotFound, Conflict, Unprocessable, Fault))]
pub(super) async fn answer_allocation(
    State(network): State<Network>,
    call: Call<Writes>,
) -> Answered<AllocationUpdated> {
    let path = [("enterpriseId", call.caller.enterprise.id.as_str())];
    let (update, text) = read_signed::<AllocationUpdate>(&call.json()?, &path)?;
    let parties = update.decision.parties;
    let request = PartnerAnswerRequest {
        kind: AllocationKind::Allocation,
        id: update.allocation_id,
        currency: parties.amount.currency.clone(),
        quantity: parties.amount.quantity.as_str().to_owned(),
        client_id: parties.client_id,
        connection_id: parties.connection_id,
        partners_client_id: parties.partners_client_id.clone(),
        partners_connection_id: parties.partners_connection_id.clone(),
        partner_external_id: update.partners_allocation_id.clone(),
        reject_reason: reject_reason(update.decision.decision),
        text,
    };
    network.take_partner_answer(&call.caller, request).await?;
    ok(AllocationUpdated {
        allocation_id: update.allocation_id,
        partners_allocation_id: update.partners_allocation_id,
        parties,
        policy: update.decision.policy,
    })
}

/// Answer a deallocation
///
/// As that of an allocation.
#[utoipa::path(put, path = "/partners/deallocations", tag = "Allocations",
    operation_id = "V1PartnerDeallocationsPutRoute",
    params(EnterprisePath),
    request_body = Signed<DeallocationUpdate>,
    responses((status = 200, description = "What was answered.", body = DeallocationUpdated),
        Gate, NotFound, Conflict, Unprocessable, Fault))]
pub(super) async fn answer_deallocation(
    State(network): State<Network>,
    call: Call<Writes>,
) -> Answered<DeallocationUpdated> {
    let path = [("enterpriseId", call.caller.enterprise.id.as_str())];
    let (update, text) = read_signed::<DeallocationUpdate>(&call.json()?, &path)?;
    let parties = update.decision.parties;
    let request = PartnerAnswerRequest {
        kind: AllocationKind::Deallocation,
        id: update.deallocation_id,
        currency: parties.amount.currency.clone(),
        quantity: parties.amount.quantity.as_str().to_owned(),
        client_id: parties.client_id,
        connection_id: parties.connection_id,
        partners_client_id: parties.partners_client_id.clone(),
        partners_connection_id: parties.partners_connection_id.clone(),
        partner_external_id: update.partners_deallocation_id.clone(),
        reject_reason: reject_reason(update.decision.decision),
        text,
    };
    network.take_partner_answer(&call.caller, request).await?;
    ok(DeallocationUpdated {
        deallocation_id: update.deallocation_id,
        partners_deallocation_id: update.partners_deallocation_id,
        parties,
        policy: update.decision.policy,
    })
}

fn reject_reason(decision: Decision) -> Option<String> {
    match decision {
        Decision::Cleared {} => None,
        Decision::Released { reject_reason } => Some(reject_reason),
    }
}
