//! Tenants, people, tokens, accounts, currencies, configurations, and the roles of enterprises.

use ledger::{Amount, GoAccountId, Timestamp};
use rules::operate::{
    AddSigningKey, IssueToken, NoteTokenUse, OpenGoAccount, PutMembership, PutUser,
    RevokeSigningKey, RevokeToken, UpdatePartner,
};
use rules::record::{
    AccessToken, Activation, AmountFormat, Answering, EnterpriseRole, InstallationRole, KeySchema,
    PartnerRoutes, Scope, TokenSecret,
};
use rules::{ClientId, PartnerId, SigningKeyId, TokenId, UserId};
use store::PartnerFilter;
use testkit::TestDatabase;
use uuid::Uuid;

use super::TEXT;
use crate::fixture::{
    ALL, Alpha, Beta, Exchange, Network, START, amount, become_client, btc, create_partner, eth,
    identifier, index,
};

on_both! {
    enterprises
    users_and_memberships
    access_tokens
    go_accounts_and_signing_keys
    currencies
    configurations
    clients
    partners
}

async fn enterprises(database: TestDatabase) {
    let network = Network::bare(database).await;
    let mut command = network.put_enterprise(Alpha);
    command.name = TEXT.to_owned();
    let mut alpha = network.done(command).await;
    let mut command = network.put_enterprise(Beta);
    (command.name, command.trust_org, command.licensed) = (String::new(), TEXT.to_owned(), false);
    let beta = network.done(command).await;
    let found = network
        .store
        .enterprise(&alpha.id)
        .await
        .expect("a look-up");
    assert_eq!(found, Some(alpha.clone()));
    assert_eq!(alpha.go_account, None);

    network.clock.pass_seconds(1);
    network.done(network.open_go_account(Alpha)).await;
    alpha.go_account = Some(Alpha.go_account());
    alpha.updated_at = network.clock.now();
    let found = network.store.enterprises().await.expect("a list");
    assert_eq!(found, [alpha, beta]);
}

async fn users_and_memberships(database: TestDatabase) {
    let network = Network::bare(database).await;
    network.done(network.put_enterprise(Alpha)).await;
    let roles = [
        None,
        Some(InstallationRole::Operator),
        Some(InstallationRole::Auditor),
    ];
    let mut users = Vec::new();
    for (number, role) in (1..).zip(roles) {
        let put = PutUser {
            id: UserId(identifier(6, number)),
            name: TEXT.to_owned(),
            role,
            operator: network.act(),
        };
        users.push(network.done(put).await);
    }
    assert_eq!(network.store.users().await.expect("a list"), users);

    let mut memberships = Vec::new();
    for (user, role) in users
        .iter()
        .zip([EnterpriseRole::Admin, EnterpriseRole::Member])
    {
        let put = PutMembership {
            user_id: user.id,
            enterprise_id: Alpha.enterprise(),
            role: Some(role),
            operator: network.act(),
        };
        memberships.push(network.done(put.clone()).await);
    }
    assert_eq!(
        network.store.memberships().await.expect("a list"),
        memberships
    );
    let removed = PutMembership {
        user_id: users[0].id,
        enterprise_id: Alpha.enterprise(),
        role: None,
        operator: network.act(),
    };
    let removed = network.done(removed).await;
    assert_eq!(removed.role, None);
    let found = network
        .store
        .membership(users[0].id, &Alpha.enterprise())
        .await;
    assert_eq!(found.expect("a look-up"), Some(removed));
    let found = network
        .store
        .membership(users[2].id, &Alpha.enterprise())
        .await;
    assert_eq!(found.expect("a look-up"), None);
}

async fn access_tokens(database: TestDatabase) {
    let network = Network::bare(database).await;
    let user = network
        .done(PutUser {
            id: Alpha.user(),
            name: "Ada".to_owned(),
            role: None,
            operator: network.act(),
        })
        .await;
    let plain = AccessToken {
        id: TokenId(identifier(24, 1)),
        user_id: user.id,
        label: String::new(),
        hash: [0; 32],
        secret: TokenSecret::Plain,
        scopes: Vec::new(),
        networks: Vec::new(),
        expires_at: None,
        revoked_at: None,
        created_at: Timestamp(0),
    };
    let sealed = AccessToken {
        id: TokenId(identifier(24, 2)),
        label: TEXT.to_owned(),
        hash: [255; 32],
        secret: TokenSecret::V2x {
            sealed: (0..=255).collect(),
        },
        scopes: vec![Scope::Write, Scope::Read],
        networks: vec!["10.0.0.0/8".to_owned(), "2001:db8::/32".to_owned()],
        expires_at: Some(Timestamp(i64::MAX)),
        ..plain.clone()
    };
    let empty = AccessToken {
        id: TokenId(identifier(24, 3)),
        hash: [7; 32],
        secret: TokenSecret::V2x { sealed: Vec::new() },
        expires_at: Some(Timestamp(0)),
        ..plain.clone()
    };
    let mut tokens = Vec::new();
    for token in [plain, sealed, empty] {
        tokens.push(
            network
                .done(IssueToken {
                    token,
                    operator: network.act(),
                })
                .await,
        );
    }
    assert_eq!(
        network.store.access_tokens(None).await.expect("a list"),
        tokens
    );
    network.clock.pass_seconds(1);
    tokens[2] = network
        .done(RevokeToken {
            id: tokens[2].id,
            operator: network.act(),
        })
        .await;
    assert_eq!(tokens[2].revoked_at, Some(network.clock.now()));
    assert_eq!(
        network
            .store
            .access_tokens(Some(user.id))
            .await
            .expect("a list"),
        tokens
    );
    let nobody = network.store.access_tokens(Some(Beta.user())).await;
    assert_eq!(nobody.expect("a list"), []);

    let principal = network.store.principal([255; 32]).await.expect("a look-up");
    let principal = principal.expect("the token and its user");
    assert_eq!((principal.token, principal.user), (tokens[1].clone(), user));
    assert_eq!(
        network.store.principal([1; 32]).await.expect("a look-up"),
        None
    );

    assert_eq!(network.store.token_uses().await.expect("a list"), []);
    network.done(NoteTokenUse { id: tokens[1].id }).await;
    let uses = network.store.token_uses().await.expect("a list");
    assert_eq!(
        (uses[0].token_id, uses[0].used_at, uses.len()),
        (tokens[1].id, START.plus_seconds(1), 1)
    );
}

async fn go_accounts_and_signing_keys(database: TestDatabase) {
    let network = Network::bare(database).await;
    network
        .all_done([Alpha, Beta].map(|who| network.put_enterprise(who)))
        .await;
    let first = network.done(network.open_go_account(Alpha)).await;
    let second = OpenGoAccount {
        id: GoAccountId(Uuid::max()),
        label: TEXT.to_owned(),
        ..network.open_go_account(Alpha)
    };
    let second = network.done(second).await;
    let others = network.done(network.open_go_account(Beta)).await;
    let store = &network.store;
    let own = store
        .go_accounts(Some(&Alpha.enterprise()))
        .await
        .expect("a list");
    assert_eq!(own, [first.clone(), second.clone()]);
    let all = store.go_accounts(None).await.expect("a list");
    assert_eq!(all, [first.clone(), others, second.clone()]);
    assert_eq!(
        store.go_account(second.id).await.expect("a look-up"),
        Some(second.clone())
    );

    let key = network.done(network.add_key(Alpha)).await;
    let revoked = AddSigningKey {
        id: SigningKeyId(identifier(3, 1)),
        public_key: [255; 33],
        given_as: TEXT.to_owned(),
        label: String::new(),
        ..network.add_key(Alpha)
    };
    let revoked = network.done(revoked).await;
    let elsewhere = AddSigningKey {
        id: SigningKeyId(identifier(3, 2)),
        go_account_id: second.id,
        ..network.add_key(Alpha)
    };
    let elsewhere = network.done(elsewhere).await;
    network.clock.pass_seconds(1);
    let id = revoked.id;
    let revoked = network
        .done(RevokeSigningKey {
            id,
            operator: network.act(),
        })
        .await;
    assert_eq!(revoked.revoked_at, Some(network.clock.now()));
    let own = store.signing_keys(Some(first.id)).await.expect("a list");
    assert_eq!(own, [key.clone(), revoked.clone()]);
    let all = store.signing_keys(None).await.expect("a list");
    assert_eq!(all, [key, revoked, elsewhere]);
}

async fn currencies(database: TestDatabase) {
    let network = Network::bare(database).await;
    let mut longest = network.put_currency("Z.:_-9".repeat(10).parse().expect("a ticker"));
    (longest.decimals, longest.backing, longest.custody_source) = (30, TEXT.into(), TEXT.into());
    let longest = network.done(longest).await;
    let mut plain = network.put_currency(btc());
    plain.decimals = 0;
    let plain = network.done(plain).await;
    let found = network.store.currencies().await.expect("a list");
    assert_eq!(found, [longest.clone(), plain.clone()]);
    let found = network
        .store
        .currency(&plain.ticker)
        .await
        .expect("a look-up");
    assert_eq!(found, Some(plain));
}

async fn configurations(database: TestDatabase) {
    let network = Network::bare(database).await;
    network
        .all_done([btc(), eth()].map(|ticker| network.put_currency(ticker)))
        .await;
    network.done(network.put_enterprise(Exchange)).await;
    let bare = network.put_configuration(Exchange);
    let mut full = network.put_configuration(Exchange);
    let wanted = &mut full.configuration;
    wanted.institution_identifier = TEXT.to_owned();
    wanted.base_url = "https://partner.example/ä?b=\"c\"".to_owned();
    wanted.routes = PartnerRoutes::below("/oes/v9");
    wanted.signature_header = "X-Signature".to_owned();
    wanted.call_timeout_ms = i64::MAX;
    wanted.allowed_networks = vec!["10.0.0.0/8".to_owned(), "::1/128".to_owned()];
    (wanted.allocations, wanted.deallocations) = (Answering::Asynchronous, Answering::Synchronous);
    wanted.amount_format = AmountFormat::Decimal;
    wanted.currencies[0].partner_names = vec!["XBT".to_owned(), TEXT.to_owned()];
    wanted.currencies[0].minimum = Some(amount(1));
    wanted.currencies[0].maximum = Some(Amount::MAX);
    wanted.currencies[1].open_total = Some(Amount::MAX);
    wanted.public_key = Some("-----BEGIN PUBLIC KEY-----\n…\n".to_owned());
    wanted.on_chain = true;
    wanted.activation = Activation::AfterConformance;
    wanted.release_unanswered_after_s = 0;
    wanted.on_chain_late_after_s = i64::MAX;
    let mut empty = network.put_configuration(Exchange);
    empty.configuration.institution_identifier = "z".to_owned();
    empty.configuration.currencies = Vec::new();

    let full = network.done(full).await;
    let bare = network.done(bare).await;
    let empty = network.done(empty).await;
    let store = &network.store;
    let found = store
        .configuration(&Exchange.enterprise(), TEXT)
        .await
        .expect("a look-up");
    assert_eq!(found, Some(full.clone()));
    let found = store.configurations().await.expect("a list");
    assert_eq!(found, [full, bare.clone(), empty]);

    network.clock.pass_seconds(1);
    let mut changed = network.put_configuration(Exchange);
    changed.configuration.on_chain = true;
    let changed = network.done(changed).await;
    assert_eq!(changed.version, bare.version + 1);
    let found = store
        .configuration(&Exchange.enterprise(), Exchange.name())
        .await;
    assert_eq!(found.expect("a look-up"), Some(changed));
}

async fn clients(database: TestDatabase) {
    let network = Network::bare(database).await;
    network
        .all_done([Alpha, Beta].map(|who| network.put_enterprise(who)))
        .await;
    network
        .all_done([Alpha, Beta].map(|who| network.open_go_account(who)))
        .await;
    let alpha = network.done(become_client(Alpha)).await;
    let beta = network.done(become_client(Beta)).await;
    let store = &network.store;
    let found = store
        .client_of(&Alpha.enterprise())
        .await
        .expect("a look-up");
    assert_eq!(found, Some(alpha.clone()));
    assert_eq!(
        store
            .client_of(&Exchange.enterprise())
            .await
            .expect("a look-up"),
        None
    );
    let unknown = ClientId(Uuid::nil());
    let mut found = store
        .clients(vec![beta.id, unknown, alpha.id])
        .await
        .expect("a list");
    found.sort_by_key(|client| client.id);
    assert_eq!(found, [alpha, beta]);
}

async fn partners(database: TestDatabase) {
    let network = Network::bare(database).await;
    network
        .all_done([btc(), eth()].map(|ticker| network.put_currency(ticker)))
        .await;
    network.done(network.put_enterprise(Exchange)).await;
    network.done(network.open_go_account(Exchange)).await;
    let mut partners = Vec::new();
    for (number, (_, key_schema)) in (1_u64..).zip(KeySchema::ALL) {
        let name = format!("{TEXT}{number}");
        let mut agreed = network.put_configuration(Exchange);
        agreed
            .configuration
            .institution_identifier
            .clone_from(&name);
        if number.is_multiple_of(2) {
            agreed.configuration.activation = Activation::AfterConformance;
        }
        network.done(agreed).await;
        let mut create = create_partner(Exchange);
        create.partner_id = PartnerId(identifier(5, number));
        create.institution_identifier.clone_from(&name);
        create.name = name;
        create.key_schema = *key_schema;
        create.broker = number.is_multiple_of(2);
        create.institution_id = (number.is_multiple_of(2)).then(Uuid::max);
        create.dispute_window_minutes = [None, Some(0), Some(10_080), None][index(number - 1)];
        create.top_up_window_minutes = [Some(u16::MAX), None, Some(0), None][index(number - 1)];
        create.allocation_policies_enabled = number % 2 == 1;
        network.clock.pass_seconds(1);
        partners.push(network.done(create).await);
    }
    let changed = UpdatePartner {
        id: partners[0].id,
        active: Some(false),
        stable: Some(true),
        operator: network.act(),
    };
    partners[0] = network.done(changed).await;
    for partner in &partners {
        let found = network.store.partner(partner.id).await.expect("a look-up");
        assert_eq!(found.as_ref(), Some(partner));
    }
    partners.reverse();
    let found = network.store.partners(PartnerFilter::default(), ALL).await;
    assert_eq!(found.expect("a list"), partners);
}
