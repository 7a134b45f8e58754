//! Go Accounts and what stands on them. Their keys stand in [`super::keys`].

use std::collections::BTreeMap;

use axum::extract::State;
use ledger::Owner;
use network::Network;
use rules::{EnterpriseId, record};
use serde::Serialize;
use utoipa::ToSchema;
use wire::{
    api::{DateTime, balances::Balance},
    body::{Fault, Reader},
    filters::Page,
    json::Json,
};

use super::{input, not_found, part, read};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::{self, time},
};

/// An account in custody.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct GoAccount {
    /// Its id: 32 hexadecimal digits.
    id: String,
    /// Whose.
    enterprise_id: String,
    /// What it is called.
    label: String,
    /// When it was made.
    created_at: DateTime,
}

impl From<record::GoAccount> for GoAccount {
    fn from(account: record::GoAccount) -> Self {
        GoAccount {
            id: account.id.to_string(),
            enterprise_id: account.enterprise_id.to_string(),
            label: account.label,
            created_at: time(account.created_at),
        }
    }
}

/// One Go Account.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct GoAccountResponse {
    go_account: GoAccount,
}

/// One page of Go Accounts.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct GoAccountsResponse {
    go_accounts: Vec<GoAccount>,
}

/// What stands on a Go Account, by ticker, in base units.
#[derive(Serialize, ToSchema)]
pub(super) struct GoAccountBalancesResponse {
    balances: BTreeMap<String, Balance>,
}

/// How a Go Account shall be.
#[derive(ToSchema)]
pub(super) struct GoAccountContent {
    /// What it is called, at most 512 bytes. It stays, once set.
    #[schema(min_length = 1)]
    label: String,
}

impl GoAccountContent {
    fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let label = input::text(&body, "label");
        body.finish(|| Some(GoAccountContent { label: label? }))
    }
}

/// List Go Accounts
///
/// Those of an enterprise or all, the oldest first.
#[utoipa::path(get, path = "/goAccounts", tag = "Operator", operation_id = "operatorListGoAccounts",
    params(("enterpriseId" = Option<String>, Query, description = "Only those of this enterprise."), Page),
    responses((status = 200, description = "The accounts.", body = GoAccountsResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<GoAccountsResponse> {
    let filters = call.filters()?;
    let wanted = (
        input::filter::<EnterpriseId>(&filters, "enterpriseId"),
        filters.page(),
    );
    let (enterprise, page) = filters.finish(wanted).map_err(ApiError::invalid)?;
    let operator = network.operator(call.user_id);
    let found = operator.records().go_accounts(enterprise.as_ref()).await;
    ok(GoAccountsResponse {
        go_accounts: part(read(found)?, page).map(GoAccount::from).collect(),
    })
}

/// Give an enterprise a Go Account
///
/// The id is chosen by the operator. The first account of an enterprise is the one it uses in the
/// network. One that the enterprise has already stays as it is, its label too.
#[utoipa::path(put, path = "/enterprises/{enterpriseId}/goAccounts/{goAccountId}", tag = "Operator",
    operation_id = "operatorPutGoAccount",
    params(("enterpriseId" = String, Path, description = "Whose."),
        ("goAccountId" = String, Path, description = "32 hexadecimal digits.")),
    request_body = GoAccountContent,
    responses((status = 200, description = "The account.", body = GoAccountResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Fault))]
pub(super) async fn put(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<GoAccountResponse> {
    let enterprise = input::from_path(&call.path, "enterpriseId")?;
    let id = input::from_path(&call.path, "goAccountId")?;
    let wanted = GoAccountContent::read(&call.json()?).map_err(ApiError::invalid)?;
    let account = network
        .operator(call.user_id)
        .open_go_account(id, enterprise, wanted.label)
        .await?;
    ok(GoAccountResponse {
        go_account: account.into(),
    })
}

/// Balances of a Go Account
#[utoipa::path(get, path = "/goAccounts/{goAccountId}/balances", tag = "Operator",
    operation_id = "operatorGoAccountBalances",
    params(("goAccountId" = String, Path, description = "Which account.")),
    responses((status = 200, description = "What stands there.", body = GoAccountBalancesResponse),
        openapi::Gate, openapi::NotFound, openapi::Fault))]
pub(super) async fn balances(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<GoAccountBalancesResponse> {
    let id = input::from_path(&call.path, "goAccountId")?;
    let operator = network.operator(call.user_id);
    read(operator.records().go_account(id).await)?.ok_or_else(|| not_found("Go Account"))?;
    let found = read(operator.records().balances(&[Owner::Go(id)]).await)?;
    let figures = found
        .into_iter()
        .map(|found| (found.account.currency, found.balance));
    ok(GoAccountBalancesResponse {
        balances: projection::client_figures(figures.collect()),
    })
}
