//! How records of the network become rows and come back.
//!
//! Here lives one table description and one pair of conversions per record, used alike on both
//! databases. What the records mean is said in the rules.

mod approval;
mod dispute;
mod movement;
mod onchain;
mod parties;
mod tenancy;
mod timer;

use std::{collections::BTreeMap, str::FromStr};

use ledger::{Account, Amount, Currency, Owner, SignedAmount, Timestamp};
use rules::{Reason, Record};
use uuid::Uuid;

use crate::sql::{Row, StoreError, Table, Value, WriteMode};

pub(crate) use movement::{owner_columns, party};

/// A record that has a table.
pub(crate) trait Stored: Record {
    /// Its table.
    const TABLE: &'static Table;
    /// Whether a row may be replaced. What is evidence never is.
    const MODE: WriteMode = WriteMode::Upsert;

    /// The values of the primary key, in the order of its columns.
    fn key_values(key: &Self::Key) -> Vec<Value>;
    /// The values of all columns.
    fn to_row(&self, facts: &CommitFacts<'_>) -> Vec<Value>;
    /// Reads all columns in their order.
    fn from_row(columns: &mut Columns) -> Result<Self, StoreError>;
}

/// What the commit that writes a row knows beyond the record.
pub(crate) struct CommitFacts<'view> {
    /// The number of the commit in its lane.
    pub(crate) sequence: i64,
    /// For every account that moved, the number of the last entry that moved it.
    pub(crate) last_entries: BTreeMap<&'view Account, i64>,
}

/// Declares the description of a table: its name, its key, its columns with their kinds.
macro_rules! table {
    ($name:literal, [$($key:literal),+], $($column:ident $kind:ident),+ $(,)?) => {{
        static TABLE: $crate::sql::Table = $crate::sql::Table {
            name: $name,
            columns: &[$($crate::sql::Column {
                name: stringify!($column),
                kind: $crate::sql::Kind::$kind,
            }),+],
            key: &[$($key),+],
        };
        &TABLE
    }};
}
pub(crate) use table;

/// Reads the columns of a row one after the other.
pub(crate) struct Columns {
    row: Row,
    position: usize,
}

macro_rules! readers {
    ($($name:ident, $accessor:ident -> $type:ty;)+) => {
        $(pub(crate) fn $name(&mut self) -> Result<$type, StoreError> {
            self.position += 1;
            self.row.$accessor(self.position - 1)
        })+
    };
}

impl From<Row> for Columns {
    fn from(row: Row) -> Self {
        Columns { row, position: 0 }
    }
}

impl Columns {
    readers! {
        boolean, bool -> bool;
        int, int -> i64;
        optional_int, optional_int -> Option<i64>;
        text, text -> String;
        optional_text, optional_text -> Option<String>;
        bytes, bytes -> Vec<u8>;
        optional_bytes, optional_bytes -> Option<Vec<u8>>;
        uuid, uuid -> Uuid;
        optional_uuid, optional_uuid -> Option<Uuid>;
        optional_boolean, optional_bool -> Option<bool>;
        units, amount -> i128;
    }

    /// The number at a position that is not read in its turn.
    pub(crate) fn peek_int(&self, position: usize) -> Result<i64, StoreError> {
        match self.row.peek(position) {
            Some(Value::Int(number)) => Ok(*number),
            _ => Err(StoreError::Corrupt(format!("column {position} is not int"))),
        }
    }

    /// Text that reads as something else.
    pub(crate) fn parsed<T: FromStr>(&mut self) -> Result<T, StoreError> {
        let text = self.text()?;
        text.parse().map_err(|_| self.corrupt(&text))
    }

    /// Text that is the spelling of a member of an enumeration.
    pub(crate) fn spelled<T>(&mut self, read: fn(&str) -> Option<T>) -> Result<T, StoreError> {
        let text = self.text()?;
        read(&text).ok_or_else(|| self.corrupt(&text))
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp, StoreError> {
        self.int().map(Timestamp)
    }

    pub(crate) fn optional_time(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.optional_int()?.map(Timestamp))
    }

    pub(crate) fn amount(&mut self) -> Result<Amount, StoreError> {
        let units = self.units()?;
        Amount::new(units).map_err(|_| self.corrupt(&units.to_string()))
    }

    pub(crate) fn signed_amount(&mut self) -> Result<SignedAmount, StoreError> {
        let units = self.units()?;
        SignedAmount::new(units).map_err(|_| self.corrupt(&units.to_string()))
    }

    pub(crate) fn small<T: TryFrom<i64>>(&mut self) -> Result<T, StoreError> {
        let number = self.int()?;
        T::try_from(number).map_err(|_| self.corrupt(&number.to_string()))
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let bytes = self.bytes()?;
        let length = bytes.len();
        bytes
            .try_into()
            .map_err(|_| self.corrupt(&format!("{length} bytes")))
    }

    /// An account out of owner kind, owner and currency.
    pub(crate) fn account(&mut self) -> Result<Account, StoreError> {
        let (kind, owner) = (self.int()?, self.uuid()?);
        let currency: Currency = self.parsed()?;
        let owner = self.owner(kind, owner)?;
        Ok(Account { owner, currency })
    }

    pub(crate) fn owner(&self, kind: i64, id: Uuid) -> Result<Owner, StoreError> {
        match kind {
            0 => Ok(Owner::Custody),
            1 => Ok(Owner::Go(ledger::GoAccountId(id))),
            2 => Ok(Owner::Net(ledger::NetworkAccountId(id))),
            _ => Err(self.corrupt(&kind.to_string())),
        }
    }

    /// A reason out of its name and its message, if there is one.
    pub(crate) fn reason(&mut self) -> Result<Option<Reason>, StoreError> {
        let (name, message) = (self.optional_text()?, self.optional_text()?);
        Ok(name.map(|name| Reason {
            name,
            message: message.unwrap_or_default(),
        }))
    }

    pub(crate) fn corrupt(&self, value: &str) -> StoreError {
        let position = self.position.saturating_sub(1);
        StoreError::Corrupt(format!(
            "column {position} has the unexpected value {value:?}"
        ))
    }
}

/// The values of a reason's two columns.
pub(crate) fn reason_values(reason: Option<&Reason>) -> [Value; 2] {
    [
        reason.map(|r| r.name.as_str()).into(),
        reason.map(|r| r.message.as_str()).into(),
    ]
}

/// A time as a value.
pub(crate) fn time(at: Timestamp) -> Value {
    at.0.into()
}

/// A time that may be missing as a value.
pub(crate) fn optional_time(at: Option<Timestamp>) -> Value {
    at.map(|at| at.0).into()
}

/// Calls a macro with every record that has a shelf of its own and a table of its own.
macro_rules! for_each_stored {
    ($call:ident) => {
        $call! {
            enterprises, users, memberships, access_tokens, token_uses, go_accounts, signing_keys, currencies,
            configurations, clients, partners, connections, allocations, settlements, transfers,
            participations, disputes, dispute_closures, deposits, withdrawals, claims, signed_requests, messages, on_chain, on_chain_legs, on_chain_deposits, timers, open_totals,
            approval_policy, proposals, latest_proposals, operator_acts, balances, holds
        }
    };
}
pub(crate) use for_each_stored;
