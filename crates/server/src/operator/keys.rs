//! Keys that may sign for a Go Account.

use axum::extract::State;
use network::Network;
use rules::record;
use serde::Serialize;
use utoipa::ToSchema;
use wire::{
    api::DateTime,
    body::{Fault, Reader},
    json::Json,
};

use super::{input, not_found, read};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::time,
};

/// A public key that may sign for a Go Account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SigningKey {
    /// Its id: 32 hexadecimal digits.
    id: String,
    /// For which account.
    go_account_id: String,
    /// The compressed secp256k1 key: 66 hexadecimal digits.
    public_key: String,
    /// The key as it was given: an xpub, hexadecimal digits or base64 SPKI.
    given_as: String,
    /// What it is called.
    label: String,
    /// When it stopped to count; absent while it counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<DateTime>,
    /// When it was added.
    created_at: DateTime,
}

impl From<record::SigningKey> for SigningKey {
    fn from(key: record::SigningKey) -> Self {
        SigningKey {
            id: key.id.to_string(),
            go_account_id: key.go_account_id.to_string(),
            public_key: hex::encode(key.public_key),
            given_as: key.given_as,
            label: key.label,
            revoked_at: key.revoked_at.map(time),
            created_at: time(key.created_at),
        }
    }
}

/// One key.
#[derive(Serialize, ToSchema)]
pub(super) struct SigningKeyResponse {
    key: SigningKey,
}

/// The keys of a Go Account.
#[derive(Serialize, ToSchema)]
pub(super) struct SigningKeysResponse {
    keys: Vec<SigningKey>,
}

/// A key that shall sign for a Go Account.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct NewSigningKey {
    /// A secp256k1 public key: an xpub, 66 hexadecimal digits or base64 SPKI.
    #[schema(min_length = 1)]
    public_key: String,
    /// What it is called, at most 512 bytes.
    #[schema(min_length = 1)]
    label: String,
}

impl NewSigningKey {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let public_key = input::text(&body, "publicKey");
        let label = input::text(&body, "label");
        body.finish(|| {
            Some(NewSigningKey {
                public_key: public_key?,
                label: label?,
            })
        })
    }
}

/// List the keys of a Go Account
///
/// The oldest first; revoked ones stay listed.
#[utoipa::path(get, path = "/goAccounts/{goAccountId}/keys", tag = "Operator", operation_id = "operatorListKeys",
    params(("goAccountId" = String, Path, description = "Which account.")),
    responses((status = 200, description = "The keys.", body = SigningKeysResponse),
        openapi::Gate, openapi::NotFound, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<SigningKeysResponse> {
    let account = input::from_path(&call.path, "goAccountId")?;
    let operator = network.operator(call.user_id);
    let known = read(operator.records().go_account(account).await)?;
    known.ok_or_else(|| not_found("Go Account"))?;
    let found = read(operator.records().signing_keys(Some(account)).await)?;
    ok(SigningKeysResponse {
        keys: found.into_iter().map(SigningKey::from).collect(),
    })
}

/// Let a key sign for a Go Account
///
/// A key that may sign already is answered as it is. A key that was revoked is added anew, with
/// another id.
#[utoipa::path(post, path = "/goAccounts/{goAccountId}/keys", tag = "Operator", operation_id = "operatorAddKey",
    params(("goAccountId" = String, Path, description = "Which account.")),
    request_body = NewSigningKey,
    responses((status = 200, description = "The key.", body = SigningKeyResponse),
        openapi::Gate, openapi::NotFound, openapi::Fault))]
pub(super) async fn add(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<SigningKeyResponse> {
    let account = input::from_path(&call.path, "goAccountId")?;
    let wanted = NewSigningKey::read(&call.json()?).map_err(ApiError::invalid)?;
    let key = network
        .operator(call.user_id)
        .add_signing_key(account, wanted.public_key, wanted.label)
        .await?;
    ok(SigningKeyResponse { key: key.into() })
}

/// Revoke a key
///
/// From now on it signs nothing; what it has signed stands.
#[utoipa::path(delete, path = "/keys/{keyId}", tag = "Operator", operation_id = "operatorRevokeKey",
    params(("keyId" = String, Path, description = "Which key.")),
    responses((status = 200, description = "The revoked key.", body = SigningKeyResponse),
        openapi::Gate, openapi::NotFound, openapi::Fault))]
pub(super) async fn revoke(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<SigningKeyResponse> {
    let id = input::from_path(&call.path, "keyId")?;
    let key = network
        .operator(call.user_id)
        .revoke_signing_key(id)
        .await?;
    ok(SigningKeyResponse { key: key.into() })
}
