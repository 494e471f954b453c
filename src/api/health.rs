//! Whether the process lives, whether it can do its work, and its metrics.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::Shared;
use super::caller::Caller;
use super::problem::Answer;
use crate::domain::access::Action;
use crate::monitor::health::{Live, Ready};
use crate::telemetry::metrics::text::CONTENT_TYPE;

fn status(is_good: bool) -> StatusCode {
    if is_good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

/// The process lives, and its loops turn
#[utoipa::path(get, path = "/healthz", tag = "service", responses(
    (status = 200, description = "It lives", body = Live),
    (status = 503, description = "A loop of its worker hangs: start it anew", body = Live)))]
pub async fn live(State(api): State<Shared>) -> (StatusCode, Json<Live>) {
    let live = api.monitor.live();
    (status(live.is_ok()), Json(live))
}

/// The process can do its work: its stores, its queue and its keys answer, its worker receives
#[utoipa::path(get, path = "/readyz", tag = "service", responses(
    (status = 200, description = "It can", body = Ready),
    (status = 503, description = "It cannot", body = Ready)))]
pub async fn ready(State(api): State<Shared>) -> (StatusCode, Json<Ready>) {
    let ready = api.monitor.ready().await;
    (status(ready.is_ready()), Json(ready))
}

/// Metrics of the process, for Prometheus
///
/// They tell nothing of any customer. A key that may look at everything is needed.
#[utoipa::path(get, path = "/metrics", tag = "service",
    responses((status = 200, description = "The text format of Prometheus, version 0.0.4",
               content_type = "text/plain", body = String)))]
pub async fn metrics(State(api): State<Shared>, caller: Caller) -> Answer<impl IntoResponse> {
    caller.check(Action::Read, None, None)?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], api.monitor.metrics().await))
}
