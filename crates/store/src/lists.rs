//! What is read outside of batches: look-ups and lists, as they are committed.
//!
//! Every list begins at the rows of whoever asks. Filters are facts about records; what a caller
//! may see is decided above.

mod disputes;
mod on_chain;
mod windows;

use ledger::{Currency, GoAccountId, Owner, Timestamp};
use rules::{
    AllocationId, ClientId, ConnectionId, EnterpriseId, PartnerId, SettlementId, UserId,
    record::{
        AccessToken, AccountBalance, Allocation, AllocationKind, Client, Connection, Deposit,
        Enterprise, GoAccount, Membership, Message, NetworkCurrency, Participation, Partner,
        PartnerConfiguration, Settlement, SigningKey, TokenUse, Transfer, TransferStatus, User,
        Withdrawal,
    },
};
use uuid::Uuid;

pub use disputes::DisputeFilter;
pub use on_chain::OnChainDepositFilter;

use crate::{
    Store, StoreError,
    record::{Columns, Stored},
    select::Select,
};

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Which part, from 0.
    pub number: u64,
    /// How many records a part has.
    pub size: u32,
}

impl Page {
    /// How many records stand before its end.
    pub(crate) fn end(self) -> i64 {
        self.offset().saturating_add(i64::from(self.size))
    }

    /// How many records stand before it.
    pub(crate) fn offset(self) -> i64 {
        let skipped = self.number.saturating_mul(u64::from(self.size));
        i64::try_from(skipped).unwrap_or(i64::MAX)
    }
}

/// Which end of a connection asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's.
    Client,
    /// The partner's.
    Partner,
}

/// Whose records are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// The enterprise.
    pub enterprise_id: EnterpriseId,
    /// As what.
    pub side: Side,
}

impl Owned {
    fn column(&self) -> &'static str {
        match self.side {
            Side::Client => "client_enterprise_id",
            Side::Partner => "partner_enterprise_id",
        }
    }
}

/// For whom messages wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingPartners {
    /// Business time: what is due by then is due.
    pub time: Timestamp,
    /// Each with the time at which its most urgent message is due, in no particular order.
    pub partners: Vec<(PartnerId, Timestamp)>,
}

/// A token with its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The token.
    pub token: AccessToken,
    /// Whose it is.
    pub user: User,
}

/// Which partners are meant; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns of the record")]
pub struct PartnerFilter {
    pub ids: Option<Vec<Uuid>>,
    pub names: Option<Vec<String>>,
    pub institution_ids: Option<Vec<Uuid>>,
    pub institution_identifiers: Option<Vec<String>>,
    pub enterprise_id: Option<EnterpriseId>,
    pub active: Option<bool>,
    pub trust_org: Option<String>,
    pub allocation_policies_enabled: Option<bool>,
}

/// Which connections are meant; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns of the record")]
pub struct ConnectionFilter {
    pub active: Option<bool>,
    pub ids: Option<Vec<Uuid>>,
    pub names: Option<Vec<String>>,
    pub partner_ids: Option<Vec<Uuid>>,
    pub client_ids: Option<Vec<Uuid>>,
    pub partners_client_ids: Option<Vec<String>>,
    pub partners_connection_ids: Option<Vec<String>>,
    /// Only those that the partner has accepted.
    pub initialized_only: bool,
}

/// What allocations are sorted by first; after it always by age and identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the members are the columns of the record")]
pub enum AllocationSort {
    Id,
    UpdatedAt,
    Quantity,
    Currency,
}

/// Which allocations and deallocations are meant; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns of the record")]
pub struct AllocationFilter {
    pub ids: Option<Vec<Uuid>>,
    pub kinds: Option<Vec<AllocationKind>>,
    /// `reserved`, `cleared`, `released`.
    pub states: Option<Vec<&'static str>>,
    pub currencies: Option<Vec<String>>,
    pub partner_currencies: Option<Vec<String>>,
    pub connection_ids: Option<Vec<Uuid>>,
    pub partner_ids: Option<Vec<Uuid>>,
    pub client_ids: Option<Vec<Uuid>>,
    pub created_since: Option<Timestamp>,
    pub created_before: Option<Timestamp>,
    pub sort: Option<AllocationSort>,
    pub descending: bool,
}

/// Which settlements are meant; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns of the record")]
pub struct SettlementFilter {
    pub ids: Option<Vec<Uuid>>,
    pub partner_ids: Option<Vec<Uuid>>,
    pub external_ids: Option<Vec<String>>,
    /// `pending`, `completed`, `failed`, `rejected`.
    pub states: Option<Vec<&'static str>>,
    pub party_connection_ids: Option<Vec<Uuid>>,
    pub counterparty_connection_ids: Option<Vec<Uuid>>,
    /// Only those that a dispute stands against: for a client, one of its own.
    pub disputed_only: bool,
    pub created_since: Option<Timestamp>,
    pub created_before: Option<Timestamp>,
    pub updated_since: Option<Timestamp>,
    pub updated_before: Option<Timestamp>,
}

/// Which settlement transfers are meant; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields are the columns of the record")]
pub struct TransferFilter {
    pub settlement_ids: Option<Vec<Uuid>>,
    pub currencies: Option<Vec<String>>,
    pub partner_currencies: Option<Vec<String>>,
    pub statuses: Option<Vec<TransferStatus>>,
    pub initiated_by: Option<Vec<Uuid>>,
    pub partner_ids: Option<Vec<Uuid>>,
    pub settlement_states: Option<Vec<&'static str>>,
    pub settlement_updated_since: Option<Timestamp>,
    pub settlement_updated_before: Option<Timestamp>,
    pub source_network_account_ids: Option<Vec<Uuid>>,
    pub source_go_account_ids: Option<Vec<Uuid>>,
    pub destination_network_account_ids: Option<Vec<Uuid>>,
    pub destination_go_account_ids: Option<Vec<Uuid>>,
    /// By the time of the last change rather than by place in the settlement.
    pub by_update: bool,
    pub descending: bool,
}

type Listed<T> = Result<Vec<T>, StoreError>;
type Found<T> = Result<Option<T>, StoreError>;

fn since(select: Select, column: &str, at: Option<Timestamp>) -> Select {
    match at {
        Some(at) => select.filter(&format!("{column} >= ?"), vec![at.0.into()]),
        None => select,
    }
}

fn before(select: Select, column: &str, at: Option<Timestamp>) -> Select {
    match at {
        Some(at) => select.filter(&format!("{column} < ?"), vec![at.0.into()]),
        None => select,
    }
}

impl Store {
    async fn by_key<R: Stored>(&self, key: &R::Key) -> Found<R> {
        let mut select = Select::all();
        for (column, value) in R::TABLE.key.iter().zip(R::key_values(key)) {
            select = select.equal(column, value);
        }
        select.first(self.reader()).await
    }

    /// The token with this SHA-256 and its user, whether it still counts or not.
    pub async fn principal(&self, token_hash: [u8; 32]) -> Found<Principal> {
        let token = Select::all().equal("hash", token_hash.as_slice());
        let Some(token) = token.first::<AccessToken>(self.reader()).await? else {
            return Ok(None);
        };
        let user = self.by_key::<User>(&token.user_id).await?;
        Ok(user.map(|user| Principal { token, user }))
    }

    /// When tokens were last used.
    pub async fn token_uses(&self) -> Listed<TokenUse> {
        Select::all().run(self.reader()).await
    }

    /// An enterprise.
    pub async fn enterprise(&self, id: &EnterpriseId) -> Found<Enterprise> {
        self.by_key(id).await
    }

    /// A user's place in an enterprise.
    pub async fn membership(&self, user: UserId, enterprise: &EnterpriseId) -> Found<Membership> {
        self.by_key(&(user, enterprise.clone())).await
    }

    /// The enterprises that a user belongs to, in the order of their ids.
    pub async fn enterprises_of(&self, user: UserId) -> Listed<Membership> {
        Select::all()
            .equal("user_id", user.0)
            .filter("role IS NOT NULL", Vec::new())
            .order("enterprise_id")
            .run(self.reader())
            .await
    }

    /// All enterprises.
    pub async fn enterprises(&self) -> Listed<Enterprise> {
        Select::all()
            .order("created_at, id")
            .run(self.reader())
            .await
    }

    /// All users.
    pub async fn users(&self) -> Listed<User> {
        Select::all()
            .order("created_at, id")
            .run(self.reader())
            .await
    }

    /// All places of users in enterprises.
    pub async fn memberships(&self) -> Listed<Membership> {
        let order = "enterprise_id, user_id";
        Select::all().order(order).run(self.reader()).await
    }

    /// The tokens of a user, or of all.
    pub async fn access_tokens(&self, user: Option<UserId>) -> Listed<AccessToken> {
        let select = Select::all().equal_if("user_id", user.map(|id| id.0));
        select.order("created_at, id").run(self.reader()).await
    }

    /// The Go Accounts of an enterprise, or of all.
    pub async fn go_accounts(&self, enterprise: Option<&EnterpriseId>) -> Listed<GoAccount> {
        let select = Select::all().equal_if("enterprise_id", enterprise.map(EnterpriseId::as_str));
        select.order("created_at, id").run(self.reader()).await
    }

    /// A Go Account.
    pub async fn go_account(&self, id: GoAccountId) -> Found<GoAccount> {
        self.by_key(&id).await
    }

    /// The keys of a Go Account, revoked ones included, or of all.
    pub async fn signing_keys(&self, account: Option<GoAccountId>) -> Listed<SigningKey> {
        let select = Select::all().equal_if("go_account_id", account.map(|id| id.0));
        select.order("created_at, id").run(self.reader()).await
    }

    /// All currencies.
    pub async fn currencies(&self) -> Listed<NetworkCurrency> {
        Select::all().order("ticker").run(self.reader()).await
    }

    /// A currency.
    pub async fn currency(&self, ticker: &Currency) -> Found<NetworkCurrency> {
        self.by_key(ticker).await
    }

    /// What was agreed with a partner.
    pub async fn configuration(
        &self,
        enterprise: &EnterpriseId,
        institution: &str,
    ) -> Found<PartnerConfiguration> {
        self.by_key(&(enterprise.clone(), institution.to_owned()))
            .await
    }

    /// All that was agreed with partners.
    pub async fn configurations(&self) -> Listed<PartnerConfiguration> {
        let order = "enterprise_id, institution_identifier";
        Select::all().order(order).run(self.reader()).await
    }

    /// The client record of an enterprise.
    pub async fn client_of(&self, enterprise: &EnterpriseId) -> Found<Client> {
        let select = Select::all().equal("enterprise_id", enterprise.as_str());
        select.first(self.reader()).await
    }

    /// Clients by their identifiers.
    pub async fn clients(&self, ids: Vec<ClientId>) -> Listed<Client> {
        let ids = ids.into_iter().map(|id| id.0).collect();
        Select::all()
            .among("id", Some(ids))
            .run(self.reader())
            .await
    }

    /// A partner.
    pub async fn partner(&self, id: PartnerId) -> Found<Partner> {
        self.by_key(&id).await
    }

    /// Partners, the newest first.
    pub async fn partners(&self, filter: PartnerFilter, page: Page) -> Listed<Partner> {
        Select::all()
            .equal_if(
                "enterprise_id",
                filter.enterprise_id.as_ref().map(EnterpriseId::as_str),
            )
            .named("id", filter.ids)
            .among("name", filter.names)
            .among("institution_id", filter.institution_ids)
            .among("institution_identifier", filter.institution_identifiers)
            .equal_if("active", filter.active)
            .equal_if("trust_org", filter.trust_org)
            .equal_if(
                "allocation_policies_enabled",
                filter.allocation_policies_enabled,
            )
            .order("created_at DESC, id")
            .page(page)
            .run(self.reader())
            .await
    }

    /// A connection.
    pub async fn connection(&self, id: ConnectionId) -> Found<Connection> {
        self.by_key(&id).await
    }

    /// Connections of any owner by their identifiers.
    pub async fn connections_by_id(&self, ids: Vec<ConnectionId>) -> Listed<Connection> {
        // One statement binds a bounded number of values on either database.
        const IDS_AT_ONCE: usize = 4_096;
        let mut found = Vec::new();
        for ids in ids.chunks(IDS_AT_ONCE) {
            let ids = ids.iter().map(|id| id.0).collect();
            let select = Select::all().among::<Uuid>("id", Some(ids));
            found.extend(select.run::<Connection>(self.reader()).await?);
        }
        Ok(found)
    }

    /// Connections of one side, the newest first.
    pub async fn connections(
        &self,
        owned: &Owned,
        filter: ConnectionFilter,
        page: Page,
    ) -> Listed<Connection> {
        let mut select = Select::all()
            .equal(owned.column(), owned.enterprise_id.as_str())
            .equal_if("active", filter.active)
            .named("id", filter.ids)
            .among("name", filter.names)
            .among("partner_id", filter.partner_ids)
            .among("client_id", filter.client_ids)
            .among("partners_client_id", filter.partners_client_ids)
            .among("partners_connection_id", filter.partners_connection_ids);
        if filter.initialized_only {
            select = select.equal("state", "initialized");
        }
        select
            .order("created_at DESC, id")
            .page(page)
            .run(self.reader())
            .await
    }

    /// All clients, the newest first.
    pub async fn all_clients(&self, page: Page) -> Listed<Client> {
        // Identifiers ascend with time.
        let select = Select::all().order("id DESC").page(page);
        select.run(self.reader()).await
    }

    /// The connections of all clients, the newest first.
    pub async fn all_connections(&self, page: Page) -> Listed<Connection> {
        let select = Select::all().order("id DESC").page(page);
        select.run(self.reader()).await
    }

    /// An allocation or deallocation.
    pub async fn allocation(&self, id: AllocationId) -> Found<Allocation> {
        self.by_key(&id).await
    }

    /// Allocations and deallocations of one side, the oldest first unless sorted otherwise.
    pub async fn allocations(
        &self,
        owned: &Owned,
        filter: AllocationFilter,
        page: Page,
    ) -> Listed<Allocation> {
        let kinds = filter.kinds.map(|kinds| {
            let kinds = kinds.into_iter().map(AllocationKind::as_str);
            kinds.collect::<Vec<_>>()
        });
        // What is open and what is finished have indexes of their own.
        let (open, finished) = (
            "state NOT IN ('cleared', 'released')",
            "state IN ('cleared', 'released')",
        );
        let parts = |parts: &[&'static str]| {
            let parts = parts.iter().map(|part| (*part, Vec::new()));
            Select::all().either(parts.collect())
        };
        let select = match filter.states {
            Some(states) if states == ["reserved"] => parts(&[open]),
            Some(states) if !states.contains(&"reserved") => {
                parts(&[finished]).among("state", Some(states))
            }
            states => parts(&[open, finished]).among("state", states),
        };
        // Sorted by currency the others, however many there are, come before or after these.
        let (first, last) = match (filter.sort, &filter.currencies) {
            (Some(AllocationSort::Currency), Some(currencies)) => (
                currencies.iter().min().cloned(),
                currencies.iter().max().cloned(),
            ),
            _ => (None, None),
        };
        let select = match first.zip(last) {
            None => select,
            Some((first, last)) => select.filter(
                "currency >= ? AND currency <= ?",
                vec![first.into(), last.into()],
            ),
        };
        let select = select
            .equal(owned.column(), owned.enterprise_id.as_str())
            .named("id", filter.ids)
            .among("kind", kinds)
            .among("currency", filter.currencies)
            .among("partner_currency", filter.partner_currencies)
            .among("connection_id", filter.connection_ids)
            .among("partner_id", filter.partner_ids)
            .among("client_id", filter.client_ids);
        let select = since(select, "created_at", filter.created_since);
        let mut select = before(select, "created_at", filter.created_before);
        let direction = if filter.descending { "DESC" } else { "ASC" };
        if filter.sort == Some(AllocationSort::Id) {
            select = select.order_of_parts(format!("COALESCE(id, id) {direction}"));
        }
        let order = match filter.sort {
            None if filter.descending => "created_at DESC, id ASC".to_owned(),
            None => "created_at ASC, id ASC".to_owned(),
            Some(AllocationSort::Id) => format!("id {direction}"),
            Some(AllocationSort::UpdatedAt) => {
                format!("updated_at {direction}, created_at ASC, id ASC")
            }
            Some(AllocationSort::Quantity) => {
                format!("amount {direction}, created_at ASC, id ASC")
            }
            Some(AllocationSort::Currency) => {
                format!("currency {direction}, created_at ASC, id ASC")
            }
        };
        select.order(&order).page(page).run(self.reader()).await
    }

    /// All records that still wait for a partner, the oldest first, for the operator.
    pub async fn reserved_allocations(&self, page: Page) -> Listed<Allocation> {
        Select::all()
            .equal("state", "reserved")
            .order("created_at, id")
            .page(page)
            .run(self.reader())
            .await
    }

    /// Since when the oldest of the records that still wait for a partner has been there.
    pub async fn oldest_reservation(&self) -> Found<Timestamp> {
        let sql = "SELECT created_at FROM allocations WHERE state = 'reserved' ORDER BY created_at LIMIT 1";
        let rows = self.reader().query(sql, Vec::new()).await?;
        let first = rows.into_iter().next();
        first.map(|mut row| row.int(0).map(Timestamp)).transpose()
    }

    /// What stands on the accounts of these owners, in all their currencies.
    pub async fn balances(&self, owners: &[Owner]) -> Listed<AccountBalance> {
        let ids_of = |wanted: i64| -> Vec<Uuid> {
            let pairs = owners.iter().map(|owner| match owner {
                Owner::Custody => (0, Uuid::nil()),
                Owner::Go(id) => (1, id.0),
                Owner::Net(id) => (2, id.0),
            });
            let wanted_ones = pairs.filter(|(kind, _)| *kind == wanted);
            wanted_ones.map(|(_, id)| id).collect()
        };
        let mut balances = Vec::new();
        for kind in 0..=2 {
            let ids = ids_of(kind);
            if ids.is_empty() {
                continue;
            }
            let select = Select::all()
                .equal("owner_kind", kind)
                .named("owner", Some(ids));
            let order = "owner, currency";
            balances.extend(select.order(order).run(self.reader()).await?);
        }
        Ok(balances)
    }

    /// A settlement.
    pub async fn settlement(&self, id: SettlementId) -> Found<Settlement> {
        self.by_key(&id).await
    }

    /// Settlements by their identifiers.
    pub async fn settlements_by_id(&self, ids: Vec<SettlementId>) -> Listed<Settlement> {
        let ids = ids.into_iter().map(|id| id.0).collect();
        Select::all()
            .among("id", Some(ids))
            .run(self.reader())
            .await
    }

    /// Settlements that a client takes part in, the newest first.
    pub async fn settlements_of_client(
        &self,
        client: ClientId,
        mut filter: SettlementFilter,
        page: Page,
    ) -> Listed<Settlement> {
        let select = Select::joined("participations CROSS JOIN settlements", "")
            .equal("participations.client_id", client.0)
            .filter(
                "participations.listed AND settlements.id = participations.settlement_id",
                Vec::new(),
            )
            .named("participations.settlement_id", filter.ids.take())
            .order("created_at DESC, id")
            .order_of_parts(
                "participations.created_at DESC, participations.settlement_id".to_owned(),
            );
        let of_party = |select: Select, flag: &str, ids: Option<Vec<Uuid>>| {
            match ids {
            None => select,
            Some(ids) => select.among_in(
                &format!(
                    "(SELECT 1 FROM participations p WHERE p.settlement_id = settlements.id AND p.{flag} AND p.client_id = $1 AND p.connection_id IN (*) LIMIT 1) = 1"
                ),
                Some(ids),
            ),
        }
        };
        let select = of_party(select, "party", filter.party_connection_ids.clone());
        let select = of_party(
            select,
            "counterparty",
            filter.counterparty_connection_ids.clone(),
        );
        let select = match filter.disputed_only {
            true => select.filter(
                "(SELECT 1 FROM participations p WHERE p.settlement_id = settlements.id AND p.disputed AND p.client_id = ? LIMIT 1) = 1",
                vec![client.0.into()],
            ),
            false => select,
        };
        self.settlements(select, filter, page).await
    }

    /// Settlements that a partner has posted, the newest first.
    pub async fn settlements_of_partner(
        &self,
        enterprise: &EnterpriseId,
        filter: SettlementFilter,
        page: Page,
    ) -> Listed<Settlement> {
        let mut select = Select::all()
            .equal("partner_enterprise_id", enterprise.as_str())
            .order("created_at DESC, id");
        let parties = [
            ("party", filter.party_connection_ids.clone()),
            ("counterparty", filter.counterparty_connection_ids.clone()),
        ];
        for (flag, ids) in parties {
            let exists = format!(
                "(SELECT 1 FROM participations p WHERE p.settlement_id = settlements.id AND p.{flag} AND p.connection_id IN (*) LIMIT 1) = 1"
            );
            select = select.among_in(&exists, ids);
        }
        if filter.disputed_only {
            select = select.filter("standing_disputes > 0", Vec::new());
        }
        self.settlements(select, filter, page).await
    }

    async fn settlements(
        &self,
        select: Select,
        filter: SettlementFilter,
        page: Page,
    ) -> Listed<Settlement> {
        let select = select
            .named("id", filter.ids)
            .among("partner_id", filter.partner_ids)
            .among("external_id", filter.external_ids)
            .among("state", filter.states);
        let select = since(select, "settlements.created_at", filter.created_since);
        let select = before(select, "settlements.created_at", filter.created_before);
        let select = since(select, "updated_at", filter.updated_since);
        let select = before(select, "updated_at", filter.updated_before);
        select.page(page).run(self.reader()).await
    }

    /// The parts that a client's connections have in these settlements.
    pub async fn participations(
        &self,
        client: ClientId,
        settlements: Vec<SettlementId>,
    ) -> Listed<Participation> {
        let settlements = settlements.into_iter().map(|id| id.0).collect();
        Select::all()
            .equal("client_id", client.0)
            .among::<Uuid>("settlement_id", Some(settlements))
            .run(self.reader())
            .await
    }

    /// Settlement transfers: those of a client's connections that are part of a settlement, or of
    /// all if no client is given (then the filter has to name settlements of whoever asks). Those
    /// of the newest settlement come first, in their order there, unless sorted otherwise.
    pub async fn transfers(
        &self,
        client: Option<ClientId>,
        mut filter: TransferFilter,
        page: Page,
    ) -> Listed<Transfer> {
        let by_update = match filter.descending {
            true => "updated_at DESC, created_at ASC, id ASC",
            false => "updated_at ASC, created_at ASC, id ASC",
        };
        let mut select = match client {
            Some(client) if filter.by_update && filter.settlement_ids.is_none() => {
                let client = || client.0.into();
                Select::all()
                    .either(vec![
                        ("destination_client_id = ?", vec![client()]),
                        (
                            "source_client_id = ? AND source_connection_id IS NOT NULL
                                AND destination_client_id <> ?",
                            vec![client(), client()],
                        ),
                    ])
                    .filter("settlement_id IS NOT NULL", Vec::new())
                    .order(by_update)
            }
            Some(client) => {
                // One between two connections of the same client is there once.
                let parts = vec![
                    (
                        "participations.party
                            AND destination_connection_id = participations.connection_id",
                        Vec::new(),
                    ),
                    (
                        "participations.counterparty
                            AND source_connection_id = participations.connection_id
                            AND destination_client_id <> participations.client_id",
                        Vec::new(),
                    ),
                ];
                Select::joined(
                    "participations CROSS JOIN settlement_transfers",
                    ", participations.created_at AS listed_at",
                )
                .either(parts)
                .equal("participations.client_id", client.0)
                .filter(
                    "settlement_transfers.settlement_id = participations.settlement_id",
                    Vec::new(),
                )
                .named("participations.settlement_id", filter.settlement_ids.take())
                .order(match filter.by_update {
                    true => by_update,
                    false => "listed_at DESC, settlement_id, position",
                })
                .order_of_parts(
                    "participations.created_at DESC, participations.settlement_id, position"
                        .to_owned(),
                )
            }
            None => Select::all().order(match filter.by_update {
                true => by_update,
                false => "created_at DESC, settlement_id, position",
            }),
        };
        let statuses = filter.statuses.map(|statuses| {
            let statuses = statuses.into_iter().map(TransferStatus::as_str);
            statuses.collect::<Vec<_>>()
        });
        select = select
            .named("settlement_id", filter.settlement_ids)
            .among("partner_id", filter.partner_ids)
            .among("currency", filter.currencies)
            .among("partner_currency", filter.partner_currencies)
            .among("status", statuses)
            .among(
                "source_network_account_id",
                filter.source_network_account_ids,
            )
            .among("source_go_account_id", filter.source_go_account_ids)
            .among(
                "destination_network_account_id",
                filter.destination_network_account_ids,
            )
            .among(
                "destination_go_account_id",
                filter.destination_go_account_ids,
            );
        let of_settlement = |condition: &str| {
            format!(
                "(SELECT 1 FROM settlements s WHERE s.id = settlement_transfers.settlement_id AND s.{condition} LIMIT 1) = 1"
            )
        };
        select = select
            .among_in(&of_settlement("initiated_by IN (*)"), filter.initiated_by)
            .among_in(&of_settlement("state IN (*)"), filter.settlement_states);
        if let Some(at) = filter.settlement_updated_since {
            select = select.filter(&of_settlement("updated_at >= ?"), vec![at.0.into()]);
        }
        if let Some(at) = filter.settlement_updated_before {
            select = select.filter(&of_settlement("updated_at < ?"), vec![at.0.into()]);
        }
        select.page(page).run(self.reader()).await
    }

    /// For whom messages wait, and the real time by which they are due: another server's clock may
    /// be ahead of `now`, our own.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn waiting_partners(&self, now: Timestamp) -> Result<WaitingPartners, StoreError> {
        // From one partner to the next through the index, however many messages each has.
        let sql = "
            WITH RECURSIVE waiting (partner) AS (
                SELECT (SELECT partner_id FROM outbox WHERE call IS NOT NULL
                    ORDER BY partner_id LIMIT 1)
                UNION ALL
                SELECT (SELECT partner_id FROM outbox
                    WHERE call IS NOT NULL AND partner_id > w.partner
                    ORDER BY partner_id LIMIT 1)
                FROM waiting w WHERE w.partner IS NOT NULL
            )
            SELECT w.partner,
                (SELECT due_at FROM outbox WHERE call IS NOT NULL AND partner_id = w.partner
                    ORDER BY due_at, subject LIMIT 1),
                (SELECT time_us - COALESCE(clock_ahead_us, 0) FROM chain_heads WHERE lane = 0)
            FROM waiting w WHERE w.partner IS NOT NULL";
        let rows = self.reader().query(sql, Vec::new()).await?;
        let mut waiting = WaitingPartners {
            time: now,
            partners: Vec::with_capacity(rows.len()),
        };
        for row in rows {
            let mut columns = Columns::from(row);
            let (partner, next_due) = (PartnerId(columns.uuid()?), columns.time()?);
            waiting.partners.push((partner, next_due));
            waiting.time = waiting.time.max(columns.time()?);
        }
        Ok(waiting)
    }

    /// What is due to be said to a partner at `time`, the most urgent first.
    pub async fn due_messages(
        &self,
        partner: PartnerId,
        time: Timestamp,
        at_most: u32,
    ) -> Listed<Message> {
        Select::all()
            .filter(
                "call IS NOT NULL AND partner_id = ? AND due_at <= ?",
                vec![partner.0.into(), time.0.into()],
            )
            .order("due_at, subject")
            .page(Page {
                number: 0,
                size: at_most,
            })
            .run(self.reader())
            .await
    }

    /// How many messages are still to be said; beyond `at_most` they are not counted.
    pub async fn count_messages(&self, at_most: u32) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM (SELECT 1 AS one FROM outbox WHERE call IS NOT NULL LIMIT $1) AS waiting";
        let rows = self
            .reader()
            .query(sql, vec![i64::from(at_most).into()])
            .await?;
        rows.into_iter().next().map_or(Ok(0), |mut row| row.int(0))
    }

    /// What has to be said about one subject.
    pub async fn message(&self, subject: Uuid) -> Found<Message> {
        self.by_key(&subject).await
    }

    /// Messages about these subjects.
    pub async fn messages(&self, subjects: Vec<Uuid>) -> Listed<Message> {
        let select = Select::all().among("subject", Some(subjects));
        select.run(self.reader()).await
    }

    /// Deposits to a Go Account, or to all, the newest first.
    pub async fn deposits(&self, account: Option<GoAccountId>, page: Page) -> Listed<Deposit> {
        let select = Select::all().equal_if("go_account_id", account.map(|id| id.0));
        let select = select.order("created_at DESC, id").page(page);
        select.run(self.reader()).await
    }

    /// Withdrawals from a Go Account, or from all, the newest first.
    pub async fn withdrawals(
        &self,
        account: Option<GoAccountId>,
        page: Page,
    ) -> Listed<Withdrawal> {
        let select = Select::all().equal_if("go_account_id", account.map(|id| id.0));
        let select = select.order("created_at DESC, id").page(page);
        select.run(self.reader()).await
    }
}
