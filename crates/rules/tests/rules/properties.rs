//! What holds for every sequence of commands, whoever sends what, how often, in whatever batches.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rules::record::{AllocationState, Settlement, SettlementState};

use crate::harness::{Asked, World, check_journal, differences};
use crate::network::ready;
use crate::steps::{Any, commands, sequences};

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// The commands in batches of these sizes, over and over, some time apart.
///
/// A withdrawal is told only once it is on disk: nobody can finish it in the batch that makes it.
fn batches(commands: &[Any], sizes: &[usize]) -> Vec<Vec<Any>> {
    let mut batches = vec![Vec::new()];
    for command in commands {
        let turn = batches.len() - 1;
        if batches[turn].len() == sizes[turn % sizes.len()] {
            batches.push(Vec::new());
        }
        batches.last_mut().expect("a batch").push(command.clone());
    }
    batches
}

fn sizes(most: usize) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..=most, 1..4)
}

/// Seconds from one batch to the next: within a lease, within a backoff, beyond both.
fn pause(turn: usize) -> i64 {
    [0, 1, 4, 90][turn % 4]
}

fn submit(batch: &[Any]) -> Vec<Box<dyn Asked>> {
    batch.iter().map(Any::submission).collect()
}

/// Runs all commands and says for each whether it was accepted.
fn run(world: &mut World, commands: &[Any], sizes: &[usize]) -> Vec<bool> {
    let mut accepted = Vec::new();
    for (turn, batch) in batches(commands, sizes).iter().enumerate() {
        let mut asked = submit(batch);
        world.batch(&mut asked);
        accepted.extend(asked.iter().map(|asked| asked.refusal().is_none()));
        world.pass_seconds(pause(turn));
    }
    accepted
}

/// Whether repeating the command is repeating a wish, and not telling a new event.
fn acts_once(command: &Any) -> bool {
    matches!(
        command,
        Any::Reserve(_)
            | Any::Conclude(_)
            | Any::PartnerAnswer(_)
            | Any::Settle(_)
            | Any::Stage(_)
            | Any::RejectSettlement(_)
            | Any::OpenDispute(_)
            | Any::UpdateDispute(_)
            | Any::CloseDispute(_)
            | Any::ReviewClosure(_)
            | Any::BookDeposit(_)
            | Any::RequestWithdrawal(_)
            | Any::FinishWithdrawal(_)
            | Any::BecomeClient(_)
            | Any::CreatePartner(_)
            | Any::OpenConnection(_)
            | Any::AnswerConnection(_)
            | Any::OpenGoAccount(_)
            | Any::AddSigningKey(_)
            | Any::RevokeSigningKey(_)
            | Any::RevokeToken(_)
    )
}

/// Whether the command says how something shall be, so that saying it twice is saying it once.
fn says_how_it_shall_be(command: &Any) -> bool {
    matches!(
        command,
        Any::PutEnterprise(_)
            | Any::PutUser(_)
            | Any::PutMembership(_)
            | Any::PutCurrency(_)
            | Any::PutPartnerConfiguration(_)
            | Any::UpdatePartner(_)
            | Any::UpdateConnection(_)
            | Any::Delivered(_)
    )
}

/// A failed settlement is tried again when it is asked for again (decisions §3).
fn is_tried_again(world: &World, command: &Any) -> bool {
    let Any::Settle(request) = command else {
        return false;
    };
    world.state.settlements.iter().any(|known: &Settlement| {
        let same = known.partner_enterprise_id == request.enterprise_id
            && known.external_id == request.external_id;
        same && matches!(known.state, SettlementState::Failed { .. })
    })
}

proptest! {
    #![proptest_config(cases(4_000))]

    /// Conservation, no negative bucket, holds that explain what is held, terminal states that
    /// stay, refusals that change nothing: all of it is checked by [`World::batch`] itself.
    #[test]
    fn the_laws_hold_after_every_batch(steps in sequences(32), sizes in sizes(12)) {
        let mut world = ready();
        run(&mut world, &commands(&steps), &sizes);
        check_journal(&world.state);
    }
}

proptest! {
    #![proptest_config(cases(2_500))]

    #[test]
    fn a_batch_equals_the_same_commands_one_by_one(steps in sequences(20), sizes in sizes(20)) {
        let (mut together, mut alone) = (ready(), ready());
        alone.watched = false;
        for (turn, batch) in batches(&commands(&steps), &sizes).iter().enumerate() {
            let mut asked = submit(batch);
            together.batch(&mut asked);
            for (asked, command) in asked.iter().zip(batch) {
                let mut single = submit(std::slice::from_ref(command));
                alone.batch(&mut single);
                prop_assert_eq!(asked.told(), single[0].told(), "{:?}", command);
            }
            together.pass_seconds(pause(turn));
            alone.pass_seconds(pause(turn));
        }
        prop_assert_eq!(differences(&together.state, &alone.state), [""; 0]);
    }
}

proptest! {
    #![proptest_config(cases(2_500))]

    /// Whatever acts once and was accepted may be sent again at any time, alone or all together.
    #[test]
    fn a_replay_changes_nothing(steps in sequences(24), sizes in sizes(8), wait in 0..100_000_i64) {
        let mut world = ready();
        let commands = commands(&steps);
        let accepted = run(&mut world, &commands, &sizes);
        world.pass_seconds(wait);
        let accepted = commands.into_iter().zip(accepted).filter(|(_, accepted)| *accepted);
        let replayed: Vec<Any> = accepted
            .map(|(command, _)| command)
            .filter(|command| acts_once(command) && !is_tried_again(&world, command))
            .collect();
        for command in &replayed {
            let written = world.batch(&mut submit(std::slice::from_ref(command)));
            prop_assert_eq!(written, [""; 0], "{:?}", command);
        }
        let written = world.batch(&mut submit(&replayed));
        prop_assert_eq!(written, [""; 0]);
    }
}

proptest! {
    #![proptest_config(cases(800))]

    /// Whatever was accepted and is no failed settlement moves no money when it is sent at once
    /// again; and what says how something shall be changes nothing at all.
    #[test]
    fn saying_it_twice_is_saying_it_once(steps in sequences(24)) {
        let mut world = ready();
        for command in commands(&steps) {
            let mut first = submit(std::slice::from_ref(&command));
            world.batch(&mut first);
            if first[0].refusal().is_some() || is_tried_again(&world, &command) {
                continue;
            }
            let mut second = submit(std::slice::from_ref(&command));
            let mut written = world.batch(&mut second);
            if says_how_it_shall_be(&command) {
                prop_assert_eq!(first[0].told(), second[0].told());
            } else {
                written.retain(|kind| ["balances", "holds", "entries"].contains(kind));
            }
            prop_assert_eq!(written, [""; 0], "{:?}", command);
        }
    }

    /// After a conflict a batch is dropped and decided again: it comes to the same.
    #[test]
    fn a_batch_that_is_decided_again_comes_to_the_same(steps in sequences(24)) {
        let commands = commands(&steps);
        let mut asked = Vec::new();
        let worlds = [(); 2].map(|()| {
            let mut world = ready();
            for batch in batches(&commands, &[10]) {
                let mut batch = submit(&batch);
                world.batch(&mut batch);
                asked.push(batch.iter().map(|asked| asked.told()).collect::<Vec<_>>());
            }
            world
        });
        prop_assert_eq!(differences(&worlds[0].state, &worlds[1].state), [""; 0]);
        let half = asked.len() / 2;
        prop_assert_eq!(&asked[..half], &asked[half..]);
    }
}

/// The sequences are worth their time only if they get everywhere.
#[test]
fn the_sequences_reach_every_corner() {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    // Disputes end long after what they began with.
    for _ in 0..150 {
        let steps = sequences(140)
            .new_tree(&mut runner)
            .expect("a sequence")
            .current();
        let mut world = ready();
        for command in commands(&steps) {
            let mut single = submit(std::slice::from_ref(&command));
            world.batch(&mut single);
            if let Some(refusal) = single[0].refusal() {
                reached.insert(refusal.reason.name.clone());
            }
            world.pass_seconds(4);
        }
        for record in world.state.allocations.iter() {
            let kind = record.kind;
            reached.insert(match &record.state {
                AllocationState::Reserved { reason, .. } => format!("{kind} {}", reason.name),
                AllocationState::Cleared => format!("{kind} cleared"),
                AllocationState::Released { reason } => format!("{kind} {}", reason.name),
            });
        }
        for entry in world.state.entries {
            reached.insert(entry.cause.to_string());
        }
        for settlement in world.state.settlements.iter() {
            if let SettlementState::Failed { reason } = &settlement.state {
                reached.insert(format!("settlement {}", reason.name));
            }
        }
    }
    let corners = "
        access_token_not_found, allocation_not_found, already_final, answer_differs_from_record,
        broker_settlement_unbalanced, connection_key_schema_mismatch, connection_not_found,
        custody_source_is_fixed, deallocation_not_found, decimals_are_fixed, disputes_need_v2,
        enterprise_not_found, external_id_taken, go_account_taken, insufficient_available,
        no_oes_licence, nonce_taken, nothing_to_ask, pair_form_is_for_brokers,
        partner_configuration_missing, partner_exists, partner_is_synchronous,
        partner_name_used_twice, partner_not_found, signing_key_revoked, signing_key_taken,
        trust_org_is_fixed, trust_org_mismatch, unknown_currency, user_not_found,
        withdrawal_not_found,
        allocation waiting_for_partner, allocation partner_unanswered, allocation cleared,
        allocation rejected_by_partner, allocation above_maximum, allocation open_total_exceeded,
        allocation connection_not_initialized, allocation currency_not_supported,
        allocation insufficient_available,
        deallocation waiting_for_partner, deallocation cleared, deallocation rejected_by_partner,
        deallocation connection_not_initialized, deallocation insufficient_allocated,
        deposit, withdrawal_requested, withdrawal_paid, withdrawal_cancelled,
        allocation_reserved, allocation_cleared, allocation_released,
        deallocation_reserved, deallocation_cleared, deallocation_released,
        settlement_completed, settlement insufficient_balance,
        settlement_staged, settlement_executed, dispute_closed,
        disputes_not_enabled, insufficient_allocated, nothing_to_settle, dispute_exists,
        dispute_window_closed, dispute_window_open,
        already_reviewed, settlement_pending, settlement_not_found,
        dispute_not_found";
    let missed: Vec<&str> = corners
        .split(',')
        .map(str::trim)
        .filter(|corner| !reached.contains(*corner))
        .collect();
    assert_eq!(missed, [""; 0]);
}
