//! P16 to P18: settlement over the chain, and the deposits that are announced for it.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use network::{DepositsRequest, Network, SettlementAmount, SettlementRequest, SignedText};
use rules::record::SettlementForm;
use wire::{
    api::{
        settlements::{
            NewOnChainDeposits, NewOnChainSettlement, OnChainDepositsResponse,
            OnChainDepositsToSign, OnChainSettlementResponse, OnChainSettlementStarted,
            PartyAmount, Settlement,
        },
        signed::{Signed, SigningPayload},
    },
    payload,
};

use super::payload::read_signed;
use crate::{
    answer::{Answer, Answered, ok},
    error::ApiError,
    gate::{Call, Demand, Reads, Writes, WritesSettlement},
    openapi::{Conflict, EnterprisePath, Fault, Gate, NotFound},
    projection::{self, on_chain},
};

/// Settle over the chain
///
/// Begins a settlement whose gains reach clients by deposits and whose losses leave custody by
/// withdrawals. What clients lose is held at once, all of it or nothing; if a client lacks it, the
/// answer is a settlement that is `failed` (200): send the same request again once it is there.
/// Announce the deposits that bring the gains, before or afterwards. All transfers of one currency
/// and direction are booked together: gains once the announced deposits that were seen cover them,
/// losses once their withdrawal was seen. A settlement that has begun is answered with 202 as long
/// as it is under way, and with 200 once it has ended.
#[utoipa::path(post, path = "/partners/settlements/onchain", tag = "Settlements",
    operation_id = "v1PartnerOnChainSettlementPostRoute",
    params(EnterprisePath),
    request_body = Signed<NewOnChainSettlement>,
    responses((status = 200, description = "The settlement, as it has ended or failed to begin.", body = OnChainSettlementResponse),
        (status = 202, description = "It is under way.", body = OnChainSettlementStarted),
        Gate, Conflict, Fault))]
pub(super) async fn settle(
    State(network): State<Network>,
    call: Call<WritesSettlement>,
) -> Result<Response, ApiError> {
    let path = [("enterpriseId", call.caller.enterprise.id.as_str())];
    let (new, text) = read_signed::<NewOnChainSettlement>(&call.json()?, &path)?;
    let amount = |amount: PartyAmount| SettlementAmount {
        source: None,
        destination: amount.connection_id,
        currency: amount.currency,
        quantity: amount.quantity.as_str().to_owned(),
    };
    let request = SettlementRequest {
        external_id: new.external_id,
        notes: new.notes,
        form: SettlementForm::Party,
        amounts: new.settlement_amounts.0.into_iter().map(amount).collect(),
        text,
    };
    let (settlement, facts) = network.settle_on_chain(&call.caller, request).await?;
    let shown = on_chain::marked(projection::settlement(&settlement), &settlement, &facts);
    Ok(match shown {
        Settlement::Pending(settlement) => {
            let body = OnChainSettlementStarted { settlement };
            Answer(StatusCode::ACCEPTED, body).into_response()
        }
        settlement => {
            Answer(StatusCode::OK, OnChainSettlementResponse { settlement }).into_response()
        }
    })
}

/// Announce on-chain deposits
///
/// Names the transactions that bring what clients gain in a settlement over the chain; the
/// settlement may be posted later under the same external id, and `settlementId` then is the id that
/// it will get. Announcing a deposit again changes nothing; for another settlement it is refused
/// (409). `transferId` and `quantity` are there once custody has received it. What is not needed for
/// gains goes to the partner's Go Account.
#[utoipa::path(post, path = "/partners/settlements/onchain/deposits", tag = "Settlements",
    operation_id = "v1PartnerExtDepositsPostRoute",
    params(EnterprisePath),
    request_body = NewOnChainDeposits,
    responses((status = 201, description = "The deposits.", body = OnChainDepositsResponse),
        Gate, NotFound, Conflict, Fault))]
pub(super) async fn announce(
    State(network): State<Network>,
    call: Call<Writes>,
) -> Answered<OnChainDepositsResponse> {
    let json = call.json()?;
    let new = NewOnChainDeposits::read(&json).map_err(ApiError::invalid)?;
    let path = [("enterpriseId", call.caller.enterprise.id.as_str())];
    payload::check(&new.payload, &json, &path, OnChainDepositsToSign::UNSIGNED)
        .map_err(ApiError::invalid)?;
    let deposits = new.content.deposits.into_iter();
    let request = DepositsRequest {
        external_settlement_id: new.content.external_settlement_id,
        settlement_id: new.content.settlement_id,
        deposits: deposits.map(|d| (d.currency, d.on_chain_tx_id)).collect(),
        text: SignedText {
            payload: new.payload,
            signature: new.signature,
            nonce: String::new(),
        },
    };
    let (deposits, terms) = network.announce_deposits(&call.caller, request).await?;
    let shown = deposits.iter().map(|one| on_chain::deposit(one, &terms));
    let body = OnChainDepositsResponse {
        deposits: shown.collect::<Result<_, _>>()?,
    };
    Ok(Answer(StatusCode::CREATED, body))
}

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
