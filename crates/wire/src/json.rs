//! Strict JSON: the one way in which bodies and signed payloads are read. It refuses what two
//! readers could understand differently (a member given twice, bytes that are not UTF-8) and keeps
//! numbers as the text that was sent, so no digit is lost before a number is given its type. What
//! the members of a request must be is not decided here but in [`crate::body`].

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};

use serde::Deserializer as _;
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// How many arrays and objects may lie within each other (decisions §4); `[[]]` has depth 2.
pub const DEPTH_MAX: usize = 8;

/// How many values (scalars, arrays and objects together) one document may hold. The largest
/// request, a settlement of 50 000 transfers between two connections each, has 150 000 of them; the
/// bound keeps a body of 32 MiB like `[0,0,0,…]` from taking hundreds of megabytes.
pub const VALUES_MAX: usize = 400_000;

/// The longest member name that an error repeats, in characters.
const SHOWN_NAME_MAX: usize = 64;

/// One JSON value.
///
/// Two values are equal if they mean the same: the order of members is free, numbers are compared
/// as their text (`1` and `1.0` differ), strings exactly. Its `Debug` form shows member names and
/// types only, since bodies can hold connection keys.
#[derive(Clone, PartialEq, Eq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as the text that was sent, of any size and precision.
    Number(String),
    /// A string, with its escapes undone.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Object),
}

/// The members of a JSON object in the order in which they were sent; no name occurs twice.
#[derive(Clone, Default, Eq)]
pub struct Object(Vec<(String, Json)>);

/// Why a document was refused, and where.
///
/// The message completes a sentence that begins with the path (`amount.quantity` "occurs twice"),
/// and stands by itself when the path is empty, that is, when it concerns the whole document. It
/// repeats member names but never values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct JsonError {
    /// Where: member names joined by dots, array positions in brackets (`transfers[3].amount`).
    pub path: String,
    /// What is wrong, in plain words.
    pub message: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{} {}", self.path, self.message)
        }
    }
}

impl JsonError {
    fn here(message: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            message: message.into(),
        }
    }

    /// The same error seen from the container that holds the value under `step`.
    fn within(mut self, step: &str) -> Self {
        self.path = join(step, &self.path);
        self
    }
}

/// Puts a path under the name or position that leads to it.
fn join(step: &str, rest: &str) -> String {
    if rest.is_empty() || rest.starts_with('[') {
        format!("{step}{rest}")
    } else {
        format!("{step}.{rest}")
    }
}

impl Json {
    /// Reads one document; white space around it is allowed, anything else after it is not.
    ///
    /// # Errors
    /// Bytes that are not UTF-8 or not JSON (RFC 8259), a member name that occurs twice in one
    /// object at any depth (compared with escapes undone), nesting deeper than [`DEPTH_MAX`], more
    /// than [`VALUES_MAX`] values. Source: decisions §4.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            JsonError::here(format!(
                "the document is not UTF-8 (byte {})",
                error.valid_up_to()
            ))
        })?;
        // This pass checks the grammar of the whole document, so that line and column in the
        // message are those of the document and all that can fail further down is what is said
        // in `fault`.
        let root: &RawValue = serde_json::from_str(text)
            .map_err(|error| JsonError::here(format!("the document is not valid JSON: {error}")))?;
        let mut values = 0;
        build(root.get(), 0, &mut values).map_err(|error| {
            // The values of the whole document are counted, so the place where the count ran over
            // says nothing.
            let too_many = too_many_values();
            if error.message == too_many.message {
                too_many
            } else {
                error
            }
        })
    }

    /// The value as JSON text without white space: members in their order, numbers as they were
    /// sent. Reading it again gives the same value.
    #[must_use]
    pub fn to_compact_string(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        match self {
            Self::Null => text.push_str("null"),
            Self::Bool(true) => text.push_str("true"),
            Self::Bool(false) => text.push_str("false"),
            Self::Number(number) => text.push_str(number),
            Self::String(string) => write_string(string, text),
            Self::Array(elements) => {
                text.push('[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    element.write(text);
                }
                text.push(']');
            }
            Self::Object(object) => {
                text.push('{');
                for (index, (name, value)) in object.iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    write_string(name, text);
                    text.push(':');
                    value.write(text);
                }
                text.push('}');
            }
        }
    }

    /// The object, if it is one.
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The elements, if it is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The text, if it is a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(string) => Some(string),
            _ => None,
        }
    }

    /// What kind of value it is, in the words of an error message: `a string`, `null`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// Whether two values mean the same: what [`Json`]'s `==` says, by a name that can be read aloud.
/// Used to compare a signed payload with the request that carries it (OES wire §4.2).
#[must_use]
pub fn same_meaning(left: &Json, right: &Json) -> bool {
    left == right
}

impl Object {
    /// The value of a member, if there is one. Looks through the members one by one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.0
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value)
    }

    /// The members in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is `{}`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        let others: HashMap<&str, &Json> = other.iter().collect();
        self.len() == other.len()
            && self
                .iter()
                .all(|(name, value)| others.get(name).is_some_and(|own| *own == value))
    }
}

/// Members in the given order; of a name that occurs twice the later value stands, in the place of
/// the earlier.
impl<N: Into<String>> FromIterator<(N, Json)> for Object {
    fn from_iter<I: IntoIterator<Item = (N, Json)>>(members: I) -> Self {
        let mut places = HashMap::new();
        let mut object = Vec::new();
        for (name, value) in members {
            let name = name.into();
            let place = *places.entry(name.clone()).or_insert(object.len());
            if place == object.len() {
                object.push((name, value));
            } else {
                object[place].1 = value;
            }
        }
        Self(object)
    }
}

impl IntoIterator for Object {
    type Item = (String, Json);
    type IntoIter = std::vec::IntoIter<(String, Json)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<Object> for Json {
    fn from(object: Object) -> Self {
        Self::Object(object)
    }
}

impl From<&str> for Json {
    fn from(string: &str) -> Self {
        Self::String(string.to_owned())
    }
}

impl From<String> for Json {
    fn from(string: String) -> Self {
        Self::String(string)
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Json {
    fn from(number: i64) -> Self {
        Self::Number(number.to_string())
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Array(elements) => f.debug_list().entries(elements).finish(),
            Self::Object(object) => object.fmt(f),
            scalar => f.write_str(scalar.kind()),
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Builds the value of a text that is known to be valid JSON and lies within `depth` containers.
/// `values` counts what was built so far.
fn build(text: &str, depth: usize, values: &mut usize) -> Result<Json, JsonError> {
    *values += 1;
    if *values > VALUES_MAX {
        return Err(too_many_values());
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    match text.as_bytes().first() {
        Some(b'{' | b'[') if depth == DEPTH_MAX => Err(JsonError::here(format!(
            "is nested deeper than {DEPTH_MAX} levels"
        ))),
        Some(b'{') => {
            let members = reader.deserialize_map(Members).map_err(fault)?;
            let mut names = HashSet::with_capacity(members.len());
            if let Some((name, _)) = members
                .iter()
                .find(|(name, _)| !names.insert(name.as_str()))
            {
                return Err(JsonError::here("occurs twice").within(&shown(name)));
            }
            drop(names);
            if members.iter().any(|(name, _)| name.contains('\0')) {
                return Err(JsonError::here(
                    "has a member whose name holds a NUL character",
                ));
            }
            let members = members.into_iter().map(|(name, value)| {
                match build(value.get(), depth + 1, values) {
                    Ok(value) => Ok((name, value)),
                    Err(error) => Err(error.within(&shown(&name))),
                }
            });
            Ok(Json::Object(Object(members.collect::<Result<_, _>>()?)))
        }
        Some(b'[') => {
            let elements = reader.deserialize_seq(Elements).map_err(fault)?;
            let elements = elements.into_iter().enumerate().map(|(index, element)| {
                build(element.get(), depth + 1, values)
                    .map_err(|error| error.within(&format!("[{index}]")))
            });
            Ok(Json::Array(elements.collect::<Result<_, _>>()?))
        }
        Some(b'"') => match serde_json::from_str::<String>(text) {
            // No database of ours can hold it, and no text of a person does.
            Ok(string) if string.contains('\0') => Err(JsonError::here(
                "holds a NUL character, which is refused everywhere",
            )),
            Ok(string) => Ok(Json::String(string)),
            Err(error) => Err(fault(error)),
        },
        Some(b't') => Ok(Json::Bool(true)),
        Some(b'f') => Ok(Json::Bool(false)),
        Some(b'n') => Ok(Json::Null),
        _ => Ok(Json::Number(text.to_owned())),
    }
}

/// What can still be wrong in text whose grammar has been checked: a surrogate escape without its
/// other half, and (as the only error of our own making) too many values.
fn fault(error: serde_json::Error) -> JsonError {
    if error.is_data() {
        too_many_values()
    } else {
        JsonError::here("holds an escape that is not a Unicode character")
    }
}

fn too_many_values() -> JsonError {
    JsonError::here(format!("the document holds more than {VALUES_MAX} values"))
}

fn shown(name: &str) -> String {
    name.chars().take(SHOWN_NAME_MAX).collect()
}

fn write_string(string: &str, text: &mut String) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            control if control < ' ' => {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\u{:04x}", u32::from(control));
            }
            plain => text.push(plain),
        }
    }
    text.push('"');
}

/// The members of an object, their values still text.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            if members.len() == VALUES_MAX {
                return Err(de::Error::custom("too many"));
            }
            members.push(member);
        }
        Ok(members)
    }
}

/// The elements of an array, still text.
struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            if elements.len() == VALUES_MAX {
                return Err(de::Error::custom("too many"));
            }
            elements.push(element);
        }
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nul_characters_are_refused_wherever_they_hide() {
        for text in [r#"{"a":"x\u0000y"}"#, r#"["\u0000"]"#, r#"{"a\u0000":1}"#] {
            assert!(Json::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(Json::parse(br#"{"a":"\\u0000"}"#).is_ok());
    }

    fn parse(text: &str) -> Result<Json, JsonError> {
        Json::parse(text.as_bytes())
    }

    fn refused(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn members_given_twice_are_refused_at_any_depth() {
        assert_eq!(refused(r#"{"a":1,"b":2,"a":1}"#), "a occurs twice");
        assert_eq!(
            refused(r#"{"x":{"y":[0,{"a":1,"a":2}]}}"#),
            "x.y[1].a occurs twice"
        );
        assert_eq!(refused(r#"[[{"a":1,"a":2}]]"#), "[0][0].a occurs twice");
        assert_eq!(refused(r#"{"a":1,"\u0061":2}"#), "a occurs twice");
        assert!(parse(r#"{"a":{"a":{"a":1}},"A":1}"#).is_ok());
    }

    #[test]
    fn depth_eight_is_the_last() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(8)).is_ok());
        assert_eq!(
            refused(&nested(9)),
            "[0][0][0][0][0][0][0][0] is nested deeper than 8 levels"
        );
        let objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        assert!(parse(&objects(8)).is_ok());
        assert_eq!(
            refused(&objects(9)),
            "a.a.a.a.a.a.a.a is nested deeper than 8 levels"
        );
        assert!(parse(&nested(1_000_000)).is_err());
        assert!(parse(&"[".repeat(1_000_000)).is_err());
    }

    #[test]
    fn numbers_stay_text() {
        for number in [
            "0",
            "-0",
            "1.0",
            "1e400",
            "-1E+2",
            "123456789012345678901234567890.10",
        ] {
            assert_eq!(parse(number).unwrap(), Json::Number(number.to_owned()));
            assert_eq!(parse(number).unwrap().to_compact_string(), number);
        }
        for wrong in ["01", "+1", "1.", ".5", "1e", "NaN", "Infinity", "0x1", "-"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        assert_eq!(
            Json::parse(b"{\"a\":\"\xff\"}").unwrap_err().message,
            "the document is not UTF-8 (byte 6)"
        );
        for wrong in [
            "",
            " ",
            "{}x",
            "{} {}",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "'a'",
            "\"a\nb\"",
            "nul",
            "\u{feff}{}",
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.path.is_empty());
            assert!(
                error
                    .message
                    .starts_with("the document is not valid JSON: "),
                "{wrong}"
            );
        }
        assert_eq!(
            refused(r#"{"a":["\ud800"]}"#),
            "a[0] holds an escape that is not a Unicode character"
        );
        assert!(refused(r#"{"\ud800":1}"#).contains("escape"));
        assert_eq!(parse(" \"\\ud83d\\ude00\"\n").unwrap(), Json::from("😀"));
    }

    #[test]
    fn no_member_name_is_special() {
        let text = r#"{"$serde_json::private::RawValue":"[1","$serde_json::private::Number":"1"}"#;
        assert_eq!(parse(text).unwrap().to_compact_string(), text);
    }

    #[test]
    fn equality_is_by_meaning() {
        let same =
            |left: &str, right: &str| same_meaning(&parse(left).unwrap(), &parse(right).unwrap());
        assert!(same(
            r#"{"a":1,"b":{"c":[1,"x"],"d":null}}"#,
            r#" { "b":{"d":null,"c":[1,"\u0078"]}, "a":1 } "#
        ));
        assert!(!same("[1,2]", "[2,1]"));
        assert!(!same("1", "1.0"));
        assert!(!same("1", "\"1\""));
        assert!(!same(r#"{"a":1}"#, r#"{"a":1,"b":null}"#));
        assert!(!same(r#"{"a":null}"#, r#"{"b":null}"#));
    }

    #[test]
    fn debug_shows_no_values() {
        let json = parse(r#"{"apiSecret":"hush","n":[12345,null]}"#).unwrap();
        assert_eq!(
            format!("{json:?}"),
            r#"{"apiSecret": a string, "n": [a number, null]}"#
        );
    }

    #[test]
    fn an_object_keeps_its_order_and_has_each_name_once() {
        let object: Object = [
            ("b", Json::Null),
            ("a", Json::from(1)),
            ("b", Json::from(true)),
        ]
        .into_iter()
        .collect();
        assert_eq!(
            Json::from(object.clone()).to_compact_string(),
            r#"{"b":true,"a":1}"#
        );
        assert_eq!(object.len(), 2);
        assert_eq!(object.get("a"), Some(&Json::from(1)));
        assert_eq!(object.get("c"), None);
    }

    #[test]
    fn large_documents_are_read_and_compared_without_blowing_up() {
        let members: Vec<String> = (0..50_000)
            .map(|n| format!(r#""{n:036}":{{"BTC":"-{n}"}}"#))
            .collect();
        let forward = parse(&format!("{{{}}}", members.join(","))).unwrap();
        let backward: Vec<_> = members.iter().rev().map(String::as_str).collect();
        let backward = parse(&format!("{{{}}}", backward.join(","))).unwrap();
        assert_eq!(forward, backward);
        let zeros = format!("[{}0]", "0,".repeat(VALUES_MAX));
        assert_eq!(
            refused(&zeros),
            "the document holds more than 400000 values"
        );
        let spread = format!("[{}[]]", "[0,0,0,0,0,0,0,0,0],".repeat(VALUES_MAX / 10));
        assert_eq!(
            refused(&spread),
            "the document holds more than 400000 values"
        );
    }

    /// Any text but with NUL characters, which are refused.
    fn text() -> impl Strategy<Value = String> {
        any::<String>().prop_map(|text| text.replace('\0', ""))
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let scalar = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?".prop_map(Json::Number),
            text().prop_map(Json::String),
        ];
        scalar.prop_recursive(7, 64, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
                proptest::collection::vec((text(), inner), 0..6)
                    .prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(json in any_json()) {
            let text = json.to_compact_string();
            let again = parse(&text).unwrap();
            prop_assert_eq!(again.to_compact_string(), text);
            prop_assert!(again == json);
        }
    }
}
