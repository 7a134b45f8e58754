//! Many at once: what a Go Account or a connection has is spent once, whoever comes first.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use client::{Client, Retry};
use network::Network;
use reqwest::Method;
use rules::{
    UserId,
    record::{Answering, EnterpriseRole},
};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::api::allocations::NewAllocation;

use crate::fixture::{
    BOTH, CLIENT, Options, World, deposit, issue_token, on_each_database, request,
};
use crate::movements::{
    KINDS, Kind, Said, SignedRequest, ask, at_exchange, call_log, called, clients, delay, eager,
    eventually, fault, idle, prepare, record, send, send_as, stands, status, stock, stocked, text,
};

/// Clients that send at the same time.
const CLIENTS: usize = 64;

/// How many requests each of them sends.
const EACH: usize = 2;

/// How much each request is for.
const UNITS: i128 = 7;

/// A token of a further member of the client's enterprise.
async fn member(network: &Network, index: usize) -> String {
    let hand = network.installation();
    let user = UserId(Uuid::new_v4());
    let put = hand.put_user(user, format!("trader {index}"), None);
    put.await.expect("a user");
    let enterprise = CLIENT.parse().expect("an id");
    let role = Some(EnterpriseRole::Admin);
    let put = hand.put_membership(user, enterprise, role);
    put.await.expect("a membership");
    issue_token(network, user, BOTH).await
}

/// Sends the requests of every client, each client one after the other, all clients at once.
async fn storm(world: &World, tokens: &[String], requests: &[SignedRequest]) -> Vec<Said> {
    let mut clients = Vec::new();
    for (token, own) in tokens.iter().zip(requests.chunks(EACH)) {
        let (url, token, own) = (world.url.clone(), token.clone(), own.to_vec());
        clients.push(tokio::spawn(async move {
            let http = reqwest::Client::new();
            let mut said = Vec::new();
            for SignedRequest { method, path, body } in own {
                let request = http
                    .request(method, format!("{url}{path}"))
                    .bearer_auth(&token)
                    .header("content-type", "application/json")
                    .body(body);
                let answer = request.send().await.expect("an answer");
                let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
                let body = answer.bytes().await.expect("a body");
                said.push(Said {
                    status,
                    headers,
                    body: serde_json::from_slice(&body).expect("JSON"),
                });
            }
            said
        }));
    }
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.await.expect("a client"));
    }
    all
}

/// Everything that the client has, by connection; nothing negative, nothing held.
async fn at_rest(world: &World, connections: &[Uuid]) -> (i128, Vec<i128>) {
    let (custody, held) = world.custody("ofcbtc").await;
    assert!(custody >= 0 && held == 0, "{custody} {held}");
    let mut allocated = Vec::new();
    for connection in connections {
        let (available, held) = world.allocated(*connection, "ofcbtc").await;
        assert!(available >= 0 && held == 0, "{available} {held}");
        allocated.push(available);
    }
    (custody, allocated)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixty_four_clients_with_half_the_money_exactly_half_succeed() {
    let requests = CLIENTS * EACH;
    let funds = UNITS * i128::try_from(requests / 2).expect("a few");
    let options = Options {
        client_funds: vec![("ofcbtc", funds)],
        ..eager()
    };
    on_each_database(options, async |world| {
        let mut connections = Vec::new();
        let mut accounts = Vec::new();
        for _ in 0..4 {
            let (connection, account) = world.connect().await;
            connections.push(connection);
            accounts.push(account);
        }
        let mut tokens = Vec::new();
        for index in 0..CLIENTS {
            tokens.push(member(&world.network, index).await);
        }

        for kind in KINDS {
            if kind == Kind::Deallocation {
                // Half of what is asked for stands on each connection, and nothing elsewhere.
                for connection in &connections {
                    let have = world.allocated(*connection, "ofcbtc").await.0;
                    let want = funds / 4;
                    if have < want {
                        let missing = want - have;
                        deposit(&world.network, world.client_account, "ofcbtc", missing).await;
                        stock(world, *connection, missing).await;
                    } else if have > want {
                        let id = format!("level {connection}");
                        let new = request("ofcbtc", have - want, &id);
                        ask(world, kind, *connection, new).await.cleared(kind);
                    }
                }
            }
            let before = at_rest(world, &connections).await;
            let prepared: Vec<SignedRequest> = (0..requests)
                .map(|index| {
                    let id = format!("{kind:?} {index}");
                    let connection = connections[index % connections.len()];
                    prepare(world, kind, connection, request("ofcbtc", UNITS, &id))
                })
                .collect();
            let said = storm(world, &tokens, &prepared).await;

            let cleared = said.iter().filter(|said| said.status == 200).count();
            assert_eq!(cleared, requests / 2, "{kind:?}");
            let mut of_record = BTreeMap::new();
            for said in &said {
                let said = said.clone();
                let said = match (said.status, kind) {
                    (200, _) => said.cleared(kind),
                    (_, Kind::Allocation) => said.released(kind, "insufficient_available"),
                    (_, Kind::Deallocation) => said.released(kind, "insufficient_allocated"),
                };
                of_record.insert(said.id(kind), said.record(kind)["status"].clone());
            }
            assert_eq!(of_record.len(), requests, "a record for each request");

            let after = at_rest(world, &connections).await;
            let sum =
                |(custody, allocated): &(i128, Vec<i128>)| custody + allocated.iter().sum::<i128>();
            assert_eq!(sum(&after), sum(&before));
            match kind {
                Kind::Allocation => assert_eq!(after.0, 0),
                Kind::Deallocation => assert_eq!(after.1, [0; 4]),
            }

            // The exchange was asked for those that were covered, and for no others.
            let steps = kind.calls();
            let asked = async || {
                let mut asked: BTreeSet<String> = BTreeSet::new();
                let mut count = 0;
                for call in call_log(world).await {
                    if call["call"] == steps.reserve {
                        let id = text(&call["body"][format!("{}Id", kind.noun())]);
                        if of_record.contains_key(&id) {
                            count += 1;
                            asked.insert(id);
                        }
                    }
                }
                assert_eq!(count, asked.len(), "nobody was asked for twice");
                asked
            };
            let expected: BTreeSet<String> = of_record
                .iter()
                .filter(|(_, status)| **status == "cleared")
                .map(|(id, _)| id.clone())
                .collect();
            assert_eq!(asked().await, expected);

            // Everything once more: nothing changes, every answer is the first one's record.
            let again = storm(world, &tokens, &prepared).await;
            for (first, again) in said.iter().zip(&again) {
                assert_eq!(again.status, first.status);
                assert_eq!(again.body[kind.noun()], first.body[kind.noun()]);
            }
            assert_eq!(at_rest(world, &connections).await, after);
            assert_eq!(asked().await, expected);

            // The exchange ends up with what the books say.
            for (account, allocated) in accounts.iter().zip(&after.1) {
                eventually("the same books", async || {
                    (at_exchange(world, account).await == (*allocated, 0)).then_some(())
                })
                .await;
            }
        }
    })
    .await;
}

/// Sends all at once.
async fn race(world: &World, requests: &[SignedRequest]) -> Vec<Said> {
    let token = world.client_token.clone();
    let tokens: Vec<String> = requests.chunks(EACH).map(|_| token.clone()).collect();
    storm(world, &tokens, requests).await
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_two_identical_requests_make_one_record_and_one_call() {
    on_each_database(eager(), async |world| {
        for kind in KINDS {
            let (connection, _) = world.connect().await;
            if kind == Kind::Deallocation {
                stock(world, connection, 1_000).await;
            }
            let target = kind.target(world, connection).await;
            // The same bytes; and the same content, signed anew each time.
            let one = prepare(world, kind, connection, request("ofcbtc", 10, "same bytes"));
            let same = vec![one; 32];
            let anew: Vec<SignedRequest> = (0..32)
                .map(|_| {
                    prepare(
                        world,
                        kind,
                        connection,
                        request("ofcbtc", 10, "same content"),
                    )
                })
                .collect();
            for requests in [same, anew] {
                let said = race(world, &requests).await;
                let first = said[0].clone().cleared(kind);
                for said in said {
                    assert_eq!(said.cleared(kind).body, first.body);
                }
                let steps = kind.calls();
                called(world, &first.id(kind), &[steps.reserve, steps.clear]).await;
            }
            assert_eq!(kind.target(world, connection).await, (target.0 + 20, 0));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_repeats_of_a_retriable_record_one_asks() {
    on_each_database(idle(), async |world| {
        for kind in KINDS {
            let steps = kind.calls();
            let (connection, _) = stocked(world, kind).await;
            fault(world, steps.reserve, 1, "error500").await;
            let one = prepare(
                world,
                kind,
                connection,
                request("ofcbtc", 10, "tried again"),
            );
            let id = send(world, &one).await.retriable(kind).id(kind);
            delay(world, steps.reserve, Duration::from_millis(500)).await;
            for said in race(world, &vec![one; 16]).await {
                assert_eq!(said.cleared(kind).id(kind), id);
            }
            let expected = [steps.reserve, steps.status, steps.reserve, steps.clear];
            called(world, &id, &expected).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_different_requests_with_one_external_id_one_wins() {
    on_each_database(eager(), async |world| {
        for kind in KINDS {
            let (connection, _) = world.connect().await;
            if kind == Kind::Deallocation {
                stock(world, connection, 1_000).await;
            }
            let target = kind.target(world, connection).await;
            let requests: Vec<SignedRequest> = (1..=32)
                .map(|units| {
                    prepare(
                        world,
                        kind,
                        connection,
                        request("ofcbtc", units, "contested"),
                    )
                })
                .collect();
            let said = race(world, &requests).await;
            let winners: Vec<usize> = (0..32).filter(|index| said[*index].status == 200).collect();
            assert_eq!(winners.len(), 1, "{winners:?}");
            let won = i128::try_from(winners[0] + 1).expect("a few");
            for (index, said) in said.iter().enumerate() {
                if index == winners[0] {
                    let amount = &said.clone().cleared(kind).body[kind.noun()]["amount"];
                    assert_eq!(amount["quantity"], won.to_string());
                } else {
                    let said = said.clone().refused(409, "external_id_taken");
                    assert!(text(&said.body["error"]).contains("amount.quantity"));
                }
            }
            assert_eq!(kind.target(world, connection).await, (target.0 + won, 0));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_different_requests_with_one_nonce_one_wins() {
    on_each_database(eager(), async |world| {
        let kind = Kind::Allocation;
        let (connection, _) = world.connect().await;
        let requests: Vec<SignedRequest> = (0..32)
            .map(|index| {
                let new = NewAllocation {
                    nonce: "the only one".to_owned(),
                    ..request("ofcbtc", 10, &format!("nonce {index}"))
                };
                prepare(world, kind, connection, new)
            })
            .collect();
        let said = race(world, &requests).await;
        let cleared = said.iter().filter(|said| said.status == 200).count();
        assert_eq!(cleared, 1);
        for said in said.into_iter().filter(|said| said.status != 200) {
            said.refused(409, "nonce_taken");
        }
        assert_eq!(world.allocated(connection, "ofcbtc").await, (10, 0));
    })
    .await;
}

fn later() -> Options {
    Options {
        allocations: Answering::Asynchronous,
        deallocations: Answering::Asynchronous,
        client_funds: vec![("ofcbtc", 1_000)],
        ..eager()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_holds_count_as_spent() {
    on_each_database(later(), async |world| {
        let kind = Kind::Allocation;
        let (connection, _) = world.connect().await;
        let take = async |kind: Kind, id: &str| {
            ask(world, kind, connection, request("ofcbtc", 400, id)).await
        };
        let first = take(kind, "first").await.waiting(kind).id(kind);
        let second = take(kind, "second").await.waiting(kind).id(kind);
        take(kind, "third")
            .await
            .released(kind, "insufficient_available");
        assert_eq!(world.custody("ofcbtc").await, (200, 800));

        let decide = async |id: &str, verdict: &str| {
            stands(world, id, "pending").await;
            let verdict = json!({"id": id, "status": verdict});
            let told = world.control(Method::POST, "answers", &verdict).await;
            assert_eq!(told["network"]["status"], 200, "{told}");
        };
        decide(&first, "cleared").await;
        decide(&second, "released").await;
        assert_eq!(world.custody("ofcbtc").await, (600, 0));
        assert_eq!(world.allocated(connection, "ofcbtc").await, (400, 0));

        // On the way back as well.
        stands(world, &first, "cleared").await;
        let kind = Kind::Deallocation;
        let back = take(kind, "first back").await.waiting(kind).id(kind);
        assert_eq!(world.allocated(connection, "ofcbtc").await, (0, 400));
        take(kind, "second back")
            .await
            .released(kind, "insufficient_allocated");
        decide(&back, "cleared").await;
        assert_eq!(world.custody("ofcbtc").await, (1_000, 0));
    })
    .await;
}

/// What the partner says to clear a record, however it stands.
async fn clearance(world: &World, connection: Uuid, id: &str) -> SignedRequest {
    let known = world.partner.partner_connection(connection).await;
    let known = known.expect("the connection").connection;
    let name = record(world, id).await["partnerExternalId"].clone();
    let content = json!({
        "allocationId": id,
        "amount": {"currency": "BTC", "quantity": "400"},
        "clientId": known.client_id.to_string(),
        "connectionId": connection.to_string(),
        "partnersClientId": known.partners_client_id,
        "partnersConnectionId": known.partners_connection_id,
        "partnersAllocationId": if name.is_null() { json!("p-1") } else { name },
        "status": "cleared",
        "nonce": client::fresh_nonce(),
    });
    let path = format!("{}/allocations", crate::movements::partners());
    let key = &world.partner_key;
    SignedRequest {
        method: Method::PUT,
        ..SignedRequest::forge(key, path, &content, &content.to_string())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_that_was_refused_is_never_cleared_by_its_id() {
    on_each_database(later(), async |world| {
        let kind = Kind::Allocation;
        let (connection, _) = world.connect().await;
        // Never held, for want of funds.
        let new = prepare(
            world,
            kind,
            connection,
            NewAllocation {
                notes: Some("short".to_owned()),
                ..request("ofcbtc", 1_400, "short")
            },
        );
        let short = send(world, &new)
            .await
            .released(kind, "insufficient_available")
            .id(kind);
        // Held, and refused by the partner.
        let said = ask(world, kind, connection, request("ofcbtc", 400, "refused")).await;
        let refused = said.waiting(kind).id(kind);
        stands(world, &refused, "pending").await;
        let verdict = json!({"id": refused, "status": "released", "rejectReason": "no"});
        let told = world.control(Method::POST, "answers", &verdict).await;
        assert_eq!(told["network"]["status"], 200, "{told}");

        deposit(&world.network, world.client_account, "ofcbtc", 10_000).await;
        let token = &world.partner_token;
        let said = send_as(world, token, &clearance(world, connection, &refused).await).await;
        said.refused(409, "already_final");
        // Its amount differs besides; whatever is said first, nothing is cleared.
        let said = send_as(world, token, &clearance(world, connection, &short).await).await;
        assert!(matches!(said.status, 409 | 422), "{said:?}");
        send(world, &new)
            .await
            .released(kind, "insufficient_available");
        for id in [&short, &refused] {
            assert_eq!(status(world, id).await, "released");
        }
        assert_eq!(world.custody("ofcbtc").await, (11_000, 0));
        assert_eq!(world.allocated(connection, "ofcbtc").await, (0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opposite_answers_at_the_same_time_leave_one() {
    on_each_database(later(), async |world| {
        let kind = Kind::Allocation;
        let (connection, _) = world.connect().await;
        let said = ask(world, kind, connection, request("ofcbtc", 400, "both ways")).await;
        let id = said.waiting(kind).id(kind);
        stands(world, &id, "pending").await;
        let clear = clearance(world, connection, &id).await;
        let mut content: Value = serde_json::from_str(&clear.body).expect("JSON");
        for name in ["payload", "signature"] {
            content.as_object_mut().expect("an object").remove(name);
        }
        content["status"] = "released".into();
        content["rejectReason"] = "no".into();
        content["nonce"] = client::fresh_nonce().into();
        let payload = content.to_string();
        let path = clear.path.clone();
        let release = SignedRequest {
            method: Method::PUT,
            ..SignedRequest::forge(&world.partner_key, path, &content, &payload)
        };
        let hand = world.network.operator(world.operator);
        let uuid = id.parse().expect("an id");
        let token = &world.partner_token;
        let (clear, release, by_hand) = tokio::join!(
            send_as(world, token, &clear),
            send_as(world, token, &release),
            hand.release(uuid, "by hand"),
        );
        let ended = status(world, &id).await;
        match ended.as_str() {
            "cleared" => {
                assert_eq!((clear.status, release.status), (200, 409));
                assert!(by_hand.is_err());
                assert_eq!(world.allocated(connection, "ofcbtc").await, (400, 0));
            }
            _ => {
                assert_eq!(clear.status, 409);
                assert_eq!(world.custody("ofcbtc").await, (1_000, 0));
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_was_rebuilt_with_other_content_is_told_so() {
    on_each_database(eager(), async |world| {
        let kind = Kind::Allocation;
        let (connection, _) = world.connect().await;
        // A typed client that repeats by itself, as users have it.
        let client = Client::new(&world.url, CLIENT, &world.client_token).expect("a client");
        let client = client.with_shared_signing_key(world.client_key.clone());
        let client = client.with_retry(Retry::default());
        let first = client
            .allocate(connection, request("ofcbtc", 400, "rebuilt"))
            .await;
        first.expect("an allocation");
        let rebuilt = client
            .allocate(connection, request("ofcbtc", 40, "rebuilt"))
            .await;
        let error = rebuilt.expect_err("a conflict");
        let refusal = error.refusal().expect("a refusal");
        assert_eq!(refusal.status, 409);
        assert_eq!(refusal.name.as_deref(), Some("external_id_taken"));
        assert!(
            refusal.message.contains("amount.quantity"),
            "{}",
            refusal.message
        );
        let listed = format!("{}/allocations", clients());
        let token = Some(world.client_token.as_str());
        let (_, _, all) = world.raw(Method::GET, &listed, token, None).await;
        assert_eq!(all["allocations"].as_array().map(Vec::len), Some(1));
        assert_eq!(world.allocated(connection, "ofcbtc").await, (400, 0));
        ask(world, kind, connection, request("ofcbtc", 400, "rebuilt"))
            .await
            .cleared(kind);
    })
    .await;
}
