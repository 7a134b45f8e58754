//! What clients, partners and operators were told, to be held against the books in the end.

use std::collections::BTreeMap;

use network::Failure;
use rules::record::{Allocation, AllocationState};
use uuid::Uuid;

use crate::world::{World, lock};

/// Whose name for which kind of record.
pub(crate) type Name = (u64, &'static str, String);

/// What was told about one external id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promise {
    /// The record that it names.
    pub(crate) id: Option<Uuid>,
    /// How that ended.
    pub(crate) end: Option<&'static str>,
    /// Nothing else was ever told than that nothing was done.
    pub(crate) was_not_done: bool,
}

/// Money that crosses the border of custody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Crossing {
    pub(crate) id: Uuid,
    pub(crate) currency: String,
    pub(crate) units: i128,
}

/// What connections gain, and below zero what they lose, by currency.
pub(crate) type Moves = BTreeMap<Uuid, BTreeMap<String, i128>>;

/// All that was told.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    pub(crate) movements: BTreeMap<Name, Promise>,
    pub(crate) deposits: BTreeMap<String, Crossing>,
    pub(crate) paid: BTreeMap<String, Crossing>,
    /// By transaction: deposits over the chain that custody has seen.
    pub(crate) seen: BTreeMap<String, Crossing>,
    /// By settlement and currency: what clients have lost over the chain.
    pub(crate) left: BTreeMap<(Uuid, String), i128>,
    /// By the partner's own name: settlements that the network has taken.
    pub(crate) posted: BTreeMap<String, Moves>,
    /// By closure: what moves instead of what was disputed.
    pub(crate) closures: BTreeMap<Uuid, Moves>,
    /// By the partner's own name: settlements over the chain that were rejected before they began.
    pub(crate) rejected: BTreeMap<String, Uuid>,
}

pub(crate) fn ending(state: &AllocationState) -> Option<&'static str> {
    match state {
        AllocationState::Reserved { .. } => None,
        AllocationState::Cleared => Some("cleared"),
        AllocationState::Released { .. } => Some("released"),
    }
}

impl World {
    /// A client was told about one of its records.
    pub(crate) fn hear(&self, name: &Name, told: &Result<Allocation, Failure>) {
        let mut promises = lock(&self.promises);
        let promise = promises.movements.entry(name.clone()).or_default();
        let record = match told {
            Ok(record) => record,
            Err(Failure::Busy) => {
                promise.was_not_done = promise.id.is_none();
                return;
            }
            Err(_) => return,
        };
        promise.was_not_done = false;
        let (before, end) = (promise.clone(), ending(&record.state));
        promise.id = Some(record.id.0);
        promise.end = end.or(promise.end);
        drop(promises);
        self.note(format_args!("{name:?} is {} {end:?}", record.id));
        if before.id.is_some_and(|id| id != record.id.0) {
            let detail = format!("{name:?} was {before:?}, now {}", record.id);
            self.broken("an external id names one record", detail);
        }
        if before.end.is_some() && before.end != end {
            let detail = format!("{name:?} was {before:?}, now {:?}", record.state);
            self.broken("what has ended stays as it is", detail);
        }
    }
}
