//! What was agreed with partners: shown, made and changed. How a request describes it stands in
//! [`super::configuration_content`].

use axum::extract::State;
use network::Network;
use rules::record::{
    Activation, AmountFormat, Answering, PartnerConfiguration, PartnerCurrency, PartnerRoutes,
};
use serde::Serialize;
use utoipa::ToSchema;
use wire::api::DateTime;

use super::{configuration_content::ConfigurationContent, input, read, spellings};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::time,
};

/// What was agreed with a partner.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PartnerConfiguration)]
pub(super) struct Configuration {
    /// The partner's enterprise.
    enterprise_id: String,
    /// The name that the partner gives when it joins.
    institution_identifier: String,
    /// Rises by one with every change, from 1.
    version: i64,
    /// Where the partner answers.
    base_url: String,
    /// Below which paths.
    routes: Routes,
    /// The header that carries the network's signature.
    signature_header: String,
    /// The key that signs the network's calls.
    jwt_key_id: String,
    /// How long one call may take, in milliseconds.
    call_timeout_ms: i64,
    /// Networks (CIDR) that the base URL may resolve to beyond public addresses.
    allowed_networks: Vec<String>,
    /// How allocations are answered.
    #[schema(value_type = spellings::Answering)]
    allocations: Answering,
    /// How deallocations are answered.
    #[schema(value_type = spellings::Answering)]
    deallocations: Answering,
    /// How the partner writes amounts.
    #[schema(value_type = spellings::AmountFormat)]
    amount_format: AmountFormat,
    /// Its currencies.
    currencies: Vec<CurrencyTerms>,
    /// RSA public key (PEM) that connection keys have to be sealed to; absent: they come in clear.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// Whether on-chain settlement is enabled.
    on_chain: bool,
    /// When the partner becomes active.
    #[schema(value_type = spellings::Activation)]
    activation: Activation,
    /// How long a reservation may stay without an answer before the network releases it.
    release_unanswered_after_seconds: i64,
    /// How long each direction of a settlement over the chain may take before operators are alerted.
    on_chain_late_after_seconds: i64,
    /// When it last changed.
    updated_at: DateTime,
}

/// The paths of the calls that a partner answers, below its base URL; `{id}` stands for the
/// allocation or deallocation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PartnerRoutes)]
pub(super) struct Routes {
    /// A client connects.
    connect: String,
    /// A client allocates.
    allocate: String,
    /// An allocation is cleared.
    clear_allocation: String,
    /// An allocation is released.
    release_allocation: String,
    /// A client deallocates.
    deallocate: String,
    /// A deallocation is cleared.
    clear_deallocation: String,
    /// A deallocation is released.
    release_deallocation: String,
    /// How an allocation is.
    allocation_status: String,
    /// How a deallocation is.
    deallocation_status: String,
    /// The final amounts of a settlement are fixed.
    finalize_settlement: String,
}

/// A currency as a partner knows it; amounts in base units.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PartnerCurrency)]
pub(super) struct CurrencyTerms {
    /// The network's ticker.
    ticker: String,
    /// The partner's names for it; the first is the one that the network uses.
    partner_names: Vec<String>,
    /// The least that one allocation may move; absent: any amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum: Option<String>,
    /// The most that one allocation may move; absent: any amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum: Option<String>,
    /// The most that may be reserved at the partner and not yet answered; absent: any amount.
    #[serde(skip_serializing_if = "Option::is_none")]
    open_total: Option<String>,
}

impl From<PartnerConfiguration> for Configuration {
    fn from(agreed: PartnerConfiguration) -> Self {
        Configuration {
            enterprise_id: agreed.enterprise_id.to_string(),
            institution_identifier: agreed.institution_identifier,
            version: agreed.version,
            base_url: agreed.base_url,
            routes: agreed.routes.into(),
            signature_header: agreed.signature_header,
            jwt_key_id: agreed.jwt_key_id,
            call_timeout_ms: agreed.call_timeout_ms,
            allowed_networks: agreed.allowed_networks,
            allocations: agreed.allocations,
            deallocations: agreed.deallocations,
            amount_format: agreed.amount_format,
            currencies: agreed
                .currencies
                .into_iter()
                .map(CurrencyTerms::from)
                .collect(),
            public_key: agreed.public_key,
            on_chain: agreed.on_chain,
            activation: agreed.activation,
            release_unanswered_after_seconds: agreed.release_unanswered_after_s,
            on_chain_late_after_seconds: agreed.on_chain_late_after_s,
            updated_at: time(agreed.updated_at),
        }
    }
}

impl From<PartnerRoutes> for Routes {
    fn from(routes: PartnerRoutes) -> Self {
        Routes {
            connect: routes.connect,
            allocate: routes.allocate,
            clear_allocation: routes.clear_allocation,
            release_allocation: routes.release_allocation,
            deallocate: routes.deallocate,
            clear_deallocation: routes.clear_deallocation,
            release_deallocation: routes.release_deallocation,
            allocation_status: routes.allocation_status,
            deallocation_status: routes.deallocation_status,
            finalize_settlement: routes.finalize_settlement,
        }
    }
}

impl From<PartnerCurrency> for CurrencyTerms {
    fn from(currency: PartnerCurrency) -> Self {
        CurrencyTerms {
            ticker: currency.ticker.to_string(),
            partner_names: currency.partner_names,
            minimum: currency.minimum.map(|amount| amount.to_string()),
            maximum: currency.maximum.map(|amount| amount.to_string()),
            open_total: currency.open_total.map(|amount| amount.to_string()),
        }
    }
}

/// One partner configuration.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartnerConfigurationResponse {
    partner_configuration: Configuration,
}

impl From<PartnerConfiguration> for PartnerConfigurationResponse {
    fn from(agreed: PartnerConfiguration) -> Self {
        PartnerConfigurationResponse {
            partner_configuration: agreed.into(),
        }
    }
}

/// All partner configurations.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PartnerConfigurationsResponse {
    partner_configurations: Vec<Configuration>,
}

/// List partner configurations
///
/// All of them, by enterprise and institution.
#[utoipa::path(get, path = "/partnerConfigurations", tag = "Operator", operation_id = "operatorListPartnerConfigurations",
    responses((status = 200, description = "The configurations.", body = PartnerConfigurationsResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<PartnerConfigurationsResponse> {
    let operator = network.operator(call.user_id);
    let found = read(operator.records().configurations().await)?;
    ok(PartnerConfigurationsResponse {
        partner_configurations: found.into_iter().map(Configuration::from).collect(),
    })
}

/// Make or change a partner configuration
///
/// Has to be there before the partner joins with this institution identifier. A change raises the
/// version and counts from the next call on; what is left out gets its default.
#[utoipa::path(put, path = "/enterprises/{enterpriseId}/partnerConfigurations/{institutionIdentifier}", tag = "Operator",
    operation_id = "operatorPutPartnerConfiguration",
    params(("enterpriseId" = String, Path, description = "The partner's enterprise."),
        ("institutionIdentifier" = String, Path, description = "The name that the partner gives when it joins, at most 512 bytes.")),
    request_body = ConfigurationContent,
    responses((status = 200, description = "The configuration.", body = PartnerConfigurationResponse),
        openapi::Gate, openapi::NotFound, openapi::Unprocessable, openapi::Fault))]
pub(super) async fn put(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<PartnerConfigurationResponse> {
    let enterprise = input::from_path(&call.path, "enterpriseId")?;
    let institution = input::text_of_path(&call.path, "institutionIdentifier")?;
    let wanted = ConfigurationContent::read(&call.json()?).map_err(ApiError::invalid)?;
    let agreed = network
        .operator(call.user_id)
        .put_configuration(wanted.of(enterprise, institution))
        .await?;
    ok(agreed.into())
}
