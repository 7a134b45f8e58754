//! Rows of clients, partners and connections.

use ledger::{GoAccountId, NetworkAccountId};
use rules::{
    ClientId, ConnectionId, PartnerId, Reason,
    record::{Client, Connection, ConnectionState, KeySchema, Partner, Suspended},
};

use super::{Columns, CommitFacts, Stored, optional_time, reason_values, table, time};
use crate::sql::{StoreError, Table, Value};

impl Stored for Client {
    const TABLE: &'static Table = table!("clients", ["id"],
        id Uuid, enterprise_id Text, trust_org Text, go_account_id Uuid, created_at Int,
        updated_at Int, suspended_at Int);

    fn key_values(key: &ClientId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        vec![
            self.id.0.into(),
            self.enterprise_id.as_str().into(),
            self.trust_org.as_str().into(),
            self.go_account_id.0.into(),
            time(self.created_at),
            time(self.updated_at),
            optional_time(self.suspended_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Client {
            id: ClientId(columns.uuid()?),
            enterprise_id: columns.parsed()?,
            trust_org: columns.text()?,
            go_account_id: GoAccountId(columns.uuid()?),
            created_at: columns.time()?,
            updated_at: columns.time()?,
            suspended_at: columns.optional_time()?,
        })
    }
}

fn minutes(columns: &mut Columns) -> Result<Option<u16>, StoreError> {
    match columns.optional_int()? {
        None => Ok(None),
        Some(minutes) => match u16::try_from(minutes) {
            Ok(minutes) => Ok(Some(minutes)),
            Err(_) => Err(columns.corrupt(&minutes.to_string())),
        },
    }
}

impl Stored for Partner {
    const TABLE: &'static Table = table!("partners", ["id"],
        id Uuid, enterprise_id Text, client_id Uuid, go_account_id Uuid, trust_org Text,
        institution_id Uuid, institution_identifier Text, name Text, key_schema Text, broker Bool,
        active Bool, stable Bool, dispute_window_minutes Int, top_up_window_minutes Int,
        allocation_policies_enabled Bool, created_at Int, updated_at Int);

    fn key_values(key: &PartnerId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        vec![
            self.id.0.into(),
            self.enterprise_id.as_str().into(),
            self.client_id.0.into(),
            self.go_account_id.0.into(),
            self.trust_org.as_str().into(),
            self.institution_id.into(),
            self.institution_identifier.as_str().into(),
            self.name.as_str().into(),
            self.key_schema.as_str().into(),
            self.broker.into(),
            self.active.into(),
            self.stable.into(),
            self.dispute_window_minutes.map(i64::from).into(),
            self.top_up_window_minutes.map(i64::from).into(),
            self.allocation_policies_enabled.into(),
            time(self.created_at),
            time(self.updated_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Partner {
            id: PartnerId(columns.uuid()?),
            enterprise_id: columns.parsed()?,
            client_id: ClientId(columns.uuid()?),
            go_account_id: GoAccountId(columns.uuid()?),
            trust_org: columns.text()?,
            institution_id: columns.optional_uuid()?,
            institution_identifier: columns.text()?,
            name: columns.text()?,
            key_schema: columns.spelled(KeySchema::from_spelling)?,
            broker: columns.boolean()?,
            active: columns.boolean()?,
            stable: columns.boolean()?,
            dispute_window_minutes: minutes(columns)?,
            top_up_window_minutes: minutes(columns)?,
            allocation_policies_enabled: columns.boolean()?,
            created_at: columns.time()?,
            updated_at: columns.time()?,
        })
    }
}

impl Stored for Connection {
    const TABLE: &'static Table = table!("connections", ["id"],
        id Uuid, name Text, client_id Uuid, client_enterprise_id Text, go_account_id Uuid,
        partner_id Uuid, partner_enterprise_id Text, network_account_id Uuid, active Bool,
        nonce Text, signed_request Uuid, proof Text, state Text, sealed_key Bytes,
        partners_connection_id Text, partners_client_id Text, reason_name Text,
        reason_message Text, created_at Int, updated_at Int, wanted_active Bool);

    fn key_values(key: &ConnectionId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        let mut sealed = None;
        let mut partners_ids = (None, None);
        let mut reason = None;
        let state = match &self.state {
            ConnectionState::Created { sealed_key } => {
                sealed = Some(sealed_key.as_slice());
                "created"
            }
            ConnectionState::Initialized {
                partners_connection_id,
                partners_client_id,
            } => {
                partners_ids = (
                    Some(partners_connection_id.as_str()),
                    Some(partners_client_id.as_str()),
                );
                "initialized"
            }
            ConnectionState::Rejected { reason: told } => {
                reason = Some(told);
                "rejected"
            }
        };
        let [reason_name, reason_message] = reason_values(reason);
        vec![
            self.id.0.into(),
            self.name.as_str().into(),
            self.client_id.0.into(),
            self.client_enterprise_id.as_str().into(),
            self.go_account_id.0.into(),
            self.partner_id.0.into(),
            self.partner_enterprise_id.as_str().into(),
            self.network_account_id.0.into(),
            self.active.into(),
            self.nonce.as_str().into(),
            self.signed_request.into(),
            self.proof.as_str().into(),
            state.into(),
            sealed.into(),
            partners_ids.0.into(),
            partners_ids.1.into(),
            reason_name,
            reason_message,
            time(self.created_at),
            time(self.updated_at),
            self.suspended
                .map(|suspended| suspended.wanted_active)
                .into(),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Connection {
            id: ConnectionId(columns.uuid()?),
            name: columns.text()?,
            client_id: ClientId(columns.uuid()?),
            client_enterprise_id: columns.parsed()?,
            go_account_id: GoAccountId(columns.uuid()?),
            partner_id: PartnerId(columns.uuid()?),
            partner_enterprise_id: columns.parsed()?,
            network_account_id: NetworkAccountId(columns.uuid()?),
            active: columns.boolean()?,
            nonce: columns.text()?,
            signed_request: columns.uuid()?,
            proof: columns.text()?,
            state: connection_state(columns)?,
            created_at: columns.time()?,
            updated_at: columns.time()?,
            suspended: columns
                .optional_boolean()?
                .map(|wanted_active| Suspended { wanted_active }),
        })
    }
}

fn connection_state(columns: &mut Columns) -> Result<ConnectionState, StoreError> {
    let state = columns.text()?;
    let sealed_key = columns.optional_bytes()?;
    let partners_ids = (columns.optional_text()?, columns.optional_text()?);
    let reason = columns.reason()?;
    match (state.as_str(), partners_ids) {
        ("created", _) => Ok(ConnectionState::Created {
            sealed_key: sealed_key.unwrap_or_default(),
        }),
        ("initialized", (Some(partners_connection_id), Some(partners_client_id))) => {
            Ok(ConnectionState::Initialized {
                partners_connection_id,
                partners_client_id,
            })
        }
        ("rejected", _) => Ok(ConnectionState::Rejected {
            reason: reason.unwrap_or_else(|| Reason::new("rejected_by_partner", "")),
        }),
        _ => Err(columns.corrupt(&state)),
    }
}
