//! Settlements that are booked at once (P10): all or nothing, judged as a whole.

use ledger::{Amount, Balance, Currency};
use rules::Class::{Conflict, Invalid, NotAuthentic, NotFound, NotPermitted};
use rules::operate::UpdatePartner;
use rules::record::{Settlement, SettlementForm, SettlementState, Transfer, TransferStatus};
use rules::settle::{Settle, SettlementLine};
use rules::{Class, TransferId};

use crate::harness::{World, stored};
use crate::network::*;

fn alpha(partner: Who) -> Link {
    link(Who::Alpha, partner)
}

fn beta(partner: Who) -> Link {
    link(Who::Beta, partner)
}

fn available(world: &World, account: &ledger::Account) -> i128 {
    let Balance { available, held } = world.balance(account);
    assert_eq!(held, 0);
    available
}

/// What Alpha's and Beta's connections and the partner itself have of a currency.
fn standing(world: &World, partner: Who, currency: &Currency) -> [i128; 3] {
    [
        alpha(partner).net(currency),
        beta(partner).net(currency),
        partner.go(currency),
    ]
    .map(|account| available(world, &account))
}

fn completed(settlement: &Settlement) -> bool {
    matches!(settlement.state, SettlementState::Completed { .. })
}

fn failure(settlement: &Settlement) -> &str {
    match &settlement.state {
        SettlementState::Failed { reason } => {
            assert_eq!(reason.name, "insufficient_balance");
            &reason.message
        }
        other => panic!("not failed: {other:?}"),
    }
}

fn transfers(world: &World, settlement: &Settlement) -> Vec<Transfer> {
    (0..u32::try_from(settlement.transfer_count).expect("a small number"))
        .map(|index| TransferId::of(settlement.id, index))
        .map(|id| {
            stored::<Transfer>(&world.state, &id)
                .expect("a transfer")
                .clone()
        })
        .collect()
}

fn stop(world: &mut World, partner: Who) {
    world.done(UpdatePartner {
        id: partner.partner(),
        active: Some(false),
        stable: None,
        operator: act(700_003),
    });
}

#[test]
fn gains_come_from_the_partner_and_losses_go_to_it() {
    let mut world = ready();
    let lines = vec![
        party_line(alpha(Who::Sync), btc(), 70),
        party_line(beta(Who::Sync), btc(), -40),
        party_line(beta(Who::Sync), eth(), 5),
    ];
    let settlement = world.done(settle_party(1, Who::Sync, lines.clone()));
    assert!(completed(&settlement));
    assert_eq!(standing(&world, Who::Sync, &btc()), [170, 60, 270]);
    assert_eq!(standing(&world, Who::Sync, &eth()), [0, 5, 295]);
    let entry = world.state.entries.last().expect("an entry");
    assert_eq!(
        (entry.cause.as_ref(), entry.postings.len()),
        ("settlement_completed", 3)
    );
    for (transfer, line) in transfers(&world, &settlement).iter().zip(&lines) {
        assert_eq!(transfer.status, TransferStatus::Completed);
        assert_eq!(transfer.entry, Some(entry.id));
        assert_eq!(
            (transfer.amount, &transfer.currency),
            (line.amount, &line.currency)
        );
    }
}

/// Per account and currency only the net counts, in whatever order the lines stand.
#[test]
fn a_settlement_is_judged_on_its_net() {
    // The partner has 300, Alpha 100: both pass through figures that they do not have.
    let gain_then_loss = [
        party_line(alpha(Who::Sync), btc(), 1_000),
        party_line(beta(Who::Sync), btc(), -90),
        party_line(alpha(Who::Sync), btc(), -1_100),
        party_line(beta(Who::Sync), btc(), 490),
    ];
    for rotation in 0..4 {
        let mut world = ready();
        let mut lines = gain_then_loss.to_vec();
        lines.rotate_left(rotation);
        assert!(completed(&world.done(settle_party(1, Who::Sync, lines))));
        assert_eq!(standing(&world, Who::Sync, &btc()), [0, 500, 0]);
    }
}

#[test]
fn one_short_account_fails_the_whole_settlement_and_moves_nothing() {
    let cases: [(Vec<SettlementLine>, String); 3] = [
        (
            vec![
                party_line(alpha(Who::Sync), btc(), -101),
                party_line(beta(Who::Sync), eth(), 1),
            ],
            format!(
                "connection {} needs 101 ofcbtc and has 100",
                alpha(Who::Sync).connection()
            ),
        ),
        (
            vec![
                party_line(alpha(Who::Sync), btc(), -100),
                party_line(beta(Who::Sync), btc(), 401),
            ],
            "the partner's Go Account needs 301 ofcbtc and has 300".to_owned(),
        ),
        (
            vec![party_line(alpha(Who::Sync), usd(), -1)],
            format!(
                "connection {} needs 1 ofcusd and has 0",
                alpha(Who::Sync).connection()
            ),
        ),
    ];
    for (lines, telling) in cases {
        let mut world = ready();
        let before = world.state.clone();
        let settlement = world.done(settle_party(1, Who::Sync, lines));
        let message = failure(&settlement);
        assert!(message.contains(&telling), "{message}");
        assert!(world.state.balances.iter().eq(before.balances.iter()));
        assert_eq!(world.state.entries, before.entries);
        let transfers = transfers(&world, &settlement);
        assert!(
            transfers
                .iter()
                .all(|t| t.status == TransferStatus::Failed && t.entry.is_none())
        );
    }
}

#[test]
fn money_that_is_held_cannot_be_settled() {
    let mut world = ready();
    world.done(deallocate(1, alpha(Who::Sync), 60));
    let request = settle_party(2, Who::Sync, vec![party_line(alpha(Who::Sync), btc(), -50)]);
    let settlement = world.done(request.clone());
    assert!(failure(&settlement).contains("needs 50 ofcbtc and has 40"));
    world.done(release(3, 1));
    assert!(completed(&world.done(request)));
}

#[test]
fn a_failed_settlement_is_tried_again_with_the_same_transfers() {
    let mut world = ready();
    let lines = vec![
        party_line(alpha(Who::Sync), btc(), 350),
        party_line(beta(Who::Sync), btc(), -10),
    ];
    let request = settle_party(1, Who::Sync, lines);
    let failed = world.done(request.clone());
    let ids = |transfers: Vec<Transfer>| transfers.iter().map(|t| t.id).collect::<Vec<_>>();
    let failed_ids = ids(transfers(&world, &failed));
    world.pass_seconds(60);
    let again = world.done(request.clone());
    failure(&again);
    assert_eq!((again.id, again.created_at), (failed.id, failed.created_at));

    world.done(deposit(2, Who::Sync, btc(), 40));
    // Made afresh by the partner: other identifiers, another nonce, the same name and content.
    let mut afresh = settle_party(3, Who::Sync, request.lines.clone());
    afresh.external_id.clone_from(&request.external_id);
    let settled = world.done(afresh);
    assert!(completed(&settled));
    assert_eq!(
        (settled.id, settled.created_at),
        (failed.id, failed.created_at)
    );
    let transfers = transfers(&world, &settled);
    assert!(
        transfers
            .iter()
            .all(|t| t.status == TransferStatus::Completed)
    );
    assert_eq!(ids(transfers), failed_ids);
    assert_eq!(world.state.transfers.iter().count(), 2);
    assert_eq!(standing(&world, Who::Sync, &btc()), [450, 90, 0]);

    // And once it is completed, a repeat does nothing more, whatever has happened since.
    stop(&mut world, Who::Sync);
    assert_eq!(world.done(request), settled);
    assert_eq!(standing(&world, Who::Sync, &btc()), [450, 90, 0]);
}

#[test]
fn a_taken_name_with_other_content_is_a_conflict_that_names_what_differs() {
    type Change = fn(&mut Settle);
    let changes: [(&str, Change); 3] = [
        ("settlementAmounts", |s| s.content_digest = [7; 32]),
        ("notes", |s| s.notes = Some("rent".to_owned())),
        ("settlementAmounts, notes", |s| {
            s.content_digest = [7; 32];
            s.notes = Some("rent".to_owned());
        }),
    ];
    // Completed and failed ones alike.
    for units in [10, 1_000] {
        let mut world = ready();
        let request = settle_party(
            1,
            Who::Sync,
            vec![party_line(alpha(Who::Sync), btc(), units)],
        );
        world.done(request.clone());
        for (members, change) in changes {
            let mut other = request.clone();
            change(&mut other);
            other.signed = signed(2, Who::Sync, "a fresh nonce", members);
            let differs = format!("different: {members}.");
            world.refused(other, Conflict, "external_id_taken", &differs);
        }
    }
}

#[test]
fn names_are_taken_per_partner() {
    let mut world = ready();
    for (number, partner) in [(1, Who::Sync), (2, Who::Async)] {
        let mut request = settle_party(number, partner, vec![party_line(alpha(partner), btc(), 1)]);
        "the same name".clone_into(&mut request.external_id);
        assert!(completed(&world.done(request)));
    }
}

#[test]
fn who_may_not_settle_makes_no_record() {
    type Prepare = fn(&mut World);
    type Change = fn(&mut Settle);
    let nothing: Prepare = |_| ();
    let as_it_is: Change = |_| ();
    let cases: Vec<(Prepare, Change, Class, &str)> = vec![
        (
            |w| drop(w.done(put_enterprise(9, Who::Sync, false))),
            as_it_is,
            NotPermitted,
            "no_oes_licence",
        ),
        (
            |w| drop(w.done(revoke_key(9, Who::Sync.key()))),
            as_it_is,
            NotAuthentic,
            "signing_key_revoked",
        ),
        (
            nothing,
            |s| s.signed.key_id = Who::Alpha.key(),
            NotAuthentic,
            "signing_key_revoked",
        ),
        (
            nothing,
            |s| s.partner_id = Who::Async.partner(),
            NotFound,
            "partner_not_found",
        ),
        (
            nothing,
            |s| s.partner_id = rules::PartnerId(identifier(5, 99)),
            NotFound,
            "partner_not_found",
        ),
        (
            |w| stop(w, Who::Sync),
            as_it_is,
            NotPermitted,
            "partner_inactive",
        ),
        (
            nothing,
            |s| s.form = SettlementForm::Pair,
            Invalid,
            "pair_form_is_for_brokers",
        ),
    ];
    for (prepare, change, class, name) in cases {
        let mut world = ready();
        prepare(&mut world);
        let mut request = settle_party(1, Who::Sync, vec![party_line(alpha(Who::Sync), btc(), 1)]);
        change(&mut request);
        world.refused(request, class, name, "");
        assert_eq!(world.state.settlements.iter().count(), 0);
    }
}

/// Decisions §5, Q8: any dispute window, zero minutes included, means version 2 only.
#[test]
fn a_partner_with_a_dispute_window_has_to_use_version_2() {
    let request = settle_party(
        1,
        Who::Staged,
        vec![party_line(alpha(Who::Staged), btc(), 1)],
    );
    ready().refused(request, NotPermitted, "disputes_need_v2", "version 2");
}

#[test]
fn a_stopped_connection_is_settled_all_the_same() {
    let mut world = ready();
    world.done(rules::connect::UpdateConnection {
        id: alpha(Who::Sync).connection(),
        enterprise_id: Who::Alpha.enterprise(),
        active: Some(false),
        name: None,
    });
    let request = settle_party(
        1,
        Who::Sync,
        vec![party_line(alpha(Who::Sync), btc(), -100)],
    );
    assert!(completed(&world.done(request)));
}

#[test]
fn a_brokers_amounts_against_itself_cancel_out_per_currency() {
    let mut world = ready();
    let line = |link, currency, units| party_line(link, currency, units);
    let (alpha, beta) = (alpha(Who::Broker), beta(Who::Broker));
    let unbalanced = [
        (vec![line(alpha, btc(), 5)], "ofcbtc by 5"),
        (
            vec![line(alpha, btc(), -5), line(beta, btc(), 4)],
            "ofcbtc by -1",
        ),
        (
            vec![line(alpha, btc(), 5), line(beta, eth(), -5)],
            "ofcbtc by 5, ofceth by -5",
        ),
    ];
    for (lines, telling) in unbalanced {
        let request = settle_party(1, Who::Broker, lines);
        world.refused(request, Invalid, "broker_settlement_unbalanced", telling);
    }
    let balanced = vec![line(alpha, btc(), 60), line(beta, btc(), -60)];
    assert!(completed(&world.done(settle_party(
        2,
        Who::Broker,
        balanced
    ))));
    assert_eq!(standing(&world, Who::Broker, &btc()), [160, 40, 300]);
}

/// OES wire Q32: its Go Account is a pass-through, so it needs no funds of its own.
#[test]
fn a_broker_without_funds_settles_what_cancels_out() {
    let mut world = ready();
    world.done(withdraw(1, Who::Broker, btc(), 300));
    let lines = vec![
        party_line(alpha(Who::Broker), btc(), 60),
        party_line(beta(Who::Broker), btc(), -60),
    ];
    assert!(completed(&world.done(settle_party(2, Who::Broker, lines))));
}

#[test]
fn a_brokers_pairs_move_between_connections_and_leave_the_broker_alone() {
    let (alpha, beta) = (alpha(Who::Broker), beta(Who::Broker));
    for (units, after) in [(30, [70, 130, 300]), (-30, [130, 70, 300])] {
        let mut world = ready();
        let lines = vec![pair_line(alpha, beta, btc(), units)];
        assert!(completed(&world.done(settle(
            1,
            Who::Broker,
            SettlementForm::Pair,
            lines
        ))));
        assert_eq!(standing(&world, Who::Broker, &btc()), after);
    }
    let mut world = ready();
    let lines = vec![pair_line(alpha, beta, btc(), 101)];
    let failed = world.done(settle(1, Who::Broker, SettlementForm::Pair, lines));
    assert!(failure(&failed).contains("needs 101 ofcbtc and has 100"));
}

/// Decisions §2: an overflow while netting a request is a fault of the request.
#[test]
fn amounts_beyond_what_the_books_can_hold_are_refused() {
    let most = Amount::MAX.units();
    for partner in [Who::Sync, Who::Broker] {
        let lines = [alpha(partner), beta(partner)].map(|link| party_line(link, btc(), most));
        let request = settle_party(1, partner, lines.to_vec());
        ready().refused(
            request,
            Invalid,
            "amounts_out_of_bounds",
            "more than the books",
        );
    }
}

#[test]
fn a_failure_names_the_first_twenty_and_counts_the_others() {
    let mut world = ready();
    for number in 0..25 {
        let ticker = format!("ofccoin{number}").parse().expect("a ticker");
        world.done(put_currency(100 + number, ticker));
    }
    let lines = (0..25)
        .map(|n| format!("ofccoin{n}").parse().expect("a ticker"))
        .map(|currency| party_line(alpha(Who::Sync), currency, -1))
        .collect();
    let settlement = world.done(settle_party(1, Who::Sync, lines));
    let message = failure(&settlement);
    assert_eq!(message.matches(" needs ").count(), 20);
    assert!(message.contains("and 5 more"), "{message}");
}
