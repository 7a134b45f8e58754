//! The signed tokens of calls to partners. An input is a header and claims, both JSON, in two lines.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::Value;
use wire::partner_jwt::{Claims, JwtError, JwtSigner, JwtVerifier, LIFETIME_MAX_S};

use crate::words::{lines, text};

const NOW: i64 = 1_800_000_000;
const LEEWAY: i64 = 5;

struct Keys {
    signer: JwtSigner,
    verifier: JwtVerifier,
    /// The signer's own key, for signing what the signer never would.
    bare: EncodingKey,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let signer = JwtSigner::generate().expect("keys can be made");
    let verifier = JwtVerifier::from_public_pem(&signer.public_key_pem());
    let private = signer.private_key_pem().expect("keys can be written");
    let bare = EncodingKey::from_rsa_pem(private.as_bytes());
    Keys {
        verifier: verifier.expect("public keys can be read"),
        bare: bare.expect("private keys can be read"),
        signer,
    }
});

pub(crate) fn hold(bytes: &[u8]) {
    if let Some(token) = text(bytes) {
        assert!(verify(token).is_err(), "a token that nobody signed");
    }
    let [header, claims] = lines(bytes);
    what_is_signed_is_believed_within_its_time(claims);
    only_one_algorithm_is_believed(header, claims);
}

fn verify(token: &str) -> Result<Claims, JwtError> {
    KEYS.verifier.verify(token, NOW, LEEWAY)
}

/// A token with this header and these claims, with a good signature.
fn token(header: &[u8], claims: &[u8]) -> String {
    let head = URL_SAFE_NO_PAD.encode(header);
    let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims));
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &KEYS.bare, Algorithm::RS256);
    format!("{signed}.{}", signature.expect("the key signs"))
}

fn what_is_signed_is_believed_within_its_time(claims: &[u8]) {
    let verified = verify(&token(br#"{"alg":"RS256","typ":"JWT"}"#, claims));
    let read: Result<Claims, _> = serde_json::from_slice(claims);
    let Ok(read) = read else {
        assert_eq!(verified, Err(JwtError::Malformed));
        return;
    };
    let (iat, exp) = (i128::from(read.iat), i128::from(read.exp));
    let (now, leeway) = (i128::from(NOW), i128::from(LEEWAY));
    let expected = if !(0..=i128::from(LIFETIME_MAX_S) + leeway).contains(&(exp - iat)) {
        Err(JwtError::Lifetime)
    } else if iat > now + leeway {
        Err(JwtError::NotYetValid)
    } else if exp + leeway <= now {
        Err(JwtError::Expired)
    } else {
        Ok(read.clone())
    };
    assert_eq!(verified, expected);

    let own = KEYS.signer.sign(&read).expect("claims can be signed");
    assert_eq!(verify(&own), expected);
    // Neither the claims nor the last characters of the signature can be exchanged.
    let (kept, last) = own.split_at(own.len() - 1);
    for other in ["A", "Q", "g", "w", "-", "_", "=", ""] {
        assert!(other == last || verify(&format!("{kept}{other}")).is_err());
    }
    if let Some(place) = own.bytes().position(|byte| byte == b'.') {
        let mut bent = own.into_bytes();
        bent[place + 1] ^= 1;
        assert!(verify(&String::from_utf8_lossy(&bent)).is_err());
    }
}

fn only_one_algorithm_is_believed(header: &[u8], claims: &[u8]) {
    if verify(&token(header, claims)).is_ok() {
        let header: Value = serde_json::from_slice(header).expect("believed headers are JSON");
        assert_eq!(header["alg"], "RS256");
    }
}
