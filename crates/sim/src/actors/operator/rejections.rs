//! Operators who give settlements up that have failed, and try to give up what cannot be.

use rules::approve::Undertaken;
use uuid::Uuid;

use super::Operator;
use crate::world::{World, lock};

/// Staged, and failed.
const FAILED: &str =
    "SELECT id FROM settlements WHERE state = 'failed' AND cutoff_at IS NOT NULL ORDER BY id";

/// To be settled over the chain, but somebody lacks what is to be lost.
const NEVER_BEGUN: &str = "SELECT id FROM settlements WHERE state = 'failed'
    AND id IN (SELECT settlement_id FROM on_chain_settlements WHERE NOT started) ORDER BY id";

/// Posted to version 1: what fails there is tried again or left, for it holds nothing.
const NOT_STAGED: &str =
    "SELECT id FROM settlements WHERE state = 'failed' AND cutoff_at IS NULL ORDER BY id";

/// Booked at once or failed, neither staged nor over the chain.
const AT_ONCE: &str = "SELECT id FROM settlements WHERE cutoff_at IS NULL
    AND id NOT IN (SELECT settlement_id FROM on_chain_settlements) ORDER BY id";

async fn one_of(world: &World, settlements: &str) -> Option<Uuid> {
    let rows = world.reader.query(settlements, Vec::new()).await;
    let mut found = Vec::new();
    for mut row in rows.unwrap_or_default() {
        found.extend(row.uuid(0));
    }
    world.chance.pick(&found).copied()
}

impl Operator {
    /// Gives up a staged settlement that has failed, unless the second operator does not agree.
    pub(crate) async fn reject_a_settlement(&self, world: &World) {
        let Some(id) = one_of(world, FAILED).await else {
            return;
        };
        let agrees = world.chance.below(4) != 0;
        let told = world
            .persist(async |network| {
                let [one, other] = self.deciding.map(|user| network.operator(user));
                let undertaken = one.reject_settlement(id, "too late".to_owned()).await?;
                let Undertaken::Proposed(proposal) = undertaken else {
                    return Ok(None);
                };
                let id = proposal.id.0;
                match agrees {
                    true => other.approve(id, None).await?,
                    false => other.reject(id, "not yet".to_owned()).await?,
                };
                Ok((!agrees).then_some(id))
            })
            .await;
        world.note(format_args!("{id} is rejected {agrees}: {}", told.is_ok()));
        if let Ok(Some(proposal)) = told {
            let told = world
                .persist(async |network| {
                    let other = network.operator(self.deciding[1]);
                    other.approve(proposal, None).await
                })
                .await;
            let what = format!("the rejected proposal {proposal}");
            world.expect_refusal("a rejected proposal does nothing", &told, &what);
        }
    }

    /// Tries to give up a settlement that was posted to version 1, in a way in which it never can be.
    pub(crate) async fn reject_what_holds_nothing(&self, world: &World) {
        let is_over_the_chain = world.chance.below(3) == 0;
        let settlements = match is_over_the_chain {
            true => AT_ONCE,
            false => NOT_STAGED,
        };
        let Some(id) = one_of(world, settlements).await else {
            return;
        };
        let told = world
            .persist(async |network| {
                let (operator, reason) = (network.installation(), "too late".to_owned());
                match is_over_the_chain {
                    true => operator.reject_on_chain(id, reason).await,
                    false => operator.reject_settlement(id, reason).await,
                }
            })
            .await;
        let law = "what holds nothing is not rejected";
        world.expect_refusal(law, &told, &format!("the rejection of {id}"));
    }

    /// Gives up a settlement over the chain that could not be begun; false if there is none.
    pub(crate) async fn reject_what_never_began(&self, world: &World) -> bool {
        let Some(id) = one_of(world, NEVER_BEGUN).await else {
            return false;
        };
        let told = world
            .persist(async |network| {
                let operator = network.installation();
                operator.reject_on_chain(id, "too late".to_owned()).await
            })
            .await;
        world.note(format_args!("{id} never begins: {}", told.is_ok()));
        if let Ok(Undertaken::Done { outcome, .. }) = told {
            lock(&world.promises)
                .rejected
                .insert(outcome.external_id, id);
        }
        true
    }
}
