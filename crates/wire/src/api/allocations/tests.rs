use serde_json::{Value, json};

use super::*;
use crate::api::signed::{Content, Signed};
use crate::json::Json;

const A: &str = "6f1b4c0e-6f0a-4d2c-9d52-0a4f3a9a1c01";
const B: &str = "6f1b4c0e-6f0a-4d2c-9d52-0a4f3a9a1c02";

fn parsed(value: &Value) -> Json {
    Json::parse(value.to_string().as_bytes()).unwrap()
}

fn faults<T>(read: Result<T, Vec<crate::body::Fault>>) -> Vec<String> {
    let faults = read.err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

fn record() -> AllocationRecord {
    AllocationRecord {
        id: A.parse().unwrap(),
        amount: CurrencyAmount {
            currency: "ofcbtc".to_owned(),
            quantity: "1000".to_owned(),
        },
        connection_id: B.parse().unwrap(),
        client_external_id: "x1".to_owned(),
        partner_external_id: None,
        initiated_by: "u1".to_owned(),
        notes: None,
        created_at: DateTime(0),
        updated_at: DateTime(1_000),
        retriable: false,
        policy: PolicyTraces::default(),
    }
}

fn record_json(own: Value) -> Value {
    let mut all = json!({
        "id": A, "amount": {"currency": "ofcbtc", "quantity": "1000"}, "connectionId": B, "clientExternalId": "x1",
        "initiatedBy": "u1", "createdAt": "1970-01-01T00:00:00.000Z", "updatedAt": "1970-01-01T00:00:00.001Z",
        "retriable": false
    });
    let Value::Object(own) = own else {
        panic!("not an object");
    };
    all.as_object_mut().unwrap().extend(own);
    all
}

fn error() -> ErrorBody {
    ErrorBody {
        error: "no".to_owned(),
        name: "insufficient_available".to_owned(),
        request_id: "r1".to_owned(),
        errors: vec![],
    }
}

/// The value is written so, and read back from it.
fn round_trips<T>(value: &T, written: Value)
where
    T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug,
{
    assert_eq!(serde_json::to_value(value).unwrap(), written);
    assert_eq!(&serde_json::from_value::<T>(written).unwrap(), value);
}

#[test]
fn answers_to_posts() {
    let cleared = ClearedAllocation {
        status: Cleared::Cleared,
        record: record(),
    };
    let reserved = ReservedAllocation {
        status: Reserved::Reserved,
        reason: "waits".to_owned(),
        record: record(),
    };
    let released = ReleasedAllocation {
        status: Released::Released,
        reason: "no".to_owned(),
        record: AllocationRecord {
            notes: Some("n".to_owned()),
            partner_external_id: Some("p".to_owned()),
            ..record()
        },
    };
    let reserved_json = record_json(json!({"status": "reserved", "reason": "waits"}));
    let released_json = record_json(
        json!({"status": "released", "reason": "no", "notes": "n", "partnerExternalId": "p"}),
    );
    round_trips(
        &AllocationAccepted {
            allocation: AcceptedAllocation::Cleared(cleared.clone()),
        },
        json!({"allocation": record_json(json!({"status": "cleared"}))}),
    );
    round_trips(
        &DeallocationAccepted {
            deallocation: AcceptedAllocation::Reserved(reserved.clone()),
        },
        json!({"deallocation": reserved_json.clone()}),
    );
    round_trips(
        &AllocationReleased {
            allocation: released.clone(),
            error: error(),
        },
        json!({"allocation": released_json.clone(), "error": "no", "name": "insufficient_available", "requestId": "r1"}),
    );
    round_trips(
        &DeallocationReleased {
            deallocation: released,
            error: error(),
        },
        json!({"deallocation": released_json, "error": "no", "name": "insufficient_available", "requestId": "r1"}),
    );
    round_trips(
        &AllocationFailure::Retriable(Box::new(AllocationRetriable {
            allocation: reserved.clone(),
            error: error(),
        })),
        json!({"allocation": reserved_json.clone(), "error": "no", "name": "insufficient_available", "requestId": "r1"}),
    );
    round_trips(
        &DeallocationFailure::Retriable(Box::new(DeallocationRetriable {
            deallocation: reserved,
            error: error(),
        })),
        json!({"deallocation": reserved_json, "error": "no", "name": "insufficient_available", "requestId": "r1"}),
    );
    round_trips(
        &AllocationFailure::Error(error()),
        json!({"error": "no", "name": "insufficient_available", "requestId": "r1"}),
    );
}

#[test]
fn a_record_is_read_only_in_its_own_state() {
    let released = record_json(json!({"status": "released", "reason": "no"}));
    assert!(serde_json::from_value::<AcceptedAllocation>(released.clone()).is_err());
    assert!(serde_json::from_value::<ReleasedAllocation>(released).is_ok());
}

#[test]
fn answers_to_gets() {
    let cleared = Allocation {
        kind: AllocationType::Deallocation,
        status: AllocationStatus::Cleared,
        reason: None,
        record: record(),
    };
    let written = record_json(json!({"type": "deallocation", "status": "cleared", "reason": null}));
    round_trips(
        &AllocationResponse {
            allocation: cleared.clone(),
        },
        json!({"allocation": written.clone()}),
    );
    round_trips(
        &AllocationsResponse {
            allocations: vec![cleared],
        },
        json!({"allocations": [written]}),
    );
}

fn new_allocation() -> Value {
    json!({
        "amount": {"currency": "ofcbtc", "quantity": "1000"}, "clientExternalId": "x1", "nonce": "n1", "notes": "why",
        "payload": "{}", "signature": "1f"
    })
}

#[test]
fn a_new_allocation_is_read() {
    let request = Signed::<NewAllocation>::read(&parsed(&new_allocation())).unwrap();
    assert_eq!(request.content.amount.currency.as_str(), "ofcbtc");
    assert_eq!(request.content.amount.quantity.units(), 1_000);
    assert_eq!(request.content.notes.as_deref(), Some("why"));
    assert_eq!(serde_json::to_value(&request).unwrap(), new_allocation());
    assert!(NewAllocation::read(&parsed(&new_allocation())).is_ok());
}

#[test]
fn every_fault_of_a_new_allocation_is_named() {
    let long = "x".repeat(513);
    let body = json!({
        "amount": {"currency": "of cbtc", "quantity": "01"}, "clientExternalId": long, "nonce": "", "notes": "é".repeat(5_001)
    });
    assert_eq!(
        faults(Signed::<NewAllocation>::read(&parsed(&body))),
        [
            "amount.currency must be 1 to 64 characters out of letters, digits and . : _ -",
            "amount.quantity must be an integer in base units: digits only, without leading zeros",
            "clientExternalId must be at most 512 bytes long",
            "nonce must be a string of at least one character",
            "notes must be at most 10000 bytes long",
            "payload is required",
            "signature is required",
        ]
    );
    assert_eq!(
        faults(NewAllocation::read(&parsed(&json!({"notes": null})))),
        [
            "amount is required",
            "clientExternalId is required",
            "nonce is required"
        ]
    );
    for (quantity, said) in [
        (json!("0"), "must not be zero"),
        (
            json!("-1"),
            "must be an integer in base units: digits only, without leading zeros",
        ),
        (
            json!("1.0"),
            "must be an integer in base units: digits only, without leading zeros",
        ),
        (json!("1".repeat(39)), "must have at most 38 digits"),
        (json!(1), "must be a string of at least one character"),
    ] {
        let mut body = new_allocation();
        body["amount"]["quantity"] = quantity;
        let found = faults(NewAllocation::read(&parsed(&body)));
        assert_eq!(found, [format!("amount.quantity {said}")]);
    }
}

#[test]
fn texts_are_bounded_to_the_byte() {
    for (length, good) in [(512, true), (513, false)] {
        let mut body = new_allocation();
        body["clientExternalId"] = "x".repeat(length).into();
        assert_eq!(NewAllocation::read(&parsed(&body)).is_ok(), good);
    }
}

fn update() -> Value {
    json!({
        "allocationId": A, "amount": {"currency": "BTC", "quantity": "0.5"}, "clientId": B, "connectionId": B,
        "partnersClientId": "pc", "partnersConnectionId": "pn", "partnersAllocationId": "pa", "status": "released",
        "rejectReason": "full", "nonce": "n", "evaluationId": "e", "policyResult": "approved"
    })
}

#[test]
fn an_update_is_read_and_echoed() {
    let request = AllocationUpdate::read(&parsed(&update())).unwrap();
    let reject_reason = "full".to_owned();
    let decision = &request.decision.decision;
    assert_eq!(*decision, Decision::Released { reject_reason });
    assert_eq!(serde_json::to_value(&request).unwrap(), update());

    let mut echoed = update();
    for name in ["status", "rejectReason", "nonce"] {
        echoed.as_object_mut().unwrap().remove(name);
    }
    round_trips(
        &AllocationUpdated {
            allocation_id: request.allocation_id,
            partners_allocation_id: request.partners_allocation_id,
            parties: request.decision.parties,
            policy: request.decision.policy,
        },
        echoed,
    );

    let mut back = update();
    let members = back.as_object_mut().unwrap();
    for (from, to) in [
        ("allocationId", "deallocationId"),
        ("partnersAllocationId", "partnersDeallocationId"),
    ] {
        let value = members.remove(from).unwrap();
        members.insert(to.to_owned(), value);
    }
    let request = DeallocationUpdate::read(&parsed(&back)).unwrap();
    assert_eq!(serde_json::to_value(&request).unwrap(), back);
    assert!(DeallocationUpdate::read(&parsed(&update())).is_err());
}

#[test]
fn a_reason_belongs_to_a_release_and_to_nothing_else() {
    let read = |status: &str, reason: Value| {
        let mut body = update();
        body["status"] = status.into();
        body["rejectReason"] = reason;
        faults(AllocationUpdate::read(&parsed(&body)))
    };
    assert_eq!(read("released", json!("full")), [""; 0]);
    assert_eq!(read("cleared", json!(null)), [""; 0]);
    assert_eq!(read("released", json!(null)), ["rejectReason is required"]);
    assert_eq!(
        read("cleared", json!("full")),
        ["rejectReason is allowed only if status is released"]
    );
    assert_eq!(
        read("reserved", json!("full")),
        ["status must be one of: cleared, released"]
    );
}

#[test]
fn every_fault_of_an_update_is_named() {
    let body = json!({"amount": {"quantity": "-1"}, "status": "cleared", "policyResult": "maybe"});
    assert_eq!(
        faults(AllocationUpdate::read(&parsed(&body))),
        [
            "allocationId is required",
            "partnersAllocationId is required",
            "amount.currency is required",
            "amount.quantity must be positive",
            "clientId is required",
            "connectionId is required",
            "partnersClientId is required",
            "partnersConnectionId is required",
            "nonce is required",
            "policyResult must be one of: approved, rejected",
        ]
    );
}

#[test]
fn traces_of_policies_need_not_be_signed() {
    let mut payload = update();
    for name in ["evaluationId", "policyResult"] {
        payload.as_object_mut().unwrap().remove(name);
    }
    let check = |payload: &Value| {
        crate::payload::check(
            &payload.to_string(),
            &parsed(&update()),
            &[("enterpriseId", "e1")],
            AllocationUpdate::UNSIGNED,
        )
    };
    assert_eq!(check(&payload), Ok(()));
    payload.as_object_mut().unwrap().remove("rejectReason");
    assert_eq!(
        faults(check(&payload)),
        ["payload lacks the member: rejectReason"]
    );
}
