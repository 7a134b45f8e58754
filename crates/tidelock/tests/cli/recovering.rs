//! An installation of which nobody can act as operator any more.

use serde_json::Value;

use crate::installation::{Installation, Ran, tidelock};

/// The token that was printed.
fn token_of(recovered: &Ran) -> &str {
    let token = recovered.output.lines().find(|l| l.starts_with("tlk_"));
    token.unwrap_or_else(|| panic!("no token: {recovered}"))
}

async fn as_operator(url: &str, token: &str, words: &[&str]) -> Ran {
    let words = [&["operator"], words].concat();
    let environment = [("TIDELOCK_URL", url), ("TIDELOCK_OPERATOR_TOKEN", token)];
    tidelock(&words, &environment).await
}

fn policy(shown: &Ran) -> Value {
    assert_eq!(shown.code, 0, "{shown}");
    let shown: Value = serde_json::from_str(&shown.output).expect("JSON");
    shown["installation"].clone()
}

#[tokio::test]
async fn a_recovered_operator_acts_alone_until_there_are_two() {
    let installation = Installation::make().await;
    let second = installation.run(&["recover"]).await;
    assert_eq!(second.code, 0, "{second}");
    let server = installation.serve().await;
    server
        .done(&[
            "installation",
            "update",
            "--second-operator-required",
            "true",
        ])
        .await;
    let lone = server
        .operator(&[
            "installation",
            "update",
            "--second-operator-required",
            "false",
        ])
        .await;
    assert_eq!(lone.code, 0, "{lone}");
    assert!(
        lone.output.contains("proposal"),
        "it waits for another: {lone}"
    );
    server.stop().await;

    let third = installation.run(&["recover"]).await;
    assert_eq!(third.code, 0, "{third}");
    assert!(third.output.contains("one operator only now"), "{third}");
    assert_ne!(token_of(&second), token_of(&third));
    let server = installation.serve().await;
    let shown = as_operator(&server.url, token_of(&third), &["installation", "show"]).await;
    let policy = policy(&shown);
    assert_eq!(policy["secondOperatorRequired"], false, "{policy}");
    let acts = as_operator(&server.url, token_of(&third), &["act", "list"]).await;
    assert_eq!(acts.code, 0, "{acts}");
    assert!(
        acts.output.contains("recovered operator"),
        "on record: {acts}"
    );
    let log = server.stop().await;
    assert!(!log.contains(token_of(&third)), "the token is in the log");
    let verified = installation.run(&["verify"]).await;
    assert_eq!(verified.code, 0, "{verified}");
}

#[tokio::test]
async fn without_the_keys_or_beside_a_server_nobody_is_recovered() {
    let installation = Installation::make().await;
    let server = installation.serve().await;
    let beside = installation.run(&["recover"]).await;
    assert_eq!(beside.code, 1, "{beside}");
    assert!(beside.error.contains("is open already"), "{beside}");
    server.stop().await;
    installation.write("master.key", "not a key");
    let keyless = installation.run(&["recover"]).await;
    assert_eq!(keyless.code, 1, "{keyless}");
    assert!(!keyless.output.contains("tlk_"), "{keyless}");
}
