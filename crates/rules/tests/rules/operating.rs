//! What operators set up: said twice it is said once, and some things stay as they are.

use rules::Class::{Conflict, Invalid, NotFound, Unprocessable};
use rules::operate::{PutMembership, PutPartnerConfiguration, RevokeToken, UpdatePartner};
use rules::record::{EnterpriseRole, OperatorAct, PartnerConfiguration};
use rules::{TokenId, UserId};

use crate::harness::{World, stored};
use crate::network::*;
use crate::steps::issue_token;

fn recorded(world: &World, number: u128) -> Option<&OperatorAct> {
    stored::<OperatorAct>(&world.state, &act(number).id)
}

#[test]
fn a_change_is_recorded_and_no_change_leaves_no_trace() {
    let mut world = set_up();
    world.pass_seconds(60);
    let before = world.state.clone();
    for (number, who) in (1..).zip(EVERYBODY) {
        world.done(put_enterprise(number, who, true));
        world.done(put_user(number, who));
        world.done(open_go_account(number, who));
        world.done(add_key(number, who, who.key()));
        world.done(revoke_key(number, who.revoked_key()));
    }
    world.done(put_currency(1, btc()));
    world.done(put_configuration(1, Who::Sync));
    assert_eq!(crate::harness::differences(&before, &world.state), [""; 0]);

    world.done(put_enterprise(50, Who::Alpha, false));
    let act = recorded(&world, 50).expect("a record");
    assert_eq!(
        (act.act.as_ref(), act.subject.as_str()),
        ("put_enterprise", "alpha")
    );
    assert!(act.detail.contains("before: ") && act.detail.contains("after: "));
    assert_eq!((act.user_id, act.at), (Some(Who::Alpha.user()), world.now));
}

#[test]
fn what_money_depends_on_stays_once_set() {
    let mut world = set_up();
    let mut moved = put_enterprise(1, Who::Alpha, true);
    "Elsewhere".clone_into(&mut moved.trust_org);
    world.refused(moved, Unprocessable, "trust_org_is_fixed", "new enterprise");
    let mut scaled = put_currency(1, btc());
    scaled.decimals = 6;
    world.refused(scaled, Unprocessable, "decimals_are_fixed", "decimals");
    let mut grabbed = open_go_account(1, Who::Beta);
    grabbed.id = Who::Alpha.go_account();
    world.refused(grabbed, Conflict, "go_account_taken", "another enterprise");
    let grabbed = add_key(1, Who::Beta, Who::Alpha.key());
    world.refused(grabbed, Conflict, "signing_key_taken", "another key");
    let mut swapped = add_key(1, Who::Alpha, Who::Alpha.key());
    swapped.public_key = [3; 33];
    world.refused(swapped, Conflict, "signing_key_taken", "another key");
}

#[test]
fn the_first_go_account_is_the_one_that_the_network_uses() {
    let mut world = set_up();
    let mut second = open_go_account(1, Who::Alpha);
    second.id = ledger::GoAccountId(identifier(22, 1));
    world.done(second);
    assert_eq!(
        world.done(become_client(Who::Alpha)).go_account_id,
        Who::Alpha.go_account()
    );
}

#[test]
fn what_is_named_has_to_exist() {
    let mut world = World::empty();
    world.refused(
        open_go_account(1, Who::Alpha),
        NotFound,
        "enterprise_not_found",
        "",
    );
    let key = add_key(1, Who::Alpha, Who::Alpha.key());
    world.refused(key, NotFound, GO_ACCOUNT_NOT_FOUND, "");
    world.refused(
        revoke_key(1, Who::Alpha.key()),
        NotFound,
        "signing_key_not_found",
        "",
    );
    world.refused(
        issue_token(1, Who::Alpha.user()),
        NotFound,
        "user_not_found",
        "",
    );
    let id = TokenId(identifier(24, 1));
    let operator = act(1);
    world.refused(
        RevokeToken { id, operator },
        NotFound,
        "access_token_not_found",
        "",
    );
    world.refused(
        put_configuration(1, Who::Sync),
        NotFound,
        "enterprise_not_found",
        "",
    );
    let partner = UpdatePartner {
        id: Who::Sync.partner(),
        active: None,
        stable: None,
        operator: act(1),
    };
    world.refused(partner, NotFound, "partner_not_found", "");
}

#[test]
fn a_membership_needs_its_user_and_its_enterprise() {
    let mut world = set_up();
    let membership = |role| PutMembership {
        user_id: Who::Alpha.user(),
        enterprise_id: Who::Alpha.enterprise(),
        role,
        operator: act(1),
    };
    let mut nobody = membership(Some(EnterpriseRole::Admin));
    nobody.user_id = UserId(identifier(6, 99));
    world.refused(nobody, NotFound, "user_not_found", "");
    let mut nowhere = membership(Some(EnterpriseRole::Admin));
    nowhere.enterprise_id = "nowhere".parse().expect("an enterprise id");
    world.refused(nowhere, NotFound, "enterprise_not_found", "");
    for role in [
        None,
        Some(EnterpriseRole::Admin),
        Some(EnterpriseRole::Member),
        None,
    ] {
        assert_eq!(world.done(membership(role)).role, role);
    }
}

#[test]
fn a_revoked_token_or_key_stays_revoked() {
    let mut world = set_up();
    let token = world.done(issue_token(1, Who::Alpha.user()));
    assert!(token.is_valid(world.now));
    let revoke = |number| RevokeToken {
        id: token.id,
        operator: act(number),
    };
    let revoked = world.done(revoke(2));
    assert!(!revoked.is_valid(world.now));
    world.pass_seconds(60);
    assert_eq!(world.done(revoke(3)), revoked);
    assert_eq!(recorded(&world, 3), None);

    let key = world.done(add_key(4, Who::Alpha, Who::Alpha.revoked_key()));
    assert!(
        key.revoked_at.is_some(),
        "adding it again does not bring it back"
    );
}

#[test]
fn a_token_counts_until_it_expires() {
    let mut world = set_up();
    let mut request = issue_token(1, Who::Alpha.user());
    request.token.expires_at = Some(world.now.plus_seconds(60));
    let token = world.done(request);
    assert_eq!(token.created_at, world.now);
    assert!(token.is_valid(world.now.plus_seconds(59)));
    assert!(!token.is_valid(world.now.plus_seconds(60)));
}

#[test]
fn a_configuration_names_known_currencies_each_once_and_unmistakably() {
    type Change = fn(&mut PartnerConfiguration);
    let cases: [(Change, rules::Class, &str, &str); 5] = [
        (
            |c| c.currencies.push(partner_currency(doge(), "DOGE")),
            Invalid,
            "unknown_currency",
            "ofcdoge",
        ),
        (
            |c| c.currencies.push(partner_currency(btc(), "XBT")),
            Unprocessable,
            "currency_listed_twice",
            "ofcbtc",
        ),
        (
            |c| c.currencies[0].partner_names.clear(),
            Unprocessable,
            "partner_name_missing",
            "ofcbtc",
        ),
        (
            |c| c.currencies.push(partner_currency(usd(), "BTC")),
            Unprocessable,
            "partner_name_used_twice",
            "BTC",
        ),
        (
            |c| c.currencies[0].partner_names.push("BTC".to_owned()),
            Unprocessable,
            "partner_name_used_twice",
            "BTC",
        ),
    ];
    let mut world = set_up();
    for (change, class, name, telling) in cases {
        let mut request = put_configuration(1, Who::Sync);
        change(&mut request.configuration);
        world.refused(request, class, name, telling);
    }
}

#[test]
fn every_change_of_a_configuration_is_a_version() {
    let mut world = set_up();
    let mut put = |number, timeout| {
        let mut configuration = configuration(Who::Sync);
        configuration.call_timeout_ms = timeout;
        let operator = act(number);
        world
            .done(PutPartnerConfiguration {
                configuration,
                operator,
            })
            .version
    };
    assert_eq!(
        [put(1, 10_000), put(2, 500), put(3, 500), put(4, 10_000)],
        [1, 2, 2, 3]
    );
}

#[test]
fn a_partner_is_stopped_resumed_and_called_mature() {
    let mut world = ready();
    let mut update = |number, active, stable| {
        let id = Who::Sync.partner();
        let operator = act(number);
        let partner = world.done(UpdatePartner {
            id,
            active,
            stable,
            operator,
        });
        (partner.active, partner.stable)
    };
    assert_eq!(update(1, Some(false), None), (false, false));
    assert_eq!(update(2, None, Some(true)), (false, true));
    assert_eq!(update(3, Some(true), None), (true, true));
    assert_eq!(update(4, None, None), (true, true));
    assert!(recorded(&world, 3).is_some() && recorded(&world, 4).is_none());
}
