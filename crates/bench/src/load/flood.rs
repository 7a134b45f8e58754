//! More load than can be carried: requests are sent at a given rate, whatever becomes of those
//! before them.
//!
//! The number of connections bounds what is on its way; a request whose time has come and that
//! finds no free connection is not sent and counted. A request that was refused with 503 did
//! nothing and is sent again later, as a client would.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use super::{Connection, Latencies, Magazine, Sorted, on_one_thread};

/// How a flood is made.
pub(crate) struct Flood {
    pub(crate) magazine: Magazine,
    pub(crate) connections: usize,
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) span: Duration,
}

/// What came of a flood.
pub(crate) struct FloodRun {
    pub(crate) span: Duration,
    /// How long accepted requests took.
    pub(crate) accepted: Sorted,
    /// How long refusals took.
    pub(crate) refused: Sorted,
    /// How many refusals did not say when to come again.
    pub(crate) refused_without_date: usize,
    /// How many found no free connection.
    pub(crate) not_sent: usize,
    /// Answers with another status than 200 and 503, and connections that broke: the first.
    pub(crate) failed: Option<String>,
}

#[derive(Default)]
struct State {
    next: Cell<usize>,
    again: RefCell<VecDeque<usize>>,
    /// How many requests should be on their way and are not yet.
    due: Cell<usize>,
    waiting: tokio::sync::Notify,
    idle: Cell<usize>,
    over: Cell<bool>,
    accepted: RefCell<Latencies>,
    refused: RefCell<Latencies>,
    refused_without_date: Cell<usize>,
    failed: RefCell<Option<String>>,
}

/// Floods the server.
pub(crate) async fn flood(address: SocketAddr, flood: Flood) -> anyhow::Result<FloodRun> {
    on_one_thread(move || make(address, flood)).await
}

async fn make(address: SocketAddr, flood: Flood) -> anyhow::Result<FloodRun> {
    let state = Rc::new(State::default());
    let magazine = Rc::new(flood.magazine);
    let mut tasks = Vec::new();
    for _ in 0..flood.connections {
        let connection = Connection::open(address).await?;
        let (state, magazine) = (Rc::clone(&state), Rc::clone(&magazine));
        tasks.push(tokio::task::spawn_local(state.serve(connection, magazine)));
    }
    let begin = Instant::now();
    let mut begun = 0.0;
    let mut not_sent = 0;
    while begin.elapsed() < flood.span {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let wanted = begin.elapsed().as_secs_f64() * flood.rate;
        while begun + 1.0 <= wanted {
            begun += 1.0;
            if state.due.get() < state.idle.get() {
                state.due.set(state.due.get() + 1);
                state.waiting.notify_one();
            } else {
                not_sent += 1;
            }
        }
    }
    let span = begin.elapsed();
    state.over.set(true);
    for task in tasks {
        // Whoever waits for work is woken one after the other.
        while !task.is_finished() {
            state.waiting.notify_waiters();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(FloodRun {
        span,
        accepted: state.accepted.take().sorted(),
        refused: state.refused.take().sorted(),
        refused_without_date: state.refused_without_date.get(),
        not_sent,
        failed: state.failed.take(),
    })
}

impl State {
    async fn serve(self: Rc<Self>, mut connection: Connection, magazine: Rc<Magazine>) {
        while !self.over.get() {
            if self.due.get() == 0 {
                self.idle.set(self.idle.get() + 1);
                self.waiting.notified().await;
                self.idle.set(self.idle.get() - 1);
                continue;
            }
            self.due.set(self.due.get() - 1);
            let again = self.again.borrow_mut().pop_front();
            let index = again.unwrap_or_else(|| self.next.replace(self.next.get() + 1));
            let Some(request) = magazine.request(index) else {
                self.fail("no request was left to send".to_owned());
                return;
            };
            let began = Instant::now();
            match connection.exchange(request).await {
                Ok(200) => self.accepted.borrow_mut().note(began.elapsed()),
                Ok(503) => {
                    self.refused.borrow_mut().note(began.elapsed());
                    if connection.retry_after().is_none() {
                        let without = self.refused_without_date.get();
                        self.refused_without_date.set(without + 1);
                    }
                    self.again.borrow_mut().push_back(index);
                }
                Ok(status) => self.fail(format!("status {status}: {}", connection.body())),
                Err(error) => {
                    self.fail(format!("a connection broke: {error}"));
                    return;
                }
            }
        }
    }

    fn fail(&self, what: String) {
        self.failed.borrow_mut().get_or_insert(what);
    }
}
