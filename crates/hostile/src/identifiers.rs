//! What stands in paths and headers, and times: identifiers of enterprises, accounts and records,
//! tickers, date-times. An input is one text.

use std::{fmt::Display, str::FromStr};

use ledger::{Currency, GoAccountId};
use rules::{ClientId, EnterpriseId, UserId};
use wire::api::DateTime;

use crate::words::text;

pub(crate) fn hold(bytes: &[u8]) {
    let Some(sent) = text(bytes) else {
        return;
    };
    if let Some(enterprise) = same_again::<EnterpriseId>(sent) {
        assert_eq!(enterprise.as_str(), sent);
        assert!(stands_in_a_path(sent));
    }
    if let Some(currency) = same_again::<Currency>(sent) {
        assert_eq!(currency.as_str(), sent);
        assert!(stands_in_a_path(sent));
    }
    for id in [
        same_again::<GoAccountId>(sent).map(|id| id.to_string()),
        same_again::<UserId>(sent).map(|id| id.to_string()),
    ]
    .into_iter()
    .flatten()
    {
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    if let Some(id) = same_again::<ClientId>(sent) {
        assert!(id.to_string().len() == 36);
    }
    times_are_never_later(sent);
}

/// What is read and written again reads the same.
fn same_again<T: FromStr + Display + PartialEq>(sent: &str) -> Option<T> {
    let read: T = sent.parse().ok()?;
    assert!(read.to_string().parse().ok().as_ref() == Some(&read));
    Some(read)
}

/// Whether the text may be put into a path as it is, and means one segment there.
fn stands_in_a_path(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte);
    text.len() <= 64 && text.bytes().all(plain)
}

/// A time is written with milliseconds, and never as a later time than it is.
fn times_are_never_later(sent: &str) {
    let json = serde_json::Value::from(sent);
    let Ok(DateTime(time)) = serde_json::from_value(json) else {
        return;
    };
    let written = DateTime(time).to_string();
    let again: jiff::Timestamp = written.parse().expect("written times are readable");
    let again = again.as_microsecond();
    let nearest = jiff::Timestamp::MIN.as_microsecond();
    assert!((again <= time && time - again < 1_000) || again == nearest);
    assert_eq!(DateTime(again).to_string(), written);
    assert!(written.len() <= 32, "{written}");
}
