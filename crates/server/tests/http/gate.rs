//! What every request passes, whatever it asks for: the order of the checks, the form of refusals,
//! tokens, names of requests.

mod hmac;

use std::{io::Read, time::Duration};

use ledger::Timestamp;
use network::{NewToken, TokenKind};
use reqwest::{Method, RequestBuilder};
use rules::{UserId, record::Scope};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;
use wire::request_hmac::generate_v2x;

use crate::fixture::{
    CLIENT, Heard, Options, PARTNER, World, blamed, configuration, extended_key, hear, new_token,
    on_each_database, request,
};

/// What can be wrong with a request, in the order in which it has to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    Size,
    Bearer,
    Hmac,
    Path,
    Header,
    Membership,
    Scope,
    Licence,
    Body,
    Payload,
    Malformed,
    Signature,
    Existence,
    Conflict,
    Business,
}

use Wrong::*;

impl Wrong {
    /// The refusal: status, name, and for 400 whom it blames.
    fn refusal(self) -> (u16, &'static str, &'static [&'static str]) {
        match self {
            Size => (413, "body_too_large", &[]),
            Bearer => (401, "invalid_token", &[]),
            Hmac => (401, "invalid_hmac", &[]),
            Path => (400, "invalid_request", &["connectionId"]),
            Header => (400, "invalid_request", &["enterprise-id"]),
            Membership => (401, "not_a_member", &[]),
            Scope => (403, "scope_missing", &[]),
            Licence => (403, "no_oes_licence", &[]),
            Body => (400, "invalid_request", &["broker"]),
            Payload => (400, "invalid_request", &["payload"]),
            Malformed => (400, "invalid_request", &["signature"]),
            Signature => (401, "signature_not_verified", &[]),
            Existence => (404, "connection_not_found", &[]),
            Conflict => (409, "external_id_taken", &[]),
            Business => (422, "", &[]),
        }
    }

    /// Whether a request can be wrong in both ways at once.
    fn goes_with(self, other: Wrong) -> bool {
        let of_payload = [Payload, Malformed, Signature];
        !(of_payload.contains(&self) && of_payload.contains(&other))
            || (self, other) == (Payload, Signature)
    }
}

fn assert_refused(heard: &Heard, expected: (u16, &str, &[&str]), what: &str) {
    let (status, headers, body) = heard;
    let (wanted, name, fields) = expected;
    assert_eq!(*status, wanted, "{what}: {body}");
    if !name.is_empty() {
        assert_eq!(body["name"], name, "{what}: {body}");
    }
    assert_eq!(blamed(body), fields, "{what}: {body}");
    assert!(!headers.contains_key("x-auth-required"), "{what}");
}

/// Tokens that lack something.
struct Tokens {
    good: String,
    reader: String,
    outsider: String,
    outside_reader: String,
}

impl Tokens {
    async fn of(world: &World, enterprise: &str) -> Tokens {
        let member = world.member_of(&[enterprise]).await;
        let outsider = world.member_of(&[]).await;
        let v2x = async |user: UserId, scopes: &[Scope]| {
            let wanted = NewToken {
                scopes: scopes.to_vec(),
                ..new_token(user, TokenKind::V2x)
            };
            world.issue(wanted).await.token.to_string()
        };
        let both = [Scope::Read, Scope::Write];
        Tokens {
            good: v2x(member, &both).await,
            reader: v2x(member, &both[..1]).await,
            outsider: v2x(outsider, &both).await,
            outside_reader: v2x(outsider, &both[..1]).await,
        }
    }

    fn choose(&self, wrong: &[Wrong]) -> String {
        let has = |one| wrong.contains(&one);
        match (has(Bearer), has(Membership), has(Scope)) {
            (true, _, _) => generate_v2x(),
            (false, false, false) => self.good.clone(),
            (false, false, true) => self.reader.clone(),
            (false, true, false) => self.outsider.clone(),
            (false, true, true) => self.outside_reader.clone(),
        }
    }
}

fn now_ms() -> String {
    jiff::Timestamp::now().as_millisecond().to_string()
}

/// A request that is wrong in those ways that concern everything but its content.
fn ask_wrongly(
    world: &World,
    tokens: &Tokens,
    enterprise: &str,
    path: &str,
    mut body: String,
    wrong: &[Wrong],
) -> RequestBuilder {
    if wrong.contains(&Size) {
        body.push_str(&" ".repeat(64 * 1024));
    }
    let claimed = match wrong.contains(&Header) {
        true => "another",
        false => enterprise,
    };
    let mut request = world
        .ask(Method::POST, path)
        .bearer_auth(tokens.choose(wrong))
        .header("content-type", "application/json")
        .header("enterprise-id", claimed)
        .body(body);
    if wrong.contains(&Hmac) {
        request = request
            .header("hmac", "0".repeat(64))
            .header("auth-timestamp", now_ms())
            .header("bitgo-auth-version", "2.0");
    }
    request
}

/// Every way, and every pair of ways that go together.
fn combinations(ways: &[Wrong]) -> Vec<Vec<Wrong>> {
    let mut all: Vec<Vec<Wrong>> = ways.iter().map(|one| vec![*one]).collect();
    for (at, first) in ways.iter().enumerate() {
        let later = ways[at + 1..]
            .iter()
            .filter(|second| first.goes_with(**second));
        all.extend(later.map(|second| vec![*first, *second]));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn create_partner_is_checked_in_the_decided_order() {
    on_each_database(Options::default(), async |world| {
        let tokens = Tokens::of(world, PARTNER).await;
        let exchange = format!("http://{}", world.exchange.address);
        let terms = configuration(PARTNER, "quay", &exchange, &world.options);
        let hand = world.network.installation();
        hand.put_configuration(terms)
            .await
            .expect("a configuration");
        let path = format!("/api/network/v1/enterprises/{PARTNER}/partners");
        let ways = [
            Size, Bearer, Hmac, Header, Membership, Scope, Licence, Body, Business,
        ];
        for wrong in combinations(&ways) {
            let identifier = match wrong.contains(&Business) {
                true => "unprepared",
                false => "quay",
            };
            let mut body = json!({
                "name": "Quay",
                "institutionIdentifier": identifier,
                "connectionKeySchema": "token",
                "broker": false,
            });
            if wrong.contains(&Body) {
                body["broker"] = json!("no");
            }
            world.license(PARTNER, !wrong.contains(&Licence)).await;
            let body = body.to_string();
            let request = ask_wrongly(world, &tokens, PARTNER, &path, body, &wrong);
            let what = format!("{wrong:?}");
            assert_refused(&hear(request).await, wrong[0].refusal(), &what);
        }
        world.license(PARTNER, true).await;
        let all = world.partner.partners(&Default::default()).await;
        assert_eq!(all.expect("partners").partners.len(), 1, "none was made");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_operation_is_checked_in_the_decided_order() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        let tokens = Tokens::of(world, CLIENT).await;
        world
            .client
            .allocate(connection, request("ofcbtc", 5, "taken"))
            .await
            .expect("an allocation");
        let ways = [
            Size, Bearer, Hmac, Path, Header, Membership, Scope, Licence, Body, Payload, Malformed,
            Signature, Existence, Conflict, Business,
        ];
        for (number, wrong) in combinations(&ways).into_iter().enumerate() {
            let has = |one| wrong.contains(&one);
            let id = match has(Conflict) {
                true => "taken".to_owned(),
                false => format!("fresh {number}"),
            };
            let units = if has(Business) { "1000000000000" } else { "7" };
            let mut body = json!({
                "amount": {"currency": "ofcbtc", "quantity": units},
                "clientExternalId": id,
                "nonce": client::fresh_nonce(),
                "notes": "as agreed",
            });
            if has(Body) {
                body["notes"] = json!(1);
            }
            let mut payload = body.clone();
            if has(Payload) {
                payload["notes"] = json!("not agreed");
            }
            let payload = payload.to_string();
            body["signature"] = match (has(Malformed), has(Signature)) {
                (true, _) => "xyz".into(),
                (false, true) => extended_key(9).key.sign(&payload).into(),
                (false, false) => world.client_key.sign(&payload).into(),
            };
            body["payload"] = payload.into();
            let place = match (has(Path), has(Existence)) {
                (true, _) => "main".to_owned(),
                (false, true) => Uuid::new_v4().to_string(),
                (false, false) => connection.to_string(),
            };
            let path = format!(
                "/api/network/v1/enterprises/{CLIENT}/clients/connections/{place}/allocations"
            );
            world.license(CLIENT, !has(Licence)).await;
            let request = ask_wrongly(world, &tokens, CLIENT, &path, body.to_string(), &wrong);
            let expected = match wrong[0] {
                Body => (400, "invalid_request", ["notes"].as_slice()),
                other => other.refusal(),
            };
            assert_refused(&hear(request).await, expected, &format!("{wrong:?}"));
        }
        world.license(CLIENT, true).await;
        assert_eq!(
            world.allocated(connection, "ofcbtc").await,
            (5, 0),
            "nothing was moved"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kind_of_body_it_is_counts_only_for_those_who_may_ask() {
    on_each_database(Options::default(), async |world| {
        let tokens = Tokens::of(world, PARTNER).await;
        let path = format!("/api/network/v1/enterprises/{PARTNER}/partners");
        let send = async |token: &str, kind: &str, body: &str| {
            let request = world
                .ask(Method::POST, &path)
                .bearer_auth(token)
                .header("content-type", kind)
                .body(body.to_owned());
            hear(request).await.0
        };
        assert_eq!(send(&tokens.good, "text/plain", "{").await, 415);
        assert_eq!(send(&tokens.reader, "text/plain", "{").await, 403);
        assert_eq!(send(&tokens.outsider, "text/plain", "{").await, 401);
        assert_eq!(send("nobody", "text/plain", "{").await, 401);
        let much = " ".repeat(64 * 1024 + 1);
        assert_eq!(send("nobody", "text/plain", &much).await, 413);
    })
    .await;
}

/// Requests of which every framework and every route has its own way to refuse them.
fn refused_everywhere(world: &World) -> Vec<(u16, RequestBuilder)> {
    let partners = format!("/api/network/v1/enterprises/{PARTNER}/partners");
    let post = |path: &str| {
        world
            .ask(Method::POST, path)
            .bearer_auth(&world.partner_token)
            .header("content-type", "application/json")
    };
    vec![
        (400, post(&partners).body("{}")),
        (401, world.ask(Method::GET, &partners)),
        (404, world.ask(Method::GET, "/api/network/v1/nothing")),
        (404, world.ask(Method::GET, "/api/network/v3/enterprises/x/partners")),
        (404, world.ask(Method::POST, "/")),
        (404, world.ask(Method::GET, &format!("{partners}/"))),
        (405, world.ask(Method::DELETE, &partners)),
        (405, world.ask(Method::PATCH, &partners).body("{")),
        (413, post(&partners).body(" ".repeat(70_000))),
        (415, world.ask(Method::POST, &partners).bearer_auth(&world.partner_token)
            .header("content-type", "text/plain").body("{}")),
        (422, post(&partners).body(
            json!({"name": "Quay", "broker": false, "institutionIdentifier": "quay", "connectionKeySchema": "token"}).to_string(),
        )),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_the_same_form() {
    on_each_database(Options::default(), async |world| {
        for (expected, request) in refused_everywhere(world) {
            let (status, headers, body) = hear(request).await;
            assert_eq!(status, expected, "{body}");
            assert_eq!(headers["content-type"], "application/json");
            for member in ["error", "name"] {
                assert!(
                    body[member].as_str().is_some_and(|text| !text.is_empty()),
                    "{body}"
                );
            }
            assert_eq!(
                body["requestId"].as_str(),
                headers["request-id"].to_str().ok()
            );
            assert_eq!(body["errors"].is_array(), status == 400, "{body}");
            assert!(body.get("type").is_none());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_problems_gets_them_by_rfc_9457() {
    on_each_database(Options::default(), async |world| {
        for accept in [
            "application/problem+json",
            "application/json, application/problem+json;q=0.9",
        ] {
            for (expected, request) in refused_everywhere(world) {
                let (status, headers, body) = hear(request.header("accept", accept)).await;
                assert_eq!(status, expected, "{body}");
                assert_eq!(headers["content-type"], "application/problem+json");
                assert_eq!(body["status"], expected);
                assert_eq!(body["detail"], body["error"]);
                assert_eq!(
                    body["requestId"].as_str(),
                    headers["request-id"].to_str().ok()
                );
                for member in ["type", "title", "error", "name"] {
                    assert!(
                        body[member].as_str().is_some_and(|text| !text.is_empty()),
                        "{body}"
                    );
                }
                assert_eq!(body["errors"].is_array(), status == 400, "{body}");
            }
        }
        let path = format!("/api/network/v1/enterprises/{PARTNER}/partners");
        let fine = world
            .ask(Method::GET, &path)
            .bearer_auth(&world.partner_token)
            .header("accept", "application/problem+json");
        let (status, headers, body) = hear(fine).await;
        assert_eq!((status, body["partners"].is_array()), (200, true));
        assert_eq!(headers["content-type"], "application/json");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_a_route_does_not_know_is_told_those_it_knows() {
    on_each_database(Options::default(), async |world| {
        let path = format!("/api/network/v1/enterprises/{PARTNER}/partners");
        let (status, headers, _) = hear(world.ask(Method::PUT, &path)).await;
        assert_eq!(status, 405);
        let allowed = headers["allow"].to_str().expect("a text");
        assert!(
            allowed.contains("GET") && allowed.contains("POST"),
            "{allowed}"
        );
        assert!(!allowed.contains("PUT"), "{allowed}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_keep_their_name_and_get_one_if_theirs_is_unfit() {
    on_each_database(Options::default(), async |world| {
        let partners = format!("/api/network/v1/enterprises/{PARTNER}/partners");
        let ask = async |path: &str, id: Option<&[u8]>| {
            let mut request = world
                .ask(Method::GET, path)
                .bearer_auth(&world.partner_token);
            if let Some(id) = id {
                request = request.header("request-id", id);
            }
            let (_, headers, body) = hear(request).await;
            let named = headers["request-id"].to_str().expect("a text").to_owned();
            if let Some(told) = body["requestId"].as_str() {
                assert_eq!(told, named);
            }
            named
        };
        for path in [partners.as_str(), "/nothing", "/readyz"] {
            for fit in ["0123456789abcdef0123-0000", "x", "a/b:c_d.e"] {
                assert_eq!(ask(path, Some(fit.as_bytes())).await, fit);
            }
            let long = [b'x'; 2_000];
            let unfit: [Option<&[u8]>; 5] = [
                None,
                Some(b""),
                Some(b"two words"),
                Some("ungl\u{fc}cklich".as_bytes()),
                Some(&long),
            ];
            for id in unfit {
                let (first, second) = (ask(path, id).await, ask(path, id).await);
                assert!(first.parse::<Uuid>().is_ok(), "{first}");
                assert_ne!(first, second);
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_asks_for_a_new_login() {
    on_each_database(Options::default(), async |world| {
        let path = format!("/api/network/v1/enterprises/{CLIENT}/partners");
        let user = world.member_of(&[CLIENT]).await;
        for kind in [TokenKind::Plain, TokenKind::V2x] {
            let wanted = NewToken {
                expires_at: Some(Timestamp(world.clock.now().0 + 60_000_000)),
                ..new_token(user, kind)
            };
            let token = world.issue(wanted).await.token;
            let fine = world.raw(Method::GET, &path, Some(&token), None).await;
            assert_eq!(fine.0, 200, "{}", fine.2);
            world.clock.advance(Duration::from_secs(61));
            let (status, headers, body) = world.raw(Method::GET, &path, Some(&token), None).await;
            assert_eq!((status, &body["name"]), (401, &json!("token_expired")));
            assert_eq!(headers["x-auth-required"], "true");
        }
        // Nothing else asks for that: a new login would not help.
        let (status, headers, _) = world.raw(Method::GET, &path, Some("unknown"), None).await;
        assert_eq!(status, 401);
        assert!(!headers.contains_key("x-auth-required"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_in_its_networks_only() {
    on_each_database(Options::default(), async |world| {
        let path = format!("/api/network/v1/enterprises/{CLIENT}/partners");
        let user = world.member_of(&[CLIENT]).await;
        let cases: [(&[&str], u16); 6] = [
            (&["127.0.0.0/8"], 200),
            (&["127.0.0.1/32"], 200),
            (&["10.0.0.0/8", "127.0.0.0/24"], 200),
            (&["10.0.0.0/8"], 401),
            (&["127.0.0.2/32"], 401),
            (&["::1/128"], 401),
        ];
        for (networks, expected) in cases {
            let wanted = NewToken {
                networks: networks.iter().map(|&network| network.to_owned()).collect(),
                ..new_token(user, TokenKind::Plain)
            };
            let token = world.issue(wanted).await.token;
            let (status, headers, body) = world.raw(Method::GET, &path, Some(&token), None).await;
            assert_eq!(status, expected, "{networks:?}: {body}");
            if expected == 401 {
                assert_eq!(body["name"], "invalid_token");
                assert!(!headers.contains_key("x-auth-required"));
            }
        }
    })
    .await;
}

/// Undoes the compression of an answer.
fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .read_to_end(&mut plain)
        .expect("gzip");
    plain
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_gzip_gets_it() {
    on_each_database(Options::default(), async |world| {
        let path = format!("/api/network/v1/enterprises/{CLIENT}/partners");
        let ask = |encoding: &str| {
            let request = world
                .ask(Method::GET, &path)
                .bearer_auth(&world.client_token);
            request.header("accept-encoding", encoding)
        };
        let (_, headers, plain) = hear(ask("identity")).await;
        assert!(!headers.contains_key("content-encoding"));
        let packed = ask("gzip, deflate").send().await.expect("an answer");
        assert_eq!(packed.status(), 200);
        assert_eq!(packed.headers()["content-encoding"], "gzip");
        assert_eq!(packed.headers()["content-type"], "application/json");
        let bytes = packed.bytes().await.expect("a body");
        let heard: Value = serde_json::from_slice(&unpacked(&bytes)).expect("JSON");
        assert_eq!(heard, plain);
    })
    .await;
}

/// Sends bytes over a connection of their own and hears what comes until the server closes it.
async fn converse(world: &World, sent: &[u8], breaks_off: bool) -> String {
    let address = world.url.trim_start_matches("http://");
    let mut line = TcpStream::connect(address).await.expect("a connection");
    line.write_all(sent).await.expect("sent");
    if breaks_off {
        line.shutdown().await.expect("the end");
    }
    let mut heard = Vec::new();
    let hearing = line.read_to_end(&mut heard);
    let in_time = tokio::time::timeout(Duration::from_secs(20), hearing).await;
    // A connection that is reset says nothing.
    let _ = in_time.expect("the server closes the connection");
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_not_acted_upon() {
    on_each_database(Options::default(), async |world| {
        let body = json!({"name": "Quay", "broker": false, "institutionIdentifier": "quay", "connectionKeySchema": "token"}).to_string();
        let exchange = format!("http://{}", world.exchange.address);
        let terms = configuration(PARTNER, "quay", &exchange, &world.options);
        let hand = world.network.installation();
        hand.put_configuration(terms).await.expect("a configuration");
        let head = format!(
            "POST /api/network/v1/enterprises/{PARTNER}/partners HTTP/1.1\r\nhost: tidelock\r\n\
             authorization: Bearer {}\r\ncontent-type: application/json\r\nconnection: close\r\n",
            world.partner_token
        );
        let (announced, length) = (body.len() + 1, body.len());
        let broken = [
            format!("{head}content-length: {announced}\r\n\r\n{body}"),
            format!("{head}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n"),
            format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n{body}\r\n0\r\n\r\n"),
        ];
        for sent in broken {
            let heard = converse(world, sent.as_bytes(), true).await;
            assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 400"), "{heard}");
        }
        let partners = async || {
            let all = world.partner.partners(&Default::default()).await;
            all.expect("partners").partners.len()
        };
        assert_eq!(partners().await, 1, "the server serves on, and nothing was made");
        let whole = format!("{head}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n");
        let heard = converse(world, whole.as_bytes(), false).await;
        assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
        assert_eq!(partners().await, 2);

        // Nor is a body measured by what it announces alone.
        let much = " ".repeat(70_000);
        let large = format!("{head}transfer-encoding: chunked\r\n\r\n11170\r\n{much}\r\n0\r\n\r\n");
        let heard = converse(world, large.as_bytes(), false).await;
        assert!(heard.starts_with("HTTP/1.1 413"), "{heard}");
    })
    .await;
}
