//! Producers that are held to their customers by the `SenderId` of their messages.
//!
//! The emulator gives every message the same `SenderId`: who sends what under which id is tested where a
//! message is read (`arrive.rs`) and judged (`senders.rs`).

use std::sync::Arc;

use aws_sdk_sqs::types::MessageAttributeValue;
use sealpost::adapters::aws::sqs::SqsQueue;
use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::domain::dead_letter::DeadLetterFilter;
use sealpost::domain::delivery::DeliveryState;
use sealpost::domain::reason::Reason;
use sealpost::domain::senders::Senders;
use sealpost::ports::Clock;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::sqs::Sqs;

/// The `SenderId` of every message of the emulator.
const SENDER: &str = "AIDAIT2UOQQY3AUEKVGXU";

fn senders(json: &str) -> Senders {
    serde_json::from_str(&json.replace("SENDER", SENDER)).unwrap()
}

async fn open(sqs: &Arc<Sqs>, senders: &Senders) -> SqsQueue {
    sqs.open().await.held_to(Some(senders.clone()))
}

fn job(customer: &str) -> String {
    format!(r#"{{"customerId":"{customer}","endpointId":"e","data":1}}"#)
}

/// What becomes of the messages that are there: the reasons of the dead letters, by customer.
async fn deliver_all(sqs: &Arc<Sqs>, senders: &Senders) -> Vec<(String, Reason, String)> {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::clone(sqs) as _;
    let app = App::embedded_with_clock(dir.path(), Config::default(), Role::Worker, clock).await;
    let app = app.unwrap();
    let mut pipeline = app.pipeline().unwrap();
    pipeline.queue = Arc::new(open(sqs, senders).await);
    pipeline.senders = Some(senders.clone());
    while pipeline.queue.depth().await.unwrap().pending > 0 {
        for message in pipeline.queue.receive(10, Duration::ZERO).await.unwrap() {
            pipeline.deliver(&message, &CancellationToken::new()).await;
        }
    }
    let all = DeadLetterFilter::default();
    let letters = app.deliveries.list_dead_letters(&all, None, 99).await.unwrap();
    let told = |letter: sealpost::domain::dead_letter::DeadLetter| {
        (letter.customer_id.unwrap().to_string(), letter.reason, letter.message)
    };
    let mut told: Vec<_> = letters.into_iter().map(told).collect();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    told
}

#[tokio::test]
async fn a_producer_s_job_for_another_s_customer_is_dead_lettered_and_a_replay_of_it_too() {
    let sqs = Sqs::start().await;
    let senders = senders(r#"{"own":["AROAWORKER"],"customers":{"SENDER":["mine"]}}"#);
    for customer in ["mine", "other"] {
        let send = sqs.client.send_message().queue_url(&sqs.jobs).message_body(job(customer));
        send.send().await.unwrap();
    }
    let told = deliver_all(&sqs, &senders).await;
    // There is no endpoint: that is found out of jobs that were let in.
    assert_eq!((told[0].0.as_str(), told[0].1), ("mine", Reason::UnknownEndpoint));
    assert_eq!((told[1].0.as_str(), told[1].1), ("other", Reason::SenderNotAllowed));
    assert!(told[1].2.contains(&format!("sender {SENDER} may not")), "{}", told[1].2);

    // Whoever replays it is one of ours; the producer is still who it was.
    let receive = sqs.client.receive_message().queue_url(&sqs.dead).message_attribute_names("All");
    let dead = receive.max_number_of_messages(10).send().await.unwrap().messages.unwrap();
    for message in dead {
        let ours = &message.message_attributes.unwrap()["sealpost"];
        assert!(ours.string_value().unwrap().contains(&format!(r#""sender":"{SENDER}""#)));
    }
}

#[tokio::test]
async fn a_stranger_s_job_is_dead_lettered_and_so_is_one_that_pretends_to_be_ours() {
    let sqs = Sqs::start().await;
    let strangers = senders(r#"{"own":["AROAWORKER"],"customers":{"AIDAOTHER":["*"]}}"#);
    sqs.client.send_message().queue_url(&sqs.jobs).message_body(job("a")).send().await.unwrap();
    assert_eq!(deliver_all(&sqs, &strangers).await[0].1, Reason::SenderNotAllowed);

    let known = senders(r#"{"own":["AROAWORKER"],"customers":{"SENDER":["*"]}}"#);
    let state =
        r#"{"state":{"json":{"jobId":"j","attempt":3,"acceptedAt":"2026-11-23T10:00:00Z"}}}"#;
    let marked = MessageAttributeValue::builder().data_type("String").string_value(state);
    let send = sqs.client.send_message().queue_url(&sqs.jobs).message_body(job("b"));
    send.message_attributes("sealpost", marked.build().unwrap()).send().await.unwrap();
    let told = deliver_all(&sqs, &known).await;
    assert_eq!((told[0].0.as_str(), told[0].1), ("b", Reason::SenderNotAllowed));
    assert!(told[0].2.contains("marked"), "{}", told[0].2);
}

#[tokio::test]
async fn what_ours_send_is_let_in_with_its_state() {
    let sqs = Sqs::start().await;
    let ours = senders(r#"{"own":["SENDER"]}"#);
    let queue = open(&sqs, &ours).await;
    let first = DeliveryState::first("j".parse().unwrap(), sqs.now());
    let state = Some(serde_json::to_vec(&first).unwrap().into());
    let body = job("a").into();
    queue.send(vec![NewMessage { state, body, ..NewMessage::default() }]).await.unwrap();
    assert_eq!(deliver_all(&sqs, &ours).await[0].1, Reason::UnknownEndpoint);
}
