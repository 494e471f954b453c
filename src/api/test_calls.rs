//! Test calls of endpoints: asked here, made by a worker.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Shared;
use super::caller::Caller;
use super::endpoints::stored;
use super::input::{Body, Length, Named};
use super::problem::{Answer, Code, Problem};
use crate::domain::access::Action;
use crate::domain::field::FieldError;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::test_call::{TestEvent, TestKind, TestRecord};
use crate::registration::{begin_authorizing, with_example};
use crate::test_calls::AskError;

/// Longest time that a request waits for an answer.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// What is sent to test.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewTest {
    /// The event's type; `sealpost.test` by default.
    #[serde(default, rename = "type")]
    event_type: Option<String>,
    /// The event's data, any JSON; a short text by default.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    data: Option<Value>,
    /// Headers for this call.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Query parameters for this call.
    #[serde(default)]
    query: BTreeMap<String, String>,
    /// One for each wildcard of the endpoint's URL.
    #[serde(default)]
    path_parameters: Vec<String>,
    /// How long to wait for the answer, as in `10s`: at most 20 seconds; not at all by default.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    wait: Option<Length>,
}

/// Call an endpoint to test it
///
/// A worker makes one real call, as a delivery's would be, and tells every step of it: the configuration, the
/// secrets, the name's addresses, the guard's verdict, the connection, TLS with the certificates, the request
/// with its secrets masked, the response, and what would follow. It bears the header `sealpost-test: true`, and
/// its id begins with `test_`. It spends no attempt, is never repeated, and goes out although the endpoint is
/// paused or disabled. At most 30 a minute for a customer.
#[utoipa::path(post, path = "/v1/customers/{customerId}/endpoints/{endpointId}/test",
    tag = "endpoints", operation_id = "testEndpoint", request_body = NewTest,
    params(("customerId" = String, Path), ("endpointId" = String, Path)),
    responses((status = 200, description = "The answer, which came while the request waited"),
        (status = 202, description = "It is asked for; the answer will be at `location`")))]
pub async fn ask(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, id)): Named<(CustomerId, EndpointId)>,
    body: Body,
) -> Answer<Response> {
    let (whose, kind) = ((customer, id), TestKind::Test);
    ask_for(&api, &caller, whose, kind, &body).await
}

/// Have an endpoint agree to be called
///
/// A worker makes the handshake that the endpoint's `verification` asks for, and tells every step as a test
/// does. Until it has passed, deliveries wait.
#[utoipa::path(post, path = "/v1/customers/{customerId}/endpoints/{endpointId}/verify",
    tag = "endpoints", operation_id = "verifyEndpoint", request_body = NewTest,
    params(("customerId" = String, Path), ("endpointId" = String, Path)),
    responses((status = 200, description = "The answer, which came while the request waited"),
        (status = 202, description = "It is asked for; the answer will be at `location`")))]
pub async fn verify(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, id)): Named<(CustomerId, EndpointId)>,
    body: Body,
) -> Answer<Response> {
    let (whose, kind) = ((customer, id), TestKind::Handshake);
    ask_for(&api, &caller, whose, kind, &body).await
}

async fn ask_for(
    api: &Shared,
    caller: &Caller,
    (customer, id): (CustomerId, EndpointId),
    kind: TestKind,
    body: &Body,
) -> Answer<Response> {
    caller.check(Action::Change, Some(&customer), Some(&id))?;
    let record = make(api, caller, (&customer, &id), kind, body.read()?).await?;
    let status = if record.report.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let test = &record.call.id;
    let location = format!("/v1/customers/{customer}/endpoints/{id}/tests/{test}");
    Ok((status, [(header::LOCATION, location)], shown(api, &record)).into_response())
}

/// Has a worker call an endpoint, if the caller may, and waits for its answer as long as is asked.
pub(crate) async fn make(
    api: &Shared,
    caller: &Caller,
    (customer, id): (&CustomerId, &EndpointId),
    kind: TestKind,
    asked: NewTest,
) -> Answer<TestRecord> {
    caller.check(Action::Change, Some(customer), Some(id))?;
    let NewTest { event_type, data, headers, query, path_parameters, wait } = asked;
    let wait = wait.map_or(Duration::ZERO, |wait| wait.0);
    if wait > LONGEST_WAIT {
        return Err(FieldError::new("wait", "expected at most 20s").into());
    }
    let stored = stored(api, customer, id).await?;
    if kind == TestKind::Handshake && stored.endpoint.verification.is_none() {
        let detail = "the endpoint asks for no handshake: put it with `verification` first";
        return Err(Problem::new(Code::Conflict, detail));
    }
    let event = TestEvent { event_type, data, headers, query, path_parameters };
    let event = with_example(&api.app, event).await?;
    if kind == TestKind::Handshake {
        // Before a worker can know better.
        begin_authorizing(&api.app, &stored).await?;
    }
    let tests = api.app.test_caller();
    let record = tests.ask(customer, id, kind, &event).await.map_err(|e| match e {
        AskError::TooMany(again) => {
            let wait = again.since(api.app.clock.now()).as_millis().div_ceil(1000);
            let problem = Problem::new(Code::RateLimited, e.to_string());
            problem.retry_after(u32::try_from(wait).unwrap_or(1))
        }
        AskError::Refused(field) => field.into(),
        AskError::Ours(error) => error.into(),
    })?;
    Ok(tests.wait_for(record, wait).await?)
}

/// Show a test call
///
/// With its answer, once a worker has given one. Kept for an hour.
#[utoipa::path(get, path = "/v1/customers/{customerId}/endpoints/{endpointId}/tests/{testId}",
    tag = "endpoints", operation_id = "getEndpointTest",
    params(("customerId" = String, Path), ("endpointId" = String, Path), ("testId" = String, Path)),
    responses((status = 200, description = "The test call, whose state is `pending` at first")))]
pub async fn get(
    State(api): State<Shared>,
    caller: Caller,
    Named((customer, endpoint, id)): Named<(CustomerId, EndpointId, String)>,
) -> Answer<Json<Value>> {
    caller.check(Action::Read, Some(&customer), Some(&endpoint))?;
    let found = api.app.test_calls.get(&id, api.app.clock.now()).await?;
    let is_of = |r: &TestRecord| r.call.customer_id == customer && r.call.endpoint_id == endpoint;
    match found.filter(is_of) {
        Some(record) => Ok(shown(&api, &record)),
        None => Err(Problem::not_found(format!("test of endpoint {endpoint} with this id"))),
    }
}

fn shown(api: &Shared, record: &TestRecord) -> Json<Value> {
    Json(record.to_json(api.app.clock.now()))
}
