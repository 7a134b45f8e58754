//! Settlements as requests: what is signed, by whom, over whose connections.

use super::*;

pub(super) async fn sign(world: &World, method: Method, content: &Value) -> (u16, String, Value) {
    let path = path(PARTNER, "/partners/settlements-signing");
    let (token, body) = (Some(world.partner_token.as_str()), content.to_string());
    let (status, _, answer) = world.raw(method, &path, token, Some(&body)).await;
    let payload = answer["payload"].as_str().unwrap_or_default().to_owned();
    (status, payload, answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_signing_helper_answers_is_accepted() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        for (method, external_id) in [(Method::GET, "by-get"), (Method::POST, "by-post")] {
            let amounts = json!({connection.to_string(): {"BTC": "5", "ETH": "7"}});
            let mut content = settlement(external_id, &amounts);
            content["notes"] = "with \"quotes\" and ünïcode".into();
            let (status, payload, answer) = sign(world, method, &content).await;
            assert_eq!(status, 200, "{answer}");
            let said: Value = serde_json::from_str(&payload).expect("JSON");
            for (member, value) in content.as_object().expect("members") {
                assert_eq!(&said[member], value, "{member}");
            }
            // Nothing is stored by asking.
            assert_unknown(world, external_id).await;
            let body = signed_as(&content, &payload, &world.partner_key);
            let (status, answer) = post(world, &body).await;
            assert_eq!(status, 200, "{answer}");
        }
        // The helper shows what version 2 signs, too.
        let amounts = json!({connection.to_string(): {"BTC": "5"}});
        let mut staged = settlement("staged", &amounts);
        staged["cutoffAt"] = "2026-01-31T12:00:00Z".into();
        let (status, payload, _) = sign(world, Method::POST, &staged).await;
        assert_eq!(status, 200);
        assert!(payload.contains("2026-01-31T12:00:00Z"), "{payload}");

        for (member, value) in [
            ("externalId", Value::Null),
            ("externalId", json!("")),
            ("nonce", Value::Null),
            ("settlementAmounts", Value::Null),
            (
                "settlementAmounts",
                json!({connection.to_string(): {"BTC": "01"}}),
            ),
            ("cutoffAt", json!("yesterday")),
        ] {
            let mut odd = settlement("odd", &amounts);
            odd[member] = value;
            for method in [Method::GET, Method::POST] {
                let (status, _, answer) = sign(world, method, &odd).await;
                assert_eq!(status, 400, "{odd}: {answer}");
                let field = &fields(&answer)[0];
                assert!(field.starts_with(member), "{odd}: {answer}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payload_says_what_the_body_says_and_the_partner_signed_it() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        let amounts = json!({connection.to_string(): {"BTC": "5"}});
        let mut content = settlement("odd", &amounts);
        content["notes"] = "as agreed".into();
        let key = &world.partner_key;
        let says = |change: &dyn Fn(&mut Value)| {
            let mut payload = content.clone();
            change(&mut payload);
            signed_as(&content, &payload.to_string(), key)
        };
        let without = |member: &'static str| {
            says(&move |payload| {
                payload.as_object_mut().expect("members").remove(member);
            })
        };
        let twice = format!(r#"{{"nonce":"x",{}"#, &content.to_string()[1..]);
        let more = json!({connection.to_string(): {"BTC": "6"}});
        let number = json!({connection.to_string(): {"BTC": 5}});
        for (body, why) in [
            (without("externalId"), "no external id"),
            (without("settlementAmounts"), "no amounts"),
            (without("nonce"), "no nonce"),
            (without("notes"), "no notes"),
            (says(&|p| p["settlementAmounts"] = more.clone()), "other amounts"),
            (says(&|p| p["settlementAmounts"] = number.clone()), "a number for a text"),
            (says(&|p| p["externalId"] = "else".into()), "another id"),
            (says(&|p| p["nonce"] = "else".into()), "another nonce"),
            (says(&|p| p["notes"] = "else".into()), "other notes"),
            (says(&|p| p["more"] = "else".into()), "more than the body"),
            (says(&|p| p["enterpriseId"] = "else".into()), "another enterprise"),
            (signed_as(&content, &twice, key), "a member twice"),
            (signed_as(&content, "no JSON", key), "no JSON"),
            (signed_as(&content, "[]", key), "no object"),
        ] {
            let (status, answer) = post(world, &body).await;
            assert_eq!(status, 400, "{why}: {answer}");
            let error = answer["error"].as_str().expect("an error");
            assert!(error.contains("payload"), "{why}: {error}");
        }

        let with_signature = |signature: Value| {
            let mut body = content.clone();
            body["payload"] = content.to_string().into();
            body["signature"] = signature;
            body.to_string()
        };
        for signature in [json!("zz"), json!("1f"), json!(""), Value::Null, json!(7)] {
            let body = with_signature(signature);
            let (status, answer) = post(world, &body).await;
            assert_eq!((status, fields(&answer)), (400, vec!["signature".to_owned()]));
        }
        // Well-formed, and of somebody else or over something else.
        let elsewhere = key.sign("something else");
        for signature in [world.client_key.sign(content.to_string()), elsewhere] {
            let body = with_signature(signature.into());
            let path = path(PARTNER, "/partners/settlements");
            let token = Some(world.partner_token.as_str());
            let (status, headers, answer) =
                world.raw(Method::POST, &path, token, Some(&body)).await;
            assert_eq!(status, 401, "{answer}");
            assert!(headers.get("x-auth-required").is_none());
            assert!(answer["error"].is_string(), "{answer}");
        }
        assert_unknown(world, "odd").await;

        // Order, white space and the enterprise of the path are free.
        let free = format!(
            "{{ \"enterpriseId\": \"{PARTNER}\", \"notes\": \"as\\u0020agreed\",\n \"nonce\": {}, \"settlementAmounts\": {}, \"externalId\": \"odd\" }}",
            content["nonce"], content["settlementAmounts"]
        );
        let (status, answer) = post(world, &signed_as(&content, &free, key)).await;
        assert_eq!(status, 200, "{answer}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_settlement_is_of_one_partner_and_its_id_of_the_enterprise() {
    on_each_database(Options::default(), async |world| {
        let exchange = format!("http://{}", world.exchange.address);
        let agreed = configuration(PARTNER, "harbour-2", &exchange, &world.options);
        let hand = world.network.installation();
        hand.put_configuration(agreed)
            .await
            .expect("a configuration");
        let second = world
            .partner
            .register_partner(&NewPartner {
                name: "Harbour Two".to_owned(),
                institution_identifier: "harbour-2".to_owned(),
                ..new_partner()
            })
            .await
            .expect("a second partner")
            .partner
            .id;
        let (of_first, _) = world.connect().await;
        serve_as(world, second).await;
        let of_second = connect_to(world, &world.client, second, "second").await;
        serve_as(world, world.partner_id).await;

        let both = json!({of_first.to_string(): {"BTC": "1"}, of_second.to_string(): {"BTC": "1"}});
        let (status, answer) = settle(world, &settlement("both", &both)).await;
        assert_eq!(status, 400, "{answer}");
        assert!(
            fields(&answer)[0].starts_with("settlementAmounts"),
            "{answer}"
        );
        assert_unknown(world, "both").await;

        // The owner of the named connections is the partner that settles.
        let amounts = json!({of_second.to_string(): {"BTC": "1"}});
        let (status, answer) = settle(world, &settlement("one", &amounts)).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["settlement"]["partnerId"], second.to_string());
        // And the other one has no second settlement of that name.
        let amounts = json!({of_first.to_string(): {"BTC": "1"}});
        let (status, answer) = settle(world, &settlement("one", &amounts)).await;
        assert_eq!(status, 409, "{answer}");

        let listed = async |partner: Uuid| {
            let query = format!("/partners/settlements?partnerIds={partner}");
            let (_, list) = get(world, &world.partner_token, &path(PARTNER, &query)).await;
            texts(&list["settlements"], "externalId")
        };
        assert_eq!(listed(second).await, ["one"]);
        assert!(listed(world.partner_id).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_partner_settles_over_its_connections() {
    on_each_database(Options::default(), async |world| {
        let (connection, _) = world.connect().await;
        let amounts = json!({connection.to_string(): {"BTC": "5"}});
        let content = settlement("stolen", &amounts);
        let body = signed_as(&content, &content.to_string(), &world.client_key);
        // The client in its own name: the connection is none that it could settle over.
        let own = path(crate::fixture::CLIENT, "/partners/settlements");
        let token = Some(world.client_token.as_str());
        let (status, _, answer) = world.raw(Method::POST, &own, token, Some(&body)).await;
        assert_eq!(status, 400, "{answer}");
        // The client in the partner's name: it is no member.
        let partners = path(PARTNER, "/partners/settlements");
        let (status, _, answer) = world.raw(Method::POST, &partners, token, Some(&body)).await;
        assert_eq!(status, 401, "{answer}");
        assert_unknown(world, "stolen").await;
    })
    .await;
}
