//! An operator gives the money of a record back that waits for its partner (decisions §5, Q18).

use ledger::{EntryId, Timestamp};

use crate::{
    AllocationId, Class, Command, Draft, Keys, Reason, Refusal, View,
    allocate::{Conclude, Verdict},
    operate::Act,
    record::Allocation,
};

/// The money of a reserved record goes back, and the partner is told.
#[derive(Clone, Debug)]
pub struct ReleaseHold {
    /// Which record.
    pub id: AllocationId,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// A sentence that client and partner see.
    pub reason: String,
    /// The operator who says so.
    pub operator: Act,
}

impl ReleaseHold {
    fn conclusion(&self) -> Conclude {
        Conclude {
            id: self.id,
            entry_id: self.entry_id,
            verdict: Verdict::Released {
                reason: Reason::new("released_by_operator", self.reason.as_str()),
                tell_partner: true,
            },
            operator: Some(self.operator.clone()),
        }
    }
}

impl Command for ReleaseHold {
    type Outcome = Allocation;

    fn keys(&self) -> Keys {
        self.conclusion().keys()
    }

    fn more_keys(&self, view: &View) -> Keys {
        self.conclusion().more_keys(view)
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Allocation, Refusal> {
        let concluded = self.conclusion().decide(draft, now)?;
        if concluded.changed {
            return Ok(concluded.allocation);
        }
        let message = "the record has ended already and stays as it is";
        Err(Refusal::new(Class::Conflict, "already_final", message))
    }
}
