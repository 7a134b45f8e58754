//! What operators suspend takes nothing new, and gives everything back.

use rules::Class::{NotFound, Unprocessable};
use rules::connect::UpdateConnection;
use rules::partner_key::SetPartnerKey;
use rules::record::{AllocationState, OperatorAct, PartnerConfiguration};
use rules::suspend::{SuspendClient, SuspendConnection};
use rules::{ClientId, ConnectionId};

use crate::harness::{World, differences, stored};
use crate::network::Who::{Alpha, Beta, Sync};
use crate::network::*;

fn client(number: u128, who: Who, suspended: bool) -> SuspendClient {
    SuspendClient {
        id: who.client(),
        suspended,
        operator: act(number),
    }
}

fn connection(number: u128, link: Link, suspended: bool) -> SuspendConnection {
    SuspendConnection {
        id: link.connection(),
        suspended,
        operator: act(number),
    }
}

fn wants(link: Link, active: bool) -> UpdateConnection {
    UpdateConnection {
        id: link.connection(),
        enterprise_id: Alpha.enterprise(),
        active: Some(active),
        name: None,
    }
}

/// Why an allocation over the link was released, if it was.
fn released(world: &mut World, number: u128, link: Link) -> Option<String> {
    match world.done(allocate(number, link, 10)).allocation.state {
        AllocationState::Released { reason } => Some(reason.name),
        _ => None,
    }
}

#[test]
fn a_suspended_client_allocates_nothing_and_gets_everything_back() {
    let mut world = ready();
    let (own, other) = (link(Alpha, Sync), link(Beta, Sync));
    let suspended = world.done(client(1, Alpha, true));
    assert_eq!(suspended.suspended_at, Some(world.now));
    let kept = world.state.clone();
    world.pass_seconds(60);
    assert_eq!(world.done(client(2, Alpha, true)), suspended);
    assert_eq!(differences(&kept, &world.state), [""; 0]);

    assert_eq!(
        released(&mut world, 3, own).as_deref(),
        Some("client_suspended")
    );
    assert_eq!(released(&mut world, 4, other), None);
    let mut opened = open_connection(5, own);
    opened.id = ConnectionId(identifier(60, 5));
    world.refused(opened, Unprocessable, "client_suspended", "settled as ever");
    // Money comes back, and is settled.
    let back = world.done(deallocate(6, own, 20)).allocation;
    assert!(back.is_reserved());
    world.done(clear(7, 6));
    let line = party_line(own, btc(), -30);
    world.done(settle_party(8, Sync, vec![line]));

    let active = world.done(client(9, Alpha, false));
    assert_eq!(active.suspended_at, None);
    assert_eq!(released(&mut world, 10, own), None);
    let name = |number| {
        let act = stored::<OperatorAct>(&world.state, &act(number).id);
        act.map(|act| act.act.clone())
    };
    assert_eq!(name(1).as_deref(), Some("suspend_client"));
    assert_eq!(name(9).as_deref(), Some("reactivate_client"));
    let mut nobody = client(11, Alpha, true);
    nobody.id = ClientId(identifier(60, 6));
    world.refused(nobody, NotFound, "client_not_found", "");
}

#[test]
fn a_suspended_connection_is_as_its_client_wants_it_once_it_is_reactivated() {
    for (wanted_before, wanted_meanwhile, after) in [
        (true, None, true),
        (true, Some(false), false),
        (false, None, false),
    ] {
        let mut world = ready();
        let own = link(Alpha, Sync);
        world.done(wants(own, wanted_before));
        assert!(!world.done(connection(1, own, true)).active);
        let name = released(&mut world, 2, own);
        assert_eq!(name.as_deref(), Some("connection_suspended"));
        let activated = wants(own, true);
        world.refused(
            activated,
            Unprocessable,
            "connection_suspended",
            "suspended",
        );
        if let Some(active) = wanted_meanwhile {
            assert!(!world.done(wants(own, active)).active);
        }
        assert!(world.done(deallocate(3, own, 20)).allocation.is_reserved());
        assert_eq!(world.done(connection(4, own, false)).active, after);
        let act = stored::<OperatorAct>(&world.state, &act(1).id).expect("an act");
        assert!(!act.detail.contains("sealed"), "{}", act.detail);
        world.done(wants(own, true));
        assert_eq!(released(&mut world, 5, own), None);
    }
}

#[test]
fn a_partner_s_public_key_changes_by_itself() {
    let mut world = ready();
    let set = |number, key: Option<&str>| SetPartnerKey {
        enterprise_id: Sync.enterprise(),
        institution_identifier: configuration(Sync).institution_identifier,
        public_key: key.map(str::to_owned),
        operator: act(number),
    };
    let key = (
        Sync.enterprise(),
        configuration(Sync).institution_identifier,
    );
    let before = stored::<PartnerConfiguration>(&world.state, &key).cloned();
    let before = before.expect("a configuration");
    let first = world.done(set(1, Some("one")));
    assert_eq!(world.done(set(2, Some("one"))), first);
    let second = world.done(set(3, Some("two")));
    let none = world.done(set(4, None));
    let versions = [first.version, second.version, none.version];
    assert_eq!(versions, [1, 2, 3].map(|more| before.version + more));
    let rest = PartnerConfiguration {
        version: before.version,
        updated_at: before.updated_at,
        public_key: before.public_key.clone(),
        ..none
    };
    assert_eq!(rest, before);
    let recorded = |number| stored::<OperatorAct>(&world.state, &act(number).id);
    let detail = &recorded(3).expect("an act").detail;
    assert_eq!(detail, "before: Some(\"one\")\nafter: Some(\"two\")");
    assert!(recorded(2).is_none());
    let mut nobody = set(5, None);
    "nowhere".clone_into(&mut nobody.institution_identifier);
    let name = "partner_configuration_not_found";
    world.refused(nobody, NotFound, name, "");
}
