//! Whether a direction of a settlement takes longer than it should.

use ledger::Timestamp;

use crate::{
    Command, Draft, Keys, Refusal, SettlementId,
    record::{Direction, OnChain, TimerKind},
};

impl Direction {
    /// The timer that is due when transfers of this direction are late.
    pub(crate) fn timer(self) -> TimerKind {
        match self {
            Direction::Gains => TimerKind::OnChainGainsLate,
            Direction::Losses => TimerKind::OnChainLossesLate,
        }
    }
}

/// The time in which a direction should have been finished is over.
#[derive(Clone, Debug)]
pub struct NoteLate {
    /// Of which settlement.
    pub settlement_id: SettlementId,
    /// Which direction.
    pub direction: Direction,
}

impl Command for NoteLate {
    /// Whether the direction is late, and was not known to be.
    type Outcome = bool;

    fn keys(&self) -> Keys {
        Keys {
            on_chain: [self.settlement_id].into(),
            timers: [(self.direction.timer(), self.settlement_id.0)].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<bool, Refusal> {
        let kind = self.direction.timer();
        if !draft.is_due(kind, self.settlement_id.0, now) {
            return Ok(false);
        }
        draft.finish_timer(kind, self.settlement_id.0);
        let Some(mut on_chain) = draft.find::<OnChain>(&self.settlement_id).cloned() else {
            return Ok(false);
        };
        let part = on_chain.part_mut(self.direction);
        let is_late = part.unfinished > 0 && !part.alerted;
        if is_late {
            part.alerted = true;
            draft.put(on_chain);
        }
        Ok(is_late)
    }
}
