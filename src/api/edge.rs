//! What happens to every request before and after its handler: its id, who calls, how often, for how
//! long, and problem documents for all that goes wrong.

use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout};
use tracing::{debug, info};

use super::Shared;
use super::failures::Peer;
use super::problem::{Code, Problem};
use crate::telemetry::Tally;

/// Longest time that a request may take, a bulk of jobs excepted.
const LONGEST: Duration = Duration::from_secs(30);
/// The header with the request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest id that is taken over.
const MAX_REQUEST_ID: usize = 128;

/// The paths that need no key: they tell nothing of anybody.
pub const PUBLIC: [&str; 5] = ["/healthz", "/readyz", "/openapi.json", "/docs", "/docs/style.css"];
/// The path whose request takes as long as its body comes.
const BULK: &str = "/v1/jobs/bulk";

/// Handles a request from its first byte to its last.
pub async fn handle(State(api): State<Shared>, mut request: Request, next: Next) -> Response {
    let (started, method) = (Instant::now(), request.method().clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let path = request.uri().path().to_owned();
    let id = request_id(&request).unwrap_or_else(|| format!("req_{}", api.app.chance.token()));
    let mut key = None;
    let response = if PUBLIC.contains(&path.as_str()) {
        within(&path, next.run(request)).await
    } else {
        let peer = request.extensions().get::<Peer>().copied();
        match api.keys.recognise(&api.app, request.headers(), peer).await {
            Err(problem) => problem.into_response(),
            Ok(caller) => {
                key = Some(caller.0.id.clone());
                match api.keys.count(&caller, api.app.clock.now()) {
                    Err(problem) => problem.into_response(),
                    Ok(()) => {
                        request.extensions_mut().insert(caller);
                        within(&path, next.run(request)).await
                    }
                }
            }
        }
    };
    let response = finished(response, &id, &api.app.tally);
    let (status, took) = (response.status().as_u16(), started.elapsed());
    let route = route.as_ref().map(MatchedPath::as_str);
    api.app.tally.requests.count(method.as_str(), route, status, took);
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let key = key.unwrap_or_else(|| "-".to_owned());
    // Who changed what stands in the log. Ids and numbers only: no query, no body.
    if method == Method::GET || path.starts_with("/v1/jobs") {
        debug!(event = "request", %method, path, status, ms, key, request_id = id);
    } else {
        info!(event = "request", %method, path, status, ms, key, request_id = id);
    }
    response
}

/// The id that the request came with, if it can be taken over.
fn request_id(request: &Request) -> Option<String> {
    let id = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let is_good = !id.is_empty()
        && id.len() <= MAX_REQUEST_ID
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
    is_good.then(|| id.to_owned())
}

async fn within(path: &str, handled: impl Future<Output = Response>) -> Response {
    if path == BULK {
        return handled.await;
    }
    match timeout(LONGEST, handled).await {
        Ok(response) => response,
        Err(_) => Problem::new(Code::Timeout, format!("not done in {LONGEST:?}")).into_response(),
    }
}

/// The response with the request's id; whatever went wrong is a problem document.
fn finished(mut response: Response, id: &str, tally: &Tally) -> Response {
    let status = response.status();
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        if let Some((dependency, alarm)) = problem.fault() {
            tally.count_fault(dependency, alarm);
        }
        response = problem.of_request(id).into_response();
    } else if status.is_client_error() || status.is_server_error() {
        let allow = response.headers().get(axum::http::header::ALLOW).cloned();
        response = Problem::of_status(status).of_request(id).into_response();
        if let Some(allow) = allow {
            response.headers_mut().insert(axum::http::header::ALLOW, allow);
        }
    }
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
    // What a customer has is nobody else's: no cache keeps it, no browser guesses its type.
    let fixed = [("cache-control", "no-store"), ("x-content-type-options", "nosniff")];
    for (name, value) in fixed {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}
