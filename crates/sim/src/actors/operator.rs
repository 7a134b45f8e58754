//! The operator: books what custody receives and pays, looks after holds that wait, and says who may
//! begin anything.

mod disputes;
mod on_chain;
mod rejections;
mod suspensions;

use std::sync::{Arc, Mutex};

use ledger::{Currency, GoAccountId};
use network::{Failure, Movement};
use rules::{UserId, approve::Undertaken, fund::WithdrawalEnding, record::Withdrawal};
use store::Page;
use uuid::Uuid;

pub(crate) use suspensions::Suspendable;

use super::amount;
use crate::{
    promises::{Crossing, ending},
    world::{World, lock},
};

/// The operator of the network.
pub(crate) struct Operator {
    /// Everybody's Go Account.
    pub(crate) accounts: Vec<GoAccountId>,
    /// What was deposited.
    pub(crate) deposited: Mutex<Vec<Movement>>,
    /// Withdrawals that are neither paid nor cancelled.
    pub(crate) open: Mutex<Vec<Withdrawal>>,
    /// Records that it has seen waiting, some of which have ended since.
    pub(crate) seen_waiting: Mutex<Vec<Uuid>>,
    /// Who closes disputes: one proposes, the other reviews.
    pub(crate) deciding: [UserId; 2],
    /// Whom it may suspend.
    pub(crate) suspendable: Vec<Suspendable>,
}

impl Operator {
    /// Does as much as the plan says.
    pub(crate) async fn act(&self, world: &Arc<World>) {
        for _ in 0..world.plan.operator_steps * world.plan.longer() {
            world.pause().await;
            if world.violation().is_some() {
                return;
            }
            if world.plan.staged == 1 && world.chance.below(2) == 0 {
                self.decide_on_disputes(world).await;
            }
            if world.plan.on_chain == 1 && world.chance.below(3) != 0 {
                self.watch_the_chain(world).await;
            }
            if world.plan.suspensions == 1 && world.chance.below(2) == 0 {
                self.suspend_or_reactivate(world).await;
            }
            match world.chance.below(11) {
                0 | 1 => {
                    let movement = self.movement(world, "deposit");
                    if let Some(movement) = movement {
                        self.deposit(world, movement).await;
                    }
                }
                2 => self.deposit_again(world).await,
                3 | 4 => self.request_withdrawal(world).await,
                5 | 6 => {
                    self.finish_a_withdrawal(world).await;
                }
                7 => self.reject_what_holds_nothing(world).await,
                _ => self.look_after_holds(world).await,
            }
        }
    }

    fn movement(&self, world: &World, what: &str) -> Option<Movement> {
        Some(Movement {
            go_account_id: *world.chance.pick(&self.accounts)?,
            currency: world.chance.pick(&world.currencies)?.clone(),
            amount: amount(world.chance.within(1, 700)),
            external_reference: format!("{what}-{}", world.next_number()),
        })
    }

    pub(crate) async fn deposit(&self, world: &World, movement: Movement) {
        let told = world
            .persist(async |network| network.installation().book_deposit(movement.clone()).await)
            .await
            .map(done);
        match told {
            Ok(deposit) => {
                let crossing = Crossing {
                    id: deposit.id.0,
                    currency: deposit.currency.to_string(),
                    units: deposit.amount.units(),
                };
                let reference = movement.external_reference.clone();
                let known = lock(&world.promises)
                    .deposits
                    .insert(reference, crossing.clone());
                if known.is_some_and(|known| known != crossing) {
                    let detail = format!("deposit {}", movement.external_reference);
                    world.broken("an external id names one record", detail);
                }
                lock(&self.deposited).push(movement);
            }
            Err(_) if world.violation().is_some() => {}
            Err(failure) => world.broken("a deposit is booked", failure.to_string()),
        }
    }

    /// Enough of everything, for a partner whose customers have gained.
    pub(crate) async fn fund(&self, world: &World, account: GoAccountId) {
        for currency in &world.currencies {
            let funds = self.funds(world, account, currency);
            self.deposit(world, funds).await;
        }
    }

    fn funds(&self, world: &World, account: GoAccountId, currency: &Currency) -> Movement {
        Movement {
            go_account_id: account,
            currency: currency.clone(),
            amount: amount(20_000),
            external_reference: format!("funds-{}", world.next_number()),
        }
    }

    async fn deposit_again(&self, world: &World) {
        let Some(mut movement) = world.chance.pick(&lock(&self.deposited)).cloned() else {
            return;
        };
        if world.chance.below(2) == 0 {
            self.deposit(world, movement).await;
            return;
        }
        movement.amount = amount(999_999);
        let told = world
            .persist(async |network| network.installation().book_deposit(movement.clone()).await)
            .await
            .map(done);
        let law = "an external id is taken by its content";
        world.expect_refusal(law, &told, &movement.external_reference);
    }

    async fn request_withdrawal(&self, world: &World) {
        let Some(movement) = self.movement(world, "withdrawal") else {
            return;
        };
        let told = world
            .persist(async |network| {
                let operator = network.installation();
                operator.request_withdrawal(movement.clone()).await
            })
            .await
            .map(done);
        if let Ok(withdrawal) = told {
            lock(&self.open).push(withdrawal);
        }
    }

    /// Pays or cancels a withdrawal; false if none is open.
    pub(crate) async fn finish_a_withdrawal(&self, world: &World) -> bool {
        let Some(withdrawal) = lock(&self.open).pop() else {
            return false;
        };
        let ending = match world.chance.below(2) {
            0 => WithdrawalEnding::Paid,
            _ => WithdrawalEnding::Cancelled,
        };
        let id = withdrawal.id.0;
        let told = world
            .persist(async |network| network.installation().finish_withdrawal(id, ending).await)
            .await
            .map(done);
        match told {
            Ok(done) if ending == WithdrawalEnding::Paid => {
                let crossing = Crossing {
                    id,
                    currency: done.currency.to_string(),
                    units: done.amount.units(),
                };
                lock(&world.promises)
                    .paid
                    .insert(done.external_reference, crossing);
            }
            Ok(_) => {}
            Err(_) if world.violation().is_some() => {}
            Err(failure) => world.broken("a withdrawal is finished", failure.to_string()),
        }
        true
    }

    /// Has a partner asked again, or gives a hold back, perhaps one that has ended meanwhile.
    async fn look_after_holds(&self, world: &World) {
        let first = Page {
            number: 0,
            size: 50,
        };
        let stuck = world
            .persist(async |network| network.installation().stuck_holds(first).await)
            .await;
        let waiting = stuck.unwrap_or_default();
        lock(&self.seen_waiting).extend(waiting.iter().map(|hold| hold.allocation.id.0));
        let Some(id) = world.chance.pick(&lock(&self.seen_waiting)).copied() else {
            return;
        };
        if world.chance.below(2) == 0 {
            let told = world
                .persist(async |network| network.installation().ask_again(id).await)
                .await;
            world.note(format_args!(
                "the operator has {id} asked again: {}",
                told.is_ok()
            ));
            return;
        }
        let told = world
            .persist(async |network| network.installation().release(id, "by hand").await)
            .await
            .map(done);
        world.note(format_args!("the operator releases {id}: {}", told.is_ok()));
        match told {
            Ok(record) if ending(&record.state) != Some("released") => {
                let detail = format!("{id} was released by hand and is {:?}", record.state);
                world.broken("what is released by hand is released", detail);
            }
            Ok(_) | Err(Failure::Refused(_)) => {}
            Err(_) if world.violation().is_some() => {}
            Err(failure) => world.broken("a hold is released by hand", failure.to_string()),
        }
    }
}

/// What came of an act of the installation itself.
fn done<T>(undertaken: Undertaken<T>) -> T {
    let done = undertaken.done();
    done.expect("the installation itself needs no second operator")
}
