//! Events: what the enterprises that something concerns are told of, in the order in which it
//! happened.
//!
//! No command makes events. They follow from the records that an accepted command has written: one
//! for every record that somebody outside waits for and that came to another point than before.
//! An event says that, not what the record holds; whoever wants to know reads the record.

use uuid::Uuid;

use crate::{
    ConnectionId, EnterpriseId, Record, SettlementId, View,
    record::{
        Allocation, AllocationKind, AllocationState, ClosureStatus, Connection, ConnectionState,
        Dispute, Settlement, SettlementState,
    },
};

/// Who is told of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Both ends of a connection.
    Ends {
        /// The client's enterprise.
        client: EnterpriseId,
        /// The partner's.
        partner: EnterpriseId,
    },
    /// A partner, and all clients that take part in a settlement.
    Parties {
        /// The settlement.
        settlement: SettlementId,
        /// The partner's enterprise.
        partner: EnterpriseId,
    },
}

impl Audience {
    fn ends(client: &EnterpriseId, partner: &EnterpriseId) -> Audience {
        Audience::Ends {
            client: client.clone(),
            partner: partner.clone(),
        }
    }
}

/// Something has come to another point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened, as `noun.participle`.
    pub kind: &'static str,
    /// The record to which it happened.
    pub subject: Uuid,
    /// Over which connection, if over one.
    pub connection_id: Option<ConnectionId>,
    /// Who is told.
    pub audience: Audience,
}

/// A record whose changes are events.
trait Eventful: Record {
    /// The point to which it has come.
    fn point(&self) -> &'static str;

    /// Its identifier, over which connection it goes if over one, and who is told.
    fn told(&self) -> (Uuid, Option<ConnectionId>, Audience);
}

impl Eventful for Connection {
    fn point(&self) -> &'static str {
        match (&self.state, self.active) {
            (ConnectionState::Created { .. }, _) => "connection.created",
            (ConnectionState::Initialized { .. }, true) => "connection.initialized",
            (ConnectionState::Initialized { .. }, false) => "connection.deactivated",
            (ConnectionState::Rejected { .. }, _) => "connection.rejected",
        }
    }

    fn told(&self) -> (Uuid, Option<ConnectionId>, Audience) {
        let ends = Audience::ends(&self.client_enterprise_id, &self.partner_enterprise_id);
        (self.id.0, Some(self.id), ends)
    }
}

impl Eventful for Allocation {
    fn point(&self) -> &'static str {
        match (self.kind, &self.state) {
            (AllocationKind::Allocation, AllocationState::Reserved { .. }) => "allocation.reserved",
            (AllocationKind::Allocation, AllocationState::Cleared) => "allocation.cleared",
            (AllocationKind::Allocation, AllocationState::Released { .. }) => "allocation.released",
            (AllocationKind::Deallocation, AllocationState::Reserved { .. }) => {
                "deallocation.reserved"
            }
            (AllocationKind::Deallocation, AllocationState::Cleared) => "deallocation.cleared",
            (AllocationKind::Deallocation, AllocationState::Released { .. }) => {
                "deallocation.released"
            }
        }
    }

    fn told(&self) -> (Uuid, Option<ConnectionId>, Audience) {
        let ends = Audience::ends(&self.client_enterprise_id, &self.partner_enterprise_id);
        (self.id.0, Some(self.connection_id), ends)
    }
}

impl Eventful for Settlement {
    fn point(&self) -> &'static str {
        match self.state {
            // A dispute window that nobody is told of is worth nothing.
            SettlementState::Pending => match &self.staging {
                None => "settlement.pending",
                Some(staging) if !staging.amounts_fixed => "settlement.dispute_window_opened",
                Some(staging) if staging.found_short_at.is_none() => "settlement.amounts_fixed",
                Some(_) => "settlement.waits_for_funds",
            },
            SettlementState::Completed { .. } => "settlement.completed",
            SettlementState::Failed { .. } => "settlement.failed",
            SettlementState::Rejected { .. } => "settlement.rejected",
        }
    }

    fn told(&self) -> (Uuid, Option<ConnectionId>, Audience) {
        let parties = Audience::Parties {
            settlement: self.id,
            partner: self.partner_enterprise_id.clone(),
        };
        (self.id.0, None, parties)
    }
}

impl Eventful for Dispute {
    fn point(&self) -> &'static str {
        match (self.closed_at, &self.retraction) {
            (Some(_), _) => "dispute.closed",
            (None, Some(_)) => "dispute.retracted",
            (None, None) => "dispute.opened",
        }
    }

    fn told(&self) -> (Uuid, Option<ConnectionId>, Audience) {
        let ends = Audience::ends(&self.client_enterprise_id, &self.partner_enterprise_id);
        (self.id.0, Some(self.connection_id), ends)
    }
}

/// What a command has to tell that wrote `written` on top of `before`.
pub(crate) fn events(before: &View, written: &View) -> Vec<Event> {
    let mut events = Vec::new();
    of::<Connection>(before, written, &mut events);
    of::<Allocation>(before, written, &mut events);
    of::<Settlement>(before, written, &mut events);
    of::<Dispute>(before, written, &mut events);
    of_closures(before, written, &mut events);
    events
}

/// What operators propose for a dispute, and what others reject: its parties wait for it.
fn of_closures(before: &View, written: &View, events: &mut Vec<Event>) {
    for closure in written.dispute_closures.changed() {
        let kind = match closure.status {
            ClosureStatus::PendingReview => "dispute.closure_proposed",
            ClosureStatus::Rejected => "dispute.closure_rejected",
            // The dispute itself is closed then.
            ClosureStatus::Approved => continue,
        };
        let known = before.dispute_closures.find(&closure.id);
        if known.is_some_and(|known| known.status == closure.status) {
            continue;
        }
        let dispute = written.disputes.find(&closure.dispute_id);
        if let Some(dispute) = dispute.or_else(|| before.disputes.find(&closure.dispute_id)) {
            let (subject, connection_id, audience) = dispute.told();
            events.push(Event {
                kind,
                subject,
                connection_id,
                audience,
            });
        }
    }
}

fn of<R: Eventful>(before: &View, written: &View, events: &mut Vec<Event>) {
    for record in R::shelf(written).changed() {
        let known = R::shelf(before).find(&record.key());
        if known.is_none_or(|known| known.point() != record.point()) {
            let (subject, connection_id, audience) = record.told();
            events.push(Event {
                kind: record.point(),
                subject,
                connection_id,
                audience,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use ledger::{EntryNumber, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::{
        PartnerId, UserId,
        record::{SettlementForm, Staging},
    };

    fn staged(amounts_fixed: bool, found_short_at: Option<EntryNumber>) -> Settlement {
        Settlement {
            id: SettlementId(Uuid::from_u128(1)),
            partner_id: PartnerId(Uuid::from_u128(2)),
            partner_enterprise_id: "partner".parse().unwrap(),
            external_id: "one".to_owned(),
            form: SettlementForm::Party,
            content_digest: [0; 32],
            notes: None,
            initiated_by: UserId(Uuid::from_u128(3)),
            signed_request: Uuid::from_u128(4),
            transfer_count: 1,
            state: SettlementState::Pending,
            staging: Some(Staging {
                cutoff_at: Timestamp(0),
                dispute_window_ends_at: Timestamp(1),
                top_up_window_ends_at: Timestamp(2),
                amounts_fixed,
                standing_disputes: 0,
                found_short_at,
            }),
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        }
    }

    /// What is told when these are written one after the other.
    fn told(settlements: Vec<Settlement>) -> Vec<&'static str> {
        let mut view = View::default();
        let mut told = Vec::new();
        for settlement in settlements {
            let mut draft = crate::Draft::on(&view);
            draft.put(settlement);
            let written = draft.into_written();
            view.accept(written);
            told.extend(view.events.drain(..).map(|event| event.kind));
        }
        told
    }

    #[test]
    fn every_window_is_told_of_once() {
        let short = Some(EntryNumber(7));
        let later = Some(EntryNumber(8));
        assert_eq!(
            told(vec![
                staged(false, None),
                staged(false, None),
                staged(true, None),
                staged(true, short),
                staged(true, later),
            ]),
            [
                "settlement.dispute_window_opened",
                "settlement.amounts_fixed",
                "settlement.waits_for_funds",
            ]
        );
    }
}
