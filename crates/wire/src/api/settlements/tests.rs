use serde_json::{Value, json};

use super::*;
use crate::api::signed::{Content, Signed};
use crate::json::Json;

const A: &str = "6f1b4c0e-6f0a-4d2c-9d52-0a4f3a9a1c01";
const B: &str = "6f1b4c0e-6f0a-4d2c-9d52-0a4f3a9a1c02";
const AT: &str = "1970-01-01T00:00:00.000Z";

fn with(mut all: Value, own: Value) -> Value {
    let Value::Object(own) = own else {
        panic!("not an object");
    };
    all.as_object_mut().unwrap().extend(own);
    all
}

/// What is written so is read, and written again the same.
fn round_trips<T: Serialize + for<'de> Deserialize<'de>>(written: &Value) -> T {
    let value: T = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(&serde_json::to_value(&value).unwrap(), written);
    value
}

fn settlement(own: Value) -> Value {
    let record = json!({
        "id": A, "partnerId": B, "externalId": "s1", "settlementType": "offchain", "reconciled": false,
        "initiatedBy": "u1", "createdAt": AT, "updatedAt": AT, "lossSLAAlertSent": false, "gainSLAAlertSent": false
    });
    with(record, own)
}

fn completed() -> Value {
    settlement(json!({"status": "completed", "finalizedAt": AT}))
}

fn failed() -> Value {
    settlement(
        json!({"status": "failed", "reason": "short", "notes": "n", "disputed": true, "cutoffAt": AT}),
    )
}

fn rejected() -> Value {
    settlement(json!({"status": "rejected", "reason": "no", "finalizedAt": AT, "rtId": "r"}))
}

#[test]
fn every_state_has_its_own_members() {
    let pending = settlement(json!({"status": "pending"}));
    assert!(matches!(round_trips(&pending), Settlement::Pending(_)));
    assert!(matches!(
        round_trips(&completed()),
        Settlement::Completed(_)
    ));
    assert!(matches!(round_trips(&failed()), Settlement::Failed(_)));
    assert!(matches!(round_trips(&rejected()), Settlement::Rejected(_)));
    for incomplete in [
        settlement(json!({"status": "completed"})),
        settlement(json!({"status": "failed"})),
        settlement(json!({"status": "rejected", "reason": "no"})),
        settlement(json!({"status": "done"})),
    ] {
        assert!(serde_json::from_value::<Settlement>(incomplete).is_err());
    }
}

#[test]
fn answers_to_posts() {
    let error = json!({"error": "short", "name": "insufficient_available", "requestId": "r1"});
    round_trips::<SettlementCompleted>(&json!({"settlement": completed()}));
    assert!(
        serde_json::from_value::<SettlementCompleted>(json!({"settlement": failed()})).is_err()
    );
    let unfinished = with(json!({"settlement": failed()}), error.clone());
    let failure = round_trips(&unfinished);
    assert!(matches!(failure, SettlementFailure::Unfinished(_)));
    assert!(matches!(round_trips(&error), SettlementFailure::Error(_)));
    let completed = with(json!({"settlement": completed()}), error);
    assert!(serde_json::from_value::<SettlementUnfinished>(completed).is_err());
}

fn dispute(own: Value) -> Value {
    let record = json!({
        "id": A, "createdAt": AT, "updatedAt": AT, "connectionId": B, "disputedSettlementId": A, "userId": "u",
        "expectedTransfers": {"ofcbtc": "-5"}, "retracted": false
    });
    with(record, own)
}

fn closure() -> Value {
    json!({
        "id": A, "closedBy": "admin", "userId": "u", "notes": "n", "createdAt": AT, "status": "approved",
        "adjustedTransfers": {"ofcbtc": "3"}, "adjustedSettlementTransfers": [{
            "id": A, "sourceTradingAccountId": "s", "destinationTradingAccountId": "d",
            "destinationNetworkAccountId": B, "disputeClosureId": A, "currency": "ofcbtc", "quantity": "3",
            "status": "pending_settlement_assignment", "createdAt": AT, "updatedAt": AT
        }]
    })
}

#[test]
fn answers_to_gets() {
    let transfer = json!({
        "id": A, "createdAt": AT, "updatedAt": AT, "currency": "BTC", "settlementId": B, "quantity": "-1",
        "txIds": [], "status": "completed", "sourceTradingAccountId": "s", "destinationTradingAccountId": "d",
        "destinationNetworkAccountId": B
    });
    let masked = json!({
        "id": A, "createdAt": AT, "updatedAt": AT, "currency": "ofcbtc", "settlementId": B, "quantity": "-1",
        "txIds": ["t"], "status": "disputed", "usdValue": null, "settlementStatus": "pending",
        "sourceClientName": "*", "destinationNetworkAccountId": B
    });
    let closed =
        json!({"settledInSettlementId": B, "disputeClosureId": A, "disputeClosure": closure()});
    let disputes = json!({
        "settlingDisputes": [dispute(closed.clone())],
        "settlementDisputes": [dispute(json!({})), dispute(closed), dispute(json!({
            "reason": "r", "retractedBy": "u", "retractedAt": AT, "retractedReason": "s"
        }))]
    });
    let partner = json!({"settlement": completed(), "settlementTransfers": [transfer]});
    round_trips::<PartnerSettlementResponse>(&with(partner, disputes.clone()));
    let client = json!({"settlement": completed(), "settlementTransfers": [masked.clone()]});
    round_trips::<ClientSettlementResponse>(&with(client, disputes));
    round_trips::<SettlementTransfersResponse>(&json!({"settlementTransfers": [masked]}));
    round_trips::<PartnerSettlementsResponse>(&json!({"settlements": [completed(), failed()]}));
    let listed = with(rejected(), json!({"transferDirection": "send-and-receive"}));
    round_trips::<ClientSettlementsResponse>(&json!({"settlements": [listed]}));
}

fn parsed(value: &Value) -> Json {
    Json::parse(value.to_string().as_bytes()).unwrap()
}

fn faults<T>(read: Result<T, Vec<crate::body::Fault>>) -> Vec<String> {
    let faults = read.err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn a_new_settlement_is_read() {
    let body = json!({
        "externalId": "s1", "notes": "n", "settlementAmounts": {A: {"BTC": "100"}}, "nonce": "1",
        "payload": "{}", "signature": "1f"
    });
    let request = Signed::<NewSettlement>::read(&parsed(&body)).unwrap();
    assert_eq!(request.content.settlement_amounts.count(), 1);
    assert_eq!(serde_json::to_value(&request).unwrap(), body);

    let to_sign = json!({
        "externalId": "s1", "settlementAmounts": {A: {B: {"BTC": "100"}}}, "nonce": "1", "cutoffAt": AT
    });
    let request = SettlementToSign::read(&parsed(&to_sign)).unwrap();
    assert_eq!(request.cutoff_at, Some(DateTime(0)));
    assert_eq!(serde_json::to_value(&request).unwrap(), to_sign);
}

#[test]
fn every_fault_of_a_new_settlement_is_named() {
    let body =
        json!({"externalId": "x".repeat(513), "notes": "", "settlementAmounts": {}, "cutoffAt": 5});
    let common = [
        "externalId must be at most 512 bytes long",
        "notes must be a string of at least one character",
        "settlementAmounts must hold at least one amount",
        "nonce is required",
    ];
    let signed = [
        &common[..],
        &["payload is required", "signature is required"],
    ]
    .concat();
    assert_eq!(
        faults(Signed::<NewSettlement>::read(&parsed(&body))),
        signed
    );
    assert_eq!(faults(NewSettlement::read(&parsed(&body))), common);
    let at = ["cutoffAt must be a date-time with an offset, such as 2026-01-31T12:00:00Z"];
    let to_sign = [&at[..], &common].concat();
    assert_eq!(faults(SettlementToSign::read(&parsed(&body))), to_sign);
}
