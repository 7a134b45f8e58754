//! A deposit is seen, and gains are booked once all of a currency are covered.

use std::collections::BTreeMap;

use ledger::{Account, Amount, Currency, EntryId, Owner, Posting, Timestamp};

use super::{conflict, end_leg, known, known_leg, post, put_transfers, to_partner, transfers_of};
use crate::{
    Command, Draft, Keys, OnChainDepositId, Refusal, SettlementId, View,
    operate::Act,
    planted::{Fault, is_planted},
    record::{
        Claim, ClaimKey, ClaimKind, Direction, LegKey, LegState, OnChain, OnChainDeposit,
        OnChainLeg, SeenDeposit, Settlement, TimerKind, Transfer,
    },
    settle::KnownTransfers,
};

/// Custody has received an announced deposit. Saying so again changes nothing.
#[derive(Clone, Debug)]
pub struct SeeDeposit {
    /// The deposit, as whoever says so has looked it up: what it is never changes.
    pub deposit: OnChainDeposit,
    /// How much custody received.
    pub amount: Amount,
    /// Custody's name for it.
    pub transfer_id: String,
    /// Where custody receives the currency.
    pub custody_source: String,
    /// The identifier of the journal entry, if it goes to the partner's Go Account at once.
    pub entry_id: EntryId,
    /// Who says so.
    pub operator: Act,
}

impl SeeDeposit {
    /// The same name that an ordinary deposit of this transaction would have: it is booked once.
    fn claim(&self) -> ClaimKey {
        let reference = &self.deposit.on_chain_tx_id;
        ClaimKey::new(&self.custody_source, ClaimKind::Deposit, reference)
    }

    /// The name of what the transaction brought in this currency, whoever announced it.
    fn claim_of_currency(&self) -> ClaimKey {
        let SeeDeposit { deposit, .. } = self;
        let name = format!("{} {}", deposit.currency, deposit.on_chain_tx_id);
        ClaimKey::new(&self.custody_source, ClaimKind::SeenDeposit, &name)
    }

    fn accounts(&self) -> [Account; 2] {
        let currency = &self.deposit.currency;
        [
            Account::new(Owner::Custody, currency),
            Account::new(Owner::Go(self.deposit.go_account_id), currency),
        ]
    }

    /// Takes the transaction, so that it is booked once: as an ordinary deposit or as this one. One
    /// transaction may bring several currencies, each of them announced, and each booked once.
    fn take(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        let booked = || {
            conflict(
                "transaction_booked_already",
                "this transaction was booked already, as an ordinary deposit or for another announcement",
            )
        };
        if draft.find::<Claim>(&self.claim_of_currency()).is_some() {
            return Err(booked());
        }
        draft.claim(self.claim_of_currency(), self.deposit.id.0);
        let Some(claim) = draft.find::<Claim>(&self.claim()) else {
            if is_planted(Fault::SeenNotTaken) {
                return Ok(());
            }
            draft.claim(self.claim(), self.deposit.id.0);
            return Ok(());
        };
        // An ordinary deposit of this very batch was not there to be declared.
        let holder = OnChainDepositId(claim.subject);
        let holder = draft.find_if_known::<OnChainDeposit>(&holder);
        match holder {
            Some(holder) if holder.currency != self.deposit.currency => Ok(()),
            _ => Err(booked()),
        }
    }
}

impl Command for SeeDeposit {
    type Outcome = OnChainDeposit;

    fn keys(&self) -> Keys {
        Keys {
            on_chain_deposits: [self.deposit.id].into(),
            on_chain_legs: [self.deposit.leg_key()].into(),
            settlements: [self.deposit.settlement_id].into(),
            on_chain: [self.deposit.settlement_id].into(),
            claims: [self.claim(), self.claim_of_currency()].into(),
            balances: self.accounts().into(),
            ..Keys::default()
        }
    }

    fn more_keys(&self, view: &View) -> Keys {
        let mut keys = Keys::default();
        if let Some(claim) = view.claims.get(&self.claim()) {
            let holder = OnChainDepositId(claim.subject);
            keys.on_chain_deposits.insert(holder);
        }
        keys
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<OnChainDeposit, Refusal> {
        let deposit = draft.find::<OnChainDeposit>(&self.deposit.id).cloned();
        let before = deposit.ok_or_else(|| Refusal::not_found("deposit"))?;
        let mut deposit = before.clone();
        let seen = SeenDeposit {
            amount: self.amount,
            transfer_id: self.transfer_id.clone(),
        };
        if let Some(known) = &deposit.seen {
            if *known == seen {
                return Ok(deposit);
            }
            return Err(conflict(
                "deposit_seen_already",
                format!(
                    "the deposit was seen already: {} as {:?}",
                    known.amount, known.transfer_id
                ),
            ));
        }
        self.take(draft)?;
        let mut leg = known_leg(draft, &deposit.leg_key())?;
        let begun_or_ended = draft
            .find::<OnChain>(&deposit.settlement_id)
            .is_some_and(|on_chain| on_chain.started)
            || draft
                .find::<Settlement>(&deposit.settlement_id)
                .is_some_and(|settlement| !settlement.is_open());
        let waits = match leg.state {
            LegState::Waiting | LegState::Initiated | LegState::NotStarted => true,
            // A settlement that has begun without such gains needs no such deposit.
            LegState::Announced => !begun_or_ended,
            LegState::Completed { .. } | LegState::Failed { .. } | LegState::Rejected => false,
        };
        if waits {
            leg.received_units = leg
                .received_units
                .checked_add(self.amount.units())
                .filter(|units| *units <= Amount::MAX.units())
                .ok_or_else(crate::settle::out_of_bounds)?;
            if leg.state.is_open() {
                let settlement = deposit.settlement_id.0;
                draft.set_timer(TimerKind::OnChainGains, settlement, now);
            }
        } else {
            let entry = ledger::Entry {
                id: self.entry_id,
                cause: "on_chain_deposit_returned".into(),
                subject: deposit.id.0,
                signed_request: Some(deposit.signed_request),
                postings: vec![to_partner(&leg, deposit.go_account_id, self.amount)],
            };
            draft
                .post(entry)
                .map_err(crate::allocate::refused_by_the_books)?;
        }
        leg.tx_ids.push(deposit.on_chain_tx_id.clone());
        leg.updated_at = now;
        draft.put(leg);
        deposit.seen = Some(seen);
        deposit.updated_at = now;
        draft.put(deposit.clone());
        let change = (Some(&before), &deposit);
        let subject = deposit.id.to_string();
        self.operator
            .record_change(draft, "on_chain_deposit_seen", subject, change, now);
        Ok(deposit)
    }
}

/// Brings the gains of a settlement as far as its deposits allow: on their way once a deposit is
/// announced, in the books once those that were seen cover all of a currency.
#[derive(Clone, Debug)]
pub struct BookGains {
    /// Of which settlement.
    pub settlement_id: SettlementId,
    /// Its gains, as whoever asks has looked them up.
    pub transfers: KnownTransfers,
    /// For each of their currencies the identifier of its journal entry.
    pub entries: BTreeMap<Currency, EntryId>,
}

impl BookGains {
    fn leg_keys(&self) -> impl Iterator<Item = LegKey> {
        self.entries.keys().map(|currency| LegKey {
            settlement_id: self.settlement_id,
            direction: Direction::Gains,
            currency: currency.clone(),
        })
    }

    fn postings(leg: &OnChainLeg, own: &[&Transfer]) -> Result<Vec<Posting>, Refusal> {
        let custody = Account::new(Owner::Custody, &leg.key.currency);
        let mut postings: Vec<Posting> = own
            .iter()
            .map(|transfer| Posting {
                from: custody.available(),
                to: transfer.destination.account(&transfer.currency).available(),
                amount: transfer.amount.magnitude(),
            })
            .collect();
        let over = leg.received_units - leg.total_units;
        if over > 0 && !is_planted(Fault::SurplusNotReturned) {
            let partner = own.first().map(|transfer| transfer.source.go_account_id);
            let over = Amount::new(over).map_err(|_| crate::settle::out_of_bounds())?;
            postings.extend(partner.map(|account| to_partner(leg, account, over)));
        }
        Ok(postings)
    }
}

impl Command for BookGains {
    type Outcome = Settlement;

    fn keys(&self) -> Keys {
        let mut keys = self.transfers.keys();
        keys.settlements.insert(self.settlement_id);
        keys.on_chain.insert(self.settlement_id);
        keys.timers
            .insert((TimerKind::OnChainGains, self.settlement_id.0));
        keys.on_chain_legs.extend(self.leg_keys());
        for currency in self.entries.keys() {
            keys.balances.insert(Account::new(Owner::Custody, currency));
        }
        keys
    }

    fn weight(&self) -> usize {
        self.transfers.ids.len().max(1)
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Settlement, Refusal> {
        let mut both = known(draft, self.settlement_id)?;
        let timer = (TimerKind::OnChainGains, self.settlement_id.0);
        if draft.is_due(timer.0, timer.1, now) {
            draft.finish_timer(timer.0, timer.1);
        }
        let transfers = self.transfers.find(draft);
        for (key, entry) in self.leg_keys().zip(self.entries.values()) {
            let Some(mut leg) = draft.find::<OnChainLeg>(&key).cloned() else {
                continue;
            };
            if !leg.state.is_open() {
                continue;
            }
            let own = transfers_of(&leg, &transfers)?;
            leg.updated_at = now;
            if leg.is_covered() {
                let postings = BookGains::postings(&leg, &own)?;
                post(draft, *entry, "on_chain_gains", &both.0, postings)?;
                leg.received_units = 0;
                leg.state = LegState::Completed { entry: *entry };
                put_transfers(draft, &leg, &own, now);
                both = end_leg(draft, both, &leg, *entry, now);
                draft.put(leg);
            } else if leg.announced > 0 && leg.state == LegState::Waiting {
                leg.state = LegState::Initiated;
                put_transfers(draft, &leg, &own, now);
                both.0.updated_at = now;
                draft.put(both.0.clone());
                draft.put(leg);
            }
        }
        Ok(both.0)
    }
}
