//! A SQLite file that was damaged where nobody wrote to it: bits that flipped, sectors that were
//! lost, a file or a log that was cut. A verification finds it and says so as a fault, whatever
//! SQLite itself makes of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use store::{
    Extent, Location, Opening, Report, Store, StoreError, check,
    sql::{Row, open_reader},
};
use testkit::TestDatabase;

use crate::fixture::{Alpha, Exchange, Link, Network, btc, location};

const LINK: Link = Link(Alpha, Exchange);

/// What a verification vouches for: everything that the chain and the holds say.
const VOUCHED_FOR: [&str; 7] = [
    "SELECT lane, sequence, hash, time_us, last_entry FROM chain_heads",
    "SELECT * FROM chain ORDER BY sequence",
    "SELECT * FROM journal ORDER BY number",
    "SELECT entry, currency, amount, from_kind, from_owner, from_bucket, to_kind, to_owner, to_bucket FROM postings ORDER BY entry, position",
    "SELECT * FROM balances ORDER BY owner_kind, owner, currency",
    "SELECT * FROM signed_requests ORDER BY id",
    "SELECT * FROM holds WHERE is_open ORDER BY id",
];

fn path_of(database: &TestDatabase) -> PathBuf {
    database.url.strip_prefix("sqlite:").expect("a file").into()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Money on its way, in as many commits.
async fn work(network: &Network, rounds: usize) {
    network
        .done(network.deposit(Alpha, &btc(), 1_000_000))
        .await;
    for _ in 0..rounds {
        let cleared = network.allocate(LINK, 30);
        network.done(cleared.clone()).await;
        network.done(network.clear(cleared.id)).await;
        network.done(network.allocate(LINK, 20)).await;
    }
}

/// A database that nobody has open, all of it in one file.
async fn closed() -> TestDatabase {
    let network = Network::ready(testkit::sqlite::fresh_file()).await;
    work(&network, 30).await;
    let Network {
        store, database, ..
    } = network;
    store.close().await;
    database
}

/// What is vouched for, as far as it can be read.
async fn contents(location: &Location) -> Option<Vec<Vec<Row>>> {
    let reader = open_reader(location, 1).await.ok()?;
    let mut all = Vec::new();
    for sql in VOUCHED_FOR {
        all.push(reader.query(sql, Vec::new()).await.ok()?);
    }
    Some(all)
}

/// Verifies; a database that is taken for none of ours is as good as found.
async fn verified(location: &Location) -> Option<Report> {
    match store::verify(location).await {
        Ok(report) => Some(report),
        Err(StoreError::Refused(_)) => None,
        Err(error) => panic!("{error:?}"),
    }
}

/// Numbers that are spread evenly and look random.
fn spread(count: u64, below: usize) -> impl Iterator<Item = usize> {
    let below = below as u128;
    (0..count).map(move |number| {
        let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from((u128::from(mixed) * below) >> 64).expect("small")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn flipped_bits_and_lost_sectors_are_found() {
    let database = closed().await;
    let whole = fs::read(path_of(&database)).expect("the file");
    let before = contents(&location(&database.url)).await.expect("contents");
    assert!(
        verified(&location(&database.url))
            .await
            .expect("a report")
            .is_sound()
    );

    let damaged = testkit::sqlite::fresh_file();
    let (path, place) = (path_of(&damaged), location(&damaged.url));
    let mut found = 0;
    let flips = spread(140, whole.len()).enumerate().map(|(number, at)| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (number % 8);
        (format!("bit {} of byte {at}", number % 8), bytes)
    });
    let sectors = spread(40, whole.len() / 512).map(|sector| {
        let mut bytes = whole.clone();
        bytes[sector * 512..(sector + 1) * 512].fill(0);
        (format!("sector {sector}"), bytes)
    });
    for (what, bytes) in flips.chain(sectors) {
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(beside(&path, suffix));
        }
        fs::write(&path, bytes).expect("the file");
        let same = contents(&place).await.is_some_and(|after| after == before);
        let report = verified(&place).await;
        let sound = report.as_ref().is_some_and(Report::is_sound);
        // What is not vouched for may be damaged unseen; free space is no loss.
        assert!(same || !sound, "{what} is damaged, and nobody says so");
        found += usize::from(!sound);
    }
    assert!(found > 40, "only {found} were found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_or_is_none_is_found_to_be_damaged() {
    let database = closed().await;
    let whole = fs::read(path_of(&database)).expect("the file");
    let damaged = testkit::sqlite::fresh_file();
    let (path, place) = (path_of(&damaged), location(&damaged.url));
    let half = whole.len() / 2;
    let mut headless = whole.clone();
    headless[..100].fill(0);
    for bytes in [&whole[..half], &whole[..whole.len() - 4096], &headless[..]] {
        for extent in [Extent::Full, Extent::Recent] {
            fs::write(&path, bytes).expect("the file");
            let report = check(&place, extent).await.expect("a report");
            assert!(!report.is_sound(), "{extent:?} of {} bytes", bytes.len());
            let _ = fs::remove_file(beside(&path, "-wal"));
            let _ = fs::remove_file(beside(&path, "-shm"));
        }
    }
}

/// A database as a process leaves it that is killed: the last commits are in the log.
async fn killed() -> (TestDatabase, Vec<u8>, i64) {
    let network = Network::ready(testkit::sqlite::fresh_file()).await;
    // The log begins anew, so that all of it is of now.
    let begin = "PRAGMA wal_checkpoint(TRUNCATE)";
    network.database.execute(begin).await;
    work(&network, 8).await;
    let path = path_of(&network.database);
    let left = testkit::sqlite::fresh_file();
    fs::copy(&path, path_of(&left)).expect("the file");
    let log = fs::read(beside(&path, "-wal")).expect("the log");
    let commits = network.verify().await.commits;
    (left, log, commits)
}

async fn opened(place: &Location, trusting: bool) -> Result<(), StoreError> {
    let opening = Opening {
        create: false,
        trusting,
        ..Opening::default()
    };
    let clock = crate::fixture::ManualClock::at(crate::fixture::START);
    Store::open(place, opening, clock.handle())
        .await?
        .close()
        .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_damaged_in_the_middle_is_not_taken_for_one_that_was_being_written() {
    const FRAME: usize = 4096 + 24;
    let (database, log, commits) = killed().await;
    let (path, place) = (path_of(&database), location(&database.url));
    let frames = (log.len() - 32) / FRAME;
    assert!(frames > 60, "{frames}");
    let image = fs::read(&path).expect("the file");
    let leave = |log: &[u8]| {
        let _ = fs::remove_file(beside(&path, "-shm"));
        fs::write(&path, &image).expect("the file");
        fs::write(beside(&path, "-wal"), log).expect("the log");
    };
    // As it was left: all is there.
    leave(&log);
    let report = verified(&place).await.expect("a report");
    assert_eq!(
        (report.faults.as_slice(), report.commits),
        (&[][..], commits)
    );
    opened(&place, false).await.expect("the store opens");

    let middle = 32 + frames / 2 * FRAME;
    // In the head of the log, its salts among it, and in the head and the page of a frame.
    for at in [
        2,
        17,
        middle + 3,
        middle + 9,
        middle + 17,
        middle + 24,
        middle + 2_000,
    ] {
        let mut bytes = log.clone();
        bytes[at] ^= 0x10;
        leave(&bytes);
        let report = verified(&place).await.expect("a report");
        let told = report
            .faults
            .iter()
            .any(|fault| fault.contains("write-ahead log is damaged"));
        assert!(told, "byte {at}: {:?}", report.faults);
        leave(&bytes);
        let refused = opened(&place, false).await;
        assert!(
            matches!(refused, Err(StoreError::Corrupt(_))),
            "byte {at}: {refused:?}"
        );
        assert_eq!(fs::read(beside(&path, "-wal")).expect("the log"), bytes);
    }
    // Whoever insists gets what stands before the damage.
    let mut bytes = log.clone();
    bytes[middle + 100] ^= 0x10;
    leave(&bytes);
    opened(&place, true).await.expect("the store opens");
    let report = verified(&place).await.expect("a report");
    assert!(report.is_sound() && report.commits < commits, "{report:?}");

    // A log that ends early is what a power failure leaves: nothing stands behind the gap.
    for end in [
        0,
        16,
        32,
        32 + FRAME / 2,
        middle,
        middle + 700,
        log.len() - 1,
    ] {
        leave(&log[..end]);
        let report = verified(&place).await;
        let sound = report.is_none_or(|report| report.is_sound() && report.commits < commits);
        assert!(sound, "{end}");
    }
}

/// The recent check, too, finds what was altered in the last commits, and breaks of the laws
/// wherever they are.
async fn the_recent_check_finds_what_is_recent(database: TestDatabase) {
    let network = Network::ready(database).await;
    work(&network, 3).await;
    let place = location(&network.database.url);
    let recent = async || check(&place, Extent::Recent).await.expect("a report");
    let sound = recent().await;
    assert_eq!(sound.faults, [""; 0]);
    assert_eq!(sound.commits, network.verify().await.commits);
    let alter = async |sql: &str| {
        network.database.execute(sql).await;
        recent().await.faults
    };
    let faults = alter("UPDATE balances SET entry = entry - 1 WHERE owner_kind = 1").await;
    let told = ", but is stored as moved last by entry";
    assert!(faults[0].contains(told), "{faults:?}");
    let faults = alter("UPDATE balances SET entry = entry + 1 WHERE owner_kind = 1").await;
    assert_eq!(faults, [""; 0]);
    let faults = alter("UPDATE balances SET held = available WHERE owner_kind = 2").await;
    assert!(faults.len() >= 2, "{faults:?}");
    let faults = alter("UPDATE journal SET cause = 'other' WHERE number = 2").await;
    assert!(
        faults.iter().any(|f| f.contains("was changed")),
        "{faults:?}"
    );
}

on_both! {
    the_recent_check_finds_what_is_recent
}
