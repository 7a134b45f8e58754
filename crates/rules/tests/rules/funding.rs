//! Money that enters and leaves custody (decisions §2, §5 Q60).

use ledger::{Amount, Balance};
use rules::Class::{Conflict, Invalid, NotFound, Unprocessable};
use rules::fund::WithdrawalEnding::{Cancelled, Paid};
use rules::fund::{BookDeposit, RequestWithdrawal};
use rules::record::{OperatorAct, WithdrawalState};

use crate::harness::{World, stored};
use crate::network::*;

fn go(world: &World) -> (i128, i128) {
    let Balance { available, held } = world.balance(&Who::Alpha.go(&btc()));
    (available, held)
}

fn in_custody(world: &World) -> i128 {
    -world.balance(&custody(&btc())).available
}

#[test]
fn a_deposit_is_booked_once_and_answered_ever_after() {
    let mut world = set_up();
    let first = world.done(deposit(1, Who::Alpha, btc(), 70));
    world.pass_seconds(60);
    let mut again = deposit(2, Who::Alpha, btc(), 70);
    again
        .external_reference
        .clone_from(&first.external_reference);
    assert_eq!(world.done(again), first);
    assert_eq!((go(&world), in_custody(&world)), ((70, 0), 70));
    let acts = |number| stored::<OperatorAct>(&world.state, &act(number).id);
    assert_eq!(acts(1).map(|act| act.act.as_ref()), Some("book_deposit"));
    assert_eq!(acts(2), None);
}

#[test]
fn a_withdrawal_is_held_until_custody_has_paid_it_or_will_not() {
    for (ending, state, after) in [
        (Paid, WithdrawalState::Paid, (30, 0)),
        (Cancelled, WithdrawalState::Cancelled, (70, 0)),
    ] {
        let mut world = set_up();
        world.done(deposit(1, Who::Alpha, btc(), 70));
        let requested = world.done(withdraw(2, Who::Alpha, btc(), 40));
        assert_eq!(requested.state, WithdrawalState::Requested);
        assert_eq!((go(&world), in_custody(&world)), ((30, 40), 70));
        let finished = world.done(finish(3, 2, ending));
        assert_eq!(finished.state, state);
        assert_eq!((go(&world), in_custody(&world)), (after, after.0));

        world.pass_seconds(60);
        assert_eq!(world.done(finish(4, 2, ending)), finished);
        let other = if ending == Paid { Cancelled } else { Paid };
        world.refused(finish(5, 2, other), Conflict, "already_final", "stays so");
        let mut repeat = withdraw(6, Who::Alpha, btc(), 40);
        repeat
            .external_reference
            .clone_from(&finished.external_reference);
        assert_eq!(world.done(repeat), finished);
        assert_eq!((go(&world), in_custody(&world)), (after, after.0));
    }
    set_up().refused(finish(1, 9, Paid), NotFound, "withdrawal_not_found", "");
}

#[test]
fn a_taken_reference_with_other_content_is_a_conflict_that_names_what_differs() {
    let mut world = ready();
    let booked = world
        .done(deposit(1, Who::Alpha, btc(), 70))
        .external_reference;
    let requested = world
        .done(withdraw(2, Who::Alpha, btc(), 70))
        .external_reference;
    let others = [
        ("goAccountId", Who::Beta, btc(), 70),
        ("currency", Who::Alpha, eth(), 70),
        ("amount", Who::Alpha, btc(), 71),
    ];
    for (member, who, currency, units) in others {
        let differs = format!("different: {member}.");
        let other = BookDeposit {
            external_reference: booked.clone(),
            ..deposit(3, who, currency.clone(), units)
        };
        world.refused(other, Conflict, "external_id_taken", &differs);
        let other = RequestWithdrawal {
            external_reference: requested.clone(),
            ..withdraw(3, who, currency, units)
        };
        world.refused(other, Conflict, "external_id_taken", &differs);
    }
}

#[test]
fn references_are_unique_per_custody_source_and_direction() {
    let mut world = ready();
    let entries = world.state.entries.len();
    for (number, currency) in [(1, btc()), (2, usd())] {
        let reference = "reference".to_owned();
        let deposit = deposit(number, Who::Alpha, currency.clone(), 10);
        world.done(BookDeposit {
            external_reference: reference.clone(),
            ..deposit
        });
        let withdrawal = withdraw(number + 2, Who::Alpha, currency, 10);
        world.done(RequestWithdrawal {
            external_reference: reference,
            ..withdrawal
        });
    }
    assert_eq!(world.state.entries.len(), entries + 4);
}

#[test]
fn what_cannot_be_booked() {
    let mut world = ready();
    let nowhere = ledger::GoAccountId(identifier(1, 99));
    let mut lost = deposit(1, Who::Alpha, btc(), 1);
    lost.go_account_id = nowhere;
    world.refused(lost, NotFound, GO_ACCOUNT_NOT_FOUND, "go account");
    let mut lost = withdraw(1, Who::Alpha, btc(), 1);
    lost.go_account_id = nowhere;
    world.refused(lost, NotFound, GO_ACCOUNT_NOT_FOUND, "go account");

    world.refused(
        deposit(1, Who::Alpha, doge(), 1),
        Invalid,
        "unknown_currency",
        "ofcdoge",
    );
    world.refused(
        withdraw(1, Who::Alpha, doge(), 1),
        Invalid,
        "unknown_currency",
        "ofcdoge",
    );

    let mut moved = deposit(1, Who::Alpha, btc(), 1);
    "cellar".clone_into(&mut moved.custody_source);
    world.refused(moved, Conflict, "custody_source_changed", "try again");
    let mut moved = withdraw(1, Who::Alpha, btc(), 1);
    "cellar".clone_into(&mut moved.custody_source);
    world.refused(moved, Conflict, "custody_source_changed", "try again");

    let figures = "401 ofcbtc are required and 400 available";
    let short = withdraw(1, Who::Alpha, btc(), 401);
    world.refused(short, Unprocessable, "insufficient_available", figures);
}

#[test]
fn what_is_held_cannot_be_withdrawn() {
    let mut world = ready();
    world.done(allocate(1, link(Who::Alpha, Who::Broker), 300));
    let request = withdraw(2, Who::Alpha, btc(), 101);
    world.refused(
        request.clone(),
        Unprocessable,
        "insufficient_available",
        "100 available",
    );
    world.done(release(3, 1));
    // Refused before there was a record: evaluated afresh.
    world.done(request);
}

/// Decisions §2: so no balance of the currency can overflow.
#[test]
fn custody_holds_at_most_thirty_eight_nines_of_a_currency() {
    let most = Amount::MAX.units();
    assert_eq!(most.to_string(), "9".repeat(38));
    let mut world = set_up();
    world.done(deposit(1, Who::Alpha, btc(), most - 1));
    let exceeded = "custody_total_exceeded";
    world.refused(
        deposit(2, Who::Beta, btc(), 2),
        Unprocessable,
        exceeded,
        "10^38 - 1",
    );
    world.done(deposit(3, Who::Beta, btc(), 1));
    for (number, who, units) in [(4, Who::Alpha, 1), (5, Who::Sync, 1), (6, Who::Beta, most)] {
        let over = deposit(number, who, btc(), units);
        world.refused(over, Unprocessable, exceeded, "10^38 - 1");
    }
    // Another currency has a limit of its own, and what was paid out makes room.
    world.done(deposit(7, Who::Alpha, eth(), most));
    world.done(withdraw(8, Who::Alpha, btc(), 10));
    let over = deposit(9, Who::Beta, btc(), 10);
    world.refused(over.clone(), Unprocessable, exceeded, "10^38 - 1");
    world.done(finish(10, 8, Paid));
    world.done(over);
}
