//! Metrics and health on an address of their own, without a key: they tell nothing of anybody.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tracing::info;

use super::Monitor;
use crate::telemetry::metrics::text::CONTENT_TYPE;

/// Listens, if there is an address.
///
/// # Errors
/// If the address cannot be used.
pub async fn bind(address: Option<SocketAddr>) -> std::io::Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await?;
    info!(event = "metrics_listening", address = %listener.local_addr()?);
    Ok(Some(listener))
}

/// What is served.
pub fn router(monitor: Arc<Monitor>) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(live))
        .route("/readyz", get(ready))
        .with_state(monitor)
}

async fn metrics(State(monitor): State<Arc<Monitor>>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], monitor.metrics().await).into_response()
}

async fn live(State(monitor): State<Arc<Monitor>>) -> Response {
    let live = monitor.live();
    (status(live.is_ok()), Json(live)).into_response()
}

async fn ready(State(monitor): State<Arc<Monitor>>) -> Response {
    let ready = monitor.ready().await;
    (status(ready.is_ready()), Json(ready)).into_response()
}

/// The status of an answer about health.
fn status(is_good: bool) -> StatusCode {
    if is_good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
