//! What happened to deliveries, where [`deliveries.record`](crate::config::Config) says that it is kept.

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
use crate::domain::delivery_record::{AttemptRow, DeliveryFilter, DeliveryRecord, DeliveryStatus};
use crate::domain::field::FieldError;
use crate::domain::ids::{CustomerId, EndpointId, JobId};
use crate::domain::reason::Reason;
use crate::domain::resend::ResendLine;
use crate::domain::timeline::{Moment, timeline};
use crate::domain::timestamp::Timestamp;

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Only this endpoint's.
    #[param(value_type = Option<String>)]
    endpoint_id: Option<EndpointId>,
    /// Only of this job.
    #[param(value_type = Option<String>)]
    job_id: Option<JobId>,
    /// Only of this event type. `type` says the same.
    #[serde(alias = "type")]
    event_type: Option<String>,
    /// Only those that stand so: `delivered`, `retrying` or `dead_letter`.
    #[param(value_type = Option<String>)]
    status: Option<DeliveryStatus>,
    /// Only those given up with this reason's code.
    #[param(value_type = Option<String>)]
    reason: Option<Reason>,
    /// Only those whose last attempt was answered with this HTTP status.
    #[param(minimum = 100, maximum = 599)]
    http_status: Option<u16>,
    /// Only those accepted at this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only those accepted before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// Most items of the page: 1 to 250, by default 50.
    #[param(minimum = 1, maximum = 250)]
    limit: Option<usize>,
    /// The `nextCursor` of the page before.
    cursor: Option<String>,
}

/// A delivery with its attempts.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WithAttempts {
    /// The delivery.
    #[serde(flatten)]
    pub delivery: DeliveryRecord,
    /// Oldest first.
    pub attempt_list: Vec<AttemptRow>,
    /// Who had it sent again, and what came of it; oldest first.
    pub resends: Vec<ResendLine>,
    /// What happened, in order.
    pub timeline: Vec<Moment>,
}

/// How a delivery is sent again.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SentAgain {
    /// `replayed` if its dead letter is back in the queue, `ordered` if a worker sends its kept job.
    pub resent: &'static str,
    /// The id of the delivery's next round, under which it is recorded.
    next_round: String,
}

/// List a customer's deliveries, newest first
///
/// A page looks at 1,000 deliveries at most, so it may be short, or empty, and still name a next one.
#[utoipa::path(get, path = "/v1/customers/{customerId}/deliveries", tag = "deliveries",
    operation_id = "listDeliveries", params(("customerId" = String, Path), Which),
    responses((status = 200, description = "One page")))]
pub async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Named(customer): Named<CustomerId>,
    Query(which): Query<Which>,
) -> Answer<Json<Page<DeliveryRecord>>> {
    caller.check(Action::Read, Some(&customer), which.endpoint_id.as_ref())?;
    let (limit, after) = (page::limit(which.limit)?, page::after(which.cursor.as_deref())?);
    if which.http_status.is_some_and(|status| !(100..=599).contains(&status)) {
        let error = FieldError::new("httpStatus", "expected 100 to 599");
        return Err(Problem::field(Code::InvalidRequest, &error));
    }
    let filter = DeliveryFilter {
        endpoint_id: which.endpoint_id,
        job_id: which.job_id,
        event_type: which.event_type,
        status: which.status,
        reason: which.reason,
        http_status: which.http_status,
        since: which.since,
        until: which.until,
        customer_id: customer,
    };
    let now = api.app.clock.now();
    let found = api.app.records.list(&filter, after.as_deref(), limit, now).await?;
    Ok(Json(Page::up_to(found.records, found.next)))
}

/// Show a delivery with its attempts
///
/// Each attempt says when it was made, which address was dialled, what was sent (secrets masked, without
/// the body), and what came of it.
#[utoipa::path(get, path = "/v1/customers/{customerId}/deliveries/{deliveryId}", tag = "deliveries",
    operation_id = "getDelivery",
    params(("customerId" = String, Path), ("deliveryId" = String, Path)),
    responses((status = 200, description = "The delivery")))]
pub async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, id)): Named<(CustomerId, String)>,
) -> Answer<Json<WithAttempts>> {
    caller.check_reach(Action::Read, Some(&customer))?;
    let now = api.app.clock.now();
    let found = api.app.records.get(&id, now).await?;
    let own = found.filter(|(record, _)| is_own(&caller, Action::Read, &customer, record));
    let (delivery, attempt_list) = own.ok_or_else(|| Problem::not_found("such delivery"))?;
    let resends = api.app.records.resends(&id, now).await?;
    let timeline = timeline(&delivery, &attempt_list);
    Ok(Json(WithAttempts { delivery, attempt_list, resends, timeline }))
}

/// Send a delivery again, as its next round
///
/// From its dead letter, if it has one; otherwise from its job, where `deliveries.keep_bodies` has kept it: a
/// worker is ordered to send it, because only workers may open it. A 409 says why it cannot be sent again.
#[utoipa::path(post, path = "/v1/customers/{customerId}/deliveries/{deliveryId}/resend",
    tag = "deliveries", operation_id = "resendDelivery",
    params(("customerId" = String, Path), ("deliveryId" = String, Path)),
    responses((status = 202, description = "It is sent again", body = SentAgain)))]
pub async fn resend(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, id)): Named<(CustomerId, String)>,
) -> Answer<(StatusCode, Json<SentAgain>)> {
    caller.check_reach(Action::Change, Some(&customer))?;
    let found = api.app.records.header(&id, api.app.clock.now()).await?;
    let own = found.filter(|record| is_own(&caller, Action::Change, &customer, record));
    let record = own.ok_or_else(|| Problem::not_found("such delivery"))?;
    let resent = api.app.replayer().resend(&record, &caller.0.id).await?.name();
    let next_round = record.next_round_id();
    Ok((StatusCode::ACCEPTED, Json(SentAgain { resent, next_round })))
}

/// Of others' deliveries it is not told that they are there.
fn is_own(caller: &Caller, action: Action, customer: &CustomerId, record: &DeliveryRecord) -> bool {
    record.customer_id == *customer
        && caller.check(action, Some(customer), Some(&record.endpoint_id)).is_ok()
}
