//! People and machines, and what they may do to the installation. Their places in enterprises
//! stand in [`super::members`], their tokens in [`super::tokens`].

use axum::extract::State;
use network::Network;
use rules::record::{self, InstallationRole};
use serde::Serialize;
use utoipa::ToSchema;
use wire::{
    api::DateTime,
    body::{Fault, Reader},
    filters::Page,
    json::Json,
};

use super::{input, page_of, part, read, spellings};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::time,
};

/// A person or a machine.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    /// Its id: 32 hexadecimal digits.
    id: String,
    /// Its name.
    name: String,
    /// What it may do to the installation; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<spellings::InstallationRole>)]
    role: Option<InstallationRole>,
    /// When it was made.
    created_at: DateTime,
    /// When it last changed.
    updated_at: DateTime,
}

impl From<record::User> for User {
    fn from(user: record::User) -> Self {
        User {
            id: user.id.to_string(),
            name: user.name,
            role: user.role,
            created_at: time(user.created_at),
            updated_at: time(user.updated_at),
        }
    }
}

/// One user.
#[derive(Serialize, ToSchema)]
pub(super) struct UserResponse {
    user: User,
}

/// One page of users.
#[derive(Serialize, ToSchema)]
pub(super) struct UsersResponse {
    users: Vec<User>,
}

/// How a user shall be.
#[derive(ToSchema)]
pub(super) struct UserContent {
    /// Its name, at most 512 bytes.
    #[schema(min_length = 1)]
    name: String,
    /// What it may do to the installation; absent or `null`: nothing.
    #[schema(value_type = Option<spellings::InstallationRole>)]
    role: Option<InstallationRole>,
}

impl UserContent {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let name = input::text(&body, "name");
        let role = body.optional_choice("role", InstallationRole::ALL);
        body.finish(|| Some(UserContent { name: name?, role }))
    }
}

/// List users
///
/// The oldest first.
#[utoipa::path(get, path = "/users", tag = "Operator", operation_id = "operatorListUsers",
    params(Page),
    responses((status = 200, description = "The users.", body = UsersResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<UsersResponse> {
    let page = page_of(&call)?;
    let found = network.operator(call.user_id).records().users().await;
    ok(UsersResponse {
        users: part(read(found)?, page).map(User::from).collect(),
    })
}

/// Make or change a user
///
/// A user whose role is left out has none: that is how an operator is made an ordinary user again.
#[utoipa::path(put, path = "/users/{userId}", tag = "Operator", operation_id = "operatorPutUser",
    params(("userId" = String, Path, description = "32 hexadecimal digits.")),
    request_body = UserContent,
    responses((status = 200, description = "The user.", body = UserResponse),
        openapi::Gate, openapi::Unprocessable, openapi::Fault))]
pub(super) async fn put(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<UserResponse> {
    let id = input::from_path(&call.path, "userId")?;
    let wanted = UserContent::read(&call.json()?).map_err(ApiError::invalid)?;
    let user = network
        .operator(call.user_id)
        .put_user(id, wanted.name, wanted.role)
        .await?;
    ok(UserResponse { user: user.into() })
}
