//! With `worker.fence = "all"` a job that was delivered is not sent again, whatever becomes of its
//! message.

use std::time::Duration;

use sealpost::delivery::{Fencing, Pipeline};
use sealpost::domain::endpoint::Endpoint;
use sealpost::ports::queue::{NewMessage, Received};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

use crate::backend::{Backend, LEASE, over_both};
use crate::receiver::{Call, listen};

over_both! {
    a_delivered_job_is_not_sent_again_by_who_received_it_before_or_after,
}

async fn prepare(backend: &Backend) -> (Pipeline, UnboundedReceiver<Call>) {
    let (origin, calls) = listen(|_| (204, String::new())).await;
    let endpoint = format!(r#"{{"customerId":"c","endpointId":"e","url":"{origin}/in"}}"#);
    let endpoint = Endpoint::from_json(&endpoint).unwrap();
    backend.app.endpoints.put(endpoint, None, backend.app.clock.now()).await.unwrap();
    let mut pipeline = backend.app.pipeline().unwrap();
    pipeline.fencing = Fencing::All;
    (pipeline, calls)
}

async fn receive(backend: &Backend) -> Received {
    let mut received = backend.app.queue.receive(1, Duration::ZERO).await.unwrap();
    assert_eq!(received.len(), 1);
    received.remove(0)
}

async fn a_delivered_job_is_not_sent_again_by_who_received_it_before_or_after(backend: Backend) {
    let (pipeline, mut calls) = prepare(&backend).await;
    let stop = CancellationToken::new();
    for the_first_is_late in [true, false] {
        let body = r#"{"customerId":"c","endpointId":"e","data":1}"#.into();
        let message = NewMessage { body, ..NewMessage::default() };
        backend.app.queue.send(vec![message]).await.unwrap();
        let first = receive(&backend).await;
        backend.clock.advance(LEASE);
        let mut receipts = [first, receive(&backend).await];
        if the_first_is_late {
            receipts.reverse();
        }
        for receipt in &receipts {
            pipeline.deliver(receipt, &stop).await;
        }
        calls.recv().await.unwrap();
        assert!(calls.try_recv().is_err(), "the first is late: {the_first_is_late}");
        assert_eq!(backend.app.queue.depth().await.unwrap().pending, 0);
    }
}
