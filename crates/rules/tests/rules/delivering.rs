//! Messages to partners: leases, backoff, and what is never said late.

use rules::deliver::{Delivered, Lease, Undelivered};
use rules::record::{Message, MessageCall};
use uuid::Uuid;

use crate::harness::{World, stored};
use crate::network::*;

fn lease(subjects: &[Uuid], only_due: bool) -> Lease {
    Lease {
        subjects: subjects.to_vec(),
        lease_ms: 5_000,
        only_due,
    }
}

fn undelivered(subject: Uuid, call: MessageCall) -> Undelivered {
    let error = "connection refused".to_owned();
    Undelivered {
        subject,
        call,
        error,
    }
}

fn message(world: &World, subject: Uuid) -> &Message {
    stored::<Message>(&world.state, &subject).expect("a message")
}

/// A cleared allocation whose partner has still to be told, and its subject.
fn cleared() -> (World, Uuid) {
    let mut world = ready();
    world.done(allocate(1, link(Who::Alpha, Who::Sync), 50));
    world.done(clear(2, 1));
    (world, allocation_id(1).0)
}

#[test]
fn a_message_is_leased_to_one_server_at_a_time() {
    let (mut world, subject) = cleared();
    let leased = world.done(lease(&[subject, subject], true));
    assert_eq!(leased.len(), 1, "asked for twice, it is leased once");
    assert_eq!(
        (leased[0].call, leased[0].attempts),
        (Some(MessageCall::Clear), 1)
    );
    assert_eq!(leased[0].leased_until, world.now.plus_millis(5_000));
    for only_due in [true, false] {
        assert_eq!(world.done(lease(&[subject], only_due)), []);
    }
    world.pass_seconds(4);
    assert_eq!(world.done(lease(&[subject], true)), []);
    // The server has died: its lease runs out and another one takes over.
    world.pass_seconds(1);
    let again = world.done(lease(&[subject], true));
    assert_eq!(again.iter().map(|m| m.attempts).collect::<Vec<_>>(), [2]);
}

#[test]
fn what_is_not_due_is_leased_only_to_who_insists() {
    let (mut world, subject) = cleared();
    world.done(lease(&[subject], true));
    world.done(undelivered(subject, MessageCall::Clear));
    assert_eq!(world.done(lease(&[subject], true)), []);
    assert_eq!(world.done(lease(&[subject], false)).len(), 1);
}

#[test]
fn unknown_and_finished_messages_are_never_leased() {
    let (mut world, subject) = cleared();
    world.done(Delivered {
        subject,
        call: MessageCall::Clear,
    });
    world.pass_seconds(1_000);
    let finished_and_unknown = [subject, Uuid::from_u128(1)];
    assert_eq!(world.done(lease(&finished_and_unknown, false)), []);
}

#[test]
fn attempts_back_off_from_one_second_to_five_minutes() {
    let (mut world, subject) = cleared();
    let mut waited = Vec::new();
    for _ in 0..11 {
        assert_eq!(world.done(lease(&[subject], true)).len(), 1);
        world.done(undelivered(subject, MessageCall::Clear));
        let due_at = message(&world, subject).due_at;
        waited.push((due_at.0 - world.now.0) / 1_000_000);
        world.now = due_at;
    }
    assert_eq!(waited, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!(
        message(&world, subject).last_error.as_deref(),
        Some("connection refused")
    );
}

#[test]
fn something_new_to_say_is_said_at_once() {
    let mut world = ready();
    let subject = allocation_id(1).0;
    world.done(allocate(1, link(Who::Alpha, Who::Sync), 50));
    for _ in 0..5 {
        world.done(undelivered(subject, MessageCall::Reserve));
        world.now = message(&world, subject).due_at;
        world.done(lease(&[subject], true));
    }
    world.done(clear(2, 1));
    let told = message(&world, subject);
    assert_eq!(
        (told.call, told.attempts, told.due_at),
        (Some(MessageCall::Clear), 0, world.now)
    );
    assert_eq!(told.last_error, None);
    assert_eq!(
        world.done(lease(&[subject], true)).len(),
        1,
        "the old lease is void"
    );
}

/// The answer to what was said before says nothing of what is to be said now.
#[test]
fn a_late_report_about_something_else_changes_nothing() {
    let (mut world, subject) = cleared();
    let before = message(&world, subject).clone();
    for call in [
        MessageCall::Reserve,
        MessageCall::Await,
        MessageCall::Release,
    ] {
        world.done(Delivered { subject, call });
        world.done(undelivered(subject, call));
        assert_eq!(*message(&world, subject), before);
    }
    world.done(Delivered {
        subject,
        call: MessageCall::Clear,
    });
    assert_eq!(message(&world, subject).call, None);
    world.done(undelivered(subject, MessageCall::Clear));
    assert_eq!(message(&world, subject).call, None);
    let nobody = Uuid::from_u128(1);
    world.done(Delivered {
        subject: nobody,
        call: MessageCall::Clear,
    });
    world.done(undelivered(nobody, MessageCall::Clear));
    assert_eq!(stored::<Message>(&world.state, &nobody), None);
}

#[test]
fn a_connection_is_asked_for_until_it_is_answered() {
    let mut world = ready();
    let subject = UNANSWERED.connection().0;
    let leased = world.done(lease(&[subject], true));
    assert_eq!(
        leased.iter().map(|m| m.call).collect::<Vec<_>>(),
        [Some(MessageCall::Connect)]
    );
    world.done(UNANSWERED.accepted());
    world.pass_seconds(1_000);
    assert_eq!(world.done(lease(&[subject], false)), []);
}
