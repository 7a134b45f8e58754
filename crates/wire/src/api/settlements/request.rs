//! What partners sign to settle, at once or staged; what goes over the chain stands in `on_chain`.

use serde::Serialize;
use utoipa::ToSchema;

use super::SettlementAmounts;
use crate::api::signed::Content;
use crate::api::{DateTime, bounds};
use crate::body::{Fault, Reader};
use crate::json::Json;

/// What a partner signs to settle at once: content of P10.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewSettlement {
    /// The partner's own id, at most 512 bytes; the same id is the same request for ever.
    #[schema(min_length = 1)]
    pub external_id: String,
    /// Notes for clients to see, at most 10 000 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1)]
    pub notes: Option<String>,
    /// What moves.
    pub settlement_amounts: SettlementAmounts,
    /// The nonce, at most 512 bytes.
    #[schema(min_length = 1)]
    pub nonce: String,
}

impl NewSettlement {
    /// Takes a settlement with at least `least` amounts out of a body.
    fn take_with(body: &Reader<'_>, least: usize) -> Option<Self> {
        let external_id = bounds::text(body, "externalId");
        let notes = bounds::optional_notes(body, "notes");
        let settlement_amounts = SettlementAmounts::take(body, "settlementAmounts", least);
        let nonce = bounds::text(body, "nonce");
        Some(Self {
            external_id: external_id?,
            notes,
            settlement_amounts: settlement_amounts?,
            nonce: nonce?,
        })
    }
}

impl Content for NewSettlement {
    fn take(body: &Reader<'_>) -> Option<Self> {
        Self::take_with(body, 1)
    }

    fn nonce_mut(&mut self) -> &mut String {
        &mut self.nonce
    }
}

/// What a partner signs to stage a settlement: content of P11. `settlementAmounts` may be empty while
/// something of closed disputes waits for a settlement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewStagedSettlement {
    /// The settlement.
    #[serde(flatten)]
    pub settlement: NewSettlement,
    /// The time of the newest trade in it.
    pub cutoff_at: DateTime,
}

impl Content for NewStagedSettlement {
    fn take(body: &Reader<'_>) -> Option<Self> {
        let settlement = NewSettlement::take_with(body, 0);
        let cutoff_at = body.date_time("cutoffAt").map(DateTime);
        Some(Self {
            settlement: settlement?,
            cutoff_at: cutoff_at?,
        })
    }

    fn nonce_mut(&mut self) -> &mut String {
        &mut self.settlement.nonce
    }
}

/// Body of P9, the signing helper that every kind of settlement shares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettlementToSign {
    /// The settlement.
    #[serde(flatten)]
    pub settlement: NewSettlement,
    /// The time of the newest trade in it, for staged settlements only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutoff_at: Option<DateTime>,
}

impl SettlementToSign {
    /// Reads the body.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let cutoff_at = body.optional_date_time("cutoffAt").map(DateTime);
        let least = usize::from(cutoff_at.is_none());
        let settlement = NewSettlement::take_with(&body, least);
        body.finish(|| {
            Some(Self {
                settlement: settlement?,
                cutoff_at,
            })
        })
    }
}
