//! `tidelock operator user`.

use clap::Subcommand;
use serde_json::json;

use super::request::{Paging, Request, listed, path};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// The oldest first
    List(Paging),
    /// Make or change a user
    Put {
        /// 32 hexadecimal digits
        user_id: String,
        /// Its name
        #[arg(long)]
        name: String,
        /// What it may do to the installation; left out: nothing
        #[arg(long, value_parser = ["operator", "auditor"])]
        role: Option<String>,
    },
}

impl Verb {
    pub(super) fn request(self) -> Request {
        match self {
            Verb::List(paging) => Request::Get(listed("users", &paging, &[])),
            Verb::Put {
                user_id,
                name,
                role,
            } => Request::Put(
                path(&["users", &user_id]),
                json!({"name": name, "role": role}),
            ),
        }
    }
}
