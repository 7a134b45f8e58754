//! Every question that can be asked outside of batches, with every filter and every order.

use ledger::{Account, Balance, NetworkAccountId, Owner, SignedAmount};
use rules::record::{
    AccountBalance, AllocationKind, Participation, Timer, TimerKind, Transfer, TransferStatus,
};
use rules::{
    AllocationId, ClientId, ConnectionId, DisputeClosureId, DisputeId, OnChainDepositId,
    ProposalId, SettlementId, TransferId,
};
use store::{
    ActFilter, AllocationFilter, AllocationSort, ConnectionFilter, DisputeFilter, EventPlace,
    OnChainDepositFilter, Owned, Page, PartnerFilter, Pattern, ProposalFilter, SettlementFilter,
    Side, StatementFilter, Store, TransferFilter,
};
use testkit::TestDatabase;
use uuid::Uuid;

use super::told::{self, Plan};
use crate::fixture::{
    Alpha, Beta, Broker, Exchange, LINKS, Later, Link, Network, START, btc, eth, identifier,
    location, open, put,
};

/// Who asks, and so whose the rows have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// A client's.
    Client,
    /// A partner's.
    Partner,
    /// Those whose identifiers are given.
    Named,
    /// The operator's, so anybody's: in an order that an index has.
    Operator,
    /// Few, for only operators make more of them.
    Few,
}

/// A question and how it is meant to be answered.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) function: &'static str,
    pub(super) case: String,
    pub(super) whose: Whose,
    pub(super) plans: Vec<Plan>,
}

/// A filter of which one member says something, with the name of that member.
macro_rules! only {
    ($filter:ident, $member:ident: $value:expr) => {
        (
            stringify!($member),
            $filter {
                $member: $value,
                ..$filter::default()
            },
        )
    };
}

const PAGE: Page = Page {
    number: 1,
    size: 25,
};

/// A network with some thousand allocations and transfers of each client.
pub(super) async fn with_history(database: TestDatabase) -> Network {
    let network = Network::ready(database).await;
    for who in [Alpha, Beta, Exchange, Later, Broker] {
        for currency in [btc(), eth()] {
            network
                .done(network.deposit(who, &currency, 1_000_000_000))
                .await;
        }
    }
    let (clock, database) = (network.clock, network.database);
    network.store.close().await;
    let pattern = Pattern {
        currencies: vec![btc(), eth()],
        settlement_each: 11,
        transfers: 10,
    };
    let seeded = store::seed(&location(&database.url), &pattern, 20_000).await;
    seeded.expect("a history");
    let store = open(&database.url, &clock).await;
    let network = Network::reopened(store, clock, database);
    for link in LINKS {
        let open = (0..50).map(|_| network.allocate(link, 1));
        network.all_done(open).await;
    }
    for n in 0..40 {
        network.all_done((0..20).map(|k| put(traded(n, k)))).await;
        let transfers = (0..50).map(|position| transfer(n, position));
        network.all_done(transfers.map(put)).await;
    }
    // Many others have accounts too.
    let balances = (0..500).map(|n| AccountBalance {
        account: Account::new(Owner::Net(NetworkAccountId(identifier(98, n))), &btc()),
        balance: Balance::default(),
    });
    network.all_done(balances.map(put)).await;
    for who in [Alpha, Beta, Exchange, Later, Broker] {
        let deposits = (0..50).map(|_| network.deposit(who, &btc(), 10));
        network.all_done(deposits).await;
        let withdrawals = (0..50).map(|_| network.withdraw(who, &btc(), 1));
        network.all_done(withdrawals).await;
    }
    // PostgreSQL does it by itself, SQLite never.
    if network.database.folder().is_none() {
        network.database.execute("ANALYZE").await;
    }
    network
}

/// That Alpha and many others take part in a settlement between clients.
fn traded(n: u64, k: u64) -> Participation {
    let (connection_id, client_id) = match k {
        0 => (Link(Alpha, Broker).connection(), Alpha.client()),
        k => (ConnectionId(identifier(96, k)), ClientId(identifier(95, k))),
    };
    Participation {
        settlement_id: SettlementId(identifier(97, n)),
        connection_id,
        client_id,
        party: false,
        counterparty: true,
        sends: true,
        receives: false,
        disputed: false,
        created_at: START,
        listed: true,
    }
}

/// What it gives there; the last few wait for another settlement.
fn transfer(n: u64, position: u32) -> Transfer {
    let settlement = SettlementId(identifier(97, n));
    Transfer {
        id: TransferId::of(settlement, position),
        partner_id: Broker.partner(),
        settlement_id: (position < 45).then_some(settlement),
        dispute_closure_id: None,
        position: position.into(),
        currency: btc(),
        partner_currency: "BTC".to_owned(),
        amount: SignedAmount::new(1).expect("an amount"),
        source: Link(Alpha, Broker).party(),
        destination: Link(Beta, Broker).party(),
        status: TransferStatus::Pending,
        entry: None,
        created_at: START,
        updated_at: START,
    }
}

/// Asks a question of the store and keeps how it is answered.
macro_rules! ask {
    ($store:ident, $asked:ident, $whose:ident, $case:expr, $function:ident($($argument:expr),*)) => {
        $asked.push(Question {
            function: stringify!($function),
            case: $case.to_string(),
            whose: Whose::$whose,
            plans: told::plans_of($store.$function($($argument),*)).await,
        })
    };
}

fn some<T>(value: T) -> Option<Vec<T>> {
    Some(vec![value])
}

/// One with each filter that there is, and one with none.
fn allocation_filters() -> Vec<(&'static str, AllocationFilter)> {
    let none = AllocationFilter::default;
    // A filter that is new has to be asked for below.
    let AllocationFilter {
        ids: _,
        kinds: _,
        states: _,
        currencies: _,
        partner_currencies: _,
        connection_ids: _,
        partner_ids: _,
        client_ids: _,
        created_since: _,
        created_before: _,
        sort: _,
        descending: _,
    } = none();
    let link = Link(Alpha, Exchange);
    let (since, before) = (Some(START), Some(START.plus_seconds(1_000_000)));
    vec![
        ("none", none()),
        only!(AllocationFilter, ids: some(identifier(10, 1))),
        only!(AllocationFilter, kinds: some(AllocationKind::Allocation)),
        (
            "reserved",
            AllocationFilter {
                states: some("reserved"),
                ..none()
            },
        ),
        (
            "cleared",
            AllocationFilter {
                states: some("cleared"),
                ..none()
            },
        ),
        only!(AllocationFilter, states: Some(vec!["cleared", "reserved"])),
        only!(AllocationFilter, currencies: some(btc().to_string())),
        only!(AllocationFilter, partner_currencies: some("BTC".into())),
        only!(AllocationFilter, connection_ids: some(link.connection().0)),
        only!(AllocationFilter, partner_ids: some(Exchange.partner().0)),
        only!(AllocationFilter, client_ids: some(Alpha.client().0)),
        only!(AllocationFilter, created_since: since),
        only!(AllocationFilter, created_before: before),
    ]
}

fn connection_filters() -> Vec<(&'static str, ConnectionFilter)> {
    let none = ConnectionFilter::default;
    let ConnectionFilter {
        active: _,
        ids: _,
        names: _,
        partner_ids: _,
        client_ids: _,
        partners_client_ids: _,
        partners_connection_ids: _,
        initialized_only: _,
    } = none();
    let link = Link(Alpha, Exchange);
    vec![
        ("none", none()),
        only!(ConnectionFilter, active: Some(true)),
        only!(ConnectionFilter, ids: some(link.connection().0)),
        only!(ConnectionFilter, names: some("name".into())),
        only!(ConnectionFilter, partner_ids: some(Exchange.partner().0)),
        only!(ConnectionFilter, client_ids: some(Alpha.client().0)),
        only!(ConnectionFilter, partners_client_ids: some("it".into())),
        only!(ConnectionFilter, partners_connection_ids: some("it".into())),
        only!(ConnectionFilter, initialized_only: true),
    ]
}

fn settlement_filters() -> Vec<(&'static str, SettlementFilter)> {
    let none = SettlementFilter::default;
    let SettlementFilter {
        ids: _,
        partner_ids: _,
        external_ids: _,
        states: _,
        party_connection_ids: _,
        counterparty_connection_ids: _,
        disputed_only: _,
        created_since: _,
        created_before: _,
        updated_since: _,
        updated_before: _,
    } = none();
    let link = Link(Alpha, Exchange);
    let (since, before) = (Some(START), Some(START.plus_seconds(1_000_000)));
    vec![
        ("none", none()),
        only!(SettlementFilter, ids: some(identifier(15, 1))),
        only!(SettlementFilter, partner_ids: some(Exchange.partner().0)),
        only!(SettlementFilter, external_ids: some("it".into())),
        only!(SettlementFilter, states: some("completed")),
        only!(SettlementFilter, party_connection_ids: some(link.connection().0)),
        only!(SettlementFilter, counterparty_connection_ids: some(link.connection().0)),
        only!(SettlementFilter, disputed_only: true),
        only!(SettlementFilter, created_since: since),
        only!(SettlementFilter, created_before: before),
        only!(SettlementFilter, updated_since: since),
        only!(SettlementFilter, updated_before: before),
    ]
}

fn transfer_filters() -> Vec<(&'static str, TransferFilter)> {
    let none = TransferFilter::default;
    let TransferFilter {
        settlement_ids: _,
        currencies: _,
        partner_currencies: _,
        statuses: _,
        initiated_by: _,
        partner_ids: _,
        settlement_states: _,
        settlement_updated_since: _,
        settlement_updated_before: _,
        source_network_account_ids: _,
        source_go_account_ids: _,
        destination_network_account_ids: _,
        destination_go_account_ids: _,
        by_update: _,
        descending: _,
    } = none();
    let account = Link(Alpha, Exchange).network_account().0;
    let go_account = Alpha.go_account().0;
    let (since, before) = (Some(START), Some(START.plus_seconds(1_000_000)));
    vec![
        ("none", none()),
        only!(TransferFilter, settlement_ids: some(identifier(97, 1))),
        only!(TransferFilter, currencies: some(btc().to_string())),
        only!(TransferFilter, partner_currencies: some("BTC".into())),
        only!(TransferFilter, statuses: some(TransferStatus::Completed)),
        only!(TransferFilter, initiated_by: some(Uuid::nil())),
        only!(TransferFilter, partner_ids: some(Exchange.partner().0)),
        only!(TransferFilter, settlement_states: some("completed")),
        only!(TransferFilter, settlement_updated_since: since),
        only!(TransferFilter, settlement_updated_before: before),
        only!(TransferFilter, source_network_account_ids: some(account)),
        only!(TransferFilter, source_go_account_ids: some(go_account)),
        only!(TransferFilter, destination_network_account_ids: some(account)),
        only!(TransferFilter, destination_go_account_ids: some(go_account)),
    ]
}

fn dispute_filters() -> Vec<(&'static str, DisputeFilter)> {
    let none = DisputeFilter::default;
    let DisputeFilter {
        ids: _,
        settlement_ids: _,
        settled_in_ids: _,
        closure_ids: _,
        connection_ids: _,
        partner_ids: _,
        client_ids: _,
        settlement_external_ids: _,
        settled_in_external_ids: _,
        closed: _,
        retracted: _,
    } = none();
    let id = identifier(15, 1);
    vec![
        ("none", none()),
        only!(DisputeFilter, ids: some(id)),
        only!(DisputeFilter, settlement_ids: some(id)),
        only!(DisputeFilter, settled_in_ids: some(id)),
        only!(DisputeFilter, closure_ids: some(id)),
        only!(DisputeFilter, connection_ids: some(id)),
        only!(DisputeFilter, partner_ids: some(id)),
        only!(DisputeFilter, client_ids: some(id)),
        only!(DisputeFilter, settlement_external_ids: some("it".into())),
        only!(DisputeFilter, settled_in_external_ids: some("it".into())),
        only!(DisputeFilter, closed: Some(true)),
        (
            "open",
            DisputeFilter {
                closed: Some(false),
                ..none()
            },
        ),
        only!(DisputeFilter, retracted: Some(true)),
    ]
}

fn partner_filters() -> Vec<(&'static str, PartnerFilter)> {
    let none = PartnerFilter::default;
    let PartnerFilter {
        ids: _,
        names: _,
        institution_ids: _,
        institution_identifiers: _,
        enterprise_id: _,
        active: _,
        trust_org: _,
        allocation_policies_enabled: _,
    } = none();
    vec![
        ("none", none()),
        only!(PartnerFilter, ids: some(Exchange.partner().0)),
        only!(PartnerFilter, names: some("it".into())),
        only!(PartnerFilter, institution_ids: some(Uuid::nil())),
        only!(PartnerFilter, institution_identifiers: some("it".into())),
        only!(PartnerFilter, enterprise_id: Some(Exchange.enterprise())),
        only!(PartnerFilter, active: Some(true)),
        only!(PartnerFilter, trust_org: Some("it".into())),
        only!(PartnerFilter, allocation_policies_enabled: Some(true)),
    ]
}

fn act_filters() -> Vec<(&'static str, ActFilter)> {
    let none = ActFilter::default;
    let ActFilter {
        act: _,
        subject: _,
        user_id: _,
        from: _,
        before: _,
    } = none();
    vec![
        ("none", none()),
        only!(ActFilter, act: Some("it".into())),
        only!(ActFilter, subject: Some("it".into())),
        only!(ActFilter, user_id: Some(Alpha.user())),
        only!(ActFilter, from: Some(START)),
        only!(ActFilter, before: Some(START.plus_seconds(1_000_000))),
    ]
}

/// Asks everything.
pub(super) async fn all(store: &Store) -> Vec<Question> {
    let mut asked = lists(store).await;
    asked.extend(named(store).await);
    asked.extend(of_operators(store).await);
    asked
}

/// What clients and partners ask for page by page.
async fn lists(store: &Store) -> Vec<Question> {
    let mut asked = Vec::new();
    let client = Owned {
        enterprise_id: Alpha.enterprise(),
        side: Side::Client,
    };
    let partner = Owned {
        enterprise_id: Exchange.enterprise(),
        side: Side::Partner,
    };
    let sorts = [
        None,
        Some(AllocationSort::Id),
        Some(AllocationSort::UpdatedAt),
        Some(AllocationSort::Quantity),
        Some(AllocationSort::Currency),
    ];
    for (name, filter) in allocation_filters() {
        for (sort, descending) in sorts
            .into_iter()
            .flat_map(|sort| [(sort, false), (sort, true)])
        {
            let filter = || AllocationFilter {
                sort,
                descending,
                ..filter.clone()
            };
            let case = format!("{name}, by {sort:?}, descending: {descending}");
            ask!(
                store,
                asked,
                Client,
                case,
                allocations(&client, filter(), PAGE)
            );
            // Partners do not sort by currency.
            if sort != Some(AllocationSort::Currency) {
                ask!(
                    store,
                    asked,
                    Partner,
                    case,
                    allocations(&partner, filter(), PAGE)
                );
            }
        }
    }
    for (name, filter) in connection_filters() {
        ask!(
            store,
            asked,
            Client,
            name,
            connections(&client, filter.clone(), PAGE)
        );
        ask!(
            store,
            asked,
            Partner,
            name,
            connections(&partner, filter, PAGE)
        );
    }
    for (name, filter) in settlement_filters() {
        ask!(
            store,
            asked,
            Client,
            name,
            settlements_of_client(Alpha.client(), filter.clone(), PAGE)
        );
        ask!(
            store,
            asked,
            Partner,
            name,
            settlements_of_partner(&Exchange.enterprise(), filter, PAGE)
        );
    }
    for (name, filter) in transfer_filters() {
        for (by_update, descending) in [(false, false), (true, false), (true, true)] {
            let filter = TransferFilter {
                by_update,
                descending,
                ..filter.clone()
            };
            let case = format!("{name}, by update: {by_update}, descending: {descending}");
            ask!(
                store,
                asked,
                Client,
                case,
                transfers(Some(Alpha.client()), filter.clone(), PAGE)
            );
            let of_one = TransferFilter {
                settlement_ids: some(identifier(15, 1)),
                ..filter
            };
            ask!(store, asked, Partner, case, transfers(None, of_one, PAGE));
        }
    }
    for (name, filter) in dispute_filters() {
        ask!(
            store,
            asked,
            Client,
            name,
            disputes(&client, filter.clone(), PAGE)
        );
        ask!(
            store,
            asked,
            Partner,
            name,
            disputes(&partner, filter, PAGE)
        );
    }
    for (name, filter) in partner_filters() {
        ask!(store, asked, Few, name, partners(filter, PAGE));
    }
    let parts = vec![
        SettlementId(identifier(15, 1)),
        SettlementId(identifier(15, 2)),
    ];
    ask!(
        store,
        asked,
        Client,
        "",
        participations(Alpha.client(), parts)
    );
    let account = Some(Alpha.go_account());
    ask!(store, asked, Client, "", deposits(account, PAGE));
    ask!(store, asked, Client, "", withdrawals(account, PAGE));
    let owners = LINKS.map(|link| Owner::Net(link.network_account()));
    ask!(store, asked, Client, "", balances(&owners));
    let place = EventPlace::default();
    ask!(
        store,
        asked,
        Client,
        "",
        events(&Alpha.enterprise(), Some(Alpha.client()), place, 100)
    );
    for currency in [None, Some(btc())] {
        let filter = StatementFilter {
            currency,
            since: Some(START),
            before: Some(START.plus_seconds(1_000_000)),
            after: None,
            limit: 100,
        };
        ask!(
            store,
            asked,
            Client,
            "",
            statement(Owner::Go(Alpha.go_account()), &filter)
        );
    }
    asked
}

/// What is looked up by identifiers that whoever asks has been given.
async fn named(store: &Store) -> Vec<Question> {
    let mut asked = Vec::new();
    let id = identifier(15, 1);
    let settlement = SettlementId(id);
    let link = Link(Alpha, Exchange);
    ask!(store, asked, Named, "", principal([0; 32]));
    ask!(store, asked, Named, "", enterprise(&Alpha.enterprise()));
    ask!(
        store,
        asked,
        Named,
        "",
        membership(Alpha.user(), &Alpha.enterprise())
    );
    ask!(store, asked, Named, "", enterprises_of(Alpha.user()));
    ask!(store, asked, Few, "", access_tokens(Some(Alpha.user())));
    ask!(store, asked, Named, "", go_account(Alpha.go_account()));
    ask!(
        store,
        asked,
        Named,
        "",
        go_accounts(Some(&Alpha.enterprise()))
    );
    ask!(
        store,
        asked,
        Named,
        "",
        signing_keys(Some(Alpha.go_account()))
    );
    ask!(store, asked, Named, "", currency(&btc()));
    ask!(
        store,
        asked,
        Named,
        "",
        configuration(&Exchange.enterprise(), "exchange")
    );
    ask!(store, asked, Named, "", client_of(&Alpha.enterprise()));
    ask!(
        store,
        asked,
        Named,
        "",
        clients(vec![Alpha.client(), Beta.client()])
    );
    ask!(store, asked, Named, "", partner(Exchange.partner()));
    ask!(store, asked, Named, "", connection(link.connection()));
    ask!(
        store,
        asked,
        Named,
        "",
        connections_by_id(vec![link.connection()])
    );
    ask!(store, asked, Named, "", allocation(AllocationId(id)));
    ask!(store, asked, Named, "", settlement(settlement));
    ask!(store, asked, Named, "", settlements_by_id(vec![settlement]));
    ask!(
        store,
        asked,
        Named,
        "",
        participation(settlement, link.connection())
    );
    ask!(store, asked, Named, "", transfers_of(settlement));
    ask!(store, asked, Named, "", known_transfers_of(settlement));
    ask!(
        store,
        asked,
        Named,
        "",
        posted_transfers(settlement, link.connection())
    );
    ask!(store, asked, Named, "", message(id));
    ask!(store, asked, Named, "", messages(vec![id]));
    ask!(
        store,
        asked,
        Named,
        "",
        due_messages(Exchange.partner(), START, 10)
    );
    ask!(
        store,
        asked,
        Named,
        "",
        waiting_transfers(Exchange.partner(), 10)
    );
    ask!(store, asked, Named, "", dispute(DisputeId(id)));
    ask!(
        store,
        asked,
        Named,
        "",
        dispute_closure(DisputeClosureId(id))
    );
    ask!(
        store,
        asked,
        Named,
        "",
        dispute_closures(vec![DisputeClosureId(id)])
    );
    ask!(store, asked, Named, "", disputes_settled_in(settlement));
    ask!(store, asked, Named, "", disputes_of_settlement(settlement));
    ask!(
        store,
        asked,
        Named,
        "",
        transfers_of_closures(vec![DisputeClosureId(id)])
    );
    ask!(store, asked, Named, "", on_chain(vec![settlement]));
    ask!(store, asked, Named, "", on_chain_legs(vec![settlement]));
    ask!(
        store,
        asked,
        Named,
        "",
        on_chain_deposit(OnChainDepositId(id))
    );
    ask!(
        store,
        asked,
        Named,
        "",
        on_chain_deposit_for(&Exchange.enterprise(), "it")
    );
    ask!(store, asked, Named, "", proposal(ProposalId(id)));
    asked
}

/// What operators and the network itself ask for.
async fn of_operators(store: &Store) -> Vec<Question> {
    let mut asked = Vec::new();
    ask!(store, asked, Few, "", token_uses());
    ask!(store, asked, Few, "", enterprises());
    ask!(store, asked, Few, "", users());
    ask!(store, asked, Few, "", memberships());
    ask!(store, asked, Few, "", access_tokens(None));
    ask!(store, asked, Few, "", go_accounts(None));
    ask!(store, asked, Few, "", signing_keys(None));
    ask!(store, asked, Few, "", currencies());
    ask!(store, asked, Few, "", configurations());
    ask!(store, asked, Few, "", approval_policy());
    ask!(store, asked, Operator, "", all_clients(PAGE));
    ask!(store, asked, Operator, "", all_connections(PAGE));
    ask!(store, asked, Operator, "", reserved_allocations(PAGE));
    ask!(store, asked, Operator, "", oldest_reservation());
    ask!(store, asked, Operator, "all", deposits(None, PAGE));
    ask!(store, asked, Operator, "all", withdrawals(None, PAGE));
    ask!(store, asked, Operator, "", open_disputes(PAGE));
    ask!(store, asked, Operator, "", waiting_closures(PAGE));
    ask!(store, asked, Operator, "", all_waiting_transfers(PAGE));
    ask!(store, asked, Operator, "", open_on_chain(PAGE));
    ask!(store, asked, Operator, "", waiting_partners(START));
    ask!(store, asked, Operator, "", count_messages(1_000));
    ask!(store, asked, Operator, "", funded_settlements(10));
    let seen = [None, Some(true), Some(false)];
    for (settlement_id, seen) in [None, Some(SettlementId(identifier(15, 1)))]
        .into_iter()
        .flat_map(|id| seen.map(|seen| (id, seen)))
    {
        let filter = OnChainDepositFilter {
            settlement_id,
            seen,
        };
        let case = format!("of one: {}, seen: {seen:?}", settlement_id.is_some());
        ask!(
            store,
            asked,
            Operator,
            case,
            on_chain_deposits(filter, PAGE)
        );
    }
    for (name, filter) in act_filters() {
        ask!(store, asked, Operator, name, operator_acts(filter, PAGE));
    }
    for filter in [
        ProposalFilter::All,
        ProposalFilter::Open,
        ProposalFilter::Expired,
        ProposalFilter::Approved,
        ProposalFilter::Rejected,
    ] {
        ask!(
            store,
            asked,
            Operator,
            format!("{filter:?}"),
            proposals(filter, START, PAGE)
        );
    }
    let timer = Timer {
        kind: TimerKind::SettlementWindow,
        subject: Uuid::nil(),
        due_at: Some(START),
    };
    for after in [None, Some(&timer)] {
        ask!(store, asked, Operator, "", timers(after, 10));
    }
    asked
}
