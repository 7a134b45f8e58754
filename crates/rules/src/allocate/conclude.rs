//! How a reserved record ends: the money moves for good, or goes back.

use ledger::{Amount, Entry, EntryId, Hold, HoldId, Posting, Timestamp};

use super::{Step, add_to_open_total, refused_by_the_books};
use crate::{
    AllocationId, Command, Draft, Keys, Reason, Refusal, View,
    deliver::due_message,
    operate::Act,
    planted::{Fault, is_planted},
    record::{
        Allocation, AllocationKind, AllocationState, Message, MessageCall, PartnerConfiguration,
    },
};

/// How a reserved record ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The partner has accepted: the money moves.
    Cleared {
        /// The partner's name for the record, where it told one.
        partner_external_id: Option<String>,
    },
    /// The money goes back.
    Released {
        /// Why.
        reason: Reason,
        /// Whether the partner has to be told, because it may have reserved something.
        tell_partner: bool,
    },
}

/// What came of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concluded {
    /// The record as it stands.
    pub allocation: Allocation,
    /// Whether this answer brought it there; false if it had ended before.
    pub changed: bool,
}

/// The keys that [`conclude`] reads, once the record is known.
pub(super) fn conclusion_keys(allocation: Option<&Allocation>) -> Keys {
    let mut keys = Keys::default();
    if let Some(record) = allocation {
        let (source, target) = record.accounts();
        keys.balances.extend([source, target]);
        keys.open_totals.insert(record.open_total_key());
        keys.holds.insert(HoldId(record.id.0));
        keys.messages.insert(record.id.0);
    }
    keys
}

/// Ends a reserved record; one that has ended stays as it is.
pub(super) fn conclude(
    draft: &mut Draft<'_>,
    mut record: Allocation,
    verdict: Verdict,
    entry_id: EntryId,
    signed_request: Option<uuid::Uuid>,
    now: Timestamp,
) -> Result<Concluded, Refusal> {
    let undoes = is_planted(Fault::ReleaseAfterClear)
        && record.state == AllocationState::Cleared
        && matches!(verdict, Verdict::Released { .. });
    if !record.is_reserved() && !is_planted(Fault::EndsTwice) && !undoes {
        return Ok(Concluded {
            allocation: record,
            changed: false,
        });
    }
    let (source, target) = record.accounts();
    let hold_id = HoldId(record.id.0);
    let counts = |hold: &&Hold| hold.open || is_planted(Fault::EndsTwice) || undoes;
    let hold = draft.find::<Hold>(&hold_id).filter(counts);
    let mut hold = hold.cloned().ok_or_else(|| Refusal::not_found("hold"))?;
    let (step, to) = match verdict {
        Verdict::Cleared { .. } => (Step::Cleared, target.available()),
        Verdict::Released { .. } => (Step::Released, source.available()),
    };
    let too_many = is_planted(Fault::DeallocatesTooMuch)
        && record.kind == AllocationKind::Deallocation
        && matches!(verdict, Verdict::Cleared { .. });
    let entry = Entry {
        id: entry_id,
        cause: record.kind.cause(step).into(),
        subject: record.id.0,
        signed_request,
        postings: vec![Posting {
            from: if undoes {
                target.available()
            } else {
                source.held()
            },
            to,
            amount: match too_many {
                true => Amount::new(hold.amount.units() + 1).unwrap_or(hold.amount),
                false => hold.amount,
            },
        }],
    };
    let keeps_hold = is_planted(Fault::RejectionKeepsHold)
        && matches!(
            verdict,
            Verdict::Released {
                tell_partner: false,
                ..
            }
        );
    if !keeps_hold {
        draft.post(entry).map_err(refused_by_the_books)?;
        hold.open = false;
        draft.put(hold);
    }
    if record.kind == AllocationKind::Allocation && !is_planted(Fault::OpenTotalNotDecremented) {
        add_to_open_total(draft, record.open_total_key(), -record.amount.units());
    }
    let say = match verdict {
        Verdict::Cleared {
            partner_external_id,
        } => {
            record.state = AllocationState::Cleared;
            record.partner_external_id = partner_external_id.or(record.partner_external_id);
            (!is_planted(Fault::ClearNotTold)).then_some(MessageCall::Clear)
        }
        Verdict::Released {
            reason,
            tell_partner,
        } => {
            record.state = AllocationState::Released { reason };
            let tell_partner = tell_partner && !is_planted(Fault::ReleaseNotTold);
            tell_partner.then_some(MessageCall::Release)
        }
    };
    let real = draft.real_time(now);
    let known = draft.find::<Message>(&record.id.0).cloned();
    let mut message = known
        .unwrap_or_else(|| due_message(record.id.0, record.partner_id, MessageCall::Clear, real));
    match say {
        Some(call) => message.say(call, real),
        None => message.finish(real),
    }
    draft.put(message);
    record.updated_at = now;
    draft.put(record.clone());
    Ok(Concluded {
        allocation: record,
        changed: true,
    })
}

/// The partner has answered, or the network has stopped waiting for it.
#[derive(Clone, Debug)]
pub struct Conclude {
    /// Which record.
    pub id: AllocationId,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// How it ends.
    pub verdict: Verdict,
    /// The operator who says so, where it was one.
    pub operator: Option<Act>,
}

impl Command for Conclude {
    type Outcome = Concluded;

    fn keys(&self) -> Keys {
        Keys {
            allocations: [self.id].into(),
            ..Keys::default()
        }
    }

    fn more_keys(&self, view: &View) -> Keys {
        conclusion_keys(view.allocations.get(&self.id))
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Concluded, Refusal> {
        let record = draft.find::<Allocation>(&self.id).cloned();
        let record = record.ok_or_else(|| Refusal::not_found("allocation"))?;
        let before = record.state.clone();
        let (verdict, entry) = (self.verdict.clone(), self.entry_id);
        let concluded = conclude(draft, record, verdict, entry, None, now)?;
        if let Some(act) = self.operator.as_ref().filter(|_| concluded.changed) {
            let what = match &self.verdict {
                Verdict::Cleared { .. } => "clear_hold",
                Verdict::Released { .. } => "release_hold",
            };
            let change = (Some(&before), &concluded.allocation.state);
            act.record_change(draft, what, self.id.to_string(), change, now);
        }
        Ok(concluded)
    }
}

/// Whether a record has waited long enough for the network to release it by itself
/// (decisions §5, Q18).
pub fn may_release_unanswered(
    record: &Allocation,
    configuration: &PartnerConfiguration,
    now: Timestamp,
) -> bool {
    let patience = configuration.release_unanswered_after_s;
    record.is_reserved() && now >= record.created_at.plus_seconds(patience)
}
