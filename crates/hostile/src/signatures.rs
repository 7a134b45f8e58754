//! Payload signatures and the keys that make and check them, in every spelling. An input is a
//! signature, a key and a payload in three lines; the payload is all the rest.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use wire::signature::{ExtendedKey, PublicKey, Signature, SigningKey};

use crate::words::{lines, text};

/// The key behind the good signatures of the corpus: the scalar 1. It protects nothing.
static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    let mut scalar = [0; 32];
    scalar[31] = 1;
    SigningKey::from_bytes(&scalar).expect("one is below the group order")
});

/// The order of the group, big-endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
    0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
];

pub(crate) fn hold(bytes: &[u8]) {
    let [signature, key, payload] = lines(bytes);
    what_was_signed_verifies(payload);
    if let Some(key) = text(key) {
        keys_have_one_meaning(key);
    }
    if let Some(signature) = text(signature) {
        nothing_else_verifies(signature, payload);
    }
}

fn what_was_signed_verifies(payload: &[u8]) {
    let key = KEY.public_key();
    let text = KEY.sign(payload);
    assert_eq!(text, KEY.sign(payload));
    let verifies = |text: &str, payload: &[u8]| {
        let signature = Signature::parse(text).expect("what was signed is well formed");
        signature.verifies(payload, &key)
    };
    assert!(verifies(&text, payload));
    assert!(verifies(&text.to_uppercase(), payload));
    assert!(!verifies(&text, &[payload, b"0"].concat()));
    assert!(!verifies(&twin(&text), payload));
}

/// The other signature over the same bytes, which anybody can make: the same r, the other s, the
/// other recovery id.
fn twin(signature: &str) -> String {
    let mut bytes = hex::decode(signature).expect("signatures are hex");
    bytes[0] = ((bytes[0] - 27) ^ 1) + 27;
    let mut borrow = 0;
    for (place, order) in bytes[33..].iter_mut().zip(ORDER).rev() {
        let difference = i16::from(order) - i16::from(*place) - borrow;
        borrow = i16::from(difference < 0);
        *place = difference.rem_euclid(256).to_le_bytes()[0];
    }
    hex::encode(bytes)
}

/// A signature that was not made with the key verifies for nobody but by being the same one.
fn nothing_else_verifies(sent: &str, payload: &[u8]) {
    let is_well_formed = sent.len() == 130
        && sent.bytes().all(|byte| byte.is_ascii_hexdigit())
        && matches!(u8::from_str_radix(&sent[..2], 16), Ok(27..=34));
    let signature = Signature::parse(sent);
    assert_eq!(signature.is_ok(), is_well_formed);
    if signature.is_ok_and(|signature| signature.verifies(payload, &KEY.public_key())) {
        assert_eq!(sent.to_lowercase()[2..], KEY.sign(payload)[2..]);
    }
}

/// A key that is read in one spelling is the same key in every other.
fn keys_have_one_meaning(sent: &str) {
    if let Ok(key) = PublicKey::from_hex(sent) {
        assert_eq!(key.to_hex(), sent.to_lowercase());
        assert_eq!(PublicKey::from_bytes(key.as_bytes()), Ok(key));
        assert_eq!(PublicKey::from_spki_base64(&spki(&key)), Ok(key));
    }
    if let Ok(key) = PublicKey::from_spki_base64(sent) {
        assert_eq!(PublicKey::from_hex(&key.to_hex()), Ok(key));
        let der = STANDARD.decode(sent).expect("it was decoded before");
        assert_eq!(STANDARD.encode(&der), sent);
        assert!(der.len() == 56 || der[23] == 4, "an uncompressed point");
    }
    if let Ok(key) = PublicKey::from_xpub(sent) {
        assert!(sent.starts_with("xpub"));
        assert_eq!(PublicKey::from_hex(&key.to_hex()), Ok(key));
        assert!(SigningKey::from_xprv(sent).is_err());
    }
    if let Ok(extended) = ExtendedKey::from_xprv(sent) {
        assert_eq!(*extended.xprv(), sent);
        let public = PublicKey::from_xpub(&extended.xpub());
        assert_eq!(public, Ok(extended.key.public_key()));
        assert!(PublicKey::from_xpub(sent).is_err());
    }
    if let Ok(root) = ExtendedKey::from_seed(sent.as_bytes()) {
        assert!((16..=64).contains(&sent.len()));
        assert_eq!(
            ExtendedKey::from_xprv(&root.xprv()).map(|again| again.xpub()),
            Ok(root.xpub())
        );
    }
}

fn spki(key: &PublicKey) -> String {
    let head = hex::decode("3036301006072a8648ce3d020106052b8104000a032200");
    let head = head.expect("the head is hex");
    STANDARD.encode([head.as_slice(), key.as_bytes()].concat())
}
