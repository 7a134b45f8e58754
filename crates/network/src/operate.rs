//! What operators set up and solve. Every change is an act of the operator who made it.

use ledger::{Currency, EntryId, GoAccountId, Timestamp};
use partner::Endpoint;
use rand::RngExt;
use rules::{
    AllocationId, Class, Command, EnterpriseId, PartnerId, Refusal, SigningKeyId, TokenId, UserId,
    allocate::AskAgain,
    approve::Undertaken,
    operate::{
        Act, AddSigningKey, IssueToken, OpenGoAccount, PutCurrency, PutEnterprise, PutMembership,
        PutPartnerConfiguration, PutUser, RevokeSigningKey, RevokeToken, UpdatePartner,
    },
    record::{
        AccessToken, Allocation, Enterprise, EnterpriseRole, GoAccount, InstallationRole,
        Membership, Message, NetworkCurrency, Partner, PartnerConfiguration, Scope, SigningKey,
        TokenSecret, User,
    },
    release::ReleaseHold,
};
use store::{Page, Store};
use uuid::Uuid;
use wire::{
    connection_key::is_public_key,
    request_hmac::{generate_v2x, token_hash},
    signature::PublicKey,
};
use zeroize::Zeroizing;

use crate::{Failure, Network, authority::token_purpose};

/// The longest call to a partner that a configuration may allow: a status query and the call
/// itself have to fit into the time for which a message is leased.
const CALL_TIMEOUT_MAX_MS: i64 = 12_000;

/// The network in the hands of an operator.
#[derive(Clone, Copy)]
pub struct Operator<'network> {
    network: &'network Network,
    user_id: Option<UserId>,
}

/// Which kind of token is wanted (decisions §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// `v2x` and 64 hexadecimal digits: it can also prove itself by request HMACs.
    V2x,
    /// A token of which only the hash is kept.
    Plain,
}

/// A token that is wanted.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// For whom.
    pub user_id: UserId,
    /// What it is called.
    pub label: String,
    /// Of which kind.
    pub kind: TokenKind,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// Networks (CIDR) that it may be used from; none: from anywhere.
    pub networks: Vec<String>,
    /// When it stops to count.
    pub expires_at: Option<Timestamp>,
}

/// A token that was issued.
pub struct IssuedToken {
    /// What is kept of it.
    pub record: AccessToken,
    /// The token itself; shown once.
    pub token: Zeroizing<String>,
}

/// A record that waits for a partner, with what was said and heard.
#[derive(Clone, Debug)]
pub struct StuckHold {
    /// The record.
    pub allocation: Allocation,
    /// The message about it.
    pub message: Option<Message>,
}

impl Network {
    /// The network in the hands of the operator `user_id`.
    pub fn operator(&self, user_id: UserId) -> Operator<'_> {
        Operator {
            network: self,
            user_id: Some(user_id),
        }
    }

    /// The network in the hands of the installation itself, for its first operator.
    pub fn installation(&self) -> Operator<'_> {
        Operator {
            network: self,
            user_id: None,
        }
    }
}

fn unprocessable(name: &str, message: impl Into<String>) -> Failure {
    Refusal::new(Class::Unprocessable, name, message).into()
}

impl Operator<'_> {
    pub(crate) fn user_id(&self) -> Option<UserId> {
        self.user_id
    }

    /// What there is, to read.
    pub fn records(&self) -> &Store {
        self.network.store()
    }

    pub(crate) fn network(&self) -> &Network {
        self.network
    }

    /// A new identifier.
    pub(crate) fn draw_id(&self) -> Uuid {
        self.network.draw_id()
    }

    pub(crate) fn act(&self) -> Act {
        Act {
            id: self.draw_id(),
            user_id: self.user_id,
        }
    }

    /// Submits an operator's command; what this process believed of tenants and tokens is then
    /// looked up anew.
    pub(crate) async fn submit<C: Command>(&self, command: C) -> Result<C::Outcome, Failure> {
        let outcome = self.network.submit(command).await;
        self.network.shared.known.forget();
        outcome
    }

    /// Makes an enterprise be so.
    ///
    /// # Errors
    ///
    /// See [`Failure`]; so for all that follow.
    pub async fn put_enterprise(
        &self,
        id: EnterpriseId,
        name: String,
        trust_org: String,
        licensed: bool,
    ) -> Result<Enterprise, Failure> {
        let operator = self.act();
        self.submit(PutEnterprise {
            id,
            name,
            trust_org,
            licensed,
            operator,
        })
        .await
    }

    /// Makes a user be so.
    pub async fn put_user(
        &self,
        id: UserId,
        name: String,
        role: Option<InstallationRole>,
    ) -> Result<User, Failure> {
        let operator = self.act();
        self.submit(PutUser {
            id,
            name,
            role,
            operator,
        })
        .await
    }

    /// Makes a user's place in an enterprise be so.
    pub async fn put_membership(
        &self,
        user_id: UserId,
        enterprise_id: EnterpriseId,
        role: Option<EnterpriseRole>,
    ) -> Result<Membership, Failure> {
        let operator = self.act();
        self.submit(PutMembership {
            user_id,
            enterprise_id,
            role,
            operator,
        })
        .await
    }

    /// Gives an enterprise a Go Account.
    pub async fn open_go_account(
        &self,
        id: GoAccountId,
        enterprise_id: EnterpriseId,
        label: String,
    ) -> Result<GoAccount, Failure> {
        let operator = self.act();
        self.submit(OpenGoAccount {
            id,
            enterprise_id,
            label,
            operator,
        })
        .await
    }

    /// Lets a key sign for a Go Account. The key is given as an xpub, as base64 SPKI or as hex; one
    /// that may sign already is met, not added again.
    pub async fn add_signing_key(
        &self,
        go_account_id: GoAccountId,
        key: String,
        label: String,
    ) -> Result<SigningKey, Failure> {
        let public_key = PublicKey::from_xpub(&key)
            .or_else(|_| PublicKey::from_hex(&key))
            .or_else(|_| PublicKey::from_spki_base64(&key))
            .map_err(|_| {
                Failure::invalid(
                    "publicKey",
                    "must be a secp256k1 public key: an xpub, 66 hexadecimal digits or base64 SPKI",
                )
            })?;
        let known = self.records().signing_keys(Some(go_account_id)).await?;
        let counts =
            |k: &SigningKey| k.revoked_at.is_none() && k.public_key == *public_key.as_bytes();
        if let Some(known) = known.into_iter().find(counts) {
            return Ok(known);
        }
        self.submit(AddSigningKey {
            id: SigningKeyId(self.draw_id()),
            go_account_id,
            public_key: *public_key.as_bytes(),
            given_as: key,
            label,
            operator: self.act(),
        })
        .await
    }

    /// Lets a key sign no more.
    pub async fn revoke_signing_key(&self, id: SigningKeyId) -> Result<SigningKey, Failure> {
        let operator = self.act();
        self.submit(RevokeSigningKey { id, operator }).await
    }

    /// Issues a token.
    pub async fn issue_token(&self, wanted: NewToken) -> Result<IssuedToken, Failure> {
        for network in &wanted.networks {
            if network.parse::<ipnet::IpNet>().is_err() {
                let message = format!("must hold networks in CIDR notation, not {network:?}");
                return Err(Failure::invalid("networks", message));
            }
        }
        let id = TokenId(self.draw_id());
        let token = Zeroizing::new(match wanted.kind {
            TokenKind::V2x => generate_v2x(),
            // 4 + 56 characters: neither the beginning nor the length of a v2x token.
            TokenKind::Plain => {
                format!("tlk_{}", hex::encode(rand::rng().random::<[u8; 28]>()))
            }
        });
        let secret = match wanted.kind {
            TokenKind::Plain => TokenSecret::Plain,
            TokenKind::V2x => {
                let key = &self.network.shared.master_key;
                let sealed = key.seal(&token_purpose(id), token.as_bytes());
                let sealed = sealed.map_err(|error| Failure::internal(&error))?;
                TokenSecret::V2x { sealed }
            }
        };
        let record = AccessToken {
            id,
            user_id: wanted.user_id,
            label: wanted.label,
            hash: token_hash(&token),
            secret,
            scopes: wanted.scopes,
            networks: wanted.networks,
            expires_at: wanted.expires_at,
            revoked_at: None,
            created_at: Timestamp(0),
        };
        let operator = self.act();
        let record = self
            .submit(IssueToken {
                token: record,
                operator,
            })
            .await?;
        Ok(IssuedToken { record, token })
    }

    /// Makes a token count no more.
    pub async fn revoke_token(&self, id: TokenId) -> Result<AccessToken, Failure> {
        let operator = self.act();
        self.submit(RevokeToken { id, operator }).await
    }

    /// Makes a currency be so.
    pub async fn put_currency(
        &self,
        ticker: Currency,
        backing: String,
        decimals: u8,
        custody_source: String,
    ) -> Result<NetworkCurrency, Failure> {
        let operator = self.act();
        self.submit(PutCurrency {
            ticker,
            backing,
            decimals,
            custody_source,
            operator,
        })
        .await
    }

    /// Makes what was agreed with a partner be so.
    pub async fn put_configuration(
        &self,
        configuration: PartnerConfiguration,
    ) -> Result<PartnerConfiguration, Failure> {
        if let Err(error) = Endpoint::new(&configuration, PartnerId(Uuid::nil())) {
            return Err(unprocessable(
                "partner_configuration_invalid",
                error.to_string(),
            ));
        }
        if configuration.call_timeout_ms > CALL_TIMEOUT_MAX_MS {
            let message = format!("must be at most {CALL_TIMEOUT_MAX_MS}");
            return Err(Failure::invalid("callTimeoutMs", message));
        }
        if configuration.release_unanswered_after_s < 1 {
            let message = "must be at least 1";
            return Err(Failure::invalid("releaseUnansweredAfterSeconds", message));
        }
        if configuration.on_chain_late_after_s < 1 {
            let message = "must be at least 1";
            return Err(Failure::invalid("onChainLateAfterSeconds", message));
        }
        if configuration
            .public_key
            .as_ref()
            .is_some_and(|pem| !is_public_key(pem))
        {
            let message = "must be an RSA public key in PEM (SPKI)";
            return Err(Failure::invalid("publicKey", message));
        }
        let operator = self.act();
        self.submit(PutPartnerConfiguration {
            configuration,
            operator,
        })
        .await
    }

    /// Stops or resumes a partner, or calls it mature.
    pub async fn update_partner(
        &self,
        id: PartnerId,
        active: Option<bool>,
        stable: Option<bool>,
    ) -> Result<Partner, Failure> {
        let operator = self.act();
        self.submit(UpdatePartner {
            id,
            active,
            stable,
            operator,
        })
        .await
    }

    /// Records that wait for a partner, the oldest first.
    pub async fn stuck_holds(&self, page: Page) -> Result<Vec<StuckHold>, Failure> {
        let records = self.records().reserved_allocations(page).await?;
        let subjects = records.iter().map(|record| record.id.0).collect();
        let messages = self.records().messages(subjects).await?;
        let with_message = |allocation: Allocation| {
            let message = messages.iter().find(|m| m.subject == allocation.id.0);
            StuckHold {
                message: message.cloned(),
                allocation,
            }
        };
        Ok(records.into_iter().map(with_message).collect())
    }

    /// Has the partner asked again about a record, now.
    pub async fn ask_again(&self, id: Uuid) -> Result<Allocation, Failure> {
        let id = AllocationId(id);
        let operator = self.act();
        let record = self.submit(AskAgain { id, operator }).await?;
        self.network.tell_news(record.partner_id);
        Ok(record)
    }

    /// Gives the money of a reserved record back and has the partner told, or proposes it.
    pub async fn release(&self, id: Uuid, reason: &str) -> Result<Undertaken<Allocation>, Failure> {
        let undertaken = self
            .undertake(ReleaseHold {
                id: AllocationId(id),
                entry_id: EntryId(self.draw_id()),
                reason: reason.to_owned(),
                operator: self.act(),
            })
            .await?;
        if let Undertaken::Done { outcome, .. } = &undertaken {
            self.network.tell_news(outcome.partner_id);
        }
        Ok(undertaken)
    }
}
