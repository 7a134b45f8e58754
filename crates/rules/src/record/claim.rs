//! Names that are taken once and for ever, and requests as they were signed.

use std::sync::Arc;

use super::spelled;

spelled! {
    /// What kind of name is taken.
    ClaimKind {
        /// An enterprise's external id of an allocation.
        Allocation = "allocation",
        /// An enterprise's external id of a deallocation.
        Deallocation = "deallocation",
        /// An enterprise's external id of a settlement.
        Settlement = "settlement",
        /// A connection's dispute of a settlement; the scope is the settlement.
        Dispute = "dispute",
        /// An enterprise's external id of a settlement of which only deposits are known.
        AnnouncedSettlement = "announced_settlement",
        /// An enterprise's on-chain deposit: the currency and the transaction.
        OnChainDeposit = "on_chain_deposit",
        /// An enterprise's nonce.
        Nonce = "nonce",
        /// An enterprise's place as a client; the name is empty.
        Client = "client",
        /// An enterprise's place as a partner, by institution identifier.
        Partner = "partner",
        /// A custody source's reference of a deposit.
        Deposit = "deposit",
        /// What a transaction brought in one currency, of those announced: the currency and the
        /// transaction; the scope is the custody source.
        SeenDeposit = "seen_deposit",
        /// A custody source's reference of a withdrawal.
        Withdrawal = "withdrawal",
    }
}

/// A name and where it is unique.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey {
    /// The enterprise or custody source within which the name is unique.
    pub scope: String,
    /// What kind of name.
    pub kind: ClaimKind,
    /// The name itself.
    pub name: String,
}

impl ClaimKey {
    /// The claim of `kind` on `name` within `scope`.
    pub fn new(scope: &str, kind: ClaimKind, name: &str) -> ClaimKey {
        ClaimKey {
            scope: scope.to_owned(),
            kind,
            name: name.to_owned(),
        }
    }
}

/// A taken name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name.
    pub key: ClaimKey,
    /// The record that took it.
    pub subject: uuid::Uuid,
    /// For a nonce: the SHA-256 of the payload that carried it.
    pub digest: Option<[u8; 32]>,
}

/// A request as it was signed, kept as evidence (money rule 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedRequest {
    /// Its identifier.
    pub id: uuid::Uuid,
    /// The enterprise that sent it.
    pub enterprise_id: crate::EnterpriseId,
    /// The compressed key that verifies it.
    pub public_key: [u8; 33],
    /// The exact bytes that were signed, or their sealed form.
    pub payload: Arc<[u8]>,
    /// Whether `payload` is sealed, because it holds secrets.
    pub sealed: bool,
    /// SHA-256 of the exact bytes that were signed.
    pub digest: [u8; 32],
    /// The signature as it was sent.
    pub signature: String,
    /// When it was accepted.
    pub received_at: ledger::Timestamp,
}

impl Claim {
    pub(crate) fn record_key(&self) -> ClaimKey {
        self.key.clone()
    }
}

impl SignedRequest {
    pub(crate) fn record_key(&self) -> uuid::Uuid {
        self.id
    }
}
