//! The examples of what a partner says to settle over the chain.

use reqwest::Method;
use serde_json::json;

use super::{Said, Walk, signed};
use crate::{fixture::World, settling::allocate};

pub(super) async fn walk(world: &World) -> Vec<Said> {
    let (connection, _) = world.connect().await;
    allocate(&world.client, connection, "ofcbtc", 100_000).await;
    let mut walk = Walk::of(world);
    let (get, post) = (Method::GET, Method::POST);
    let content = json!({
        "externalId": "chain-1",
        "settlementAmounts": {connection.to_string(): {"BTC": "-2500", "USDT": "40000"}},
        "nonce": client::fresh_nonce(),
    });
    let told = json!({"payload": content.to_string()});
    let body = signed(&content, &told, &world.partner_key);
    walk.partner(post.clone(), "/partners/settlements/onchain", body)
        .await;
    let content = json!({
        "externalSettlementId": "chain-1",
        "deposits": [{"currency": "USDT", "onChainTxId": "0x5bf1"}],
    });
    let tail = "/partners/settlements/onchain/deposits";
    let signing = format!("{tail}/signing");
    walk.partner(get, &signing, content.clone()).await;
    let told = walk.partner(post.clone(), &signing, content.clone()).await;
    let body = signed(&content, &told, &world.partner_key);
    walk.partner(post, tail, body).await;
    walk.said
}
