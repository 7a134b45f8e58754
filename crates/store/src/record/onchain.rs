//! Rows of settlements over the chain.

use rules::{
    SettlementId,
    record::{OnChain, OnChainPart},
};

use super::{Columns, CommitFacts, Stored, table};
use crate::sql::{StoreError, Table, Value};

fn part_values(part: OnChainPart) -> [Value; 2] {
    [part.unfinished.into(), part.alerted.into()]
}

fn part(columns: &mut Columns) -> Result<OnChainPart, StoreError> {
    Ok(OnChainPart {
        unfinished: columns.int()?,
        alerted: columns.boolean()?,
    })
}

impl Stored for OnChain {
    const TABLE: &'static Table = table!("on_chain_settlements", ["settlement_id"],
        settlement_id Uuid, gains_unfinished Int, gains_alerted Bool, losses_unfinished Int,
        losses_alerted Bool);

    fn key_values(key: &SettlementId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        let mut row = OnChain::key_values(&self.settlement_id);
        row.extend(part_values(self.gains));
        row.extend(part_values(self.losses));
        row
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(OnChain {
            settlement_id: SettlementId(columns.uuid()?),
            gains: part(columns)?,
            losses: part(columns)?,
        })
    }
}
