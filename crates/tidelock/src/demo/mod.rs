//! `tidelock demo`: the main job, from Create Partner to a settled trade, over real HTTP.
//!
//! The network runs in this process on a new SQLite file, the simulated exchange in a process of
//! its own; every party speaks through the typed client, as any integration would.

mod play;
mod stage;

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    sync::oneshot,
};

use crate::{
    init::initialise,
    installation::Installation,
    logging::{self, LogFormat},
    serve,
};

use self::{play::play, stage::Stage};

/// The port that a network prefers; any other will do.
const PREFERRED_PORT: u16 = 7311;

#[derive(clap::Args)]
pub(crate) struct Demo {
    /// Exit at the end instead of staying up: 0 if every step and the verification held
    #[arg(long)]
    once: bool,

    /// Write addresses, tokens and signing keys as JSON into this file, for a program that goes on
    #[arg(long)]
    cast: Option<PathBuf>,
}

impl Demo {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        logging::start_with(LogFormat::Text, "warn")?;
        let folder = tempfile::Builder::new()
            .prefix("tidelock-demo-")
            .tempdir()?;
        let installation = Installation::in_folder(folder.path());
        let operator_token = initialise(&installation, false).await?;

        let store = installation.open_store(false).await?;
        let network = serve::start(&installation, store, network::Settings::default())?;
        let listener = match TcpListener::bind(("127.0.0.1", PREFERRED_PORT)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind("127.0.0.1:0").await?,
        };
        let network_url = format!("http://{}", listener.local_addr()?);
        let settings = server::Settings {
            request_log: Some(server::RequestLogging::beside(installation.location()?)),
            ..server::Settings::default()
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            server::serve(listener, network, &settings, stopped).await
        });

        let control_token = client::fresh_nonce();
        let (mut exchange, exchange_url) = start_exchange(&installation, &control_token).await?;
        let stage = Stage {
            location: installation.location()?,
            network_url,
            exchange_url,
            operator_token,
            control_token,
            call_public_key: installation.call_public_key()?,
        };
        let played = play(&stage).await;
        if let (Ok(cast), false) = (&played, self.once) {
            stage.show_how_to_try_by_hand(cast);
            if let Some(file) = &self.cast {
                let told = serde_json::to_vec_pretty(&stage.told(cast))?;
                std::fs::write(file, told)
                    .with_context(|| format!("{} cannot be written", file.display()))?;
            }
            serve::stopped().await;
        }
        let _ = exchange.kill().await;
        let _ = stop.send(());
        serving.await?;
        played.map(|_| ())
    }
}

/// Starts this very program as a simulated exchange and waits until it listens.
async fn start_exchange(
    installation: &Installation,
    control_token: &str,
) -> anyhow::Result<(Child, String)> {
    let key = installation.data.join("partner-calls/default.pub.pem");
    let mut child = Command::new(std::env::current_exe()?)
        .args(["sandbox", "exchange", "--listen", "127.0.0.1:0"])
        .arg("--jwt-public-key")
        .arg(key)
        .env("TIDELOCK_SANDBOX_CONTROL_TOKEN", control_token)
        .env("TIDELOCK_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("the simulated exchange cannot be started")?;
    let output = child.stdout.take().context("the exchange has no output")?;
    let mut lines = BufReader::new(output).lines();
    let first = lines.next_line().await?.unwrap_or_default();
    match first.strip_prefix("listening on ") {
        Some(url) => Ok((child, url.to_owned())),
        None => bail!("the simulated exchange did not start: {first:?}"),
    }
}
