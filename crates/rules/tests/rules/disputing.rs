//! Disputes of staged settlements, and how they end.

use std::collections::BTreeMap;

use ledger::{Currency, Hold, HoldPurpose, SignedAmount};
use rules::approve::SetApprovalPolicy;
use rules::dispute::{
    AdjustedLine, CloseDispute, Disputed, OpenDispute, ProposeClosure, ReviewClosure, UpdateDispute,
};
use rules::operate::{Act, PutUser};
use rules::record::{
    Adjustment, ClosureStatus, DisputeClosure, InstallationRole, SettlementForm, SettlementState,
    Transfer, TransferStatus,
};
use rules::settle::KnownTransfers;
use rules::{Class, DisputeClosureId, DisputeId, SettlementId};

use crate::harness::{World, check_journal, stored};
use crate::network::Who::{Alpha, Beta, Broker, Outsider, Staged};
use crate::network::*;
use crate::staging::{advance, stage, stage_in, transfers_of, waiting, with_windows};

const HOUR: i64 = 3_600;

fn alpha() -> Link {
    link(Alpha, Staged)
}

fn beta() -> Link {
    link(Beta, Staged)
}

pub(crate) fn dispute_id(number: u128) -> DisputeId {
    DisputeId(identifier(31, number))
}

pub(crate) fn closure_id(number: u128) -> DisputeClosureId {
    DisputeClosureId(identifier(32, number))
}

/// What a connection can dispute in a settlement, as the network looks it up.
pub(crate) fn disputed(world: &World, link: Link, settlement: SettlementId) -> Disputed {
    let connection = link.connection();
    let own: Vec<Transfer> = transfers_of(world, settlement)
        .into_iter()
        .filter(|t| t.dispute_closure_id.is_none() && t.other_side(connection).is_some())
        .collect();
    Disputed {
        settlement_id: settlement,
        connection_id: connection,
        counterparties: own
            .iter()
            .filter_map(|t| t.other_side(connection)?.connection)
            .map(|(id, _)| id)
            .collect(),
        transfers: KnownTransfers::of(&own),
    }
}

fn expected(units: i128) -> BTreeMap<Currency, SignedAmount> {
    [(btc(), SignedAmount::new(units).expect("an amount"))].into()
}

fn open(world: &World, number: u128, link: Link, settlement: SettlementId) -> OpenDispute {
    OpenDispute {
        id: dispute_id(number),
        disputed: disputed(world, link, settlement),
        client_id: link.client.client(),
        enterprise_id: link.client.enterprise(),
        go_account_id: link.client.go_account(),
        partner_id: link.partner.partner(),
        partner_enterprise_id: link.partner.enterprise(),
        user_id: link.client.user(),
        expected: expected(-1),
        reason: Some("it is too much".to_owned()),
        signed: signed(
            number,
            link.client,
            &format!("dispute {number}"),
            settlement,
        ),
    }
}

fn update(
    world: &World,
    number: u128,
    link: Link,
    settlement: SettlementId,
    of: u128,
    retracted: bool,
) -> UpdateDispute {
    UpdateDispute {
        id: dispute_id(of),
        disputed: disputed(world, link, settlement),
        enterprise_id: link.client.enterprise(),
        go_account_id: link.client.go_account(),
        user_id: link.client.user(),
        retracted,
        reason: None,
        expected: None,
        signed: signed(number, link.client, &format!("update {number}"), retracted),
    }
}

fn close(
    world: &World,
    number: u128,
    link: Link,
    settlement: SettlementId,
    of: u128,
) -> CloseDispute {
    CloseDispute {
        closure_id: closure_id(number),
        dispute_id: dispute_id(of),
        disputed: disputed(world, link, settlement),
        enterprise_id: link.client.enterprise(),
        go_account_id: link.client.go_account(),
        user_id: link.client.user(),
        notes: "it is right after all".to_owned(),
        entry_id: entry_id(number),
        signed: signed(number, link.client, &format!("close {number}"), of),
    }
}

fn propose(number: u128, of: u128, units: Option<i128>) -> ProposeClosure {
    let adjustment = |units| Adjustment {
        counterparty: None,
        currency: btc(),
        amount: SignedAmount::new(units).expect("an amount"),
    };
    ProposeClosure {
        closure_id: closure_id(number),
        dispute_id: dispute_id(of),
        adjustments: units.map(adjustment).into_iter().collect(),
        notes: "as the trades say".to_owned(),
        user_id: Alpha.user(),
        operator: act(number),
    }
}

fn review(
    world: &World,
    number: u128,
    link: Link,
    settlement: SettlementId,
    closure: &DisputeClosure,
    approve: bool,
) -> ReviewClosure {
    let lines = closure.adjustments.iter().map(|adjustment| AdjustedLine {
        currency: adjustment.currency.clone(),
        partner_currency: "BTC".to_owned(),
        amount: adjustment.amount,
        source: link.partner.party(),
        destination: link.party(),
    });
    ReviewClosure {
        closure_id: closure.id,
        dispute_id: closure.dispute_id,
        disputed: disputed(world, link, settlement),
        lines: lines.collect(),
        approve,
        notes: None,
        user_id: Beta.user(),
        entry_id: entry_id(number),
        operator: act(number),
    }
}

/// A settlement in which Alpha loses `loss` and Beta gains 20, disputed by Alpha.
fn disputed_by_alpha(world: &mut World, loss: i128) -> SettlementId {
    let lines = vec![
        party_line(alpha(), btc(), -loss),
        party_line(beta(), btc(), 20),
    ];
    let id = world.done(stage(1, Staged, lines)).id;
    world.done(open(world, 2, alpha(), id));
    id
}

fn status_of(world: &World, settlement: SettlementId) -> Vec<TransferStatus> {
    let transfers = transfers_of(world, settlement);
    transfers.into_iter().map(|t| t.status).collect()
}

fn waits(world: &World) -> Vec<(i128, Option<HoldPurpose>)> {
    let waiting = world.state.transfers.iter();
    waiting
        .filter(|t| t.settlement_id.is_none())
        .map(|t| {
            let hold = stored::<Hold>(&world.state, &t.hold_id());
            (t.amount.units(), hold.filter(|h| h.open).map(|h| h.purpose))
        })
        .collect()
}

#[test]
fn what_is_disputed_stays_out_and_the_rest_runs() {
    let mut world = with_windows();
    let id = disputed_by_alpha(&mut world, 40);
    assert_eq!(
        status_of(&world, id),
        [TransferStatus::Disputed, TransferStatus::Pending]
    );
    world.pass_seconds(HOUR);
    let done = advance(&mut world, 3, id);
    assert!(matches!(done.state, SettlementState::Completed { .. }));
    assert_eq!(
        status_of(&world, id),
        [TransferStatus::Disputed, TransferStatus::Completed]
    );
    assert_eq!(world.balance(&alpha().net(&btc())).held, 40);
    let hold = transfers_of(&world, id)[0].hold_id();
    let hold = stored::<Hold>(&world.state, &hold).expect("a hold");
    assert_eq!((hold.purpose, hold.open), (HoldPurpose::Dispute, true));
    check_journal(&world.state);
}

#[test]
fn a_retracted_dispute_runs_and_one_that_is_raised_again_does_not() {
    let mut world = with_windows();
    let id = disputed_by_alpha(&mut world, 40);
    let retract = update(&world, 3, alpha(), id, 2, true);
    let retracted = world.done(retract.clone());
    assert!(!retracted.stands());
    assert_eq!(status_of(&world, id)[0], TransferStatus::Pending);
    world.done(update(&world, 4, alpha(), id, 2, false));
    assert_eq!(status_of(&world, id)[0], TransferStatus::Disputed);
    // The earlier update once more is that update, and does not come again.
    let again = world.done(retract);
    assert!(again.stands());
    assert_eq!(status_of(&world, id)[0], TransferStatus::Disputed);
    let mut amended = update(&world, 5, alpha(), id, 2, false);
    amended.expected = Some(expected(7));
    amended.reason = Some("other reasons".to_owned());
    let amended = world.done(amended);
    assert_eq!(
        (amended.expected, amended.reason.as_deref()),
        (expected(7), Some("other reasons"))
    );
}

#[test]
fn disputes_are_for_the_window_and_for_those_who_are_in_it() {
    let mut world = with_windows();
    let id = disputed_by_alpha(&mut world, 40);
    let twice = open(&world, 3, alpha(), id);
    world.refused(twice, Class::Conflict, "dispute_exists", "amend");
    let first = open(&world, 2, alpha(), id);
    assert_eq!(
        world.done(first).id,
        dispute_id(2),
        "the same request is answered"
    );
    let mut stranger = open(&world, 4, beta(), id);
    stranger.client_id = Alpha.client();
    world.refused(
        stranger,
        Class::NotFound,
        "settlement_not_found",
        "settlement",
    );
    world.pass_seconds(HOUR);
    // The window has ended, whether or not anybody has noticed.
    let late = open(&world, 5, beta(), id);
    world.refused(late, Class::Unprocessable, "dispute_window_closed", "ended");
    let late = update(&world, 6, alpha(), id, 2, true);
    world.refused(late, Class::Unprocessable, "dispute_window_closed", "ended");
    advance(&mut world, 7, id);
    let late = update(&world, 8, alpha(), id, 2, true);
    world.refused(late, Class::Unprocessable, "dispute_window_closed", "ended");
}

#[test]
fn conceding_within_the_window_is_retracting() {
    let mut world = with_windows();
    let id = disputed_by_alpha(&mut world, 40);
    let request = close(&world, 3, alpha(), id, 2);
    let closure = world.done(request.clone());
    assert_eq!(closure.status, ClosureStatus::Approved);
    assert_eq!(closure.sums(), [(btc(), -40)].into());
    assert_eq!(status_of(&world, id)[0], TransferStatus::Pending);
    assert_eq!(world.done(request).id, closure.id, "again changes nothing");
    let again = update(&world, 4, alpha(), id, 2, false);
    world.refused(again, Class::Conflict, "dispute_closed", "stays so");
    world.pass_seconds(HOUR);
    advance(&mut world, 5, id);
    assert_eq!(status_of(&world, id), [TransferStatus::Completed; 2]);
}

#[test]
fn what_is_conceded_rides_on_the_next_settlement() {
    let mut world = with_windows();
    let id = disputed_by_alpha(&mut world, 40);
    world.pass_seconds(HOUR);
    advance(&mut world, 3, id);
    world.done(close(&world, 4, alpha(), id, 2));
    assert_eq!(waits(&world), [(-40, Some(HoldPurpose::Dispute))]);
    assert_eq!(world.balance(&alpha().net(&btc())).held, 40);

    // It rides even on a settlement that has nothing else.
    let mut next = stage(5, Staged, Vec::new());
    next.carried = waiting(&world, Staged, 5);
    let next = world.done(next).id;
    assert_eq!(transfers_of(&world, next).len(), 1);
    let late = open(&world, 6, alpha(), next);
    world.refused(
        late,
        Class::Unprocessable,
        "nothing_to_dispute",
        "earlier disputes",
    );
    world.pass_seconds(HOUR);
    let partner = world.balance(&Staged.go(&btc())).available;
    advance(&mut world, 7, next);
    assert_eq!(status_of(&world, next), [TransferStatus::Completed]);
    assert_eq!(world.balance(&Staged.go(&btc())).available, partner + 40);
    assert_eq!(
        status_of(&world, id)[0],
        TransferStatus::Disputed,
        "for ever"
    );
    check_journal(&world.state);
}

/// Alpha and Beta are operators, and one of them is not enough.
fn require_second_operator(world: &mut World) {
    for (number, who) in (200..).zip([Alpha, Beta]) {
        world.done(PutUser {
            role: Some(InstallationRole::Operator),
            ..put_user(number, who)
        });
    }
    world.done(SetApprovalPolicy {
        second_operator_required: true,
        proposals_expire_after_s: 3_600,
        other_operator: Some(Beta.user()),
        operator: Act {
            user_id: Some(Alpha.user()),
            ..act(210)
        },
    });
}

#[test]
fn where_one_operator_is_enough_the_same_one_may_review() {
    let mut world = with_windows();
    let id = disputed_by_alpha(&mut world, 40);
    world.pass_seconds(HOUR);
    advance(&mut world, 4, id);
    let closure = world.done(propose(5, 2, Some(-30)));
    let mut own = review(&world, 7, alpha(), id, &closure, true);
    own.user_id = closure.user_id;
    let closed = world.done(own);
    assert_eq!(closed.status, ClosureStatus::Approved);
    assert_eq!(closed.review.map(|review| review.by), Some(closure.user_id));
    assert_eq!(waits(&world), [(-30, Some(HoldPurpose::Dispute))]);
}

#[test]
fn an_operator_decides_and_another_one_reviews() {
    let mut world = with_windows();
    let id = disputed_by_alpha(&mut world, 40);
    let early = propose(3, 2, Some(-10));
    world.refused(early, Class::Unprocessable, "dispute_window_open", "window");
    world.pass_seconds(HOUR);
    advance(&mut world, 4, id);
    let closure = world.done(propose(5, 2, Some(-30)));
    assert_eq!(closure.status, ClosureStatus::PendingReview);
    let meanwhile = close(&world, 6, alpha(), id, 2);
    world.refused(meanwhile, Class::Conflict, "dispute_closed", "review");
    require_second_operator(&mut world);
    let mut own = review(&world, 7, alpha(), id, &closure, true);
    own.user_id = closure.user_id;
    world.refused(
        own.clone(),
        Class::NotPermitted,
        "same_operator",
        "another operator",
    );
    own.user_id = Outsider.user();
    world.refused(own, Class::NotPermitted, "not_an_operator", "an operator");
    let rejected = world.done(review(&world, 8, alpha(), id, &closure, false));
    assert_eq!(rejected.status, ClosureStatus::Rejected);
    assert_eq!(
        world.balance(&alpha().net(&btc())).held,
        40,
        "nothing has moved"
    );

    let closure = world.done(propose(9, 2, Some(-10)));
    let request = review(&world, 10, alpha(), id, &closure, true);
    let approved = world.done(request.clone());
    assert_eq!(approved.status, ClosureStatus::Approved);
    assert_eq!(world.done(request), approved, "again changes nothing");
    let other = review(&world, 11, alpha(), id, &closure, false);
    world.refused(other, Class::Conflict, "already_reviewed", "approved");
    assert_eq!(
        world.balance(&alpha().net(&btc())).held,
        10,
        "the rest has returned"
    );
    assert_eq!(waits(&world), [(-10, Some(HoldPurpose::Dispute))]);
    check_journal(&world.state);
}

#[test]
fn a_closure_of_nothing_returns_everything_and_one_of_a_gain_holds_nothing() {
    let mut world = with_windows();
    let id = disputed_by_alpha(&mut world, 40);
    world.pass_seconds(HOUR);
    advance(&mut world, 3, id);
    let nothing = world.done(propose(4, 2, None));
    world.done(review(&world, 5, alpha(), id, &nothing, true));
    assert_eq!(world.balance(&alpha().net(&btc())).held, 0);
    assert_eq!(waits(&world), []);

    let mut world = with_windows();
    let id = disputed_by_alpha(&mut world, 40);
    world.pass_seconds(HOUR);
    advance(&mut world, 3, id);
    let gain = world.done(propose(4, 2, Some(15)));
    world.done(review(&world, 5, alpha(), id, &gain, true));
    assert_eq!(world.balance(&alpha().net(&btc())).held, 0);
    assert_eq!(waits(&world), [(15, None)]);
}

#[test]
fn what_cannot_be_covered_waits_and_blocks_nothing() {
    let mut world = with_windows();
    let id = disputed_by_alpha(&mut world, 40);
    world.pass_seconds(HOUR);
    advance(&mut world, 3, id);
    world.done(deallocate(4, alpha(), 60));
    let more = world.done(propose(5, 2, Some(-70)));
    world.done(review(&world, 6, alpha(), id, &more, true));
    assert_eq!(
        waits(&world),
        [(-40, Some(HoldPurpose::Dispute)), (-30, None)]
    );

    // Ten of the thirty can be covered when the next settlement comes.
    world.done(clear(7, 4));
    let back = world.done(allocate(8, alpha(), 10));
    assert!(back.allocation.is_reserved());
    world.done(clear(9, 8));
    let mut next = stage(10, Staged, vec![party_line(beta(), btc(), 5)]);
    next.carried = waiting(&world, Staged, 10);
    let next = world.done(next).id;
    assert_eq!(waits(&world), [(-20, None)]);
    assert_eq!(world.balance(&alpha().net(&btc())).held, 50);
    world.pass_seconds(HOUR);
    advance(&mut world, 11, next);
    assert_eq!(status_of(&world, next), [TransferStatus::Completed; 3]);
    assert_eq!(world.balance(&alpha().net(&btc())).available, 0);
    check_journal(&world.state);
}

#[test]
fn what_rode_on_a_rejected_settlement_waits_again() {
    let mut world = with_windows();
    let id = disputed_by_alpha(&mut world, 40);
    world.pass_seconds(HOUR);
    advance(&mut world, 3, id);
    world.done(close(&world, 4, alpha(), id, 2));
    let mut next = stage(5, Staged, vec![party_line(beta(), eth(), 5_000)]);
    next.carried = waiting(&world, Staged, 5);
    let next = world.done(next).id;
    world.pass_seconds(2 * HOUR);
    advance(&mut world, 6, next);
    let transfers = KnownTransfers::of(&transfers_of(&world, next));
    world.done(rules::settle::RejectSettlement {
        id: next,
        transfers,
        reason: "no".to_owned(),
        entry_id: entry_id(7),
        operator: act(7),
    });
    assert_eq!(waits(&world), [(-40, Some(HoldPurpose::Dispute))]);
}

#[test]
fn a_brokers_account_carries_what_a_dispute_unbalances() {
    let mut world = with_windows();
    let (alpha, beta) = (link(Alpha, Broker), link(Beta, Broker));
    let lines = vec![party_line(alpha, btc(), -30), party_line(beta, btc(), 30)];
    let id = world.done(stage(1, Broker, lines)).id;
    world.done(open(&world, 2, alpha, id));
    world.pass_seconds(HOUR);
    let broker = world.balance(&Broker.go(&btc())).available;
    let done = advance(&mut world, 3, id);
    assert!(matches!(done.state, SettlementState::Completed { .. }));
    assert_eq!(world.balance(&Broker.go(&btc())).available, broker - 30);
    let unbalanced = vec![party_line(alpha, btc(), -30), party_line(beta, btc(), 29)];
    world.refused(
        stage(4, Broker, unbalanced),
        Class::Invalid,
        "broker_settlement_unbalanced",
        "cancel out",
    );
}

#[test]
fn a_transfer_that_both_sides_dispute_runs_once_neither_does() {
    let mut world = with_windows();
    let (alpha, beta) = (link(Alpha, Broker), link(Beta, Broker));
    let lines = vec![pair_line(alpha, beta, btc(), 30)];
    let id = world
        .done(stage_in(SettlementForm::Pair, 1, Broker, lines))
        .id;
    world.done(open(&world, 2, alpha, id));
    world.done(open(&world, 3, beta, id));
    world.done(update(&world, 4, alpha, id, 2, true));
    assert_eq!(status_of(&world, id), [TransferStatus::Disputed]);
    world.done(update(&world, 5, beta, id, 3, true));
    assert_eq!(status_of(&world, id), [TransferStatus::Pending]);
    world.done(update(&world, 6, alpha, id, 2, false));
    world.done(update(&world, 7, beta, id, 3, false));
    world.pass_seconds(HOUR);
    advance(&mut world, 8, id);
    // What is between them stays where it is while one of them objects; the last to concede takes
    // it along.
    world.done(close(&world, 9, alpha, id, 2));
    assert_eq!(waits(&world), []);
    assert_eq!(world.balance(&alpha.net(&btc())).held, 30);
    world.done(close(&world, 10, beta, id, 3));
    assert_eq!(waits(&world), [(30, Some(HoldPurpose::Dispute))]);
    assert_eq!(world.balance(&alpha.net(&btc())).held, 30);
    check_journal(&world.state);
}

#[test]
fn what_one_sides_closure_has_ended_no_other_closure_makes_again() {
    let mut world = with_windows();
    let (alpha, beta) = (link(Alpha, Broker), link(Beta, Broker));
    let lines = vec![pair_line(alpha, beta, btc(), 30)];
    let id = world
        .done(stage_in(SettlementForm::Pair, 1, Broker, lines))
        .id;
    world.done(open(&world, 2, alpha, id));
    world.done(open(&world, 3, beta, id));
    world.pass_seconds(HOUR);
    advance(&mut world, 4, id);
    // Each is said to lose to the other, by a closure of its own.
    let approve = |world: &World, number, own, other: Link, closure: &DisputeClosure| {
        let mut review = review(world, number, own, id, closure, true);
        for line in &mut review.lines {
            line.source = other.party();
        }
        review
    };
    let of_alpha = world.done(propose(5, 2, Some(-12)));
    let of_beta = world.done(propose(6, 3, Some(-25)));
    world.done(approve(&world, 7, alpha, beta, &of_alpha));
    assert_eq!(waits(&world), [(-12, Some(HoldPurpose::Dispute))]);
    assert_eq!(world.balance(&alpha.net(&btc())).held, 12);
    world.refused(
        approve(&world, 8, beta, alpha, &of_beta),
        Class::Conflict,
        "counterparty_dispute_closed",
        "without that line",
    );
    world.done(review(&world, 9, beta, id, &of_beta, false));
    world.done(close(&world, 10, beta, id, 3));
    assert_eq!(waits(&world), [(-12, Some(HoldPurpose::Dispute))]);
    check_journal(&world.state);
}

#[test]
fn proposals_and_their_rejections_are_told_of() {
    let mut world = with_windows();
    let id = disputed_by_alpha(&mut world, 40);
    world.pass_seconds(HOUR);
    advance(&mut world, 3, id);
    let told = |world: &World| {
        let kinds = world.state.events.iter().map(|event| event.kind);
        kinds
            .filter(|kind| kind.starts_with("dispute."))
            .collect::<Vec<_>>()
    };
    let first = world.done(propose(4, 2, Some(-10)));
    world.done(review(&world, 5, alpha(), id, &first, false));
    let second = world.done(propose(6, 2, Some(-20)));
    world.done(review(&world, 7, alpha(), id, &second, true));
    assert_eq!(
        told(&world),
        [
            "dispute.opened",
            "dispute.closure_proposed",
            "dispute.closure_rejected",
            "dispute.closure_proposed",
            "dispute.closed",
        ]
    );
}
