//! Every record comes back from the database exactly as the command that wrote it answered.
//!
//! States that no command reaches yet are put as they are.

use ledger::{
    Amount, Balance, Currency, EntryId, GoAccountId, Hold, HoldId, HoldPurpose, NetworkAccountId,
    Owner, SignedAmount, Timestamp,
};
use rules::allocate::{Awaited, Unanswered};
use rules::connect::{AnswerConnection, ConnectionVerdict};
use rules::fund::WithdrawalEnding;
use rules::operate::{
    AddSigningKey, IssueToken, NoteTokenUse, OpenGoAccount, PutMembership, PutUser,
    RevokeSigningKey, RevokeToken, UpdatePartner,
};
use rules::record::{
    AccessToken, AccountBalance, Activation, Allocation, AllocationKind, AllocationState,
    AmountFormat, Answering, Claim, ClaimKey, ClaimKind, ConnectionState, CurrencyKey,
    EnterpriseRole, InstallationRole, KeySchema, Message, MessageCall, OpenTotal, OperatorAct,
    Participation, PartnerRoutes, Scope, Settlement, SettlementForm, SettlementState,
    SignedRequest, TokenSecret, Transfer, TransferParty, TransferStatus, WithdrawalState,
};
use rules::{
    ClientId, ConnectionId, Keys, PartnerId, Reason, SettlementId, SigningKeyId, TokenId,
    TransferId, UserId,
};
use store::{AllocationFilter, ConnectionFilter, Owned, PartnerFilter, Side, TransferFilter};
use testkit::TestDatabase;
use uuid::Uuid;

use crate::fixture::{
    ALL, Alpha, Beta, Broker, Exchange, Later, Link, Network, START, amount, become_client, btc,
    configuration, create_partner, eth, identifier, index, pair_line, party_line, put,
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
    connections
    allocations
    the_largest_amount
    settlements_with_transfers_and_participations
    settlement_states_and_transfer_statuses
    deposits
    withdrawals
    messages
    operator_acts
    claims
    signed_requests
    open_totals
    holds
    balances
    what_is_not_there_is_not_found
}

/// Text as people write it, and as they should not.
const TEXT: &str = "Grüße, 世界 🌊 \u{202e}'; DROP TABLE x; -- \"$1\" ?\\ \n\t%_*";

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
            settlement_id: pair.id,
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
            settlement_id: SettlementId(Uuid::nil()),
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
    let found = store
        .transfers(None, TransferFilter::default(), ALL)
        .await
        .expect("a list");
    assert_eq!(found, expected);
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

async fn operator_acts(database: TestDatabase) {
    let network = Network::bare(database).await;
    let act = |number, at, user_id| OperatorAct {
        id: identifier(13, number),
        user_id,
        act: "act".to_owned(),
        subject: TEXT.to_owned(),
        detail: TEXT.repeat(1_000),
        at: Timestamp(at),
    };
    let acts = [
        act(2, 1, None),
        act(1, 1, Some(Alpha.user())),
        act(3, 2, None),
    ];
    for act in acts.clone() {
        network.done(put(act)).await;
    }
    let [b, a, latest] = acts;
    let found = network.store.operator_acts(ALL).await.expect("a list");
    assert_eq!(found, [latest, a, b]);
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
