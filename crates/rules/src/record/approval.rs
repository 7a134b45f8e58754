//! Acts on money that one operator proposes and another approves.

use ledger::{Amount, Currency, GoAccountId, Timestamp};

use super::spelled;
use crate::{
    AllocationId, OnChainDepositId, ProposalId, SettlementId, UserId, WithdrawalId,
    fund::WithdrawalEnding, onchain::Withdrawn,
};

/// How acts on money are approved in this installation. There is one; before it was ever set, an
/// operator alone is enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalPolicy {
    /// Whether a second operator has to approve them.
    pub second_operator_required: bool,
    /// How long a proposal can be approved, in seconds.
    pub proposals_expire_after_s: i64,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Default for ApprovalPolicy {
    /// One operator is enough; proposals expire after a day.
    fn default() -> Self {
        ApprovalPolicy {
            second_operator_required: false,
            proposals_expire_after_s: 86_400,
            updated_at: Timestamp(0),
        }
    }
}

impl ApprovalPolicy {
    #[expect(clippy::unused_self, reason = "there is one only")]
    pub(crate) fn record_key(&self) {}
}

/// Money that crosses the border of custody, as it is proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposedMovement {
    /// To or from which account.
    pub go_account_id: GoAccountId,
    /// In what.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// Where custody receives or pays it.
    pub custody_source: String,
    /// The name under which it is known there.
    pub external_reference: String,
}

/// What is proposed: everything about an act but the identifiers that are drawn when it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposedAct {
    /// Money that custody has received is booked.
    BookDeposit(ProposedMovement),
    /// Money that is to leave custody is held.
    RequestWithdrawal(ProposedMovement),
    /// Custody has paid a withdrawal, or is not going to.
    FinishWithdrawal {
        /// Which withdrawal.
        id: WithdrawalId,
        /// How it ends.
        ending: WithdrawalEnding,
    },
    /// The money of a reserved record is given back.
    ReleaseHold {
        /// Which record.
        id: AllocationId,
        /// A sentence that client and partner see.
        reason: String,
    },
    /// Custody has received a deposit that was announced for a settlement over the chain.
    SeeDeposit {
        /// Which deposit.
        id: OnChainDepositId,
        /// How much custody received.
        amount: Amount,
        /// Custody's name for it.
        transfer_id: String,
    },
    /// What clients lose over the chain has left custody, or is not going to.
    MoveLosses {
        /// Of which settlement.
        settlement_id: SettlementId,
        /// In what.
        currency: Currency,
        /// How far they have come.
        withdrawn: Withdrawn,
    },
    /// What clients gain over the chain will not come.
    FailGains {
        /// Of which settlement.
        settlement_id: SettlementId,
        /// In what.
        currency: Currency,
        /// A sentence that partner and clients see.
        reason: String,
    },
    /// What was received for a settlement that does not wait for it goes to the partner.
    ReturnReceived {
        /// For which settlement.
        settlement_id: SettlementId,
        /// In what.
        currency: Currency,
    },
    /// A settlement over the chain is given up.
    RejectOnChain {
        /// Which settlement.
        settlement_id: SettlementId,
        /// A sentence that partner and clients see.
        reason: String,
    },
    /// A staged settlement that has failed is given up.
    RejectSettlement {
        /// Which settlement.
        settlement_id: SettlementId,
        /// A sentence that the partner sees.
        reason: String,
    },
    /// How acts on money are approved changes.
    SetApprovalPolicy {
        /// Whether a second operator has to approve them.
        second_operator_required: bool,
        /// How long a proposal can be approved, in seconds.
        proposals_expire_after_s: i64,
    },
}

impl ProposedAct {
    /// What it is about. Of the acts about one thing only one is proposed at a time.
    pub fn subject(&self) -> String {
        let of_movement = |what: &str, movement: &ProposedMovement| {
            let (source, reference) = (&movement.custody_source, &movement.external_reference);
            format!("{what} {reference} at {source}")
        };
        match self {
            ProposedAct::BookDeposit(movement) => of_movement("deposit", movement),
            ProposedAct::RequestWithdrawal(movement) => of_movement("withdrawal", movement),
            ProposedAct::FinishWithdrawal { id, .. } => format!("withdrawal {id}"),
            ProposedAct::ReleaseHold { id, .. } => format!("hold {id}"),
            ProposedAct::SeeDeposit { id, .. } => format!("on-chain deposit {id}"),
            ProposedAct::MoveLosses {
                settlement_id,
                currency,
                ..
            } => format!("losses in {currency} of settlement {settlement_id}"),
            ProposedAct::FailGains {
                settlement_id,
                currency,
                ..
            }
            | ProposedAct::ReturnReceived {
                settlement_id,
                currency,
            } => format!("gains in {currency} of settlement {settlement_id}"),
            ProposedAct::RejectOnChain { settlement_id, .. }
            | ProposedAct::RejectSettlement { settlement_id, .. } => {
                format!("settlement {settlement_id}")
            }
            ProposedAct::SetApprovalPolicy { .. } => "approval policy".to_owned(),
        }
    }
}

spelled! {
    /// What has become of a proposal.
    ProposalState {
        /// It waits for a second operator, or has expired waiting.
        Pending = "pending",
        /// A second operator has approved it, and it was done.
        Approved = "approved",
        /// It will not be done.
        Rejected = "rejected",
    }
}

/// An act that an operator has proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Its identifier.
    pub id: ProposalId,
    /// What is to be done.
    pub act: ProposedAct,
    /// Who has proposed it.
    pub proposed_by: UserId,
    /// What has become of it.
    pub state: ProposalState,
    /// Who has approved or rejected it.
    pub decided_by: Option<UserId>,
    /// What they had to say about it.
    pub notes: Option<String>,
    /// When they did.
    pub decided_at: Option<Timestamp>,
    /// When it was proposed.
    pub created_at: Timestamp,
    /// From when on it can no longer be approved.
    pub expires_at: Timestamp,
}

impl Proposal {
    pub(crate) fn record_key(&self) -> ProposalId {
        self.id
    }

    /// Whether nobody has decided on it in its time.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.state == ProposalState::Pending && now >= self.expires_at
    }

    /// Whether it can still be approved.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state == ProposalState::Pending && now < self.expires_at
    }
}

/// The latest proposal about something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatestProposal {
    /// What it is about; see [`ProposedAct::subject`].
    pub subject: String,
    /// Which one.
    pub proposal_id: ProposalId,
}

impl LatestProposal {
    pub(crate) fn record_key(&self) -> String {
        self.subject.clone()
    }
}
