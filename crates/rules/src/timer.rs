//! Timers: what is to be done when a window ends, or at once because something has happened.
//!
//! A timer is a row that is written in the commit which makes it necessary. Once it is due, it is
//! executed as a command of its own, by whichever server comes first and after any restart. Such a
//! command declares the timer, does nothing unless [`Draft::is_due`], and leaves it finished or set
//! anew.

use ledger::Timestamp;
use uuid::Uuid;

use crate::{
    Draft,
    record::{Timer, TimerKind},
};

impl Draft<'_> {
    /// Sets the timer of this kind and subject; one that is due earlier is overwritten.
    pub fn set_timer(&mut self, kind: TimerKind, subject: Uuid, due_at: Timestamp) {
        let due_at = Some(due_at);
        self.put(Timer {
            kind,
            subject,
            due_at,
        });
    }

    /// Whether this timer, which the command declared, is due.
    pub fn is_due(&self, kind: TimerKind, subject: Uuid, now: Timestamp) -> bool {
        let timer = self.find::<Timer>(&(kind, subject));
        timer
            .and_then(|timer| timer.due_at)
            .is_some_and(|due_at| due_at <= now)
    }

    /// Nothing remains to be done.
    pub fn finish_timer(&mut self, kind: TimerKind, subject: Uuid) {
        let due_at = None;
        self.put(Timer {
            kind,
            subject,
            due_at,
        });
    }
}
