//! C15, P8: what clients and partners have.

use reqwest::Method;
use rules::record::AmountFormat;
use serde_json::{Value, json};
use uuid::Uuid;
use wire::api::partners::NewPartner;

use crate::{
    fixture::{
        CLIENT, INSTITUTION, Options, PARTNER, World, configuration, new_partner, on_each_database,
        request,
    },
    settling::{SOUTHWIND, allocate, connect_as, connect_to, get, neighbour, path, serve_as},
};

async fn of_client(world: &World, query: &str) -> Value {
    let path = path(CLIENT, &format!("/clients/balances{query}"));
    let (status, body) = get(world, &world.client_token, &path).await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn of_partner(world: &World, query: &str) -> Value {
    let path = path(PARTNER, &format!("/partners/balances{query}"));
    let (status, body) = get(world, &world.partner_token, &path).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// The connections whose balances are shown.
fn connections(balances: &Value) -> Vec<String> {
    let shown = balances["networkBalances"].as_object().expect("an object");
    let mut shown: Vec<String> = shown.keys().cloned().collect();
    shown.sort();
    shown
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_sees_its_go_account_and_its_connections() {
    on_each_database(Options::default(), async |world| {
        let first = connect_as(world, &world.client, "first").await;
        allocate(&world.client, first, "ofcbtc", 400).await;
        let second = connect_as(world, &world.client, "second").await;
        let shown = of_client(world, "").await;

        let client = world
            .client
            .become_client()
            .await
            .expect("the client")
            .client;
        assert_eq!(shown["clientId"], client.id.to_string());
        assert_eq!(
            shown["balances"],
            json!({
                "ofcbtc": {"available": "999999600", "held": "0"},
                "ofceth": {"available": "5000000000000", "held": "0"},
                "ofcusdt": {"available": "900000000", "held": "0"},
            })
        );
        let there = world
            .client
            .client_connection(first)
            .await
            .expect("it")
            .connection;
        assert_eq!(
            shown["networkBalances"][first.to_string()],
            json!({
                "partnerId": world.partner_id.to_string(),
                "partnersConnectionId": there.partners_connection_id,
                "name": "first",
                "partnerInstitutionIdentifier": INSTITUTION,
                "balances": {"ofcbtc": {"available": "400", "held": "0"}},
            })
        );
        // A connection that nothing was allocated to is there, with nothing on it.
        assert_eq!(
            shown["networkBalances"][second.to_string()]["balances"],
            json!({})
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_sees_its_go_account_and_what_is_allocated_to_it_in_its_own_names() {
    on_each_database(Options::default(), async |world| {
        let south = neighbour(world, SOUTHWIND, "Southwind", 3, &[("ofceth", 70)]).await;
        let first = connect_as(world, &world.client, "first").await;
        let second = connect_as(world, &south.client, "second").await;
        allocate(&world.client, first, "ofcbtc", 400).await;
        allocate(&south.client, second, "ofceth", 70).await;
        let shown = of_partner(world, "").await;
        assert_eq!(
            shown["balances"],
            json!({
                "BTC": {"available": "1000000000", "held": "0"},
                "ETH": {"available": "5000000000000", "held": "0"},
                "USDT": {"available": "900000000", "held": "0"},
            })
        );
        for (connection, client, balances) in [
            (
                first,
                &world.client,
                json!({"BTC": {"available": "400", "held": "0"}}),
            ),
            (
                second,
                &south.client,
                json!({"ETH": {"available": "70", "held": "0"}}),
            ),
        ] {
            let there = client
                .client_connection(connection)
                .await
                .expect("it")
                .connection;
            assert_eq!(
                shown["networkBalances"][connection.to_string()],
                json!({
                    "clientId": there.client_id.to_string(),
                    "partnerId": world.partner_id.to_string(),
                    "partnersConnectionId": there.partners_connection_id,
                    "balances": balances,
                })
            );
        }
        // No client's Go Account is any of the partner's business.
        let text = shown.to_string();
        assert!(
            !text.contains("999999600") && !text.contains("ofcbtc"),
            "{text}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_with_decimals_reads_full_units() {
    let options = Options {
        amount_format: AmountFormat::Decimal,
        partner_funds: vec![("ofcbtc", 123_456_789), ("ofceth", 1)],
        ..Options::default()
    };
    on_each_database(options, async |world| {
        let (connection, _) = world.connect().await;
        allocate(&world.client, connection, "ofcusdt", 1_500_000).await;
        let shown = of_partner(world, "").await;
        assert_eq!(
            shown["balances"],
            json!({
                "BTC": {"available": "1.23456789", "held": "0"},
                "ETH": {"available": "0.000000000000000001", "held": "0"},
            })
        );
        let there = &shown["networkBalances"][connection.to_string()];
        assert_eq!(
            there["balances"],
            json!({"USDT": {"available": "1.5", "held": "0"}})
        );
        // The client goes on in base units.
        let shown = of_client(world, "").await;
        let there = &shown["networkBalances"][connection.to_string()];
        assert_eq!(
            there["balances"],
            json!({"ofcusdt": {"available": "1500000", "held": "0"}})
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reserved_stands_as_held_until_the_partner_has_answered() {
    let options = Options {
        call_timeout_ms: 200,
        ..Options::default()
    };
    on_each_database(options, async |world| {
        let (connection, _) = world.connect().await;
        let here = connection.to_string();
        allocate(&world.client, connection, "ofcbtc", 400).await;
        // The exchange falls silent, in every way there is to ask it.
        let silent = |call: &str| json!({"call": call, "times": 1_000, "action": "error500"});
        world
            .script_faults(json!([
                {"call": "allocate", "times": 1, "action": "timeout", "delayMs": 600},
                {"call": "deallocate", "times": 1, "action": "timeout", "delayMs": 600},
                silent("allocate"),
                silent("allocationStatus"),
                silent("deallocate"),
                silent("deallocationStatus"),
            ]))
            .await;
        let more = request("ofcbtc", 150, "more");
        let unanswered = world.client.allocate(connection, more.clone()).await;
        let refusal = unanswered.expect_err("no answer");
        assert_eq!(refusal.refusal().expect("told").status, 500);
        let back = request("ofcbtc", 90, "back");
        let unanswered = world.client.deallocate(connection, back.clone()).await;
        let refusal = unanswered.expect_err("no answer");
        assert_eq!(refusal.refusal().expect("told").status, 500);

        let shown = of_client(world, "").await;
        assert_eq!(
            shown["balances"]["ofcbtc"],
            json!({"available": "999999450", "held": "150"})
        );
        let allocated = json!({"available": "310", "held": "90"});
        let there = &shown["networkBalances"][&here]["balances"];
        assert_eq!(there["ofcbtc"], allocated);
        let shown = of_partner(world, "").await;
        let there = &shown["networkBalances"][&here]["balances"];
        assert_eq!(there["BTC"], allocated);

        // It answers again, and the identical requests end what they began.
        world.script_faults(json!([])).await;
        world
            .client
            .allocate(connection, more)
            .await
            .expect("allocated");
        world
            .client
            .deallocate(connection, back)
            .await
            .expect("deallocated");
        let shown = of_client(world, "").await;
        assert_eq!(
            shown["balances"]["ofcbtc"],
            json!({"available": "999999540", "held": "0"})
        );
        let there = &shown["networkBalances"][&here]["balances"];
        assert_eq!(there["ofcbtc"], json!({"available": "460", "held": "0"}));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_pages_choose_connections_and_leave_the_go_account() {
    on_each_database(Options::default(), async |world| {
        let exchange = format!("http://{}", world.exchange.address);
        let agreed = configuration(PARTNER, "harbour-2", &exchange, &world.options);
        let hand = world.network.installation();
        hand.put_configuration(agreed)
            .await
            .expect("a configuration");
        let second = NewPartner {
            institution_identifier: "harbour-2".to_owned(),
            ..new_partner()
        };
        let second = world.partner.register_partner(&second).await;
        let second = second.expect("a partner").partner.id;
        let south = neighbour(world, SOUTHWIND, "Southwind", 3, &[]).await;

        let a = connect_as(world, &world.client, "a").await;
        let b = connect_as(world, &world.client, "b").await;
        let s = connect_as(world, &south.client, "s").await;
        serve_as(world, second).await;
        let c = connect_to(world, &world.client, second, "c").await;
        // The exchange is somebody else now: this one waits for ever.
        let waiting = connect_as(world, &world.client, "waiting").await;
        let of_b = world
            .client
            .client_connection(b)
            .await
            .expect("b")
            .connection;
        let name_of_b = of_b.partners_connection_id.expect("initialised");
        let north = of_b.client_id;
        let [a, b, c, s, waiting] = [a, b, c, s, waiting].map(|id| id.to_string());
        let first = world.partner_id;
        let unknown = Uuid::new_v4();

        let everything = of_client(world, "").await["balances"].clone();
        for (query, expected) in [
            (String::new(), vec![&a, &b, &c]),
            (format!("connectionIds={a}"), vec![&a]),
            (format!("connectionIds={a},{c},{unknown}"), vec![&a, &c]),
            // Neither somebody else's nor one that the partner has not accepted.
            (format!("connectionIds={s},{waiting}"), vec![]),
            (format!("partnerIds={first}"), vec![&a, &b]),
            (format!("partnerIds={second}"), vec![&c]),
            (
                format!("partnerIds={first}&partnerIds={second}"),
                vec![&a, &b, &c],
            ),
            (format!("partnerIds={unknown}"), vec![]),
            (format!("partnerIds={second}&connectionIds={a}"), vec![]),
            // The newest first.
            ("pageSize=2".to_owned(), vec![&b, &c]),
            ("pageSize=2&pageNumber=1".to_owned(), vec![&a]),
            ("pageSize=2&pageNumber=2".to_owned(), vec![]),
        ] {
            let shown = of_client(world, &format!("?{query}")).await;
            let expected = sorted(expected.into_iter().cloned().collect());
            assert_eq!(connections(&shown), expected, "{query}");
            assert_eq!(shown["balances"], everything, "{query}");
        }

        let everything = of_partner(world, "").await["balances"].clone();
        for (query, expected) in [
            (String::new(), vec![&a, &b, &c, &s]),
            (
                format!("connectionIds={a},{s},{unknown},{waiting}"),
                vec![&a, &s],
            ),
            (format!("partnerIds={first}"), vec![&a, &b, &s]),
            (format!("partnerIds={second}"), vec![&c]),
            (format!("clientIds={north}"), vec![&a, &b, &c]),
            (format!("clientIds={unknown}"), vec![]),
            (format!("partnersConnectionIds={name_of_b}"), vec![&b]),
            (format!("partnersConnectionIds={name_of_b},else"), vec![&b]),
            (
                format!("clientIds={north}&partnerIds={first}"),
                vec![&a, &b],
            ),
            ("pageSize=3".to_owned(), vec![&b, &c, &s]),
            ("pageSize=3&pageNumber=1".to_owned(), vec![&a]),
        ] {
            let shown = of_partner(world, &format!("?{query}")).await;
            let expected = sorted(expected.into_iter().cloned().collect());
            assert_eq!(connections(&shown), expected, "{query}");
            assert_eq!(shown["balances"], everything, "{query}");
        }

        // The same from a body on GET.
        let body = json!({"connectionIds": [a], "pageSize": 5}).to_string();
        let token = Some(world.client_token.as_str());
        let tail = path(CLIENT, "/clients/balances");
        let (status, _, shown) = world.raw(Method::GET, &tail, token, Some(&body)).await;
        assert_eq!((status, connections(&shown)), (200, vec![a]));

        for query in [
            "connectionIds=x",
            "partnerIds=1,2",
            "pageSize=501",
            "pageNumber=-1",
        ] {
            for (token, enterprise, side) in [
                (&world.client_token, CLIENT, "clients"),
                (&world.partner_token, PARTNER, "partners"),
            ] {
                let path = path(enterprise, &format!("/{side}/balances?{query}"));
                let (status, answer) = get(world, token, &path).await;
                assert_eq!(status, 400, "{side} {query}: {answer}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_client_record_there_are_no_balances() {
    on_each_database(Options::default(), async |world| {
        const NOBODY: &str = "c11e000000000000000000000000000f";
        let account = ledger::GoAccountId(Uuid::from_u128(0xff));
        let key = crate::fixture::extended_key(15);
        let token = crate::fixture::enterprise(&world.network, NOBODY, "Nobody", account, &key);
        let token = token.await;
        let (status, answer) = get(world, &token, &path(NOBODY, "/clients/balances")).await;
        assert_eq!(status, 404, "{answer}");
        assert_eq!(answer["name"], "client_not_found");
        // The partner's enterprise is a client, too: Create Partner made it one.
        let path = path(PARTNER, "/clients/balances");
        let (status, answer) = get(world, &world.partner_token, &path).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["balances"]["ofcbtc"]["available"], "1000000000");
        assert_eq!(answer["networkBalances"], json!({}));
    })
    .await;
}
