//! The scenarios as commands.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use testkit::postgres::Server;

/// Make things go wrong, and check that nothing was lost
#[derive(Parser)]
#[command(name = "faults")]
struct CommandLine {
    /// The server program; built, if cargo runs this and it is not named
    #[arg(long, global = true)]
    program: Option<PathBuf>,

    /// File for the log of acknowledgements, which must not exist; by default a temporary one
    #[arg(long, global = true)]
    log: Option<PathBuf>,

    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Clone, Copy, ValueEnum)]
enum Database {
    Sqlite,
    Postgres,
}

#[derive(Subcommand)]
enum Scenario {
    /// Kill the server at chosen moments and at any, start it again, check the books each time
    Crash {
        /// How often
        #[arg(long, default_value_t = 500)]
        kills: u32,

        /// On which database; a PostgreSQL server is started for it
        #[arg(long, value_enum)]
        database: Database,
    },
    /// Kill the primary of PostgreSQL, promote its synchronous standby, bring the old one back
    Failover {
        /// Seconds of load before and after
        #[arg(long, default_value_t = 5)]
        load: u64,
    },
    /// Run several servers on one PostgreSQL, and kill one of them
    Several {
        /// How many
        #[arg(long, default_value_t = 2)]
        servers: usize,

        /// How many ask at the same time on each of eight connections
        #[arg(long, default_value_t = 8)]
        workers: usize,

        /// Seconds of load
        #[arg(long, default_value_t = 10)]
        load: u64,
    },
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(CommandLine::parse())),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: CommandLine) -> anyhow::Result<()> {
    let program = match command.program {
        Some(program) => program,
        None => faults::world::build_program()?,
    };
    let folder = tempfile::tempdir()?;
    let log = command.log.unwrap_or_else(|| folder.path().join("log"));
    match command.scenario {
        Scenario::Crash { kills, database } => {
            let server;
            let database = match database {
                Database::Sqlite => format!("sqlite:{}", folder.path().join("books.db").display()),
                Database::Postgres => {
                    server = Server::start(&[]);
                    server.url()
                }
            };
            let settings = faults::crash::Settings {
                program,
                database,
                kills,
                log,
            };
            let report = faults::crash::run(&settings, |line| println!("{line}")).await?;
            println!("{report}");
        }
        Scenario::Failover { load } => {
            let settings = faults::failover::Settings {
                program,
                load: Duration::from_secs(load),
                flush: true,
                log,
            };
            println!("{}", faults::failover::run(&settings).await?);
        }
        Scenario::Several {
            servers,
            workers,
            load,
        } => {
            let server = Server::start(&[]);
            let settings = faults::several::Settings {
                program,
                database: server.url(),
                servers,
                workers,
                load: Duration::from_secs(load),
                kill: servers > 1,
                log,
            };
            println!("{}", faults::several::run(&settings).await?);
        }
    }
    Ok(())
}
