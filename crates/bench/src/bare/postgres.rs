//! PostgreSQL through tokio-postgres: three statements for each group, each with arrays that
//! `UNNEST` turns into rows, all sent at once.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{HUBS, Transfer};
use crate::cluster::{self, Cluster};

const SCHEMA: &str = "
CREATE TABLE balances (account bigint PRIMARY KEY, available numeric(39,0) NOT NULL, held numeric(39,0) NOT NULL);
CREATE TABLE transfers (id uuid PRIMARY KEY, amount numeric(39,0) NOT NULL, created_at bigint NOT NULL);
CREATE TABLE postings (
    transfer uuid NOT NULL, position bigint NOT NULL, source bigint NOT NULL,
    destination bigint NOT NULL, amount numeric(39,0) NOT NULL, PRIMARY KEY (transfer, position));
";

const TRANSFERS: &str = "INSERT INTO transfers SELECT id, 1000000, 0 FROM UNNEST($1::uuid[]) AS id";

const POSTINGS: &str = "INSERT INTO postings SELECT id, 0, source, destination, 1000000
    FROM UNNEST($1::uuid[], $2::bigint[], $3::bigint[]) AS new(id, source, destination)";

const BALANCES: &str = "UPDATE balances SET available = available + new.change
    FROM UNNEST($1::bigint[], $2::bigint[]) AS new(account, change)
    WHERE balances.account = new.account";

/// What one group writes. A statement changes a row once, so changes of an account are summed.
struct Group {
    ids: Vec<Uuid>,
    sources: Vec<i64>,
    destinations: Vec<i64>,
    accounts: Vec<i64>,
    changes: Vec<i64>,
}

pub(super) async fn write(
    cluster: &Cluster,
    accounts: usize,
    groups: &[&[Transfer]],
) -> anyhow::Result<Duration> {
    let database = cluster.create_database().await?;
    let mut client = cluster::connect(&database.url).await?;
    client.batch_execute(SCHEMA).await?;
    let last = i64::try_from(accounts + HUBS)? - 1;
    client
        .execute(
            "INSERT INTO balances SELECT account, 0, 0 FROM generate_series(0, $1::bigint) AS account",
            &[&last],
        )
        .await?;
    client.batch_execute("VACUUM ANALYZE balances").await?;
    let transfers = client.prepare(TRANSFERS).await?;
    let postings = client.prepare(POSTINGS).await?;
    let balances = client.prepare(BALANCES).await?;
    let groups: Vec<Group> = groups.iter().map(|group| Group::of(group)).collect();
    let begin = Instant::now();
    for group in &groups {
        let transaction = client.transaction().await?;
        let of_transfers: [&(dyn ToSql + Sync); 1] = [&group.ids];
        let of_postings: [&(dyn ToSql + Sync); 3] =
            [&group.ids, &group.sources, &group.destinations];
        let of_balances: [&(dyn ToSql + Sync); 2] = [&group.accounts, &group.changes];
        tokio::try_join!(
            transaction.execute(&transfers, &of_transfers),
            transaction.execute(&postings, &of_postings),
            transaction.execute(&balances, &of_balances),
        )?;
        transaction.commit().await?;
    }
    let span = begin.elapsed();
    drop(client);
    database.drop().await?;
    Ok(span)
}

impl Group {
    fn of(transfers: &[Transfer]) -> Group {
        let mut changes: BTreeMap<i64, i64> = BTreeMap::new();
        for transfer in transfers {
            *changes.entry(transfer.source).or_default() += 1;
            *changes.entry(transfer.destination).or_default() += 1;
        }
        let (accounts, changes) = changes.into_iter().unzip();
        Group {
            ids: transfers.iter().map(|transfer| transfer.id).collect(),
            sources: transfers.iter().map(|transfer| transfer.source).collect(),
            destinations: transfers
                .iter()
                .map(|transfer| transfer.destination)
                .collect(),
            accounts,
            changes,
        }
    }
}
