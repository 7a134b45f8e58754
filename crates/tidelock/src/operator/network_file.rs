//! A network as an operator describes it in a file. The spellings are those of the file when it is
//! read and those of the API when it is sent; bounds and rules are the API's.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, anyhow, ensure};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::request::path;

/// A network, described. Lists may be left out, and may stand under their plurals too.
///
/// It holds no tokens: secrets are made by hand.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NetworkFile {
    #[serde(rename = "currency", alias = "currencies")]
    pub(super) currencies: Vec<Currency>,
    #[serde(rename = "user", alias = "users")]
    pub(super) users: Vec<User>,
    #[serde(rename = "enterprise", alias = "enterprises")]
    pub(super) enterprises: Vec<Enterprise>,
    #[serde(rename = "partner_configuration", alias = "partner_configurations")]
    pub(super) partner_configurations: Vec<PartnerConfiguration>,
    #[serde(rename = "deposit", alias = "deposits")]
    pub(super) deposits: Vec<Deposit>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"), deny_unknown_fields)]
pub(super) struct Currency {
    #[serde(skip_serializing)]
    pub(super) ticker: String,
    backing: String,
    decimals: u8,
    custody_source: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    #[serde(skip_serializing)]
    pub(super) id: String,
    pub(super) name: String,
    role: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"), deny_unknown_fields)]
pub(super) struct Enterprise {
    #[serde(skip_serializing)]
    pub(super) id: String,
    name: String,
    trust_org: String,
    licensed: bool,
    #[serde(
        rename(deserialize = "go_account"),
        alias = "go_accounts",
        default,
        skip_serializing
    )]
    pub(super) go_accounts: Vec<GoAccount>,
    #[serde(default, skip_serializing)]
    pub(super) members: Vec<Member>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GoAccount {
    #[serde(skip_serializing)]
    pub(super) id: String,
    pub(super) label: String,
    #[serde(default, skip_serializing)]
    pub(super) keys: Vec<Key>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"), deny_unknown_fields)]
pub(super) struct Key {
    pub(super) public_key: String,
    pub(super) label: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Member {
    #[serde(skip_serializing)]
    pub(super) user_id: String,
    role: String,
}

/// What was agreed with a partner; what is left out gets the API's default.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"), deny_unknown_fields)]
pub(super) struct PartnerConfiguration {
    #[serde(skip_serializing)]
    pub(super) enterprise_id: String,
    #[serde(skip_serializing)]
    pub(super) institution_identifier: String,
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

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all(serialize = "camelCase"), deny_unknown_fields)]
pub(super) struct Deposit {
    #[serde(rename(serialize = "goAccountId"))]
    pub(super) go_account: String,
    pub(super) currency: String,
    pub(super) amount: String,
    #[serde(rename(serialize = "externalReference"))]
    pub(super) reference: String,
}

impl PartnerConfiguration {
    /// Where the API has it.
    pub(super) fn path(&self) -> String {
        path(&[
            "enterprises",
            &self.enterprise_id,
            "partnerConfigurations",
            &self.institution_identifier,
        ])
    }
}

impl NetworkFile {
    /// Reads a description out of a file.
    ///
    /// # Errors
    /// A file that cannot be read, and those of [`NetworkFile::parse`].
    pub(crate) fn read(file: &Path) -> anyhow::Result<Self> {
        let text = text_of(file)?;
        Self::parse(&text).with_context(|| file.display().to_string())
    }

    /// Reads a description.
    ///
    /// # Errors
    /// A text that is no TOML, unknown or missing members (with line and column), and two
    /// descriptions of the same thing, which could never both hold.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
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

/// Reads something that a file describes in TOML.
///
/// # Errors
/// A file that cannot be read, a text that is no TOML, unknown or missing members.
pub(super) fn read_toml<T: DeserializeOwned>(file: &Path) -> anyhow::Result<T> {
    parse_toml(&text_of(file)?).with_context(|| file.display().to_string())
}

fn text_of(file: &Path) -> anyhow::Result<String> {
    fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

fn parse_toml<T: DeserializeOwned>(text: &str) -> anyhow::Result<T> {
    toml::from_str(text).map_err(|error| anyhow!("{error}"))
}

fn once(kind: &str, ids: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let mut seen = BTreeSet::new();
    for id in ids {
        let message = format!("{kind} {id} is described twice");
        ensure!(seen.insert(id), message);
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
        let path = "/enterprises/harbour/partnerConfigurations/harbour%20exchange";
        assert_eq!(agreed.path(), path);
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
