//! What can go wrong with a database, sorted by what one can do about it.

use std::error::Error;

/// An error of the store. No message holds a password; the source tells what
/// the database said.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached or cannot work now; later it may.
    #[error("the database is unavailable")]
    Unavailable {
        /// What the database or the system said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Another transaction got in the way, or a unique key is taken: load and
    /// decide again.
    #[error("the transaction conflicts with another one or with a unique key")]
    Conflict {
        /// What the database said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The database lacks what this process has committed: an old primary, or an old copy.
    #[error("the chain of the database ends at commit {found}, and {known} was committed")]
    Behind {
        /// The number of the last commit of this process.
        known: i64,
        /// The number of the last commit of this database.
        found: i64,
    },
    /// The disk of the database is full.
    #[error("the database has no space left")]
    Full {
        /// What the database said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The database holds what it never should.
    #[error("the database is corrupt: {0}")]
    Corrupt(String),
    /// The database is not opened as it is; the text tells the operator why.
    #[error("{0}")]
    Refused(String),
    /// The database refused a statement: a defect of this program, or a check
    /// of the schema that it broke.
    #[error("the database refused the statement")]
    Other {
        /// What the database said.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether the same work may succeed when it is done again.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::Conflict { .. }
                | Self::Behind { .. }
                | Self::Full { .. }
        )
    }

    pub(super) fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable {
            source: source.into(),
        }
    }

    pub(super) fn other(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other {
            source: source.into(),
        }
    }
}

/// Why a transaction did not commit for certain.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// It was definitely rolled back.
    #[error("the transaction was rolled back")]
    RolledBack(#[source] StoreError),
    /// It was definitely rolled back, because of another transaction or a
    /// unique key that is taken: load and decide again.
    #[error("the transaction was rolled back by a conflict")]
    Conflict(#[source] StoreError),
    /// The answer to COMMIT was lost: it may have happened or not. Ask
    /// [`Driver::committed`](super::Driver::committed).
    #[error("it is unknown whether the transaction was committed")]
    Unknown(#[source] StoreError),
}

impl CommitError {
    /// The error of a transaction that is definitely rolled back.
    pub(super) fn rolled_back(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => Self::Conflict(error),
            _ => Self::RolledBack(error),
        }
    }

    /// What the database said, without the verdict on the transaction.
    pub fn into_inner(self) -> StoreError {
        match self {
            Self::RolledBack(error) | Self::Conflict(error) | Self::Unknown(error) => error,
        }
    }
}
