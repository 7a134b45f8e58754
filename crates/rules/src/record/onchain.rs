//! Settlement over the chain: how far each direction and currency has come, and the deposits that
//! partners announce for it.

use ledger::{Amount, Currency, EntryId, GoAccountId, Timestamp};

use super::{TransferStatus, spelled};
use crate::{EnterpriseId, OnChainDepositId, PartnerId, Reason, SettlementId};

spelled! {
    /// Which way money moves over the chain, as clients see it.
    Direction {
        /// From the partner to clients.
        Gains = "gains",
        /// From clients to the partner.
        Losses = "losses",
    }
}

/// How far one direction of an on-chain settlement has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnChainPart {
    /// In how many currencies it is not finished.
    pub unfinished: i64,
    /// Whether it was found to take longer than it should.
    pub alerted: bool,
}

/// What a settlement that is made over the chain has beyond others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnChain {
    /// Which settlement.
    pub settlement_id: SettlementId,
    /// Whether it was begun: what clients lose was there, and is held until it has left.
    pub started: bool,
    /// What clients gain.
    pub gains: OnChainPart,
    /// What clients lose.
    pub losses: OnChainPart,
    /// How many legs are in the books.
    pub completed: i64,
    /// How many legs the chain did not take.
    pub failed: i64,
}

/// Which leg of a settlement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegKey {
    /// Of which settlement.
    pub settlement_id: SettlementId,
    /// Which way.
    pub direction: Direction,
    /// In what.
    pub currency: Currency,
}

/// How far a leg has come. All its transfers come equally far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegState {
    /// Deposits were announced, and no settlement has such gains yet.
    Announced,
    /// Its settlement could not be begun.
    NotStarted,
    /// Begun; nothing is on the chain yet.
    Waiting,
    /// It is on its way over the chain.
    Initiated,
    /// In the books.
    Completed {
        /// Under which entry.
        entry: EntryId,
    },
    /// The chain did not take it, for good.
    Failed {
        /// Why.
        reason: Reason,
    },
    /// Its settlement was rejected.
    Rejected,
}

/// All transfers of a settlement in one direction and one currency: they are booked together or
/// not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnChainLeg {
    /// Which one.
    pub key: LegKey,
    /// How far it has come.
    pub state: LegState,
    /// How much its transfers move together, in base units; 0 while there are none.
    pub total_units: i128,
    /// How many transfers it has.
    pub transfer_count: i64,
    /// How many deposits were announced for it.
    pub announced: i64,
    /// How much custody has received for it that is in no account yet, in base units.
    pub received_units: i128,
    /// The transactions that were seen.
    pub tx_ids: Vec<String>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What was seen of a deposit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenDeposit {
    /// How much custody received.
    pub amount: Amount,
    /// Custody's name for it.
    pub transfer_id: String,
}

/// A transaction that a partner has announced: it brings clients' gains into custody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnChainDeposit {
    /// Its identifier.
    pub id: OnChainDepositId,
    /// The settlement that it is for, or that it will be for once it is posted.
    pub settlement_id: SettlementId,
    /// Who announced it.
    pub partner_id: PartnerId,
    /// The partner's enterprise.
    pub partner_enterprise_id: EnterpriseId,
    /// The partner's Go Account: what is not needed for gains goes there.
    pub go_account_id: GoAccountId,
    /// The partner's own name for the settlement.
    pub external_settlement_id: String,
    /// In what.
    pub currency: Currency,
    /// The partner's name for the currency when it was announced.
    pub partner_currency: String,
    /// The transaction on its chain.
    pub on_chain_tx_id: String,
    /// What was seen of it.
    pub seen: Option<SeenDeposit>,
    /// The request that announced it.
    pub signed_request: uuid::Uuid,
    /// When it was announced.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl OnChain {
    pub(crate) fn record_key(&self) -> SettlementId {
        self.settlement_id
    }

    /// One direction.
    pub fn part(&self, direction: Direction) -> OnChainPart {
        match direction {
            Direction::Gains => self.gains,
            Direction::Losses => self.losses,
        }
    }

    pub(crate) fn part_mut(&mut self, direction: Direction) -> &mut OnChainPart {
        match direction {
            Direction::Gains => &mut self.gains,
            Direction::Losses => &mut self.losses,
        }
    }
}

impl LegState {
    /// How far its transfers have come.
    pub fn transfer_status(&self) -> TransferStatus {
        match self {
            LegState::Announced | LegState::NotStarted => TransferStatus::Failed,
            LegState::Waiting => TransferStatus::PendingOnchain,
            LegState::Initiated => TransferStatus::OnchainInitiated,
            LegState::Completed { .. } => TransferStatus::Completed,
            LegState::Failed { .. } => TransferStatus::OnchainFailed,
            LegState::Rejected => TransferStatus::Rejected,
        }
    }

    /// Whether the chain has the word.
    pub fn is_open(&self) -> bool {
        matches!(self, LegState::Waiting | LegState::Initiated)
    }
}

impl OnChainLeg {
    pub(crate) fn record_key(&self) -> LegKey {
        self.key.clone()
    }

    /// Whether what was received suffices for all its transfers.
    pub fn is_covered(&self) -> bool {
        self.received_units >= self.total_units
    }
}

impl OnChainDeposit {
    pub(crate) fn record_key(&self) -> OnChainDepositId {
        self.id
    }

    /// The leg that it is for.
    pub fn leg_key(&self) -> LegKey {
        LegKey {
            settlement_id: self.settlement_id,
            direction: Direction::Gains,
            currency: self.currency.clone(),
        }
    }
}
