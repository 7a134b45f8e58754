//! P19: the text that a partner signs for a trade. Nothing is done with signed trades yet.

use wire::{
    api::{signed::SigningPayload, trades::TradeToSign},
    payload,
};

use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{Call, Demand, Reads, Writes},
    openapi::{EnterprisePath, Fault, Gate},
};

/// Payload to sign for a trade (GET)
///
/// As the POST form; the members stand in a JSON body.
#[utoipa::path(get, path = "/partners/trades/signing", tag = "Trades",
    operation_id = "v1PartnerTradesSigningGetRoute",
    params(EnterprisePath),
    request_body = TradeToSign,
    responses((status = 200, description = "The text to sign.", body = SigningPayload),
        Gate, Fault))]
pub(super) async fn sign_by_get(call: Call<Reads>) -> Answered<SigningPayload> {
    signing_payload(&call)
}

/// Payload to sign for a trade
///
/// Answers the text that has to be signed, byte for byte. Base and quote have opposite signs: what
/// the party gains is positive. Nothing is stored, and there is no operation yet that takes signed
/// trades.
#[utoipa::path(post, path = "/partners/trades/signing", tag = "Trades",
    operation_id = "v1PartnerTradesSigningPostRoute",
    params(EnterprisePath),
    request_body = TradeToSign,
    responses((status = 200, description = "The text to sign.", body = SigningPayload),
        Gate, Fault))]
pub(super) async fn sign(call: Call<Writes>) -> Answered<SigningPayload> {
    signing_payload(&call)
}

fn signing_payload<D: Demand>(call: &Call<D>) -> Answered<SigningPayload> {
    let json = call.json()?;
    TradeToSign::read(&json).map_err(ApiError::invalid)?;
    ok(SigningPayload {
        payload: payload::compose(&json, &[], &[]),
    })
}
