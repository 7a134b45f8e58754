//! What a set of postings does to balances, and whether it may.

use std::collections::BTreeMap;

use crate::{Account, Amount, Balance, Bucket, Holding, Owner, Posting};

/// The accounts that a set of postings touched, with their new balances, in a fixed order.
pub type BalancesAfter = BTreeMap<Account, Balance>;

/// One bucket that would go below zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Which bucket.
    pub holding: Holding,
    /// What it holds now.
    pub present: i128,
    /// What it would hold after: below zero.
    pub after: i128,
}

impl Shortage {
    /// What the postings take from the bucket, net of what they bring to it.
    pub fn required(&self) -> i128 {
        self.present - self.after
    }
}

/// Why a set of postings is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BookError {
    /// Buckets other than custody would go below zero.
    #[error("{} buckets would go below zero", .0.len())]
    Short(Vec<Shortage>),
    /// A balance would leave ±(10^38 − 1).
    #[error("the balance of {0} would be out of bounds")]
    OutOfBounds(Holding),
    /// A posting names two currencies.
    #[error("a posting from {0} names another currency on its other side")]
    MixedCurrencies(Holding),
}

/// The balances after all `postings` of one journal entry, judged as a whole.
///
/// `before` answers what stands on an account now. The order of the postings does not matter:
/// within an entry a bucket may pass below zero as long as it does not end there.
pub fn balances_after<'postings>(
    postings: &'postings [Posting],
    before: impl Fn(&Account) -> Balance,
) -> Result<BalancesAfter, BookError> {
    // Before and after.
    let mut moved: BTreeMap<&Account, (Balance, Balance)> = BTreeMap::new();
    let mut move_units = |holding: &'postings Holding, units: i128| -> Result<(), BookError> {
        let (_, balance) = moved.entry(&holding.account).or_insert_with(|| {
            let balance = before(&holding.account);
            (balance, balance)
        });
        let figure = balance.bucket_mut(holding.bucket);
        *figure = figure
            .checked_add(units)
            .ok_or_else(|| BookError::OutOfBounds(holding.clone()))?;
        Ok(())
    };
    for posting in postings {
        if posting.from.account.currency != posting.to.account.currency {
            return Err(BookError::MixedCurrencies(posting.from.clone()));
        }
        move_units(&posting.from, -posting.amount.units())?;
        move_units(&posting.to, posting.amount.units())?;
    }
    let mut short = Vec::new();
    let mut out_of_bounds = None;
    for (&account, (present, balance)) in &moved {
        for (bucket, present, after) in [
            (Bucket::Available, present.available, balance.available),
            (Bucket::Held, present.held, balance.held),
        ] {
            let holding = || Holding {
                account: account.clone(),
                bucket,
            };
            if after.unsigned_abs() > Amount::MAX.units().unsigned_abs() {
                out_of_bounds.get_or_insert_with(holding);
            }
            let may_be_negative = account.owner == Owner::Custody && bucket == Bucket::Available;
            if after < 0 && !may_be_negative {
                short.push(Shortage {
                    holding: holding(),
                    present,
                    after,
                });
            }
        }
    }
    // What is short can be funded and tried again, so that it is told first.
    match (short.is_empty(), out_of_bounds) {
        (false, _) => Err(BookError::Short(short)),
        (true, Some(holding)) => Err(BookError::OutOfBounds(holding)),
        (true, None) => {
            let after = moved.into_iter();
            Ok(after
                .map(|(account, (_, balance))| (account.clone(), balance))
                .collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Currency, GoAccountId};
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn go(n: u128) -> Owner {
        Owner::Go(GoAccountId(uuid::Uuid::from_u128(n)))
    }

    fn posting(from: Holding, to: Holding, units: i128) -> Posting {
        let amount = Amount::new(units).unwrap();
        Posting { from, to, amount }
    }

    fn btc() -> Currency {
        "ofcbtc".parse().unwrap()
    }

    #[test]
    fn an_entry_is_judged_as_a_whole() {
        let (a, b) = (Account::new(go(1), &btc()), Account::new(go(2), &btc()));
        let out_and_in = [
            posting(a.available(), b.available(), 5),
            posting(b.available(), a.available(), 5),
        ];
        assert!(balances_after(&out_and_in, |_| Balance::default()).is_ok());
        let only_out = &out_and_in[..1];
        let refused = balances_after(only_out, |_| Balance {
            available: 3,
            held: 0,
        });
        let Err(BookError::Short(short)) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(short.len(), 1);
        assert_eq!(
            (short[0].present, short[0].after, short[0].required()),
            (3, -2, 5)
        );
    }

    #[test]
    fn only_custody_goes_below_zero_and_nothing_leaves_its_bounds() {
        let custody = Account::new(Owner::Custody, &btc());
        let a = Account::new(go(1), &btc());
        let deposit = [posting(
            custody.available(),
            a.available(),
            Amount::MAX.units(),
        )];
        let after = balances_after(&deposit, |_| Balance::default()).unwrap();
        assert_eq!(after[&custody].available, -Amount::MAX.units());
        let again = balances_after(&deposit, |account| after[account]);
        assert!(matches!(again, Err(BookError::OutOfBounds(_))), "{again:?}");
        let held = [posting(custody.held(), a.available(), 1)];
        assert!(matches!(
            balances_after(&held, |_| Balance::default()),
            Err(BookError::Short(_))
        ));
    }

    #[test]
    fn a_posting_stays_within_its_currency() {
        let other: Currency = "ofceth".parse().unwrap();
        let a = Account::new(go(1), &btc());
        let b = Account::new(go(2), &other);
        let mixed = [posting(a.available(), b.available(), 1)];
        assert!(matches!(
            balances_after(&mixed, |_| Balance {
                available: 9,
                held: 0
            }),
            Err(BookError::MixedCurrencies(_))
        ));
    }

    proptest! {
        /// Whatever is posted, what leaves one bucket arrives in another.
        #[test]
        fn value_is_conserved(moves in prop::collection::vec((0_u128..5, 0_u128..5, 1_i128..1_000, any::<bool>(), any::<bool>()), 1..60)) {
            let mut balances: HashMap<Account, Balance> = (0..5)
                .map(|n| (Account::new(go(n), &btc()), Balance { available: 2_000, held: 2_000 }))
                .collect();
            let total = |balances: &HashMap<Account, Balance>| -> i128 {
                balances.values().map(|b| b.available + b.held).sum()
            };
            let before = total(&balances);
            let postings: Vec<Posting> = moves.into_iter().map(|(from, to, units, held_from, held_to)| {
                let bucket = |n, held| {
                    let account = Account::new(go(n), &btc());
                    if held { account.held() } else { account.available() }
                };
                posting(bucket(from, held_from), bucket(to, held_to), units)
            }).collect();
            if let Ok(after) = balances_after(&postings, |a| balances[a]) {
                balances.extend(after);
                prop_assert!(balances.values().all(|b| b.available >= 0 && b.held >= 0));
            }
            prop_assert_eq!(total(&balances), before);
        }
    }
}
