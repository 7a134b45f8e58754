//! A partner: the books of the simulated exchange behind the routes that partners host.

use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock},
};

use http::{Method, StatusCode};
use partner::Reply;
use rules::record::Answering;
use sandbox::books::{Books, Refusal, Taking};
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;
use wire::{
    connection_key::ConnectionKeySchema,
    partner_call::{
        ConnectRequest, ErrorResponse, FinalizeRequest, MovementKind, MovementRequest,
        MovementStatus, Subject,
    },
};

use crate::{chance::Chance, world::World, world::lock};

/// A partner of the network.
pub(crate) struct Exchange {
    pub(crate) number: u64,
    pub(crate) allocations: Answering,
    pub(crate) deallocations: Answering,
    pub(crate) partner_id: OnceLock<Uuid>,
    pub(crate) books: Mutex<Books>,
}

/// The identifier that a call is about.
pub(crate) fn subject_of(path: &str, body: &[u8]) -> Option<Uuid> {
    let in_path = path.split('/').find_map(|part| part.parse().ok());
    in_path.or_else(|| {
        let body: serde_json::Value = serde_json::from_slice(body).ok()?;
        let id = ["allocationId", "deallocationId", "connectionId"]
            .iter()
            .find_map(|name| body.get(name)?.as_str());
        id?.parse().ok()
    })
}

impl Exchange {
    pub(crate) fn new(number: u64, chance: &Chance) -> Exchange {
        let answering = || match chance.below(2) {
            0 => Answering::Synchronous,
            _ => Answering::Asynchronous,
        };
        Exchange {
            number,
            allocations: answering(),
            deallocations: answering(),
            partner_id: OnceLock::new(),
            books: Mutex::default(),
        }
    }

    pub(crate) fn is_partner(&self, id: Uuid) -> bool {
        self.partner_id.get() == Some(&id)
    }

    /// A new account: the token that connects it.
    pub(crate) fn open_account(&self) -> String {
        let account = lock(&self.books).open_account(None, &BTreeMap::new());
        account.key.connection_token.unwrap_or_default()
    }

    /// Answers a call of the network.
    pub(crate) fn answer(&self, world: &World, method: &Method, path: &str, body: &[u8]) -> Reply {
        let route: Vec<&str> = path.trim_start_matches("/bitgo/v1/").split('/').collect();
        let done = match (method.as_str(), route.as_slice()) {
            ("POST", ["connections"]) => decode(body).and_then(|request: ConnectRequest| {
                let key = request.key.key(ConnectionKeySchema::Token);
                let key = key.ok_or_else(|| Refusal::Refused("no token".to_owned()))?;
                json(lock(&self.books).connect(&request, &key)?)
            }),
            ("POST", ["allocations" | "deallocations"]) => {
                decode(body).and_then(|request: MovementRequest| {
                    let taking = self.taking(world, request.subject.kind());
                    json(lock(&self.books).reserve(&request, taking)?)
                })
            }
            ("PUT", ["settlements", _, "finalize"]) => {
                decode(body).and_then(|request: FinalizeRequest| {
                    lock(&self.books).finalize(&request)?;
                    json(request)
                })
            }
            ("PUT", [_, _, "clear"]) => decode(body).and_then(|request: MovementRequest| {
                self.expect_accepted(world, request.subject);
                json(lock(&self.books).clear(&request)?)
            }),
            ("PUT", [_, _, "release"]) => {
                decode(body).and_then(|request| json(lock(&self.books).release(&request)?))
            }
            ("GET", [kind, id]) => {
                let kind = match *kind {
                    "allocation" => MovementKind::Allocation,
                    _ => MovementKind::Deallocation,
                };
                let id = id.parse().unwrap_or_default();
                let status = lock(&self.books).status(Subject::new(kind, id));
                status.and_then(json)
            }
            _ => Err(Refusal::Malformed("no such route".to_owned())),
        };
        match done {
            Ok(body) => Reply {
                status: StatusCode::OK,
                body,
            },
            Err(refusal) => refused(&refusal),
        }
    }

    /// Only what a partner has accepted is ever cleared.
    fn expect_accepted(&self, world: &World, subject: Subject) {
        let known = lock(&self.books).status(subject).map(|known| known.status);
        if !matches!(
            known,
            Ok(MovementStatus::Reserved | MovementStatus::Cleared)
        ) {
            let detail = format!("{subject:?} is {known:?} and is to be cleared");
            world.broken("only what the partner accepts is cleared", detail);
        }
    }

    fn taking(&self, world: &World, kind: MovementKind) -> Taking {
        let answering = match kind {
            MovementKind::Allocation => self.allocations,
            MovementKind::Deallocation => self.deallocations,
        };
        match answering {
            Answering::Asynchronous => Taking::Later,
            Answering::Synchronous if world.suffers(world.plan.partner_rejects) => {
                Taking::Reject("not today".to_owned())
            }
            Answering::Synchronous => Taking::Decide,
        }
    }
}

fn refused(refusal: &Refusal) -> Reply {
    let status = match refusal {
        Refusal::Malformed(_) => StatusCode::BAD_REQUEST,
        Refusal::NotKnown(_) => StatusCode::NOT_FOUND,
        Refusal::Conflict(_) => StatusCode::CONFLICT,
        Refusal::Refused(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let body = ErrorResponse {
        error: Some(refusal.to_string()),
        reject_reason: None,
    };
    Reply {
        status,
        body: json(body).unwrap_or_default(),
    }
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::Malformed(error.to_string()))
}

fn json(response: impl Serialize) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(&response).map_err(|error| Refusal::Malformed(error.to_string()))
}
