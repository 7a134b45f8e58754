//! Values and rows as they travel between the crate and a database.
//!
//! A [`Value`] is what is bound to a statement, a [`Row`] is what comes back.
//! Here lives the meaning of each kind and its SQLite form; the PostgreSQL form
//! is in `postgres`. Nothing here knows a table.

use rusqlite::types::{ToSqlOutput, ValueRef};
use uuid::Uuid;

use super::error::StoreError;

/// The kind of a column: what it may hold beside NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// True or false.
    Bool,
    /// A signed 64-bit number: counters, times in microseconds.
    Int,
    /// UTF-8 text without NUL characters, which PostgreSQL cannot hold.
    Text,
    /// Raw bytes.
    Bytes,
    /// A UUID.
    Uuid,
    /// An amount in base units, `i128`.
    Amount,
}

/// One value to bind, or one value fetched.
///
/// SQLite knows neither booleans nor UUIDs nor 128-bit numbers: from there booleans
/// come as [`Value::Int`], and whatever has 16 bytes as [`Value::Uuid`], which most
/// of it is and which takes no memory beside the row. The accessors of [`Row`]
/// convert by what is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// SQL NULL, of any kind.
    Null,
    /// See [`Kind::Bool`].
    Bool(bool),
    /// See [`Kind::Int`].
    Int(i64),
    /// See [`Kind::Text`].
    Text(String),
    /// See [`Kind::Bytes`].
    Bytes(Vec<u8>),
    /// See [`Kind::Uuid`].
    Uuid(Uuid),
    /// See [`Kind::Amount`].
    Amount(i128),
}

macro_rules! from {
    ($($type:ty => $variant:ident),*) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from!(bool => Bool, i64 => Int, String => Text, &str => Text, Vec<u8> => Bytes, &[u8] => Bytes,
      Uuid => Uuid, i128 => Amount);

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The bit that is flipped so that blobs compare as the numbers do.
const SIGN: u128 = 1 << 127;

/// An amount as SQLite holds it: 16 bytes, big-endian, the sign bit flipped.
pub(super) fn amount_to_blob(amount: i128) -> [u8; 16] {
    (amount.cast_unsigned() ^ SIGN).to_be_bytes()
}

pub(super) fn amount_from_blob(blob: &[u8]) -> Option<i128> {
    let bytes = blob.try_into().ok()?;
    Some((u128::from_be_bytes(bytes) ^ SIGN).cast_signed())
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Bool(value) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*value))),
            Self::Int(value) => ToSqlOutput::Borrowed(ValueRef::Integer(*value)),
            Self::Text(value) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Self::Bytes(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
            Self::Uuid(value) => ToSqlOutput::Borrowed(ValueRef::Blob(value.as_bytes())),
            Self::Amount(value) => ToSqlOutput::Owned(amount_to_blob(*value).to_vec().into()),
        })
    }
}

impl rusqlite::types::FromSql for Value {
    fn column_result(value: ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
        match value {
            ValueRef::Null => Ok(Self::Null),
            ValueRef::Integer(value) => Ok(Self::Int(value)),
            // What is not UTF-8 must not make the rest of the answer unreadable: whoever asks
            // for text there finds bytes instead.
            ValueRef::Text(text) => Ok(match value.as_str() {
                Ok(text) => Self::from(text),
                Err(_) => Self::from(text),
            }),
            ValueRef::Blob(value) => Ok(match Uuid::from_slice(value) {
                Ok(sixteen_bytes) => Self::Uuid(sixteen_bytes),
                Err(_) => Self::from(value),
            }),
            ValueRef::Real(_) => Err(rusqlite::types::FromSqlError::InvalidType),
        }
    }
}

/// One fetched row. Each accessor takes the value out of its position, so a
/// position is read once; what is not of the kind asked for is
/// [`StoreError::Corrupt`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(Vec<Value>);

impl From<Vec<Value>> for Row {
    fn from(values: Vec<Value>) -> Self {
        Self(values)
    }
}

impl From<Row> for Vec<Value> {
    fn from(row: Row) -> Self {
        row.0
    }
}

macro_rules! accessors {
    ($($name:ident, $optional:ident -> $type:ty {
        $($pattern:pat $(if $guard:expr)? => $result:expr,)*
    })*) => {
        $(
            #[doc = concat!("Takes the `", stringify!($type), "` at a position.\n\n# Errors\n\n",
                "[`StoreError::Corrupt`] when it is NULL, missing or something else.")]
            pub fn $name(&mut self, position: usize) -> Result<$type, StoreError> {
                self.$optional(position)?
                    .ok_or_else(|| StoreError::Corrupt(format!("column {position} is NULL")))
            }

            #[doc = concat!("Takes the `", stringify!($type), "` at a position, or `None` for NULL.",
                "\n\n# Errors\n\n[`StoreError::Corrupt`] when it is missing or something else.")]
            pub fn $optional(&mut self, position: usize) -> Result<Option<$type>, StoreError> {
                let value = match self.take(position)? {
                    Value::Null => return Ok(None),
                    $($pattern $(if $guard)? => $result,)*
                    _ => None,
                };
                value.map(Some).ok_or_else(|| {
                    StoreError::Corrupt(format!("column {position} is not {}", stringify!($name)))
                })
            }
        )*
    };
}

impl Row {
    accessors! {
        bool, optional_bool -> bool {
            Value::Bool(value) => Some(value),
            Value::Int(value @ (0 | 1)) => Some(value == 1),
        }
        int, optional_int -> i64 {
            Value::Int(value) => Some(value),
            // PostgreSQL adds bigints up to a numeric.
            Value::Amount(value) => i64::try_from(value).ok(),
        }
        text, optional_text -> String {
            Value::Text(value) => Some(value),
        }
        bytes, optional_bytes -> Vec<u8> {
            Value::Bytes(value) => Some(value),
            Value::Uuid(value) => Some(value.into_bytes().into()),
        }
        uuid, optional_uuid -> Uuid {
            Value::Uuid(value) => Some(value),
        }
        amount, optional_amount -> i128 {
            Value::Amount(value) => Some(value),
            Value::Uuid(value) => amount_from_blob(value.as_bytes()),
        }
    }

    /// The value at a position, left where it is.
    pub(crate) fn peek(&self, position: usize) -> Option<&Value> {
        self.0.get(position)
    }

    fn take(&mut self, position: usize) -> Result<Value, StoreError> {
        self.0
            .get_mut(position)
            .map(|value| std::mem::replace(value, Value::Null))
            .ok_or_else(|| StoreError::Corrupt(format!("the row has no column {position}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amount_blobs_sort_as_the_amounts_do() {
        let amounts = [
            i128::MIN,
            -(10_i128.pow(38) - 1),
            -1,
            0,
            1,
            255,
            256,
            i128::MAX,
        ];
        for pair in amounts.windows(2) {
            assert!(
                amount_to_blob(pair[0]) < amount_to_blob(pair[1]),
                "{pair:?}"
            );
        }
        for amount in amounts {
            assert_eq!(amount_from_blob(&amount_to_blob(amount)), Some(amount));
        }
        assert_eq!(amount_from_blob(&[0; 15]), None);
    }

    #[test]
    fn sixteen_bytes_read_as_whatever_is_asked_for() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        let bytes = amount_to_blob(-7);
        let read = || {
            let read = connection.query_row("SELECT ?", [bytes], |row| row.get::<_, Value>(0));
            Row::from(vec![read.unwrap()])
        };
        assert_eq!(read().bytes(0).unwrap(), bytes);
        assert_eq!(read().uuid(0).unwrap(), Uuid::from_bytes(bytes));
        assert_eq!(read().amount(0).unwrap(), -7);
    }

    #[test]
    fn accessors_refuse_what_is_something_else() {
        let mut row = Row::from(vec![
            Value::Int(2),
            Value::Null,
            Value::Bytes(vec![0; 15]),
            Value::from("x"),
        ]);
        assert!(matches!(row.clone().bool(0), Err(StoreError::Corrupt(_))));
        assert!(matches!(row.clone().int(1), Err(StoreError::Corrupt(_))));
        assert_eq!(row.clone().optional_int(1).unwrap(), None);
        assert!(matches!(row.clone().uuid(2), Err(StoreError::Corrupt(_))));
        assert!(matches!(row.clone().amount(2), Err(StoreError::Corrupt(_))));
        assert!(matches!(row.clone().text(4), Err(StoreError::Corrupt(_))));
        assert_eq!(row.text(3).unwrap(), "x");
    }
}
