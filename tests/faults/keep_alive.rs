//! A connection that was kept, and that its server closes just as it is used again.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use serde_json::json;

use crate::bench::{Bench, enqueue, loopback, put};

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// When the server closes the connection that it has answered on.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Closes {
    /// Before the next request was written.
    Before,
    /// When the next request has arrived, without a word.
    After,
}

/// A server that keeps its first connection, closes it once it is told to, and answers on every other.
/// Tells of each request's id, and when the first is closed.
fn server(closes: Closes) -> (String, mpsc::Sender<()>, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let ((close, told), (tell, seen)) = (mpsc::channel(), mpsc::channel());
    std::thread::spawn(move || {
        let read = |stream: &mut std::net::TcpStream| {
            let mut bytes = vec![0; 64 * 1024];
            let count = stream.read(&mut bytes).unwrap_or(0);
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            let id = text.lines().find_map(|line| line.strip_prefix("webhook-id: "));
            id.unwrap_or_default().to_owned()
        };
        let (mut first, _) = listener.accept().unwrap();
        tell.send(read(&mut first)).unwrap();
        first.write_all(ANSWER).unwrap();
        if closes == Closes::Before {
            told.recv().unwrap();
            drop(first);
            tell.send("closed".to_owned()).unwrap();
        } else {
            tell.send(read(&mut first)).unwrap();
            drop(first);
        }
        while let Ok((mut stream, _)) = listener.accept() {
            let id = read(&mut stream);
            if tell.send(id).is_err() || stream.write_all(ANSWER).is_err() {
                return;
            }
        }
    });
    (origin, close, seen)
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_before_the_request_costs_no_attempt() {
    let (origin, close, seen) = server(Closes::Before);
    let bench = Bench::open(loopback()).await;
    let retry = json!({"retryAmbiguous": false});
    put(&bench.app, json!({"customerId": "c", "endpointId": "e", "url": origin, "retry": retry}))
        .await;
    enqueue(&bench.app, 1).await;
    bench.deliver_due().await;
    seen.recv().unwrap();
    enqueue(&bench.app, 1).await;
    // Nothing of the client runs until the connection is closed: it finds out when it uses it.
    close.send(()).unwrap();
    assert_eq!(seen.recv().unwrap(), "closed");
    bench.deliver_due().await;
    let counts = bench.app.tally.counts();
    assert_eq!((counts.delivered, counts.retried, counts.dead_lettered), (2, 0, 0));
}

#[tokio::test]
async fn a_kept_connection_that_closes_on_a_request_leaves_it_ambiguous() {
    for may_repeat in [true, false] {
        let (origin, _close, seen) = server(Closes::After);
        let bench = Bench::open(loopback()).await;
        let retry = json!({"retryAmbiguous": may_repeat});
        put(
            &bench.app,
            json!({"customerId": "c", "endpointId": "e", "url": origin, "retry": retry}),
        )
        .await;
        enqueue(&bench.app, 1).await;
        bench.deliver_due().await;
        enqueue(&bench.app, 1).await;
        bench.deliver_due().await;
        bench.clock.advance(std::time::Duration::from_secs(600));
        bench.deliver_due().await;
        let [_, second] = [seen.recv().unwrap(), seen.recv().unwrap()];
        let counts = bench.app.tally.counts();
        if may_repeat {
            assert_eq!((counts.delivered, counts.retried), (2, 1));
            assert_eq!(seen.recv().unwrap(), second, "it is made again under its id");
        } else {
            assert_eq!((counts.delivered, counts.dead_lettered), (1, 1));
            assert!(seen.try_recv().is_err(), "nobody knows whether it was taken");
        }
    }
}
