//! A throw-away PostgreSQL that flushes, or one that is there already.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio_postgres::NoTls;
use uuid::Uuid;

/// How long a server may take to start.
const START_TIME_LIMIT: Duration = Duration::from_secs(60);

/// As an operator would set it on a small machine: durable, and no checkpoint in the middle of a
/// run.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
max_connections = 200
shared_buffers = '512MB'
max_wal_size = '4GB'
checkpoint_timeout = '15min'
fsync = on
synchronous_commit = on
full_page_writes = on
";

/// A PostgreSQL server on which databases can be made.
pub(crate) struct Cluster {
    /// A superuser on a database for maintenance.
    url: String,
    /// Where `pgbench` is, if it is anywhere.
    pub(crate) programs: Option<PathBuf>,
    own: Option<Own>,
}

/// A server that was started here.
struct Own {
    folder: TempDir,
    server: Child,
    programs: PathBuf,
    user: Option<User>,
}

/// Whom the server runs as when this runs as root, which PostgreSQL refuses to be.
#[derive(Clone, Copy)]
struct User {
    id: u32,
    group: u32,
}

impl Cluster {
    /// Starts a server on new files below `folder`.
    pub(crate) async fn start(folder: &Path, programs: Option<&Path>) -> anyhow::Result<Cluster> {
        let programs = match programs {
            Some(programs) => programs.to_owned(),
            None => find_programs().context(
                "no PostgreSQL server programs were found: install them, name their folder with --postgres-programs, or name a server with --postgres",
            )?,
        };
        let folder = tempfile::Builder::new()
            .prefix("tidelock-bench-postgres-")
            .tempdir_in(folder)?;
        let user = unprivileged_user(folder.path())?;
        if let Some(user) = user {
            chown(folder.path(), Some(user.id), Some(user.group))?;
        }
        let data = folder.path().join("data");
        let initdb = as_user(&programs.join("initdb"), user)
            .arg("--pgdata")
            .arg(&data)
            .args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .output()
            .await
            .context("initdb cannot be run")?;
        let told = String::from_utf8_lossy(&initdb.stderr);
        ensure!(initdb.status.success(), "initdb failed: {told}");
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let settings = format!(
            "{SETTINGS}port = {port}\nunix_socket_directories = '{}'\n",
            folder.path().display()
        );
        let file = data.join("postgresql.conf");
        fs::write(&file, fs::read_to_string(&file)? + &settings)?;
        let log = fs::File::create(folder.path().join("server.log"))?;
        let server = as_user(&programs.join("postgres"), user)
            .arg("-D")
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("postgres cannot be started")?;
        let mut cluster = Cluster {
            url: format!("postgres://postgres@127.0.0.1:{port}/postgres"),
            programs: Some(programs.clone()),
            own: Some(Own {
                folder,
                server,
                programs,
                user,
            }),
        };
        cluster.wait_until_ready().await?;
        Ok(cluster)
    }

    /// A server that is there already.
    pub(crate) fn at(url: &str, programs: Option<&Path>) -> Cluster {
        Cluster {
            url: url.to_owned(),
            programs: programs.map(Path::to_owned).or_else(find_programs),
            own: None,
        }
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let begin = Instant::now();
        loop {
            let Err(error) = self.version().await else {
                return Ok(());
            };
            if let Some(own) = &mut self.own
                && let Some(status) = own.server.try_wait()?
            {
                let log = fs::read_to_string(own.folder.path().join("server.log"));
                bail!("postgres ended ({status}): {}", log.unwrap_or_default());
            }
            if begin.elapsed() > START_TIME_LIMIT {
                return Err(error.context("postgres does not answer"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What the server says it is.
    pub(crate) async fn version(&self) -> anyhow::Result<String> {
        let client = connect(&self.url).await?;
        let row = client.query_one("SHOW server_version", &[]).await?;
        Ok(row.get(0))
    }

    /// Settings that decide whether a commit is durable, as they are.
    pub(crate) async fn durability(&self) -> anyhow::Result<String> {
        let client = connect(&self.url).await?;
        let mut told = Vec::new();
        for name in [
            "fsync",
            "synchronous_commit",
            "full_page_writes",
            "wal_sync_method",
        ] {
            let row = client.query_one(&format!("SHOW {name}"), &[]).await?;
            told.push(format!("{name} {}", row.get::<_, String>(0)));
        }
        Ok(told.join(", "))
    }

    /// Makes a database; its URL.
    pub(crate) async fn create_database(&self) -> anyhow::Result<Database<'_>> {
        let name = format!("tidelock_bench_{}", Uuid::new_v4().simple());
        let client = connect(&self.url).await?;
        client
            .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))
            .await?;
        let mut url = reqwest::Url::parse(&self.url).context("the URL of PostgreSQL")?;
        url.set_path(&name);
        Ok(Database {
            cluster: self,
            name,
            url: url.to_string(),
        })
    }

    /// The process whose children serve the connections, if it was started here.
    pub(crate) fn process(&self) -> Option<u32> {
        self.own.as_ref()?.server.id()
    }
}

/// A database on a cluster.
pub(crate) struct Database<'a> {
    pub(crate) cluster: &'a Cluster,
    name: String,
    pub(crate) url: String,
}

impl Database<'_> {
    /// Removes it, so that the next one finds the same room in memory and on the disk.
    pub(crate) async fn drop(self) -> anyhow::Result<()> {
        let client = connect(&self.cluster.url).await?;
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        Ok(client.batch_execute(&drop).await?)
    }
}

/// A connection of its own.
pub(crate) async fn connect(url: &str) -> anyhow::Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

impl Drop for Own {
    fn drop(&mut self) {
        // In order, so that nothing of it stays in shared memory; the files go with the folder.
        let mut stop = std::process::Command::new(self.programs.join("pg_ctl"));
        stop.current_dir("/")
            .arg("--pgdata")
            .arg(self.folder.path().join("data"))
            .args(["--mode=immediate", "--silent", "stop"]);
        if let Some(user) = self.user {
            use std::os::unix::process::CommandExt;
            stop.uid(user.id).gid(user.group);
        }
        let _ = stop.status();
    }
}

fn as_user(program: &Path, user: Option<User>) -> Command {
    let mut command = Command::new(program);
    // A folder that every user can read.
    command.current_dir("/");
    if let Some(user) = user {
        command.uid(user.id).gid(user.group);
    }
    command
}

/// Whom to be instead of root; nobody else if this is not root.
fn unprivileged_user(own_folder: &Path) -> anyhow::Result<Option<User>> {
    if fs::metadata(own_folder)?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let user = |wanted: &str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(wanted))?;
        let mut fields = line.split(':').skip(2);
        let id = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        Some(User { id, group })
    };
    let found = user("postgres").or_else(|| user("nobody"));
    let found = found.context("PostgreSQL does not run as root, and there is no other user")?;
    Ok(Some(found))
}

/// The folder of the newest server programs.
fn find_programs() -> Option<PathBuf> {
    let debian = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut versions: Vec<(u32, PathBuf)> = debian
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let newest_first = versions.into_iter().rev().map(|(_, programs)| programs);
    newest_first
        .chain(std::env::split_paths(&path))
        .find(|programs| programs.join("initdb").exists() && programs.join("postgres").exists())
}
