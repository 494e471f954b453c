//! Whether the process lives, and whether it can do its work.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::Shared;
use crate::ports::Result;
use crate::telemetry::WorkerState;

/// How long a store may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// That the process lives.
#[derive(Debug, Serialize, ToSchema)]
pub struct Live {
    status: &'static str,
}

/// Whether each part can be used.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// `ready` or `not_ready`.
    status: &'static str,
    /// `ok` or `failing`: where endpoints, secrets and keys are kept.
    stores: &'static str,
    /// `ok` or `failing`: where jobs wait.
    queue: &'static str,
    /// `receiving`, `failing` or `stopped`; absent if no worker runs in this process.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<&'static str>,
}

/// The process lives
#[utoipa::path(get, path = "/healthz", tag = "service",
    responses((status = 200, description = "It lives", body = Live)))]
pub async fn live() -> Json<Live> {
    Json(Live { status: "ok" })
}

/// The process can do its work: its stores answer, its queue answers, its worker receives
#[utoipa::path(get, path = "/readyz", tag = "service", responses(
    (status = 200, description = "It can", body = Ready),
    (status = 503, description = "It cannot", body = Ready)))]
pub async fn ready(State(api): State<Shared>) -> (StatusCode, Json<Ready>) {
    let app = &api.app;
    let (stores, queue) =
        tokio::join!(answers(app.control.get_key("key_none")), answers(app.queue.depth()));
    let worker = api.has_worker.then(|| app.tally.worker());
    let works = worker.is_none_or(|worker| worker == WorkerState::Receiving);
    let is_ready = stores && queue && works;
    let word = |ok: bool| if ok { "ok" } else { "failing" };
    let ready = Ready {
        status: if is_ready { "ready" } else { "not_ready" },
        stores: word(stores),
        queue: word(queue),
        worker: worker.map(WorkerState::word),
    };
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ready))
}

async fn answers<T>(asked: impl Future<Output = Result<T>>) -> bool {
    matches!(timeout(PATIENCE, asked).await, Ok(Ok(_)))
}
