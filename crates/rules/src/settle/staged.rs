//! Settlements that wait for clients' objections (v2; OES wire §3.6, T0).
//!
//! What connections are to lose is moved to `held` at once, one hold per transfer and nothing
//! netted, so that nothing they do later can make the settlement fail. What earlier disputes have
//! ended in rides along; what of it cannot be covered waits for the next settlement and never
//! keeps this one from being staged.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Account, Currency, Entry, Hold, HoldPurpose, Posting, SignedAmount, Timestamp};

use super::{Settle, check_active, out_of_bounds, participations, put_staged};
use crate::{
    Class, Command, ConnectionId, Draft, Keys, Refusal, SettlementId, TransferId, View,
    allocate::refused_by_the_books,
    record::{Claim, Partner, Settlement, Staging, Transfer, TransferStatus},
};

/// A transfer that an earlier dispute has ended in, as whoever asks has found it waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Which.
    pub transfer_id: TransferId,
    /// What it can move.
    pub accounts: [Account; 2],
    /// The identifier that a part of it gets if not all of it can be covered.
    pub part_id: TransferId,
}

/// A partner stages a settlement (P11). Repeating it answers the settlement there is.
#[derive(Clone, Debug)]
pub struct Stage {
    /// What is posted, as for a settlement that is booked at once. There need be no amounts if
    /// something of earlier disputes waits.
    pub posted: Settle,
    /// The time of the newest trade in it.
    pub cutoff_at: Timestamp,
    /// What waits for a settlement of this partner, the oldest first.
    pub carried: Vec<Carried>,
}

/// What a settlement takes from `available` while it is staged.
struct Reservation<'draft, 'view> {
    draft: &'draft Draft<'view>,
    /// What is free on accounts that were looked at.
    free: BTreeMap<Account, i128>,
    postings: Vec<Posting>,
    holds: Vec<Hold>,
}

impl Reservation<'_, '_> {
    fn free(&mut self, account: &Account) -> i128 {
        let draft = self.draft;
        let free = self.free.entry(account.clone());
        *free.or_insert_with(|| draft.balance(account).available)
    }

    /// Holds what the loser of `transfer` is to lose, if that is a connection. Whether it is there
    /// was looked at before.
    fn hold(&mut self, transfer: &Transfer) {
        let loser = transfer.loser();
        if loser.connection.is_none() {
            return;
        }
        let (account, amount) = (
            loser.account(&transfer.currency),
            transfer.amount.magnitude(),
        );
        let free = self.free(&account).saturating_sub(amount.units());
        self.free.insert(account.clone(), free);
        self.postings.push(Posting {
            from: account.available(),
            to: account.held(),
            amount,
        });
        self.holds.push(Hold {
            id: transfer.hold_id(),
            account,
            amount,
            purpose: HoldPurpose::SettlementTransfer,
            open: true,
        });
    }
}

impl Stage {
    fn check_rules(&self, partner: &Partner) -> Result<(), Refusal> {
        check_active(partner)?;
        if !partner.has_disputes() {
            return Err(Refusal::new(
                Class::NotPermitted,
                "disputes_not_enabled",
                "the partner has no dispute window: post the settlement to version 1 of this endpoint",
            ));
        }
        self.posted.check_form(partner)
    }

    fn staging(&self, partner: &Partner, now: Timestamp) -> Staging {
        let minutes = |window: Option<u16>| i64::from(window.unwrap_or(0)) * 60;
        let dispute_window_ends_at = now.plus_seconds(minutes(partner.dispute_window_minutes));
        Staging {
            cutoff_at: self.cutoff_at,
            dispute_window_ends_at,
            top_up_window_ends_at: dispute_window_ends_at
                .plus_seconds(minutes(partner.top_up_window_minutes)),
            amounts_fixed: false,
            standing_disputes: 0,
            found_short_at: None,
        }
    }

    /// Every connection has to have what its transfers together take from it.
    fn check_covered(
        transfers: &[Transfer],
        reservation: &mut Reservation<'_, '_>,
    ) -> Result<(), Refusal> {
        let mut required: BTreeMap<(ConnectionId, Currency), (Account, i128)> = BTreeMap::new();
        for transfer in transfers {
            let loser = transfer.loser();
            let Some((connection, _)) = loser.connection else {
                continue;
            };
            let account = loser.account(&transfer.currency);
            let key = (connection, transfer.currency.clone());
            let (_, sum) = required.entry(key).or_insert((account, 0));
            *sum = sum
                .checked_add(transfer.amount.magnitude().units())
                .ok_or_else(out_of_bounds)?;
        }
        let mut short = Vec::new();
        for ((connection, currency), (account, required)) in required {
            let available = reservation.free(&account);
            if available < required {
                short.push(format!(
                    "connection {connection} needs {required} {currency} and has {available} available"
                ));
            }
        }
        if short.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(
            Class::Unprocessable,
            "insufficient_allocated",
            format!(
                "nothing was staged, for not all losses are covered: {}",
                short.join("; ")
            ),
        ))
    }

    /// What of an ended dispute rides along: all of it, the part that is covered, or nothing. A
    /// part leaves the rest waiting under the identifier it had.
    fn carry(
        &self,
        carried: &Carried,
        known: Transfer,
        reservation: &mut Reservation<'_, '_>,
    ) -> Vec<Transfer> {
        let held = reservation.draft.find::<Hold>(&known.hold_id());
        if known.loser().connection.is_none() || held.is_some_and(|hold| hold.open) {
            if let Some(hold) = held {
                reservation.holds.push(Hold {
                    purpose: HoldPurpose::SettlementTransfer,
                    ..hold.clone()
                });
            }
            return vec![known];
        }
        let account = known.loser().account(&known.currency);
        let free = reservation.free(&account);
        match split(&known, free, carried.part_id) {
            (None, _) => Vec::new(),
            (Some(covered), rest) => {
                reservation.hold(&covered);
                [covered].into_iter().chain(rest).collect()
            }
        }
    }
}

/// The part of a transfer that `free` covers and the part that it does not. If all of it is
/// covered it keeps its identifier; a covered part takes `part_id`.
pub(crate) fn split(
    transfer: &Transfer,
    free: i128,
    part_id: TransferId,
) -> (Option<Transfer>, Option<Transfer>) {
    let all = transfer.amount.magnitude().units();
    let sign = transfer.amount.units().signum();
    let part = |units: i128| SignedAmount::new(units * sign).ok();
    if free >= all {
        return (Some(transfer.clone()), None);
    }
    let covered = part(free.max(0)).map(|amount| Transfer {
        id: part_id,
        amount,
        ..transfer.clone()
    });
    let rest = part(all - free.max(0)).map(|amount| Transfer {
        amount,
        ..transfer.clone()
    });
    (covered, rest)
}

impl Command for Stage {
    type Outcome = Settlement;

    fn keys(&self) -> Keys {
        let mut keys = self.posted.keys();
        for carried in &self.carried {
            keys.transfers.insert(carried.transfer_id);
            keys.holds.insert(ledger::HoldId(carried.transfer_id.0));
            keys.balances.extend(carried.accounts.iter().cloned());
        }
        keys
    }

    fn more_keys(&self, view: &View) -> Keys {
        self.posted.more_keys(view)
    }

    fn weight(&self) -> usize {
        // A hold, a posting and a transfer.
        (self.posted.lines.len() + self.carried.len()).max(1)
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Settlement, Refusal> {
        let posted = &self.posted;
        posted.signed.check_authority(draft, posted.go_account_id)?;
        let partner = draft
            .find::<Partner>(&posted.partner_id)
            .filter(|partner| partner.enterprise_id == posted.enterprise_id)
            .cloned()
            .ok_or_else(|| Refusal::not_found("partner"))?;
        if let Some(claim) = draft.find::<Claim>(&posted.claim()) {
            let known = draft.find::<Settlement>(&SettlementId(claim.subject));
            let known = known
                .cloned()
                .ok_or_else(|| Refusal::not_found("settlement"))?;
            posted.check_content(&known, Some(self.cutoff_at))?;
            posted.signed.take_nonce(draft, known.id.0)?;
            return Ok(known);
        }
        self.check_rules(&partner)?;
        let mut settlement = posted.settlement(now);
        settlement.staging = Some(self.staging(&partner, now));

        let lines = (0_u32..).zip(&posted.lines);
        let mut transfers: Vec<Transfer> = lines
            .map(|(position, line)| line.transfer(&settlement, position))
            .collect();
        let mut reservation = Reservation {
            draft,
            free: BTreeMap::new(),
            postings: Vec::new(),
            holds: Vec::new(),
        };
        Stage::check_covered(&transfers, &mut reservation)?;
        for transfer in &transfers {
            reservation.hold(transfer);
        }
        let new_holds = std::mem::take(&mut reservation.holds);
        let mut left = Vec::new();
        let mut seen = BTreeSet::new();
        for carried in &self.carried {
            if !seen.insert(carried.transfer_id) {
                continue;
            }
            let known = reservation.draft.find::<Transfer>(&carried.transfer_id);
            let waits = known.filter(|known| {
                known.status == TransferStatus::PendingSettlementAssignment
                    && known.settlement_id.is_none()
                    && known.partner_id == posted.partner_id
            });
            let Some(known) = waits.cloned() else {
                continue;
            };
            let mut parts = self.carry(carried, known, &mut reservation).into_iter();
            let Some(rides) = parts.next() else {
                continue;
            };
            transfers.push(Transfer {
                settlement_id: Some(settlement.id),
                position: i64::try_from(transfers.len()).unwrap_or(i64::MAX),
                status: TransferStatus::Pending,
                updated_at: now,
                ..rides
            });
            left.extend(parts.map(|rest| Transfer {
                updated_at: now,
                ..rest
            }));
        }
        if transfers.is_empty() {
            return Err(Refusal::new(
                Class::Invalid,
                "nothing_to_settle",
                "settlementAmounts may be empty only while something of closed disputes waits for a settlement",
            ));
        }
        settlement.transfer_count = i64::try_from(transfers.len()).unwrap_or(i64::MAX);
        let Reservation {
            postings, holds, ..
        } = reservation;
        if !postings.is_empty() {
            let entry = Entry {
                id: posted.entry_id,
                cause: "settlement_staged".into(),
                subject: settlement.id.0,
                signed_request: Some(posted.signed.request.id),
                postings,
            };
            draft.post(entry).map_err(refused_by_the_books)?;
        }
        posted.signed.take_nonce(draft, settlement.id.0)?;
        draft.claim(posted.claim(), settlement.id.0);
        posted.signed.keep(draft, now);
        for participation in participations(&settlement, &transfers) {
            draft.add(participation);
        }
        new_holds.into_iter().for_each(|hold| draft.add(hold));
        holds.into_iter().for_each(|hold| draft.put(hold));
        let carried = transfers.split_off(posted.lines.len());
        transfers
            .into_iter()
            .for_each(|transfer| draft.add(transfer));
        carried
            .into_iter()
            .chain(left)
            .for_each(|transfer| draft.put(transfer));
        put_staged(draft, &settlement);
        Ok(settlement)
    }
}
