//! The public keys of partners, which clients seal connection keys to: set, replaced and removed by
//! themselves, without repeating the rest of what was agreed.

use axum::extract::State;
use network::Network;
use utoipa::ToSchema;
use wire::{
    body::{Fault, Reader},
    json::Json,
};

use super::{configurations::PartnerConfigurationResponse, input};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::OperatorCall,
    openapi,
};

/// The public key of a partner.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct PartnerKey {
    /// An RSA public key in PEM (SPKI).
    #[schema(min_length = 1)]
    public_key: String,
}

impl PartnerKey {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let public_key = input::long_text(&body, "publicKey");
        body.finish(|| {
            Some(PartnerKey {
                public_key: public_key?,
            })
        })
    }
}

/// Set or replace a partner's public key
///
/// From then on new connections need a connection key whose secrets are sealed to it (422,
/// `connection_key_not_sealed`). Raises the version of the configuration; repeating it changes nothing.
#[utoipa::path(put, path = "/enterprises/{enterpriseId}/partnerConfigurations/{institutionIdentifier}/publicKey", tag = "Operator",
    operation_id = "operatorPutPartnerKey",
    params(("enterpriseId" = String, Path, description = "The partner's enterprise."),
        ("institutionIdentifier" = String, Path, description = "The name that the partner gives when it joins.")),
    request_body = PartnerKey,
    responses((status = 200, description = "The configuration.", body = PartnerConfigurationResponse),
        openapi::Gate, openapi::NotFound, openapi::Fault))]
pub(super) async fn put(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<PartnerConfigurationResponse> {
    let wanted = PartnerKey::read(&call.json()?).map_err(ApiError::invalid)?;
    set(&network, &call, Some(wanted.public_key)).await
}

/// Remove a partner's public key
///
/// From then on connection keys are taken as they are. Repeating it changes nothing.
#[utoipa::path(delete, path = "/enterprises/{enterpriseId}/partnerConfigurations/{institutionIdentifier}/publicKey", tag = "Operator",
    operation_id = "operatorRemovePartnerKey",
    params(("enterpriseId" = String, Path, description = "The partner's enterprise."),
        ("institutionIdentifier" = String, Path, description = "The name that the partner gives when it joins.")),
    responses((status = 200, description = "The configuration.", body = PartnerConfigurationResponse),
        openapi::Gate, openapi::NotFound, openapi::Fault))]
pub(super) async fn remove(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<PartnerConfigurationResponse> {
    set(&network, &call, None).await
}

async fn set(
    network: &Network,
    call: &OperatorCall,
    public_key: Option<String>,
) -> Answered<PartnerConfigurationResponse> {
    let enterprise = input::from_path(&call.path, "enterpriseId")?;
    let institution = input::text_of_path(&call.path, "institutionIdentifier")?;
    let operator = network.operator(call.user_id);
    let agreed = operator
        .set_partner_key(enterprise, institution, public_key)
        .await?;
    ok(PartnerConfigurationResponse::from(agreed))
}
