//! How an enterprise becomes a client or a partner (OES wire C1, P1).

use ledger::Timestamp;

use crate::{
    Class, ClientId, Command, Draft, EnterpriseId, Keys, PartnerId, Refusal, View,
    record::{
        Activation, Claim, ClaimKey, ClaimKind, Client, Enterprise, KeySchema, Partner,
        PartnerConfiguration,
    },
    refusal::differing,
    signed::check_licence,
};

/// The enterprise wants to be a client (C1). Repeating it answers the client there is.
#[derive(Clone, Debug)]
pub struct BecomeClient {
    /// Who.
    pub enterprise_id: EnterpriseId,
    /// The identifier that a new client gets.
    pub client_id: ClientId,
}

/// An enterprise adds itself as a partner that clients can connect to (P1).
#[derive(Clone, Debug)]
pub struct CreatePartner {
    /// Who.
    pub enterprise_id: EnterpriseId,
    /// The identifier that a new partner gets.
    pub partner_id: PartnerId,
    /// The identifier that its client record gets, if the enterprise has none yet.
    pub client_id: ClientId,
    /// What people see.
    pub name: String,
    /// Whether it stands between clients.
    pub broker: bool,
    /// The institution, where it has an identifier elsewhere.
    pub institution_id: Option<uuid::Uuid>,
    /// The name under which the operator has configured it.
    pub institution_identifier: String,
    /// What clients have to prove themselves with.
    pub key_schema: KeySchema,
    /// Minutes in which clients may dispute; none: no disputes.
    pub dispute_window_minutes: Option<u16>,
    /// Minutes in which the partner may top up; none: no such window.
    pub top_up_window_minutes: Option<u16>,
    /// Stored and returned.
    pub allocation_policies_enabled: bool,
}

fn client_claim(enterprise: &EnterpriseId) -> ClaimKey {
    ClaimKey::new(enterprise.as_str(), ClaimKind::Client, "")
}

fn no_go_account() -> Refusal {
    Refusal::new(
        Class::Unprocessable,
        "no_go_account",
        "the enterprise has no Go Account; ask the operator of the network to open one",
    )
}

/// Loads the client that holds the enterprise's claim.
fn claimed_client(view: &View, enterprise: &EnterpriseId) -> Keys {
    let mut keys = Keys::default();
    if let Some(claim) = view.claims.get(&client_claim(enterprise)) {
        keys.clients.insert(ClientId(claim.subject));
    }
    keys
}

/// The client of the enterprise: the one there is, or a new one.
fn client_of(
    draft: &mut Draft<'_>,
    enterprise_id: &EnterpriseId,
    new_id: ClientId,
    now: Timestamp,
) -> Result<Client, Refusal> {
    let key = client_claim(enterprise_id);
    if let Some(claim) = draft.find::<Claim>(&key) {
        let id = ClientId(claim.subject);
        let client = draft.find::<Client>(&id).cloned();
        return client.ok_or_else(|| Refusal::not_found("client"));
    }
    let enterprise = draft.find::<Enterprise>(enterprise_id);
    let (go_account_id, trust_org) = enterprise
        .and_then(|e| Some((e.go_account?, e.trust_org.clone())))
        .ok_or_else(no_go_account)?;
    let client = Client {
        id: new_id,
        enterprise_id: enterprise_id.clone(),
        trust_org,
        go_account_id,
        suspended_at: None,
        created_at: now,
        updated_at: now,
    };
    draft.put(client.clone());
    draft.claim(key, new_id.0);
    Ok(client)
}

impl Command for BecomeClient {
    type Outcome = Client;

    fn keys(&self) -> Keys {
        let mut keys = Keys::default();
        keys.enterprises.insert(self.enterprise_id.clone());
        keys.claims.insert(client_claim(&self.enterprise_id));
        keys.clients.insert(self.client_id);
        keys
    }

    fn more_keys(&self, view: &View) -> Keys {
        claimed_client(view, &self.enterprise_id)
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Client, Refusal> {
        check_licence(draft, &self.enterprise_id)?;
        client_of(draft, &self.enterprise_id, self.client_id, now)
    }
}

impl CreatePartner {
    fn claim(&self) -> ClaimKey {
        let scope = self.enterprise_id.as_str();
        ClaimKey::new(scope, ClaimKind::Partner, &self.institution_identifier)
    }

    fn configuration_key(&self) -> (EnterpriseId, String) {
        (
            self.enterprise_id.clone(),
            self.institution_identifier.clone(),
        )
    }

    /// The names of the members in which an existing partner differs from what is asked for.
    fn differences(&self, partner: &Partner) -> Vec<&'static str> {
        let pairs = [
            ("name", self.name != partner.name),
            ("broker", self.broker != partner.broker),
            (
                "institutionId",
                self.institution_id != partner.institution_id,
            ),
            ("connectionKeySchema", self.key_schema != partner.key_schema),
            (
                "clientDisputeWindowMinutes",
                self.dispute_window_minutes != partner.dispute_window_minutes,
            ),
            (
                "topUpWindowMinutes",
                self.top_up_window_minutes != partner.top_up_window_minutes,
            ),
            (
                "allocationPoliciesEnabled",
                self.allocation_policies_enabled != partner.allocation_policies_enabled,
            ),
        ];
        differing(&pairs)
    }
}

impl Command for CreatePartner {
    type Outcome = Partner;

    fn keys(&self) -> Keys {
        let mut keys = Keys::default();
        keys.enterprises.insert(self.enterprise_id.clone());
        keys.claims.insert(self.claim());
        keys.claims.insert(client_claim(&self.enterprise_id));
        keys.clients.insert(self.client_id);
        keys.configurations.insert(self.configuration_key());
        keys
    }

    fn more_keys(&self, view: &View) -> Keys {
        let mut keys = claimed_client(view, &self.enterprise_id);
        if let Some(claim) = view.claims.get(&self.claim()) {
            keys.partners.insert(PartnerId(claim.subject));
        }
        keys
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Partner, Refusal> {
        check_licence(draft, &self.enterprise_id)?;
        let activation = draft
            .find::<PartnerConfiguration>(&self.configuration_key())
            .map(|configuration| configuration.activation)
            .ok_or_else(|| {
                Refusal::new(
                    Class::Unprocessable,
                    "partner_configuration_missing",
                    format!(
                        "Partner configuration is missing for institution identifier {:?}; the operator of the network has to make it first",
                        self.institution_identifier
                    ),
                )
            })?;
        let enterprise = draft.find::<Enterprise>(&self.enterprise_id);
        if enterprise.is_none_or(|e| e.go_account.is_none()) {
            return Err(no_go_account());
        }
        if let Some(claim) = draft.find::<Claim>(&self.claim()) {
            let partner = draft.find::<Partner>(&PartnerId(claim.subject));
            let partner = partner.ok_or_else(|| Refusal::not_found("partner"))?;
            let differences = self.differences(partner);
            if differences.is_empty() {
                return Ok(partner.clone());
            }
            return Err(Refusal::new(
                Class::Unprocessable,
                "partner_exists",
                format!(
                    "the enterprise is a partner as {:?} already, with other content; different: {}",
                    self.institution_identifier,
                    differences.join(", ")
                ),
            ));
        }
        let client = client_of(draft, &self.enterprise_id, self.client_id, now)?;
        let partner = Partner {
            id: self.partner_id,
            enterprise_id: self.enterprise_id.clone(),
            client_id: client.id,
            go_account_id: client.go_account_id,
            trust_org: client.trust_org,
            institution_id: self.institution_id,
            institution_identifier: self.institution_identifier.clone(),
            name: self.name.clone(),
            key_schema: self.key_schema,
            broker: self.broker,
            active: activation == Activation::Immediate,
            stable: false,
            dispute_window_minutes: self.dispute_window_minutes,
            top_up_window_minutes: self.top_up_window_minutes,
            allocation_policies_enabled: self.allocation_policies_enabled,
            created_at: now,
            updated_at: now,
        };
        draft.put(partner.clone());
        draft.claim(self.claim(), partner.id.0);
        Ok(partner)
    }
}
