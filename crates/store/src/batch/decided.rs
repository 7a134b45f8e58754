//! What a batch comes to: the next commit of the chain, with all that it writes.

use ledger::{Account, Timestamp};
use rules::View;
use uuid::Uuid;

use super::records::record_writes;
use crate::{
    events,
    journal::Commit,
    record::CommitFacts,
    sql::{ChainHead, Write},
    statement,
};

/// What a batch comes to: its commit, and what the rows of that are made of.
pub(super) struct Decided<'view> {
    view: &'view View,
    commit: Commit,
    hash: Vec<u8>,
    facts: CommitFacts<'view>,
    lines: Vec<statement::Line<'view>>,
}

impl<'view> Decided<'view> {
    /// Nothing, if nothing changed.
    pub(super) fn of(
        view: &'view View,
        head: &ChainHead,
        batch_id: Uuid,
        now: Timestamp,
    ) -> Option<Self> {
        let entries = &view.entries;
        let count = i64::try_from(entries.len()).unwrap_or(i64::MAX);
        let commit = Commit {
            lane: head.lane,
            sequence: head.sequence + 1,
            batch_id,
            previous_hash: head.hash.clone(),
            time: now,
            first_entry: head.last_entry + 1,
            last_entry: head.last_entry + count,
        };
        let after = |account: &Account| {
            let known = view.balances.get(account);
            known.map(|known| known.balance).unwrap_or_default()
        };
        let (last_entries, lines) = statement::lines(entries, commit.first_entry, after);
        let facts = CommitFacts {
            sequence: commit.sequence,
            last_entries,
        };
        if record_writes(view, &facts).is_empty() {
            return None;
        }
        let requests = view.signed_requests.changed();
        let hash = commit.hash(entries, requests, view.operator_acts.changed());
        Some(Decided {
            view,
            commit,
            hash,
            facts,
            lines,
        })
    }

    /// All that it writes.
    pub(super) fn writes(&self) -> Vec<Write<'_>> {
        let Decided { view, commit, .. } = self;
        let mut writes = record_writes(view, &self.facts);
        writes.extend(commit.writes(&self.hash, &view.entries));
        writes.push(statement::write(&self.lines));
        writes.push(events::write(&view.events, commit.sequence, commit.time));
        writes.retain(|write| !write.rows.is_empty());
        writes
    }

    /// The head that the chain then has.
    pub(super) fn head(&self) -> ChainHead {
        ChainHead {
            lane: self.commit.lane,
            sequence: self.commit.sequence,
            hash: self.hash.clone(),
            time_us: self.commit.time.0,
            last_entry: self.commit.last_entry,
            test_clock: self.view.test_clock,
        }
    }
}
