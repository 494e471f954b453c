//! What a newer program wrote: an old worker leaves it as it came, and says so.

use aws_sdk_sqs::types::MessageAttributeValue;
use serde_json::json;

use super::*;
use crate::outage::Log;

const OURS: &str = "sealpost";

fn keep_log() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().json().flatten_event(true);
    let lines = lines.with_writer(move || writer.clone()).finish();
    (log, tracing::subscriber::set_default(lines))
}

/// The only message that is there, as SQS has it.
async fn message(bench: &Bench) -> (String, Option<String>) {
    let receive = bench.clock.client.receive_message().queue_url(&bench.clock.jobs);
    let received = receive.message_attribute_names("All").visibility_timeout(0).send().await;
    let message = received.unwrap().messages.unwrap_or_default().remove(0);
    let ours = message.message_attributes.as_ref().and_then(|all| all.get(OURS));
    (message.body.unwrap(), ours.and_then(|value| value.string_value.clone()))
}

#[tokio::test]
async fn a_newer_job_waits_for_a_newer_worker_as_it_came() {
    let Some(mut bench) = Bench::start(&[]).await else { return };
    let (log, _logging) = keep_log();
    let body = json!({"version": 2, "customerId": "c", "endpointId": "e", "unheard": {"of": 1}});
    let send = bench.clock.client.send_message().queue_url(&bench.clock.jobs);
    send.message_body(body.to_string()).send().await.unwrap();
    // More often than a job may crash a worker.
    for _ in 0..12 {
        let messages = bench.receive().await;
        assert_eq!(messages.len(), 1);
        bench.deliver(&messages[0]).await;
        bench.clock.advance(2 * MINUTE);
    }
    assert_eq!(log.alarms(), ["newer_version"; 12]);
    assert!(bench.called().is_empty() && bench.dead_letters().await.is_empty());
    assert_eq!(message(&bench).await.0, body.to_string());
    assert_eq!(bench.app.tally.counts().dead_lettered, 0);
}

#[tokio::test]
async fn a_newer_state_goes_on_to_a_newer_worker_unchanged() {
    let Some(mut bench) = Bench::start(&[]).await else { return };
    let (log, _logging) = keep_log();
    let job = json!({"customerId": "c", "endpointId": "e", "data": 1}).to_string();
    let state = json!({"jobId": "j", "round": 1, "attempt": 3, "hops": 0, "version": 2,
                       "acceptedAt": "2026-11-23T10:00:00Z", "unheard": "of"});
    let whole = json!({"version": 2, "messageId": "m", "state": {"json": {}}, "unheard": "of"});
    let inner = json!({"messageId": "m", "state": {"json": state}});
    for (ours, is_same) in [(whole.to_string(), true), (inner.to_string(), false)] {
        let value = MessageAttributeValue::builder().data_type("String").string_value(&ours);
        let send = bench.clock.client.send_message().queue_url(&bench.clock.jobs);
        let send = send.message_attributes(OURS, value.build().unwrap());
        send.message_body(&job).send().await.unwrap();
        let received = bench.receive().await.remove(0);
        bench.deliver(&received).await;
        bench.clock.advance(2 * MINUTE);
        let (body, now) = message(&bench).await;
        assert_eq!(body, job);
        let now = now.unwrap();
        assert_eq!(now == ours, is_same, "{now}");
        // An envelope of ours counts its hops; what it holds is the same.
        assert!(is_same || now.contains(&state.to_string()), "{now}");
        bench.clock.client.purge_queue().queue_url(&bench.clock.jobs).send().await.unwrap();
    }
    assert_eq!(log.alarms(), ["newer_version"; 2]);
    assert!(bench.called().is_empty() && bench.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_not_guessed_at_and_its_jobs_wait() {
    let Some(mut bench) = Bench::start(&[]).await else { return };
    let (log, _logging) = keep_log();
    bench.enqueue(1).await;
    let table = format!("{}endpoints", bench.aws.config.table_prefix);
    let newer = json!({"customerId": "c", "endpointId": "e", "url": bench.origin, "unheardOf": 1});
    let set = |config: String| {
        use aws_sdk_dynamodb::types::AttributeValue::S;
        let dynamodb = aws_sdk_dynamodb::Client::clone(&bench.aws.clients.dynamodb);
        let update = dynamodb.update_item().table_name(&table);
        let update =
            update.key("customerId", S("c".to_owned())).key("endpointId", S("e".to_owned()));
        update
            .update_expression("SET #c = :c")
            .expression_attribute_names("#c", "config")
            .expression_attribute_values(":c", S(config))
    };
    for damaged in [newer.to_string(), "{".to_owned()] {
        set(damaged).send().await.unwrap();
        let message = bench.receive().await.remove(0);
        bench.deliver(&message).await;
        bench.clock.advance(2 * MINUTE);
    }
    assert_eq!(log.alarms(), ["row_unreadable"; 2]);
    assert!(bench.dead_letters().await.is_empty());
    assert!(bench.called().is_empty());
    bench.put_endpoint("e", "s").await;
    bench.deliver_all().await;
    assert_eq!(bench.called()["job-0"], 1, "it goes on when the row is mended");
    assert_eq!(bench.app.tally.counts().retried, 0);
}
