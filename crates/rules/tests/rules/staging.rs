//! Settlements that are staged: from the hold at T0 to the end of the top-up window.

use ledger::Timestamp;
use rules::record::{
    MessageCall, Partner, Settlement, SettlementForm, SettlementState, Transfer, TransferStatus,
};
use rules::settle::{
    AdvanceSettlement, Carried, KnownTransfers, RejectSettlement, SettlementLine, Stage,
};
use rules::{Class, Command, Draft, Keys, Refusal, SettlementId, TransferId};

use crate::harness::{World, check_journal, stored};
use crate::network::Who::{Alpha, Beta, Broker, Staged, Sync};
use crate::network::*;

/// A partner's windows, in minutes, as if it had been created with them.
#[derive(Clone, Debug)]
pub(crate) struct SetWindows {
    pub(crate) partner: Who,
    pub(crate) dispute: u16,
    pub(crate) top_up: Option<u16>,
}

impl Command for SetWindows {
    type Outcome = ();

    fn keys(&self) -> Keys {
        Keys {
            partners: [self.partner.partner()].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, _: Timestamp) -> Result<(), Refusal> {
        let partner = draft.find::<Partner>(&self.partner.partner()).cloned();
        draft.put(Partner {
            dispute_window_minutes: Some(self.dispute),
            top_up_window_minutes: self.top_up,
            ..partner.expect("the partner")
        });
        Ok(())
    }
}

/// A network whose exchange and broker have an hour for disputes and half an hour to top up.
pub(crate) fn with_windows() -> World {
    let mut world = ready();
    for partner in [Staged, Broker] {
        world.done(SetWindows {
            partner,
            dispute: 60,
            top_up: Some(30),
        });
    }
    world
}

pub(crate) fn stage(number: u128, partner: Who, lines: Vec<SettlementLine>) -> Stage {
    stage_in(SettlementForm::Party, number, partner, lines)
}

pub(crate) fn stage_in(
    form: SettlementForm,
    number: u128,
    partner: Who,
    lines: Vec<SettlementLine>,
) -> Stage {
    Stage {
        posted: settle(number, partner, form, lines),
        cutoff_at: Timestamp(1),
        carried: Vec::new(),
    }
}

/// What waits for a settlement of the partner, as the network finds it.
pub(crate) fn waiting(world: &World, partner: Who, number: u128) -> Vec<Carried> {
    let waiting = world.state.transfers.iter().filter(|transfer| {
        transfer.settlement_id.is_none() && transfer.partner_id == partner.partner()
    });
    let carried = (0..).zip(waiting).map(|(place, transfer)| Carried {
        transfer_id: transfer.id,
        accounts: [&transfer.source, &transfer.destination]
            .map(|side| side.account(&transfer.currency)),
        part_id: TransferId(identifier(30, number * 100 + place)),
    });
    carried.collect()
}

pub(crate) fn transfers_of(world: &World, settlement: SettlementId) -> Vec<Transfer> {
    let transfers = world.state.transfers.iter();
    let mut own: Vec<Transfer> = transfers
        .filter(|transfer| transfer.settlement_id == Some(settlement))
        .cloned()
        .collect();
    own.sort_by_key(|transfer| transfer.position);
    own
}

pub(crate) fn advance(world: &mut World, number: u128, of: SettlementId) -> Settlement {
    let transfers = KnownTransfers::of(&transfers_of(world, of));
    world.done(AdvanceSettlement {
        id: of,
        transfers,
        entry_id: entry_id(number),
    })
}

fn reject(world: &World, number: u128, of: SettlementId) -> RejectSettlement {
    RejectSettlement {
        id: of,
        transfers: KnownTransfers::of(&transfers_of(world, of)),
        reason: "it will not be funded".to_owned(),
        entry_id: entry_id(number),
        operator: act(number),
    }
}

fn statuses(world: &World, settlement: SettlementId) -> Vec<TransferStatus> {
    let transfers = transfers_of(world, settlement);
    transfers
        .into_iter()
        .map(|transfer| transfer.status)
        .collect()
}

fn link_of(client: Who) -> Link {
    link(client, Staged)
}

#[test]
fn losses_are_held_at_once_and_booked_when_the_window_ends() {
    let mut world = with_windows();
    let lines = vec![
        party_line(link_of(Alpha), btc(), -40),
        party_line(link_of(Beta), btc(), 25),
    ];
    let staged = world.done(stage(1, Staged, lines));
    assert_eq!(staged.state, SettlementState::Pending);
    let alpha = link_of(Alpha).net(&btc());
    assert_eq!(
        (world.balance(&alpha).available, world.balance(&alpha).held),
        (60, 40)
    );
    let partner = world.balance(&Staged.go(&btc())).available;

    world.pass_seconds(3_599);
    let early = advance(&mut world, 2, staged.id);
    assert_eq!(early, staged, "the window has not ended");
    world.pass_seconds(1);
    let done = advance(&mut world, 3, staged.id);
    assert!(
        matches!(done.state, SettlementState::Completed { .. }),
        "{done:?}"
    );
    assert_eq!(done.due_at(), None);
    assert_eq!(world.balance(&alpha).held, 0);
    assert_eq!(world.balance(&link_of(Beta).net(&btc())).available, 125);
    assert_eq!(world.balance(&Staged.go(&btc())).available, partner + 15);
    assert_eq!(statuses(&world, staged.id), [TransferStatus::Completed; 2]);
    let message = stored::<rules::record::Message>(&world.state, &staged.id.0);
    assert_eq!(
        message.expect("a message").call,
        Some(MessageCall::Finalize)
    );
    assert_eq!(advance(&mut world, 4, staged.id), done, "it is done once");
    check_journal(&world.state);
}

#[test]
fn a_window_of_zero_minutes_ends_at_once() {
    let mut world = ready();
    world.done(SetWindows {
        partner: Staged,
        dispute: 0,
        top_up: None,
    });
    let lines = vec![party_line(link_of(Alpha), btc(), -40)];
    world.refused(
        settle_party(1, Staged, lines.clone()),
        Class::NotPermitted,
        "disputes_need_v2",
        "version 2",
    );
    let staged = world.done(stage(2, Staged, lines));
    let done = advance(&mut world, 3, staged.id);
    assert!(
        matches!(done.state, SettlementState::Completed { .. }),
        "{done:?}"
    );
}

#[test]
fn nothing_is_staged_unless_every_loss_is_covered_gross() {
    let mut world = with_windows();
    // What a connection gains does not cover what it loses in another transfer.
    let lines = vec![
        pair_line(link(Beta, Broker), link(Alpha, Broker), btc(), 500),
        pair_line(link(Alpha, Broker), link(Beta, Broker), btc(), 120),
        pair_line(link(Alpha, Broker), link(Beta, Broker), eth(), 3),
    ];
    let request = stage_in(SettlementForm::Pair, 1, Broker, lines);
    let Err(refusal) = world.ask(request) else {
        panic!("it is staged")
    };
    assert_eq!(refusal.class, Class::Unprocessable);
    let message = refusal.reason.message;
    let (alpha, beta) = (
        link(Alpha, Broker).connection(),
        link(Beta, Broker).connection(),
    );
    for told in [
        format!("connection {beta} needs 500 ofcbtc and has 100 available"),
        format!("connection {alpha} needs 120 ofcbtc and has 100 available"),
        format!("connection {alpha} needs 3 ofceth and has 0 available"),
    ] {
        assert!(
            message.contains(&told),
            "{told:?} is missing in {message:?}"
        );
    }
}

#[test]
fn a_partner_without_disputes_does_not_stage() {
    let mut world = with_windows();
    let lines = vec![party_line(link(Alpha, Sync), btc(), -1)];
    world.refused(
        stage(1, Sync, lines),
        Class::NotPermitted,
        "disputes_not_enabled",
        "version 1",
    );
    world.refused(
        stage(2, Staged, Vec::new()),
        Class::Invalid,
        "nothing_to_settle",
        "closed disputes",
    );
}

#[test]
fn the_same_request_answers_the_settlement_and_other_content_is_refused() {
    let mut world = with_windows();
    let lines = vec![party_line(link_of(Alpha), btc(), -40)];
    let request = stage(1, Staged, lines);
    let staged = world.done(request.clone());
    let mut again = request.clone();
    again.posted.id = SettlementId(identifier(15, 2));
    again.posted.signed = signed(2, Staged, "another nonce", "again");
    assert_eq!(world.done(again), staged);
    let mut later = request;
    later.cutoff_at = Timestamp(2);
    world.refused(later, Class::Conflict, "external_id_taken", "cutoffAt");
}

#[test]
fn what_is_short_waits_for_money_until_the_top_up_window_ends_and_after() {
    let mut world = with_windows();
    let lines = vec![
        party_line(link_of(Alpha), eth(), 500),
        party_line(link_of(Beta), btc(), -10),
    ];
    let staged = world.done(stage(1, Staged, lines));
    let found_short_at =
        |settlement: &Settlement| settlement.staging.as_ref().and_then(|s| s.found_short_at);
    world.pass_seconds(3_600);
    let short = advance(&mut world, 2, staged.id);
    assert_eq!(short.state, SettlementState::Pending);
    assert_eq!(found_short_at(&short), Some(world.state.last_entry()));
    assert_eq!(
        short.due_at(),
        short.staging.as_ref().map(|s| s.top_up_window_ends_at)
    );

    world.pass_seconds(1_800);
    let failed = advance(&mut world, 3, staged.id);
    let SettlementState::Failed { reason } = &failed.state else {
        panic!("{failed:?}")
    };
    assert!(
        reason
            .message
            .contains("Go Account needs 500 ofceth and has 300"),
        "{reason}"
    );
    assert_eq!(failed.due_at(), None);
    assert_eq!(
        world.balance(&link_of(Beta).net(&btc())).held,
        10,
        "it keeps its holds"
    );

    world.done(deposit(4, Staged, eth(), 200));
    assert!(found_short_at(&failed) < Some(world.state.last_entry()));
    let done = advance(&mut world, 5, staged.id);
    assert!(
        matches!(done.state, SettlementState::Completed { .. }),
        "{done:?}"
    );
    assert_eq!(found_short_at(&done), None);
    check_journal(&world.state);
}

#[test]
fn a_clock_that_jumps_ends_both_windows_at_once() {
    let mut world = with_windows();
    let lines = vec![party_line(link_of(Alpha), eth(), 500)];
    let staged = world.done(stage(1, Staged, lines));
    world.pass_seconds(86_400);
    let failed = advance(&mut world, 2, staged.id);
    assert!(
        matches!(failed.state, SettlementState::Failed { .. }),
        "{failed:?}"
    );
    let message = stored::<rules::record::Message>(&world.state, &staged.id.0);
    assert!(message.is_some(), "the partner is told all the same");
}

#[test]
fn a_deallocation_takes_nothing_from_a_staged_settlement() {
    let mut world = with_windows();
    let lines = vec![party_line(link_of(Alpha), btc(), -70)];
    let staged = world.done(stage(1, Staged, lines));
    let refused = world.done(deallocate(2, link_of(Alpha), 31));
    assert!(!refused.allocation.is_reserved());
    let taken = world.done(deallocate(3, link_of(Alpha), 30));
    assert!(taken.allocation.is_reserved());
    world.pass_seconds(3_600);
    let done = advance(&mut world, 4, staged.id);
    assert!(
        matches!(done.state, SettlementState::Completed { .. }),
        "{done:?}"
    );
}

#[test]
fn a_staged_settlement_runs_on_when_its_partner_is_deactivated() {
    let mut world = with_windows();
    let lines = vec![party_line(link_of(Alpha), btc(), -70)];
    let staged = world.done(stage(1, Staged, lines.clone()));
    world.done(rules::operate::UpdatePartner {
        id: Staged.partner(),
        active: Some(false),
        stable: None,
        operator: act(2),
    });
    world.refused(
        stage(3, Staged, lines),
        Class::NotPermitted,
        "partner_inactive",
        "inactive",
    );
    world.pass_seconds(3_600);
    let done = advance(&mut world, 4, staged.id);
    assert!(
        matches!(done.state, SettlementState::Completed { .. }),
        "{done:?}"
    );
}

#[test]
fn a_failed_settlement_can_be_rejected_and_gives_back_what_it_held() {
    let mut world = with_windows();
    let lines = vec![
        party_line(link_of(Alpha), eth(), 500),
        party_line(link_of(Beta), btc(), -10),
    ];
    let staged = world.done(stage(1, Staged, lines));
    let early = reject(&world, 2, staged.id);
    world.refused(early, Class::Conflict, "settlement_pending", "windows");
    world.pass_seconds(5_400);
    advance(&mut world, 3, staged.id);
    let request = reject(&world, 4, staged.id);
    let rejected = world.done(request.clone());
    assert!(
        matches!(rejected.state, SettlementState::Rejected { .. }),
        "{rejected:?}"
    );
    assert_eq!(world.balance(&link_of(Beta).net(&btc())).available, 100);
    assert_eq!(statuses(&world, staged.id), [TransferStatus::Rejected; 2]);
    assert_eq!(world.done(request), rejected, "again changes nothing");
    assert_eq!(
        advance(&mut world, 5, staged.id),
        rejected,
        "it is not tried again"
    );
    check_journal(&world.state);
}

#[test]
fn between_connections_the_loser_holds_and_the_other_gains() {
    let mut world = with_windows();
    let (alpha, beta) = (link(Alpha, Broker), link(Beta, Broker));
    let lines = vec![
        pair_line(alpha, beta, btc(), 30),
        pair_line(beta, alpha, btc(), 5),
    ];
    let staged = world.done(stage_in(SettlementForm::Pair, 1, Broker, lines));
    assert_eq!(world.balance(&alpha.net(&btc())).held, 30);
    assert_eq!(world.balance(&beta.net(&btc())).held, 5);
    world.pass_seconds(3_600);
    advance(&mut world, 2, staged.id);
    assert_eq!(world.balance(&alpha.net(&btc())).available, 75);
    assert_eq!(world.balance(&beta.net(&btc())).available, 125);
}
