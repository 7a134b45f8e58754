//! The `tidelock` binary: command line, configuration and wiring.
//!
//! Everything it does is in the crates below: here they are put together. Rules, SQL and routes
//! are never here.

#[cfg(feature = "count-allocations")]
mod allocations;
mod backup;
mod demo;
mod init;
mod installation;
mod logging;
mod operator;
mod recover;
mod sandbox_exchange;
mod serve;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Requests make many small allocations on many threads.
#[cfg(not(feature = "count-allocations"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An open network for off-exchange settlement.
#[derive(Parser)]
#[command(name = "tidelock", version, about, propagate_version = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a new installation: its keys, its database, its first operator with a token
    Init(init::Init),
    /// Run the network
    Serve(serve::Serve),
    /// Recompute the books from the journal and say whether they agree
    Verify(verify::Verify),
    /// Make a new operator from the machine itself, where nobody can act as one any more
    Recover(recover::Recover),
    /// Copy the database, on SQLite, beside the running network, and verify the copy
    Backup(backup::Backup),
    /// Put a backup where no database is, and verify it
    Restore(backup::Restore),
    /// Play the main job from Create Partner to a settled trade, with a simulated exchange
    Demo(demo::Demo),
    /// Act as operator of a running network
    Operator(operator::OperatorCommand),
    /// Run things that stand in for others
    #[command(subcommand)]
    Sandbox(sandbox_exchange::Sandbox),
    /// Measure the network beside the ceilings of the machine
    Bench(bench::Bench),
    /// The partner of `bench`, in a process of its own
    #[command(hide = true)]
    BenchPartner(bench::Partner),
    /// Print the OpenAPI document
    Openapi,
}

fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(run(command)),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tidelock: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Init(init) => init.run().await.map(|()| ExitCode::SUCCESS),
        Command::Serve(serve) => serve.run().await,
        Command::Verify(verify) => verify.run().await,
        Command::Recover(recover) => recover.run().await.map(|()| ExitCode::SUCCESS),
        Command::Backup(backup) => backup.run().await,
        Command::Restore(restore) => restore.run().await,
        Command::Demo(demo) => demo.run().await.map(|()| ExitCode::SUCCESS),
        Command::Operator(operator) => operator.run().await.map(|()| ExitCode::SUCCESS),
        Command::Sandbox(sandbox) => sandbox.run().await.map(|()| ExitCode::SUCCESS),
        Command::Bench(bench) => bench.run().await,
        Command::BenchPartner(partner) => partner.run().await.map(|()| ExitCode::SUCCESS),
        Command::Openapi => {
            println!("{}", server::openapi::document());
            Ok(ExitCode::SUCCESS)
        }
    }
}
