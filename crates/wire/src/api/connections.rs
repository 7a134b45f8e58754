//! Connections: the links between clients and partners (C4 to C8, P2, P3).

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap as _};
use utoipa::ToSchema;
use uuid::Uuid;

use super::filter::filters;
use super::signed::Content;
use super::{DateTime, PolicyTraces, bounds, choice};
use crate::body::{Fault, Reader};
use crate::connection_key::{ConnectionKey, ConnectionKeySchema};
use crate::json::Json;

choice::codec!(ConnectionKeySchema);

/// A client's link to a partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// Its id.
    #[serde(with = "crate::api::uuid_text")]
    pub id: Uuid,
    /// Its name for people.
    #[schema(min_length = 1)]
    pub name: String,
    /// The client.
    #[serde(with = "crate::api::uuid_text")]
    pub client_id: Uuid,
    /// The partner.
    #[serde(with = "crate::api::uuid_text")]
    pub partner_id: Uuid,
    /// The account that holds what is allocated over this connection.
    #[serde(with = "crate::api::uuid_text")]
    pub network_account_id: Uuid,
    /// When it was made.
    pub created_at: DateTime,
    /// When this record last changed.
    pub updated_at: DateTime,
    /// Whether the client wants new allocations to be possible; deallocations always are.
    pub active: bool,
    /// Base64 of a JSON object with the digest of the signed payload, the signature and the public
    /// key (decisions Q43).
    #[schema(min_length = 1)]
    pub proof: String,
    /// The nonce of the request that made it.
    #[schema(min_length = 1)]
    pub nonce: String,
    /// Traces of policies.
    #[serde(flatten)]
    pub policy: PolicyTraces,
    /// The partner's id for the connection; `null` until the partner has accepted it.
    #[schema(required = true)]
    pub partners_connection_id: Option<String>,
    /// The partner's id for the client; `null` until the partner has accepted the connection.
    #[schema(required = true)]
    pub partners_client_id: Option<String>,
    /// Whether the partner has accepted it.
    pub initialized: bool,
}

/// Answer of C6, C7, C8 and P3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionResponse {
    /// The connection.
    pub connection: Connection,
}

/// Answer of C5 and P2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConnectionsResponse {
    /// One page of connections.
    pub connections: Vec<Connection>,
}

/// What a client signs to be connected: body of C4, content of C6.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewConnection {
    /// The partner.
    #[serde(with = "crate::api::uuid_text")]
    pub partner_id: Uuid,
    /// A name for people, at most 512 bytes.
    #[schema(min_length = 1)]
    pub name: String,
    /// What the partner wants to see, plain or sealed as it asks for.
    #[serde(serialize_with = "connection_key")]
    #[schema(value_type = DescribedConnectionKey)]
    pub connection_key: ConnectionKey,
    /// The nonce, at most 512 bytes.
    #[schema(min_length = 1)]
    pub nonce: String,
}

impl Content for NewConnection {
    /// `encrypt` is a member that one public client leaves in the body; it means nothing here.
    const UNSIGNED: &'static [&'static str] = &["payload", "signature", "encrypt"];

    fn take(body: &Reader<'_>) -> Option<Self> {
        let partner_id = body.uuid("partnerId");
        let name = bounds::text(body, "name");
        let key = body.object("connectionKey");
        let connection_key = key.and_then(|key| ConnectionKey::read(&key));
        let nonce = bounds::text(body, "nonce");
        Some(Self {
            partner_id: partner_id?,
            name: name?,
            connection_key: connection_key?,
            nonce: nonce?,
        })
    }

    fn nonce_mut(&mut self) -> &mut String {
        &mut self.nonce
    }
}

/// Body of C8; what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConnectionUpdate {
    /// Whether new allocations are to be possible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// A new name, at most 512 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1)]
    pub name: Option<String>,
}

impl ConnectionUpdate {
    /// Reads the body.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let active = body.optional_boolean("active");
        let name = bounds::optional_text(&body, "name");
        body.finish(|| Some(Self { active, name }))
    }
}

/// The schema of [`ConnectionKey`], which itself knows nothing of OpenAPI.
#[derive(ToSchema)]
#[schema(as = ConnectionKey)]
#[serde(tag = "schema", rename_all = "camelCase")]
#[expect(dead_code, reason = "only its schema is used")]
enum DescribedConnectionKey {
    /// A connection token.
    #[serde(rename_all = "camelCase")]
    Token {
        #[schema(min_length = 1)]
        connection_token: String,
    },
    /// A connection token and a signature.
    #[serde(rename_all = "camelCase")]
    TokenAndSignature {
        #[schema(min_length = 1)]
        connection_token: String,
        #[schema(min_length = 1)]
        signature: String,
    },
    /// An API key and its secret.
    #[serde(rename_all = "camelCase")]
    ApiKeyAndSecret {
        #[schema(min_length = 1)]
        api_key: String,
        #[schema(min_length = 1)]
        api_secret: String,
    },
    /// An API key and its secret, and two identifiers of the client.
    #[serde(rename_all = "camelCase")]
    Clearloop {
        #[schema(min_length = 1)]
        api_key: String,
        #[schema(min_length = 1)]
        api_secret: String,
        #[schema(min_length = 1)]
        client_account_id: String,
        #[schema(min_length = 1)]
        company_registration_number: String,
    },
}

fn connection_key<S: Serializer>(key: &ConnectionKey, serializer: S) -> Result<S::Ok, S::Error> {
    let json = key.to_json();
    let members = json.as_object().into_iter().flat_map(|key| key.iter());
    let mut map = serializer.serialize_map(None)?;
    for (name, value) in members {
        map.serialize_entry(name, &value.as_str())?;
    }
    map.end()
}

filters! {
    /// What narrows a client's list of its connections (C5).
    ClientConnectionsFilter {
        /// Only active, or only inactive connections.
        active: bool = boolean("active"),
        /// These connections.
        connection_ids: Vec<Uuid> = uuids("connectionIds"),
        /// Connections of these names; a name may hold commas.
        names: Vec<String> = names("names"),
        /// Connections to these partners.
        partner_ids: Vec<Uuid> = uuids("partnerIds"),
    }

    /// What narrows a partner's list of its connections (P2).
    PartnerConnectionsFilter {
        /// Only active, or only inactive connections.
        active: bool = boolean("active"),
        /// Connections of these clients.
        client_ids: Vec<Uuid> = uuids("clientIds"),
        /// These connections.
        connection_ids: Vec<Uuid> = uuids("connectionIds"),
        /// Connections of these clients, by the partner's ids for them.
        partners_client_ids: Vec<String> = identifiers("partnersClientIds"),
        /// These connections, by the partner's ids for them.
        partners_connection_ids: Vec<String> = identifiers("partnersConnectionIds"),
        /// Connections to these partners of the enterprise.
        partner_ids: Vec<Uuid> = uuids("partnerIds"),
    }
}
