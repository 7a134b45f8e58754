//! The examples of staged settlements and of disputes.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Said, Walk, signed, text};
use crate::{
    fixture::{CLIENT, PARTNER, World},
    settling::allocate,
    staged::{DISPUTE_S, Stage, TOP_UP_S, dispute, staging},
};

impl Walk<'_> {
    async fn operator(&mut self, token: &str, tail: &str, body: Value) -> Value {
        let method = match body.is_null() {
            true => Method::GET,
            false => Method::POST,
        };
        let path = format!("/api/operator/v1{tail}");
        self.say(token, method, &path, body).await
    }

    async fn stage(&mut self, content: &Value) -> Value {
        let told = json!({"payload": content.to_string()});
        let body = signed(content, &told, &self.world.partner_key);
        let path = format!("/api/network/v2/enterprises/{PARTNER}/partners/settlements");
        let token = &self.world.partner_token;
        self.say(token, Method::POST, &path, body).await
    }

    /// Says something signed as the client.
    async fn signed_client(&mut self, method: Method, tail: &str, content: &Value) -> Value {
        let told = json!({"payload": content.to_string()});
        let body = signed(content, &told, &self.world.client_key);
        let path = format!("/api/network/v1/enterprises/{CLIENT}{tail}");
        let token = &self.world.client_token;
        self.say(token, method, &path, body).await
    }

    /// Stages a loss of a connection and has the client dispute it: the ids of both.
    async fn disputed(&mut self, id: &str, connection: uuid::Uuid) -> (String, String) {
        let amounts = json!({connection.to_string(): {"BTC": "-5000"}});
        let staged = self.stage(&staging(id, &amounts)).await;
        let settlement = text(&staged["settlement"]["id"]);
        let tail = format!("/clients/settlements/{settlement}/disputes");
        let content = dispute(connection, &json!({"ofcbtc": "-2500"}));
        let raised = self.signed_client(Method::POST, &tail, &content).await;
        (settlement, text(&raised["dispute"]["id"]))
    }
}

pub(super) async fn walk(world: &World) -> Vec<Said> {
    let stage = Stage::of(world).await;
    let [north, _] = stage.connections().await;
    allocate(&world.client, north, "ofcbtc", 100_000).await;
    allocate(&world.client, north, "ofcusdt", 100_000).await;
    let mut walk = Walk::of(world);
    let (operator, reviewer) = (world.operator_token.clone(), stage.reviewer.clone());

    // Amended, and conceded while the window is open.
    let (_, first) = walk.disputed("staged-1", north).await;
    walk.read_client("/clients/settlement/disputes").await;
    walk.read_partner("/partners/settlement/disputes").await;
    let content = json!({
        "connectionId": north.to_string(),
        "retracted": false,
        "reason": "the fee was charged twice",
        "nonce": client::fresh_nonce(),
    });
    let tail = format!("/clients/settlements/disputes/{first}");
    walk.signed_client(Method::PUT, &tail, &content).await;
    let content = json!({"notes": "settled by telephone", "nonce": client::fresh_nonce()});
    let tail = format!("{tail}/close");
    walk.signed_client(Method::POST, &tail, &content).await;
    stage.pass(DISPUTE_S + TOP_UP_S).await;

    // Rejected once by the second operator, and then approved.
    let (_, second) = walk.disputed("staged-2", north).await;
    walk.operator(&operator, "/disputes", Value::Null).await;
    stage.pass(DISPUTE_S + TOP_UP_S).await;
    for verdict in ["reject", "approve"] {
        let tail = format!("/disputes/{second}/closures");
        let content = json!({
            "notes": "the fee was charged twice",
            "adjustments": [{"currency": "ofcbtc", "quantity": "-2500"}],
        });
        let proposed = walk.operator(&operator, &tail, content).await;
        walk.operator(&reviewer, "/dispute-closures", Value::Null)
            .await;
        let closure = text(&proposed["dispute"]["disputeClosure"]["id"]);
        let tail = format!("/dispute-closures/{closure}/{verdict}");
        let content = json!({"notes": "looked at the fills"});
        walk.operator(&reviewer, &tail, content).await;
    }
    walk.operator(&operator, "/waiting-transfers", Value::Null)
        .await;

    // The partner has none of the third currency: what the client has won cannot be booked.
    let amounts = json!({north.to_string(): {"USDT": "500"}});
    let staged = walk.stage(&staging("staged-3", &amounts)).await;
    stage.pass(DISPUTE_S + TOP_UP_S).await;
    let settlement = text(&staged["settlement"]["id"]);
    let tail = format!("/settlements/{settlement}/reject");
    let content = json!({"reason": "the partner does not fund it"});
    walk.operator(&operator, &tail, content).await;
    walk.said
}
