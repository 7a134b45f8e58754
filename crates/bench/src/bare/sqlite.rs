//! SQLite through rusqlite: WAL, synchronous FULL, one prepared statement per row.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, params};

use super::{HUBS, Transfer, timed};

const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE balances (account INTEGER PRIMARY KEY, available BLOB NOT NULL, held BLOB NOT NULL) STRICT;
CREATE TABLE transfers (id BLOB PRIMARY KEY NOT NULL, amount BLOB NOT NULL, created_at INTEGER NOT NULL) STRICT;
CREATE TABLE postings (
    transfer BLOB NOT NULL, position INTEGER NOT NULL, source INTEGER NOT NULL,
    destination INTEGER NOT NULL, amount BLOB NOT NULL, PRIMARY KEY (transfer, position)) STRICT;
";

pub(super) fn write(
    folder: &Path,
    accounts: usize,
    groups: &[&[Transfer]],
) -> anyhow::Result<Duration> {
    let folder = tempfile::tempdir_in(folder)?;
    let mut connection = Connection::open(folder.path().join("bare.db"))?;
    connection.execute_batch(SCHEMA)?;
    let amount = 1_000_000_i128.to_be_bytes();
    let filling = connection.transaction()?;
    {
        let sql = "INSERT INTO balances VALUES (?1, ?2, ?2)";
        let mut balance = filling.prepare(sql)?;
        for account in 0..accounts + HUBS {
            balance.execute(params![i64::try_from(account)?, amount])?;
        }
    }
    filling.commit()?;
    let span = timed(|| -> rusqlite::Result<()> {
        let mut balance = 0_i128;
        for group in groups {
            let transaction = connection.transaction()?;
            let mut transfer =
                transaction.prepare_cached("INSERT INTO transfers VALUES (?1, ?2, 0)")?;
            let mut posting =
                transaction.prepare_cached("INSERT INTO postings VALUES (?1, 0, ?2, ?3, ?4)")?;
            let mut update = transaction
                .prepare_cached("UPDATE balances SET available = ?1 WHERE account = ?2")?;
            for Transfer {
                id,
                source,
                destination,
            } in *group
            {
                balance += 1;
                transfer.execute(params![id.as_bytes(), amount])?;
                posting.execute(params![id.as_bytes(), source, destination, amount])?;
                update.execute(params![balance.to_be_bytes(), source])?;
                update.execute(params![balance.to_be_bytes(), destination])?;
            }
            drop((transfer, posting, update));
            transaction.commit()?;
        }
        Ok(())
    })?;
    Ok(span)
}
