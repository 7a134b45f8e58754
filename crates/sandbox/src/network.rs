//! What the exchange, as a partner, asks of the network: P6, P7 and P10, signed.

use client::{Client, ClientError, Record, Refusal, Retry};
use serde::Serialize;
use serde_json::{Value, json};
use wire::api::PolicyTraces;
use wire::api::allocations::{
    AllocationUpdate, DeallocationUpdate, Decision, MovementParties, PartnerDecision,
};
use wire::api::quantity::{PartnerAmount, PartnerQuantity, QuantityError};
use wire::api::settlements::{NewSettlement, PartyAmount, Settlement, SettlementAmounts};
use wire::partner_call::Subject;
use wire::signature::SigningKey;

use crate::books::{Movement, Outcome, Posting, State};
use crate::settings::Membership;

/// The network, as this partner reaches it.
pub(crate) struct Network(Client);

/// What the network said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body, as far as it was understood.
    pub(crate) body: Value,
}

/// A membership that cannot work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MembershipError {
    #[error("the signing key is neither an xprv nor 32 bytes in hex")]
    SigningKey,
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Network {
    pub(crate) fn join(membership: &Membership) -> Result<Self, MembershipError> {
        let from_hex = |text: &str| {
            let bytes: [u8; 32] = hex::decode(text).ok()?.try_into().ok()?;
            SigningKey::from_bytes(&bytes).ok()
        };
        let key = SigningKey::from_xprv(&membership.signing_key)
            .ok()
            .or_else(|| from_hex(&membership.signing_key))
            .ok_or(MembershipError::SigningKey)?;
        let client = Client::new(
            &membership.network_url,
            &membership.enterprise_id,
            &membership.token,
        )?;
        // Every attempt is reported by itself: after several, a refusal of the last one would hide
        // that an earlier one may have been booked.
        Ok(Self(
            client.with_signing_key(key).with_retry(Retry::never()),
        ))
    }

    /// P6 or P7: tells what was decided about a movement.
    ///
    /// # Errors
    /// Nobody knows what became of it.
    pub(crate) async fn answer(&self, movement: &Movement) -> Result<Answer, String> {
        let decision = decision(movement).map_err(|error| error.to_string())?;
        let partners_id = movement.partners_id.clone();
        match movement.request.subject {
            Subject::Allocation(id) => {
                let update = AllocationUpdate {
                    allocation_id: id,
                    partners_allocation_id: partners_id,
                    decision,
                };
                said(self.0.update_allocation(update).await)
            }
            Subject::Deallocation(id) => {
                let update = DeallocationUpdate {
                    deallocation_id: id,
                    partners_deallocation_id: partners_id,
                    decision,
                };
                said(self.0.update_deallocation(update).await)
            }
        }
    }

    /// P10: posts a settlement. Beside the outcome stands what the network said, or why nobody
    /// knows.
    pub(crate) async fn settle(&self, posting: &Posting) -> (Outcome, Result<Answer, String>) {
        let content = match settlement(posting) {
            Ok(content) => content,
            Err(error) => return (Outcome::Refused, Err(error.to_string())),
        };
        let answer = self.0.settle(content).await;
        let outcome = match &answer {
            Ok(_) => Outcome::Completed,
            Err(ClientError::Refused(refusal)) => outcome(refusal),
            Err(ClientError::Unreachable { .. } | ClientError::Unreadable(_)) => Outcome::Unknown,
            Err(ClientError::NoSigningKey | ClientError::Unusable(_)) => Outcome::Refused,
        };
        (outcome, said(answer))
    }
}

fn decision(movement: &Movement) -> Result<PartnerDecision, QuantityError> {
    let request = &movement.request;
    Ok(PartnerDecision {
        decision: match &movement.state {
            State::Rejected(reason) => Decision::Released {
                reject_reason: reason.clone(),
            },
            _ => Decision::Cleared {},
        },
        parties: MovementParties {
            amount: PartnerAmount {
                currency: request.amount.currency.clone(),
                quantity: PartnerQuantity::parse(&request.amount.quantity)?,
            },
            client_id: request.client_id,
            connection_id: request.connection_id,
            partners_client_id: request.partners_client_id.clone(),
            partners_connection_id: request.partners_connection_id.clone(),
        },
        nonce: String::new(),
        policy: PolicyTraces::default(),
    })
}

fn settlement(posting: &Posting) -> Result<NewSettlement, QuantityError> {
    let mut amounts = Vec::new();
    for (connection, currencies) in &posting.amounts {
        for (currency, units) in currencies {
            amounts.push(PartyAmount {
                connection_id: *connection,
                currency: currency.clone(),
                quantity: PartnerQuantity::parse(&units.to_string())?,
            });
        }
    }
    Ok(NewSettlement {
        external_id: posting.external_id.clone(),
        notes: None,
        settlement_amounts: SettlementAmounts::Party(amounts),
        nonce: String::new(),
    })
}

/// What a refusal of P10 says about the settlement.
fn outcome(refusal: &Refusal) -> Outcome {
    match &refusal.record {
        Some(Record::Settlement(settlement)) => match settlement {
            Settlement::Completed(_) => Outcome::Completed,
            Settlement::Failed(_) | Settlement::Rejected(_) => Outcome::NotBooked,
            Settlement::Pending(_) => Outcome::Unknown,
        },
        // A time limit tells nothing; another 4xx without a settlement means that there is none.
        _ if matches!(refusal.status, 408 | 425) => Outcome::Unknown,
        _ if (400..500).contains(&refusal.status) => Outcome::Refused,
        _ => Outcome::Unknown,
    }
}

/// What the network said, as JSON again; an error if it said nothing that can be read.
fn said<T: Serialize>(answer: Result<T, ClientError>) -> Result<Answer, String> {
    match answer {
        Ok(body) => Ok(Answer {
            status: 200,
            body: serde_json::to_value(body).map_err(|error| error.to_string())?,
        }),
        Err(ClientError::Refused(refusal)) => Ok(Answer {
            status: refusal.status,
            body: refusal_json(&refusal),
        }),
        Err(error) => {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
            Err(format!("{error}{}", source.unwrap_or_default()))
        }
    }
}

fn refusal_json(refusal: &Refusal) -> Value {
    let mut body = json!({ "error": refusal.message });
    if let Some(name) = &refusal.name {
        body["name"] = name.as_str().into();
    }
    if let Some(request_id) = &refusal.request_id {
        body["requestId"] = request_id.as_str().into();
    }
    if !refusal.errors.is_empty() {
        body["errors"] = json!(refusal.errors);
    }
    if let Some(Record::Settlement(settlement)) = &refusal.record {
        body["settlement"] = json!(settlement);
    }
    body
}
