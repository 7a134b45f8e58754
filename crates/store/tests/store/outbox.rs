//! What is due to be said to partners, in which order, and when the next is.

use ledger::Timestamp;
use rules::PartnerId;
use rules::record::{Message, MessageCall};
use store::WaitingPartners;
use testkit::TestDatabase;
use uuid::Uuid;

use crate::fixture::{Alpha, Exchange, Later, Link, Network, START, btc, identifier, put};

on_both! {
    the_most_urgent_comes_first
    what_the_chain_is_past_is_due_whatever_our_clock_says
    nothing_waits_once_everything_is_said
    every_partner_has_a_queue_of_its_own
    a_reservation_is_asked_about_and_then_told
}

fn message(number: u64, due_at: i64, call: Option<MessageCall>) -> Message {
    Message {
        subject: identifier(20, number),
        partner_id: PartnerId(Uuid::nil()),
        call,
        attempts: 0,
        due_at: Timestamp(due_at),
        leased_until: Timestamp(0),
        last_error: None,
        created_at: START,
        updated_at: START,
    }
}

async fn waiting(network: &Network, now: i64) -> WaitingPartners {
    let waiting = network.store.waiting_partners(Timestamp(now)).await;
    waiting.expect("a list")
}

async fn due(network: &Network, now: i64, at_most: u32) -> Vec<Uuid> {
    let waiting = waiting(network, now).await;
    let mut due = Vec::new();
    for (partner, next_due) in waiting.partners {
        let messages = network
            .store
            .due_messages(partner, waiting.time, at_most)
            .await
            .expect("a list");
        if let Some(first) = messages.first() {
            assert_eq!(first.due_at, next_due);
        }
        due.extend(messages);
    }
    due.sort_by_key(|message| (message.due_at, message.subject));
    due.into_iter().map(|message| message.subject).collect()
}

async fn next_due(network: &Network) -> Option<i64> {
    let partners = waiting(network, 0).await.partners;
    partners.iter().map(|(_, next_due)| next_due.0).min()
}

async fn the_most_urgent_comes_first(database: TestDatabase) {
    let network = Network::bare(database).await;
    assert_eq!(next_due(&network).await, None);
    for (number, due_at, call) in [
        (5, 30, Some(MessageCall::Clear)),
        (4, 10, Some(MessageCall::Release)),
        (3, 20, Some(MessageCall::Connect)),
        (2, 20, Some(MessageCall::Await)),
        // Nothing is left to be said here, however long ago it was due.
        (1, 5, None),
    ] {
        network
            .done(put(message(number, START.0 + due_at, call)))
            .await;
    }
    let after = |time: i64| START.0 + time;
    let subjects = |numbers: &[u64]| -> Vec<Uuid> {
        numbers
            .iter()
            .map(|number| identifier(20, *number))
            .collect()
    };
    assert_eq!(due(&network, after(9), 10).await, subjects(&[]));
    assert_eq!(due(&network, after(10), 10).await, subjects(&[4]));
    assert_eq!(due(&network, after(29), 10).await, subjects(&[4, 2, 3]));
    assert_eq!(due(&network, after(30), 10).await, subjects(&[4, 2, 3, 5]));
    assert_eq!(due(&network, after(30), 2).await, subjects(&[4, 2]));
    assert_eq!(due(&network, after(30), 0).await, subjects(&[]));
    assert_eq!(next_due(&network).await, Some(after(10)));
}

async fn what_the_chain_is_past_is_due_whatever_our_clock_says(database: TestDatabase) {
    let network = Network::bare(database).await;
    for (number, due_at) in [(1, START.0), (2, START.0 + 1)] {
        let call = Some(MessageCall::Clear);
        network.done(put(message(number, due_at, call))).await;
    }
    assert_eq!(due(&network, 0, 10).await, [identifier(20, 1)]);
}

async fn every_partner_has_a_queue_of_its_own(database: TestDatabase) {
    let network = Network::bare(database).await;
    let partner = |number| PartnerId(identifier(30, number));
    for (number, of, due_at) in [(1, 2, 40), (2, 1, 30), (3, 2, 20), (4, 3, 10), (5, 1, 50)] {
        let message = Message {
            partner_id: partner(of),
            ..message(number, due_at, (of != 3).then_some(MessageCall::Reserve))
        };
        network.done(put(message)).await;
    }
    let mut partners = waiting(&network, 0).await.partners;
    partners.sort_unstable();
    let expected = [(partner(1), Timestamp(30)), (partner(2), Timestamp(20))];
    assert_eq!(partners, expected);
    let due = network.store.due_messages(partner(2), Timestamp(40), 10);
    let due = due.await.expect("a list");
    let due: Vec<_> = due.iter().map(|message| message.subject).collect();
    assert_eq!(due, [identifier(20, 3), identifier(20, 1)]);
}

async fn nothing_waits_once_everything_is_said(database: TestDatabase) {
    let network = Network::bare(database).await;
    network
        .done(put(message(1, 10, Some(MessageCall::Clear))))
        .await;
    assert_eq!(next_due(&network).await, Some(10));
    let (subject, call) = (identifier(20, 1), MessageCall::Clear);
    network
        .done(rules::deliver::Delivered { subject, call })
        .await;
    assert_eq!(next_due(&network).await, None);
    assert!(due(&network, i64::MAX, 10).await.is_empty());
    // The row stays as evidence.
    let said = network
        .store
        .message(subject)
        .await
        .expect("a look-up")
        .expect("a message");
    assert_eq!((said.call, said.updated_at), (None, START));
}

async fn a_reservation_is_asked_about_and_then_told(database: TestDatabase) {
    let network = Network::ready(database).await;
    network.done(network.deposit(Alpha, &btc(), 100)).await;
    let sync = network
        .done(network.allocate(Link(Alpha, Exchange), 10))
        .await
        .allocation;
    let later = network
        .done(network.allocate(Link(Alpha, Later), 10))
        .await
        .allocation;

    // Whoever sent the request asks the synchronous partner for 10 s; the other is due at once.
    assert_eq!(due(&network, START.0, 10).await, [later.id.0]);
    assert_eq!(next_due(&network).await, Some(START.0));
    let lease = START.plus_seconds(10).0;
    assert_eq!(due(&network, lease, 10).await, [later.id.0, sync.id.0]);

    network.clock.pass_seconds(1);
    network.done(network.clear(sync.id)).await;
    network.done(network.release(later.id)).await;
    let now = START.plus_seconds(1).0;
    assert_eq!(due(&network, now, 10).await, [sync.id.0, later.id.0]);
    let subjects = vec![sync.id.0, later.id.0];
    let mut messages = network.store.messages(subjects).await.expect("a list");
    messages.sort_by_key(|message| message.subject);
    let calls: Vec<_> = messages.iter().map(|message| message.call).collect();
    assert_eq!(
        calls,
        [Some(MessageCall::Clear), Some(MessageCall::Release)]
    );
}
