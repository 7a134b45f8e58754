//! Amounts in the binary format of NUMERIC.
//!
//! Four 16-bit words, big-endian: the count of digits, the weight of the first
//! one, the sign, the digits behind the point that are shown. Then the digits,
//! to the base of 10,000, most significant first; the value of digit i is
//! digit × 10,000^(weight − i). Zeros at the end are left out.

const BASE: u128 = 10_000;
const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;

/// The number in base 10,000 needs at most this many digits: `i128` has 39 decimal ones.
const DIGITS_MAX: usize = 10;

/// Why bytes are not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAnAmount {
    /// Cut short or too long.
    #[error("the numeric is malformed")]
    Malformed,
    /// It has a fraction, or is infinite or not a number.
    #[error("the numeric is not a whole number")]
    Fractional,
    /// It needs more than 128 bits.
    #[error("the numeric is too large")]
    TooLarge,
}

pub(super) fn encode(amount: i128) -> Vec<u8> {
    // The digits from the least significant up.
    let mut digits = [0_u16; DIGITS_MAX];
    let mut count: u16 = 0;
    let mut zeros: u16 = 0;
    let mut rest = amount.unsigned_abs();
    for digit in &mut digits {
        if rest == 0 {
            break;
        }
        // A remainder of 10,000 fits.
        *digit = u16::try_from(rest % BASE).unwrap_or_default();
        if *digit == 0 && zeros == count {
            zeros += 1;
        }
        count += 1;
        rest /= BASE;
    }
    let sign = if amount < 0 { NEGATIVE } else { POSITIVE };
    let mut bytes = Vec::with_capacity(8 + 2 * DIGITS_MAX);
    for word in [count - zeros, count.saturating_sub(1), sign, 0] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    for digit in digits[usize::from(zeros)..usize::from(count)].iter().rev() {
        bytes.extend_from_slice(&digit.to_be_bytes());
    }
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Result<i128, NotAnAmount> {
    let (words, rest) = bytes.as_chunks::<2>();
    let [count, weight, sign, _scale, digits @ ..] = words else {
        return Err(NotAnAmount::Malformed);
    };
    if !rest.is_empty() || digits.len() != usize::from(u16::from_be_bytes(*count)) {
        return Err(NotAnAmount::Malformed);
    }
    let negative = match u16::from_be_bytes(*sign) {
        POSITIVE => false,
        NEGATIVE => true,
        _ => return Err(NotAnAmount::Fractional),
    };
    let weight = i32::from(i16::from_be_bytes(*weight));
    let mut amount: i128 = 0;
    for (digit, position) in digits.iter().zip(0..) {
        let digit = i128::from(u16::from_be_bytes(*digit));
        if digit == 0 {
            continue;
        }
        let exponent = u32::try_from(weight - position).map_err(|_| NotAnAmount::Fractional)?;
        // Towards the sign, so that the smallest number is in reach.
        amount = 10_000_i128
            .checked_pow(exponent)
            .and_then(|unit| unit.checked_mul(if negative { -digit } else { digit }))
            .and_then(|part| amount.checked_add(part))
            .ok_or(NotAnAmount::TooLarge)?;
    }
    Ok(amount)
}

#[cfg(test)]
pub(in crate::sql) mod tests {
    use super::*;

    /// The edges, every power of ten with its neighbours, and numbers of every
    /// size from a fixed sequence, each with both signs.
    pub(in crate::sql) fn samples() -> Vec<i128> {
        let mut samples = vec![0, i128::MAX, i128::MIN, i128::MIN + 1];
        for exponent in 0..39 {
            let power = 10_i128.pow(exponent);
            samples.extend([power - 1, power, power + 1]);
        }
        let mut state: u128 = 0x9E37_79B9_7F4A_7C15;
        for shift in (0..127).cycle().take(2_000) {
            state = state
                .wrapping_mul(0xDA94_2042_E4DD_58B5_A72E_3A9B_0F1C_6D2D)
                .wrapping_add(0x1234_5677);
            let number = (state ^ (state >> 64)) >> 1 >> shift;
            samples.push(number.cast_signed());
        }
        let negated: Vec<_> = samples
            .iter()
            .filter_map(|sample| sample.checked_neg())
            .collect();
        samples.extend(negated);
        samples
    }

    #[test]
    fn every_sample_survives_the_round_trip() {
        for sample in samples() {
            assert_eq!(decode(&encode(sample)), Ok(sample));
        }
    }

    #[test]
    fn known_encodings() {
        assert_eq!(encode(0), [0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(encode(-10_000), [0, 1, 0, 1, 0x40, 0, 0, 0, 0, 1]);
        assert_eq!(encode(10_001), [0, 2, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1]);
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for (bytes, expected) in [
            (&[0, 1][..], NotAnAmount::Malformed),
            (&[0, 2, 0, 0, 0, 0, 0, 0, 0, 1], NotAnAmount::Malformed),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 1], NotAnAmount::Malformed),
            // Not a number; a half; 10^40.
            (&[0, 0, 0, 0, 0xC0, 0, 0, 0], NotAnAmount::Fractional),
            (
                &[0, 1, 0xFF, 0xFF, 0, 0, 0, 1, 0x13, 0x88],
                NotAnAmount::Fractional,
            ),
            (&[0, 1, 0, 10, 0, 0, 0, 0, 0, 1], NotAnAmount::TooLarge),
        ] {
            assert_eq!(decode(bytes), Err(expected), "{bytes:?}");
        }
        // A fraction of zeros is whole.
        assert_eq!(decode(&[0, 2, 0, 0, 0, 0, 0, 2, 0, 7, 0, 0]), Ok(7));
    }
}
