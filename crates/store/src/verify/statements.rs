//! Whether statements tell what the journal says: every entry once on every account that it moved,
//! with what it left there. Of each account a digest is kept rather than its lines.

use std::collections::HashMap;

use ledger::{Account, Balance};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    record::{Columns, owner_columns},
    sql::{Reader, StoreError},
    statement::ACCOUNT_ENTRIES,
};

/// How many lines are read at once.
const LINES_AT_ONCE: i64 = 10_000;

/// What the lines of every account have to be.
#[derive(Default)]
pub(super) struct Statements(HashMap<Account, [u8; 32]>);

impl Statements {
    /// An entry has left this on an account.
    pub(super) fn note(&mut self, account: &Account, entry: i64, balance: Balance) {
        let digest = self.0.entry(account.clone()).or_default();
        let mut hash = Sha256::new();
        hash.update(*digest);
        hash.update(entry.to_be_bytes());
        hash.update(balance.available.to_be_bytes());
        hash.update(balance.held.to_be_bytes());
        *digest = hash.finalize().into();
    }

    /// The accounts whose lines up to this entry are others, in their order.
    pub(super) async fn differing(
        &self,
        reader: &Reader,
        last_entry: i64,
    ) -> Result<Vec<Account>, StoreError> {
        let columns = ACCOUNT_ENTRIES.column_list("");
        let sql = format!(
            "SELECT {columns} FROM account_entries
                WHERE (owner_kind, owner, entry, currency) > ($1, $2, $3, $4) AND entry <= $5
                ORDER BY owner_kind, owner, entry, currency LIMIT $6"
        );
        let mut stored = Statements::default();
        let mut place = vec![(-1_i64).into(), Uuid::nil().into(), 0_i64.into(), "".into()];
        loop {
            let mut params = place.clone();
            params.extend([last_entry.into(), LINES_AT_ONCE.into()]);
            let rows = reader.query(&sql, params).await?;
            let goes_on = i64::try_from(rows.len()).is_ok_and(|read| read == LINES_AT_ONCE);
            for row in rows {
                let mut columns = Columns::from(row);
                let (kind, owner) = (columns.int()?, columns.uuid()?);
                let entry = columns.int()?;
                let currency = columns.parsed()?;
                let account = Account::new(columns.owner(kind, owner)?, &currency);
                let balance = Balance {
                    available: columns.units()?,
                    held: columns.units()?,
                };
                stored.note(&account, entry, balance);
                let [kind, owner] = owner_columns(account.owner);
                place = vec![kind, owner, entry.into(), currency.as_str().into()];
            }
            if !goes_on {
                break;
            }
        }
        let Statements(stored) = stored;
        let all = self.0.keys().chain(stored.keys());
        let mut differing: Vec<Account> = all
            .filter(|account| self.0.get(account) != stored.get(account))
            .cloned()
            .collect();
        differing.sort();
        differing.dedup();
        Ok(differing)
    }
}
