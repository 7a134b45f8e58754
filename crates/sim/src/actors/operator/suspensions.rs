//! Operators who suspend clients and connections and stop partners, and let them go on.

use rules::{ClientId, ConnectionId, PartnerId};

use super::Operator;
use crate::world::World;

/// Who can be kept from beginning anything.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Suspendable {
    Client(ClientId),
    Connection(ConnectionId),
    Partner(PartnerId),
}

impl Operator {
    /// Suspends somebody or lets somebody go on, who may be suspended already or not.
    pub(crate) async fn suspend_or_reactivate(&self, world: &World) {
        let suspended = world.chance.below(3) == 0;
        if let Some(&who) = world.chance.pick(&self.suspendable) {
            self.set_suspended(world, who, suspended).await;
        }
    }

    /// Suspends a few, beside those who are.
    pub(crate) async fn suspend_some(&self, world: &World) {
        for &who in &self.suspendable {
            if world.chance.below(3) == 0 {
                self.set_suspended(world, who, true).await;
            }
        }
    }

    /// Lets everybody go on.
    pub(crate) async fn reactivate_everybody(&self, world: &World) {
        for &who in &self.suspendable {
            self.set_suspended(world, who, false).await;
        }
    }

    async fn set_suspended(&self, world: &World, who: Suspendable, suspended: bool) {
        let told = world
            .persist(async |network| {
                let operator = network.installation();
                match who {
                    Suspendable::Client(id) => {
                        let client = operator.suspend_client(id, suspended).await?;
                        Ok(client.suspended_at.is_some())
                    }
                    Suspendable::Connection(id) => {
                        let connection = operator.suspend_connection(id, suspended).await?;
                        Ok(connection.suspended.is_some())
                    }
                    Suspendable::Partner(id) => {
                        let partner = operator.update_partner(id, Some(!suspended), None).await?;
                        Ok(!partner.active)
                    }
                }
            })
            .await;
        world.note(format_args!("{who:?} is suspended {suspended}: {told:?}"));
        if told != Ok(suspended) && world.violation().is_none() {
            let detail = format!("{who:?} was to be suspended {suspended}: {told:?}");
            world.broken("operators suspend and reactivate", detail);
        }
    }
}
