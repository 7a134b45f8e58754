//! C1: becoming a client.

use axum::extract::State;
use network::Network;
use wire::api::clients::ClientResponse;

use crate::{
    answer::{Answered, ok},
    gate::{Call, Writes},
    openapi::{EnterprisePath, Fault, Gate, Unprocessable},
    projection,
};

/// Become a client
///
/// Makes the enterprise a client that can connect to partners, with its Go Account behind it. No
/// body. Repeating it answers the client there is.
#[utoipa::path(post, path = "/clients", operation_id = "v1ClientsPostRoute", tag = "Clients",
    params(EnterprisePath),
    responses((status = 200, description = "The client.", body = ClientResponse),
        Gate, Unprocessable, Fault))]
pub(super) async fn become_client(
    State(network): State<Network>,
    call: Call<Writes>,
) -> Answered<ClientResponse> {
    let client = network.become_client(&call.caller).await?;
    ok(ClientResponse {
        client: projection::client(client),
    })
}
