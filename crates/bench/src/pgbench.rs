//! The same kind of work by `pgbench`, on the same cluster.
//!
//! A hand-written function moves an amount from one account to another: it locks both balances,
//! and writes a transfer, two entries, two balances and a row for an outbox, with one commit per
//! transfer. That is what a careful programmer would write without a network around it: no HTTP,
//! no JSON, no signature, no holds, no hash chain, no evidence, no check for repeats but the key.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use serde::Serialize;
use tokio::process::Command;

use crate::cluster::{self, Cluster};

/// How many clients `pgbench` has.
const CLIENTS: usize = 32;

/// How many accounts there are. Both sides of a transfer are drawn evenly from them.
const ACCOUNTS: i32 = 1_000;

const SCHEMA: &str = "
CREATE TABLE balances (
    account integer NOT NULL, currency text NOT NULL,
    available numeric(39,0) NOT NULL CHECK (available >= 0),
    held numeric(39,0) NOT NULL CHECK (held >= 0),
    PRIMARY KEY (account, currency));
CREATE TABLE transfers (
    id uuid PRIMARY KEY, source integer NOT NULL, destination integer NOT NULL,
    currency text NOT NULL, amount numeric(39,0) NOT NULL, created_at timestamptz NOT NULL);
CREATE TABLE entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, transfer uuid NOT NULL,
    account integer NOT NULL, currency text NOT NULL, amount numeric(39,0) NOT NULL);
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, subject uuid NOT NULL,
    call text NOT NULL, due_at timestamptz NOT NULL);
INSERT INTO balances
    SELECT number, 'coin000', 1000000000000, 0 FROM generate_series(1, 1000) AS number;
CREATE FUNCTION transfer(source integer, destination integer, quantity numeric)
RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    transfer uuid := gen_random_uuid();
    moment timestamptz := clock_timestamp();
BEGIN
    -- In one order, so that two transfers never wait for each other.
    PERFORM 1 FROM balances
        WHERE currency = 'coin000' AND account IN (source, destination)
        ORDER BY account FOR UPDATE;
    UPDATE balances SET available = available - quantity
        WHERE account = source AND currency = 'coin000';
    UPDATE balances SET available = available + quantity
        WHERE account = destination AND currency = 'coin000';
    INSERT INTO transfers VALUES (transfer, source, destination, 'coin000', quantity, moment);
    INSERT INTO entries (transfer, account, currency, amount)
        VALUES (transfer, source, 'coin000', -quantity),
               (transfer, destination, 'coin000', quantity);
    INSERT INTO outbox (subject, call, due_at) VALUES (transfer, 'clear', moment);
    RETURN transfer;
END $$;
";

/// What `pgbench` reached.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Compared {
    pub(crate) clients: usize,
    pub(crate) per_second: f64,
}

/// Runs `pgbench` for `span`, after a warm-up of a tenth of it.
pub(crate) async fn compare(cluster: &Cluster, span: Duration) -> anyhow::Result<Compared> {
    let programs = cluster.programs.as_deref();
    let program = programs.map_or_else(|| Path::new("pgbench").to_owned(), |p| p.join("pgbench"));
    let database = cluster.create_database().await?;
    cluster::connect(&database.url)
        .await?
        .batch_execute(SCHEMA)
        .await?;
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("transfer.sql");
    let text = format!(
        "\\set source random(1, {ACCOUNTS})\n\\set step random(1, {})\n\\set destination 1 + (:source - 1 + :step) % {ACCOUNTS}\nSELECT transfer(:source, :destination, 1);\n",
        ACCOUNTS - 1
    );
    std::fs::write(&script, text)?;
    run(&program, &script, &database.url, span / 10).await?;
    let per_second = run(&program, &script, &database.url, span).await?;
    database.drop().await?;
    Ok(Compared {
        clients: CLIENTS,
        per_second,
    })
}

async fn run(program: &Path, script: &Path, url: &str, span: Duration) -> anyhow::Result<f64> {
    let output = Command::new(program)
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
        .arg(format!("--client={CLIENTS}"))
        .arg(format!("--time={}", span.as_secs().max(1)))
        .arg("--file")
        .arg(script)
        .arg(url)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("pgbench cannot be run")?;
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "pgbench failed: {failed}");
    let rate = told.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rate| rate.split_whitespace().next()?.parse().ok());
    rate.with_context(|| format!("pgbench told no rate: {told}"))
}
