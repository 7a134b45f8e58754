//! What clients lose is on its way over the chain, has left custody, or has not left.

use ledger::{Account, Currency, EntryId, Hold, Owner, Posting, Timestamp};

use super::{conflict, end_leg, known, known_leg, post, put_transfers, transfers_of};
use crate::{
    Command, Draft, Keys, Reason, Refusal, SettlementId,
    operate::Act,
    planted::{Fault, is_planted},
    record::{Direction, LegKey, LegState, OnChainLeg, Settlement, Transfer},
    settle::KnownTransfers,
};

/// How far the withdrawal of a leg of losses has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    /// It was sent.
    Started {
        /// The transaction on its chain, if it is known already.
        tx_id: Option<String>,
    },
    /// It was seen on the chain: the money has left custody.
    Seen {
        /// The transaction on its chain.
        tx_id: String,
    },
    /// It will not be made: the money is the clients' again.
    Failed {
        /// Why, for partner and clients.
        reason: String,
    },
}

/// Custody says how far the losses of a settlement in one currency have come. Saying so again
/// changes nothing.
#[derive(Clone, Debug)]
pub struct MoveLosses {
    /// Of which settlement.
    pub settlement_id: SettlementId,
    /// In what.
    pub currency: Currency,
    /// How far they have come.
    pub withdrawn: Withdrawn,
    /// The transfers of the leg, as whoever says so has looked them up.
    pub transfers: KnownTransfers,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// Who says so.
    pub operator: Act,
}

impl Withdrawn {
    /// Whether a leg has come exactly so far.
    fn is_said_of(&self, leg: &OnChainLeg) -> bool {
        match (self, &leg.state) {
            (Withdrawn::Started { tx_id: None }, LegState::Initiated) => true,
            (Withdrawn::Started { tx_id: Some(id) }, LegState::Initiated)
            | (Withdrawn::Seen { tx_id: id }, LegState::Completed { .. }) => {
                leg.tx_ids.contains(id)
            }
            (Withdrawn::Failed { .. }, LegState::Failed { .. }) => true,
            _ => false,
        }
    }

    /// The name under which saying so is recorded.
    pub fn act(&self) -> &'static str {
        match self {
            Withdrawn::Started { .. } => "on_chain_withdrawal_started",
            Withdrawn::Seen { .. } => "on_chain_withdrawal_seen",
            Withdrawn::Failed { .. } => "on_chain_withdrawal_failed",
        }
    }
}

/// What happens to the holds of a leg: their money leaves custody, or goes back to the connections.
pub(super) fn close_holds(draft: &mut Draft<'_>, own: &[&Transfer], leaves: bool) -> Vec<Posting> {
    let mut postings = Vec::with_capacity(own.len());
    for transfer in own {
        let hold = draft.find::<Hold>(&transfer.hold_id()).cloned();
        let Some(hold) = hold.filter(|hold| hold.open) else {
            continue;
        };
        let custody = Account::new(Owner::Custody, &transfer.currency);
        postings.push(Posting {
            from: hold.account.held(),
            to: match leaves {
                true => custody.available(),
                false => hold.account.available(),
            },
            amount: hold.amount,
        });
        draft.put(Hold {
            open: false,
            ..hold
        });
    }
    postings
}

impl Command for MoveLosses {
    type Outcome = Settlement;

    fn keys(&self) -> Keys {
        let mut keys = self.transfers.keys();
        keys.settlements.insert(self.settlement_id);
        keys.on_chain.insert(self.settlement_id);
        keys.on_chain_legs.insert(self.leg_key());
        let custody = Account::new(Owner::Custody, &self.currency);
        keys.balances.insert(custody);
        keys
    }

    fn weight(&self) -> usize {
        self.transfers.ids.len().max(1)
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Settlement, Refusal> {
        let both = known(draft, self.settlement_id)?;
        let before = known_leg(draft, &self.leg_key())?;
        let mut leg = before.clone();
        if self.withdrawn.is_said_of(&leg) {
            return Ok(both.0);
        }
        if !leg.state.is_open() {
            return Err(conflict(
                "on_chain_leg_is_final",
                format!(
                    "the losses in {} have ended otherwise: {}",
                    self.currency,
                    leg.state.transfer_status()
                ),
            ));
        }
        let transfers = self.transfers.find(draft);
        let own = transfers_of(&leg, &transfers)?;
        leg.updated_at = now;
        let settlement = match &self.withdrawn {
            Withdrawn::Started { tx_id } => {
                leg.state = LegState::Initiated;
                leg.tx_ids = tx_id.iter().cloned().collect();
                put_transfers(draft, &leg, &own, now);
                let settlement = Settlement {
                    updated_at: now,
                    ..both.0
                };
                draft.put(settlement.clone());
                settlement
            }
            Withdrawn::Seen { tx_id } => {
                let entry = self.entry_id;
                leg.state = LegState::Completed { entry };
                leg.tx_ids = vec![tx_id.clone()];
                let postings = close_holds(draft, &own, true);
                post(draft, entry, "on_chain_losses", &both.0, postings)?;
                put_transfers(draft, &leg, &own, now);
                end_leg(draft, both, &leg, entry, now).0
            }
            Withdrawn::Failed { reason } => {
                let reason = Reason::new("on_chain_failed", reason.clone());
                leg.state = LegState::Failed { reason };
                let leaves = is_planted(Fault::FailedWithdrawalLeaves);
                let postings = close_holds(draft, &own, leaves);
                post(
                    draft,
                    self.entry_id,
                    "on_chain_losses_failed",
                    &both.0,
                    postings,
                )?;
                put_transfers(draft, &leg, &own, now);
                end_leg(draft, both, &leg, self.entry_id, now).0
            }
        };
        let subject = self.settlement_id.to_string();
        let (act, change) = (self.withdrawn.act(), (Some(&before), &leg));
        self.operator
            .record_change(draft, act, subject, change, now);
        draft.put(leg);
        Ok(settlement)
    }
}

impl MoveLosses {
    fn leg_key(&self) -> LegKey {
        LegKey {
            settlement_id: self.settlement_id,
            direction: Direction::Losses,
            currency: self.currency.clone(),
        }
    }
}
