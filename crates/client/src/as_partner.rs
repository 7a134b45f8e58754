//! What an enterprise does as a partner of the network (P1 to P11, P13 to P15). Every operation
//! has the errors of [`Client::send`]; signed ones also [`ClientError::NoSigningKey`].

use reqwest::Method;
use uuid::Uuid;
use wire::api::allocations::{
    AllocationResponse, AllocationUpdate, AllocationUpdated, AllocationsResponse,
    DeallocationUpdate, DeallocationUpdated, PartnerAllocationsFilter,
};
use wire::api::balances::{PartnerBalancesFilter, PartnerBalancesResponse};
use wire::api::connections::{ConnectionResponse, ConnectionsResponse, PartnerConnectionsFilter};
use wire::api::partners::{NewPartner, PartnerResponse};
use wire::api::settlements::{
    DisputesResponse, NewSettlement, NewStagedSettlement, PartnerDisputesFilter,
    PartnerSettlementFilter, PartnerSettlementResponse, PartnerSettlementsFilter,
    PartnerSettlementsResponse, SettlementCompleted, SettlementToSign, StagedSettlementResponse,
};
use wire::api::signed::SigningPayload;

use crate::{Client, ClientError, Prepared};

impl Client {
    /// Becomes a partner, or finds that it is this one (P1).
    pub async fn register_partner(
        &self,
        partner: &NewPartner,
    ) -> Result<PartnerResponse, ClientError> {
        let path = self.path("/partners");
        self.send(&Prepared::write(Method::POST, path, partner)?)
            .await
    }

    /// Lists the partner's connections (P2).
    pub async fn partner_connections(
        &self,
        filter: &PartnerConnectionsFilter,
    ) -> Result<ConnectionsResponse, ClientError> {
        let prepared = Prepared::get(self.path("/partners/connections"), filter.pairs());
        self.send(&prepared).await
    }

    /// One of the partner's connections (P3).
    pub async fn partner_connection(&self, id: Uuid) -> Result<ConnectionResponse, ClientError> {
        let path = self.path(&format!("/partners/connections/{id}"));
        self.send(&Prepared::get(path, Vec::new())).await
    }

    /// Lists the partner's allocations and deallocations (P4).
    pub async fn partner_allocations(
        &self,
        filter: &PartnerAllocationsFilter,
    ) -> Result<AllocationsResponse, ClientError> {
        let prepared = Prepared::get(self.path("/partners/allocations"), filter.pairs());
        self.send(&prepared).await
    }

    /// One of the partner's allocations or deallocations (P5).
    pub async fn partner_allocation(&self, id: Uuid) -> Result<AllocationResponse, ClientError> {
        let path = self.path(&format!("/partners/allocations/{id}"));
        self.send(&Prepared::get(path, Vec::new())).await
    }

    /// Signs that an allocation is cleared or released (P6).
    pub fn prepare_allocation_update(
        &self,
        content: AllocationUpdate,
    ) -> Result<Prepared<AllocationUpdated>, ClientError> {
        self.sign(Method::PUT, "/partners/allocations", &[], content)
    }

    /// Clears or releases an allocation, as an asynchronous partner (P6).
    pub async fn update_allocation(
        &self,
        content: AllocationUpdate,
    ) -> Result<AllocationUpdated, ClientError> {
        self.send(&self.prepare_allocation_update(content)?).await
    }

    /// Signs that a deallocation is cleared or released (P7).
    pub fn prepare_deallocation_update(
        &self,
        content: DeallocationUpdate,
    ) -> Result<Prepared<DeallocationUpdated>, ClientError> {
        self.sign(Method::PUT, "/partners/deallocations", &[], content)
    }

    /// Clears or releases a deallocation, as an asynchronous partner (P7).
    pub async fn update_deallocation(
        &self,
        content: DeallocationUpdate,
    ) -> Result<DeallocationUpdated, ClientError> {
        self.send(&self.prepare_deallocation_update(content)?).await
    }

    /// The partner's balances (P8).
    pub async fn partner_balances(
        &self,
        filter: &PartnerBalancesFilter,
    ) -> Result<PartnerBalancesResponse, ClientError> {
        let prepared = Prepared::get(self.path("/partners/balances"), filter.pairs());
        self.send(&prepared).await
    }

    /// Asks for the text to sign for a settlement (P9).
    pub async fn settlement_payload(
        &self,
        content: &SettlementToSign,
    ) -> Result<SigningPayload, ClientError> {
        let path = self.path("/partners/settlements-signing");
        self.send(&Prepared::write(Method::POST, path, content)?)
            .await
    }

    /// Signs a settlement (P10).
    pub fn prepare_settlement(
        &self,
        content: NewSettlement,
    ) -> Result<Prepared<SettlementCompleted>, ClientError> {
        let path = [("enterpriseId", self.enterprise_id())];
        self.sign(Method::POST, "/partners/settlements", &path, content)
    }

    /// Settles at once (P10). A settlement that fails is a refusal of status 500 with the record.
    pub async fn settle(&self, content: NewSettlement) -> Result<SettlementCompleted, ClientError> {
        self.send(&self.prepare_settlement(content)?).await
    }

    /// Signs a settlement that clients may dispute (P11).
    pub fn prepare_staged_settlement(
        &self,
        content: NewStagedSettlement,
    ) -> Result<Prepared<StagedSettlementResponse>, ClientError> {
        let path = [("enterpriseId", self.enterprise_id())];
        let to = self.path_of("v2", "/partners/settlements");
        self.sign_to(Method::POST, to, &path, content)
    }

    /// Stages a settlement, which clients may dispute until the dispute window ends (P11).
    pub async fn stage(
        &self,
        content: NewStagedSettlement,
    ) -> Result<StagedSettlementResponse, ClientError> {
        self.send(&self.prepare_staged_settlement(content)?).await
    }

    /// Lists the partner's settlements (P13).
    pub async fn partner_settlements(
        &self,
        filter: &PartnerSettlementsFilter,
    ) -> Result<PartnerSettlementsResponse, ClientError> {
        let prepared = Prepared::get(self.path("/partners/settlements"), filter.pairs());
        self.send(&prepared).await
    }

    /// One of the partner's settlements, with its transfers (P14).
    pub async fn partner_settlement(
        &self,
        id: Uuid,
        filter: &PartnerSettlementFilter,
    ) -> Result<PartnerSettlementResponse, ClientError> {
        let path = self.path(&format!("/partners/settlements/{id}"));
        self.send(&Prepared::get(path, filter.pairs())).await
    }

    /// Lists the disputes that clients have raised against the partner (P15).
    pub async fn partner_disputes(
        &self,
        filter: &PartnerDisputesFilter,
    ) -> Result<DisputesResponse, ClientError> {
        let path = self.path("/partners/settlement/disputes");
        self.send(&Prepared::get(path, filter.pairs())).await
    }
}
