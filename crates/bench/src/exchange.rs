//! The simulated exchange (`tidelock sandbox exchange`), in a process of its own.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::process::Process;

pub(crate) struct Exchange {
    process: Process,
    http: reqwest::Client,
}

impl Exchange {
    /// Starts one that recognises the network's calls by this key.
    pub(crate) async fn start(folder: &Path, call_key: &Path) -> anyhow::Result<Exchange> {
        let key = call_key.to_str().context("the key's name is no text")?;
        let log = folder.join("tidelock-bench-exchange.log");
        let arguments = [
            "sandbox",
            "exchange",
            "--listen",
            "127.0.0.1:0",
            "--jwt-public-key",
            key,
        ];
        let process = Process::start(&arguments, &log).await;
        let _ = std::fs::remove_file(log);
        Ok(Exchange {
            process: process?,
            http: reqwest::Client::new(),
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.process.url
    }

    /// Tells it who it is in the network.
    pub(crate) async fn join(&self, partner_id: Uuid, membership: Value) -> anyhow::Result<()> {
        let mut membership = membership;
        membership["partnerId"] = partner_id.to_string().into();
        self.control("PUT", "partner", &membership).await?;
        Ok(())
    }

    /// Opens an account; the token by which a connection to it is made.
    pub(crate) async fn open_account(&self) -> anyhow::Result<String> {
        let account = self
            .control("POST", "accounts", &json!({"name": "bench"}))
            .await?;
        let token = account["connectionToken"].as_str();
        Ok(token
            .context("the exchange told no connectionToken")?
            .to_owned())
    }

    async fn control(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/control/v1/{path}", self.url());
        let request = self.http.request(method.parse()?, url);
        let request = request.header("content-type", "application/json");
        let response = request.body(body.to_string()).send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(
            status.is_success(),
            "the exchange answered {status}: {text}"
        );
        Ok(serde_json::from_str(&text)?)
    }

    pub(crate) async fn kill(mut self) {
        self.process.kill().await;
    }
}
