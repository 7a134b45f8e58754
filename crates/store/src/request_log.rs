//! The log of API requests: what enterprises asked of the network lately, for those who build
//! against it to see.
//!
//! It is no part of the books: it has tables of its own ([`Aside`]), nothing is decided by what
//! stands in it, and nothing of it is promised to last.

use ledger::Timestamp;
use rules::{EnterpriseId, TokenId};
use uuid::Uuid;

use crate::{
    StoreError,
    record::{Columns, table, time},
    sql::{Aside, Location, Reader, Statement, Table, Value},
};

/// A request with its answer. It holds no bodies but those of errors, and no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRequest {
    /// Its id in the log, a UUID of version 7: later requests have greater ones.
    pub id: Uuid,
    /// The enterprise that asked.
    pub enterprise_id: EnterpriseId,
    /// When it was answered, in real time.
    pub at: Timestamp,
    /// The HTTP method.
    pub method: String,
    /// The path as it was sent, without the query.
    pub path: String,
    /// The operation's id in the API's description, or `none`.
    pub operation: String,
    /// The HTTP status of the answer.
    pub status: u16,
    /// How long the answer took, in microseconds.
    pub latency_us: i64,
    /// What the sender said it was.
    pub user_agent: Option<String>,
    /// The id that the answer bore.
    pub request_id: String,
    /// The access token.
    pub token_id: TokenId,
    /// What its owner calls the token.
    pub token_label: String,
    /// The body of the answer, if it was an error.
    pub error_body: Option<String>,
}

/// Which requests are meant; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct RequestFilter {
    /// Only this operation.
    pub operation: Option<String>,
    /// Only statuses from the first to the last.
    pub statuses: Option<(u16, u16)>,
    /// Only those answered at this time or later.
    pub since: Option<Timestamp>,
    /// Only those answered before this time.
    pub before: Option<Timestamp>,
    /// Only those logged before the one of this id.
    pub before_id: Option<Uuid>,
}

/// The log. It is written by one task of a process; several processes may share a PostgreSQL.
pub struct RequestLog {
    aside: Aside,
    reader: Reader,
}

static REQUESTS: &Table = table!("api_requests", ["id"],
    id Uuid, enterprise_id Text, at_us Int, method Text, path Text, operation Text, status Int,
    latency_us Int, user_agent Text, request_id Text, token_id Uuid, token_label Text,
    error_body Text);

/// Changes to it take another name for the table: what is in this one may be lost.
const SCHEMA: &str = "
    CREATE {postgres}UNLOGGED {end}TABLE IF NOT EXISTS api_requests (
        id {uuid} PRIMARY KEY NOT NULL,
        enterprise_id {text} NOT NULL,
        at_us {int} NOT NULL,
        method {text} NOT NULL,
        path {text} NOT NULL,
        operation {text} NOT NULL,
        status {int} NOT NULL,
        latency_us {int} NOT NULL,
        user_agent {text},
        request_id {text} NOT NULL,
        token_id {uuid} NOT NULL,
        token_label {text} NOT NULL,
        error_body {text}
    ){strict};
    CREATE INDEX IF NOT EXISTS api_requests_of_enterprise ON api_requests (enterprise_id, id);";

/// How many rows one INSERT has: the fewest texts that few round trips need.
const ROWS_PER_INSERT: [usize; 3] = [64, 8, 1];

impl RequestLog {
    /// Opens the log beside a database, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn open(location: &Location) -> Result<RequestLog, StoreError> {
        let (aside, reader) = Aside::open(location, SCHEMA).await?;
        Ok(RequestLog { aside, reader })
    }

    /// Writes requests, all or none of them.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn write(&self, requests: &[LoggedRequest]) -> Result<(), StoreError> {
        let mut rest = requests;
        let mut statements = Vec::new();
        while !rest.is_empty() {
            let rows = ROWS_PER_INSERT.into_iter().find(|rows| *rows <= rest.len());
            let (now, later) = rest.split_at(rows.unwrap_or(1));
            statements.push(insert(now));
            rest = later;
        }
        if statements.is_empty() {
            return Ok(());
        }
        self.aside.run(statements).await.map(drop)
    }

    /// Forgets what was answered before a time.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn forget_before(&self, before: Timestamp) -> Result<(), StoreError> {
        // Ids begin with their time in milliseconds.
        let sql = "DELETE FROM api_requests WHERE id < $1";
        let statement = (sql.to_owned(), vec![earliest_id(before).into()]);
        self.aside.run(vec![statement]).await.map(drop)
    }

    /// Forgets all but the newest requests of an enterprise.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn keep_newest(
        &self,
        enterprise: &EnterpriseId,
        count: u32,
    ) -> Result<(), StoreError> {
        let sql = "DELETE FROM api_requests WHERE enterprise_id = $1 AND id <= (
            SELECT id FROM api_requests WHERE enterprise_id = $1
            ORDER BY id DESC LIMIT 1 OFFSET $2)";
        let params = vec![enterprise.as_str().into(), i64::from(count).into()];
        self.aside
            .run(vec![(sql.to_owned(), params)])
            .await
            .map(drop)
    }

    /// Requests of some enterprises, the newest first, at most so many.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn list(
        &self,
        enterprises: &[EnterpriseId],
        filter: &RequestFilter,
        at_most: u32,
    ) -> Result<Vec<LoggedRequest>, StoreError> {
        let mut found = Vec::new();
        for enterprise in enterprises {
            let (sql, params) = select(enterprise, filter, at_most);
            let read = |row| read(&mut Columns::from(row));
            found.extend(self.reader.read(&sql, params, read).await?);
        }
        found.sort_unstable_by_key(|request| std::cmp::Reverse(request.id));
        found.truncate(usize::try_from(at_most).unwrap_or(usize::MAX));
        Ok(found)
    }

    /// The request of this id, if it is one of these enterprises'.
    ///
    /// # Errors
    ///
    /// Any [`StoreError`].
    pub async fn find(
        &self,
        enterprises: &[EnterpriseId],
        id: Uuid,
    ) -> Result<Option<LoggedRequest>, StoreError> {
        let columns = REQUESTS.column_list("");
        let sql = format!("SELECT {columns} FROM api_requests WHERE id = $1");
        let read = |row| read(&mut Columns::from(row));
        let found = self.reader.read(&sql, vec![id.into()], read).await?.pop();
        Ok(found.filter(|request| enterprises.contains(&request.enterprise_id)))
    }
}

/// The least UUID of version 7 that a request answered at this time can have.
fn earliest_id(at: Timestamp) -> Uuid {
    let ms = u64::try_from(at.0 / 1_000).unwrap_or(0);
    Uuid::from_u128(u128::from(ms) << 80)
}

fn insert(requests: &[LoggedRequest]) -> Statement {
    let width = REQUESTS.columns.len();
    let marks = |row: usize| {
        let marks: Vec<String> = (1..=width)
            .map(|n| format!("${}", row * width + n))
            .collect();
        format!("({})", marks.join(", "))
    };
    let rows: Vec<String> = (0..requests.len()).map(marks).collect();
    let columns = REQUESTS.column_list("");
    let sql = format!(
        "INSERT INTO api_requests ({columns}) VALUES {}",
        rows.join(", ")
    );
    (sql, requests.iter().flat_map(values).collect())
}

fn select(enterprise: &EnterpriseId, filter: &RequestFilter, at_most: u32) -> Statement {
    let columns = REQUESTS.column_list("");
    let mut sql = format!("SELECT {columns} FROM api_requests WHERE enterprise_id = $1");
    let mut params: Vec<Value> = vec![enterprise.as_str().into()];
    let statuses = filter.statuses;
    let conditions = [
        ("operation =", filter.operation.clone().map(Value::from)),
        (
            "status >=",
            statuses.map(|(first, _)| i64::from(first).into()),
        ),
        (
            "status <=",
            statuses.map(|(_, last)| i64::from(last).into()),
        ),
        ("at_us >=", filter.since.map(time)),
        ("at_us <", filter.before.map(time)),
        ("id <", filter.before_id.map(Value::from)),
    ];
    for (condition, value) in conditions {
        if let Some(value) = value {
            params.push(value);
            sql.push_str(&format!(" AND {condition} ${}", params.len()));
        }
    }
    params.push(i64::from(at_most).into());
    sql.push_str(&format!(" ORDER BY id DESC LIMIT ${}", params.len()));
    (sql, params)
}

fn values(request: &LoggedRequest) -> Vec<Value> {
    vec![
        request.id.into(),
        request.enterprise_id.as_str().into(),
        time(request.at),
        request.method.as_str().into(),
        request.path.as_str().into(),
        request.operation.as_str().into(),
        i64::from(request.status).into(),
        request.latency_us.into(),
        request.user_agent.as_deref().into(),
        request.request_id.as_str().into(),
        request.token_id.0.into(),
        request.token_label.as_str().into(),
        request.error_body.as_deref().into(),
    ]
}

fn read(columns: &mut Columns) -> Result<LoggedRequest, StoreError> {
    Ok(LoggedRequest {
        id: columns.uuid()?,
        enterprise_id: columns.parsed()?,
        at: columns.time()?,
        method: columns.text()?,
        path: columns.text()?,
        operation: columns.text()?,
        status: columns.small()?,
        latency_us: columns.int()?,
        user_agent: columns.optional_text()?,
        request_id: columns.text()?,
        token_id: TokenId(columns.uuid()?),
        token_label: columns.text()?,
        error_body: columns.optional_text()?,
    })
}
