//! What every signed request has in common: the key that signed it, its nonce, its evidence.

use ledger::{GoAccountId, Timestamp};

use crate::{
    Draft, EnterpriseId, Keys, Refusal, SigningKeyId,
    planted::{Fault, is_planted},
    record::{Claim, ClaimKey, ClaimKind, SignedRequest, SigningKey},
};

/// A request whose signature was verified against `key_id`.
///
/// Whether that key still counts, and whether the nonce is free, is decided inside the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The evidence to keep. Its `received_at` is set when it is accepted.
    pub request: SignedRequest,
    /// The key that verified the signature.
    pub key_id: SigningKeyId,
    /// The nonce inside the payload.
    pub nonce: String,
}

impl Signed {
    pub(crate) fn keys(&self) -> Keys {
        let mut keys = Keys::default();
        keys.enterprises.insert(self.enterprise().clone());
        keys.signing_keys.insert(self.key_id);
        keys.claims.insert(self.nonce_key());
        keys
    }

    fn enterprise(&self) -> &EnterpriseId {
        &self.request.enterprise_id
    }

    fn nonce_key(&self) -> ClaimKey {
        ClaimKey::new(self.enterprise().as_str(), ClaimKind::Nonce, &self.nonce)
    }

    /// The enterprise has its licence and the key may sign for `account`.
    pub(crate) fn check_authority(
        &self,
        draft: &Draft<'_>,
        account: GoAccountId,
    ) -> Result<(), Refusal> {
        check_licence(draft, self.enterprise())?;
        match draft.find::<SigningKey>(&self.key_id) {
            Some(key) if key.revoked_at.is_none() && key.go_account_id == account => Ok(()),
            _ => Err(Refusal::key_revoked()),
        }
    }

    /// Who took the nonce with these very payload bytes, if anyone did; refused if it was taken
    /// with others.
    pub(crate) fn nonce_holder(&self, draft: &Draft<'_>) -> Result<Option<uuid::Uuid>, Refusal> {
        match draft.find::<Claim>(&self.nonce_key()) {
            None => Ok(None),
            Some(claim) if claim.digest == Some(self.request.digest) => Ok(Some(claim.subject)),
            Some(_) => Err(Refusal::nonce_taken()),
        }
    }

    /// Takes the nonce for `subject`, for ever.
    pub(crate) fn take_nonce(
        &self,
        draft: &mut Draft<'_>,
        subject: uuid::Uuid,
    ) -> Result<(), Refusal> {
        match self.nonce_holder(draft)? {
            Some(holder) if holder == subject => Ok(()),
            Some(_) => Err(Refusal::nonce_taken()),
            None if is_planted(Fault::NonceNotTaken) => Ok(()),
            None => {
                draft.put(Claim {
                    key: self.nonce_key(),
                    subject,
                    digest: Some(self.request.digest),
                });
                Ok(())
            }
        }
    }

    /// Keeps the evidence, once.
    pub(crate) fn keep(&self, draft: &mut Draft<'_>, now: Timestamp) {
        if draft
            .find_if_known::<SignedRequest>(&self.request.id)
            .is_some()
        {
            return;
        }
        draft.put(SignedRequest {
            received_at: now,
            ..self.request.clone()
        });
    }
}

/// The enterprise exists and has its licence.
pub(crate) fn check_licence(draft: &Draft<'_>, id: &EnterpriseId) -> Result<(), Refusal> {
    match draft.find::<crate::record::Enterprise>(id) {
        Some(enterprise) if enterprise.licensed => Ok(()),
        _ => Err(Refusal::no_licence()),
    }
}
