//! Every route does what it says.

use reqwest::Method;
use rules::{UserId, approve::Undertaken, record::InstallationRole};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{done, fresh_id};
use crate::{
    examples::{Said, Walk},
    fixture::{INSTITUTION, Options, PARTNER, World, extended_key, on_each_database, request},
};

/// A key of a partner, the same in every run.
const PUBLIC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA9kEDfRK+YylDtcB4nmz9\n\
SQpbA6M3PlZpyMC1BmbfCTEpv++xK9soaLsQYI9ESSyqwAUcim3qUGrzdZYimlAF\n\
1JkJxJXNSYqHh01A7bBpwCBJI4mjpYXduLLkAUQLOpdk8iDVYcJVErlutibCvdAj\n\
lFBOtzKLP//URSY+BSDIVuWiEax3hEmU/V5sZ1doA0KiDy70UniVlivJW1r+1bfP\n\
rgrIGdZhuS9JS+YDDqmsUXz1NxRw5XqEoawak+JA/ByDZLMPe4PaJZSZYO/9uk8k\n\
FeQr/oK/hGMvV1P7pG66iTFHvNmzDBkaZAlcS+qdyBP50U/gyRKZZKBxik3OPsMs\n\
yQIDAQAB\n\
-----END PUBLIC KEY-----\n";

impl Walk<'_> {
    /// The answer to a request of the operator, whose route has these variables.
    async fn visit(
        &mut self,
        method: Method,
        route: &str,
        variables: &[(&str, &str)],
        body: Value,
    ) -> Value {
        let mut path = format!("/api/operator/v1{route}");
        for (name, value) in variables {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        let token = &self.world.operator_token;
        self.say(token, method, &path, body).await
    }

    /// What is suspended and reactivated.
    async fn suspensions(&mut self, connection: Uuid) {
        let (none, get, put) = (Value::Null, Method::GET, Method::PUT);
        let listed = self.visit(get.clone(), "/clients", &[], none.clone()).await;
        let clients = listed["clients"].as_array().expect("clients");
        let client = text(&clients[0]["id"]);
        let listed = self.visit(get, "/connections", &[], none.clone()).await;
        let id = json!(connection.to_string());
        assert!(holds(&listed["connections"], &json!({"id": id})));
        for suspended in [true, false] {
            let body = json!({"suspended": suspended});
            let one = [("clientId", client.as_str())];
            let route = "/clients/{clientId}";
            let told = self.visit(put.clone(), route, &one, body.clone()).await;
            assert_eq!(told["client"]["suspendedAt"].is_string(), suspended);
            let connection = connection.to_string();
            let one = [("connectionId", connection.as_str())];
            let route = "/connections/{connectionId}";
            let told = self.visit(put.clone(), route, &one, body).await;
            assert_eq!(told["connection"]["suspended"], suspended);
        }
        let both = [
            ("enterpriseId", PARTNER),
            ("institutionIdentifier", INSTITUTION),
        ];
        let route =
            "/enterprises/{enterpriseId}/partnerConfigurations/{institutionIdentifier}/publicKey";
        let set = self
            .visit(put, route, &both, json!({"publicKey": PUBLIC_KEY}))
            .await;
        assert_eq!(set["partnerConfiguration"]["publicKey"], json!(PUBLIC_KEY));
        let removed = self.visit(Method::DELETE, route, &both, none).await;
        assert_eq!(removed["partnerConfiguration"].get("publicKey"), None);
    }

    /// From one operator alone to two together.
    async fn approvals(&mut self) {
        let (none, get, put) = (Value::Null, Method::GET, Method::PUT);
        let shown = self.visit(get.clone(), "/installation", &[], none.clone());
        assert_eq!(shown.await["installation"]["secondOperatorRequired"], false);
        let other = UserId(Uuid::new_v4());
        let role = Some(InstallationRole::Operator);
        let hand = self.world.network.installation();
        let made = hand.put_user(other, "other".to_owned(), role).await;
        made.expect("another operator");
        let on = json!({"secondOperatorRequired": true});
        let shown = self.visit(put, "/installation", &[], on).await;
        assert_eq!(shown["installation"]["secondOperatorRequired"], true);
        let hand = self.world.network.operator(other);
        let mut ids = Vec::new();
        for reference in ["approved", "rejected"] {
            let movement = network::Movement {
                go_account_id: self.world.client_account,
                currency: "ofcbtc".parse().expect("a ticker"),
                amount: ledger::Amount::new(1).expect("an amount"),
                external_reference: reference.to_owned(),
            };
            match hand.book_deposit(movement).await.expect("a proposal") {
                Undertaken::Proposed(proposal) => ids.push(proposal.id.to_string()),
                done @ Undertaken::Done { .. } => panic!("{done:?}"),
            }
        }
        for (id, verb, status) in [
            (&ids[0], "approve", "approved"),
            (&ids[1], "reject", "rejected"),
        ] {
            let one = [("proposalId", id.as_str())];
            let route = format!("/proposals/{{proposalId}}/{verb}");
            let notes = json!({"notes": "so"});
            let decided = self.visit(Method::POST, &route, &one, notes).await;
            assert_eq!(decided["proposal"]["status"], status);
            let shown = self.visit(get.clone(), "/proposals/{proposalId}", &one, none.clone());
            assert_eq!(shown.await, decided);
        }
        let listed = self.visit(get, "/proposals", &[], none).await;
        assert_eq!(listed["proposals"].as_array().map(Vec::len), Some(2));
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Whether a list has an entry with these members.
fn holds(list: &Value, wanted: &Value) -> bool {
    let wanted = wanted.as_object().expect("members");
    let fits = |entry: &Value| wanted.iter().all(|(name, value)| entry[name] == *value);
    list.as_array().expect("a list").iter().any(fits)
}

/// Visits every route but those about disputes, which `examples::disputes` visits. What was made is
/// listed.
pub(crate) async fn every_route(world: &World) -> Vec<Said> {
    let mut tour = Walk::of(world);
    let none = Value::Null;
    let (get, put) = (Method::GET, Method::PUT);
    let (post, delete) = (Method::POST, Method::DELETE);

    let enterprise = [("enterpriseId", "northgate")];
    let wanted = json!({"name": "Northgate", "trustOrg": "Meridian", "licensed": true});
    let route = "/enterprises/{enterpriseId}";
    let made = tour.visit(put.clone(), route, &enterprise, wanted).await;
    assert_eq!(made["enterprise"]["trustOrg"], "Meridian");
    assert_eq!(made["enterprise"].get("goAccountId"), None);

    let wanted = json!({"backing": "sol", "decimals": 9, "custodySource": "cold"});
    let ticker = [("ticker", "ofcsol")];
    let route = "/currencies/{ticker}";
    let made = tour.visit(put.clone(), route, &ticker, wanted).await;
    assert_eq!(made["currency"]["decimals"], 9);
    let listed = tour
        .visit(get.clone(), "/currencies", &[], none.clone())
        .await;
    assert!(holds(
        &listed["currencies"],
        &json!({"ticker": "ofcsol", "custodySource": "cold"})
    ));
    let listed = tour.visit(get.clone(), "/acts", &[], none.clone()).await;
    assert_eq!(
        listed["acts"][0]["userId"],
        json!(world.operator.to_string())
    );

    let account = fresh_id();
    let both = [
        ("enterpriseId", "northgate"),
        ("goAccountId", account.as_str()),
    ];
    let route = "/enterprises/{enterpriseId}/goAccounts/{goAccountId}";
    let made = tour
        .visit(put.clone(), route, &both, json!({"label": "trading"}))
        .await;
    assert_eq!(made["goAccount"]["id"], json!(account));
    let listed = tour
        .visit(get.clone(), "/goAccounts", &[], none.clone())
        .await;
    assert!(holds(
        &listed["goAccounts"],
        &json!({"id": account, "enterpriseId": "northgate"})
    ));
    let listed = tour
        .visit(get.clone(), "/enterprises", &[], none.clone())
        .await;
    let first = json!({"id": "northgate", "goAccountId": account});
    assert!(holds(&listed["enterprises"], &first), "{listed}");

    let of_account = [("goAccountId", account.as_str())];
    let key = json!({"publicKey": extended_key(7).xpub(), "label": "laptop"});
    let keys = "/goAccounts/{goAccountId}/keys";
    let added = tour.visit(post.clone(), keys, &of_account, key).await;
    let hex = extended_key(7).key.public_key().to_hex();
    assert_eq!(added["key"]["publicKey"], json!(hex));
    let key_id = text(&added["key"]["id"]);
    let one = [("keyId", key_id.as_str())];
    let revoked = tour
        .visit(delete.clone(), "/keys/{keyId}", &one, none.clone())
        .await;
    assert!(revoked["key"]["revokedAt"].is_string());
    let listed = tour
        .visit(get.clone(), keys, &of_account, none.clone())
        .await;
    assert_eq!(listed["keys"], json!([revoked["key"]]));

    let user = fresh_id();
    let of_user = [("userId", user.as_str())];
    let wanted = json!({"name": "Ann", "role": "auditor"});
    let made = tour
        .visit(put.clone(), "/users/{userId}", &of_user, wanted)
        .await;
    assert_eq!(made["user"]["role"], "auditor");
    let listed = tour.visit(get.clone(), "/users", &[], none.clone()).await;
    assert!(holds(&listed["users"], &json!({"id": user, "name": "Ann"})));

    let place = [("enterpriseId", "northgate"), ("userId", user.as_str())];
    let members = "/enterprises/{enterpriseId}/members";
    let route = "/enterprises/{enterpriseId}/members/{userId}";
    let made = tour
        .visit(put.clone(), route, &place, json!({"role": "member"}))
        .await;
    assert_eq!(made["member"]["role"], "member");
    let listed = tour
        .visit(get.clone(), members, &enterprise, none.clone())
        .await;
    assert!(holds(
        &listed["members"],
        &json!({"userId": user, "role": "member"})
    ));
    let removed = tour
        .visit(delete.clone(), route, &place, none.clone())
        .await;
    assert_eq!(removed["member"].get("role"), None);
    let listed = tour
        .visit(get.clone(), members, &enterprise, none.clone())
        .await;
    assert_eq!(listed["members"], json!([]));

    let wanted = json!({"label": "bot", "scopes": ["installation"]});
    let tokens = "/users/{userId}/tokens";
    let issued = tour.visit(post.clone(), tokens, &of_user, wanted).await;
    assert_eq!(issued["accessToken"]["kind"], "plain");
    let token_id = text(&issued["accessToken"]["id"]);
    let one = [("tokenId", token_id.as_str())];
    let listed = tour.visit(get.clone(), "/tokens", &[], none.clone()).await;
    let shown = json!({"id": token_id, "userId": user, "scopes": ["installation"]});
    assert!(holds(&listed["accessTokens"], &shown));
    let revoked = tour
        .visit(delete, "/tokens/{tokenId}", &one, none.clone())
        .await;
    assert!(revoked["accessToken"]["revokedAt"].is_string());

    let terms = json!({
        "baseUrl": "https://quay.example",
        "currencies": [{"ticker": "ofcsol", "partnerNames": ["SOL"]}],
    });
    let place = [
        ("enterpriseId", "northgate"),
        ("institutionIdentifier", "quay"),
    ];
    let route = "/enterprises/{enterpriseId}/partnerConfigurations/{institutionIdentifier}";
    let made = tour.visit(put.clone(), route, &place, terms).await;
    assert_eq!(made["partnerConfiguration"]["version"], 1);
    let listed = tour
        .visit(get.clone(), "/partnerConfigurations", &[], none.clone())
        .await;
    let quay = json!({"institutionIdentifier": "quay", "version": 1});
    assert!(holds(&listed["partnerConfigurations"], &quay));

    let listed = tour
        .visit(get.clone(), "/partners", &[], none.clone())
        .await;
    let harbour = json!({
        "id": world.partner_id.to_string(),
        "enterpriseId": PARTNER,
        "institutionIdentifier": INSTITUTION,
        "active": true,
        "stable": false,
    });
    assert!(holds(&listed["partners"], &harbour), "{listed}");
    let partner_id = world.partner_id.to_string();
    let one = [("partnerId", partner_id.as_str())];
    let updated = tour
        .visit(put, "/partners/{partnerId}", &one, json!({"stable": true}))
        .await;
    assert_eq!(updated["partner"]["stable"], true);
    assert_eq!(updated["partner"]["active"], true);

    let movement = |reference: &str, amount: &str| {
        json!({
            "goAccountId": account,
            "currency": "ofcsol",
            "amount": amount,
            "externalReference": reference,
        })
    };
    let wanted = movement("in-1", "900");
    let booked = tour.visit(post.clone(), "/deposits", &[], wanted).await;
    assert_eq!(booked["deposit"]["custodySource"], "cold");
    let listed = tour
        .visit(get.clone(), "/deposits", &[], none.clone())
        .await;
    assert_eq!(
        listed["deposits"][0], booked["deposit"],
        "the newest comes first"
    );
    for (reference, ending) in [("out-1", "paid"), ("out-2", "cancelled")] {
        let wanted = movement(reference, "100");
        let asked = tour.visit(post.clone(), "/withdrawals", &[], wanted).await;
        assert_eq!(asked["withdrawal"]["status"], "requested");
        let id = text(&asked["withdrawal"]["id"]);
        let one = [("withdrawalId", id.as_str())];
        let route = format!("/withdrawals/{{withdrawalId}}/{ending}");
        let ended = tour.visit(post.clone(), &route, &one, none.clone()).await;
        assert_eq!(ended["withdrawal"]["status"], ending);
        let listed = tour
            .visit(get.clone(), "/withdrawals", &[], none.clone())
            .await;
        assert_eq!(listed["withdrawals"][0], ended["withdrawal"]);
    }
    let route = "/goAccounts/{goAccountId}/balances";
    let left = tour
        .visit(get.clone(), route, &of_account, none.clone())
        .await;
    assert_eq!(
        left["balances"],
        json!({"ofcsol": {"available": "800", "held": "0"}})
    );

    let (connection, _) = world.connect().await;
    let always = json!([{"call": "allocate", "times": 1000, "action": "error500"}]);
    world.script_faults(always).await;
    let stuck = world
        .client
        .allocate(connection, request("ofcbtc", 5, "stuck"))
        .await;
    assert!(stuck.is_err());
    let listed = tour.visit(get.clone(), "/holds", &[], none.clone()).await;
    assert_eq!(listed["holds"][0]["clientExternalId"], "stuck");
    let id = text(&listed["holds"][0]["id"]);
    let one = [("allocationId", id.as_str())];
    let route = "/holds/{allocationId}/ask";
    let asked = tour.visit(post.clone(), route, &one, none.clone()).await;
    assert_eq!(asked["hold"]["status"], "reserved");
    let route = "/holds/{allocationId}/release";
    let released = tour
        .visit(post.clone(), route, &one, json!({"reason": "given up"}))
        .await;
    assert_eq!(released["hold"]["status"], "released");

    visit_on_chain(&mut tour, connection).await;

    let clock = tour.visit(get.clone(), "/clock", &[], none.clone()).await;
    assert_eq!(clock["clock"]["aheadMicroseconds"], 0);
    let seconds = json!({"seconds": 1});
    let clock = tour.visit(post, "/clock/advance", &[], seconds).await;
    assert_eq!(clock["clock"]["aheadMicroseconds"], 1_000_000);

    tour.suspensions(connection).await;
    tour.approvals().await;
    tour.said
}

/// The routes about settlement over the chain.
async fn visit_on_chain(tour: &mut Walk<'_>, connection: Uuid) {
    use crate::on_chain::{announced, started};
    let world = tour.world;
    let (get, post, none) = (Method::GET, Method::POST, Value::Null);
    world.script_faults(json!([])).await;
    crate::settling::allocate(&world.client, connection, "ofcbtc", 9).await;
    let amounts = json!({connection.to_string(): {"BTC": "-2", "ETH": "3"}});
    let mut ids = Vec::new();
    for name in ["chain-1", "chain-2", "chain-3"] {
        ids.push(started(world, name, &amounts).await.to_string());
    }
    let (deposits, unposted) = announced(world, "chain-4", &[("ETH", "t1")]).await;
    let listed = tour
        .visit(get.clone(), "/onChainSettlements", &[], none.clone())
        .await;
    assert_eq!(listed["settlements"].as_array().map(Vec::len), Some(3));
    let listed = tour
        .visit(get.clone(), "/onChainDeposits", &[], none.clone())
        .await;
    assert_eq!(listed["deposits"][0]["id"], json!(deposits[0]));
    let route = "/onChainDeposits/{depositId}/seen";
    let one = [("depositId", deposits[0].as_str())];
    let body = json!({"amount": "3", "transferId": "custody-1"});
    let seen = tour.visit(post.clone(), route, &one, body).await;
    assert_eq!(seen["deposit"]["amount"], "3");
    let of = |id| [("settlementId", id), ("currency", "ofceth")];
    let route = "/onChainSettlements/{settlementId}/gains/{currency}/returned";
    let back = tour
        .visit(post.clone(), route, &of(&unposted), none.clone())
        .await;
    assert_eq!(back["amount"], "3");
    let reason = json!({"reason": "given up"});
    let route = "/onChainSettlements/{settlementId}/gains/{currency}/failed";
    tour.visit(post.clone(), route, &of(&ids[0]), reason.clone())
        .await;
    let of = |id| [("settlementId", id), ("currency", "ofcbtc")];
    let route = "/onChainSettlements/{settlementId}/losses/{currency}/started";
    tour.visit(post.clone(), route, &of(&ids[0]), json!({}))
        .await;
    let route = "/onChainSettlements/{settlementId}/losses/{currency}/seen";
    let body = json!({"onChainTxId": "b1"});
    tour.visit(post.clone(), route, &of(&ids[0]), body).await;
    let route = "/onChainSettlements/{settlementId}/losses/{currency}/failed";
    tour.visit(post.clone(), route, &of(&ids[1]), reason.clone())
        .await;
    let route = "/onChainSettlements/{settlementId}/reject";
    let one = [("settlementId", ids[2].as_str())];
    tour.visit(post, route, &one, reason).await;
    let route = "/onChainSettlements/{settlementId}";
    let read = tour.visit(get, route, &one, none).await;
    assert_eq!(read["settlement"]["status"], "rejected");
}

/// Every list has its parts; those that are short by nature have one part only.
#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages_and_can_be_narrowed() {
    on_each_database(Options::default(), async |world| {
        for (list, member) in [
            ("/enterprises", "enterprises"),
            ("/goAccounts", "goAccounts"),
            ("/users", "users"),
            ("/tokens", "accessTokens"),
            ("/deposits", "deposits"),
            ("/acts", "acts"),
        ] {
            let part = async |query: &str| {
                let path = format!("{list}?{query}");
                let mut answer = done(world, Method::GET, &path, Value::Null).await;
                let listed = answer[member].as_array_mut().expect(member);
                for record in listed.iter_mut().filter_map(Value::as_object_mut) {
                    // Noted a moment after a token was used, in the middle of this test too.
                    record.remove("lastUsedAt");
                }
                listed.clone()
            };
            let all = part("pageSize=500").await;
            let pages = [
                part("pageSize=1").await,
                part("pageSize=1&pageNumber=1").await,
            ];
            assert_eq!(pages.concat(), all[..2], "{list}");
            assert!(part("pageSize=500&pageNumber=1").await.is_empty(), "{list}");
        }

        let account = world.client_account.to_string();
        let path = format!("/deposits?goAccountId={account}");
        let listed = done(world, Method::GET, &path, Value::Null).await;
        let listed = listed["deposits"].as_array().expect("deposits");
        assert_eq!(listed.len(), 3);
        assert!(
            listed
                .iter()
                .all(|deposit| deposit["goAccountId"] == json!(account))
        );
        let path = format!("/goAccounts?enterpriseId={PARTNER}");
        let listed = done(world, Method::GET, &path, Value::Null).await;
        let own = world.partner_account.to_string();
        assert_eq!(listed["goAccounts"][0]["id"], json!(own));
        assert_eq!(listed["goAccounts"][1], Value::Null);
        let path = format!("/tokens?userId={}", world.operator);
        let listed = done(world, Method::GET, &path, Value::Null).await;
        assert_eq!(listed["accessTokens"].as_array().map(Vec::len), Some(1));
    })
    .await;
}
