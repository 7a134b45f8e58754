//! A run: from its seed to its verdict.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::future::{LocalBoxFuture, join_all};
use rules::{
    accepted,
    planted::{self, Fault},
};

use crate::{
    laws, server,
    stage::Stage,
    world::{Violation, World, lock},
};

/// How long, in virtual time, the actors may take.
const ACTING_MAX: Duration = Duration::from_secs(24 * 3_600);

/// How often it is looked whether everything has come to rest, and how long it is waited between.
const LOOKS_MAX: u32 = 600;
/// In how many of the first of these looks everybody still disputes, gives up and trades, where
/// settlements take their time.
const BUSY_LOOKS: u32 = 14;
/// After how many looks clients allocate what they may owe their partners.
const COVERED_EVERY: u32 = 20;
const LOOK_AROUND: Duration = Duration::from_secs(10);

/// What came of a run.
#[derive(Debug)]
pub struct Verdict {
    /// The seed that determined all of it.
    pub seed: u64,
    /// The first law that did not hold, if one did not.
    pub violation: Option<Violation>,
    /// A digest of everything that happened, the same in every replay.
    pub fingerprint: u64,
    /// How many requests were made of the network.
    pub operations: u64,
    /// How many batches were committed.
    pub commits: u64,
    /// The full names of the types of all commands that were accepted.
    pub accepted: BTreeSet<&'static str>,
    /// What happened, line by line, if it was wanted.
    pub lines: Vec<String>,
}

/// Runs one seed in a thread's own virtual time, with a planted fault if one is named.
///
/// # Errors
///
/// When the run could not even be set up.
pub fn run(seed: u64, fault: Option<Fault>, keeps_lines: bool) -> anyhow::Result<Verdict> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    planted::plant(fault);
    accepted::take();
    let verdict = runtime.block_on(async {
        let world = Arc::new(World::new(seed, keeps_lines).await?);
        let played = play(&world).await;
        world.end();
        played?;
        Ok(Verdict {
            seed,
            violation: world.violation(),
            fingerprint: world.fingerprint(),
            operations: world.operations(),
            commits: world.commits(),
            accepted: accepted::take(),
            lines: world.take_lines(),
        })
    });
    planted::plant(None);
    verdict
}

async fn play(world: &Arc<World>) -> anyhow::Result<()> {
    for place in 0..usize::try_from(world.plan.servers)? {
        tokio::spawn(server::keep_alive(Arc::clone(world), place));
    }
    let mut stage = Stage::set(world).await?;
    world.set_faulty(true);
    stage.connect(world).await;
    let mut acting: Vec<LocalBoxFuture<'_, ()>> = Vec::new();
    acting.extend(
        stage
            .clients
            .iter()
            .map(|client| Box::pin(client.act(world)) as _),
    );
    acting.extend(
        stage
            .traders
            .iter()
            .map(|trader| Box::pin(trader.act(world)) as _),
    );
    acting.push(Box::pin(stage.operator.act(world)));
    let acted = tokio::time::timeout(ACTING_MAX, join_all(acting)).await;
    if acted.is_err() {
        world.broken("everybody gets an answer", "somebody still waits");
    }
    world.set_faulty(false);
    world.note(format_args!("nothing fails any more"));
    if world.plan.suspensions == 1 {
        let is_over = end_suspensions(world, &stage).await?;
        if !is_over {
            return Ok(());
        }
    }
    come_to_rest(world, &stage).await?;
    // Whatever is sent again now changes nothing any more.
    for client in &stage.clients {
        client.repeat_everything(world).await;
    }
    for trader in &stage.traders {
        trader.repeat_everything(world).await;
    }
    if world.violation().is_none() {
        laws::check_end(world).await?;
    }
    Ok(())
}

/// Waits until what was under way has ended, whoever is suspended, and lets everybody go on; false if
/// that broke a law.
async fn end_suspensions(world: &Arc<World>, stage: &Stage) -> anyhow::Result<bool> {
    stage.operator.suspend_some(world).await;
    for client in &stage.clients {
        client.try_everything(world).await;
    }
    for trader in &stage.traders {
        trader.trade(world);
        trader.settle(world).await;
    }
    let mut under_way = None;
    for _ in 0..LOOKS_MAX {
        for trader in &stage.traders {
            trader.answer_what_waits(world).await;
        }
        if world.plan.on_chain == 1 {
            stage.operator.finish_on_chain(world).await;
        }
        under_way = laws::under_way(world).await?;
        if under_way.is_none() || world.violation().is_some() {
            break;
        }
        tokio::time::sleep(LOOK_AROUND).await;
    }
    if let Some(detail) = under_way {
        world.broken("what is under way ends, whoever is suspended", detail);
    }
    stage.operator.reactivate_everybody(world).await;
    for client in &stage.clients {
        client.check_active(world).await?;
        client.cover(world).await;
    }
    Ok(world.violation().is_none())
}

/// Waits until nothing is left to be done.
async fn come_to_rest(world: &Arc<World>, stage: &Stage) -> anyhow::Result<()> {
    // Of what a partner has left aside it answers something now; the rest is released.
    let answers_all = world.chance.below(2) == 0;
    while stage.operator.finish_a_withdrawal(world).await {}
    stage.operator.reject_what_holds_nothing(world).await;
    let busy_looks = if world.plan.longer() > 1 {
        BUSY_LOOKS
    } else {
        0
    };
    let mut unrest = None;
    for look in 0..LOOKS_MAX {
        let mut is_settled = true;
        let is_busy = look < busy_looks;
        for client in &stage.clients {
            if world.plan.staged == 1 {
                match is_busy {
                    true => client.dispute(world).await,
                    false => client.concede_everything(world).await,
                }
            }
            if look % COVERED_EVERY == COVERED_EVERY - 1 {
                stage.operator.fund(world, client.party.go_account).await;
                client.cover(world).await;
            }
        }
        // What was posted last is disputed too, before everybody gives in.
        if world.plan.staged == 1 {
            match is_busy {
                true => stage.operator.decide_on_disputes(world).await,
                false => {
                    stage.operator.review_everything(world).await;
                    if world.chance.below(3) == 0 {
                        stage.operator.reject_a_settlement(world).await;
                    }
                }
            }
        }
        if world.plan.on_chain == 1 {
            match is_busy {
                true => stage.operator.watch_the_chain(world).await,
                false => stage.operator.finish_on_chain(world).await,
            }
        }
        for trader in &stage.traders {
            if answers_all {
                lock(&trader.ignored).clear();
            }
            trader.answer_what_waits(world).await;
            trader.correct(world).await;
            trader.carry(world).await;
            if is_busy {
                trader.trade(world);
            }
            if !trader.settle(world).await {
                is_settled = false;
                // What is short for long fails, and may be given up.
                if !is_busy {
                    stage.operator.fund(world, trader.party.go_account).await;
                }
            }
        }
        if world.violation().is_some() {
            return Ok(());
        }
        unrest = laws::unrest(world).await?;
        if unrest.is_none() && is_settled {
            // A call that was underway for a long time may still arrive.
            tokio::time::sleep(Duration::from_secs(120)).await;
            unrest = laws::unrest(world).await?;
            if unrest.is_none() {
                return Ok(());
            }
        }
        tokio::time::sleep(LOOK_AROUND).await;
    }
    let detail = unrest.unwrap_or_else(|| "a settlement is not booked".to_owned());
    world.broken("everything comes to rest", detail);
    Ok(())
}
