//! Dead letters as tests make them.

use sealpost::domain::dead_letter::{DeadLetter, job_sha256};
use sealpost::domain::reason::Reason;
use sealpost::ports::queue::Received;

/// The index record of a message that is given up.
pub fn letter(id: &str, message: &Received) -> DeadLetter {
    DeadLetter {
        id: id.to_owned(),
        message_id: message.message_id.clone(),
        customer_id: Some("customer-123".parse().unwrap()),
        endpoint_id: None,
        job_id: None,
        child: None,
        event_type: None,
        round: 1,
        reason: Reason::TooOld,
        message: "too old".to_owned(),
        accepted_at: message.sent_at,
        dead_at: message.sent_at,
        attempts: 0,
        history: Vec::new(),
        job_size: message.body.len(),
        job_sha256: job_sha256(&message.body),
        attributes: Default::default(),
    }
}
