//! The books beneath the network: what the ledger promises whoever uses it.

use ledger::{
    Account, Amount, AmountError, Balance, BookError, Currency, Entry, EntryNumber, Hold, HoldId,
    HoldPurpose, Posting, SignedAmount, Timestamp, balances_after, invariants,
};

use crate::network::*;

fn posting(from: ledger::Holding, to: ledger::Holding, units: i128) -> Posting {
    let amount = amount(units);
    Posting { from, to, amount }
}

/// Decisions §2: 1 to 38 digits, no leading zero, no fraction, no sign, and not zero.
#[test]
fn what_is_an_amount() {
    let largest = "9".repeat(38);
    let too_large = format!("1{}", "0".repeat(38));
    for (text, read) in [
        ("1", Ok(1)),
        (largest.as_str(), Ok(Amount::MAX.units())),
        (too_large.as_str(), Err(AmountError::TooLarge)),
        ("0", Err(AmountError::Zero)),
        ("007", Err(AmountError::Notation)),
        ("-7", Err(AmountError::Notation)),
        ("+7", Err(AmountError::Notation)),
        ("7.0", Err(AmountError::Notation)),
        ("", Err(AmountError::Notation)),
    ] {
        assert_eq!(text.parse::<Amount>().map(Amount::units), read, "{text:?}");
    }
    for units in [i128::MIN, i128::MAX, -Amount::MAX.units() - 1, 0] {
        assert!(
            Amount::new(units).is_err() && SignedAmount::new(units).is_err(),
            "{units}"
        );
    }
    let loss = SignedAmount::new(-Amount::MAX.units()).expect("an amount");
    assert_eq!((loss.magnitude(), loss.is_gain()), (Amount::MAX, false));
}

#[test]
fn a_currency_is_a_short_plain_ticker_whose_case_matters() {
    let longest = "x".repeat(64);
    for text in ["ofcbtc", "OFC:usd-2_x.y", longest.as_str()] {
        assert!(text.parse::<Currency>().is_ok(), "{text:?}");
    }
    let too_long = "x".repeat(65);
    for text in ["", "of btc", "ofc/btc", "ofcbtç", too_long.as_str()] {
        assert!(text.parse::<Currency>().is_err(), "{text:?}");
    }
    assert_ne!("OFCBTC".parse::<Currency>(), "ofcbtc".parse::<Currency>());
}

#[test]
fn every_short_bucket_of_an_entry_is_named() {
    let (alpha, beta) = (Who::Alpha.go(&btc()), Who::Beta.go(&btc()));
    let postings = [
        posting(alpha.available(), beta.available(), 5),
        posting(beta.held(), alpha.available(), 3),
    ];
    let has_one = |_: &Account| Balance {
        available: 1,
        held: 1,
    };
    let Err(BookError::Short(short)) = balances_after(&postings, has_one) else {
        panic!("it is short");
    };
    let told: Vec<_> = short
        .iter()
        .map(|s| (&s.holding, s.present, s.required()))
        .collect();
    assert_eq!(told, [(&alpha.available(), 1, 2), (&beta.held(), 1, 3)]);
}

#[test]
fn the_invariants_tell_sound_books_from_broken_ones() {
    let go = Who::Alpha.go(&btc());
    let custody = custody(&btc());
    let balance = |available, held| Balance { available, held };
    let hold = |units, open| Hold {
        id: HoldId(identifier(30, 1)),
        account: go.clone(),
        amount: amount(units),
        purpose: HoldPurpose::Withdrawal,
        open,
    };
    let check = |go_balance: Balance, custody_balance: Balance, holds: &[Hold]| {
        let balances = [(&go, &go_balance), (&custody, &custody_balance)];
        [
            invariants::value_is_conserved(balances).is_ok(),
            invariants::nothing_is_negative(balances).is_ok(),
            invariants::holds_explain_what_is_held(balances, holds).is_ok(),
        ]
    };
    let sound = [true, true, true];
    assert_eq!(
        check(balance(3, 2), balance(-5, 0), &[hold(2, true)]),
        sound
    );
    assert_eq!(
        check(balance(5, 0), balance(-5, 0), &[hold(2, false)]),
        sound
    );
    assert_eq!(check(balance(0, 0), balance(0, 0), &[]), sound);
    assert_eq!(
        check(balance(3, 2), balance(-4, 0), &[hold(2, true)]),
        [false, true, true]
    );
    assert_eq!(
        check(balance(-1, 0), balance(1, 0), &[]),
        [true, false, true]
    );
    assert_eq!(
        check(balance(5, 0), balance(-4, -1), &[]),
        [true, false, false]
    );
    assert_eq!(
        check(balance(3, 2), balance(-5, 0), &[hold(1, true)]),
        [true, true, false]
    );
    assert_eq!(
        check(balance(3, 2), balance(-5, 0), &[]),
        [true, true, false]
    );
    assert_eq!(
        check(balance(5, 0), balance(-5, 0), &[hold(2, true)]),
        [true, true, false]
    );
}

/// Whatever says what moved, why, when and in which place is covered by the hash chain.
#[test]
fn entries_that_differ_in_anything_differ_in_their_canonical_bytes() {
    let number = EntryNumber(1);
    let at = Timestamp(2);
    let (alpha, beta) = (Who::Alpha.go(&btc()), Who::Beta.go(&btc()));
    let entry = Entry {
        id: entry_id(1),
        cause: "deposit".into(),
        subject: identifier(31, 1),
        signed_request: Some(identifier(31, 2)),
        postings: vec![posting(alpha.available(), beta.available(), 5)],
    };
    let with = |change: &dyn Fn(&mut Entry)| {
        let mut other = entry.clone();
        change(&mut other);
        other.canonical_bytes(number, at)
    };
    let versions = [
        entry.canonical_bytes(number, at),
        entry.canonical_bytes(EntryNumber(2), at),
        entry.canonical_bytes(number, Timestamp(3)),
        with(&|e| e.id = entry_id(2)),
        with(&|e| e.cause = "deposi".into()),
        with(&|e| e.subject = identifier(31, 3)),
        with(&|e| e.signed_request = None),
        with(&|e| e.postings.clear()),
        with(&|e| e.postings[0].amount = amount(6)),
        with(&|e| e.postings[0].from = alpha.held()),
        with(&|e| e.postings[0].from = link(Who::Alpha, Who::Sync).net(&btc()).available()),
        with(&|e| e.postings[0].to = Who::Beta.go(&eth()).available()),
        with(&|e| {
            e.postings[0].from = Who::Alpha.go(&eth()).available();
            e.postings[0].to = Who::Beta.go(&eth()).available();
        }),
        with(&|e| {
            let posting = &mut e.postings[0];
            std::mem::swap(&mut posting.from, &mut posting.to);
        }),
    ];
    for (index, bytes) in versions.iter().enumerate() {
        for (other, others_bytes) in versions.iter().enumerate().skip(index + 1) {
            // The currency of a posting stands once: its sides never differ in it.
            let same_currency_twice = (index, other) == (0, 11);
            assert_eq!(
                bytes == others_bytes,
                same_currency_twice,
                "{index} and {other}"
            );
        }
    }
}

#[test]
fn time_stops_at_its_end_instead_of_running_backwards() {
    let last = Timestamp(i64::MAX);
    assert_eq!(last.plus_seconds(1), last);
    assert_eq!(Timestamp(0).plus_seconds(i64::MAX), last);
    assert_eq!(Timestamp(5).plus_millis(2), Timestamp(2_005));
}
