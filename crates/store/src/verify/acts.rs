//! What operators did, held against the commits that they did it in.
//!
//! An act is covered by the hash of its commit. Rows that name no commit are from before that was
//! so: no hash covers them, and all that can be told of them is that they are old enough.

use std::collections::{BTreeMap, BTreeSet};

use rules::record::OperatorAct;

use super::Verification;
use crate::{record::Stored, sql::StoreError};

/// Acts that name no commit although the chain covered acts already when they are said to have
/// been done, or before there was a chain.
const ACTS_OF_NO_COMMIT: &str = "
    SELECT a.id FROM operator_acts a
    WHERE a.commit_sequence IS NULL
        AND (a.at < (SELECT time_us FROM chain WHERE lane = 0 AND sequence = 1)
            OR a.at > (SELECT time_us FROM chain WHERE lane = 0
                AND sequence = (SELECT min(commit_sequence) FROM operator_acts))
            OR (SELECT min(commit_sequence) FROM operator_acts) = 1)
    ORDER BY a.id LIMIT 20";

/// Everything that operators have said of suspending, in its order, and what is suspended.
const SUSPENDING: [&str; 3] = [
    "SELECT act, subject, commit_sequence FROM operator_acts
        WHERE act IN ('suspend_client', 'reactivate_client',
            'suspend_connection', 'reactivate_connection')
        ORDER BY commit_sequence",
    "SELECT id FROM clients WHERE suspended_at IS NOT NULL",
    "SELECT id FROM connections WHERE wanted_active IS NOT NULL",
];

impl Verification {
    /// The acts that name these commits as theirs, in the order in which they were hashed.
    pub(super) async fn acts_of_commits(
        &mut self,
        numbers: (i64, i64),
    ) -> Result<BTreeMap<i64, Vec<OperatorAct>>, StoreError> {
        let table = OperatorAct::TABLE;
        let last_column = table.columns.len() - 1;
        let rows = self.range(
            table,
            "commit_sequence",
            numbers,
            "commit_sequence, id",
            |columns| {
                let sequence = columns.peek_int(last_column)?;
                Ok((sequence, OperatorAct::from_row(columns)?))
            },
        );
        let mut acts: BTreeMap<i64, Vec<OperatorAct>> = BTreeMap::new();
        for (sequence, act) in rows.await? {
            acts.entry(sequence).or_default().push(act);
        }
        Ok(acts)
    }

    /// Whether acts that no hash covers can be from before acts were hashed.
    pub(super) async fn check_acts_of_no_commit(&mut self) -> Result<(), StoreError> {
        for mut row in self.reader.query(ACTS_OF_NO_COMMIT, Vec::new()).await? {
            let id = row.uuid(0)?;
            self.fault(format!(
                "operator act {id} names no commit, and is not from before commits covered acts"
            ));
        }
        Ok(())
    }

    /// Whether what is suspended is what operators have suspended last.
    pub(super) async fn check_suspensions(&mut self) -> Result<(), StoreError> {
        let queries = SUSPENDING.map(str::to_owned);
        let [acts, clients, connections] = self.reader.snapshot(queries).await?;
        // Of several acts in one commit nothing tells which came last.
        let mut said: BTreeMap<String, (i64, BTreeSet<bool>)> = BTreeMap::new();
        for mut row in acts {
            let (suspends, subject) = (row.text(0)?.starts_with("suspend"), row.text(1)?);
            let sequence = row.optional_int(2)?.unwrap_or_default();
            let (last, verdicts) = said.entry(subject).or_default();
            if *last != sequence {
                verdicts.clear();
            }
            *last = sequence;
            verdicts.insert(suspends);
        }
        for mut row in clients.into_iter().chain(connections) {
            let id = row.uuid(0)?.to_string();
            if said
                .remove(&id)
                .is_none_or(|(_, last)| !last.contains(&true))
            {
                self.fault(format!(
                    "{id} is suspended, and no operator has suspended it"
                ));
            }
        }
        for (id, (_, last)) in said {
            if !last.contains(&false) {
                self.fault(format!(
                    "an operator has suspended {id}, but it is not suspended"
                ));
            }
        }
        Ok(())
    }
}

/// What is wrong with a commit that has these acts and does not fit its hash, as far as can be
/// told: `fits` says whether it would fit with others.
pub(super) fn why_it_does_not_fit(
    acts: &[OperatorAct],
    fits: impl Fn(&[&OperatorAct]) -> bool,
) -> String {
    let without = |left_out: &usize| {
        let others = acts.iter().enumerate().filter(|(i, _)| i != left_out);
        others.map(|(_, act)| act).collect::<Vec<_>>()
    };
    if let Some(added) = (0..acts.len()).find(|left_out| fits(&without(left_out))) {
        return format!("{} was added to it", named(&acts[added..=added]));
    }
    let told = match acts {
        [] => "it has none of the last".to_owned(),
        acts => format!("of the last it has {}", named(acts)),
    };
    format!("its entries, signed requests or operator acts do not fit its hash; {told}")
}

/// Acts by their identifiers, for whoever has to find them.
pub(super) fn named(acts: &[OperatorAct]) -> String {
    /// The others are found by the commit.
    const NAMED_AT_MOST: usize = 5;
    let first = acts.iter().take(NAMED_AT_MOST);
    let mut named: Vec<String> = first
        .map(|act| format!("operator act {} ({})", act.id, act.act))
        .collect();
    if acts.len() > NAMED_AT_MOST {
        named.push(format!("{} more", acts.len() - NAMED_AT_MOST));
    }
    named.join(", ")
}
