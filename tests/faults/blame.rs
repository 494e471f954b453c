//! What is ours costs the endpoint nothing.

use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::op::ResponseCode;
use sealpost::app::{App, Role};
use sealpost::domain::dead_letter::DeadLetterFilter;
use sealpost::domain::endpoint::Health;
use sealpost::ports::Clock;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

use crate::bench::{TestClock, enqueue, loopback, put, put_secret};
use crate::dns_server::{self, Answer};

#[tokio::test]
async fn a_resolver_out_of_order_makes_no_call_ambiguous() {
    let (nameserver, _) = dns_server::serve(vec![Answer::Code(ResponseCode::ServFail)]).await;
    let (directory, clock) = (tempfile::tempdir().unwrap(), TestClock::start());
    let mut config = loopback();
    config.egress.nameservers = vec![nameserver];
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
    let app = App::embedded_with_clock(directory.path(), config, Role::Worker, shared);
    let app = app.await.unwrap();
    let retry = json!({"retryAmbiguous": false});
    put(&app, json!({"customerId": "c", "endpointId": "e", "url": "http://h.test-a.com/", "retry": retry}))
        .await;
    enqueue(&app, 1).await;
    let pipeline = app.pipeline().unwrap();
    for faults in 1..=4 {
        let messages = app.queue.receive(1, Duration::ZERO).await.unwrap();
        pipeline.deliver(&messages[0], &CancellationToken::new()).await;
        assert_eq!(app.tally.counts().faults, faults);
        clock.advance(Duration::from_secs(600));
    }
    let messages = app.queue.receive(1, Duration::ZERO).await.unwrap();
    pipeline.deliver(&messages[0], &CancellationToken::new()).await;
    clock.advance(Duration::from_secs(30));
    let back = app.queue.receive(1, Duration::ZERO).await.unwrap();
    assert!(back.is_empty(), "what does not pass waits longer and longer");
    let dead = app.deliveries.list_dead_letters(&DeadLetterFilter::default(), None, 9).await;
    assert!(dead.unwrap().is_empty(), "nothing was ever sent");
}

/// Refuses the old token, both calls with it at once; takes the new one.
async fn rotating_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let both = Arc::new(Barrier::new(2));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let both = Arc::clone(&both);
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    let old = String::from_utf8_lossy(&buffer[..read]).contains("Bearer old");
                    if old {
                        both.wait().await;
                    }
                    let status = if old { "401 Unauthorized" } else { "200 OK" };
                    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    origin
}

#[tokio::test]
async fn every_call_in_flight_at_a_rotation_is_made_again_at_once_with_the_new_secret() {
    let (origin, directory) = (rotating_server().await, tempfile::tempdir().unwrap());
    let mut config = loopback();
    config.cache.soft = Some(Duration::from_secs(60));
    let app = App::embedded(directory.path(), config.clone(), Role::Worker).await.unwrap();
    let auth = json!([{"scheme": "bearer", "secret": "s"}]);
    put(&app, json!({"customerId": "c", "endpointId": "e", "url": origin, "auth": auth})).await;
    put_secret(&app, "old", &[&origin]).await;
    enqueue(&app, 2).await;
    let (pipeline, stop) = (app.pipeline().unwrap(), CancellationToken::new());
    // The worker knows the old value; another process puts a new one.
    let (customer, secret) = ("c".parse().unwrap(), "s".parse().unwrap());
    pipeline.vault.open(&customer, &secret).await.unwrap();
    let elsewhere = App::embedded(directory.path(), config, Role::Command).await.unwrap();
    put_secret(&elsewhere, "new", &[&origin]).await;
    let messages = app.queue.receive(2, Duration::ZERO).await.unwrap();
    tokio::join!(pipeline.deliver(&messages[0], &stop), pipeline.deliver(&messages[1], &stop));
    let counts = app.tally.counts();
    assert_eq!((counts.delivered, counts.retried), (2, 0));
}

#[tokio::test]
async fn a_job_is_not_given_up_on_what_the_cache_remembers_of_an_endpoint_that_was_mended() {
    let (origin, directory) = (rotating_server().await, tempfile::tempdir().unwrap());
    let mut config = loopback();
    config.cache.soft = Some(Duration::from_secs(60));
    let app = App::embedded(directory.path(), config.clone(), Role::Worker).await.unwrap();
    let endpoint = json!({"customerId": "c", "endpointId": "e", "url": origin});
    put(&app, endpoint.clone()).await;
    let (customer, id) = ("c".parse().unwrap(), "e".parse().unwrap());
    let gone = Health::Disabled { why: "gone".to_owned() };
    app.health.set(&customer, &id, 1, &gone).await.unwrap();
    let (pipeline, stop) = (app.pipeline().unwrap(), CancellationToken::new());
    let deliver = async || {
        enqueue(&app, 1).await;
        let messages = app.queue.receive(1, Duration::ZERO).await.unwrap();
        pipeline.deliver(&messages[0], &stop).await;
        (app.tally.counts().delivered, app.tally.counts().dead_lettered)
    };
    assert_eq!(deliver().await, (0, 1));
    let elsewhere = App::embedded(directory.path(), config, Role::Command).await.unwrap();
    put(&elsewhere, endpoint).await;
    assert_eq!(deliver().await, (1, 1));
}
