//! Amounts with their currencies, as clients and partners write them. Clients write base units;
//! whether a partner writes base units or full units is its configuration's business, so that what
//! partners send stays text here.

use std::fmt;

use ledger::{Amount, Currency};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use super::bounds;
use crate::body::Reader;

/// The longest quantity of a partner, in characters: 38 digits before the point and 40 after it
/// with the sign.
const PARTNER_QUANTITY_MAX: usize = 80;

/// An amount in a response: a currency and a quantity as text, in the spelling of whoever reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CurrencyAmount {
    /// The currency's name.
    #[schema(min_length = 1)]
    pub currency: String,
    /// How much.
    pub quantity: String,
}

/// An amount that a client sends: a ticker of the network and base units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ClientAmount {
    /// The ticker.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, min_length = 1)]
    pub currency: Currency,
    /// Base units: 1 to 38 digits without a leading zero.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String, min_length = 1)]
    pub quantity: Amount,
}

impl ClientAmount {
    /// Takes the amount out of a body, noting every fault.
    pub(crate) fn take(body: &Reader<'_>, name: &str) -> Option<Self> {
        let amount = body.object(name)?;
        let currency = amount.string("currency").and_then(|text| {
            let faulty = |_| {
                amount.fault(
                    "currency",
                    "must be 1 to 64 characters out of letters, digits and . : _ -",
                );
            };
            text.parse().map_err(faulty).ok()
        });
        let quantity = amount.string("quantity").and_then(|text| {
            let faulty = |error: ledger::AmountError| amount.fault("quantity", error.to_string());
            text.parse().map_err(faulty).ok()
        });
        Some(Self {
            currency: currency?,
            quantity: quantity?,
        })
    }
}

/// An amount that a partner sends: a currency in its own naming, and a quantity in base units or
/// full units, as its configuration says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartnerAmount {
    /// The partner's name for the currency.
    #[schema(min_length = 1)]
    pub currency: String,
    /// How much.
    pub quantity: PartnerQuantity,
}

impl PartnerAmount {
    /// Takes the amount, which must be positive, out of a body, noting every fault.
    pub(crate) fn take(body: &Reader<'_>, name: &str) -> Option<Self> {
        let amount = body.object(name)?;
        let currency = bounds::text(&amount, "currency");
        let quantity = amount.string("quantity").and_then(|text| {
            let quantity = PartnerQuantity::parse(&text);
            let quantity = quantity.and_then(|quantity| {
                if quantity.is_negative() {
                    Err(QuantityError::Negative)
                } else {
                    Ok(quantity)
                }
            });
            let faulty = |error: QuantityError| amount.fault("quantity", error.to_string());
            quantity.map_err(faulty).ok()
        });
        Some(Self {
            currency: currency?,
            quantity: quantity?,
        })
    }
}

/// An amount that a partner sends: a currency in its own naming, and a quantity with its sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedPartnerAmount {
    /// The partner's name for the currency.
    #[schema(min_length = 1)]
    pub currency: String,
    /// How much; never zero.
    pub quantity: PartnerQuantity,
}

impl SignedPartnerAmount {
    /// Takes the amount out of a body, noting every fault.
    pub(crate) fn take(body: &Reader<'_>, name: &str) -> Option<Self> {
        let amount = body.object(name)?;
        let currency = bounds::text(&amount, "currency");
        let quantity = amount.string("quantity").and_then(|text| {
            let faulty = |error: QuantityError| amount.fault("quantity", error.to_string());
            PartnerQuantity::parse(&text).map_err(faulty).ok()
        });
        Some(Self {
            currency: currency?,
            quantity: quantity?,
        })
    }
}

/// A quantity as a partner writes it: a sign if negative, digits without a leading zero, and if the
/// partner's configuration allows it a point and more digits. Never zero, at most 80 characters.
///
/// How many base units it is can only be told with the configuration and the currency's decimals.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String)]
pub struct PartnerQuantity(String);

/// Why a text is no quantity of a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a plain decimal number.
    #[error("must be a decimal number such as 100 or 0.25: digits, no leading zeros, no exponent")]
    Notation,
    /// More than 80 characters.
    #[error("must be at most 80 characters long")]
    TooLong,
    /// Zero, where an amount has to move something.
    #[error("must not be zero")]
    Zero,
    /// Below zero, where only a positive amount makes sense.
    #[error("must be positive")]
    Negative,
}

impl PartnerQuantity {
    /// Reads the notation.
    ///
    /// # Errors
    /// Any other notation, too many characters, zero.
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        if text.len() > PARTNER_QUANTITY_MAX {
            return Err(QuantityError::TooLong);
        }
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (unsigned, None),
        };
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if !digits(whole) || leading_zero || fraction.is_some_and(|part| !digits(part)) {
            return Err(QuantityError::Notation);
        }
        if unsigned.bytes().all(|b| matches!(b, b'0' | b'.')) {
            return Err(QuantityError::Zero);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text as it was sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it begins with a minus sign.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.0.starts_with('-')
    }
}

impl TryFrom<String> for PartnerQuantity {
    type Error = QuantityError;

    fn try_from(text: String) -> Result<Self, QuantityError> {
        Self::parse(&text)
    }
}

impl fmt::Display for PartnerQuantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Writes a value of the books as the text that it is on the wire.
fn as_text<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn partner_quantities_are_plain_decimals() {
        for text in ["1", "-400", "0.25", "-0.00000001", "10", "1.50"] {
            assert_eq!(PartnerQuantity::parse(text).unwrap().as_str(), text);
        }
        for text in [
            "", "-", "+1", "01", "-01", ".5", "5.", "1.2.3", "1e3", " 1", "1 ", "--1", "٣", "1,5",
            "0x1", "00",
        ] {
            let refused = PartnerQuantity::parse(text);
            assert_eq!(refused, Err(QuantityError::Notation), "{text:?}");
        }
        for text in ["0", "-0", "0.0", "-0.000"] {
            let refused = PartnerQuantity::parse(text);
            assert_eq!(refused, Err(QuantityError::Zero), "{text:?}");
        }
        assert!(PartnerQuantity::parse(&"9".repeat(80)).is_ok());
        let refused = PartnerQuantity::parse(&"9".repeat(81));
        assert_eq!(refused, Err(QuantityError::TooLong));
    }

    proptest! {
        #[test]
        fn what_the_books_write_is_a_partner_quantity(units in 1..=Amount::MAX.units(), decimals in 0_u8..=30) {
            let loss = ledger::SignedAmount::new(-units).unwrap();
            prop_assert!(PartnerQuantity::parse(&loss.to_string()).is_ok());
            prop_assert!(PartnerQuantity::parse(&loss.to_decimal(decimals)).is_ok());
        }
    }
}
