//! The places of users in enterprises.

use axum::extract::State;
use network::Network;
use rules::{
    EnterpriseId,
    record::{self, EnterpriseRole},
};
use serde::Serialize;
use utoipa::ToSchema;
use wire::{
    api::DateTime,
    body::{Fault, Reader},
    json::Json,
};

use super::{input, not_found, read, spellings};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::time,
};

/// A user's place in an enterprise.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Member {
    /// Who.
    user_id: String,
    /// Where.
    enterprise_id: String,
    /// As what; absent once the user was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<spellings::EnterpriseRole>)]
    role: Option<EnterpriseRole>,
    /// When it last changed.
    updated_at: DateTime,
}

impl From<record::Membership> for Member {
    fn from(membership: record::Membership) -> Self {
        Member {
            user_id: membership.user_id.to_string(),
            enterprise_id: membership.enterprise_id.to_string(),
            role: membership.role,
            updated_at: time(membership.updated_at),
        }
    }
}

/// One member.
#[derive(Serialize, ToSchema)]
pub(super) struct MemberResponse {
    member: Member,
}

/// The members of an enterprise.
#[derive(Serialize, ToSchema)]
pub(super) struct MembersResponse {
    members: Vec<Member>,
}

/// What a user shall be in an enterprise.
#[derive(ToSchema)]
pub(super) struct MemberContent {
    /// As what.
    #[schema(value_type = spellings::EnterpriseRole)]
    role: EnterpriseRole,
}

impl MemberContent {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let role = body.choice("role", EnterpriseRole::ALL);
        body.finish(|| Some(MemberContent { role: role? }))
    }
}

/// List the members of an enterprise
#[utoipa::path(get, path = "/enterprises/{enterpriseId}/members", tag = "Operator", operation_id = "operatorListMembers",
    params(("enterpriseId" = String, Path, description = "Which enterprise.")),
    responses((status = 200, description = "The members.", body = MembersResponse),
        openapi::Gate, openapi::NotFound, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<MembersResponse> {
    let enterprise: EnterpriseId = input::from_path(&call.path, "enterpriseId")?;
    let operator = network.operator(call.user_id);
    let known = read(operator.records().enterprise(&enterprise).await)?;
    known.ok_or_else(|| not_found("enterprise"))?;
    let found = read(operator.records().memberships().await)?;
    let of_enterprise = found
        .into_iter()
        .filter(|place| place.enterprise_id == enterprise && place.role.is_some());
    ok(MembersResponse {
        members: of_enterprise.map(Member::from).collect(),
    })
}

/// Make a user a member of an enterprise
#[utoipa::path(put, path = "/enterprises/{enterpriseId}/members/{userId}", tag = "Operator",
    operation_id = "operatorPutMember",
    params(("enterpriseId" = String, Path, description = "Which enterprise."),
        ("userId" = String, Path, description = "Which user.")),
    request_body = MemberContent,
    responses((status = 200, description = "The member.", body = MemberResponse),
        openapi::Gate, openapi::NotFound, openapi::Fault))]
pub(super) async fn put(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<MemberResponse> {
    let wanted = MemberContent::read(&call.json()?).map_err(ApiError::invalid)?;
    set_role(&network, &call, Some(wanted.role)).await
}

/// Remove a user from an enterprise
///
/// The user's tokens count no more there. Removing somebody who is no member changes nothing.
#[utoipa::path(delete, path = "/enterprises/{enterpriseId}/members/{userId}", tag = "Operator",
    operation_id = "operatorRemoveMember",
    params(("enterpriseId" = String, Path, description = "Which enterprise."),
        ("userId" = String, Path, description = "Which user.")),
    responses((status = 200, description = "The former member, without a role.", body = MemberResponse),
        openapi::Gate, openapi::NotFound, openapi::Fault))]
pub(super) async fn remove(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<MemberResponse> {
    set_role(&network, &call, None).await
}

async fn set_role(
    network: &Network,
    call: &OperatorCall,
    role: Option<EnterpriseRole>,
) -> Answered<MemberResponse> {
    let enterprise = input::from_path(&call.path, "enterpriseId")?;
    let user = input::from_path(&call.path, "userId")?;
    let member = network
        .operator(call.user_id)
        .put_membership(user, enterprise, role)
        .await?;
    ok(MemberResponse {
        member: member.into(),
    })
}
