//! What operators set up: tenants, people, tokens, accounts, keys, currencies, configurations.
//!
//! Setting something to what it is already changes nothing and leaves no trace, so that a
//! network described in a file can be applied again and again.

use std::collections::BTreeSet;

use ledger::{Currency, GoAccountId, Timestamp};

use crate::{
    Class, Command, Draft, EnterpriseId, Keys, PartnerId, Refusal, SigningKeyId, TokenId, UserId,
    approve::{check_role_stays, check_token_is_own},
    record::{
        AccessToken, Enterprise, EnterpriseRole, GoAccount, InstallationRole, Membership,
        NetworkCurrency, OperatorAct, Partner, PartnerConfiguration, SigningKey, TokenUse, User,
    },
};

/// Who acts as operator, and the identifier that the record of the act gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The identifier of the record.
    pub id: uuid::Uuid,
    /// Who; none for the installation itself.
    pub user_id: Option<UserId>,
}

impl Act {
    pub(crate) fn record(
        &self,
        draft: &mut Draft<'_>,
        act: &'static str,
        subject: String,
        detail: &str,
        at: Timestamp,
    ) {
        draft.put(OperatorAct {
            id: self.id,
            user_id: self.user_id,
            act: act.to_owned(),
            subject,
            detail: detail.to_owned(),
            at,
        });
    }

    /// Records a change with what there was before and after.
    pub(crate) fn record_change<T: std::fmt::Debug>(
        &self,
        draft: &mut Draft<'_>,
        act: &'static str,
        subject: String,
        (before, after): (Option<&T>, &T),
        at: Timestamp,
    ) {
        let detail = match before {
            Some(before) => format!("before: {before:?}\nafter: {after:?}"),
            None => format!("new: {after:?}"),
        };
        self.record(draft, act, subject, &detail, at);
    }
}

fn unprocessable(name: &str, message: impl Into<String>) -> Refusal {
    Refusal::new(Class::Unprocessable, name, message)
}

/// An enterprise shall be so.
#[derive(Clone, Debug)]
pub struct PutEnterprise {
    /// Which one; it is made if there is none.
    pub id: EnterpriseId,
    /// Its name.
    pub name: String,
    /// The legal custodian it belongs to. It stays, once set.
    pub trust_org: String,
    /// Whether it may use off-exchange settlement.
    pub licensed: bool,
    /// Who says so.
    pub operator: Act,
}

impl Command for PutEnterprise {
    type Outcome = Enterprise;

    fn keys(&self) -> Keys {
        Keys {
            enterprises: [self.id.clone()].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Enterprise, Refusal> {
        let before = draft.find::<Enterprise>(&self.id).cloned();
        if before
            .as_ref()
            .is_some_and(|e| e.trust_org != self.trust_org)
        {
            let message = "an enterprise stays with its trust organisation; make a new enterprise";
            return Err(unprocessable("trust_org_is_fixed", message));
        }
        let mut after = before.clone().unwrap_or(Enterprise {
            id: self.id.clone(),
            name: String::new(),
            trust_org: self.trust_org.clone(),
            licensed: false,
            go_account: None,
            created_at: now,
            updated_at: now,
        });
        after.name.clone_from(&self.name);
        after.licensed = self.licensed;
        if before.as_ref() != Some(&after) {
            after.updated_at = now;
            let change = (before.as_ref(), &after);
            let subject = self.id.to_string();
            self.operator
                .record_change(draft, "put_enterprise", subject, change, now);
            draft.put(after.clone());
        }
        Ok(after)
    }
}

/// An enterprise gets a Go Account. Its first one is the one it uses in the network.
#[derive(Clone, Debug)]
pub struct OpenGoAccount {
    /// The identifier that the account gets. One that exists is met, not made again.
    pub id: GoAccountId,
    /// For whom.
    pub enterprise_id: EnterpriseId,
    /// What it is called.
    pub label: String,
    /// Who says so.
    pub operator: Act,
}

impl Command for OpenGoAccount {
    type Outcome = GoAccount;

    fn keys(&self) -> Keys {
        Keys {
            enterprises: [self.enterprise_id.clone()].into(),
            go_accounts: [self.id].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<GoAccount, Refusal> {
        let enterprise = draft.find::<Enterprise>(&self.enterprise_id).cloned();
        let mut enterprise = enterprise.ok_or_else(|| Refusal::not_found("enterprise"))?;
        if let Some(known) = draft.find::<GoAccount>(&self.id) {
            return if known.enterprise_id == self.enterprise_id {
                Ok(known.clone())
            } else {
                let message = "another enterprise has a Go Account with this identifier";
                Err(Refusal::new(Class::Conflict, "go_account_taken", message))
            };
        }
        let account = GoAccount {
            id: self.id,
            enterprise_id: self.enterprise_id.clone(),
            label: self.label.clone(),
            created_at: now,
        };
        draft.put(account.clone());
        if enterprise.go_account.is_none() {
            enterprise.go_account = Some(self.id);
            enterprise.updated_at = now;
            draft.put(enterprise);
        }
        let subject = self.id.to_string();
        let change = (None, &account);
        self.operator
            .record_change(draft, "open_go_account", subject, change, now);
        Ok(account)
    }
}

/// A key may sign for a Go Account.
#[derive(Clone, Debug)]
pub struct AddSigningKey {
    /// The identifier that the key gets. One that exists is met, not made again.
    pub id: SigningKeyId,
    /// For which account.
    pub go_account_id: GoAccountId,
    /// The compressed secp256k1 key.
    pub public_key: [u8; 33],
    /// The key as it was given.
    pub given_as: String,
    /// What it is called.
    pub label: String,
    /// Who says so.
    pub operator: Act,
}

impl Command for AddSigningKey {
    type Outcome = SigningKey;

    fn keys(&self) -> Keys {
        Keys {
            go_accounts: [self.go_account_id].into(),
            signing_keys: [self.id].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<SigningKey, Refusal> {
        if draft.find::<GoAccount>(&self.go_account_id).is_none() {
            return Err(Refusal::not_found("go account"));
        }
        if let Some(known) = draft.find::<SigningKey>(&self.id) {
            let same =
                known.go_account_id == self.go_account_id && known.public_key == self.public_key;
            return if same {
                Ok(known.clone())
            } else {
                let message = "another key has this identifier";
                Err(Refusal::new(Class::Conflict, "signing_key_taken", message))
            };
        }
        let key = SigningKey {
            id: self.id,
            go_account_id: self.go_account_id,
            public_key: self.public_key,
            given_as: self.given_as.clone(),
            label: self.label.clone(),
            revoked_at: None,
            created_at: now,
        };
        draft.put(key.clone());
        let subject = self.id.to_string();
        let change = (None, &key);
        self.operator
            .record_change(draft, "add_signing_key", subject, change, now);
        Ok(key)
    }
}

/// A key may no longer sign.
#[derive(Clone, Debug)]
pub struct RevokeSigningKey {
    /// Which key.
    pub id: SigningKeyId,
    /// Who says so.
    pub operator: Act,
}

impl Command for RevokeSigningKey {
    type Outcome = SigningKey;

    fn keys(&self) -> Keys {
        Keys {
            signing_keys: [self.id].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<SigningKey, Refusal> {
        let before = draft.find::<SigningKey>(&self.id).cloned();
        let before = before.ok_or_else(|| Refusal::not_found("signing key"))?;
        let mut after = before.clone();
        if before.revoked_at.is_none() {
            after.revoked_at = Some(now);
            draft.put(after.clone());
            let change = (Some(&before), &after);
            let subject = self.id.to_string();
            self.operator
                .record_change(draft, "revoke_signing_key", subject, change, now);
        }
        Ok(after)
    }
}

/// A user shall be so.
#[derive(Clone, Debug)]
pub struct PutUser {
    /// Which one; it is made if there is none.
    pub id: UserId,
    /// Its name.
    pub name: String,
    /// What it may do to the installation.
    pub role: Option<InstallationRole>,
    /// Who says so.
    pub operator: Act,
}

impl Command for PutUser {
    type Outcome = User;

    fn keys(&self) -> Keys {
        Keys {
            users: [self.id].into(),
            approval_policy: [()].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<User, Refusal> {
        let before = draft.find::<User>(&self.id).cloned();
        check_role_stays(draft, before.as_ref().and_then(|user| user.role), self.role)?;
        let mut after = before.clone().unwrap_or(User {
            id: self.id,
            name: String::new(),
            role: None,
            created_at: now,
            updated_at: now,
        });
        after.name.clone_from(&self.name);
        after.role = self.role;
        if before.as_ref() != Some(&after) {
            after.updated_at = now;
            let change = (before.as_ref(), &after);
            let subject = self.id.to_string();
            self.operator
                .record_change(draft, "put_user", subject, change, now);
            draft.put(after.clone());
        }
        Ok(after)
    }
}

/// A user's place in an enterprise shall be so.
#[derive(Clone, Debug)]
pub struct PutMembership {
    /// Who.
    pub user_id: UserId,
    /// Where.
    pub enterprise_id: EnterpriseId,
    /// As what; none: no more.
    pub role: Option<EnterpriseRole>,
    /// Who says so.
    pub operator: Act,
}

impl Command for PutMembership {
    type Outcome = Membership;

    fn keys(&self) -> Keys {
        Keys {
            users: [self.user_id].into(),
            enterprises: [self.enterprise_id.clone()].into(),
            memberships: [(self.user_id, self.enterprise_id.clone())].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Membership, Refusal> {
        if draft.find::<User>(&self.user_id).is_none() {
            return Err(Refusal::not_found("user"));
        }
        if draft.find::<Enterprise>(&self.enterprise_id).is_none() {
            return Err(Refusal::not_found("enterprise"));
        }
        let key = (self.user_id, self.enterprise_id.clone());
        let before = draft.find::<Membership>(&key).cloned();
        let after = Membership {
            user_id: self.user_id,
            enterprise_id: self.enterprise_id.clone(),
            role: self.role,
            updated_at: now,
        };
        if before.as_ref().and_then(|m| m.role) == self.role {
            return Ok(before.unwrap_or(after));
        }
        let change = (before.as_ref(), &after);
        let subject = format!("{} in {}", self.user_id, self.enterprise_id);
        self.operator
            .record_change(draft, "put_membership", subject, change, now);
        draft.put(after.clone());
        Ok(after)
    }
}

/// A token as acts show it: without its hash and its secret.
struct ShownToken<'token>(&'token AccessToken);

impl std::fmt::Debug for ShownToken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.0;
        f.debug_struct("AccessToken")
            .field("id", &token.id)
            .field("user_id", &token.user_id)
            .field("label", &token.label)
            .field("scopes", &token.scopes)
            .field("networks", &token.networks)
            .field("expires_at", &token.expires_at)
            .field("revoked_at", &token.revoked_at)
            .finish_non_exhaustive()
    }
}

/// A user gets a token.
#[derive(Clone, Debug)]
pub struct IssueToken {
    /// What is kept of it. Its `created_at` is set when it is issued.
    pub token: AccessToken,
    /// Who says so.
    pub operator: Act,
}

impl Command for IssueToken {
    type Outcome = AccessToken;

    fn keys(&self) -> Keys {
        Keys {
            users: [self.token.user_id].into(),
            access_tokens: [self.token.id].into(),
            approval_policy: [()].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<AccessToken, Refusal> {
        if draft.find::<User>(&self.token.user_id).is_none() {
            return Err(Refusal::not_found("user"));
        }
        if let Some(known) = draft.find::<AccessToken>(&self.token.id) {
            return Ok(known.clone());
        }
        check_token_is_own(draft, &self.token, &self.operator)?;
        let token = AccessToken {
            created_at: now,
            ..self.token.clone()
        };
        draft.put(token.clone());
        let subject = token.id.to_string();
        let change = (None, &ShownToken(&token));
        self.operator
            .record_change(draft, "issue_token", subject, change, now);
        Ok(token)
    }
}

/// A token stops to count.
#[derive(Clone, Debug)]
pub struct RevokeToken {
    /// Which token.
    pub id: TokenId,
    /// Who says so.
    pub operator: Act,
}

impl Command for RevokeToken {
    type Outcome = AccessToken;

    fn keys(&self) -> Keys {
        Keys {
            access_tokens: [self.id].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<AccessToken, Refusal> {
        let before = draft.find::<AccessToken>(&self.id).cloned();
        let before = before.ok_or_else(|| Refusal::not_found("access token"))?;
        let mut after = before.clone();
        if before.revoked_at.is_none() {
            after.revoked_at = Some(now);
            draft.put(after.clone());
            let change = (Some(&ShownToken(&before)), &ShownToken(&after));
            let subject = self.id.to_string();
            self.operator
                .record_change(draft, "revoke_token", subject, change, now);
        }
        Ok(after)
    }
}

/// A token was used. Noted at most once a minute.
#[derive(Clone, Debug)]
pub struct NoteTokenUse {
    /// Which token.
    pub id: TokenId,
}

impl Command for NoteTokenUse {
    type Outcome = ();

    fn keys(&self) -> Keys {
        Keys {
            token_uses: [self.id].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<(), Refusal> {
        let last = draft.find::<TokenUse>(&self.id);
        if last.is_none_or(|last| last.used_at.plus_seconds(60) <= now) {
            draft.put(TokenUse {
                token_id: self.id,
                used_at: now,
            });
        }
        Ok(())
    }
}

/// The most decimals that a currency can have.
const DECIMALS_MAX: u8 = 30;

/// A currency shall be so.
#[derive(Clone, Debug)]
pub struct PutCurrency {
    /// Which one; it is made if there is none.
    pub ticker: Currency,
    /// The asset behind it.
    pub backing: String,
    /// How many decimals a full unit has: 0 to 30. They stay, once set.
    pub decimals: u8,
    /// Where custody holds it.
    pub custody_source: String,
    /// Who says so.
    pub operator: Act,
}

impl Command for PutCurrency {
    type Outcome = NetworkCurrency;

    fn keys(&self) -> Keys {
        Keys {
            currencies: [self.ticker.clone()].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<NetworkCurrency, Refusal> {
        let before = draft.find::<NetworkCurrency>(&self.ticker).cloned();
        if before.as_ref().is_some_and(|c| c.decimals != self.decimals) {
            let message =
                "the decimals of a currency stay: amounts in the books would change their meaning";
            return Err(unprocessable("decimals_are_fixed", message));
        }
        // External references are unique per source: under a new name an old one would count again.
        if before
            .as_ref()
            .is_some_and(|c| c.custody_source != self.custody_source)
        {
            let message =
                "the custody source of a currency stays: references of deposits are unique there";
            return Err(unprocessable("custody_source_is_fixed", message));
        }
        if self.decimals > DECIMALS_MAX {
            let message = format!("a currency has at most {DECIMALS_MAX} decimals");
            return Err(Refusal::new(Class::Invalid, "too_many_decimals", message));
        }
        let mut after = before.clone().unwrap_or(NetworkCurrency {
            ticker: self.ticker.clone(),
            backing: String::new(),
            decimals: self.decimals,
            custody_source: self.custody_source.clone(),
            created_at: now,
            updated_at: now,
        });
        after.backing.clone_from(&self.backing);
        if before.as_ref() != Some(&after) {
            after.updated_at = now;
            let change = (before.as_ref(), &after);
            let subject = self.ticker.to_string();
            self.operator
                .record_change(draft, "put_currency", subject, change, now);
            draft.put(after.clone());
        }
        Ok(after)
    }
}

/// What was agreed with a partner shall be so.
#[derive(Clone, Debug)]
pub struct PutPartnerConfiguration {
    /// The agreement. Its version and time are set when it is taken over.
    pub configuration: PartnerConfiguration,
    /// Who says so.
    pub operator: Act,
}

impl Command for PutPartnerConfiguration {
    type Outcome = PartnerConfiguration;

    fn keys(&self) -> Keys {
        let wanted = &self.configuration;
        Keys {
            enterprises: [wanted.enterprise_id.clone()].into(),
            configurations: [wanted.record_key()].into(),
            currencies: wanted.currencies.iter().map(|c| c.ticker.clone()).collect(),
            ..Keys::default()
        }
    }

    fn decide(
        &self,
        draft: &mut Draft<'_>,
        now: Timestamp,
    ) -> Result<PartnerConfiguration, Refusal> {
        let wanted = &self.configuration;
        if draft.find::<Enterprise>(&wanted.enterprise_id).is_none() {
            return Err(Refusal::not_found("enterprise"));
        }
        check_partner_currencies(draft, wanted)?;
        let before = draft
            .find::<PartnerConfiguration>(&wanted.record_key())
            .cloned();
        let unchanged = before.as_ref().map(|before| PartnerConfiguration {
            version: before.version,
            updated_at: before.updated_at,
            ..wanted.clone()
        });
        if let (Some(before), Some(unchanged)) = (&before, unchanged)
            && *before == unchanged
        {
            return Ok(unchanged);
        }
        let after = PartnerConfiguration {
            version: before.as_ref().map_or(0, |b| b.version) + 1,
            updated_at: now,
            ..wanted.clone()
        };
        let change = (before.as_ref(), &after);
        let subject = format!(
            "{} as {}",
            wanted.enterprise_id, wanted.institution_identifier
        );
        self.operator
            .record_change(draft, "put_partner_configuration", subject, change, now);
        draft.put(after.clone());
        Ok(after)
    }
}

/// Every currency exists, every name stands for one of them.
fn check_partner_currencies(
    draft: &Draft<'_>,
    wanted: &PartnerConfiguration,
) -> Result<(), Refusal> {
    let mut tickers = BTreeSet::new();
    let mut names = BTreeSet::new();
    for currency in &wanted.currencies {
        if draft.find::<NetworkCurrency>(&currency.ticker).is_none() {
            return Err(crate::allocate::unknown_currency(&currency.ticker));
        }
        if !tickers.insert(&currency.ticker) {
            let message = format!("{} is listed twice", currency.ticker);
            return Err(unprocessable("currency_listed_twice", message));
        }
        if currency
            .minimum
            .zip(currency.maximum)
            .is_some_and(|(least, most)| least > most)
        {
            let message = format!("the minimum of {} is above its maximum", currency.ticker);
            return Err(unprocessable("minimum_above_maximum", message));
        }
        if currency.partner_names.is_empty() {
            let message = format!("{} needs at least one partner name", currency.ticker);
            return Err(unprocessable("partner_name_missing", message));
        }
        for name in &currency.partner_names {
            if !names.insert(name) {
                let message = format!("the partner name {name:?} is used twice");
                return Err(unprocessable("partner_name_used_twice", message));
            }
        }
    }
    Ok(())
}

/// A partner is stopped or resumed, or called mature.
#[derive(Clone, Debug)]
pub struct UpdatePartner {
    /// Which partner.
    pub id: PartnerId,
    /// Whether it takes new connections, allocations and settlements; none: as it is.
    pub active: Option<bool>,
    /// Whether it is called mature; none: as it is.
    pub stable: Option<bool>,
    /// Who says so.
    pub operator: Act,
}

impl Command for UpdatePartner {
    type Outcome = Partner;

    fn keys(&self) -> Keys {
        Keys {
            partners: [self.id].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Partner, Refusal> {
        let before = draft.find::<Partner>(&self.id).cloned();
        let before = before.ok_or_else(|| Refusal::not_found("partner"))?;
        let mut after = before.clone();
        after.active = self.active.unwrap_or(before.active);
        after.stable = self.stable.unwrap_or(before.stable);
        if before != after {
            after.updated_at = now;
            let change = (Some(&before), &after);
            let subject = self.id.to_string();
            self.operator
                .record_change(draft, "update_partner", subject, change, now);
            draft.put(after.clone());
        }
        Ok(after)
    }
}
