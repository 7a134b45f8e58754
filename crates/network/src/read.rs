//! What clients and partners may see: lists, records and balances, each from its own side.
//!
//! Clients see the network's tickers and base units, and of others nothing but that they exist;
//! partners see their own names and amounts, which [`PartnerTerms`] writes.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Balance, Currency, Owner};
use rules::{
    AllocationId, ClientId, ConnectionId, PartnerId, SettlementId,
    record::{
        Allocation, Connection, Participation, Partner, PartnerConfiguration, Settlement, Transfer,
    },
};
use store::{
    AllocationFilter, ConnectionFilter, Owned, Page, PartnerFilter, SettlementFilter, Side,
    TransferFilter,
};
use uuid::Uuid;

use crate::{Caller, Failure, Network, PartnerTerms};

/// A partner with the RSA public key that connection keys have to be sealed to, if there is one.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "said above")]
pub struct PartnerView {
    pub partner: Partner,
    pub public_key: Option<String>,
}

/// A currency that can be allocated to a partner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupportedCurrency {
    /// The network's ticker.
    pub ticker: Currency,
    /// The asset behind it.
    pub backing: String,
    /// The partner's names for it.
    pub partner_names: Vec<String>,
}

/// What stands on one connection.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "said above")]
pub struct ConnectionBalances {
    pub connection: Connection,
    pub partner: Partner,
    pub balances: BTreeMap<Currency, Balance>,
}

/// What a client has: in its Go Account and on its connections.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "said above")]
pub struct ClientBalances {
    pub client_id: ClientId,
    pub balances: BTreeMap<Currency, Balance>,
    pub connections: Vec<ConnectionBalances>,
}

/// What a partner sees: its own Go Account and what is allocated to it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "said above")]
pub struct PartnerBalances {
    pub balances: BTreeMap<Currency, Balance>,
    pub connections: Vec<ConnectionBalances>,
    /// How each of the enterprise's partners writes amounts.
    pub terms: BTreeMap<PartnerId, PartnerTerms>,
}

/// A settlement with the part that a client has in it.
#[derive(Clone, Debug)]
pub struct ClientSettlement {
    /// The settlement.
    pub settlement: Settlement,
    /// Whether a connection of the client loses in it.
    pub sends: bool,
    /// Whether a connection of the client gains in it.
    pub receives: bool,
    /// Whether the client disputes it for one of its connections.
    pub disputed: bool,
}

/// A settlement transfer as one of its clients sees it.
#[derive(Clone, Debug)]
pub struct ClientTransfer {
    /// The transfer.
    pub transfer: Transfer,
    /// Its settlement.
    pub settlement: Settlement,
    /// The client's connection where it is the source.
    pub own_source: Option<Connection>,
    /// The client's connection where it is the destination.
    pub own_destination: Option<Connection>,
}

/// A settlement with a page of its transfers, as its partner sees it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "said above")]
pub struct SettlementDetail {
    pub settlement: Settlement,
    pub transfers: Vec<Transfer>,
    pub terms: PartnerTerms,
}

fn owned(caller: &Caller, side: Side) -> Owned {
    Owned {
        enterprise_id: caller.enterprise.id.clone(),
        side,
    }
}

fn is_own(caller: &Caller, side: Side, client: &str, partner: &str) -> bool {
    let own = caller.enterprise.id.as_str();
    match side {
        Side::Client => client == own,
        Side::Partner => partner == own,
    }
}

impl Network {
    /// Partners that one can connect to (C2).
    ///
    /// # Errors
    ///
    /// See [`Failure`]; so for all that follow.
    pub async fn partners(
        &self,
        caller: &Caller,
        mut filter: PartnerFilter,
        own_trust_org_only: bool,
        page: Page,
    ) -> Result<Vec<PartnerView>, Failure> {
        if own_trust_org_only {
            filter.trust_org = Some(caller.enterprise.trust_org.clone());
        }
        let partners = self.store().partners(filter, page).await?;
        let configurations = self.configurations_of(&partners).await?;
        let mut views = Vec::with_capacity(partners.len());
        for partner in partners {
            let configuration = configurations.get(&partner.id);
            let public_key = configuration.and_then(|c| c.public_key.clone());
            views.push(PartnerView {
                partner,
                public_key,
            });
        }
        Ok(views)
    }

    /// The currencies of partners (C3). Those that do not exist, or belong to another trust
    /// organisation, are left out.
    pub async fn supported_currencies(
        &self,
        caller: &Caller,
        partner_ids: Vec<Uuid>,
    ) -> Result<BTreeMap<Uuid, Vec<SupportedCurrency>>, Failure> {
        let size = u32::try_from(partner_ids.len()).unwrap_or(u32::MAX);
        let filter = PartnerFilter {
            ids: Some(partner_ids),
            trust_org: Some(caller.enterprise.trust_org.clone()),
            ..PartnerFilter::default()
        };
        let partners = self
            .store()
            .partners(filter, Page { number: 0, size })
            .await?;
        let mut configurations = self.configurations_of(&partners).await?;
        let known = self.store().currencies().await?;
        let mut supported = BTreeMap::new();
        for partner in partners {
            let configuration = configurations.remove(&partner.id);
            let currencies = configuration.into_iter().flat_map(|c| c.currencies);
            let list = currencies
                .filter_map(|currency| {
                    let network = known.iter().find(|k| k.ticker == currency.ticker)?;
                    Some(SupportedCurrency {
                        ticker: currency.ticker,
                        backing: network.backing.clone(),
                        partner_names: currency.partner_names,
                    })
                })
                .collect();
            supported.insert(partner.id.0, list);
        }
        Ok(supported)
    }

    /// Connections of one side (C5, P2).
    pub async fn connections(
        &self,
        caller: &Caller,
        side: Side,
        filter: ConnectionFilter,
        page: Page,
    ) -> Result<Vec<Connection>, Failure> {
        Ok(self
            .store()
            .connections(&owned(caller, side), filter, page)
            .await?)
    }

    /// One connection of one side (C7, P3).
    pub async fn connection(
        &self,
        caller: &Caller,
        side: Side,
        id: Uuid,
    ) -> Result<Connection, Failure> {
        let connection = self.store().connection(ConnectionId(id)).await?;
        connection
            .filter(|c| {
                let (client, partner) = (&c.client_enterprise_id, &c.partner_enterprise_id);
                is_own(caller, side, client.as_str(), partner.as_str())
            })
            .ok_or_else(|| Failure::not_found("connection"))
    }

    /// Allocations and deallocations of one side (C13, P4).
    pub async fn allocations(
        &self,
        caller: &Caller,
        side: Side,
        filter: AllocationFilter,
        page: Page,
    ) -> Result<Vec<Allocation>, Failure> {
        Ok(self
            .store()
            .allocations(&owned(caller, side), filter, page)
            .await?)
    }

    /// One allocation or deallocation of one side (C14, P5).
    pub async fn allocation(
        &self,
        caller: &Caller,
        side: Side,
        id: Uuid,
    ) -> Result<Allocation, Failure> {
        let record = self.store().allocation(AllocationId(id)).await?;
        record
            .filter(|r| {
                let (client, partner) = (&r.client_enterprise_id, &r.partner_enterprise_id);
                is_own(caller, side, client.as_str(), partner.as_str())
            })
            .ok_or_else(|| Failure::not_found("allocation"))
    }

    /// How each partner of the caller's enterprise writes amounts.
    pub async fn own_terms(
        &self,
        caller: &Caller,
    ) -> Result<BTreeMap<PartnerId, PartnerTerms>, Failure> {
        let currencies = self.store().currencies().await?;
        let mut terms = BTreeMap::new();
        for partner in self.own_partners(caller).await? {
            let configuration = self.configuration_of(&partner).await?;
            terms.insert(partner.id, PartnerTerms::new(configuration, &currencies));
        }
        Ok(terms)
    }

    /// The configurations of partners, with one read for all of them.
    async fn configurations_of(
        &self,
        partners: &[Partner],
    ) -> Result<BTreeMap<PartnerId, PartnerConfiguration>, Failure> {
        let mut known: BTreeMap<_, _> = BTreeMap::new();
        for configuration in self.store().configurations().await? {
            let enterprise = configuration.enterprise_id.clone();
            let institution = configuration.institution_identifier.clone();
            known.insert((enterprise, institution), configuration);
        }
        let of_partner = |partner: &Partner| {
            let enterprise = partner.enterprise_id.clone();
            let key = (enterprise, partner.institution_identifier.clone());
            Some((partner.id, known.get(&key)?.clone()))
        };
        Ok(partners.iter().filter_map(of_partner).collect())
    }

    async fn own_partners(&self, caller: &Caller) -> Result<Vec<Partner>, Failure> {
        let filter = PartnerFilter {
            enterprise_id: Some(caller.enterprise.id.clone()),
            ..PartnerFilter::default()
        };
        let all = Page {
            number: 0,
            size: 10_000,
        };
        Ok(self.store().partners(filter, all).await?)
    }

    async fn balances_of(
        &self,
        owners: &[Owner],
    ) -> Result<BTreeMap<Owner, BTreeMap<Currency, Balance>>, Failure> {
        let mut balances: BTreeMap<Owner, BTreeMap<Currency, Balance>> = BTreeMap::new();
        for record in self.store().balances(owners).await? {
            let of_owner = balances.entry(record.account.owner).or_default();
            of_owner.insert(record.account.currency, record.balance);
        }
        Ok(balances)
    }

    async fn with_balances(
        &self,
        connections: Vec<Connection>,
    ) -> Result<Vec<ConnectionBalances>, Failure> {
        let owner = |c: &Connection| Owner::Net(c.network_account_id);
        let owners: Vec<Owner> = connections.iter().map(owner).collect();
        let mut balances = self.balances_of(&owners).await?;
        let ids: BTreeSet<Uuid> = connections.iter().map(|c| c.partner_id.0).collect();
        let size = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let filter = PartnerFilter {
            ids: Some(ids.into_iter().collect()),
            ..PartnerFilter::default()
        };
        let partners = self
            .store()
            .partners(filter, Page { number: 0, size })
            .await?;
        let partners: BTreeMap<PartnerId, Partner> =
            partners.into_iter().map(|p| (p.id, p)).collect();
        let with_balances = connections.into_iter().filter_map(|connection| {
            Some(ConnectionBalances {
                partner: partners.get(&connection.partner_id)?.clone(),
                balances: balances.remove(&owner(&connection)).unwrap_or_default(),
                connection,
            })
        });
        Ok(with_balances.collect())
    }

    /// What the caller has as a client (C15). Connections that the partner has not accepted are
    /// left out: nothing can be on them.
    pub async fn client_balances(
        &self,
        caller: &Caller,
        mut filter: ConnectionFilter,
        page: Page,
    ) -> Result<ClientBalances, Failure> {
        let client = self.store().client_of(&caller.enterprise.id).await?;
        let client = client.ok_or_else(|| Failure::not_found("client"))?;
        let go = Owner::Go(client.go_account_id);
        let mut own = self.balances_of(&[go]).await?;
        filter.initialized_only = true;
        let connections = self.connections(caller, Side::Client, filter, page).await?;
        Ok(ClientBalances {
            client_id: client.id,
            balances: own.remove(&go).unwrap_or_default(),
            connections: self.with_balances(connections).await?,
        })
    }

    /// What the caller sees as a partner (P8).
    pub async fn partner_balances(
        &self,
        caller: &Caller,
        mut filter: ConnectionFilter,
        page: Page,
    ) -> Result<PartnerBalances, Failure> {
        let partners = self.own_partners(caller).await?;
        let owners: BTreeSet<Owner> = partners
            .iter()
            .map(|p| Owner::Go(p.go_account_id))
            .collect();
        let owners: Vec<Owner> = owners.into_iter().collect();
        let mut balances = BTreeMap::new();
        for of_account in self.balances_of(&owners).await?.into_values() {
            balances.extend(of_account);
        }
        filter.initialized_only = true;
        let connections = self
            .connections(caller, Side::Partner, filter, page)
            .await?;
        Ok(PartnerBalances {
            balances,
            connections: self.with_balances(connections).await?,
            terms: self.own_terms(caller).await?,
        })
    }

    async fn own_client_id(&self, caller: &Caller) -> Result<Option<ClientId>, Failure> {
        let client = self.store().client_of(&caller.enterprise.id).await?;
        Ok(client.map(|client| client.id))
    }

    /// Settlements that the caller takes part in as a client (C16).
    pub async fn client_settlements(
        &self,
        caller: &Caller,
        filter: SettlementFilter,
        page: Page,
    ) -> Result<Vec<ClientSettlement>, Failure> {
        let Some(client) = self.own_client_id(caller).await? else {
            return Ok(Vec::new());
        };
        let settlements = self
            .store()
            .settlements_of_client(client, filter, page)
            .await?;
        let ids = settlements.iter().map(|s| s.id).collect();
        let parts = self.store().participations(client, ids).await?;
        let with_direction = |settlement: Settlement| {
            let own = |part: &&Participation| part.settlement_id == settlement.id;
            ClientSettlement {
                sends: parts.iter().filter(own).any(|part| part.sends),
                receives: parts.iter().filter(own).any(|part| part.receives),
                disputed: parts.iter().filter(own).any(|part| part.disputed),
                settlement,
            }
        };
        Ok(settlements.into_iter().map(with_direction).collect())
    }

    /// One settlement that the caller takes part in as a client, with a page of its own transfers
    /// (C17).
    pub async fn client_settlement(
        &self,
        caller: &Caller,
        id: Uuid,
        currencies: Option<Vec<String>>,
        page: Page,
    ) -> Result<(ClientSettlement, Vec<ClientTransfer>), Failure> {
        let not_found = || Failure::not_found("settlement");
        let client = self.own_client_id(caller).await?.ok_or_else(not_found)?;
        let id = SettlementId(id);
        let parts = self.store().participations(client, vec![id]).await?;
        if parts.is_empty() {
            return Err(not_found());
        }
        let settlement = self.store().settlement(id).await?.ok_or_else(not_found)?;
        let filter = TransferFilter {
            settlement_ids: Some(vec![id.0]),
            currencies,
            ..TransferFilter::default()
        };
        let transfers = self.client_transfers(caller, filter, page).await?;
        let view = ClientSettlement {
            sends: parts.iter().any(|part| part.sends),
            receives: parts.iter().any(|part| part.receives),
            disputed: parts.iter().any(|part| part.disputed),
            settlement,
        };
        Ok((view, transfers))
    }

    /// Settlement transfers of the caller's connections as a client (C18).
    pub async fn client_transfers(
        &self,
        caller: &Caller,
        filter: TransferFilter,
        page: Page,
    ) -> Result<Vec<ClientTransfer>, Failure> {
        let Some(client) = self.own_client_id(caller).await? else {
            return Ok(Vec::new());
        };
        let transfers = self.store().transfers(Some(client), filter, page).await?;
        let settlements: BTreeSet<_> = transfers.iter().filter_map(|t| t.settlement_id).collect();
        let settlements = settlements.into_iter().collect();
        let settlements = self.store().settlements_by_id(settlements).await?;
        let connections: BTreeSet<_> = transfers
            .iter()
            .flat_map(|t| [&t.source, &t.destination])
            .filter(|side| side.client_id == client)
            .filter_map(|side| side.connection.map(|(id, _)| id))
            .collect();
        let connections = connections.into_iter().collect();
        let connections = self.store().connections_by_id(connections).await?;
        let own = |side: &rules::record::TransferParty| {
            let id = side.connection.filter(|_| side.client_id == client)?.0;
            connections.iter().find(|c| c.id == id).cloned()
        };
        let views = transfers.into_iter().filter_map(|transfer| {
            let id = transfer.settlement_id?;
            let settlement = settlements.iter().find(|s| s.id == id)?;
            Some(ClientTransfer {
                own_source: own(&transfer.source),
                own_destination: own(&transfer.destination),
                settlement: settlement.clone(),
                transfer,
            })
        });
        Ok(views.collect())
    }

    /// Settlements that the caller has posted as a partner (P13).
    pub async fn partner_settlements(
        &self,
        caller: &Caller,
        filter: SettlementFilter,
        page: Page,
    ) -> Result<Vec<Settlement>, Failure> {
        let own = &caller.enterprise.id;
        Ok(self
            .store()
            .settlements_of_partner(own, filter, page)
            .await?)
    }

    /// One settlement that the caller has posted as a partner, with a page of its transfers (P14).
    pub async fn partner_settlement(
        &self,
        caller: &Caller,
        id: Uuid,
        mut filter: TransferFilter,
        page: Page,
    ) -> Result<SettlementDetail, Failure> {
        let settlement = self.store().settlement(SettlementId(id)).await?;
        let settlement = settlement
            .filter(|s| s.partner_enterprise_id == caller.enterprise.id)
            .ok_or_else(|| Failure::not_found("settlement"))?;
        let partner = self.store().partner(settlement.partner_id).await?;
        let partner = partner.ok_or_else(|| Failure::not_found("partner"))?;
        let terms = self.terms_of(&partner).await?;
        filter.settlement_ids = Some(vec![settlement.id.0]);
        if let Some(names) = filter.partner_currencies.take() {
            filter.currencies = Some(PartnerTerms::tickers([&terms], &names));
        }
        let transfers = self.store().transfers(None, filter, page).await?;
        Ok(SettlementDetail {
            terms,
            settlement,
            transfers,
        })
    }
}
