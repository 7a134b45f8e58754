//! `tidelock operator partner`.

use clap::Subcommand;
use serde_json::json;

use super::request::{Paging, Request, listed, path};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// The newest first
    List(Paging),
    /// Stop or resume a partner, or call it mature
    Update {
        /// Which partner
        partner_id: String,
        /// Whether it takes new connections, allocations and settlements; left out: as it is
        #[arg(long)]
        active: Option<bool>,
        /// Whether it is called mature; left out: as it is
        #[arg(long)]
        stable: Option<bool>,
    },
}

impl Verb {
    pub(super) fn request(self) -> Request {
        match self {
            Verb::List(paging) => Request::Get(listed("partners", &paging, &[])),
            Verb::Update {
                partner_id,
                active,
                stable,
            } => Request::Put(
                path(&["partners", &partner_id]),
                json!({"active": active, "stable": stable}),
            ),
        }
    }
}
