//! `tidelock operator currency`.

use clap::Subcommand;
use serde_json::json;

use super::request::{Request, path};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// All of them
    List,
    /// Make or change a currency
    Put {
        /// 1 to 64 characters out of letters, digits and . : _ -; case matters
        ticker: String,
        /// The asset behind it, such as btc
        #[arg(long)]
        backing: String,
        /// How many decimals a full unit has, 0 to 30; they stay, once set
        #[arg(long)]
        decimals: u8,
        /// Where custody holds it
        #[arg(long)]
        custody_source: String,
    },
}

impl Verb {
    pub(super) fn request(self) -> Request {
        match self {
            Verb::List => Request::Get(path(&["currencies"])),
            Verb::Put {
                ticker,
                backing,
                decimals,
                custody_source,
            } => Request::Put(
                path(&["currencies", &ticker]),
                json!({"backing": backing, "decimals": decimals, "custodySource": custody_source}),
            ),
        }
    }
}
