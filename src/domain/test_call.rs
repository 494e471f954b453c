//! A test call: somebody who has registered an endpoint wants to see one call of it, made by a worker as
//! a delivery's would be. It travels as a message of its own, and its answer is kept for an hour.
//!
//! It is nobody's delivery: it spends no attempt, claims no fence, is never tried again or
//! dead-lettered, and what comes of it neither pauses nor disables the endpoint.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::test_report::TestReport;
use crate::domain::timestamp::Timestamp;

/// The header that every test call bears, whatever the endpoint's profile sends beside.
pub const TEST_HEADER: &str = "sealpost-test";
/// The type of a test's event where none is named.
pub const TEST_TYPE: &str = "sealpost.test";
/// What a test call's id begins with: receivers see it as `webhook-id`.
pub const ID_PREFIX: &str = "test_";
/// How long a worker may take to begin: a call that comes later surprises its receiver.
pub const BEGIN_WITHIN: Duration = Duration::from_secs(60);
/// How long the answer is kept.
const KEPT: Duration = Duration::from_secs(3600);
/// Longest time that a test call may take, whatever the endpoint's timeout: somebody waits for it.
pub const LONGEST: Duration = Duration::from_secs(30);
/// Largest event that is sent to test, in bytes.
pub const MAX_DATA: usize = 64 * 1024;

/// What is called for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestKind {
    /// To see a call as a delivery's would be.
    #[default]
    Test,
    /// To make the handshake that the endpoint asks for.
    Handshake,
}

/// What is asked for, in the place of a delivery's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestCall {
    /// Names the answer; nobody else comes up with it.
    pub id: String,
    /// Whose endpoint is called.
    pub customer_id: CustomerId,
    /// Which endpoint is called.
    pub endpoint_id: EndpointId,
    /// What is called for.
    #[serde(default)]
    pub kind: TestKind,
    /// When it was asked for.
    pub asked_at: Timestamp,
}

/// The event that is sent: what a job brings beside its ids.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TestEvent {
    /// Its type; [`TEST_TYPE`] by default.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Its data; a short text by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// Headers for this call.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Query parameters for this call.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// One for each wildcard of the endpoint's URL.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path_parameters: Vec<String>,
}

/// A test call as it is kept: with its answer, once there is one. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestRecord {
    /// What was asked.
    #[serde(flatten)]
    pub call: TestCall,
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<TestReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State<'t> {
    test_call: &'t TestCall,
}

impl TestCall {
    /// A call of an endpoint, asked for at `now`. `token` is a random text.
    pub fn new(
        token: String,
        customer_id: CustomerId,
        endpoint_id: EndpointId,
        kind: TestKind,
        now: Timestamp,
    ) -> Self {
        Self { id: format!("{ID_PREFIX}{token}"), customer_id, endpoint_id, kind, asked_at: now }
    }

    /// Nobody makes the call from then on.
    pub fn begins_before(&self) -> Timestamp {
        self.asked_at.plus(BEGIN_WITHIN)
    }

    /// The answer is kept until then.
    pub fn kept_until(&self) -> Timestamp {
        self.asked_at.plus(KEPT)
    }

    /// The state of the message that asks for it.
    ///
    /// # Errors
    /// Never: all of it can be written as JSON.
    pub fn to_state(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&State { test_call: self })
    }

    /// The job whose call is made.
    pub fn job(&self, event: &TestEvent) -> Value {
        let mut headers = event.headers.clone();
        headers.insert(TEST_HEADER.to_owned(), "true".to_owned());
        let event_type = event.event_type.as_deref().unwrap_or(TEST_TYPE);
        let data = event.data.clone();
        let data = data.unwrap_or_else(|| json!({"test": true, "message": "a test of sealpost"}));
        json!({"id": self.id, "customerId": self.customer_id, "endpointId": self.endpoint_id,
               "type": event_type, "data": data, "headers": headers, "query": event.query,
               "pathParameters": event.path_parameters})
    }
}

impl TestRecord {
    /// How it stands at `now`: `pending`, `passed`, `failed`, or `unanswered` if no worker has answered in
    /// time and none will.
    pub fn state(&self, now: Timestamp) -> &'static str {
        match &self.report {
            None if now >= self.call.begins_before().plus(LONGEST) => "unanswered",
            None => "pending",
            Some(report) if report.has_passed() => "passed",
            Some(_) => "failed",
        }
    }

    /// For machines: what was asked, how it stands at `now`, and the report.
    pub fn to_json(&self, now: Timestamp) -> Value {
        let mut shown = json!({"id": self.call.id, "customerId": self.call.customer_id,
            "endpointId": self.call.endpoint_id, "kind": self.call.kind, "askedAt": self.call.asked_at,
            "expiresAt": self.call.kept_until(), "state": self.state(now)});
        if let Some(report) = &self.report {
            shown["report"] = report.to_json();
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::Job;

    #[test]
    fn its_job_is_marked_as_a_test_and_names_its_endpoint() {
        let (customer, endpoint) = ("c".parse().unwrap(), "e".parse().unwrap());
        let (kind, now) = (TestKind::Test, Timestamp::from_millis(0));
        let test = TestCall::new("1".to_owned(), customer, endpoint, kind, now);
        let job = test.job(&TestEvent::default()).to_string();
        let job = Job::decode(job.as_bytes()).unwrap();
        assert_eq!(job.id.unwrap().as_str(), "test_1");
        assert_eq!(job.headers[TEST_HEADER], "true");
        assert_eq!(job.event_type.as_deref(), Some(TEST_TYPE));
        assert_eq!(job.endpoint_id.unwrap().as_str(), "e");
    }
}
