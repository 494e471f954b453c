//! Endpoints.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Shared;
use super::caller::Caller;
use super::input::{Body, Expected, Named, Query};
use super::page::{self, Page, PageQuery};
use super::problem::{Answer, Code, Problem};
use crate::domain::access::Action;
use crate::domain::authorization::Authorization;
use crate::domain::endpoint::{Endpoint, Health};
use crate::domain::event_catalog::UnknownTypes;
use crate::domain::field::FieldError;
use crate::domain::health::HealthRecord;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::timestamp::Timestamp;
use crate::ports::endpoints::{PutResult, StoredEndpoint};
use crate::registration::{put_endpoint_unopened, unknown_event_types};

/// An endpoint as it is shown: its configuration, and what is known of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownEndpoint {
    /// The configuration.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// Which version of it.
    pub version: u64,
    /// When that was put.
    pub updated_at: Timestamp,
    /// What is known of it.
    pub health: Health,
    /// Whether it agreed to be called, where it is asked.
    pub authorization: Authorization,
    /// What whoever registers it should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What is shown and cannot be set: left out of what is put, so that what was read can be put back.
const READ_ONLY: [&str; 5] = ["version", "updatedAt", "health", "authorization", "warnings"];

impl ShownEndpoint {
    fn etag(version: u64) -> String {
        format!("\"{version}\"")
    }

    /// The response that shows it.
    pub fn response(self, status: StatusCode) -> Response {
        let etag = Self::etag(self.version);
        (status, [(header::ETAG, etag)], Json(self)).into_response()
    }
}

/// An endpoint with its health, or the problem that there is none.
pub async fn read(api: &Shared, customer: &CustomerId, id: &EndpointId) -> Answer<ShownEndpoint> {
    let stored = stored(api, customer, id).await?;
    let record = api.app.health.read(customer, id, stored.version).await?;
    Ok(shown(stored, &record, api.app.clock.now()))
}

/// The same, just registered: with what whoever did so should know.
async fn read_registered(
    api: &Shared,
    customer: &CustomerId,
    id: &EndpointId,
) -> Answer<ShownEndpoint> {
    let mut shown = read(api, customer, id).await?;
    if api.app.config.events.unknown_types == UnknownTypes::Warn {
        let unknown = unknown_event_types(&api.app, &shown.endpoint).await?;
        shown.warnings = unknown.iter().map(ToString::to_string).collect();
    }
    Ok(shown)
}

/// An endpoint as it is stored, or the problem that there is none.
pub async fn stored(
    api: &Shared,
    customer: &CustomerId,
    id: &EndpointId,
) -> Answer<StoredEndpoint> {
    let stored = api.app.endpoints.get(customer, id).await?;
    stored.ok_or_else(|| Problem::not_found(format!("endpoint {id} of customer {customer}")))
}

fn shown(stored: StoredEndpoint, record: &HealthRecord, now: Timestamp) -> ShownEndpoint {
    let StoredEndpoint { version, updated_at, endpoint } = stored;
    let (health, authorization) = (record.health.clone(), record.authorization_of(&endpoint, now));
    ShownEndpoint { endpoint, version, updated_at, health, authorization, warnings: Vec::new() }
}

/// List a customer's endpoints
///
/// In the order of their ids.
#[utoipa::path(get, path = "/v1/customers/{customerId}/endpoints", tag = "endpoints",
    operation_id = "listEndpoints",
    params(("customerId" = String, Path), PageQuery),
    responses((status = 200, description = "One page")))]
pub async fn list(
    State(api): State<Shared>,
    caller: Caller,
    Named(customer): Named<CustomerId>,
    Query(query): Query<PageQuery>,
) -> Answer<Json<Page<ShownEndpoint>>> {
    caller.check_reach(Action::Read, Some(&customer))?;
    let (limit, after) = (page::limit(query.limit)?, page::after(query.cursor.as_deref())?);
    let mut recorded: BTreeMap<EndpointId, (u64, HealthRecord)> = BTreeMap::new();
    for known in api.app.health.list(&customer).await? {
        recorded.insert(known.endpoint_id, (known.version, known.record));
    }
    let now = api.app.clock.now();
    let endpoints = api.app.endpoints.list(Some(&customer)).await?.into_iter();
    let seen = endpoints.filter(|stored| {
        let id = &stored.endpoint.endpoint_id;
        after.as_deref().is_none_or(|after| id.as_str() > after)
            && caller.check(Action::Read, Some(&customer), Some(id)).is_ok()
    });
    let shown = seen.take(limit + 1).map(|stored| {
        let record = match recorded.remove(&stored.endpoint.endpoint_id) {
            Some((version, record)) if version == stored.version => record,
            Some((_, record)) => record.of_another_version(),
            None => HealthRecord::default(),
        };
        shown(stored, &record, now)
    });
    let shown: Vec<ShownEndpoint> = shown.collect();
    Ok(Json(Page::of(shown, limit, |shown| shown.endpoint.endpoint_id.to_string())))
}

/// Register an endpoint
///
/// `customerId` may be left out; without `endpointId` it gets one.
#[utoipa::path(post, path = "/v1/customers/{customerId}/endpoints", tag = "endpoints",
    operation_id = "createEndpoint",
    params(("customerId" = String, Path)),
    responses((status = 201, description = "It is registered, at `location`")))]
pub async fn create(
    State(api): State<Shared>,
    caller: Caller,
    Named(customer): Named<CustomerId>,
    body: Body,
) -> Answer<Response> {
    let registered = register(&api, &caller, &customer, &body).await?;
    let location =
        format!("/v1/customers/{customer}/endpoints/{}", registered.endpoint.endpoint_id);
    let mut response = registered.response(StatusCode::CREATED);
    // Ids hold nothing that a header could not.
    if let Ok(location) = location.parse() {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Registers the endpoint that a body describes, if the caller may.
pub(crate) async fn register(
    api: &Shared,
    caller: &Caller,
    customer: &CustomerId,
    body: &Body,
) -> Answer<ShownEndpoint> {
    caller.check_reach(Action::Change, Some(customer))?;
    let name = format!("ep_{}", api.app.chance.token());
    let endpoint = configuration(body, customer, None, &name)?;
    let id = endpoint.endpoint_id.clone();
    caller.check(Action::Change, Some(customer), Some(&id))?;
    match put_endpoint_unopened(&api.app, endpoint, Some(0)).await? {
        PutResult::Put(_) => read_registered(api, customer, &id).await,
        PutResult::Conflict(version) => {
            let detail = format!("there is an endpoint {id} already, at version {version}");
            Err(Problem::new(Code::Conflict, detail))
        }
    }
}

/// Show an endpoint
#[utoipa::path(get, path = "/v1/customers/{customerId}/endpoints/{endpointId}", tag = "endpoints",
    operation_id = "getEndpoint",
    params(("customerId" = String, Path), ("endpointId" = String, Path)),
    responses((status = 200, description = "The endpoint; its version is the `etag`")))]
pub async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, id)): Named<(CustomerId, EndpointId)>,
) -> Answer<Response> {
    caller.check(Action::Read, Some(&customer), Some(&id))?;
    Ok(read(&api, &customer, &id).await?.response(StatusCode::OK))
}

/// Replace an endpoint, or register one
///
/// With `If-Match` only over that version, with `If-None-Match: *` only if there is none. What was
/// read can be put back: `version`, `updatedAt`, `health` and `authorization` are passed over.
#[utoipa::path(put, path = "/v1/customers/{customerId}/endpoints/{endpointId}", tag = "endpoints",
    operation_id = "putEndpoint",
    params(("customerId" = String, Path), ("endpointId" = String, Path),
        ("If-Match" = Option<String>, Header), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, description = "The endpoint as it is now")))]
pub async fn put(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, id)): Named<(CustomerId, EndpointId)>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Response> {
    caller.check(Action::Change, Some(&customer), Some(&id))?;
    let expected = Expected::of(&headers)?;
    Ok(replace(&api, &caller, (&customer, &id), expected, &body).await?.response(StatusCode::OK))
}

/// Puts the endpoint that a body describes over the version that is expected, if the caller may.
pub(crate) async fn replace(
    api: &Shared,
    caller: &Caller,
    (customer, id): (&CustomerId, &EndpointId),
    expected: Expected,
    body: &Body,
) -> Answer<ShownEndpoint> {
    caller.check(Action::Change, Some(customer), Some(id))?;
    let endpoint = configuration(body, customer, Some(id), id.as_str())?;
    let now = async { current(api, customer, id).await };
    let expected = expected.for_store(now).await?;
    match put_endpoint_unopened(&api.app, endpoint, expected).await? {
        PutResult::Put(_) => read_registered(api, customer, id).await,
        PutResult::Conflict(now) => Err(Problem::other_version(now)),
    }
}

/// Remove an endpoint
#[utoipa::path(delete, path = "/v1/customers/{customerId}/endpoints/{endpointId}", tag = "endpoints",
    operation_id = "deleteEndpoint",
    params(("customerId" = String, Path), ("endpointId" = String, Path),
        ("If-Match" = Option<String>, Header)),
    responses((status = 204, description = "It is removed")))]
pub async fn delete(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, id)): Named<(CustomerId, EndpointId)>,
    headers: HeaderMap,
) -> Answer<StatusCode> {
    caller.check(Action::Change, Some(&customer), Some(&id))?;
    let now = async { current(&api, &customer, &id).await };
    let expected = Expected::of(&headers)?.for_store(now).await?;
    if !api.app.endpoints.delete(&customer, &id, expected).await? {
        Expected::of(&headers)?.check(current(&api, &customer, &id).await?)?;
        return Err(Problem::not_found(format!("endpoint {id} of customer {customer}")));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The version that is current; 0 if there is none.
async fn current(api: &Shared, customer: &CustomerId, id: &EndpointId) -> Answer<u64> {
    let stored = api.app.endpoints.get(customer, id).await?;
    Ok(stored.map_or(0, |stored| stored.version))
}

/// The configuration in a body, whose ids may be left to the path: `name` is the endpoint's where the
/// body names none.
fn configuration(
    body: &Body,
    customer: &CustomerId,
    endpoint: Option<&EndpointId>,
    name: &str,
) -> Answer<Endpoint> {
    let mut members: BTreeMap<String, Box<RawValue>> = body.read()?;
    for read_only in READ_ONLY {
        members.remove(read_only);
    }
    for (member, path_says) in [("customerId", customer.as_str()), ("endpointId", name)] {
        if !members.contains_key(member) {
            let text = serde_json::value::to_raw_value(path_says).map_err(internal)?;
            members.insert(member.to_owned(), text);
        }
    }
    let text = serde_json::to_string(&members).map_err(internal)?;
    let read = Endpoint::from_json(&text)?;
    let differs = |path: &str, named: &str| {
        FieldError::new(path, format!("expected {named}, as in the path, or nothing"))
    };
    if read.customer_id != *customer {
        return Err(differs("customerId", customer.as_str()).into());
    }
    match endpoint.filter(|endpoint| **endpoint != read.endpoint_id) {
        Some(endpoint) => Err(differs("endpointId", endpoint.as_str()).into()),
        None => Ok(read),
    }
}

fn internal(error: serde_json::Error) -> Problem {
    tracing::warn!(event = "fault", operation = "api.endpoint", what = "api", "{error}");
    Problem::new(Code::Internal, Code::Internal.title())
}
