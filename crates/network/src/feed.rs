//! What enterprises are told: events in the order in which they happened, and statements of
//! accounts.

use ledger::{GoAccountId, Owner};
use rules::{ConnectionId, EnterpriseId};
use store::{EventPlace, Feed, Statement, StatementFilter};
use uuid::Uuid;

use crate::{Caller, Failure, Network};

impl Network {
    /// The events that concern an enterprise after a place, at most `limit` of them.
    ///
    /// # Errors
    ///
    /// See [`Failure`]; so for all that follow.
    pub async fn events(
        &self,
        enterprise: &EnterpriseId,
        after: EventPlace,
        limit: u32,
    ) -> Result<Feed, Failure> {
        let client = self.store().client_of(enterprise).await?;
        let client = client.map(|client| client.id);
        Ok(self
            .store()
            .events(enterprise, client, after, limit)
            .await?)
    }

    /// A part of the statement of a Go Account of the caller's enterprise.
    pub async fn statement_of_go_account(
        &self,
        caller: &Caller,
        id: Uuid,
        filter: &StatementFilter,
    ) -> Result<Statement, Failure> {
        let id = GoAccountId(id);
        let account = self.store().go_account(id).await?;
        account
            .filter(|account| account.enterprise_id == caller.enterprise.id)
            .ok_or_else(|| Failure::not_found("Go Account"))?;
        Ok(self.store().statement(Owner::Go(id), filter).await?)
    }

    /// A part of the statement of what is allocated on a connection, for either end of it.
    pub async fn statement_of_connection(
        &self,
        caller: &Caller,
        id: Uuid,
        filter: &StatementFilter,
    ) -> Result<Statement, Failure> {
        let connection = self.store().connection(ConnectionId(id)).await?;
        let own = &caller.enterprise.id;
        let connection = connection
            .filter(|c| c.client_enterprise_id == *own || c.partner_enterprise_id == *own)
            .ok_or_else(|| Failure::not_found("connection"))?;
        let owner = Owner::Net(connection.network_account_id);
        Ok(self.store().statement(owner, filter).await?)
    }
}
