//! Becoming a client or a partner (C1, P1), and the order in which Create Partner says no.

use rules::Class::{NotPermitted, Unprocessable};
use rules::onboard::CreatePartner;
use rules::operate::PutPartnerConfiguration;
use rules::record::{Activation, KeySchema};
use rules::{ClientId, PartnerId};

use crate::harness::World;
use crate::network::*;

#[test]
fn becoming_a_client_again_answers_the_client_there_is() {
    let mut world = set_up();
    let first = world.done(become_client(Who::Alpha));
    assert_eq!(first.go_account_id, Who::Alpha.go_account());
    assert_eq!(first.trust_org, Who::Alpha.trust_org());
    world.pass_seconds(60);
    let mut again = become_client(Who::Alpha);
    again.client_id = ClientId(identifier(20, 1));
    assert_eq!(world.done(again), first);
    assert_eq!(world.state.clients.iter().count(), 1);
}

#[test]
fn a_client_needs_a_licence_first_and_then_a_go_account() {
    let mut world = World::empty();
    world.refused(
        become_client(Who::Alpha),
        NotPermitted,
        "no_oes_licence",
        "licence",
    );
    world.done(put_enterprise(1, Who::Alpha, false));
    world.refused(
        become_client(Who::Alpha),
        NotPermitted,
        "no_oes_licence",
        "licence",
    );
    world.done(put_enterprise(2, Who::Alpha, true));
    world.refused(
        become_client(Who::Alpha),
        Unprocessable,
        "no_go_account",
        "Go Account",
    );
    world.done(open_go_account(3, Who::Alpha));
    world.done(become_client(Who::Alpha));
}

/// Decisions §4: licence, configuration, Go Account, existing partner; each is told only once
/// those before it are met.
#[test]
fn create_partner_says_no_in_this_order() {
    let mut world = World::empty();
    let mut partner = create_partner(Who::Sync);
    world.refused(partner.clone(), NotPermitted, "no_oes_licence", "licence");
    world.done(put_enterprise(1, Who::Sync, true));
    let missing = "Partner configuration is missing";
    world.refused(
        partner.clone(),
        Unprocessable,
        "partner_configuration_missing",
        missing,
    );
    world.done(put_currency(2, btc()));
    world.done(put_currency(3, eth()));
    world.done(put_configuration(4, Who::Sync));
    world.refused(
        partner.clone(),
        Unprocessable,
        "no_go_account",
        "Go Account",
    );
    world.done(open_go_account(5, Who::Sync));
    world.done(partner.clone());
    "another".clone_into(&mut partner.name);
    world.refused(partner, Unprocessable, "partner_exists", "name");
}

#[test]
fn a_configuration_of_another_enterprise_is_none() {
    let mut world = set_up();
    let mut partner = create_partner(Who::Alpha);
    Who::Sync
        .name()
        .clone_into(&mut partner.institution_identifier);
    world.refused(
        partner,
        Unprocessable,
        "partner_configuration_missing",
        "sync",
    );
}

#[test]
fn a_new_partner_is_active_not_stable_and_has_a_client_record() {
    let mut world = set_up();
    let partner = world.done(create_partner(Who::Sync));
    assert!(partner.active && !partner.stable);
    assert_eq!(partner.client_id, Who::Sync.client());
    assert_eq!(partner.go_account_id, Who::Sync.go_account());
    let client = world.done(become_client(Who::Sync));
    assert_eq!(client.id, partner.client_id);
}

#[test]
fn a_partner_takes_the_client_record_that_the_enterprise_has() {
    let mut world = set_up();
    let client = world.done(become_client(Who::Sync));
    let mut partner = create_partner(Who::Sync);
    partner.client_id = ClientId(identifier(20, 1));
    assert_eq!(world.done(partner).client_id, client.id);
    assert_eq!(world.state.clients.iter().count(), 1);
}

#[test]
fn with_activation_after_conformance_a_partner_is_born_inactive() {
    let mut world = set_up();
    let mut configuration = configuration(Who::Sync);
    configuration.activation = Activation::AfterConformance;
    let operator = act(1);
    world.done(PutPartnerConfiguration {
        configuration,
        operator,
    });
    assert!(!world.done(create_partner(Who::Sync)).active);
}

#[test]
fn an_existing_partner_is_answered_when_the_content_is_the_same() {
    let mut world = set_up();
    let first = world.done(create_partner(Who::Sync));
    world.pass_seconds(60);
    let mut again = create_partner(Who::Sync);
    again.partner_id = PartnerId(identifier(21, 1));
    assert_eq!(world.done(again), first);
}

#[test]
fn an_existing_partner_with_other_content_is_refused_by_the_names_of_what_differs() {
    type Change = fn(&mut CreatePartner);
    let changes: [(&str, Change); 7] = [
        ("name", |p| p.name.push('!')),
        ("broker", |p| p.broker = true),
        ("institutionId", |p| {
            p.institution_id = Some(identifier(21, 2))
        }),
        ("connectionKeySchema", |p| {
            p.key_schema = KeySchema::Clearloop
        }),
        ("clientDisputeWindowMinutes", |p| {
            p.dispute_window_minutes = Some(0)
        }),
        ("topUpWindowMinutes", |p| p.top_up_window_minutes = Some(0)),
        ("allocationPoliciesEnabled", |p| {
            p.allocation_policies_enabled = true
        }),
    ];
    let mut world = set_up();
    world.done(create_partner(Who::Sync));
    for (member, change) in changes {
        let mut other = create_partner(Who::Sync);
        change(&mut other);
        let differs = format!("different: {member}");
        world.refused(other, Unprocessable, "partner_exists", &differs);
    }
}

#[test]
fn one_enterprise_may_be_several_partners_under_different_identifiers() {
    let mut world = set_up();
    let first = world.done(create_partner(Who::Sync));
    let mut configuration = configuration(Who::Sync);
    "second desk".clone_into(&mut configuration.institution_identifier);
    let operator = act(1);
    world.done(PutPartnerConfiguration {
        configuration,
        operator,
    });
    let mut second = create_partner(Who::Sync);
    second.partner_id = PartnerId(identifier(21, 3));
    "second desk".clone_into(&mut second.institution_identifier);
    let second = world.done(second);
    assert_ne!(second.id, first.id);
    assert_eq!(second.client_id, first.client_id);
}
