//! How settlements over the chain end otherwise: not begun, failed on the chain, rejected.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_funded_fails_and_begins_once_it_can() {
    on_each_database(enabled(), async |world| {
        let (connection, _) = world.connect().await;
        allocate(&world.client, connection, "ofcbtc", 100).await;
        let amounts = json!({connection.to_string(): {"BTC": "-101", "ETH": "5"}});
        let content = settlement("short", &amounts);
        let (early, _) = announced(world, "short", &[("ETH", "s1")]).await;
        seen(world, &early[0], "5").await;
        let (status, answer) = start(world, &content).await;
        assert_eq!(status, 200, "{answer}");
        let shown = &answer["settlement"];
        assert_eq!(
            (&shown["status"], &shown["settlementType"]),
            (&json!("failed"), &json!("onchain"))
        );
        assert!(
            shown["reason"]
                .as_str()
                .is_some_and(|told| told.contains("101")),
            "{answer}"
        );
        let id = id_of(&answer);
        let now = statuses(world, id).await;
        assert!(now.iter().all(|(_, status)| status == "failed"), "{now:?}");
        // Nothing is held, and the gains are not booked without the losses being there.
        assert_eq!(world.allocated(connection, "ofcbtc").await, (100, 0));
        assert_eq!(world.allocated(connection, "ofceth").await, (0, 0));
        let (status, again) = start(world, &content).await;
        assert_eq!((status, id_of(&again)), (200, id));

        allocate(&world.client, connection, "ofcbtc", 1).await;
        let (status, answer) = start(world, &content).await;
        assert_eq!((status, id_of(&answer)), (202, id), "{answer}");
        assert_eq!(world.allocated(connection, "ofcbtc").await, (0, 101));
        assert_eq!(world.allocated(connection, "ofceth").await, (5, 0));
        losses(world, id, "ofcbtc", "seen", json!({"onChainTxId": "b"})).await;
        assert_eq!(state(world, id).await["status"], "completed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_chain_does_not_take_goes_back() {
    on_each_database(enabled(), async |world| {
        let (connection, _) = world.connect().await;
        allocate(&world.client, connection, "ofcbtc", 100).await;
        allocate(&world.client, connection, "ofcusdt", 50).await;
        let amounts = json!({connection.to_string(): {"BTC": "-60", "USDT": "-50", "ETH": "5"}});
        let content = settlement("broken", &amounts);
        let (status, answer) = start(world, &content).await;
        assert_eq!(status, 202, "{answer}");
        let id = id_of(&answer);
        let (ids, _) = announced(world, "broken", &[("ETH", "g1")]).await;
        seen(world, &ids[0], "4").await;
        let started = json!({"onChainTxId": "b1"});
        losses(world, id, "ofcbtc", "started", started.clone()).await;
        losses(world, id, "ofcbtc", "started", started).await;
        losses(world, id, "ofcbtc", "failed", json!({"reason": "no fee"})).await;
        losses(world, id, "ofcbtc", "failed", json!({"reason": "no fee"})).await;
        assert_eq!(world.allocated(connection, "ofcbtc").await, (100, 0));
        assert_eq!(world.allocated(connection, "ofcusdt").await, (0, 50));
        assert_eq!(state(world, id).await["status"], "pending");
        losses(world, id, "ofcusdt", "seen", json!({"onChainTxId": "u1"})).await;
        // The last leg: its gains never come, what came of them is the partner's.
        let before = partners_own(world, "ETH").await;
        let tail = format!("/onChainSettlements/{id}/gains/ofceth/failed");
        let ended = operated(world, &tail, json!({"reason": "the partner gave up"})).await;
        assert_eq!(ended["settlement"]["status"], "failed", "{ended}");
        let units = |text: &str| text.parse::<i128>().expect("base units");
        let after = partners_own(world, "ETH").await;
        assert_eq!(units(&after.0) - units(&before.0), 4);
        let now = statuses(world, id).await;
        assert_eq!(status_of(&now, "BTC"), ["onchain_failed"]);
        assert_eq!(status_of(&now, "USDT"), ["completed"]);
        assert_eq!(status_of(&now, "ETH"), ["onchain_failed"]);
        // It has begun and ended: posted again nothing begins anew.
        let (status, answer) = start(world, &content).await;
        assert_eq!(
            (status, &answer["settlement"]["status"]),
            (200, &json!("failed")),
            "{answer}"
        );
        assert_eq!(world.allocated(connection, "ofcbtc").await, (100, 0));
        // What has ended stays so.
        for (how, body) in [
            ("started", json!({})),
            ("seen", json!({"onChainTxId": "b1"})),
        ] {
            let tail = format!("/onChainSettlements/{id}/losses/ofcbtc/{how}");
            let (status, answer) = operate(world, &tail, body).await;
            assert_eq!(
                (status, &answer["name"]),
                (409, &json!("on_chain_leg_is_final")),
                "{how}"
            );
        }
        let tail = format!("/onChainSettlements/{id}/losses/ofcusdt/seen");
        let (status, _) = operate(world, &tail, json!({"onChainTxId": "other"})).await;
        assert_eq!(status, 409);
        let tail = format!("/onChainSettlements/{id}/losses/ofcusdt/failed");
        let (status, _) = operate(world, &tail, json!({"reason": "late"})).await;
        assert_eq!(status, 409);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_rejected_only_before_a_part_is_booked() {
    on_each_database(enabled(), async |world| {
        let (connection, _) = world.connect().await;
        allocate(&world.client, connection, "ofcbtc", 100).await;
        let amounts = json!({connection.to_string(): {"BTC": "-60", "ETH": "5"}});
        let id = started(world, "unwanted", &amounts).await;
        let (ids, _) = announced(world, "unwanted", &[("ETH", "r1"), ("ETH", "r2")]).await;
        seen(world, &ids[0], "4").await;
        let before = partners_own(world, "ETH").await;
        let tail = format!("/onChainSettlements/{id}/reject");
        let reason = json!({"reason": "posted by mistake"});
        let ended = operated(world, &tail, reason.clone()).await;
        assert_eq!(ended["settlement"]["status"], "rejected", "{ended}");
        operated(world, &tail, reason.clone()).await;
        assert_eq!(world.allocated(connection, "ofcbtc").await, (100, 0));
        let units = |text: &str| text.parse::<i128>().expect("base units");
        let grown = async || units(&partners_own(world, "ETH").await.0) - units(&before.0);
        assert_eq!(grown().await, 4);
        // A deposit that is seen afterwards goes to the partner at once.
        seen(world, &ids[1], "2").await;
        assert_eq!(grown().await, 6);
        let shown = state(world, id).await;
        assert_eq!(shown["status"], "rejected");
        assert_eq!(shown["reason"], "posted by mistake");
        assert!(shown["finalizedAt"].is_string());
        let now = statuses(world, id).await;
        assert!(
            now.iter().all(|(_, status)| status == "rejected"),
            "{now:?}"
        );
        let (status, answer) = start(world, &settlement("unwanted", &amounts)).await;
        assert_eq!(
            (status, &answer["settlement"]["status"]),
            (200, &json!("rejected"))
        );

        let half = started(world, "half", &amounts).await;
        losses(world, half, "ofcbtc", "started", json!({})).await;
        let tail = format!("/onChainSettlements/{half}/reject");
        let (status, answer) = operate(world, &tail, reason.clone()).await;
        assert_eq!(
            (status, &answer["name"]),
            (422, &json!("on_chain_withdrawal_under_way"))
        );
        losses(world, half, "ofcbtc", "seen", json!({"onChainTxId": "h"})).await;
        let tail = format!("/onChainSettlements/{half}/reject");
        let (status, answer) = operate(world, &tail, reason.clone()).await;
        assert_eq!(
            (status, &answer["name"]),
            (422, &json!("on_chain_partly_completed"))
        );
        let (ids, _) = announced(world, "half", &[("ETH", "h1")]).await;
        seen(world, &ids[0], "5").await;
        assert_eq!(state(world, half).await["status"], "completed");

        // One that never began is rejected, too.
        let short = json!({connection.to_string(): {"USDT": "-1"}});
        let (status, answer) = start(world, &settlement("never", &short)).await;
        assert_eq!(status, 200, "{answer}");
        let never = id_of(&answer);
        let tail = format!("/onChainSettlements/{never}/reject");
        let ended = operated(world, &tail, reason).await;
        assert_eq!(ended["settlement"]["status"], "rejected");
    })
    .await;
}
