//! Keeping a database: backups taken beside a server at work and restored, and what happens on one
//! that is damaged.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use client::Client;
use ledger::Timestamp;
use serde_json::json;
use store::{Location, Opening, Page, Store};
use tokio::task::JoinHandle;

use crate::installation::{Installation, Server, tidelock};

const ACCOUNT: &str = "c1000000000000000000000000000009";

/// Deposits that are booked one after the other by a few operators at once.
struct Deposits {
    acknowledged: Arc<Mutex<Vec<String>>>,
    stopping: Arc<AtomicBool>,
    operators: Vec<JoinHandle<()>>,
}

impl Deposits {
    async fn start(server: &Server) -> Deposits {
        let operator = || Client::operator(&server.url, server.token()).expect("an operator");
        let put = async |path: &str, body: serde_json::Value| {
            operator()
                .put(&format!("/{path}"), &body)
                .await
                .expect(path);
        };
        let currency = json!({"backing": "btc", "decimals": 8, "custodySource": "vault"});
        put("currencies/ofcbtc", currency).await;
        let content = json!({"name": "Northwind", "trustOrg": "Meridian", "licensed": true});
        put("enterprises/northwind", content).await;
        let path = format!("enterprises/northwind/goAccounts/{ACCOUNT}");
        put(&path, json!({"label": "trading"})).await;
        let number = Arc::new(AtomicUsize::new(0));
        let mut deposits = Deposits {
            acknowledged: Arc::default(),
            stopping: Arc::default(),
            operators: Vec::new(),
        };
        for _ in 0..3 {
            let (operator, number) = (operator(), Arc::clone(&number));
            let acknowledged = Arc::clone(&deposits.acknowledged);
            let stopping = Arc::clone(&deposits.stopping);
            deposits.operators.push(tokio::spawn(async move {
                while !stopping.load(Ordering::Relaxed) {
                    let reference = format!("d-{}", number.fetch_add(1, Ordering::Relaxed));
                    let content = json!({
                        "goAccountId": ACCOUNT,
                        "currency": "ofcbtc",
                        "amount": "5",
                        "externalReference": reference,
                    });
                    operator.post("/deposits", &content).await.expect("it");
                    acknowledged.lock().expect("no panic").push(reference);
                }
            }));
        }
        deposits
    }

    fn acknowledged(&self) -> Vec<String> {
        self.acknowledged.lock().expect("no panic").clone()
    }

    async fn reach(&self, count: usize) {
        while self.acknowledged().len() < count {
            tokio::task::yield_now().await;
        }
    }

    async fn stop(self) -> Vec<String> {
        self.stopping.store(true, Ordering::Relaxed);
        for operator in self.operators {
            operator.await.expect("no panic");
        }
        std::mem::take(&mut self.acknowledged.lock().expect("no panic"))
    }
}

/// What was deposited, by the books of a file.
async fn references(database: &Path) -> Vec<String> {
    let location = Location::Sqlite(database.to_owned());
    let clock: store::Clock = Arc::new(|| Timestamp(0));
    let store = Store::open(&location, Opening::default(), clock).await;
    let store = store.expect("the store opens");
    let all = Page {
        number: 0,
        size: 1_000_000,
    };
    let deposits = store.deposits(None, all).await.expect("a list");
    store.close().await;
    deposits.into_iter().map(|d| d.external_reference).collect()
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("text")
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_taken_under_load_is_restored_with_all_that_was_acknowledged_before() {
    let installation = Installation::make().await;
    let server = installation.serve().await;
    let deposits = Deposits::start(&server).await;
    deposits.reach(40).await;

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("backup.db");
    let to = file.to_str().expect("a path");
    let before = deposits.acknowledged();
    let made = installation.run(&["backup", "--to", to]).await;
    assert_eq!(made.code, 0, "{made}");
    assert!(made.output.contains("the books agree"), "{made}");
    assert!(made.output.contains("Not in it: the master key"), "{made}");
    assert_eq!(names_in(folder.path()), ["backup.db"]);
    // It went on meanwhile, and goes on.
    deposits.reach(deposits.acknowledged().len() + 20).await;
    let again = installation.run(&["backup", "--to", to]).await;
    assert_eq!(again.code, 1, "{again}");
    assert!(again.error.contains("exists already"), "{again}");
    let all = deposits.stop().await;
    server.stop().await;

    // Into a new installation.
    let new = tempfile::tempdir().expect("a folder");
    let data = new.path().join("data");
    let restore = |from: &str| {
        let words = [
            "restore",
            "--from",
            from,
            "--data",
            data.to_str().expect("a path"),
        ];
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        async move {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            tidelock(&words, &[]).await
        }
    };
    let restored = restore(to).await;
    assert_eq!(restored.code, 0, "{restored}");
    assert!(restored.output.contains("the books agree"), "{restored}");
    assert!(
        restored.output.contains("needs its master key"),
        "{restored}"
    );
    assert_eq!(names_in(&data), ["tidelock.db"]);
    let there = references(&data.join("tidelock.db")).await;
    for reference in &before {
        assert!(
            there.contains(reference),
            "{reference} was acknowledged before"
        );
    }
    assert!(there.iter().all(|reference| all.contains(reference)));
    let again = restore(to).await;
    assert_eq!(again.code, 1, "{again}");
    assert!(again.error.contains("nothing is overwritten"), "{again}");

    // Not where the rest of another database lies, and not from something that is not sound.
    fs::rename(data.join("tidelock.db"), data.join("tidelock.db-wal")).expect("a file");
    assert_eq!(restore(to).await.code, 1);
    fs::remove_dir_all(&data).expect("the folder");
    let mut bytes = fs::read(&file).expect("the backup");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8_192].fill(0);
    let broken = folder.path().join("broken.db");
    fs::write(&broken, bytes).expect("a file");
    let refused = restore(broken.to_str().expect("a path")).await;
    assert_eq!(refused.code, 2, "{refused}");
    assert!(refused.output.contains("FAULT"), "{refused}");
    assert_eq!(names_in(&data), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_does_not_start_on_a_damaged_database_unless_it_is_told_to() {
    let installation = Installation::make().await;
    let server = installation.serve().await;
    let deposits = Deposits::start(&server).await;
    deposits.reach(5).await;
    deposits.stop().await;
    server.stop().await;
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    let path = installation
        .database
        .url
        .strip_prefix("sqlite:")
        .expect("a file")
        .to_owned();
    // All of it in one file: most was in the log.
    let empty_the_log = "PRAGMA wal_checkpoint(TRUNCATE)";
    installation.database.execute(empty_the_log).await;
    let whole = fs::read(&path).expect("the database");

    // An amount that somebody has changed: SQLite has nothing to say against it.
    installation
        .database
        .execute("UPDATE postings SET amount = x'80000000000000000000000000000006' WHERE entry = 3")
        .await;
    let verified = installation.run(&["verify"]).await;
    assert_eq!(verified.code, 2, "{verified}");
    for check in [&[][..], &["--check", "recent"], &["--check", "full"]] {
        let refused = installation.run(&[&serve, check].concat()).await;
        assert_eq!(refused.code, 2, "{refused}");
        assert!(refused.error.contains("does not start"), "{refused}");
        assert!(!refused.output.contains("listening"), "{refused}");
    }
    let server = installation.serve_with(&["--check", "off"]).await;
    let log = server.stop().await;
    assert!(log.contains("the books are not checked"), "{log}");

    // What SQLite cannot read is a fault of the database, not of the command.
    for (from, to) in [(0, 100), (whole.len() / 2, whole.len())] {
        let mut bytes = whole.clone();
        bytes[from..to].fill(0);
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{path}{suffix}"));
        }
        fs::write(&path, bytes).expect("the database");
        let verified = installation.run(&["verify"]).await;
        assert_eq!(verified.code, 2, "{verified}");
        assert!(verified.output.contains("FAULT"), "{verified}");
        let refused = installation.run(&serve).await;
        assert_eq!(refused.code, 2, "{refused}");
    }
    fs::write(&path, &whole).expect("the database");
    for check in ["recent", "full"] {
        installation
            .serve_with(&["--check", check])
            .await
            .stop()
            .await;
    }
}

/// Figures are told on an address of their own, if one is given.
#[tokio::test(flavor = "multi_thread")]
async fn figures_are_served_where_the_operator_says() {
    let installation = Installation::make().await;
    let mut server = installation
        .serve_with(&["--metrics-listen", "127.0.0.1:0"])
        .await;
    let told = server.next_line().await;
    let url = told.strip_prefix("metrics on ").expect("where");
    let text = reqwest::get(url)
        .await
        .expect("figures")
        .text()
        .await
        .expect("text");
    assert!(text.contains("tidelock_chain_sequence"), "{text}");
    server.stop().await;
}
