//! Lists: what a filter lets through, in which order, page by page.
//!
//! The records are put with every combination that matters; what a list has to answer is worked
//! out in plain Rust from all of them.

mod settlements;

use std::cmp::Reverse;
use std::fmt::Debug;

use ledger::Timestamp;
use rules::record::{
    Allocation, AllocationKind, AllocationState, Answering, Connection, ConnectionState, KeySchema,
    Partner, SettlementForm, Suspended,
};
use rules::{AllocationId, ConnectionId, PartnerId, Reason};
use store::{
    ActFilter, AllocationFilter, AllocationSort, ConnectionFilter, Owned, Page, PartnerFilter,
    SettlementFilter, Side, TransferFilter,
};
use testkit::TestDatabase;
use uuid::Uuid;

use crate::fixture::{
    ALL, Alpha, Beta, Broker, Exchange, LINKS, Later, Link, Network, START, Who, amount, btc, eth,
    identifier, index, pair_line, party_line, put,
};

on_both! {
    partners_by_every_filter
    connections_by_every_filter
    many_connections_by_their_identifiers
    allocations_by_every_filter
    allocations_in_every_order
    an_empty_list_of_values_lets_nothing_through
}

type Test<T> = Box<dyn Fn(&T) -> bool>;

/// Where in a list a record stands.
type Place = (Reverse<i64>, Uuid);

/// The time `seconds` after the start.
fn at(seconds: i64) -> Timestamp {
    START.plus_seconds(seconds)
}

/// Reads a whole list in pages of this size.
async fn paged<T, F>(size: u32, list: impl Fn(Page) -> F) -> Vec<T>
where
    F: Future<Output = Result<Vec<T>, store::StoreError>>,
{
    let mut all = Vec::new();
    for number in 0.. {
        let page = list(Page { number, size }).await.expect("a list");
        assert!(page.len() <= size as usize);
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    all
}

/// Checks that a list holds exactly `expected`, whole and in pages.
async fn is_list<T, F>(case: &str, expected: &[&T], list: impl Fn(Page) -> F)
where
    T: Debug + PartialEq,
    F: Future<Output = Result<Vec<T>, store::StoreError>>,
{
    let whole = list(ALL).await.expect("a list");
    assert_eq!(whole.iter().collect::<Vec<_>>(), expected, "{case}");
    for size in [1, 7] {
        let pages = paged(size, &list).await;
        assert_eq!(
            pages.iter().collect::<Vec<_>>(),
            expected,
            "{case} in pages of {size}"
        );
    }
    let beyond = Page {
        number: u64::MAX,
        size: u32::MAX,
    };
    assert_eq!(list(beyond).await.expect("a list").len(), 0, "{case}");
}

/// Those that pass, sorted. A case in which all or none pass would say little.
fn passing<'a, T, K: Ord>(
    case: &str,
    records: &'a [T],
    test: impl Fn(&T) -> bool,
    place: impl Fn(&T) -> K,
) -> Vec<&'a T> {
    let mut passing: Vec<&T> = records.iter().filter(|record| test(record)).collect();
    assert!(!passing.is_empty(), "nothing passes {case}");
    assert!(
        case == "all" || passing.len() < records.len(),
        "everything passes {case}"
    );
    passing.sort_by_key(|record| place(record));
    passing
}

async fn partners_by_every_filter(database: TestDatabase) {
    let network = Network::bare(database).await;
    let partners: Vec<Partner> = (0..24)
        .map(|n: u64| Partner {
            // Scattered, so that the order of identifiers is not that of their making.
            id: PartnerId(identifier(5, n * 37 % 101)),
            enterprise_id: if n.is_multiple_of(3) {
                Exchange
            } else {
                Broker
            }
            .enterprise(),
            client_id: Exchange.client(),
            go_account_id: Exchange.go_account(),
            trust_org: ["Tidelock Trust", "Other, Inc."][index(n / 3 % 2)].to_owned(),
            institution_id: (!n.is_multiple_of(4)).then(|| identifier(9, n % 4)),
            institution_identifier: format!("institution {n}"),
            name: format!("Name, {}", n % 5),
            key_schema: KeySchema::Token,
            broker: false,
            active: n.is_multiple_of(2),
            stable: false,
            dispute_window_minutes: None,
            top_up_window_minutes: None,
            allocation_policies_enabled: n.is_multiple_of(7),
            created_at: at(n as i64 / 5),
            updated_at: at(0),
        })
        .collect();
    network.all_done(partners.iter().cloned().map(put)).await;

    let ids: Vec<Uuid> = [3, 5, 8].map(|n: usize| partners[n].id.0).to_vec();
    let institutions = vec![identifier(9, 1), identifier(9, 3), Uuid::nil()];
    let names = vec![
        "Name, 1".to_owned(),
        "Name, 2".to_owned(),
        "name, 3".to_owned(),
    ];
    let identifiers = vec!["institution 4".to_owned(), "institution 9".to_owned()];
    let filter = PartnerFilter::default;
    let cases: Vec<(&str, PartnerFilter, Test<Partner>)> = vec![
        ("all", filter(), Box::new(|_| true)),
        (
            "ids",
            PartnerFilter {
                ids: Some(ids.clone()),
                ..filter()
            },
            Box::new(move |p| ids.contains(&p.id.0)),
        ),
        (
            "names",
            PartnerFilter {
                names: Some(names.clone()),
                ..filter()
            },
            Box::new(move |p| names.contains(&p.name)),
        ),
        (
            "institution_ids",
            PartnerFilter {
                institution_ids: Some(institutions.clone()),
                ..filter()
            },
            Box::new(move |p| {
                p.institution_id
                    .is_some_and(|id| institutions.contains(&id))
            }),
        ),
        (
            "institution_identifiers",
            PartnerFilter {
                institution_identifiers: Some(identifiers.clone()),
                ..filter()
            },
            Box::new(move |p| identifiers.contains(&p.institution_identifier)),
        ),
        (
            "enterprise_id",
            PartnerFilter {
                enterprise_id: Some(Exchange.enterprise()),
                ..filter()
            },
            Box::new(|p| p.enterprise_id == Exchange.enterprise()),
        ),
        (
            "active",
            PartnerFilter {
                active: Some(true),
                ..filter()
            },
            Box::new(|p| p.active),
        ),
        (
            "inactive",
            PartnerFilter {
                active: Some(false),
                ..filter()
            },
            Box::new(|p| !p.active),
        ),
        (
            "trust_org",
            PartnerFilter {
                trust_org: Some("Other, Inc.".to_owned()),
                ..filter()
            },
            Box::new(|p| p.trust_org == "Other, Inc."),
        ),
        (
            "allocation_policies_enabled",
            PartnerFilter {
                allocation_policies_enabled: Some(true),
                ..filter()
            },
            Box::new(|p| p.allocation_policies_enabled),
        ),
        (
            "several together",
            PartnerFilter {
                active: Some(true),
                enterprise_id: Some(Broker.enterprise()),
                allocation_policies_enabled: Some(false),
                ..filter()
            },
            Box::new(|p| {
                p.active && p.enterprise_id == Broker.enterprise() && !p.allocation_policies_enabled
            }),
        ),
    ];
    for (case, filter, test) in cases {
        let newest_first = |p: &Partner| -> Place { (Reverse(p.created_at.0), p.id.0) };
        let expected = passing(case, &partners, test, newest_first);
        is_list(case, &expected, |page| {
            network.store.partners(filter.clone(), page)
        })
        .await;
    }
}

fn connection_states(n: u64) -> ConnectionState {
    match n % 3 {
        0 => ConnectionState::Created {
            sealed_key: vec![1],
        },
        1 => ConnectionState::Initialized {
            partners_connection_id: format!("theirs, {}", n % 4),
            partners_client_id: format!("client {}", n % 5),
        },
        _ => ConnectionState::Rejected {
            reason: Reason::new("no", "no"),
        },
    }
}

async fn connections_by_every_filter(database: TestDatabase) {
    let network = Network::bare(database).await;
    let connections: Vec<Connection> = (0..40)
        .map(|n: u64| {
            let Link(client, partner) = LINKS[index(n % 5)];
            Connection {
                id: ConnectionId(identifier(7, n * 37 % 101)),
                name: format!("name {}", n % 6),
                client_id: client.client(),
                client_enterprise_id: client.enterprise(),
                go_account_id: client.go_account(),
                partner_id: partner.partner(),
                partner_enterprise_id: partner.enterprise(),
                suspended: n.is_multiple_of(5).then_some(Suspended {
                    wanted_active: n.is_multiple_of(2),
                }),
                network_account_id: ledger::NetworkAccountId(identifier(8, n)),
                active: !n.is_multiple_of(4),
                nonce: format!("nonce {n}"),
                signed_request: Uuid::nil(),
                proof: String::new(),
                state: connection_states(n),
                created_at: at(n as i64 / 9),
                updated_at: at(0),
            }
        })
        .collect();
    network.all_done(connections.iter().cloned().map(put)).await;

    let ids: Vec<Uuid> = (0..12).map(|n: usize| connections[n].id.0).collect();
    let filter = ConnectionFilter::default;
    let cases: Vec<(&str, ConnectionFilter, Test<Connection>)> = vec![
        ("all of one side", filter(), Box::new(|_| true)),
        (
            "active",
            ConnectionFilter {
                active: Some(true),
                ..filter()
            },
            Box::new(|c| c.active),
        ),
        (
            "inactive",
            ConnectionFilter {
                active: Some(false),
                ..filter()
            },
            Box::new(|c| !c.active),
        ),
        (
            "ids",
            ConnectionFilter {
                ids: Some(ids.clone()),
                ..filter()
            },
            Box::new(move |c| ids.contains(&c.id.0)),
        ),
        (
            "names",
            ConnectionFilter {
                names: Some(vec!["name 1".into(), "name 5".into()]),
                ..filter()
            },
            Box::new(|c| ["name 1", "name 5"].contains(&c.name.as_str())),
        ),
        (
            "partner_ids",
            ConnectionFilter {
                partner_ids: Some([Exchange, Broker].map(|w| w.partner().0).to_vec()),
                ..filter()
            },
            Box::new(|c| [Exchange, Broker].map(Who::partner).contains(&c.partner_id)),
        ),
        (
            "client_ids",
            ConnectionFilter {
                client_ids: Some(vec![Alpha.client().0]),
                ..filter()
            },
            Box::new(|c| c.client_id == Alpha.client()),
        ),
        (
            "partners_client_ids",
            ConnectionFilter {
                partners_client_ids: Some(vec!["client 0".into(), "client 1".into()]),
                ..filter()
            },
            Box::new(|c| {
                c.partners_ids()
                    .is_some_and(|(_, id)| ["client 0", "client 1"].contains(&id))
            }),
        ),
        (
            "partners_connection_ids",
            ConnectionFilter {
                partners_connection_ids: Some(vec!["theirs, 2".into(), "theirs, 3".into()]),
                ..filter()
            },
            Box::new(|c| {
                c.partners_ids()
                    .is_some_and(|(id, _)| ["theirs, 2", "theirs, 3"].contains(&id))
            }),
        ),
        (
            "initialized_only",
            ConnectionFilter {
                initialized_only: true,
                ..filter()
            },
            Box::new(|c| c.partners_ids().is_some()),
        ),
    ];
    for (case, filter, test) in cases {
        for (who, side) in [(Alpha, Side::Client), (Exchange, Side::Partner)] {
            let owned = Owned {
                enterprise_id: who.enterprise(),
                side,
            };
            let own = |c: &Connection| match side {
                Side::Client => c.client_enterprise_id == who.enterprise(),
                Side::Partner => c.partner_enterprise_id == who.enterprise(),
            };
            let newest_first = |c: &Connection| -> Place { (Reverse(c.created_at.0), c.id.0) };
            let expected = passing(case, &connections, |c| own(c) && test(c), newest_first);
            is_list(case, &expected, |page| {
                network.store.connections(&owned, filter.clone(), page)
            })
            .await;
        }
    }
}

async fn many_connections_by_their_identifiers(database: TestDatabase) {
    let network = Network::ready(database).await;
    let known = LINKS.map(Link::connection);
    let mut ids: Vec<ConnectionId> = (0..50_000)
        .map(|n| ConnectionId(identifier(99, n)))
        .collect();
    for (place, id) in (0..).step_by(11_000).zip(known) {
        ids.insert(place, id);
    }
    let found = network.store.connections_by_id(ids).await.expect("a list");
    let mut found: Vec<_> = found.iter().map(|connection| connection.id).collect();
    found.sort();
    let mut known = known.to_vec();
    known.sort();
    assert_eq!(found, known);
}

/// Allocations of all links, kinds and states; every amount, currency and time several times.
async fn with_allocations(database: TestDatabase) -> (Network, Vec<Allocation>) {
    let network = Network::bare(database).await;
    let reason = || Reason::new("why", "because");
    let amounts = [1, 10, 9, ledger::Amount::MAX.units(), 2, 255, 256];
    let allocations: Vec<Allocation> = (0..80)
        .map(|n: u64| {
            let link = LINKS[index(n % 5)];
            let Link(client, partner) = link;
            Allocation {
                id: AllocationId(identifier(10, n * 37 % 101)),
                kind: if n % 4 < 2 {
                    AllocationKind::Allocation
                } else {
                    AllocationKind::Deallocation
                },
                connection_id: link.connection(),
                client_id: client.client(),
                client_enterprise_id: client.enterprise(),
                partner_id: partner.partner(),
                partner_enterprise_id: partner.enterprise(),
                go_account_id: client.go_account(),
                network_account_id: link.network_account(),
                currency: ["ofcbtc", "ofceth", "OFCBTC"][index(n / 2 % 3)]
                    .parse()
                    .expect("a ticker"),
                partner_currency: ["BTC", "ETH", "xbt"][index(n / 3 % 3)].to_owned(),
                amount: amount(amounts[index(n % 7)]),
                client_external_id: format!("request {n}"),
                partner_external_id: None,
                notes: None,
                initiated_by: client.user(),
                signed_request: Uuid::nil(),
                answering: Answering::Synchronous,
                state: match n / 2 % 3 {
                    0 => AllocationState::Reserved {
                        retriable: false,
                        reason: reason(),
                    },
                    1 => AllocationState::Cleared,
                    _ => AllocationState::Released { reason: reason() },
                },
                created_at: at(n as i64 / 7),
                updated_at: at(20 + n as i64 * 5 % 11),
            }
        })
        .collect();
    network.all_done(allocations.iter().cloned().map(put)).await;
    (network, allocations)
}

fn owns(owned: &Owned, allocation: &Allocation) -> bool {
    match owned.side {
        Side::Client => allocation.client_enterprise_id == owned.enterprise_id,
        Side::Partner => allocation.partner_enterprise_id == owned.enterprise_id,
    }
}

async fn allocations_by_every_filter(database: TestDatabase) {
    let (network, allocations) = with_allocations(database).await;
    let ids: Vec<Uuid> = (0..20).map(|n: usize| allocations[n].id.0).collect();
    let connections = [Link(Alpha, Exchange), Link(Beta, Exchange)].map(Link::connection);
    let filter = AllocationFilter::default;
    let cases: Vec<(&str, AllocationFilter, Test<Allocation>)> = vec![
        ("all of one side", filter(), Box::new(|_| true)),
        (
            "ids",
            AllocationFilter {
                ids: Some(ids.clone()),
                ..filter()
            },
            Box::new(move |a| ids.contains(&a.id.0)),
        ),
        (
            "kinds",
            AllocationFilter {
                kinds: Some(vec![AllocationKind::Deallocation]),
                ..filter()
            },
            Box::new(|a| a.kind == AllocationKind::Deallocation),
        ),
        (
            "states",
            AllocationFilter {
                states: Some(vec!["reserved", "released"]),
                ..filter()
            },
            Box::new(|a| a.state != AllocationState::Cleared),
        ),
        (
            "currencies",
            AllocationFilter {
                currencies: Some(vec!["ofcbtc".into(), "x".into()]),
                ..filter()
            },
            Box::new(|a| a.currency == btc()),
        ),
        (
            "partner_currencies",
            AllocationFilter {
                partner_currencies: Some(vec!["xbt".into(), "ETH".into()]),
                ..filter()
            },
            Box::new(|a| a.partner_currency != "BTC"),
        ),
        (
            "connection_ids",
            AllocationFilter {
                connection_ids: Some(connections.map(|c| c.0).to_vec()),
                ..filter()
            },
            Box::new(move |a| connections.contains(&a.connection_id)),
        ),
        (
            "partner_ids",
            AllocationFilter {
                partner_ids: Some(vec![Exchange.partner().0]),
                ..filter()
            },
            Box::new(|a| a.partner_id == Exchange.partner()),
        ),
        (
            "client_ids",
            AllocationFilter {
                client_ids: Some(vec![Alpha.client().0]),
                ..filter()
            },
            Box::new(|a| a.client_id == Alpha.client()),
        ),
        (
            "created_since",
            AllocationFilter {
                created_since: Some(at(5)),
                ..filter()
            },
            Box::new(|a| a.created_at >= at(5)),
        ),
        (
            "created_before",
            AllocationFilter {
                created_before: Some(at(5)),
                ..filter()
            },
            Box::new(|a| a.created_at < at(5)),
        ),
        (
            "several together",
            AllocationFilter {
                kinds: Some(vec![AllocationKind::Allocation]),
                states: Some(vec!["cleared"]),
                created_since: Some(at(2)),
                created_before: Some(at(9)),
                ..filter()
            },
            Box::new(|a| {
                a.kind == AllocationKind::Allocation
                    && a.state == AllocationState::Cleared
                    && (at(2)..at(9)).contains(&a.created_at)
            }),
        ),
    ];
    for (case, filter, test) in cases {
        for (who, side) in [(Alpha, Side::Client), (Exchange, Side::Partner)] {
            let owned = Owned {
                enterprise_id: who.enterprise(),
                side,
            };
            let pass = |a: &Allocation| owns(&owned, a) && test(a);
            let expected = passing(case, &allocations, pass, |a| (a.created_at, a.id));
            is_list(case, &expected, |page| {
                network.store.allocations(&owned, filter.clone(), page)
            })
            .await;
        }
    }
    let expected = passing("reserved", &allocations, Allocation::is_reserved, |a| {
        (a.created_at, a.id)
    });
    is_list("reserved", &expected, |page| {
        network.store.reserved_allocations(page)
    })
    .await;
}

async fn allocations_in_every_order(database: TestDatabase) {
    let (network, allocations) = with_allocations(database).await;
    let owned = Owned {
        enterprise_id: Alpha.enterprise(),
        side: Side::Client,
    };
    let own: Vec<&Allocation> = allocations.iter().filter(|a| owns(&owned, a)).collect();
    let some = vec!["ofcbtc".to_owned(), "OFCBTC".to_owned()];
    for sort in [
        None,
        Some(AllocationSort::Id),
        Some(AllocationSort::UpdatedAt),
        Some(AllocationSort::Quantity),
        Some(AllocationSort::Currency),
    ] {
        for (descending, currencies) in [
            (false, None),
            (true, None),
            (false, Some(some.clone())),
            (true, Some(some.clone())),
        ] {
            let mut expected = own.clone();
            expected.retain(|a| match &currencies {
                None => true,
                Some(wanted) => wanted.iter().any(|wanted| wanted == a.currency.as_str()),
            });
            // Ties stay in the order of age, then of identifiers, whichever way it goes.
            expected.sort_by(|a, b| {
                let first = match sort {
                    None => a.created_at.cmp(&b.created_at),
                    Some(AllocationSort::Id) => a.id.cmp(&b.id),
                    Some(AllocationSort::UpdatedAt) => a.updated_at.cmp(&b.updated_at),
                    Some(AllocationSort::Quantity) => a.amount.cmp(&b.amount),
                    Some(AllocationSort::Currency) => a.currency.cmp(&b.currency),
                };
                let first = if descending { first.reverse() } else { first };
                first.then((a.created_at, a.id).cmp(&(b.created_at, b.id)))
            });
            let filter = AllocationFilter {
                sort,
                descending,
                currencies,
                ..AllocationFilter::default()
            };
            let case = format!(
                "{sort:?}, descending: {descending}, {:?}",
                filter.currencies
            );
            is_list(&case, &expected, |page| {
                network.store.allocations(&owned, filter.clone(), page)
            })
            .await;
        }
    }
}

async fn an_empty_list_of_values_lets_nothing_through(database: TestDatabase) {
    let network = Network::ready(database).await;
    let filter = PartnerFilter {
        ids: Some(Vec::new()),
        ..PartnerFilter::default()
    };
    assert_eq!(
        network.store.partners(filter, ALL).await.expect("a list"),
        []
    );
    let filter = SettlementFilter {
        party_connection_ids: Some(Vec::new()),
        ..SettlementFilter::default()
    };
    let found = network
        .store
        .settlements_of_client(Alpha.client(), filter, ALL)
        .await;
    assert_eq!(found.expect("a list"), []);
    let filter = TransferFilter {
        settlement_states: Some(Vec::new()),
        ..TransferFilter::default()
    };
    assert_eq!(
        network
            .store
            .transfers(None, filter, ALL)
            .await
            .expect("a list"),
        []
    );
}

/// Everything that a small network lists, after commands of every sort.
async fn everything_listed(database: TestDatabase) -> String {
    let network = Network::ready(database).await;
    let store = &network.store;
    for link in LINKS {
        network.clock.pass_seconds(1);
        network.funded(link, &btc(), 1_000).await;
        network.funded(link, &eth(), 1_000).await;
        network.done(network.deposit(link.0, &btc(), 100)).await;
        network.done(network.allocate(link, 70)).await;
        let second = network.done(network.deallocate(link, 7)).await;
        network.done(network.release(second.allocation.id)).await;
        network.done(network.allocate(link, 70)).await;
        network.done(network.withdraw(link.0, &btc(), 5)).await;
    }
    let lines = vec![pair_line(
        Link(Alpha, Broker),
        Link(Beta, Broker),
        &eth(),
        9,
    )];
    network
        .done(network.settle(Broker, SettlementForm::Pair, lines))
        .await;
    let lines = vec![party_line(Link(Alpha, Later), &btc(), -9)];
    network
        .done(network.settle(Later, SettlementForm::Party, lines))
        .await;
    network.is_sound().await;

    let alpha = Owned {
        enterprise_id: Alpha.enterprise(),
        side: Side::Client,
    };
    let broker = Owned {
        enterprise_id: Broker.enterprise(),
        side: Side::Partner,
    };
    let owners = LINKS.map(|link| ledger::Owner::Net(link.network_account()));
    let mut told = String::new();
    let mut tell = |list: &dyn Debug| told.push_str(&format!("{list:#?}\n"));
    tell(
        &store
            .partners(PartnerFilter::default(), ALL)
            .await
            .expect("a list"),
    );
    for owned in [&alpha, &broker] {
        let connections = store
            .connections(owned, ConnectionFilter::default(), ALL)
            .await;
        tell(&connections.expect("a list"));
        let allocations = store
            .allocations(owned, AllocationFilter::default(), ALL)
            .await;
        tell(&allocations.expect("a list"));
    }
    let filter = SettlementFilter::default;
    tell(
        &store
            .settlements_of_client(Alpha.client(), filter(), ALL)
            .await
            .expect("a list"),
    );
    tell(
        &store
            .settlements_of_partner(&Later.enterprise(), filter(), ALL)
            .await
            .expect("a list"),
    );
    tell(
        &store
            .transfers(None, TransferFilter::default(), ALL)
            .await
            .expect("a list"),
    );
    tell(&store.balances(&owners).await.expect("a list"));
    let waiting = store.waiting_partners(at(1_000)).await.expect("a list");
    tell(&waiting);
    for (partner, _) in waiting.partners {
        let due = store.due_messages(partner, waiting.time, 1_000).await;
        tell(&due.expect("a list"));
    }
    tell(&store.deposits(None, ALL).await.expect("a list"));
    tell(&store.withdrawals(None, ALL).await.expect("a list"));
    let acts = store.operator_acts(ActFilter::default(), ALL).await;
    // Which of what was asked for at once share a commit is up to chance.
    let acts = acts
        .expect("a list")
        .into_iter()
        .map(|recorded| recorded.act);
    tell(&acts.collect::<Vec<_>>());
    tell(&store.enterprises().await.expect("a list"));
    tell(&store.go_accounts(None).await.expect("a list"));
    tell(&store.signing_keys(None).await.expect("a list"));
    tell(&store.currencies().await.expect("a list"));
    tell(&store.configurations().await.expect("a list"));
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_databases_list_alike() {
    let [sqlite, postgres] = testkit::each_database().await;
    let sqlite = Box::pin(everything_listed(sqlite)).await;
    let postgres = Box::pin(everything_listed(postgres)).await;
    assert!(sqlite.len() > 10_000);
    assert!(sqlite == postgres, "{sqlite}\n\n{postgres}");
}
