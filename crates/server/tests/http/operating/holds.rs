//! Holds that wait for a partner (decisions Q18).

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{acts, get, post, refused, until};
use crate::fixture::{CLIENT, Options, World, on_each_database, request};

/// The one hold that is stuck, once its next attempt is so far away that nothing but an operator
/// can bring it about: farther than the attempt in flight is leased for.
async fn stuck(world: &World) -> Value {
    until(async || {
        let listed = get(world, "/holds").await;
        let hold = listed["holds"][0].clone();
        let due: jiff::Timestamp = hold["message"]["dueAt"].as_str()?.parse().expect("a time");
        let is_far = due.as_microsecond() > world.clock.now().0 + 40_000_000;
        if !is_far {
            world.clock.advance(Duration::from_secs(1));
        }
        is_far.then_some(hold)
    })
    .await
}

/// A network that looks often for what is due.
fn attentive() -> Options {
    let mut options = Options::default();
    options.network.look_around = Duration::from_millis(10);
    options
}

/// The allocation as its client sees it.
async fn as_client_sees(world: &World, id: &str) -> Value {
    let path = format!("/api/network/v1/enterprises/{CLIENT}/clients/allocations/{id}");
    let token = Some(world.client_token.as_str());
    let (status, _, answer) = world.raw(Method::GET, &path, token, None).await;
    assert_eq!(status, 200, "{answer}");
    answer["allocation"].clone()
}

/// The calls of one kind that the exchange answered without a fault.
async fn told(world: &World, call: &str, id: &str) -> usize {
    let all = world.control(Method::GET, "calls", &Value::Null).await;
    let all = all["calls"].as_array().expect("calls").clone();
    let counts = |one: &&Value| {
        let path = one["path"].as_str().unwrap_or_default();
        one["call"] == call && path.contains(id) && one["answered"] == 200
    };
    all.iter().filter(counts).count()
}

async fn fail(world: &World, calls: &[&str]) {
    let always = |call: &&str| json!({"call": call, "times": 100_000, "action": "error500"});
    let script: Vec<Value> = calls.iter().map(always).collect();
    world.script_faults(json!(script)).await;
}

async fn get_stuck(world: &World) -> (Uuid, Value) {
    let (connection, _) = world.connect().await;
    fail(world, &["allocate", "allocationStatus"]).await;
    let tried = world
        .client
        .allocate(connection, request("ofcbtc", 400, "a-1"))
        .await;
    assert!(tried.is_err(), "the exchange did not answer");
    (connection, stuck(world).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_hold_is_seen_and_asked_about_again() {
    on_each_database(attentive(), async |world| {
        assert_eq!(get(world, "/holds").await["holds"], json!([]));
        let (connection, hold) = get_stuck(world).await;
        for (member, value) in [
            ("kind", json!("allocation")),
            ("status", json!("reserved")),
            ("clientExternalId", json!("a-1")),
            ("connectionId", json!(connection.to_string())),
            ("partnerId", json!(world.partner_id.to_string())),
            ("clientEnterpriseId", json!(CLIENT)),
            ("goAccountId", json!(world.client_account.to_string())),
            ("currency", json!("ofcbtc")),
            ("amount", json!("400")),
        ] {
            assert_eq!(hold[member], value, "{member}: {hold}");
        }
        assert!(hold["reason"]["message"].is_string(), "{hold}");
        let message = &hold["message"];
        assert_eq!(message["call"], "reserve");
        let error = message["lastError"].as_str().expect("what went wrong last");
        assert!(error.contains("500"), "{error}");
        assert_eq!(world.custody("ofcbtc").await, (999_999_600, 400));

        world.script_faults(json!([])).await;
        let id = hold["id"].as_str().expect("an id");
        let asked = post(world, &format!("/holds/{id}/ask"), Value::Null).await;
        assert_eq!(asked["hold"]["id"], json!(id));
        until(async || (as_client_sees(world, id).await["status"] == "cleared").then_some(()))
            .await;
        assert_eq!(world.allocated(connection, "ofcbtc").await, (400, 0));
        assert_eq!(get(world, "/holds").await["holds"], json!([]));

        let newest = acts(world).await;
        assert_eq!(newest[0]["act"], "ask_again");
        assert_eq!(newest[0]["subject"], json!(id));
        // Once the partner has been told, nothing is left to ask, and nothing to release.
        until(async || (told(world, "clearAllocation", id).await > 0).then_some(())).await;
        until(async || {
            let path = format!("/holds/{id}/ask");
            let token = Some(world.operator_token.as_str());
            let (status, _, answer) =
                super::with(world, token, Method::POST, &path, &Value::Null).await;
            (status == 422 && answer["name"] == "nothing_to_ask").then_some(())
        })
        .await;
        let path = format!("/holds/{id}/release");
        let (status, name, _) = refused(world, Method::POST, &path, json!({"reason": "x"})).await;
        assert_eq!((status, name.as_str()), (409, "already_final"));
        assert_eq!(world.allocated(connection, "ofcbtc").await, (400, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_hold_gives_the_money_back_and_the_partner_is_told_until_it_hears() {
    on_each_database(attentive(), async |world| {
        let (connection, hold) = get_stuck(world).await;
        let id = hold["id"].as_str().expect("an id");
        fail(
            world,
            &["allocate", "allocationStatus", "releaseAllocation"],
        )
        .await;
        let path = format!("/holds/{id}/release");
        let reason = "the exchange is closed for good";
        let released = post(world, &path, json!({"reason": reason})).await;
        assert_eq!(released["hold"]["status"], "released");
        assert_eq!(released["hold"]["message"]["call"], "release");
        // The commit decides: the money is back although nobody has been told.
        assert_eq!(world.custody("ofcbtc").await, (1_000_000_000, 0));
        assert_eq!(world.allocated(connection, "ofcbtc").await, (0, 0));
        let seen = as_client_sees(world, id).await;
        assert_eq!(seen["status"], "released");
        assert!(seen.to_string().contains(reason), "{seen}");
        assert_eq!(told(world, "releaseAllocation", id).await, 0);
        let (status, name, _) = refused(world, Method::POST, &path, json!({"reason": "x"})).await;
        assert_eq!((status, name.as_str()), (409, "already_final"));

        world.script_faults(json!([])).await;
        until(async || (told(world, "releaseAllocation", id).await > 0).then_some(())).await;
        // The same request now hears how it ended.
        let tried = world
            .client
            .allocate(connection, request("ofcbtc", 400, "a-1"))
            .await;
        let error = tried.expect_err("released");
        let refusal = error.refusal().expect("an answer");
        assert_eq!((refusal.status, refusal.message.as_str()), (422, reason));
        assert_eq!(world.custody("ofcbtc").await, (1_000_000_000, 0));

        let act = acts(world).await;
        let act = act
            .iter()
            .find(|act| act["act"] == "release_hold")
            .expect("the act");
        assert_eq!(act["userId"], json!(world.operator.to_string()));
        assert_eq!(act["subject"], json!(id));
    })
    .await;
}

/// A hold of the other direction, of a partner that answers later.
#[tokio::test(flavor = "multi_thread")]
async fn a_deallocation_that_nobody_answers_is_released_to_the_connection() {
    let options = Options {
        deallocations: rules::record::Answering::Asynchronous,
        ..Options::default()
    };
    on_each_database(options, async |world| {
        let (connection, _) = world.connect().await;
        world
            .client
            .allocate(connection, request("ofcbtc", 400, "a-1"))
            .await
            .expect("an allocation");
        until(async || {
            let all = world.control(Method::GET, "accounts", &Value::Null).await;
            (all["accounts"][0]["balances"]["BTC"]["free"] == "400").then_some(())
        })
        .await;
        world
            .client
            .deallocate(connection, request("ofcbtc", 300, "d-1"))
            .await
            .expect("reserved");
        assert_eq!(world.allocated(connection, "ofcbtc").await, (100, 300));
        let listed = get(world, "/holds").await;
        let hold = &listed["holds"][0];
        assert_eq!(hold["kind"], "deallocation");
        let id = hold["id"].as_str().expect("an id");
        let path = format!("/holds/{id}/release");
        post(world, &path, json!({"reason": "no answer"})).await;
        assert_eq!(world.allocated(connection, "ofcbtc").await, (400, 0));
        assert_eq!(get(world, "/holds").await["holds"], json!([]));
        until(async || (told(world, "releaseDeallocation", id).await > 0).then_some(())).await;
    })
    .await;
}
