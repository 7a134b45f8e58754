//! What arrives together is decided together, and everybody gets an answer of their own.

use std::collections::BTreeSet;

use futures_util::future::{join, join_all};
use ledger::{Balance, Timestamp};
use rules::record::{AllocationState, Claim, ClaimKey, ClaimKind, Enterprise};
use rules::{Command, Draft, Keys, Refusal, View};
use store::SubmitError;
use testkit::TestDatabase;

use crate::books::Books;
use crate::fixture::{
    ALL, Alpha, Beta, Exchange, Link, Network, amount, btc, identifier, queued, refusal_of,
    scripted,
};

on_both! {
    two_hundred_submits_equal_their_sum
    what_waits_becomes_one_commit
    refusals_do_not_disturb_their_neighbours
    refused_commands_alone_write_nothing
    a_repetition_under_a_race_acts_once
    no_more_is_reserved_than_there_is
    a_command_that_panics_harms_nobody
    a_command_that_reads_what_it_did_not_declare_harms_nobody
    a_command_that_panics_over_its_keys_harms_nobody
    text_that_one_database_does_not_take_harms_no_neighbour
    a_key_that_is_taken_for_good_harms_no_neighbour
    a_chain_of_events_fits_into_one_batch
    a_batch_is_larger_than_the_queue_takes_at_once
    a_command_reads_and_writes_tens_of_thousands_of_records
}

async fn two_hundred_submits_equal_their_sum(database: TestDatabase) {
    let network = Network::ready(database).await;
    let tasks: Vec<_> = (1..=200)
        .map(|units| {
            let deposit = network.deposit(Alpha, &btc(), units);
            let (store, reference) = (network.store.clone(), deposit.external_reference.clone());
            let task = tokio::spawn(async move { store.submit(deposit).await });
            (task, reference, units)
        })
        .collect();
    for (task, reference, units) in tasks {
        let booked = task.await.expect("no panic").expect("a deposit");
        assert_eq!(
            (booked.external_reference, booked.amount),
            (reference, amount(units))
        );
    }
    let balance = network.balance(&Alpha.go(&btc())).await;
    assert_eq!(
        balance,
        Balance {
            available: 200 * 201 / 2,
            held: 0
        }
    );
    let deposits = network.store.deposits(None, ALL).await.expect("a list");
    assert_eq!(deposits.len(), 200);
    network.is_sound().await;
}

async fn what_waits_becomes_one_commit(database: TestDatabase) {
    let network = Network::ready(database).await;
    let books = Books::of(&network.database).await;
    let before = books.commits().await;

    books.lock().await;
    let deposits = (0..200).map(|_| network.deposit(Alpha, &btc(), 1));
    let waiting = queued(deposits.map(|deposit| network.store.submit(deposit))).await;
    books.unlock().await;
    for answer in join_all(waiting).await {
        answer.expect("a deposit");
    }

    // One batch may have begun with those that came first; all others wait for it together.
    let commits = books.commits().await - before;
    assert!((1..=2).contains(&commits), "{commits} commits");
    assert_eq!(network.balance(&Alpha.go(&btc())).await.available, 200);
}

async fn refusals_do_not_disturb_their_neighbours(database: TestDatabase) {
    let network = Network::ready(database).await;
    let books = Books::of(&network.database).await;
    books.lock().await;
    let good = (0..50).map(|_| network.store.submit(network.deposit(Alpha, &btc(), 3)));
    let good = queued(good).await;
    let unknown = "ofcdoge".parse().expect("a ticker");
    let bad = (0..50).map(|_| network.store.submit(network.deposit(Alpha, &unknown, 5)));
    let bad = queued(bad).await;
    let poor = (0..50).map(|_| network.store.submit(network.withdraw(Beta, &btc(), 7)));
    let poor = queued(poor).await;
    books.unlock().await;

    let (good, (bad, poor)) = join(join_all(good), join(join_all(bad), join_all(poor))).await;
    assert!(good.iter().all(Result::is_ok));
    for answer in bad {
        assert_eq!(refusal_of(answer), "unknown_currency");
    }
    for answer in poor {
        assert_eq!(refusal_of(answer), "insufficient_available");
    }
    assert_eq!(network.balance(&Alpha.go(&btc())).await.available, 150);
    assert_eq!(network.balance(&Beta.go(&btc())).await, Balance::default());
    assert_eq!(
        network.store.withdrawals(None, ALL).await.expect("a list"),
        []
    );
    network.is_sound().await;
}

async fn refused_commands_alone_write_nothing(database: TestDatabase) {
    let network = Network::ready(database).await;
    let books = Books::of(&network.database).await;
    let before = (books.commits().await, books.rows().await);
    let head = "SELECT sequence + time_us + last_entry FROM chain_heads";
    let head_before = books.number(head).await;

    network.clock.pass_seconds(60);
    let withdrawals = (0..20).map(|_| network.withdraw(Alpha, &btc(), 1));
    let answers = withdrawals.map(|withdrawal| network.store.submit(withdrawal));
    for answer in join_all(answers).await {
        assert_eq!(refusal_of(answer), "insufficient_available");
    }
    // What finds everything as it should be writes nothing either.
    network.done(crate::fixture::become_client(Alpha)).await;
    network.done(network.put_enterprise(Alpha)).await;

    assert_eq!((books.commits().await, books.rows().await), before);
    assert_eq!(books.number(head).await, head_before);
}

async fn a_repetition_under_a_race_acts_once(database: TestDatabase) {
    let network = Network::ready(database).await;
    let link = Link(Alpha, Exchange);
    network.done(network.deposit(Alpha, &btc(), 1_000)).await;
    let request = network.allocate(link, 10);
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let (store, again) = (network.store.clone(), network.again(&request));
            tokio::spawn(async move { store.submit(again).await })
        })
        .collect();
    let mut placed = Vec::new();
    for task in tasks {
        placed.push(task.await.expect("no panic").expect("an answer"));
    }
    assert_eq!(placed.iter().filter(|placed| placed.fresh).count(), 1);
    let records: BTreeSet<_> = placed.iter().map(|placed| placed.allocation.id).collect();
    assert_eq!(records.len(), 1);
    let reserved = network
        .store
        .reserved_allocations(ALL)
        .await
        .expect("a list");
    assert_eq!(reserved, [placed[0].allocation.clone()]);
    let balance = network.balance(&Alpha.go(&btc())).await;
    assert_eq!(
        balance,
        Balance {
            available: 990,
            held: 10
        }
    );

    // The same name with other content is refused, now and whenever it comes.
    let mut other = network.again(&request);
    other.amount = amount(11);
    assert_eq!(network.refused(other).await, "external_id_taken");
    network.is_sound().await;
}

async fn no_more_is_reserved_than_there_is(database: TestDatabase) {
    let network = Network::ready(database).await;
    network.done(network.deposit(Alpha, &btc(), 320)).await;
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let store = network.store.clone();
            let request = network.allocate(Link(Alpha, Exchange), 10);
            tokio::spawn(async move { (request.id, store.submit(request).await) })
        })
        .collect();
    let mut reserved = 0;
    for task in tasks {
        let (id, answer) = task.await.expect("no panic");
        let record = answer.expect("a record").allocation;
        assert_eq!(record.id, id);
        match record.state {
            AllocationState::Reserved { .. } => reserved += 1,
            AllocationState::Released { reason } => {
                assert_eq!(reason.name, "insufficient_available")
            }
            AllocationState::Cleared => panic!("nobody has cleared {id}"),
        }
    }
    assert_eq!(reserved, 32);
    let balance = network.balance(&Alpha.go(&btc())).await;
    assert_eq!(
        balance,
        Balance {
            available: 0,
            held: 320
        }
    );
    let report = network.verify().await;
    assert_eq!((report.faults, report.open_holds), (vec![], 32));
}

async fn a_command_that_panics_harms_nobody(database: TestDatabase) {
    let network = Network::ready(database).await;
    let books = Books::of(&network.database).await;
    books.lock().await;
    let before = queued([network.store.submit(network.deposit(Alpha, &btc(), 1))]).await;
    let deposit = network.deposit(Alpha, &btc(), 100);
    let panicking = scripted(Command::keys(&deposit), move |draft: &mut Draft<'_>| {
        Command::decide(&deposit, draft, crate::fixture::START)?;
        panic!("a defect, as this test wants it");
        #[expect(unreachable_code, reason = "says what the outcome would be")]
        Ok(())
    });
    let panicking = queued([network.store.submit(panicking)]).await;
    let after = queued([network.store.submit(network.deposit(Alpha, &btc(), 2))]).await;
    books.unlock().await;

    let (before, (panicking, after)) =
        join(join_all(before), join(join_all(panicking), join_all(after))).await;
    assert!(
        matches!(panicking[..], [Err(SubmitError::Internal)]),
        "{panicking:?}"
    );
    assert!(before.iter().chain(&after).all(Result::is_ok));
    assert_eq!(network.balance(&Alpha.go(&btc())).await.available, 3);
    assert!(network.store.is_writing());
    network.is_sound().await;
}

async fn a_command_that_reads_what_it_did_not_declare_harms_nobody(database: TestDatabase) {
    let network = Network::ready(database).await;
    let sneaking = scripted(Keys::default(), |draft: &mut Draft<'_>| {
        Ok(draft.find::<Enterprise>(&Alpha.enterprise()).cloned())
    });
    let answer = network.store.submit(sneaking).await;
    assert!(matches!(answer, Err(SubmitError::Internal)), "{answer:?}");
    network.done(network.deposit(Alpha, &btc(), 1)).await;
}

/// A command that panics while it tells what it reads. To decide it would do no harm, so it has
/// to be left out for the panic alone.
#[derive(Clone, Copy)]
enum Mute {
    AtOnce,
    Later,
}

impl Command for Mute {
    type Outcome = ();

    fn keys(&self) -> Keys {
        match self {
            Mute::AtOnce => panic!("a defect, as this test wants it"),
            Mute::Later => Keys::default(),
        }
    }

    fn more_keys(&self, _: &View) -> Keys {
        panic!("a defect, as this test wants it")
    }

    fn decide(&self, _: &mut Draft<'_>, _: Timestamp) -> Result<(), Refusal> {
        Ok(())
    }
}

async fn a_command_that_panics_over_its_keys_harms_nobody(database: TestDatabase) {
    let network = Network::ready(database).await;
    let books = Books::of(&network.database).await;
    for mute in [Mute::AtOnce, Mute::Later] {
        let commits = books.commits().await;
        books.lock().await;
        let before = queued([network.store.submit(network.deposit(Alpha, &btc(), 1))]).await;
        let muted = queued([network.store.submit(mute)]).await;
        let after = queued([network.store.submit(network.deposit(Alpha, &btc(), 2))]).await;
        books.unlock().await;
        let (before, (muted, after)) =
            join(join_all(before), join(join_all(muted), join_all(after))).await;
        assert!(
            matches!(muted[..], [Err(SubmitError::Internal)]),
            "{muted:?}"
        );
        assert!(before.iter().chain(&after).all(Result::is_ok));
        // Nobody had to be done alone.
        assert!(books.commits().await - commits <= 2);

        // Alone it leaves a batch of nobody.
        let answer = network.store.submit(mute).await;
        assert!(matches!(answer, Err(SubmitError::Internal)), "{answer:?}");
    }
    assert_eq!(network.balance(&Alpha.go(&btc())).await.available, 6);
    assert!(network.store.is_writing());
    network.is_sound().await;
}

async fn text_that_one_database_does_not_take_harms_no_neighbour(database: TestDatabase) {
    let takes_all = matches!(Books::of(&database).await, Books::Sqlite(_));
    let network = Network::ready(database).await;
    network.done(network.deposit(Alpha, &btc(), 100)).await;
    let books = Books::of(&network.database).await;
    let mut request = network.allocate(Link(Alpha, Exchange), 1);
    request.notes = Some("before\0after".to_owned());
    // However the queue is cut into batches, one of its two neighbours shares the batch with it.
    books.lock().await;
    let before = queued([network.store.submit(network.deposit(Alpha, &btc(), 100))]).await;
    let bad = queued([network.store.submit(request)]).await;
    let after = queued([network.store.submit(network.withdraw(Alpha, &btc(), 200))]).await;
    let poor = queued([network.store.submit(network.withdraw(Beta, &btc(), 1))]).await;
    books.unlock().await;
    let (before, bad) = join(join_all(before), join_all(bad)).await;
    let (after, poor) = join(join_all(after), join_all(poor)).await;
    assert!(before[0].is_ok(), "{before:?}");
    match &bad[0] {
        Ok(_) => assert!(takes_all),
        Err(error) => assert!(matches!(error, SubmitError::Internal), "{error:?}"),
    }
    // Everybody comes in the same order as before.
    match &after[0] {
        Ok(_) => assert!(!takes_all),
        Err(SubmitError::Refused(_)) => assert!(takes_all),
        Err(error) => panic!("{error:?}"),
    }
    for answer in poor {
        assert_eq!(refusal_of(answer), "insufficient_available");
    }
    network.is_sound().await;
}

async fn a_key_that_is_taken_for_good_harms_no_neighbour(database: TestDatabase) {
    let network = Network::ready(database).await;
    let books = Books::of(&network.database).await;
    let evidence = network.signed(Alpha).request;
    let keep = || {
        let evidence = evidence.clone();
        // It does not look whether its evidence is there already.
        scripted(Keys::default(), move |draft: &mut Draft<'_>| {
            draft.put(evidence.clone());
            Ok(())
        })
    };
    network.done(keep()).await;
    books.lock().await;
    let before = queued([network.store.submit(network.deposit(Alpha, &btc(), 1))]).await;
    let bad = queued([network.store.submit(keep())]).await;
    let after = queued([network.store.submit(network.deposit(Alpha, &btc(), 2))]).await;
    books.unlock().await;
    let (before, (bad, after)) = join(join_all(before), join(join_all(bad), join_all(after))).await;
    assert!(
        matches!(bad[..], [Err(SubmitError::Unavailable)]),
        "{bad:?}"
    );
    assert!(before.iter().chain(&after).all(Result::is_ok));
    assert_eq!(network.balance(&Alpha.go(&btc())).await.available, 3);
    network.is_sound().await;
}

async fn a_chain_of_events_fits_into_one_batch(database: TestDatabase) {
    let network = Network::ready(database).await;
    let books = Books::of(&network.database).await;
    let link = Link(Alpha, Exchange);
    books.lock().await;
    let deposit = queued([network.store.submit(network.deposit(Alpha, &btc(), 50))]).await;
    let request = network.allocate(link, 50);
    let clear = network.clear(request.id);
    let reserve = queued([network.store.submit(request)]).await;
    let clear = queued([network.store.submit(clear)]).await;
    books.unlock().await;

    let (deposit, (reserve, clear)) =
        join(join_all(deposit), join(join_all(reserve), join_all(clear))).await;
    assert!(deposit[0].is_ok());
    assert!(
        reserve[0]
            .as_ref()
            .is_ok_and(|placed| placed.allocation.is_reserved())
    );
    let cleared = &clear[0].as_ref().expect("an answer").allocation;
    assert_eq!(cleared.state, AllocationState::Cleared);
    assert_eq!(network.balance(&link.net(&btc())).await.available, 50);
    network.is_sound().await;
}

async fn a_batch_is_larger_than_the_queue_takes_at_once(database: TestDatabase) {
    let network = Network::ready(database).await;
    let books = Books::of(&network.database).await;
    books.lock().await;
    // One batch is taken from the queue of 8192, so at most 1024 more find a place.
    let mut waiting = Vec::new();
    let mut turned_away = 0;
    for _ in 0..8_192 + 1_024 + 100 {
        let mut submit = Box::pin(network.store.submit(network.deposit(Alpha, &btc(), 1)));
        match futures_util::poll!(&mut submit) {
            std::task::Poll::Pending => waiting.push(submit),
            std::task::Poll::Ready(Err(SubmitError::Overloaded)) => turned_away += 1,
            std::task::Poll::Ready(answer) => panic!("{answer:?}"),
        }
    }
    books.unlock().await;
    assert!(turned_away >= 100, "{turned_away}");
    let accepted = i128::try_from(waiting.len()).expect("a number");
    for answer in join_all(waiting).await {
        answer.expect("a deposit");
    }
    assert_eq!(network.balance(&Alpha.go(&btc())).await.available, accepted);
    network.is_sound().await;
}

async fn a_command_reads_and_writes_tens_of_thousands_of_records(database: TestDatabase) {
    const CLAIMS: u64 = 20_000;
    let network = Network::ready(database).await;
    let key = |number: u64| ClaimKey::new("many", ClaimKind::Nonce, &number.to_string());
    // Every second name is taken; whoever asks for all has to hear of each what is true.
    let taken = |number: &u64| number.is_multiple_of(2);
    let put = move |draft: &mut Draft<'_>| {
        for number in (0..CLAIMS).filter(taken) {
            draft.put(Claim {
                key: key(number),
                subject: identifier(94, number),
                digest: None,
            });
        }
        Ok(())
    };
    network.done(scripted(Keys::default(), put)).await;
    let keys = Keys {
        claims: (0..CLAIMS).map(key).collect(),
        ..Keys::default()
    };
    let look = move |draft: &mut Draft<'_>| {
        let found = (0..CLAIMS).map(|number| Ok(draft.find::<Claim>(&key(number)).cloned()));
        found.collect::<Result<Vec<_>, Refusal>>()
    };
    let found = network.done(scripted(keys, look)).await;
    for (number, claim) in (0..).zip(found) {
        let subject = claim.map(|claim| claim.subject);
        assert_eq!(
            subject,
            taken(&number).then(|| identifier(94, number)),
            "{number}"
        );
    }
}
