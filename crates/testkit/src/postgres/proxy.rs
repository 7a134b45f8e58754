//! A way to a PostgreSQL server on which whatever can happen to messages can be made to happen.
//!
//! The proxy knows where a message of the wire protocol begins and ends, and which statement it
//! belongs to. Whoever watches says of each what becomes of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Who sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Whoever uses the database.
    Client,
    /// The database.
    Server,
}

/// A message on its way.
#[derive(Debug)]
pub struct Message<'a> {
    /// The number of the connection, from 1 on.
    pub connection: u64,
    /// Who sent it.
    pub sender: Sender,
    /// Its type on the wire, such as `b'Q'`; 0 for the first message of a connection.
    pub kind: u8,
    /// The statement that a message of the client sends, names or runs.
    pub sql: Option<&'a str>,
}

impl Message<'_> {
    /// Whether it makes the server commit.
    pub fn commits(&self) -> bool {
        let runs = self.sender == Sender::Client && matches!(self.kind, b'Q' | b'E');
        runs && self
            .sql
            .is_some_and(|sql| sql.trim_start().to_ascii_uppercase().starts_with("COMMIT"))
    }
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Arrives,
    /// The connection is cut before it arrives.
    Cut,
    /// It arrives, and then the connection is cut.
    ArrivesThenCut,
    /// It vanishes, as does everything after it, and nobody is told.
    Vanishes,
}

type Watcher = dyn Fn(&Message<'_>) -> Fate + Send + Sync;

/// The proxy, for as long as the runtime that it was started on lives.
pub struct Proxy {
    /// The URL of the database by this way.
    pub url: String,
    watcher: Arc<Mutex<Arc<Watcher>>>,
}

impl Proxy {
    /// Starts a proxy in front of the database at `url`.
    ///
    /// # Panics
    ///
    /// When the URL has no single TCP host or no port can be listened on.
    pub async fn start(url: &str) -> Self {
        let config: Config = url.parse().expect("a PostgreSQL URL");
        let server = match (config.get_hosts(), config.get_ports()) {
            ([Host::Tcp(host)], [port]) => format!("{host}:{port}"),
            _ => panic!("the URL needs one TCP host and a port"),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let here = listener.local_addr().expect("an address");
        let arrives: Arc<Watcher> = Arc::new(|_: &Message<'_>| Fate::Arrives);
        let proxy = Self {
            url: url.replacen(&server, &here.to_string(), 1),
            watcher: Arc::new(Mutex::new(arrives)),
        };
        let watcher = Arc::clone(&proxy.watcher);
        tokio::spawn(async move {
            let mut connection = 0;
            while let Ok((client, _)) = listener.accept().await {
                connection += 1;
                let (server, watcher) = (server.clone(), Arc::clone(&watcher));
                tokio::spawn(async move {
                    // A server that is not there: the client's connection ends at once.
                    if let Ok(server) = TcpStream::connect(&server).await {
                        relay(client, server, connection, watcher).await;
                    }
                });
            }
        });
        proxy
    }

    /// Lets `watch` say what becomes of each message from now on, on all connections.
    pub fn watch(&self, watch: impl Fn(&Message<'_>) -> Fate + Send + Sync + 'static) {
        *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(watch);
    }

    /// Lets everything arrive from now on, except on connections where something has vanished.
    pub fn let_all_arrive(&self) {
        self.watch(|_| Fate::Arrives);
    }

    /// Lets the next COMMIT through to the server and cuts the connection once
    /// the server has answered, before the answer is passed on.
    pub fn lose_next_commit(&self) {
        let losing = AtomicU64::new(0);
        let lost = AtomicBool::new(false);
        self.watch(move |message| {
            if lost.load(Ordering::SeqCst) {
                return Fate::Arrives;
            }
            if message.commits() {
                losing.store(message.connection, Ordering::SeqCst);
            }
            let answers = message.sender == Sender::Server
                && losing.load(Ordering::SeqCst) == message.connection;
            if answers {
                lost.store(true, Ordering::SeqCst);
                return Fate::Cut;
            }
            Fate::Arrives
        });
    }
}

/// One connection through the proxy, as both directions know it.
struct Way {
    connection: u64,
    watcher: Arc<Mutex<Arc<Watcher>>>,
    /// Whether everything vanishes, in both directions.
    silent: AtomicBool,
}

impl Way {
    fn fate(&self, sender: Sender, kind: u8, sql: Option<&str>) -> Fate {
        if self.silent.load(Ordering::SeqCst) {
            return Fate::Vanishes;
        }
        let watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        let watcher = Arc::clone(&watcher);
        let fate = watcher(&Message {
            connection: self.connection,
            sender,
            kind,
            sql,
        });
        if fate == Fate::Vanishes {
            self.silent.store(true, Ordering::SeqCst);
        }
        fate
    }
}

/// Passes messages both ways until one side ends or the connection is cut.
async fn relay(
    mut client: TcpStream,
    mut server: TcpStream,
    connection: u64,
    watcher: Arc<Mutex<Arc<Watcher>>>,
) {
    let way = Way {
        connection,
        watcher,
        silent: AtomicBool::new(false),
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    // When one direction ends the other is dropped with it, and both sockets after them.
    tokio::select! {
        () = pass(&way, Sender::Client, from_client, to_server) => {}
        () = pass(&way, Sender::Server, from_server, to_client) => {}
    }
}

async fn pass(
    way: &Way,
    sender: Sender,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) {
    let mut statements = Statements::default();
    let mut waiting = Vec::new();
    let mut begun = sender == Sender::Server;
    let mut chunk = vec![0; 1 << 16];
    loop {
        let Ok(count @ 1..) = from.read(&mut chunk).await else {
            return;
        };
        waiting.extend_from_slice(&chunk[..count]);
        let mut passed = 0;
        let mut cut = false;
        while let Some((kind, whole)) = first_message(&waiting[passed..], begun) {
            let head = usize::from(begun) + 4;
            let body = &waiting[passed + head..passed + whole];
            begun = true;
            let sql = match sender {
                Sender::Client => statements.of(kind, body),
                Sender::Server => None,
            };
            match way.fate(sender, kind, sql.as_deref()) {
                Fate::Arrives => passed += whole,
                Fate::Cut => cut = true,
                Fate::ArrivesThenCut => {
                    passed += whole;
                    cut = true;
                }
                Fate::Vanishes => {
                    waiting.drain(passed..passed + whole);
                }
            }
            if cut {
                break;
            }
        }
        if to.write_all(&waiting[..passed]).await.is_err() || cut {
            return;
        }
        waiting.drain(..passed);
    }
}

/// The kind and the length of the first message, if it is there as a whole. The very first one of
/// a client has no kind.
fn first_message(bytes: &[u8], begun: bool) -> Option<(u8, usize)> {
    let (kind, rest) = match begun {
        true => (*bytes.first()?, bytes.get(1..)?),
        false => (0, bytes),
    };
    let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
    let whole = usize::from(begun) + usize::try_from(length).ok()?;
    (bytes.len() >= whole).then_some((kind, whole))
}

/// The statements that a client has prepared and bound, by their names.
#[derive(Default)]
struct Statements {
    prepared: HashMap<String, String>,
    bound: HashMap<String, String>,
}

impl Statements {
    fn of(&mut self, kind: u8, body: &[u8]) -> Option<String> {
        let mut texts = body
            .split(|byte| *byte == 0)
            .map(|text| String::from_utf8_lossy(text).into_owned());
        match kind {
            b'Q' => texts.next(),
            b'P' => {
                let (name, sql) = (texts.next()?, texts.next()?);
                self.prepared.insert(name, sql.clone());
                Some(sql)
            }
            b'B' => {
                let (portal, name) = (texts.next()?, texts.next()?);
                let sql = self.prepared.get(&name)?.clone();
                self.bound.insert(portal, sql.clone());
                Some(sql)
            }
            b'E' => self.bound.get(&texts.next()?).cloned(),
            _ => None,
        }
    }
}
