//! Disputes as they stand inside settlements. How they are raised and closed will stand here too.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::TransferStatus;
use crate::api::{DateTime, choice};

choice::choices! {
    /// Who ended a dispute.
    ClosedBy {
        /// The client gave in.
        Client = "client",
        /// The operator decided.
        Admin = "admin",
    }

    /// Whether the end of a dispute counts.
    ClosureStatus {
        /// An operator has yet to look at it.
        PendingReview = "pending_review",
        /// It counts.
        Approved = "approved",
        /// It does not; the dispute is open again.
        Rejected = "rejected",
    }
}

/// A client's objection to a settlement for one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DisputeRecord {
    /// Its id.
    #[serde(with = "crate::api::uuid_text")]
    pub id: Uuid,
    /// When it was raised.
    pub created_at: DateTime,
    /// When this record last changed.
    pub updated_at: DateTime,
    /// The connection.
    #[serde(with = "crate::api::uuid_text")]
    pub connection_id: Uuid,
    /// The settlement that it objects to.
    #[serde(with = "crate::api::uuid_text")]
    pub disputed_settlement_id: Uuid,
    /// The user whose token raised it.
    #[schema(min_length = 1)]
    pub user_id: String,
    /// What should have moved, by currency: positive to the client, negative away from it.
    pub expected_transfers: BTreeMap<String, String>,
    /// Whether the client has taken it back.
    pub retracted: bool,
    /// Why it was raised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The user whose token took it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retracted_by: Option<String>,
    /// When it was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retracted_at: Option<DateTime>,
    /// Why it was taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retracted_reason: Option<String>,
}

/// A dispute, open or closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dispute {
    /// The dispute.
    #[serde(flatten)]
    pub record: DisputeRecord,
    /// The settlement in which its end is paid.
    #[serde(
        default,
        with = "crate::api::uuid_text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub settled_in_settlement_id: Option<Uuid>,
    /// How it ended, by id.
    #[serde(
        default,
        with = "crate::api::uuid_text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub dispute_closure_id: Option<Uuid>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dispute_closure: Option<DisputeClosure>,
}

/// A closed dispute whose end is paid in a settlement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettlingDispute {
    /// The dispute.
    #[serde(flatten)]
    pub record: DisputeRecord,
    /// The settlement in which its end is paid.
    #[serde(with = "crate::api::uuid_text")]
    pub settled_in_settlement_id: Uuid,
    /// How it ended, by id.
    #[serde(with = "crate::api::uuid_text")]
    pub dispute_closure_id: Uuid,
    /// How it ended.
    pub dispute_closure: DisputeClosure,
}

/// How a dispute ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DisputeClosure {
    /// Its id.
    #[serde(with = "crate::api::uuid_text")]
    pub id: Uuid,
    /// Who ended it.
    pub closed_by: ClosedBy,
    /// The user who ended it.
    #[schema(min_length = 1)]
    pub user_id: String,
    /// What they said.
    #[schema(min_length = 1)]
    pub notes: String,
    /// The transfers that make it good.
    pub adjusted_settlement_transfers: Vec<AdjustedTransfer>,
    /// When it was ended.
    pub created_at: DateTime,
    /// Whether that counts.
    pub status: ClosureStatus,
    /// What makes it good, by currency: positive to the client, negative away from it.
    pub adjusted_transfers: BTreeMap<String, String>,
    /// The operator who looked at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviewed_by: Option<String>,
    /// What the operator said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review_notes: Option<String>,
}

/// A transfer that makes a disputed settlement good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdjustedTransfer {
    /// Its id.
    #[serde(with = "crate::api::uuid_text")]
    pub id: Uuid,
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
    /// The end of the dispute that it comes from.
    #[serde(with = "crate::api::uuid_text")]
    pub dispute_closure_id: Uuid,
    /// The currency.
    #[schema(min_length = 1)]
    pub currency: String,
    /// How much; positive from source to destination, negative the other way.
    pub quantity: String,
    /// How far it is.
    pub status: TransferStatus,
    /// The settlement that it is part of, once it is.
    #[serde(
        default,
        with = "crate::api::uuid_text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub settlement_id: Option<Uuid>,
    /// When it was made.
    pub created_at: DateTime,
    /// When this record last changed.
    pub updated_at: DateTime,
}
