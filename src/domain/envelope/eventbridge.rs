//! An event of Amazon EventBridge, as a rule sends it to a queue (Amazon EventBridge User Guide,
//! "Events in Amazon EventBridge").

use super::fields::Fields;
use super::{Envelope, Pointers};
use crate::domain::job::{Job, Payload, Undecodable};

/// Reads an event; `None` if the message is none.
pub fn read(
    fields: &Fields<'_>,
    text: &str,
    pointers: &Pointers,
) -> Option<Result<Job, Undecodable>> {
    let is_one = ["detail-type", "detail", "source"].iter().all(|name| fields.get(name).is_some());
    is_one.then(|| job(fields, text, pointers))
}

fn job(fields: &Fields<'_>, text: &str, pointers: &Pointers) -> Result<Job, Undecodable> {
    let Pointers { eventbridge_customer: customer, eventbridge_endpoint: endpoint, .. } = pointers;
    Ok(Job {
        endpoint_id: fields.endpoint(endpoint, "eventbridge_endpoint")?,
        event_type: Some(fields.text("detail-type")?),
        ..Job::of_envelope(
            Envelope::EventBridge,
            fields.job_id("id")?,
            fields.customer(customer, "eventbridge_customer")?,
            Payload::of(text, "application/json"),
        )
    })
}
