//! `tidelock operator enterprise`.

use clap::{ArgAction, Subcommand};
use serde_json::json;

use super::request::{Paging, Request, listed, path};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// The oldest first
    List(Paging),
    /// Make or change an enterprise
    Put {
        /// 1 to 64 characters out of letters, digits, _ and -
        enterprise_id: String,
        /// Its name
        #[arg(long)]
        name: String,
        /// The legal custodian it belongs to; stays, once set
        #[arg(long)]
        trust_org: String,
        /// Whether it may use off-exchange settlement
        #[arg(long, action = ArgAction::Set)]
        licensed: bool,
    },
}

impl Verb {
    pub(super) fn request(self) -> Request {
        match self {
            Verb::List(paging) => Request::Get(listed("enterprises", &paging, &[])),
            Verb::Put {
                enterprise_id,
                name,
                trust_org,
                licensed,
            } => Request::Put(
                path(&["enterprises", &enterprise_id]),
                json!({"name": name, "trustOrg": trust_org, "licensed": licensed}),
            ),
        }
    }
}
