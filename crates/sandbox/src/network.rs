//! What the exchange, as a partner, asks of the network: P6, P7 and P10, signed.

use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;
use wire::signature::SigningKey;

use crate::books::{Movement, Posting, State};
use crate::name::random_hex;
use crate::settings::Membership;
use wire::partner_call::Subject;

/// How long the network may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The network, as this partner reaches it.
pub(crate) struct Network {
    partner_id: Uuid,
    base: String,
    token: String,
    key: SigningKey,
    http: reqwest::Client,
}

/// What the network said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body, null if it is no JSON.
    pub(crate) body: Value,
}

/// A membership that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MembershipError {
    #[error("the signing key is neither an xprv nor 32 bytes in hex")]
    SigningKey,
    #[error("no HTTP client: {0}")]
    Http(String),
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
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| MembershipError::Http(error.to_string()))?;
        Ok(Self {
            partner_id: membership.partner_id,
            base: format!(
                "{}/api/network/v1/enterprises/{}/partners",
                membership.network_url.trim_end_matches('/'),
                membership.enterprise_id
            ),
            token: membership.token.clone(),
            key,
            http,
        })
    }

    /// The partner that the exchange is.
    pub(crate) fn partner_id(&self) -> Uuid {
        self.partner_id
    }

    /// P6 or P7: tells what was decided about a movement.
    ///
    /// # Errors
    /// Nobody knows what became of it.
    pub(crate) async fn answer(&self, movement: &Movement) -> Result<Answer, String> {
        let request = &movement.request;
        let (path, id_name, partners_name) = match request.subject {
            Subject::Allocation(_) => ("allocations", "allocationId", "partnersAllocationId"),
            Subject::Deallocation(_) => {
                ("deallocations", "deallocationId", "partnersDeallocationId")
            }
        };
        let mut body = json!({
            id_name: request.subject.id().to_string(),
            "amount": request.amount,
            "clientId": request.client_id.to_string(),
            "connectionId": request.connection_id.to_string(),
            "partnersClientId": request.partners_client_id,
            "partnersConnectionId": request.partners_connection_id,
            partners_name: movement.partners_id,
        });
        match &movement.state {
            State::Rejected(reason) => {
                body["status"] = "released".into();
                body["rejectReason"] = reason.as_str().into();
            }
            _ => body["status"] = "cleared".into(),
        }
        self.send(reqwest::Method::PUT, path, body).await
    }

    /// P10: posts a settlement.
    ///
    /// # Errors
    /// Nobody knows what became of it.
    pub(crate) async fn settle(&self, posting: &Posting) -> Result<Answer, String> {
        let amounts: Map<String, Value> = posting
            .amounts
            .iter()
            .map(|(connection, currencies)| {
                let currencies: Map<String, Value> = currencies
                    .iter()
                    .map(|(currency, units)| (currency.clone(), units.to_string().into()))
                    .collect();
                (connection.to_string(), currencies.into())
            })
            .collect();
        let body = json!({ "externalId": posting.external_id, "settlementAmounts": amounts });
        self.send(reqwest::Method::POST, "settlements", body).await
    }

    async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        mut body: Value,
    ) -> Result<Answer, String> {
        body["nonce"] = random_hex().into();
        let payload = body.to_string();
        body["signature"] = self.key.sign(&payload).into();
        body["payload"] = payload.into();
        let sent = self
            .http
            .request(method, format!("{}/{path}", self.base))
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
            .body(body.to_string())
            .send()
            .await;
        let response = sent.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await.map_err(|error| error.to_string())?;
        Ok(Answer {
            status,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        })
    }
}
