//! The requests and responses of the network's API, one module per noun: their members, spellings
//! and bounds, as types that the server, the client and the OpenAPI document share. A request reads
//! itself out of strict JSON and names every fault at once; a response holds what the protocol
//! promises for its status and cannot be put together without it. What a request may do, and which
//! status an answer has, is not decided here.
//!
//! Spellings follow the protocol: members in camel case; what is optional is left out, never
//! `null`, except where the protocol says nullable; times as [`DateTime`]; amounts as text.
//! Letters and numbers such as C10 or P6 name the operations of the OES wire description.

pub mod allocations;
pub mod balances;
pub mod bounds;
mod choice;
pub mod clients;
pub mod connections;
pub mod currencies;
mod date_time;
pub mod error;
mod filter;
pub mod partners;
pub mod quantity;
pub mod settlements;
pub mod signed;
pub mod trades;
pub(crate) mod uuid_text;

pub use date_time::DateTime;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

choice::choices! {
    /// What an allocation policy said.
    PolicyResult {
        /// It agreed.
        Approved = "approved",
        /// It refused.
        Rejected = "rejected",
    }

    /// Which way a list is sorted; ascending unless asked otherwise.
    SortDirection {
        /// Smallest first.
        Ascending = "ASC",
        /// Largest first.
        Descending = "DESC",
    }
}

/// Traces of allocation policies. No policy is evaluated yet: they are read, echoed and otherwise
/// without meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyTraces {
    /// The evaluation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_id: Option<String>,
    /// The approval that is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_approval_id: Option<String>,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_result: Option<PolicyResult>,
}

#[cfg(test)]
mod tests;
