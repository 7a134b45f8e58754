//! Partners that answer later: what waits, and how it ends (P6, P7, H8).

use std::time::Duration;

use reqwest::Method;
use rules::record::{AmountFormat, Answering};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{
    INSTITUTION, Options, PARTNER, World, configuration, on_each_database, request,
};
use crate::movements::{
    KINDS, Kind, Said, SignedRequest, appears, ask, at_exchange, called, calls, eager, eventually,
    fault, in_time, members, movement, partners, record, send_as, stands, status, stock, text,
};

/// Partners that answer this kind later, and the other one at once.
fn later(kind: Kind, options: Options) -> Options {
    let answering = |own| match own == kind {
        true => Answering::Asynchronous,
        false => Answering::Synchronous,
    };
    Options {
        allocations: answering(Kind::Allocation),
        deallocations: answering(Kind::Deallocation),
        ..options
    }
}

fn path(kind: Kind) -> String {
    format!("{}/{}s", partners(), kind.noun())
}

/// The name of a member that has the kind in it.
fn own_id(kind: Kind) -> String {
    format!("{}Id", kind.noun())
}

fn partners_id(kind: Kind) -> &'static str {
    match kind {
        Kind::Allocation => "partnersAllocationId",
        Kind::Deallocation => "partnersDeallocationId",
    }
}

/// What a partner says to clear a record of 400.
pub(crate) async fn clearance(world: &World, kind: Kind, connection: Uuid, id: &str) -> Value {
    let known = world.partner.partner_connection(connection).await;
    let known = known.expect("the connection").connection;
    let mut said = json!({
        "amount": {"currency": "BTC", "quantity": "400"},
        "clientId": known.client_id.to_string(),
        "connectionId": connection.to_string(),
        "partnersClientId": known.partners_client_id,
        "partnersConnectionId": known.partners_connection_id,
        "status": "cleared",
        "nonce": client::fresh_nonce(),
    });
    said[own_id(kind)] = id.into();
    // What the exchange called it when it took it.
    let name = record(world, id).await["partnerExternalId"].clone();
    said[partners_id(kind)] = if name.is_null() { "p-1".into() } else { name };
    said
}

fn rejection(clearance: &Value, reason: &str) -> Value {
    let mut said = clearance.clone();
    said["status"] = "released".into();
    said["rejectReason"] = reason.into();
    said["nonce"] = client::fresh_nonce().into();
    said
}

fn signed(world: &World, kind: Kind, content: &Value) -> SignedRequest {
    let payload = content.to_string();
    SignedRequest {
        method: Method::PUT,
        ..SignedRequest::forge(&world.partner_key, path(kind), content, &payload)
    }
}

async fn tell(world: &World, kind: Kind, content: &Value) -> Said {
    send_as(world, &world.partner_token, &signed(world, kind, content)).await
}

fn afresh(content: &Value) -> Value {
    let mut content = content.clone();
    content["nonce"] = client::fresh_nonce().into();
    content
}

/// Asks for 400, which the partner takes and leaves open: connection, account, id.
async fn open(world: &World, kind: Kind, external_id: &str) -> (Uuid, String, String) {
    let (connection, account) = world.connect().await;
    if kind == Kind::Deallocation {
        stock(world, connection, 1_000).await;
    }
    let new = request("ofcbtc", 400, external_id);
    let said = ask(world, kind, connection, new).await.waiting(kind);
    let id = said.id(kind);
    stands(world, &id, "pending").await;
    // The network has heard that it was taken.
    eventually("the partner's name", async || {
        let name = record(world, &id).await["partnerExternalId"].clone();
        name.is_string().then_some(())
    })
    .await;
    (connection, account, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_clears_or_releases_later_and_repeats_itself() {
    for kind in KINDS {
        on_each_database(later(kind, eager()), async |world| {
            let (connection, account, id) = open(world, kind, "cleared later").await;
            let source = kind.source(world, connection).await;
            let target = kind.target(world, connection).await;
            assert_eq!(source.1, 400, "held until the partner answers");

            let clear = clearance(world, kind, connection, &id).await;
            let first = signed(world, kind, &clear);
            let said = send_as(world, &world.partner_token, &first).await;
            assert_eq!(said.status, 200, "{said:?}");
            // The echo: neither wrapped nor with a status.
            let mut echo = clear.clone();
            for name in ["status", "nonce"] {
                echo.as_object_mut().expect("an object").remove(name);
            }
            assert_eq!(said.body, echo);
            assert_eq!(status(world, &id).await, "cleared");
            assert_eq!(
                record(world, &id).await["partnerExternalId"],
                clear[partners_id(kind)]
            );
            assert_eq!(kind.source(world, connection).await, (source.0, 0));
            assert_eq!(kind.target(world, connection).await, (target.0 + 400, 0));
            // The partner is told that it may credit or debit.
            stands(world, &id, "cleared").await;
            let left = match kind {
                Kind::Allocation => 400,
                Kind::Deallocation => 600,
            };
            assert_eq!(at_exchange(world, &account).await, (left, 0));

            // The same bytes, and the same anew: the same answer, and nothing happens.
            let stood = record(world, &id).await;
            let again = send_as(world, &world.partner_token, &first).await;
            assert_eq!((again.status, &again.body), (200, &echo));
            let again = tell(world, kind, &afresh(&clear)).await;
            assert_eq!((again.status, &again.body), (200, &echo));
            // The opposite is refused, and changes nothing.
            let said = tell(world, kind, &rejection(&clear, "after all")).await;
            said.refused(409, "already_final");
            assert_eq!(record(world, &id).await, stood);

            let (connection, _, id) = open(world, kind, "released later").await;
            let source = kind.source(world, connection).await;
            let clear = clearance(world, kind, connection, &id).await;
            let release = rejection(&clear, "the desk is closed");
            for content in [&release, &release, &afresh(&release)] {
                let said = tell(world, kind, content).await;
                assert_eq!(said.status, 200, "{said:?}");
                assert!(!members(&said.body).contains(&"status"));
            }
            let released = record(world, &id).await;
            assert_eq!(released["status"], "released");
            assert!(
                text(&released["reason"]).contains("the desk is closed"),
                "{released}"
            );
            assert_eq!(kind.source(world, connection).await, (source.0 + 400, 0));
            tell(world, kind, &clear)
                .await
                .refused(409, "already_final");
            assert_eq!(record(world, &id).await, released);
            // The client that asks again learns it.
            let new = request("ofcbtc", 400, "released later");
            let said = ask(world, kind, connection, new).await;
            said.released(kind, "rejected_by_partner");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_has_to_fit_the_record_and_come_from_its_partner() {
    for kind in KINDS {
        on_each_database(later(kind, eager()), async |world| {
            let (connection, _, id) = open(world, kind, "open").await;
            let clear = clearance(world, kind, connection, &id).await;
            let set = |member: &str, value: Value| {
                let mut content = afresh(&clear);
                content[member] = value;
                content
            };
            let other = Uuid::new_v4().to_string();
            let amount = |currency, quantity| json!({"currency": currency, "quantity": quantity});
            let (elsewhere, _) = world.connect().await;

            for (member, value, named) in [
                ("amount", amount("BTC", "401"), "amount.quantity"),
                ("amount", amount("ETH", "400"), "amount.currency"),
                ("amount", amount("ofcbtc", "400"), "amount.currency"),
                ("clientId", json!(other), "clientId"),
                ("connectionId", json!(other), "connectionId"),
                ("connectionId", json!(elsewhere.to_string()), "connectionId"),
                ("partnersClientId", json!("somebody"), "partnersClientId"),
                (
                    "partnersConnectionId",
                    json!("elsewhere"),
                    "partnersConnectionId",
                ),
                (partners_id(kind), json!("another"), partners_id(kind)),
            ] {
                for content in [
                    set(member, value.clone()),
                    rejection(&set(member, value), "no"),
                ] {
                    let said = tell(world, kind, &content).await;
                    let said = said.refused(422, "answer_differs_from_record");
                    let message = text(&said.body["error"]);
                    assert!(message.contains(named), "{named}: {message}");
                }
            }

            // What is not there, or of the other kind, or somebody else's.
            let unknown = set(&own_id(kind), json!(other));
            tell(world, kind, &unknown)
                .await
                .refused(404, &format!("{}_not_found", kind.noun()));
            let wrong_way = match kind {
                Kind::Allocation => Kind::Deallocation,
                Kind::Deallocation => Kind::Allocation,
            };
            let mut content = afresh(&clear);
            content[own_id(wrong_way)] = id.as_str().into();
            content[partners_id(wrong_way)] = content[partners_id(kind)].take();
            for name in [own_id(kind), partners_id(kind).to_owned()] {
                content.as_object_mut().expect("an object").remove(&name);
            }
            let said = tell(world, wrong_way, &content).await;
            said.refused(404, &format!("{}_not_found", wrong_way.noun()));
            let content = afresh(&clear);
            let payload = content.to_string();
            let own = path(kind).replace(PARTNER, crate::fixture::CLIENT);
            let as_client = SignedRequest {
                method: Method::PUT,
                ..SignedRequest::forge(&world.client_key, own, &content, &payload)
            };
            let said = send_as(world, &world.client_token, &as_client).await;
            said.refused(404, &format!("{}_not_found", kind.noun()));

            // Signatures and payloads, as on every signed request.
            let put = |signature: &str, payload: &str| SignedRequest {
                method: Method::PUT,
                ..SignedRequest::with_signature(path(kind), &content, payload, signature)
            };
            let token = &world.partner_token;
            let said = send_as(world, token, &put("00", &payload)).await;
            said.malformed(&["signature"]);
            for signature in [
                world.client_key.sign(&payload),
                world.partner_key.sign(format!("{payload} ")),
            ] {
                let said = send_as(world, token, &put(&signature, &payload)).await;
                let said = said.refused(401, "signature_not_verified");
                assert!(!said.headers.contains_key("x-auth-required"));
            }
            for member in content.as_object().expect("an object").keys() {
                let mut lacking = content.clone();
                lacking.as_object_mut().expect("an object").remove(member);
                let lacking = lacking.to_string();
                let signature = world.partner_key.sign(&lacking);
                let said = send_as(world, token, &put(&signature, &lacking)).await;
                said.malformed(&["payload"]);
            }
            let more = payload.replacen('{', r#"{"settlementId":"s","#, 1);
            let signature = world.partner_key.sign(&more);
            let said = send_as(world, token, &put(&signature, &more)).await;
            said.malformed(&["payload"]);

            // Malformed bodies.
            for (member, value, field) in [
                ("status", json!("reserved"), "status"),
                ("status", Value::Null, "status"),
                ("status", json!("released"), "rejectReason"),
                ("clientId", json!("me"), "clientId"),
                ("connectionId", Value::Null, "connectionId"),
                ("partnersClientId", json!(""), "partnersClientId"),
                (partners_id(kind), Value::Null, partners_id(kind)),
                ("nonce", Value::Null, "nonce"),
                ("amount", amount("BTC", "0"), "amount.quantity"),
                ("amount", amount("BTC", "-400"), "amount.quantity"),
                ("amount", amount("BTC", "4e2"), "amount.quantity"),
            ] {
                tell(world, kind, &set(member, value))
                    .await
                    .malformed(&[field]);
            }
            assert_eq!(status(world, &id).await, "reserved");

            // Traces of policies are tolerated, and need not be signed.
            let content = afresh(&clear);
            let payload = content.to_string();
            let mut body = content.clone();
            body["evaluationId"] = "e-1".into();
            let traced = SignedRequest {
                method: Method::PUT,
                ..SignedRequest::forge(&world.partner_key, path(kind), &body, &payload)
            };
            let said = send_as(world, token, &traced).await;
            assert_eq!(said.status, 200, "{said:?}");
            assert_eq!(said.body["evaluationId"], "e-1");
            assert_eq!(status(world, &id).await, "cleared");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_of_the_partner_answers_one_record() {
    let kind = Kind::Allocation;
    on_each_database(later(kind, eager()), async |world| {
        let (connection, _, first) = open(world, kind, "first").await;
        let clear = clearance(world, kind, connection, &first).await;
        assert_eq!(tell(world, kind, &clear).await.status, 200);

        let (connection, _, second) = open(world, kind, "second").await;
        let mut reused = clearance(world, kind, connection, &second).await;
        reused["nonce"] = clear["nonce"].clone();
        tell(world, kind, &reused).await.refused(409, "nonce_taken");
        assert_eq!(status(world, &second).await, "reserved");
        // Nor may it sign other bytes for its own record.
        let payload = format!("{clear} ");
        let rewritten = SignedRequest {
            method: Method::PUT,
            ..SignedRequest::forge(&world.partner_key, path(kind), &clear, &payload)
        };
        let said = send_as(world, &world.partner_token, &rewritten).await;
        said.refused(409, "nonce_taken");
        // Nonces of the client are another enterprise's.
        let new = request("ofcbtc", 1, "of the client");
        let mut shared = clearance(world, kind, connection, &second).await;
        shared["nonce"] = new.nonce.clone().into();
        ask(world, kind, connection, new).await.waiting(kind);
        assert_eq!(tell(world, kind, &shared).await.status, 200);
        assert_eq!(status(world, &second).await, "cleared");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partners_that_answer_in_the_call_may_not_answer_later() {
    on_each_database(eager(), async |world| {
        for kind in KINDS {
            let (connection, _) = world.connect().await;
            if kind == Kind::Deallocation {
                stock(world, connection, 1_000).await;
            }
            fault(world, kind.calls().reserve, 1, "reject").await;
            let said = ask(world, kind, connection, request("ofcbtc", 400, "refused")).await;
            let refused = said.released(kind, "rejected_by_partner").id(kind);
            let clear = clearance(world, kind, connection, &refused).await;
            tell(world, kind, &clear)
                .await
                .refused(403, "partner_is_synchronous");
            let release = rejection(&clear, "no");
            tell(world, kind, &release)
                .await
                .refused(403, "partner_is_synchronous");
            assert_eq!(status(world, &refused).await, "released");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_come_in_base_units_or_as_the_partner_writes_them() {
    let kind = Kind::Allocation;
    let options = Options {
        amount_format: AmountFormat::Decimal,
        ..later(kind, eager())
    };
    on_each_database(options, async |world| {
        for (quantity, expected) in [
            ("400", 200),
            ("0.000004", 200),
            ("0.00000400", 200),
            ("0.0000040", 200),
            ("0.000005", 422),
            ("4", 422),
            ("0.0000000004", 400),
        ] {
            let external_id = format!("of {quantity}");
            let (connection, _, id) = open(world, kind, &external_id).await;
            let mut clear = clearance(world, kind, connection, &id).await;
            clear["amount"]["quantity"] = quantity.into();
            let said = tell(world, kind, &clear).await;
            assert_eq!(said.status, expected, "{quantity}: {said:?}");
            if expected == 200 {
                assert_eq!(said.body["amount"], clear["amount"]);
            }
            let ended = if expected == 200 {
                "cleared"
            } else {
                "reserved"
            };
            assert_eq!(status(world, &id).await, ended, "{quantity}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_answers_by_itself() {
    for kind in KINDS {
        let options = Options {
            auto_answer: true,
            ..later(kind, eager())
        };
        on_each_database(options, async |world| {
            let (connection, _) = world.connect().await;
            if kind == Kind::Deallocation {
                stock(world, connection, 1_000).await;
            }
            let target = kind.target(world, connection).await;
            let said = ask(world, kind, connection, request("ofcbtc", 400, "auto")).await;
            let id = said.waiting(kind).id(kind);
            eventually("the end", async || {
                (status(world, &id).await == "cleared").then_some(())
            })
            .await;
            stands(world, &id, "cleared").await;
            assert_eq!(kind.target(world, connection).await, (target.0 + 400, 0));
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_comes_is_learnt_by_asking_for_the_status() {
    for kind in KINDS {
        on_each_database(later(kind, eager()), async |world| {
            // The partner can be called, and cannot call.
            let membership = json!({
                "partnerId": world.partner_id.to_string(),
                "enterpriseId": PARTNER,
                "token": "lost",
                "signingKey": crate::fixture::extended_key(2).xprv().as_str(),
                "networkUrl": world.url,
            });
            world.control(Method::PUT, "partner", &membership).await;
            for (verdict, ended) in [("cleared", "cleared"), ("released", "released")] {
                let (connection, _, id) = open(world, kind, verdict).await;
                let source = kind.source(world, connection).await;
                let decision = json!({"id": id, "status": verdict});
                let told = world.control(Method::POST, "answers", &decision).await;
                assert_eq!(told["network"]["status"], 401, "{told}");
                assert_eq!(status(world, &id).await, "reserved");

                world.clock.advance(Duration::from_secs(61));
                in_time(world, "the end", async || {
                    (status(world, &id).await == ended).then_some(())
                })
                .await;
                let back = if ended == "released" { 400 } else { 0 };
                assert_eq!(kind.source(world, connection).await, (source.0 + back, 0));
                let calls = calls(world, &id).await;
                assert_eq!(calls[..2], [kind.calls().reserve, kind.calls().status]);
                if ended == "cleared" {
                    stands(world, &id, "cleared").await;
                }
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_never_decides_is_released_after_a_day() {
    for kind in KINDS {
        on_each_database(later(kind, eager()), async |world| {
            let (connection, _, id) = open(world, kind, "undecided").await;
            let source = kind.source(world, connection).await;
            // Within the day it is only asked how far it is.
            for hours in [1, 12, 10] {
                let asked = calls(world, &id).await.len();
                world.clock.advance(Duration::from_secs(hours * 3_600));
                in_time(world, "a status query", async || {
                    (calls(world, &id).await.len() > asked).then_some(())
                })
                .await;
                assert_eq!(status(world, &id).await, "reserved");
            }
            world.clock.advance(Duration::from_secs(2 * 3_600));
            in_time(world, "the release", async || {
                (status(world, &id).await == "released").then_some(())
            })
            .await;
            assert_eq!(kind.source(world, connection).await, (source.0 + 400, 0));
            stands(world, &id, "released").await;
            // What the partner says now comes too late.
            let clear = clearance(world, kind, connection, &id).await;
            tell(world, kind, &clear)
                .await
                .refused(409, "already_final");
            assert_eq!(movement(world, &id).await.as_deref(), Some("released"));
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_that_refuses_at_once_releases() {
    for kind in KINDS {
        on_each_database(later(kind, eager()), async |world| {
            let (connection, _) = world.connect().await;
            if kind == Kind::Deallocation {
                stock(world, connection, 1_000).await;
            }
            let source = kind.source(world, connection).await;
            fault(world, kind.calls().reserve, 1, "reject").await;
            let said = ask(world, kind, connection, request("ofcbtc", 400, "no")).await;
            let id = said.waiting(kind).id(kind);
            eventually("the release", async || {
                (status(world, &id).await == "released").then_some(())
            })
            .await;
            assert_eq!(kind.source(world, connection).await, source);
            called(world, &id, &[kind.calls().reserve]).await;
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_a_record_is_answered_is_settled_when_it_is_made() {
    let kind = Kind::Allocation;
    on_each_database(later(kind, eager()), async |world| {
        let (connection, _, id) = open(world, kind, "made before").await;
        // The partner changes to answering at once.
        let exchange = format!("http://{}", world.exchange.address);
        let mut terms = configuration(PARTNER, INSTITUTION, &exchange, &world.options);
        terms.allocations = Answering::Synchronous;
        let hand = world.network.operator(world.operator);
        hand.put_configuration(terms)
            .await
            .expect("a configuration");
        let mode = json!({"asynchronousAllocations": false});
        world.control(Method::PUT, "mode", &mode).await;

        ask(world, kind, connection, request("ofcbtc", 1, "made after"))
            .await
            .cleared(kind);
        let clear = clearance(world, kind, connection, &id).await;
        assert_eq!(tell(world, kind, &clear).await.status, 200);
        assert_eq!(appears(world, "made before").await["status"], "cleared");
    })
    .await;
}
