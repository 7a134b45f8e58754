//! The request HMAC of bearer tokens (OES wire §4.3): what a caller signs, what the network signs
//! in its answer, and the forms of tokens. Finding a token, its scopes and its expiry, and whether
//! a timestamp is too old, is left to the server.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// How tokens that take part in the scheme begin.
const V2X_PREFIX: &str = "v2x";

/// Random bytes in a `v2x` token.
const V2X_BYTES: usize = 32;

/// Which of the two subjects is signed, from the header `BitGo-Auth-Version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthVersion {
    /// `2.0`: neither the method nor the version is signed.
    V2,
    /// `3.0`: the method is signed, in requests also the version.
    V3,
}

impl AuthVersion {
    /// Reads the header's text: `2.0` or `2`, `3.0` or `3`.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        match header {
            "2.0" | "2" => Some(Self::V2),
            "3.0" | "3" => Some(Self::V3),
            _ => None,
        }
    }

    /// The header's text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2 => "2.0",
            Self::V3 => "3.0",
        }
    }
}

/// What the HMAC of a request covers: `timestamp|path?query|body` in version 2,
/// `METHOD|timestamp|3.0|path?query|body` in version 3.
///
/// `method` in upper case, `timestamp` the text of `Auth-Timestamp` (milliseconds since 1970),
/// `path_and_query` as on the wire, `body` the exact bytes (none: empty).
#[must_use]
pub fn request_subject(
    version: AuthVersion,
    method: &str,
    timestamp: &str,
    path_and_query: &str,
    body: &[u8],
) -> Vec<u8> {
    let head = match version {
        AuthVersion::V2 => format!("{timestamp}|{path_and_query}|"),
        AuthVersion::V3 => format!("{method}|{timestamp}|3.0|{path_and_query}|"),
    };
    [head.as_bytes(), body].concat()
}

/// What the HMAC of an answer covers: `timestamp|path?query|status|body` in version 2,
/// `METHOD|timestamp|path?query|status|body` in version 3.
///
/// `method` and `path_and_query` are those of the request, `timestamp` is the text of the answer's
/// own header, `body` is not yet compressed.
#[must_use]
pub fn response_subject(
    version: AuthVersion,
    method: &str,
    timestamp: &str,
    path_and_query: &str,
    status: u16,
    body: &[u8],
) -> Vec<u8> {
    let head = match version {
        AuthVersion::V2 => format!("{timestamp}|{path_and_query}|{status}|"),
        AuthVersion::V3 => format!("{method}|{timestamp}|{path_and_query}|{status}|"),
    };
    [head.as_bytes(), body].concat()
}

/// The header `HMAC` of a request, in lower-case hex; the key is the raw token's text. The
/// arguments are those of [`request_subject`].
#[must_use]
pub fn request_hmac(
    token: &str,
    version: AuthVersion,
    method: &str,
    timestamp: &str,
    path_and_query: &str,
    body: &[u8],
) -> String {
    let subject = request_subject(version, method, timestamp, path_and_query, body);
    hex::encode(mac(token, &subject).finalize().into_bytes())
}

/// The header `hmac` of an answer, in lower-case hex; the key is the raw token's text. The
/// arguments are those of [`response_subject`].
#[must_use]
pub fn response_hmac(
    token: &str,
    version: AuthVersion,
    method: &str,
    timestamp: &str,
    path_and_query: &str,
    status: u16,
    body: &[u8],
) -> String {
    let subject = response_subject(version, method, timestamp, path_and_query, status, body);
    hex::encode(mac(token, &subject).finalize().into_bytes())
}

/// Whether `given` (hex, either case) is the HMAC of this request; compared in constant time. The
/// other arguments are those of [`request_hmac`].
#[must_use]
pub fn verify_request(
    token: &str,
    version: AuthVersion,
    method: &str,
    timestamp: &str,
    path_and_query: &str,
    body: &[u8],
    given: &str,
) -> bool {
    let subject = request_subject(version, method, timestamp, path_and_query, body);
    verify(token, &subject, given)
}

/// Whether `given` (hex, either case) is the HMAC of this answer; compared in constant time. For
/// clients, which find `given` in the header `hmac`; `answer` is what [`response_subject`] gives.
#[must_use]
pub fn verify_response(token: &str, answer: &[u8], given: &str) -> bool {
    verify(token, answer, given)
}

fn verify(token: &str, subject: &[u8], given: &str) -> bool {
    hex::decode(given).is_ok_and(|given| mac(token, subject).verify_slice(&given).is_ok())
}

fn mac(token: &str, subject: &[u8]) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(subject);
    mac
}

/// SHA-256 of a token's text: what the network finds it by, and in lower-case hex what a caller of
/// the HMAC scheme sends as bearer.
#[must_use]
pub fn token_hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Whether the text has the form of a token of the HMAC scheme: `v2x` and 64 characters of
/// lower-case hex.
#[must_use]
pub fn is_v2x(token: &str) -> bool {
    token.strip_prefix(V2X_PREFIX).is_some_and(|rest| {
        rest.len() == 2 * V2X_BYTES
            && rest
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// A new token of the HMAC scheme: a secret of 256 random bits, 67 characters.
#[must_use]
pub fn generate_v2x() -> String {
    let mut bytes = Zeroizing::new([0; V2X_BYTES]);
    rand::fill(bytes.as_mut_slice());
    format!(
        "{V2X_PREFIX}{}",
        Zeroizing::new(hex::encode(bytes.as_slice())).as_str()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_verifies_only_as_it_was_signed() {
        let token = generate_v2x();
        let hmac = request_hmac(&token, AuthVersion::V3, "POST", "1", "/p?q=1", b"{}");
        let verify = |version, method, timestamp, path, body: &[u8], given: &str| {
            verify_request(&token, version, method, timestamp, path, body, given)
        };
        assert!(verify(AuthVersion::V3, "POST", "1", "/p?q=1", b"{}", &hmac));
        assert!(verify(
            AuthVersion::V3,
            "POST",
            "1",
            "/p?q=1",
            b"{}",
            &hmac.to_uppercase()
        ));
        assert!(!verify(
            AuthVersion::V2,
            "POST",
            "1",
            "/p?q=1",
            b"{}",
            &hmac
        ));
        assert!(!verify(AuthVersion::V3, "PUT", "1", "/p?q=1", b"{}", &hmac));
        assert!(!verify(
            AuthVersion::V3,
            "POST",
            "2",
            "/p?q=1",
            b"{}",
            &hmac
        ));
        assert!(!verify(AuthVersion::V3, "POST", "1", "/p", b"{}", &hmac));
        assert!(!verify(
            AuthVersion::V3,
            "POST",
            "1",
            "/p?q=1",
            b"{ }",
            &hmac
        ));
        for wrong in ["", "00", "zz", &hmac[..62], &format!("{hmac}00")] {
            assert!(!verify(
                AuthVersion::V3,
                "POST",
                "1",
                "/p?q=1",
                b"{}",
                wrong
            ));
        }
        assert!(!verify_request(
            &generate_v2x(),
            AuthVersion::V3,
            "POST",
            "1",
            "/p?q=1",
            b"{}",
            &hmac
        ));
    }

    #[test]
    fn tokens_have_their_form() {
        let token = generate_v2x();
        assert_eq!(token.len(), 67);
        assert!(is_v2x(&token));
        assert_ne!(token, generate_v2x());
        for wrong in [
            "",
            "v2x",
            &token[..66],
            &format!("{token}0"),
            &token.to_uppercase(),
            &format!("v3x{}", &token[3..]),
        ] {
            assert!(!is_v2x(wrong));
        }
    }

    #[test]
    fn versions_have_two_spellings() {
        assert_eq!(AuthVersion::parse("2.0"), Some(AuthVersion::V2));
        assert_eq!(AuthVersion::parse("2"), Some(AuthVersion::V2));
        assert_eq!(
            AuthVersion::parse(AuthVersion::V3.as_str()),
            Some(AuthVersion::V3)
        );
        assert_eq!(AuthVersion::parse("3"), Some(AuthVersion::V3));
        assert_eq!(AuthVersion::parse("4.0"), None);
        assert_eq!(AuthVersion::parse(""), None);
    }
}
