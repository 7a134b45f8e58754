//! PostgreSQL servers of one's own: to be stopped, killed, started again, followed by a standby
//! and replaced by it.
//!
//! A server works in a temporary folder and is gone when it is dropped. Its programs are those of
//! the newest installation; as root it runs as the user `postgres` or `nobody`, for PostgreSQL
//! refuses to run as root.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A server, running or not.
pub struct Server {
    folder: TempDir,
    programs: PathBuf,
    /// Where it listens on the loopback, always the same.
    pub port: u16,
}

/// How a server is asked to stop.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    /// Sessions are ended; nothing is left to recover.
    Fast,
    /// Everything is dropped at once; the next start recovers.
    Immediate,
}

impl Stop {
    fn mode(self) -> &'static str {
        match self {
            Self::Fast => "--mode=fast",
            Self::Immediate => "--mode=immediate",
        }
    }
}

impl Server {
    /// Makes a cluster with an empty database `postgres` and starts its server. `settings` are
    /// lines of `postgresql.conf`.
    ///
    /// # Panics
    ///
    /// When there are no server programs, or they do not do what they should; so do all functions
    /// here.
    pub fn start(settings: &[&str]) -> Self {
        let server = Self::bare();
        server.run(
            "initdb",
            [
                &format!("--pgdata={}", server.data().display()),
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
        );
        server.configure(&[
            "listen_addresses = '127.0.0.1'",
            "max_connections = 200",
            "wal_keep_size = '256MB'",
            "unix_socket_directories = ''",
            &format!("port = {}", server.port),
        ]);
        server.configure(settings);
        server.start_again();
        server
    }

    /// Makes a standby that follows `primary` under `name`, and starts it.
    pub fn standby_of(primary: &Server, name: &str) -> Self {
        Self::copy_of(primary, name, &["--write-recovery-conf"])
    }

    /// Takes a base backup of `primary` while it works, and starts a server of its own on it.
    pub fn restored_from(primary: &Server) -> Self {
        Self::copy_of(primary, "backup", &[])
    }

    fn copy_of(primary: &Server, name: &str, more: &[&str]) -> Self {
        let server = Self::bare();
        let mut arguments = vec![
            format!("--pgdata={}", server.data().display()),
            format!(
                "--dbname=host=127.0.0.1 port={} user=postgres application_name={name}",
                primary.port
            ),
            "--checkpoint=fast".to_owned(),
            "--no-sync".to_owned(),
        ];
        arguments.extend(more.iter().map(ToString::to_string));
        server.run("pg_basebackup", &arguments);
        server.configure(&[&format!("port = {}", server.port)]);
        server.start_again();
        server
    }

    fn bare() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        if let Some((user, group)) = server_user() {
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).expect("chown");
        }
        // Somebody may take the port before the server does; then the start fails loudly.
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self {
            folder,
            programs: programs(),
            port: free.local_addr().expect("an address").port(),
        }
    }

    /// Where it listens.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The URL of its database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.host())
    }

    /// Adds lines to `postgresql.conf`; later ones prevail. They take effect with the next start
    /// or [`reload`](Self::reload).
    pub fn configure(&self, settings: &[&str]) {
        let file = self.data().join("postgresql.auto.conf");
        let mut text = fs::read_to_string(&file).unwrap_or_default();
        for setting in settings {
            text.push_str(setting);
            text.push('\n');
        }
        fs::write(&file, text).expect("the settings");
    }

    /// Makes the running server read its settings again.
    pub fn reload(&self) {
        self.control(["reload"]);
    }

    /// Starts it, and returns once it takes connections.
    pub fn start_again(&self) {
        let log = format!("--log={}", self.folder.path().join("log").display());
        let started = self.try_control(["start", "--wait", "--silent", &log]);
        assert!(
            started.status.success(),
            "{started:?}: {}",
            self.log().unwrap_or_default()
        );
    }

    /// Stops it as an operator does.
    pub fn stop(&self, stop: Stop) {
        self.control(["stop", "--wait", "--silent", stop.mode()]);
    }

    /// Makes a standby the primary, and returns once it takes writes.
    pub fn promote(&self) {
        self.control(["promote", "--wait", "--silent"]);
    }

    /// Kills all its processes (`kill -9`), as the loss of a machine does.
    pub fn kill(&self) {
        let Some(postmaster) = self.postmaster() else {
            return;
        };
        let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children"))
            .expect("the processes of the server");
        // First the one that would start others.
        signal("-KILL", &postmaster);
        for child in children.split_whitespace() {
            signal("-KILL", child);
        }
        for process in children.split_whitespace().chain([postmaster.as_str()]) {
            while is_alive(process) {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        // What the dead have left, and a start would take for a living server.
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
    }

    /// What the server has logged.
    pub fn log(&self) -> Option<String> {
        fs::read_to_string(self.folder.path().join("log")).ok()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The number of the process that started all others.
    fn postmaster(&self) -> Option<String> {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        Some(text.lines().next()?.to_owned())
    }

    fn control<const N: usize>(&self, arguments: [&str; N]) {
        let done = self.try_control(arguments);
        assert!(done.status.success(), "{arguments:?}: {done:?}");
    }

    fn try_control<const N: usize>(&self, arguments: [&str; N]) -> Output {
        let data = format!("--pgdata={}", self.data().display());
        let arguments = [data.as_str()].into_iter().chain(arguments);
        self.command("pg_ctl", arguments).output().expect("pg_ctl")
    }

    fn run(&self, program: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) {
        let done = self.command(program, arguments).output().expect(program);
        assert!(done.status.success(), "{program}: {done:?}");
    }

    fn command(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).current_dir(self.folder.path());
        if let Some((user, group)) = server_user() {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn signal(signal: &str, process: &str) {
    // Whoever has ended already needs no signal.
    let _ = Command::new("kill").args([signal, process]).output();
}

/// Whether a process is there and not merely waiting for its parent to notice its end.
fn is_alive(process: &str) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else {
        return false;
    };
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state != Some('Z')
}

/// Whom the server runs as, and the group, if we are root.
fn server_user() -> Option<(u32, u32)> {
    let number = |arguments: &[&str]| -> Option<u32> {
        let told = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(told.stdout).ok()?.trim().parse().ok()
    };
    if number(&["-u"])? != 0 {
        return None;
    }
    ["postgres", "nobody"]
        .iter()
        .find_map(|user| Some((number(&["-u", user])?, number(&["-g", user])?)))
}

/// The folder of the newest server programs.
fn programs() -> PathBuf {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut folders: Vec<_> = installed
        .flatten()
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    folders.sort();
    let mut folders: Vec<_> = folders.into_iter().map(|(_, folder)| folder).collect();
    if let Ok(told) = Command::new("pg_config").arg("--bindir").output() {
        folders.insert(0, String::from_utf8_lossy(&told.stdout).trim().into());
    }
    let has_all = |folder: &PathBuf| {
        let there = |program| Path::new(folder).join(program).exists();
        ["initdb", "pg_ctl", "postgres", "pg_basebackup"]
            .into_iter()
            .all(there)
    };
    folders
        .into_iter()
        .rev()
        .find(has_all)
        .expect("the programs of a PostgreSQL server: install `postgresql`")
}
