//! Decoding of list filters. Clients send them in the query string or, as the public SDK does, in
//! the JSON body of a GET; [`Filters`] reads both, gives the members their types and notes every
//! fault. Which filters an operation knows is said by the filter types in [`crate::api`].
//!
//! Rules (decisions Q55, Q9):
//! * Per member the query wins over the body.
//! * A list may be a repeated key (`ids=a&ids=b` or `ids[]=a&ids[]=b`), a JSON array or one text. In
//!   lists of ids, currencies and choices a text of its own is split at commas; an element of a
//!   JSON array is taken whole, and names are never split.
//! * `null` entries and empty texts are dropped, and an empty list is no filter.
//! * Members that nobody asks for are ignored.

use std::cell::RefCell;

use ledger::GoAccountId;
use serde::{Deserialize, Serialize};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle};
use utoipa::openapi::schema::{
    ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::{RefOr, Required};
use utoipa::{IntoParams, PartialSchema};
use uuid::Uuid;

use crate::api::{DateTime, SortDirection};
use crate::body::{Fault, Faults};
use crate::json::{Json, Object};

/// How many entries one list may have.
pub const ENTRIES_MAX: usize = 1_000;

/// The largest page size (decisions Q9).
pub const PAGE_SIZE_MAX: u32 = 500;

/// The page size where none is asked for (decisions Q9).
pub const PAGE_SIZE_DEFAULT: u32 = 100;

/// The largest page number: the largest integer that every JSON reader keeps exactly, small enough
/// that the offset of every page fits into an `i64`.
pub const PAGE_NUMBER_MAX: u64 = (1 << 53) - 1;

/// The longest name of a member that a fault repeats, in characters.
const SHOWN_NAME_MAX: usize = 64;

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The page, from 0, at most [`PAGE_NUMBER_MAX`].
    pub number: u64,
    /// How many entries a page has, from 1 to [`PAGE_SIZE_MAX`].
    pub size: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            number: 0,
            size: PAGE_SIZE_DEFAULT,
        }
    }
}

impl Page {
    /// How many entries stand before the page.
    #[must_use]
    pub fn offset(self) -> u64 {
        self.number.saturating_mul(self.size.into())
    }

    /// The page as query parameters; nothing for the default.
    pub(crate) fn pairs(self) -> impl Iterator<Item = (&'static str, String)> {
        let default = Self::default();
        let number = (self.number != default.number).then(|| self.number.to_string());
        let size = (self.size != default.size).then(|| self.size.to_string());
        let number = number.map(|text| ("pageNumber", text));
        number
            .into_iter()
            .chain(size.map(|text| ("pageSize", text)))
    }
}

impl IntoParams for Page {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        // Text in the protocol's description, since that is what a query holds.
        let page = |name: &str, description: &str| {
            parameter(name, description, false, String::described())
        };
        vec![
            page(
                "pageNumber",
                "The page, a whole number from 0; 0 if left out.",
            ),
            page(
                "pageSize",
                "Entries per page, from 1 to 500; 100 if left out.",
            ),
        ]
    }
}

/// A type that filters can have.
pub trait Value {
    /// Its spelling in a query: one text, or one per element of a list.
    fn texts(&self) -> Vec<String>;

    /// Its schema in the OpenAPI document.
    fn described() -> RefOr<Schema>;
}

macro_rules! values {
    ($($own:ty, as $schema:expr;)+) => {$(
        impl Value for $own {
            fn texts(&self) -> Vec<String> {
                vec![self.to_string()]
            }

            fn described() -> RefOr<Schema> {
                $schema
            }
        }
    )+};
}

values! {
    Uuid, as uuid_schema();
    String, as <String as PartialSchema>::schema();
    GoAccountId, as <String as PartialSchema>::schema();
    bool, as <bool as PartialSchema>::schema();
}

impl Value for DateTime {
    /// As everywhere on the wire, but finer digits, if there are any, are not cut off: a bound that
    /// is cut to milliseconds would be another bound.
    fn texts(&self) -> Vec<String> {
        match self.0 % 1_000 {
            0 => vec![self.to_string()],
            _ => vec![format!("{:.6}", self.nearest())],
        }
    }

    fn described() -> RefOr<Schema> {
        <DateTime as PartialSchema>::schema()
    }
}

fn uuid_schema() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
        .into()
}

impl<T: Value> Value for Vec<T> {
    fn texts(&self) -> Vec<String> {
        self.iter().flat_map(Value::texts).collect()
    }

    fn described() -> RefOr<Schema> {
        ArrayBuilder::new().items(T::described()).into()
    }
}

/// A query parameter of the OpenAPI document.
pub(crate) fn parameter(
    name: &str,
    description: &str,
    required: bool,
    schema: RefOr<Schema>,
) -> Parameter {
    let list = matches!(schema, RefOr::T(Schema::Array(_)));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(if required {
            Required::True
        } else {
            Required::False
        })
        .description(Some(description.trim()))
        // Repeated keys: the one form that also fits lists whose texts may hold commas.
        .style(list.then_some(ParameterStyle::Form))
        .explode(list.then_some(true))
        .schema(Some(schema))
        .build()
}

/// What was sent to narrow a list, from the query and from the body.
///
/// Every typed method answers `None` if there is no such filter, or if it cannot be read, which is
/// then noted; [`Filters::finish`] tells the two apart.
#[derive(Debug, Default)]
pub struct Filters {
    query: Vec<(String, String)>,
    body: Object,
    faults: RefCell<Faults>,
}

impl Filters {
    /// Reads the query string (without `?`) and the body; an empty body is none.
    ///
    /// # Errors
    /// All faults at once: query members that are not percent-encoded UTF-8, a body that is not
    /// strict JSON or not an object.
    pub fn new(query: Option<&str>, body: &[u8]) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let mut pairs = Vec::new();
        for pair in query.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (percent_decoded(name), percent_decoded(value)) {
                (Some(name), Some(value)) => {
                    let plain = name.strip_suffix("[]").map(str::to_owned);
                    pairs.push((plain.unwrap_or(name), value));
                }
                _ => faults.note(|| Fault {
                    field: name.chars().take(SHOWN_NAME_MAX).collect(),
                    message: "must be percent-encoded UTF-8 without NUL characters".to_owned(),
                }),
            }
        }
        let body = match body {
            [] => Object::default(),
            bytes => match Json::parse(bytes) {
                Ok(Json::Object(object)) => object,
                Ok(_) => {
                    faults.note(|| Fault {
                        field: String::new(),
                        message: "the body must be a JSON object".to_owned(),
                    });
                    Object::default()
                }
                Err(error) => {
                    faults.note(|| Fault::from(error));
                    Object::default()
                }
            },
        };
        faults.none().map(|()| Self {
            query: pairs,
            body,
            faults: RefCell::default(),
        })
    }

    /// A list of UUIDs.
    #[must_use]
    pub fn uuids(&self, name: &str) -> Option<Vec<Uuid>> {
        self.list(name, Commas::Split, "a list of UUIDs", |text| {
            // The library also knows other spellings; the wire has this one only.
            (text.len() == 36).then(|| Uuid::try_parse(text).ok())?
        })
    }

    /// A list of Go Account ids: 32 hexadecimal digits, or a UUID.
    #[must_use]
    pub fn go_accounts(&self, name: &str) -> Option<Vec<GoAccountId>> {
        let what = "a list of account ids (32 hexadecimal digits, or UUIDs)";
        self.list(name, Commas::Split, what, |text| {
            matches!(text.len(), 32 | 36).then(|| Uuid::try_parse(text).map(GoAccountId).ok())?
        })
    }

    /// A list of identifiers whose form is not ours to know, such as those of partners.
    #[must_use]
    pub fn identifiers(&self, name: &str) -> Option<Vec<String>> {
        self.list(name, Commas::Split, "a list of texts", |text| {
            Some(text.to_owned())
        })
    }

    /// A list of currency names.
    #[must_use]
    pub fn currencies(&self, name: &str) -> Option<Vec<String>> {
        self.identifiers(name)
    }

    /// A list of names, which may hold commas.
    #[must_use]
    pub fn names(&self, name: &str) -> Option<Vec<String>> {
        self.list(name, Commas::Keep, "a list of texts", |text| {
            Some(text.to_owned())
        })
    }

    /// A list out of the given spellings.
    #[must_use]
    pub fn choices<T: Clone>(&self, name: &str, choices: &[(&str, T)]) -> Option<Vec<T>> {
        let what = format!("a list out of: {}", spellings(choices));
        self.list(name, Commas::Split, &what, |text| chosen(text, choices))
    }

    /// `true` or `false`, as a text or a JSON boolean.
    #[must_use]
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.single(name, "true or false", |text| text.parse().ok())
    }

    /// One value of the caller's own kind, which has to be `what`.
    #[must_use]
    pub fn one<T>(&self, name: &str, what: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.single(name, what, read)
    }

    /// A date-time with an offset.
    #[must_use]
    pub fn date_time(&self, name: &str) -> Option<DateTime> {
        let what = "a date-time with an offset, such as 2026-01-31T12:00:00Z";
        self.single(name, what, |text| {
            let time: jiff::Timestamp = text.parse().ok()?;
            Some(DateTime(time.as_microsecond()))
        })
    }

    /// The member to sort by, out of the given spellings.
    #[must_use]
    pub fn sort_field<T: Clone>(&self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let what = format!("one of: {}", spellings(choices));
        self.single(name, &what, |text| chosen(text, choices))
    }

    /// `ASC` or `DESC`.
    #[must_use]
    pub fn sort_direction(&self, name: &str) -> Option<SortDirection> {
        self.sort_field(name, SortDirection::CHOICES)
    }

    /// `pageNumber` and `pageSize`, as texts or JSON numbers; what is left out is the default.
    #[must_use]
    pub fn page(&self) -> Page {
        let default = Page::default();
        let what = format!("a whole number from 0 to {PAGE_NUMBER_MAX}");
        let number = self.single("pageNumber", &what, |text| {
            whole_number(text).filter(|number| *number <= PAGE_NUMBER_MAX)
        });
        let what = format!("a whole number from 1 to {PAGE_SIZE_MAX}");
        let size = self.single("pageSize", &what, |text| {
            let size = u32::try_from(whole_number(text)?).ok()?;
            (1..=PAGE_SIZE_MAX).contains(&size).then_some(size)
        });
        Page {
            number: number.unwrap_or(default.number),
            size: size.unwrap_or(default.size),
        }
    }

    /// Notes a fault of the caller's own.
    pub fn fault(&self, name: &str, message: impl Into<String>) {
        self.faults.borrow_mut().note(|| Fault {
            field: name.to_owned(),
            message: message.into(),
        });
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All faults noted so far.
    pub fn finish<T>(self, filter: T) -> Result<T, Vec<Fault>> {
        self.faults.take().none().map(|()| filter)
    }

    fn list<T>(
        &self,
        name: &str,
        commas: Commas,
        what: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let wanted = || {
            self.fault(name, format!("must be {what}"));
            None
        };
        let Some(sent) = self.sent(name) else {
            return wanted();
        };
        let mut texts = Vec::new();
        for text in &sent {
            match (text, commas) {
                (Text::Own(text), Commas::Split) => texts.extend(text.split(',').map(str::trim)),
                (Text::Own(text) | Text::Element(text), _) => texts.push(text),
            }
        }
        texts.retain(|text| !text.is_empty());
        if texts.len() > ENTRIES_MAX {
            self.fault(name, format!("must have at most {ENTRIES_MAX} entries"));
            return None;
        }
        let values: Option<Vec<T>> = texts.into_iter().map(read).collect();
        match values {
            Some(values) => (!values.is_empty()).then_some(values),
            None => wanted(),
        }
    }

    fn single<T>(&self, name: &str, what: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let sent = self.sent(name).map(|mut sent| {
            sent.retain(|text| !text.as_str().is_empty());
            sent
        });
        let value = match sent.as_deref() {
            Some([]) => return None,
            Some([text]) => read(text.as_str()),
            _ => None,
        };
        if value.is_none() {
            self.fault(name, format!("must be {what}, given once"));
        }
        value
    }

    /// The texts under a name: from the query if it has the name at all, else from the body.
    /// `None` if the body holds something that is neither text nor list of texts.
    fn sent(&self, name: &str) -> Option<Vec<Text>> {
        let own = self.query.iter().filter(|(key, _)| key == name);
        let own: Vec<_> = own.map(|(_, text)| Text::Own(text.clone())).collect();
        if !own.is_empty() {
            return Some(own);
        }
        match self.body.get(name) {
            None => Some(Vec::new()),
            Some(Json::Array(elements)) => {
                let elements = elements.iter().filter(|element| **element != Json::Null);
                elements
                    .map(|element| text_of(element).map(Text::Element))
                    .collect()
            }
            Some(Json::Null) => Some(Vec::new()),
            Some(value) => Some(vec![Text::Own(text_of(value)?)]),
        }
    }
}

/// Whether commas in a text that stands by itself separate entries.
#[derive(Clone, Copy)]
enum Commas {
    Split,
    Keep,
}

/// A text and where it stood.
enum Text {
    /// By itself: in the query, or as the whole member of the body.
    Own(String),
    /// In a JSON array.
    Element(String),
}

impl Text {
    fn as_str(&self) -> &str {
        match self {
            Self::Own(text) | Self::Element(text) => text,
        }
    }
}

fn text_of(scalar: &Json) -> Option<String> {
    match scalar {
        Json::String(text) | Json::Number(text) => Some(text.clone()),
        Json::Bool(value) => Some(value.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn chosen<T: Clone>(text: &str, choices: &[(&str, T)]) -> Option<T> {
    let choice = choices.iter().find(|(own, _)| *own == text);
    choice.map(|(_, value)| value.clone())
}

fn spellings<T>(choices: &[(&str, T)]) -> String {
    let spellings: Vec<&str> = choices.iter().map(|(own, _)| *own).collect();
    spellings.join(", ")
}

/// Digits only: the standard library would also take a plus sign.
fn whole_number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// Undoes `%XX` and `+`; `None` for a broken escape or bytes that are not UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            plain => plain,
        });
    }
    // As in bodies: no database of ours can hold a NUL character.
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests;
