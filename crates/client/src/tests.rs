//! The client against a responder that plays a script: which bytes go out, how often, and what
//! their answers become.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;
use wire::api::DateTime;
use wire::api::allocations::{AcceptedAllocation, AllocationUpdate, NewAllocation};
use wire::api::partners::PartnersFilter;
use wire::api::quantity::ClientAmount;
use wire::api::settlements::{
    DisputeConcession, DisputeUpdate, NewDispute, NewSettlement, NewStagedSettlement, PartyAmount,
    Settlement, SettlementAmounts,
};
use wire::api::signed::{Content, Signed};
use wire::filters::Page;
use wire::json::Json;
use wire::payload;
use wire::signature::{Signature, SigningKey};

use super::*;

/// What the responder does with one request.
#[derive(Clone, Copy)]
enum Act {
    /// Answers with a status, further headers and a body.
    Answer(u16, &'static str, &'static str),
    /// Hangs up.
    HangUp,
    /// Says nothing until the client gives up.
    Silence,
    /// Promises more than it sends.
    HalfAnAnswer,
}

/// A responder and what it has heard.
struct Responder {
    base_url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Responder {
    /// Plays the script, one request per act; the last act is repeated.
    async fn playing(script: &'static [Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        tokio::spawn(async move {
            for act in script
                .iter()
                .chain(std::iter::repeat(script.last().unwrap()))
            {
                let (stream, _) = listener.accept().await.unwrap();
                respond(stream, *act, &ear).await;
            }
        });
        Self { base_url, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn client(&self) -> Client {
        let key = SigningKey::from_bytes(&[7; 32]).unwrap();
        let client = Client::new(&self.base_url, "e1", "secret-token").unwrap();
        client.with_signing_key(key).with_retry(quick())
    }
}

/// The default, faster.
fn quick() -> Retry {
    Retry {
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(5),
        ..Retry::default()
    }
}

async fn respond(mut stream: TcpStream, act: Act, heard: &Mutex<Vec<String>>) {
    let mut request = Vec::new();
    while !is_whole(&request) {
        let mut part = [0; 4_096];
        match stream.read(&mut part).await.unwrap_or_default() {
            0 => return,
            length => request.extend_from_slice(&part[..length]),
        }
    }
    heard
        .lock()
        .unwrap()
        .push(String::from_utf8(request).unwrap());
    let answer = match act {
        Act::Answer(status, headers, body) => format!(
            "HTTP/1.1 {status} X\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
        Act::HangUp => return,
        Act::Silence => {
            // The stream must stay open longer than the client waits.
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                drop(stream);
            });
            return;
        }
        Act::HalfAnAnswer => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{".to_owned(),
    };
    stream.write_all(answer.as_bytes()).await.unwrap();
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let head = head.to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

const CLEARED: &str = r#"{"allocation":{"status":"cleared","id":"6f1b4c0e-6f0a-4d2c-9d52-0a4f3a9a1c01","amount":{"currency":"ofcbtc","quantity":"5"},"connectionId":"6f1b4c0e-6f0a-4d2c-9d52-0a4f3a9a1c02","clientExternalId":"x1","initiatedBy":"u1","createdAt":"1970-01-01T00:00:00.000Z","updatedAt":"1970-01-01T00:00:00.000Z","retriable":false}}"#;

fn new_allocation() -> NewAllocation {
    NewAllocation {
        amount: ClientAmount {
            currency: "ofcbtc".parse().unwrap(),
            quantity: "5".parse().unwrap(),
        },
        client_external_id: "x1".to_owned(),
        nonce: String::new(),
        notes: None,
    }
}

fn connection() -> Uuid {
    Uuid::from_u128(2)
}

#[tokio::test]
async fn what_has_no_outcome_is_sent_again_byte_for_byte() {
    let responder = Responder::playing(&[
        Act::Answer(503, "", ""),
        Act::HangUp,
        Act::Answer(502, "Content-Type: text/html\r\n", "<h1>Bad gateway</h1>"),
        Act::HalfAnAnswer,
        Act::Answer(200, "", CLEARED),
    ])
    .await;
    let accepted = responder
        .client()
        .allocate(connection(), new_allocation())
        .await
        .unwrap();
    assert!(matches!(
        accepted.allocation,
        AcceptedAllocation::Cleared(_)
    ));
    let heard = responder.heard();
    assert_eq!(heard.len(), 5);
    assert!(heard.iter().all(|request| *request == heard[0]));
}

#[tokio::test]
async fn an_unknown_outcome_is_asked_for_again_whatever_its_status() {
    let unknown = r#"{"error":"?","name":"outcome_unknown","requestId":"r"}"#;
    let script: &[Act] = Box::leak(Box::new([
        Act::Answer(500, "", unknown),
        Act::Answer(200, "", CLEARED),
    ]));
    let responder = Responder::playing(script).await;
    responder
        .client()
        .allocate(connection(), new_allocation())
        .await
        .unwrap();
    assert_eq!(responder.heard().len(), 2);
}

#[tokio::test]
async fn silence_ends_at_the_time_limit_and_is_tried_again() {
    let responder = Responder::playing(&[Act::Silence, Act::Answer(200, "", CLEARED)]).await;
    let retry = Retry {
        time_limit: Duration::from_millis(200),
        ..quick()
    };
    let client = responder.client().with_retry(retry);
    client
        .allocate(connection(), new_allocation())
        .await
        .unwrap();
    assert_eq!(responder.heard().len(), 2);
}

#[tokio::test]
async fn tries_are_bounded() {
    let responder = Responder::playing(&[Act::HangUp]).await;
    let error = responder.client().become_client().await.unwrap_err();
    assert!(
        matches!(error, ClientError::Unreachable { tries: 5, .. }),
        "{error:?}"
    );
    assert_eq!(responder.heard().len(), 5);

    let responder = Responder::playing(&[Act::Answer(503, "", "")]).await;
    let error = responder.client().become_client().await.unwrap_err();
    assert_eq!(error.refusal().unwrap().status, 503);
    assert_eq!(responder.heard().len(), 5);

    let responder = Responder::playing(&[Act::Answer(503, "", "")]).await;
    let client = responder.client().with_retry(Retry::never());
    client.become_client().await.unwrap_err();
    assert_eq!(responder.heard().len(), 1);
}

#[tokio::test]
async fn nobody_there_is_tried_again_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(&base_url, "e1", "t")
        .unwrap()
        .with_retry(quick());
    let error = client.become_client().await.unwrap_err();
    assert!(
        matches!(error, ClientError::Unreachable { tries: 5, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn every_other_status_is_final() {
    const FINAL: &[&[Act]] = &[
        &[Act::Answer(400, "", "{}")],
        &[Act::Answer(401, "", "{}")],
        &[Act::Answer(409, "", "{}")],
        &[Act::Answer(422, "", "{}")],
        &[Act::Answer(500, "", "{}")],
        &[Act::Answer(504, "", "{}")],
        &[Act::Answer(302, "Location: /elsewhere\r\n", "")],
    ];
    for script in FINAL {
        let responder = Responder::playing(script).await;
        let error = responder.client().become_client().await.unwrap_err();
        assert!(error.refusal().is_some());
        assert_eq!(responder.heard().len(), 1);
    }
}

#[tokio::test]
async fn who_has_sent_too_much_sends_it_again() {
    let responder = Responder::playing(&[
        Act::Answer(429, "Retry-After: 0\r\n", "{}"),
        Act::Answer(400, "", "{}"),
    ])
    .await;
    let error = responder.client().become_client().await.unwrap_err();
    assert!(error.refusal().is_some());
    assert_eq!(responder.heard().len(), 2);
}

#[tokio::test]
async fn the_server_says_how_long_to_wait() {
    let responder = Responder::playing(&[
        Act::Answer(503, "Retry-After: 1\r\n", ""),
        Act::Answer(200, "", CLEARED),
    ])
    .await;
    let start = Instant::now();
    responder
        .client()
        .allocate(connection(), new_allocation())
        .await
        .unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn refusals_carry_all_that_was_said() {
    let responder = Responder::playing(&[Act::Answer(
        400,
        "Request-Id: header\r\n",
        r#"{"error":"the request has 1 fault","name":"invalid_request","errors":[{"field":"notes","message":"is odd"}]}"#,
    )])
    .await;
    let error = responder.client().become_client().await.unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!(refusal.name.as_deref(), Some("invalid_request"));
    assert_eq!(refusal.request_id.as_deref(), Some("header"));
    assert_eq!(refusal.errors[0].field, "notes");
    assert_eq!(
        error.to_string(),
        "400: the request has 1 fault; notes is odd [invalid_request] (request header)"
    );

    let refusal = Refusal::read(502, None, b"<h1>Bad gateway</h1>");
    assert_eq!(refusal.to_string(), "502: <h1>Bad gateway</h1>");
    assert_eq!(Refusal::read(502, None, b"").message, "no explanation");
}

#[test]
fn refusals_carry_the_record() {
    let released = CLEARED.replace(
        r#""status":"cleared""#,
        r#""status":"released","reason":"no""#,
    );
    let mut body: Value = serde_json::from_str(&released).unwrap();
    body["error"] = "no".into();
    let read = |body: &Value| Refusal::read(422, None, body.to_string().as_bytes()).record;
    let is_released = |record: Option<Record>| {
        matches!(
            record,
            Some(Record::Allocation(PostedAllocation::Released(_)))
        )
    };
    assert!(is_released(read(&body)));
    let deallocation = json!({"deallocation": body["allocation"], "error": "no"});
    assert!(is_released(read(&deallocation)));
    let settlement = json!({"error": "short", "settlement": {
        "id": connection().to_string(), "partnerId": connection().to_string(), "externalId": "s", "status": "failed", "reason": "short",
        "settlementType": "offchain", "reconciled": false, "initiatedBy": "u", "createdAt": DateTime(0),
        "updatedAt": DateTime(0), "lossSLAAlertSent": false, "gainSLAAlertSent": false
    }});
    let record = read(&settlement);
    assert!(matches!(
        record,
        Some(Record::Settlement(Settlement::Failed(_)))
    ));
    assert_eq!(read(&json!({"allocation": 5})), None);
}

#[tokio::test]
async fn an_answer_of_another_kind_is_unreadable() {
    let responder = Responder::playing(&[Act::Answer(200, "", "{}")]).await;
    let error = responder.client().become_client().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreadable(_)));
}

#[tokio::test]
async fn reads_say_who_asks_and_put_filters_into_the_query() {
    let responder = Responder::playing(&[Act::Answer(200, "", r#"{"partners":[]}"#)]).await;
    let filter = PartnersFilter {
        names: Some(vec!["Smith, Ltd.".to_owned(), "b".to_owned()]),
        active: Some(true),
        page: Page {
            number: 2,
            size: 100,
        },
        ..PartnersFilter::default()
    };
    responder.client().partners(&filter).await.unwrap();
    let heard = responder.heard();
    let line = "GET /api/network/v1/enterprises/e1/partners?names=Smith%2C+Ltd.&names=b&active=true&pageNumber=2 HTTP/1.1\r\n";
    assert!(heard[0].starts_with(line), "{}", heard[0]);
    assert!(heard[0].contains("authorization: Bearer secret-token\r\n"));
    assert!(heard[0].contains("enterprise-id: e1\r\n"));
}

fn client() -> Client {
    let key = SigningKey::from_bytes(&[7; 32]).unwrap();
    Client::new("http://127.0.0.1:1", "e1", "t")
        .unwrap()
        .with_signing_key(key)
}

#[test]
fn prepared_allocations_are_what_the_network_wants() {
    let prepared = client()
        .prepare_allocation(connection(), new_allocation())
        .unwrap();
    let path = format!(
        "/api/network/v1/enterprises/e1/clients/connections/{}/allocations",
        connection()
    );
    assert_eq!(prepared.path(), path);
    let body = Json::parse(prepared.body()).unwrap();
    let request = Signed::<NewAllocation>::read(&body).unwrap();
    assert_eq!(request.content.nonce.len(), 64);
    let id = connection().to_string();
    let path = [("connectionId", id.as_str()), ("enterpriseId", "e1")];
    payload::check(&request.payload, &body, &path, NewAllocation::UNSIGNED).unwrap();
    let key = SigningKey::from_bytes(&[7; 32]).unwrap().public_key();
    let signature = Signature::parse(&request.signature).unwrap();
    assert!(signature.verifies(&request.payload, &key));
}

#[test]
fn prepared_settlements_and_updates_are_what_the_network_wants() {
    let amounts = vec![PartyAmount {
        connection_id: connection(),
        currency: "BTC".to_owned(),
        quantity: wire::api::quantity::PartnerQuantity::parse("-0.5").unwrap(),
    }];
    let prepared = client()
        .prepare_settlement(NewSettlement {
            external_id: "s1".to_owned(),
            notes: Some("n".to_owned()),
            settlement_amounts: SettlementAmounts::Party(amounts),
            nonce: "mine".to_owned(),
        })
        .unwrap();
    let body = Json::parse(prepared.body()).unwrap();
    let request = Signed::<NewSettlement>::read(&body).unwrap();
    assert_eq!(request.content.nonce, "mine");
    payload::check(
        &request.payload,
        &body,
        &[("enterpriseId", "e1")],
        NewSettlement::UNSIGNED,
    )
    .unwrap();

    let update = json!({
        "allocationId": connection().to_string(), "amount": {"currency": "BTC", "quantity": "1"}, "clientId": connection().to_string(),
        "connectionId": connection().to_string(), "partnersClientId": "c", "partnersConnectionId": "n",
        "partnersAllocationId": "a", "status": "cleared", "nonce": "1", "policyResult": "approved"
    });
    let update =
        AllocationUpdate::read(&Json::parse(update.to_string().as_bytes()).unwrap()).unwrap();
    let prepared = client().prepare_allocation_update(update).unwrap();
    let body = Json::parse(prepared.body()).unwrap();
    let request = Signed::<AllocationUpdate>::read(&body).unwrap();
    payload::check(&request.payload, &body, &[], AllocationUpdate::UNSIGNED).unwrap();
    assert!(!request.payload.contains("policyResult"));
}

/// Whatever is signed about a dispute names in its payload what its path names.
#[test]
fn prepared_disputes_are_what_the_network_wants() {
    fn checked<T, C: Content>(prepared: &Prepared<T>, path: &[(&str, &str)]) -> C {
        let body = Json::parse(prepared.body()).unwrap();
        let request = Signed::<C>::read(&body).unwrap();
        payload::check(&request.payload, &body, path, C::UNSIGNED).unwrap();
        for (name, value) in path {
            assert!(request.payload.contains(value), "{name}");
        }
        request.content
    }
    let (client, id) = (client(), Uuid::from_u128(7));
    let text = id.to_string();
    let all = "/api/network/v1/enterprises/e1/clients/settlements";

    let dispute = NewDispute {
        connection_id: connection(),
        reason: None,
        expected_transfers: [("ofcbtc".to_owned(), "-5".to_owned())].into(),
        nonce: "mine".to_owned(),
    };
    let prepared = client.prepare_dispute(id, dispute.clone()).unwrap();
    assert_eq!(prepared.path(), format!("{all}/{id}/disputes"));
    let path = [("settlementId", text.as_str()), ("enterpriseId", "e1")];
    assert_eq!(checked::<_, NewDispute>(&prepared, &path), dispute);

    let path = [("disputeId", text.as_str()), ("enterpriseId", "e1")];
    let update = DisputeUpdate {
        connection_id: connection(),
        retracted: true,
        reason: Some("it is right".to_owned()),
        expected_transfers: None,
        nonce: "mine".to_owned(),
    };
    let prepared = client.prepare_dispute_update(id, update.clone()).unwrap();
    assert_eq!(prepared.path(), format!("{all}/disputes/{id}"));
    assert_eq!(checked::<_, DisputeUpdate>(&prepared, &path), update);

    let concession = DisputeConcession {
        notes: "it is right".to_owned(),
        nonce: String::new(),
    };
    let prepared = client.prepare_dispute_concession(id, concession).unwrap();
    assert_eq!(prepared.path(), format!("{all}/disputes/{id}/close"));
    let concession: DisputeConcession = checked(&prepared, &path);
    assert_eq!(concession.nonce.len(), 64, "a fresh one is drawn");

    let staged = NewStagedSettlement {
        settlement: NewSettlement {
            external_id: "s1".to_owned(),
            notes: None,
            settlement_amounts: SettlementAmounts::Party(Vec::new()),
            nonce: "mine".to_owned(),
        },
        cutoff_at: DateTime(1_000_000),
    };
    let prepared = client.prepare_staged_settlement(staged.clone()).unwrap();
    let path = "/api/network/v2/enterprises/e1/partners/settlements";
    assert_eq!(prepared.path(), path);
    let read: NewStagedSettlement = checked(&prepared, &[("enterpriseId", "e1")]);
    assert_eq!(read, staged);
}

#[tokio::test]
async fn prepared_requests_are_sent_as_often_as_wanted() {
    let responder = Responder::playing(&[Act::Answer(200, "", CLEARED)]).await;
    let client = responder.client();
    let prepared = client
        .prepare_allocation(connection(), new_allocation())
        .unwrap();
    client.send(&prepared).await.unwrap();
    client.send(&prepared).await.unwrap();
    let heard = responder.heard();
    assert_eq!(heard[0], heard[1]);
    assert!(heard[0].ends_with(std::str::from_utf8(prepared.body()).unwrap()));
}

#[tokio::test]
async fn without_a_key_nothing_is_signed() {
    let client = Client::new("http://127.0.0.1:1", "e1", "t").unwrap();
    let error = client
        .allocate(connection(), new_allocation())
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::NoSigningKey));
}

#[test]
fn what_cannot_work_is_said_at_once() {
    for (base_url, token) in [("nowhere", "t"), ("ftp://a", "t"), ("http://a", "t\n")] {
        let error = Client::new(base_url, "e1", token).unwrap_err();
        assert!(matches!(error, ClientError::Unusable(_)), "{base_url}");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let client = Client::new("http://a", "e1", "secret-token").unwrap();
    let client = client.with_signing_key(SigningKey::from_bytes(&[7; 32]).unwrap());
    let shown = format!("{client:?}");
    assert!(
        !shown.contains("secret-token") && !shown.contains("0707"),
        "{shown}"
    );
    assert_eq!(client.acting_for("e2", "t").unwrap().enterprise_id(), "e2");
}

#[test]
fn nonces_are_fresh() {
    assert_ne!(fresh_nonce(), fresh_nonce());
    assert_eq!(fresh_nonce().len(), 64);
}

#[tokio::test]
async fn operators_send_json_and_get_json() {
    let responder = Responder::playing(&[
        Act::Answer(201, "", r#"{"id":"1"}"#),
        Act::Answer(503, "", ""),
        Act::Answer(200, "", ""),
        Act::Answer(503, "", ""),
    ])
    .await;
    let operator = Client::operator(&responder.base_url, "t")
        .unwrap()
        .with_retry(quick());
    let made = operator
        .post("/enterprises", &json!({"name": "n"}))
        .await
        .unwrap();
    assert_eq!(made, json!({"id": "1"}));
    assert_eq!(
        operator.put("/enterprises/1", &json!({})).await.unwrap(),
        Value::Null
    );
    operator.post("/deposits", &json!({})).await.unwrap_err();
    let heard = responder.heard();
    assert_eq!(heard.len(), 4);
    assert!(heard[0].starts_with("POST /api/operator/v1/enterprises HTTP/1.1\r\n"));
    assert!(heard[0].contains("content-type: application/json\r\n"));
    assert!(!heard[0].contains("enterprise-id"));
}
