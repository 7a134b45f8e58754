//! Signed payloads against the bodies that carry them. An input is a body in JSON, with the payload
//! as its member `payload`.

use wire::{
    json::{Json, Object, same_meaning},
    payload,
};

use crate::words::are_bounded;

const PATH: &[(&str, &str)] = &[
    ("connectionId", "0d1c7a55-53c5-4a39-8d38-2c3b6f1f7b11"),
    ("enterpriseId", "e1"),
];
const UNSIGNED: &[&str] = &["payload", "signature", "encrypt"];

pub(crate) fn hold(bytes: &[u8]) {
    let Ok(body) = Json::parse(bytes) else {
        return;
    };
    what_is_composed_is_good(&body);
    let payload = body.as_object().and_then(|body| body.get("payload"));
    if let Some(payload) = payload.and_then(Json::as_str) {
        comparison_is_right(payload, &body);
    }
}

fn what_is_composed_is_good(body: &Json) {
    let composed = payload::compose(body, UNSIGNED, PATH);
    let json = Json::parse(composed.as_bytes()).expect("what is composed is readable");
    assert_eq!(json.to_compact_string(), composed);
    // A body that contradicts the path is refused whatever is signed.
    let contradicts = |(name, value): &(&str, &str)| {
        let own = body.as_object().and_then(|body| body.get(name));
        own.is_some_and(|own| *own != Json::Null && !names(own, value))
    };
    let is_good = payload::check(&composed, body, PATH, UNSIGNED).is_ok();
    assert_eq!(is_good, !PATH.iter().any(contradicts));
    // Composing what was composed says the same.
    let again = payload::compose(&json, &[], &[]);
    assert_eq!(again, composed);
}

/// The comparison says what a simple one says, which sorts and writes both sides.
fn comparison_is_right(payload: &str, body: &Json) {
    let checked = payload::check(payload, body, PATH, UNSIGNED);
    if let Err(faults) = &checked {
        are_bounded(faults);
        assert!(
            faults
                .iter()
                .all(|fault| matches!(fault.field.as_str(), "payload" | ""))
        );
    }
    let is_good = Json::parse(payload.as_bytes())
        .is_ok_and(|signed| signed.as_object().is_some_and(|signed| says(signed, body)));
    assert_eq!(checked.is_ok(), is_good, "{checked:?}");
}

fn says(signed: &Object, body: &Json) -> bool {
    let none = Object::default();
    let body = body.as_object().unwrap_or(&none);
    let is_there =
        |object: &Object, name: &str| object.get(name).is_some_and(|value| *value != Json::Null);
    let agrees = |(name, value): (&str, &Json)| match signed.get(name) {
        Some(own) if *own != Json::Null => {
            assert_eq!(sorted(own) == sorted(value), same_meaning(own, value));
            sorted(own) == sorted(value)
        }
        _ => *value == Json::Null || UNSIGNED.contains(&name),
    };
    let is_asked = |(name, value): (&str, &Json)| {
        let of_path = PATH.iter().any(|(own, _)| *own == name);
        *value == Json::Null || of_path || is_there(body, name)
    };
    let is_of_path = |(name, value): &(&str, &str)| match signed.get(name) {
        Some(own) if *own != Json::Null => names(own, value),
        _ => true,
    };
    body.iter()
        .filter(|(_, value)| **value != Json::Null)
        .all(agrees)
        && signed.iter().all(is_asked)
        && PATH.iter().all(is_of_path)
}

fn names(signed: &Json, id: &str) -> bool {
    let same = |text: &str| text == id || is_uuid(text, id);
    signed.as_str().is_some_and(same)
}

fn is_uuid(text: &str, id: &str) -> bool {
    let uuid = |text: &str| uuid::Uuid::try_parse(text).ok();
    uuid(text).is_some() && uuid(text) == uuid(id)
}

/// The value as text, the members of its objects in alphabetical order.
fn sorted(json: &Json) -> String {
    match json {
        Json::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(sorted).collect();
            format!("[{}]", elements.join(","))
        }
        Json::Object(object) => {
            let mut members: Vec<String> = object
                .iter()
                .map(|(name, value)| {
                    let name = Json::from(name).to_compact_string();
                    format!("{name}:{}", sorted(value))
                })
                .collect();
            members.sort();
            format!("{{{}}}", members.join(","))
        }
        scalar => scalar.to_compact_string(),
    }
}
