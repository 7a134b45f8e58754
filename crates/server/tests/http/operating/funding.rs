//! Money that crosses the border of custody (decisions §2, Q60).

use reqwest::Method;
use serde_json::{Value, json};

use super::{acts, get, post, put, refused, stands};
use crate::fixture::{Options, World, on_each_database, request};

fn movement(account: &str, ticker: &str, amount: &str, reference: &str) -> Value {
    json!({
        "goAccountId": account,
        "currency": ticker,
        "amount": amount,
        "externalReference": reference,
    })
}

async fn currency(world: &World, ticker: &str, source: &str) {
    let body = json!({"backing": ticker, "decimals": 8, "custodySource": source});
    put(world, &format!("/currencies/{ticker}"), body).await;
}

fn figures(available: &str, held: &str) -> (String, String) {
    (available.to_owned(), held.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_stands_for_one_deposit_at_its_custody_source() {
    on_each_database(Options::default(), async |world| {
        for (ticker, source) in [("aaa", "vault-1"), ("bbb", "vault-1"), ("ccc", "vault-2")] {
            currency(world, ticker, source).await;
        }
        let client = world.client_account.to_string();
        let partner = world.partner_account.to_string();
        let body = movement(&client, "aaa", "70", "tx-1");
        let first = post(world, "/deposits", body.clone()).await["deposit"].clone();
        assert_eq!(first["amount"], "70");
        assert_eq!(stands(world, &client, "aaa").await, figures("70", "0"));
        assert_eq!(post(world, "/deposits", body).await["deposit"], first);
        assert_eq!(stands(world, &client, "aaa").await, figures("70", "0"));

        for (other, differs) in [
            (movement(&client, "aaa", "71", "tx-1"), "amount"),
            (movement(&partner, "aaa", "70", "tx-1"), "goAccountId"),
            (movement(&client, "bbb", "70", "tx-1"), "currency"),
        ] {
            let (status, _, answer) = refused(world, Method::POST, "/deposits", other).await;
            assert_eq!(status, 409, "{answer}");
            let told = answer["error"].as_str().expect("a sentence");
            assert!(told.contains(differs), "{told}");
        }
        // Another source has names of its own, and a deposit is no withdrawal.
        let elsewhere = movement(&client, "ccc", "70", "tx-1");
        let elsewhere = post(world, "/deposits", elsewhere).await;
        assert_ne!(elsewhere["deposit"]["id"], first["id"]);
        let body = movement(&client, "aaa", "70", "tx-1");
        assert_eq!(
            post(world, "/withdrawals", body).await["withdrawal"]["status"],
            "requested"
        );
        assert_eq!(stands(world, &client, "bbb").await, figures("0", "0"));
        assert_eq!(stands(world, &partner, "aaa").await, figures("0", "0"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn custody_has_a_largest_total() {
    on_each_database(Options::default(), async |world| {
        currency(world, "big", "vault").await;
        let client = world.client_account.to_string();
        let partner = world.partner_account.to_string();
        let most = "9".repeat(38);
        let nearly = format!("{}8", "9".repeat(37));
        post(
            world,
            "/deposits",
            movement(&client, "big", &nearly, "tx-1"),
        )
        .await;
        let before = acts(world).await.len();
        // The total of the currency counts, whoever has it.
        let over = movement(&partner, "big", "2", "tx-2");
        let (status, name, _) = refused(world, Method::POST, "/deposits", over.clone()).await;
        assert_eq!((status, name.as_str()), (422, "custody_total_exceeded"));
        assert_eq!(acts(world).await.len(), before);
        assert_eq!(stands(world, &partner, "big").await, figures("0", "0"));
        post(world, "/deposits", movement(&client, "big", "1", "tx-3")).await;
        assert_eq!(stands(world, &client, "big").await, figures(&most, "0"));

        // What leaves custody makes room; a refused reference was not taken.
        let asked = post(world, "/withdrawals", movement(&client, "big", "2", "out")).await;
        let (status, ..) = refused(world, Method::POST, "/deposits", over.clone()).await;
        assert_eq!(
            status, 422,
            "a withdrawal that was only asked for makes none"
        );
        let id = asked["withdrawal"]["id"].as_str().expect("an id");
        post(world, &format!("/withdrawals/{id}/paid"), Value::Null).await;
        post(world, "/deposits", over).await;
        assert_eq!(stands(world, &partner, "big").await, figures("2", "0"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_holds_the_money_until_it_is_paid_or_cancelled() {
    on_each_database(Options::default(), async |world| {
        currency(world, "aaa", "vault").await;
        let account = world.client_account.to_string();
        post(world, "/deposits", movement(&account, "aaa", "100", "in")).await;
        let ask = async |amount: &str, reference: &str| {
            let body = movement(&account, "aaa", amount, reference);
            post(world, "/withdrawals", body).await["withdrawal"].clone()
        };
        let path = |withdrawal: &Value, ending: &str| {
            format!(
                "/withdrawals/{}/{ending}",
                withdrawal["id"].as_str().expect("an id")
            )
        };

        let first = ask("60", "out-1").await;
        assert_eq!(first["status"], "requested");
        assert_eq!(stands(world, &account, "aaa").await, figures("40", "60"));
        assert_eq!(ask("60", "out-1").await, first, "asked once");
        let other = movement(&account, "aaa", "61", "out-1");
        let (status, _, answer) = refused(world, Method::POST, "/withdrawals", other).await;
        assert_eq!(status, 409, "{answer}");

        let too_much = movement(&account, "aaa", "41", "out-2");
        let (status, _, answer) = refused(world, Method::POST, "/withdrawals", too_much).await;
        assert_eq!(status, 422, "{answer}");
        assert_eq!(stands(world, &account, "aaa").await, figures("40", "60"));

        let cancelled = post(world, &path(&first, "cancelled"), Value::Null).await;
        assert_eq!(cancelled["withdrawal"]["status"], "cancelled");
        assert_eq!(stands(world, &account, "aaa").await, figures("100", "0"));
        // What was refused before there was a record is judged anew.
        let second = ask("41", "out-2").await;
        let paid = post(world, &path(&second, "paid"), Value::Null).await;
        assert_eq!(paid["withdrawal"]["status"], "paid");
        assert_eq!(stands(world, &account, "aaa").await, figures("59", "0"));

        for (withdrawal, other) in [(&first, "paid"), (&second, "cancelled")] {
            let path = path(withdrawal, other);
            let (status, _, answer) = refused(world, Method::POST, &path, Value::Null).await;
            assert_eq!(status, 409, "{answer}");
        }
        assert_eq!(
            ask("60", "out-1").await["status"],
            "cancelled",
            "as it is now"
        );
        assert_eq!(stands(world, &account, "aaa").await, figures("59", "0"));

        let listed = get(world, &format!("/withdrawals?goAccountId={account}")).await;
        let listed = listed["withdrawals"].as_array().expect("withdrawals");
        let states: Vec<_> = listed.iter().map(|one| one["status"].clone()).collect();
        assert_eq!(states, ["paid", "cancelled"], "the newest first");
    })
    .await;
}

/// The same money is never promised twice.
#[tokio::test(flavor = "multi_thread")]
async fn held_money_can_neither_be_allocated_nor_withdrawn() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        let account = world.client_account.to_string();
        let all = movement(&account, "ofcbtc", "1000000000", "out");
        post(world, "/withdrawals", all.clone()).await;
        let tried = world
            .client
            .allocate(connection, request("ofcbtc", 1, "a-1"))
            .await;
        let refusal = tried.expect_err("nothing is available");
        assert_eq!(refusal.refusal().map(|refusal| refusal.status), Some(422));
        let more = movement(&account, "ofcbtc", "1", "out-2");
        let (status, ..) = refused(world, Method::POST, "/withdrawals", more).await;
        assert_eq!(status, 422);
        assert_eq!(world.custody("ofcbtc").await, (0, 1_000_000_000));
    })
    .await;
}
