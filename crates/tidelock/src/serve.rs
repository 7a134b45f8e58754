//! `tidelock serve`: the network as a server.

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context;
use network::Network;
use store::{Extent, Opening, Store, StoreError};
use tokio::net::TcpListener;

use crate::{
    installation::Installation,
    logging::{self, LogFormat},
};

/// How far the books are checked before the network starts.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// All of the history; takes the longer the more there is
    Full,
    /// The last commits, what stands on the accounts, and a small file as a whole
    Recent,
    /// Not at all: start on whatever can be opened
    Off,
}

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

    /// Requests that a token may send to this server in a second, in the long run
    #[arg(long, env = "TIDELOCK_RATE_LIMIT", default_value_t = server::RateLimit::default().per_second,
        value_parser = at_most_a_million)]
    rate_limit: NonZeroU32,

    /// Requests that a token may send to this server at once
    #[arg(long, env = "TIDELOCK_RATE_LIMIT_BURST", default_value_t = server::RateLimit::default().burst,
        value_parser = at_most_a_million)]
    rate_limit_burst: NonZeroU32,

    /// Requests of one enterprise that are kept in the log of requests; 0: there is none
    #[arg(long, env = "TIDELOCK_REQUEST_LOG_ENTRIES", default_value_t = 10_000)]
    request_log_entries: u32,

    /// Days for which a request is kept in the log of requests
    #[arg(long, env = "TIDELOCK_REQUEST_LOG_DAYS", default_value_t = 7,
        value_parser = clap::value_parser!(u32).range(1..=3_650))]
    request_log_days: u32,

    /// Seconds for which a server works on a message to a partner before another may take it;
    /// more than twice the longest call to a partner
    #[arg(long, default_value_t = 30)]
    lease: u64,

    /// Seconds after which a PostgreSQL server that says nothing counts as lost
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    database_time_limit: u64,

    /// How far the books are checked before the network starts. It does not start on a database
    /// that is damaged
    #[arg(long, env = "TIDELOCK_CHECK", value_enum, default_value_t = Check::Recent)]
    check: Check,

    /// Form of the log lines
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    log_format: LogFormat,
}

impl Serve {
    /// Exits with 0 after it was asked to stop, with 2 without having started if the database is
    /// damaged.
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        logging::start(self.log_format)?;
        keep_little_free_memory();
        use_ordinary_pages();
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
        // Without it there is no installation, which is to be said before anything else.
        self.installation.read_master_key()?;
        if !self.may_start().await? {
            return Ok(ExitCode::from(2));
        }
        let opening = Opening {
            create: false,
            answer_within: Duration::from_secs(self.database_time_limit),
            trusting: self.check == Check::Off,
            ..Opening::default()
        };
        let store = self.installation.open_store_as(opening).await?;
        if let Some(clock) = store.test_clock() {
            let ahead_s = clock.ahead_us / 1_000_000;
            tracing::warn!(
                ahead_s,
                "THIS INSTALLATION HAS A TEST CLOCK: it is for tests, and never for real money"
            );
        }
        match store.approval_policy().await?.second_operator_required {
            true => tracing::info!("acts on money need a second operator"),
            false => tracing::info!(
                "ONE OPERATOR ALONE MOVES MONEY in this installation: no second one is required"
            ),
        }
        let network = start(&self.installation, store, settings)?;
        let address = listener.local_addr()?;
        // Whoever reads the next line may ask us to stop.
        let stop = stopped();
        // Scripts and tests that ask for port 0 read the address from here.
        println!("listening on http://{address}");
        if let Some(monitoring) = &monitoring {
            println!("metrics on http://{}/metrics", monitoring.local_addr()?);
        }
        tracing::info!(%address, "the network is serving");
        let request_log = server::RequestLogging {
            location: self.installation.location()?,
            keep_for: Duration::from_secs(u64::from(self.request_log_days) * 86_400),
            keep_per_enterprise: self.request_log_entries,
        };
        let settings = server::Settings {
            request_time_limit: Duration::from_secs(self.request_time_limit),
            rate_limit: server::RateLimit {
                per_second: self.rate_limit,
                burst: self.rate_limit_burst,
            },
            request_log: (self.request_log_entries > 0).then_some(request_log),
        };
        let listeners = server::Listeners {
            network: listener,
            monitoring,
        };
        #[cfg(feature = "count-allocations")]
        tokio::spawn(crate::allocations::tell(self.installation.data.clone()));
        server::serve(listeners, network, &settings, stop).await;
        tracing::info!("the network has stopped");
        Ok(ExitCode::SUCCESS)
    }

    /// Checks the books as far as was asked for, and says what is wrong with them.
    async fn may_start(&self) -> anyhow::Result<bool> {
        let extent = match self.check {
            Check::Full => Extent::Full,
            Check::Recent => Extent::Recent,
            Check::Off => {
                tracing::warn!("the books are not checked");
                return Ok(true);
            }
        };
        let location = self.installation.location()?;
        let began = Instant::now();
        let report = match store::check(&location, extent).await {
            Ok(report) => report,
            // Of a database that is missing, or of an earlier version, opening says what there is
            // to say. An earlier version is brought up to date without a check.
            Err(StoreError::Refused(reason)) => {
                tracing::info!(
                    reason,
                    "the books cannot be checked before the database is opened"
                );
                return Ok(true);
            }
            Err(error) => return Err(error).context(format!("the database {location}")),
        };
        for fault in &report.faults {
            tracing::error!(fault, "the database is damaged");
        }
        if report.is_sound() {
            let (commits, last_hash) = (report.commits, &report.last_hash);
            let took_ms = began.elapsed().as_millis();
            tracing::info!(commits, last_hash, took_ms, check = ?self.check, "the books agree");
            return Ok(true);
        }
        let count = report.faults.len();
        eprintln!(
            "tidelock: the database {location} is damaged ({count} faults, see the log): the \
             network does not start. Look at it with `tidelock verify`, restore a backup with \
             `tidelock restore`, or start all the same with --check off"
        );
        Ok(false)
    }
}

fn at_most_a_million(text: &str) -> Result<NonZeroU32, String> {
    let number = text.parse().ok().filter(|number| *number <= 1_000_000);
    let number = number.and_then(NonZeroU32::new);
    number.ok_or_else(|| "has to be a number from 1 to 1000000".to_owned())
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

/// Resolves when the process is asked to stop. It is listened for from now on, whenever the future
/// is first looked at.
pub(crate) fn stopped() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let asked = {
        use tokio::signal::unix::{SignalKind, signal};
        (
            signal(SignalKind::interrupt()),
            signal(SignalKind::terminate()),
        )
    };
    async move {
        #[cfg(unix)]
        if let (Ok(mut interrupt), Ok(mut terminate)) = asked {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// The allocator asks for huge pages, of which each is in memory as a whole for a few bytes used:
/// after a large settlement a third of the process was such. Where they cannot be declined, the
/// process is larger, and nothing else.
fn use_ordinary_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "huge pages cannot be declined");
    }
}

/// The allocator keeps for a second what has become free, which after large settlements is as much
/// as the process needs. It asks its environment how long it may, and only as a process begins: so
/// the process begins anew in its own place, unless whoever started it has said how long. Where it
/// cannot, it is larger for a while, and nothing else.
fn keep_little_free_memory() {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;

        const DELAY: &str = "MIMALLOC_PURGE_DELAY";
        const MILLISECONDS: &str = "5";
        if std::env::var_os(DELAY).is_some() {
            return;
        }
        let mut words = std::env::args_os();
        let own = words.next().unwrap_or_default();
        let error = match std::env::current_exe() {
            Ok(program) => std::process::Command::new(program)
                .arg0(own)
                .args(words)
                .env(DELAY, MILLISECONDS)
                .exec(),
            Err(error) => error,
        };
        tracing::debug!(%error, "free memory is kept for a second");
    }
}
