//! A SQLite database for each test: a file in a temporary folder.

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
