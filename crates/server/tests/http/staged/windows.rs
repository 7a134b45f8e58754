//! What ends when, whoever is there: several windows at once, a restart inside a window, what the
//! partner is told, and what clients and partner see of it.

use std::time::Duration;

use network::{MasterKey, Network};
use partner::PartnerCaller;
use reqwest::Method;
use rules::{SettlementId, record::SettlementState};
use serde_json::{Value, json};
use store::{Opening, Store};
use uuid::Uuid;

use super::{DISPUTE_S, Stage, TOP_UP_S, dispute, options, since_epoch, staging, text};
use crate::{
    fixture::{World, on_each_database},
    movements::eventually,
    settling::{allocate, texts},
};

async fn staged(stage: &Stage<'_>, name: &str, amounts: &Value) -> Uuid {
    let (status, body) = stage.stage(&staging(name, amounts)).await;
    assert_eq!(status, 200, "{body}");
    text(&body["settlement"], "id").parse().expect("an id")
}

async fn raised(stage: &Stage<'_>, party: usize, settlement: Uuid, connection: Uuid) -> String {
    let tail = format!("/clients/settlements/{settlement}/disputes");
    let content = dispute(connection, &json!({"ofcbtc": "-7"}));
    let (status, body) = stage.send(party, Method::POST, &tail, &content).await;
    assert_eq!(status, 200, "{body}");
    text(&body["dispute"], "id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_windows_end_at_once() {
    on_each_database(options(false), async |world| {
        let stage = Stage::of(world).await;
        let [first, second] = stage.connections().await;
        allocate(&world.client, first, "ofcbtc", 100).await;
        let mut all = Vec::new();
        for day in 0..12 {
            let amounts = json!({
                first.to_string(): {"BTC": "-2"},
                second.to_string(): {"BTC": "1"},
            });
            all.push(staged(&stage, &format!("day {day}"), &amounts).await);
        }
        raised(&stage, 0, all[5], first).await;
        assert_eq!(world.allocated(first, "ofcbtc").await, (76, 24));
        stage.pass(DISPUTE_S).await;
        // The clock is advanced once everything that is due has happened.
        for id in &all {
            let shown = stage
                .read_as_partner(&format!("/partners/settlements/{id}"))
                .await;
            assert_eq!(shown["settlement"]["status"], "completed", "{shown}");
        }
        assert_eq!(world.allocated(first, "ofcbtc").await, (76, 2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_that_ends_while_nobody_is_there_ends_when_somebody_is() {
    for database in testkit::each_database().await {
        let options = crate::fixture::Options {
            test_clock: false,
            ..options(false)
        };
        let world = World::start(options, database).await;
        let stage = Stage::of(&world).await;
        let [first, _] = stage.connections().await;
        allocate(&world.client, first, "ofcbtc", 100).await;
        let amounts = json!({first.to_string(): {"BTC": "-40"}});
        let id = SettlementId(staged(&stage, "day 1", &amounts).await);
        let clock = world.clock.clone();
        let stopped = world.stop().await;

        clock.advance(Duration::from_secs(86_400));
        let now = std::sync::Arc::new(move || clock.now());
        let store = Store::open(&stopped.location, Opening::default(), now).await;
        let caller = PartnerCaller::new(Default::default(), || ledger::Timestamp(0));
        let key = MasterKey::from_hex(&MasterKey::generate_hex()).expect("a key");
        let store = store.expect("the store opens");
        let network = Network::start(store, caller, key, network::Settings::default());
        let known = network.clone();
        eventually("the settlement is completed", async || {
            let found = known.installation().records().settlement(id).await;
            let settlement = found.expect("a look-up").expect("the settlement");
            matches!(settlement.state, SettlementState::Completed { .. }).then_some(())
        })
        .await;
        drop(known);
        network.close().await;
        stopped.verify().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_partner_is_told_the_final_amounts_until_it_acknowledges() {
    on_each_database(options(false), async |world| {
        let stage = Stage::of(world).await;
        let [first, second] = stage.connections().await;
        allocate(&world.client, first, "ofcbtc", 100).await;
        let amounts = json!({
            first.to_string(): {"BTC": "-40"},
            second.to_string(): {"BTC": "25"},
        });
        let id = staged(&stage, "day 1", &amounts).await;
        raised(&stage, 0, id, first).await;
        let faults = json!([{"call": "finalizeSettlement", "times": 2, "action": "error500"}]);
        world.script_faults(faults).await;
        stage.pass(DISPUTE_S).await;
        let told = eventually("the partner is told", async || {
            let all = world.control(Method::GET, "finalized", &Value::Null).await;
            let all = all["settlements"].as_array().expect("a list").clone();
            all.into_iter().find(|told| told["externalId"] == "day 1")
        })
        .await;
        assert_eq!(text(&told, "settlementId"), id.to_string());
        assert_eq!(told["cutoffAt"], "2026-01-01T00:00:00.000Z");
        assert_eq!(
            told["settlementAmounts"],
            json!({second.to_string(): {"BTC": "25"}}),
            "what is disputed is not among them"
        );
        assert_eq!(told["disputedConnectionIds"], json!([first.to_string()]));
        let shown = stage
            .read_as_partner(&format!("/partners/settlements/{id}"))
            .await;
        let staged_at = since_epoch(&shown["settlement"]["createdAt"]);
        let ends_at = since_epoch(&told["topUpWindowEndsAt"]);
        let apart = (ends_at.0 - staged_at.0) / 1_000_000;
        assert!((5_399..=5_400).contains(&apart), "{apart}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_sees_their_own_disputes_and_nothing_of_others() {
    on_each_database(options(false), async |world| {
        let stage = Stage::of(world).await;
        let [first, second] = stage.connections().await;
        allocate(&world.client, first, "ofcbtc", 100).await;
        let amounts = json!({
            first.to_string(): {"BTC": "-40"},
            second.to_string(): {"BTC": "25"},
        });
        let id = staged(&stage, "day 1", &amounts).await;
        let own = raised(&stage, 0, id, first).await;
        let other = raised(&stage, 1, id, second).await;

        // In reads of the settlement.
        let tail = format!("/clients/settlements/{id}");
        for (party, dispute, hidden) in [(0, &own, second), (1, &other, first)] {
            let shown = stage.read(party, &tail).await;
            assert_eq!(
                texts(&shown["settlementDisputes"], "id"),
                [dispute.as_str()]
            );
            assert_eq!(shown["settlement"]["disputed"], true);
            assert!(!shown.to_string().contains(&hidden.to_string()), "{shown}");
        }
        let shown = stage
            .read_as_partner(&format!("/partners/settlements/{id}"))
            .await;
        assert_eq!(
            shown["settlementDisputes"].as_array().map(Vec::len),
            Some(2)
        );
        let expected = &shown["settlementDisputes"][0]["expectedTransfers"];
        assert_eq!(expected, &json!({"BTC": "-7"}), "in the partner's names");

        // In lists, by every filter.
        let of_client = |query: &str| format!("/clients/settlement/disputes?{query}");
        let nobody = Uuid::new_v4();
        for (query, found) in [
            (String::new(), true),
            (format!("settlementIds={id}"), true),
            (format!("settlementIds={nobody}"), false),
            (format!("connectionIds={first}"), true),
            (format!("connectionIds={second}"), false),
            (format!("partnerIds={}", world.partner_id), true),
            (format!("partnerIds={nobody}"), false),
            (format!("disputeIds={own},{nobody}"), true),
            (format!("disputeIds={other}"), false),
            (format!("disputeClosureIds={nobody}"), false),
            (format!("settledInSettlementIds={nobody}"), false),
            ("closed=false".to_owned(), true),
            ("closed=true".to_owned(), false),
            ("pageNumber=1&pageSize=1".to_owned(), false),
        ] {
            let shown = stage.read(0, &of_client(&query)).await;
            let found = if found { vec![own.clone()] } else { vec![] };
            assert_eq!(texts(&shown["disputes"], "id"), found, "{query}");
        }
        let update = json!({
            "connectionId": second.to_string(),
            "retracted": true,
            "nonce": client::fresh_nonce(),
        });
        let put = format!("/clients/settlements/disputes/{other}");
        let (status, body) = stage.send(0, Method::PUT, &put, &update).await;
        assert_eq!(status, 404, "another's: {body}");
        let (status, body) = stage.send(1, Method::PUT, &put, &update).await;
        assert_eq!(status, 200, "{body}");
        for (query, found) in [
            (String::new(), vec![&own]),
            ("showRetracted=false".to_owned(), vec![&own]),
            ("showRetracted=true".to_owned(), vec![&other, &own]),
            (
                format!("showRetracted=true&connectionIds={second}"),
                vec![&other],
            ),
            ("settlementExternalIds=day%201".to_owned(), vec![&own]),
            ("settlementExternalIds=day%202".to_owned(), vec![]),
            ("settledInSettlementExternalIds=day%201".to_owned(), vec![]),
            (format!("clientIds={nobody}"), vec![]),
        ] {
            let shown = stage
                .read_as_partner(&format!("/partners/settlement/disputes?{query}"))
                .await;
            let listed = texts(&shown["disputes"], "id");
            assert_eq!(listed.iter().collect::<Vec<_>>(), found, "{query}");
        }
        let flags = async |party| {
            let shown = stage
                .read(party, "/clients/settlements?onlyShowDisputed=true")
                .await;
            texts(&shown["settlements"], "id")
        };
        assert_eq!(flags(0).await, [id.to_string()]);
        assert_eq!(flags(1).await, [""; 0], "it is another's dispute now");
        let shown = stage
            .read_as_partner("/partners/settlements?onlyShowDisputed=true")
            .await;
        assert_eq!(texts(&shown["settlements"], "id"), [id.to_string()]);

        // Once it is closed, in the settlement that it rides on.
        stage.pass(DISPUTE_S).await;
        let content = json!({"notes": "right", "nonce": client::fresh_nonce()});
        let tail = format!("/clients/settlements/disputes/{own}/close");
        let (status, body) = stage.send(0, Method::POST, &tail, &content).await;
        assert_eq!(status, 200, "{body}");
        let (status, waiting) = stage
            .operate(false, "/waiting-transfers", Value::Null)
            .await;
        assert_eq!(status, 200, "{waiting}");
        assert_eq!(texts(&waiting["transfers"], "quantity"), ["-40"]);
        let next = staged(&stage, "day 2", &json!({second.to_string(): {"BTC": "1"}})).await;
        let tail = format!("/clients/settlements/{next}");
        let shown = stage.read(0, &tail).await;
        assert_eq!(texts(&shown["settlingDisputes"], "id"), [own.as_str()]);
        assert_eq!(
            shown["settlementTransfers"].as_array().map(Vec::len),
            Some(1)
        );
        let shown = stage.read(1, &tail).await;
        assert_eq!(shown["settlingDisputes"], json!([]));
        let shown = stage
            .read(
                0,
                &of_client(&format!("settledInSettlementIds={next}&closed=true")),
            )
            .await;
        let closure = &shown["disputes"][0]["disputeClosure"];
        assert_eq!(closure["adjustedTransfers"], json!({"ofcbtc": "-40"}));
        let adjusted = &closure["adjustedSettlementTransfers"][0];
        assert_eq!(adjusted["settlementId"], next.to_string());
        assert_eq!(adjusted["sourceTradingAccountId"], "Counterparty");
    })
    .await;
}

/// Of 130 that the dispute ends in, 100 are there for the next settlement and 30 for a later one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispute_that_is_settled_in_parts_is_told_with_each_settlement() {
    on_each_database(options(false), async |world| {
        let stage = Stage::of(world).await;
        let [first, second] = stage.connections().await;
        allocate(&world.client, first, "ofcbtc", 100).await;
        let amounts = json!({first.to_string(): {"BTC": "-40"}});
        let id = staged(&stage, "day 1", &amounts).await;
        let own = raised(&stage, 0, id, first).await;
        stage.pass(DISPUTE_S).await;
        let adjustments = json!([{"currency": "ofcbtc", "quantity": "-130"}]);
        let proposed = json!({"notes": "as traded", "adjustments": adjustments});
        let tail = format!("/disputes/{own}/closures");
        let (status, body) = stage.operate(false, &tail, proposed).await;
        assert_eq!(status, 200, "{body}");
        let closure = text(&body["dispute"]["disputeClosure"], "id");
        let tail = format!("/dispute-closures/{closure}/approve");
        let (status, body) = stage.operate(true, &tail, json!({})).await;
        assert_eq!(status, 200, "{body}");

        let next = staged(&stage, "day 2", &json!({second.to_string(): {"BTC": "5"}})).await;
        let gain = staged(&stage, "day 3", &json!({first.to_string(): {"BTC": "30"}})).await;
        stage.pass(DISPUTE_S).await;
        // The partner has none of the currency: this one will fail.
        let content = staging("day 4", &json!({second.to_string(): {"USDT": "50"}}));
        let (status, body) = stage.stage(&content).await;
        assert_eq!(status, 200, "{body}");
        let settling = &body["settlement"]["settlingDisputes"];
        assert_eq!(texts(settling, "id"), [own.as_str()]);
        let last: Uuid = text(&body["settlement"], "id").parse().expect("an id");

        let rides_on = async |settlement: Uuid, name: &str| {
            let of_client = format!("/clients/settlements/{settlement}");
            let of_partner = format!("/partners/settlements/{settlement}");
            let filter = format!("settledInSettlementIds={settlement}");
            let by_name = format!("settledInSettlementExternalIds={name}");
            let listed = [
                stage
                    .read(0, &format!("/clients/settlement/disputes?{filter}"))
                    .await,
                stage
                    .read_as_partner(&format!("/partners/settlement/disputes?{filter}"))
                    .await,
                stage
                    .read_as_partner(&format!("/partners/settlement/disputes?{by_name}"))
                    .await,
            ];
            let shown = [
                stage.read(0, &of_client).await,
                stage.read_as_partner(&of_partner).await,
            ];
            let found = texts(&shown[0]["settlingDisputes"], "id");
            for settling in shown.iter().map(|shown| &shown["settlingDisputes"]) {
                assert_eq!(texts(settling, "id"), found, "{name}");
                let named = texts(settling, "settledInSettlementId");
                assert!(named.iter().all(|id| *id == settlement.to_string()));
            }
            for listed in listed {
                assert_eq!(texts(&listed["disputes"], "id"), found, "{name}");
            }
            !found.is_empty()
        };
        let latest = async || {
            let shown = stage.read(0, "/clients/settlement/disputes").await;
            text(&shown["disputes"][0], "settledInSettlementId").to_owned()
        };
        assert!(rides_on(next, "day%202").await);
        assert!(!rides_on(gain, "day%203").await);
        assert!(rides_on(last, "day%204").await);
        assert_eq!(latest().await, last.to_string());

        stage.pass(DISPUTE_S + TOP_UP_S).await;
        let tail = format!("/settlements/{last}/reject");
        let reason = json!({"reason": "it will not be funded"});
        let (status, body) = stage.operate(false, &tail, reason).await;
        assert_eq!(status, 200, "{body}");
        assert!(!rides_on(last, "day%204").await, "it waits again");
        assert!(rides_on(next, "day%202").await);
        assert_eq!(latest().await, next.to_string());
    })
    .await;
}
