//! The law of the network as pure functions.
//!
//! Every act that changes anything is a [`Command`]: it declares what it reads, and decides on
//! exactly that. Here live the records of the network, the state machines of connections,
//! allocations, settlements and disputes, and every business rule. Time, identifiers and randomness are
//! handed in; there is no clock, no storage, no HTTP, no JSON and no cryptography here.

mod command;
mod identifier;
mod refusal;
mod signed;
mod view;

pub mod accepted;
pub mod allocate;
pub mod approve;
pub mod clock;
pub mod connect;
pub mod deliver;
pub mod dispute;
pub mod event;
pub mod fund;
pub mod onboard;
pub mod onchain;
pub mod operate;
pub mod partner_key;
pub mod planted;
pub mod record;
pub mod release;
pub mod settle;
pub mod suspend;
pub mod timer;

pub use command::{Command, Decidable, Submission};
pub use identifier::{
    AllocationId, ClientId, ConnectionId, DepositId, DisputeClosureId, DisputeId, EnterpriseId,
    EnterpriseIdError, OnChainDepositId, PartnerId, ProposalId, SettlementId, SigningKeyId,
    TokenId, TransferId, UserId, WithdrawalId,
};
pub use refusal::{Class, Reason, Refusal};
pub use signed::Signed;
pub use view::{Draft, Keys, Record, Shelf, View};
