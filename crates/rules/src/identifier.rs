//! Identifiers of what the network knows beyond the books.

use std::{fmt, str::FromStr, sync::Arc};

ledger::uuid_identifiers! {
    /// An enterprise in its role as a client of the network.
    ClientId;
    /// An exchange or broker that clients connect to.
    PartnerId;
    /// One client's link to one partner.
    ConnectionId;
    /// An allocation or a deallocation.
    AllocationId;
    /// A batch of transfers posted by a partner.
    SettlementId;
    /// One movement of one currency inside a settlement.
    TransferId;
    /// A client's objection to a settlement for one of its connections.
    DisputeId;
    /// How a dispute ends, as somebody has proposed or decided.
    DisputeClosureId;
    /// An access token, as it is listed and revoked; never the token itself.
    TokenId;
    /// Money that reached a Go Account from outside.
    DepositId;
    /// Money that leaves a Go Account for outside.
    WithdrawalId;
    /// A transaction that a partner has announced for an on-chain settlement.
    OnChainDepositId;
    /// An act on money that waits for a second operator, or did.
    ProposalId;
}

ledger::hex_identifiers! {
    /// A person or a machine that acts.
    UserId;
    /// A public key that may sign for a Go Account.
    SigningKeyId;
}

impl TransferId {
    /// The identifier of the transfer at place `index` of a settlement.
    ///
    /// It follows from both, so that a settlement which is tried again meets its own transfers
    /// without reading them. The low 32 bits of a settlement's identifier are random, and so the
    /// ranges of two settlements do not meet.
    pub fn of(settlement: SettlementId, index: u32) -> TransferId {
        TransferId::following(settlement.0, index)
    }

    /// The identifier of the transfer at place `index` of a closure, likewise.
    pub fn of_closure(closure: DisputeClosureId, index: u32) -> TransferId {
        TransferId::following(closure.0, index)
    }

    fn following(id: uuid::Uuid, index: u32) -> TransferId {
        let bits = id.as_u128();
        let low = u32::from_be_bytes(id.as_bytes()[12..].try_into().unwrap_or_default());
        let low = low.wrapping_add(1).wrapping_add(index);
        TransferId(uuid::Uuid::from_u128(
            (bits & !u128::from(u32::MAX)) | u128::from(low),
        ))
    }
}

/// A tenant of the network. Cloning is cheap.
///
/// 1 to 64 characters out of `A-Z a-z 0-9 _ -`; those that the network makes are 32 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnterpriseId(Arc<str>);

/// The text is no identifier of an enterprise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an enterprise id is 1 to 64 characters out of letters, digits, _ and -")]
pub struct EnterpriseIdError;

impl EnterpriseId {
    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EnterpriseId {
    type Err = EnterpriseIdError;

    fn from_str(text: &str) -> Result<Self, EnterpriseIdError> {
        let fits = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        fits.then(|| EnterpriseId(text.into()))
            .ok_or(EnterpriseIdError)
    }
}

impl fmt::Display for EnterpriseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
