//! An operator gives up a staged settlement that has failed (decisions §5, v2 life).

use ledger::{Entry, EntryId, Hold, HoldPurpose, Posting, Timestamp};

use super::{KnownTransfers, advance::all_of};
use crate::{
    Class, Command, Draft, Keys, Reason, Refusal, SettlementId,
    allocate::refused_by_the_books,
    operate::Act,
    planted::{Fault, is_planted},
    record::{Message, Settlement, SettlementState, Transfer, TransferStatus},
};

/// A failed staged settlement is not tried again: what is held for it returns, and what rode on it
/// waits for another settlement.
#[derive(Clone, Debug)]
pub struct RejectSettlement {
    /// Which settlement.
    pub id: SettlementId,
    /// All of its transfers.
    pub transfers: KnownTransfers,
    /// Why, for the partner.
    pub reason: String,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// The operator who says so.
    pub operator: Act,
}

impl RejectSettlement {
    fn check(settlement: &Settlement) -> Result<(), Refusal> {
        let (name, message) = match (&settlement.staging, &settlement.state) {
            (Some(_), SettlementState::Failed { .. }) => return Ok(()),
            (None, SettlementState::Failed { .. }) if is_planted(Fault::UnstagedIsRejected) => {
                return Ok(());
            }
            (None, _) => (
                "settlement_not_staged",
                "only staged settlements hold anything that could be given back",
            ),
            (_, SettlementState::Completed { .. } | SettlementState::Rejected { .. }) => {
                ("already_final", "the settlement is completed and stays so")
            }
            (_, SettlementState::Pending) => (
                "settlement_pending",
                "the windows of the settlement have not ended; only one that failed can be rejected",
            ),
        };
        Err(Refusal::new(Class::Conflict, name, message))
    }
}

impl Command for RejectSettlement {
    type Outcome = Settlement;

    fn keys(&self) -> Keys {
        let mut keys = self.transfers.keys();
        keys.settlements.insert(self.id);
        keys.messages.insert(self.id.0);
        keys
    }

    fn weight(&self) -> usize {
        self.transfers.ids.len().max(1)
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Settlement, Refusal> {
        let settlement = draft.find::<Settlement>(&self.id).cloned();
        let mut settlement = settlement.ok_or_else(|| Refusal::not_found("settlement"))?;
        if matches!(&settlement.state, SettlementState::Rejected { reason, .. } if reason.message == self.reason)
        {
            return Ok(settlement);
        }
        RejectSettlement::check(&settlement)?;
        let mut postings = Vec::new();
        for transfer in all_of(&settlement, &self.transfers, draft)? {
            // What is disputed waits for the end of its dispute, with or without the settlement.
            if transfer.status == TransferStatus::Disputed {
                continue;
            }
            let hold = draft.find::<Hold>(&transfer.hold_id()).cloned();
            let hold = hold.filter(|hold| hold.open);
            if transfer.dispute_closure_id.is_some() {
                settlement.transfer_count -= 1;
                if let Some(hold) = hold {
                    draft.put(Hold {
                        purpose: HoldPurpose::Dispute,
                        ..hold
                    });
                }
                draft.put(Transfer {
                    settlement_id: None,
                    position: 0,
                    status: TransferStatus::PendingSettlementAssignment,
                    updated_at: now,
                    ..transfer
                });
                continue;
            }
            if let Some(hold) = hold {
                postings.push(Posting {
                    from: hold.account.held(),
                    to: hold.account.available(),
                    amount: hold.amount,
                });
                draft.put(Hold {
                    open: false,
                    ..hold
                });
            }
            draft.put(Transfer {
                status: TransferStatus::Rejected,
                updated_at: now,
                ..transfer
            });
        }
        if !postings.is_empty() {
            let entry = Entry {
                id: self.entry_id,
                cause: "settlement_rejected".into(),
                subject: self.id.0,
                signed_request: None,
                postings,
            };
            draft.post(entry).map_err(refused_by_the_books)?;
        }
        // What the final amounts were matters no more.
        if let Some(message) = draft.find::<Message>(&self.id.0).cloned()
            && message.call.is_some()
        {
            let mut message = message;
            message.finish(draft.real_time(now));
            draft.put(message);
        }
        let before = settlement.state.clone();
        settlement.state = SettlementState::Rejected {
            reason: Reason::new("rejected_by_operator", &self.reason),
            finalized_at: now,
        };
        if let Some(staging) = &mut settlement.staging {
            staging.found_short_at = None;
        }
        settlement.updated_at = now;
        draft.put(settlement.clone());
        let subject = self.id.to_string();
        let change = (Some(&before), &settlement.state);
        self.operator
            .record_change(draft, "reject_settlement", subject, change, now);
        Ok(settlement)
    }
}
