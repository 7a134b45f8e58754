//! Tables as data: their columns and keys, and the SQL that follows from them
//! alike in both dialects.

use super::value::Kind;

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name, unquoted: lower case, not a reserved word.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

/// A table: rows are read and written with all of its columns, in this order.
#[derive(Debug)]
pub struct Table {
    /// Its name, unquoted.
    pub name: &'static str,
    /// All of its columns.
    pub columns: &'static [Column],
    /// The names of the primary key's columns.
    pub key: &'static [&'static str],
}

impl Table {
    /// The columns' names, each behind `prefix`, separated by commas.
    pub(crate) fn column_list(&self, prefix: &str) -> String {
        let names: Vec<_> = self
            .columns
            .iter()
            .map(|column| format!("{prefix}{}", column.name))
            .collect();
        names.join(", ")
    }

    /// The kind of the column of that name; `None` when there is none.
    pub(super) fn kind(&self, name: &str) -> Option<Kind> {
        self.columns
            .iter()
            .find(|column| column.name == name)
            .map(|column| column.kind)
    }

    /// The end of an INSERT that replaces the row of the same key.
    pub(super) fn on_conflict_update(&self) -> String {
        let key = self.key.join(", ");
        let others: Vec<_> = self
            .columns
            .iter()
            .filter(|column| !self.key.contains(&column.name))
            .map(|column| format!("{0} = excluded.{0}", column.name))
            .collect();
        if others.is_empty() {
            format!(" ON CONFLICT ({key}) DO NOTHING")
        } else {
            format!(" ON CONFLICT ({key}) DO UPDATE SET {}", others.join(", "))
        }
    }
}
