//! Operators suspend clients and connections, and reactivate them (OES wire §3.2).
//!
//! What is suspended takes no new connections and no allocations. Money that is there is no
//! hostage: it is settled and can be deallocated as ever. Partners are stopped and resumed by
//! [`crate::operate::UpdatePartner`].

use ledger::Timestamp;

use crate::{
    Class, ClientId, Command, ConnectionId, Draft, Keys, Reason, Refusal,
    operate::Act,
    planted::{Fault, is_planted},
    record::{Client, Connection, ConnectionState, Suspended},
};

/// A client is suspended or reactivated.
#[derive(Clone, Debug)]
pub struct SuspendClient {
    /// Which client.
    pub id: ClientId,
    /// Whether it shall be suspended.
    pub suspended: bool,
    /// Who says so.
    pub operator: Act,
}

impl Command for SuspendClient {
    type Outcome = Client;

    fn keys(&self) -> Keys {
        Keys {
            clients: [self.id].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Client, Refusal> {
        let before = draft.find::<Client>(&self.id).cloned();
        let before = before.ok_or_else(|| Refusal::not_found("client"))?;
        if before.suspended_at.is_some() == self.suspended {
            return Ok(before);
        }
        let after = Client {
            suspended_at: self.suspended.then_some(now),
            updated_at: now,
            ..before.clone()
        };
        let act = act_name(self.suspended, "suspend_client", "reactivate_client");
        let change = (Some(&before), &after);
        self.operator
            .record_change(draft, act, self.id.to_string(), change, now);
        draft.put(after.clone());
        Ok(after)
    }
}

/// A connection is suspended or reactivated. Its client cannot activate it while it is suspended;
/// reactivated, it is as active as its client last wanted it.
#[derive(Clone, Debug)]
pub struct SuspendConnection {
    /// Which connection.
    pub id: ConnectionId,
    /// Whether it shall be suspended.
    pub suspended: bool,
    /// Who says so.
    pub operator: Act,
}

impl Command for SuspendConnection {
    type Outcome = Connection;

    fn keys(&self) -> Keys {
        Keys {
            connections: [self.id].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Connection, Refusal> {
        let before = draft.find::<Connection>(&self.id).cloned();
        let before = before.ok_or_else(|| Refusal::not_found("connection"))?;
        if before.suspended.is_some() == self.suspended {
            return Ok(before);
        }
        let mut after = before.clone();
        after.updated_at = now;
        match before.suspended {
            None => {
                let wanted_active = before.active;
                after.suspended = Some(Suspended { wanted_active });
                after.active = false;
            }
            Some(Suspended { wanted_active }) => {
                // What the partner has rejected meanwhile stays inactive.
                let is_rejected = matches!(before.state, ConnectionState::Rejected { .. });
                after.suspended = None;
                let wanted_active = wanted_active || is_planted(Fault::ReactivatedIsActive);
                after.active = wanted_active && !is_rejected;
            }
        }
        let act = act_name(
            self.suspended,
            "suspend_connection",
            "reactivate_connection",
        );
        // Not the whole records: they may hold the client's key.
        let (was, is) = (Standing::of(&before), Standing::of(&after));
        self.operator
            .record_change(draft, act, self.id.to_string(), (Some(&was), &is), now);
        draft.put(after.clone());
        Ok(after)
    }
}

/// What acts show of a connection.
#[derive(Debug)]
#[expect(dead_code, reason = "it is shown")]
struct Standing {
    active: bool,
    suspended: Option<Suspended>,
}

impl Standing {
    fn of(connection: &Connection) -> Standing {
        let Connection {
            active, suspended, ..
        } = *connection;
        Standing { active, suspended }
    }
}

fn act_name(suspended: bool, one: &'static str, other: &'static str) -> &'static str {
    match suspended {
        true => one,
        false => other,
    }
}

/// What speaks against new connections and allocations of a client, if anything does.
pub(crate) fn obstacle_of_client(client: &Client) -> Option<Reason> {
    client.suspended_at.map(|_| {
        let message = "the operator of the network has suspended the client: it can deallocate, and is settled as ever";
        Reason::new("client_suspended", message)
    })
}

/// What is said of a suspended connection that is to be used or activated.
pub(crate) fn connection_suspended() -> Reason {
    let message = "the operator of the network has suspended the connection: it can be deallocated from, and is settled as ever";
    Reason::new("connection_suspended", message)
}

/// The same, as a refusal.
pub(crate) fn refuse_suspended() -> Refusal {
    Refusal {
        class: Class::Unprocessable,
        reason: connection_suspended(),
    }
}
