//! `tidelock serve`: the network as a server.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use network::Network;
use store::{Opening, Store};
use tokio::net::TcpListener;

use crate::{
    installation::Installation,
    logging::{self, LogFormat},
};

#[derive(clap::Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    installation: Installation,

    /// Address to listen on
    #[arg(long, env = "TIDELOCK_LISTEN", default_value = "127.0.0.1:7311")]
    listen: SocketAddr,

    /// Address for /metrics, /livez and /readyz, which need no token there: one that only
    /// supervisors reach; none: the figures are not served
    #[arg(long, env = "TIDELOCK_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,

    /// Seconds after which a request is answered that it takes longer; what it began goes on
    #[arg(long, default_value_t = 30)]
    request_time_limit: u64,

    /// Seconds for which a server works on a message to a partner before another may take it;
    /// more than twice the longest call to a partner
    #[arg(long, default_value_t = 30)]
    lease: u64,

    /// Seconds after which a PostgreSQL server that says nothing counts as lost
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    database_time_limit: u64,

    /// Form of the log lines
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,
}

impl Serve {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        logging::start(self.log_format)?;
        let settings = network::Settings {
            lease: Duration::from_secs(self.lease),
            ..network::Settings::default()
        };
        // First the address: a network that has started takes messages to work on.
        let listener = bind(self.listen).await?;
        let monitoring = match self.metrics_listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let opening = Opening {
            create: false,
            answer_within: Duration::from_secs(self.database_time_limit),
            ..Opening::default()
        };
        let store = self.installation.open_store_as(opening).await?;
        let network = start(&self.installation, store, settings)?;
        let address = listener.local_addr()?;
        // Scripts and tests that ask for port 0 read the address from here.
        println!("listening on http://{address}");
        if let Some(monitoring) = &monitoring {
            println!("metrics on http://{}/metrics", monitoring.local_addr()?);
        }
        tracing::info!(%address, "the network is serving");
        let settings = server::Settings {
            request_time_limit: Duration::from_secs(self.request_time_limit),
        };
        let listeners = server::Listeners {
            network: listener,
            monitoring,
        };
        #[cfg(feature = "count-allocations")]
        tokio::spawn(crate::allocations::tell(self.installation.data.clone()));
        server::serve(listeners, network, &settings, stopped()).await;
        tracing::info!("the network has stopped");
        Ok(())
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("cannot listen on {address}"))
}

/// Starts the network of an installation that exists, on its open store.
pub(crate) fn start(
    installation: &Installation,
    store: Store,
    settings: network::Settings,
) -> anyhow::Result<Network> {
    let master_key = installation.read_master_key()?;
    let caller = installation.partner_caller()?;
    Ok(Network::start(store, caller, master_key, settings))
}

/// Resolves when the process is asked to stop.
pub(crate) async fn stopped() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}
