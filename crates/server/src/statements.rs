//! Statements, `/api/statements/v1`: every entry of an account, with why it was booked and what it
//! left, as JSON or as CSV.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderName, header};
use ledger::{Balance, Currency, Timestamp};
use network::Network;
use serde::Serialize;
use store::{Statement, StatementFilter, StatementLine};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{api::DateTime, body::Fault as FieldFault, filters::Filters};

use crate::{
    Serving,
    answer::ok,
    error::ApiError,
    gate::{Call, Reads},
    openapi::{EnterprisePath, Fault, Gate, NotFound},
    projection::time,
};

/// How many lines a part has at most, and unless asked otherwise.
const LINES: (u32, u32) = (10_000, 100);

/// The cursor of the next part of a statement as CSV.
const NEXT_CURSOR: HeaderName = HeaderName::from_static("next-cursor");

/// The routes of statements.
pub(crate) fn routes() -> OpenApiRouter<Serving> {
    OpenApiRouter::new()
        .routes(routes!(of_go_account))
        .routes(routes!(of_connection))
}

/// What stands on an account in one currency, in base units.
#[derive(Serialize, ToSchema)]
struct Figures {
    /// Free to use.
    available: String,
    /// Promised to what is under way.
    held: String,
}

/// One entry.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Line {
    /// Its number in the journal.
    entry: i64,
    /// Its identifier.
    #[schema(value_type = Uuid)]
    entry_id: String,
    /// When it was booked.
    at: DateTime,
    /// Why, such as `allocation_cleared`.
    cause: String,
    /// The record for which it was booked.
    #[schema(value_type = Uuid)]
    subject_id: String,
    /// In what.
    currency: String,
    /// By how much it moved the account.
    change: Figures,
    /// What it left on the account.
    balance: Figures,
}

/// A part of a statement.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct StatementResponse {
    /// What stood on the account before the first of the entries, in their currencies.
    opening: BTreeMap<String, Figures>,
    /// The entries, oldest first.
    entries: Vec<Line>,
    /// What to send as `after` for those that follow; absent at the end of the period.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Which part of a statement is meant, and in which form.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "it is only described; `Wanted` reads it")]
struct StatementParams {
    /// Only in this currency.
    currency: Option<String>,
    /// Only what was booked at this time or later.
    since: Option<DateTime>,
    /// Only what was booked before this time.
    before: Option<DateTime>,
    /// Only what follows this cursor.
    #[param(max_length = 84)]
    after: Option<String>,
    /// How many entries at most; 100 if left out.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<u32>,
    /// `json`, which is usual, or `csv`: then the cursor of what follows is the header
    /// `Next-Cursor`.
    #[param(pattern = "^(json|csv)$")]
    format: Option<String>,
}

struct Wanted {
    filter: StatementFilter,
    as_csv: bool,
}

impl Wanted {
    fn read(filters: Filters) -> Result<Wanted, Vec<FieldFault>> {
        let (most, usual) = LINES;
        let currency = filters.one("currency", "a ticker", |text| text.parse().ok());
        let after = filters.one("after", "a cursor that was answered", place);
        let what = format!("a whole number from 1 to {most}");
        let limit = filters.one("limit", &what, |text| {
            let limit = text.parse().ok()?;
            (1..=most).contains(&limit).then_some(limit)
        });
        let as_csv = filters.one("format", "json or csv", |text| match text {
            "csv" => Some(true),
            "json" => Some(false),
            _ => None,
        });
        let filter = StatementFilter {
            currency,
            since: filters.date_time("since").map(|at| Timestamp(at.0)),
            before: filters.date_time("before").map(|at| Timestamp(at.0)),
            after,
            limit: limit.unwrap_or(usual),
        };
        filters.finish(Wanted {
            filter,
            as_csv: as_csv.unwrap_or(false),
        })
    }
}

fn place(cursor: &str) -> Option<(i64, Currency)> {
    let (entry, currency) = cursor.split_once('-')?;
    let is_number = (1..=18).contains(&entry.len()) && entry.bytes().all(|b| b.is_ascii_digit());
    let entry = is_number.then(|| entry.parse().ok()).flatten()?;
    Some((entry, currency.parse().ok()?))
}

/// Statement of a Go Account
///
/// Every entry that moved the account, in any currency, oldest first, with its cause and what it
/// left. Take a period with `since` and `before`; what stands under `opening` and the changes add up
/// to the balance of every entry.
#[utoipa::path(get, path = "/goAccounts/{goAccountId}", tag = "Statements",
    operation_id = "readGoAccountStatement",
    params(EnterprisePath, ("goAccountId" = String, Path, description = "The Go Account: 32 hexadecimal digits."), StatementParams),
    responses((status = 200, description = "The entries.",
            content((StatementResponse = "application/json"), (String = "text/csv"))),
        Gate, NotFound, Fault))]
async fn of_go_account(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Result<Response, ApiError> {
    let wanted = Wanted::read(call.filters()?).map_err(ApiError::invalid)?;
    let id = call.id("goAccountId")?;
    let statement = network
        .statement_of_go_account(&call.caller, id, &wanted.filter)
        .await?;
    shown(statement, wanted.as_csv)
}

/// Statement of a connection
///
/// Every entry that moved what is allocated on the connection, oldest first, with its cause and
/// what it left. Client and partner see the same, in the network's tickers and base units.
#[utoipa::path(get, path = "/connections/{connectionId}", tag = "Statements",
    operation_id = "readConnectionStatement",
    params(EnterprisePath, ("connectionId" = Uuid, Path, description = "The connection."), StatementParams),
    responses((status = 200, description = "The entries.",
            content((StatementResponse = "application/json"), (String = "text/csv"))),
        Gate, NotFound, Fault))]
async fn of_connection(
    State(network): State<Network>,
    call: Call<Reads>,
) -> Result<Response, ApiError> {
    let wanted = Wanted::read(call.filters()?).map_err(ApiError::invalid)?;
    let id = call.id("connectionId")?;
    let statement = network
        .statement_of_connection(&call.caller, id, &wanted.filter)
        .await?;
    shown(statement, wanted.as_csv)
}

fn figures(available: i128, held: i128) -> Figures {
    Figures {
        available: available.to_string(),
        held: held.to_string(),
    }
}

fn shown(statement: Statement, as_csv: bool) -> Result<Response, ApiError> {
    let last = statement.lines.last().filter(|_| statement.goes_on);
    let next_cursor = last.map(|line| format!("{}-{}", line.entry, line.currency));
    let opening = statement.before.iter().map(|(currency, balance)| {
        let figures = figures(balance.available, balance.held);
        (currency.to_string(), figures)
    });
    let opening = opening.collect();
    let mut balances = statement.before;
    let entries: Vec<Line> = statement
        .lines
        .into_iter()
        .map(|line| shown_line(line, &mut balances))
        .collect();
    if !as_csv {
        let response = StatementResponse {
            opening,
            entries,
            next_cursor,
        };
        return ok(response).map(IntoResponse::into_response);
    }
    let kind = (
        header::CONTENT_TYPE,
        "text/csv; charset=utf-8; header=present",
    );
    let mut response = ([kind], csv(&entries)).into_response();
    if let Some(cursor) = next_cursor {
        let cursor = cursor.parse().map_err(|_| ApiError::internal())?;
        response.headers_mut().insert(NEXT_CURSOR, cursor);
    }
    Ok(response)
}

fn shown_line(line: StatementLine, balances: &mut BTreeMap<Currency, Balance>) -> Line {
    let after = line.balance;
    let before = balances
        .insert(line.currency.clone(), after)
        .unwrap_or_default();
    // Balances of two moments; their difference is within twice the bounds of an amount.
    let changed = |before: i128, after: i128| after.saturating_sub(before);
    Line {
        entry: line.entry,
        entry_id: line.entry_id.to_string(),
        at: time(line.at),
        cause: line.cause,
        subject_id: line.subject.to_string(),
        currency: line.currency.to_string(),
        change: figures(
            changed(before.available, after.available),
            changed(before.held, after.held),
        ),
        balance: figures(after.available, after.held),
    }
}

/// None of the fields has a character that would have to be quoted: numbers, identifiers, times,
/// tickers and causes.
fn csv(lines: &[Line]) -> String {
    let mut text = String::from(
        "entry,entry_id,at,cause,subject_id,currency,available_change,held_change,available,held\r\n",
    );
    for line in lines {
        let fields = [
            line.entry.to_string(),
            line.entry_id.clone(),
            line.at.to_string(),
            line.cause.clone(),
            line.subject_id.clone(),
            line.currency.clone(),
            line.change.available.clone(),
            line.change.held.clone(),
            line.balance.available.clone(),
            line.balance.held.clone(),
        ];
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}
