//! Identifiers as types of their own, so that two of different kinds can never be exchanged.
//!
//! The two macros here are also used by the crates above for their own identifiers.

/// Declares identifiers that are written as UUIDs.
#[macro_export]
macro_rules! uuid_identifiers {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub uuid::Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }
    )+};
}

/// Declares identifiers of 16 bytes that are written as 32 lower-case hex digits.
#[macro_export]
macro_rules! hex_identifiers {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub uuid::Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.simple().fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }
    )+};
}

uuid_identifiers! {
    /// The account that holds what one connection has allocated.
    NetworkAccountId;
    /// A named amount inside the `held` bucket of an account.
    HoldId;
    /// A journal entry, as others refer to it.
    EntryId;
}

hex_identifiers! {
    /// A multi-asset account in custody.
    GoAccountId;
}
