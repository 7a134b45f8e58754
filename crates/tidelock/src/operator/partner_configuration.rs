//! `tidelock operator partner-configuration`.

use std::path::PathBuf;

use clap::Subcommand;
use client::network_file::PartnerConfiguration;

use super::{
    read,
    request::{Request, path},
};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// All of them
    List,
    /// Make or change what was agreed with a partner
    Put {
        /// In TOML, the members of one [[partner_configuration]] of a network file
        file: PathBuf,
    },
}

impl Verb {
    pub(super) fn request(self) -> anyhow::Result<Request> {
        match self {
            Verb::List => Ok(Request::Get(path(&["partnerConfigurations"]))),
            Verb::Put { file } => {
                let wanted = read(&file, PartnerConfiguration::parse)?;
                let body = serde_json::to_value(&wanted)?;
                Ok(Request::Put(path_of(&wanted), body))
            }
        }
    }
}

/// Where the API has it.
pub(super) fn path_of(agreed: &PartnerConfiguration) -> String {
    path(&[
        "enterprises",
        &agreed.enterprise_id,
        "partnerConfigurations",
        &agreed.institution_identifier,
    ])
}
