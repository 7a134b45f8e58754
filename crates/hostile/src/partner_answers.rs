//! What partners answer to calls, and what is sent to partners. An input is a status in one line,
//! and a body that is all the rest.

use std::fmt::Debug;

use http::StatusCode;
use partner::Reply;
use partner::answer::{
    ConnectAnswer, NAME_MAX, ReserveAnswer, StatusAnswer, TEXT_MAX, TellAnswer, read_connect,
    read_reserve, read_status, read_tell,
};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;
use wire::partner_call::{
    CallAmount, ConnectRequest, ConnectResponse, ErrorResponse, KeyFields, MovementRequest,
    MovementResponse, StatusResponse, Subject,
};

use crate::words::{SECRET, lines, text};

/// The longest text about a call: what we say ourselves and what the partner said.
const WORDS_MAX: usize = 4 * TEXT_MAX + 512;

const SUBJECT: Uuid = Uuid::from_u128(1);
const CLIENT: Uuid = Uuid::from_u128(2);
const CONNECTION: Uuid = Uuid::from_u128(3);

pub(crate) fn hold(bytes: &[u8]) {
    let [status, body] = lines(bytes);
    if let Some(status) = text(status).and_then(|text| text.parse().ok()) {
        let reply = Reply {
            status,
            body: body.to_vec(),
        };
        connecting_is_beyond_doubt(&reply);
        for subject in [Subject::Allocation(SUBJECT), Subject::Deallocation(SUBJECT)] {
            moving_is_beyond_doubt(&movement(subject), &reply);
        }
    }
    same_again::<ConnectRequest>(body);
    same_again::<MovementRequest>(body);
    same_again::<ConnectResponse>(body);
    same_again::<MovementResponse>(body);
    same_again::<StatusResponse>(body);
    same_again::<ErrorResponse>(body);
}

fn connecting_is_beyond_doubt(reply: &Reply) {
    let request = ConnectRequest {
        client_id: CLIENT,
        client_wallet_id: "f".repeat(32),
        connection_id: CONNECTION,
        partner_id: Uuid::from_u128(4),
        key: KeyFields {
            connection_token: Some(SECRET.to_owned()),
            ..KeyFields::default()
        },
    };
    match read_connect(&request, Ok(reply.clone())) {
        ConnectAnswer::Accepted {
            partners_connection_id,
            partners_client_id,
        } => {
            let said: ConnectResponse = yes(reply);
            assert!(said.reject_reason.is_none_or(|reason| is_blank(&reason)));
            assert!(said.client_id.is_none_or(|id| id == CLIENT));
            assert!(said.connection_id.is_none_or(|id| id == CONNECTION));
            is_a_name(&partners_connection_id);
            is_a_name(&partners_client_id);
        }
        ConnectAnswer::Rejected { reason: words } | ConnectAnswer::Unknown { error: words } => {
            are_words(&words);
            assert!(!words.contains(SECRET), "a secret is repeated");
        }
    }
}

fn movement(subject: Subject) -> MovementRequest {
    MovementRequest {
        subject,
        amount: CallAmount {
            currency: "BTC".to_owned(),
            quantity: "1.5".to_owned(),
        },
        client_id: CLIENT,
        connection_id: CONNECTION,
        partners_connection_id: "c".to_owned(),
        partners_client_id: "a".to_owned(),
    }
}

fn moving_is_beyond_doubt(request: &MovementRequest, reply: &Reply) {
    match read_reserve(request, Ok(reply.clone())) {
        ReserveAnswer::Accepted {
            partner_external_id,
        } => {
            is_about(request, reply);
            partner_external_id.iter().for_each(|name| is_a_name(name));
        }
        ReserveAnswer::Rejected { reason: words } | ReserveAnswer::Unknown { error: words } => {
            are_words(&words);
        }
    }
    match read_tell(request, Ok(reply.clone())) {
        TellAnswer::Acknowledged => is_about(request, reply),
        TellAnswer::Unknown { error } => are_words(&error),
    }
    match read_status(request, Ok(reply.clone())) {
        StatusAnswer::NotKnown => assert_eq!(reply.status, StatusCode::NOT_FOUND),
        StatusAnswer::Unknown { error } => are_words(&error),
        told => {
            let said: StatusResponse = yes(reply);
            assert_eq!(said.id, SUBJECT);
            assert!(said.kind.is_none_or(|kind| kind == request.subject.kind()));
            match told {
                StatusAnswer::Rejected { reason } => are_words(&reason),
                StatusAnswer::Reserved {
                    partner_external_id,
                } => partner_external_id.iter().for_each(|name| is_a_name(name)),
                _ => {}
            }
        }
    }
}

/// A "yes" to a movement names no other movement, amount or party, and no reason against it.
fn is_about(request: &MovementRequest, reply: &Reply) {
    let said: MovementResponse = yes(reply);
    let (own, other) = match request.subject {
        Subject::Allocation(_) => (said.allocation_id, said.deallocation_id),
        Subject::Deallocation(_) => (said.deallocation_id, said.allocation_id),
    };
    assert!(own.is_none_or(|id| id == SUBJECT) && other.is_none());
    assert!(said.client_id.is_none_or(|id| id == CLIENT));
    assert!(said.connection_id.is_none_or(|id| id == CONNECTION));
    assert!(said.reject_reason.is_none_or(|reason| is_blank(&reason)));
    if let Some(amount) = said.amount {
        assert_eq!(amount.currency, "BTC");
        assert_eq!(amount.quantity.trim_end_matches('0'), "1.5");
    }
}

/// What a reply says that counts as an answer at all.
fn yes<T: DeserializeOwned>(reply: &Reply) -> T {
    assert_eq!(reply.status, StatusCode::OK);
    serde_json::from_slice(&reply.body).expect("answers are readable")
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

fn is_a_name(name: &str) {
    assert!(!is_blank(name) && name.len() <= NAME_MAX && is_one_line(name));
}

fn are_words(words: &str) {
    assert!(!is_blank(words) && words.len() <= WORDS_MAX && is_one_line(words));
}

fn is_one_line(text: &str) -> bool {
    let turns = |c: char| ('\u{2028}'..='\u{202e}').contains(&c);
    !text.chars().any(|c| c.is_control() || turns(c))
}

/// What is read and written again reads the same.
fn same_again<T: Serialize + DeserializeOwned + PartialEq + Debug>(body: &[u8]) {
    if let Ok(read) = serde_json::from_slice::<T>(body) {
        let written = serde_json::to_vec(&read).expect("messages are writable");
        let again: T = serde_json::from_slice(&written).expect("what was written is readable");
        assert_eq!(again, read);
    }
}
