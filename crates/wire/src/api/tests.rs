//! Shapes and faults of the smaller nouns; allocations and settlements have tests of their own.

use serde_json::{Value, json};

use super::signed::{Content as _, Signed, SigningPayload};
use super::*;
use crate::body::Fault;
use crate::connection_key::ConnectionKey;
use crate::json::Json;

const A: &str = "6f1b4c0e-6f0a-4d2c-9d52-0a4f3a9a1c01";
const B: &str = "6f1b4c0e-6f0a-4d2c-9d52-0a4f3a9a1c02";
const AT: &str = "1970-01-01T00:00:00.000Z";

/// What is written so is read, and written again the same.
fn round_trips<T: Serialize + for<'de> Deserialize<'de>>(written: Value) {
    let value: T = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&value).unwrap(), written);
}

fn parsed(value: &Value) -> Json {
    Json::parse(value.to_string().as_bytes()).unwrap()
}

fn faults<T>(read: Result<T, Vec<Fault>>) -> Vec<String> {
    let faults = read.err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn answers_of_the_smaller_nouns() {
    round_trips::<SigningPayload>(json!({"payload": "{}"}));
    round_trips::<clients::ClientResponse>(json!({"client": {
        "id": A, "enterpriseId": "e", "trustOrg": "T", "walletId": "w", "createdAt": AT, "updatedAt": AT
    }}));
    round_trips::<currencies::SupportedCurrenciesResponse>(json!({
        "supportedCurrencies": {A: [{"ofcCurrency": "ofcbtc", "backingCurrency": "btc", "partnerNames": ["BTC"]}], B: []},
        "domain": currencies::DOMAIN
    }));
    let partner = json!({
        "id": A, "enterpriseId": "e", "trustOrg": "T", "institutionIdentifier": "i", "name": "n",
        "connectionKeySchema": "tokenAndSignature", "createdAt": AT, "updatedAt": AT, "clientId": B, "broker": false,
        "active": true, "allocationPoliciesEnabled": false
    });
    let mut with_windows = partner.clone();
    with_windows["clientDisputeWindowMinutes"] = 0.into();
    with_windows["topUpWindowMinutes"] = 10_080.into();
    with_windows["institutionId"] = B.into();
    round_trips::<partners::PartnerResponse>(json!({"partner": partner}));
    round_trips::<partners::PartnerResponse>(json!({"partner": with_windows}));
    round_trips::<partners::PartnersResponse>(json!({"partners": [{
        "id": A, "name": "n", "institutionIdentifier": "i", "connectionKeySchema": "clearloop", "active": true,
        "publicKey": "PEM", "trustOrg": "T", "stablePartner": false
    }]}));
    let connection = json!({
        "id": A, "name": "n", "clientId": A, "partnerId": B, "networkAccountId": B, "createdAt": AT, "updatedAt": AT,
        "active": true, "proof": "p", "nonce": "1", "partnersConnectionId": null, "partnersClientId": null,
        "initialized": false
    });
    round_trips::<connections::ConnectionResponse>(json!({"connection": connection.clone()}));
    round_trips::<connections::ConnectionsResponse>(json!({"connections": [connection]}));
    let balances = json!({"ofcbtc": {"available": "5", "held": "0"}});
    round_trips::<balances::ClientBalancesResponse>(json!({
        "clientId": A, "balances": balances, "networkBalances": {B: {
            "partnerId": A, "partnersConnectionId": "pc", "name": "n", "partnerInstitutionIdentifier": "i",
            "balances": balances
        }}
    }));
    let network = json!({A: {"clientId": A, "partnerId": B, "partnersConnectionId": "pc", "balances": balances}});
    round_trips::<balances::PartnerBalancesResponse>(json!({"networkBalances": network}));
    round_trips::<balances::PartnerBalancesResponse>(
        json!({"networkBalances": network, "balances": balances}),
    );
}

#[test]
fn ids_that_are_no_uuids_are_not_read() {
    let written = json!({"networkBalances": {"x": {}}});
    assert!(serde_json::from_value::<balances::PartnerBalancesResponse>(written).is_err());
}

fn new_partner(own: &Value) -> Value {
    let mut body = json!({
        "name": "n", "broker": false, "institutionIdentifier": "i", "connectionKeySchema": "token"
    });
    body.as_object_mut()
        .unwrap()
        .extend(own.as_object().unwrap().clone());
    body
}

#[test]
fn a_new_partner_is_read() {
    let read = |own: Value| partners::NewPartner::read(&parsed(&new_partner(&own))).unwrap();
    let bare = read(json!({}));
    assert_eq!(bare.client_dispute_window_minutes, None);
    assert!(!bare.allocation_policies_enabled);
    assert_eq!(
        read(json!({"clientDisputeWindowMinutes": null, "topUpWindowMinutes": null})),
        bare
    );
    let full = json!({
        "clientDisputeWindowMinutes": 0, "topUpWindowMinutes": 10_080, "allocationPoliciesEnabled": true,
        "institutionId": A
    });
    assert_eq!(
        serde_json::to_value(read(full.clone())).unwrap(),
        new_partner(&full)
    );
}

#[test]
fn every_fault_of_a_new_partner_is_named() {
    let body = json!({
        "name": "x".repeat(513), "broker": "no", "institutionId": "i", "connectionKeySchema": "key",
        "clientDisputeWindowMinutes": 1.5, "topUpWindowMinutes": 10_081, "allocationPoliciesEnabled": 1
    });
    assert_eq!(
        faults(partners::NewPartner::read(&parsed(&body))),
        [
            "name must be at most 512 bytes long",
            "broker must be true or false",
            "institutionId must be a UUID",
            "institutionIdentifier is required",
            "connectionKeySchema must be one of: token, tokenAndSignature, apiKeyAndSecret, clearloop",
            "clientDisputeWindowMinutes must be a number without decimals from 0 to 10080",
            "topUpWindowMinutes must be a number without decimals from 0 to 10080",
            "allocationPoliciesEnabled must be true or false",
        ]
    );
}

#[test]
fn a_new_connection_is_read_and_written_with_its_key() {
    for key in [
        json!({"schema": "token", "connectionToken": "t"}),
        json!({"schema": "tokenAndSignature", "connectionToken": "t", "signature": "s"}),
        json!({"schema": "apiKeyAndSecret", "apiKey": "k", "apiSecret": "s"}),
        json!({
            "schema": "clearloop", "apiKey": "k", "apiSecret": "s", "clientAccountId": "c",
            "companyRegistrationNumber": "r"
        }),
    ] {
        let body = json!({
            "partnerId": A, "name": "n", "connectionKey": key, "nonce": "1", "payload": "{}", "signature": "1f"
        });
        let request = Signed::<connections::NewConnection>::read(&parsed(&body)).unwrap();
        assert_eq!(serde_json::to_value(&request).unwrap(), body);
    }
}

#[test]
fn every_fault_of_a_new_connection_is_named() {
    let body =
        json!({"partnerId": "p", "connectionKey": {"schema": "apiKeyAndSecret", "apiKey": ""}});
    assert_eq!(
        faults(connections::NewConnection::read(&parsed(&body))),
        [
            "partnerId must be a UUID",
            "name is required",
            "connectionKey.apiKey must be a string of at least one character",
            "connectionKey.apiSecret is required",
            "nonce is required",
        ]
    );
}

#[test]
fn the_member_encrypt_need_not_be_signed() {
    let body = json!({"partnerId": A, "encrypt": true});
    let payload = format!(r#"{{"partnerId":"{A}"}}"#);
    let unsigned = connections::NewConnection::UNSIGNED;
    assert_eq!(
        crate::payload::check(&payload, &parsed(&body), &[], unsigned),
        Ok(())
    );
}

#[test]
fn secrets_of_connection_keys_are_not_shown() {
    let request = connections::NewConnection {
        partner_id: uuid::Uuid::nil(),
        name: "n".to_owned(),
        connection_key: ConnectionKey::Token {
            connection_token: "hush".to_owned(),
        },
        nonce: "1".to_owned(),
    };
    assert!(!format!("{request:?}").contains("hush"));
}

#[test]
fn a_connection_update_is_read() {
    let read = |body: Value| connections::ConnectionUpdate::read(&parsed(&body));
    assert_eq!(
        read(json!({})),
        Ok(connections::ConnectionUpdate::default())
    );
    let update = read(json!({"active": false, "name": "m"})).unwrap();
    assert_eq!(
        serde_json::to_value(update).unwrap(),
        json!({"active": false, "name": "m"})
    );
    assert_eq!(
        faults(read(json!({"active": 0, "name": ""}))),
        [
            "active must be true or false",
            "name must be a string of at least one character"
        ]
    );
}
