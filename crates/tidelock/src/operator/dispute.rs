//! `tidelock operator dispute`.

use std::{convert::Infallible, str::FromStr};

use clap::Subcommand;
use serde_json::{Value, json};

use super::request::{Paging, Request, listed, path};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Those that no closure counts for yet, the oldest first
    List(Paging),
    /// Those with a closure that waits for its review, the oldest closure first
    Closures(Paging),
    /// What closed disputes have ended in and no settlement has taken along yet, the oldest first
    WaitingTransfers(Paging),
    /// Propose how a dispute ends, once the dispute window is over; it counts when it is approved
    Close {
        /// Which dispute
        dispute_id: String,
        /// Why, for client and partner to see
        #[arg(long)]
        notes: String,
        /// What moves instead of what is disputed, such as ofcbtc=-2500: base units, positive to the
        /// connection that disputes; with @CONNECTION at the end where another one is on the other
        /// side. May be repeated; left out: nothing moves
        #[arg(long = "adjustment", value_name = "CURRENCY=QUANTITY")]
        adjustments: Vec<Adjustment>,
    },
    /// Approve a closure that another operator has proposed, where a second one is required
    Approve {
        /// Which closure
        closure_id: String,
        /// Why, for client and partner to see
        #[arg(long)]
        notes: Option<String>,
    },
    /// Reject a closure: the dispute is open as before
    Reject {
        /// Which closure
        closure_id: String,
        /// Why, for client and partner to see
        #[arg(long)]
        notes: Option<String>,
    },
}

/// An amount that moves instead of what is disputed, as it was typed; the network judges it.
#[derive(Clone, Debug)]
pub(super) struct Adjustment {
    currency: String,
    quantity: String,
    counterparty_connection_id: Option<String>,
}

impl FromStr for Adjustment {
    type Err = Infallible;

    fn from_str(typed: &str) -> Result<Adjustment, Infallible> {
        let (amount, counterparty) = match typed.split_once('@') {
            Some((amount, connection)) => (amount, Some(connection.to_owned())),
            None => (typed, None),
        };
        let (currency, quantity) = amount.split_once('=').unwrap_or((amount, ""));
        Ok(Adjustment {
            currency: currency.to_owned(),
            quantity: quantity.to_owned(),
            counterparty_connection_id: counterparty,
        })
    }
}

impl Adjustment {
    fn content(&self) -> Value {
        json!({
            "currency": self.currency,
            "quantity": self.quantity,
            "counterpartyConnectionId": self.counterparty_connection_id,
        })
    }
}

fn review(closure_id: &str, verdict: &str, notes: Option<String>) -> Request {
    Request::Post(
        path(&["dispute-closures", closure_id, verdict]),
        json!({ "notes": notes }),
    )
}

impl Verb {
    pub(super) fn request(self) -> Request {
        match self {
            Verb::List(paging) => Request::Get(listed("disputes", &paging, &[])),
            Verb::Closures(paging) => Request::Get(listed("dispute-closures", &paging, &[])),
            Verb::WaitingTransfers(paging) => {
                Request::Get(listed("waiting-transfers", &paging, &[]))
            }
            Verb::Close {
                dispute_id,
                notes,
                adjustments,
            } => {
                let adjustments: Vec<Value> = adjustments.iter().map(Adjustment::content).collect();
                Request::Post(
                    path(&["disputes", &dispute_id, "closures"]),
                    json!({ "notes": notes, "adjustments": adjustments }),
                )
            }
            Verb::Approve { closure_id, notes } => review(&closure_id, "approve", notes),
            Verb::Reject { closure_id, notes } => review(&closure_id, "reject", notes),
        }
    }
}
