//! Bearers that look like what is stored of a token are no tokens.

use network::{NewToken, TokenKind};
use reqwest::Method;
use rules::record::Scope;
use wire::request_hmac::{AuthVersion, request_hmac, token_hash};

use crate::fixture::{CLIENT, Options, new_token, on_each_database};

/// A bearer of the length of a hash: the first 31 bytes of `hash` in hexadecimal digits, and two
/// characters that are none, for which the bearer's own hash ends with the missing byte.
///
/// A look-up buffer that a failed decoding has half overwritten holds exactly `hash` then.
fn disguised(hash: [u8; 32]) -> String {
    let digits = hex::encode(&hash[..31]);
    let strange: Vec<char> = ('!'..='~').filter(|c| !c.is_ascii_hexdigit()).collect();
    let pairs = strange
        .iter()
        .flat_map(|a| strange.iter().map(move |b| (a, b)));
    let mut bearers = pairs.map(|(a, b)| format!("{digits}{a}{b}"));
    let fits = |bearer: &String| token_hash(bearer)[31] == hash[31];
    let bearer = bearers.find(fits).expect("some pair fits");
    let mut buffer = token_hash(&bearer);
    let decoded = hex::decode_to_slice(&bearer, &mut buffer);
    assert!(decoded.is_err() && buffer == hash, "this is the attack");
    bearer
}

/// Whoever can read the hashes, of a backup say, can act for nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_hash_in_disguise_opens_nothing() {
    on_each_database(Options::default(), async |world| {
        let member = world.member_of(&[CLIENT]).await;
        let plain = world.issue(new_token(member, TokenKind::Plain)).await.token;
        let v2x = world.issue(new_token(member, TokenKind::V2x)).await.token;
        let operator_v2x = NewToken {
            scopes: vec![Scope::Installation],
            ..new_token(world.operator, TokenKind::V2x)
        };
        let operator_v2x = world.issue(operator_v2x).await.token;
        let of_member = format!("/api/network/v1/enterprises/{CLIENT}/clients/balances");
        let of_operator = "/api/operator/v1/users".to_owned();
        for (whose, token, path) in [
            ("a member's plain token", plain.as_str(), &of_member),
            ("a member's v2x token", v2x.as_str(), &of_member),
            (
                "an operator's plain token",
                world.operator_token.as_str(),
                &of_operator,
            ),
            (
                "an operator's v2x token",
                operator_v2x.as_str(),
                &of_operator,
            ),
        ] {
            // Used before, so that it is remembered, too.
            let (status, _, answer) = world.raw(Method::GET, path, Some(token), None).await;
            assert_eq!(status, 200, "{whose}: {answer}");
            let hash = token_hash(token);
            let digits = hex::encode(hash);
            for (form, bearer) in [
                ("the hash", digits.clone()),
                ("the hash in capitals", digits.to_uppercase()),
                ("the hash in disguise", disguised(hash)),
                (
                    "the hash with two strange characters",
                    format!("{}zz", &digits[..62]),
                ),
                ("the hash, cut short", digits[..63].to_owned()),
                ("the hash, too long", format!("{digits}0")),
            ] {
                let (status, _, answer) = world.raw(Method::GET, path, Some(&bearer), None).await;
                assert_eq!(status, 401, "{form} of {whose}: {answer}");
            }
        }
    })
    .await;
}

/// The hash of a token that can sign is accepted with a signature; in disguise not even then.
#[tokio::test(flavor = "multi_thread")]
async fn a_hash_needs_the_signature_of_the_token_itself() {
    on_each_database(Options::default(), async |world| {
        let member = world.member_of(&[CLIENT]).await;
        let v2x = world.issue(new_token(member, TokenKind::V2x)).await.token;
        let plain = world.issue(new_token(member, TokenKind::Plain)).await.token;
        let path = format!("/api/network/v1/enterprises/{CLIENT}/clients/balances");
        let signed = async |bearer: &str, secret: &str| {
            let now = jiff::Timestamp::now().as_millisecond().to_string();
            let hmac = request_hmac(secret, AuthVersion::V2, "GET", &now, &path, b"");
            let request = world
                .ask(Method::GET, &path)
                .bearer_auth(bearer)
                .header("auth-timestamp", now)
                .header("hmac", hmac);
            crate::fixture::hear(request).await.0
        };
        let hash = |token: &str| hex::encode(token_hash(token));
        assert_eq!(signed(&hash(&v2x), &v2x).await, 200);
        for (form, bearer, secret) in [
            ("signed with the hash", hash(&v2x), hash(&v2x)),
            ("signed with another token", hash(&v2x), plain.to_string()),
            ("in disguise", disguised(token_hash(&v2x)), v2x.to_string()),
            ("of a plain token", hash(&plain), plain.to_string()),
            (
                "of a plain token, in disguise",
                disguised(token_hash(&plain)),
                plain.to_string(),
            ),
        ] {
            assert_eq!(signed(&bearer, &secret).await, 401, "{form}");
        }
    })
    .await;
}
