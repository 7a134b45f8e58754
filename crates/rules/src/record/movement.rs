//! Money on its way: allocations, settlements, deposits, withdrawals, and the messages to
//! partners that go with them.

use ledger::{
    Account, Amount, Currency, EntryId, EntryNumber, GoAccountId, HoldId, NetworkAccountId, Owner,
    SignedAmount, Timestamp,
};

use super::{Answering, spelled};
use crate::{
    AllocationId, ClientId, ConnectionId, DepositId, DisputeClosureId, EnterpriseId, PartnerId,
    Reason, SettlementId, TransferId, UserId, WithdrawalId,
};

spelled! {
    /// Which way an allocation record moves money.
    AllocationKind {
        /// From the Go Account to the connection.
        Allocation = "allocation",
        /// From the connection back to the Go Account.
        Deallocation = "deallocation",
    }

    /// How far a settlement transfer has come (OES wire §2.0).
    TransferStatus {
        /// It waits for its settlement.
        Pending = "pending",
        /// It waits for the chain.
        PendingOnchain = "pending_onchain",
        /// It is on its way over the chain.
        OnchainInitiated = "onchain_initiated",
        /// The chain did not take it.
        OnchainFailed = "onchain_failed",
        /// It is in the books.
        Completed = "completed",
        /// Its settlement failed and may be tried again.
        Failed = "failed",
        /// Its settlement was rejected.
        Rejected = "rejected",
        /// It is disputed and stays out.
        Disputed = "disputed",
        /// It waits for a settlement to ride on.
        PendingSettlementAssignment = "pending_settlement_assignment",
    }

    /// What a partner has to be asked or told next.
    MessageCall {
        /// H1: accept a connection.
        Connect = "connect",
        /// H2 or H5: reserve.
        Reserve = "reserve",
        /// H8 now and then: the partner has taken the request and will answer by itself.
        Await = "await",
        /// H3 or H6: it is cleared.
        Clear = "clear",
        /// H4 or H7: it is released.
        Release = "release",
        /// H9: the final amounts of a settlement are fixed.
        Finalize = "finalize",
    }

    /// How far a withdrawal has come.
    WithdrawalState {
        /// The money is held.
        Requested = "requested",
        /// The money has left custody.
        Paid = "paid",
        /// The money is back in the account.
        Cancelled = "cancelled",
    }

    /// Which parties the amounts of a settlement name.
    SettlementForm {
        /// Connections against the partner.
        Party = "party",
        /// Connections against connections.
        Pair = "pair",
    }
}

/// How far an allocation or a deallocation has come (OES wire §3.3, §3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllocationState {
    /// Held; the partner has the word.
    Reserved {
        /// Whether it helps to send the request again.
        retriable: bool,
        /// What is being waited for, or what went wrong.
        reason: Reason,
    },
    /// Moved, for good.
    Cleared,
    /// Given back or never held, for good.
    Released {
        /// Why.
        reason: Reason,
    },
}

/// An allocation or a deallocation (OES wire §2.0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Its identifier; the hold and the message to the partner bear the same.
    pub id: AllocationId,
    /// Which way it moves money.
    pub kind: AllocationKind,
    /// Over which connection.
    pub connection_id: ConnectionId,
    /// Whose.
    pub client_id: ClientId,
    /// The client's enterprise.
    pub client_enterprise_id: EnterpriseId,
    /// At whom.
    pub partner_id: PartnerId,
    /// The partner's enterprise.
    pub partner_enterprise_id: EnterpriseId,
    /// The client's Go Account.
    pub go_account_id: GoAccountId,
    /// The connection's account.
    pub network_account_id: NetworkAccountId,
    /// In what.
    pub currency: Currency,
    /// The partner's name for the currency when the record was made.
    pub partner_currency: String,
    /// How much.
    pub amount: Amount,
    /// The client's own name for it.
    pub client_external_id: String,
    /// The partner's name for it, once told.
    pub partner_external_id: Option<String>,
    /// What the client wrote beside it; client and partner see it.
    pub notes: Option<String>,
    /// Who asked.
    pub initiated_by: UserId,
    /// The request that asked.
    pub signed_request: uuid::Uuid,
    /// How the partner answers.
    pub answering: Answering,
    /// How far it has come.
    pub state: AllocationState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// One partner's reserved and unanswered total in one currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTotal {
    /// Whose and in what.
    pub key: CurrencyKey,
    /// How much, in base units; never below zero.
    pub units: i128,
}

/// A partner and a currency.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CurrencyKey {
    /// The partner.
    pub partner_id: PartnerId,
    /// The currency.
    pub currency: Currency,
}

/// What a partner still has to be asked or told about one subject, told from this row until the
/// partner acknowledges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The connection, allocation, deallocation or settlement that it is about.
    pub subject: uuid::Uuid,
    /// To whom.
    pub partner_id: PartnerId,
    /// What; nothing once everything is said.
    pub call: Option<MessageCall>,
    /// How often it was tried.
    pub attempts: i64,
    /// When it is due; like all times of a message in real time, whatever a test clock says.
    pub due_at: Timestamp,
    /// Until when a server is working on it.
    pub leased_until: Timestamp,
    /// What went wrong last, for the operator.
    pub last_error: Option<String>,
    /// When the subject first needed a message.
    pub created_at: Timestamp,
    /// When this row last changed.
    pub updated_at: Timestamp,
}

/// How far a settlement has come (OES wire §2.0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettlementState {
    /// It waits.
    Pending,
    /// It is in the books.
    Completed {
        /// Since when.
        finalized_at: Timestamp,
        /// Under which journal entry.
        entry: EntryId,
    },
    /// It could not be booked; an identical request tries again.
    Failed {
        /// Why.
        reason: Reason,
    },
    /// It was rejected for good.
    Rejected {
        /// Why.
        reason: Reason,
        /// Since when.
        finalized_at: Timestamp,
    },
}

/// What a settlement has that waits for its clients' objections before it is booked (v2; OES wire
/// §3.6). The windows are those of its partner when it was staged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staging {
    /// The time of the newest trade in it, as the partner says.
    pub cutoff_at: Timestamp,
    /// From then on it is not disputed any more, and its final amounts are fixed.
    pub dispute_window_ends_at: Timestamp,
    /// From then on it fails if it is not funded.
    pub top_up_window_ends_at: Timestamp,
    /// Whether the final amounts are fixed: what is disputed by then stays out.
    pub amounts_fixed: bool,
    /// How many disputes stand against it that were not retracted.
    pub standing_disputes: i64,
    /// The last entry of the journal when it was last found short; it is tried again once a later
    /// entry has moved the partner's account.
    pub found_short_at: Option<EntryNumber>,
}

/// A batch of transfers posted by a partner (OES wire §2.0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Its identifier.
    pub id: SettlementId,
    /// Who posted it.
    pub partner_id: PartnerId,
    /// The partner's enterprise.
    pub partner_enterprise_id: EnterpriseId,
    /// The partner's own name for it.
    pub external_id: String,
    /// Which parties its amounts name.
    pub form: SettlementForm,
    /// Digest of what identical requests have in common: form and amounts.
    pub content_digest: [u8; 32],
    /// What the partner wrote beside it; clients see it.
    pub notes: Option<String>,
    /// Who asked.
    pub initiated_by: UserId,
    /// The request that asked.
    pub signed_request: uuid::Uuid,
    /// How many transfers it has, those of earlier disputes that ride on it included.
    pub transfer_count: i64,
    /// How far it has come.
    pub state: SettlementState,
    /// What it waits for, if it was staged; none: it is booked at once.
    pub staging: Option<Staging>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// One side of a settlement transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferParty {
    /// The client behind it; the partner's own client record where the partner is the side.
    pub client_id: ClientId,
    /// The Go Account behind it.
    pub go_account_id: GoAccountId,
    /// The connection and its account, unless the side is the partner itself.
    pub connection: Option<(ConnectionId, NetworkAccountId)>,
}

/// One movement of one currency inside a settlement (OES wire §2.0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Its identifier.
    pub id: TransferId,
    /// Whose settlements it belongs to.
    pub partner_id: PartnerId,
    /// Its settlement; none while it waits for one to ride on.
    pub settlement_id: Option<SettlementId>,
    /// The end of the dispute that it comes from; none if it was posted.
    pub dispute_closure_id: Option<DisputeClosureId>,
    /// Its place in the settlement, from 0.
    pub position: i64,
    /// In what.
    pub currency: Currency,
    /// The partner's name for the currency when the settlement was posted.
    pub partner_currency: String,
    /// How much; above zero from source to destination, below zero the other way.
    pub amount: SignedAmount,
    /// One side.
    pub source: TransferParty,
    /// The other.
    pub destination: TransferParty,
    /// How far it has come.
    pub status: TransferStatus,
    /// The journal entry that booked it.
    pub entry: Option<EntryId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// One connection's part in a settlement, so that its client finds the settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participation {
    /// The settlement.
    pub settlement_id: SettlementId,
    /// The connection.
    pub connection_id: ConnectionId,
    /// The client behind it.
    pub client_id: ClientId,
    /// Whether it is the destination of a transfer.
    pub party: bool,
    /// Whether it is the source of a transfer.
    pub counterparty: bool,
    /// Whether it loses in a transfer.
    pub sends: bool,
    /// Whether it gains in a transfer.
    pub receives: bool,
    /// Whether its client disputes the settlement for it.
    pub disputed: bool,
    /// When the settlement was made.
    pub created_at: Timestamp,
    /// Whether it stands for all of its client's in a list of settlements: exactly one of them does.
    pub listed: bool,
}

/// Money that reached a Go Account from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deposit {
    /// Its identifier.
    pub id: DepositId,
    /// Where it went.
    pub go_account_id: GoAccountId,
    /// In what.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// Where custody received it.
    pub custody_source: String,
    /// The name under which it is known there.
    pub external_reference: String,
    /// When it was booked.
    pub created_at: Timestamp,
}

/// Money that leaves a Go Account for outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// Its identifier; the hold bears the same.
    pub id: WithdrawalId,
    /// Where it comes from.
    pub go_account_id: GoAccountId,
    /// In what.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// Where custody pays it.
    pub custody_source: String,
    /// The name under which it is known there.
    pub external_reference: String,
    /// How far it has come.
    pub state: WithdrawalState,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Allocation {
    pub(crate) fn record_key(&self) -> AllocationId {
        self.id
    }

    /// The key of its partner's open total.
    pub(crate) fn open_total_key(&self) -> CurrencyKey {
        CurrencyKey {
            partner_id: self.partner_id,
            currency: self.currency.clone(),
        }
    }

    /// Whether the partner has the word.
    pub fn is_reserved(&self) -> bool {
        matches!(self.state, AllocationState::Reserved { .. })
    }
}

impl OpenTotal {
    pub(crate) fn record_key(&self) -> CurrencyKey {
        self.key.clone()
    }
}

impl Message {
    pub(crate) fn record_key(&self) -> uuid::Uuid {
        self.subject
    }
}

impl Settlement {
    pub(crate) fn record_key(&self) -> SettlementId {
        self.id
    }

    /// Whether it may still be booked.
    pub fn is_open(&self) -> bool {
        matches!(
            self.state,
            SettlementState::Pending | SettlementState::Failed { .. }
        )
    }

    /// When something has to happen to it that nobody asks for: the end of its next window.
    pub fn due_at(&self) -> Option<Timestamp> {
        let staging = self.staging.as_ref()?;
        match (&self.state, staging.amounts_fixed) {
            (SettlementState::Pending, false) => Some(staging.dispute_window_ends_at),
            (SettlementState::Pending, true) => Some(staging.top_up_window_ends_at),
            _ => None,
        }
    }
}

impl TransferParty {
    /// The account that a transfer in `currency` moves.
    pub fn account(&self, currency: &Currency) -> Account {
        let owner = match self.connection {
            Some((_, network_account)) => Owner::Net(network_account),
            None => Owner::Go(self.go_account_id),
        };
        Account::new(owner, currency)
    }
}

impl Participation {
    pub(crate) fn record_key(&self) -> (SettlementId, ConnectionId) {
        (self.settlement_id, self.connection_id)
    }
}

impl Transfer {
    pub(crate) fn record_key(&self) -> TransferId {
        self.id
    }

    /// The side that loses.
    pub fn loser(&self) -> &TransferParty {
        match self.amount.is_gain() {
            true => &self.source,
            false => &self.destination,
        }
    }

    /// The side that gains.
    pub fn gainer(&self) -> &TransferParty {
        match self.amount.is_gain() {
            true => &self.destination,
            false => &self.source,
        }
    }

    /// The side other than the connection's, if the connection is one of the sides.
    pub fn other_side(&self, connection: ConnectionId) -> Option<&TransferParty> {
        let is = |party: &TransferParty| party.connection.is_some_and(|(id, _)| id == connection);
        match (is(&self.source), is(&self.destination)) {
            (true, _) => Some(&self.destination),
            (_, true) => Some(&self.source),
            _ => None,
        }
    }

    /// The name of the hold that keeps what a connection is to lose.
    pub fn hold_id(&self) -> HoldId {
        HoldId(self.id.0)
    }
}

impl Deposit {
    pub(crate) fn record_key(&self) -> DepositId {
        self.id
    }
}

impl Withdrawal {
    pub(crate) fn record_key(&self) -> WithdrawalId {
        self.id
    }
}
