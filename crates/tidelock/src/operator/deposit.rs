//! `tidelock operator deposit`.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use super::request::{Paging, Request, listed, path};

/// Money that crosses the border of custody.
#[derive(Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Movement {
    /// To or from which account
    go_account_id: String,
    /// In what
    currency: String,
    /// How much, in base units
    amount: String,
    /// The name under which it is known at the custody source, and unique there
    #[arg(long = "reference")]
    external_reference: String,
}

/// Whose movements are listed.
#[derive(Args)]
pub(super) struct Narrowed {
    /// Only those of this account
    #[arg(long)]
    go_account: Option<String>,
    #[command(flatten)]
    paging: Paging,
}

#[derive(Subcommand)]
pub(super) enum Verb {
    /// The newest first
    List(Narrowed),
    /// Book money that custody has received; repeating it changes nothing
    Book(Movement),
}

impl Movement {
    pub(super) fn body(&self) -> Value {
        // The same spellings as the type has; there is nothing in it that could not be JSON.
        json!(self)
    }
}

impl Narrowed {
    pub(super) fn path(&self, plural: &str) -> String {
        let filter = ("goAccountId", self.go_account.as_deref());
        listed(plural, &self.paging, &[filter])
    }
}

impl Verb {
    pub(super) fn request(self) -> Request {
        match self {
            Verb::List(narrowed) => Request::Get(narrowed.path("deposits")),
            Verb::Book(movement) => Request::Post(path(&["deposits"]), movement.body()),
        }
    }
}
