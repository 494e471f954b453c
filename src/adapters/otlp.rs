//! Spans to a collector: OTLP over HTTP in JSON (OpenTelemetry Protocol Specification 1.9, "OTLP/HTTP").

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::domain::endpoint::Method;
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::span::{Span, SpanKind, Value};
use crate::egress::client::Client;
use crate::egress::guard::Guard;
use crate::egress::resolver::Resolver;
use crate::ports::Result;
use crate::ports::spans::{NotTaken, Spans};

/// Longest time for one batch.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A collector.
pub struct Collector {
    client: Client,
    url: Url,
    /// What this process is called among others.
    instance: String,
}

impl Collector {
    /// The collector at `endpoint`, to which `/v1/traces` is added. It is the operator's own, so it is
    /// called wherever it is, and not through the proxy of endpoints.
    ///
    /// # Errors
    /// If the certificate authorities cannot be read.
    pub fn new(
        endpoint: &Url,
        instance: String,
        resolver: Arc<dyn Resolver>,
        extra_roots: Option<&Path>,
    ) -> Result<Self> {
        let guard = Arc::new(Guard::of_the_operator());
        let client = Client::with_roots(guard, resolver, extra_roots)?;
        let mut url = endpoint.clone();
        url.set_path(&format!("{}/v1/traces", endpoint.path().trim_end_matches('/')));
        Ok(Self { client, url, instance })
    }

    fn body(&self, batch: &[Span]) -> Json {
        let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
        let version = env!("CARGO_PKG_VERSION");
        let resource = [
            text("service.name", "sealpost"),
            text("service.version", version),
            text("service.instance.id", &self.instance),
        ];
        json!({"resourceSpans": [{
            "resource": {"attributes": resource},
            "scopeSpans": [{
                "scope": {"name": "sealpost", "version": version},
                "spans": batch.iter().map(span).collect::<Vec<_>>(),
            }],
        }]})
    }
}

/// A span in the JSON of OTLP: ids in hexadecimal, 64-bit numbers as texts.
fn span(span: &Span) -> Json {
    let kind = match span.kind {
        SpanKind::Internal => 1,
        SpanKind::Client => 3,
        SpanKind::Consumer => 5,
    };
    let attributes = span.attributes.iter().map(|(key, value)| match value {
        Value::Text(text) => json!({"key": key, "value": {"stringValue": text}}),
        Value::Whole(number) => json!({"key": key, "value": {"intValue": number.to_string()}}),
    });
    let mut document = json!({
        "traceId": span.trace_id.to_string(),
        "spanId": span.id.to_string(),
        "name": span.name,
        "kind": kind,
        "startTimeUnixNano": span.begun.to_string(),
        "endTimeUnixNano": span.ended.to_string(),
        "attributes": attributes.collect::<Vec<_>>(),
    });
    if let Some(parent) = span.parent {
        document["parentSpanId"] = parent.to_string().into();
    }
    if let Some(error) = &span.error {
        document["status"] = json!({"code": 2, "message": error});
    }
    document
}

#[async_trait]
impl Spans for Collector {
    async fn export(&self, batch: &[Span]) -> std::result::Result<(), NotTaken> {
        let body = self.body(batch).to_string().into();
        let mut request = OutboundRequest::new(Method::Post, self.url.clone(), body);
        request.set_header("content-type", HeaderValue::Plain("application/json".to_owned()));
        let deadline = Instant::now() + TIMEOUT;
        let sent = self.client.send(&request, deadline, &CancellationToken::new()).await;
        let unreachable = |problem: String| NotTaken { problem, may_pass: true };
        let reply = sent.map_err(|error| unreachable(error.to_string()))?;
        match reply.result {
            Ok(answer) if (200..=299).contains(&answer.status) => Ok(()),
            Ok(answer) => {
                let problem = format!("the collector answers {}", answer.status);
                // The statuses after which the specification has a client try again.
                let may_pass = matches!(answer.status, 429 | 502 | 503 | 504);
                Err(NotTaken { problem, may_pass })
            }
            Err(failure) => {
                Err(unreachable(format!("the collector ({}): {}", failure.phase, failure.detail)))
            }
        }
    }
}
