//! Lists of connections: filters, pages, and what belongs to others.

use super::*;

/// A filter as a query: lists of names repeat their key, other lists are comma-separated.
fn query(filter: &Value) -> String {
    let mut pairs = Vec::new();
    for (name, value) in filter.as_object().expect("an object") {
        let text = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        match value.as_array() {
            Some(list) if name == "names" => {
                pairs.extend(list.iter().map(|entry| (name.clone(), text(entry))));
            }
            Some(list) => {
                let joined: Vec<String> = list.iter().map(text).collect();
                pairs.push((name.clone(), joined.join(",")));
            }
            None => pairs.push((name.clone(), text(value))),
        }
    }
    let mut url = reqwest::Url::parse("http://x").expect("a URL");
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}

/// The names of the connections of a list, in its order.
async fn names(world: &World, token: &str, path: &str, body: Option<&Value>) -> Vec<String> {
    let text = body.map(Value::to_string);
    let (status, _, heard) = world
        .raw(Method::GET, path, Some(token), text.as_deref())
        .await;
    assert_eq!(status, 200, "{path} {text:?}: {heard}");
    let list = heard["connections"].as_array().expect("a list");
    list.iter()
        .map(|c| c["name"].as_str().expect("a name").to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_narrowed_by_query_or_body_and_begin_with_the_newest() {
    on_each_database(Options::default(), async |world| {
        let pier = another_partner(world, "pier", None).await;
        let connect = async |client: &Client, partner: Uuid, name: &str| {
            exchange_is(world, partner).await;
            let (_, token) = world.exchange_account().await;
            let opened = client.connect(new_connection(partner, name, &token)).await;
            opened.expect("a connection").connection
        };
        let own = &world.client;
        let one = connect(own, world.partner_id, "one").await;
        let ab = connect(own, world.partner_id, "a, b").await;
        let three = connect(own, pier, "three").await;
        let neighbour = southwind(world, "Meridian").await;
        let four = connect(&neighbour, world.partner_id, "four").await;
        let stop = ConnectionUpdate {
            active: Some(false),
            name: None,
        };
        own.update_connection(one.id, &stop).await.expect("a stop");

        let nobody = Uuid::new_v4();
        let partners_id = |c: &wire::api::connections::Connection| c.partners_connection_id.clone();
        let for_client: Vec<(Value, &[&str])> = vec![
            (json!({}), &["three", "a, b", "one"]),
            (json!({"active": true}), &["three", "a, b"]),
            (json!({"active": false}), &["one"]),
            (json!({"connectionIds": [one.id.to_string(), three.id.to_string()]}), &["three", "one"]),
            (json!({"connectionIds": [one.id.to_string().to_uppercase()]}), &["one"]),
            (json!({"connectionIds": [nobody.to_string()]}), &[]),
            (json!({"connectionIds": [four.id.to_string()]}), &[]),
            (json!({"names": ["a, b"]}), &["a, b"]),
            (json!({"names": ["one", "a, b", "four"]}), &["a, b", "one"]),
            (json!({"names": ["a"]}), &[]),
            (json!({"partnerIds": [pier.to_string()]}), &["three"]),
            (json!({"partnerIds": [pier.to_string(), world.partner_id.to_string()]}), &["three", "a, b", "one"]),
            (json!({"partnerIds": [world.partner_id.to_string()], "active": true}), &["a, b"]),
            (json!({"pageSize": "1"}), &["three"]),
            (json!({"pageSize": "1", "pageNumber": "1"}), &["a, b"]),
            (json!({"pageSize": "2", "pageNumber": "1"}), &["one"]),
            (json!({"pageSize": "2", "pageNumber": "2"}), &[]),
            (json!({"pageSize": "500", "pageNumber": "0"}), &["three", "a, b", "one"]),
            (json!({"pageSize": "1", "active": true, "pageNumber": "1"}), &["a, b"]),
            (json!({"unheardOf": "x"}), &["three", "a, b", "one"]),
        ];
        let for_partner: Vec<(Value, &[&str])> = vec![
            (json!({}), &["four", "three", "a, b", "one"]),
            (json!({"active": false}), &["one"]),
            (json!({"active": true}), &["four", "three", "a, b"]),
            (json!({"clientIds": [four.client_id.to_string()]}), &["four"]),
            (json!({"clientIds": [one.client_id.to_string(), four.client_id.to_string()], "active": true}), &["four", "three", "a, b"]),
            (json!({"connectionIds": [four.id.to_string(), ab.id.to_string()]}), &["four", "a, b"]),
            (json!({"partnersConnectionIds": [partners_id(&ab), partners_id(&three)]}), &["three", "a, b"]),
            (json!({"partnersClientIds": [four.partners_client_id]}), &["four"]),
            (json!({"partnersClientIds": ["nobody"]}), &[]),
            (json!({"partnerIds": [pier.to_string()]}), &["three"]),
            (json!({"partnerIds": [nobody.to_string()]}), &[]),
            (json!({"pageSize": "3", "pageNumber": "1"}), &["one"]),
        ];
        let client_path = format!("{OWN}/clients/connections");
        let partner_path = format!("/api/network/v1/enterprises/{PARTNER}/partners/connections");
        let sides = [
            (&client_path, &world.client_token, for_client),
            (&partner_path, &world.partner_token, for_partner),
        ];
        for (path, token, cases) in sides {
            for (filter, expected) in cases {
                let by_query = names(world, token, &format!("{path}?{}", query(&filter)), None).await;
                assert_eq!(by_query, expected, "?{}", query(&filter));
                let by_body = names(world, token, path, Some(&filter)).await;
                assert_eq!(by_body, expected, "{filter}");
            }
        }

        // Ways of saying the same, and what is no filter.
        let token = &world.client_token;
        let (a, b) = (one.id, three.id);
        let said = [
            (format!("?connectionIds={a}&connectionIds={b}"), None),
            (format!("?connectionIds[]={a}&connectionIds[]={b}"), None),
            (String::new(), Some(json!({"connectionIds": format!("{a},{b}")}))),
            (String::new(), Some(json!({"connectionIds": [null, a.to_string(), b.to_string()]}))),
            // Member by member, the query wins.
            (format!("?connectionIds={a},{b}"), Some(json!({"connectionIds": [ab.id.to_string()]}))),
            (format!("?connectionIds={a},{b}"), Some(json!({"names": ["one", "three"]}))),
        ];
        for (query, body) in said {
            let path = format!("{client_path}{query}");
            let heard = names(world, token, &path, body.as_ref()).await;
            assert_eq!(heard, ["three", "one"], "{query} {body:?}");
        }
        let none = [
            ("", Some(json!({"names": [], "connectionIds": [], "active": null}))),
            ("", Some(json!({"names": [null], "partnerIds": null}))),
            ("?names=&connectionIds=", None),
            ("?", None),
            ("", Some(json!({"active": true, "pageSize": 500, "pageNumber": 0, "names": null}))),
        ];
        for (query, body) in none {
            let path = format!("{client_path}{query}");
            let heard = names(world, token, &path, body.as_ref()).await;
            let active_only = body.as_ref().is_some_and(|body| body["active"] == true);
            let expected: &[&str] = match active_only {
                true => &["three", "a, b"],
                false => &["three", "a, b", "one"],
            };
            assert_eq!(heard, expected, "{query} {body:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_filters_are_told_all_at_once() {
    on_each_database(Options::default(), async |world| {
        let cases: [(Value, &[&str]); 10] = [
            (json!({"active": "maybe"}), &["active"]),
            (json!({"connectionIds": ["x"]}), &["connectionIds"]),
            (json!({"partnerIds": ["x"]}), &["partnerIds"]),
            (json!({"pageSize": "0"}), &["pageSize"]),
            (json!({"pageSize": "501"}), &["pageSize"]),
            (json!({"pageSize": "ten"}), &["pageSize"]),
            (json!({"pageNumber": "-1"}), &["pageNumber"]),
            (json!({"pageNumber": "1.5"}), &["pageNumber"]),
            (
                json!({"pageNumber": "99999999999999999999999"}),
                &["pageNumber"],
            ),
            (
                json!({"active": "1", "connectionIds": ["x"], "pageNumber": "x", "pageSize": "x"}),
                &["active", "connectionIds", "pageNumber", "pageSize"],
            ),
        ];
        let sides = [
            (format!("{OWN}/clients/connections"), &world.client_token),
            (
                format!("/api/network/v1/enterprises/{PARTNER}/partners/connections"),
                &world.partner_token,
            ),
        ];
        for (path, token) in sides {
            for (filter, fields) in &cases {
                let by_query = format!("{path}?{}", query(filter));
                let by_query = world.raw(Method::GET, &by_query, Some(token), None).await;
                let body = filter.to_string();
                let by_body = world
                    .raw(Method::GET, &path, Some(token), Some(&body))
                    .await;
                for (status, _, heard) in [by_query, by_body] {
                    assert_eq!(
                        (status, blamed(&heard).as_slice()),
                        (400, *fields),
                        "{heard}"
                    );
                }
            }
            for body in ["{", "[]", "1", r#"{"active":true,"active":true}"#] {
                let (status, _, heard) =
                    world.raw(Method::GET, &path, Some(token), Some(body)).await;
                assert_eq!(status, 400, "{body}: {heard}");
            }
            let path = format!("{path}?names=%ff");
            let (status, _, heard) = world.raw(Method::GET, &path, Some(token), None).await;
            assert_eq!(status, 400, "{heard}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_others_look_like_none() {
    on_each_database(Options::default(), async |world| {
        let (own, _) = world.connect().await;
        let neighbour = southwind(world, "Meridian").await;
        let (_, token) = world.exchange_account().await;
        let foreign = neighbour
            .connect(new_connection(world.partner_id, "x", &token))
            .await;
        let foreign = foreign.expect("a connection").connection.id;
        let partner = format!("/api/network/v1/enterprises/{PARTNER}");
        let (mine, theirs) = (&world.client_token, &world.partner_token);
        let nobody = Uuid::new_v4();
        let unseen = [
            (
                Method::GET,
                format!("{OWN}/clients/connections/{foreign}"),
                mine,
            ),
            (
                Method::GET,
                format!("{OWN}/clients/connections/{nobody}"),
                mine,
            ),
            (
                Method::PUT,
                format!("{OWN}/clients/connections/{foreign}"),
                mine,
            ),
            (
                Method::PUT,
                format!("{OWN}/clients/connections/{nobody}"),
                mine,
            ),
            // A connection has two sides, and each looks from its own.
            (
                Method::GET,
                format!("{OWN}/partners/connections/{own}"),
                mine,
            ),
            (
                Method::GET,
                format!("{partner}/clients/connections/{own}"),
                theirs,
            ),
            (
                Method::PUT,
                format!("{partner}/clients/connections/{own}"),
                theirs,
            ),
            (
                Method::GET,
                format!("{partner}/partners/connections/{nobody}"),
                theirs,
            ),
        ];
        let mut told = Vec::new();
        for (method, path, token) in unseen {
            let body = (method == Method::PUT).then_some(r#"{"name":"mine"}"#);
            let heard = world.raw(method, &path, Some(token), body).await;
            assert_refused(&heard, 404, "connection_not_found");
            told.push(heard.2["error"].clone());
        }
        assert!(told.iter().all(|error| *error == told[0]), "{told:?}");
        for (path, token) in [
            (format!("{OWN}/clients/connections/x"), mine),
            (format!("{OWN}/clients/connections/{{{own}}}"), mine),
            (format!("{OWN}/clients/connections/{}", own.simple()), mine),
            (format!("{partner}/partners/connections/x"), theirs),
        ] {
            let (status, _, heard) = world.raw(Method::GET, &path, Some(token), None).await;
            assert_eq!(
                (status, blamed(&heard)),
                (400, vec!["connectionId"]),
                "{path}"
            );
        }
        let path = format!("{OWN}/partners/connections");
        assert!(names(world, mine, &path, None).await.is_empty());
        let kept = neighbour.client_connection(foreign).await.expect("its own");
        assert_eq!(kept.connection.name, "x");

        // Both sides see the same connection.
        let seen = world.client.client_connection(own).await.expect("C7");
        let also = world.partner.partner_connection(own).await.expect("P3");
        assert_eq!(seen, also);
    })
    .await;
}
