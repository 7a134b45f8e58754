//! Sealing of secrets at rest under the installation's master key (AES-256-GCM).
//!
//! What is sealed says what it is for, and opens for nothing else: a sealed token that is copied
//! over a sealed connection key stays shut.

use aes_gcm::{
    Aes256Gcm, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use rand::RngExt;
use zeroize::Zeroizing;

/// The form of what is sealed: one byte of version, twelve of nonce, the ciphertext with its tag.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;

/// The installation's master key. It comes from a file or the environment and is never in the
/// database.
pub struct MasterKey(Aes256Gcm);

/// The text is no master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a master key is 64 hexadecimal digits")]
pub struct MasterKeyError;

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

impl MasterKey {
    /// Reads 64 hexadecimal digits; white space around them does not matter.
    ///
    /// # Errors
    ///
    /// [`MasterKeyError`] for anything else.
    pub fn from_hex(text: &str) -> Result<MasterKey, MasterKeyError> {
        let mut key = Zeroizing::new([0_u8; 32]);
        hex::decode_to_slice(text.trim(), key.as_mut_slice()).map_err(|_| MasterKeyError)?;
        let cipher = Aes256Gcm::new_from_slice(key.as_slice()).map_err(|_| MasterKeyError)?;
        Ok(MasterKey(cipher))
    }

    /// A new random key as text, to be kept in a file.
    pub fn generate_hex() -> Zeroizing<String> {
        let key = Zeroizing::new(rand::rng().random::<[u8; 32]>());
        Zeroizing::new(hex::encode(key.as_slice()))
    }

    /// Seals `secret` for `purpose`, such as a record's kind and identifier.
    pub(crate) fn seal(&self, purpose: &str, secret: &[u8]) -> Result<Vec<u8>, aes_gcm::Error> {
        let nonce: [u8; NONCE_BYTES] = rand::rng().random();
        let payload = Payload {
            msg: secret,
            aad: purpose.as_bytes(),
        };
        let sealed = self.0.encrypt(&Nonce::from(nonce), payload)?;
        let mut bytes = vec![VERSION];
        bytes.extend(nonce);
        bytes.extend(sealed);
        Ok(bytes)
    }

    /// Opens what was sealed for the same purpose.
    pub(crate) fn open(
        &self,
        purpose: &str,
        bytes: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, aes_gcm::Error> {
        let (version, rest) = bytes.split_first().ok_or(aes_gcm::Error)?;
        let (nonce, sealed) = rest
            .split_first_chunk::<NONCE_BYTES>()
            .filter(|_| *version == VERSION)
            .ok_or(aes_gcm::Error)?;
        let payload = Payload {
            msg: sealed,
            aad: purpose.as_bytes(),
        };
        let opened = self.0.decrypt(&Nonce::from(*nonce), payload)?;
        Ok(Zeroizing::new(opened))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_key_only() {
        let key = MasterKey::from_hex(&MasterKey::generate_hex()).unwrap();
        let sealed = key.seal("token 1", b"secret").unwrap();
        assert_eq!(key.open("token 1", &sealed).unwrap().as_slice(), b"secret");
        assert!(key.open("token 2", &sealed).is_err());
        let other = MasterKey::from_hex(&MasterKey::generate_hex()).unwrap();
        assert!(other.open("token 1", &sealed).is_err());
        let mut changed = sealed.clone();
        if let Some(last) = changed.last_mut() {
            *last ^= 1;
        }
        assert!(key.open("token 1", &changed).is_err());
        assert!(key.open("token 1", &sealed[..10]).is_err());
        assert!(key.open("token 1", &[]).is_err());
        assert_ne!(sealed, key.seal("token 1", b"secret").unwrap());
    }

    #[test]
    fn a_key_is_64_digits() {
        assert!(MasterKey::from_hex(&"0".repeat(63)).is_err());
        assert!(MasterKey::from_hex(&"g".repeat(64)).is_err());
        assert!(MasterKey::from_hex(&format!("{}\n", "a".repeat(64))).is_ok());
    }
}
