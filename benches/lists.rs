//! What lists cost where there is much: `cargo bench --bench lists`.
//!
//! A store of a million recorded deliveries is filled and asked for pages, by each filter, over HTTP. A
//! store of 100,000 dead letters is listed, filtered and replayed, each by a process of its own, whose most
//! memory is told beside that of one that only opens it.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and dials its own server"
)]
#![allow(missing_docs, reason = "a program")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};
use futures_util::future::join_all;
use sealpost::access::issue_key;
use sealpost::api::{Api, serve};
use sealpost::app::{App, Role};
use sealpost::config::Config;
use sealpost::domain::access::{Grant, Scope};
use sealpost::domain::dead_letter::{DeadLetter, DeadLetterFilter, job_sha256};
use sealpost::domain::decide::Disposition;
use sealpost::domain::delivery::{DeliveryKey, DeliveryState};
use sealpost::domain::delivery_record::{AttemptRow, DeliveryRecord, RecordedAttempt};
use sealpost::domain::endpoint::Method;
use sealpost::domain::outcome::{Attempt, AttemptOutcome};
use sealpost::domain::reason::Reason;
use sealpost::domain::replay::{Request, Standing};
use sealpost::domain::request::OutboundRequest;
use sealpost::domain::shown_request::ShownRequest;
use sealpost::domain::timestamp::Timestamp;
use sealpost::monitor::Monitor;
use sealpost::ports::queue::{NewMessage, Received};
use sealpost::worker::Stop;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// The longest that 99 of 100 pages may take.
const MOST_MILLIS: f64 = 50.0;
/// The most memory that listing or replaying may take beside that of opening the store.
const MOST_MIB: f64 = 48.0;
/// When the first delivery was accepted.
const BEGUN: i64 = 1_790_000_000_000;
/// Milliseconds between two deliveries: a million fill 29 days.
const STEP: i64 = 2_500;

/// Measures lists; prints milliseconds a page and memory.
#[derive(Debug, Parser)]
struct Bench {
    /// Recorded deliveries in the store
    #[arg(long, default_value_t = 1_000_000)]
    deliveries: usize,
    /// Pages of each filter
    #[arg(long, default_value_t = 200)]
    pages: usize,
    /// Dead letters in the store
    #[arg(long, default_value_t = 100_000)]
    letters: usize,
    /// Where the data directories are made
    #[arg(long, default_value = env!("CARGO_TARGET_TMPDIR"))]
    folder: PathBuf,
    /// What a process of the benchmark does with a data directory
    #[arg(long, hide = true, requires = "data")]
    work: Option<Work>,
    /// The data directory
    #[arg(long, hide = true)]
    data: Option<PathBuf>,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// What is done with dead letters.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Work {
    /// Nothing.
    Open,
    /// All are listed.
    List,
    /// Those of one customer and type are counted.
    Filter,
    /// Those of one customer are sent again.
    Replay,
}

fn main() -> anyhow::Result<()> {
    let bench = Bench::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match (bench.work, &bench.data) {
        (Some(work), Some(data)) => runtime.block_on(do_work(work, data)),
        _ => runtime.block_on(measure(&bench)),
    }
}

async fn measure(bench: &Bench) -> anyhow::Result<()> {
    let pages = measure_pages(bench).await?;
    let letters = measure_letters(bench).await?;
    let summary = json!({"pages": pages, "deadLetters": letters});
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("lists.json"), serde_json::to_string_pretty(&summary)?)?;
    let slow = |page: &&Value| page["p99"].as_f64().is_none_or(|p99| p99 > MOST_MILLIS);
    let slow: Vec<&Value> = pages.iter().filter(slow).collect();
    ensure!(slow.is_empty(), "pages that take more than {MOST_MILLIS} ms: {slow:?}");
    Ok(())
}

/// Times pages of deliveries.
async fn measure_pages(bench: &Bench) -> anyhow::Result<Vec<Value>> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let mut config = Config::default();
    config.api.requests_per_second = 1_000_000;
    let app = Arc::new(App::embedded(folder.path(), config, Role::Command).await?);
    let begun = Instant::now();
    fill_deliveries(&app, bench.deliveries).await?;
    println!("{} deliveries recorded in {:.0?}", bench.deliveries, begun.elapsed());
    let grant = Grant::Operator { scope: Scope::ReadOnly, customers: None, endpoints: None };
    let key = issue_key(&app, "bench".to_owned(), grant, None).await?.text;
    let key = key.expose_str().context("a key is text")?.to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Arc::new(Api::new(Monitor::new(Arc::clone(&app), None))).router();
    tokio::spawn(serve(listener, router, Duration::from_secs(1), Stop::default()));
    let mut measured = Vec::new();
    println!("milliseconds a page of 50, at places all over the time, {} pages", bench.pages);
    for (name, query) in [
        ("all of a customer", ""),
        ("of an endpoint", "endpointId=endpoint-7"),
        ("of a job", "jobId=job-777777"),
        ("delivered", "status=delivered"),
        ("given up", "status=dead_letter"),
        ("with a reason", "reason=rejected"),
        ("with an answer", "httpStatus=503"),
        ("of a type", "eventType=type-3"),
        ("of a type that is not there", "eventType=nothing"),
        ("given up of an endpoint", "status=dead_letter&endpointId=endpoint-7"),
    ] {
        let mut millis = pages_of(address, &key, query, bench).await?;
        millis.sort_by(f64::total_cmp);
        let at = |part: usize| millis[(millis.len() * part / 100).min(millis.len() - 1)];
        println!("{name:<30}{:>8.1} median {:>8.1} of 99 in 100", at(50), at(99));
        measured.push(json!({"filter": name, "median": at(50), "p99": at(99)}));
    }
    Ok(measured)
}

/// How long each page took.
async fn pages_of(
    address: SocketAddr,
    key: &str,
    query: &str,
    bench: &Bench,
) -> anyhow::Result<Vec<f64>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let span = STEP * i64::try_from(bench.deliveries)?;
    let mut millis = Vec::with_capacity(bench.pages);
    for page in 0..bench.pages {
        // Places far apart, so that no page is warmed by the one before.
        let part = (page * 7919) % bench.pages + 1;
        let at = BEGUN + span * i64::try_from(part)? / i64::try_from(bench.pages)?;
        let until = Timestamp::from_millis(at);
        let path = format!("/v1/customers/acme/deliveries?until={until}&{query}");
        let begun = Instant::now();
        get(&mut stream, key, path.trim_end_matches('&')).await?;
        millis.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    Ok(millis)
}

async fn get(stream: &mut TcpStream, key: &str, path: &str) -> anyhow::Result<()> {
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let (mut answer, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let read = stream.read(&mut piece).await?;
        ensure!(read > 0, "the server closed the connection");
        answer.extend_from_slice(&piece[..read]);
        let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        ensure!(head.starts_with("http/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.context("no content-length")?.parse()?;
        if answer.len() == end + 4 + length {
            return Ok(());
        }
    }
}

/// Nine of ten deliveries are of one customer; two of a hundred were not delivered.
fn delivery(number: usize, until: Timestamp) -> anyhow::Result<RecordedAttempt> {
    let accepted_at = Timestamp::from_millis(BEGUN + STEP * i64::try_from(number)?);
    let customer =
        if number % 10 == 9 { format!("customer-{}", number % 997) } else { "acme".into() };
    let key = DeliveryKey {
        customer_id: customer.parse()?,
        endpoint_id: format!("endpoint-{}", number % 101).parse()?,
        job_id: format!("job-{number}").parse()?,
        round: 1,
        message_id: format!("msg_{number:032}"),
    };
    let (status, then) = match number % 100 {
        1 => (503, Disposition::RetryAt(until)),
        2 => (400, Disposition::DeadLetter(Reason::Rejected)),
        _ => (204, Disposition::Done),
    };
    let outcome = AttemptOutcome::Answered { status, retry_after_ms: None, never_again: false };
    let attempt = Attempt {
        number: 1,
        at: accepted_at,
        duration_ms: 12,
        address: Some("192.0.2.1:443".to_owned()),
        outcome,
        detail: String::new(),
    };
    let event_type = Some(format!("type-{}", number % 13));
    let header = DeliveryRecord::after(&key, event_type, accepted_at, &attempt, then);
    let url = "https://acme.example/hooks/orders".parse()?;
    let request = OutboundRequest::new(Method::Post, url, Vec::new().into());
    let attempt = AttemptRow::new(attempt, &ShownRequest::without_body(&request));
    Ok(RecordedAttempt { header, attempt, until })
}

async fn fill_deliveries(app: &App, count: usize) -> anyhow::Result<()> {
    let until = app.clock.now().plus(Duration::from_secs(30 * 24 * 3600));
    for begin in (0..count).step_by(2_000) {
        let numbers = begin..count.min(begin + 2_000);
        let batch: anyhow::Result<Vec<_>> = numbers.map(|n| delivery(n, until)).collect();
        app.records.put(&batch?).await?;
    }
    Ok(())
}

/// Measures what dead letters cost, in processes of their own.
async fn measure_letters(bench: &Bench) -> anyhow::Result<Vec<Value>> {
    let folder = tempfile::tempdir_in(&bench.folder)?;
    let begun = Instant::now();
    fill_letters(folder.path(), bench.letters).await?;
    println!("{} dead letters in {:.0?}", bench.letters, begun.elapsed());
    let mut measured: Vec<Value> = Vec::new();
    for work in [Work::Open, Work::List, Work::Filter, Work::Replay] {
        let done = part(work, folder.path())?;
        let (count, mib) = (&done["count"], done["mib"].as_f64().unwrap_or(f64::INFINITY));
        println!("{:<10}{count:>8} in {:>6.1} s, {mib:>5.1} MiB", done["work"], done["seconds"]);
        measured.push(done);
    }
    let mib = |done: &Value| done["mib"].as_f64().unwrap_or(f64::INFINITY);
    for done in &measured {
        let more = mib(done) - mib(&measured[0]);
        ensure!(more <= MOST_MIB, "{more} MiB more than opening: {done}");
    }
    // Half of all are the customer's, and of these every tenth is of the type.
    let expected = [0, bench.letters, bench.letters / 20, bench.letters / 2];
    for (done, expected) in measured.iter().zip(expected) {
        ensure!(done["count"] == expected, "expected {expected}: {done}");
    }
    let app = App::embedded(folder.path(), Config::default(), Role::Command).await?;
    let depth = app.queue.depth().await?;
    ensure!(depth.pending == (bench.letters / 2) as u64, "{depth:?}");
    ensure!(depth.dead == (bench.letters - bench.letters / 2) as u64, "{depth:?}");
    Ok(measured)
}

/// Runs this program as one of its parts; what that tells.
fn part(work: Work, data: &Path) -> anyhow::Result<Value> {
    let name = work.to_possible_value().context("no name")?;
    let output = Command::new(std::env::current_exe()?)
        .args(["--work", name.get_name(), "--data"])
        .arg(data)
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Dead letters as a worker makes them: a job in the queue, an index record, and the job among the dead.
async fn fill_letters(data: &Path, count: usize) -> anyhow::Result<()> {
    let app = App::embedded(data, Config::default(), Role::Worker).await?;
    for begin in (0..count).step_by(1_000) {
        let numbers = begin..count.min(begin + 1_000);
        let jobs = numbers.map(|number| {
            let customer = if number % 2 == 0 { "acme" } else { "other" };
            let kind = format!("type-{}", number / 2 % 10);
            json!({"id": format!("evt_{number}"), "customerId": customer, "endpointId": "orders",
                   "type": kind, "data": {"note": "x".repeat(900)}})
        });
        let message = |job: Value| NewMessage {
            body: job.to_string().into_bytes().into(),
            ..NewMessage::default()
        };
        app.queue.send(jobs.map(message).collect()).await?;
        let received = app.queue.receive(1_000, Duration::ZERO).await?;
        let buried = join_all(received.iter().map(|message| bury(&app, message))).await;
        buried.into_iter().collect::<anyhow::Result<()>>()?;
    }
    Ok(())
}

async fn bury(app: &App, message: &Received) -> anyhow::Result<()> {
    let job: Value = serde_json::from_slice(&message.body)?;
    let text = |name: &str| job[name].as_str().unwrap_or_default().to_owned();
    let now = app.clock.now();
    let attempt = |number| Attempt {
        number,
        at: now,
        duration_ms: 12,
        address: Some("192.0.2.1:443".to_owned()),
        outcome: AttemptOutcome::Answered { status: 503, retry_after_ms: None, never_again: false },
        detail: "the service is not available".to_owned(),
    };
    let letter = DeadLetter {
        id: format!("dl_{}", &job_sha256(message.message_id.as_bytes())[..24]),
        message_id: message.message_id.clone(),
        customer_id: Some(text("customerId").parse()?),
        endpoint_id: Some(text("endpointId").parse()?),
        job_id: Some(text("id").parse()?),
        child: None,
        event_type: Some(text("type")),
        round: 1,
        reason: Reason::AttemptsExhausted,
        message: "attempt 15: status 503; see the history; mend the endpoint, then replay"
            .to_owned(),
        accepted_at: message.sent_at,
        dead_at: now,
        attempts: 15,
        history: (11..=15).map(attempt).collect(),
        job_size: message.body.len(),
        job_sha256: job_sha256(&message.body),
        attributes: Default::default(),
    };
    let state = DeliveryState::first(text("id").parse()?, message.sent_at);
    app.deliveries.put_dead_letter(&letter).await?;
    let state = serde_json::to_vec(&state)?.into();
    Ok(app.queue.dead_letter(&message.handle, &letter, Some(state)).await?)
}

/// Does a part of the benchmark, and tells how long it took and the most memory of this process.
async fn do_work(work: Work, data: &Path) -> anyhow::Result<()> {
    let app = App::embedded(data, Config::default(), Role::Command).await?;
    let begun = Instant::now();
    let of_acme =
        DeadLetterFilter { customer_id: Some("acme".parse()?), ..DeadLetterFilter::default() };
    let count = match work {
        Work::Open => 0,
        Work::List => list(&app, &DeadLetterFilter::default()).await?,
        Work::Filter => {
            let filter = DeadLetterFilter { event_type: Some("type-3".to_owned()), ..of_acme };
            list(&app, &filter).await?
        }
        Work::Replay => {
            let (replayer, stop) = (app.replayer(), CancellationToken::new());
            let token = replayer.token();
            let request = Request { filter: of_acme, ..Request::default() };
            let replay = replayer.begin(request, "ops-1", Some(&token)).await?;
            let replay = replayer.run(replay, &token, &stop, |_| {}).await?;
            ensure!(replay.state == Standing::Finished, "{replay:?}");
            usize::try_from(replay.done.replayed)?
        }
    };
    let (seconds, mib) = (begun.elapsed().as_secs_f64(), peak_mib()?);
    let name = work.to_possible_value().context("no name")?;
    println!(
        "{}",
        json!({"work": name.get_name(), "count": count, "seconds": seconds, "mib": mib})
    );
    Ok(())
}

/// Goes through the pages of a list, as the API's users do, and keeps none.
async fn list(app: &App, filter: &DeadLetterFilter) -> anyhow::Result<usize> {
    let (mut count, mut after) = (0, None::<String>);
    loop {
        let page = app.deliveries.scan_dead_letters(filter, after.as_deref(), 250).await?;
        count += page.letters.len();
        after = page.next;
        if after.is_none() {
            return Ok(count);
        }
    }
}

/// The most memory that was resident at once, in MiB.
fn peak_mib() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line.context("no VmHWM")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}
