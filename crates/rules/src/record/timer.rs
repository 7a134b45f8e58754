//! What time makes due.

use ledger::Timestamp;

use super::spelled;

spelled! {
    /// What is to be done when a timer is due.
    TimerKind {
        /// A window of a staged settlement ends.
        SettlementWindow = "settlement_window",
        /// Something was heard of deposits for clients' gains over the chain.
        OnChainGains = "on_chain_gains",
        /// Clients' gains over the chain should have arrived.
        OnChainGainsLate = "on_chain_gains_late",
        /// Clients' losses over the chain should have left.
        OnChainLossesLate = "on_chain_losses_late",
    }
}

/// Something that is to be done at a business time, whichever process is there to do it. There is
/// one row for each kind and subject; it says when the next time is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timer {
    /// What is to be done.
    pub kind: TimerKind,
    /// The record to do it to.
    pub subject: uuid::Uuid,
    /// When, in business time; nothing once it is done.
    pub due_at: Option<Timestamp>,
}

impl Timer {
    pub(crate) fn record_key(&self) -> (TimerKind, uuid::Uuid) {
        (self.kind, self.subject)
    }
}
