//! Bytes that were altered on their way.

use super::*;
use crate::fault_proxy::Fault;

/// Alters the data of a job that was received, as a broken machine between would.
fn altered() -> Fault {
    Fault::alter(|answer| {
        for message in answer["Messages"].as_array_mut().into_iter().flatten() {
            let body = message["Body"].as_str().unwrap().replace("\"data\":1", "\"data\":7");
            message["Body"] = body.into();
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_was_altered_on_its_way_is_not_delivered_and_comes_again_whole() {
    let Some(mut bench) = Bench::start(&[]).await else { return };
    bench.enqueue(1).await;
    bench.proxy.plan("ReceiveMessage", 1, altered());
    assert!(bench.receive().await.is_empty());
    assert_eq!(bench.pending().await, 1);
    bench.clock.advance(MINUTE);
    bench.deliver_all().await;
    let call = bench.calls.try_recv().unwrap();
    assert_eq!(call.body, b"1");
    assert!(bench.calls.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_comes_whole_ends_among_the_dead_letters() {
    let Some(mut bench) = Bench::start(&[]).await else { return };
    bench.enqueue(1).await;
    bench.proxy.plan("ReceiveMessage", 30, altered());
    for _ in 0..12 {
        assert!(bench.receive().await.is_empty());
        bench.clock.advance(MINUTE);
    }
    bench.proxy.heal();
    assert!(bench.receive().await.is_empty(), "SQS gave it up");
    sealpost::worker::sweeper::sweep(&bench.pipeline).await.unwrap();
    let [letter] = &bench.dead_letters().await[..] else { panic!("one dead letter") };
    assert_eq!(letter.reason, sealpost::domain::reason::Reason::CrashLoop);
    assert!(bench.called().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_sqs_got_altered_is_sent_again() {
    let Some(mut bench) = Bench::start(&[503]).await else { return };
    bench.enqueue(1).await;
    bench.proxy.plan(
        "SendMessageBatch",
        1,
        Fault::alter(|answer| {
            answer["Successful"][0]["MD5OfMessageBody"] = "0".repeat(32).into();
        }),
    );
    bench.deliver_all().await;
    assert_eq!(bench.called()["job-0"], 2, "the copy met the fence");
    assert!(bench.proxy.calls("SendMessageBatch") >= 2);
}
