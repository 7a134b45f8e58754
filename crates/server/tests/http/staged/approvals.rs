//! Ends of disputes and settlements in the hands of one operator, and of two.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{DISPUTE_S, Stage, TOP_UP_S, dispute, options, staging, text};
use crate::{fixture::on_each_database, settling::allocate};
use reqwest::Method;

/// A dispute of a loss of 50, and what was proposed to end it.
async fn proposed(stage: &Stage<'_>, name: &str, connection: Uuid) -> String {
    let amounts = json!({connection.to_string(): {"BTC": "-50"}});
    let (status, body) = stage.stage(&staging(name, &amounts)).await;
    assert_eq!(status, 200, "{body}");
    let settlement = text(&body["settlement"], "id").to_owned();
    let tail = format!("/clients/settlements/{settlement}/disputes");
    let content = dispute(connection, &json!({"ofcbtc": "-20"}));
    let (status, body) = stage.send(0, Method::POST, &tail, &content).await;
    assert_eq!(status, 200, "{body}");
    let id = text(&body["dispute"], "id").to_owned();
    stage.pass(DISPUTE_S + TOP_UP_S).await;
    let tail = format!("/disputes/{id}/closures");
    let content = json!({
        "notes": "as the fills say",
        "adjustments": [{"currency": "ofcbtc", "quantity": "-20"}],
    });
    let (status, body) = stage.operate(false, &tail, content).await;
    assert_eq!(status, 200, "{body}");
    text(&body["dispute"]["disputeClosure"], "id").to_owned()
}

async fn acts(stage: &Stage<'_>, act: &str) -> Vec<Value> {
    let (status, body) = stage.operate(false, "/acts", Value::Null).await;
    assert_eq!(status, 200, "{body}");
    let all = body["acts"].as_array().expect("a list");
    all.iter()
        .filter(|one| one["act"] == act)
        .cloned()
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_operator_ends_a_dispute_alone_and_it_is_told() {
    on_each_database(options(false), async |world| {
        let stage = Stage::of(world).await;
        let [north, _] = stage.connections().await;
        allocate(&world.client, north, "ofcbtc", 100).await;
        let closure = proposed(&stage, "alone", north).await;
        assert_eq!(world.allocated(north, "ofcbtc").await, (50, 50));
        let tail = format!("/dispute-closures/{closure}/approve");
        let (status, body) = stage.operate(false, &tail, json!({})).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["secondOperatorRequired"], false);
        assert_eq!(body["dispute"]["disputeClosure"]["status"], "approved");
        assert_eq!(world.allocated(north, "ofcbtc").await, (80, 20));
        let alone = json!(world.operator.to_string());
        for act in ["propose_dispute_closure", "approve_dispute_closure"] {
            let acts = acts(&stage, act).await;
            assert_eq!((acts.len(), &acts[0]["userId"]), (1, &alone), "{act}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_end_a_dispute_where_two_are_required() {
    on_each_database(options(false), async |world| {
        let stage = Stage::of(world).await;
        let [north, _] = stage.connections().await;
        allocate(&world.client, north, "ofcbtc", 100).await;
        let closure = proposed(&stage, "together", north).await;
        // It was proposed while one was enough, and needs two now.
        stage.require_second_operator(true).await;
        let tail = format!("/dispute-closures/{closure}/approve");
        let (status, body) = stage.operate(false, &tail, json!({})).await;
        assert_eq!((status, text(&body, "name")), (403, "same_operator"));
        assert_eq!(world.allocated(north, "ofcbtc").await, (50, 50));
        let (status, body) = stage.operate(true, &tail, json!({})).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["secondOperatorRequired"], true);
        assert_eq!(world.allocated(north, "ofcbtc").await, (80, 20));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_give_up_a_settlement_where_two_are_required() {
    on_each_database(options(false), async |world| {
        let stage = Stage::of(world).await;
        let [north, south] = stage.connections().await;
        allocate(&world.client, north, "ofcbtc", 100).await;
        // The partner has none of the third currency: what is won cannot be booked.
        let amounts = json!({
            north.to_string(): {"BTC": "-50"},
            south.to_string(): {"USDT": "500"},
        });
        let (status, body) = stage.stage(&staging("unfunded", &amounts)).await;
        assert_eq!(status, 200, "{body}");
        let settlement = text(&body["settlement"], "id").to_owned();
        stage.require_second_operator(true).await;
        let tail = format!("/settlements/{settlement}/reject");
        let reason = json!({"reason": "the partner does not fund it"});
        let (status, body) = stage.operate(false, &tail, reason.clone()).await;
        // What would be refused is not proposed.
        assert_eq!((status, text(&body, "name")), (409, "settlement_pending"));
        stage.pass(DISPUTE_S + TOP_UP_S).await;
        let (status, body) = stage.operate(false, &tail, reason.clone()).await;
        assert_eq!(status, 202, "{body}");
        assert_eq!(body["proposal"]["act"]["kind"], "reject_settlement");
        assert_eq!(world.allocated(north, "ofcbtc").await, (50, 50));
        let id = text(&body["proposal"], "id");
        let (status, body) = stage
            .operate(true, &format!("/proposals/{id}/approve"), json!({}))
            .await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(world.allocated(north, "ofcbtc").await, (100, 0));
        let (status, body) = stage.operate(false, &tail, reason).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["settlement"]["status"], "rejected");
        assert_eq!(body["secondOperatorRequired"], true);
        let acts = acts(&stage, "reject_settlement").await;
        assert_eq!(acts.len(), 1, "{acts:?}");
        assert_eq!(acts[0]["userId"], json!(world.operator.to_string()));
    })
    .await;
}
