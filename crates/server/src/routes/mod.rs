//! The routes of the network protocol, one module per noun.

mod allocations;
mod balances;
mod clients;
mod connections;
mod currencies;
mod disputes;
mod on_chain;
mod partners;
mod payload;
mod settlements;
mod trades;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Serving;

/// All routes below one enterprise.
#[expect(
    deprecated,
    reason = "a former path is served for those who still use it"
)]
pub(crate) fn enterprise() -> OpenApiRouter<Serving> {
    OpenApiRouter::new()
        .routes(routes!(clients::become_client))
        .routes(routes!(partners::list, partners::create))
        .routes(routes!(currencies::list))
        .routes(routes!(connections::sign, connections::sign_by_get))
        .routes(routes!(connections::list, connections::open))
        .routes(routes!(connections::read, connections::update))
        .routes(routes!(allocations::sign, allocations::sign_by_get))
        .routes(routes!(allocations::allocate))
        .routes(routes!(
            allocations::sign_deallocation,
            allocations::sign_deallocation_by_get
        ))
        .routes(routes!(allocations::deallocate))
        .routes(routes!(allocations::list))
        .routes(routes!(allocations::read))
        .routes(routes!(balances::of_client))
        .routes(routes!(settlements::list_of_client))
        .routes(routes!(settlements::read_of_client))
        .routes(routes!(settlements::transfers))
        .routes(routes!(connections::list_of_partner))
        .routes(routes!(connections::read_of_partner))
        .routes(routes!(
            allocations::list_of_partner,
            allocations::answer_allocation
        ))
        .routes(routes!(allocations::read_of_partner))
        .routes(routes!(allocations::answer_deallocation))
        .routes(routes!(balances::of_partner))
        .routes(routes!(settlements::sign, settlements::sign_by_get))
        .routes(routes!(settlements::list_of_partner, settlements::settle))
        .routes(routes!(settlements::settle_not_reconciled))
        .routes(routes!(settlements::read_of_partner))
        .routes(routes!(on_chain::settle))
        .routes(routes!(on_chain::announce))
        .routes(routes!(
            on_chain::sign_deposits,
            on_chain::sign_deposits_by_get
        ))
        .routes(routes!(trades::sign, trades::sign_by_get))
        .routes(routes!(disputes::open))
        .routes(routes!(disputes::update))
        .routes(routes!(disputes::close))
        .routes(routes!(disputes::list_of_client))
        .routes(routes!(disputes::list_of_partner))
}

/// The routes of version 2 below one enterprise.
pub(crate) fn enterprise_v2() -> OpenApiRouter<Serving> {
    OpenApiRouter::new().routes(routes!(settlements::stage))
}

/// A page as the store counts it.
fn page(page: wire::filters::Page) -> store::Page {
    store::Page {
        number: page.number,
        size: page.size,
    }
}
