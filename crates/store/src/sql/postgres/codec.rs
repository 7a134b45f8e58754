//! Values in PostgreSQL's binary format.

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, WrongType, to_sql_checked};
use tokio_postgres::{Error, Row};
use uuid::Uuid;

use super::numeric;
use crate::sql::value;
use crate::sql::value::Value;

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Bool(value) => value.to_sql_checked(ty, out),
            Self::Int(value) => value.to_sql_checked(ty, out),
            Self::Text(value) => value.to_sql_checked(ty, out),
            Self::Bytes(value) => value.to_sql_checked(ty, out),
            Self::Uuid(value) => value.to_sql_checked(ty, out),
            Self::Amount(value) if *ty == Type::NUMERIC => {
                out.extend_from_slice(&numeric::encode(*value));
                Ok(IsNull::No)
            }
            Self::Amount(_) => Err(WrongType::new::<i128>(ty.clone()).into()),
        }
    }

    /// Each value checks for itself when it is encoded.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(match *ty {
            Type::BOOL => Self::Bool(bool::from_sql(ty, raw)?),
            Type::INT8 => Self::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Self::Int(i32::from_sql(ty, raw)?.into()),
            Type::BYTEA => Self::from(<&[u8]>::from_sql(ty, raw)?),
            Type::UUID => Self::Uuid(Uuid::from_sql(ty, raw)?),
            // What is no amount must not make the rest of the answer unreadable: whoever asks
            // for an amount there finds this text instead.
            Type::NUMERIC => match numeric::decode(raw) {
                Ok(amount) => Self::Amount(amount),
                Err(error) => Self::Text(error.to_string()),
            },
            _ => Self::Text(String::from_sql(ty, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(
            *ty,
            Type::BOOL | Type::INT8 | Type::INT4 | Type::BYTEA | Type::UUID | Type::NUMERIC
        ) || <String as FromSql>::accepts(ty)
    }
}

/// All values of a row.
pub(super) fn decode(row: &Row) -> Result<value::Row, Error> {
    let values: Result<Vec<Value>, _> = (0..row.len()).map(|index| row.try_get(index)).collect();
    values.map(value::Row::from)
}
