//! The signed token of calls from the network to a partner (OES wire §4.5): an RS256 JWT that names
//! the call and the hash of its body, valid for at most a minute. Here it is made and checked; that
//! a `jti` is used once, and that `iss` and `aud` are the expected ones, the receiver sees to.

use std::fmt;

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicEncryptingKey};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::pem;

/// The longest time from `iat` to `exp`, in seconds.
pub const LIFETIME_MAX_S: i64 = 60;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The network that calls.
    pub iss: String,
    /// The id of the partner that is called.
    pub aud: String,
    /// When the token was made, in seconds since 1970.
    pub iat: i64,
    /// Until when it holds, in seconds since 1970; at most [`LIFETIME_MAX_S`] after `iat`.
    pub exp: i64,
    /// Unique to this call; the partner takes each only once.
    pub jti: String,
    /// The HTTP method in upper case.
    pub method: String,
    /// The path with its query, as on the wire.
    pub path: String,
    /// What [`body_sha256`] gives for the body.
    #[serde(rename = "bodySha256")]
    pub body_sha256: String,
}

impl Claims {
    /// Whether the token is about this very call: same method, path with query, and body.
    #[must_use]
    pub fn covers(&self, method: &str, path_and_query: &str, body: &[u8]) -> bool {
        self.method == method
            && self.path == path_and_query
            && self.body_sha256 == body_sha256(body)
    }
}

/// SHA-256 of a body's bytes (none: of the empty string) in lower-case hex.
#[must_use]
pub fn body_sha256(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body))
}

/// A key that cannot be used, or a failure of the cryptographic library.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtKeyError {
    /// Not a PEM block with an RSA key of 2048 to 8192 bits, private in PKCS#8 form or public in
    /// SPKI form.
    #[error("not an RSA key of at least 2048 bits in PEM (PKCS#8 or SPKI)")]
    InvalidKey,
    /// The library failed while it made a key or a signature.
    #[error("the cryptographic library failed")]
    Library,
}

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    /// Not a JWT with the claims of [`Claims`].
    #[error("the token is malformed")]
    Malformed,
    /// Another algorithm than RS256, `none` included.
    #[error("the token is not signed with RS256")]
    Algorithm,
    /// The signature is not this key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `iat` lies ahead.
    #[error("the token comes from the future")]
    NotYetValid,
    /// `exp` is more than a minute after `iat`, or before it.
    #[error("the token's lifetime is not within a minute")]
    Lifetime,
}

/// The network's RSA key pair, which signs the tokens. Never shown by `Debug`.
pub struct JwtSigner {
    pair: KeyPair,
    public_der: Vec<u8>,
    key_id: String,
}

impl JwtSigner {
    /// A new key pair of 2048 bits. Takes a good part of a second.
    ///
    /// # Errors
    /// [`JwtKeyError::Library`] if the library fails.
    pub fn generate() -> Result<Self, JwtKeyError> {
        KeyPair::generate(KeySize::Rsa2048)
            .map_err(|_| JwtKeyError::Library)
            .and_then(Self::from_pair)
    }

    /// From a private key in PEM (`PRIVATE KEY`, PKCS#8).
    ///
    /// # Errors
    /// [`JwtKeyError::InvalidKey`] for any other form, another kind of key, or less than 2048 bits.
    pub fn from_pem(private_pem: &str) -> Result<Self, JwtKeyError> {
        pem::decode(pem::PRIVATE_KEY, private_pem)
            .and_then(|der| KeyPair::from_pkcs8(&der).ok())
            .ok_or(JwtKeyError::InvalidKey)
            .and_then(Self::from_pair)
    }

    fn from_pair(pair: KeyPair) -> Result<Self, JwtKeyError> {
        let der: PublicKeyX509Der<'_> = pair
            .public_key()
            .as_der()
            .map_err(|_| JwtKeyError::Library)?;
        let public_der = der.as_ref().to_vec();
        let mut key_id = hex::encode(Sha256::digest(&public_der));
        key_id.truncate(16);
        Ok(Self {
            pair,
            public_der,
            key_id,
        })
    }

    /// The `kid` in the header of every token: the first 16 characters of the hex SHA-256 of the
    /// public key (SPKI DER).
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The public key in PEM (`PUBLIC KEY`, SPKI), as partners are given it.
    #[must_use]
    pub fn public_key_pem(&self) -> String {
        pem::encode(pem::PUBLIC_KEY, &self.public_der).to_string()
    }

    /// The private key in PEM (`PRIVATE KEY`, PKCS#8): a secret.
    ///
    /// # Errors
    /// [`JwtKeyError::Library`] if the library fails.
    pub fn private_key_pem(&self) -> Result<Zeroizing<String>, JwtKeyError> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| JwtKeyError::Library)?;
        Ok(pem::encode(pem::PRIVATE_KEY, der.as_ref()))
    }

    /// The token that says these claims.
    ///
    /// # Errors
    /// [`JwtKeyError::Library`] if the library fails.
    pub fn sign(&self, claims: &Claims) -> Result<String, JwtKeyError> {
        // Put together here rather than by the JWT library, which would parse the private key
        // anew, and leave a copy of it in memory, for every token.
        let header = serde_json::json!({ "typ": "JWT", "alg": "RS256", "kid": self.key_id });
        let claims = serde_json::to_vec(claims).map_err(|_| JwtKeyError::Library)?;
        let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                token.as_bytes(),
                &mut signature,
            )
            .map_err(|_| JwtKeyError::Library)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }
}

impl fmt::Debug for JwtSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwtSigner({})", self.key_id)
    }
}

/// The network's public key, with which a partner checks the tokens.
#[derive(Clone)]
pub struct JwtVerifier(DecodingKey);

impl JwtVerifier {
    /// From a public key in PEM (`PUBLIC KEY`, SPKI).
    ///
    /// # Errors
    /// [`JwtKeyError::InvalidKey`] for any other form or kind of key, or less than 2048 bits.
    pub fn from_public_pem(public_pem: &str) -> Result<Self, JwtKeyError> {
        // The JWT library looks at the key only when it is used, so it is checked here.
        pem::decode(pem::PUBLIC_KEY, public_pem)
            .and_then(|der| PublicEncryptingKey::from_der(&der).ok())
            .and_then(|_| DecodingKey::from_rsa_pem(public_pem.as_bytes()).ok())
            .map(Self)
            .ok_or(JwtKeyError::InvalidKey)
    }

    /// Checks signature and times, and gives what the token says. `now_unix_s` is the present in
    /// seconds since 1970; `leeway_s` (seconds, not negative) is how far the two clocks may be
    /// apart.
    ///
    /// # Errors
    /// See [`JwtError`]; the algorithm is looked at before the signature, and both before the
    /// times.
    pub fn verify(&self, token: &str, now_unix_s: i64, leeway_s: i64) -> Result<Claims, JwtError> {
        let mut validation = Validation::new(Algorithm::RS256);
        // The library would ask the system's clock; the times are checked below instead. The
        // audience is the caller's to compare.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let claims = jsonwebtoken::decode::<Claims>(token, &self.0, &validation)
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature => JwtError::Signature,
                ErrorKind::InvalidAlgorithm => JwtError::Algorithm,
                _ => refused_header(token),
            })?
            .claims;
        let lifetime = claims.exp.saturating_sub(claims.iat);
        if !(0..=LIFETIME_MAX_S.saturating_add(leeway_s)).contains(&lifetime) {
            Err(JwtError::Lifetime)
        } else if claims.iat > now_unix_s.saturating_add(leeway_s) {
            Err(JwtError::NotYetValid)
        } else if claims.exp.saturating_add(leeway_s) <= now_unix_s {
            Err(JwtError::Expired)
        } else {
            Ok(claims)
        }
    }
}

/// Tells an algorithm that the library does not even know (`none`) from a broken token.
fn refused_header(token: &str) -> JwtError {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
    }
    let header = token
        .split('.')
        .next()
        .and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let header = header.and_then(|json| serde_json::from_slice::<Header>(&json).ok());
    match header {
        Some(header) if header.alg != "RS256" => JwtError::Algorithm,
        _ => JwtError::Malformed,
    }
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtVerifier")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use jsonwebtoken::{EncodingKey, Header};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    static SIGNER: LazyLock<JwtSigner> = LazyLock::new(|| JwtSigner::generate().unwrap());

    fn claims() -> Claims {
        Claims {
            iss: "tidelock".to_owned(),
            aud: "6f1b4c0e-6f0a-4d2c-9d52-0a4f3a9a1c01".to_owned(),
            iat: NOW,
            exp: NOW + 60,
            jti: "1".to_owned(),
            method: "POST".to_owned(),
            path: "/bitgo/v1/allocations?x=1".to_owned(),
            body_sha256: body_sha256(b"{}"),
        }
    }

    fn verifier() -> JwtVerifier {
        JwtVerifier::from_public_pem(&SIGNER.public_key_pem()).unwrap()
    }

    fn verify(token: &str) -> Result<Claims, JwtError> {
        verifier().verify(token, NOW, 5)
    }

    #[test]
    fn a_token_says_what_was_signed() {
        let token = SIGNER.sign(&claims()).unwrap();
        assert_eq!(verify(&token), Ok(claims()));
        let header = jsonwebtoken::decode_header(&token).unwrap();
        assert_eq!(header.alg, Algorithm::RS256);
        assert_eq!(header.kid.as_deref(), Some(SIGNER.key_id()));
        assert_eq!(SIGNER.key_id().len(), 16);
        let claims: serde_json::Value = serde_json::from_slice(
            &URL_SAFE_NO_PAD
                .decode(token.split('.').nth(1).unwrap())
                .unwrap(),
        )
        .unwrap();
        assert!(claims["bodySha256"].is_string());
    }

    #[test]
    fn keys_survive_their_pem() {
        let again = JwtSigner::from_pem(&SIGNER.private_key_pem().unwrap()).unwrap();
        assert_eq!(again.key_id(), SIGNER.key_id());
        assert_eq!(verify(&again.sign(&claims()).unwrap()), Ok(claims()));
        assert!(
            SIGNER
                .public_key_pem()
                .starts_with("-----BEGIN PUBLIC KEY-----\nMIIB")
        );
        assert_eq!(
            JwtSigner::from_pem(&SIGNER.public_key_pem()).unwrap_err(),
            JwtKeyError::InvalidKey
        );
        assert!(JwtSigner::from_pem("").is_err());
        assert!(JwtVerifier::from_public_pem("").is_err());
        assert!(JwtVerifier::from_public_pem(&SIGNER.private_key_pem().unwrap()).is_err());
        assert_eq!(
            format!("{:?}", *SIGNER),
            format!("JwtSigner({})", SIGNER.key_id())
        );
    }

    #[test]
    fn other_algorithms_are_refused() {
        let token = SIGNER.sign(&claims()).unwrap();
        let (_, signed_claims) = token.split_once('.').unwrap();
        let none = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"none"}"#);
        let unsigned = format!("{none}.{}.", signed_claims.split_once('.').unwrap().0);
        assert_eq!(verify(&unsigned), Err(JwtError::Algorithm));
        assert_eq!(
            verify(&format!("{none}.{signed_claims}")),
            Err(JwtError::Algorithm)
        );

        // The classic confusion: the public key as the secret of a symmetric algorithm.
        let secret = EncodingKey::from_secret(SIGNER.public_key_pem().as_bytes());
        let symmetric =
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims(), &secret).unwrap();
        assert_eq!(verify(&symmetric), Err(JwtError::Algorithm));

        let key = EncodingKey::from_rsa_pem(SIGNER.private_key_pem().unwrap().as_bytes()).unwrap();
        let longer = jsonwebtoken::encode(&Header::new(Algorithm::RS512), &claims(), &key).unwrap();
        assert_eq!(verify(&longer), Err(JwtError::Algorithm));
    }

    #[test]
    fn tampering_shows() {
        let token = SIGNER.sign(&claims()).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let tampered = serde_json::to_vec(&Claims {
            body_sha256: body_sha256(b"[]"),
            ..claims()
        })
        .unwrap();
        let tampered = format!(
            "{}.{}.{}",
            parts[0],
            URL_SAFE_NO_PAD.encode(tampered),
            parts[2]
        );
        assert_eq!(verify(&tampered), Err(JwtError::Signature));
        let other = JwtSigner::generate().unwrap().sign(&claims()).unwrap();
        assert_eq!(verify(&other), Err(JwtError::Signature));
        for malformed in ["", "a.b", "a.b.c", &format!("{}.{}", parts[0], parts[1])] {
            assert_eq!(verify(malformed), Err(JwtError::Malformed), "{malformed}");
        }
        let key = EncodingKey::from_rsa_pem(SIGNER.private_key_pem().unwrap().as_bytes()).unwrap();
        let bare = jsonwebtoken::encode(
            &Header::new(Algorithm::RS256),
            &serde_json::json!({"exp": NOW}),
            &key,
        );
        assert_eq!(verify(&bare.unwrap()), Err(JwtError::Malformed));
    }

    #[test]
    fn a_token_covers_one_call() {
        let claims = claims();
        assert!(claims.covers("POST", "/bitgo/v1/allocations?x=1", b"{}"));
        assert!(!claims.covers("POST", "/bitgo/v1/allocations?x=1", b"{ }"));
        assert!(!claims.covers("POST", "/bitgo/v1/allocations", b"{}"));
        assert!(!claims.covers("PUT", "/bitgo/v1/allocations?x=1", b"{}"));
    }

    #[test]
    fn times_are_held_against_the_given_present() {
        let at = |iat: i64, exp: i64| {
            verify(
                &SIGNER
                    .sign(&Claims {
                        iat,
                        exp,
                        ..claims()
                    })
                    .unwrap(),
            )
            .err()
        };
        assert_eq!(at(NOW - 60, NOW - 4), None);
        assert_eq!(at(NOW - 60, NOW - 5), Some(JwtError::Expired));
        assert_eq!(at(NOW + 5, NOW + 65), None);
        assert_eq!(at(NOW + 6, NOW + 60), Some(JwtError::NotYetValid));
        assert_eq!(at(NOW, NOW + 65), None);
        assert_eq!(at(NOW, NOW + 66), Some(JwtError::Lifetime));
        assert_eq!(at(NOW, NOW - 1), Some(JwtError::Lifetime));
        assert_eq!(at(i64::MIN, i64::MAX), Some(JwtError::Lifetime));
    }
}
