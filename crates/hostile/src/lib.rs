//! What has to hold for any bytes that come in from outside, one property per parser. The fuzzer
//! (`fuzz/` at the top of the repository) looks for bytes that break a property, and the tests here
//! feed every file of its corpus to the same functions, so that what was found once stays found.
//! Nothing of this ships.
//!
//! A property is a function over bytes that panics where it is broken. It wants more than that
//! nothing breaks down: what was read and written again is the same, two readers that should agree
//! do agree, what is refused is refused with few and short words, and secrets are not repeated.

mod amounts;
mod connection_keys;
mod filters;
mod identifiers;
mod json;
mod network_file;
mod partner_answers;
mod partner_jwt;
mod payloads;
mod request_hmac;
mod requests;
mod signatures;
mod words;

/// A property, given as the function that panics where it is broken.
pub type Property = fn(&[u8]);

/// Every property with its name, which is also that of its fuzz target and of its corpus.
pub const PROPERTIES: &[(&str, Property)] = &[
    ("amounts", amounts::hold),
    ("connection_keys", connection_keys::hold),
    ("filters", filters::hold),
    ("identifiers", identifiers::hold),
    ("json", json::hold),
    ("network_file", network_file::hold),
    ("partner_answers", partner_answers::hold),
    ("partner_jwt", partner_jwt::hold),
    ("payloads", payloads::hold),
    ("request_hmac", request_hmac::hold),
    ("requests", requests::hold),
    ("signatures", signatures::hold),
];

/// The property of that name.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn property(name: &str) -> Property {
    let found = PROPERTIES.iter().find(|(own, _)| *own == name);
    found.expect("a property of that name").1
}
