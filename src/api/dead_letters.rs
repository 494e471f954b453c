//! Dead letters: looked at, and sent again one by one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::caller::Caller;
use super::input::{Named, Query};
use super::page::{self, Page};
use super::problem::{Answer, Code, Problem};
use crate::domain::access::Action;
use crate::domain::dead_letter::{DeadLetter, DeadLetterFilter, read_position};
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::outcome::Phase;
use crate::domain::reason::Reason;
use crate::domain::timestamp::Timestamp;
use crate::redrive;

/// Which dead letters.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Only this customer's. A key that is limited to several customers has to name one.
    #[param(value_type = Option<String>)]
    customer_id: Option<CustomerId>,
    /// Only this endpoint's.
    #[param(value_type = Option<String>)]
    endpoint_id: Option<EndpointId>,
    /// Only with this reason's code.
    #[param(value_type = Option<String>)]
    reason: Option<Reason>,
    /// Only of this event type.
    event_type: Option<String>,
    /// Only those whose last call ended in this phase, without an answer.
    #[param(value_type = Option<String>)]
    phase: Option<Phase>,
    /// Only those given up at this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only those given up before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Only those with at least so many attempts in their round.
    #[param(value_type = Option<u64>)]
    min_attempts: Option<u32>,
    /// Only those with at most so many attempts in their round.
    #[param(value_type = Option<u64>)]
    max_attempts: Option<u32>,
    /// Most items of the page: 1 to 250, by default 50.
    #[param(minimum = 1, maximum = 250)]
    limit: Option<usize>,
    /// The `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A dead letter that was sent again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Replayed {
    /// The dead letter's id. It is a dead letter no more.
    id: String,
    /// The round that begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    round: Option<u32>,
}

/// List dead letters, oldest first
///
/// A page looks at 1,000 at most, so it may be short, or empty, and still name a next one.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "dead letters",
    operation_id = "listDeadLetters", params(Which),
    responses((status = 200, description = "One page")))]
pub async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Answer<Json<Page<DeadLetter>>> {
    let filter = DeadLetterFilter {
        customer_id: which.customer_id,
        endpoint_id: which.endpoint_id,
        reason: which.reason,
        event_type: which.event_type,
        phase: which.phase,
        since: which.since,
        until: which.until,
        min_attempts: which.min_attempts,
        max_attempts: which.max_attempts,
    };
    Ok(Json(find(&api, &caller, filter, which.limit, which.cursor.as_deref()).await?))
}

/// A page of the dead letters that the filter lets through, if the caller may see them.
pub(crate) async fn find(
    api: &Shared,
    caller: &Caller,
    mut filter: DeadLetterFilter,
    limit: Option<usize>,
    cursor: Option<&str>,
) -> Answer<Page<DeadLetter>> {
    caller.check_scope(Action::Read)?;
    filter.customer_id = filter.customer_id.or_else(|| caller.0.grant.only_customer().cloned());
    caller.check(Action::Read, filter.customer_id.as_ref(), filter.endpoint_id.as_ref())?;
    let (limit, after) = (page::limit(limit)?, page::after(cursor)?);
    if after.as_deref().is_some_and(|after| read_position(after).is_none()) {
        return Err(page::no_cursor());
    }
    let found = api.app.deliveries.scan_dead_letters(&filter, after.as_deref(), limit).await?;
    Ok(Page::up_to(found.letters, found.next))
}

/// Show a dead letter with its history
#[utoipa::path(get, path = "/v1/dead-letters/{deadLetterId}", tag = "dead letters",
    operation_id = "getDeadLetter", params(("deadLetterId" = String, Path)),
    responses((status = 200, description = "The dead letter")))]
pub async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Named(id): Named<String>,
) -> Answer<Json<DeadLetter>> {
    Ok(Json(letter(&api, &caller, Action::Read, &id).await?))
}

/// Send a dead letter again
///
/// A new round of the same delivery, with fresh attempts and age and the same job id.
#[utoipa::path(post, path = "/v1/dead-letters/{deadLetterId}/replay", tag = "dead letters",
    operation_id = "replayDeadLetter", params(("deadLetterId" = String, Path)),
    responses((status = 202, description = "It is enqueued again", body = Replayed)))]
pub async fn replay(
    State(api): State<Shared>,
    caller: Caller,
    Named(id): Named<String>,
) -> Answer<(StatusCode, Json<Replayed>)> {
    let letter = letter(&api, &caller, Action::Change, &id).await?;
    let round = letter.replayed(api.app.clock.now()).map(|state| state.round);
    let done = redrive::replay(&api.app, vec![letter]).await?;
    if done.count == 0 {
        let detail = "its job was not found: somebody else may have it in hand, or it is gone";
        return Err(Problem::new(Code::Conflict, detail).retry_after(60));
    }
    Ok((StatusCode::ACCEPTED, Json(Replayed { id, round })))
}

/// The dead letter, if the caller may do that to it. Of others' it is not told that they are there.
async fn letter(api: &Shared, caller: &Caller, action: Action, id: &str) -> Answer<DeadLetter> {
    caller.check_scope(action)?;
    let letter = api.app.deliveries.get_dead_letter(id).await?;
    let letter = letter.filter(|letter| {
        let (customer, endpoint) = (letter.customer_id.as_ref(), letter.endpoint_id.as_ref());
        caller.check(action, customer, endpoint).is_ok()
    });
    letter.ok_or_else(|| Problem::not_found("such dead letter"))
}
