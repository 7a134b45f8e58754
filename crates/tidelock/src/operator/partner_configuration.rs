//! `tidelock operator partner-configuration`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{
    network_file::{PartnerConfiguration, read_toml},
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
                let wanted: PartnerConfiguration = read_toml(&file)?;
                Ok(Request::Put(wanted.path(), serde_json::to_value(&wanted)?))
            }
        }
    }
}
