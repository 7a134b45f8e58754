//! Payload signatures: Bitcoin signed messages over secp256k1 (OES wire §4.1), and the keys that
//! make and check them in the spellings that clients use. Which key may sign for which account, and
//! what a payload must say, is decided elsewhere.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secp256k1::Message;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

/// Version bytes of a main-net `xpub` (BIP 32).
const XPUB_VERSION: [u8; 4] = [0x04, 0x88, 0xb2, 0x1e];

/// Version bytes of a main-net `xprv` (BIP 32).
const XPRV_VERSION: [u8; 4] = [0x04, 0x88, 0xad, 0xe4];

/// Length of a serialised extended key: version 4, depth 1, parent 4, child number 4, chain code
/// 32, key 33 (BIP 32).
const EXTENDED_KEY_LENGTH: usize = 78;

/// The longest text of an extended key: 82 bytes with the checksum in base58. Longer ones are not
/// even decoded, for that takes time with the square of their length.
const EXTENDED_KEY_TEXT_MAX: usize = 112;

/// What stands before the point in the SPKI DER of a secp256k1 key: compressed, uncompressed.
const SPKI_COMPRESSED: &str = "3036301006072a8648ce3d020106052b8104000a032200";
const SPKI_UNCOMPRESSED: &str = "3056301006072a8648ce3d020106052b8104000a034200";

/// Half of the group order, the largest `s` of a low-s signature (BIP 62).
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// What is hashed before the payload: the length of the text, and the text.
const PREFIX: &[u8] = b"\x18Bitcoin Signed Message:\n";

/// The first of the header bytes: an uncompressed key with recovery id 0.
const HEADER_MIN: u8 = 27;

/// The last of the header bytes: a compressed key with recovery id 3.
const HEADER_MAX: u8 = 34;

/// What the header adds for a compressed key; ours always are.
const HEADER_COMPRESSED: u8 = HEADER_MIN + 4;

/// A text or byte string that is not a key of the expected form, or no valid key of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {expected}")]
pub struct InvalidKey {
    /// The form that was expected, such as `xpub`.
    pub expected: &'static str,
}

/// A text that does not have the form of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 130 hexadecimal characters that begin with a header byte from 1b to 22")]
pub struct MalformedSignature;

/// The hash that is signed: SHA-256, twice, over the prefix `"\x18Bitcoin Signed Message:\n"`, the
/// payload's length in bytes (CompactSize), and the payload's bytes as they stand (OES wire §4.1).
#[must_use]
pub fn digest(payload: impl AsRef<[u8]>) -> [u8; 32] {
    let payload = payload.as_ref();
    let once = Sha256::new()
        .chain_update(PREFIX)
        .chain_update(compact_size(payload.len()))
        .chain_update(payload)
        .finalize();
    Sha256::digest(once).into()
}

/// Bitcoin's CompactSize: one byte below 253, else a mark and 2, 4 or 8 little-endian bytes.
fn compact_size(length: usize) -> Vec<u8> {
    if let Ok(small @ 0..=252) = u8::try_from(length) {
        vec![small]
    } else if let Ok(length) = u16::try_from(length) {
        [&[0xfd][..], &length.to_le_bytes()].concat()
    } else if let Ok(length) = u32::try_from(length) {
        [&[0xfe][..], &length.to_le_bytes()].concat()
    } else {
        [&[0xff][..], &(length as u64).to_le_bytes()].concat()
    }
}

/// A secp256k1 public key, a valid point of the curve, held in its compressed form of 33 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 33]);

impl PublicKey {
    /// From the compressed form.
    ///
    /// # Errors
    /// Other than 33 bytes, or not a point of the curve.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidKey> {
        Self::from_compressed(bytes).ok_or(InvalidKey {
            expected: "compressed secp256k1 public key",
        })
    }

    /// From the compressed form in hex, either case.
    ///
    /// # Errors
    /// Other than 66 hexadecimal characters, or not a point of the curve.
    pub fn from_hex(text: &str) -> Result<Self, InvalidKey> {
        hex::decode(text)
            .ok()
            .and_then(|bytes| Self::from_compressed(&bytes))
            .ok_or(InvalidKey {
                expected: "compressed secp256k1 public key in hex",
            })
    }

    /// From an `xpub` of any depth; its own key is taken, nothing is derived.
    ///
    /// # Errors
    /// Not base58check, not a main-net `xpub` (version `0488b21e`), not a point of the curve.
    pub fn from_xpub(xpub: &str) -> Result<Self, InvalidKey> {
        extended_key(xpub, XPUB_VERSION)
            .and_then(|bytes| Self::from_compressed(&bytes[45..]))
            .ok_or(InvalidKey { expected: "xpub" })
    }

    /// From base64 SubjectPublicKeyInfo (DER) with a compressed or an uncompressed point, the form
    /// in which key services publish theirs.
    ///
    /// # Errors
    /// Not base64, another algorithm or curve, not a point of the curve.
    pub fn from_spki_base64(spki: &str) -> Result<Self, InvalidKey> {
        let key = STANDARD.decode(spki).ok().map(hex::encode).and_then(|der| {
            let point = der
                .strip_prefix(SPKI_COMPRESSED)
                .filter(|point| point.len() == 66)
                .or_else(|| {
                    der.strip_prefix(SPKI_UNCOMPRESSED)
                        .filter(|point| point.len() == 130 && point.starts_with("04"))
                });
            let point = hex::decode(point?).ok()?;
            secp256k1::PublicKey::from_slice(&point).ok()
        });
        key.map(|key| Self(key.serialize())).ok_or(InvalidKey {
            expected: "secp256k1 SPKI in base64",
        })
    }

    fn from_compressed(bytes: &[u8]) -> Option<Self> {
        let bytes = <[u8; 33]>::try_from(bytes).ok()?;
        secp256k1::PublicKey::from_byte_array_compressed(bytes)
            .ok()
            .map(|key| Self(key.serialize()))
    }

    /// The compressed form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }

    /// The compressed form in lower-case hex, 66 characters.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.to_hex())
    }
}

/// The payload of a base58check extended key with the given version.
fn extended_key(text: &str, version: [u8; 4]) -> Option<Zeroizing<[u8; EXTENDED_KEY_LENGTH]>> {
    if text.len() > EXTENDED_KEY_TEXT_MAX {
        return None;
    }
    let bytes = Zeroizing::new(bs58::decode(text).with_check(None).into_vec().ok()?);
    let bytes = <[u8; EXTENDED_KEY_LENGTH]>::try_from(bytes.as_slice())
        .ok()
        .map(Zeroizing::new)?;
    bytes.starts_with(&version).then_some(bytes)
}

/// A secp256k1 private key. Wiped when dropped; never shown by `Debug`.
pub struct SigningKey(Zeroizing<[u8; 32]>);

impl SigningKey {
    /// A new key from a cryptographic random source that the operating system seeds.
    #[must_use]
    pub fn generate() -> Self {
        loop {
            let mut bytes = Zeroizing::new([0; 32]);
            rand::fill(bytes.as_mut_slice());
            // All but about one in 2^128 draws lie below the group order.
            if let Ok(key) = Self::from_bytes(&bytes) {
                return key;
            }
        }
    }

    /// From the big-endian scalar.
    ///
    /// # Errors
    /// Zero, or not below the group order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, InvalidKey> {
        let key = Self(Zeroizing::new(*bytes));
        key.with_secret(|_| ()).map(|()| key)
    }

    /// From an `xprv` of any depth; its own key is taken, nothing is derived (OES wire §4.1).
    ///
    /// # Errors
    /// Not base58check, not a main-net `xprv` (version `0488ade4`), not a valid scalar.
    pub fn from_xprv(xprv: &str) -> Result<Self, InvalidKey> {
        ExtendedKey::from_xprv(xprv).map(|extended| extended.key)
    }

    /// The public key that belongs to it.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.with_secret(|secret| {
            PublicKey(secp256k1::PublicKey::from_secret_key(secret).serialize())
        })
        .expect("the scalar was checked when this key was made")
    }

    /// Signs the bytes of a payload as they stand: RFC 6979, low s, header for a compressed key;
    /// 130 characters of lower-case hex. The same payload always gives the same signature.
    #[must_use]
    pub fn sign(&self, payload: impl AsRef<[u8]>) -> String {
        let message = Message::from_digest(digest(payload));
        let signature = self
            .with_secret(|secret| RecoverableSignature::sign_ecdsa_recoverable(message, secret))
            .expect("the scalar was checked when this key was made");
        let (recovery, compact) = signature.serialize_compact();
        hex::encode([&[HEADER_COMPRESSED + recovery.to_u8()][..], &compact].concat())
    }

    /// Runs `act` with the library's form of the key and wipes that form afterwards.
    fn with_secret<T>(
        &self,
        act: impl FnOnce(&secp256k1::SecretKey) -> T,
    ) -> Result<T, InvalidKey> {
        let mut secret =
            secp256k1::SecretKey::from_secret_bytes(*self.0).map_err(|_| InvalidKey {
                expected: "secp256k1 private key",
            })?;
        let outcome = act(&secret);
        secret.non_secure_erase();
        Ok(outcome)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey(of {})", self.public_key().to_hex())
    }
}

/// A BIP-32 root: a signing key with the chain code that its `xprv` and `xpub` spellings need.
/// Child keys are never derived; the network signs with the root itself.
#[derive(Debug)]
pub struct ExtendedKey {
    /// The key that signs.
    pub key: SigningKey,
    chain_code: ChainCode,
    /// Depth, parent fingerprint and child number, all zero for a root.
    place: [u8; 9],
}

struct ChainCode(Zeroizing<[u8; 32]>);

impl fmt::Debug for ChainCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl ExtendedKey {
    /// A new root from 64 random bytes.
    #[must_use]
    pub fn generate() -> Self {
        loop {
            let mut seed = Zeroizing::new([0; 64]);
            rand::fill(seed.as_mut_slice());
            if let Ok(root) = Self::from_seed(seed.as_slice()) {
                return root;
            }
        }
    }

    /// The root that belongs to a seed (BIP 32: HMAC-SHA512 with the key `Bitcoin seed`).
    ///
    /// # Errors
    /// A seed of less than 16 or more than 64 bytes, or one that gives no valid key (practically
    /// none does).
    pub fn from_seed(seed: &[u8]) -> Result<Self, InvalidKey> {
        if !(16..=64).contains(&seed.len()) {
            return Err(InvalidKey {
                expected: "seed of 16 to 64 bytes",
            });
        }
        let mut mac =
            Hmac::<Sha512>::new_from_slice(b"Bitcoin seed").expect("HMAC takes keys of any length");
        mac.update(seed);
        let mut bytes: [u8; 64] = mac.finalize().into_bytes().into();
        let mut key = Zeroizing::new([0; 32]);
        let mut chain_code = Zeroizing::new([0; 32]);
        key.copy_from_slice(&bytes[..32]);
        chain_code.copy_from_slice(&bytes[32..]);
        bytes.zeroize();
        Ok(Self {
            key: SigningKey::from_bytes(&key)?,
            chain_code: ChainCode(chain_code),
            place: [0; 9],
        })
    }

    /// From an `xprv` of any depth.
    ///
    /// # Errors
    /// Not base58check, not a main-net `xprv` (version `0488ade4`), not a valid scalar.
    pub fn from_xprv(xprv: &str) -> Result<Self, InvalidKey> {
        let invalid = InvalidKey { expected: "xprv" };
        let bytes = extended_key(xprv, XPRV_VERSION).ok_or(invalid)?;
        let mut key = Zeroizing::new([0; 32]);
        let mut chain_code = Zeroizing::new([0; 32]);
        let mut place = [0; 9];
        place.copy_from_slice(&bytes[4..13]);
        chain_code.copy_from_slice(&bytes[13..45]);
        key.copy_from_slice(&bytes[46..]);
        // A private key is padded to the length of a public one with a zero in front.
        if bytes[45] != 0 {
            return Err(invalid);
        }
        let key = SigningKey::from_bytes(&key).map_err(|_| invalid)?;
        Ok(Self {
            key,
            chain_code: ChainCode(chain_code),
            place,
        })
    }

    /// The private spelling, `xprv…`: a secret.
    #[must_use]
    pub fn xprv(&self) -> Zeroizing<String> {
        let mut key = Zeroizing::new([0; 33]);
        key[1..].copy_from_slice(self.key.0.as_slice());
        Zeroizing::new(self.spell(XPRV_VERSION, &key))
    }

    /// The public spelling, `xpub…`.
    #[must_use]
    pub fn xpub(&self) -> String {
        self.spell(XPUB_VERSION, self.key.public_key().as_bytes())
    }

    fn spell(&self, version: [u8; 4], key: &[u8; 33]) -> String {
        let parts = [&version[..], &self.place, self.chain_code.0.as_slice(), key];
        let bytes = Zeroizing::new(parts.concat());
        bs58::encode(bytes.as_slice()).with_check().into_string()
    }
}

/// A well-formed signature; whether it is anybody's is what [`Signature::verifies`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    recovery: u8,
    compact: [u8; 64],
}

impl Signature {
    /// Reads 130 hexadecimal characters, either case: a header from 27 to 34, r, s.
    ///
    /// # Errors
    /// Any other length, character or header (OES wire §4.1).
    pub fn parse(text: &str) -> Result<Self, MalformedSignature> {
        let mut bytes = [0; 65];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| MalformedSignature)?;
        let [header @ HEADER_MIN..=HEADER_MAX, compact @ ..] = bytes else {
            return Err(MalformedSignature);
        };
        Ok(Self {
            recovery: (header - HEADER_MIN) & 3,
            compact,
        })
    }

    /// Whose key signed exactly these bytes, if anybody's did. A signature with a high s is
    /// nobody's: it is the twin that anybody can make from a good one, and must not count as
    /// another signature.
    #[must_use]
    pub fn signer(&self, payload: impl AsRef<[u8]>) -> Option<PublicKey> {
        if self.compact[32..] > HALF_ORDER[..] {
            return None;
        }
        let recovery = RecoveryId::from_u8_masked(self.recovery);
        RecoverableSignature::from_compact(&self.compact, recovery)
            .and_then(|signature| signature.recover_ecdsa(Message::from_digest(digest(payload))))
            .ok()
            .map(|signer| PublicKey(signer.serialize()))
    }

    /// Whether the holder of the key signed exactly these bytes; see [`Signature::signer`].
    #[must_use]
    pub fn verifies(&self, payload: impl AsRef<[u8]>, key: &PublicKey) -> bool {
        self.signer(payload)
            .is_some_and(|signer| signer.0.ct_eq(key.as_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: &str = r#"{"amount":{"currency":"ofctbtc","quantity":"1000"},"nonce":"n1"}"#;
    const SIGNATURE: &str = "1f451ff58c9f8599427269bf685f34546610c8db1882a9a3b9bdcf7fc2de0db0b92eedd48ee2f576bae8648e09556f682e9be6a1f877fe183c5bc5a7cd54949bf7";

    fn root() -> ExtendedKey {
        ExtendedKey::from_seed(&[7; 64]).unwrap()
    }

    /// The order of the group less the scalar.
    fn negated(scalar: &[u8]) -> Vec<u8> {
        let scalar = secp256k1::SecretKey::from_secret_bytes(scalar.try_into().unwrap()).unwrap();
        scalar.negate().to_secret_bytes().to_vec()
    }

    #[test]
    fn the_vector_of_the_protocol_description() {
        let root = root();
        assert_eq!(
            root.xpub(),
            "xpub661MyMwAqRbcFp8KYMcXTUtXAzhtuigeFpgstx3JGkj3d8wP3TCRG1xoqP25rnjrHtbichdkPLj5pgqQQqmXfysgDdMwF8GW7afDowD9mux"
        );
        assert_eq!(
            root.key.public_key().to_hex(),
            "034b8c6076ef35c71de13d780b343cbe00b0e224cdeb247d8d715641cfe633fe34"
        );
        assert_eq!(root.key.sign(PAYLOAD), SIGNATURE);
        assert!(
            Signature::parse(SIGNATURE)
                .unwrap()
                .verifies(PAYLOAD, &root.key.public_key())
        );
    }

    #[test]
    fn only_the_signer_of_exactly_these_bytes_verifies() {
        let key = root().key.public_key();
        let good = Signature::parse(SIGNATURE).unwrap();
        assert!(!good.verifies(format!("{PAYLOAD} "), &key));
        assert!(!good.verifies(PAYLOAD, &SigningKey::generate().public_key()));
        let bytes = hex::decode(SIGNATURE).unwrap();
        for bit in 8..65 * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(
                !Signature::parse(&hex::encode(flipped))
                    .unwrap()
                    .verifies(PAYLOAD, &key),
                "{bit}"
            );
        }
    }

    #[test]
    fn headers_decide_the_recovery_id_only() {
        let key = root().key.public_key();
        let bytes = hex::decode(SIGNATURE).unwrap();
        for header in 0..=255 {
            let mut other = bytes.clone();
            other[0] = header;
            let signature = Signature::parse(&hex::encode(other));
            assert_eq!(signature.is_ok(), (27..=34).contains(&header));
            // This one has recovery id 0.
            let verifies = signature.is_ok_and(|signature| signature.verifies(PAYLOAD, &key));
            assert_eq!(verifies, header == 27 || header == 31, "{header}");
        }
    }

    #[test]
    fn the_high_s_twin_does_not_verify() {
        let key = root().key.public_key();
        let mut twin = hex::decode(SIGNATURE).unwrap();
        let s = negated(&twin[33..]);
        twin[33..].copy_from_slice(&s);
        twin[0] = 0x20;
        let signature = Signature::parse(&hex::encode(&twin)).unwrap();
        // The library itself takes it for the same signer's.
        let recovered =
            RecoverableSignature::from_compact(&signature.compact, RecoveryId::One).unwrap();
        let signer = recovered
            .recover_ecdsa(Message::from_digest(digest(PAYLOAD)))
            .unwrap();
        assert_eq!(signer.serialize(), *key.as_bytes());
        assert!(!signature.verifies(PAYLOAD, &key));
    }

    #[test]
    fn malformed_signatures_are_told_from_wrong_ones() {
        let cut = &SIGNATURE[..128];
        let odd = &SIGNATURE[..129];
        let letter = SIGNATURE.replace('f', "g");
        let long = format!("{SIGNATURE}00");
        for wrong in [
            "",
            cut,
            odd,
            &letter,
            &long,
            &format!("0x{cut}"),
            &format!(" {odd}"),
        ] {
            assert_eq!(Signature::parse(wrong), Err(MalformedSignature));
        }
        assert_eq!(
            Signature::parse(&SIGNATURE.to_uppercase()),
            Signature::parse(SIGNATURE)
        );
        let key = root().key.public_key();
        for wrong in [
            format!("1f{}", "00".repeat(64)),
            format!("1f{}{}", "ff".repeat(32), "01".repeat(32)),
        ] {
            assert!(!Signature::parse(&wrong).unwrap().verifies(PAYLOAD, &key));
        }
    }

    #[test]
    fn keys_in_all_their_spellings() {
        let root = root();
        let key = root.key.public_key();
        assert_eq!(PublicKey::from_bytes(key.as_bytes()), Ok(key));
        assert_eq!(PublicKey::from_hex(&key.to_hex().to_uppercase()), Ok(key));
        assert_eq!(PublicKey::from_xpub(&root.xpub()), Ok(key));
        let compressed = hex::decode(format!("{SPKI_COMPRESSED}{}", key.to_hex())).unwrap();
        assert_eq!(
            PublicKey::from_spki_base64(&STANDARD.encode(compressed)),
            Ok(key)
        );
        let point = secp256k1::PublicKey::from_slice(key.as_bytes())
            .unwrap()
            .serialize_uncompressed();
        let uncompressed =
            hex::decode(format!("{SPKI_UNCOMPRESSED}{}", hex::encode(point))).unwrap();
        assert_eq!(
            PublicKey::from_spki_base64(&STANDARD.encode(&uncompressed)),
            Ok(key)
        );
        assert!(PublicKey::from_spki_base64(&STANDARD.encode(&uncompressed[..87])).is_err());
        // The same point in the form that is neither compressed nor uncompressed.
        let mut hybrid = uncompressed.clone();
        hybrid[23] = 6 | (uncompressed[87] & 1);
        assert!(PublicKey::from_spki_base64(&STANDARD.encode(&hybrid)).is_err());

        assert_eq!(
            SigningKey::from_xprv(&root.xprv()).unwrap().public_key(),
            key
        );
        assert_eq!(
            ExtendedKey::from_xprv(&root.xprv()).unwrap().xpub(),
            root.xpub()
        );
        assert!(ExtendedKey::generate().xprv().starts_with("xprv"));
        assert!(ExtendedKey::from_seed(&[1; 15]).is_err());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let root = root();
        let not_on_curve = format!("02{}05", "00".repeat(31));
        for wrong in [
            "",
            "02",
            "zz",
            &not_on_curve,
            &format!("04{}", "11".repeat(32)),
            &"ff".repeat(33),
        ] {
            assert!(PublicKey::from_hex(wrong).is_err(), "{wrong}");
        }
        let mistyped = root.xpub().replace("xpub661MyMwAq", "xpub661MyMwAr");
        for wrong in ["", "xpub", &mistyped, &root.xprv(), &key_like("tpub")] {
            assert!(PublicKey::from_xpub(wrong).is_err(), "{wrong}");
        }
        assert!(SigningKey::from_xprv(&root.xpub()).is_err());
        assert!(SigningKey::from_bytes(&[0; 32]).is_err());
        assert!(SigningKey::from_bytes(&[0xff; 32]).is_err());
        assert_eq!(
            PublicKey::from_xpub("").unwrap_err().to_string(),
            "not a valid xpub"
        );
    }

    #[test]
    fn long_texts_are_refused_at_once() {
        // Decoding this would take minutes.
        let long = format!("xpub{}", "z".repeat(2_000_000));
        assert!(PublicKey::from_xpub(&long).is_err());
        assert!(SigningKey::from_xprv(&long).is_err());
    }

    /// A valid key under the version bytes of another network.
    fn key_like(network: &str) -> String {
        let text = root().spell([0x04, 0x35, 0x87, 0xcf], root().key.public_key().as_bytes());
        assert!(text.starts_with(network));
        text
    }

    #[test]
    fn debug_shows_no_secret() {
        let root = root();
        let shown = format!("{root:?}");
        assert!(!shown.contains(&hex::encode(root.key.0.as_slice())));
        assert!(!shown.contains(&hex::encode(root.chain_code.0.as_slice())));
        assert!(shown.contains(&root.key.public_key().to_hex()));
    }
}
