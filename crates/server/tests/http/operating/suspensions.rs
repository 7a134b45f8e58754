//! Clients and connections that the operator suspends, and the public keys of partners.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{
    api::connections::NewConnection, connection_key::ConnectionKey, partner_jwt::JwtSigner,
};

use super::{acts, delete, get, put, refused, until};
use crate::fixture::{
    CLIENT, INSTITUTION, Options, PARTNER, World, jwt_pem, on_each_database, request,
};

/// What the client is told when it allocates.
async fn allocate(world: &World, connection: Uuid, id: &str) -> Result<(), (u16, String)> {
    let asked = request("ofcbtc", 10, id);
    let told = world.client.allocate(connection, asked).await;
    told.map(drop).map_err(|error| {
        let refusal = error.refusal().expect("an answer");
        (refusal.status, refusal.name.clone().unwrap_or_default())
    })
}

/// Gives something back, once the exchange has been told that it has it.
async fn deallocate(world: &World, connection: Uuid, id: &str) {
    until(async || {
        // What the exchange refuses is released for good: another try needs another id.
        let asked = request("ofcbtc", 3, &format!("{id} {}", Uuid::new_v4()));
        world.client.deallocate(connection, asked).await.ok()
    })
    .await;
}

/// What the client is told when it opens a connection.
async fn open(world: &World) -> Result<(), (u16, String)> {
    let (_, connection_token) = world.exchange_account().await;
    let new = NewConnection {
        partner_id: world.partner_id,
        name: "another".to_owned(),
        connection_key: ConnectionKey::Token { connection_token },
        nonce: client::fresh_nonce(),
    };
    let told = world.client.connect(new).await;
    told.map(drop).map_err(|error| {
        let refusal = error.refusal().expect("an answer");
        (refusal.status, refusal.name.clone().unwrap_or_default())
    })
}

fn refusal(name: &str) -> Result<(), (u16, String)> {
    Err((422, name.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_suspended_takes_nothing_new_and_gives_everything_back() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        allocate(world, connection, "a-1").await.expect("active");
        let clients = get(world, "/clients").await;
        let client = clients["clients"]
            .as_array()
            .expect("clients")
            .iter()
            .find(|one| one["enterpriseId"] == CLIENT)
            .expect("the client");
        assert_eq!(client.get("suspendedAt"), None);
        let client = format!("/clients/{}", client["id"].as_str().expect("an id"));
        let own = format!("/connections/{connection}");
        let suspend = json!({"suspended": true});
        let reactivate = json!({"suspended": false});

        let suspended = put(world, &client, suspend.clone()).await;
        assert!(suspended["client"]["suspendedAt"].is_string());
        let again = put(world, &client, suspend.clone()).await;
        assert_eq!(again, suspended);
        assert_eq!(
            allocate(world, connection, "a-2").await,
            refusal("client_suspended")
        );
        assert_eq!(open(world).await, refusal("client_suspended"));
        deallocate(world, connection, "d-1").await;
        put(world, &client, reactivate.clone()).await;
        allocate(world, connection, "a-3")
            .await
            .expect("reactivated");
        open(world).await.expect("reactivated");

        // A connection: its client cannot activate it, and only says how it is afterwards.
        let shown = put(world, &own, suspend.clone()).await;
        assert_eq!(shown["connection"]["suspended"], true);
        assert_eq!(shown["connection"]["active"], false);
        assert_eq!(
            allocate(world, connection, "a-4").await,
            refusal("connection_suspended")
        );
        let path = format!("/api/network/v1/enterprises/{CLIENT}/clients/connections/{connection}");
        let as_client = async |body: &str| {
            let token = Some(world.client_token.as_str());
            let (status, _, answer) = world.raw(Method::PUT, &path, token, Some(body)).await;
            (status, answer)
        };
        let (status, answer) = as_client(r#"{"active":true}"#).await;
        assert_eq!(
            (status, &answer["name"]),
            (422, &json!("connection_suspended"))
        );
        let (status, answer) = as_client(r#"{"name":"renamed"}"#).await;
        assert_eq!(
            (status, &answer["connection"]["active"]),
            (200, &json!(false))
        );
        deallocate(world, connection, "d-2").await;
        let shown = put(world, &own, reactivate.clone()).await;
        assert_eq!(shown["connection"]["active"], true);
        allocate(world, connection, "a-5")
            .await
            .expect("reactivated");

        put(world, &own, suspend).await;
        let (status, _) = as_client(r#"{"active":false}"#).await;
        assert_eq!(status, 200);
        let shown = put(world, &own, reactivate).await;
        assert_eq!(shown["connection"]["active"], false);
        assert_eq!(
            allocate(world, connection, "a-6").await,
            refusal("connection_inactive")
        );
        let listed = get(world, "/connections").await;
        let listed = listed["connections"]
            .as_array()
            .expect("connections")
            .clone();
        assert!(listed.contains(&shown["connection"]));

        // Each change is an act, and what changed nothing is none.
        let all = acts(world).await;
        let of = |kind: &str| {
            let found: Vec<&Value> = all.iter().filter(|act| act["act"] == kind).collect();
            let detail = found[0]["detail"].as_str().expect("a detail");
            assert!(detail.starts_with("before: ") && detail.contains("\nafter: "));
            found.len()
        };
        assert_eq!((of("suspend_client"), of("reactivate_client")), (1, 1));
        assert_eq!(
            (of("suspend_connection"), of("reactivate_connection")),
            (2, 2)
        );

        let nobody = format!("/clients/{}", Uuid::new_v4());
        let (status, name, _) =
            refused(world, Method::PUT, &nobody, json!({"suspended": true})).await;
        assert_eq!((status, name.as_str()), (404, "client_not_found"));
        let (status, ..) = refused(world, Method::PUT, &own, json!({"suspended": "yes"})).await;
        assert_eq!(status, 400);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_s_public_key_is_set_replaced_and_removed_by_itself() {
    on_each_database(Options::default(), async |world| {
        let path = format!("/enterprises/{PARTNER}/partnerConfigurations/{INSTITUTION}/publicKey");
        let version = async || {
            let all = get(world, "/partnerConfigurations").await;
            all["partnerConfigurations"][0]["version"]
                .as_i64()
                .expect("a version")
        };
        let pem = JwtSigner::from_pem(jwt_pem())
            .expect("a key")
            .public_key_pem();
        let before = version().await;
        open(world)
            .await
            .expect("a connection, with its key as it is");
        let key = json!({"publicKey": pem});
        for _ in 0..2 {
            let set = put(world, &path, key.clone()).await;
            assert_eq!(set["partnerConfiguration"]["publicKey"], json!(pem));
            assert_eq!(version().await, before + 1);
        }
        until(async || (open(world).await == refusal("connection_key_not_sealed")).then_some(()))
            .await;
        for _ in 0..2 {
            let removed = delete(world, &path).await;
            assert_eq!(removed["partnerConfiguration"].get("publicKey"), None);
            assert_eq!(version().await, before + 2);
        }
        until(async || open(world).await.ok()).await;
        for wrong in ["", "no key"] {
            let body = json!({"publicKey": wrong});
            let (status, ..) = refused(world, Method::PUT, &path, body).await;
            assert_eq!(status, 400, "{wrong:?}");
        }
        let all = acts(world).await;
        let changes = all.iter().filter(|act| act["act"] == "set_partner_key");
        assert_eq!(changes.count(), 2);
    })
    .await;
}
