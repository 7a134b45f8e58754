//! `tidelock sandbox exchange`: the simulated exchange in a process of its own.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context;
use sandbox::{Exchange, Mode, Settings};

use crate::{
    logging::{self, LogFormat},
    serve::stopped,
};

#[derive(clap::Subcommand)]
pub(crate) enum Sandbox {
    /// Run a simulated exchange; it is told who it is over its control API
    Exchange(ExchangeArguments),
}

#[derive(clap::Args)]
pub(crate) struct ExchangeArguments {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:7312")]
    listen: SocketAddr,

    /// File with the public key (PEM) by which the network's calls are recognised
    #[arg(long)]
    jwt_public_key: Option<PathBuf>,

    /// Bearer token of the control API; without it whoever reaches it may control
    #[arg(long, env = "TIDELOCK_SANDBOX_CONTROL_TOKEN", hide_env_values = true)]
    control_token: Option<String>,

    /// Answer allocations later, by calling the network
    #[arg(long)]
    asynchronous_allocations: bool,

    /// Answer deallocations later, by calling the network
    #[arg(long)]
    asynchronous_deallocations: bool,

    /// Answer later without being told to
    #[arg(long)]
    auto_answer: bool,

    /// Form of the log lines
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

impl Sandbox {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Sandbox::Exchange(arguments) = self;
        logging::start(arguments.log_format)?;
        let jwt_public_key = match &arguments.jwt_public_key {
            Some(file) => Some(
                std::fs::read_to_string(file)
                    .with_context(|| format!("{} cannot be read", file.display()))?,
            ),
            None => None,
        };
        let exchange = Exchange::start(Settings {
            listen: arguments.listen,
            control_token: arguments.control_token,
            jwt_public_key,
            mode: Mode {
                asynchronous_allocations: arguments.asynchronous_allocations,
                asynchronous_deallocations: arguments.asynchronous_deallocations,
                auto_answer: arguments.auto_answer,
            },
            ..Settings::default()
        })
        .await?;
        println!("listening on http://{}", exchange.address);
        stopped().await;
        exchange.shutdown().await;
        Ok(())
    }
}
