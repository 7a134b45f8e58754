use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::schema::{KnownFormat, Schema, SchemaFormat, Type};
use utoipa::openapi::{ObjectBuilder, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// A point in time on the wire: microseconds since 1970, written as an RFC 3339 text in UTC with
/// milliseconds (`2026-11-23T01:02:03.456Z`; finer digits are cut off), read with any offset.
///
/// Beyond the years −9999 to 9999 the nearest time within them is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime(pub i64);

impl From<ledger::Timestamp> for DateTime {
    fn from(time: ledger::Timestamp) -> Self {
        Self(time.0)
    }
}

impl From<DateTime> for ledger::Timestamp {
    fn from(time: DateTime) -> Self {
        Self(time.0)
    }
}

impl DateTime {
    /// The same time, or the nearest that can be written.
    pub(crate) fn nearest(self) -> jiff::Timestamp {
        let second = self.0.div_euclid(1_000_000);
        let nanosecond = i32::try_from(self.0.rem_euclid(1_000_000) * 1_000).unwrap_or_default();
        let (first, last) = (jiff::Timestamp::MIN, jiff::Timestamp::MAX);
        let nearest = if second < 0 { first } else { last };
        jiff::Timestamp::new(second, nanosecond).unwrap_or(nearest)
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Towards the past, before 1970 too, so that a text never names a later time than the value.
        let whole = Self(self.0.saturating_sub(self.0.rem_euclid(1_000)));
        write!(f, "{:.3}", whole.nearest())
    }
}

impl Serialize for DateTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DateTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(de::Error::custom)?;
        Ok(Self(time.as_microsecond()))
    }
}

impl PartialSchema for DateTime {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .into()
    }
}

impl ToSchema for DateTime {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_written_with_milliseconds() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_795_395_723_456_789, "2026-11-23T01:02:03.456Z"),
            (1_795_395_723_000_000, "2026-11-23T01:02:03.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            // Within the last second that can be written at all.
            (253_402_207_200_902_735, "9999-12-30T22:00:00.902Z"),
        ] {
            assert_eq!(serde_json::to_value(DateTime(micros)).unwrap(), text);
        }
        assert!(DateTime(i64::MAX).to_string().starts_with("9999-12-30T"));
    }

    #[test]
    fn times_are_read_with_any_offset() {
        let read = |text: &str| serde_json::from_value::<DateTime>(text.into());
        let time = DateTime(1_795_395_723_456_000);
        assert_eq!(read("2026-11-23T01:02:03.456Z").unwrap(), time);
        assert_eq!(read("2026-11-23T02:02:03.456+01:00").unwrap(), time);
        assert!(read("2026-11-23").is_err());
    }

    proptest! {
        #[test]
        fn what_was_written_reads_the_same(millis in -60_000_000_000_000_i64..200_000_000_000_000) {
            let time = DateTime(millis * 1_000);
            let text = serde_json::to_string(&time).unwrap();
            prop_assert_eq!(serde_json::from_str::<DateTime>(&text).unwrap(), time);
        }
    }
}
