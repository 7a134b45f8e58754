//! Staged settlements, disputes and their ends, over HTTP: a table with a row for each path through
//! their state machines, and what the table does not say of windows, views and repeats.

mod approvals;
mod paths;
mod windows;

use std::sync::Arc;

use client::{Client, fresh_nonce};
use ledger::Timestamp;
use network::{NewToken, TokenKind};
use reqwest::Method;
use rules::{
    UserId,
    clock::Advance,
    record::{InstallationRole, Scope},
};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::signature::SigningKey;

use crate::{
    fixture::{CLIENT, Options, PARTNER, World, extended_key},
    settling::{SOUTHWIND, connect_as, get, neighbour, path, signed_as},
};

/// An hour for disputes, and half an hour to top up.
pub(crate) const DISPUTE_S: i64 = 3_600;
pub(crate) const TOP_UP_S: i64 = 1_800;

pub(crate) fn options(broker: bool) -> Options {
    Options {
        broker,
        dispute_window_minutes: Some(60),
        top_up_window_minutes: Some(30),
        test_clock: true,
        // The partner has none of the third currency.
        partner_funds: vec![("ofcbtc", 1_000_000), ("ofceth", 1_000_000)],
        ..Options::default()
    }
}

/// A party that can dispute.
pub(crate) struct Party {
    pub(crate) enterprise: &'static str,
    pub(crate) token: String,
    pub(crate) key: Arc<SigningKey>,
    pub(crate) client: Client,
}

/// A world with two clients and two operators.
pub(crate) struct Stage<'world> {
    pub(crate) world: &'world World,
    pub(crate) parties: [Party; 2],
    /// The token of the operator who reviews what the world's operator proposes.
    pub(crate) reviewer: String,
}

impl<'world> Stage<'world> {
    /// Whether acts on money need a second operator from now on, as the installation itself says.
    pub(crate) async fn require_second_operator(&self, required: bool) {
        let hand = self.world.network.installation();
        let set = hand.set_approval_policy(Some(required), None).await;
        let policy = set.expect("a policy").done().expect("set at once");
        assert_eq!(policy.second_operator_required, required);
    }

    pub(crate) async fn of(world: &'world World) -> Stage<'world> {
        let funds = [
            ("ofcbtc", 1_000_000),
            ("ofceth", 1_000_000),
            ("ofcusdt", 1_000_000),
        ];
        let south = neighbour(world, SOUTHWIND, "Southwind", 3, &funds).await;
        let reviewer = UserId(Uuid::new_v4());
        let role = Some(InstallationRole::Operator);
        let hand = world.network.installation();
        let put = hand.put_user(reviewer, "reviewer".to_owned(), role);
        put.await.expect("a second operator");
        let token = world
            .issue(NewToken {
                scopes: vec![Scope::Installation],
                ..crate::fixture::new_token(reviewer, TokenKind::Plain)
            })
            .await;
        let parties = [
            Party {
                enterprise: CLIENT,
                token: world.client_token.clone(),
                key: Arc::clone(&world.client_key),
                client: world.client.clone(),
            },
            Party {
                enterprise: SOUTHWIND,
                token: south.token,
                key: Arc::new(extended_key(3).key),
                client: south.client,
            },
        ];
        Stage {
            world,
            parties,
            reviewer: token.token.to_string(),
        }
    }

    /// A new connection of each party.
    pub(crate) async fn connections(&self) -> [Uuid; 2] {
        let [north, south] = &self.parties;
        [
            connect_as(self.world, &north.client, "north").await,
            connect_as(self.world, &south.client, "south").await,
        ]
    }

    /// Posts to P11, signed.
    pub(crate) async fn stage(&self, content: &Value) -> (u16, Value) {
        let body = signed_as(content, &content.to_string(), &self.world.partner_key);
        self.post_v2(&body).await
    }

    pub(crate) async fn post_v2(&self, body: &str) -> (u16, Value) {
        let path = format!("/api/network/v2/enterprises/{PARTNER}/partners/settlements");
        let token = Some(self.world.partner_token.as_str());
        let heard = self.world.raw(Method::POST, &path, token, Some(body)).await;
        (heard.0, heard.2)
    }

    /// Sends a signed request of a party: the members beside what the path says.
    pub(crate) async fn send(
        &self,
        party: usize,
        method: Method,
        tail: &str,
        content: &Value,
    ) -> (u16, Value) {
        let party = &self.parties[party];
        let body = signed_as(content, &content.to_string(), &party.key);
        let path = path(party.enterprise, tail);
        let token = Some(party.token.as_str());
        let heard = self.world.raw(method, &path, token, Some(&body)).await;
        (heard.0, heard.2)
    }

    /// Reads as a party.
    pub(crate) async fn read(&self, party: usize, tail: &str) -> Value {
        let party = &self.parties[party];
        let (status, body) = get(self.world, &party.token, &path(party.enterprise, tail)).await;
        assert_eq!(status, 200, "{tail}: {body}");
        body
    }

    /// Reads as the partner.
    pub(crate) async fn read_as_partner(&self, tail: &str) -> Value {
        let token = &self.world.partner_token;
        let (status, body) = get(self.world, token, &path(PARTNER, tail)).await;
        assert_eq!(status, 200, "{tail}: {body}");
        body
    }

    /// Calls the operator API as the first operator, or as the one who reviews.
    pub(crate) async fn operate(&self, reviews: bool, tail: &str, body: Value) -> (u16, Value) {
        let token = match reviews {
            true => self.reviewer.as_str(),
            false => self.world.operator_token.as_str(),
        };
        let path = format!("/api/operator/v1{tail}");
        let (method, body) = match body.is_null() {
            true => (Method::GET, None),
            false => (Method::POST, Some(body.to_string())),
        };
        let heard = self.world.raw(method, &path, Some(token), body.as_deref());
        let heard = heard.await;
        (heard.0, heard.2)
    }

    /// Lets business time pass, and what is due happen.
    pub(crate) async fn pass(&self, seconds: i64) {
        let hand = self.world.network.installation();
        let advanced = hand.advance_clock(Advance::Seconds(seconds)).await;
        advanced.expect("the clock is advanced");
    }
}

/// What is to be staged, with a fresh nonce.
pub(crate) fn staging(external_id: &str, amounts: &Value) -> Value {
    json!({
        "externalId": external_id,
        "settlementAmounts": amounts,
        "cutoffAt": "2026-01-01T00:00:00.000Z",
        "nonce": fresh_nonce(),
    })
}

/// What a client says to dispute.
pub(crate) fn dispute(connection: Uuid, expected: &Value) -> Value {
    json!({
        "connectionId": connection.to_string(),
        "expectedTransfers": expected,
        "reason": "it is not what was traded",
        "nonce": fresh_nonce(),
    })
}

pub(crate) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member]
        .as_str()
        .unwrap_or_else(|| panic!("no {member}: {value}"))
}

pub(crate) fn since_epoch(time: &Value) -> Timestamp {
    let time: jiff::Timestamp = time.as_str().expect("a time").parse().expect("a time");
    Timestamp(time.as_microsecond())
}
