//! A CloudEvent in the structured mode of JSON (CloudEvents 1.0.2, "JSON Event Format").

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use sha2::{Digest, Sha256};

use super::fields::Fields;
use super::{Envelope, Pointers, invalid};
use crate::domain::ids::JobId;
use crate::domain::job::{Job, Payload, Undecodable};

/// Reads an event; `None` if the message is none.
pub fn read(
    fields: &Fields<'_>,
    text: &str,
    pointers: &Pointers,
) -> Option<Result<Job, Undecodable>> {
    fields.get("specversion").map(|_| job(fields, text, pointers))
}

fn job(fields: &Fields<'_>, text: &str, pointers: &Pointers) -> Result<Job, Undecodable> {
    if fields.text("specversion")? != "1.0" {
        return Err(invalid("specversion", "expected \"1.0\": no other version is known"));
    }
    if fields.get("data").is_some() && fields.get("data_base64").is_some() {
        return Err(invalid("data", "expected only one of data and data_base64"));
    }
    if fields.get("data_base64").is_some() {
        let decoded = BASE64_STANDARD.decode(fields.text("data_base64").unwrap_or_default());
        decoded.map_err(|e| invalid("data_base64", format!("not base64: {e}")))?;
    }
    let Pointers { cloudevents_customer: customer, cloudevents_endpoint: endpoint, .. } = pointers;
    Ok(Job {
        endpoint_id: fields.endpoint(endpoint, "cloudevents_endpoint")?,
        event_type: Some(fields.text("type")?),
        ..Job::of_envelope(
            Envelope::CloudEvents,
            job_id(&fields.text("source")?, &fields.text("id")?)?,
            fields.customer(customer, "cloudevents_customer")?,
            Payload::of(text, "application/cloudevents+json"),
        )
    })
}

/// The job's id of an event. An event's own id is unique only beside its source, is of any
/// characters and of any length, so the job's is a hash of both.
fn job_id(source: &str, id: &str) -> Result<JobId, Undecodable> {
    let mut hasher = Sha256::new();
    // The length divides the two: either may hold anything.
    hasher.update((source.len() as u64).to_be_bytes());
    hasher.update(source.as_bytes());
    hasher.update(id.as_bytes());
    let digest: [u8; 32] = hasher.finalize().into();
    let named = format!("ce_{}", BASE64_URL_SAFE_NO_PAD.encode(digest));
    named.parse().map_err(|e| invalid("id", format!("{e}")))
}
