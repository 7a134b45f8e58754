//! Settlement over the chain.

use super::spelled;
use crate::SettlementId;

spelled! {
    /// Which way money moves over the chain, as clients see it.
    Direction {
        /// From the partner to clients.
        Gains = "gains",
        /// From clients to the partner.
        Losses = "losses",
    }
}

/// How far one direction of an on-chain settlement has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnChainPart {
    /// In how many currencies it is not finished.
    pub unfinished: i64,
    /// Whether it was found to take longer than it should.
    pub alerted: bool,
}

/// What a settlement that is made over the chain has beyond others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnChain {
    /// Which settlement.
    pub settlement_id: SettlementId,
    /// What clients gain.
    pub gains: OnChainPart,
    /// What clients lose.
    pub losses: OnChainPart,
}

impl OnChain {
    pub(crate) fn record_key(&self) -> SettlementId {
        self.settlement_id
    }

    /// One direction.
    pub fn part(&self, direction: Direction) -> OnChainPart {
        match direction {
            Direction::Gains => self.gains,
            Direction::Losses => self.losses,
        }
    }

    pub(crate) fn part_mut(&mut self, direction: Direction) -> &mut OnChainPart {
        match direction {
            Direction::Gains => &mut self.gains,
            Direction::Losses => &mut self.losses,
        }
    }
}
