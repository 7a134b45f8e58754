//! Becoming a client or a partner (OES wire C1, P1).

use rules::{
    ClientId, PartnerId,
    onboard::{BecomeClient, CreatePartner},
    record::{Client, KeySchema, Partner},
};
use uuid::Uuid;

use crate::{Caller, Failure, Network};

/// What an enterprise says of itself when it becomes a partner (P1).
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are those of the record")]
pub struct PartnerRequest {
    pub name: String,
    pub broker: bool,
    pub institution_id: Option<Uuid>,
    pub institution_identifier: String,
    pub key_schema: KeySchema,
    pub dispute_window_minutes: Option<u16>,
    pub top_up_window_minutes: Option<u16>,
    pub allocation_policies_enabled: bool,
}

impl Network {
    /// Makes the caller's enterprise a client, or answers the client that it is (C1).
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub async fn become_client(&self, caller: &Caller) -> Result<Client, Failure> {
        self.submit(BecomeClient {
            enterprise_id: caller.enterprise.id.clone(),
            client_id: ClientId(self.draw_id()),
        })
        .await
    }

    /// Makes the caller's enterprise a partner, or answers the partner that it is (P1). Beside it
    /// stands the RSA public key that connection keys have to be sealed to, if there is one.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub async fn create_partner(
        &self,
        caller: &Caller,
        request: PartnerRequest,
    ) -> Result<(Partner, Option<String>), Failure> {
        let partner = self
            .submit(CreatePartner {
                enterprise_id: caller.enterprise.id.clone(),
                partner_id: PartnerId(self.draw_id()),
                client_id: ClientId(self.draw_id()),
                name: request.name,
                broker: request.broker,
                institution_id: request.institution_id,
                institution_identifier: request.institution_identifier,
                key_schema: request.key_schema,
                dispute_window_minutes: request.dispute_window_minutes,
                top_up_window_minutes: request.top_up_window_minutes,
                allocation_policies_enabled: request.allocation_policies_enabled,
            })
            .await?;
        let configuration = self.configuration_of(&partner).await?;
        Ok((partner, configuration.and_then(|c| c.public_key)))
    }
}
