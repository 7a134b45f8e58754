//! A row for each path through the state machines of staged settlements and disputes.

use std::collections::BTreeMap;

use client::fresh_nonce;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{DISPUTE_S, Stage, TOP_UP_S, dispute, options, staging, text};
use crate::{
    fixture::{deposit, on_each_database},
    movements::eventually,
    settling::{allocate, signed_as, texts},
};

/// A currency as partner and network call it.
type Currency = (&'static str, &'static str);
const BTC: Currency = ("BTC", "ofcbtc");
const USDT: Currency = ("USDT", "ofcusdt");

/// What somebody does. Connections and parties are 0 and 1; settlements are named by the row.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// The partner stages amounts of connections against itself.
    Stage(&'static str, &'static [(usize, Currency, i64)]),
    /// The broker stages an amount from one connection to the other.
    StagePair(&'static str, (usize, usize, Currency, i64)),
    /// The very same request once more.
    Again(&'static str),
    /// It is refused with this name.
    Refused(&'static str, &'static [(usize, Currency, i64)]),
    Dispute(usize, &'static str),
    Retract(usize),
    Raise(usize),
    Concede(usize),
    /// An operator proposes what moves instead.
    Propose(usize, &'static [(Currency, i64)]),
    /// The other operator's word.
    Approve(usize),
    Reject(usize),
    Pass(i64),
    Fund(Currency, i64),
    /// An operator gives up a settlement that failed.
    GiveUp(&'static str),
    Deallocate(usize, Currency, i64, u16),
    /// By now the settlement is so, its transfers in their order too.
    Is(&'static str, &'static str, &'static [&'static str]),
}

use Act::*;

struct Row {
    name: &'static str,
    /// What is allocated before: bitcoin of both connections.
    allocated: [i64; 2],
    acts: &'static [Act],
    /// What is available and held then: bitcoin of both connections.
    left: [(i128, i128); 2],
}

const LOSS_AND_GAIN: &[(usize, Currency, i64)] = &[(0, BTC, -40), (1, BTC, 25)];

const OF_AN_EXCHANGE: &[Row] = &[
    Row {
        name: "staged, undisputed, completed",
        allocated: [100, 0],
        acts: &[
            Stage("s", LOSS_AND_GAIN),
            Is("s", "pending", &["pending", "pending"]),
            Deallocate(0, BTC, 61, 422),
            Pass(DISPUTE_S - 5),
            Is("s", "pending", &["pending", "pending"]),
            Pass(5),
            Is("s", "completed", &["completed", "completed"]),
            Again("s"),
        ],
        left: [(60, 0), (25, 0)],
    },
    Row {
        name: "not covered",
        allocated: [100, 0],
        acts: &[Refused("insufficient_allocated", &[(0, BTC, -101)])],
        left: [(100, 0), (0, 0)],
    },
    Row {
        name: "disputed and left open",
        allocated: [100, 0],
        acts: &[
            Stage("s", LOSS_AND_GAIN),
            Dispute(0, "s"),
            Is("s", "pending", &["disputed", "pending"]),
            Pass(DISPUTE_S),
            Is("s", "completed", &["disputed", "completed"]),
        ],
        left: [(60, 40), (25, 0)],
    },
    Row {
        name: "disputed and retracted",
        allocated: [100, 0],
        acts: &[
            Stage("s", LOSS_AND_GAIN),
            Dispute(0, "s"),
            Retract(0),
            Is("s", "pending", &["pending", "pending"]),
            Pass(DISPUTE_S),
            Is("s", "completed", &["completed", "completed"]),
        ],
        left: [(60, 0), (25, 0)],
    },
    Row {
        name: "disputed, retracted, raised again, conceded in the window",
        allocated: [100, 0],
        acts: &[
            Stage("s", LOSS_AND_GAIN),
            Dispute(0, "s"),
            Retract(0),
            Raise(0),
            Is("s", "pending", &["disputed", "pending"]),
            Concede(0),
            Pass(DISPUTE_S),
            Is("s", "completed", &["completed", "completed"]),
        ],
        left: [(60, 0), (25, 0)],
    },
    Row {
        name: "conceded later, and carried by a settlement of nothing else",
        allocated: [100, 0],
        acts: &[
            Stage("s", LOSS_AND_GAIN),
            Dispute(0, "s"),
            Pass(DISPUTE_S),
            Concede(0),
            Stage("next", &[]),
            Is("next", "pending", &["pending"]),
            Again("next"),
            Pass(DISPUTE_S),
            Is("next", "completed", &["completed"]),
            Is("s", "completed", &["disputed", "completed"]),
        ],
        left: [(60, 0), (25, 0)],
    },
    Row {
        name: "closed with less, rejected first",
        allocated: [100, 0],
        acts: &[
            Stage("s", LOSS_AND_GAIN),
            Dispute(0, "s"),
            Pass(DISPUTE_S),
            Propose(0, &[(BTC, -30)]),
            Reject(0),
            Propose(0, &[(BTC, -10)]),
            Approve(0),
            Stage("next", &[(1, BTC, 5)]),
            Is("next", "pending", &["pending", "pending"]),
            Pass(DISPUTE_S),
            Is("next", "completed", &["completed", "completed"]),
        ],
        left: [(90, 0), (30, 0)],
    },
    Row {
        name: "closed with nothing",
        allocated: [100, 0],
        acts: &[
            Stage("s", LOSS_AND_GAIN),
            Dispute(0, "s"),
            Pass(DISPUTE_S),
            Propose(0, &[]),
            Approve(0),
        ],
        left: [(100, 0), (25, 0)],
    },
    Row {
        name: "closed with a gain",
        allocated: [100, 0],
        acts: &[
            Stage("s", LOSS_AND_GAIN),
            Dispute(0, "s"),
            Pass(DISPUTE_S),
            Propose(0, &[(BTC, 7)]),
            Approve(0),
            Stage("next", &[]),
            Pass(DISPUTE_S),
            Is("next", "completed", &["completed"]),
        ],
        left: [(107, 0), (25, 0)],
    },
    Row {
        name: "closed with more than there is: a part waits, and blocks nothing",
        allocated: [100, 0],
        acts: &[
            Stage("s", LOSS_AND_GAIN),
            Dispute(0, "s"),
            Pass(DISPUTE_S),
            Propose(0, &[(BTC, -130)]),
            Approve(0),
            Stage("next", &[(1, BTC, 5)]),
            Is("next", "pending", &["pending", "pending"]),
            Pass(DISPUTE_S),
            Is("next", "completed", &["completed", "completed"]),
            // What comes later covers the rest.
            Stage("gain", &[(0, BTC, 30)]),
            Pass(DISPUTE_S),
            Stage("last", &[(1, BTC, 1)]),
            Pass(DISPUTE_S),
            Is("last", "completed", &["completed", "completed"]),
        ],
        left: [(0, 0), (31, 0)],
    },
    Row {
        name: "the disputed gain of another stays out",
        allocated: [100, 0],
        acts: &[
            Stage("s", LOSS_AND_GAIN),
            Dispute(1, "s"),
            Pass(DISPUTE_S),
            Is("s", "completed", &["completed", "disputed"]),
            Concede(1),
            Stage("next", &[]),
            Pass(DISPUTE_S),
            Is("next", "completed", &["completed"]),
        ],
        left: [(60, 0), (25, 0)],
    },
    Row {
        name: "short, and topped up in the window",
        allocated: [100, 0],
        acts: &[
            Stage("s", &[(0, BTC, -40), (1, USDT, 50)]),
            Pass(DISPUTE_S),
            Is("s", "pending", &["pending", "pending"]),
            Fund(USDT, 49),
            Fund(USDT, 1),
            Is("s", "completed", &["completed", "completed"]),
        ],
        left: [(60, 0), (0, 0)],
    },
    Row {
        name: "short, failed, and funded later",
        allocated: [100, 0],
        acts: &[
            Stage("s", &[(0, BTC, -40), (1, USDT, 50)]),
            Pass(DISPUTE_S + TOP_UP_S),
            Is("s", "failed", &["failed", "failed"]),
            Again("s"),
            Is("s", "failed", &["failed", "failed"]),
            Deallocate(0, BTC, 61, 422),
            Fund(USDT, 50),
            Is("s", "completed", &["completed", "completed"]),
        ],
        left: [(60, 0), (0, 0)],
    },
    Row {
        name: "failed by a clock that jumps a day, and given up with what rode on it",
        allocated: [100, 0],
        acts: &[
            Stage("s", LOSS_AND_GAIN),
            Dispute(0, "s"),
            Pass(DISPUTE_S),
            Concede(0),
            Stage("next", &[(0, BTC, -10), (1, USDT, 50)]),
            Pass(86_400),
            Is("next", "failed", &["failed", "failed", "failed"]),
            GiveUp("next"),
            Is("next", "rejected", &["rejected", "rejected"]),
            Again("next"),
            Stage("last", &[]),
            Pass(DISPUTE_S),
            Is("last", "completed", &["completed"]),
        ],
        left: [(60, 0), (25, 0)],
    },
];

const OF_A_BROKER: &[Row] = &[
    Row {
        name: "amounts that cancel out",
        allocated: [100, 0],
        acts: &[
            Stage("s", &[(0, BTC, -40), (1, BTC, 40)]),
            Pass(DISPUTE_S),
            Is("s", "completed", &["completed", "completed"]),
        ],
        left: [(60, 0), (40, 0)],
    },
    Row {
        name: "amounts that do not",
        allocated: [100, 0],
        acts: &[Refused("broker_settlement_unbalanced", LOSS_AND_GAIN)],
        left: [(100, 0), (0, 0)],
    },
    Row {
        name: "a dispute unbalances them, and the broker's account carries the difference",
        allocated: [100, 0],
        acts: &[
            Stage("s", &[(0, BTC, -40), (1, BTC, 40)]),
            Dispute(0, "s"),
            Pass(DISPUTE_S),
            Is("s", "completed", &["disputed", "completed"]),
        ],
        left: [(60, 40), (40, 0)],
    },
    Row {
        name: "between connections",
        allocated: [100, 0],
        acts: &[
            StagePair("s", (0, 1, BTC, 40)),
            Pass(DISPUTE_S),
            Is("s", "completed", &["completed"]),
        ],
        left: [(60, 0), (40, 0)],
    },
    Row {
        name: "between connections, disputed by who gains, and conceded",
        allocated: [100, 0],
        acts: &[
            StagePair("s", (0, 1, BTC, 40)),
            Dispute(1, "s"),
            Pass(DISPUTE_S),
            Is("s", "completed", &["disputed"]),
            Concede(1),
            Stage("next", &[]),
            Pass(DISPUTE_S),
            Is("next", "completed", &["completed"]),
        ],
        left: [(60, 0), (40, 0)],
    },
    Row {
        name: "between connections, disputed by both, and closed with less",
        allocated: [100, 0],
        acts: &[
            StagePair("s", (0, 1, BTC, 40)),
            Dispute(0, "s"),
            Dispute(1, "s"),
            Retract(1),
            Is("s", "pending", &["disputed"]),
            Pass(DISPUTE_S),
            Propose(0, &[(BTC, -15)]),
            Approve(0),
            Stage("next", &[]),
            Pass(DISPUTE_S),
            Is("next", "completed", &["completed"]),
        ],
        left: [(85, 0), (15, 0)],
    },
];

/// A row while it is played.
struct Play<'stage> {
    stage: &'stage Stage<'stage>,
    row: &'static Row,
    connections: [Uuid; 2],
    /// By the row's name: the content that was staged and the settlement.
    settlements: BTreeMap<&'static str, (Value, Uuid)>,
    /// By party: the dispute, and the closure that waits for a review.
    disputes: BTreeMap<usize, String>,
    closures: BTreeMap<usize, String>,
}

impl Play<'_> {
    fn amounts(&self, amounts: &[(usize, Currency, i64)]) -> Value {
        let mut sent = json!({});
        for (connection, (name, _), units) in amounts {
            let connection = self.connections[*connection].to_string();
            sent[connection][*name] = units.to_string().into();
        }
        sent
    }

    async fn staged(&mut self, name: &'static str, amounts: &Value) {
        let external = format!("{} / {name}", self.row.name);
        let content = staging(&external, amounts);
        let (status, body) = self.stage.stage(&content).await;
        assert_eq!(status, 200, "{external}: {body}");
        let settlement = &body["settlement"];
        assert_eq!(settlement["status"], "pending", "{external}: {body}");
        assert_eq!(settlement["cutoffAt"], "2026-01-01T00:00:00.000Z");
        let id = text(settlement, "id").parse().expect("an id");
        self.settlements.insert(name, (content, id));
    }

    async fn update(&self, party: usize, retracted: bool) {
        let dispute = &self.disputes[&party];
        let content = json!({
            "connectionId": self.connections[party].to_string(),
            "retracted": retracted,
            "reason": "on second thoughts",
            "nonce": fresh_nonce(),
        });
        let tail = format!("/clients/settlements/disputes/{dispute}");
        let (status, body) = self.stage.send(party, Method::PUT, &tail, &content).await;
        assert_eq!(status, 200, "{}: {body}", self.row.name);
        assert_eq!(body["dispute"]["retracted"], retracted);
        let why = if retracted {
            "retractedReason"
        } else {
            "reason"
        };
        assert_eq!(text(&body["dispute"], why), "on second thoughts");
    }

    async fn review(&mut self, party: usize, verdict: &str, then: &str) {
        let closure = self.closures.remove(&party).expect("a closure");
        let tail = format!("/dispute-closures/{closure}/{verdict}");
        self.stage.require_second_operator(true).await;
        let (status, body) = self.stage.operate(false, &tail, json!({})).await;
        assert_eq!((status, text(&body, "name")), (403, "same_operator"));
        let notes = json!({"notes": "looked at the trades"});
        let (status, body) = self.stage.operate(true, &tail, notes.clone()).await;
        assert_eq!(status, 200, "{}: {body}", self.row.name);
        let closed = &body["dispute"]["disputeClosure"];
        assert_eq!(closed["status"], then);
        assert_eq!(closed["reviewNotes"], "looked at the trades");
        let (status, again) = self.stage.operate(true, &tail, notes).await;
        assert_eq!((status, &again["dispute"]), (200, &body["dispute"]));
        self.stage.require_second_operator(false).await;
    }

    async fn act(&mut self, act: Act) {
        let (stage, name) = (self.stage, self.row.name);
        match act {
            Stage(settlement, amounts) => {
                let amounts = self.amounts(amounts);
                self.staged(settlement, &amounts).await;
            }
            StagePair(settlement, (from, to, (currency, _), units)) => {
                let [from, to] = [from, to].map(|n| self.connections[n].to_string());
                let amounts = json!({from: {to: {currency: units.to_string()}}});
                self.staged(settlement, &amounts).await;
            }
            Again(settlement) => {
                let (content, id) = &self.settlements[settlement];
                let (status, body) = stage.stage(content).await;
                assert_eq!(status, 200, "{name}: {body}");
                assert_eq!(text(&body["settlement"], "id"), id.to_string());
            }
            Refused(why, amounts) => {
                let amounts = self.amounts(amounts);
                let content = staging(&format!("{name} / refused"), &amounts);
                let (status, body) = stage.stage(&content).await;
                assert!(status == 422 || status == 400, "{name}: {status} {body}");
                assert_eq!(text(&body, "name"), why);
            }
            Dispute(party, settlement) => {
                let (_, id) = self.settlements[settlement];
                let content = dispute(self.connections[party], &json!({"ofcbtc": "-1"}));
                let tail = format!("/clients/settlements/{id}/disputes");
                let (status, body) = stage.send(party, Method::POST, &tail, &content).await;
                assert_eq!(status, 200, "{name}: {body}");
                let dispute = text(&body["dispute"], "id").to_owned();
                self.disputes.insert(party, dispute);
                let (status, again) = stage.send(party, Method::POST, &tail, &content).await;
                assert_eq!((status, &again), (200, &body), "{name}");
            }
            Retract(party) => self.update(party, true).await,
            Raise(party) => self.update(party, false).await,
            Concede(party) => {
                let dispute = &self.disputes[&party];
                let content = json!({"notes": "it is right", "nonce": fresh_nonce()});
                let tail = format!("/clients/settlements/disputes/{dispute}/close");
                let (status, body) = stage.send(party, Method::POST, &tail, &content).await;
                assert_eq!(status, 200, "{name}: {body}");
                let closure = &body["disputeClosure"];
                assert_eq!(closure["status"], "approved");
                assert_eq!(closure["closedBy"], "client");
                let (status, again) = stage.send(party, Method::POST, &tail, &content).await;
                assert_eq!((status, &again), (200, &body), "{name}");
            }
            Propose(party, amounts) => {
                let adjustments: Vec<Value> = amounts
                    .iter()
                    .map(|((_, ticker), units)| {
                        json!({"currency": ticker, "quantity": units.to_string()})
                    })
                    .collect();
                let body = json!({"notes": "as traded", "adjustments": adjustments});
                let tail = format!("/disputes/{}/closures", self.disputes[&party]);
                let (status, body) = stage.operate(false, &tail, body).await;
                assert_eq!(status, 200, "{name}: {body}");
                let closure = &body["dispute"]["disputeClosure"];
                assert_eq!(closure["status"], "pending_review");
                self.closures.insert(party, text(closure, "id").to_owned());
            }
            Approve(party) => self.review(party, "approve", "approved").await,
            Reject(party) => self.review(party, "reject", "rejected").await,
            Pass(seconds) => stage.pass(seconds).await,
            Fund((_, ticker), units) => {
                let (network, account) = (&stage.world.network, stage.world.partner_account);
                deposit(network, account, ticker, units.into()).await;
            }
            GiveUp(settlement) => {
                let (_, id) = self.settlements[settlement];
                let tail = format!("/settlements/{id}/reject");
                let reason = json!({"reason": "it will not be funded"});
                let (status, body) = stage.operate(false, &tail, reason).await;
                assert_eq!(status, 200, "{name}: {body}");
                assert_eq!(body["settlement"]["status"], "rejected");
            }
            Deallocate(party, (_, ticker), units, expected) => {
                let content = json!({
                    "amount": {"currency": ticker, "quantity": units.to_string()},
                    "clientExternalId": fresh_nonce(),
                    "nonce": fresh_nonce(),
                });
                let connection = self.connections[party];
                let tail = format!("/clients/connections/{connection}/deallocations");
                let (status, body) = stage.send(party, Method::POST, &tail, &content).await;
                assert_eq!(status, expected, "{name}: {body}");
            }
            Is(settlement, state, transfers) => {
                let (_, id) = self.settlements[settlement];
                let what = format!("{name}: {settlement} is {state}");
                let tail = format!("/partners/settlements/{id}?pageSize=500");
                let shown = eventually(&what, async || {
                    let shown = stage.read_as_partner(&tail).await;
                    (shown["settlement"]["status"] == state).then_some(shown)
                })
                .await;
                let mut found = texts(&shown["settlementTransfers"], "status");
                let mut wanted: Vec<String> = transfers.iter().map(|s| (*s).to_owned()).collect();
                found.sort_unstable();
                wanted.sort_unstable();
                assert_eq!(found, wanted, "{what}");
            }
        }
    }
}

async fn play(stage: &Stage<'_>, rows: &'static [Row]) {
    for row in rows {
        let connections = stage.connections().await;
        for (place, units) in row.allocated.iter().enumerate() {
            if *units > 0 {
                let client = &stage.parties[place].client;
                allocate(client, connections[place], BTC.1, (*units).into()).await;
            }
        }
        let mut play = Play {
            stage,
            row,
            connections,
            settlements: BTreeMap::new(),
            disputes: BTreeMap::new(),
            closures: BTreeMap::new(),
        };
        for act in row.acts {
            play.act(*act).await;
        }
        for (place, expected) in row.left.iter().enumerate() {
            let all = stage.read(place, "/clients/balances?pageSize=500").await;
            let own = &all["networkBalances"][connections[place].to_string()]["balances"][BTC.1];
            let units = |bucket: &str| {
                own[bucket]
                    .as_str()
                    .map_or(0, |t| t.parse().expect("units"))
            };
            assert_eq!(
                (units("available"), units("held")),
                *expected,
                "{}",
                row.name
            );
        }
        let report = store::verify(&stage.world.location).await.expect("verify");
        assert!(report.is_sound(), "{}: {:#?}", row.name, report.faults);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_path_of_an_exchanges_settlements() {
    on_each_database(options(false), async |world| {
        play(&Stage::of(world).await, OF_AN_EXCHANGE).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_path_of_a_brokers_settlements() {
    on_each_database(options(true), async |world| {
        play(&Stage::of(world).await, OF_A_BROKER).await;
    })
    .await;
}

/// The payload is held against the body and the path, and a signature against the key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_signed_is_what_is_done() {
    on_each_database(options(false), async |world| {
        let stage = Stage::of(world).await;
        let [first, _] = stage.connections().await;
        allocate(&world.client, first, BTC.1, 100).await;
        let amounts = json!({first.to_string(): {"BTC": "-40"}});
        let content = staging("day 1", &amounts);
        let mut other = content.clone();
        other["cutoffAt"] = "2026-01-02T00:00:00.000Z".into();
        let body = signed_as(&content, &other.to_string(), &world.partner_key);
        let (status, answer) = stage.post_v2(&body).await;
        assert_eq!(status, 400, "{answer}");
        let body = signed_as(&content, &content.to_string(), &world.client_key);
        let (status, answer) = stage.post_v2(&body).await;
        assert_eq!(
            (status, text(&answer, "name")),
            (401, "signature_not_verified")
        );
        let (status, answer) = stage.stage(&content).await;
        assert_eq!(status, 200, "{answer}");
        let id = text(&answer["settlement"], "id").to_owned();
        // The same name with another cut-off is another request.
        other["nonce"] = fresh_nonce().into();
        let (status, answer) = stage.stage(&other).await;
        assert_eq!((status, text(&answer, "name")), (409, "external_id_taken"));
        assert!(text(&answer, "error").contains("cutoffAt"));
        let (status, answer) = stage.stage(&staging("day 2", &json!({}))).await;
        assert_eq!(status, 400, "nothing waits: {answer}");

        let tail = format!("/clients/settlements/{id}/disputes");
        let content = dispute(first, &json!({"ofcbtc": "0"}));
        let (status, answer) = stage.send(0, Method::POST, &tail, &content).await;
        assert_eq!(status, 400, "zero is not expected: {answer}");
        let content = dispute(first, &json!({"ofcxyz": "1"}));
        let (status, answer) = stage.send(0, Method::POST, &tail, &content).await;
        assert_eq!(status, 400, "no currency of the network: {answer}");
        let content = dispute(first, &json!({}));
        let (status, answer) = stage.send(1, Method::POST, &tail, &content).await;
        assert_eq!(status, 404, "a stranger: {answer}");
        // The payload may name the settlement, and then it has to be this one.
        let mut payload = content.clone();
        payload["settlementId"] = Uuid::new_v4().to_string().into();
        let body = signed_as(&content, &payload.to_string(), &world.client_key);
        let path = crate::settling::path(crate::fixture::CLIENT, &tail);
        let token = Some(world.client_token.as_str());
        let (status, _, answer) = world.raw(Method::POST, &path, token, Some(&body)).await;
        assert_eq!(status, 400, "{answer}");
        payload["settlementId"] = id.into();
        let body = signed_as(&content, &payload.to_string(), &world.client_key);
        let (status, _, answer) = world.raw(Method::POST, &path, token, Some(&body)).await;
        assert_eq!(status, 200, "{answer}");
    })
    .await;
}
