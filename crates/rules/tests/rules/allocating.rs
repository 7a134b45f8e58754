//! Allocations and deallocations up to the partner: what is held, and what speaks against it.

use ledger::{Balance, HoldId, HoldPurpose};
use rules::Class::{Conflict, Invalid, NotAuthentic, NotFound, NotPermitted};
use rules::allocate::{
    AskAgain, Awaited, Conclude, Reserve, Unanswered, Verdict, may_release_unanswered,
};
use rules::connect::UpdateConnection;
use rules::operate::{PutPartnerConfiguration, UpdatePartner};
use rules::record::{
    Allocation, AllocationKind, AllocationState, Message, MessageCall, PartnerConfiguration,
};
use rules::{Class, Reason};

use crate::harness::{World, stored};
use crate::network::*;

fn alpha_sync() -> Link {
    link(Who::Alpha, Who::Sync)
}

fn funds(available: i128, held: i128) -> Balance {
    Balance { available, held }
}

fn message(world: &World, of: u128) -> Option<&Message> {
    stored::<Message>(&world.state, &allocation_id(of).0)
}

fn released_as(allocation: &Allocation) -> &Reason {
    match &allocation.state {
        AllocationState::Released { reason } => reason,
        other => panic!("not released: {other:?}"),
    }
}

fn set_active(world: &mut World, link: Link, active: bool) {
    world.done(UpdateConnection {
        id: link.connection(),
        enterprise_id: link.client.enterprise(),
        active: Some(active),
        name: None,
    });
}

fn set_partner_active(world: &mut World, partner: Who, active: bool) {
    world.done(UpdatePartner {
        id: partner.partner(),
        active: Some(active),
        stable: None,
        operator: act(700_001),
    });
}

fn configure(world: &mut World, partner: Who, change: impl FnOnce(&mut PartnerConfiguration)) {
    let mut configuration = configuration(partner);
    change(&mut configuration);
    let operator = act(700_002);
    world.done(PutPartnerConfiguration {
        configuration,
        operator,
    });
}

/// The journey of OES wire §3.3 and §3.4, in both directions and with both ends.
#[test]
fn money_moves_through_held_to_the_other_side_or_back() {
    use AllocationKind::{Allocation as In, Deallocation as Out};
    let started = (funds(500, 0), funds(100, 0));
    let cases = [
        (
            In,
            (funds(440, 60), funds(100, 0)),
            true,
            (funds(440, 0), funds(160, 0)),
        ),
        (In, (funds(440, 60), funds(100, 0)), false, started),
        (
            Out,
            (funds(500, 0), funds(40, 60)),
            true,
            (funds(560, 0), funds(40, 0)),
        ),
        (Out, (funds(500, 0), funds(40, 60)), false, started),
    ];
    for (kind, reserved, cleared, ended) in cases {
        let mut world = ready();
        let go_and_net = |world: &World| {
            let link = alpha_sync();
            (
                world.balance(&Who::Alpha.go(&btc())),
                world.balance(&link.net(&btc())),
            )
        };
        // 800 were deposited and 4 × 100 allocated: top up to a round figure.
        world.done(deposit(1, Who::Alpha, btc(), 100));
        assert_eq!(go_and_net(&world), started);
        let placed = world.done(reserve(2, kind, alpha_sync(), btc(), 60));
        assert!(placed.fresh && placed.allocation.is_reserved());
        assert_eq!(go_and_net(&world), reserved, "{kind} reserved");
        let hold = stored::<ledger::Hold>(&world.state, &HoldId(placed.allocation.id.0));
        let purpose = match kind {
            In => HoldPurpose::Allocation,
            Out => HoldPurpose::Deallocation,
        };
        assert_eq!(
            hold.map(|hold| (hold.purpose, hold.amount)),
            Some((purpose, amount(60)))
        );
        world.done(if cleared { clear(3, 2) } else { release(3, 2) });
        assert_eq!(go_and_net(&world), ended, "{kind}, cleared: {cleared}");
    }
}

/// Every obstacle makes a released record that says why, holds nothing and asks nobody.
#[test]
fn what_speaks_against_reserving() {
    type Prepare = fn(&mut World);
    let cases: Vec<(&str, &str, Prepare, Reserve)> = vec![
        (
            "connection_not_initialized",
            "not accepted",
            |_| (),
            allocate(1, UNANSWERED, 10),
        ),
        (
            "connection_not_initialized",
            "not accepted",
            |_| (),
            deallocate(1, UNANSWERED, 10),
        ),
        (
            "connection_not_initialized",
            "not accepted",
            |_| (),
            allocate(1, REJECTED, 10),
        ),
        (
            "connection_inactive",
            "activate it",
            |world| set_active(world, alpha_sync(), false),
            allocate(1, alpha_sync(), 10),
        ),
        (
            "partner_inactive",
            "no allocations",
            |world| set_partner_active(world, Who::Sync, false),
            allocate(1, alpha_sync(), 10),
        ),
        (
            "currency_not_supported",
            "ofcusd",
            |_| (),
            reserve(1, AllocationKind::Allocation, alpha_sync(), usd(), 10),
        ),
        (
            "below_minimum",
            "no less than 5",
            |_| (),
            allocate(1, alpha_sync(), 4),
        ),
        (
            "above_maximum",
            "no more than 200",
            |_| (),
            allocate(1, alpha_sync(), 201),
        ),
        (
            "open_total_exceeded",
            "200 of 250",
            |world| drop(world.done(allocate(9, link(Who::Beta, Who::Sync), 200))),
            allocate(1, alpha_sync(), 51),
        ),
        (
            "insufficient_available",
            "401 ofcbtc are required and 400 available",
            |_| (),
            allocate(1, link(Who::Alpha, Who::Broker), 401),
        ),
        (
            "insufficient_allocated",
            "101 ofcbtc are required and 100 available",
            |_| (),
            deallocate(1, alpha_sync(), 101),
        ),
    ];
    for (name, telling, prepare, request) in cases {
        let mut world = ready();
        prepare(&mut world);
        let entries = world.state.entries.len();
        let placed = world.done(request.clone());
        let reason = released_as(&placed.allocation);
        assert_eq!(reason.name, name);
        assert!(reason.message.contains(telling), "{reason}");
        assert_eq!(world.state.entries.len(), entries, "{name} moved money");
        assert_eq!(
            stored::<ledger::Hold>(&world.state, &HoldId(request.id.0)),
            None
        );
        assert_eq!(message(&world, 1), None);
        // Its name is taken: the same request meets the released record.
        world.pass_seconds(5);
        let again = world.done(request);
        assert!(!again.fresh);
        assert_eq!(again.allocation, placed.allocation);
    }
}

/// Told in this order, each once those before it are out of the way.
#[test]
fn obstacles_are_told_in_order() {
    let mut world = ready();
    let link = alpha_sync();
    set_active(&mut world, link, false);
    set_partner_active(&mut world, Who::Sync, false);
    configure(&mut world, Who::Sync, |c| c.currencies.clear());
    let mut told = Vec::new();
    let mut ask = |world: &mut World, number, units| {
        let placed = world.done(allocate(number, link, units));
        told.push(released_as(&placed.allocation).name.clone());
    };
    ask(&mut world, 1, 1_000);
    set_active(&mut world, link, true);
    ask(&mut world, 2, 1_000);
    set_partner_active(&mut world, Who::Sync, true);
    ask(&mut world, 3, 1_000);
    configure(&mut world, Who::Sync, |c| {
        c.currencies[0].open_total = Some(amount(300))
    });
    ask(&mut world, 4, 1_000);
    configure(&mut world, Who::Sync, |c| {
        c.currencies[0].maximum = None;
        c.currencies[0].open_total = Some(amount(300));
    });
    ask(&mut world, 5, 1_000);
    configure(&mut world, Who::Sync, |c| {
        c.currencies[0].maximum = None;
        c.currencies[0].open_total = None;
    });
    ask(&mut world, 6, 1_000);
    assert_eq!(
        told,
        [
            "connection_inactive",
            "partner_inactive",
            "currency_not_supported",
            "above_maximum",
            "open_total_exceeded",
            "insufficient_available",
        ]
    );
}

#[test]
fn limits_include_their_bounds() {
    let mut world = ready();
    for (number, units) in [(1, 5), (2, 200), (3, 45)] {
        let placed = world.done(allocate(number, alpha_sync(), units));
        assert!(placed.allocation.is_reserved(), "{units}");
    }
    let one_more = world.done(allocate(4, alpha_sync(), 5));
    assert_eq!(
        released_as(&one_more.allocation).name,
        "open_total_exceeded"
    );
}

#[test]
fn what_is_answered_leaves_the_open_total_and_deallocations_never_enter_it() {
    let mut world = ready();
    world.done(allocate(1, alpha_sync(), 200));
    world.done(clear(2, 1));
    world.done(allocate(3, alpha_sync(), 200));
    world.done(release(4, 3));
    world.done(deallocate(5, alpha_sync(), 300));
    assert!(
        world
            .done(allocate(6, alpha_sync(), 200))
            .allocation
            .is_reserved()
    );
}

/// A client gets its money back over a stopped connection, from a stopped partner, below every
/// limit, and in a currency that the partner has given up.
#[test]
fn nothing_but_the_balance_limits_a_deallocation() {
    let mut world = ready();
    set_active(&mut world, alpha_sync(), false);
    set_partner_active(&mut world, Who::Sync, false);
    configure(&mut world, Who::Sync, |c| c.currencies.clear());
    for (number, units) in [(1, 1), (3, 99)] {
        let placed = world.done(deallocate(number, alpha_sync(), units));
        assert!(placed.allocation.is_reserved());
        world.done(clear(number + 1, number));
    }
    assert_eq!(world.balance(&alpha_sync().net(&btc())), funds(0, 0));
}

#[test]
fn what_is_reserved_ends_whatever_was_stopped_since() {
    for cleared in [true, false] {
        let mut world = ready();
        world.done(allocate(1, alpha_sync(), 50));
        set_active(&mut world, alpha_sync(), false);
        set_partner_active(&mut world, Who::Sync, false);
        world.done(put_enterprise(2, Who::Alpha, false));
        world.done(revoke_key(3, Who::Alpha.key()));
        let verdict = if cleared { clear(4, 1) } else { release(4, 1) };
        assert!(world.done(verdict).changed);
    }
}

#[test]
fn who_may_not_ask_makes_no_record() {
    type Change = fn(&mut Reserve);
    let cases: [(Change, Class, &str); 5] = [
        (
            |r| r.signed.key_id = Who::Alpha.revoked_key(),
            NotAuthentic,
            "signing_key_revoked",
        ),
        (
            |r| r.signed.key_id = Who::Beta.key(),
            NotAuthentic,
            "signing_key_revoked",
        ),
        (
            |r| r.route.connection_id = rules::ConnectionId(identifier(7, 1)),
            NotFound,
            "connection_not_found",
        ),
        (
            |r| r.route.connection_id = link(Who::Beta, Who::Sync).connection(),
            NotFound,
            "connection_not_found",
        ),
        (|r| r.currency = doge(), Invalid, "unknown_currency"),
    ];
    for (change, class, name) in cases {
        let mut world = ready();
        let mut request = allocate(1, alpha_sync(), 50);
        change(&mut request);
        world.refused(request, class, name, "");
        // Nothing was taken: the request as it should be is evaluated afresh.
        assert!(
            world
                .done(allocate(1, alpha_sync(), 50))
                .allocation
                .is_reserved()
        );
    }
    let unlicensed = allocate(1, link(Who::Unlicensed, Who::Sync), 50);
    ready().refused(unlicensed, NotPermitted, "no_oes_licence", "licence");
}

/// These must be valid by themselves each time: a repeat is no way around authority.
#[test]
fn a_repeat_needs_authority_too() {
    let mut world = ready();
    let request = allocate(1, alpha_sync(), 50);
    world.done(request.clone());
    world.done(revoke_key(2, Who::Alpha.key()));
    world.refused(request.clone(), NotAuthentic, "signing_key_revoked", "");
    world.done(put_enterprise(3, Who::Alpha, false));
    world.refused(request, NotPermitted, "no_oes_licence", "");
}

#[test]
fn a_repeat_answers_the_current_state_and_does_nothing() {
    let request = allocate(1, alpha_sync(), 50);
    let ends: [fn(&mut World); 4] = [
        |_| (),
        |world| {
            world.done(Unanswered {
                id: allocation_id(1),
                error: "timed out".to_owned(),
            });
        },
        |world| drop(world.done(clear(2, 1))),
        |world| drop(world.done(release(2, 1))),
    ];
    for end in ends {
        let mut world = ready();
        world.done(request.clone());
        end(&mut world);
        let entries = world.state.entries.len();
        let current = stored::<Allocation>(&world.state, &request.id).cloned();
        for repeat in [
            request.clone(),
            sign_reserve(
                Reserve {
                    id: allocation_id(5),
                    ..request.clone()
                },
                5,
                "a fresh nonce",
            ),
        ] {
            let repeat = world.done(repeat);
            assert_eq!(
                (Some(repeat.allocation), repeat.fresh),
                (current.clone(), false)
            );
        }
        assert_eq!(world.state.entries.len(), entries);
    }
}

#[test]
fn a_repeat_ignores_rules_that_speak_against_it_by_now() {
    let mut world = ready();
    let request = allocate(1, alpha_sync(), 50);
    world.done(request.clone());
    world.done(clear(2, 1));
    set_active(&mut world, alpha_sync(), false);
    configure(&mut world, Who::Sync, |c| c.currencies.clear());
    assert_eq!(
        world.done(request).allocation.state,
        AllocationState::Cleared
    );
}

#[test]
fn a_taken_name_with_other_content_is_a_conflict_that_names_what_differs() {
    type Change = fn(&mut Reserve);
    let changes: [(&str, Change); 4] = [
        ("connectionId", |r| {
            r.route = link(Who::Alpha, Who::Async).route()
        }),
        ("amount.currency", |r| r.currency = eth()),
        ("amount.quantity", |r| r.amount = amount(51)),
        ("notes", |r| r.notes = Some("rent".to_owned())),
    ];
    for kind in [AllocationKind::Allocation, AllocationKind::Deallocation] {
        let mut world = ready();
        let request = reserve(1, kind, alpha_sync(), btc(), 50);
        world.done(request.clone());
        for (member, change) in changes {
            let mut other = request.clone();
            change(&mut other);
            other = sign_reserve(other, 2, "a fresh nonce");
            let differs = format!("different: {member}.");
            world.refused(other, Conflict, "external_id_taken", &differs);
        }
        let mut several = request;
        several.amount = amount(1);
        several.notes = Some("rent".to_owned());
        world.refused(
            sign_reserve(several, 2, "a fresh nonce"),
            Conflict,
            "external_id_taken",
            "amount.quantity, notes",
        );
    }
}

#[test]
fn a_name_is_taken_per_enterprise_and_kind() {
    let mut world = ready();
    let requests = [
        allocate(1, alpha_sync(), 50),
        deallocate(2, alpha_sync(), 50),
        allocate(3, link(Who::Beta, Who::Sync), 50),
        deallocate(4, link(Who::Beta, Who::Sync), 50),
    ];
    for (number, mut request) in (1..).zip(requests) {
        "the same name".clone_into(&mut request.client_external_id);
        let placed = world.done(sign_reserve(request, number, &format!("nonce {number}")));
        assert!(placed.fresh && placed.allocation.is_reserved());
    }
}

#[test]
fn a_synchronous_partner_is_asked_by_the_request_and_an_asynchronous_one_by_the_worker() {
    let mut world = ready();
    world.done(allocate(1, alpha_sync(), 50));
    world.done(allocate(2, link(Who::Alpha, Who::Async), 50));
    let sync = message(&world, 1).expect("a message");
    assert_eq!((sync.call, sync.attempts), (Some(MessageCall::Reserve), 1));
    assert_eq!(sync.leased_until, world.now.plus_millis(10_000));
    let later = message(&world, 2).expect("a message");
    assert_eq!(
        (later.call, later.attempts, later.due_at),
        (Some(MessageCall::Reserve), 0, world.now)
    );
    assert!(later.leased_until <= world.now);
}

#[test]
fn the_partner_is_told_how_it_ends_where_it_has_to_know() {
    let mut told = release(2, 1);
    told.verdict = Verdict::Released {
        reason: Reason::new("unanswered", "nobody answered"),
        tell_partner: true,
    };
    let cases = [
        (clear(2, 1), Some(MessageCall::Clear)),
        (told, Some(MessageCall::Release)),
        (release(2, 1), None),
    ];
    for (verdict, call) in cases {
        let mut world = ready();
        world.done(allocate(1, alpha_sync(), 50));
        world.done(verdict);
        let message = message(&world, 1).expect("a message");
        assert_eq!(message.call, call);
        assert!(message.leased_until <= world.now);
    }
}

#[test]
fn nobody_answers_and_the_amount_stays_reserved() {
    for (partner, retriable) in [(Who::Sync, true), (Who::Async, false)] {
        let mut world = ready();
        world.done(allocate(1, link(Who::Alpha, partner), 50));
        let unanswered = Unanswered {
            id: allocation_id(1),
            error: "timed out".to_owned(),
        };
        let record = world.done(unanswered.clone());
        let AllocationState::Reserved { retriable: is, .. } = record.state else {
            panic!("{record:?}")
        };
        assert_eq!(is, retriable, "{partner:?}");
        assert_eq!(world.balance(&Who::Alpha.go(&btc())), funds(350, 50));
        let waits = message(&world, 1).expect("a message");
        assert_eq!(waits.last_error.as_deref(), Some("timed out"));
        assert!(waits.due_at > world.now && waits.leased_until <= world.now);

        world.done(clear(2, 1));
        let cleared = world.done(unanswered);
        assert_eq!(cleared.state, AllocationState::Cleared);
    }
    let nobody = Unanswered {
        id: allocation_id(1),
        error: String::new(),
    };
    ready().refused(nobody, NotFound, "allocation_not_found", "");
}

#[test]
fn a_partner_that_has_taken_the_request_is_awaited() {
    let mut world = ready();
    world.done(allocate(1, link(Who::Alpha, Who::Async), 50));
    let awaited = Awaited {
        id: allocation_id(1),
        partner_external_id: Some("theirs".to_owned()),
    };
    let record = world.done(awaited.clone());
    assert!(matches!(
        record.state,
        AllocationState::Reserved {
            retriable: false,
            ..
        }
    ));
    assert_eq!(record.partner_external_id.as_deref(), Some("theirs"));
    let waits = message(&world, 1).expect("a message");
    assert_eq!(
        (waits.call, waits.due_at),
        (Some(MessageCall::Await), world.now.plus_seconds(60))
    );
    // It does not forget the name when it is asked again, nor when it clears without one.
    world.done(Awaited {
        partner_external_id: None,
        ..awaited.clone()
    });
    let cleared = Verdict::Cleared {
        partner_external_id: None,
    };
    let cleared = world
        .done(Conclude {
            verdict: cleared,
            ..clear(2, 1)
        })
        .allocation;
    assert_eq!(cleared.partner_external_id.as_deref(), Some("theirs"));
    assert_eq!(world.done(awaited), cleared);
}

#[test]
fn the_operator_may_have_the_partner_asked_again_while_something_remains_to_be_said() {
    let ask = AskAgain {
        id: allocation_id(1),
        operator: act(7),
    };
    let mut world = ready();
    world.refused(ask.clone(), NotFound, "allocation_not_found", "");
    world.done(allocate(1, alpha_sync(), 50));
    // The request itself still works on it.
    world.done(ask.clone());
    assert_eq!(
        message(&world, 1).expect("a message").due_at,
        world.now.plus_millis(10_000)
    );
    world.done(Unanswered {
        id: allocation_id(1),
        error: "timed out".to_owned(),
    });
    world.done(ask.clone());
    assert_eq!(message(&world, 1).expect("a message").due_at, world.now);
    let recorded = stored::<rules::record::OperatorAct>(&world.state, &act(7).id);
    assert_eq!(recorded.map(|act| act.act.as_ref()), Some("ask_again"));
    world.done(release(3, 1));
    world.refused(
        ask,
        Class::Unprocessable,
        "nothing_to_ask",
        "nothing remains",
    );
}

#[test]
fn an_operator_who_releases_a_hold_leaves_a_trace_once() {
    let mut world = ready();
    world.done(allocate(1, alpha_sync(), 50));
    let by = |number| Conclude {
        operator: Some(act(number)),
        ..release(number, 1)
    };
    assert!(world.done(by(7)).changed);
    assert!(!world.done(by(8)).changed);
    let kept = |number| stored::<rules::record::OperatorAct>(&world.state, &act(number).id);
    assert_eq!(kept(7).map(|act| act.act.as_ref()), Some("release_hold"));
    assert_eq!(kept(8), None);
}

#[test]
fn the_network_releases_what_stays_unanswered_too_long_and_nothing_else() {
    let configuration = configuration(Who::Sync);
    let mut world = ready();
    let reserved = world.done(allocate(1, alpha_sync(), 50)).allocation;
    let at = |seconds| reserved.created_at.plus_seconds(seconds);
    assert!(!may_release_unanswered(
        &reserved,
        &configuration,
        at(86_399)
    ));
    assert!(may_release_unanswered(
        &reserved,
        &configuration,
        at(86_400)
    ));
    for verdict in [clear(2, 1), release(2, 1)] {
        let ended = world.clone().done(verdict).allocation;
        assert!(!may_release_unanswered(
            &ended,
            &configuration,
            at(1_000_000)
        ));
    }
}
