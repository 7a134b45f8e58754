//! The journal as rows, and the hash chain over it.
//!
//! Every commit has a hash over the hash of the commit before it, its own figures, its journal
//! entries, the signed requests that it took in and what operators did in it. Whoever knows the
//! last hash finds any row that was changed since.

use ledger::{Bucket, Entry, EntryId, EntryNumber, Holding, Posting, Timestamp};
use rules::record::{OperatorAct, SignedRequest};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    record::{Columns, owner_columns, table},
    sql::{CHAIN, Rows, StoreError, Table, Value, Write, WriteMode},
};

/// Journal entries.
pub(crate) const JOURNAL: &Table = table!("journal", ["number"],
    number Int, commit_sequence Int, id Uuid, cause Text, subject Uuid, signed_request Uuid, at Int);

/// Their postings.
pub(crate) const POSTINGS: &Table = table!("postings", ["entry", "position"],
    entry Int, position Int, currency Text, amount Amount, from_kind Int, from_owner Uuid,
    from_bucket Int, to_kind Int, to_owner Uuid, to_bucket Int);

/// One commit, as the chain remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) lane: i64,
    pub(crate) sequence: i64,
    pub(crate) batch_id: Uuid,
    pub(crate) previous_hash: Vec<u8>,
    pub(crate) time: Timestamp,
    /// The number of the first entry; one above `last_entry` where there is none.
    pub(crate) first_entry: i64,
    pub(crate) last_entry: i64,
}

/// What the bytes begin with that are hashed where operators did something. Without acts they begin
/// with a hash.
const ACTS: &[u8] = b"operator acts";

impl Commit {
    /// The hash of the commit with its entries, in order, and the signed requests it took in and
    /// the operator acts that were done in it, each in the order of their identifiers. Every part
    /// of what is hashed has a fixed length or has its length before it, so that no two contents
    /// share their bytes.
    ///
    /// Without acts it is what it was before acts were hashed.
    pub(crate) fn hash<'a>(
        &self,
        entries: impl IntoIterator<Item = &'a Entry>,
        requests: impl IntoIterator<Item = &'a SignedRequest>,
        acts: impl IntoIterator<Item = &'a OperatorAct>,
    ) -> Vec<u8> {
        hash_with_acts(self.hash_of_books(entries, requests), acts)
    }

    fn hash_of_books<'a>(
        &self,
        entries: impl IntoIterator<Item = &'a Entry>,
        requests: impl IntoIterator<Item = &'a SignedRequest>,
    ) -> Vec<u8> {
        let mut hash = Sha256::new();
        hash.update(&self.previous_hash);
        hash.update(self.lane.to_be_bytes());
        hash.update(self.sequence.to_be_bytes());
        hash.update(self.batch_id.as_bytes());
        hash.update(self.time.0.to_be_bytes());
        hash.update(self.first_entry.to_be_bytes());
        hash.update(self.last_entry.to_be_bytes());
        for (number, entry) in (self.first_entry..).zip(entries) {
            let bytes = entry.canonical_bytes(EntryNumber(number), self.time);
            hash.update(Sha256::digest(bytes));
        }
        for request in requests {
            hash.update(request.id.as_bytes());
            update_with_length(&mut hash, request.enterprise_id.as_str().as_bytes());
            hash.update(request.public_key);
            update_with_length(&mut hash, &request.payload);
            hash.update([u8::from(request.sealed)]);
            hash.update(request.digest);
            update_with_length(&mut hash, request.signature.as_bytes());
            hash.update(request.received_at.0.to_be_bytes());
        }
        hash.finalize().to_vec()
    }

    /// What the commit writes of itself: its place in the chain, entries and postings.
    pub(crate) fn writes<'rows>(
        &'rows self,
        hash: &[u8],
        entries: &'rows [Entry],
    ) -> [Write<'rows>; 3] {
        let link = vec![
            self.lane.into(),
            self.sequence.into(),
            self.batch_id.into(),
            self.previous_hash.as_slice().into(),
            hash.into(),
            self.time.0.into(),
            self.first_entry.into(),
            self.last_entry.into(),
        ];
        let numbered = move || (self.first_entry..).zip(entries);
        let journal = numbered().map(|(number, entry)| self.journal_row(number, entry));
        let postings = numbered().flat_map(|(number, entry)| {
            let positioned = (0_i64..).zip(&entry.postings);
            positioned.map(move |(position, posting)| posting_values(number, position, posting))
        });
        let posting_count = entries.iter().map(|entry| entry.postings.len()).sum();
        let insert = |table, rows| Write {
            table,
            mode: WriteMode::Insert,
            rows,
        };
        [
            insert(&CHAIN, vec![link].into()),
            insert(JOURNAL, Rows::new(entries.len(), journal)),
            insert(POSTINGS, Rows::new(posting_count, postings)),
        ]
    }

    fn journal_row(&self, number: i64, entry: &Entry) -> Vec<Value> {
        vec![
            number.into(),
            self.sequence.into(),
            entry.id.0.into(),
            entry.cause.as_ref().into(),
            entry.subject.into(),
            entry.signed_request.into(),
            self.time.0.into(),
        ]
    }

    /// Reads a row of the chain: the commit and the hash that it claims.
    pub(crate) fn from_row(columns: &mut Columns) -> Result<(Commit, Vec<u8>), StoreError> {
        let (lane, sequence) = (columns.int()?, columns.int()?);
        let (batch_id, previous_hash) = (columns.uuid()?, columns.bytes()?);
        let hash = columns.bytes()?;
        let commit = Commit {
            lane,
            sequence,
            batch_id,
            previous_hash,
            time: columns.time()?,
            first_entry: columns.int()?,
            last_entry: columns.int()?,
        };
        Ok((commit, hash))
    }
}

/// The hash over the books' and the acts, or the former if there are no acts.
fn hash_with_acts<'a>(books: Vec<u8>, acts: impl IntoIterator<Item = &'a OperatorAct>) -> Vec<u8> {
    let mut acts = acts.into_iter().peekable();
    if acts.peek().is_none() {
        return books;
    }
    let mut hash = Sha256::new();
    hash.update(ACTS);
    hash.update(books);
    for act in acts {
        hash.update(act.id.as_bytes());
        match act.user_id {
            None => hash.update([0]),
            Some(user_id) => {
                hash.update([1]);
                hash.update(user_id.0.as_bytes());
            }
        }
        for text in [&act.act, &act.subject, &act.detail] {
            update_with_length(&mut hash, text.as_bytes());
        }
        hash.update(act.at.0.to_be_bytes());
    }
    hash.finalize().to_vec()
}

fn update_with_length(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

fn posting_values(entry: i64, position: i64, posting: &Posting) -> Vec<Value> {
    let [from_kind, from_owner] = owner_columns(posting.from.account.owner);
    let [to_kind, to_owner] = owner_columns(posting.to.account.owner);
    vec![
        entry.into(),
        position.into(),
        posting.from.account.currency.as_str().into(),
        posting.amount.units().into(),
        from_kind,
        from_owner,
        bucket_value(posting.from.bucket),
        to_kind,
        to_owner,
        bucket_value(posting.to.bucket),
    ]
}

fn bucket_value(bucket: Bucket) -> Value {
    match bucket {
        Bucket::Available => 0_i64.into(),
        Bucket::Held => 1_i64.into(),
    }
}

fn bucket(columns: &mut Columns) -> Result<Bucket, StoreError> {
    match columns.int()? {
        0 => Ok(Bucket::Available),
        1 => Ok(Bucket::Held),
        other => Err(columns.corrupt(&other.to_string())),
    }
}

/// An entry as its row in the journal tells it.
pub(crate) struct JournalRow {
    pub(crate) number: i64,
    /// The number of the commit that it names as its own.
    pub(crate) commit_sequence: i64,
    /// The postings are rows of their own.
    pub(crate) entry: Entry,
    pub(crate) at: Timestamp,
}

/// Reads a row of the journal.
pub(crate) fn journal_row(columns: &mut Columns) -> Result<JournalRow, StoreError> {
    let (number, commit_sequence) = (columns.int()?, columns.int()?);
    let entry = Entry {
        id: EntryId(columns.uuid()?),
        cause: columns.text()?.into(),
        subject: columns.uuid()?,
        signed_request: columns.optional_uuid()?,
        postings: Vec::new(),
    };
    Ok(JournalRow {
        number,
        commit_sequence,
        entry,
        at: columns.time()?,
    })
}

/// A posting and the number of its entry.
pub(crate) fn posting_row(columns: &mut Columns) -> Result<(i64, Posting), StoreError> {
    let number = columns.int()?;
    let _position = columns.int()?;
    let currency = columns.parsed()?;
    let amount = columns.amount()?;
    let mut holding = || -> Result<Holding, StoreError> {
        let (kind, owner) = (columns.int()?, columns.uuid()?);
        let owner = columns.owner(kind, owner)?;
        let bucket = bucket(columns)?;
        let account = ledger::Account::new(owner, &currency);
        Ok(Holding { account, bucket })
    };
    let (from, to) = (holding()?, holding()?);
    Ok((number, Posting { from, to, amount }))
}
