//! The books checked against the journal, from the first entry to the last.
//!
//! What changes (the head of the chain, balances, holds) is read in one snapshot. What lies below
//! that head never changes, so the chain up to it is read in pages beside a server at work.

mod acts;
mod records;
mod statements;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use ledger::{Account, Balance, BookError, Entry, Hold, Timestamp, balances_after, invariants};
use rules::record::{AccountBalance, OperatorAct, SignedRequest};

use self::statements::Statements;
use crate::{
    batch::Chain,
    journal::{Commit, JOURNAL, JournalRow, POSTINGS, journal_row, posting_row},
    laws,
    record::{Columns, Stored, owner_columns, table},
    sql::{
        CHAIN, Location, Reader, Row, StoreError, Table, Value, fault_of_log, faults_of_structure,
        open_reader,
    },
};

/// How many commits are checked at a time: bounds the memory of a verification.
const COMMITS_AT_ONCE: usize = 1_000;

/// So many of the last commits are recent, unless they have more than [`RECENT_ENTRIES`]. With the
/// first bound they are read at once, with the second in bounded memory.
const RECENT_COMMITS: i64 = 1_000;
const RECENT_ENTRIES: i64 = 100_000;

/// A larger database is not asked for faults of its structure unless all is checked: that would
/// read the whole of it.
const STRUCTURE_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Of the head of the chain what a verification needs.
const HEADS: &Table = table!("chain_heads", ["lane"],
    lane Int, sequence Int, hash Bytes, time_us Int, last_entry Int);

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many commits the chain has.
    pub commits: i64,
    /// How many entries the journal has.
    pub entries: i64,
    /// How many accounts have a balance.
    pub accounts: usize,
    /// How many holds are open.
    pub open_holds: usize,
    /// The hash of the last commit; who keeps it can tell later whether history was changed.
    pub last_hash: String,
    /// What is wrong; nothing, if the books are sound.
    pub faults: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

/// How much of the history is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it, from the first entry, and every record against the journal: as long as there is
    /// history.
    Full,
    /// The last commits, the laws of the books on what is stored now, and the structure of a
    /// database that is not large: about as long whatever the history.
    Recent,
}

impl Extent {
    /// Files up to this size are examined as a whole.
    fn structure_bytes_max(self) -> u64 {
        match self {
            Extent::Full => u64::MAX,
            Extent::Recent => STRUCTURE_BYTES_MAX,
        }
    }
}

/// Recomputes every hash and every balance from the journal and compares them with what is
/// stored; checks conservation, non-negativity and holds. It reads only, and may run beside a
/// server: the report is of one moment, and what is committed later is not in it.
///
/// # Errors
///
/// Any [`StoreError`] of reaching the database. What is wrong with the books is no error but a
/// fault in the report, a row that makes no sense or a database that cannot be read among it.
pub async fn verify(location: &Location) -> Result<Report, StoreError> {
    check(location, Extent::Full).await
}

/// The same, to this extent.
///
/// # Errors
///
/// As [`verify`].
pub async fn check(location: &Location, extent: Extent) -> Result<Report, StoreError> {
    let mut report = Report::default();
    report.faults.extend(fault_of_log(location)?);
    let reader = match open_reader(location, 1).await {
        Ok(reader) => reader,
        // It is none of ours, or one of ours whose description of its tables is damaged.
        Err(StoreError::Refused(reason)) => {
            let is_file = matches!(location, Location::Sqlite(_));
            match faults_of_structure(location, extent.structure_bytes_max()).await {
                Ok(faults) => report.faults.extend(faults),
                Err(error @ StoreError::Refused(_)) => return Err(error),
                Err(error) => report.faults.push(fault_of_reading(is_file, error)?),
            }
            if report.is_sound() {
                return Err(StoreError::Refused(reason));
            }
            report.faults.push(reason);
            return Ok(report);
        }
        Err(error) => {
            let is_file = matches!(location, Location::Sqlite(_));
            report.faults.push(fault_of_reading(is_file, error)?);
            return Ok(report);
        }
    };
    examine(reader, report, extent).await
}

/// The same as [`verify`], over a reader of a database that is open already.
///
/// # Errors
///
/// As of [`verify`].
pub async fn verify_with(reader: Reader) -> Result<Report, StoreError> {
    examine(reader, Report::default(), Extent::Full).await
}

async fn examine(reader: Reader, report: Report, extent: Extent) -> Result<Report, StoreError> {
    let mut verification = Verification {
        reader,
        report,
        extent,
        moved: BTreeMap::new(),
        statements: Statements::default(),
        last_moved: BTreeMap::new(),
        next_commit: 1,
        next_entry: 1,
        previous: vec![0; 32],
        time: Timestamp(0),
        progress: Progress::default(),
    };
    if let Err(error) = verification.check().await {
        let fault = fault_of_reading(verification.reader.is_file(), error)?;
        verification.fault(fault);
    }
    verification.check_structure().await?;
    Ok(verification.report)
}

/// What keeps a database from being read, as a fault if it is in the database, else as an error.
fn fault_of_reading(is_file: bool, error: StoreError) -> Result<String, StoreError> {
    match error {
        StoreError::Corrupt(reason) => Ok(format!("the database cannot be read: {reason}")),
        // A file whose description of its own tables is damaged has no such table or column.
        StoreError::Other { source } if is_file => {
            Ok(format!("the database cannot be read: {}", Chain(&*source)))
        }
        other => Err(other),
    }
}

/// Tells how far a long verification has come.
#[derive(Default)]
struct Progress(Option<Instant>);

impl Progress {
    fn tell(&mut self, done: i64, of: i64) {
        const PERIOD: Duration = Duration::from_secs(5);
        let now = Instant::now();
        let last = *self.0.get_or_insert(now);
        if now.duration_since(last) >= PERIOD {
            self.0 = Some(now);
            tracing::info!(commits = done, of, "verifying the books");
        }
    }
}

struct Verification {
    reader: Reader,
    report: Report,
    extent: Extent,
    /// What stands on every account by the journal, and the last entry that moved it.
    moved: BTreeMap<Account, (Balance, i64)>,
    /// What the statements have to say.
    statements: Statements,
    /// The last entry that moved an account, where only the last commits are read.
    last_moved: BTreeMap<Account, i64>,
    /// The number that the next commit has to have.
    next_commit: i64,
    /// The number that its first entry has to have.
    next_entry: i64,
    /// The hash of the commit before it.
    previous: Vec<u8>,
    /// The time of the commit before it.
    time: Timestamp,
    progress: Progress,
}

/// The head of the chain.
struct Head {
    sequence: i64,
    hash: Vec<u8>,
    time: Timestamp,
    last_entry: i64,
}

impl Head {
    fn from_row(columns: &mut Columns) -> Result<Head, StoreError> {
        let _lane = columns.int()?;
        Ok(Head {
            sequence: columns.int()?,
            hash: columns.bytes()?,
            time: columns.time()?,
            last_entry: columns.int()?,
        })
    }
}

fn select(table: &Table, rest: &str) -> String {
    format!(
        "SELECT {} FROM {} {rest}",
        table.column_list(""),
        table.name
    )
}

/// Counts the rows that no commit up to the head took in, and finds the first of them: a row for
/// each table that can have some.
fn all_strays() -> String {
    let tables = [
        (JOURNAL.name, "entry", "number", "last_entry"),
        (POSTINGS.name, "entry", "entry", "last_entry"),
        (CHAIN.name, "commit", "sequence", "sequence"),
        (
            SignedRequest::TABLE.name,
            "commit",
            "commit_sequence",
            "sequence",
        ),
        (
            OperatorAct::TABLE.name,
            "commit",
            "commit_sequence",
            "sequence",
        ),
    ];
    let counts = tables.map(|(table, what, column, limit)| {
        format!(
            "SELECT '{table}' AS name, '{what}' AS what, count(*) AS count, min({column}) AS first
                FROM {table} WHERE {column} < 1
                    OR {column} > (SELECT {limit} FROM chain_heads WHERE lane = 0)"
        )
    });
    counts.join(" UNION ALL ")
}

/// The key of a row, for whoever has to find it.
fn key_of(table: &Table, row: &Row) -> Vec<(&'static str, Value)> {
    let columns = table.columns.iter().enumerate();
    columns
        .filter(|(_, column)| table.key.contains(&column.name))
        .map(|(position, column)| {
            let value = row.peek(position).cloned().unwrap_or(Value::Null);
            (column.name, value)
        })
        .collect()
}

fn spelled((name, value): (&str, Value)) -> String {
    match value {
        Value::Int(number) => format!("{name} {number}"),
        Value::Text(text) => format!("{name} {text}"),
        Value::Uuid(id) => format!("{name} {id}"),
        Value::Bytes(bytes) => format!("{name} {bytes:02x?}"),
        other => format!("{name} {other:?}"),
    }
}

fn missing(one: &str, many: &str, first: i64, last: i64) -> String {
    if first == last {
        format!("{one} {first} is missing")
    } else {
        format!("{many} {first} to {last} are missing")
    }
}

impl Verification {
    fn fault(&mut self, fault: impl Into<String>) {
        /// Beyond this the rest is not told: the books are broken.
        const TOLD_AT_MOST: usize = 100;
        if self.report.faults.len() < TOLD_AT_MOST {
            self.report.faults.push(fault.into());
        }
    }

    async fn check(&mut self) -> Result<(), StoreError> {
        match self.extent {
            Extent::Full => self.check_all().await,
            Extent::Recent => self.check_recent().await,
        }
    }

    async fn check_all(&mut self) -> Result<(), StoreError> {
        let [heads, balances, holds, strays] = self
            .reader
            .snapshot([
                select(HEADS, "WHERE lane = 0"),
                select(AccountBalance::TABLE, ""),
                select(Hold::TABLE, "WHERE is_open"),
                all_strays(),
            ])
            .await?;
        let Some(head) = self.head(heads, strays)? else {
            return Ok(());
        };
        self.check_chain(&head, 0).await?;
        for account in self
            .statements
            .differing(&self.reader, head.last_entry)
            .await?
        {
            let account = account.available();
            self.fault(format!(
                "the statement of {account} is not what the journal says"
            ));
        }
        let balances = self.read(AccountBalance::TABLE, balances, |columns| {
            let record = AccountBalance::from_row(columns)?;
            Ok((record.account, (record.balance, columns.int()?)))
        });
        let holds = self.read(Hold::TABLE, holds, Hold::from_row);
        self.check_balances(&balances.into_iter().collect(), &holds);
        self.check_acts_of_no_commit().await?;
        self.check_suspensions().await?;
        self.check_records().await
    }

    async fn check_recent(&mut self) -> Result<(), StoreError> {
        let queries = [select(HEADS, "WHERE lane = 0"), all_strays()];
        let [heads, strays] = self.reader.snapshot(queries).await?;
        let Some(head) = self.head(heads, strays)? else {
            return Ok(());
        };
        for violation in laws::violations(&self.reader).await? {
            self.fault(violation.to_string());
        }
        self.check_acts_of_no_commit().await?;
        let sql = select(
            &CHAIN,
            "WHERE lane = 0 AND sequence > $1 AND (first_entry > $2 OR sequence = $3)
                ORDER BY sequence LIMIT 1",
        );
        let params = vec![
            head.sequence.saturating_sub(RECENT_COMMITS).into(),
            head.last_entry.saturating_sub(RECENT_ENTRIES).into(),
            head.sequence.into(),
        ];
        let rows = self.reader.query(&sql, params).await?;
        if let Some((first, _)) = self.read(&CHAIN, rows, Commit::from_row).pop() {
            self.next_commit = first.sequence;
            self.next_entry = first.first_entry;
            self.report.entries = first.first_entry - 1;
            self.previous = first.previous_hash;
        }
        self.check_chain(&head, self.next_commit - 1).await?;
        self.check_last_moves().await
    }

    /// The head of the chain, and what lies beyond it.
    fn head(&mut self, heads: Vec<Row>, strays: Vec<Row>) -> Result<Option<Head>, StoreError> {
        for mut row in strays {
            if let (count, Some(first)) = (row.int(2)?, row.optional_int(3)?) {
                let (name, what) = (row.text(0)?, row.text(1)?);
                self.fault(format!(
                    "rows of {name} that no commit up to the head took in: {count}, the first of {what} {first}"
                ));
            }
        }
        let head = self.read(HEADS, heads, Head::from_row).pop();
        if head.is_none() {
            self.fault("the chain has no head in chain_heads: nothing can be verified");
        }
        Ok(head)
    }

    /// Whether accounts say that they were moved by the entries that moved them last, or by later
    /// ones.
    async fn check_last_moves(&mut self) -> Result<(), StoreError> {
        let sql =
            "SELECT entry FROM balances WHERE owner_kind = $1 AND owner = $2 AND currency = $3";
        for (account, entry) in std::mem::take(&mut self.last_moved) {
            let [kind, owner] = owner_columns(account.owner);
            let params = vec![kind, owner, account.currency.as_str().into()];
            let row = self.reader.query(sql, params).await?.pop();
            let found = row.map(|mut row| row.int(0)).transpose()?;
            if found.is_none_or(|found| found < entry) {
                self.fault(format!(
                    "{} was moved by entry {entry}, but is stored as moved last by entry {}",
                    account.available(),
                    found.unwrap_or_default()
                ));
            }
        }
        Ok(())
    }

    /// What the database finds wrong with itself.
    async fn check_structure(&mut self) -> Result<(), StoreError> {
        let bytes_max = self.extent.structure_bytes_max();
        match self.reader.faults_of_structure(bytes_max).await {
            Ok(faults) => faults.into_iter().for_each(|fault| self.fault(fault)),
            Err(error) => {
                let fault = fault_of_reading(self.reader.is_file(), error)?;
                self.fault(fault);
            }
        }
        Ok(())
    }

    /// Reads rows of a table. One that makes no sense is a fault, and left out.
    fn read<T>(
        &mut self,
        table: &Table,
        rows: Vec<Row>,
        read: impl Fn(&mut Columns) -> Result<T, StoreError>,
    ) -> Vec<T> {
        let mut records = Vec::with_capacity(rows.len());
        for row in rows {
            let key = key_of(table, &row);
            match read(&mut Columns::from(row)) {
                Ok(record) => records.push(record),
                Err(error) => {
                    let key: Vec<_> = key.into_iter().map(spelled).collect();
                    let (name, key) = (table.name, key.join(", "));
                    let reason = match error {
                        StoreError::Corrupt(reason) => reason,
                        other => other.to_string(),
                    };
                    self.fault(format!("{name} ({key}) cannot be read: {reason}"));
                }
            }
        }
        records
    }

    /// Checks all commits after `checked` up to `head` and books their entries.
    async fn check_chain(&mut self, head: &Head, mut checked: i64) -> Result<(), StoreError> {
        let sql = select(
            &CHAIN,
            &format!(
                "WHERE lane = 0 AND sequence > $1 AND sequence <= $2
                    ORDER BY sequence LIMIT {COMMITS_AT_ONCE}"
            ),
        );
        // From row to row, not from number to number: a head that was tampered with may name a
        // commit that is out of reach.
        loop {
            let params = vec![checked.into(), head.sequence.into()];
            let rows = self.reader.query(&sql, params).await?;
            let Some(mut last) = rows.last().cloned() else {
                break;
            };
            let last = last.int(1)?;
            let commits = self.read(&CHAIN, rows, Commit::from_row);
            self.check_commits(commits, checked + 1, last).await?;
            checked = last;
            self.progress.tell(checked, head.sequence);
        }
        if self.next_commit <= head.sequence {
            let gap = missing("commit", "commits", self.next_commit, head.sequence);
            self.fault(format!("{gap} from the chain"));
        }
        if self.previous != head.hash {
            self.fault("the head of the chain does not bear the hash of its last commit");
        }
        if self.time != head.time {
            self.fault("the head of the chain does not bear the time of its last commit");
        }
        if self.report.entries != head.last_entry {
            let fault = format!(
                "the head of the chain counts {} entries, the journal has {}",
                head.last_entry, self.report.entries
            );
            self.fault(fault);
        }
        self.report.last_hash = head.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        self.report.commits = head.sequence;
        Ok(())
    }

    /// Reads the rows of a table whose `column` lies in a range.
    async fn range<T>(
        &mut self,
        table: &Table,
        column: &str,
        (first, last): (i64, i64),
        order: &str,
        read: impl Fn(&mut Columns) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let condition = format!("WHERE {column} >= $1 AND {column} <= $2 ORDER BY {order}");
        let sql = select(table, &condition);
        let params = vec![first.into(), last.into()];
        let rows = self.reader.query(&sql, params).await?;
        Ok(self.read(table, rows, read))
    }

    /// Checks `commits`, which are those numbered `from` to `to`, and books their entries.
    async fn check_commits(
        &mut self,
        commits: Vec<(Commit, Vec<u8>)>,
        from: i64,
        to: i64,
    ) -> Result<(), StoreError> {
        let first = commits.first().map_or(0, |(commit, _)| commit.first_entry);
        let last = commits.last().map_or(0, |(commit, _)| commit.last_entry);
        let numbers = (first, last);
        let rows = self.range(JOURNAL, "number", numbers, "number", journal_row);
        let mut entries: BTreeMap<i64, JournalRow> = rows
            .await?
            .into_iter()
            .map(|row| (row.number, row))
            .collect();
        let rows = self.range(POSTINGS, "entry", numbers, "entry, position", posting_row);
        for (number, posting) in rows.await? {
            match entries.get_mut(&number) {
                Some(row) => row.entry.postings.push(posting),
                None => self.fault(format!("a posting names entry {number}, which is missing")),
            }
        }
        let (table, column) = (SignedRequest::TABLE, "commit_sequence");
        let rows = self.range(
            table,
            column,
            (from, to),
            "commit_sequence, id",
            |columns| Ok((columns.peek_int(1)?, SignedRequest::from_row(columns)?)),
        );
        let mut requests: BTreeMap<i64, Vec<SignedRequest>> = BTreeMap::new();
        for (sequence, request) in rows.await? {
            requests.entry(sequence).or_default().push(request);
        }
        let mut acts = self.acts_of_commits((from, to)).await?;
        for (commit, hash) in commits {
            let requests = requests.remove(&commit.sequence).unwrap_or_default();
            let acts = acts.remove(&commit.sequence).unwrap_or_default();
            self.check_commit(&commit, hash, &entries, (&requests, &acts));
        }
        for sequence in requests.into_keys() {
            self.fault(format!(
                "a signed request names commit {sequence}, which is missing"
            ));
        }
        for (sequence, acts) in acts {
            let acts = acts::named(&acts);
            self.fault(format!("{acts} names commit {sequence}, which is missing"));
        }
        Ok(())
    }

    fn check_commit(
        &mut self,
        commit: &Commit,
        hash: Vec<u8>,
        entries: &BTreeMap<i64, JournalRow>,
        (requests, acts): (&[SignedRequest], &[OperatorAct]),
    ) {
        let sequence = commit.sequence;
        if sequence != self.next_commit {
            let gap = missing("commit", "commits", self.next_commit, sequence - 1);
            self.fault(format!("{gap} from the chain"));
        }
        if commit.previous_hash != self.previous || commit.first_entry != self.next_entry {
            self.fault(format!(
                "commit {sequence} does not follow from the one before it"
            ));
        }
        let own = self.own_entries(commit, entries);
        if commit.hash(own.iter().map(|row| &row.entry), requests, acts) != hash {
            let fits = |acts: &[&OperatorAct]| {
                let entries = own.iter().map(|row| &row.entry);
                commit.hash(entries, requests, acts.iter().copied()) == hash
            };
            let told = acts::why_it_does_not_fit(acts, fits);
            self.fault(format!("commit {sequence} was changed: {told}"));
        }
        self.report.entries += i64::try_from(own.len()).unwrap_or(i64::MAX);
        for row in own {
            self.book(row.number, &row.entry);
        }
        self.next_commit = sequence.saturating_add(1);
        self.next_entry = commit.last_entry.saturating_add(1);
        self.previous = hash;
        self.time = commit.time;
    }

    /// The entries of a commit; what is wrong with them is a fault each.
    fn own_entries<'rows>(
        &mut self,
        commit: &Commit,
        entries: &'rows BTreeMap<i64, JournalRow>,
    ) -> Vec<&'rows JournalRow> {
        let mut own = Vec::new();
        let numbers = commit.first_entry..=commit.last_entry;
        if numbers.is_empty() {
            return own;
        }
        let mut next = commit.first_entry;
        for (&number, row) in entries.range(numbers) {
            if number != next {
                let gap = missing("entry", "entries", next, number - 1);
                self.fault(format!("{gap} from the journal"));
            }
            next = number.saturating_add(1);
            if row.commit_sequence != commit.sequence {
                self.fault(format!(
                    "entry {number} names commit {}, but commit {} took it in",
                    row.commit_sequence, commit.sequence
                ));
            }
            own.push(row);
            if row.at != commit.time {
                self.fault(format!("entry {number} bears another time than its commit"));
            }
        }
        if next <= commit.last_entry {
            let gap = missing("entry", "entries", next, commit.last_entry);
            self.fault(format!("{gap} from the journal"));
        }
        own
    }

    fn book(&mut self, number: i64, entry: &Entry) {
        if self.extent == Extent::Recent {
            for posting in &entry.postings {
                for holding in [&posting.from, &posting.to] {
                    self.last_moved.insert(holding.account.clone(), number);
                }
            }
            return;
        }
        let known = |account: &Account| self.moved.get(account).copied().unwrap_or_default().0;
        match balances_after(&entry.postings, known) {
            Ok(after) => {
                for (account, balance) in after {
                    self.statements.note(&account, number, balance);
                    self.moved.insert(account, (balance, number));
                }
            }
            Err(error) => {
                let detail = match &error {
                    BookError::Short(short) => short
                        .iter()
                        .map(|shortage| {
                            format!("{} would hold {}", shortage.holding, shortage.after)
                        })
                        .collect::<Vec<_>>()
                        .join(", "),
                    other => other.to_string(),
                };
                self.fault(format!("entry {number} ({}): {detail}", entry.cause));
            }
        }
    }

    fn check_balances(&mut self, stored: &BTreeMap<Account, (Balance, i64)>, holds: &[Hold]) {
        let moved = std::mem::take(&mut self.moved);
        for (account, (balance, entry)) in &moved {
            let (found, found_entry) = stored.get(account).copied().unwrap_or_default();
            let account = account.available();
            if found != *balance {
                self.fault(format!(
                    "{account} is stored as {found:?}, the journal says {balance:?}"
                ));
            } else if found_entry != *entry {
                self.fault(format!(
                    "{account} is stored as moved last by entry {found_entry}, the journal says {entry}"
                ));
            }
        }
        for account in stored.keys().filter(|known| !moved.contains_key(known)) {
            self.fault(format!(
                "{} has a balance but no entry",
                account.available()
            ));
        }
        let balances = || {
            stored
                .iter()
                .map(|(account, (balance, _))| (account, balance))
        };
        let laws = [
            invariants::value_is_conserved(balances()),
            invariants::nothing_is_negative(balances()),
            invariants::holds_explain_what_is_held(balances(), holds),
        ];
        for violation in laws.into_iter().filter_map(Result::err) {
            self.fault(violation.to_string());
        }
        self.report.accounts = stored.len();
        self.report.open_holds = holds.len();
    }
}
