//! Messages that come twice, leases that run out, and claimers that die: the fence holds.

use std::sync::Arc;

use sealpost::domain::endpoint::Endpoint;
use sealpost::domain::reason::Reason;
use sealpost::ports::queue::Received;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::fault_proxy::Fault;
use crate::sqs::LEASE;

/// What the write of an outcome holds, and no other call.
const OUTCOME: &str = "SET #record";
/// What a claim holds, and no other call.
const CLAIM: &str = "#leaseUntil = :until";

/// A worker that takes the message, and stands still at its first call that holds `about`.
async fn stopped_at(
    bench: &Bench,
    about: &str,
    fault: Fault,
    message: &Received,
) -> JoinHandle<()> {
    bench.proxy.plan_about(about, "UpdateItem", 1, fault);
    let (pipeline, message) = (Arc::clone(&bench.pipeline), message.clone());
    let delivery = tokio::spawn(async move {
        pipeline.deliver(&message, &CancellationToken::new()).await;
    });
    bench.proxy.holds(1).await;
    delivery
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_two_workers_have_at_once_is_sent_once() {
    let Some(mut bench) = Bench::start(&[]).await else { return };
    bench.enqueue(1).await;
    let message = bench.receive().await.remove(0);
    let other = bench.app.pipeline().unwrap();
    let stop = CancellationToken::new();
    tokio::join!(bench.deliver(&message), other.deliver(&message, &stop));
    bench.clock.advance(2 * MINUTE);
    bench.deliver_all().await;
    assert_eq!(bench.called()["job-0"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_again_after_its_delete_is_not_sent_again() {
    let Some(mut bench) = Bench::start(&[]).await else { return };
    bench.enqueue(1).await;
    let message = bench.receive().await.remove(0);
    for _ in 0..2 {
        bench.deliver(&message).await;
    }
    assert_eq!((bench.called()["job-0"], bench.pending().await), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_lease_ran_out_and_cannot_be_renewed_keeps_its_attempt() {
    let Some(mut bench) = Bench::start(&[]).await else { return };
    bench.enqueue(1).await;
    let first = bench.receive().await.remove(0);
    let denied = Fault::Refuse(400, "AccessDenied");
    bench.proxy.plan("ChangeMessageVisibilityBatch", 1, denied);
    bench.app.queue.extend(std::slice::from_ref(&first.handle)).await.unwrap_err();
    let delivery = stopped_at(&bench, OUTCOME, Fault::Stall, &first).await;
    bench.clock.advance(LEASE);
    let again = bench.receive().await.remove(0);
    assert_eq!(again.receive_count, 2);
    bench.deliver(&again).await;
    assert_eq!(bench.app.tally.counts().parked, 1, "another worker has the attempt");
    bench.proxy.release();
    delivery.await.unwrap();
    bench.clock.advance(2 * MINUTE);
    bench.deliver_all().await;
    assert_eq!(bench.called()["job-0"], 1);
    assert_eq!(bench.app.tally.counts().retried, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claimer_that_dies_before_or_after_its_call_is_followed_by_another_call_under_the_same_id()
 {
    for (about, fault, made) in [(CLAIM, Fault::Hold, 0), (OUTCOME, Fault::Stall, 1)] {
        let Some(mut bench) = Bench::start(&[]).await else { return };
        bench.enqueue(1).await;
        let first = bench.receive().await.remove(0);
        stopped_at(&bench, about, fault, &first).await.abort();
        assert_eq!(bench.called().len(), made);
        bench.proxy.plan_about(about, "UpdateItem", 0, Fault::Reset);
        bench.clock.advance(2 * MINUTE);
        bench.deliver_all().await;
        assert_eq!(bench.called(), [("job-0".to_owned(), 1)].into(), "{about}");
        assert!(bench.dead_letters().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_claimer_s_death_an_endpoint_that_must_not_be_called_twice_is_not_called() {
    let Some(mut bench) = Bench::start(&[]).await else { return };
    let endpoint = json!({"customerId": "c", "endpointId": "e", "url": bench.origin,
                          "retry": {"retryAmbiguous": false}});
    let endpoint = Endpoint::from_json(&endpoint.to_string()).unwrap();
    bench.app.endpoints.put(endpoint, None, bench.app.clock.now()).await.unwrap();
    bench.enqueue(1).await;
    let first = bench.receive().await.remove(0);
    stopped_at(&bench, OUTCOME, Fault::Stall, &first).await.abort();
    bench.clock.advance(2 * MINUTE);
    bench.deliver_all().await;
    assert_eq!(bench.called()["job-0"], 1);
    let [letter] = &bench.dead_letters().await[..] else { panic!("one dead letter") };
    assert_eq!(letter.reason, Reason::Ambiguous);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_was_paused_past_its_claim_leaves_what_follows_to_the_one_that_has_it() {
    let Some(mut bench) = Bench::start(&[503]).await else { return };
    bench.enqueue(1).await;
    let first = bench.receive().await.remove(0);
    let paused = stopped_at(&bench, OUTCOME, Fault::Stall, &first).await;
    // Longer than a claim holds.
    bench.clock.advance(2 * MINUTE);
    bench.deliver_all().await;
    assert_eq!(bench.app.tally.counts().delivered, 1);
    bench.proxy.release();
    paused.await.unwrap();
    bench.clock.advance(24 * 60 * MINUTE);
    bench.deliver_all().await;
    assert_eq!(bench.called()["job-0"], 2, "its own call, and the other's");
    let counts = bench.app.tally.counts();
    assert_eq!((counts.delivered, counts.retried), (1, 0), "what it had seen was given up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_whose_original_cannot_be_deleted_is_made_once() {
    let Some(mut bench) = Bench::start(&[503]).await else { return };
    bench.enqueue(1).await;
    let denied = Fault::Refuse(400, "AccessDenied");
    bench.proxy.plan("DeleteMessageBatch", 1, denied);
    let message = bench.receive().await.remove(0);
    bench.deliver(&message).await;
    assert_eq!(bench.pending().await, 2, "the retry, and what it follows");
    bench.deliver_all().await;
    assert_eq!(bench.called()["job-0"], 2);
    let counts = bench.app.tally.counts();
    assert_eq!(counts.delivered, 1);
}
