//! History in bulk: what years of use would leave, written in minutes.
//!
//! It is there to measure how cost grows with the books, and for nothing else. Rows, journal and
//! chain are those of allocations that were cleared and of settlements that were completed, so
//! that [`verify`](crate::verify) finds the books sound. But nothing is decided, nobody is asked,
//! and no key has made the signatures.

use std::collections::BTreeMap;

use ledger::{
    Account, Amount, Balance, Entry, EntryId, Hold, HoldId, HoldPurpose, Owner, Posting,
    SignedAmount, Timestamp, balances_after,
};
use rules::{
    AllocationId, SettlementId, TransferId, UserId,
    record::{
        AccountBalance, Allocation, AllocationKind, AllocationState, Answering, Claim, ClaimKey,
        ClaimKind, Connection, Message, Participation, Partner, Settlement, SettlementForm,
        SettlementState, SignedRequest, Transfer, TransferParty, TransferStatus,
    },
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    journal::Commit,
    record::{Columns, CommitFacts, Stored},
    sql::{self, ChainHead, Driver, Location, Opening, Reader, StoreError, Write},
    statement,
};

/// How many journal entries one commit has.
const ENTRIES_AT_ONCE: usize = 10_000;

/// No allocation or transfer has more base units than this; how many it has is scattered.
const UNITS_MAX: i128 = 997;

/// What history is made of.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// In turn; at least one. Everybody has to have money in each.
    pub currencies: Vec<ledger::Currency>,
    /// Of so many movements one is a settlement, all others are allocations; at least 1.
    pub settlement_each: usize,
    /// How many transfers a settlement has.
    pub transfers: u32,
}

/// Writes allocations and settlements over all connections in turn, each of a few base units, until
/// the journal has at least `entries` entries. There have to be accepted connections. Nobody else
/// may have the database open.
///
/// # Errors
///
/// [`StoreError`], also if there is no connection or not enough money.
pub async fn seed(location: &Location, pattern: &Pattern, entries: i64) -> Result<(), StoreError> {
    let opening = Opening {
        create: false,
        ..Opening::default()
    };
    let (mut driver, reader) = sql::open(location, opening).await?;
    let mut history = History::read(&reader, pattern.clone()).await?;
    loop {
        let (head, _) = driver.begin(0, &[]).await?;
        let missing = usize::try_from(entries - head.last_entry).unwrap_or_default();
        if missing == 0 {
            driver.rollback().await;
            return Ok(());
        }
        let missing = missing.min(ENTRIES_AT_ONCE);
        history.go_on(&mut driver, &head, missing).await?;
    }
}

/// What goes on from commit to commit.
struct History {
    pattern: Pattern,
    connections: Vec<(Connection, Partner)>,
    balances: BTreeMap<Account, Balance>,
    /// How many movements there have been.
    movements: usize,
    /// Makes names unique among several seedings.
    name: Uuid,
}

/// The rows of one commit.
#[derive(Default)]
struct Rows {
    entries: Vec<Entry>,
    requests: Vec<SignedRequest>,
    claims: Vec<Claim>,
    allocations: Vec<Allocation>,
    holds: Vec<Hold>,
    messages: Vec<Message>,
    settlements: Vec<Settlement>,
    transfers: Vec<Transfer>,
    participations: Vec<Participation>,
}

async fn read<R: Stored>(reader: &Reader) -> Result<Vec<R>, StoreError> {
    let table = R::TABLE;
    let sql = format!("SELECT {} FROM {}", table.column_list(""), table.name);
    let read = |row| R::from_row(&mut Columns::from(row));
    reader.read(&sql, Vec::new(), read).await
}

impl History {
    async fn read(reader: &Reader, pattern: Pattern) -> Result<History, StoreError> {
        let partners: Vec<Partner> = read(reader).await?;
        let connections: Vec<Connection> = read(reader).await?;
        let with_partner = connections.into_iter().filter_map(|connection| {
            connection.partners_ids()?;
            let partner = partners.iter().find(|p| p.id == connection.partner_id)?;
            Some((connection, partner.clone()))
        });
        let balances: Vec<AccountBalance> = read(reader).await?;
        let history = History {
            pattern,
            connections: with_partner.collect(),
            balances: balances
                .into_iter()
                .map(|b| (b.account, b.balance))
                .collect(),
            movements: 0,
            name: Uuid::new_v4(),
        };
        match history.connections.is_empty() {
            true => Err(StoreError::Refused("there is no connection".to_owned())),
            false => Ok(history),
        }
    }

    /// Makes one more commit with about so many entries.
    async fn go_on(
        &mut self,
        driver: &mut impl Driver,
        head: &ChainHead,
        entries: usize,
    ) -> Result<(), StoreError> {
        let invalid = |error: ledger::AmountError| StoreError::Corrupt(error.to_string());
        let mut now = Timestamp(head.time_us);
        let mut rows = Rows::default();
        while rows.entries.len() < entries {
            now.0 += 1;
            let (connection, partner) = &self.connections[self.movements % self.connections.len()];
            let name = format!("{} {:012}", self.name.simple(), self.movements);
            let number = i128::try_from(self.movements).unwrap_or_default();
            let units = 1 + number * 7_919 % UNITS_MAX;
            let currencies = &self.pattern.currencies;
            let movement = Movement {
                connection,
                partner,
                currency: &currencies[self.movements % currencies.len()],
                amount: Amount::new(units).map_err(invalid)?,
                gain: SignedAmount::new(units).map_err(invalid)?,
                name: &name,
                now,
            };
            match self.movements % self.pattern.settlement_each {
                0 => movement.settle(self.pattern.transfers, &mut rows),
                _ => movement.allocate(&mut rows),
            }
            self.movements += 1;
        }
        let count = i64::try_from(rows.entries.len()).unwrap_or(i64::MAX);
        let commit = Commit {
            lane: head.lane,
            sequence: head.sequence + 1,
            batch_id: Uuid::now_v7(),
            previous_hash: head.hash.clone(),
            time: now,
            first_entry: head.last_entry + 1,
            last_entry: head.last_entry + count,
        };
        let moved = self.book(&rows.entries)?;
        let after = |account: &Account| self.balances.get(account).copied().unwrap_or_default();
        let (last_entries, lines) = statement::lines(&rows.entries, commit.first_entry, after);
        let facts = CommitFacts {
            sequence: commit.sequence,
            last_entries,
        };
        rows.requests.sort_by_key(|request| request.id);
        let hash = commit.hash(&rows.entries, &rows.requests, []);
        let mut writes = Vec::from(commit.writes(&hash, &rows.entries));
        writes.extend([
            write(&rows.requests, &facts),
            write(&rows.claims, &facts),
            write(&rows.allocations, &facts),
            write(&rows.holds, &facts),
            write(&rows.messages, &facts),
            write(&rows.settlements, &facts),
            write(&rows.transfers, &facts),
            write(&rows.participations, &facts),
            write(&moved, &facts),
            statement::write(&lines),
        ]);
        writes.retain(|write| !write.rows.is_empty());
        let next = ChainHead {
            lane: head.lane,
            sequence: commit.sequence,
            hash,
            time_us: now.0,
            last_entry: commit.last_entry,
            test_clock: head.test_clock,
        };
        let committed = driver.commit(writes, &next).await;
        committed.map_err(sql::CommitError::into_inner)?;
        Ok(())
    }

    /// Books entries; the balances that moved.
    fn book(&mut self, entries: &[Entry]) -> Result<Vec<AccountBalance>, StoreError> {
        let mut moved: BTreeMap<Account, Balance> = BTreeMap::new();
        for entry in entries {
            let known = |account: &Account| {
                let before = moved.get(account).or_else(|| self.balances.get(account));
                before.copied().unwrap_or_default()
            };
            let after = balances_after(&entry.postings, known)
                .map_err(|error| StoreError::Refused(error.to_string()))?;
            moved.extend(after);
        }
        self.balances.extend(
            moved
                .iter()
                .map(|(account, balance)| (account.clone(), *balance)),
        );
        let records = moved
            .into_iter()
            .map(|(account, balance)| AccountBalance { account, balance });
        Ok(records.collect())
    }
}

fn write<'rows, R: Stored>(records: &'rows [R], facts: &'rows CommitFacts<'_>) -> Write<'rows> {
    Write {
        table: R::TABLE,
        mode: R::MODE,
        rows: sql::Rows::new(
            records.len(),
            records.iter().map(|record| record.to_row(facts)),
        ),
    }
}

/// One movement that is to be written.
struct Movement<'a> {
    connection: &'a Connection,
    partner: &'a Partner,
    currency: &'a ledger::Currency,
    amount: Amount,
    /// The same, as a connection gains it.
    gain: SignedAmount,
    name: &'a str,
    now: Timestamp,
}

impl Movement<'_> {
    fn client_account(&self) -> Account {
        Account::new(Owner::Go(self.connection.go_account_id), self.currency)
    }

    fn connection_account(&self) -> Account {
        Account::new(
            Owner::Net(self.connection.network_account_id),
            self.currency,
        )
    }

    /// An allocation that was cleared, and that the partner was told of.
    fn allocate(&self, rows: &mut Rows) {
        let id = Uuid::now_v7();
        let connection = self.connection;
        let enterprise = &connection.client_enterprise_id;
        let request = self.request(enterprise.clone());
        let from = self.client_account();
        let entry = |cause: &'static str, posting| Entry {
            id: EntryId(Uuid::now_v7()),
            cause: cause.into(),
            subject: id,
            signed_request: Some(request.id),
            postings: vec![posting],
        };
        rows.entries.push(entry(
            "allocation_reserved",
            Posting {
                from: from.available(),
                to: from.held(),
                amount: self.amount,
            },
        ));
        rows.entries.push(entry(
            "allocation_cleared",
            Posting {
                from: from.held(),
                to: self.connection_account().available(),
                amount: self.amount,
            },
        ));
        rows.allocations.push(Allocation {
            id: AllocationId(id),
            kind: AllocationKind::Allocation,
            connection_id: connection.id,
            client_id: connection.client_id,
            client_enterprise_id: enterprise.clone(),
            partner_id: connection.partner_id,
            partner_enterprise_id: connection.partner_enterprise_id.clone(),
            go_account_id: connection.go_account_id,
            network_account_id: connection.network_account_id,
            currency: self.currency.clone(),
            partner_currency: self.currency.to_string(),
            amount: self.amount,
            client_external_id: self.name.to_owned(),
            partner_external_id: Some(self.name.to_owned()),
            notes: None,
            initiated_by: UserId(Uuid::nil()),
            signed_request: request.id,
            answering: Answering::Synchronous,
            state: AllocationState::Cleared,
            created_at: self.now,
            updated_at: self.now,
        });
        rows.holds.push(Hold {
            id: HoldId(id),
            account: from,
            amount: self.amount,
            purpose: HoldPurpose::Allocation,
            open: false,
        });
        rows.messages.push(Message {
            subject: id,
            partner_id: connection.partner_id,
            call: None,
            attempts: 1,
            due_at: self.now,
            leased_until: self.now,
            last_error: None,
            created_at: self.now,
            updated_at: self.now,
        });
        let claim = ClaimKey::new(enterprise.as_str(), ClaimKind::Allocation, self.name);
        self.claim(claim, id, &request, rows);
        rows.requests.push(request);
    }

    /// A settlement in whose transfers the connection gained.
    fn settle(&self, transfers: u32, rows: &mut Rows) {
        let id = SettlementId(Uuid::now_v7());
        let (connection, partner) = (self.connection, self.partner);
        let request = self.request(partner.enterprise_id.clone());
        let entry = EntryId(Uuid::now_v7());
        let partner_account = Account::new(Owner::Go(partner.go_account_id), self.currency);
        rows.entries.push(Entry {
            id: entry,
            cause: "settlement_completed".into(),
            subject: id.0,
            signed_request: Some(request.id),
            postings: (0..transfers)
                .map(|_| Posting {
                    from: partner_account.available(),
                    to: self.connection_account().available(),
                    amount: self.amount,
                })
                .collect(),
        });
        rows.settlements.push(Settlement {
            id,
            partner_id: partner.id,
            partner_enterprise_id: partner.enterprise_id.clone(),
            external_id: self.name.to_owned(),
            form: SettlementForm::Party,
            content_digest: request.digest,
            notes: None,
            initiated_by: UserId(Uuid::nil()),
            signed_request: request.id,
            transfer_count: transfers.into(),
            staging: None,
            state: SettlementState::Completed {
                finalized_at: self.now,
                entry,
            },
            created_at: self.now,
            updated_at: self.now,
        });
        rows.transfers
            .extend((0..transfers).map(|position| Transfer {
                id: TransferId::of(id, position),
                partner_id: partner.id,
                settlement_id: Some(id),
                dispute_closure_id: None,
                position: position.into(),
                currency: self.currency.clone(),
                partner_currency: self.currency.to_string(),
                amount: self.gain,
                source: TransferParty {
                    client_id: partner.client_id,
                    go_account_id: partner.go_account_id,
                    connection: None,
                },
                destination: TransferParty {
                    client_id: connection.client_id,
                    go_account_id: connection.go_account_id,
                    connection: Some((connection.id, connection.network_account_id)),
                },
                status: TransferStatus::Completed,
                entry: Some(entry),
                created_at: self.now,
                updated_at: self.now,
            }));
        rows.participations.push(Participation {
            settlement_id: id,
            connection_id: connection.id,
            client_id: connection.client_id,
            party: true,
            counterparty: false,
            sends: false,
            receives: true,
            disputed: false,
            created_at: self.now,
            listed: true,
        });
        let scope = partner.enterprise_id.as_str();
        let claim = ClaimKey::new(scope, ClaimKind::Settlement, self.name);
        self.claim(claim, id.0, &request, rows);
        rows.requests.push(request);
    }

    fn request(&self, enterprise_id: rules::EnterpriseId) -> SignedRequest {
        let payload = format!("{{\"seeded\":\"{}\"}}", self.name).into_bytes();
        SignedRequest {
            id: Uuid::now_v7(),
            enterprise_id,
            public_key: [2; 33],
            digest: Sha256::digest(&payload).into(),
            payload: payload.into(),
            sealed: false,
            signature: "seeded".to_owned(),
            received_at: self.now,
        }
    }

    /// Takes the name of the movement and a nonce.
    fn claim(&self, name: ClaimKey, subject: Uuid, request: &SignedRequest, rows: &mut Rows) {
        let nonce = ClaimKey::new(request.enterprise_id.as_str(), ClaimKind::Nonce, self.name);
        rows.claims.push(Claim {
            key: name,
            subject,
            digest: None,
        });
        rows.claims.push(Claim {
            key: nonce,
            subject,
            digest: Some(request.digest),
        });
    }
}
