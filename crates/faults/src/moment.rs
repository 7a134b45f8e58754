//! The moments at which a server dies: any, one around a call to a partner, one in a conversation
//! with PostgreSQL, one at a file of SQLite.
//!
//! At the files the program under test kills itself, by a small library that is loaded before it
//! (`die_at.c`) and sees every write and flush; it is compiled when it is needed.

use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use rand::RngExt;
use tempfile::TempDir;
use testkit::postgres::Proxy;
use testkit::postgres::proxy::{Fate, Sender};

use crate::partner_way::{self, Moment};
use crate::world::World;

/// The first library that a program loads: dies at a write or flush of a database file.
pub struct DiskKiller {
    folder: TempDir,
}

/// What happens to a database file when the server dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskEvent {
    /// It is about to be written.
    BeforeWrite = 1,
    /// Half of what was to be written is.
    HalfwayThroughWrite,
    /// It was written.
    AfterWrite,
    /// It is about to be flushed.
    BeforeFlush,
    /// It was flushed.
    AfterFlush,
}

impl DiskKiller {
    /// Compiles the library.
    ///
    /// # Errors
    ///
    /// When there is no C compiler.
    pub fn compile() -> anyhow::Result<DiskKiller> {
        let folder = tempfile::tempdir()?;
        let source = folder.path().join("die_at.c");
        fs::write(&source, include_str!("die_at.c"))?;
        let compiled = Command::new("cc")
            .args(["-O2", "-shared", "-fPIC", "-o"])
            .arg(folder.path().join("die_at.so"))
            .arg(&source)
            .arg("-ldl")
            .output()
            .context("a C compiler, `cc`, is needed")?;
        ensure!(compiled.status.success(), "die_at.c: {compiled:?}");
        let killer = DiskKiller { folder };
        killer.write(0, 0)?;
        Ok(killer)
    }

    fn control(&self) -> PathBuf {
        self.folder.path().join("armed")
    }

    /// What the server's environment needs.
    pub fn environment(&self) -> Vec<(String, String)> {
        let path = |path: PathBuf| path.display().to_string();
        vec![
            (
                "LD_PRELOAD".to_owned(),
                path(self.folder.path().join("die_at.so")),
            ),
            ("DIE_AT".to_owned(), path(self.control())),
        ]
    }

    fn write(&self, event: i64, to_come: i64) -> anyhow::Result<()> {
        // In place: the server has this very file mapped.
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.control())?;
        // Both numbers in one write, so that the one is not seen without the other.
        let mut bytes = event.to_ne_bytes().to_vec();
        bytes.extend(to_come.to_ne_bytes());
        Ok(file.write_all(&bytes)?)
    }
}

/// How the next death comes.
#[derive(Clone, Copy, Debug)]
pub enum Death {
    /// From outside, after this long.
    AnyTime(Duration),
    /// At a call to a partner.
    AtCall {
        /// Which partner.
        partner: usize,
        /// How the path of the call ends.
        call: &'static str,
        /// When in the call.
        moment: Moment,
    },
    /// At a statement that is sent to PostgreSQL.
    AtStatement {
        /// Its first word.
        verb: &'static str,
        /// Whether it still arrives there.
        arrives: bool,
        /// How many of its kind are to come before it.
        to_come: u64,
    },
    /// When PostgreSQL has committed, before it is known.
    AtAnswerToCommit,
    /// At a database file of SQLite.
    AtDisk {
        /// What happens to it.
        event: DiskEvent,
        /// How many of its kind are to come before it.
        to_come: i64,
    },
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyTime(_) => write!(f, "at any time"),
            Self::AtCall { moment, .. } => write!(f, "at a partner call, {moment:?}"),
            Self::AtStatement { verb, arrives, .. } => {
                let arrives = if *arrives {
                    "arrives"
                } else {
                    "does not arrive"
                };
                write!(f, "at a {verb} that {arrives}")
            }
            Self::AtAnswerToCommit => write!(f, "at the answer to a COMMIT"),
            Self::AtDisk { event, .. } => write!(f, "at a database file, {event:?}"),
        }
    }
}

/// What can kill at exact moments.
pub enum Killer {
    /// With SQLite.
    Disk(DiskKiller),
    /// With PostgreSQL.
    Database(Arc<Proxy>),
}

impl Killer {
    /// Chooses a death.
    pub fn choose(&self) -> Death {
        const CALLS: [&str; 4] = ["/allocations", "/deallocations", "/clear", "/clear"];
        const MOMENTS: [Moment; 3] = [
            Moment::BeforeItArrives,
            Moment::BeforeItIsAnswered,
            Moment::AfterItIsAnswered,
        ];
        let mut random = rand::rng();
        match random.random_range(0..10) {
            0..2 => Death::AnyTime(Duration::from_millis(random.random_range(0..100))),
            2..5 => Death::AtCall {
                partner: random.random_range(0..2),
                call: CALLS[random.random_range(0..CALLS.len())],
                moment: MOMENTS[random.random_range(0..MOMENTS.len())],
            },
            _ => match self {
                Self::Disk(_) => self.choose_disk(),
                Self::Database(_) => self.choose_statement(),
            },
        }
    }

    fn choose_disk(&self) -> Death {
        let mut random = rand::rng();
        let (event, most) = match random.random_range(0..5) {
            0 => (DiskEvent::BeforeWrite, 200),
            1 => (DiskEvent::HalfwayThroughWrite, 200),
            2 => (DiskEvent::AfterWrite, 200),
            3 => (DiskEvent::BeforeFlush, 10),
            _ => (DiskEvent::AfterFlush, 10),
        };
        let to_come = random.random_range(0..most);
        Death::AtDisk { event, to_come }
    }

    fn choose_statement(&self) -> Death {
        const VERBS: [&str; 6] = ["BEGIN", "SELECT", "INSERT", "UPDATE", "COMMIT", "COMMIT"];
        let mut random = rand::rng();
        if random.random_range(0..4) == 0 {
            return Death::AtAnswerToCommit;
        }
        Death::AtStatement {
            verb: VERBS[random.random_range(0..VERBS.len())],
            arrives: random.random(),
            to_come: random.random_range(0..10),
        }
    }

    /// Lets the server with the number `server` die so.
    ///
    /// # Errors
    ///
    /// When it is dead already.
    pub fn arm(&self, world: &World, server: usize, death: Death) -> anyhow::Result<()> {
        let process = world.servers[server].id().context("the server runs")?;
        match (death, self) {
            (
                Death::AtCall {
                    partner,
                    call,
                    moment,
                },
                _,
            ) => {
                world.partners[partner].way.arm(call, moment, process);
            }
            (Death::AtDisk { event, to_come }, Self::Disk(killer)) => {
                killer.write(event as i64, to_come)?;
            }
            (
                Death::AtStatement {
                    verb,
                    arrives,
                    to_come,
                },
                Self::Database(proxy),
            ) => {
                let seen = AtomicU64::new(0);
                proxy.watch(move |message| {
                    let sends = matches!(message.kind, b'Q' | b'E');
                    let fits = sends && message.sql.is_some_and(|sql| sql.trim().starts_with(verb));
                    if !fits || seen.fetch_add(1, Ordering::SeqCst) != to_come {
                        return Fate::Arrives;
                    }
                    partner_way::kill(process);
                    if arrives {
                        Fate::ArrivesThenCut
                    } else {
                        Fate::Cut
                    }
                });
            }
            (Death::AtAnswerToCommit, Self::Database(proxy)) => {
                let asking = AtomicU64::new(0);
                proxy.watch(move |message| {
                    if message.commits() {
                        asking.store(message.connection, Ordering::SeqCst);
                    }
                    let answers = message.sender == Sender::Server
                        && asking.load(Ordering::SeqCst) == message.connection;
                    if answers {
                        partner_way::kill(process);
                        return Fate::Cut;
                    }
                    Fate::Arrives
                });
            }
            // At any time: by whoever waits. The others do not belong to this database.
            _ => {}
        }
        Ok(())
    }

    /// Whatever was armed and did not come is not to come any more.
    ///
    /// # Errors
    ///
    /// When it cannot be said.
    pub fn disarm(&self, world: &World) -> anyhow::Result<()> {
        for partner in &world.partners {
            partner.way.disarm();
        }
        match self {
            Self::Disk(killer) => killer.write(0, 0),
            Self::Database(proxy) => {
                proxy.let_all_arrive();
                Ok(())
            }
        }
    }
}
