//! Records as the wire shows them, from the side of whoever asks.
//!
//! Clients see the network's tickers and base units; partners see their own names and amounts.
//! What belongs to somebody else is left out or called [`SOMEBODY_ELSE`].

mod disputes;
pub(crate) mod on_chain;

use std::collections::BTreeMap;

use ledger::{Balance, Currency, Timestamp};
use network::{ClientSettlement, ClientTransfer, OnChainFacts, PartnerTerms};
use rules::{
    PartnerId, Reason,
    onchain::ON_CHAIN_FAILED,
    record::{self, AllocationState, SettlementState},
};
use wire::{
    api::{
        DateTime, PolicyTraces, allocations, balances,
        clients::Client,
        connections::Connection,
        partners::{ListedPartner, Partner},
        quantity::CurrencyAmount,
        settlements,
    },
    connection_key::ConnectionKeySchema,
};

use crate::error::ApiError;

pub(crate) use disputes::{DisputeEyes, client_closure, dispute, plain_dispute, settling_dispute};

/// What others are called in the view of a client.
const SOMEBODY_ELSE: &str = "Counterparty";

/// What a client is told of a settlement that ended without being booked: the reason itself may
/// name what others have.
fn reason_for_clients(state: &SettlementState) -> &'static str {
    match state {
        SettlementState::Rejected { .. } => {
            "an operator rejected the settlement: nothing of it moves, and it stays so"
        }
        SettlementState::Failed { reason } if reason.name == ON_CHAIN_FAILED => {
            "a part of the settlement could not be moved over the chain, for good; the rest is booked"
        }
        _ => "the settlement could not be funded; the partner can try it again",
    }
}

pub(crate) fn time(at: Timestamp) -> DateTime {
    DateTime(at.0)
}

/// Two spellings of one enumeration, kept equal by a test.
fn key_schema(schema: record::KeySchema) -> ConnectionKeySchema {
    match schema {
        record::KeySchema::Token => ConnectionKeySchema::Token,
        record::KeySchema::TokenAndSignature => ConnectionKeySchema::TokenAndSignature,
        record::KeySchema::ApiKeyAndSecret => ConnectionKeySchema::ApiKeyAndSecret,
        record::KeySchema::Clearloop => ConnectionKeySchema::Clearloop,
    }
}

pub(crate) fn own_key_schema(schema: ConnectionKeySchema) -> record::KeySchema {
    match schema {
        ConnectionKeySchema::Token => record::KeySchema::Token,
        ConnectionKeySchema::TokenAndSignature => record::KeySchema::TokenAndSignature,
        ConnectionKeySchema::ApiKeyAndSecret => record::KeySchema::ApiKeyAndSecret,
        ConnectionKeySchema::Clearloop => record::KeySchema::Clearloop,
    }
}

pub(crate) fn client(client: record::Client) -> Client {
    Client {
        id: client.id.0,
        enterprise_id: client.enterprise_id.to_string(),
        trust_org: client.trust_org,
        wallet_id: client.go_account_id.to_string(),
        created_at: time(client.created_at),
        updated_at: time(client.updated_at),
        balance_alert_last_sent: None,
    }
}

pub(crate) fn partner(partner: record::Partner, public_key: Option<String>) -> Partner {
    Partner {
        id: partner.id.0,
        enterprise_id: partner.enterprise_id.to_string(),
        trust_org: partner.trust_org,
        institution_id: partner.institution_id.map(|id| id.to_string()),
        institution_identifier: partner.institution_identifier,
        name: partner.name,
        connection_key_schema: key_schema(partner.key_schema),
        created_at: time(partner.created_at),
        updated_at: time(partner.updated_at),
        client_id: partner.client_id.0,
        broker: partner.broker,
        active: partner.active,
        settlement_transaction_route_id: None,
        client_dispute_window_minutes: partner.dispute_window_minutes,
        top_up_window_minutes: partner.top_up_window_minutes,
        allocation_policies_enabled: partner.allocation_policies_enabled,
        public_key,
    }
}

pub(crate) fn listed_partner(
    partner: record::Partner,
    public_key: Option<String>,
) -> ListedPartner {
    ListedPartner {
        id: partner.id.0,
        name: partner.name,
        institution_id: partner.institution_id.map(|id| id.to_string()),
        institution_identifier: partner.institution_identifier,
        connection_key_schema: key_schema(partner.key_schema),
        active: partner.active,
        settlement_transaction_route_id: None,
        public_key,
        enterprise_id: Some(partner.enterprise_id.to_string()),
        client_dispute_window_minutes: partner.dispute_window_minutes,
        top_up_window_minutes: partner.top_up_window_minutes,
        trust_org: partner.trust_org,
        stable_partner: partner.stable,
    }
}

pub(crate) fn connection(connection: record::Connection) -> Connection {
    let ids = connection.partners_ids();
    let partners_connection_id = ids.map(|(connection, _)| connection.to_owned());
    let partners_client_id = ids.map(|(_, client)| client.to_owned());
    Connection {
        initialized: ids.is_some(),
        partners_connection_id,
        partners_client_id,
        id: connection.id.0,
        name: connection.name,
        client_id: connection.client_id.0,
        partner_id: connection.partner_id.0,
        network_account_id: connection.network_account_id.0,
        created_at: time(connection.created_at),
        updated_at: time(connection.updated_at),
        active: connection.active,
        proof: connection.proof,
        nonce: connection.nonce,
        policy: PolicyTraces::default(),
    }
}

/// Whose names and amounts a record is shown in.
pub(crate) enum Eyes<'terms> {
    Client,
    Partner(&'terms BTreeMap<PartnerId, PartnerTerms>),
}

pub(crate) fn allocation_record(
    record: &record::Allocation,
    eyes: &Eyes<'_>,
) -> allocations::AllocationRecord {
    let amount = match eyes {
        Eyes::Client => CurrencyAmount {
            currency: record.currency.to_string(),
            quantity: record.amount.to_string(),
        },
        Eyes::Partner(terms) => CurrencyAmount {
            currency: record.partner_currency.clone(),
            quantity: match terms.get(&record.partner_id) {
                Some(terms) => terms.quantity(&record.currency, record.amount),
                None => record.amount.to_string(),
            },
        },
    };
    allocations::AllocationRecord {
        id: record.id.0,
        amount,
        connection_id: record.connection_id.0,
        client_external_id: record.client_external_id.clone(),
        partner_external_id: record.partner_external_id.clone(),
        initiated_by: record.initiated_by.to_string(),
        notes: record.notes.clone(),
        created_at: time(record.created_at),
        updated_at: time(record.updated_at),
        retriable: matches!(
            record.state,
            AllocationState::Reserved {
                retriable: true,
                ..
            }
        ),
        policy: PolicyTraces::default(),
    }
}

/// A record as lists and look-ups show it.
pub(crate) fn allocation(record: &record::Allocation, eyes: &Eyes<'_>) -> allocations::Allocation {
    let (status, reason) = match &record.state {
        AllocationState::Reserved { reason, .. } => {
            (allocations::AllocationStatus::Reserved, Some(reason))
        }
        AllocationState::Cleared => (allocations::AllocationStatus::Cleared, None),
        AllocationState::Released { reason } => {
            (allocations::AllocationStatus::Released, Some(reason))
        }
    };
    allocations::Allocation {
        kind: match record.kind {
            record::AllocationKind::Allocation => allocations::AllocationType::Allocation,
            record::AllocationKind::Deallocation => allocations::AllocationType::Deallocation,
        },
        status,
        reason: reason.map(|reason| reason.message.clone()),
        record: allocation_record(record, eyes),
    }
}

fn balance(available: String, held: String) -> balances::Balance {
    balances::Balance { available, held }
}

/// Balances in the network's tickers and base units.
pub(crate) fn client_figures(
    figures: BTreeMap<Currency, Balance>,
) -> BTreeMap<String, balances::Balance> {
    let figure = |(currency, figures): (Currency, Balance)| {
        let balance = balance(figures.available.to_string(), figures.held.to_string());
        (currency.to_string(), balance)
    };
    figures.into_iter().map(figure).collect()
}

/// Balances in a partner's names and amounts.
pub(crate) fn partner_figures(
    figures: BTreeMap<Currency, Balance>,
    terms: &PartnerTerms,
) -> BTreeMap<String, balances::Balance> {
    let figure = |(currency, figures): (Currency, Balance)| {
        let (available, held) = terms.figures(&currency, figures);
        (terms.name(&currency), balance(available, held))
    };
    figures.into_iter().map(figure).collect()
}

fn settlement_record(
    settlement: &record::Settlement,
    disputed: bool,
) -> settlements::SettlementRecord {
    let staging = settlement.staging.as_ref();
    settlements::SettlementRecord {
        id: settlement.id.0,
        partner_id: settlement.partner_id.0,
        external_id: settlement.external_id.clone(),
        settlement_type: settlements::SettlementType::OffChain,
        reconciled: false,
        initiated_by: settlement.initiated_by.to_string(),
        notes: settlement.notes.clone(),
        created_at: time(settlement.created_at),
        updated_at: time(settlement.updated_at),
        rt_id: None,
        loss_sla_alert_sent: false,
        gain_sla_alert_sent: false,
        cutoff_at: staging.map(|staging| time(staging.cutoff_at)),
        disputed: staging.map(|_| disputed),
    }
}

/// A settlement as its partner sees it.
pub(crate) fn settlement(settlement: &record::Settlement) -> settlements::Settlement {
    let record = settlement_record(settlement, is_disputed(settlement));
    settlement_with(settlement, record, |reason| reason.message.clone())
}

/// A settlement that was just staged, beside whose state stands when its trading was cut off.
pub(crate) fn staged_settlement(settlement: &record::Settlement) -> settlements::Settlement {
    let record = settlements::SettlementRecord {
        cutoff_at: None,
        ..settlement_record(settlement, is_disputed(settlement))
    };
    settlement_with(settlement, record, |reason| reason.message.clone())
}

fn is_disputed(settlement: &record::Settlement) -> bool {
    let staging = settlement.staging.as_ref();
    staging.is_some_and(|staging| staging.standing_disputes > 0)
}

/// A settlement as a client sees it: what failed in it is nobody's business but the partner's, and
/// who else disputes it nobody's but theirs.
pub(crate) fn client_settlement(view: &ClientSettlement) -> settlements::Settlement {
    let record = settlement_record(&view.settlement, view.disputed);
    let reason = reason_for_clients(&view.settlement.state);
    settlement_with(&view.settlement, record, |_| reason.to_owned())
}

fn settlement_with(
    settlement: &record::Settlement,
    record: settlements::SettlementRecord,
    tell: impl Fn(&Reason) -> String,
) -> settlements::Settlement {
    match &settlement.state {
        SettlementState::Pending => {
            settlements::Settlement::Pending(settlements::PendingSettlement {
                status: settlements::Pending::Pending,
                record,
            })
        }
        SettlementState::Completed { finalized_at, .. } => {
            settlements::Settlement::Completed(settlements::CompletedSettlement {
                status: settlements::Completed::Completed,
                finalized_at: time(*finalized_at),
                record,
            })
        }
        SettlementState::Failed { reason } => {
            settlements::Settlement::Failed(settlements::FailedSettlement {
                status: settlements::Failed::Failed,
                reason: tell(reason),
                record,
            })
        }
        SettlementState::Rejected {
            reason,
            finalized_at,
        } => settlements::Settlement::Rejected(settlements::RejectedSettlement {
            status: settlements::Rejected::Rejected,
            reason: tell(reason),
            finalized_at: time(*finalized_at),
            record,
        }),
    }
}

pub(crate) fn settlement_status(state: &SettlementState) -> settlements::SettlementStatus {
    match state {
        SettlementState::Pending => settlements::SettlementStatus::Pending,
        SettlementState::Completed { .. } => settlements::SettlementStatus::Completed,
        SettlementState::Failed { .. } => settlements::SettlementStatus::Failed,
        SettlementState::Rejected { .. } => settlements::SettlementStatus::Rejected,
    }
}

pub(crate) fn transfer_status(status: record::TransferStatus) -> settlements::TransferStatus {
    use settlements::TransferStatus as Wire;
    match status {
        record::TransferStatus::Pending => Wire::Pending,
        record::TransferStatus::PendingOnchain => Wire::PendingOnChain,
        record::TransferStatus::OnchainInitiated => Wire::OnChainInitiated,
        record::TransferStatus::OnchainFailed => Wire::OnChainFailed,
        record::TransferStatus::Completed => Wire::Completed,
        record::TransferStatus::Failed => Wire::Failed,
        record::TransferStatus::Rejected => Wire::Rejected,
        record::TransferStatus::Disputed => Wire::Disputed,
        record::TransferStatus::PendingSettlementAssignment => Wire::PendingSettlementAssignment,
    }
}

pub(crate) fn own_transfer_status(status: settlements::TransferStatus) -> record::TransferStatus {
    use settlements::TransferStatus as Wire;
    match status {
        Wire::Pending => record::TransferStatus::Pending,
        Wire::PendingOnChain => record::TransferStatus::PendingOnchain,
        Wire::OnChainInitiated => record::TransferStatus::OnchainInitiated,
        Wire::OnChainFailed => record::TransferStatus::OnchainFailed,
        Wire::Completed => record::TransferStatus::Completed,
        Wire::Failed => record::TransferStatus::Failed,
        Wire::Rejected => record::TransferStatus::Rejected,
        Wire::Disputed => record::TransferStatus::Disputed,
        Wire::PendingSettlementAssignment => record::TransferStatus::PendingSettlementAssignment,
    }
}

fn tx_ids(transfer: &record::Transfer) -> Vec<String> {
    transfer.entry.iter().map(ToString::to_string).collect()
}

/// A settlement transfer as its partner sees it.
pub(crate) fn partner_transfer(
    transfer: &record::Transfer,
    terms: &PartnerTerms,
    facts: &OnChainFacts,
) -> Result<settlements::PartnerTransfer, ApiError> {
    let destination = transfer.destination.connection;
    let (_, destination_account) = destination.ok_or_else(ApiError::internal)?;
    let settlement_id = transfer.settlement_id.ok_or_else(ApiError::internal)?;
    Ok(settlements::PartnerTransfer {
        id: transfer.id.0,
        created_at: time(transfer.created_at),
        updated_at: time(transfer.updated_at),
        currency: transfer.partner_currency.clone(),
        settlement_id: settlement_id.0,
        dispute_closure_id: transfer.dispute_closure_id.map(|id| id.0),
        quantity: terms.signed_quantity(&transfer.currency, transfer.amount),
        tx_ids: on_chain::tx_ids(tx_ids(transfer), transfer, facts),
        status: transfer_status(transfer.status),
        source_trading_account_id: transfer.source.go_account_id.to_string(),
        source_network_account_id: transfer.source.connection.map(|(_, account)| account.0),
        destination_trading_account_id: transfer.destination.go_account_id.to_string(),
        destination_network_account_id: destination_account.0,
    })
}

/// What a client sees of one side of a transfer.
struct Side {
    trading_account: Option<String>,
    network_account: Option<uuid::Uuid>,
    client_name: Option<String>,
    connection_name: Option<String>,
}

fn side(own: Option<&record::Connection>, enterprise: &str) -> Side {
    match own {
        Some(connection) => Side {
            trading_account: Some(connection.go_account_id.to_string()),
            network_account: Some(connection.network_account_id.0),
            client_name: Some(enterprise.to_owned()),
            connection_name: Some(connection.name.clone()),
        },
        None => Side {
            trading_account: None,
            network_account: None,
            client_name: Some(SOMEBODY_ELSE.to_owned()),
            connection_name: Some(SOMEBODY_ELSE.to_owned()),
        },
    }
}

/// A settlement transfer as a client of the enterprise called `enterprise` sees it.
pub(crate) fn masked_transfer(
    view: &ClientTransfer,
    enterprise: &str,
    facts: &OnChainFacts,
) -> settlements::MaskedTransfer {
    let transfer = &view.transfer;
    let source = side(view.own_source.as_ref(), enterprise);
    let destination = side(view.own_destination.as_ref(), enterprise);
    settlements::MaskedTransfer {
        id: transfer.id.0,
        created_at: time(transfer.created_at),
        updated_at: time(transfer.updated_at),
        currency: transfer.currency.to_string(),
        settlement_id: view.settlement.id.0,
        dispute_closure_id: transfer.dispute_closure_id.map(|id| id.0),
        quantity: transfer.amount.to_string(),
        tx_ids: on_chain::tx_ids(tx_ids(transfer), transfer, facts),
        status: transfer_status(transfer.status),
        usd_value: None,
        settlement_status: settlement_status(&view.settlement.state),
        settlement_notes: view.settlement.notes.clone(),
        source_trading_account_id: source.trading_account,
        source_network_account_id: source.network_account,
        destination_trading_account_id: destination.trading_account,
        destination_network_account_id: destination.network_account,
        source_client_name: source.client_name,
        destination_client_name: destination.client_name,
        source_connection_name: source.connection_name,
        destination_connection_name: destination.connection_name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spellings_of_rules_and_wire_agree() {
        for (spelling, schema) in record::KeySchema::ALL {
            assert_eq!(key_schema(*schema).as_str(), *spelling);
            assert_eq!(own_key_schema(key_schema(*schema)), *schema);
        }
        for (spelling, status) in record::TransferStatus::ALL {
            assert_eq!(transfer_status(*status).as_str(), *spelling);
            assert_eq!(own_transfer_status(transfer_status(*status)), *status);
        }
    }
}
