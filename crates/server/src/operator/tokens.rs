//! Access tokens: issued, listed, revoked. A token is shown once, when it is issued; neither it nor
//! its hash can be read afterwards.

use std::collections::HashMap;

use axum::extract::State;
use ledger::Timestamp;
use network::{Network, NewToken, Operator, TokenKind};
use rules::{
    TokenId, UserId,
    record::{self, Scope, TokenSecret},
};
use serde::Serialize;
use utoipa::ToSchema;
use wire::{
    api::DateTime,
    body::{Fault, Reader},
    filters::Page,
    json::Json,
};

use super::{
    input, part, read,
    spellings::{self, TOKEN_KINDS},
};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::time,
};

/// An access token, without what proves it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccessToken {
    /// Its id; not the token.
    #[schema(value_type = uuid::Uuid)]
    id: String,
    /// Whose.
    user_id: String,
    /// What it is called.
    label: String,
    /// Whether it can also prove itself by request HMACs (`v2x`) or not (`plain`).
    #[schema(value_type = spellings::AccessTokenKind)]
    kind: &'static str,
    /// What it may be used for.
    #[schema(value_type = Vec<spellings::Scope>)]
    scopes: Vec<Scope>,
    /// Networks (CIDR) that it may be used from; none: from anywhere.
    networks: Vec<String>,
    /// When it stops to count; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<DateTime>,
    /// When it was revoked; absent while it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<DateTime>,
    /// When it was last used, to the minute; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_used_at: Option<DateTime>,
    /// When it was issued.
    created_at: DateTime,
}

impl AccessToken {
    fn new(token: record::AccessToken, used_at: Option<Timestamp>) -> Self {
        AccessToken {
            id: token.id.to_string(),
            user_id: token.user_id.to_string(),
            label: token.label,
            kind: match token.secret {
                TokenSecret::Plain => "plain",
                TokenSecret::V2x { .. } => "v2x",
            },
            scopes: token.scopes,
            networks: token.networks,
            expires_at: token.expires_at.map(time),
            revoked_at: token.revoked_at.map(time),
            last_used_at: used_at.map(time),
            created_at: time(token.created_at),
        }
    }
}

/// One access token.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccessTokenResponse {
    access_token: AccessToken,
}

/// A new access token.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct IssuedTokenResponse {
    access_token: AccessToken,
    /// The token itself, shown this once.
    token: String,
}

/// One page of access tokens.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccessTokensResponse {
    access_tokens: Vec<AccessToken>,
}

/// A token that a user shall get.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct WantedToken {
    /// What it is called, at most 512 bytes.
    #[schema(min_length = 1)]
    label: String,
    /// `plain` if left out.
    #[schema(value_type = Option<spellings::AccessTokenKind>)]
    kind: TokenKind,
    /// What it may be used for. To change something in an enterprise, reading is needed as well; the
    /// operator API needs `installation`, beside the user's role.
    #[schema(value_type = Vec<spellings::Scope>)]
    scopes: Vec<Scope>,
    /// Networks (CIDR) that it may be used from; left out or empty: from anywhere.
    #[schema(required = false)]
    networks: Vec<String>,
    /// When it stops to count, in the future; left out: never.
    expires_at: Option<DateTime>,
}

impl WantedToken {
    fn read(json: &Json, now: Timestamp) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let label = input::text(&body, "label");
        let kind = body.optional_choice("kind", TOKEN_KINDS);
        let scopes = input::choices(&body, "scopes", Scope::ALL);
        let networks = input::optional_texts(&body, "networks");
        let expires_at = body.optional_date_time("expiresAt");
        if expires_at.is_some_and(|at| at <= now.0) {
            body.fault("expiresAt", "must lie in the future");
        }
        body.finish(|| {
            Some(WantedToken {
                label: label?,
                kind: kind.unwrap_or(TokenKind::Plain),
                scopes: scopes?,
                networks: networks?,
                expires_at: expires_at.map(DateTime),
            })
        })
    }
}

/// Issue an access token
///
/// The answer holds the token; it cannot be read again. Repeating the request issues another one.
#[utoipa::path(post, path = "/users/{userId}/tokens", tag = "Operator", operation_id = "operatorIssueToken",
    params(("userId" = String, Path, description = "For whom.")),
    request_body = WantedToken,
    responses((status = 200, description = "The token.", body = IssuedTokenResponse),
        openapi::Gate, openapi::NotFound, openapi::Fault))]
pub(super) async fn issue(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<IssuedTokenResponse> {
    let user_id = input::from_path(&call.path, "userId")?;
    let operator = network.operator(call.user_id);
    let now = network.real_time();
    let wanted = WantedToken::read(&call.json()?, now).map_err(ApiError::invalid)?;
    let issued = operator
        .issue_token(NewToken {
            user_id,
            label: wanted.label,
            kind: wanted.kind,
            scopes: wanted.scopes,
            networks: wanted.networks,
            expires_at: wanted.expires_at.map(Timestamp::from),
        })
        .await?;
    ok(IssuedTokenResponse {
        access_token: AccessToken::new(issued.record, None),
        token: issued.token.to_string(),
    })
}

/// List access tokens
///
/// Those of a user or all, the oldest first; revoked ones stay listed.
#[utoipa::path(get, path = "/tokens", tag = "Operator", operation_id = "operatorListTokens",
    params(("userId" = Option<String>, Query, description = "Only those of this user."), Page),
    responses((status = 200, description = "The tokens.", body = AccessTokensResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<AccessTokensResponse> {
    let filters = call.filters()?;
    let wanted = (input::filter::<UserId>(&filters, "userId"), filters.page());
    let (user, page) = filters.finish(wanted).map_err(ApiError::invalid)?;
    let operator = network.operator(call.user_id);
    let found = read(operator.records().access_tokens(user).await)?;
    let used = last_uses(operator).await?;
    let shown = part(found, page).map(|token| {
        let used_at = used.get(&token.id).copied();
        AccessToken::new(token, used_at)
    });
    ok(AccessTokensResponse {
        access_tokens: shown.collect(),
    })
}

/// Revoke an access token
///
/// Another server of the same network may go on to accept it for up to five seconds.
#[utoipa::path(delete, path = "/tokens/{tokenId}", tag = "Operator", operation_id = "operatorRevokeToken",
    params(("tokenId" = uuid::Uuid, Path, description = "Which token, by its id.")),
    responses((status = 200, description = "The revoked token.", body = AccessTokenResponse),
        openapi::Gate, openapi::NotFound, openapi::Fault))]
pub(super) async fn revoke(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<AccessTokenResponse> {
    let id = input::from_path(&call.path, "tokenId")?;
    let operator = network.operator(call.user_id);
    let token = operator.revoke_token(id).await?;
    let used_at = last_uses(operator).await?.get(&id).copied();
    ok(AccessTokenResponse {
        access_token: AccessToken::new(token, used_at),
    })
}

async fn last_uses(operator: Operator<'_>) -> Result<HashMap<TokenId, Timestamp>, ApiError> {
    let uses = read(operator.records().token_uses().await)?;
    Ok(uses
        .into_iter()
        .map(|used| (used.token_id, used.used_at))
        .collect())
}
