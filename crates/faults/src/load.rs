//! What clients and partners ask for while something goes wrong: allocations and deallocations,
//! deposits, trades and settlements. Everything is asked again until it is answered for good.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use client::{Client, ClientError, OperatorClient, PostedAllocation, Record};
use rand::RngExt;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use wire::api::allocations::{AcceptedAllocation, NewAllocation};
use wire::api::quantity::ClientAmount;

use crate::acknowledgements::{Acknowledgements, Outcome, Work};
use crate::counter::Counter;
use crate::process::Exchange;
use crate::world::{Connection, World};

/// The pause before something is asked again.
const PAUSE: Duration = Duration::from_millis(15);

/// How much one operation moves at the most, in base units.
const UNITS_MAX: i128 = 1_000;

/// How often a settlement that the network does not book yet is posted.
const POSTINGS_MAX: u32 = 2_000;

struct Shared {
    log: Arc<Acknowledgements>,
    /// Whether nothing new is to be begun.
    paused: AtomicBool,
    over: AtomicBool,
    /// How many are in the middle of something.
    busy: AtomicUsize,
    names: AtomicU64,
}

/// The load, as long as it is not stopped.
pub struct Load {
    shared: Arc<Shared>,
    workers: JoinSet<anyhow::Result<()>>,
}

impl Load {
    /// Starts the load: `workers` for each connection of each client, spread over the servers, and
    /// one for each partner that trades and settles. It is paused at first.
    ///
    /// # Errors
    ///
    /// When a client cannot be put together.
    pub fn start(
        world: &World,
        log: &Arc<Acknowledgements>,
        workers: usize,
    ) -> anyhow::Result<Load> {
        let shared = Arc::new(Shared {
            log: Arc::clone(log),
            paused: AtomicBool::new(true),
            over: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
            names: AtomicU64::new(0),
        });
        let mut tasks = JoinSet::new();
        let mut server = 0;
        for (number, participant) in world.clients.iter().enumerate() {
            for (index, connection) in participant.connections.iter().enumerate() {
                for _ in 0..workers {
                    let trader = Trader {
                        shared: Arc::clone(&shared),
                        client: world.client(participant, server)?,
                        operator: world.operator(server)?,
                        number,
                        index,
                        go_account: participant.go_account.clone(),
                        connection: connection.clone(),
                    };
                    tasks.spawn(trader.work());
                    server += 1;
                }
            }
        }
        for (number, partner) in world.partners.iter().enumerate() {
            let accounts = world.clients.iter().flat_map(|client| &client.connections);
            let accounts = accounts.filter(|connection| connection.partner == number);
            let desk = Desk {
                shared: Arc::clone(&shared),
                exchange: Arc::clone(&partner.exchange),
                number,
                accounts: accounts.map(|c| c.account.clone()).collect(),
            };
            tasks.spawn(desk.work());
        }
        if world.venue.is_some() {
            let slow = Slow {
                shared: Arc::clone(&shared),
                counter: world.counter(server)?,
            };
            tasks.spawn(slow.work());
        }
        Ok(Load {
            shared,
            workers: tasks,
        })
    }

    /// Lets everybody begin something new.
    pub fn resume(&self) {
        self.shared.paused.store(false, Ordering::SeqCst);
    }

    /// Lets nobody begin anything new, and waits until everything begun is answered for good.
    ///
    /// # Errors
    ///
    /// When that takes too long, or somebody was answered what must not be.
    pub async fn pause(&mut self) -> anyhow::Result<()> {
        self.shared.paused.store(true, Ordering::SeqCst);
        crate::eventually("everything begun is answered", async || {
            match self.shared.busy.load(Ordering::SeqCst) {
                0 => Ok(()),
                busy => bail!("{busy} are still asking"),
            }
        })
        .await?;
        self.check()
    }

    /// Whether everybody is still at work.
    ///
    /// # Errors
    ///
    /// What stopped somebody.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.workers.try_join_next() {
            None => Ok(()),
            Some(ended) => ended?.context("a worker stopped"),
        }
    }

    /// Ends the load, which is paused.
    ///
    /// # Errors
    ///
    /// What stopped somebody.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.shared.over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.workers.join_next().await {
            ended??;
        }
        Ok(())
    }
}

impl Shared {
    /// Waits until something new may be begun; false if nothing ever will.
    async fn may_begin(&self) -> bool {
        loop {
            if self.over.load(Ordering::SeqCst) {
                return false;
            }
            self.busy.fetch_add(1, Ordering::SeqCst);
            if !self.paused.load(Ordering::SeqCst) {
                return true;
            }
            self.busy.fetch_sub(1, Ordering::SeqCst);
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn done(&self) {
        self.busy.fetch_sub(1, Ordering::SeqCst);
    }

    fn name(&self, noun: &str) -> String {
        format!("{noun} {}", self.names.fetch_add(1, Ordering::SeqCst))
    }
}

/// A client at one of its connections.
struct Trader {
    shared: Arc<Shared>,
    client: Client,
    operator: OperatorClient,
    number: usize,
    index: usize,
    go_account: String,
    connection: Connection,
}

impl Trader {
    async fn work(self) -> anyhow::Result<()> {
        while self.shared.may_begin().await {
            let done = self.do_something().await;
            self.shared.done();
            done?;
        }
        Ok(())
    }

    async fn do_something(&self) -> anyhow::Result<()> {
        let (kind, units) = {
            let mut random = rand::rng();
            (
                random.random_range(0..10),
                random.random_range(1..=UNITS_MAX),
            )
        };
        let (client, connection) = (self.number, self.index);
        match kind {
            0..6 => {
                let work = Work::Allocate {
                    client,
                    connection,
                    units,
                };
                self.move_money(work, units, false).await
            }
            6..9 => {
                let units = units / 2 + 1;
                let work = Work::Deallocate {
                    client,
                    connection,
                    units,
                };
                self.move_money(work, units, true).await
            }
            _ => self.deposit(units).await,
        }
    }

    async fn move_money(&self, work: Work, units: i128, back: bool) -> anyhow::Result<()> {
        let id = self
            .shared
            .name(if back { "deallocation" } else { "allocation" });
        let number = self.shared.log.asked(&id, work);
        loop {
            let content = NewAllocation {
                amount: ClientAmount {
                    currency: "ofcbtc".parse()?,
                    quantity: ledger::Amount::new(units).context("an amount")?,
                },
                client_external_id: id.clone(),
                nonce: client::fresh_nonce(),
                notes: None,
            };
            self.shared.log.sent(number);
            let answer = match back {
                false => {
                    let answer = self.client.allocate(self.connection.id, content).await;
                    answer.map(|accepted| accepted.allocation)
                }
                true => {
                    let answer = self.client.deallocate(self.connection.id, content).await;
                    answer.map(|accepted| accepted.deallocation)
                }
            };
            let outcome = match answer {
                Ok(AcceptedAllocation::Cleared(record)) => Outcome::Cleared(record.record.id),
                Ok(AcceptedAllocation::Reserved(record)) => Outcome::Reserved(record.record.id),
                Err(error) => match released(&error) {
                    Some(id) => Outcome::Released(id),
                    None if is_open(&error) => {
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                    None => return Err(error).context(id),
                },
            };
            self.shared.log.answered(number, outcome);
            return Ok(());
        }
    }

    async fn deposit(&self, units: i128) -> anyhow::Result<()> {
        let id = self.shared.name("deposit");
        let client = self.number;
        let number = self.shared.log.asked(&id, Work::Deposit { client, units });
        let content = json!({
            "goAccountId": self.go_account,
            "currency": "ofcbtc",
            "amount": units.to_string(),
            "externalReference": id,
        });
        loop {
            self.shared.log.sent(number);
            match self.operator.post("/deposits", &content).await {
                Ok(_) => {
                    self.shared.log.answered(number, Outcome::Booked);
                    return Ok(());
                }
                Err(error) if is_open(&error) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error).context(id),
            }
        }
    }
}

/// The id of what the answer says was given up.
fn released(error: &ClientError) -> Option<uuid::Uuid> {
    match error.refusal()?.record.as_ref()? {
        Record::Allocation(PostedAllocation::Released(record)) => Some(record.record.id),
        _ => None,
    }
}

/// Whether the answer, or that there is none, leaves open what has become of it.
fn is_open(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } => true,
        ClientError::Refused(refusal) => {
            refusal.status >= 500 || refusal.status == 408 || refusal.status == 429
        }
        _ => false,
    }
}

/// The venue, with everybody whom its settlements need.
struct Slow {
    shared: Arc<Shared>,
    counter: Counter,
}

impl Slow {
    async fn work(self) -> anyhow::Result<()> {
        while self.shared.may_begin().await {
            let id = self.shared.name("slow settlement");
            let done = self.counter.settle(&self.shared.log, &id).await;
            self.shared.done();
            done?;
        }
        Ok(())
    }
}

/// A partner that trades with its customers and settles.
struct Desk {
    shared: Arc<Shared>,
    exchange: Arc<Exchange>,
    number: usize,
    accounts: Vec<String>,
}

impl Desk {
    async fn work(self) -> anyhow::Result<()> {
        while self.shared.may_begin().await {
            let done = self.trade_and_settle().await;
            self.shared.done();
            done?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn trade_and_settle(&self) -> anyhow::Result<()> {
        let mut traded = false;
        for account in &self.accounts {
            let (units, sells) = {
                let mut random = rand::rng();
                (random.random_range(1..=20_i128), random.random::<bool>())
            };
            let (base, quote) = if sells {
                (-units, units * 3)
            } else {
                (units, -units * 3)
            };
            let trade = json!({
                "accountId": account,
                "base": {"currency": "BTC", "quantity": base.to_string()},
                "quote": {"currency": "USDT", "quantity": quote.to_string()},
            });
            // Whoever has not enough does not trade.
            traded |= self
                .exchange
                .control(Method::POST, "trades", &trade)
                .await?
                .0
                == 200;
        }
        if traded { self.settle().await } else { Ok(()) }
    }

    async fn settle(&self) -> anyhow::Result<()> {
        let id = self.shared.name(&format!("settlement of {}", self.number));
        let partner = self.number;
        let number = self.shared.log.asked(&id, Work::Settle { partner });
        let content = json!({"externalId": id});
        for _ in 0..POSTINGS_MAX {
            self.shared.log.sent(number);
            let posted = self.exchange.control(Method::POST, "settlements", &content);
            let (status, answer) = posted.await?;
            let booked = &answer["network"];
            match (status, booked["status"].as_u64()) {
                (200, Some(200)) => {
                    let outcome = Outcome::Settled(amounts(&answer)?);
                    self.shared.log.answered(number, outcome);
                    return Ok(());
                }
                // What is lost is not free at this moment, or nobody knows: the same again.
                (200, Some(500..)) | (502, _) => tokio::time::sleep(PAUSE).await,
                _ => bail!("{id}: {status} {answer}"),
            }
        }
        bail!("{id}: it was never booked")
    }
}

fn amounts(
    answer: &Value,
) -> anyhow::Result<std::collections::BTreeMap<uuid::Uuid, std::collections::BTreeMap<String, i128>>>
{
    let amounts = answer["settlementAmounts"].as_object();
    let mut read = std::collections::BTreeMap::new();
    for (connection, currencies) in amounts.context("amounts")? {
        let own: &mut std::collections::BTreeMap<_, _> =
            read.entry(connection.parse()?).or_default();
        for (name, units) in currencies.as_object().context("currencies")? {
            own.insert(name.clone(), units.as_str().context("units")?.parse()?);
        }
    }
    Ok(read)
}
