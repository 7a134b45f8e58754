//! Settlement over the chain: what is held, booked and given back, whatever comes in which order.

use std::collections::{BTreeMap, BTreeSet};

use ledger::{Currency, EntryId};
use proptest::collection::vec;
use proptest::prelude::*;
use rules::onchain::{
    AnnounceDeposits, AnnouncedDeposit, BookGains, FailGains, MoveLosses, NoteLate, RejectOnChain,
    ReturnReceived, SeeDeposit, StartOnChain, Withdrawn,
};
use rules::record::{
    Direction, LegKey, OnChain, OnChainDeposit, OnChainLeg, Settlement, SettlementState, Timer,
    TimerKind, Transfer,
};
use rules::settle::{KnownTransfers, SettlementLine};
use rules::{Class, OnChainDepositId, SettlementId, Submission};

use crate::harness::{Asked, World, check_journal, stored};
use crate::network::Who::{Alpha, Beta, Broker, Sync};
use crate::network::*;

/// A network whose exchange and broker may settle over the chain.
fn over_the_chain() -> World {
    let mut world = ready();
    for (number, partner) in [(700_001, Sync), (700_002, Broker)] {
        let mut put = put_configuration(number, partner);
        put.configuration.on_chain = true;
        world.done(put);
    }
    world
}

fn start(number: u128, name: &str, lines: Vec<SettlementLine>) -> StartOnChain {
    let posted = settle_party(number, Sync, lines);
    StartOnChain {
        id: posted.id,
        entry_id: posted.entry_id,
        partner_id: posted.partner_id,
        enterprise_id: posted.enterprise_id,
        institution_identifier: Sync.name().to_owned(),
        go_account_id: posted.go_account_id,
        external_id: name.to_owned(),
        lines: posted.lines,
        content_digest: posted.content_digest,
        notes: None,
        initiated_by: posted.initiated_by,
        signed: posted.signed,
    }
}

fn announce(number: u128, name: &str, listed: &[(Currency, &str)]) -> AnnounceDeposits {
    let deposits = listed.iter().zip(0..);
    AnnounceDeposits {
        partner_id: Sync.partner(),
        enterprise_id: Sync.enterprise(),
        institution_identifier: Sync.name().to_owned(),
        go_account_id: Sync.go_account(),
        external_settlement_id: name.to_owned(),
        settlement_id: None,
        new_settlement_id: SettlementId(identifier(40, number)),
        deposits: deposits
            .map(|((currency, tx), place)| AnnouncedDeposit {
                id: OnChainDepositId(identifier(41, number * 100 + place)),
                partner_currency: currency.to_string(),
                currency: currency.clone(),
                on_chain_tx_id: (*tx).to_owned(),
            })
            .collect(),
        signed: signed(number, Sync, "", (name, number)),
    }
}

fn see(number: u128, deposit: &OnChainDeposit, units: i128) -> SeeDeposit {
    SeeDeposit {
        custody_source: custody_source(&deposit.currency).to_owned(),
        deposit: deposit.clone(),
        amount: amount(units),
        transfer_id: format!("custody {number}"),
        entry_id: entry_id(number),
        operator: act(number),
    }
}

/// The transfers of a settlement, those of a direction and a currency if one is meant.
fn transfers(
    world: &World,
    id: SettlementId,
    of: Option<(Direction, &Currency)>,
) -> KnownTransfers {
    let is_meant = |t: &&Transfer| {
        let direction = direction_of(t);
        t.settlement_id == Some(id) && of.is_none_or(|(d, c)| d == direction && *c == t.currency)
    };
    KnownTransfers::of(world.state.transfers.iter().filter(is_meant))
}

fn direction_of(transfer: &Transfer) -> Direction {
    match transfer.amount.is_gain() {
        true => Direction::Gains,
        false => Direction::Losses,
    }
}

fn book(world: &World, number: u128, id: SettlementId) -> BookGains {
    let gains = world.state.transfers.iter();
    let gains = gains.filter(|t| t.settlement_id == Some(id) && t.amount.is_gain());
    let gains: Vec<&Transfer> = gains.collect();
    let currencies: BTreeSet<Currency> = gains.iter().map(|t| t.currency.clone()).collect();
    let entry = |(c, place)| (c, entry_id(number * 10 + place));
    BookGains {
        settlement_id: id,
        transfers: KnownTransfers::of(gains),
        entries: currencies
            .into_iter()
            .zip(0..)
            .map(entry)
            .collect::<BTreeMap<_, EntryId>>(),
    }
}

fn lose(
    world: &World,
    number: u128,
    id: SettlementId,
    currency: Currency,
    withdrawn: Withdrawn,
) -> MoveLosses {
    MoveLosses {
        transfers: transfers(world, id, Some((Direction::Losses, &currency))),
        settlement_id: id,
        currency,
        withdrawn,
        entry_id: entry_id(number),
        operator: act(number),
    }
}

fn fail(world: &World, number: u128, id: SettlementId, currency: Currency) -> FailGains {
    FailGains {
        transfers: transfers(world, id, Some((Direction::Gains, &currency))),
        settlement_id: id,
        currency,
        reason: "gone".to_owned(),
        go_account_id: Sync.go_account(),
        entry_id: entry_id(number),
        operator: act(number),
    }
}

fn reject(world: &World, number: u128, id: SettlementId) -> RejectOnChain {
    let own = world.state.transfers.iter();
    let own = own.filter(|t| t.settlement_id == Some(id));
    RejectOnChain {
        settlement_id: id,
        reason: "unwanted".to_owned(),
        go_account_id: Sync.go_account(),
        legs: own.map(|t| (direction_of(t), t.currency.clone())).collect(),
        transfers: transfers(world, id, None),
        entry_id: entry_id(number),
        operator: act(number),
    }
}

fn give_back(number: u128, id: SettlementId, currency: Currency) -> ReturnReceived {
    ReturnReceived {
        settlement_id: id,
        currency,
        go_account_id: Sync.go_account(),
        entry_id: entry_id(number),
        operator: act(number),
    }
}

fn net(client: Who) -> ledger::Account {
    link(client, Sync).net(&btc())
}

fn line(client: Who, currency: Currency, units: i128) -> SettlementLine {
    party_line(link(client, Sync), currency, units)
}

#[test]
fn what_is_lost_is_held_and_what_is_gained_waits_for_all_of_it() {
    let mut world = over_the_chain();
    let lines = vec![
        line(Alpha, btc(), -30),
        line(Alpha, eth(), 5),
        line(Beta, btc(), -20),
    ];
    let (settlement, on_chain) = world.done(start(1, "one", lines));
    let id = settlement.id;
    assert_eq!(settlement.state, SettlementState::Pending);
    assert_eq!(
        (on_chain.gains.unfinished, on_chain.losses.unfinished),
        (1, 1)
    );
    let held = |world: &World, who| world.balance(&net(who)).held;
    assert_eq!((held(&world, Alpha), held(&world, Beta)), (30, 20));

    let deposits = world.done(announce(2, "one", &[(eth(), "a"), (eth(), "b")]));
    assert_eq!(deposits[0].settlement_id, id);
    world.done(see(3, &deposits[0], 4));
    world.done(book(&world, 4, id));
    let ether = link(Alpha, Sync).net(&eth());
    assert_eq!(world.balance(&ether).available, 0);
    world.done(see(5, &deposits[1], 4));
    let partner = world.balance(&Sync.go(&eth())).available;
    world.done(book(&world, 6, id));
    assert_eq!(world.balance(&ether).available, 5);
    assert_eq!(world.balance(&Sync.go(&eth())).available - partner, 3);

    let tx_id = "w".to_owned();
    let seen = lose(&world, 7, id, btc(), Withdrawn::Seen { tx_id });
    let ended = world.done(seen);
    assert!(matches!(ended.state, SettlementState::Completed { .. }));
    assert_eq!((held(&world, Alpha), held(&world, Beta)), (0, 0));
    check_journal(&world.state);
}

#[test]
fn who_may_settle_over_the_chain_is_decided_in_the_batch() {
    let mut world = ready();
    let lines = || vec![line(Alpha, btc(), -1)];
    let (class, name) = (Class::NotPermitted, "on_chain_not_enabled");
    world.refused(start(1, "one", lines()), class, name, "operator");
    world.refused(announce(2, "one", &[(btc(), "a")]), class, name, "operator");
    let mut world = over_the_chain();
    let broker = settle_party(3, Broker, vec![party_line(link(Alpha, Broker), btc(), -1)]);
    let broker = StartOnChain {
        partner_id: broker.partner_id,
        enterprise_id: broker.enterprise_id,
        institution_identifier: Broker.name().to_owned(),
        go_account_id: broker.go_account_id,
        lines: broker.lines,
        signed: broker.signed,
        ..start(3, "one", lines())
    };
    let (class, name) = (Class::Invalid, "on_chain_is_for_exchanges");
    world.refused(broker, class, name, "broker");
}

#[test]
fn what_meets_in_one_batch_is_one_settlement() {
    let mut world = over_the_chain();
    let lines = || {
        vec![
            line(Alpha, btc(), 3),
            line(Alpha, usd(), 1),
            line(Beta, btc(), -2),
        ]
    };
    let again = |number| {
        let mut again = start(number, "one", lines());
        again.content_digest = start(3, "one", lines()).content_digest;
        again
    };
    let mut asked: Vec<Box<dyn Asked>> = vec![
        Box::new(Submission::new(announce(1, "one", &[(eth(), "a")]))),
        Box::new(Submission::new(announce(2, "one", &[(btc(), "a")]))),
        Box::new(Submission::new(start(3, "one", lines()))),
        Box::new(Submission::new(announce(4, "one", &[(usd(), "b")]))),
        Box::new(Submission::new(again(5))),
    ];
    world.batch(&mut asked);
    for asked in &asked {
        assert_eq!(asked.refusal(), None, "{}", asked.told());
    }
    assert_eq!(world.state.on_chain.iter().count(), 1);
    let legs: Vec<&OnChainLeg> = world.state.on_chain_legs.iter().collect();
    assert_eq!(legs.len(), 4);
    assert!(
        legs.iter()
            .all(|leg| leg.key.settlement_id == legs[0].key.settlement_id)
    );

    // One transaction, said to be an ordinary deposit and an announced one in the same breath.
    let deposits: Vec<OnChainDeposit> = world.state.on_chain_deposits.iter().cloned().collect();
    let bitcoin = deposits.iter().find(|d| d.currency == btc()).expect("it");
    let dollars = deposits.iter().find(|d| d.currency == usd()).expect("it");
    let ordinary = |number, currency: Currency, tx: &str| {
        let mut ordinary = deposit(number, Sync, currency, 5);
        tx.clone_into(&mut ordinary.external_reference);
        ordinary
    };
    let mut asked: Vec<Box<dyn Asked>> = vec![
        Box::new(Submission::new(ordinary(6, btc(), "a"))),
        Box::new(Submission::new(see(7, bitcoin, 3))),
        Box::new(Submission::new(see(8, dollars, 1))),
        Box::new(Submission::new(ordinary(9, usd(), "b"))),
    ];
    world.batch(&mut asked);
    let refused: Vec<bool> = asked
        .iter()
        .map(|asked| asked.refusal().is_some())
        .collect();
    assert_eq!(refused, [false, true, false, true]);
    check_journal(&world.state);
}

#[test]
fn a_direction_is_late_once_and_only_while_it_is_not_finished() {
    let mut world = over_the_chain();
    let lines = vec![line(Alpha, btc(), -1), line(Alpha, eth(), 1)];
    let (settlement, _) = world.done(start(1, "one", lines));
    let id = settlement.id;
    let late = |direction| NoteLate {
        settlement_id: id,
        direction,
    };
    assert!(!world.done(late(Direction::Gains)), "it is not time");
    let tx_id = "w".to_owned();
    let seen = lose(&world, 2, id, btc(), Withdrawn::Seen { tx_id });
    world.done(seen);
    world.pass_seconds(86_399);
    assert!(!world.done(late(Direction::Gains)), "it is not time");
    world.pass_seconds(1);
    assert!(world.done(late(Direction::Gains)));
    assert!(!world.done(late(Direction::Gains)));
    assert!(!world.done(late(Direction::Losses)), "it is finished");
    let on_chain = stored::<OnChain>(&world.state, &id).expect("it");
    assert_eq!(
        (on_chain.gains.alerted, on_chain.losses.alerted),
        (true, false)
    );
    let due = stored::<Timer>(&world.state, &(TimerKind::OnChainGainsLate, id.0));
    assert_eq!(due.and_then(|timer| timer.due_at), None);
}

/// One thing that happens, told by numbers that choose among what there is.
#[derive(Clone, Debug)]
enum Happening {
    Start { name: u8, lines: Vec<(u8, u8, i8)> },
    Announce { name: u8, currency: u8, tx: u8 },
    See { of: u8, units: u8 },
    Book { of: u8 },
    Lose { of: u8, currency: u8, how: u8 },
    Fail { of: u8, currency: u8 },
    Reject { of: u8 },
    Return { of: u8, currency: u8 },
    Late { of: u8, gains: bool },
    Allocate { client: u8, units: u8 },
    Deallocate { client: u8, units: u8 },
    Ordinary { tx: u8, currency: u8 },
    Pass { hours: u8 },
}

fn happening() -> impl Strategy<Value = Happening> {
    let n = any::<u8>;
    prop_oneof![
        6 => (0..4_u8, vec((n(), n(), -60..60_i8), 1..5))
            .prop_map(|(name, lines)| Happening::Start { name, lines }),
        6 => (0..5_u8, n(), 0..8_u8)
            .prop_map(|(name, currency, tx)| Happening::Announce { name, currency, tx }),
        8 => (n(), 1..90_u8).prop_map(|(of, units)| Happening::See { of, units }),
        6 => n().prop_map(|of| Happening::Book { of }),
        6 => (n(), n(), 0..5_u8).prop_map(|(of, currency, how)| Happening::Lose { of, currency, how }),
        2 => (n(), n()).prop_map(|(of, currency)| Happening::Fail { of, currency }),
        2 => n().prop_map(|of| Happening::Reject { of }),
        2 => (n(), n()).prop_map(|(of, currency)| Happening::Return { of, currency }),
        2 => (n(), any::<bool>()).prop_map(|(of, gains)| Happening::Late { of, gains }),
        2 => (n(), 1..60_u8).prop_map(|(client, units)| Happening::Allocate { client, units }),
        3 => (n(), 1..60_u8).prop_map(|(client, units)| Happening::Deallocate { client, units }),
        1 => (0..8_u8, n()).prop_map(|(tx, currency)| Happening::Ordinary { tx, currency }),
        1 => (0..30_u8).prop_map(|hours| Happening::Pass { hours }),
    ]
}

fn coin(n: u8) -> Currency {
    match n % 3 {
        0 => btc(),
        1 => eth(),
        _ => usd(),
    }
}

fn whom(n: u8) -> Who {
    [Alpha, Beta][usize::from(n % 2)]
}

fn pick<T>(from: &[T], n: u8) -> Option<&T> {
    (!from.is_empty()).then(|| &from[usize::from(n) % from.len()])
}

fn name_of(n: u8) -> String {
    format!("settlement {n}")
}

/// Lets it happen; what is refused changes nothing, and the world sees to that.
fn happen(world: &mut World, number: u128, what: &Happening) {
    let ids: Vec<SettlementId> = world
        .state
        .on_chain
        .iter()
        .map(|o| o.settlement_id)
        .collect();
    let mut legs: Vec<SettlementId> = world
        .state
        .on_chain_legs
        .iter()
        .map(|l| l.key.settlement_id)
        .collect();
    legs.dedup();
    match what {
        Happening::Start { name, lines } => {
            let mut known = BTreeMap::new();
            for (client, currency, units) in lines.iter().filter(|(_, _, units)| *units != 0) {
                let (client, currency) = (whom(*client), coin(*currency));
                known.insert(
                    (client, currency.clone()),
                    line(client, currency, i128::from(*units)),
                );
            }
            let lines: Vec<SettlementLine> = known.into_values().collect();
            if !lines.is_empty() {
                let _ = world.ask(start(number, &name_of(*name), lines.clone()));
                // Posted again, signed afresh, it is tried again or answered.
                let again = start(number + 500_000, &name_of(*name), lines);
                let _ = world.ask(again);
            }
        }
        Happening::Announce { name, currency, tx } => {
            let tx = format!("tx {tx}");
            let _ = world.ask(announce(number, &name_of(*name), &[(coin(*currency), &tx)]));
        }
        Happening::See { of, units } => {
            let deposits: Vec<OnChainDeposit> =
                world.state.on_chain_deposits.iter().cloned().collect();
            if let Some(deposit) = pick(&deposits, *of) {
                let _ = world.ask(see(number, deposit, i128::from(*units)));
            }
        }
        Happening::Book { of } => {
            if let Some(id) = pick(&ids, *of) {
                let _ = world.ask(book(world, number, *id));
            }
        }
        Happening::Lose { of, currency, how } => {
            let tx_id = format!("withdrawal {}", how % 2);
            let withdrawn = match how {
                0 => Withdrawn::Started { tx_id: None },
                1 => Withdrawn::Started { tx_id: Some(tx_id) },
                4 => Withdrawn::Failed {
                    reason: "no fee".to_owned(),
                },
                _ => Withdrawn::Seen { tx_id },
            };
            if let Some(id) = pick(&ids, *of) {
                let _ = world.ask(lose(world, number, *id, coin(*currency), withdrawn));
            }
        }
        Happening::Fail { of, currency } => {
            if let Some(id) = pick(&ids, *of) {
                let _ = world.ask(fail(world, number, *id, coin(*currency)));
            }
        }
        Happening::Reject { of } => {
            if let Some(id) = pick(&ids, *of) {
                let _ = world.ask(reject(world, number, *id));
            }
        }
        Happening::Return { of, currency } => {
            if let Some(id) = pick(&legs, *of) {
                let _ = world.ask(give_back(number, *id, coin(*currency)));
            }
        }
        Happening::Late { of, gains } => {
            let direction = if *gains {
                Direction::Gains
            } else {
                Direction::Losses
            };
            if let Some(settlement_id) = pick(&ids, *of).copied() {
                world.done(NoteLate {
                    settlement_id,
                    direction,
                });
            }
        }
        Happening::Allocate { client, units } => {
            let placed = world.ask(allocate(
                number,
                link(whom(*client), Sync),
                i128::from(*units),
            ));
            if placed.is_ok() {
                let _ = world.ask(clear(number + 500_000, number));
            }
        }
        Happening::Deallocate { client, units } => {
            let placed = world.ask(deallocate(
                number,
                link(whom(*client), Sync),
                i128::from(*units),
            ));
            if placed.is_ok() {
                let _ = world.ask(clear(number + 500_000, number));
            }
        }
        Happening::Ordinary { tx, currency } => {
            let mut ordinary = deposit(number, Sync, coin(*currency), 7);
            ordinary.external_reference = format!("tx {tx}");
            let _ = world.ask(ordinary);
        }
        Happening::Pass { hours } => world.pass_seconds(i64::from(*hours) * 3_600),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// All laws of the books and of settlement over the chain hold after every command: the world
    /// checks them itself.
    #[test]
    fn the_laws_hold_whatever_is_seen_on_chains(happenings in vec(happening(), 10..50)) {
        let mut world = over_the_chain();
        for (number, what) in (1_u128..).zip(&happenings) {
            happen(&mut world, number, what);
        }
        check_journal(&world.state);
        // In the end everything can be given up, and nothing stays held or waiting.
        let open: Vec<Settlement> = world.state.settlements.iter()
            .filter(|s| stored::<OnChain>(&world.state, &s.id).is_some() && s.is_open())
            .cloned().collect();
        // Two numbers for each step: giving up what is lost takes both.
        let mut number = 100_000;
        for settlement in open {
            number += 2;
            let rejected = world.ask(reject(&world, number, settlement.id));
            if rejected.is_ok() || settlement.state != SettlementState::Pending {
                continue;
            }
            for currency in [btc(), eth(), usd()] {
                number += 2;
                let reason = "end".to_owned();
                let _ = world.ask(lose(&world, number, settlement.id, currency.clone(), Withdrawn::Failed { reason }));
                let _ = world.ask(fail(&world, number + 1, settlement.id, currency));
            }
        }
        let waiting: Vec<LegKey> = world.state.on_chain_legs.iter()
            .filter(|leg| leg.received_units > 0).map(|leg| leg.key.clone()).collect();
        for key in waiting {
            number += 2;
            world.done(give_back(number, key.settlement_id, key.currency));
        }
        for leg in world.state.on_chain_legs.iter() {
            let leg: &OnChainLeg = leg;
            prop_assert!(!leg.state.is_open() && leg.received_units == 0, "{:?}", leg);
        }
        check_journal(&world.state);
    }
}

#[test]
fn what_a_transaction_brought_in_one_currency_is_booked_once_whoever_announced_it() {
    let mut world = over_the_chain();
    // Both currencies come to one place of custody, in one transaction.
    let seen = |number, deposit: &OnChainDeposit| SeeDeposit {
        custody_source: "vault".to_owned(),
        ..see(number, deposit, 5)
    };
    let own = world.done(announce(1, "one", &[(btc(), "t"), (eth(), "t")]));
    world.done(seen(2, &own[0]));
    world.done(seen(3, &own[1]));
    let other = AnnounceDeposits {
        partner_id: Broker.partner(),
        enterprise_id: Broker.enterprise(),
        institution_identifier: Broker.name().to_owned(),
        go_account_id: Broker.go_account(),
        signed: signed(4, Broker, "", ("two", 4)),
        ..announce(4, "two", &[(eth(), "t")])
    };
    let others = world.done(other);
    world.refused(
        seen(5, &others[0]),
        Class::Conflict,
        "transaction_booked_already",
        "another announcement",
    );
    check_journal(&world.state);
}

#[test]
fn what_is_leaving_over_the_chain_is_not_given_back() {
    let mut world = over_the_chain();
    let id = world
        .done(start(1, "one", vec![line(Alpha, btc(), -30)]))
        .0
        .id;
    let tx_id = Some("w".to_owned());
    world.done(lose(&world, 2, id, btc(), Withdrawn::Started { tx_id }));
    world.refused(
        reject(&world, 3, id),
        Class::Unprocessable,
        "on_chain_withdrawal_under_way",
        "under way",
    );
    assert_eq!(world.balance(&net(Alpha)).held, 30);
    let reason = "not mined".to_owned();
    world.done(lose(&world, 4, id, btc(), Withdrawn::Failed { reason }));
    assert_eq!(world.balance(&net(Alpha)).held, 0);
    check_journal(&world.state);
}
