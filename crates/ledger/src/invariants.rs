//! The laws of the books as named functions, shared by property tests, `tidelock verify` and
//! everything else that wants to know whether the books are sound.

use std::collections::BTreeMap;

use crate::{Account, Balance, Currency, Hold, Owner};

/// A law that the books break, told for a person who has to find out why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Per currency the sum over all accounts has to be zero.
    #[error("{currency}: all accounts together hold {sum}, not zero")]
    ValueNotConserved {
        /// In which currency.
        currency: Currency,
        /// What they hold together.
        sum: i128,
    },
    /// No bucket but custody's may be below zero.
    #[error("{account:?} is below zero: {balance:?}")]
    NegativeBalance {
        /// Whose.
        account: Account,
        /// What stands there.
        balance: Balance,
    },
    /// `held` has to be the sum of the open holds.
    #[error("{account:?} holds {held} but its open holds add up to {holds}")]
    HoldsDiffer {
        /// Whose.
        account: Account,
        /// The figure on the account.
        held: i128,
        /// The sum of its open holds.
        holds: i128,
    },
}

/// Per currency, the sum over all accounts is zero.
pub fn value_is_conserved<'a>(
    balances: impl IntoIterator<Item = (&'a Account, &'a Balance)>,
) -> Result<(), Violation> {
    let mut sums: BTreeMap<&Currency, i128> = BTreeMap::new();
    for (account, balance) in balances {
        let sum = sums.entry(&account.currency).or_default();
        let total = sum
            .checked_add(balance.available)
            .and_then(|sum| sum.checked_add(balance.held));
        // Balances within their bounds cannot add up to so much unless value was made.
        let Some(total) = total else {
            return Err(Violation::ValueNotConserved {
                currency: account.currency.clone(),
                sum: i128::MAX,
            });
        };
        *sum = total;
    }
    match sums.into_iter().find(|(_, sum)| *sum != 0) {
        Some((currency, sum)) => Err(Violation::ValueNotConserved {
            currency: currency.clone(),
            sum,
        }),
        None => Ok(()),
    }
}

/// No bucket is below zero, but `available` of custody.
pub fn nothing_is_negative<'a>(
    balances: impl IntoIterator<Item = (&'a Account, &'a Balance)>,
) -> Result<(), Violation> {
    for (account, balance) in balances {
        let available_may = account.owner == Owner::Custody;
        if balance.held < 0 || (balance.available < 0 && !available_may) {
            return Err(Violation::NegativeBalance {
                account: account.clone(),
                balance: *balance,
            });
        }
    }
    Ok(())
}

/// On every account `held` equals the sum of the open holds.
pub fn holds_explain_what_is_held<'a>(
    balances: impl IntoIterator<Item = (&'a Account, &'a Balance)>,
    holds: impl IntoIterator<Item = &'a Hold>,
) -> Result<(), Violation> {
    let mut sums: BTreeMap<&Account, i128> = BTreeMap::new();
    for hold in holds.into_iter().filter(|hold| hold.open) {
        let sum = sums.entry(&hold.account).or_default();
        *sum = sum.saturating_add(hold.amount.units());
    }
    for (account, balance) in balances {
        let holds = sums.remove(account).unwrap_or_default();
        if holds != balance.held {
            return Err(Violation::HoldsDiffer {
                account: account.clone(),
                held: balance.held,
                holds,
            });
        }
    }
    match sums.into_iter().next() {
        Some((account, holds)) => Err(Violation::HoldsDiffer {
            account: account.clone(),
            held: 0,
            holds,
        }),
        None => Ok(()),
    }
}
