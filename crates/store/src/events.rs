//! Events as rows: what an enterprise is told of, in the order of commits.
//!
//! A commit is seen with all of its events or not at all, and commits become visible in their order,
//! so that whoever has read up to a place has missed nothing before it. An event of a settlement
//! that many clients take part in is one row for all of them.

use ledger::Timestamp;
use rules::{
    ClientId, EnterpriseId,
    event::{Audience, Event},
};
use uuid::Uuid;

use crate::{
    Store, StoreError,
    record::{Columns, table},
    sql::{Table, Value, Write, WriteMode},
};

/// The events of all enterprises.
const EVENTS: &Table = table!("events", ["audience", "commit_sequence", "position"],
    audience Text, commit_sequence Int, position Int, kind Text, subject Uuid,
    connection_id Uuid, at Int);

/// The audience of what all clients of a settlement are told.
const PARTIES: &str = "";

/// How many events of others' settlements are looked at for one answer.
const LOOKED_AT_MAX: i64 = 10_000;

/// A place in the feed: after the event of this commit and position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventPlace {
    /// The number of the commit.
    pub commit: i64,
    /// The event's position in it.
    pub position: i64,
}

/// An event in the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedEvent {
    /// Where it stands.
    pub place: EventPlace,
    /// What happened.
    pub kind: String,
    /// The record to which it happened.
    pub subject: Uuid,
    /// Over which connection, if over one.
    pub connection_id: Option<Uuid>,
    /// When.
    pub at: Timestamp,
}

/// A part of an enterprise's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// The events, oldest first.
    pub events: Vec<FeedEvent>,
    /// Where to go on.
    pub next: EventPlace,
    /// Whether more is known to follow.
    pub goes_on: bool,
}

/// The rows of a commit's events.
pub(crate) fn write(events: &[Event], sequence: i64, now: Timestamp) -> Write<'static> {
    let mut rows = Vec::new();
    for (position, event) in (0_i64..).zip(events) {
        for audience in audiences(&event.audience) {
            rows.push(vec![
                audience.into(),
                sequence.into(),
                position.into(),
                event.kind.into(),
                event.subject.into(),
                event.connection_id.map(|id| id.0).into(),
                now.0.into(),
            ]);
        }
    }
    // In the order of the key, which is that of the tree in which they are kept.
    rows.sort();
    Write {
        table: EVENTS,
        mode: WriteMode::Insert,
        rows: rows.into(),
    }
}

fn audiences(audience: &Audience) -> Vec<&str> {
    let (one, other) = match audience {
        Audience::Ends { client, partner } => (client.as_str(), partner.as_str()),
        Audience::Parties { partner, .. } => (PARTIES, partner.as_str()),
    };
    if one == other {
        vec![one]
    } else {
        vec![one, other]
    }
}

impl Store {
    /// The events of an enterprise after a place, at most `limit` of them. `client` is the
    /// enterprise's client record, if it has one.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] of reading.
    pub async fn events(
        &self,
        enterprise: &EnterpriseId,
        client: Option<ClientId>,
        after: EventPlace,
        limit: u32,
    ) -> Result<Feed, StoreError> {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut own = self
            .events_of(enterprise.as_str(), after, i64::from(limit) + 1, None)
            .await?;
        let mut next = None;
        if let Some(client) = client {
            let looked_at = self.last_of_parties(after).await?;
            let shared = self
                .events_of(
                    PARTIES,
                    after,
                    i64::from(limit) + 1,
                    Some((client, looked_at)),
                )
                .await?;
            // Beyond what was looked at there may be shared events that are not known yet.
            if let Some(end) = looked_at {
                own.retain(|event| event.place <= end);
                next = Some(end);
            }
            // A partner's client takes part in its own settlements: the event is one.
            let known: Vec<_> = own.iter().map(|event| event.place).collect();
            own.extend(
                shared
                    .into_iter()
                    .filter(|event| !known.contains(&event.place)),
            );
            own.sort_by_key(|event| event.place);
        }
        let goes_on = own.len() > wanted || next.is_some();
        if own.len() > wanted {
            own.truncate(wanted);
            next = None;
        }
        let last = own.last().map_or(after, |event| event.place);
        Ok(Feed {
            events: own,
            next: next.unwrap_or(last),
            goes_on,
        })
    }

    /// The last shared event that is looked at, if there are more than are looked at.
    async fn last_of_parties(&self, after: EventPlace) -> Result<Option<EventPlace>, StoreError> {
        let sql = "SELECT commit_sequence, position FROM events
            WHERE audience = $1 AND (commit_sequence, position) > ($2, $3)
            ORDER BY commit_sequence, position LIMIT 1 OFFSET $4";
        let params = vec![
            PARTIES.into(),
            after.commit.into(),
            after.position.into(),
            LOOKED_AT_MAX.into(),
        ];
        let row = self.reader().query(sql, params).await?.pop();
        row.map(|mut row| {
            Ok(EventPlace {
                commit: row.int(0)?,
                position: row.int(1)?,
            })
        })
        .transpose()
    }

    async fn events_of(
        &self,
        audience: &str,
        after: EventPlace,
        limit: i64,
        parties: Option<(ClientId, Option<EventPlace>)>,
    ) -> Result<Vec<FeedEvent>, StoreError> {
        let mut params: Vec<Value> = vec![
            audience.into(),
            after.commit.into(),
            after.position.into(),
            limit.into(),
        ];
        let mut only = String::new();
        if let Some((client, end)) = parties {
            params.push(client.0.into());
            only.push_str(
                " AND EXISTS (SELECT 1 FROM participations p
                    WHERE p.client_id = $5 AND p.settlement_id = e.subject)",
            );
            if let Some(end) = end {
                params.push(end.commit.into());
                params.push(end.position.into());
                only.push_str(" AND (e.commit_sequence, e.position) <= ($6, $7)");
            }
        }
        let sql = format!(
            "SELECT e.commit_sequence, e.position, e.kind, e.subject, e.connection_id, e.at
                FROM events e
                WHERE e.audience = $1 AND (e.commit_sequence, e.position) > ($2, $3){only}
                ORDER BY e.commit_sequence, e.position LIMIT $4"
        );
        let read = |row| event(&mut Columns::from(row));
        self.reader().read(&sql, params, read).await
    }
}

fn event(columns: &mut Columns) -> Result<FeedEvent, StoreError> {
    Ok(FeedEvent {
        place: EventPlace {
            commit: columns.int()?,
            position: columns.int()?,
        },
        kind: columns.text()?,
        subject: columns.uuid()?,
        connection_id: columns.optional_uuid()?,
        at: columns.time()?,
    })
}
