//! Clients: enterprises in their role of allocating funds (C1).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::DateTime;

/// An enterprise as a client of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// Its id.
    #[serde(with = "crate::api::uuid_text")]
    pub id: Uuid,
    /// The enterprise.
    #[schema(min_length = 1)]
    pub enterprise_id: String,
    /// The legal custodian of its Go Account; which ones there are, the operator configures.
    #[schema(min_length = 1)]
    pub trust_org: String,
    /// Its Go Account.
    #[schema(min_length = 1)]
    pub wallet_id: String,
    /// When it became a client.
    pub created_at: DateTime,
    /// When this record last changed.
    pub updated_at: DateTime,
    /// When its last balance alert was sent; absent as long as there are no such alerts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balance_alert_last_sent: Option<String>,
}

/// Answer of C1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClientResponse {
    /// The client, new or as it was.
    pub client: Client,
}
