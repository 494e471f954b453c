//! What tests may ask of the emulator itself, under `/_emulator/`.
//!
//! * `POST clock/advance?ms=N` moves the wall clock on; answers with the time in milliseconds.
//! * `GET requests` counts the calls since the start, as `{"DynamoDB": {"GetItem": 3}}`.
//! * `POST fail?operation=Decrypt&status=400&code=ThrottlingException&times=N` answers the next N
//!   calls of that operation with the error. With `&done=true` they are carried out all the same: the
//!   error stands for an answer that was lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock;

#[derive(Default)]
struct Control {
    counts: Mutex<BTreeMap<&'static str, BTreeMap<String, u64>>>,
    failures: Mutex<Vec<Failure>>,
}

#[derive(Deserialize)]
struct Failure {
    operation: String,
    status: u16,
    code: String,
    times: u64,
    #[serde(default)]
    done: bool,
}

#[derive(Deserialize)]
struct Advance {
    ms: i64,
}

/// Adds the control routes to `services`, and counts what goes to the others.
pub fn around(services: Router) -> Router {
    let control = Arc::new(Control::default());
    let watched = services.layer(middleware::from_fn_with_state(Arc::clone(&control), watch));
    Router::new()
        .route("/_emulator/clock/advance", post(advance))
        .route("/_emulator/requests", get(requests))
        .route("/_emulator/fail", post(fail))
        .with_state(control)
        .merge(watched)
}

async fn advance(Query(Advance { ms }): Query<Advance>) -> String {
    clock::advance(ms);
    clock::now_ms().to_string()
}

async fn requests(State(control): State<Arc<Control>>) -> Json<Value> {
    Json(json!(*control.counts.lock()))
}

async fn fail(State(control): State<Arc<Control>>, Query(failure): Query<Failure>) {
    control.failures.lock().push(failure);
}

async fn watch(State(control): State<Arc<Control>>, request: Request, next: Next) -> Response {
    let Some((service, operation)) = operation(request.headers()) else {
        return next.run(request).await;
    };
    *control.counts.lock().entry(service).or_default().entry(operation.clone()).or_default() += 1;
    match control.planned(&operation) {
        Some((planned, done)) => {
            if done {
                next.run(request).await;
            }
            planned
        }
        None => next.run(request).await,
    }
}

impl Control {
    /// The failure planned for a call of `operation`, once less each time, and whether the call is
    /// carried out.
    fn planned(&self, operation: &str) -> Option<(Response, bool)> {
        let mut failures = self.failures.lock();
        let planned = failures.iter_mut().find(|f| f.operation == operation && f.times > 0)?;
        planned.times -= 1;
        let status = StatusCode::from_u16(planned.status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = json!({"__type": planned.code, "message": "planned by the test"});
        let headers = [("x-amzn-requestid", "planned"), ("x-amzn-errortype", &planned.code)];
        Some(((status, headers, Json(body)).into_response(), planned.done))
    }
}

/// The service and the operation of a call in one of AWS's JSON protocols.
fn operation(headers: &HeaderMap) -> Option<(&'static str, String)> {
    let target = headers.get("x-amz-target")?.to_str().ok()?;
    let (service, operation) = target.split_once('.')?;
    let service = match service {
        "AmazonSQS" => "SQS",
        "AmazonSSM" => "SSM",
        "DynamoDB_20120810" => "DynamoDB",
        "TrentService" => "KMS",
        "secretsmanager" => "SecretsManager",
        _ => "other",
    };
    Some((service, operation.to_owned()))
}
