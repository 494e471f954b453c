//! A bug in one delivery ends nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sealpost::delivery::{EndpointBook, Limiters};
use sealpost::domain::ids::{CustomerId, EndpointId};
use sealpost::ports::endpoints::StoredEndpoint;
use sealpost::ports::queue::NewMessage;
use sealpost::ports::{ReadEndpoints, Result};
use sealpost::worker::{self, Ended, Limits, Stop};
use serde_json::json;

use crate::bench::{Bench, loopback, put};
use crate::web::Web;

/// A store with a bug that one endpoint meets, until it is mended.
struct Buggy {
    inner: Arc<dyn ReadEndpoints>,
    mended: Arc<AtomicBool>,
}

#[async_trait]
impl ReadEndpoints for Buggy {
    async fn get(
        &self,
        customer: &CustomerId,
        endpoint: &EndpointId,
    ) -> Result<Option<StoredEndpoint>> {
        assert!(endpoint.as_str() != "bad" || self.mended.load(Ordering::SeqCst), "a bug");
        self.inner.get(customer, endpoint).await
    }
    async fn list(&self, customer: Option<&CustomerId>) -> Result<Vec<StoredEndpoint>> {
        self.inner.list(customer).await
    }
}

async fn send(bench: &Bench, endpoint: &str, count: usize) {
    let body = json!({"customerId": "c", "endpointId": endpoint, "data": 1}).to_string();
    let message = NewMessage { body: body.into(), ..NewMessage::default() };
    bench.app.queue.send(vec![message; count]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_one_delivery_ends_no_other_and_its_job_comes_back() {
    let web = Web::start(|_| ("204 No Content".to_owned(), String::new())).await;
    let mut bench = Bench::open(loopback()).await;
    for id in ["good", "bad"] {
        put(&bench.app, json!({"customerId": "c", "endpointId": id, "url": web.origin})).await;
    }
    let inner: Arc<dyn ReadEndpoints> = bench.app.endpoints.clone();
    let mended = Arc::new(AtomicBool::new(false));
    bench.pipeline.endpoints = EndpointBook::new(
        Arc::new(Buggy { inner, mended: Arc::clone(&mended) }),
        Arc::clone(&bench.app.health),
        Arc::clone(&bench.app.guard),
        Limiters::new(16),
        loopback().cache.lifetimes(false),
    );
    send(&bench, "bad", 3).await;
    send(&bench, "good", 20).await;
    let Bench { app, pipeline, clock, .. } = bench;
    let (stop, limits) =
        (Stop::default(), Limits { concurrency: 4, drain: Duration::from_secs(9) });
    let running = tokio::spawn(worker::run(Arc::new(pipeline), limits, stop.clone()));
    while app.tally.counts().delivered < 20 || app.tally.counts().faults < 3 {
        tokio::task::yield_now().await;
    }
    // What is settled is acknowledged a moment later, with others. The jobs that met the bug stay.
    while app.queue.depth().await.unwrap().pending > 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(app.queue.depth().await.unwrap().pending, 3);
    mended.store(true, Ordering::SeqCst);
    clock.advance(Duration::from_secs(60));
    while app.tally.counts().delivered < 23 {
        tokio::task::yield_now().await;
    }
    stop.soft.cancel();
    assert_eq!(running.await.unwrap(), Ended::Clean);
    assert_eq!((web.count(), app.queue.depth().await.unwrap().pending), (23, 0));
    assert_eq!(app.tally.counts().retried, 0, "no attempt was spent");
}
