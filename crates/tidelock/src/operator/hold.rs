//! `tidelock operator hold`.

use clap::Subcommand;
use serde_json::json;

use super::request::{Paging, Request, listed, path};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Allocations and deallocations that wait for a partner, the oldest first
    List(Paging),
    /// Have the partner asked again, now
    Ask {
        /// Which allocation or deallocation
        allocation_id: String,
    },
    /// Give the money back and have the partner told
    Release {
        /// Which allocation or deallocation
        allocation_id: String,
        /// A sentence that client and partner see
        #[arg(long)]
        reason: String,
    },
}

impl Verb {
    pub(super) fn request(self) -> Request {
        match self {
            Verb::List(paging) => Request::Get(listed("holds", &paging, &[])),
            Verb::Ask { allocation_id } => {
                Request::Post(path(&["holds", &allocation_id, "ask"]), json!({}))
            }
            Verb::Release {
                allocation_id,
                reason,
            } => Request::Post(
                path(&["holds", &allocation_id, "release"]),
                json!({ "reason": reason }),
            ),
        }
    }
}
