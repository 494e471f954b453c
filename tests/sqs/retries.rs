//! A retry is a new message that keeps everything of the old one.

use std::collections::HashMap;

use aws_sdk_sqs::types::{MessageAttributeValue, MessageSystemAttributeName as System};
use sealpost::domain::delivery::DeliveryState;
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::{Clock, Queue};

use super::*;
use crate::sqs::{LEASE, Sqs};

const MINUTE: Duration = Duration::from_secs(60);

fn text(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
}

/// What lies in the queue, as any other consumer sees it.
async fn look(sqs: &Sqs, queue_url: &str) -> Vec<aws_sdk_sqs::types::Message> {
    let request = sqs.client.receive_message().queue_url(queue_url).message_attribute_names("All");
    let request = request.message_system_attribute_names(System::MessageGroupId);
    request.max_number_of_messages(10).send().await.unwrap().messages.unwrap_or_default()
}

fn next(received: &Received, not_before: Option<Timestamp>) -> NewMessage {
    let state = Some("{}".into());
    NewMessage { body: received.body.clone(), state, not_before, ..NewMessage::default() }
}

fn group(message: &aws_sdk_sqs::types::Message) -> Option<&str> {
    message.attributes.as_ref()?.get(&System::MessageGroupId).map(String::as_str)
}

#[tokio::test]
async fn a_queue_is_told_whose_a_message_is_and_a_retry_stays_with_its_customer() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    // The longest id that there is, of every kind of character.
    let customer = format!("{}-_.:@", "aZ9".repeat(41));
    let message = NewMessage {
        body: "{}".into(),
        customer: Some(customer.parse().unwrap()),
        ..NewMessage::default()
    };
    queue.send(vec![message]).await.unwrap();
    assert_eq!(group(&look(&sqs, &sqs.jobs).await[0]), Some(customer.as_str()));
    sqs.advance(LEASE);
    let received = one(&queue).await;
    queue.replace(&received.handle, next(&received, None)).await.unwrap();
    assert_eq!(group(&look(&sqs, &sqs.jobs).await[0]), Some(customer.as_str()));
}

#[tokio::test]
async fn a_producers_ten_attributes_and_its_group_are_kept_through_retries() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    let attributes: HashMap<String, MessageAttributeValue> =
        (0..10).map(|n| (format!("a{n}"), text(&"v".repeat(n + 1)))).collect();
    let send = sqs.client.send_message().queue_url(&sqs.jobs).message_body("{}");
    let send =
        send.set_message_attributes(Some(attributes.clone())).message_group_id("customer-123");
    let sent = send.send().await.unwrap().message_id.unwrap();
    for _ in 0..3 {
        let received = one(&queue).await;
        assert_eq!(received.message_id, sent);
        queue.replace(&received.handle, next(&received, None)).await.unwrap();
    }
    let there = look(&sqs, &sqs.jobs).await;
    let kept = there[0].message_attributes.as_ref().unwrap();
    assert_eq!(kept.len(), 10, "nine of the producer's and one of ours: {kept:?}");
    assert!(
        kept["sealpost"].string_value.as_ref().unwrap().contains("\"a0\""),
        "the smallest is in ours"
    );
    (1..10).for_each(|n| assert_eq!(kept[&format!("a{n}")], attributes[&format!("a{n}")]));
    assert_eq!(group(&there[0]), Some("customer-123"));
    sqs.advance(LEASE);
    let received = one(&queue).await;
    queue.dead_letter(&received.handle, &letter("dl_1", &received), None).await.unwrap();
    let dead = look(&sqs, &sqs.dead).await;
    let names = dead[0].message_attributes.as_ref().unwrap();
    let value = |name: &str| names[name].string_value.clone().unwrap();
    assert_eq!(names.len(), 10);
    assert_eq!(value("sealpost-dead-letter-id"), "dl_1");
    assert_eq!(value("sealpost-customer-id"), "customer-123");
    assert_eq!(value("sealpost-reason"), "too_old");
    assert_eq!(names["a9"], attributes["a9"]);
}

#[tokio::test]
async fn a_wait_of_an_hour_is_kept_by_hops_that_nobody_sees() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    let at = sqs.now().plus(60 * MINUTE);
    let ids = queue.send(vec![NewMessage { not_before: Some(at), ..message("a") }]).await.unwrap();
    for _ in 0..3 {
        sqs.advance(15 * MINUTE);
        assert!(receive(&queue).await.is_empty());
    }
    sqs.advance(15 * MINUTE - SECOND);
    assert!(receive(&queue).await.is_empty());
    sqs.advance(SECOND);
    let received = one(&queue).await;
    assert_eq!((&received.message_id, received.receive_count, received.hops), (&ids[0], 1, 3));
    assert_eq!(received.state, None);
    assert_eq!(received.sent_at, sqs.now().min(Timestamp::from_millis(crate::emulator::BEGINNING)));
}

#[tokio::test]
async fn a_retry_in_an_hour_keeps_its_state_through_hops() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    let ids = queue.send(vec![message("a")]).await.unwrap();
    let first = one(&queue).await;
    let at = sqs.now().plus(20 * MINUTE);
    queue.replace(&first.handle, next(&first, Some(at))).await.unwrap();
    sqs.advance(15 * MINUTE);
    assert!(receive(&queue).await.is_empty());
    sqs.advance(5 * MINUTE);
    let second = one(&queue).await;
    assert_eq!((&second.message_id, second.state.as_deref()), (&ids[0], Some(&b"{}"[..])));
    assert_eq!(queue.depth().await.unwrap().pending, 1);
}

#[tokio::test]
async fn a_hop_that_cannot_be_sent_waits_by_visibility() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    let at = sqs.now().plus(20 * MINUTE);
    queue.send(vec![NewMessage { not_before: Some(at), ..message("a") }]).await.unwrap();
    sqs.advance(15 * MINUTE);
    sqs.emulator.fail("SendMessageBatch", 400, "AccessDenied", 1);
    assert!(receive(&queue).await.is_empty());
    sqs.advance(5 * MINUTE - SECOND);
    assert!(receive(&queue).await.is_empty());
    sqs.advance(SECOND);
    assert_eq!(one(&queue).await.body, "a");
}

#[tokio::test]
async fn a_worker_killed_between_send_and_delete_leaves_a_copy_with_the_same_id() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    let ids = queue.send(vec![message("a")]).await.unwrap();
    let first = one(&queue).await;
    // The deletes never come to be: as far as the queue sees, the worker died before them.
    sqs.emulator.fail("DeleteMessageBatch", 400, "AccessDenied", 100);
    queue.replace(&first.handle, next(&first, None)).await.unwrap_err();
    drop(queue);
    let queue = sqs.open().await;
    sqs.advance(LEASE);
    let mut copies: Vec<(String, Option<bytes::Bytes>, u32)> = receive(&queue)
        .await
        .into_iter()
        .map(|copy| (copy.message_id, copy.state, copy.receive_count))
        .collect();
    copies.sort();
    assert_eq!(copies, [(ids[0].clone(), None, 2), (ids[0].clone(), Some("{}".into()), 1)]);
}

#[tokio::test]
async fn doing_again_what_failed_at_the_delete_makes_no_second_copy() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    queue.send(vec![message("a")]).await.unwrap();
    let first = one(&queue).await;
    sqs.emulator.fail("DeleteMessageBatch", 400, "AccessDenied", 1);
    queue.replace(&first.handle, next(&first, None)).await.unwrap_err();
    queue.release(&first.handle, Duration::ZERO).await.unwrap();
    sqs.advance(LEASE);
    assert_eq!(one(&queue).await.state.as_deref(), Some(&b"{}"[..]));
}

#[tokio::test]
async fn a_body_that_leaves_no_room_for_its_state_is_parked_and_not_lost() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    let body = "x".repeat(1_048_576 - 40);
    sqs.client.send_message().queue_url(&sqs.jobs).message_body(&body).send().await.unwrap();
    let first = one(&queue).await;
    let at = sqs.now().plus(5 * MINUTE);
    let refused = queue.replace(&first.handle, next(&first, Some(at))).await.unwrap_err();
    assert!(refused.to_string().contains("leaves no room"), "{refused}");
    sqs.advance(5 * MINUTE - SECOND);
    assert!(receive(&queue).await.is_empty());
    sqs.advance(SECOND);
    assert_eq!(one(&queue).await.message_id, first.message_id);
}

#[tokio::test]
async fn a_lapsed_message_that_another_worker_settled_is_not_doubled() {
    let sqs = Sqs::start().await;
    let (slow, other) = (sqs.open().await, sqs.open().await);
    slow.send(vec![message("a")]).await.unwrap();
    let stale = one(&slow).await;
    sqs.advance(LEASE);
    let fresh = one(&other).await;
    other.acknowledge(&fresh.handle).await.unwrap();
    slow.replace(&stale.handle, next(&stale, None)).await.unwrap();
    slow.release(&stale.handle, Duration::ZERO).await.unwrap();
    assert_eq!(slow.depth().await.unwrap().pending, 0);
}

#[tokio::test]
async fn an_attribute_of_ours_that_cannot_be_read_comes_as_the_state() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    let send = sqs.client.send_message().queue_url(&sqs.jobs).message_body("{}");
    send.message_attributes("sealpost", text("nonsense")).send().await.unwrap();
    let received = one(&queue).await;
    assert_eq!(received.state.as_deref(), Some(&b"nonsense"[..]));
    let letter = letter("dl_1", &received);
    queue.dead_letter(&received.handle, &letter, received.state.clone()).await.unwrap();
    assert_eq!(queue.peek_dead("dl_1").await.unwrap().unwrap(), "{}");
}

#[tokio::test]
async fn what_aws_moves_back_begins_its_next_round() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    let ids = queue.send(vec![message("a")]).await.unwrap();
    let first = one(&queue).await;
    let state =
        DeliveryState { attempt: 8, ..DeliveryState::first("j".parse().unwrap(), sqs.now()) };
    let state = serde_json::to_vec(&state).unwrap().into();
    queue.dead_letter(&first.handle, &letter("dl_1", &first), Some(state)).await.unwrap();
    sqs.advance(MINUTE);
    // As a move task does it: the same message, attributes and all, to the queue of jobs.
    let dead = look(&sqs, &sqs.dead).await.remove(0);
    let send = sqs.client.send_message().queue_url(&sqs.jobs).message_body(dead.body.unwrap());
    send.set_message_attributes(dead.message_attributes).send().await.unwrap();
    let back = one(&queue).await;
    let state: DeliveryState = serde_json::from_slice(&back.state.clone().unwrap()).unwrap();
    assert_eq!((&back.message_id, state.round, state.attempt), (&ids[0], 2, 0));
    assert_eq!(state.accepted_at, sqs.now());
}
