use aws_sdk_sqs::primitives::Blob;

use super::*;
use crate::adapters::aws::sqs::envelope::State;
use crate::domain::dead_letter::job_sha256;
use crate::domain::delivery::DeliveryState;
use crate::domain::outcome::{Attempt, AttemptOutcome};
use crate::domain::reason::Reason;
use crate::domain::timestamp::Timestamp;

const LIMIT: usize = 1_048_576;

fn producer(count: usize) -> Attributes {
    (0..count).map(|n| (format!("p{n}"), text("x".repeat(n + 1)))).collect()
}

fn state(attempts: u32) -> DeliveryState {
    let at = Timestamp::from_millis(1_800_000_000_000);
    let attempt = |number| Attempt {
        number,
        at,
        duration_ms: 5,
        address: None,
        outcome: AttemptOutcome::Answered { status: 503, retry_after_ms: None, never_again: false },
        detail: "z".repeat(300),
    };
    let first = DeliveryState::first("evt_1".parse().unwrap(), at);
    (1..=attempts).map(attempt).fold(first, DeliveryState::after)
}

fn envelope(state: &DeliveryState) -> Envelope {
    let bytes = serde_json::to_vec(state).unwrap().into();
    Envelope {
        message_id: Some("6f9c".into()),
        state: Some(State::of(&bytes)),
        ..Envelope::default()
    }
}

fn letter() -> DeadLetter {
    let at = Timestamp::from_millis(1_800_000_000_000);
    DeadLetter {
        id: "dl_0123456789abcdef01234567".into(),
        message_id: "6f9c".into(),
        customer_id: Some("customer-123".parse().unwrap()),
        endpoint_id: None,
        job_id: None,
        child: None,
        event_type: None,
        round: 1,
        reason: Reason::Rejected,
        message: String::new(),
        accepted_at: at,
        dead_at: at,
        attempts: 1,
        history: Vec::new(),
        job_size: 0,
        job_sha256: job_sha256(b""),
        attributes: BTreeMap::new(),
    }
}

fn read_state(opened: &Opened) -> DeliveryState {
    let envelope = opened.envelope.as_ref().unwrap().as_ref().unwrap();
    serde_json::from_slice(&envelope.state.as_ref().unwrap().bytes()).unwrap()
}

#[test]
fn a_new_job_has_no_attribute_of_ours() {
    let closed = close(Envelope::default(), &producer(10), 5, LIMIT).unwrap();
    assert_eq!(closed.attributes.len(), 10);
    assert!(!closed.attributes.contains_key(OURS));
}

#[test]
fn a_producer_keeps_all_its_ten_attributes_through_a_retry_and_a_dead_letter() {
    let mut ten = producer(9);
    let binary = MessageAttributeValue::builder()
        .data_type("Binary.gif")
        .binary_value(Blob::new([0u8, 255]))
        .build()
        .unwrap();
    ten.insert("b".into(), binary);
    let closed = close(envelope(&state(1)), &ten, 5, LIMIT).unwrap();
    assert_eq!(closed.attributes.len(), 10);
    assert!(closed.attributes.contains_key("p8"), "the largest stay outside");
    let opened = open(closed.attributes);
    assert_eq!(opened.producer, ten);
    assert_eq!(read_state(&opened), state(1));
    let dead = close_dead_letter(envelope(&state(1)), &ten, &letter(), 5, LIMIT).unwrap();
    assert_eq!(dead.attributes.len(), 10);
    let filter = |name: &str| dead.attributes[name].string_value.clone().unwrap();
    assert_eq!(filter("sealpost-dead-letter-id"), letter().id);
    assert_eq!(filter("sealpost-customer-id"), "customer-123");
    assert_eq!(filter("sealpost-reason"), "rejected");
    assert_eq!(open(dead.attributes).producer, ten, "ours are not the producer's");
}

#[test]
fn a_size_counts_names_types_and_values() {
    let closed = close(Envelope::default(), &producer(1), 5, LIMIT).unwrap();
    assert_eq!(closed.size, "p0".len() + "String".len() + 1);
}

#[test]
fn a_body_near_the_limit_costs_history_first() {
    let room = 1200;
    let closed = close(envelope(&state(5)), &Attributes::new(), LIMIT - room, LIMIT).unwrap();
    assert!(closed.size <= room);
    let kept = read_state(&open(closed.attributes));
    assert_eq!(kept.attempt, 5);
    assert_eq!(kept.history.last(), state(5).history.last());
    assert!(kept.history.len() < 5);
}

#[test]
fn a_body_that_leaves_no_room_is_refused_and_its_dead_letter_goes_without_state() {
    let body = LIMIT - 100;
    let refused = close(envelope(&state(1)), &Attributes::new(), body, LIMIT).unwrap_err();
    assert_eq!(refused, NoRoom { body, limit: LIMIT });
    let dead =
        |body| close_dead_letter(envelope(&state(1)), &Attributes::new(), &letter(), body, LIMIT);
    let opened = open(dead(body).unwrap().attributes).envelope.unwrap().unwrap();
    assert_eq!(opened.dead_letter_id, Some(letter().id));
    assert!(opened.state.is_none());
    assert!(dead(LIMIT - 10).is_err());
}

#[test]
fn our_attribute_stays_within_4_kib() {
    let mut long = state(5);
    long.history.iter_mut().for_each(|a| a.detail = "\u{1}".repeat(300));
    let closed = close(envelope(&long), &Attributes::new(), 5, LIMIT).unwrap();
    assert!(closed.attributes[OURS].string_value.as_ref().unwrap().len() <= LONGEST_OURS);
}

#[test]
fn a_state_that_sqs_could_not_carry_as_text_is_escaped() {
    let mut odd = state(1);
    odd.history[0].detail = "\u{ffff}\u{fffe}\u{1}é".into();
    let closed = close(envelope(&odd), &Attributes::new(), 5, LIMIT).unwrap();
    let sent = closed.attributes[OURS].string_value.clone().unwrap();
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    assert!(sent.chars().all(allowed), "{sent}");
    assert_eq!(read_state(&open(closed.attributes)), odd);
}

#[test]
fn a_state_that_is_no_json_is_carried_as_it_is() {
    let bytes = Bytes::from_static(b"{\xff");
    let unreadable = Envelope { state: Some(State::of(&bytes)), ..Envelope::default() };
    let closed = close(unreadable, &Attributes::new(), 5, LIMIT).unwrap();
    let opened = open(closed.attributes).envelope.unwrap().unwrap();
    assert_eq!(opened.state.unwrap().bytes(), bytes);
}

#[test]
fn an_attribute_of_ours_that_cannot_be_read_is_handed_on() {
    let attributes = HashMap::from([(OURS.to_owned(), text("{not json".into()))]);
    assert_eq!(open(attributes).envelope.unwrap().unwrap_err(), "{not json");
}
