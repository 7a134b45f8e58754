//! A client: allocates, deallocates, repeats itself, and tries what it must not.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use ledger::Amount;
use network::{
    AllocationRequest, ConnectionRequest, DisputeClosureRequest, DisputeRequest,
    DisputeUpdateRequest, Failure, SignedText,
};
use rules::record::{Allocation, AllocationKind, AllocationState, Connection};
use store::{DisputeFilter, Page, SettlementFilter, Side, StoreError};
use uuid::Uuid;
use wire::connection_key::ConnectionKey;

use super::{Party, amount};
use crate::{
    exchange::Exchange,
    laws::STOPPED,
    promises::Name,
    world::{World, lock},
};

/// A client with its connections.
pub(crate) struct Client {
    pub(crate) number: u64,
    pub(crate) party: Party,
    pub(crate) connections: Vec<Uuid>,
    /// Whether it wants a connection to be active, where it has said so; none: that is not known.
    pub(crate) wants_active: Mutex<BTreeMap<Uuid, Option<bool>>>,
    /// What it has asked for, and been answered.
    pub(crate) asked: Mutex<Vec<AllocationRequest>>,
    /// Its disputes, with the connection of each.
    pub(crate) disputes: Mutex<Vec<(Uuid, Uuid)>>,
}

impl Client {
    /// Does as much as the plan says.
    pub(crate) async fn act(&self, world: &Arc<World>) {
        for step in 0..world.plan.client_steps * (1 + world.plan.staged) {
            world.pause().await;
            if world.violation().is_some() {
                return;
            }
            if world.plan.staged == 1 && world.chance.below(2) == 0 {
                self.dispute(world).await;
            }
            match world.chance.below(20) {
                0..=8 => self.ask(world, AllocationKind::Allocation, step).await,
                9..=12 => self.ask(world, AllocationKind::Deallocation, step).await,
                13 | 14 => self.repeat(world).await,
                15 => self.ask_twice_at_once(world, step).await,
                16 => self.ask_for_something_else(world).await,
                17 => self.use_a_nonce_again(world, step).await,
                18 if world.plan.suspensions == 1 => self.connect_once_more(world).await,
                _ => self.stop_or_resume(world).await,
            }
        }
    }

    /// Does once what it may not while it is suspended, and what it may.
    pub(crate) async fn try_everything(&self, world: &Arc<World>) {
        let step = world.next_number();
        self.stop_or_resume(world).await;
        self.ask(world, AllocationKind::Allocation, step).await;
        self.ask(world, AllocationKind::Deallocation, step).await;
        self.connect_once_more(world).await;
    }

    fn request(&self, world: &World, kind: AllocationKind, step: u64) -> Option<AllocationRequest> {
        let connection_id = *world.chance.pick(&self.connections)?;
        let mut request = AllocationRequest {
            kind,
            connection_id,
            currency: world.chance.pick(&world.currencies)?.clone(),
            amount: amount(world.chance.within(1, 900)),
            client_external_id: format!("{step}-{}", world.chance.below(1_000_000)),
            notes: None,
            text: SignedText {
                payload: String::new(),
                signature: String::new(),
                nonce: String::new(),
            },
        };
        self.sign(world, &mut request);
        Some(request)
    }

    fn sign(&self, world: &World, request: &mut AllocationRequest) {
        request.text = self.party.sign(world, &content(request));
    }

    fn name(&self, request: &AllocationRequest) -> Name {
        let id = request.client_external_id.clone();
        (self.number, request.kind.as_str(), id)
    }

    async fn place(
        &self,
        world: &World,
        request: &AllocationRequest,
    ) -> Result<Allocation, Failure> {
        let told = world
            .persist(async |network| network.allocate(&self.party.caller, request.clone()).await)
            .await;
        world.hear(&self.name(request), &told);
        told
    }

    async fn ask(&self, world: &Arc<World>, kind: AllocationKind, step: u64) {
        let Some(request) = self.request(world, kind, step) else {
            return;
        };
        // Somebody who is turned away does not always come back.
        if world.chance.below(4) == 0 {
            let told = world
                .ask_once(async |network| {
                    network.allocate(&self.party.caller, request.clone()).await
                })
                .await;
            world.hear(&self.name(&request), &told);
            if matches!(told, Err(Failure::Busy)) {
                return;
            }
        }
        if let Ok(record) = self.place(world, &request).await {
            lock(&self.asked).push(request.clone());
            if world.chance.below(2) == 0 {
                self.insist(world, &request, record).await;
            }
        }
    }

    /// Sends a request again that a partner has not answered, as the network advises.
    async fn insist(&self, world: &World, request: &AllocationRequest, mut record: Allocation) {
        for _ in 0..4 {
            let AllocationState::Reserved { retriable, .. } = record.state else {
                return;
            };
            if !retriable {
                return;
            }
            tokio::time::sleep(world.chance.millis(2_500)).await;
            // Impatient people press the button twice.
            let both = [self.place(world, request), self.place(world, request)];
            let told = futures_util::future::join_all(both).await;
            match told.into_iter().next() {
                Some(Ok(latest)) => record = latest,
                _ => return,
            }
        }
    }

    /// Sends everything again, as it was.
    pub(crate) async fn repeat_everything(&self, world: &World) {
        let asked = lock(&self.asked).clone();
        for request in &asked {
            if let Err(failure) = self.place(world, request).await {
                let detail = format!("{}: {failure}", content(request));
                world.broken("a repeated request is answered", detail);
            }
        }
    }

    fn something_asked(&self, world: &World) -> Option<AllocationRequest> {
        world.chance.pick(&lock(&self.asked)).cloned()
    }

    /// The same again, with the same signature or a fresh one.
    async fn repeat(&self, world: &Arc<World>) {
        let Some(mut request) = self.something_asked(world) else {
            return;
        };
        if world.chance.below(2) == 0 {
            self.sign(world, &mut request);
        }
        let told = self.place(world, &request).await;
        if let Err(failure) = told {
            let detail = format!("{request}: {failure}", request = content(&request));
            world.broken("a repeated request is answered", detail);
        }
    }

    async fn ask_twice_at_once(&self, world: &Arc<World>, step: u64) {
        let Some(request) = self.request(world, AllocationKind::Allocation, step) else {
            return;
        };
        let both = [self.place(world, &request), self.place(world, &request)];
        let told = futures_util::future::join_all(both).await;
        if told.iter().any(Result::is_ok) {
            lock(&self.asked).push(request);
        }
    }

    async fn ask_for_something_else(&self, world: &Arc<World>) {
        let Some(mut request) = self.something_asked(world) else {
            return;
        };
        let more = request.amount.units() + 1;
        request.amount = Amount::new(more).unwrap_or(Amount::MAX);
        self.sign(world, &mut request);
        let told = world
            .persist(async |network| network.allocate(&self.party.caller, request.clone()).await)
            .await;
        let law = "an external id is taken by its content";
        world.expect_refusal(law, &told, &content(&request));
    }

    async fn use_a_nonce_again(&self, world: &Arc<World>, step: u64) {
        let known = self.something_asked(world);
        let fresh = self.request(world, AllocationKind::Allocation, step);
        let (Some(known), Some(mut request)) = (known, fresh) else {
            return;
        };
        request.text = self.party.sign_with(known.text.nonce, &content(&request));
        let told = world
            .persist(async |network| network.allocate(&self.party.caller, request.clone()).await)
            .await;
        world.expect_refusal("a nonce is used once", &told, &content(&request));
    }

    /// Allocates over every connection: what a dispute has ended in may take more than is there. All
    /// clients together stay below what a partner lets wait.
    pub(crate) async fn cover(&self, world: &World) {
        for &connection_id in &self.connections {
            let caller = &self.party.caller;
            let resumed = world
                .persist(async |network| {
                    let active = Some(true);
                    network
                        .update_connection(caller, connection_id, active, None)
                        .await
                })
                .await;
            for currency in &world.currencies {
                let mut request = AllocationRequest {
                    kind: AllocationKind::Allocation,
                    connection_id,
                    currency: currency.clone(),
                    amount: amount(700),
                    client_external_id: format!("cover-{}", world.next_number()),
                    notes: None,
                    text: SignedText {
                        payload: String::new(),
                        signature: String::new(),
                        nonce: String::new(),
                    },
                };
                self.sign(world, &mut request);
                let told = self.place(world, &request).await;
                world.note(format_args!(
                    "{} is covered: {} {}",
                    connection_id,
                    resumed.is_ok(),
                    told.is_ok()
                ));
                if let Ok(record) = told
                    && let AllocationState::Released { reason } = record.state
                    && STOPPED.contains(&reason.name.as_str())
                {
                    world.broken("what is reactivated goes on", reason.to_string());
                }
            }
        }
    }

    async fn stop_or_resume(&self, world: &Arc<World>) {
        let Some(&connection) = world.chance.pick(&self.connections) else {
            return;
        };
        let active = world.chance.below(3) != 0;
        let told = world
            .persist(async |network| {
                let caller = &self.party.caller;
                let active = Some(active);
                network
                    .update_connection(caller, connection, active, None)
                    .await
            })
            .await;
        let wanted = match told {
            Ok(_) => Some(active),
            // An attempt that nobody has heard of may have come before the operator did.
            Err(Failure::Refused(refusal)) if refusal.reason.name == "connection_suspended" => None,
            Err(failure) => {
                world.broken("a connection is stopped and resumed", failure.to_string());
                None
            }
        };
        lock(&self.wants_active).insert(connection, wanted);
    }

    /// Connects an account of its own at an exchange.
    pub(crate) async fn connect(
        &self,
        world: &World,
        exchange: &Exchange,
        name: &str,
    ) -> Result<Connection, Failure> {
        let connection_token = exchange.open_account();
        let partner_id = exchange.partner_id.get().copied().unwrap_or_default();
        let text = self.party.sign(world, &format!("connect {name}"));
        let caller = &self.party.caller;
        world
            .persist(async |network| {
                let request = ConnectionRequest {
                    partner_id,
                    name: name.to_owned(),
                    key: ConnectionKey::Token {
                        connection_token: connection_token.clone(),
                    },
                    text: text.clone(),
                };
                network.connect(caller, request).await
            })
            .await
    }

    /// Connects another account, which only somebody who is suspended may not, or with a partner that
    /// is.
    async fn connect_once_more(&self, world: &World) {
        let Some(exchange) = world.chance.pick(&world.exchanges) else {
            return;
        };
        let name = format!("{}-{}-more", self.number, exchange.number);
        let told = self.connect(world, exchange, &name).await;
        world.note(format_args!("{name} is connected: {}", told.is_ok()));
        match told {
            Ok(_) => {}
            Err(Failure::Refused(refusal)) if STOPPED.contains(&refusal.reason.name.as_str()) => {}
            Err(_) if world.violation().is_some() => {}
            Err(failure) => world.broken("a partner accepts who is its own", failure.to_string()),
        }
    }

    /// Every connection is as active as the client wants it; none is suspended any more.
    pub(crate) async fn check_active(&self, world: &World) -> Result<(), StoreError> {
        let wants_active = lock(&self.wants_active).clone();
        for &connection in &self.connections {
            let wanted = wants_active.get(&connection).copied().unwrap_or(Some(true));
            let sql = "SELECT count(*) FROM connections WHERE id = $1 AND active = $2";
            let Some(wanted) = wanted else { continue };
            let params = vec![connection.into(), wanted.into()];
            let mut rows = world.reader.query(sql, params).await?;
            let found = rows.first_mut().map(|row| row.int(0)).transpose()?;
            if found != Some(1) {
                let detail = format!("{connection} is wanted active {wanted}");
                world.broken("a connection is as active as its client wants it", detail);
            }
        }
        Ok(())
    }
}

impl Client {
    /// Disputes a settlement that is staged, takes a dispute back or raises it again, or concedes.
    pub(crate) async fn dispute(&self, world: &Arc<World>) {
        let known = world.chance.pick(&lock(&self.disputes)).copied();
        match (known, world.chance.below(8)) {
            (Some((dispute, connection)), 0) => self.amend(world, dispute, connection).await,
            (Some((dispute, _)), 1) => self.concede(world, dispute).await,
            _ => self.object(world).await,
        }
    }

    async fn object(&self, world: &Arc<World>) {
        let caller = &self.party.caller;
        let filter = SettlementFilter {
            states: Some(vec!["pending"]),
            ..SettlementFilter::default()
        };
        let first = Page {
            number: 0,
            size: 20,
        };
        let pending = world
            .persist(async |network| {
                network
                    .client_settlements(caller, filter.clone(), first)
                    .await
            })
            .await;
        let pending = pending.unwrap_or_default();
        let (Some(view), Some(connection)) = (
            world.chance.pick(&pending),
            world.chance.pick(&self.connections).copied(),
        ) else {
            return;
        };
        let request = DisputeRequest {
            settlement_id: view.settlement.id.0,
            connection_id: connection,
            reason: None,
            expected: BTreeMap::new(),
            text: self.party.sign(world, &format!("dispute {connection}")),
        };
        let told = world
            .persist(async |network| network.open_dispute(caller, request.clone()).await)
            .await;
        world.note(format_args!("{connection} disputes: {}", told.is_ok()));
        if let Ok(view) = told {
            lock(&self.disputes).push((view.dispute.id.0, connection));
        }
    }

    async fn amend(&self, world: &Arc<World>, dispute: Uuid, connection: Uuid) {
        let retracted = world.chance.below(2) == 0;
        let request = DisputeUpdateRequest {
            dispute_id: dispute,
            connection_id: connection,
            retracted,
            reason: None,
            expected: None,
            text: self.party.sign(world, &format!("amend {dispute}")),
        };
        let caller = &self.party.caller;
        let told = world
            .persist(async |network| network.update_dispute(caller, request.clone()).await)
            .await;
        world.note(format_args!(
            "{dispute} retracted {retracted}: {}",
            told.is_ok()
        ));
    }

    async fn concede(&self, world: &World, dispute: Uuid) {
        let request = DisputeClosureRequest {
            dispute_id: dispute,
            notes: "it is right".to_owned(),
            text: self.party.sign(world, &format!("concede {dispute}")),
        };
        let caller = &self.party.caller;
        let told = world
            .persist(async |network| network.close_dispute(caller, request.clone()).await)
            .await;
        world.note(format_args!("{dispute} is conceded: {}", told.is_ok()));
    }

    /// Concedes everything that still stands.
    pub(crate) async fn concede_everything(&self, world: &World) {
        let caller = &self.party.caller;
        let filter = DisputeFilter {
            closed: Some(false),
            retracted: Some(false),
            ..DisputeFilter::default()
        };
        let first = Page {
            number: 0,
            size: 100,
        };
        let standing = world
            .persist(async |network| {
                network
                    .disputes(caller, Side::Client, filter.clone(), first)
                    .await
            })
            .await;
        for view in standing.unwrap_or_default() {
            self.concede(world, view.dispute.id.0).await;
        }
    }
}

fn content(request: &AllocationRequest) -> String {
    let AllocationRequest {
        kind,
        connection_id,
        currency,
        amount,
        client_external_id,
        ..
    } = request;
    format!("{kind} {client_external_id} {connection_id} {amount} {currency}")
}
