//! What is made over the chain.

use network::{OnChainFacts, PartnerTerms};
use rules::record;
use wire::api::{
    quantity::PartnerQuantity,
    settlements::{self, ExactNumber, SettlementType},
};

use super::time;
use crate::error::ApiError;

/// Says of a settlement that is shown what it has because it is made over the chain.
pub(crate) fn marked(
    mut shown: settlements::Settlement,
    settlement: &record::Settlement,
    facts: &OnChainFacts,
) -> settlements::Settlement {
    if let Some(on_chain) = facts.of(settlement.id) {
        let record = shown.record_mut();
        record.settlement_type = SettlementType::OnChain;
        record.loss_sla_alert_sent = on_chain.losses.alerted;
        record.gain_sla_alert_sent = on_chain.gains.alerted;
    }
    shown
}

/// The transactions that moved a transfer, where it was made over the chain and is completed.
pub(crate) fn tx_ids(
    shown: Vec<String>,
    transfer: &record::Transfer,
    facts: &OnChainFacts,
) -> Vec<String> {
    match facts.tx_ids(transfer) {
        Some(ids) if transfer.status == record::TransferStatus::Completed => ids.to_vec(),
        _ => shown,
    }
}

/// An announced deposit as its partner sees it.
pub(crate) fn deposit(
    deposit: &record::OnChainDeposit,
    terms: &PartnerTerms,
) -> Result<settlements::OnChainDeposit, ApiError> {
    let seen = deposit.seen.as_ref();
    let quantity = |seen: &record::SeenDeposit| {
        let text = terms.quantity(&deposit.currency, seen.amount);
        let quantity = PartnerQuantity::parse(&text).map_err(|_| ApiError::internal())?;
        Ok::<_, ApiError>(ExactNumber::from(&quantity))
    };
    Ok(settlements::OnChainDeposit {
        id: deposit.id.0,
        settlement_id: deposit.settlement_id.0,
        external_settlement_id: deposit.external_settlement_id.clone(),
        on_chain_tx_id: deposit.on_chain_tx_id.clone(),
        currency: deposit.partner_currency.clone(),
        transfer_id: seen.map(|seen| seen.transfer_id.clone()),
        quantity: seen.map(quantity).transpose()?,
        created_at: time(deposit.created_at),
        updated_at: time(deposit.updated_at),
    })
}
