//! Requests about the chain that are refused, and what outlives the process.

use std::time::Duration;

use network::{MasterKey, Network};
use partner::PartnerCaller;
use rules::SettlementId;
use store::{Opening, Store};

use super::*;
use crate::fixture::blamed;

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_refused_with_what_is_wrong() {
    on_each_database(enabled(), async |world| {
        let (connection, _) = world.connect().await;
        allocate(&world.client, connection, "ofcbtc", 100).await;
        let amounts = json!({connection.to_string(): {"BTC": "-10", "ETH": "5"}});
        let content = settlement("first", &amounts);
        let (status, _) = start(world, &content).await;
        assert_eq!(status, 202);

        // Other content, or another kind of settlement, under the same name.
        let mut other = content.clone();
        other["notes"] = "other".into();
        other["nonce"] = fresh_nonce().into();
        let (status, answer) = start(world, &other).await;
        assert_eq!(
            (status, &answer["name"]),
            (409, &json!("external_id_taken")),
            "{answer}"
        );
        let in_books = settlement("first", &amounts);
        let body = signed_as(&in_books, &in_books.to_string(), &world.partner_key);
        let (status, answer) = post(world, &body).await;
        assert_eq!(
            (status, &answer["name"]),
            (409, &json!("external_id_taken")),
            "{answer}"
        );
        let (status, answer) = start(
            world,
            &settlement("books", &json!({connection.to_string(): {"BTC": "-1"}})),
        )
        .await;
        assert_eq!(status, 202, "{answer}");

        // Malformed, or between connections.
        let pair = json!({connection.to_string(): {connection.to_string(): {"BTC": "1"}}});
        for (odd, field) in [
            (pair, "settlementAmounts"),
            (json!({}), "settlementAmounts"),
            (
                json!({connection.to_string(): {"DOGE": "1"}}),
                "settlementAmounts",
            ),
            (
                json!({Uuid::new_v4().to_string(): {"BTC": "1"}}),
                "settlementAmounts",
            ),
        ] {
            let (status, answer) = start(world, &settlement("odd", &odd)).await;
            assert_eq!(status, 400, "{odd}: {answer}");
            assert!(blamed(&answer)[0].starts_with(field), "{answer}");
        }
        let unsigned = signed_as(
            &settlement("odd", &amounts),
            &settlement("odd", &amounts).to_string(),
            &world.client_key,
        );
        let (status, _) = say(world, "/partners/settlements/onchain", &unsigned).await;
        assert_eq!(status, 400, "another nonce in the payload");
        let content = settlement("odd", &amounts);
        let foreign = signed_as(&content, &content.to_string(), &world.client_key);
        let (status, _) = say(world, "/partners/settlements/onchain", &foreign).await;
        assert_eq!(status, 401);

        // Deposits.
        let (_, answer) = announce(world, &deposits("first", &[("ETH", "d1")])).await;
        let id = answer["deposits"][0]["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let (status, answer) = announce(world, &deposits("books", &[("ETH", "d1")])).await;
        assert_eq!(
            (status, &answer["name"]),
            (409, &json!("deposit_of_another_settlement")),
            "{answer}"
        );
        let mut named = deposits("first", &[("ETH", "d2")]);
        named["settlementId"] = Uuid::new_v4().to_string().into();
        let (status, answer) = announce(world, &named).await;
        assert_eq!(status, 404, "{answer}");
        let (status, answer) = announce(world, &deposits("first", &[("DOGE", "d2")])).await;
        assert_eq!(
            (status, blamed(&answer)),
            (400, vec!["deposits[0].currency"])
        );
        let content = deposits("first", &[("ETH", "d3")]);
        let foreign = signed_as(&content, &content.to_string(), &world.client_key);
        let (status, _) = say(world, "/partners/settlements/onchain/deposits", &foreign).await;
        assert_eq!(status, 401);
        let other = signed_as(
            &content,
            &deposits("first", &[("ETH", "d4")]).to_string(),
            &world.partner_key,
        );
        let (status, _) = say(world, "/partners/settlements/onchain/deposits", &other).await;
        assert_eq!(status, 400);

        // What operators say.
        let unknown = Uuid::new_v4();
        for (tail, body, status, name) in [
            (
                format!("/onChainDeposits/{unknown}/seen"),
                json!({"amount": "1", "transferId": "t"}),
                404,
                "on-chain_deposit_not_found",
            ),
            (
                format!("/onChainDeposits/{id}/seen"),
                json!({"amount": "0", "transferId": "t"}),
                400,
                "invalid_request",
            ),
            (
                format!("/onChainSettlements/{unknown}/reject"),
                json!({"reason": "r"}),
                404,
                "on-chain_settlement_not_found",
            ),
            (
                format!("/onChainSettlements/{unknown}/losses/ofcbtc/seen"),
                json!({"onChainTxId": "t"}),
                404,
                "on-chain_settlement_not_found",
            ),
        ] {
            let (heard, answer) = operate(world, &tail, body).await;
            assert_eq!(heard, status, "{tail}: {answer}");
            assert!(answer["name"].is_string(), "{name}: {answer}");
        }
        // A transaction is booked once, whichever way.
        let ordinary = json!({
            "goAccountId": world.partner_account.to_string(), "currency": "ofceth",
            "amount": "5", "externalReference": "d1",
        });
        operated(world, "/deposits", ordinary.clone()).await;
        let body = json!({"amount": "5", "transferId": "t"});
        let (status, answer) = operate(world, &format!("/onChainDeposits/{id}/seen"), body).await;
        assert_eq!(
            (status, &answer["name"]),
            (409, &json!("transaction_booked_already")),
            "{answer}"
        );
        let (ids, _) = announced(world, "first", &[("ETH", "d5")]).await;
        seen(world, &ids[0], "5").await;
        let mut ordinary = ordinary;
        ordinary["externalReference"] = "d5".into();
        let (status, answer) = operate(world, "/deposits", ordinary).await;
        assert_eq!(status, 409, "{answer}");
        let body = json!({"amount": "6", "transferId": "t"});
        let (status, answer) =
            operate(world, &format!("/onChainDeposits/{}/seen", ids[0]), body).await;
        assert_eq!(
            (status, &answer["name"]),
            (409, &json!("deposit_seen_already")),
            "{answer}"
        );

        // Not enabled.
        let mut off = configuration(
            PARTNER,
            INSTITUTION,
            &format!("http://{}", world.exchange.address),
            &world.options,
        );
        off.on_chain = false;
        let hand = world.network.installation();
        hand.put_configuration(off).await.expect("a configuration");
        for _ in 0..2 {
            let (status, answer) = start(world, &settlement("off", &amounts)).await;
            assert_eq!(
                (status, &answer["name"]),
                (403, &json!("on_chain_not_enabled")),
                "{answer}"
            );
            let (status, answer) = announce(world, &deposits("off", &[("ETH", "o1")])).await;
            assert_eq!(
                (status, &answer["name"]),
                (403, &json!("on_chain_not_enabled")),
                "{answer}"
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_do_not_settle_over_the_chain() {
    let options = Options {
        broker: true,
        ..enabled()
    };
    let world = World::start(options, testkit::sqlite::fresh_file()).await;
    let (connection, _) = world.connect().await;
    let amounts = json!({connection.to_string(): {"BTC": "10"}});
    let (status, answer) = start(&world, &settlement("broker", &amounts)).await;
    assert_eq!(
        (status, &answer["name"]),
        (400, &json!("on_chain_is_for_exchanges"))
    );
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_came_due_while_no_server_was_there_is_acted_on() {
    let options = Options {
        on_chain: true,
        ..Options::default()
    };
    let world = World::start(options, testkit::sqlite::fresh_file()).await;
    let (connection, _) = world.connect().await;
    let amounts = json!({connection.to_string(): {"BTC": "10"}});
    let id = SettlementId(started(&world, "slow", &amounts).await);
    let stopped = world.stop().await;
    // Two days later.
    let clock = || {
        let now = jiff::Timestamp::now().as_microsecond();
        ledger::Timestamp(now).plus_seconds(2 * 86_400)
    };
    let store = Store::open(
        &stopped.location,
        Opening::default(),
        std::sync::Arc::new(clock),
    );
    let caller = PartnerCaller::new(Default::default(), || ledger::Timestamp(0));
    let key = MasterKey::from_hex(&MasterKey::generate_hex()).expect("a key");
    let network = Network::start(
        store.await.expect("a store"),
        caller,
        key,
        network::Settings::default(),
    );
    let told = async {
        loop {
            let facts = network.on_chain_facts([id]).await.expect("facts");
            if facts.of(id).expect("a settlement").gains.alerted {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let within = tokio::time::timeout(Duration::from_secs(60), told).await;
    within.expect("the alert");
    network.close().await;
    stopped.verify().await;
}
