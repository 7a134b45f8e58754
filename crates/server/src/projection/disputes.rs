//! Disputes and how they end, as clients and partners see them.

use std::collections::BTreeMap;

use ledger::{Currency, SignedAmount};
use network::{DisputeView, PartnerTerms};
use rules::{SettlementId, record};
use uuid::Uuid;
use wire::api::settlements;

use super::{SOMEBODY_ELSE, time, transfer_status};

/// Whose names and amounts a dispute is shown in.
#[derive(Clone, Copy)]
pub(crate) enum DisputeEyes<'terms> {
    /// The client's: the network's tickers and base units, nothing of others.
    Client,
    /// The partner's.
    Partner(&'terms PartnerTerms),
    /// The operator's: the network's tickers and base units, everything.
    Operator,
}

impl DisputeEyes<'_> {
    fn amount(self, currency: &Currency, amount: SignedAmount) -> (String, String) {
        match self {
            DisputeEyes::Partner(terms) => (
                terms.name(currency),
                terms.signed_quantity(currency, amount),
            ),
            DisputeEyes::Client | DisputeEyes::Operator => {
                (currency.to_string(), amount.to_string())
            }
        }
    }

    fn amounts<'a>(
        self,
        amounts: impl Iterator<Item = (&'a Currency, SignedAmount)>,
    ) -> BTreeMap<String, String> {
        amounts
            .map(|(currency, amount)| self.amount(currency, amount))
            .collect()
    }
}

fn dispute_record(dispute: &record::Dispute, eyes: DisputeEyes<'_>) -> settlements::DisputeRecord {
    let expected = dispute.expected.iter();
    let retraction = dispute.retraction.as_ref();
    settlements::DisputeRecord {
        id: dispute.id.0,
        created_at: time(dispute.created_at),
        updated_at: time(dispute.updated_at),
        connection_id: dispute.connection_id.0,
        disputed_settlement_id: dispute.settlement_id.0,
        user_id: dispute.user_id.to_string(),
        expected_transfers: eyes.amounts(expected.map(|(currency, amount)| (currency, *amount))),
        retracted: retraction.is_some(),
        reason: dispute.reason.clone(),
        retracted_by: retraction.map(|retraction| retraction.by.to_string()),
        retracted_at: retraction.map(|retraction| time(retraction.at)),
        retracted_reason: retraction.and_then(|retraction| retraction.reason.clone()),
    }
}

/// A dispute as the answer to raising or amending it.
pub(crate) fn plain_dispute(view: &DisputeView) -> settlements::PlainDispute {
    settlements::PlainDispute {
        record: dispute_record(&view.dispute, DisputeEyes::Client),
        settled_in_settlement_id: view.settled_in().map(|id| id.0),
        dispute_closure_id: view.dispute.closure_id.map(|id| id.0),
    }
}

/// A dispute with how it ends.
pub(crate) fn dispute(view: &DisputeView, eyes: DisputeEyes<'_>) -> settlements::Dispute {
    settlements::Dispute {
        record: dispute_record(&view.dispute, eyes),
        settled_in_settlement_id: view.settled_in().map(|id| id.0),
        dispute_closure_id: view.dispute.closure_id.map(|id| id.0),
        dispute_closure: (view.closure.as_ref())
            .map(|closure| dispute_closure(view, closure, eyes)),
    }
}

/// A closed dispute whose end, or a part of it, rides on a settlement; none if it is not closed.
pub(crate) fn settling_dispute(
    view: &DisputeView,
    settlement: SettlementId,
    eyes: DisputeEyes<'_>,
) -> Option<settlements::SettlingDispute> {
    let closure = view.closure.as_ref()?;
    Some(settlements::SettlingDispute {
        record: dispute_record(&view.dispute, eyes),
        settled_in_settlement_id: settlement.0,
        dispute_closure_id: closure.id.0,
        dispute_closure: dispute_closure(view, closure, eyes),
    })
}

fn sums(closure: &record::DisputeClosure, eyes: DisputeEyes<'_>) -> BTreeMap<String, String> {
    let sums = closure.sums().into_iter().filter_map(|(currency, units)| {
        let amount = SignedAmount::new(units).ok()?;
        Some(eyes.amount(&currency, amount))
    });
    sums.collect()
}

fn closed_by(closed_by: record::ClosedBy) -> settlements::ClosedBy {
    match closed_by {
        record::ClosedBy::Client => settlements::ClosedBy::Client,
        record::ClosedBy::Operator => settlements::ClosedBy::Admin,
    }
}

fn closure_status(status: record::ClosureStatus) -> settlements::ClosureStatus {
    match status {
        record::ClosureStatus::PendingReview => settlements::ClosureStatus::PendingReview,
        record::ClosureStatus::Approved => settlements::ClosureStatus::Approved,
        record::ClosureStatus::Rejected => settlements::ClosureStatus::Rejected,
    }
}

fn dispute_closure(
    view: &DisputeView,
    closure: &record::DisputeClosure,
    eyes: DisputeEyes<'_>,
) -> settlements::DisputeClosure {
    let adjusted = view.adjusted.iter();
    let review = closure.review.as_ref();
    settlements::DisputeClosure {
        id: closure.id.0,
        closed_by: closed_by(closure.closed_by),
        user_id: closure.user_id.to_string(),
        notes: closure.notes.clone(),
        adjusted_settlement_transfers: adjusted
            .map(|transfer| adjusted_transfer(view, closure, transfer, eyes))
            .collect(),
        created_at: time(closure.created_at),
        status: closure_status(closure.status),
        adjusted_transfers: sums(closure, eyes),
        reviewed_by: review.map(|review| review.by.to_string()),
        review_notes: review.and_then(|review| review.notes.clone()),
    }
}

fn adjusted_transfer(
    view: &DisputeView,
    closure: &record::DisputeClosure,
    transfer: &record::Transfer,
    eyes: DisputeEyes<'_>,
) -> settlements::AdjustedTransfer {
    let client = view.dispute.client_id;
    let shown = |party: &record::TransferParty| match eyes {
        DisputeEyes::Client => party.client_id == client && party.connection.is_some(),
        DisputeEyes::Partner(_) | DisputeEyes::Operator => true,
    };
    // The protocol requires accounts even of others: a client sees that there is one.
    let trading = |party: &record::TransferParty| match shown(party) {
        true => party.go_account_id.to_string(),
        false => SOMEBODY_ELSE.to_owned(),
    };
    let network = |party: &record::TransferParty| {
        let account = party.connection.filter(|_| shown(party));
        account.map(|(_, account)| account.0)
    };
    let (currency, quantity) = eyes.amount(&transfer.currency, transfer.amount);
    settlements::AdjustedTransfer {
        id: transfer.id.0,
        source_trading_account_id: trading(&transfer.source),
        source_network_account_id: network(&transfer.source),
        destination_trading_account_id: trading(&transfer.destination),
        destination_network_account_id: network(&transfer.destination).unwrap_or(Uuid::nil()),
        dispute_closure_id: closure.id.0,
        currency,
        quantity,
        status: transfer_status(transfer.status),
        settlement_id: transfer.settlement_id.map(|id| id.0),
        created_at: time(transfer.created_at),
        updated_at: time(transfer.updated_at),
    }
}

/// How a client has closed its own dispute, with the text that it signed for it.
pub(crate) fn client_closure(
    closure: &record::DisputeClosure,
    payload: String,
    signature: String,
) -> settlements::ClientClosure {
    let review = closure.review.as_ref();
    settlements::ClientClosure {
        id: closure.id.0,
        created_at: time(closure.created_at),
        updated_at: time(closure.updated_at),
        closed_by: closed_by(closure.closed_by),
        user_id: closure.user_id.to_string(),
        notes: closure.notes.clone(),
        payload: Some(payload),
        signature: Some(signature),
        status: closure_status(closure.status),
        reviewed_by: review.map(|review| review.by.to_string()),
        review_notes: review.and_then(|review| review.notes.clone()),
        adjusted_transfers: sums(closure, DisputeEyes::Client),
    }
}
