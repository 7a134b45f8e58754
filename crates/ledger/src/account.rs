//! Accounts and what stands on them.

use std::fmt;

use crate::{Currency, GoAccountId, NetworkAccountId, amount::units_to_decimal};

/// Who an account belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// What the outside world holds for us; the only owner whose balance is negative.
    Custody,
    /// A client's or partner's account in custody.
    Go(GoAccountId),
    /// What a connection has allocated to its partner.
    Net(NetworkAccountId),
}

/// The two buckets of an account: free to use, or promised to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// Free to use.
    Available,
    /// Promised to the open holds of the account.
    Held,
}

/// One owner's account in one currency. It has both buckets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// Who it belongs to.
    pub owner: Owner,
    /// In what.
    pub currency: Currency,
}

impl Account {
    /// The account of `owner` in `currency`.
    pub fn new(owner: Owner, currency: &Currency) -> Account {
        Account {
            owner,
            currency: currency.clone(),
        }
    }

    /// Its `available` bucket.
    pub fn available(&self) -> Holding {
        Holding {
            account: self.clone(),
            bucket: Bucket::Available,
        }
    }

    /// Its `held` bucket.
    pub fn held(&self) -> Holding {
        Holding {
            account: self.clone(),
            bucket: Bucket::Held,
        }
    }
}

/// One bucket of one account: what a posting moves money between.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holding {
    /// The account.
    pub account: Account,
    /// Which of its buckets.
    pub bucket: Bucket,
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.account.owner {
            Owner::Custody => write!(f, "custody")?,
            Owner::Go(id) => write!(f, "go account {id}")?,
            Owner::Net(id) => write!(f, "network account {id}")?,
        }
        let bucket = match self.bucket {
            Bucket::Available => "available",
            Bucket::Held => "held",
        };
        write!(f, " {bucket} {}", self.account.currency)
    }
}

/// What stands on an account, in base units.
///
/// Both figures are within ±(10^38 − 1); only the custody account has one below zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Balance {
    /// Free to use.
    pub available: i128,
    /// Promised to open holds.
    pub held: i128,
}

impl Balance {
    /// The figure of one bucket.
    pub fn bucket_mut(&mut self, bucket: Bucket) -> &mut i128 {
        match bucket {
            Bucket::Available => &mut self.available,
            Bucket::Held => &mut self.held,
        }
    }

    /// The available and held figures in full units with at most `decimals` decimals.
    pub fn to_decimals(&self, decimals: u8) -> (String, String) {
        (
            units_to_decimal(self.available, decimals),
            units_to_decimal(self.held, decimals),
        )
    }
}
