//! Where logs go and in which form.

use tracing_subscriber::EnvFilter;

/// What is logged unless `TIDELOCK_LOG` says otherwise. The PostgreSQL client would log values of
/// statements, which may be secret, at its finer levels.
const DEFAULT: &str = "info,tokio_postgres=warn";

/// The form of log lines.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

/// Logs to standard error.
pub(crate) fn start(format: LogFormat) -> anyhow::Result<()> {
    start_with(format, DEFAULT)
}

/// Logs to standard error what `default` names, unless `TIDELOCK_LOG` says otherwise.
pub(crate) fn start_with(format: LogFormat, default: &str) -> anyhow::Result<()> {
    let filter = match std::env::var("TIDELOCK_LOG") {
        Ok(filter) => EnvFilter::try_new(filter)?,
        Err(_) => EnvFilter::try_new(default)?,
    };
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Text => lines.try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot be started: {error}"))
}
