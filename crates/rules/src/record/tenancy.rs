//! Tenants, people, tokens, accounts and currencies: what the operator sets up.

use ledger::{Account, Balance, Currency, GoAccountId, Timestamp};

use super::spelled;
use crate::{EnterpriseId, SigningKeyId, TokenId, UserId};

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enterprise {
    /// Its identifier.
    pub id: EnterpriseId,
    /// Its name.
    pub name: String,
    /// The legal custodian it belongs to; only enterprises of the same one can connect.
    pub trust_org: String,
    /// Whether it may use off-exchange settlement.
    pub licensed: bool,
    /// The Go Account that it uses in the network: its first one.
    pub go_account: Option<GoAccountId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

spelled! {
    /// What a user may do to the installation as a whole.
    InstallationRole {
        /// Sets up enterprises, books money, solves what is stuck.
        Operator = "operator",
        /// Reads everything, changes nothing.
        Auditor = "auditor",
    }

    /// What a user is in an enterprise.
    EnterpriseRole {
        /// Looks after users, tokens and keys of the enterprise.
        Admin = "admin",
        /// Acts for the enterprise, within the scopes of the token.
        Member = "member",
    }

    /// What a token may be used for.
    Scope {
        /// To read.
        Read = "settlement_network_read",
        /// To change, which needs [`Scope::Read`] as well.
        Write = "settlement_network_write",
        /// To act in the user's role for the installation.
        Installation = "installation",
    }
}

/// A person or a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its identifier.
    pub id: UserId,
    /// Its name.
    pub name: String,
    /// What it may do to the installation, if anything.
    pub role: Option<InstallationRole>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A user's place in an enterprise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Who.
    pub user_id: UserId,
    /// Where.
    pub enterprise_id: EnterpriseId,
    /// As what; none once the user was removed.
    pub role: Option<EnterpriseRole>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What is kept of a token's secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSecret {
    /// Nothing: the token is found by its hash alone.
    Plain,
    /// The token itself, sealed under the installation's master key, because request HMACs need
    /// it.
    V2x {
        /// The sealed token.
        sealed: Vec<u8>,
    },
}

/// A token that a user acts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// Its identifier; not the token.
    pub id: TokenId,
    /// Whose.
    pub user_id: UserId,
    /// What the user calls it.
    pub label: String,
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// What is kept of its secret.
    pub secret: TokenSecret,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// Networks (CIDR) it may be used from; none listed means from anywhere.
    pub networks: Vec<String>,
    /// When it stops to count.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// When a token was last used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUse {
    /// Which token.
    pub token_id: TokenId,
    /// When, to the minute.
    pub used_at: Timestamp,
}

/// An account in custody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoAccount {
    /// Its identifier.
    pub id: GoAccountId,
    /// Whose.
    pub enterprise_id: EnterpriseId,
    /// What it is called.
    pub label: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A public key that may sign for a Go Account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// Its identifier.
    pub id: SigningKeyId,
    /// For which account.
    pub go_account_id: GoAccountId,
    /// The compressed secp256k1 key.
    pub public_key: [u8; 33],
    /// The key as it was given: an xpub, base64 SPKI or hex.
    pub given_as: String,
    /// What it is called.
    pub label: String,
    /// When it stopped to count.
    pub revoked_at: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// A currency of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkCurrency {
    /// Its ticker.
    pub ticker: Currency,
    /// The asset behind it, such as `btc`.
    pub backing: String,
    /// How many decimals a full unit has: 0 to 30.
    pub decimals: u8,
    /// Where custody holds it; external references of deposits are unique there.
    pub custody_source: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What stands on an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountBalance {
    /// Which account.
    pub account: Account,
    /// What stands there.
    pub balance: Balance,
}

/// What an operator did, kept as evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorAct {
    /// Its identifier.
    pub id: uuid::Uuid,
    /// Who; none for acts of the installation itself, such as its first token.
    pub user_id: Option<UserId>,
    /// The kind of act, such as `put_enterprise`.
    pub act: String,
    /// What it was done to.
    pub subject: String,
    /// What there was before and after, for a person to read; never a secret.
    pub detail: String,
    /// When.
    pub at: Timestamp,
}

impl Enterprise {
    pub(crate) fn record_key(&self) -> EnterpriseId {
        self.id.clone()
    }
}

impl User {
    pub(crate) fn record_key(&self) -> UserId {
        self.id
    }
}

impl Membership {
    pub(crate) fn record_key(&self) -> (UserId, EnterpriseId) {
        (self.user_id, self.enterprise_id.clone())
    }
}

impl AccessToken {
    pub(crate) fn record_key(&self) -> TokenId {
        self.id
    }

    /// Whether it counts at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

impl TokenUse {
    pub(crate) fn record_key(&self) -> TokenId {
        self.token_id
    }
}

impl GoAccount {
    pub(crate) fn record_key(&self) -> GoAccountId {
        self.id
    }
}

impl SigningKey {
    pub(crate) fn record_key(&self) -> SigningKeyId {
        self.id
    }
}

impl NetworkCurrency {
    pub(crate) fn record_key(&self) -> Currency {
        self.ticker.clone()
    }
}

impl AccountBalance {
    pub(crate) fn record_key(&self) -> Account {
        self.account.clone()
    }
}

impl OperatorAct {
    pub(crate) fn record_key(&self) -> uuid::Uuid {
        self.id
    }
}
