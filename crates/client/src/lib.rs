//! A typed client of the network's API: it composes and signs payloads, sends them, and repeats
//! what is safe to repeat until the outcome is known. Requests and answers are those of
//! [`wire::api`]; nothing is decided here.
//!
//! A [`Client`] acts for one enterprise, with one token and, where it signs, one key. It may be
//! cloned freely, and clones share their connections. Whoever signs ahead of time takes a
//! [`Prepared`] request and sends it later, once or more often.
//!
//! ```no_run
//! # use client::{Client, ClientError};
//! # use wire::{api::{allocations::NewAllocation, quantity::ClientAmount}, signature::SigningKey};
//! # async fn allocate(key: SigningKey, connection: uuid::Uuid, amount: ClientAmount) -> Result<(), ClientError> {
//! let client = Client::new("http://127.0.0.1:8080", "e1", "token")?.with_signing_key(key);
//! let accepted = client
//!     .allocate(connection, NewAllocation {
//!         amount,
//!         client_external_id: "today-1".to_owned(),
//!         nonce: String::new(), // a fresh one is drawn
//!         notes: None,
//!     })
//!     .await?;
//! # drop(accepted);
//! # Ok(())
//! # }
//! ```

mod as_client;
mod as_partner;
mod error;
pub mod network_file;
mod operator;
mod prepared;
mod retry;
mod transport;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use wire::signature::SigningKey;

pub use error::{ClientError, PostedAllocation, Record, Refusal};
pub use operator::OperatorClient;
pub use prepared::{Prepared, fresh_nonce};
pub use retry::Retry;

use transport::Transport;

/// Acts for one enterprise. `Debug` shows neither token nor key.
///
/// Operations are named after what they do; the ones that clients and partners both have say which
/// side they are (`client_connections`, `partner_connections`). Where a request has a nonce and it
/// is empty, a fresh one is drawn.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    enterprise_id: String,
    key: Option<Arc<SigningKey>>,
}

impl Client {
    /// A client that signs nothing and repeats as [`Retry::default`] says.
    ///
    /// `base_url` is the network's address, with a path before `/api` if there is one. The
    /// enterprise id must be plain: it becomes part of paths as it is.
    ///
    /// # Errors
    /// [`ClientError::Unusable`] if the address is none, the token cannot be sent in a header, or
    /// the system offers no TLS.
    pub fn new(base_url: &str, enterprise_id: &str, token: &str) -> Result<Self, ClientError> {
        Ok(Self {
            transport: Transport::new(base_url, token, Some(enterprise_id))?,
            enterprise_id: enterprise_id.to_owned(),
            key: None,
        })
    }

    /// A client of the operator API.
    ///
    /// # Errors
    /// Those of [`Client::new`].
    pub fn operator(base_url: &str, token: &str) -> Result<OperatorClient, ClientError> {
        OperatorClient::new(base_url, token)
    }

    /// The same client with a key to sign with.
    #[must_use]
    pub fn with_signing_key(self, key: SigningKey) -> Self {
        self.with_shared_signing_key(Arc::new(key))
    }

    /// The same client with a key that others sign with too.
    #[must_use]
    pub fn with_shared_signing_key(mut self, key: Arc<SigningKey>) -> Self {
        self.key = Some(key);
        self
    }

    /// The same client with another policy of repeating.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.transport.retry = retry;
        self
    }

    /// A client for another enterprise of the same network, over the same connections and with the
    /// same policy of repeating; it has no signing key yet.
    ///
    /// # Errors
    /// [`ClientError::Unusable`] if the token cannot be sent in a header.
    pub fn acting_for(&self, enterprise_id: &str, token: &str) -> Result<Self, ClientError> {
        Ok(Self {
            transport: self.transport.with_identity(token, Some(enterprise_id))?,
            enterprise_id: enterprise_id.to_owned(),
            key: None,
        })
    }

    /// The enterprise that it acts for.
    #[must_use]
    pub fn enterprise_id(&self) -> &str {
        &self.enterprise_id
    }

    /// Sends a prepared request, and the same bytes again while the outcome is open and the policy
    /// allows it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if the network said no, [`ClientError::Unreachable`] if it said
    /// nothing, [`ClientError::Unreadable`] if its answer is not what was expected.
    pub async fn send<T: DeserializeOwned>(
        &self,
        prepared: &Prepared<T>,
    ) -> Result<T, ClientError> {
        let answer = self.transport.send(&prepared.call).await?;
        serde_json::from_slice(&answer).map_err(ClientError::Unreadable)
    }

    /// The path of an operation of the enterprise.
    fn path(&self, tail: &str) -> String {
        self.path_of("v1", tail)
    }

    /// The path of an operation in this version.
    fn path_of(&self, version: &str, tail: &str) -> String {
        let enterprise = &self.enterprise_id;
        format!("/api/network/{version}/enterprises/{enterprise}{tail}")
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("enterprise_id", &self.enterprise_id)
            .field("transport", &self.transport)
            .field("key", &self.key)
            .finish()
    }
}
