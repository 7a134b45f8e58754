//! Strict JSON. An input is a document.

use std::{collections::HashSet, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use wire::json::{DEPTH_MAX, Json};

use crate::words::text;

pub(crate) fn hold(bytes: &[u8]) {
    let read = Json::parse(bytes);
    let is_grammatical =
        text(bytes).is_some_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
    match &read {
        Ok(json) => {
            assert!(is_grammatical);
            what_is_written_reads_the_same(json);
        }
        Err(error) => {
            assert!(error.path.len() <= 4_096 && error.message.len() <= 256);
            assert!(!error.message.is_empty());
        }
    }
    // Another reader finds for itself whether there is a reason to refuse. It cannot tell where it
    // fails by itself, at numbers beyond its own types and at escapes that are no characters.
    let mut facts = Facts::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    if is_grammatical && deepest(bytes) < 100 && facts.at(0).deserialize(&mut reader).is_ok() {
        assert_eq!(read.is_ok(), !facts.is_refusable, "{read:?}");
    }
}

fn what_is_written_reads_the_same(json: &Json) {
    let written = json.to_compact_string();
    let again = Json::parse(written.as_bytes()).expect("what was written is readable");
    assert!(again == *json);
    assert!(*json == again);
    assert_eq!(again.to_compact_string(), written);
}

/// How many brackets are open at once at most, those in strings counted too.
fn deepest(bytes: &[u8]) -> usize {
    let mut open = 0_usize;
    let mut deepest = 0;
    for byte in bytes {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

/// What another reader finds in a document.
#[derive(Default)]
struct Facts {
    is_refusable: bool,
}

impl Facts {
    fn at(&mut self, depth: usize) -> Place<'_> {
        Place { facts: self, depth }
    }

    fn see(&mut self, string: &str) {
        self.is_refusable |= string.contains('\0');
    }
}

/// A value within so many arrays and objects.
struct Place<'a> {
    facts: &'a mut Facts,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, string: &str) -> Result<(), E> {
        self.facts.see(string);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.facts.is_refusable |= self.depth == DEPTH_MAX;
        while seq
            .next_element_seed(self.facts.at(self.depth + 1))?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.facts.is_refusable |= self.depth == DEPTH_MAX;
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            self.facts.see(&name);
            self.facts.is_refusable |= !names.insert(name);
            map.next_value_seed(self.facts.at(self.depth + 1))?;
        }
        Ok(())
    }
}
