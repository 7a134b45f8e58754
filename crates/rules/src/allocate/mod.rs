//! Allocations and deallocations: reserved, answered, cleared or released (OES wire §3.3, §3.4).
//!
//! Both are one state machine run in two directions. An allocation holds money of the Go Account
//! until the partner has answered and then moves it to the connection; a deallocation does the
//! same the other way round.
//!
//! | module | what happens there |
//! |---|---|
//! | `reserve` | a client asks, and money is held |
//! | `unanswered` | the partner has not said how it ends: it is waited for, or asked again |
//! | `answer` | a partner that answers later says how it ends |
//! | `conclude` | it ends: the money moves or goes back |
//!
//! Here stands what they have in common.

mod answer;
mod conclude;
mod reserve;
mod unanswered;

use ledger::{Account, BookError, Currency, GoAccountId, HoldPurpose, NetworkAccountId, Owner};

use crate::{
    Class, ClientId, ConnectionId, Draft, EnterpriseId, PartnerId, Refusal,
    record::{Allocation, AllocationKind, ClaimKind, CurrencyKey, OpenTotal},
};

pub use answer::PartnerAnswer;
pub use conclude::{Conclude, Concluded, Verdict, may_release_unanswered};
pub use reserve::{Placed, Reserve};
pub use unanswered::{AskAgain, Awaited, Unanswered};

/// The parties and accounts of an allocation. They never change once a connection exists, so
/// that they can be looked up before a command is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Over which connection.
    pub connection_id: ConnectionId,
    /// Whose.
    pub client_id: ClientId,
    /// The client's enterprise.
    pub client_enterprise_id: EnterpriseId,
    /// The client's Go Account.
    pub go_account_id: GoAccountId,
    /// The connection's account.
    pub network_account_id: NetworkAccountId,
    /// At whom.
    pub partner_id: PartnerId,
    /// The partner's enterprise.
    pub partner_enterprise_id: EnterpriseId,
    /// The name under which the partner is configured.
    pub institution_identifier: String,
}

impl AllocationKind {
    /// Where the money is held, and where it goes when it is cleared.
    fn accounts(
        self,
        go: GoAccountId,
        net: NetworkAccountId,
        currency: &Currency,
    ) -> (Account, Account) {
        let go = Account::new(Owner::Go(go), currency);
        let net = Account::new(Owner::Net(net), currency);
        match self {
            AllocationKind::Allocation => (go, net),
            AllocationKind::Deallocation => (net, go),
        }
    }

    fn claim_kind(self) -> ClaimKind {
        match self {
            AllocationKind::Allocation => ClaimKind::Allocation,
            AllocationKind::Deallocation => ClaimKind::Deallocation,
        }
    }

    fn purpose(self) -> HoldPurpose {
        match self {
            AllocationKind::Allocation => HoldPurpose::Allocation,
            AllocationKind::Deallocation => HoldPurpose::Deallocation,
        }
    }

    fn cause(self, step: Step) -> &'static str {
        match (self, step) {
            (AllocationKind::Allocation, Step::Reserved) => "allocation_reserved",
            (AllocationKind::Allocation, Step::Cleared) => "allocation_cleared",
            (AllocationKind::Allocation, Step::Released) => "allocation_released",
            (AllocationKind::Deallocation, Step::Reserved) => "deallocation_reserved",
            (AllocationKind::Deallocation, Step::Cleared) => "deallocation_cleared",
            (AllocationKind::Deallocation, Step::Released) => "deallocation_released",
        }
    }
}

#[derive(Clone, Copy)]
enum Step {
    Reserved,
    Cleared,
    Released,
}

pub(crate) fn unknown_currency(currency: &Currency) -> Refusal {
    Refusal::new(
        Class::Invalid,
        "unknown_currency",
        format!("the network has no currency {currency}"),
    )
}

/// The books refuse what a rule had let pass: told as a business rule, with the figures.
pub(crate) fn refused_by_the_books(error: BookError) -> Refusal {
    Refusal::new(
        Class::Unprocessable,
        "refused_by_the_books",
        error.to_string(),
    )
}

fn add_to_open_total(draft: &mut Draft<'_>, key: CurrencyKey, units: i128) {
    let now = draft.find::<OpenTotal>(&key).map_or(0, |total| total.units);
    let units = now.saturating_add(units).max(0);
    draft.put(OpenTotal { key, units });
}

impl Allocation {
    fn accounts(&self) -> (Account, Account) {
        self.kind
            .accounts(self.go_account_id, self.network_account_id, &self.currency)
    }
}
