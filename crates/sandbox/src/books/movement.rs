//! Allocations and deallocations (OES wire §2.3, H2 to H8).

use std::collections::BTreeMap;

use ledger::Amount;
use uuid::Uuid;
use wire::partner_call::{
    MovementKind, MovementRequest, MovementResponse, MovementStatus, StatusResponse, Subject,
};

use super::{Account, Books, Refusal};
use crate::name::random_name;

/// How far a movement has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Taken, not decided.
    Pending,
    /// Accepted; a deallocation is held.
    Reserved,
    /// Credited or debited.
    Cleared,
    /// Dropped, or a tombstone: the release was the first that was heard of it.
    Released,
    /// Refused.
    Rejected(String),
}

impl State {
    /// Its spelling on the wire.
    pub fn status(&self) -> MovementStatus {
        match self {
            Self::Pending => MovementStatus::Pending,
            Self::Reserved => MovementStatus::Reserved,
            Self::Cleared => MovementStatus::Cleared,
            Self::Released => MovementStatus::Released,
            Self::Rejected(_) => MovementStatus::Rejected,
        }
    }
}

/// An allocation or a deallocation.
#[derive(Clone, Debug)]
pub struct Movement {
    /// The first call that named it.
    pub request: MovementRequest,
    /// Our name for it.
    pub partners_id: String,
    /// How far it has come.
    pub state: State,
}

/// What becomes of a request to reserve.
#[derive(Clone, Debug)]
pub enum Taking {
    /// It is decided at once.
    Decide,
    /// It is taken and decided later, as asynchronous partners do.
    Later,
    /// It is refused, because a fault script says so.
    Reject(String),
}

/// What an asynchronous partner decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It takes it.
    Accept,
    /// It does not, for this reason.
    Reject(String),
}

impl Books {
    /// H2 and H5. A repeat is answered as the first time, unless it was released since: then it
    /// is refused, as is one that was released before it was known.
    pub fn reserve(
        &mut self,
        request: &MovementRequest,
        taking: Taking,
    ) -> Result<MovementResponse, Refusal> {
        let id = request.subject.id();
        if !self.movements.contains_key(&id) {
            let account = connected(&self.connections, &mut self.accounts, request)?;
            let units = units(request)?;
            let state = match taking {
                Taking::Later => State::Pending,
                Taking::Reject(reason) => State::Rejected(reason),
                Taking::Decide => match accept(account, request, units) {
                    Ok(()) => State::Reserved,
                    Err(refusal) => State::Rejected(refusal.to_string()),
                },
            };
            self.remember(request, state);
        }
        let movement = known(&mut self.movements, request)?;
        let reject_reason = match &movement.state {
            State::Rejected(reason) => Some(reason.clone()),
            State::Released => Some("it was released".to_owned()),
            State::Pending | State::Reserved | State::Cleared => None,
        };
        Ok(MovementResponse {
            reject_reason,
            ..movement.response()
        })
    }

    /// H3 and H6: credits or debits, once.
    pub fn clear(&mut self, request: &MovementRequest) -> Result<MovementResponse, Refusal> {
        let movement = known(&mut self.movements, request)?;
        let units = units(request)?;
        let is_held = match &movement.state {
            State::Cleared => return Ok(movement.response()),
            State::Reserved => true,
            // The network may decide for us; it only ever goes forward from there.
            State::Pending => false,
            State::Released | State::Rejected(_) => {
                return Err(Refusal::Conflict(format!(
                    "it is {:?} and cannot be cleared",
                    movement.state.status()
                )));
            }
        };
        let account = connected(&self.connections, &mut self.accounts, request)?;
        let conflict = |refusal: Refusal| Refusal::Conflict(refusal.to_string());
        if !is_held {
            accept(account, request, units).map_err(conflict)?;
        }
        let position = account.position(&request.amount.currency);
        match request.subject.kind() {
            MovementKind::Allocation => position.credit(units).map_err(conflict)?,
            MovementKind::Deallocation => {
                position.held -= units;
                position.balance -= units;
            }
        }
        movement.state = State::Cleared;
        Ok(movement.response())
    }

    /// H4 and H7: drops a reservation, or remembers never to take it.
    pub fn release(&mut self, request: &MovementRequest) -> Result<MovementResponse, Refusal> {
        if !self.movements.contains_key(&request.subject.id()) {
            self.remember(request, State::Released);
        }
        let movement = known(&mut self.movements, request)?;
        match &movement.state {
            State::Released | State::Rejected(_) => {}
            State::Cleared => {
                return Err(Refusal::Conflict(
                    "it is cleared and cannot be released".to_owned(),
                ));
            }
            State::Pending => movement.state = State::Released,
            State::Reserved => {
                if request.subject.kind() == MovementKind::Deallocation {
                    let account = connected(&self.connections, &mut self.accounts, request)?;
                    account.position(&request.amount.currency).held -= units(request)?;
                }
                movement.state = State::Released;
            }
        }
        Ok(movement.response())
    }

    /// H8.
    pub fn status(&self, subject: Subject) -> Result<StatusResponse, Refusal> {
        let movement = self
            .movements
            .get(&subject.id())
            .filter(|movement| movement.request.subject == subject)
            .ok_or_else(|| Refusal::NotKnown("it is not known".to_owned()))?;
        let MovementResponse {
            partners_allocation_id,
            partners_deallocation_id,
            ..
        } = movement.response();
        Ok(StatusResponse {
            id: subject.id(),
            kind: Some(subject.kind()),
            status: movement.state.status(),
            amount: Some(movement.request.amount.clone()),
            reject_reason: match &movement.state {
                State::Rejected(reason) => Some(reason.clone()),
                _ => None,
            },
            partners_allocation_id,
            partners_deallocation_id,
        })
    }

    /// Decides what was taken for later and gives what has to be told to the network: the
    /// movement in its new state, reserved or rejected. What is accepted without being coverable
    /// is rejected. Deciding the same again gives the same again.
    pub fn decide(&mut self, id: Uuid, verdict: &Verdict) -> Result<Movement, Refusal> {
        let movement = self
            .movements
            .get_mut(&id)
            .ok_or_else(|| Refusal::NotKnown("it is not known".to_owned()))?;
        match (&movement.state, verdict) {
            (State::Pending, Verdict::Reject(reason)) => {
                movement.state = State::Rejected(reason.clone());
            }
            (State::Pending, Verdict::Accept) => {
                let request = &movement.request;
                let account = connected(&self.connections, &mut self.accounts, request)?;
                movement.state = match accept(account, request, units(request)?) {
                    Ok(()) => State::Reserved,
                    Err(refusal) => State::Rejected(refusal.to_string()),
                };
            }
            (State::Reserved | State::Cleared, Verdict::Accept)
            | (State::Rejected(_), Verdict::Reject(_)) => {}
            (state, _) => {
                return Err(Refusal::Conflict(format!(
                    "it is {:?} already",
                    state.status()
                )));
            }
        }
        Ok(movement.clone())
    }

    fn remember(&mut self, request: &MovementRequest, state: State) {
        let kind = match request.subject.kind() {
            MovementKind::Allocation => "allocation",
            MovementKind::Deallocation => "deallocation",
        };
        let movement = Movement {
            request: request.clone(),
            partners_id: random_name(kind),
            state,
        };
        self.movements.insert(request.subject.id(), movement);
    }
}

impl Movement {
    fn response(&self) -> MovementResponse {
        MovementResponse::to(&self.request, Some(self.partners_id.clone()))
    }
}

/// The movement that the request is about, if it is the same in everything.
fn known<'a>(
    movements: &'a mut BTreeMap<Uuid, Movement>,
    request: &MovementRequest,
) -> Result<&'a mut Movement, Refusal> {
    let movement = movements
        .get_mut(&request.subject.id())
        .ok_or_else(|| Refusal::NotKnown("it is not known".to_owned()))?;
    let first = &movement.request;
    let differing = [
        ("kind", first.subject != request.subject),
        ("amount", !first.amount.is_same_as(&request.amount)),
        ("clientId", first.client_id != request.client_id),
        ("connectionId", first.connection_id != request.connection_id),
        (
            "partnersConnectionId",
            first.partners_connection_id != request.partners_connection_id,
        ),
        (
            "partnersClientId",
            first.partners_client_id != request.partners_client_id,
        ),
    ];
    match differing.iter().find(|(_, differs)| *differs) {
        Some((name, _)) => Err(Refusal::Conflict(format!(
            "the id is known with another {name}"
        ))),
        None => Ok(movement),
    }
}

fn units(request: &MovementRequest) -> Result<i128, Refusal> {
    let amount = request.amount.quantity.parse::<Amount>();
    amount
        .map(Amount::units)
        .map_err(|error| Refusal::Malformed(format!("amount.quantity {error}")))
}

/// The account behind the connection, if every id of the request fits it.
fn connected<'a>(
    connections: &BTreeMap<Uuid, String>,
    accounts: &'a mut BTreeMap<String, Account>,
    request: &MovementRequest,
) -> Result<&'a mut Account, Refusal> {
    connections
        .get(&request.connection_id)
        .and_then(|id| accounts.get_mut(id))
        .filter(|account| {
            account.id == request.partners_client_id
                && account.link.as_ref().is_some_and(|link| {
                    link.client_id == request.client_id
                        && link.partners_connection_id == request.partners_connection_id
                })
        })
        .ok_or_else(|| Refusal::Refused("there is no such connection".to_owned()))
}

/// Accepts a movement: an allocation moves nothing yet, a deallocation is held.
fn accept(account: &mut Account, request: &MovementRequest, units: i128) -> Result<(), Refusal> {
    let currency = &request.amount.currency;
    let position = account.position(currency);
    match request.subject.kind() {
        MovementKind::Allocation => {
            let mut after = *position;
            after.credit(units)
        }
        MovementKind::Deallocation => {
            position.require_free(units, currency)?;
            position.held += units;
            Ok(())
        }
    }
}
