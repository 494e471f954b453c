//! Jobs that name no endpoint, over and over: each endpoint is called once.

use std::collections::BTreeMap;
use std::time::Duration;

use sealpost::delivery::preview::PreviewError;
use sealpost::domain::endpoint::Health;
use sealpost::domain::fan_out::MAX_FAN_OUT;
use sealpost::domain::reason::Reason;
use sealpost::ports::Clock;
use sealpost::ports::queue::{NewMessage, Redrive};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, loopback, put};
use crate::web::Web;

const PARENT: &str = r#"{"id":"evt-1","customerId":"c","type":"order.created","data":{"n":1.50}}"#;

async fn endpoint(bench: &Bench, web: &Web, id: &str, more: Value) {
    let mut endpoint =
        json!({"customerId": "c", "endpointId": id, "url": format!("{}/{id}", web.origin)});
    endpoint.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    put(&bench.app, endpoint).await;
}

async fn send(bench: &Bench, body: &str) {
    let message = NewMessage { body: body.to_owned().into(), ..NewMessage::default() };
    bench.app.queue.send(vec![message]).await.unwrap();
}

async fn ok() -> Web {
    Web::start(|_| ("204 No Content".to_owned(), String::new())).await
}

/// Delivers until nothing is left, whenever it falls due.
async fn drain(bench: &Bench) {
    for _ in 0..200 {
        if bench.deliver_due().await == 0 {
            if bench.app.queue.depth().await.unwrap().pending == 0 {
                return;
            }
            bench.clock.advance(Duration::from_secs(60));
        }
    }
    panic!("the queue is never empty");
}

/// How often each pair of path and id was called.
fn calls(web: &Web) -> BTreeMap<(String, String), usize> {
    let mut calls = BTreeMap::new();
    for request in web.all() {
        let path = request.split(' ').nth(1).unwrap().to_owned();
        let id = request.lines().find_map(|line| line.strip_prefix("webhook-id: ")).unwrap();
        assert!(request.ends_with("\r\n\r\n{\"n\":1.50}"), "{request}");
        *calls.entry((path, id.to_owned())).or_default() += 1;
    }
    calls
}

fn once(ids: &[&str]) -> BTreeMap<(String, String), usize> {
    ids.iter().map(|id| ((format!("/{id}"), format!("evt-1/{id}")), 1)).collect()
}

#[tokio::test]
async fn a_job_without_an_endpoint_goes_to_each_that_wants_it_and_to_no_other() {
    let (bench, web) = (Bench::open(loopback()).await, ok().await);
    endpoint(&bench, &web, "all", json!({})).await;
    endpoint(&bench, &web, "orders", json!({"eventTypes": ["user.*", "order.*"]})).await;
    endpoint(&bench, &web, "users", json!({"eventTypes": ["user.*"]})).await;
    endpoint(&bench, &web, "off", json!({"enabled": false})).await;
    endpoint(&bench, &web, "gone", json!({})).await;
    let (customer, gone) = ("c".parse().unwrap(), "gone".parse().unwrap());
    let health = Health::Disabled { why: "410".to_owned() };
    assert!(bench.app.health.set(&customer, &gone, 1, &health).await.unwrap());
    let shown = bench.pipeline.preview(PARENT.as_bytes(), bench.clock.now()).await.err().unwrap();
    assert!(matches!(&shown, PreviewError::FansOut(to) if to == "all, orders"), "{shown}");
    send(&bench, PARENT).await;
    drain(&bench).await;
    assert_eq!(calls(&web), once(&["all", "orders"]));
    let counts = bench.app.tally.counts();
    assert_eq!((counts.fanned_out, counts.unmatched, counts.delivered), (1, 0, 2));
}

#[tokio::test]
async fn a_parent_that_comes_again_changes_nothing_although_the_endpoints_did() {
    let (bench, web) = (Bench::open(loopback()).await, ok().await);
    for id in ["a", "b", "c"] {
        endpoint(&bench, &web, id, json!({})).await;
    }
    send(&bench, PARENT).await;
    let parent = bench.app.queue.receive(1, Duration::ZERO).await.unwrap().remove(0);
    let stop = CancellationToken::new();
    tokio::join!(bench.pipeline.deliver(&parent, &stop), bench.pipeline.deliver(&parent, &stop));
    endpoint(&bench, &web, "late", json!({})).await;
    bench.pipeline.deliver(&parent, &stop).await;
    assert_eq!(bench.app.queue.depth().await.unwrap().pending, 9, "three copies of each child");
    drain(&bench).await;
    assert_eq!(calls(&web), once(&["a", "b", "c"]));
    assert!(bench.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_parent_that_nobody_wants_is_done_and_stays_so() {
    let (bench, web) = (Bench::open(loopback()).await, ok().await);
    send(&bench, PARENT).await;
    let parent = bench.app.queue.receive(1, Duration::ZERO).await.unwrap().remove(0);
    let stop = CancellationToken::new();
    bench.pipeline.deliver(&parent, &stop).await;
    endpoint(&bench, &web, "late", json!({})).await;
    bench.pipeline.deliver(&parent, &stop).await;
    drain(&bench).await;
    assert_eq!((web.count(), bench.app.tally.counts().unmatched), (0, 2));
    assert!(bench.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_child_that_was_given_up_is_replayed_alone_under_its_own_id() {
    let bench = Bench::open(loopback()).await;
    let refusals = std::sync::atomic::AtomicUsize::new(0);
    let web = Web::start(move |request| {
        let first = || refusals.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        let refused = request.starts_with("POST /b ") && first();
        (if refused { "400 Bad Request" } else { "204 No Content" }.to_owned(), String::new())
    })
    .await;
    let once_only = json!({"retry": {"maxAttempts": 1}});
    endpoint(&bench, &web, "a", once_only.clone()).await;
    endpoint(&bench, &web, "b", once_only).await;
    send(&bench, PARENT).await;
    drain(&bench).await;
    let letters = bench.dead_letters().await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].endpoint_id.as_ref().unwrap().as_str(), "b");
    assert_eq!(letters[0].job_id.as_ref().unwrap().as_str(), "evt-1/b");
    let state = letters[0].replayed(bench.clock.now()).unwrap();
    let state = Some(serde_json::to_vec(&state).unwrap().into());
    let redrive = Redrive { dead_letter_id: letters[0].id.clone(), state };
    assert_eq!(bench.app.queue.redrive(vec![redrive]).await.unwrap().found.len(), 1);
    bench.app.deliveries.remove_dead_letters(&letters).await.unwrap();
    drain(&bench).await;
    let mut expected = once(&["a", "b"]);
    expected.insert(("/b".to_owned(), "evt-1/b".to_owned()), 2);
    assert_eq!(calls(&web), expected);
    assert!(bench.dead_letters().await.is_empty());
}

#[tokio::test]
async fn times_hold_for_parents_and_a_disabled_endpoint_gets_nothing_even_by_name() {
    let (bench, web) = (Bench::open(loopback()).await, ok().await);
    endpoint(&bench, &web, "a", json!({})).await;
    let at = |seconds| bench.clock.now().plus(Duration::from_secs(seconds)).to_string();
    let timed = |field: &str, time: String| {
        PARENT.replace("\"customerId\"", &format!("\"{field}\":\"{time}\",\"customerId\""))
    };
    send(&bench, &timed("expiresAt", at(0))).await;
    bench.deliver_due().await;
    assert_eq!(bench.dead_letters().await[0].reason, Reason::Expired);
    send(&bench, &timed("notBefore", at(600))).await;
    bench.deliver_due().await;
    assert_eq!(bench.app.queue.depth().await.unwrap().pending, 1, "the parent waits");
    endpoint(&bench, &web, "a", json!({"enabled": false})).await;
    endpoint(&bench, &web, "b", json!({})).await;
    drain(&bench).await;
    assert_eq!(calls(&web), once(&["b"]), "it goes where it is wanted when its time has come");
    send(&bench, &PARENT.replace("\"type\"", "\"endpointId\":\"a\",\"type\"")).await;
    drain(&bench).await;
    let letters = bench.dead_letters().await;
    assert_eq!(letters[1].reason, Reason::EndpointDisabled);
    assert!(letters[1].message.contains("enabled: false"), "{}", letters[1].message);
}

#[tokio::test]
async fn an_event_of_others_is_delivered_as_it_came() {
    let (bench, web) = (Bench::open(loopback()).await, ok().await);
    endpoint(&bench, &web, "orders", json!({"eventTypes": ["order.created"]})).await;
    let event = include_str!("../../fixtures/jobs/good/foreign.eventbridge.json").trim();
    send(&bench, event).await;
    let everywhere = event.replace("\"endpointId\": \"orders\", ", "").replace("customer-123", "c");
    send(&bench, &everywhere).await;
    drain(&bench).await;
    let requests = web.all();
    assert_eq!(requests.len(), 1, "the other one's customer has no endpoint");
    assert!(requests[0].ends_with(&everywhere), "{}", requests[0]);
    assert!(requests[0].contains("webhook-id: 6a7e8feb-b491-4cf7-a9f1-bf3703467718/orders\r\n"));
    assert_eq!(bench.dead_letters().await[0].reason, Reason::UnknownEndpoint);
}

#[tokio::test]
async fn a_job_that_too_many_endpoints_want_is_given_up_whole() {
    let (bench, web) = (Bench::open(loopback()).await, ok().await);
    let ids: Vec<String> = (0..=MAX_FAN_OUT).map(|n| format!("e{n}")).collect();
    futures_util::future::join_all(ids.iter().map(|id| endpoint(&bench, &web, id, json!({}))))
        .await;
    send(&bench, PARENT).await;
    drain(&bench).await;
    let letters = bench.dead_letters().await;
    assert_eq!((letters.len(), letters[0].reason, web.count()), (1, Reason::FanOutTooLarge, 0));
    assert_eq!(letters[0].endpoint_id, None);
    assert_eq!(letters[0].job_id.as_ref().unwrap().as_str(), "evt-1");
    assert!(letters[0].message.starts_with("2501 endpoints"), "{}", letters[0].message);
}
