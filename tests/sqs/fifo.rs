//! FIFO queues: what the contract of ordered queues (`tests/contract/ordering.rs`) does not say.
//!
//! The emulator keeps a group back while one of its messages is in flight and knows what is sent twice, as
//! AWS documents. When messages of one group become visible at different moments it puts the later one
//! before the earlier, which AWS does not; tests make them visible together.

use std::sync::Arc;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use sealpost::adapters::aws::dynamodb::MessageStates;
use sealpost::adapters::aws::sqs::SqsQueue;
use sealpost::adapters::system::SystemChance;
use sealpost::domain::ordering::MessageGroup;
use sealpost::ports::queue::Redrive;

use super::*;
use crate::sqs::{LEASE, Sqs};

const HOUR: Duration = Duration::from_secs(3600);

fn of(group: &str, body: String) -> NewMessage {
    let group = Some(MessageGroup::named(group));
    NewMessage { body: body.into(), group, ..NewMessage::default() }
}

fn numbered(group: &str, count: usize) -> Vec<NewMessage> {
    (0..count).map(|number| of(group, number.to_string())).collect()
}

fn next(received: &Received, state: &'static str, delay: Duration, sqs: &Sqs) -> NewMessage {
    let not_before = Some(sealpost::ports::Clock::now(sqs).plus(delay));
    let state = Some(state.into());
    NewMessage { body: received.body.clone(), state, not_before, ..NewMessage::default() }
}

#[tokio::test]
async fn a_message_costs_the_tables_nothing_until_it_is_put_back() {
    let sqs = Sqs::start_fifo().await;
    let queue = sqs.open().await;
    let updates = || {
        let calls = sqs.emulator.calls_of("DynamoDB");
        ["UpdateItem", "PutItem"].map(|call| calls.get(call).and_then(|n| n.as_u64()).unwrap_or(0))
    };
    let before = updates();
    queue.send(numbered("g", 12)).await.unwrap();
    let mut head = one(&queue).await;
    for number in 0..12 {
        assert_eq!(head.body, number.to_string());
        queue.acknowledge(&head.handle).await.unwrap();
        if number < 11 {
            head = queue.receive(1, Duration::ZERO).await.unwrap().remove(0);
        }
    }
    assert_eq!(updates(), before);
    assert!(sqs.emulator.calls("ReceiveMessage") <= 4, "one receipt brings ten of a group");
    queue.send(numbered("g", 1)).await.unwrap();
    let message = one(&queue).await;
    queue.replace(&message.handle, next(&message, "{}", SECOND, &sqs)).await.unwrap();
    sqs.advance(SECOND);
    one(&queue).await;
    assert_eq!(updates(), [before[0] + 1, before[1] + 1], "put back once, handed out once");
}

#[tokio::test]
async fn waiting_behind_others_is_no_crash_however_often_they_come_back() {
    let sqs = Sqs::start_fifo().await;
    let queue = sqs.open().await;
    queue.send(numbered("g", 3)).await.unwrap();
    for _ in 0..30 {
        let head = one(&queue).await;
        assert_eq!((&head.body[..], head.receive_count), (&b"0"[..], 1));
        queue.replace(&head.handle, next(&head, "{}", SECOND, &sqs)).await.unwrap();
        sqs.advance(SECOND);
    }
    queue.acknowledge(&one(&queue).await.handle).await.unwrap();
    // How its first receipt ended, nobody has written down.
    let second = one(&queue).await;
    assert_eq!((&second.body[..], second.receive_count), (&b"1"[..], 2));
    assert_eq!(queue.depth().await.unwrap().dead, 0);
}

#[tokio::test]
async fn a_message_that_crashes_its_workers_is_known_by_its_hand_outs() {
    let sqs = Sqs::start_fifo().await;
    sqs.open().await.send(numbered("g", 2)).await.unwrap();
    for receipts in 1..=12 {
        let message = one(&sqs.open().await).await;
        assert_eq!((&message.body[..], message.receive_count), (&b"0"[..], receipts));
        sqs.advance(LEASE);
    }
}

#[tokio::test]
async fn a_retry_in_two_days_is_kept_by_visibility_that_nobody_sees() {
    let sqs = Sqs::start_fifo().await;
    let queue = sqs.open().await;
    queue.send(numbered("g", 2)).await.unwrap();
    let head = one(&queue).await;
    queue.replace(&head.handle, next(&head, r#"{"n":1}"#, 48 * HOUR, &sqs)).await.unwrap();
    for _ in 0..48 {
        assert!(receive(&queue).await.is_empty());
        sqs.advance(HOUR);
    }
    let back = one(&queue).await;
    assert_eq!((&back.body[..], back.receive_count), (&b"0"[..], 1));
    assert_eq!(back.state.as_deref(), Some(&br#"{"n":1}"#[..]));
}

#[tokio::test]
async fn a_worker_that_went_on_too_late_does_not_bring_back_an_older_state() {
    let sqs = Sqs::start_fifo().await;
    let (late, other) = (sqs.open().await, sqs.open().await);
    late.send(numbered("g", 2)).await.unwrap();
    let of_late = one(&late).await;
    // Its clock stands, as that of a stopped process does, so it believes in its lease.
    sqs.emulator.advance(LEASE);
    let of_other = one(&other).await;
    other.replace(&of_other.handle, next(&of_other, r#"{"n":2}"#, SECOND, &sqs)).await.unwrap();
    late.replace(&of_late.handle, next(&of_late, r#"{"n":1}"#, SECOND, &sqs)).await.unwrap();
    assert!(receive(&late).await.is_empty());
    sqs.advance(SECOND);
    let back = one(&other).await;
    assert_eq!(back.state.as_deref(), Some(&br#"{"n":2}"#[..]));
    other.acknowledge(&back.handle).await.unwrap();
    assert_eq!(one(&other).await.body, "1");
}

#[tokio::test]
async fn what_is_in_hand_behind_a_head_keeps_its_lease_with_it_and_is_given_back_at_a_stop() {
    let sqs = Sqs::start_fifo().await;
    let (queue, other) = (sqs.open().await, sqs.open().await);
    queue.send(numbered("g", 3)).await.unwrap();
    let head = one(&queue).await;
    for _ in 0..5 {
        sqs.advance(LEASE - SECOND);
        queue.extend(std::slice::from_ref(&head.handle)).await.unwrap();
        assert!(receive(&other).await.is_empty());
    }
    queue.stop_receiving().await;
    queue.acknowledge(&head.handle).await.unwrap();
    let second = one(&other).await;
    assert_eq!(second.body, "1", "at once, and not when a lease has run out");
    other.acknowledge(&second.handle).await.unwrap();
    assert_eq!(one(&other).await.body, "2");
}

/// A worker that finds no table.
async fn without_states(sqs: &Arc<Sqs>) -> SqsQueue {
    let (clock, chance) = (Arc::clone(sqs) as _, Arc::new(SystemChance));
    let states = MessageStates::new(&sqs.emulator.clients().dynamodb, "missing-");
    let (client, jobs, dead) = (sqs.client.clone(), &sqs.jobs, &sqs.dead);
    SqsQueue::open_fifo(client, jobs, dead, clock, chance, states).await.unwrap()
}

#[tokio::test]
async fn without_the_table_of_states_nothing_is_handed_out_and_nothing_is_lost() {
    let sqs = Sqs::start_fifo().await;
    let (queue, broken) = (sqs.open().await, without_states(&sqs).await);
    queue.send(numbered("g", 2)).await.unwrap();
    // A retry whose state cannot be kept comes all the same; the fence knows how far its delivery is.
    let head = one(&broken).await;
    broken.replace(&head.handle, next(&head, r#"{"n":1}"#, SECOND, &sqs)).await.unwrap_err();
    assert!(receive(&queue).await.is_empty());
    sqs.advance(SECOND);
    let head = one(&queue).await;
    assert_eq!((&head.body[..], head.state.as_deref()), (&b"0"[..], None));
    queue.replace(&head.handle, next(&head, r#"{"n":1}"#, SECOND, &sqs)).await.unwrap();
    sqs.advance(SECOND);
    let received = broken.receive(10, Duration::ZERO).await;
    assert!(received.as_ref().map_or(true, Vec::is_empty), "{received:?}");
    assert!(receive(&queue).await.is_empty(), "not at once");
    sqs.advance(10 * SECOND);
    assert_eq!(one(&queue).await.state.as_deref(), Some(&br#"{"n":1}"#[..]));
}

#[tokio::test]
async fn a_later_message_of_a_group_is_not_sent_without_those_before_it() {
    let sqs = Sqs::start_fifo().await;
    let queue = sqs.open().await;
    let mut messages = numbered("g", 30);
    messages.extend(numbered("h", 30));
    let ids = queue.send(messages).await.unwrap();
    assert_eq!(ids.len(), 60);
    for number in 0..30 {
        let mut heads = queue.receive(10, Duration::ZERO).await.unwrap();
        heads.sort_by_key(|head| head.group.as_ref().map(ToString::to_string));
        let [g, h] = <[Received; 2]>::try_from(heads).unwrap();
        assert_eq!((&g.message_id, &h.message_id), (&ids[number], &ids[30 + number]));
        queue.acknowledge(&g.handle).await.unwrap();
        queue.acknowledge(&h.handle).await.unwrap();
    }
    sqs.emulator.fail("SendMessageBatch", 400, "AccessDenied", 1);
    queue.send(numbered("g", 3)).await.unwrap_err();
    assert!(receive(&queue).await.is_empty());
}

#[tokio::test]
async fn what_is_sent_twice_within_five_minutes_is_there_once_and_its_next_round_is_new() {
    let sqs = Sqs::start_fifo().await;
    let queue = sqs.open().await;
    let message = || NewMessage {
        body: r#"{"a":1}"#.into(),
        deduplication_id: Some("job_1".to_owned()),
        ..NewMessage::default()
    };
    let first = queue.send(vec![message()]).await.unwrap();
    assert_eq!(queue.send(vec![message()]).await.unwrap(), first);
    assert_eq!(queue.depth().await.unwrap().pending, 1);
    // Given up and replayed, again and again, at the same moment: no copy is taken for another.
    for round in 0..3 {
        let received = one(&queue).await;
        assert_eq!(received.message_id, first[0]);
        queue.dead_letter(&received.handle, &letter("dl_1", &received), None).await.unwrap();
        let (state, dead_letter_id) = (Some(round.to_string().into()), "dl_1".to_owned());
        let moved = queue.redrive(vec![Redrive { dead_letter_id, state }]).await.unwrap();
        assert_eq!(moved.found.len(), 1, "round {round}");
    }
    assert_eq!(one(&queue).await.state.as_deref(), Some(&b"2"[..]));
}

#[tokio::test]
async fn every_dead_letter_of_a_group_can_be_found_and_they_go_back_as_they_were_asked_for() {
    let sqs = Sqs::start_fifo().await;
    let queue = sqs.open().await;
    queue.send(numbered("g", 25)).await.unwrap();
    for number in 0..25 {
        let head = one(&queue).await;
        let letter = letter(&format!("dl_{number}"), &head);
        queue.dead_letter(&head.handle, &letter, None).await.unwrap();
    }
    assert_eq!(queue.peek_dead("dl_24").await.unwrap().unwrap(), "24");
    let wanted = [24, 3, 17, 0];
    let redrive = |number| Redrive { dead_letter_id: format!("dl_{number}"), state: None };
    let sought = queue.redrive(wanted.map(redrive).into()).await.unwrap();
    assert_eq!(sought.found.len(), 4);
    for number in wanted {
        let head = one(&queue).await;
        assert_eq!(head.body, number.to_string());
        assert_eq!(head.group, Some(MessageGroup::named("g")));
        queue.acknowledge(&head.handle).await.unwrap();
    }
    assert_eq!(queue.move_all(None).await.unwrap(), None, "SQS itself would lose the groups");
}

#[tokio::test]
async fn queues_that_would_lose_the_order_are_refused_with_what_to_do() {
    let sqs = Sqs::start_fifo().await;
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead.fifo","maxReceiveCount":1000}"#;
    let set = sqs.client.set_queue_attributes().queue_url(&sqs.jobs);
    set.attributes(Name::RedrivePolicy, policy).send().await.unwrap();
    let refused = sqs.try_open().await.err().unwrap().to_string();
    assert!(refused.contains("remove its RedrivePolicy"), "{refused}");

    let standard = Sqs::start().await;
    let refused = standard.open().await.send(numbered("g", 1)).await.unwrap_err().to_string();
    assert!(refused.contains("keeps no order"), "{refused}");
    let sqs = Sqs::start_fifo().await;
    let plain = sqs.client.create_queue().queue_name("plain").send().await.unwrap();
    let (clock, chance) = (Arc::clone(&sqs), Arc::new(SystemChance));
    let (client, states) = (sqs.client.clone(), sqs.states.clone().unwrap());
    let (jobs, dead) = (&sqs.jobs, &plain.queue_url.unwrap());
    let opened = SqsQueue::open_fifo(client, jobs, dead, clock, chance, states);
    let refused = opened.await.err().unwrap().to_string();
    assert!(refused.contains("plain: expected a FIFO queue"), "{refused}");
}
