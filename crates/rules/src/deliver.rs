//! Messages to partners: who works on one, what came of it, when it is tried again.
//!
//! Delivery is at-least-once. A lease keeps two servers from asking at the same time; it is an
//! optimisation, for partners answer the same identifier in the same way. The times of messages are
//! real, not business time: a test clock that jumps ends no lease.

use ledger::Timestamp;

use crate::{
    Command, Draft, Keys, PartnerId, Refusal,
    planted::{Fault, is_planted},
    record::{Message, MessageCall},
};

/// The longest time between two attempts, in seconds.
const BACKOFF_MAX_S: i64 = 300;

/// When the attempt after `attempts` failed ones is due: 1, 2, 4 … 300 seconds later.
pub(crate) fn next_attempt(now: Timestamp, attempts: i64) -> Timestamp {
    let exponent = attempts.saturating_sub(1).clamp(0, 16);
    now.plus_seconds((1_i64 << exponent).min(BACKOFF_MAX_S))
}

/// A message that is due at once, in real time, and that nobody works on.
pub(crate) fn due_message(
    subject: uuid::Uuid,
    partner_id: PartnerId,
    call: MessageCall,
    now: Timestamp,
) -> Message {
    Message {
        subject,
        partner_id,
        call: Some(call),
        attempts: 0,
        due_at: now,
        leased_until: Timestamp(0),
        last_error: None,
        created_at: now,
        updated_at: now,
    }
}

impl Message {
    /// Gives the message to the server that writes this, for `lease_ms`.
    pub(crate) fn lease(&mut self, now: Timestamp, lease_ms: i64) {
        self.attempts += 1;
        self.leased_until = match is_planted(Fault::LeaseForEver) {
            true => Timestamp(i64::MAX),
            false => now.plus_millis(lease_ms),
        };
        self.due_at = self.leased_until;
        self.updated_at = now;
    }

    /// Something new has to be said, at once.
    pub(crate) fn say(&mut self, call: MessageCall, now: Timestamp) {
        self.call = Some(call);
        self.attempts = 0;
        self.due_at = now;
        self.leased_until = Timestamp(0);
        self.last_error = None;
        self.updated_at = now;
    }

    /// Nothing remains to be said.
    pub(crate) fn finish(&mut self, now: Timestamp) {
        self.call = None;
        self.leased_until = Timestamp(0);
        self.updated_at = now;
    }

    /// The attempt came to nothing; another is due later.
    pub(crate) fn postpone(&mut self, error: &str, now: Timestamp) {
        self.last_error = Some(error.to_owned());
        self.leased_until = Timestamp(0);
        self.due_at = next_attempt(now, self.attempts);
        self.updated_at = now;
    }
}

/// A server takes messages to work on.
#[derive(Clone, Debug)]
pub struct Lease {
    /// Which ones it would like.
    pub subjects: Vec<uuid::Uuid>,
    /// For how long, in milliseconds.
    pub lease_ms: i64,
    /// Whether it takes only what is due, as a background worker does.
    pub only_due: bool,
}

impl Command for Lease {
    /// The messages that it got: those with something to say that nobody works on.
    type Outcome = Vec<Message>;

    fn keys(&self) -> Keys {
        Keys {
            messages: self.subjects.iter().copied().collect(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Vec<Message>, Refusal> {
        let now = draft.real_time(now);
        let mut leased = Vec::new();
        for subject in &self.subjects {
            let Some(message) = draft.find::<Message>(subject) else {
                continue;
            };
            let is_due = !self.only_due || message.due_at <= now;
            let is_free = message.leased_until <= now || is_planted(Fault::LeaseIgnored);
            if message.call.is_some() && is_free && is_due {
                let mut message = message.clone();
                message.lease(now, self.lease_ms);
                draft.put(message.clone());
                leased.push(message);
            }
        }
        Ok(leased)
    }
}

/// The partner has acknowledged what it was told.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// About what.
    pub subject: uuid::Uuid,
    /// What it was told; if something else is to be said by now, that stands.
    pub call: MessageCall,
}

impl Command for Delivered {
    type Outcome = ();

    fn keys(&self) -> Keys {
        Keys {
            messages: [self.subject].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<(), Refusal> {
        let now = draft.real_time(now);
        // Of a question it is not the delivery that counts but the answer.
        let is_told = matches!(
            self.call,
            MessageCall::Clear | MessageCall::Release | MessageCall::Finalize
        );
        if let Some(message) = draft.find::<Message>(&self.subject)
            && message.call == Some(self.call)
            && is_told
        {
            let mut message = message.clone();
            message.finish(now);
            draft.put(message);
        }
        Ok(())
    }
}

/// The partner could not be told; it is tried again later.
#[derive(Clone, Debug)]
pub struct Undelivered {
    /// About what.
    pub subject: uuid::Uuid,
    /// What it should have been told.
    pub call: MessageCall,
    /// What went wrong, for the operator.
    pub error: String,
}

impl Command for Undelivered {
    type Outcome = ();

    fn keys(&self) -> Keys {
        Keys {
            messages: [self.subject].into(),
            ..Keys::default()
        }
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<(), Refusal> {
        let now = draft.real_time(now);
        if let Some(message) = draft.find::<Message>(&self.subject)
            && message.call == Some(self.call)
        {
            let mut message = message.clone();
            match is_planted(Fault::UndeliveredDropped) {
                true => message.finish(now),
                false => message.postpone(&self.error, now),
            }
            draft.put(message);
        }
        Ok(())
    }
}
