//! Calls against a partner that answers by script.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use ledger::Timestamp;
use rules::record::PartnerConfiguration;
use uuid::Uuid;
use wire::partner_call::{CallAmount, ConnectRequest, KeyFields, MovementRequest, Subject};
use wire::partner_jwt::{Claims, JwtSigner, JwtVerifier};

use crate::endpoint::tests::{PARTNER, configuration};
use crate::{
    ConnectAnswer, Ending, Endpoint, PartnerCaller, ReserveAnswer, StatusAnswer, TellAnswer,
};

const NOW_S: i64 = 1_800_000_000;

static KEY_PEM: LazyLock<String> = LazyLock::new(|| {
    let signer = JwtSigner::generate().unwrap();
    signer.private_key_pem().unwrap().to_string()
});

/// What the partner does with the next calls, and what it has seen.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<Played>>);

#[derive(Default)]
struct Played {
    status: u16,
    body: String,
    delay: Duration,
    location: Option<String>,
    seen: Vec<(Method, Uri, HeaderMap, Bytes)>,
}

async fn play(
    State(script): State<Script>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (status, answer, delay, location) = {
        let mut played = script.0.lock().unwrap();
        played.seen.push((method, uri, headers, body));
        let status = StatusCode::from_u16(played.status).unwrap();
        (
            status,
            played.body.clone(),
            played.delay,
            played.location.clone(),
        )
    };
    tokio::time::sleep(delay).await;
    let mut response = (status, answer).into_response();
    if let Some(location) = location {
        let location = location.parse().unwrap();
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

struct Partner {
    script: Script,
    address: SocketAddr,
    caller: PartnerCaller,
    endpoint: Endpoint,
}

impl Partner {
    async fn start() -> Self {
        let script = Script::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().fallback(play).with_state(script.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let signer = JwtSigner::from_pem(&KEY_PEM).unwrap();
        Self {
            script,
            address,
            caller: PartnerCaller::new(HashMap::from([("main".to_owned(), signer)]), || {
                Timestamp(NOW_S * 1_000_000 + 999_999)
            }),
            endpoint: endpoint(&format!("http://{address}"), |_| ()),
        }
    }

    fn answers(&self, status: u16, body: &str) {
        let mut played = self.script.0.lock().unwrap();
        played.status = status;
        body.clone_into(&mut played.body);
    }

    fn seen(&self) -> usize {
        self.script.0.lock().unwrap().seen.len()
    }

    async fn connect(&self) -> ConnectAnswer {
        self.caller
            .connect(&self.endpoint, &connect_request())
            .await
    }

    async fn reserve(&self) -> ReserveAnswer {
        self.caller.reserve(&self.endpoint, &allocation()).await
    }

    async fn tell(&self, ending: Ending) -> TellAnswer {
        self.caller
            .tell(&self.endpoint, ending, &allocation())
            .await
    }

    async fn status(&self) -> StatusAnswer {
        self.caller.status(&self.endpoint, &allocation()).await
    }

    /// Why nothing is known after reserving at the endpoint.
    async fn unknown(&self, endpoint: &Endpoint) -> String {
        match self.caller.reserve(endpoint, &allocation()).await {
            ReserveAnswer::Unknown { error } => error,
            answer => panic!("{answer:?}"),
        }
    }
}

fn endpoint(base_url: &str, change: impl FnOnce(&mut PartnerConfiguration)) -> Endpoint {
    let mut configuration = configuration(base_url);
    change(&mut configuration);
    Endpoint::new(&configuration, PARTNER).unwrap()
}

fn connect_request() -> ConnectRequest {
    ConnectRequest {
        client_id: Uuid::from_u128(2),
        client_wallet_id: "f".repeat(32),
        connection_id: Uuid::from_u128(3),
        partner_id: PARTNER.0,
        key: KeyFields {
            connection_token: Some("hush-hush".to_owned()),
            ..KeyFields::default()
        },
    }
}

fn allocation() -> MovementRequest {
    MovementRequest {
        subject: Subject::Allocation(Uuid::from_u128(1)),
        amount: CallAmount {
            currency: "BTC".to_owned(),
            quantity: "100".to_owned(),
        },
        client_id: Uuid::from_u128(2),
        connection_id: Uuid::from_u128(3),
        partners_connection_id: "con".to_owned(),
        partners_client_id: "acc".to_owned(),
    }
}

/// The id of the subject that the script repeats.
const ID: &str = "00000000-0000-0000-0000-000000000001";

#[tokio::test]
async fn every_call_is_signed_for_what_it_is() {
    let partner = Partner::start().await;
    partner.answers(200, "{}");
    partner.connect().await;
    partner.reserve().await;
    partner.tell(Ending::Clear).await;
    partner.tell(Ending::Release).await;
    partner.status().await;

    let signer = JwtSigner::from_pem(&KEY_PEM).unwrap();
    let verifier = JwtVerifier::from_public_pem(&signer.public_key_pem()).unwrap();
    let seen = std::mem::take(&mut partner.script.0.lock().unwrap().seen);
    let mut tokens: Vec<Claims> = Vec::new();
    for (method, uri, headers, body) in &seen {
        let token = headers["X-BitGo-Signature"].to_str().unwrap();
        let claims = verifier.verify(token, NOW_S, 0).unwrap();
        assert!(claims.covers(method.as_str(), &uri.to_string(), body));
        assert_eq!((claims.iat, claims.exp), (NOW_S, NOW_S + 60));
        assert_eq!(
            (claims.iss.as_str(), claims.aud),
            ("tidelock", PARTNER.to_string())
        );
        assert!(tokens.iter().all(|earlier| earlier.jti != claims.jti));
        tokens.push(Claims {
            aud: String::new(),
            ..claims
        });
    }
    let calls: Vec<_> = seen.iter().map(|(m, u, _, _)| format!("{m} {u}")).collect();
    assert_eq!(
        calls,
        [
            "POST /bitgo/v1/connections".to_owned(),
            "POST /bitgo/v1/allocations".to_owned(),
            format!("PUT /bitgo/v1/allocation/{ID}/clear"),
            format!("PUT /bitgo/v1/allocation/{ID}/release"),
            format!("GET /bitgo/v1/allocation/{ID}"),
        ]
    );
    let reserve: MovementRequest = serde_json::from_slice(&seen[1].3).unwrap();
    assert_eq!(reserve, allocation());
    assert_eq!(seen[2].3, seen[1].3);
    assert!(seen[4].3.is_empty());
}

#[tokio::test]
async fn answers_to_connect() {
    let partner = Partner::start().await;
    for body in [
        r#"{"partnersConnectionId":"con","partnersClientId":"acc","clientId":"00000000-0000-0000-0000-000000000002"}"#,
        r#"{"partnerConnectionId":"con","partnerClientId":"acc","rejectReason":""}"#,
    ] {
        partner.answers(200, body);
        assert_eq!(
            partner.connect().await,
            ConnectAnswer::Accepted {
                partners_connection_id: "con".to_owned(),
                partners_client_id: "acc".to_owned(),
            }
        );
    }
    for (status, body) in [
        (200, r#"{"rejectReason":"no hush-hush"}"#),
        (422, r#"{"error":"no hush-hush"}"#),
        (400, r#"{"rejectionReason":"no hush-hush"}"#),
    ] {
        partner.answers(status, body);
        let reason = "no [secret]".to_owned();
        assert_eq!(partner.connect().await, ConnectAnswer::Rejected { reason });
    }
    for (status, body, error) in [
        (
            200,
            r#"{"partnersConnectionId":"con"}"#,
            "without a usable partnersClientId",
        ),
        // Names that could not be kept: PostgreSQL holds no NUL.
        (
            200,
            r#"{"partnersConnectionId":"c\u0000n","partnersClientId":"acc"}"#,
            "without a usable partnersConnectionId",
        ),
        (
            200,
            r#"{"partnersConnectionId":"con","partnersClientId":"acc","connectionId":"00000000-0000-0000-0000-000000000009"}"#,
            "its connectionId is not the one",
        ),
        (500, r#"{"error":"no hush-hush"}"#, "it said: no [secret]"),
        (401, "", "does not accept our signature"),
    ] {
        partner.answers(status, body);
        match partner.connect().await {
            ConnectAnswer::Unknown { error: told } => assert!(told.contains(error), "{told}"),
            answer => panic!("{answer:?}"),
        }
    }
}

#[tokio::test]
async fn answers_to_reserve() {
    let partner = Partner::start().await;
    for (body, partner_external_id) in [
        (r#"{"partnersAllocationId":"p"}"#, Some("p".to_owned())),
        (
            r#"{"amount":{"currency":"BTC","quantity":100},"partnerAllocationId":"p"}"#,
            Some("p".to_owned()),
        ),
        ("{}", None),
    ] {
        partner.answers(200, body);
        let answer = ReserveAnswer::Accepted {
            partner_external_id,
        };
        assert_eq!(partner.reserve().await, answer);
    }
    for (status, body) in [
        (200, r#"{"rejectReason":"no\n"}"#),
        (200, r#"{"rejectionReason":"no"}"#),
        (400, r#"{"error":"no"}"#),
        (422, r#"{"error":"no"}"#),
    ] {
        partner.answers(status, body);
        let reason = "no".to_owned();
        assert_eq!(partner.reserve().await, ReserveAnswer::Rejected { reason });
    }
    // What cannot be shown as one line is still a refusal.
    for (body, reason) in [
        (r#"{"rejectReason":"to\u202elate"}"#, "to late"),
        (
            r#"{"rejectReason":"\u0001\u200f"}"#,
            "words that cannot be shown",
        ),
    ] {
        partner.answers(200, body);
        let reason = reason.to_owned();
        assert_eq!(partner.reserve().await, ReserveAnswer::Rejected { reason });
    }
    let no = r#"{"error":"no"}"#;
    for (status, body, error) in [
        (401, no, "answered 401: it does not accept our signature"),
        (403, no, "misconfigured"),
        (404, no, "the routes may be misconfigured"),
        (408, no, "later"),
        (409, no, "the status has to be asked; it said: no"),
        (425, no, "later"),
        (429, no, "later"),
        (418, "<html>", "answered 418: without a readable reason"),
        (422, r#"{"error":{"code":1}}"#, "without a readable reason"),
        (500, no, "answered 500: it failed; it said: no"),
        (503, "", "answered 503: it failed"),
        (204, "", "answered 204: only 200 is an answer"),
        (201, "{}", "answered 201: only 200 is an answer"),
        (200, "", "not the expected JSON"),
        (200, "<html>", "not the expected JSON"),
        (200, "[]", "not the expected JSON"),
        (
            200,
            r#"{"allocationId":"00000000-0000-0000-0000-000000000009"}"#,
            "its id is not",
        ),
        (
            200,
            r#"{"deallocationId":"00000000-0000-0000-0000-000000000001"}"#,
            "its kind is not",
        ),
        (
            200,
            r#"{"amount":{"currency":"BTC","quantity":"101"}}"#,
            "its amount is not",
        ),
        (
            200,
            r#"{"amount":{"currency":"ETH","quantity":"100"}}"#,
            "its amount is not",
        ),
        (
            200,
            r#"{"clientId":"00000000-0000-0000-0000-000000000009"}"#,
            "its clientId is not",
        ),
        (
            200,
            r#"{"partnersConnectionId":"x"}"#,
            "its partnersConnectionId is not",
        ),
        (
            200,
            r#"{"partnerClientId":"x","rejectReason":"no"}"#,
            "its partnersClientId is not",
        ),
    ] {
        partner.answers(status, body);
        let told = partner.unknown(&partner.endpoint).await;
        assert!(told.contains(error), "{status} {body}: {told}");
    }
}

#[tokio::test]
async fn answers_to_status() {
    let partner = Partner::start().await;
    let status = |rest: &str| format!(r#"{{"id":"{ID}",{rest}}}"#);
    for (body, answer) in [
        (r#""status":"pending""#, StatusAnswer::Pending),
        (
            r#""status":"reserved","type":"allocation","partnersAllocationId":"p""#,
            StatusAnswer::Reserved {
                partner_external_id: Some("p".to_owned()),
            },
        ),
        (
            r#""status":"cleared","amount":{"currency":"BTC","quantity":"100"}"#,
            StatusAnswer::Cleared,
        ),
        (r#""status":"released""#, StatusAnswer::Released),
        (
            r#""status":"rejected","rejectionReason":"no""#,
            StatusAnswer::Rejected {
                reason: "no".to_owned(),
            },
        ),
    ] {
        partner.answers(200, &status(body));
        assert_eq!(partner.status().await, answer);
    }
    partner.answers(404, r#"{"error":"not known"}"#);
    assert_eq!(partner.status().await, StatusAnswer::NotKnown);
    for (code, body, error) in [
        (404, "<html>".to_owned(), "answered 404"),
        (
            422,
            r#"{"error":"no"}"#.to_owned(),
            "does not tell the status: no",
        ),
        (200, status(r#""status":"done""#), "not the expected JSON"),
        (200, "{}".to_owned(), "not the expected JSON"),
        (
            200,
            status(r#""status":"reserved","type":"deallocation""#),
            "its type is not",
        ),
        (
            200,
            status(r#""status":"reserved","amount":{"currency":"BTC","quantity":"1"}"#),
            "its amount is not",
        ),
        (
            200,
            status(r#""status":"reserved""#).replace(ID, &Uuid::nil().to_string()),
            "its id is not",
        ),
        (500, String::new(), "answered 500"),
    ] {
        partner.answers(code, &body);
        match partner.status().await {
            StatusAnswer::Unknown { error: told } => assert!(told.contains(error), "{told}"),
            answer => panic!("{answer:?}"),
        }
    }
}

#[tokio::test]
async fn answers_to_what_is_told() {
    let partner = Partner::start().await;
    for ending in [Ending::Clear, Ending::Release] {
        partner.answers(200, r#"{"amount":{"currency":"BTC","quantity":"100"}}"#);
        assert_eq!(partner.tell(ending).await, TellAnswer::Acknowledged);
        for (status, body, error) in [
            (404, r#"{"error":"not known"}"#, "answered 404"),
            (409, r#"{"error":"released"}"#, "answered 409"),
            (422, r#"{"error":"no"}"#, "refuses what it is told: no"),
            (
                200,
                r#"{"rejectReason":"no"}"#,
                "refuses what it is told: no",
            ),
            (
                200,
                r#"{"amount":{"currency":"BTC","quantity":"1"}}"#,
                "its amount is not",
            ),
            (200, "ok", "not the expected JSON"),
            (204, "", "answered 204"),
            (502, "", "answered 502"),
        ] {
            partner.answers(status, body);
            match partner.tell(ending).await {
                TellAnswer::Unknown { error: told } => assert!(told.contains(error), "{told}"),
                answer @ TellAnswer::Acknowledged => panic!("{answer:?}"),
            }
        }
    }
}

#[tokio::test]
async fn nothing_is_awaited_for_ever() {
    let partner = Partner::start().await;
    partner.answers(200, "{}");
    partner.script.0.lock().unwrap().delay = Duration::from_secs(30);
    let hurried = endpoint(&format!("http://{}", partner.address), |c| {
        c.call_timeout_ms = 100
    });
    assert_eq!(partner.unknown(&hurried).await, "no answer within 100 ms");
}

#[tokio::test]
async fn partners_that_are_not_there_are_unknown() {
    let partner = Partner::start().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = partner
        .unknown(&endpoint(&format!("http://{address}"), |_| ()))
        .await;
    assert!(
        error.starts_with("no connection to the partner: "),
        "{error}"
    );

    // One that hangs up without a word.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let error = partner
        .unknown(&endpoint(&format!("http://{address}"), |_| ()))
        .await;
    assert!(
        error.starts_with("the partner broke the exchange off"),
        "{error}"
    );
}

#[tokio::test]
async fn answers_are_read_up_to_a_bound() {
    let partner = Partner::start().await;
    let fill = |length: usize| format!("{{}}{}", " ".repeat(length - 2));
    partner.answers(200, &fill(64 * 1024));
    assert!(matches!(
        partner.reserve().await,
        ReserveAnswer::Accepted { .. }
    ));
    partner.answers(200, &fill(64 * 1024 + 1));
    let error = partner.unknown(&partner.endpoint).await;
    assert_eq!(error, "answered 200 with more than 65536 bytes");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let partner = Partner::start().await;
    partner.script.0.lock().unwrap().location = Some(format!("http://{}/other", partner.address));
    for status in [301, 302, 307, 308] {
        partner.answers(status, "{}");
        let error = partner.unknown(&partner.endpoint).await;
        assert_eq!(
            error,
            format!("answered {status}: redirects are not followed")
        );
    }
    assert_eq!(partner.seen(), 4);
}

#[tokio::test]
async fn only_allowed_addresses_are_called() {
    let partner = Partner::start().await;
    partner.answers(200, "{}");
    let port = partner.address.port();
    let named = endpoint(&format!("http://localhost:{port}"), |_| ());
    assert!(matches!(
        partner.caller.reserve(&named, &allocation()).await,
        ReserveAnswer::Accepted { .. }
    ));
    let calls = partner.seen();
    for (base_url, networks, refused) in [
        (
            format!("http://127.0.0.1:{port}"),
            vec![],
            "127.0.0.1: it is neither",
        ),
        (
            format!("http://localhost:{port}"),
            vec![],
            ": it is neither",
        ),
        (
            format!("https://localhost:{port}"),
            vec![],
            ": it is neither",
        ),
        (
            format!("http://[::ffff:127.0.0.1]:{port}"),
            vec![],
            "127.0.0.1: it is neither",
        ),
        (
            format!("http://0x7f.1:{port}"),
            vec![],
            "127.0.0.1: it is neither",
        ),
        (
            "https://169.254.169.254".to_owned(),
            vec!["127.0.0.0/8"],
            "169.254.169.254: it is neither",
        ),
        (
            "http://1.1.1.1".to_owned(),
            vec!["127.0.0.0/8"],
            "http to 1.1.1.1: outside",
        ),
    ] {
        let endpoint = endpoint(&base_url, |configuration| {
            configuration.allowed_networks = networks.into_iter().map(str::to_owned).collect();
        });
        let error = partner.unknown(&endpoint).await;
        assert!(
            error.starts_with("the network policy refuses") && error.contains(refused),
            "{base_url}: {error}"
        );
    }
    assert_eq!(partner.seen(), calls);
}

#[tokio::test]
async fn a_signing_key_that_is_not_there_is_told() {
    let partner = Partner::start().await;
    let endpoint = endpoint(&format!("http://{}", partner.address), |configuration| {
        configuration.jwt_key_id = "other".to_owned();
    });
    assert_eq!(
        partner.unknown(&endpoint).await,
        "there is no signing key other"
    );
    assert_eq!(partner.seen(), 0);
}
