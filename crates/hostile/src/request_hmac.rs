//! The HMACs of requests and answers, and the forms of tokens. An input is a version, a method, a
//! time, a path with its query, an HMAC or a token, and a body, in six lines; the body is all the
//! rest.

use wire::request_hmac::{
    AuthVersion, is_v2x, request_hmac, request_subject, response_hmac, response_subject,
    token_hash, verify_request, verify_response,
};

use crate::words::{lines, text};

/// A token that opens nothing.
const TOKEN: &str = "v2x0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub(crate) fn hold(bytes: &[u8]) {
    let [version, method, time, path, given, body] = lines(bytes);
    let texts = [version, method, time, path, given].map(text);
    let [
        Some(version),
        Some(method),
        Some(time),
        Some(path),
        Some(given),
    ] = texts
    else {
        return;
    };
    if let Some(version) = AuthVersion::parse(version) {
        assert_eq!(AuthVersion::parse(version.as_str()), Some(version));
    }
    tokens_have_one_form(given);
    for version in [AuthVersion::V2, AuthVersion::V3] {
        let call = Call {
            version,
            method,
            time,
            path,
            body,
        };
        call.only_its_own_hmac_verifies(given);
        call.its_parts_cannot_be_shifted();
    }
}

fn tokens_have_one_form(given: &str) {
    let digits = given.strip_prefix("v2x").unwrap_or_default();
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    assert_eq!(
        is_v2x(given),
        digits.len() == 64 && digits.bytes().all(is_hex)
    );
    assert!(given == TOKEN || token_hash(given) != token_hash(TOKEN));
}

struct Call<'a> {
    version: AuthVersion,
    method: &'a str,
    time: &'a str,
    path: &'a str,
    body: &'a [u8],
}

impl Call<'_> {
    fn only_its_own_hmac_verifies(&self, given: &str) {
        let Self {
            version,
            method,
            time,
            path,
            body,
        } = *self;
        let own = request_hmac(TOKEN, version, method, time, path, body);
        let verifies =
            |given: &str| verify_request(TOKEN, version, method, time, path, body, given);
        assert!(verifies(&own) && verifies(&own.to_uppercase()));
        assert_eq!(verifies(given), given.to_lowercase() == own);
        assert!(!verifies(&own[..62]) && !verifies(&format!("{own}00")) && !verifies(""));
        let longer = [body, b"0"].concat();
        assert!(!verify_request(
            TOKEN, version, method, time, path, &longer, &own
        ));
        // An answer is never taken for a request, nor one request for another's answer.
        let answer = response_hmac(TOKEN, version, method, time, path, 200, body);
        let subject = response_subject(version, method, time, path, 200, body);
        assert!(verify_response(TOKEN, &subject, &answer));
        assert_ne!(answer, own);
        assert_eq!(
            verify_response(TOKEN, &subject, given),
            given.to_lowercase() == answer
        );
    }

    /// Where no part before the body holds the separator, the subject tells its parts apart.
    fn its_parts_cannot_be_shifted(&self) {
        if [self.method, self.time, self.path]
            .iter()
            .any(|part| part.contains('|'))
        {
            return;
        }
        let (method, time, path) = (
            self.method.as_bytes(),
            self.time.as_bytes(),
            self.path.as_bytes(),
        );
        let parts: &[&[u8]] = match self.version {
            AuthVersion::V2 => &[time, path, self.body],
            AuthVersion::V3 => &[method, time, b"3.0", path, self.body],
        };
        let subject = request_subject(self.version, self.method, self.time, self.path, self.body);
        let split: Vec<&[u8]> = subject.splitn(parts.len(), |byte| *byte == b'|').collect();
        assert_eq!(split, parts);
    }
}
