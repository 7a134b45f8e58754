//! What operators stop and resume, and the public keys of partners.

use rules::{
    ClientId, ConnectionId, EnterpriseId, PartnerId,
    partner_key::SetPartnerKey,
    record::{Client, Connection, PartnerConfiguration},
    suspend::{SuspendClient, SuspendConnection},
};
use wire::connection_key::is_public_key;

use crate::{Failure, Network, Operator};

impl Network {
    /// Whether a partner is inactive. Only planted faults ask: what is under way with it goes on.
    pub(crate) async fn is_inactive(&self, id: PartnerId) -> Result<bool, Failure> {
        let partner = self.store().partner(id).await?;
        Ok(partner.is_some_and(|partner| !partner.active))
    }
}

impl Operator<'_> {
    /// Suspends or reactivates a client.
    ///
    /// # Errors
    ///
    /// See [`Failure`]; so for all that follow.
    pub async fn suspend_client(&self, id: ClientId, suspended: bool) -> Result<Client, Failure> {
        let operator = self.act();
        self.submit(SuspendClient {
            id,
            suspended,
            operator,
        })
        .await
    }

    /// Suspends or reactivates a connection.
    pub async fn suspend_connection(
        &self,
        id: ConnectionId,
        suspended: bool,
    ) -> Result<Connection, Failure> {
        let operator = self.act();
        self.submit(SuspendConnection {
            id,
            suspended,
            operator,
        })
        .await
    }

    /// Sets or replaces the public key of a partner, or removes it.
    pub async fn set_partner_key(
        &self,
        enterprise_id: EnterpriseId,
        institution_identifier: String,
        public_key: Option<String>,
    ) -> Result<PartnerConfiguration, Failure> {
        if public_key.as_ref().is_some_and(|pem| !is_public_key(pem)) {
            let message = "must be an RSA public key in PEM (SPKI)";
            return Err(Failure::invalid("publicKey", message));
        }
        let operator = self.act();
        self.submit(SetPartnerKey {
            enterprise_id,
            institution_identifier,
            public_key,
            operator,
        })
        .await
    }
}
