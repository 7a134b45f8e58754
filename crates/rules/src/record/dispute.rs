//! Clients' objections to settlements, and how they end.

use std::collections::BTreeMap;

use ledger::{Currency, SignedAmount, Timestamp};

use super::spelled;
use crate::{
    ClientId, ConnectionId, DisputeClosureId, DisputeId, EnterpriseId, PartnerId, SettlementId,
    UserId,
};

spelled! {
    /// Who ended a dispute.
    ClosedBy {
        /// The client conceded.
        Client = "client",
        /// An operator decided.
        Operator = "admin",
    }

    /// Whether the end of a dispute counts.
    ClosureStatus {
        /// A second operator has yet to look at it.
        PendingReview = "pending_review",
        /// It counts.
        Approved = "approved",
        /// It does not; the dispute is open as before.
        Rejected = "rejected",
    }
}

/// That a client has taken its dispute back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retraction {
    /// Who.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Option<String>,
}

/// A client's objection to a settlement for one of its connections (OES wire §3.7).
///
/// It covers all of the connection's posted transfers in that settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// Its identifier.
    pub id: DisputeId,
    /// The settlement that it objects to.
    pub settlement_id: SettlementId,
    /// For which connection.
    pub connection_id: ConnectionId,
    /// Whose.
    pub client_id: ClientId,
    /// The client's enterprise.
    pub client_enterprise_id: EnterpriseId,
    /// Against whom.
    pub partner_id: PartnerId,
    /// The partner's enterprise.
    pub partner_enterprise_id: EnterpriseId,
    /// Who raised it.
    pub user_id: UserId,
    /// What should have moved, as evidence: above zero to the client, below zero from it.
    pub expected: BTreeMap<Currency, SignedAmount>,
    /// Why.
    pub reason: Option<String>,
    /// That it was taken back, if it was; its transfers run then.
    pub retraction: Option<Retraction>,
    /// The last closure, be it proposed, approved or rejected.
    pub closure_id: Option<DisputeClosureId>,
    /// Since when a closure counts.
    pub closed_at: Option<Timestamp>,
    /// The request that raised it.
    pub signed_request: uuid::Uuid,
    /// When it was raised.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What moves instead of disputed transfers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The connection on the other side; none: the partner itself.
    pub counterparty: Option<ConnectionId>,
    /// In what.
    pub currency: Currency,
    /// How much: above zero to the disputing connection, below zero from it.
    pub amount: SignedAmount,
}

/// What a second operator said of a closure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Who.
    pub by: UserId,
    /// What they wrote beside it.
    pub notes: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// How a dispute ends (OES wire §3.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisputeClosure {
    /// Its identifier.
    pub id: DisputeClosureId,
    /// Which dispute.
    pub dispute_id: DisputeId,
    /// As whom whoever closed it acted.
    pub closed_by: ClosedBy,
    /// Who closed it.
    pub user_id: UserId,
    /// What they wrote beside it.
    pub notes: String,
    /// What moves instead of the disputed transfers.
    pub adjustments: Vec<Adjustment>,
    /// Whether it counts.
    pub status: ClosureStatus,
    /// What the second operator said; none of a client's own closure.
    pub review: Option<Review>,
    /// The client's signed request, if it is the client's.
    pub signed_request: Option<uuid::Uuid>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Dispute {
    pub(crate) fn record_key(&self) -> DisputeId {
        self.id
    }

    /// Whether its transfers stay out of the settlement.
    pub fn stands(&self) -> bool {
        self.retraction.is_none()
    }
}

impl DisputeClosure {
    pub(crate) fn record_key(&self) -> DisputeClosureId {
        self.id
    }

    /// What moves per currency: above zero to the client, below zero from it. What cancels out is
    /// left out.
    pub fn sums(&self) -> BTreeMap<Currency, i128> {
        let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
        for adjustment in &self.adjustments {
            let sum = sums.entry(adjustment.currency.clone()).or_default();
            *sum = sum.saturating_add(adjustment.amount.units());
        }
        sums.retain(|_, sum| *sum != 0);
        sums
    }
}
