//! Bearer tokens and request HMACs (OES wire §4.3).

use http::{HeaderMap, StatusCode, Uri, header, request::Parts};
use network::{Authentic, Presented};
use wire::request_hmac::{AuthVersion, verify_request};
use zeroize::Zeroizing;

use crate::{
    context::{self, AnswerHmac},
    error::ApiError,
};

/// The longest bearer that is looked up.
const BEARER_LENGTH_MAX: usize = 512;

/// How far the time of a signed request may be from ours, in milliseconds.
const CLOCK_SKEW_MAX_MS: u64 = 5 * 60 * 1_000;

fn refuse(name: &str, message: &str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, name, message)
}

/// The bearer of the `Authorization` header.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (given.next(), given.next()) {
        (Some(value), None) => value,
        (None, _) => {
            return Err(refuse(
                "missing_token",
                "send an access token as Authorization: Bearer …",
            ));
        }
        (Some(_), Some(_)) => {
            return Err(refuse(
                "malformed_token",
                "send one Authorization header only",
            ));
        }
    };
    let text = value.to_str().unwrap_or_default();
    let bearer = text
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, bearer)| bearer.trim());
    bearer
        .filter(|b| (1..=BEARER_LENGTH_MAX).contains(&b.len()))
        .filter(|b| b.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or_else(|| {
            refuse(
                "malformed_token",
                "the Authorization header has to be: Bearer, a space, an access token",
            )
        })
}

/// Checks the HMAC of a request that has one, or that has to have one because its bearer is only
/// the hash of a token. The answer to it will be signed.
pub(super) fn check_hmac(
    authentic: &Authentic,
    parts: &Parts,
    uri: &Uri,
    body: &[u8],
) -> Result<(), ApiError> {
    let wrong = |message| refuse("invalid_hmac", message);
    let text = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let Some(given) = text("hmac") else {
        return match authentic.presented {
            Presented::Token => Ok(()),
            Presented::Hash => Err(wrong("a hashed bearer needs the HMAC of the request")),
        };
    };
    let secret = authentic
        .secret
        .as_ref()
        .ok_or_else(|| wrong("this kind of access token cannot sign requests"))?;
    let version = AuthVersion::parse(text("bitgo-auth-version").unwrap_or("2.0"))
        .ok_or_else(|| wrong("the version of the HMAC has to be 2.0 or 3.0"))?;
    let timestamp = text("auth-timestamp")
        .ok_or_else(|| wrong("an HMAC needs the Auth-Timestamp of the request"))?;
    let sent_at: u64 = timestamp
        .parse()
        .map_err(|_| wrong("the Auth-Timestamp has to be milliseconds since 1970"))?;
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = since_epoch.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    });
    if now.abs_diff(sent_at) > CLOCK_SKEW_MAX_MS {
        return Err(wrong("the Auth-Timestamp is more than five minutes off"));
    }
    let path_and_query = uri
        .path_and_query()
        .map_or_else(|| uri.path().to_owned(), ToString::to_string);
    let method = parts.method.as_str();
    if !verify_request(
        secret,
        version,
        method,
        timestamp,
        &path_and_query,
        body,
        given,
    ) {
        return Err(wrong("the HMAC does not fit the request"));
    }
    let _ = context::current().answer_hmac.set(AnswerHmac {
        secret: Zeroizing::new(secret.to_string()),
        version,
    });
    Ok(())
}
