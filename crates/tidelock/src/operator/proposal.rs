//! `tidelock operator proposal`.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::request::{Paging, Request, listed, path};

/// What has become of a proposal.
#[derive(Clone, Copy, ValueEnum)]
enum Status {
    /// It can be approved
    Open,
    /// Nobody has decided on it in its time
    Expired,
    /// It was approved, and done
    Approved,
    /// It was rejected
    Rejected,
}

/// Which proposals are listed.
#[derive(Args)]
pub(super) struct Narrowed {
    /// Only those of which this has become
    #[arg(long)]
    status: Option<Status>,
    #[command(flatten)]
    paging: Paging,
}

#[derive(Subcommand)]
pub(super) enum Verb {
    /// The newest first
    List(Narrowed),
    /// One of them
    Show {
        /// Which proposal
        proposal_id: String,
    },
    /// Have what another operator has proposed done
    Approve {
        /// Which proposal
        proposal_id: String,
        /// Why, for the record
        #[arg(long)]
        notes: Option<String>,
    },
    /// Have it not done; also takes back an own proposal
    Reject {
        /// Which proposal
        proposal_id: String,
        /// Why, for the record
        #[arg(long)]
        notes: String,
    },
}

impl Verb {
    pub(super) fn request(self) -> Request {
        match self {
            Verb::List(narrowed) => {
                let status = narrowed.status.map(|status| match status {
                    Status::Open => "open",
                    Status::Expired => "expired",
                    Status::Approved => "approved",
                    Status::Rejected => "rejected",
                });
                Request::Get(listed("proposals", &narrowed.paging, &[("status", status)]))
            }
            Verb::Show { proposal_id } => Request::Get(path(&["proposals", &proposal_id])),
            Verb::Approve { proposal_id, notes } => Request::Post(
                path(&["proposals", &proposal_id, "approve"]),
                json!({ "notes": notes }),
            ),
            Verb::Reject { proposal_id, notes } => Request::Post(
                path(&["proposals", &proposal_id, "reject"]),
                json!({ "notes": notes }),
            ),
        }
    }
}
