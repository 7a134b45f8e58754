//! Which currencies go between clients and partners, and by which names (C3).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::body::Fault;
use crate::filters::{self, Filters, Value as _};

/// The value of `domain`, always.
pub const DOMAIN: &str = "bitgo-network";

/// A currency that a partner takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SupportedCurrency {
    /// The network's ticker.
    pub ofc_currency: String,
    /// The currency that backs it.
    pub backing_currency: String,
    /// What the partner calls it; the first is what it is told.
    pub partner_names: Vec<String>,
}

/// Answer of C3.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SupportedCurrenciesResponse {
    /// By partner.
    #[serde(with = "crate::api::uuid_text::keys")]
    pub supported_currencies: BTreeMap<Uuid, Vec<SupportedCurrency>>,
    /// Always [`DOMAIN`].
    #[schema(min_length = 1)]
    pub domain: String,
}

/// What C3 wants to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SupportedCurrenciesFilter {
    /// Of these partners; at least one.
    pub partner_ids: Vec<Uuid>,
}

impl SupportedCurrenciesFilter {
    /// Reads the filter.
    ///
    /// # Errors
    /// `partnerIds` missing, empty or malformed.
    pub fn read(sent: Filters) -> Result<Self, Vec<Fault>> {
        let partner_ids = sent.uuids("partnerIds");
        // A malformed list has left its own fault.
        let filter = sent.finish(partner_ids)?;
        let partner_ids = filter.ok_or_else(|| {
            vec![Fault {
                field: "partnerIds".to_owned(),
                message: "is required".to_owned(),
            }]
        })?;
        Ok(Self { partner_ids })
    }

    /// The filter as query parameters, not yet percent-encoded.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let texts = self.partner_ids.texts();
        texts.into_iter().map(|text| ("partnerIds", text)).collect()
    }
}

impl IntoParams for SupportedCurrenciesFilter {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let description = "Of these partners; at least one.";
        let schema = Vec::<Uuid>::described();
        vec![filters::parameter("partnerIds", description, true, schema)]
    }
}
