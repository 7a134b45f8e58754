//! Allocating and deallocating: what is accepted, what is refused and with which body, and what
//! both sides read afterwards (C9 to C14, P4, P5).

mod lists;

use std::sync::Arc;

use ledger::{Amount, GoAccountId};
use reqwest::Method;
use rules::record::{AmountFormat, PartnerConfiguration};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::api::{
    allocations::NewAllocation,
    connections::{ConnectionUpdate, NewConnection},
};
use wire::connection_key::ConnectionKey;

use crate::fixture::{
    CLIENT, INSTITUTION, Options, World, configuration, deposit, enterprise, extended_key,
    on_each_database, request,
};
use crate::movements::{
    KINDS, Kind, Said, SignedRequest, appears, ask, at_exchange, called, calls, clients, fault,
    idle, members, partners, prepare, record, send, send_as, stands, stock, stocked, text,
};

const OTHER: &str = "07e20000000000000000000000000001";

/// The names of a record's members in the answer to a POST, apart from those that a state has.
const ALWAYS: [&str; 9] = [
    "amount",
    "clientExternalId",
    "connectionId",
    "createdAt",
    "id",
    "initiatedBy",
    "retriable",
    "status",
    "updatedAt",
];

fn with(more: &[&'static str]) -> Vec<&'static str> {
    let mut names = [&ALWAYS, more].concat();
    names.sort_unstable();
    names
}

async fn get(world: &World, token: &str, path: &str, body: Option<&str>) -> Said {
    let (status, headers, body) = world.raw(Method::GET, path, Some(token), body).await;
    Said {
        status,
        headers,
        body,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_partner_accepts_is_cleared_and_told() {
    on_each_database(idle(), async |world| {
        for kind in KINDS {
            let (connection, account) = stocked(world, kind).await;
            let source = kind.source(world, connection).await;
            let target = kind.target(world, connection).await;
            let new = NewAllocation {
                notes: Some("for the desk".to_owned()),
                ..request("ofcbtc", 400, "first")
            };

            let said = ask(world, kind, connection, new).await.cleared(kind);
            assert_eq!(members(&said.body), [kind.noun()]);
            let posted = said.record(kind);
            assert_eq!(members(posted), with(&["notes", "partnerExternalId"]));
            let amount = json!({"currency": "ofcbtc", "quantity": "400"});
            assert_eq!(posted["amount"], amount);
            assert_eq!(posted["connectionId"], connection.to_string());
            assert_eq!(posted["clientExternalId"], "first");
            assert_eq!(posted["notes"], "for the desk");
            assert_eq!(posted["retriable"], false);
            let user = text(&posted["initiatedBy"]);
            assert!(user.len() == 32 && user.bytes().all(|b| b.is_ascii_hexdigit()));

            assert_eq!(kind.source(world, connection).await, (source.0 - 400, 0));
            assert_eq!(kind.target(world, connection).await, (target.0 + 400, 0));

            // GET shows the same, and says of which type it is.
            let id = said.id(kind);
            let mut expected = posted.clone();
            expected["type"] = kind.noun().into();
            expected["reason"] = Value::Null;
            assert_eq!(record(world, &id).await, expected);

            // So does the partner's view, in the partner's words.
            let path = format!("{}/allocations/{id}", partners());
            let seen = get(world, &world.partner_token, &path, None).await;
            expected["amount"] = json!({"currency": "BTC", "quantity": "400"});
            assert_eq!(seen.body, json!({"allocation": expected}));

            // The exchange is told of the commit, and only then credits or debits.
            let steps = kind.calls();
            called(world, &id, &[steps.reserve, steps.clear]).await;
            stands(world, &id, "cleared").await;
            let left = match kind {
                Kind::Allocation => 400,
                Kind::Deallocation => 600,
            };
            assert_eq!(at_exchange(world, &account).await, (left, 0));
        }
    })
    .await;
}

/// A refusal by a rule: the record is there, nothing has moved, and the partner was not asked.
async fn refused_by_a_rule(
    world: &World,
    kind: Kind,
    connection: Uuid,
    (ticker, units): (&str, i128),
    name: &str,
) {
    let before = (
        world.custody(ticker).await,
        world.allocated(connection, ticker).await,
    );
    let external_id = format!("{name}-{units}-{connection}");
    let new = request(ticker, units, &external_id);
    let said = ask(world, kind, connection, new).await.released(kind, name);
    let mut expected = vec!["error", "name", "requestId", kind.noun()];
    expected.sort_unstable();
    assert_eq!(members(&said.body), expected);
    let posted = said.record(kind);
    assert_eq!(members(posted), with(&["reason"]));
    assert_eq!(posted["amount"]["quantity"], units.to_string());
    assert_eq!(posted["amount"]["currency"], ticker);

    let mut listed = posted.clone();
    listed["type"] = kind.noun().into();
    assert_eq!(record(world, &said.id(kind)).await, listed);
    let after = (
        world.custody(ticker).await,
        world.allocated(connection, ticker).await,
    );
    assert_eq!(after, before);
    assert_eq!(calls(world, &said.id(kind)).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_refuses_is_answered_with_its_released_record() {
    on_each_database(idle(), async |world| {
        deposit(&world.network, world.client_account, "ofcdoge", 10).await;
        let (connection, _) = world.connect().await;
        let (up, down) = (Kind::Allocation, Kind::Deallocation);

        // The partner takes no dogecoin, although the client has some.
        refused_by_a_rule(
            world,
            up,
            connection,
            ("ofcdoge", 5),
            "currency_not_supported",
        )
        .await;
        // More than there is, by one and by far.
        for units in [1_000_000_001, Amount::MAX.units()] {
            let much = ("ofcbtc", units);
            refused_by_a_rule(world, up, connection, much, "insufficient_available").await;
        }
        stock(world, connection, 100).await;
        let much = ("ofcbtc", 101);
        refused_by_a_rule(world, down, connection, much, "insufficient_allocated").await;
        let nothing = ("ofcusdt", 1);
        refused_by_a_rule(world, down, connection, nothing, "insufficient_allocated").await;

        // What one connection has cannot be taken from another.
        let (empty, _) = world.connect().await;
        let one = ("ofcbtc", 1);
        refused_by_a_rule(world, down, empty, one, "insufficient_allocated").await;

        // A stopped connection and a stopped partner take nothing more, and give all back.
        let switch = async |active| {
            let update = ConnectionUpdate {
                active: Some(active),
                name: None,
            };
            let updated = world.client.update_connection(connection, &update).await;
            assert_eq!(updated.expect("an update").connection.active, active);
        };
        switch(false).await;
        refused_by_a_rule(world, up, connection, one, "connection_inactive").await;
        let new = request("ofcbtc", 10, "out of a stopped connection");
        ask(world, down, connection, new).await.cleared(down);
        switch(true).await;
        let new = request("ofcbtc", 1, "running again");
        ask(world, up, connection, new).await.cleared(up);

        let hand = world.network.operator(world.operator);
        let partner = rules::PartnerId(world.partner_id);
        let stopped = hand.update_partner(partner, Some(false), None).await;
        stopped.expect("a stopped partner");
        refused_by_a_rule(world, up, connection, one, "partner_inactive").await;
        let new = request("ofcbtc", 10, "out of a stopped partner");
        ask(world, down, connection, new).await.cleared(down);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_connection_that_the_partner_has_not_accepted_nothing_moves() {
    on_each_database(idle(), async |world| {
        fault(world, "connect", 1, "error500").await;
        let (_, connection_token) = world.exchange_account().await;
        let opened = world.client.connect(NewConnection {
            partner_id: world.partner_id,
            name: "main".to_owned(),
            connection_key: ConnectionKey::Token { connection_token },
            nonce: client::fresh_nonce(),
        });
        let connection = opened.await.expect("a connection").connection;
        assert!(!connection.initialized);
        for kind in KINDS {
            let name = "connection_not_initialized";
            refused_by_a_rule(world, kind, connection.id, ("ofcbtc", 1), name).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agreed_limits_bound_every_allocation_and_the_sum_of_those_that_are_open() {
    let options = Options {
        allocations: rules::record::Answering::Asynchronous,
        ..idle()
    };
    on_each_database(options, async |world| {
        let (connection, _) = world.connect().await;
        let exchange = format!("http://{}", world.exchange.address);
        let mut terms: PartnerConfiguration = configuration(
            crate::fixture::PARTNER,
            INSTITUTION,
            &exchange,
            &world.options,
        );
        let amount = |units| Amount::new(units).ok();
        terms.currencies[0].minimum = amount(10);
        terms.currencies[0].maximum = amount(100);
        terms.currencies[0].open_total = amount(150);
        let hand = world.network.operator(world.operator);
        hand.put_configuration(terms).await.expect("limits");

        let kind = Kind::Allocation;
        refused_by_a_rule(world, kind, connection, ("ofcbtc", 9), "below_minimum").await;
        refused_by_a_rule(world, kind, connection, ("ofcbtc", 101), "above_maximum").await;
        let take = async |units: i128, id: &str| {
            ask(world, kind, connection, request("ofcbtc", units, id)).await
        };
        let first = take(100, "largest").await.waiting(kind);
        let more = ("ofcbtc", 51);
        refused_by_a_rule(world, kind, connection, more, "open_total_exceeded").await;
        take(50, "up to the total").await.waiting(kind);
        let smallest = ("ofcbtc", 10);
        refused_by_a_rule(world, kind, connection, smallest, "open_total_exceeded").await;
        // Other currencies have no limits.
        ask(world, kind, connection, request("ofceth", 1, "eth"))
            .await
            .waiting(kind);

        // What is answered is not open any more.
        stands(world, &first.id(kind), "pending").await;
        let verdict = json!({"id": first.id(kind), "status": "cleared"});
        let told = world.control(Method::POST, "answers", &verdict).await;
        assert_eq!(told["network"]["status"], 200, "{told}");
        take(100, "room again").await.waiting(kind);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_partner_refuses_is_released_for_the_partners_reason() {
    on_each_database(idle(), async |world| {
        for kind in KINDS {
            let (connection, account) = stocked(world, kind).await;
            let before = kind.source(world, connection).await;
            fault(world, kind.calls().reserve, 1, "reject").await;
            let said = ask(world, kind, connection, request("ofcbtc", 400, "no")).await;
            let said = said.released(kind, "rejected_by_partner");
            let reason = text(&said.record(kind)["reason"]);
            assert!(reason.contains("rejected as the script says"), "{reason}");
            assert_eq!(kind.source(world, connection).await, before);
            called(world, &said.id(kind), &[kind.calls().reserve]).await;

            if kind == Kind::Deallocation {
                // Open orders lock what they need.
                let order = json!({"accountId": account, "currency": "BTC", "quantity": "700"});
                world.control(Method::POST, "orders", &order).await;
                let said = ask(world, kind, connection, request("ofcbtc", 301, "used")).await;
                said.released(kind, "rejected_by_partner");
                assert_eq!(kind.source(world, connection).await, before);
                let said = ask(world, kind, connection, request("ofcbtc", 300, "free")).await;
                said.cleared(kind);
            }
        }
    })
    .await;
}

/// The content of a request, for tests that change one thing in it.
fn content(nonce: &str) -> Value {
    json!({
        "amount": {"currency": "ofcbtc", "quantity": "40"},
        "clientExternalId": "the one",
        "nonce": nonce,
        "notes": "a note",
    })
}

/// Content with one member, by its path, set to another value; `null` takes it out.
fn changed(mut content: Value, member: &str, value: &Value) -> Value {
    let (holder, name) = match member.split_once('.') {
        Some((holder, name)) => (&mut content[holder], name),
        None => (&mut content, member),
    };
    if value.is_null() {
        holder.as_object_mut().expect("an object").remove(name);
    } else {
        holder[name] = value.clone();
    }
    content
}

async fn nothing_is_recorded(world: &World) {
    let path = format!("{}/allocations", clients());
    let all = get(world, &world.client_token, &path, None).await;
    assert_eq!(all.body, json!({"allocations": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused_with_all_their_faults() {
    on_each_database(idle(), async |world| {
        let (connection, _) = world.connect().await;
        let long = "x".repeat(513);
        let digits = "9".repeat(39);
        let cases = [
            ("amount", Value::Null, vec!["amount"]),
            ("amount", json!("40"), vec!["amount"]),
            (
                "amount",
                json!({}),
                vec!["amount.currency", "amount.quantity"],
            ),
            ("amount.currency", Value::Null, vec!["amount.currency"]),
            ("amount.currency", json!(""), vec!["amount.currency"]),
            ("amount.quantity", Value::Null, vec!["amount.quantity"]),
            ("amount.quantity", json!(40), vec!["amount.quantity"]),
            ("amount.quantity", json!(""), vec!["amount.quantity"]),
            ("amount.quantity", json!("0"), vec!["amount.quantity"]),
            ("amount.quantity", json!("-40"), vec!["amount.quantity"]),
            ("amount.quantity", json!("+40"), vec!["amount.quantity"]),
            ("amount.quantity", json!("040"), vec!["amount.quantity"]),
            ("amount.quantity", json!("4.0"), vec!["amount.quantity"]),
            ("amount.quantity", json!("4e1"), vec!["amount.quantity"]),
            ("amount.quantity", json!(" 40"), vec!["amount.quantity"]),
            ("amount.quantity", json!("٤٠"), vec!["amount.quantity"]),
            ("amount.quantity", json!(digits), vec!["amount.quantity"]),
            ("clientExternalId", Value::Null, vec!["clientExternalId"]),
            ("clientExternalId", json!(""), vec!["clientExternalId"]),
            ("clientExternalId", json!(7), vec!["clientExternalId"]),
            ("clientExternalId", json!(long), vec!["clientExternalId"]),
            ("nonce", Value::Null, vec!["nonce"]),
            ("nonce", json!(""), vec!["nonce"]),
            ("notes", json!(""), vec!["notes"]),
            ("notes", json!(["a"]), vec!["notes"]),
        ];
        for kind in KINDS {
            for (member, value, fields) in &cases {
                let content = changed(content("n"), member, value);
                let path = kind.path(connection);
                let key = &world.client_key;
                let forged =
                    SignedRequest::forge(key, path.clone(), &content, &content.to_string());
                send(world, &forged).await.malformed(fields);
                // The helpers, which sign nothing, see the same faults.
                let path = format!("{path}/signing");
                let body = content.to_string();
                for method in [Method::GET, Method::POST] {
                    let token = Some(world.client_token.as_str());
                    let said = world.raw(method, &path, token, Some(&body)).await;
                    let (status, headers, body) = said;
                    let said = Said {
                        status,
                        headers,
                        body,
                    };
                    said.malformed(fields);
                }
            }
            for body in [
                r#"{"amount":{"currency":"ofcbtc","quantity":"40"},"#,
                "[]",
                "null",
                "",
                r#"{"nonce":"a","nonce":"a"}"#,
                r#"{"amount":{"currency":"ofcbtc","currency":"ofcbtc","quantity":"40"}}"#,
            ] {
                let request = SignedRequest {
                    method: Method::POST,
                    path: kind.path(connection),
                    body: body.to_owned(),
                };
                send(world, &request).await.refused(400, "invalid_request");
            }
            // All at once.
            let request = SignedRequest {
                method: Method::POST,
                path: kind.path(connection),
                body: "{}".to_owned(),
            };
            let all = [
                "amount",
                "clientExternalId",
                "nonce",
                "payload",
                "signature",
            ];
            send(world, &request).await.malformed(&all);
            let path = kind
                .path(connection)
                .replace(&connection.to_string(), "main");
            let request = SignedRequest {
                path,
                ..prepare(world, kind, connection, request_of("ofcbtc"))
            };
            send(world, &request).await.malformed(&["connectionId"]);
            // A currency that the network does not know is a fault of the request, not a matter
            // of what a partner supports.
            let unknown = prepare(world, kind, connection, request_of("ofcnone"));
            send(world, &unknown).await.refused(400, "unknown_currency");
        }
        nothing_is_recorded(world).await;
    })
    .await;
}

fn request_of(ticker: &str) -> NewAllocation {
    request(ticker, 40, "the one")
}

/// The payload says something else than the request, and the error names where.
#[track_caller]
fn contradicted(said: &Said, fields: &[&str]) {
    let all = vec!["payload"; fields.len()];
    let said = said.clone().malformed(&all);
    let errors = said.body["errors"].as_array().expect("errors");
    for field in fields {
        let names = |error: &&Value| text(&error["message"]).ends_with(&format!(": {field}"));
        assert_eq!(errors.iter().filter(names).count(), 1, "{field}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payload_says_what_the_request_says_and_nothing_else() {
    on_each_database(idle(), async |world| {
        let (connection, _) = world.connect().await;
        let key = &world.client_key;
        for kind in KINDS {
            let path = kind.path(connection);
            let body = content("n");
            let say = async |payload: &str| {
                let forged = SignedRequest::forge(key, path.clone(), &body, payload);
                send(world, &forged).await
            };
            let differing = [
                ("amount", json!({"currency": "ofcbtc", "quantity": "41"}), "amount"),
                ("amount", json!({"currency": "ofceth", "quantity": "40"}), "amount"),
                ("amount.quantity", json!(40), "amount"),
                ("amount.scale", json!("1"), "amount"),
                ("clientExternalId", json!("another"), "clientExternalId"),
                ("nonce", json!("m"), "nonce"),
                ("notes", json!("another note"), "notes"),
                ("amount", Value::Null, "amount"),
                ("amount.quantity", Value::Null, "amount"),
                ("clientExternalId", Value::Null, "clientExternalId"),
                ("nonce", Value::Null, "nonce"),
                ("notes", Value::Null, "notes"),
                // What the path says may be left out, and must agree where it stands.
                ("connectionId", json!(Uuid::nil().to_string()), "connectionId"),
                ("enterpriseId", json!(OTHER), "enterpriseId"),
                ("partnerId", json!(world.partner_id.to_string()), "partnerId"),
                ("walletPassphrase", json!("secret"), "walletPassphrase"),
            ];
            for (member, value, field) in differing {
                let payload = changed(body.clone(), member, &value).to_string();
                contradicted(&say(&payload).await, &[field]);
            }
            // All at once.
            let other = changed(body.clone(), "nonce", &json!("m"));
            let other = changed(other, "notes", &Value::Null);
            let other = changed(other, "more", &json!(1));
            let said = say(&other.to_string()).await;
            contradicted(&said, &["more", "nonce", "notes"]);
            // The body without what was signed.
            let without = changed(body.clone(), "notes", &Value::Null);
            let signed = body.to_string();
            let forged = SignedRequest::forge(key, path.clone(), &without, &signed);
            contradicted(&send(world, &forged).await, &["notes"]);
            for text in [
                "",
                "the one",
                "[]",
                r#""{}""#,
                r#"{"nonce":"n"} {}"#,
                &body.to_string().replacen('{', r#"{"nonce":"n","#, 1),
            ] {
                say(text).await.malformed(&["payload"]);
            }
        }
        nothing_is_recorded(world).await;

        // Order, white space and escapes are free; what the path says may stand there too.
        for (nonce, payload) in [
            (
                "n1",
                r#"{ "nonce":"n1", "notes":"a\u0020note", "clientExternalId":"x1",
                    "amount":{"quantity":"40","currency":"ofcbtc"} }"#
                    .to_owned(),
            ),
            (
                "n2",
                format!(
                    r#"{{"connectionId":"{connection}","amount":{{"currency":"ofcbtc","quantity":"40"}},"notes":"a note","clientExternalId":"x2","nonce":"n2"}}"#
                ),
            ),
            (
                "n3",
                format!(
                    r#"{{"amount":{{"currency":"ofcbtc","quantity":"40"}},"notes":"a note","clientExternalId":"x3","nonce":"n3","connectionId":"{connection}","enterpriseId":"{CLIENT}"}}"#
                ),
            ),
        ] {
            let external_id = nonce.replace('n', "x");
            let body = changed(content(nonce), "clientExternalId", &json!(external_id));
            let path = Kind::Allocation.path(connection);
            let forged = SignedRequest::forge(key, path, &body, &payload);
            send(world, &forged).await.cleared(Kind::Allocation);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_keys_of_the_own_go_account_sign() {
    on_each_database(idle(), async |world| {
        let (connection, _) = world.connect().await;
        let content = content("n");
        let payload = content.to_string();
        let good = world.client_key.sign(&payload);
        for kind in KINDS {
            let say = async |signature: &str| {
                let path = kind.path(connection);
                let forged = SignedRequest::with_signature(path, &content, &payload, signature);
                send(world, &forged).await
            };
            // No signature by its form.
            for signature in [
                "signed",
                &good[..128],
                &format!("{good}00"),
                &good.replacen(|_: char| true, "z", 1),
                &format!("1a{}", &good[2..]),
                &format!("23{}", &good[2..]),
            ] {
                say(signature).await.malformed(&["signature"]);
            }
            // Signatures of other texts, of other accounts, of nobody.
            let flipped = if good.ends_with('0') { '1' } else { '0' };
            for signature in [
                world.client_key.sign(payload.replace("40", "41")),
                world.client_key.sign(format!("{payload} ")),
                world.partner_key.sign(&payload),
                extended_key(77).key.sign(&payload),
                format!("{}{flipped}", &good[..129]),
            ] {
                let said = say(&signature).await;
                let said = said.refused(401, "signature_not_verified");
                // The token is fine, so that nobody shall renew it.
                assert!(!said.headers.contains_key("x-auth-required"));
            }
        }
        nothing_is_recorded(world).await;

        // A further key of the account signs as well, until it is revoked; then not even a repeat.
        let hand = world.network.operator(world.operator);
        let further = extended_key(78);
        let account = world.client_account;
        let added = hand.add_signing_key(account, further.xpub(), "desk".to_owned());
        let added = added.await.expect("a key");
        let path = Kind::Allocation.path(connection);
        let forged = SignedRequest::forge(&further.key, path.clone(), &content, &payload);
        send(world, &forged).await.cleared(Kind::Allocation);
        hand.revoke_signing_key(added.id)
            .await
            .expect("a revoked key");
        let said = send(world, &forged).await;
        let said = said.refused(401, "signing_key_revoked");
        assert!(!said.headers.contains_key("x-auth-required"));
        // With a key that counts, the repeat is answered.
        let repeated = SignedRequest::with_signature(path, &content, &payload, &good);
        send(world, &repeated).await.cleared(Kind::Allocation);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_others_does_not_exist() {
    on_each_database(idle(), async |world| {
        let (connection, _) = world.connect().await;
        let new = request("ofcbtc", 40, "mine");
        let mine = ask(world, Kind::Allocation, connection, new)
            .await
            .id(Kind::Allocation);
        let key = extended_key(3);
        let account = GoAccountId(Uuid::from_u128(0x07));
        let token = enterprise(&world.network, OTHER, "Other", account, &key).await;
        let other = client::Client::new(&world.url, OTHER, &token).expect("a client");
        let other = other.with_shared_signing_key(Arc::new(key.key));
        other.become_client().await.expect("a client");

        let path = |tail: &str| format!("/api/network/v1/enterprises/{OTHER}{tail}");
        for id in [connection, Uuid::new_v4()] {
            for kind in KINDS {
                let noun = kind.noun();
                let tail = format!("/clients/connections/{id}/{noun}s");
                let body = json!({
                    "amount": {"currency": "ofcbtc", "quantity": "1"},
                    "clientExternalId": "theirs",
                    "nonce": "n",
                });
                let payload = body.to_string();
                let signature = extended_key(3).key.sign(&payload);
                let request =
                    SignedRequest::with_signature(path(&tail), &body, &payload, &signature);
                let said = send_as(world, &token, &request).await;
                said.refused(404, "connection_not_found");
                let helper = SignedRequest {
                    path: path(&format!("{tail}/signing")),
                    body: payload.clone(),
                    ..request
                };
                let said = send_as(world, &token, &helper).await;
                said.refused(404, "connection_not_found");
                // Who may not sign is not told what exists.
                let signature = world.client_key.sign(&payload);
                let request =
                    SignedRequest::with_signature(path(&tail), &body, &payload, &signature);
                let said = send_as(world, &token, &request).await;
                said.refused(401, "signature_not_verified");
            }
        }
        let unknown = Uuid::new_v4().to_string();
        for side in ["clients", "partners"] {
            for id in [&mine, &unknown] {
                let one = path(&format!("/{side}/allocations/{id}"));
                let said = get(world, &token, &one, None).await;
                said.refused(404, "allocation_not_found");
            }
            let all = get(world, &token, &path(&format!("/{side}/allocations")), None).await;
            assert_eq!(all.body, json!({"allocations": []}));
            let one = path(&format!("/{side}/allocations/mine"));
            get(world, &token, &one, None)
                .await
                .malformed(&["allocationId"]);
        }
        // The client is not the partner, nor the partner the client.
        for (enterprise, token, side) in [
            (CLIENT, &world.client_token, "partners"),
            (crate::fixture::PARTNER, &world.partner_token, "clients"),
        ] {
            let all = format!("/api/network/v1/enterprises/{enterprise}/{side}/allocations");
            let one = format!("{all}/{mine}");
            get(world, token, &one, None)
                .await
                .refused(404, "allocation_not_found");
            let listed = get(world, token, &all, None).await;
            assert_eq!(listed.body, json!({"allocations": []}));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signing_helpers_compose_a_payload_that_is_accepted() {
    on_each_database(idle(), async |world| {
        for kind in KINDS {
            let (connection, _) = stocked(world, kind).await;
            for (method, id) in [(Method::POST, "by post"), (Method::GET, "by get")] {
                // Members in the order in which they were sent, then those of the path.
                let body = format!(
                    r#"{{"clientExternalId": "{id}", "notes": "5 €",
                        "amount": {{"quantity": "40", "currency": "ofcbtc"}}, "nonce": "{kind:?} {id}"}}"#
                );
                let path = format!("{}/signing", kind.path(connection));
                let token = Some(world.client_token.as_str());
                let (status, _, said) = world.raw(method, &path, token, Some(&body)).await;
                let expected = format!(
                    r#"{{"clientExternalId":"{id}","notes":"5 €","amount":{{"quantity":"40","currency":"ofcbtc"}},"nonce":"{kind:?} {id}","connectionId":"{connection}","enterpriseId":"{CLIENT}"}}"#
                );
                assert_eq!((status, said), (200, json!({"payload": expected})));
                let content: Value = serde_json::from_str(&body).expect("JSON");
                let path = kind.path(connection);
                let key = &world.client_key;
                let signed = SignedRequest::forge(key, path, &content, &expected);
                send(world, &signed).await.cleared(kind);
            }
        }
        // Nothing was taken by asking for a payload: the nonce above was still free.
    })
    .await;
}
