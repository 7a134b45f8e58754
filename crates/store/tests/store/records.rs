//! Every record comes back from the database exactly as the command that wrote it answered.
//!
//! States that no command reaches yet are put as they are.

mod on_chain;
mod tenancy;

use ledger::{
    Amount, Balance, Currency, EntryId, EntryNumber, Hold, HoldId, HoldPurpose, NetworkAccountId,
    Owner, SignedAmount, Timestamp,
};
use rules::allocate::{Awaited, Unanswered};
use rules::connect::{AnswerConnection, ConnectionVerdict};
use rules::fund::WithdrawalEnding;
use rules::record::{
    AccountBalance, Adjustment, Allocation, AllocationKind, AllocationState, Claim, ClaimKey,
    ClaimKind, ClosedBy, ClosureStatus, ConnectionState, CurrencyKey, Dispute, DisputeClosure,
    Message, MessageCall, OpenTotal, Participation, Retraction, Review, Settlement, SettlementForm,
    SettlementState, SignedRequest, Staging, Transfer, TransferParty, TransferStatus,
    WithdrawalState,
};
use rules::{
    ConnectionId, DisputeClosureId, DisputeId, Keys, PartnerId, Reason, SettlementId, TransferId,
};
use store::{AllocationFilter, ConnectionFilter, Owned, Side, TransferFilter};
use testkit::TestDatabase;
use uuid::Uuid;

use crate::books::Books;
use crate::fixture::{
    ALL, Alpha, Beta, Broker, Exchange, Later, Link, Network, START, amount, btc, configuration,
    eth, identifier, index, pair_line, party_line, put,
};

on_both! {
    connections
    allocations
    the_largest_amount
    settlements_with_transfers_and_participations
    settlement_states_and_transfer_statuses
    disputes_and_how_they_end
    a_failed_settlement_can_be_submitted_again_as_it_is
    deposits
    withdrawals
    messages
    claims
    signed_requests
    open_totals
    holds
    balances
    what_is_not_there_is_not_found
}

/// Text as people write it, and as they should not.
pub(crate) const TEXT: &str = "Grüße, 世界 🌊 \u{202e}'; DROP TABLE x; -- \"$1\" ?\\ \n\t%_*";

async fn connections(database: TestDatabase) {
    let network = Network::ready(database).await;
    let mut made = Vec::new();
    for number in 1..=4 {
        let mut open = network.open_connection(Link(Alpha, Exchange));
        open.id = ConnectionId(identifier(7, number));
        open.network_account_id = NetworkAccountId(identifier(8, number));
        open.name = format!("{TEXT}{number}");
        open.proof = TEXT.to_owned();
        open.sealed_key = vec![0; index(number - 1) * 1_000];
        made.push(network.done(open).await.connection);
    }
    let accept = ConnectionVerdict::Accepted {
        partners_connection_id: TEXT.to_owned(),
        partners_client_id: String::new(),
    };
    let reject = ConnectionVerdict::Rejected {
        reason: Reason::new("no", TEXT),
    };
    network.clock.pass_seconds(1);
    made[2] = network
        .done(AnswerConnection {
            id: made[2].id,
            verdict: accept,
        })
        .await;
    made[3] = network
        .done(AnswerConnection {
            id: made[3].id,
            verdict: reject,
        })
        .await;
    assert!(
        matches!(&made[0].state, ConnectionState::Created { sealed_key } if sealed_key.is_empty())
    );
    assert!(
        matches!(&made[1].state, ConnectionState::Created { sealed_key } if sealed_key.len() == 1_000)
    );
    assert!(matches!(made[2].state, ConnectionState::Initialized { .. }));
    assert!(matches!(made[3].state, ConnectionState::Rejected { .. }) && !made[3].active);

    let store = &network.store;
    for connection in &made {
        let found = store.connection(connection.id).await.expect("a look-up");
        assert_eq!(found.as_ref(), Some(connection));
    }
    let ids = made.iter().map(|connection| connection.id);
    let mut found = store
        .connections_by_id(ids.clone().collect())
        .await
        .expect("a list");
    found.sort_by_key(|connection| connection.id);
    assert_eq!(found, made);
    for side in [(Alpha, Side::Client), (Exchange, Side::Partner)] {
        let owned = Owned {
            enterprise_id: side.0.enterprise(),
            side: side.1,
        };
        let ids = ids.clone().map(|id| id.0).collect();
        let filter = ConnectionFilter {
            ids: Some(ids),
            ..ConnectionFilter::default()
        };
        let found = store
            .connections(&owned, filter, ALL)
            .await
            .expect("a list");
        assert_eq!(found, made);
    }
}

async fn allocations(database: TestDatabase) {
    let network = Network::ready(database).await;
    network.funded(Link(Alpha, Exchange), &btc(), 100).await;
    network.funded(Link(Alpha, Later), &btc(), 100).await;
    network.done(network.deposit(Alpha, &btc(), 100)).await;
    let mut records: Vec<Allocation> = Vec::new();
    for kind in [AllocationKind::Allocation, AllocationKind::Deallocation] {
        for partner in [Exchange, Later] {
            for ending in 0..6 {
                network.clock.pass_seconds(1);
                let units = if ending == 5 { 1_000 } else { 1 };
                let mut request = network.reserve(kind, Link(Alpha, partner), &btc(), units);
                request.notes = [None, Some(String::new()), Some(TEXT.into())][ending % 3].clone();
                request.client_external_id += TEXT;
                let mut record = network.done(request).await.allocation;
                let id = record.id;
                network.clock.pass_seconds(1);
                match ending {
                    1 => record = network.done(network.clear(id)).await.allocation,
                    2 => record = network.done(network.release(id)).await.allocation,
                    3 => {
                        record = network
                            .done(Unanswered {
                                id,
                                error: TEXT.into(),
                            })
                            .await
                    }
                    4 => {
                        let partner_external_id = Some(TEXT.to_owned());
                        record = network
                            .done(Awaited {
                                id,
                                partner_external_id,
                            })
                            .await;
                    }
                    _ => {}
                }
                records.push(record);
            }
        }
    }
    let states = records.iter().map(|record| match &record.state {
        AllocationState::Reserved {
            retriable: true, ..
        } => "retriable",
        AllocationState::Reserved { .. } => "reserved",
        AllocationState::Cleared => "cleared",
        AllocationState::Released { .. } => "released",
    });
    for state in ["retriable", "reserved", "cleared", "released"] {
        assert!(
            states.clone().any(|known| known == state),
            "{state} is missing"
        );
    }

    let store = &network.store;
    for record in &records {
        let found = store.allocation(record.id).await.expect("a look-up");
        assert_eq!(found.as_ref(), Some(record));
    }
    let ids = Some(records.iter().map(|record| record.id.0).collect());
    for side in [(Alpha, Side::Client)] {
        let owned = Owned {
            enterprise_id: side.0.enterprise(),
            side: side.1,
        };
        let filter = AllocationFilter {
            ids: ids.clone(),
            ..AllocationFilter::default()
        };
        assert_eq!(
            store
                .allocations(&owned, filter, ALL)
                .await
                .expect("a list"),
            records
        );
    }
    records.retain(Allocation::is_reserved);
    assert_eq!(
        store.reserved_allocations(ALL).await.expect("a list"),
        records
    );
}

async fn the_largest_amount(database: TestDatabase) {
    let network = Network::ready(database).await;
    let link = Link(Alpha, Exchange);
    let most = Amount::MAX.units();
    let deposit = network.done(network.deposit(Alpha, &btc(), most)).await;
    let store = &network.store;
    assert_eq!(store.deposits(None, ALL).await.expect("a list"), [deposit]);
    assert_eq!(
        network.refused(network.deposit(Alpha, &btc(), 1)).await,
        "custody_total_exceeded"
    );

    let record = network.done(network.allocate(link, most)).await.allocation;
    assert_eq!(
        store.allocation(record.id).await.expect("a look-up"),
        Some(record.clone())
    );
    network.is_sound().await;
    let record = network.done(network.clear(record.id)).await.allocation;
    assert_eq!(
        store.allocation(record.id).await.expect("a look-up"),
        Some(record)
    );

    let lines = vec![party_line(link, &btc(), -most)];
    let loss = network
        .done(network.settle(Exchange, SettlementForm::Party, lines))
        .await;
    let filter = TransferFilter {
        settlement_ids: Some(vec![loss.id.0]),
        ..TransferFilter::default()
    };
    let transfers = store.transfers(None, filter, ALL).await.expect("a list");
    assert_eq!(
        transfers[0].amount,
        SignedAmount::new(-most).expect("an amount")
    );

    let withdrawal = network.done(network.withdraw(Exchange, &btc(), most)).await;
    assert_eq!(
        store.withdrawals(None, ALL).await.expect("a list"),
        [withdrawal]
    );
    let owners = [Owner::Custody, Owner::Go(Exchange.go_account())];
    let balances = store.balances(&owners).await.expect("a list");
    let figures: Vec<_> = balances
        .iter()
        .map(|b| (b.balance.available, b.balance.held))
        .collect();
    assert_eq!(figures, [(-most, 0), (0, most)]);
    network.is_sound().await;
}

async fn settlements_with_transfers_and_participations(database: TestDatabase) {
    let network = Network::ready(database).await;
    let store = &network.store;
    let [alpha, beta] = [Alpha, Beta].map(|who| Link(who, Broker));
    network.funded(alpha, &btc(), 100).await;
    network.funded(beta, &eth(), 100).await;
    network.funded(Link(Alpha, Exchange), &btc(), 100).await;

    let pair = vec![
        pair_line(alpha, beta, &btc(), 40),
        pair_line(alpha, beta, &eth(), -30),
    ];
    let mut pair = network.settle(Broker, SettlementForm::Pair, pair);
    pair.notes = Some(TEXT.to_owned());
    pair.external_id = TEXT.to_owned();
    let lines = pair.lines.clone();
    let pair = network.done(pair).await;
    let loss = vec![party_line(Link(Alpha, Exchange), &btc(), -10)];
    let loss = network
        .done(network.settle(Exchange, SettlementForm::Party, loss))
        .await;
    let short = vec![party_line(Link(Beta, Exchange), &btc(), -10)];
    let mut short = network.settle(Exchange, SettlementForm::Party, short);
    short.notes = Some(String::new());
    let short = network.done(short).await;
    assert!(matches!(pair.state, SettlementState::Completed { .. }));
    assert!(matches!(short.state, SettlementState::Failed { .. }));

    for settlement in [&pair, &loss, &short] {
        let found = store.settlement(settlement.id).await.expect("a look-up");
        assert_eq!(found.as_ref(), Some(settlement));
    }
    let ids = vec![pair.id, loss.id, short.id];
    let mut found = store.settlements_by_id(ids.clone()).await.expect("a list");
    found.sort_by_key(|settlement| settlement.id);
    assert_eq!(found, [pair.clone(), loss.clone(), short.clone()]);

    let SettlementState::Completed { entry, .. } = pair.state else {
        panic!("completed above")
    };
    let filter = TransferFilter {
        settlement_ids: Some(vec![pair.id.0]),
        ..TransferFilter::default()
    };
    let transfers = store.transfers(None, filter, ALL).await.expect("a list");
    let expected: Vec<_> = (0..)
        .zip(lines)
        .map(|(position, line)| Transfer {
            id: TransferId::of(pair.id, position),
            partner_id: pair.partner_id,
            settlement_id: Some(pair.id),
            dispute_closure_id: None,
            position: position.into(),
            currency: line.currency,
            partner_currency: line.partner_currency,
            amount: line.amount,
            source: line.source,
            destination: line.destination,
            status: TransferStatus::Completed,
            entry: Some(entry),
            created_at: pair.created_at,
            updated_at: pair.updated_at,
        })
        .collect();
    assert_eq!(transfers, expected);

    let found = store
        .participations(Alpha.client(), ids.clone())
        .await
        .expect("a list");
    let part = |settlement: &Settlement, link: Link, party: bool| Participation {
        settlement_id: settlement.id,
        connection_id: link.connection(),
        client_id: link.0.client(),
        party,
        counterparty: !party,
        sends: true,
        receives: !party,
        disputed: false,
        created_at: settlement.created_at,
        listed: true,
    };
    let expected = [
        part(&pair, alpha, false),
        part(&loss, Link(Alpha, Exchange), true),
    ];
    assert_eq!(found, expected);
    let found = store
        .participations(Beta.client(), ids)
        .await
        .expect("a list");
    assert_eq!(found.len(), 2);
}

async fn settlement_states_and_transfer_statuses(database: TestDatabase) {
    let network = Network::bare(database).await;
    let store = &network.store;
    let states = [
        SettlementState::Pending,
        SettlementState::Completed {
            finalized_at: Timestamp(i64::MAX),
            entry: EntryId(Uuid::max()),
        },
        SettlementState::Failed {
            reason: Reason::new("short", TEXT),
        },
        SettlementState::Rejected {
            reason: Reason::new("", ""),
            finalized_at: Timestamp(i64::MIN),
        },
    ];
    for (number, state) in (1..).zip(states) {
        let settlement = Settlement {
            id: SettlementId(identifier(15, number)),
            partner_id: Exchange.partner(),
            partner_enterprise_id: Exchange.enterprise(),
            external_id: TEXT.to_owned(),
            form: SettlementForm::Pair,
            content_digest: [255; 32],
            notes: None,
            initiated_by: Exchange.user(),
            signed_request: Uuid::nil(),
            transfer_count: i64::MAX,
            state,
            staging: (number == 1).then_some(Staging {
                cutoff_at: Timestamp(-2),
                dispute_window_ends_at: Timestamp(i64::MAX),
                top_up_window_ends_at: Timestamp(i64::MIN),
                amounts_fixed: true,
                standing_disputes: i64::MAX,
                found_short_at: Some(EntryNumber(i64::MAX)),
            }),
            created_at: Timestamp(-1),
            updated_at: Timestamp(0),
        };
        network.done(put(settlement.clone())).await;
        let found = store.settlement(settlement.id).await.expect("a look-up");
        assert_eq!(found, Some(settlement));
    }
    let partner = TransferParty {
        client_id: Exchange.client(),
        go_account_id: Exchange.go_account(),
        connection: None,
    };
    let mut expected = Vec::new();
    for (number, (_, status)) in (0_u64..).zip(TransferStatus::ALL) {
        let units = if number.is_multiple_of(2) {
            Amount::MAX.units()
        } else {
            -Amount::MAX.units()
        };
        let transfer = Transfer {
            id: TransferId(identifier(17, number)),
            partner_id: Exchange.partner(),
            settlement_id: (number % 2 == 0).then_some(SettlementId(Uuid::nil())),
            dispute_closure_id: (number % 2 == 1).then_some(DisputeClosureId(Uuid::max())),
            position: i64::try_from(number).expect("a place"),
            currency: btc(),
            partner_currency: TEXT.to_owned(),
            amount: SignedAmount::new(units).expect("an amount"),
            source: if number.is_multiple_of(2) {
                partner.clone()
            } else {
                Link(Beta, Broker).party()
            },
            destination: if number.is_multiple_of(3) {
                partner.clone()
            } else {
                Link(Alpha, Broker).party()
            },
            status: *status,
            entry: (number % 2 == 1).then(|| EntryId(Uuid::max())),
            created_at: START,
            updated_at: START,
        };
        network.done(put(transfer.clone())).await;
        expected.push(transfer);
    }
    let mut found = store
        .transfers(None, TransferFilter::default(), ALL)
        .await
        .expect("a list");
    // Where those without a settlement come is the database's affair.
    found.sort_by_key(|transfer| transfer.position);
    assert_eq!(found, expected);
}

async fn disputes_and_how_they_end(database: TestDatabase) {
    let network = Network::bare(database).await;
    let store = &network.store;
    let largest = SignedAmount::new(-Amount::MAX.units()).expect("an amount");
    let plain = Dispute {
        id: DisputeId(identifier(31, 1)),
        settlement_id: SettlementId(identifier(15, 1)),
        connection_id: Link(Alpha, Exchange).connection(),
        client_id: Alpha.client(),
        client_enterprise_id: Alpha.enterprise(),
        partner_id: Exchange.partner(),
        partner_enterprise_id: Exchange.enterprise(),
        user_id: Alpha.user(),
        expected: [].into(),
        reason: None,
        retraction: None,
        closure_id: None,
        closed_at: None,
        signed_request: Uuid::nil(),
        created_at: START,
        updated_at: START,
    };
    let full = Dispute {
        id: DisputeId(identifier(31, 2)),
        settlement_id: SettlementId(identifier(15, 2)),
        expected: [(btc(), largest), (eth(), amount_signed(1))].into(),
        reason: Some(TEXT.to_owned()),
        retraction: Some(Retraction {
            by: Alpha.user(),
            at: Timestamp(i64::MAX),
            reason: Some(TEXT.to_owned()),
        }),
        closure_id: Some(DisputeClosureId(Uuid::max())),
        closed_at: Some(Timestamp(i64::MIN)),
        ..plain.clone()
    };
    for dispute in [&plain, &full] {
        network.done(put(dispute.clone())).await;
        let found = store.dispute(dispute.id).await.expect("a look-up");
        assert_eq!(found.as_ref(), Some(dispute));
    }
    for (number, (_, status)) in (0..).zip(ClosureStatus::ALL) {
        let closure = DisputeClosure {
            id: DisputeClosureId(identifier(32, number)),
            dispute_id: plain.id,
            closed_by: ClosedBy::ALL[index(number) % 2].1,
            user_id: Alpha.user(),
            notes: TEXT.to_owned(),
            adjustments: (0..number)
                .map(|n| Adjustment {
                    counterparty: (n == 1).then(|| Link(Beta, Exchange).connection()),
                    currency: eth(),
                    amount: largest,
                })
                .collect(),
            status: *status,
            review: (number == 1).then(|| Review {
                by: Alpha.user(),
                notes: Some(TEXT.to_owned()),
                at: START,
            }),
            signed_request: (number == 2).then(Uuid::max),
            created_at: START,
            updated_at: Timestamp(0),
        };
        network.done(put(closure.clone())).await;
        let found = store.dispute_closure(closure.id).await;
        assert_eq!(found.expect("a look-up"), Some(closure));
    }
}

fn amount_signed(units: i128) -> SignedAmount {
    SignedAmount::new(units).expect("an amount")
}

async fn a_failed_settlement_can_be_submitted_again_as_it_is(database: TestDatabase) {
    let network = Network::ready(database).await;
    let lines = vec![party_line(Link(Alpha, Exchange), &btc(), -9)];
    let settle = network.settle(Exchange, SettlementForm::Party, lines);
    let first = network.done(settle.clone()).await;
    assert!(matches!(first.state, SettlementState::Failed { .. }));
    let again = network.done(settle.clone()).await;
    assert_eq!(again.id, first.id);
    // Its evidence is kept once.
    let books = Books::of(&network.database).await;
    let kept = "SELECT count(*) FROM signed_requests";
    let before = books.number(kept).await;
    network.done(settle).await;
    assert_eq!(books.number(kept).await, before);
    network.is_sound().await;
}

async fn deposits(database: TestDatabase) {
    let network = Network::ready(database).await;
    let mut first = network.deposit(Alpha, &btc(), 1);
    first.external_reference = TEXT.to_owned();
    let first = network.done(first).await;
    network.clock.pass_seconds(1);
    let second = network.done(network.deposit(Beta, &eth(), 2)).await;
    let store = &network.store;
    let own = store
        .deposits(Some(Alpha.go_account()), ALL)
        .await
        .expect("a list");
    assert_eq!(own, std::slice::from_ref(&first));
    assert_eq!(
        store.deposits(None, ALL).await.expect("a list"),
        [second, first]
    );
}

async fn withdrawals(database: TestDatabase) {
    let network = Network::ready(database).await;
    network.done(network.deposit(Alpha, &btc(), 100)).await;
    let mut made = Vec::new();
    for ending in [
        None,
        Some(WithdrawalEnding::Paid),
        Some(WithdrawalEnding::Cancelled),
    ] {
        network.clock.pass_seconds(1);
        let mut request = network.withdraw(Alpha, &btc(), 10);
        request.external_reference += TEXT;
        let mut withdrawal = network.done(request).await;
        if let Some(ending) = ending {
            withdrawal = network.done(network.finish(withdrawal.id, ending)).await;
        }
        made.push(withdrawal);
    }
    let states: Vec<_> = made.iter().map(|withdrawal| withdrawal.state).collect();
    assert!(
        states
            .into_iter()
            .eq(WithdrawalState::ALL.iter().map(|(_, state)| *state))
    );
    made.reverse();
    let store = &network.store;
    assert_eq!(store.withdrawals(None, ALL).await.expect("a list"), made);
    let own = store
        .withdrawals(Some(Alpha.go_account()), ALL)
        .await
        .expect("a list");
    assert_eq!(own, made);
    let others = store
        .withdrawals(Some(Beta.go_account()), ALL)
        .await
        .expect("a list");
    assert_eq!(others, []);
    network.is_sound().await;
}

async fn messages(database: TestDatabase) {
    let network = Network::bare(database).await;
    let calls = MessageCall::ALL
        .iter()
        .map(|(_, call)| Some(*call))
        .chain([None]);
    let mut made = Vec::new();
    for (number, call) in (1..).zip(calls) {
        let message = Message {
            subject: identifier(20, number),
            partner_id: PartnerId(Uuid::max()),
            call,
            attempts: i64::MAX,
            due_at: Timestamp(i64::MAX),
            leased_until: Timestamp(i64::MIN),
            last_error: [None, Some(String::new()), Some(TEXT.to_owned())][index(number % 3)]
                .clone(),
            created_at: START,
            updated_at: Timestamp(0),
        };
        network.done(put(message.clone())).await;
        let found = network
            .store
            .message(message.subject)
            .await
            .expect("a look-up");
        assert_eq!(found.as_ref(), Some(&message));
        made.push(message);
    }
    let subjects = made.iter().map(|message| message.subject).collect();
    let mut found = network.store.messages(subjects).await.expect("a list");
    found.sort_by_key(|message| message.subject);
    assert_eq!(found, made);
}

async fn claims(database: TestDatabase) {
    let network = Network::bare(database).await;
    for (number, (_, kind)) in (1_u64..).zip(ClaimKind::ALL) {
        let claim = Claim {
            key: ClaimKey::new(
                TEXT,
                *kind,
                if number.is_multiple_of(2) { "" } else { TEXT },
            ),
            subject: identifier(10, number),
            digest: (number.is_multiple_of(2)).then_some([255; 32]),
        };
        network.done(put(claim.clone())).await;
        let key = claim.key.clone();
        let keys = Keys {
            claims: [key.clone()].into(),
            ..Keys::default()
        };
        assert_eq!(network.look(keys, key).await, Some(claim));
    }
}

async fn signed_requests(database: TestDatabase) {
    let network = Network::ready(database).await;
    network.done(network.deposit(Alpha, &btc(), 1)).await;
    let mut request = network.allocate(Link(Alpha, Exchange), 1);
    let evidence = &mut request.signed.request;
    evidence.payload = (0..=255).collect();
    evidence.sealed = true;
    evidence.public_key = [255; 33];
    evidence.signature = TEXT.to_owned();
    let expected = SignedRequest {
        received_at: START,
        ..evidence.clone()
    };
    network.done(request).await;
    let id = expected.id;
    let keys = Keys {
        signed_requests: [id].into(),
        ..Keys::default()
    };
    assert_eq!(network.look(keys, id).await, Some(expected));
    network.is_sound().await;
}

async fn open_totals(database: TestDatabase) {
    let network = Network::ready(database).await;
    network.done(network.deposit(Alpha, &btc(), 100)).await;
    network
        .done(network.allocate(Link(Alpha, Exchange), 30))
        .await;
    let second = network
        .done(network.allocate(Link(Alpha, Exchange), 40))
        .await;
    let key = CurrencyKey {
        partner_id: Exchange.partner(),
        currency: btc(),
    };
    let keys = Keys {
        open_totals: [key.clone()].into(),
        ..Keys::default()
    };
    for (conclusion, units) in [(None, 70), (Some(network.clear(second.allocation.id)), 30)] {
        if let Some(conclusion) = conclusion {
            network.done(conclusion).await;
        }
        let found = network.look(keys.clone(), key.clone()).await;
        assert_eq!(
            found,
            Some(OpenTotal {
                key: key.clone(),
                units
            })
        );
    }
}

async fn holds(database: TestDatabase) {
    let network = Network::ready(database).await;
    let link = Link(Alpha, Exchange);
    network.funded(link, &btc(), 100).await;
    network.done(network.deposit(Alpha, &btc(), 100)).await;
    let allocation = network
        .done(network.allocate(link, 10))
        .await
        .allocation
        .id
        .0;
    let deallocation = network
        .done(network.deallocate(link, 20))
        .await
        .allocation
        .id;
    let withdrawal = network.done(network.withdraw(Alpha, &btc(), 30)).await.id.0;
    network.done(network.release(deallocation)).await;
    for (id, account, units, purpose, open) in [
        (
            allocation,
            Alpha.go(&btc()),
            10,
            HoldPurpose::Allocation,
            true,
        ),
        (
            deallocation.0,
            link.net(&btc()),
            20,
            HoldPurpose::Deallocation,
            false,
        ),
        (
            withdrawal,
            Alpha.go(&btc()),
            30,
            HoldPurpose::Withdrawal,
            true,
        ),
    ] {
        let hold = Hold {
            id: HoldId(id),
            account,
            amount: amount(units),
            purpose,
            open,
        };
        let keys = Keys {
            holds: [hold.id].into(),
            ..Keys::default()
        };
        assert_eq!(network.look(keys, hold.id).await, Some(hold));
    }
}

async fn balances(database: TestDatabase) {
    let network = Network::ready(database).await;
    network.funded(Link(Alpha, Exchange), &btc(), 10).await;
    network.done(network.deposit(Beta, &eth(), 5)).await;
    network.done(network.withdraw(Beta, &eth(), 2)).await;
    let record = |owner: Owner, currency: &Currency, available: i128, held: i128| AccountBalance {
        account: ledger::Account::new(owner, currency),
        balance: Balance { available, held },
    };
    let net = Owner::Net(Link(Alpha, Exchange).network_account());
    let (alpha, beta) = (Owner::Go(Alpha.go_account()), Owner::Go(Beta.go_account()));
    let owners = [net, beta, alpha, Owner::Custody];
    assert_eq!(
        network.store.balances(&owners).await.expect("a list"),
        [
            record(Owner::Custody, &btc(), -10, 0),
            record(Owner::Custody, &eth(), -5, 0),
            record(alpha, &btc(), 0, 0),
            record(beta, &eth(), 3, 2),
            record(net, &btc(), 10, 0),
        ]
    );
    assert_eq!(network.store.balances(&[]).await.expect("a list"), []);
    let others = network
        .store
        .balances(&[Owner::Go(Later.go_account())])
        .await;
    assert_eq!(others.expect("a list"), []);
}

async fn what_is_not_there_is_not_found(database: TestDatabase) {
    let network = Network::bare(database).await;
    let store = &network.store;
    assert_eq!(
        store
            .enterprise(&Alpha.enterprise())
            .await
            .expect("a look-up"),
        None
    );
    assert_eq!(store.currency(&btc()).await.expect("a look-up"), None);
    assert_eq!(
        store
            .go_account(Alpha.go_account())
            .await
            .expect("a look-up"),
        None
    );
    assert_eq!(
        store.partner(Exchange.partner()).await.expect("a look-up"),
        None
    );
    assert_eq!(store.message(Uuid::nil()).await.expect("a look-up"), None);
    let wanted = configuration(Exchange);
    let found = store
        .configuration(&wanted.enterprise_id, &wanted.institution_identifier)
        .await;
    assert_eq!(found.expect("a look-up"), None);
    // Whoever asks for nothing gets nothing.
    assert_eq!(store.clients(Vec::new()).await.expect("a list"), []);
    assert_eq!(
        store.connections_by_id(Vec::new()).await.expect("a list"),
        []
    );
    assert_eq!(
        store.settlements_by_id(Vec::new()).await.expect("a list"),
        []
    );
    let none = store.participations(Alpha.client(), Vec::new()).await;
    assert_eq!(none.expect("a list"), []);
    assert_eq!(store.messages(Vec::new()).await.expect("a list"), []);
}
