//! Payload signatures: whose key signed these bytes (OES wire §4.1).

use std::sync::Arc;

use ledger::GoAccountId;
use rules::{EnterpriseId, Signed, record::SignedRequest};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use wire::signature::{PublicKey, Signature};

use crate::{
    Caller, Failure, Network,
    known::{BELIEVED_FOR, KnownKey},
};

/// What a signed request brought: the text and the signature over its bytes.
#[derive(Clone)]
pub struct SignedText {
    /// The exact text that was signed.
    pub payload: String,
    /// The signature as it was sent.
    pub signature: String,
    /// The nonce inside the payload.
    pub nonce: String,
}

/// Whether the payload is kept in clear or, because it holds secrets, sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    Clear,
    Sealed,
}

pub(crate) fn payload_purpose(id: Uuid) -> String {
    format!("payload {id}")
}

/// The key among `keys` that `signer` is, preferably one that still counts.
fn counting(keys: &[KnownKey], signer: &PublicKey) -> Option<KnownKey> {
    let own = || keys.iter().filter(|key| key.public_key == *signer);
    own()
        .find(|key| !key.revoked)
        .or_else(|| own().next())
        .copied()
}

impl Network {
    /// The Go Account whose keys sign for the caller: that of its client record, or the one that
    /// a client record would get.
    pub(crate) async fn signing_account(&self, caller: &Caller) -> Result<GoAccountId, Failure> {
        let enterprise = &caller.enterprise;
        let known = &self.shared.known.signing_accounts;
        if let Some(account) = known.recall(&enterprise.id, BELIEVED_FOR) {
            return Ok(account);
        }
        let Some(client) = self.store().client_of(&enterprise.id).await? else {
            let own = enterprise.go_account;
            return own.ok_or_else(|| Failure::not_found("client"));
        };
        known.remember(enterprise.id.clone(), client.go_account_id);
        Ok(client.go_account_id)
    }

    /// The key of `account` that `signer` is, if it is one. A key that was revoked and added again
    /// counts.
    async fn key_of(
        &self,
        account: GoAccountId,
        signer: &PublicKey,
    ) -> Result<Option<KnownKey>, Failure> {
        let known = &self.shared.known.signing_keys;
        if let Some(keys) = known.recall(&account, BELIEVED_FOR)
            && let Some(key) = counting(&keys, signer)
            && !key.revoked
        {
            return Ok(Some(key));
        }
        let keys = self.store().signing_keys(Some(account)).await?;
        let keys: Arc<[KnownKey]> = keys
            .iter()
            .filter_map(|key| {
                Some(KnownKey {
                    id: key.id,
                    public_key: PublicKey::from_bytes(&key.public_key).ok()?,
                    revoked: key.revoked_at.is_some(),
                })
            })
            .collect();
        let key = counting(&keys, signer);
        known.remember(account, keys);
        Ok(key)
    }

    /// Finds the key of `account` that made the signature.
    ///
    /// Malformed signatures are faults of the request; well-formed ones that no key of the account
    /// made are not authentic. Whether the key still counts is decided in the batch.
    pub(crate) async fn verify(
        &self,
        enterprise: &EnterpriseId,
        account: GoAccountId,
        text: SignedText,
        keeping: Keeping,
    ) -> Result<Signed, Failure> {
        let signature = Signature::parse(&text.signature)
            .map_err(|error| Failure::invalid("signature", error.to_string()))?;
        let key = match signature.signer(&text.payload) {
            Some(signer) => self.key_of(account, &signer).await?,
            None => None,
        };
        let key = key.ok_or_else(|| {
            Failure::not_authentic(
                "signature_not_verified",
                "the signature was not made over this payload by a key of the enterprise's Go Account",
            )
        })?;
        let id = self.draw_id();
        let digest: [u8; 32] = Sha256::digest(text.payload.as_bytes()).into();
        let payload = match keeping {
            Keeping::Clear => text.payload.into_bytes(),
            Keeping::Sealed => {
                let purpose = payload_purpose(id);
                let sealed = self
                    .shared
                    .master_key
                    .seal(&purpose, text.payload.as_bytes());
                sealed.map_err(|error| Failure::internal(&error))?
            }
        };
        Ok(Signed {
            request: SignedRequest {
                id,
                enterprise_id: enterprise.clone(),
                public_key: *key.public_key.as_bytes(),
                payload: payload.into(),
                sealed: keeping == Keeping::Sealed,
                digest,
                signature: text.signature,
                received_at: self.store().now(),
            },
            key_id: key.id,
            nonce: text.nonce,
        })
    }
}
