//! Connection keys: what a client shows to be connected to a partner, in the four schemas of the
//! protocol, and the sealed form in which only the partner can read their secrets (OES wire §4.4).
//! Where sealed keys are kept, and which schema a partner wants, is decided elsewhere.

use std::fmt;

use aes_gcm::aead::{Aead as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::body::Reader;
use crate::json::{Json, Object};
use crate::pem;

/// Rounds of PBKDF2 between the random password and the AES key.
const PBKDF2_ROUNDS: u32 = 200_000;

/// The first byte of the second line: the only version there is.
const VERSION: u8 = 1;

/// Lengths in bytes within the second line, after the version.
const SALT: usize = 16;
const IV: usize = 12;
const TAG: usize = 16;

/// Which members a connection key has; a partner takes one schema only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionKeySchema {
    /// `token`: a connection token.
    Token,
    /// `tokenAndSignature`: a connection token and a signature.
    TokenAndSignature,
    /// `apiKeyAndSecret`: an API key and its secret.
    ApiKeyAndSecret,
    /// `clearloop`: an API key and its secret, and two identifiers of the client.
    Clearloop,
}

impl ConnectionKeySchema {
    /// Every schema with its spelling on the wire, in the form that [`Reader::choice`] takes.
    pub const CHOICES: [(&'static str, Self); 4] = [
        ("token", Self::Token),
        ("tokenAndSignature", Self::TokenAndSignature),
        ("apiKeyAndSecret", Self::ApiKeyAndSecret),
        ("clearloop", Self::Clearloop),
    ];

    /// The spelling on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::TokenAndSignature => "tokenAndSignature",
            Self::ApiKeyAndSecret => "apiKeyAndSecret",
            Self::Clearloop => "clearloop",
        }
    }

    /// Reads the spelling on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::CHOICES
            .into_iter()
            .find(|(own, _)| *own == text)
            .map(|(_, schema)| schema)
    }
}

/// A connection key; its secret fields are plain or sealed, as the client sent them. `Debug` shows
/// the schema only.
#[derive(Clone, PartialEq, Eq)]
pub enum ConnectionKey {
    /// Schema `token`.
    Token {
        /// `connectionToken`, secret.
        connection_token: String,
    },
    /// Schema `tokenAndSignature`.
    TokenAndSignature {
        /// `connectionToken`, secret.
        connection_token: String,
        /// `signature`, secret.
        signature: String,
    },
    /// Schema `apiKeyAndSecret`.
    ApiKeyAndSecret {
        /// `apiKey`, secret.
        api_key: String,
        /// `apiSecret`, secret.
        api_secret: String,
    },
    /// Schema `clearloop`.
    Clearloop {
        /// `apiKey`, secret.
        api_key: String,
        /// `apiSecret`, secret.
        api_secret: String,
        /// `clientAccountId`, never sealed.
        client_account_id: String,
        /// `companyRegistrationNumber`, never sealed.
        company_registration_number: String,
    },
}

impl ConnectionKey {
    /// Takes a key out of the object that holds it, noting every fault of its members; which
    /// members are read is told by `schema`.
    #[must_use]
    pub fn read(key: &Reader<'_>) -> Option<Self> {
        match key.choice("schema", &ConnectionKeySchema::CHOICES)? {
            ConnectionKeySchema::Token => Some(Self::Token {
                connection_token: key.string("connectionToken")?,
            }),
            ConnectionKeySchema::TokenAndSignature => {
                let connection_token = key.string("connectionToken");
                let signature = key.string("signature");
                Some(Self::TokenAndSignature {
                    connection_token: connection_token?,
                    signature: signature?,
                })
            }
            ConnectionKeySchema::ApiKeyAndSecret => {
                let api_key = key.string("apiKey");
                let api_secret = key.string("apiSecret");
                Some(Self::ApiKeyAndSecret {
                    api_key: api_key?,
                    api_secret: api_secret?,
                })
            }
            ConnectionKeySchema::Clearloop => {
                let api_key = key.string("apiKey");
                let api_secret = key.string("apiSecret");
                let client_account_id = key.string("clientAccountId");
                let company_registration_number = key.string("companyRegistrationNumber");
                Some(Self::Clearloop {
                    api_key: api_key?,
                    api_secret: api_secret?,
                    client_account_id: client_account_id?,
                    company_registration_number: company_registration_number?,
                })
            }
        }
    }

    /// Its schema.
    #[must_use]
    pub fn schema(&self) -> ConnectionKeySchema {
        match self {
            Self::Token { .. } => ConnectionKeySchema::Token,
            Self::TokenAndSignature { .. } => ConnectionKeySchema::TokenAndSignature,
            Self::ApiKeyAndSecret { .. } => ConnectionKeySchema::ApiKeyAndSecret,
            Self::Clearloop { .. } => ConnectionKeySchema::Clearloop,
        }
    }

    /// The fields that are sealed for a partner with a public key, by their names on the wire.
    pub fn secret_fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let [first, second] = match self {
            Self::Token { connection_token } => [Some(("connectionToken", connection_token)), None],
            Self::TokenAndSignature {
                connection_token,
                signature,
            } => [
                Some(("connectionToken", connection_token)),
                Some(("signature", signature)),
            ],
            Self::ApiKeyAndSecret {
                api_key,
                api_secret,
            }
            | Self::Clearloop {
                api_key,
                api_secret,
                ..
            } => [Some(("apiKey", api_key)), Some(("apiSecret", api_secret))],
        };
        first
            .into_iter()
            .chain(second)
            .map(|(name, value)| (name, value.as_str()))
    }

    /// The key as a JSON object, `schema` first: for payloads, and for handing it to the partner.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut members = vec![("schema", Json::from(self.schema().as_str()))];
        members.extend(
            self.secret_fields()
                .map(|(name, value)| (name, Json::from(value))),
        );
        if let Self::Clearloop {
            client_account_id,
            company_registration_number,
            ..
        } = self
        {
            members.push(("clientAccountId", Json::from(client_account_id.as_str())));
            members.push((
                "companyRegistrationNumber",
                Json::from(company_registration_number.as_str()),
            ));
        }
        Json::Object(members.into_iter().collect::<Object>())
    }

    /// Whether every secret field has the sealed form.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.secret_fields().all(|(_, value)| is_sealed(value))
    }

    /// The same key with every secret field sealed for a partner.
    ///
    /// # Errors
    /// Those of [`seal`].
    pub fn seal(&self, public_pem: &str) -> Result<Self, SealError> {
        self.with_secrets(|plain| seal(plain, public_pem))
    }

    /// The same key with every secret field opened.
    ///
    /// # Errors
    /// Those of [`open`].
    pub fn open(&self, private_pem: &str) -> Result<Self, SealError> {
        self.with_secrets(|sealed| open(sealed, private_pem).map(|plain| plain.to_string()))
    }

    fn with_secrets(
        &self,
        change: impl Fn(&str) -> Result<String, SealError>,
    ) -> Result<Self, SealError> {
        let mut changed = self.clone();
        match &mut changed {
            Self::Token { connection_token } => *connection_token = change(connection_token)?,
            Self::TokenAndSignature {
                connection_token: first,
                signature: second,
            }
            | Self::ApiKeyAndSecret {
                api_key: first,
                api_secret: second,
            }
            | Self::Clearloop {
                api_key: first,
                api_secret: second,
                ..
            } => {
                *first = change(first)?;
                *second = change(second)?;
            }
        }
        Ok(changed)
    }
}

impl fmt::Debug for ConnectionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionKey({})", self.schema().as_str())
    }
}

/// Why a text could not be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The PEM holds no RSA key of 2048 to 4096 bits, public in SPKI form or private in PKCS#8 form.
    #[error("not an RSA key of 2048 to 4096 bits in PEM (SPKI or PKCS#8)")]
    InvalidKey,
    /// The text does not have the sealed form.
    #[error("not a sealed text: two lines of base64 are wanted")]
    Shape,
    /// Sealed for another key, or altered. Which of the two is not told, on purpose.
    #[error("the sealed text cannot be opened with this key")]
    Unopened,
    /// The library failed while sealing.
    #[error("the cryptographic library failed")]
    Library,
}

/// Whether the text is an RSA public key in PEM (SPKI, 2048 to 4096 bits) that [`seal`] can use.
#[must_use]
pub fn is_public_key(public_pem: &str) -> bool {
    public_key(public_pem).is_ok()
}

/// Seals a text for the holder of an RSA key: `<A>\n<B>`, both base64. A is the RSA-OAEP
/// (SHA-256) of a random password of 44 characters, in base64; B is
/// `01 ‖ salt 16 ‖ iv 12 ‖ AES-256-GCM ciphertext ‖ tag 16` under the key that PBKDF2 (200 000
/// rounds: tens of milliseconds) makes of the password. Source: OES wire §4.4.
///
/// # Errors
/// [`SealError::InvalidKey`], [`SealError::Library`].
pub fn seal(plain: &str, public_pem: &str) -> Result<String, SealError> {
    let key = public_key(public_pem)?;
    let mut random = Zeroizing::new([0; 32]);
    rand::fill(random.as_mut_slice());
    let password = Zeroizing::new(STANDARD.encode(random.as_slice()));
    let mut salt = [0; SALT];
    rand::fill(&mut salt);
    let mut iv = [0; IV];
    rand::fill(&mut iv);
    let ciphertext = cipher(password.as_bytes(), &salt)
        .encrypt(&Nonce::from(iv), plain.as_bytes())
        .map_err(|_| SealError::Library)?;
    // Base64 of a text that is base64 already: so it is on the wire.
    let wrapped = Zeroizing::new(STANDARD.encode(password.as_bytes()));
    let mut sealed_password = vec![0; key.ciphertext_size()];
    let sealed_password = key
        .encrypt(
            &OAEP_SHA256_MGF1SHA256,
            wrapped.as_bytes(),
            &mut sealed_password,
            None,
        )
        .map_err(|_| SealError::Library)?;
    let blob = [&[VERSION][..], &salt, &iv, &ciphertext].concat();
    Ok(format!(
        "{}\n{}",
        STANDARD.encode(sealed_password),
        STANDARD.encode(blob)
    ))
}

/// Opens what [`seal`] sealed, with the private key in PEM (PKCS#8). For partners; the network
/// never holds such a key.
///
/// # Errors
/// [`SealError::InvalidKey`], [`SealError::Shape`], [`SealError::Unopened`].
pub fn open(sealed: &str, private_pem: &str) -> Result<Zeroizing<String>, SealError> {
    let key = private_key(private_pem)?;
    let (sealed_password, blob) = parts(sealed).ok_or(SealError::Shape)?;
    let mut wrapped = Zeroizing::new(vec![0; key.min_output_size()]);
    let wrapped = key
        .decrypt(
            &OAEP_SHA256_MGF1SHA256,
            &sealed_password,
            &mut wrapped,
            None,
        )
        .map_err(|_| SealError::Unopened)?;
    let password = Zeroizing::new(STANDARD.decode(wrapped).map_err(|_| SealError::Unopened)?);
    let (salt, rest) = blob[1..].split_at(SALT);
    let (iv, ciphertext) = rest.split_at(IV);
    let iv = <[u8; IV]>::try_from(iv).map_err(|_| SealError::Shape)?;
    let plain = cipher(&password, salt)
        .decrypt(&Nonce::from(iv), ciphertext)
        .map_err(|_| SealError::Unopened)?;
    String::from_utf8(plain)
        .map(Zeroizing::new)
        .map_err(|_| SealError::Unopened)
}

/// Whether a text has the sealed form: two lines of base64, the first of 256 to 512 bytes (RSA of
/// 2048 to 4096 bits), the second of at least 46 bytes that begin with the version, 1. More than
/// the form nobody but the partner can tell.
#[must_use]
pub fn is_sealed(text: &str) -> bool {
    parts(text).is_some()
}

fn parts(sealed: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (first, second) = sealed.split_once('\n')?;
    let sealed_password = STANDARD.decode(first).ok()?;
    let blob = STANDARD.decode(second).ok()?;
    let shaped = (256..=512).contains(&sealed_password.len())
        && blob.len() > 1 + SALT + IV + TAG
        && blob[0] == VERSION;
    shaped.then_some((sealed_password, blob))
}

fn cipher(password: &[u8], salt: &[u8]) -> Aes256Gcm {
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, PBKDF2_ROUNDS, key.as_mut_slice());
    Aes256Gcm::new(&(*key).into())
}

fn public_key(public_pem: &str) -> Result<OaepPublicEncryptingKey, SealError> {
    pem::decode(pem::PUBLIC_KEY, public_pem)
        .and_then(|der| PublicEncryptingKey::from_der(&der).ok())
        .and_then(|key| OaepPublicEncryptingKey::new(key).ok())
        .filter(|key| (256..=512).contains(&key.key_size_bytes()))
        .ok_or(SealError::InvalidKey)
}

fn private_key(private_pem: &str) -> Result<OaepPrivateDecryptingKey, SealError> {
    pem::decode(pem::PRIVATE_KEY, private_pem)
        .and_then(|der| PrivateDecryptingKey::from_pkcs8(&der).ok())
        .and_then(|key| OaepPrivateDecryptingKey::new(key).ok())
        .ok_or(SealError::InvalidKey)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::partner_jwt::JwtSigner;

    /// Any RSA pair will do; this crate makes them for tokens.
    static PAIR: LazyLock<(String, String)> = LazyLock::new(|| {
        let pair = JwtSigner::generate().unwrap();
        (
            pair.public_key_pem(),
            pair.private_key_pem().unwrap().to_string(),
        )
    });

    fn clearloop() -> ConnectionKey {
        ConnectionKey::Clearloop {
            api_key: "key".to_owned(),
            api_secret: "hush".to_owned(),
            client_account_id: "account".to_owned(),
            company_registration_number: "number".to_owned(),
        }
    }

    fn read(text: &str) -> Result<ConnectionKey, Vec<String>> {
        let json = Json::parse(text.as_bytes()).unwrap();
        let body = Reader::new(&json).unwrap();
        let key = body
            .object("connectionKey")
            .and_then(|key| ConnectionKey::read(&key));
        body.finish(|| key)
            .map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn keys_of_every_schema_are_read_and_written() {
        for text in [
            r#"{"schema":"token","connectionToken":"t"}"#,
            r#"{"schema":"tokenAndSignature","connectionToken":"t","signature":"s"}"#,
            r#"{"schema":"apiKeyAndSecret","apiKey":"k","apiSecret":"s"}"#,
            r#"{"schema":"clearloop","apiKey":"k","apiSecret":"s","clientAccountId":"a","companyRegistrationNumber":"n"}"#,
        ] {
            let key = read(&format!(r#"{{"connectionKey":{text}}}"#)).unwrap();
            assert_eq!(key.to_json().to_compact_string(), text);
            assert_eq!(
                ConnectionKeySchema::parse(key.schema().as_str()),
                Some(key.schema())
            );
        }
        let names: Vec<_> = clearloop().secret_fields().map(|(name, _)| name).collect();
        assert_eq!(names, ["apiKey", "apiSecret"]);
    }

    #[test]
    fn all_faults_of_a_key_are_noted() {
        assert_eq!(
            read(r#"{"connectionKey":{"schema":"clearloop","apiKey":"","clientAccountId":1}}"#)
                .unwrap_err(),
            [
                "connectionKey.apiKey must be a string of at least one character",
                "connectionKey.apiSecret is required",
                "connectionKey.clientAccountId must be a string of at least one character",
                "connectionKey.companyRegistrationNumber is required",
            ]
        );
        assert_eq!(
            read(r#"{"connectionKey":{"schema":"Token"}}"#).unwrap_err(),
            [
                "connectionKey.schema must be one of: token, tokenAndSignature, apiKeyAndSecret, clearloop"
            ]
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", clearloop()), "ConnectionKey(clearloop)");
    }

    #[test]
    fn what_is_sealed_opens_again() {
        let (public, private) = &*PAIR;
        let sealed = clearloop().seal(public).unwrap();
        assert!(sealed.is_sealed());
        assert!(!clearloop().is_sealed());
        assert_eq!(
            sealed.to_json().as_object().unwrap().get("clientAccountId"),
            Some(&Json::from("account"))
        );
        assert!(sealed.open(private).unwrap() == clearloop());
    }

    #[test]
    fn what_was_altered_or_meant_for_another_does_not_open() {
        let (public, private) = &*PAIR;
        let sealed = seal("hush", public).unwrap();
        assert_ne!(sealed, seal("hush", public).unwrap());
        let other = JwtSigner::generate().unwrap().private_key_pem().unwrap();
        assert_eq!(open(&sealed, &other), Err(SealError::Unopened));
        let (first, second) = sealed.split_once('\n').unwrap();
        let mut blob = STANDARD.decode(second).unwrap();
        *blob.last_mut().unwrap() ^= 1;
        assert_eq!(
            open(&format!("{first}\n{}", STANDARD.encode(blob)), private),
            Err(SealError::Unopened)
        );
        assert_eq!(open("hush", private), Err(SealError::Shape));
        assert_eq!(open(&sealed, public), Err(SealError::InvalidKey));
        assert_eq!(seal("hush", private), Err(SealError::InvalidKey));
        assert!(is_public_key(public));
        assert!(!is_public_key(private));
    }

    #[test]
    fn the_sealed_form_is_told_from_plain_text() {
        let line = |length: usize, first: u8| {
            let mut bytes = vec![0; length];
            bytes[0] = first;
            STANDARD.encode(bytes)
        };
        let form = |rsa: usize, blob: usize, version: u8| {
            format!("{}\n{}", line(rsa, 9), line(blob, version))
        };
        assert!(is_sealed(&form(256, 46, 1)));
        assert!(is_sealed(&form(512, 900, 1)));
        for wrong in [
            form(255, 46, 1),
            form(513, 46, 1),
            form(256, 45, 1),
            form(256, 46, 2),
        ] {
            assert!(!is_sealed(&wrong));
        }
        let good = form(256, 46, 1);
        for wrong in [
            "",
            "hush",
            "\n",
            &format!("{good}\n"),
            &good.replace('\n', "\r\n"),
            &good.replace('\n', ""),
        ] {
            assert!(!is_sealed(wrong));
        }
    }
}
