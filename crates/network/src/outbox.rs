//! What partners still have to be asked or told: the worker that says it, and whoever waits.
//!
//! Messages are rows written in the commit that made them necessary. The worker takes those that
//! are due, from this process or any other, with a lease, and works on each until it is said or
//! postponed. It begins with what earlier processes left: recovery is nothing else.

use std::{sync::PoisonError, time::Duration};

use partner::{Ending, TellAnswer};
use rules::{
    AllocationId, ConnectionId, PartnerId,
    deliver::{Delivered, Lease, Undelivered},
    planted::{Fault, is_planted},
    record::{Message, MessageCall},
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{Failure, Network, allocate::Opening};

/// The least time between two looks of the worker.
const BREATH: Duration = Duration::from_millis(1);

/// How many partners can have all the calls that one partner may have at the same time.
const PARTNERS_AT_ONCE: usize = 8;

/// One call of the worker to a partner, counted while it lasts.
struct Busy {
    network: Network,
    partner: PartnerId,
}

impl Busy {
    fn with(network: &Network, partner: PartnerId) -> Busy {
        let calls = network.shared.calls_by_partner.lock();
        let mut calls = calls.unwrap_or_else(PoisonError::into_inner);
        *calls.entry(partner).or_default() += 1;
        Busy {
            network: network.clone(),
            partner,
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let calls = self.network.shared.calls_by_partner.lock();
        let mut calls = calls.unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = calls.get_mut(&self.partner) {
            *count -= 1;
            if *count == 0 {
                calls.remove(&self.partner);
            }
        }
    }
}

/// Works until the network closes.
pub(crate) async fn work(network: Network) {
    let shared = &network.shared;
    loop {
        let pause = network.take_due().await.unwrap_or_else(|failure| {
            tracing::warn!(%failure, "the outbox could not be read");
            network.settings().look_around
        });
        tokio::select! {
            biased;
            () = shared.closing.cancelled() => return,
            () = shared.news.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        // What is said to come in a moment is taken in one look.
        tokio::select! {
            () = shared.closing.cancelled() => return,
            () = tokio::time::sleep(BREATH) => {}
        }
    }
}

impl Network {
    /// Wakes the worker, for there is something new to be said to a partner. One that has all the
    /// calls it may have gets no more before one of them ends, and then the worker looks anyway.
    pub(crate) fn tell_news(&self, of: PartnerId) {
        if self.room_of(of) > 0 {
            self.shared.news.notify_one();
        }
    }

    /// Takes what is due and sets to work on it. Then, how long nothing more is due, as far as can
    /// be seen; other servers may leave something any time.
    async fn take_due(&self) -> Result<Duration, Failure> {
        let longest = self.settings().look_around;
        let mut waiting = self
            .store()
            .waiting_partners(self.store().real_now())
            .await?;
        // Whoever waits longest comes first when not all can be served.
        waiting.partners.sort_unstable_by_key(|(_, due)| *due);
        // Nothing is taken that could not be worked on at once: a lease runs from the taking.
        let mut free = self.shared.calls.available_permits();
        let mut subjects = Vec::new();
        let mut pause = longest;
        for (partner, next_due) in waiting.partners {
            let room = self.room_of(partner).min(free);
            if room == 0 {
                continue;
            }
            if next_due > waiting.time {
                let wait = u64::try_from(next_due.0 - waiting.time.0).unwrap_or(u64::MAX);
                pause = pause.min(Duration::from_micros(wait));
                continue;
            }
            let at_most = u32::try_from(room).unwrap_or(u32::MAX);
            let due = self.store().due_messages(partner, waiting.time, at_most);
            let due = due.await?;
            free -= due.len().min(free);
            subjects.extend(due.into_iter().map(|message| message.subject));
        }
        if subjects.is_empty() {
            return Ok(pause);
        }
        let lease = Lease {
            subjects,
            lease_ms: self.settings().lease_ms(),
            only_due: true,
        };
        for message in self.submit(lease).await? {
            self.work_on(message).await;
        }
        Ok(Duration::ZERO)
    }

    /// Sets to work on a message whose lease we have.
    async fn work_on(&self, message: Message) {
        let Ok(permit) = self.shared.calls.clone().acquire_owned().await else {
            return;
        };
        let network = self.clone();
        let busy = Busy::with(self, message.partner_id);
        self.spawn(async move {
            let (subject, call) = (message.subject, message.call);
            if let Err(failure) = network.say(message).await {
                tracing::warn!(%subject, %failure, "a message to a partner was not said");
                let error = failure.to_string();
                if let Some(call) = call {
                    // If this fails too, the lease runs out and the message is due again.
                    let undelivered = Undelivered {
                        subject,
                        call,
                        error,
                    };
                    let _ = network.submit(undelivered).await;
                }
            }
            drop(busy);
            drop(permit);
            network.shared.news.notify_one();
        });
    }

    /// How many calls of the worker a partner may still have, so that one that does not answer
    /// leaves room for the others.
    fn room_of(&self, partner: PartnerId) -> usize {
        let at_most = (self.settings().calls_at_once / PARTNERS_AT_ONCE).max(1);
        let calls = self.shared.calls_by_partner.lock();
        let calls = calls.unwrap_or_else(PoisonError::into_inner);
        at_most.saturating_sub(calls.get(&partner).copied().unwrap_or(0))
    }

    /// Says one message. Whoever calls has its lease.
    async fn say(&self, message: Message) -> Result<(), Failure> {
        let Some(call) = message.call else {
            return Ok(());
        };
        let subject = message.subject;
        if is_planted(Fault::InactiveIsNotCalled) && self.is_inactive(message.partner_id).await? {
            return Ok(());
        }
        match call {
            MessageCall::Connect => {
                if let Some(connection) = self.store().connection(ConnectionId(subject)).await? {
                    self.ask_for_connection(connection).await?;
                }
                Ok(())
            }
            MessageCall::Reserve | MessageCall::Await => {
                let asked_before = call == MessageCall::Await || message.attempts > 1;
                let opening = match asked_before {
                    true => Opening::Status,
                    false => Opening::Ask,
                };
                if let Some(record) = self.store().allocation(AllocationId(subject)).await? {
                    self.attempt(record, opening).await?;
                }
                Ok(())
            }
            MessageCall::Clear => self.tell(subject, call, Ending::Clear).await,
            MessageCall::Release => self.tell(subject, call, Ending::Release).await,
            MessageCall::Finalize => self.tell_final_amounts(subject).await,
        }
    }

    async fn tell(&self, subject: Uuid, call: MessageCall, ending: Ending) -> Result<(), Failure> {
        let record = self.store().allocation(AllocationId(subject)).await?;
        let record = record.ok_or_else(|| Failure::not_found("allocation"))?;
        let (endpoint, request) = self.movement_call(&record).await?;
        let answer = self.shared.partners.tell(&endpoint, ending, &request).await;
        self.told(subject, call, answer).await
    }

    /// Keeps what came of telling a partner something.
    pub(crate) async fn told(
        &self,
        subject: Uuid,
        call: MessageCall,
        answer: TellAnswer,
    ) -> Result<(), Failure> {
        match answer {
            TellAnswer::Acknowledged => self.submit(Delivered { subject, call }).await,
            TellAnswer::Unknown { error } => {
                tracing::warn!(%subject, error, "a partner could not be told");
                self.submit(Undelivered {
                    subject,
                    call,
                    error,
                })
                .await
            }
        }
    }

    /// Takes the message about `subject`, if something is to be said and nobody works on it.
    pub(crate) async fn take_message(&self, subject: Uuid) -> Result<Option<Message>, Failure> {
        let lease = Lease {
            subjects: vec![subject],
            lease_ms: self.settings().lease_ms(),
            only_due: false,
        };
        Ok(self.submit(lease).await?.pop())
    }

    /// Whether somebody works on the message about `subject`.
    pub(crate) async fn is_worked_on(&self, subject: Uuid) -> Result<bool, Failure> {
        let message = self.store().message(subject).await?;
        let now = self.store().real_now();
        Ok(message.is_some_and(|m| m.call.is_some() && m.leased_until > now))
    }

    pub(crate) fn waits(&self) -> Waits {
        Waits {
            pause: Waits::SHORTEST,
            end: Instant::now() + self.settings().patience,
        }
    }
}

/// The waiting of a request for what another task, or another server, is about to commit.
pub(crate) struct Waits {
    pause: Duration,
    end: Instant,
}

impl Waits {
    const SHORTEST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_millis(200);

    /// Waits a little; false when there is no more time to wait.
    pub(crate) async fn once_more(&mut self) -> bool {
        if Instant::now() + self.pause > self.end {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Waits::LONGEST);
        true
    }
}
