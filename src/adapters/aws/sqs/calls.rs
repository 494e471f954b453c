//! The batch calls: send, delete, change visibility.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::BuildError;
use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry,
    DeleteMessageBatchRequestEntry, MessageSystemAttributeNameForSends,
    MessageSystemAttributeValue, SendMessageBatchRequestEntry,
};

use super::attributes::Closed;
use super::batch::{Answer, BatchCall};
use super::checksum;
use crate::adapters::aws::{Failure, Kind};
use crate::ports::queue::Handle;

/// A message to be sent.
#[derive(Debug, Clone, Default)]
pub struct Outgoing {
    /// The body.
    pub body: String,
    /// The attributes.
    pub closed: Closed,
    /// `DelaySeconds`; `None` leaves it to the queue.
    pub delay: Option<i32>,
    /// The message group, by which fair queues are fair.
    pub group: Option<String>,
    /// The X-Ray trace header. It does not count toward the message's size.
    pub trace: Option<String>,
}

/// SendMessageBatch to one queue; gives the ids of the messages.
pub struct Sends {
    /// The client.
    pub client: Client,
    /// The queue.
    pub queue_url: String,
}

/// DeleteMessageBatch from one queue. A stale handle is no failure.
pub struct Deletes {
    /// The client.
    pub client: Client,
    /// The queue.
    pub queue_url: String,
}

/// ChangeMessageVisibilityBatch in one queue; gives whether the handle still held its message.
pub struct Visibility {
    /// The client.
    pub client: Client,
    /// The queue.
    pub queue_url: String,
}

#[async_trait]
impl BatchCall for Sends {
    type Entry = Outgoing;
    type Done = String;

    fn size(&self, entry: &Outgoing) -> usize {
        entry.body.len() + entry.closed.size
    }

    async fn call(&self, entries: &[&Outgoing]) -> Result<Vec<Answer<String>>, Failure> {
        let sent = entries;
        let entries = numbered(entries, |id, entry| {
            SendMessageBatchRequestEntry::builder()
                .id(id)
                .message_body(&entry.body)
                .set_message_attributes(Some(entry.closed.attributes.clone()))
                .set_delay_seconds(entry.delay)
                .set_message_group_id(entry.group.clone())
                .set_message_system_attributes(entry.trace.as_ref().and_then(trace_header))
                .build()
        })?;
        let count = entries.len();
        let request = self.client.send_message_batch().queue_url(&self.queue_url);
        let output = request.set_entries(Some(entries)).send().await;
        let output = output.map_err(|error| Failure::of(&error))?;
        let mut altered = Vec::new();
        let done = output.successful.into_iter().map(|entry| {
            let place = entry.id.parse().unwrap_or(usize::MAX);
            let body = sent.get(place).map_or("", |outgoing| &outgoing.body);
            let checked = checksum::check(body, Some(&entry.md5_of_message_body));
            altered.extend(checked.err().map(|failure| (place, failure)));
            (entry.id, entry.message_id)
        });
        let mut answers = in_order(count, done, output.failed);
        // What is there is not what was sent, which has to be sent still.
        for (place, failure) in altered {
            if let Some(answer) = answers.get_mut(place) {
                *answer = Answer::Again(failure);
            }
        }
        Ok(answers)
    }
}

#[async_trait]
impl BatchCall for Deletes {
    type Entry = Handle;
    type Done = ();

    fn size(&self, _: &Handle) -> usize {
        0
    }

    async fn call(&self, entries: &[&Handle]) -> Result<Vec<Answer<()>>, Failure> {
        let entries = numbered(entries, |id, handle| {
            DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(&*handle.0).build()
        })?;
        let count = entries.len();
        let request = self.client.delete_message_batch().queue_url(&self.queue_url);
        let output = request.set_entries(Some(entries)).send().await;
        let output = output.map_err(|error| Failure::of(&error))?;
        let done = output.successful.into_iter().map(|entry| (entry.id, ()));
        Ok(passing_over_stale(in_order(count, done, output.failed), ()))
    }
}

/// A handle and for how many seconds its message stays invisible.
pub type Change = (Handle, i32);

#[async_trait]
impl BatchCall for Visibility {
    type Entry = Change;
    type Done = bool;

    fn size(&self, _: &Change) -> usize {
        0
    }

    async fn call(&self, entries: &[&Change]) -> Result<Vec<Answer<bool>>, Failure> {
        let entries = numbered(entries, |id, (handle, seconds)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(id)
                .receipt_handle(&*handle.0)
                .visibility_timeout(*seconds)
                .build()
        })?;
        let count = entries.len();
        let request = self.client.change_message_visibility_batch().queue_url(&self.queue_url);
        let output = request.set_entries(Some(entries)).send().await;
        let output = output.map_err(|error| Failure::of(&error))?;
        let done = output.successful.into_iter().map(|entry| (entry.id, true));
        Ok(passing_over_stale(in_order(count, done, output.failed), false))
    }
}

fn trace_header(
    trace: &String,
) -> Option<HashMap<MessageSystemAttributeNameForSends, MessageSystemAttributeValue>> {
    let value = MessageSystemAttributeValue::builder().data_type("String").string_value(trace);
    Some(HashMap::from([(MessageSystemAttributeNameForSends::AwsTraceHeader, value.build().ok()?)]))
}

/// The request's entries: their ids are their places.
fn numbered<E, R>(
    entries: &[&E],
    build: impl Fn(String, &E) -> Result<R, BuildError>,
) -> Result<Vec<R>, Failure> {
    let built = entries.iter().enumerate().map(|(place, entry)| build(place.to_string(), entry));
    built.collect::<Result<_, _>>().map_err(|error| Failure {
        kind: Kind::Refused,
        code: None,
        request_id: None,
        message: error.to_string(),
    })
}

/// The answers in the order of the entries. What the service does not mention is tried again.
fn in_order<T: Clone>(
    count: usize,
    done: impl Iterator<Item = (String, T)>,
    failed: Vec<BatchResultErrorEntry>,
) -> Vec<Answer<T>> {
    let unmentioned = Failure {
        kind: Kind::ServiceFault,
        code: None,
        request_id: None,
        message: "the service does not say what became of this entry".to_owned(),
    };
    let mut answers = vec![Answer::Again(unmentioned); count];
    let done = done.map(|(id, done)| (id, Answer::Done(done)));
    let failed = failed.into_iter().map(|entry| (entry.id.clone(), failure_of(entry)));
    for (id, answer) in done.chain(failed) {
        if let Some(place) = id.parse::<usize>().ok().and_then(|place| answers.get_mut(place)) {
            *place = answer;
        }
    }
    answers
}

/// What is not the sender's fault passes; nor is throttling, whoever is blamed for it.
fn failure_of<T>(entry: BatchResultErrorEntry) -> Answer<T> {
    let throttled = entry.code.contains("Throttl");
    let kind = match (throttled, entry.sender_fault) {
        (true, _) => Kind::Throttled,
        (false, true) => Kind::Refused,
        (false, false) => Kind::ServiceFault,
    };
    let (code, message) = (Some(entry.code), entry.message.unwrap_or_default());
    let failure = Failure { kind, code, request_id: None, message };
    if kind == Kind::Refused { Answer::Refused(failure) } else { Answer::Again(failure) }
}

/// Takes the refusal of a handle for `stale`: its message was settled or received by another.
///
/// AWS lets a stale handle pass at a delete ("DeleteMessage": it succeeds, and the message may
/// stay); the emulator errs. At a change of visibility both err.
fn passing_over_stale<T>(answers: Vec<Answer<T>>, stale: T) -> Vec<Answer<T>>
where
    T: Copy,
{
    let is_stale = |failure: &Failure| {
        let code = failure.code.as_deref().unwrap_or_default();
        let code = code.rsplit('.').next().unwrap_or(code);
        match code {
            "ReceiptHandleIsInvalid" | "MessageNotInflight" => true,
            // "Reason: The receipt handle has expired" or "Message does not exist or is not
            // available for visibility timeout change".
            "InvalidParameterValue" => {
                failure.message.contains("expired") || failure.message.contains("not exist")
            }
            _ => false,
        }
    };
    let passed = |answer| match answer {
        Answer::Refused(failure) if is_stale(&failure) => Answer::Done(stale),
        Answer::Done(_) | Answer::Again(_) | Answer::Refused(_) => answer,
    };
    answers.into_iter().map(passed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(id: &str, code: &str, message: &str, sender_fault: bool) -> BatchResultErrorEntry {
        let entry = BatchResultErrorEntry::builder().id(id).code(code).message(message);
        entry.sender_fault(sender_fault).build().unwrap()
    }

    #[test]
    fn answers_come_in_the_order_of_the_entries_and_silence_is_tried_again() {
        let done = [("2".to_owned(), 'c'), ("0".to_owned(), 'a')];
        let failures = vec![
            failed("1", "InvalidMessageContents", "", true),
            failed("3", "InternalError", "", false),
            failed("4", "ThrottlingException", "", true),
        ];
        let answers = in_order(6, done.into_iter(), failures);
        let told: Vec<&str> = answers
            .iter()
            .map(|answer| match answer {
                Answer::Done(_) => "done",
                Answer::Again(_) => "again",
                Answer::Refused(_) => "refused",
            })
            .collect();
        assert_eq!(told, ["done", "refused", "done", "again", "again", "again"]);
    }

    #[test]
    fn a_stale_handle_is_no_failure_and_a_malformed_call_is_one() {
        let refused = |code, message| {
            let answers = in_order(1, std::iter::empty(), vec![failed("0", code, message, true)]);
            passing_over_stale(answers, false).remove(0)
        };
        let expired = "Value x for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.";
        assert_eq!(refused("ReceiptHandleIsInvalid", ""), Answer::Done(false));
        assert_eq!(refused("InvalidParameterValue", expired), Answer::Done(false));
        let timeout = "Value 99999 for parameter VisibilityTimeout is invalid.";
        assert!(matches!(refused("InvalidParameterValue", timeout), Answer::Refused(_)));
    }
}
