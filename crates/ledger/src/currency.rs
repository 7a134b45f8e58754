//! Currency names.

use std::{fmt, str::FromStr, sync::Arc};

/// The ticker of a currency as the network itself names it, such as `ofcbtc`.
///
/// 1 to 64 characters out of `A-Z a-z 0-9 . : _ -`; case matters. Cloning is cheap.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(Arc<str>);

/// The text is no currency ticker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a currency is 1 to 64 characters out of letters, digits and . : _ -")]
pub struct CurrencyError;

impl Currency {
    /// The ticker as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Currency {
    type Err = CurrencyError;

    fn from_str(text: &str) -> Result<Self, CurrencyError> {
        let fits = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".:_-".contains(&b));
        fits.then(|| Currency(text.into())).ok_or(CurrencyError)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
