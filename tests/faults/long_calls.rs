//! Calls that take longer than a lease, or than a stop waits.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sealpost::app::{App, Role};
use sealpost::domain::timestamp::Timestamp;
use sealpost::ports::Clock;
use sealpost::worker::{self, Ended, Limits, Stop};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing_subscriber::layer::SubscriberExt;

use crate::bench::{Bench, enqueue, loopback, put};
use crate::server::{Then, listen};

const MINUTE: Duration = Duration::from_secs(60);

/// A clock that goes as the test's time goes.
struct TestTime(Instant);

impl Clock for TestTime {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000).plus(self.0.elapsed())
    }
}

/// Answers every request 14 minutes later. Tells of each.
async fn patient() -> (String, mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 64 * 1024]).await;
                tell.send(()).unwrap();
                tokio::time::sleep(14 * MINUTE).await;
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            });
        }
    });
    (origin, told)
}

#[tokio::test]
async fn a_call_of_fourteen_minutes_keeps_its_message_through_many_leases() {
    let (origin, mut calls) = patient().await;
    let directory = tempfile::tempdir().unwrap();
    let clock: Arc<dyn Clock> = Arc::new(TestTime(Instant::now()));
    let config = loopback();
    assert!(config.worker.lease < MINUTE);
    let app = App::embedded_with_clock(directory.path(), config, Role::Worker, clock);
    let app = app.await.unwrap();
    put(&app, json!({"customerId": "c", "endpointId": "e", "url": origin, "timeout": "15m"})).await;
    enqueue(&app, 1).await;
    let (pipeline, stop) = (Arc::new(app.pipeline().unwrap()), Stop::default());
    let limits = Limits { concurrency: 4, drain: MINUTE };
    let running = tokio::spawn(worker::run(pipeline, limits, stop.clone()));
    calls.recv().await.unwrap();
    // From here on, time passes whenever everybody waits.
    tokio::time::pause();
    let begun = Instant::now();
    while app.tally.counts().delivered == 0 {
        assert!(begun.elapsed() < 20 * MINUTE);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(begun.elapsed() >= 14 * MINUTE);
    assert!(calls.try_recv().is_err(), "nobody else received the message meanwhile");
    tokio::time::resume();
    stop.soft.cancel();
    assert_eq!(running.await.unwrap(), Ended::Clean);
    assert_eq!(app.tally.counts().delivered, 1);
    assert_eq!(app.queue.depth().await.unwrap().pending, 0);
}

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_endpoint_whose_calls_a_stop_may_cut_short_is_told_of_once() {
    let lines = Lines::default();
    let writer = lines.clone();
    let layer = tracing_subscriber::fmt::layer().json().with_writer(move || writer.clone());
    let _logging = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let (address, _) = listen(Then::Send(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())).await;
    let bench = Bench::open(loopback()).await;
    let drain = loopback().worker.drain;
    let url = format!("http://{address}/");
    for (timeout, told) in [(drain, 0), (drain + Duration::from_secs(1), 1)] {
        let timeout = format!("{}s", timeout.as_secs());
        put(
            &bench.app,
            json!({"customerId": "c", "endpointId": "e", "url": url, "timeout": timeout}),
        )
        .await;
        bench.pipeline.endpoints.forget(&"c".parse().unwrap(), &"e".parse().unwrap()).await;
        for _ in 0..2 {
            enqueue(&bench.app, 1).await;
            bench.deliver_due().await;
        }
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.matches(r#""event":"long_timeout""#).count(), told, "{text}");
    }
    assert_eq!(bench.app.tally.counts().delivered, 4);
}
