//! Durable state: everything the network remembers, on SQLite or on PostgreSQL.
//!
//! Commands are decided and committed in batches by the [`Store`]; lists and look-ups read what
//! is committed. Here live batches, rows, queries and the verification of the books; what a
//! command decides is in the rules, and what is a dialect of SQL is in [`sql`].

mod acts;
mod backup;
mod batch;
mod clock;
mod condition;
mod events;
mod journal;
mod laws;
mod lists;
mod metrics;
mod proposals;
mod record;
mod request_log;
mod seed;
mod select;
pub mod sql;
mod statement;
mod timers;
mod verify;

pub use acts::{ActFilter, RecordedAct};
pub use backup::copy;
pub use batch::{Identifiers, Store, SubmitError};
pub use clock::Clock;
pub use condition::Condition;
pub use events::{EventPlace, Feed, FeedEvent};
pub use lists::{
    AllocationFilter, AllocationSort, ConnectionFilter, DisputeFilter, OnChainDepositFilter, Owned,
    Page, PartnerFilter, Principal, SettlementFilter, Side, TransferFilter, WaitingPartners,
};
pub use proposals::ProposalFilter;
pub use request_log::{LoggedRequest, RequestFilter, RequestLog};
pub use seed::{Pattern, seed};
pub use sql::{InvalidLocation, Location, Opening, StoreError};
pub use statement::{Statement, StatementFilter, StatementLine};
pub use verify::{Extent, Report, check, verify, verify_with};
