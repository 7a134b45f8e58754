//! A SQLite database for each test: a file in a temporary folder.

use std::time::Duration;

use crate::{Kind, TestDatabase};

/// A path where no file is yet, in a folder of its own.
///
/// # Panics
///
/// When the folder cannot be made.
pub fn fresh_file() -> TestDatabase {
    let folder = tempfile::tempdir().expect("a temporary folder");
    TestDatabase {
        url: format!("sqlite:{}", folder.path().join("tidelock.db").display()),
        kind: Kind::Sqlite(folder),
    }
}

/// Runs statements on a connection of their own, which waits until it may write.
pub(crate) fn execute(path: &str, sql: &str) {
    let run = || {
        let connection = rusqlite::Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch(sql)
    };
    run().unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}
