//! `tidelock operator client`.

use clap::Subcommand;
use serde_json::json;

use super::request::{Paging, Request, listed, path};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// The newest first
    List(Paging),
    /// It opens no connections and allocates nothing; it deallocates and is settled as ever
    Suspend {
        /// Which client
        client_id: String,
    },
    /// Undo that
    Reactivate {
        /// Which client
        client_id: String,
    },
}

impl Verb {
    pub(super) fn request(self) -> Request {
        let (id, suspended) = match self {
            Verb::List(paging) => return Request::Get(listed("clients", &paging, &[])),
            Verb::Suspend { client_id } => (client_id, true),
            Verb::Reactivate { client_id } => (client_id, false),
        };
        Request::Put(path(&["clients", &id]), json!({ "suspended": suspended }))
    }
}
