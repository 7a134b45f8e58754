//! Amounts of money in integer base units.
//!
//! An amount says nothing of its currency: it always stands beside one. Decimal notation with a
//! point exists only at the edge that converts for partners who ask for it.

use std::{fmt, str::FromStr};

/// A positive number of base units: 1 to 10^38 − 1, the bounds of what the books hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(i128);

/// A non-zero number of base units with a sign, −(10^38 − 1) to 10^38 − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignedAmount(i128);

/// Why a text or a number is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Something other than digits, or a leading zero.
    #[error("must be an integer in base units: digits only, without leading zeros")]
    Notation,
    /// More than 38 digits.
    #[error("must have at most 38 digits")]
    TooLarge,
    /// Zero, where an amount has to move something.
    #[error("must not be zero")]
    Zero,
    /// Below zero, where only a positive amount makes sense.
    #[error("must be positive")]
    Negative,
    /// More fractional digits than the currency has.
    #[error("has more decimals than the currency")]
    TooPrecise,
}

impl Amount {
    /// The largest amount: 10^38 − 1.
    pub const MAX: Amount = Amount(10_i128.pow(38) - 1);

    /// An amount from a number of base units.
    pub fn new(units: i128) -> Result<Amount, AmountError> {
        match units {
            0 => Err(AmountError::Zero),
            i128::MIN..0 => Err(AmountError::Negative),
            _ if units > Amount::MAX.0 => Err(AmountError::TooLarge),
            _ => Ok(Amount(units)),
        }
    }

    /// The number of base units.
    pub fn units(self) -> i128 {
        self.0
    }

    /// Reads full units with at most `decimals` fractional digits, exactly (`"1.5"` with 8
    /// decimals is 150 000 000 base units).
    pub fn from_decimal(text: &str, decimals: u8) -> Result<Amount, AmountError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return Err(AmountError::Notation),
            None => (text, ""),
        };
        let digits_only = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits_only(whole) || !digits_only(fraction) {
            return Err(AmountError::Notation);
        }
        if whole.len() > 1 && whole.starts_with('0') {
            return Err(AmountError::Notation);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > usize::from(decimals) {
            return Err(AmountError::TooPrecise);
        }
        let padded = format!("{whole}{fraction:0<width$}", width = usize::from(decimals));
        match padded.trim_start_matches('0') {
            "" => Err(AmountError::Zero),
            digits => digits.parse(),
        }
    }

    /// Writes the amount in full units, without superfluous zeros.
    pub fn to_decimal(self, decimals: u8) -> String {
        units_to_decimal(self.0, decimals)
    }
}

/// Writes a number of base units, zero included, in full units without superfluous zeros.
pub(crate) fn units_to_decimal(units: i128, decimals: u8) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let decimals = usize::from(decimals);
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

impl FromStr for Amount {
    type Err = AmountError;

    /// Reads base units: 1 to 38 digits, no leading zero, no sign, no fraction.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(AmountError::Notation);
        }
        if text == "0" {
            return Err(AmountError::Zero);
        }
        if text.starts_with('0') {
            return Err(AmountError::Notation);
        }
        if text.len() > 38 {
            return Err(AmountError::TooLarge);
        }
        text.parse()
            .map_err(|_| AmountError::Notation)
            .and_then(Amount::new)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl SignedAmount {
    /// A signed amount from a number of base units.
    pub fn new(units: i128) -> Result<SignedAmount, AmountError> {
        match units {
            0 => Err(AmountError::Zero),
            _ if units.unsigned_abs() > Amount::MAX.0.unsigned_abs() => Err(AmountError::TooLarge),
            _ => Ok(SignedAmount(units)),
        }
    }

    /// The number of base units with its sign.
    pub fn units(self) -> i128 {
        self.0
    }

    /// Whether the amount is above zero.
    pub fn is_gain(self) -> bool {
        self.0 > 0
    }

    /// The amount without its sign.
    pub fn magnitude(self) -> Amount {
        Amount(self.0.abs())
    }

    /// Reads a minus sign, if any, and then full units as [`Amount::from_decimal`] does.
    pub fn from_decimal(text: &str, decimals: u8) -> Result<SignedAmount, AmountError> {
        match text.strip_prefix('-') {
            Some(rest) => Amount::from_decimal(rest, decimals).map(|a| SignedAmount(-a.0)),
            None => Amount::from_decimal(text, decimals).map(|a| SignedAmount(a.0)),
        }
    }

    /// Writes the amount in full units, without superfluous zeros.
    pub fn to_decimal(self, decimals: u8) -> String {
        units_to_decimal(self.0, decimals)
    }
}

impl FromStr for SignedAmount {
    type Err = AmountError;

    /// Reads a minus sign, if any, and then base units as [`Amount`] does.
    fn from_str(text: &str) -> Result<Self, AmountError> {
        match text.strip_prefix('-') {
            Some(rest) => rest.parse().map(|a: Amount| SignedAmount(-a.0)),
            None => text.parse().map(|a: Amount| SignedAmount(a.0)),
        }
    }
}

impl fmt::Display for SignedAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn base_units_are_plain_digits() {
        let parse = |text: &str| text.parse::<Amount>();
        assert_eq!(parse("1").map(Amount::units), Ok(1));
        let largest = "9".repeat(38);
        assert_eq!(parse(&largest), Ok(Amount::MAX));
        assert_eq!(
            parse(&format!("1{}", "0".repeat(38))),
            Err(AmountError::TooLarge)
        );
        assert_eq!(parse("0"), Err(AmountError::Zero));
        for text in [
            "", "01", "00", "-1", "+1", "1.0", "1e3", " 1", "1 ", "٣", "0x1",
        ] {
            assert_eq!(parse(text), Err(AmountError::Notation), "{text:?}");
        }
    }

    #[test]
    fn signed_base_units_take_a_minus_sign_only() {
        assert_eq!(
            "-400".parse::<SignedAmount>().map(SignedAmount::units),
            Ok(-400)
        );
        assert_eq!(
            "400".parse::<SignedAmount>().map(SignedAmount::units),
            Ok(400)
        );
        for text in ["+1", "--1", "- 1", "-0", "-01", "-"] {
            assert!(text.parse::<SignedAmount>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        let read = |text| Amount::from_decimal(text, 8).map(Amount::units);
        assert_eq!(read("1.5"), Ok(150_000_000));
        assert_eq!(read("0.00000001"), Ok(1));
        assert_eq!(read("0.000000010"), Ok(1));
        assert_eq!(read("0.000000001"), Err(AmountError::TooPrecise));
        assert_eq!(read("0.0"), Err(AmountError::Zero));
        for text in ["", ".", "1.", ".5", "01.5", "1.5.5", "-1", "1,5", "1e2"] {
            assert_eq!(read(text), Err(AmountError::Notation), "{text:?}");
        }
        assert_eq!(Amount::from_decimal("7", 0).map(Amount::units), Ok(7));
        assert_eq!(read(&"9".repeat(31)), Err(AmountError::TooLarge));
    }

    proptest! {
        #[test]
        fn text_round_trips(units in 1..=Amount::MAX.0, decimals in 0_u8..=30) {
            let amount = Amount::new(units).unwrap();
            prop_assert_eq!(amount.to_string().parse(), Ok(amount));
            prop_assert_eq!(Amount::from_decimal(&amount.to_decimal(decimals), decimals), Ok(amount));
            let loss = SignedAmount::new(-units).unwrap();
            prop_assert_eq!(loss.to_string().parse(), Ok(loss));
            prop_assert_eq!(SignedAmount::from_decimal(&loss.to_decimal(decimals), decimals), Ok(loss));
        }
    }
}
