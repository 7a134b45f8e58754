//! What was read lately: answers of the database that every request needs and that hardly ever
//! change.
//!
//! An answer is believed for at most five seconds, and not at all after an operator of this very
//! process has changed something. Nothing that money depends on is decided by what stands here:
//! that is read again inside the batch. What is *not* there is never remembered, so that whatever
//! is made can be used at once.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ledger::GoAccountId;
use rules::{
    ConnectionId, EnterpriseId, SigningKeyId, TokenId, UserId,
    allocate::Route,
    record::{Enterprise, Membership},
};
use store::Principal;
use tokio::time::Instant;
use wire::signature::PublicKey;

/// How long an answer of the database is believed.
pub(crate) const BELIEVED_FOR: Duration = Duration::from_secs(5);

/// The most answers of one kind that are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// What was read lately.
#[derive(Default)]
pub(crate) struct Known {
    /// Tokens with their users, by the hash of the token.
    pub(crate) principals: Dated<[u8; 32], Principal>,
    /// Who belongs where.
    pub(crate) members: Dated<(UserId, EnterpriseId), (Enterprise, Membership)>,
    /// The Go Account whose keys sign for an enterprise.
    pub(crate) signing_accounts: Dated<EnterpriseId, GoAccountId>,
    /// Keys that may sign for a Go Account.
    pub(crate) signing_keys: Dated<GoAccountId, Arc<[KnownKey]>>,
    /// Between whom the allocations over a connection move.
    pub(crate) routes: Dated<ConnectionId, Arc<Route>>,
    /// Tokens whose use was noted lately.
    pub(crate) noted: Dated<TokenId, ()>,
}

/// A key that may sign, or might once.
#[derive(Clone, Copy)]
pub(crate) struct KnownKey {
    pub(crate) id: SigningKeyId,
    pub(crate) public_key: PublicKey,
    pub(crate) revoked: bool,
}

impl Known {
    /// Forgets everything, because an operator has changed something.
    pub(crate) fn forget(&self) {
        self.principals.forget();
        self.members.forget();
        self.signing_accounts.forget();
        self.signing_keys.forget();
        self.routes.forget();
    }
}

/// Answers with the time at which they were given.
pub(crate) struct Dated<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Dated<K, V> {
    fn default() -> Self {
        Dated(Mutex::default())
    }
}

impl<K: Hash + Eq, V: Clone> Dated<K, V> {
    /// The answer for `key`, unless it is older than `believed_for`.
    pub(crate) fn recall(&self, key: &K, believed_for: Duration) -> Option<V> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, value) = known.get(key)?;
        (since.elapsed() < believed_for).then(|| value.clone())
    }

    pub(crate) fn remember(&self, key: K, value: V) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(key, (Instant::now(), value));
    }

    fn forget(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.clear();
    }
}
