//! Enterprises and their licences.

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

use super::{input, page_of, part, read};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::time,
};

/// A tenant of the network.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Enterprise {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// The legal custodian it belongs to; only enterprises of the same one can connect.
    trust_org: String,
    /// Whether it may use off-exchange settlement.
    licensed: bool,
    /// The Go Account that it uses in the network: its first one; absent before it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    go_account_id: Option<String>,
    /// When it was made.
    created_at: DateTime,
    /// When it last changed.
    updated_at: DateTime,
}

impl From<record::Enterprise> for Enterprise {
    fn from(enterprise: record::Enterprise) -> Self {
        Enterprise {
            id: enterprise.id.to_string(),
            name: enterprise.name,
            trust_org: enterprise.trust_org,
            licensed: enterprise.licensed,
            go_account_id: enterprise.go_account.map(|id| id.to_string()),
            created_at: time(enterprise.created_at),
            updated_at: time(enterprise.updated_at),
        }
    }
}

/// One enterprise.
#[derive(Serialize, ToSchema)]
pub(super) struct EnterpriseResponse {
    enterprise: Enterprise,
}

/// One page of enterprises.
#[derive(Serialize, ToSchema)]
pub(super) struct EnterprisesResponse {
    enterprises: Vec<Enterprise>,
}

/// How an enterprise shall be.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct EnterpriseContent {
    /// Its name, at most 512 bytes.
    #[schema(min_length = 1)]
    name: String,
    /// The legal custodian it belongs to, at most 512 bytes. It stays, once set.
    #[schema(min_length = 1)]
    trust_org: String,
    /// Whether it may use off-exchange settlement.
    licensed: bool,
}

impl EnterpriseContent {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let name = input::text(&body, "name");
        let trust_org = input::text(&body, "trustOrg");
        let licensed = body.boolean("licensed");
        body.finish(|| {
            Some(EnterpriseContent {
                name: name?,
                trust_org: trust_org?,
                licensed: licensed?,
            })
        })
    }
}

/// List enterprises
///
/// The oldest first.
#[utoipa::path(get, path = "/enterprises", tag = "Operator", operation_id = "operatorListEnterprises",
    params(Page),
    responses((status = 200, description = "The enterprises.", body = EnterprisesResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<EnterprisesResponse> {
    let page = page_of(&call)?;
    let found = network.operator(call.user_id).records().enterprises().await;
    ok(EnterprisesResponse {
        enterprises: part(read(found)?, page).map(Enterprise::from).collect(),
    })
}

/// Make or change an enterprise
///
/// Without its licence an enterprise can neither read nor change anything.
#[utoipa::path(put, path = "/enterprises/{enterpriseId}", tag = "Operator", operation_id = "operatorPutEnterprise",
    params(("enterpriseId" = String, Path, description = "1 to 64 characters out of letters, digits, _ and -.")),
    request_body = EnterpriseContent,
    responses((status = 200, description = "The enterprise.", body = EnterpriseResponse),
        openapi::Gate, openapi::Unprocessable, openapi::Fault))]
pub(super) async fn put(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<EnterpriseResponse> {
    let id = input::from_path(&call.path, "enterpriseId")?;
    let wanted = EnterpriseContent::read(&call.json()?).map_err(ApiError::invalid)?;
    let enterprise = network
        .operator(call.user_id)
        .put_enterprise(id, wanted.name, wanted.trust_org, wanted.licensed)
        .await?;
    ok(EnterpriseResponse {
        enterprise: enterprise.into(),
    })
}
