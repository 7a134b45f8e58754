//! A thin client of the operator API: paths and JSON, without types of its own.

use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use crate::prepared::json;
use crate::transport::{Call, Transport};
use crate::{ClientError, Retry};

/// Acts as an operator. Paths are those after `/api/operator/v1`, with a leading slash and, if
/// wanted, a query.
///
/// GET and PUT are repeated as the policy says. POST is sent once: not all of them are known to act
/// once when they come twice.
#[derive(Clone, Debug)]
pub struct OperatorClient {
    transport: Transport,
}

impl OperatorClient {
    /// A client that repeats as [`Retry::default`] says.
    ///
    /// # Errors
    /// [`ClientError::Unusable`] if the address is none, the token cannot be sent in a header, or
    /// the system offers no TLS.
    pub fn new(base_url: &str, token: &str) -> Result<Self, ClientError> {
        let transport = Transport::new(base_url, token, None)?;
        Ok(Self { transport })
    }

    /// The same client with another policy of repeating.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.transport.retry = retry;
        self
    }

    /// Reads.
    ///
    /// # Errors
    /// Those of [`Client::send`](crate::Client::send).
    pub async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.send(Method::GET, path, Vec::new(), true).await
    }

    /// Makes something.
    ///
    /// # Errors
    /// Those of [`Client::send`](crate::Client::send), and [`ClientError::Unusable`] if the body is
    /// no JSON.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Value, ClientError> {
        self.send(Method::POST, path, json(body)?, false).await
    }

    /// Changes something.
    ///
    /// # Errors
    /// Those of [`Client::send`](crate::Client::send), and [`ClientError::Unusable`] if the body is
    /// no JSON.
    pub async fn put(&self, path: &str, body: &impl Serialize) -> Result<Value, ClientError> {
        self.send(Method::PUT, path, json(body)?, true).await
    }

    /// Removes something. What is gone already is gone.
    ///
    /// # Errors
    /// Those of [`Client::send`](crate::Client::send).
    pub async fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.send(Method::DELETE, path, Vec::new(), true).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
        repeatable: bool,
    ) -> Result<Value, ClientError> {
        let call = Call {
            method,
            path: format!("/api/operator/v1{path}"),
            body: body.into(),
            repeatable,
        };
        let answer = self.transport.send(&call).await?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&answer).map_err(ClientError::Unreadable)
    }
}
