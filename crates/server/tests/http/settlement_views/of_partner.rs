//! What the partner sees of its settlements.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_partner_lists_what_it_posted() {
    on_each_database(Options::default(), async |world| {
        let week = Week::pass(world).await;
        let [first, second, third, _] = &week.ids;
        let partner = eyes(&world.partner_token, PARTNER);
        let posted = seen_by_partner(world, second, "").await["settlement"].clone();
        let at = posted["createdAt"].as_str().expect("a time").to_owned();
        // The same instant, told elsewhere.
        let instant: jiff::Timestamp = at.parse().expect("a time");
        let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(2));
        let elsewhere = instant
            .to_zoned(zone)
            .strftime("%Y-%m-%dT%H:%M:%S%.3f%:z")
            .to_string();
        assert!(elsewhere.ends_with("+02:00"), "{elsewhere}");
        // Day 3 is funded, and so changes last of all.
        deposit(
            &world.network,
            world.client_account,
            "ofcusdt",
            1_000_000_000,
        )
        .await;
        world.clock.advance(Duration::from_secs(60));
        allocate(&world.client, uuid(&week.one), "ofcusdt", 1_000_000_000).await;
        let amounts = json!({
            week.one.as_str(): {"USDT": "-980000027"},
            week.there.as_str(): {"ETH": "3000017"},
        });
        let completed = settled(world, "day-3", &amounts).await;
        assert_eq!(completed, uuid(third));
        let shown = seen_by_partner(world, third, "").await["settlement"].clone();
        let changed = shown["updatedAt"].as_str().expect("a time").to_owned();
        assert_ne!(shown["createdAt"], shown["updatedAt"]);

        let unknown = Uuid::new_v4().to_string();
        let all = vec!["day-4", "day-3", "day-2", "day-1"];
        for (filter, expected) in [
            (json!({}), all.clone()),
            (
                json!({"settlementIds": [first, third, unknown]}),
                vec!["day-3", "day-1"],
            ),
            (
                json!({"externalIds": ["day-2", "day-4", "day-9"]}),
                vec!["day-4", "day-2"],
            ),
            (
                json!({"partnerIds": [world.partner_id.to_string()]}),
                all.clone(),
            ),
            (json!({"partnerIds": [unknown]}), vec![]),
            (
                json!({"partyConnectionIds": [week.two, week.one]}),
                vec!["day-3", "day-2", "day-1"],
            ),
            (
                json!({"partyConnectionIds": [week.there]}),
                vec!["day-4", "day-3", "day-1"],
            ),
            (json!({"counterpartyConnectionIds": [week.there]}), vec![]),
            (
                json!({"createdOnOrAfter": at}),
                vec!["day-4", "day-3", "day-2"],
            ),
            (
                json!({"createdOnOrAfter": elsewhere}),
                vec!["day-4", "day-3", "day-2"],
            ),
            (json!({"createdBefore": at}), vec!["day-1"]),
            (json!({"createdOnOrAfter": at, "createdBefore": at}), vec![]),
            (json!({"updatedOnOrAfter": changed}), vec!["day-3"]),
            (
                json!({"updatedBefore": changed}),
                vec!["day-4", "day-2", "day-1"],
            ),
            (json!({"createdOnOrAfter": changed}), vec![]),
            (json!({"onlyShowDisputed": true}), vec![]),
            (json!({"onlyShowDisputed": false}), all.clone()),
            (json!({"pageSize": 3}), vec!["day-4", "day-3", "day-2"]),
            (json!({"pageSize": 3, "pageNumber": 1}), vec!["day-1"]),
            (json!({"pageSize": 3, "pageNumber": 2}), vec![]),
        ] {
            let found = list(world, &partner, "/partners/settlements", &filter).await;
            let found = texts(&found["settlements"], "externalId");
            assert_eq!(found, expected, "{filter}");
        }
        let found = list(world, &partner, "/partners/settlements", &json!({})).await;
        for settlement in found["settlements"].as_array().expect("a list") {
            assert!(
                settlement.get("transferDirection").is_none(),
                "{settlement}"
            );
            assert_eq!(settlement["status"], "completed");
            assert!(settlement["finalizedAt"].is_string(), "{settlement}");
        }
        for query in [
            "createdBefore=now",
            "updatedOnOrAfter=2026-01-31T12:00:00",
            "partnerIds=x",
        ] {
            let path = path(PARTNER, &format!("/partners/settlements?{query}"));
            let (status, answer) = get(world, &world.partner_token, &path).await;
            assert_eq!(status, 400, "{query}: {answer}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_partner_reads_a_settlement_with_all_its_transfers() {
    on_each_database(Options::default(), async |world| {
        let week = Week::pass(world).await;
        let [first, _, third, _] = &week.ids;
        let partner = eyes(&world.partner_token, PARTNER);
        let read = |id: &str| format!("/partners/settlements/{id}");
        let of = async |client: &client::Client, id: &str| {
            let connection = client.client_connection(uuid(id)).await;
            let connection = connection.expect("a connection").connection;
            connection.network_account_id.to_string()
        };
        let one = of(&world.client, &week.one).await;
        let there = of(&week.south.client, &week.there).await;
        let north = world.client_account;
        let south = week.south.account;
        let own = world.partner_account;

        let shown = list(world, &partner, &read(first), &json!({})).await;
        assert_eq!(shown["settlingDisputes"], json!([]));
        assert_eq!(shown["settlementDisputes"], json!([]));
        for transfer in shown["settlementTransfers"].as_array().expect("a list") {
            assert_eq!(transfer["sourceTradingAccountId"], own.to_string());
            assert!(
                transfer.get("sourceNetworkAccountId").is_none(),
                "{transfer}"
            );
            assert_eq!(transfer["status"], "completed");
            assert_eq!(transfer["settlementId"], json!(first));
            assert!(!transfer["txIds"].as_array().expect("ids").is_empty());
            for masked in ["usdValue", "sourceClientName", "settlementStatus"] {
                assert!(transfer.get(masked).is_none(), "{masked}: {transfer}");
            }
        }
        let (btc, usdt, gain) = ("BTC -7000003", "USDT 61000001", "BTC 7000033");
        let mut sorted = vec![btc, usdt, gain];
        sorted.sort_unstable();
        for (filter, mut expected) in [
            (json!({}), sorted.clone()),
            (json!({"currencies": ["BTC"]}), vec![btc, gain]),
            (json!({"currencies": ["USDT", "ETH"]}), vec![usdt]),
            // The network's tickers are none of the partner's.
            (json!({"currencies": ["ofcbtc"]}), vec![]),
            (
                json!({"destinationNetworkAccountIds": [one]}),
                vec![btc, usdt],
            ),
            (
                json!({"destinationNetworkAccountIds": [one, there]}),
                sorted.clone(),
            ),
            (json!({"sourceNetworkAccountIds": [one]}), vec![]),
            // Go Accounts in either spelling.
            (
                json!({"destinationTradingAccountIds": [north.to_string()]}),
                vec![btc, usdt],
            ),
            (
                json!({"destinationTradingAccountIds": [south.0.to_string()]}),
                vec![gain],
            ),
            (
                json!({"sourceTradingAccountIds": [own.to_string()]}),
                sorted.clone(),
            ),
            (
                json!({"sourceTradingAccountIds": [north.to_string()]}),
                vec![],
            ),
            (
                json!({"destinationNetworkAccountIds": [one], "currencies": ["USDT"]}),
                vec![usdt],
            ),
        ] {
            let shown = list(world, &partner, &read(first), &filter).await;
            let transfers = shown["settlementTransfers"].as_array().expect("a list");
            let text = |t: &Value| {
                let text = |member: &str| t[member].as_str().expect(member).to_owned();
                format!("{} {}", text("currency"), text("quantity"))
            };
            let mut found: Vec<String> = transfers.iter().map(text).collect();
            found.sort();
            expected.sort_unstable();
            assert_eq!(found, expected, "{filter}");
        }
        let mut paged = Vec::new();
        for page in 0..4 {
            let filter = json!({"pageSize": 1, "pageNumber": page});
            let shown = list(world, &partner, &read(first), &filter).await;
            paged.extend(texts(&shown["settlementTransfers"], "id"));
        }
        let whole = list(world, &partner, &read(first), &json!({})).await;
        assert_eq!(paged, texts(&whole["settlementTransfers"], "id"));

        // The partner learns why a settlement failed.
        let shown = list(world, &partner, &read(third), &json!({})).await;
        let reason = shown["settlement"]["reason"].as_str().expect("a reason");
        assert!(reason.contains("980000027"), "{reason}");
        assert!(reason.contains(&week.one), "{reason}");

        let unknown = Uuid::new_v4().to_string();
        for (token, enterprise, id) in [
            (&world.client_token, CLIENT, first.as_str()),
            (&week.south.token, SOUTHWIND, first),
            (&world.partner_token, PARTNER, unknown.as_str()),
        ] {
            let (status, answer) = get(world, token, &path(enterprise, &read(id))).await;
            assert_eq!(status, 404, "{enterprise}: {answer}");
        }
        let odd = path(
            PARTNER,
            &format!("{}?sourceTradingAccountIds=xyz", read(first)),
        );
        assert_eq!(get(world, &world.partner_token, &odd).await.0, 400);
    })
    .await;
}
