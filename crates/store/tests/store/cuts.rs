//! The way to PostgreSQL is cut, or swallows what is sent, at every message of a commit.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use store::{Opening, Store};
use testkit::postgres::fresh_database;
use testkit::postgres::proxy::{Fate, Message, Proxy, Sender};

use crate::books::Books;
use crate::chain::has_no_gaps;
use crate::fixture::{Alpha, Network, btc, location, open};

/// Books a deposit by way of `store`, and asks for it again: it is there, once.
async fn books(network: &Network, store: &Store, units: i128, what: &str) {
    let deposit = network.deposit(Alpha, &btc(), units);
    let booked = store.submit(deposit.clone()).await.expect(what);
    assert_eq!(
        (booked.id, booked.amount),
        (deposit.id, deposit.amount),
        "{what}"
    );
    let again = network.store.submit(deposit).await.expect(what);
    assert_eq!(again.id, booked.id, "{what}");
}

/// What a message is, for people.
fn name(message: &Message<'_>) -> String {
    let kind = char::from(message.kind);
    let sql = message.sql.unwrap_or_default().trim();
    let verb = sql.split_whitespace().next().unwrap_or_default();
    format!("{:?} {kind} {verb}", message.sender)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_at_any_message_of_a_commit_is_answered_rightly() {
    let network = Network::ready(fresh_database().await).await;
    let proxy = Proxy::start(&network.database.url).await;
    let store = open(&proxy.url, &network.clock).await;
    books(&network, &store, 1, "everything is prepared").await;
    let count = Arc::new(AtomicUsize::new(0));
    proxy.watch({
        let count = Arc::clone(&count);
        move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Fate::Arrives
        }
    });
    books(&network, &store, 1, "one commit").await;
    let messages = count.load(Ordering::SeqCst);

    let cuts = Arc::new(Mutex::new(BTreeSet::new()));
    let mut booked = 2;
    for fate in [Fate::Cut, Fate::ArrivesThenCut] {
        for place in 0..messages {
            let number = AtomicUsize::new(0);
            proxy.watch({
                let cuts = Arc::clone(&cuts);
                move |message| {
                    if number.fetch_add(1, Ordering::SeqCst) != place {
                        return Fate::Arrives;
                    }
                    let mut cuts = cuts.lock().expect("no panic");
                    cuts.insert((name(message), fate == Fate::Cut));
                    fate
                }
            });
            let what = format!("message {place} of {messages}, {fate:?}");
            books(&network, &store, 1, &what).await;
            proxy.let_all_arrive();
            books(&network, &store, 1, "everything is prepared again").await;
            booked += 2;
        }
    }
    let cuts = cuts.lock().expect("no panic").clone();
    for before in [true, false] {
        for name in [
            "Client Q BEGIN",
            "Client E SELECT",
            "Client E INSERT",
            "Client E UPDATE",
            "Client Q COMMIT",
            "Server C ",
            "Server Z ",
        ] {
            let cut = (name.to_owned(), before);
            assert!(cuts.contains(&cut), "{cut:?} was not cut: {cuts:#?}");
        }
    }
    assert_eq!(network.balance(&Alpha.go(&btc())).await.available, booked);
    let books = Books::of(&network.database).await;
    // Those that were lost at their COMMIT were asked for, before it and after it.
    assert!(books.number("SELECT probes FROM chain_heads").await >= 2);
    has_no_gaps(&books).await;
    network.is_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_is_not_waited_for_for_ever() {
    let network = Network::ready(fresh_database().await).await;
    let proxy = Proxy::start(&network.database.url).await;
    let opening = Opening {
        answer_within: Duration::from_millis(600),
        ..Opening::default()
    };
    let opened = Store::open(&location(&proxy.url), opening, network.clock.handle()).await;
    let store = opened.expect("an open store");
    let mut booked = 0;
    for verb in ["BEGIN", "SELECT", "INSERT", "UPDATE", "COMMIT"] {
        for sender in [Sender::Client, Sender::Server] {
            books(&network, &store, 1, "everything is prepared").await;
            let reached = AtomicUsize::new(0);
            proxy.watch(move |message| {
                let sql = message.sql.unwrap_or_default().trim();
                // From there on nothing passes on this connection; new ones are as they should be.
                let silent = usize::try_from(message.connection).expect("a number");
                match reached.load(Ordering::SeqCst) {
                    0 if sql.starts_with(verb) => {
                        reached.store(silent, Ordering::SeqCst);
                        match sender {
                            Sender::Client => Fate::Vanishes,
                            Sender::Server => Fate::Arrives,
                        }
                    }
                    connection if connection == silent => Fate::Vanishes,
                    _ => Fate::Arrives,
                }
            });
            let began = Instant::now();
            let what = format!("{verb}, {sender:?}");
            books(&network, &store, 1, &what).await;
            let took = began.elapsed();
            let bounds = Duration::from_millis(500)..Duration::from_secs(10);
            assert!(bounds.contains(&took), "{what}: {took:?}");
            proxy.let_all_arrive();
            booked += 2;
        }
    }
    assert_eq!(network.balance(&Alpha.go(&btc())).await.available, booked);
    has_no_gaps(&Books::of(&network.database).await).await;
    network.is_sound().await;
}
