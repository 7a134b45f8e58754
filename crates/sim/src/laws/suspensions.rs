//! What holds of everything that was begun while somebody was suspended or inactive.

use std::collections::BTreeMap;

use ledger::Timestamp;
use store::StoreError;
use uuid::Uuid;

use super::STOPPED;
use crate::world::World;

/// From an act of an operator to the one that took it back, if one did.
type Spans = Vec<(Timestamp, Option<Timestamp>)>;

/// When whom operators have kept from beginning anything, by client, connection or partner. Their
/// acts are taken in turn: each suspends who was not suspended, or the other way round.
struct Suspensions(BTreeMap<String, Spans>);

impl Suspensions {
    async fn read(world: &World) -> Result<Suspensions, StoreError> {
        let sql = "SELECT subject, at FROM operator_acts WHERE act IN ('suspend_client',
            'reactivate_client', 'suspend_connection', 'reactivate_connection', 'update_partner')
            ORDER BY commit_sequence";
        let mut spans: BTreeMap<String, Spans> = BTreeMap::new();
        for mut row in world.reader.query(sql, Vec::new()).await? {
            let (of, at) = (
                spans.entry(row.text(0)?).or_default(),
                Timestamp(row.int(1)?),
            );
            match of.last_mut() {
                Some((_, end @ None)) => *end = Some(at),
                _ => of.push((at, None)),
            }
        }
        Ok(Suspensions(spans))
    }

    /// Whether somebody was suspended at a time, beyond doubt: what has the very time of an act may
    /// have come before or after it.
    fn cover(&self, who: Uuid, at: Timestamp) -> bool {
        let spans = self.0.get(&who.to_string());
        let mut spans = spans.into_iter().flatten();
        spans.any(|(from, end)| *from < at && end.is_none_or(|end| at < end))
    }
}

/// What must not be there if it bears a time at which one of its parties was suspended: what it is,
/// how many parties it has, and a query for the time and the parties.
const BEGUN: [(&str, usize, &str); 5] = [
    (
        "a connection",
        2,
        "SELECT created_at, client_id, partner_id FROM connections",
    ),
    (
        "an allocation",
        3,
        "SELECT created_at, client_id, partner_id, connection_id FROM allocations
            WHERE kind = 'allocation' AND NOT (state = 'released' AND reason_name IN
                ('client_suspended', 'connection_suspended', 'connection_inactive',
                    'partner_inactive', 'connection_not_initialized'))",
    ),
    (
        "a settlement",
        1,
        "SELECT created_at, partner_id FROM settlements",
    ),
    (
        "a settlement that is booked when it is posted",
        1,
        "SELECT updated_at, partner_id FROM settlements s WHERE cutoff_at IS NULL
            AND NOT EXISTS (SELECT 1 FROM on_chain_settlements o WHERE o.settlement_id = s.id)",
    ),
    (
        "a deposit over the chain",
        1,
        "SELECT created_at, partner_id FROM on_chain_deposits",
    ),
];

/// Nobody who was suspended has begun anything, and everybody has got back what was there.
pub(super) async fn check(world: &World) -> Result<(), StoreError> {
    let suspensions = Suspensions::read(world).await?;
    for (what, parties, query) in BEGUN {
        for mut row in world.reader.query(query, Vec::new()).await? {
            let at = Timestamp(row.int(0)?);
            for party in 1..=parties {
                let party = row.uuid(party)?;
                if suspensions.cover(party, at) {
                    let detail = format!("{what} of {party}, at {at:?}");
                    world.broken("who is suspended begins nothing", detail);
                }
            }
        }
    }
    let sql = "SELECT id, reason_name FROM allocations WHERE kind = 'deallocation'
        AND reason_name IS NOT NULL";
    for mut row in world.reader.query(sql, Vec::new()).await? {
        let (id, reason) = (row.uuid(0)?, row.text(1)?);
        if STOPPED.contains(&reason.as_str()) {
            world.broken(
                "what is suspended can be deallocated",
                format!("{id}: {reason}"),
            );
        }
    }
    Ok(())
}
