//! Connecting a client to a partner (OES wire C6, C8, H1).

use base64::{Engine, engine::general_purpose::STANDARD};
use ledger::NetworkAccountId;
use partner::{ConnectAnswer, Endpoint};
use rules::{
    Class, ConnectionId, PartnerId, Reason, Refusal,
    connect::{
        AnswerConnection, ConnectionVerdict, OpenConnection, Opened, UpdateConnection,
        check_partner_takes,
    },
    deliver::Undelivered,
    record::{Connection, ConnectionState, KeySchema, MessageCall},
};
use uuid::Uuid;
use wire::{body::Reader, connection_key::ConnectionKey, json::Json, partner_call::ConnectRequest};

use crate::{Caller, Failure, Network, SignedText, signing::Keeping};

/// What a client says to be connected to a partner (C6).
pub struct ConnectionRequest {
    /// Whom to.
    pub partner_id: Uuid,
    /// What the client calls the connection.
    pub name: String,
    /// What proves the client to the partner.
    pub key: ConnectionKey,
    /// The payload, its signature and its nonce.
    pub text: SignedText,
}

fn key_purpose(id: ConnectionId) -> String {
    format!("connection key {id}")
}

fn key_schema(key: &ConnectionKey) -> Option<KeySchema> {
    KeySchema::from_spelling(key.schema().as_str())
}

impl Network {
    /// Opens a connection and asks the partner for it. The answer is the connection as it then
    /// stands: not initialised, if the partner has not answered yet.
    ///
    /// # Errors
    ///
    /// See [`Failure`]; a partner that refuses is a refusal.
    pub async fn connect(
        &self,
        caller: &Caller,
        request: ConnectionRequest,
    ) -> Result<Connection, Failure> {
        let (network, caller) = (self.clone(), caller.clone());
        self.carry_through(async move { network.connect_to_end(&caller, request).await })
            .await
    }

    async fn connect_to_end(
        &self,
        caller: &Caller,
        request: ConnectionRequest,
    ) -> Result<Connection, Failure> {
        let enterprise = &caller.enterprise.id;
        let account = self.signing_account(caller).await?;
        let signed = self
            .verify(enterprise, account, request.text, Keeping::Sealed)
            .await?;
        let client = self.store().client_of(enterprise).await?;
        let client = client.ok_or_else(|| Failure::not_found("client"))?;
        let partner = self.store().partner(PartnerId(request.partner_id)).await?;
        let partner = partner.ok_or_else(|| Failure::not_found("partner"))?;
        let id = ConnectionId(self.draw_id());
        let key_text = request.key.to_json().to_compact_string();
        let sealed_key = self
            .shared
            .master_key
            .seal(&key_purpose(id), key_text.as_bytes())
            .map_err(|error| Failure::internal(&error))?;
        let proof = serde_json::json!({
            "digest": hex::encode(signed.request.digest),
            "signature": signed.request.signature,
            "publicKey": hex::encode(signed.request.public_key),
        });
        let opened = self
            .submit(OpenConnection {
                id,
                network_account_id: NetworkAccountId(self.draw_id()),
                client_id: client.id,
                partner_id: partner.id,
                configuration: (
                    partner.enterprise_id.clone(),
                    partner.institution_identifier.clone(),
                ),
                name: request.name,
                key_schema: key_schema(&request.key).ok_or(Failure::Internal)?,
                key_is_sealed_for_partner: request.key.is_sealed(),
                sealed_key,
                proof: STANDARD.encode(proof.to_string()),
                signed,
                lease_ms: self.settings().lease_ms(),
            })
            .await?;
        let followed = self.follow_opening(opened).await;
        let connection = followed.map_err(Failure::after_commit)?;
        match &connection.state {
            ConnectionState::Rejected { reason } => Err(Failure::Refused(Refusal {
                class: Class::Unprocessable,
                reason: reason.clone(),
            })),
            _ => Ok(connection),
        }
    }

    /// What a request does once its connection is there.
    async fn follow_opening(&self, opened: Opened) -> Result<Connection, Failure> {
        let mut connection = opened.connection;
        let _aside = self.step_aside();
        if opened.fresh {
            connection = self.ask_for_connection(connection).await?;
        } else if matches!(connection.state, ConnectionState::Created { .. }) {
            connection = match self.take_message(connection.id.0).await? {
                Some(_) => self.ask_for_connection(connection).await?,
                None => self.wait_for_connection(connection).await?,
            };
        }
        Ok(connection)
    }

    /// Whether a partner would be asked for a connection with this key, for the signing helpers.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub async fn check_connection(
        &self,
        partner_id: Uuid,
        key: &ConnectionKey,
    ) -> Result<(), Failure> {
        let partner = self.store().partner(PartnerId(partner_id)).await?;
        let partner = partner.ok_or_else(|| Failure::not_found("partner"))?;
        let schema = key_schema(key).ok_or(Failure::Internal)?;
        Ok(check_partner_takes(&partner, schema)?)
    }

    /// H1. Whoever calls has the lease of the connection's message.
    pub(crate) async fn ask_for_connection(
        &self,
        connection: Connection,
    ) -> Result<Connection, Failure> {
        let id = connection.id;
        let answer = match self.connect_call(&connection).await? {
            Some((endpoint, request)) => self.shared.partners.connect(&endpoint, &request).await,
            None => return Ok(connection),
        };
        let verdict = match answer {
            ConnectAnswer::Accepted {
                partners_connection_id,
                partners_client_id,
            } => ConnectionVerdict::Accepted {
                partners_connection_id,
                partners_client_id,
            },
            ConnectAnswer::Rejected { reason } => ConnectionVerdict::Rejected {
                reason: Reason::new("rejected_by_partner", reason),
            },
            ConnectAnswer::Unknown { error } => {
                tracing::warn!(connection = %id, error, "the partner did not answer for a connection");
                let (subject, call) = (id.0, MessageCall::Connect);
                self.submit(Undelivered {
                    subject,
                    call,
                    error,
                })
                .await?;
                return Ok(connection);
            }
        };
        self.submit(AnswerConnection { id, verdict }).await
    }

    async fn connect_call(
        &self,
        connection: &Connection,
    ) -> Result<Option<(Endpoint, ConnectRequest)>, Failure> {
        let ConnectionState::Created { sealed_key } = &connection.state else {
            return Ok(None);
        };
        let opened = self
            .shared
            .master_key
            .open(&key_purpose(connection.id), sealed_key)
            .map_err(|error| Failure::internal(&error))?;
        let key = Json::parse(&opened)
            .ok()
            .and_then(|json| ConnectionKey::read(&Reader::new(&json).ok()?));
        let key = key.ok_or_else(|| {
            tracing::error!(connection = %connection.id, "a stored connection key is unreadable");
            Failure::Internal
        })?;
        let request = ConnectRequest {
            client_id: connection.client_id.0,
            client_wallet_id: connection.go_account_id.to_string(),
            connection_id: connection.id.0,
            partner_id: connection.partner_id.0,
            key: key.into(),
        };
        let endpoint = self.endpoint_of(connection.partner_id).await?;
        Ok(Some((endpoint, request)))
    }

    /// Where and how a partner is called.
    pub(crate) async fn endpoint_of(&self, id: PartnerId) -> Result<Endpoint, Failure> {
        let partner = self.store().partner(id).await?;
        let partner = partner.ok_or_else(|| Failure::not_found("partner"))?;
        let configuration = self.configuration_of(&partner).await?;
        let configuration = configuration.ok_or_else(|| Failure::not_found("configuration"))?;
        Endpoint::new(&configuration, id).map_err(|error| Failure::internal(&error))
    }

    async fn wait_for_connection(&self, connection: Connection) -> Result<Connection, Failure> {
        let id = connection.id;
        let mut latest = connection;
        let mut waits = self.waits();
        while matches!(latest.state, ConnectionState::Created { .. })
            && self.is_worked_on(id.0).await?
            && waits.once_more().await
        {
            latest = self.store().connection(id).await?.unwrap_or(latest);
        }
        Ok(latest)
    }

    /// Renames, stops or resumes a connection (C8).
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub async fn update_connection(
        &self,
        caller: &Caller,
        id: Uuid,
        active: Option<bool>,
        name: Option<String>,
    ) -> Result<Connection, Failure> {
        self.submit(UpdateConnection {
            id: ConnectionId(id),
            enterprise_id: caller.enterprise.id.clone(),
            active,
            name,
        })
        .await
    }
}
