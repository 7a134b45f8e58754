//! Connections: how they are opened, answered and changed (OES wire §3.2).

use ledger::{NetworkAccountId, Timestamp};

use crate::{
    Class, Command, ConnectionId, Draft, EnterpriseId, Keys, PartnerId, Reason, Refusal, Signed,
    View,
    deliver::due_message,
    planted::{Fault, is_planted},
    record::{
        Client, Connection, ConnectionState, KeySchema, Message, MessageCall, Partner,
        PartnerConfiguration,
    },
    signed::check_licence,
    suspend::{obstacle_of_client, refuse_suspended},
};

/// A client wants to be connected to a partner (C6).
#[derive(Clone, Debug)]
pub struct OpenConnection {
    /// The identifier that the connection gets.
    pub id: ConnectionId,
    /// The identifier of the account that will hold what is allocated.
    pub network_account_id: NetworkAccountId,
    /// The client record of the enterprise.
    pub client_id: crate::ClientId,
    /// Whom to.
    pub partner_id: PartnerId,
    /// The partner's configuration key.
    pub configuration: (EnterpriseId, String),
    /// What the client calls it.
    pub name: String,
    /// What kind of connection key was given.
    pub key_schema: KeySchema,
    /// Whether all secret fields of the key have the form of fields sealed for the partner.
    pub key_is_sealed_for_partner: bool,
    /// The key, sealed under the installation's master key.
    pub sealed_key: Vec<u8>,
    /// Evidence for the client.
    pub proof: String,
    /// The signed request.
    pub signed: Signed,
    /// How long the request itself works on the message to the partner, in milliseconds.
    pub lease_ms: i64,
}

/// What came of asking for a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The connection as it stands.
    pub connection: Connection,
    /// Whether this request made it, rather than met it.
    pub fresh: bool,
}

impl Command for OpenConnection {
    type Outcome = Opened;

    fn keys(&self) -> Keys {
        let mut keys = self.signed.keys();
        keys.clients.insert(self.client_id);
        keys.partners.insert(self.partner_id);
        keys.configurations.insert(self.configuration.clone());
        keys
    }

    fn more_keys(&self, view: &View) -> Keys {
        let mut keys = Keys::default();
        if let Ok(Some(holder)) = self.signed.nonce_holder(&Draft::on(view)) {
            keys.connections.insert(ConnectionId(holder));
        }
        keys
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Opened, Refusal> {
        let enterprise = &self.signed.request.enterprise_id;
        check_licence(draft, enterprise)?;
        let client = draft.find::<Client>(&self.client_id).cloned();
        let client = client.ok_or_else(|| Refusal::not_found("client"))?;
        self.signed.check_authority(draft, client.go_account_id)?;
        let partner = draft.find::<Partner>(&self.partner_id).cloned();
        let partner = partner.ok_or_else(|| Refusal::not_found("partner"))?;
        if let Some(holder) = self.signed.nonce_holder(draft)? {
            // Another kind of request of the same batch may hold the nonce: then nobody declared
            // a connection by that name.
            let connection = draft.find_if_known::<Connection>(&ConnectionId(holder));
            let connection = connection.cloned();
            let fresh = false;
            return match connection {
                Some(connection) => Ok(Opened { connection, fresh }),
                None => Err(Refusal::nonce_taken()),
            };
        }
        if !is_planted(Fault::StoppedConnects) {
            self.check_rules(draft, &client, &partner)?;
        }
        let connection = Connection {
            id: self.id,
            name: self.name.clone(),
            client_id: client.id,
            client_enterprise_id: enterprise.clone(),
            go_account_id: client.go_account_id,
            partner_id: partner.id,
            partner_enterprise_id: partner.enterprise_id.clone(),
            network_account_id: self.network_account_id,
            active: true,
            suspended: None,
            nonce: self.signed.nonce.clone(),
            signed_request: self.signed.request.id,
            proof: self.proof.clone(),
            state: ConnectionState::Created {
                sealed_key: self.sealed_key.clone(),
            },
            created_at: now,
            updated_at: now,
        };
        let real = draft.real_time(now);
        let mut message = due_message(self.id.0, partner.id, MessageCall::Connect, real);
        message.lease(real, self.lease_ms);
        draft.put(message);
        draft.put(connection.clone());
        self.signed.take_nonce(draft, self.id.0)?;
        self.signed.keep(draft, now);
        let fresh = true;
        Ok(Opened { connection, fresh })
    }
}

impl OpenConnection {
    fn check_rules(
        &self,
        draft: &Draft<'_>,
        client: &Client,
        partner: &Partner,
    ) -> Result<(), Refusal> {
        check_partner_takes(partner, self.key_schema)?;
        if let Some(reason) = obstacle_of_client(client) {
            let class = Class::Unprocessable;
            return Err(Refusal { class, reason });
        }
        let refuse = |name, message: String| Err(Refusal::new(Class::Unprocessable, name, message));
        if client.trust_org != partner.trust_org {
            let message = "client and partner belong to different trust organisations".to_owned();
            return refuse("trust_org_mismatch", message);
        }
        let configuration = draft.find::<PartnerConfiguration>(&self.configuration);
        let wants_sealed = configuration.is_some_and(|c| c.public_key.is_some());
        if wants_sealed && !self.key_is_sealed_for_partner {
            let message = "the partner has a public key: seal every secret field of the connection key to it (RSA-OAEP and AES-256-GCM, two lines of base64) before signing, and send the sealed form".to_owned();
            return refuse("connection_key_not_sealed", message);
        }
        Ok(())
    }
}

/// Whether a partner takes new connections with a key of this schema.
///
/// # Errors
///
/// The refusal that opening such a connection would meet.
pub fn check_partner_takes(partner: &Partner, schema: KeySchema) -> Result<(), Refusal> {
    let refuse = |name, message: String| Err(Refusal::new(Class::Unprocessable, name, message));
    if !partner.active {
        let message = format!("partner {} takes no new connections at present", partner.id);
        return refuse("partner_inactive", message);
    }
    if schema != partner.key_schema {
        let message = format!(
            "the partner asks for a connection key of schema {}, not {schema}",
            partner.key_schema
        );
        return refuse("connection_key_schema_mismatch", message);
    }
    Ok(())
}

/// What a partner said to a new connection (H1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionVerdict {
    /// It accepts.
    Accepted {
        /// Its name for the connection.
        partners_connection_id: String,
        /// Its name for the client.
        partners_client_id: String,
    },
    /// It refuses.
    Rejected {
        /// Why.
        reason: Reason,
    },
}

/// The partner has answered for good. A later answer to the same question changes nothing.
#[derive(Clone, Debug)]
pub struct AnswerConnection {
    /// Which connection.
    pub id: ConnectionId,
    /// What it said.
    pub verdict: ConnectionVerdict,
}

impl Command for AnswerConnection {
    type Outcome = Connection;

    fn keys(&self) -> Keys {
        let mut keys = Keys::default();
        keys.connections.insert(self.id);
        keys.messages.insert(self.id.0);
        keys
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Connection, Refusal> {
        let connection = draft.find::<Connection>(&self.id).cloned();
        let mut connection = connection.ok_or_else(|| Refusal::not_found("connection"))?;
        if !matches!(connection.state, ConnectionState::Created { .. }) {
            return Ok(connection);
        }
        connection.state = match self.verdict.clone() {
            ConnectionVerdict::Accepted {
                partners_connection_id,
                partners_client_id,
            } => ConnectionState::Initialized {
                partners_connection_id,
                partners_client_id,
            },
            ConnectionVerdict::Rejected { reason } => {
                connection.active = false;
                ConnectionState::Rejected { reason }
            }
        };
        connection.updated_at = now;
        draft.put(connection.clone());
        if let Some(message) = draft.find::<Message>(&self.id.0) {
            let mut message = message.clone();
            message.finish(draft.real_time(now));
            draft.put(message);
        }
        Ok(connection)
    }
}

/// The client renames, stops or resumes a connection (C8).
#[derive(Clone, Debug)]
pub struct UpdateConnection {
    /// Which connection.
    pub id: ConnectionId,
    /// Who asks.
    pub enterprise_id: EnterpriseId,
    /// Whether it shall take allocations; none: as it is.
    pub active: Option<bool>,
    /// Its new name; none: as it is.
    pub name: Option<String>,
}

impl Command for UpdateConnection {
    type Outcome = Connection;

    fn keys(&self) -> Keys {
        let mut keys = Keys::default();
        keys.enterprises.insert(self.enterprise_id.clone());
        keys.connections.insert(self.id);
        keys
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Connection, Refusal> {
        check_licence(draft, &self.enterprise_id)?;
        let connection = draft.find::<Connection>(&self.id);
        let own = connection.filter(|c| c.client_enterprise_id == self.enterprise_id);
        let mut connection = own
            .cloned()
            .ok_or_else(|| Refusal::not_found("connection"))?;
        let refused = matches!(connection.state, ConnectionState::Rejected { .. });
        if refused && self.active == Some(true) {
            return Err(Refusal::new(
                Class::Unprocessable,
                "connection_rejected",
                "the partner has rejected this connection; open a new one",
            ));
        }
        let before = connection.clone();
        connection.name = self.name.clone().unwrap_or(connection.name);
        match (&mut connection.suspended, self.active) {
            (_, None) => {}
            (None, Some(active)) => connection.active = active,
            (Some(_), Some(true)) if is_planted(Fault::SuspendedIsActivated) => {
                connection.active = true;
            }
            (Some(_), Some(true)) => return Err(refuse_suspended()),
            // It stays inactive once it is reactivated.
            (Some(suspended), Some(false)) => suspended.wanted_active = false,
        }
        if connection != before {
            connection.updated_at = now;
            draft.put(connection.clone());
        }
        Ok(connection)
    }
}
