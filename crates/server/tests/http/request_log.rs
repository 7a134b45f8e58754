//! The log of requests: what stands in it, who may see it, and that it holds up nobody.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::TestDatabase;

use crate::{
    fixture::{
        CLIENT, Heard, Options, PARTNER, World, hear, new_token, on_each_database, rate_limit,
        request,
    },
    movements::eventually,
};

fn logged(requests_kept: u32) -> Options {
    Options {
        requests_kept: Some(requests_kept),
        ..Options::default()
    }
}

/// What a token reads of the developer API.
async fn read(world: &World, token: &str, path: &str) -> Heard {
    let path = format!("/api/developer/v1/requests{path}");
    world.raw(Method::GET, &path, Some(token), None).await
}

async fn list(world: &World, token: &str, query: &str) -> Vec<Value> {
    let (status, _, body) = read(world, token, query).await;
    assert_eq!(status, 200, "{query}: {body}");
    body["requests"].as_array().expect("a list").clone()
}

/// The only request of the client in the log that fits, once it is there.
async fn appears(world: &World, query: &str) -> Value {
    let found = eventually(query, async || {
        let found = list(world, &world.client_token, query).await;
        (!found.is_empty()).then_some(found)
    })
    .await;
    assert_eq!(found.len(), 1, "{query}: {found:#?}");
    found[0].clone()
}

/// Sends a request as the client and tells the id that its answer bore.
async fn send(world: &World, path: &str, agent: &str) -> Heard {
    let path = format!("/api/network/v1/enterprises/{CLIENT}{path}");
    let asked = world.ask(Method::GET, &path).header("user-agent", agent);
    hear(asked.bearer_auth(&world.client_token)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_and_refusals_are_logged_for_their_enterprise() {
    on_each_database(logged(1_000), async |world| {
        let (connection, _) = world.connect().await;
        let too_much = request("ofcbtc", i128::from(i64::MAX), "secret-free");
        let refused = world.client.allocate(connection, too_much).await;
        let refused = refused.expect_err("too much");
        let refusal = refused.refusal().expect("a refusal");

        let entry = appears(world, "?status=4xx").await;
        assert_eq!(entry["status"], 422);
        assert_eq!(entry["enterpriseId"], CLIENT);
        assert_eq!(entry["method"], "POST");
        let path = format!(
            "/api/network/v1/enterprises/{CLIENT}/clients/connections/{connection}/allocations"
        );
        assert_eq!(entry["path"], path.as_str());
        assert_eq!(entry["operation"], "V1ClientAllocationsPostRoute");
        assert_eq!(entry["requestId"].as_str(), refusal.request_id.as_deref());
        assert_eq!(entry["tokenLabel"], "test");
        assert_eq!(entry["error"]["name"].as_str(), refusal.name.as_deref());
        assert_eq!(entry["error"]["allocation"]["status"], "released");
        assert!(entry["latencyUs"].as_i64().expect("a number") > 0);

        // One by its id; nobody else's.
        let path = format!("/{}", entry["id"].as_str().expect("an id"));
        let own = read(world, &world.client_token, &path).await;
        assert_eq!((own.0, &own.2["request"]), (200, &entry));
        let others = read(world, &world.partner_token, &path).await;
        assert_eq!(
            (others.0, &others.2["name"]),
            (404, &json!("request_not_found"))
        );

        // A success says nothing of what was sent or answered.
        let told = send(world, "/partners?names=hush", "probe/1").await;
        assert_eq!(told.0, 200);
        let entry = appears(world, "?operation=v1PartnersGetRoute&status=200").await;
        assert_eq!(entry["userAgent"], "probe/1");
        assert_eq!(entry.get("error"), None);
        assert!(!entry.to_string().contains("hush"));
        assert!(!entry.to_string().contains(&world.client_token));
    })
    .await;
}

/// Whoever is refused at the gate sees it too, if it is their own enterprise that they named and
/// the token is theirs.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_the_gate_are_logged_for_members_alone() {
    on_each_database(logged(1_000), async |world| {
        let user = world.member_of(&[CLIENT]).await;
        let issued = world.issue(new_token(user, network::TokenKind::V2x)).await;
        let hash = hex::encode(wire::request_hmac::token_hash(&issued.token));
        let path = format!("/api/network/v1/enterprises/{CLIENT}/partners");
        let with = |bearer: &str, id: &str| {
            let asked = world.ask(Method::GET, &path).bearer_auth(bearer);
            asked
                .header("hmac", "00")
                .header("request-id", id.to_owned())
        };
        assert_eq!(hear(with(&issued.token, "wrong-hmac")).await.0, 401);
        assert_eq!(hear(with(&hash, "only-a-hash")).await.0, 401);
        assert_eq!(hear(with("nobody", "stranger")).await.0, 401);
        let foreign = world
            .ask(Method::GET, &path)
            .bearer_auth(&world.partner_token);
        assert_eq!(hear(foreign.header("request-id", "foreign")).await.0, 401);
        let bad_path = world.ask(Method::GET, &format!("{path}?ids=no"));
        let bad_path = bad_path.bearer_auth(&world.client_token);
        assert_eq!(hear(bad_path.header("request-id", "last")).await.0, 400);

        let last = appears(world, "?status=400").await;
        assert_eq!(last["requestId"], "last");
        let all = list(world, &world.client_token, "?status=4xx").await;
        let ids: Vec<&str> = all.iter().filter_map(|e| e["requestId"].as_str()).collect();
        assert_eq!(ids, ["last", "wrong-hmac"]);
        assert!(
            list(world, &world.partner_token, "?status=4xx")
                .await
                .is_empty()
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_cut_filtered_and_continued() {
    on_each_database(logged(1_000), async |world| {
        let before = jiff::Timestamp::now();
        for number in 0..7 {
            send(world, "/clients/balances", &format!("probe/{number}")).await;
        }
        let of_balances = "?operation=v1ClientBalancesGetRoute";
        let all = eventually("all of them", async || {
            let found = list(world, &world.client_token, of_balances).await;
            (found.len() == 7).then_some(found)
        })
        .await;
        let agents: Vec<&str> = all.iter().filter_map(|e| e["userAgent"].as_str()).collect();
        let expected: Vec<String> = (0..7).rev().map(|n| format!("probe/{n}")).collect();
        assert_eq!(agents, expected);

        let mut walked = Vec::new();
        let mut cursor = String::new();
        for length in [3, 3, 1] {
            let query = format!("{of_balances}&limit=3{cursor}");
            let (status, _, page) = read(world, &world.client_token, &query).await;
            assert_eq!(status, 200);
            let entries = page["requests"].as_array().expect("a list");
            assert_eq!(entries.len(), length);
            walked.extend(entries.clone());
            cursor = match page["nextCursor"].as_str() {
                Some(next) => format!("&cursor={next}"),
                None => String::new(),
            };
        }
        assert_eq!((walked, cursor.as_str()), (all.clone(), ""));

        let at = all[3]["at"].as_str().expect("a time");
        let since = format!("{of_balances}&since={before}");
        assert_eq!(list(world, &world.client_token, &since).await.len(), 7);
        let until = format!("{of_balances}&before={before}");
        assert!(list(world, &world.client_token, &until).await.is_empty());
        let around = format!("{of_balances}&since={at}&enterpriseId={CLIENT}");
        assert!(list(world, &world.client_token, &around).await.len() >= 4);

        let wrong = "?status=6xx&since=now&limit=0&cursor=x&enterpriseId=%20";
        let (status, _, body) = read(world, &world.client_token, wrong).await;
        assert_eq!(status, 400);
        let blamed = crate::fixture::blamed(&body);
        assert_eq!(
            blamed,
            ["cursor", "enterpriseId", "limit", "since", "status"]
        );
        let foreign = format!("?enterpriseId={PARTNER}");
        let (status, _, body) = read(world, &world.client_token, &foreign).await;
        assert_eq!((status, &body["name"]), (401, &json!("not_a_member")));
        let operator = read(world, &world.operator_token, "").await;
        assert_eq!(
            (operator.0, &operator.2["name"]),
            (403, &json!("scope_missing"))
        );
    })
    .await;
}

/// The log is bounded, and reading it is not logged.
#[tokio::test(flavor = "multi_thread")]
async fn the_newest_are_kept() {
    on_each_database(logged(20), async |world| {
        for number in 0..60 {
            send(world, "/clients/balances", &format!("probe/{number}")).await;
        }
        let newest = eventually("the last one, and no more than 20", async || {
            // Sweeping goes with writing.
            send(world, "/clients/balances", "probe/last").await;
            let found = list(world, &world.client_token, "").await;
            let last = found.first()?["userAgent"] == "probe/last";
            (last && found.len() <= 22).then_some(found)
        })
        .await;
        assert!(
            newest
                .iter()
                .all(|e| e["operation"] != "developerListRequests")
        );
    })
    .await;
}

/// The ledger goes on while the log's tables are locked by somebody, and what is dropped is
/// counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_holds_up_nobody() {
    on_each_database(logged(1_000), async |world| {
        send(world, "/clients/balances", "before").await;
        appears(world, "?operation=v1ClientBalancesGetRoute").await;
        destroy(&world.database).await;
        let (connection, _) = world.connect().await;
        let wanted = request("ofcbtc", 500, "goes-on");
        world.client.allocate(connection, wanted).await.expect("it");
        eventually("a count", async || {
            let url = format!("{}/metrics", world.monitoring_url);
            let text = reqwest::get(url)
                .await
                .expect("it")
                .text()
                .await
                .expect("it");
            let line = r#"tidelock_request_log_dropped_total{reason="storage"} "#;
            let count = text.lines().find_map(|l| l.strip_prefix(line))?;
            (count != "0").then_some(())
        })
        .await;
    })
    .await;
}

/// Takes the table of the log away.
async fn destroy(database: &TestDatabase) {
    let drop = "DROP TABLE api_requests";
    match database.folder() {
        None => database.execute(drop).await,
        Some(_) => {
            let log = format!("{}.requests", database.url);
            TestDatabase::elsewhere(&log).execute(drop).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_may_keep_no_log() {
    on_each_database(Options::default(), async |world| {
        let (status, _, body) = read(world, &world.client_token, "").await;
        assert_eq!((status, &body["name"]), (404, &json!("no_request_log")));
    })
    .await;
}

/// Too many requests are logged as well: whoever is limited wants to know by what.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_rate_limited_is_logged() {
    let options = Options {
        rate_limit: rate_limit(1, 30),
        ..logged(1_000)
    };
    on_each_database(options, async |world| {
        let user = world.member_of(&[CLIENT]).await;
        let reader = world
            .issue(new_token(user, network::TokenKind::Plain))
            .await;
        for _ in 0..40 {
            if send(world, "/clients/balances", "eager").await.0 == 429 {
                break;
            }
        }
        let entry = eventually("the refusal", async || {
            // Whoever looks is limited as well.
            tokio::time::sleep(Duration::from_millis(200)).await;
            let found = list(world, &reader.token, "?status=429").await;
            found.first().cloned()
        })
        .await;
        assert_eq!(entry["error"]["name"], "rate_limited");
    })
    .await;
}
