//! Amounts: base units of the network, full units of partners, and quantities whose notation is the
//! partner's. An input is two texts in two lines.

use ledger::{Amount, SignedAmount};
use wire::{api::quantity::PartnerQuantity, partner_call::CallAmount};

use crate::words::{lines, text};

pub(crate) fn hold(bytes: &[u8]) {
    let [one, other] = lines(bytes);
    let (Some(one), Some(other)) = (text(one), text(other)) else {
        return;
    };
    base_units_are_canonical(one);
    for decimals in 0..=40 {
        full_units_are_exact(one, decimals);
    }
    notations_agree(one);
    same_amounts_are_the_same_number(one, other);
}

/// Whatever is read as base units is written as it was read.
fn base_units_are_canonical(sent: &str) {
    let unsigned = sent.strip_prefix('-').unwrap_or(sent);
    let is_canonical = (1..=38).contains(&unsigned.len())
        && unsigned.bytes().all(|byte| byte.is_ascii_digit())
        && !unsigned.starts_with('0');
    let signed: Result<SignedAmount, _> = sent.parse();
    assert_eq!(signed.is_ok(), is_canonical);
    let amount: Result<Amount, _> = sent.parse();
    assert_eq!(amount.is_ok(), is_canonical && !sent.starts_with('-'));
    if let Ok(amount) = amount {
        assert_eq!(amount.to_string(), sent);
        assert_eq!(Amount::new(amount.units()), Ok(amount));
    }
    if let Ok(signed) = signed {
        assert_eq!(signed.to_string(), sent);
        assert_eq!(SignedAmount::new(signed.units()), Ok(signed));
        assert_eq!(signed.is_gain(), !sent.starts_with('-'));
    }
}

/// Full units are read to the last digit or not at all.
fn full_units_are_exact(sent: &str, decimals: u8) {
    let Ok(amount) = SignedAmount::from_decimal(sent, decimals) else {
        return;
    };
    let written = amount.to_decimal(decimals);
    assert_eq!(SignedAmount::from_decimal(&written, decimals), Ok(amount));
    assert_eq!(digits(sent, decimals), Some(amount.to_string()));
    assert_eq!(digits(&written, decimals), Some(amount.to_string()));
    let unsigned = Amount::from_decimal(sent, decimals).map(Amount::units);
    assert_eq!(unsigned.ok(), amount.is_gain().then_some(amount.units()));
}

/// The base units of a decimal number by moving its point, without any arithmetic.
fn digits(decimal: &str, decimals: u8) -> Option<String> {
    let (sign, unsigned) = match decimal.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", decimal),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut moved = whole.to_owned();
    let mut fraction = fraction.bytes();
    for _ in 0..decimals {
        moved.push(char::from(fraction.next().unwrap_or(b'0')));
    }
    let is_exact = fraction.all(|byte| byte == b'0');
    is_exact.then(|| format!("{sign}{}", moved.trim_start_matches('0')))
}

/// What a partner may write includes all that is read afterwards, and is taken as it stands.
fn notations_agree(sent: &str) {
    let quantity = PartnerQuantity::parse(sent);
    if let Ok(quantity) = &quantity {
        assert_eq!(quantity.as_str(), sent);
        assert_eq!(quantity.is_negative(), sent.starts_with('-'));
        assert!(sent.len() <= 80);
    }
    let is_read = sent.parse::<SignedAmount>().is_ok()
        || (0..=40).any(|decimals| SignedAmount::from_decimal(sent, decimals).is_ok());
    assert!(quantity.is_ok() || !is_read || sent.len() > 80);
}

/// Amounts that a partner repeats count as the same exactly if they are the same number.
fn same_amounts_are_the_same_number(one: &str, other: &str) {
    let amount = |quantity: &str| CallAmount {
        currency: "BTC".to_owned(),
        quantity: quantity.to_owned(),
    };
    let is_same = amount(one).is_same_as(&amount(other));
    assert_eq!(is_same, amount(other).is_same_as(&amount(one)));
    if PartnerQuantity::parse(one).is_ok() && PartnerQuantity::parse(other).is_ok() {
        assert_eq!(is_same, digits(one, 80) == digits(other, 80));
    } else if PartnerQuantity::parse(one).is_ok() {
        // What is no number is none of ours.
        assert!(!is_same, "{other:?} was taken for {one}");
    }
}
