//! Connections: what speaks against one, in which order, and how it is answered and changed.

use rules::Class::{Conflict, NotAuthentic, NotFound, NotPermitted, Unprocessable};
use rules::connect::{OpenConnection, UpdateConnection};
use rules::operate::UpdatePartner;
use rules::record::{ConnectionState, KeySchema, MessageCall};

use crate::harness::{World, stored};
use crate::network::*;

const NEW: Link = Link {
    client: Who::Alpha,
    partner: Who::Async,
    number: 5,
};

fn stop(number: u128, partner: Who, active: bool) -> UpdatePartner {
    UpdatePartner {
        id: partner.partner(),
        active: Some(active),
        stable: None,
        operator: act(number),
    }
}

fn update(link: Link, active: Option<bool>) -> UpdateConnection {
    UpdateConnection {
        id: link.connection(),
        enterprise_id: link.client.enterprise(),
        active,
        name: None,
    }
}

/// The obstacles are mended one after the other, each revealing the next.
#[test]
fn a_connection_is_refused_in_this_order() {
    let mut world = ready();
    let outsider = Link {
        client: Who::Outsider,
        ..NEW
    };
    let mut request = open_connection(1, outsider);
    request.key_schema = KeySchema::Clearloop;
    request.key_is_sealed_for_partner = false;
    world.done(stop(2, Who::Async, false));
    world.refused(
        request.clone(),
        Unprocessable,
        "partner_inactive",
        "no new connections",
    );
    world.done(stop(3, Who::Async, true));
    let schema = "connection_key_schema_mismatch";
    world.refused(
        request.clone(),
        Unprocessable,
        schema,
        "schema token, not clearloop",
    );
    request.key_schema = KeySchema::Token;
    world.refused(request, Unprocessable, "trust_org_mismatch", "trust");
    let mut request = open_connection(4, NEW);
    request.key_is_sealed_for_partner = false;
    world.refused(
        request.clone(),
        Unprocessable,
        "connection_key_not_sealed",
        "seal",
    );
    request.key_is_sealed_for_partner = true;
    world.done(request);
}

#[test]
fn authority_comes_before_existence_and_existence_before_rules() {
    type Change = fn(&mut OpenConnection);
    let mut world = ready();
    let cases: [(Change, rules::Class, &str); 4] = [
        (
            |r| r.client_id = rules::ClientId(identifier(4, 99)),
            NotFound,
            "client_not_found",
        ),
        (
            |r| r.signed.key_id = Who::Alpha.revoked_key(),
            NotAuthentic,
            "signing_key_revoked",
        ),
        (
            |r| r.signed.key_id = Who::Beta.key(),
            NotAuthentic,
            "signing_key_revoked",
        ),
        (
            |r| r.partner_id = rules::PartnerId(identifier(5, 99)),
            NotFound,
            "partner_not_found",
        ),
    ];
    for (change, class, name) in cases {
        let mut request = open_connection(1, NEW);
        request.key_schema = KeySchema::Clearloop;
        change(&mut request);
        world.refused(request, class, name, "");
    }
    let unlicensed = Link {
        client: Who::Unlicensed,
        ..NEW
    };
    world.refused(
        open_connection(1, unlicensed),
        NotPermitted,
        "no_oes_licence",
        "licence",
    );
}

#[test]
fn a_new_connection_waits_for_its_partner_and_the_request_works_on_the_message() {
    let mut world = ready();
    let opened = world.done(open_connection(1, NEW));
    assert!(opened.fresh && opened.connection.active);
    assert!(matches!(
        opened.connection.state,
        ConnectionState::Created { .. }
    ));
    assert_eq!(opened.connection.partners_ids(), None);
    let message = stored::<rules::record::Message>(&world.state, &NEW.connection().0);
    let message = message.expect("a message");
    assert_eq!(message.call, Some(MessageCall::Connect));
    assert_eq!(message.leased_until, world.now.plus_millis(10_000));
}

#[test]
fn the_same_signed_request_meets_its_connection_even_when_rules_now_speak_against_it() {
    let mut world = ready();
    let request = open_connection(1, NEW);
    let first = world.done(request.clone()).connection;
    world.done(stop(2, Who::Async, false));
    let mut again = request.clone();
    again.id = Link { number: 6, ..NEW }.connection();
    let again = world.done(again);
    assert!(!again.fresh);
    assert_eq!(again.connection, first);

    let mut other = request;
    other.signed = signed(3, Who::Alpha, &other.signed.nonce, "other bytes");
    world.refused(other, Conflict, "nonce_taken", "fresh one");
}

#[test]
fn an_accepted_connection_has_the_partners_names_and_a_wiped_key() {
    let mut world = ready();
    world.done(open_connection(1, NEW));
    let accepted = world.done(NEW.accepted());
    let (connection, client) = NEW.partners_ids();
    assert_eq!(
        accepted.partners_ids(),
        Some((connection.as_str(), client.as_str()))
    );
    assert!(!format!("{accepted:?}").contains("sealed_key"));
    let message = stored::<rules::record::Message>(&world.state, &NEW.connection().0);
    assert_eq!(message.and_then(|m| m.call), None);
}

#[test]
fn the_first_answer_to_a_connection_stands() {
    for (first, second) in [
        (NEW.accepted(), NEW.rejected()),
        (NEW.rejected(), NEW.accepted()),
    ] {
        let mut world = ready();
        world.done(open_connection(1, NEW));
        let answered = world.done(first);
        assert_eq!(world.done(second), answered);
    }
    ready().refused(NEW.accepted(), NotFound, "connection_not_found", "");
}

#[test]
fn a_rejected_connection_is_inactive_and_cannot_be_activated() {
    let mut world = ready();
    let connection = stored::<rules::record::Connection>(&world.state, &REJECTED.connection());
    assert!(!connection.expect("a connection").active);
    let rejected = "connection_rejected";
    world.refused(
        update(REJECTED, Some(true)),
        Unprocessable,
        rejected,
        "open a new one",
    );
    world.done(update(REJECTED, Some(false)));
    let rename = UpdateConnection {
        name: Some("the old one".to_owned()),
        ..update(REJECTED, None)
    };
    assert_eq!(world.done(rename).name, "the old one");
}

#[test]
fn only_its_client_changes_a_connection() {
    let mut world = ready();
    let mine = link(Who::Alpha, Who::Sync);
    for stranger in [Who::Beta, Who::Sync] {
        let mut request = update(mine, Some(false));
        request.enterprise_id = stranger.enterprise();
        world.refused(request, NotFound, "connection_not_found", "");
    }
    let unlicensed = update(link(Who::Unlicensed, Who::Sync), Some(true));
    world.refused(unlicensed, NotPermitted, "no_oes_licence", "");
    assert!(!world.done(update(mine, Some(false))).active);
    assert!(world.done(update(mine, Some(true))).active);
}

#[test]
fn a_change_that_changes_nothing_leaves_no_trace() {
    let mut world: World = ready();
    let before = world.done(update(link(Who::Alpha, Who::Sync), None));
    world.pass_seconds(10);
    assert_eq!(
        world.done(update(link(Who::Alpha, Who::Sync), Some(true))),
        before
    );
}
