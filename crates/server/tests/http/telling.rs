//! What enterprises are told: the event feed and statements, part by part and only their own.

use reqwest::Method;
use serde_json::Value;
use uuid::Uuid;

use crate::fixture::{CLIENT, Options, PARTNER, World, hear, on_each_database, request};

async fn get(world: &World, token: &str, path: &str) -> Value {
    let (status, _, body) = world.raw(Method::GET, path, Some(token), None).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// The types of all events, read so many at a time.
async fn events(world: &World, token: &str, limit: u32) -> Vec<String> {
    let mut types = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/api/events/v1?limit={limit}{after}");
        let body = get(world, token, &path).await;
        for event in body["events"].as_array().expect("events") {
            types.push(event["type"].as_str().expect("a type").to_owned());
        }
        let cursor = body["nextCursor"].as_str().expect("a cursor");
        after = format!("&after={cursor}");
        if body["hasMore"] == false {
            return types;
        }
    }
}

async fn allocate(world: &World, connection: Uuid, units: i128, id: &str) {
    let allocated = world
        .client
        .allocate(connection, request("ofcbtc", units, id))
        .await;
    allocated.expect("an allocation");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_both_ends_in_order() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        allocate(world, connection, 1_000, "one").await;
        let told = [
            "connection.created",
            "connection.initialized",
            "allocation.reserved",
            "allocation.cleared",
        ];
        for token in [&world.client_token, &world.partner_token] {
            for limit in [1, 3, 100] {
                assert_eq!(events(world, token, limit).await, told, "{limit}");
            }
        }
        let body = get(world, &world.client_token, "/api/events/v1").await;
        let event = &body["events"][3];
        assert_eq!(event["connectionId"], connection.to_string());
        let path = format!("/api/network/v1/enterprises/{CLIENT}/clients/allocations");
        let listed = get(world, &world.client_token, &path).await;
        assert_eq!(event["subjectId"], listed["allocations"][0]["id"]);

        // Nobody reads the feed of others, or without a token, or at a place that is none.
        let others = format!("/api/events/v1?enterpriseId={PARTNER}");
        for (token, path, status) in [
            (Some(world.client_token.as_str()), others.as_str(), 401),
            (None, "/api/events/v1", 401),
            (Some(&world.client_token), "/api/events/v1?after=5", 400),
            (Some(&world.client_token), "/api/events/v1?limit=0", 400),
        ] {
            let heard = world.raw(Method::GET, path, token, None).await;
            assert_eq!(heard.0, status, "{path}: {}", heard.2);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_add_up_to_the_balances() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        allocate(world, connection, 1_000, "one").await;
        allocate(world, connection, 500, "two").await;

        let base = format!("/api/statements/v1/enterprises/{CLIENT}");
        let path = format!("{base}/connections/{connection}");
        let body = get(world, &world.client_token, &path).await;
        let entries = body["entries"].as_array().expect("entries");
        assert_eq!(entries.len(), 2);
        let causes: Vec<&Value> = entries.iter().map(|entry| &entry["cause"]).collect();
        assert_eq!(causes, ["allocation_cleared", "allocation_cleared"]);
        assert_eq!(entries[1]["change"]["available"], "500");
        assert_eq!(entries[1]["balance"]["available"], "1500");
        assert_eq!(body["opening"]["ofcbtc"]["available"], "0");
        assert_eq!(body.get("nextCursor"), None);
        let (available, held) = world.allocated(connection, "ofcbtc").await;
        assert_eq!((available, held), (1_500, 0));

        // A Go Account is named as answers name it, or as a UUID.
        let account = world.client_account;
        let path_of = |id: &dyn std::fmt::Display| format!("{base}/goAccounts/{id}");
        let of_account = get(world, &world.client_token, &path_of(&account)).await;
        let (available, _) = world.custody("ofcbtc").await;
        let moved = of_account["entries"].as_array().expect("entries");
        let last = moved.last().expect("an entry");
        assert_eq!(last["balance"]["available"], available.to_string());
        let hyphenated = get(world, &world.client_token, &path_of(&account.0)).await;
        assert_eq!(hyphenated, of_account);
        for odd in ["c1", "{000000000000000000000000000000c1}"] {
            let token = Some(world.client_token.as_str());
            let heard = world.raw(Method::GET, &path_of(&odd), token, None).await;
            assert_eq!(heard.0, 400, "{odd}: {}", heard.2);
        }

        // The partner sees the same; others and other accounts do not exist.
        let of_partner =
            format!("/api/statements/v1/enterprises/{PARTNER}/connections/{connection}");
        assert_eq!(get(world, &world.partner_token, &of_partner).await, body);
        let stranger = format!("{base}/goAccounts/{connection}");
        let heard = world
            .raw(Method::GET, &stranger, Some(&world.client_token), None)
            .await;
        assert_eq!(heard.0, 404, "{}", heard.2);

        // Part by part it is the same, and as CSV.
        let first = get(world, &world.client_token, &format!("{path}?limit=1")).await;
        let cursor = first["nextCursor"].as_str().expect("a cursor");
        let second = format!("{path}?limit=1&after={cursor}");
        let second = get(world, &world.client_token, &second).await;
        assert_eq!(second["entries"][0], entries[1]);
        assert_eq!(second["opening"]["ofcbtc"]["available"], "1000");
        let asked = world.ask(Method::GET, &format!("{path}?format=csv&limit=1"));
        let answer = asked
            .bearer_auth(&world.client_token)
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200);
        let kind = answer.headers()["content-type"].to_str().expect("a kind");
        assert!(kind.starts_with("text/csv"), "{kind}");
        assert_eq!(answer.headers()["next-cursor"], cursor);
        let text = answer.text().await.expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("entry,entry_id,at,cause"));
        assert!(lines[1].ends_with("ofcbtc,1000,0,1000,0"), "{text}");

        // A period in the future is empty; one that is no time is refused.
        let future = format!("{path}?since=2100-01-01T00:00:00Z");
        let none = get(world, &world.client_token, &future);
        assert_eq!(none.await["entries"].as_array().map(Vec::len), Some(0));
        let refused = world.ask(Method::GET, &format!("{path}?since=yesterday"));
        assert_eq!(hear(refused.bearer_auth(&world.client_token)).await.0, 400);
    })
    .await;
}
