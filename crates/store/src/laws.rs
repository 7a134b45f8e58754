//! The laws of the books, checked on what is stored at one moment, beside a server at work.
//!
//! A verification reads the journal from its first entry, and takes the longer the more history
//! there is. Here the database adds up what stands on the accounts, so that the check takes as
//! long as there are accounts and records that wait, and can be made again and again.

use std::collections::BTreeMap;

use ledger::{Account, Balance, invariants, invariants::Violation};
use rules::record::AccountBalance;

use crate::{
    Store, StoreError,
    record::{Columns, Stored},
    sql::{Reader, Row},
};

/// How many accounts below zero are told of.
const TOLD_AT_MOST: u32 = 10;

impl Store {
    /// Checks conservation, non-negativity and holds on what is stored now; what is wrong.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] of reading.
    pub async fn check_laws(&self) -> Result<Vec<Violation>, StoreError> {
        violations(self.reader()).await
    }
}

/// What breaks the laws, at one moment.
pub(crate) async fn violations(reader: &Reader) -> Result<Vec<Violation>, StoreError> {
    let (available, held) = (reader.sum_of("available"), reader.sum_of("held"));
    let (amount, zero) = (reader.sum_of("h.amount"), reader.zero_amount());
    let columns = AccountBalance::TABLE.column_list("");
    let [sums, negative, held, explained] = reader
        .snapshot([
            format!("SELECT currency, {available}, {held} FROM balances GROUP BY currency"),
            format!(
                "SELECT {columns} FROM balances WHERE held < {zero}
                    OR (owner_kind <> 0 AND available < {zero}) LIMIT {TOLD_AT_MOST}"
            ),
            format!("SELECT owner_kind, owner, currency, held FROM balances WHERE held <> {zero}"),
            // Holds are found by the records that they serve, which have indexes for that: a hold
            // that is open without one is in nobody's sum, and so explains nothing. CROSS keeps SQLite
            // from beginning with all transfers, or all holds, that there ever were. Their states
            // are in the words of the index, without which SQLite does not use it.
            format!(
                "SELECT h.owner_kind, h.owner, h.currency, {amount}
                    FROM (SELECT id FROM allocations WHERE state = 'reserved'
                        UNION ALL SELECT id FROM withdrawals WHERE state = 'requested'
                        UNION ALL SELECT id FROM settlement_transfers
                            WHERE status = 'pending' OR status = 'failed' OR status = 'disputed'
                                OR status = 'pending_settlement_assignment'
                        UNION ALL SELECT t.id FROM on_chain_settlements o
                            CROSS JOIN settlement_transfers t
                            WHERE t.settlement_id = o.settlement_id AND o.started AND o.gains_unfinished + o.losses_unfinished > 0
                                AND t.status IN ('pending_onchain', 'onchain_initiated')
                    ) AS waiting
                    CROSS JOIN holds h WHERE h.id = waiting.id AND h.is_open
                    GROUP BY h.owner_kind, h.owner, h.currency"
            ),
        ])
        .await?;
    let mut found = Vec::new();
    for mut row in sums {
        let currency = row.text(0)?;
        let sum = row.amount(1)?.saturating_add(row.amount(2)?);
        if sum != 0 {
            let currency = currency
                .parse()
                .map_err(|_| StoreError::Corrupt(format!("the currency {currency:?}")))?;
            found.push(Violation::ValueNotConserved { currency, sum });
        }
    }
    for row in negative {
        let record = AccountBalance::from_row(&mut Columns::from(row))?;
        let one: [(&Account, &Balance); 1] = [(&record.account, &record.balance)];
        found.extend(invariants::nothing_is_negative(one).err());
    }
    let held = by_account(held)?;
    let mut explained = by_account(explained)?;
    for (account, held) in held {
        let holds = explained.remove(&account).unwrap_or_default();
        if holds != held {
            found.push(Violation::HoldsDiffer {
                account,
                held,
                holds,
            });
        }
    }
    let unheld = explained.into_iter().map(|(account, holds)| {
        let held = 0;
        Violation::HoldsDiffer {
            account,
            held,
            holds,
        }
    });
    found.extend(unheld);
    Ok(found)
}

fn by_account(rows: Vec<Row>) -> Result<BTreeMap<Account, i128>, StoreError> {
    let read = rows.into_iter().map(|row| {
        let mut columns = Columns::from(row);
        Ok((columns.account()?, columns.units()?))
    });
    read.collect()
}
