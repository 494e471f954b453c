//! Jobs of one group reach their endpoint one after another, whatever goes wrong.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sealpost::domain::ids::OrderingGroup;
use sealpost::domain::job::Job;
use sealpost::domain::reason::Reason;
use sealpost::ports::Clock;
use sealpost::ports::queue::{NewMessage, Redrive};
use serde_json::{Value, json};

use crate::bench::{Bench, loopback, put};
use crate::web::Web;

const HOUR: Duration = Duration::from_secs(3600);

fn message(job: &Value) -> NewMessage {
    let body = job.to_string();
    NewMessage::of_job(&Job::decode(body.as_bytes()).unwrap(), body.into())
}

async fn send(bench: &Bench, jobs: &[Value]) {
    bench.app.queue.send(jobs.iter().map(message).collect()).await.unwrap();
}

fn job(group: &str, id: &str) -> Value {
    json!({"id": id, "customerId": "c", "endpointId": "e", "orderingGroup": group, "data": 1})
}

async fn endpoint(bench: &Bench, web: &Web, id: &str, retry: Value) {
    let url = format!("{}/{id}", web.origin);
    put(&bench.app, json!({"customerId": "c", "endpointId": id, "url": url, "retry": retry})).await;
}

/// The ids of the calls so far, in order, of those that come by this path.
fn calls(web: &Web, path: &str) -> Vec<String> {
    let of_path = |request: &String| request.split(' ').nth(1).unwrap() == path;
    let id = |request: String| {
        request.lines().find_map(|line| line.strip_prefix("webhook-id: ")).unwrap().to_owned()
    };
    web.all().into_iter().filter(of_path).map(id).collect()
}

/// Delivers what falls due within so many steps of a quarter of an hour.
async fn go_on(bench: &Bench, steps: usize) {
    for _ in 0..steps {
        while bench.deliver_due().await > 0 {}
        bench.clock.advance(HOUR / 4);
    }
}

/// Fails the first `failures` calls of each id that begins with `bad`.
async fn flaky(failures: usize) -> Web {
    let seen = std::sync::Mutex::new(HashMap::<String, usize>::new());
    Web::start(move |request| {
        let id = request.lines().find_map(|line| line.strip_prefix("webhook-id: ")).unwrap();
        let mut seen = seen.lock().unwrap();
        let count = seen.entry(id.to_owned()).or_default();
        *count += 1;
        let fails = id.starts_with("bad") && *count <= failures;
        let status = if fails { "503 Service Unavailable" } else { "204 No Content" };
        (status.to_owned(), String::new())
    })
    .await
}

#[tokio::test]
async fn a_job_that_fails_holds_its_group_until_it_is_delivered_and_no_other() {
    let (bench, web) = (Bench::open(loopback()).await, flaky(3).await);
    endpoint(&bench, &web, "e", json!({})).await;
    send(&bench, &[job("g", "bad-1"), job("g", "2"), job("g", "3"), job("h", "4")]).await;
    while bench.deliver_due().await > 0 {}
    let mut first = calls(&web, "/e");
    first.sort();
    assert_eq!(first, ["4", "bad-1"]);
    go_on(&bench, 40).await;
    assert_eq!(calls(&web, "/e")[2..], ["bad-1", "bad-1", "bad-1", "2", "3"]);
}

#[tokio::test]
async fn a_job_that_is_given_up_lets_its_group_go_on_and_a_replay_is_the_last() {
    let (bench, web) = (Bench::open(loopback()).await, flaky(2).await);
    endpoint(&bench, &web, "e", json!({"maxAttempts": 2})).await;
    send(&bench, &[job("g", "bad-1"), job("g", "2"), job("g", "3")]).await;
    go_on(&bench, 8).await;
    assert_eq!(calls(&web, "/e"), ["bad-1", "bad-1", "2", "3"]);
    let letter = bench.dead_letters().await.remove(0);
    assert_eq!(letter.reason, Reason::AttemptsExhausted);
    let state = letter.replayed(bench.clock.now()).unwrap();
    let state = Some(serde_json::to_vec(&state).unwrap().into());
    send(&bench, &[job("g", "4")]).await;
    let redrive = Redrive { dead_letter_id: letter.id, state };
    bench.app.queue.redrive(vec![redrive]).await.unwrap();
    send(&bench, &[job("g", "5")]).await;
    while bench.deliver_due().await > 0 {}
    assert_eq!(calls(&web, "/e")[4..], ["4", "bad-1", "5"]);
}

#[tokio::test]
async fn the_age_of_a_job_counts_from_its_turn_and_its_end_does_not_wait_for_it() {
    let (bench, web) = (Bench::open(loopback()).await, flaky(usize::MAX).await);
    endpoint(&bench, &web, "e", json!({"maxAge": "2h", "maxAttempts": 1000})).await;
    let mut ending = job("g", "3");
    ending["expiresAt"] = json!(bench.clock.now().plus(HOUR).to_string());
    send(&bench, &[job("g", "bad-1"), job("g", "2"), ending]).await;
    go_on(&bench, 12).await;
    let letters = bench.dead_letters().await;
    let mut told: Vec<_> =
        letters.iter().map(|l| (l.job_id.as_ref().unwrap().as_str(), l.reason)).collect();
    // Both died in one moment, in which the list has no order.
    told.sort();
    assert_eq!(told, [("3", Reason::Expired), ("bad-1", Reason::TooOld)]);
    assert_eq!(calls(&web, "/e").last().unwrap(), "2", "older than two hours, but not its turn");
}

#[tokio::test]
async fn jobs_that_fan_out_keep_their_order_at_each_endpoint_and_no_endpoint_waits_for_another() {
    let (bench, web) = (Bench::open(loopback()).await, flaky(0).await);
    endpoint(&bench, &web, "good", json!({})).await;
    let down = Web::start(|_| ("503 Service Unavailable".to_owned(), String::new())).await;
    endpoint(&bench, &down, "down", json!({})).await;
    let parents =
        ["1", "2", "3"].map(|id| json!({"id": id, "customerId": "c", "orderingGroup": "g"}));
    send(&bench, &parents).await;
    go_on(&bench, 2).await;
    assert_eq!(calls(&web, "/good"), ["1/good", "2/good", "3/good"]);
    assert!(calls(&down, "/down").iter().all(|id| id == "1/down"));
}

#[tokio::test]
async fn a_job_in_a_group_claims_every_attempt() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let bench = Bench::open(loopback()).await;
    let web = Web::start(|_| {
        CALLS.fetch_add(1, Ordering::SeqCst);
        ("204 No Content".to_owned(), String::new())
    })
    .await;
    endpoint(&bench, &web, "e", json!({})).await;
    send(&bench, &[job("g", "1")]).await;
    let message = bench.app.queue.receive(1, Duration::ZERO).await.unwrap().remove(0);
    let stop = tokio_util::sync::CancellationToken::new();
    // The same receipt twice, as when a worker goes on after its lease.
    for _ in 0..2 {
        bench.pipeline.deliver(&message, &stop).await;
    }
    assert_eq!(CALLS.load(Ordering::SeqCst), 1);
}

#[test]
fn an_ordering_group_has_the_form_of_an_id() {
    for bad in ["", "a b", "é", &"g".repeat(257)] {
        assert!(bad.parse::<OrderingGroup>().is_err(), "{bad:?}");
    }
    assert!("order/42".parse::<OrderingGroup>().is_ok());
}
