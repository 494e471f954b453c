//! `sealpost preview`: the exact request that a job would send.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use clap::Args;
use serde_json::{Map, Value, json};

use super::{Global, input, output};
use crate::adapters::system::SystemClock;
use crate::app::{App, Role};
use crate::domain::request::{HeaderValue, OutboundRequest};
use crate::domain::timestamp::Timestamp;
use crate::ports::Clock;

const MASK: &str = "********";

/// Show the exact request that a job would send to its endpoint, without sending it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  sealpost preview job.json --at 2026-11-23T10:00:00Z")]
pub struct Preview {
    /// A JSON file with one job, or - for standard input
    file: PathBuf,
    /// Show secrets instead of masking them
    #[arg(long)]
    reveal: bool,
    /// The time of the call, as it is signed
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
}

struct FixedClock(Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

pub async fn run(global: &Global, verb: &Preview) -> anyhow::Result<ExitCode> {
    let job = input::read(&verb.file)?;
    let clock: Arc<dyn Clock> = match verb.at {
        Some(at) => Arc::new(FixedClock(at)),
        None => Arc::new(SystemClock),
    };
    let app =
        App::open_with_clock(&global.data, global.load_config()?, Role::Command, clock).await?;
    let request = app.pipeline()?.preview(job.trim().as_bytes()).await?;
    if global.json {
        output::json(&as_json(&request, verb.reveal))?;
    } else {
        output::line(&as_text(&request, verb.reveal))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn url(request: &OutboundRequest, reveal: bool) -> String {
    if reveal {
        return request.full_url().to_string();
    }
    let mut url = request.url.clone();
    for (name, _) in &request.secret_query {
        url.query_pairs_mut().append_pair(name, MASK);
    }
    url.to_string()
}

fn header(value: &HeaderValue, reveal: bool) -> String {
    match value {
        HeaderValue::Plain(text) => text.clone(),
        HeaderValue::Secret(bytes) if reveal => {
            String::from_utf8_lossy(bytes.expose()).into_owned()
        }
        HeaderValue::Secret(_) => MASK.to_owned(),
    }
}

fn as_json(request: &OutboundRequest, reveal: bool) -> Value {
    let headers: Map<String, Value> =
        request.headers.iter().map(|h| (h.name.clone(), header(&h.value, reveal).into())).collect();
    let mut shown =
        json!({"method": request.method, "url": url(request, reveal), "headers": headers});
    match std::str::from_utf8(&request.body) {
        Ok(text) => shown["body"] = text.into(),
        Err(_) => shown["bodyBase64"] = BASE64_STANDARD.encode(&request.body).into(),
    }
    shown
}

fn as_text(request: &OutboundRequest, reveal: bool) -> String {
    let mut text = format!("{} {}\n", request.method, url(request, reveal));
    for h in &request.headers {
        text.push_str(&format!("{}: {}\n", h.name, header(&h.value, reveal)));
    }
    text.push('\n');
    match std::str::from_utf8(&request.body) {
        Ok(body) => text.push_str(body),
        Err(_) => text.push_str(&format!("({} bytes that are not text)", request.body.len())),
    }
    text
}
