//! P9, P10: settlements that are booked at once, all of them or none.

mod brokers;
mod requests;
mod small_operations;

use requests::sign;

use client::fresh_nonce;
use reqwest::Method;
use rules::record::AmountFormat;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;
use wire::api::{
    connections::{ConnectionUpdate, NewConnection},
    partners::NewPartner,
};
use wire::connection_key::ConnectionKey;

use crate::{
    fixture::{
        Options, PARTNER, World, configuration, deposit, extended_key, new_partner,
        on_each_database, request,
    },
    settling::{
        SOUTHWIND, allocate, connect_as, connect_to, get, id_of, neighbour, on_connection,
        partners_own, path, post, seen_by_partner, serve_as, settle, settled, settlement,
        signed_as, texts,
    },
};

fn unfunded_partner() -> Options {
    Options {
        partner_funds: Vec::new(),
        ..Options::default()
    }
}

fn broker() -> Options {
    Options {
        broker: true,
        ..unfunded_partner()
    }
}

/// Nothing was booked under this name: the partner has no such settlement.
async fn assert_unknown(world: &World, external_id: &str) {
    let path = path(
        PARTNER,
        &format!("/partners/settlements?externalIds={external_id}"),
    );
    let (status, list) = get(world, &world.partner_token, &path).await;
    assert_eq!((status, list), (200, json!({"settlements": []})));
}

fn fields(answer: &Value) -> Vec<String> {
    texts(&answer["errors"], "field")
}

#[tokio::test(flavor = "multi_thread")]
async fn gains_and_losses_are_posted_between_connections_and_the_partners_account() {
    on_each_database(Options::default(), async |world| {
        let south = neighbour(world, SOUTHWIND, "Southwind", 3, &[("ofcusdt", 500)]).await;
        let first = connect_as(world, &world.client, "first").await;
        let second = connect_as(world, &south.client, "second").await;
        allocate(&world.client, first, "ofcbtc", 1_000).await;
        allocate(&south.client, second, "ofcusdt", 500).await;
        let custody = world.custody("ofcbtc").await;

        let mut content = settlement(
            "day-1",
            &json!({
                first.to_string(): {"BTC": "-300", "USDT": "700"},
                second.to_string(): {"USDT": "-200", "ETH": "40"},
            }),
        );
        content["notes"] = "Monday".into();
        let (status, answer) = settle(world, &content).await;

        assert_eq!(status, 200, "{answer}");
        let booked = &answer["settlement"];
        for (member, value) in [
            ("externalId", json!("day-1")),
            ("status", json!("completed")),
            ("settlementType", json!("offchain")),
            ("partnerId", json!(world.partner_id.to_string())),
            ("notes", json!("Monday")),
            ("reconciled", json!(false)),
            ("lossSLAAlertSent", json!(false)),
            ("gainSLAAlertSent", json!(false)),
        ] {
            assert_eq!(booked[member], value, "{member}");
        }
        for member in ["finalizedAt", "createdAt", "updatedAt", "initiatedBy"] {
            assert!(booked[member].is_string(), "{member}: {answer}");
        }
        for member in ["reason", "cutoffAt"] {
            assert!(booked.get(member).is_none(), "{member}: {answer}");
        }
        assert!(answer.get("error").is_none(), "{answer}");

        for (connection, currency, available) in [
            (first, "BTC", "700"),
            (first, "USDT", "700"),
            (second, "USDT", "300"),
            (second, "ETH", "40"),
        ] {
            let there = on_connection(world, connection, currency).await;
            assert_eq!(there, available, "{currency} on {connection}");
        }
        for (currency, available) in [
            ("BTC", 1_000_000_000 + 300),
            ("USDT", 900_000_000 - 700 + 200),
            ("ETH", 5_000_000_000_000_i64 - 40),
        ] {
            let own = partners_own(world, currency).await;
            assert_eq!(own, (available.to_string(), "0".to_owned()), "{currency}");
        }
        assert_eq!(world.custody("ofcbtc").await, custody, "nothing else moves");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_short_is_judged_on_the_net_of_the_whole_settlement() {
    on_each_database(unfunded_partner(), async |world| {
        let (first, _) = world.connect().await;
        let (second, _) = world.connect().await;
        allocate(&world.client, first, "ofcbtc", 100).await;
        // The partner has nothing: what one connection gains is what the other one loses.
        let amounts = json!({
            second.to_string(): {"BTC": "100"},
            first.to_string(): {"BTC": "-100"},
        });
        settled(world, "even", &amounts).await;
        assert_eq!(world.allocated(first, "ofcbtc").await, (0, 0));
        assert_eq!(world.allocated(second, "ofcbtc").await, (100, 0));

        // 101 are one more than the partner nets.
        let amounts = json!({
            first.to_string(): {"BTC": "101"},
            second.to_string(): {"BTC": "-100"},
        });
        let (status, answer) = settle(world, &settlement("one-more", &amounts)).await;
        assert_eq!(status, 500, "{answer}");
        assert_eq!(world.allocated(second, "ofcbtc").await, (100, 0));
        deposit(&world.network, world.partner_account, "ofcbtc", 1).await;
        let (status, answer) = settle(world, &settlement("one-more", &amounts)).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(world.allocated(first, "ofcbtc").await, (101, 0));
        assert_eq!(partners_own(world, "BTC").await.0, "0");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_that_is_short_fails_whole_names_it_and_completes_once_funded() {
    on_each_database(unfunded_partner(), async |world| {
        let (first, _) = world.connect().await;
        let (second, _) = world.connect().await;
        allocate(&world.client, first, "ofcbtc", 50).await;
        let content = settlement(
            "short",
            &json!({
                first.to_string(): {"BTC": "-80", "USDT": "700"},
                second.to_string(): {"USDT": "-30"},
            }),
        );

        let (status, failed) = settle(world, &content).await;
        assert_eq!(status, 500, "{failed}");
        assert_eq!(failed["settlement"]["status"], "failed");
        assert!(failed["settlement"].get("finalizedAt").is_none());
        assert!(failed["name"].is_string() && failed["requestId"].is_string());
        // Two connections and the partner's Go Account are short: all of them are told.
        let reason = failed["settlement"]["reason"].as_str().expect("a reason");
        assert_eq!(failed["error"].as_str(), Some(reason));
        for named in [
            first.to_string().as_str(),
            second.to_string().as_str(),
            "80 ofcbtc and has 50",
            "30 ofcusdt and has 0",
            "Go Account",
            "670 ofcusdt and has 0",
        ] {
            assert!(reason.contains(named), "{named:?} is not in: {reason}");
        }
        assert_eq!(world.allocated(first, "ofcbtc").await, (50, 0));
        assert_eq!(world.allocated(first, "ofcusdt").await, (0, 0));
        let id = id_of(&failed);
        let before = seen_by_partner(world, id, "").await;
        let transfers = &before["settlementTransfers"];
        assert_eq!(texts(transfers, "status"), ["failed"; 3]);
        for transfer in transfers.as_array().expect("transfers") {
            assert_eq!(transfer["txIds"], json!([]), "{transfer}");
        }

        // Still short: it fails again, as the same settlement, and tells what is left.
        deposit(&world.network, world.partner_account, "ofcusdt", 670).await;
        let (status, again) = settle(world, &content).await;
        assert_eq!((status, id_of(&again)), (500, id));
        let reason = again["error"].as_str().expect("a reason");
        assert!(!reason.contains("Go Account"), "{reason}");

        allocate(&world.client, first, "ofcbtc", 30).await;
        allocate(&world.client, second, "ofcusdt", 30).await;
        let (status, completed) = settle(world, &content).await;
        assert_eq!((status, id_of(&completed)), (200, id), "{completed}");
        assert_eq!(completed["settlement"]["status"], "completed");
        assert_eq!(
            completed["settlement"]["createdAt"],
            failed["settlement"]["createdAt"]
        );
        let after = seen_by_partner(world, id, "").await;
        let transfers = &after["settlementTransfers"];
        assert_eq!(texts(transfers, "status"), ["completed"; 3]);
        assert_eq!(
            texts(transfers, "id"),
            texts(&before["settlementTransfers"], "id")
        );
        assert_eq!(world.allocated(first, "ofcbtc").await, (0, 0));
        assert_eq!(world.allocated(first, "ofcusdt").await, (700, 0));
        assert_eq!(world.allocated(second, "ofcusdt").await, (0, 0));
        assert_eq!(partners_own(world, "USDT").await.0, "0");

        // Repeated once more it is answered, not booked.
        let repeated = settle(world, &content).await;
        assert_eq!(repeated, (200, completed));
        assert_eq!(world.allocated(first, "ofcusdt").await, (700, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_id_stands_for_its_content_for_ever() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        let (other, _) = world.connect().await;
        let here = connection.to_string();
        let mut content = settlement("day-1", &json!({here.as_str(): {"BTC": "5"}}));
        content["notes"] = "as agreed".into();
        let (status, first) = settle(world, &content).await;
        assert_eq!(status, 200, "{first}");

        // A fresh nonce on the same content is the same request.
        content["nonce"] = fresh_nonce().into();
        let answer = settle(world, &content).await;
        assert_eq!(answer, (200, first.clone()));

        let with = |member: &str, value: Value| {
            let mut changed = content.clone();
            changed["nonce"] = fresh_nonce().into();
            changed[member] = value;
            changed
        };
        let elsewhere = json!({other.to_string(): {"BTC": "5"}});
        let both = json!({here.as_str(): {"BTC": "5"}, other.to_string(): {"BTC": "5"}});
        let amounts = "settlementAmounts";
        for (changed, named) in [
            (with("notes", json!("otherwise")), "notes"),
            (with("notes", Value::Null), "notes"),
            (with(amounts, json!({here.as_str(): {"BTC": "6"}})), amounts),
            (
                with(amounts, json!({here.as_str(): {"BTC": "-5"}})),
                amounts,
            ),
            (with(amounts, json!({here.as_str(): {"ETH": "5"}})), amounts),
            (with(amounts, elsewhere), amounts),
            (with(amounts, both), amounts),
        ] {
            let (status, answer) = settle(world, &changed).await;
            assert_eq!(status, 409, "{changed}: {answer}");
            let error = answer["error"].as_str().expect("an error");
            for member in ["notes", amounts] {
                assert_eq!(error.contains(member), member == named, "{error}");
            }
        }
        assert_eq!(world.allocated(connection, "ofcbtc").await, (5, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_settlement_keeps_its_external_id_too() {
    on_each_database(unfunded_partner(), async |world| {
        let (connection, _) = world.connect().await;
        let amounts = |units: &str| json!({connection.to_string(): {"BTC": units}});
        let (status, failed) = settle(world, &settlement("day-1", &amounts("5"))).await;
        assert_eq!(status, 500, "{failed}");
        let (status, answer) = settle(world, &settlement("day-1", &amounts("4"))).await;
        assert_eq!(status, 409, "{answer}");
        deposit(&world.network, world.partner_account, "ofcbtc", 5).await;
        // Signed anew, with another nonce: it is the content that counts.
        let (status, completed) = settle(world, &settlement("day-1", &amounts("5"))).await;
        assert_eq!((status, id_of(&completed)), (200, id_of(&failed)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_is_taken_for_ever() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        let amounts = json!({connection.to_string(): {"BTC": "5"}});
        let content = settlement("day-1", &amounts);
        let (status, first) = settle(world, &content).await;
        assert_eq!(status, 200, "{first}");

        let mut elsewhere = settlement("day-2", &amounts);
        elsewhere["nonce"] = content["nonce"].clone();
        let (status, answer) = settle(world, &elsewhere).await;
        assert_eq!((status, &answer["name"]), (409, &json!("nonce_taken")));
        assert_unknown(world, "day-2").await;

        // Other bytes that say the same are still other bytes.
        let spaced = serde_json::to_string_pretty(&content).expect("JSON");
        let body = signed_as(&content, &spaced, &world.partner_key);
        let (status, answer) = post(world, &body).await;
        assert_eq!((status, &answer["name"]), (409, &json!("nonce_taken")));

        assert_eq!(settle(world, &content).await, (200, first));
        assert_eq!(world.allocated(connection, "ofcbtc").await, (5, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_many_times_at_once_is_booked_once() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        let content = settlement("day-1", &json!({connection.to_string(): {"BTC": "5"}}));
        let body = signed_as(&content, &content.to_string(), &world.partner_key);
        let url = format!("{}{}", world.url, path(PARTNER, "/partners/settlements"));
        let http = reqwest::Client::new();
        let mut posts = tokio::task::JoinSet::new();
        for _ in 0..12 {
            let request = http
                .post(&url)
                .bearer_auth(&world.partner_token)
                .header("content-type", "application/json")
                .body(body.clone());
            posts.spawn(async move {
                let response = request.send().await.expect("an answer");
                let status = response.status().as_u16();
                (status, response.text().await.expect("a body"))
            });
        }
        let answers = posts.join_all().await;
        for answer in &answers {
            assert_eq!(answer.0, 200, "{}", answer.1);
            assert_eq!(answer, &answers[0]);
        }
        assert_eq!(world.allocated(connection, "ofcbtc").await, (5, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_cannot_be_settled_are_all_named() {
    on_each_database(Options::default(), async |world| {
        let (good, _) = world.connect().await;
        let unknown = Uuid::new_v4();
        // The exchange never answers for this one.
        let never = json!([{"call": "connect", "times": 1_000_000, "action": "error500"}]);
        world.script_faults(never).await;
        let uninitialised = connect_as(world, &world.client, "waiting").await;
        let foreign = foreign_connection(world).await;

        let amounts = json!({
            good.to_string(): {"BTC": "1"},
            unknown.to_string(): {"BTC": "1"},
            uninitialised.to_string(): {"BTC": "1"},
            foreign.to_string(): {"BTC": "1"},
        });
        let (status, answer) = settle(world, &settlement("day-1", &amounts)).await;
        assert_eq!(status, 400, "{answer}");
        let error = answer["error"].as_str().expect("an error");
        for (connection, is_named) in [
            (unknown, true),
            (uninitialised, true),
            (foreign, true),
            (good, false),
        ] {
            let text = connection.to_string();
            assert_eq!(error.contains(&text), is_named, "{text}: {error}");
            let in_fields = fields(&answer).iter().any(|field| field.contains(&text));
            assert_eq!(in_fields, is_named, "{text}: {answer}");
        }
        assert_unknown(world, "day-1").await;
        assert_eq!(world.allocated(good, "ofcbtc").await, (0, 0));
    })
    .await;
}

/// A connection of the client to the partner of another enterprise.
async fn foreign_connection(world: &World) -> Uuid {
    const STRANGER: &str = "9a270000000000000000000000000009";
    let stranger = neighbour(world, STRANGER, "Stranger", 9, &[]).await;
    let exchange = sandbox::Exchange::start(sandbox::Settings {
        jwt_public_key: Some(
            wire::partner_jwt::JwtSigner::from_pem(crate::fixture::jwt_pem())
                .expect("the key")
                .public_key_pem(),
        ),
        ..sandbox::Settings::default()
    })
    .await
    .expect("an exchange");
    let url = format!("http://{}", exchange.address);
    let agreed = configuration(STRANGER, "elsewhere", &url, &world.options);
    let hand = world.network.installation();
    hand.put_configuration(agreed)
        .await
        .expect("a configuration");
    let partner = NewPartner {
        institution_identifier: "elsewhere".to_owned(),
        ..new_partner()
    };
    let partner = stranger.client.register_partner(&partner).await;
    let partner = partner.expect("a partner").partner.id;
    let control = |method: Method, tail: &str, body: Value| {
        let url = format!("{url}/control/v1/{tail}");
        let request = reqwest::Client::new().request(method, url);
        let request = request.header("content-type", "application/json");
        request.body(body.to_string()).send()
    };
    let membership = json!({
        "partnerId": partner.to_string(),
        "enterpriseId": STRANGER,
        "token": stranger.token,
        "signingKey": extended_key(9).xprv().as_str(),
        "networkUrl": world.url,
    });
    control(Method::PUT, "partner", membership)
        .await
        .expect("joined");
    let account = control(Method::POST, "accounts", json!({})).await;
    let account = account.expect("an account").text().await.expect("a body");
    let account: Value = serde_json::from_str(&account).expect("JSON");
    let connection_token = account["connectionToken"].as_str().expect("a token");
    let opened = world
        .client
        .connect(NewConnection {
            partner_id: partner,
            name: "elsewhere".to_owned(),
            connection_key: ConnectionKey::Token {
                connection_token: connection_token.to_owned(),
            },
            nonce: fresh_nonce(),
        })
        .await
        .expect("a connection")
        .connection;
    assert!(opened.initialized);
    exchange.shutdown().await;
    opened.id
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_in_base_units_are_signed_integers_of_known_currencies() {
    on_each_database(Options::default(), async |world| {
        let mut two_names = configuration(
            PARTNER,
            crate::fixture::INSTITUTION,
            &format!("http://{}", world.exchange.address),
            &world.options,
        );
        two_names.currencies[0].partner_names.push("XBT".to_owned());
        let hand = world.network.installation();
        hand.put_configuration(two_names)
            .await
            .expect("a configuration");
        let (connection, _) = world.connect().await;
        let here = connection.to_string();
        let digits_39 = format!("1{}", "0".repeat(38));
        let minus_39 = format!("-{digits_39}");
        for amounts in [
            json!({here.as_str(): {"BTC": "0"}}),
            json!({here.as_str(): {"BTC": "-0"}}),
            json!({here.as_str(): {"BTC": "05"}}),
            json!({here.as_str(): {"BTC": "-05"}}),
            json!({here.as_str(): {"BTC": "+5"}}),
            json!({here.as_str(): {"BTC": "5.0"}}),
            json!({here.as_str(): {"BTC": "0.5"}}),
            json!({here.as_str(): {"BTC": "1e3"}}),
            json!({here.as_str(): {"BTC": " 5"}}),
            json!({here.as_str(): {"BTC": ""}}),
            json!({here.as_str(): {"BTC": 5}}),
            json!({here.as_str(): {"BTC": null}}),
            json!({here.as_str(): {"BTC": digits_39}}),
            json!({here.as_str(): {"BTC": minus_39}}),
            // Neither a name that the partner never had nor the network's own ticker.
            json!({here.as_str(): {"XRP": "5"}}),
            json!({here.as_str(): {"ofcbtc": "5"}}),
            json!({here.as_str(): {"btc": "5"}}),
            // One currency by two of its names.
            json!({here.as_str(): {"BTC": "5", "XBT": "5"}}),
            json!({here.as_str(): {}}),
            json!({}),
            json!([]),
            json!({"no-uuid": {"BTC": "5"}}),
            // One connection in two spellings.
            json!({here.as_str(): {"BTC": "5"}, here.to_uppercase(): {"BTC": "5"}}),
        ] {
            let (status, answer) = settle(world, &settlement("odd", &amounts)).await;
            assert_eq!(status, 400, "{amounts}: {answer}");
            let named = fields(&answer);
            assert!(
                named
                    .iter()
                    .all(|field| field.starts_with("settlementAmounts"))
                    && !named.is_empty(),
                "{amounts}: {answer}"
            );
        }
        assert_unknown(world, "odd").await;

        // All faults at once.
        let amounts = json!({here.as_str(): {"BTC": "0", "ETH": "01", "USDT": "1"}});
        let (_, answer) = settle(world, &settlement("odd", &amounts)).await;
        assert_eq!(fields(&answer).len(), 2, "{answer}");

        // Either name by itself is the currency.
        settled(world, "by-xbt", &json!({here.as_str(): {"XBT": "5"}})).await;
        assert_eq!(world.allocated(connection, "ofcbtc").await, (5, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_that_add_up_beyond_the_books_are_refused() {
    on_each_database(Options::default(), async |world| {
        let (first, _) = world.connect().await;
        let (second, _) = world.connect().await;
        let most = "9".repeat(38);
        // By itself the largest amount is only not funded.
        let amounts = json!({first.to_string(): {"BTC": most}});
        let (status, answer) = settle(world, &settlement("most", &amounts)).await;
        assert_eq!(status, 500, "{answer}");
        let amounts = json!({first.to_string(): {"BTC": most}, second.to_string(): {"BTC": most}});
        let (status, answer) = settle(world, &settlement("more", &amounts)).await;
        assert_eq!(status, 400, "{answer}");
        assert_unknown(world, "more").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_with_decimals_settles_in_exact_full_units() {
    let options = Options {
        amount_format: AmountFormat::Decimal,
        ..Options::default()
    };
    on_each_database(options, async |world| {
        let (connection, _) = world.connect().await;
        let here = connection.to_string();
        allocate(&world.client, connection, "ofcusdt", 2_500_000).await;
        let amounts = json!({here.as_str(): {"BTC": "1.5", "USDT": "-0.000001"}});
        let id = settled(world, "day-1", &amounts).await;
        assert_eq!(
            world.allocated(connection, "ofcbtc").await,
            (150_000_000, 0)
        );
        assert_eq!(world.allocated(connection, "ofcusdt").await, (2_499_999, 0));
        assert_eq!(on_connection(world, connection, "BTC").await, "1.5");
        assert_eq!(on_connection(world, connection, "USDT").await, "2.499999");
        assert_eq!(partners_own(world, "BTC").await.0, "8.5");
        let shown = seen_by_partner(world, id, "").await;
        let mut quantities = texts(&shown["settlementTransfers"], "quantity");
        quantities.sort();
        assert_eq!(quantities, ["-0.000001", "1.5"]);
        // Whole numbers are full units too, and no trailing zero is too precise.
        settled(world, "day-2", &json!({here.as_str(): {"BTC": "2"}})).await;
        settled(
            world,
            "day-3",
            &json!({here.as_str(): {"BTC": "0.1000000000"}}),
        )
        .await;
        assert_eq!(
            world.allocated(connection, "ofcbtc").await,
            (360_000_000, 0)
        );

        for quantity in [
            "0.000000001",
            "-1.123456789",
            "0",
            "0.0",
            "01.5",
            "+1.5",
            "1.",
            ".5",
            "1,5",
            "1e2",
            // 10^38 base units.
            &format!("1{}", "0".repeat(30)),
        ] {
            let amounts = json!({here.as_str(): {"BTC": quantity}});
            let (status, answer) = settle(world, &settlement("odd", &amounts)).await;
            assert_eq!(status, 400, "{quantity}: {answer}");
        }
        assert_unknown(world, "odd").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partners_whose_clients_may_dispute_are_sent_to_version_2() {
    for window in [0, 30] {
        let options = Options {
            dispute_window_minutes: Some(window),
            ..Options::default()
        };
        on_each_database(options, async |world| {
            let (connection, _) = world.connect().await;
            let amounts = json!({connection.to_string(): {"BTC": "5"}});
            let (status, answer) = settle(world, &settlement("day-1", &amounts)).await;
            assert_eq!(status, 403, "{answer}");
            let error = answer["error"].as_str().expect("an error");
            assert!(error.contains("version 2"), "{error}");
            assert!(answer.get("settlement").is_none(), "{answer}");
            assert_unknown(world, "day-1").await;
            assert_eq!(world.allocated(connection, "ofcbtc").await, (0, 0));
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inactive_partner_or_one_without_licence_settles_nothing() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        let content = settlement("day-1", &json!({connection.to_string(): {"BTC": "5"}}));
        let hand = world.network.installation();
        let partner = rules::PartnerId(world.partner_id);
        let licence = async |licensed| {
            let id = PARTNER.parse().expect("an id");
            let (name, trust_org) = ("Harbour".to_owned(), "Meridian".to_owned());
            hand.put_enterprise(id, name, trust_org, licensed)
                .await
                .expect("an enterprise");
        };

        hand.update_partner(partner, Some(false), None)
            .await
            .expect("stopped");
        let (status, answer) = settle(world, &content).await;
        assert_eq!((status, &answer["name"]), (403, &json!("partner_inactive")));
        hand.update_partner(partner, Some(true), None)
            .await
            .expect("resumed");

        licence(false).await;
        let (status, answer) = settle(world, &content).await;
        assert_eq!((status, &answer["name"]), (403, &json!("no_oes_licence")));
        licence(true).await;

        // What was refused left nothing behind: the very same request is evaluated afresh.
        assert_unknown(world, "day-1").await;
        let (status, answer) = settle(world, &content).await;
        assert_eq!(status, 200, "{answer}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inactive_connection_still_settles() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        allocate(&world.client, connection, "ofcusdt", 10).await;
        let stop = ConnectionUpdate {
            active: Some(false),
            name: None,
        };
        let stopped = world.client.update_connection(connection, &stop).await;
        assert!(!stopped.expect("stopped").connection.active);
        let refused = world
            .client
            .allocate(connection, request("ofcusdt", 1, "blocked"))
            .await;
        assert_eq!(
            refused
                .expect_err("blocked")
                .refusal()
                .expect("told")
                .status,
            422
        );

        let amounts = json!({connection.to_string(): {"BTC": "5", "USDT": "-10"}});
        settled(world, "day-1", &amounts).await;
        assert_eq!(world.allocated(connection, "ofcbtc").await, (5, 0));
        assert_eq!(world.allocated(connection, "ofcusdt").await, (0, 0));
        let shown = world.client.client_connection(connection).await;
        assert!(!shown.expect("a connection").connection.active);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_transfers_are_booked_together_or_not_at_all() {
    on_each_database(broker(), async |world| {
        const CONNECTIONS: usize = 27;
        let mut ids = Vec::new();
        for _ in 0..CONNECTIONS {
            ids.push(world.connect().await.0);
        }
        let currencies = ["BTC", "ETH", "USDT"];
        let mut amounts = json!({});
        // Everybody owes everybody 7: it all cancels out, and nobody needs anything.
        for source in &ids {
            for destination in ids.iter().filter(|id| *id != source) {
                for currency in currencies {
                    amounts[source.to_string()][destination.to_string()][currency] = "7".into();
                }
            }
        }
        // But for one, who owes one more.
        amounts[ids[0].to_string()][ids[1].to_string()]["ETH"] = "8".into();
        let content = settlement("big", &amounts);
        let count = CONNECTIONS * (CONNECTIONS - 1) * currencies.len();
        assert!(count > 2_000);

        let (status, answer) = settle(world, &content).await;
        assert_eq!(status, 500, "{answer}");
        let error = answer["error"].as_str().expect("an error");
        assert!(error.contains("1 ofceth and has 0"), "{error}");
        assert_eq!(all_transfers(world, id_of(&answer), "failed").await, count);
        let balances = world.client.client_balances(&Default::default()).await;
        for (connection, on_it) in balances.expect("balances").network_balances {
            let moved = on_it.balances.values().any(|b| b.available != "0");
            assert!(!moved, "something moved on {connection}");
        }

        allocate(&world.client, ids[0], "ofceth", 1).await;
        let (status, completed) = settle(world, &content).await;
        assert_eq!((status, id_of(&completed)), (200, id_of(&answer)));
        assert_eq!(
            all_transfers(world, id_of(&answer), "completed").await,
            count
        );
        assert_eq!(world.allocated(ids[0], "ofceth").await, (0, 0));
        assert_eq!(world.allocated(ids[1], "ofceth").await, (1, 0));
    })
    .await;
}

/// How many transfers a settlement has, over all pages: different ones, all in this state.
async fn all_transfers(world: &World, id: Uuid, status: &str) -> usize {
    let mut seen = std::collections::BTreeSet::new();
    for page in 0.. {
        let query = format!("?pageSize=500&pageNumber={page}");
        let shown = seen_by_partner(world, id, &query).await;
        let transfers = &shown["settlementTransfers"];
        let ids = texts(transfers, "id");
        if ids.is_empty() {
            break;
        }
        assert!(texts(transfers, "status").iter().all(|own| own == status));
        for id in ids {
            assert!(seen.insert(id), "a transfer is on two pages");
        }
    }
    seen.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn settlements_may_be_as_large_as_agreed_and_no_larger() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        let many = |count: usize| {
            let names = (0..count).map(|n| (format!("CURRENCY{n:06}"), json!("1")));
            let amounts: serde_json::Map<String, Value> = names.collect();
            settlement("big", &json!({connection.to_string(): amounts}))
        };
        // 50 000 amounts, more than a MiB: read, and only then refused for what they say.
        let content = many(50_000);
        assert!(content.to_string().len() > 1024 * 1024);
        let (status, answer) = settle(world, &content).await;
        assert_eq!(status, 400);
        let first = &answer["errors"][0];
        assert!(
            first["message"]
                .as_str()
                .expect("a message")
                .contains("currency"),
            "{first}"
        );
        // Nobody reads fifty thousand faults.
        assert_eq!(fields(&answer).len(), 101);
        let error = answer["error"].as_str().expect("an error");
        assert!(error.contains("49900 more"), "{error}");
        let (status, answer) = settle(world, &many(50_001)).await;
        assert_eq!(status, 400);
        let error = answer["error"].as_str().expect("an error");
        assert!(
            error.contains("50000"),
            "{}",
            &error[..error.len().min(300)]
        );

        // One MiB of notes is refused for its length, not for the size of the body.
        let mut content = settlement("big", &json!({connection.to_string(): {"BTC": "1"}}));
        content["notes"] = "n".repeat(512 * 1024).into();
        let (status, answer) = settle(world, &content).await;
        assert_eq!((status, fields(&answer)), (400, vec!["notes".to_owned()]));
        // The helper takes as much.
        let (status, _, _) = sign(world, Method::POST, &content).await;
        assert_eq!(status, 400);
        // Beyond 32 MiB nothing is read; elsewhere 64 KiB are the limit.
        let settlements = path(PARTNER, "/partners/settlements");
        let signing = path(PARTNER, "/partners/settlements-signing");
        let partners = path(PARTNER, "/partners");
        let (mib, kib) = (1024 * 1024, 1024);
        for (path, length) in [
            (settlements, 32 * mib + 1),
            (signing, 32 * mib + 1),
            (partners, 64 * kib + 1),
        ] {
            let answer = announce(world, &path, length).await;
            assert!(answer.starts_with("HTTP/1.1 413 "), "{path}: {answer}");
        }
    })
    .await;
}

/// What the server says to a request before any of its body has come.
async fn announce(world: &World, path: &str, length: usize) -> String {
    let address = world.url.trim_start_matches("http://");
    let mut line = TcpStream::connect(address).await.expect("a connection");
    let token = &world.partner_token;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    line.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = [0; 64];
    let read = line.read(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer[..read]).into_owned()
}
