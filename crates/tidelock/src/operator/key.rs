//! `tidelock operator key`.

use clap::Subcommand;
use serde_json::json;

use super::request::{Request, path};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// The keys of a Go Account, revoked ones too
    List {
        /// Which account
        go_account_id: String,
    },
    /// Let a key sign for a Go Account
    Add {
        /// Which account
        go_account_id: String,
        /// A secp256k1 public key: an xpub, 66 hexadecimal digits or base64 SPKI
        public_key: String,
        /// What it is called
        #[arg(long)]
        label: String,
    },
    /// Let a key sign no more
    Revoke {
        /// Which key, by its id
        key_id: String,
    },
}

impl Verb {
    pub(super) fn request(self) -> Request {
        match self {
            Verb::List { go_account_id } => {
                Request::Get(path(&["goAccounts", &go_account_id, "keys"]))
            }
            Verb::Add {
                go_account_id,
                public_key,
                label,
            } => Request::Post(
                path(&["goAccounts", &go_account_id, "keys"]),
                json!({"publicKey": public_key, "label": label}),
            ),
            Verb::Revoke { key_id } => Request::Delete(path(&["keys", &key_id])),
        }
    }
}
