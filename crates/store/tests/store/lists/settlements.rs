//! Lists of settlements and of their transfers.

use std::cmp::Reverse;

use ledger::{EntryId, SignedAmount};
use rules::record::{
    Participation, Settlement, SettlementForm, SettlementState, Transfer, TransferParty,
    TransferStatus,
};
use rules::{ClientId, Reason, SettlementId, TransferId, UserId};
use store::{SettlementFilter, TransferFilter};
use testkit::TestDatabase;
use uuid::Uuid;

use super::{Place, Test, at, is_list, passing};
use crate::fixture::{
    ALL, Alpha, Beta, Broker, Exchange, Link, Network, btc, eth, identifier, index, pair_line,
    party_line, put,
};

on_both! {
    settlements_of_a_partner_by_every_filter
    settlements_of_a_client_by_every_filter
    transfers_by_every_filter
    transfers_in_every_order
}

/// A settlement with who takes part in it and its transfers.
struct Posted {
    settlement: Settlement,
    parts: Vec<Participation>,
    transfers: Vec<Transfer>,
}

fn settlement_state(n: u64) -> SettlementState {
    let (reason, finalized_at) = (Reason::new("why", "because"), at(1));
    match n % 4 {
        0 => SettlementState::Pending,
        1 => SettlementState::Completed {
            finalized_at,
            entry: EntryId(Uuid::nil()),
        },
        2 => SettlementState::Failed { reason },
        _ => SettlementState::Rejected {
            reason,
            finalized_at,
        },
    }
}

fn state_name(settlement: &Settlement) -> &'static str {
    match settlement.state {
        SettlementState::Pending => "pending",
        SettlementState::Completed { .. } => "completed",
        SettlementState::Failed { .. } => "failed",
        SettlementState::Rejected { .. } => "rejected",
    }
}

fn posted(n: u64) -> Posted {
    let partner = [Exchange, Broker, Broker][index(n % 3)];
    let id = SettlementId(identifier(15, n * 37 % 101));
    let settlement = Settlement {
        id,
        partner_id: partner.partner(),
        partner_enterprise_id: partner.enterprise(),
        external_id: format!("settlement, {}", n % 6),
        form: SettlementForm::Pair,
        content_digest: [0; 32],
        notes: None,
        initiated_by: UserId(identifier(6, n % 5)),
        signed_request: Uuid::nil(),
        transfer_count: 4,
        state: settlement_state(n),
        staging: None,
        created_at: at(n as i64 / 4),
        updated_at: at(20 + n as i64 * 5 % 11),
    };
    let (alpha, beta) = (Link(Alpha, partner), Link(Beta, partner));
    let units = if n.is_multiple_of(2) { 5 } else { -5 };
    // Beta is missing in every fifth, Alpha in some others.
    let mut lines = vec![];
    if n % 5 != 1 {
        lines.push(party_line(
            alpha,
            &if n % 3 == 2 { eth() } else { btc() },
            units,
        ));
    }
    if !n.is_multiple_of(5) {
        lines.push(party_line(beta, &eth(), -units));
    }
    if n % 5 > 1 {
        let (from, to) = if n.is_multiple_of(4) {
            (alpha, beta)
        } else {
            (beta, alpha)
        };
        lines.push(pair_line(from, to, &btc(), units));
    }
    let statuses = TransferStatus::ALL;
    let transfers: Vec<Transfer> = (0..)
        .zip(&lines)
        .map(|(position, line)| Transfer {
            id: TransferId::of(id, position),
            partner_id: partner.partner(),
            settlement_id: Some(id),
            dispute_closure_id: None,
            position: position.into(),
            currency: line.currency.clone(),
            partner_currency: line.partner_currency.clone(),
            amount: SignedAmount::new(line.amount.units()).expect("an amount"),
            source: line.source.clone(),
            destination: line.destination.clone(),
            status: statuses[index(n + u64::from(position)) % statuses.len()].1,
            entry: None,
            created_at: settlement.created_at,
            updated_at: at(20 + (n as i64 + i64::from(position)) % 7),
        })
        .collect();
    let part = |link: Link| Participation {
        settlement_id: id,
        connection_id: link.connection(),
        client_id: link.0.client(),
        party: transfers.iter().any(|t| t.destination == link.party()),
        counterparty: transfers.iter().any(|t| t.source == link.party()),
        sends: false,
        receives: false,
        disputed: false,
        created_at: settlement.created_at,
        listed: true,
    };
    let parts = [alpha, beta]
        .map(part)
        .into_iter()
        .filter(|p| p.party || p.counterparty)
        .collect();
    Posted {
        settlement,
        parts,
        transfers,
    }
}

async fn with_settlements(database: TestDatabase) -> (Network, Vec<Posted>) {
    let network = Network::bare(database).await;
    let all: Vec<Posted> = (0..40).map(posted).collect();
    for posted in &all {
        network
            .all_done(posted.parts.iter().cloned().map(put))
            .await;
        network
            .all_done(posted.transfers.iter().cloned().map(put))
            .await;
    }
    network
        .all_done(all.iter().map(|posted| put(posted.settlement.clone())))
        .await;
    (network, all)
}

/// The cases that are the same for clients and partners.
fn settlement_cases(all: &[Posted]) -> Vec<(&'static str, SettlementFilter, Test<Posted>)> {
    let ids: Vec<Uuid> = (0..17).map(|n: usize| all[n].settlement.id.0).collect();
    let filter = SettlementFilter::default;
    vec![
        ("all of one side", filter(), Box::new(|_| true)),
        (
            "ids",
            SettlementFilter {
                ids: Some(ids.clone()),
                ..filter()
            },
            Box::new(move |p| ids.contains(&p.settlement.id.0)),
        ),
        (
            "external_ids",
            SettlementFilter {
                external_ids: Some(vec!["settlement, 1".into(), "settlement, 4".into()]),
                ..filter()
            },
            Box::new(|p| {
                ["settlement, 1", "settlement, 4"].contains(&p.settlement.external_id.as_str())
            }),
        ),
        (
            "states",
            SettlementFilter {
                states: Some(vec!["pending", "rejected"]),
                ..filter()
            },
            Box::new(|p| ["pending", "rejected"].contains(&state_name(&p.settlement))),
        ),
        (
            "partner_ids",
            SettlementFilter {
                partner_ids: Some(vec![Broker.partner().0, Uuid::nil()]),
                ..filter()
            },
            Box::new(|p| p.settlement.partner_id == Broker.partner()),
        ),
        (
            "created_since",
            SettlementFilter {
                created_since: Some(at(5)),
                ..filter()
            },
            Box::new(|p| p.settlement.created_at >= at(5)),
        ),
        (
            "created_before",
            SettlementFilter {
                created_before: Some(at(5)),
                ..filter()
            },
            Box::new(|p| p.settlement.created_at < at(5)),
        ),
        (
            "updated_since",
            SettlementFilter {
                updated_since: Some(at(25)),
                ..filter()
            },
            Box::new(|p| p.settlement.updated_at >= at(25)),
        ),
        (
            "updated_before",
            SettlementFilter {
                updated_before: Some(at(25)),
                ..filter()
            },
            Box::new(|p| p.settlement.updated_at < at(25)),
        ),
    ]
}

fn newest_settlement_first(posted: &Posted) -> Place {
    (
        Reverse(posted.settlement.created_at.0),
        posted.settlement.id.0,
    )
}

async fn settlements_of_a_partner_by_every_filter(database: TestDatabase) {
    let (network, all) = with_settlements(database).await;
    let link = Link(Alpha, Broker).connection();
    let mut cases = settlement_cases(&all);
    cases.push((
        "party_connection_ids",
        SettlementFilter {
            party_connection_ids: Some(vec![link.0]),
            ..SettlementFilter::default()
        },
        Box::new(move |p| {
            p.parts
                .iter()
                .any(|part| part.party && part.connection_id == link)
        }),
    ));
    cases.push((
        "counterparty_connection_ids",
        SettlementFilter {
            counterparty_connection_ids: Some(vec![link.0, Uuid::nil()]),
            ..SettlementFilter::default()
        },
        Box::new(move |p| {
            p.parts
                .iter()
                .any(|part| part.counterparty && part.connection_id == link)
        }),
    ));
    let enterprise = Broker.enterprise();
    for (case, filter, test) in cases {
        let own = |p: &Posted| p.settlement.partner_enterprise_id == enterprise;
        let expected = passing(case, &all, |p| own(p) && test(p), newest_settlement_first);
        let expected: Vec<_> = expected
            .into_iter()
            .map(|posted| &posted.settlement)
            .collect();
        let list = |page| {
            network
                .store
                .settlements_of_partner(&enterprise, filter.clone(), page)
        };
        is_list(case, &expected, list).await;
    }
}

async fn settlements_of_a_client_by_every_filter(database: TestDatabase) {
    let (network, all) = with_settlements(database).await;
    let own_link = Link(Alpha, Broker).connection();
    // The connection of another client is nobody's business.
    let links = [own_link.0, Link(Beta, Broker).connection().0];
    let mut cases = settlement_cases(&all);
    cases.push((
        "party_connection_ids",
        SettlementFilter {
            party_connection_ids: Some(links.to_vec()),
            ..SettlementFilter::default()
        },
        Box::new(move |p| {
            p.parts
                .iter()
                .any(|part| part.party && part.connection_id == own_link)
        }),
    ));
    cases.push((
        "counterparty_connection_ids",
        SettlementFilter {
            counterparty_connection_ids: Some(links.to_vec()),
            ..SettlementFilter::default()
        },
        Box::new(move |p| {
            p.parts
                .iter()
                .any(|part| part.counterparty && part.connection_id == own_link)
        }),
    ));
    cases.push((
        "party and counterparty",
        SettlementFilter {
            party_connection_ids: Some(vec![own_link.0]),
            counterparty_connection_ids: Some(vec![own_link.0]),
            states: Some(vec!["pending", "completed", "failed"]),
            ..SettlementFilter::default()
        },
        Box::new(move |p| {
            let own = |part: &&Participation| part.connection_id == own_link;
            let part = p.parts.iter().find(own);
            part.is_some_and(|part| part.party && part.counterparty)
                && state_name(&p.settlement) != "rejected"
        }),
    ));
    for (case, filter, test) in cases {
        let own = |p: &Posted| p.parts.iter().any(|part| part.client_id == Alpha.client());
        let expected = passing(case, &all, |p| own(p) && test(p), newest_settlement_first);
        let expected: Vec<_> = expected
            .into_iter()
            .map(|posted| &posted.settlement)
            .collect();
        let client = Alpha.client();
        let list = |page| {
            network
                .store
                .settlements_of_client(client, filter.clone(), page)
        };
        is_list(case, &expected, list).await;
    }
    let stranger = network.store.settlements_of_client(
        ClientId(Uuid::nil()),
        SettlementFilter::default(),
        ALL,
    );
    assert_eq!(stranger.await.expect("a list"), []);
}

/// A transfer with its settlement.
type Moved<'a> = (&'a Transfer, &'a Settlement);

fn network_account(party: &TransferParty) -> Option<Uuid> {
    party.connection.map(|(_, account)| account.0)
}

fn sees(client: Option<ClientId>, transfer: &Transfer) -> bool {
    client.is_none_or(|client| {
        let source = transfer.source.client_id == client && transfer.source.connection.is_some();
        source || transfer.destination.client_id == client
    })
}

async fn transfers_by_every_filter(database: TestDatabase) {
    let (network, all) = with_settlements(database).await;
    let moved: Vec<Moved<'_>> = all
        .iter()
        .flat_map(|posted| {
            posted
                .transfers
                .iter()
                .map(|transfer| (transfer, &posted.settlement))
        })
        .collect();
    let settlements: Vec<Uuid> = (0..11).map(|n: usize| all[n].settlement.id.0).collect();
    let accounts = [Link(Alpha, Broker), Link(Beta, Exchange)].map(|link| link.network_account().0);
    let go_accounts = [Alpha.go_account().0, Broker.go_account().0];
    let users = [identifier(6, 1), identifier(6, 4)];
    let statuses = [
        TransferStatus::Completed,
        TransferStatus::Disputed,
        TransferStatus::Failed,
    ];
    let filter = TransferFilter::default;
    type Case = (
        &'static str,
        TransferFilter,
        Box<dyn Fn(&Moved<'_>) -> bool>,
    );
    let cases: Vec<Case> = vec![
        ("all", filter(), Box::new(|_| true)),
        (
            "settlement_ids",
            TransferFilter {
                settlement_ids: Some(settlements.clone()),
                ..filter()
            },
            Box::new(move |(t, _)| {
                t.settlement_id
                    .is_some_and(|id| settlements.contains(&id.0))
            }),
        ),
        (
            "currencies",
            TransferFilter {
                currencies: Some(vec!["ofceth".into()]),
                ..filter()
            },
            Box::new(|(t, _)| t.currency == eth()),
        ),
        (
            "partner_currencies",
            TransferFilter {
                partner_currencies: Some(vec!["OFCBTC".into()]),
                ..filter()
            },
            Box::new(|(t, _)| t.partner_currency == "OFCBTC"),
        ),
        (
            "statuses",
            TransferFilter {
                statuses: Some(statuses.to_vec()),
                ..filter()
            },
            Box::new(move |(t, _)| statuses.contains(&t.status)),
        ),
        (
            "initiated_by",
            TransferFilter {
                initiated_by: Some(users.to_vec()),
                ..filter()
            },
            Box::new(move |(_, s)| users.contains(&s.initiated_by.0)),
        ),
        (
            "partner_ids",
            TransferFilter {
                partner_ids: Some(vec![Exchange.partner().0]),
                ..filter()
            },
            Box::new(|(_, s)| s.partner_id == Exchange.partner()),
        ),
        (
            "settlement_states",
            TransferFilter {
                settlement_states: Some(vec!["completed", "failed"]),
                ..filter()
            },
            Box::new(|(_, s)| ["completed", "failed"].contains(&state_name(s))),
        ),
        (
            "settlement_updated_since",
            TransferFilter {
                settlement_updated_since: Some(at(25)),
                ..filter()
            },
            Box::new(|(_, s)| s.updated_at >= at(25)),
        ),
        (
            "settlement_updated_before",
            TransferFilter {
                settlement_updated_before: Some(at(25)),
                ..filter()
            },
            Box::new(|(_, s)| s.updated_at < at(25)),
        ),
        (
            "source_network_account_ids",
            TransferFilter {
                source_network_account_ids: Some(accounts.to_vec()),
                ..filter()
            },
            Box::new(move |(t, _)| {
                network_account(&t.source).is_some_and(|id| accounts.contains(&id))
            }),
        ),
        (
            "source_go_account_ids",
            TransferFilter {
                source_go_account_ids: Some(go_accounts.to_vec()),
                ..filter()
            },
            Box::new(move |(t, _)| go_accounts.contains(&t.source.go_account_id.0)),
        ),
        (
            "destination_network_account_ids",
            TransferFilter {
                destination_network_account_ids: Some(accounts.to_vec()),
                ..filter()
            },
            Box::new(move |(t, _)| {
                network_account(&t.destination).is_some_and(|id| accounts.contains(&id))
            }),
        ),
        (
            "destination_go_account_ids",
            TransferFilter {
                destination_go_account_ids: Some(go_accounts.to_vec()),
                ..filter()
            },
            Box::new(move |(t, _)| go_accounts.contains(&t.destination.go_account_id.0)),
        ),
        (
            "several together",
            TransferFilter {
                currencies: Some(vec!["ofcbtc".into()]),
                partner_ids: Some(vec![Broker.partner().0]),
                settlement_states: Some(vec!["pending", "completed"]),
                settlement_updated_since: Some(at(22)),
                settlement_updated_before: Some(at(29)),
                ..filter()
            },
            Box::new(|(t, s)| {
                t.currency == btc()
                    && s.partner_id == Broker.partner()
                    && ["pending", "completed"].contains(&state_name(s))
                    && (at(22)..at(29)).contains(&s.updated_at)
            }),
        ),
    ];
    for (case, filter, test) in cases {
        for client in [None, Some(Alpha.client())] {
            let place = |(t, _): &Moved<'_>| (Reverse(t.created_at), t.settlement_id, t.position);
            let case = if client.is_some() {
                &format!("{case} of a client")
            } else {
                case
            };
            let expected = passing(case, &moved, |m| sees(client, m.0) && test(m), place);
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(transfer, _)| *transfer)
                .collect();
            is_list(case, &expected, |page| {
                network.store.transfers(client, filter.clone(), page)
            })
            .await;
        }
    }
}

async fn transfers_in_every_order(database: TestDatabase) {
    let (network, all) = with_settlements(database).await;
    let some: Vec<Uuid> = (0..9).map(|n: usize| all[n].settlement.id.0).collect();
    for (by_update, descending) in [(false, false), (false, true), (true, false), (true, true)] {
        for (client, settlement_ids) in [
            (None, None),
            (None, Some(some.clone())),
            (Some(Alpha.client()), None),
            (Some(Alpha.client()), Some(some.clone())),
        ] {
            let mut expected: Vec<&Transfer> = all.iter().flat_map(|p| &p.transfers).collect();
            expected.retain(|t| sees(client, t));
            let is_meant = |t: &&Transfer| match &settlement_ids {
                None => true,
                Some(ids) => t.settlement_id.is_some_and(|id| ids.contains(&id.0)),
            };
            expected.retain(is_meant);
            expected.sort_by_key(|t| (t.created_at, t.id));
            match (by_update, descending) {
                (true, false) => expected.sort_by_key(|t| t.updated_at),
                (true, true) => expected.sort_by_key(|t| Reverse(t.updated_at)),
                (false, _) => {
                    expected.sort_by_key(|t| (Reverse(t.created_at), t.settlement_id, t.position));
                }
            }
            let case = format!(
                "by_update: {by_update}, descending: {descending}, {client:?}, of some: {}",
                settlement_ids.is_some()
            );
            let filter = TransferFilter {
                settlement_ids,
                by_update,
                descending,
                ..TransferFilter::default()
            };
            is_list(&case, &expected, |page| {
                network.store.transfers(client, filter.clone(), page)
            })
            .await;
        }
    }
}
