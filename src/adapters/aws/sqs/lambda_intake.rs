//! Messages that AWS Lambda has received for its function (AWS Lambda Developer Guide, "Using Lambda with
//! Amazon SQS"). Lambda deletes what the function does not name as failed, so a message counts as settled
//! only when it has been deleted here: what was given back, or could not be settled, is named.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use futures_util::future::join_all;
use serde::Deserialize;

use super::arrive;
use super::in_flight::{Held, Origin};
use super::settle::Settler;
use crate::adapters::aws::Failure;
use crate::ports::queue::{Intake, Received};
use crate::ports::{Error, Result};

const OPERATION: &str = "queue.take_over";

/// Takes over the messages of one event after the other.
pub struct LambdaIntake {
    settler: Arc<Settler>,
    batch: Mutex<Vec<Arc<Held>>>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    message_id: String,
    receipt_handle: String,
    body: String,
    #[serde(default)]
    attributes: HashMap<String, String>,
    #[serde(default)]
    message_attributes: HashMap<String, Attribute>,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attribute {
    data_type: String,
    string_value: Option<String>,
    binary_value: Option<String>,
}

impl LambdaIntake {
    /// Over the queues that `settler` settles in.
    pub(super) fn new(settler: Arc<Settler>) -> Self {
        Self { settler, batch: Mutex::default() }
    }

    /// Every record as the message that a receive would have brought.
    fn held(&self, event: serde_json::Value) -> Result<Vec<Arc<Held>>> {
        if self.settler.jobs.keeps_order {
            let problem = "order is kept by workers: run `sealpost worker` on a FIFO queue";
            return Err(Error::new(OPERATION, problem));
        }
        let event: Event = serde_json::from_value(event)
            .map_err(|e| Error::new(OPERATION, format!("this is no event of SQS: {e}")))?;
        let Settler { jobs, in_flight, clock, senders, .. } = &*self.settler;
        let queue = jobs.url.rsplit('/').next().unwrap_or_default();
        let mut held = Vec::with_capacity(event.records.len());
        for record in event.records {
            if record.event_source_arn.rsplit(':').next() != Some(queue) {
                let arn = record.event_source_arn;
                let problem = format!("{arn} is not the queue of aws.queue_url, {queue}");
                return Err(Error::new(OPERATION, problem));
            }
            let now = clock.now();
            let message = record.message()?;
            // It has its id and its handle: nothing is dropped here.
            let message = arrive::held(message, Origin::Jobs, false, now, senders.get());
            held.extend(message.map(|message| in_flight.take(message, jobs.lease, now)));
        }
        Ok(held)
    }
}

impl Record {
    fn message(self) -> Result<Message> {
        let mut attributes = HashMap::with_capacity(self.message_attributes.len());
        for (name, attribute) in self.message_attributes {
            let bytes = attribute.binary_value.map(|text| BASE64_STANDARD.decode(text)).transpose();
            let bytes =
                bytes.map_err(|e| Error::new(OPERATION, format!("attribute {name}: {e}")))?;
            let value = MessageAttributeValue::builder()
                .data_type(attribute.data_type)
                .set_string_value(attribute.string_value)
                .set_binary_value(bytes.map(Blob::new))
                .build();
            attributes.insert(name, value.map_err(|e| Error::new(OPERATION, e))?);
        }
        let system = self.attributes.into_iter();
        let system = system.map(|(name, text)| (MessageSystemAttributeName::from(&*name), text));
        Ok(Message::builder()
            .message_id(self.message_id)
            .receipt_handle(self.receipt_handle)
            .body(self.body)
            .set_attributes(Some(system.collect()))
            .set_message_attributes(Some(attributes))
            .build())
    }
}

#[async_trait]
impl Intake for LambdaIntake {
    async fn take_over(&self, event: serde_json::Value) -> Result<Vec<Received>> {
        let held = self.held(event)?;
        self.batch.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&held);
        let now = self.settler.clock.now();
        let is_early = |held: &Arc<Held>| held.not_before.is_some_and(|at| at > now);
        let (early, due): (Vec<_>, Vec<_>) = held.into_iter().partition(is_early);
        // One that cannot be sent on is not settled, and comes back.
        let sent = early.iter().map(|held| self.settler.send_anew(held, held.not_before));
        let _: Vec<std::result::Result<(), Failure>> = join_all(sent).await;
        Ok(due.iter().map(|held| held.received()).collect())
    }

    fn unsettled(&self) -> Vec<String> {
        let batch = std::mem::take(&mut *self.batch.lock().unwrap_or_else(PoisonError::into_inner));
        let left = batch.into_iter().filter(|held| !held.is_deleted());
        left.map(|held| {
            self.settler.in_flight.forget(&held.handle);
            held.own_id.clone()
        })
        .collect()
    }
}
