//! The operator watches the chain: says which deposits have come and which withdrawals have left,
//! and gives up what will not come.

use ledger::Currency;
use network::{ChainObserver, Failure, Movement, OnChainView};
use rules::{
    approve::Undertaken,
    onchain::Withdrawn,
    record::{Direction, OnChainDeposit, OnChainLeg, Settlement},
};
use store::{OnChainDepositFilter, Page};
use uuid::Uuid;

use super::Operator;
use crate::{
    actors::amount,
    promises::Crossing,
    world::{World, lock},
};

const ALL: Page = Page {
    number: 0,
    size: 500,
};

impl Operator {
    /// Looks at the chain once and says something of what is there.
    pub(crate) async fn watch_the_chain(&self, world: &World) {
        match world.chance.below(9) {
            0..=2 => {
                let unseen = self.unseen_deposits(world).await;
                if let Some(deposit) = world.chance.pick(&unseen) {
                    self.see(world, deposit).await;
                }
            }
            3..=5 => self.move_a_withdrawal(world).await,
            6 | 7 => self.give_up_something(world).await,
            _ => self.return_everything(world).await,
        }
        self.check_as_servers_do(world).await;
    }

    /// A server looks at the laws when it starts, and on a period.
    async fn check_as_servers_do(&self, world: &World) {
        let told = world
            .persist(async |network| {
                let records = network.installation().records().clone();
                Ok(records.check_laws().await?)
            })
            .await;
        let broken = told.unwrap_or_default();
        if !broken.is_empty() {
            world.broken("servers find the books sound", format!("{broken:?}"));
        }
    }

    /// Says all that there is to say, so that everything over the chain ends.
    pub(crate) async fn finish_on_chain(&self, world: &World) {
        for deposit in self.unseen_deposits(world).await {
            self.see(world, &deposit).await;
        }
        for view in self.open_on_chain(world).await {
            for leg in losing(&view) {
                let withdrawn = Withdrawn::Seen {
                    tx_id: format!("out-{}", world.next_number()),
                };
                let told = self.withdraw(world, leg, withdrawn).await;
                self.hear_of_withdrawal(world, leg, &told);
            }
        }
        // A rejection gives back by itself what was received.
        if world.chance.below(2) == 0 {
            self.return_everything(world).await;
        }
        self.reject_what_never_began(world).await;
        self.return_everything(world).await;
    }

    async fn unseen_deposits(&self, world: &World) -> Vec<OnChainDeposit> {
        let told = world
            .persist(async |network| {
                let filter = OnChainDepositFilter {
                    settlement_id: None,
                    seen: Some(false),
                };
                let records = network.installation().records().clone();
                Ok(records.on_chain_deposits(filter, ALL).await?)
            })
            .await;
        told.unwrap_or_default()
    }

    async fn open_on_chain(&self, world: &World) -> Vec<OnChainView> {
        let told = world
            .persist(async |network| network.installation().open_on_chain(ALL).await)
            .await;
        told.unwrap_or_default()
    }

    async fn say_seen(
        &self,
        world: &World,
        deposit: &OnChainDeposit,
        units: u64,
    ) -> Result<Undertaken<OnChainDeposit>, Failure> {
        let (id, amount) = (deposit.id.0, amount(units));
        let transfer = format!("custody-{}", deposit.on_chain_tx_id);
        world
            .persist(async |network| {
                let operator = network.installation();
                operator.deposit_seen(id, amount, transfer.clone()).await
            })
            .await
    }

    /// Custody has received a deposit, which is said again, or otherwise, or as of another kind.
    async fn see(&self, world: &World, deposit: &OnChainDeposit) {
        let tx_id = &deposit.on_chain_tx_id;
        let sent = lock(&world.chain).get(tx_id).copied();
        let Some(units) = sent else { return };
        match self.say_seen(world, deposit, units).await {
            Ok(Undertaken::Done { outcome: seen, .. }) => {
                let crossing = Crossing {
                    id: seen.id.0,
                    currency: seen.currency.to_string(),
                    units: i128::from(units),
                };
                world.note(format_args!("{tx_id} is seen: {crossing:?}"));
                lock(&world.promises).seen.insert(tx_id.clone(), crossing);
            }
            Ok(Undertaken::Proposed(_)) => {
                world.broken("the installation needs nobody", tx_id.clone());
            }
            Err(_) if world.violation().is_some() => return,
            Err(failure) => world.broken("a deposit is seen", format!("{tx_id}: {failure}")),
        }
        match world.chance.below(6) {
            0 => {
                if let Err(failure) = self.say_seen(world, deposit, units).await
                    && world.violation().is_none()
                {
                    let detail = format!("{tx_id} is seen again: {failure}");
                    world.broken("what has ended stays as it is", detail);
                }
            }
            1 => {
                let told = self.say_seen(world, deposit, units + 1).await;
                world.expect_refusal("a transaction is booked once", &told, tx_id);
            }
            2 => {
                let movement = Movement {
                    go_account_id: deposit.go_account_id,
                    currency: deposit.currency.clone(),
                    amount: amount(units),
                    external_reference: tx_id.clone(),
                };
                let told = world
                    .persist(async |network| {
                        network.installation().book_deposit(movement.clone()).await
                    })
                    .await;
                world.expect_refusal("a transaction is booked once", &told, tx_id);
            }
            _ => {}
        }
    }

    async fn withdraw(
        &self,
        world: &World,
        leg: &OnChainLeg,
        withdrawn: Withdrawn,
    ) -> Result<Undertaken<Settlement>, Failure> {
        let (id, currency) = (leg.key.settlement_id.0, leg.key.currency.clone());
        let said = format!("losses of {id} in {currency}: {withdrawn:?}");
        let told = world
            .persist(async |network| {
                let operator = network.installation();
                operator
                    .withdrawal(id, currency.clone(), withdrawn.clone())
                    .await
            })
            .await;
        world.note(format_args!("{said}: {}", told.is_ok()));
        told
    }

    fn hear_of_withdrawal(
        &self,
        world: &World,
        leg: &OnChainLeg,
        told: &Result<Undertaken<Settlement>, Failure>,
    ) {
        if told.is_ok() {
            let key = (leg.key.settlement_id.0, leg.key.currency.to_string());
            lock(&world.promises).left.insert(key, leg.total_units);
        }
    }

    async fn move_a_withdrawal(&self, world: &World) {
        let open = self.open_on_chain(world).await;
        let legs: Vec<&OnChainLeg> = open.iter().flat_map(losing).collect();
        let Some(leg) = world.chance.pick(&legs) else {
            return;
        };
        let tx_id = format!("out-{}", world.next_number());
        let failed = Withdrawn::Failed {
            reason: "it is not mined".to_owned(),
        };
        let seen = Withdrawn::Seen {
            tx_id: tx_id.clone(),
        };
        match world.chance.below(6) {
            0 => {
                let started = Withdrawn::Started { tx_id: Some(tx_id) };
                let _ = self.withdraw(world, leg, started).await;
            }
            1 | 2 => {
                let _ = self.withdraw(world, leg, failed).await;
            }
            // Two who watch the chain see it differently.
            3 => {
                let (seen, failed) = futures_util::future::join(
                    self.withdraw(world, leg, seen),
                    self.withdraw(world, leg, failed),
                )
                .await;
                self.hear_of_withdrawal(world, leg, &seen);
                if seen.is_ok() && failed.is_ok() {
                    let detail = format!("{:?} has left and has not", leg.key);
                    world.broken("a withdrawal ends once", detail);
                }
            }
            _ => {
                let told = self.withdraw(world, leg, seen).await;
                self.hear_of_withdrawal(world, leg, &told);
            }
        }
    }

    async fn give_up_something(&self, world: &World) {
        if world.chance.below(2) == 0 && self.reject_what_never_began(world).await {
            return;
        }
        let open = self.open_on_chain(world).await;
        let Some(view) = world.chance.pick(&open) else {
            return;
        };
        let id = view.settlement.id.0;
        let gaining = view
            .legs
            .iter()
            .filter(|leg| is_open(leg, Direction::Gains));
        let gaining: Vec<&OnChainLeg> = gaining.collect();
        let told = match world.chance.pick(&gaining) {
            Some(leg) if world.chance.below(2) == 0 => {
                let currency = leg.key.currency.clone();
                world
                    .persist(async |network| {
                        let operator = network.installation();
                        let reason = "it does not come".to_owned();
                        operator.fail_gains(id, currency.clone(), reason).await
                    })
                    .await
            }
            _ => {
                world
                    .persist(async |network| {
                        let operator = network.installation();
                        operator.reject_on_chain(id, "too late".to_owned()).await
                    })
                    .await
            }
        };
        world.note(format_args!("{id} is given up: {}", told.is_ok()));
    }

    /// Gives partners back what was received and nothing waits for.
    async fn return_everything(&self, world: &World) {
        let received = world.received().await.unwrap_or_default();
        for (id, currency) in received {
            self.return_received(world, id, currency).await;
        }
    }

    async fn return_received(&self, world: &World, id: Uuid, currency: Currency) {
        let told = world
            .persist(async |network| {
                let operator = network.installation();
                operator.return_received(id, currency.clone()).await
            })
            .await;
        world.note(format_args!("{id} gets {currency} back: {told:?}"));
    }
}

fn is_open(leg: &OnChainLeg, direction: Direction) -> bool {
    leg.key.direction == direction && leg.state.is_open()
}

/// The losses of a settlement that have not ended.
fn losing(view: &OnChainView) -> impl Iterator<Item = &OnChainLeg> {
    let losses = |leg: &&OnChainLeg| is_open(leg, Direction::Losses);
    view.legs.iter().filter(losses)
}
