//! The fence of the embedded form: messages that come twice, and claimers that die at any moment.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use sealpost::delivery::Fencing;
use sealpost::domain::reason::Reason;
use sealpost::ports::queue::Received;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::bench::{Bench, enqueue, loopback, put};
use crate::web::Web;

const MINUTE: Duration = Duration::from_secs(60);

async fn bench(web: &Web, may_repeat: bool) -> Bench {
    let mut config = loopback();
    config.worker.fence = Fencing::All;
    let bench = Bench::open(config).await;
    let retry = json!({"retryAmbiguous": may_repeat});
    put(
        &bench.app,
        json!({"customerId": "c", "endpointId": "e", "url": web.origin, "retry": retry}),
    )
    .await;
    enqueue(&bench.app, 1).await;
    bench
}

async fn web() -> Web {
    Web::start(|_| ("204 No Content".to_owned(), String::new())).await
}

async fn message(bench: &Bench) -> Received {
    bench.app.queue.receive(1, Duration::ZERO).await.unwrap().remove(0)
}

/// Drops a delivery when its call is made, before its answer is looked at.
async fn die_when_called(bench: &Bench, web: &Web, message: &Received) {
    let stop = CancellationToken::new();
    let mut delivery = pin!(bench.pipeline.deliver(message, &stop));
    until_called(&mut delivery, web).await;
}

/// Polls a delivery until its call is made, and no further.
async fn until_called(delivery: &mut (impl Future<Output = ()> + Unpin), web: &Web) {
    std::future::poll_fn(|cx| {
        if web.count() > 0 {
            return Poll::Ready(());
        }
        assert!(Pin::new(&mut *delivery).poll(cx).is_pending(), "it had ended");
        // The server runs between.
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Drops a delivery when it has been polled so often; whether it had ended before.
async fn die_after(bench: &Bench, message: &Received, polls: usize) -> bool {
    let stop = CancellationToken::new();
    let (mut delivery, mut left) = (pin!(bench.pipeline.deliver(message, &stop)), polls);
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        delivery.as_mut().poll(cx).map(|()| true)
    })
    .await
}

#[tokio::test]
async fn a_message_that_is_delivered_twice_at_once_is_sent_once() {
    let web = web().await;
    let bench = bench(&web, true).await;
    let (message, stop) = (message(&bench).await, CancellationToken::new());
    let other = bench.app.pipeline().unwrap();
    tokio::join!(bench.pipeline.deliver(&message, &stop), other.deliver(&message, &stop));
    bench.clock.advance(2 * MINUTE);
    bench.deliver_due().await;
    assert_eq!((web.count(), bench.app.queue.depth().await.unwrap().pending), (1, 0));
}

#[tokio::test]
async fn a_claimer_that_dies_at_any_moment_is_followed_by_at_most_one_more_call() {
    for may_repeat in [true, false] {
        for polls in 0.. {
            let web = web().await;
            let bench = bench(&web, may_repeat).await;
            let message = message(&bench).await;
            if die_after(&bench, &message, polls).await {
                break;
            }
            let made = web.count();
            bench.clock.advance(2 * MINUTE);
            bench.deliver_due().await;
            assert_eq!(bench.app.queue.depth().await.unwrap().pending, 0, "{polls}");
            let letters = bench.dead_letters().await;
            let calls = web.count();
            assert!(calls <= made.max(1) + usize::from(may_repeat), "{polls}: {calls} calls");
            match letters.first() {
                Some(letter) => {
                    assert_eq!((letter.reason, may_repeat), (Reason::Ambiguous, false));
                }
                None => assert!(calls >= 1, "{polls}: neither delivered nor given up"),
            }
            assert!(may_repeat || calls <= 1, "{polls}: called twice");
        }
    }
}

#[tokio::test]
async fn a_claimer_that_dies_after_its_call_is_followed_by_one_more_only_where_a_call_may_repeat() {
    for may_repeat in [true, false] {
        let web = web().await;
        let bench = bench(&web, may_repeat).await;
        let message = message(&bench).await;
        die_when_called(&bench, &web, &message).await;
        bench.clock.advance(2 * MINUTE);
        bench.deliver_due().await;
        assert_eq!(bench.app.queue.depth().await.unwrap().pending, 0);
        let reasons: Vec<Reason> = bench.dead_letters().await.iter().map(|l| l.reason).collect();
        let ambiguous: &[Reason] = if may_repeat { &[] } else { &[Reason::Ambiguous] };
        assert_eq!((web.count(), &reasons[..]), (1 + usize::from(may_repeat), ambiguous));
    }
}

#[tokio::test]
async fn a_worker_that_was_paused_past_its_claim_leaves_what_follows_to_the_one_that_has_it() {
    let first = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let web = Web::start(move |_| {
        let is_first = first.swap(false, std::sync::atomic::Ordering::SeqCst);
        (if is_first { "503 Busy" } else { "204 No Content" }.to_owned(), String::new())
    })
    .await;
    let bench = bench(&web, true).await;
    let message = message(&bench).await;
    let stop = CancellationToken::new();
    let mut paused = Box::pin(bench.pipeline.deliver(&message, &stop));
    until_called(&mut paused, &web).await;
    bench.clock.advance(2 * MINUTE);
    bench.deliver_due().await;
    assert_eq!(bench.app.tally.counts().delivered, 1);
    paused.await;
    bench.clock.advance(60 * MINUTE);
    bench.deliver_due().await;
    let counts = bench.app.tally.counts();
    assert_eq!((web.count(), counts.delivered, counts.retried), (2, 1, 0));
    assert_eq!(bench.app.queue.depth().await.unwrap().pending, 0);
}
