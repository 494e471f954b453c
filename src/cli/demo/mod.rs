//! `sealpost demo`: the embedded form and a receiver in one process, over real sockets. Nothing is
//! canned: every number is counted where it happens, and the exit status says whether they add up.

mod receiver;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::time::Instant;

use super::{Global, output};
use crate::adapters::system::random_bytes;
use crate::app::{App, Role};
use crate::config::Config;
use crate::domain::dead_letter::DeadLetterFilter;
use crate::domain::endpoint::Endpoint;
use crate::domain::secret::SecretBytes;
use crate::ports::queue::NewMessage;
use crate::redrive;
use crate::registration::put_endpoint;
use crate::vault::NewSecret;
use crate::worker::{self, Limits, Stop};
use receiver::{Credentials, Receiver};

/// Longest time for either half of the demonstration.
const PATIENCE: Duration = Duration::from_secs(60);

/// Show the whole product at work on this machine: three customers, failing endpoints, replay.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sealpost demo --jobs 300")]
pub struct Demo {
    /// How many jobs are enqueued
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    jobs: u32,
}

/// What a run came to, counted in four places: the queue's acceptance, the receiver, the index of
/// dead letters, and the replay.
#[derive(Debug, serde::Serialize)]
struct Summary {
    accepted: usize,
    delivered: usize,
    dead_lettered: usize,
    replayed: usize,
    delivered_after_replay: usize,
    dead_lettered_after_replay: usize,
    refused_by_receiver: usize,
    arrived_twice: usize,
    retries: u64,
    p50_ms: u64,
    p99_ms: u64,
    adds_up: bool,
}

pub async fn run(global: &Global, verb: &Demo) -> anyhow::Result<ExitCode> {
    let directory = tempfile::tempdir()?;
    let credentials = Credentials {
        signing_key: random_bytes::<32>(),
        password: hex(&random_bytes::<12>()),
        api_key: hex(&random_bytes::<16>()),
    };
    let receiver = Receiver::start(credentials).await?;
    let app = App::embedded(directory.path(), loopback()?, Role::Worker).await?;
    register(&app, &receiver).await?;
    say(global, "Registered three customers: signed (Standard Webhooks), basic, API key.")?;

    let stop = Stop::default();
    let limits = Limits { concurrency: 64, drain: Duration::from_secs(5) };
    let worker = tokio::spawn(worker::run(Arc::new(app.pipeline()?), limits, stop.clone()));
    let accepted = enqueue(&app, verb.jobs).await?;
    say(
        global,
        &format!("Enqueued {accepted} jobs; one endpoint in ten fails twice, one always."),
    )?;
    work_off(global, &app, &receiver, accepted).await?;
    let (delivered, dead_lettered) = (receiver.delivered(), dead_letters(&app).await?);
    say(
        global,
        &format!(
            "Delivered {delivered}, dead-lettered {dead_lettered}. Mending the endpoint, replaying."
        ),
    )?;

    receiver.mend();
    let letters =
        app.deliveries.list_dead_letters(&DeadLetterFilter::default(), None, usize::MAX).await?;
    let replayed = redrive::replay(&app, letters).await?.count;
    work_off(global, &app, &receiver, accepted).await?;
    stop.soft.cancel();
    worker.await.context("the worker failed")?;

    let mut summary = Summary {
        accepted,
        delivered,
        dead_lettered,
        replayed,
        delivered_after_replay: receiver.delivered(),
        dead_lettered_after_replay: dead_letters(&app).await?,
        refused_by_receiver: receiver.refused(),
        arrived_twice: receiver.arrived_twice(),
        retries: app.tally.counts().retried,
        p50_ms: receiver.latency_ms(0.50),
        p99_ms: receiver.latency_ms(0.99),
        adds_up: false,
    };
    summary.adds_up = summary.accepted == summary.delivered + summary.dead_lettered
        && summary.replayed == summary.dead_lettered
        && summary.accepted == summary.delivered_after_replay + summary.dead_lettered_after_replay
        && summary.dead_lettered_after_replay == 0
        && summary.refused_by_receiver == 0;
    report(global, &summary)?;
    Ok(if summary.adds_up { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Settings with which the receiver on this machine may be called.
fn loopback() -> anyhow::Result<Config> {
    let mut config = Config::default();
    config.egress.allow_http = true;
    config.egress.allow = vec!["127.0.0.1/32".parse()?];
    config.egress.ports = vec!["1-65535".parse()?];
    Ok(config)
}

async fn register(app: &App, receiver: &Receiver) -> anyhow::Result<()> {
    let secrets = [
        ("signed", receiver.credentials().signing_secret()),
        ("basic", receiver.credentials().password.clone()),
        ("keyed", receiver.credentials().api_key.clone()),
    ];
    for (customer, value) in secrets {
        let value = SecretBytes::new(value.into_bytes());
        let origins = [receiver.origin().parse()?].into();
        let (customer, secret) = (customer.parse()?, "credential".parse()?);
        app.vault.put(NewSecret { customer, secret, value, origins, overlap: None }).await?;
    }
    let signed = json!([{"scheme": "standard_webhooks", "secret": "credential"}]);
    let basic = json!([{"scheme": "basic", "username": "demo", "secret": "credential"}]);
    let keyed =
        json!([{"scheme": "api_key", "in": "header", "name": "x-api-key", "secret": "credential"}]);
    let endpoints = [
        ("signed", "steady", &signed, 4),
        ("basic", "steady", &basic, 4),
        ("keyed", "steady", &keyed, 4),
        ("signed", "flaky", &signed, 4),
        ("signed", "broken", &signed, 3),
    ];
    for (customer, name, auth, attempts) in endpoints {
        let configuration = json!({
            "customerId": customer, "endpointId": name, "auth": auth,
            "url": format!("{}/{customer}/{name}", receiver.origin()),
            "retry": {"maxAttempts": attempts, "baseDelay": "100ms", "maxDelay": "1s"},
            // A broken endpoint would be left alone for longer than anybody watches.
            "limits": {"breaker": false},
        });
        let configuration = Endpoint::from_json(&configuration.to_string())?;
        put_endpoint(app, configuration, None).await?;
    }
    Ok(())
}

async fn enqueue(app: &App, jobs: u32) -> anyhow::Result<usize> {
    let message = |number: u32| {
        let (customer, endpoint) = match number % 10 {
            0..=3 => ("signed", "steady"),
            4..=5 => ("basic", "steady"),
            6..=7 => ("keyed", "steady"),
            8 => ("signed", "flaky"),
            _ => ("signed", "broken"),
        };
        let job = json!({
            "id": format!("demo-{number}"), "customerId": customer, "endpointId": endpoint,
            "type": "order.created",
            "data": {"number": number, "enqueuedAtMs": app.clock.now().as_millis()},
        });
        NewMessage { body: job.to_string().into(), ..NewMessage::default() }
    };
    let mut accepted = 0;
    let numbers: Vec<u32> = (0..jobs).collect();
    for batch in numbers.chunks(100) {
        accepted += app.queue.send(batch.iter().map(|n| message(*n)).collect()).await?.len();
    }
    Ok(accepted)
}

/// Waits until the queue is empty, and shows how it empties.
async fn work_off(
    global: &Global,
    app: &App,
    receiver: &Receiver,
    accepted: usize,
) -> anyhow::Result<()> {
    let bar = if std::io::stderr().is_terminal() && !global.json {
        ProgressBar::new(accepted as u64)
            .with_style(ProgressStyle::with_template("{bar:30} {msg}")?)
    } else {
        ProgressBar::hidden()
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (counts, pending) = (app.tally.counts(), app.queue.depth().await?.pending);
        bar.set_position(accepted as u64 - pending.min(accepted as u64));
        bar.set_message(format!(
            "{} delivered, {} retries, {} dead letters, p50 {} ms, p99 {} ms",
            counts.delivered,
            counts.retried,
            counts.dead_lettered,
            receiver.latency_ms(0.50),
            receiver.latency_ms(0.99),
        ));
        if pending == 0 {
            bar.finish_and_clear();
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{pending} jobs are still pending after {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn dead_letters(app: &App) -> anyhow::Result<usize> {
    let indexed = app
        .deliveries
        .list_dead_letters(&DeadLetterFilter::default(), None, usize::MAX)
        .await?
        .len();
    let queued = app.queue.depth().await?.dead;
    ensure!(indexed as u64 == queued, "{indexed} dead letters in the index, {queued} in the queue");
    Ok(indexed)
}

fn say(global: &Global, text: &str) -> anyhow::Result<()> {
    if global.json { Ok(()) } else { output::line(text) }
}

fn report(global: &Global, summary: &Summary) -> anyhow::Result<()> {
    if global.json {
        return output::json(summary);
    }
    let Summary { accepted, delivered, dead_lettered, replayed, .. } = summary;
    output::line(&format!(
        "\nbefore replay  {accepted} accepted = {delivered} delivered + {dead_lettered} dead-lettered\n\
         after replay   {accepted} accepted = {} delivered + {} dead-lettered ({replayed} replayed)\n\
         receiver       {} refused, {} arrived twice\n\
         worker         {} retries\n\
         latency        p50 {} ms, p99 {} ms from enqueue to accepted arrival, retries and replay included\n\n{}",
        summary.delivered_after_replay,
        summary.dead_lettered_after_replay,
        summary.refused_by_receiver,
        summary.arrived_twice,
        summary.retries,
        summary.p50_ms,
        summary.p99_ms,
        if summary.adds_up { "It adds up." } else { "It does NOT add up." },
    ))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
