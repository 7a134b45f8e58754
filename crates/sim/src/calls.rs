//! The way from the network to its partners: a wire on which calls and answers are lost, doubled,
//! late and garbled, and which a server's death does not stop.

use std::{sync::Arc, time::Duration};

use http::{Method, StatusCode};
use partner::{Exchanged, Outgoing, Reply, Transport};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    exchange::subject_of,
    server::Life,
    world::{About, World},
};

/// The calls of one server.
pub(crate) struct Calls {
    world: Arc<World>,
    life: Life,
    server: u64,
}

/// A call on its way, which may arrive several times.
#[derive(Clone)]
struct Sent {
    partner: Uuid,
    method: Method,
    path: String,
    body: Vec<u8>,
}

/// One call about a subject, for as long as somebody waits for its answer.
struct Underway {
    world: Arc<World>,
    about: Option<About>,
    server: u64,
}

impl Drop for Underway {
    fn drop(&mut self) {
        if let Some(about) = self.about {
            self.world.end_call(about, self.server);
        }
    }
}

impl Transport for Calls {
    fn exchange<'call>(&'call self, call: Outgoing<'call>) -> Exchanged<'call> {
        let sent = Sent {
            partner: call.endpoint.partner_id().0,
            method: call.method,
            path: call.url.path().to_owned(),
            body: call.body,
        };
        Box::pin(async move {
            let made = self.life.or_dead(self.make(sent)).await;
            made.unwrap_or_else(|| Err("the server is dead".to_owned()))
        })
    }
}

impl Calls {
    pub(crate) fn new(world: Arc<World>, life: Life, server: u64) -> Calls {
        Calls {
            world,
            life,
            server,
        }
    }

    async fn make(&self, sent: Sent) -> Result<Reply, String> {
        let world = &self.world;
        let plan = &world.plan;
        if self.life.has_ended() {
            return Err("the server is dead".to_owned());
        }
        if world.suffers(plan.dies_before_call) {
            self.life.end();
            return Err("the server is dead".to_owned());
        }
        let subject = subject_of(&sent.path, &sent.body);
        let about = subject.map(|subject| (subject, sent.method == Method::PUT));
        if let Some(about) = about {
            world.begin_call(about, self.server, &self.life);
        }
        let _underway = Underway {
            world: Arc::clone(world),
            about,
            server: self.server,
        };
        let (method, path) = (&sent.method, &sent.path);
        world.note(format_args!("server {} calls {method} {path}", self.server));
        if world.suffers(plan.request_doubled) {
            let after = world.chance.millis(30_000);
            tokio::spawn(arrive(Arc::clone(world), sent.clone(), after));
        }
        if world.suffers(plan.request_lost) {
            return match world.chance.per_mille(500) {
                true => Err("no connection to the partner".to_owned()),
                false => std::future::pending().await,
            };
        }
        let after = match world.suffers(plan.request_late) {
            true => world.chance.millis(60_000),
            false => world.chance.millis(20),
        };
        let (answer, answered) = oneshot::channel();
        let arriving = arrive(Arc::clone(world), sent, after);
        let back = world.chance.millis(20);
        tokio::spawn(async move {
            let reply = arriving.await;
            tokio::time::sleep(back).await;
            // Whoever asked may have given up.
            let _ = answer.send(reply);
        });
        let reply = answered.await.map_err(|_| "broken off".to_owned())?;
        if world.suffers(plan.dies_after_call) {
            self.life.end();
            return Err("the server is dead".to_owned());
        }
        if world.suffers(plan.answer_lost) {
            return match world.chance.per_mille(500) {
                true => Err("the partner broke the exchange off".to_owned()),
                false => std::future::pending().await,
            };
        }
        Ok(reply)
    }
}

/// The call reaches the partner.
async fn arrive(world: Arc<World>, sent: Sent, after: Duration) -> Reply {
    tokio::time::sleep(after).await;
    let Sent {
        partner,
        method,
        path,
        body,
    } = sent;
    let failure = world.suffers(world.plan.call_fails).then(|| {
        let status = world.chance.pick(&[429, 500, 502, 503, 504]).copied();
        Reply {
            status: StatusCode::from_u16(status.unwrap_or(500)).unwrap_or_default(),
            body: b"{\"error\": \"not now\"}".to_vec(),
        }
    });
    if failure.is_some() && world.chance.per_mille(500) {
        return failure.unwrap_or_else(garbage);
    }
    let exchange = world.exchanges.iter().find(|e| e.is_partner(partner));
    let Some(exchange) = exchange else {
        return Reply {
            status: StatusCode::NOT_FOUND,
            body: b"no such host".to_vec(),
        };
    };
    let reply = exchange.answer(&world, &method, &path, &body);
    world.note(format_args!(
        "partner {} answers {} to {method} {path}",
        exchange.number, reply.status
    ));
    match failure {
        Some(failure) => failure,
        None if world.suffers(world.plan.garbage) => garbage(),
        None => reply,
    }
}

fn garbage() -> Reply {
    Reply {
        status: StatusCode::OK,
        body: b"<html><body>Welcome</body></html>".to_vec(),
    }
}
