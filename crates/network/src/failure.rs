//! Why a use-case has no outcome.

use rules::{Class, Refusal};
use store::{StoreError, SubmitError};
use wire::body::Fault;

/// Why a use-case has no outcome. The edge maps it to a status; nothing in it tells of the
/// inside.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A rule speaks against it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The request contradicts itself, in these places.
    #[error("the request is invalid")]
    Invalid(Vec<Fault>),
    /// The token has expired, and only that is wrong with it.
    #[error("the access token has expired")]
    TokenExpired,
    /// It was not done, for now: too much to do, or the database does not take writes.
    #[error("the network cannot take this at present; try again")]
    Busy,
    /// It was not done, for the disk of the database is full.
    #[error("the network has no space left to keep this")]
    StorageFull,
    /// It may have been done or not; repeating it is safe and tells.
    #[error("the outcome is not known yet; send the same request again")]
    OutcomeUnknown,
    /// The program or its surroundings are at fault; the log says what.
    #[error("an internal fault")]
    Internal,
}

impl Failure {
    /// An internal fault, logged here with its cause and told without it.
    pub(crate) fn internal(cause: &dyn std::error::Error) -> Failure {
        let mut text = cause.to_string();
        let mut source = cause.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        tracing::error!(cause = text, "internal fault");
        Failure::Internal
    }

    /// The same failure after something was committed: that nothing was done is then no longer
    /// true.
    pub(crate) fn after_commit(self) -> Failure {
        match self {
            Failure::Busy | Failure::StorageFull => Failure::OutcomeUnknown,
            other => other,
        }
    }

    pub(crate) fn not_authentic(name: &str, message: &str) -> Failure {
        Failure::Refused(Refusal::new(Class::NotAuthentic, name, message))
    }

    /// Not for an enterprise that does not exist, nor for one the user is no member of: both look
    /// the same.
    pub fn not_a_member() -> Failure {
        let message = "the user of this access token is no member of the enterprise";
        Failure::not_authentic("not_a_member", message)
    }

    pub(crate) fn not_found(what: &str) -> Failure {
        Failure::Refused(Refusal::new(
            Class::NotFound,
            &format!("{what}_not_found"),
            format!("there is no such {what}, or it is not yours"),
        ))
    }

    pub(crate) fn invalid(field: impl Into<String>, message: impl Into<String>) -> Failure {
        Failure::Invalid(vec![Fault {
            field: field.into(),
            message: message.into(),
        }])
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => Failure::Refused(refusal),
            SubmitError::Overloaded | SubmitError::Unavailable => Failure::Busy,
            SubmitError::Full => Failure::StorageFull,
            SubmitError::OutcomeUnknown => Failure::OutcomeUnknown,
            SubmitError::Internal => Failure::Internal,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        if error.is_transient() {
            tracing::warn!(%error, "a read failed");
            Failure::Busy
        } else {
            Failure::internal(&error)
        }
    }
}
