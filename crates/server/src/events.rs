//! The event feed, `/api/events/v1`: what happened to an enterprise, in order and without gaps.

use axum::extract::State;
use network::{Failure, Network};
use rules::EnterpriseId;
use serde::Serialize;
use store::{EventPlace, FeedEvent};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use wire::{api::DateTime, body::Fault as FieldFault, filters::Filters};

use crate::{
    Serving,
    answer::{Answered, ok},
    error::ApiError,
    gate::MemberCall,
    openapi::{Fault, Gate},
    projection::time,
};

/// How many events are listed at most, and unless asked otherwise.
const LISTED: (u32, u32) = (1_000, 100);

/// The routes of the event feed.
pub(crate) fn routes() -> OpenApiRouter<Serving> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Something that happened.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Event {
    /// Where it stands in the feed.
    cursor: String,
    /// What happened: a noun and a participle, such as `allocation.cleared`.
    #[serde(rename = "type")]
    kind: String,
    /// When.
    at: DateTime,
    /// To which record: of the kind that the noun of `type` says.
    #[schema(value_type = Uuid)]
    subject_id: String,
    /// Over which connection, if over one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    connection_id: Option<String>,
}

/// A part of the feed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EventsResponse {
    /// The events, oldest first.
    events: Vec<Event>,
    /// What to send as `after` to go on, now or later.
    next_cursor: String,
    /// Whether there is more already. It may be true beside no events: go on all the same.
    has_more: bool,
}

/// Which part of the feed is meant.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "it is only described; `Wanted` reads it")]
struct EventsFilter {
    /// The enterprise; may be left out by members of only one.
    enterprise_id: Option<String>,
    /// Only what follows this cursor; from the beginning if left out.
    #[param(pattern = "^[0-9]{1,18}-[0-9]{1,9}$")]
    after: Option<String>,
    /// How many at most; 100 if left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

struct Wanted {
    enterprise: Option<EnterpriseId>,
    after: EventPlace,
    limit: u32,
}

impl Wanted {
    fn read(filters: Filters) -> Result<Wanted, Vec<FieldFault>> {
        let (most, usual) = LISTED;
        let enterprise = filters.one("enterpriseId", "an enterprise id", |text| text.parse().ok());
        let after = filters.one("after", "a cursor that was answered", place);
        let what = format!("a whole number from 1 to {most}");
        let limit = filters.one("limit", &what, |text| {
            let limit = text.parse().ok()?;
            (1..=most).contains(&limit).then_some(limit)
        });
        filters.finish(Wanted {
            enterprise,
            after: after.unwrap_or_default(),
            limit: limit.unwrap_or(usual),
        })
    }
}

fn place(cursor: &str) -> Option<EventPlace> {
    let (commit, position) = cursor.split_once('-')?;
    let number = |text: &str, digits_max: usize| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        (is_number && text.len() <= digits_max)
            .then(|| text.parse().ok())
            .flatten()
    };
    Some(EventPlace {
        commit: number(commit, 18)?,
        position: number(position, 9)?,
    })
}

fn cursor(place: EventPlace) -> String {
    format!("{}-{}", place.commit, place.position)
}

impl From<FeedEvent> for Event {
    fn from(event: FeedEvent) -> Self {
        Event {
            cursor: cursor(event.place),
            kind: event.kind,
            at: time(event.at),
            subject_id: event.subject.to_string(),
            connection_id: event.connection_id.map(|id| id.to_string()),
        }
    }
}

/// Read events
///
/// What happened to an enterprise's connections, allocations, settlements and disputes, its windows
/// included, oldest first. Nothing is left out and nothing comes twice: keep `nextCursor` and send
/// it as `after` the next time. Events are kept for as long as the books.
#[utoipa::path(get, path = "/api/events/v1", tag = "Events",
    operation_id = "listEvents",
    params(EventsFilter),
    responses((status = 200, description = "The events.", body = EventsResponse),
        Gate, Fault))]
async fn list(State(network): State<Network>, call: MemberCall) -> Answered<EventsResponse> {
    let wanted = Wanted::read(call.filters()?).map_err(ApiError::invalid)?;
    let enterprise = match (wanted.enterprise, call.enterprises.as_slice()) {
        (Some(one), members) if members.contains(&one) => one,
        (Some(_), _) => return Err(Failure::not_a_member().into()),
        (None, [only]) => only.clone(),
        (None, []) => return Err(Failure::not_a_member().into()),
        (None, _) => {
            return Err(ApiError::invalid(vec![FieldFault {
                field: "enterpriseId".to_owned(),
                message: "has to be named by members of several enterprises".to_owned(),
            }]));
        }
    };
    let feed = network
        .events(&enterprise, wanted.after, wanted.limit)
        .await?;
    ok(EventsResponse {
        next_cursor: cursor(feed.next),
        has_more: feed.goes_on,
        events: feed.events.into_iter().map(Event::from).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_it_was_written() {
        let first = EventPlace {
            commit: 12,
            position: 3,
        };
        assert_eq!(place(&cursor(first)), Some(first));
        for text in [
            "",
            "1",
            "-",
            "1-",
            "-1",
            "+1-1",
            "1-1-1",
            "1234567890123456789-0",
        ] {
            assert_eq!(place(text), None, "{text}");
        }
    }
}
