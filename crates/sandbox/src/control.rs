//! The control API: what a person or a test makes the exchange do. Amounts are strings of base
//! units, currencies have the exchange's own names. Every error is `{"error": …}`.
//!
//! | call | body | answer |
//! |---|---|---|
//! | `PUT /control/v1/partner` | `{partnerId, enterpriseId, token, signingKey, networkUrl, jwtPublicKey?}` | `{}` |
//! | `POST /control/v1/accounts` | `{name?, balances?: {currency: quantity}}` | the account's name and keys |
//! | `GET /control/v1/accounts` | | `{accounts: […]}` with balances, held, locked, free, unsettled |
//! | `GET /control/v1/movements` | | `{movements: […]}` |
//! | `POST /control/v1/answers` | `{id, status: cleared \| released, rejectReason?}` | what was told and what the network said |
//! | `POST /control/v1/trades` | `{accountId, base: {currency, quantity}, quote: {…}}`, signed, opposite signs | the trade |
//! | `GET /control/v1/trades` | | `{trades: […]}` |
//! | `POST /control/v1/orders` | `{accountId, currency, quantity}` | `{orderId}` |
//! | `DELETE /control/v1/orders/{orderId}` | | `{}` |
//! | `POST /control/v1/settlements` | `{externalId?}` | what was posted and what the network said |
//! | `GET`, `PUT /control/v1/mode` | `{asynchronousAllocations?, asynchronousDeallocations?, autoAnswer?}` | the mode |
//! | `GET`, `PUT /control/v1/faults` | `[{call, times, action, delayMs?}]` | the faults to come |
//! | `GET /control/v1/calls` | | `{calls: […]}`: the last 10 000 that came, without secrets |

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use ledger::{Amount, SignedAmount};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;
use wire::partner_jwt::JwtVerifier;

use crate::books::{
    Account, Leg, Movement, Order, Refusal, State as MovementState, Trade, Verdict,
};
use crate::exchange::{ActError, Shared};
use crate::faults::{Fault, Script};
use crate::hosted::{error, status_of};
use crate::settings::{Membership, Mode};

type Exchange = State<Arc<Shared>>;

/// The routes of the control API, behind its token if it has one.
pub(crate) fn routes(shared: &Arc<Shared>) -> Router {
    let routes = Router::new()
        .route("/partner", put(join))
        .route("/accounts", get(accounts).post(open_account))
        .route("/movements", get(movements))
        .route("/answers", post(answer))
        .route("/trades", get(trades).post(trade))
        .route("/orders", post(order))
        .route("/orders/{id}", delete(cancel))
        .route("/settlements", post(settle))
        .route("/finalized", get(finalized))
        .route("/mode", get(mode).put(set_mode))
        .route("/faults", get(faults).put(set_faults))
        .route("/calls", get(calls))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), guard))
        .with_state(Arc::clone(shared));
    Router::new().nest("/control/v1", routes)
}

async fn guard(State(shared): Exchange, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    let is_let_in = shared.control_token.as_ref().is_none_or(|token| {
        given.is_some_and(|given| given.as_bytes() == format!("Bearer {token}").as_bytes())
    });
    if is_let_in {
        next.run(request).await
    } else {
        error(StatusCode::UNAUTHORIZED, "the control token is wrong")
    }
}

/// A body, or an error in our own form.
struct Body<T>(T);

impl<T, S: Send + Sync> FromRequest<S> for Body<T>
where
    Json<T>: FromRequest<S, Rejection = JsonRejection>,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(error(rejection.status(), &rejection.body_text())),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        error(status_of(&self), &self.to_string())
    }
}

impl IntoResponse for ActError {
    fn into_response(self) -> Response {
        match self {
            Self::Refusal(refusal) => refusal.into_response(),
            Self::NotJoined => error(StatusCode::CONFLICT, &self.to_string()),
            Self::Unknown(_) => error(StatusCode::BAD_GATEWAY, &self.to_string()),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Join {
    partner_id: String,
    enterprise_id: String,
    token: String,
    signing_key: String,
    network_url: String,
    jwt_public_key: Option<String>,
}

async fn join(State(shared): Exchange, Body(body): Body<Join>) -> Result<Json<Value>, Refusal> {
    let malformed = |what: &str, why: String| Refusal::Malformed(format!("{what}: {why}"));
    let partner_id = body
        .partner_id
        .parse()
        .map_err(|_| malformed("partnerId", "must be a UUID".to_owned()))?;
    let verifier = body
        .jwt_public_key
        .map(|pem| JwtVerifier::from_public_pem(&pem))
        .transpose()
        .map_err(|error| malformed("jwtPublicKey", error.to_string()))?;
    let membership = Membership {
        partner_id,
        enterprise_id: body.enterprise_id,
        token: body.token,
        signing_key: body.signing_key,
        network_url: body.network_url,
    };
    let mut desk = shared.desk();
    desk.join(&membership)
        .map_err(|error| Refusal::Malformed(error.to_string()))?;
    if let Some(verifier) = verifier {
        desk.gate.trust(verifier);
    }
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OpenAccount {
    name: Option<String>,
    #[serde(default)]
    balances: BTreeMap<String, String>,
}

async fn open_account(
    State(shared): Exchange,
    Body(body): Body<OpenAccount>,
) -> Result<Json<Value>, Refusal> {
    let balances: Result<BTreeMap<String, Amount>, Refusal> = body
        .balances
        .into_iter()
        .map(|(currency, quantity)| amount(&quantity).map(|amount| (currency, amount)))
        .collect();
    let account = shared.books().open_account(body.name, &balances?);
    let mut shown = json!(account.key);
    shown["accountId"] = account.id.into();
    shown["name"] = account.name.into();
    Ok(Json(shown))
}

async fn accounts(State(shared): Exchange) -> Json<Value> {
    let accounts: Vec<Value> = shared.books().accounts().map(account_json).collect();
    Json(json!({ "accounts": accounts }))
}

fn account_json(account: &Account) -> Value {
    let balances: BTreeMap<&String, Value> = account
        .positions
        .iter()
        .map(|(currency, position)| {
            let shown = json!({
                "balance": position.balance.to_string(),
                "held": position.held.to_string(),
                "locked": position.locked.to_string(),
                "free": position.free().to_string(),
                "unsettled": position.unsettled.to_string(),
            });
            (currency, shown)
        })
        .collect();
    let mut shown = json!({
        "accountId": account.id,
        "name": account.name,
        "balances": balances,
    });
    if let Some(link) = &account.link {
        shown["connectionId"] = link.connection_id.to_string().into();
        shown["clientId"] = link.client_id.to_string().into();
        shown["partnersConnectionId"] = link.partners_connection_id.as_str().into();
    }
    shown
}

async fn movements(State(shared): Exchange) -> Json<Value> {
    let movements: Vec<Value> = shared.books().movements().map(movement_json).collect();
    Json(json!({ "movements": movements }))
}

fn movement_json(movement: &Movement) -> Value {
    let mut shown = json!({
        "id": movement.request.subject.id().to_string(),
        "type": movement.request.subject.kind(),
        "status": movement.state.status(),
        "amount": movement.request.amount,
        "connectionId": movement.request.connection_id.to_string(),
        "partnersId": movement.partners_id,
    });
    if let MovementState::Rejected(reason) = &movement.state {
        shown["rejectReason"] = reason.as_str().into();
    }
    shown
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GiveAnswer {
    id: String,
    status: AnswerStatus,
    reject_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum AnswerStatus {
    Cleared,
    Released,
}

async fn answer(
    State(shared): Exchange,
    Body(body): Body<GiveAnswer>,
) -> Result<Json<Value>, ActError> {
    let id: Uuid = body
        .id
        .parse()
        .map_err(|_| Refusal::Malformed("id must be a UUID".to_owned()))?;
    let verdict = match body.status {
        AnswerStatus::Cleared => Verdict::Accept,
        AnswerStatus::Released => Verdict::Reject(
            body.reject_reason
                .filter(|reason| !reason.is_empty())
                .unwrap_or_else(|| "the exchange does not want it".to_owned()),
        ),
    };
    let (movement, answer) = shared.answer(id, &verdict).await?;
    Ok(Json(json!({
        "movement": movement_json(&movement),
        "network": answer,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TradeLeg {
    currency: String,
    quantity: String,
}

impl TradeLeg {
    fn leg(self) -> Result<Leg, Refusal> {
        let quantity = self.quantity.parse::<SignedAmount>();
        let quantity = quantity.map_err(|error| Refusal::Malformed(format!("quantity {error}")))?;
        Ok(Leg {
            currency: self.currency,
            units: quantity.units(),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MakeTrade {
    account_id: String,
    base: TradeLeg,
    quote: TradeLeg,
}

async fn trade(
    State(shared): Exchange,
    Body(body): Body<MakeTrade>,
) -> Result<Json<Value>, Refusal> {
    let (base, quote) = (body.base.leg()?, body.quote.leg()?);
    let trade = shared.books().trade(&body.account_id, base, quote)?;
    Ok(Json(trade_json(&trade)))
}

async fn trades(State(shared): Exchange) -> Json<Value> {
    let trades: Vec<Value> = shared.books().trades().iter().map(trade_json).collect();
    Json(json!({ "trades": trades }))
}

fn trade_json(trade: &Trade) -> Value {
    let leg = |leg: &Leg| json!({ "currency": leg.currency, "quantity": leg.units.to_string() });
    json!({
        "tradeId": trade.id,
        "accountId": trade.account_id,
        "base": leg(&trade.base),
        "quote": leg(&trade.quote),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OpenOrder {
    account_id: String,
    currency: String,
    quantity: String,
}

async fn order(
    State(shared): Exchange,
    Body(body): Body<OpenOrder>,
) -> Result<Json<Value>, Refusal> {
    let order = Order {
        account_id: body.account_id,
        currency: body.currency,
        amount: amount(&body.quantity)?,
    };
    let id = shared.books().lock(order)?;
    Ok(Json(json!({ "orderId": id })))
}

async fn cancel(State(shared): Exchange, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    shared.books().unlock(&id)?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Settle {
    external_id: Option<String>,
}

async fn settle(
    State(shared): Exchange,
    Body(body): Body<Settle>,
) -> Result<Json<Value>, ActError> {
    let (posting, answer) = shared.settle(body.external_id).await?;
    let amounts: BTreeMap<String, BTreeMap<&String, String>> = posting
        .amounts
        .iter()
        .map(|(connection, currencies)| {
            let texts = currencies
                .iter()
                .map(|(name, units)| (name, units.to_string()));
            (connection.to_string(), texts.collect())
        })
        .collect();
    Ok(Json(json!({
        "externalId": posting.external_id,
        "settlementAmounts": amounts,
        "network": answer,
    })))
}

async fn finalized(State(shared): Exchange) -> Json<Value> {
    let books = shared.books();
    let finalized: Vec<Value> = books.finalized().map(|request| json!(request)).collect();
    Json(json!({ "settlements": finalized }))
}

async fn mode(State(shared): Exchange) -> Json<Mode> {
    Json(shared.desk().mode)
}

async fn set_mode(State(shared): Exchange, Body(mode): Body<Mode>) -> Json<Mode> {
    shared.desk().mode = mode;
    Json(mode)
}

async fn faults(State(shared): Exchange) -> Json<Vec<Fault>> {
    Json(shared.desk().script.remaining())
}

async fn set_faults(State(shared): Exchange, Body(faults): Body<Vec<Fault>>) -> Json<Vec<Fault>> {
    let mut desk = shared.desk();
    desk.script = Script::new(faults);
    Json(desk.script.remaining())
}

async fn calls(State(shared): Exchange) -> Json<Value> {
    Json(json!({ "calls": shared.desk().log }))
}

fn amount(quantity: &str) -> Result<Amount, Refusal> {
    let amount = quantity.parse();
    amount.map_err(|error| Refusal::Malformed(format!("quantity {error}")))
}
