//! `sealpost endpoint test` and `verify`: one real call of an endpoint, told step by step.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::{Global, duration, input, output};
use crate::app::App;
use crate::domain::ids::{CustomerId, EndpointId};
use crate::domain::test_call::{TestEvent, TestKind, TestRecord};
use crate::registration::with_example;
use crate::test_calls::prepared;

/// Call an endpoint once, to test it, and tell every step
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost endpoint test acme orders\n\nThe call is a real one; it bears the header `sealpost-test: true`, and its id begins with `test_`. It spends no attempt, is never repeated, and goes out although the endpoint is paused or disabled. Status 1 says that it failed. On AWS only workers may open secrets: one is asked."
)]
pub struct Test {
    /// Whose
    customer: CustomerId,
    /// Which
    endpoint: EndpointId,
    /// The event's type
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// A JSON file, or - for standard input, with the event: type, data, headers, query, pathParameters
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
    /// How long to wait for a worker's answer
    #[arg(long, value_name = "TIME", default_value = "45s", value_parser = duration)]
    wait: Duration,
}

/// Have an endpoint agree to be called: make the handshake that it asks for
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealpost endpoint verify acme orders\n\nThe endpoint's `verification.handshake` says which: `cloudevents` or `challenge`. Until it has passed, jobs wait. Status 1 says that it did not pass. On AWS a worker is asked."
)]
pub struct Verify {
    /// Whose
    customer: CustomerId,
    /// Which
    endpoint: EndpointId,
    /// How long to wait for a worker's answer
    #[arg(long, value_name = "TIME", default_value = "45s", value_parser = duration)]
    wait: Duration,
}

pub async fn test(global: &Global, app: &App, verb: &Test) -> anyhow::Result<ExitCode> {
    let mut event = match &verb.event {
        Some(file) => serde_json::from_str(&input::read(file)?).context("in --event")?,
        None => TestEvent::default(),
    };
    event.event_type = verb.event_type.clone().or(event.event_type);
    let event = with_example(app, event).await?;
    let whose = (&verb.customer, &verb.endpoint);
    call(global, app, whose, (TestKind::Test, &event), verb.wait).await
}

pub async fn verify(global: &Global, app: &App, verb: &Verify) -> anyhow::Result<ExitCode> {
    let (whose, event) = ((&verb.customer, &verb.endpoint), TestEvent::default());
    call(global, app, whose, (TestKind::Handshake, &event), verb.wait).await
}

async fn call(
    global: &Global,
    app: &App,
    (customer, endpoint): (&CustomerId, &EndpointId),
    (kind, event): (TestKind, &TestEvent),
    wait: Duration,
) -> anyhow::Result<ExitCode> {
    let record = if app.config.is_aws() {
        let tests = app.test_caller();
        let asked = tests.ask(customer, endpoint, kind, event).await?;
        tests.wait_for(asked, wait).await?
    } else {
        let call = app.test_caller().call(customer, endpoint, kind);
        let job = prepared(&call, event)?;
        let stop = CancellationToken::new();
        let report = Some(app.pipeline()?.test_call(kind, job.as_bytes(), &stop).await);
        TestRecord { call, report }
    };
    if global.json {
        output::json(&record.to_json(app.clock.now()))?;
    }
    let Some(report) = &record.report else {
        bail!("no worker answered in time: is one running? Wait longer with --wait")
    };
    if !global.json {
        output::line(&report.to_string())?;
    }
    Ok(if report.has_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
