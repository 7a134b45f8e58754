//! An operator ends what will not come: gains in one currency, or a settlement of which nothing was
//! booked yet. What was received meanwhile goes to the partner's Go Account.

use std::collections::BTreeSet;

use ledger::{Account, Currency, EntryId, GoAccountId, Owner, Timestamp};

use super::{
    conflict, end_leg, known, known_leg, post, put_transfers, returned, transfers_of,
    withdraw::close_holds,
};
use crate::{
    Class, Command, Draft, Keys, Reason, Refusal, SettlementId,
    operate::Act,
    record::{
        Direction, LegKey, LegState, OnChain, OnChainLeg, Settlement, SettlementState, TimerKind,
    },
    settle::KnownTransfers,
};

fn accounts(currency: &Currency, go_account: GoAccountId) -> [Account; 2] {
    [
        Account::new(Owner::Custody, currency),
        Account::new(Owner::Go(go_account), currency),
    ]
}

fn gains(settlement_id: SettlementId, currency: &Currency) -> LegKey {
    LegKey {
        settlement_id,
        direction: Direction::Gains,
        currency: currency.clone(),
    }
}

/// The gains of a settlement in one currency will not come.
#[derive(Clone, Debug)]
pub struct FailGains {
    /// Of which settlement.
    pub settlement_id: SettlementId,
    /// In what.
    pub currency: Currency,
    /// Why, for partner and clients.
    pub reason: String,
    /// The partner's Go Account.
    pub go_account_id: GoAccountId,
    /// The transfers of the leg, as whoever says so has looked them up.
    pub transfers: KnownTransfers,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// Who says so.
    pub operator: Act,
}

impl Command for FailGains {
    type Outcome = Settlement;

    fn keys(&self) -> Keys {
        let mut keys = self.transfers.keys();
        keys.settlements.insert(self.settlement_id);
        keys.on_chain.insert(self.settlement_id);
        keys.on_chain_legs
            .insert(gains(self.settlement_id, &self.currency));
        keys.balances
            .extend(accounts(&self.currency, self.go_account_id));
        keys
    }

    fn weight(&self) -> usize {
        self.transfers.ids.len().max(1)
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Settlement, Refusal> {
        let both = known(draft, self.settlement_id)?;
        let before = known_leg(draft, &gains(self.settlement_id, &self.currency))?;
        let mut leg = before.clone();
        if matches!(leg.state, LegState::Failed { .. }) {
            return Ok(both.0);
        }
        if !leg.state.is_open() {
            return Err(conflict(
                "on_chain_leg_is_final",
                format!(
                    "the gains in {} are not waited for: {}",
                    self.currency,
                    leg.state.transfer_status()
                ),
            ));
        }
        let transfers = self.transfers.find(draft);
        let own = transfers_of(&leg, &transfers)?;
        leg.state = LegState::Failed {
            reason: Reason::new("on_chain_failed", self.reason.clone()),
        };
        leg.updated_at = now;
        let postings = returned(&mut leg, self.go_account_id).into_iter().collect();
        post(
            draft,
            self.entry_id,
            "on_chain_gains_failed",
            &both.0,
            postings,
        )?;
        put_transfers(draft, &leg, &own, now);
        let (settlement, _) = end_leg(draft, both, &leg, self.entry_id, now);
        let (subject, change) = (self.settlement_id.to_string(), (Some(&before), &leg));
        self.operator
            .record_change(draft, "on_chain_gains_failed", subject, change, now);
        draft.put(leg);
        Ok(settlement)
    }
}

/// What was received in one currency for a settlement that does not wait for it goes to the
/// partner's Go Account.
#[derive(Clone, Debug)]
pub struct ReturnReceived {
    /// For which settlement; it need not have been posted.
    pub settlement_id: SettlementId,
    /// In what.
    pub currency: Currency,
    /// The partner's Go Account.
    pub go_account_id: GoAccountId,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// Who says so.
    pub operator: Act,
}

impl Command for ReturnReceived {
    /// How much went back, in base units.
    type Outcome = i128;

    fn keys(&self) -> Keys {
        Keys {
            on_chain_legs: [gains(self.settlement_id, &self.currency)].into(),
            balances: accounts(&self.currency, self.go_account_id).into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<i128, Refusal> {
        let before = known_leg(draft, &gains(self.settlement_id, &self.currency))?;
        let mut leg = before.clone();
        if leg.state.is_open() {
            return Err(conflict(
                "on_chain_leg_is_open",
                "the settlement waits for this money; fail its gains or reject it",
            ));
        }
        let units = leg.received_units;
        let Some(posting) = returned(&mut leg, self.go_account_id) else {
            return Ok(0);
        };
        let entry = ledger::Entry {
            id: self.entry_id,
            cause: "on_chain_received_returned".into(),
            subject: self.settlement_id.0,
            signed_request: None,
            postings: vec![posting],
        };
        draft
            .post(entry)
            .map_err(crate::allocate::refused_by_the_books)?;
        leg.updated_at = now;
        let (subject, change) = (self.settlement_id.to_string(), (Some(&before), &leg));
        self.operator
            .record_change(draft, "return_received", subject, change, now);
        draft.put(leg);
        Ok(units)
    }
}

/// A settlement of which nothing was booked yet is rejected, for good.
#[derive(Clone, Debug)]
pub struct RejectOnChain {
    /// Which one.
    pub settlement_id: SettlementId,
    /// Why, for partner and clients.
    pub reason: String,
    /// The partner's Go Account.
    pub go_account_id: GoAccountId,
    /// All its transfers, as whoever says so has looked them up.
    pub transfers: KnownTransfers,
    /// The currencies of its legs.
    pub legs: BTreeSet<(Direction, Currency)>,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// Who says so.
    pub operator: Act,
}

impl RejectOnChain {
    fn leg_keys(&self) -> impl Iterator<Item = LegKey> {
        self.legs.iter().map(|(direction, currency)| LegKey {
            settlement_id: self.settlement_id,
            direction: *direction,
            currency: currency.clone(),
        })
    }

    /// What has left for the chain must not be given back: it could be seen to arrive later.
    fn check_nothing_is_leaving(&self, draft: &Draft<'_>) -> Result<(), Refusal> {
        for key in self.leg_keys() {
            let leg = draft.find::<OnChainLeg>(&key);
            let is_leaving = leg.is_some_and(|leg| leg.state == LegState::Initiated);
            if key.direction == Direction::Losses && is_leaving {
                return Err(Refusal::new(
                    Class::Unprocessable,
                    "on_chain_withdrawal_under_way",
                    format!(
                        "a withdrawal of {} is under way; say first that it has failed, or that it was seen",
                        key.currency
                    ),
                ));
            }
        }
        Ok(())
    }

    fn check(&self, settlement: &Settlement, on_chain: &OnChain) -> Result<(), Refusal> {
        if on_chain.completed > 0 {
            return Err(Refusal::new(
                Class::Unprocessable,
                "on_chain_partly_completed",
                "a part of the settlement is booked already: it cannot be rejected; fail what is left",
            ));
        }
        let has_ended = on_chain.started && settlement.state != SettlementState::Pending;
        if has_ended || !settlement.is_open() {
            return Err(conflict(
                "settlement_is_final",
                "the settlement has ended already",
            ));
        }
        Ok(())
    }
}

impl Command for RejectOnChain {
    type Outcome = Settlement;

    fn keys(&self) -> Keys {
        let mut keys = self.transfers.keys();
        keys.settlements.insert(self.settlement_id);
        keys.on_chain.insert(self.settlement_id);
        keys.on_chain_legs.extend(self.leg_keys());
        for (_, currency) in &self.legs {
            keys.balances.extend(accounts(currency, self.go_account_id));
        }
        keys
    }

    fn weight(&self) -> usize {
        self.transfers.ids.len().max(1)
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Settlement, Refusal> {
        let (mut settlement, mut on_chain) = known(draft, self.settlement_id)?;
        if matches!(settlement.state, SettlementState::Rejected { .. }) {
            return Ok(settlement);
        }
        self.check(&settlement, &on_chain)?;
        self.check_nothing_is_leaving(draft)?;
        let before = settlement.clone();
        let transfers = self.transfers.find(draft);
        let mut postings = Vec::new();
        for key in self.leg_keys() {
            let Some(mut leg) = draft.find::<OnChainLeg>(&key).cloned() else {
                continue;
            };
            if matches!(leg.state, LegState::Failed { .. }) {
                continue;
            }
            let own = transfers_of(&leg, &transfers)?;
            postings.extend(close_holds(draft, &own, false));
            postings.extend(returned(&mut leg, self.go_account_id));
            leg.state = LegState::Rejected;
            leg.updated_at = now;
            put_transfers(draft, &leg, &own, now);
            draft.put(leg);
        }
        post(
            draft,
            self.entry_id,
            "on_chain_given_up",
            &settlement,
            postings,
        )?;
        on_chain.gains.unfinished = 0;
        on_chain.losses.unfinished = 0;
        for direction in [Direction::Gains, Direction::Losses] {
            draft.finish_timer(direction.timer(), self.settlement_id.0);
        }
        draft.finish_timer(TimerKind::OnChainGains, self.settlement_id.0);
        settlement.state = SettlementState::Rejected {
            reason: Reason::new("rejected_by_operator", self.reason.clone()),
            finalized_at: now,
        };
        settlement.updated_at = now;
        let (subject, change) = (self.settlement_id.to_string(), (Some(&before), &settlement));
        self.operator
            .record_change(draft, "reject_on_chain", subject, change, now);
        draft.put(on_chain);
        draft.put(settlement.clone());
        Ok(settlement)
    }
}
