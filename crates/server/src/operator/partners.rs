//! Partners as the operator sees them. What was agreed with them stands in
//! [`super::configurations`].

use axum::extract::State;
use network::Network;
use rules::record::{self, KeySchema};
use serde::Serialize;
use store::PartnerFilter;
use utoipa::ToSchema;
use wire::{
    api::DateTime,
    body::{Fault, Reader},
    connection_key::ConnectionKeySchema,
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

/// An exchange or a broker, as the operator sees it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OperatedPartner {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: String,
    /// Its enterprise.
    enterprise_id: String,
    /// The client record of the same enterprise.
    #[schema(value_type = uuid::Uuid)]
    client_id: String,
    /// The Go Account that its settlements run against.
    go_account_id: String,
    /// The legal custodian of the enterprise.
    trust_org: String,
    /// The institution, if it has an id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    institution_id: Option<String>,
    /// The name under which its configuration is found.
    institution_identifier: String,
    /// Its name for people.
    name: String,
    /// Which connection keys it takes.
    #[schema(value_type = ConnectionKeySchema)]
    connection_key_schema: KeySchema,
    /// Whether it is a broker, not an exchange.
    broker: bool,
    /// Whether it takes new connections, allocations and settlements.
    active: bool,
    /// Whether the operator calls it mature.
    stable: bool,
    /// How long clients may dispute a settlement, in minutes; absent: no disputes.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_dispute_window_minutes: Option<u16>,
    /// How long the partner has to cover a settlement, in minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    top_up_window_minutes: Option<u16>,
    /// Whether allocation policies are wanted.
    allocation_policies_enabled: bool,
    /// When it joined.
    created_at: DateTime,
    /// When it last changed.
    updated_at: DateTime,
}

impl From<record::Partner> for OperatedPartner {
    fn from(partner: record::Partner) -> Self {
        OperatedPartner {
            id: partner.id.to_string(),
            enterprise_id: partner.enterprise_id.to_string(),
            client_id: partner.client_id.to_string(),
            go_account_id: partner.go_account_id.to_string(),
            trust_org: partner.trust_org,
            institution_id: partner.institution_id.map(|id| id.to_string()),
            institution_identifier: partner.institution_identifier,
            name: partner.name,
            connection_key_schema: partner.key_schema,
            broker: partner.broker,
            active: partner.active,
            stable: partner.stable,
            client_dispute_window_minutes: partner.dispute_window_minutes,
            top_up_window_minutes: partner.top_up_window_minutes,
            allocation_policies_enabled: partner.allocation_policies_enabled,
            created_at: time(partner.created_at),
            updated_at: time(partner.updated_at),
        }
    }
}

/// One partner.
#[derive(Serialize, ToSchema)]
pub(super) struct OperatedPartnerResponse {
    partner: OperatedPartner,
}

/// One page of partners.
#[derive(Serialize, ToSchema)]
pub(super) struct OperatedPartnersResponse {
    partners: Vec<OperatedPartner>,
}

/// What shall change about a partner.
#[derive(ToSchema)]
pub(super) struct PartnerUpdate {
    /// Whether it takes new connections, allocations and settlements; left out: as it is.
    active: Option<bool>,
    /// Whether it is called mature; left out: as it is.
    stable: Option<bool>,
}

impl PartnerUpdate {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let active = body.optional_boolean("active");
        let stable = body.optional_boolean("stable");
        body.finish(|| Some(PartnerUpdate { active, stable }))
    }
}

/// List partners
///
/// The newest first.
#[utoipa::path(get, path = "/partners", tag = "Operator", operation_id = "operatorListPartners",
    params(Page),
    responses((status = 200, description = "The partners.", body = OperatedPartnersResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<OperatedPartnersResponse> {
    let page = stored(page_of(&call)?);
    let operator = network.operator(call.user_id);
    let found = read(
        operator
            .records()
            .partners(PartnerFilter::default(), page)
            .await,
    )?;
    ok(OperatedPartnersResponse {
        partners: found.into_iter().map(OperatedPartner::from).collect(),
    })
}

/// Stop or resume a partner, or call it mature
#[utoipa::path(put, path = "/partners/{partnerId}", tag = "Operator", operation_id = "operatorUpdatePartner",
    params(("partnerId" = uuid::Uuid, Path, description = "Which partner.")),
    request_body = PartnerUpdate,
    responses((status = 200, description = "The partner.", body = OperatedPartnerResponse),
        openapi::Gate, openapi::NotFound, openapi::Fault))]
pub(super) async fn update(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<OperatedPartnerResponse> {
    let id = input::from_path(&call.path, "partnerId")?;
    let wanted = PartnerUpdate::read(&call.json()?).map_err(ApiError::invalid)?;
    let partner = network
        .operator(call.user_id)
        .update_partner(id, wanted.active, wanted.stable)
        .await?;
    ok(OperatedPartnerResponse {
        partner: partner.into(),
    })
}
