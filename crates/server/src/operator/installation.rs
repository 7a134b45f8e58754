//! What holds for the installation as a whole: whether acts on money need a second operator.

use axum::extract::State;
use network::Network;
use rules::{
    approve::EXPIRE_AFTER_S,
    record::{ApprovalPolicy, InstallationRole},
};
use serde::Serialize;
use utoipa::ToSchema;
use wire::{
    body::{Fault, Reader},
    json::Json,
};

use super::{
    proposals::{ActAnswer, ProposalResponse, answered},
    read,
};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
};

/// The installation as a whole.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Installation {
    /// Whether acts on money (deposits, withdrawals, releases of holds) are done only once a second
    /// operator has approved them. If not, one operator alone moves money.
    second_operator_required: bool,
    /// How long a proposal can be approved, in seconds.
    proposals_expire_after_seconds: i64,
    /// How many operators there are.
    operators: usize,
}

/// The installation.
#[derive(Serialize, ToSchema)]
pub(super) struct InstallationResponse {
    installation: Installation,
}

/// What shall change about the installation.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct InstallationUpdate {
    /// Whether acts on money shall need a second operator; left out: as it is.
    second_operator_required: Option<bool>,
    /// How long a proposal shall be open, in seconds; left out: as it is.
    #[schema(minimum = 60, maximum = 2678400)]
    proposals_expire_after_seconds: Option<i64>,
}

impl InstallationUpdate {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let second_operator_required = body.optional_boolean("secondOperatorRequired");
        let (least, most) = (*EXPIRE_AFTER_S.start(), *EXPIRE_AFTER_S.end());
        let expire_after = body.optional_integer("proposalsExpireAfterSeconds", least, most);
        body.finish(|| {
            Some(InstallationUpdate {
                second_operator_required,
                proposals_expire_after_seconds: expire_after,
            })
        })
    }
}

async fn shown(
    network: &Network,
    policy: ApprovalPolicy,
) -> Result<InstallationResponse, ApiError> {
    let users = read(network.installation().records().users().await)?;
    let is_operator = |role| role == Some(InstallationRole::Operator);
    Ok(InstallationResponse {
        installation: Installation {
            second_operator_required: policy.second_operator_required,
            proposals_expire_after_seconds: policy.proposals_expire_after_s,
            operators: users.iter().filter(|user| is_operator(user.role)).count(),
        },
    })
}

/// Show the installation
#[utoipa::path(get, path = "/installation", tag = "Operator", operation_id = "operatorGetInstallation",
    responses((status = 200, description = "The installation.", body = InstallationResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn show(
    State(network): State<Network>,
    _call: AuditCall,
) -> Answered<InstallationResponse> {
    let policy = network.approval_policy().await?;
    ok(shown(&network, policy).await?)
}

/// Make acts on money need a second operator, or no more
///
/// It needs another operator to be switched on. Once it is on, changing it is an act that a second
/// operator has to approve: the answer is 202 with the proposal. While it is on, nobody becomes or
/// ceases to be an operator, and operators issue their tokens themselves.
#[utoipa::path(put, path = "/installation", tag = "Operator", operation_id = "operatorUpdateInstallation",
    request_body = InstallationUpdate,
    responses((status = 200, description = "The installation.", body = InstallationResponse),
        (status = 202, description = "It waits for a second operator.", body = ProposalResponse),
        openapi::Gate, openapi::Conflict, openapi::Unprocessable, openapi::Fault))]
pub(super) async fn update(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ActAnswer<InstallationResponse>> {
    let wanted = InstallationUpdate::read(&call.json()?).map_err(ApiError::invalid)?;
    let operator = network.operator(call.user_id);
    let undertaken = operator.set_approval_policy(
        wanted.second_operator_required,
        wanted.proposals_expire_after_seconds,
    );
    let undertaken = undertaken.await?;
    let policy = network.approval_policy().await?;
    let installation = shown(&network, policy).await?;
    answered(&network, undertaken, |_, _| installation)
}
