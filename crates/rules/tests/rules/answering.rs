//! What partners that answer later say by themselves (P6, P7).

use ledger::Balance;
use rules::Class::{Conflict, NotAuthentic, NotFound, NotPermitted, Unprocessable};
use rules::allocate::{PartnerAnswer, Reserve};
use rules::record::{AllocationKind, AllocationState, MessageCall, SignedRequest};

use crate::harness::{World, stored};
use crate::network::*;

fn alpha_async() -> Link {
    link(Who::Alpha, Who::Async)
}

fn reserved(kind: AllocationKind) -> (World, Reserve) {
    let mut world = ready();
    let request = reserve(1, kind, alpha_async(), btc(), 60);
    assert!(world.done(request.clone()).allocation.is_reserved());
    (world, request)
}

const KINDS: [AllocationKind; 2] = [AllocationKind::Allocation, AllocationKind::Deallocation];

#[test]
fn an_answer_ends_the_record_and_is_kept_as_evidence() {
    for kind in KINDS {
        for cleared in [true, false] {
            let (mut world, request) = reserved(kind);
            let answer = partner_answer(2, &request, alpha_async(), cleared);
            let concluded = world.done(answer.clone());
            assert!(concluded.changed);
            let message = stored::<rules::record::Message>(&world.state, &request.id.0);
            let call = message.expect("a message").call;
            if cleared {
                assert_eq!(concluded.allocation.state, AllocationState::Cleared);
                let name = concluded.allocation.partner_external_id;
                assert_eq!(name, Some(answer.partner_external_id.clone()));
                assert_eq!(call, Some(MessageCall::Clear));
            } else {
                let AllocationState::Released { reason } = concluded.allocation.state else {
                    panic!("not released")
                };
                assert_eq!(reason.message, "the account is closed");
                assert_eq!(call, None, "it knows what it has said itself");
            }
            let entry = world.state.entries.last().expect("an entry");
            assert_eq!(entry.signed_request, Some(answer.signed.request.id));
            let evidence =
                stored::<SignedRequest>(&world.state, &answer.signed.request.id).expect("evidence");
            let received_at = world.now;
            assert_eq!(
                *evidence,
                SignedRequest {
                    received_at,
                    ..answer.signed.request
                }
            );
            let held = world.balance(&Who::Alpha.go(&btc())).held
                + world.balance(&alpha_async().net(&btc())).held;
            assert_eq!(held, 0);
        }
    }
}

/// OES wire Q45: the same status again is a replay, the opposite a conflict.
#[test]
fn the_first_answer_stands() {
    for kind in KINDS {
        for cleared in [true, false] {
            let (mut world, request) = reserved(kind);
            let first = partner_answer(2, &request, alpha_async(), cleared);
            let ended = world.done(first.clone()).allocation;
            let name = first.partner_external_id.clone();
            let mut afresh = partner_answer(3, &request, alpha_async(), cleared);
            afresh.partner_external_id.clone_from(&name);
            for repeat in [first, afresh] {
                let repeat = world.done(repeat);
                assert_eq!((repeat.allocation, repeat.changed), (ended.clone(), false));
            }
            let mut opposite = partner_answer(4, &request, alpha_async(), !cleared);
            opposite.partner_external_id.clone_from(&name);
            world.refused(opposite, Conflict, "already_final", "stays so");
        }
    }
}

#[test]
fn an_answer_has_to_fit_its_record() {
    type Change = fn(&mut PartnerAnswer);
    let cases: [(Change, rules::Class, &str, &str); 12] = [
        (
            |a| a.currency = None,
            Unprocessable,
            "answer_differs_from_record",
            "amount.currency",
        ),
        (
            |a| a.currency = Some(eth()),
            Unprocessable,
            "answer_differs_from_record",
            "amount.currency",
        ),
        (
            |a| a.amount = amount(61),
            Unprocessable,
            "answer_differs_from_record",
            "amount.quantity",
        ),
        (
            |a| a.client_id = Who::Beta.client(),
            Unprocessable,
            "answer_differs_from_record",
            "different: clientId",
        ),
        (
            |a| a.connection_id = link(Who::Beta, Who::Async).connection(),
            Unprocessable,
            "answer_differs_from_record",
            "connectionId",
        ),
        (
            |a| a.partners_client_id.push('!'),
            Unprocessable,
            "answer_differs_from_record",
            "partnersClientId",
        ),
        (
            |a| a.partners_connection_id.push('!'),
            Unprocessable,
            "answer_differs_from_record",
            "partnersConnectionId",
        ),
        (
            |a| a.id = allocation_id(99),
            NotFound,
            "allocation_not_found",
            "",
        ),
        (
            |a| a.kind = AllocationKind::Deallocation,
            NotFound,
            "deallocation_not_found",
            "",
        ),
        (
            |a| a.signed.key_id = Who::Async.revoked_key(),
            NotAuthentic,
            "signing_key_revoked",
            "",
        ),
        (
            |a| a.signed.key_id = Who::Alpha.key(),
            NotAuthentic,
            "signing_key_revoked",
            "",
        ),
        (
            |a| {
                a.enterprise_id = Who::Broker.enterprise();
                a.go_account_id = Who::Broker.go_account();
                a.signed = signed(2, Who::Broker, "theirs", ());
            },
            NotFound,
            "allocation_not_found",
            "",
        ),
    ];
    let (mut world, request) = reserved(AllocationKind::Allocation);
    for (change, class, name, telling) in cases {
        let mut answer = partner_answer(2, &request, alpha_async(), true);
        change(&mut answer);
        world.refused(answer, class, name, telling);
    }
    assert_eq!(
        world.balance(&Who::Alpha.go(&btc())),
        Balance {
            available: 340,
            held: 60
        }
    );
    world.done(put_enterprise(3, Who::Async, false));
    let answer = partner_answer(2, &request, alpha_async(), true);
    world.refused(answer, NotPermitted, "no_oes_licence", "");
}

#[test]
fn a_synchronous_partner_answers_in_the_call_itself() {
    let mut world = ready();
    let link = link(Who::Alpha, Who::Sync);
    let request = allocate(1, link, 60);
    world.done(request.clone());
    let answer = partner_answer(2, &request, link, true);
    world.refused(
        answer,
        NotPermitted,
        "partner_is_synchronous",
        "allocations",
    );
}

/// How a record is answered is fixed when it is made.
#[test]
fn a_partner_that_becomes_synchronous_still_answers_what_it_was_asked_before() {
    let (mut world, request) = reserved(AllocationKind::Allocation);
    let mut changed = put_configuration(2, Who::Async);
    changed.configuration.allocations = rules::record::Answering::Synchronous;
    world.done(changed);
    assert!(
        world
            .done(partner_answer(3, &request, alpha_async(), true))
            .changed
    );
}

#[test]
fn an_answer_after_the_network_has_released_is_a_conflict() {
    let (mut world, request) = reserved(AllocationKind::Allocation);
    world.done(release(2, 1));
    let late = partner_answer(3, &request, alpha_async(), true);
    world.refused(late, Conflict, "already_final", "released");
}

#[test]
fn what_was_never_reserved_cannot_be_cleared() {
    let mut world = ready();
    let request = allocate(1, alpha_async(), 401);
    assert!(!world.done(request.clone()).allocation.is_reserved());
    let answer = partner_answer(2, &request, alpha_async(), true);
    world.refused(answer, Conflict, "already_final", "released");
    assert_eq!(
        world.balance(&Who::Alpha.go(&btc())),
        Balance {
            available: 400,
            held: 0
        }
    );
}
