//! What was agreed with partners, and partners stopped and resumed.

use reqwest::Method;
use serde_json::{Value, json};

use super::{acts, get, put, refused, until};
use crate::fixture::{INSTITUTION, Options, PARTNER, World, blamed, on_each_database, request};

fn path_of(institution: &str) -> String {
    format!("/enterprises/{PARTNER}/partnerConfigurations/{institution}")
}

/// What was agreed with the partner of the world, with one more member.
fn agreed(world: &World, change: impl FnOnce(&mut Value)) -> Value {
    let mut body = json!({
        "baseUrl": format!("http://{}", world.exchange.address),
        "callTimeoutMs": 5000,
        "allowedNetworks": ["127.0.0.0/8"],
        "currencies": [
            {"ticker": "ofcbtc", "partnerNames": ["BTC"]},
            {"ticker": "ofceth", "partnerNames": ["ETH"]},
            {"ticker": "ofcusdt", "partnerNames": ["USDT"]},
        ],
    });
    change(&mut body);
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_makes_a_new_version_and_what_is_left_out_gets_its_default() {
    on_each_database(Options::default(), async |world| {
        let path = path_of("quay side");
        let path = path.replace(' ', "%20");
        let bare = json!({"baseUrl": "https://quay.example/x", "currencies": []});
        let put = async |body: &Value| {
            put(world, &path, body.clone()).await["partnerConfiguration"].clone()
        };
        let first = put(&bare).await;
        for (member, value) in [
            ("institutionIdentifier", json!("quay side")),
            ("version", json!(1)),
            ("baseUrl", json!("https://quay.example/x")),
            ("signatureHeader", json!("X-BitGo-Signature")),
            ("jwtKeyId", json!("default")),
            ("callTimeoutMs", json!(10_000)),
            ("allowedNetworks", json!([])),
            ("allocations", json!("sync")),
            ("deallocations", json!("sync")),
            ("amountFormat", json!("base")),
            ("onChain", json!(false)),
            ("activation", json!("immediate")),
            ("releaseUnansweredAfterSeconds", json!(86_400)),
            ("onChainLateAfterSeconds", json!(86_400)),
        ] {
            assert_eq!(first[member], value, "{member}");
        }
        assert_eq!(first.get("publicKey"), None);
        let routes = first["routes"].as_object().expect("routes").values();
        for route in routes {
            assert!(
                route.as_str().is_some_and(|r| r.starts_with("/bitgo/v1/")),
                "{route}"
            );
        }

        let mut other = bare.clone();
        other["pathPrefix"] = "/oes".into();
        other["routes"] = json!({"connect": "/join"});
        other["allocations"] = "async".into();
        let second = put(&other).await;
        assert_eq!(second["version"], 2);
        assert_eq!(second["routes"]["connect"], "/join");
        assert_eq!(second["routes"]["allocate"], "/oes/allocations");
        assert_eq!(second["allocations"], "async");
        assert_eq!(put(&other).await, second, "the same is no change");
        let third = put(&bare).await;
        assert_eq!(third["version"], 3);
        assert_eq!(third["routes"], first["routes"], "back at the default");

        let listed = get(world, "/partnerConfigurations").await;
        let listed = listed["partnerConfigurations"]
            .as_array()
            .expect("configurations");
        assert_eq!(listed.iter().filter(|one| **one == third).count(), 1);
        assert_eq!(listed.len(), 2, "no version but the last is listed");
        let changes = acts(world).await;
        let subject = json!(format!("{PARTNER} as quay side"));
        assert_eq!(
            changes
                .iter()
                .filter(|act| act["subject"] == subject)
                .count(),
            3
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_never_work_is_refused() {
    on_each_database(Options::default(), async |world| {
        let mut cases: Vec<(Value, u16, &str)> = Vec::new();
        let mut case = |status, name, change: fn(&mut Value)| {
            cases.push((agreed(world, change), status, name));
        };
        let unusable = "partner_configuration_invalid";
        case(422, unusable, |b| b["baseUrl"] = "quay.example".into());
        case(422, unusable, |b| {
            b["baseUrl"] = "ftp://quay.example".into()
        });
        case(422, unusable, |b| b["baseUrl"] = "https://".into());
        case(422, unusable, |b| {
            b["baseUrl"] = "https://user:secret@quay.example".into()
        });
        case(422, unusable, |b| {
            b["baseUrl"] = "https://quay.example?token=1".into()
        });
        case(422, unusable, |b| {
            b["baseUrl"] = "https://quay.example#x".into()
        });
        case(422, unusable, |b| {
            b["signatureHeader"] = "not a header".into()
        });
        case(422, unusable, |b| {
            b["allowedNetworks"] = json!(["10.0.0.1-9"])
        });
        case(422, unusable, |b| {
            b["routes"] = json!({"allocate": "@evil.example/"})
        });
        case(422, unusable, |b| {
            b["routes"] = json!({"clearAllocation": "/no-id"})
        });
        case(400, "unknown_currency", |b| {
            b["currencies"][0]["ticker"] = "ofcnone".into()
        });
        case(422, "currency_listed_twice", |b| {
            b["currencies"][0]["ticker"] = "ofceth".into()
        });
        case(422, "partner_name_used_twice", |b| {
            b["currencies"][0]["partnerNames"] = json!(["BTC", "ETH"]);
        });
        case(422, "partner_name_used_twice", |b| {
            b["currencies"][0]["partnerNames"] = json!(["BTC", "BTC"]);
        });
        case(422, "partner_name_missing", |b| {
            b["currencies"][0]["partnerNames"] = json!([])
        });
        case(400, "callTimeoutMs", |b| b["callTimeoutMs"] = 99.into());
        case(400, "callTimeoutMs", |b| b["callTimeoutMs"] = 12_001.into());
        case(400, "releaseUnansweredAfterSeconds", |b| {
            b["releaseUnansweredAfterSeconds"] = 0.into();
        });
        case(400, "onChainLateAfterSeconds", |b| {
            b["onChainLateAfterSeconds"] = 0.into();
        });
        case(400, "onChainLateAfterSeconds", |b| {
            b["onChainLateAfterSeconds"] = 31_536_001.into();
        });
        case(400, "publicKey", |b| b["publicKey"] = "no PEM".into());
        case(400, "publicKey", |b| {
            b["publicKey"] = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".into();
        });
        let before = get(world, "/partnerConfigurations").await;
        for (body, status, name) in cases {
            let told = body.to_string();
            let path = path_of(INSTITUTION);
            let (heard, refusal, answer) = refused(world, Method::PUT, &path, body).await;
            assert_eq!(heard, status, "{name}: {told}: {answer}");
            let names_it = refusal == name || blamed(&answer) == [name];
            assert!(names_it, "{name}: {told}: {answer}");
            // Whoever mistypes a URL with a password in it does not find it in the answer.
            assert!(!answer.to_string().contains("secret"), "{answer}");
        }
        assert_eq!(get(world, "/partnerConfigurations").await, before);

        for bounds in [
            json!({"callTimeoutMs": 100}),
            json!({"callTimeoutMs": 12_000}),
        ] {
            let body = agreed(world, |b| {
                b["callTimeoutMs"] = bounds["callTimeoutMs"].clone()
            });
            put(world, &path_of(INSTITUTION), body).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_counts_from_the_next_request_on() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        let allocate = async |units: i128, id: &str| {
            let tried = world
                .client
                .allocate(connection, request("ofcbtc", units, id))
                .await;
            tried.map(drop).map_err(|error| {
                let refusal = error.refusal().expect("an answer");
                (refusal.status, refusal.name.clone().unwrap_or_default())
            })
        };
        allocate(400, "a-1").await.expect("no limits yet");
        let path = path_of(INSTITUTION);
        let limited = agreed(world, |b| {
            b["currencies"][0]["minimum"] = "10".into();
            b["currencies"][0]["maximum"] = "300".into();
        });
        let version = put(world, &path, limited).await["partnerConfiguration"]["version"].clone();
        for (units, outcome) in [
            (9, Err((422, "below_minimum".to_owned()))),
            (10, Ok(())),
            (300, Ok(())),
            (301, Err((422, "above_maximum".to_owned()))),
        ] {
            assert_eq!(allocate(units, &format!("limited-{units}")).await, outcome);
        }
        let free = agreed(world, |_| ());
        let after = put(world, &path, free).await;
        assert_eq!(
            after["partnerConfiguration"]["version"],
            json!(version.as_i64().map(|v| v + 1))
        );
        allocate(301, "a-2").await.expect("no limits any more");
        assert_eq!(
            world.allocated(connection, "ofcbtc").await,
            (400 + 310 + 301, 0)
        );

        // Its routes, too.
        let moved = agreed(world, |b| b["routes"] = json!({"allocate": "/nowhere"}));
        put(world, &path, moved).await;
        assert!(allocate(1, "a-3").await.is_err());
        let calls = world.control(Method::GET, "calls", &Value::Null).await;
        let told = calls["calls"].as_array().expect("calls");
        let last = told
            .iter()
            .filter(|call| call["call"] == "allocate")
            .count();
        assert_eq!(last, 4, "{calls}");
        put(world, &path, agreed(world, |_| ())).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_partner_takes_nothing_new_and_gives_everything_back() {
    on_each_database(Options::default(), async |world| {
        let (connection, account) = world.connect().await;
        let path = format!("/partners/{}", world.partner_id);
        world
            .client
            .allocate(connection, request("ofcbtc", 400, "a-1"))
            .await
            .expect("an allocation");
        until(async || {
            let all = world.control(Method::GET, "accounts", &Value::Null).await;
            let own = all["accounts"]
                .as_array()?
                .iter()
                .find(|one| one["accountId"] == account)?;
            (own["balances"]["BTC"]["free"] == "400").then_some(())
        })
        .await;

        let stopped = put(world, &path, json!({"active": false})).await;
        assert_eq!(stopped["partner"]["active"], false);
        let tried = world
            .client
            .allocate(connection, request("ofcbtc", 1, "a-2"))
            .await;
        let refusal = tried.expect_err("stopped");
        let refusal = refusal.refusal().expect("an answer");
        assert_eq!(
            (refusal.status, refusal.name.as_deref()),
            (422, Some("partner_inactive"))
        );
        let (_, connection_token) = world.exchange_account().await;
        let opened = world
            .client
            .connect(wire::api::connections::NewConnection {
                partner_id: world.partner_id,
                name: "second".to_owned(),
                connection_key: wire::connection_key::ConnectionKey::Token { connection_token },
                nonce: client::fresh_nonce(),
            })
            .await
            .expect_err("stopped");
        assert_eq!(opened.refusal().map(|refusal| refusal.status), Some(422));
        // What is at the partner can still come back.
        world
            .client
            .deallocate(connection, request("ofcbtc", 150, "d-1"))
            .await
            .expect("a deallocation");

        let resumed = put(world, &path, json!({"active": true})).await;
        assert_eq!(resumed["partner"]["active"], true);
        world
            .client
            .allocate(connection, request("ofcbtc", 50, "a-3"))
            .await
            .expect("resumed");
        assert_eq!(world.allocated(connection, "ofcbtc").await, (300, 0));

        let stable = async || {
            let listed = world
                .client
                .partners(&Default::default())
                .await
                .expect("partners");
            serde_json::to_value(listed).expect("JSON")["partners"][0]["stablePartner"].clone()
        };
        assert_eq!(stable().await, false);
        put(world, &path, json!({"stable": true})).await;
        assert_eq!(stable().await, true);
    })
    .await;
}
