//! Deposits: money that custody has received.

use axum::extract::State;
use ledger::{Amount, Currency, GoAccountId};
use network::{Movement, Network};
use rules::record;
use serde::Serialize;
use utoipa::ToSchema;
use wire::{
    api::DateTime,
    body::{Fault, Reader},
    filters::Page,
    json::Json,
};

use super::{
    input,
    proposals::{ActAnswer, ProposalResponse, answered},
    read, stored,
};
use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::time,
};

/// Money that reached a Go Account from outside.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deposit {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: String,
    /// Where it went.
    go_account_id: String,
    /// In what.
    currency: String,
    /// How much, in base units.
    amount: String,
    /// Where custody received it.
    custody_source: String,
    /// The name under which it is known there.
    external_reference: String,
    /// When it was booked.
    created_at: DateTime,
}

impl From<record::Deposit> for Deposit {
    fn from(deposit: record::Deposit) -> Self {
        Deposit {
            id: deposit.id.to_string(),
            go_account_id: deposit.go_account_id.to_string(),
            currency: deposit.currency.to_string(),
            amount: deposit.amount.to_string(),
            custody_source: deposit.custody_source,
            external_reference: deposit.external_reference,
            created_at: time(deposit.created_at),
        }
    }
}

/// One deposit.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DepositResponse {
    deposit: Deposit,
    /// Whether acts on money need a second operator here; if not, this operator alone was enough.
    second_operator_required: bool,
}

/// One page of deposits.
#[derive(Serialize, ToSchema)]
pub(super) struct DepositsResponse {
    deposits: Vec<Deposit>,
}

/// Money that crosses the border of custody.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct NewMovement {
    /// To or from which account: 32 hexadecimal digits.
    #[schema(value_type = String)]
    go_account_id: GoAccountId,
    /// In what.
    #[schema(value_type = String, min_length = 1)]
    currency: Currency,
    /// Base units: 1 to 38 digits without a leading zero.
    #[schema(value_type = String, min_length = 1)]
    amount: Amount,
    /// The name under which it is known at the custody source of the currency, and unique there; at
    /// most 512 bytes.
    #[schema(min_length = 1)]
    external_reference: String,
}

impl NewMovement {
    /// Reads the body.
    ///
    /// # Errors
    /// All faults at once.
    pub(super) fn read(json: &Json) -> Result<Self, Vec<Fault>> {
        let body = Reader::new(json)?;
        let go_account_id = input::member(&body, "goAccountId");
        let currency = input::member(&body, "currency");
        let amount = input::member(&body, "amount");
        let external_reference = input::text(&body, "externalReference");
        body.finish(|| {
            Some(NewMovement {
                go_account_id: go_account_id?,
                currency: currency?,
                amount: amount?,
                external_reference: external_reference?,
            })
        })
    }
}

impl From<NewMovement> for Movement {
    fn from(new: NewMovement) -> Self {
        Movement {
            go_account_id: new.go_account_id,
            currency: new.currency,
            amount: new.amount,
            external_reference: new.external_reference,
        }
    }
}

/// Which of the movements of all Go Accounts are listed.
pub(super) fn narrowed(call: &AuditCall) -> Result<(Option<GoAccountId>, store::Page), ApiError> {
    let filters = call.filters()?;
    let account = input::filter(&filters, "goAccountId");
    let page = stored(filters.page());
    filters.finish((account, page)).map_err(ApiError::invalid)
}

/// List deposits
///
/// Those of a Go Account or all, the newest first.
#[utoipa::path(get, path = "/deposits", tag = "Operator", operation_id = "operatorListDeposits",
    params(("goAccountId" = Option<String>, Query, description = "Only those of this account."), Page),
    responses((status = 200, description = "The deposits.", body = DepositsResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn list(
    State(network): State<Network>,
    call: AuditCall,
) -> Answered<DepositsResponse> {
    let (account, page) = narrowed(&call)?;
    let operator = network.operator(call.user_id);
    let found = read(operator.records().deposits(account, page).await)?;
    ok(DepositsResponse {
        deposits: found.into_iter().map(Deposit::from).collect(),
    })
}

/// Book a deposit
///
/// Repeating it with the same content answers the deposit there is; the same reference with other
/// content is a conflict. Where a second operator is required, the answer is 202 with the proposal.
#[utoipa::path(post, path = "/deposits", tag = "Operator", operation_id = "operatorBookDeposit",
    request_body = NewMovement,
    responses((status = 200, description = "The deposit.", body = DepositResponse),
        (status = 202, description = "It waits for a second operator.", body = ProposalResponse),
        openapi::Gate, openapi::NotFound, openapi::Conflict, openapi::Unprocessable, openapi::Fault))]
pub(super) async fn book(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ActAnswer<DepositResponse>> {
    let wanted = NewMovement::read(&call.json()?).map_err(ApiError::invalid)?;
    let operator = network.operator(call.user_id);
    let undertaken = operator.book_deposit(wanted.into()).await?;
    answered(&network, undertaken, |deposit, second_operator_required| {
        DepositResponse {
            deposit: deposit.into(),
            second_operator_required,
        }
    })
}
