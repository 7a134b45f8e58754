//! The clock, as operators read and advance it.

use std::time::Duration;

use network::{MasterKey, Network};
use partner::PartnerCaller;
use reqwest::{Method, header::HeaderMap};
use rules::{clock::Advance, record::InstallationRole};
use serde_json::{Value, json};
use store::{Opening, Store};

use crate::fixture::{Heard, Options, World, blamed, on_each_database};

const HEADER: &str = "tidelock-test-clock";

async fn ask(world: &World, method: Method, path: &str, body: Value) -> Heard {
    let text = (!body.is_null()).then(|| body.to_string());
    let path = format!("/api/operator/v1{path}");
    let token = Some(world.operator_token.as_str());
    world.raw(method, &path, token, text.as_deref()).await
}

async fn read(world: &World) -> Value {
    let (status, _, body) = ask(world, Method::GET, "/clock", Value::Null).await;
    assert_eq!(status, 200, "{body}");
    body["clock"].clone()
}

async fn advance(world: &World, body: Value) -> Heard {
    ask(world, Method::POST, "/clock/advance", body).await
}

fn seconds_of(time: &Value) -> i64 {
    let time: jiff::Timestamp = time.as_str().expect("a time").parse().expect("a time");
    time.as_second()
}

/// How many seconds the header says that business time is ahead of ours.
fn told_ahead(headers: &HeaderMap) -> i64 {
    let told = headers[HEADER].to_str().expect("text");
    let told: jiff::Timestamp = told.parse().expect("a time");
    told.as_second() - jiff::Timestamp::now().as_second()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_normal_installation_keeps_real_time() {
    on_each_database(Options::default(), async |world| {
        let clock = read(world).await;
        assert_eq!(clock["testClock"], false);
        assert_eq!(clock["aheadMicroseconds"], 0);
        assert_eq!(clock["businessTime"], clock["realTime"]);
        let (status, headers, body) = advance(world, json!({"seconds": 60})).await;
        assert_eq!((status, &body["name"]), (422, &json!("no_test_clock")));
        assert!(
            body["error"]
                .as_str()
                .is_some_and(|told| told.contains("tidelock init --test-clock"))
        );
        assert!(!headers.contains_key(HEADER));
        assert_eq!(read(world).await["aheadMicroseconds"], 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_clock_is_advanced_and_says_so_everywhere() {
    let options = Options {
        test_clock: true,
        ..Options::default()
    };
    on_each_database(options, async |world| {
        assert_eq!(read(world).await["testClock"], true);
        for (wrong, fields) in [
            (json!({}), vec!["seconds"]),
            (
                json!({"seconds": 5, "to": "2100-01-01T00:00:00Z"}),
                vec!["seconds"],
            ),
            (json!({"seconds": 0}), vec!["seconds"]),
            (json!({"seconds": -1}), vec!["seconds"]),
            (json!({"to": "tomorrow"}), vec!["to"]),
        ] {
            let (status, _, body) = advance(world, wrong.clone()).await;
            assert_eq!(status, 400, "{wrong}: {body}");
            assert!(
                fields.iter().all(|field| blamed(&body).contains(field)),
                "{body}"
            );
        }

        let (status, headers, body) = advance(world, json!({"seconds": 86_400})).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["clock"]["aheadMicroseconds"], 86_400_000_000_i64);
        let (business, real) = (&body["clock"]["businessTime"], &body["clock"]["realTime"]);
        assert!((86_399..=86_401).contains(&(seconds_of(business) - seconds_of(real))));
        assert!((86_395..=86_401).contains(&told_ahead(&headers)));

        let to = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * 400);
        let (status, _, body) = advance(world, json!({"to": to.to_string()})).await;
        assert_eq!(status, 200, "{body}");
        let reached = seconds_of(&body["clock"]["businessTime"]) - to.as_second();
        assert!((0..=5).contains(&reached), "{body}");
        let (status, _, body) = advance(world, json!({"to": to.to_string()})).await;
        assert_eq!(
            (status, &body["name"]),
            (422, &json!("clock_runs_forward_only"))
        );

        // Tokens are reckoned in real time: one for an hour outlives the year. What is decided is
        // dated in business time.
        let expires_at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
        let token = world
            .issue(network::NewToken {
                expires_at: Some(ledger::Timestamp(expires_at.as_microsecond())),
                ..crate::fixture::new_token(world.operator, network::TokenKind::Plain)
            })
            .await;
        let listed = world.raw(
            Method::GET,
            "/api/operator/v1/acts?pageSize=500",
            Some(&token.token),
            None,
        );
        let (status, _, _) = listed.await;
        assert_eq!(status, 403, "known, but not for this");
        let (_, headers, acts) = ask(world, Method::GET, "/acts?pageSize=500", Value::Null).await;
        assert!(told_ahead(&headers) > 86_400 * 399);
        let acts = acts["acts"].as_array().expect("acts");
        let advances: Vec<_> = acts
            .iter()
            .filter(|act| act["act"] == "advance_clock")
            .collect();
        assert_eq!(advances.len(), 2);
        assert_eq!(advances[0]["subject"], "test clock");
        assert!(seconds_of(&acts[0]["at"]) >= to.as_second(), "{}", acts[0]);

        // Answers to those who are turned away, and to strangers, say it too.
        let (status, headers, _) = world.raw(Method::GET, "/nowhere", None, None).await;
        assert!(status >= 400 && told_ahead(&headers) > 86_400 * 399);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_operators_advance_the_clock() {
    let options = Options {
        test_clock: true,
        ..Options::default()
    };
    let world = World::start(options, testkit::sqlite::fresh_file()).await;
    let auditor = world.member_of(&[]).await;
    let role = Some(InstallationRole::Auditor);
    let hand = world.network.installation();
    hand.put_user(auditor, "auditor".to_owned(), role)
        .await
        .expect("an auditor");
    let scopes = &[rules::record::Scope::Installation];
    let auditor = crate::fixture::issue_token(&world.network, auditor, scopes).await;
    let body = json!({"seconds": 60}).to_string();
    for (token, reads) in [(&auditor, 200), (&world.client_token, 403)] {
        let path = "/api/operator/v1/clock/advance";
        let (status, ..) = world
            .raw(Method::POST, path, Some(token), Some(&body))
            .await;
        assert_eq!(status, 403);
        let (status, ..) = world
            .raw(Method::GET, "/api/operator/v1/clock", Some(token), None)
            .await;
        assert_eq!(status, reads);
    }
    assert_eq!(read(&world).await["aheadMicroseconds"], 0);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_server_on_the_same_database_follows() {
    let options = Options {
        test_clock: true,
        ..Options::default()
    };
    let world = World::start(options, testkit::postgres::fresh_database().await).await;
    let clock = world.clock.clone();
    let store = Store::open(
        &world.location,
        Opening::default(),
        std::sync::Arc::new(move || clock.now()),
    );
    let caller = PartnerCaller::new(Default::default(), || ledger::Timestamp(0));
    let key = MasterKey::from_hex(&MasterKey::generate_hex()).expect("a key");
    let other = Network::start(
        store.await.expect("a store"),
        caller,
        key,
        network::Settings::default(),
    );
    let advanced = world
        .network
        .installation()
        .advance_clock(Advance::Seconds(86_400))
        .await;
    let advanced = advanced.expect("an advance");
    let seen = async {
        while other.test_clock() != Some(advanced) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let within = tokio::time::timeout(Duration::from_secs(30), seen).await;
    within.expect("the other server has seen it");
    let real = other.real_time();
    assert!(other.business_time() >= real.plus_seconds(86_400));
    other.close().await;
    world.finish().await;
}
