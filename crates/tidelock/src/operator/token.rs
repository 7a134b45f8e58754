//! `tidelock operator token`.

use clap::{Subcommand, builder::PossibleValuesParser};
use rules::record::Scope;
use serde_json::json;

use super::request::{Paging, Request, listed, path};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// The oldest first, with their last use; revoked ones too
    List {
        /// Only those of this user
        #[arg(long)]
        user: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Issue a token; it is shown this once
    Issue {
        /// For whom
        user_id: String,
        /// What it is called
        #[arg(long)]
        label: String,
        /// Whether it can also prove itself by request HMACs (v2x) or not (plain)
        #[arg(long, value_parser = ["plain", "v2x"], default_value = "plain")]
        kind: String,
        /// What it may be used for; may be repeated
        #[arg(long = "scope", value_parser = scopes())]
        scopes: Vec<String>,
        /// A network (CIDR) that it may be used from; may be repeated; left out: from anywhere
        #[arg(long = "network")]
        networks: Vec<String>,
        /// When it stops to count, such as 2027-01-31T12:00:00Z; left out: never
        #[arg(long)]
        expires_at: Option<String>,
    },
    /// Let a token count no more
    Revoke {
        /// Which token, by its id
        token_id: String,
    },
}

fn scopes() -> PossibleValuesParser {
    Scope::ALL.iter().map(|(spelling, _)| *spelling).into()
}

impl Verb {
    pub(super) fn request(self) -> Request {
        match self {
            Verb::List { user, paging } => {
                Request::Get(listed("tokens", &paging, &[("userId", user.as_deref())]))
            }
            Verb::Issue {
                user_id,
                label,
                kind,
                scopes,
                networks,
                expires_at,
            } => Request::Post(
                path(&["users", &user_id, "tokens"]),
                json!({
                    "label": label,
                    "kind": kind,
                    "scopes": scopes,
                    "networks": networks,
                    "expiresAt": expires_at,
                }),
            ),
            Verb::Revoke { token_id } => Request::Delete(path(&["tokens", &token_id])),
        }
    }
}
