//! What goes wrong around a call to the partner, call by call. Whatever it is, nothing is guessed:
//! the amount stays held until the partner's answer is known, and what was decided is told until
//! it is acknowledged.

use std::time::Duration;

use reqwest::Method;
use rules::{Class, UserId};
use serde_json::{Value, json};
use store::{ActFilter, Page};
use uuid::Uuid;
use wire::{api::connections::NewConnection, connection_key::ConnectionKey};

use crate::fixture::{Options, World, on_each_database, request};
use crate::movements::{
    KINDS, Kind, appears, ask, at_exchange, call_log, called, calls, delay, eager, eventually,
    fault, idle, in_time, movement, prepare, record, send, stands, status, stocked, text,
};

/// A call that is not answered ends after this; long enough for one that is.
const CALL_TIMEOUT: Duration = Duration::from_millis(1_000);

/// Later than the network waits.
const TOO_LATE: Duration = Duration::from_millis(1_700);

fn impatient(options: Options) -> Options {
    let millis = i64::try_from(CALL_TIMEOUT.as_millis()).expect("a few");
    Options {
        call_timeout_ms: millis,
        ..options
    }
}

/// Scripts what goes wrong with the next calls of a kind.
async fn script(world: &World, call: &str, times: u32, action: &str) {
    let late = u64::try_from(TOO_LATE.as_millis()).expect("a few");
    let delay = if action == "timeout" {
        json!(late)
    } else {
        Value::Null
    };
    let mut fault = json!({"call": call, "times": times, "action": action, "delayMs": delay});
    if delay.is_null() {
        fault.as_object_mut().expect("an object").remove("delayMs");
    }
    world.script_faults(json!([fault])).await;
}

/// What the exchange has of an account once a movement of 400 is through.
fn credited(kind: Kind) -> (i128, i128) {
    match kind {
        Kind::Allocation => (400, 0),
        Kind::Deallocation => (600, 0),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_reservation_stays_held_until_the_identical_request_ends_it() {
    on_each_database(impatient(idle()), async |world| {
        for kind in KINDS {
            let steps = kind.calls();
            let asked_again = vec![steps.reserve, steps.status, steps.reserve, steps.clear];
            let known = vec![steps.reserve, steps.status, steps.clear];
            for (action, expected) in [
                ("error500", &asked_again),
                ("hangUpBefore", &asked_again),
                ("hangUpAfter", &known),
            ] {
                let (connection, account) = stocked(world, kind).await;
                let source = kind.source(world, connection).await;
                let target = kind.target(world, connection).await;
                script(world, steps.reserve, 1, action).await;
                let external_id = format!("{kind:?} {action}");
                let request = prepare(
                    world,
                    kind,
                    connection,
                    request("ofcbtc", 400, &external_id),
                );

                let said = send(world, &request).await.retriable(kind);
                let id = said.id(kind);
                assert_eq!(record(world, &id).await["retriable"], true);
                let held = (source.0 - 400, 400);
                assert_eq!(kind.source(world, connection).await, held, "{action}");
                assert_eq!(kind.target(world, connection).await, target, "{action}");

                let again = send(world, &request).await.cleared(kind);
                assert_eq!(again.id(kind), id);
                // The status was asked for before anything was asked again.
                called(world, &id, expected).await;
                assert_eq!(kind.source(world, connection).await, (source.0 - 400, 0));
                assert_eq!(kind.target(world, connection).await, (target.0 + 400, 0));
                stands(world, &id, "cleared").await;
                assert_eq!(
                    at_exchange(world, &account).await,
                    credited(kind),
                    "{action}"
                );
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_ends_what_nobody_sends_again() {
    on_each_database(impatient(eager()), async |world| {
        for kind in KINDS {
            for action in ["error500", "timeout", "hangUpBefore", "hangUpAfter"] {
                let (connection, account) = stocked(world, kind).await;
                let target = kind.target(world, connection).await;
                // One that was heard is not made a second time.
                let times = if action == "hangUpAfter" { 1 } else { 2 };
                script(world, kind.calls().reserve, times, action).await;
                let external_id = format!("{kind:?} {action}");
                let said = ask(
                    world,
                    kind,
                    connection,
                    request("ofcbtc", 400, &external_id),
                )
                .await;
                let id = said.retriable(kind).id(kind);
                in_time(world, "the end", async || {
                    (status(world, &id).await == "cleared").then_some(())
                })
                .await;
                assert_eq!(kind.target(world, connection).await, (target.0 + 400, 0));
                stands(world, &id, "cleared").await;
                assert_eq!(calls(world, &id).await[1], kind.calls().status);
                // What arrives late finds everything done.
                let late = if action == "timeout" { 1 } else { 0 };
                eventually("the late calls", async || {
                    let log = call_log(world).await;
                    let late_calls = log.iter().filter(|call| call["fault"] == "timeout");
                    let about_it = late_calls.filter(|call| call["body"].to_string().contains(&id));
                    (about_it.count() >= late).then_some(())
                })
                .await;
                assert_eq!(
                    at_exchange(world, &account).await,
                    credited(kind),
                    "{action}"
                );
                assert_eq!(kind.target(world, connection).await, (target.0 + 400, 0));
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_arrives_after_the_network_gave_up_waiting_acts_once() {
    on_each_database(impatient(idle()), async |world| {
        for kind in KINDS {
            let steps = kind.calls();
            let (connection, account) = stocked(world, kind).await;
            delay(world, steps.reserve, TOO_LATE).await;
            let request = prepare(world, kind, connection, request("ofcbtc", 400, "late"));
            let id = send(world, &request).await.retriable(kind).id(kind);
            // The partner does not know it yet, and is asked again before the first call arrives.
            send(world, &request).await.cleared(kind);
            stands(world, &id, "cleared").await;
            eventually("both calls", async || {
                let calls = calls(world, &id).await;
                let reserves = calls.iter().filter(|call| **call == steps.reserve);
                (reserves.count() == 2).then_some(())
            })
            .await;
            assert_eq!(at_exchange(world, &account).await, credited(kind));
            send(world, &request).await.cleared(kind);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_status_nothing_is_decided() {
    on_each_database(impatient(idle()), async |world| {
        for kind in KINDS {
            let steps = kind.calls();
            let (connection, account) = stocked(world, kind).await;
            let source = kind.source(world, connection).await;
            script(world, steps.reserve, 1, "hangUpAfter").await;
            let request = prepare(world, kind, connection, request("ofcbtc", 400, "no status"));
            let id = send(world, &request).await.retriable(kind).id(kind);
            // Not even a refusal to tell the status is taken for a refusal of the amount.
            for action in [
                "error500",
                "hangUpBefore",
                "hangUpAfter",
                "reject",
                "timeout",
            ] {
                script(world, steps.status, 1, action).await;
                let said = send(world, &request).await.retriable(kind);
                assert_eq!(said.id(kind), id, "{action}");
                assert_eq!(kind.source(world, connection).await, (source.0 - 400, 400));
            }
            let reserves = calls(world, &id).await;
            let reserves = reserves.iter().filter(|call| **call == steps.reserve);
            assert_eq!(reserves.count(), 1, "never asked again blindly");
            send(world, &request).await.cleared(kind);
            stands(world, &id, "cleared").await;
            assert_eq!(at_exchange(world, &account).await, credited(kind));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_partner_refused_out_of_earshot_is_released_once_it_is_known() {
    on_each_database(impatient(idle()), async |world| {
        let kind = Kind::Deallocation;
        let steps = kind.calls();
        let (connection, account) = stocked(world, kind).await;
        let source = kind.source(world, connection).await;
        // All of it is in use, so that the exchange refuses; its answer is lost.
        let order = json!({"accountId": account, "currency": "BTC", "quantity": "1000"});
        let order = world.control(Method::POST, "orders", &order).await;
        script(world, steps.reserve, 1, "hangUpAfter").await;
        let request = prepare(world, kind, connection, request("ofcbtc", 400, "unheard"));
        let id = send(world, &request).await.retriable(kind).id(kind);
        // Even if it would accept by now.
        let order = format!("orders/{}", text(&order["orderId"]));
        world.control(Method::DELETE, &order, &Value::Null).await;
        let said = send(world, &request)
            .await
            .released(kind, "rejected_by_partner");
        assert_eq!(said.id(kind), id);
        called(world, &id, &[steps.reserve, steps.status]).await;
        assert_eq!(kind.source(world, connection).await, source);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clearance_stands_at_once_and_is_told_until_it_is_acknowledged() {
    on_each_database(impatient(eager()), async |world| {
        for kind in KINDS {
            let steps = kind.calls();
            for action in [
                "error500",
                "timeout",
                "hangUpBefore",
                "hangUpAfter",
                "reject",
            ] {
                let (connection, account) = stocked(world, kind).await;
                let target = kind.target(world, connection).await;
                let times = if action == "timeout" { 1 } else { 3 };
                script(world, steps.clear, times, action).await;
                let external_id = format!("{kind:?} {action}");
                let request = prepare(
                    world,
                    kind,
                    connection,
                    request("ofcbtc", 400, &external_id),
                );
                let said = send(world, &request).await.cleared(kind);
                let id = said.id(kind);
                assert_eq!(kind.target(world, connection).await, (target.0 + 400, 0));
                let told = async || {
                    let log = call_log(world).await;
                    let clears = log.iter().filter(|call| {
                        call["call"] == steps.clear && text(&call["path"]).contains(&id)
                    });
                    let faults = clears
                        .clone()
                        .filter(|call| call["fault"].is_string())
                        .count();
                    let good = clears.filter(|call| call["fault"].is_null()).count();
                    (faults, good)
                };
                in_time(world, "an acknowledged clearance", async || {
                    let (faults, good) = told().await;
                    (good >= 1 && faults == usize::try_from(times).expect("a few")).then_some(())
                })
                .await;
                assert_eq!(movement(world, &id).await.as_deref(), Some("cleared"));
                assert_eq!(
                    at_exchange(world, &account).await,
                    credited(kind),
                    "{action}"
                );
                // Then nothing remains to be said, and a repeat says nothing either.
                let uuid: Uuid = id.parse().expect("an id");
                eventually("an empty outbox", async || {
                    let hand = world.network.operator(world.operator);
                    let message = hand.records().message(uuid).await.expect("a look");
                    message.expect("a message").call.is_none().then_some(())
                })
                .await;
                send(world, &request).await.cleared(kind);
                assert_eq!(told().await.1, 1, "{action}");
                assert_eq!(status(world, &id).await, "cleared");
            }
        }
    })
    .await;
}

/// Leaves a record of 400 with an open outcome: the partner neither takes nor tells anything.
async fn stuck(world: &World, kind: Kind, external_id: &str) -> (Uuid, String, String) {
    let (connection, account) = stocked(world, kind).await;
    let steps = kind.calls();
    let faults = [steps.reserve, steps.status]
        .map(|call| json!({"call": call, "times": 1_000, "action": "error500"}));
    world.script_faults(json!(faults)).await;
    let new = request("ofcbtc", 400, external_id);
    let said = ask(world, kind, connection, new).await.retriable(kind);
    (connection, account, said.id(kind))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_answers_for_a_day_is_released_and_the_partner_told() {
    on_each_database(impatient(eager()), async |world| {
        for kind in KINDS {
            let (connection, account, id) = stuck(world, kind, "a day").await;
            let source = kind.source(world, connection).await;
            let target = kind.target(world, connection).await;
            assert_eq!(source.1, 400);
            world.clock.advance(Duration::from_secs(23 * 3_600));
            in_time(world, "a further attempt", async || {
                (calls(world, &id).await.len() > 1).then_some(())
            })
            .await;
            assert_eq!(status(world, &id).await, "reserved");

            world.clock.advance(Duration::from_secs(2 * 3_600));
            in_time(world, "the release", async || {
                (status(world, &id).await == "released").then_some(())
            })
            .await;
            assert_eq!(kind.source(world, connection).await, (source.0 + 400, 0));
            assert_eq!(kind.target(world, connection).await, target);
            // The exchange, which had never heard of it, keeps a tombstone.
            stands(world, &id, "released").await;
            let calls = calls(world, &id).await;
            assert_eq!(calls.last().map(String::as_str), Some(kind.calls().release));
            let new = request("ofcbtc", 400, "a day");
            let said = ask(world, kind, connection, new).await;
            said.released(kind, "partner_unanswered");
            let untouched = match kind {
                Kind::Allocation => (0, 0),
                Kind::Deallocation => (1_000, 0),
            };
            assert_eq!(at_exchange(world, &account).await, untouched);
            world.script_faults(json!([])).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_that_arrives_after_its_release_is_refused() {
    on_each_database(impatient(eager()), async |world| {
        for kind in KINDS {
            let steps = kind.calls();
            let (connection, account) = stocked(world, kind).await;
            let source = kind.source(world, connection).await;
            let before = at_exchange(world, &account).await;
            let late = u64::try_from(TOO_LATE.as_millis()).expect("a few");
            let faults = json!([
                {"call": steps.reserve, "times": 1, "action": "timeout", "delayMs": late},
                {"call": steps.status, "times": 1_000, "action": "error500"},
            ]);
            world.script_faults(faults).await;
            let said = ask(world, kind, connection, request("ofcbtc", 400, "overtaken")).await;
            let id = said.retriable(kind).id(kind);
            world.clock.advance(Duration::from_secs(25 * 3_600));
            in_time(world, "the release", async || {
                (status(world, &id).await == "released").then_some(())
            })
            .await;
            stands(world, &id, "released").await;
            // Now the reservation comes in, and finds the tombstone.
            eventually("the late reservation", async || {
                let calls = calls(world, &id).await;
                calls.iter().any(|call| call == steps.reserve).then_some(())
            })
            .await;
            assert_eq!(movement(world, &id).await.as_deref(), Some("released"));
            assert_eq!(at_exchange(world, &account).await, before);
            assert_eq!(status(world, &id).await, "released");
            assert_eq!(kind.source(world, connection).await, source);
            world.script_faults(json!([])).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_what_is_stuck_and_have_the_partner_asked_again() {
    on_each_database(impatient(idle()), async |world| {
        let hand = world.network.operator(world.operator);
        let all = Page {
            number: 0,
            size: 10,
        };
        for kind in KINDS {
            let steps = kind.calls();
            let (_, _, id) = stuck(world, kind, "stuck").await;
            let holds = hand.stuck_holds(all).await.expect("holds");
            assert_eq!(holds.len(), 1);
            assert_eq!(holds[0].allocation.id.to_string(), id);
            let message = holds[0].message.as_ref().expect("the message");
            assert_eq!(message.attempts, 1);
            let error = message.last_error.as_deref().unwrap_or_default();
            assert!(error.contains("500"), "{error}");

            // Asked again while the partner is still down: seen, and no guess.
            let uuid: Uuid = id.parse().expect("an id");
            hand.ask_again(uuid).await.expect("asked again");
            called(world, &id, &[steps.reserve, steps.status]).await;
            eventually("the second failure", async || {
                let holds = hand.stuck_holds(all).await.expect("holds");
                let message = holds[0].message.as_ref().expect("the message");
                (message.attempts == 2).then_some(())
            })
            .await;
            assert_eq!(status(world, &id).await, "reserved");
            eventually("the end of the attempt", async || {
                let holds = hand.stuck_holds(all).await.expect("holds");
                let message = holds[0].message.as_ref().expect("the message");
                (message.leased_until.0 == 0).then_some(())
            })
            .await;

            // And now that it is back.
            world.script_faults(json!([])).await;
            hand.ask_again(uuid).await.expect("asked again");
            let expected = [
                steps.reserve,
                steps.status,
                steps.status,
                steps.reserve,
                steps.clear,
            ];
            called(world, &id, &expected).await;
            assert_eq!(status(world, &id).await, "cleared");
            assert!(hand.stuck_holds(all).await.expect("holds").is_empty());
            eventually("nothing to say", async || {
                let refused = hand.ask_again(uuid).await.err()?;
                refused_as(refused, Class::Unprocessable, "nothing_to_ask");
                Some(())
            })
            .await;
        }
    })
    .await;
}

fn refused_as(failure: network::Failure, class: Class, name: &str) {
    match failure {
        network::Failure::Refused(refusal) => {
            assert_eq!((refusal.class, refusal.reason.name.as_str()), (class, name));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_release_what_is_stuck_and_the_partner_is_told_until_it_knows() {
    on_each_database(impatient(eager()), async |world| {
        let hand = world.network.operator(world.operator);
        for kind in KINDS {
            let steps = kind.calls();
            for action in [
                "error500",
                "timeout",
                "hangUpBefore",
                "hangUpAfter",
                "reject",
            ] {
                let external_id = format!("{kind:?} {action}");
                let (connection, _, id) = stuck(world, kind, &external_id).await;
                let source = kind.source(world, connection).await;
                let times = if action == "timeout" { 1 } else { 3 };
                script(world, steps.release, times, action).await;
                let uuid: Uuid = id.parse().expect("an id");
                let released = hand.release(uuid, "the partner has lost it").await;
                let released = released.expect("released").done().expect("alone");
                assert_eq!(released.id.to_string(), id);
                // The money is back at once, whatever becomes of the telling.
                assert_eq!(kind.source(world, connection).await, (source.0 + 400, 0));
                let shown = record(world, &id).await;
                assert_eq!(shown["status"], "released");
                assert_eq!(shown["reason"], "the partner has lost it");
                in_time(world, "an acknowledged release", async || {
                    let log = call_log(world).await;
                    let told = log.iter().any(|call| {
                        call["call"] == steps.release
                            && call["fault"].is_null()
                            && text(&call["path"]).contains(&id)
                    });
                    told.then_some(())
                })
                .await;
                assert_eq!(movement(world, &id).await.as_deref(), Some("released"));
                let again = hand.release(uuid, "again").await.expect_err("final");
                refused_as(again, Class::Conflict, "already_final");
                let said = ask(
                    world,
                    kind,
                    connection,
                    request("ofcbtc", 400, &external_id),
                )
                .await;
                said.released(kind, "released_by_operator");
            }
        }
        let nobody = hand
            .release(Uuid::new_v4(), "nothing")
            .await
            .expect_err("unknown");
        refused_as(nobody, Class::NotFound, "allocation_not_found");
        let nobody = hand.ask_again(Uuid::new_v4()).await.expect_err("unknown");
        refused_as(nobody, Class::NotFound, "allocation_not_found");
        // Who did it is on record.
        let acts = hand
            .records()
            .operator_acts(
                ActFilter {
                    act: Some("release_hold".to_owned()),
                    ..ActFilter::default()
                },
                Page {
                    number: 0,
                    size: 500,
                },
            )
            .await;
        let acts = acts.expect("acts");
        let released: Vec<Option<UserId>> =
            acts.iter().map(|recorded| recorded.act.user_id).collect();
        assert_eq!(released, vec![Some(world.operator); 10]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_that_crosses_a_release_does_not_clear() {
    on_each_database(eager(), async |world| {
        let hand = world.network.operator(world.operator);
        for kind in KINDS {
            let (connection, account) = stocked(world, kind).await;
            let source = kind.source(world, connection).await;
            let before = at_exchange(world, &account).await;
            delay(world, kind.calls().reserve, Duration::from_millis(1_000)).await;
            let external_id = format!("crossed {kind:?}");
            let asked = ask(
                world,
                kind,
                connection,
                request("ofcbtc", 400, &external_id),
            );
            let released = async {
                let id = text(&appears(world, &external_id).await["id"]);
                let uuid = id.parse().expect("an id");
                hand.release(uuid, "given up").await.expect("released");
                id
            };
            let (said, id) = tokio::join!(asked, released);
            said.released(kind, "released_by_operator");
            stands(world, &id, "released").await;
            assert_eq!(kind.source(world, connection).await, source);
            assert_eq!(at_exchange(world, &account).await, before);
        }
    })
    .await;
}

/// Asks for a connection: the answer and the account.
async fn connect(world: &World) -> Result<Uuid, client::ClientError> {
    let (_, connection_token) = world.exchange_account().await;
    let opened = world.client.connect(NewConnection {
        partner_id: world.partner_id,
        name: "main".to_owned(),
        connection_key: ConnectionKey::Token { connection_token },
        nonce: client::fresh_nonce(),
    });
    Ok(opened.await?.connection.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_asked_for_until_the_partner_answers() {
    on_each_database(impatient(eager()), async |world| {
        for action in ["error500", "timeout", "hangUpBefore", "hangUpAfter"] {
            script(world, "connect", 2, action).await;
            let id = connect(world).await.expect("a connection");
            let initialized = async || {
                let connection = world.client.client_connection(id).await;
                let connection = connection.expect("the connection").connection;
                assert_eq!(
                    connection.initialized,
                    connection.partners_connection_id.is_some()
                );
                connection.initialized
            };
            in_time(world, "the connection", async || {
                initialized().await.then_some(())
            })
            .await;
            // The single-use token was good for all of the calls, and the connection works.
            world.script_faults(json!([])).await;
            ask(world, Kind::Allocation, id, request("ofcbtc", 1, action))
                .await
                .cleared(Kind::Allocation);
        }

        fault(world, "connect", 1, "reject").await;
        let refused = connect(world).await.expect_err("refused");
        let refusal = refused.refusal().expect("a refusal");
        assert_eq!(refusal.status, 422);
        assert!(
            refusal.message.contains("rejected as the script says"),
            "{}",
            refusal.message
        );
    })
    .await;
}
