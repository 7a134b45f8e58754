//! How one partner names currencies and writes amounts.

use std::collections::BTreeMap;

use ledger::{Amount, AmountError, Balance, Currency, SignedAmount};
use rules::record::{AmountFormat, NetworkCurrency, Partner, PartnerConfiguration};

use crate::{Failure, Network};

/// How one partner names currencies and writes amounts, put together from its configuration and
/// the network's currencies.
#[derive(Clone, Debug, Default)]
pub struct PartnerTerms {
    configuration: Option<PartnerConfiguration>,
    decimals: BTreeMap<Currency, u8>,
}

impl PartnerTerms {
    pub(crate) fn new(
        configuration: Option<PartnerConfiguration>,
        currencies: &[NetworkCurrency],
    ) -> PartnerTerms {
        let decimals = currencies.iter().map(|c| (c.ticker.clone(), c.decimals));
        PartnerTerms {
            configuration,
            decimals: decimals.collect(),
        }
    }

    /// What was agreed with the partner.
    pub fn configuration(&self) -> Option<&PartnerConfiguration> {
        self.configuration.as_ref()
    }

    /// The partner's name for a currency; the network's own where it has none.
    pub fn name(&self, currency: &Currency) -> String {
        let known = self
            .configuration
            .as_ref()
            .and_then(|c| c.currency(currency));
        known.map_or_else(|| currency.to_string(), |c| c.partner_name().to_owned())
    }

    /// The network's currency behind one of the partner's names.
    pub fn currency(&self, name: &str) -> Option<&Currency> {
        let known = self.configuration.as_ref()?.currency_named(name)?;
        Some(&known.ticker)
    }

    /// The network's currencies behind names of partners, in all of these terms. Names that nobody
    /// has are left out, so that the list may be empty.
    pub fn tickers<'terms>(
        terms: impl IntoIterator<Item = &'terms PartnerTerms>,
        names: &[String],
    ) -> Vec<String> {
        let in_terms = |terms: &'terms PartnerTerms| {
            let tickers = names.iter().filter_map(|name| terms.currency(name));
            tickers.map(ToString::to_string)
        };
        terms.into_iter().flat_map(in_terms).collect()
    }

    fn decimals_written(&self, currency: &Currency) -> Option<u8> {
        let format = self.configuration.as_ref().map(|c| c.amount_format);
        match format {
            Some(AmountFormat::Decimal) => self.decimals.get(currency).copied(),
            _ => None,
        }
    }

    /// An amount as the partner writes it.
    pub fn quantity(&self, currency: &Currency, amount: Amount) -> String {
        match self.decimals_written(currency) {
            Some(decimals) => amount.to_decimal(decimals),
            None => amount.to_string(),
        }
    }

    /// A signed amount as the partner writes it.
    pub fn signed_quantity(&self, currency: &Currency, amount: SignedAmount) -> String {
        match self.decimals_written(currency) {
            Some(decimals) => amount.to_decimal(decimals),
            None => amount.to_string(),
        }
    }

    /// The available and held figures of a balance as the partner writes them.
    pub fn figures(&self, currency: &Currency, balance: Balance) -> (String, String) {
        balance.to_decimals(self.decimals_written(currency).unwrap_or(0))
    }

    /// Reads a signed amount as the partner writes it.
    pub(crate) fn read_signed(
        &self,
        currency: &Currency,
        text: &str,
    ) -> Result<SignedAmount, AmountError> {
        match self.decimals_written(currency) {
            Some(decimals) => SignedAmount::from_decimal(text, decimals),
            None => text.parse(),
        }
    }

    /// Reads an amount as the partner writes it.
    pub(crate) fn read(&self, currency: &Currency, text: &str) -> Result<Amount, AmountError> {
        match self.decimals_written(currency) {
            Some(decimals) => Amount::from_decimal(text, decimals),
            None => text.parse(),
        }
    }
}

impl Network {
    pub(crate) async fn configuration_of(
        &self,
        partner: &Partner,
    ) -> Result<Option<PartnerConfiguration>, Failure> {
        let (enterprise, institution) = (&partner.enterprise_id, &partner.institution_identifier);
        Ok(self.store().configuration(enterprise, institution).await?)
    }

    pub(crate) async fn terms_of(&self, partner: &Partner) -> Result<PartnerTerms, Failure> {
        let configuration = self.configuration_of(partner).await?;
        let currencies = self.store().currencies().await?;
        Ok(PartnerTerms::new(configuration, &currencies))
    }
}
