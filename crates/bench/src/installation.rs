//! A new installation with its server, and what both have used.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use rusqlite::OpenFlags;
use tempfile::TempDir;

use crate::{
    cluster::{self, Cluster, Database},
    process::{Process, memory_of, peak_memory, this_program, time_of, time_of_family},
};

/// A network on a new database, with the server that serves it.
pub(crate) struct Installation<'a> {
    folder: TempDir,
    database: Option<Database<'a>>,
    pub(crate) operator_token: String,
    server: Process,
}

/// What was used until some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Time of the server on the processor.
    pub(crate) server: Option<Duration>,
    /// Time of the database's own processes; SQLite has none.
    pub(crate) database: Option<Duration>,
    /// How many commits the chain has.
    pub(crate) commits: i64,
    /// How many flushes of the log PostgreSQL has counted; SQLite makes one with each commit.
    pub(crate) flushes: i64,
    /// How often the server has allocated memory, if it counts that.
    pub(crate) allocations: Option<u64>,
}

/// Which clock an installation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// That of the machine.
    Real,
    /// One that can be advanced.
    Test,
}

impl<'a> Installation<'a> {
    /// Makes an installation below `folder`, on `cluster` or else on SQLite, and serves it.
    pub(crate) async fn start(
        folder: &Path,
        cluster: Option<&'a Cluster>,
    ) -> anyhow::Result<Installation<'a>> {
        Installation::with_clock(folder, cluster, Clock::Real).await
    }

    /// The same with a clock of this kind.
    pub(crate) async fn with_clock(
        folder: &Path,
        cluster: Option<&'a Cluster>,
        clock: Clock,
    ) -> anyhow::Result<Installation<'a>> {
        let folder = tempfile::Builder::new()
            .prefix("tidelock-bench-")
            .tempdir_in(folder)?;
        let database = match cluster {
            Some(cluster) => Some(cluster.create_database().await?),
            None => None,
        };
        let data = folder.path().join("data");
        let data_text = data.to_str().context("the folder's name is no text")?;
        let mut arguments = vec!["--data", data_text];
        if let Some(database) = &database {
            arguments.extend(["--database", &database.url]);
        }
        if clock == Clock::Test {
            arguments.push("--test-clock");
        }
        let init = this_program()?
            .arg("init")
            .args(&arguments)
            .output()
            .await?;
        let told = String::from_utf8_lossy(&init.stderr);
        ensure!(init.status.success(), "`tidelock init` failed: {told}");
        let told = String::from_utf8(init.stdout)?;
        let operator_token = told
            .lines()
            .find(|line| !line.is_empty() && !line.contains(' '))
            .context("`tidelock init` told no token")?
            .to_owned();
        let server = serve(folder.path(), database.as_ref()).await?;
        Ok(Installation {
            operator_token,
            server,
            database,
            folder,
        })
    }

    /// Ends the server at once.
    pub(crate) async fn stop(&mut self) {
        self.server.kill().await;
    }

    /// Serves again, at another address.
    pub(crate) async fn serve_again(&mut self) -> anyhow::Result<()> {
        self.server = serve(self.folder.path(), self.database.as_ref()).await?;
        Ok(())
    }

    /// Where the database is.
    pub(crate) fn location(&self) -> anyhow::Result<store::Location> {
        Ok(match &self.database {
            Some(database) => database.url.parse()?,
            None => store::Location::Sqlite(self.folder.path().join("data/tidelock.db")),
        })
    }

    /// Lets PostgreSQL count what was written in bulk, as it does by itself sooner or later.
    pub(crate) async fn count_rows(&self) -> anyhow::Result<()> {
        if let Some(database) = &self.database {
            let client = cluster::connect(&database.url).await?;
            client.batch_execute("ANALYZE").await?;
        }
        Ok(())
    }

    /// Ends the server and removes everything.
    pub(crate) async fn remove(mut self) -> anyhow::Result<()> {
        self.server.kill().await;
        match self.database {
            Some(database) => database.drop().await,
            None => Ok(()),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.server.url
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        let address = self.server.url.trim_start_matches("http://");
        Ok(address.parse()?)
    }

    /// The public key by which partners know the network's calls.
    pub(crate) fn call_key(&self) -> PathBuf {
        self.folder
            .path()
            .join("data/partner-calls/default.pub.pem")
    }

    /// The most memory that the server has had, in bytes.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        peak_memory(self.server.id())
    }

    /// What a server with the feature `count-allocations` has counted.
    async fn allocations(&self) -> Option<u64> {
        let file = self.folder.path().join("data/allocations");
        if !file.exists() {
            return None;
        }
        // It is told ten times a second.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let text = std::fs::read_to_string(file).ok()?;
        text.split_whitespace().next()?.parse().ok()
    }

    /// The memory that the server has now, in bytes.
    pub(crate) fn memory(&self) -> Option<u64> {
        memory_of(self.server.id())
    }

    /// What was used until now.
    pub(crate) async fn usage(&self) -> anyhow::Result<Usage> {
        let (commits, flushes) = match &self.database {
            Some(database) => counts_of_postgres(&database.url).await?,
            None => {
                let commits = commits_of_sqlite(&self.folder.path().join("data/tidelock.db"))?;
                (commits, commits)
            }
        };
        let process = self
            .database
            .as_ref()
            .and_then(|database| database.cluster.process());
        Ok(Usage {
            server: time_of(self.server.id(), false),
            database: process.and_then(time_of_family),
            commits,
            flushes,
            allocations: self.allocations().await,
        })
    }
}

fn where_it_is<'a>(data: &'a str, database: Option<&'a Database<'_>>) -> Vec<&'a str> {
    let mut arguments = vec!["--data", data];
    if let Some(database) = database {
        arguments.extend(["--database", &database.url]);
    }
    arguments
}

async fn serve(folder: &Path, database: Option<&Database<'_>>) -> anyhow::Result<Process> {
    let data = folder.join("data");
    let data = data.to_str().context("the folder's name is no text")?;
    // Its log and its figures are on, as they are in production.
    let mut arguments = vec![
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--metrics-listen",
        "127.0.0.1:0",
        // Counted as in production, and wide enough for a few tokens to send all there is.
        "--rate-limit",
        "1000000",
        "--rate-limit-burst",
        "1000000",
    ];
    arguments.extend(where_it_is(data, database));
    Process::start(&arguments, &folder.join("server.log")).await
}

const COMMITS: &str = "SELECT sequence FROM chain_heads WHERE lane = 0";

fn commits_of_sqlite(file: &Path) -> anyhow::Result<i64> {
    let connection = rusqlite::Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    Ok(connection.query_row(COMMITS, [], |row| row.get(0))?)
}

async fn counts_of_postgres(url: &str) -> anyhow::Result<(i64, i64)> {
    let client = cluster::connect(url).await?;
    let commits = client.query_one(COMMITS, &[]).await?.get(0);
    // Until PostgreSQL 17 here; what later ones call it is not looked up.
    let flushes = client
        .query_opt("SELECT wal_sync FROM pg_stat_wal", &[])
        .await;
    let flushes = flushes.ok().flatten().map_or(commits, |row| row.get(0));
    Ok((commits, flushes))
}
