//! Acts on money that a second operator has to approve: nothing moves before, everything moves once.

use std::collections::BTreeSet;

use proptest::prelude::*;
use rules::Class::{Conflict, Invalid, NotFound, NotPermitted, Unprocessable};
use rules::approve::{Approve, Proposable, Reject, SetApprovalPolicy, Undertake, Undertaken};
use rules::fund::{BookDeposit, RequestWithdrawal, WithdrawalEnding::Paid};
use rules::operate::{Act, PutUser};
use rules::record::{
    ApprovalPolicy, Deposit, InstallationRole, OperatorAct, Proposal, ProposalState, Scope,
    Withdrawal, WithdrawalState,
};
use rules::release::ReleaseHold;
use rules::{Command, ProposalId, UserId};

use crate::harness::{World, differences, stored};
use crate::network::Who::{Alpha, Beta, Outsider, Unlicensed};
use crate::network::*;
use crate::steps::issue_token;

/// An act of this user.
fn by(number: u128, who: Who) -> Act {
    Act {
        user_id: Some(who.user()),
        ..act(number)
    }
}

fn proposal_id(number: u128) -> ProposalId {
    ProposalId(identifier(40, number))
}

fn operator(number: u128, who: Who) -> PutUser {
    PutUser {
        role: Some(InstallationRole::Operator),
        ..put_user(number, who)
    }
}

fn set_policy(number: u128, who: Who, required: bool) -> SetApprovalPolicy {
    SetApprovalPolicy {
        second_operator_required: required,
        proposals_expire_after_s: 3_600,
        other_operator: Some(if who == Alpha { Beta } else { Alpha }.user()),
        operator: by(number, who),
    }
}

/// Alpha, Beta and Outsider are operators.
fn with_operators() -> World {
    let mut world = ready();
    for (number, who) in (100..).zip([Alpha, Beta, Outsider]) {
        world.done(operator(number, who));
    }
    world
}

/// The same, and a second operator is required.
fn four_eyes() -> World {
    let mut world = with_operators();
    let policy = world.done(set_policy(110, Alpha, true));
    assert!(policy.second_operator_required);
    world
}

fn undertake<C>(number: u128, who: Who, command: C) -> Undertake<C> {
    Undertake {
        command,
        proposal_id: proposal_id(number),
        proposer: by(5_000_000 + number, who),
    }
}

fn approve<C>(number: u128, of: u128, who: Who, command: C) -> Approve<C> {
    Approve {
        id: proposal_id(of),
        command,
        notes: Some("seen the statement".to_owned()),
        operator: by(number, who),
    }
}

fn reject(number: u128, of: u128, who: Who) -> Reject {
    Reject {
        id: proposal_id(of),
        notes: "unknown to custody".to_owned(),
        operator: by(number, who),
    }
}

fn proposed<C>(world: &mut World, command: Undertake<C>) -> Proposal
where
    C: Proposable + Clone + std::fmt::Debug,
    C::Outcome: std::fmt::Debug,
{
    match world.done(command) {
        Undertaken::Proposed(proposal) => *proposal,
        done @ Undertaken::Done { .. } => panic!("{done:?}"),
    }
}

fn done<C>(world: &mut World, command: Undertake<C>) -> C::Outcome
where
    C: Proposable + Clone + std::fmt::Debug,
    C::Outcome: std::fmt::Debug,
{
    world.done(command).done().expect("done")
}

fn deposits(world: &World) -> usize {
    world.state.deposits.iter().count()
}

#[test]
fn one_operator_is_enough_where_no_second_is_required() {
    let mut world = with_operators();
    let before = deposits(&world);
    let undertaken = world.done(undertake(1, Alpha, deposit(1, Alpha, btc(), 70)));
    let Undertaken::Done {
        second_operator_required,
        ..
    } = undertaken
    else {
        panic!("{undertaken:?}");
    };
    assert!(!second_operator_required);
    assert_eq!(deposits(&world), before + 1);
    assert_eq!(world.state.proposals.iter().count(), 0);
}

#[test]
fn money_moves_once_a_second_operator_has_approved_it() {
    let mut world = four_eyes();
    let before = deposits(&world);
    let account = Alpha.go(&btc());
    let stood = world.balance(&account);
    let wanted = deposit(1, Alpha, btc(), 70);
    let proposal = proposed(&mut world, undertake(1, Alpha, wanted.clone()));
    assert_eq!(
        (proposal.proposed_by, proposal.state),
        (Alpha.user(), ProposalState::Pending)
    );
    assert_eq!(proposal.expires_at, world.now.plus_seconds(3_600));
    assert_eq!((deposits(&world), world.balance(&account)), (before, stood));

    // The same again, whoever says it, is the same proposal; something else about it is refused.
    world.pass_seconds(60);
    for who in [Alpha, Beta] {
        assert_eq!(
            proposed(&mut world, undertake(2, who, wanted.clone())),
            proposal
        );
    }
    let mut other = wanted.clone();
    other.amount = amount(71);
    world.refused(
        undertake(3, Alpha, other.clone()),
        Conflict,
        "other_proposal_open",
        "deposit",
    );

    let kept = world.state.clone();
    world.refused(
        approve(4, 1, Alpha, wanted.clone()),
        NotPermitted,
        "own_proposal",
        "another",
    );
    world.refused(
        approve(5, 1, Unlicensed, wanted.clone()),
        NotPermitted,
        "not_an_operator",
        "",
    );
    world.refused(
        approve(6, 9, Beta, wanted.clone()),
        NotFound,
        "proposal_not_found",
        "",
    );
    world.refused(
        approve(7, 1, Beta, other),
        Conflict,
        "other_proposal",
        "not what was",
    );
    let mut nobody = approve(8, 1, Beta, wanted.clone());
    nobody.operator.user_id = None;
    world.refused(nobody, NotPermitted, "not_an_operator", "");
    assert_eq!(differences(&kept, &world.state), [""; 0]);

    let approved = world.done(approve(9, 1, Beta, wanted.clone()));
    assert_eq!(approved.outcome.expect("the deposit").amount, amount(70));
    assert_eq!(approved.proposal.decided_by, Some(Beta.user()));
    assert_eq!(deposits(&world), before + 1);
    assert_eq!(world.balance(&account).available, stood.available + 70);
    // Who proposed it did it; who approved it approved it.
    let act_of = |number| stored::<OperatorAct>(&world.state, &act(number).id).expect("an act");
    let (did, approves) = (act_of(1), act_of(9));
    assert_eq!(
        (did.act.as_str(), did.user_id),
        ("book_deposit", Some(Alpha.user()))
    );
    assert_eq!(
        (approves.act.as_str(), approves.user_id),
        ("approve_proposal", Some(Beta.user()))
    );
    assert!(approves.detail.contains("Pending") && approves.detail.contains("Approved"));

    // It is over: repeating it changes nothing, and nobody else can decide on it.
    let kept = world.state.clone();
    let again = world.done(approve(10, 1, Beta, wanted.clone()));
    assert_eq!(
        (again.proposal, again.outcome.is_none()),
        (approved.proposal, true)
    );
    world.refused(
        approve(11, 1, Outsider, wanted.clone()),
        Conflict,
        "proposal_decided",
        "approved",
    );
    world.refused(
        reject(12, 1, Beta),
        Conflict,
        "proposal_decided",
        "approved",
    );
    done(&mut world, undertake(13, Alpha, wanted));
    assert_eq!(differences(&kept, &world.state), [""; 0]);
}

#[test]
fn what_is_rejected_or_has_expired_is_not_done_and_may_be_proposed_anew() {
    let mut world = four_eyes();
    let before = deposits(&world);
    let wanted = deposit(1, Alpha, btc(), 70);
    proposed(&mut world, undertake(1, Alpha, wanted.clone()));
    let rejected = world.done(reject(2, 1, Beta));
    assert_eq!(rejected.notes.as_deref(), Some("unknown to custody"));
    assert_eq!(world.done(reject(3, 1, Beta)), rejected);
    world.refused(
        approve(4, 1, Outsider, wanted.clone()),
        Conflict,
        "proposal_decided",
        "rejected",
    );

    let anew = proposed(&mut world, undertake(2, Alpha, wanted.clone()));
    assert_eq!(anew.id, proposal_id(2));
    // Who proposed it takes it back.
    world.done(reject(5, 2, Alpha));

    let late = proposed(&mut world, undertake(3, Alpha, wanted.clone()));
    world.pass_seconds(3_599);
    assert_eq!(
        proposed(&mut world, undertake(4, Alpha, wanted.clone())),
        late
    );
    world.pass_seconds(1);
    world.refused(
        approve(6, 3, Beta, wanted.clone()),
        Unprocessable,
        "proposal_expired",
        "again",
    );
    let last = proposed(&mut world, undertake(5, Alpha, wanted.clone()));
    assert_eq!((last.id, deposits(&world)), (proposal_id(5), before));
    world.done(approve(7, 5, Beta, wanted));
    assert_eq!(deposits(&world), before + 1);
}

#[test]
fn what_would_be_refused_is_not_proposed_and_what_is_refused_later_stays_open() {
    let mut world = four_eyes();
    let too_much = undertake(1, Alpha, withdraw(1, Alpha, usd(), 101));
    world.refused(too_much, Unprocessable, "insufficient_available", "101");
    assert_eq!(world.state.proposals.iter().count(), 0);

    let (first, second) = (withdraw(2, Alpha, usd(), 60), withdraw(3, Alpha, usd(), 60));
    proposed(&mut world, undertake(2, Alpha, first.clone()));
    proposed(&mut world, undertake(3, Alpha, second.clone()));
    world.done(approve(4, 2, Beta, first));
    let short = approve(5, 3, Beta, second.clone());
    world.refused(short.clone(), Unprocessable, "insufficient_available", "60");
    let known = stored::<Proposal>(&world.state, &proposal_id(3)).expect("it");
    assert_eq!(known.state, ProposalState::Pending);
    world.done(deposit(6, Alpha, usd(), 100));
    world.done(short);

    // Paying and cancelling are about the same withdrawal.
    let paid = finish(7, 2, Paid);
    proposed(&mut world, undertake(4, Beta, paid.clone()));
    let mut cancelled = paid.clone();
    cancelled.ending = rules::fund::WithdrawalEnding::Cancelled;
    world.refused(
        undertake(5, Alpha, cancelled),
        Conflict,
        "other_proposal_open",
        "withdrawal",
    );
    let ended = world.done(approve(8, 4, Alpha, paid)).outcome.expect("it");
    assert_eq!(ended.state, WithdrawalState::Paid);
}

#[test]
fn a_hold_is_released_by_two() {
    let mut world = four_eyes();
    let link = link(Alpha, Who::Sync);
    world.done(allocate(1, link, 50));
    let release = ReleaseHold {
        id: allocation_id(1),
        entry_id: entry_id(2),
        reason: "the partner has lost it".to_owned(),
        operator: by(2, Alpha),
    };
    proposed(&mut world, undertake(1, Alpha, release.clone()));
    let released = world
        .done(approve(3, 1, Beta, release.clone()))
        .outcome
        .expect("it");
    assert!(!released.is_reserved());
    world.refused(
        undertake(2, Alpha, release),
        Conflict,
        "already_final",
        "ended",
    );
}

#[test]
fn switching_it_on_needs_another_operator_and_switching_it_off_his_approval() {
    let mut world = ready();
    for (other, reason) in [
        (None, "nobody"),
        (Some(Alpha), "himself"),
        (Some(Beta), "no operator"),
    ] {
        let mut alone = set_policy(1, Alpha, true);
        alone.other_operator = other.map(Who::user);
        let told = world.ask(alone).expect_err(reason);
        assert_eq!(told.reason.name, "no_second_operator", "{reason}");
    }
    for seconds in [i64::MIN, 0, 59, 31 * 86_400 + 1] {
        let mut policy = set_policy(2, Alpha, false);
        policy.proposals_expire_after_s = seconds;
        world.refused(policy, Invalid, "expiry_out_of_bounds", "60");
    }

    let mut world = four_eyes();
    let off = set_policy(3, Alpha, false);
    proposed(&mut world, undertake(1, Alpha, off.clone()));
    let is_on = |world: &World| {
        let policy = stored::<ApprovalPolicy>(&world.state, &());
        policy.expect("a policy").second_operator_required
    };
    world.refused(
        approve(4, 1, Alpha, off.clone()),
        NotPermitted,
        "own_proposal",
        "",
    );
    assert!(is_on(&world));
    world.done(approve(5, 1, Beta, off));
    assert!(!is_on(&world));
    done(&mut world, undertake(2, Alpha, deposit(6, Alpha, btc(), 1)));
}

#[test]
fn while_it_is_on_nobody_makes_the_second_operator_himself() {
    let mut world = four_eyes();
    world.refused(
        operator(1, Unlicensed),
        Unprocessable,
        "operators_are_fixed",
        "switched off",
    );
    let mut demoted = put_user(2, Beta);
    demoted.role = Some(InstallationRole::Auditor);
    world.refused(
        demoted,
        Unprocessable,
        "operators_are_fixed",
        "revoke their tokens",
    );
    // What does not touch operators is as ever.
    let mut auditor = put_user(3, Unlicensed);
    auditor.role = Some(InstallationRole::Auditor);
    world.done(auditor);
    let mut renamed = operator(4, Beta);
    renamed.name = "B.".to_owned();
    world.done(renamed);

    let token = |number, user: UserId, scopes: &[Scope]| {
        let mut issue = issue_token(number, user);
        issue.token.scopes = scopes.to_vec();
        issue.operator = by(number, Alpha);
        issue
    };
    let of_beta = token(60, Beta.user(), &[Scope::Read, Scope::Installation]);
    world.refused(
        of_beta.clone(),
        NotPermitted,
        "operator_token_is_own",
        "themselves",
    );
    world.done(token(61, Beta.user(), &[Scope::Read]));
    world.done(token(62, Alpha.user(), &[Scope::Installation]));
    world.done(token(63, Unlicensed.user(), &[Scope::Installation]));
    // The installation itself may.
    let mut by_installation = of_beta;
    by_installation.operator.user_id = None;
    world.done(by_installation);
}

/// What a random operator does next.
#[derive(Clone, Debug)]
enum Step {
    Deposit(u128, Who),
    Withdraw(u128, Who),
    Approve(u128, Who),
    Reject(u128, Who),
    Switch(bool, Who),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let who = || prop::sample::select(vec![Alpha, Beta, Outsider, Unlicensed]);
    prop_oneof![
        3 => (1..6_u128, who()).prop_map(|(n, who)| Step::Deposit(n, who)),
        3 => (1..6_u128, who()).prop_map(|(n, who)| Step::Withdraw(n, who)),
        6 => (0..12_u128, who()).prop_map(|(n, who)| Step::Approve(n, who)),
        2 => (0..12_u128, who()).prop_map(|(n, who)| Step::Reject(n, who)),
        1 => (any::<bool>(), who()).prop_map(|(on, who)| Step::Switch(on, who)),
        1 => prop::sample::select(vec![1, 1_800, 3_600]).prop_map(Step::Wait),
    ]
}

/// Approves the newest-but-`of` proposal, as the network does: with the act that it is about.
fn approves(world: &mut World, number: u128, of: u128, who: Who) {
    use rules::record::ProposedAct::{
        BookDeposit as In, RequestWithdrawal as Out, SetApprovalPolicy as Set,
    };
    let newest: Vec<Proposal> = world.state.proposals.iter().cloned().collect();
    let Some(known) = newest.iter().rev().nth(of as usize).cloned() else {
        return;
    };
    fn ask<C>(world: &mut World, known: &Proposal, number: u128, who: Who, command: C)
    where
        C: Command + Proposable,
        C::Outcome: std::fmt::Debug,
    {
        let _ = world.ask(Approve {
            id: known.id,
            command,
            notes: None,
            operator: by(number, who),
        });
    }
    let operator = Act {
        user_id: Some(known.proposed_by),
        ..act(7_000_000 + number)
    };
    match known.act.clone() {
        In(movement) => {
            let command = BookDeposit {
                amount: movement.amount,
                external_reference: movement.external_reference,
                operator,
                ..deposit(number, Alpha, btc(), 1)
            };
            ask(world, &known, number, who, command);
        }
        Out(movement) => {
            let command = RequestWithdrawal {
                amount: movement.amount,
                external_reference: movement.external_reference,
                operator,
                ..withdraw(number, Alpha, btc(), 1)
            };
            ask(world, &known, number, who, command);
        }
        Set {
            second_operator_required,
            ..
        } => {
            let command = SetApprovalPolicy {
                operator,
                other_operator: Some(who.user()),
                ..set_policy(number, Alpha, second_operator_required)
            };
            ask(world, &known, number, who, command);
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever operators do in whatever order: what was booked while a second one was required has
    /// two different operators behind it, every reference moved money once, and what was not
    /// approved moved none. The laws of the books are checked after every step.
    #[test]
    fn nothing_moves_by_one_hand_while_two_are_required(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = four_eyes();
        let known: BTreeSet<_> = world.state.deposits.iter().map(|d| d.id).collect();
        for (number, step) in (1_000..).zip(&steps) {
            let policy = stored::<ApprovalPolicy>(&world.state, &()).cloned();
            let required = policy.expect("a policy").second_operator_required;
            let count = |world: &World| {
                deposits(world) + world.state.withdrawals.iter().count()
            };
            let before = count(&world);
            match *step {
                Step::Deposit(reference, who) => {
                    let mut command = deposit(number, Alpha, btc(), 5);
                    command.external_reference = format!("in-{reference}");
                    command.operator = by(number, who);
                    let _ = world.ask(undertake(number, who, command));
                    prop_assert!(!required || count(&world) == before);
                }
                Step::Withdraw(reference, who) => {
                    let mut command = withdraw(number, Alpha, btc(), 5);
                    command.external_reference = format!("out-{reference}");
                    command.operator = by(number, who);
                    let _ = world.ask(undertake(number, who, command));
                    prop_assert!(!required || count(&world) == before);
                }
                Step::Approve(of, who) => {
                    approves(&mut world, number, of, who);
                    prop_assert!(count(&world) <= before + 1);
                }
                Step::Reject(of, who) => {
                    let newest: Vec<_> = world.state.proposals.iter().map(|p| p.id).collect();
                    if let Some(id) = newest.iter().rev().nth(of as usize) {
                        let _ = world.ask(Reject { id: *id, ..reject(number, 0, who) });
                        prop_assert_eq!(count(&world), before);
                    }
                }
                Step::Switch(on, who) => {
                    let _ = world.ask(undertake(number, who, set_policy(number, who, on)));
                    let policy = stored::<ApprovalPolicy>(&world.state, &()).cloned();
                    let still = policy.expect("a policy").second_operator_required;
                    prop_assert!(!required || still, "one alone has switched it off");
                }
                Step::Wait(seconds) => world.pass_seconds(seconds),
            }
        }
        for proposal in world.state.proposals.iter() {
            if proposal.state == ProposalState::Approved {
                let second = proposal.decided_by.expect("somebody");
                prop_assert_ne!(second, proposal.proposed_by);
                prop_assert!([Alpha, Beta, Outsider].map(Who::user).contains(&second));
                prop_assert!(proposal.decided_at.expect("a time") < proposal.expires_at);
            }
        }
        let booked: Vec<&Deposit> = world.state.deposits.iter().filter(|d| !known.contains(&d.id)).collect();
        let references: BTreeSet<_> = booked.iter().map(|d| &d.external_reference).collect();
        prop_assert_eq!(references.len(), booked.len());
        let out: Vec<&Withdrawal> = world.state.withdrawals.iter().collect();
        let references: BTreeSet<_> = out.iter().map(|w| &w.external_reference).collect();
        prop_assert_eq!(references.len(), out.len());
    }
}
