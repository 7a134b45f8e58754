//! The routes of the network protocol, one module per noun, and those that tell of the server.

mod allocations;
mod balances;
mod clients;
mod connections;
mod currencies;
mod partners;
mod payload;
mod settlements;

use axum::extract::State;
use http::StatusCode;
use network::Network;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::answer::Answer;

/// All routes below one enterprise.
pub(crate) fn enterprise() -> OpenApiRouter<Network> {
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
        .routes(routes!(settlements::read_of_partner))
}

/// How the server is.
#[derive(Serialize, ToSchema)]
struct Health {
    /// `ready` or `not_ready`.
    status: &'static str,
}

/// The routes that tell of the server itself.
pub(crate) fn health() -> OpenApiRouter<Network> {
    OpenApiRouter::new().routes(routes!(healthz))
}

/// Whether the server can do its work.
///
/// For load balancers and start scripts; needs no token and tells nothing else.
#[utoipa::path(get, path = "/healthz", operation_id = "healthz", tag = "Server",
    security(()),
    responses((status = 200, description = "The server takes requests.", body = Health),
        (status = 503, description = "It does not, at present.", body = Health)))]
async fn healthz(State(network): State<Network>) -> Answer<Health> {
    match network.is_ready() {
        true => Answer(StatusCode::OK, Health { status: "ready" }),
        false => {
            let status = "not_ready";
            Answer(StatusCode::SERVICE_UNAVAILABLE, Health { status })
        }
    }
}

/// A page as the store counts it.
fn page(page: wire::filters::Page) -> store::Page {
    store::Page {
        number: page.number,
        size: page.size,
    }
}
