//! What tests of settlements have in common: more clients, money on connections, signed posts.

use std::sync::Arc;

use client::{Client, Retry, fresh_nonce};
use ledger::GoAccountId;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{
    api::{
        allocations::AcceptedAllocation, balances::PartnerBalancesFilter,
        connections::NewConnection,
    },
    connection_key::ConnectionKey,
    signature::SigningKey,
};

use crate::fixture::{PARTNER, World, deposit, enterprise, extended_key, request};

/// Another enterprise that is a client.
pub(crate) struct Neighbour {
    pub(crate) client: Client,
    pub(crate) token: String,
    pub(crate) account: GoAccountId,
}

pub(crate) const SOUTHWIND: &str = "c11e0000000000000000000000000002";

/// Brings another client into the world, with these funds.
pub(crate) async fn neighbour(
    world: &World,
    id: &str,
    name: &str,
    seed: u8,
    funds: &[(&str, i128)],
) -> Neighbour {
    let account = GoAccountId(Uuid::from_u128(0xc000 + u128::from(seed)));
    let key = extended_key(seed);
    let token = enterprise(&world.network, id, name, account, &key).await;
    for (ticker, units) in funds {
        deposit(&world.network, account, ticker, *units).await;
    }
    let client = Client::new(&world.url, id, &token)
        .expect("a client")
        .with_shared_signing_key(Arc::new(key.key))
        .with_retry(Retry::never());
    client.become_client().await.expect("become a client");
    Neighbour {
        client,
        token,
        account,
    }
}

/// Connects a client with a new account at the exchange.
pub(crate) async fn connect_as(world: &World, client: &Client, name: &str) -> Uuid {
    connect_to(world, client, world.partner_id, name).await
}

/// Connects a client with a new account at the exchange, which serves as this partner.
pub(crate) async fn connect_to(world: &World, client: &Client, partner: Uuid, name: &str) -> Uuid {
    let (_, connection_token) = world.exchange_account().await;
    let opened = client
        .connect(NewConnection {
            partner_id: partner,
            name: name.to_owned(),
            connection_key: ConnectionKey::Token { connection_token },
            nonce: fresh_nonce(),
        })
        .await
        .expect("a connection");
    opened.connection.id
}

/// Allocates to a connection.
pub(crate) async fn allocate(client: &Client, connection: Uuid, ticker: &str, units: i128) {
    let wanted = request(ticker, units, &Uuid::new_v4().to_string());
    let allocated = client.allocate(connection, wanted).await;
    let allocated = allocated.expect("an allocation").allocation;
    assert!(matches!(allocated, AcceptedAllocation::Cleared(_)));
}

/// What is to be settled, with a fresh nonce.
pub(crate) fn settlement(external_id: &str, amounts: &Value) -> Value {
    json!({
        "externalId": external_id,
        "settlementAmounts": amounts,
        "nonce": fresh_nonce(),
    })
}

/// The request with this payload beside its members, signed.
pub(crate) fn signed_as(content: &Value, payload: &str, key: &SigningKey) -> String {
    let mut body = content.clone();
    body["payload"] = payload.into();
    body["signature"] = key.sign(payload).into();
    body.to_string()
}

/// The path of an operation of an enterprise.
pub(crate) fn path(enterprise: &str, tail: &str) -> String {
    format!("/api/network/v1/enterprises/{enterprise}{tail}")
}

/// Posts a body to P10 as the partner.
pub(crate) async fn post(world: &World, body: &str) -> (u16, Value) {
    let path = path(PARTNER, "/partners/settlements");
    let token = Some(world.partner_token.as_str());
    let (status, _, answer) = world.raw(Method::POST, &path, token, Some(body)).await;
    (status, answer)
}

/// Signs what is to be settled and posts it.
pub(crate) async fn settle(world: &World, content: &Value) -> (u16, Value) {
    let body = signed_as(content, &content.to_string(), &world.partner_key);
    post(world, &body).await
}

/// Settles, and it is completed: its id.
pub(crate) async fn settled(world: &World, external_id: &str, amounts: &Value) -> Uuid {
    let (status, answer) = settle(world, &settlement(external_id, amounts)).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["settlement"]["status"], "completed", "{answer}");
    id_of(&answer)
}

/// The id of the settlement in an answer.
pub(crate) fn id_of(answer: &Value) -> Uuid {
    let id = answer["settlement"]["id"].as_str();
    id.and_then(|id| id.parse().ok())
        .unwrap_or_else(|| panic!("no settlement: {answer}"))
}

/// What stands in the partner's Go Account in one of its currencies: available and held.
pub(crate) async fn partners_own(world: &World, currency: &str) -> (String, String) {
    let filter = PartnerBalancesFilter::default();
    let all = world.partner.partner_balances(&filter).await;
    let all = all.expect("balances").balances.expect("its own");
    all.get(currency)
        .map(|balance| (balance.available.clone(), balance.held.clone()))
        .unwrap_or_else(|| ("0".to_owned(), "0".to_owned()))
}

/// What is available on a connection in a currency, as the partner writes it.
pub(crate) async fn on_connection(world: &World, connection: Uuid, currency: &str) -> String {
    let filter = PartnerBalancesFilter {
        connection_ids: Some(vec![connection]),
        ..PartnerBalancesFilter::default()
    };
    let all = world.partner.partner_balances(&filter).await;
    let all = all.expect("balances").network_balances;
    let balance = all[&connection].balances.get(currency);
    balance.map_or_else(|| "0".to_owned(), |balance| balance.available.clone())
}

/// Gets as somebody: the status and the body.
pub(crate) async fn get(world: &World, token: &str, path: &str) -> (u16, Value) {
    let (status, _, body) = world.raw(Method::GET, path, Some(token), None).await;
    (status, body)
}

/// The partner's view of a settlement (P14).
pub(crate) async fn seen_by_partner(
    world: &World,
    id: impl std::fmt::Display,
    query: &str,
) -> Value {
    let path = path(PARTNER, &format!("/partners/settlements/{id}{query}"));
    let (status, body) = get(world, &world.partner_token, &path).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// The texts of one member of all elements of a list.
pub(crate) fn texts(list: &Value, member: &str) -> Vec<String> {
    let list = list.as_array().expect("a list");
    let text = |one: &Value| one[member].as_str().expect(member).to_owned();
    list.iter().map(text).collect()
}

/// Makes the world's exchange be this partner of the partner's enterprise.
pub(crate) async fn serve_as(world: &World, partner: Uuid) {
    let membership = json!({
        "partnerId": partner.to_string(),
        "enterpriseId": PARTNER,
        "token": world.partner_token,
        "signingKey": extended_key(2).xprv().as_str(),
        "networkUrl": world.url,
    });
    world.control(Method::PUT, "partner", &membership).await;
}
