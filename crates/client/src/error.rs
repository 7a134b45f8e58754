//! What can become of a request other than its answer.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;
use wire::api::allocations::{ClearedAllocation, ReleasedAllocation, ReservedAllocation};
use wire::api::error::FieldError;
use wire::api::settlements::Settlement;

/// How much of a refusal that is no JSON is shown, in characters.
const SHOWN_TEXT_MAX: usize = 200;

/// Why a request has no answer of the expected kind.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The network answered, and not with what was asked for.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// No whole answer came, however often the policy had the request sent. A write may have been
    /// done; sending the same bytes again is safe.
    #[error("no answer after {tries} tries")]
    Unreachable {
        /// How often it was sent.
        tries: u32,
        /// What went wrong the last time.
        source: reqwest::Error,
    },
    /// A success whose body is not what the operation answers; the network is of another version.
    #[error("the answer cannot be read")]
    Unreadable(#[source] serde_json::Error),
    /// A signed request was asked for, and the client has no key.
    #[error("the client has no signing key")]
    NoSigningKey,
    /// The client or the request cannot be put together.
    #[error("{0}")]
    Unusable(String),
}

impl ClientError {
    /// The refusal, if it is one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

/// An answer with a status other than success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The stable code, such as `insufficient_available`; absent if something on the way answered.
    pub name: Option<String>,
    /// A sentence for a person.
    pub message: String,
    /// The request, as the operator finds it in the log.
    pub request_id: Option<String>,
    /// Every fault of the request, on 400.
    pub errors: Vec<FieldError>,
    /// The record that the refusal is about, if it names one.
    pub record: Option<Record>,
}

/// A record that stands beside an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An allocation or deallocation.
    Allocation(PostedAllocation),
    /// A settlement.
    Settlement(Settlement),
}

/// An allocation or deallocation as the answers to posts have it, in any state.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum PostedAllocation {
    /// Done.
    Cleared(ClearedAllocation),
    /// Given up.
    Released(ReleasedAllocation),
    /// Under way.
    Reserved(ReservedAllocation),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.message)?;
        // Our own server's sentence names the faults already; another's may not.
        let untold = |error: &&FieldError| !self.message.contains(&error.message);
        for error in self.errors.iter().filter(untold) {
            write!(f, "; {} {}", error.field, error.message)?;
        }
        if let Some(name) = &self.name {
            write!(f, " [{name}]")?;
        }
        if let Some(request_id) = &self.request_id {
            write!(f, " (request {request_id})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// Takes out of a body whatever can be read; a proxy on the way answers in its own form.
    pub(crate) fn read(status: u16, request_id: Option<&str>, body: &[u8]) -> Self {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| json.get(name).and_then(Value::as_str).map(str::to_owned);
        let raw = || {
            let shown: String = String::from_utf8_lossy(body)
                .chars()
                .take(SHOWN_TEXT_MAX)
                .collect();
            if shown.is_empty() {
                "no explanation".to_owned()
            } else {
                shown
            }
        };
        let errors = json.get("errors").map(Vec::<FieldError>::deserialize);
        let allocation = json.get("allocation").or_else(|| json.get("deallocation"));
        let allocation = allocation.and_then(|record| PostedAllocation::deserialize(record).ok());
        let settlement = json.get("settlement");
        let settlement = settlement.and_then(|record| Settlement::deserialize(record).ok());
        Self {
            status,
            name: text("name"),
            message: text("error").unwrap_or_else(raw),
            request_id: text("requestId").or_else(|| request_id.map(str::to_owned)),
            errors: errors.and_then(Result::ok).unwrap_or_default(),
            record: allocation
                .map(Record::Allocation)
                .or(settlement.map(Record::Settlement)),
        }
    }
}
