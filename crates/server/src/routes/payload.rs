//! What all signed requests have in common on their way in.

use network::SignedText;
use wire::{
    api::signed::{Content, Signed, SigningPayload},
    json::Json,
    payload,
};

use crate::{
    answer::{Answered, ok},
    error::ApiError,
};

/// Reads a signed body and holds its payload against it and against the path.
pub(super) fn read_signed<T: Content>(
    json: &Json,
    path: &[(&str, &str)],
) -> Result<(T, SignedText), ApiError> {
    let mut signed = Signed::<T>::read(json).map_err(ApiError::invalid)?;
    payload::check(&signed.payload, json, path, T::UNSIGNED).map_err(ApiError::invalid)?;
    let nonce = signed.content.nonce_mut().clone();
    let text = SignedText {
        payload: signed.payload,
        signature: signed.signature,
        nonce,
    };
    Ok((signed.content, text))
}

/// The payload that a client of the signing helpers shall sign.
pub(super) fn to_sign<T: Content>(json: &Json, path: &[(&str, &str)]) -> Answered<SigningPayload> {
    ok(SigningPayload {
        payload: payload::compose(json, T::UNSIGNED, path),
    })
}
