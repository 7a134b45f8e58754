//! C4 to C8, P2, P3: connections.

use axum::extract::State;
use network::{ConnectionRequest, Network};
use store::{ConnectionFilter, Side};
use wire::api::{
    connections::{
        ClientConnectionsFilter, ConnectionResponse, ConnectionUpdate, ConnectionsResponse,
        NewConnection, PartnerConnectionsFilter,
    },
    signed::{Content, Signed, SigningPayload},
};

use super::{
    page,
    payload::{read_signed, to_sign},
};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{Call, Demand, Reads, Writes},
    openapi::{Conflict, EnterprisePath, Fault, Gate, NotFound, Unprocessable},
    projection,
};

/// Payload to sign for a connection
///
/// Answers the text that has to be signed, byte for byte, and sent as `payload` beside the same
/// members. Nothing is stored.
#[utoipa::path(post, path = "/clients/connections/signing", tag = "Connections",
    operation_id = "V1ClientConnectionsSigningPostRoute",
    params(EnterprisePath),
    request_body = NewConnection,
    responses((status = 200, description = "The text to sign.", body = SigningPayload),
        Gate, NotFound, Unprocessable, Fault))]
pub(super) async fn sign(
    State(network): State<Network>,
    call: Call<Writes>,
) -> Answered<SigningPayload> {
    signing_payload(&network, &call).await
}

/// Payload to sign for a connection (GET)
///
/// As the POST form; the members stand in a JSON body.
#[utoipa::path(get, path = "/clients/connections/signing", tag = "Connections",
    operation_id = "V1ClientConnectionsSigningGetRoute",
    params(EnterprisePath),
    request_body = NewConnection,
    responses((status = 200, description = "The text to sign.", body = SigningPayload),
        Gate, NotFound, Unprocessable, Fault))]
pub(super) async fn sign_by_get(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<SigningPayload> {
    signing_payload(&network, &call).await
}

async fn signing_payload<D: Demand>(network: &Network, call: &Call<D>) -> Answered<SigningPayload> {
    let json = call.json()?;
    let new = NewConnection::read(&json).map_err(ApiError::invalid)?;
    network
        .check_connection(new.partner_id, &new.connection_key)
        .await?;
    to_sign::<NewConnection>(&json, &[])
}

/// Connect to a partner
///
/// Opens a connection and asks the partner for it with the connection key. `initialized` is false
/// as long as the partner has not answered; the network keeps asking. A partner that refuses is
/// told as 422. Repeating the request with the same nonce answers the same connection.
#[utoipa::path(post, path = "/clients/connections", tag = "Connections",
    operation_id = "v1ClientConnectionsPostRoute",
    params(EnterprisePath),
    request_body = Signed<NewConnection>,
    responses((status = 200, description = "The connection.", body = ConnectionResponse),
        Gate, NotFound, Conflict, Unprocessable, Fault))]
pub(super) async fn open(
    State(network): State<Network>,
    call: Call<Writes>,
) -> Answered<ConnectionResponse> {
    let path = [("enterpriseId", call.caller.enterprise.id.as_str())];
    let (new, text) = read_signed::<NewConnection>(&call.json()?, &path)?;
    let request = ConnectionRequest {
        partner_id: new.partner_id,
        name: new.name,
        key: new.connection_key,
        text,
    };
    let connection = network.connect(&call.caller, request).await?;
    ok(ConnectionResponse {
        connection: projection::connection(connection),
    })
}

/// List connections (client)
///
/// The client's connections, the newest first.
#[utoipa::path(get, path = "/clients/connections", tag = "Connections",
    operation_id = "v1ClientConnectionsGetRoute",
    params(EnterprisePath, ClientConnectionsFilter),
    responses((status = 200, description = "The connections.", body = ConnectionsResponse),
        Gate, NotFound, Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<ConnectionsResponse> {
    let sent = ClientConnectionsFilter::read(call.filters()?).map_err(ApiError::invalid)?;
    let filter = ConnectionFilter {
        active: sent.active,
        ids: sent.connection_ids,
        names: sent.names,
        partner_ids: sent.partner_ids,
        ..ConnectionFilter::default()
    };
    let page = page(sent.page);
    let found = network
        .connections(&call.caller, Side::Client, filter, page)
        .await?;
    ok(ConnectionsResponse {
        connections: found.into_iter().map(projection::connection).collect(),
    })
}

/// Read a connection (client)
#[utoipa::path(get, path = "/clients/connections/{connectionId}", tag = "Connections",
    operation_id = "v1ClientConnectionGetRoute",
    params(EnterprisePath,
        ("connectionId" = uuid::Uuid, Path, description = "The connection.")),
    responses((status = 200, description = "The connection.", body = ConnectionResponse),
        Gate, NotFound, Fault))]
pub(super) async fn read(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<ConnectionResponse> {
    let id = call.id("connectionId")?;
    let connection = network.connection(&call.caller, Side::Client, id).await?;
    ok(ConnectionResponse {
        connection: projection::connection(connection),
    })
}

/// Rename, stop or resume a connection
///
/// `active: false` blocks new allocations; deallocations still work. Not signed.
#[utoipa::path(put, path = "/clients/connections/{connectionId}", tag = "Connections",
    operation_id = "v1ClientConnectionPutRoute",
    params(EnterprisePath,
        ("connectionId" = uuid::Uuid, Path, description = "The connection.")),
    request_body = ConnectionUpdate,
    responses((status = 200, description = "The connection.", body = ConnectionResponse),
        Gate, NotFound, Unprocessable, Fault))]
pub(super) async fn update(
    State(network): State<Network>,
    call: Call<Writes>,
) -> Answered<ConnectionResponse> {
    let id = call.id("connectionId")?;
    let wanted = ConnectionUpdate::read(&call.json()?).map_err(ApiError::invalid)?;
    let connection = network
        .update_connection(&call.caller, id, wanted.active, wanted.name)
        .await?;
    ok(ConnectionResponse {
        connection: projection::connection(connection),
    })
}

/// List connections (partner)
///
/// The connections to the partners of the enterprise, the newest first.
#[utoipa::path(get, path = "/partners/connections", tag = "Connections",
    operation_id = "v1PartnerConnectionsGetRoute",
    params(EnterprisePath, PartnerConnectionsFilter),
    responses((status = 200, description = "The connections.", body = ConnectionsResponse),
        Gate, NotFound, Fault))]
pub(super) async fn list_of_partner(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<ConnectionsResponse> {
    let sent = PartnerConnectionsFilter::read(call.filters()?).map_err(ApiError::invalid)?;
    let filter = ConnectionFilter {
        active: sent.active,
        ids: sent.connection_ids,
        partner_ids: sent.partner_ids,
        client_ids: sent.client_ids,
        partners_client_ids: sent.partners_client_ids,
        partners_connection_ids: sent.partners_connection_ids,
        ..ConnectionFilter::default()
    };
    let page = page(sent.page);
    let found = network
        .connections(&call.caller, Side::Partner, filter, page)
        .await?;
    ok(ConnectionsResponse {
        connections: found.into_iter().map(projection::connection).collect(),
    })
}

/// Read a connection (partner)
#[utoipa::path(get, path = "/partners/connections/{connectionId}", tag = "Connections",
    operation_id = "v1PartnerConnectionGetRoute",
    params(EnterprisePath,
        ("connectionId" = uuid::Uuid, Path, description = "The connection.")),
    responses((status = 200, description = "The connection.", body = ConnectionResponse),
        Gate, NotFound, Fault))]
pub(super) async fn read_of_partner(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<ConnectionResponse> {
    let id = call.id("connectionId")?;
    let connection = network.connection(&call.caller, Side::Partner, id).await?;
    ok(ConnectionResponse {
        connection: projection::connection(connection),
    })
}
