//! `tidelock operator settlement`.

use clap::Subcommand;
use serde_json::json;

use super::request::{Request, path};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Give up a staged settlement that has failed; what is held for it returns
    Reject {
        /// Which settlement
        settlement_id: String,
        /// A sentence that the partner sees
        #[arg(long)]
        reason: String,
    },
}

impl Verb {
    pub(super) fn request(self) -> Request {
        let Verb::Reject {
            settlement_id,
            reason,
        } = self;
        Request::Post(
            path(&["settlements", &settlement_id, "reject"]),
            json!({ "reason": reason }),
        )
    }
}
