//! `tidelock operator connection`.

use clap::Subcommand;
use serde_json::json;

use super::request::{Paging, Request, listed, path};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// The newest first
    List(Paging),
    /// Nothing is allocated over it; it is deallocated from and settled as ever
    Suspend {
        /// Which connection
        connection_id: String,
    },
    /// Undo that
    Reactivate {
        /// Which connection
        connection_id: String,
    },
}

impl Verb {
    pub(super) fn request(self) -> Request {
        let (id, suspended) = match self {
            Verb::List(paging) => return Request::Get(listed("connections", &paging, &[])),
            Verb::Suspend { connection_id } => (connection_id, true),
            Verb::Reactivate { connection_id } => (connection_id, false),
        };
        Request::Put(
            path(&["connections", &id]),
            json!({ "suspended": suspended }),
        )
    }
}
