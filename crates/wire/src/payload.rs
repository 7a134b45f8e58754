//! Signed payloads: whether the text that was signed says what the request says (OES wire §4.2),
//! and what text our signing helpers propose. Signatures themselves are checked in
//! [`crate::signature`], and what the members mean is read from the body, never from the payload.
//!
//! The body is what is acted upon, and the payload is what was authorised. So every member of the
//! body must stand in the payload with the same meaning, and the payload must not say anything that
//! the request does not. Order, white space and escapes are free, since clients differ in them; a
//! member that is `null` counts as absent on either side.

use std::collections::HashMap;

use uuid::Uuid;

use crate::body::{Fault, Faults};
use crate::json::{Json, Object};

/// The longest name of a member that a fault repeats, in characters.
const SHOWN_NAME_MAX: usize = 64;

/// Compares a signed payload with the request that carries it.
///
/// `path` has the members of the request's path, such as `connectionId` and `enterpriseId`: the
/// payload may leave them out, and must agree where it has them. The members of the body that
/// `unsigned` names may be left out of the payload too, and must agree where it has them.
///
/// # Errors
/// A payload that is not strict JSON or not an object; otherwise every member that is missing, that
/// differs or that the request does not have, by name (see [`Faults`] for how many).
pub fn check(
    payload: &str,
    body: &Json,
    path: &[(&str, &str)],
    unsigned: &[&str],
) -> Result<(), Vec<Fault>> {
    let refused = |message: String| {
        let field = "payload".to_owned();
        Err(vec![Fault { field, message }])
    };
    let payload = match Json::parse(payload.as_bytes()) {
        Ok(Json::Object(payload)) => payload,
        Ok(_) => return refused("must be the text of a JSON object".to_owned()),
        Err(error) => return refused(format!("is not readable: {error}")),
    };
    let none = Object::default();
    let body = body.as_object().unwrap_or(&none);
    // By name: the members of a large request must not be looked for one by one.
    let asked: HashMap<&str, &Json> = present(body).collect();
    let signed: HashMap<&str, &Json> = present(&payload).collect();
    let mut faults = Faults::default();
    for (name, value) in present(body) {
        let said = match signed.get(name) {
            Some(own) if *own == value => continue,
            Some(_) => "says something else than the body",
            None if unsigned.contains(&name) => continue,
            None => "lacks the member",
        };
        faults.note(|| fault(name, said));
    }
    for (name, value) in path {
        if signed.get(name).is_some_and(|own| !same_id(own, value)) {
            faults.note(|| fault(name, "says something else than the path"));
        }
    }
    for (name, _) in present(&payload) {
        let of_path = path.iter().any(|(own, _)| *own == name);
        if !of_path && !asked.contains_key(name) {
            faults.note(|| fault(name, "has a member that the request does not have"));
        }
    }
    faults.none()
}

/// The payload to sign for a body, as the signing helpers answer it: the body's members in the
/// order in which they were sent, without those that `unsigned` names, and then those of `path`,
/// as compact JSON.
///
/// For allocations and deallocations `path` is `connectionId` and `enterpriseId`, for settlements
/// `enterpriseId`, and for connections and partners' updates nothing. A body that is no object has
/// no members.
#[must_use]
pub fn compose(body: &Json, unsigned: &[&str], path: &[(&str, &str)]) -> String {
    let none = Object::default();
    let body = body.as_object().unwrap_or(&none);
    let mut text = String::from("{");
    let mut member = |name: &str, value: &str| {
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&Json::from(name).to_compact_string());
        text.push(':');
        text.push_str(value);
    };
    for (name, value) in present(body).filter(|(name, _)| !unsigned.contains(name)) {
        member(name, &value.to_compact_string());
    }
    for (name, value) in path {
        // One that stands in the body too is there already.
        if present(body).any(|(own, _)| own == *name) {
            continue;
        }
        member(name, &Json::from(*value).to_compact_string());
    }
    text.push('}');
    text
}

fn present(object: &Object) -> impl Iterator<Item = (&str, &Json)> {
    object.iter().filter(|(_, value)| **value != Json::Null)
}

/// Whether a member names what the path names; UUIDs in either case.
fn same_id(signed: &Json, path: &str) -> bool {
    let Some(signed) = signed.as_str() else {
        return false;
    };
    let uuid = |text: &str| Uuid::try_parse(text).ok();
    signed == path || uuid(signed).is_some_and(|own| uuid(path) == Some(own))
}

fn fault(name: &str, said: &str) -> Fault {
    let name: String = name.chars().take(SHOWN_NAME_MAX).collect();
    Fault {
        field: "payload".to_owned(),
        message: format!("{said}: {name}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATH: &[(&str, &str)] = &[
        ("connectionId", "0d1c7a55-53c5-4a39-8d38-2c3b6f1f7b11"),
        ("enterpriseId", "e1"),
    ];
    const UNSIGNED: &[&str] = &["payload", "signature", "encrypt"];
    const BODY: &str = r#"{"amount":{"currency":"ofcbtc","quantity":"1000"},"clientExternalId":"x","nonce":"n","payload":"p","signature":"s"}"#;

    fn json(text: &str) -> Json {
        Json::parse(text.as_bytes()).unwrap()
    }

    fn faults(payload: &str, body: &str) -> Vec<String> {
        let checked = check(payload, &json(body), PATH, UNSIGNED);
        let faults = checked.err().unwrap_or_default();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn payloads_that_say_what_the_body_says_are_good() {
        for payload in [
            // Order, white space and escapes are free.
            r#"{"nonce":"n","amount":{"quantity":"1000","currency":"ofcbtc"},"clientExternalId":"x"}"#,
            r#" { "amount" : {"currency":"ofcbt\u0063","quantity":"1000"}, "clientExternalId":"x", "nonce":"n" } "#,
            // The path may stand in the payload, in part or whole, in either case.
            r#"{"amount":{"currency":"ofcbtc","quantity":"1000"},"clientExternalId":"x","nonce":"n","connectionId":"0D1C7A55-53c5-4a39-8d38-2c3b6f1f7b11"}"#,
            r#"{"amount":{"currency":"ofcbtc","quantity":"1000"},"clientExternalId":"x","nonce":"n","connectionId":"0d1c7a55-53c5-4a39-8d38-2c3b6f1f7b11","enterpriseId":"e1"}"#,
            // What is null is not there.
            r#"{"amount":{"currency":"ofcbtc","quantity":"1000"},"clientExternalId":"x","nonce":"n","notes":null}"#,
        ] {
            assert_eq!(faults(payload, BODY), [""; 0], "{payload}");
        }
        let with_null = r#"{"nonce":"n","notes":null}"#;
        assert_eq!(faults(r#"{"nonce":"n"}"#, with_null), [""; 0]);
        // Unsigned members may be left out; where they are signed, they must agree.
        let with_encrypt = r#"{"nonce":"n","encrypt":true}"#;
        assert_eq!(faults(r#"{"nonce":"n"}"#, with_encrypt), [""; 0]);
        assert_eq!(
            faults(r#"{"nonce":"n","encrypt":true}"#, with_encrypt),
            [""; 0]
        );
    }

    #[test]
    fn every_difference_is_named() {
        let payload = r#"{"amount":{"currency":"ofcbtc","quantity":"1001"},"nonce":"n","connectionId":"0d1c7a55-53c5-4a39-8d38-2c3b6f1f7b12","enterpriseId":"e2","more":1}"#;
        assert_eq!(
            faults(payload, BODY),
            [
                "payload says something else than the body: amount",
                "payload lacks the member: clientExternalId",
                "payload says something else than the path: connectionId",
                "payload says something else than the path: enterpriseId",
                "payload has a member that the request does not have: more",
            ]
        );
    }

    #[test]
    fn single_differences() {
        for (payload, body, said) in [
            (
                r#"{"a":1.0}"#,
                r#"{"a":1}"#,
                "says something else than the body: a",
            ),
            (
                r#"{"a":"1"}"#,
                r#"{"a":1}"#,
                "says something else than the body: a",
            ),
            (
                r#"{"a":[2,1]}"#,
                r#"{"a":[1,2]}"#,
                "says something else than the body: a",
            ),
            (
                r#"{"a":{"b":1,"c":null}}"#,
                r#"{"a":{"b":1}}"#,
                "says something else than the body: a",
            ),
            (r#"{"a":null}"#, r#"{"a":1}"#, "lacks the member: a"),
            (
                r#"{"encrypt":false}"#,
                r#"{"encrypt":true}"#,
                "says something else than the body: encrypt",
            ),
            (
                r#"{"encrypt":true}"#,
                "{}",
                "has a member that the request does not have: encrypt",
            ),
            (
                r#"{"connectionId":1}"#,
                "{}",
                "says something else than the path: connectionId",
            ),
            ("[]", "{}", "must be the text of a JSON object"),
            (
                "{} {}",
                "{}",
                "is not readable: the document is not valid JSON: trailing characters at line 1 column 4",
            ),
            (
                r#"{"a":1,"a":1}"#,
                r#"{"a":1}"#,
                "is not readable: a occurs twice",
            ),
        ] {
            assert_eq!(
                faults(payload, body),
                [format!("payload {said}")],
                "{payload}"
            );
        }
    }

    #[test]
    fn differences_beyond_a_hundred_are_counted() {
        let members: Vec<String> = (0..250).map(|n| format!(r#""m{n}":1"#)).collect();
        let said = faults(&format!("{{{}}}", members.join(",")), "{}");
        assert_eq!(said.len(), 101);
        assert_eq!(said[100], "there are 150 more faults");
    }

    #[test]
    fn what_is_composed_keeps_the_order_of_the_body() {
        let composed = compose(&json(BODY), UNSIGNED, PATH);
        assert_eq!(
            composed,
            r#"{"amount":{"currency":"ofcbtc","quantity":"1000"},"clientExternalId":"x","nonce":"n","connectionId":"0d1c7a55-53c5-4a39-8d38-2c3b6f1f7b11","enterpriseId":"e1"}"#
        );
        assert_eq!(compose(&json("{}"), &[], &[]), "{}");
        let null_and_own = r#"{"notes":null,"connectionId":"c"}"#;
        assert_eq!(
            compose(&json(null_and_own), &[], &PATH[..1]),
            r#"{"connectionId":"c"}"#
        );
    }

    fn any_scalar() -> impl Strategy<Value = Json> {
        prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            "[^\\x00]{0,5}".prop_map(Json::from),
        ]
    }

    fn any_object() -> impl Strategy<Value = Json> {
        let value = any_scalar().prop_recursive(3, 16, 4, |inner| {
            prop::collection::vec(("[a-c]", inner), 0..4)
                .prop_map(|members| Json::Object(members.into_iter().collect()))
        });
        prop::collection::vec(("[a-d]|payload", value), 0..6)
            .prop_map(|members| Json::Object(members.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn what_is_composed_passes(body in any_object()) {
            let payload = compose(&body, UNSIGNED, PATH);
            prop_assert_eq!(check(&payload, &body, PATH, UNSIGNED), Ok(()));
        }

        #[test]
        fn what_passes_holds_every_signed_member(body in any_object(), payload in any_object()) {
            if check(&payload.to_compact_string(), &body, &[], UNSIGNED).is_ok() {
                let kept = |json: &Json| -> Object {
                    let object = json.as_object().unwrap();
                    let members = present(object).filter(|(name, _)| *name != "payload");
                    members.map(|(name, value)| (name, value.clone())).collect()
                };
                prop_assert!(kept(&body) == kept(&payload));
            }
        }
    }
}
