//! Payload signatures: whose key signed these bytes (OES wire §4.1).

use ledger::GoAccountId;
use rules::{EnterpriseId, Signed, record::SignedRequest};
use sha2::{Digest, Sha256};
use uuid::Uuid;
use wire::signature::{PublicKey, Signature};

use crate::{Caller, Failure, Network};

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

impl Network {
    /// The Go Account whose keys sign for the caller: that of its client record, or the one that
    /// a client record would get.
    pub(crate) async fn signing_account(&self, caller: &Caller) -> Result<GoAccountId, Failure> {
        let client = self.store().client_of(&caller.enterprise.id).await?;
        let account = client.map(|c| c.go_account_id);
        account
            .or(caller.enterprise.go_account)
            .ok_or_else(|| Failure::not_found("client"))
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
        let keys = self.store().signing_keys(Some(account)).await?;
        let made = |key: &&rules::record::SigningKey| {
            PublicKey::from_bytes(&key.public_key)
                .is_ok_and(|public_key| signature.verifies(&text.payload, &public_key))
        };
        // A key that was revoked and added again counts: the revoked record comes last.
        let (revoked, counting): (Vec<_>, Vec<_>) =
            keys.iter().partition(|key| key.revoked_at.is_some());
        let key = counting.into_iter().chain(revoked).find(made);
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
                public_key: key.public_key,
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
