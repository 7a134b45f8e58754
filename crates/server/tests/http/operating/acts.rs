//! What operators did, as it is told: by kind, subject, user and time, with the commits that cover
//! it.

use reqwest::Method;
use rules::{
    UserId,
    record::{InstallationRole, Scope},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{acts, get, post, put, refused, with};
use crate::fixture::{Options, issue_token, on_each_database};

#[tokio::test(flavor = "multi_thread")]
async fn acts_are_found_by_what_is_known_of_them() {
    on_each_database(Options::default(), async |world| {
        let wanted = |licensed| json!({"name": "E", "trustOrg": "Meridian", "licensed": licensed});
        put(world, "/enterprises/eastgate", wanted(false)).await;
        put(world, "/enterprises/eastgate", wanted(true)).await;
        // Saying the same again is no act.
        put(world, "/enterprises/eastgate", wanted(true)).await;
        let deposit = json!({
            "goAccountId": world.client_account.to_string(),
            "currency": "ofcbtc",
            "amount": "70",
            "externalReference": "found",
        });
        let booked = post(world, "/deposits", deposit).await;

        let all = acts(world).await;
        assert!(all.iter().all(|act| act["commitSequence"].is_u64()));
        let sequences = all.iter().map(|act| act["commitSequence"].as_u64());
        assert!(sequences.rev().is_sorted());

        let found = async |query: &str| {
            let listed = get(world, &format!("/acts?pageSize=500&{query}")).await;
            listed["acts"].as_array().expect("acts").clone()
        };
        let changed = found("act=put_enterprise&subject=eastgate").await;
        assert_eq!(changed.len(), 2);
        let detail = changed[0]["detail"].as_str().expect("a detail");
        let (before, after) = detail.split_once("\nafter: ").expect("both");
        assert!(before.starts_with("before: ") && before.contains("licensed: false"));
        assert!(after.contains("licensed: true"));
        let id = booked["deposit"]["id"].as_str().expect("an id");
        let of_deposit = found(&format!("subject={id}")).await;
        assert_eq!(of_deposit.len(), 1);
        assert_eq!(of_deposit[0]["act"], "book_deposit");
        assert_eq!(of_deposit[0]["userId"], json!(world.operator.to_string()));

        let own = found(&format!("userId={}", world.operator)).await;
        let expected = |act: &&Value| act["userId"] == json!(world.operator.to_string());
        assert_eq!(own.len(), all.iter().filter(expected).count());
        assert!(found("act=no_such_act").await.is_empty());

        let moment = changed[0]["at"].as_str().expect("a time");
        let (from, before) = (
            found(&format!("from={moment}")).await,
            found(&format!("before={moment}")).await,
        );
        assert_eq!(from.len() + before.len(), all.len());
        assert!(from.contains(&changed[0]) && !before.contains(&changed[0]));

        for query in ["from=yesterday", "userId=me", "pageSize=501"] {
            let path = format!("/acts?{query}");
            let (status, ..) = refused(world, Method::GET, &path, Value::Null).await;
            assert_eq!(status, 400, "{query}");
        }

        let auditor = UserId(Uuid::new_v4());
        let role = Some(InstallationRole::Auditor);
        let hand = world.network.installation();
        let made = hand.put_user(auditor, "auditor".to_owned(), role).await;
        made.expect("an auditor");
        let token = issue_token(&world.network, auditor, &[Scope::Installation]).await;
        let path = format!("/acts?subject={id}");
        let (status, _, seen) = with(world, Some(&token), Method::GET, &path, &Value::Null).await;
        assert_eq!((status, &seen["acts"]), (200, &json!(of_deposit)));
    })
    .await;
}
