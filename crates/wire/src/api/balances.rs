//! Balances of Go Accounts and of connections (C15, P8).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::filter::filters;

/// What stands on an account in one currency: base units, or for a partner that is configured so
/// full units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Balance {
    /// What can be used.
    pub available: String,
    /// What is reserved for something that is under way.
    pub held: String,
}

/// A connection's balances as the client sees them: what it has allocated and settlement has
/// changed, not what it has at the partner at this moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientConnectionBalances {
    /// The partner.
    #[serde(with = "crate::api::uuid_text")]
    pub partner_id: Uuid,
    /// The partner's id for the connection.
    #[schema(min_length = 1)]
    pub partners_connection_id: String,
    /// The connection's name.
    #[schema(min_length = 1)]
    pub name: String,
    /// The partner's institution.
    #[schema(min_length = 1)]
    pub partner_institution_identifier: String,
    /// By currency, in the network's naming.
    pub balances: BTreeMap<String, Balance>,
}

/// Answer of C15. Connections that the partner has not accepted are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientBalancesResponse {
    /// The client.
    #[serde(with = "crate::api::uuid_text")]
    pub client_id: Uuid,
    /// The Go Account.
    pub balances: BTreeMap<String, Balance>,
    /// By connection.
    #[serde(with = "crate::api::uuid_text::keys")]
    pub network_balances: BTreeMap<Uuid, ClientConnectionBalances>,
}

/// A connection's balances as the partner sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartnerConnectionBalances {
    /// The client.
    #[serde(with = "crate::api::uuid_text")]
    pub client_id: Uuid,
    /// The partner.
    #[serde(with = "crate::api::uuid_text")]
    pub partner_id: Uuid,
    /// The partner's id for the connection.
    #[schema(min_length = 1)]
    pub partners_connection_id: String,
    /// By currency, in the partner's naming.
    pub balances: BTreeMap<String, Balance>,
}

/// Answer of P8. Connections that the partner has not accepted are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartnerBalancesResponse {
    /// By connection.
    #[serde(with = "crate::api::uuid_text::keys")]
    pub network_balances: BTreeMap<Uuid, PartnerConnectionBalances>,
    /// The partner's Go Account; left out if the caller may not see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balances: Option<BTreeMap<String, Balance>>,
}

filters! {
    /// What narrows a client's balances (C15); the Go Account is always there.
    ClientBalancesFilter {
        /// Of these connections.
        connection_ids: Vec<Uuid> = uuids("connectionIds"),
        /// Of connections to these partners.
        partner_ids: Vec<Uuid> = uuids("partnerIds"),
    }

    /// What narrows a partner's balances (P8).
    PartnerBalancesFilter {
        /// Of connections to these partners of the enterprise.
        partner_ids: Vec<Uuid> = uuids("partnerIds"),
        /// Of connections of these clients.
        client_ids: Vec<Uuid> = uuids("clientIds"),
        /// Of these connections.
        connection_ids: Vec<Uuid> = uuids("connectionIds"),
        /// Of these connections, by the partner's ids for them.
        partners_connection_ids: Vec<String> = identifiers("partnersConnectionIds"),
    }
}
