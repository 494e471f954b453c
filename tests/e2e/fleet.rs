//! Several workers on one queue, replaced one after the other as a rolling deploy does it, under load.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Stdio};
use std::time::Duration;

use aws_sdk_sqs::types::SendMessageBatchRequestEntry as Entry;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::cloud::Cloud;
use crate::program::terminate;

/// What is waited for comes within this time, on a slow machine too.
const PATIENCE: Duration = Duration::from_secs(60);
/// What one worker has in hand at most (`worker.concurrency` of [`Cloud`]).
const CONCURRENCY: usize = 32;
const WORKERS: usize = 3;
/// Jobs sent before each stop, and after the last: more than all workers hold at once.
const WAVE: usize = 150;

/// A receiver that holds every call while its gate is shut, and counts them by `webhook-id`.
struct Receiver {
    origin: String,
    gate: watch::Sender<bool>,
    held: watch::Sender<usize>,
    ids: mpsc::UnboundedReceiver<String>,
}

impl Receiver {
    async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (gate, held) = (watch::Sender::new(false), watch::Sender::new(0));
        let (sender, ids) = mpsc::unbounded_channel();
        let (opened, counted) = (gate.clone(), held.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (sender, open) = (sender.clone(), opened.subscribe());
                tokio::spawn(answer(stream, sender, counted.clone(), open));
            }
        });
        Self { origin, gate, held, ids }
    }

    /// Holds calls until every worker has one in hand: the others alone could not hold so many.
    async fn hold(&self) {
        self.gate.send_replace(false);
        let mut held = self.held.subscribe();
        let many = held.wait_for(|held| *held > (WORKERS - 1) * CONCURRENCY);
        timeout(PATIENCE, many).await.unwrap().unwrap();
    }

    fn release(&self) {
        self.gate.send_replace(true);
    }

    /// How often each id has arrived until now.
    fn arrived(&mut self) -> HashMap<String, usize> {
        let mut times = HashMap::new();
        while let Ok(id) = self.ids.try_recv() {
            *times.entry(id).or_default() += 1;
        }
        times
    }
}

async fn answer(
    mut stream: TcpStream,
    ids: mpsc::UnboundedSender<String>,
    held: watch::Sender<usize>,
    mut open: watch::Receiver<bool>,
) {
    while let Some(id) = request(&mut stream).await {
        ids.send(id).unwrap();
        held.send_modify(|held| *held += 1);
        let _ = open.wait_for(|open| *open).await;
        held.send_modify(|held| *held -= 1);
        // A killed worker does not hear it.
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    }
}

/// Reads one request; its `webhook-id`, or nothing where the connection has ended.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut part).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let header = |name: &str| {
            let mut headers = head.lines().filter_map(|line| line.split_once(": "));
            headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        let length: usize = header("content-length").unwrap().parse().unwrap();
        if body.len() >= length {
            return Some(header("webhook-id").unwrap().to_owned());
        }
    }
}

struct Worker {
    process: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Worker {
    fn start(cloud: &Cloud, variables: &[(&str, &str)]) -> Self {
        let mut command = cloud.command(&["worker", "--json"]);
        command.envs(variables.iter().copied()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let log = BufReader::new(process.stderr.take().unwrap()).lines();
        Self { process, log }
    }

    /// Asks it to stop; returns as soon as it has heard.
    fn tell_to_stop(&mut self) {
        terminate(&self.process);
        let heard = self.log.any(|line| line.unwrap().contains(r#""event":"stopping""#));
        assert!(heard, "it ended without a word");
    }

    /// Waits for its end, which has to be clean; how many deliveries it made.
    fn end(mut self) -> u64 {
        let rest: Vec<String> = self.log.map(Result::unwrap).collect();
        assert!(self.process.wait().unwrap().success(), "{rest:#?}");
        for event in ["retry", "fault", "dead_letter"] {
            let event = format!(r#""event":"{event}""#);
            assert!(rest.iter().all(|line| !line.contains(&event)), "{rest:#?}");
        }
        let stopped = rest.iter().find(|line| line.contains(r#""event":"stopped""#)).unwrap();
        let stopped: Value = serde_json::from_str(stopped).unwrap();
        assert_eq!(stopped["clean"], true, "{stopped}");
        stopped["counts.delivered"].as_u64().unwrap()
    }
}

fn register(cloud: &Cloud, origin: &str, timeout: &str, retry: &Value) {
    cloud.ok(
        &["secret", "put", "c", "s", "--origin", origin],
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    );
    let endpoint = json!({
        "customerId": "c", "endpointId": "e", "url": origin, "timeout": timeout, "retry": retry,
        "auth": [{"scheme": "standard_webhooks", "secret": "s"}],
        "limits": {"adaptive": false, "concurrency": 1000},
    });
    cloud.ok(&["endpoint", "put", "-"], &endpoint.to_string());
}

/// Sends the jobs of a wave as any producer does: with SQS alone.
async fn send(cloud: &Cloud, wave: usize) {
    let numbers: Vec<usize> = (wave * WAVE..(wave + 1) * WAVE).collect();
    for batch in numbers.chunks(10) {
        let entry = |n: &usize| {
            let job =
                json!({"id": format!("job-{n}"), "customerId": "c", "endpointId": "e", "data": n});
            Entry::builder().id(n.to_string()).message_body(job.to_string()).build().unwrap()
        };
        let request = cloud.clients.sqs.send_message_batch().queue_url(&cloud.jobs);
        let sent = request.set_entries(Some(batch.iter().map(entry).collect())).send().await;
        assert!(sent.unwrap().failed().is_empty());
    }
}

async fn until_the_queue_is_empty(cloud: &Cloud) {
    let empty = async {
        while cloud.pending().await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, empty).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_deploy_loses_no_delivery_and_doubles_none() {
    roll(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_it_where_every_attempt_is_claimed() {
    roll(&[("SEALPOST_WORKER_FENCE", "all")]).await;
}

/// Stops each of three workers in turn, amid its calls, and starts another in its place.
async fn roll(variables: &[(&str, &str)]) {
    let (cloud, mut receiver) = (Cloud::start().await, Receiver::listen().await);
    register(&cloud, &receiver.origin, "60s", &json!({}));
    let mut fleet = [(); WORKERS].map(|()| Worker::start(&cloud, variables));
    let mut delivered = 0;
    for (wave, worker) in fleet.iter_mut().enumerate() {
        send(&cloud, wave).await;
        receiver.hold().await;
        worker.tell_to_stop();
        let old = std::mem::replace(worker, Worker::start(&cloud, variables));
        receiver.release();
        let made = old.end();
        assert!(made > 0, "the worker that was stopped had nothing to do");
        delivered += made;
    }
    send(&cloud, WORKERS).await;
    until_the_queue_is_empty(&cloud).await;
    for mut worker in fleet {
        worker.tell_to_stop();
        delivered += worker.end();
    }

    let (jobs, arrived) = ((WORKERS + 1) * WAVE, receiver.arrived());
    let lost: Vec<_> = (0..jobs).filter(|n| !arrived.contains_key(&format!("job-{n}"))).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let doubled: Vec<_> = arrived.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "doubled: {doubled:?}");
    assert_eq!((arrived.len(), delivered), (jobs, jobs as u64));
    assert_eq!(cloud.ok(&["dlq", "list", "--json"], ""), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_of_three_loses_nothing_and_what_it_had_sent_is_not_sent_again() {
    let variables = [("SEALPOST_WORKER_FENCE", "all")];
    let (cloud, mut receiver) = (Cloud::start().await, Receiver::listen().await);
    // Claims of calls that nobody ends last for longer than their timeout.
    register(&cloud, &receiver.origin, "10s", &json!({"retryAmbiguous": false}));
    let mut fleet = [(); WORKERS].map(|()| Worker::start(&cloud, &variables));
    send(&cloud, 0).await;
    receiver.hold().await;
    fleet[0].process.kill().unwrap();
    fleet[0].process.wait().unwrap();
    fleet[0] = Worker::start(&cloud, &variables);
    receiver.release();
    send(&cloud, 1).await;
    until_the_queue_is_empty(&cloud).await;
    for worker in &mut fleet {
        terminate(&worker.process);
        assert!(worker.process.wait().unwrap().success());
    }

    // Whether the receiver took what the killed worker had sent is not known: people decide.
    let letters = cloud.ok(&["dlq", "list", "--json"], "");
    let count = letters.lines().count();
    assert!((1..=CONCURRENCY).contains(&count), "{letters}");
    assert!(letters.lines().all(|letter| letter.contains(r#""ambiguous""#)), "{letters}");
    let arrived = receiver.arrived();
    for n in 0..2 * WAVE {
        let id = format!("job-{n}");
        let is_letter = letters.contains(&format!("\"{id}\""));
        match arrived.get(&id).copied().unwrap_or(0) {
            0 => assert!(is_letter, "{id} is lost"),
            1 => {}
            times => panic!("{id} arrived {times} times"),
        }
    }
}
