//! The books held against the log of acknowledgements: what was acknowledged is there once and as
//! it was acknowledged, nothing else is there, and both sides of every connection agree.

use std::collections::{BTreeMap, HashMap};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;
use wire::api::allocations::{AllocationStatus, ClientAllocationsFilter};
use wire::api::balances::Balance;
use wire::filters::{PAGE_SIZE_MAX, Page};

use crate::acknowledgements::{Acknowledgements, Entry, Outcome, Work};
use crate::world::{CURRENCIES, ENDOWMENT, VENUE_ALLOCATION, VENUE_ENDOWMENT, Venue, World};

/// How long an exchange may take to answer later by itself before it is told to.
const NUDGE_AFTER: Duration = Duration::from_secs(3);

/// What the books have to say, as far as the log was read.
#[derive(Default)]
pub struct Audit {
    /// How many operations of the log were read.
    read: usize,
    /// By client, and by partner: what came in and went out of its account in custody.
    clients: HashMap<usize, BTreeMap<String, i128>>,
    partners: HashMap<usize, BTreeMap<String, i128>>,
    /// By connection.
    connections: HashMap<Uuid, BTreeMap<String, i128>>,
    /// What has moved between the venue and its connection, and of it what has not crossed the chain.
    venue: BTreeMap<String, i128>,
    venue_in_the_books: BTreeMap<String, i128>,
    /// By client: the records that there have to be, by the client's names, and how they ended.
    records: HashMap<usize, BTreeMap<String, AllocationStatus>>,
}

impl Audit {
    /// Checks everything that can be checked while nothing is under way: waits until nothing is
    /// held any more, then reads what was logged since the last time, record by record, and
    /// compares all balances, at the network and at the exchanges.
    ///
    /// # Errors
    ///
    /// What does not agree.
    pub async fn check(&mut self, world: &World, log: &Acknowledgements) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut nudged = began;
        crate::eventually("everything comes to its end", async || {
            if nudged.elapsed() > NUDGE_AFTER {
                nudged = Instant::now();
                answer_what_waits(world).await?;
            }
            nothing_is_held(world).await
        })
        .await?;
        let entries = log.since(self.read);
        for entry in &entries {
            self.read(world, entry).await?;
        }
        self.read += entries.len();
        crate::eventually("both books agree", async || self.compare(world).await).await
    }

    /// Checks all records of all times: each that was acknowledged is there once, and no other.
    ///
    /// # Errors
    ///
    /// What does not agree.
    pub async fn check_all_records(&self, world: &World) -> anyhow::Result<()> {
        for (number, participant) in world.clients.iter().enumerate() {
            let client = world.client(participant, 0)?;
            let expected = self.records.get(&number).cloned().unwrap_or_default();
            let mut found = BTreeMap::new();
            for page in 0.. {
                let filter = ClientAllocationsFilter {
                    page: Page {
                        number: page,
                        size: PAGE_SIZE_MAX,
                    },
                    ..ClientAllocationsFilter::default()
                };
                let listed = client.client_allocations(&filter).await?.allocations;
                if listed.is_empty() {
                    break;
                }
                for record in listed {
                    let name = record.record.client_external_id;
                    if name == VENUE_ALLOCATION {
                        continue;
                    }
                    let twice = found.insert(name.clone(), record.status);
                    ensure!(twice.is_none(), "{name} is there twice");
                }
            }
            for (name, status) in &expected {
                let there = found.remove(name);
                ensure!(
                    there == Some(*status),
                    "{name} was {status:?} and is {there:?}"
                );
            }
            ensure!(found.is_empty(), "nobody asked for {found:?}");
        }
        Ok(())
    }

    async fn read(&mut self, world: &World, entry: &Entry) -> anyhow::Result<()> {
        let outcome = entry.outcome.as_ref();
        let outcome = outcome.with_context(|| format!("{} has no outcome", entry.id))?;
        match (&entry.work, outcome) {
            (Work::Deposit { client, units }, Outcome::Booked) => {
                *entry_of(&mut self.clients, *client, "ofcbtc") += units;
            }
            (Work::Settle { partner }, Outcome::Settled(amounts)) => {
                for (connection, currencies) in amounts {
                    for (name, units) in currencies {
                        let ticker = ticker(name)?;
                        *entry_of(&mut self.connections, *connection, ticker) += units;
                        *entry_of(&mut self.partners, *partner, ticker) -= units;
                    }
                }
            }
            (Work::SettleSlowly { over_the_chain }, Outcome::Ended(ended)) => {
                let counter = world.counter(0)?;
                for settlement in &ended.settlements {
                    let completed = counter.is_completed(*settlement).await;
                    completed.with_context(|| format!("{} was acknowledged", entry.id))?;
                }
                for (name, units) in &ended.moved {
                    *self.venue.entry(name.clone()).or_default() += units;
                    if !over_the_chain {
                        let books = &mut self.venue_in_the_books;
                        *books.entry(name.clone()).or_default() += units;
                    }
                }
            }
            (
                Work::Allocate {
                    client,
                    connection,
                    units,
                },
                outcome,
            ) => {
                self.read_record(world, entry, (*client, *connection, *units), outcome)
                    .await?;
            }
            (
                Work::Deallocate {
                    client,
                    connection,
                    units,
                },
                outcome,
            ) => {
                self.read_record(world, entry, (*client, *connection, -units), outcome)
                    .await?;
            }
            other => bail!("{}: {other:?}", entry.id),
        }
        Ok(())
    }

    /// `units` go from the client to the connection, or the other way if they are below zero.
    async fn read_record(
        &mut self,
        world: &World,
        entry: &Entry,
        (client, connection, units): (usize, usize, i128),
        outcome: &Outcome,
    ) -> anyhow::Result<()> {
        let (Outcome::Cleared(id) | Outcome::Reserved(id) | Outcome::Released(id)) = outcome else {
            bail!("{}: {outcome:?}", entry.id);
        };
        let participant = &world.clients[client];
        let found = world.client(participant, 0)?.client_allocation(*id).await;
        let found = found.with_context(|| format!("{} was acknowledged", entry.id))?;
        let (status, name) = (
            found.allocation.status,
            found.allocation.record.client_external_id,
        );
        ensure!(name == entry.id, "{} is {name} now", entry.id);
        let right = match outcome {
            Outcome::Cleared(_) => status == AllocationStatus::Cleared,
            Outcome::Released(_) => status == AllocationStatus::Released,
            _ => status != AllocationStatus::Reserved,
        };
        ensure!(right, "{} was {outcome:?} and is {status:?}", entry.id);
        if status == AllocationStatus::Cleared {
            let connection = participant.connections[connection].id;
            *entry_of(&mut self.clients, client, "ofcbtc") -= units;
            *entry_of(&mut self.connections, connection, "ofcbtc") += units;
        }
        let records = self.records.entry(client).or_default();
        ensure!(
            records.insert(name, status).is_none(),
            "{} was logged twice",
            entry.id
        );
        Ok(())
    }

    async fn compare(&self, world: &World) -> anyhow::Result<()> {
        for (number, participant) in world.clients.iter().enumerate() {
            let client = world.client(participant, 0)?;
            let balances = client.client_balances(&Default::default()).await?;
            let moved = self.clients.get(&number);
            for (ticker, _) in CURRENCIES {
                let expected = ENDOWMENT + moved.and_then(|m| m.get(ticker)).unwrap_or(&0);
                let (available, held) = figures(balances.balances.get(ticker))?;
                ensure!(
                    (available, held) == (expected, 0),
                    "{} has {available} and {held} held of {ticker}, not {expected}",
                    participant.enterprise
                );
            }
            for connection in &participant.connections {
                let there = balances.network_balances.get(&connection.id);
                let there = there.map(|there| &there.balances);
                let moved = self.connections.get(&connection.id);
                let position = position(world, connection.partner, &connection.account).await?;
                for (ticker, name) in CURRENCIES {
                    let expected = *moved.and_then(|m| m.get(ticker)).unwrap_or(&0);
                    let found = figures(there.and_then(|there| there.get(ticker)))?;
                    ensure!(
                        found == (expected, 0),
                        "a connection of {} has {found:?} of {ticker}, not {expected}",
                        participant.enterprise
                    );
                    let at_exchange = &position[name];
                    let units = |member: &str| -> anyhow::Result<i128> {
                        Ok(at_exchange[member].as_str().unwrap_or("0").parse()?)
                    };
                    ensure!(
                        units("balance")? - units("unsettled")? == expected && units("held")? == 0,
                        "the exchange has {at_exchange} of {name}, and the network {expected}"
                    );
                }
            }
        }
        if let Some(venue) = &world.venue {
            self.compare_venue(world, venue).await?;
        }
        for (number, partner) in world.partners.iter().enumerate() {
            let balances = world.partner_balances(partner).await?;
            let moved = self.partners.get(&number);
            for (ticker, name) in CURRENCIES {
                let expected = ENDOWMENT + moved.and_then(|m| m.get(ticker)).unwrap_or(&0);
                let found = figures(balances.get(name))?;
                ensure!(
                    found == (expected, 0),
                    "{} has {found:?} of {ticker}, not {expected}",
                    partner.enterprise
                );
            }
        }
        Ok(())
    }
}

impl Audit {
    /// What the venue, and its connection, have to have.
    async fn compare_venue(&self, world: &World, venue: &Venue) -> anyhow::Result<()> {
        let client = world.clients.first().context("there is a client")?;
        let client = world.client(client, 0)?;
        let balances = client.client_balances(&Default::default()).await?;
        let at_connection = balances.network_balances.get(&venue.connection);
        let at_connection = &at_connection.context("the venue's connection")?.balances;
        let own = world.partner_balances(&venue.partner).await?;
        for (ticker, name) in CURRENCIES {
            let begun = if ticker == "ofcbtc" {
                VENUE_ENDOWMENT
            } else {
                0
            };
            let expected = begun + self.venue.get(name).unwrap_or(&0);
            let found = figures(at_connection.get(ticker))?;
            ensure!(
                found == (expected, 0),
                "the venue's connection has {found:?} of {ticker}, not {expected}"
            );
            let expected = ENDOWMENT - self.venue_in_the_books.get(name).unwrap_or(&0);
            let found = figures(own.get(name))?;
            ensure!(
                found == (expected, 0),
                "the venue has {found:?} of {ticker}, not {expected}"
            );
        }
        Ok(())
    }
}

fn entry_of<'a, K: std::hash::Hash + Eq>(
    accounts: &'a mut HashMap<K, BTreeMap<String, i128>>,
    key: K,
    ticker: &str,
) -> &'a mut i128 {
    accounts
        .entry(key)
        .or_default()
        .entry(ticker.to_owned())
        .or_default()
}

fn ticker(name: &str) -> anyhow::Result<&'static str> {
    let found = CURRENCIES.iter().find(|(_, own)| *own == name);
    Ok(found.with_context(|| format!("a currency {name}"))?.0)
}

/// Available and held.
fn figures(balance: Option<&Balance>) -> anyhow::Result<(i128, i128)> {
    match balance {
        Some(balance) => Ok((balance.available.parse()?, balance.held.parse()?)),
        None => Ok((0, 0)),
    }
}

async fn position(world: &World, partner: usize, account: &str) -> anyhow::Result<Value> {
    let exchange = &world.partners[partner].exchange;
    let all = exchange.act(Method::GET, "accounts", &Value::Null).await?;
    let accounts = all["accounts"].as_array().context("accounts")?;
    let own = accounts.iter().find(|a| a["accountId"] == account);
    Ok(own.context("the account")?["balances"].clone())
}

/// Nothing is reserved for anything, and both sides of each connection are the same.
async fn nothing_is_held(world: &World) -> anyhow::Result<()> {
    for participant in &world.clients {
        let client = world.client(participant, 0)?;
        let balances = client.client_balances(&Default::default()).await?;
        let connections = balances.network_balances.values();
        let all = connections.flat_map(|connection| connection.balances.values());
        for balance in all.chain(balances.balances.values()) {
            ensure!(balance.held == "0", "{} is held", balance.held);
        }
    }
    Ok(())
}

/// An exchange that was to answer later and could not, because nobody was there, is told to.
async fn answer_what_waits(world: &World) -> anyhow::Result<()> {
    for partner in &world.partners {
        let exchange = &partner.exchange;
        let all = exchange.act(Method::GET, "movements", &Value::Null).await?;
        for movement in all["movements"].as_array().into_iter().flatten() {
            if ["pending", "reserved"]
                .iter()
                .any(|s| movement["status"] == *s)
            {
                let answer = json!({"id": movement["id"], "status": "cleared"});
                exchange.control(Method::POST, "answers", &answer).await?;
            }
        }
    }
    Ok(())
}

/// Runs `tidelock verify`: the books in themselves.
///
/// # Errors
///
/// When they are not sound.
pub async fn verify(world: &World) -> anyhow::Result<String> {
    let verified = tokio::process::Command::new(&world.settings.program)
        .arg("verify")
        .arg("--data")
        .arg(&world.settings.folder)
        .env("TIDELOCK_DATABASE", &world.settings.database)
        .stderr(Stdio::inherit())
        .output()
        .await?;
    let told = String::from_utf8_lossy(&verified.stdout).into_owned();
    ensure!(verified.status.success(), "tidelock verify: {told}");
    Ok(told)
}
