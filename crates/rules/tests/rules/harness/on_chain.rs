//! The laws of settlement over the chain.

use std::collections::BTreeMap;

use ledger::{Currency, Entry, Hold, Owner};
use rules::record::{
    LegKey, LegState, OnChain, OnChainDeposit, OnChainLeg, Settlement, SettlementState, Transfer,
    TransferStatus,
};
use rules::{SettlementId, View};

use super::stored;

/// The postings that each cause may have.
pub(super) const POSTINGS: &[(&str, &[&str])] = &[
    ("on_chain_started", &["net.available -> net.held"]),
    (
        "on_chain_gains",
        &[
            "custody.available -> net.available",
            "custody.available -> go.available",
        ],
    ),
    (
        "on_chain_gains_failed",
        &["custody.available -> go.available"],
    ),
    ("on_chain_losses", &["net.held -> custody.available"]),
    ("on_chain_losses_failed", &["net.held -> net.available"]),
    (
        "on_chain_given_up",
        &[
            "net.held -> net.available",
            "custody.available -> go.available",
        ],
    ),
    (
        "on_chain_deposit_returned",
        &["custody.available -> go.available"],
    ),
    (
        "on_chain_received_returned",
        &["custody.available -> go.available"],
    ),
];

/// Whether the entry is about settlement over the chain: one for each currency.
pub(super) fn is_about_chains(entry: &Entry) -> bool {
    entry.cause.starts_with("on_chain")
}

/// Whether a settlement is made over the chain.
pub(super) fn is_over_chain(state: &View, id: SettlementId) -> bool {
    stored::<OnChain>(state, &id).is_some()
}

/// Whether a settlement over the chain may become so.
pub(super) fn goes_on(before: &View, was: &Settlement) -> bool {
    let Some(on_chain) = stored::<OnChain>(before, &was.id) else {
        return false;
    };
    match was.state {
        SettlementState::Pending => true,
        SettlementState::Failed { .. } => !on_chain.started,
        SettlementState::Completed { .. } | SettlementState::Rejected { .. } => false,
    }
}

/// Whether a transfer over the chain may go from one status to the other, within one batch.
pub(super) fn may_go(was: TransferStatus, is: TransferStatus) -> bool {
    let place = |status| match status {
        TransferStatus::Failed => Some(0),
        TransferStatus::PendingOnchain => Some(1),
        TransferStatus::OnchainInitiated => Some(2),
        TransferStatus::Completed | TransferStatus::OnchainFailed | TransferStatus::Rejected => {
            Some(3)
        }
        _ => None,
    };
    matches!((place(was), place(is)), (Some(was), Some(is)) if was < is)
}

/// What is to be lost is held until it has left or is given back.
pub(super) fn check_transfer(state: &View, transfer: &Transfer, hold: Option<&Hold>) {
    let waits = matches!(
        transfer.status,
        TransferStatus::PendingOnchain | TransferStatus::OnchainInitiated
    );
    if transfer.amount.is_gain() {
        assert_eq!(hold, None, "a gain holds: {transfer:?}");
    } else if transfer.status == TransferStatus::Failed {
        assert_eq!(hold, None, "what did not begin holds: {transfer:?}");
    } else if let Some(hold) = hold {
        assert_eq!(hold.amount, transfer.amount.magnitude(), "{transfer:?}");
        assert_eq!(hold.open, waits, "{transfer:?}");
    } else {
        assert_eq!(
            transfer.status,
            TransferStatus::Rejected,
            "only what never began is not held: {transfer:?}"
        );
    }
    let leg = leg_of(state, transfer);
    assert_eq!(
        transfer.status,
        leg.state.transfer_status(),
        "a leg is booked as a whole: {transfer:?} {leg:?}"
    );
}

fn key_of(transfer: &Transfer) -> LegKey {
    LegKey {
        settlement_id: transfer.settlement_id.expect("a settlement"),
        direction: match transfer.amount.is_gain() {
            true => rules::record::Direction::Gains,
            false => rules::record::Direction::Losses,
        },
        currency: transfer.currency.clone(),
    }
}

fn leg_of<'a>(state: &'a View, transfer: &Transfer) -> &'a OnChainLeg {
    stored::<OnChainLeg>(state, &key_of(transfer)).expect("its leg")
}

/// Legs add up to their transfers, settlements to their legs, and what was received is in accounts
/// or waits in a leg.
pub(super) fn check(state: &View) {
    let mut totals: BTreeMap<LegKey, (i128, i64)> = BTreeMap::new();
    for transfer in state.transfers.iter() {
        let id = transfer.settlement_id;
        if id.is_some_and(|id| is_over_chain(state, id)) {
            let (total, count) = totals.entry(key_of(transfer)).or_default();
            *total += transfer.amount.magnitude().units();
            *count += 1;
        }
    }
    let mut received: BTreeMap<&Currency, i128> = BTreeMap::new();
    for leg in state.on_chain_legs.iter() {
        let (total, count) = totals.remove(&leg.key).unwrap_or_default();
        assert_eq!(
            (leg.total_units, leg.transfer_count),
            (total, count),
            "{leg:?}"
        );
        assert!(leg.received_units >= 0, "{leg:?}");
        let settled = matches!(
            leg.state,
            LegState::Completed { .. } | LegState::Failed { .. } | LegState::Rejected
        );
        assert!(
            !settled || leg.received_units == 0,
            "money was forgotten: {leg:?}"
        );
        *received.entry(&leg.key.currency).or_default() += leg.received_units;
    }
    assert_eq!(totals, BTreeMap::new(), "transfers without a leg");
    for entry in state.entries.iter().filter(|entry| is_about_chains(entry)) {
        for posting in &entry.postings {
            if posting.from.account.owner == Owner::Custody {
                let currency = &posting.from.account.currency;
                *received.entry(currency).or_default() += posting.amount.units();
            }
        }
    }
    let mut seen: BTreeMap<&Currency, i128> = BTreeMap::new();
    for deposit in state.on_chain_deposits.iter() {
        let OnChainDeposit {
            currency,
            seen: known,
            ..
        } = deposit;
        let units = known.as_ref().map_or(0, |seen| seen.amount.units());
        *seen.entry(currency).or_default() += units;
    }
    received.retain(|_, units| *units != 0);
    seen.retain(|_, units| *units != 0);
    assert_eq!(received, seen, "what was seen and what was booked or waits");

    for on_chain in state.on_chain.iter() {
        let settlement = stored::<Settlement>(state, &on_chain.settlement_id).expect("it");
        let own = state.on_chain_legs.iter();
        let own = own.filter(|leg| leg.key.settlement_id == on_chain.settlement_id);
        let own: Vec<&OnChainLeg> = own.collect();
        let count = |wanted: &dyn Fn(&LegState) -> bool| {
            let legs = own.iter().filter(|leg| leg.transfer_count > 0);
            i64::try_from(legs.filter(|leg| wanted(&leg.state)).count()).expect("a count")
        };
        let unfinished = on_chain.gains.unfinished + on_chain.losses.unfinished;
        let open = count(&|s| s.is_open() || *s == LegState::NotStarted);
        assert_eq!(unfinished, open, "{on_chain:?}");
        assert_eq!(
            (on_chain.completed, on_chain.failed),
            (
                count(&|s| matches!(s, LegState::Completed { .. })),
                count(&|s| matches!(s, LegState::Failed { .. }))
            ),
            "{on_chain:?}"
        );
        let fits = match settlement.state {
            SettlementState::Pending => on_chain.started && unfinished > 0,
            SettlementState::Completed { .. } => unfinished == 0 && on_chain.failed == 0,
            SettlementState::Failed { .. } => {
                !on_chain.started || (unfinished == 0 && on_chain.failed > 0)
            }
            SettlementState::Rejected { .. } => unfinished == 0 && on_chain.completed == 0,
        };
        assert!(fits, "{settlement:?} {on_chain:?}");
    }
}
