//! Trades, as partners sign them (P19). What is done with signed trades is not part of the
//! protocol yet.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::quantity::{PartnerQuantity, SignedPartnerAmount};
use super::{DateTime, bounds};
use crate::body::{Fault, Reader};
use crate::json::Json;

/// A trade of a client at a partner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trade {
    /// The partner's id for the trade, at most 512 bytes.
    #[schema(min_length = 1)]
    pub external_id: String,
    /// The partner's id for the order that it fills, at most 512 bytes.
    #[schema(min_length = 1)]
    pub external_order_id: String,
    /// The connection of the client who traded.
    #[serde(with = "crate::api::uuid_text")]
    pub party_connection_id: Uuid,
    /// The connection on the other side; left out if that is the partner itself.
    #[serde(
        with = "crate::api::uuid_text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub counterparty_connection_id: Option<Uuid>,
    /// When it was made.
    pub traded_at: DateTime,
    /// What was bought or sold; positive if the party gains it.
    pub base: SignedPartnerAmount,
    /// What was paid or received for it; of the opposite sign.
    pub quote: SignedPartnerAmount,
}

/// Why a trade is said again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TradeCorrection {
    /// The partner's id for the correction, at most 512 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1)]
    pub external_id: Option<String>,
    /// Who corrects it, at most 512 bytes.
    #[schema(min_length = 1)]
    pub correcting_user: String,
    /// Why, at most 10 000 bytes.
    #[schema(min_length = 1)]
    pub reason: String,
}

/// Body of P19.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TradeToSign {
    /// The trade.
    pub trade: Trade,
    /// Why it is said again, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trade_correction: Option<TradeCorrection>,
    /// The nonce, at most 512 bytes.
    #[schema(min_length = 1)]
    pub nonce: String,
}

impl Trade {
    fn take(body: &Reader<'_>, name: &str) -> Option<Self> {
        let trade = body.object(name)?;
        let external_id = bounds::text(&trade, "externalId");
        let external_order_id = bounds::text(&trade, "externalOrderId");
        let party_connection_id = trade.uuid("partyConnectionId");
        let counterparty_connection_id = trade.optional_uuid("counterpartyConnectionId");
        if party_connection_id.is_some() && party_connection_id == counterparty_connection_id {
            trade.fault("counterpartyConnectionId", "must not be the party itself");
        }
        let traded_at = trade.date_time("tradedAt").map(DateTime);
        let base = SignedPartnerAmount::take(&trade, "base");
        let quote = SignedPartnerAmount::take(&trade, "quote");
        let sign = |amount: &SignedPartnerAmount| PartnerQuantity::is_negative(&amount.quantity);
        if let (Some(base), Some(quote)) = (&base, &quote)
            && sign(base) == sign(quote)
        {
            trade.fault("quote.quantity", "must have the opposite sign of the base");
        }
        Some(Self {
            external_id: external_id?,
            external_order_id: external_order_id?,
            party_connection_id: party_connection_id?,
            counterparty_connection_id,
            traded_at: traded_at?,
            base: base?,
            quote: quote?,
        })
    }
}

impl TradeCorrection {
    fn take(body: &Reader<'_>, name: &str) -> Option<Self> {
        let correction = body.optional_object(name)?;
        let external_id = bounds::optional_text(&correction, "externalId");
        let correcting_user = bounds::text(&correction, "correctingUser");
        let reason = bounds::notes(&correction, "reason");
        Some(Self {
            external_id,
            correcting_user: correcting_user?,
            reason: reason?,
        })
    }
}

impl TradeToSign {
    /// Reads the body.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let trade = Trade::take(&body, "trade");
        let trade_correction = TradeCorrection::take(&body, "tradeCorrection");
        let nonce = bounds::text(&body, "nonce");
        body.finish(|| {
            Some(Self {
                trade: trade?,
                trade_correction,
                nonce: nonce?,
            })
        })
    }
}
