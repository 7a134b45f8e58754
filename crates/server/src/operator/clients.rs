//! Clients as the operator sees them: which are suspended.

use axum::extract::State;
use network::Network;
use rules::record;
use serde::Serialize;
use utoipa::ToSchema;
use wire::{
    api::DateTime,
    body::{Fault, Reader},
    filters::Page,
    json::Json,
};

use super::{input, page_of, read, stored};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::time,
};

/// An enterprise as a client, as the operator sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OperatedClient {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: String,
    /// Its enterprise.
    enterprise_id: String,
    /// The Go Account it allocates from.
    go_account_id: String,
    /// The legal custodian of the enterprise.
    trust_org: String,
    /// Since when it is suspended; absent: it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended_at: Option<DateTime>,
    /// When it joined.
    created_at: DateTime,
    /// When it last changed.
    updated_at: DateTime,
}

impl From<record::Client> for OperatedClient {
    fn from(client: record::Client) -> Self {
        OperatedClient {
            id: client.id.to_string(),
            enterprise_id: client.enterprise_id.to_string(),
            go_account_id: client.go_account_id.to_string(),
            trust_org: client.trust_org,
            suspended_at: client.suspended_at.map(time),
            created_at: time(client.created_at),
            updated_at: time(client.updated_at),
        }
    }
}

/// One client.
#[derive(Serialize, ToSchema)]
pub(super) struct OperatedClientResponse {
    client: OperatedClient,
}

/// One page of clients.
#[derive(Serialize, ToSchema)]
pub(super) struct OperatedClientsResponse {
    clients: Vec<OperatedClient>,
}

/// Whether a client or a connection shall be suspended.
#[derive(ToSchema)]
pub(super) struct Suspension {
    /// Whether it shall be suspended.
    suspended: bool,
}

impl Suspension {
    /// Reads the body: whether it shall be suspended.
    ///
    /// # Errors
    /// All faults at once.
    pub(super) fn read(json: &Json) -> Result<bool, Vec<Fault>> {
        let body = Reader::new(json)?;
        let suspended = body.boolean("suspended");
        let wanted = body.finish(|| {
            Some(Suspension {
                suspended: suspended?,
            })
        })?;
        Ok(wanted.suspended)
    }
}

/// List clients
///
/// The newest first.
#[utoipa::path(get, path = "/clients", tag = "Operator", operation_id = "operatorListClients",
    params(Page),
    responses((status = 200, description = "The clients.", body = OperatedClientsResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<OperatedClientsResponse> {
    let page = stored(page_of(&call)?);
    let operator = network.operator(call.user_id);
    let found = read(operator.records().all_clients(page).await)?;
    ok(OperatedClientsResponse {
        clients: found.into_iter().map(OperatedClient::from).collect(),
    })
}

/// Suspend or reactivate a client
///
/// A suspended client opens no connections and allocates nothing (422, `client_suspended`). Its money
/// is no hostage: it deallocates and is settled as ever. It counts from the next request on, on every
/// server.
#[utoipa::path(put, path = "/clients/{clientId}", tag = "Operator", operation_id = "operatorUpdateClient",
    params(("clientId" = uuid::Uuid, Path, description = "Which client.")),
    request_body = Suspension,
    responses((status = 200, description = "The client.", body = OperatedClientResponse),
        openapi::Gate, openapi::NotFound, openapi::Fault))]
pub(super) async fn update(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<OperatedClientResponse> {
    let id = rules::ClientId(input::from_path(&call.path, "clientId")?);
    let suspended = Suspension::read(&call.json()?).map_err(ApiError::invalid)?;
    let operator = network.operator(call.user_id);
    let client = operator.suspend_client(id, suspended).await?;
    ok(OperatedClientResponse {
        client: client.into(),
    })
}
