//! Partners: the exchanges and brokers that clients connect to (C2, P1).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::filter::filters;
use super::{DateTime, bounds};
use crate::body::{Fault, Reader};
use crate::connection_key::ConnectionKeySchema;
use crate::json::Json;

/// A partner as its own enterprise sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Partner {
    /// Its id.
    #[serde(with = "crate::api::uuid_text")]
    pub id: Uuid,
    /// The enterprise that it belongs to.
    #[schema(min_length = 1)]
    pub enterprise_id: String,
    /// The legal custodian; which ones there are, the operator configures.
    #[schema(min_length = 1)]
    pub trust_org: String,
    /// The institution, if it has an id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub institution_id: Option<String>,
    /// The institution, by a name of the partner's.
    #[schema(min_length = 1)]
    pub institution_identifier: String,
    /// Its name for people.
    #[schema(min_length = 1)]
    pub name: String,
    /// Which connection keys it takes.
    pub connection_key_schema: ConnectionKeySchema,
    /// When it was registered.
    pub created_at: DateTime,
    /// When this record last changed.
    pub updated_at: DateTime,
    /// The client record through which it holds its own Go Account.
    #[serde(with = "crate::api::uuid_text")]
    pub client_id: Uuid,
    /// Whether it is a broker (settles between its clients too), not an exchange.
    pub broker: bool,
    /// Whether clients may connect and allocate to it.
    pub active: bool,
    /// The route of its on-chain settlements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settlement_transaction_route_id: Option<String>,
    /// How long clients may dispute a settlement, 0 to 10 080 minutes; absent: no disputes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_dispute_window_minutes: Option<u16>,
    /// How long the partner has to cover a settlement, 0 to 10 080 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_up_window_minutes: Option<u16>,
    /// Whether allocation policies are wanted.
    pub allocation_policies_enabled: bool,
    /// The RSA key for which connection keys must be sealed (PEM); absent: they travel plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

/// A partner as clients see it: other members than [`Partner`] has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListedPartner {
    /// Its id.
    #[serde(with = "crate::api::uuid_text")]
    pub id: Uuid,
    /// Its name for people.
    #[schema(min_length = 1)]
    pub name: String,
    /// The institution, if it has an id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub institution_id: Option<String>,
    /// The institution, by a name of the partner's.
    #[schema(min_length = 1)]
    pub institution_identifier: String,
    /// Which connection keys it takes.
    pub connection_key_schema: ConnectionKeySchema,
    /// Whether clients may connect and allocate to it.
    pub active: bool,
    /// The route of its on-chain settlements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settlement_transaction_route_id: Option<String>,
    /// The RSA key for which connection keys must be sealed (PEM); absent: they travel plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// The enterprise that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enterprise_id: Option<String>,
    /// How long clients may dispute a settlement, 0 to 10 080 minutes; absent: no disputes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_dispute_window_minutes: Option<u16>,
    /// How long the partner has to cover a settlement, 0 to 10 080 minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_up_window_minutes: Option<u16>,
    /// The legal custodian; clients can connect only if theirs is the same.
    #[schema(min_length = 1)]
    pub trust_org: String,
    /// False while the operator considers the partner to be on trial.
    pub stable_partner: bool,
}

/// Answer of P1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartnerResponse {
    /// The partner, new or as it was.
    pub partner: Partner,
}

/// Answer of C2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartnersResponse {
    /// One page of partners.
    pub partners: Vec<ListedPartner>,
}

/// Body of P1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewPartner {
    /// Its name for people, at most 512 bytes.
    #[schema(min_length = 1)]
    pub name: String,
    /// Whether it is a broker (settles between its clients too), not an exchange.
    pub broker: bool,
    /// The institution, if it has an id.
    #[serde(
        default,
        with = "crate::api::uuid_text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub institution_id: Option<Uuid>,
    /// The institution, by a name of the partner's: at most 512 bytes, once per enterprise, and
    /// such that the operator has made a configuration for it.
    #[schema(min_length = 1)]
    pub institution_identifier: String,
    /// Which connection keys it takes.
    pub connection_key_schema: ConnectionKeySchema,
    /// How long clients may dispute a settlement, 0 to 10 080 minutes; absent or `null`: no
    /// disputes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 10_080)]
    pub client_dispute_window_minutes: Option<u16>,
    /// How long the partner has to cover a settlement, 0 to 10 080 minutes; absent or `null`: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 10_080)]
    pub top_up_window_minutes: Option<u16>,
    /// Whether allocation policies are wanted; false if left out.
    #[schema(required = false)]
    pub allocation_policies_enabled: bool,
}

impl NewPartner {
    /// Reads the body.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let name = bounds::text(&body, "name");
        let broker = body.boolean("broker");
        let institution_id = body.optional_uuid("institutionId");
        let institution_identifier = bounds::text(&body, "institutionIdentifier");
        let schema = body.choice("connectionKeySchema", &ConnectionKeySchema::CHOICES);
        let dispute_window = bounds::optional_window(&body, "clientDisputeWindowMinutes");
        let top_up_window = bounds::optional_window(&body, "topUpWindowMinutes");
        let policies = body.optional_boolean("allocationPoliciesEnabled");
        body.finish(|| {
            Some(Self {
                name: name?,
                broker: broker?,
                institution_id,
                institution_identifier: institution_identifier?,
                connection_key_schema: schema?,
                client_dispute_window_minutes: dispute_window,
                top_up_window_minutes: top_up_window,
                allocation_policies_enabled: policies.unwrap_or_default(),
            })
        })
    }
}

filters! {
    /// What narrows the list of partners (C2).
    PartnersFilter {
        /// These partners.
        ids: Vec<Uuid> = uuids("ids"),
        /// Partners of these names; a name may hold commas.
        names: Vec<String> = names("names"),
        /// Partners of these institutions.
        institution_ids: Vec<Uuid> = uuids("institutionIds"),
        /// Partners of these institutions, by the partners' names for them.
        institution_identifiers: Vec<String> = identifiers("institutionIdentifiers"),
        /// Only active, or only inactive partners.
        active: bool = boolean("active"),
        /// If true, only partners with the caller's legal custodian.
        filter_by_trust_org: bool = boolean("filterByTrustOrg"),
        /// Only partners with, or only those without allocation policies.
        allocation_policies_enabled: bool = boolean("allocationPoliciesEnabled"),
    }
}
