//! The programs as processes of their own: the server, which is killed and started again, and the
//! simulated exchange, which survives.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::PATIENCE;

/// How a server is started.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The `tidelock` program.
    pub program: PathBuf,
    /// The folder of the installation.
    pub folder: PathBuf,
    /// The database, as the configuration has it.
    pub database: String,
    /// Whether the installation has a test clock.
    pub test_clock: bool,
    /// Seconds for which a server works on a message before another may take it.
    pub lease: u64,
    /// Seconds after which a database that says nothing counts as lost.
    pub database_time_limit: u64,
    /// More of the environment.
    pub environment: Vec<(String, String)>,
}

impl ServerSettings {
    /// Makes the installation, and answers the first operator's token.
    ///
    /// # Errors
    ///
    /// When `tidelock init` fails.
    pub async fn init(&self) -> anyhow::Result<String> {
        let init = Command::new(&self.program)
            .arg("init")
            .args(self.test_clock.then_some("--test-clock"))
            .arg("--data")
            .arg(&self.folder)
            .env("TIDELOCK_DATABASE", &self.database)
            .envs(self.environment.iter().cloned())
            .output()
            .await
            .with_context(|| format!("{} does not run", self.program.display()))?;
        ensure!(init.status.success(), "tidelock init: {init:?}");
        let told = String::from_utf8(init.stdout)?;
        let token = told.lines().find(|line| line.starts_with("tlk_"));
        Ok(token.context("init printed no token")?.to_owned())
    }
}

/// A running server, or one that was killed.
pub struct Server {
    settings: ServerSettings,
    /// Where it listens, `http://…`; the same after every start.
    pub url: String,
    process: Child,
}

impl Server {
    /// Starts a server at a free port; it takes requests when this returns.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn start(settings: ServerSettings) -> anyhow::Result<Server> {
        let (process, url) = serve(&settings, "127.0.0.1:0").await?;
        Ok(Server {
            settings,
            url,
            process,
        })
    }

    /// Starts it again where it was, for others know its address.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        let listen = self.url.trim_start_matches("http://").to_owned();
        let (process, _) = serve(&self.settings, &listen).await?;
        self.process = process;
        Ok(())
    }

    /// The number of the process; none once its end was noticed.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    /// Kills it (`kill -9`).
    ///
    /// # Errors
    ///
    /// When the system does not allow it.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.process.kill().await?)
    }

    /// Waits until it was killed; false if it lives on for that long.
    ///
    /// # Errors
    ///
    /// When it ended in another way.
    pub async fn dies_within(&mut self, limit: Duration) -> anyhow::Result<bool> {
        match tokio::time::timeout(limit, self.process.wait()).await {
            Err(_) => Ok(false),
            Ok(status) => {
                use std::os::unix::process::ExitStatusExt;
                let status = status?;
                ensure!(
                    status.signal() == Some(9),
                    "the server ended by itself: {status}"
                );
                Ok(true)
            }
        }
    }

    /// Asks it to stop, and waits until it has.
    ///
    /// # Errors
    ///
    /// When it does not stop, or not well.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        let process = self.id().context("the server has ended already")?;
        Command::new("kill")
            .args(["-TERM", &process.to_string()])
            .status()
            .await?;
        let status = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        let status = status.context("the server does not stop")??;
        ensure!(status.success(), "the server stopped with {status}");
        Ok(())
    }
}

async fn serve(settings: &ServerSettings, listen: &str) -> anyhow::Result<(Child, String)> {
    let mut command = Command::new(&settings.program);
    command
        .args(["serve", "--listen", listen, "--lease"])
        .arg(settings.lease.to_string())
        .arg("--database-time-limit")
        .arg(settings.database_time_limit.to_string())
        // One token sends all of the load.
        .args(["--rate-limit", "1000000", "--rate-limit-burst", "1000000"])
        .arg("--data")
        .arg(&settings.folder)
        .env("TIDELOCK_DATABASE", &settings.database)
        .envs(settings.environment.iter().cloned());
    if std::env::var_os("TIDELOCK_LOG").is_none() {
        command.env("TIDELOCK_LOG", "off");
    }
    listening(command).await
}

/// Starts a program that says on its first line where it listens.
async fn listening(mut command: Command) -> anyhow::Result<(Child, String)> {
    let mut process = command
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{command:?} does not run"))?;
    let output = process.stdout.take().context("it has an output")?;
    let line = BufReader::new(output).lines().next_line().await?;
    match line
        .as_deref()
        .and_then(|line| line.strip_prefix("listening on "))
    {
        Some(url) => Ok((process, url.to_owned())),
        None => bail!("{command:?} does not start: {:?}", process.wait().await?),
    }
}

/// A simulated exchange.
pub struct Exchange {
    /// Where it listens, `http://…`.
    pub url: String,
    http: reqwest::Client,
    _process: Child,
}

impl Exchange {
    /// Starts an exchange that answers at once, or later by itself.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub async fn start(program: &Path, asynchronous: bool) -> anyhow::Result<Exchange> {
        let mut command = Command::new(program);
        command.args(["sandbox", "exchange", "--listen", "127.0.0.1:0"]);
        if asynchronous {
            command.args([
                "--asynchronous-allocations",
                "--asynchronous-deallocations",
                "--auto-answer",
            ]);
        }
        command.env("TIDELOCK_LOG", "error");
        let (process, url) = listening(command).await?;
        Ok(Exchange {
            url,
            http: reqwest::Client::new(),
            _process: process,
        })
    }

    /// Calls its control API: the status and the body of what it answers.
    ///
    /// # Errors
    ///
    /// When it does not answer JSON.
    pub async fn control(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<(u16, Value)> {
        let url = format!("{}/control/v1/{path}", self.url);
        let mut request = self.http.request(method, url);
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request.send().await.context("the exchange answers")?;
        let status = response.status().as_u16();
        Ok((status, serde_json::from_str(&response.text().await?)?))
    }

    /// Calls its control API for something that it does not refuse.
    ///
    /// # Errors
    ///
    /// When it does.
    pub async fn act(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
        let (status, answer) = self.control(method, path, body).await?;
        ensure!(status == 200, "the exchange answered {status}: {answer}");
        Ok(answer)
    }
}
