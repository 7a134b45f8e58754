//! What an enterprise does as a client of the network (C1 to C22). Every operation has the errors
//! of [`Client::send`]; signed ones also [`ClientError::NoSigningKey`].

use reqwest::Method;
use uuid::Uuid;
use wire::api::allocations::{
    AllocationAccepted, AllocationResponse, AllocationsResponse, ClientAllocationsFilter,
    DeallocationAccepted, NewAllocation,
};
use wire::api::balances::{ClientBalancesFilter, ClientBalancesResponse};
use wire::api::clients::ClientResponse;
use wire::api::connections::{
    ClientConnectionsFilter, ConnectionResponse, ConnectionUpdate, ConnectionsResponse,
    NewConnection,
};
use wire::api::currencies::{SupportedCurrenciesFilter, SupportedCurrenciesResponse};
use wire::api::partners::{PartnersFilter, PartnersResponse};
use wire::api::settlements::{
    ClientClosureResponse, ClientDisputesFilter, ClientSettlementFilter, ClientSettlementResponse,
    ClientSettlementsFilter, ClientSettlementsResponse, DisputeConcession, DisputeResponse,
    DisputeUpdate, DisputesResponse, NewDispute, SettlementTransfersFilter,
    SettlementTransfersResponse,
};
use wire::api::signed::{Content, SigningPayload};

use crate::{Client, ClientError, Prepared};

impl Client {
    /// Becomes a client, or finds that it is one (C1).
    pub async fn become_client(&self) -> Result<ClientResponse, ClientError> {
        let prepared = Prepared::bare(Method::POST, self.path("/clients"));
        self.send(&prepared).await
    }

    /// Lists partners (C2).
    pub async fn partners(&self, filter: &PartnersFilter) -> Result<PartnersResponse, ClientError> {
        let prepared = Prepared::get(self.path("/partners"), filter.pairs());
        self.send(&prepared).await
    }

    /// Lists the currencies of partners (C3).
    pub async fn supported_currencies(
        &self,
        filter: &SupportedCurrenciesFilter,
    ) -> Result<SupportedCurrenciesResponse, ClientError> {
        let prepared = Prepared::get(self.path("/supportedCurrencies"), filter.pairs());
        self.send(&prepared).await
    }

    /// Asks for the text to sign for a connection (C4).
    pub async fn connection_payload(
        &self,
        content: &NewConnection,
    ) -> Result<SigningPayload, ClientError> {
        let path = self.path("/clients/connections/signing");
        self.send(&Prepared::write(Method::POST, path, content)?)
            .await
    }

    /// Lists the client's connections (C5).
    pub async fn client_connections(
        &self,
        filter: &ClientConnectionsFilter,
    ) -> Result<ConnectionsResponse, ClientError> {
        let prepared = Prepared::get(self.path("/clients/connections"), filter.pairs());
        self.send(&prepared).await
    }

    /// Signs a request to be connected to a partner (C6).
    pub fn prepare_connection(
        &self,
        content: NewConnection,
    ) -> Result<Prepared<ConnectionResponse>, ClientError> {
        self.sign(Method::POST, "/clients/connections", &[], content)
    }

    /// Connects to a partner (C6).
    pub async fn connect(&self, content: NewConnection) -> Result<ConnectionResponse, ClientError> {
        self.send(&self.prepare_connection(content)?).await
    }

    /// One of the client's connections (C7).
    pub async fn client_connection(&self, id: Uuid) -> Result<ConnectionResponse, ClientError> {
        let path = self.path(&format!("/clients/connections/{id}"));
        self.send(&Prepared::get(path, Vec::new())).await
    }

    /// Renames a connection, or makes new allocations over it possible or impossible (C8).
    pub async fn update_connection(
        &self,
        id: Uuid,
        update: &ConnectionUpdate,
    ) -> Result<ConnectionResponse, ClientError> {
        let path = self.path(&format!("/clients/connections/{id}"));
        self.send(&Prepared::write(Method::PUT, path, update)?)
            .await
    }

    /// Asks for the text to sign for an allocation (C9).
    pub async fn allocation_payload(
        &self,
        connection_id: Uuid,
        content: &NewAllocation,
    ) -> Result<SigningPayload, ClientError> {
        let path = format!("/clients/connections/{connection_id}/allocations/signing");
        self.send(&Prepared::write(Method::POST, self.path(&path), content)?)
            .await
    }

    /// Signs an allocation (C10).
    pub fn prepare_allocation(
        &self,
        connection_id: Uuid,
        content: NewAllocation,
    ) -> Result<Prepared<AllocationAccepted>, ClientError> {
        self.sign_movement(connection_id, "allocations", content)
    }

    /// Allocates (C10).
    pub async fn allocate(
        &self,
        connection_id: Uuid,
        content: NewAllocation,
    ) -> Result<AllocationAccepted, ClientError> {
        self.send(&self.prepare_allocation(connection_id, content)?)
            .await
    }

    /// Asks for the text to sign for a deallocation (C11).
    pub async fn deallocation_payload(
        &self,
        connection_id: Uuid,
        content: &NewAllocation,
    ) -> Result<SigningPayload, ClientError> {
        let path = format!("/clients/connections/{connection_id}/deallocations/signing");
        self.send(&Prepared::write(Method::POST, self.path(&path), content)?)
            .await
    }

    /// Signs a deallocation (C12).
    pub fn prepare_deallocation(
        &self,
        connection_id: Uuid,
        content: NewAllocation,
    ) -> Result<Prepared<DeallocationAccepted>, ClientError> {
        self.sign_movement(connection_id, "deallocations", content)
    }

    /// Deallocates (C12).
    pub async fn deallocate(
        &self,
        connection_id: Uuid,
        content: NewAllocation,
    ) -> Result<DeallocationAccepted, ClientError> {
        self.send(&self.prepare_deallocation(connection_id, content)?)
            .await
    }

    /// Lists the client's allocations and deallocations (C13).
    pub async fn client_allocations(
        &self,
        filter: &ClientAllocationsFilter,
    ) -> Result<AllocationsResponse, ClientError> {
        let prepared = Prepared::get(self.path("/clients/allocations"), filter.pairs());
        self.send(&prepared).await
    }

    /// One of the client's allocations or deallocations (C14).
    pub async fn client_allocation(&self, id: Uuid) -> Result<AllocationResponse, ClientError> {
        let path = self.path(&format!("/clients/allocations/{id}"));
        self.send(&Prepared::get(path, Vec::new())).await
    }

    /// The client's balances (C15).
    pub async fn client_balances(
        &self,
        filter: &ClientBalancesFilter,
    ) -> Result<ClientBalancesResponse, ClientError> {
        let prepared = Prepared::get(self.path("/clients/balances"), filter.pairs());
        self.send(&prepared).await
    }

    /// Lists settlements that concern the client (C16).
    pub async fn client_settlements(
        &self,
        filter: &ClientSettlementsFilter,
    ) -> Result<ClientSettlementsResponse, ClientError> {
        let prepared = Prepared::get(self.path("/clients/settlements"), filter.pairs());
        self.send(&prepared).await
    }

    /// One settlement that concerns the client, with its transfers (C17).
    pub async fn client_settlement(
        &self,
        id: Uuid,
        filter: &ClientSettlementFilter,
    ) -> Result<ClientSettlementResponse, ClientError> {
        let path = self.path(&format!("/clients/settlements/{id}"));
        self.send(&Prepared::get(path, filter.pairs())).await
    }

    /// Lists transfers that concern the client (C18).
    pub async fn client_settlement_transfers(
        &self,
        filter: &SettlementTransfersFilter,
    ) -> Result<SettlementTransfersResponse, ClientError> {
        let prepared = Prepared::get(self.path("/clients/settlementTransfers"), filter.pairs());
        self.send(&prepared).await
    }

    /// Signs an objection to a settlement (C19).
    pub fn prepare_dispute(
        &self,
        settlement_id: Uuid,
        content: NewDispute,
    ) -> Result<Prepared<DisputeResponse>, ClientError> {
        let settlement = settlement_id.to_string();
        let path = [
            ("settlementId", settlement.as_str()),
            ("enterpriseId", self.enterprise_id()),
        ];
        let tail = format!("/clients/settlements/{settlement}/disputes");
        self.sign(Method::POST, &tail, &path, content)
    }

    /// Disputes a settlement for one connection, within its dispute window (C19).
    pub async fn open_dispute(
        &self,
        settlement_id: Uuid,
        content: NewDispute,
    ) -> Result<DisputeResponse, ClientError> {
        self.send(&self.prepare_dispute(settlement_id, content)?)
            .await
    }

    /// Signs that a dispute is amended, taken back or raised again (C20).
    pub fn prepare_dispute_update(
        &self,
        dispute_id: Uuid,
        content: DisputeUpdate,
    ) -> Result<Prepared<DisputeResponse>, ClientError> {
        self.sign_dispute(Method::PUT, dispute_id, "", content)
    }

    /// Amends a dispute, takes it back or raises it again, within the dispute window (C20).
    pub async fn update_dispute(
        &self,
        dispute_id: Uuid,
        content: DisputeUpdate,
    ) -> Result<DisputeResponse, ClientError> {
        self.send(&self.prepare_dispute_update(dispute_id, content)?)
            .await
    }

    /// Signs that what was posted stands after all (C21).
    pub fn prepare_dispute_concession(
        &self,
        dispute_id: Uuid,
        content: DisputeConcession,
    ) -> Result<Prepared<ClientClosureResponse>, ClientError> {
        self.sign_dispute(Method::POST, dispute_id, "/close", content)
    }

    /// Closes a dispute: what was posted stands (C21).
    pub async fn close_dispute(
        &self,
        dispute_id: Uuid,
        content: DisputeConcession,
    ) -> Result<ClientClosureResponse, ClientError> {
        self.send(&self.prepare_dispute_concession(dispute_id, content)?)
            .await
    }

    /// Lists the client's disputes (C22).
    pub async fn client_disputes(
        &self,
        filter: &ClientDisputesFilter,
    ) -> Result<DisputesResponse, ClientError> {
        let prepared = Prepared::get(self.path("/clients/settlement/disputes"), filter.pairs());
        self.send(&prepared).await
    }

    fn sign_dispute<C: Content, T>(
        &self,
        method: Method,
        dispute_id: Uuid,
        act: &str,
        content: C,
    ) -> Result<Prepared<T>, ClientError> {
        let dispute = dispute_id.to_string();
        let path = [
            ("disputeId", dispute.as_str()),
            ("enterpriseId", self.enterprise_id()),
        ];
        let tail = format!("/clients/settlements/disputes/{dispute}{act}");
        self.sign(method, &tail, &path, content)
    }

    fn sign_movement<T>(
        &self,
        connection_id: Uuid,
        noun: &str,
        content: NewAllocation,
    ) -> Result<Prepared<T>, ClientError> {
        let connection = connection_id.to_string();
        let path = [
            ("connectionId", connection.as_str()),
            ("enterpriseId", self.enterprise_id()),
        ];
        let tail = format!("/clients/connections/{connection}/{noun}");
        self.sign(Method::POST, &tail, &path, content)
    }
}
