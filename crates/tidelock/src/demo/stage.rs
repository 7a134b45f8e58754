//! What the demo plays on: addresses and secrets, and how to tell of them.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, bail};
use ledger::Balance;
use reqwest::Method;
use serde_json::{Value, json};
use store::Location;
use wire::api::balances;

/// How long and how often it is waited for what the exchange is told in the background.
const MOMENT: Duration = Duration::from_millis(50);
const MOMENTS: u32 = 200;

/// Where everything is.
pub(super) struct Stage {
    pub(super) location: Location,
    pub(super) network_url: String,
    pub(super) exchange_url: String,
    pub(super) operator_token: String,
    pub(super) control_token: String,
    pub(super) call_public_key: String,
}

/// Who took part, for whoever goes on by hand.
pub(super) struct Cast {
    pub(super) exchange_enterprise: &'static str,
    pub(super) exchange_token: String,
    pub(super) client_enterprise: &'static str,
    pub(super) client_token: String,
    pub(super) institution: &'static str,
    pub(super) exchange_xprv: String,
    pub(super) client_xprv: String,
}

/// Says what a party does.
pub(super) fn does(party: &str, what: &str) {
    println!("\n{party:>9} │ {what}");
}

/// Says what came back.
pub(super) fn heard(what: &str) {
    println!("          │   ← {what}");
}

/// Says how many decimals the demo's currencies have, by ticker or by the exchange's name.
fn decimals(currency: &str) -> u8 {
    match currency
        .trim_start_matches("ofc")
        .to_ascii_lowercase()
        .as_str()
    {
        "btc" => 8,
        "eth" => 18,
        "usdt" => 6,
        _ => 0,
    }
}

/// Base units in full units, for people.
pub(super) fn human(currency: &str, units: &str) -> String {
    let balance = Balance {
        available: units.parse().unwrap_or_default(),
        held: 0,
    };
    balance.to_decimals(decimals(currency)).0
}

/// Balances on one line.
pub(super) fn figures(balances: &BTreeMap<String, balances::Balance>) -> String {
    let figure = |(currency, balance): (&String, &balances::Balance)| {
        let held = match balance.held.as_str() {
            "0" => String::new(),
            held => format!(" (+{} held)", human(currency, held)),
        };
        format!("{} {currency}{held}", human(currency, &balance.available))
    };
    let shown: Vec<String> = balances.iter().map(figure).collect();
    match shown.is_empty() {
        true => "nothing".to_owned(),
        false => shown.join(", "),
    }
}

impl Stage {
    /// Calls the control API of the simulated exchange.
    pub(super) async fn control(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<Value> {
        let mut request = reqwest::Client::new()
            .request(method, format!("{}/control/v1/{path}", self.exchange_url))
            .bearer_auth(&self.control_token);
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request
            .send()
            .await
            .context("the exchange did not answer")?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            bail!("the exchange answered {status}: {text}");
        }
        Ok(serde_json::from_str(&text)?)
    }

    /// Makes a trade. The exchange credits an allocation when it is told of our commit, which is a
    /// moment later: until then the account has nothing to trade with.
    pub(super) async fn trade(&self, trade: &Value) -> anyhow::Result<()> {
        let mut refused = anyhow::anyhow!("no trade was tried");
        for _ in 0..MOMENTS {
            match self.control(Method::POST, "trades", trade).await {
                Ok(_) => return Ok(()),
                Err(error) => refused = error,
            }
            tokio::time::sleep(MOMENT).await;
        }
        Err(refused)
    }

    /// The exchange's own balances of an account, once it was told of everything that left it.
    pub(super) async fn emptied_account(&self, account: &str) -> anyhow::Result<String> {
        let mut last = Value::Null;
        for _ in 0..MOMENTS {
            let accounts = self.control(Method::GET, "accounts", &Value::Null).await?;
            let accounts = accounts["accounts"].as_array().cloned().unwrap_or_default();
            let own = accounts.into_iter().find(|a| a["accountId"] == account);
            last = own.context("the exchange does not know the account")?["balances"].clone();
            let positions = last.as_object().cloned().unwrap_or_default();
            let empty = |position: &Value| position["balance"] == "0" && position["held"] == "0";
            if positions.values().all(empty) {
                let names: Vec<&str> = positions.keys().map(String::as_str).collect();
                return Ok(format!("0 of {}", names.join(", ")));
            }
            tokio::time::sleep(MOMENT).await;
        }
        bail!("the exchange still holds something for the client: {last}")
    }

    /// Addresses, tokens and signing keys, for a program.
    pub(super) fn told(&self, cast: &Cast) -> Value {
        let party = |enterprise: &str, token: &str, key: &str| json!({"enterprise": enterprise, "token": token, "signingKey": key});
        json!({
            "network": self.network_url,
            "exchangeUrl": self.exchange_url,
            "controlToken": self.control_token,
            "institution": cast.institution,
            "operator": {"token": self.operator_token},
            "client": party(cast.client_enterprise, &cast.client_token, &cast.client_xprv),
            "partner": party(cast.exchange_enterprise, &cast.exchange_token, &cast.exchange_xprv),
        })
    }

    /// Shows addresses, tokens and a first line to type.
    pub(super) fn show_how_to_try_by_hand(&self, cast: &Cast) {
        println!("\nEverything stays up until Ctrl-C.\n");
        println!("  network            {}", self.network_url);
        println!("  reference          {}/reference", self.network_url);
        println!("  OpenAPI document   {}/openapi.json", self.network_url);
        println!(
            "  exchange           {} (control API below /control/v1)",
            self.exchange_url
        );
        println!("  operator token     {}", self.operator_token);
        println!("  exchange token     {}", cast.exchange_token);
        println!("  client token       {}", cast.client_token);
        println!("  control token      {}", self.control_token);
        println!("\nCreate Partner by hand (the same content again answers the same partner):\n");
        println!(
            "  curl -s {}/api/network/v1/enterprises/{}/partners \\\n    -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' \\\n    -d '{{\"name\":\"Harbour Exchange\",\"broker\":false,\"institutionIdentifier\":\"{}\",\"connectionKeySchema\":\"token\"}}'",
            self.network_url, cast.exchange_enterprise, cast.exchange_token, cast.institution
        );
        println!("\nThe client's balances:\n");
        println!(
            "  curl -s {}/api/network/v1/enterprises/{}/clients/balances \\\n    -H 'Authorization: Bearer {}'\n",
            self.network_url, cast.client_enterprise, cast.client_token
        );
    }
}
