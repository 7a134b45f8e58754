//! Acts on money that a second operator has to approve, where that is required.

use std::time::Duration;

use reqwest::Method;
use rules::{
    UserId,
    record::{InstallationRole, Scope},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{acts, done, fresh_id, get, post, put, refused, stands, with};
use crate::fixture::{Options, World, issue_token, on_each_database, request};

/// Another operator, with a token.
pub(crate) async fn second_operator(world: &World) -> (UserId, String) {
    let user = UserId(Uuid::new_v4());
    let role = Some(InstallationRole::Operator);
    let hand = world.network.installation();
    let made = hand.put_user(user, "second".to_owned(), role).await;
    made.expect("an operator");
    let token = issue_token(&world.network, user, &[Scope::Installation]).await;
    (user, token)
}

fn movement(world: &World, reference: &str, amount: &str) -> Value {
    json!({
        "goAccountId": world.client_account.to_string(),
        "currency": "ofcbtc",
        "amount": amount,
        "externalReference": reference,
    })
}

/// Says something as this operator: status and body.
async fn as_operator(
    world: &World,
    token: &str,
    method: Method,
    path: &str,
    body: &Value,
) -> (u16, Value) {
    let (status, _, answer) = with(world, Some(token), method, path, body).await;
    (status, answer)
}

/// Undertakes something that becomes a proposal: its id.
async fn proposed(world: &World, method: Method, path: &str, body: Value) -> String {
    let token = world.operator_token.clone();
    let (status, answer) = as_operator(world, &token, method, path, &body).await;
    assert_eq!(status, 202, "{path}: {answer}");
    assert_eq!(answer["proposal"]["status"], "open", "{answer}");
    let own = json!(world.operator.to_string());
    assert_eq!(answer["proposal"]["proposedBy"], own);
    answer["proposal"]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_operator_installation_says_so() {
    on_each_database(Options::default(), async |world| {
        let shown = get(world, "/installation").await;
        let expected = json!({"secondOperatorRequired": false,
            "proposalsExpireAfterSeconds": 86_400, "operators": 1});
        assert_eq!(shown["installation"], expected);
        let booked = post(world, "/deposits", movement(world, "alone", "7")).await;
        assert_eq!(booked["secondOperatorRequired"], false);
        let asked = post(world, "/withdrawals", movement(world, "alone", "7")).await;
        assert_eq!(asked["secondOperatorRequired"], false);
        let id = asked["withdrawal"]["id"].as_str().expect("an id");
        let path = format!("/withdrawals/{id}/paid");
        let paid = done(world, Method::POST, &path, Value::Null).await;
        assert_eq!(paid["secondOperatorRequired"], false);
        // Nobody could approve anything.
        let on = json!({"secondOperatorRequired": true});
        let (status, name, _) = refused(world, Method::PUT, "/installation", on).await;
        assert_eq!((status, name.as_str()), (422, "no_second_operator"));
        for wrong in [
            json!({"proposalsExpireAfterSeconds": 59}),
            json!({"proposalsExpireAfterSeconds": 2_678_401}),
            json!({"secondOperatorRequired": "yes"}),
        ] {
            let (status, ..) = refused(world, Method::PUT, "/installation", wrong).await;
            assert_eq!(status, 400);
        }
        let listed = get(world, "/proposals").await;
        assert_eq!(listed["proposals"], json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_move_money_together() {
    on_each_database(Options::default(), async |world| {
        let (second, token) = second_operator(world).await;
        let account = world.client_account.to_string();
        let start = stands(world, &account, "ofcbtc").await;
        let on = json!({"secondOperatorRequired": true, "proposalsExpireAfterSeconds": 3_600});
        let shown = put(world, "/installation", on.clone()).await;
        assert_eq!(shown["installation"]["secondOperatorRequired"], true);
        assert_eq!(shown["installation"]["operators"], 2);
        // Saying the same again changes nothing and needs nobody.
        put(world, "/installation", on).await;

        let deposit = movement(world, "together", "50");
        let id = proposed(world, Method::POST, "/deposits", deposit.clone()).await;
        let again = proposed(world, Method::POST, "/deposits", deposit.clone()).await;
        assert_eq!(again, id);
        let other = movement(world, "together", "51");
        let (status, name, _) = refused(world, Method::POST, "/deposits", other).await;
        assert_eq!((status, name.as_str()), (409, "other_proposal_open"));
        assert_eq!(stands(world, &account, "ofcbtc").await, start);

        let (approve, reject) = (
            format!("/proposals/{id}/approve"),
            format!("/proposals/{id}/reject"),
        );
        let nothing = json!({});
        let (status, name, _) = refused(world, Method::POST, &approve, nothing.clone()).await;
        assert_eq!((status, name.as_str()), (403, "own_proposal"));
        let listed = get(world, "/proposals?status=open").await;
        assert_eq!(listed["proposals"][0]["id"], json!(id));
        let act = &listed["proposals"][0]["act"];
        assert_eq!(
            (&act["kind"], &act["amount"]),
            (&json!("book_deposit"), &json!("50"))
        );

        let notes = json!({"notes": "seen the statement"});
        let post_ = Method::POST;
        let (status, approved) = as_operator(world, &token, post_.clone(), &approve, &notes).await;
        assert_eq!(status, 200, "{approved}");
        assert_eq!(approved["proposal"]["status"], "approved");
        assert_eq!(approved["proposal"]["notes"], "seen the statement");
        assert_eq!(approved["proposal"]["decidedBy"], json!(second.to_string()));
        let grown = stands(world, &account, "ofcbtc").await;
        let units = |text: &str| text.parse::<i64>().expect("units");
        assert_eq!(units(&grown.0), units(&start.0) + 50);
        // A repeat, a change of mind, and the same deposit again move nothing.
        let (status, again) = as_operator(world, &token, post_.clone(), &approve, &notes).await;
        assert_eq!((status, &again["proposal"]), (200, &approved["proposal"]));
        let (status, answer) = as_operator(world, &token, post_.clone(), &reject, &notes).await;
        assert_eq!((status, &answer["name"]), (409, &json!("proposal_decided")));
        let known = post(world, "/deposits", deposit).await;
        assert_eq!(known["secondOperatorRequired"], true);
        assert_eq!(stands(world, &account, "ofcbtc").await, grown);

        // Both stand in one commit, each in the name of whoever did it.
        let acts = acts(world).await;
        let deposit_id = &known["deposit"]["id"];
        let of = |kind: &str, subject: &Value| {
            let found = acts
                .iter()
                .find(|a| a["act"] == kind && a["subject"] == *subject);
            found.cloned().unwrap_or_else(|| panic!("{kind} {subject}"))
        };
        let (booked, approves) = (
            of("book_deposit", deposit_id),
            of("approve_proposal", &json!(id)),
        );
        assert_eq!(booked["userId"], json!(world.operator.to_string()));
        assert_eq!(approves["userId"], json!(second.to_string()));
        assert_eq!(booked["commitSequence"], approves["commitSequence"]);
        of("propose", &json!(id));

        // A withdrawal is asked for and paid by two; what is rejected or expires is not done.
        let asked = movement(world, "out", "20");
        let id = proposed(world, Method::POST, "/withdrawals", asked.clone()).await;
        let path = format!("/proposals/{id}/approve");
        let (status, _) = as_operator(world, &token, post_.clone(), &path, &nothing).await;
        assert_eq!(status, 200);
        assert_eq!(stands(world, &account, "ofcbtc").await.1, "20");
        let known = post(world, "/withdrawals", asked).await;
        let withdrawal = known["withdrawal"]["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let paid = format!("/withdrawals/{withdrawal}/paid");
        let id = proposed(world, Method::POST, &paid, Value::Null).await;
        let path = format!("/proposals/{id}/reject");
        let (status, answer) = as_operator(world, &token, post_.clone(), &path, &nothing).await;
        assert_eq!(status, 400, "why is required: {answer}");
        let (status, _) = as_operator(world, &token, post_.clone(), &path, &notes).await;
        assert_eq!(status, 200);
        let id = proposed(world, Method::POST, &paid, Value::Null).await;
        world.clock.advance(Duration::from_secs(3_600));
        let path = format!("/proposals/{id}/approve");
        let (status, answer) = as_operator(world, &token, post_.clone(), &path, &nothing).await;
        assert_eq!((status, &answer["name"]), (422, &json!("proposal_expired")));
        let listed = get(world, "/proposals?status=expired").await;
        assert_eq!(listed["proposals"][0]["id"], json!(id));
        let shown = get(world, &format!("/proposals/{id}")).await;
        assert_eq!(shown["proposal"]["status"], "expired");
        let id = proposed(world, Method::POST, &paid, Value::Null).await;
        let path = format!("/proposals/{id}/approve");
        let (status, _) = as_operator(world, &token, post_.clone(), &path, &nothing).await;
        assert_eq!(status, 200);
        assert_eq!(stands(world, &account, "ofcbtc").await.1, "0");

        // Neither can make himself a second one, and both together switch it off.
        let body = json!({"name": "third", "role": "operator"});
        let path = format!("/users/{}", fresh_id());
        let (status, name, _) = refused(world, Method::PUT, &path, body).await;
        assert_eq!((status, name.as_str()), (422, "operators_are_fixed"));
        let path = format!("/users/{second}/tokens");
        let wanted = json!({"label": "mine", "scopes": ["installation"]});
        let (status, name, _) = refused(world, Method::POST, &path, wanted).await;
        assert_eq!((status, name.as_str()), (403, "operator_token_is_own"));
        let off = json!({"secondOperatorRequired": false});
        let id = proposed(world, Method::PUT, "/installation", off).await;
        let path = format!("/proposals/{id}/approve");
        let (status, _) = as_operator(world, &token, post_, &path, &nothing).await;
        assert_eq!(status, 200);
        post(world, "/deposits", movement(world, "alone", "1")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_hold_is_released_by_two() {
    on_each_database(Options::default(), async |world| {
        let (_, token) = second_operator(world).await;
        put(
            world,
            "/installation",
            json!({"secondOperatorRequired": true}),
        )
        .await;
        let (connection, _) = world.connect().await;
        let always = json!([{"call": "allocate", "times": 1_000, "action": "error500"}]);
        world.script_faults(always).await;
        let asked = request("ofcbtc", 5, "stuck");
        assert!(world.client.allocate(connection, asked).await.is_err());
        let hold = get(world, "/holds").await["holds"][0].clone();
        let path = format!("/holds/{}/release", hold["id"].as_str().expect("an id"));
        let reason = json!({"reason": "given up"});
        let id = proposed(world, Method::POST, &path, reason.clone()).await;
        assert_eq!(get(world, "/holds").await["holds"][0]["status"], "reserved");
        let approve = format!("/proposals/{id}/approve");
        let (status, answer) = as_operator(world, &token, Method::POST, &approve, &json!({})).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(get(world, "/holds").await["holds"], json!([]));
        let (status, name, _) = refused(world, Method::POST, &path, reason).await;
        assert_eq!((status, name.as_str()), (409, "already_final"));
    })
    .await;
}
