//! Clients' objections to staged settlements, and how they end (OES wire §3.7).
//!
//! | module | what happens there |
//! |---|---|
//! | `raise` | a client disputes a settlement, amends its dispute, takes it back, raises it again |
//! | `close` | a dispute ends: the client concedes, or an operator decides and another one reviews |
//!
//! A dispute covers what was posted for its connection in that settlement. While it stands those
//! transfers are left out; they stay left out for ever once the dispute window has ended. What its
//! closure says instead becomes transfers of their own, that ride on the partner's next staged
//! settlement.

mod close;
mod raise;

use ledger::Timestamp;

pub use close::{AdjustedLine, CloseDispute, ProposeClosure, ReviewClosure};
pub use raise::{OpenDispute, UpdateDispute};

use crate::{
    Class, ConnectionId, DisputeId, Draft, EnterpriseId, Keys, Refusal, SettlementId, View,
    record::{
        Claim, ClaimKey, ClaimKind, Dispute, DisputeClosure, Participation, Settlement, Staging,
        Transfer, TransferStatus,
    },
    settle::KnownTransfers,
};

/// A connection's place in a settlement, with what was posted for it, as whoever asks has looked
/// it up: none of it ever changes.
#[derive(Clone, Debug)]
pub struct Disputed {
    /// The settlement.
    pub settlement_id: SettlementId,
    /// The connection.
    pub connection_id: ConnectionId,
    /// Its posted transfers, without those that come from earlier disputes.
    pub transfers: KnownTransfers,
    /// The connections on the other side of them, where that is not the partner itself.
    pub counterparties: Vec<ConnectionId>,
}

fn dispute_claim(settlement: SettlementId, connection: ConnectionId) -> ClaimKey {
    ClaimKey::new(
        &settlement.to_string(),
        ClaimKind::Dispute,
        &connection.to_string(),
    )
}

impl Disputed {
    fn claim(&self) -> ClaimKey {
        dispute_claim(self.settlement_id, self.connection_id)
    }

    fn keys(&self) -> Keys {
        let mut keys = self.transfers.keys();
        keys.settlements.insert(self.settlement_id);
        keys.participations
            .insert((self.settlement_id, self.connection_id));
        keys.claims.insert(self.claim());
        let others = self.counterparties.iter();
        keys.claims
            .extend(others.map(|other| dispute_claim(self.settlement_id, *other)));
        keys
    }

    /// The disputes of the connection and of those on the other side.
    fn more_keys(&self, view: &View) -> Keys {
        let mut keys = Keys::default();
        let connections = self.counterparties.iter().chain([&self.connection_id]);
        for connection in connections {
            let claim = dispute_claim(self.settlement_id, *connection);
            if let Some(claim) = view.claims.get(&claim) {
                keys.disputes.insert(DisputeId(claim.subject));
            }
        }
        keys
    }

    fn weight(&self) -> usize {
        self.transfers.ids.len().max(1)
    }

    fn dispute_of<'draft>(
        &self,
        draft: &'draft Draft<'_>,
        connection: ConnectionId,
    ) -> Option<&'draft Dispute> {
        let claim = draft.find::<Claim>(&dispute_claim(self.settlement_id, connection))?;
        // One that was raised in this very batch may not be loaded: then nothing rests on it yet.
        draft.find_if_known::<Dispute>(&DisputeId(claim.subject))
    }

    /// What a dispute of the connection leaves out of the settlement, or lets in again.
    fn mark(
        &self,
        draft: &mut Draft<'_>,
        settlement: &mut Settlement,
        stands: bool,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        for transfer in self.transfers.find(draft) {
            let status = match (transfer.status, stands) {
                (TransferStatus::Pending, true) => TransferStatus::Disputed,
                (TransferStatus::Disputed, false) if !self.other_disputes(draft, &transfer) => {
                    TransferStatus::Pending
                }
                _ => continue,
            };
            draft.put(Transfer {
                status,
                updated_at: now,
                ..transfer
            });
        }
        let key = (self.settlement_id, self.connection_id);
        let part = draft.find::<Participation>(&key).cloned();
        let part = part.ok_or_else(|| Refusal::not_found("settlement"))?;
        draft.put(Participation {
            disputed: stands,
            ..part
        });
        if let Some(staging) = &mut settlement.staging {
            staging.standing_disputes += if stands { 1 } else { -1 };
        }
        settlement.updated_at = now;
        draft.put(settlement.clone());
        Ok(())
    }

    /// Whether the connection on the other side disputes the transfer too, and that dispute has no
    /// end yet.
    fn other_disputes(&self, draft: &Draft<'_>, transfer: &Transfer) -> bool {
        let other = transfer.other_side(self.connection_id);
        let other = other.and_then(|party| party.connection);
        let dispute = other.and_then(|(other, _)| self.dispute_of(draft, other));
        dispute.is_some_and(|dispute| dispute.stands() && dispute.closed_at.is_none())
    }
}

/// The settlement, if it is one that can be disputed at all.
fn disputable(draft: &Draft<'_>, id: SettlementId) -> Result<(Settlement, Staging), Refusal> {
    let settlement = draft.find::<Settlement>(&id).cloned();
    let settlement = settlement.ok_or_else(|| Refusal::not_found("settlement"))?;
    match settlement.staging.clone() {
        Some(staging) => Ok((settlement, staging)),
        None => Err(Refusal::new(
            Class::Unprocessable,
            "settlement_not_disputable",
            "the partner's settlements are booked at once and cannot be disputed",
        )),
    }
}

impl Staging {
    /// Whether disputes can still be raised, amended and retracted.
    fn is_disputable(&self, now: Timestamp) -> bool {
        !self.amounts_fixed && now < self.dispute_window_ends_at
    }
}

fn window_closed() -> Refusal {
    Refusal::new(
        Class::Unprocessable,
        "dispute_window_closed",
        "the dispute window of the settlement has ended; what is disputed can only be closed now",
    )
}

/// The dispute, if it is the enterprise's own.
fn own_dispute(
    draft: &Draft<'_>,
    id: DisputeId,
    enterprise: &EnterpriseId,
) -> Result<Dispute, Refusal> {
    draft
        .find::<Dispute>(&id)
        .filter(|dispute| dispute.client_enterprise_id == *enterprise)
        .cloned()
        .ok_or_else(|| Refusal::not_found("dispute"))
}

fn dispute_closed(proposed: Option<&DisputeClosure>) -> Refusal {
    let message = match proposed {
        Some(_) => "an operator has proposed how the dispute ends; wait for the review",
        None => "the dispute is closed and stays so",
    };
    Refusal::new(Class::Conflict, "dispute_closed", message)
}
