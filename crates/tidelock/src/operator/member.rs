//! `tidelock operator member`.

use clap::Subcommand;
use serde_json::json;

use super::request::{Request, path};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// The members of an enterprise
    List {
        /// Which enterprise
        enterprise_id: String,
    },
    /// Make a user a member
    Put {
        /// Of which enterprise
        enterprise_id: String,
        /// Which user
        user_id: String,
        /// As what
        #[arg(long, value_parser = ["admin", "member"])]
        role: String,
    },
    /// Make a user a member no more
    Remove {
        /// Of which enterprise
        enterprise_id: String,
        /// Which user
        user_id: String,
    },
}

impl Verb {
    pub(super) fn request(self) -> Request {
        match self {
            Verb::List { enterprise_id } => {
                Request::Get(path(&["enterprises", &enterprise_id, "members"]))
            }
            Verb::Put {
                enterprise_id,
                user_id,
                role,
            } => Request::Put(
                path(&["enterprises", &enterprise_id, "members", &user_id]),
                json!({ "role": role }),
            ),
            Verb::Remove {
                enterprise_id,
                user_id,
            } => Request::Delete(path(&["enterprises", &enterprise_id, "members", &user_id])),
        }
    }
}
