//! `tidelock operator on-chain`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::request::{Paging, Request, listed, path};

#[derive(Subcommand)]
pub(super) enum Verb {
    /// Settlements over the chain that have not ended, the newest first
    List(Paging),
    /// One settlement with all its legs
    Show {
        /// Which settlement
        settlement_id: String,
    },
    /// Deposits that partners have announced, the newest first
    Deposits {
        /// Only those for this settlement
        #[arg(long)]
        settlement: Option<String>,
        /// Only those that were seen, or were not
        #[arg(long)]
        seen: Option<bool>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Say that custody has received an announced deposit
    DepositSeen {
        /// Which deposit
        deposit_id: String,
        /// How much, in base units
        #[arg(long)]
        amount: String,
        /// Custody's name for it
        #[arg(long)]
        transfer_id: String,
    },
    /// Say that the losses in a currency were sent
    LossesStarted {
        #[command(flatten)]
        leg: Leg,
        /// The transaction, if it is known already
        #[arg(long)]
        tx: Option<String>,
    },
    /// Say that the losses in a currency have left custody
    LossesSeen {
        #[command(flatten)]
        leg: Leg,
        /// The transaction
        #[arg(long)]
        tx: String,
    },
    /// Give up the losses in a currency: they are the clients' again
    LossesFailed {
        #[command(flatten)]
        leg: Leg,
        /// A sentence that the partner sees
        #[arg(long)]
        reason: String,
    },
    /// Give up the gains in a currency: what was received is the partner's
    GainsFailed {
        #[command(flatten)]
        leg: Leg,
        /// A sentence that the partner sees
        #[arg(long)]
        reason: String,
    },
    /// Give what was received and nothing waits for to the partner's Go Account
    Return(Leg),
    /// Reject a settlement of which nothing is booked yet
    Reject {
        /// Which settlement
        settlement_id: String,
        /// A sentence that the partner sees
        #[arg(long)]
        reason: String,
    },
}

/// All transfers of a settlement in one direction and one currency.
#[derive(Args)]
pub(super) struct Leg {
    /// Which settlement
    settlement_id: String,
    /// In what, by the network's ticker
    currency: String,
}

impl Leg {
    fn post(&self, direction: &str, how: &str, body: Value) -> Request {
        let settlement = self.settlement_id.as_str();
        let segments = [
            "onChainSettlements",
            settlement,
            direction,
            &self.currency,
            how,
        ];
        Request::Post(path(&segments), body)
    }
}

impl Verb {
    pub(super) fn request(self) -> Request {
        match self {
            Verb::List(paging) => Request::Get(listed("onChainSettlements", &paging, &[])),
            Verb::Show { settlement_id } => {
                Request::Get(path(&["onChainSettlements", &settlement_id]))
            }
            Verb::Deposits {
                settlement,
                seen,
                paging,
            } => {
                let seen = seen.map(|seen| seen.to_string());
                let filters = [
                    ("settlementId", settlement.as_deref()),
                    ("seen", seen.as_deref()),
                ];
                Request::Get(listed("onChainDeposits", &paging, &filters))
            }
            Verb::DepositSeen {
                deposit_id,
                amount,
                transfer_id,
            } => Request::Post(
                path(&["onChainDeposits", &deposit_id, "seen"]),
                json!({ "amount": amount, "transferId": transfer_id }),
            ),
            Verb::LossesStarted { leg, tx } => {
                leg.post("losses", "started", json!({ "onChainTxId": tx }))
            }
            Verb::LossesSeen { leg, tx } => {
                leg.post("losses", "seen", json!({ "onChainTxId": tx }))
            }
            Verb::LossesFailed { leg, reason } => {
                leg.post("losses", "failed", json!({ "reason": reason }))
            }
            Verb::GainsFailed { leg, reason } => {
                leg.post("gains", "failed", json!({ "reason": reason }))
            }
            Verb::Return(leg) => leg.post("gains", "returned", json!({})),
            Verb::Reject {
                settlement_id,
                reason,
            } => Request::Post(
                path(&["onChainSettlements", &settlement_id, "reject"]),
                json!({ "reason": reason }),
            ),
        }
    }
}
