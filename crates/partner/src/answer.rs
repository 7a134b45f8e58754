//! What a partner's answer means (OES wire §8, Q15 and Q16): pure functions of status and body.

use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use wire::partner_call::{
    ConnectRequest, ConnectResponse, ErrorResponse, MovementKind, MovementRequest,
    MovementResponse, MovementStatus, StatusResponse, Subject,
};

use crate::transport::Reply;

/// The longest name of a partner's, in bytes: as long as it may be when the partner tells it
/// itself.
pub const NAME_MAX: usize = wire::api::bounds::TEXT_BYTES_MAX;

/// The most characters of a partner's text that are kept.
pub const TEXT_MAX: usize = 500;

/// What came of H1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectAnswer {
    /// The partner has made the connection.
    Accepted {
        /// Its name for the connection; not empty.
        partners_connection_id: String,
        /// Its name for the client; not empty.
        partners_client_id: String,
    },
    /// The partner does not want it.
    Rejected {
        /// Why, in the partner's words: at most 500 characters of one line.
        reason: String,
    },
    /// Nothing is known; the same call may be repeated.
    Unknown {
        /// What went wrong, for the operator.
        error: String,
    },
}

/// What came of H2 or H5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReserveAnswer {
    /// The partner holds it; an asynchronous partner has only taken the request.
    Accepted {
        /// Its name for the movement, if it told one.
        partner_external_id: Option<String>,
    },
    /// The partner does not want it.
    Rejected {
        /// Why, in the partner's words: at most 500 characters of one line.
        reason: String,
    },
    /// The partner may hold it or not: its status has to be asked.
    Unknown {
        /// What went wrong, for the operator.
        error: String,
    },
}

/// What came of H8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusAnswer {
    /// Taken, not decided: the partner is asynchronous.
    Pending,
    /// Accepted and held.
    Reserved {
        /// The partner's name for the movement, if it told one.
        partner_external_id: Option<String>,
    },
    /// Credited or debited.
    Cleared,
    /// Dropped.
    Released,
    /// Refused.
    Rejected {
        /// Why, in the partner's words: at most 500 characters of one line.
        reason: String,
    },
    /// The partner has never heard of it.
    NotKnown,
    /// Nothing is known.
    Unknown {
        /// What went wrong, for the operator.
        error: String,
    },
}

/// What came of H3, H4, H6 or H7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TellAnswer {
    /// The partner knows.
    Acknowledged,
    /// It may not know; it has to be told again.
    Unknown {
        /// What went wrong, for the operator.
        error: String,
    },
}

/// An answer that is no "yes". What the partner said is kept as it came.
enum No {
    Rejected(String),
    Unknown { error: String, said: Option<String> },
}

impl No {
    fn unknown(error: impl Into<String>) -> Self {
        Self::Unknown {
            error: error.into(),
            said: None,
        }
    }
}

/// An error with what the partner said to it.
fn with_words(error: String, said: Option<String>) -> String {
    match said {
        Some(said) => format!("{error}; it said: {}", one_line(&said)),
        None => error,
    }
}

/// What a reply to H1 means; an error is why there is no reply.
#[must_use]
pub fn read_connect(request: &ConnectRequest, reply: Result<Reply, String>) -> ConnectAnswer {
    // Partners may quote what they were sent.
    let scrub = |mut text: String| {
        for secret in request.key.secrets().filter(|secret| !secret.is_empty()) {
            text = text.replace(secret, "[secret]");
        }
        text
    };
    match connected(request, reply) {
        Ok((partners_connection_id, partners_client_id)) => ConnectAnswer::Accepted {
            partners_connection_id,
            partners_client_id,
        },
        Err(No::Rejected(reason)) => ConnectAnswer::Rejected {
            reason: one_line(&scrub(reason)),
        },
        Err(No::Unknown { error, said }) => ConnectAnswer::Unknown {
            error: with_words(error, said.map(scrub)),
        },
    }
}

fn connected(
    request: &ConnectRequest,
    reply: Result<Reply, String>,
) -> Result<(String, String), No> {
    let response: ConnectResponse = business_answer(reply)?;
    let echoes = [
        ("clientId", differs(response.client_id, request.client_id)),
        (
            "connectionId",
            differs(response.connection_id, request.connection_id),
        ),
    ];
    same(&echoes)?;
    if let Some(reason) = said(response.reject_reason) {
        return Err(No::Rejected(reason));
    }
    let missing = |name| No::unknown(format!("answered 200 without a usable {name}"));
    Ok((
        named(response.partners_connection_id).ok_or_else(|| missing("partnersConnectionId"))?,
        named(response.partners_client_id).ok_or_else(|| missing("partnersClientId"))?,
    ))
}

/// What a reply to H2 or H5 means; an error is why there is no reply.
#[must_use]
pub fn read_reserve(request: &MovementRequest, reply: Result<Reply, String>) -> ReserveAnswer {
    let answer = business_answer(reply).and_then(|response: MovementResponse| {
        check_movement(request, &response)?;
        match said(response.reject_reason) {
            Some(reason) => Err(No::Rejected(reason)),
            None => Ok(named(match request.subject.kind() {
                MovementKind::Allocation => response.partners_allocation_id,
                MovementKind::Deallocation => response.partners_deallocation_id,
            })),
        }
    });
    match answer {
        Ok(partner_external_id) => ReserveAnswer::Accepted {
            partner_external_id,
        },
        Err(No::Rejected(reason)) => ReserveAnswer::Rejected {
            reason: one_line(&reason),
        },
        Err(No::Unknown { error, said }) => ReserveAnswer::Unknown {
            error: with_words(error, said),
        },
    }
}

/// What a reply to H3, H4, H6 or H7 means; an error is why there is no reply.
#[must_use]
pub fn read_tell(request: &MovementRequest, reply: Result<Reply, String>) -> TellAnswer {
    let answer = business_answer(reply).and_then(|response: MovementResponse| {
        check_movement(request, &response)?;
        match said(response.reject_reason) {
            Some(reason) => Err(No::Rejected(reason)),
            None => Ok(()),
        }
    });
    match answer {
        Ok(()) => TellAnswer::Acknowledged,
        // Our commit has decided; there is nothing left to refuse.
        Err(No::Rejected(reason)) => TellAnswer::Unknown {
            error: format!("the partner refuses what it is told: {}", one_line(&reason)),
        },
        Err(No::Unknown { error, said }) => TellAnswer::Unknown {
            error: with_words(error, said),
        },
    }
}

/// What a reply to H9 means; an error is why there is no reply. Whatever a 2xx says, the partner has
/// been told.
#[must_use]
pub fn read_finalize(reply: Result<Reply, String>) -> TellAnswer {
    match reply {
        Ok(reply) if reply.status.is_success() => TellAnswer::Acknowledged,
        reply => match business_answer::<serde_json::Value>(reply) {
            Ok(_) => TellAnswer::Acknowledged,
            Err(No::Rejected(reason)) => TellAnswer::Unknown {
                error: format!("the partner refuses what it is told: {}", one_line(&reason)),
            },
            Err(No::Unknown { error, said }) => TellAnswer::Unknown {
                error: with_words(error, said),
            },
        },
    }
}

/// What a reply to H8 means; an error is why there is no reply.
#[must_use]
pub fn read_status(request: &MovementRequest, reply: Result<Reply, String>) -> StatusAnswer {
    if let Ok(Reply { status, body }) = &reply
        && *status == StatusCode::NOT_FOUND
        && serde_json::from_slice::<serde_json::Value>(body).is_ok_and(|json| json.is_object())
    {
        return StatusAnswer::NotKnown;
    }
    let answer = business_answer(reply).and_then(|response: StatusResponse| {
        let echoes = [
            ("id", response.id != request.subject.id()),
            ("type", differs(response.kind, request.subject.kind())),
            ("amount", amount_differs(request, response.amount.as_ref())),
        ];
        same(&echoes).map(|()| response)
    });
    match answer {
        Ok(response) => match response.status {
            MovementStatus::Pending => StatusAnswer::Pending,
            MovementStatus::Reserved => StatusAnswer::Reserved {
                partner_external_id: named(match request.subject.kind() {
                    MovementKind::Allocation => response.partners_allocation_id,
                    MovementKind::Deallocation => response.partners_deallocation_id,
                }),
            },
            MovementStatus::Cleared => StatusAnswer::Cleared,
            MovementStatus::Released => StatusAnswer::Released,
            MovementStatus::Rejected => StatusAnswer::Rejected {
                reason: said(response.reject_reason)
                    .map_or_else(|| "no reason given".to_owned(), |reason| one_line(&reason)),
            },
        },
        // A question cannot be rejected; the movement may well be held.
        Err(No::Rejected(reason)) => StatusAnswer::Unknown {
            error: format!(
                "the partner does not tell the status: {}",
                one_line(&reason)
            ),
        },
        Err(No::Unknown { error, said }) => StatusAnswer::Unknown {
            error: with_words(error, said),
        },
    }
}

/// The body of a 200, or what else was said.
fn business_answer<T: DeserializeOwned>(reply: Result<Reply, String>) -> Result<T, No> {
    let Reply { status, body } = reply.map_err(No::unknown)?;
    if status == StatusCode::OK {
        // Nothing of the body is quoted: the decoder would show values.
        return serde_json::from_slice(&body).map_err(|error| {
            No::unknown(format!(
                "answered 200 with a body that is not the expected JSON (line {}, column {})",
                error.line(),
                error.column()
            ))
        });
    }
    let said = error_text(&body);
    let explanation = match status.as_u16() {
        401 => "it does not accept our signature: key, audience or clock are misconfigured",
        403 => "it does not let us in: the integration is misconfigured",
        404 => "it does not know this route or subject: the routes may be misconfigured",
        408 | 425 | 429 => "it wants the call later",
        409 => {
            "it knows this id with other content or in another state: the status has to be asked"
        }
        300..=399 => "redirects are not followed",
        400..=499 => match said {
            Some(reason) => return Err(No::Rejected(reason)),
            None => "without a readable reason",
        },
        500..=599 => "it failed",
        _ => "only 200 is an answer",
    };
    Err(No::Unknown {
        error: format!("answered {}: {explanation}", status.as_u16()),
        said,
    })
}

fn error_text(body: &[u8]) -> Option<String> {
    let response: ErrorResponse = serde_json::from_slice(body).ok()?;
    said(response.error).or_else(|| said(response.reject_reason))
}

fn check_movement(request: &MovementRequest, response: &MovementResponse) -> Result<(), No> {
    let (own, other) = match request.subject {
        Subject::Allocation(_) => (response.allocation_id, response.deallocation_id),
        Subject::Deallocation(_) => (response.deallocation_id, response.allocation_id),
    };
    same(&[
        ("id", differs(own, request.subject.id())),
        ("kind", other.is_some()),
        ("amount", amount_differs(request, response.amount.as_ref())),
        ("clientId", differs(response.client_id, request.client_id)),
        (
            "connectionId",
            differs(response.connection_id, request.connection_id),
        ),
        (
            "partnersConnectionId",
            differs(
                response.partners_connection_id.as_ref(),
                &request.partners_connection_id,
            ),
        ),
        (
            "partnersClientId",
            differs(
                response.partners_client_id.as_ref(),
                &request.partners_client_id,
            ),
        ),
    ])
}

/// Whether something that need not be repeated is repeated wrongly.
fn differs<T: PartialEq>(repeated: Option<T>, asked: T) -> bool {
    repeated.is_some_and(|repeated| repeated != asked)
}

fn amount_differs(
    request: &MovementRequest,
    repeated: Option<&wire::partner_call::CallAmount>,
) -> bool {
    repeated.is_some_and(|repeated| !repeated.is_same_as(&request.amount))
}

fn same(echoes: &[(&str, bool)]) -> Result<(), No> {
    match echoes.iter().find(|(_, differs)| *differs) {
        Some((name, _)) => Err(No::unknown(format!(
            "answered 200 for something else: its {name} is not the one that was asked about"
        ))),
        None => Ok(()),
    }
}

/// A text that says something.
fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

/// A partner's name for something of ours, if it is one that can be kept and told again: not
/// empty, not too long, without characters that lay out text.
fn named(name: Option<String>) -> Option<String> {
    said(name).filter(|name| name.len() <= NAME_MAX && !name.chars().any(is_layout))
}

/// Whether a character is one that breaks or turns around the line that it stands in: control
/// characters, separators, and marks of direction, behind which a text can look like another one.
fn is_layout(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

/// A partner's text as it is shown to people: bounded, without characters that lay out text, and
/// never blank.
fn one_line(text: &str) -> String {
    let line: String = text
        .trim()
        .chars()
        .take(TEXT_MAX)
        .map(|c| if is_layout(c) { ' ' } else { c })
        .collect();
    match line.trim() {
        "" => "words that cannot be shown".to_owned(),
        words => words.to_owned(),
    }
}
