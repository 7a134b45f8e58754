//! The developer API, `/api/developer/v1`: what helps those who build against the network.

mod requests;

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Serving;

/// All routes of the developer API.
pub(crate) fn routes() -> OpenApiRouter<Serving> {
    OpenApiRouter::new()
        .routes(routes!(requests::list))
        .routes(routes!(requests::read))
}
