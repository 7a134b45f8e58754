//! C2, P1: partners.

use axum::extract::State;
use network::{Network, PartnerRequest};
use store::PartnerFilter;
use wire::api::partners::{NewPartner, PartnerResponse, PartnersFilter, PartnersResponse};

use super::page;
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{Call, Reads, Writes},
    openapi::{EnterprisePath, Fault, Gate, Unprocessable},
    projection,
};

/// Create Partner
///
/// Adds the enterprise as a partner that clients can connect to. The operator has to have made a
/// partner configuration for this enterprise and `institutionIdentifier` before. Repeating it with
/// the same content answers the partner there is; with other content it is refused (422).
#[utoipa::path(post, path = "/partners", operation_id = "v1PartnersPostRoute", tag = "Partners",
    params(EnterprisePath),
    request_body = NewPartner,
    responses((status = 200, description = "The partner.", body = PartnerResponse),
        Gate, Unprocessable, Fault))]
pub(super) async fn create(
    State(network): State<Network>,
    call: Call<Writes>,
) -> Answered<PartnerResponse> {
    let new = NewPartner::read(&call.json()?).map_err(ApiError::invalid)?;
    let request = PartnerRequest {
        name: new.name,
        broker: new.broker,
        institution_id: new.institution_id,
        institution_identifier: new.institution_identifier,
        key_schema: projection::own_key_schema(new.connection_key_schema),
        dispute_window_minutes: new.client_dispute_window_minutes,
        top_up_window_minutes: new.top_up_window_minutes,
        allocation_policies_enabled: new.allocation_policies_enabled,
    };
    let (partner, public_key) = network.create_partner(&call.caller, request).await?;
    ok(PartnerResponse {
        partner: projection::partner(partner, public_key),
    })
}

/// List partners
///
/// Partners that one can connect to, the newest first.
#[utoipa::path(get, path = "/partners", operation_id = "v1PartnersGetRoute", tag = "Partners",
    params(EnterprisePath, PartnersFilter),
    responses((status = 200, description = "The partners.", body = PartnersResponse), Gate, Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<PartnersResponse> {
    let sent = PartnersFilter::read(call.filters()?).map_err(ApiError::invalid)?;
    let filter = PartnerFilter {
        ids: sent.ids,
        names: sent.names,
        institution_ids: sent.institution_ids,
        institution_identifiers: sent.institution_identifiers,
        active: sent.active,
        allocation_policies_enabled: sent.allocation_policies_enabled,
        ..PartnerFilter::default()
    };
    let own_only = sent.filter_by_trust_org == Some(true);
    let views = network
        .partners(&call.caller, filter, own_only, page(sent.page))
        .await?;
    let listed = views
        .into_iter()
        .map(|view| projection::listed_partner(view.partner, view.public_key));
    ok(PartnersResponse {
        partners: listed.collect(),
    })
}
