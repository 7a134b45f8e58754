//! The words in which the two dialects of SQL differ.

use super::value::Kind;

/// A dialect of SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// The type of a column that holds this kind.
    pub(super) fn column_type(self, kind: Kind) -> &'static str {
        match (self, kind) {
            (Self::Sqlite, Kind::Bool | Kind::Int) => "INTEGER",
            (Self::Sqlite, Kind::Text) => "TEXT",
            (Self::Sqlite, Kind::Bytes | Kind::Uuid | Kind::Amount) => "BLOB",
            (Self::Postgres, Kind::Bool) => "BOOLEAN",
            (Self::Postgres, Kind::Int) => "BIGINT",
            // Compared byte by byte as in SQLite, whatever the locale of the
            // server is and becomes.
            (Self::Postgres, Kind::Text) => "TEXT COLLATE \"C\"",
            (Self::Postgres, Kind::Bytes) => "BYTEA",
            (Self::Postgres, Kind::Uuid) => "UUID",
            (Self::Postgres, Kind::Amount) => "NUMERIC(39, 0)",
        }
    }

    /// A literal of bytes, from hexadecimal digits.
    pub(super) fn bytes_literal(self, hex: &str) -> String {
        match self {
            Self::Sqlite => format!("x'{hex}'"),
            Self::Postgres => format!("'\\x{hex}'::bytea"),
        }
    }

    /// The amount zero.
    pub(super) fn zero_amount(self) -> &'static str {
        match self {
            Self::Sqlite => "x'80000000000000000000000000000000'",
            Self::Postgres => "0",
        }
    }

    /// The end of CREATE TABLE: SQLite checks the types of columns only when asked to.
    pub(super) fn strict(self) -> &'static str {
        match self {
            Self::Sqlite => " STRICT",
            Self::Postgres => "",
        }
    }

    /// The end of a SELECT that locks what it finds. A transaction of SQLite
    /// has locked the whole database since it began.
    pub(super) fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// Lifts the time limit on statements for the rest of the transaction.
    pub(super) fn no_time_limit(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => "SET LOCAL statement_timeout = 0",
        }
    }
}
