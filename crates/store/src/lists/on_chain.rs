//! Settlements over the chain, their legs and their deposits.

use rules::{
    EnterpriseId, OnChainDepositId, SettlementId,
    record::{OnChain, OnChainDeposit, OnChainLeg},
};

use super::{Found, Listed, Page};
use crate::{Store, select::Select};

/// What narrows a list of announced deposits.
#[derive(Clone, Debug, Default)]
pub struct OnChainDepositFilter {
    /// For this settlement.
    pub settlement_id: Option<SettlementId>,
    /// Whether it was seen.
    pub seen: Option<bool>,
}

impl Store {
    /// What these settlements have beyond others, those of them that are made over the chain.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`](crate::StoreError); so for all that follow.
    pub async fn on_chain(&self, ids: Vec<SettlementId>) -> Listed<OnChain> {
        let ids = ids.into_iter().map(|id| id.0).collect();
        let select = Select::all().among("settlement_id", Some(ids));
        select.run(self.reader()).await
    }

    /// Settlements over the chain that have begun and have not ended, the newest first.
    pub async fn open_on_chain(&self, page: Page) -> Listed<OnChain> {
        let open = "started AND gains_unfinished + losses_unfinished > 0";
        let select = Select::all().filter(open, Vec::new());
        let select = select.order("settlement_id DESC").page(page);
        select.run(self.reader()).await
    }

    /// The legs of these settlements.
    pub async fn on_chain_legs(&self, ids: Vec<SettlementId>) -> Listed<OnChainLeg> {
        let ids = ids.into_iter().map(|id| id.0).collect();
        let select = Select::all().among("settlement_id", Some(ids));
        let select = select.order("settlement_id, direction, currency");
        select.run(self.reader()).await
    }

    /// Announced deposits, the newest first.
    pub async fn on_chain_deposits(
        &self,
        filter: OnChainDepositFilter,
        page: Page,
    ) -> Listed<OnChainDeposit> {
        let settlement = filter.settlement_id.map(|id| vec![id.0]);
        let mut select = Select::all().named("settlement_id", settlement);
        select = match filter.seen {
            Some(true) => select.filter("transfer_id IS NOT NULL", Vec::new()),
            Some(false) => select.filter("transfer_id IS NULL", Vec::new()),
            None => select,
        };
        let select = select.order("created_at DESC, id").page(page);
        select.run(self.reader()).await
    }

    /// One announced deposit.
    pub async fn on_chain_deposit(&self, id: OnChainDepositId) -> Found<OnChainDeposit> {
        self.by_key(&id).await
    }

    /// A deposit that an enterprise has announced for a settlement of this name, if it has.
    pub async fn on_chain_deposit_for(
        &self,
        enterprise: &EnterpriseId,
        external_settlement_id: &str,
    ) -> Found<OnChainDeposit> {
        Select::all()
            .equal("partner_enterprise_id", enterprise.as_str())
            .equal("external_settlement_id", external_settlement_id)
            .first(self.reader())
            .await
    }
}
