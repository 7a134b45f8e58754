//! The tables behind the store's back: to count what is there, to lock it, to tamper with it.

use store::Location;
use testkit::TestDatabase;
use tokio_postgres::NoTls;

/// A connection of its own to the database of a store.
pub(crate) enum Books {
    Sqlite(rusqlite::Connection),
    Postgres(tokio_postgres::Client),
}

impl Books {
    pub(crate) async fn of(database: &TestDatabase) -> Books {
        match database.url.parse().expect("a location") {
            Location::Sqlite(path) => {
                let connection = rusqlite::Connection::open(path).expect("the file");
                connection
                    .busy_timeout(std::time::Duration::from_secs(5))
                    .expect("a time limit");
                Books::Sqlite(connection)
            }
            Location::Postgres(config) => {
                let (client, connection) = config.connect(NoTls).await.expect("the server");
                tokio::spawn(connection);
                Books::Postgres(client)
            }
        }
    }

    /// Runs statements.
    pub(crate) async fn run(&self, sql: &str) {
        match self {
            Books::Sqlite(connection) => connection.execute_batch(sql).expect(sql),
            Books::Postgres(client) => client.batch_execute(sql).await.expect(sql),
        }
    }

    /// Changes exactly one row.
    pub(crate) async fn change(&self, sql: &str) {
        let changed = match self {
            Books::Sqlite(connection) => connection.execute(sql, []).expect(sql) as u64,
            Books::Postgres(client) => client.execute(sql, &[]).await.expect(sql),
        };
        assert_eq!(changed, 1, "{sql}");
    }

    /// The integers of the first column, in the order of the query.
    pub(crate) async fn numbers(&self, sql: &str) -> Vec<i64> {
        match self {
            Books::Sqlite(connection) => {
                let mut statement = connection.prepare(sql).expect(sql);
                let rows = statement.query_map([], |row| row.get(0)).expect(sql);
                rows.collect::<Result<_, _>>().expect(sql)
            }
            Books::Postgres(client) => {
                let rows = client.query(sql, &[]).await.expect(sql);
                rows.iter().map(|row| row.get(0)).collect()
            }
        }
    }

    /// The one integer that the query finds.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        match self.numbers(sql).await.as_slice() {
            [number] => *number,
            other => panic!("{sql}: {other:?}"),
        }
    }

    /// How many commits there are.
    pub(crate) async fn commits(&self) -> i64 {
        self.number("SELECT count(*) FROM chain").await
    }

    /// How many rows all tables have, those of the migrations left aside.
    pub(crate) async fn rows(&self) -> i64 {
        const TABLES: [&str; 27] = [
            "chain",
            "enterprises",
            "users",
            "memberships",
            "access_tokens",
            "token_uses",
            "go_accounts",
            "signing_keys",
            "currencies",
            "partner_configurations",
            "clients",
            "partners",
            "connections",
            "allocations",
            "settlements",
            "participations",
            "settlement_transfers",
            "deposits",
            "withdrawals",
            "claims",
            "signed_requests",
            "outbox",
            "open_totals",
            "operator_acts",
            "balances",
            "holds",
            "journal",
        ];
        let mut rows = 0;
        for table in TABLES {
            rows += self.number(&format!("SELECT count(*) FROM {table}")).await;
        }
        rows
    }

    /// An amount as a literal of this dialect.
    pub(crate) fn amount(&self, units: i128) -> String {
        match self {
            Books::Sqlite(_) => format!("x'{:032x}'", units.cast_unsigned() ^ (1 << 127)),
            Books::Postgres(_) => units.to_string(),
        }
    }

    /// Bytes as a literal of this dialect, from hexadecimal digits.
    pub(crate) fn bytes(&self, hex: &str) -> String {
        match self {
            Books::Sqlite(_) => format!("x'{hex}'"),
            Books::Postgres(_) => format!("'\\x{hex}'::bytea"),
        }
    }

    /// An identifier as a literal of this dialect.
    pub(crate) fn uuid(&self, id: uuid::Uuid) -> String {
        match self {
            Books::Sqlite(_) => format!("x'{}'", id.simple()),
            Books::Postgres(_) => format!("'{id}'::uuid"),
        }
    }

    /// A truth value as a literal of this dialect.
    pub(crate) fn boolean(&self, value: bool) -> String {
        match self {
            Books::Sqlite(_) => u8::from(value).to_string(),
            Books::Postgres(_) => value.to_string(),
        }
    }

    /// Keeps every batch from beginning until [`Books::unlock`].
    pub(crate) async fn lock(&self) {
        match self {
            Books::Sqlite(_) => self.run("BEGIN IMMEDIATE").await,
            Books::Postgres(_) => {
                self.run("BEGIN; SELECT sequence FROM chain_heads FOR UPDATE")
                    .await;
            }
        }
    }

    pub(crate) async fn unlock(&self) {
        self.run("ROLLBACK").await;
    }
}
