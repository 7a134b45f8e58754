//! Makes a network be as a file describes it: what is missing is made, what differs is changed,
//! and what the file does not speak of stays as it is. Applying a file twice changes nothing the
//! second time.

use anyhow::Context;
use client::{
    OperatorClient,
    network_file::{Deposit, Enterprise, GoAccount, Key, NetworkFile},
};
use serde::Serialize;
use serde_json::Value;
use wire::signature::PublicKey;

use super::{
    partner_configuration,
    request::{Paging, listed, path},
};

/// How many entries of a list are read at once: as many as the API gives.
const PAGE_SIZE: u32 = 500;

/// Applies a description, in the order in which things need each other, and tells in one line each
/// what became of what it describes.
///
/// # Errors
/// The first request that fails; what was applied before it stays, and applying the file again goes
/// on from there.
pub(crate) async fn apply(
    client: &OperatorClient,
    file: &NetworkFile,
) -> anyhow::Result<Vec<String>> {
    let mut application = Application {
        client,
        lines: Vec::new(),
    };
    application.currencies(file).await?;
    application.users(file).await?;
    application.enterprises(file).await?;
    application.partner_configurations(file).await?;
    for deposit in &file.deposits {
        application.deposit(deposit).await?;
    }
    Ok(application.lines)
}

/// A description on its way into a network.
struct Application<'a> {
    client: &'a OperatorClient,
    lines: Vec<String>,
}

impl Application<'_> {
    async fn currencies(&mut self, file: &NetworkFile) -> anyhow::Result<()> {
        let known = self.list("/currencies", "currencies").await?;
        for currency in &file.currencies {
            let what = format!("currency {}", currency.ticker);
            let path = path(&["currencies", &currency.ticker]);
            let after = self.put(&what, &path, currency, "currency").await?;
            self.tell(what, find(&known, &after, &["ticker"]), &after);
        }
        Ok(())
    }

    async fn users(&mut self, file: &NetworkFile) -> anyhow::Result<()> {
        let known = self.all("users").await?;
        for user in &file.users {
            let what = format!("user {} ({})", user.id, user.name);
            let after = self
                .put(&what, &path(&["users", &user.id]), user, "user")
                .await?;
            self.tell(what, find(&known, &after, &["id"]), &after);
        }
        Ok(())
    }

    async fn enterprises(&mut self, file: &NetworkFile) -> anyhow::Result<()> {
        let known = self.all("enterprises").await?;
        let known_accounts = self.all("goAccounts").await?;
        for enterprise in &file.enterprises {
            let what = format!("enterprise {}", enterprise.id);
            let path = path(&["enterprises", &enterprise.id]);
            let after = self.put(&what, &path, enterprise, "enterprise").await?;
            self.tell(what, find(&known, &after, &["id"]), &after);
            for account in &enterprise.go_accounts {
                self.go_account(enterprise, account, &known_accounts)
                    .await?;
            }
            self.members(enterprise).await?;
        }
        Ok(())
    }

    async fn go_account(
        &mut self,
        enterprise: &Enterprise,
        account: &GoAccount,
        known: &[Value],
    ) -> anyhow::Result<()> {
        let what = format!("Go Account {} of {}", account.id, enterprise.id);
        let own = path(&["enterprises", &enterprise.id, "goAccounts", &account.id]);
        let after = self.put(&what, &own, account, "goAccount").await?;
        if after["label"] == account.label {
            self.tell(what, find(known, &after, &["id"]), &after);
        } else {
            self.say(
                &what,
                &format!("unchanged; its label stays {}", after["label"]),
            );
        }
        let keys_path = path(&["goAccounts", &account.id, "keys"]);
        let known_keys = self.list(&keys_path, "keys").await?;
        for key in &account.keys {
            self.key(account, key, &keys_path, &known_keys).await?;
        }
        Ok(())
    }

    /// A key that somebody has revoked stays revoked: an old file must not let it sign again.
    async fn key(
        &mut self,
        account: &GoAccount,
        key: &Key,
        keys_path: &str,
        known: &[Value],
    ) -> anyhow::Result<()> {
        let what = format!("key {:?} of Go Account {}", key.label, account.id);
        let hex = compressed(&key.public_key);
        let same: Vec<&Value> = known
            .iter()
            .filter(|known| hex.as_deref() == known["publicKey"].as_str())
            .collect();
        let is_revoked = |known: &&Value| known.get("revokedAt").is_some();
        if !same.is_empty() && same.iter().all(is_revoked) {
            self.say(
                &what,
                "stays revoked; take it out of the file, or add it by hand",
            );
            return Ok(());
        }
        let after = self.client.post(keys_path, key).await;
        let after = member(after.with_context(|| what.clone())?, "key");
        self.tell(what, find(known, &after, &["id"]), &after);
        Ok(())
    }

    async fn members(&mut self, enterprise: &Enterprise) -> anyhow::Result<()> {
        if enterprise.members.is_empty() {
            return Ok(());
        }
        let own = path(&["enterprises", &enterprise.id, "members"]);
        let known = self.list(&own, "members").await?;
        for member in &enterprise.members {
            let what = format!("member {} of {}", member.user_id, enterprise.id);
            let own = path(&["enterprises", &enterprise.id, "members", &member.user_id]);
            let after = self.put(&what, &own, member, "member").await?;
            self.tell(what, find(&known, &after, &["userId"]), &after);
        }
        Ok(())
    }

    async fn partner_configurations(&mut self, file: &NetworkFile) -> anyhow::Result<()> {
        let plural = "partnerConfigurations";
        let known = self.list("/partnerConfigurations", plural).await?;
        for agreed in &file.partner_configurations {
            let what = format!(
                "partner configuration {} of {}",
                agreed.institution_identifier, agreed.enterprise_id
            );
            let path = partner_configuration::path_of(agreed);
            let after = self
                .put(&what, &path, agreed, "partnerConfiguration")
                .await?;
            let keys = ["enterpriseId", "institutionIdentifier"];
            self.tell(what, find(&known, &after, &keys), &after);
        }
        Ok(())
    }

    async fn deposit(&mut self, deposit: &Deposit) -> anyhow::Result<()> {
        let what = format!(
            "deposit {:?} of {} {} to Go Account {}",
            deposit.reference, deposit.amount, deposit.currency, deposit.go_account
        );
        let filter = ("goAccountId", Some(deposit.go_account.as_str()));
        let known = self.pages("deposits", &[filter]).await;
        let known = known.with_context(|| what.clone())?;
        let after = self.client.post("/deposits", deposit).await;
        let after = after.with_context(|| what.clone())?;
        if let Some(proposal) = after.get("proposal") {
            let waits = format!("waits for a second operator as proposal {}", proposal["id"]);
            self.say(&what, &waits);
            return Ok(());
        }
        let after = member(after, "deposit");
        self.tell(what, find(&known, &after, &["id"]), &after);
        Ok(())
    }

    /// Puts something and answers how it is then.
    async fn put(
        &self,
        what: &str,
        path: &str,
        body: &impl Serialize,
        singular: &str,
    ) -> anyhow::Result<Value> {
        let answer = self.client.put(path, body).await;
        let answer = answer.with_context(|| what.to_owned())?;
        Ok(member(answer, singular))
    }

    async fn list(&self, path: &str, plural: &str) -> anyhow::Result<Vec<Value>> {
        let answer = self.client.get(path).await;
        let answer = answer.with_context(|| format!("the list of {plural}"))?;
        match member(answer, plural) {
            Value::Array(entries) => Ok(entries),
            _ => anyhow::bail!("the answer holds no {plural}"),
        }
    }

    async fn all(&self, plural: &str) -> anyhow::Result<Vec<Value>> {
        self.pages(plural, &[]).await
    }

    /// All pages of a list, narrowed by filters.
    async fn pages(
        &self,
        plural: &str,
        filters: &[(&str, Option<&str>)],
    ) -> anyhow::Result<Vec<Value>> {
        let mut entries = Vec::new();
        for number in 0.. {
            let paging = Paging {
                page_number: Some(number),
                page_size: Some(PAGE_SIZE),
            };
            let part = self.list(&listed(plural, &paging, filters), plural).await?;
            let is_last = part.len() < PAGE_SIZE as usize;
            entries.extend(part);
            if is_last {
                break;
            }
        }
        Ok(entries)
    }

    fn tell(&mut self, what: String, before: Option<&Value>, after: &Value) {
        let outcome = match before {
            None => "created",
            Some(before) if before == after => "unchanged",
            Some(_) => "changed",
        };
        self.say(&what, outcome);
    }

    fn say(&mut self, what: &str, outcome: &str) {
        self.lines.push(format!("{what}: {outcome}"));
    }
}

/// The entry that has the same keys as `wanted`, in the spelling of the network.
fn find<'a>(known: &'a [Value], wanted: &Value, keys: &[&str]) -> Option<&'a Value> {
    let is_wanted = |known: &&Value| keys.iter().all(|key| known[key] == wanted[key]);
    known.iter().find(is_wanted)
}

/// A member of an answer.
fn member(mut answer: Value, name: &str) -> Value {
    answer[name].take()
}

/// The key as the network shows it, whichever way it is written.
fn compressed(key: &str) -> Option<String> {
    let key = PublicKey::from_xpub(key)
        .or_else(|_| PublicKey::from_hex(key))
        .or_else(|_| PublicKey::from_spki_base64(key))
        .ok()?;
    let digits = key.as_bytes().iter().map(|byte| format!("{byte:02x}"));
    Some(digits.collect())
}
