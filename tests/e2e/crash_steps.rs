//! The worker is killed at a step of a call that the receiver sees, and another one goes on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::program::{Program, terminate};

/// So large that half of it is not the whole, whatever buffers hold.
const BODY: usize = 900_000;

/// How far the call has come when its worker is killed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Connected,
    HeadArrived,
    HalfOfTheBodyArrived,
    WholeRequestArrived,
    StatusSent,
    WholeAnswerSent,
}

impl Step {
    const ALL: [Self; 6] = [
        Self::Connected,
        Self::HeadArrived,
        Self::HalfOfTheBodyArrived,
        Self::WholeRequestArrived,
        Self::StatusSent,
        Self::WholeAnswerSent,
    ];

    /// What the receiver answers before the kill.
    fn answer(self) -> &'static [u8] {
        match self {
            Self::Connected
            | Self::HeadArrived
            | Self::HalfOfTheBodyArrived
            | Self::WholeRequestArrived => b"",
            Self::StatusSent => b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nbegun",
            Self::WholeAnswerSent => b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone",
        }
    }

    fn has_come_to(self, head: Option<usize>, length: usize, read: usize) -> bool {
        match (self, head) {
            (Self::Connected, _) => true,
            (_, None) => false,
            (Self::HeadArrived, Some(_)) => true,
            (Self::HalfOfTheBodyArrived, Some(head)) => read >= head + length / 2,
            (Self::WholeRequestArrived | Self::StatusSent | Self::WholeAnswerSent, Some(head)) => {
                read >= head + length
            }
        }
    }
}

/// Reads up to a step; returns the id of the request, if the whole of it arrived.
async fn read(stream: &mut TcpStream, step: Step) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let head = read.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4);
        let text = String::from_utf8_lossy(&read[..head.unwrap_or(0)]).into_owned();
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let length = line("content-length: ").map_or(0, |length| length.parse().unwrap());
        if step.has_come_to(head, length, read.len()) {
            let whole = head.is_some_and(|head| read.len() >= head + length);
            return whole.then(|| line("webhook-id: ").unwrap().to_owned());
        }
        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

/// A receiver whose first call comes as far as `step`, of which it tells; the others are answered. It
/// notes the ids of whole requests.
async fn receiver(step: Step) -> (String, Arc<Mutex<Vec<String>>>, oneshot::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = oneshot::channel();
    let ids = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ids);
    tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        let id = read(&mut first, step).await;
        seen.lock().unwrap().extend(id);
        first.write_all(step.answer()).await.unwrap();
        tell.send(()).unwrap();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let id = read(&mut stream, Step::WholeRequestArrived).await;
            seen.lock().unwrap().extend(id);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    });
    (origin, ids, told)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_each_step_of_a_call_sends_the_job_again_under_its_id_and_loses_nothing()
{
    for step in Step::ALL {
        let (origin, ids, reached) = receiver(step).await;
        let program = Program::new();
        let endpoint =
            json!({"customerId": "c", "endpointId": "e", "url": origin, "timeout": "30s"});
        program.ok(&["endpoint", "put", "-"], &endpoint.to_string());
        let job = json!({"customerId": "c", "endpointId": "e", "id": "job-1",
                         "data": "x".repeat(BODY)});
        program.ok(&["enqueue", "-"], &job.to_string());
        let serve = || program.command(&["serve"]).env("SEALPOST_LOG_LEVEL", "error").spawn();

        let mut worker = serve().unwrap();
        tokio::time::timeout(Duration::from_secs(30), reached).await.unwrap().unwrap();
        worker.kill().unwrap();
        worker.wait().unwrap();
        let before = ids.lock().unwrap().len();
        let is_whole =
            matches!(step, Step::WholeRequestArrived | Step::StatusSent | Step::WholeAnswerSent);
        assert_eq!(before, usize::from(is_whole), "{step:?}");

        let mut worker = serve().unwrap();
        let until = tokio::time::Instant::now() + Duration::from_secs(30);
        while pending(&program) > 0 && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        terminate(&worker);
        assert!(worker.wait().unwrap().success());
        let ids = ids.lock().unwrap().clone();
        assert!(ids.iter().all(|id| id == "job-1"), "{step:?}: {ids:?}");
        match step {
            // It may have been settled before the kill.
            Step::WholeAnswerSent => assert!((1..=2).contains(&ids.len()), "{ids:?}"),
            _ => assert_eq!(ids.len(), before + 1, "{step:?}"),
        }
        assert_eq!(pending(&program), 0, "{step:?}");
        assert_eq!(program.ok(&["dlq", "list", "--json"], ""), "", "{step:?}");
    }
}

fn pending(program: &Program) -> i64 {
    let database = rusqlite::Connection::open(program.data().join("sealpost.db")).unwrap();
    database.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).unwrap()
}
