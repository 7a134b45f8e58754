//! The whole life of an off-exchange trade.

use reqwest::Method;
use serde_json::json;
use wire::api::allocations::AcceptedAllocation;

use crate::fixture::{Options, on_each_database, request};

#[tokio::test(flavor = "multi_thread")]
async fn from_create_partner_to_a_settled_trade() {
    on_each_database(Options::default(), async |world| {
        let (connection, account) = world.connect().await;

        let allocated = world
            .client
            .allocate(connection, request("ofcbtc", 400, "a-1"))
            .await
            .expect("an allocation");
        assert!(matches!(
            allocated.allocation,
            AcceptedAllocation::Cleared(_)
        ));
        assert_eq!(world.custody("ofcbtc").await, (999_999_600, 0));
        assert_eq!(world.allocated(connection, "ofcbtc").await, (400, 0));

        // The exchange credits when it is told of the commit.
        let trade = json!({
            "accountId": account,
            "base": {"currency": "BTC", "quantity": "-100"},
            "quote": {"currency": "USDT", "quantity": "6000"},
        });
        while world.control(Method::GET, "accounts", &json!(null)).await["accounts"][0]["balances"]
            ["BTC"]["free"]
            != "400"
        {
            tokio::task::yield_now().await;
        }
        world.control(Method::POST, "trades", &trade).await;
        let settled = world.control(Method::POST, "settlements", &json!({})).await;
        assert_eq!(settled["network"]["status"], 200, "{settled}");
        assert_eq!(world.allocated(connection, "ofcbtc").await, (300, 0));
        assert_eq!(world.allocated(connection, "ofcusdt").await, (6000, 0));

        let back = world
            .client
            .deallocate(connection, request("ofcusdt", 6000, "d-1"))
            .await
            .expect("a deallocation");
        assert!(matches!(back.deallocation, AcceptedAllocation::Cleared(_)));
        assert_eq!(world.custody("ofcusdt").await, (900_006_000, 0));
    })
    .await;
}
