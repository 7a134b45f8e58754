//! The answer of a partner that answers later (P6, P7).

use ledger::{Amount, Currency, EntryId, GoAccountId, Timestamp};

use super::conclude::{Concluded, Verdict, conclude, conclusion_keys};
use crate::{
    AllocationId, Class, ClientId, Command, ConnectionId, Draft, EnterpriseId, Keys, Reason,
    Refusal, Signed, View,
    planted::{Fault, is_planted},
    record::{Allocation, AllocationKind, AllocationState, Answering, Connection},
    refusal::differing,
};

/// A partner that answers later says how a record ends (P6, P7).
#[derive(Clone, Debug)]
pub struct PartnerAnswer {
    /// Which record.
    pub id: AllocationId,
    /// Which kind the endpoint is for.
    pub kind: AllocationKind,
    /// The identifier that the journal entry gets.
    pub entry_id: EntryId,
    /// The partner's enterprise.
    pub enterprise_id: EnterpriseId,
    /// The partner's Go Account, whose keys sign.
    pub go_account_id: GoAccountId,
    /// The currency, by the partner's own name for it and as the network knows it.
    pub currency: Option<Currency>,
    /// How much.
    pub amount: Amount,
    /// The client as the partner sees it.
    pub client_id: ClientId,
    /// The connection as the partner sees it.
    pub connection_id: ConnectionId,
    /// The partner's name for the client.
    pub partners_client_id: String,
    /// The partner's name for the connection.
    pub partners_connection_id: String,
    /// The partner's name for the record.
    pub partner_external_id: String,
    /// Why it is released; none: it is cleared.
    pub reject_reason: Option<String>,
    /// The signed request.
    pub signed: Signed,
}

impl Command for PartnerAnswer {
    type Outcome = Concluded;

    fn keys(&self) -> Keys {
        let mut keys = self.signed.keys();
        keys.allocations.insert(self.id);
        keys.connections.insert(self.connection_id);
        keys
    }

    fn more_keys(&self, view: &View) -> Keys {
        conclusion_keys(view.allocations.get(&self.id))
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Concluded, Refusal> {
        self.signed.check_authority(draft, self.go_account_id)?;
        let record = draft
            .find::<Allocation>(&self.id)
            .filter(|record| record.partner_enterprise_id == self.enterprise_id)
            .filter(|record| record.kind == self.kind)
            .cloned()
            .ok_or_else(|| Refusal::not_found(self.kind.as_str()))?;
        let holder = self.signed.nonce_holder(draft)?;
        if holder.is_some_and(|holder| holder != self.id.0) {
            return Err(Refusal::nonce_taken());
        }
        if record.answering == Answering::Synchronous {
            return Err(Refusal::new(
                Class::NotPermitted,
                "partner_is_synchronous",
                format!(
                    "{}s are configured to be answered in the call itself",
                    self.kind
                ),
            ));
        }
        let cleared = self.reject_reason.is_none();
        match &record.state {
            AllocationState::Cleared if cleared => {}
            AllocationState::Released { .. } if !cleared => {}
            AllocationState::Reserved { .. } => {}
            AllocationState::Cleared => return Err(self.ended("cleared")),
            AllocationState::Released { .. } => return Err(self.ended("released")),
        }
        if !is_planted(Fault::AnswerNotCompared) {
            self.check_content(draft, &record)?;
        }
        self.signed.take_nonce(draft, self.id.0)?;
        let verdict = match &self.reject_reason {
            None => Verdict::Cleared {
                partner_external_id: Some(self.partner_external_id.clone()),
            },
            Some(reason) => Verdict::Released {
                reason: Reason::new("rejected_by_partner", reason.as_str()),
                tell_partner: false,
            },
        };
        let evidence = Some(self.signed.request.id);
        let concluded = conclude(draft, record, verdict, self.entry_id, evidence, now)?;
        if concluded.changed {
            self.signed.keep(draft, now);
        }
        Ok(concluded)
    }
}

impl PartnerAnswer {
    fn ended(&self, how: &str) -> Refusal {
        Refusal::new(
            Class::Conflict,
            "already_final",
            format!("the {} has been {how} and stays so", self.kind),
        )
    }

    fn check_content(&self, draft: &Draft<'_>, record: &Allocation) -> Result<(), Refusal> {
        let connection = draft.find::<Connection>(&self.connection_id);
        let partners = connection
            .filter(|c| c.id == record.connection_id)
            .and_then(|c| c.partners_ids());
        let (partners_connection, partners_client) = partners.unwrap_or_default();
        let members = [
            (
                "amount.currency",
                self.currency.as_ref() != Some(&record.currency),
            ),
            ("amount.quantity", self.amount != record.amount),
            ("clientId", self.client_id != record.client_id),
            ("connectionId", self.connection_id != record.connection_id),
            (
                "partnersClientId",
                self.partners_client_id != partners_client,
            ),
            (
                "partnersConnectionId",
                self.partners_connection_id != partners_connection,
            ),
            (
                match self.kind {
                    AllocationKind::Allocation => "partnersAllocationId",
                    AllocationKind::Deallocation => "partnersDeallocationId",
                },
                record
                    .partner_external_id
                    .as_ref()
                    .is_some_and(|known| *known != self.partner_external_id),
            ),
        ];
        let different = differing(&members);
        if different.is_empty() {
            return Ok(());
        }
        Err(Refusal::new(
            Class::Unprocessable,
            "answer_differs_from_record",
            format!(
                "the answer does not fit the {}; different: {}",
                self.kind,
                different.join(", ")
            ),
        ))
    }
}
