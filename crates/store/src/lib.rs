//! Durable state: everything the network remembers, on SQLite or on PostgreSQL.
//!
//! Commands are decided and committed in batches by the [`Store`]; lists and look-ups read what
//! is committed. Here live batches, rows, queries and the verification of the books; what a
//! command decides is in the rules, and what is a dialect of SQL is in [`sql`].

mod batch;
mod journal;
mod lists;
mod metrics;
mod record;
mod seed;
mod select;
pub mod sql;
mod verify;

pub use batch::{Clock, Condition, Identifiers, Store, SubmitError};
pub use lists::{
    AllocationFilter, AllocationSort, ConnectionFilter, Owned, Page, PartnerFilter, Principal,
    SettlementFilter, Side, TransferFilter, WaitingPartners,
};
pub use seed::seed;
pub use sql::{InvalidLocation, Location, Opening, StoreError};
pub use verify::{Report, verify, verify_with};
