//! Scripted failures: what goes wrong with which of the next calls of the network.

use serde::{Deserialize, Serialize};
use wire::partner_call::MovementKind;

/// A call of the network (OES wire §1c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Call {
    /// H1.
    Connect,
    /// H2.
    Allocate,
    /// H3.
    ClearAllocation,
    /// H4.
    ReleaseAllocation,
    /// H8 for an allocation.
    AllocationStatus,
    /// H5.
    Deallocate,
    /// H6.
    ClearDeallocation,
    /// H7.
    ReleaseDeallocation,
    /// H8 for a deallocation.
    DeallocationStatus,
    /// H9.
    FinalizeSettlement,
}

impl Call {
    /// What the call is about; connecting and settling count with allocations.
    pub(crate) fn kind(self) -> MovementKind {
        match self {
            Self::Connect
            | Self::Allocate
            | Self::ClearAllocation
            | Self::ReleaseAllocation
            | Self::AllocationStatus
            | Self::FinalizeSettlement => MovementKind::Allocation,
            Self::Deallocate
            | Self::ClearDeallocation
            | Self::ReleaseDeallocation
            | Self::DeallocationStatus => MovementKind::Deallocation,
        }
    }
}

/// What goes wrong. Every fault comes after the signature was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Nothing is done; 500 is answered.
    Error500,
    /// First the delay (60 s unless given), then everything as usual, whether or not the network
    /// still waits: a call that arrives late.
    Timeout,
    /// Nothing is done; the connection is closed without a byte.
    HangUpBefore,
    /// Everything is done; then the connection is closed without a byte.
    HangUpAfter,
    /// The request is refused with a reason; a refused allocation or deallocation stays refused.
    /// Of the other calls: 422.
    Reject,
}

/// One line of the script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Which calls fail.
    pub call: Call,
    /// How many more of them.
    pub times: u32,
    /// In what way.
    pub action: Action,
    /// Wait before anything else, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
}

/// The faults that are still to come, in their order.
#[derive(Debug, Default)]
pub(crate) struct Script(Vec<Fault>);

impl Script {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self(faults)
    }

    /// The fault of a call that has just come, if it has one.
    pub(crate) fn take(&mut self, call: Call) -> Option<Fault> {
        let next = self
            .0
            .iter_mut()
            .find(|fault| fault.call == call && fault.times > 0)?;
        next.times -= 1;
        Some(next.clone())
    }

    /// What is still to come.
    pub(crate) fn remaining(&self) -> Vec<Fault> {
        let is_to_come = |fault: &&Fault| fault.times > 0;
        self.0.iter().filter(is_to_come).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_in_order_and_end() {
        let text = r#"[{"call":"allocate","times":1,"action":"error500"},
            {"call":"connect","times":1,"action":"hangUpAfter"},
            {"call":"allocate","times":1,"action":"timeout","delayMs":5}]"#;
        let mut script = Script::new(serde_json::from_str(text).unwrap());
        let mut next = |call| {
            script
                .take(call)
                .map(|fault| (fault.action, fault.delay_ms))
        };
        assert_eq!(next(Call::Allocate), Some((Action::Error500, None)));
        assert_eq!(next(Call::Allocate), Some((Action::Timeout, Some(5))));
        assert_eq!(next(Call::Allocate), None);
        assert_eq!(next(Call::Deallocate), None);
        assert_eq!(script.remaining().len(), 1);
    }
}
