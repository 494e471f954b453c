//! From the SDK's message to one that is held.

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as System};
use bytes::Bytes;

use super::attributes;
use super::envelope::{Envelope, State};
use super::fifo;
use super::in_flight::{Held, Origin, Progress};
use crate::domain::delivery::DeliveryState;
use crate::domain::senders::{Sender, Senders};
use crate::domain::timestamp::Timestamp;
use crate::ports::queue::Handle;

/// A message as it was received. `None` if it has no handle or id, which SQS always gives. Where
/// `senders` are known, what one of them says of the message that only ours may say is not believed.
///
/// `keeps_order` says whether it is a FIFO queue's.
pub fn held(
    message: Message,
    origin: Origin,
    keeps_order: bool,
    now: Timestamp,
    senders: Option<&Senders>,
) -> Option<Held> {
    let system = message.attributes.unwrap_or_default();
    let number = |name| system.get(&name).and_then(|text| text.parse::<i64>().ok());
    let own_id = message.message_id?;
    // The state of a message whose attribute cannot be read is what stands there: the pipeline
    // gives it up with its reason.
    let opened = attributes::open(message.message_attributes.unwrap_or_default());
    let sender_id = system.get(&System::SenderId);
    let is_stranger = |senders: &Senders| sender_id.is_none_or(|id| !senders.is_own(id));
    let is_strangers = senders.is_some_and(is_stranger);
    let is_marked = opened.envelope.is_some();
    let (envelope, unread) = match opened.envelope.filter(|_| !is_strangers) {
        None => (Envelope::default(), None),
        Some(Ok(envelope)) => (envelope, None),
        Some(Err(bytes)) => (Envelope::default(), Some(bytes)),
    };
    let sender = if is_strangers { sender_id.cloned() } else { envelope.sender };
    let sent_by = match (senders, &sender) {
        (None, _) => Sender::Unknown,
        (Some(_), Some(id)) => {
            Sender::Producer { id: id.clone(), is_marked: is_strangers && is_marked }
        }
        (Some(_), None) if is_strangers => Sender::Unknown,
        (Some(_), None) => Sender::Ours,
    };
    let own_group = system.get(&System::MessageGroupId).cloned();
    let group = match origin {
        Origin::Jobs => own_group,
        Origin::DeadLetters => envelope.group.or(own_group),
    };
    let own_sent_at = number(System::SentTimestamp).map_or(now, Timestamp::from_millis);
    let mut held = Held {
        handle: Handle(message.receipt_handle?.into()),
        origin,
        message_id: envelope.message_id.unwrap_or_else(|| own_id.clone()),
        own_id,
        sent_at: envelope.sent_at.unwrap_or(own_sent_at),
        not_before: envelope.not_before,
        receive_count: number(System::ApproximateReceiveCount)
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(1),
        hops: envelope.hops,
        moved_back: match origin {
            Origin::Jobs => envelope.dead_letter_id.clone().or(envelope.moved_back),
            Origin::DeadLetters => None,
        },
        dead_letter_id: envelope.dead_letter_id,
        sent_by,
        sender,
        state: unread.clone().or_else(|| envelope.state.as_ref().map(State::bytes)),
        unread,
        body: message.body.unwrap_or_default().into(),
        producer: opened.producer,
        ordered: fifo::ordered(group.as_deref().filter(|_| keeps_order)),
        group,
        trace: system.get(&System::AwsTraceHeader).cloned(),
        progress: Progress::default(),
    };
    if origin == Origin::Jobs && held.dead_letter_id.is_some() {
        begin_next_round(&mut held, own_sent_at);
    }
    Some(held)
}

/// A dead letter on the queue of jobs was moved back by AWS's own redrive: its age begins anew, and
/// so do its attempts. A redelivery gives the same, since the time is that of the move.
fn begin_next_round(held: &mut Held, moved_at: Timestamp) {
    held.sent_at = moved_at;
    let state = held.state.as_deref().and_then(|state| serde_json::from_slice(state).ok());
    let next = state.map(|state: DeliveryState| state.next_round(moved_at));
    if let Some(next) = next.and_then(|next| serde_json::to_vec(&next).ok()) {
        held.state = Some(Bytes::from(next));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sqs::types::MessageAttributeValue;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn message(ours: &str) -> Message {
        let value = MessageAttributeValue::builder().data_type("String").string_value(ours);
        let sent_at = NOW.as_millis().to_string();
        Message::builder()
            .message_id("own")
            .receipt_handle("h")
            .body("{}")
            .attributes(System::SentTimestamp, sent_at)
            .attributes(System::ApproximateReceiveCount, "3")
            .message_attributes(attributes::OURS, value.build().unwrap())
            .build()
    }

    #[test]
    fn a_retry_is_known_by_its_producers_message() {
        let earlier = "2026-11-23T10:00:00Z";
        let ours = format!(r#"{{"messageId":"first","sentAt":"{earlier}","hops":2}}"#);
        let held = held(message(&ours), Origin::Jobs, false, NOW, None).unwrap();
        let received = held.received();
        assert_eq!((held.own_id.as_str(), received.message_id.as_str()), ("own", "first"));
        assert_eq!(received.sent_at, earlier.parse().unwrap());
        assert_eq!((received.receive_count, received.hops), (3, 2));
    }

    #[test]
    fn a_dead_letter_on_the_queue_of_jobs_begins_its_next_round() {
        let state =
            r#"{"jobId":"j","round":2,"attempt":7,"hops":1,"acceptedAt":"2026-11-23T10:00:00Z"}"#;
        let ours =
            format!(r#"{{"messageId":"first","deadLetterId":"dl_1","state":{{"json":{state}}}}}"#);
        let on = |origin| held(message(&ours), origin, false, NOW, None).unwrap();
        let back = on(Origin::Jobs);
        let state: DeliveryState = serde_json::from_slice(&back.state.clone().unwrap()).unwrap();
        assert_eq!((state.round, state.attempt, state.accepted_at), (3, 0, NOW));
        let received = back.received();
        assert_eq!(
            (&*received.message_id, received.moved_back.as_deref()),
            ("first", Some("dl_1"))
        );
        assert_eq!(on(Origin::DeadLetters).dead_letter_id.as_deref(), Some("dl_1"));
    }

    #[test]
    fn what_cannot_be_read_is_handed_on_as_the_state() {
        let held = held(message("nonsense"), Origin::Jobs, false, NOW, None).unwrap();
        assert_eq!(held.state.as_deref(), Some(&b"nonsense"[..]));
        assert_eq!(held.message_id, "own");
    }

    #[test]
    fn what_a_producer_says_in_our_name_is_not_believed_where_senders_are_known() {
        let senders: Senders =
            serde_json::from_str(r#"{"own":["OURS"],"customers":{"THEIRS":["*"]}}"#).unwrap();
        let state = r#"{"json":{"jobId":"j","attempt":7,"acceptedAt":"2026-11-23T10:00:00Z"}}"#;
        let ours = format!(
            r#"{{"messageId":"first","deadLetterId":"dl_1","sender":"FIRST","state":{state}}}"#
        );
        let from = |sender: Option<&str>, senders: Option<&Senders>| {
            let mut message = message(&ours);
            let system = message.attributes.as_mut().unwrap();
            sender.map(|id| system.insert(System::SenderId, id.to_owned()));
            held(message, Origin::Jobs, false, NOW, senders).unwrap()
        };
        let believed = from(Some("OURS:task-1"), Some(&senders));
        let first = Sender::Producer { id: "FIRST".to_owned(), is_marked: false };
        assert_eq!((believed.message_id.as_str(), &believed.sent_by), ("first", &first));
        assert!(believed.state.is_some() && believed.moved_back.is_some());
        assert_eq!(believed.sender.as_deref(), Some("FIRST"));
        for (id, sent_by) in [
            (Some("THEIRS"), Sender::Producer { id: "THEIRS".to_owned(), is_marked: true }),
            (None, Sender::Unknown),
        ] {
            let forged = from(id, Some(&senders));
            assert_eq!((forged.message_id.as_str(), &forged.sent_by), ("own", &sent_by));
            assert_eq!(forged.sender.as_deref(), id, "it is told who it was, and nothing else");
            assert!(forged.state.is_none() && forged.moved_back.is_none());
            assert!(forged.dead_letter_id.is_none());
        }
        // Nobody asks: nothing changes.
        let unasked = from(None, None);
        assert_eq!((unasked.message_id.as_str(), &unasked.sent_by), ("first", &Sender::Unknown));
        assert_eq!(unasked.sender.as_deref(), Some("FIRST"), "it is carried on all the same");
    }
}
