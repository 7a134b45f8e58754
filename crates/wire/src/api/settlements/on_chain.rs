//! Settlement over the chain: what partners sign to start it, and the deposits that they announce
//! for it (P16 to P18).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::value::RawValue;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};
use uuid::Uuid;

use super::amounts::{self, PartyAmount, SettlementAmounts};
use super::{PendingSettlement, Settlement, SettlementRecord};
use crate::api::quantity::PartnerQuantity;
use crate::api::signed::Content;
use crate::api::{DateTime, bounds};
use crate::body::{Fault, Reader};
use crate::json::Json;

/// The most deposits that one request may announce.
const DEPOSITS_MAX: usize = 100;

/// What a settlement over the chain moves: `{connection: {currency: quantity}}`, each between the
/// partner and a connection, in canonical order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnChainAmounts(pub Vec<PartyAmount>);

impl OnChainAmounts {
    fn take(body: &Reader<'_>, name: &str) -> Option<Self> {
        match SettlementAmounts::take(body, name, 1)? {
            SettlementAmounts::Party(amounts) => Some(Self(amounts)),
            SettlementAmounts::Pair(_) => {
                let message = "must hold amounts of single connections: what is between two connections is not settled over the chain";
                body.fault(name, message);
                None
            }
        }
    }
}

impl Serialize for OnChainAmounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SettlementAmounts::Party(self.0.clone()).serialize(serializer)
    }
}

impl PartialSchema for OnChainAmounts {
    fn schema() -> RefOr<Schema> {
        amounts::party_schema()
    }
}

impl ToSchema for OnChainAmounts {}

/// What a partner signs to settle over the chain: content of P16.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewOnChainSettlement {
    /// The partner's own id, at most 512 bytes; the same id is the same request for ever.
    #[schema(min_length = 1)]
    pub external_id: String,
    /// Notes for clients to see, at most 10 000 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1)]
    pub notes: Option<String>,
    /// What moves.
    pub settlement_amounts: OnChainAmounts,
    /// The nonce, at most 512 bytes.
    #[schema(min_length = 1)]
    pub nonce: String,
}

impl Content for NewOnChainSettlement {
    fn take(body: &Reader<'_>) -> Option<Self> {
        let external_id = bounds::text(body, "externalId");
        let notes = bounds::optional_notes(body, "notes");
        let settlement_amounts = OnChainAmounts::take(body, "settlementAmounts");
        let nonce = bounds::text(body, "nonce");
        Some(Self {
            external_id: external_id?,
            notes,
            settlement_amounts: settlement_amounts?,
            nonce: nonce?,
        })
    }

    fn nonce_mut(&mut self) -> &mut String {
        &mut self.nonce
    }
}

impl Settlement {
    /// What it has in every state, to change it.
    pub fn record_mut(&mut self) -> &mut SettlementRecord {
        match self {
            Settlement::Pending(settlement) => &mut settlement.record,
            Settlement::Completed(settlement) => &mut settlement.record,
            Settlement::Failed(settlement) => &mut settlement.record,
            Settlement::Rejected(settlement) => &mut settlement.record,
        }
    }
}

/// 200 of P16.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OnChainSettlementResponse {
    /// The settlement, as it stands.
    pub settlement: Settlement,
}

/// 202 of P16.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OnChainSettlementStarted {
    /// The settlement, which has just begun.
    pub settlement: PendingSettlement,
}

/// A transaction that brings clients' gains into custody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewOnChainDeposit {
    /// The partner's name for the currency, at most 512 bytes.
    #[schema(min_length = 1)]
    pub currency: String,
    /// The id of the transaction on its chain, at most 512 bytes.
    #[schema(min_length = 1)]
    pub on_chain_tx_id: String,
}

/// Deposits for a settlement over the chain, as they are signed: body of P17. There is no nonce:
/// announcing a deposit twice is announcing it once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnChainDepositsToSign {
    /// The partner's own id for the settlement, at most 512 bytes. The settlement may be posted
    /// later.
    #[schema(min_length = 1)]
    pub external_settlement_id: String,
    /// The settlement, if there is one already.
    #[serde(
        with = "crate::api::uuid_text::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub settlement_id: Option<Uuid>,
    /// The deposits: 1 to 100, none of them twice.
    #[schema(min_items = 1, max_items = 100)]
    pub deposits: Vec<NewOnChainDeposit>,
}

/// Signed deposits for a settlement over the chain: body of P18.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NewOnChainDeposits {
    /// The deposits.
    #[serde(flatten)]
    pub content: OnChainDepositsToSign,
    /// The text that was signed: JSON that says what the body says.
    #[schema(min_length = 1)]
    pub payload: String,
    /// The signature over the payload's bytes.
    #[schema(min_length = 1)]
    pub signature: String,
}

impl OnChainDepositsToSign {
    /// Members of the body that need not stand in the payload.
    pub const UNSIGNED: &'static [&'static str] = &["payload", "signature"];

    fn take(body: &Reader<'_>) -> Option<Self> {
        let external_settlement_id = bounds::text(body, "externalSettlementId");
        let settlement_id = body.optional_uuid("settlementId");
        let deposits = deposits(body, "deposits");
        Some(Self {
            external_settlement_id: external_settlement_id?,
            settlement_id,
            deposits: deposits?,
        })
    }

    /// Reads the body of P17.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let content = Self::take(&body);
        body.finish(|| content)
    }
}

impl NewOnChainDeposits {
    /// Reads the body of P18 with its payload and signature; whether these are good is found later.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let content = OnChainDepositsToSign::take(&body);
        let payload = body.string("payload");
        let signature = body.string("signature");
        body.finish(|| {
            Some(Self {
                content: content?,
                payload: payload?,
                signature: signature?,
            })
        })
    }
}

fn deposits(body: &Reader<'_>, name: &str) -> Option<Vec<NewOnChainDeposit>> {
    let listed = body.array(name)?;
    if !(1..=DEPOSITS_MAX).contains(&listed.len()) {
        body.fault(name, format!("must hold 1 to {DEPOSITS_MAX} deposits"));
        return None;
    }
    let mut deposits: Vec<NewOnChainDeposit> = Vec::with_capacity(listed.len());
    let mut is_whole = true;
    for element in body.objects(name)? {
        let currency = bounds::text(&element, "currency");
        let on_chain_tx_id = bounds::text(&element, "onChainTxId");
        let (Some(currency), Some(on_chain_tx_id)) = (currency, on_chain_tx_id) else {
            is_whole = false;
            continue;
        };
        let deposit = NewOnChainDeposit {
            currency,
            on_chain_tx_id,
        };
        if deposits.contains(&deposit) {
            element.fault("onChainTxId", "is there twice in this currency");
            is_whole = false;
        }
        deposits.push(deposit);
    }
    is_whole.then_some(deposits)
}

/// A JSON number with all its digits: it is never turned into a floating-point number here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExactNumber(String);

impl From<&PartnerQuantity> for ExactNumber {
    fn from(quantity: &PartnerQuantity) -> Self {
        // What a quantity may be written like is a JSON number, too.
        Self(quantity.as_str().to_owned())
    }
}

impl Serialize for ExactNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = RawValue::from_string(self.0.clone()).map_err(ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ExactNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let quantity = PartnerQuantity::parse(raw.get()).map_err(de::Error::custom)?;
        Ok(Self::from(&quantity))
    }
}

/// A deposit that was announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnChainDeposit {
    /// Its id.
    #[serde(with = "crate::api::uuid_text")]
    pub id: Uuid,
    /// The settlement that it is for; if that was not posted yet, the id that it will get.
    #[serde(with = "crate::api::uuid_text")]
    pub settlement_id: Uuid,
    /// The partner's own id for the settlement.
    #[schema(min_length = 1)]
    pub external_settlement_id: String,
    /// The id of the transaction on its chain.
    #[schema(min_length = 1)]
    pub on_chain_tx_id: String,
    /// The partner's name for the currency.
    #[schema(min_length = 1)]
    pub currency: String,
    /// Custody's name for what was received, once it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer_id: Option<String>,
    /// How much was received, as the partner writes amounts, once it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>)]
    pub quantity: Option<ExactNumber>,
    /// When it was announced.
    pub created_at: DateTime,
    /// When this record last changed.
    pub updated_at: DateTime,
}

/// 201 of P18.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OnChainDepositsResponse {
    /// The deposits, in the order in which they were sent.
    pub deposits: Vec<OnChainDeposit>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_keep_every_digit_as_numbers() {
        for text in [
            "99999999999999999999999999999999999999",
            "0.000000000000000001",
            "7",
        ] {
            let number = ExactNumber::from(&PartnerQuantity::parse(text).unwrap());
            assert_eq!(serde_json::to_string(&number).unwrap(), text);
            assert_eq!(serde_json::from_str::<ExactNumber>(text).unwrap(), number);
        }
        for text in ["\"7\"", "null", "1e3", "-0"] {
            assert!(serde_json::from_str::<ExactNumber>(text).is_err(), "{text}");
        }
    }

    fn read(body: serde_json::Value) -> Result<OnChainDepositsToSign, Vec<String>> {
        let json = Json::parse(body.to_string().as_bytes()).unwrap();
        let read = OnChainDepositsToSign::read(&json);
        read.map_err(|faults| faults.into_iter().map(|fault| fault.field).collect())
    }

    #[test]
    fn deposits_are_read_whole_or_blamed() {
        let deposit = serde_json::json!({"currency": "BTC", "onChainTxId": "a1"});
        let body =
            |deposits| serde_json::json!({"externalSettlementId": "s", "deposits": deposits});
        let good = read(body(serde_json::json!([deposit]))).unwrap();
        assert_eq!(good.deposits[0].on_chain_tx_id, "a1");
        assert_eq!(good.settlement_id, None);
        for (deposits, blamed) in [
            (serde_json::json!([]), "deposits"),
            (serde_json::json!(vec![&deposit; 101]), "deposits"),
            (
                serde_json::json!([deposit, deposit]),
                "deposits[1].onChainTxId",
            ),
            (
                serde_json::json!([{"currency": "BTC"}]),
                "deposits[0].onChainTxId",
            ),
            (serde_json::json!([5]), "deposits[0]"),
            (serde_json::json!("x"), "deposits"),
        ] {
            assert_eq!(read(body(deposits)).unwrap_err(), [blamed]);
        }
    }
}
