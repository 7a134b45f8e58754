//! Who may call: only the network, each call once (OES wire §4.5).

use std::collections::HashMap;

use uuid::Uuid;
use wire::partner_jwt::{JwtError, JwtVerifier};

/// How far our clock and the network's may be apart, in seconds.
const LEEWAY_S: i64 = 5;

/// What the exchange knows about the network's signatures.
#[derive(Default)]
pub(crate) struct Gate {
    verifier: Option<JwtVerifier>,
    partner_id: Option<Uuid>,
    /// The `jti` of tokens that are still valid, with their `exp`.
    used: HashMap<String, i64>,
}

/// Why a call is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unauthorized {
    #[error("the network's public key or our partner id is not known yet")]
    NotReady,
    #[error("the signature header is missing")]
    Missing,
    #[error("{0}")]
    Token(#[from] JwtError),
    #[error("the token is meant for another partner")]
    Audience,
    #[error("the token is about another call")]
    OtherCall,
    #[error("the token was used before")]
    Used,
}

impl Gate {
    pub(crate) fn trust(&mut self, verifier: JwtVerifier) {
        self.verifier = Some(verifier);
    }

    pub(crate) fn serve_as(&mut self, partner_id: Uuid) {
        self.partner_id = Some(partner_id);
    }

    /// The partner that the exchange is, once it is known.
    pub(crate) fn partner_id(&self) -> Option<Uuid> {
        self.partner_id
    }

    /// Lets a call in, once.
    pub(crate) fn admit(
        &mut self,
        token: Option<&str>,
        method: &str,
        path_and_query: &str,
        body: &[u8],
        now_unix_s: i64,
    ) -> Result<(), Unauthorized> {
        let (Some(verifier), Some(partner_id)) = (&self.verifier, self.partner_id) else {
            return Err(Unauthorized::NotReady);
        };
        let token = token.ok_or(Unauthorized::Missing)?;
        let claims = verifier.verify(token, now_unix_s, LEEWAY_S)?;
        if claims.aud != partner_id.to_string() {
            return Err(Unauthorized::Audience);
        }
        if !claims.covers(method, path_and_query, body) {
            return Err(Unauthorized::OtherCall);
        }
        self.used.retain(|_, exp| *exp + LEEWAY_S > now_unix_s);
        if self.used.insert(claims.jti, claims.exp).is_some() {
            return Err(Unauthorized::Used);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wire::partner_jwt::{Claims, JwtSigner, body_sha256};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn a_call_is_let_in_once() {
        let signer = JwtSigner::generate().unwrap();
        let token = |aud: u128, jti: &str| {
            let claims = Claims {
                iss: "tidelock".to_owned(),
                aud: Uuid::from_u128(aud).to_string(),
                iat: NOW,
                exp: NOW + 60,
                jti: jti.to_owned(),
                method: "POST".to_owned(),
                path: "/x".to_owned(),
                body_sha256: body_sha256(b"{}"),
            };
            signer.sign(&claims).unwrap()
        };
        let mut gate = Gate::default();
        let admit = |gate: &mut Gate, token: Option<&str>, path: &str, now: i64| {
            gate.admit(token, "POST", path, b"{}", now)
        };
        let good = token(1, "1");
        assert_eq!(
            admit(&mut gate, Some(&good), "/x", NOW),
            Err(Unauthorized::NotReady)
        );
        gate.trust(JwtVerifier::from_public_pem(&signer.public_key_pem()).unwrap());
        gate.serve_as(Uuid::from_u128(1));
        assert_eq!(
            admit(&mut gate, None, "/x", NOW),
            Err(Unauthorized::Missing)
        );
        assert_eq!(
            admit(&mut gate, Some(&token(2, "1")), "/x", NOW),
            Err(Unauthorized::Audience)
        );
        assert_eq!(
            admit(&mut gate, Some(&good), "/y", NOW),
            Err(Unauthorized::OtherCall)
        );
        assert_eq!(
            admit(&mut gate, Some(&good), "/x", NOW + 65),
            Err(Unauthorized::Token(JwtError::Expired))
        );
        assert_eq!(admit(&mut gate, Some(&good), "/x", NOW), Ok(()));
        assert_eq!(
            admit(&mut gate, Some(&good), "/x", NOW + 64),
            Err(Unauthorized::Used)
        );
        assert_eq!(admit(&mut gate, Some(&token(1, "2")), "/x", NOW), Ok(()));
        // What has expired is refused for that, and need not be remembered.
        assert!(admit(&mut gate, Some(&good), "/x", NOW + 70).is_err());
    }
}
