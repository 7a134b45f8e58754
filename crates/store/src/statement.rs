//! Statements: the entries of an account one after the other, each with what it left there.
//!
//! A line is written with the entry that it tells of and never changes. Books that are older than
//! statements get theirs when they are opened ([`fill`]).

use std::collections::{BTreeMap, HashMap};

use ledger::{Account, Balance, Currency, Entry, Owner, Posting, Timestamp};
use uuid::Uuid;

use crate::{
    Store, StoreError,
    batch::LANE,
    journal::{POSTINGS, posting_row},
    record::{Columns, owner_columns, table},
    sql::{ChainHead, CommitError, Driver, Fetch, Reader, Rows, Table, Value, Write, WriteMode},
};

/// The lines of all accounts.
pub(crate) const ACCOUNT_ENTRIES: &Table = table!("account_entries",
    ["owner_kind", "owner", "entry", "currency"],
    owner_kind Int, owner Uuid, entry Int, currency Text, available Amount, held Amount);

/// How many entries are read at once where lines have to be made up for.
const ENTRIES_AT_ONCE: i64 = 10_000;

/// One line of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementLine {
    /// The number of the journal entry.
    pub entry: i64,
    /// Its identifier.
    pub entry_id: Uuid,
    /// Why money moved.
    pub cause: String,
    /// The record for which it moved.
    pub subject: Uuid,
    /// When.
    pub at: Timestamp,
    /// In what.
    pub currency: Currency,
    /// What the account held after it.
    pub balance: Balance,
}

/// A part of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What the account held before the first line, in the currencies of the lines.
    pub before: BTreeMap<Currency, Balance>,
    /// The lines, oldest first.
    pub lines: Vec<StatementLine>,
    /// Whether more lines follow in the period.
    pub goes_on: bool,
}

/// Which part of a statement is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatementFilter {
    /// Only in this currency.
    pub currency: Option<Currency>,
    /// Only what was booked at that time or later.
    pub since: Option<Timestamp>,
    /// Only what was booked before that time.
    pub before: Option<Timestamp>,
    /// Only what follows this line: the number of its entry and its currency.
    pub after: Option<(i64, Currency)>,
    /// How many lines at the most.
    pub limit: u32,
}

/// What an entry has left on an account.
pub(crate) struct Line<'entries> {
    account: &'entries Account,
    entry: i64,
    balance: Balance,
}

/// What entries leave on accounts: for each account the number of the last entry that moved it,
/// and all lines, in the order of their keys. `after` is what the accounts hold after the last of
/// the entries.
pub(crate) fn lines(
    entries: &[Entry],
    first_entry: i64,
    after: impl Fn(&Account) -> Balance,
) -> (BTreeMap<&Account, i64>, Vec<Line<'_>>) {
    let postings = entries.iter().map(|entry| entry.postings.as_slice());
    let mut lines = moves((first_entry..).zip(postings));
    let mut last_entries = Vec::new();
    let mut balance = Balance::default();
    // From the last entry of each account to its first: only what there is at the end is known.
    for line in lines.iter_mut().rev() {
        let is_known = last_entries
            .last()
            .is_some_and(|(account, _)| *account == line.account);
        if !is_known {
            last_entries.push((line.account, line.entry));
            balance = after(line.account);
        }
        let moved = std::mem::replace(&mut line.balance, balance);
        balance.available = balance.available.wrapping_sub(moved.available);
        balance.held = balance.held.wrapping_sub(moved.held);
    }
    // In the order of their keys, so that each page of the tree is filled once and from its front.
    // Those of one owner and entry are in the order of their currencies already, and stay so.
    lines.sort_by_key(|line| (line.account.owner, line.entry));
    (last_entries.into_iter().rev().collect(), lines)
}

/// Writes lines.
pub(crate) fn write<'rows>(lines: &'rows [Line<'_>]) -> Write<'rows> {
    Write {
        table: ACCOUNT_ENTRIES,
        mode: WriteMode::Insert,
        rows: Rows::new(lines.len(), lines.iter().map(row)),
    }
}

/// The lines of entries, in the order of accounts and entries, with a balance that is yet only by how
/// much the entry moves the buckets of the account. Sums wrap around on their way; the balances that
/// follow from them are those of the books, which fit.
fn moves<'entries>(
    entries: impl Iterator<Item = (i64, &'entries [Posting])>,
) -> Vec<Line<'entries>> {
    let mut moves = Vec::new();
    for (entry, postings) in entries {
        moves.reserve(postings.len().saturating_mul(2));
        for posting in postings {
            let units = posting.amount.units();
            for (holding, units) in [(&posting.from, -units), (&posting.to, units)] {
                let mut balance = Balance::default();
                *balance.bucket_mut(holding.bucket) = units;
                moves.push(Line {
                    account: &holding.account,
                    entry,
                    balance,
                });
            }
        }
    }
    moves.sort_unstable_by(|a, b| (a.account, a.entry).cmp(&(b.account, b.entry)));
    moves.dedup_by(|next, sum| {
        let is_same = (next.account, next.entry) == (sum.account, sum.entry);
        if is_same {
            sum.balance.available = sum.balance.available.wrapping_add(next.balance.available);
            sum.balance.held = sum.balance.held.wrapping_add(next.balance.held);
        }
        is_same
    });
    moves
}

fn row(line: &Line<'_>) -> Vec<Value> {
    let Line {
        account,
        entry,
        balance,
    } = line;
    let [kind, owner] = owner_columns(account.owner);
    vec![
        kind,
        owner,
        (*entry).into(),
        account.currency.as_str().into(),
        balance.available.into(),
        balance.held.into(),
    ]
}

/// Makes up for the lines that books from before there were statements lack. If that is cut short,
/// the last entry has no line, and all of it is done again. Answers where the chain is.
pub(crate) async fn fill(
    driver: &mut impl Driver,
    reader: &Reader,
) -> Result<ChainHead, StoreError> {
    let (head, _) = driver.begin(LANE, &[]).await?;
    let lacks_lines = lacks_lines(driver, head.last_entry).await;
    driver.rollback().await;
    if !lacks_lines? {
        return Ok(head);
    }
    tracing::info!(
        entries = head.last_entry,
        "writing the statements of the books"
    );
    let mut balances: HashMap<Account, Balance> = HashMap::new();
    let mut from = 1;
    while from <= head.last_entry {
        let to = from
            .saturating_add(ENTRIES_AT_ONCE - 1)
            .min(head.last_entry);
        let postings = postings(reader, from, to).await?;
        let mut lines = moves(postings.iter().map(|(entry, of)| (*entry, of.as_slice())));
        for line in &mut lines {
            let balance = balances.entry(line.account.clone()).or_default();
            balance.available = balance.available.wrapping_add(line.balance.available);
            balance.held = balance.held.wrapping_add(line.balance.held);
            line.balance = *balance;
        }
        // Another process may have committed meanwhile: its entries have their lines, and the
        // head stays as it is now.
        let (head, _) = driver.begin(LANE, &[]).await?;
        let write = Write {
            mode: WriteMode::Upsert,
            ..write(&lines)
        };
        let committed = driver.commit(vec![write], &head).await;
        committed.map_err(CommitError::into_inner)?;
        from = to + 1;
    }
    Ok(head)
}

/// Whether an entry has a posting, and the account that it comes from no line for it.
async fn lacks_lines(driver: &mut impl Driver, entry: i64) -> Result<bool, StoreError> {
    let postings = Fetch {
        table: POSTINGS,
        by: &["entry"],
        keys: vec![vec![entry.into()]],
    };
    let rows = driver.fetch(&[postings]).await?;
    let Some(posting) = rows.into_iter().flatten().next() else {
        return Ok(false);
    };
    let (_, posting) = posting_row(&mut Columns::from(posting))?;
    let [kind, owner] = owner_columns(posting.from.account.owner);
    let lines = Fetch {
        table: ACCOUNT_ENTRIES,
        by: &["owner_kind", "owner", "entry"],
        keys: vec![vec![kind, owner, entry.into()]],
    };
    let rows = driver.fetch(&[lines]).await?;
    Ok(rows.into_iter().flatten().next().is_none())
}

async fn postings(
    reader: &Reader,
    from: i64,
    to: i64,
) -> Result<HashMap<i64, Vec<Posting>>, StoreError> {
    let columns = POSTINGS.column_list("");
    let sql = format!(
        "SELECT {columns} FROM postings WHERE entry >= $1 AND entry <= $2 ORDER BY entry, position"
    );
    let mut postings: HashMap<i64, Vec<Posting>> = HashMap::new();
    let read = |row| posting_row(&mut Columns::from(row));
    let found = reader.read(&sql, vec![from.into(), to.into()], read);
    for (number, posting) in found.await? {
        postings.entry(number).or_default().push(posting);
    }
    Ok(postings)
}

impl Store {
    /// A part of the statement of an owner's accounts. Lines are found by the time of their commit,
    /// which never runs backwards.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`] of reading.
    pub async fn statement(
        &self,
        owner: Owner,
        filter: &StatementFilter,
    ) -> Result<Statement, StoreError> {
        let first = match filter.since {
            Some(since) => self.first_entry_since(since).await?,
            None => 1,
        };
        let end = match filter.before {
            Some(before) => self.first_entry_since(before).await?,
            None => i64::MAX,
        };
        // No currency comes before the empty name, so that the first entry is whole.
        let (after, after_currency) = match &filter.after {
            Some((entry, currency)) if *entry >= first => (*entry, currency.as_str()),
            _ => (first, ""),
        };
        let [kind, id] = owner_columns(owner);
        let mut params = vec![
            kind,
            id,
            after.into(),
            after_currency.into(),
            end.into(),
            i64::from(filter.limit).saturating_add(1).into(),
        ];
        let in_currency = match &filter.currency {
            None => "",
            Some(currency) => {
                params.push(currency.as_str().into());
                " AND a.currency = $7"
            }
        };
        let sql = format!(
            "SELECT a.entry, j.id, j.cause, j.subject, j.at, a.currency, a.available, a.held
                FROM account_entries a JOIN journal j ON j.number = a.entry
                WHERE a.owner_kind = $1 AND a.owner = $2
                    AND (a.entry, a.currency) > ($3, $4) AND a.entry < $5{in_currency}
                ORDER BY a.entry, a.currency LIMIT $6"
        );
        let read = |row| line(&mut Columns::from(row));
        let mut lines = self.reader().read(&sql, params, read).await?;
        let limit = usize::try_from(filter.limit).unwrap_or(usize::MAX);
        let goes_on = lines.len() > limit;
        lines.truncate(limit);
        let mut before = BTreeMap::new();
        for line in &lines {
            if !before.contains_key(&line.currency) {
                let account = Account::new(owner, &line.currency);
                let balance = self.balance_before(&account, line.entry).await?;
                before.insert(line.currency.clone(), balance);
            }
        }
        Ok(Statement {
            before,
            lines,
            goes_on,
        })
    }

    /// The number of the first entry that was booked at that time or later, or that would be next.
    async fn first_entry_since(&self, at: Timestamp) -> Result<i64, StoreError> {
        let sql = "SELECT first_entry FROM chain WHERE lane = $1 AND time_us >= $2
            ORDER BY lane, time_us, sequence LIMIT 1";
        let row = self
            .reader()
            .query(sql, vec![LANE.into(), at.0.into()])
            .await?
            .pop();
        match row {
            Some(mut row) => row.int(0),
            None => Ok(i64::MAX),
        }
    }

    async fn balance_before(&self, account: &Account, entry: i64) -> Result<Balance, StoreError> {
        let [kind, owner] = owner_columns(account.owner);
        let sql = "SELECT available, held FROM account_entries
            WHERE owner_kind = $1 AND owner = $2 AND entry < $3 AND currency = $4
            ORDER BY entry DESC LIMIT 1";
        let params = vec![kind, owner, entry.into(), account.currency.as_str().into()];
        match self.reader().query(sql, params).await?.pop() {
            None => Ok(Balance::default()),
            Some(mut row) => Ok(Balance {
                available: row.amount(0)?,
                held: row.amount(1)?,
            }),
        }
    }
}

fn line(columns: &mut Columns) -> Result<StatementLine, StoreError> {
    Ok(StatementLine {
        entry: columns.int()?,
        entry_id: columns.uuid()?,
        cause: columns.text()?,
        subject: columns.uuid()?,
        at: columns.time()?,
        currency: columns.parsed()?,
        balance: Balance {
            available: columns.units()?,
            held: columns.units()?,
        },
    })
}
