//! The caller: one bounded exchange per call, and what its answer means.

use std::collections::HashMap;

use ledger::Timestamp;
use prometheus_client::registry::Registry;
use reqwest::Method;
use serde::Serialize;
use wire::partner_call::{ConnectRequest, FinalizeRequest, MovementRequest};
use wire::partner_jwt::JwtSigner;

use crate::answer::{
    ConnectAnswer, ReserveAnswer, StatusAnswer, TellAnswer, read_connect, read_finalize,
    read_reserve, read_status, read_tell,
};
use crate::endpoint::{Call, Ending, Endpoint};
use crate::http::Http;
use crate::metrics::Metrics;
use crate::transport::{Outgoing, Reply, Transport};

/// Calls partners. Meant to be shared; connections are kept and used again.
pub struct PartnerCaller {
    transport: Box<dyn Transport>,
    metrics: Metrics,
}

impl PartnerCaller {
    /// A caller with the keys that configurations name by `jwt_key_id`, and the clock of the
    /// process, which dates the signatures.
    #[must_use]
    pub fn new(
        signers: HashMap<String, JwtSigner>,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self::over(Http::new(signers, clock))
    }

    /// A caller whose calls travel in another way than over HTTP.
    #[must_use]
    pub fn over(transport: impl Transport + 'static) -> Self {
        Self {
            transport: Box::new(transport),
            metrics: Metrics::default(),
        }
    }

    /// Adds the figures of calls to partners.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    /// H1: asks the partner to accept a connection.
    pub async fn connect(&self, endpoint: &Endpoint, request: &ConnectRequest) -> ConnectAnswer {
        let reply = self.post(endpoint, Call::Connect, request).await;
        read_connect(request, reply)
    }

    /// H2 or H5: asks the partner to reserve a movement.
    pub async fn reserve(&self, endpoint: &Endpoint, request: &MovementRequest) -> ReserveAnswer {
        let reply = self
            .post(endpoint, Call::Reserve(request.subject), request)
            .await;
        read_reserve(request, reply)
    }

    /// H8: asks how far a movement has come. The request is the one that was, or would have been,
    /// made; a partner that knows the id with another amount is not believed.
    pub async fn status(&self, endpoint: &Endpoint, request: &MovementRequest) -> StatusAnswer {
        let call = Call::Status(request.subject);
        let reply = self.exchange(endpoint, Method::GET, call, Vec::new()).await;
        read_status(request, reply)
    }

    /// H3, H4, H6 or H7: tells the partner how a movement ended.
    pub async fn tell(
        &self,
        endpoint: &Endpoint,
        ending: Ending,
        request: &MovementRequest,
    ) -> TellAnswer {
        let call = Call::Tell(request.subject, ending);
        let reply = match body_of(request) {
            Ok(body) => self.exchange(endpoint, Method::PUT, call, body).await,
            Err(error) => Err(error),
        };
        read_tell(request, reply)
    }

    /// H9: tells the partner the final amounts of a settlement.
    pub async fn finalize(&self, endpoint: &Endpoint, request: &FinalizeRequest) -> TellAnswer {
        let call = Call::Finalize(request.settlement_id);
        let reply = match body_of(request) {
            Ok(body) => self.exchange(endpoint, Method::PUT, call, body).await,
            Err(error) => Err(error),
        };
        read_finalize(reply)
    }

    async fn post(
        &self,
        endpoint: &Endpoint,
        call: Call,
        request: &impl Serialize,
    ) -> Result<Reply, String> {
        let body = body_of(request)?;
        self.exchange(endpoint, Method::POST, call, body).await
    }

    /// One attempt, with everything in it bounded by the endpoint's time limit.
    async fn exchange(
        &self,
        endpoint: &Endpoint,
        method: Method,
        call: Call,
        body: Vec<u8>,
    ) -> Result<Reply, String> {
        let mut in_flight = self.metrics.begin(call);
        let attempt = self.transport.exchange(Outgoing {
            endpoint,
            method,
            url: endpoint.url(call),
            body,
        });
        let reply = tokio::time::timeout(endpoint.timeout, attempt)
            .await
            .unwrap_or_else(|_| {
                Err(format!(
                    "no answer within {} ms",
                    endpoint.timeout.as_millis()
                ))
            });
        in_flight.ended(reply.as_ref().ok().map(|reply| reply.status.as_u16()));
        reply
    }
}

fn body_of(request: &impl Serialize) -> Result<Vec<u8>, String> {
    serde_json::to_vec(request).map_err(|error| error.to_string())
}
