//! Saying the same twice changes nothing, and leaves no second act.

use reqwest::Method;
use serde_json::{Value, json};

use super::{acts, done, fresh_id, get, put};
use crate::fixture::{CLIENT, Options, PARTNER, extended_key, on_each_database};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_time_changes_nothing() {
    on_each_database(Options::default(), async |world| {
        let (user, account) = (fresh_id(), fresh_id());
        let client_account = world.client_account.to_string();
        let movement = json!({
            "goAccountId": client_account,
            "currency": "ofcbtc",
            "amount": "10",
            "externalReference": "once",
        });
        let configuration = json!({
            "baseUrl": "https://quay.example",
            "allowedNetworks": ["10.0.0.0/8"],
            "currencies": [{"ticker": "ofcbtc", "partnerNames": ["BTC"], "minimum": "1"}],
        });
        let member = format!("/enterprises/{CLIENT}/members/{user}");
        let (put, post, delete) = (Method::PUT, Method::POST, Method::DELETE);
        let enterprise = json!({"name": "E", "trustOrg": "T", "licensed": true});
        let unlicensed = json!({"name": "E", "trustOrg": "T", "licensed": false});
        let key = json!({"publicKey": extended_key(9).xpub(), "label": "laptop"});
        for (method, path, body) in [
            (&put, "/enterprises/e1".to_owned(), enterprise),
            (&put, "/enterprises/e1".to_owned(), unlicensed),
            (
                &put,
                format!("/enterprises/e1/goAccounts/{account}"),
                json!({"label": "main"}),
            ),
            (&post, format!("/goAccounts/{account}/keys"), key),
            (
                &put,
                format!("/users/{user}"),
                json!({"name": "Ann", "role": "auditor"}),
            ),
            (&put, format!("/users/{user}"), json!({"name": "Ann"})),
            (&put, member.clone(), json!({"role": "member"})),
            (&put, member.clone(), json!({"role": "admin"})),
            (&delete, member, Value::Null),
            (
                &put,
                "/currencies/ofcsol".to_owned(),
                json!({"backing": "sol", "decimals": 9, "custodySource": "vault"}),
            ),
            (
                &put,
                "/currencies/ofcsol".to_owned(),
                json!({"backing": "wsol", "decimals": 9, "custodySource": "vault"}),
            ),
            (
                &put,
                format!("/enterprises/{PARTNER}/partnerConfigurations/quay"),
                configuration,
            ),
            (
                &put,
                format!("/partners/{}", world.partner_id),
                json!({"active": false, "stable": true}),
            ),
            (&post, "/deposits".to_owned(), movement.clone()),
            (&post, "/withdrawals".to_owned(), movement),
        ] {
            let told = format!("{method} {path} {body}");
            let before = acts(world).await.len();
            let first = done(world, method.clone(), &path, body.clone()).await;
            let between = acts(world).await.len();
            let second = done(world, method.clone(), &path, body).await;
            assert_eq!(first, second, "{told}");
            assert_eq!(between, before + 1, "{told}: one act");
            assert_eq!(acts(world).await.len(), between, "{told}: no second act");
        }
    })
    .await;
}

/// What has ended, ended once.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_or_finished_stays_so() {
    on_each_database(Options::default(), async |world| {
        let account = world.client_account.to_string();
        let keys = get(world, &format!("/goAccounts/{account}/keys")).await;
        let key = keys["keys"][0]["id"].as_str().expect("a key").to_owned();
        let (token, _) =
            super::issue(world, &world.operator.to_string(), super::both_scopes()).await;
        let mut withdrawals = Vec::new();
        for reference in ["w-1", "w-2"] {
            let body = json!({
                "goAccountId": account,
                "currency": "ofcbtc",
                "amount": "10",
                "externalReference": reference,
            });
            let asked = super::post(world, "/withdrawals", body).await;
            withdrawals.push(
                asked["withdrawal"]["id"]
                    .as_str()
                    .expect("an id")
                    .to_owned(),
            );
        }
        for (method, path) in [
            (Method::DELETE, format!("/keys/{key}")),
            (Method::DELETE, format!("/tokens/{token}")),
            (
                Method::POST,
                format!("/withdrawals/{}/paid", withdrawals[0]),
            ),
            (
                Method::POST,
                format!("/withdrawals/{}/cancelled", withdrawals[1]),
            ),
        ] {
            let before = acts(world).await.len();
            let first = done(world, method.clone(), &path, Value::Null).await;
            assert_eq!(acts(world).await.len(), before + 1, "{path}");
            let second = done(world, method, &path, Value::Null).await;
            assert_eq!(first, second, "{path}");
            assert_eq!(acts(world).await.len(), before + 1, "{path}");
        }
    })
    .await;
}

/// Some things stay as they were made, because money has been counted by them.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_fixed_is_fixed() {
    on_each_database(Options::default(), async |world| {
        let before = acts(world).await.len();
        for (path, body, name) in [
            (
                "/currencies/ofcbtc".to_owned(),
                json!({"backing": "btc", "decimals": 9, "custodySource": "vault"}),
                "decimals_are_fixed",
            ),
            (
                "/currencies/ofcbtc".to_owned(),
                json!({"backing": "btc", "decimals": 8, "custodySource": "elsewhere"}),
                "custody_source_is_fixed",
            ),
            (
                format!("/enterprises/{CLIENT}"),
                json!({"name": "Northwind", "trustOrg": "Other", "licensed": true}),
                "trust_org_is_fixed",
            ),
        ] {
            let (status, told, answer) = super::refused(world, Method::PUT, &path, body).await;
            assert_eq!((status, told.as_str()), (422, name), "{answer}");
        }
        assert_eq!(acts(world).await.len(), before);

        let path = format!("/enterprises/{CLIENT}/goAccounts/{}", world.client_account);
        let met = put(world, &path, json!({"label": "renamed"})).await;
        assert_eq!(met["goAccount"]["label"], "trading");
        let changed = json!({"backing": "xbt", "decimals": 8, "custodySource": "vault"});
        let changed = put(world, "/currencies/ofcbtc", changed).await;
        assert_eq!(changed["currency"]["backing"], "xbt");
    })
    .await;
}
