//! A network as an operator describes it in a file. The spellings are those of the file when it is
//! read and those of the operator API when it is sent; bounds and rules are the API's. How a network
//! is made to be as described is not here.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Why a text describes no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkFileError {
    /// No TOML, unknown or missing members; with line and column.
    #[error("{0}")]
    Notation(String),
    /// Two descriptions of the same thing, which could never both hold.
    #[error("{kind} {id} is described twice")]
    Twice {
        /// What kind of thing.
        kind: String,
        /// Which.
        id: String,
    },
}

/// A network, described. Lists may be left out, and may stand under their plurals too.
///
/// It holds no tokens: secrets are made by hand.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkFile {
    /// `[[currency]]`
    #[serde(rename = "currency", alias = "currencies")]
    pub currencies: Vec<Currency>,
    /// `[[user]]`
    #[serde(rename = "user", alias = "users")]
    pub users: Vec<User>,
    /// `[[enterprise]]`
    #[serde(rename = "enterprise", alias = "enterprises")]
    pub enterprises: Vec<Enterprise>,
    /// `[[partner_configuration]]`
    #[serde(rename = "partner_configuration", alias = "partner_configurations")]
    pub partner_configurations: Vec<PartnerConfiguration>,
    /// `[[deposit]]`
    #[serde(rename = "deposit", alias = "deposits")]
    pub deposits: Vec<Deposit>,
}

/// A currency of the network.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"), deny_unknown_fields)]
pub struct Currency {
    /// Its name.
    #[serde(skip_serializing)]
    pub ticker: String,
    backing: String,
    decimals: u8,
    custody_source: String,
}

/// Somebody who acts.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The user's id.
    #[serde(skip_serializing)]
    pub id: String,
    /// A name for people.
    pub name: String,
    role: Option<String>,
}

/// A tenant, with what is its own.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"), deny_unknown_fields)]
pub struct Enterprise {
    /// Its id.
    #[serde(skip_serializing)]
    pub id: String,
    name: String,
    trust_org: String,
    licensed: bool,
    /// Its Go Accounts.
    #[serde(
        rename(deserialize = "go_account"),
        alias = "go_accounts",
        default,
        skip_serializing
    )]
    pub go_accounts: Vec<GoAccount>,
    /// Who acts for it.
    #[serde(default, skip_serializing)]
    pub members: Vec<Member>,
}

/// A Go Account.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct GoAccount {
    /// Its id.
    #[serde(skip_serializing)]
    pub id: String,
    /// A name for people.
    pub label: String,
    /// The keys that sign for it.
    #[serde(default, skip_serializing)]
    pub keys: Vec<Key>,
}

/// A key that signs for a Go Account.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"), deny_unknown_fields)]
pub struct Key {
    /// The public key in any of the spellings that the API takes.
    pub public_key: String,
    /// A name for people.
    pub label: String,
}

/// Somebody who acts for an enterprise.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The user.
    #[serde(skip_serializing)]
    pub user_id: String,
    role: String,
}

/// What was agreed with a partner; what is left out gets the API's default.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"), deny_unknown_fields)]
pub struct PartnerConfiguration {
    /// The enterprise that the partner belongs to.
    #[serde(skip_serializing)]
    pub enterprise_id: String,
    /// The institution, by the partner's name for it.
    #[serde(skip_serializing)]
    pub institution_identifier: String,
    base_url: String,
    path_prefix: Option<String>,
    routes: Option<Routes>,
    signature_header: Option<String>,
    jwt_key_id: Option<String>,
    call_timeout_ms: Option<u32>,
    allowed_networks: Option<Vec<String>>,
    allocations: Option<String>,
    deallocations: Option<String>,
    amount_format: Option<String>,
    #[serde(rename(deserialize = "currency"), alias = "currencies", default)]
    currencies: Vec<PartnerCurrency>,
    public_key: Option<String>,
    on_chain: Option<bool>,
    activation: Option<String>,
    release_unanswered_after_seconds: Option<u32>,
    on_chain_late_after_seconds: Option<u32>,
}

/// Routes that differ from the recommended ones.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"), deny_unknown_fields)]
struct Routes {
    connect: Option<String>,
    allocate: Option<String>,
    clear_allocation: Option<String>,
    release_allocation: Option<String>,
    deallocate: Option<String>,
    clear_deallocation: Option<String>,
    release_deallocation: Option<String>,
    allocation_status: Option<String>,
    deallocation_status: Option<String>,
    finalize_settlement: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"), deny_unknown_fields)]
struct PartnerCurrency {
    ticker: String,
    partner_names: Vec<String>,
    minimum: Option<String>,
    maximum: Option<String>,
    open_total: Option<String>,
}

/// Money that is in custody already.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"), deny_unknown_fields)]
pub struct Deposit {
    /// Where it goes.
    #[serde(rename(serialize = "goAccountId"))]
    pub go_account: String,
    /// The ticker.
    pub currency: String,
    /// Base units.
    pub amount: String,
    /// What the custody source calls it; the same reference is the same deposit for ever.
    #[serde(rename(serialize = "externalReference"))]
    pub reference: String,
}

impl NetworkFile {
    /// Reads a description.
    ///
    /// # Errors
    /// See [`NetworkFileError`]; the first that is found.
    pub fn parse(text: &str) -> Result<Self, NetworkFileError> {
        let file: Self = parse_toml(text)?;
        let enterprises = &file.enterprises;
        let accounts = || enterprises.iter().flat_map(|e| &e.go_accounts);
        once("currency", file.currencies.iter().map(|c| c.ticker.clone()))?;
        once("user", file.users.iter().map(|u| u.id.clone()))?;
        once("enterprise", enterprises.iter().map(|e| e.id.clone()))?;
        once("Go Account", accounts().map(|account| account.id.clone()))?;
        for enterprise in enterprises {
            let members = enterprise.members.iter().map(|m| m.user_id.clone());
            once(&format!("member of {}", enterprise.id), members)?;
        }
        let agreed = file.partner_configurations.iter();
        let named = agreed.map(|c| format!("{} of {}", c.institution_identifier, c.enterprise_id));
        once("partner configuration", named)?;
        Ok(file)
    }
}

impl PartnerConfiguration {
    /// Reads what stands in a file by itself: the members of one `[[partner_configuration]]`.
    ///
    /// # Errors
    /// [`NetworkFileError::Notation`].
    pub fn parse(text: &str) -> Result<Self, NetworkFileError> {
        parse_toml(text)
    }
}

fn parse_toml<T: DeserializeOwned>(text: &str) -> Result<T, NetworkFileError> {
    toml::from_str(text).map_err(|error| NetworkFileError::Notation(error.to_string()))
}

fn once(kind: &str, ids: impl Iterator<Item = String>) -> Result<(), NetworkFileError> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if seen.contains(&id) {
            let kind = kind.to_owned();
            return Err(NetworkFileError::Twice { kind, id });
        }
        seen.insert(id);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_spellings_become_those_of_the_api() {
        let text = r#"
            [[currency]]
            ticker = "ofcbtc"
            backing = "btc"
            decimals = 8
            custody_source = "vault-1"

            [[partner_configuration]]
            enterprise_id = "harbour"
            institution_identifier = "harbour exchange"
            base_url = "https://h.example"
            routes = { allocation_status = "/a/{id}" }
            currencies = [{ ticker = "ofcbtc", partner_names = ["XBT"], open_total = "5" }]

            [[deposit]]
            go_account = "a1"
            currency = "ofcbtc"
            amount = "7"
            reference = "seed"
        "#;
        let file = NetworkFile::parse(text).unwrap();
        let currency = serde_json::to_value(&file.currencies[0]).unwrap();
        assert_eq!(
            currency,
            json!({"backing": "btc", "decimals": 8, "custodySource": "vault-1"})
        );
        let agreed = &file.partner_configurations[0];
        let body = serde_json::to_value(agreed).unwrap();
        assert_eq!(body["baseUrl"], "https://h.example");
        assert_eq!(body["routes"]["allocationStatus"], "/a/{id}");
        assert_eq!(body["currencies"][0]["openTotal"], "5");
        assert_eq!(body.get("enterpriseId"), None);
        let deposit = serde_json::to_value(&file.deposits[0]).unwrap();
        assert_eq!(deposit["goAccountId"], "a1");
        assert_eq!(deposit["externalReference"], "seed");
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let error = |text: &str| NetworkFile::parse(text).unwrap_err().to_string();
        let unknown = error("[[user]]\nid = \"u1\"\nname = \"Ann\"\nrol = \"operator\"\n");
        assert!(
            unknown.contains("line 4") && unknown.contains("rol"),
            "{unknown}"
        );
        let user = "[[user]]\nid = \"u1\"\nname = \"Ann\"\n";
        assert_eq!(error(&user.repeat(2)), "user u1 is described twice");
    }
}
