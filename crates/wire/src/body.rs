//! Decoding of request bodies: a [`Reader`] takes members out of a JSON object, gives them their
//! types and notes every fault, so that one answer names them all. It knows types and bounds of
//! single members; rules between members, amounts and everything that needs stored state belong to
//! the callers, who add their own faults with [`Reader::fault`].

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use uuid::Uuid;

use crate::json::{Json, JsonError, Object};

/// One thing that is wrong with a request.
///
/// The message completes a sentence that begins with the field (`amount.currency` "is required"),
/// and stands by itself when the field is empty, that is, when it concerns the whole body. It
/// never repeats a value that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Path of the member: names joined by dots, array positions in brackets
    /// (`transfers[3].amount`); empty for the body itself.
    pub field: String,
    /// What is wanted, in plain words.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{} {}", self.field, self.message)
        }
    }
}

impl From<JsonError> for Fault {
    fn from(error: JsonError) -> Self {
        Self {
            field: error.path,
            message: error.message,
        }
    }
}

/// How many faults one answer names. More would help nobody, and a body of megabytes can hold
/// millions of them.
pub const FAULTS_MAX: usize = 100;

/// The faults of one request while they are found: the first [`FAULTS_MAX`] by name, the rest
/// counted.
#[derive(Debug, Default)]
pub struct Faults {
    named: Vec<Fault>,
    more: usize,
}

impl Faults {
    /// Notes a fault, which is made only if it is one of those that are named.
    pub fn note(&mut self, fault: impl FnOnce() -> Fault) {
        if self.named.len() < FAULTS_MAX {
            self.named.push(fault());
        } else {
            self.more += 1;
        }
    }

    /// Ends the finding.
    ///
    /// # Errors
    /// Every fault that is named, in the order of finding, and then how many there are besides.
    pub fn none(self) -> Result<(), Vec<Fault>> {
        let Self { mut named, more } = self;
        if more > 0 {
            named.push(Fault {
                field: String::new(),
                message: format!("there are {more} more faults"),
            });
        }
        if named.is_empty() { Ok(()) } else { Err(named) }
    }
}

/// Takes the members of one JSON object, noting faults instead of stopping at the first.
///
/// Every method that reads a member answers `None` if it could not, and has then noted why; the
/// `optional_…` ones answer `None` without a fault if the member is absent or `null`. Members that
/// nobody reads are ignored (OES wire §0.4). Readers of nested objects note their faults, with
/// their full path, in the same list as the reader they came from.
///
/// ```
/// # use wire::{body::{Fault, Reader}, json::Json};
/// # struct Order { name: String, currency: String, note: Option<String> }
/// fn decode(json: &Json) -> Result<Order, Vec<Fault>> {
///     let body = Reader::new(json)?;
///     let name = body.string("name");
///     let currency = body.object("amount").and_then(|amount| amount.string("currency"));
///     let note = body.optional_string("note");
///     body.finish(|| Some(Order { name: name?, currency: currency?, note }))
/// }
/// # assert!(decode(&Json::parse(br#"{"name":"a","amount":{"currency":"b"}}"#).unwrap()).is_ok());
/// ```
#[derive(Debug)]
pub struct Reader<'a> {
    object: &'a Object,
    path: String,
    faults: Rc<RefCell<Faults>>,
}

impl<'a> Reader<'a> {
    /// A reader of the body of a request.
    ///
    /// # Errors
    /// One fault if the body is not an object.
    pub fn new(json: &'a Json) -> Result<Self, Vec<Fault>> {
        match json {
            Json::Object(object) => Ok(Self {
                object,
                path: String::new(),
                faults: Rc::default(),
            }),
            _ => Err(vec![Fault {
                field: String::new(),
                message: "the body must be a JSON object".to_owned(),
            }]),
        }
    }

    /// The member as it was sent (`null` included), without any fault.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&'a Json> {
        self.object.get(name)
    }

    /// All members in their order, for objects whose member names are data, such as the
    /// connections of `settlementAmounts`.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&'a str, &'a Json)> + use<'a> {
        self.object.iter()
    }

    /// A string of at least one character.
    #[must_use]
    pub fn string(&self, name: &str) -> Option<String> {
        self.required(name)
            .and_then(|value| self.typed_string(name, value))
    }

    /// A string of at least one character, or nothing.
    #[must_use]
    pub fn optional_string(&self, name: &str) -> Option<String> {
        self.present(name)
            .and_then(|value| self.typed_string(name, value))
    }

    /// `true` or `false`; the strings `"true"` and `"false"` are faults.
    #[must_use]
    pub fn boolean(&self, name: &str) -> Option<bool> {
        self.required(name)
            .and_then(|value| self.typed_boolean(name, value))
    }

    /// `true`, `false`, or nothing.
    #[must_use]
    pub fn optional_boolean(&self, name: &str) -> Option<bool> {
        self.present(name)
            .and_then(|value| self.typed_boolean(name, value))
    }

    /// A UUID in its usual form of 36 characters, in either case, of any version.
    #[must_use]
    pub fn uuid(&self, name: &str) -> Option<Uuid> {
        self.required(name)
            .and_then(|value| self.typed_uuid(name, value))
    }

    /// A UUID, or nothing.
    #[must_use]
    pub fn optional_uuid(&self, name: &str) -> Option<Uuid> {
        self.present(name)
            .and_then(|value| self.typed_uuid(name, value))
    }

    /// One of the given spellings, exactly; the fault lists them.
    #[must_use]
    pub fn choice<T: Clone>(&self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        self.required(name)
            .and_then(|value| self.typed_choice(name, value, choices))
    }

    /// One of the given spellings, or nothing.
    #[must_use]
    pub fn optional_choice<T: Clone>(&self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        self.present(name)
            .and_then(|value| self.typed_choice(name, value, choices))
    }

    /// A number written as a whole number (not `5.0`, not `1e2`, not a string) from `min` to `max`,
    /// both allowed.
    #[must_use]
    pub fn required_integer(&self, name: &str, min: i64, max: i64) -> Option<i64> {
        self.required(name)
            .and_then(|value| self.typed_integer(name, value, min, max))
    }

    /// A whole number from `min` to `max`, or nothing.
    #[must_use]
    pub fn optional_integer(&self, name: &str, min: i64, max: i64) -> Option<i64> {
        self.present(name)
            .and_then(|value| self.typed_integer(name, value, min, max))
    }

    /// A date-time with an offset (RFC 3339, `2026-01-31T12:00:00.5Z`), as microseconds since 1970;
    /// finer digits are dropped.
    #[must_use]
    pub fn date_time(&self, name: &str) -> Option<i64> {
        self.required(name)
            .and_then(|value| self.typed_date_time(name, value))
    }

    /// A date-time with an offset as microseconds since 1970, or nothing.
    #[must_use]
    pub fn optional_date_time(&self, name: &str) -> Option<i64> {
        self.present(name)
            .and_then(|value| self.typed_date_time(name, value))
    }

    /// A reader of the object that is this member.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<Self> {
        self.required(name)
            .and_then(|value| self.nested(self.path_of(name), value))
    }

    /// A reader of the object that is this member, or nothing.
    #[must_use]
    pub fn optional_object(&self, name: &str) -> Option<Self> {
        self.present(name)
            .and_then(|value| self.nested(self.path_of(name), value))
    }

    /// The elements of an array, untyped.
    #[must_use]
    pub fn array(&self, name: &str) -> Option<&'a [Json]> {
        self.required(name)
            .and_then(|value| self.typed_array(name, value))
    }

    /// The elements of an array, untyped, or nothing.
    #[must_use]
    pub fn optional_array(&self, name: &str) -> Option<&'a [Json]> {
        self.present(name)
            .and_then(|value| self.typed_array(name, value))
    }

    /// Readers of the elements of an array of objects. An element that is no object is a fault
    /// (`transfers[3]` "must be an object") and makes the answer `None`.
    #[must_use]
    pub fn objects(&self, name: &str) -> Option<Vec<Self>> {
        let elements = self.array(name)?;
        self.nested_all(name, elements)
    }

    /// Readers of the elements of an array of objects, or nothing.
    #[must_use]
    pub fn optional_objects(&self, name: &str) -> Option<Vec<Self>> {
        let elements = self.optional_array(name)?;
        self.nested_all(name, elements)
    }

    /// Notes a fault of the caller's own about a member; with an empty name, about this object.
    pub fn fault(&self, name: &str, message: impl Into<String>) {
        self.note(|| Fault {
            field: self.path_of(name),
            message: message.into(),
        });
    }

    /// Notes a fault that is made only if it is one of those that are named.
    pub(crate) fn note(&self, fault: impl FnOnce() -> Fault) {
        self.faults.borrow_mut().note(fault);
    }

    /// The path of a member from the top of the body, as faults show it.
    #[must_use]
    pub fn path_of(&self, name: &str) -> String {
        match (self.path.as_str(), name) {
            ("", name) => name.to_owned(),
            (path, "") => path.to_owned(),
            (path, name) => format!("{path}.{name}"),
        }
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All faults noted so far, nested ones included, in the order of reading; of more than
    /// [`FAULTS_MAX`] the first, and how many there are besides.
    pub fn ok(self) -> Result<(), Vec<Fault>> {
        self.faults.take().none()
    }

    /// Ends the reading and, if there were no faults, puts the request together. Since whatever
    /// could not be read has left a fault, `build` may use `?` on everything that is required.
    ///
    /// # Errors
    /// All faults noted so far; a nameless one if `build` answers `None` though there were none.
    pub fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, Vec<Fault>> {
        self.ok()?;
        build().ok_or_else(|| {
            vec![Fault {
                field: String::new(),
                message: "the body is incomplete".to_owned(),
            }]
        })
    }

    /// Notes what a member must be; for use as the last expression of a typed reading.
    fn wanted<T>(&self, name: &str, what: &str) -> Option<T> {
        self.fault(name, format!("must be {what}"));
        None
    }

    fn present(&self, name: &str) -> Option<&'a Json> {
        self.object.get(name).filter(|value| **value != Json::Null)
    }

    fn required(&self, name: &str) -> Option<&'a Json> {
        let value = self.present(name);
        if value.is_none() {
            self.fault(name, "is required");
        }
        value
    }

    fn typed_string(&self, name: &str, value: &Json) -> Option<String> {
        match value {
            Json::String(string) if !string.is_empty() => Some(string.clone()),
            _ => self.wanted(name, "a string of at least one character"),
        }
    }

    fn typed_boolean(&self, name: &str, value: &Json) -> Option<bool> {
        match value {
            Json::Bool(value) => Some(*value),
            _ => self.wanted(name, "true or false"),
        }
    }

    fn typed_uuid(&self, name: &str, value: &Json) -> Option<Uuid> {
        // The library also knows shorter and longer spellings; the wire has this one only.
        let usual = value.as_str().filter(|text| text.len() == 36);
        let uuid = usual.and_then(|text| Uuid::try_parse(text).ok());
        uuid.or_else(|| self.wanted(name, "a UUID"))
    }

    fn typed_choice<T: Clone>(&self, name: &str, value: &Json, choices: &[(&str, T)]) -> Option<T> {
        let chosen = value
            .as_str()
            .and_then(|text| choices.iter().find(|(own, _)| *own == text));
        chosen.map(|(_, choice)| choice.clone()).or_else(|| {
            let spellings: Vec<&str> = choices.iter().map(|(own, _)| *own).collect();
            self.wanted(name, &format!("one of: {}", spellings.join(", ")))
        })
    }

    fn typed_integer(&self, name: &str, value: &Json, min: i64, max: i64) -> Option<i64> {
        let number = match value {
            // Of the spellings of a JSON number this accepts exactly those without `.` and `e`.
            Json::Number(text) => text
                .parse()
                .ok()
                .filter(|number| (min..=max).contains(number)),
            _ => None,
        };
        number.or_else(|| {
            self.wanted(
                name,
                &format!("a number without decimals from {min} to {max}"),
            )
        })
    }

    fn typed_date_time(&self, name: &str, value: &Json) -> Option<i64> {
        let time = value
            .as_str()
            .and_then(|text| text.parse::<jiff::Timestamp>().ok());
        time.map(jiff::Timestamp::as_microsecond).or_else(|| {
            self.wanted(
                name,
                "a date-time with an offset, such as 2026-01-31T12:00:00Z",
            )
        })
    }

    fn typed_array(&self, name: &str, value: &'a Json) -> Option<&'a [Json]> {
        value.as_array().or_else(|| self.wanted(name, "an array"))
    }

    fn nested(&self, path: String, value: &'a Json) -> Option<Self> {
        match value {
            Json::Object(object) => Some(Self {
                object,
                path,
                faults: Rc::clone(&self.faults),
            }),
            _ => {
                self.note(|| Fault {
                    field: path,
                    message: "must be an object".to_owned(),
                });
                None
            }
        }
    }

    fn nested_all(&self, name: &str, elements: &'a [Json]) -> Option<Vec<Self>> {
        let path = self.path_of(name);
        let readers: Vec<_> = elements
            .iter()
            .enumerate()
            .map(|(index, element)| self.nested(format!("{path}[{index}]"), element))
            .collect();
        readers.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    fn faults_of(text: &str, read: impl FnOnce(&Reader<'_>)) -> Vec<String> {
        let json = json(text);
        let body = Reader::new(&json).unwrap();
        read(&body);
        body.ok()
            .err()
            .unwrap_or_default()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn every_fault_is_reported_at_once_with_its_path() {
        let text = r#"{
            "name": "", "on": "true", "id": "6f1b4c0e6f0a4d2c9d520a4f3a9a1c01", "kind": "c", "at": "2026-01-31",
            "n": 5.0, "amount": {"quantity": 7}, "list": [{"id": 1}, 2, {}], "notes": 3
        }"#;
        let faults = faults_of(text, |body| {
            assert_eq!(body.string("name"), None);
            assert_eq!(body.boolean("on"), None);
            assert_eq!(body.uuid("id"), None);
            assert_eq!(body.choice("kind", &[("a", 1), ("b", 2)]), None);
            assert_eq!(body.date_time("at"), None);
            assert_eq!(body.required_integer("n", 0, 10), None);
            let amount = body.object("amount").unwrap();
            assert_eq!(amount.string("quantity"), None);
            assert_eq!(amount.string("currency"), None);
            amount.fault("", "is odd");
            assert!(body.objects("list").is_none());
            assert_eq!(body.optional_string("notes"), None);
            assert!(body.array("gone").is_none());
        });
        assert_eq!(
            faults,
            [
                "name must be a string of at least one character",
                "on must be true or false",
                "id must be a UUID",
                "kind must be one of: a, b",
                "at must be a date-time with an offset, such as 2026-01-31T12:00:00Z",
                "n must be a number without decimals from 0 to 10",
                "amount.quantity must be a string of at least one character",
                "amount.currency is required",
                "amount is odd",
                "list[1] must be an object",
                "notes must be a string of at least one character",
                "gone is required",
            ]
        );
    }

    #[test]
    fn good_members_are_read() {
        let text = r#"{
            "name": "désk", "on": false, "id": "6F1B4C0E-6f0a-4d2c-9d52-0a4f3a9a1c01", "kind": "b",
            "at": "1970-01-01T01:00:00.000001+01:00", "n": -3, "list": [{"a": {"b": "x"}}], "none": null, "extra": 1
        }"#;
        let faults = faults_of(text, |body| {
            assert_eq!(body.string("name").as_deref(), Some("désk"));
            assert_eq!(body.boolean("on"), Some(false));
            assert_eq!(
                body.uuid("id").unwrap().to_string(),
                "6f1b4c0e-6f0a-4d2c-9d52-0a4f3a9a1c01"
            );
            assert_eq!(body.choice("kind", &[("a", 1), ("b", 2)]), Some(2));
            assert_eq!(body.date_time("at"), Some(1));
            assert_eq!(body.required_integer("n", -3, 0), Some(-3));
            let list = body.objects("list").unwrap();
            let inner = list[0].object("a").unwrap();
            assert_eq!(inner.path_of("b"), "list[0].a.b");
            assert_eq!(
                inner.members().map(|(name, _)| name).collect::<Vec<_>>(),
                ["b"]
            );
            assert_eq!(body.raw("none"), Some(&Json::Null));
            for name in ["none", "absent"] {
                assert_eq!(body.optional_string(name), None);
                assert_eq!(body.optional_boolean(name), None);
                assert_eq!(body.optional_uuid(name), None);
                assert_eq!(body.optional_choice(name, &[("a", 1)]), None);
                assert_eq!(body.optional_integer(name, 0, 1), None);
                assert_eq!(body.optional_date_time(name), None);
                assert!(body.optional_object(name).is_none());
                assert!(body.optional_array(name).is_none());
                assert!(body.optional_objects(name).is_none());
            }
        });
        assert_eq!(faults, [""; 0]);
    }

    #[test]
    fn integers_are_whole_numbers_within_their_bounds() {
        for (text, good) in [
            ("0", true),
            ("10080", true),
            ("10081", false),
            ("-1", false),
            ("5.0", false),
            ("1e2", false),
            ("\"5\"", false),
            ("true", false),
            ("99999999999999999999", false),
        ] {
            let faults = faults_of(&format!(r#"{{"n":{text}}}"#), |body| {
                assert_eq!(
                    body.optional_integer("n", 0, 10_080).is_some(),
                    good,
                    "{text}"
                );
            });
            assert_eq!(faults.is_empty(), good, "{text}");
        }
    }

    #[test]
    fn a_body_that_is_no_object_is_one_fault() {
        for text in ["[]", "null", "\"{}\"", "1"] {
            let faults = Reader::new(&json(text)).unwrap_err();
            assert_eq!(
                faults,
                [Fault {
                    field: String::new(),
                    message: "the body must be a JSON object".to_owned()
                }]
            );
        }
    }

    #[test]
    fn faults_beyond_a_hundred_are_counted() {
        let elements = vec!["1"; 250].join(",");
        let faults = faults_of(&format!(r#"{{"list":[{elements}]}}"#), |body| {
            assert!(body.objects("list").is_none());
        });
        assert_eq!(faults.len(), 101);
        assert_eq!(faults[99], "list[99] must be an object");
        assert_eq!(faults[100], "there are 150 more faults");
    }

    #[test]
    fn finish_builds_only_without_faults() {
        let good = json(r#"{"a":"x"}"#);
        let body = Reader::new(&good).unwrap();
        let a = body.string("a");
        assert_eq!(body.finish(|| a), Ok("x".to_owned()));

        let body = Reader::new(&good).unwrap();
        let b = body.string("b");
        assert_eq!(
            body.finish(|| b).unwrap_err()[0].to_string(),
            "b is required"
        );

        let body = Reader::new(&good).unwrap();
        assert_eq!(
            body.finish(|| None::<()>).unwrap_err()[0].to_string(),
            "the body is incomplete"
        );
    }
}
