//! P16 to P18 and what operators say of chains: settlement over the chain from every side.

mod approvals;
mod endings;
mod faults;

use client::fresh_nonce;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    fixture::{CLIENT, INSTITUTION, Options, PARTNER, World, configuration, on_each_database},
    settling::{
        allocate, get, id_of, on_connection, partners_own, path, post, seen_by_partner, settlement,
        signed_as, texts,
    },
};

fn enabled() -> Options {
    Options {
        on_chain: true,
        test_clock: true,
        ..Options::default()
    }
}

/// Posts as the partner: status and body.
async fn say(world: &World, tail: &str, body: &str) -> (u16, Value) {
    let path = path(PARTNER, tail);
    let token = Some(world.partner_token.as_str());
    let (status, _, answer) = world.raw(Method::POST, &path, token, Some(body)).await;
    (status, answer)
}

/// Posts a settlement over the chain.
async fn start(world: &World, content: &Value) -> (u16, Value) {
    let body = signed_as(content, &content.to_string(), &world.partner_key);
    say(world, "/partners/settlements/onchain", &body).await
}

/// Posts one that begins: its id.
pub(crate) async fn started(world: &World, external_id: &str, amounts: &Value) -> Uuid {
    let (status, answer) = start(world, &settlement(external_id, amounts)).await;
    assert_eq!(status, 202, "{answer}");
    assert_eq!(answer["settlement"]["status"], "pending", "{answer}");
    assert_eq!(
        answer["settlement"]["settlementType"], "onchain",
        "{answer}"
    );
    id_of(&answer)
}

fn deposits(external_id: &str, listed: &[(&str, &str)]) -> Value {
    let listed: Vec<Value> = listed
        .iter()
        .map(|(currency, tx)| json!({"currency": currency, "onChainTxId": tx}))
        .collect();
    json!({"externalSettlementId": external_id, "deposits": listed})
}

async fn announce(world: &World, content: &Value) -> (u16, Value) {
    let body = signed_as(content, &content.to_string(), &world.partner_key);
    say(world, "/partners/settlements/onchain/deposits", &body).await
}

/// Announces deposits: their ids and the id of the settlement.
pub(crate) async fn announced(
    world: &World,
    external_id: &str,
    listed: &[(&str, &str)],
) -> (Vec<String>, String) {
    let (status, answer) = announce(world, &deposits(external_id, listed)).await;
    assert_eq!(status, 201, "{answer}");
    let settlements = texts(&answer["deposits"], "settlementId");
    assert!(settlements.iter().all(|id| *id == settlements[0]));
    (texts(&answer["deposits"], "id"), settlements[0].clone())
}

/// Says something as the operator: status and body.
async fn operate(world: &World, tail: &str, body: Value) -> (u16, Value) {
    let path = format!("/api/operator/v1{tail}");
    let token = Some(world.operator_token.as_str());
    let text = body.to_string();
    let (status, _, answer) = world.raw(Method::POST, &path, token, Some(&text)).await;
    (status, answer)
}

async fn operated(world: &World, tail: &str, body: Value) -> Value {
    let (status, answer) = operate(world, tail, body).await;
    assert_eq!(status, 200, "{tail}: {answer}");
    answer
}

async fn seen(world: &World, deposit: &str, amount: &str) {
    let body = json!({"amount": amount, "transferId": format!("custody-{deposit}")});
    operated(world, &format!("/onChainDeposits/{deposit}/seen"), body).await;
}

async fn losses(world: &World, id: Uuid, currency: &str, how: &str, body: Value) -> Value {
    let tail = format!("/onChainSettlements/{id}/losses/{currency}/{how}");
    operated(world, &tail, body).await
}

/// The statuses of the transfers of a settlement by the partner's names of their currencies.
async fn statuses(world: &World, id: Uuid) -> Vec<(String, String)> {
    let shown = seen_by_partner(world, id, "").await;
    let transfers = &shown["settlementTransfers"];
    let names = texts(transfers, "currency").into_iter();
    let mut statuses: Vec<_> = names.zip(texts(transfers, "status")).collect();
    statuses.sort();
    statuses
}

fn status_of<'a>(statuses: &'a [(String, String)], currency: &str) -> Vec<&'a str> {
    let own = statuses.iter().filter(|(name, _)| name == currency);
    own.map(|(_, status)| status.as_str()).collect()
}

async fn state(world: &World, id: Uuid) -> Value {
    seen_by_partner(world, id, "").await["settlement"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn gains_come_by_deposits_and_losses_leave_by_withdrawals() {
    on_each_database(enabled(), async |world| {
        let (first, _) = world.connect().await;
        let (second, _) = world.connect().await;
        allocate(&world.client, first, "ofcbtc", 1_000).await;
        allocate(&world.client, second, "ofcbtc", 500).await;
        let partner_before = partners_own(world, "ETH").await;
        let amounts = json!({
            first.to_string(): {"BTC": "-300", "ETH": "40"},
            second.to_string(): {"BTC": "-200", "ETH": "2"},
        });
        let mut content = settlement("day-1", &amounts);
        content["notes"] = "Monday".into();
        let (status, answer) = start(world, &content).await;
        assert_eq!(status, 202, "{answer}");
        let id = id_of(&answer);
        for (member, value) in [
            ("settlementType", json!("onchain")),
            ("status", json!("pending")),
            ("notes", json!("Monday")),
            ("lossSLAAlertSent", json!(false)),
            ("gainSLAAlertSent", json!(false)),
        ] {
            assert_eq!(answer["settlement"][member], value, "{member}: {answer}");
        }
        // What is to leave is held; what is to come is in no account.
        assert_eq!(world.allocated(first, "ofcbtc").await, (700, 300));
        // A server that starts now finds the books sound.
        let records = world.network.installation().records().clone();
        let broken = records.check_laws().await.expect("a reading");
        assert!(broken.is_empty(), "{broken:?}");
        assert_eq!(world.allocated(second, "ofcbtc").await, (300, 200));
        assert_eq!(world.allocated(first, "ofceth").await, (0, 0));
        let now = statuses(world, id).await;
        assert!(
            now.iter().all(|(_, status)| status == "pending_onchain"),
            "{now:?}"
        );
        // Posted again it is the same.
        let (status, again) = start(world, &content).await;
        assert_eq!((status, &again), (202, &answer));

        // Deposits: on the way once announced, booked once they cover all gains of the currency.
        let (one, named) = announced(world, "day-1", &[("ETH", "e1")]).await;
        assert_eq!(named, id.to_string());
        let now = statuses(world, id).await;
        assert_eq!(status_of(&now, "ETH"), ["onchain_initiated"; 2]);
        assert_eq!(status_of(&now, "BTC"), ["pending_onchain"; 2]);
        seen(world, &one[0], "41").await;
        assert_eq!(world.allocated(first, "ofceth").await, (0, 0));
        let (two, _) = announced(world, "day-1", &[("ETH", "e1"), ("ETH", "e2")]).await;
        assert_eq!(two[0], one[0], "announced again it is the same deposit");
        seen(world, &two[1], "6").await;
        assert_eq!(world.allocated(first, "ofceth").await, (40, 0));
        assert_eq!(world.allocated(second, "ofceth").await, (2, 0));
        let partner_after = partners_own(world, "ETH").await;
        let units = |text: &str| text.parse::<i128>().expect("base units");
        assert_eq!(units(&partner_after.0) - units(&partner_before.0), 5);
        // Seen again nothing more happens.
        seen(world, &two[1], "6").await;
        assert_eq!(world.allocated(first, "ofceth").await, (40, 0));
        let (status, answer) = announce(world, &deposits("day-1", &[("ETH", "e2")])).await;
        assert_eq!(status, 201);
        let shown = &answer["deposits"][0];
        assert_eq!(shown["quantity"], 6);
        assert_eq!(shown["transferId"], format!("custody-{}", two[1]));

        // Withdrawals.
        assert_eq!(state(world, id).await["status"], "pending");
        losses(world, id, "ofcbtc", "started", json!({})).await;
        let now = statuses(world, id).await;
        assert_eq!(status_of(&now, "BTC"), ["onchain_initiated"; 2]);
        assert_eq!(status_of(&now, "ETH"), ["completed"; 2]);
        let done = losses(world, id, "ofcbtc", "seen", json!({"onChainTxId": "b1"})).await;
        assert_eq!(done["settlement"]["status"], "completed", "{done}");
        losses(world, id, "ofcbtc", "seen", json!({"onChainTxId": "b1"})).await;
        assert_eq!(world.allocated(first, "ofcbtc").await, (700, 0));
        assert_eq!(world.allocated(second, "ofcbtc").await, (300, 0));

        // As the partner and as the client see it in the end.
        let (status, answer) = start(world, &content).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["settlement"]["status"], "completed");
        assert!(answer["settlement"]["finalizedAt"].is_string());
        let shown = seen_by_partner(world, id, "").await;
        for transfer in shown["settlementTransfers"].as_array().expect("transfers") {
            let expected = match transfer["currency"].as_str() {
                Some("BTC") => json!(["b1"]),
                _ => json!(["e1", "e2"]),
            };
            assert_eq!(transfer["txIds"], expected, "{transfer}");
        }
        let list = path(PARTNER, "/partners/settlements");
        let (_, list) = get(world, &world.partner_token, &list).await;
        assert_eq!(list["settlements"][0]["settlementType"], "onchain");
        let token = &world.client_token;
        let (_, list) = get(world, token, &path(CLIENT, "/clients/settlements")).await;
        assert_eq!(list["settlements"][0]["settlementType"], "onchain");
        assert_eq!(
            list["settlements"][0]["transferDirection"],
            "send-and-receive"
        );
        let one = path(CLIENT, &format!("/clients/settlements/{id}"));
        let (_, one) = get(world, token, &one).await;
        assert_eq!(one["settlement"]["settlementType"], "onchain");
        let transfers = path(
            CLIENT,
            "/clients/settlementTransfers?settlementTransferStatuses=completed",
        );
        let (_, transfers) = get(world, token, &transfers).await;
        let transfers = transfers["settlementTransfers"]
            .as_array()
            .expect("transfers");
        assert_eq!(transfers.len(), 4);
        assert!(
            transfers
                .iter()
                .all(|t| t["settlementStatus"] == "completed")
        );
        assert!(transfers.iter().any(|t| t["txIds"] == json!(["b1"])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_may_come_before_the_settlement() {
    on_each_database(enabled(), async |world| {
        let (connection, _) = world.connect().await;
        let (ids, promised) = announced(
            world,
            "early",
            &[("ETH", "x1"), ("BTC", "x1"), ("USDT", "x2")],
        )
        .await;
        // One transaction brings two currencies; a third one nobody is to gain.
        for (id, amount) in ids.iter().zip(["10", "7", "9"]) {
            seen(world, id, amount).await;
        }
        let before = partners_own(world, "USDT").await;
        let amounts = json!({connection.to_string(): {"ETH": "10", "BTC": "8"}});
        let id = started(world, "early", &amounts).await;
        assert_eq!(id.to_string(), promised);
        let now = statuses(world, id).await;
        assert_eq!(status_of(&now, "ETH"), ["completed"]);
        assert_eq!(status_of(&now, "BTC"), ["onchain_initiated"]);
        assert_eq!(on_connection(world, connection, "ETH").await, "10");
        assert_eq!(on_connection(world, connection, "BTC").await, "0");
        let (more, _) = announced(world, "early", &[("BTC", "x3")]).await;
        seen(world, &more[0], "1").await;
        assert_eq!(on_connection(world, connection, "BTC").await, "8");
        assert_eq!(state(world, id).await["status"], "completed");

        // What nobody waits for is given back by hand if it came early, and by itself if late.
        let tail = format!("/onChainSettlements/{promised}/gains/ofcusdt/returned");
        assert_eq!(operated(world, &tail, json!({})).await["amount"], "9");
        assert_eq!(operated(world, &tail, json!({})).await["amount"], "0");
        let (late, _) = announced(world, "early", &[("USDT", "x4"), ("ETH", "x5")]).await;
        let ether = partners_own(world, "ETH").await;
        seen(world, &late[0], "5").await;
        seen(world, &late[1], "3").await;
        let grown = |before: &(String, String), after: &(String, String)| {
            let units = |text: &str| text.parse::<i128>().expect("base units");
            units(&after.0) - units(&before.0)
        };
        assert_eq!(grown(&before, &partners_own(world, "USDT").await), 14);
        assert_eq!(grown(&ether, &partners_own(world, "ETH").await), 3);
        assert_eq!(on_connection(world, connection, "ETH").await, "10");
    })
    .await;
}

/// A settlement keeps what was agreed when it was begun.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_agreed_with_the_partner() {
    on_each_database(enabled(), async |world| {
        let (connection, _) = world.connect().await;
        let gain = json!({connection.to_string(): {"ETH": "5"}});
        let before = started(world, "before", &gain).await;
        let mut agreed = configuration(
            PARTNER,
            INSTITUTION,
            &format!("http://{}", world.exchange.address),
            &world.options,
        );
        agreed.on_chain_late_after_s = 60;
        let hand = world.network.installation();
        hand.put_configuration(agreed)
            .await
            .expect("a configuration");
        let after = started(world, "after", &gain).await;
        let is_late = async |id| state(world, id).await["gainSLAAlertSent"].clone();
        operated(world, "/clock/advance", json!({"seconds": 50})).await;
        assert_eq!(is_late(after).await, false);
        operated(world, "/clock/advance", json!({"seconds": 15})).await;
        assert_eq!(is_late(after).await, true);
        assert_eq!(is_late(before).await, false);
        operated(world, "/clock/advance", json!({"seconds": 86_400})).await;
        assert_eq!(is_late(before).await, true);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_too_long_is_told() {
    on_each_database(enabled(), async |world| {
        let (connection, _) = world.connect().await;
        allocate(&world.client, connection, "ofcbtc", 100).await;
        let both = json!({connection.to_string(): {"BTC": "-10", "ETH": "5"}});
        let late = started(world, "late", &both).await;
        let losses_only = json!({connection.to_string(): {"BTC": "-10"}});
        let punctual = started(world, "punctual", &losses_only).await;
        losses(
            world,
            punctual,
            "ofcbtc",
            "seen",
            json!({"onChainTxId": "p"}),
        )
        .await;
        let alerts = async |id| {
            let shown = state(world, id).await;
            (
                shown["lossSLAAlertSent"].clone(),
                shown["gainSLAAlertSent"].clone(),
            )
        };
        operated(world, "/clock/advance", json!({"seconds": 86_300})).await;
        assert_eq!(alerts(late).await, (json!(false), json!(false)));
        losses(world, late, "ofcbtc", "seen", json!({"onChainTxId": "l"})).await;
        operated(world, "/clock/advance", json!({"seconds": 200})).await;
        assert_eq!(alerts(late).await, (json!(false), json!(true)));
        assert_eq!(alerts(punctual).await, (json!(false), json!(false)));
        // Both directions at once, and a jump of days.
        let (ids, _) = announced(world, "late", &[("ETH", "e")]).await;
        seen(world, &ids[0], "5").await;
        let slow = started(world, "slow", &both).await;
        operated(world, "/clock/advance", json!({"seconds": 864_000})).await;
        assert_eq!(alerts(slow).await, (json!(true), json!(true)));
        let list = world
            .raw(
                Method::GET,
                "/api/operator/v1/onChainSettlements",
                Some(&world.operator_token),
                None,
            )
            .await
            .2;
        assert_eq!(list["settlements"].as_array().map(Vec::len), Some(1));
        assert_eq!(list["settlements"][0]["gainSLAAlertSent"], true);
        // An alert ends nothing.
        losses(world, slow, "ofcbtc", "seen", json!({"onChainTxId": "s"})).await;
        let (ids, _) = announced(world, "slow", &[("ETH", "f")]).await;
        seen(world, &ids[0], "5").await;
        assert_eq!(state(world, slow).await["status"], "completed");
        assert_eq!(state(world, late).await["status"], "completed");
    })
    .await;
}
