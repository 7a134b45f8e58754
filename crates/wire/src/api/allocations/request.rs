//! What clients sign to allocate and deallocate, and what asynchronous partners sign to clear or
//! release.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::quantity::{ClientAmount, PartnerAmount};
use crate::api::signed::Content;
use crate::api::{PolicyResult, PolicyTraces, bounds};
use crate::body::Reader;

/// What a client signs to allocate or deallocate: body of C9 and C11, content of C10 and C12.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct NewAllocation {
    /// How much of what.
    pub amount: ClientAmount,
    /// The client's own id, at most 512 bytes; the same id is the same request for ever.
    #[schema(min_length = 1)]
    pub client_external_id: String,
    /// The nonce, at most 512 bytes.
    #[schema(min_length = 1)]
    pub nonce: String,
    /// Notes for both sides to see, at most 10 000 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1)]
    pub notes: Option<String>,
}

impl Content for NewAllocation {
    fn take(body: &Reader<'_>) -> Option<Self> {
        let amount = ClientAmount::take(body, "amount");
        let client_external_id = bounds::text(body, "clientExternalId");
        let nonce = bounds::text(body, "nonce");
        let notes = bounds::optional_notes(body, "notes");
        Some(Self {
            amount: amount?,
            client_external_id: client_external_id?,
            nonce: nonce?,
            notes,
        })
    }

    fn nonce_mut(&mut self) -> &mut String {
        &mut self.nonce
    }
}

/// Whose an allocation or deallocation is and how much, as the partner states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MovementParties {
    /// How much of what, in the partner's naming and notation.
    pub amount: PartnerAmount,
    /// The client.
    #[serde(with = "crate::api::uuid_text")]
    pub client_id: Uuid,
    /// The connection.
    #[serde(with = "crate::api::uuid_text")]
    pub connection_id: Uuid,
    /// The partner's id for the client, at most 512 bytes.
    #[schema(min_length = 1)]
    pub partners_client_id: String,
    /// The partner's id for the connection, at most 512 bytes.
    #[schema(min_length = 1)]
    pub partners_connection_id: String,
}

impl MovementParties {
    fn take(body: &Reader<'_>) -> Option<Self> {
        let amount = PartnerAmount::take(body, "amount");
        let client_id = body.uuid("clientId");
        let connection_id = body.uuid("connectionId");
        let partners_client_id = bounds::text(body, "partnersClientId");
        let partners_connection_id = bounds::text(body, "partnersConnectionId");
        Some(Self {
            amount: amount?,
            client_id: client_id?,
            connection_id: connection_id?,
            partners_client_id: partners_client_id?,
            partners_connection_id: partners_connection_id?,
        })
    }
}

/// What the partner decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Decision {
    /// It is done.
    Cleared {},
    /// It is given up.
    #[serde(rename_all = "camelCase")]
    Released {
        /// Why, at most 10 000 bytes.
        #[schema(min_length = 1)]
        reject_reason: String,
    },
}

impl Decision {
    fn take(body: &Reader<'_>) -> Option<Self> {
        if body.choice("status", &[("cleared", false), ("released", true)])? {
            let reject_reason = bounds::notes(body, "rejectReason")?;
            return Some(Self::Released { reject_reason });
        }
        // A reason beside `cleared` is a contradiction; which half is meant cannot be guessed.
        if body.optional_string("rejectReason").is_some() {
            body.fault("rejectReason", "is allowed only if status is released");
        }
        Some(Self::Cleared {})
    }
}

/// What P6 and P7 have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PartnerDecision {
    /// Whether it is done or given up.
    #[serde(flatten)]
    pub decision: Decision,
    /// Whose it is and how much.
    #[serde(flatten)]
    pub parties: MovementParties,
    /// The nonce, at most 512 bytes.
    #[schema(min_length = 1)]
    pub nonce: String,
    /// Traces of policies, which need not be signed.
    #[serde(flatten)]
    pub policy: PolicyTraces,
}

/// Members that partners may send unsigned: those of a signature, and traces of policies.
const UNSIGNED: &[&str] = &[
    "payload",
    "signature",
    "evaluationId",
    "pendingApprovalId",
    "policyResult",
];

impl PartnerDecision {
    fn take(body: &Reader<'_>) -> Option<Self> {
        let decision = Decision::take(body);
        let parties = MovementParties::take(body);
        let nonce = bounds::text(body, "nonce");
        let policy = PolicyTraces {
            evaluation_id: bounds::optional_text(body, "evaluationId"),
            pending_approval_id: bounds::optional_text(body, "pendingApprovalId"),
            policy_result: body.optional_choice("policyResult", PolicyResult::CHOICES),
        };
        Some(Self {
            decision: decision?,
            parties: parties?,
            nonce: nonce?,
            policy,
        })
    }
}

/// What an asynchronous partner signs to clear or release an allocation: content of P6.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllocationUpdate {
    /// The allocation.
    #[serde(with = "crate::api::uuid_text")]
    pub allocation_id: Uuid,
    /// The partner's id for it, at most 512 bytes.
    #[schema(min_length = 1)]
    pub partners_allocation_id: String,
    /// The rest.
    #[serde(flatten)]
    pub decision: PartnerDecision,
}

impl Content for AllocationUpdate {
    const UNSIGNED: &'static [&'static str] = UNSIGNED;

    fn take(body: &Reader<'_>) -> Option<Self> {
        let allocation_id = body.uuid("allocationId");
        let partners_allocation_id = bounds::text(body, "partnersAllocationId");
        let decision = PartnerDecision::take(body);
        Some(Self {
            allocation_id: allocation_id?,
            partners_allocation_id: partners_allocation_id?,
            decision: decision?,
        })
    }

    fn nonce_mut(&mut self) -> &mut String {
        &mut self.decision.nonce
    }
}

/// What an asynchronous partner signs to clear or release a deallocation: content of P7.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeallocationUpdate {
    /// The deallocation.
    #[serde(with = "crate::api::uuid_text")]
    pub deallocation_id: Uuid,
    /// The partner's id for it, at most 512 bytes.
    #[schema(min_length = 1)]
    pub partners_deallocation_id: String,
    /// The rest.
    #[serde(flatten)]
    pub decision: PartnerDecision,
}

impl Content for DeallocationUpdate {
    const UNSIGNED: &'static [&'static str] = UNSIGNED;

    fn take(body: &Reader<'_>) -> Option<Self> {
        let deallocation_id = body.uuid("deallocationId");
        let partners_deallocation_id = bounds::text(body, "partnersDeallocationId");
        let decision = PartnerDecision::take(body);
        Some(Self {
            deallocation_id: deallocation_id?,
            partners_deallocation_id: partners_deallocation_id?,
            decision: decision?,
        })
    }

    fn nonce_mut(&mut self) -> &mut String {
        &mut self.decision.nonce
    }
}
