//! The clock: business time, and on an installation with a test clock how far it was advanced.

use axum::extract::State;
use ledger::Timestamp;
use network::Network;
use rules::clock::{AHEAD_MAX_S, Advance};
use serde::Serialize;
use utoipa::ToSchema;
use wire::{
    api::DateTime,
    body::{Fault, Reader},
    json::Json,
};

use crate::{
    answer::{Answered, ok},
    error::ApiError,
    gate::{AuditCall, OperatorCall},
    openapi,
    projection::time,
};

/// What time it is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Clock {
    /// Business time, in which windows, deadlines and dates are reckoned.
    business_time: DateTime,
    /// Real time, in which tokens, signatures of requests and leases are reckoned.
    real_time: DateTime,
    /// Whether the installation was made with a test clock; if not, both times are the same.
    test_clock: bool,
    /// By how many microseconds business time is ahead of real time.
    ahead_microseconds: i64,
}

/// The clock.
#[derive(Serialize, ToSchema)]
pub(super) struct ClockResponse {
    clock: Clock,
}

/// How far the test clock shall be advanced; one of the two.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "it is only described; what is read becomes an `Advance`"
)]
pub(super) struct WantedAdvance {
    /// By so many seconds.
    #[schema(minimum = 1, maximum = 3153600000_i64)]
    seconds: Option<i64>,
    /// To this business time, which is still to come.
    to: Option<DateTime>,
}

impl WantedAdvance {
    fn read(json: &Json) -> Result<Advance, Vec<Fault>> {
        let body = Reader::new(json)?;
        let seconds = body.optional_integer("seconds", 1, AHEAD_MAX_S);
        let to = body.optional_date_time("to");
        let advance = match (seconds, to) {
            (Some(seconds), None) => Some(Advance::Seconds(seconds)),
            (None, Some(time)) => Some(Advance::To(Timestamp(time))),
            _ => {
                body.fault("seconds", "or `to` has to be given, and not both");
                None
            }
        };
        body.finish(|| advance)
    }
}

fn reading(network: &Network) -> Clock {
    let clock = network.test_clock();
    Clock {
        business_time: time(network.business_time()),
        real_time: time(network.real_time()),
        test_clock: clock.is_some(),
        ahead_microseconds: clock.unwrap_or_default().ahead_us,
    }
}

/// Read the clock
///
/// Business time and real time. They differ only on an installation that was made with a test clock.
#[utoipa::path(get, path = "/clock", tag = "Operator", operation_id = "operatorReadClock",
    responses((status = 200, description = "The clock.", body = ClockResponse),
        openapi::Gate, openapi::Fault))]
pub(super) async fn read(
    State(network): State<Network>,
    _call: AuditCall,
) -> Answered<ClockResponse> {
    network.look_at_clock().await?;
    let clock = reading(&network);
    ok(ClockResponse { clock })
}

/// Advance the test clock
///
/// Business time jumps forward, and what is due then is done before the answer. Only an
/// installation that was made with `tidelock init --test-clock` has a test clock; any other refuses
/// (422, `no_test_clock`). The clock never runs backwards (422, `clock_runs_forward_only`).
#[utoipa::path(post, path = "/clock/advance", tag = "Operator", operation_id = "operatorAdvanceClock",
    request_body = WantedAdvance,
    responses((status = 200, description = "The clock.", body = ClockResponse),
        openapi::Gate, openapi::Unprocessable, openapi::Fault))]
pub(super) async fn advance(
    State(network): State<Network>,
    call: OperatorCall,
) -> Answered<ClockResponse> {
    let wanted = WantedAdvance::read(&call.json()?).map_err(ApiError::invalid)?;
    network.operator(call.user_id).advance_clock(wanted).await?;
    let clock = reading(&network);
    ok(ClockResponse { clock })
}
