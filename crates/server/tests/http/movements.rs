//! What tests of allocations and deallocations share. Both are one record run in two directions,
//! so most tests run in both.

use std::time::{Duration, Instant};

use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{api::allocations::NewAllocation, signature::SigningKey};

use crate::fixture::{CLIENT, Options, PARTNER, World, request};

/// Which way the money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Allocation,
    Deallocation,
}

pub(crate) const KINDS: [Kind; 2] = [Kind::Allocation, Kind::Deallocation];

/// The calls of the network to the exchange that a kind goes by, as the exchange logs them.
pub(crate) struct Calls {
    pub(crate) reserve: &'static str,
    pub(crate) status: &'static str,
    pub(crate) clear: &'static str,
    pub(crate) release: &'static str,
}

impl Kind {
    /// Also the member of answers that holds the record.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Kind::Allocation => "allocation",
            Kind::Deallocation => "deallocation",
        }
    }

    pub(crate) fn calls(self) -> Calls {
        match self {
            Kind::Allocation => Calls {
                reserve: "allocate",
                status: "allocationStatus",
                clear: "clearAllocation",
                release: "releaseAllocation",
            },
            Kind::Deallocation => Calls {
                reserve: "deallocate",
                status: "deallocationStatus",
                clear: "clearDeallocation",
                release: "releaseDeallocation",
            },
        }
    }

    pub(crate) fn path(self, connection: Uuid) -> String {
        let noun = self.noun();
        format!("{}/connections/{connection}/{noun}s", clients())
    }

    /// What stands where the money comes from: available and held.
    pub(crate) async fn source(self, world: &World, connection: Uuid) -> (i128, i128) {
        match self {
            Kind::Allocation => world.custody("ofcbtc").await,
            Kind::Deallocation => world.allocated(connection, "ofcbtc").await,
        }
    }

    /// What stands where the money goes.
    pub(crate) async fn target(self, world: &World, connection: Uuid) -> (i128, i128) {
        match self {
            Kind::Allocation => world.allocated(connection, "ofcbtc").await,
            Kind::Deallocation => world.custody("ofcbtc").await,
        }
    }
}

pub(crate) fn clients() -> String {
    format!("/api/network/v1/enterprises/{CLIENT}/clients")
}

pub(crate) fn partners() -> String {
    format!("/api/network/v1/enterprises/{PARTNER}/partners")
}

/// A worker that looks around all the time, and never gives a message up to another.
pub(crate) fn eager() -> Options {
    let network = network::Settings {
        look_around: Duration::from_millis(20),
        lease: Duration::from_secs(3_600),
        ..network::Settings::default()
    };
    Options {
        network,
        ..Options::default()
    }
}

/// A worker that says what is new and, of its own accord, nothing again: only requests retry.
pub(crate) fn idle() -> Options {
    let mut options = eager();
    options.network.look_around = Duration::from_secs(3_600);
    options
}

/// A signed request as it goes over the wire. Sending it again sends the same bytes.
#[derive(Clone, Debug)]
pub(crate) struct SignedRequest {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: String,
}

impl SignedRequest {
    /// Puts a request together whose payload may say anything.
    pub(crate) fn forge(key: &SigningKey, path: String, content: &Value, payload: &str) -> Self {
        Self::with_signature(path, content, payload, &key.sign(payload))
    }

    pub(crate) fn with_signature(
        path: String,
        content: &Value,
        payload: &str,
        signature: &str,
    ) -> Self {
        let mut body = content.clone();
        body["payload"] = payload.into();
        body["signature"] = signature.into();
        SignedRequest {
            method: Method::POST,
            path,
            body: body.to_string(),
        }
    }
}

/// What the server said.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Said {
    /// The record, in a body that has one.
    pub(crate) fn record(&self, kind: Kind) -> &Value {
        let record = &self.body[kind.noun()];
        assert!(record.is_object(), "no {kind:?}: {self:?}");
        record
    }

    pub(crate) fn id(&self, kind: Kind) -> String {
        text(&self.record(kind)["id"])
    }

    /// The stable name of an error, whose body has the form that all errors have.
    pub(crate) fn error(&self) -> &str {
        let member = |name: &str| {
            let text = self.body[name].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "no {name}: {self:?}");
            text
        };
        assert!(self.status >= 400, "{self:?}");
        member("error");
        assert_eq!(member("requestId"), self.headers["request-id"]);
        member("name")
    }

    /// Asserts that it is cleared.
    #[track_caller]
    pub(crate) fn cleared(self, kind: Kind) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        assert_eq!(self.record(kind)["status"], "cleared", "{self:?}");
        self
    }

    /// Asserts that it is released, for the reason with this name.
    #[track_caller]
    pub(crate) fn released(self, kind: Kind, name: &str) -> Self {
        assert_eq!(self.status, 422, "{self:?}");
        assert_eq!(self.error(), name, "{self:?}");
        let record = self.record(kind);
        assert_eq!(record["status"], "released", "{self:?}");
        assert_eq!(record["retriable"], false, "{self:?}");
        assert_eq!(record["reason"], self.body["error"], "{self:?}");
        self
    }

    /// Asserts that the outcome at the partner is open.
    #[track_caller]
    pub(crate) fn retriable(self, kind: Kind) -> Self {
        assert_eq!(self.status, 500, "{self:?}");
        self.error();
        let record = self.record(kind);
        assert_eq!(record["status"], "reserved", "{self:?}");
        assert_eq!(record["retriable"], true, "{self:?}");
        assert_eq!(record["reason"], self.body["error"], "{self:?}");
        self
    }

    /// Asserts that it waits for a partner that answers later.
    #[track_caller]
    pub(crate) fn waiting(self, kind: Kind) -> Self {
        assert_eq!(self.status, 200, "{self:?}");
        let record = self.record(kind);
        assert_eq!(record["status"], "reserved", "{self:?}");
        assert_eq!(record["retriable"], false, "{self:?}");
        assert!(!text(&record["reason"]).is_empty(), "{self:?}");
        self
    }

    /// Asserts that it is refused, and that there is no record.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, name: &str) -> Self {
        assert_eq!((self.status, self.error()), (status, name), "{self:?}");
        let expected: &[&str] = match status {
            400 => &["error", "errors", "name", "requestId"],
            _ => &["error", "name", "requestId"],
        };
        assert_eq!(members(&self.body), expected, "{self:?}");
        self
    }

    /// Asserts that it is malformed in these places, and no others.
    #[track_caller]
    pub(crate) fn malformed(self, fields: &[&str]) -> Self {
        let said = self.refused(400, "invalid_request");
        let errors = said.body["errors"].as_array().expect("errors");
        let mut named: Vec<&str> = errors
            .iter()
            .map(|error| error["field"].as_str().expect("a field"))
            .collect();
        named.sort_unstable();
        assert_eq!(named, fields, "{said:?}");
        said
    }
}

/// The names of an object's members, sorted.
pub(crate) fn members(object: &Value) -> Vec<&str> {
    let object = object.as_object().expect("an object");
    let mut names: Vec<&str> = object.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Signs a request of the client.
pub(crate) fn prepare(
    world: &World,
    kind: Kind,
    connection: Uuid,
    new: NewAllocation,
) -> SignedRequest {
    let (path, body) = match kind {
        Kind::Allocation => {
            let prepared = world.client.prepare_allocation(connection, new);
            let prepared = prepared.expect("a request");
            (prepared.path().to_owned(), prepared.body().clone())
        }
        Kind::Deallocation => {
            let prepared = world.client.prepare_deallocation(connection, new);
            let prepared = prepared.expect("a request");
            (prepared.path().to_owned(), prepared.body().clone())
        }
    };
    SignedRequest {
        method: Method::POST,
        path,
        body: String::from_utf8(body.to_vec()).expect("JSON"),
    }
}

/// Sends a signed request with a token.
pub(crate) async fn send_as(world: &World, token: &str, request: &SignedRequest) -> Said {
    let SignedRequest { method, path, body } = request;
    let said = world.raw(method.clone(), path, Some(token), Some(body));
    let (status, headers, body) = said.await;
    Said {
        status,
        headers,
        body,
    }
}

/// Sends a signed request of the client.
pub(crate) async fn send(world: &World, request: &SignedRequest) -> Said {
    send_as(world, &world.client_token, request).await
}

/// Signs and sends a request of the client.
pub(crate) async fn ask(world: &World, kind: Kind, connection: Uuid, new: NewAllocation) -> Said {
    send(world, &prepare(world, kind, connection, new)).await
}

/// Looks until what is looked for is there.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < end, "was not to be seen: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Lets time pass for the network until something is there.
pub(crate) async fn in_time<T>(
    world: &World,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    eventually(what, async || {
        world.clock.advance(Duration::from_secs(1));
        look().await
    })
    .await
}

/// The client's record, as C14 shows it.
pub(crate) async fn record(world: &World, id: &str) -> Value {
    let path = format!("{}/allocations/{id}", clients());
    let (status, _, body) = world
        .raw(Method::GET, &path, Some(&world.client_token), None)
        .await;
    assert_eq!(status, 200, "{body}");
    body["allocation"].clone()
}

pub(crate) async fn status(world: &World, id: &str) -> String {
    text(&record(world, id).await["status"])
}

/// The client's record with this external id, once there is one.
pub(crate) async fn appears(world: &World, external_id: &str) -> Value {
    eventually(external_id, async || {
        let path = format!("{}/allocations?pageSize=500", clients());
        let (_, _, body) = world
            .raw(Method::GET, &path, Some(&world.client_token), None)
            .await;
        let all = body["allocations"].as_array().expect("a list");
        let found = all.iter().find(|r| r["clientExternalId"] == external_id);
        found.cloned()
    })
    .await
}

/// The calls about one record that came to the exchange, in their order.
pub(crate) async fn calls(world: &World, id: &str) -> Vec<String> {
    let log = call_log(world).await;
    let about = log.iter().filter(|call| {
        let body = &call["body"];
        body["allocationId"] == id
            || body["deallocationId"] == id
            || text(&call["path"]).ends_with(id)
    });
    about.map(|call| text(&call["call"])).collect()
}

/// All calls that came to the exchange, in their order.
pub(crate) async fn call_log(world: &World) -> Vec<Value> {
    let mut log = world.control(Method::GET, "calls", &Value::Null).await;
    let Value::Array(mut log) = log["calls"].take() else {
        panic!("no list of calls");
    };
    log.sort_by_key(|call| call["receivedAtMs"].as_u64());
    log
}

/// Waits until these and no other calls about a record have come to the exchange.
pub(crate) async fn called(world: &World, id: &str, expected: &[&str]) {
    eventually(&format!("{expected:?} about {id}"), async || {
        let calls = calls(world, id).await;
        assert!(calls.len() <= expected.len(), "{calls:?}");
        (calls == expected).then_some(())
    })
    .await;
}

/// What the exchange has of an account in BTC: balance and held.
pub(crate) async fn at_exchange(world: &World, account: &str) -> (i128, i128) {
    let all = world.control(Method::GET, "accounts", &Value::Null).await;
    let all = all["accounts"].as_array().expect("accounts").clone();
    let found = all.iter().find(|known| known["accountId"] == account);
    let position = found.expect("the account")["balances"]["BTC"].clone();
    let units = |member: &str| {
        let text = position[member].as_str();
        text.map_or(0, |text| text.parse().expect("base units"))
    };
    (units("balance"), units("held"))
}

/// How far a record is at the exchange, if it is known there.
pub(crate) async fn movement(world: &World, id: &str) -> Option<String> {
    let all = world.control(Method::GET, "movements", &Value::Null).await;
    let all = all["movements"].as_array().expect("movements").clone();
    let found = all.iter().find(|known| known["id"] == id);
    found.map(|known| text(&known["status"]))
}

/// Waits until a record is so at the exchange.
pub(crate) async fn stands(world: &World, id: &str, expected: &str) {
    let what = format!("{expected} {id} at the exchange");
    eventually(&what, async || {
        let found = movement(world, id).await;
        (found.as_deref() == Some(expected)).then_some(())
    })
    .await;
}

/// A connection that holds 1000 BTC units if they are to be deallocated from it, none otherwise;
/// and the account behind it, credited likewise.
pub(crate) async fn stocked(world: &World, kind: Kind) -> (Uuid, String) {
    let (connection, account) = world.connect().await;
    if kind == Kind::Deallocation {
        stock(world, connection, 1_000).await;
    }
    (connection, account)
}

/// Allocates, and waits until the exchange has credited it.
pub(crate) async fn stock(world: &World, connection: Uuid, units: i128) {
    let id = format!("stock-{}", Uuid::new_v4());
    let new = request("ofcbtc", units, &id);
    let said = ask(world, Kind::Allocation, connection, new).await;
    let id = said.cleared(Kind::Allocation).id(Kind::Allocation);
    stands(world, &id, "cleared").await;
}

/// Scripts one fault.
pub(crate) async fn fault(world: &World, call: &str, times: u32, action: &str) {
    let faults = json!([{"call": call, "times": times, "action": action}]);
    world.script_faults(faults).await;
}

/// Lets the next call of its kind arrive late.
pub(crate) async fn delay(world: &World, call: &str, by: Duration) {
    let by = u64::try_from(by.as_millis()).expect("milliseconds");
    let faults = json!([{"call": call, "times": 1, "action": "timeout", "delayMs": by}]);
    world.script_faults(faults).await;
}
