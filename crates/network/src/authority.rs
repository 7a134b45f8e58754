//! Who asks, and whether they may (decisions §4, §7).
//!
//! The order is the server's; the answers are here. What money depends on is decided again inside
//! the batch; here it is only told early. Answers of the database are believed for at most five
//! seconds, and not at all after an operator of this very process has changed something.

use std::{net::IpAddr, time::Duration};

use rules::{
    Class, EnterpriseId, Refusal, TokenId, UserId,
    operate::NoteTokenUse,
    record::{Enterprise, EnterpriseRole, InstallationRole, Membership, Scope, TokenSecret},
};
use store::Principal;
use wire::request_hmac::{is_v2x, token_hash};
use zeroize::Zeroizing;

use crate::{Failure, Network, known::BELIEVED_FOR};

/// What a bearer was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// The token itself.
    Token,
    /// The SHA-256 of the token, which proves nothing without a request HMAC.
    Hash,
}

/// Somebody with a token that counts.
pub struct Authentic {
    /// The token and its user.
    pub principal: Principal,
    /// What was presented.
    pub presented: Presented,
    /// The token itself where it is known: the key of request and response HMACs.
    pub secret: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for Authentic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authentic")
            .field("user", &self.principal.user.id)
            .field("token", &self.principal.token.id)
            .field("presented", &self.presented)
            .finish_non_exhaustive()
    }
}

/// A member of an enterprise who acts for it.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who.
    pub user_id: UserId,
    /// With which token.
    pub token_id: TokenId,
    /// What the token may be used for.
    pub scopes: Vec<Scope>,
    /// For which enterprise.
    pub enterprise: Enterprise,
    /// As what.
    pub role: EnterpriseRole,
}

impl Caller {
    /// Whether the token has these scopes.
    ///
    /// # Errors
    ///
    /// A refusal that names what is missing.
    pub fn require(&self, scopes: &[Scope]) -> Result<(), Failure> {
        let missing = scopes.iter().filter(|scope| !self.scopes.contains(scope));
        let missing: Vec<Scope> = missing.copied().collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(scope_missing(&missing)),
        }
    }

    /// Whether the enterprise has its licence.
    ///
    /// # Errors
    ///
    /// A refusal if it has not.
    pub fn require_licence(&self) -> Result<(), Failure> {
        if self.enterprise.licensed {
            return Ok(());
        }
        Err(Refusal::new(
            Class::NotPermitted,
            "no_oes_licence",
            "the enterprise does not have an OES licence; ask the operator of the network for one",
        )
        .into())
    }
}

fn scope_missing(missing: &[Scope]) -> Failure {
    let missing: Vec<&str> = missing.iter().map(|scope| scope.as_str()).collect();
    Refusal::new(
        Class::NotPermitted,
        "scope_missing",
        format!("the access token lacks the scope {}", missing.join(" and ")),
    )
    .into()
}

fn no_such_token() -> Failure {
    Failure::not_authentic(
        "invalid_token",
        "the access token is unknown or no longer counts",
    )
}

impl Network {
    /// Who presents this bearer from this address.
    ///
    /// # Errors
    ///
    /// [`Failure::TokenExpired`], or a refusal that does not tell unknown, revoked and misplaced
    /// tokens apart.
    pub async fn authenticate(
        &self,
        bearer: &str,
        from: Option<IpAddr>,
    ) -> Result<Authentic, Failure> {
        // Decoded into a place of its own: what a failed decoding leaves behind is the caller's
        // choice, and must never be looked up as if it were the hash of something.
        let mut given = [0; 32];
        let (presented, hash) = match hex::decode_to_slice(bearer, &mut given) {
            Ok(()) => (Presented::Hash, given),
            Err(_) => (Presented::Token, token_hash(bearer)),
        };
        let principal = self.principal(hash).await?.ok_or_else(no_such_token)?;
        let token = &principal.token;
        let now = self.store().real_now();
        if token.revoked_at.is_some() {
            return Err(no_such_token());
        }
        if !token.is_valid(now) {
            return Err(Failure::TokenExpired);
        }
        if !is_allowed_from(&token.networks, from) {
            return Err(no_such_token());
        }
        let secret = match (&token.secret, presented) {
            // A hash is accepted for tokens that can sign, and for no others.
            (TokenSecret::Plain, Presented::Hash) => return Err(no_such_token()),
            (TokenSecret::Plain, Presented::Token) => None,
            (TokenSecret::V2x { .. }, Presented::Token) if is_v2x(bearer) => {
                Some(Zeroizing::new(bearer.to_owned()))
            }
            (TokenSecret::V2x { .. }, Presented::Token) => return Err(no_such_token()),
            (TokenSecret::V2x { sealed }, Presented::Hash) => {
                Some(self.open_token(token.id, sealed)?)
            }
        };
        self.note_use(token.id);
        Ok(Authentic {
            principal,
            presented,
            secret,
        })
    }

    fn open_token(&self, id: TokenId, sealed: &[u8]) -> Result<Zeroizing<String>, Failure> {
        let opened = self.shared.master_key.open(&token_purpose(id), sealed);
        let opened = opened.ok().and_then(|bytes| {
            let text = std::str::from_utf8(&bytes).ok()?;
            Some(Zeroizing::new(text.to_owned()))
        });
        opened.ok_or_else(|| {
            tracing::error!(token = %id, "a sealed token does not open under the master key");
            Failure::Internal
        })
    }

    async fn principal(&self, hash: [u8; 32]) -> Result<Option<Principal>, Failure> {
        let known = &self.shared.known.principals;
        if let Some(principal) = known.recall(&hash, BELIEVED_FOR) {
            return Ok(Some(principal));
        }
        let principal = self.store().principal(hash).await?;
        if let Some(principal) = &principal {
            known.remember(hash, principal.clone());
        }
        Ok(principal)
    }

    /// Notes the use of a token, at most once a minute, without making anybody wait.
    fn note_use(&self, id: TokenId) {
        let noted = &self.shared.known.noted;
        if noted.recall(&id, Duration::from_secs(60)).is_some() {
            return;
        }
        noted.remember(id, ());
        let network = self.clone();
        self.spawn(async move {
            if let Err(failure) = network.submit(NoteTokenUse { id }).await {
                tracing::debug!(%failure, "the use of a token was not noted");
            }
        });
    }

    /// The caller as a member of an enterprise.
    ///
    /// # Errors
    ///
    /// The same refusal for an enterprise that does not exist and one the user is no member of.
    pub async fn enter(&self, authentic: &Authentic, enterprise: &str) -> Result<Caller, Failure> {
        let refuse = Failure::not_a_member;
        let user = &authentic.principal.user;
        let id: EnterpriseId = enterprise.parse().map_err(|_| refuse())?;
        let place = self.place_of(user.id, id).await?;
        let (enterprise, membership) = place.ok_or_else(refuse)?;
        Ok(Caller {
            user_id: user.id,
            token_id: authentic.principal.token.id,
            scopes: authentic.principal.token.scopes.clone(),
            enterprise,
            role: membership.role.ok_or_else(refuse)?,
        })
    }

    /// What a user is or was in an enterprise, if both exist.
    async fn place_of(
        &self,
        user: UserId,
        enterprise: EnterpriseId,
    ) -> Result<Option<(Enterprise, Membership)>, Failure> {
        let key = (user, enterprise);
        let known = &self.shared.known.members;
        if let Some(found) = known.recall(&key, BELIEVED_FOR) {
            return Ok(Some(found));
        }
        let Some(membership) = self.store().membership(user, &key.1).await? else {
            return Ok(None);
        };
        let Some(enterprise) = self.store().enterprise(&key.1).await? else {
            return Ok(None);
        };
        let found = (enterprise, membership);
        known.remember(key, found.clone());
        Ok(Some(found))
    }

    /// Whether a user is a member of an enterprise.
    ///
    /// # Errors
    ///
    /// A [`Failure`] if it cannot be looked up.
    pub async fn is_member(
        &self,
        user: UserId,
        enterprise: &EnterpriseId,
    ) -> Result<bool, Failure> {
        let place = self.place_of(user, enterprise.clone()).await?;
        Ok(place.is_some_and(|(_, membership)| membership.role.is_some()))
    }

    /// The enterprises that the user of a token is a member of, if the token may read for them.
    ///
    /// # Errors
    ///
    /// A refusal if the token lacks the scope.
    pub async fn enterprises_of(
        &self,
        authentic: &Authentic,
    ) -> Result<Vec<EnterpriseId>, Failure> {
        let Principal { token, user } = &authentic.principal;
        if !token.scopes.contains(&Scope::Read) {
            return Err(scope_missing(&[Scope::Read]));
        }
        let memberships = self.store().enterprises_of(user.id).await?;
        Ok(memberships.into_iter().map(|m| m.enterprise_id).collect())
    }

    /// Whether the caller may do this to the installation: read as operator or auditor, change as
    /// operator.
    ///
    /// # Errors
    ///
    /// A refusal if not.
    pub fn require_installation_role(
        &self,
        authentic: &Authentic,
        changes: bool,
    ) -> Result<UserId, Failure> {
        let Principal { token, user } = &authentic.principal;
        if !token.scopes.contains(&Scope::Installation) {
            return Err(scope_missing(&[Scope::Installation]));
        }
        match user.role {
            Some(InstallationRole::Operator) => Ok(user.id),
            Some(InstallationRole::Auditor) if !changes => Ok(user.id),
            _ => Err(Refusal::new(
                Class::NotPermitted,
                "operator_only",
                "only operators of the installation may do this",
            )
            .into()),
        }
    }
}

/// What a sealed token is sealed for.
pub(crate) fn token_purpose(id: TokenId) -> String {
    format!("access token {id}")
}

/// Whether an address is within one of the networks, if any are named. An address that is not
/// known is in none.
fn is_allowed_from(networks: &[String], from: Option<IpAddr>) -> bool {
    // A listener for both families shows IPv4 peers as mapped IPv6 addresses.
    let from = from.map(|from| from.to_canonical());
    networks.is_empty()
        || networks.iter().any(|network| {
            let network: Option<ipnet::IpNet> = network.parse().ok();
            network
                .zip(from)
                .is_some_and(|(network, from)| network.contains(&from))
        })
}
