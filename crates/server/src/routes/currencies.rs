//! C3: which currencies go to which partner.

use axum::extract::State;
use network::Network;
use wire::api::currencies::{
    DOMAIN, SupportedCurrenciesFilter, SupportedCurrenciesResponse, SupportedCurrency,
};

use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{Call, Reads},
    openapi::{EnterprisePath, Fault, Gate},
};

/// List supported currencies
///
/// For each of the partners the currencies that can be allocated to it, with the partner's own
/// names. Partners that do not exist or belong to another trust organisation are left out.
#[utoipa::path(get, path = "/supportedCurrencies", tag = "Partners",
    operation_id = "v1EnterpriseSupportedCurrenciesRoute",
    params(EnterprisePath, SupportedCurrenciesFilter),
    responses((status = 200, description = "Currencies by partner.", body = SupportedCurrenciesResponse),
        Gate, Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Answered<SupportedCurrenciesResponse> {
    let sent = SupportedCurrenciesFilter::read(call.filters()?).map_err(ApiError::invalid)?;
    let supported = network
        .supported_currencies(&call.caller, sent.partner_ids)
        .await?;
    let of_partner = |list: Vec<network::SupportedCurrency>| {
        let currencies = list.into_iter().map(|currency| SupportedCurrency {
            ofc_currency: currency.ticker.to_string(),
            backing_currency: currency.backing,
            partner_names: currency.partner_names,
        });
        currencies.collect()
    };
    ok(SupportedCurrenciesResponse {
        supported_currencies: supported
            .into_iter()
            .map(|(partner, list)| (partner, of_partner(list)))
            .collect(),
        domain: DOMAIN.to_owned(),
    })
}
