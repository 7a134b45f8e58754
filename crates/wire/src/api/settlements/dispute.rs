//! Disputes: how clients raise, amend and close them, and how they are shown (C19 to C22, P15).

use std::collections::BTreeMap;

use ledger::SignedAmount;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::TransferStatus;
use crate::api::filter::filters;
use crate::api::signed::Content;
use crate::api::{DateTime, bounds, choice};
use crate::body::Reader;

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
    /// The settlement in which its end is paid; the last of them, if it is paid in parts.
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
    /// The settlement that was asked for: its end, or a part of it, is paid there.
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

/// The most currencies that a client can expect something in.
const EXPECTED_AT_MOST: usize = 1_000;

/// The longest currency that a fault repeats, in characters.
const SHOWN_NAME_MAX: usize = 64;

/// Takes what a client expects: signed base units by currency, none of them zero.
fn expected(body: &Reader<'_>, expected: &Reader<'_>) -> Option<BTreeMap<String, String>> {
    if expected.members().len() > EXPECTED_AT_MOST {
        let message = format!("must hold at most {EXPECTED_AT_MOST} currencies");
        body.fault("expectedTransfers", message);
        return None;
    }
    let mut amounts = Some(BTreeMap::new());
    for (currency, value) in expected.members() {
        let is_name = (1..=bounds::TEXT_BYTES_MAX).contains(&currency.len());
        let fault = match value.as_str().map(str::parse::<SignedAmount>) {
            _ if !is_name => format!(
                "must have a currency of 1 to {} bytes as its name",
                bounds::TEXT_BYTES_MAX
            ),
            Some(Ok(amount)) => {
                if let Some(amounts) = &mut amounts {
                    amounts.insert(currency.to_owned(), amount.to_string());
                }
                continue;
            }
            Some(Err(error)) => error.to_string(),
            None => "must be a string with a signed integer in base units".to_owned(),
        };
        let shown: String = currency.chars().take(SHOWN_NAME_MAX).collect();
        expected.fault(&shown, fault);
        amounts = None;
    }
    amounts
}

/// What a client signs to dispute a settlement: content of C19.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewDispute {
    /// For which of the client's connections.
    #[serde(with = "crate::api::uuid_text")]
    pub connection_id: Uuid,
    /// Why, at most 10 000 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What should have moved, by the network's tickers, in base units: positive to the client,
    /// negative away from it, never zero. Currencies that should not have moved are left out.
    pub expected_transfers: BTreeMap<String, String>,
    /// The nonce, at most 512 bytes.
    #[schema(min_length = 1)]
    pub nonce: String,
}

impl Content for NewDispute {
    fn take(body: &Reader<'_>) -> Option<Self> {
        let connection_id = body.uuid("connectionId");
        let reason = bounds::optional_notes(body, "reason");
        let expected_transfers = body.object("expectedTransfers");
        let expected_transfers = expected_transfers.and_then(|sent| expected(body, &sent));
        let nonce = bounds::text(body, "nonce");
        Some(Self {
            connection_id: connection_id?,
            reason,
            expected_transfers: expected_transfers?,
            nonce: nonce?,
        })
    }

    fn nonce_mut(&mut self) -> &mut String {
        &mut self.nonce
    }
}

/// What a client signs to amend its dispute, to take it back or to raise it again: content of C20.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DisputeUpdate {
    /// The connection that the dispute is of.
    #[serde(with = "crate::api::uuid_text")]
    pub connection_id: Uuid,
    /// Whether it is taken back: its transfers then run with the settlement.
    pub retracted: bool,
    /// Why, at most 10 000 bytes; left out: as before.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1)]
    pub reason: Option<String>,
    /// What should have moved, as when the dispute was raised; left out: as before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_transfers: Option<BTreeMap<String, String>>,
    /// The nonce, at most 512 bytes.
    #[schema(min_length = 1)]
    pub nonce: String,
}

impl Content for DisputeUpdate {
    fn take(body: &Reader<'_>) -> Option<Self> {
        let connection_id = body.uuid("connectionId");
        let retracted = body.boolean("retracted");
        let reason = bounds::optional_notes(body, "reason");
        let expected_transfers = match body.optional_object("expectedTransfers") {
            Some(sent) => Some(expected(body, &sent)?),
            None => None,
        };
        let nonce = bounds::text(body, "nonce");
        Some(Self {
            connection_id: connection_id?,
            retracted: retracted?,
            reason,
            expected_transfers,
            nonce: nonce?,
        })
    }

    fn nonce_mut(&mut self) -> &mut String {
        &mut self.nonce
    }
}

/// What a client signs to concede: content of C21.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DisputeConcession {
    /// Why, at most 10 000 bytes.
    #[schema(min_length = 1)]
    pub notes: String,
    /// The nonce, at most 512 bytes.
    #[schema(min_length = 1)]
    pub nonce: String,
}

impl Content for DisputeConcession {
    fn take(body: &Reader<'_>) -> Option<Self> {
        let notes = bounds::notes(body, "notes");
        let nonce = bounds::text(body, "nonce");
        Some(Self {
            notes: notes?,
            nonce: nonce?,
        })
    }

    fn nonce_mut(&mut self) -> &mut String {
        &mut self.nonce
    }
}

/// A dispute without the content of how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlainDispute {
    /// The dispute.
    #[serde(flatten)]
    pub record: DisputeRecord,
    /// The settlement in which its end is paid; the last of them, if it is paid in parts.
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
}

/// Answer of C19 and C20.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DisputeResponse {
    /// The dispute.
    pub dispute: PlainDispute,
}

/// Answer of C22 and P15.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DisputesResponse {
    /// One page of disputes.
    pub disputes: Vec<Dispute>,
}

/// How a client has closed its own dispute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientClosure {
    /// Its id.
    #[serde(with = "crate::api::uuid_text")]
    pub id: Uuid,
    /// When the dispute was closed.
    pub created_at: DateTime,
    /// When this record last changed.
    pub updated_at: DateTime,
    /// `client`.
    pub closed_by: ClosedBy,
    /// The user who closed it.
    #[schema(min_length = 1)]
    pub user_id: String,
    /// What they said.
    #[schema(min_length = 1)]
    pub notes: String,
    /// The text that was signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The signature over it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Whether that counts; a client's own closure does at once.
    pub status: ClosureStatus,
    /// The operator who looked at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviewed_by: Option<String>,
    /// What the operator said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review_notes: Option<String>,
    /// What stands, by currency: positive to the client, negative away from it.
    pub adjusted_transfers: BTreeMap<String, String>,
}

/// Answer of C21.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientClosureResponse {
    /// The closure.
    pub dispute_closure: ClientClosure,
}

filters! {
    /// What narrows a client's list of disputes (C22).
    ClientDisputesFilter {
        /// That object to these settlements.
        settlement_ids: Vec<Uuid> = uuids("settlementIds"),
        /// Whose end is paid in these settlements.
        settled_in_settlement_ids: Vec<Uuid> = uuids("settledInSettlementIds"),
        /// Of these connections.
        connection_ids: Vec<Uuid> = uuids("connectionIds"),
        /// Against these partners.
        partner_ids: Vec<Uuid> = uuids("partnerIds"),
        /// Whether they are closed; left out: all.
        closed: bool = boolean("closed"),
        /// These.
        dispute_ids: Vec<Uuid> = uuids("disputeIds"),
        /// That ended so.
        dispute_closure_ids: Vec<Uuid> = uuids("disputeClosureIds"),
    }

    /// What narrows a partner's list of disputes (P15).
    PartnerDisputesFilter {
        /// That object to these settlements.
        settlement_ids: Vec<Uuid> = uuids("settlementIds"),
        /// That object to these settlements, by the partner's ids for them.
        settlement_external_ids: Vec<String> = identifiers("settlementExternalIds"),
        /// Whose end is paid in these settlements.
        settled_in_settlement_ids: Vec<Uuid> = uuids("settledInSettlementIds"),
        /// Whose end is paid in these settlements, by the partner's ids for them.
        settled_in_settlement_external_ids: Vec<String> = identifiers("settledInSettlementExternalIds"),
        /// Of these connections.
        connection_ids: Vec<Uuid> = uuids("connectionIds"),
        /// Of these clients.
        client_ids: Vec<Uuid> = uuids("clientIds"),
        /// Against these partners of the enterprise.
        partner_ids: Vec<Uuid> = uuids("partnerIds"),
        /// Whether they are closed; left out: all.
        closed: bool = boolean("closed"),
        /// Whether those that were taken back are shown too; left out: they are not.
        show_retracted: bool = boolean("showRetracted"),
        /// These.
        dispute_ids: Vec<Uuid> = uuids("disputeIds"),
        /// That ended so.
        dispute_closure_ids: Vec<Uuid> = uuids("disputeClosureIds"),
    }
}
