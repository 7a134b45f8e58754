//! How operators' requests are read: identifiers, tickers and amounts as they are written in paths,
//! queries and bodies, and texts within their bounds. Which members a request has is said beside
//! each noun.

use ledger::{Amount, Currency, GoAccountId, SignedAmount};
use rules::{EnterpriseId, PartnerId, SigningKeyId, TokenId, UserId};
use uuid::Uuid;
use wire::{
    api::bounds::{NOTES_BYTES_MAX, TEXT_BYTES_MAX},
    body::{Fault, Reader},
    filters::Filters,
    json::Json,
};

use crate::{error::ApiError, gate::PathTexts};

/// Something that is written as one text.
pub(super) trait Written: Sized {
    /// What the text has to be; completes a sentence that begins with the member.
    const WANTED: &'static str;

    /// Reads the text.
    fn written(text: &str) -> Option<Self>;
}

macro_rules! written {
    ($($what:ty: $wanted:literal, $read:expr;)+) => {$(
        impl Written for $what {
            const WANTED: &'static str = $wanted;

            fn written(text: &str) -> Option<Self> {
                let read: fn(&str) -> Option<Self> = $read;
                read(text)
            }
        }
    )+};
}

written! {
    Uuid: "must be a UUID", uuid;
    PartnerId: "must be a UUID", |text| uuid(text).map(PartnerId);
    TokenId: "must be a UUID", |text| uuid(text).map(TokenId);
    GoAccountId: "must be 32 hexadecimal digits", |text| hex(text).map(GoAccountId);
    UserId: "must be 32 hexadecimal digits", |text| hex(text).map(UserId);
    SigningKeyId: "must be 32 hexadecimal digits", |text| hex(text).map(SigningKeyId);
    EnterpriseId: "must be 1 to 64 characters out of letters, digits, _ and -", |text| text.parse().ok();
    Currency: "must be 1 to 64 characters out of letters, digits and . : _ -", |text| text.parse().ok();
    SignedAmount: "must be an integer in base units other than zero: 1 to 38 digits, no leading zero, a minus sign before what is below zero", |text| text.parse().ok();
    Amount: "must be an integer in base units above zero: 1 to 38 digits, no leading zero", |text| text.parse().ok();
}

/// The library also knows other spellings; the wire has this one only.
fn uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok())?
}

/// 32 digits, or the UUID of the same 16 bytes.
fn hex(text: &str) -> Option<Uuid> {
    matches!(text.len(), 32 | 36).then(|| Uuid::try_parse(text).ok())?
}

/// What stands at this place of the path.
pub(super) fn from_path<T: Written>(path: &PathTexts, name: &str) -> Result<T, ApiError> {
    T::written(path.text(name)?).ok_or_else(|| {
        ApiError::invalid(vec![Fault {
            field: name.to_owned(),
            message: T::WANTED.to_owned(),
        }])
    })
}

/// The text at this place of the path, of 1 to [`TEXT_BYTES_MAX`] bytes and, as in bodies, without
/// NUL characters.
pub(super) fn text_of_path(path: &PathTexts, name: &str) -> Result<String, ApiError> {
    let text = path.text(name)?;
    if (1..=TEXT_BYTES_MAX).contains(&text.len()) && !text.contains('\0') {
        return Ok(text.to_owned());
    }
    Err(ApiError::invalid(vec![Fault {
        field: name.to_owned(),
        message: format!("must be 1 to {TEXT_BYTES_MAX} bytes long, without NUL characters"),
    }]))
}

/// What narrows a list to one thing, if anything does.
pub(super) fn filter<T: Written>(filters: &Filters, name: &str) -> Option<T> {
    let texts = filters.identifiers(name)?;
    let value = match texts.as_slice() {
        [text] => T::written(text),
        _ => None,
    };
    if value.is_none() {
        filters.fault(name, format!("{}, given once", T::WANTED));
    }
    value
}

/// A required member that is written as one text.
pub(super) fn member<T: Written>(body: &Reader<'_>, name: &str) -> Option<T> {
    typed(body, name, &body.string(name)?)
}

/// A member that is written as one text, or nothing.
pub(super) fn optional_member<T: Written>(body: &Reader<'_>, name: &str) -> Option<T> {
    typed(body, name, &body.optional_string(name)?)
}

fn typed<T: Written>(body: &Reader<'_>, name: &str, text: &str) -> Option<T> {
    let value = T::written(text);
    if value.is_none() {
        body.fault(name, T::WANTED);
    }
    value
}

/// A required text of at most [`TEXT_BYTES_MAX`] bytes.
pub(super) fn text(body: &Reader<'_>, name: &str) -> Option<String> {
    at_most(body, name, TEXT_BYTES_MAX, body.string(name)?)
}

/// A text of at most [`TEXT_BYTES_MAX`] bytes, or nothing.
pub(super) fn optional_text(body: &Reader<'_>, name: &str) -> Option<String> {
    at_most(body, name, TEXT_BYTES_MAX, body.optional_string(name)?)
}

/// A required text of at most [`NOTES_BYTES_MAX`] bytes.
pub(super) fn long_text(body: &Reader<'_>, name: &str) -> Option<String> {
    at_most(body, name, NOTES_BYTES_MAX, body.string(name)?)
}

/// A text of at most [`NOTES_BYTES_MAX`] bytes, or nothing.
pub(super) fn optional_long_text(body: &Reader<'_>, name: &str) -> Option<String> {
    at_most(body, name, NOTES_BYTES_MAX, body.optional_string(name)?)
}

fn at_most(body: &Reader<'_>, name: &str, max: usize, text: String) -> Option<String> {
    if text.len() <= max {
        return Some(text);
    }
    body.fault(name, format!("must be at most {max} bytes long"));
    None
}

/// A required list of texts, each of 1 to [`TEXT_BYTES_MAX`] bytes.
pub(super) fn texts(body: &Reader<'_>, name: &str) -> Option<Vec<String>> {
    elements(body, name, body.array(name)?)
}

/// A list of texts, each of 1 to [`TEXT_BYTES_MAX`] bytes; left out, an empty one.
pub(super) fn optional_texts(body: &Reader<'_>, name: &str) -> Option<Vec<String>> {
    elements(body, name, body.optional_array(name).unwrap_or_default())
}

fn elements(body: &Reader<'_>, name: &str, elements: &[Json]) -> Option<Vec<String>> {
    let read = |(index, element): (usize, &Json)| {
        let fits = |text: &&str| (1..=TEXT_BYTES_MAX).contains(&text.len());
        let text = element.as_str().filter(fits).map(str::to_owned);
        if text.is_none() {
            let message = format!("must be a string of 1 to {TEXT_BYTES_MAX} bytes");
            body.fault(&format!("{name}[{index}]"), message);
        }
        text
    };
    // Collected first, so that every element has its say.
    let texts: Vec<Option<String>> = elements.iter().enumerate().map(read).collect();
    texts.into_iter().collect()
}

/// A required list out of the given spellings.
pub(super) fn choices<T: Copy>(body: &Reader<'_>, name: &str, all: &[(&str, T)]) -> Option<Vec<T>> {
    let spellings: Vec<&str> = all.iter().map(|(spelling, _)| *spelling).collect();
    let read = |(index, text): (usize, String)| {
        let chosen = all.iter().find(|(spelling, _)| *spelling == text);
        if chosen.is_none() {
            let message = format!("must be one of: {}", spellings.join(", "));
            body.fault(&format!("{name}[{index}]"), message);
        }
        chosen.map(|(_, value)| *value)
    };
    let values: Vec<Option<T>> = texts(body, name)?
        .into_iter()
        .enumerate()
        .map(read)
        .collect();
    values.into_iter().collect()
}
