//! The books of the simulated exchange: accounts, connections, movements, trades and settlements,
//! and the rules of a correct partner (OES wire §2.3, §3.2 to §3.5). Pure: no HTTP, no clock, no
//! network; random names only.
//!
//! For every connected account and currency, at rest:
//! `balance = what the network holds for the connection + unsettled`.
//!
//! The simulator runs partners on these books without HTTP.

mod movement;
mod settlement;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use ledger::Amount;
use uuid::Uuid;
use wire::connection_key::ConnectionKey;
use wire::partner_call::{ConnectRequest, ConnectResponse, FinalizeRequest, KeyFields};

use crate::name::{random_hex, random_name};

pub use movement::{Movement, State, Taking, Verdict};
use settlement::OpenPosting;
pub use settlement::{Outcome, Posting};

/// A "no" of the exchange, in the classes that HTTP tells apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400.
    #[error("{0}")]
    Malformed(String),
    /// 404.
    #[error("{0}")]
    NotKnown(String),
    /// 409.
    #[error("{0}")]
    Conflict(String),
    /// 422.
    #[error("{0}")]
    Refused(String),
}

/// What one account has in one currency, in base units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// All of it; below zero only if a dispute has ended so that what was spent never came.
    pub balance: i128,
    /// The part that is held for deallocations.
    pub held: i128,
    /// The part that open orders lock.
    pub locked: i128,
    /// Gains less losses of trades that are not settled.
    pub unsettled: i128,
}

impl Position {
    /// What is neither held nor locked.
    pub fn free(&self) -> i128 {
        self.balance - self.held - self.locked
    }

    /// Adds to the balance, unless it would pass what an amount can be.
    fn credit(&mut self, units: i128) -> Result<(), Refusal> {
        match self.balance.checked_add(units) {
            Some(sum) if sum <= Amount::MAX.units() => {
                self.balance = sum;
                Ok(())
            }
            _ => Err(Refusal::Refused(
                "the balance would be too large".to_owned(),
            )),
        }
    }

    fn require_free(&self, units: i128, currency: &str) -> Result<(), Refusal> {
        if self.free() >= units {
            return Ok(());
        }
        Err(Refusal::Refused(format!(
            "the account has {} {currency} that are not in use, {units} are wanted",
            self.free()
        )))
    }
}

/// How a connected account is known to the network.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are those of the call that connects"
)]
pub struct Link {
    pub connection_id: Uuid,
    pub client_id: Uuid,
    pub client_wallet_id: String,
    pub partners_connection_id: String,
}

/// A customer's account at the exchange.
#[derive(Clone, Debug)]
pub struct Account {
    /// The exchange's name for it.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What proves the account, in every schema at once.
    pub key: KeyFields,
    /// The connection it belongs to.
    pub link: Option<Link>,
    /// What it has, by currency.
    pub positions: BTreeMap<String, Position>,
}

impl Account {
    fn is_empty(&self) -> bool {
        let mut positions = self.positions.values();
        positions.all(|position| *position == Position::default())
    }

    fn position(&mut self, currency: &str) -> &mut Position {
        self.positions.entry(currency.to_owned()).or_default()
    }
}

/// One side of a trade: below zero is given, above zero is got, in base units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// In what.
    pub currency: String,
    /// How much.
    pub units: i128,
}

/// A trade of a customer against the exchange.
#[derive(Clone, Debug)]
pub struct Trade {
    /// The exchange's name for it.
    pub id: String,
    /// Whose it is.
    pub account_id: String,
    /// What was traded.
    pub base: Leg,
    /// For what.
    pub quote: Leg,
}

/// An open order: it locks what it would give.
#[derive(Clone, Debug)]
pub struct Order {
    /// Whose it is.
    pub account_id: String,
    /// What it would give.
    pub currency: String,
    /// How much of it.
    pub amount: Amount,
}

/// Everything that the exchange knows.
#[derive(Debug, Default)]
pub struct Books {
    accounts: BTreeMap<String, Account>,
    /// Which account a connection belongs to.
    connections: BTreeMap<Uuid, String>,
    /// Allocations and deallocations under one unique index (OES wire §2.3).
    movements: BTreeMap<Uuid, Movement>,
    trades: Vec<Trade>,
    orders: BTreeMap<String, Order>,
    open_posting: Option<OpenPosting>,
    settled: BTreeSet<String>,
    /// The final amounts of staged settlements, as the network has told them.
    finalized: BTreeMap<Uuid, FinalizeRequest>,
}

impl Books {
    /// H9: takes note of the final amounts of a staged settlement. Once told they stay.
    pub fn finalize(&mut self, request: &FinalizeRequest) -> Result<(), Refusal> {
        let known = self.finalized.entry(request.settlement_id);
        let known = known.or_insert_with(|| request.clone());
        if known == request {
            return Ok(());
        }
        Err(Refusal::Conflict(
            "the settlement was finalized with other amounts".to_owned(),
        ))
    }

    /// The final amounts of staged settlements, as they were told.
    pub fn finalized(&self) -> impl Iterator<Item = &FinalizeRequest> {
        self.finalized.values()
    }

    /// Opens an account with a key of its own. `balances` is for accounts that are not empty, and
    /// so cannot be connected.
    pub fn open_account(
        &mut self,
        name: Option<String>,
        balances: &BTreeMap<String, Amount>,
    ) -> Account {
        let id = random_name("account");
        let account = Account {
            name: name.unwrap_or_else(|| id.clone()),
            key: KeyFields {
                connection_token: Some(random_hex()),
                signature: Some(random_hex()),
                api_key: Some(random_hex()),
                api_secret: Some(random_hex()),
                client_account_id: Some(id.clone()),
                company_registration_number: Some(random_name("company")),
            },
            link: None,
            positions: balances
                .iter()
                .map(|(currency, amount)| {
                    let balance = amount.units();
                    let position = Position {
                        balance,
                        ..Position::default()
                    };
                    (currency.clone(), position)
                })
                .collect(),
            id: id.clone(),
        };
        self.accounts.insert(id, account.clone());
        account
    }

    /// H1. The key is the one of the request, opened if it was sealed.
    pub fn connect(
        &mut self,
        request: &ConnectRequest,
        key: &ConnectionKey,
    ) -> Result<ConnectResponse, Refusal> {
        let account = self
            .accounts
            .values_mut()
            .find(|account| account.key.key(key.schema()).as_ref() == Some(key));
        let known = self.connections.get(&request.connection_id);
        let Some(account) = account else {
            return Err(match known {
                Some(_) => Refusal::Conflict(
                    "the connection is known with another connection key".to_owned(),
                ),
                None => Refusal::Refused("no account has this connection key".to_owned()),
            });
        };
        match (&account.link, known) {
            (Some(link), Some(_)) if link.connection_id == request.connection_id => {
                let is_same = link.client_id == request.client_id
                    && link.client_wallet_id == request.client_wallet_id;
                if !is_same {
                    return Err(Refusal::Conflict(
                        "the connection is known with another client".to_owned(),
                    ));
                }
            }
            (_, Some(_)) => {
                return Err(Refusal::Conflict(
                    "the connection is known with another account".to_owned(),
                ));
            }
            (Some(_), None) => {
                return Err(Refusal::Refused(
                    "the account is already connected".to_owned(),
                ));
            }
            (None, None) if !account.is_empty() => {
                return Err(Refusal::Refused(
                    "the account is not new and empty".to_owned(),
                ));
            }
            (None, None) => {
                account.link = Some(Link {
                    connection_id: request.connection_id,
                    client_id: request.client_id,
                    client_wallet_id: request.client_wallet_id.clone(),
                    partners_connection_id: random_name("connection"),
                });
                self.connections
                    .insert(request.connection_id, account.id.clone());
            }
        }
        Ok(ConnectResponse {
            client_id: Some(request.client_id),
            connection_id: Some(request.connection_id),
            partners_client_id: Some(account.id.clone()),
            partners_connection_id: account
                .link
                .as_ref()
                .map(|link| link.partners_connection_id.clone()),
            reject_reason: None,
        })
    }

    /// A connected customer trades: one leg is given, the other got. What is given must be free.
    pub fn trade(&mut self, account_id: &str, base: Leg, quote: Leg) -> Result<Trade, Refusal> {
        if base.units.signum() * quote.units.signum() != -1 {
            return Err(Refusal::Malformed(
                "base and quote must have opposite signs".to_owned(),
            ));
        }
        if base.currency == quote.currency {
            return Err(Refusal::Malformed(
                "base and quote must be different currencies".to_owned(),
            ));
        }
        let account = account(&mut self.accounts, account_id)?;
        if account.link.is_none() {
            return Err(Refusal::Refused("the account is not connected".to_owned()));
        }
        let changed = [&base, &quote].map(|leg| {
            let mut position = *account.position(&leg.currency);
            if leg.units < 0 {
                position.require_free(-leg.units, &leg.currency)?;
            }
            position.credit(leg.units)?;
            // Bounded by the balances and by what the network takes; never near the limit.
            position.unsettled = position.unsettled.saturating_add(leg.units);
            Ok(position)
        });
        let [base_position, quote_position] = changed;
        let (base_position, quote_position) = (base_position?, quote_position?);
        *account.position(&base.currency) = base_position;
        *account.position(&quote.currency) = quote_position;
        let trade = Trade {
            id: random_name("trade"),
            account_id: account_id.to_owned(),
            base,
            quote,
        };
        self.trades.push(trade.clone());
        Ok(trade)
    }

    /// Locks a part of a balance, as an open order does, and names the order.
    pub fn lock(&mut self, order: Order) -> Result<String, Refusal> {
        let position = account(&mut self.accounts, &order.account_id)?.position(&order.currency);
        position.require_free(order.amount.units(), &order.currency)?;
        position.locked += order.amount.units();
        let id = random_name("order");
        self.orders.insert(id.clone(), order);
        Ok(id)
    }

    /// Cancels an order.
    pub fn unlock(&mut self, order_id: &str) -> Result<(), Refusal> {
        let order = self
            .orders
            .remove(order_id)
            .ok_or_else(|| Refusal::NotKnown("there is no such order".to_owned()))?;
        let position = account(&mut self.accounts, &order.account_id)?.position(&order.currency);
        position.locked -= order.amount.units();
        Ok(())
    }

    /// All accounts, by their names.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// All allocations and deallocations, by their ids.
    pub fn movements(&self) -> impl Iterator<Item = &Movement> {
        self.movements.values()
    }

    /// All trades in their order.
    pub fn trades(&self) -> &[Trade] {
        &self.trades
    }
}

fn account<'a>(
    accounts: &'a mut BTreeMap<String, Account>,
    id: &str,
) -> Result<&'a mut Account, Refusal> {
    accounts
        .get_mut(id)
        .ok_or_else(|| Refusal::NotKnown("there is no such account".to_owned()))
}
