//! Rows of acts on money that wait for a second operator, or did.

use ledger::GoAccountId;
use rules::{
    AllocationId, OnChainDepositId, ProposalId, SettlementId, UserId, WithdrawalId,
    fund::WithdrawalEnding,
    onchain::Withdrawn,
    record::{
        ApprovalPolicy, LatestProposal, Proposal, ProposalState, ProposedAct, ProposedMovement,
    },
};
use serde::{Deserialize, Serialize};

use super::{Columns, CommitFacts, Stored, optional_time, table, time};
use crate::sql::{StoreError, Table, Value};

impl Stored for ApprovalPolicy {
    // There is one row, 0.
    const TABLE: &'static Table = table!("approval_policy", ["id"],
        id Int, second_operator_required Bool, proposals_expire_after_s Int, updated_at Int);

    fn key_values((): &()) -> Vec<Value> {
        vec![0_i64.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        vec![
            0_i64.into(),
            self.second_operator_required.into(),
            self.proposals_expire_after_s.into(),
            time(self.updated_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        let _id = columns.int()?;
        Ok(ApprovalPolicy {
            second_operator_required: columns.boolean()?,
            proposals_expire_after_s: columns.int()?,
            updated_at: columns.time()?,
        })
    }
}

/// What is proposed, as it is stored. What is stored stays readable: members are added, none is
/// ever renamed or taken away.
#[derive(Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
enum ActDocument {
    BookDeposit(MovementDocument),
    RequestWithdrawal(MovementDocument),
    WithdrawalPaid {
        id: String,
    },
    WithdrawalCancelled {
        id: String,
    },
    ReleaseHold {
        id: String,
        reason: String,
    },
    OnChainDepositSeen {
        id: String,
        amount: String,
        transfer_id: String,
    },
    OnChainWithdrawalStarted {
        settlement_id: String,
        currency: String,
        tx_id: Option<String>,
    },
    OnChainWithdrawalSeen {
        settlement_id: String,
        currency: String,
        tx_id: String,
    },
    OnChainWithdrawalFailed {
        settlement_id: String,
        currency: String,
        reason: String,
    },
    OnChainGainsFailed {
        settlement_id: String,
        currency: String,
        reason: String,
    },
    ReturnReceived {
        settlement_id: String,
        currency: String,
    },
    RejectOnChain {
        settlement_id: String,
        reason: String,
    },
    RejectSettlement {
        settlement_id: String,
        reason: String,
    },
    SetApprovalPolicy {
        second_operator_required: bool,
        proposals_expire_after_s: i64,
    },
}

#[derive(Serialize, Deserialize)]
struct MovementDocument {
    go_account_id: String,
    currency: String,
    amount: String,
    custody_source: String,
    external_reference: String,
}

impl From<&ProposedMovement> for MovementDocument {
    fn from(movement: &ProposedMovement) -> Self {
        MovementDocument {
            go_account_id: movement.go_account_id.0.to_string(),
            currency: movement.currency.to_string(),
            amount: movement.amount.to_string(),
            custody_source: movement.custody_source.clone(),
            external_reference: movement.external_reference.clone(),
        }
    }
}

impl MovementDocument {
    fn read(self) -> Option<ProposedMovement> {
        Some(ProposedMovement {
            go_account_id: GoAccountId(self.go_account_id.parse().ok()?),
            currency: self.currency.parse().ok()?,
            amount: self.amount.parse().ok()?,
            custody_source: self.custody_source,
            external_reference: self.external_reference,
        })
    }
}

impl From<&ProposedAct> for ActDocument {
    fn from(act: &ProposedAct) -> Self {
        match act {
            ProposedAct::BookDeposit(movement) => ActDocument::BookDeposit(movement.into()),
            ProposedAct::RequestWithdrawal(movement) => {
                ActDocument::RequestWithdrawal(movement.into())
            }
            ProposedAct::FinishWithdrawal { id, ending } => match ending {
                WithdrawalEnding::Paid => ActDocument::WithdrawalPaid { id: id.to_string() },
                WithdrawalEnding::Cancelled => {
                    ActDocument::WithdrawalCancelled { id: id.to_string() }
                }
            },
            ProposedAct::ReleaseHold { id, reason } => ActDocument::ReleaseHold {
                id: id.to_string(),
                reason: reason.clone(),
            },
            ProposedAct::SeeDeposit {
                id,
                amount,
                transfer_id,
            } => ActDocument::OnChainDepositSeen {
                id: id.to_string(),
                amount: amount.to_string(),
                transfer_id: transfer_id.clone(),
            },
            ProposedAct::MoveLosses {
                settlement_id,
                currency,
                withdrawn,
            } => {
                let (settlement_id, currency) = (settlement_id.to_string(), currency.to_string());
                match withdrawn.clone() {
                    Withdrawn::Started { tx_id } => ActDocument::OnChainWithdrawalStarted {
                        settlement_id,
                        currency,
                        tx_id,
                    },
                    Withdrawn::Seen { tx_id } => ActDocument::OnChainWithdrawalSeen {
                        settlement_id,
                        currency,
                        tx_id,
                    },
                    Withdrawn::Failed { reason } => ActDocument::OnChainWithdrawalFailed {
                        settlement_id,
                        currency,
                        reason,
                    },
                }
            }
            ProposedAct::FailGains {
                settlement_id,
                currency,
                reason,
            } => ActDocument::OnChainGainsFailed {
                settlement_id: settlement_id.to_string(),
                currency: currency.to_string(),
                reason: reason.clone(),
            },
            ProposedAct::ReturnReceived {
                settlement_id,
                currency,
            } => ActDocument::ReturnReceived {
                settlement_id: settlement_id.to_string(),
                currency: currency.to_string(),
            },
            ProposedAct::RejectOnChain {
                settlement_id,
                reason,
            } => ActDocument::RejectOnChain {
                settlement_id: settlement_id.to_string(),
                reason: reason.clone(),
            },
            ProposedAct::RejectSettlement {
                settlement_id,
                reason,
            } => ActDocument::RejectSettlement {
                settlement_id: settlement_id.to_string(),
                reason: reason.clone(),
            },
            ProposedAct::SetApprovalPolicy {
                second_operator_required,
                proposals_expire_after_s,
            } => ActDocument::SetApprovalPolicy {
                second_operator_required: *second_operator_required,
                proposals_expire_after_s: *proposals_expire_after_s,
            },
        }
    }
}

impl ActDocument {
    fn read(self) -> Option<ProposedAct> {
        let finish = |id: String, ending| {
            let id = WithdrawalId(id.parse().ok()?);
            Some(ProposedAct::FinishWithdrawal { id, ending })
        };
        let settlement = |id: String| Some(SettlementId(id.parse().ok()?));
        let losses = |settlement_id, currency: String, withdrawn| {
            Some(ProposedAct::MoveLosses {
                settlement_id: settlement(settlement_id)?,
                currency: currency.parse().ok()?,
                withdrawn,
            })
        };
        Some(match self {
            ActDocument::BookDeposit(movement) => ProposedAct::BookDeposit(movement.read()?),
            ActDocument::RequestWithdrawal(movement) => {
                ProposedAct::RequestWithdrawal(movement.read()?)
            }
            ActDocument::WithdrawalPaid { id } => finish(id, WithdrawalEnding::Paid)?,
            ActDocument::WithdrawalCancelled { id } => finish(id, WithdrawalEnding::Cancelled)?,
            ActDocument::ReleaseHold { id, reason } => ProposedAct::ReleaseHold {
                id: AllocationId(id.parse().ok()?),
                reason,
            },
            ActDocument::OnChainDepositSeen {
                id,
                amount,
                transfer_id,
            } => ProposedAct::SeeDeposit {
                id: OnChainDepositId(id.parse().ok()?),
                amount: amount.parse().ok()?,
                transfer_id,
            },
            ActDocument::OnChainWithdrawalStarted {
                settlement_id,
                currency,
                tx_id,
            } => losses(settlement_id, currency, Withdrawn::Started { tx_id })?,
            ActDocument::OnChainWithdrawalSeen {
                settlement_id,
                currency,
                tx_id,
            } => losses(settlement_id, currency, Withdrawn::Seen { tx_id })?,
            ActDocument::OnChainWithdrawalFailed {
                settlement_id,
                currency,
                reason,
            } => losses(settlement_id, currency, Withdrawn::Failed { reason })?,
            ActDocument::OnChainGainsFailed {
                settlement_id,
                currency,
                reason,
            } => ProposedAct::FailGains {
                settlement_id: settlement(settlement_id)?,
                currency: currency.parse().ok()?,
                reason,
            },
            ActDocument::ReturnReceived {
                settlement_id,
                currency,
            } => ProposedAct::ReturnReceived {
                settlement_id: settlement(settlement_id)?,
                currency: currency.parse().ok()?,
            },
            ActDocument::RejectOnChain {
                settlement_id,
                reason,
            } => ProposedAct::RejectOnChain {
                settlement_id: settlement(settlement_id)?,
                reason,
            },
            ActDocument::RejectSettlement {
                settlement_id,
                reason,
            } => ProposedAct::RejectSettlement {
                settlement_id: settlement(settlement_id)?,
                reason,
            },
            ActDocument::SetApprovalPolicy {
                second_operator_required,
                proposals_expire_after_s,
            } => ProposedAct::SetApprovalPolicy {
                second_operator_required,
                proposals_expire_after_s,
            },
        })
    }
}

impl Stored for Proposal {
    const TABLE: &'static Table = table!("proposals", ["id"],
        id Uuid, document Text, proposed_by Uuid, state Text, decided_by Uuid, notes Text,
        decided_at Int, created_at Int, expires_at Int);

    fn key_values(key: &ProposalId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        // Strings, numbers and truth values always serialise.
        let document = serde_json::to_string(&ActDocument::from(&self.act)).unwrap_or_default();
        vec![
            self.id.0.into(),
            document.into(),
            self.proposed_by.0.into(),
            self.state.as_str().into(),
            self.decided_by.map(|id| id.0).into(),
            self.notes.as_deref().into(),
            optional_time(self.decided_at),
            time(self.created_at),
            time(self.expires_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        let id = ProposalId(columns.uuid()?);
        let document = columns.text()?;
        let document: ActDocument = serde_json::from_str(&document)
            .map_err(|error| StoreError::Corrupt(format!("a proposal: {error}")))?;
        Ok(Proposal {
            id,
            act: document.read().ok_or_else(|| columns.corrupt("an act"))?,
            proposed_by: UserId(columns.uuid()?),
            state: columns.spelled(ProposalState::from_spelling)?,
            decided_by: columns.optional_uuid()?.map(UserId),
            notes: columns.optional_text()?,
            decided_at: columns.optional_time()?,
            created_at: columns.time()?,
            expires_at: columns.time()?,
        })
    }
}

impl Stored for LatestProposal {
    const TABLE: &'static Table = table!("latest_proposals", ["subject"],
        subject Text, proposal_id Uuid);

    fn key_values(key: &String) -> Vec<Value> {
        vec![key.as_str().into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        vec![self.subject.as_str().into(), self.proposal_id.0.into()]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(LatestProposal {
            subject: columns.text()?,
            proposal_id: ProposalId(columns.uuid()?),
        })
    }
}
