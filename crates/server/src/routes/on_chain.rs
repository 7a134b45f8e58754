//! P16 to P18: settlement over the chain, and the deposits that are announced for it.

use wire::{
    api::{settlements::OnChainDepositsToSign, signed::SigningPayload},
    payload,
};

use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{Call, Demand, Reads, Writes},
    openapi::{Conflict, EnterprisePath, Fault, Gate, NotFound},
};

/// Payload to sign for on-chain deposits (GET)
///
/// As the POST form; the members stand in a JSON body.
#[utoipa::path(get, path = "/partners/settlements/onchain/deposits/signing", tag = "Settlements",
    operation_id = "v1PartnerExtDepositsSigningGetRoute",
    params(EnterprisePath),
    request_body = OnChainDepositsToSign,
    responses((status = 200, description = "The text to sign.", body = SigningPayload),
        Gate, NotFound, Conflict, Fault))]
pub(super) async fn sign_deposits_by_get(call: Call<Reads>) -> Answered<SigningPayload> {
    deposits_payload(&call)
}

/// Payload to sign for on-chain deposits
///
/// Answers the text that has to be signed, byte for byte, and sent as `payload` beside the same
/// members. Nothing is stored, and whether the settlement exists is not looked at.
#[utoipa::path(post, path = "/partners/settlements/onchain/deposits/signing", tag = "Settlements",
    operation_id = "v1PartnerExtDepositsSigningPostRoute",
    params(EnterprisePath),
    request_body = OnChainDepositsToSign,
    responses((status = 200, description = "The text to sign.", body = SigningPayload),
        Gate, NotFound, Conflict, Fault))]
pub(super) async fn sign_deposits(call: Call<Writes>) -> Answered<SigningPayload> {
    deposits_payload(&call)
}

fn deposits_payload<D: Demand>(call: &Call<D>) -> Answered<SigningPayload> {
    let json = call.json()?;
    OnChainDepositsToSign::read(&json).map_err(ApiError::invalid)?;
    ok(SigningPayload {
        payload: payload::compose(&json, OnChainDepositsToSign::UNSIGNED, &[]),
    })
}
