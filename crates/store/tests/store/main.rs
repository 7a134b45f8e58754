//! The store, tested through what it offers to everybody: batches, records, lists, verification.
//!
//! Every function below `on_both!` is a specification that holds on SQLite and on PostgreSQL
//! alike. What only one of them can suffer, such as a lost connection, stands beside it.

mod books;
mod fixture;

/// Runs every function on a network of its own, on each database.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                Box::pin(super::$name(testkit::sqlite::fresh_file())).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                Box::pin(super::$name(testkit::postgres::fresh_database().await)).await;
            })*
        }
    };
}

mod acts;
mod base_backup;
mod batches;
mod chain;
mod clock;
mod closing;
mod conflicts;
mod cuts;
mod damage;
mod history;
mod lists;
mod losses;
mod memory;
mod outbox;
mod plans;
mod processes;
mod proposals;
mod records;
mod restarts;
mod tampering;
mod telling;
mod upgrading;
mod verifying;
