//! What moves money over the chain where a second operator is required.

use super::*;
use crate::operating::approvals::second_operator;

/// A world in which two operators move money together.
struct Together<'world> {
    world: &'world World,
    second: String,
}

impl<'world> Together<'world> {
    async fn of(world: &'world World) -> Together<'world> {
        let (_, second) = second_operator(world).await;
        let hand = world.network.installation();
        let set = hand.set_approval_policy(Some(true), None).await;
        assert!(set.expect("a policy").done().is_some());
        Together { world, second }
    }

    /// One operator says something that becomes a proposal of this kind.
    async fn propose(&self, tail: &str, body: Value, kind: &str) -> Value {
        let (status, answer) = operate(self.world, tail, body).await;
        assert_eq!(status, 202, "{tail}: {answer}");
        let proposal = answer["proposal"].clone();
        assert_eq!(proposal["act"]["kind"], kind, "{answer}");
        proposal
    }

    /// The other one approves it, after the first has tried in vain.
    async fn approve(&self, proposal: &Value) {
        let id = proposal["id"].as_str().expect("an id");
        let tail = format!("/proposals/{id}/approve");
        let (status, answer) = operate(self.world, &tail, json!({})).await;
        assert_eq!((status, &answer["name"]), (403, &json!("own_proposal")));
        let path = format!("/api/operator/v1{tail}");
        let token = Some(self.second.as_str());
        let (status, _, answer) = self.world.raw(Method::POST, &path, token, Some("{}")).await;
        assert_eq!(status, 200, "{tail}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_move_what_is_seen_on_chains() {
    on_each_database(enabled(), async |world| {
        let (connection, _) = world.connect().await;
        allocate(&world.client, connection, "ofcbtc", 100).await;
        let together = Together::of(world).await;
        let amounts = json!({connection.to_string(): {"BTC": "-60", "ETH": "5"}});
        let id = started(world, "two-1", &amounts).await;
        let (deposits, _) = announced(world, "two-1", &[("ETH", "e1")]).await;

        let deposit = &deposits[0];
        let tail = format!("/onChainDeposits/{deposit}/seen");
        let body = json!({"amount": "5", "transferId": "custody-1"});
        let seen = together
            .propose(&tail, body.clone(), "on_chain_deposit_seen")
            .await;
        assert_eq!(seen["act"]["depositId"], json!(deposit));
        assert_eq!(seen["act"]["amount"], "5");
        assert_eq!(world.allocated(connection, "ofceth").await, (0, 0));
        let other = json!({"amount": "6", "transferId": "custody-1"});
        let (status, answer) = operate(world, &tail, other).await;
        assert_eq!(
            (status, &answer["name"]),
            (409, &json!("other_proposal_open"))
        );
        together.approve(&seen).await;
        assert_eq!(world.allocated(connection, "ofceth").await, (5, 0));
        let known = operated(world, &tail, body).await;
        assert_eq!(known["secondOperatorRequired"], true);

        // That it was sent moves nothing, and needs one.
        let transaction = json!({"onChainTxId": "b1"});
        let sent = losses(world, id, "ofcbtc", "started", transaction.clone()).await;
        assert_eq!(sent["secondOperatorRequired"], true);
        let leg = format!("/onChainSettlements/{id}/losses/ofcbtc");
        let left = together
            .propose(
                &format!("{leg}/seen"),
                transaction,
                "on_chain_withdrawal_seen",
            )
            .await;
        assert_eq!(left["act"]["settlementId"], json!(id.to_string()));
        assert_eq!(left["act"]["onChainTxId"], "b1");
        assert_eq!(world.allocated(connection, "ofcbtc").await, (40, 60));
        together.approve(&left).await;
        assert_eq!(world.allocated(connection, "ofcbtc").await, (40, 0));
        assert_eq!(state(world, id).await["status"], "completed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_operators_give_up_what_chains_do_not_take() {
    on_each_database(enabled(), async |world| {
        let (connection, _) = world.connect().await;
        allocate(&world.client, connection, "ofcbtc", 100).await;
        let together = Together::of(world).await;
        let reason = json!({"reason": "the chain has stopped"});

        let amounts = json!({connection.to_string(): {"BTC": "-60", "ETH": "5"}});
        let id = started(world, "given-up", &amounts).await;
        let own = format!("/onChainSettlements/{id}");
        let tail = format!("{own}/losses/ofcbtc/failed");
        let failed = together
            .propose(&tail, reason.clone(), "on_chain_withdrawal_failed")
            .await;
        assert_eq!(world.allocated(connection, "ofcbtc").await, (40, 60));
        together.approve(&failed).await;
        assert_eq!(world.allocated(connection, "ofcbtc").await, (100, 0));
        let tail = format!("{own}/gains/ofceth/failed");
        let failed = together
            .propose(&tail, reason.clone(), "on_chain_gains_failed")
            .await;
        assert_eq!(state(world, id).await["status"], "pending");
        together.approve(&failed).await;
        assert_eq!(state(world, id).await["status"], "failed");

        let id = started(world, "rejected", &amounts).await;
        let tail = format!("/onChainSettlements/{id}/reject");
        let rejected = together
            .propose(&tail, reason.clone(), "reject_on_chain")
            .await;
        assert_eq!(rejected["act"]["reason"], reason["reason"]);
        assert_eq!(state(world, id).await["status"], "pending");
        together.approve(&rejected).await;
        assert_eq!(state(world, id).await["status"], "rejected");
        assert_eq!(world.allocated(connection, "ofcbtc").await, (100, 0));

        // What came for a settlement that was never posted.
        let before = partners_own(world, "ETH").await;
        let (deposits, never) = announced(world, "never", &[("ETH", "n1")]).await;
        let tail = format!("/onChainDeposits/{}/seen", deposits[0]);
        let body = json!({"amount": "7", "transferId": "custody-2"});
        let seen = together.propose(&tail, body, "on_chain_deposit_seen").await;
        together.approve(&seen).await;
        let tail = format!("/onChainSettlements/{never}/gains/ofceth/returned");
        let returned = together
            .propose(&tail, Value::Null, "return_received")
            .await;
        assert_eq!(partners_own(world, "ETH").await, before);
        together.approve(&returned).await;
        let units = |text: &str| text.parse::<i128>().expect("base units");
        let after = partners_own(world, "ETH").await;
        assert_eq!(units(&after.0) - units(&before.0), 7);
    })
    .await;
}
