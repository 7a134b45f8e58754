//! Faults of the world around the server, with the server as the process that it is: it is killed
//! (`kill -9`), its database fails over, several of it share one database. The scenarios are those
//! of the `faults` crate, which runs them longer as commands; here are short forms.

mod disk;
mod every_step;

use std::time::Duration;

use faults::{crash, failover, several};
use testkit::TestDatabase;

const TIDELOCK: &str = env!("CARGO_BIN_EXE_tidelock");

async fn dies_ten_times(database: TestDatabase) {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = crash::Settings {
        program: TIDELOCK.into(),
        database: database.url.clone(),
        kills: 10,
        log: folder.path().join("log"),
    };
    let report = crash::run(&settings, |_| {}).await;
    let report = report.unwrap_or_else(|error| panic!("{error:#}"));
    println!("{report}");
    assert_eq!(report.deaths.values().sum::<u32>(), 10);
    assert!(report.operations > 100, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_nothing_acknowledged_is_lost() {
    dies_ten_times(testkit::sqlite::fresh_file()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_nothing_acknowledged_is_lost() {
    dies_ten_times(testkit::postgres::fresh_database().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_the_place_of_its_primary() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = failover::Settings {
        program: TIDELOCK.into(),
        load: Duration::from_millis(500),
        flush: false,
        log: folder.path().join("log"),
    };
    let report = failover::run(&settings).await;
    let report = report.unwrap_or_else(|error| panic!("{error:#}"));
    println!("{report}");
    assert!(report.without_service < Duration::from_secs(30), "{report}");
}

async fn share_one_database(servers: usize, kill: bool) {
    let database = testkit::postgres::fresh_database().await;
    let folder = tempfile::tempdir().expect("a folder");
    let settings = several::Settings {
        program: TIDELOCK.into(),
        database: database.url.clone(),
        servers,
        workers: 2,
        load: Duration::from_secs(2),
        kill,
        log: folder.path().join("log"),
    };
    let report = several::run(&settings).await;
    let report = report.unwrap_or_else(|error| panic!("{error:#}"));
    println!("{report}");
    assert_eq!(report.doubled, 0, "{report}");
    assert!(report.messages > 20, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_share_one_database() {
    share_one_database(2, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_servers_share_one_database() {
    share_one_database(4, false).await;
}
