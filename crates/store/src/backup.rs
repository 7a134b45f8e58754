//! Copies of a whole database, taken beside whoever writes.

use std::path::PathBuf;

use crate::{Location, StoreError, sql::open_reader};

/// Writes a copy of a SQLite database, as it is at one moment, into an empty file, while others
/// write. All that was committed before is in it. It is neither flushed nor verified here.
///
/// # Errors
///
/// [`StoreError::Refused`] when the database is on PostgreSQL, missing or of another version;
/// else any [`StoreError`].
pub async fn copy(location: &Location, target: PathBuf) -> Result<(), StoreError> {
    open_reader(location, 1).await?.copy_into(target).await
}
