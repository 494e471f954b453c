//! The machine's clock is set while the worker runs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::Clock;
use sealpost::ports::queue::NewMessage;
use sealpost::worker::{self, Limits, Stop};
use serde_json::json;
use tracing_subscriber::layer::SubscriberExt;

use crate::bench::{Bench, enqueue, loopback, put, put_secret};
use crate::held::Held;
use crate::web::Web;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn after_a_step_back_nothing_storms_and_signatures_bear_the_clock_s_time() {
    let times: Arc<Mutex<Vec<i64>>> = Arc::default();
    let noted = Arc::clone(&times);
    let web = Web::start(move |request| {
        let mut times = noted.lock().unwrap();
        let time = request.lines().find_map(|line| line.strip_prefix("webhook-timestamp: "));
        times.push(time.unwrap().parse().unwrap());
        (if times.len() == 1 { "503 Busy" } else { "204 No Content" }.to_owned(), String::new())
    })
    .await;
    let bench = Bench::open(loopback()).await;
    put_secret(&bench.app, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &[&web.origin]).await;
    let auth = json!([{"scheme": "standard_webhooks", "secret": "s"}]);
    put(&bench.app, json!({"customerId": "c", "endpointId": "e", "url": web.origin, "auth": auth}))
        .await;
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    bench.clock.set_back(HOUR);
    for _ in 0..50 {
        bench.deliver_due().await;
        bench.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(web.count(), 1, "the retry waits for its time of day");
    // What is enqueued now is due now.
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    assert_eq!(web.count(), 2);
    assert_eq!(times.lock().unwrap()[1], bench.clock.now().as_secs());
    bench.clock.advance(2 * HOUR);
    bench.deliver_due().await;
    let counts = bench.app.tally.counts();
    assert_eq!((web.count(), counts.delivered, counts.retried), (3, 2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_step_forward_what_is_due_at_once_keeps_to_the_endpoint_s_limits() {
    let held = Held::start().await;
    let bench = Bench::open(loopback()).await;
    let limits = json!({"concurrency": 5});
    put(
        &bench.app,
        json!({"customerId": "c", "endpointId": "e", "url": held.origin, "limits": limits}),
    )
    .await;
    let later = bench.clock.now().plus(12 * HOUR);
    let body = json!({"customerId": "c", "endpointId": "e", "data": 1}).to_string();
    let job = NewMessage { body: body.into(), not_before: Some(later), ..NewMessage::default() };
    bench.app.queue.send(vec![job; 100]).await.unwrap();
    let Bench { app, pipeline, clock, .. } = bench;
    let (stop, limits) = (Stop::default(), Limits { concurrency: 50, drain: HOUR });
    let running = tokio::spawn(worker::run(Arc::new(pipeline), limits, stop.clone()));
    clock.advance(24 * HOUR);
    held.reached(5).await;
    while app.tally.counts().parked < 95 {
        tokio::task::yield_now().await;
    }
    assert_eq!(held.most(), 5, "and not a hundred");
    held.release();
    stop.soft.cancel();
    running.await.unwrap();
    assert_eq!(app.tally.counts().delivered + app.queue.depth().await.unwrap().pending, 100);
}

/// What is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_clock_that_is_set_while_the_worker_runs_is_told_of() {
    let lines = Lines::default();
    let writer = lines.clone();
    let layer = tracing_subscriber::fmt::layer().json().flatten_event(true);
    let layer = layer.with_writer(move || writer.clone());
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let bench = Bench::open_with_time(loopback()).await;
    let Bench { pipeline, clock, .. } = bench;
    let (stop, limits) = (Stop::default(), Limits { concurrency: 1, drain: HOUR });
    let running = tokio::spawn(worker::run(Arc::new(pipeline), limits, stop.clone()));
    tokio::time::pause();
    let told = || -> Vec<String> {
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        text.lines().filter(|line| line.contains("clock_step")).map(str::to_owned).collect()
    };
    tokio::time::sleep(Duration::from_secs(35)).await;
    assert_eq!(told(), Vec::<String>::new(), "time went on");
    let before: Timestamp = clock.now();
    clock.advance(24 * HOUR);
    assert!(clock.now().since(before) >= 24 * HOUR);
    tokio::time::sleep(Duration::from_secs(11)).await;
    clock.set_back(HOUR);
    tokio::time::sleep(Duration::from_secs(11)).await;
    let told = told();
    assert!(
        told[0].contains(r#""by_ms":86400000"#) && told[1].contains(r#""by_ms":-3600000"#),
        "{told:?}"
    );
    assert_eq!(told.len(), 2);
    tokio::time::resume();
    stop.soft.cancel();
    running.await.unwrap();
}
