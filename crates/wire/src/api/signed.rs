//! What all signed requests have in common: their content, and around it the payload and the
//! signature (OES wire §4). Whether the payload says what the body says is found by
//! [`crate::payload`], and whether the signature is good by [`crate::signature`].

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body::{Fault, Reader};
use crate::json::Json;

/// What a signed request says, apart from the payload and the signature over it. It is also the
/// body that the signing helpers take.
pub trait Content: Sized + Serialize + ToSchema {
    /// Members of the body that need not stand in the payload, for [`crate::payload`].
    const UNSIGNED: &'static [&'static str] = &["payload", "signature"];

    /// Takes the content out of a body, noting every fault.
    fn take(body: &Reader<'_>) -> Option<Self>;

    /// The nonce that makes the payload unlike any other.
    fn nonce_mut(&mut self) -> &mut String;

    /// Reads a body that holds the content and no signature, as the signing helpers get it.
    ///
    /// # Errors
    /// All faults at once.
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let content = Self::take(&body);
        body.finish(|| content)
    }
}

/// A signed request: the content beside the payload and the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Signed<T: Content> {
    /// What is asked for, its members standing in the body itself.
    #[serde(flatten)]
    pub content: T,
    /// The text that was signed: JSON that says what the body says.
    #[schema(min_length = 1)]
    pub payload: String,
    /// The signature over the payload's bytes, as it was sent.
    #[schema(min_length = 1)]
    pub signature: String,
}

impl<T: Content> Signed<T> {
    /// Reads a body with its payload and signature; whether these are good is found later.
    ///
    /// # Errors
    /// All faults at once.
    pub fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let content = T::take(&body);
        let payload = body.string("payload");
        let signature = body.string("signature");
        body.finish(|| {
            Some(Self {
                content: content?,
                payload: payload?,
                signature: signature?,
            })
        })
    }
}

/// The answer of the signing helpers: the text to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SigningPayload {
    /// Sign these bytes as they stand, and send them as `payload`.
    pub payload: String,
}
