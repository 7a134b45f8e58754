//! Create Partner (P1), status by status.

use std::{collections::BTreeSet, time::Duration};

use ledger::{GoAccountId, Timestamp};
use network::{NewToken, TokenKind};
use reqwest::Method;
use rules::{
    EnterpriseId,
    record::{Activation, PartnerConfiguration, Scope},
};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::partner_jwt::JwtSigner;

use crate::fixture::{
    CLIENT, Heard, Options, PARTNER, World, blamed, configuration, hear, jwt_pem, new_token,
    on_each_database,
};

const NEWCOMER: &str = "9a270000000000000000000000000002";
const INSTITUTION_ID: &str = "5f0f9f3c-7a57-4c7e-9d0f-3f0c6b1d2a11";
const ROOM: usize = 64 * 1024;

fn partners(enterprise: &str) -> String {
    format!("/api/network/v1/enterprises/{enterprise}/partners")
}

/// A request with the members that have to be there.
fn minimal(identifier: &str) -> Value {
    json!({
        "name": "Quay",
        "broker": false,
        "institutionIdentifier": identifier,
        "connectionKeySchema": "token",
    })
}

/// A request with all members.
fn full(identifier: &str) -> Value {
    with(
        minimal(identifier),
        json!({
            "institutionId": INSTITUTION_ID,
            "clientDisputeWindowMinutes": 60,
            "topUpWindowMinutes": 30,
            "allocationPoliciesEnabled": true,
        }),
    )
}

fn with(mut body: Value, members: Value) -> Value {
    let members = members.as_object().expect("members").clone();
    body.as_object_mut().expect("an object").extend(members);
    body
}

fn without(mut body: Value, member: &str) -> Value {
    body.as_object_mut().expect("an object").remove(member);
    body
}

fn terms(world: &World, enterprise: &str, identifier: &str) -> PartnerConfiguration {
    let exchange = format!("http://{}", world.exchange.address);
    configuration(enterprise, identifier, &exchange, &world.options)
}

async fn configure(world: &World, configuration: PartnerConfiguration) {
    let hand = world.network.installation();
    let put = hand.put_configuration(configuration).await;
    put.expect("a configuration");
}

/// Creates a partner of the partner's enterprise, as its member.
async fn create(world: &World, body: &Value) -> Heard {
    create_at(world, PARTNER, &world.partner_token, &body.to_string()).await
}

async fn create_at(world: &World, enterprise: &str, token: &str, body: &str) -> Heard {
    let path = partners(enterprise);
    world
        .raw(Method::POST, &path, Some(token), Some(body))
        .await
}

/// How many partners there are, to see that nothing was made.
async fn count(world: &World) -> usize {
    let all = world.partner.partners(&Default::default()).await;
    all.expect("partners").partners.len()
}

/// A refusal in the form that all refusals have.
fn assert_refusal((status, headers, body): &Heard, expected: (u16, &str)) {
    let name = body["name"].as_str().unwrap_or_default();
    assert_eq!((*status, name), expected, "{body}");
    assert_eq!(headers["content-type"], "application/json");
    assert!(
        body["error"]
            .as_str()
            .is_some_and(|error| !error.is_empty())
    );
    assert_eq!(
        body["requestId"].as_str(),
        headers["request-id"].to_str().ok()
    );
    assert_eq!(body["errors"].is_array(), *status == 400, "{body}");
}

fn is_date_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok()
}

fn is_uuid(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.len() == 36 && text.parse::<Uuid>().is_ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_is_answered_with_every_member_of_the_contract() {
    on_each_database(Options::default(), async |world| {
        let requests = [
            minimal("a"),
            full("b"),
            with(
                full("c"),
                json!({"clientDisputeWindowMinutes": 0, "topUpWindowMinutes": 10_080}),
            ),
            with(
                full("d"),
                json!({"clientDisputeWindowMinutes": 10_080, "topUpWindowMinutes": 0}),
            ),
            with(
                minimal("e"),
                json!({
                    "institutionId": null,
                    "clientDisputeWindowMinutes": null,
                    "topUpWindowMinutes": null,
                    "allocationPoliciesEnabled": null,
                }),
            ),
            with(
                minimal("f"),
                json!({"broker": true, "connectionKeySchema": "clearloop"}),
            ),
            with(
                minimal("g"),
                json!({"connectionKeySchema": "tokenAndSignature"}),
            ),
            with(
                minimal("h"),
                json!({"connectionKeySchema": "apiKeyAndSecret"}),
            ),
            with(
                minimal("i"),
                json!({"name": "Kai ☃ \"1\"", "institutionIdentifier": "a, b/ü"}),
            ),
        ];
        let client = world.partner.become_client().await.expect("a client");
        for request in requests {
            let identifier = request["institutionIdentifier"].as_str().expect("a text");
            configure(world, terms(world, PARTNER, identifier)).await;
            let (status, headers, body) = create(world, &request).await;
            assert_eq!(status, 200, "{body}");
            assert_eq!(headers["content-type"], "application/json");
            let partner = &body["partner"];
            assert!(is_uuid(&partner["id"]));
            assert!(is_date_time(&partner["createdAt"]));
            let mut expected = json!({
                "id": partner["id"],
                "enterpriseId": PARTNER,
                "trustOrg": "Meridian",
                "createdAt": partner["createdAt"],
                "updatedAt": partner["createdAt"],
                "clientId": client.client.id.to_string(),
                "active": true,
                "allocationPoliciesEnabled": false,
            });
            let sent = request.as_object().expect("an object").clone();
            let given = sent.into_iter().filter(|(_, value)| !value.is_null());
            expected.as_object_mut().expect("an object").extend(given);
            // What is null or was not given is not there, and nothing else is.
            assert_eq!(body, json!({"partner": expected}));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_agreed_shows_in_the_partner() {
    on_each_database(Options::default(), async |world| {
        let pem = JwtSigner::from_pem(jwt_pem())
            .expect("a key")
            .public_key_pem();
        let agreed = PartnerConfiguration {
            activation: Activation::AfterConformance,
            public_key: Some(pem.clone()),
            ..terms(world, PARTNER, "sealed")
        };
        configure(world, agreed).await;
        let (status, _, body) = create(world, &minimal("sealed")).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["partner"]["active"], false);
        assert_eq!(body["partner"]["publicKey"], pem.as_str());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_that_becomes_a_partner_becomes_a_client_too() {
    on_each_database(Options::default(), async |world| {
        let token = newcomer(world, true, true).await;
        configure(world, terms(world, NEWCOMER, "quay")).await;
        let body = minimal("quay").to_string();
        let (status, _, created) = create_at(world, NEWCOMER, &token, &body).await;
        assert_eq!(status, 200, "{created}");
        let path = format!("/api/network/v1/enterprises/{NEWCOMER}/clients");
        let (status, _, client) = world.raw(Method::POST, &path, Some(&token), None).await;
        assert_eq!(status, 200, "{client}");
        assert_eq!(client["client"]["id"], created["partner"]["clientId"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_again_answers_the_same_partner() {
    on_each_database(Options::default(), async |world| {
        configure(world, terms(world, PARTNER, "quay")).await;
        configure(world, terms(world, PARTNER, "pier")).await;
        let (status, _, first) = create(world, &minimal("quay")).await;
        assert_eq!(status, 200, "{first}");
        let said_otherwise = [
            minimal("quay"),
            with(minimal("quay"), json!({"allocationPoliciesEnabled": false})),
            with(
                minimal("quay"),
                json!({"clientDisputeWindowMinutes": null, "institutionId": null}),
            ),
        ];
        for again in said_otherwise {
            let (status, _, body) = create(world, &again).await;
            assert_eq!((status, &body), (200, &first));
        }

        // However many ask at once, one partner is made.
        let pier = full("pier");
        let (a, b, c, d) = tokio::join!(
            create(world, &pier),
            create(world, &pier),
            create(world, &pier),
            create(world, &pier),
        );
        let answers = [a, b, c, d];
        let ids: BTreeSet<&str> = answers
            .iter()
            .map(|(_, _, body)| body["partner"]["id"].as_str().expect("an id"))
            .collect();
        assert_eq!(ids.len(), 1, "{answers:?}");
        assert_eq!(count(world).await, 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_content_is_refused_by_the_names_of_what_differs() {
    on_each_database(Options::default(), async |world| {
        configure(world, terms(world, PARTNER, "quay")).await;
        let (status, _, first) = create(world, &full("quay")).await;
        assert_eq!(status, 200, "{first}");
        let changes = [
            json!({"name": "Pier"}),
            json!({"broker": true}),
            json!({"institutionId": "5f0f9f3c-7a57-4c7e-9d0f-3f0c6b1d2a12"}),
            json!({"institutionId": null}),
            json!({"connectionKeySchema": "clearloop"}),
            json!({"clientDisputeWindowMinutes": 0}),
            json!({"clientDisputeWindowMinutes": null}),
            json!({"topUpWindowMinutes": 31}),
            json!({"allocationPoliciesEnabled": false}),
            json!({"name": "Pier", "broker": true, "topUpWindowMinutes": null}),
        ];
        let all = full("quay");
        for change in changes {
            let heard = create(world, &with(all.clone(), change.clone())).await;
            assert_refusal(&heard, (422, "partner_exists"));
            let error = heard.2["error"].as_str().expect("a text");
            for member in all.as_object().expect("members").keys() {
                let differs = change.get(member).is_some();
                assert_eq!(
                    error.contains(member.as_str()),
                    differs,
                    "{member}: {error}"
                );
            }
        }
        let (status, _, body) = create(world, &full("quay")).await;
        assert_eq!(
            (status, &body),
            (200, &first),
            "no refusal changed the partner"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_request_is_told_all_its_faults_at_once() {
    on_each_database(Options::default(), async |world| {
        configure(world, terms(world, PARTNER, "quay")).await;
        let before = count(world).await;
        let wrong = |members: Value| with(full("quay"), members);
        let nine_deep = json!({"a": {"b": {"c": {"d": {"e": {"f": {"g": [1]}}}}}}});
        let windows = ["clientDisputeWindowMinutes", "topUpWindowMinutes"];
        let mut cases: Vec<(Value, &[&str])> = vec![
            (
                wrong(json!({"connectionKeySchema": "password"})),
                &["connectionKeySchema"],
            ),
            (
                wrong(json!({"connectionKeySchema": "Token"})),
                &["connectionKeySchema"],
            ),
            (
                wrong(json!({"connectionKeySchema": ""})),
                &["connectionKeySchema"],
            ),
            (
                wrong(json!({"connectionKeySchema": ["token"]})),
                &["connectionKeySchema"],
            ),
            (wrong(json!({"name": 1})), &["name"]),
            (wrong(json!({"name": null})), &["name"]),
            (wrong(json!({"name": ""})), &["name"]),
            (wrong(json!({"broker": "true"})), &["broker"]),
            (wrong(json!({"broker": 0})), &["broker"]),
            (wrong(json!({"broker": null})), &["broker"]),
            (wrong(json!({"institutionId": "quay"})), &["institutionId"]),
            (wrong(json!({"institutionId": ""})), &["institutionId"]),
            (wrong(json!({"institutionId": 7})), &["institutionId"]),
            (
                wrong(json!({"institutionIdentifier": ""})),
                &["institutionIdentifier"],
            ),
            (
                wrong(json!({"institutionIdentifier": {}})),
                &["institutionIdentifier"],
            ),
            (
                wrong(json!({"allocationPoliciesEnabled": "yes"})),
                &["allocationPoliciesEnabled"],
            ),
            (without(full("quay"), "name"), &["name"]),
            (without(full("quay"), "broker"), &["broker"]),
            (
                without(full("quay"), "institutionIdentifier"),
                &["institutionIdentifier"],
            ),
            (
                without(full("quay"), "connectionKeySchema"),
                &["connectionKeySchema"],
            ),
            (
                json!({}),
                &[
                    "broker",
                    "connectionKeySchema",
                    "institutionIdentifier",
                    "name",
                ],
            ),
            (
                json!({
                    "name": "",
                    "broker": "no",
                    "institutionId": "x",
                    "institutionIdentifier": 1,
                    "connectionKeySchema": "x",
                    "clientDisputeWindowMinutes": -1,
                    "topUpWindowMinutes": 0.5,
                    "allocationPoliciesEnabled": 1,
                }),
                &[
                    "allocationPoliciesEnabled",
                    "broker",
                    "clientDisputeWindowMinutes",
                    "connectionKeySchema",
                    "institutionId",
                    "institutionIdentifier",
                    "name",
                    "topUpWindowMinutes",
                ],
            ),
        ];
        for window in &windows {
            let values = [
                json!(0.5),
                json!(-1),
                json!(10_081),
                json!(1e30),
                json!("60"),
                json!(true),
                json!([]),
                json!({}),
            ];
            for value in values {
                cases.push((wrong(json!({*window: value})), std::slice::from_ref(window)));
            }
        }
        for (body, fields) in &cases {
            let heard = create(world, body).await;
            assert_refusal(&heard, (400, "invalid_request"));
            assert_eq!(&blamed(&heard.2), fields, "{body}: {}", heard.2);
            let told = heard.2["errors"].as_array().expect("errors");
            assert!(
                told.iter()
                    .all(|e| e["message"].as_str().is_some_and(|m| !m.is_empty()))
            );
            let error = heard.2["error"].as_str().expect("a text");
            assert!(fields.iter().all(|field| error.contains(field)), "{error}");
        }

        let whole = full("quay").to_string();
        let (_, members) = whole.split_at(1);
        let unreadable: [(Vec<u8>, &[&str]); 13] = [
            (b"".to_vec(), &[""]),
            (b" ".to_vec(), &[""]),
            (b"{".to_vec(), &[""]),
            (b"name=Quay".to_vec(), &[""]),
            (format!("{whole}{whole}").into_bytes(), &[""]),
            (whole.replace('"', "'").into_bytes(), &[""]),
            (whole.replace("Quay", "\u{1}").into_bytes(), &[""]),
            ([b"{\"name\":\"\xff\",", members.as_bytes()].concat(), &[""]),
            (b"[]".to_vec(), &[""]),
            (b"null".to_vec(), &[""]),
            (
                format!("{{\"name\":\"Quay\",{members}").into_bytes(),
                &["name"],
            ),
            (
                format!("{{\"x\":[{{\"y\":1,\"y\":1}}],{members}").into_bytes(),
                &["x[0].y"],
            ),
            (
                wrong(json!({"x": nine_deep})).to_string().into_bytes(),
                &["x.a.b.c.d.e.f.g"],
            ),
        ];
        for (body, fields) in unreadable {
            let text = String::from_utf8_lossy(&body).into_owned();
            let request = world
                .ask(Method::POST, &partners(PARTNER))
                .bearer_auth(&world.partner_token)
                .header("content-type", "application/json")
                .body(body);
            let heard = hear(request).await;
            assert_refusal(&heard, (400, "invalid_request"));
            if fields != [""] {
                assert_eq!(blamed(&heard.2), fields, "{text}: {}", heard.2);
            }
        }
        assert_eq!(count(world).await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_enterprise_in_the_path_is_malformed() {
    on_each_database(Options::default(), async |world| {
        let body = minimal("quay").to_string();
        let heard = create_at(world, "", &world.partner_token, &body).await;
        assert_refusal(&heard, (400, "invalid_request"));
        assert_eq!(blamed(&heard.2), ["enterpriseId"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_authentic_is_refused() {
    on_each_database(Options::default(), async |world| {
        configure(world, terms(world, PARTNER, "quay")).await;
        let hand = world.network.installation();
        let user = world.member_of(&[PARTNER]).await;
        let revoked = world.issue(new_token(user, TokenKind::Plain)).await;
        hand.revoke_token(revoked.record.id)
            .await
            .expect("a revocation");
        let soon = Timestamp(world.clock.now().0 + 1_000_000);
        let expired = NewToken {
            expires_at: Some(soon),
            ..new_token(user, TokenKind::Plain)
        };
        let expired = world.issue(expired).await;
        world.clock.advance(Duration::from_secs(2));
        let bearer = |token: &str| Some(format!("Bearer {token}"));
        let good = world.partner_token.as_str();
        let cases = [
            (None, "missing_token"),
            (bearer("tlk_0000"), "invalid_token"),
            (bearer(&good.to_uppercase()), "invalid_token"),
            (bearer(&revoked.token), "invalid_token"),
            (bearer(&expired.token), "token_expired"),
            (bearer(""), "malformed_token"),
            (bearer("two words"), "malformed_token"),
            (bearer(&"x".repeat(10_000)), "malformed_token"),
            (Some(good.to_owned()), "malformed_token"),
            (Some(format!("Basic {good}")), "malformed_token"),
        ];
        for (authorization, name) in cases {
            let mut request = world
                .ask(Method::POST, &partners(PARTNER))
                .header("content-type", "application/json")
                .body(minimal("quay").to_string());
            if let Some(authorization) = &authorization {
                request = request.header("authorization", authorization);
            }
            let heard = hear(request).await;
            assert_refusal(&heard, (401, name));
            let renew = heard
                .1
                .get("x-auth-required")
                .is_some_and(|value| value == "true");
            assert_eq!(renew, name == "token_expired", "{authorization:?}");
        }
        assert_eq!(count(world).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enterprise_of_others_looks_like_one_that_does_not_exist() {
    on_each_database(Options::default(), async |world| {
        configure(world, terms(world, PARTNER, "quay")).await;
        let body = minimal("quay").to_string();
        let mut bodies = Vec::new();
        for enterprise in [PARTNER, "nobody", "%00", &"x".repeat(2_000)] {
            let heard = create_at(world, enterprise, &world.client_token, &body).await;
            assert_refusal(&heard, (401, "not_a_member"));
            assert!(!heard.1.contains_key("x-auth-required"));
            bodies.push(without(heard.2, "requestId"));
        }
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");

        // Nor does a membership that has ended let anybody in.
        let user = world.member_of(&[PARTNER]).await;
        let token = world.issue(new_token(user, TokenKind::Plain)).await.token;
        let id: EnterpriseId = PARTNER.parse().expect("an id");
        let hand = world.network.installation();
        hand.put_membership(user, id, None).await.expect("an end");
        let heard = create_at(world, PARTNER, &token, &body).await;
        assert_refusal(&heard, (401, "not_a_member"));
    })
    .await;
}

/// An enterprise of its own, with what is asked for: the token of its member.
async fn newcomer(world: &World, licensed: bool, with_account: bool) -> String {
    let hand = world.network.installation();
    world.license(NEWCOMER, licensed).await;
    let user = world.member_of(&[NEWCOMER]).await;
    if with_account {
        let account = GoAccountId(Uuid::from_u128(0xf1));
        let id = NEWCOMER.parse().expect("an id");
        hand.open_go_account(account, id, "trading".to_owned())
            .await
            .expect("a Go Account");
    }
    let issued = world.issue(new_token(user, TokenKind::Plain)).await;
    issued.token.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_is_forbidden() {
    on_each_database(Options::default(), async |world| {
        configure(world, terms(world, PARTNER, "quay")).await;
        let user = world.member_of(&[PARTNER, CLIENT]).await;
        let (read, write) = ("settlement_network_read", "settlement_network_write");
        let lacking: [(&[Scope], &[&str]); 3] = [
            (&[Scope::Read], &[write]),
            (&[Scope::Write], &[read]),
            (&[], &[read, write]),
        ];
        let body = minimal("quay").to_string();
        for (scopes, missing) in lacking {
            let wanted = NewToken {
                scopes: scopes.to_vec(),
                ..new_token(user, TokenKind::Plain)
            };
            let token = world.issue(wanted).await.token;
            let heard = create_at(world, PARTNER, &token, &body).await;
            assert_refusal(&heard, (403, "scope_missing"));
            let error = heard.2["error"].as_str().expect("a text");
            for scope in [read, write] {
                assert_eq!(error.contains(scope), missing.contains(&scope), "{error}");
            }
        }

        world.license(PARTNER, false).await;
        let heard = create(world, &minimal("quay")).await;
        assert_refusal(&heard, (403, "no_oes_licence"));
        world.license(PARTNER, true).await;
        let (status, _, body) = create(world, &minimal("quay")).await;
        assert_eq!(status, 200, "{body}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_has_not_prepared_is_unprocessable() {
    on_each_database(Options::default(), async |world| {
        let token = newcomer(world, true, false).await;
        let body = minimal("quay").to_string();
        // With neither, the configuration is what is asked for first.
        let heard = create_at(world, NEWCOMER, &token, &body).await;
        assert_refusal(&heard, (422, "partner_configuration_missing"));
        let error = heard.2["error"].as_str().expect("a text");
        assert!(
            error.contains("Partner configuration is missing"),
            "{error}"
        );

        configure(world, terms(world, NEWCOMER, "quay")).await;
        let heard = create_at(world, NEWCOMER, &token, &body).await;
        assert_refusal(&heard, (422, "no_go_account"));

        // A configuration is of one enterprise and one identifier.
        for identifier in ["quay", "Harbour", "harbou"] {
            let heard = create(world, &minimal(identifier)).await;
            assert_refusal(&heard, (422, "partner_configuration_missing"));
        }
        assert_eq!(count(world).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_64_kibibytes_at_most() {
    on_each_database(Options::default(), async |world| {
        configure(world, terms(world, PARTNER, "quay")).await;
        let body = minimal("quay").to_string();
        let padded = |length: usize| format!("{body}{}", " ".repeat(length - body.len()));
        for length in [ROOM + 1, 2 * ROOM] {
            let heard = create_at(world, PARTNER, &world.partner_token, &padded(length)).await;
            assert_refusal(&heard, (413, "body_too_large"));
        }
        let heard = create_at(world, PARTNER, &world.partner_token, &padded(ROOM)).await;
        assert_eq!(heard.0, 200, "{}", heard.2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_json() {
    on_each_database(Options::default(), async |world| {
        configure(world, terms(world, PARTNER, "quay")).await;
        let body = minimal("quay").to_string();
        let send = async |kind: &str| {
            let request = world
                .ask(Method::POST, &partners(PARTNER))
                .bearer_auth(&world.partner_token)
                .header("content-type", kind)
                .body(body.clone());
            hear(request).await
        };
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/xml",
            "json",
        ] {
            assert_refusal(&send(kind).await, (415, "unsupported_media_type"));
        }
        assert_eq!(count(world).await, 1);
        for kind in [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON",
        ] {
            let (status, _, heard) = send(kind).await;
            assert_eq!(status, 200, "{kind}: {heard}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_internal_fault_tells_nothing_of_the_inside() {
    on_each_database(Options::default(), async |world| {
        // Missed when the caller is looked up, and when the partner is decided upon.
        for table in ["memberships", "partners"] {
            configure(world, terms(world, PARTNER, table)).await;
            let user = world.member_of(&[PARTNER]).await;
            let token = world.issue(new_token(user, TokenKind::Plain)).await.token;
            let body = minimal(table).to_string();
            let hide = format!("ALTER TABLE {table} RENAME TO hidden");
            world.database.execute(&hide).await;
            let request = world
                .ask(Method::POST, &partners(PARTNER))
                .bearer_auth(token.as_str())
                .header("content-type", "application/json")
                .header("request-id", "find-me")
                .body(body.clone());
            let heard = hear(request).await;
            let show = format!("ALTER TABLE hidden RENAME TO {table}");
            world.database.execute(&show).await;

            assert_refusal(&heard, (500, "internal_error"));
            assert_eq!(heard.2["requestId"], "find-me");
            let members: Vec<&String> = heard.2.as_object().expect("an object").keys().collect();
            assert_eq!(members, ["error", "name", "requestId"]);
            let told = heard.2.to_string().to_lowercase();
            for inside in [
                table,
                "table",
                "sql",
                "relation",
                "statement",
                "panic",
                ".rs",
            ] {
                assert!(!told.contains(inside), "{told}");
            }
            let (status, _, heard) = create_at(world, PARTNER, &token, &body).await;
            assert_eq!(status, 200, "it works again once it can: {heard}");
        }
    })
    .await;
}
