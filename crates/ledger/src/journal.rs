//! Journal entries: sets of postings with their cause.

use std::borrow::Cow;

use crate::{Amount, Bucket, EntryId, Holding, Owner};

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The point `seconds` later; it stops at the end of the representable range.
    pub fn plus_seconds(self, seconds: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    /// The point `milliseconds` later; it stops at the end of the representable range.
    pub fn plus_millis(self, milliseconds: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(milliseconds.saturating_mul(1_000)))
    }
}

/// The place of an entry in the journal, from 1, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryNumber(pub i64);

/// A positive amount moved from one bucket to another of the same currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Where it comes from.
    pub from: Holding,
    /// Where it goes to.
    pub to: Holding,
    /// How much.
    pub amount: Amount,
}

/// A set of postings with what caused it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// How others refer to it.
    pub id: EntryId,
    /// The kind of event, such as `allocation_cleared`.
    pub cause: Cow<'static, str>,
    /// The record that the event happened to.
    pub subject: uuid::Uuid,
    /// The stored signed request that asked for it, where one did.
    pub signed_request: Option<uuid::Uuid>,
    /// What moved.
    pub postings: Vec<Posting>,
}

impl Entry {
    /// The bytes that the hash chain covers: every member that says what moved and why.
    ///
    /// The form is fixed for ever: a change would orphan the hashes of existing journals.
    /// Every part is either of fixed length or preceded by its length, so that two different
    /// entries never share their bytes.
    pub fn canonical_bytes(&self, number: EntryNumber, at: Timestamp) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(96 + self.postings.len() * 96);
        bytes.extend(number.0.to_be_bytes());
        bytes.extend(at.0.to_be_bytes());
        bytes.extend(self.id.0.as_bytes());
        push_text(&mut bytes, &self.cause);
        bytes.extend(self.subject.as_bytes());
        bytes.extend(self.signed_request.unwrap_or_default().as_bytes());
        bytes.extend((self.postings.len() as u64).to_be_bytes());
        for posting in &self.postings {
            push_holding(&mut bytes, &posting.from);
            push_holding(&mut bytes, &posting.to);
            push_text(&mut bytes, posting.from.account.currency.as_str());
            bytes.extend(posting.amount.units().to_be_bytes());
        }
        bytes
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u64).to_be_bytes());
    bytes.extend(text.as_bytes());
}

fn push_holding(bytes: &mut Vec<u8>, holding: &Holding) {
    let (kind, id) = match holding.account.owner {
        Owner::Custody => (0, uuid::Uuid::nil()),
        Owner::Go(id) => (1, id.0),
        Owner::Net(id) => (2, id.0),
    };
    bytes.push(kind);
    bytes.extend(id.as_bytes());
    bytes.push(match holding.bucket {
        Bucket::Available => 0,
        Bucket::Held => 1,
    });
}
