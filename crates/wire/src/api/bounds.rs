//! How long the texts of requests may be. The bounds keep what is stored for ever, and indexed,
//! small; the protocol sets none. That a text has at least one character is the reader's own rule.

use crate::body::Reader;

/// The longest external id, nonce, name, identifier or currency, in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 512;

/// The longest notes or reason, in bytes of UTF-8.
pub const NOTES_BYTES_MAX: usize = 10_000;

/// The longest dispute or top-up window, in minutes: a week (decisions Q8).
pub const WINDOW_MINUTES_MAX: u16 = 10_080;

/// The most amounts that one settlement may hold (decisions §4).
pub const SETTLEMENT_AMOUNTS_MAX: usize = 50_000;

/// A required text of at most [`TEXT_BYTES_MAX`].
pub(crate) fn text(body: &Reader<'_>, name: &str) -> Option<String> {
    at_most(body, name, TEXT_BYTES_MAX, body.string(name))
}

/// A text of at most [`TEXT_BYTES_MAX`], or nothing.
pub(crate) fn optional_text(body: &Reader<'_>, name: &str) -> Option<String> {
    at_most(body, name, TEXT_BYTES_MAX, body.optional_string(name))
}

/// Notes of at most [`NOTES_BYTES_MAX`], or nothing.
pub(crate) fn optional_notes(body: &Reader<'_>, name: &str) -> Option<String> {
    at_most(body, name, NOTES_BYTES_MAX, body.optional_string(name))
}

/// Required notes of at most [`NOTES_BYTES_MAX`].
pub(crate) fn notes(body: &Reader<'_>, name: &str) -> Option<String> {
    at_most(body, name, NOTES_BYTES_MAX, body.string(name))
}

/// A window in whole minutes up to [`WINDOW_MINUTES_MAX`]; absent and `null` mean none.
pub(crate) fn optional_window(body: &Reader<'_>, name: &str) -> Option<u16> {
    body.optional_integer(name, 0, WINDOW_MINUTES_MAX.into())
        .and_then(|minutes| u16::try_from(minutes).ok())
}

fn at_most(body: &Reader<'_>, name: &str, max: usize, text: Option<String>) -> Option<String> {
    let text = text?;
    if text.len() <= max {
        return Some(text);
    }
    body.fault(name, format!("must be at most {max} bytes long"));
    None
}
