//! Records whose partner has not said how they end: they stay reserved, and are asked about again.

use ledger::Timestamp;

use crate::{
    AllocationId, Class, Command, Draft, Keys, Reason, Refusal,
    operate::Act,
    record::{Allocation, AllocationState, Answering, Message, MessageCall},
};

/// Nobody knows what the partner made of the question: the record stays reserved, and another
/// attempt is due later or when the client sends the request again.
#[derive(Clone, Debug)]
pub struct Unanswered {
    /// Which record.
    pub id: AllocationId,
    /// What went wrong, for the operator.
    pub error: String,
}

/// The partner has taken the question and will answer by itself (P6, P7).
#[derive(Clone, Debug)]
pub struct Awaited {
    /// Which record.
    pub id: AllocationId,
    /// The partner's name for it, where it told one.
    pub partner_external_id: Option<String>,
}

/// Somebody wants the partner asked again now.
#[derive(Clone, Debug)]
pub struct AskAgain {
    /// Which record.
    pub id: AllocationId,
    /// The operator who says so.
    pub operator: Act,
}

fn record_and_message(id: AllocationId) -> Keys {
    Keys {
        allocations: [id].into(),
        messages: [id.0].into(),
        ..Keys::default()
    }
}

fn waiting(draft: &Draft<'_>, id: AllocationId) -> Result<(Allocation, Option<Message>), Refusal> {
    let record = draft.find::<Allocation>(&id).cloned();
    let record = record.ok_or_else(|| Refusal::not_found("allocation"))?;
    let message = draft.find::<Message>(&id.0).cloned();
    Ok((record, message))
}

impl Command for Unanswered {
    type Outcome = Allocation;

    fn keys(&self) -> Keys {
        record_and_message(self.id)
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Allocation, Refusal> {
        let (mut record, message) = waiting(draft, self.id)?;
        let Some(mut message) = message.filter(|_| record.is_reserved()) else {
            return Ok(record);
        };
        message.postpone(&self.error, draft.real_time(now));
        draft.put(message);
        if record.answering == Answering::Synchronous {
            record.state = AllocationState::Reserved {
                retriable: true,
                reason: Reason::new(
                    "partner_unanswered",
                    "the partner did not answer; the amount stays reserved. Send the same request again, or wait: the network keeps asking",
                ),
            };
            record.updated_at = now;
            draft.put(record.clone());
        }
        Ok(record)
    }
}

impl Command for Awaited {
    type Outcome = Allocation;

    fn keys(&self) -> Keys {
        record_and_message(self.id)
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Allocation, Refusal> {
        let (mut record, message) = waiting(draft, self.id)?;
        let Some(mut message) = message.filter(|_| record.is_reserved()) else {
            return Ok(record);
        };
        let real = draft.real_time(now);
        if message.call == Some(MessageCall::Reserve) {
            message.say(MessageCall::Await, real);
            message.attempts = 1;
        }
        message.due_at = real.plus_seconds(AWAIT_INTERVAL_S);
        message.leased_until = Timestamp(0);
        message.updated_at = real;
        draft.put(message);
        record.state = AllocationState::Reserved {
            retriable: false,
            reason: Reason::new(
                "waiting_for_partner",
                "the partner has taken the request and will answer it later",
            ),
        };
        record.partner_external_id = self
            .partner_external_id
            .clone()
            .or(record.partner_external_id);
        record.updated_at = now;
        draft.put(record.clone());
        Ok(record)
    }
}

/// How often a partner that answers later is asked for the status all the same, in seconds.
const AWAIT_INTERVAL_S: i64 = 60;

impl Command for AskAgain {
    type Outcome = Allocation;

    fn keys(&self) -> Keys {
        record_and_message(self.id)
    }

    fn decide(&self, draft: &mut Draft<'_>, now: Timestamp) -> Result<Allocation, Refusal> {
        let (record, message) = waiting(draft, self.id)?;
        match message {
            Some(mut message) if message.call.is_some() => {
                let before = message.clone();
                let real = draft.real_time(now);
                if message.leased_until <= real {
                    message.due_at = real;
                    message.updated_at = real;
                    draft.put(message.clone());
                }
                let change = (Some(&before), &message);
                let subject = self.id.to_string();
                self.operator
                    .record_change(draft, "ask_again", subject, change, now);
                Ok(record)
            }
            _ => Err(Refusal::new(
                Class::Unprocessable,
                "nothing_to_ask",
                "nothing remains to be asked or told about this record",
            )),
        }
    }
}
