//! Clients, partners and the connections between them.

use ledger::{GoAccountId, NetworkAccountId, Timestamp};

use super::spelled;
use crate::{ClientId, ConnectionId, EnterpriseId, PartnerId, Reason};

/// An enterprise as a client of the network (OES wire §2.0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its identifier.
    pub id: ClientId,
    /// The enterprise behind it.
    pub enterprise_id: EnterpriseId,
    /// The legal custodian of the enterprise.
    pub trust_org: String,
    /// The Go Account it allocates from.
    pub go_account_id: GoAccountId,
    /// Since when the operator has suspended it; none: it is not.
    pub suspended_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

spelled! {
    /// What a client hands to a partner to prove that an account there is its own.
    KeySchema {
        /// A token.
        Token = "token",
        /// A token and a signature.
        TokenAndSignature = "tokenAndSignature",
        /// An API key with its secret.
        ApiKeyAndSecret = "apiKeyAndSecret",
        /// An API key with its secret and the account that they belong to.
        Clearloop = "clearloop",
    }
}

/// An exchange or a broker (OES wire §2.0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// Its identifier.
    pub id: PartnerId,
    /// The enterprise behind it.
    pub enterprise_id: EnterpriseId,
    /// The client record of the same enterprise, and through it its Go Account.
    pub client_id: ClientId,
    /// The Go Account that its settlements run against.
    pub go_account_id: GoAccountId,
    /// The legal custodian of the enterprise.
    pub trust_org: String,
    /// The institution, where it has an identifier elsewhere.
    pub institution_id: Option<uuid::Uuid>,
    /// The name under which its configuration is found.
    pub institution_identifier: String,
    /// What people see.
    pub name: String,
    /// What clients have to prove themselves with.
    pub key_schema: KeySchema,
    /// Whether it stands between clients (true) or trades on an account of its own (false).
    pub broker: bool,
    /// Whether new connections, allocations and settlements are accepted.
    pub active: bool,
    /// Whether the operator calls it mature.
    pub stable: bool,
    /// Minutes in which clients may dispute a settlement; none: no disputes.
    pub dispute_window_minutes: Option<u16>,
    /// Minutes in which the partner may top up its account; none: no such window.
    pub top_up_window_minutes: Option<u16>,
    /// Stored and returned; nothing is evaluated yet.
    pub allocation_policies_enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// How far a connection has come (OES wire §3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// The partner has not answered yet.
    Created {
        /// What proves the client to the partner, sealed; wiped once the partner has answered.
        sealed_key: Vec<u8>,
    },
    /// The partner has accepted.
    Initialized {
        /// The partner's name for the connection.
        partners_connection_id: String,
        /// The partner's name for the client.
        partners_client_id: String,
    },
    /// The partner has refused, for good.
    Rejected {
        /// Why.
        reason: Reason,
    },
}

/// The operator has suspended something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspended {
    /// Whether its owner wants it to be active once it is no more.
    pub wanted_active: bool,
}

/// One client's link to one partner (OES wire §2.0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its identifier.
    pub id: ConnectionId,
    /// What the client calls it.
    pub name: String,
    /// Whose.
    pub client_id: ClientId,
    /// The client's enterprise.
    pub client_enterprise_id: EnterpriseId,
    /// The client's Go Account.
    pub go_account_id: GoAccountId,
    /// To whom.
    pub partner_id: PartnerId,
    /// The partner's enterprise.
    pub partner_enterprise_id: EnterpriseId,
    /// The account that holds what is allocated.
    pub network_account_id: NetworkAccountId,
    /// Whether it takes allocations: its client wants it, and the operator has not suspended it.
    pub active: bool,
    /// What there is to know of a suspension by the operator; none: it is not suspended.
    pub suspended: Option<Suspended>,
    /// The nonce of the request that opened it.
    pub nonce: String,
    /// The signed request that opened it.
    pub signed_request: uuid::Uuid,
    /// Evidence of that request for its owner.
    pub proof: String,
    /// How far it has come.
    pub state: ConnectionState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Client {
    pub(crate) fn record_key(&self) -> ClientId {
        self.id
    }
}

impl Partner {
    pub(crate) fn record_key(&self) -> PartnerId {
        self.id
    }

    /// Whether its settlements can be disputed, and so have to be staged.
    pub fn has_disputes(&self) -> bool {
        self.dispute_window_minutes.is_some()
    }
}

impl Connection {
    pub(crate) fn record_key(&self) -> ConnectionId {
        self.id
    }

    /// The partner's names for connection and client, once it has accepted.
    pub fn partners_ids(&self) -> Option<(&str, &str)> {
        match &self.state {
            ConnectionState::Initialized {
                partners_connection_id,
                partners_client_id,
            } => Some((partners_connection_id, partners_client_id)),
            _ => None,
        }
    }
}
