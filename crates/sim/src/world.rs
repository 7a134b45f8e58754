//! What all actors of a run share: time, chance, the database, servers, partners, and the record
//! of what happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{DefaultHasher, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use ledger::Currency;
use rules::EnterpriseId;
use store::sql::{Connection, Reader, open_in_memory};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    chance::Chance,
    exchange::Exchange,
    plan::Plan,
    promises::Promises,
    server::{Life, Server},
};

/// A law that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which law.
    pub law: &'static str,
    /// How it was broken.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.law, self.detail)
    }
}

/// A question about a subject, or a message about it. What is to be said may change while a
/// question is underway; two questions or two messages at once there should never be.
pub(crate) type About = (Uuid, bool);

/// What happened, as a fingerprint and, if wanted, as lines.
struct Record {
    fingerprint: DefaultHasher,
    lines: Option<Vec<String>>,
}

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) chance: Chance,
    pub(crate) begun: Instant,
    /// The name of the database in memory.
    pub(crate) database: String,
    pub(crate) reader: Reader,
    /// Keeps the database alive while no server does.
    _keeps_database: Mutex<Connection>,
    pub(crate) chain_head: Arc<tokio::sync::Mutex<()>>,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) currencies: Vec<Currency>,
    pub(crate) promises: Mutex<Promises>,
    /// Transactions that partners have sent to custody, and how much each brings in base units.
    pub(crate) chain: Mutex<BTreeMap<String, u64>>,
    servers: Mutex<BTreeMap<usize, Arc<Server>>>,
    /// Which servers ask or tell a partner about what at the moment.
    in_flight: Mutex<BTreeMap<About, Vec<(u64, Life)>>>,
    is_faulty: AtomicBool,
    numbers: AtomicU64,
    operations: AtomicU64,
    commits: AtomicU64,
    record: Mutex<Record>,
    violation: Mutex<Option<Violation>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) async fn new(seed: u64, keeps_lines: bool) -> anyhow::Result<World> {
        static WORLDS: AtomicU64 = AtomicU64::new(0);
        let database = format!("sim-{}", WORLDS.fetch_add(1, Ordering::Relaxed));
        let chance = Chance::of(seed);
        let plan = Plan::draw(&chance);
        let (connection, reader) = open_in_memory(&database).await?;
        let exchanges = (0..plan.partners).map(|number| Exchange::new(number, &chance));
        let world = World {
            exchanges: exchanges.collect(),
            currencies: vec!["ofcbtc".parse()?, "ofcusd".parse()?],
            chance,
            begun: Instant::now(),
            database,
            reader,
            _keeps_database: Mutex::new(connection),
            chain_head: Arc::default(),
            promises: Mutex::default(),
            chain: Mutex::default(),
            servers: Mutex::default(),
            in_flight: Mutex::default(),
            is_faulty: AtomicBool::new(false),
            numbers: AtomicU64::new(1),
            operations: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            record: Mutex::new(Record {
                fingerprint: DefaultHasher::new(),
                lines: keeps_lines.then(Vec::new),
            }),
            violation: Mutex::new(None),
            plan,
        };
        world.note(format_args!("{:?}", world.plan));
        Ok(world)
    }

    /// Something happened.
    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        let passed = self.begun.elapsed().as_millis();
        let line = format!("{passed:>8} ms  {what}");
        let mut record = lock(&self.record);
        record.fingerprint.write(line.as_bytes());
        if let Some(lines) = &mut record.lines {
            lines.push(line);
        }
    }

    /// A law did not hold: only the first is kept.
    pub(crate) fn broken(&self, law: &'static str, detail: impl Into<String>) {
        let detail = detail.into();
        self.note(format_args!("BROKEN {law}: {detail}"));
        lock(&self.violation).get_or_insert(Violation { law, detail });
    }

    pub(crate) fn violation(&self) -> Option<Violation> {
        lock(&self.violation).clone()
    }

    pub(crate) fn fingerprint(&self) -> u64 {
        lock(&self.record).fingerprint.finish()
    }

    pub(crate) fn take_lines(&self) -> Vec<String> {
        lock(&self.record).lines.take().unwrap_or_default()
    }

    pub(crate) fn set_faulty(&self, is_faulty: bool) {
        self.is_faulty.store(is_faulty, Ordering::Relaxed);
    }

    pub(crate) fn is_faulty(&self) -> bool {
        self.is_faulty.load(Ordering::Relaxed)
    }

    /// Whether a fault strikes that strikes so often in a thousand times.
    pub(crate) fn suffers(&self, often: u64) -> bool {
        self.is_faulty() && self.chance.per_mille(often)
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn count_operation(&self) {
        self.operations.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// Counts a commit; how many there are now.
    pub(crate) fn count_commit(&self) -> u64 {
        self.commits.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub(crate) fn set_server(&self, place: usize, server: Option<Arc<Server>>) {
        let mut servers = lock(&self.servers);
        match server {
            Some(server) => servers.insert(place, server),
            None => servers.remove(&place),
        };
    }

    /// Some server that lives, as soon as there is one.
    pub(crate) async fn server(&self) -> Arc<Server> {
        loop {
            let servers: Vec<_> = lock(&self.servers).values().cloned().collect();
            let living = |server: &&Arc<Server>| !server.life.has_ended();
            let living: Vec<_> = servers.iter().filter(living).collect();
            if let Some(server) = self.chance.pick(&living) {
                return Arc::clone(server);
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }

    /// Lets go of the servers, which hold the world in turn.
    pub(crate) fn end(&self) {
        lock(&self.servers).clear();
    }

    pub(crate) fn client_enterprise(number: u64) -> EnterpriseId {
        enterprise("client", number)
    }

    /// A server begins to ask or tell.
    pub(crate) fn begin_call(&self, about: About, server: u64, life: &Life) {
        let mut in_flight = lock(&self.in_flight);
        let calls = in_flight.entry(about).or_default();
        calls.retain(|(_, life)| !life.has_ended());
        let others: BTreeSet<u64> = calls.iter().map(|(server, _)| *server).collect();
        calls.push((server, life.clone()));
        drop(in_flight);
        if !others.is_empty() {
            let detail = format!(
                "server {server} calls about {} while {others:?} do",
                about.0
            );
            self.broken("one at a time works on a message", detail);
        }
    }

    pub(crate) fn end_call(&self, about: About, server: u64) {
        if let Some(calls) = lock(&self.in_flight).get_mut(&about)
            && let Some(place) = calls.iter().position(|(number, _)| *number == server)
        {
            calls.remove(place);
        }
    }
}

/// The enterprise of a client or a partner.
pub(crate) fn enterprise(kind: &str, number: u64) -> EnterpriseId {
    let id = format!("{kind}-{number}").parse();
    id.expect("a short name is an enterprise id")
}
