//! The records of a batch: what is read for it, and what of them is written.

use std::collections::BTreeSet;

use rules::{Keys, Shelf, View};

use crate::{
    record::{Columns, CommitFacts, Stored, for_each_stored},
    sql::{self, Fetch, Rows, StoreError, Write, WriteMode},
};

macro_rules! define_loading {
    ($($shelf:ident),+) => {
        /// One bulk read for each kind of record among `keys`.
        pub(super) fn fetches(keys: &Keys) -> Vec<Fetch> {
            let mut fetches = Vec::new();
            $(if !keys.$shelf.is_empty() {
                fetches.push(fetch_of(&View::default().$shelf, &keys.$shelf));
            })+
            fetches
        }

        /// Adds what [`fetches`] of these keys have brought to a view.
        pub(super) fn placed(
            mut view: View,
            keys: Keys,
            rows: Vec<Vec<sql::Row>>,
        ) -> Result<View, StoreError> {
            let mut rows = rows.into_iter();
            $(if !keys.$shelf.is_empty() {
                place(&mut view.$shelf, keys.$shelf, rows.next().unwrap_or_default())?;
            })+
            Ok(view)
        }

        /// What every changed record writes.
        pub(super) fn record_writes<'rows>(
            view: &'rows View,
            facts: &'rows CommitFacts<'_>,
        ) -> Vec<Write<'rows>> {
            let mut writes = Vec::new();
            $(writes.extend(write_of(&view.$shelf, facts));)+
            writes
        }
    };
}
for_each_stored!(define_loading);

/// The shelf tells the kind of record.
fn fetch_of<R: Stored>(_: &Shelf<R>, keys: &BTreeSet<R::Key>) -> Fetch {
    Fetch {
        table: R::TABLE,
        by: R::TABLE.key,
        keys: keys.iter().map(R::key_values).collect(),
    }
}

fn place<R: Stored>(
    shelf: &mut Shelf<R>,
    keys: BTreeSet<R::Key>,
    rows: Vec<sql::Row>,
) -> Result<(), StoreError> {
    shelf.load_absent(keys);
    for row in rows {
        let record = R::from_row(&mut Columns::from(row))?;
        shelf.load(record.key(), Some(record));
    }
    Ok(())
}

fn write_of<'rows, R: Stored>(
    shelf: &'rows Shelf<R>,
    facts: &'rows CommitFacts<'_>,
) -> Option<Write<'rows>> {
    let count = shelf.changed().count();
    let rows = shelf.changed().map(|record| record.to_row(facts));
    // A key that is taken all the same would be a conflict, and the batch is decided anew.
    let mode = match shelf.has_only_new() {
        true => WriteMode::Insert,
        false => R::MODE,
    };
    (count > 0).then_some(Write {
        table: R::TABLE,
        mode,
        rows: Rows::new(count, rows),
    })
}
