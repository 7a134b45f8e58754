//! Settlements over the chain, their legs and their deposits, and timers.

use ledger::{Amount, EntryId, Timestamp};
use rules::record::{
    Direction, LegKey, LegState, OnChain, OnChainDeposit, OnChainLeg, OnChainPart, SeenDeposit,
    Timer, TimerKind,
};
use rules::{OnChainDepositId, PartnerId, Reason, SettlementId};
use store::OnChainDepositFilter;
use testkit::TestDatabase;
use uuid::Uuid;

use super::TEXT;
use crate::fixture::{ALL, Exchange, Network, btc, eth, identifier, put};

on_both! {
    settlements_over_the_chain
    legs
    announced_deposits
    timers
}

fn settlement(number: u64) -> SettlementId {
    SettlementId(identifier(15, number))
}

async fn settlements_over_the_chain(database: TestDatabase) {
    let network = Network::bare(database).await;
    let made = |number, started, unfinished| OnChain {
        settlement_id: settlement(number),
        started,
        gains: OnChainPart {
            unfinished,
            alerted: number % 2 == 0,
        },
        losses: OnChainPart {
            unfinished: 0,
            alerted: number % 2 == 1,
        },
        completed: i64::MAX,
        failed: 7,
    };
    let all = [
        made(1, true, 1),
        made(2, true, 0),
        made(3, false, 9),
        made(4, true, i64::MAX),
    ];
    for on_chain in &all {
        network.done(put(on_chain.clone())).await;
    }
    let ids = (1..=5).map(settlement).collect();
    let mut found = network.store.on_chain(ids).await.expect("a list");
    found.sort_by_key(|on_chain| on_chain.settlement_id);
    assert_eq!(found, all);
    // Those that have begun and not ended, the newest first.
    let open = network.store.open_on_chain(ALL).await.expect("a list");
    assert_eq!(open, [all[3].clone(), all[0].clone()]);
    assert_eq!(
        network.store.on_chain(Vec::new()).await.expect("a list"),
        []
    );
}

async fn legs(database: TestDatabase) {
    let network = Network::bare(database).await;
    let states = [
        LegState::Announced,
        LegState::NotStarted,
        LegState::Waiting,
        LegState::Initiated,
        LegState::Completed {
            entry: EntryId(Uuid::max()),
        },
        LegState::Failed {
            reason: Reason::new("no", TEXT),
        },
        LegState::Rejected,
    ];
    let mut made = Vec::new();
    for (number, state) in (1..).zip(states) {
        for direction in [Direction::Gains, Direction::Losses] {
            made.push(OnChainLeg {
                key: LegKey {
                    settlement_id: settlement(number),
                    direction,
                    currency: if number == 1 { eth() } else { btc() },
                },
                state: state.clone(),
                total_units: Amount::MAX.units(),
                transfer_count: i64::MAX,
                announced: 3,
                received_units: Amount::MAX.units() - 1,
                tx_ids: vec![TEXT.to_owned(), String::new()],
                updated_at: Timestamp(-1),
            });
        }
    }
    for leg in &made {
        network.done(put(leg.clone())).await;
    }
    let ids = (1..=9).map(settlement).collect();
    let found = network.store.on_chain_legs(ids).await.expect("a list");
    assert_eq!(found, made);
}

async fn announced_deposits(database: TestDatabase) {
    let network = Network::bare(database).await;
    let made = |number, at, seen| OnChainDeposit {
        id: OnChainDepositId(identifier(41, number)),
        settlement_id: settlement(number % 2),
        partner_id: PartnerId(Uuid::max()),
        partner_enterprise_id: Exchange.enterprise(),
        go_account_id: Exchange.go_account(),
        external_settlement_id: format!("{TEXT}{}", number % 2),
        currency: btc(),
        partner_currency: TEXT.to_owned(),
        on_chain_tx_id: TEXT.to_owned(),
        seen,
        signed_request: Uuid::nil(),
        created_at: Timestamp(at),
        updated_at: Timestamp(i64::MAX),
    };
    let seen = |units| {
        Some(SeenDeposit {
            amount: Amount::new(units).expect("an amount"),
            transfer_id: TEXT.to_owned(),
        })
    };
    let all = [
        made(1, 3, None),
        made(2, 2, seen(Amount::MAX.units())),
        made(3, 1, seen(1)),
    ];
    for deposit in &all {
        network.done(put(deposit.clone())).await;
        let found = network.store.on_chain_deposit(deposit.id).await;
        assert_eq!(found.expect("a look-up").as_ref(), Some(deposit));
    }
    let listed = async |settlement_id, seen| {
        let filter = OnChainDepositFilter {
            settlement_id,
            seen,
        };
        let found = network.store.on_chain_deposits(filter, ALL).await;
        found.expect("a list")
    };
    assert_eq!(listed(None, None).await, all);
    assert_eq!(listed(None, Some(false)).await, all[..1]);
    assert_eq!(listed(None, Some(true)).await, all[1..]);
    assert_eq!(listed(Some(settlement(0)), None).await, all[1..2]);
    let named = async |name: String| {
        let enterprise = Exchange.enterprise();
        let found = network.store.on_chain_deposit_for(&enterprise, &name);
        found.await.expect("a look-up")
    };
    assert_eq!(named(format!("{TEXT}0")).await.as_ref(), Some(&all[1]));
    assert_eq!(named("unknown".to_owned()).await, None);
}

async fn timers(database: TestDatabase) {
    let network = Network::bare(database).await;
    let mut made = Vec::new();
    for (number, (_, kind)) in (1..).zip(TimerKind::ALL) {
        made.push(Timer {
            kind: *kind,
            subject: identifier(20, number),
            due_at: Some(Timestamp(number.cast_signed())),
        });
    }
    for timer in &made {
        network.done(put(timer.clone())).await;
    }
    assert_eq!(network.store.timers(None, 100).await.expect("a list"), made);
}
