//! What supervisors are told: health for everybody, figures on an address of their own.

use std::{collections::BTreeMap, time::Duration};

use reqwest::Method;
use serde_json::json;

use crate::fixture::{CLIENT, Options, World, hear, on_each_database, request};
use crate::movements::eventually;

/// The figures, by name and labels as they are written.
async fn figures(world: &World) -> BTreeMap<String, f64> {
    let url = format!("{}/metrics", world.monitoring_url);
    let response = reqwest::get(url).await.expect("an answer");
    assert_eq!(response.status(), 200);
    let kind = response.headers()["content-type"].to_str().expect("text");
    assert!(
        kind.starts_with("application/openmetrics-text; version=1.0.0"),
        "{kind}"
    );
    let text = response.text().await.expect("a body");
    let (text, end) = text.split_at(text.len() - "# EOF\n".len());
    assert_eq!(end, "# EOF\n");
    let mut described = Vec::new();
    let mut figures = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let name = rest.split(' ').next().expect("a name");
            assert!(!described.contains(&name.to_owned()), "{name} twice");
            described.push(name.to_owned());
        } else if !line.starts_with('#') {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            assert!(name.starts_with("tidelock_"), "{name}");
            let value: f64 = value.parse().expect("a number");
            assert!(figures.insert(name.to_owned(), value).is_none(), "{name}");
        }
    }
    figures
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_tell_of_requests_batches_calls_and_queues() {
    on_each_database(Options::default(), async |world| {
        world.client.become_client().await.expect("a client");
        let (connection, _) = world.connect().await;
        let before = figures(world).await;
        for id in ["one", "two"] {
            let wanted = request("ofcbtc", 500, id);
            world.client.allocate(connection, wanted).await.expect("it");
        }
        let wanted = request("ofcbtc", i128::from(i64::MAX), "three");
        world
            .client
            .allocate(connection, wanted)
            .await
            .expect_err("too much");
        world.raw(Method::GET, "/nowhere", None, None).await;
        let after = figures(world).await;

        let grown = |name: &str| {
            let old = before.get(name).copied().unwrap_or_default();
            after
                .get(name)
                .unwrap_or_else(|| panic!("{name} in {after:#?}"))
                - old
        };
        let of = |labels: &str| format!("tidelock_http_requests_total{{{labels}}}");
        assert_eq!(
            grown(&of(
                r#"operation="V1ClientAllocationsPostRoute",status="200""#
            )),
            2.0
        );
        assert_eq!(
            grown(&of(
                r#"operation="V1ClientAllocationsPostRoute",status="422""#
            )),
            1.0
        );
        assert_eq!(grown(&of(r#"operation="none",status="404""#)), 1.0);
        let latency = |of: &str| format!("tidelock_http_request_seconds_{of}");
        assert_eq!(
            grown(&latency(
                r#"count{operation="V1ClientAllocationsPostRoute"}"#
            )),
            3.0
        );
        assert_eq!(
            grown(&latency(
                r#"bucket{le="+Inf",operation="V1ClientAllocationsPostRoute"}"#
            )),
            3.0
        );
        assert!(grown(&latency(r#"sum{operation="V1ClientAllocationsPostRoute"}"#)) > 0.0);

        // Each was reserved and cleared, and the exchange was asked and told.
        let committed = grown(r#"tidelock_batches_total{outcome="committed"}"#);
        assert!(committed >= 4.0, "{committed}");
        assert!(grown("tidelock_batch_commands_sum") >= 5.0);
        for stage in ["begin", "load", "decide", "write", "flush"] {
            let name = format!(r#"tidelock_batch_stage_seconds_count{{stage="{stage}"}}"#);
            assert!(grown(&name) >= committed, "{name}");
        }
        assert!(grown("tidelock_chain_sequence") >= committed);
        assert_eq!(grown("tidelock_journal_entries"), 4.0);
        let asked = r#"tidelock_partner_call_seconds_count{call="reserve",outcome="success"}"#;
        assert_eq!(grown(asked), 2.0);

        for queue in [
            "tidelock_commands_waiting",
            "tidelock_http_requests_in_flight",
            "tidelock_requests_at_work",
            "tidelock_requests_refused_total",
            "tidelock_partner_calls_in_flight",
            "tidelock_readers_waited_for",
            "tidelock_outbox_messages",
            "tidelock_outbox_oldest_due_age_seconds",
            "tidelock_hold_oldest_age_seconds",
        ] {
            assert!(after[queue] >= 0.0, "{queue}");
        }
        assert_eq!(
            after[r#"tidelock_commands_refused_total{reason="queue_full"}"#],
            0.0
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_for_those_who_reach_their_own_address_alone() {
    on_each_database(Options::default(), async |world| {
        for token in [None, Some(world.operator_token.as_str())] {
            let (status, _, body) = world.raw(Method::GET, "/metrics", token, None).await;
            assert_eq!((status, &body["name"]), (404, &json!("unknown_route")));
        }
        // Nor does that address serve anything else.
        let path = format!("/api/network/v1/enterprises/{CLIENT}/partners");
        let url = format!("{}{path}", world.monitoring_url);
        let asked = reqwest::Client::new().get(url);
        let (status, ..) = hear(asked.bearer_auth(&world.client_token)).await;
        assert_eq!(status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_to_everybody() {
    on_each_database(Options::default(), async |world| {
        for base in [&world.url, &world.monitoring_url] {
            for (path, status) in [("livez", "live"), ("readyz", "ready")] {
                let asked = reqwest::Client::new().get(format!("{base}/{path}"));
                let (code, _, body) = hear(asked).await;
                assert_eq!((code, body), (200, json!({"status": status})));
            }
        }
    })
    .await;
}

/// The laws of the books are checked while the network works, and what breaks one is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_law_shows_in_the_figures() {
    let options = Options {
        network: network::Settings {
            check_every: Duration::from_millis(20),
            ..network::Settings::default()
        },
        ..Options::default()
    };
    on_each_database(options, async |world| {
        world.client.become_client().await.expect("a client");
        let checks = async |result: &str| {
            let name = format!("tidelock_invariant_checks_total{{result=\"{result}\"}}");
            figures(world).await[&name]
        };
        let happens = async |result: &str| {
            let before = checks(result).await;
            eventually("a check", async || {
                (checks(result).await > before + 1.0).then_some(())
            })
            .await;
        };
        happens("sound").await;
        assert_eq!(checks("broken").await, 0.0);
        assert_eq!(figures(world).await["tidelock_invariant_violations"], 0.0);

        // Money that nobody has paid in, held for nobody knows what.
        let make = "UPDATE balances SET held = available WHERE owner_kind = 1";
        world.database.execute(make).await;
        happens("broken").await;
        let told = figures(world).await["tidelock_invariant_violations"];
        assert!(told >= 2.0, "{told}");
        let unmake = "UPDATE balances SET held =
            (SELECT held FROM balances WHERE owner_kind = 0 LIMIT 1) WHERE owner_kind = 1";
        world.database.execute(unmake).await;
        happens("sound").await;
        assert_eq!(figures(world).await["tidelock_invariant_violations"], 0.0);
        let last = figures(world).await["tidelock_invariant_check_last_seconds"];
        assert!(last > 1.7e9, "{last}");
    })
    .await;
}
