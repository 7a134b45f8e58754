//! Enterprises, members, tokens and keys: what changes counts at once.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::{Value, json};
use wire::{request_hmac::token_hash, signature::ExtendedKey};

use super::{both_scopes, delete, fresh_id, get, issue, post, put, reads_balances, until};
use crate::fixture::{CLIENT, Options, PARTNER, extended_key, on_each_database, request};

/// Status and name of an allocation of one unit; 200 if it was accepted.
async fn allocates(client: &client::Client, connection: uuid::Uuid, id: &str) -> (u16, String) {
    match client.allocate(connection, request("ofcbtc", 1, id)).await {
        Ok(_) => (200, String::new()),
        Err(error) => {
            let refusal = error.refusal().expect("an answer");
            (refusal.status, refusal.name.clone().unwrap_or_default())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_licence_that_is_withdrawn_stops_allocations_at_once() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        let license = async |licensed: bool| {
            let body = json!({"name": "Northwind", "trustOrg": "Meridian", "licensed": licensed});
            put(world, &format!("/enterprises/{CLIENT}"), body).await;
        };
        let tried = async |id: &str| allocates(&world.client, connection, id).await;
        assert_eq!(tried("a-1").await.0, 200);
        license(false).await;
        assert_eq!(tried("a-2").await, (403, "no_oes_licence".to_owned()));
        let (status, ..) = world
            .raw(
                Method::GET,
                &format!("/api/network/v1/enterprises/{CLIENT}/clients/balances"),
                Some(&world.client_token),
                None,
            )
            .await;
        assert_eq!(status, 403);
        license(true).await;
        assert_eq!(tried("a-2").await.0, 200);
        assert_eq!(world.allocated(connection, "ofcbtc").await, (2, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_is_removed_is_out_at_once() {
    on_each_database(Options::default(), async |world| {
        let user = fresh_id();
        put(world, &format!("/users/{user}"), json!({"name": "Ann"})).await;
        let (_, token) = issue(world, &user, both_scopes()).await;
        let place = format!("/enterprises/{CLIENT}/members/{user}");

        assert_eq!(reads_balances(world, CLIENT, &token).await, 401);
        put(world, &place, json!({"role": "member"})).await;
        assert_eq!(reads_balances(world, CLIENT, &token).await, 200);
        assert_eq!(reads_balances(world, PARTNER, &token).await, 401);
        delete(world, &place).await;
        assert_eq!(reads_balances(world, CLIENT, &token).await, 401);
        put(world, &place, json!({"role": "admin"})).await;
        assert_eq!(reads_balances(world, CLIENT, &token).await, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_and_never_again() {
    on_each_database(Options::default(), async |world| {
        let user = fresh_id();
        put(world, &format!("/users/{user}"), json!({"name": "Ann"})).await;
        let place = format!("/enterprises/{CLIENT}/members/{user}");
        put(world, &place, json!({"role": "member"})).await;

        let mut secrets = Vec::new();
        for kind in ["plain", "v2x"] {
            let mut wanted = both_scopes();
            wanted["kind"] = kind.into();
            let (id, token) = issue(world, &user, wanted).await;
            assert_eq!(reads_balances(world, CLIENT, &token).await, 200);
            let is_v2x = token.len() == 67
                && token.starts_with("v2x")
                && token[3..]
                    .bytes()
                    .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            assert_eq!(is_v2x, kind == "v2x", "{kind}");
            // A plain one can be mistaken for no other kind.
            assert!(is_v2x || (!token.starts_with("v2x") && token.len() != 67));
            secrets.push((id, kind, token));
        }

        let listed = get(world, &format!("/tokens?userId={user}")).await;
        let shown = listed["accessTokens"].as_array().expect("tokens");
        assert_eq!(shown.len(), 2);
        let allowed = [
            "id",
            "userId",
            "label",
            "kind",
            "scopes",
            "networks",
            "expiresAt",
            "revokedAt",
            "lastUsedAt",
            "createdAt",
        ];
        for token in shown {
            let members = token.as_object().expect("members").keys();
            let strange: Vec<_> = members.filter(|m| !allowed.contains(&m.as_str())).collect();
            assert!(strange.is_empty(), "{strange:?}");
        }
        let told = listed.to_string();
        for (id, kind, token) in &secrets {
            let entry = shown.iter().find(|t| t["id"] == json!(id)).expect("listed");
            assert_eq!(entry["kind"], *kind);
            assert!(!told.contains(token.as_str()));
            assert!(!told.contains(&hex::encode(token_hash(token))));
        }

        // The use is noted beside the request, so it may take a moment.
        until(async || {
            let listed = get(world, &format!("/tokens?userId={user}")).await;
            let shown = listed["accessTokens"].as_array().expect("tokens");
            let all = shown.iter().all(|token| token["lastUsedAt"].is_string());
            all.then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_counts_where_and_as_long_as_it_was_said() {
    on_each_database(Options::default(), async |world| {
        let user = fresh_id();
        put(world, &format!("/users/{user}"), json!({"name": "Ann"})).await;
        let place = format!("/enterprises/{CLIENT}/members/{user}");
        put(world, &place, json!({"role": "member"})).await;
        let with = async |name: &str, value: Value| {
            let mut wanted = both_scopes();
            wanted[name] = value;
            issue(world, &user, wanted).await
        };
        let status = async |token: &str| reads_balances(world, CLIENT, token).await;

        for (networks, expected) in [
            (json!(["10.0.0.0/8"]), 401),
            (json!(["127.0.0.0/8"]), 200),
            (json!(["10.0.0.0/8", "127.0.0.1/32"]), 200),
            (json!([]), 200),
        ] {
            let (_, token) = with("networks", networks.clone()).await;
            assert_eq!(status(&token).await, expected, "{networks}");
        }

        let (id, token) = with("label", json!("to be revoked")).await;
        assert_eq!(status(&token).await, 200);
        delete(world, &format!("/tokens/{id}")).await;
        assert_eq!(status(&token).await, 401);

        let (_, reader) = with("scopes", json!(["settlement_network_read"])).await;
        assert_eq!(status(&reader).await, 200);
        let path = format!("/api/network/v1/enterprises/{CLIENT}/clients");
        let (written, _, answer) = world.raw(Method::POST, &path, Some(&reader), None).await;
        assert_eq!((written, &answer["name"]), (403, &json!("scope_missing")));

        let at = world.clock.now().0 / 1_000_000 + 3_600;
        let at = jiff::Timestamp::from_second(at)
            .expect("a time")
            .to_string();
        let (_, token) = with("expiresAt", json!(at)).await;
        assert_eq!(status(&token).await, 200);
        world.clock.advance(Duration::from_secs(3_601));
        let path = format!("/api/network/v1/enterprises/{CLIENT}/clients/balances");
        let (status, headers, answer) = world.raw(Method::GET, &path, Some(&token), None).await;
        assert_eq!((status, &answer["name"]), (401, &json!("token_expired")));
        assert_eq!(headers["x-auth-required"], "true");
    })
    .await;
}

/// The key as key services publish it: DER of the curve and the compressed point, in base64.
fn spki(key: &ExtendedKey) -> String {
    let curve = "3036301006072a8648ce3d020106052b8104000a032200";
    let der = format!("{curve}{}", key.key.public_key().to_hex());
    STANDARD.encode(hex::decode(der).expect("hexadecimal digits"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_signs_whichever_way_it_was_given_until_it_is_revoked() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        let keys = format!("/goAccounts/{}/keys", world.client_account);
        type Written = fn(&ExtendedKey) -> String;
        let forms: [(u8, &str, Written); 3] = [
            (31, "xpub", ExtendedKey::xpub),
            (32, "hex", |key| key.key.public_key().to_hex()),
            (33, "SPKI", spki),
        ];
        for (seed, form, given) in forms {
            let key = extended_key(seed);
            let hex = key.key.public_key().to_hex();
            let given = given(&key);
            let client = world
                .client
                .clone()
                .with_signing_key(extended_key(seed).key);
            let tried =
                async |id: &str| allocates(&client, connection, &format!("{form}-{id}")).await;
            let add = async |given: &str| {
                let added = post(world, &keys, json!({"publicKey": given, "label": form})).await;
                added["key"].clone()
            };
            assert_eq!(tried("1").await.0, 401, "{form}: not yet added");

            let added = add(&given).await;
            assert_eq!(added["publicKey"], json!(hex), "{form}");
            assert_eq!(added["givenAs"], json!(given), "{form}");
            assert_eq!(tried("1").await.0, 200, "{form}");
            // The same key, however it is written, is met and not added again.
            for same in [key.xpub(), hex.clone(), spki(&key)] {
                assert_eq!(add(&same).await["id"], added["id"], "{form}");
            }

            let id = added["id"].as_str().expect("an id");
            let revoked = delete(world, &format!("/keys/{id}")).await;
            assert!(revoked["key"]["revokedAt"].is_string());
            assert_eq!(tried("2").await.0, 401, "{form}: revoked");

            let again = add(&given).await;
            assert_ne!(again["id"], added["id"], "{form}");
            assert_eq!(tried("2").await.0, 200, "{form}: added again");
        }
        assert_eq!(world.allocated(connection, "ofcbtc").await, (6, 0));
        // A key of another account does not sign for this one.
        let strange = world
            .client
            .clone()
            .with_shared_signing_key(world.partner_key.clone());
        assert_eq!(allocates(&strange, connection, "x").await.0, 401);
    })
    .await;
}
