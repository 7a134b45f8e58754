use proptest::prelude::*;

use super::*;
use crate::body::Fault;

const A: &str = "6f1b4c0e-6f0a-4d2c-9d52-0a4f3a9a1c01";
const B: &str = "6f1b4c0e-6f0a-4d2c-9d52-0a4f3a9a1c02";

fn read(amounts: &str) -> Result<SettlementAmounts, Vec<Fault>> {
    let json = Json::parse(format!(r#"{{"amounts":{amounts}}}"#).as_bytes()).unwrap();
    let body = Reader::new(&json).unwrap();
    let amounts = SettlementAmounts::take(&body, "amounts", 1);
    body.finish(|| amounts)
}

fn faults(amounts: &str) -> Vec<String> {
    let faults = read(amounts).err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn the_depth_tells_the_form_and_the_order_is_canonical() {
    let party = format!(r#"{{"{B}":{{"XRP":"300","BTC":"-400"}},"{A}":{{"BTC":"0.5"}}}}"#);
    let party = read(&party).unwrap();
    assert_eq!(party.count(), 3);
    assert_eq!(
        serde_json::to_string(&party).unwrap(),
        format!(r#"{{"{A}":{{"BTC":"0.5"}},"{B}":{{"BTC":"-400","XRP":"300"}}}}"#)
    );
    let SettlementAmounts::Party(amounts) = party else {
        panic!("not the party form");
    };
    let listed: Vec<_> = amounts
        .iter()
        .map(|a| {
            (
                a.connection_id.to_string(),
                a.currency.as_str(),
                a.quantity.as_str(),
            )
        })
        .collect();
    let expected = [(A, "BTC", "0.5"), (B, "BTC", "-400"), (B, "XRP", "300")];
    assert_eq!(
        listed,
        expected.map(|(id, currency, quantity)| (id.to_owned(), currency, quantity))
    );

    let pair =
        format!(r#"{{"{B}":{{"{A}":{{"XRP":"1"}}}},"{A}":{{"{B}":{{"XRP":"2","BTC":"3"}}}}}}"#);
    let pair = read(&pair).unwrap();
    assert!(matches!(pair, SettlementAmounts::Pair(_)));
    assert_eq!(
        serde_json::to_string(&pair).unwrap(),
        format!(r#"{{"{A}":{{"{B}":{{"BTC":"3","XRP":"2"}}}},"{B}":{{"{A}":{{"XRP":"1"}}}}}}"#)
    );
}

#[test]
fn every_fault_is_named_at_once() {
    let amounts = format!(
        r#"{{"x":{{"BTC":"1"}},"{A}":{{"BTC":"0","ETH":1,"XRP":"1e2","":"1"}},"{B}":{{}},"6f1b4c0e-6f0a-4d2c-9d52-0a4f3a9a1c03":"1"}}"#
    );
    assert_eq!(
        faults(&amounts),
        [
            "amounts.x must have the UUID of a connection as its name".to_owned(),
            format!("amounts.{A}.BTC must not be zero"),
            format!("amounts.{A}.ETH must be a string with a decimal number"),
            format!("amounts.{A}.XRP must be a decimal number such as 100 or 0.25: digits, no leading zeros, no exponent"),
            format!("amounts.{A}. must have a currency of 1 to 512 bytes as its name"),
            format!("amounts.{B} must be an object with at least one member"),
            "amounts.6f1b4c0e-6f0a-4d2c-9d52-0a4f3a9a1c03 must be an object with at least one member".to_owned(),
        ]
    );
    let pairs = format!(r#"{{"{A}":{{"{B}":{{}},"y":{{"BTC":"1"}},"{A}":{{"BTC":"1"}}}}}}"#);
    assert_eq!(
        faults(&pairs),
        [
            format!("amounts.{A}.{B} must be an object with at least one member"),
            format!("amounts.{A}.y must have the UUID of a connection as its name"),
            format!("amounts.{A}.{A} must not be the source itself"),
        ]
    );
}

#[test]
fn faults_of_the_whole() {
    let upper = A.to_uppercase();
    for (amounts, said) in [
        ("{}".to_owned(), "amounts must hold at least one amount"),
        ("[]".to_owned(), "amounts must be an object"),
        (
            format!(r#"{{"{A}":{{"BTC":"1"}},"{B}":{{"{A}":{{"BTC":"1"}}}}}}"#),
            "amounts must not mix amounts of single connections with amounts between two",
        ),
        (
            format!(r#"{{"{A}":{{"BTC":"1"}},"{upper}":{{"BTC":"-1"}}}}"#),
            "amounts names the same connections and currency twice",
        ),
        (
            format!(r#"{{"{B}":{{"{A}":{{"BTC":"1"}},"{upper}":{{"BTC":"-1"}}}}}}"#),
            "amounts names the same connections and currency twice",
        ),
    ] {
        assert_eq!(faults(&amounts), [said]);
    }
}

#[test]
fn faults_beyond_a_hundred_are_counted() {
    let currencies: Vec<String> = (0..250).map(|n| format!(r#""C{n}":"0""#)).collect();
    let faults = faults(&format!(r#"{{"{A}":{{{}}}}}"#, currencies.join(",")));
    assert_eq!(faults.len(), 101);
    assert_eq!(faults[100], "there are 150 more faults");
}

/// A settlement of `count` amounts over connections of ten currencies each.
fn large(count: u128) -> String {
    let connection = |outer: u128| {
        let amounts: Vec<String> = (0..10.min(count - outer * 10))
            .map(|n| format!(r#""C{n}":"{}""#, n + 1))
            .collect();
        format!(
            r#""{}":{{{}}}"#,
            Uuid::from_u128(outer + 1),
            amounts.join(",")
        )
    };
    let connections: Vec<String> = (0..count.div_ceil(10)).map(connection).collect();
    format!("{{{}}}", connections.join(","))
}

#[test]
fn fifty_thousand_amounts_and_no_more() {
    assert_eq!(read(&large(50_000)).unwrap().count(), 50_000);
    assert_eq!(
        faults(&large(50_001)),
        ["amounts must hold at most 50000 amounts"]
    );
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(
        amounts in prop::collection::btree_map((1_u128..5, 5_u128..9, "[A-C]"), 1_i64..1_000, 1..12),
        pair: bool,
    ) {
        let quantity = |units: i64| PartnerQuantity::parse(&units.to_string()).unwrap();
        let mut party: Vec<PartyAmount> = Vec::new();
        let mut pairs: Vec<PairAmount> = Vec::new();
        for ((source, destination, currency), units) in amounts {
            let (source, destination) = (Uuid::from_u128(source), Uuid::from_u128(destination));
            if !party.iter().any(|own| own.connection_id == source && own.currency == currency) {
                party.push(PartyAmount { connection_id: source, currency: currency.clone(), quantity: quantity(units) });
            }
            pairs.push(PairAmount { source_connection_id: source, destination_connection_id: destination, currency, quantity: quantity(-units) });
        }
        party.sort();
        let amounts = if pair { SettlementAmounts::Pair(pairs) } else { SettlementAmounts::Party(party) };
        prop_assert_eq!(read(&serde_json::to_string(&amounts).unwrap()), Ok(amounts));
    }
}
