//! Connections as the operator sees them: which are suspended.

use axum::extract::State;
use network::Network;
use rules::record::{self, ConnectionState};
use serde::Serialize;
use utoipa::ToSchema;
use wire::{api::DateTime, filters::Page};

use super::{clients::Suspension, input, page_of, read, stored};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::time,
};

/// One client's link to one partner, as the operator sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OperatedConnection {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: String,
    /// What the client calls it.
    name: String,
    /// Whose.
    #[schema(value_type = uuid::Uuid)]
    client_id: String,
    /// The client's enterprise.
    client_enterprise_id: String,
    /// To whom.
    #[schema(value_type = uuid::Uuid)]
    partner_id: String,
    /// The partner's enterprise.
    partner_enterprise_id: String,
    /// Whether the partner has accepted it.
    initialized: bool,
    /// Whether it takes allocations.
    active: bool,
    /// Whether the operator has suspended it.
    suspended: bool,
    /// When it was opened.
    created_at: DateTime,
    /// When it last changed.
    updated_at: DateTime,
}

impl From<record::Connection> for OperatedConnection {
    fn from(connection: record::Connection) -> Self {
        OperatedConnection {
            id: connection.id.to_string(),
            name: connection.name,
            client_id: connection.client_id.to_string(),
            client_enterprise_id: connection.client_enterprise_id.to_string(),
            partner_id: connection.partner_id.to_string(),
            partner_enterprise_id: connection.partner_enterprise_id.to_string(),
            initialized: matches!(connection.state, ConnectionState::Initialized { .. }),
            active: connection.active,
            suspended: connection.suspended.is_some(),
            created_at: time(connection.created_at),
            updated_at: time(connection.updated_at),
        }
    }
}

/// One connection.
#[derive(Serialize, ToSchema)]
pub(super) struct OperatedConnectionResponse {
    connection: OperatedConnection,
}

/// One page of connections.
#[derive(Serialize, ToSchema)]
pub(super) struct OperatedConnectionsResponse {
    connections: Vec<OperatedConnection>,
}

/// List connections
///
/// Those of all clients, the newest first.
#[utoipa::path(get, path = "/connections", tag = "Operator", operation_id = "operatorListConnections",
    params(Page),
    responses((status = 200, description = "The connections.", body = OperatedConnectionsResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<OperatedConnectionsResponse> {
    let page = stored(page_of(&call)?);
    let operator = network.operator(call.user_id);
    let found = read(operator.records().all_connections(page).await)?;
    ok(OperatedConnectionsResponse {
        connections: found.into_iter().map(OperatedConnection::from).collect(),
    })
}

/// Suspend or reactivate a connection
///
/// Nothing is allocated over a suspended connection (422, `connection_suspended`), and its client
/// cannot activate it. Its money is no hostage: it is deallocated and settled as ever. Reactivated, it
/// is as active as its client last wanted it.
#[utoipa::path(put, path = "/connections/{connectionId}", tag = "Operator", operation_id = "operatorUpdateConnection",
    params(("connectionId" = uuid::Uuid, Path, description = "Which connection.")),
    request_body = Suspension,
    responses((status = 200, description = "The connection.", body = OperatedConnectionResponse),
        openapi::Gate, openapi::NotFound, openapi::Fault))]
pub(super) async fn update(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<OperatedConnectionResponse> {
    let id = rules::ConnectionId(input::from_path(&call.path, "connectionId")?);
    let suspended = Suspension::read(&call.json()?).map_err(ApiError::invalid)?;
    let operator = network.operator(call.user_id);
    let connection = operator.suspend_connection(id, suspended).await?;
    ok(OperatedConnectionResponse {
        connection: connection.into(),
    })
}
