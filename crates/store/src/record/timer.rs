//! Rows of timers.

use rules::record::{Timer, TimerKind};
use uuid::Uuid;

use super::{Columns, CommitFacts, Stored, optional_time, table};
use crate::sql::{StoreError, Table, Value};

impl Stored for Timer {
    const TABLE: &'static Table = table!("timers", ["kind", "subject"],
        kind Text, subject Uuid, due_at Int);

    fn key_values((kind, subject): &(TimerKind, Uuid)) -> Vec<Value> {
        vec![kind.as_str().into(), (*subject).into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        let mut row = Timer::key_values(&(self.kind, self.subject));
        row.push(optional_time(self.due_at));
        row
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Timer {
            kind: columns.spelled(TimerKind::from_spelling)?,
            subject: columns.uuid()?,
            due_at: columns.optional_time()?,
        })
    }
}
