//! The examples of the reference are real answers: what is asked for here, and nothing else, stands
//! in `src/openapi/examples.json`, but for names and times that differ from run to run.
//!
//! `TIDELOCK_WRITE_EXAMPLES=1` writes the file instead of comparing it.

mod disputes;
mod on_chain;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use reqwest::Method;
use rules::record::Answering;
use serde_json::{Map, Value, json};

use crate::{
    fixture::{CLIENT, Options, PARTNER, World, new_partner, on_each_database},
    late_answers::clearance,
    movements::{self, KINDS, Kind, eventually},
    operating::routes::every_route,
    staged,
};

/// How many entries of a list an example shows.
const ENTRIES_MAX: usize = 2;

/// A request that was answered as it should be.
pub(crate) struct Said {
    method: Method,
    path: String,
    body: Value,
    status: u16,
    answer: Value,
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/openapi/examples.json")
}

/// What was answered, by operation.
#[derive(Default)]
struct Answered(BTreeMap<String, Value>);

impl Answered {
    /// Takes a walk on each database. Whatever walks ask for alike is answered alike.
    async fn take(&mut self, options: Options, walk: impl AsyncFn(&World) -> Vec<Said>) {
        on_each_database(options, async |world| {
            let said = walk(world).await;
            let (_, _, document) = world.raw(Method::GET, "/openapi.json", None, None).await;
            for (id, example) in examples(&document, said) {
                let known = self.0.entry(id.clone()).or_insert(example.clone());
                assert!(
                    *known == example,
                    "{id}: {known:#}\nanother time: {example:#}"
                );
            }
        })
        .await;
    }

    /// Holds the file against what was answered.
    fn compare(self) {
        if std::env::var_os("TIDELOCK_WRITE_EXAMPLES").is_some() {
            let text = serde_json::to_string_pretty(&self.0).expect("JSON");
            fs::write(file(), text + "\n").expect("the examples");
            return;
        }
        let text = fs::read_to_string(file()).expect("the examples");
        let known: BTreeMap<String, Value> = serde_json::from_str(&text).expect("JSON");
        let anew =
            "write the examples anew with TIDELOCK_WRITE_EXAMPLES=1, and look what has changed";
        for (id, example) in &self.0 {
            let known = known.get(id).unwrap_or(&Value::Null);
            assert!(
                known == example,
                "{id}: {anew}.\nin the file: {known:#}\nanswered: {example:#}"
            );
        }
        for id in known.keys() {
            assert!(self.0.contains_key(id), "{id} was not asked for: {anew}");
        }
    }
}

/// The examples that a walk gives; of an operation that was asked for twice the first.
fn examples(document: &Value, said: Vec<Said>) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for one in said {
        let (id, variables) = operation(document, &one.method, &one.path);
        let mut example = Map::new();
        example.insert("path".to_owned(), variables);
        if !one.body.is_null() {
            example.insert("request".to_owned(), one.body);
        }
        example.insert(
            "answers".to_owned(),
            json!({one.status.to_string(): one.answer}),
        );
        found
            .entry(id)
            .or_insert_with(|| still(Value::Object(example)));
    }
    found
}

/// The operation of a request, and the variables of its path.
pub(crate) fn operation(document: &Value, method: &Method, path: &str) -> (String, Value) {
    let path = path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    let method = method.as_str().to_lowercase();
    let paths = document["paths"].as_object().expect("paths");
    let mut fits: Vec<(usize, String, Value)> = Vec::new();
    for (template, item) in paths {
        let Some(id) = item[&method]["operationId"].as_str() else {
            continue;
        };
        let names: Vec<&str> = template.split('/').collect();
        let mut variables = Map::new();
        let fit = names.len() == parts.len()
            && names.iter().zip(&parts).all(|(name, part)| {
                match name.strip_prefix('{').and_then(|n| n.strip_suffix('}')) {
                    Some(name) => {
                        variables.insert(name.to_owned(), (*part).into());
                        true
                    }
                    None => name == part,
                }
            });
        if fit {
            fits.push((variables.len(), id.to_owned(), Value::Object(variables)));
        }
    }
    // The router prefers what is spelled out.
    fits.sort_by_key(|(count, ..)| *count);
    let fit = fits.into_iter().next();
    let (_, id, variables) = fit.unwrap_or_else(|| panic!("no operation: {method} {path}"));
    (id, variables)
}

/// An example without what differs from run to run.
fn still(example: Value) -> Value {
    settle(example, &mut Names::default())
}

fn settle(value: Value, names: &mut Names) -> Value {
    match value {
        Value::String(text) => names.text(&text).into(),
        Value::Array(list) => {
            let list = list.into_iter().take(ENTRIES_MAX);
            list.map(|entry| settle(entry, names)).collect()
        }
        Value::Object(members) => {
            let mut settled = Map::new();
            for (name, value) in members {
                let value = match (name.as_str(), &value) {
                    // Noted a moment after a token was used.
                    ("lastUsedAt", _) => continue,
                    ("latencyUs", _) => 4_200.into(),
                    ("attempts", Value::Number(_)) => 1.into(),
                    ("commitSequence", _) => 42.into(),
                    // A number, and a place in it or a ticker.
                    ("cursor" | "nextCursor", Value::String(text)) if text.len() < 30 => {
                        let (_, rest) = text.split_once('-').expect("a cursor");
                        let is_place = rest.bytes().all(|b| b.is_ascii_digit());
                        format!("42-{}", if is_place { "1" } else { rest }).into()
                    }
                    ("entry" | "sequence" | "number", Value::Number(_)) => 42.into(),
                    ("proof", Value::String(_)) => "eyJkaWdlc3QiOiI…".into(),
                    _ => settle(value, names),
                };
                settled.insert(names.text(&name), value);
            }
            Value::Object(settled)
        }
        other => other,
    }
}

/// What was called something else in this run.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    /// The text with every name and time in it as it is in every run.
    fn text(&mut self, text: &str) -> String {
        let mut settled = String::new();
        let mut word = String::new();
        for c in text.chars() {
            if c.is_ascii_alphanumeric() || "-_:.+".contains(c) {
                word.push(c);
            } else {
                settled.push_str(&self.word(&word));
                word.clear();
                settled.push(c);
            }
        }
        settled.push_str(&self.word(&word));
        settled
    }

    fn word(&mut self, word: &str) -> String {
        let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
        let parts: Vec<&str> = word.split('-').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        if lengths == [8, 4, 4, 4, 12] && parts.iter().all(|part| hex(part)) {
            return format!("019c1a2b-3c4d-7000-8000-{:012x}", self.number(word));
        }
        if matches!(word.len(), 32 | 64 | 66 | 130)
            && hex(word)
            && ![CLIENT, PARTNER].contains(&word)
        {
            let number = self.number(word);
            return format!(
                "{}{number:04x}",
                "0123456789abcdef".repeat(9).split_at(word.len() - 4).0
            );
        }
        // What the exchange calls its accounts and records.
        if let Some((noun, name)) = word.rsplit_once('-')
            && name.len() == 16
            && hex(name)
        {
            return format!("{noun}-{:016x}", self.number(word));
        }
        if let Some(secret) = word.strip_prefix("tlk_") {
            return format!("tlk_{}", "0".repeat(secret.len()));
        }
        if word
            .strip_prefix("127.0.0.1:")
            .is_some_and(|port| port.parse::<u16>().is_ok())
        {
            return "exchange.example".to_owned();
        }
        // Microseconds since 1970, in what operators' acts tell.
        if word.len() == 16 && word.bytes().all(|b| b.is_ascii_digit()) {
            return "1769860800000000".to_owned();
        }
        let time: Result<jiff::Timestamp, _> = word.parse();
        match time {
            Ok(_) if word.len() > 15 => "2026-01-31T12:00:00.000Z".to_owned(),
            _ => word.to_owned(),
        }
    }

    fn number(&mut self, word: &str) -> usize {
        if let Some(found) = self.0.iter().position(|known| known == word) {
            return found + 1;
        }
        self.0.push(word.to_owned());
        self.0.len()
    }
}

/// A person who tries one operation after the other.
pub(crate) struct Walk<'world> {
    pub(crate) world: &'world World,
    pub(crate) said: Vec<Said>,
}

impl<'world> Walk<'world> {
    pub(crate) fn of(world: &'world World) -> Walk<'world> {
        let said = Vec::new();
        Walk { world, said }
    }

    pub(crate) async fn say(
        &mut self,
        token: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> Value {
        let text = (!body.is_null()).then(|| body.to_string());
        let sent = self
            .world
            .raw(method.clone(), path, Some(token), text.as_deref());
        let (status, _, answer) = sent.await;
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        self.said.push(Said {
            method,
            path: path.to_owned(),
            body,
            status,
            answer: answer.clone(),
        });
        answer
    }

    async fn client(&mut self, method: Method, tail: &str, body: Value) -> Value {
        let path = format!("/api/network/v1/enterprises/{CLIENT}{tail}");
        let token = &self.world.client_token;
        self.say(token, method, &path, body).await
    }

    async fn partner(&mut self, method: Method, tail: &str, body: Value) -> Value {
        let path = format!("/api/network/v1/enterprises/{PARTNER}{tail}");
        let token = &self.world.partner_token;
        self.say(token, method, &path, body).await
    }

    async fn read_client(&mut self, tail: &str) -> Value {
        self.client(Method::GET, tail, Value::Null).await
    }

    async fn read_partner(&mut self, tail: &str) -> Value {
        self.partner(Method::GET, tail, Value::Null).await
    }

    /// Asks for the text to sign in both forms, signs it as the client, and posts it.
    async fn sign_as_client(&mut self, signing: &str, tail: &str, content: Value) -> Value {
        self.client(Method::GET, signing, content.clone()).await;
        let told = self.client(Method::POST, signing, content.clone()).await;
        let key = &self.world.client_key;
        let body = signed(&content, &told, key);
        self.client(Method::POST, tail, body).await
    }
}

/// The members with the text to sign that was answered, and the signature over it.
fn signed(content: &Value, told: &Value, key: &wire::signature::SigningKey) -> Value {
    let payload = told["payload"].as_str().expect("a payload");
    let mut body = content.clone();
    body["payload"] = payload.into();
    body["signature"] = key.sign(payload).into();
    body
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn movement(id: &str, units: &str) -> Value {
    json!({
        "amount": {"currency": "ofcbtc", "quantity": units},
        "clientExternalId": id,
        "nonce": client::fresh_nonce(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_are_what_is_answered() {
    let mut answered = Answered::default();
    let logged = Options {
        requests_kept: Some(1_000),
        ..Options::default()
    };
    answered.take(logged, trade).await;
    let later = Options {
        allocations: Answering::Asynchronous,
        deallocations: Answering::Asynchronous,
        ..Options::default()
    };
    answered.take(later, later_answers).await;
    answered.take(staged::options(false), disputes::walk).await;
    let on_chain = Options {
        test_clock: true,
        on_chain: true,
        ..Options::default()
    };
    answered.take(on_chain.clone(), on_chain::walk).await;
    answered.take(on_chain, every_route).await;
    answered.compare();
}

/// From Create Partner to a settled trade, and what is told of it.
async fn trade(world: &World) -> Vec<Said> {
    let mut walk = Walk::of(world);
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    let partner = serde_json::to_value(new_partner()).expect("JSON");
    walk.partner(post.clone(), "/partners", partner).await;
    walk.read_client("/partners").await;
    let currencies = format!("/supportedCurrencies?partnerIds={}", world.partner_id);
    walk.read_client(&currencies).await;
    walk.client(post.clone(), "/clients", json!({})).await;

    let (account, connection_token) = world.exchange_account().await;
    let content = json!({
        "partnerId": world.partner_id.to_string(),
        "name": "main",
        "connectionKey": {"schema": "token", "connectionToken": connection_token},
        "nonce": client::fresh_nonce(),
    });
    let connections = "/clients/connections";
    let signing = "/clients/connections/signing";
    let opened = walk.sign_as_client(signing, connections, content).await;
    let connection = text(&opened["connection"]["id"]);
    walk.read_client(connections).await;
    let own = format!("{connections}/{connection}");
    walk.read_client(&own).await;
    let changed = json!({"name": "main desk", "active": true});
    walk.client(put, &own, changed).await;
    walk.read_partner("/partners/connections").await;
    walk.read_partner(&format!("/partners/connections/{connection}"))
        .await;

    let allocations = format!("{own}/allocations");
    let signing = format!("{allocations}/signing");
    let content = movement("alloc-1", "50000000");
    let moved = walk.sign_as_client(&signing, &allocations, content).await;
    let allocation = text(&moved["allocation"]["id"]);
    credited(world, &account).await;
    let deallocations = format!("{own}/deallocations");
    let signing = format!("{deallocations}/signing");
    let content = movement("dealloc-1", "1000000");
    walk.sign_as_client(&signing, &deallocations, content).await;
    walk.read_client("/clients/allocations?types=allocation")
        .await;
    walk.read_client(&format!("/clients/allocations/{allocation}"))
        .await;
    walk.read_partner("/partners/allocations?types=allocation")
        .await;
    walk.read_partner(&format!("/partners/allocations/{allocation}"))
        .await;
    walk.read_client("/clients/balances").await;
    walk.read_partner("/partners/balances").await;

    let content = json!({
        "externalId": "settle-1",
        "settlementAmounts": {connection.clone(): {"BTC": "-250000", "USDT": "40000000"}},
        "nonce": client::fresh_nonce(),
    });
    let signing = "/partners/settlements-signing";
    walk.partner(get.clone(), signing, content.clone()).await;
    let told = walk.partner(post.clone(), signing, content.clone()).await;
    let body = signed(&content, &told, &world.partner_key);
    let settled = walk
        .partner(post.clone(), "/partners/settlements", body)
        .await;
    let settlement = text(&settled["settlement"]["id"]);
    walk.read_partner("/partners/settlements").await;
    walk.read_partner(&format!("/partners/settlements/{settlement}"))
        .await;
    walk.read_client("/clients/settlements").await;
    walk.read_client(&format!("/clients/settlements/{settlement}"))
        .await;
    walk.read_client("/clients/settlementTransfers?currencies=ofcbtc")
        .await;

    let client = &world.client_token;
    let own = format!("/api/statements/v1/enterprises/{CLIENT}");
    for path in [
        "/api/events/v1?limit=2".to_owned(),
        format!("{own}/goAccounts/{}?limit=2", world.client_account),
        format!("{own}/connections/{connection}?limit=2"),
    ] {
        walk.say(client, get.clone(), &path, Value::Null).await;
    }

    let content = json!({
        "externalId": "settle-2",
        "settlementAmounts": {connection.clone(): {"USDT": "1500000"}},
        "nonce": client::fresh_nonce(),
    });
    let told = json!({"payload": content.to_string()});
    let body = signed(&content, &told, &world.partner_key);
    walk.partner(post.clone(), "/partners/settlements/nonReconciled", body)
        .await;
    let content = json!({
        "trade": {
            "externalId": "fill-1",
            "externalOrderId": "order-1",
            "partyConnectionId": connection,
            "tradedAt": "2026-01-31T12:00:00.000Z",
            "base": {"currency": "BTC", "quantity": "-250000"},
            "quote": {"currency": "USDT", "quantity": "40000000"},
        },
        "nonce": client::fresh_nonce(),
    });
    let signing = "/partners/trades/signing";
    walk.partner(get.clone(), signing, content.clone()).await;
    walk.partner(post, signing, content).await;

    let refused = format!("/api/network/v1/enterprises/{CLIENT}/partners?ids=no");
    let refused = world.raw(Method::GET, &refused, Some(&world.client_token), None);
    assert_eq!(refused.await.0, 400);
    let requests = "/api/developer/v1/requests";
    let list = format!("{requests}?status=4xx");
    let logged = eventually("the refusal", async || {
        let (_, _, found) = world.raw(Method::GET, &list, Some(client), None).await;
        found["requests"].get(0).cloned()
    })
    .await;
    walk.say(client, get.clone(), &list, Value::Null).await;
    let one = format!("{requests}/{}", text(&logged["id"]));
    walk.say(client, get.clone(), &one, Value::Null).await;
    for path in ["/livez", "/readyz"] {
        walk.say(client, get.clone(), path, Value::Null).await;
    }
    walk.said
}

/// Waits until the exchange has credited an allocation.
async fn credited(world: &World, account: &str) {
    eventually("the credit", async || {
        let all = world.control(Method::GET, "accounts", &Value::Null).await;
        let all = all["accounts"].as_array().expect("a list").clone();
        let own = all.into_iter().find(|a| a["accountId"] == account)?;
        let balance = &own["balances"]["BTC"]["balance"];
        (balance.is_string() && balance != "0").then_some(())
    })
    .await;
}

/// A partner that answers later says so with operations of its own.
async fn later_answers(world: &World) -> Vec<Said> {
    let mut walk = Walk::of(world);
    let (connection, account) = world.connect().await;
    for kind in KINDS {
        let noun = kind.noun();
        let path = format!(
            "/api/network/v1/enterprises/{CLIENT}/clients/connections/{connection}/{noun}s"
        );
        let content = movement(&format!("later-{noun}"), "400");
        let told = json!({"payload": content.to_string()});
        let body = signed(&content, &told, &world.client_key).to_string();
        let client = Some(world.client_token.as_str());
        let asked = world.raw(Method::POST, &path, client, Some(&body)).await;
        assert_eq!(asked.2[noun]["status"], "reserved", "{}", asked.2);
        let record = text(&asked.2[noun]["id"]);
        eventually("the exchange's name for it", async || {
            let found = movements::record(world, &record).await;
            found["partnerExternalId"].is_string().then_some(())
        })
        .await;
        let content = clearance(world, kind, connection, &record).await;
        let told = json!({"payload": content.to_string()});
        let body = signed(&content, &told, &world.partner_key);
        walk.partner(Method::PUT, &format!("/partners/{noun}s"), body)
            .await;
        if kind == Kind::Allocation {
            credited(world, &account).await;
        }
    }
    walk.said
}
