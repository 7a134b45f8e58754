//! Who may do what to the installation (decisions §4, §7).

use network::TokenKind;
use reqwest::Method;
use rules::{
    UserId,
    approve::Undertaken,
    record::{InstallationRole, Scope},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{acts, fresh_id, with};
use crate::fixture::{
    CLIENT, INSTITUTION, Options, World, issue_token, new_token, on_each_database,
};

/// Something that is proposed: there has to be another operator.
async fn proposal(world: &World) -> rules::ProposalId {
    let hand = world.network.operator(world.operator);
    let set = hand.set_approval_policy(Some(true), None).await;
    set.expect("a policy");
    let movement = network::Movement {
        go_account_id: world.client_account,
        currency: "ofcbtc".parse().expect("a ticker"),
        amount: ledger::Amount::new(1).expect("an amount"),
        external_reference: "proposed".to_owned(),
    };
    match hand.book_deposit(movement).await.expect("a proposal") {
        Undertaken::Proposed(proposal) => proposal.id,
        done @ Undertaken::Done { .. } => panic!("{done:?}"),
    }
}

/// Every operation, with something in the places of its variables that exists where it can.
async fn operations(world: &World) -> Vec<(Method, String)> {
    let proposal = proposal(world).await.to_string();
    let (_, _, document) = world.raw(Method::GET, "/openapi.json", None, None).await;
    let mut found = Vec::new();
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let Some(route) = path.strip_prefix("/api/operator/v1") else {
            continue;
        };
        let path = route
            .replace("{enterpriseId}", CLIENT)
            .replace("{goAccountId}", &world.client_account.to_string())
            .replace("{userId}", &world.operator.to_string())
            .replace("{ticker}", "ofcbtc")
            .replace("{institutionIdentifier}", INSTITUTION)
            .replace("{partnerId}", &world.partner_id.to_string())
            .replace("{keyId}", &fresh_id())
            .replace("{tokenId}", &Uuid::new_v4().to_string())
            .replace("{withdrawalId}", &Uuid::new_v4().to_string())
            .replace("{depositId}", &Uuid::new_v4().to_string())
            .replace("{settlementId}", &Uuid::new_v4().to_string())
            .replace("{closureId}", &Uuid::new_v4().to_string())
            .replace("{disputeId}", &Uuid::new_v4().to_string())
            .replace("{currency}", "ofcbtc")
            .replace("{proposalId}", &proposal)
            .replace("{clientId}", &Uuid::new_v4().to_string())
            .replace("{connectionId}", &Uuid::new_v4().to_string())
            .replace("{allocationId}", &Uuid::new_v4().to_string());
        assert!(!path.contains('{'), "{path}");
        for method in operations.as_object().expect("operations").keys() {
            let method = method.to_uppercase().parse().expect("a method");
            found.push((method, path.clone()));
        }
    }
    assert!(found.len() > 25, "{}", found.len());
    found
}

async fn user_with(world: &World, role: Option<InstallationRole>) -> UserId {
    let user = UserId(Uuid::new_v4());
    let hand = world.network.installation();
    let made = hand.put_user(user, "somebody".to_owned(), role).await;
    made.expect("a user");
    user
}

/// A refusal comes before the body is looked at: these bodies are no good.
#[tokio::test(flavor = "multi_thread")]
async fn only_operators_change_and_only_they_and_auditors_read() {
    on_each_database(Options::default(), async |world| {
        let network = &world.network;
        let nobody = user_with(world, None).await;
        let auditor = user_with(world, Some(InstallationRole::Auditor)).await;
        let operator = user_with(world, Some(InstallationRole::Operator)).await;
        let every = [Scope::Installation, Scope::Read, Scope::Write];
        let nobodys = issue_token(network, nobody, &every).await;
        let auditors = issue_token(network, auditor, &[Scope::Installation]).await;
        let scopeless = issue_token(network, operator, &[Scope::Read, Scope::Write]).await;
        let unknown = format!("tlk_{}", "0".repeat(56));

        let operations = operations(world).await;
        let before = acts(world).await;
        for (method, path) in operations {
            let body = match method {
                Method::GET => Value::Null,
                _ => json!({"no": "good"}),
            };
            let refusals = [
                ("no token", None, 401, "missing_token"),
                ("an unknown token", Some(&unknown), 401, "invalid_token"),
                (
                    "a member's token",
                    Some(&world.client_token),
                    403,
                    "scope_missing",
                ),
                (
                    "an operator's token without the scope",
                    Some(&scopeless),
                    403,
                    "scope_missing",
                ),
                (
                    "the scope without a role",
                    Some(&nobodys),
                    403,
                    "operator_only",
                ),
            ];
            for (who, token, status, name) in refusals {
                let token = token.map(String::as_str);
                let (heard, _, answer) = with(world, token, method.clone(), &path, &body).await;
                assert_eq!(heard, status, "{who}: {method} {path}: {answer}");
                assert_eq!(answer["name"], name, "{who}: {method} {path}: {answer}");
            }
            let (status, _, answer) =
                with(world, Some(&auditors), method.clone(), &path, &body).await;
            match method {
                // Behind the gate some of what is named does not exist.
                Method::GET => assert!(matches!(status, 200 | 404), "{path}: {answer}"),
                _ => {
                    assert_eq!(status, 403, "{method} {path}: {answer}");
                    assert_eq!(answer["name"], "operator_only");
                }
            }
        }
        assert_eq!(acts(world).await, before, "nobody did anything");
    })
    .await;
}

/// The role is the user's: whoever loses it loses it with every token, at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_taken_away_counts_no_more_at_once() {
    on_each_database(Options::default(), async |world| {
        let user = user_with(world, None).await;
        let token = issue_token(&world.network, user, &[Scope::Installation]).await;
        let path = format!("/users/{user}");
        let status = async |method: Method, path: &str, body: &Value| {
            with(world, Some(&token), method, path, body).await.0
        };
        let wanted = json!({"backing": "btc", "decimals": 8, "custodySource": "vault"});
        let currency = "/currencies/ofcbtc";
        for (role, reads, writes) in [
            (json!("operator"), 200, 200),
            (json!("auditor"), 200, 403),
            (json!("operator"), 200, 200),
            (Value::Null, 403, 403),
        ] {
            super::put(world, &path, json!({"name": "Ann", "role": role})).await;
            let read = status(Method::GET, "/users", &Value::Null).await;
            let written = status(Method::PUT, currency, &wanted).await;
            assert_eq!((read, written), (reads, writes), "{role}");
        }
    })
    .await;
}

/// An installation's token opens nothing of an enterprise: its user is no member there.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_no_member_of_enterprises() {
    on_each_database(Options::default(), async |world| {
        let all = network::NewToken {
            scopes: vec![Scope::Installation, Scope::Read, Scope::Write],
            ..new_token(world.operator, TokenKind::Plain)
        };
        let token = world.issue(all).await.token;
        let status = super::reads_balances(world, CLIENT, &token).await;
        assert_eq!(status, 401);
    })
    .await;
}

/// What operators did is told with who did it, and holds nothing that opens anything.
#[tokio::test(flavor = "multi_thread")]
async fn acts_say_who_did_what_and_hold_no_secrets() {
    on_each_database(Options::default(), async |world| {
        let second = user_with(world, Some(InstallationRole::Operator)).await;
        let token = issue_token(&world.network, second, &[Scope::Installation]).await;
        let body = json!({"name": "Eastgate", "trustOrg": "Meridian", "licensed": true});
        let path = "/enterprises/eastgate";
        let (status, ..) = with(world, Some(&token), Method::PUT, path, &body).await;
        assert_eq!(status, 200);
        let (_, secret) = super::issue(world, &second.to_string(), super::both_scopes()).await;
        let mut v2x = super::both_scopes();
        v2x["kind"] = "v2x".into();
        let (_, signing_secret) = super::issue(world, &second.to_string(), v2x).await;
        let (_, _) = world.connect().await;

        let acts = acts(world).await;
        let put = acts
            .iter()
            .find(|act| act["subject"] == "eastgate")
            .expect("the act");
        assert_eq!(put["act"], "put_enterprise");
        assert_eq!(put["userId"], json!(second.to_string()));
        assert!(put["at"].is_string() && put["id"].is_string());
        let detail = put["detail"].as_str().expect("a detail");
        assert!(
            detail.contains("Eastgate") && detail.contains("licensed"),
            "{detail}"
        );
        let issued = acts.iter().filter(|act| act["act"] == "issue_token");
        let by_operator = issued.filter(|act| act["userId"] == json!(world.operator.to_string()));
        assert_eq!(by_operator.count(), 2);
        // What the installation did itself has nobody who did it.
        assert!(acts.iter().any(|act| act.get("userId").is_none()));

        let told = serde_json::to_string(&acts).expect("JSON").to_lowercase();
        for secret in [
            &secret,
            &signing_secret,
            &world.operator_token,
            &world.client_token,
            &token,
        ] {
            let hash = hex::encode(wire::request_hmac::token_hash(secret));
            assert!(!told.contains(secret.as_str()), "a token is told");
            assert!(!told.contains(&hash), "the hash of a token is told");
        }
        assert!(!told.contains("sealed"), "{told}");
    })
    .await;
}
