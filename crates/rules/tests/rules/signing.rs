//! Nonces: taken for ever by the enterprise, and shared by nobody but the same request.

use rules::Class::Conflict;
use rules::allocate::Reserve;
use rules::connect::OpenConnection;
use rules::record::SignedRequest;
use rules::{Command, Decidable, Signed};

use crate::harness::{World, stored};
use crate::network::*;

const NONCE: &str = "the nonce";

fn reserve_with_nonce(number: u128, link: Link) -> Reserve {
    sign_reserve(allocate(number, link, 10), number, NONCE)
}

fn connect_with_nonce(number: u128, client: Who) -> OpenConnection {
    let link = Link {
        number: 7,
        ..link(client, Who::Broker)
    };
    let mut request = open_connection(number, link);
    request.signed = signed(number, client, NONCE, ("connect", number));
    request
}

/// A world in which Alpha, being both a client and a partner, can sign every kind of request.
fn world() -> (World, Reserve, Link) {
    let mut world = ready();
    let mut configuration = put_configuration(1_000, Who::Alpha);
    configuration.configuration.allocations = rules::record::Answering::Asynchronous;
    world.done(configuration);
    world.done(create_partner(Who::Alpha));
    let clients = link(Who::Beta, Who::Alpha);
    world.done(open_connection(1_001, clients));
    world.done(clients.accepted());
    let asked = allocate(1_002, clients, 10);
    world.done(asked.clone());
    (world, asked, clients)
}

fn resigned(mut signed: Signed, number: u128) -> Signed {
    signed.nonce = NONCE.to_owned();
    signed.request.digest = digest(("some bytes", number));
    signed
}

/// All pairs of kinds: whoever comes second is refused, for the bytes are others.
#[test]
fn a_nonce_is_taken_across_all_kinds_of_requests() {
    let (_, asked, clients) = world();
    type Send<'a> = Box<dyn Fn(&mut World, u128) -> Result<(), rules::Refusal> + 'a>;
    fn done<C>(world: &mut World, command: C) -> Result<(), rules::Refusal>
    where
        C: Command,
        C::Outcome: std::fmt::Debug,
    {
        world.ask(command).map(|_| ())
    }
    let kinds: [Send<'_>; 5] = [
        Box::new(|w, n| done(w, reserve_with_nonce(n, link(Who::Alpha, Who::Sync)))),
        Box::new(|w, n| {
            let mut out = reserve_with_nonce(n, link(Who::Alpha, Who::Broker));
            out.kind = rules::record::AllocationKind::Deallocation;
            done(w, out)
        }),
        Box::new(|w, n| done(w, connect_with_nonce(n, Who::Alpha))),
        Box::new(|w, n| {
            let mut answer = partner_answer(n, &asked, clients, true);
            answer.signed = resigned(answer.signed, n);
            done(w, answer)
        }),
        Box::new(|w, n| {
            let mut request = settle_party(n, Who::Alpha, vec![party_line(clients, btc(), 1)]);
            request.signed = resigned(request.signed, n);
            done(w, request)
        }),
    ];
    for (first, send) in kinds.iter().enumerate() {
        let (mut world, ..) = world();
        send(&mut world, 1).expect("the nonce is free");
        for (second, send) in kinds.iter().enumerate() {
            // A second answer to the same question is a repeat; that it is not another request
            // is what the other tests are about.
            if first == second {
                continue;
            }
            let refusal = send(&mut world, 2).expect_err("the nonce is taken");
            let told = (refusal.class, refusal.reason.name.as_str());
            assert_eq!(told, (Conflict, "nonce_taken"), "{first} then {second}");
        }
    }
}

/// What a client signs does not say which way the money goes: the nonce keeps the signature of an
/// allocation from being used for a deallocation.
#[test]
fn the_same_bytes_cannot_be_used_for_the_other_direction() {
    let mut world = ready();
    let request = allocate(1, link(Who::Alpha, Who::Sync), 10);
    world.done(request.clone());
    let mut other = deallocate(2, link(Who::Alpha, Who::Sync), 10);
    other
        .client_external_id
        .clone_from(&request.client_external_id);
    other.signed = request.signed;
    world.refused(other, Conflict, "nonce_taken", "fresh one");
}

#[test]
fn a_nonce_belongs_to_its_enterprise() {
    let mut world = ready();
    world.done(reserve_with_nonce(1, link(Who::Alpha, Who::Sync)));
    world.done(reserve_with_nonce(2, link(Who::Beta, Who::Sync)));
    let taken = reserve_with_nonce(3, link(Who::Alpha, Who::Async));
    world.refused(taken, Conflict, "nonce_taken", "fresh one");
}

#[test]
fn a_refused_request_takes_no_nonce() {
    let mut world = ready();
    let mut refused = reserve_with_nonce(1, link(Who::Alpha, Who::Sync));
    refused.currency = doge();
    assert!(world.ask(refused).is_err());
    world.done(reserve_with_nonce(2, link(Who::Alpha, Who::Sync)));
}

/// Two nonces, two requests: the repeat with the nonce of the other one is no repeat.
#[test]
fn a_repeat_may_bring_a_fresh_nonce_but_not_one_that_others_hold() {
    let mut world = ready();
    let first = allocate(1, link(Who::Alpha, Who::Sync), 10);
    world.done(first.clone());
    world.done(reserve_with_nonce(2, link(Who::Alpha, Who::Async)));
    world.done(sign_reserve(first.clone(), 3, "a fresh nonce"));
    let stolen = sign_reserve(first.clone(), 4, NONCE);
    world.refused(stolen, Conflict, "nonce_taken", "fresh one");
    // And the fresh one is taken for ever, too.
    let late = sign_reserve(
        allocate(5, link(Who::Alpha, Who::Sync), 10),
        5,
        "a fresh nonce",
    );
    world.refused(late, Conflict, "nonce_taken", "fresh one");
    // The same name with the same nonce over other bytes: the same request it is not.
    let mut other_bytes = first;
    other_bytes.signed.request.digest = digest("other white space");
    world.refused(other_bytes, Conflict, "nonce_taken", "fresh one");
}

#[test]
fn what_moved_money_stays_provable() {
    let mut world = ready();
    let request = allocate(1, link(Who::Alpha, Who::Sync), 10);
    world.done(request.clone());
    let accepted_at = world.now;
    world.pass_seconds(60);
    world.done(sign_reserve(request.clone(), 2, "a fresh nonce"));
    world.done(clear(3, 1));
    let evidence = &request.signed.request;
    let kept = stored::<SignedRequest>(&world.state, &evidence.id).expect("evidence");
    let received_at = accepted_at;
    assert_eq!(
        *kept,
        SignedRequest {
            received_at,
            ..evidence.clone()
        }
    );
    let of = |cause: &str| {
        let mut entries = world
            .state
            .entries
            .iter()
            .filter(|e| e.subject == request.id.0);
        entries
            .find(|e| e.cause == cause)
            .expect("an entry")
            .signed_request
    };
    assert_eq!(of("allocation_reserved"), Some(evidence.id));
}

/// The batch loads exactly what is declared; what is not declared cannot be read.
#[test]
#[should_panic(expected = "without declaring it")]
fn reading_what_was_not_declared_is_a_fault_of_the_command() {
    let mut submission = rules::Submission::new(allocate(1, link(Who::Alpha, Who::Sync), 10));
    let mut nothing_loaded = rules::View::default();
    submission.decide(&mut nothing_loaded, ready().now);
}
