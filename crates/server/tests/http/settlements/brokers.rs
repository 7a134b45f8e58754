//! Settlements of brokers, in both forms.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_brokers_party_form_nets_to_zero_in_every_currency() {
    on_each_database(broker(), async |world| {
        let (first, _) = world.connect().await;
        let (second, _) = world.connect().await;
        allocate(&world.client, first, "ofcbtc", 100).await;
        allocate(&world.client, second, "ofcusdt", 100).await;
        let off_by_one = json!({
            first.to_string(): {"BTC": "-10", "USDT": "50"},
            second.to_string(): {"BTC": "10", "USDT": "-51"},
        });
        // Even where the broker could keep or pay the difference.
        deposit(&world.network, world.partner_account, "ofcusdt", 100).await;
        let (status, answer) = settle(world, &settlement("day-1", &off_by_one)).await;
        assert_eq!(status, 400, "{answer}");
        let error = answer["error"].as_str().expect("an error");
        assert!(
            error.contains("ofcusdt") && !error.contains("ofcbtc"),
            "{error}"
        );
        assert_unknown(world, "day-1").await;

        let even = json!({
            first.to_string(): {"BTC": "-10", "USDT": "51"},
            second.to_string(): {"BTC": "10", "USDT": "-51"},
        });
        settled(world, "day-1", &even).await;
        assert_eq!(world.allocated(first, "ofcbtc").await, (90, 0));
        assert_eq!(world.allocated(first, "ofcusdt").await, (51, 0));
        assert_eq!(world.allocated(second, "ofcbtc").await, (10, 0));
        assert_eq!(world.allocated(second, "ofcusdt").await, (49, 0));
        assert_eq!(partners_own(world, "USDT").await.0, "100");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_brokers_pair_form_moves_between_connections() {
    on_each_database(broker(), async |world| {
        let (first, _) = world.connect().await;
        let (second, _) = world.connect().await;
        let (third, _) = world.connect().await;
        let [a, b, c] = [first, second, third].map(|id| id.to_string());
        allocate(&world.client, first, "ofcbtc", 100).await;
        allocate(&world.client, second, "ofceth", 40).await;
        // 30 BTC pass through the second, which has none: only the net of each counts. A
        // negative amount goes from the destination to the source.
        let amounts = json!({
            a.as_str(): {b.as_str(): {"BTC": "30", "ETH": "-40"}},
            b.as_str(): {c.as_str(): {"BTC": "30"}},
        });
        let id = settled(world, "day-1", &amounts).await;
        for (connection, ticker, units) in [
            (first, "ofcbtc", 70),
            (first, "ofceth", 40),
            (second, "ofcbtc", 0),
            (second, "ofceth", 0),
            (third, "ofcbtc", 30),
        ] {
            let there = world.allocated(connection, ticker).await;
            assert_eq!(there, (units, 0), "{ticker} on {connection}");
        }
        let shown = seen_by_partner(world, id, "").await;
        assert_eq!(
            texts(&shown["settlementTransfers"], "status"),
            ["completed"; 3]
        );

        for (amounts, why) in [
            (json!({a.as_str(): {a.as_str(): {"BTC": "1"}}}), "to itself"),
            (
                json!({a.as_str(): {b.as_str(): {"BTC": "1"}, "BTC": "1"}}),
                "mixed forms",
            ),
            (
                json!({a.as_str(): {b.as_str(): {"BTC": "1"}}, c.as_str(): {"BTC": "1"}}),
                "mixed forms",
            ),
            (json!({a.as_str(): {b.as_str(): {}}}), "empty"),
            (json!({a.as_str(): {b.as_str(): {"BTC": "0"}}}), "zero"),
            (
                json!({a.as_str(): {Uuid::new_v4().to_string(): {"BTC": "1"}}}),
                "unknown destination",
            ),
        ] {
            let (status, answer) = settle(world, &settlement("odd", &amounts)).await;
            assert_eq!(status, 400, "{why}: {answer}");
        }

        // Short is who loses, and nobody else.
        let amounts = json!({a.as_str(): {b.as_str(): {"BTC": "71"}, c.as_str(): {"ETH": "1"}}});
        let (status, answer) = settle(world, &settlement("day-2", &amounts)).await;
        assert_eq!(status, 500, "{answer}");
        let error = answer["error"].as_str().expect("an error");
        assert!(
            error.contains(&a) && error.contains("71 ofcbtc and has 70"),
            "{error}"
        );
        assert!(!error.contains(&b) && !error.contains("ofceth"), "{error}");
        assert_eq!(world.allocated(first, "ofceth").await, (40, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pair_form_is_for_brokers() {
    on_each_database(Options::default(), async |world| {
        let (first, _) = world.connect().await;
        let (second, _) = world.connect().await;
        allocate(&world.client, first, "ofcbtc", 100).await;
        let amounts = json!({first.to_string(): {second.to_string(): {"BTC": "30"}}});
        let (status, answer) = settle(world, &settlement("day-1", &amounts)).await;
        assert_eq!(status, 400, "{answer}");
        let error = answer["error"].as_str().expect("an error");
        assert!(error.contains("broker"), "{error}");
        assert_unknown(world, "day-1").await;
        assert_eq!(world.allocated(first, "ofcbtc").await, (100, 0));
    })
    .await;
}
