//! `tidelock operator withdrawal`.

use clap::Subcommand;
use serde_json::json;

use super::{
    deposit::{Movement, Narrowed},
    request::{Request, path},
};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// The newest first
    List(Narrowed),
    /// Hold money that is to leave custody; repeating it changes nothing
    Request(Movement),
    /// Book that a withdrawal was paid
    Paid {
        /// Which withdrawal
        withdrawal_id: String,
    },
    /// Give the money of a withdrawal back
    Cancelled {
        /// Which withdrawal
        withdrawal_id: String,
    },
}

impl Verb {
    pub(super) fn request(self) -> Request {
        match self {
            Verb::List(narrowed) => Request::Get(narrowed.path("withdrawals")),
            Verb::Request(movement) => Request::Post(path(&["withdrawals"]), movement.body()),
            Verb::Paid { withdrawal_id } => finish(&withdrawal_id, "paid"),
            Verb::Cancelled { withdrawal_id } => finish(&withdrawal_id, "cancelled"),
        }
    }
}

fn finish(withdrawal_id: &str, ending: &str) -> Request {
    Request::Post(path(&["withdrawals", withdrawal_id, ending]), json!({}))
}
