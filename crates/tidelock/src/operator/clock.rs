//! `tidelock operator clock`.

use clap::Subcommand;
use serde_json::json;

use super::request::{Request, path};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// What time it is
    Show,
    /// Advance the test clock; an installation made without --test-clock has none
    Advance {
        /// By so many seconds
        #[arg(long, required_unless_present = "to", conflicts_with = "to")]
        seconds: Option<u64>,
        /// To this business time, such as 2026-11-23T01:02:03Z
        #[arg(long)]
        to: Option<String>,
    },
}

impl Verb {
    pub(super) fn request(self) -> Request {
        match self {
            Verb::Show => Request::Get(path(&["clock"])),
            Verb::Advance { seconds, to } => {
                let body = json!({ "seconds": seconds, "to": to });
                Request::Post(path(&["clock", "advance"]), body)
            }
        }
    }
}
