//! What tests of several crates need, and nothing that ships.
//!
//! Here live the databases: an empty one for each test, on [SQLite](sqlite) or
//! on [PostgreSQL](postgres), gone when the test ends. This crate knows nothing
//! of the store: a database is handed out as the text of its location.

use std::path::Path;

use tempfile::TempDir;

pub mod postgres;
pub mod sqlite;

/// An empty database of one test. Dropping it removes it.
pub struct TestDatabase {
    /// Where it is, as the configuration of a server has it: `sqlite:path` or
    /// `postgres://…`.
    pub url: String,
    kind: Kind,
}

enum Kind {
    Sqlite(TempDir),
    Postgres(postgres::Name),
    /// Somebody else removes it.
    Elsewhere,
}

impl TestDatabase {
    /// A database on a server of the test's own.
    pub fn elsewhere(url: &str) -> TestDatabase {
        TestDatabase {
            url: url.to_owned(),
            kind: Kind::Elsewhere,
        }
    }

    /// The folder of a SQLite database, for tests that look at its files.
    pub fn folder(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Sqlite(folder) => Some(folder.path()),
            Kind::Postgres(_) | Kind::Elsewhere => None,
        }
    }

    /// Runs statements behind the back of whoever has the database open.
    ///
    /// # Panics
    ///
    /// When the database refuses them.
    pub async fn execute(&self, sql: &str) {
        match self.url.strip_prefix("sqlite:") {
            Some(path) => sqlite::execute(path, sql),
            None => postgres::execute(&self.url, sql).await,
        }
    }
}

/// An empty database of each kind.
///
/// # Panics
///
/// As [`postgres::fresh_database`] does.
pub async fn each_database() -> [TestDatabase; 2] {
    [sqlite::fresh_file(), postgres::fresh_database().await]
}
