//! What becomes of a staged settlement as time passes and money comes in (v2; OES wire §3.6).

use ledger::{BookError, Entry, EntryId, Hold, HoldPurpose, Posting, Timestamp};

use super::{KnownTransfers, out_of_bounds, put_staged, shortage};
use crate::{
    Class, Command, Draft, Keys, Refusal, SettlementId,
    deliver::due_message,
    planted::{Fault, is_planted},
    record::{MessageCall, Settlement, SettlementState, Transfer, TransferStatus},
};

/// A staged settlement goes as far as it can: once the dispute window has ended its amounts are
/// fixed and the partner is told; then it is booked if the partner's account suffices; if it does
/// not and the top-up window has ended, it fails. One that failed is booked when it can be.
///
/// It may be asked for at any time, by anybody, and does nothing before something is due.
#[derive(Clone, Debug)]
pub struct AdvanceSettlement {
    /// Which settlement.
    pub id: SettlementId,
    /// All of its transfers.
    pub transfers: KnownTransfers,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
}

impl AdvanceSettlement {
    /// Fixes the final amounts: what is disputed now stays out, and waits for its dispute to end.
    fn fix_amounts(draft: &mut Draft<'_>, transfers: &[Transfer]) {
        for transfer in transfers {
            if transfer.status != TransferStatus::Disputed {
                continue;
            }
            if let Some(hold) = draft.find::<Hold>(&transfer.hold_id()).cloned()
                && hold.open
            {
                draft.put(Hold {
                    purpose: HoldPurpose::Dispute,
                    ..hold
                });
            }
        }
    }

    /// What executing the transfers moves, and the holds that end with it.
    fn execution(
        draft: &Draft<'_>,
        transfers: &[Transfer],
    ) -> Result<(Vec<Posting>, Vec<Hold>), Refusal> {
        let (mut postings, mut holds) = (Vec::new(), Vec::new());
        for transfer in transfers {
            let loser = transfer.loser().account(&transfer.currency);
            let from = match transfer.loser().connection {
                None => loser.available(),
                Some(_) => {
                    let hold = draft.find::<Hold>(&transfer.hold_id()).cloned();
                    let hold = hold
                        .filter(|hold| hold.open && hold.amount == transfer.amount.magnitude())
                        .ok_or_else(|| Refusal::not_found("hold"))?;
                    holds.push(Hold {
                        open: false,
                        ..hold
                    });
                    loser.held()
                }
            };
            postings.push(Posting {
                from,
                to: transfer.gainer().account(&transfer.currency).available(),
                amount: transfer.amount.magnitude(),
            });
        }
        Ok((postings, holds))
    }

    /// Books everything that is to be booked, or says what is short.
    fn execute(
        &self,
        draft: &mut Draft<'_>,
        settlement: &mut Settlement,
        transfers: Vec<Transfer>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let (postings, holds) = AdvanceSettlement::execution(draft, &transfers)?;
        let entry = Entry {
            id: self.entry_id,
            cause: "settlement_executed".into(),
            subject: settlement.id.0,
            signed_request: Some(settlement.signed_request),
            postings,
        };
        match draft.post(entry) {
            Ok(()) => {
                holds.into_iter().for_each(|hold| draft.put(hold));
                settlement.state = SettlementState::Completed {
                    finalized_at: now,
                    entry: self.entry_id,
                };
                settlement.updated_at = now;
                if let Some(staging) = &mut settlement.staging {
                    staging.found_short_at = None;
                }
                mark(
                    draft,
                    transfers,
                    TransferStatus::Completed,
                    Some(self.entry_id),
                    now,
                );
            }
            Err(BookError::Short(short)) => {
                let last_entry = draft.last_entry();
                let Some(staging) = &mut settlement.staging else {
                    return Ok(());
                };
                staging.found_short_at = Some(last_entry);
                let is_over = now >= staging.top_up_window_ends_at;
                if is_over && settlement.state == SettlementState::Pending {
                    let parties = transfers.iter().flat_map(|transfer| {
                        [&transfer.source, &transfer.destination]
                            .map(|party| (party, &transfer.currency))
                    });
                    settlement.state = SettlementState::Failed {
                        reason: shortage(&short, parties),
                    };
                    settlement.updated_at = now;
                    mark(draft, transfers, TransferStatus::Failed, None, now);
                }
            }
            Err(BookError::OutOfBounds(_) | BookError::MixedCurrencies(_)) => {
                return Err(out_of_bounds());
            }
        }
        Ok(())
    }
}

fn mark(
    draft: &mut Draft<'_>,
    transfers: Vec<Transfer>,
    status: TransferStatus,
    entry: Option<EntryId>,
    now: Timestamp,
) {
    for transfer in transfers {
        draft.put(Transfer {
            status,
            entry,
            updated_at: now,
            ..transfer
        });
    }
}

/// All transfers of a settlement, as they are now.
pub(super) fn all_of(
    settlement: &Settlement,
    known: &KnownTransfers,
    draft: &Draft<'_>,
) -> Result<Vec<Transfer>, Refusal> {
    let transfers: Vec<Transfer> = known
        .find(draft)
        .into_iter()
        .filter(|transfer| transfer.settlement_id == Some(settlement.id))
        .collect();
    if i64::try_from(transfers.len()) != Ok(settlement.transfer_count) {
        return Err(Refusal::new(
            Class::Conflict,
            "settlement_changed",
            "the transfers of the settlement have just changed; try again",
        ));
    }
    Ok(transfers)
}

impl Command for AdvanceSettlement {
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
        let open = settlement.is_open();
        let Some(staging) = settlement.staging.as_mut().filter(|_| open) else {
            return Ok(settlement);
        };
        let is_fixed = staging.amounts_fixed;
        if !is_fixed && now < staging.dispute_window_ends_at {
            return Ok(settlement);
        }
        staging.amounts_fixed = true;
        let mut transfers = all_of(&settlement, &self.transfers, draft)?;
        if !is_fixed {
            AdvanceSettlement::fix_amounts(draft, &transfers);
            settlement.updated_at = now;
            if !is_planted(Fault::FinalAmountsNotTold) {
                let call = MessageCall::Finalize;
                let real = draft.real_time(now);
                draft.put(due_message(self.id.0, settlement.partner_id, call, real));
            }
        }
        if !is_planted(Fault::DisputedIsExecuted) {
            transfers.retain(|transfer| transfer.status != TransferStatus::Disputed);
        }
        self.execute(draft, &mut settlement, transfers, now)?;
        put_staged(draft, &settlement);
        Ok(settlement)
    }
}
