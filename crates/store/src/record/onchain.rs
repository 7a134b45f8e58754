//! Rows of settlements over the chain, of their legs and of their deposits.

use ledger::{EntryId, GoAccountId};
use rules::{
    OnChainDepositId, PartnerId, Reason, SettlementId,
    record::{
        Direction, LegKey, LegState, OnChain, OnChainDeposit, OnChainLeg, OnChainPart, SeenDeposit,
    },
};

use super::{Columns, CommitFacts, Stored, reason_values, table, time};
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
        losses_alerted Bool, started Bool, completed Int, failed Int);

    fn key_values(key: &SettlementId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        let mut row = OnChain::key_values(&self.settlement_id);
        row.extend(part_values(self.gains));
        row.extend(part_values(self.losses));
        row.extend([
            self.started.into(),
            self.completed.into(),
            self.failed.into(),
        ]);
        row
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(OnChain {
            settlement_id: SettlementId(columns.uuid()?),
            gains: part(columns)?,
            losses: part(columns)?,
            started: columns.boolean()?,
            completed: columns.int()?,
            failed: columns.int()?,
        })
    }
}

fn leg_state_text(state: &LegState) -> &'static str {
    match state {
        LegState::Announced => "announced",
        LegState::NotStarted => "not_started",
        LegState::Waiting => "waiting",
        LegState::Initiated => "initiated",
        LegState::Completed { .. } => "completed",
        LegState::Failed { .. } => "failed",
        LegState::Rejected => "rejected",
    }
}

fn leg_state(columns: &mut Columns) -> Result<LegState, StoreError> {
    let state = columns.text()?;
    let entry = columns.optional_uuid()?.map(EntryId);
    let reason: Option<Reason> = columns.reason()?;
    match (state.as_str(), entry, reason) {
        ("announced", None, None) => Ok(LegState::Announced),
        ("not_started", None, None) => Ok(LegState::NotStarted),
        ("waiting", None, None) => Ok(LegState::Waiting),
        ("initiated", None, None) => Ok(LegState::Initiated),
        ("completed", Some(entry), None) => Ok(LegState::Completed { entry }),
        ("failed", None, Some(reason)) => Ok(LegState::Failed { reason }),
        ("rejected", None, None) => Ok(LegState::Rejected),
        _ => Err(columns.corrupt(&state)),
    }
}

impl Stored for OnChainLeg {
    const TABLE: &'static Table = table!("on_chain_legs", ["settlement_id", "direction", "currency"],
        settlement_id Uuid, direction Text, currency Text, state Text, entry Uuid,
        reason_name Text, reason_message Text, total_units Amount, transfer_count Int,
        announced Int, received_units Amount, tx_ids Text, updated_at Int);

    fn key_values(key: &LegKey) -> Vec<Value> {
        vec![
            key.settlement_id.0.into(),
            key.direction.as_str().into(),
            key.currency.as_str().into(),
        ]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        let mut row = OnChainLeg::key_values(&self.key);
        let (entry, reason) = match &self.state {
            LegState::Completed { entry } => (Some(entry.0), None),
            LegState::Failed { reason } => (None, Some(reason)),
            _ => (None, None),
        };
        row.extend([leg_state_text(&self.state).into(), entry.into()]);
        row.extend(reason_values(reason));
        row.extend([
            self.total_units.into(),
            self.transfer_count.into(),
            self.announced.into(),
            self.received_units.into(),
            // A list of texts serialises.
            serde_json::to_string(&self.tx_ids)
                .unwrap_or_default()
                .into(),
            time(self.updated_at),
        ]);
        row
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(OnChainLeg {
            key: LegKey {
                settlement_id: SettlementId(columns.uuid()?),
                direction: columns.spelled(Direction::from_spelling)?,
                currency: columns.parsed()?,
            },
            state: leg_state(columns)?,
            total_units: columns.units()?,
            transfer_count: columns.int()?,
            announced: columns.int()?,
            received_units: columns.units()?,
            tx_ids: {
                let text = columns.text()?;
                serde_json::from_str(&text).map_err(|_| columns.corrupt(&text))?
            },
            updated_at: columns.time()?,
        })
    }
}

impl Stored for OnChainDeposit {
    const TABLE: &'static Table = table!("on_chain_deposits", ["id"],
        id Uuid, settlement_id Uuid, partner_id Uuid, partner_enterprise_id Text,
        go_account_id Uuid, external_settlement_id Text, currency Text, partner_currency Text,
        on_chain_tx_id Text, seen_amount Amount, transfer_id Text, signed_request Uuid,
        created_at Int, updated_at Int);

    fn key_values(key: &OnChainDepositId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        let seen = self.seen.as_ref();
        vec![
            self.id.0.into(),
            self.settlement_id.0.into(),
            self.partner_id.0.into(),
            self.partner_enterprise_id.as_str().into(),
            self.go_account_id.0.into(),
            self.external_settlement_id.as_str().into(),
            self.currency.as_str().into(),
            self.partner_currency.as_str().into(),
            self.on_chain_tx_id.as_str().into(),
            seen.map_or(0, |seen| seen.amount.units()).into(),
            seen.map(|seen| seen.transfer_id.as_str()).into(),
            self.signed_request.into(),
            time(self.created_at),
            time(self.updated_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        let mut deposit = OnChainDeposit {
            id: OnChainDepositId(columns.uuid()?),
            settlement_id: SettlementId(columns.uuid()?),
            partner_id: PartnerId(columns.uuid()?),
            partner_enterprise_id: columns.parsed()?,
            go_account_id: GoAccountId(columns.uuid()?),
            external_settlement_id: columns.text()?,
            currency: columns.parsed()?,
            partner_currency: columns.text()?,
            on_chain_tx_id: columns.text()?,
            seen: None,
            signed_request: uuid::Uuid::nil(),
            created_at: ledger::Timestamp(0),
            updated_at: ledger::Timestamp(0),
        };
        let units = columns.units()?;
        if let Some(transfer_id) = columns.optional_text()? {
            let amount = ledger::Amount::new(units);
            let amount = amount.map_err(|_| columns.corrupt(&units.to_string()))?;
            deposit.seen = Some(SeenDeposit {
                amount,
                transfer_id,
            });
        }
        deposit.signed_request = columns.uuid()?;
        deposit.created_at = columns.time()?;
        deposit.updated_at = columns.time()?;
        Ok(deposit)
    }
}
