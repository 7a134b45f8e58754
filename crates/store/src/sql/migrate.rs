//! Migrations: the schema, written once for both dialects.
//!
//! A migration is a file of SQL with placeholders for what differs:
//!
//! | placeholder | meaning |
//! |---|---|
//! | `{bool}` `{int}` `{text}` `{bytes}` `{uuid}` `{amount}` | the type of a column |
//! | `{strict}` | what ends a CREATE TABLE |
//! | `{nonneg:column}` | `CHECK (that amount is zero or more)` |
//! | `{zero}` | the amount zero |
//! | `{hex:digits}` | a literal of bytes |
//! | `{sqlite}` … `{end}`, `{postgres}` … `{end}` | only for that dialect |
//!
//! Each is applied once, in order, all of them in one transaction, and recorded
//! in `schema_migrations` with the checksum of its text. A database whose record
//! disagrees with [`MIGRATIONS`] is refused. Processes that start at once take
//! turns by the lock on the record's row 0.

use std::error::Error;

use sha2::{Digest, Sha256};

use super::dialect::Dialect;
use super::driver::Session;
use super::error::{CommitError, StoreError};
use super::value::{Kind, Row};

/// One step of the schema. Once released its text never changes.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its number: from 1, ascending.
    pub version: i64,
    /// What it is about, as in its file's name.
    pub name: &'static str,
    /// SQL with placeholders.
    pub template: &'static str,
}

/// The schema, oldest step first.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "chain",
        template: include_str!("migrations/0001_chain.sql"),
    },
    Migration {
        version: 2,
        name: "records",
        template: include_str!("migrations/0002_records.sql"),
    },
    Migration {
        version: 3,
        name: "outbox_of_partner",
        template: include_str!("migrations/0003_outbox_of_partner.sql"),
    },
    Migration {
        version: 4,
        name: "small_rows",
        template: include_str!("migrations/0004_small_rows.sql"),
    },
    Migration {
        version: 5,
        name: "test_clock",
        template: include_str!("migrations/0005_test_clock.sql"),
    },
    Migration {
        version: 6,
        name: "timers",
        template: include_str!("migrations/0006_timers.sql"),
    },
    Migration {
        version: 7,
        name: "chained_acts",
        template: include_str!("migrations/0007_chained_acts.sql"),
    },
    Migration {
        version: 8,
        name: "staged_settlements",
        template: include_str!("migrations/0008_staged_settlements.sql"),
    },
    Migration {
        version: 9,
        name: "statements_and_events",
        template: include_str!("migrations/0009_statements_and_events.sql"),
    },
    Migration {
        version: 10,
        name: "on_chain",
        template: include_str!("migrations/0010_on_chain.sql"),
    },
    Migration {
        version: 11,
        name: "proposals",
        template: include_str!("migrations/0011_proposals.sql"),
    },
    Migration {
        version: 12,
        name: "suspensions",
        template: include_str!("migrations/0012_suspensions.sql"),
    },
    Migration {
        version: 13,
        name: "lists_in_order",
        template: include_str!("migrations/0013_lists_in_order.sql"),
    },
    Migration {
        version: 14,
        name: "less_beside_the_books",
        template: include_str!("migrations/0014_less_beside_the_books.sql"),
    },
    Migration {
        version: 15,
        name: "transfers_that_hold",
        template: include_str!("migrations/0015_transfers_that_hold.sql"),
    },
];

const RECORD: &str = "
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version {int} PRIMARY KEY NOT NULL,
        name {text} NOT NULL,
        checksum {text} NOT NULL
    ){strict};
    INSERT INTO schema_migrations (version, name, checksum) VALUES (0, 'lock', '')
    ON CONFLICT (version) DO NOTHING";

/// The query of what is applied, for [`pending`].
pub(super) const APPLIED: &str =
    "SELECT version, name, checksum FROM schema_migrations WHERE version > 0 ORDER BY version";

/// Brings the database to the newest version. With `create` an empty database
/// becomes ours; without it that is refused.
pub(super) async fn migrate<S: Session>(
    session: &mut S,
    migrations: &[Migration],
    create: bool,
) -> Result<(), StoreError> {
    if create {
        let record = render(RECORD, S::DIALECT)?;
        // IF NOT EXISTS does not keep two transactions of PostgreSQL from
        // creating the same table at once: the one that waited gets a
        // conflict, and finds the table when it looks again.
        if let Err(StoreError::Conflict { .. }) = session.script(&record).await {
            session.script(&record).await?;
        }
    }
    let lock = format!(
        "SELECT version FROM schema_migrations WHERE version = 0{}",
        S::DIALECT.for_update()
    );
    session
        .start(&lock, &[], &[])
        .await
        .map_err(missing_record)?;
    if let Err(error) = apply(session, migrations).await {
        session.abandon().await;
        return Err(error);
    }
    session.finish().await.map_err(CommitError::into_inner)
}

async fn apply<S: Session>(session: &mut S, migrations: &[Migration]) -> Result<(), StoreError> {
    let applied = session.query(APPLIED, &[]).await?;
    session.script(S::DIALECT.no_time_limit()).await?;
    for migration in pending(applied, migrations)? {
        tracing::info!(
            version = migration.version,
            name = migration.name,
            "migrating the database"
        );
        session
            .script(&render(migration.template, S::DIALECT)?)
            .await?;
        let record = [
            migration.version.into(),
            migration.name.into(),
            checksum(migration.template).into(),
        ];
        session
            .query(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                &record,
            )
            .await?;
    }
    Ok(())
}

/// A database that cannot even be asked what is applied is not one of ours; unless it is one of
/// ours that is damaged, where SQLite fails on more than that a table is missing.
pub(super) fn missing_record(error: StoreError) -> StoreError {
    match error {
        StoreError::Other { source }
            if matches!(
                source.downcast_ref(),
                Some(rusqlite::Error::SqliteFailure(_, told))
                    if told.as_deref().is_none_or(|told| !told.starts_with("no such table"))
            ) =>
        {
            StoreError::Corrupt(source.to_string())
        }
        StoreError::Other { source } => {
            let mut cause: &dyn Error = &*source;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            StoreError::Refused(format!("this is no database of tidelock: {cause}"))
        }
        error => error,
    }
}

/// Which of the migrations are still to apply, given the rows of [`APPLIED`].
///
/// # Errors
///
/// [`StoreError::Refused`] when what is applied is not the beginning of the list.
pub(super) fn pending(
    applied: Vec<Row>,
    migrations: &[Migration],
) -> Result<&[Migration], StoreError> {
    let count = applied.len();
    for (index, mut row) in applied.into_iter().enumerate() {
        let (version, name, recorded) = (row.int(0)?, row.text(1)?, row.text(2)?);
        let Some(migration) = migrations
            .get(index)
            .filter(|migration| migration.version == version)
        else {
            return Err(StoreError::Refused(format!(
                "the database has migration {version} ({name}), which this version of tidelock does not know"
            )));
        };
        if recorded != checksum(migration.template) {
            return Err(StoreError::Refused(format!(
                "migration {version} ({name}) is not the one that was applied to the database"
            )));
        }
    }
    Ok(&migrations[count..])
}

fn checksum(template: &str) -> String {
    Sha256::digest(template)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Fills in the placeholders.
pub(super) fn render(template: &str, dialect: Dialect) -> Result<String, StoreError> {
    let mut sql = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (placeholder, after) = after.split_once('}').ok_or_else(|| {
            StoreError::Refused("a migration has a brace that is not closed".into())
        })?;
        sql.push_str(before);
        let mut skip_unless = None;
        match placeholder.split_once(':').unwrap_or((placeholder, "")) {
            ("bool", "") => sql.push_str(dialect.column_type(Kind::Bool)),
            ("int", "") => sql.push_str(dialect.column_type(Kind::Int)),
            ("text", "") => sql.push_str(dialect.column_type(Kind::Text)),
            ("bytes", "") => sql.push_str(dialect.column_type(Kind::Bytes)),
            ("uuid", "") => sql.push_str(dialect.column_type(Kind::Uuid)),
            ("amount", "") => sql.push_str(dialect.column_type(Kind::Amount)),
            ("zero", "") => sql.push_str(dialect.zero_amount()),
            ("strict", "") => sql.push_str(dialect.strict()),
            ("nonneg", column) => {
                sql.push_str(&format!("CHECK ({column} >= {})", dialect.zero_amount()))
            }
            ("hex", digits) => sql.push_str(&dialect.bytes_literal(digits)),
            ("sqlite", "") => skip_unless = Some(Dialect::Sqlite),
            ("postgres", "") => skip_unless = Some(Dialect::Postgres),
            ("end", "") => {}
            _ => {
                return Err(StoreError::Refused(format!(
                    "a migration has the unknown placeholder {{{placeholder}}}"
                )));
            }
        }
        rest = after;
        if skip_unless.is_some_and(|only| only != dialect) {
            rest = rest.split_once("{end}").map_or("", |(_, after)| after);
        }
    }
    sql.push_str(rest);
    Ok(sql)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_become_words_of_the_dialect() {
        let template = "a {amount} {nonneg:a}, h {bytes} DEFAULT {hex:00ff}){strict}";
        assert_eq!(
            render(template, Dialect::Sqlite).unwrap(),
            "a BLOB CHECK (a >= x'80000000000000000000000000000000'), h BLOB DEFAULT x'00ff') STRICT",
        );
        assert_eq!(
            render(template, Dialect::Postgres).unwrap(),
            "a NUMERIC(39, 0) CHECK (a >= 0), h BYTEA DEFAULT '\\x00ff'::bytea)",
        );
        let template = "a; {sqlite}b {int};{end} {postgres}c;{end} d;";
        assert_eq!(
            render(template, Dialect::Sqlite).unwrap(),
            "a; b INTEGER;  d;"
        );
        assert_eq!(render(template, Dialect::Postgres).unwrap(), "a;  c; d;");
        assert!(render("{blob}", Dialect::Sqlite).is_err());
        assert!(render("{int", Dialect::Sqlite).is_err());
    }

    #[test]
    fn versions_count_from_one() {
        for (migration, version) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(migration.version, version);
        }
    }
}
