//! Requests and answers that are signed with a `v2x` token.

use network::{IssuedToken, TokenKind};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use wire::request_hmac::{AuthVersion, request_hmac, response_hmac, token_hash};

use super::{now_ms, unpacked};
use crate::fixture::{CLIENT, Options, World, blamed, hear, new_token, on_each_database, request};

const VERSIONS: [AuthVersion; 2] = [AuthVersion::V2, AuthVersion::V3];

/// A request with everything that an HMAC is made of.
#[derive(Clone)]
struct Ask {
    token: String,
    bearer: String,
    version: AuthVersion,
    method: Method,
    path: String,
    body: Vec<u8>,
    timestamp: String,
}

impl Ask {
    fn new(token: &str, version: AuthVersion, method: Method, tail: &str, body: &str) -> Ask {
        Ask {
            token: token.to_owned(),
            bearer: hex::encode(token_hash(token)),
            version,
            method,
            path: format!("/api/network/v1/enterprises/{CLIENT}{tail}"),
            body: body.as_bytes().to_vec(),
            timestamp: now_ms(),
        }
    }

    fn hmac(&self) -> String {
        let method = self.method.as_str();
        let Ask {
            token,
            version,
            timestamp,
            path,
            body,
            ..
        } = self;
        request_hmac(token, *version, method, timestamp, path, body)
    }

    /// The request without what signs it.
    fn unsigned(&self, world: &World) -> RequestBuilder {
        let mut request = world
            .ask(self.method.clone(), &self.path)
            .bearer_auth(&self.bearer);
        if !self.body.is_empty() {
            request = request
                .header("content-type", "application/json")
                .body(self.body.clone());
        }
        request
    }

    fn signed_as(&self, world: &World, hmac: &str) -> RequestBuilder {
        self.unsigned(world)
            .header("hmac", hmac)
            .header("auth-timestamp", &self.timestamp)
            .header("bitgo-auth-version", self.version.as_str())
    }

    fn signed(&self, world: &World) -> RequestBuilder {
        self.signed_as(world, &self.hmac())
    }

    /// The body of an answer of this status, once it has proved that it was signed with the token.
    async fn hear_signed(&self, request: RequestBuilder, status: u16) -> Value {
        let answer = request.send().await.expect("an answer");
        let headers = answer.headers().clone();
        let heard = answer.status().as_u16();
        let bytes = answer.bytes().await.expect("a body");
        let bytes = match headers.get("content-encoding") {
            Some(encoding) => {
                assert_eq!(encoding, "gzip");
                unpacked(&bytes)
            }
            None => bytes.to_vec(),
        };
        let body = String::from_utf8(bytes).expect("UTF-8");
        assert_eq!(heard, status, "{body}");
        let text = |name: &str| headers[name].to_str().expect("a text");
        let timestamp = text("timestamp");
        let method = self.method.as_str();
        let Ask {
            token,
            version,
            path,
            ..
        } = self;
        let body_bytes = body.as_bytes();
        let expected = response_hmac(token, *version, method, timestamp, path, status, body_bytes);
        assert_eq!(text("hmac"), expected, "{method} {path}");
        let said_at: i64 = timestamp.parse().expect("milliseconds");
        let off = jiff::Timestamp::now().as_millisecond() - said_at;
        assert!((0..60_000).contains(&off), "{off} ms");
        serde_json::from_str(&body).expect("JSON")
    }
}

async fn v2x(world: &World) -> IssuedToken {
    let user = world.member_of(&[CLIENT]).await;
    world.issue(new_token(user, TokenKind::V2x)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hashed_bearer_with_a_valid_hmac_gets_a_signed_answer() {
    on_each_database(Options::default(), async |world| {
        let issued = v2x(world).await;
        let (connection, _) = world.connect().await;
        let own = format!("/clients/connections/{connection}");
        let fresh = || {
            let new = request("ofcbtc", 3, "x");
            serde_json::to_string(&new).expect("JSON")
        };
        for version in VERSIONS {
            let cases = [
                (
                    Method::GET,
                    "/clients/connections".to_owned(),
                    String::new(),
                ),
                (Method::GET, own.clone(), "{}".to_owned()),
                (
                    Method::GET,
                    "/clients/connections?active=true&names=a%20b,%C3%BC".to_owned(),
                    String::new(),
                ),
                (
                    Method::GET,
                    "/clients/connections".to_owned(),
                    json!({"names": ["ü"], "active": true}).to_string(),
                ),
                (
                    Method::GET,
                    "/partners?pageSize=1".to_owned(),
                    json!({"ids": [null]}).to_string(),
                ),
                (Method::POST, "/clients".to_owned(), String::new()),
                (
                    Method::PUT,
                    own.clone(),
                    r#"{ "name" : "gr\u00fc\u00df" }"#.to_owned(),
                ),
                (Method::GET, format!("{own}/allocations/signing"), fresh()),
                (
                    Method::POST,
                    format!("{own}/deallocations/signing"),
                    fresh(),
                ),
            ];
            for (method, tail, body) in cases {
                let ask = Ask::new(&issued.token, version, method, &tail, &body);
                let plain = ask.hear_signed(ask.signed(world), 200).await;
                let packed = ask.signed(world).header("accept-encoding", "gzip");
                let packed = ask.hear_signed(packed, 200).await;
                // What is answered does not depend on how.
                assert_eq!(plain, packed, "{tail}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_moves_by_signed_requests_too() {
    on_each_database(Options::default(), async |world| {
        let issued = v2x(world).await;
        let (connection, _) = world.connect().await;
        for (version, id) in VERSIONS.into_iter().zip(["a-1", "a-2"]) {
            let prepared = world
                .client
                .prepare_allocation(connection, request("ofcbtc", 10, id))
                .expect("a request");
            let body = std::str::from_utf8(prepared.body()).expect("UTF-8");
            let tail = format!("/clients/connections/{connection}/allocations");
            let ask = Ask::new(&issued.token, version, Method::POST, &tail, body);
            let heard = ask.hear_signed(ask.signed(world), 200).await;
            assert_eq!(heard["allocation"]["status"], "cleared");
        }
        assert_eq!(world.allocated(connection, "ofcbtc").await, (20, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_itself_may_be_sent_with_or_without_an_hmac() {
    on_each_database(Options::default(), async |world| {
        let issued = v2x(world).await;
        for version in VERSIONS {
            let mut ask = Ask::new(&issued.token, version, Method::GET, "/partners", "");
            ask.bearer = issued.token.to_string();
            ask.hear_signed(ask.signed(world), 200).await;
            let (status, headers, _) = hear(ask.unsigned(world)).await;
            assert_eq!(status, 200);
            assert!(!headers.contains_key("hmac"), "nobody asked for it");
            // Whoever gives an HMAC gives the right one.
            let (status, _, body) = hear(ask.signed_as(world, &"0".repeat(64))).await;
            assert_eq!((status, &body["name"]), (401, &json!("invalid_hmac")));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hmac_that_is_wrong_stale_or_incomplete_is_refused() {
    on_each_database(Options::default(), async |world| {
        let issued = v2x(world).await;
        let other = v2x(world).await;
        let (connection, _) = world.connect().await;
        let tail = format!("/clients/connections/{connection}?x=1");
        let at = |ms: i64| (jiff::Timestamp::now().as_millisecond() + ms).to_string();
        for version in VERSIONS {
            let body = r#"{"name":"renamed"}"#;
            let ask = Ask::new(&issued.token, version, Method::PUT, &tail, body);
            let signed_otherwise = |change: fn(&mut Ask)| {
                let mut changed = ask.clone();
                change(&mut changed);
                ask.signed_as(world, &changed.hmac())
            };
            let timed = |timestamp: String| {
                let ask = Ask {
                    timestamp,
                    ..ask.clone()
                };
                ask.signed(world)
            };
            let with_version = |version: &str| {
                ask.unsigned(world)
                    .header("hmac", ask.hmac())
                    .header("auth-timestamp", &ask.timestamp)
                    .header("bitgo-auth-version", version)
            };
            let by_another = Ask {
                token: other.token.to_string(),
                ..ask.clone()
            };
            let mut cases = vec![
                ("nothing signs it", ask.unsigned(world)),
                ("an empty HMAC", ask.signed_as(world, "")),
                (
                    "no hexadecimal digits",
                    ask.signed_as(world, &"z".repeat(64)),
                ),
                ("cut short", ask.signed_as(world, &ask.hmac()[..62])),
                (
                    "another body",
                    signed_otherwise(|ask| ask.body = br#"{"name":"renamed" }"#.to_vec()),
                ),
                ("no body", signed_otherwise(|ask| ask.body = Vec::new())),
                (
                    "another query",
                    signed_otherwise(|ask| ask.path = ask.path.replace("x=1", "x=2")),
                ),
                (
                    "no query",
                    signed_otherwise(|ask| ask.path = ask.path.replace("?x=1", "")),
                ),
                (
                    "another path",
                    signed_otherwise(|ask| ask.path = ask.path.replace("clients", "partners")),
                ),
                (
                    "another time",
                    signed_otherwise(|ask| ask.timestamp = "1700000000000".to_owned()),
                ),
                (
                    "the hash as the key",
                    signed_otherwise(|ask| ask.token = ask.bearer.clone()),
                ),
                ("another token", ask.signed_as(world, &by_another.hmac())),
                ("ten minutes ago", timed(at(-600_000))),
                ("in ten minutes", timed(at(600_000))),
                ("long ago", timed("0".to_owned())),
                ("in seconds", timed(at(0)[..10].to_owned())),
                ("no number", timed("now".to_owned())),
                ("no time", timed(String::new())),
                ("a version there is not", with_version("4.0")),
                ("no version", with_version("")),
                (
                    "no timestamp",
                    ask.unsigned(world)
                        .header("hmac", ask.hmac())
                        .header("bitgo-auth-version", version.as_str()),
                ),
                (
                    "no HMAC",
                    ask.unsigned(world)
                        .header("auth-timestamp", &ask.timestamp)
                        .header("bitgo-auth-version", version.as_str()),
                ),
                (
                    "the version of the other scheme",
                    match version {
                        AuthVersion::V2 => with_version("3.0"),
                        AuthVersion::V3 => with_version("2.0"),
                    },
                ),
            ];
            if version == AuthVersion::V3 {
                cases.push((
                    "another method",
                    signed_otherwise(|ask| ask.method = Method::POST),
                ));
            }
            for (what, request) in cases {
                let (status, headers, body) = hear(request).await;
                let name = body["name"].as_str().unwrap_or_default();
                assert_eq!((status, name), (401, "invalid_hmac"), "{what}: {body}");
                assert!(blamed(&body).is_empty());
                assert!(!headers.contains_key("hmac"), "{what}");
            }
            ask.hear_signed(timed(at(-60_000)), 200).await;
        }
        let heard = world.client.client_connections(&Default::default()).await;
        let names = heard.expect("connections").connections;
        assert_eq!(names[0].name, "renamed", "by the last, which was in time");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_for_its_hmac_changes_nothing() {
    on_each_database(Options::default(), async |world| {
        let issued = v2x(world).await;
        let (connection, _) = world.connect().await;
        let tail = format!("/clients/connections/{connection}");
        let ask = Ask::new(
            &issued.token,
            AuthVersion::V3,
            Method::PUT,
            &tail,
            r#"{"name":"x"}"#,
        );
        let (status, _, _) = hear(ask.unsigned(world)).await;
        assert_eq!(status, 401);
        let kept = world.client.client_connection(connection).await;
        assert_eq!(kept.expect("the connection").connection.name, "main");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_token_signs_nothing_and_its_hash_is_no_bearer() {
    on_each_database(Options::default(), async |world| {
        let user = world.member_of(&[CLIENT]).await;
        let issued = world.issue(new_token(user, TokenKind::Plain)).await;
        assert!(!issued.token.starts_with("v2x"));
        assert_ne!(issued.token.len(), 67);
        for version in VERSIONS {
            let hashed = Ask::new(&issued.token, version, Method::GET, "/partners", "");
            let plain = Ask {
                bearer: issued.token.to_string(),
                ..hashed.clone()
            };
            assert_eq!(hear(plain.unsigned(world)).await.0, 200);
            for (request, name) in [
                (plain.signed(world), "invalid_hmac"),
                (hashed.unsigned(world), "invalid_token"),
                (hashed.signed(world), "invalid_token"),
            ] {
                let (status, headers, body) = hear(request).await;
                assert_eq!((status, &body["name"]), (401, &json!(name)), "{body}");
                assert!(!headers.contains_key("hmac"));
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_signs_nothing_either() {
    on_each_database(Options::default(), async |world| {
        let issued = v2x(world).await;
        let ask = Ask::new(&issued.token, AuthVersion::V2, Method::GET, "/partners", "");
        ask.hear_signed(ask.signed(world), 200).await;
        let hand = world.network.installation();
        hand.revoke_token(issued.record.id)
            .await
            .expect("a revocation");
        let (status, headers, body) = hear(ask.signed(world)).await;
        assert_eq!((status, &body["name"]), (401, &json!("invalid_token")));
        assert!(!headers.contains_key("hmac"));
    })
    .await;
}
