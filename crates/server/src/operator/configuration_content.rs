//! How a request describes what was agreed with a partner: the members, their bounds and their
//! defaults. What has to exist, and which addresses can be called, is decided below.

use ledger::{Amount, Currency, Timestamp};
use rules::{
    EnterpriseId,
    record::{
        Activation, AmountFormat, Answering, PartnerConfiguration, PartnerCurrency, PartnerRoutes,
    },
};
use utoipa::ToSchema;
use wire::{
    body::{Fault, Reader},
    json::Json,
};

use super::{input, spellings};

/// How long one call may take where nothing is said, in milliseconds.
const CALL_TIMEOUT_DEFAULT_MS: i64 = 10_000;

/// How long a reservation may stay without an answer, and a direction of a settlement over the chain
/// may take, where nothing is said, in seconds: a day.
const PATIENCE_DEFAULT_S: i64 = 24 * 60 * 60;

/// The longest that can be said of either, in seconds: a year.
const PATIENCE_MAX_S: i64 = 365 * 24 * 60 * 60;

/// What shall be agreed with a partner. Texts have at most 512 bytes where nothing else is said.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", as = PartnerConfigurationContent)]
pub(super) struct ConfigurationContent {
    /// Where the partner answers: an absolute http or https URL.
    #[schema(min_length = 1)]
    base_url: String,
    /// Below which path of it the recommended routes lie; `/bitgo/v1` if left out.
    path_prefix: Option<String>,
    /// Routes that differ from the recommended ones.
    routes: Option<RoutesContent>,
    /// The header that carries the network's signature; `X-BitGo-Signature` if left out.
    signature_header: Option<String>,
    /// The key that signs the network's calls; `default` if left out.
    jwt_key_id: Option<String>,
    /// How long one call may take, in milliseconds; 10 000 if left out.
    #[schema(minimum = 100, maximum = 12_000)]
    call_timeout_ms: Option<i64>,
    /// Networks (CIDR) that the base URL may resolve to beyond public addresses; none if left out.
    #[schema(required = false)]
    allowed_networks: Vec<String>,
    /// How allocations are answered; `sync` if left out.
    #[schema(value_type = Option<spellings::Answering>)]
    allocations: Option<Answering>,
    /// How deallocations are answered; `sync` if left out.
    #[schema(value_type = Option<spellings::Answering>)]
    deallocations: Option<Answering>,
    /// How the partner writes amounts; `base` if left out.
    #[schema(value_type = Option<spellings::AmountFormat>)]
    amount_format: Option<AmountFormat>,
    /// Its currencies.
    currencies: Vec<CurrencyTermsContent>,
    /// RSA public key (PEM, SPKI; at most 10 000 bytes) that connection keys have to be sealed to;
    /// left out: they come in clear.
    public_key: Option<String>,
    /// Whether on-chain settlement is enabled; false if left out.
    on_chain: Option<bool>,
    /// When the partner becomes active; `immediate` if left out.
    #[schema(value_type = Option<spellings::Activation>)]
    activation: Option<Activation>,
    /// How long a reservation may stay without an answer before the network releases it; 86 400 if
    /// left out.
    #[schema(minimum = 1, maximum = 31_536_000)]
    release_unanswered_after_seconds: Option<i64>,
    /// How long each direction of a settlement over the chain may take before operators are alerted
    /// and its SLA flag is set; 86 400 if left out. For settlements that are begun from now on.
    #[schema(minimum = 1, maximum = 31_536_000)]
    on_chain_late_after_seconds: Option<i64>,
}

/// Routes that differ from the recommended ones: paths below the base URL, in which `{id}` stands
/// for the allocation, deallocation or settlement.
#[derive(Default, ToSchema)]
#[schema(rename_all = "camelCase", as = PartnerRoutesContent)]
struct RoutesContent {
    connect: Option<String>,
    allocate: Option<String>,
    clear_allocation: Option<String>,
    release_allocation: Option<String>,
    deallocate: Option<String>,
    clear_deallocation: Option<String>,
    release_deallocation: Option<String>,
    allocation_status: Option<String>,
    deallocation_status: Option<String>,
    finalize_settlement: Option<String>,
}

/// A currency as a partner knows it; amounts in base units.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", as = PartnerCurrencyContent)]
struct CurrencyTermsContent {
    /// The network's ticker.
    #[schema(value_type = String, min_length = 1)]
    ticker: Currency,
    /// The partner's names for it; the first is the one that the network uses. No two currencies of
    /// a partner share a name.
    #[schema(min_items = 1)]
    partner_names: Vec<String>,
    /// The least that one allocation may move; left out: any amount.
    #[schema(value_type = Option<String>)]
    minimum: Option<Amount>,
    /// The most that one allocation may move; left out: any amount.
    #[schema(value_type = Option<String>)]
    maximum: Option<Amount>,
    /// The most that may be reserved at the partner and not yet answered; left out: any amount.
    #[schema(value_type = Option<String>)]
    open_total: Option<Amount>,
}

impl ConfigurationContent {
    /// Reads the body.
    ///
    /// # Errors
    /// All faults at once.
    pub(super) fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let base_url = input::text(&body, "baseUrl");
        let path_prefix = input::optional_text(&body, "pathPrefix");
        let routes = body.optional_object("routes");
        let routes = routes.map(|routes| RoutesContent::take(&routes));
        let signature_header = input::optional_text(&body, "signatureHeader");
        let jwt_key_id = input::optional_text(&body, "jwtKeyId");
        // The upper bound is the network's own, which knows how calls and leases fit together.
        let call_timeout_ms = body.optional_integer("callTimeoutMs", 100, i64::MAX);
        let allowed_networks = input::optional_texts(&body, "allowedNetworks");
        let allocations = body.optional_choice("allocations", Answering::ALL);
        let deallocations = body.optional_choice("deallocations", Answering::ALL);
        let amount_format = body.optional_choice("amountFormat", AmountFormat::ALL);
        let currencies = body.objects("currencies");
        // Collected first, so that every currency has its say.
        let currencies = currencies.map(|all| {
            let read: Vec<_> = all.iter().map(CurrencyTermsContent::take).collect();
            read
        });
        let public_key = input::optional_long_text(&body, "publicKey");
        let on_chain = body.optional_boolean("onChain");
        let activation = body.optional_choice("activation", Activation::ALL);
        let release = body.optional_integer("releaseUnansweredAfterSeconds", 1, PATIENCE_MAX_S);
        let late = body.optional_integer("onChainLateAfterSeconds", 1, PATIENCE_MAX_S);
        body.finish(|| {
            Some(ConfigurationContent {
                base_url: base_url?,
                path_prefix,
                routes,
                signature_header,
                jwt_key_id,
                call_timeout_ms,
                allowed_networks: allowed_networks?,
                allocations,
                deallocations,
                amount_format,
                currencies: currencies?.into_iter().collect::<Option<_>>()?,
                public_key,
                on_chain,
                activation,
                release_unanswered_after_seconds: release,
                on_chain_late_after_seconds: late,
            })
        })
    }

    /// The configuration that is described, with the defaults for what was left out. Version and
    /// time are given to it when it is taken over.
    pub(super) fn of(
        self,
        enterprise_id: EnterpriseId,
        institution_identifier: String,
    ) -> PartnerConfiguration {
        let recommended = match self.path_prefix {
            Some(prefix) => PartnerRoutes::below(&prefix),
            None => PartnerRoutes::default(),
        };
        PartnerConfiguration {
            enterprise_id,
            institution_identifier,
            version: 0,
            base_url: self.base_url,
            routes: self.routes.unwrap_or_default().over(recommended),
            signature_header: self
                .signature_header
                .unwrap_or_else(|| "X-BitGo-Signature".to_owned()),
            jwt_key_id: self.jwt_key_id.unwrap_or_else(|| "default".to_owned()),
            call_timeout_ms: self.call_timeout_ms.unwrap_or(CALL_TIMEOUT_DEFAULT_MS),
            allowed_networks: self.allowed_networks,
            allocations: self.allocations.unwrap_or(Answering::Synchronous),
            deallocations: self.deallocations.unwrap_or(Answering::Synchronous),
            amount_format: self.amount_format.unwrap_or(AmountFormat::BaseUnits),
            currencies: self
                .currencies
                .into_iter()
                .map(PartnerCurrency::from)
                .collect(),
            public_key: self.public_key,
            on_chain: self.on_chain.unwrap_or(false),
            activation: self.activation.unwrap_or(Activation::Immediate),
            release_unanswered_after_s: self
                .release_unanswered_after_seconds
                .unwrap_or(PATIENCE_DEFAULT_S),
            on_chain_late_after_s: self
                .on_chain_late_after_seconds
                .unwrap_or(PATIENCE_DEFAULT_S),
            updated_at: Timestamp(0),
        }
    }
}

impl RoutesContent {
    fn take(body: &Reader<'_>) -> Self {
        RoutesContent {
            connect: input::optional_text(body, "connect"),
            allocate: input::optional_text(body, "allocate"),
            clear_allocation: input::optional_text(body, "clearAllocation"),
            release_allocation: input::optional_text(body, "releaseAllocation"),
            deallocate: input::optional_text(body, "deallocate"),
            clear_deallocation: input::optional_text(body, "clearDeallocation"),
            release_deallocation: input::optional_text(body, "releaseDeallocation"),
            allocation_status: input::optional_text(body, "allocationStatus"),
            deallocation_status: input::optional_text(body, "deallocationStatus"),
            finalize_settlement: input::optional_text(body, "finalizeSettlement"),
        }
    }

    /// These routes, and the recommended ones where they say nothing.
    fn over(self, recommended: PartnerRoutes) -> PartnerRoutes {
        PartnerRoutes {
            connect: self.connect.unwrap_or(recommended.connect),
            allocate: self.allocate.unwrap_or(recommended.allocate),
            clear_allocation: self
                .clear_allocation
                .unwrap_or(recommended.clear_allocation),
            release_allocation: self
                .release_allocation
                .unwrap_or(recommended.release_allocation),
            deallocate: self.deallocate.unwrap_or(recommended.deallocate),
            clear_deallocation: self
                .clear_deallocation
                .unwrap_or(recommended.clear_deallocation),
            release_deallocation: self
                .release_deallocation
                .unwrap_or(recommended.release_deallocation),
            allocation_status: self
                .allocation_status
                .unwrap_or(recommended.allocation_status),
            deallocation_status: self
                .deallocation_status
                .unwrap_or(recommended.deallocation_status),
            finalize_settlement: self
                .finalize_settlement
                .unwrap_or(recommended.finalize_settlement),
        }
    }
}

impl CurrencyTermsContent {
    fn take(body: &Reader<'_>) -> Option<Self> {
        let ticker = input::member(body, "ticker");
        let partner_names = input::texts(body, "partnerNames");
        let minimum = input::optional_member::<Amount>(body, "minimum");
        let maximum = input::optional_member::<Amount>(body, "maximum");
        let open_total = input::optional_member(body, "openTotal");
        if minimum
            .zip(maximum)
            .is_some_and(|(least, most)| least > most)
        {
            body.fault("maximum", "must not be below the minimum");
        }
        Some(CurrencyTermsContent {
            ticker: ticker?,
            partner_names: partner_names?,
            minimum,
            maximum,
            open_total,
        })
    }
}

impl From<CurrencyTermsContent> for PartnerCurrency {
    fn from(terms: CurrencyTermsContent) -> Self {
        PartnerCurrency {
            ticker: terms.ticker,
            partner_names: terms.partner_names,
            minimum: terms.minimum,
            maximum: terms.maximum,
            open_total: terms.open_total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PartnerConfiguration, Vec<Fault>> {
        let content = ConfigurationContent::read(&Json::parse(text.as_bytes()).unwrap())?;
        Ok(content.of("harbour".parse().unwrap(), "harbour-exchange".to_owned()))
    }

    #[test]
    fn what_is_left_out_gets_its_default() {
        let bare = r#"{"baseUrl": "https://h.example", "currencies": []}"#;
        let agreed = read(bare).unwrap();
        assert_eq!(agreed.routes, PartnerRoutes::default());
        assert_eq!(agreed.call_timeout_ms, 10_000);
        assert_eq!(agreed.release_unanswered_after_s, 86_400);
        assert_eq!(agreed.on_chain_late_after_s, 86_400);
        assert_eq!(agreed.jwt_key_id, "default");

        let some = r#"{"baseUrl": "https://h.example", "pathPrefix": "/oes",
            "routes": {"connect": "/join"}, "currencies": [{"ticker": "ofcbtc", "partnerNames": ["XBT"], "openTotal": "5"}]}"#;
        let agreed = read(some).unwrap();
        assert_eq!(agreed.routes.connect, "/join");
        assert_eq!(agreed.routes.allocate, "/oes/allocations");
        assert_eq!(agreed.currencies[0].open_total, "5".parse().ok());
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let faulty = r#"{"allowedNetworks": [7], "activation": "soon", "currencies": [
            {"ticker": "a b", "partnerNames": [""]},
            {"ticker": "ofcbtc", "partnerNames": ["XBT"], "minimum": "2", "maximum": "1"}]}"#;
        let faults = read(faulty).unwrap_err();
        let fields: Vec<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "baseUrl",
                "allowedNetworks[0]",
                "currencies[0].ticker",
                "currencies[0].partnerNames[0]",
                "currencies[1].maximum",
                "activation",
            ]
        );
    }
}
