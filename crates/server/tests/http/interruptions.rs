//! Whoever stops waiting, the client, the server's clock or the operator who stops the server:
//! what was held comes to its end.

use std::time::Duration;

use ledger::Timestamp;
use rules::{
    AllocationId,
    record::{AllocationState, MessageCall},
};
use std::sync::Arc;
use store::{Opening, Store};
use uuid::Uuid;

use crate::fixture::{Options, World, on_each_database, request};
use crate::movements::{
    KINDS, Kind, appears, called, delay, eventually, idle, prepare, send, status, stocked, text,
};

/// How long the partner takes.
const SLOW: Duration = Duration::from_millis(2_000);

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_abandons_nothing() {
    on_each_database(idle(), async |world| {
        for kind in KINDS {
            let (connection, _) = stocked(world, kind).await;
            let target = kind.target(world, connection).await;
            let external_id = format!("hung up {kind:?}");
            let request = prepare(
                world,
                kind,
                connection,
                request("ofcbtc", 400, &external_id),
            );
            delay(world, kind.calls().reserve, SLOW).await;
            let (url, token) = (world.url.clone(), world.client_token.clone());
            let (path, body) = (request.path.clone(), request.body.clone());
            let waiting = tokio::spawn(async move {
                let http = reqwest::Client::new();
                let request = http.post(format!("{url}{path}")).bearer_auth(token);
                let request = request.header("content-type", "application/json");
                request.body(body).send().await
            });
            let id = text(&appears(world, &external_id).await["id"]);
            waiting.abort();
            assert!(waiting.await.expect_err("hung up").is_cancelled());
            assert_eq!(status(world, &id).await, "reserved");

            eventually("the end", async || {
                (status(world, &id).await == "cleared").then_some(())
            })
            .await;
            assert_eq!(kind.target(world, connection).await, (target.0 + 400, 0));
            // One attempt, to its end; and whoever comes back learns it.
            called(world, &id, &[kind.calls().reserve, kind.calls().clear]).await;
            assert_eq!(send(world, &request).await.cleared(kind).id(kind), id);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_limit_that_strikes_abandons_nothing() {
    let options = Options {
        request_time_limit: Duration::from_millis(1_000),
        ..idle()
    };
    on_each_database(options, async |world| {
        for kind in KINDS {
            let (connection, _) = stocked(world, kind).await;
            let target = kind.target(world, connection).await;
            let external_id = format!("limit {kind:?}");
            let request = prepare(
                world,
                kind,
                connection,
                request("ofcbtc", 400, &external_id),
            );
            delay(world, kind.calls().reserve, SLOW).await;
            // It is not said that nothing was done: nobody knows it yet. A repeat waits for the
            // attempt in flight, within its own limit.
            let said = send(world, &request).await.refused(503, "outcome_unknown");
            let pause = said.headers["retry-after"].to_str().expect("a text");
            assert!(
                pause.parse::<u32>().is_ok_and(|seconds| seconds > 0),
                "{pause}"
            );
            let id = text(&appears(world, &external_id).await["id"]);
            assert_eq!(status(world, &id).await, "reserved");
            let said = eventually("the outcome", async || {
                let said = send(world, &request).await;
                (said.status != 503).then_some(said)
            })
            .await;
            assert_eq!(said.cleared(kind).id(kind), id);
            called(world, &id, &[kind.calls().reserve, kind.calls().clear]).await;
            assert_eq!(kind.target(world, connection).await, (target.0 + 400, 0));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_finishes_what_is_in_flight() {
    // Once with the client waiting for the answer, once with nobody left to answer.
    for (kind, waits) in [(Kind::Allocation, true), (Kind::Deallocation, false)] {
        for database in testkit::each_database().await {
            let world = World::start(idle(), database).await;
            let (connection, _) = stocked(&world, kind).await;
            let request = prepare(&world, kind, connection, request("ofcbtc", 400, "last"));
            delay(&world, kind.calls().reserve, SLOW).await;
            let (url, token) = (world.url.clone(), world.client_token.clone());
            let waiting = tokio::spawn(async move {
                let http = reqwest::Client::new();
                let sent = http.post(format!("{url}{}", request.path));
                let sent = sent
                    .bearer_auth(token)
                    .header("content-type", "application/json");
                let answer = sent.body(request.body).send().await.expect("an answer");
                let status = answer.status().as_u16();
                (status, answer.text().await.expect("a body"))
            });
            let id = text(&appears(&world, "last").await["id"]);
            assert_eq!(status(&world, &id).await, "reserved");
            if !waits {
                waiting.abort();
            }
            let stopped = world.stop().await;
            if waits {
                let (status, body) = waiting.await.expect("an answer");
                assert_eq!(status, 200, "{body}");
                assert!(body.contains(r#""status":"cleared""#), "{body}");
            }

            // What stands is whole: cleared, with the telling left to the next process.
            let clock = || Timestamp(jiff::Timestamp::now().as_microsecond());
            let opened = Store::open(&stopped.location, Opening::default(), Arc::new(clock));
            let store = opened.await.expect("the store opens again");
            let uuid: Uuid = id.parse().expect("an id");
            let record = store.allocation(AllocationId(uuid)).await.expect("a look");
            assert_eq!(record.expect("the record").state, AllocationState::Cleared);
            let message = store.message(uuid).await.expect("a look");
            let to_say = message.expect("the message").call;
            assert!(
                matches!(to_say, None | Some(MessageCall::Clear)),
                "{to_say:?}"
            );
            store.close().await;
            stopped.verify().await;
        }
    }
}
