//! A rule's target, as settings of an endpoint; and the target that takes its place: the queue.

use serde_json::{Map, Value, json};

use super::Finding;
use super::account::{Rule, Target};
use super::plan::Who;
use crate::domain::profile::Profile;

/// What a target gives to an endpoint.
#[derive(Debug, Default)]
pub struct Mapped {
    /// Members of the endpoint.
    pub members: Map<String, Value>,
    /// Headers, over which those of the connection take precedence.
    pub headers: Map<String, Value>,
    /// Query parameters; likewise.
    pub query: Map<String, Value>,
    /// What its owner should know.
    pub findings: Vec<Finding>,
}

/// Maps a target.
pub fn map(rule: &Rule, target: &Target) -> Mapped {
    let mut mapped = Mapped::default();
    mapped
        .members
        .insert("eventbridge".to_owned(), json!({"ruleArn": rule.arn, "targetArn": target.arn}));
    let parameters = &target.http_parameters;
    if !parameters.path_parameter_values.is_empty() {
        let values = parameters.path_parameter_values.iter().map(|v| value(v)).collect();
        mapped.members.insert("pathParameters".to_owned(), values);
    }
    for (key, text) in &parameters.header_parameters {
        if Profile::EventBridge.lets_be_set(&key.to_ascii_lowercase()) {
            mapped.headers.insert(key.clone(), value(text));
        } else {
            let what = format!("the header {key} is left out: EventBridge removes it as well");
            mapped.findings.push(Finding::Change(what));
        }
    }
    let query = parameters.query_string_parameters.iter();
    mapped.query.extend(query.map(|(key, text)| (key.clone(), value(text))));
    mapped.body(target);
    mapped.retry(target);
    if let Some(queue) = target.dead_letter_config.as_ref().and_then(|c| c.arn.as_deref()) {
        mapped.findings.push(Finding::Change(format!(
            "what is given up goes to the workers' own dead-letter queue and index, not to {queue}"
        )));
    }
    if rule.state.as_deref() == Some("DISABLED") {
        let what = format!("the rule {} is disabled: the endpoint is not", rule.name);
        mapped.findings.push(Finding::Change(what));
    }
    mapped
}

/// A text, or a path into the event.
fn value(text: &str) -> Value {
    if text == "$" || text.starts_with("$.") { json!({"event": text}) } else { json!(text) }
}

impl Mapped {
    fn body(&mut self, target: &Target) {
        let body = if let Some(transformer) = &target.input_transformer {
            json!({"inputTransformer": {"inputPathsMap": transformer.input_paths_map,
                                        "inputTemplate": transformer.input_template}})
        } else if let Some(constant) = &target.input {
            // A constant is JSON, where `<` stands in strings alone and can be written otherwise.
            let template = constant.replace('<', "\\u003c");
            if template != *constant {
                let what = "the constant input is sent with \\u003c for <, which is the same JSON";
                self.findings.push(Finding::Change(what.to_owned()));
            }
            json!({"inputTransformer": {"inputTemplate": template}})
        } else if let Some(path) = target.input_path.as_deref().filter(|path| *path != "$") {
            json!({"inputPath": path})
        } else {
            return;
        };
        self.members.insert("body".to_owned(), body);
    }

    fn retry(&mut self, target: &Target) {
        let mut retry = Map::new();
        if let Some(retries) = target.retry_policy.maximum_retry_attempts {
            retry.insert("maxAttempts".to_owned(), json!(u64::from(retries) + 1));
        }
        if let Some(seconds) = target.retry_policy.maximum_event_age_in_seconds {
            retry.insert("maxAge".to_owned(), json!(format!("{seconds}s")));
            // A single wait may not be longer than the age.
            retry.insert("maxDelay".to_owned(), json!(format!("{seconds}s")));
        }
        if !retry.is_empty() {
            self.members.insert("retry".to_owned(), Value::Object(retry));
        }
    }
}

/// The target that sends a rule's events to the queue, for one endpoint: as "PutTargets" takes it.
/// The event's id is the job's, so an event that a rule sends twice is one delivery.
pub fn queue_target(queue: &str, who: &Who) -> Value {
    let template = format!(
        "{{\"id\": <id>, \"customerId\": \"{}\", \"endpointId\": \"{}\", \"type\": <type>, \
         \"data\": <aws.events.event.json>}}",
        who.customer, who.endpoint
    );
    json!({"Id": format!("sealpost-{:.50}", who.endpoint.as_str().replace([':', '@'], "-")), "Arn": queue,
           "InputTransformer": {"InputPathsMap": {"id": "$.id", "type": "$.detail-type"},
                                "InputTemplate": template}})
}
