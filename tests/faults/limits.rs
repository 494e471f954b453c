//! Limits: what is over one waits, costs little, and delays nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sealpost::config::Config;
use sealpost::domain::dead_letter::DeadLetter;
use sealpost::domain::endpoint::Health;
use sealpost::domain::gate::AGAIN;
use sealpost::domain::parking::most_parks;
use sealpost::domain::reason::Reason;
use sealpost::ports::queue::{Depth, Handle, NewMessage, Received, Redrive, Sought};
use sealpost::ports::{Clock, Queue, Result};
use sealpost::worker::{self, Limits, Stop};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, enqueue, loopback, put};
use crate::held::Held;
use crate::web::Web;

const SECOND: Duration = Duration::from_secs(1);

async fn bench(origin: &str, limits: Value) -> Bench {
    let bench = Bench::open(loopback()).await;
    let url = format!("{origin}/");
    let retry = json!({"baseDelay": "1s", "maxDelay": "30s"});
    let endpoint =
        json!({"customerId": "c", "endpointId": "e", "url": url, "limits": limits, "retry": retry});
    put(&bench.app, endpoint).await;
    bench
}

/// Delivers what is due until nothing is.
async fn deliver_all_due(bench: &Bench) {
    while bench.deliver_due().await > 0 {}
}

#[tokio::test]
async fn a_backlog_over_the_rate_arrives_at_the_rate_and_waits_once_a_job() {
    let web = Web::start(|_| ("204 No Content".into(), String::new())).await;
    let bench = bench(&web.origin, json!({"rate": {"count": 10, "burst": 2}})).await;
    enqueue(&bench.app, 50).await;
    for step in 0..50 {
        deliver_all_due(&bench).await;
        // 2 at once, and one in 100 ms.
        assert_eq!(web.count(), (2 + step).min(50), "after {step} steps");
        bench.clock.advance(SECOND / 10);
    }
    let counts = bench.app.tally.counts();
    assert_eq!((counts.delivered, counts.parked), (50, 48));
}

#[tokio::test]
async fn no_more_calls_are_made_at_once_than_the_endpoint_allows() {
    let held = Held::start().await;
    let bench = bench(&held.origin, json!({"concurrency": 5})).await;
    enqueue(&bench.app, 100).await;
    tokio::join!(bench.deliver_due(), async {
        held.reached(5).await;
        // The others are back in the queue before any call has ended.
        while bench.app.tally.counts().parked < 95 {
            tokio::task::yield_now().await;
        }
        held.release();
    });
    while bench.app.queue.depth().await.unwrap() != Depth::default() {
        bench.clock.advance(SECOND / 10);
        deliver_all_due(&bench).await;
    }
    assert_eq!((held.most(), bench.app.tally.counts().delivered), (5, 100));
}

#[tokio::test]
async fn a_delivery_that_is_dropped_gives_its_place_back() {
    let held = Held::start().await;
    let bench = bench(&held.origin, json!({"concurrency": 1})).await;
    enqueue(&bench.app, 2).await;
    let messages = bench.app.queue.receive(2, Duration::ZERO).await.unwrap();
    let stop = CancellationToken::new();
    {
        let dropped = bench.pipeline.deliver(&messages[0], &stop);
        tokio::select! {
            () = dropped => panic!("it is held"),
            () = held.reached(1) => {}
        }
    }
    held.release();
    bench.pipeline.deliver(&messages[1], &stop).await;
    assert_eq!(bench.app.tally.counts().delivered, 1);
}

#[tokio::test]
async fn a_breaker_opens_parks_without_attempts_probes_and_recovers() {
    let works = Arc::new(AtomicBool::new(false));
    let (answers, mut seen) = (Arc::clone(&works), 3);
    let web = Web::start(move |_| match answers.load(Ordering::SeqCst) {
        true => ("204 No Content".into(), String::new()),
        false => ("500 Oh".into(), String::new()),
    });
    let web = web.await;
    let breaker = json!({"failures": 3, "wait": "10s"});
    let bench = bench(&web.origin, json!({"breaker": breaker})).await;
    enqueue(&bench.app, 3).await;
    bench.deliver_due().await;
    assert_eq!(web.count(), 3);
    enqueue(&bench.app, 20).await;
    for _ in 0..7 {
        deliver_all_due(&bench).await;
        bench.clock.advance(SECOND);
    }
    assert_eq!(web.count(), 3, "it is left alone");
    assert!(bench.app.tally.counts().parked >= 20);

    // Every probe is one call, and the waits between them double.
    for wait in [10, 20, 40] {
        for _ in 0..wait {
            bench.clock.advance(SECOND);
            deliver_all_due(&bench).await;
        }
        assert!(web.count() - seen <= 1, "{} probes in {wait} s", web.count() - seen);
        seen = web.count();
    }
    assert!(seen >= 5);
    works.store(true, Ordering::SeqCst);
    let mut seconds = 0;
    while bench.app.queue.depth().await.unwrap() != Depth::default() {
        bench.clock.advance(SECOND);
        deliver_all_due(&bench).await;
        seconds += 1;
        assert!(seconds < 1000, "the longest wait is 15 minutes");
    }
    assert_eq!(bench.app.tally.counts().delivered, 23);
}

#[tokio::test]
async fn a_hanging_endpoint_does_not_delay_another_of_the_same_customer() {
    let (held, other) = (Held::start().await, Held::start().await);
    other.release();
    let mut config = loopback();
    config.worker.concurrency = 64;
    let bench = bench_of(config, &held.origin, &other.origin, "c").await;
    enqueue(&bench.app, 500).await;
    send(&bench, "c", "other", 50).await;
    let mut running = run(&bench);
    running.until(other.has_answered(50)).await;
    assert!(held.most() <= 32, "{} calls hang", held.most());
    held.release();
    running.stop().await;
}

#[tokio::test]
async fn a_customer_who_floods_the_worker_does_not_keep_others_waiting() {
    let (held, other) = (Held::start().await, Held::start().await);
    other.release();
    let mut config = loopback();
    config.worker.concurrency = 32;
    let bench = bench_of(config, &held.origin, &other.origin, "b").await;
    enqueue(&bench.app, 5000).await;
    send(&bench, "b", "other", 50).await;
    let mut running = run(&bench);
    running.until(other.has_answered(50)).await;
    // An eighth of the places is left to find out who else waits.
    assert_eq!(held.most(), 28);
    held.release();
    running.stop().await;
}

/// Endpoint `e` of customer `c` at `slow`, not adaptive where the other is another customer's, and
/// `other` of customer `owner` at `quick`.
async fn bench_of(config: Config, slow: &str, quick: &str, owner: &str) -> Bench {
    let bench = Bench::open_with_time(config).await;
    let limits = json!({"adaptive": owner == "c"});
    let (slow, quick) = (format!("{slow}/"), format!("{quick}/"));
    let slow = json!({"customerId": "c", "endpointId": "e", "url": slow, "limits": limits});
    put(&bench.app, slow).await;
    put(&bench.app, json!({"customerId": owner, "endpointId": "other", "url": quick})).await;
    bench
}

async fn send(bench: &Bench, customer: &str, endpoint: &str, count: usize) {
    let body = json!({"customerId": customer, "endpointId": endpoint, "data": 1}).to_string();
    let message = NewMessage { body: body.into(), ..NewMessage::default() };
    bench.app.queue.send(vec![message; count]).await.unwrap();
}

/// A worker in a task of its own.
struct Running {
    stop: Stop,
    task: tokio::task::JoinHandle<worker::Ended>,
}

fn run(bench: &Bench) -> Running {
    let concurrency = bench.concurrency();
    let pipeline = Arc::new(bench.app.pipeline().unwrap());
    let (stop, limits) = (Stop::default(), Limits { concurrency, drain: 30 * SECOND });
    Running { stop: stop.clone(), task: tokio::spawn(worker::run(pipeline, limits, stop)) }
}

impl Running {
    /// Lets the worker go on until then.
    async fn until(&mut self, then: impl Future<Output = ()>) {
        tokio::select! {
            () = then => {}
            ended = &mut self.task => panic!("{ended:?}"),
        }
    }

    async fn stop(self) {
        self.stop.soft.cancel();
        assert_eq!(self.task.await.unwrap(), worker::Ended::Clean);
    }
}

#[tokio::test]
async fn an_endpoint_that_has_nothing_left_of_its_own_rate_limit_is_left_alone() {
    for header in
        ["RateLimit: \"default\";r=0;t=30", "RateLimit-Remaining: 0\r\nRateLimit-Reset: 30"]
    {
        let web = Web::start(move |_| (format!("204 No Content\r\n{header}"), String::new())).await;
        let bench = bench(&web.origin, json!({})).await;
        enqueue(&bench.app, 1).await;
        deliver_all_due(&bench).await;
        let until = bench.clock.now().plus(30 * SECOND);
        assert_eq!(bench.health().await, Health::Paused { until }, "{header}");
        enqueue(&bench.app, 1).await;
        bench.clock.advance(29 * SECOND);
        deliver_all_due(&bench).await;
        assert_eq!(web.count(), 1);
        bench.clock.advance(SECOND);
        deliver_all_due(&bench).await;
        assert_eq!((web.count(), bench.app.tally.counts().delivered), (2, 2));
    }
}

/// Counts the calls that settle messages.
struct Counting {
    inner: Arc<dyn Queue>,
    replaced: AtomicU64,
}

#[async_trait]
impl Queue for Counting {
    fn keeps_order(&self) -> bool {
        self.inner.keeps_order()
    }
    async fn replace(&self, handle: &Handle, next: NewMessage) -> Result<()> {
        self.replaced.fetch_add(1, Ordering::SeqCst);
        self.inner.replace(handle, next).await
    }
    async fn send(&self, messages: Vec<NewMessage>) -> Result<Vec<String>> {
        self.inner.send(messages).await
    }
    async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Received>> {
        self.inner.receive(max, wait).await
    }
    fn lease(&self) -> Duration {
        self.inner.lease()
    }
    async fn extend(&self, handles: &[Handle]) -> Result<()> {
        self.inner.extend(handles).await
    }
    async fn release(&self, handle: &Handle, delay: Duration) -> Result<()> {
        self.inner.release(handle, delay).await
    }
    async fn acknowledge(&self, handle: &Handle) -> Result<()> {
        self.inner.acknowledge(handle).await
    }
    async fn dead_letter(
        &self,
        handle: &Handle,
        letter: &DeadLetter,
        state: Option<Bytes>,
    ) -> Result<()> {
        self.inner.dead_letter(handle, letter, state).await
    }
    async fn peek_dead(&self, id: &str) -> Result<Option<Bytes>> {
        self.inner.peek_dead(id).await
    }
    async fn redrive(&self, letters: Vec<Redrive>) -> Result<Sought> {
        self.inner.redrive(letters).await
    }
    async fn purge_dead(&self, ids: &[String]) -> Result<Sought> {
        self.inner.purge_dead(ids).await
    }
    async fn depth(&self) -> Result<Depth> {
        self.inner.depth().await
    }
}

#[tokio::test]
async fn a_dead_endpoint_s_backlog_costs_a_bounded_number_of_queue_calls() {
    const JOBS: u64 = 2000;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut bench = Bench::open(loopback()).await;
    let (url, age) = (format!("{origin}/"), Duration::from_secs(2 * 3600));
    let retry = json!({"maxAge": "2h", "maxDelay": "30m"});
    put(&bench.app, json!({"customerId": "c", "endpointId": "e", "url": url, "retry": retry}))
        .await;
    let inner = Arc::clone(&bench.app.queue);
    let counting = Arc::new(Counting { inner, replaced: AtomicU64::new(0) });
    bench.pipeline.queue = Arc::clone(&counting) as _;
    enqueue(&bench.app, usize::try_from(JOBS).unwrap()).await;
    while bench.app.queue.depth().await.unwrap().pending > 0 {
        deliver_all_due(&bench).await;
        bench.clock.advance(5 * SECOND);
    }
    let counts = bench.app.tally.counts();
    assert_eq!(counts.dead_lettered, JOBS);
    assert!(bench.dead_letters().await.iter().all(|letter| letter.reason == Reason::TooOld));
    let attempts = counts.retried;
    let replaced = counting.replaced.load(Ordering::SeqCst);
    assert_eq!(replaced, counts.parked + counts.retried);
    let most = u64::from(1 + most_parks(AGAIN, age));
    assert!(counts.parked <= most * JOBS, "{} parks, {most} a job at most", counts.parked);
    let mean = counts.parked as f64 / JOBS as f64;
    println!("{mean:.1} parks a job in 2 hours, {most} at most; {attempts} attempts");
    assert!((10.0..17.0).contains(&mean), "{mean} parks a job");
    assert!(attempts < 200, "{attempts} attempts");
}

/// Registers endpoints of as many customers, and sends a job to each.
async fn jobs_for_many(bench: &Bench, count: usize, url: &str) {
    let numbers: Vec<usize> = (0..count).collect();
    for chunk in numbers.chunks(500) {
        let endpoint =
            |n: &usize| json!({"customerId": format!("c{n}"), "endpointId": "e", "url": url});
        futures_util::future::join_all(chunk.iter().map(|n| put(&bench.app, endpoint(n)))).await;
        let job = |n: &usize| json!({"customerId": format!("c{n}"), "endpointId": "e", "data": n});
        let message = |n| NewMessage { body: job(n).to_string().into(), ..NewMessage::default() };
        bench.app.queue.send(chunk.iter().map(message).collect()).await.unwrap();
    }
}

#[tokio::test]
async fn ten_thousand_dead_endpoints_keep_a_good_one_from_nothing_and_lose_nothing() {
    const DEAD: usize = 10_000;
    let web = Web::start(|_| ("204 No Content".into(), String::new())).await;
    let bench = bench(&web.origin, json!({})).await;
    // Nobody listens there any more.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    jobs_for_many(&bench, DEAD, &format!("http://{closed}/")).await;
    // They are all before the good one, which waits for as long as they take to fail.
    enqueue(&bench.app, 1).await;
    let mut pages = 0;
    while web.count() == 0 {
        assert!(bench.deliver_due().await > 0, "nothing after {pages} pages");
        pages += 1;
    }
    assert!(pages <= DEAD / 100 + 1, "{pages} pages");
    // While they wait, it is called at once.
    deliver_all_due(&bench).await;
    // Some are tried again at once: the wait is random, from nothing on.
    assert!(bench.app.tally.counts().retried >= DEAD as u64);
    enqueue(&bench.app, 1).await;
    assert_eq!((bench.deliver_due().await, web.count()), (1, 2));
    assert_eq!(bench.app.queue.depth().await.unwrap().pending, DEAD as u64);
}
