//! What cannot be read is told, all of it at once.

use reqwest::Method;
use serde_json::{Value, json};

use super::{acts, refused};
use crate::fixture::{CLIENT, Options, PARTNER, blamed, on_each_database};

#[tokio::test(flavor = "multi_thread")]
async fn all_faults_of_a_request_are_named_at_once() {
    on_each_database(Options::default(), async |world| {
        let account = world.client_account.to_string();
        let user = world.operator.to_string();
        let nobody = "00000000-0000-4000-8000-000000000000";
        let configuration = format!("/enterprises/{PARTNER}/partnerConfigurations/other");
        let long = "x".repeat(513);
        let (put, post) = (Method::PUT, Method::POST);
        let bodies: Vec<(&Method, String, Value, &[&str])> = vec![
            (
                &put,
                "/enterprises/e1".into(),
                json!({}),
                &["licensed", "name", "trustOrg"],
            ),
            (
                &put,
                "/enterprises/e1".into(),
                json!({"name": "", "trustOrg": long, "licensed": "true"}),
                &["licensed", "name", "trustOrg"],
            ),
            (
                &put,
                "/currencies/ofcx".into(),
                json!({"backing": 7, "decimals": 31, "custodySource": null}),
                &["backing", "custodySource", "decimals"],
            ),
            (
                &put,
                "/currencies/ofcx".into(),
                json!({"backing": "x", "decimals": "8", "custodySource": "vault"}),
                &["decimals"],
            ),
            (
                &put,
                format!("/users/{user}"),
                json!({"role": "king"}),
                &["name", "role"],
            ),
            (
                &put,
                format!("/enterprises/{CLIENT}/members/{user}"),
                json!({"role": "owner"}),
                &["role"],
            ),
            (
                &put,
                format!("/enterprises/{CLIENT}/goAccounts/{account}"),
                json!({"label": []}),
                &["label"],
            ),
            (
                &post,
                format!("/goAccounts/{account}/keys"),
                json!({"publicKey": 1, "label": long}),
                &["label", "publicKey"],
            ),
            (
                &post,
                format!("/goAccounts/{account}/keys"),
                json!({"publicKey": "02aa", "label": "no point of the curve"}),
                &["publicKey"],
            ),
            (
                &post,
                format!("/users/{user}/tokens"),
                json!({
                    "kind": "bearer",
                    "scopes": ["settlement_network_read", "everything"],
                    "networks": [""],
                    "expiresAt": "tomorrow",
                }),
                &["expiresAt", "kind", "label", "networks[0]", "scopes[1]"],
            ),
            (
                &post,
                format!("/users/{user}/tokens"),
                json!({"label": "old", "scopes": [], "expiresAt": "2020-01-01T00:00:00Z"}),
                &["expiresAt"],
            ),
            (
                &post,
                format!("/users/{user}/tokens"),
                json!({"label": "bot", "scopes": [], "networks": ["10.0.0.1-9"]}),
                &["networks"],
            ),
            (
                &put,
                format!("/partners/{nobody}"),
                json!({"active": "yes", "stable": 1}),
                &["active", "stable"],
            ),
            (
                &post,
                format!("/holds/{nobody}/release"),
                json!({"reason": ""}),
                &["reason"],
            ),
            (
                &put,
                configuration.clone(),
                json!({}),
                &["baseUrl", "currencies"],
            ),
            (
                &put,
                configuration,
                json!({
                    "baseUrl": "https://h.example",
                    "callTimeoutMs": 99,
                    "allocations": "later",
                    "deallocations": 1,
                    "amountFormat": "roman",
                    "activation": "soon",
                    "onChain": "no",
                    "routes": {"connect": 7},
                    "releaseUnansweredAfterSeconds": 0,
                    "onChainLateAfterSeconds": "soon",
                    "currencies": [
                        {"ticker": "o f c", "partnerNames": ["BTC"], "minimum": "0"},
                        {"ticker": "ofceth", "partnerNames": "ETH", "minimum": "2", "maximum": "1"},
                    ],
                }),
                &[
                    "activation",
                    "allocations",
                    "amountFormat",
                    "callTimeoutMs",
                    "currencies[0].minimum",
                    "currencies[0].ticker",
                    "currencies[1].maximum",
                    "currencies[1].partnerNames",
                    "deallocations",
                    "onChain",
                    "onChainLateAfterSeconds",
                    "releaseUnansweredAfterSeconds",
                    "routes.connect",
                ],
            ),
        ];
        let before = acts(world).await;
        for (method, path, body, fields) in bodies {
            let told = format!("{path} {body}");
            let (status, name, answer) = refused(world, method.clone(), &path, body).await;
            assert_eq!(
                (status, name.as_str()),
                (400, "invalid_request"),
                "{told}: {answer}"
            );
            assert_eq!(blamed(&answer), fields, "{told}: {answer}");
        }

        for movements in ["/deposits", "/withdrawals"] {
            let all = ["amount", "currency", "externalReference", "goAccountId"];
            let (status, _, answer) = refused(world, post.clone(), movements, json!({})).await;
            assert_eq!((status, blamed(&answer)), (400, all.to_vec()));
            let digits = "9".repeat(39);
            for amount in ["0", "-1", "01", "1.5", "1e3", "", " 1", digits.as_str()] {
                let body = json!({
                    "goAccountId": account,
                    "currency": "ofcbtc",
                    "amount": amount,
                    "externalReference": "r",
                });
                let (status, _, answer) = refused(world, post.clone(), movements, body).await;
                assert_eq!(
                    (status, blamed(&answer)),
                    (400, vec!["amount"]),
                    "{amount:?}"
                );
            }
            let body = json!({
                "goAccountId": account,
                "currency": "ofcnone",
                "amount": "1",
                "externalReference": "r",
            });
            let (status, _, answer) = refused(world, post.clone(), movements, body).await;
            assert_eq!(
                (status, blamed(&answer)),
                (400, vec!["currency"]),
                "{answer}"
            );
        }
        assert_eq!(acts(world).await, before, "nothing was done");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_queries_are_read_as_strictly() {
    on_each_database(Options::default(), async |world| {
        let some = json!({"name": "n", "trustOrg": "t", "licensed": true, "label": "l"});
        let (get, put) = (Method::GET, Method::PUT);
        let (post, delete) = (Method::POST, Method::DELETE);
        for (method, path, field) in [
            (&put, "/enterprises/a%20b", "enterpriseId"),
            (&put, "/enterprises/e1/goAccounts/xyz", "goAccountId"),
            (&put, "/users/xyz", "userId"),
            (&put, "/currencies/a%20b", "ticker"),
            (
                &put,
                "/enterprises/e1/partnerConfigurations/a%00b",
                "institutionIdentifier",
            ),
            (&get, "/goAccounts/xyz/balances", "goAccountId"),
            (&get, "/goAccounts/xyz/keys", "goAccountId"),
            (&delete, "/keys/xyz", "keyId"),
            (&delete, "/tokens/xyz", "tokenId"),
            (&put, "/partners/xyz", "partnerId"),
            (&post, "/withdrawals/xyz/paid", "withdrawalId"),
            (&post, "/holds/xyz/ask", "allocationId"),
            (&get, "/deposits?goAccountId=xyz", "goAccountId"),
            (&get, "/withdrawals?goAccountId=xyz", "goAccountId"),
            (&get, "/tokens?userId=xyz", "userId"),
            (&get, "/goAccounts?enterpriseId=a%20b", "enterpriseId"),
            (&get, "/acts?pageSize=501", "pageSize"),
            (&get, "/acts?pageSize=0", "pageSize"),
            (&get, "/users?pageNumber=-1", "pageNumber"),
        ] {
            let body = match *method {
                Method::GET => Value::Null,
                _ => some.clone(),
            };
            let (status, _, answer) = refused(world, method.clone(), path, body).await;
            assert_eq!(
                (status, blamed(&answer)),
                (400, vec![field]),
                "{path}: {answer}"
            );
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_strict_json() {
    on_each_database(Options::default(), async |world| {
        let path = "/api/operator/v1/users/0123456789abcdef0123456789abcdef";
        for body in [
            r#"{"name": "Ann", "name": "Bob"}"#,
            r#"{"name": "Ann"} "#.repeat(2).as_str(),
            r#"["Ann"]"#,
            "",
        ] {
            let token = Some(world.operator_token.as_str());
            let (status, _, answer) = world.raw(Method::PUT, path, token, Some(body)).await;
            assert_eq!(status, 400, "{body:?}: {answer}");
            assert_eq!(answer["name"], "invalid_request");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_not_is_not_found() {
    on_each_database(Options::default(), async |world| {
        let account = world.client_account.to_string();
        let user = world.operator.to_string();
        let hex = "0123456789abcdef0123456789abcdef";
        let uuid = "01234567-89ab-4def-8123-456789abcdef";
        let key = crate::fixture::extended_key(9).xpub();
        let movement = json!({
            "goAccountId": hex,
            "currency": "ofcbtc",
            "amount": "1",
            "externalReference": "r",
        });
        let configuration = json!({"baseUrl": "https://h.example", "currencies": []});
        let role = json!({"role": "member"});
        let (get, put) = (Method::GET, Method::PUT);
        let (post, delete) = (Method::POST, Method::DELETE);
        let none = Value::Null;
        for (method, path, body) in [
            (
                &put,
                format!("/enterprises/nowhere/goAccounts/{hex}"),
                json!({"label": "l"}),
            ),
            (
                &get,
                "/enterprises/nowhere/members".to_owned(),
                none.clone(),
            ),
            (
                &put,
                format!("/enterprises/nowhere/members/{user}"),
                role.clone(),
            ),
            (&put, format!("/enterprises/{CLIENT}/members/{hex}"), role),
            (
                &delete,
                format!("/enterprises/{CLIENT}/members/{hex}"),
                none.clone(),
            ),
            (
                &put,
                "/enterprises/nowhere/partnerConfigurations/x".to_owned(),
                configuration,
            ),
            (&get, format!("/goAccounts/{hex}/balances"), none.clone()),
            (&get, format!("/goAccounts/{hex}/keys"), none.clone()),
            (
                &post,
                format!("/goAccounts/{hex}/keys"),
                json!({"publicKey": key, "label": "l"}),
            ),
            (&delete, format!("/keys/{hex}"), none.clone()),
            (
                &post,
                format!("/users/{hex}/tokens"),
                json!({"label": "l", "scopes": []}),
            ),
            (&delete, format!("/tokens/{uuid}"), none.clone()),
            (&put, format!("/partners/{uuid}"), json!({"active": false})),
            (&post, "/deposits".to_owned(), movement.clone()),
            (&post, "/withdrawals".to_owned(), movement),
            (&post, format!("/withdrawals/{uuid}/paid"), none.clone()),
            (
                &post,
                format!("/withdrawals/{uuid}/cancelled"),
                none.clone(),
            ),
            (&post, format!("/holds/{uuid}/ask"), none),
            (
                &post,
                format!("/holds/{uuid}/release"),
                json!({"reason": "r"}),
            ),
        ] {
            let (status, name, answer) = refused(world, method.clone(), &path, body).await;
            assert_eq!(status, 404, "{method} {path}: {answer}");
            assert!(name.ends_with("_not_found"), "{method} {path}: {answer}");
        }
        // An account belongs to one enterprise for good.
        let path = format!("/enterprises/{PARTNER}/goAccounts/{account}");
        let (status, name, _) = refused(world, put, &path, json!({"label": "l"})).await;
        assert_eq!((status, name.as_str()), (409, "go_account_taken"));
    })
    .await;
}
