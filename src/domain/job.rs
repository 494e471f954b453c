//! The job: what a producer enqueues. This is the contract with producers; examples are in
//! `fixtures/jobs/`.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::endpoint::duplicate_header;
use crate::domain::envelope::Envelope;
use crate::domain::field::FieldError;
use crate::domain::header;
use crate::domain::ids::{CustomerId, EndpointId, JobId, OrderingGroup};
use crate::domain::ordering::MessageGroup;
use crate::domain::reason::Reason;
use crate::domain::timestamp::Timestamp;
use crate::domain::version::Known;

/// Largest job, in bytes as enqueued: the largest message of Amazon SQS
/// (Amazon SQS Developer Guide, "Amazon SQS message quotas").
pub const MAX_JOB: usize = 1024 * 1024;

/// One job, decoded and checked.
#[derive(Debug, Clone)]
pub struct Job {
    /// What it came as.
    pub envelope: Envelope,
    /// The idempotency key, if the producer gave one.
    pub id: Option<JobId>,
    /// Whose endpoint is called.
    pub customer_id: CustomerId,
    /// Which endpoint is called; without one, every endpoint that wants the event's type.
    pub endpoint_id: Option<EndpointId>,
    /// What it is delivered in order with.
    pub ordering_group: Option<OrderingGroup>,
    /// The event's type, for filters and records.
    pub event_type: Option<String>,
    /// What is delivered.
    pub payload: Payload,
    /// Headers for this call, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Query parameters for this call.
    pub query: BTreeMap<String, String>,
    /// One for each wildcard of the endpoint's URL.
    pub path_parameters: Vec<String>,
    /// No attempt before then.
    pub not_before: Option<Timestamp>,
    /// No attempt after then.
    pub expires_at: Option<Timestamp>,
    /// W3C trace context, passed on as a header.
    pub traceparent: Option<String>,
}

/// The body of a job, with its content type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The bytes, exactly as they are sent where no transform changes them.
    pub bytes: Bytes,
    /// The content type; `None` without a body.
    pub content_type: Option<String>,
}

/// Why a message is not a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecodable {
    /// The stable code.
    pub reason: Reason,
    /// What is wrong, and where.
    pub error: FieldError,
}

/// A delivery job for sealpost: which customer's endpoint is called, and with what.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Job", extend("not" = {"anyOf": [
    {"required": ["data", "body"]},
    {"required": ["data", "bodyBase64"]},
    {"required": ["body", "bodyBase64"]},
]}))]
struct Document<'a> {
    /// The version of the job's form.
    #[serde(default, rename = "version")]
    #[schemars(transform = without_default)]
    _version: Known,
    /// The idempotency key, the same on every attempt. The queue's message id by default.
    id: Option<JobId>,
    /// Whose endpoint is called.
    customer_id: CustomerId,
    /// Which endpoint is called. Without one, all of the customer that want the event's type.
    endpoint_id: Option<EndpointId>,
    /// Jobs of the same group are delivered one after another, in the order of their enqueueing.
    ordering_group: Option<OrderingGroup>,
    /// The event's type.
    #[serde(rename = "type")]
    event_type: Option<String>,
    /// Any JSON, sent as it stands here.
    #[serde(borrow, default, deserialize_with = "even_null")]
    #[schemars(with = "Value", transform = without_default)]
    data: Option<&'a RawValue>,
    /// Text, instead of `data`.
    body: Option<String>,
    /// Bytes in base64, instead of `data`.
    #[schemars(extend("contentEncoding" = "base64"))]
    body_base64: Option<String>,
    /// The content type; by default that of `data`, text or bytes.
    content_type: Option<String>,
    /// Headers of this call.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Query parameters of this call.
    #[serde(default)]
    query: BTreeMap<String, String>,
    /// One for each `*` of the endpoint's URL.
    #[serde(default)]
    path_parameters: Vec<String>,
    /// No attempt before then.
    not_before: Option<Timestamp>,
    /// No attempt after then.
    expires_at: Option<Timestamp>,
    /// W3C trace context.
    traceparent: Option<String>,
}

/// `"data": null` is data, unlike a field that is not there.
fn even_null<'de: 'a, 'a, D: Deserializer<'de>>(
    reader: D,
) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(reader).map(Some)
}

fn without_default(schema: &mut Schema) {
    schema.remove("default");
}

/// The JSON Schema of a job, generated from the type that reads it.
pub fn schema() -> Value {
    schemars::schema_for!(Document<'_>).to_value()
}

impl Payload {
    /// A payload of text.
    pub fn of(text: &str, content_type: &str) -> Self {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        Self { bytes, content_type: Some(content_type.to_owned()) }
    }
}

/// Reads a job from the bytes of a message. What is JSON and no job is offered to `otherwise`, whose
/// `None` says that it is nothing else either.
///
/// # Errors
/// With a stable reason and the path of the field that is wrong.
pub fn decode_or(
    bytes: &Bytes,
    otherwise: impl FnOnce(&str) -> Option<Result<Job, Undecodable>>,
) -> Result<Job, Undecodable> {
    if bytes.len() > MAX_JOB {
        let problem = format!("{} bytes: a job has at most {MAX_JOB}", bytes.len());
        return Err(undecodable(Reason::OversizedJob, "", problem));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| {
        let problem = format!("not UTF-8 at byte {}", e.valid_up_to());
        undecodable(Reason::MalformedJob, "", problem)
    })?;
    match read(text) {
        Ok(document) => document.into_job(bytes),
        Err(error) if error.is_syntax() || error.is_eof() => {
            Err(undecodable(Reason::MalformedJob, "", error.to_string()))
        }
        Err(error) => otherwise(text).unwrap_or_else(|| Err(not_a_job(text, &error))),
    }
}

impl Job {
    /// Reads a job of ours from bytes that it copies.
    ///
    /// # Errors
    /// With a stable reason and the path of the field that is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, Undecodable> {
        decode_or(&Bytes::copy_from_slice(bytes), |_| None)
    }

    /// What a queue keeps it in order with, if it asks for that.
    pub fn message_group(&self) -> Option<MessageGroup> {
        let group = self.ordering_group.as_ref()?;
        Some(MessageGroup::of(&self.customer_id, self.endpoint_id.as_ref(), group))
    }

    /// A job that came in an envelope, with nothing but what every one of them has.
    pub fn of_envelope(
        envelope: Envelope,
        id: JobId,
        customer_id: CustomerId,
        payload: Payload,
    ) -> Self {
        Self {
            envelope,
            id: Some(id),
            customer_id,
            endpoint_id: None,
            ordering_group: None,
            event_type: None,
            payload,
            headers: BTreeMap::new(),
            query: BTreeMap::new(),
            path_parameters: Vec::new(),
            not_before: None,
            expires_at: None,
            traceparent: None,
        }
    }
}

fn read(text: &str) -> serde_json::Result<Document<'_>> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let document = Document::deserialize(&mut reader)?;
    reader.end()?;
    Ok(document)
}

/// The complaint about a document. The path is tracked only now that the plain, faster reading has
/// failed.
fn not_a_job(text: &str, error: &serde_json::Error) -> Undecodable {
    let mut reader = serde_json::Deserializer::from_str(text);
    let (path, mut problem) = match serde_path_to_error::deserialize::<_, Document<'_>>(&mut reader)
    {
        Ok(_) => (String::new(), error.to_string()),
        Err(traced) => (traced.path().to_string(), traced.inner().to_string()),
    };
    if !text.contains("\"customerId\"") {
        problem.push_str(
            "; expected a job, an EventBridge event, a CloudEvents 1.0 event or an SNS notification",
        );
    }
    undecodable(Reason::InvalidJob, if path == "." { "" } else { path.as_str() }, problem)
}

impl Document<'_> {
    /// The job; its data stays where it is, in the bytes that it was read from.
    fn into_job(self, whole: &Bytes) -> Result<Job, Undecodable> {
        let (payload, headers) = (self.payload(whole)?, self.checked_headers()?);
        let document = self;
        Ok(Job {
            envelope: Envelope::Job,
            headers,
            payload,
            id: document.id,
            customer_id: document.customer_id,
            endpoint_id: document.endpoint_id,
            ordering_group: document.ordering_group,
            event_type: document.event_type,
            query: document.query,
            path_parameters: document.path_parameters,
            not_before: document.not_before,
            expires_at: document.expires_at,
            traceparent: document.traceparent,
        })
    }

    fn payload(&self, whole: &Bytes) -> Result<Payload, Undecodable> {
        let (bytes, default_type) = match (self.data, &self.body, &self.body_base64) {
            (None, None, None) => {
                return match &self.content_type {
                    None => Ok(Payload { bytes: Bytes::new(), content_type: None }),
                    Some(_) => {
                        Err(invalid("contentType", "stands without data, body or bodyBase64"))
                    }
                };
            }
            (Some(data), None, None) => {
                (whole.slice_ref(data.get().as_bytes()), "application/json")
            }
            (None, Some(text), None) => {
                (Bytes::copy_from_slice(text.as_bytes()), "text/plain; charset=utf-8")
            }
            (None, None, Some(encoded)) => {
                let bytes = BASE64_STANDARD
                    .decode(encoded)
                    .map_err(|e| invalid("bodyBase64", format!("not base64: {e}")))?;
                (Bytes::from(bytes), "application/octet-stream")
            }
            (_, _, _) => {
                return Err(invalid("data", "expected only one of data, body and bodyBase64"));
            }
        };
        let content_type = self.content_type.as_deref().unwrap_or(default_type);
        let content_type =
            header::check_value(content_type).map_err(|e| invalid("contentType", e.to_string()))?;
        Ok(Payload { bytes, content_type: Some(content_type.to_owned()) })
    }

    fn checked_headers(&self) -> Result<BTreeMap<String, String>, Undecodable> {
        if let Some(twice) = duplicate_header(self.headers.keys()) {
            return Err(invalid(format!("headers.{twice}"), "named twice in different case"));
        }
        let mut checked = BTreeMap::new();
        for (name, value) in &self.headers {
            let path = || format!("headers.{name}");
            let (lower, trimmed) =
                header::check_plain(name, value).map_err(|e| invalid(path(), e.to_string()))?;
            if lower == "content-type" || lower == "traceparent" {
                let problem = "use the job's contentType or traceparent field instead";
                return Err(invalid(path(), problem));
            }
            checked.insert(lower, trimmed.to_owned());
        }
        if let Some(traceparent) = &self.traceparent {
            header::check_value(traceparent).map_err(|e| invalid("traceparent", e.to_string()))?;
        }
        Ok(checked)
    }
}

fn invalid(path: impl Into<String>, problem: impl Into<String>) -> Undecodable {
    undecodable(Reason::InvalidJob, path, problem)
}

fn undecodable(reason: Reason, path: impl Into<String>, problem: impl Into<String>) -> Undecodable {
    Undecodable { reason, error: FieldError::new(path, problem) }
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
