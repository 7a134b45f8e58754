//! `tidelock verify`: the books checked against the journal.

use std::process::ExitCode;

use anyhow::Context;
use store::{Location, Report};

use crate::installation::Installation;

/// Exits with 0 if the books are sound, with 2 if they are not, with 1 if they cannot be read.
#[derive(clap::Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    installation: Installation,
}

impl Verify {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let location = self.installation.location()?;
        let report = verify(&location).await?;
        for line in describe(&report) {
            println!("{line}");
        }
        Ok(match report.is_sound() {
            true => ExitCode::SUCCESS,
            false => ExitCode::from(2),
        })
    }
}

/// Verifies the books at `location`.
pub(crate) async fn verify(location: &Location) -> anyhow::Result<Report> {
    store::verify(location)
        .await
        .with_context(|| format!("the database {location} cannot be verified"))
}

/// The report for people.
pub(crate) fn describe(report: &Report) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{} commits and {} journal entries; {} accounts, {} open holds",
            report.commits, report.entries, report.accounts, report.open_holds
        ),
        format!("last hash {}", report.last_hash),
    ];
    lines.extend(report.faults.iter().map(|fault| format!("FAULT: {fault}")));
    lines.push(match report.faults.len() {
        0 => "the books agree: chain, balances, holds, conservation, non-negativity".to_owned(),
        count => format!("the books do NOT agree: {count} faults"),
    });
    lines
}
