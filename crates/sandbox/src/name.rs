//! Names and secrets that the exchange invents.

/// A secret of 32 random bytes in lower-case hex.
pub(crate) fn random_hex() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}

/// A name with 8 random bytes that tells what it names.
pub(crate) fn random_name(kind: &str) -> String {
    format!("{kind}-{}", hex::encode(rand::random::<[u8; 8]>()))
}
