//! The OpenAPI document and the routes it describes, made from one list so that they cannot
//! disagree.

mod texts;

use std::sync::Arc;

use axum::{Router, routing::get};
use http::header;
use utoipa::{
    IntoParams, IntoResponses, Modify, OpenApi, PartialSchema, ToSchema,
    openapi::{
        self, Ref, RefOr, ResponseBuilder, ResponsesBuilder,
        content::ContentBuilder,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};
use utoipa_axum::router::OpenApiRouter;
use wire::api::error::ErrorBody;

use crate::{Serving, developer, events, monitoring, operator, routes, statements};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tidelock",
        description = "An open network for off-exchange settlement: assets stay in custody while they are traded.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&BearerToken),
    security(("token" = []))
)]
struct Document;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let mut token = Http::new(HttpAuthScheme::Bearer);
        token.description = Some(
            "An access token of a member of the enterprise, issued by the operator.".to_owned(),
        );
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(token));
    }
}

/// All routes with their description.
fn routes() -> OpenApiRouter<Serving> {
    OpenApiRouter::with_openapi(Document::openapi())
        .nest(
            "/api/network/v1/enterprises/{enterpriseId}",
            routes::enterprise(),
        )
        .nest(
            "/api/network/v2/enterprises/{enterpriseId}",
            routes::enterprise_v2(),
        )
        .nest("/api/developer/v1", developer::routes())
        .nest(
            "/api/statements/v1/enterprises/{enterpriseId}",
            statements::routes(),
        )
        .merge(events::routes())
        .nest("/api/operator/v1", operator::routes())
        .merge(monitoring::health())
}

/// All routes, and the document with its texts.
pub(crate) fn described() -> (Router<Serving>, openapi::OpenApi) {
    let (routes, mut document) = routes().split_for_parts();
    limit_all(&mut document);
    texts::tell(&mut document);
    (routes, document)
}

/// Whatever asks for a token counts what it sends, so that every operation there can answer 429.
fn limit_all(document: &mut openapi::OpenApi) {
    let paths = document.paths.paths.iter_mut();
    for (_, item) in paths.filter(|(path, _)| path.starts_with("/api/")) {
        for operation in texts::operations(item) {
            let responses = &mut operation.responses.responses;
            for (status, response) in Limited::responses() {
                responses.entry(status).or_insert(response);
            }
        }
    }
}

/// The document alone, as JSON, as `tidelock openapi` prints it.
pub fn document() -> String {
    let (_, document) = described();
    // A document that was put together by types serialises.
    document.to_pretty_json().unwrap_or_default()
}

/// The route that serves the document.
pub(crate) fn document_route(document: openapi::OpenApi) -> Router<Serving> {
    let document: Arc<str> = document.to_json().unwrap_or_default().into();
    let serve = move || {
        let document = Arc::clone(&document);
        async move {
            let headers = [(header::CONTENT_TYPE, "application/json")];
            (headers, document.to_string())
        }
    };
    Router::new().route("/openapi.json", get(serve))
}

/// What every path of the network begins with.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "it is only described; the gate reads it")]
pub(crate) struct EnterprisePath {
    /// The caller's enterprise.
    #[param(rename = "enterpriseId", min_length = 1)]
    enterprise_id: String,
}

/// Declares sets of refusals that operations share.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident { $($status:literal: $description:literal,)+ })+) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<String, RefOr<openapi::Response>> {
                ResponsesBuilder::new()
                    $(.response($status, refusal($description)))+
                    .build()
                    .responses
            }
        }
    )+};
}

refusals! {
    /// What the gate and the reading of a request can say.
    Gate {
        "400": "The request is malformed or contradicts itself; `errors` names every fault.",
        "401": "No, unknown, expired or malformed token; a caller who is no member of the enterprise; a signature that does not verify.",
        "403": "The enterprise has no OES licence, the token lacks a scope, or the role does not allow it.",
        "413": "The body is too large.",
        "415": "The body is not JSON.",
        "503": "The network cannot take this at present, or does not know the outcome yet; repeat it after `Retry-After` seconds.",
    }

    /// The token sends too much.
    Limited {
        "429": "The token has sent too many requests to this server; nothing was done. Repeat it after `Retry-After` seconds.",
    }

    /// Something that is named does not exist.
    NotFound {
        "404": "It does not exist, or is not the caller's.",
    }

    /// It contradicts something that stands already.
    Conflict {
        "409": "The same external id, nonce or reference was used with other content, or the record is final.",
    }

    /// A business rule speaks against it.
    Unprocessable {
        "422": "A business rule speaks against it; `name` says which.",
    }

    /// The program is at fault.
    Fault {
        "500": "An internal fault; the operator finds it by `requestId`.",
    }
}

fn refusal(description: &str) -> openapi::Response {
    let schema = RefOr::Ref(Ref::from_schema_name(ErrorBody::name()));
    let _: fn() -> RefOr<openapi::Schema> = ErrorBody::schema;
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new()
        .description(description)
        .content("application/json", content)
        .build()
}
