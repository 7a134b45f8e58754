//! How a call reaches a partner and its answer comes back: over HTTP, or within the process where
//! a partner is simulated. What is asked and what an answer means is the same for all.

use std::future::Future;
use std::pin::Pin;

use reqwest::{Method, StatusCode};
use url::Url;

use crate::endpoint::Endpoint;

/// A call on its way out.
#[derive(Clone, Debug)]
pub struct Outgoing<'call> {
    /// Whom it is for.
    pub endpoint: &'call Endpoint,
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// JSON; empty where there is nothing to say.
    pub body: Vec<u8>,
}

/// What came back over the wire.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status of the answer.
    pub status: StatusCode,
    /// The whole body.
    pub body: Vec<u8>,
}

/// The answer to a call, or what kept it from being answered, for the operator.
pub type Exchanged<'call> = Pin<Box<dyn Future<Output = Result<Reply, String>> + Send + 'call>>;

/// A way for calls to travel.
pub trait Transport: Send + Sync {
    /// Makes one attempt. The caller bounds it in time.
    fn exchange<'call>(&'call self, call: Outgoing<'call>) -> Exchanged<'call>;
}
