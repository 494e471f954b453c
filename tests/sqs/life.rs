//! The life of a message, without a clock that is moved: the one test that can run on real AWS.
//!
//! With `SEALPOST_TEST_AWS=1` it does, as the environment's credentials and region allow, on queues
//! of its own under `SEALPOST_TEST_AWS_PREFIX` (default `sealpost-test-`), and removes them.

use std::sync::Arc;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName as Name};
use sealpost::adapters::aws::Clients;
use sealpost::adapters::aws::sqs::SqsQueue;
use sealpost::adapters::system::{SystemChance, SystemClock};
use sealpost::ports::queue::Redrive;
use sealpost::ports::{Chance, Clock, Queue};

use super::*;
use crate::sqs::Sqs;

async fn next(queue: &SqsQueue) -> Received {
    let mut received = queue.receive(10, 20 * SECOND).await.unwrap();
    assert_eq!(received.len(), 1);
    received.remove(0)
}

async fn live(client: &Client, jobs: &str, dead: &str, clock: Arc<dyn Clock>) {
    let open = SqsQueue::open(client.clone(), jobs, dead, clock, Arc::new(SystemChance));
    let queue = open.await.unwrap();
    let value = MessageAttributeValue::builder().data_type("Number.int").string_value("7");
    let send = client.send_message().queue_url(jobs).message_body("{}");
    let send = send.message_attributes("theirs", value.build().unwrap());
    let id = send.send().await.unwrap().message_id.unwrap();
    let first = next(&queue).await;
    queue.extend(std::slice::from_ref(&first.handle)).await.unwrap();
    let retry =
        NewMessage { body: first.body.clone(), state: Some("1".into()), ..NewMessage::default() };
    queue.replace(&first.handle, retry).await.unwrap();
    let second = next(&queue).await;
    assert_eq!((&second.message_id, second.state.as_deref()), (&id, Some(&b"1"[..])));
    assert_eq!((second.receive_count, second.sent_at), (1, first.sent_at));
    queue.release(&second.handle, Duration::ZERO).await.unwrap();
    let third = next(&queue).await;
    assert_eq!((&third.message_id, third.receive_count, third.hops), (&id, 1, 1));
    let state = third.state.clone();
    queue.dead_letter(&third.handle, &letter("dl_1", &third), state).await.unwrap();
    assert_eq!(queue.peek_dead("dl_1").await.unwrap().unwrap(), "{}");
    let redrive = Redrive { dead_letter_id: "dl_1".into(), state: Some("2".into()) };
    assert_eq!(queue.redrive(vec![redrive]).await.unwrap().found, ["dl_1"]);
    let back = next(&queue).await;
    assert_eq!((&back.message_id, back.state.as_deref()), (&id, Some(&b"2"[..])));
    queue.dead_letter(&back.handle, &letter("dl_2", &back), None).await.unwrap();
    assert_eq!(queue.purge_dead(&["dl_2".to_owned()]).await.unwrap().found, ["dl_2"]);
    queue.send(vec![message("a"); 25]).await.unwrap();
    let mut settled = 0;
    while settled < 25 {
        for message in queue.receive(10, 20 * SECOND).await.unwrap() {
            queue.acknowledge(&message.handle).await.unwrap();
            queue.acknowledge(&message.handle).await.unwrap();
            settled += 1;
        }
    }
    queue.stop_receiving().await;
}

#[tokio::test]
async fn a_message_lives_as_documented() {
    if std::env::var("SEALPOST_TEST_AWS").is_ok_and(|set| set == "1") {
        return on_real_aws().await;
    }
    println!("on the emulator: set SEALPOST_TEST_AWS=1 for real AWS");
    let sqs = Sqs::start().await;
    live(&sqs.client, &sqs.jobs, &sqs.dead, Arc::clone(&sqs) as _).await;
}

async fn on_real_aws() {
    let prefix = std::env::var("SEALPOST_TEST_AWS_PREFIX");
    let prefix = prefix.unwrap_or_else(|_| "sealpost-test-".to_owned());
    let client = Clients::load().await.unwrap().sqs;
    let own = &SystemChance.token()[..8];
    let make = async |name: &str| {
        let create = client.create_queue().queue_name(format!("{prefix}{own}-{name}"));
        let create = create.attributes(Name::VisibilityTimeout, "30");
        create.send().await.unwrap().queue_url.unwrap()
    };
    let (jobs, dead) = (make("jobs").await, make("dead").await);
    let life = {
        let (client, jobs, dead) = (client.clone(), jobs.clone(), dead.clone());
        // A task, so that the queues are removed although it panics.
        tokio::spawn(async move { live(&client, &jobs, &dead, Arc::new(SystemClock)).await })
    };
    let lived = life.await;
    for url in [jobs, dead] {
        client.delete_queue().queue_url(url).send().await.unwrap();
    }
    lived.unwrap();
}
