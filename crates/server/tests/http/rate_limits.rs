//! How many requests a token may send, what it is told of it, and where in the order of checks.

use reqwest::Method;
use serde_json::json;

use crate::fixture::{CLIENT, Heard, Options, PARTNER, World, hear, on_each_database, rate_limit};

/// So slow that no request comes back while a test runs.
fn narrow(burst: u32) -> Options {
    Options {
        rate_limit: rate_limit(1, burst),
        ..Options::default()
    }
}

async fn balances(world: &World, token: &str) -> Heard {
    let path = format!("/api/network/v1/enterprises/{CLIENT}/clients/balances");
    hear(world.ask(Method::GET, &path).bearer_auth(token)).await
}

fn header<'a>(heard: &'a Heard, name: &str) -> &'a str {
    let value = heard.1.get(name).unwrap_or_else(|| panic!("no {name}"));
    value.to_str().expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_sends_too_much_is_told_to_wait() {
    on_each_database(narrow(40), async |world| {
        let told = balances(world, &world.client_token).await;
        assert_eq!(told.0, 200);
        assert_eq!(header(&told, "x-ratelimit-limit"), "40");
        assert_eq!(header(&told, "ratelimit-policy"), r#""token";q=40;w=40"#);
        let left: u32 = header(&told, "x-ratelimit-remaining").parse().expect("it");
        assert!(left < 40);
        let reset: u32 = header(&told, "x-ratelimit-reset").parse().expect("it");
        assert_eq!(reset, 40 - left);
        let expected = format!(r#""token";r={left};t={reset}"#);
        assert_eq!(header(&told, "ratelimit"), expected);

        let mut refused = told;
        for _ in 0..80 {
            refused = balances(world, &world.client_token).await;
            if refused.0 != 200 {
                break;
            }
        }
        assert_eq!(refused.0, 429, "{}", refused.2);
        assert_eq!(refused.2["name"], "rate_limited");
        assert_eq!(refused.2["requestId"], header(&refused, "request-id"));
        assert_eq!(header(&refused, "retry-after"), "1");
        assert_eq!(header(&refused, "x-ratelimit-remaining"), "0");
        assert_eq!(header(&refused, "x-ratelimit-reset"), "40");

        // It comes before the path and everything behind it, and behind the token.
        let path = format!("/api/network/v1/enterprises/{PARTNER}/partners");
        let strange = world
            .ask(Method::POST, &path)
            .bearer_auth(&world.client_token)
            .header("enterprise-id", CLIENT)
            .body("{");
        assert_eq!(hear(strange).await.0, 429);
        let stranger = balances(world, "nobody").await;
        assert_eq!(stranger.0, 401);
        assert!(stranger.1.get("ratelimit").is_none());

        // Others are not concerned; operators have buckets too.
        assert_eq!(balances(world, &world.partner_token).await.0, 401);
        let operator = Some(world.operator_token.as_str());
        let users = world.raw(Method::GET, "/api/operator/v1/users", operator, None);
        let users = users.await;
        assert_eq!((users.0, header(&users, "x-ratelimit-limit")), (200, "40"));
    })
    .await;
}

/// A bearer that is only the hash of a token proves nothing without an HMAC: whoever sends it takes
/// nothing from the token.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_uses_up_what_somebody_else_may_send() {
    on_each_database(narrow(20), async |world| {
        let user = world.member_of(&[CLIENT]).await;
        let kind = network::TokenKind::V2x;
        let issued = world.issue(crate::fixture::new_token(user, kind)).await;
        let hash = hex::encode(wire::request_hmac::token_hash(&issued.token));
        for _ in 0..40 {
            let (status, headers, body) = balances(world, &hash).await;
            assert_eq!((status, &body["name"]), (401, &json!("invalid_hmac")));
            assert!(headers.get("ratelimit").is_none());
        }
        let own = balances(world, &issued.token).await;
        assert_eq!(header(&own, "x-ratelimit-remaining"), "19");
    })
    .await;
}
