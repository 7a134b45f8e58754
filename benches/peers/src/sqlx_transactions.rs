//! Transfers as one writes them without further thought: a transaction each, with a round trip for
//! every statement. The tables and the work are those of `sql/transfer.sql`.

use anyhow::ensure;
use serde_json::Value;
use sqlx::{PgPool, Row, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::{ACCOUNTS, Load, closed_loop};

pub(crate) async fn run(load: &Load) -> anyhow::Result<Value> {
    let pool = PgPoolOptions::new()
        .max_connections(load.clients)
        .connect(&load.url)
        .await?;
    sqlx::raw_sql(include_str!("../sql/transfer.sql"))
        .execute(&pool)
        .await?;
    closed_loop::run(load.clients, load.time(), move || transfer(pool.clone())).await
}

async fn transfer(pool: PgPool) -> anyhow::Result<usize> {
    let [source, destination] = two_accounts().map(|n| n as i32 + 1);
    let id = Uuid::now_v7();
    let mut transaction = pool.begin().await?;
    let rows = sqlx::query(
        "SELECT id, balance >= 1 AS enough FROM accounts WHERE id IN ($1, $2) ORDER BY id FOR UPDATE",
    )
    .bind(source)
    .bind(destination)
    .fetch_all(&mut *transaction)
    .await?;
    let enough = rows
        .iter()
        .any(|row| row.get::<i32, _>("id") == source && row.get::<bool, _>("enough"));
    ensure!(enough, "the balance is too small");
    sqlx::query(
        "INSERT INTO transfers (id, external_id, source, destination, amount) VALUES ($1, $2, $3, $4, 1)",
    )
    .bind(id)
    .bind(id.to_string())
    .bind(source)
    .bind(destination)
    .execute(&mut *transaction)
    .await?;
    for (account, change) in [(source, -1), (destination, 1)] {
        sqlx::query("UPDATE accounts SET balance = balance + $2 WHERE id = $1")
            .bind(account)
            .bind(change)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO entries SELECT $1, id, $3, balance FROM accounts WHERE id = $2")
            .bind(id)
            .bind(account)
            .bind(change)
            .execute(&mut *transaction)
            .await?;
    }
    sqlx::query("INSERT INTO outbox (transfer) VALUES ($1)")
        .bind(id)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(1)
}

/// Two different accounts, by chance.
pub(crate) fn two_accounts() -> [usize; 2] {
    let (one, step) = Uuid::new_v4().as_u64_pair();
    let source = (one >> 16) as usize % ACCOUNTS;
    let step = 1 + (step & 0xffff_ffff) as usize % (ACCOUNTS - 1);
    [source, (source + step) % ACCOUNTS]
}
