//! The exchange over HTTP: called as the network calls it, controlled as a person does, and with a
//! network that answers by script.

#![allow(
    clippy::unwrap_used,
    reason = "the lint spares test functions, not what they share"
)]

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::IntoResponse as _;
use sandbox::{Exchange, Membership, Mode, PREFIX, RunningExchange, Settings};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::connection_key::{ConnectionKeySchema, seal};
use wire::partner_jwt::{Claims, JwtSigner, body_sha256};
use wire::signature::{ExtendedKey, PublicKey, Signature};

const PARTNER: Uuid = Uuid::from_u128(0xa);
const CLIENT: Uuid = Uuid::from_u128(0xb);
const CONNECTION: Uuid = Uuid::from_u128(0xc);

static SIGNER: LazyLock<JwtSigner> = LazyLock::new(|| JwtSigner::generate().unwrap());

/// The network as the exchange sees it: every request that came, and what is answered.
#[derive(Clone)]
struct Network {
    answer: Arc<Mutex<(u16, Value)>>,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
    key: Arc<ExtendedKey>,
    address: String,
}

impl Network {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let network = Self {
            answer: Arc::new(Mutex::new((200, json!({})))),
            seen: Arc::default(),
            key: Arc::new(ExtendedKey::generate()),
            address: format!("http://{}", listener.local_addr().unwrap()),
        };
        let app = Router::new()
            .fallback(Self::receive)
            .with_state(network.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        network
    }

    async fn receive(
        State(network): State<Self>,
        method: Method,
        uri: Uri,
        body: Bytes,
    ) -> impl axum::response::IntoResponse {
        let mut body: Value = serde_json::from_slice(&body).unwrap();
        // The signature has to be good and the payload has to say what the body says.
        let payload = body["payload"].as_str().unwrap().to_owned();
        let signature = Signature::parse(body["signature"].as_str().unwrap()).unwrap();
        let key = PublicKey::from_xpub(&network.key.xpub()).unwrap();
        assert!(signature.verifies(&payload, &key));
        let members = body.as_object_mut().unwrap();
        members.remove("payload");
        members.remove("signature");
        let mut said: Value = serde_json::from_str(&payload).unwrap();
        said.as_object_mut().unwrap().remove("enterpriseId");
        assert_eq!(said, body);
        let call = format!("{method} {uri}");
        network.seen.lock().unwrap().push((call, body.clone()));
        let (status, mut answer) = network.answer.lock().unwrap().clone();
        if status == 200 && !uri.path().ends_with("/settlements") {
            // P6 and P7 repeat what they were told.
            answer = body;
        }
        (StatusCode::from_u16(status).unwrap(), axum::Json(answer)).into_response()
    }

    fn answers(&self, status: u16, body: Value) {
        *self.answer.lock().unwrap() = (status, body);
    }

    fn seen(&self) -> Vec<(String, Value)> {
        self.seen.lock().unwrap().clone()
    }
}

struct Scene {
    exchange: RunningExchange,
    network: Network,
    http: reqwest::Client,
    account: Value,
    partners_connection_id: String,
}

impl Scene {
    async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let network = Network::start().await;
        let mut settings = Settings {
            jwt_public_key: Some(SIGNER.public_key_pem()),
            membership: Some(Membership {
                partner_id: PARTNER,
                enterprise_id: "e".to_owned(),
                token: "t".to_owned(),
                signing_key: network.key.xprv().to_string(),
                network_url: network.address.clone(),
            }),
            ..Settings::default()
        };
        change(&mut settings);
        Self {
            exchange: Exchange::start(settings).await.unwrap(),
            network,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            account: Value::Null,
            partners_connection_id: String::new(),
        }
    }

    /// With a connected account.
    async fn connected(change: impl FnOnce(&mut Settings)) -> Self {
        let mut scene = Self::start(change).await;
        let (status, account) = scene
            .control(Method::POST, "accounts", json!({"name": "Ada"}))
            .await;
        assert_eq!(status, 200);
        scene.account = account;
        let request = scene.connect_request(&scene.account["connectionToken"]);
        let (status, answer) = scene
            .call(Method::POST, "connections", request)
            .await
            .unwrap();
        assert_eq!(
            (status, &answer["partnersClientId"]),
            (200, &scene.account["accountId"])
        );
        scene.partners_connection_id = answer["partnersConnectionId"].as_str().unwrap().to_owned();
        scene
    }

    /// With an allocation of BTC that is cleared.
    async fn funded(quantity: u32) -> Self {
        let scene = Self::connected(|_| ()).await;
        let request = scene.movement("allocationId", 1, quantity);
        let reserved = scene
            .call(Method::POST, "allocations", request.clone())
            .await
            .unwrap();
        assert_eq!((reserved.0, reserved.1.get("rejectReason")), (200, None));
        let path = format!("allocation/{}/clear", Uuid::from_u128(1));
        assert_eq!(
            scene.call(Method::PUT, &path, request).await.unwrap().0,
            200
        );
        scene
    }

    fn connect_request(&self, token: &Value) -> Value {
        json!({
            "clientId": CLIENT.to_string(), "clientWalletId": "f".repeat(32),
            "connectionId": CONNECTION.to_string(), "partnerId": PARTNER.to_string(),
            "connectionToken": token,
        })
    }

    fn movement(&self, id_name: &str, id: u128, quantity: u32) -> Value {
        json!({
            id_name: Uuid::from_u128(id).to_string(),
            "amount": {"currency": "BTC", "quantity": quantity.to_string()},
            "clientId": CLIENT.to_string(), "connectionId": CONNECTION.to_string(),
            "partnersClientId": self.account["accountId"],
            "partnersConnectionId": self.partners_connection_id,
        })
    }

    /// A call of the network; none if it ended without an answer.
    async fn call(&self, method: Method, path: &str, body: Value) -> Option<(u16, Value)> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let path = format!("{PREFIX}/{path}");
        let token = token(&method, &path, &body, |_| ());
        self.send(method, &path, body, &[("X-BitGo-Signature", &token)])
            .await
    }

    async fn control(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let path = format!("/control/v1/{path}");
        self.send(method, &path, body.to_string(), &[])
            .await
            .unwrap()
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: String,
        headers: &[(&str, &str)],
    ) -> Option<(u16, Value)> {
        let url = format!("http://{}{path}", self.exchange.address);
        let mut request = self
            .http
            .request(method, url)
            .header("content-type", "application/json")
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        Some((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// How far the movement has come; "404" if it is not known.
    async fn status(&self, kind: &str, id: u128) -> String {
        let path = format!("{kind}/{}", Uuid::from_u128(id));
        let (status, body) = self.call(Method::GET, &path, Value::Null).await.unwrap();
        body["status"]
            .as_str()
            .map_or_else(|| status.to_string(), str::to_owned)
    }

    /// Waits until the movement has come as far.
    async fn wait_for(&self, kind: &str, id: u128, wanted: &str) {
        let start = Instant::now();
        while self.status(kind, id).await != wanted {
            assert!(start.elapsed() < Duration::from_secs(20), "not {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn balances(&self) -> Value {
        let (_, accounts) = self.control(Method::GET, "accounts", Value::Null).await;
        accounts["accounts"][0]["balances"].clone()
    }

    async fn fault(&self, call: &str, action: &str, delay_ms: u64) {
        let fault = json!([{"call": call, "times": 1, "action": action, "delayMs": delay_ms}]);
        assert_eq!(self.control(Method::PUT, "faults", fault).await.0, 200);
    }
}

fn token(method: &Method, path: &str, body: &str, change: impl FnOnce(&mut Claims)) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let now = i64::try_from(now).unwrap();
    let mut claims = Claims {
        iss: "tidelock".to_owned(),
        aud: PARTNER.to_string(),
        iat: now,
        exp: now + 60,
        jti: Uuid::new_v4().to_string(),
        method: method.to_string(),
        path: path.to_owned(),
        body_sha256: body_sha256(body.as_bytes()),
    };
    change(&mut claims);
    SIGNER.sign(&claims).unwrap()
}

#[tokio::test]
async fn only_signed_calls_are_let_in_and_each_once() {
    let scene = Scene::connected(|_| ()).await;
    let path = format!("{PREFIX}/allocations");
    let body = scene.movement("allocationId", 1, 5).to_string();
    let good = token(&Method::POST, &path, &body, |_| ());
    let expired = token(&Method::POST, &path, &body, |c| {
        (c.iat, c.exp) = (c.iat - 99, c.exp - 99)
    });
    let other_audience = token(&Method::POST, &path, &body, |c| c.aud = CLIENT.to_string());
    let other_body = token(&Method::POST, &path, "{}", |_| ());
    let mut statuses = Vec::new();
    for headers in [
        vec![],
        vec![("X-BitGo-Signature", "a.b.c")],
        vec![("X-BitGo-Signature", expired.as_str())],
        vec![("X-BitGo-Signature", other_audience.as_str())],
        vec![("X-BitGo-Signature", other_body.as_str())],
        vec![("X-BitGo-Signature", good.as_str())],
        vec![("X-BitGo-Signature", good.as_str())],
    ] {
        let answer = scene
            .send(Method::POST, &path, body.clone(), &headers)
            .await;
        statuses.push(answer.unwrap().0);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 200, 401]);
}

#[tokio::test]
async fn money_comes_and_goes() {
    let scene = Scene::funded(100).await;
    assert_eq!(scene.status("allocation", 1).await, "cleared");
    let out = scene.movement("deallocationId", 2, 60);
    let (status, answer) = scene
        .call(Method::POST, "deallocations", out.clone())
        .await
        .unwrap();
    assert_eq!(status, 200);
    assert!(answer["partnersDeallocationId"].is_string());
    assert_eq!(scene.balances().await["BTC"]["held"], "60");
    let too_much = scene.movement("deallocationId", 3, 41);
    let (status, answer) = scene
        .call(Method::POST, "deallocations", too_much)
        .await
        .unwrap();
    assert_eq!(status, 200);
    assert!(answer["rejectReason"].is_string());
    assert_eq!(scene.status("deallocation", 3).await, "rejected");
    let path = format!("deallocation/{}/clear", Uuid::from_u128(2));
    assert_eq!(
        scene.call(Method::PUT, &path, out.clone()).await.unwrap().0,
        200
    );
    let balances = scene.balances().await;
    assert_eq!(
        (&balances["BTC"]["balance"], &balances["BTC"]["held"]),
        (&json!("40"), &json!("0"))
    );
    let path = format!("deallocation/{}/release", Uuid::from_u128(2));
    assert_eq!(
        scene.call(Method::PUT, &path, out.clone()).await.unwrap().0,
        409
    );
    // The body is about something else than the route.
    let path = format!("allocation/{}/clear", Uuid::from_u128(9));
    assert_eq!(scene.call(Method::PUT, &path, out).await.unwrap().0, 400);
    assert_eq!(scene.status("deallocation", 9).await, "404");

    let (_, calls) = scene.control(Method::GET, "calls", Value::Null).await;
    let first = &calls["calls"][0];
    assert_eq!(
        (&first["call"], &first["answered"]),
        (&json!("connect"), &json!(200))
    );
    assert_eq!(first["body"]["connectionToken"], "[secret]");
}

#[tokio::test]
async fn everything_that_can_go_wrong_is_scripted() {
    let scene = Scene::funded(100).await;
    let reserve = |id| {
        let request = scene.movement("allocationId", id, 5);
        scene.call(Method::POST, "allocations", request)
    };
    for (id, action, after) in [
        (10, "error500", "404"),
        (11, "hangUpBefore", "404"),
        (12, "hangUpAfter", "reserved"),
        (13, "reject", "rejected"),
    ] {
        scene.fault("allocate", action, 0).await;
        let answer = reserve(id).await;
        match action {
            "error500" => assert_eq!(answer.unwrap().0, 500),
            "reject" => assert!(answer.unwrap().1["rejectReason"].is_string()),
            _ => assert_eq!(answer, None, "{action}"),
        }
        assert_eq!(scene.status("allocation", id).await, after, "{action}");
        // Once is once.
        assert_eq!(reserve(id).await.unwrap().0, 200);
    }

    // A request that comes after its release: the caller has given up, the request has not.
    scene.fault("allocate", "timeout", 300).await;
    let given_up = tokio::time::timeout(Duration::from_millis(50), reserve(14)).await;
    assert!(given_up.is_err());
    let request = scene.movement("allocationId", 14, 5);
    let path = format!("allocation/{}/release", Uuid::from_u128(14));
    assert_eq!(
        scene.call(Method::PUT, &path, request).await.unwrap().0,
        200
    );
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(scene.status("allocation", 14).await, "released");
    let (_, late) = reserve(14).await.unwrap();
    assert_eq!(late["rejectReason"], "it was released");

    scene.fault("allocationStatus", "reject", 0).await;
    assert_eq!(scene.status("allocation", 14).await, "422");
    let (_, left) = scene.control(Method::GET, "faults", Value::Null).await;
    assert_eq!(left, json!([]));
}

#[tokio::test]
async fn asynchronous_requests_are_answered_by_control() {
    let scene = Scene::funded(100).await;
    let mode = json!({"asynchronousAllocations": true, "asynchronousDeallocations": true});
    assert_eq!(scene.control(Method::PUT, "mode", mode).await.0, 200);
    let request = scene.movement("allocationId", 20, 5);
    scene
        .call(Method::POST, "allocations", request)
        .await
        .unwrap();
    let request = scene.movement("deallocationId", 21, 30);
    scene
        .call(Method::POST, "deallocations", request)
        .await
        .unwrap();
    assert_eq!(scene.status("allocation", 20).await, "pending");
    assert_eq!(scene.status("deallocation", 21).await, "pending");

    let answer = |id: u128, status: &str| {
        let body = json!({"id": Uuid::from_u128(id).to_string(), "status": status});
        scene.control(Method::POST, "answers", body)
    };
    // The network does not take it at first: the decision stands, nothing is credited.
    scene.network.answers(500, json!({"error": "later"}));
    let (status, told) = answer(20, "cleared").await;
    assert_eq!((status, &told["network"]["status"]), (200, &json!(500)));
    assert_eq!(scene.status("allocation", 20).await, "reserved");
    scene.network.answers(200, json!({}));
    answer(20, "cleared").await;
    assert_eq!(scene.status("allocation", 20).await, "cleared");
    assert_eq!(scene.balances().await["BTC"]["balance"], "105");
    answer(21, "released").await;
    assert_eq!(scene.status("deallocation", 21).await, "rejected");
    assert_eq!(answer(21, "cleared").await.0, 409);
    assert_eq!(answer(22, "cleared").await.0, 404);

    let seen = scene.network.seen();
    let path = "PUT /api/network/v1/enterprises/e/partners/";
    assert_eq!(seen[1].0, format!("{path}allocations"));
    assert_eq!(seen[1].1["status"], "cleared");
    assert_eq!(seen[1].1["allocationId"], Uuid::from_u128(20).to_string());
    assert!(seen[1].1["partnersAllocationId"].is_string());
    assert_ne!(seen[0].1["nonce"], seen[1].1["nonce"]);
    assert_eq!(seen[2].0, format!("{path}deallocations"));
    assert_eq!(seen[2].1["status"], "released");
    assert!(seen[2].1["rejectReason"].is_string());
}

#[tokio::test]
async fn asynchronous_requests_are_answered_by_themselves() {
    let scene = Scene::connected(|settings| {
        settings.mode = Mode {
            asynchronous_allocations: true,
            auto_answer: true,
            ..Mode::default()
        };
    })
    .await;
    scene.network.answers(409, json!({"error": "in flight"}));
    let request = scene.movement("allocationId", 30, 5);
    scene
        .call(Method::POST, "allocations", request)
        .await
        .unwrap();
    scene.wait_for("allocation", 30, "reserved").await;
    scene.network.answers(200, json!({}));
    scene.wait_for("allocation", 30, "cleared").await;
    assert_eq!(scene.balances().await["BTC"]["balance"], "5");
}

#[tokio::test]
async fn trades_are_settled() {
    let scene = Scene::funded(100).await;
    let trade = |btc: i32, usd: i32| {
        let body = json!({
            "accountId": scene.account["accountId"],
            "base": {"currency": "BTC", "quantity": btc.to_string()},
            "quote": {"currency": "USD", "quantity": usd.to_string()},
        });
        scene.control(Method::POST, "trades", body)
    };
    let settle = || scene.control(Method::POST, "settlements", json!({}));
    assert_eq!(settle().await.0, 422);
    assert_eq!(trade(-101, 1).await.0, 422);
    assert_eq!(trade(-30, 6).await.0, 200);
    assert_eq!(trade(10, -2).await.0, 200);
    let order =
        json!({"accountId": scene.account["accountId"], "currency": "BTC", "quantity": "80"});
    let (status, order) = scene.control(Method::POST, "orders", order).await;
    assert_eq!(status, 200);
    assert_eq!(trade(-1, 1).await.0, 422);
    let path = format!("orders/{}", order["orderId"].as_str().unwrap());
    assert_eq!(
        scene.control(Method::DELETE, &path, Value::Null).await.0,
        200
    );

    let settlement = |status: &str| {
        let now = "2026-01-01T00:00:00.000Z";
        json!({
            "error": "no", "name": "no", "requestId": "1",
            "settlement": {
                "id": CLIENT.to_string(), "partnerId": PARTNER.to_string(), "externalId": "x",
                "settlementType": "offchain", "reconciled": false, "initiatedBy": "u",
                "createdAt": now, "updatedAt": now, "lossSLAAlertSent": false,
                "gainSLAAlertSent": false, "status": status, "reason": "short",
                "finalizedAt": now,
            },
        })
    };
    scene.network.answers(500, settlement("failed"));
    let (status, failed) = settle().await;
    assert_eq!((status, &failed["network"]["status"]), (200, &json!(500)));
    assert_eq!(scene.balances().await["BTC"]["unsettled"], "-20");
    scene.network.answers(200, settlement("completed"));
    let (_, completed) = settle().await;
    assert_eq!(completed["externalId"], failed["externalId"]);
    let amounts = json!({CONNECTION.to_string(): {"BTC": "-20", "USD": "4"}});
    assert_eq!(completed["settlementAmounts"], amounts);
    let balances = scene.balances().await;
    let expected = |balance: &str| json!({"balance": balance, "held": "0", "locked": "0", "free": balance, "unsettled": "0"});
    assert_eq!(
        balances,
        json!({"BTC": expected("80"), "USD": expected("4")})
    );
    assert_eq!(settle().await.0, 422);

    let seen = scene.network.seen();
    assert_eq!(
        seen[0].0,
        "POST /api/network/v1/enterprises/e/partners/settlements"
    );
    assert_eq!(seen[0].1["settlementAmounts"], amounts);
    assert_eq!(seen[0].1["externalId"], seen[1].1["externalId"]);
}

#[tokio::test]
async fn sealed_keys_are_opened() {
    let keys = JwtSigner::generate().unwrap();
    let scene = Scene::start(|settings| {
        settings.private_key = Some(keys.private_key_pem().unwrap().to_string());
        settings.schemas = vec![
            ConnectionKeySchema::Token,
            ConnectionKeySchema::ApiKeyAndSecret,
        ];
    })
    .await;
    let (_, account) = scene.control(Method::POST, "accounts", json!({})).await;
    let sealed = |name: &str| {
        let plain = account[name].as_str().unwrap();
        Value::from(seal(plain, &keys.public_key_pem()).unwrap())
    };
    let plain = scene.connect_request(&account["connectionToken"]);
    let (status, answer) = scene
        .call(Method::POST, "connections", plain)
        .await
        .unwrap();
    assert_eq!((status, answer["error"].is_string()), (422, true));
    let mut request = scene.connect_request(&Value::Null);
    request["apiKey"] = sealed("apiKey");
    request["apiSecret"] = sealed("apiSecret");
    let (status, answer) = scene
        .call(Method::POST, "connections", request)
        .await
        .unwrap();
    assert_eq!(
        (status, &answer["partnersClientId"]),
        (200, &account["accountId"])
    );
}

#[tokio::test]
async fn control_has_a_token_and_can_tell_who_the_exchange_is() {
    let network = Network::start().await;
    let exchange = Exchange::start(Settings {
        control_token: Some("c".to_owned()),
        ..Settings::default()
    })
    .await
    .unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let base = format!("http://{}", exchange.address);
    let join = json!({
        "partnerId": PARTNER.to_string(), "enterpriseId": "e", "token": "t",
        "signingKey": "11".repeat(32), "networkUrl": network.address,
        "jwtPublicKey": SIGNER.public_key_pem(),
    });
    let put = |token: &'static str, body: String| {
        http.put(format!("{base}/control/v1/partner"))
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body(body)
            .send()
    };
    let ask = || async {
        let path = format!("{PREFIX}/allocation/{CLIENT}");
        let token = token(&Method::GET, &path, "", |_| ());
        let request = http
            .get(format!("{base}{path}"))
            .header("X-BitGo-Signature", token);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask().await, 401);
    assert_eq!(put("wrong", join.to_string()).await.unwrap().status(), 401);
    let odd = HashMap::from([("partnerId", "x")]);
    let odd = serde_json::to_string(&odd).unwrap();
    assert_eq!(put("c", odd).await.unwrap().status(), 422);
    assert_eq!(put("c", join.to_string()).await.unwrap().status(), 200);
    assert_eq!(ask().await, 404);
    exchange.shutdown().await;
    assert!(
        http.get(format!("{base}/control/v1/calls"))
            .send()
            .await
            .is_err()
    );
}
