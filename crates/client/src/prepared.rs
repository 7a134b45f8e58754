//! Requests as bytes, made once and sent when wanted.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use reqwest::Method;
use serde::Serialize;
use wire::api::signed::{Content, Signed};
use wire::json::Json;
use wire::payload;

use crate::transport::Call;
use crate::{Client, ClientError};

/// A request that is ready to be sent with [`Client::send`] and answers a `T`. Sent again, it is
/// the same request to the last byte.
pub struct Prepared<T> {
    pub(crate) call: Call,
    answer: PhantomData<fn() -> T>,
}

impl<T> Prepared<T> {
    /// A request that reads, with its query.
    pub(crate) fn get(path: String, pairs: Vec<(&'static str, String)>) -> Self {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(pairs).finish();
        let path = match query.as_str() {
            "" => path,
            query => format!("{path}?{query}"),
        };
        Self::new(Method::GET, path, Bytes::new())
    }

    /// A request with a JSON body.
    pub(crate) fn write(
        method: Method,
        path: String,
        body: &impl Serialize,
    ) -> Result<Self, ClientError> {
        Ok(Self::new(method, path, json(body)?.into()))
    }

    /// A request that says all it says in its path.
    pub(crate) fn bare(method: Method, path: String) -> Self {
        Self::new(method, path, Bytes::new())
    }

    fn new(method: Method, path: String, body: Bytes) -> Self {
        Self {
            call: Call {
                method,
                path,
                body,
                repeatable: true,
            },
            answer: PhantomData,
        }
    }

    /// The path from `/api`, with the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.call.path
    }

    /// The body, JSON or empty.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.call.body
    }
}

impl<T> Clone for Prepared<T> {
    fn clone(&self) -> Self {
        Self {
            call: self.call.clone(),
            answer: PhantomData,
        }
    }
}

/// Shows the way and the length, since bodies can hold connection keys.
impl<T> fmt::Debug for Prepared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Call {
            method, path, body, ..
        } = &self.call;
        write!(f, "Prepared({method} {path}, {} bytes)", body.len())
    }
}

impl Client {
    /// Draws a nonce if there is none, composes the payload, signs it and puts the body together.
    /// `path` has the members of the path that are signed too.
    pub(crate) fn sign<C: Content, T>(
        &self,
        method: Method,
        tail: &str,
        path: &[(&str, &str)],
        content: C,
    ) -> Result<Prepared<T>, ClientError> {
        self.sign_to(method, self.path(tail), path, content)
    }

    /// The same, to a whole path.
    pub(crate) fn sign_to<C: Content, T>(
        &self,
        method: Method,
        to: String,
        path: &[(&str, &str)],
        mut content: C,
    ) -> Result<Prepared<T>, ClientError> {
        let key = self.key.as_ref().ok_or(ClientError::NoSigningKey)?;
        let nonce = content.nonce_mut();
        if nonce.is_empty() {
            *nonce = fresh_nonce();
        }
        let body = Json::parse(&json(&content)?)
            .map_err(|error| ClientError::Unusable(format!("request: {error}")))?;
        let payload = payload::compose(&body, C::UNSIGNED, path);
        let signature = key.sign(&payload);
        let signed = Signed {
            content,
            payload,
            signature,
        };
        Prepared::write(method, to, &signed)
    }
}

/// A nonce: 32 random bytes in hexadecimal.
#[must_use]
pub fn fresh_nonce() -> String {
    let mut bytes = [0_u8; 32];
    rand::fill(&mut bytes);
    hex::encode(bytes)
}

pub(crate) fn json(value: &impl Serialize) -> Result<Vec<u8>, ClientError> {
    serde_json::to_vec(value).map_err(|error| ClientError::Unusable(format!("request: {error}")))
}
