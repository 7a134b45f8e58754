//! Settlement transfers: one currency between two accounts, as the partner and as clients see it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::SettlementStatus;
use crate::api::{DateTime, choice};

choice::choices! {
    /// How far a transfer is.
    TransferStatus {
        /// Not begun.
        Pending = "pending",
        /// Waits for the chain.
        PendingOnChain = "pending_onchain",
        /// Sent on chain.
        OnChainInitiated = "onchain_initiated",
        /// Failed on chain.
        OnChainFailed = "onchain_failed",
        /// Moved.
        Completed = "completed",
        /// Not moved.
        Failed = "failed",
        /// Not moved, for ever.
        Rejected = "rejected",
        /// Set aside by a dispute.
        Disputed = "disputed",
        /// Made by the end of a dispute, and not yet part of a settlement.
        PendingSettlementAssignment = "pending_settlement_assignment",
    }

    /// What a list of transfers can be sorted by; equal ones follow by creation, then id.
    TransferSort {
        /// When the record last changed.
        UpdatedAt = "updatedAt",
    }
}

/// A transfer as the partner sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartnerTransfer {
    /// Its id.
    #[serde(with = "crate::api::uuid_text")]
    pub id: Uuid,
    /// When it was made.
    pub created_at: DateTime,
    /// When this record last changed.
    pub updated_at: DateTime,
    /// The partner's name for the currency.
    #[schema(min_length = 1)]
    pub currency: String,
    /// The settlement.
    #[serde(with = "crate::api::uuid_text")]
    pub settlement_id: Uuid,
    /// The end of the dispute that it comes from.
    #[serde(
        default,
        with = "crate::api::uuid_text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub dispute_closure_id: Option<Uuid>,
    /// How much; positive from source to destination, negative the other way.
    pub quantity: String,
    /// Ids of what moved it, once it is completed.
    pub tx_ids: Vec<String>,
    /// How far it is.
    pub status: TransferStatus,
    /// The Go Account of the source.
    #[schema(min_length = 1)]
    pub source_trading_account_id: String,
    /// The source's connection account; absent if the source is the partner itself.
    #[serde(
        default,
        with = "crate::api::uuid_text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub source_network_account_id: Option<Uuid>,
    /// The Go Account of the destination.
    #[schema(min_length = 1)]
    pub destination_trading_account_id: String,
    /// The destination's connection account.
    #[serde(with = "crate::api::uuid_text")]
    pub destination_network_account_id: Uuid,
}

/// A transfer as a client sees it: what belongs to others is left out or made unrecognisable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MaskedTransfer {
    /// Its id.
    #[serde(with = "crate::api::uuid_text")]
    pub id: Uuid,
    /// When it was made.
    pub created_at: DateTime,
    /// When this record last changed.
    pub updated_at: DateTime,
    /// The network's ticker.
    #[schema(min_length = 1)]
    pub currency: String,
    /// The settlement.
    #[serde(with = "crate::api::uuid_text")]
    pub settlement_id: Uuid,
    /// The end of the dispute that it comes from.
    #[serde(
        default,
        with = "crate::api::uuid_text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub dispute_closure_id: Option<Uuid>,
    /// How much in base units; positive from source to destination, negative the other way.
    pub quantity: String,
    /// Ids of what moved it, once it is completed.
    pub tx_ids: Vec<String>,
    /// How far it is.
    pub status: TransferStatus,
    /// What it is worth in US cents; `null` where that is not known.
    #[schema(required = true)]
    pub usd_value: Option<String>,
    /// How far the settlement is.
    pub settlement_status: SettlementStatus,
    /// The settlement's notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settlement_notes: Option<String>,
    /// The source's Go Account, if it is the client's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_trading_account_id: Option<String>,
    /// The source's connection account, if it is the client's own.
    #[serde(
        default,
        with = "crate::api::uuid_text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub source_network_account_id: Option<Uuid>,
    /// The destination's Go Account, if it is the client's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_trading_account_id: Option<String>,
    /// The destination's connection account, if it is the client's own.
    #[serde(
        default,
        with = "crate::api::uuid_text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub destination_network_account_id: Option<Uuid>,
    /// The source, unrecognisable unless it is the client itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_client_name: Option<String>,
    /// The destination, unrecognisable unless it is the client itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_client_name: Option<String>,
    /// The source's connection, unrecognisable unless it is the client's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_connection_name: Option<String>,
    /// The destination's connection, unrecognisable unless it is the client's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_connection_name: Option<String>,
}

/// Answer of C18.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettlementTransfersResponse {
    /// One page of transfers.
    pub settlement_transfers: Vec<MaskedTransfer>,
}
