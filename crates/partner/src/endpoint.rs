//! Where a partner answers: its configuration in the form that a call needs, checked once.
//! Whether the addresses behind the host may be reached is judged call by call, in `policy`.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::header::HeaderName;
use rules::PartnerId;
use rules::record::{PartnerConfiguration, PartnerRoutes};
use url::Url;
use uuid::Uuid;
use wire::partner_call::{MovementKind, Subject};

use crate::policy::Policy;

/// How a movement ended, as the partner is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// H3 and H6: it is cleared; the partner credits or debits.
    Clear,
    /// H4 and H7: it is released; the partner drops it, or remembers never to take it.
    Release,
}

/// Which call, with what its route needs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Connect,
    Reserve(Subject),
    Tell(Subject, Ending),
    Status(Subject),
    Finalize(Uuid),
}

/// Where and how one partner is called. Cloning is cheap enough for every call.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(crate) partner_id: PartnerId,
    pub(crate) signature_header: HeaderName,
    pub(crate) jwt_key_id: String,
    pub(crate) timeout: Duration,
    pub(crate) policy: Policy,
    base: Url,
    routes: PartnerRoutes,
}

/// What keeps a partner configuration from being called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The base URL is no absolute http or https URL with a host.
    #[error("the base URL must be an absolute http or https URL")]
    BaseUrl,
    /// The base URL holds more than scheme, host, port and path. User names and passwords in URLs
    /// end up in logs; a query or a fragment would be lost.
    #[error("the base URL must not hold a user name, a password, a query or a fragment")]
    BaseUrlParts,
    /// A route does not begin with a slash, or does not hold `{id}` where it must.
    #[error("the route {0} must begin with / and hold {{id}} where it is about a single movement")]
    Route(String),
    /// The header's name is none of HTTP's.
    #[error("the signature header is no name of an HTTP header")]
    SignatureHeader,
    /// The time limit is not within 100 to 60 000 milliseconds.
    #[error("the time limit of a call must be 100 to 60000 milliseconds")]
    Timeout,
    /// An allowed network is not in CIDR notation.
    #[error("the allowed network {0} is not in CIDR notation")]
    AllowedNetwork(String),
}

impl Endpoint {
    /// Reads the configuration of a partner.
    ///
    /// # Errors
    /// See [`EndpointError`]; the first that is found.
    pub fn new(
        configuration: &PartnerConfiguration,
        partner_id: PartnerId,
    ) -> Result<Self, EndpointError> {
        let base: Url = configuration
            .base_url
            .parse()
            .map_err(|_| EndpointError::BaseUrl)?;
        if !matches!(base.scheme(), "http" | "https") || base.host().is_none() {
            return Err(EndpointError::BaseUrl);
        }
        let has_user = !base.username().is_empty() || base.password().is_some();
        if has_user || base.query().is_some() || base.fragment().is_some() {
            return Err(EndpointError::BaseUrlParts);
        }
        check_routes(&configuration.routes)?;
        let read_network = |text: &String| {
            let network = text.parse::<IpNet>();
            network.map_err(|_| EndpointError::AllowedNetwork(text.clone()))
        };
        let networks: Result<Arc<[IpNet]>, _> = configuration
            .allowed_networks
            .iter()
            .map(read_network)
            .collect();
        let timeout_ms = u64::try_from(configuration.call_timeout_ms)
            .ok()
            .filter(|ms| (100..=60_000).contains(ms))
            .ok_or(EndpointError::Timeout)?;
        Ok(Self {
            partner_id,
            signature_header: configuration
                .signature_header
                .parse()
                .map_err(|_| EndpointError::SignatureHeader)?,
            jwt_key_id: configuration.jwt_key_id.clone(),
            timeout: Duration::from_millis(timeout_ms),
            policy: Policy {
                allowed: networks?,
                is_https: base.scheme() == "https",
            },
            base,
            routes: configuration.routes.clone(),
        })
    }

    /// Who is called.
    #[must_use]
    pub fn partner_id(&self) -> PartnerId {
        self.partner_id
    }

    /// The URL of a call. Host and port are always those of the base URL: a route only ever
    /// becomes path and query.
    pub(crate) fn url(&self, call: Call) -> Url {
        use MovementKind::{Allocation, Deallocation};
        let routes = &self.routes;
        let (template, subject) = match call {
            Call::Connect => (&routes.connect, None),
            Call::Finalize(settlement) => (&routes.finalize_settlement, Some(settlement)),
            Call::Reserve(subject) => match subject.kind() {
                Allocation => (&routes.allocate, Some(subject.id())),
                Deallocation => (&routes.deallocate, Some(subject.id())),
            },
            Call::Tell(subject, ending) => match (subject.kind(), ending) {
                (Allocation, Ending::Clear) => (&routes.clear_allocation, Some(subject.id())),
                (Allocation, Ending::Release) => (&routes.release_allocation, Some(subject.id())),
                (Deallocation, Ending::Clear) => (&routes.clear_deallocation, Some(subject.id())),
                (Deallocation, Ending::Release) => {
                    (&routes.release_deallocation, Some(subject.id()))
                }
            },
            Call::Status(subject) => match subject.kind() {
                Allocation => (&routes.allocation_status, Some(subject.id())),
                Deallocation => (&routes.deallocation_status, Some(subject.id())),
            },
        };
        let route = match subject {
            Some(subject) => template.replace("{id}", &subject.to_string()),
            None => template.clone(),
        };
        let (path, query) = match route.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (route.as_str(), None),
        };
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url.set_query(query);
        url
    }
}

fn check_routes(routes: &PartnerRoutes) -> Result<(), EndpointError> {
    let collections = [&routes.connect, &routes.allocate, &routes.deallocate];
    let singles = [
        &routes.clear_allocation,
        &routes.release_allocation,
        &routes.clear_deallocation,
        &routes.release_deallocation,
        &routes.allocation_status,
        &routes.deallocation_status,
        &routes.finalize_settlement,
    ];
    let wrong = collections
        .into_iter()
        .find(|route| !route.starts_with('/'))
        .or_else(|| {
            let fits = |route: &str| route.starts_with('/') && route.contains("{id}");
            singles.into_iter().find(|route| !fits(route))
        });
    match wrong {
        Some(route) => Err(EndpointError::Route(route.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ledger::Timestamp;
    use rules::record::{Activation, AmountFormat, Answering};
    use uuid::Uuid;

    use super::*;

    pub(crate) const PARTNER: PartnerId = PartnerId(Uuid::from_u128(7));

    pub(crate) fn configuration(base_url: &str) -> PartnerConfiguration {
        PartnerConfiguration {
            enterprise_id: "e".parse().unwrap(),
            institution_identifier: "exchange".to_owned(),
            version: 1,
            base_url: base_url.to_owned(),
            routes: PartnerRoutes::default(),
            signature_header: "X-BitGo-Signature".to_owned(),
            jwt_key_id: "main".to_owned(),
            call_timeout_ms: 5_000,
            allowed_networks: vec!["127.0.0.0/8".to_owned(), "::1/128".to_owned()],
            allocations: Answering::Synchronous,
            deallocations: Answering::Synchronous,
            amount_format: AmountFormat::BaseUnits,
            currencies: Vec::new(),
            public_key: None,
            on_chain: false,
            activation: Activation::Immediate,
            release_unanswered_after_s: 86_400,
            on_chain_late_after_s: 86_400,
            updated_at: Timestamp(0),
        }
    }

    fn error(change: impl FnOnce(&mut PartnerConfiguration)) -> EndpointError {
        let mut configuration = configuration("https://partner.example");
        change(&mut configuration);
        Endpoint::new(&configuration, PARTNER).unwrap_err()
    }

    #[test]
    fn configurations_that_cannot_be_called_are_refused() {
        for base_url in ["", "partner.example", "ftp://partner.example", "https://"] {
            assert_eq!(
                error(|c| c.base_url = base_url.to_owned()),
                EndpointError::BaseUrl
            );
        }
        for base_url in [
            "https://a@b.c",
            "https://:p@b.c",
            "https://b.c?q",
            "https://b.c#f",
        ] {
            assert_eq!(
                error(|c| c.base_url = base_url.to_owned()),
                EndpointError::BaseUrlParts
            );
        }
        let routes = |change: fn(&mut PartnerRoutes)| error(|c| change(&mut c.routes));
        assert!(matches!(
            routes(|r| r.allocate = "@evil.example/".to_owned()),
            EndpointError::Route(_)
        ));
        assert!(matches!(
            routes(|r| r.release_deallocation = "/x".to_owned()),
            EndpointError::Route(_)
        ));
        assert_eq!(
            error(|c| c.signature_header = "a b".to_owned()),
            EndpointError::SignatureHeader
        );
        for timeout in [-1, 99, 60_001] {
            assert_eq!(
                error(|c| c.call_timeout_ms = timeout),
                EndpointError::Timeout
            );
        }
        assert_eq!(
            error(|c| c.allowed_networks = vec!["10.0.0.1".to_owned()]),
            EndpointError::AllowedNetwork("10.0.0.1".to_owned())
        );
    }

    #[test]
    fn routes_lie_below_the_base_url() {
        let id = Uuid::from_u128(1);
        let mut configuration = configuration("https://partner.example:8443/api/");
        configuration.routes.allocate = "/alloc?version=2".to_owned();
        configuration.routes.deallocate = "//evil.example/\\..".to_owned();
        let endpoint = Endpoint::new(&configuration, PARTNER).unwrap();
        let url = |call| endpoint.url(call).to_string();
        assert_eq!(
            url(Call::Connect),
            "https://partner.example:8443/api/bitgo/v1/connections"
        );
        assert_eq!(
            url(Call::Reserve(Subject::Allocation(id))),
            "https://partner.example:8443/api/alloc?version=2"
        );
        assert!(
            url(Call::Reserve(Subject::Deallocation(id)))
                .starts_with("https://partner.example:8443/")
        );
        assert_eq!(
            url(Call::Tell(Subject::Deallocation(id), Ending::Release)),
            format!("https://partner.example:8443/api/bitgo/v1/deallocation/{id}/release")
        );
        assert_eq!(
            url(Call::Status(Subject::Allocation(id))),
            format!("https://partner.example:8443/api/bitgo/v1/allocation/{id}")
        );
    }
}
