//! Settlements: what was traded moves between connections and partners (OES wire §3.5, §3.6).
//!
//! | module | what happens there |
//! |---|---|
//! | `booked` | a settlement is booked at once or fails (v1) |
//! | `staged` | what connections are to lose is held, and clients may object (v2) |
//! | `advance` | the windows of a staged settlement end: its amounts are fixed, it is booked, it fails |
//! | `reject` | an operator gives up one that failed |
//!
//! Here stands what they have in common.

mod advance;
mod booked;
mod reject;
mod staged;

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Account, Currency, Posting, Shortage, SignedAmount, Timestamp};

pub use advance::AdvanceSettlement;
pub use booked::Settle;
pub use reject::RejectSettlement;
pub(crate) use staged::split;
pub use staged::{Carried, Stage};

use crate::{
    Class, ConnectionId, Draft, Keys, Reason, Refusal, TransferId,
    planted::{Fault, is_planted},
    record::{
        ClaimKey, ClaimKind, Participation, Partner, Settlement, SettlementForm, SettlementState,
        TimerKind, Transfer, TransferParty, TransferStatus,
    },
};

/// One amount of a settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettlementLine {
    /// In what.
    pub currency: Currency,
    /// The partner's name for the currency.
    pub partner_currency: String,
    /// How much; above zero from source to destination, below zero the other way.
    pub amount: SignedAmount,
    /// One side: the partner itself in party form.
    pub source: TransferParty,
    /// The other.
    pub destination: TransferParty,
}

/// Transfers as whoever asks has looked them up. Which transfers a settlement has and whose
/// accounts they move never changes once it is staged, so that a command can bring them along.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownTransfers {
    /// Which.
    pub ids: Vec<TransferId>,
    /// What they can move.
    pub accounts: BTreeSet<Account>,
}

impl KnownTransfers {
    /// These transfers.
    pub fn of<'a>(transfers: impl IntoIterator<Item = &'a Transfer>) -> KnownTransfers {
        let mut known = KnownTransfers::default();
        for transfer in transfers {
            known.ids.push(transfer.id);
            for side in [&transfer.source, &transfer.destination] {
                known.accounts.insert(side.account(&transfer.currency));
            }
        }
        known
    }

    /// The transfers, their holds and what stands on their accounts.
    pub(crate) fn keys(&self) -> Keys {
        Keys {
            transfers: self.ids.iter().copied().collect(),
            holds: self.ids.iter().map(|id| ledger::HoldId(id.0)).collect(),
            balances: self.accounts.clone(),
            ..Keys::default()
        }
    }

    /// The transfers as they are now.
    pub(crate) fn find(&self, draft: &Draft<'_>) -> Vec<Transfer> {
        let found = self.ids.iter().filter_map(|id| draft.find(id).cloned());
        found.collect()
    }
}

impl SettlementLine {
    fn posting(&self) -> Posting {
        let source = self.source.account(&self.currency).available();
        let destination = self.destination.account(&self.currency).available();
        let (from, to) = if self.amount.is_gain() {
            (source, destination)
        } else {
            (destination, source)
        };
        Posting {
            from,
            to,
            amount: self.amount.magnitude(),
        }
    }
}

impl SettlementLine {
    /// The transfer of this amount, before anything has happened to it.
    pub(crate) fn transfer(&self, settlement: &Settlement, position: u32) -> Transfer {
        Transfer {
            id: TransferId::of(settlement.id, position),
            partner_id: settlement.partner_id,
            settlement_id: Some(settlement.id),
            dispute_closure_id: None,
            position: i64::from(position),
            currency: self.currency.clone(),
            partner_currency: self.partner_currency.clone(),
            amount: self.amount,
            source: self.source.clone(),
            destination: self.destination.clone(),
            status: TransferStatus::Pending,
            entry: None,
            created_at: settlement.created_at,
            updated_at: settlement.updated_at,
        }
    }
}

impl Settle {
    fn claim(&self) -> ClaimKey {
        let scope = self.enterprise_id.as_str();
        ClaimKey::new(scope, ClaimKind::Settlement, &self.external_id)
    }

    fn check_content(
        &self,
        known: &Settlement,
        cutoff_at: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        let known_cutoff_at = known.staging.as_ref().map(|staging| staging.cutoff_at);
        let members = [
            (
                "settlementAmounts",
                self.content_digest != known.content_digest || self.partner_id != known.partner_id,
            ),
            ("notes", self.notes != known.notes),
            ("cutoffAt", cutoff_at != known_cutoff_at),
        ];
        Refusal::unless_same("settlement", &self.external_id, &members)
    }

    /// Which parties the amounts of such a partner may name.
    fn check_form(&self, partner: &Partner) -> Result<(), Refusal> {
        if self.form == SettlementForm::Pair && !partner.broker {
            return Err(Refusal::new(
                Class::Invalid,
                "pair_form_is_for_brokers",
                "amounts between two connections are for brokers; name connections against the partner itself",
            ));
        }
        if self.form == SettlementForm::Party && partner.broker {
            return self.check_balanced();
        }
        Ok(())
    }

    /// A broker has no position of its own: per currency its clients' gains and losses cancel.
    fn check_balanced(&self) -> Result<(), Refusal> {
        let mut sums: BTreeMap<&Currency, i128> = BTreeMap::new();
        for line in &self.lines {
            let sum = sums.entry(&line.currency).or_default();
            *sum = sum
                .checked_add(line.amount.units())
                .ok_or_else(out_of_bounds)?;
        }
        let unbalanced: Vec<String> = sums
            .into_iter()
            .filter(|(_, sum)| *sum != 0)
            .map(|(currency, sum)| format!("{currency} by {sum}"))
            .collect();
        if unbalanced.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(
            Class::Invalid,
            "broker_settlement_unbalanced",
            format!(
                "a broker's amounts have to cancel out per currency; off are {}",
                unbalanced.join(", ")
            ),
        ))
    }

    fn settlement(&self, now: Timestamp) -> Settlement {
        Settlement {
            id: self.id,
            partner_id: self.partner_id,
            partner_enterprise_id: self.enterprise_id.clone(),
            external_id: self.external_id.clone(),
            form: self.form,
            content_digest: self.content_digest,
            notes: self.notes.clone(),
            initiated_by: self.initiated_by,
            signed_request: self.signed.request.id,
            transfer_count: i64::try_from(self.lines.len()).unwrap_or(i64::MAX),
            state: SettlementState::Pending,
            staging: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// Writes a staged settlement, and when its next window ends.
fn put_staged(draft: &mut Draft<'_>, settlement: &Settlement) {
    let (kind, id) = (TimerKind::SettlementWindow, settlement.id.0);
    match settlement.due_at() {
        Some(due_at) => draft.set_timer(kind, id, due_at),
        None => draft.finish_timer(kind, id),
    }
    draft.put(settlement.clone());
}

pub(crate) fn check_active(partner: &Partner) -> Result<(), Refusal> {
    if partner.active || is_planted(Fault::InactiveSettles) {
        return Ok(());
    }
    Err(Refusal::new(
        Class::NotPermitted,
        "partner_inactive",
        "the partner is inactive; ask the operator of the network",
    ))
}

/// The parts that connections have in these transfers of a settlement.
pub(crate) fn participations(
    settlement: &Settlement,
    transfers: &[Transfer],
) -> Vec<Participation> {
    let mut parts: BTreeMap<ConnectionId, Participation> = BTreeMap::new();
    for transfer in transfers {
        let gain = transfer.amount.is_gain();
        for (side, is_destination) in [(&transfer.source, false), (&transfer.destination, true)] {
            let Some((connection_id, _)) = side.connection else {
                continue;
            };
            let part = parts.entry(connection_id).or_insert(Participation {
                settlement_id: settlement.id,
                connection_id,
                client_id: side.client_id,
                party: false,
                counterparty: false,
                sends: false,
                receives: false,
                disputed: false,
                created_at: settlement.created_at,
                listed: false,
            });
            part.party |= is_destination;
            part.counterparty |= !is_destination;
            part.receives |= gain == is_destination;
            part.sends |= gain != is_destination;
        }
    }
    let mut clients = BTreeSet::new();
    let mut parts: Vec<Participation> = parts.into_values().collect();
    for part in &mut parts {
        part.listed = clients.insert(part.client_id);
    }
    parts
}

/// Why the books are short, told to the partner: who lacks what.
pub(crate) fn shortage<'a>(
    short: &[Shortage],
    parties: impl Iterator<Item = (&'a TransferParty, &'a Currency)> + Clone,
) -> Reason {
    const TOLD_AT_MOST: usize = 20;
    let connection_of = |account: &Account| {
        let mut parties = parties.clone();
        let found = parties.find(|(party, currency)| party.account(currency) == *account);
        found.and_then(|(party, _)| party.connection)
    };
    let mut told: Vec<String> = short
        .iter()
        .take(TOLD_AT_MOST)
        .map(|shortage| {
            let account = &shortage.holding.account;
            let whose = match connection_of(account) {
                Some((connection, _)) => format!("connection {connection}"),
                None => "the partner's Go Account".to_owned(),
            };
            format!(
                "{whose} needs {} {} and has {}",
                shortage.required(),
                account.currency,
                shortage.present
            )
        })
        .collect();
    if short.len() > TOLD_AT_MOST {
        told.push(format!("and {} more", short.len() - TOLD_AT_MOST));
    }
    Reason::new(
        "insufficient_balance",
        format!(
            "nothing was booked: {}. Fund what is short and send the same request again",
            told.join("; ")
        ),
    )
}

pub(crate) fn out_of_bounds() -> Refusal {
    Refusal::new(
        Class::Invalid,
        "amounts_out_of_bounds",
        "the amounts add up to more than the books can hold",
    )
}
