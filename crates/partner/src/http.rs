//! Calls over HTTP: signed, and bounded in where they go and what they read.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ledger::Timestamp;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, redirect};
use url::{Host, Url};
use uuid::Uuid;
use wire::partner_jwt::{Claims, JwtSigner, LIFETIME_MAX_S, body_sha256};

use crate::endpoint::Endpoint;
use crate::policy::{Policy, PolicyRefusal};
use crate::transport::{Exchanged, Outgoing, Reply, Transport};

/// Who we say that we are, in `iss`.
const ISSUER: &str = "tidelock";

/// The most bytes of an answer that are read.
const RESPONSE_MAX: usize = 64 * 1024;

/// The most time until a connection stands; the whole call has the limit of its configuration.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The most HTTP clients that are kept. There is one for each set of allowed networks with and
/// without TLS, so this is far beyond what an installation has.
const CLIENTS_MAX: usize = 256;

/// The HTTP clients and the keys that sign.
pub(crate) struct Http {
    signers: HashMap<String, JwtSigner>,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    clients: Mutex<HashMap<Policy, Client>>,
}

impl Transport for Http {
    fn exchange<'call>(&'call self, call: Outgoing<'call>) -> Exchanged<'call> {
        Box::pin(self.attempt(call))
    }
}

impl Http {
    pub(crate) fn new(
        signers: HashMap<String, JwtSigner>,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        Self {
            signers,
            clock: Box::new(clock),
            clients: Mutex::default(),
        }
    }

    async fn attempt(&self, call: Outgoing<'_>) -> Result<Reply, String> {
        let Outgoing {
            endpoint,
            method,
            url,
            body,
        } = call;
        // The client asks its resolver, and so the policy, only for names.
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) | None => None,
        };
        if let Some(address) = literal {
            let checked = endpoint.policy.check(address);
            checked.map_err(|refusal| refusal.to_string())?;
        }
        let token = self.token(endpoint, &method, &url, &body)?;
        let mut request = self
            .client(&endpoint.policy)?
            .request(method, url)
            .header(&endpoint.signature_header, token)
            .header(ACCEPT, "application/json");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let mut response = request.send().await.map_err(describe)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(describe)? {
            if body.len() + chunk.len() > RESPONSE_MAX {
                return Err(format!(
                    "answered {} with more than {RESPONSE_MAX} bytes",
                    response.status().as_u16()
                ));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply {
            status: response.status(),
            body,
        })
    }

    /// The token that makes this very call ours (OES wire §4.5).
    fn token(
        &self,
        endpoint: &Endpoint,
        method: &Method,
        url: &Url,
        body: &[u8],
    ) -> Result<HeaderValue, String> {
        let signer = self
            .signers
            .get(&endpoint.jwt_key_id)
            .ok_or_else(|| format!("there is no signing key {}", endpoint.jwt_key_id))?;
        let iat = (self.clock)().0.div_euclid(1_000_000);
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: endpoint.partner_id.to_string(),
            iat,
            exp: iat.saturating_add(LIFETIME_MAX_S),
            jti: Uuid::new_v4().to_string(),
            method: method.as_str().to_owned(),
            path,
            body_sha256: body_sha256(body),
        };
        let token = signer.sign(&claims).map_err(|error| error.to_string())?;
        HeaderValue::try_from(token).map_err(|error| error.to_string())
    }

    fn client(&self, policy: &Policy) -> Result<Client, String> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(policy) {
            return Ok(client.clone());
        }
        let client = Client::builder()
            .user_agent(ISSUER)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .dns_resolver(policy.clone())
            .build()
            .map_err(describe)?;
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(policy.clone(), client.clone());
        Ok(client)
    }
}

/// What kept a call from being answered: the policy's own words if it was the policy, otherwise
/// what happened and its root cause.
fn describe(error: reqwest::Error) -> String {
    let mut cause: &(dyn Error + 'static) = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if let Some(refusal) = cause.downcast_ref::<PolicyRefusal>() {
        return refusal.to_string();
    }
    let what = if error.is_connect() {
        "no connection to the partner"
    } else if error.is_builder() {
        "the call could not be made"
    } else {
        "the partner broke the exchange off"
    };
    format!("{what}: {cause}")
}
