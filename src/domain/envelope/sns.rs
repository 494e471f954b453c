//! A notification of Amazon SNS, without raw message delivery (Amazon SNS Developer Guide, "Parsing
//! Amazon SNS message formats"). Its signature is not verified: who may send to the queue is the
//! queue's own policy.

use serde::de::IgnoredAny;

use super::fields::Fields;
use super::{Envelope, Pointers, event, invalid};
use crate::domain::job::{Job, Payload, Undecodable};

/// Reads a notification; `None` if the message is none.
pub fn read(fields: &Fields<'_>, pointers: &Pointers) -> Option<Result<Job, Undecodable>> {
    fields.get("TopicArn")?;
    match fields.text("Type").ok()?.as_str() {
        "Notification" => Some(notification(fields, pointers)),
        "SubscriptionConfirmation" => {
            let problem = "a topic asks whether it may send here: confirm the subscription by opening the message's SubscribeURL, or subscribe the queue with an owner's rights, then purge this";
            Some(Err(invalid("Type", problem)))
        }
        "UnsubscribeConfirmation" => {
            let problem = "a topic was unsubscribed and sends no more: subscribe the queue again if that was not meant, then purge this";
            Some(Err(invalid("Type", problem)))
        }
        // Not one of the three that there are.
        _ => None,
    }
}

fn notification(fields: &Fields<'_>, pointers: &Pointers) -> Result<Job, Undecodable> {
    let id = fields.job_id("MessageId")?;
    let message = fields.get("Message").and_then(|raw| serde_json::from_str::<String>(raw).ok());
    let message = message.ok_or_else(|| invalid("Message", "expected a string"))?;
    let not_a_job = match Job::decode(message.as_bytes()) {
        Ok(job) => return Ok(Job { id: job.id.or(Some(id)), ..job }),
        Err(undecodable) => undecodable,
    };
    // One level only: a notification inside is what is delivered.
    let inside = Fields::of(&message).and_then(|inner| event(&inner, &message, pointers));
    if let Some(job) = inside {
        return job.map_err(|e| Undecodable { error: e.error.under("Message"), ..e });
    }
    let Pointers { sns_customer, sns_endpoint, sns_type, .. } = pointers;
    let customer = fields.customer(sns_customer, "sns_customer").map_err(|mut missing| {
        let why = format!("; and its Message is no job: {}", not_a_job.error);
        missing.error.problem.push_str(&why);
        missing
    })?;
    let is_json = serde_json::from_str::<IgnoredAny>(&message).is_ok();
    let content_type = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
    Ok(Job {
        endpoint_id: fields.endpoint(sns_endpoint, "sns_endpoint")?,
        event_type: fields.named(sns_type, "sns_type")?,
        ..Job::of_envelope(Envelope::Sns, id, customer, Payload::of(&message, content_type))
    })
}
