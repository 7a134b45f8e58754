//! What the operator agreed with a partner before it may join.

use ledger::{Amount, Currency, Timestamp};
use serde::{Deserialize, Serialize};

use super::spelled;
use crate::EnterpriseId;

spelled! {
    /// How a partner answers when it is asked.
    Answering {
        /// In the answer to the call itself.
        Synchronous = "sync",
        /// Later, by calling the network.
        Asynchronous = "async",
    }

    /// How a partner writes amounts.
    AmountFormat {
        /// Integer base units.
        BaseUnits = "base",
        /// Full units with decimals, exact to the decimals of the currency.
        Decimal = "decimal",
    }

    /// When a new partner becomes active.
    Activation {
        /// At once.
        Immediate = "immediate",
        /// When its conformance certificate was accepted.
        AfterConformance = "after-conformance",
    }
}

/// One currency as a partner knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerCurrency {
    /// The network's ticker.
    pub ticker: Currency,
    /// The partner's names for it; the first is the one that we use. At least one.
    pub partner_names: Vec<String>,
    /// The least that one allocation may move.
    pub minimum: Option<Amount>,
    /// The most that one allocation may move.
    pub maximum: Option<Amount>,
    /// The most that may be reserved at the partner and not yet answered.
    pub open_total: Option<Amount>,
}

/// The paths of the calls that a partner answers, below its base URL (OES wire §1c).
///
/// `{id}` stands for the allocation, deallocation or settlement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PartnerRoutes {
    /// H1.
    pub connect: String,
    /// H2.
    pub allocate: String,
    /// H3.
    pub clear_allocation: String,
    /// H4.
    pub release_allocation: String,
    /// H5.
    pub deallocate: String,
    /// H6.
    pub clear_deallocation: String,
    /// H7.
    pub release_deallocation: String,
    /// H8 for an allocation.
    pub allocation_status: String,
    /// H8 for a deallocation.
    pub deallocation_status: String,
    /// H9.
    pub finalize_settlement: String,
}

impl Default for PartnerRoutes {
    fn default() -> Self {
        PartnerRoutes::below("/bitgo/v1")
    }
}

impl PartnerRoutes {
    /// The recommended routes below a path prefix.
    pub fn below(prefix: &str) -> PartnerRoutes {
        let path = |rest: &str| format!("{}/{rest}", prefix.trim_end_matches('/'));
        PartnerRoutes {
            connect: path("connections"),
            allocate: path("allocations"),
            clear_allocation: path("allocation/{id}/clear"),
            release_allocation: path("allocation/{id}/release"),
            deallocate: path("deallocations"),
            clear_deallocation: path("deallocation/{id}/clear"),
            release_deallocation: path("deallocation/{id}/release"),
            allocation_status: path("allocation/{id}"),
            deallocation_status: path("deallocation/{id}"),
            finalize_settlement: path("settlements/{id}/finalize"),
        }
    }
}

/// What the operator agreed with a partner (decisions §5, Q1).
///
/// One per enterprise and institution identifier, versioned; every change is an operator act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartnerConfiguration {
    /// The partner's enterprise.
    pub enterprise_id: EnterpriseId,
    /// The name that the partner gives when it joins.
    pub institution_identifier: String,
    /// Rises by one with every change, from 1.
    pub version: i64,
    /// Where the partner answers.
    pub base_url: String,
    /// Below which paths.
    pub routes: PartnerRoutes,
    /// The header that carries our signature.
    pub signature_header: String,
    /// The key that signs our calls.
    pub jwt_key_id: String,
    /// How long one call may take, in milliseconds: 100 to 60 000.
    pub call_timeout_ms: i64,
    /// Networks (CIDR) that the base URL may resolve to beyond public addresses.
    pub allowed_networks: Vec<String>,
    /// How allocations are answered.
    pub allocations: Answering,
    /// How deallocations are answered.
    pub deallocations: Answering,
    /// How the partner writes amounts.
    pub amount_format: AmountFormat,
    /// Its currencies.
    pub currencies: Vec<PartnerCurrency>,
    /// RSA public key (PEM) that connection keys have to be sealed to; none: they come in clear.
    pub public_key: Option<String>,
    /// Whether on-chain settlement is enabled.
    pub on_chain: bool,
    /// When the partner becomes active.
    pub activation: Activation,
    /// How long a reservation may stay without an answer before the network releases it, in
    /// seconds.
    pub release_unanswered_after_s: i64,
    /// How long each direction of a settlement over the chain may take before operators are
    /// alerted, in seconds of business time. A settlement keeps what it was begun with.
    pub on_chain_late_after_s: i64,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl PartnerConfiguration {
    pub(crate) fn record_key(&self) -> (EnterpriseId, String) {
        (
            self.enterprise_id.clone(),
            self.institution_identifier.clone(),
        )
    }

    /// The partner's currency with the network's ticker.
    pub fn currency(&self, ticker: &Currency) -> Option<&PartnerCurrency> {
        self.currencies.iter().find(|known| known.ticker == *ticker)
    }

    /// The partner's currency with one of the partner's own names.
    pub fn currency_named(&self, name: &str) -> Option<&PartnerCurrency> {
        let has_name = |known: &&PartnerCurrency| known.partner_names.iter().any(|n| n == name);
        self.currencies.iter().find(has_name)
    }
}

impl PartnerCurrency {
    /// The name that we use towards the partner.
    pub fn partner_name(&self) -> &str {
        // A configuration without a name is refused when it is put; the ticker is a safe answer.
        self.partner_names
            .first()
            .map_or(self.ticker.as_str(), String::as_str)
    }
}
