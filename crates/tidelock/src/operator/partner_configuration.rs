//! `tidelock operator partner-configuration`.

use std::{fs, path::PathBuf};

use anyhow::Context;
use clap::Subcommand;
use client::network_file::PartnerConfiguration;
use serde_json::json;

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
    /// Set or replace the public key that connection keys for the partner are sealed to
    PutKey {
        /// The partner's enterprise
        enterprise_id: String,
        /// The name under which it is configured
        institution_identifier: String,
        /// An RSA public key in PEM
        file: PathBuf,
    },
    /// Remove it: connection keys are taken unsealed then
    RemoveKey {
        /// The partner's enterprise
        enterprise_id: String,
        /// The name under which it is configured
        institution_identifier: String,
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
            Verb::PutKey {
                enterprise_id,
                institution_identifier,
                file,
            } => {
                let pem = fs::read_to_string(&file)
                    .with_context(|| format!("{} cannot be read", file.display()))?;
                let path = key_path(&enterprise_id, &institution_identifier);
                Ok(Request::Put(path, json!({ "publicKey": pem })))
            }
            Verb::RemoveKey {
                enterprise_id,
                institution_identifier,
            } => Ok(Request::Delete(key_path(
                &enterprise_id,
                &institution_identifier,
            ))),
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

fn key_path(enterprise_id: &str, institution_identifier: &str) -> String {
    path(&[
        "enterprises",
        enterprise_id,
        "partnerConfigurations",
        institution_identifier,
        "publicKey",
    ])
}
