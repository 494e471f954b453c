//! A bug that panics in the middle of a call says nothing of what it had in hand, and loses nothing.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use sealpost::ports::Chance;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, enqueue, loopback, put, put_secret};
use crate::canary::assert_silent;
use crate::log;
use crate::web::Web;

const SECRET: &str = "canary-in-the-hand-of-a-bug-20f7";

/// Chance that fails once, where a signature asks for it.
struct Broken {
    works: AtomicBool,
    inner: Arc<dyn Chance>,
}

impl Chance for Broken {
    fn fraction(&self) -> f64 {
        self.inner.fraction()
    }

    fn fill(&self, bytes: &mut [u8]) {
        self.inner.fill(bytes);
    }

    fn token(&self) -> String {
        assert!(self.works.swap(true, Ordering::SeqCst), "a bug");
        self.inner.token()
    }
}

#[tokio::test]
async fn a_panic_in_the_middle_of_signing_tells_nothing_and_loses_nothing() {
    log::keep();
    let web = Web::start(|_| ("204 No Content".to_owned(), String::new())).await;
    let mut bench = Bench::open(loopback()).await;
    put_secret(&bench.app, SECRET, &[&web.origin]).await;
    put(
        &bench.app,
        json!({"customerId": "c", "endpointId": "e", "url": web.origin, "auth": [
            {"scheme": "bearer", "secret": "s"},
            {"scheme": "jwt", "algorithm": "HS256", "secret": "s", "header": "x-jwt", "prefix": ""}]}),
    )
    .await;
    enqueue(&bench.app, 1).await;
    let inner = Arc::clone(&bench.pipeline.chance);
    bench.pipeline.chance = Arc::new(Broken { works: AtomicBool::new(false), inner });
    let stop = CancellationToken::new();
    let first = bench.app.queue.receive(1, Duration::ZERO).await.unwrap();
    let call = AssertUnwindSafe(bench.pipeline.deliver(&first[0], &stop)).catch_unwind();
    assert!(call.await.is_err(), "the bug was met");
    assert_eq!(web.count(), 0);
    bench.clock.advance(Duration::from_secs(600));
    bench.deliver_due().await;
    assert_eq!(web.count(), 1, "the message came again when its lease had run out");
    let log = log::kept();
    assert!(String::from_utf8_lossy(&log).contains("a bug"));
    assert_silent("the log and the panic", &log, &[SECRET]);
}
