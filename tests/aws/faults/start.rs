//! The start of a worker: told to stop before it has begun, and warned of queues that lose messages.

use std::process::{Command, Stdio};

use aws_sdk_sqs::types::QueueAttributeName as Name;

use super::*;
use crate::emulator::Emulator;
use crate::fault_proxy::Fault;
use crate::outage::Log;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_stop_before_it_has_begun_ends_well() {
    let Some(bench) = Bench::start(&[]).await else { return };
    bench.enqueue(1).await;
    bench.proxy.plan("GetQueueAttributes", usize::MAX, Fault::Hold);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sealpost.toml");
    let aws = &bench.aws.config;
    let text = format!(
        "[aws]\nqueue_url = \"{}\"\ndead_letter_queue_url = \"{}\"\ntable_prefix = \"{}\"\nkms_key_id = \"{}\"\n",
        aws.queue_url, aws.dead_letter_queue_url, aws.table_prefix, aws.kms_key_id
    );
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealpost"));
    let worker = command.args(["worker", "--json", "--config"]).arg(&file);
    let worker = worker
        .env("AWS_ENDPOINT_URL", bench.proxy.url())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .stderr(Stdio::piped());
    let worker = worker.spawn().unwrap();
    bench.proxy.holds(1).await;
    let told = Command::new("kill").args(["-TERM", &worker.id().to_string()]).status();
    assert!(told.unwrap().success());
    let ended = tokio::task::spawn_blocking(move || worker.wait_with_output().unwrap());
    let ended = ended.await.unwrap();
    let log = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{}: {log}", ended.status);
    assert!(log.contains("\"stopped\"") && !log.contains("\"serving\""), "{log}");
    assert_eq!(bench.proxy.calls("ReceiveMessage"), 0);
}

#[tokio::test]
async fn a_queue_that_gives_up_what_a_few_restarts_interrupted_is_warned_of_at_the_start() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().json().flatten_event(true);
    let lines = lines.with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(lines);
    for (count, warned) in [(10, false), (3, true)] {
        let arn = "arn:aws:sqs:us-east-1:123456789012:dead";
        let policy = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{count}}}"#);
        let set = bench.clock.client.set_queue_attributes().queue_url(&bench.clock.jobs);
        set.attributes(Name::RedrivePolicy, policy).send().await.unwrap();
        bench.clock.open().await;
        assert_eq!(log.text().contains(r#""event":"redrive_policy""#), warned, "{}", log.text());
    }
    assert!(log.text().contains("maxReceiveCount is under 10"));
}

#[tokio::test]
async fn a_clock_that_is_not_aws_s_is_told_of() {
    for (emulator, told) in [(Emulator::start(), true), (Emulator::on_the_machines_clock(), false)]
    {
        let log = Log::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().json().flatten_event(true);
        let lines = lines.with_writer(move || writer.clone()).finish();
        let _logging = tracing::subscriber::set_default(lines);
        for _ in 0..2 {
            emulator.clients().sqs.list_queues().send().await.unwrap();
        }
        let text = log.text();
        assert_eq!(text.contains(r#""event":"clock_skew""#), told, "{text}");
    }
}

#[tokio::test]
async fn dead_letters_that_the_queue_will_soon_forget_are_told_of() {
    let Some(bench) = Bench::start(&[]).await else { return };
    let kept = 4 * 24 * 60 * MINUTE;
    let set = bench.clock.client.set_queue_attributes().queue_url(&bench.clock.dead);
    let seconds = kept.as_secs().to_string();
    set.attributes(Name::MessageRetentionPeriod, seconds).send().await.unwrap();
    bench.enqueue_for("nobody", "job-0").await;
    bench.deliver_all().await;
    assert_eq!(bench.dead_letters().await.len(), 1);
    let mut pipeline = bench.app.pipeline().unwrap();
    pipeline.queue = std::sync::Arc::new(bench.clock.open().await);
    let log = Log::default();
    let writer = log.clone();
    let lines = tracing_subscriber::fmt().json().flatten_event(true);
    let lines = lines.with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(lines);
    for (days, told) in [(2, false), (1, true)] {
        bench.clock.advance(days * 24 * 60 * MINUTE);
        sealpost::worker::ending::tell_of_ending_letters(&pipeline).await.unwrap();
        assert_eq!(log.text().contains("dead_letters_ending"), told, "{}", log.text());
    }
}
