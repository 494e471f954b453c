//! Replays: a customer's dead letters sent again, as a record that is planned, begun, watched and steered.

use std::num::NonZeroU32;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::caller::Caller;
use super::input::{Body, Named, Query};
use super::page::{self, Page, PageQuery};
use super::problem::{Answer, Code, Problem};
use crate::domain::access::Action;
use crate::domain::dead_letter::DeadLetterFilter;
use crate::domain::field::FieldError;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::outcome::Phase;
use crate::domain::reason::Reason;
use crate::domain::replay::{Plan, Replay, Request};
use crate::domain::timestamp::Timestamp;
use crate::replay::Error;

/// Records looked at for one page: those of other customers lie among them.
const LOOK_AT: usize = 1_000;
/// The highest cap of a rate.
const MOST_A_SECOND: u32 = 100_000;

/// Which dead letters are sent again, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewReplay {
    /// Only this endpoint's.
    #[schema(value_type = Option<String>)]
    endpoint_id: Option<EndpointId>,
    /// Only with this reason's code.
    #[schema(value_type = Option<String>)]
    reason: Option<Reason>,
    /// Only of this event type.
    event_type: Option<String>,
    /// Only those whose last call ended in this phase, without an answer.
    #[schema(value_type = Option<String>)]
    phase: Option<Phase>,
    /// Only those given up at this time or later.
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only those given up before this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Only those with at least so many attempts.
    #[schema(value_type = Option<u64>)]
    min_attempts: Option<u32>,
    /// Only those with at most so many attempts.
    #[schema(value_type = Option<u64>)]
    max_attempts: Option<u32>,
    /// Another endpoint of the customer that they go to, instead of their own.
    #[schema(value_type = Option<String>)]
    to: Option<EndpointId>,
    /// Most letters sent in a second: 1 to 100,000.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100_000)]
    rate: Option<NonZeroU32>,
    /// Whether it is only told what would be sent.
    #[serde(default)]
    dry_run: bool,
}

/// What would be sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Planned {
    /// The letters.
    #[serde(flatten)]
    pub plan: Plan,
    /// About how long it takes to put them back into the queue, in seconds.
    pub estimated_seconds: u64,
}

impl NewReplay {
    fn request(self, customer: CustomerId) -> Request {
        let filter = DeadLetterFilter {
            customer_id: Some(customer),
            endpoint_id: self.endpoint_id,
            reason: self.reason,
            event_type: self.event_type,
            phase: self.phase,
            since: self.since,
            until: self.until,
            min_attempts: self.min_attempts,
            max_attempts: self.max_attempts,
        };
        Request { filter, to: self.to, rate: self.rate, kept_bodies: false }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Ours(error) => error.into(),
            Error::Unknown(_) => Self::not_found("such replay"),
            Error::Refused(problem) => Self::new(Code::Conflict, problem),
        }
    }
}

/// Begin a replay of a customer's dead letters, or plan one
///
/// With `dryRun` the answer is a 200 with the count, the size, the reasons and an estimate, and nothing is
/// sent. Otherwise the replay is durable when this answers, and goes on by itself.
#[utoipa::path(post, path = "/v1/customers/{customerId}/replays", tag = "replays",
    operation_id = "beginReplay", request_body = NewReplay, params(("customerId" = String, Path)),
    responses((status = 200, description = "What would be sent"),
        (status = 202, description = "The replay has begun")))]
pub async fn begin(
    State(api): State<Shared>,
    caller: Caller,
    Named(customer): Named<CustomerId>,
    body: Body,
) -> Answer<Response> {
    caller.check_reach(Action::Change, Some(&customer))?;
    if body.0.is_empty() {
        // Everything is sent again only where somebody says so.
        let detail = "say which dead letters are sent again; `{}` for all of the customer's";
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    let asked: NewReplay = body.read()?;
    if asked.dry_run {
        return Ok(Json(plan(&api, &caller, customer, asked).await?).into_response());
    }
    let replay = start(&api, &caller, customer, asked).await?;
    Ok((StatusCode::ACCEPTED, Json(replay)).into_response())
}

/// What a replay would send, if the caller may begin it.
pub(crate) async fn plan(
    api: &Shared,
    caller: &Caller,
    customer: CustomerId,
    asked: NewReplay,
) -> Answer<Planned> {
    check(caller, &customer, &asked)?;
    let rate = asked.rate;
    let plan = api.app.replayer().plan(&asked.request(customer).filter).await?;
    let estimated_seconds = plan.estimate(rate).as_secs();
    Ok(Planned { plan, estimated_seconds })
}

/// Begins a replay, if the caller may.
pub(crate) async fn start(
    api: &Shared,
    caller: &Caller,
    customer: CustomerId,
    asked: NewReplay,
) -> Answer<Replay> {
    check(caller, &customer, &asked)?;
    Ok(api.app.replayer().begin(asked.request(customer), &caller.0.id, None).await?)
}

/// Whether the caller may replay what is asked for, and it can be asked for.
fn check(caller: &Caller, customer: &CustomerId, asked: &NewReplay) -> Answer<()> {
    check_rate(asked.rate)?;
    for endpoint in [asked.endpoint_id.as_ref(), asked.to.as_ref().or(asked.endpoint_id.as_ref())] {
        caller.check(Action::Change, Some(customer), endpoint)?;
    }
    Ok(())
}

/// Which failures of an endpoint are sent again, and how fast.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewRecovery {
    /// Those given up at this time or later.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Most sent in a second: 1 to 100,000.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100_000)]
    rate: Option<NonZeroU32>,
}

/// Send all failures of an endpoint since a time again
///
/// A replay of its dead letters; and of the failures that have none any more the jobs that were kept
/// (`deliveries.keep_bodies`). It is durable when this answers, and goes on by itself.
#[utoipa::path(post, path = "/v1/customers/{customerId}/endpoints/{endpointId}/recover",
    tag = "replays", operation_id = "recoverEndpoint", request_body = NewRecovery,
    params(("customerId" = String, Path), ("endpointId" = String, Path)),
    responses((status = 202, description = "The replay has begun")))]
pub async fn recover(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, endpoint)): Named<(CustomerId, EndpointId)>,
    body: Body,
) -> Answer<Response> {
    caller.check(Action::Change, Some(&customer), Some(&endpoint))?;
    let replay = start_recovery(&api, &caller, (customer, endpoint), body.read()?).await?;
    Ok((StatusCode::ACCEPTED, Json(replay)).into_response())
}

/// Begins a recovery, if the caller may.
pub(crate) async fn start_recovery(
    api: &Shared,
    caller: &Caller,
    (customer, endpoint): (CustomerId, EndpointId),
    NewRecovery { since, rate }: NewRecovery,
) -> Answer<Replay> {
    caller.check(Action::Change, Some(&customer), Some(&endpoint))?;
    check_rate(rate)?;
    let filter = DeadLetterFilter {
        customer_id: Some(customer),
        endpoint_id: Some(endpoint),
        since: Some(since),
        ..DeadLetterFilter::default()
    };
    let request = Request { filter, to: None, rate, kept_bodies: true };
    Ok(api.app.replayer().begin(request, &caller.0.id, None).await?)
}

fn check_rate(rate: Option<NonZeroU32>) -> Answer<()> {
    if rate.is_some_and(|rate| rate.get() > MOST_A_SECOND) {
        return Err(FieldError::new("rate", "expected 1 to 100000").into());
    }
    Ok(())
}

/// List a customer's replays, newest first
#[utoipa::path(get, path = "/v1/customers/{customerId}/replays", tag = "replays",
    operation_id = "listReplays", params(("customerId" = String, Path), PageQuery),
    responses((status = 200, description = "One page")))]
pub async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Named(customer): Named<CustomerId>,
    Query(query): Query<PageQuery>,
) -> Answer<Json<Page<Replay>>> {
    caller.check(Action::Read, Some(&customer), None)?;
    let (limit, after) = (page::limit(query.limit)?, page::after(query.cursor.as_deref())?);
    let mut found = api.app.replays.list(after.as_deref(), LOOK_AT).await?;
    let looked_up_to = found.last().filter(|_| found.len() == LOOK_AT).map(|last| last.id.clone());
    found.retain(|replay| replay.request.filter.customer_id.as_ref() == Some(&customer));
    let next = if found.len() > limit { Some(found[limit - 1].id.clone()) } else { looked_up_to };
    found.truncate(limit);
    Ok(Json(Page::up_to(found, next)))
}

type Name = Named<(CustomerId, String)>;

/// Show a replay: how far it has come, and who did what
#[utoipa::path(get, path = "/v1/customers/{customerId}/replays/{replayId}", tag = "replays",
    operation_id = "getReplay",
    params(("customerId" = String, Path), ("replayId" = String, Path)),
    responses((status = 200, description = "The replay")))]
pub async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, id)): Name,
) -> Answer<Json<Replay>> {
    Ok(Json(own(&api, &caller, Action::Read, &customer, &id).await?))
}

/// Stop a replay after the page in hand, until it is resumed
#[utoipa::path(post, path = "/v1/customers/{customerId}/replays/{replayId}/pause", tag = "replays",
    operation_id = "pauseReplay",
    params(("customerId" = String, Path), ("replayId" = String, Path)),
    responses((status = 200, description = "The replay as it is now")))]
pub async fn pause(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, id)): Name,
) -> Answer<Json<Replay>> {
    own(&api, &caller, Action::Change, &customer, &id).await?;
    Ok(Json(api.app.replayer().pause(&id, &caller.0.id).await?))
}

/// Let a replay go on
#[utoipa::path(post, path = "/v1/customers/{customerId}/replays/{replayId}/resume", tag = "replays",
    operation_id = "resumeReplay",
    params(("customerId" = String, Path), ("replayId" = String, Path)),
    responses((status = 200, description = "The replay as it is now")))]
pub async fn resume(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, id)): Name,
) -> Answer<Json<Replay>> {
    own(&api, &caller, Action::Change, &customer, &id).await?;
    Ok(Json(api.app.replayer().resume(&id, &caller.0.id, None).await?))
}

/// Give a replay up after the page in hand
///
/// What was sent stays sent.
#[utoipa::path(post, path = "/v1/customers/{customerId}/replays/{replayId}/cancel", tag = "replays",
    operation_id = "cancelReplay",
    params(("customerId" = String, Path), ("replayId" = String, Path)),
    responses((status = 200, description = "The replay as it is now")))]
pub async fn cancel(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, id)): Name,
) -> Answer<Json<Replay>> {
    own(&api, &caller, Action::Change, &customer, &id).await?;
    Ok(Json(api.app.replayer().cancel(&id, &caller.0.id).await?))
}

/// A replay of the customer's letters alone, if the caller may do that to it.
async fn own(
    api: &Shared,
    caller: &Caller,
    action: Action,
    customer: &CustomerId,
    id: &str,
) -> Answer<Replay> {
    caller.check_reach(action, Some(customer))?;
    let replay = api.app.replayer().get(id).await?;
    let filter = &replay.request.filter;
    let is_own = filter.customer_id.as_ref() == Some(customer)
        && caller.check(action, Some(customer), filter.endpoint_id.as_ref()).is_ok();
    if is_own { Ok(replay) } else { Err(Problem::not_found("such replay")) }
}
