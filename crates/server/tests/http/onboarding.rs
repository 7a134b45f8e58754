//! C1 to C3: becoming a client, finding partners and their currencies; and that nobody reads
//! what is not theirs.

use std::sync::Arc;

use client::{Client, Retry};
use ledger::GoAccountId;
use network::{NewToken, TokenKind};
use reqwest::Method;
use rules::{EnterpriseId, UserId, record::EnterpriseRole};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::api::partners::NewPartner;

use crate::{
    fixture::{
        BOTH, CLIENT, INSTITUTION, Options, PARTNER, World, configuration, new_partner,
        on_each_database, request,
    },
    settling::{SOUTHWIND, allocate, connect_as, get, neighbour, path, settled, texts},
};

const NEWCOMER: &str = "c11e00000000000000000000000000aa";
const ABROAD: &str = "9a2700000000000000000000000000bb";

/// An enterprise with a member and nothing else; the member's token.
async fn bare_enterprise(world: &World, id: &str, trust_org: &str, licensed: bool) -> String {
    let hand = world.network.installation();
    let id: EnterpriseId = id.parse().expect("an id");
    let (name, trust_org) = ("Newcomer".to_owned(), trust_org.to_owned());
    hand.put_enterprise(id.clone(), name, trust_org, licensed)
        .await
        .expect("an enterprise");
    let user = UserId(Uuid::new_v4());
    hand.put_user(user, "newcomer".to_owned(), None)
        .await
        .expect("a user");
    hand.put_membership(user, id, Some(EnterpriseRole::Admin))
        .await
        .expect("a membership");
    let token = NewToken {
        user_id: user,
        label: "test".to_owned(),
        kind: TokenKind::Plain,
        scopes: BOTH.to_vec(),
        networks: Vec::new(),
        expires_at: None,
    };
    let issued = hand.issue_token(token).await.expect("a token");
    issued.token.to_string()
}

async fn become_client(world: &World, token: &str) -> (u16, Value) {
    let path = path(NEWCOMER, "/clients");
    let (status, _, body) = world.raw(Method::POST, &path, Some(token), None).await;
    (status, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_becomes_a_client_once() {
    on_each_database(Options::default(), async |world| {
        let hand = world.network.installation();
        let licence = async |licensed| {
            let id = NEWCOMER.parse().expect("an id");
            let (name, trust_org) = ("Newcomer".to_owned(), "Meridian".to_owned());
            let put = hand.put_enterprise(id, name, trust_org, licensed);
            put.await.expect("an enterprise");
        };
        let token = bare_enterprise(world, NEWCOMER, "Meridian", false).await;
        let (status, answer) = become_client(world, &token).await;
        assert_eq!((status, &answer["name"]), (403, &json!("no_oes_licence")));
        licence(true).await;
        let (status, answer) = become_client(world, &token).await;
        assert_eq!(status, 422, "{answer}");
        let error = answer["error"].as_str().expect("an error");
        assert!(error.contains("no Go Account"), "{error}");

        let account = GoAccountId(Uuid::from_u128(0xaa));
        let opened =
            hand.open_go_account(account, NEWCOMER.parse().expect("an id"), "x".to_owned());
        opened.await.expect("a Go Account");
        let (status, first) = become_client(world, &token).await;
        assert_eq!(status, 200, "{first}");
        let client = &first["client"];
        for (member, value) in [
            ("enterpriseId", NEWCOMER.to_owned()),
            ("trustOrg", "Meridian".to_owned()),
            ("walletId", account.to_string()),
        ] {
            assert_eq!(client[member], value, "{first}");
        }
        for member in ["id", "createdAt", "updatedAt"] {
            assert!(client[member].is_string(), "{member}: {first}");
        }
        assert!(client.get("balanceAlertLastSent").is_none(), "{first}");

        assert_eq!(become_client(world, &token).await, (200, first));
        // The licence is asked for every time.
        licence(false).await;
        assert_eq!(become_client(world, &token).await.0, 403);
    })
    .await;
}

/// Partners, the newest first:
///
/// | name | enterprise | institution | |
/// |---|---|---|---|
/// | Aspen | abroad | `aspen` | of another trust organisation, 30 minutes for disputes |
/// | Harbour, Two | Harbour | `harbour-2` | with an institution id and policies; stopped |
/// | Harbour | Harbour | `harbour` | |
struct Partners {
    aspen: String,
    two: String,
    harbour: String,
    institution: String,
}

impl Partners {
    async fn register(world: &World) -> Partners {
        let hand = world.network.installation();
        let exchange = format!("http://{}", world.exchange.address);
        let agree = async |enterprise, institution| {
            let agreed = configuration(enterprise, institution, &exchange, &world.options);
            hand.put_configuration(agreed)
                .await
                .expect("a configuration");
        };
        agree(PARTNER, "harbour-2").await;
        let institution = Uuid::new_v4();
        let two = NewPartner {
            name: "Harbour, Two".to_owned(),
            institution_id: Some(institution),
            institution_identifier: "harbour-2".to_owned(),
            allocation_policies_enabled: true,
            ..new_partner()
        };
        let two = world.partner.register_partner(&two).await;
        let two = two.expect("a partner").partner.id;
        let stopped = hand.update_partner(rules::PartnerId(two), Some(false), None);
        stopped.await.expect("stopped");

        let token = bare_enterprise(world, ABROAD, "Frankfurt", true).await;
        let account = GoAccountId(Uuid::from_u128(0xbb));
        let opened = hand.open_go_account(account, ABROAD.parse().expect("an id"), "x".to_owned());
        opened.await.expect("a Go Account");
        agree(ABROAD, "aspen").await;
        let abroad = Client::new(&world.url, ABROAD, &token).expect("a client");
        let aspen = abroad.with_retry(Retry::never());
        let aspen = aspen
            .register_partner(&NewPartner {
                name: "Aspen".to_owned(),
                institution_identifier: "aspen".to_owned(),
                client_dispute_window_minutes: Some(30),
                ..new_partner()
            })
            .await
            .expect("a partner");
        Partners {
            aspen: aspen.partner.id.to_string(),
            two: two.to_string(),
            harbour: world.partner_id.to_string(),
            institution: institution.to_string(),
        }
    }
}

/// Gets a list as the client with a query and a body: status and answer.
async fn ask(world: &World, tail: &str, query: &str, body: Option<&str>) -> (u16, Value) {
    let path = path(CLIENT, &format!("{tail}{query}"));
    let token = Some(world.client_token.as_str());
    let (status, _, answer) = world.raw(Method::GET, &path, token, body).await;
    (status, answer)
}

async fn found(world: &World, query: &str, body: Option<&str>) -> Vec<String> {
    let (status, answer) = ask(world, "/partners", query, body).await;
    assert_eq!(status, 200, "{query} {body:?}: {answer}");
    texts(&answer["partners"], "name")
}

#[tokio::test(flavor = "multi_thread")]
async fn partners_are_found_by_every_filter_in_query_and_body() {
    on_each_database(Options::default(), async |world| {
        let Partners {
            aspen,
            two,
            harbour,
            institution,
        } = Partners::register(world).await;
        let unknown = Uuid::new_v4().to_string();
        let all = vec!["Aspen", "Harbour, Two", "Harbour"];
        for (query, body, expected) in [
            (String::new(), json!({}), all.clone()),
            (
                format!("ids={two}"),
                json!({"ids": [two]}),
                vec!["Harbour, Two"],
            ),
            (
                format!("ids={harbour},{unknown},{aspen}"),
                json!({"ids": [harbour, unknown, aspen]}),
                vec!["Aspen", "Harbour"],
            ),
            (
                format!("ids={harbour}&ids={aspen}"),
                json!({"ids": format!("{harbour},{aspen}")}),
                vec!["Aspen", "Harbour"],
            ),
            (format!("ids={unknown}"), json!({"ids": [unknown]}), vec![]),
            // Names may hold commas, so that commas do not part them.
            (
                "names=Harbour%2C%20Two".to_owned(),
                json!({"names": ["Harbour, Two"]}),
                vec!["Harbour, Two"],
            ),
            (
                "names=Harbour,+Two&names=Aspen".to_owned(),
                json!({"names": ["Harbour, Two", "Aspen"]}),
                vec!["Aspen", "Harbour, Two"],
            ),
            (
                "names=Harbour,Aspen".to_owned(),
                json!({"names": "Harbour,Aspen"}),
                vec![],
            ),
            (
                "names=harbour".to_owned(),
                json!({"names": ["harbour"]}),
                vec![],
            ),
            (
                format!("institutionIds={institution}"),
                json!({"institutionIds": [institution]}),
                vec!["Harbour, Two"],
            ),
            (
                format!("institutionIds={unknown}"),
                json!({"institutionIds": [unknown]}),
                vec![],
            ),
            (
                "institutionIdentifiers=aspen,harbour-2".to_owned(),
                json!({"institutionIdentifiers": ["aspen", "harbour-2"]}),
                vec!["Aspen", "Harbour, Two"],
            ),
            (
                "institutionIdentifiers=else".to_owned(),
                json!({"institutionIdentifiers": ["else"]}),
                vec![],
            ),
            (
                "active=true".to_owned(),
                json!({"active": true}),
                vec!["Aspen", "Harbour"],
            ),
            (
                "active=false".to_owned(),
                json!({"active": "false"}),
                vec!["Harbour, Two"],
            ),
            (
                "filterByTrustOrg=true".to_owned(),
                json!({"filterByTrustOrg": true}),
                vec!["Harbour, Two", "Harbour"],
            ),
            (
                "filterByTrustOrg=false".to_owned(),
                json!({"filterByTrustOrg": false}),
                all.clone(),
            ),
            (
                "allocationPoliciesEnabled=true".to_owned(),
                json!({"allocationPoliciesEnabled": true}),
                vec!["Harbour, Two"],
            ),
            (
                "allocationPoliciesEnabled=false".to_owned(),
                json!({"allocationPoliciesEnabled": false}),
                vec!["Aspen", "Harbour"],
            ),
            (
                "active=true&filterByTrustOrg=true".to_owned(),
                json!({"active": true, "filterByTrustOrg": true}),
                vec!["Harbour"],
            ),
            (
                "pageSize=2".to_owned(),
                json!({"pageSize": 2}),
                vec!["Aspen", "Harbour, Two"],
            ),
            (
                "pageSize=2&pageNumber=1".to_owned(),
                json!({"pageSize": "2", "pageNumber": "1"}),
                vec!["Harbour"],
            ),
            // Beyond the end there is nothing, and that is no mistake.
            ("pageNumber=7".to_owned(), json!({"pageNumber": 7}), vec![]),
            (
                "pageSize=500".to_owned(),
                json!({"pageSize": 500}),
                all.clone(),
            ),
            // Nothing asked for is no filter.
            (
                "ids=&names=".to_owned(),
                json!({"ids": [], "names": []}),
                all.clone(),
            ),
            ("unheard=of".to_owned(), json!({"ids": [null]}), all.clone()),
            (
                format!("ids={two},"),
                json!({"ids": [null, two], "names": null}),
                vec!["Harbour, Two"],
            ),
        ] {
            let by_query = found(world, &format!("?{query}"), None).await;
            assert_eq!(by_query, expected, "{query}");
            let by_body = found(world, "", Some(&body.to_string())).await;
            assert_eq!(by_body, expected, "{body}");
        }

        // Each member by itself: the query wins, and the body fills in what it leaves open.
        let body = json!({"active": true, "filterByTrustOrg": true}).to_string();
        for (query, expected) in [
            ("", vec!["Harbour"]),
            ("?active=false", vec!["Harbour, Two"]),
            ("?filterByTrustOrg=false", vec!["Aspen", "Harbour"]),
            ("?active=false&filterByTrustOrg=false", vec!["Harbour, Two"]),
        ] {
            assert_eq!(found(world, query, Some(&body)).await, expected, "{query}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partners_are_shown_as_clients_need_them() {
    on_each_database(Options::default(), async |world| {
        let partners = Partners::register(world).await;
        let (_, answer) = ask(world, "/partners", "", None).await;
        let listed = answer["partners"].as_array().expect("a list");
        let of = |id: &str| {
            listed
                .iter()
                .find(|p| p["id"] == id)
                .expect("listed")
                .clone()
        };
        assert_eq!(
            of(&partners.harbour),
            json!({
                "id": partners.harbour,
                "name": "Harbour",
                "institutionIdentifier": INSTITUTION,
                "connectionKeySchema": "token",
                "active": true,
                "enterpriseId": PARTNER,
                "trustOrg": "Meridian",
                "stablePartner": false,
            })
        );
        let two = of(&partners.two);
        assert_eq!(two["institutionId"], partners.institution);
        assert_eq!(two["active"], false);
        let aspen = of(&partners.aspen);
        assert_eq!(aspen["clientDisputeWindowMinutes"], 30);
        assert_eq!(aspen["trustOrg"], "Frankfurt");
        let hand = world.network.installation();
        let mature = hand.update_partner(rules::PartnerId(world.partner_id), None, Some(true));
        mature.await.expect("mature");
        let (_, answer) = ask(world, "/partners", "?names=Harbour", None).await;
        assert_eq!(answer["partners"][0]["stablePartner"], true);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_that_cannot_be_read_are_refused_by_name() {
    on_each_database(Options::default(), async |world| {
        for (query, field) in [
            ("ids=x", "ids"),
            ("ids=00000000000000000000000000000001", "ids"),
            ("institutionIds=harbour", "institutionIds"),
            ("active=yes", "active"),
            ("active=TRUE", "active"),
            ("filterByTrustOrg=1", "filterByTrustOrg"),
            ("active=true&active=false", "active"),
            ("pageSize=501", "pageSize"),
            ("pageSize=0", "pageSize"),
            ("pageSize=many", "pageSize"),
            ("pageSize=-1", "pageSize"),
            ("pageSize=1.5", "pageSize"),
            ("pageSize=%2B5", "pageSize"),
            ("pageNumber=-1", "pageNumber"),
            ("pageNumber=first", "pageNumber"),
            ("pageNumber=99999999999999999999", "pageNumber"),
            ("names=%FF", "names"),
        ] {
            let (status, answer) = ask(world, "/partners", &format!("?{query}"), None).await;
            assert_eq!(status, 400, "{query}: {answer}");
            assert_eq!(texts(&answer["errors"], "field"), [field], "{query}");
            if query.starts_with("pageSize") {
                let error = answer["error"].as_str().expect("an error");
                assert!(error.contains("from 1 to 500"), "{query}: {error}");
            }
        }
        // All faults at once.
        let (_, answer) = ask(world, "/partners", "?ids=x&active=yes&pageSize=0", None).await;
        let mut fields = texts(&answer["errors"], "field");
        fields.sort();
        assert_eq!(fields, ["active", "ids", "pageSize"]);

        for body in [
            r#"{"ids":"#,
            r#"{"ids":["x"]}"#,
            r#"{"ids":{}}"#,
            r#"{"ids":[],"ids":[]}"#,
            r#"{"active":"perhaps"}"#,
            r#"{"active":[true,false]}"#,
            r#"{"pageSize":501}"#,
            r#"{"pageSize":1e1}"#,
            r#"{} {}"#,
            "[]",
            "null",
            "true",
            "names=Harbour",
            " ",
        ] {
            let (status, answer) = ask(world, "/partners", "", Some(body)).await;
            assert_eq!(status, 400, "{body}: {answer}");
            assert_eq!(answer["name"], "invalid_request", "{body}");
        }
        // What the query has, the body need not say right; but it has to be JSON.
        let (status, _) = ask(
            world,
            "/partners",
            "?pageSize=5",
            Some(r#"{"pageSize":501}"#),
        )
        .await;
        assert_eq!(status, 200);
        let (status, _) = ask(world, "/partners", "?pageSize=5", Some("{")).await;
        assert_eq!(status, 400);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn supported_currencies_are_told_for_the_partners_that_one_asks_for() {
    on_each_database(Options::default(), async |world| {
        let Partners {
            aspen,
            two,
            harbour,
            ..
        } = Partners::register(world).await;
        let unknown = Uuid::new_v4().to_string();
        let currency = |ofc: &str, backing: &str, names: &[&str]| {
            json!({"ofcCurrency": ofc, "backingCurrency": backing, "partnerNames": names})
        };
        let usual = json!([
            currency("ofcbtc", "btc", &["BTC"]),
            currency("ofceth", "eth", &["ETH"]),
            currency("ofcusdt", "usdt", &["USDT"]),
        ]);
        let answer = |partners: Value| {
            json!({"supportedCurrencies": partners, "domain": "bitgo-network"})
        };
        let tail = "/supportedCurrencies";
        for (query, body, expected) in [
            (
                format!("partnerIds={harbour}"),
                json!({"partnerIds": [harbour]}),
                json!({harbour.as_str(): usual}),
            ),
            // Stopped partners have currencies still. What is unknown, or of another trust
            // organisation, is left out.
            (
                format!("partnerIds={harbour},{two},{aspen},{unknown},{harbour}"),
                json!({"partnerIds": [harbour, two, aspen, unknown, null, harbour]}),
                json!({harbour.as_str(): usual, two.as_str(): usual}),
            ),
            (
                format!("partnerIds={aspen}&partnerIds={unknown}"),
                json!({"partnerIds": format!("{aspen},{unknown}")}),
                json!({}),
            ),
        ] {
            let by_query = ask(world, tail, &format!("?{query}"), None).await;
            assert_eq!(by_query, (200, answer(expected.clone())), "{query}");
            let by_body = ask(world, tail, "", Some(&body.to_string())).await;
            assert_eq!(by_body, (200, answer(expected)), "{body}");
        }

        for (query, body) in [
            ("", None),
            ("?partnerIds=", None),
            ("?partnerIds=x", None),
            ("?partnerIds=,", None),
            ("", Some(r#"{"partnerIds":[]}"#)),
            ("", Some(r#"{"partnerIds":[null]}"#)),
            ("", Some(r#"{"partnerIds":null}"#)),
            ("", Some(r#"{"partnerIds":["x"]}"#)),
            ("", Some(r#"{"partnerIds":"#)),
            ("", Some("{}")),
        ] {
            let (status, answer) = ask(world, tail, query, body).await;
            assert_eq!(status, 400, "{query} {body:?}: {answer}");
        }

        // Another configuration, other names.
        let exchange = format!("http://{}", world.exchange.address);
        let mut agreed = configuration(PARTNER, INSTITUTION, &exchange, &world.options);
        agreed.currencies.truncate(1);
        agreed.currencies[0].partner_names = vec!["XBT".to_owned(), "BTC".to_owned()];
        let hand = world.network.installation();
        hand.put_configuration(agreed).await.expect("a configuration");
        let (_, answer) = ask(world, tail, &format!("?partnerIds={harbour}"), None).await;
        assert_eq!(
            answer["supportedCurrencies"][&harbour],
            json!([currency("ofcbtc", "btc", &["XBT", "BTC"])])
        );
    })
    .await;
}

/// Something of each kind, between Northwind and Harbour.
struct Rows {
    connection: Uuid,
    allocation: String,
    settlement: Uuid,
}

impl Rows {
    async fn make(world: &World) -> Rows {
        let connection = connect_as(world, &world.client, "main").await;
        allocate(&world.client, connection, "ofcbtc", 400).await;
        let amounts = json!({connection.to_string(): {"BTC": "-100", "USDT": "6000"}});
        let settlement = settled(world, "day-1", &amounts).await;
        let tail = path(CLIENT, "/clients/allocations");
        let (_, list) = get(world, &world.client_token, &tail).await;
        Rows {
            connection,
            allocation: texts(&list["allocations"], "id").remove(0),
            settlement,
        }
    }

    /// The lists of both sides, with the member that holds the rows.
    fn lists(&self) -> Vec<(String, &'static str)> {
        let Rows {
            connection,
            allocation,
            settlement,
        } = self;
        let mut lists = Vec::new();
        for (list, member, filters) in [
            (
                "clients/connections",
                "connections",
                vec![format!("connectionIds={connection}")],
            ),
            (
                "clients/allocations",
                "allocations",
                vec![
                    format!("allocationIds={allocation}"),
                    format!("connectionIds={connection}"),
                ],
            ),
            (
                "clients/settlements",
                "settlements",
                vec![
                    format!("settlementIds={settlement}"),
                    format!("partyConnectionIds={connection}"),
                ],
            ),
            (
                "clients/settlementTransfers",
                "settlementTransfers",
                vec![format!("settlementIds={settlement}")],
            ),
            (
                "clients/balances",
                "networkBalances",
                vec![format!("connectionIds={connection}")],
            ),
            (
                "partners/connections",
                "connections",
                vec![format!("connectionIds={connection}")],
            ),
            (
                "partners/allocations",
                "allocations",
                vec![
                    format!("allocationIds={allocation}"),
                    format!("connectionIds={connection}"),
                ],
            ),
            (
                "partners/settlements",
                "settlements",
                vec![
                    format!("settlementIds={settlement}"),
                    format!("partyConnectionIds={connection}"),
                    "externalIds=day-1".to_owned(),
                ],
            ),
            (
                "partners/balances",
                "networkBalances",
                vec![format!("connectionIds={connection}")],
            ),
        ] {
            lists.push((format!("/{list}"), member));
            lists.extend(
                filters
                    .iter()
                    .map(|filter| (format!("/{list}?{filter}"), member)),
            );
        }
        lists
    }

    fn reads(&self) -> Vec<String> {
        ["clients", "partners"]
            .into_iter()
            .flat_map(|side| {
                [
                    format!("/{side}/connections/{}", self.connection),
                    format!("/{side}/allocations/{}", self.allocation),
                    format!("/{side}/settlements/{}", self.settlement),
                ]
            })
            .collect()
    }
}

fn rows(answer: &Value, member: &str) -> usize {
    match &answer[member] {
        Value::Array(rows) => rows.len(),
        Value::Object(rows) => rows.len(),
        other => panic!("{member} is {other}: {answer}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_what_is_not_theirs() {
    on_each_database(Options::default(), async |world| {
        let made = Rows::make(world).await;
        // Third parties that could have rows on either side, and one that has its own.
        let stranger = neighbour(world, NEWCOMER, "Stranger", 10, &[]).await;
        let exchange = format!("http://{}", world.exchange.address);
        let agreed = configuration(NEWCOMER, "strange", &exchange, &world.options);
        let hand = world.network.installation();
        hand.put_configuration(agreed)
            .await
            .expect("a configuration");
        let partner = NewPartner {
            institution_identifier: "strange".to_owned(),
            ..new_partner()
        };
        stranger
            .client
            .register_partner(&partner)
            .await
            .expect("a partner");
        let south = neighbour(world, SOUTHWIND, "Southwind", 3, &[("ofceth", 70)]).await;
        let own = connect_as(world, &south.client, "own").await;
        allocate(&south.client, own, "ofceth", 70).await;

        let involved = [
            (&world.client_token, CLIENT, "/clients/"),
            (&world.partner_token, PARTNER, "/partners/"),
        ];
        let bystanders = [(&stranger.token, NEWCOMER), (&south.token, SOUTHWIND)];

        for (tail, member) in made.lists() {
            // Whoever is involved sees the row, from its own side alone.
            for (token, enterprise, side) in involved {
                let (status, answer) = get(world, token, &path(enterprise, &tail)).await;
                assert_eq!(status, 200, "{enterprise} {tail}: {answer}");
                let is_own_side = tail.starts_with(side);
                assert_eq!(
                    rows(&answer, member) > 0,
                    is_own_side,
                    "{enterprise} {tail}: {answer}"
                );
            }
            for (token, enterprise) in bystanders {
                let (status, answer) = get(world, token, &path(enterprise, &tail)).await;
                assert_eq!(status, 200, "{enterprise} {tail}: {answer}");
                let text = answer.to_string();
                for id in [
                    made.connection.to_string(),
                    made.settlement.to_string(),
                    made.allocation.clone(),
                ] {
                    assert!(!text.contains(&id), "{enterprise} {tail}: {answer}");
                }
                if enterprise == NEWCOMER || tail.contains('?') {
                    assert_eq!(rows(&answer, member), 0, "{enterprise} {tail}: {answer}");
                }
                // In the name of the others it is nobody.
                for (_, of, _) in involved {
                    let (status, answer) = get(world, token, &path(of, &tail)).await;
                    assert_eq!(status, 401, "{enterprise} as {of} {tail}: {answer}");
                }
            }
        }
        let (_, answer) = get(
            world,
            &south.token,
            &path(SOUTHWIND, "/clients/connections"),
        )
        .await;
        assert_eq!(texts(&answer["connections"], "id"), [own.to_string()]);

        for tail in made.reads() {
            for (token, enterprise, side) in involved {
                let (status, answer) = get(world, token, &path(enterprise, &tail)).await;
                let expected = if tail.starts_with(side) { 200 } else { 404 };
                assert_eq!(status, expected, "{enterprise} {tail}: {answer}");
            }
            for (token, enterprise) in bystanders {
                let (status, answer) = get(world, token, &path(enterprise, &tail)).await;
                assert_eq!(status, 404, "{enterprise} {tail}: {answer}");
                for (_, of, _) in involved {
                    let (status, answer) = get(world, token, &path(of, &tail)).await;
                    assert_eq!(status, 401, "{enterprise} as {of} {tail}: {answer}");
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_acts_on_what_is_not_theirs() {
    on_each_database(Options::default(), async |world| {
        let made = Rows::make(world).await;
        let south = neighbour(world, SOUTHWIND, "Southwind", 3, &[("ofcbtc", 70)]).await;
        let partner = Client::new(&world.url, PARTNER, &world.partner_token).expect("a client");
        let partner = partner
            .with_shared_signing_key(Arc::clone(&world.partner_key))
            .with_retry(Retry::never());
        for somebody in [&south.client, &partner] {
            let rename = wire::api::connections::ConnectionUpdate {
                active: Some(false),
                name: Some("stolen".to_owned()),
            };
            let wanted = || request("ofcbtc", 7, "stolen");
            let there = made.connection;
            let refused = [
                somebody.update_connection(there, &rename).await.map(drop),
                somebody.allocate(there, wanted()).await.map(drop),
                somebody.deallocate(there, wanted()).await.map(drop),
                somebody
                    .allocation_payload(there, &wanted())
                    .await
                    .map(drop),
                somebody
                    .deallocation_payload(there, &wanted())
                    .await
                    .map(drop),
            ];
            for (act, refused) in refused.into_iter().enumerate() {
                let error = refused.expect_err("refused");
                let status = error.refusal().expect("told").status;
                assert_eq!(
                    status,
                    404,
                    "act {act} of {}: {error}",
                    somebody.enterprise_id()
                );
            }
        }
        let there = world.client.client_connection(made.connection).await;
        let there = there.expect("it").connection;
        assert!(there.active && there.name == "main");
        assert_eq!(world.allocated(made.connection, "ofcbtc").await, (300, 0));
    })
    .await;
}
