//! C16 to C18, P13, P14: settlements as clients and partners see them, each their own part.

mod of_partner;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    fixture::{CLIENT, Options, PARTNER, World, deposit, on_each_database},
    settling::{
        Neighbour, SOUTHWIND, allocate, connect_as, get, id_of, neighbour, path, seen_by_partner,
        settle, settled, settlement, texts,
    },
};

/// Two clients and four settlements, a minute apart:
///
/// | name | Northwind | Southwind | state |
/// |---|---|---|---|
/// | day-1 | `one` loses BTC, gains USDT | gains BTC | completed |
/// | day-2 | `two` loses ETH | | completed |
/// | day-3 | `one` loses more USDT than it has | gains ETH | failed |
/// | day-4 | | gains ETH | completed |
struct Week {
    south: Neighbour,
    one: String,
    two: String,
    there: String,
    ids: [String; 4],
}

impl Week {
    async fn pass(world: &World) -> Week {
        let south = neighbour(world, SOUTHWIND, "Southwind", 3, &[]).await;
        let one = connect_as(world, &world.client, "one").await;
        let two = connect_as(world, &world.client, "two").await;
        let there = connect_as(world, &south.client, "there").await;
        allocate(&world.client, one, "ofcbtc", 10_000_019).await;
        allocate(&world.client, two, "ofceth", 10_000_079).await;
        let [a, b, c] = [one, two, there].map(|id| id.to_string());
        let day = Duration::from_secs(60);

        let mut content = settlement(
            "day-1",
            &json!({
                a.as_str(): {"BTC": "-7000003", "USDT": "61000001"},
                c.as_str(): {"BTC": "7000033"},
            }),
        );
        content["notes"] = "for all to see".into();
        let (status, first) = settle(world, &content).await;
        assert_eq!(status, 200, "{first}");
        world.clock.advance(day);
        let amounts = json!({b.as_str(): {"ETH": "-5000011"}});
        let second = settled(world, "day-2", &amounts).await;
        world.clock.advance(day);
        let amounts = json!({
            a.as_str(): {"USDT": "-980000027"},
            c.as_str(): {"ETH": "3000017"},
        });
        let (status, third) = settle(world, &settlement("day-3", &amounts)).await;
        assert_eq!(status, 500, "{third}");
        world.clock.advance(day);
        let amounts = json!({c.as_str(): {"ETH": "4000037"}});
        let fourth = settled(world, "day-4", &amounts).await;
        Week {
            south,
            one: a,
            two: b,
            there: c,
            ids: [id_of(&first), second, id_of(&third), fourth].map(|id| id.to_string()),
        }
    }
}

fn uuid(text: &str) -> Uuid {
    text.parse().expect("a UUID")
}

/// Somebody who looks.
struct Eyes<'a> {
    token: &'a str,
    enterprise: &'a str,
}

const fn eyes<'a>(token: &'a str, enterprise: &'a str) -> Eyes<'a> {
    Eyes { token, enterprise }
}

/// A list as the query asks for it, with commas and with repeated keys, and as a body on GET asks
/// for it: the same in all forms.
async fn list(world: &World, eyes: &Eyes<'_>, tail: &str, filter: &Value) -> Value {
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut with_commas = url_query();
    let mut repeated = url_query();
    for (name, value) in filter.as_object().expect("filters") {
        let values = match value {
            Value::Array(values) => values.iter().map(plain).collect(),
            single => vec![plain(single)],
        };
        with_commas.append(name, &values.join(","));
        for value in &values {
            repeated.append(name, value);
        }
    }
    let bare = path(eyes.enterprise, tail);
    let body = filter.to_string();
    let mut answers = Vec::new();
    for (path, body) in [
        (format!("{bare}?{}", with_commas.0), None),
        (format!("{bare}?{}", repeated.0), None),
        (bare.clone(), Some(body.as_str())),
    ] {
        let token = Some(eyes.token);
        let (status, _, answer) = world.raw(Method::GET, &path, token, body).await;
        assert_eq!(status, 200, "{path} {body:?}: {answer}");
        answers.push(answer);
    }
    assert_eq!(answers[0], answers[1], "{tail} {filter}");
    assert_eq!(answers[0], answers[2], "{tail} {filter}");
    answers.swap_remove(0)
}

/// A query string in the making; what is appended needs no escapes but for the plus sign.
struct Query(String);

fn url_query() -> Query {
    Query(String::new())
}

impl Query {
    fn append(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0
            .push_str(&format!("{name}={}", value.replace('+', "%2B")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_lists_the_settlements_that_it_takes_part_in() {
    on_each_database(Options::default(), async |world| {
        let week = Week::pass(world).await;
        let [first, second, third, fourth] = &week.ids;
        let north = eyes(&world.client_token, CLIENT);
        let south = eyes(&week.south.token, SOUTHWIND);
        let unknown = Uuid::new_v4().to_string();
        let partner = world.partner_id.to_string();
        // The newest first, unless a page is asked for.
        for (who, filter, expected) in [
            (&north, json!({}), vec!["day-3", "day-2", "day-1"]),
            (&south, json!({}), vec!["day-4", "day-3", "day-1"]),
            (
                &north,
                json!({"settlementIds": [first, second]}),
                vec!["day-2", "day-1"],
            ),
            (&north, json!({"settlementIds": [fourth, unknown]}), vec![]),
            (
                &south,
                json!({"settlementIds": [second, fourth]}),
                vec!["day-4"],
            ),
            (
                &north,
                json!({"settlementIds": []}),
                vec!["day-3", "day-2", "day-1"],
            ),
            (&north, json!({"statuses": ["failed"]}), vec!["day-3"]),
            (
                &north,
                json!({"statuses": ["completed"]}),
                vec!["day-2", "day-1"],
            ),
            (
                &north,
                json!({"statuses": ["completed", "failed"]}),
                vec!["day-3", "day-2", "day-1"],
            ),
            (&north, json!({"statuses": ["pending", "rejected"]}), vec![]),
            (
                &north,
                json!({"partnerIds": [partner]}),
                vec!["day-3", "day-2", "day-1"],
            ),
            (&north, json!({"partnerIds": [unknown]}), vec![]),
            (
                &north,
                json!({"partyConnectionIds": [week.two]}),
                vec!["day-2"],
            ),
            (
                &north,
                json!({"partyConnectionIds": [week.one]}),
                vec!["day-3", "day-1"],
            ),
            // In party form the partner is the counterparty, and it has no connection.
            (
                &north,
                json!({"counterpartyConnectionIds": [week.one]}),
                vec![],
            ),
            // Somebody else's connection tells nothing of who else was settled.
            (&north, json!({"partyConnectionIds": [week.there]}), vec![]),
            (&north, json!({"onlyShowDisputed": true}), vec![]),
            (
                &north,
                json!({"onlyShowDisputed": false}),
                vec!["day-3", "day-2", "day-1"],
            ),
            (&north, json!({"pageSize": 2}), vec!["day-3", "day-2"]),
            (
                &north,
                json!({"pageSize": 2, "pageNumber": 1}),
                vec!["day-1"],
            ),
            (&north, json!({"pageSize": "2", "pageNumber": "2"}), vec![]),
            (
                &north,
                json!({"settlementIds": [third, first], "statuses": ["failed"], "pageSize": 1}),
                vec!["day-3"],
            ),
        ] {
            let found = list(world, who, "/clients/settlements", &filter).await;
            let found = texts(&found["settlements"], "externalId");
            assert_eq!(found, expected, "{} {filter}", who.enterprise);
        }

        let directions = async |who| {
            let found = list(world, who, "/clients/settlements", &json!({})).await;
            texts(&found["settlements"], "transferDirection")
        };
        assert_eq!(
            directions(&north).await,
            ["send", "send", "send-and-receive"]
        );
        assert_eq!(directions(&south).await, ["receive"; 3]);

        for query in [
            "statuses=done",
            "settlementIds=x",
            "onlyShowDisputed=maybe",
            "pageSize=0",
        ] {
            let path = path(CLIENT, &format!("/clients/settlements?{query}"));
            let (status, answer) = get(world, &world.client_token, &path).await;
            assert_eq!(status, 400, "{query}: {answer}");
            let field = query.split('=').next().expect("a name");
            assert_eq!(answer["errors"][0]["field"], field, "{answer}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_reads_its_part_of_a_settlement() {
    on_each_database(Options::default(), async |world| {
        let week = Week::pass(world).await;
        let [first, _, third, fourth] = &week.ids;
        let north = eyes(&world.client_token, CLIENT);
        let south = eyes(&week.south.token, SOUTHWIND);
        let read = |id: &str| format!("/clients/settlements/{id}");

        let shown = list(world, &north, &read(first), &json!({})).await;
        assert_eq!(shown["settlingDisputes"], json!([]));
        assert_eq!(shown["settlementDisputes"], json!([]));
        let settlement = &shown["settlement"];
        assert_eq!(settlement["status"], "completed");
        assert_eq!(settlement["externalId"], "day-1");
        assert!(settlement["finalizedAt"].is_string(), "{settlement}");
        let transfers = shown["settlementTransfers"].as_array().expect("a list");
        assert_eq!(transfers.len(), 2, "only its own: {shown}");
        let own = world.client.client_connection(uuid(&week.one)).await;
        let own = own.expect("a connection").connection;
        for (currency, quantity) in [("ofcbtc", "-7000003"), ("ofcusdt", "61000001")] {
            let transfer = transfers.iter().find(|t| t["currency"] == currency);
            let transfer = transfer.unwrap_or_else(|| panic!("no {currency}: {shown}"));
            for (member, value) in [
                ("quantity", json!(quantity)),
                ("status", json!("completed")),
                ("settlementStatus", json!("completed")),
                ("settlementId", json!(first)),
                ("settlementNotes", json!("for all to see")),
                ("usdValue", Value::Null),
                ("sourceClientName", json!("Counterparty")),
                ("sourceConnectionName", json!("Counterparty")),
                ("destinationClientName", json!("Northwind")),
                ("destinationConnectionName", json!("one")),
                (
                    "destinationTradingAccountId",
                    json!(world.client_account.to_string()),
                ),
                (
                    "destinationNetworkAccountId",
                    json!(own.network_account_id.to_string()),
                ),
            ] {
                assert_eq!(transfer.get(member), Some(&value), "{member}: {transfer}");
            }
            for member in [
                "sourceTradingAccountId",
                "sourceNetworkAccountId",
                "disputeClosureId",
            ] {
                assert!(transfer.get(member).is_none(), "{member}: {transfer}");
            }
            assert!(
                !transfer["txIds"].as_array().expect("ids").is_empty(),
                "{transfer}"
            );
        }

        for (filter, expected) in [
            (json!({"currencies": ["ofcusdt"]}), vec!["61000001"]),
            (
                json!({"currencies": ["ofcusdt", "ofcbtc"]}),
                vec!["-7000003", "61000001"],
            ),
            // The partner's names are none of the client's.
            (json!({"currencies": ["USDT"]}), vec![]),
            (json!({"pageSize": 1}), vec!["-7000003"]),
            (json!({"pageSize": 1, "pageNumber": 1}), vec!["61000001"]),
            (json!({"pageSize": 1, "pageNumber": 2}), vec![]),
        ] {
            let shown = list(world, &north, &read(first), &filter).await;
            assert_eq!(
                texts(&shown["settlementTransfers"], "quantity"),
                expected,
                "{filter}"
            );
            assert_eq!(shown["settlement"]["id"], json!(first));
        }

        // A failed one: what it would have been, and not why.
        let shown = list(world, &south, &read(third), &json!({})).await;
        assert_eq!(shown["settlement"]["status"], "failed");
        assert!(shown["settlement"]["reason"].is_string(), "{shown}");
        let transfers = &shown["settlementTransfers"];
        assert_eq!(texts(transfers, "quantity"), ["3000017"]);
        assert_eq!(texts(transfers, "status"), ["failed"]);
        assert_eq!(transfers[0]["txIds"], json!([]));

        let (wind, unknown) = (SOUTHWIND, Uuid::new_v4().to_string());
        for (token, enterprise, id) in [
            // One that exists, without the caller.
            (&world.client_token, CLIENT, fourth.as_str()),
            (&week.south.token, wind, week.ids[1].as_str()),
            // The partner is no client of its own settlements.
            (&world.partner_token, PARTNER, first),
            (&world.client_token, CLIENT, unknown.as_str()),
        ] {
            let (status, answer) = get(world, token, &path(enterprise, &read(id))).await;
            assert_eq!(status, 404, "{enterprise}: {answer}");
            assert_eq!(answer["name"], "settlement_not_found");
        }
        let odd = path(CLIENT, "/clients/settlements/no-uuid");
        assert_eq!(get(world, &world.client_token, &odd).await.0, 400);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_lists_its_transfers_over_all_settlements() {
    on_each_database(Options::default(), async |world| {
        let week = Week::pass(world).await;
        let [first, second, third, _] = &week.ids;
        let north = eyes(&world.client_token, CLIENT);
        let south = eyes(&week.south.token, SOUTHWIND);
        let posted = seen_by_partner(world, second, "").await["settlement"].clone();
        let poster = posted["initiatedBy"].as_str().expect("a user");
        let at = posted["updatedAt"].as_str().expect("a time");
        let somebody = "0".repeat(32);
        let unknown = Uuid::new_v4().to_string();
        let (btc, usdt, eth) = ("-7000003", "61000001", "-5000011");
        let short = "-980000027";
        let all = vec![short, eth, btc, usdt];
        for (who, filter, expected) in [
            (&north, json!({}), all.clone()),
            (&south, json!({}), vec!["4000037", "3000017", "7000033"]),
            (
                &north,
                json!({"currencies": ["ofcusdt"]}),
                vec![short, usdt],
            ),
            (
                &north,
                json!({"currencies": ["ofcusdt", "ofceth"]}),
                vec![short, eth, usdt],
            ),
            (&north, json!({"initiatedBy": [poster]}), all.clone()),
            (&north, json!({"initiatedBy": [somebody]}), vec![]),
            (
                &north,
                json!({"partnerIds": [world.partner_id.to_string()]}),
                all.clone(),
            ),
            (&north, json!({"partnerIds": [unknown]}), vec![]),
            (
                &north,
                json!({"settlementIds": [first, unknown]}),
                vec![btc, usdt],
            ),
            (
                &north,
                json!({"settlementStatuses": ["failed"]}),
                vec![short],
            ),
            (
                &north,
                json!({"settlementStatuses": ["completed"]}),
                vec![eth, btc, usdt],
            ),
            (
                &north,
                json!({"settlementTransferStatuses": ["failed", "disputed"]}),
                vec![short],
            ),
            (
                &north,
                json!({"settlementTransferStatuses": ["pending"]}),
                vec![],
            ),
            (
                &north,
                json!({"settlementUpdatedOnOrAfter": at}),
                vec![short, eth],
            ),
            (
                &north,
                json!({"settlementUpdatedBefore": at}),
                vec![btc, usdt],
            ),
            (
                &north,
                json!({"settlementUpdatedOnOrAfter": at, "settlementIds": [second, first]}),
                vec![eth],
            ),
            (
                &north,
                json!({"sortField": "updatedAt", "settlementIds": [second, third]}),
                vec![eth, short],
            ),
            (
                &north,
                json!({
                    "sortField": "updatedAt", "sortDirection": "DESC",
                    "settlementIds": [second, third],
                }),
                vec![short, eth],
            ),
            (&north, json!({"pageSize": 3}), vec![short, eth, btc]),
            (&north, json!({"pageSize": 3, "pageNumber": 1}), vec![usdt]),
            (&south, json!({"settlementIds": [second]}), vec![]),
        ] {
            let found = list(world, who, "/clients/settlementTransfers", &filter).await;
            let found = texts(&found["settlementTransfers"], "quantity");
            assert_eq!(found, expected, "{} {filter}", who.enterprise);
        }
        let found = list(world, &north, "/clients/settlementTransfers", &json!({})).await;
        let transfers = &found["settlementTransfers"];
        assert_eq!(
            texts(transfers, "settlementStatus"),
            ["failed", "completed", "completed", "completed"]
        );
        // The partner's own account is no connection of it as a client.
        let partner = eyes(&world.partner_token, PARTNER);
        let found = list(world, &partner, "/clients/settlementTransfers", &json!({})).await;
        assert_eq!(found["settlementTransfers"], json!([]));

        for query in [
            "settlementStatuses=open",
            "settlementTransferStatuses=open",
            "sortField=quantity",
            "sortDirection=down",
            "settlementUpdatedBefore=2026-01-31",
            "settlementUpdatedOnOrAfter=today",
        ] {
            let path = path(CLIENT, &format!("/clients/settlementTransfers?{query}"));
            let (status, answer) = get(world, &world.client_token, &path).await;
            assert_eq!(status, 400, "{query}: {answer}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_client_sees_anything_of_another() {
    on_each_database(Options::default(), async |world| {
        let week = Week::pass(world).await;
        let account = async |client: &client::Client, id: &str| {
            let connection = client
                .client_connection(uuid(id))
                .await
                .expect("a connection");
            let connection = connection.connection;
            vec![
                connection.id.to_string(),
                connection.network_account_id.to_string(),
                connection.client_id.to_string(),
            ]
        };
        let mut of_north = account(&world.client, &week.one).await;
        of_north.extend(account(&world.client, &week.two).await);
        of_north.extend(["Northwind".to_owned(), world.client_account.to_string()]);
        // What it moved and what it had, in figures that occur nowhere else; 61000001 is what it
        // had when day-3 failed.
        of_north.extend(["7000003", "61000001", "5000011", "980000027"].map(str::to_owned));
        of_north.push(CLIENT.to_owned());
        let mut of_south = account(&week.south.client, &week.there).await;
        of_south.extend(["Southwind".to_owned(), week.south.account.to_string()]);
        of_south.extend(["7000033", "3000017", "4000037"].map(str::to_owned));
        of_south.push(SOUTHWIND.to_owned());
        let of_partner = [world.partner_account.to_string(), "Harbour".to_owned()];

        let north = (&world.client_token, CLIENT, &of_north, &of_south);
        let south = (&week.south.token, SOUTHWIND, &of_south, &of_north);
        for (token, enterprise, own, others) in [north, south] {
            let mut answers = String::new();
            let mut tails = vec![
                "/clients/settlements".to_owned(),
                "/clients/settlementTransfers".to_owned(),
            ];
            tails.extend(
                week.ids
                    .iter()
                    .map(|id| format!("/clients/settlements/{id}")),
            );
            for tail in tails {
                let (_, answer) = get(world, token, &path(enterprise, &tail)).await;
                answers.push_str(&answer.to_string());
            }
            for secret in others.iter().chain(&of_partner) {
                assert!(
                    !answers.contains(secret),
                    "{enterprise} sees {secret}: {answers}"
                );
            }
            // It does see its own.
            for own in own.iter().filter(|text| text.len() < 12) {
                assert!(
                    answers.contains(own),
                    "{enterprise} misses {own}: {answers}"
                );
            }
        }
        // The one who was short does not learn it from the reason either: nobody does.
        let read = path(CLIENT, &format!("/clients/settlements/{}", week.ids[2]));
        let (_, answer) = get(world, &world.client_token, &read).await;
        let reason = answer["settlement"]["reason"].as_str().expect("a reason");
        assert!(!reason.contains(|c: char| c.is_ascii_digit()), "{reason}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_a_pair_see_their_own_half() {
    let options = Options {
        broker: true,
        ..Options::default()
    };
    on_each_database(options, async |world| {
        let funds = [("ofceth", 1_000)];
        let south = neighbour(world, SOUTHWIND, "Southwind", 3, &funds).await;
        const EASTWIND: &str = "c11e0000000000000000000000000003";
        let east = neighbour(world, EASTWIND, "Eastwind", 4, &[]).await;
        let a = connect_as(world, &world.client, "a").await;
        let b = connect_as(world, &south.client, "b").await;
        let c = connect_as(world, &east.client, "c").await;
        let own = connect_as(world, &world.client, "own").await;
        allocate(&world.client, a, "ofcbtc", 1_000).await;
        allocate(&south.client, b, "ofceth", 1_000).await;
        let amounts = json!({
            a.to_string(): {
                b.to_string(): {"BTC": "101", "ETH": "-102"},
                own.to_string(): {"BTC": "103"},
            },
            b.to_string(): {c.to_string(): {"ETH": "104"}},
        });
        let id = settled(world, "day-1", &amounts).await;

        // Per client: its transfers as (quantity, source, destination, own source, own destination).
        let view = async |token: &str, enterprise: &str| {
            let read = path(enterprise, &format!("/clients/settlements/{id}"));
            let (status, answer) = get(world, token, &read).await;
            assert_eq!(status, 200, "{answer}");
            let transfers = answer["settlementTransfers"].as_array().expect("a list");
            let mut seen: Vec<String> = transfers
                .iter()
                .map(|t| {
                    let text = |member: &str| t[member].as_str().expect(member).to_owned();
                    for side in ["source", "destination"] {
                        let is_own = text(&format!("{side}ClientName")) != "Counterparty";
                        for account in ["TradingAccountId", "NetworkAccountId"] {
                            let shown = t.get(format!("{side}{account}")).is_some();
                            assert_eq!(shown, is_own, "{side}{account}: {t}");
                        }
                        let name = text(&format!("{side}ConnectionName"));
                        assert_eq!(name != "Counterparty", is_own, "{t}");
                    }
                    [
                        text("quantity"),
                        text("sourceConnectionName"),
                        text("destinationConnectionName"),
                    ]
                    .join(" ")
                })
                .collect();
            seen.sort();
            let (_, list) = get(world, token, &path(enterprise, "/clients/settlements")).await;
            (seen, texts(&list["settlements"], "transferDirection"))
        };
        let (seen, direction) = view(&world.client_token, CLIENT).await;
        assert_eq!(
            seen,
            ["-102 a Counterparty", "101 a Counterparty", "103 a own"]
        );
        assert_eq!(direction, ["send-and-receive"]);
        let (seen, direction) = view(&south.token, SOUTHWIND).await;
        assert_eq!(
            seen,
            [
                "-102 Counterparty b",
                "101 Counterparty b",
                "104 b Counterparty"
            ]
        );
        assert_eq!(direction, ["send-and-receive"]);
        let (seen, direction) = view(&east.token, EASTWIND).await;
        assert_eq!(seen, ["104 Counterparty c"]);
        assert_eq!(direction, ["receive"]);

        // Parties are destinations, counterparties are sources.
        let found = async |eyes: &Eyes<'_>, tail: &str, filter: Value| {
            let found = list(world, eyes, tail, &filter).await;
            texts(&found["settlements"], "externalId").len()
        };
        let north = eyes(&world.client_token, CLIENT);
        let partner = eyes(&world.partner_token, PARTNER);
        let (clients, partners) = ("/clients/settlements", "/partners/settlements");
        for (who, tail, connection, as_party, as_counterparty) in [
            (&north, clients, a, 0, 1),
            (&north, clients, own, 1, 0),
            (&north, clients, b, 0, 0),
            (&partner, partners, a, 0, 1),
            (&partner, partners, b, 1, 1),
            (&partner, partners, c, 1, 0),
        ] {
            let filter = json!({"partyConnectionIds": [connection.to_string()]});
            assert_eq!(
                found(who, tail, filter).await,
                as_party,
                "{tail} {connection}"
            );
            let filter = json!({"counterpartyConnectionIds": [connection.to_string()]});
            assert_eq!(
                found(who, tail, filter).await,
                as_counterparty,
                "{tail} {connection}"
            );
        }

        // The partner sees both ends of all of them.
        let shown = seen_by_partner(world, id, "").await;
        let transfers = shown["settlementTransfers"].as_array().expect("a list");
        assert_eq!(transfers.len(), 4);
        for transfer in transfers {
            for member in [
                "sourceTradingAccountId",
                "sourceNetworkAccountId",
                "destinationTradingAccountId",
                "destinationNetworkAccountId",
            ] {
                assert!(transfer[member].is_string(), "{member}: {transfer}");
            }
        }
    })
    .await;
}
