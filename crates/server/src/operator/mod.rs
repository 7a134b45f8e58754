//! The operator API, `/api/operator/v1`, one module per noun: what operators set up, book and
//! solve, and what operators and auditors read.
//!
//! Here requests are read and records are shown. What an operator may do to a record is decided by
//! the rules; who is an operator or an auditor, by the gate. A PUT says how something shall be:
//! members that are left out get their default, and saying the same twice changes nothing.

mod acts;
mod clients;
mod clock;
mod configuration_content;
mod configurations;
mod connections;
mod currencies;
mod deposits;
mod disputes;
mod enterprises;
mod go_accounts;
mod holds;
mod input;
mod installation;
mod keys;
mod members;
mod on_chain;
mod partner_keys;
mod partners;
mod proposals;
mod settlements;
mod spellings;
mod tokens;
mod users;
mod withdrawals;

use http::StatusCode;
use network::Failure;
use store::StoreError;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::filters::Page;

use crate::{Serving, error::ApiError, gate::AuditCall};

/// All routes of the operator API.
pub(crate) fn routes() -> OpenApiRouter<Serving> {
    OpenApiRouter::new()
        .routes(routes!(installation::show, installation::update))
        .routes(routes!(enterprises::list))
        .routes(routes!(enterprises::put))
        .routes(routes!(go_accounts::list))
        .routes(routes!(go_accounts::put))
        .routes(routes!(go_accounts::balances))
        .routes(routes!(keys::list, keys::add))
        .routes(routes!(keys::revoke))
        .routes(routes!(users::list))
        .routes(routes!(users::put))
        .routes(routes!(members::list))
        .routes(routes!(members::put, members::remove))
        .routes(routes!(tokens::issue))
        .routes(routes!(tokens::list))
        .routes(routes!(tokens::revoke))
        .routes(routes!(currencies::list))
        .routes(routes!(currencies::put))
        .routes(routes!(configurations::list))
        .routes(routes!(configurations::put))
        .routes(routes!(partner_keys::put, partner_keys::remove))
        .routes(routes!(clients::list))
        .routes(routes!(clients::update))
        .routes(routes!(connections::list))
        .routes(routes!(connections::update))
        .routes(routes!(partners::list))
        .routes(routes!(partners::update))
        .routes(routes!(deposits::list, deposits::book))
        .routes(routes!(withdrawals::list, withdrawals::request))
        .routes(routes!(withdrawals::paid))
        .routes(routes!(withdrawals::cancelled))
        .routes(routes!(holds::list))
        .routes(routes!(holds::ask))
        .routes(routes!(holds::release))
        .routes(routes!(disputes::list))
        .routes(routes!(disputes::propose))
        .routes(routes!(disputes::closures))
        .routes(routes!(disputes::approve))
        .routes(routes!(disputes::reject))
        .routes(routes!(settlements::waiting_transfers))
        .routes(routes!(settlements::reject))
        .routes(routes!(proposals::list))
        .routes(routes!(proposals::show))
        .routes(routes!(proposals::approve))
        .routes(routes!(proposals::reject))
        .routes(routes!(acts::list))
        .routes(routes!(on_chain::list))
        .routes(routes!(on_chain::read_one))
        .routes(routes!(on_chain::deposits))
        .routes(routes!(on_chain::deposit_seen))
        .routes(routes!(on_chain::losses_started))
        .routes(routes!(on_chain::losses_seen))
        .routes(routes!(on_chain::losses_failed))
        .routes(routes!(on_chain::gains_failed))
        .routes(routes!(on_chain::received_returned))
        .routes(routes!(on_chain::reject))
        .routes(routes!(clock::read))
        .routes(routes!(clock::advance))
}

/// The page that is asked for, where nothing else narrows a list.
fn page_of(call: &AuditCall) -> Result<Page, ApiError> {
    let filters = call.filters()?;
    let page = filters.page();
    filters.finish(page).map_err(ApiError::invalid)
}

/// A page as the store counts it.
fn stored(page: Page) -> store::Page {
    store::Page {
        number: page.number,
        size: page.size,
    }
}

/// One page of a list that the store has as a whole, because only acts of operators make it grow.
fn part<T>(list: Vec<T>, page: Page) -> impl Iterator<Item = T> {
    let skipped = usize::try_from(page.offset()).unwrap_or(usize::MAX);
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    list.into_iter().skip(skipped).take(size)
}

/// What was read, or why it could not be.
fn read<T>(found: Result<T, StoreError>) -> Result<T, ApiError> {
    Ok(found.map_err(Failure::from)?)
}

fn not_found(what: &str) -> ApiError {
    let name = format!("{}_not_found", what.to_lowercase().replace(' ', "_"));
    let message = format!("there is no such {what}");
    ApiError::new(StatusCode::NOT_FOUND, &name, message)
}
