//! `tidelock operator go-account`.

use clap::Subcommand;
use serde_json::json;

use super::request::{Paging, Request, listed, path};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// The oldest first
    List {
        /// Only those of this enterprise
        #[arg(long)]
        enterprise: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Give an enterprise a Go Account; its first one is the one it uses in the network
    Put {
        /// Whose
        enterprise_id: String,
        /// 32 hexadecimal digits
        go_account_id: String,
        /// What it is called; stays, once set
        #[arg(long)]
        label: String,
    },
    /// What stands there, in base units
    Balances {
        /// Which account
        go_account_id: String,
    },
}

impl Verb {
    pub(super) fn request(self) -> Request {
        match self {
            Verb::List { enterprise, paging } => {
                let filter = ("enterpriseId", enterprise.as_deref());
                Request::Get(listed("goAccounts", &paging, &[filter]))
            }
            Verb::Put {
                enterprise_id,
                go_account_id,
                label,
            } => Request::Put(
                path(&["enterprises", &enterprise_id, "goAccounts", &go_account_id]),
                json!({ "label": label }),
            ),
            Verb::Balances { go_account_id } => {
                Request::Get(path(&["goAccounts", &go_account_id, "balances"]))
            }
        }
    }
}
