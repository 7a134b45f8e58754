//! C15, P8: balances.

use axum::extract::State;
use network::{Network, PartnerTerms};
use store::ConnectionFilter;
use wire::api::balances::{
    ClientBalancesFilter, ClientBalancesResponse, ClientConnectionBalances, PartnerBalancesFilter,
    PartnerBalancesResponse, PartnerConnectionBalances,
};

use super::page;
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{Call, Reads},
    openapi::{EnterprisePath, Fault, Gate, NotFound},
    projection,
};

/// Balances (client)
///
/// What the Go Account has and what is allocated on each connection. The latter moves with
/// allocations, deallocations and settlements only: it is not what the partner's own books say at
/// this moment.
#[utoipa::path(get, path = "/clients/balances", tag = "Balances",
    operation_id = "v1ClientBalancesGetRoute",
    params(EnterprisePath, ClientBalancesFilter),
    responses((status = 200, description = "The balances.", body = ClientBalancesResponse),
        Gate, NotFound, Fault))]
pub(super) async fn of_client(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<ClientBalancesResponse> {
    let sent = ClientBalancesFilter::read(call.filters()?).map_err(ApiError::invalid)?;
    let filter = ConnectionFilter {
        ids: sent.connection_ids,
        partner_ids: sent.partner_ids,
        ..ConnectionFilter::default()
    };
    let found = network
        .client_balances(&call.caller, filter, page(sent.page))
        .await?;
    let of_connection = |of: network::ConnectionBalances| {
        let (partners_connection_id, _) = of.connection.partners_ids()?;
        let balances = ClientConnectionBalances {
            partner_id: of.partner.id.0,
            partners_connection_id: partners_connection_id.to_owned(),
            name: of.connection.name.clone(),
            partner_institution_identifier: of.partner.institution_identifier,
            balances: projection::client_figures(of.balances),
        };
        Some((of.connection.id.0, balances))
    };
    ok(ClientBalancesResponse {
        client_id: found.client_id.0,
        balances: projection::client_figures(found.balances),
        network_balances: found
            .connections
            .into_iter()
            .filter_map(of_connection)
            .collect(),
    })
}

/// Balances (partner)
///
/// What the partner's own Go Account has and what is allocated to it on each connection, with the
/// partner's names of currencies and way of writing amounts.
#[utoipa::path(get, path = "/partners/balances", tag = "Balances",
    operation_id = "v1PartnerBalancesGetRoute",
    params(EnterprisePath, PartnerBalancesFilter),
    responses((status = 200, description = "The balances.", body = PartnerBalancesResponse),
        Gate, NotFound, Fault))]
pub(super) async fn of_partner(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<PartnerBalancesResponse> {
    let sent = PartnerBalancesFilter::read(call.filters()?).map_err(ApiError::invalid)?;
    let filter = ConnectionFilter {
        ids: sent.connection_ids,
        partner_ids: sent.partner_ids,
        client_ids: sent.client_ids,
        partners_connection_ids: sent.partners_connection_ids,
        ..ConnectionFilter::default()
    };
    let found = network
        .partner_balances(&call.caller, filter, page(sent.page))
        .await?;
    let none = PartnerTerms::default();
    let of_connection = |of: network::ConnectionBalances| {
        let (partners_connection_id, _) = of.connection.partners_ids()?;
        let terms = found.terms.get(&of.partner.id).unwrap_or(&none);
        let balances = PartnerConnectionBalances {
            client_id: of.connection.client_id.0,
            partner_id: of.partner.id.0,
            partners_connection_id: partners_connection_id.to_owned(),
            balances: projection::partner_figures(of.balances, terms),
        };
        Some((of.connection.id.0, balances))
    };
    // Partners of one enterprise share its Go Account; its figures are told in the first one's
    // terms.
    let own = found.terms.values().next().unwrap_or(&none);
    ok(PartnerBalancesResponse {
        balances: Some(projection::partner_figures(found.balances, own)),
        network_balances: found
            .connections
            .into_iter()
            .filter_map(of_connection)
            .collect(),
    })
}
