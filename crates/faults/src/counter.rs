//! Settlements that take their time, step by step: staged ones that are disputed and end otherwise,
//! and settlements over the chain. Every step is asked again until it is answered, and the next one
//! names what was answered before.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rand::RngExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::signature::ExtendedKey;

use crate::PATIENCE;
use crate::acknowledgements::{Acknowledgements, Outcome, Work};

/// The pause before something is asked again.
const PAUSE: Duration = Duration::from_millis(15);

/// How long an answer is waited for.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Longer than a window of the venue, in seconds.
const WINDOW_S: u32 = 61;

/// Somebody who signs.
pub struct Speaker {
    /// Its enterprise.
    pub enterprise: String,
    /// Its token.
    pub token: String,
    /// Its key.
    pub key: ExtendedKey,
}

/// Who speaks for the venue, its client and operators.
pub struct Counter {
    /// The server.
    pub url: String,
    /// The client's connection to the venue.
    pub connection: Uuid,
    /// The venue.
    pub partner: Speaker,
    /// The client.
    pub client: Speaker,
    /// The token of the operator who proposes.
    pub operator: String,
    /// The token of the one who reviews.
    pub reviewer: String,
}

/// A settlement as it was acknowledged in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its id, and that of the settlement on which the end of its dispute rode.
    pub settlements: Vec<Uuid>,
    /// What the client's connection has got, and below zero what it has lost, in base units by the
    /// venue's name of the currency.
    pub moved: BTreeMap<String, i128>,
}

fn member(answer: &Value, path: &[&str]) -> anyhow::Result<Uuid> {
    let found = path.iter().fold(answer, |value, name| &value[*name]);
    let found = found
        .as_str()
        .with_context(|| format!("{path:?} in {answer}"))?;
    Ok(found.parse()?)
}

impl Counter {
    /// Makes one settlement from its beginning to its end, and logs it.
    ///
    /// # Errors
    ///
    /// What is answered that must not be.
    pub async fn settle(&self, log: &Acknowledgements, id: &str) -> anyhow::Result<()> {
        let (loss, gain, over_the_chain) = {
            let mut random = rand::rng();
            (
                random.random_range(2..=20_i128),
                random.random_range(2..=20_i128),
                random.random::<bool>(),
            )
        };
        let number = log.asked(id, Work::SettleSlowly { over_the_chain });
        log.sent(number);
        let ended = match over_the_chain {
            true => self.over_the_chain(id, loss, gain).await,
            false => self.disputed(id, loss, gain).await,
        };
        let ended = ended.with_context(|| id.to_owned())?;
        log.answered(number, Outcome::Ended(ended));
        Ok(())
    }

    /// A settlement that is staged, disputed, and moves half of what was posted in the end, or all
    /// of it if the client concedes.
    async fn disputed(&self, id: &str, loss: i128, gain: i128) -> anyhow::Result<Ended> {
        let connection = self.connection.to_string();
        let amounts =
            json!({connection.as_str(): {"BTC": (-loss).to_string(), "USDT": gain.to_string()}});
        let staged = self.stage(id, amounts).await?;
        let first = member(&staged, &["settlement", "id"])?;
        let content = json!({
            "connectionId": connection,
            "expectedTransfers": {},
            "reason": "it was less",
            "nonce": client::fresh_nonce(),
        });
        let path = format!("clients/settlements/{first}/disputes");
        let disputed = self.say(&self.client, 1, &path, content).await?;
        let dispute = member(&disputed, &["dispute", "id"])?;
        self.pass_a_window().await?;
        let concedes = rand::rng().random::<bool>();
        let (loss, gain) = match concedes {
            true => {
                let content = json!({"notes": "it is right", "nonce": client::fresh_nonce()});
                let path = format!("clients/settlements/disputes/{dispute}/close");
                self.say(&self.client, 1, &path, content).await?;
                (loss, gain)
            }
            false => {
                self.close(dispute, loss / 2, gain / 2).await?;
                (loss / 2, gain / 2)
            }
        };
        let carried = self.stage(&format!("{id} carried"), json!({})).await?;
        let second = member(&carried, &["settlement", "id"])?;
        self.pass_a_window().await?;
        for settlement in [first, second] {
            self.completes(settlement).await?;
        }
        Ok(Ended {
            settlements: vec![first, second],
            moved: moved(loss, gain),
        })
    }

    async fn stage(&self, id: &str, amounts: Value) -> anyhow::Result<Value> {
        let content = json!({
            "externalId": id,
            "settlementAmounts": amounts,
            "cutoffAt": "2026-01-01T00:00:00.000Z",
            "nonce": client::fresh_nonce(),
        });
        self.say(&self.partner, 2, "partners/settlements", content)
            .await
    }

    /// One operator proposes what moves instead, another one approves it.
    async fn close(&self, dispute: Uuid, loss: i128, gain: i128) -> anyhow::Result<()> {
        let content = json!({
            "notes": "half of it",
            "adjustments": [
                {"currency": "ofcbtc", "quantity": (-loss).to_string()},
                {"currency": "ofcusdt", "quantity": gain.to_string()},
            ],
        });
        let path = format!("disputes/{dispute}/closures");
        // Proposed again, it is there already.
        self.ask(&self.operator, &path, &content, Repeated::Found)
            .await?;
        let waiting = self.look(&self.operator, "dispute-closures").await?;
        let all = waiting["disputes"].as_array().context("disputes")?;
        let own = all.iter().find(|d| d["id"] == dispute.to_string());
        let own = own.with_context(|| format!("no closure of {dispute} waits"))?;
        let closure = member(own, &["disputeClosure", "id"])?;
        let path = format!("dispute-closures/{closure}/approve");
        self.act(&self.reviewer, &path, &json!({})).await
    }

    /// A settlement over the chain, its deposit announced before or after it.
    async fn over_the_chain(&self, id: &str, loss: i128, gain: i128) -> anyhow::Result<Ended> {
        let connection = self.connection.to_string();
        let content = json!({
            "externalId": id,
            "settlementAmounts": {
                connection: {"BTC": (-loss).to_string(), "USDT": gain.to_string()},
            },
            "nonce": client::fresh_nonce(),
        });
        let deposits = json!({
            "externalSettlementId": id,
            "deposits": [{"currency": "USDT", "onChainTxId": format!("in {id}")}],
        });
        let (settle, announce) = (
            "partners/settlements/onchain",
            "partners/settlements/onchain/deposits",
        );
        let announced_first = rand::rng().random::<bool>();
        let mut announced = Value::Null;
        if announced_first {
            announced = self
                .say(&self.partner, 1, announce, deposits.clone())
                .await?;
        }
        let begun = self.say(&self.partner, 1, settle, content).await?;
        let settlement = member(&begun, &["settlement", "id"])?;
        if !announced_first {
            announced = self.say(&self.partner, 1, announce, deposits).await?;
        }
        let deposit = member(&announced["deposits"][0], &["id"])?;
        let content = json!({"amount": gain.to_string(), "transferId": format!("in {id}")});
        let path = format!("onChainDeposits/{deposit}/seen");
        self.act(&self.operator, &path, &content).await?;
        let path = format!("onChainSettlements/{settlement}/losses/ofcbtc/seen");
        let content = json!({"onChainTxId": format!("out {id}")});
        self.act(&self.operator, &path, &content).await?;
        self.completes(settlement).await?;
        Ok(Ended {
            settlements: vec![settlement],
            moved: moved(loss, gain),
        })
    }

    /// Whether a settlement is completed.
    ///
    /// # Errors
    ///
    /// When it is not, or not there.
    pub async fn is_completed(&self, settlement: Uuid) -> anyhow::Result<()> {
        let path = format!(
            "{}/api/network/v1/enterprises/{}/partners/settlements/{settlement}",
            self.url, self.partner.enterprise
        );
        let (status, answer) = send(Method::GET, &path, &self.partner.token, None)
            .await
            .context("the server does not answer")?;
        ensure!(status == 200, "{settlement}: {status} {answer}");
        let state = &answer["settlement"]["status"];
        ensure!(state == "completed", "{settlement} is {state}");
        Ok(())
    }

    async fn completes(&self, settlement: Uuid) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            match self.is_completed(settlement).await {
                Err(_) if began.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
                told => return told,
            }
        }
    }

    /// Advances the test clock beyond the window that is open.
    async fn pass_a_window(&self) -> anyhow::Result<()> {
        self.act(
            &self.operator,
            "clock/advance",
            &json!({"seconds": WINDOW_S}),
        )
        .await
        .map(drop)
    }

    /// Sends a signed request, the same one every time, until it is answered.
    async fn say(
        &self,
        speaker: &Speaker,
        version: u8,
        path: &str,
        mut content: Value,
    ) -> anyhow::Result<Value> {
        let payload = content.to_string();
        content["signature"] = speaker.key.key.sign(&payload).into();
        content["payload"] = payload.into();
        let url = format!(
            "{}/api/network/v{version}/enterprises/{}/{path}",
            self.url, speaker.enterprise
        );
        let answer = until_answered(Method::POST, &url, &speaker.token, Some(&content));
        let (status, answer) = answer.await;
        ensure!((200..300).contains(&status), "{path}: {status} {answer}");
        Ok(answer)
    }

    /// Does something as an operator that acts once however often it is asked for.
    async fn act(&self, token: &str, path: &str, content: &Value) -> anyhow::Result<()> {
        self.ask(token, path, content, Repeated::Answered).await
    }

    async fn ask(
        &self,
        token: &str,
        path: &str,
        content: &Value,
        repeated: Repeated,
    ) -> anyhow::Result<()> {
        let url = format!("{}/api/operator/v1/{path}", self.url);
        let answer = until_answered(Method::POST, &url, token, Some(content));
        match (answer.await, repeated) {
            ((200..300, _), _) | ((409, _), Repeated::Found) => Ok(()),
            ((status, answer), _) => bail!("{path}: {status} {answer}"),
        }
    }

    async fn look(&self, token: &str, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}/api/operator/v1/{path}", self.url);
        let (status, answer) = until_answered(Method::GET, &url, token, None).await;
        ensure!(status == 200, "{path}: {status} {answer}");
        Ok(answer)
    }
}

/// What a request is answered that comes a second time.
#[derive(Clone, Copy)]
enum Repeated {
    /// As the first time.
    Answered,
    /// That it was done.
    Found,
}

fn moved(loss: i128, gain: i128) -> BTreeMap<String, i128> {
    [("BTC".to_owned(), -loss), ("USDT".to_owned(), gain)].into()
}

/// The status and the body, once there is an answer that leaves nothing open.
async fn until_answered(
    method: Method,
    url: &str,
    token: &str,
    content: Option<&Value>,
) -> (u16, Value) {
    loop {
        match send(method.clone(), url, token, content).await {
            Ok((status, answer)) if status < 500 && status != 408 && status != 429 => {
                return (status, answer);
            }
            Ok(_) | Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn send(
    method: Method,
    url: &str,
    token: &str,
    content: Option<&Value>,
) -> anyhow::Result<(u16, Value)> {
    let http = reqwest::Client::new();
    let mut request = http
        .request(method, url)
        .bearer_auth(token)
        .timeout(ANSWER_MAX);
    if let Some(content) = content {
        request = request
            .header("content-type", "application/json")
            .body(content.to_string());
    }
    let response = request.send().await?;
    let status: StatusCode = response.status();
    Ok((
        status.as_u16(),
        serde_json::from_str(&response.text().await?)?,
    ))
}
