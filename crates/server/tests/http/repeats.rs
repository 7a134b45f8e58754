//! Sending again: an external id is one request for ever, and a nonce signs once (decisions §3).

use std::time::Duration;

use ledger::GoAccountId;
use reqwest::Method;
use rules::record::Answering;
use serde_json::{Value, json};
use uuid::Uuid;
use wire::api::{allocations::NewAllocation, connections::ConnectionUpdate};

use crate::fixture::{CLIENT, Options, World, deposit, extended_key, on_each_database, request};
use crate::movements::{
    KINDS, Kind, SignedRequest, appears, ask, call_log, called, calls, clients, delay, fault, idle,
    prepare, record, send, stands, status, stocked,
};

/// How many records the client has with an external id.
async fn count(world: &World, external_id: &str) -> usize {
    let path = format!("{}/allocations?pageSize=500", clients());
    let token = Some(world.client_token.as_str());
    let (_, _, body) = world.raw(Method::GET, &path, token, None).await;
    let all = body["allocations"].as_array().expect("a list");
    let has_id = |record: &&Value| record["clientExternalId"] == external_id;
    all.iter().filter(has_id).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_answers_the_record_as_it_stands_and_acts_once() {
    on_each_database(idle(), async |world| {
        for kind in KINDS {
            let (connection, _) = stocked(world, kind).await;
            let new = NewAllocation {
                notes: Some("once".to_owned()),
                ..request("ofcbtc", 400, "once")
            };
            let first = prepare(world, kind, connection, new.clone());
            let said = send(world, &first).await.cleared(kind);
            called(
                world,
                &said.id(kind),
                &[kind.calls().reserve, kind.calls().clear],
            )
            .await;
            let source = kind.source(world, connection).await;
            let target = kind.target(world, connection).await;
            let asked = call_log(world).await.len();

            // The very same bytes; and a fresh nonce, which makes a new signature of the same.
            let fresh = NewAllocation {
                nonce: client::fresh_nonce(),
                ..new
            };
            let fresh = prepare(world, kind, connection, fresh);
            for repeated in [&first, &first, &fresh, &fresh, &first] {
                let again = send(world, repeated).await.cleared(kind);
                assert_eq!(again.body, said.body);
            }

            assert_eq!(kind.source(world, connection).await, source);
            assert_eq!(kind.target(world, connection).await, target);
            assert_eq!(
                count(world, "once").await,
                usize::from(kind == Kind::Deallocation) + 1
            );
            assert_eq!(call_log(world).await.len(), asked);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_id_with_other_content_is_a_conflict_that_names_what_differs() {
    on_each_database(idle(), async |world| {
        for kind in KINDS {
            let (connection, _) = stocked(world, kind).await;
            let (elsewhere, _) = world.connect().await;
            let new = NewAllocation {
                notes: Some("a note".to_owned()),
                ..request("ofcbtc", 400, "taken")
            };
            let said = ask(world, kind, connection, new.clone())
                .await
                .cleared(kind);
            called(
                world,
                &said.id(kind),
                &[kind.calls().reserve, kind.calls().clear],
            )
            .await;
            let stood = record(world, &said.id(kind)).await;
            let asked = call_log(world).await.len();
            let fresh = || NewAllocation {
                nonce: client::fresh_nonce(),
                ..new.clone()
            };
            let amount = |ticker, units| request(ticker, units, "").amount;
            let without = NewAllocation {
                notes: None,
                ..fresh()
            };
            let other_note = NewAllocation {
                notes: Some("another".to_owned()),
                ..fresh()
            };
            let more = NewAllocation {
                amount: amount("ofcbtc", 401),
                ..fresh()
            };
            let other_currency = NewAllocation {
                amount: amount("ofceth", 400),
                ..fresh()
            };
            let all = NewAllocation {
                amount: amount("ofceth", 1),
                notes: None,
                ..fresh()
            };
            for (connection, other, differing) in [
                (connection, without, vec!["notes"]),
                (connection, other_note, vec!["notes"]),
                (connection, more, vec!["amount.quantity"]),
                (connection, other_currency, vec!["amount.currency"]),
                (elsewhere, fresh(), vec!["connectionId"]),
                (
                    elsewhere,
                    all,
                    vec![
                        "connectionId",
                        "amount.currency",
                        "amount.quantity",
                        "notes",
                    ],
                ),
            ] {
                let said = ask(world, kind, connection, other).await;
                let said = said.refused(409, "external_id_taken");
                let message = said.body["error"].as_str().expect("a text");
                for member in [
                    "connectionId",
                    "amount.currency",
                    "amount.quantity",
                    "notes",
                ] {
                    assert_eq!(
                        message.contains(member),
                        differing.contains(&member),
                        "{message}"
                    );
                }
            }
            assert_eq!(record(world, &said.id(kind)).await, stood);
            assert_eq!(call_log(world).await.len(), asked);
            // The unchanged request is still the same request.
            ask(world, kind, connection, fresh()).await.cleared(kind);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_signs_one_text_for_one_request() {
    on_each_database(idle(), async |world| {
        let (connection, _) = stocked(world, Kind::Deallocation).await;
        let taken = request("ofcbtc", 40, "nonce");
        let nonce = taken.nonce.clone();
        let first = prepare(world, Kind::Allocation, connection, taken.clone());
        send(world, &first).await.cleared(Kind::Allocation);
        let asked = call_log(world).await;

        // The signed text of an allocation does not say that it is one. Sent as a deallocation,
        // byte for byte, it must not act.
        let as_deallocation = SignedRequest {
            path: Kind::Deallocation.path(connection),
            ..first.clone()
        };
        let said = send(world, &as_deallocation).await;
        said.refused(409, "nonce_taken");
        // Nor for another external id, nor for the same content written differently.
        let other = NewAllocation {
            nonce: nonce.clone(),
            ..request("ofcbtc", 40, "another")
        };
        for kind in KINDS {
            let said = ask(world, kind, connection, other.clone()).await;
            said.refused(409, "nonce_taken");
        }
        let content = json!({
            "amount": {"currency": "ofcbtc", "quantity": "40"},
            "clientExternalId": "nonce",
            "nonce": nonce,
        });
        let path = Kind::Allocation.path(connection);
        let key = &world.client_key;
        let rewritten = SignedRequest::forge(key, path, &content, &format!("{content} "));
        send(world, &rewritten).await.refused(409, "nonce_taken");

        assert_eq!(count(world, "another").await, 0);
        assert_eq!(count(world, "nonce").await, 1);
        let reserves = |log: &[Value]| {
            let reserve =
                |call: &&Value| matches!(call["call"].as_str(), Some("allocate" | "deallocate"));
            log.iter().filter(reserve).count()
        };
        assert_eq!(reserves(&call_log(world).await), reserves(&asked));
        // The id that was refused for its nonce is free.
        let new = request("ofcbtc", 40, "another");
        ask(world, Kind::Allocation, connection, new)
            .await
            .cleared(Kind::Allocation);
        // And what stands is still answered.
        send(world, &first).await.cleared(Kind::Allocation);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn allocations_and_deallocations_have_external_ids_of_their_own() {
    on_each_database(idle(), async |world| {
        let (connection, _) = stocked(world, Kind::Deallocation).await;
        let up = ask(
            world,
            Kind::Allocation,
            connection,
            request("ofcbtc", 7, "both"),
        )
        .await;
        let down = ask(
            world,
            Kind::Deallocation,
            connection,
            request("ofcbtc", 9, "both"),
        )
        .await;
        let up = up.cleared(Kind::Allocation).id(Kind::Allocation);
        let down = down.cleared(Kind::Deallocation).id(Kind::Deallocation);
        assert_ne!(up, down);
        assert_eq!(world.allocated(connection, "ofcbtc").await, (998, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_record_stays_released_for_its_reason() {
    on_each_database(idle(), async |world| {
        let (connection, _) = world.connect().await;
        // Short of funds at the time: funds that come later do not revive it.
        let kind = Kind::Allocation;
        let much = prepare(
            world,
            kind,
            connection,
            request("ofcbtc", 1_000_000_001, "much"),
        );
        let said = send(world, &much)
            .await
            .released(kind, "insufficient_available");
        deposit(&world.network, world.client_account, "ofcbtc", 1_000).await;
        let stood = record(world, &said.id(kind)).await;
        let again = send(world, &much)
            .await
            .released(kind, "insufficient_available");
        assert_eq!(again.body[kind.noun()], said.body[kind.noun()]);
        assert_eq!(again.body["error"], said.body["error"]);
        let fresh = request("ofcbtc", 1_000_000_001, "much");
        let again = ask(world, kind, connection, fresh).await;
        again.released(kind, "insufficient_available");
        assert_eq!(record(world, &said.id(kind)).await, stood);
        assert_eq!(calls(world, &said.id(kind)).await, [""; 0]);

        // Refused by the partner: it is not asked again, whatever it would say now.
        for kind in KINDS {
            let (connection, _) = stocked(world, kind).await;
            fault(world, kind.calls().reserve, 1, "reject").await;
            let refused = prepare(world, kind, connection, request("ofcbtc", 40, "refused"));
            let said = send(world, &refused)
                .await
                .released(kind, "rejected_by_partner");
            for _ in 0..3 {
                let again = send(world, &refused)
                    .await
                    .released(kind, "rejected_by_partner");
                assert_eq!(again.body[kind.noun()], said.body[kind.noun()]);
            }
            called(world, &said.id(kind), &[kind.calls().reserve]).await;
            // A new id is a new request.
            ask(world, kind, connection, request("ofcbtc", 40, "asked anew"))
                .await
                .cleared(kind);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_refused_before_there_was_a_record_is_judged_afresh() {
    on_each_database(idle(), async |world| {
        let (connection, _) = world.connect().await;
        let kind = Kind::Allocation;
        let hand = world.network.operator(world.operator);

        let new = prepare(
            world,
            kind,
            connection,
            request("ofcnew", 40, "new currency"),
        );
        send(world, &new).await.refused(400, "unknown_currency");
        let ticker = "ofcnew".parse().expect("a ticker");
        let put = hand.put_currency(ticker, "new".to_owned(), 2, "vault".to_owned());
        put.await.expect("a currency");
        send(world, &new)
            .await
            .released(kind, "currency_not_supported");

        let key = hand
            .records()
            .signing_keys(Some(world.client_account))
            .await;
        let key = key.expect("keys").pop().expect("a key");
        hand.revoke_signing_key(key.id).await.expect("revoked");
        let signed = prepare(
            world,
            kind,
            connection,
            request("ofcbtc", 40, "revoked key"),
        );
        send(world, &signed)
            .await
            .refused(401, "signing_key_revoked");
        let further = extended_key(1).xpub();
        let added = hand.add_signing_key(world.client_account, further, "again".to_owned());
        added.await.expect("a key");
        send(world, &signed).await.cleared(kind);

        let licensed = async |licensed| {
            let id = CLIENT.parse().expect("an id");
            let name = "Northwind".to_owned();
            let put = hand.put_enterprise(id, name, "Meridian".to_owned(), licensed);
            put.await.expect("an enterprise");
        };
        licensed(false).await;
        let unlicensed = prepare(world, kind, connection, request("ofcbtc", 40, "licence"));
        send(world, &unlicensed)
            .await
            .refused(403, "no_oes_licence");
        licensed(true).await;
        send(world, &unlicensed).await.cleared(kind);

        let foreign = prepare(
            world,
            kind,
            Uuid::new_v4(),
            request("ofcbtc", 40, "foreign"),
        );
        send(world, &foreign)
            .await
            .refused(404, "connection_not_found");
        let right = prepare(world, kind, connection, request("ofcbtc", 40, "foreign"));
        send(world, &right).await.cleared(kind);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_account_of_the_enterprise_does_not_sign() {
    on_each_database(idle(), async |world| {
        let (connection, _) = world.connect().await;
        let hand = world.network.operator(world.operator);
        let (second, key) = (GoAccountId(Uuid::from_u128(0xc2)), extended_key(9));
        let enterprise = CLIENT.parse().expect("an id");
        hand.open_go_account(second, enterprise, "second".to_owned())
            .await
            .expect("an account");
        hand.add_signing_key(second, key.xpub(), "second".to_owned())
            .await
            .expect("a key");
        let content = json!({
            "amount": {"currency": "ofcbtc", "quantity": "40"},
            "clientExternalId": "second account",
            "nonce": "n",
        });
        let path = Kind::Allocation.path(connection);
        let forged = SignedRequest::forge(&key.key, path, &content, &content.to_string());
        send(world, &forged)
            .await
            .refused(401, "signature_not_verified");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_answered_whatever_would_speak_against_a_new_request() {
    on_each_database(idle(), async |world| {
        let hand = world.network.operator(world.operator);
        let partner = rules::PartnerId(world.partner_id);
        for kind in KINDS {
            let (connection, _) = stocked(world, kind).await;
            let new = prepare(
                world,
                kind,
                connection,
                request("ofcbtc", 400, "stopped since"),
            );
            let said = send(world, &new).await.cleared(kind);
            let update = ConnectionUpdate {
                active: Some(false),
                name: None,
            };
            let updated = world.client.update_connection(connection, &update).await;
            updated.expect("a stopped connection");
            let stopped = hand.update_partner(partner, Some(false), None).await;
            stopped.expect("a stopped partner");
            let again = send(world, &new).await.cleared(kind);
            assert_eq!(again.body, said.body);
            let resumed = hand.update_partner(partner, Some(true), None).await;
            resumed.expect("a partner");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_signature_of_the_same_content_tries_a_retriable_record_again() {
    on_each_database(idle(), async |world| {
        for kind in KINDS {
            let steps = kind.calls();
            let (connection, _) = stocked(world, kind).await;
            let new = request("ofcbtc", 400, "tried again");
            fault(world, steps.reserve, 2, "error500").await;
            let said = ask(world, kind, connection, new.clone())
                .await
                .retriable(kind);
            for expected in [500, 200, 200] {
                let fresh = NewAllocation {
                    nonce: client::fresh_nonce(),
                    ..new.clone()
                };
                let again = ask(world, kind, connection, fresh).await;
                assert_eq!((again.status, again.id(kind)), (expected, said.id(kind)));
            }
            let expected = [
                steps.reserve,
                steps.status,
                steps.reserve,
                steps.status,
                steps.reserve,
                steps.clear,
            ];
            called(world, &said.id(kind), &expected).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_waits_for_the_attempt_in_flight_and_makes_no_other() {
    on_each_database(idle(), async |world| {
        for kind in KINDS {
            let (connection, _) = stocked(world, kind).await;
            let id = format!("in flight {kind:?}");
            let request = prepare(world, kind, connection, request("ofcbtc", 400, &id));
            delay(world, kind.calls().reserve, Duration::from_millis(1_500)).await;
            let first = send(world, &request);
            let repeats = async {
                // It has begun.
                let record = appears(world, &id).await;
                assert_eq!(record["status"], "reserved");
                let second = send(world, &request).await;
                let third = send(world, &request).await;
                (second, third)
            };
            let (first, (second, third)) = tokio::join!(first, repeats);
            let first = first.cleared(kind);
            assert_eq!(second.cleared(kind).body, first.body);
            assert_eq!(third.cleared(kind).body, first.body);
            let steps = kind.calls();
            called(world, &first.id(kind), &[steps.reserve, steps.clear]).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_partner_that_answers_later_thinks_repeats_ask_nothing() {
    let options = Options {
        allocations: Answering::Asynchronous,
        deallocations: Answering::Asynchronous,
        ..idle()
    };
    on_each_database(options, async |world| {
        let kind = Kind::Allocation;
        let (connection, _) = world.connect().await;
        let request = prepare(world, kind, connection, request("ofcbtc", 400, "later"));
        let said = send(world, &request).await.waiting(kind);
        let id = said.id(kind);
        stands(world, &id, "pending").await;
        for _ in 0..3 {
            let again = send(world, &request).await.waiting(kind);
            assert_eq!(again.id(kind), id);
        }
        assert_eq!(calls(world, &id).await, [kind.calls().reserve]);
        assert_eq!(world.custody("ofcbtc").await, (999_999_600, 400));

        let verdict = json!({"id": id, "status": "cleared"});
        world.control(Method::POST, "answers", &verdict).await;
        assert_eq!(status(world, &id).await, "cleared");
        send(world, &request).await.cleared(kind);
        assert_eq!(world.allocated(connection, "ofcbtc").await, (400, 0));
    })
    .await;
}
