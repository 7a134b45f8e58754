//! The file beside the database, for what may be lost. It survives a process that dies; what was
//! written last does not survive a power failure.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{classify, connect, query};
use crate::sql::aside::Statement;
use crate::sql::error::StoreError;
use crate::sql::value::Row;

/// The connection that writes there.
pub(in crate::sql) struct Aside(Mutex<Connection>);

impl Aside {
    /// Opens the file, or makes it; one that is damaged is replaced by an empty one.
    pub(in crate::sql) async fn open(path: PathBuf, schema: String) -> Result<Aside, StoreError> {
        let open = move || match open(&path, &schema) {
            Err(StoreError::Corrupt(why)) => {
                let file = path.display();
                tracing::warn!(%file, why, "a file beside the database is damaged and made anew");
                for suffix in ["", "-wal", "-shm"] {
                    let mut name = OsString::from(&path);
                    name.push(suffix);
                    let _ = std::fs::remove_file(name);
                }
                open(&path, &schema)
            }
            opened => opened,
        };
        tokio::task::spawn_blocking(open)
            .await
            .map_err(StoreError::other)?
    }

    /// Runs statements in one transaction; the rows of the last.
    pub(in crate::sql) async fn run(
        self: Arc<Self>,
        statements: Vec<Statement>,
    ) -> Result<Vec<Row>, StoreError> {
        let run = move || {
            let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
            let transaction = begun.map_err(classify)?;
            let mut last = Vec::new();
            for (sql, params) in &statements {
                last = query(&transaction, sql, params)?;
            }
            transaction.commit().map_err(classify)?;
            Ok(last)
        };
        tokio::task::spawn_blocking(run)
            .await
            .map_err(StoreError::other)?
    }
}

fn open(path: &Path, schema: &str) -> Result<Aside, StoreError> {
    let connection = connect(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
    )?;
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
        .map_err(classify)?;
    connection.execute_batch(schema).map_err(classify)?;
    Ok(Aside(Mutex::new(connection)))
}
