//! Nothing is lost, whatever workers and calls do.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use aws_sdk_sqs::types::QueueAttributeName as Name;
use sealpost::ports::Queue;

use super::*;
use crate::sqs::{LEASE, Sqs};

const JOBS: usize = 300;

/// What becomes of a message, by a number that differs with every receipt.
async fn treat(queue: &impl Queue, message: &Received, number: usize) -> Option<String> {
    let next = || NewMessage {
        body: message.body.clone(),
        state: Some("{}".into()),
        ..NewMessage::default()
    };
    let handle = &message.handle;
    match number % 7 {
        // Errors are the point: the message is to come back after them.
        0 | 1 => drop(queue.replace(handle, next()).await),
        2 => drop(queue.release(handle, Duration::ZERO).await),
        // The worker dies with it.
        3 => {}
        _ => return queue.acknowledge(handle).await.ok().map(|()| message.message_id.clone()),
    }
    None
}

/// SQS itself gives up what comes back too often, and how often that is, is chance here.
async fn never_give_up(sqs: &Sqs) {
    let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:dead","maxReceiveCount":1000}"#;
    let set = sqs.client.set_queue_attributes().queue_url(&sqs.jobs);
    set.attributes(Name::RedrivePolicy, policy).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_job_is_done_through_retries_releases_crashes_and_failing_calls() {
    let sqs = Sqs::start().await;
    never_give_up(&sqs).await;
    let sent: HashSet<String> =
        sqs.open().await.send(vec![message("{}"); JOBS]).await.unwrap().into_iter().collect();
    let done = Arc::new(Mutex::new(HashSet::new()));
    let mut number = 0;
    for generation in 0.. {
        // How many it takes depends on what each receives, which a busy machine makes less.
        assert!(generation < 300, "{} of {JOBS} jobs are done", done.lock().unwrap().len());
        if *done.lock().unwrap() == sent {
            break;
        }
        let failing = ["SendMessageBatch", "DeleteMessageBatch", "ReceiveMessage"][generation % 3];
        // Not repeated by the SDK, which would take seconds.
        sqs.emulator.fail(failing, 400, "AccessDenied", 1);
        // A new worker each time: nothing that was in the memory of the one before is known.
        let queue = Arc::new(sqs.open().await);
        let mut tasks = Vec::new();
        let Ok(received) = queue.receive(60, Duration::ZERO).await else { continue };
        for message in received {
            number += 1;
            let (queue, done) = (Arc::clone(&queue), Arc::clone(&done));
            tasks.push(tokio::spawn(async move {
                if let Some(id) = treat(&*queue, &message, number).await {
                    done.lock().unwrap().insert(id);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        sqs.advance(LEASE);
    }
    // What is left are copies of what is done; no job is among the dead letters.
    assert_eq!(sqs.open().await.depth().await.unwrap().dead, 0);
}
