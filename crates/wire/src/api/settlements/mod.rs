//! Settlements: batches of transfers that partners post, their transfers and the disputes that
//! belong to them (C16 to C22, P9 to P11, P13 to P15). The parts stand in modules of their own and are
//! used through this one.

mod amounts;
mod dispute;
mod on_chain;
mod request;
mod transfer;

pub use amounts::{PairAmount, PartyAmount, SettlementAmounts};
pub use dispute::{
    AdjustedTransfer, ClientClosure, ClientClosureResponse, ClientDisputesFilter, ClosedBy,
    ClosureStatus, Dispute, DisputeClosure, DisputeConcession, DisputeRecord, DisputeResponse,
    DisputeUpdate, DisputesResponse, NewDispute, PartnerDisputesFilter, PlainDispute,
    SettlingDispute,
};
pub use on_chain::{
    ExactNumber, NewOnChainDeposit, NewOnChainDeposits, NewOnChainSettlement, OnChainAmounts,
    OnChainDeposit, OnChainDepositsResponse, OnChainDepositsToSign, OnChainSettlementResponse,
    OnChainSettlementStarted,
};
pub use request::{NewSettlement, NewStagedSettlement, SettlementToSign};
pub use transfer::{
    MaskedTransfer, PartnerTransfer, SettlementTransfersResponse, TransferSort, TransferStatus,
};

use ledger::GoAccountId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::error::ErrorBody;
use super::filter::filters;
use super::{DateTime, SortDirection, choice};

choice::choices! {
    /// How a settlement moves value.
    SettlementType {
        /// On chain, between custodies.
        OnChain = "onchain",
        /// In the books of the network.
        OffChain = "offchain",
    }

    /// How far a settlement is.
    SettlementStatus {
        /// Not moved, and tried again when the identical request is sent.
        Failed = "failed",
        /// Moved.
        Completed = "completed",
        /// Under way.
        Pending = "pending",
        /// Not moved, for ever; by an operator, on chain only.
        Rejected = "rejected",
    }

    /// The status of a [`FailedSettlement`].
    Failed {
        /// Not moved.
        Failed = "failed",
    }

    /// The status of a [`CompletedSettlement`].
    Completed {
        /// Moved.
        Completed = "completed",
    }

    /// The status of a [`PendingSettlement`].
    Pending {
        /// Under way.
        Pending = "pending",
    }

    /// The status of a [`RejectedSettlement`].
    Rejected {
        /// Not moved, for ever.
        Rejected = "rejected",
    }

    /// Which way a settlement moves value for the client who looks at it.
    TransferDirection {
        /// Away from it.
        Send = "send",
        /// To it.
        Receive = "receive",
        /// Both, in different currencies or over different connections.
        SendAndReceive = "send-and-receive",
    }
}

/// What a settlement has in every state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettlementRecord {
    /// Its id.
    #[serde(with = "crate::api::uuid_text")]
    pub id: Uuid,
    /// The partner that posted it.
    #[serde(with = "crate::api::uuid_text")]
    pub partner_id: Uuid,
    /// The partner's id for it, unique for the enterprise.
    #[schema(min_length = 1)]
    pub external_id: String,
    /// How it moves value.
    pub settlement_type: SettlementType,
    /// Always false: there is no reconciliation of settlements in the protocol any more.
    pub reconciled: bool,
    /// The user whose token posted it.
    #[schema(min_length = 1)]
    pub initiated_by: String,
    /// The partner's notes, for clients to see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// When it was accepted.
    pub created_at: DateTime,
    /// When this record last changed.
    pub updated_at: DateTime,
    /// The routed transaction, on chain only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rt_id: Option<String>,
    /// Whether lateness of losses was reported, on chain only.
    #[serde(rename = "lossSLAAlertSent")]
    pub loss_sla_alert_sent: bool,
    /// Whether lateness of gains was reported, on chain only.
    #[serde(rename = "gainSLAAlertSent")]
    pub gain_sla_alert_sent: bool,
    /// The time of the newest trade in it, for partners with disputes only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutoff_at: Option<DateTime>,
    /// Whether a dispute was raised against it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disputed: Option<bool>,
}

/// A settlement that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PendingSettlement {
    /// `pending`.
    pub status: Pending,
    /// The rest.
    #[serde(flatten)]
    pub record: SettlementRecord,
}

/// A settlement that has moved what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CompletedSettlement {
    /// `completed`.
    pub status: Completed,
    /// When it moved.
    pub finalized_at: DateTime,
    /// The rest.
    #[serde(flatten)]
    pub record: SettlementRecord,
}

/// A settlement that has moved nothing, and is tried again when the identical request is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailedSettlement {
    /// `failed`.
    pub status: Failed,
    /// Why.
    #[schema(min_length = 1)]
    pub reason: String,
    /// The rest.
    #[serde(flatten)]
    pub record: SettlementRecord,
}

/// A settlement that will never move anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RejectedSettlement {
    /// `rejected`.
    pub status: Rejected,
    /// Why.
    #[schema(min_length = 1)]
    pub reason: String,
    /// When it was rejected.
    pub finalized_at: DateTime,
    /// The rest.
    #[serde(flatten)]
    pub record: SettlementRecord,
}

/// A settlement in any state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Settlement {
    /// Under way.
    Pending(PendingSettlement),
    /// Moved.
    Completed(CompletedSettlement),
    /// Not moved, to be tried again.
    Failed(FailedSettlement),
    /// Not moved, for ever.
    Rejected(RejectedSettlement),
}

/// A settlement in any state but completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum UnfinishedSettlement {
    /// Under way.
    Pending(PendingSettlement),
    /// Not moved, to be tried again.
    Failed(FailedSettlement),
    /// Not moved, for ever.
    Rejected(RejectedSettlement),
}

/// 200 of P10.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettlementCompleted {
    /// The settlement.
    pub settlement: CompletedSettlement,
}

/// 401 and 500 of P10 with a record; a settlement that fails is a 500 (decisions Q35).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SettlementUnfinished {
    /// The settlement.
    pub settlement: UnfinishedSettlement,
    /// Why it is not completed.
    #[serde(flatten)]
    pub error: ErrorBody,
}

/// 401 and 500 of P10.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SettlementFailure {
    /// There is a record.
    Unfinished(Box<SettlementUnfinished>),
    /// There is none, or it could not be read.
    Error(ErrorBody),
}

/// A staged settlement, with the earlier disputes whose end rides on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StagedSettlement {
    /// The time of the newest trade in it.
    pub cutoff_at: DateTime,
    /// Earlier, closed disputes that are paid in it.
    pub settling_disputes: Vec<SettlingDispute>,
    /// The settlement; pending, until its windows have ended.
    #[serde(flatten)]
    pub settlement: Settlement,
}

/// 200 of P11.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StagedSettlementResponse {
    /// The settlement.
    pub settlement: StagedSettlement,
}

/// A settlement in a client's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientSettlement {
    /// Which way it moves value for the client.
    pub transfer_direction: TransferDirection,
    /// The settlement.
    #[serde(flatten)]
    pub settlement: Settlement,
}

/// Answer of C16.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClientSettlementsResponse {
    /// One page of settlements.
    pub settlements: Vec<ClientSettlement>,
}

/// Answer of C17.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientSettlementResponse {
    /// The settlement.
    pub settlement: Settlement,
    /// One page of the client's transfers in it.
    pub settlement_transfers: Vec<MaskedTransfer>,
    /// Earlier, closed disputes that are paid in it.
    pub settling_disputes: Vec<SettlingDispute>,
    /// Disputes that were raised against it.
    pub settlement_disputes: Vec<Dispute>,
}

/// Answer of P13.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartnerSettlementsResponse {
    /// One page of settlements.
    pub settlements: Vec<Settlement>,
}

/// Answer of P14.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartnerSettlementResponse {
    /// The settlement.
    pub settlement: Settlement,
    /// One page of its transfers.
    pub settlement_transfers: Vec<PartnerTransfer>,
    /// Earlier, closed disputes that are paid in it.
    pub settling_disputes: Vec<SettlingDispute>,
    /// Disputes that were raised against it.
    pub settlement_disputes: Vec<Dispute>,
}

filters! {
    /// What narrows a client's list of settlements (C16).
    ClientSettlementsFilter {
        /// These.
        settlement_ids: Vec<Uuid> = uuids("settlementIds"),
        /// If true, only those that were disputed; false has no effect.
        only_show_disputed: bool = boolean("onlyShowDisputed"),
        /// Posted by these partners.
        partner_ids: Vec<Uuid> = uuids("partnerIds"),
        /// That move value at these connections.
        party_connection_ids: Vec<Uuid> = uuids("partyConnectionIds"),
        /// With these connections on the other side.
        counterparty_connection_ids: Vec<Uuid> = uuids("counterpartyConnectionIds"),
        /// In one of these states.
        statuses: Vec<SettlementStatus> = choices("statuses", SettlementStatus::CHOICES),
    }

    /// What narrows the transfers of one settlement for a client (C17); the page counts them.
    ClientSettlementFilter {
        /// Of these currencies, by the network's tickers.
        currencies: Vec<String> = currencies("currencies"),
    }

    /// What narrows a client's list of transfers (C18).
    SettlementTransfersFilter {
        /// Of these currencies, by the network's tickers.
        currencies: Vec<String> = currencies("currencies"),
        /// Of settlements that these users posted.
        initiated_by: Vec<String> = identifiers("initiatedBy"),
        /// Of settlements that these partners posted.
        partner_ids: Vec<Uuid> = uuids("partnerIds"),
        /// Of these settlements.
        settlement_ids: Vec<Uuid> = uuids("settlementIds"),
        /// Of settlements in one of these states.
        settlement_statuses: Vec<SettlementStatus> = choices("settlementStatuses", SettlementStatus::CHOICES),
        /// In one of these states themselves.
        settlement_transfer_statuses: Vec<TransferStatus> = choices("settlementTransferStatuses", TransferStatus::CHOICES),
        /// Of settlements that last changed before this time.
        settlement_updated_before: DateTime = date_time("settlementUpdatedBefore"),
        /// Of settlements that last changed at this time or later.
        settlement_updated_on_or_after: DateTime = date_time("settlementUpdatedOnOrAfter"),
        /// What the list is sorted by.
        sort_field: TransferSort = sort_field("sortField", TransferSort::CHOICES),
        /// Which way it is sorted; ascending if left out.
        sort_direction: SortDirection = sort_direction("sortDirection"),
    }

    /// What narrows a partner's list of settlements (P13).
    PartnerSettlementsFilter {
        /// These.
        settlement_ids: Vec<Uuid> = uuids("settlementIds"),
        /// If true, only those that were disputed; false has no effect.
        only_show_disputed: bool = boolean("onlyShowDisputed"),
        /// Posted by these partners of the enterprise.
        partner_ids: Vec<Uuid> = uuids("partnerIds"),
        /// That move value at these connections.
        party_connection_ids: Vec<Uuid> = uuids("partyConnectionIds"),
        /// With these connections on the other side.
        counterparty_connection_ids: Vec<Uuid> = uuids("counterpartyConnectionIds"),
        /// These, by the partner's ids for them.
        external_ids: Vec<String> = identifiers("externalIds"),
        /// Made at this time or later.
        created_on_or_after: DateTime = date_time("createdOnOrAfter"),
        /// Made before this time.
        created_before: DateTime = date_time("createdBefore"),
        /// Last changed at this time or later.
        updated_on_or_after: DateTime = date_time("updatedOnOrAfter"),
        /// Last changed before this time.
        updated_before: DateTime = date_time("updatedBefore"),
    }

    /// What narrows the transfers of one settlement for a partner (P14); the page counts them.
    PartnerSettlementFilter {
        /// From these connections' accounts.
        source_network_account_ids: Vec<Uuid> = uuids("sourceNetworkAccountIds"),
        /// From these Go Accounts.
        source_trading_account_ids: Vec<GoAccountId> = go_accounts("sourceTradingAccountIds"),
        /// To these connections' accounts.
        destination_network_account_ids: Vec<Uuid> = uuids("destinationNetworkAccountIds"),
        /// To these Go Accounts.
        destination_trading_account_ids: Vec<GoAccountId> = go_accounts("destinationTradingAccountIds"),
        /// Of these currencies, by the partner's names.
        currencies: Vec<String> = currencies("currencies"),
    }
}

#[cfg(test)]
mod tests;
