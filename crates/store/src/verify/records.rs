//! Records held against the holds, the journal and one another.
//!
//! Each comparison is one query, which finds at most twenty records that disagree. The journal has no
//! index by its subjects: what joins it by them begins with it, or takes whole sets, so that no query
//! takes longer than a few look-ups for each row. Tests make every one of these faults.

use super::Verification;
use crate::sql::{Reader, StoreError};

/// A comparison: what it is called when records disagree, and the query for their identifiers.
struct Comparison {
    fault: &'static str,
    sql: String,
}

impl Verification {
    /// Whether the records tell the same story.
    pub(super) async fn check_records(&mut self) -> Result<(), StoreError> {
        let of_money = of_movements(&self.reader).into_iter();
        let of_money = of_money.chain(of_settlements(&self.reader));
        let all = of_money
            .chain(of_disputes())
            .chain(over_the_chain(&self.reader))
            .chain(of_what_is_due())
            .chain(of_operators());
        for Comparison { fault, sql } in all {
            let sql = format!("{sql} LIMIT 20");
            for mut row in self.reader.query(&sql, Vec::new()).await? {
                let id = row.uuid(0)?;
                self.fault(format!("{fault} ({id})"));
            }
        }
        Ok(())
    }
}

/// Allocations, deposits, withdrawals and their holds.
fn of_movements(reader: &Reader) -> Vec<Comparison> {
    let zero = reader.zero_amount();
    let reserved = reader.sum_of("a.amount");
    vec![
        Comparison {
            fault: "an allocation does not fit its hold",
            sql: "SELECT a.id FROM allocations a LEFT JOIN holds h ON h.id = a.id
                WHERE (h.id IS NULL AND a.state <> 'released') OR h.amount <> a.amount
                    OR h.currency <> a.currency OR h.is_open <> (a.state = 'reserved')"
                .to_owned(),
        },
        Comparison {
            fault: "an allocation has ended otherwise in the journal",
            sql: "SELECT a.id FROM journal j JOIN allocations a ON a.id = j.subject
                WHERE (j.cause IN ('allocation_cleared', 'deallocation_cleared') AND a.state <> 'cleared')
                    OR (j.cause IN ('allocation_released', 'deallocation_released')
                        AND a.state <> 'released')"
                .to_owned(),
        },
        Comparison {
            fault: "what is reserved at a partner is not what its allocations add up to",
            sql: format!(
                "SELECT o.partner_id FROM open_totals o WHERE o.units <> COALESCE(
                    (SELECT {reserved} FROM allocations a
                        WHERE a.partner_id = o.partner_id AND a.currency = o.currency
                            AND a.kind = 'allocation' AND a.state = 'reserved'), {zero})"
            ),
        },
        Comparison {
            fault: "a withdrawal does not fit its hold",
            sql: "SELECT w.id FROM withdrawals w LEFT JOIN holds h ON h.id = w.id
                WHERE h.id IS NULL OR h.amount <> w.amount OR h.currency <> w.currency
                    OR h.is_open <> (w.state = 'requested')"
                .to_owned(),
        },
        Comparison {
            fault: "a withdrawal has ended otherwise in the journal",
            sql: "SELECT w.id FROM journal j JOIN withdrawals w ON w.id = j.subject
                WHERE (j.cause = 'withdrawal_paid' AND w.state <> 'paid')
                    OR (j.cause = 'withdrawal_cancelled' AND w.state <> 'cancelled')"
                .to_owned(),
        },
        Comparison {
            fault: "a deposit does not fit the journal",
            sql: "SELECT j.subject FROM journal j JOIN postings p ON p.entry = j.number
                LEFT JOIN deposits d ON d.id = j.subject
                WHERE j.cause = 'deposit' AND (d.id IS NULL OR p.amount <> d.amount
                    OR p.currency <> d.currency)"
                .to_owned(),
        },
        Comparison {
            fault: "the journal does not tell of a deposit",
            sql: "SELECT id FROM deposits EXCEPT SELECT subject FROM journal WHERE cause = 'deposit'"
                .to_owned(),
        },
        Comparison {
            fault: "a hold does not fit the journal",
            sql: "SELECT h.id FROM journal j JOIN holds h ON h.id = j.subject
                JOIN postings p ON p.entry = j.number
                WHERE p.amount <> h.amount OR p.currency <> h.currency"
                .to_owned(),
        },
        Comparison {
            fault: "a statement has a line of an entry that is not there",
            sql: "SELECT a.owner FROM account_entries a LEFT JOIN journal j ON j.number = a.entry
                WHERE j.number IS NULL"
                .to_owned(),
        },
        Comparison {
            fault: "a hold is for a settlement transfer that is not there",
            sql: "SELECT h.id FROM holds h LEFT JOIN settlement_transfers t ON t.id = h.id
                WHERE h.purpose IN ('settlement_transfer', 'dispute') AND t.id IS NULL"
                .to_owned(),
        },
    ]
}

/// Settlements and their transfers, whichever way they are made.
fn of_settlements(reader: &Reader) -> Vec<Comparison> {
    let zero = reader.zero_amount();
    // A loss and its hold cancel out, a gain and its hold are the same.
    let loss_and_hold = reader.sum_of("both_of_them.amount");
    vec![
        Comparison {
            fault: "a settlement transfer does not fit its hold",
            sql: format!(
                "SELECT t.id FROM settlement_transfers t JOIN holds h ON h.id = t.id
                WHERE h.currency <> t.currency OR (t.amount > {zero} AND h.amount <> t.amount)
                    OR (t.amount < {zero} AND (SELECT {loss_and_hold} FROM
                        (SELECT t.amount AS amount UNION ALL SELECT h.amount) AS both_of_them) <> {zero})
                    OR (t.status <> 'disputed' AND h.is_open
                        <> (t.status IN ('pending', 'failed', 'pending_settlement_assignment',
                            'pending_onchain', 'onchain_initiated')))"
            ),
        },
        Comparison {
            fault: "nothing is held for what a staged settlement takes from a connection",
            sql: format!(
                "SELECT t.id FROM settlement_transfers t JOIN settlements s ON s.id = t.settlement_id
                LEFT JOIN holds h ON h.id = t.id
                WHERE s.cutoff_at IS NOT NULL AND h.id IS NULL
                    AND (t.amount < {zero} OR t.source_connection_id IS NOT NULL)"
            ),
        },
        Comparison {
            fault: "a staged settlement does not have the transfers that it counts",
            sql: "SELECT s.id FROM settlements s WHERE s.cutoff_at IS NOT NULL AND s.transfer_count <>
                (SELECT count(*) FROM settlement_transfers t WHERE t.settlement_id = s.id)"
                .to_owned(),
        },
        Comparison {
            fault: "a staged settlement has transfers in a state that it is not in",
            sql: "SELECT s.id FROM settlements s JOIN settlement_transfers t ON t.settlement_id = s.id
                WHERE s.cutoff_at IS NOT NULL AND t.status NOT IN (s.state, 'disputed')"
                .to_owned(),
        },
        // Of a settlement over the chain every leg has an entry of its own.
        Comparison {
            fault: "the journal does not tell what a settlement has executed",
            sql: "SELECT s.id FROM settlements s LEFT JOIN journal j ON j.id = s.entry
                LEFT JOIN on_chain_settlements o ON o.settlement_id = s.id
                WHERE o.settlement_id IS NULL AND s.state = 'completed' AND (j.number IS NULL
                    OR (SELECT count(*) FROM postings p WHERE p.entry = j.number) <>
                        (SELECT count(*) FROM settlement_transfers t
                            WHERE t.settlement_id = s.id AND t.status = 'completed'))"
                .to_owned(),
        },
        Comparison {
            fault: "a settlement transfer is booked under an entry that is not there",
            sql: "SELECT t.id FROM settlement_transfers t LEFT JOIN journal j ON j.id = t.entry
                WHERE t.status = 'completed' AND j.number IS NULL"
                .to_owned(),
        },
        Comparison {
            fault: "a settlement transfer waits for a settlement and has one, or has none and does not wait",
            sql: "SELECT t.id FROM settlement_transfers t
                WHERE (t.settlement_id IS NULL) <> (t.status = 'pending_settlement_assignment')"
                .to_owned(),
        },
    ]
}

/// Disputes, how they end, and what they keep from being settled.
fn of_disputes() -> Vec<Comparison> {
    vec![
        Comparison {
            fault: "a dispute has not the end that it names",
            sql: "SELECT d.id FROM disputes d LEFT JOIN dispute_closures c ON c.id = d.closure_id
                WHERE (d.closure_id IS NOT NULL AND (c.id IS NULL OR c.dispute_id <> d.id))
                    OR (d.closed_at IS NOT NULL) <> (COALESCE(c.status, '') = 'approved')"
                .to_owned(),
        },
        Comparison {
            fault: "a settlement does not count the disputes that stand",
            sql: "SELECT s.id FROM settlements s
                WHERE s.cutoff_at IS NOT NULL AND s.standing_disputes <>
                    (SELECT count(*) FROM disputes d
                        WHERE d.settlement_id = s.id AND d.retracted_at IS NULL)"
                .to_owned(),
        },
        Comparison {
            fault: "a connection is not said to dispute what it disputes, or is and does not",
            sql: "SELECT p.settlement_id FROM participations p
                LEFT JOIN disputes d ON d.settlement_id = p.settlement_id
                    AND d.connection_id = p.connection_id AND d.retracted_at IS NULL
                WHERE p.disputed <> (d.id IS NOT NULL)"
                .to_owned(),
        },
        Comparison {
            fault: "a settlement transfer is left out as disputed and nobody disputes it",
            sql: "SELECT t.id FROM settlement_transfers t
                WHERE t.status = 'disputed' AND NOT EXISTS (SELECT 1 FROM disputes d
                    WHERE d.settlement_id = t.settlement_id AND d.retracted_at IS NULL
                        AND d.connection_id IN (t.source_connection_id, t.destination_connection_id))"
                .to_owned(),
        },
        Comparison {
            fault: "a disputed settlement transfer was executed",
            sql: "SELECT t.id FROM settlement_transfers t JOIN disputes d
                ON d.settlement_id = t.settlement_id
                    AND d.connection_id IN (t.source_connection_id, t.destination_connection_id)
                WHERE t.status = 'completed' AND t.dispute_closure_id IS NULL
                    AND d.retracted_at IS NULL"
                .to_owned(),
        },
        Comparison {
            fault: "a settlement transfer comes of an end of a dispute that does not count",
            sql: "SELECT t.id FROM settlement_transfers t
                LEFT JOIN dispute_closures c ON c.id = t.dispute_closure_id
                WHERE t.dispute_closure_id IS NOT NULL AND COALESCE(c.status, '') <> 'approved'"
                .to_owned(),
        },
    ]
}

/// Settlements over the chain, their legs and the deposits that were announced for them.
fn over_the_chain(reader: &Reader) -> Vec<Comparison> {
    let zero = reader.zero_amount();
    let (gains, seen) = (reader.sum_of("t.amount"), reader.sum_of("d.seen_amount"));
    // A leg of losses and its transfers cancel out.
    let losses = reader.sum_of("all_of_them.amount");
    let legs = |condition: &str| {
        format!(
            "(SELECT count(*) FROM on_chain_legs l WHERE l.settlement_id = o.settlement_id AND {condition})"
        )
    };
    let [gaining, losing] = ["gains", "losses"].map(|direction| {
        legs(&format!(
            "l.direction = '{direction}' AND l.state IN ('waiting', 'initiated')"
        ))
    });
    let [completed, failed] =
        ["completed", "failed"].map(|state| legs(&format!("l.state = '{state}'")));
    let of_leg = format!(
        "settlement_transfers t WHERE t.settlement_id = l.settlement_id AND t.currency = l.currency
            AND ((l.direction = 'gains' AND t.amount > {zero})
                OR (l.direction = 'losses' AND t.amount < {zero}))"
    );
    vec![
        Comparison {
            fault: "nothing is held for what a settlement over the chain takes from a connection",
            sql: format!(
                "SELECT t.id FROM settlement_transfers t
                JOIN on_chain_settlements o ON o.settlement_id = t.settlement_id
                LEFT JOIN holds h ON h.id = t.id
                WHERE h.id IS NULL AND t.amount < {zero}
                    AND t.status IN ('pending_onchain', 'onchain_initiated')"
            ),
        },
        Comparison {
            fault: "a transfer over the chain is not where its leg is",
            sql: format!(
                "SELECT t.id FROM settlement_transfers t
                JOIN on_chain_legs l ON l.settlement_id = t.settlement_id AND l.currency = t.currency
                    AND ((l.direction = 'gains' AND t.amount > {zero})
                        OR (l.direction = 'losses' AND t.amount < {zero}))
                WHERE (l.state = 'waiting' AND t.status <> 'pending_onchain')
                    OR (l.state = 'initiated' AND t.status <> 'onchain_initiated')
                    OR (l.state = 'completed' AND t.status <> 'completed')
                    OR (l.state = 'failed' AND t.status <> 'onchain_failed')
                    OR (l.state = 'rejected' AND t.status <> 'rejected')
                    OR (l.state = 'not_started' AND t.status <> 'failed')"
            ),
        },
        Comparison {
            fault: "a settlement over the chain does not count its legs",
            sql: format!(
                "SELECT o.settlement_id FROM on_chain_settlements o WHERE o.started AND
                    (o.gains_unfinished <> {gaining} OR o.losses_unfinished <> {losing}
                        OR o.completed <> {completed} OR o.failed <> {failed})"
            ),
        },
        Comparison {
            fault: "a leg over the chain does not count its transfers",
            sql: format!(
                "SELECT l.settlement_id FROM on_chain_legs l
                WHERE l.transfer_count <> (SELECT count(*) FROM {of_leg})
                    OR (l.direction = 'gains'
                        AND l.total_units <> COALESCE((SELECT {gains} FROM {of_leg}), {zero}))
                    OR (l.direction = 'losses' AND (SELECT {losses} FROM
                        (SELECT l.total_units AS amount UNION ALL SELECT t.amount FROM {of_leg})
                            AS all_of_them) <> {zero})"
            ),
        },
        Comparison {
            fault: "a leg over the chain does not count the deposits that were announced for it",
            sql: "SELECT l.settlement_id FROM on_chain_legs l WHERE l.direction = 'gains'
                AND l.announced <> (SELECT count(*) FROM on_chain_deposits d
                    WHERE d.settlement_id = l.settlement_id AND d.currency = l.currency)"
                .to_owned(),
        },
        Comparison {
            fault: "a leg over the chain received more than its deposits brought",
            sql: format!(
                "SELECT l.settlement_id FROM on_chain_legs l WHERE l.received_units > COALESCE(
                    (SELECT {seen} FROM on_chain_deposits d
                        WHERE d.settlement_id = l.settlement_id AND d.currency = l.currency
                            AND d.transfer_id IS NOT NULL), {zero})"
            ),
        },
        Comparison {
            fault: "a deposit over the chain has no leg that it is for",
            sql: "SELECT d.id FROM on_chain_deposits d LEFT JOIN on_chain_legs l
                ON l.settlement_id = d.settlement_id AND l.currency = d.currency
                    AND l.direction = 'gains'
                WHERE l.settlement_id IS NULL"
                .to_owned(),
        },
    ]
}

/// What is to happen, and what enterprises were told of.
fn of_what_is_due() -> Vec<Comparison> {
    let late = |direction: &str| {
        format!(
            "SELECT o.settlement_id FROM on_chain_settlements o LEFT JOIN timers t
                ON t.kind = 'on_chain_{direction}_late' AND t.subject = o.settlement_id
            WHERE o.started AND o.{direction}_unfinished > 0
                AND o.{direction}_alerted <> (t.due_at IS NULL)"
        )
    };
    vec![
        Comparison {
            fault: "no timer waits for the end of a staged settlement's window",
            sql: "SELECT s.id FROM settlements s LEFT JOIN timers t
                ON t.kind = 'settlement_window' AND t.subject = s.id
                WHERE s.cutoff_at IS NOT NULL AND s.state = 'pending' AND (t.due_at IS NULL
                    OR (s.amounts_fixed AND t.due_at <> s.top_up_window_ends_at)
                    OR (NOT s.amounts_fixed AND t.due_at <> s.dispute_window_ends_at))"
                .to_owned(),
        },
        Comparison {
            fault: "no timer waits until gains over the chain are late, or one does for what is known",
            sql: late("gains"),
        },
        Comparison {
            fault: "no timer waits until losses over the chain are late, or one does for what is known",
            sql: late("losses"),
        },
        Comparison {
            fault: "a timer waits for a settlement that is not there",
            sql: "SELECT t.subject FROM timers t LEFT JOIN settlements s ON s.id = t.subject
                WHERE t.due_at IS NOT NULL AND s.id IS NULL"
                .to_owned(),
        },
        Comparison {
            fault: "an event bears another time than its commit",
            sql: "SELECT e.subject FROM events e LEFT JOIN chain c
                ON c.lane = 0 AND c.sequence = e.commit_sequence
                WHERE c.sequence IS NULL OR c.time_us <> e.at"
                .to_owned(),
        },
        Comparison {
            fault: "an event tells of a record that is not there",
            sql: "SELECT subject FROM events EXCEPT SELECT id FROM connections
                EXCEPT SELECT id FROM allocations EXCEPT SELECT id FROM settlements
                EXCEPT SELECT id FROM disputes"
                .to_owned(),
        },
    ]
}

/// What operators have proposed and suspended.
fn of_operators() -> Vec<Comparison> {
    vec![
        Comparison {
            fault: "a proposal is not decided as it says, or by who proposed it",
            sql: "SELECT p.id FROM proposals p
                WHERE (p.state = 'pending') <> (p.decided_at IS NULL)
                    OR (p.state = 'approved'
                        AND COALESCE(p.decided_by, p.proposed_by) = p.proposed_by)"
                .to_owned(),
        },
        Comparison {
            fault: "the latest proposal about something is not there",
            sql: "SELECT l.proposal_id FROM latest_proposals l
                LEFT JOIN proposals p ON p.id = l.proposal_id WHERE p.id IS NULL"
                .to_owned(),
        },
        Comparison {
            fault: "a suspended connection is active",
            sql: "SELECT id FROM connections WHERE wanted_active IS NOT NULL AND active".to_owned(),
        },
    ]
}
