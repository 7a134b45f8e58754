//! Holds: named amounts inside the `held` bucket of an account.

use crate::{Account, Amount, HoldId};

/// What a hold keeps its amount for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldPurpose {
    /// Money on its way from a Go Account to a connection.
    Allocation,
    /// Money on its way back from a connection.
    Deallocation,
    /// Money that is about to leave custody.
    Withdrawal,
    /// What a connection is to lose in a settlement that was staged.
    SettlementTransfer,
    /// What a connection is to lose once its dispute has ended.
    Dispute,
}

/// A named amount inside `held`.
///
/// Over all open holds of an account the amounts add up to its `held` figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its name: the same identifier as that of the record which it serves.
    pub id: HoldId,
    /// Where the money stands.
    pub account: Account,
    /// How much.
    pub amount: Amount,
    /// What for.
    pub purpose: HoldPurpose,
    /// Whether it still counts. A closed hold is kept as evidence and never opens again.
    pub open: bool,
}
