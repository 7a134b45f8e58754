//! One process of the network: started on the shared database, killed at any moment.

use std::{sync::Arc, time::Duration};

use ledger::Timestamp;
use network::{MasterKey, Network, Settings};
use partner::PartnerCaller;
use store::{Store, sql::open_in_memory};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::{Builder, Uuid};

use crate::{calls::Calls, chance::Chance, database::Faulty, world::World};

/// When every run begins.
const START_US: i64 = 1_700_000_000_000_000;

/// The master key of every run.
const MASTER_KEY: &str = "5151515151515151515151515151515151515151515151515151515151515151";

/// A server. What it did counts for as long as it lives; afterwards its tasks run out without
/// reaching the database or anybody else.
pub(crate) struct Server {
    pub(crate) number: u64,
    pub(crate) network: Network,
    pub(crate) life: Life,
}

/// Whether a server lives. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life(CancellationToken);

impl Life {
    pub(crate) fn end(&self) {
        self.0.cancel();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.is_cancelled()
    }

    pub(crate) async fn ended(&self) {
        self.0.cancelled().await;
    }

    /// What comes of `work`, unless the server dies first.
    pub(crate) async fn or_dead<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.ended() => None,
            done = work => Some(done),
        }
    }
}

impl Server {
    pub(crate) async fn start(world: &Arc<World>, number: u64) -> anyhow::Result<Arc<Server>> {
        let life = Life::default();
        let (connection, reader) = {
            // Opening writes a little, which would meet the open transaction of another server.
            let _alone = world.chain_head.lock().await;
            open_in_memory(&world.database).await?
        };
        let skew = world.plan.skew_ms;
        let skew_ms = i64::try_from(world.chance.within(0, 2 * skew))? - i64::try_from(skew)?;
        let clock = {
            let begun = world.begun;
            move || time_since(begun).plus_millis(skew_ms)
        };
        let identifiers = {
            let (chance, begun) = (world.chance.clone(), world.begun);
            move || draw_id(&chance, begun)
        };
        let driver = Faulty::new(connection, Arc::clone(world), life.clone(), number);
        let store = Store::over(driver, reader, Arc::new(clock), Arc::new(identifiers));
        let calls = Calls::new(Arc::clone(world), life.clone(), number);
        let network = Network::start(
            store,
            PartnerCaller::over(calls),
            MasterKey::from_hex(MASTER_KEY)?,
            Settings {
                patience: Duration::from_secs(10),
                look_around: Duration::from_secs(world.plan.look_around_s),
                calls_at_once: usize::try_from(world.plan.calls_at_once)?,
                ..Settings::default()
            },
        );
        world.note(format_args!(
            "server {number} starts, its clock off by {skew_ms} ms"
        ));
        Ok(Arc::new(Server {
            number,
            network,
            life,
        }))
    }
}

/// The true time.
pub(crate) fn time_since(begun: Instant) -> Timestamp {
    let passed = i64::try_from(begun.elapsed().as_micros()).unwrap_or(i64::MAX);
    Timestamp(START_US + passed)
}

/// An identifier of version 7 whose time is the true time and whose rest is drawn.
pub(crate) fn draw_id(chance: &Chance, begun: Instant) -> Uuid {
    let millis = u64::try_from(time_since(begun).0 / 1_000).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &chance.bytes::<10>()).into_uuid()
}

/// Keeps a number of servers alive: each that dies is followed by another one after a while.
pub(crate) async fn keep_alive(world: Arc<World>, place: usize) {
    loop {
        let number = world.next_number();
        let server = match Server::start(&world, number).await {
            Ok(server) => server,
            Err(error) => {
                world.broken("servers start", format!("server {number}: {error:#}"));
                return;
            }
        };
        world.set_server(place, Some(Arc::clone(&server)));
        loop {
            let pause = tokio::time::sleep(Duration::from_millis(500));
            if server.life.or_dead(pause).await.is_none() {
                break;
            }
            if world.suffers(world.plan.dies_anyhow) {
                server.life.end();
            }
        }
        world.note(format_args!("server {number} dies"));
        world.set_server(place, None);
        // Its tasks run out, each as soon as it notices.
        tokio::spawn(server.network.clone().close());
        tokio::time::sleep(world.chance.millis(3_000)).await;
    }
}
