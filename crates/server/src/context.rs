//! What belongs to one request and is needed wherever it is answered.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use network::{Authentic, Place};
use rules::{EnterpriseId, TokenId, UserId};
use uuid::Uuid;
use wire::request_hmac::AuthVersion;
use zeroize::Zeroizing;

use crate::{gate::Room, rate_limit::Standing};

tokio::task_local! {
    static CURRENT: Arc<RequestContext>;
}

/// The longest request id of a client that is echoed.
const ID_LENGTH_MAX: usize = 128;

/// What belongs to one request.
pub(crate) struct RequestContext {
    /// Names the request in answers and logs.
    pub(crate) id: String,
    /// Set when the caller proved itself by HMAC: the answer has to be signed likewise.
    pub(crate) answer_hmac: OnceLock<AnswerHmac>,
    /// Who asks, once that is proved; for the logs.
    pub(crate) asking: OnceLock<Asking>,
    /// The enterprise that is asked for, once its member may.
    pub(crate) enterprise: OnceLock<EnterpriseId>,
    /// The body of the answer, if it is an error.
    pub(crate) error_body: OnceLock<Bytes>,
    /// Its place among the requests that are worked on, until it is answered.
    pub(crate) place: OnceLock<Place>,
    /// What its body takes of the room for large ones, until it is answered.
    pub(crate) room: OnceLock<Room>,
    /// What its token may still send.
    pub(crate) rate: OnceLock<Standing>,
}

/// What signs the answer to a request that came with an HMAC.
pub(crate) struct AnswerHmac {
    pub(crate) secret: Zeroizing<String>,
    pub(crate) version: AuthVersion,
}

/// Whose token a request bears.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    pub(crate) user_id: UserId,
    pub(crate) token_id: TokenId,
    /// What its owner calls the token.
    pub(crate) token_label: String,
}

impl From<&Authentic> for Asking {
    fn from(authentic: &Authentic) -> Asking {
        let token = &authentic.principal.token;
        Asking {
            user_id: authentic.principal.user.id,
            token_id: token.id,
            token_label: token.label.clone(),
        }
    }
}

impl RequestContext {
    /// The context of a request that calls itself `given`; one that is unfit gets a new name.
    pub(crate) fn new(given: Option<&str>) -> Arc<RequestContext> {
        let fits = |id: &&str| {
            (1..=ID_LENGTH_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
        };
        let id = given.filter(fits).map(str::to_owned);
        Arc::new(RequestContext {
            id: id.unwrap_or_else(|| Uuid::new_v4().to_string()),
            answer_hmac: OnceLock::new(),
            asking: OnceLock::new(),
            enterprise: OnceLock::new(),
            error_body: OnceLock::new(),
            place: OnceLock::new(),
            room: OnceLock::new(),
            rate: OnceLock::new(),
        })
    }

    /// Runs `future` with this context as the current one.
    pub(crate) async fn scope<T>(self: Arc<Self>, future: impl Future<Output = T>) -> T {
        CURRENT.scope(self, future).await
    }
}

/// The context of the request that is being answered. Outside of one, a fresh one.
pub(crate) fn current() -> Arc<RequestContext> {
    CURRENT
        .try_with(Arc::clone)
        .unwrap_or_else(|_| RequestContext::new(None))
}
