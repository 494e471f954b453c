//! What an endpoint's deliveries do: wait for a while, or go on.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::Shared;
use super::caller::Caller;
use super::endpoints::{read, stored};
use super::input::{Body, Named};
use super::problem::{Answer, Code, Problem};
use crate::domain::access::Action;
use crate::domain::endpoint::Health;
use crate::domain::field::FieldError;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::timestamp::Timestamp;
use crate::ports::endpoints::PutResult;
use crate::registration::put_endpoint_unopened;

/// The longest pause: no delivery may wait longer.
const LONGEST: Duration = Duration::from_secs(14 * 24 * 3600);

/// Until when deliveries wait.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pause {
    /// Within 14 days.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

/// Let an endpoint's deliveries wait
///
/// They count toward their age while they wait.
#[utoipa::path(post, path = "/v1/customers/{customerId}/endpoints/{endpointId}/pause",
    tag = "endpoints", operation_id = "pauseEndpoint", request_body = Pause,
    params(("customerId" = String, Path), ("endpointId" = String, Path)),
    responses((status = 200, description = "The endpoint as it is now")))]
pub async fn pause(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, id)): Named<(CustomerId, EndpointId)>,
    body: Body,
) -> Answer<Response> {
    caller.check(Action::Change, Some(&customer), Some(&id))?;
    let Pause { until } = body.read()?;
    let now = api.app.clock.now();
    if until <= now || until > now.plus(LONGEST) {
        return Err(FieldError::new("until", "expected a time within the next 14 days").into());
    }
    let version = stored(&api, &customer, &id).await?.version;
    set(&api, &customer, &id, version, &Health::Paused { until }).await?;
    Ok(read(&api, &customer, &id).await?.response(StatusCode::OK))
}

/// Let an endpoint's deliveries go on
///
/// Ends a pause; asks a token server again that had refused; an endpoint that was disabled, by a 410 or
/// by its own setting, is put again as a new version.
#[utoipa::path(post, path = "/v1/customers/{customerId}/endpoints/{endpointId}/enable",
    tag = "endpoints", operation_id = "enableEndpoint",
    params(("customerId" = String, Path), ("endpointId" = String, Path)),
    responses((status = 200, description = "The endpoint as it is now")))]
pub async fn enable(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, id)): Named<(CustomerId, EndpointId)>,
) -> Answer<Response> {
    caller.check(Action::Change, Some(&customer), Some(&id))?;
    let stored = stored(&api, &customer, &id).await?;
    let health = api.app.health.get(&customer, &id, stored.version).await?;
    let is_disabled = match health {
        Health::Disabled { .. } => true,
        Health::Active | Health::Paused { .. } | Health::Deauthorized { .. } => false,
    };
    if is_disabled || !stored.endpoint.enabled {
        let mut endpoint = stored.endpoint;
        endpoint.enabled = true;
        if let PutResult::Conflict(now) =
            put_endpoint_unopened(&api.app, endpoint, Some(stored.version)).await?
        {
            return Err(Problem::other_version(now));
        }
    } else if health != Health::Active {
        set(&api, &customer, &id, stored.version, &Health::Active).await?;
    }
    Ok(read(&api, &customer, &id).await?.response(StatusCode::OK))
}

async fn set(
    api: &Shared,
    customer: &CustomerId,
    id: &EndpointId,
    version: u64,
    health: &Health,
) -> Answer<()> {
    if api.app.health.set(customer, id, version, health).await? {
        return Ok(());
    }
    let detail = "the endpoint is disabled, or was put again just now: look at it again";
    Err(Problem::new(Code::Conflict, detail))
}
