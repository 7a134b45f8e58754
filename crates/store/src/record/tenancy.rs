//! Rows of tenants, people, tokens, accounts, currencies and configurations.

use ledger::{Amount, Balance};
use rules::{
    EnterpriseId, SigningKeyId, TokenId, UserId,
    record::{
        AccessToken, AccountBalance, Activation, AmountFormat, Answering, Enterprise,
        EnterpriseRole, GoAccount, InstallationRole, Membership, NetworkCurrency, OperatorAct,
        PartnerConfiguration, PartnerCurrency, PartnerRoutes, Scope, SigningKey, TokenSecret,
        TokenUse, User,
    },
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Columns, CommitFacts, Stored, optional_time, owner_columns, table, time};
use crate::sql::{StoreError, Table, Value, WriteMode};

impl Stored for Enterprise {
    const TABLE: &'static Table = table!("enterprises", ["id"],
        id Text, name Text, trust_org Text, licensed Bool, go_account Uuid,
        created_at Int, updated_at Int);

    fn key_values(key: &EnterpriseId) -> Vec<Value> {
        vec![key.as_str().into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        vec![
            self.id.as_str().into(),
            self.name.as_str().into(),
            self.trust_org.as_str().into(),
            self.licensed.into(),
            self.go_account.map(|id| id.0).into(),
            time(self.created_at),
            time(self.updated_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Enterprise {
            id: columns.parsed()?,
            name: columns.text()?,
            trust_org: columns.text()?,
            licensed: columns.boolean()?,
            go_account: columns.optional_uuid()?.map(ledger::GoAccountId),
            created_at: columns.time()?,
            updated_at: columns.time()?,
        })
    }
}

impl Stored for User {
    const TABLE: &'static Table = table!("users", ["id"],
        id Uuid, name Text, role Text, created_at Int, updated_at Int);

    fn key_values(key: &UserId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        vec![
            self.id.0.into(),
            self.name.as_str().into(),
            self.role.map(InstallationRole::as_str).into(),
            time(self.created_at),
            time(self.updated_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(User {
            id: UserId(columns.uuid()?),
            name: columns.text()?,
            role: columns
                .optional_text()?
                .as_deref()
                .and_then(InstallationRole::from_spelling),
            created_at: columns.time()?,
            updated_at: columns.time()?,
        })
    }
}

impl Stored for Membership {
    const TABLE: &'static Table = table!("memberships", ["user_id", "enterprise_id"],
        user_id Uuid, enterprise_id Text, role Text, updated_at Int);

    fn key_values((user, enterprise): &(UserId, EnterpriseId)) -> Vec<Value> {
        vec![user.0.into(), enterprise.as_str().into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        vec![
            self.user_id.0.into(),
            self.enterprise_id.as_str().into(),
            self.role.map(EnterpriseRole::as_str).into(),
            time(self.updated_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Membership {
            user_id: UserId(columns.uuid()?),
            enterprise_id: columns.parsed()?,
            role: columns
                .optional_text()?
                .as_deref()
                .and_then(EnterpriseRole::from_spelling),
            updated_at: columns.time()?,
        })
    }
}

impl Stored for AccessToken {
    const TABLE: &'static Table = table!("access_tokens", ["id"],
        id Uuid, user_id Uuid, label Text, hash Bytes, sealed Bytes, scopes Text, networks Text,
        expires_at Int, revoked_at Int, created_at Int);

    fn key_values(key: &TokenId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        let sealed = match &self.secret {
            TokenSecret::Plain => None,
            TokenSecret::V2x { sealed } => Some(sealed.as_slice()),
        };
        let scopes: Vec<&str> = self.scopes.iter().map(|scope| scope.as_str()).collect();
        vec![
            self.id.0.into(),
            self.user_id.0.into(),
            self.label.as_str().into(),
            self.hash.as_slice().into(),
            sealed.into(),
            scopes.join(" ").into(),
            self.networks.join(" ").into(),
            optional_time(self.expires_at),
            optional_time(self.revoked_at),
            time(self.created_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(AccessToken {
            id: TokenId(columns.uuid()?),
            user_id: UserId(columns.uuid()?),
            label: columns.text()?,
            hash: columns.array()?,
            secret: match columns.optional_bytes()? {
                None => TokenSecret::Plain,
                Some(sealed) => TokenSecret::V2x { sealed },
            },
            scopes: columns
                .text()?
                .split_whitespace()
                .filter_map(Scope::from_spelling)
                .collect(),
            networks: columns
                .text()?
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
            expires_at: columns.optional_time()?,
            revoked_at: columns.optional_time()?,
            created_at: columns.time()?,
        })
    }
}

impl Stored for TokenUse {
    const TABLE: &'static Table = table!("token_uses", ["token_id"], token_id Uuid, used_at Int);

    fn key_values(key: &TokenId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        vec![self.token_id.0.into(), time(self.used_at)]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(TokenUse {
            token_id: TokenId(columns.uuid()?),
            used_at: columns.time()?,
        })
    }
}

impl Stored for GoAccount {
    const TABLE: &'static Table = table!("go_accounts", ["id"],
        id Uuid, enterprise_id Text, label Text, created_at Int);

    fn key_values(key: &ledger::GoAccountId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        vec![
            self.id.0.into(),
            self.enterprise_id.as_str().into(),
            self.label.as_str().into(),
            time(self.created_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(GoAccount {
            id: ledger::GoAccountId(columns.uuid()?),
            enterprise_id: columns.parsed()?,
            label: columns.text()?,
            created_at: columns.time()?,
        })
    }
}

impl Stored for SigningKey {
    const TABLE: &'static Table = table!("signing_keys", ["id"],
        id Uuid, go_account_id Uuid, public_key Bytes, given_as Text, label Text, revoked_at Int,
        created_at Int);

    fn key_values(key: &SigningKeyId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        vec![
            self.id.0.into(),
            self.go_account_id.0.into(),
            self.public_key.as_slice().into(),
            self.given_as.as_str().into(),
            self.label.as_str().into(),
            optional_time(self.revoked_at),
            time(self.created_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(SigningKey {
            id: SigningKeyId(columns.uuid()?),
            go_account_id: ledger::GoAccountId(columns.uuid()?),
            public_key: columns.array()?,
            given_as: columns.text()?,
            label: columns.text()?,
            revoked_at: columns.optional_time()?,
            created_at: columns.time()?,
        })
    }
}

impl Stored for NetworkCurrency {
    const TABLE: &'static Table = table!("currencies", ["ticker"],
        ticker Text, backing Text, decimals Int, custody_source Text, created_at Int,
        updated_at Int);

    fn key_values(key: &ledger::Currency) -> Vec<Value> {
        vec![key.as_str().into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        vec![
            self.ticker.as_str().into(),
            self.backing.as_str().into(),
            i64::from(self.decimals).into(),
            self.custody_source.as_str().into(),
            time(self.created_at),
            time(self.updated_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(NetworkCurrency {
            ticker: columns.parsed()?,
            backing: columns.text()?,
            decimals: columns.small()?,
            custody_source: columns.text()?,
            created_at: columns.time()?,
            updated_at: columns.time()?,
        })
    }
}

/// The members of a configuration that no query looks at, as one JSON document.
#[derive(Serialize, Deserialize)]
struct ConfigurationDocument {
    base_url: String,
    routes: PartnerRoutes,
    signature_header: String,
    jwt_key_id: String,
    call_timeout_ms: i64,
    allowed_networks: Vec<String>,
    allocations: Answering,
    deallocations: Answering,
    amount_format: AmountFormat,
    currencies: Vec<CurrencyDocument>,
    public_key: Option<String>,
    on_chain: bool,
    activation: Activation,
    release_unanswered_after_s: i64,
    /// Nothing was said of it before it could be agreed.
    #[serde(default = "a_day_s")]
    on_chain_late_after_s: i64,
}

fn a_day_s() -> i64 {
    86_400
}

#[derive(Serialize, Deserialize)]
struct CurrencyDocument {
    ticker: String,
    partner_names: Vec<String>,
    minimum: Option<String>,
    maximum: Option<String>,
    open_total: Option<String>,
}

impl From<&PartnerCurrency> for CurrencyDocument {
    fn from(currency: &PartnerCurrency) -> Self {
        let text = |amount: Option<Amount>| amount.map(|a| a.to_string());
        CurrencyDocument {
            ticker: currency.ticker.to_string(),
            partner_names: currency.partner_names.clone(),
            minimum: text(currency.minimum),
            maximum: text(currency.maximum),
            open_total: text(currency.open_total),
        }
    }
}

impl CurrencyDocument {
    fn read(self) -> Option<PartnerCurrency> {
        let amount = |text: Option<String>| text.map(|t| t.parse::<Amount>()).transpose().ok();
        Some(PartnerCurrency {
            ticker: self.ticker.parse().ok()?,
            partner_names: self.partner_names,
            minimum: amount(self.minimum)?,
            maximum: amount(self.maximum)?,
            open_total: amount(self.open_total)?,
        })
    }
}

impl Stored for PartnerConfiguration {
    const TABLE: &'static Table = table!(
        "partner_configurations", ["enterprise_id", "institution_identifier"],
        enterprise_id Text, institution_identifier Text, version Int, document Text,
        updated_at Int);

    fn key_values((enterprise, institution): &(EnterpriseId, String)) -> Vec<Value> {
        vec![enterprise.as_str().into(), institution.as_str().into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        let document = ConfigurationDocument {
            base_url: self.base_url.clone(),
            routes: self.routes.clone(),
            signature_header: self.signature_header.clone(),
            jwt_key_id: self.jwt_key_id.clone(),
            call_timeout_ms: self.call_timeout_ms,
            allowed_networks: self.allowed_networks.clone(),
            allocations: self.allocations,
            deallocations: self.deallocations,
            amount_format: self.amount_format,
            currencies: self.currencies.iter().map(Into::into).collect(),
            public_key: self.public_key.clone(),
            on_chain: self.on_chain,
            activation: self.activation,
            release_unanswered_after_s: self.release_unanswered_after_s,
            on_chain_late_after_s: self.on_chain_late_after_s,
        };
        // Strings, numbers and lists of them always serialise.
        let document = serde_json::to_string(&document).unwrap_or_default();
        vec![
            self.enterprise_id.as_str().into(),
            self.institution_identifier.as_str().into(),
            self.version.into(),
            document.into(),
            time(self.updated_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        let enterprise_id = columns.parsed()?;
        let institution_identifier = columns.text()?;
        let version = columns.int()?;
        let document = columns.text()?;
        let document: ConfigurationDocument = serde_json::from_str(&document)
            .map_err(|error| StoreError::Corrupt(format!("a partner configuration: {error}")))?;
        let currencies: Option<Vec<PartnerCurrency>> = document
            .currencies
            .into_iter()
            .map(CurrencyDocument::read)
            .collect();
        Ok(PartnerConfiguration {
            enterprise_id,
            institution_identifier,
            version,
            base_url: document.base_url,
            routes: document.routes,
            signature_header: document.signature_header,
            jwt_key_id: document.jwt_key_id,
            call_timeout_ms: document.call_timeout_ms,
            allowed_networks: document.allowed_networks,
            allocations: document.allocations,
            deallocations: document.deallocations,
            amount_format: document.amount_format,
            currencies: currencies.ok_or_else(|| columns.corrupt("currencies"))?,
            public_key: document.public_key,
            on_chain: document.on_chain,
            activation: document.activation,
            release_unanswered_after_s: document.release_unanswered_after_s,
            on_chain_late_after_s: document.on_chain_late_after_s,
            updated_at: columns.time()?,
        })
    }
}

impl Stored for OperatorAct {
    const TABLE: &'static Table = table!("operator_acts", ["id"],
        id Uuid, user_id Uuid, act Text, subject Text, detail Text, at Int, commit_sequence Int);
    const MODE: WriteMode = WriteMode::Insert;

    fn key_values(key: &Uuid) -> Vec<Value> {
        vec![(*key).into()]
    }

    fn to_row(&self, facts: &CommitFacts<'_>) -> Vec<Value> {
        vec![
            self.id.into(),
            self.user_id.map(|id| id.0).into(),
            self.act.as_str().into(),
            self.subject.as_str().into(),
            self.detail.as_str().into(),
            time(self.at),
            facts.sequence.into(),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(OperatorAct {
            id: columns.uuid()?,
            user_id: columns.optional_uuid()?.map(UserId),
            act: columns.text()?,
            subject: columns.text()?,
            detail: columns.text()?,
            at: columns.time()?,
        })
    }
}

impl Stored for AccountBalance {
    const TABLE: &'static Table = table!("balances", ["owner_kind", "owner", "currency"],
        owner_kind Int, owner Uuid, currency Text, available Amount, held Amount, entry Int);

    fn key_values(key: &ledger::Account) -> Vec<Value> {
        let [kind, owner] = owner_columns(key.owner);
        vec![kind, owner, key.currency.as_str().into()]
    }

    fn to_row(&self, facts: &CommitFacts<'_>) -> Vec<Value> {
        let mut row = AccountBalance::key_values(&self.account);
        row.push(self.balance.available.into());
        row.push(self.balance.held.into());
        let entry = facts.last_entries.get(&self.account).copied();
        row.push(entry.unwrap_or_default().into());
        row
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(AccountBalance {
            account: columns.account()?,
            balance: Balance {
                available: columns.units()?,
                held: columns.units()?,
            },
        })
    }
}
