//! An installation in a temporary folder, and the binary run on it.

use std::{fmt, path::Path, process::Stdio, time::Duration};

use tempfile::TempDir;
use testkit::TestDatabase;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    task::JoinHandle,
};

/// How long a command may take; the demo plays for a while.
const PATIENCE: Duration = Duration::from_secs(120);

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) output: String,
    pub(crate) error: String,
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ran {
            code,
            output,
            error,
        } = self;
        write!(f, "exit code {code}\n{output}\n{error}")
    }
}

/// The binary, without what the environment of the tests says to it.
fn command(words: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidelock"));
    for (name, _) in std::env::vars() {
        if name.starts_with("TIDELOCK_") || name.starts_with("MIMALLOC_") {
            command.env_remove(name);
        }
    }
    command
        .args(words)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs the binary to its end.
pub(crate) async fn tidelock(words: &[&str], environment: &[(&str, &str)]) -> Ran {
    let running = command(words, environment).output();
    let ended = tokio::time::timeout(PATIENCE, running).await;
    let ended = ended.expect("it ends in time").expect("it runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran {
        code: ended.status.code().expect("an exit code"),
        output: text(ended.stdout),
        error: text(ended.stderr),
    }
}

/// A new installation, on SQLite if nothing else is said.
pub(crate) struct Installation {
    folder: TempDir,
    pub(crate) database: TestDatabase,
    operator_token: String,
}

impl Installation {
    pub(crate) async fn make() -> Installation {
        Installation::make_with(&[]).await
    }

    /// The same, told more.
    pub(crate) async fn make_with(more: &[&str]) -> Installation {
        Installation::make_on(testkit::sqlite::fresh_file(), more).await
    }

    /// The same on this database.
    pub(crate) async fn make_on(database: TestDatabase, more: &[&str]) -> Installation {
        let mut installation = Installation {
            folder: tempfile::tempdir().expect("a folder"),
            database,
            operator_token: String::new(),
        };
        let made = installation.run(&[&["init"], more].concat()).await;
        assert_eq!(made.code, 0, "{made}");
        let token = made.output.lines().find(|line| line.starts_with("tlk_"));
        installation.operator_token = token.expect("a token").to_owned();
        installation
    }

    fn data(&self) -> &str {
        self.folder.path().to_str().expect("a path")
    }

    fn environment(&self) -> [(&str, &str); 2] {
        [
            ("TIDELOCK_DATA", self.data()),
            ("TIDELOCK_DATABASE", self.database.url.as_str()),
        ]
    }

    /// Runs a command on the installation itself.
    pub(crate) async fn run(&self, words: &[&str]) -> Ran {
        tidelock(words, &self.environment()).await
    }

    /// A file of the installation.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).expect(name)
    }

    /// Writes a file and tells its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = Path::new(self.data()).join(name);
        std::fs::write(&path, text).expect(name);
        path.to_str().expect("a path").to_owned()
    }

    /// Starts the network on a free port.
    pub(crate) async fn serve(&self) -> Server {
        self.serve_with(&[]).await
    }

    /// The same, told more.
    pub(crate) async fn serve_with(&self, more: &[&str]) -> Server {
        self.serve_in(&[], more).await
    }

    /// The same with more in its environment.
    pub(crate) async fn serve_in(&self, beside: &[(&str, &str)], more: &[&str]) -> Server {
        let words = [&["serve", "--listen", "127.0.0.1:0"], more].concat();
        let environment = [&self.environment(), beside].concat();
        let mut process = command(&words, &environment)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let output = process.stdout.take().expect("its output");
        let mut log = process.stderr.take().expect("its log");
        let log = tokio::spawn(async move {
            let mut text = String::new();
            log.read_to_string(&mut text).await.expect("text");
            text
        });
        let mut lines = BufReader::new(output).lines();
        let line = lines
            .next_line()
            .await
            .expect("a line")
            .expect("it listens");
        let url = line.strip_prefix("listening on ").expect("its address");
        Server {
            url: url.to_owned(),
            operator_token: self.operator_token.clone(),
            process,
            output: lines,
            log,
        }
    }
}

/// The network, serving.
pub(crate) struct Server {
    pub(crate) url: String,
    operator_token: String,
    process: Child,
    output: Lines<BufReader<ChildStdout>>,
    log: JoinHandle<String>,
}

impl Server {
    /// The first operator's token.
    pub(crate) fn token(&self) -> &str {
        &self.operator_token
    }

    /// What is in the environment of its process under that name.
    #[cfg(target_os = "linux")]
    pub(crate) fn environment(&self, name: &str) -> Option<String> {
        let id = self.process.id().expect("it runs");
        let all = std::fs::read_to_string(format!("/proc/{id}/environ")).expect("its environment");
        let entries = all.split('\0').filter_map(|entry| entry.split_once('='));
        let mut values = entries.filter(|entry| entry.0 == name);
        values.next().map(|(_, value)| value.to_owned())
    }

    /// What the network says next on its output.
    pub(crate) async fn next_line(&mut self) -> String {
        let line = self.output.next_line().await.expect("a line");
        line.expect("a line")
    }

    /// Runs `tidelock operator` against the network.
    pub(crate) async fn operator(&self, words: &[&str]) -> Ran {
        self.operator_with(&self.operator_token, words).await
    }

    /// The same with another operator's token.
    pub(crate) async fn operator_with(&self, token: &str, words: &[&str]) -> Ran {
        let words = [&["operator"], words].concat();
        let environment = [
            ("TIDELOCK_URL", self.url.as_str()),
            ("TIDELOCK_OPERATOR_TOKEN", token),
        ];
        tidelock(&words, &environment).await
    }

    /// The same for what has to succeed.
    pub(crate) async fn done(&self, words: &[&str]) -> Ran {
        let ran = self.operator(words).await;
        assert_eq!(ran.code, 0, "{words:?}: {ran}");
        assert_eq!(ran.error, "", "{words:?}");
        ran
    }

    /// Asks the network to stop, and waits until it has; what it logged.
    pub(crate) async fn stop(mut self) -> String {
        let id = self.process.id().expect("it runs").to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().await;
        assert!(asked.expect("kill runs").success());
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        let status = ended.expect("it stops in time").expect("its status");
        assert!(status.success(), "{status}");
        self.log.await.expect("its log")
    }
}
