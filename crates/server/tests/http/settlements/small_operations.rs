//! P12, P17, P19: the former path of settlements, and the payloads to sign for on-chain deposits
//! and for trades.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_former_path_settles_like_the_other_one() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        let amounts = json!({connection.to_string(): {"BTC": "5"}});
        let content = settlement("former", &amounts);
        let body = signed_as(&content, &content.to_string(), &world.partner_key);
        let former = path(PARTNER, "/partners/settlements/nonReconciled");
        let token = Some(world.partner_token.as_str());
        let (status, _, answer) = world.raw(Method::POST, &former, token, Some(&body)).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["settlement"]["status"], "completed");
        assert_eq!(on_connection(world, connection, "BTC").await, "5");
        // It is the same request under either path, and acts once.
        let (status, again) = post(world, &body).await;
        assert_eq!((status, &again), (200, &answer));
        assert_eq!(on_connection(world, connection, "BTC").await, "5");

        let short = json!({connection.to_string(): {"ETH": "-5"}});
        let content = settlement("short", &short);
        let body = signed_as(&content, &content.to_string(), &world.partner_key);
        let (status, _, answer) = world.raw(Method::POST, &former, token, Some(&body)).await;
        assert_eq!(
            (status, &answer["settlement"]["status"]),
            (500, &json!("failed"))
        );
    })
    .await;
}

async fn to_sign(world: &World, method: Method, tail: &str, body: &Value) -> (u16, Value) {
    let path = path(PARTNER, tail);
    let (token, body) = (Some(world.partner_token.as_str()), body.to_string());
    let (status, _, answer) = world.raw(method, &path, token, Some(&body)).await;
    (status, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_and_trades_are_composed_to_be_signed() {
    let world = World::start(Options::default(), testkit::sqlite::fresh_file()).await;
    let id = Uuid::new_v4().to_string();
    let deposits = json!({
        "externalSettlementId": "day \"1\"",
        "settlementId": id,
        "deposits": [{"currency": "BTC", "onChainTxId": "a1"}, {"currency": "ETH", "onChainTxId": "a1"}],
    });
    let trade = json!({
        "trade": {
            "externalId": "t1", "externalOrderId": "o1", "partyConnectionId": id,
            "tradedAt": "2026-01-31T12:00:00.000Z",
            "base": {"currency": "BTC", "quantity": "-5"},
            "quote": {"currency": "USDT", "quantity": "500000"},
        },
        "tradeCorrection": {"correctingUser": "ops", "reason": "busted"},
        "nonce": "n1",
    });
    type Spoil = fn(&mut Value);
    type Spoils<'a> = &'a [(&'static str, Spoil)];
    let odd_deposits: [(&str, Spoil); 4] = [
        ("externalSettlementId", |d| {
            d["externalSettlementId"] = "".into()
        }),
        ("settlementId", |d| d["settlementId"] = "day-1".into()),
        ("deposits", |d| d["deposits"] = json!([])),
        ("deposits[1].onChainTxId", |d| {
            d["deposits"][1]["currency"] = "BTC".into()
        }),
    ];
    let odd_trades: [(&str, Spoil); 8] = [
        ("nonce", |t| t["nonce"] = Value::Null),
        ("trade", |t| t["trade"] = Value::Null),
        ("trade.tradedAt", |t| t["trade"]["tradedAt"] = "noon".into()),
        ("trade.base.quantity", |t| {
            t["trade"]["base"]["quantity"] = "0".into()
        }),
        ("trade.quote.quantity", |t| {
            t["trade"]["quote"]["quantity"] = "-7".into()
        }),
        ("trade.quote", |t| {
            drop(t["trade"].as_object_mut().and_then(|t| t.remove("quote")))
        }),
        ("trade.counterpartyConnectionId", |t| {
            t["trade"]["counterpartyConnectionId"] = t["trade"]["partyConnectionId"].clone();
        }),
        ("tradeCorrection.reason", |t| {
            t["tradeCorrection"]["reason"] = "".into()
        }),
    ];
    let cases: [(&str, Value, Spoils<'_>); 2] = [
        (
            "/partners/settlements/onchain/deposits/signing",
            deposits,
            &odd_deposits,
        ),
        ("/partners/trades/signing", trade, &odd_trades),
    ];
    for (tail, body, odd) in cases {
        for method in [Method::GET, Method::POST] {
            let (status, answer) = to_sign(&world, method.clone(), tail, &body).await;
            assert_eq!(status, 200, "{answer}");
            let payload = answer["payload"].as_str().expect("a payload");
            assert_eq!(serde_json::from_str::<Value>(payload).expect("JSON"), body);
            for (member, spoil) in odd {
                let mut odd = body.clone();
                spoil(&mut odd);
                let (status, answer) = to_sign(&world, method.clone(), tail, &odd).await;
                assert_eq!(status, 400, "{odd}: {answer}");
                assert_eq!(fields(&answer), [*member], "{odd}: {answer}");
            }
        }
        // Whoever may only read signs by GET alone.
        let reader = world.member_of(&[PARTNER]).await;
        let scopes = [rules::record::Scope::Read];
        let reader = crate::fixture::issue_token(&world.network, reader, &scopes).await;
        let text = body.to_string();
        for (method, expected) in [(Method::GET, 200), (Method::POST, 403)] {
            let path = path(PARTNER, tail);
            let (status, ..) = world.raw(method, &path, Some(&reader), Some(&text)).await;
            assert_eq!(status, expected, "{tail}");
        }
    }
    world.finish().await;
}
