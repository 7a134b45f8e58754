//! Bugs that other ledgers are known for, as tests of this one.

use ledger::Balance;
use rules::Class::Conflict;
use rules::record::{Allocation, AllocationState};
use rules::{Reason, Submission};

use crate::harness::{Asked, World, stored};
use crate::network::*;
use crate::steps::Any;

fn at_broker() -> Link {
    link(Who::Alpha, Who::Broker)
}

fn batch(world: &mut World, commands: Vec<Any>) -> Vec<Box<dyn Asked>> {
    let mut asked: Vec<Box<dyn Asked>> = commands.iter().map(Any::submission).collect();
    world.batch(&mut asked);
    asked
}

fn state(world: &World, number: u128) -> &AllocationState {
    let record = stored::<Allocation>(&world.state, &allocation_id(number));
    &record.expect("a record").state
}

/// Several holds that each fit the balance and together do not.
#[test]
fn holds_are_never_accepted_beyond_the_balance() {
    for together in [true, false] {
        let mut world = ready();
        let requests = (1..=4).map(|number| Any::from(allocate(number, at_broker(), 150)));
        if together {
            batch(&mut world, requests.collect());
        } else {
            for request in requests {
                batch(&mut world, vec![request]);
            }
        }
        let reserved =
            (1..=4).map(|n| matches!(state(&world, n), AllocationState::Reserved { .. }));
        assert_eq!(reserved.collect::<Vec<_>>(), [true, true, false, false]);
        let go = world.balance(&Who::Alpha.go(&btc()));
        assert_eq!(
            go,
            Balance {
                available: 100,
                held: 300
            }
        );
    }
}

/// Allocation, withdrawal, deallocation and settlement compete for the same money.
#[test]
fn holds_of_different_kinds_share_one_balance() {
    let mut world = ready();
    let asked = batch(
        &mut world,
        vec![
            withdraw(1, Who::Alpha, btc(), 300).into(),
            allocate(2, at_broker(), 150).into(),
            allocate(3, at_broker(), 100).into(),
            withdraw(4, Who::Alpha, btc(), 1).into(),
            deallocate(5, link(Who::Alpha, Who::Sync), 80).into(),
            settle_party(
                6,
                Who::Sync,
                vec![party_line(link(Who::Alpha, Who::Sync), btc(), -30)],
            )
            .into(),
            deallocate(7, link(Who::Alpha, Who::Sync), 21).into(),
        ],
    );
    assert!(matches!(state(&world, 2), AllocationState::Released { .. }));
    assert!(matches!(state(&world, 3), AllocationState::Reserved { .. }));
    let refused = asked[3]
        .refusal()
        .map(|refusal| refusal.reason.name.as_str());
    assert_eq!(refused, Some("insufficient_available"));
    assert!(asked[5].told().contains("insufficient_balance"));
    assert!(matches!(state(&world, 7), AllocationState::Released { .. }));
    let go = world.balance(&Who::Alpha.go(&btc()));
    assert_eq!(
        go,
        Balance {
            available: 0,
            held: 400
        }
    );
}

/// A hold that was rejected, or never accepted, is committed later by its identifier.
#[test]
fn a_rejected_hold_cannot_be_committed_later_by_its_id() {
    for never_held in [true, false] {
        let mut world = ready();
        world.done(allocate(1, at_broker(), if never_held { 401 } else { 50 }));
        if !never_held {
            world.done(release(2, 1));
        }
        let before = world.state.clone();
        let concluded = world.done(clear(3, 1));
        assert!(!concluded.changed);
        assert!(matches!(
            concluded.allocation.state,
            AllocationState::Released { .. }
        ));
        assert!(world.state.balances.iter().eq(before.balances.iter()));
        assert!(world.state.holds.iter().eq(before.holds.iter()));
    }
    // In the batch that rejects it, as well.
    let mut world = ready();
    batch(
        &mut world,
        vec![
            allocate(1, at_broker(), 50).into(),
            release(2, 1).into(),
            clear(3, 1).into(),
        ],
    );
    assert!(matches!(state(&world, 1), AllocationState::Released { .. }));
    assert_eq!(
        world.balance(&at_broker().net(&btc())),
        Balance {
            available: 100,
            held: 0
        }
    );
}

/// A committed hold is released, or committed once more.
#[test]
fn a_hold_ends_once() {
    let mut world = ready();
    world.done(allocate(1, at_broker(), 50));
    let asked = batch(
        &mut world,
        vec![clear(2, 1).into(), clear(3, 1).into(), release(4, 1).into()],
    );
    assert!(asked.iter().all(|asked| asked.refusal().is_none()));
    assert_eq!(*state(&world, 1), AllocationState::Cleared);
    assert_eq!(
        world.balance(&at_broker().net(&btc())),
        Balance {
            available: 150,
            held: 0
        }
    );
    assert_eq!(
        world.balance(&Who::Alpha.go(&btc())),
        Balance {
            available: 350,
            held: 0
        }
    );
}

/// Two servers, or two threads, bring the same external identifier at the same moment.
#[test]
fn an_external_id_that_is_repeated_in_one_batch_acts_once() {
    let mut world = ready();
    let first = allocate(1, at_broker(), 50);
    let mut second = allocate(2, at_broker(), 50);
    second
        .client_external_id
        .clone_from(&first.client_external_id);
    let second = sign_reserve(second, 2, "another nonce");
    let exact = first.clone();
    let mut asked: Vec<Box<dyn Asked>> = [first, second, exact]
        .map(|r| Box::new(Submission::new(r)) as Box<dyn Asked>)
        .into();
    world.batch(&mut asked);
    for (asked, fresh) in asked.iter().zip([true, false, false]) {
        let told = asked.told();
        assert!(told.contains(&format!("fresh: {fresh}")), "{told}");
        assert!(told.contains(&format!("{:?}", allocation_id(1))), "{told}");
    }
    assert_eq!(
        world.balance(&Who::Alpha.go(&btc())),
        Balance {
            available: 350,
            held: 50
        }
    );
    assert_eq!(stored::<Allocation>(&world.state, &allocation_id(2)), None);
}

#[test]
fn a_settlement_deposit_or_withdrawal_that_is_repeated_in_one_batch_acts_once() {
    let mut world = ready();
    let line = || vec![party_line(link(Who::Alpha, Who::Sync), btc(), 10)];
    let mut settlement = settle_party(4, Who::Sync, line());
    settlement.external_id = settle_party(1, Who::Sync, line()).external_id;
    let mut deposit_again = deposit(5, Who::Alpha, btc(), 7);
    deposit_again.external_reference = deposit(2, Who::Alpha, btc(), 7).external_reference;
    let mut withdrawal_again = withdraw(6, Who::Alpha, btc(), 9);
    withdrawal_again.external_reference = withdraw(3, Who::Alpha, btc(), 9).external_reference;
    let entries = world.state.entries.len();
    let asked = batch(
        &mut world,
        vec![
            settle_party(1, Who::Sync, line()).into(),
            deposit(2, Who::Alpha, btc(), 7).into(),
            withdraw(3, Who::Alpha, btc(), 9).into(),
            settlement.into(),
            deposit_again.into(),
            withdrawal_again.into(),
        ],
    );
    assert_eq!(world.state.entries.len(), entries + 3);
    for (first, second) in [(0, 3), (1, 4), (2, 5)] {
        assert_eq!(asked[first].told(), asked[second].told());
    }
}

/// A client that retries builds its request anew, and not quite the same.
#[test]
fn a_retry_rebuilt_with_other_content_is_a_conflict() {
    for together in [true, false] {
        let mut world = ready();
        let first = allocate(1, at_broker(), 50);
        let mut rebuilt = allocate(2, at_broker(), 60);
        rebuilt
            .client_external_id
            .clone_from(&first.client_external_id);
        let rebuilt = sign_reserve(rebuilt, 2, "another nonce");
        let asked = if together {
            batch(&mut world, vec![first.into(), rebuilt.into()])
        } else {
            batch(&mut world, vec![first.into()]);
            batch(&mut world, vec![rebuilt.into()])
        };
        let refusal = asked
            .last()
            .and_then(|asked| asked.refusal())
            .expect("a refusal");
        assert_eq!(
            (refusal.class, refusal.reason.name.as_str()),
            (Conflict, "external_id_taken")
        );
        let Reason { message, .. } = &refusal.reason;
        assert!(message.contains("amount.quantity"), "{message}");
        assert_eq!(
            world.balance(&Who::Alpha.go(&btc())),
            Balance {
                available: 350,
                held: 50
            }
        );
    }
}

/// The same nonce at the same moment over two different requests.
#[test]
fn a_nonce_that_is_repeated_in_one_batch_is_taken_by_the_first() {
    let mut world = ready();
    let requests = [1, 2].map(|n| sign_reserve(allocate(n, at_broker(), 50), n, "one nonce"));
    let asked = batch(&mut world, requests.map(Any::from).into());
    assert!(asked[0].refusal().is_none());
    let refusal = asked[1].refusal().expect("a refusal");
    assert_eq!(refusal.reason.name, "nonce_taken");
}

/// The revocation of a key, or of a licence, decides over what comes after it in the same batch.
#[test]
fn authority_is_read_inside_the_batch_that_decides() {
    let ends: [Any; 2] = [
        revoke_key(1, Who::Alpha.key()).into(),
        put_enterprise(1, Who::Alpha, false).into(),
    ];
    for (end, name) in ends
        .into_iter()
        .zip(["signing_key_revoked", "no_oes_licence"])
    {
        let mut world = ready();
        let asked = batch(
            &mut world,
            vec![
                allocate(2, at_broker(), 50).into(),
                end,
                allocate(3, at_broker(), 50).into(),
            ],
        );
        assert!(asked[0].refusal().is_none());
        let refusal = asked[2].refusal().expect("a refusal");
        assert_eq!(refusal.reason.name, name);
    }
}
