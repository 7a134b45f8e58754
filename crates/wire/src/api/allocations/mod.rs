//! Allocations and deallocations: funds that a client moves to the account of one connection, and
//! back. One record serves both (C9 to C14, P4 to P7). Here stand the records and answers; what
//! is signed to make or end them stands in a module of its own and is used through this one.

mod request;

pub use request::{
    AllocationUpdate, DeallocationUpdate, Decision, MovementParties, NewAllocation, PartnerDecision,
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::error::ErrorBody;
use super::filter::filters;
use super::quantity::CurrencyAmount;
use super::{DateTime, PolicyTraces, SortDirection, choice};

choice::choices! {
    /// Which way the funds go.
    AllocationType {
        /// From the client's Go Account to the connection.
        Allocation = "allocation",
        /// From the connection back to the Go Account.
        Deallocation = "deallocation",
    }

    /// How far an allocation or deallocation is.
    AllocationStatus {
        /// Done.
        Cleared = "cleared",
        /// Given up; the funds are back where they were.
        Released = "released",
        /// Under way; the funds are held.
        Reserved = "reserved",
    }

    /// The status of a [`ClearedAllocation`].
    Cleared {
        /// Done.
        Cleared = "cleared",
    }

    /// The status of a [`ReleasedAllocation`].
    Released {
        /// Given up.
        Released = "released",
    }

    /// The status of a [`ReservedAllocation`].
    Reserved {
        /// Under way.
        Reserved = "reserved",
    }

    /// What a client's list of allocations can be sorted by; equal ones follow by creation, then id.
    ClientAllocationSort {
        /// The id.
        Id = "id",
        /// When the record last changed.
        UpdatedAt = "updatedAt",
        /// The amount in base units.
        Quantity = "quantity",
        /// The currency.
        Currency = "currency",
    }

    /// What a partner's list of allocations can be sorted by; equal ones follow by creation, then
    /// id.
    PartnerAllocationSort {
        /// The id.
        Id = "id",
        /// When the record last changed.
        UpdatedAt = "updatedAt",
        /// The amount in base units.
        Quantity = "quantity",
    }
}

/// What an allocation or deallocation has in every state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllocationRecord {
    /// Its id.
    #[serde(with = "crate::api::uuid_text")]
    pub id: Uuid,
    /// How much of what, in the naming and notation of whoever reads it.
    pub amount: CurrencyAmount,
    /// The connection.
    #[serde(with = "crate::api::uuid_text")]
    pub connection_id: Uuid,
    /// The client's id for it, unique for the enterprise.
    #[schema(min_length = 1)]
    pub client_external_id: String,
    /// The partner's id for it, once the partner has given one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partner_external_id: Option<String>,
    /// The user whose token asked for it.
    #[schema(min_length = 1)]
    pub initiated_by: String,
    /// The client's notes, for both sides to see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// When it was accepted.
    pub created_at: DateTime,
    /// When this record last changed.
    pub updated_at: DateTime,
    /// Whether sending the identical request again makes another attempt.
    pub retriable: bool,
    /// Traces of policies.
    #[serde(flatten)]
    pub policy: PolicyTraces,
}

/// An allocation or deallocation that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClearedAllocation {
    /// `cleared`.
    pub status: Cleared,
    /// The rest.
    #[serde(flatten)]
    pub record: AllocationRecord,
}

/// An allocation or deallocation that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleasedAllocation {
    /// `released`.
    pub status: Released,
    /// Why.
    #[schema(min_length = 1)]
    pub reason: String,
    /// The rest.
    #[serde(flatten)]
    pub record: AllocationRecord,
}

/// An allocation or deallocation that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReservedAllocation {
    /// `reserved`.
    pub status: Reserved,
    /// What it waits for.
    #[schema(min_length = 1)]
    pub reason: String,
    /// The rest.
    #[serde(flatten)]
    pub record: AllocationRecord,
}

/// What 200 says of a new or repeated allocation or deallocation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum AcceptedAllocation {
    /// It is done.
    Cleared(ClearedAllocation),
    /// It is under way without further ado of the client's.
    Reserved(ReservedAllocation),
}

/// 200 of C10.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AllocationAccepted {
    /// The allocation.
    pub allocation: AcceptedAllocation,
}

/// 200 of C12.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeallocationAccepted {
    /// The deallocation.
    pub deallocation: AcceptedAllocation,
}

/// 422 of C10: a rule or the partner speaks against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AllocationReleased {
    /// The allocation.
    pub allocation: ReleasedAllocation,
    /// Why, once more.
    #[serde(flatten)]
    pub error: ErrorBody,
}

/// 422 of C12: a rule or the partner speaks against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeallocationReleased {
    /// The deallocation.
    pub deallocation: ReleasedAllocation,
    /// Why, once more.
    #[serde(flatten)]
    pub error: ErrorBody,
}

/// 500 of C10 with a record: the outcome at the partner is open, and the identical request makes
/// another attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AllocationRetriable {
    /// The allocation, `retriable`.
    pub allocation: ReservedAllocation,
    /// What happened.
    #[serde(flatten)]
    pub error: ErrorBody,
}

/// 500 of C12 with a record: the outcome at the partner is open, and the identical request makes
/// another attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeallocationRetriable {
    /// The deallocation, `retriable`.
    pub deallocation: ReservedAllocation,
    /// What happened.
    #[serde(flatten)]
    pub error: ErrorBody,
}

/// 500 of C10.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum AllocationFailure {
    /// There is a record.
    Retriable(Box<AllocationRetriable>),
    /// There is none, or it could not be read.
    Error(ErrorBody),
}

/// 500 of C12.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum DeallocationFailure {
    /// There is a record.
    Retriable(Box<DeallocationRetriable>),
    /// There is none, or it could not be read.
    Error(ErrorBody),
}

/// An allocation or deallocation in lists and by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Allocation {
    /// Which way the funds go.
    #[serde(rename = "type")]
    pub kind: AllocationType,
    /// How far it is.
    pub status: AllocationStatus,
    /// Why it was released or what it waits for; `null` once cleared.
    #[schema(required = true)]
    pub reason: Option<String>,
    /// The rest.
    #[serde(flatten)]
    pub record: AllocationRecord,
}

/// Answer of C14 and P5.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AllocationResponse {
    /// The allocation or deallocation.
    pub allocation: Allocation,
}

/// Answer of C13 and P4.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AllocationsResponse {
    /// One page of allocations and deallocations.
    pub allocations: Vec<Allocation>,
}

/// 200 of P6: what was asked for, without its status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AllocationUpdated {
    /// The allocation.
    #[serde(with = "crate::api::uuid_text")]
    pub allocation_id: Uuid,
    /// The partner's id for it.
    #[schema(min_length = 1)]
    pub partners_allocation_id: String,
    /// Whose it is and how much.
    #[serde(flatten)]
    pub parties: MovementParties,
    /// Traces of policies.
    #[serde(flatten)]
    pub policy: PolicyTraces,
}

/// 200 of P7: what was asked for, without its status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeallocationUpdated {
    /// The deallocation.
    #[serde(with = "crate::api::uuid_text")]
    pub deallocation_id: Uuid,
    /// The partner's id for it.
    #[schema(min_length = 1)]
    pub partners_deallocation_id: String,
    /// Whose it is and how much.
    #[serde(flatten)]
    pub parties: MovementParties,
    /// Traces of policies.
    #[serde(flatten)]
    pub policy: PolicyTraces,
}

filters! {
    /// What narrows a client's list of allocations and deallocations (C13).
    ClientAllocationsFilter {
        /// These.
        allocation_ids: Vec<Uuid> = uuids("allocationIds"),
        /// Only these kinds.
        types: Vec<AllocationType> = choices("types", AllocationType::CHOICES),
        /// In one of these states.
        statuses: Vec<AllocationStatus> = choices("statuses", AllocationStatus::CHOICES),
        /// Of these currencies, by the network's tickers.
        currencies: Vec<String> = currencies("currencies"),
        /// Over these connections.
        connection_ids: Vec<Uuid> = uuids("connectionIds"),
        /// Over connections to these partners.
        partner_ids: Vec<Uuid> = uuids("partnerIds"),
        /// Made at this time or later.
        created_on_or_after: DateTime = date_time("createdOnOrAfter"),
        /// Made before this time.
        created_before: DateTime = date_time("createdBefore"),
        /// What the list is sorted by.
        sort_field: ClientAllocationSort = sort_field("sortField", ClientAllocationSort::CHOICES),
        /// Which way it is sorted; ascending if left out.
        sort_direction: SortDirection = sort_direction("sortDirection"),
    }

    /// What narrows a partner's list of allocations and deallocations (P4).
    PartnerAllocationsFilter {
        /// These.
        allocation_ids: Vec<Uuid> = uuids("allocationIds"),
        /// Only these kinds.
        types: Vec<AllocationType> = choices("types", AllocationType::CHOICES),
        /// In one of these states.
        statuses: Vec<AllocationStatus> = choices("statuses", AllocationStatus::CHOICES),
        /// Of these currencies, by the partner's names.
        currencies: Vec<String> = currencies("currencies"),
        /// Over these connections.
        connection_ids: Vec<Uuid> = uuids("connectionIds"),
        /// Over connections to these partners of the enterprise.
        partner_ids: Vec<Uuid> = uuids("partnerIds"),
        /// Over connections of these clients.
        client_ids: Vec<Uuid> = uuids("clientIds"),
        /// What the list is sorted by.
        sort_field: PartnerAllocationSort = sort_field("sortField", PartnerAllocationSort::CHOICES),
        /// Which way it is sorted; ascending if left out.
        sort_direction: SortDirection = sort_direction("sortDirection"),
    }
}

#[cfg(test)]
mod tests;
