//! Netting trades into settlements, and what follows from the network's answer (OES wire §3.5).

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Books, Refusal};
use crate::name::random_name;

/// A settlement as it is posted. A repeat is identical.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Our name for it.
    pub external_id: String,
    /// Base units per connection and currency, never zero; above zero the connection gains.
    pub amounts: BTreeMap<Uuid, BTreeMap<String, i128>>,
}

/// A settlement that was posted and is not completed.
#[derive(Clone, Debug)]
pub(super) struct OpenPosting {
    posting: Posting,
    /// How many attempts have no answer yet; each may have been, or may yet be, booked.
    unanswered: u32,
}

/// What came of posting a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the network's books.
    Completed,
    /// The network knows it and has booked nothing.
    NotBooked,
    /// The network did not take it.
    Refused,
    /// Nothing is known.
    Unknown,
}

impl Books {
    /// The settlement to post now: the one that was posted and did not complete, identically, or
    /// everything that was traded since the last one. A new name for what did not complete nets
    /// anew, but only when it is certain that nothing was booked under the old one.
    pub fn begin_settlement(&mut self, external_id: Option<String>) -> Result<Posting, Refusal> {
        if external_id
            .as_ref()
            .is_some_and(|id| self.settled.contains(id))
        {
            return Err(Refusal::Conflict(
                "the settlement is completed already".to_owned(),
            ));
        }
        if let Some(open) = &mut self.open_posting {
            let name = &open.posting.external_id;
            if external_id.as_ref().is_none_or(|id| id == name) {
                open.unanswered += 1;
                return Ok(open.posting.clone());
            }
            if open.unanswered > 0 {
                return Err(Refusal::Conflict(format!(
                    "what became of the settlement {name} is not known yet: post it again"
                )));
            }
        }
        let mut amounts: BTreeMap<Uuid, BTreeMap<String, i128>> = BTreeMap::new();
        for account in self.accounts.values() {
            let Some(link) = &account.link else { continue };
            for (currency, position) in &account.positions {
                if position.unsettled != 0 {
                    let connection = amounts.entry(link.connection_id).or_default();
                    connection.insert(currency.clone(), position.unsettled);
                }
            }
        }
        if amounts.is_empty() {
            return Err(Refusal::Refused("there is nothing to settle".to_owned()));
        }
        let posting = Posting {
            external_id: external_id.unwrap_or_else(|| random_name("settlement")),
            amounts,
        };
        self.open_posting = Some(OpenPosting {
            posting: posting.clone(),
            unanswered: 1,
        });
        Ok(posting)
    }

    /// Books what came of an attempt to post a settlement. Trades made meanwhile stay unsettled.
    pub fn end_settlement(&mut self, posted: &Posting, outcome: Outcome) {
        let Some(open) = &mut self.open_posting else {
            return;
        };
        if open.posting.external_id != posted.external_id {
            return;
        }
        match outcome {
            Outcome::Unknown => {}
            Outcome::NotBooked => open.unanswered = open.unanswered.saturating_sub(1),
            Outcome::Refused => {
                open.unanswered = open.unanswered.saturating_sub(1);
                if open.unanswered == 0 {
                    self.open_posting = None;
                }
            }
            Outcome::Completed => {
                self.open_posting = None;
                self.settled.insert(posted.external_id.clone());
                self.settle(&posted.amounts);
            }
        }
    }

    /// A dispute has ended otherwise than was posted: an account has more, or less, than its trades
    /// say. The network moves the difference by itself, so nothing of it becomes unsettled. Whoever
    /// has spent what it never got owes it: its balance is below zero until it allocates more.
    pub fn correct(&mut self, connection: Uuid, currency: &str, units: i128) {
        let account = self
            .connections
            .get(&connection)
            .and_then(|id| self.accounts.get_mut(id));
        if let Some(account) = account {
            let position = account.position(currency);
            position.balance = position.balance.saturating_add(units);
        }
    }

    fn settle(&mut self, amounts: &BTreeMap<Uuid, BTreeMap<String, i128>>) {
        for (connection, currencies) in amounts {
            let account = self
                .connections
                .get(connection)
                .and_then(|id| self.accounts.get_mut(id));
            let Some(account) = account else { continue };
            for (currency, units) in currencies {
                account.position(currency).unsettled -= units;
            }
        }
    }
}
