//! Operators who close disputes: one proposes what moves instead, the other reviews it.

use std::collections::BTreeMap;

use ledger::SignedAmount;
use network::{AdjustmentRequest, DisputeView, Failure};
use rules::record::{ClosureStatus, DisputeClosure};
use store::Page;
use uuid::Uuid;

use super::Operator;
use crate::{
    promises::Moves,
    world::{World, lock},
};

/// What a closure moves, for the connection that disputes.
fn moves(connection: Uuid, closure: &DisputeClosure) -> Moves {
    let sums = closure.sums().into_iter();
    let sums: BTreeMap<String, i128> = sums.map(|(c, units)| (c.to_string(), units)).collect();
    [(connection, sums)].into()
}

impl Operator {
    /// Proposes an end of a dispute, reviews one, or gives a settlement up.
    pub(crate) async fn decide_on_disputes(&self, world: &World) {
        match world.chance.below(5) {
            0..=2 => self.propose_something(world).await,
            3 => self.review_everything(world).await,
            _ => self.reject_a_settlement(world).await,
        }
    }

    async fn open_disputes(&self, world: &World) -> Vec<DisputeView> {
        let first = Page {
            number: 0,
            size: 100,
        };
        let open = world
            .persist(async |network| {
                let operator = network.operator(self.deciding[0]);
                let disputes = operator.records().open_disputes(first).await?;
                operator.dispute_views(disputes).await
            })
            .await;
        open.unwrap_or_default()
    }

    async fn propose_something(&self, world: &World) {
        let mut open = self.open_disputes(world).await;
        open.retain(|view| view.dispute.stands());
        let Some(view) = world.chance.pick(&open) else {
            return;
        };
        let mut adjustments = Vec::new();
        for currency in &world.currencies {
            let units = i128::from(world.chance.below(300)) - 150;
            if let Ok(quantity) = SignedAmount::new(units)
                && world.chance.below(3) != 0
            {
                adjustments.push(AdjustmentRequest {
                    counterparty_connection_id: None,
                    currency: currency.clone(),
                    quantity,
                });
            }
        }
        let (id, proposer) = (view.dispute.id.0, self.deciding[0]);
        let told = world
            .persist(async |network| {
                let operator = network.operator(proposer);
                operator
                    .propose_closure(id, adjustments.clone(), "it was less".to_owned())
                    .await
            })
            .await;
        world.note(format_args!("{id} is to end: {}", told.is_ok()));
        let Ok(closure) = told else { return };
        let proposed = adjustments.iter();
        let proposed = proposed.map(|a| (a.currency.clone(), a.quantity.units()));
        if closure.sums() != proposed.collect() {
            let detail = format!("{id}: {adjustments:?} became {:?}", closure.adjustments);
            world.broken("a closure is what was proposed", detail);
        }
        if world.chance.below(2) == 0 {
            let told = self.review(world, closure.id.0, 0, true).await;
            let what = format!("the proposer's own review of {}", closure.id);
            world.expect_refusal("another operator reviews a closure", &told, &what);
        }
    }

    async fn review(
        &self,
        world: &World,
        closure: Uuid,
        reviewer: usize,
        approve: bool,
    ) -> Result<DisputeClosure, Failure> {
        let reviewer = self.deciding[reviewer];
        world
            .persist(async |network| {
                let operator = network.operator(reviewer);
                operator.review_closure(closure, approve, None).await
            })
            .await
    }

    /// Approves or rejects everything that was proposed.
    pub(crate) async fn review_everything(&self, world: &World) {
        for view in self.open_disputes(world).await {
            let Some(closure) = view.closure else {
                continue;
            };
            if closure.status != ClosureStatus::PendingReview {
                continue;
            }
            let (id, approve) = (closure.id.0, world.chance.below(3) != 0);
            let told = self.review(world, id, 1, approve).await;
            world.note(format_args!("{id} is approved {approve}: {}", told.is_ok()));
            match told {
                Ok(reviewed) if approve => {
                    let moves = moves(view.dispute.connection_id.0, &reviewed);
                    lock(&world.promises).closures.insert(id, moves);
                }
                Ok(_) => {}
                Err(_) if world.violation().is_some() => return,
                Err(failure) => world.broken("a closure is reviewed", failure.to_string()),
            }
            if world.chance.below(3) == 0 {
                let told = self.review(world, id, 1, !approve).await;
                world.expect_refusal("a review stays as it is", &told, &id.to_string());
            }
        }
    }
}
