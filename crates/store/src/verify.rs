//! The books checked against the journal, from the first entry to the last.

use std::collections::BTreeMap;

use ledger::{Account, Balance, BookError, Entry, Hold, balances_after, invariants};
use rules::record::{AccountBalance, SignedRequest};

use crate::{
    journal::{Commit, JOURNAL, POSTINGS, entry_from_row, posting_from_row},
    record::{Columns, Stored},
    sql::{CHAIN, Location, Reader, StoreError, Table, Value, open_reader},
};

/// How many commits are checked at a time: bounds the memory of a verification.
const COMMITS_AT_ONCE: i64 = 1_000;

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

/// Recomputes every hash and every balance from the journal and compares them with what is
/// stored; checks conservation, non-negativity and holds. It reads only, and may run beside a
/// server: when commits arrive meanwhile, it takes them in before it compares.
///
/// # Errors
///
/// Any [`StoreError`] of reading. What is wrong with the books is no error but a fault in the
/// report.
pub async fn verify(location: &Location) -> Result<Report, StoreError> {
    let reader = open_reader(location, 1).await?;
    let mut verification = Verification {
        reader,
        report: Report::default(),
        balances: BTreeMap::new(),
        previous: vec![0; 32],
    };
    verification.check().await?;
    Ok(verification.report)
}

struct Verification {
    reader: Reader,
    report: Report,
    balances: BTreeMap<Account, Balance>,
    previous: Vec<u8>,
}

/// The head of the chain.
#[derive(PartialEq, Eq)]
struct Head {
    sequence: i64,
    hash: Vec<u8>,
    last_entry: i64,
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
        /// How often commits may arrive between chain and balances before it is given up.
        const ROUNDS_MAX: u32 = 100;
        for _ in 0..ROUNDS_MAX {
            let head = self.head().await?;
            self.check_chain(&head).await?;
            let balances = self.all::<AccountBalance>().await?;
            let holds = self.all::<Hold>().await?;
            if self.head().await? == head {
                self.check_balances(balances, &holds);
                return Ok(());
            }
        }
        self.fault("commits arrive faster than they can be verified; verify at a quieter time");
        Ok(())
    }

    async fn head(&self) -> Result<Head, StoreError> {
        let sql = "SELECT sequence, hash, last_entry FROM chain_heads WHERE lane = 0";
        let rows = self.reader.query(sql, Vec::new()).await?;
        let mut row = rows
            .into_iter()
            .next()
            .ok_or_else(|| StoreError::Corrupt("the chain has no head".to_owned()))?;
        Ok(Head {
            sequence: row.int(0)?,
            hash: row.bytes(1)?,
            last_entry: row.int(2)?,
        })
    }

    /// Takes in the commits up to `head` that were not taken in yet.
    async fn check_chain(&mut self, head: &Head) -> Result<(), StoreError> {
        let mut from = self.report.commits + 1;
        while from <= head.sequence {
            let to = (from + COMMITS_AT_ONCE - 1).min(head.sequence);
            self.check_commits(from, to).await?;
            from = to + 1;
        }
        if self.previous != head.hash {
            self.fault("the head of the chain does not bear the hash of its last commit");
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

    async fn rows(
        &self,
        table: &Table,
        column: &str,
        range: (i64, i64),
        order: &str,
    ) -> Result<Vec<Columns>, StoreError> {
        let names: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE {column} >= $1 AND {column} <= $2 ORDER BY {order}",
            names.join(", "),
            table.name
        );
        let params: Vec<Value> = vec![range.0.into(), range.1.into()];
        let rows = self.reader.query(&sql, params).await?;
        Ok(rows.into_iter().map(Columns::from).collect())
    }

    /// Checks the commits numbered `from` to `to` and books their entries.
    async fn check_commits(&mut self, from: i64, to: i64) -> Result<(), StoreError> {
        let mut commits = Vec::new();
        for mut row in self.rows(&CHAIN, "sequence", (from, to), "sequence").await? {
            commits.push(Commit::from_row(&mut row)?);
        }
        let first = commits.first().map_or(0, |(commit, _)| commit.first_entry);
        let last = commits.last().map_or(0, |(commit, _)| commit.last_entry);
        let mut entries: BTreeMap<i64, (Entry, i64)> = BTreeMap::new();
        for mut row in self.rows(JOURNAL, "number", (first, last), "number").await? {
            let (number, entry, at) = entry_from_row(&mut row)?;
            entries.insert(number.0, (entry, at.0));
        }
        for mut row in self
            .rows(POSTINGS, "entry", (first, last), "entry, position")
            .await?
        {
            let (number, posting) = posting_from_row(&mut row)?;
            match entries.get_mut(&number.0) {
                Some((entry, _)) => entry.postings.push(posting),
                None => self.fault(format!("a posting names entry {}, which is missing", number.0)),
            }
        }
        let mut requests: BTreeMap<i64, Vec<SignedRequest>> = BTreeMap::new();
        let table = SignedRequest::TABLE;
        for mut row in self
            .rows(table, "commit_sequence", (from, to), "commit_sequence, id")
            .await?
        {
            let sequence = row.peek_int(1)?;
            let request = SignedRequest::from_row(&mut row)?;
            requests.entry(sequence).or_default().push(request);
        }
        let mut expected = from;
        for (commit, hash) in commits {
            if commit.sequence != expected {
                self.fault(format!("commit {expected} is missing from the chain"));
                expected = commit.sequence;
            }
            expected += 1;
            let requests = requests.remove(&commit.sequence).unwrap_or_default();
            self.check_commit(&commit, hash, &entries, &requests);
        }
        for sequence in requests.into_keys() {
            self.fault(format!("a signed request names commit {sequence}, which is missing"));
        }
        Ok(())
    }

    fn check_commit(
        &mut self,
        commit: &Commit,
        hash: Vec<u8>,
        entries: &BTreeMap<i64, (Entry, i64)>,
        requests: &[SignedRequest],
    ) {
        let sequence = commit.sequence;
        if commit.previous_hash != self.previous {
            self.fault(format!("commit {sequence} does not follow from the one before it"));
        }
        let mut own = Vec::new();
        for number in commit.first_entry..=commit.last_entry {
            match entries.get(&number) {
                Some((entry, at)) if *at == commit.time.0 => own.push(entry.clone()),
                Some(_) => {
                    self.fault(format!("entry {number} bears another time than its commit"));
                }
                None => self.fault(format!("entry {number} is missing from the journal")),
            }
        }
        if commit.hash(&own, requests) != hash {
            self.fault(format!(
                "commit {sequence} was changed: its entries or signed requests do not fit its hash"
            ));
        }
        for entry in &own {
            self.book(entry);
        }
        self.report.entries += i64::try_from(own.len()).unwrap_or(i64::MAX);
        self.previous = hash;
    }

    fn book(&mut self, entry: &Entry) {
        let known = |account: &Account| self.balances.get(account).copied().unwrap_or_default();
        match balances_after(&entry.postings, known) {
            Ok(after) => self.balances.extend(after),
            Err(error) => {
                let detail = match &error {
                    BookError::Short(short) => short
                        .iter()
                        .map(|shortage| format!("{} would hold {}", shortage.holding, shortage.after))
                        .collect::<Vec<_>>()
                        .join(", "),
                    other => other.to_string(),
                };
                self.fault(format!("entry {:?} ({}): {detail}", entry.id, entry.cause));
            }
        }
    }

    fn check_balances(&mut self, balances: Vec<AccountBalance>, holds: &[Hold]) {
        let stored: BTreeMap<Account, Balance> = balances
            .into_iter()
            .map(|record| (record.account, record.balance))
            .collect();
        let recomputed = std::mem::take(&mut self.balances);
        for (account, balance) in &recomputed {
            let found = stored.get(account).copied().unwrap_or_default();
            if found != *balance {
                self.fault(format!(
                    "{} is stored as {found:?}, the journal says {balance:?}",
                    account.available()
                ));
            }
        }
        for account in stored.keys().filter(|a| !recomputed.contains_key(a)) {
            self.fault(format!("{} has a balance but no entry", account.available()));
        }
        let laws = [
            invariants::value_is_conserved(&stored),
            invariants::nothing_is_negative(&stored),
            invariants::holds_explain_what_is_held(&stored, holds),
        ];
        for violation in laws.into_iter().filter_map(Result::err) {
            self.fault(violation.to_string());
        }
        self.report.accounts = stored.len();
        self.report.open_holds = holds.iter().filter(|hold| hold.open).count();
    }

    async fn all<R: Stored>(&self) -> Result<Vec<R>, StoreError> {
        crate::select::Select::all().run(&self.reader).await
    }
}
