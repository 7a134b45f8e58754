use std::collections::BTreeSet;

use proptest::prelude::*;
use utoipa::IntoParams;

use super::*;
use crate::api::allocations::{ClientAllocationsFilter, PartnerAllocationsFilter};
use crate::api::balances::{ClientBalancesFilter, PartnerBalancesFilter};
use crate::api::connections::{ClientConnectionsFilter, PartnerConnectionsFilter};
use crate::api::currencies::SupportedCurrenciesFilter;
use crate::api::partners::PartnersFilter;
use crate::api::settlements::{
    ClientSettlementFilter, ClientSettlementsFilter, PartnerSettlementFilter,
    PartnerSettlementsFilter, SettlementTransfersFilter,
};

const A: &str = "6f1b4c0e-6f0a-4d2c-9d52-0a4f3a9a1c01";
const B: &str = "6f1b4c0e-6f0a-4d2c-9d52-0a4f3a9a1c02";

fn filters(query: &str, body: &str) -> Filters {
    let query = (!query.is_empty()).then_some(query);
    Filters::new(query, body.as_bytes()).unwrap()
}

/// What a reading answers, with its faults as texts.
fn read<T>(query: &str, body: &str, read: impl Fn(&Filters) -> T) -> Result<T, Vec<String>> {
    let filters = filters(query, body);
    let value = read(&filters);
    let texts = |faults: Vec<Fault>| faults.iter().map(ToString::to_string).collect();
    filters.finish(value).map_err(texts)
}

fn uuids(texts: &[&str]) -> Option<Vec<Uuid>> {
    Some(texts.iter().map(|text| text.parse().unwrap()).collect())
}

#[test]
fn ids_come_from_the_query_and_from_the_body() {
    let ids = |query: &str, body: &str| read(query, body, |filters| filters.uuids("ids")).unwrap();
    for (query, body) in [
        (format!("ids={A},{B}"), String::new()),
        (format!("ids={A}%2C{B}"), String::new()),
        (format!("ids={A}&ids={B}"), String::new()),
        (format!("ids[]={A}&ids%5B%5D={B}"), String::new()),
        (String::new(), format!(r#"{{"ids":["{A}","{B}"]}}"#)),
        (String::new(), format!(r#"{{"ids":["{A}",null,"{B}"]}}"#)),
        (String::new(), format!(r#"{{"ids":"{A},{B}"}}"#)),
        // The query wins, and takes nothing away from other members.
        (format!("ids={A},{B}&x=1"), r#"{"ids":["z"]}"#.to_owned()),
    ] {
        assert_eq!(ids(&query, &body), uuids(&[A, B]), "{query} {body}");
    }
    assert_eq!(ids("", &format!(r#"{{"ids":"{A}"}}"#)), uuids(&[A]));
    assert_eq!(ids("x=1", &format!(r#"{{"ids":["{A}"]}}"#)), uuids(&[A]));
}

#[test]
fn empty_lists_are_no_filter() {
    for (query, body) in [
        ("", ""),
        ("", "{}"),
        ("ids=", ""),
        ("ids", ""),
        ("ids=&ids=", ""),
        ("", r#"{"ids":[]}"#),
        ("", r#"{"ids":[null]}"#),
        ("", r#"{"ids":null}"#),
        ("", r#"{"ids":""}"#),
    ] {
        let ids = read(query, body, |filters| filters.uuids("ids"));
        assert_eq!(ids, Ok(None), "{query} {body}");
        let names = read(query, body, |filters| filters.names("ids"));
        assert_eq!(names, Ok(None), "{query} {body}");
        let single = read(query, body, |filters| filters.boolean("ids"));
        assert_eq!(single, Ok(None), "{query} {body}");
    }
}

#[test]
fn commas_alone_are_an_empty_list_of_ids() {
    assert_eq!(read("ids=,", "", |filters| filters.uuids("ids")), Ok(None));
    let names = read("names=,", "", |filters| filters.names("names"));
    assert_eq!(names, Ok(Some(vec![",".to_owned()])));
}

#[test]
fn commas_never_split_names() {
    let names = |query: &str, body: &str| read(query, body, |filters| filters.names("names"));
    let list = |texts: &[&str]| Ok(Some(texts.iter().map(|text| (*text).to_owned()).collect()));
    assert_eq!(names("names=Smith,+Ltd.", ""), list(&["Smith, Ltd."]));
    assert_eq!(names("names=a&names[]=b,c", ""), list(&["a", "b,c"]));
    assert_eq!(names("", r#"{"names":"a,b"}"#), list(&["a,b"]));
    assert_eq!(names("", r#"{"names":["a,b","c"]}"#), list(&["a,b", "c"]));
    // Ids of others are split where a text stands by itself, and whole in an array.
    let ids = |query: &str, body: &str| read(query, body, |filters| filters.identifiers("ids"));
    assert_eq!(ids("ids=a,+b", ""), list(&["a", "b"]));
    assert_eq!(ids("", r#"{"ids":["a,b"]}"#), list(&["a,b"]));
    let currencies = read("c=BTC,ETH", "", |filters| filters.currencies("c"));
    assert_eq!(currencies, list(&["BTC", "ETH"]));
}

#[test]
fn go_accounts_have_two_spellings() {
    let hex = A.replace('-', "");
    let accounts = read(&format!("a={A},{hex}"), "", |filters| {
        filters.go_accounts("a")
    });
    let account = GoAccountId(A.parse().unwrap());
    assert_eq!(accounts, Ok(Some(vec![account, account])));
}

#[test]
fn single_values_are_texts_or_json_scalars() {
    for (query, body) in [
        (
            "on=true&at=2026-01-31T12:00:00.5Z&pageNumber=3&pageSize=500&dir=DESC",
            "",
        ),
        (
            "",
            r#"{"on":true,"at":"2026-01-31T13:00:00.5+01:00","pageNumber":3,"pageSize":500,"dir":"DESC"}"#,
        ),
        (
            "pageSize=500",
            r#"{"on":"true","at":"2026-01-31T12:00:00.5Z","pageNumber":"3","pageSize":7,"dir":["DESC"]}"#,
        ),
    ] {
        let all = read(query, body, |filters| {
            let direction = filters.sort_direction("dir");
            let at = filters.date_time("at");
            (filters.boolean("on"), at, filters.page(), direction)
        });
        let at = DateTime(1_769_860_800_500_000);
        let page = Page {
            number: 3,
            size: 500,
        };
        let expected = (Some(true), Some(at), page, Some(SortDirection::Descending));
        assert_eq!(all, Ok(expected), "{query} {body}");
    }
    assert_eq!(
        read("", "", Filters::page),
        Ok(Page {
            number: 0,
            size: 100
        })
    );
}

#[test]
fn every_fault_is_named_at_once() {
    let sent = filters(
        "ids=x&kinds=a,c&on=yes&at=2026-01-31&pageNumber=-1&pageSize=501&dir=asc&twice=true&twice=true",
        r#"{"names":[{}],"accounts":[[]],"more":{"a":1}}"#,
    );
    assert_eq!(sent.uuids("ids"), None);
    assert_eq!(sent.choices("kinds", &[("a", 1), ("b", 2)]), None);
    assert_eq!(sent.boolean("on"), None);
    assert_eq!(sent.date_time("at"), None);
    assert_eq!(sent.page(), Page::default());
    assert_eq!(sent.sort_direction("dir"), None);
    assert_eq!(sent.boolean("twice"), None);
    assert_eq!(sent.names("names"), None);
    assert_eq!(sent.go_accounts("accounts"), None);
    assert_eq!(sent.boolean("more"), None);
    let faults: Vec<String> = sent
        .finish(())
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        faults,
        [
            "ids must be a list of UUIDs",
            "kinds must be a list out of: a, b",
            "on must be true or false, given once",
            "at must be a date-time with an offset, such as 2026-01-31T12:00:00Z, given once",
            "pageNumber must be a whole number from 0 to 9007199254740991, given once",
            "pageSize must be a whole number from 1 to 500, given once",
            "dir must be one of: ASC, DESC, given once",
            "twice must be true or false, given once",
            "names must be a list of texts",
            "accounts must be a list of account ids (32 hexadecimal digits, or UUIDs)",
            "more must be true or false, given once",
        ]
    );
}

#[test]
fn pages_have_bounds() {
    for (size, good) in [
        ("0", false),
        ("1", true),
        ("500", true),
        ("501", false),
        ("+5", false),
        ("1.0", false),
    ] {
        let page = read("", &format!(r#"{{"pageSize":"{size}"}}"#), Filters::page);
        assert_eq!(page.is_ok(), good, "{size}");
    }
    let last = read(
        "pageNumber=9007199254740991&pageSize=500",
        "",
        Filters::page,
    )
    .unwrap();
    assert!(i64::try_from(last.offset()).is_ok());
    assert!(read("pageNumber=9007199254740992", "", Filters::page).is_err());
}

#[test]
fn long_lists_are_refused() {
    let list = |entries: usize| {
        read(&format!("n={}", "a,".repeat(entries)), "", |filters| {
            filters.currencies("n")
        })
    };
    assert!(list(ENTRIES_MAX).is_ok());
    assert_eq!(
        list(ENTRIES_MAX + 1),
        Err(vec!["n must have at most 1000 entries".to_owned()])
    );
}

#[test]
fn what_cannot_be_read_is_refused() {
    let faults = |query: &str, body: &[u8]| {
        let faults = Filters::new(Some(query), body).unwrap_err();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        faults("a=%zz&b=%f&c=%ff&d=ok", b"[]"),
        [
            "a must be percent-encoded UTF-8 without NUL characters",
            "b must be percent-encoded UTF-8 without NUL characters",
            "c must be percent-encoded UTF-8 without NUL characters",
            "the body must be a JSON object",
        ]
    );
    assert_eq!(
        faults("a=x%00y", b""),
        ["a must be percent-encoded UTF-8 without NUL characters"]
    );
    assert_eq!(faults("", b"{\"a\":1,\"a\":1}"), ["a occurs twice"]);
    assert_eq!(faults("", b"{").len(), 1);
}

type Pairs = Vec<(&'static str, String)>;

/// One filter type as the tests see it.
struct Known {
    names: Vec<String>,
    read: fn(Filters) -> Result<Pairs, Vec<Fault>>,
}

macro_rules! known {
    ($($filter:ty),+ $(,)?) => {
        vec![$(Known {
            names: <$filter>::into_params(|| None).into_iter().map(|parameter| parameter.name).collect(),
            read: |sent| <$filter>::read(sent).map(|filter| filter.pairs()),
        }),+]
    };
}

fn all_known() -> Vec<Known> {
    known![
        ClientAllocationsFilter,
        ClientBalancesFilter,
        ClientConnectionsFilter,
        ClientSettlementFilter,
        ClientSettlementsFilter,
        PartnerAllocationsFilter,
        PartnerBalancesFilter,
        PartnerConnectionsFilter,
        PartnerSettlementFilter,
        PartnerSettlementsFilter,
        PartnersFilter,
        SettlementTransfersFilter,
        SupportedCurrenciesFilter,
    ]
}

#[test]
fn every_described_filter_is_read_and_no_other() {
    for known in all_known() {
        // Nothing that a filter takes is an object, so each that is read leaves a fault.
        let members = known
            .names
            .iter()
            .map(String::as_str)
            .chain(["unknown"])
            .map(|name| format!(r#""{name}":{{}}"#));
        let body = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
        let faults = (known.read)(filters("", &body)).unwrap_err();
        let read: BTreeSet<String> = faults.into_iter().map(|fault| fault.field).collect();
        assert_eq!(read, known.names.into_iter().collect());
    }
}

#[test]
fn only_the_partners_of_currencies_are_required() {
    for known in all_known() {
        let required = known.names == ["partnerIds"];
        assert_eq!(
            (known.read)(filters("", "")).is_err(),
            required,
            "{:?}",
            known.names
        );
    }
    let faults =
        SupportedCurrenciesFilter::read(filters("", r#"{"partnerIds":[null]}"#)).unwrap_err();
    assert_eq!(faults[0].to_string(), "partnerIds is required");
}

#[test]
fn a_filter_is_read_back_from_its_own_query() {
    let query = format!(
        "allocationIds={A}&allocationIds={B}&types=deallocation&statuses=cleared&statuses=reserved&currencies=ofcbtc\
         &createdOnOrAfter=2026-01-31T12:00:00.000Z&sortField=quantity&sortDirection=DESC&pageNumber=2&pageSize=5"
    );
    let pairs = ClientAllocationsFilter::read(filters(&query, ""))
        .unwrap()
        .pairs();
    let written: Vec<String> = pairs
        .iter()
        .map(|(name, text)| format!("{name}={text}"))
        .collect();
    assert_eq!(written.join("&"), query);
}

#[test]
fn bounds_of_time_keep_all_their_digits() {
    let sent = filters("createdBefore=2026-01-31T12:00:00.123456Z", "");
    let filter = ClientAllocationsFilter::read(sent).unwrap();
    let written = ("createdBefore", "2026-01-31T12:00:00.123456Z".to_owned());
    assert_eq!(filter.pairs(), [written]);
}

proptest! {
    #[test]
    fn names_survive_the_query(names in prop::collection::vec("[^\\x00\n]{1,8}", 1..5)) {
        let pair = |name: &String| {
            let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
            format!("names={encoded}")
        };
        let query: Vec<String> = names.iter().map(pair).collect();
        let read = read(&query.join("&"), "", |filters| filters.names("names"));
        prop_assert_eq!(read, Ok(Some(names)));
    }

    #[test]
    fn nothing_sent_makes_it_panic(query in "[%&=+a-f\\[\\],0-9]{0,60}", body in ".{0,30}") {
        if let Ok(filters) = Filters::new(Some(&query), body.as_bytes()) {
            let _ = (filters.uuids("a"), filters.names("b"), filters.boolean("c"), filters.page());
        }
    }
}
