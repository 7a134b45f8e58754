//! The operator API: what operators set up, book and solve, and who may.

mod acts;
pub(crate) mod approvals;
mod authority;
mod configurations;
mod funding;
mod holds;
mod identities;
mod input;
mod repeats;
pub(crate) mod routes;
mod suspensions;

use std::{sync::LazyLock, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    examples::operation,
    fixture::{Heard, World},
};

/// Says something to the operator API with a token: status, headers and body.
async fn with(
    world: &World,
    token: Option<&str>,
    method: Method,
    path: &str,
    body: &Value,
) -> Heard {
    let text = (!body.is_null()).then(|| body.to_string());
    let path = format!("/api/operator/v1{path}");
    world.raw(method, &path, token, text.as_deref()).await
}

/// What the operator gets for a request that has to succeed.
async fn done(world: &World, method: Method, path: &str, body: Value) -> Value {
    let asked = format!("{method} {path}");
    let token = Some(world.operator_token.as_str());
    let (status, _, answer) = with(world, token, method, path, &body).await;
    assert_eq!(status, 200, "{asked}: {answer}");
    answer
}

/// Status, name and whole body of a request of the operator that has to be refused. The reference
/// tells of every refusal.
async fn refused(world: &World, method: Method, path: &str, body: Value) -> (u16, String, Value) {
    let asked = format!("{method} {path}");
    let token = Some(world.operator_token.as_str());
    let (status, _, answer) = with(world, token, method.clone(), path, &body).await;
    assert!(status >= 400, "{asked}: {status} {answer}");
    let name = answer["name"].as_str().unwrap_or_default().to_owned();
    let told = explained(&method, path, status);
    assert!(
        told.contains(&format!("`{name}`")),
        "{asked}: {status} {name} is not in the document: {told}"
    );
    (status, name, answer)
}

/// What the document says of a status of an operation.
fn explained(method: &Method, path: &str, status: u16) -> String {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
        let text = server::openapi::document();
        serde_json::from_str(&text).expect("the document is JSON")
    });
    let path = format!("/api/operator/v1{path}");
    let (id, _) = operation(&DOCUMENT, method, &path);
    let items = DOCUMENT["paths"].as_object().expect("paths").values();
    let mut operations = items.filter_map(Value::as_object).flat_map(|i| i.values());
    let found = operations.find(|operation| operation["operationId"] == json!(id));
    let answer = &found.expect("the operation")["responses"][status.to_string()];
    answer["description"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

async fn get(world: &World, path: &str) -> Value {
    done(world, Method::GET, path, Value::Null).await
}

async fn put(world: &World, path: &str, body: Value) -> Value {
    done(world, Method::PUT, path, body).await
}

async fn post(world: &World, path: &str, body: Value) -> Value {
    done(world, Method::POST, path, body).await
}

async fn delete(world: &World, path: &str) -> Value {
    done(world, Method::DELETE, path, Value::Null).await
}

/// What operators did, the newest first.
async fn acts(world: &World) -> Vec<Value> {
    let listed = get(world, "/acts?pageSize=500").await;
    listed["acts"].as_array().expect("acts").clone()
}

/// What stands on a Go Account: available and held.
async fn stands(world: &World, account: &str, ticker: &str) -> (String, String) {
    let path = format!("/goAccounts/{account}/balances");
    let balance = get(world, &path).await["balances"][ticker].clone();
    let figure = |member: &str| balance[member].as_str().unwrap_or("0").to_owned();
    (figure("available"), figure("held"))
}

/// A new identifier of 32 hexadecimal digits.
fn fresh_id() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Issues a token by the API: its id and the token.
async fn issue(world: &World, user: &str, wanted: Value) -> (String, String) {
    let issued = post(world, &format!("/users/{user}/tokens"), wanted).await;
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&issued["accessToken"]["id"]), text(&issued["token"]))
}

/// A token with both scopes of the network.
fn both_scopes() -> Value {
    json!({
        "label": "bot",
        "scopes": ["settlement_network_read", "settlement_network_write"],
    })
}

/// The status of reading a client's balances with this token.
async fn reads_balances(world: &World, enterprise: &str, token: &str) -> u16 {
    let path = format!("/api/network/v1/enterprises/{enterprise}/clients/balances");
    world.raw(Method::GET, &path, Some(token), None).await.0
}

/// Looks again and again, for at most a minute.
async fn until<T>(look: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..3_000 {
        if let Some(seen) = look().await {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come to pass within a minute");
}
