//! Currencies of the network.

use axum::extract::State;
use network::Network;
use rules::record;
use serde::Serialize;
use utoipa::ToSchema;
use wire::{
    api::DateTime,
    body::{Fault, Reader},
    json::Json,
};

use super::{input, read};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::time,
};

/// The most decimals that a full unit may have.
const DECIMALS_MAX: i64 = 30;

/// A currency of the network.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct NetworkCurrency {
    /// Its ticker.
    ticker: String,
    /// The asset behind it, such as `btc`.
    backing: String,
    /// How many decimals a full unit has.
    decimals: u8,
    /// Where custody holds it; external references of deposits and withdrawals are unique there.
    custody_source: String,
    /// When it was made.
    created_at: DateTime,
    /// When it last changed.
    updated_at: DateTime,
}

impl From<record::NetworkCurrency> for NetworkCurrency {
    fn from(currency: record::NetworkCurrency) -> Self {
        NetworkCurrency {
            ticker: currency.ticker.to_string(),
            backing: currency.backing,
            decimals: currency.decimals,
            custody_source: currency.custody_source,
            created_at: time(currency.created_at),
            updated_at: time(currency.updated_at),
        }
    }
}

/// One currency.
#[derive(Serialize, ToSchema)]
pub(super) struct CurrencyResponse {
    currency: NetworkCurrency,
}

/// The currencies of the network.
#[derive(Serialize, ToSchema)]
pub(super) struct CurrenciesResponse {
    currencies: Vec<NetworkCurrency>,
}

/// How a currency shall be.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct CurrencyContent {
    /// The asset behind it, such as `btc`; at most 512 bytes.
    #[schema(min_length = 1)]
    backing: String,
    /// How many decimals a full unit has. They stay, once set.
    #[schema(maximum = 30)]
    decimals: u8,
    /// Where custody holds it, at most 512 bytes.
    #[schema(min_length = 1)]
    custody_source: String,
}

impl CurrencyContent {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let backing = input::text(&body, "backing");
        let decimals = body.required_integer("decimals", 0, DECIMALS_MAX);
        let custody_source = input::text(&body, "custodySource");
        body.finish(|| {
            Some(CurrencyContent {
                backing: backing?,
                decimals: u8::try_from(decimals?).ok()?,
                custody_source: custody_source?,
            })
        })
    }
}

/// List currencies
///
/// All of them, by ticker.
#[utoipa::path(get, path = "/currencies", tag = "Operator", operation_id = "operatorListCurrencies",
    responses((status = 200, description = "The currencies.", body = CurrenciesResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<CurrenciesResponse> {
    let found = network.operator(call.user_id).records().currencies().await;
    ok(CurrenciesResponse {
        currencies: read(found)?
            .into_iter()
            .map(NetworkCurrency::from)
            .collect(),
    })
}

/// Make or change a currency
#[utoipa::path(put, path = "/currencies/{ticker}", tag = "Operator", operation_id = "operatorPutCurrency",
    params(("ticker" = String, Path, description = "1 to 64 characters out of letters, digits and . : _ -; case matters.")),
    request_body = CurrencyContent,
    responses((status = 200, description = "The currency.", body = CurrencyResponse),
        openapi::Gate, openapi::Unprocessable, openapi::Fault))]
pub(super) async fn put(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<CurrencyResponse> {
    let ticker = input::from_path(&call.path, "ticker")?;
    let wanted = CurrencyContent::read(&call.json()?).map_err(ApiError::invalid)?;
    let currency = network
        .operator(call.user_id)
        .put_currency(
            ticker,
            wanted.backing,
            wanted.decimals,
            wanted.custody_source,
        )
        .await?;
    ok(CurrencyResponse {
        currency: currency.into(),
    })
}
