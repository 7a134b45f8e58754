//! The server as a process of its own, which can be killed and started again.

use std::process::Stdio;

use client::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use uuid::Uuid;
use wire::{
    api::{connections::NewConnection, partners::NewPartner},
    connection_key::{ConnectionKey, ConnectionKeySchema},
    signature::ExtendedKey,
};

use crate::{impatient, killer::Killer};

const TIDELOCK: &str = env!("CARGO_BIN_EXE_tidelock");
const CLIENT: &str = "northwind";
const PARTNER: &str = "harbour";
const CLIENT_ACCOUNT: &str = "c1000000000000000000000000000001";
const PARTNER_ACCOUNT: &str = "e1000000000000000000000000000001";
const CLIENT_USER: &str = "c0000000000000000000000000000001";
const PARTNER_USER: &str = "e0000000000000000000000000000001";

/// The process, and what it needs to be started again at the same address.
pub(crate) struct Server {
    folder: TempDir,
    database: String,
    address: String,
    process: Child,
    client_token: String,
    partner_id: Uuid,
    exchange_url: String,
}

fn client_key() -> ExtendedKey {
    ExtendedKey::from_seed(&[1; 32]).expect("a key")
}

fn partner_key() -> ExtendedKey {
    ExtendedKey::from_seed(&[2; 32]).expect("a key")
}

async fn run(folder: &TempDir, database: &str, listen: &str) -> (Child, String) {
    let mut process = Command::new(TIDELOCK)
        .args(["serve", "--listen", listen, "--lease", "2"])
        .arg("--data")
        .arg(folder.path())
        .env("TIDELOCK_DATABASE", database)
        .env("TIDELOCK_LOG", "error")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the server starts");
    let output = process.stdout.take().expect("its output");
    let line = BufReader::new(output)
        .lines()
        .next_line()
        .await
        .expect("a line");
    let line = line.expect("the server listens");
    let url = line.strip_prefix("listening on ").expect("its address");
    (process, url.to_owned())
}

impl Server {
    pub(crate) async fn start(database: &str, killer: &Killer) -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let init = Command::new(TIDELOCK)
            .arg("init")
            .arg("--data")
            .arg(folder.path())
            .env("TIDELOCK_DATABASE", database)
            .output()
            .await
            .expect("init runs");
        assert!(init.status.success(), "{init:?}");
        let told = String::from_utf8(init.stdout).expect("text");
        let operator_token = told.lines().find(|line| line.starts_with("tlk_"));
        let operator_token = operator_token.expect("a token");
        let (process, address) = run(&folder, database, "127.0.0.1:0").await;

        let operator = Client::operator(&address, operator_token).expect("an operator");
        let put = async |path: &str, body: Value| {
            operator.put(&format!("/{path}"), &body).await.expect(path);
        };
        let currency = json!({"backing": "btc", "decimals": 8, "custodySource": "vault"});
        put("currencies/ofcbtc", currency).await;
        let mut tokens = Vec::new();
        for (enterprise, account, user, key) in [
            (CLIENT, CLIENT_ACCOUNT, CLIENT_USER, client_key()),
            (PARTNER, PARTNER_ACCOUNT, PARTNER_USER, partner_key()),
        ] {
            let content = json!({"name": enterprise, "trustOrg": "Meridian", "licensed": true});
            put(&format!("enterprises/{enterprise}"), content).await;
            let path = format!("enterprises/{enterprise}/goAccounts/{account}");
            put(&path, json!({"label": "trading"})).await;
            let content = json!({"publicKey": key.xpub(), "label": "user"});
            let path = format!("goAccounts/{account}/keys");
            operator
                .post(&format!("/{path}"), &content)
                .await
                .expect("a key");
            put(&format!("users/{user}"), json!({"name": enterprise})).await;
            let path = format!("enterprises/{enterprise}/members/{user}");
            put(&path, json!({"role": "admin"})).await;
            let content = json!({
                "label": "test",
                "scopes": ["settlement_network_read", "settlement_network_write"],
            });
            let issued = operator
                .post(&format!("/users/{user}/tokens"), &content)
                .await;
            let issued = issued.expect("a token");
            tokens.push(issued["token"].as_str().expect("a token").to_owned());
        }
        let content = json!({
            "baseUrl": killer.url,
            "allowedNetworks": ["127.0.0.0/8"],
            "currencies": [{"ticker": "ofcbtc", "partnerNames": ["BTC"]}],
        });
        let path = format!("enterprises/{PARTNER}/partnerConfigurations/{PARTNER}");
        put(&path, content).await;
        let content = json!({
            "goAccountId": CLIENT_ACCOUNT,
            "currency": "ofcbtc",
            "amount": "1000000",
            "externalReference": "first",
        });
        operator
            .post("/deposits", &content)
            .await
            .expect("a deposit");

        let partner_token = tokens.pop().expect("two tokens");
        let client_token = tokens.pop().expect("two tokens");
        let partner = Client::new(&address, PARTNER, &partner_token).expect("a client");
        let created = partner
            .register_partner(&NewPartner {
                name: "Harbour".to_owned(),
                broker: false,
                institution_id: None,
                institution_identifier: PARTNER.to_owned(),
                connection_key_schema: ConnectionKeySchema::Token,
                client_dispute_window_minutes: None,
                top_up_window_minutes: None,
                allocation_policies_enabled: false,
            })
            .await
            .expect("Create Partner");
        let public_key = folder.path().join("partner-calls/default.pub.pem");
        let membership = json!({
            "partnerId": created.partner.id.to_string(),
            "enterpriseId": PARTNER,
            "token": partner_token,
            "signingKey": partner_key().xprv().as_str(),
            "networkUrl": address,
            "jwtPublicKey": std::fs::read_to_string(public_key).expect("the public key"),
        });
        control(
            &killer.exchange_url,
            reqwest::Method::PUT,
            "partner",
            &membership,
        )
        .await;
        Server {
            folder,
            database: database.to_owned(),
            address,
            process,
            client_token,
            partner_id: created.partner.id,
            exchange_url: killer.exchange_url.clone(),
        }
    }

    /// The client of the network, signing with its key.
    pub(crate) fn client(&self) -> Client {
        let client = Client::new(&self.address, CLIENT, &self.client_token).expect("a client");
        impatient(client.with_signing_key(client_key().key))
    }

    /// A connection, and the account at the exchange behind it.
    pub(crate) async fn connect(&self) -> (Uuid, String) {
        self.client().become_client().await.expect("a client");
        let post = reqwest::Method::POST;
        let account = control(&self.exchange_url, post, "accounts", &json!({})).await;
        let text = |member: &str| account[member].as_str().expect(member).to_owned();
        let opened = self
            .client()
            .connect(NewConnection {
                partner_id: self.partner_id,
                name: "main".to_owned(),
                connection_key: ConnectionKey::Token {
                    connection_token: text("connectionToken"),
                },
                nonce: client::fresh_nonce(),
            })
            .await
            .expect("a connection");
        assert!(opened.connection.initialized);
        (opened.connection.id, text("accountId"))
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id().expect("the server runs")
    }

    pub(crate) async fn wait_for_death(&mut self) {
        let ended = tokio::time::timeout(crate::PATIENCE, self.process.wait()).await;
        let status = ended.expect("the server is killed").expect("its status");
        assert!(!status.success());
    }

    /// Starts the server again where it was, for others know its address.
    pub(crate) async fn restart(&mut self) {
        let listen = self.address.trim_start_matches("http://").to_owned();
        let (process, _) = run(&self.folder, &self.database, &listen).await;
        self.process = process;
    }

    /// Asks the server to stop, and waits until it has.
    pub(crate) async fn stop(&mut self) {
        let process = self.process_id().to_string();
        let asked = Command::new("kill")
            .args(["-TERM", &process])
            .status()
            .await;
        assert!(asked.expect("kill runs").success());
        let status = tokio::time::timeout(crate::PATIENCE, self.process.wait()).await;
        assert!(status.expect("it stops").expect("its status").success());
    }
}

async fn control(exchange: &str, method: reqwest::Method, path: &str, body: &Value) -> Value {
    let url = format!("{exchange}/control/v1/{path}");
    let mut request = reqwest::Client::new().request(method, url);
    if !body.is_null() {
        request = request
            .header("content-type", "application/json")
            .body(body.to_string());
    }
    let response = request.send().await.expect("the exchange answers");
    let text = response.text().await.expect("a body");
    serde_json::from_str(&text).expect("JSON")
}

/// What the exchange has for an account in a currency.
pub(crate) async fn exchange_position(killer: &Killer, account: &str, currency: &str) -> Value {
    let get = reqwest::Method::GET;
    let all = control(&killer.exchange_url, get, "accounts", &Value::Null).await;
    let accounts = all["accounts"].as_array().expect("accounts");
    let own = accounts.iter().find(|a| a["accountId"] == account);
    own.expect("the account")["balances"][currency].clone()
}
