//! Whether the store can commit at present, as the thread that commits finds out and everybody else
//! may ask.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use crate::StoreError;

/// Whether the store can commit, as its last attempt has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It can.
    Writable,
    /// The disk of the database is full.
    Full,
    /// The database cannot be reached or written, or the thread that commits has ended.
    Unavailable,
}

impl Condition {
    /// What an error of writing says.
    pub(crate) fn of(error: &StoreError) -> Condition {
        match error {
            StoreError::Full { .. } => Condition::Full,
            _ => Condition::Unavailable,
        }
    }
}

/// The condition as it is now, shared between the thread that commits and all handles.
#[derive(Clone, Default)]
pub(crate) struct Health(Arc<AtomicU8>);

impl Health {
    pub(crate) fn get(&self) -> Condition {
        match self.0.load(Ordering::Relaxed) {
            0 => Condition::Writable,
            1 => Condition::Full,
            _ => Condition::Unavailable,
        }
    }

    /// Sets the condition and tells of a change.
    pub(crate) fn set(&self, condition: Condition) {
        let code = match condition {
            Condition::Writable => 0,
            Condition::Full => 1,
            Condition::Unavailable => 2,
        };
        if self.0.swap(code, Ordering::Relaxed) == code {
            return;
        }
        match condition {
            Condition::Writable => tracing::info!("the database can be written again"),
            Condition::Full => tracing::error!(
                "the disk of the database is full: nothing is taken until there is space again"
            ),
            Condition::Unavailable => tracing::error!("the database cannot be written"),
        }
    }
}
