//! `tidelock operator act`.

use clap::{Args, Subcommand};

use super::request::{Paging, Request, listed};

/// Which acts are listed.
#[derive(Args)]
pub(super) struct Narrowed {
    /// Only acts of this kind, such as book_deposit
    #[arg(long)]
    act: Option<String>,
    /// Only what was done to this
    #[arg(long)]
    subject: Option<String>,
    /// Only what this user did
    #[arg(long)]
    user: Option<String>,
    /// Only what was done at this time or later, such as 2026-11-23T01:02:03Z
    #[arg(long)]
    from: Option<String>,
    /// Only what was done before this time
    #[arg(long)]
    before: Option<String>,
    #[command(flatten)]
    paging: Paging,
}

#[derive(Subcommand)]
pub(super) enum Verb {
    /// The newest first
    List(Narrowed),
}

impl Verb {
    pub(super) fn request(self) -> Request {
        let Verb::List(narrowed) = self;
        let filters = [
            ("act", narrowed.act.as_deref()),
            ("subject", narrowed.subject.as_deref()),
            ("userId", narrowed.user.as_deref()),
            ("from", narrowed.from.as_deref()),
            ("before", narrowed.before.as_deref()),
        ];
        Request::Get(listed("acts", &narrowed.paging, &filters))
    }
}
