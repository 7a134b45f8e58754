//! Rows of clients' objections to settlements, and of how they end.

use std::collections::BTreeMap;

use ledger::{Currency, SignedAmount, Timestamp};
use rules::{
    ClientId, ConnectionId, DisputeClosureId, DisputeId, PartnerId, SettlementId, UserId,
    record::{Adjustment, ClosedBy, ClosureStatus, Dispute, DisputeClosure, Retraction, Review},
};
use serde::{Deserialize, Serialize};

use super::{Columns, CommitFacts, Stored, optional_time, table, time};
use crate::sql::{StoreError, Table, Value};

/// Amounts by currency, as they are stored: as text, so that no reader makes floats of them.
fn amounts_text(amounts: &BTreeMap<Currency, SignedAmount>) -> String {
    let texts = amounts.iter();
    let texts: BTreeMap<&str, String> = texts
        .map(|(currency, amount)| (currency.as_str(), amount.to_string()))
        .collect();
    serde_json::to_string(&texts).unwrap_or_default()
}

fn amounts(columns: &mut Columns) -> Result<BTreeMap<Currency, SignedAmount>, StoreError> {
    let text = columns.text()?;
    let texts: BTreeMap<String, String> =
        serde_json::from_str(&text).map_err(|_| columns.corrupt(&text))?;
    let read = texts.into_iter().map(|(currency, amount)| {
        let currency = currency.parse().map_err(|_| columns.corrupt(&text))?;
        let amount = amount.parse().map_err(|_| columns.corrupt(&text))?;
        Ok((currency, amount))
    });
    read.collect()
}

impl Stored for Dispute {
    const TABLE: &'static Table = table!("disputes", ["id"],
        id Uuid, settlement_id Uuid, connection_id Uuid, client_id Uuid,
        client_enterprise_id Text, partner_id Uuid, partner_enterprise_id Text, user_id Uuid,
        expected Text, reason Text, retracted_by Uuid, retracted_at Int, retracted_reason Text,
        closure_id Uuid, closed_at Int, signed_request Uuid, created_at Int,
        updated_at Int);

    fn key_values(key: &DisputeId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        let retraction = self.retraction.as_ref();
        vec![
            self.id.0.into(),
            self.settlement_id.0.into(),
            self.connection_id.0.into(),
            self.client_id.0.into(),
            self.client_enterprise_id.as_str().into(),
            self.partner_id.0.into(),
            self.partner_enterprise_id.as_str().into(),
            self.user_id.0.into(),
            amounts_text(&self.expected).into(),
            self.reason.as_deref().into(),
            retraction.map(|retraction| retraction.by.0).into(),
            optional_time(retraction.map(|retraction| retraction.at)),
            retraction.and_then(|r| r.reason.as_deref()).into(),
            self.closure_id.map(|id| id.0).into(),
            optional_time(self.closed_at),
            self.signed_request.into(),
            time(self.created_at),
            time(self.updated_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Dispute {
            id: DisputeId(columns.uuid()?),
            settlement_id: SettlementId(columns.uuid()?),
            connection_id: ConnectionId(columns.uuid()?),
            client_id: ClientId(columns.uuid()?),
            client_enterprise_id: columns.parsed()?,
            partner_id: PartnerId(columns.uuid()?),
            partner_enterprise_id: columns.parsed()?,
            user_id: UserId(columns.uuid()?),
            expected: amounts(columns)?,
            reason: columns.optional_text()?,
            retraction: acted(columns)?.map(|(by, at, reason)| Retraction { by, at, reason }),
            closure_id: columns.optional_uuid()?.map(DisputeClosureId),
            closed_at: columns.optional_time()?,
            signed_request: columns.uuid()?,
            created_at: columns.time()?,
            updated_at: columns.time()?,
        })
    }
}

/// Who did something, when, and what they wrote beside it, if anybody did.
fn acted(columns: &mut Columns) -> Result<Option<(UserId, Timestamp, Option<String>)>, StoreError> {
    let (by, at) = (columns.optional_uuid()?, columns.optional_time()?);
    let text = columns.optional_text()?;
    Ok(by.zip(at).map(|(by, at)| (UserId(by), at, text)))
}

/// An adjustment as it is stored.
#[derive(Serialize, Deserialize)]
struct AdjustmentText {
    counterparty: Option<String>,
    currency: String,
    amount: String,
}

fn adjustments_text(adjustments: &[Adjustment]) -> String {
    let texts = adjustments.iter().map(|adjustment| AdjustmentText {
        counterparty: adjustment.counterparty.map(|id| id.to_string()),
        currency: adjustment.currency.to_string(),
        amount: adjustment.amount.to_string(),
    });
    serde_json::to_string(&texts.collect::<Vec<_>>()).unwrap_or_default()
}

fn adjustments(columns: &mut Columns) -> Result<Vec<Adjustment>, StoreError> {
    let text = columns.text()?;
    let texts: Vec<AdjustmentText> =
        serde_json::from_str(&text).map_err(|_| columns.corrupt(&text))?;
    let read = texts.into_iter().map(|adjustment| {
        Ok(Adjustment {
            counterparty: (adjustment.counterparty.map(|id| id.parse()))
                .transpose()
                .map_err(|_| columns.corrupt(&text))?,
            currency: (adjustment.currency.parse()).map_err(|_| columns.corrupt(&text))?,
            amount: (adjustment.amount.parse()).map_err(|_| columns.corrupt(&text))?,
        })
    });
    read.collect()
}

impl Stored for DisputeClosure {
    const TABLE: &'static Table = table!("dispute_closures", ["id"],
        id Uuid, dispute_id Uuid, closed_by Text, user_id Uuid, notes Text, adjustments Text,
        status Text, reviewed_by Uuid, reviewed_at Int, review_notes Text, signed_request Uuid,
        created_at Int, updated_at Int);

    fn key_values(key: &DisputeClosureId) -> Vec<Value> {
        vec![key.0.into()]
    }

    fn to_row(&self, _: &CommitFacts<'_>) -> Vec<Value> {
        let review = self.review.as_ref();
        vec![
            self.id.0.into(),
            self.dispute_id.0.into(),
            self.closed_by.as_str().into(),
            self.user_id.0.into(),
            self.notes.as_str().into(),
            adjustments_text(&self.adjustments).into(),
            self.status.as_str().into(),
            review.map(|review| review.by.0).into(),
            optional_time(review.map(|review| review.at)),
            review.and_then(|review| review.notes.as_deref()).into(),
            self.signed_request.into(),
            time(self.created_at),
            time(self.updated_at),
        ]
    }

    fn from_row(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(DisputeClosure {
            id: DisputeClosureId(columns.uuid()?),
            dispute_id: DisputeId(columns.uuid()?),
            closed_by: columns.spelled(ClosedBy::from_spelling)?,
            user_id: UserId(columns.uuid()?),
            notes: columns.text()?,
            adjustments: adjustments(columns)?,
            status: columns.spelled(ClosureStatus::from_spelling)?,
            review: acted(columns)?.map(|(by, at, notes)| Review { by, notes, at }),
            signed_request: columns.optional_uuid()?,
            created_at: columns.time()?,
            updated_at: columns.time()?,
        })
    }
}
