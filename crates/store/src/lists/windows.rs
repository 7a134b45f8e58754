//! Staged settlements: those that money may have come in for, and what they move.

use ledger::Currency;
use rules::{
    ConnectionId, SettlementId, TransferId,
    record::{Participation, Transfer},
    settle::KnownTransfers,
};

use super::{Found, Listed};
use crate::{
    Store, StoreError,
    record::{Columns, party},
    select::Select,
};

impl Store {
    /// Settlements that were found short and whose partner's account was moved by a later entry, at
    /// most so many.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn funded_settlements(&self, at_most: u32) -> Result<Vec<SettlementId>, StoreError> {
        let sql = "SELECT s.id FROM settlements s JOIN partners p ON p.id = s.partner_id
            WHERE s.found_short_at IS NOT NULL AND EXISTS (SELECT 1 FROM balances b
                WHERE b.owner_kind = 1 AND b.owner = p.go_account_id
                    AND b.entry > s.found_short_at)
            ORDER BY s.partner_id, s.id LIMIT $1";
        let read = |row| Ok(SettlementId(Columns::from(row).uuid()?));
        let params = vec![i64::from(at_most).into()];
        self.reader().read(sql, params, read).await
    }

    /// All transfers of a settlement, in their order.
    pub async fn transfers_of(&self, settlement: SettlementId) -> Listed<Transfer> {
        let select = Select::all().equal("settlement_id", settlement.0);
        select.order("position").run(self.reader()).await
    }

    /// What a command has to know of all transfers of a settlement before it sees them. Of tens of
    /// thousands, whole rows would take twice the memory.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn known_transfers_of(
        &self,
        settlement: SettlementId,
    ) -> Result<KnownTransfers, StoreError> {
        let sql = "SELECT id, currency, source_client_id, source_go_account_id,
                source_connection_id, source_network_account_id, destination_client_id,
                destination_go_account_id, destination_connection_id,
                destination_network_account_id
            FROM settlement_transfers WHERE settlement_id = $1 ORDER BY position";
        let read = |row| {
            let mut columns = Columns::from(row);
            let id = TransferId(columns.uuid()?);
            let currency: Currency = columns.parsed()?;
            let mut side = || Ok::<_, StoreError>(party(&mut columns)?.account(&currency));
            Ok((id, [side()?, side()?]))
        };
        let transfers = self.reader().read(sql, vec![settlement.0.into()], read);
        let mut known = KnownTransfers::default();
        for (id, accounts) in transfers.await? {
            known.ids.push(id);
            known.accounts.extend(accounts);
        }
        Ok(known)
    }

    /// One connection's part in a settlement.
    pub async fn participation(
        &self,
        settlement: SettlementId,
        connection: ConnectionId,
    ) -> Found<Participation> {
        self.by_key(&(settlement, connection)).await
    }
}
