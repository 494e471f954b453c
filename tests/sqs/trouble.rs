//! When SQS fails: nothing is lost, nobody waits for ever, and all is well again by itself.

use sealpost::adapters::aws::sqs::SqsQueue;
use sealpost::adapters::system::SystemChance;
use sealpost::ports::Queue;

use super::*;
use crate::sqs::Sqs;

#[tokio::test]
async fn a_throttled_queue_is_received_from_again_after_a_pause() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    queue.send(vec![message("a")]).await.unwrap();
    // More than the SDK tries by itself.
    sqs.emulator.fail("ReceiveMessage", 400, "RequestThrottled", 4);
    let error = queue.receive(10, 20 * SECOND).await.unwrap_err();
    assert!(error.to_string().contains("throttled"), "{error}");
    assert_eq!(queue.receive(10, 20 * SECOND).await.unwrap().len(), 1);
    assert!(sqs.emulator.calls("ReceiveMessage") < 10, "no busy loop");
}

#[tokio::test]
async fn expired_credentials_are_told_and_pass() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    queue.send(vec![message("a")]).await.unwrap();
    sqs.emulator.fail("ReceiveMessage", 403, "InvalidClientTokenId", 1);
    let error = queue.receive(10, 20 * SECOND).await.unwrap_err();
    assert!(error.to_string().contains("credentials"), "{error}");
    assert_eq!(queue.receive(10, 20 * SECOND).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_queue_that_was_deleted_is_named() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    sqs.client.delete_queue().queue_url(&sqs.jobs).send().await.unwrap();
    let error = queue.receive(10, 20 * SECOND).await.unwrap_err().to_string();
    assert!(error.contains("not found") && error.contains(&sqs.jobs), "{error}");
    let client = sqs.client.clone();
    let again = SqsQueue::open(
        client,
        &sqs.jobs,
        &sqs.dead,
        std::sync::Arc::clone(&sqs) as _,
        std::sync::Arc::new(SystemChance),
    )
    .await;
    assert!(again.is_err_and(|error| error.to_string().contains(&sqs.jobs)));
}

#[tokio::test]
async fn a_call_that_fails_reaches_its_caller_and_may_be_made_again() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    queue.send(vec![message("a")]).await.unwrap();
    let received = one(&queue).await;
    sqs.emulator.fail("DeleteMessageBatch", 400, "AccessDenied", 1);
    let error = queue.acknowledge(&received.handle).await.unwrap_err();
    assert!(error.to_string().contains("access denied"), "{error}");
    queue.acknowledge(&received.handle).await.unwrap();
    assert_eq!(queue.depth().await.unwrap().pending, 0);
}

#[tokio::test]
async fn an_entry_that_sqs_refuses_does_not_take_the_others_with_it() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    // Larger than the queue takes, by what the adapter was told when it was opened.
    let limit = aws_sdk_sqs::types::QueueAttributeName::MaximumMessageSize;
    let set = sqs.client.set_queue_attributes().queue_url(&sqs.jobs);
    set.attributes(limit, "1024").send().await.unwrap();
    let large = NewMessage { body: "x".repeat(2000).into(), ..NewMessage::default() };
    let mixed = vec![message("a"), large, message("b")];
    assert!(queue.send(mixed).await.is_err());
    let mut bodies: Vec<_> = receive(&queue).await.into_iter().map(|m| m.body).collect();
    bodies.sort();
    assert_eq!(bodies, ["a", "b"]);
}

#[tokio::test]
async fn what_sqs_cannot_carry_is_refused_before_it_is_sent() {
    let sqs = Sqs::start().await;
    let queue = sqs.open().await;
    for body in [&b""[..], b"\xff", b"\x00", "\u{ffff}".as_bytes()] {
        let message = NewMessage { body: body.into(), ..NewMessage::default() };
        assert!(queue.send(vec![message]).await.is_err(), "{body:?}");
    }
    assert_eq!(sqs.emulator.calls("SendMessageBatch"), 0);
}
