//! Double-entry books: who owns what, how it moves, and why it can never go missing.
//!
//! Here live identifiers, currencies, amounts, accounts, postings, holds and the two laws that
//! every journal entry obeys (value is conserved per currency; nothing but custody is ever
//! negative). Nothing here knows of off-exchange settlement, of storage, of time or of the wire:
//! the crate is pure and useful alone.

mod account;
mod amount;
mod book;
mod currency;
mod hold;
pub mod identifier;
pub mod invariants;
mod journal;

pub use account::{Account, Balance, Bucket, Holding, Owner};
pub use amount::{Amount, AmountError, SignedAmount};
pub use book::{BalancesAfter, BookError, Shortage, balances_after};
pub use currency::{Currency, CurrencyError};
pub use hold::{Hold, HoldPurpose};
pub use identifier::{EntryId, GoAccountId, HoldId, NetworkAccountId};
pub use journal::{Entry, EntryNumber, Posting, Timestamp};
