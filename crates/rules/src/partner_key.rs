//! The public key of a partner, which clients seal connection keys to (decisions §5).
//!
//! It is a member of the partner's configuration. It can be changed by itself, because a partner
//! that has lost its key cannot wait for anything else to be agreed upon.

use ledger::Timestamp;

use crate::{
    Command, Draft, EnterpriseId, Keys, Refusal, operate::Act, record::PartnerConfiguration,
};

/// A partner's public key is set, replaced or removed. From then on new connections need a key that
/// is sealed to it; without one, secrets are taken as they are.
#[derive(Clone, Debug)]
pub struct SetPartnerKey {
    /// The partner's enterprise.
    pub enterprise_id: EnterpriseId,
    /// The name under which it is configured.
    pub institution_identifier: String,
    /// The RSA key in PEM (SPKI); none: no key any more.
    pub public_key: Option<String>,
    /// Who says so.
    pub operator: Act,
}

impl SetPartnerKey {
    fn key(&self) -> (EnterpriseId, String) {
        (
            self.enterprise_id.clone(),
            self.institution_identifier.clone(),
        )
    }
}

impl Command for SetPartnerKey {
    type Outcome = PartnerConfiguration;

    fn keys(&self) -> Keys {
        Keys {
            configurations: [self.key()].into(),
            ..Keys::default()
        }
    }

    fn decide(
        &self,
        draft: &mut Draft<'_>,
        now: Timestamp,
    ) -> Result<PartnerConfiguration, Refusal> {
        let before = draft.find::<PartnerConfiguration>(&self.key()).cloned();
        let before = before.ok_or_else(|| Refusal::not_found("partner configuration"))?;
        if before.public_key == self.public_key {
            return Ok(before);
        }
        let after = PartnerConfiguration {
            public_key: self.public_key.clone(),
            version: before.version + 1,
            updated_at: now,
            ..before.clone()
        };
        let subject = format!("{} as {}", self.enterprise_id, self.institution_identifier);
        let change = (Some(&before.public_key), &after.public_key);
        self.operator
            .record_change(draft, "set_partner_key", subject, change, now);
        draft.put(after.clone());
        Ok(after)
    }
}
