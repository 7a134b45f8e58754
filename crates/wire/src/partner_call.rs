//! What the network and a partner say to each other when the network calls (OES wire §1c, §2.3,
//! H1 to H9), both ways: the network writes the requests and reads the responses, a partner the
//! other way round. Requests have the `partners…` spelling; of responses both that one and the
//! older `partner…` are read, and unknown members are passed over.
//!
//! What an answer means, with its status, its absence or its contradictions, is decided by the
//! crate that calls; routes and header names belong to the partner's configuration.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::connection_key::{ConnectionKey, ConnectionKeySchema};

/// An amount in the partner's own terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallAmount {
    /// The partner's name for the currency.
    pub currency: String,
    /// Base units or full units, as the partner's configuration says. Written as a string; a
    /// number, as old samples have it, is read with exactly its digits.
    #[serde(deserialize_with = "string_or_number")]
    pub quantity: String,
}

impl CallAmount {
    /// Whether the other amount is the same one: same name, and the same number but for zeros
    /// after the decimal point.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        fn significant(quantity: &str) -> &str {
            let is_digits =
                |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            match quantity.split_once('.') {
                Some((_, fraction)) if is_digits(fraction) => {
                    quantity.trim_end_matches('0').trim_end_matches('.')
                }
                _ => quantity,
            }
        }
        self.currency == other.currency
            && significant(&self.quantity) == significant(&other.quantity)
    }
}

fn string_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    // The raw text, because a JSON number of 38 digits fits no number type of the decoder.
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    match raw.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw.get()).map_err(serde::de::Error::custom),
        Some(b'0'..=b'9' | b'-') => Ok(raw.get().to_owned()),
        _ => Err(serde::de::Error::custom("a quantity is a string")),
    }
}

/// The fields of a connection key as H1 carries them: at the top level of the request, without the
/// schema, which both sides know. `Debug` shows their names only.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyFields {
    /// Of `token` and `tokenAndSignature`: one-time password or identifier; secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_token: Option<String>,
    /// Of `tokenAndSignature`; secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// Of `apiKeyAndSecret` and `clearloop`; secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// Of `apiKeyAndSecret` and `clearloop`; secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_secret: Option<String>,
    /// Of `clearloop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_account_id: Option<String>,
    /// Of `clearloop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_registration_number: Option<String>,
}

impl KeyFields {
    /// The key of the given schema, if all of its fields are there.
    #[must_use]
    pub fn key(&self, schema: ConnectionKeySchema) -> Option<ConnectionKey> {
        let fields = self.clone();
        Some(match schema {
            ConnectionKeySchema::Token => ConnectionKey::Token {
                connection_token: fields.connection_token?,
            },
            ConnectionKeySchema::TokenAndSignature => ConnectionKey::TokenAndSignature {
                connection_token: fields.connection_token?,
                signature: fields.signature?,
            },
            ConnectionKeySchema::ApiKeyAndSecret => ConnectionKey::ApiKeyAndSecret {
                api_key: fields.api_key?,
                api_secret: fields.api_secret?,
            },
            ConnectionKeySchema::Clearloop => ConnectionKey::Clearloop {
                api_key: fields.api_key?,
                api_secret: fields.api_secret?,
                client_account_id: fields.client_account_id?,
                company_registration_number: fields.company_registration_number?,
            },
        })
    }

    /// The secrets among the fields, plain or sealed.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        [
            &self.connection_token,
            &self.signature,
            &self.api_key,
            &self.api_secret,
        ]
        .into_iter()
        .filter_map(|field| field.as_deref())
    }
}

impl From<ConnectionKey> for KeyFields {
    fn from(key: ConnectionKey) -> Self {
        match key {
            ConnectionKey::Token { connection_token } => Self {
                connection_token: Some(connection_token),
                ..Self::default()
            },
            ConnectionKey::TokenAndSignature {
                connection_token,
                signature,
            } => Self {
                connection_token: Some(connection_token),
                signature: Some(signature),
                ..Self::default()
            },
            ConnectionKey::ApiKeyAndSecret {
                api_key,
                api_secret,
            } => Self {
                api_key: Some(api_key),
                api_secret: Some(api_secret),
                ..Self::default()
            },
            ConnectionKey::Clearloop {
                api_key,
                api_secret,
                client_account_id,
                company_registration_number,
            } => Self {
                api_key: Some(api_key),
                api_secret: Some(api_secret),
                client_account_id: Some(client_account_id),
                company_registration_number: Some(company_registration_number),
                ..Self::default()
            },
        }
    }
}

impl fmt::Debug for KeyFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            ("connectionToken", &self.connection_token),
            ("signature", &self.signature),
            ("apiKey", &self.api_key),
            ("apiSecret", &self.api_secret),
            ("clientAccountId", &self.client_account_id),
            (
                "companyRegistrationNumber",
                &self.company_registration_number,
            ),
        ];
        f.write_str("KeyFields")?;
        f.debug_set()
            .entries(names.iter().filter(|(_, v)| v.is_some()).map(|(n, _)| n))
            .finish()
    }
}

/// H1: a client wants to be connected. Holds secrets, which `Debug` does not show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectRequest {
    /// The client.
    #[serde(with = "id")]
    pub client_id: Uuid,
    /// The client's Go Account, 32 hex digits.
    pub client_wallet_id: String,
    /// The connection that is to be.
    #[serde(with = "id")]
    pub connection_id: Uuid,
    /// The partner that is asked.
    #[serde(with = "id")]
    pub partner_id: Uuid,
    /// What the client shows to prove its account at the partner.
    #[serde(flatten)]
    pub key: KeyFields,
}

/// The answer to H1. Everything may be missing from what a partner sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectResponse {
    /// Repeats the request.
    #[serde(default, with = "optional_id", skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Uuid>,
    /// Repeats the request.
    #[serde(default, with = "optional_id", skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<Uuid>,
    /// The partner's name for the client.
    #[serde(alias = "partnerClientId", skip_serializing_if = "Option::is_none")]
    pub partners_client_id: Option<String>,
    /// The partner's name for the connection.
    #[serde(alias = "partnerConnectionId", skip_serializing_if = "Option::is_none")]
    pub partners_connection_id: Option<String>,
    /// Why the partner does not want the connection.
    #[serde(alias = "rejectionReason", skip_serializing_if = "Option::is_none")]
    pub reject_reason: Option<String>,
}

/// H9: the dispute window of a settlement has ended, and these are its final amounts. Disputed ones
/// are not among them; those of earlier disputes that ride along are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FinalizeRequest {
    /// The settlement.
    #[serde(with = "id")]
    pub settlement_id: Uuid,
    /// The partner's own name for it.
    pub external_id: String,
    /// The time of the newest trade in it, as the partner gave it.
    pub cutoff_at: String,
    /// What moves, by connection and the partner's name for the currency: above zero to the
    /// connection. What cancels out is left out.
    pub settlement_amounts: BTreeMap<String, BTreeMap<String, String>>,
    /// The connections whose clients dispute it.
    pub disputed_connection_ids: Vec<String>,
    /// Until when the partner may top up its account.
    pub top_up_window_ends_at: String,
}

/// Which way a movement goes, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MovementKind {
    /// To the partner.
    Allocation,
    /// Back from the partner.
    Deallocation,
}

/// Which allocation or deallocation a call is about; on the wire the member `allocationId` or
/// `deallocationId`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// An allocation.
    #[serde(rename = "allocationId", with = "id")]
    Allocation(Uuid),
    /// A deallocation.
    #[serde(rename = "deallocationId", with = "id")]
    Deallocation(Uuid),
}

impl Subject {
    /// From its two parts.
    #[must_use]
    pub fn new(kind: MovementKind, id: Uuid) -> Self {
        match kind {
            MovementKind::Allocation => Self::Allocation(id),
            MovementKind::Deallocation => Self::Deallocation(id),
        }
    }

    /// Which of the two it is.
    #[must_use]
    pub fn kind(self) -> MovementKind {
        match self {
            Self::Allocation(_) => MovementKind::Allocation,
            Self::Deallocation(_) => MovementKind::Deallocation,
        }
    }

    /// Its identifier. Partners keep those of both kinds in one unique index.
    #[must_use]
    pub fn id(self) -> Uuid {
        match self {
            Self::Allocation(id) | Self::Deallocation(id) => id,
        }
    }
}

/// H2 to H7: reserve (H2, H5), clear (H3, H6) or release (H4, H7) a movement. All of them repeat
/// ids and amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MovementRequest {
    /// What it is about.
    #[serde(flatten)]
    pub subject: Subject,
    /// How much.
    pub amount: CallAmount,
    /// The client.
    #[serde(with = "id")]
    pub client_id: Uuid,
    /// The connection.
    #[serde(with = "id")]
    pub connection_id: Uuid,
    /// The partner's name for the connection.
    pub partners_connection_id: String,
    /// The partner's name for the client.
    pub partners_client_id: String,
}

/// The answer to H2 to H7. Everything may be missing from what a partner sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MovementResponse {
    /// Repeats the request, if it was an allocation.
    #[serde(default, with = "optional_id", skip_serializing_if = "Option::is_none")]
    pub allocation_id: Option<Uuid>,
    /// Repeats the request, if it was a deallocation.
    #[serde(default, with = "optional_id", skip_serializing_if = "Option::is_none")]
    pub deallocation_id: Option<Uuid>,
    /// Repeats the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<CallAmount>,
    /// Repeats the request.
    #[serde(default, with = "optional_id", skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Uuid>,
    /// Repeats the request.
    #[serde(default, with = "optional_id", skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<Uuid>,
    /// Repeats the request.
    #[serde(alias = "partnerConnectionId", skip_serializing_if = "Option::is_none")]
    pub partners_connection_id: Option<String>,
    /// Repeats the request.
    #[serde(alias = "partnerClientId", skip_serializing_if = "Option::is_none")]
    pub partners_client_id: Option<String>,
    /// The partner's name for the allocation.
    #[serde(alias = "partnerAllocationId", skip_serializing_if = "Option::is_none")]
    pub partners_allocation_id: Option<String>,
    /// The partner's name for the deallocation.
    #[serde(
        alias = "partnerDeallocationId",
        skip_serializing_if = "Option::is_none"
    )]
    pub partners_deallocation_id: Option<String>,
    /// Why the partner does not want the movement; missing or empty: it does.
    #[serde(alias = "rejectionReason", skip_serializing_if = "Option::is_none")]
    pub reject_reason: Option<String>,
}

impl MovementResponse {
    /// A response that repeats the request and adds the partner's own name for the movement.
    #[must_use]
    pub fn to(request: &MovementRequest, partners_id: Option<String>) -> Self {
        let repeated = Self {
            amount: Some(request.amount.clone()),
            client_id: Some(request.client_id),
            connection_id: Some(request.connection_id),
            partners_connection_id: Some(request.partners_connection_id.clone()),
            partners_client_id: Some(request.partners_client_id.clone()),
            ..Self::default()
        };
        match request.subject {
            Subject::Allocation(id) => Self {
                allocation_id: Some(id),
                partners_allocation_id: partners_id,
                ..repeated
            },
            Subject::Deallocation(id) => Self {
                deallocation_id: Some(id),
                partners_deallocation_id: partners_id,
                ..repeated
            },
        }
    }
}

/// How far a movement has come at the partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MovementStatus {
    /// Taken, not decided: the partner is asynchronous.
    Pending,
    /// Accepted and held.
    Reserved,
    /// Credited or debited, for good.
    Cleared,
    /// Dropped, for good; also where the release was the first that the partner heard of it.
    Released,
    /// Refused by the partner, for good.
    Rejected,
}

/// The answer to H8, with status 200; that the id is not known is told by 404 with a JSON body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusResponse {
    /// The allocation or deallocation that was asked for.
    #[serde(with = "id")]
    pub id: Uuid,
    /// Which of the two it is.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<MovementKind>,
    /// How far it has come.
    pub status: MovementStatus,
    /// How much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<CallAmount>,
    /// Why it was rejected.
    #[serde(alias = "rejectionReason", skip_serializing_if = "Option::is_none")]
    pub reject_reason: Option<String>,
    /// The partner's name for the allocation.
    #[serde(alias = "partnerAllocationId", skip_serializing_if = "Option::is_none")]
    pub partners_allocation_id: Option<String>,
    /// The partner's name for the deallocation.
    #[serde(
        alias = "partnerDeallocationId",
        skip_serializing_if = "Option::is_none"
    )]
    pub partners_deallocation_id: Option<String>,
}

/// What a partner says beside a status that is not 200.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorResponse {
    /// A sentence for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The same in the form of a rejection.
    #[serde(alias = "rejectionReason", skip_serializing_if = "Option::is_none")]
    pub reject_reason: Option<String>,
}

/// Identifiers as strings.
mod id {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(id: &Uuid, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Uuid, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Identifiers as strings that may be missing or null.
mod optional_id {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(id: &Option<Uuid>, to: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => to.collect_str(id),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Uuid>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(digit: u128) -> Uuid {
        Uuid::from_u128(digit)
    }

    fn text_of(digit: u128) -> String {
        id(digit).to_string()
    }

    fn request(subject: Subject) -> MovementRequest {
        MovementRequest {
            subject,
            amount: CallAmount {
                currency: "BTC".to_owned(),
                quantity: "100".to_owned(),
            },
            client_id: id(2),
            connection_id: id(3),
            partners_connection_id: "c".to_owned(),
            partners_client_id: "a".to_owned(),
        }
    }

    #[test]
    fn the_key_lies_at_the_top_level_of_a_connect_request() {
        let key = ConnectionKey::ApiKeyAndSecret {
            api_key: "k".to_owned(),
            api_secret: "hush".to_owned(),
        };
        let request = ConnectRequest {
            client_id: id(1),
            client_wallet_id: "f".repeat(32),
            connection_id: id(2),
            partner_id: id(3),
            key: key.clone().into(),
        };
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            json!({
                "clientId": text_of(1), "clientWalletId": "f".repeat(32), "connectionId": text_of(2),
                "partnerId": text_of(3), "apiKey": "k", "apiSecret": "hush",
            })
        );
        let again: ConnectRequest = serde_json::from_str(&text).unwrap();
        assert_eq!(again, request);
        assert!(again.key.key(ConnectionKeySchema::ApiKeyAndSecret) == Some(key));
        assert!(again.key.key(ConnectionKeySchema::Clearloop).is_none());
        assert_eq!(again.key.secrets().collect::<Vec<_>>(), ["k", "hush"]);
        let shown = format!("{request:?}");
        assert!(
            shown.contains("apiSecret") && !shown.contains("hush"),
            "{shown}"
        );
    }

    #[test]
    fn a_movement_names_its_subject_by_its_kind() {
        for (subject, name) in [
            (Subject::Allocation(id(1)), "allocationId"),
            (Subject::Deallocation(id(1)), "deallocationId"),
        ] {
            let request = request(subject);
            let text = serde_json::to_string(&request).unwrap();
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_eq!(
                json,
                json!({
                    name: text_of(1), "amount": {"currency": "BTC", "quantity": "100"},
                    "clientId": text_of(2), "connectionId": text_of(3),
                    "partnersConnectionId": "c", "partnersClientId": "a",
                })
            );
            assert_eq!(
                serde_json::from_str::<MovementRequest>(&text).unwrap(),
                request
            );
            assert_eq!(Subject::new(subject.kind(), subject.id()), subject);
        }
        assert!(serde_json::from_str::<MovementRequest>("{}").is_err());
    }

    #[test]
    fn responses_are_read_in_both_spellings() {
        let old = r#"{"deallocationId":"00000000-0000-0000-0000-000000000001","partnerClientId":"a",
            "partnerDeallocationId":"d","rejectionReason":null,"extra":[1],
            "amount":{"currency":"BTC","quantity":99999999999999999999999999999999999999}}"#;
        let read: MovementResponse = serde_json::from_str(old).unwrap();
        assert_eq!(read.partners_client_id.as_deref(), Some("a"));
        assert_eq!(read.partners_deallocation_id.as_deref(), Some("d"));
        assert_eq!(read.reject_reason, None);
        assert_eq!(read.amount.unwrap().quantity, "9".repeat(38));

        let response =
            MovementResponse::to(&request(Subject::Allocation(id(1))), Some("p".to_owned()));
        let text = serde_json::to_string(&response).unwrap();
        assert!(text.contains(r#""partnersAllocationId":"p""#), "{text}");
        assert_eq!(
            serde_json::from_str::<MovementResponse>(&text).unwrap(),
            response
        );
        for wrong in [
            r#"{"allocationId":"x"}"#,
            r#"{"amount":{"currency":"BTC","quantity":true}}"#,
        ] {
            assert!(serde_json::from_str::<MovementResponse>(wrong).is_err());
        }
    }

    #[test]
    fn a_status_is_one_of_five() {
        let text = r#"{"id":"00000000-0000-0000-0000-000000000001","type":"allocation","status":"reserved"}"#;
        let read: StatusResponse = serde_json::from_str(text).unwrap();
        assert_eq!(read.status, MovementStatus::Reserved);
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert!(serde_json::from_str::<StatusResponse>(&text.replace("reserved", "done")).is_err());
    }

    #[test]
    fn amounts_are_compared_as_numbers() {
        let amount = |quantity: &str| CallAmount {
            currency: "BTC".to_owned(),
            quantity: quantity.to_owned(),
        };
        assert!(amount("1.5").is_same_as(&amount("1.500")));
        assert!(amount("100").is_same_as(&amount("100.0")));
        assert!(!amount("100").is_same_as(&amount("1")));
        assert!(!amount("1.5").is_same_as(&amount("1.05")));
        // What is no number is not taken for one.
        for no_number in ["100.", "100...", "100.0.0", "100.0x0"] {
            assert!(!amount("100").is_same_as(&amount(no_number)), "{no_number}");
        }
    }
}
