//! Installations with a test clock, and those without.

use serde_json::{Value, json};

use crate::installation::Installation;

fn clock(printed: &str) -> Value {
    let printed: Value = serde_json::from_str(printed).expect("JSON");
    printed["clock"].clone()
}

#[tokio::test]
async fn a_test_clock_is_advanced_and_stays_ahead() {
    let installation = Installation::make_with(&["--test-clock"]).await;
    let server = installation.serve().await;
    let advanced = server
        .done(&["clock", "advance", "--seconds", "3600"])
        .await;
    assert_eq!(
        clock(&advanced.output)["aheadMicroseconds"],
        json!(3_600_000_000_i64)
    );
    let back = server
        .operator(&["clock", "advance", "--to", "2000-01-01T00:00:00Z"])
        .await;
    assert_eq!(back.code, 1, "{back}");
    assert!(back.error.contains("clock_runs_forward_only"), "{back}");
    let log = server.stop().await;
    assert!(log.contains("THIS INSTALLATION HAS A TEST CLOCK"), "{log}");

    let server = installation.serve().await;
    let shown = server.done(&["clock", "show"]).await;
    assert_eq!(
        clock(&shown.output)["aheadMicroseconds"],
        json!(3_600_000_000_i64)
    );
    assert_eq!(clock(&shown.output)["testClock"], true);
    server.stop().await;
}

#[tokio::test]
async fn a_normal_installation_has_none() {
    let installation = Installation::make().await;
    let again = installation.run(&["init", "--test-clock"]).await;
    assert_eq!(again.code, 1, "{again}");
    let server = installation.serve().await;
    let refused = server
        .operator(&["clock", "advance", "--seconds", "1"])
        .await;
    assert_eq!(refused.code, 1, "{refused}");
    assert!(refused.error.contains("no_test_clock"), "{refused}");
    let shown = server.done(&["clock", "show"]).await;
    assert_eq!(clock(&shown.output)["testClock"], false);
    let log = server.stop().await;
    assert!(!log.contains("TEST CLOCK"), "{log}");
}
