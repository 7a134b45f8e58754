//! `tidelock operator installation`.

use clap::Subcommand;
use serde_json::json;

use super::request::{Request, path};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Whether acts on money need a second operator, and how many operators there are
    Show,
    /// Make acts on money need a second operator, or no more; what is left out stays as it is
    Update {
        /// Whether a second operator has to approve deposits, withdrawals and releases
        #[arg(long)]
        second_operator_required: Option<bool>,
        /// How long a proposal can be approved
        #[arg(long, value_name = "SECONDS")]
        proposals_expire_after: Option<u32>,
    },
}

impl Verb {
    pub(super) fn request(self) -> Request {
        match self {
            Verb::Show => Request::Get(path(&["installation"])),
            Verb::Update {
                second_operator_required,
                proposals_expire_after,
            } => Request::Put(
                path(&["installation"]),
                json!({
                    "secondOperatorRequired": second_operator_required,
                    "proposalsExpireAfterSeconds": proposals_expire_after,
                }),
            ),
        }
    }
}
