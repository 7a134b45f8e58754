//! Connection keys, their sealed form, and the PEM of the keys that seal and open. An input is a
//! key in JSON, a sealed text or a PEM block; three bytes bend a text that was sealed well.

use std::sync::LazyLock;

use wire::{
    body::Reader,
    connection_key::{ConnectionKey, SealError, is_public_key, is_sealed, open, seal},
    json::Json,
    partner_call::KeyFields,
    partner_jwt::{JwtSigner, JwtVerifier},
};

use crate::words::{SECRET, are_bounded, text};

struct Sealed {
    private_pem: String,
    text: String,
}

/// A text that was sealed, with the key that opens it.
static SEALED: LazyLock<Sealed> = LazyLock::new(|| {
    let pair = JwtSigner::generate().expect("keys can be made");
    let private = pair.private_key_pem().expect("keys can be written");
    Sealed {
        text: seal(SECRET, &pair.public_key_pem()).expect("texts can be sealed"),
        private_pem: private.to_string(),
    }
});

pub(crate) fn hold(bytes: &[u8]) {
    if let [high, low, bits] = bytes {
        bent_texts_stay_closed(usize::from(u16::from_be_bytes([*high, *low])), *bits);
    }
    if let Ok(json) = Json::parse(bytes) {
        keys_keep_their_members(&json);
    }
    if let Some(sent) = text(bytes) {
        sealed_texts_have_their_form(sent);
        pem_is_read_the_same_everywhere(sent);
    }
}

fn keys_keep_their_members(json: &Json) {
    let Ok(reader) = Reader::new(json) else {
        return;
    };
    let Some(key) = ConnectionKey::read(&reader) else {
        let faults = reader.ok().expect_err("what is no key has faults");
        return are_bounded(&faults);
    };
    assert_eq!(reader.ok(), Ok(()));
    let written = key.to_json();
    let again = Reader::new(&written)
        .ok()
        .and_then(|reader| ConnectionKey::read(&reader));
    assert!(again.as_ref() == Some(&key));
    assert!(KeyFields::from(key.clone()).key(key.schema()).as_ref() == Some(&key));
    assert_eq!(
        key.is_sealed(),
        key.secret_fields().all(|(_, secret)| is_sealed(secret))
    );
    let shown = format!("{key:?} {:?} {json:?}", KeyFields::from(key.clone()));
    let mut secrets = key.secret_fields().map(|(_, secret)| secret);
    assert!(!secrets.any(|secret| secret.starts_with(SECRET) && shown.contains(secret)));
}

fn sealed_texts_have_their_form(sent: &str) {
    let opened = open(sent, &SEALED.private_pem);
    if is_sealed(sent) {
        assert_eq!(opened, Err(SealError::Unopened), "sealed for somebody else");
        let (first, second) = sent.split_once('\n').expect("two lines");
        assert!((344..=684).contains(&first.len()) && second.len() >= 64);
        assert!(second.starts_with("AQ"), "version 1");
        assert!(!second.contains('\n') && !sent.contains(' '));
    } else {
        assert_eq!(opened, Err(SealError::Shape));
    }
}

/// A sealed text with one character changed does not open, and so never to another text.
fn bent_texts_stay_closed(place: usize, bits: u8) {
    let Sealed { text, private_pem } = &*SEALED;
    let mut bent = text.clone().into_bytes();
    let place = place % bent.len();
    bent[place] ^= bits & 0x7f;
    let bent = String::from_utf8(bent).expect("it is ASCII still");
    match open(&bent, private_pem) {
        Ok(plain) => assert!(bent == *text && *plain == SECRET),
        Err(_) => assert!(bent != *text),
    }
}

fn pem_is_read_the_same_everywhere(sent: &str) {
    let is_public = sent.contains("PUBLIC KEY");
    if is_public_key(sent) {
        assert!(is_public);
        let sealed = seal(SECRET, sent).expect("a key that seals");
        assert!(is_sealed(&sealed));
        assert!(JwtVerifier::from_public_pem(sent).is_ok());
    }
    if let Ok(signer) = JwtSigner::from_pem(sent) {
        let again = signer.private_key_pem().ok();
        let again = again.and_then(|pem| JwtSigner::from_pem(&pem).ok());
        assert_eq!(
            again.expect("what was written is readable").key_id(),
            signer.key_id()
        );
        assert!(JwtVerifier::from_public_pem(&signer.public_key_pem()).is_ok());
    }
}
