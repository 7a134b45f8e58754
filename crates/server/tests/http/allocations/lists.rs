//! Lists of records: for clients, and for partners in their own words.

use super::*;

/// Records of every kind and state, a second apart: their connections, and their ids by name.
async fn records(world: &World) -> ((String, String), Vec<(&'static str, Value)>) {
    let (a, _) = world.connect().await;
    let (b, _) = world.connect().await;
    let (up, down) = (Kind::Allocation, Kind::Deallocation);
    let mut made = Vec::new();
    for (name, kind, connection, ticker, units) in [
        ("btc-300", up, a, "ofcbtc", 300),
        ("eth-1000", up, a, "ofceth", 1_000),
        ("too-much", up, a, "ofcbtc", 10_i128.pow(30)),
        ("btc-50", up, b, "ofcbtc", 50),
        ("back-50", down, a, "ofcbtc", 50),
        ("open-70", up, b, "ofcbtc", 70),
    ] {
        if name == "open-70" {
            let calls = up.calls();
            let faults = [calls.reserve, calls.status]
                .map(|call| json!({"call": call, "times": 1_000, "action": "error500"}));
            world.script_faults(json!(faults)).await;
        }
        if name == "back-50" {
            let first: &(&str, Value) = &made[0];
            stands(world, &text(&first.1["id"]), "cleared").await;
        }
        let said = ask(world, kind, connection, request(ticker, units, name)).await;
        made.push((name, appears(world, name).await));
        assert_eq!(made[made.len() - 1].1["id"], said.id(kind));
        world.clock.advance(std::time::Duration::from_secs(1));
    }
    ((a.to_string(), b.to_string()), made)
}

/// The external ids of a list.
fn listed(said: &Said) -> Vec<String> {
    assert_eq!(said.status, 200, "{said:?}");
    let list = said.body["allocations"].as_array().expect("a list");
    list.iter().map(|r| text(&r["clientExternalId"])).collect()
}

/// Asks for a list with the filter in the query and, as the public SDK does, in a JSON body.
async fn list_both_ways(world: &World, token: &str, path: &str, filter: &Value, names: &[&str]) {
    let filter_members = filter.as_object().expect("an object");
    let pairs = filter_members.iter().map(|(name, value)| {
        let value = match value {
            Value::Array(entries) => {
                let entries: Vec<String> = entries.iter().map(text).collect();
                entries.join(",")
            }
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        format!("{name}={value}")
    });
    let query: Vec<String> = pairs.collect();
    let by_query = get(world, token, &format!("{path}?{}", query.join("&")), None).await;
    assert_eq!(listed(&by_query), names, "{query:?}");
    let by_body = get(world, token, path, Some(&filter.to_string())).await;
    assert_eq!(listed(&by_body), names, "{filter}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_list_by_every_filter_in_any_order_page_by_page() {
    on_each_database(idle(), async |world| {
        let ((a, b), made) = records(world).await;
        let all = [
            "btc-300", "eth-1000", "too-much", "btc-50", "back-50", "open-70",
        ];
        let member = |index: usize, name: &str| made[index].1[name].clone();
        let mut by_id: Vec<(String, &str)> = made
            .iter()
            .map(|(name, r)| (text(&r["id"]), *name))
            .collect();
        by_id.sort_unstable();
        let by_id: Vec<&str> = by_id.into_iter().map(|(_, name)| name).collect();
        let nobody = json!([Uuid::new_v4().to_string()]);
        let partner = json!([world.partner_id.to_string()]);
        let cases: Vec<(Value, Vec<&str>)> = vec![
            (json!({}), all.to_vec()),
            (
                json!({"allocationIds": [member(3, "id"), member(0, "id")]}),
                vec!["btc-300", "btc-50"],
            ),
            (json!({"allocationIds": nobody}), vec![]),
            (json!({"allocationIds": []}), all.to_vec()),
            (
                json!({"types": ["allocation"]}),
                vec!["btc-300", "eth-1000", "too-much", "btc-50", "open-70"],
            ),
            (json!({"types": ["deallocation"]}), vec!["back-50"]),
            (
                json!({"types": ["allocation", "deallocation"]}),
                all.to_vec(),
            ),
            (json!({"statuses": ["released"]}), vec!["too-much"]),
            (
                json!({"statuses": ["reserved", "released"]}),
                vec!["too-much", "open-70"],
            ),
            (
                json!({"statuses": ["cleared"]}),
                vec!["btc-300", "eth-1000", "btc-50", "back-50"],
            ),
            (json!({"currencies": ["ofceth"]}), vec!["eth-1000"]),
            (json!({"currencies": ["ofceth", "ofcbtc"]}), all.to_vec()),
            (json!({"currencies": ["ETH"]}), vec![]),
            (json!({"connectionIds": [b]}), vec!["btc-50", "open-70"]),
            (json!({"connectionIds": [a, b]}), all.to_vec()),
            (json!({"connectionIds": nobody}), vec![]),
            (json!({"partnerIds": partner}), all.to_vec()),
            (json!({"partnerIds": nobody}), vec![]),
            // From a time on, its own instant included; before a time, its own instant excluded.
            (
                json!({"createdOnOrAfter": member(3, "createdAt")}),
                vec!["btc-50", "back-50", "open-70"],
            ),
            (
                json!({"createdBefore": member(3, "createdAt")}),
                vec!["btc-300", "eth-1000", "too-much"],
            ),
            (
                json!({
                    "createdOnOrAfter": member(1, "createdAt"),
                    "createdBefore": member(3, "createdAt"),
                }),
                vec!["eth-1000", "too-much"],
            ),
            // Together they narrow each other.
            (
                json!({"currencies": ["ofcbtc"], "connectionIds": [a], "statuses": ["cleared"]}),
                vec!["btc-300", "back-50"],
            ),
            // Numbers, not texts; equal ones by age, whatever the direction.
            (
                json!({"sortField": "quantity"}),
                vec![
                    "btc-50", "back-50", "open-70", "btc-300", "eth-1000", "too-much",
                ],
            ),
            (
                json!({"sortField": "quantity", "sortDirection": "DESC"}),
                vec![
                    "too-much", "eth-1000", "btc-300", "open-70", "btc-50", "back-50",
                ],
            ),
            (
                json!({"sortField": "currency", "sortDirection": "ASC"}),
                vec![
                    "btc-300", "too-much", "btc-50", "back-50", "open-70", "eth-1000",
                ],
            ),
            (
                json!({"sortField": "currency", "sortDirection": "DESC"}),
                vec![
                    "eth-1000", "btc-300", "too-much", "btc-50", "back-50", "open-70",
                ],
            ),
            (
                json!({"sortField": "updatedAt", "sortDirection": "DESC"}),
                all.iter().rev().copied().collect(),
            ),
            (json!({"sortField": "id"}), by_id.clone()),
            (
                json!({"sortField": "id", "sortDirection": "DESC"}),
                by_id.iter().rev().copied().collect(),
            ),
            (json!({"pageSize": 4}), all[..4].to_vec()),
            (
                json!({"pageSize": "4", "pageNumber": "1"}),
                all[4..].to_vec(),
            ),
            (json!({"pageSize": 4, "pageNumber": 2}), vec![]),
            (json!({"pageSize": 500}), all.to_vec()),
            (
                json!({"sortField": "quantity", "pageSize": 2, "pageNumber": 1}),
                vec!["open-70", "btc-300"],
            ),
        ];
        let path = format!("{}/allocations", clients());
        for (filter, names) in &cases {
            list_both_ways(world, &world.client_token, &path, filter, names).await;
        }

        // Query and body complete each other, member by member, and the query wins.
        let body = json!({"connectionIds": [b], "currencies": ["ofceth"], "sortDirection": null});
        let query = format!("{path}?currencies=ofcbtc");
        let both = get(world, &world.client_token, &query, Some(&body.to_string())).await;
        assert_eq!(listed(&both), ["btc-50", "open-70"]);
        // Repeated keys are a list as well.
        let query = format!("{path}?currencies=ofceth&currencies=ofcdoge&statuses[]=cleared");
        let repeated = get(world, &world.client_token, &query, None).await;
        assert_eq!(listed(&repeated), ["eth-1000"]);

        for (filter, fields) in [
            (json!({"pageSize": 501}), vec!["pageSize"]),
            (json!({"pageSize": 0}), vec!["pageSize"]),
            (json!({"pageNumber": "-1"}), vec!["pageNumber"]),
            (json!({"pageNumber": "1.5"}), vec!["pageNumber"]),
            (json!({"allocationIds": ["first"]}), vec!["allocationIds"]),
            (json!({"types": ["transfer"]}), vec!["types"]),
            (json!({"statuses": ["pending"]}), vec!["statuses"]),
            (json!({"sortField": "createdAt"}), vec!["sortField"]),
            (json!({"sortDirection": "up"}), vec!["sortDirection"]),
            (json!({"createdBefore": "yesterday"}), vec!["createdBefore"]),
            (
                json!({"connectionIds": ["x"], "partnerIds": ["y"], "pageSize": "z"}),
                vec!["connectionIds", "pageSize", "partnerIds"],
            ),
        ] {
            let body = filter.to_string();
            let said = get(world, &world.client_token, &path, Some(&body)).await;
            said.malformed(&fields);
        }
        let said = get(world, &world.client_token, &path, Some("[")).await;
        said.refused(400, "invalid_request");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partners_list_in_their_own_words() {
    for (format, quantities) in [
        (AmountFormat::BaseUnits, ["300", "1000", "50"]),
        (
            AmountFormat::Decimal,
            ["0.000003", "0.000000000000001", "0.0000005"],
        ),
    ] {
        let options = Options {
            amount_format: format,
            ..idle()
        };
        on_each_database(options, async |world| {
            let ((a, b), made) = records(world).await;
            let path = format!("{}/allocations", partners());
            let token = &world.partner_token;
            let shown = get(world, token, &path, None).await;
            let shown = shown.body["allocations"].as_array().expect("a list").clone();
            let amount = |currency: &str, quantity: &str| {
                json!({"currency": currency, "quantity": quantity})
            };
            assert_eq!(shown[0]["amount"], amount("BTC", quantities[0]));
            assert_eq!(shown[1]["amount"], amount("ETH", quantities[1]));
            assert_eq!(shown[4]["amount"], amount("BTC", quantities[2]));
            // Everything else is what the client sees.
            for ((_, own), shown) in made.iter().zip(&shown) {
                let mut own = own.clone();
                own["amount"] = shown["amount"].clone();
                assert_eq!(&own, shown);
            }

            let client_id = shown_client(world, &a).await;
            let all = ["btc-300", "eth-1000", "too-much", "btc-50", "back-50", "open-70"];
            let nobody = json!([Uuid::new_v4().to_string()]);
            for (filter, names) in [
                (json!({"currencies": ["ETH"]}), vec!["eth-1000"]),
                (json!({"currencies": ["ofceth"]}), vec![]),
                (json!({"clientIds": [client_id]}), all.to_vec()),
                (json!({"clientIds": nobody}), vec![]),
                (json!({"allocationIds": [made[1].1["id"]]}), vec!["eth-1000"]),
                (json!({"types": ["deallocation"]}), vec!["back-50"]),
                (json!({"statuses": ["reserved"]}), vec!["open-70"]),
                (json!({"connectionIds": [b]}), vec!["btc-50", "open-70"]),
                (json!({"partnerIds": [world.partner_id.to_string()]}), all.to_vec()),
                (
                    json!({"sortField": "quantity", "sortDirection": "DESC", "pageSize": 2}),
                    vec!["too-much", "eth-1000"],
                ),
                (
                    json!({"sortField": "updatedAt", "pageSize": 4, "pageNumber": 1}),
                    vec!["back-50", "open-70"],
                ),
            ] {
                list_both_ways(world, token, &path, &filter, &names).await;
            }
            let query = format!("{path}?sortField=currency");
            get(world, token, &query, None).await.malformed(&["sortField"]);
        })
        .await;
    }
}

/// The client behind a connection, as the partner sees it.
async fn shown_client(world: &World, connection: &str) -> String {
    let connection = connection.parse().expect("an id");
    let shown = world.partner.partner_connection(connection).await;
    shown
        .expect("the connection")
        .connection
        .client_id
        .to_string()
}
