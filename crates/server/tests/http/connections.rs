//! Connections: C4 to C8 for the client, P2 and P3 for the partner.

mod lists;

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use client::{Client, ClientError, Retry};
use ledger::GoAccountId;
use network::{NewToken, TokenKind};
use reqwest::Method;
use rules::{
    PartnerId,
    record::{PartnerConfiguration, Scope},
};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{
    api::{
        connections::{ConnectionUpdate, NewConnection},
        partners::NewPartner,
    },
    connection_key::{ConnectionKey, ConnectionKeySchema},
    partner_jwt::JwtSigner,
    signature::SigningKey,
};

use crate::fixture::{
    CLIENT, Heard, Options, PARTNER, World, blamed, configuration, enterprise, extended_key,
    jwt_pem, new_partner, new_token, on_each_database, request,
};
use crate::movements::{at_exchange, eventually};

const OWN: &str = "/api/network/v1/enterprises/c11e0000000000000000000000000001";
const SOUTHWIND: &str = "c11e0000000000000000000000000002";

/// How long something that happens by itself may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn content(world: &World, token: &str) -> Value {
    json!({
        "partnerId": world.partner_id.to_string(),
        "name": "main",
        "connectionKey": {"schema": "token", "connectionToken": token},
        "nonce": client::fresh_nonce(),
    })
}

/// A body with the signature over a payload.
fn signed(mut body: Value, payload: &str, key: &SigningKey) -> Value {
    body["signature"] = key.sign(payload).into();
    body["payload"] = payload.into();
    body
}

/// A body that is signed as it stands.
fn signed_as_is(world: &World, body: &Value) -> Value {
    signed(body.clone(), &body.to_string(), &world.client_key)
}

async fn post(world: &World, body: &Value) -> Heard {
    let path = format!("{OWN}/clients/connections");
    let token = Some(world.client_token.as_str());
    world
        .raw(Method::POST, &path, token, Some(&body.to_string()))
        .await
}

async fn get(world: &World, path: &str) -> Heard {
    world
        .raw(Method::GET, path, Some(&world.client_token), None)
        .await
}

/// How the client's connections stand.
async fn listed(world: &World) -> Vec<Value> {
    let (status, _, body) = get(world, &format!("{OWN}/clients/connections")).await;
    assert_eq!(status, 200, "{body}");
    body["connections"].as_array().expect("a list").clone()
}

/// How often the exchange was asked for a connection.
async fn asked(world: &World) -> usize {
    let calls = world.control(Method::GET, "calls", &Value::Null).await;
    let calls = calls["calls"].as_array().expect("calls");
    calls
        .iter()
        .filter(|call| call["call"] == "connect")
        .count()
}

/// The connection, once the worker has brought it to its end.
async fn initialized(world: &World, id: &str) -> Value {
    let path = format!("{OWN}/clients/connections/{id}");
    let found = async {
        loop {
            let (_, _, body) = get(world, &path).await;
            if body["connection"]["initialized"] == true {
                return body["connection"].clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, found).await;
    in_time.expect("the worker asks again")
}

fn assert_refused(heard: &Heard, status: u16, name: &str) {
    assert_eq!(
        (heard.0, &heard.2["name"]),
        (status, &json!(name)),
        "{}",
        heard.2
    );
    assert!(
        heard.2["error"]
            .as_str()
            .is_some_and(|error| !error.is_empty())
    );
}

/// Another partner of the same enterprise.
async fn another_partner(world: &World, identifier: &str, public_key: Option<String>) -> Uuid {
    let exchange = format!("http://{}", world.exchange.address);
    let terms = PartnerConfiguration {
        public_key,
        ..configuration(PARTNER, identifier, &exchange, &world.options)
    };
    let hand = world.network.installation();
    hand.put_configuration(terms)
        .await
        .expect("a configuration");
    let new = NewPartner {
        name: identifier.to_owned(),
        institution_identifier: identifier.to_owned(),
        ..new_partner()
    };
    let created = world.partner.register_partner(&new).await;
    created.expect("a partner").partner.id
}

/// Tells the exchange as which partner it is called.
async fn exchange_is(world: &World, partner: Uuid) {
    let membership = json!({
        "partnerId": partner.to_string(),
        "enterpriseId": PARTNER,
        "token": world.partner_token,
        "signingKey": extended_key(2).xprv().as_str(),
        "networkUrl": world.url,
    });
    world.control(Method::PUT, "partner", &membership).await;
}

/// Another client, of this trust organisation.
async fn southwind(world: &World, trust_org: &str) -> Client {
    let hand = world.network.installation();
    let id = || SOUTHWIND.parse().expect("an id");
    hand.put_enterprise(id(), "Southwind".to_owned(), trust_org.to_owned(), true)
        .await
        .expect("an enterprise");
    let account = GoAccountId(Uuid::from_u128(0xc2));
    hand.open_go_account(account, id(), "trading".to_owned())
        .await
        .expect("a Go Account");
    let key = extended_key(3);
    hand.add_signing_key(account, key.xpub(), "user".to_owned())
        .await
        .expect("a key");
    let user = world.member_of(&[SOUTHWIND]).await;
    let token = world.issue(new_token(user, TokenKind::Plain)).await.token;
    let client = Client::new(&world.url, SOUTHWIND, &token)
        .expect("a client")
        .with_shared_signing_key(Arc::new(key.key))
        .with_retry(Retry::never());
    client.become_client().await.expect("a client");
    client
}

fn new_connection(partner_id: Uuid, name: &str, token: &str) -> NewConnection {
    NewConnection {
        partner_id,
        name: name.to_owned(),
        connection_key: ConnectionKey::Token {
            connection_token: token.to_owned(),
        },
        nonce: client::fresh_nonce(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_signing_helpers_answer_is_accepted_as_it_stands() {
    on_each_database(Options::default(), async |world| {
        let user = world.member_of(&[CLIENT]).await;
        let reader = NewToken {
            scopes: vec![Scope::Read],
            ..new_token(user, TokenKind::Plain)
        };
        let reader = world.issue(reader).await.token.to_string();
        let path = format!("{OWN}/clients/connections/signing");
        // Signing by GET only reads; by POST it needs both scopes as every POST does.
        let ways = [
            (Method::GET, reader.as_str()),
            (Method::GET, world.client_token.as_str()),
            (Method::POST, world.client_token.as_str()),
        ];
        for (made, (method, token)) in ways.into_iter().enumerate() {
            let (account, connection_token) = world.exchange_account().await;
            let body = content(world, &connection_token);
            let text = body.to_string();
            let (status, _, helped) = world.raw(method, &path, Some(token), Some(&text)).await;
            assert_eq!(status, 200, "{helped}");
            assert_eq!(helped.as_object().expect("an object").len(), 1, "{helped}");
            let payload = helped["payload"].as_str().expect("a text");
            let said: Value = serde_json::from_str(payload).expect("JSON");
            assert_eq!(said, body, "the payload says what the body says");
            assert_eq!(listed(world).await.len(), made, "a helper makes nothing");

            let signed = signed(body.clone(), payload, &world.client_key);
            let (status, _, opened) = post(world, &signed).await;
            assert_eq!(status, 200, "{opened}");
            let connection = &opened["connection"];
            let own = world.client.become_client().await.expect("the client");
            let accounts = world.control(Method::GET, "accounts", &Value::Null).await;
            let accounts = accounts["accounts"].as_array().expect("accounts");
            let theirs = accounts
                .iter()
                .find(|one| one["accountId"] == account.as_str());
            assert!(theirs.is_some());
            let proof = connection["proof"].as_str().expect("a text");
            let proof = STANDARD.decode(proof).expect("base64");
            let proof: Value = serde_json::from_slice(&proof).expect("JSON");
            assert_eq!(proof["signature"], signed["signature"]);
            assert_eq!(proof["publicKey"], world.client_key.public_key().to_hex());
            assert!(proof["digest"].is_string());
            let text_of = |member: &str| {
                let value = connection[member].as_str();
                value.filter(|text| !text.is_empty()).expect(member)
            };
            assert_eq!(
                *connection,
                json!({
                    "id": text_of("id"),
                    "name": "main",
                    "clientId": own.client.id.to_string(),
                    "partnerId": world.partner_id.to_string(),
                    "networkAccountId": text_of("networkAccountId"),
                    "createdAt": text_of("createdAt"),
                    "updatedAt": text_of("updatedAt"),
                    "active": true,
                    "proof": connection["proof"],
                    "nonce": body["nonce"],
                    "partnersConnectionId": text_of("partnersConnectionId"),
                    "partnersClientId": text_of("partnersClientId"),
                    "initialized": true,
                })
            );
        }
        let text = content(world, "x").to_string();
        let heard = world
            .raw(Method::POST, &path, Some(&reader), Some(&text))
            .await;
        assert_refused(&heard, 403, "scope_missing");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn helpers_and_connecting_refuse_what_the_partner_does_not_take() {
    on_each_database(Options::default(), async |world| {
        let stopped = another_partner(world, "stopped", None).await;
        let hand = world.network.installation();
        hand.update_partner(PartnerId(stopped), Some(false), None)
            .await
            .expect("a stop");
        let other_key = json!({"schema": "apiKeyAndSecret", "apiKey": "k", "apiSecret": "s"});
        let cases = [
            (
                json!({"connectionKey": other_key}),
                422,
                "connection_key_schema_mismatch",
            ),
            (
                json!({"partnerId": stopped.to_string()}),
                422,
                "partner_inactive",
            ),
            (
                json!({"partnerId": Uuid::new_v4().to_string()}),
                404,
                "partner_not_found",
            ),
        ];
        for (change, status, name) in cases {
            let mut body = content(world, "x");
            let members = change.as_object().expect("members").clone();
            body.as_object_mut().expect("an object").extend(members);
            let text = body.to_string();
            let path = format!("{OWN}/clients/connections/signing");
            for method in [Method::GET, Method::POST] {
                let token = Some(world.client_token.as_str());
                let heard = world.raw(method, &path, token, Some(&text)).await;
                assert_refused(&heard, status, name);
            }
            assert_refused(
                &post(world, &signed_as_is(world, &body)).await,
                status,
                name,
            );
        }
        assert!(listed(world).await.is_empty());
        assert_eq!(asked(world).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_connection_is_told_all_its_faults_at_once() {
    on_each_database(Options::default(), async |world| {
        let schema = |key: Value| json!({"connectionKey": key});
        let cases: [(Value, &[&str]); 9] = [
            (json!({"partnerId": "x"}), &["partnerId"]),
            (json!({"name": "", "nonce": 1}), &["name", "nonce"]),
            (json!({"connectionKey": "x"}), &["connectionKey"]),
            (schema(json!({})), &["connectionKey.schema"]),
            (
                schema(json!({"schema": "password"})),
                &["connectionKey.schema"],
            ),
            (
                schema(json!({"schema": "token"})),
                &["connectionKey.connectionToken"],
            ),
            (
                schema(json!({"schema": "tokenAndSignature", "connectionToken": ""})),
                &["connectionKey.connectionToken", "connectionKey.signature"],
            ),
            (
                schema(json!({"schema": "clearloop", "apiKey": 1, "apiSecret": null})),
                &[
                    "connectionKey.apiKey",
                    "connectionKey.apiSecret",
                    "connectionKey.clientAccountId",
                    "connectionKey.companyRegistrationNumber",
                ],
            ),
            (
                json!({"partnerId": 1, "name": null, "connectionKey": [], "nonce": ""}),
                &["connectionKey", "name", "nonce", "partnerId"],
            ),
        ];
        for (change, fields) in cases {
            let mut body = content(world, "x");
            let members = change.as_object().expect("members").clone();
            body.as_object_mut().expect("an object").extend(members);
            let text = body.to_string();
            let path = format!("{OWN}/clients/connections/signing");
            for method in [Method::GET, Method::POST] {
                let token = Some(world.client_token.as_str());
                let (status, _, heard) = world.raw(method, &path, token, Some(&text)).await;
                assert_eq!(
                    (status, blamed(&heard).as_slice()),
                    (400, fields),
                    "{heard}"
                );
            }
            let (status, _, heard) = post(world, &signed_as_is(world, &body)).await;
            assert_eq!(
                (status, blamed(&heard).as_slice()),
                (400, fields),
                "{heard}"
            );
        }
        let unsigned = content(world, "x");
        let (status, _, heard) = post(world, &unsigned).await;
        assert_eq!(
            (status, blamed(&heard)),
            (400, vec!["payload", "signature"])
        );
        assert!(listed(world).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_says_what_the_body_says_and_nothing_else() {
    on_each_database(Options::default(), async |world| {
        let (_, token) = world.exchange_account().await;
        let body = content(world, &token);
        let altered = |member: &str, value: Value| {
            let mut payload = body.clone();
            payload[member] = value;
            payload.to_string()
        };
        let mut lacking = body.clone();
        lacking
            .as_object_mut()
            .expect("members")
            .remove("connectionKey");
        let key = json!({"schema": "token", "connectionToken": "another"});
        let contradictions = [
            altered("partnerId", Uuid::new_v4().to_string().into()),
            altered("name", "other".into()),
            altered("nonce", "other".into()),
            altered("connectionKey", key),
            altered("enterpriseId", SOUTHWIND.into()),
            altered("amount", 1.into()),
            lacking.to_string(),
            body.to_string().replacen('{', "{\"name\":\"main\",", 1),
            "[]".to_owned(),
            "x".to_owned(),
        ];
        for payload in &contradictions {
            let request = signed(body.clone(), payload, &world.client_key);
            let heard = post(world, &request).await;
            assert_refused(&heard, 400, "invalid_request");
        }
        for signature in ["xyz", &"0".repeat(128), &"z".repeat(130)] {
            let mut request = signed_as_is(world, &body);
            request["signature"] = signature.into();
            let heard = post(world, &request).await;
            assert_refused(&heard, 400, "invalid_request");
            assert_eq!(blamed(&heard.2), ["signature"]);
        }
        let by_another = signed(body.clone(), &body.to_string(), &extended_key(9).key);
        let heard = post(world, &by_another).await;
        assert_refused(&heard, 401, "signature_not_verified");
        assert!(!heard.1.contains_key("x-auth-required"));
        assert!(listed(world).await.is_empty());

        // Order and white space are free, the path's enterprise may be said, `encrypt` means nothing.
        let payload = json!({
            "nonce": body["nonce"],
            "enterpriseId": CLIENT,
            "connectionKey": body["connectionKey"],
            "name": "main",
            "partnerId": body["partnerId"],
        });
        let payload = serde_json::to_string_pretty(&payload).expect("JSON");
        let mut request = signed(body.clone(), &payload, &world.client_key);
        request["encrypt"] = true.into();
        let (status, _, heard) = post(world, &request).await;
        assert_eq!(status, 200, "{heard}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_with_a_public_key_takes_sealed_keys_only() {
    on_each_database(Options::default(), async |world| {
        let pem = JwtSigner::from_pem(jwt_pem())
            .expect("a key")
            .public_key_pem();
        let partner = another_partner(world, "sealed", Some(pem.clone())).await;
        let client = world.client.clone();
        let plain = client.connect(new_connection(partner, "plain", "x")).await;
        let refusal = refusal(plain);
        assert_eq!(refusal.0, 422);
        assert_eq!(refusal.1, "connection_key_not_sealed");
        assert!(listed(world).await.is_empty());

        // Sealed, it is passed on as it came; the exchange that cannot open it refuses it.
        exchange_is(world, partner).await;
        let key = ConnectionKey::Token {
            connection_token: "x".to_owned(),
        };
        let new = NewConnection {
            connection_key: key.seal(&pem).expect("a sealed key"),
            ..new_connection(partner, "sealed", "x")
        };
        let sealed = client.connect(new).await;
        assert_eq!(self::refusal(sealed).1, "rejected_by_partner");
        assert_eq!(asked(world).await, 1);
    })
    .await;
}

/// Status and name of a refusal.
fn refusal<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> (u16, String) {
    let error = outcome.expect_err("a refusal");
    let refusal = error.refusal().expect("an answer");
    (refusal.status, refusal.name.clone().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_connect_within_their_trust_organisation_and_as_clients() {
    on_each_database(Options::default(), async |world| {
        let client = southwind(world, "Elsewhere").await;
        let outcome = client
            .connect(new_connection(world.partner_id, "x", "x"))
            .await;
        let (status, name) = refusal(outcome);
        assert_eq!((status, name.as_str()), (422, "trust_org_mismatch"));
        let none = client.client_connections(&Default::default()).await;
        assert!(none.expect("a list").connections.is_empty());

        let id = "c11e0000000000000000000000000003";
        let key = extended_key(4);
        let account = GoAccountId(Uuid::from_u128(0xc3));
        let token = enterprise(&world.network, id, "Nobody", account, &key).await;
        let nobody = Client::new(&world.url, id, &token)
            .expect("a client")
            .with_shared_signing_key(Arc::new(key.key))
            .with_retry(Retry::never());
        let outcome = nobody
            .connect(new_connection(world.partner_id, "x", "x"))
            .await;
        assert_eq!(refusal(outcome), (404, "client_not_found".to_owned()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_partner_rejects_stays_as_a_record_of_that() {
    on_each_database(Options::default(), async |world| {
        world
            .script_faults(json!([{"call": "connect", "times": 1, "action": "reject"}]))
            .await;
        let (_, token) = world.exchange_account().await;
        let request = signed_as_is(world, &content(world, &token));
        let heard = post(world, &request).await;
        assert_refused(&heard, 422, "rejected_by_partner");

        let all = listed(world).await;
        assert_eq!(all.len(), 1);
        let rejected = &all[0];
        assert_eq!(rejected["active"], false);
        assert_eq!(rejected["initialized"], false);
        assert_eq!(rejected["partnersConnectionId"], Value::Null);
        assert_eq!(rejected["partnersClientId"], Value::Null);

        // The partner has said its last word, and so has the network.
        let again = post(world, &request).await;
        assert_refused(&again, 422, "rejected_by_partner");
        assert_eq!(again.2["error"], heard.2["error"]);
        assert_eq!(asked(world).await, 1);
        let id = rejected["id"].as_str().expect("an id");
        let path = format!("{OWN}/clients/connections/{id}");
        let token = Some(world.client_token.as_str());
        let body = Some(r#"{"active":true}"#);
        let resumed = world.raw(Method::PUT, &path, token, body).await;
        assert_refused(&resumed, 422, "connection_rejected");
        assert_eq!(listed(world).await, all);

        // A token that was used already is rejected by the exchange itself.
        let (_, token) = world.exchange_account().await;
        let (status, _, body) = post(world, &signed_as_is(world, &content(world, &token))).await;
        assert_eq!(status, 200, "{body}");
        let used = post(world, &signed_as_is(world, &content(world, &token))).await;
        assert_refused(&used, 422, "rejected_by_partner");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_does_not_answer_is_asked_again_by_the_network_itself() {
    on_each_database(Options::default(), async |world| {
        for action in ["error500", "hangUpBefore", "hangUpAfter"] {
            let before = asked(world).await;
            world
                .script_faults(json!([{"call": "connect", "times": 1, "action": action}]))
                .await;
            let (_, token) = world.exchange_account().await;
            let (status, _, body) =
                post(world, &signed_as_is(world, &content(world, &token))).await;
            assert_eq!(status, 200, "{action}: {body}");
            let waiting = &body["connection"];
            assert_eq!(waiting["initialized"], false, "{action}");
            assert_eq!(waiting["active"], true);
            for member in ["partnersConnectionId", "partnersClientId"] {
                // There, and null: the contract has both required.
                assert_eq!(waiting.get(member), Some(&Value::Null), "{action}");
            }
            let id = waiting["id"].as_str().expect("an id");
            let done = initialized(world, id).await;
            assert!(done["partnersConnectionId"].is_string());
            assert!(done["partnersClientId"].is_string());
            for member in [
                "id",
                "name",
                "nonce",
                "proof",
                "createdAt",
                "networkAccountId",
            ] {
                assert_eq!(done[member], waiting[member], "{member}");
            }
            assert_eq!(asked(world).await, before + 2, "{action}");
        }
        assert_eq!(listed(world).await.len(), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_again_answers_the_same_connection() {
    on_each_database(Options::default(), async |world| {
        let (_, token) = world.exchange_account().await;
        let body = content(world, &token);
        let request = signed_as_is(world, &body);
        let (a, b, c) = tokio::join!(
            post(world, &request),
            post(world, &request),
            post(world, &request)
        );
        let ids = [a, b, c].map(|(status, _, body)| {
            assert_eq!(status, 200, "{body}");
            body["connection"]["id"].clone()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        let (status, _, again) = post(world, &request).await;
        assert_eq!(
            (status, &again["connection"]),
            (200, &listed(world).await[0])
        );
        assert_eq!(listed(world).await.len(), 1);
        assert_eq!(asked(world).await, 1, "the partner is asked once");

        // With other bytes the nonce is taken, however little they differ; so it is elsewhere.
        let mut other = body.clone();
        other["name"] = "other".into();
        let spaced = serde_json::to_string_pretty(&body).expect("JSON");
        for request in [
            signed_as_is(world, &other),
            signed(body.clone(), &spaced, &world.client_key),
        ] {
            assert_eq!(post(world, &request).await.0, 409);
        }
        let connection = ids[0].as_str().expect("an id").parse().expect("a UUID");
        let nonce = body["nonce"].as_str().expect("a text").to_owned();
        let reused = wire::api::allocations::NewAllocation {
            nonce,
            ..self::request("ofcbtc", 1, "a")
        };
        assert_eq!(
            refusal(world.client.allocate(connection, reused).await).0,
            409
        );
        assert_eq!(listed(world).await.len(), 1);
        assert_eq!(world.allocated(connection, "ofcbtc").await, (0, 0));

        // A nonce belongs to one enterprise.
        let neighbour = southwind(world, "Meridian").await;
        let (_, token) = world.exchange_account().await;
        let new = NewConnection {
            nonce: body["nonce"].as_str().expect("a text").to_owned(),
            ..new_connection(world.partner_id, "x", &token)
        };
        neighbour.connect(new).await.expect("a connection");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_renames_stops_and_resumes() {
    on_each_database(Options::default(), async |world| {
        let (id, account) = world.connect().await;
        let path = format!("{OWN}/clients/connections/{id}");
        let put = async |body: &str| {
            let token = Some(world.client_token.as_str());
            world.raw(Method::PUT, &path, token, Some(body)).await
        };
        let (_, _, before) = get(world, &path).await;
        let (status, _, same) = put("{}").await;
        assert_eq!((status, &same), (200, &before), "what is left out stays");
        let (status, _, same) = put(r#"{"active":null,"name":null}"#).await;
        assert_eq!((status, &same), (200, &before));

        let allocate = async |id_text: &str| {
            let outcome = world
                .client
                .allocate(id, request("ofcbtc", 10, id_text))
                .await;
            outcome.map(drop).map_err(|error| {
                let refusal = error.refusal().expect("an answer");
                (refusal.status, refusal.name.clone().unwrap_or_default())
            })
        };
        allocate("a-1").await.expect("an allocation");
        // The exchange can give back only what it was told to credit.
        eventually("the exchange credits", async || {
            (at_exchange(world, &account).await == (10, 0)).then_some(())
        })
        .await;
        let (status, _, renamed) = put(r#"{"name":"ünder, way"}"#).await;
        assert_eq!(status, 200, "{renamed}");
        let mut expected = before.clone();
        expected["connection"]["name"] = "ünder, way".into();
        expected["connection"]["updatedAt"] = renamed["connection"]["updatedAt"].clone();
        assert_eq!(renamed, expected);
        assert!(time(&renamed, "updatedAt") > time(&before, "updatedAt"));

        let (status, _, stopped) = put(r#"{"active":false}"#).await;
        assert_eq!(status, 200, "{stopped}");
        assert_eq!(stopped["connection"]["active"], false);
        assert_eq!(stopped["connection"]["name"], "ünder, way");
        assert_eq!(
            allocate("a-2").await,
            Err((422, "connection_inactive".to_owned()))
        );
        world
            .client
            .deallocate(id, request("ofcbtc", 4, "d-1"))
            .await
            .expect("money comes back over a stopped connection");
        assert_eq!(world.allocated(id, "ofcbtc").await, (6, 0));

        let (status, _, resumed) = put(r#"{"active":true,"name":"back"}"#).await;
        assert_eq!(status, 200, "{resumed}");
        assert_eq!(resumed["connection"]["active"], true);
        assert_eq!(resumed["connection"]["name"], "back");
        allocate("a-3").await.expect("an allocation");

        let wrong: [(&str, &[&str]); 6] = [
            (r#"{"name":""}"#, &["name"]),
            (r#"{"name":1,"active":"false"}"#, &["active", "name"]),
            (r#"{"active":0}"#, &["active"]),
            ("[]", &[""]),
            ("", &[""]),
            (r#"{"name":"a","name":"b"}"#, &["name"]),
        ];
        for (body, fields) in wrong {
            let (status, _, heard) = put(body).await;
            assert_eq!(
                (status, blamed(&heard).as_slice()),
                (400, fields),
                "{body}: {heard}"
            );
        }
        let (_, _, after) = get(world, &path).await;
        assert_eq!(after, resumed);
    })
    .await;
}

fn time(body: &Value, member: &str) -> jiff::Timestamp {
    let text = body["connection"][member].as_str().expect("a text");
    text.parse().expect("a time")
}

/// Fails unless the tables of the database hold the text, as it is or as bytes, or do not hold it.
fn search_postgres(text: &str, is_there: bool) -> String {
    let bytes = hex::encode(text);
    format!(
        "DO $$ DECLARE t name; rows bigint; found bigint := 0; BEGIN
            FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
                EXECUTE format('SELECT count(*) FROM %I AS r WHERE r::text ~ %L', t, '{text}|{bytes}')
                    INTO rows;
                found := found + rows;
            END LOOP;
            IF (found > 0) <> {is_there} THEN RAISE EXCEPTION '% rows', found; END IF;
        END $$"
    )
}

/// The files of a SQLite database in which the text stands.
fn files_with(world: &World, text: &str) -> Vec<String> {
    let folder = world.database.folder().expect("a folder");
    let files = std::fs::read_dir(folder).expect("the folder");
    let holds = |path: &std::path::Path| {
        let bytes = std::fs::read(path).expect("a file");
        let in_hex = hex::encode(text);
        [text.as_bytes(), in_hex.as_bytes()]
            .iter()
            .any(|wanted| bytes.windows(wanted.len()).any(|window| window == *wanted))
    };
    files
        .map(|file| file.expect("a file").path())
        .filter(|path| holds(path))
        .map(|path| path.display().to_string())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_keys_are_shown_to_nobody_and_kept_in_clear_nowhere() {
    on_each_database(Options::default(), async |world| {
        let mut secrets = Vec::new();
        let mut told = String::new();
        // Accepted, rejected, and not answered yet.
        for action in [None, Some("reject"), Some("error500")] {
            let faults = match action {
                Some(action) => json!([{"call": "connect", "times": 9, "action": action}]),
                None => json!([]),
            };
            world.script_faults(faults).await;
            let (_, token) = world.exchange_account().await;
            let request = signed_as_is(world, &content(world, &token));
            for _ in 0..2 {
                let (_, headers, body) = post(world, &request).await;
                told.push_str(&format!("{headers:?} {body}"));
            }
            let mut spoiled = request.clone();
            spoiled["name"] = "other".into();
            told.push_str(&post(world, &spoiled).await.2.to_string());
            secrets.push(token);
        }
        let wrong = json!({"connectionKey": {"schema": secrets[0], "connectionToken": secrets[1]}, "name": 1});
        told.push_str(&post(world, &wrong).await.2.to_string());
        let partner = format!("/api/network/v1/enterprises/{PARTNER}/partners/connections");
        let theirs = Some(world.partner_token.as_str());
        for connection in listed(world).await {
            let id = connection["id"].as_str().expect("an id").to_owned();
            let own = format!("{OWN}/clients/connections/{id}");
            told.push_str(&connection.to_string());
            told.push_str(&get(world, &own).await.2.to_string());
            let seen = world.raw(Method::GET, &format!("{partner}/{id}"), theirs, None).await;
            told.push_str(&seen.2.to_string());
            let proof = STANDARD.decode(connection["proof"].as_str().expect("a text"));
            told.push_str(&String::from_utf8_lossy(&proof.expect("base64")));
        }
        told.push_str(&world.raw(Method::GET, &partner, theirs, None).await.2.to_string());
        for secret in &secrets {
            assert!(!told.contains(secret.as_str()), "{told}");
            match world.database.folder() {
                Some(_) => assert_eq!(files_with(world, secret), Vec::<String>::new()),
                None => world.database.execute(&search_postgres(secret, false)).await,
            }
        }
        // The search finds what is there.
        match world.database.folder() {
            Some(_) => assert_ne!(files_with(world, PARTNER), Vec::<String>::new()),
            None => world.database.execute(&search_postgres(PARTNER, true)).await,
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_schemas_of_keys_reach_the_partner_that_asks_for_them() {
    on_each_database(Options::default(), async |world| {
        let exchange = format!("http://{}", world.exchange.address);
        let hand = world.network.installation();
        let keys = [
            (
                ConnectionKeySchema::TokenAndSignature,
                json!({"schema": "tokenAndSignature", "connectionToken": "t-1", "signature": "s-1"}),
            ),
            (
                ConnectionKeySchema::ApiKeyAndSecret,
                json!({"schema": "apiKeyAndSecret", "apiKey": "k-1", "apiSecret": "s-2"}),
            ),
            (
                ConnectionKeySchema::Clearloop,
                json!({
                    "schema": "clearloop",
                    "apiKey": "k-2",
                    "apiSecret": "s-3",
                    "clientAccountId": "account",
                    "companyRegistrationNumber": "number",
                }),
            ),
        ];
        for (schema, key) in keys {
            let identifier = schema.as_str();
            hand.put_configuration(configuration(PARTNER, identifier, &exchange, &world.options))
                .await
                .expect("a configuration");
            let new = NewPartner {
                institution_identifier: identifier.to_owned(),
                connection_key_schema: schema,
                ..new_partner()
            };
            let created = world.partner.register_partner(&new).await;
            let partner = created.expect("a partner").partner.id;
            exchange_is(world, partner).await;
            let mut body = content(world, "x");
            body["partnerId"] = partner.to_string().into();
            body["connectionKey"] = key;
            // This exchange takes tokens only, which it says by refusing.
            let heard = post(world, &signed_as_is(world, &body)).await;
            assert_refused(&heard, 422, "rejected_by_partner");
            let token = json!({"schema": "token", "connectionToken": "t"});
            body["connectionKey"] = token;
            body["nonce"] = client::fresh_nonce().into();
            let heard = post(world, &signed_as_is(world, &body)).await;
            assert_refused(&heard, 422, "connection_key_schema_mismatch");
        }
        assert_eq!(asked(world).await, 3);
    })
    .await;
}
