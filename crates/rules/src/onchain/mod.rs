//! Settlement over the chain (OES wire §3.8): gains reach custody as deposits of the partner, losses
//! leave it as withdrawals to the partner.
//!
//! | module | what happens there |
//! |---|---|
//! | `start` | a partner posts a settlement: what clients lose is held |
//! | `announce` | a partner names the deposits that bring what clients gain |
//! | `receive` | a deposit is seen; gains are booked once all of a currency are covered |
//! | `withdraw` | what clients lose is on its way, has left, or has not left |
//! | `give_up` | an operator ends a leg of gains, gives back what is not needed, or rejects all |
//! | `lateness` | a direction takes longer than it should |
//!
//! A leg is all transfers of one direction and one currency: it is booked as a whole. What was
//! received for a leg of gains stands in no account before the leg is covered; then it goes to the
//! connections and what is over to the partner's Go Account. Here stands what they have in common.

mod announce;
mod give_up;
mod lateness;
mod receive;
mod start;
mod withdraw;

use ledger::{Account, Amount, BookError, Entry, EntryId, GoAccountId, Owner, Posting, Timestamp};

pub use announce::{AnnounceDeposits, AnnouncedDeposit};
pub use give_up::{FailGains, RejectOnChain, ReturnReceived};
pub use lateness::NoteLate;
pub use receive::{BookGains, SeeDeposit};
pub use start::StartOnChain;
pub use withdraw::{MoveLosses, Withdrawn};

use crate::{
    Class, Draft, Reason, Refusal, SettlementId,
    record::{
        LegKey, LegState, OnChain, OnChainLeg, Settlement, SettlementState, Transfer,
        TransferStatus,
    },
};

/// The name of the reason of a settlement of which a part could not be moved over the chain.
pub const ON_CHAIN_FAILED: &str = "on_chain_failed";

fn conflict(name: &str, message: impl Into<String>) -> Refusal {
    Refusal::new(Class::Conflict, name, message)
}

/// A settlement over the chain with what it has beyond others.
fn known(draft: &Draft<'_>, id: SettlementId) -> Result<(Settlement, OnChain), Refusal> {
    let settlement = draft.find::<Settlement>(&id).cloned();
    let on_chain = draft.find::<OnChain>(&id).cloned();
    settlement
        .zip(on_chain)
        .ok_or_else(|| Refusal::not_found("on-chain settlement"))
}

fn known_leg(draft: &Draft<'_>, key: &LegKey) -> Result<OnChainLeg, Refusal> {
    let leg = draft.find::<OnChainLeg>(key).cloned();
    leg.ok_or_else(|| {
        Refusal::new(
            Class::NotFound,
            "on_chain_leg_not_found",
            format!(
                "the settlement has no {} in {}",
                key.direction, key.currency
            ),
        )
    })
}

/// The transfers of a leg among those that whoever asks has looked up: all of them, or it is to be
/// asked again.
fn transfers_of<'a>(
    leg: &OnChainLeg,
    transfers: &'a [Transfer],
) -> Result<Vec<&'a Transfer>, Refusal> {
    let gains = leg.key.direction == crate::record::Direction::Gains;
    let own: Vec<&Transfer> = transfers
        .iter()
        .filter(|t| t.settlement_id == Some(leg.key.settlement_id))
        .filter(|t| t.currency == leg.key.currency && t.amount.is_gain() == gains)
        .collect();
    if i64::try_from(own.len()).ok() == Some(leg.transfer_count) {
        return Ok(own);
    }
    Err(conflict(
        "settlement_changed",
        "the settlement has just changed; try again",
    ))
}

/// Writes transfers of a leg as far as the leg has come.
fn put_transfers(draft: &mut Draft<'_>, leg: &OnChainLeg, own: &[&Transfer], now: Timestamp) {
    let status = leg.state.transfer_status();
    let entry = match &leg.state {
        LegState::Completed { entry } => Some(*entry),
        _ => None,
    };
    for transfer in own {
        // What has ended otherwise stays so when all is rejected.
        if transfer.status == TransferStatus::OnchainFailed {
            continue;
        }
        draft.put(Transfer {
            status,
            entry,
            updated_at: now,
            ..(*transfer).clone()
        });
    }
}

/// What was received for a leg and is in no account goes to the partner's Go Account.
fn returned(leg: &mut OnChainLeg, go_account: GoAccountId) -> Option<Posting> {
    let amount = Amount::new(std::mem::take(&mut leg.received_units)).ok()?;
    Some(to_partner(leg, go_account, amount))
}

fn to_partner(leg: &OnChainLeg, go_account: GoAccountId, amount: Amount) -> Posting {
    let currency = &leg.key.currency;
    Posting {
        from: Account::new(Owner::Custody, currency).available(),
        to: Account::new(Owner::Go(go_account), currency).available(),
        amount,
    }
}

/// The entry of what happens to a settlement over the chain; nothing to book is no entry.
fn post(
    draft: &mut Draft<'_>,
    id: EntryId,
    cause: &'static str,
    settlement: &Settlement,
    postings: Vec<Posting>,
) -> Result<(), Refusal> {
    if postings.is_empty() {
        return Ok(());
    }
    let entry = Entry {
        id,
        cause: cause.into(),
        subject: settlement.id.0,
        signed_request: Some(settlement.signed_request),
        postings,
    };
    draft.post(entry).map_err(|error| match error {
        BookError::OutOfBounds(_) => Refusal::new(
            Class::Unprocessable,
            "custody_total_exceeded",
            "custody can hold at most 10^38 - 1 base units of one currency",
        ),
        other => crate::allocate::refused_by_the_books(other),
    })
}

/// A leg has ended: counts it, and ends the settlement with its last leg.
fn end_leg(
    draft: &mut Draft<'_>,
    (mut settlement, mut on_chain): (Settlement, OnChain),
    leg: &OnChainLeg,
    entry: EntryId,
    now: Timestamp,
) -> (Settlement, OnChain) {
    on_chain.part_mut(leg.key.direction).unfinished -= 1;
    match leg.state {
        LegState::Completed { .. } => on_chain.completed += 1,
        _ => on_chain.failed += 1,
    }
    settlement.updated_at = now;
    if on_chain.gains.unfinished == 0 && on_chain.losses.unfinished == 0 {
        settlement.state = match on_chain.failed {
            0 => SettlementState::Completed {
                finalized_at: now,
                entry,
            },
            failed => SettlementState::Failed {
                reason: Reason::new(
                    ON_CHAIN_FAILED,
                    format!(
                        "{failed} of its currencies could not be moved over the chain; the others are booked. Settle what is missing with a new external id"
                    ),
                ),
            },
        };
    }
    if on_chain.part(leg.key.direction).unfinished == 0 {
        draft.finish_timer(leg.key.direction.timer(), settlement.id.0);
    }
    draft.put(settlement.clone());
    draft.put(on_chain.clone());
    (settlement, on_chain)
}
