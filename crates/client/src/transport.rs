//! Sending bytes and getting bytes: one request, its tries, and what each of them came to.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, redirect};
use url::Url;

use crate::{ClientError, Refusal, Retry};

/// A request as it goes out, every time the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// From `/api`, with the query.
    pub(crate) path: String,
    /// JSON, or empty.
    pub(crate) body: Bytes,
    /// Whether it does no harm if it is acted upon twice.
    pub(crate) repeatable: bool,
}

/// The way to one network with one identity. `Debug` does not show the token.
#[derive(Clone)]
pub(crate) struct Transport {
    http: reqwest::Client,
    base: String,
    identity: HeaderMap,
    pub(crate) retry: Retry,
}

/// What a try came to that brought no success.
struct Failed {
    error: ClientError,
    /// Whether another try may bring more.
    open: bool,
    /// Whether nothing was done for certain.
    untouched: bool,
    retry_after: Option<Duration>,
}

impl Transport {
    pub(crate) fn new(
        base_url: &str,
        token: &str,
        enterprise_id: Option<&str>,
    ) -> Result<Self, ClientError> {
        let unusable = |why: String| ClientError::Unusable(why);
        let base = base_url.trim_end_matches('/');
        let url = Url::parse(base).map_err(|error| unusable(format!("base URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(unusable("base URL: neither http nor https".to_owned()));
        }
        let http = reqwest::Client::builder()
            // A redirect would carry the token elsewhere, and make a GET of a POST.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| unusable(format!("HTTP client: {error}")))?;
        Ok(Self {
            http,
            base: base.to_owned(),
            identity: identity(token, enterprise_id)?,
            retry: Retry::default(),
        })
    }

    pub(crate) fn with_identity(
        &self,
        token: &str,
        enterprise_id: Option<&str>,
    ) -> Result<Self, ClientError> {
        Ok(Self {
            identity: identity(token, enterprise_id)?,
            ..self.clone()
        })
    }

    /// The body of a success, after as many tries as the policy allows.
    pub(crate) async fn send(&self, call: &Call) -> Result<Bytes, ClientError> {
        let mut tries = 1;
        loop {
            let failed = match self.attempt(call, tries).await {
                Ok(body) => return Ok(body),
                Err(failed) => failed,
            };
            let pause = self.retry.pause(tries, failed.retry_after);
            let harmless = call.repeatable || failed.untouched;
            match pause.filter(|_| failed.open && harmless) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(failed.error),
            }
            tries += 1;
        }
    }

    async fn attempt(&self, call: &Call, tries: u32) -> Result<Bytes, Failed> {
        let unanswered = |source: reqwest::Error| Failed {
            // An address or header that cannot be sent will not be better next time.
            open: !source.is_builder(),
            untouched: false,
            error: ClientError::Unreachable { tries, source },
            retry_after: None,
        };
        let mut request = self
            .http
            .request(call.method.clone(), format!("{}{}", self.base, call.path))
            .headers(self.identity.clone())
            .timeout(self.retry.time_limit);
        if !call.body.is_empty() {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(call.body.clone());
        }
        let response = request.send().await.map_err(unanswered)?;
        let status = response.status();
        let text = |name| response.headers().get(name)?.to_str().ok();
        let seconds = text(RETRY_AFTER.as_str()).and_then(|text| text.parse().ok());
        let request_id = text("request-id").map(str::to_owned);
        let body = response.bytes().await.map_err(unanswered)?;
        if status.is_success() {
            return Ok(body);
        }
        let refusal = Refusal::read(status.as_u16(), request_id.as_deref(), &body);
        let too_many = status == StatusCode::TOO_MANY_REQUESTS;
        let passing = [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE];
        Err(Failed {
            open: too_many
                || passing.contains(&status)
                || refusal.name.as_deref() == Some("outcome_unknown"),
            untouched: too_many,
            error: ClientError::Refused(Box::new(refusal)),
            retry_after: seconds.map(Duration::from_secs),
        })
    }
}

/// The headers that say who asks.
fn identity(token: &str, enterprise_id: Option<&str>) -> Result<HeaderMap, ClientError> {
    let header = |text: &str, what: &str| {
        HeaderValue::from_str(text)
            .map_err(|_| ClientError::Unusable(format!("{what} cannot be sent in a header")))
    };
    let mut bearer = header(&format!("Bearer {token}"), "the token")?;
    bearer.set_sensitive(true);
    let mut headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    if let Some(id) = enterprise_id {
        headers.insert("enterprise-id", header(id, "the enterprise id")?);
    }
    Ok(headers)
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("base", &self.base)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}
