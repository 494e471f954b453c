//! What only the embedded queue does: it reads ahead, acknowledges later, and looks only where something
//! may have come.

use std::fs::{File, FileTimes};
use std::sync::atomic::{AtomicI64, Ordering};

use tempfile::TempDir;

use super::*;
use crate::adapters::embedded::DataDir;
use crate::adapters::system::SystemChance;
use crate::domain::timestamp::Timestamp;

const LEASE: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

#[derive(Default)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

impl TestClock {
    fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

struct Bench {
    directory: TempDir,
    clock: Arc<TestClock>,
    /// The process that receives.
    queue: SqliteQueue,
    /// Another process.
    other: SqliteQueue,
}

impl Bench {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock: Arc<TestClock> = Arc::default();
        let data = DataDir::open(directory.path()).unwrap();
        let open = || {
            let database = Database::open(&data.database()).unwrap();
            SqliteQueue::open(database, Arc::clone(&clock) as _, Arc::new(SystemChance), LEASE)
        };
        let lock = data.lock().unwrap();
        let queue = open().receive_under(lock, &data.in_flight()).await.unwrap();
        let other = open();
        Self { queue, other, clock, directory }
    }

    async fn receive(&self, max: usize) -> Vec<Received> {
        self.queue.receive(max, Duration::ZERO).await.unwrap()
    }

    async fn bodies(&self, max: usize) -> Vec<String> {
        let received = self.receive(max).await;
        received.iter().map(|m| String::from_utf8_lossy(&m.body).into_owned()).collect()
    }

    async fn execute(&self, sql: &'static str) {
        self.other.database.write("test", move |c| c.execute_batch(sql)).await.unwrap();
    }

    /// Makes the log look as if it had been written long ago.
    fn age_log(&self) {
        let database = DataDir::open(self.directory.path()).unwrap().database();
        let log = File::options().write(true).open(format!("{}-wal", database.display())).unwrap();
        let then = log.metadata().unwrap().modified().unwrap() - Duration::from_secs(60);
        log.set_times(FileTimes::new().set_modified(then)).unwrap();
    }

    /// Lets the queue find nothing, so that it knows that there is nothing.
    async fn find_nothing(&self) {
        self.age_log();
        assert!(self.receive(1).await.is_empty());
        let (hands, log) = (&self.queue.receiving().unwrap().hands, self.queue.database.log());
        let is_known = lock(hands).has_nothing(log.mark(), self.clock.now());
        assert!(is_known, "the log was not written since");
    }
}

fn message(body: &str) -> NewMessage {
    NewMessage { body: body.to_owned().into(), ..NewMessage::default() }
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<NewMessage> {
    numbers.map(|number| message(&number.to_string())).collect()
}

#[tokio::test]
async fn a_backlog_comes_whole_in_order_and_each_message_once() {
    let bench = Bench::new().await;
    let (mut sent, mut came) = (0, Vec::new());
    for round in 0.. {
        if sent < 2000 {
            let sender = if round % 2 == 0 { &bench.queue } else { &bench.other };
            sender.send(numbered(sent..sent + 100)).await.unwrap();
            sent += 100;
        }
        let received = bench.receive(1 + round % 90).await;
        if received.is_empty() {
            break;
        }
        for message in received {
            came.push(String::from_utf8_lossy(&message.body).parse::<usize>().unwrap());
            if came.len() % 3 > 0 {
                bench.queue.acknowledge(&message.handle).await.unwrap();
            }
        }
    }
    assert_eq!(came, (0..2000).collect::<Vec<_>>());
    assert_eq!(bench.queue.depth().await.unwrap().pending, 2000_u64.div_ceil(3) - 1);
}

#[tokio::test]
async fn one_reading_takes_in_no_more_than_a_mebibyte_and_one_body() {
    let bench = Bench::new().await;
    let large = "x".repeat(300 * 1024);
    bench.queue.send((0..10).map(|_| message(&large)).collect()).await.unwrap();
    assert_eq!(bench.receive(10).await.len(), 4);
    bench.queue.flush().await.unwrap();
    assert_eq!(bench.receive(10).await.len(), 4);
    assert_eq!(bench.receive(10).await.len(), 2);
    assert!(bench.receive(10).await.is_empty());
}

#[tokio::test]
async fn what_was_acknowledged_and_flushed_is_gone() {
    let bench = Bench::new().await;
    bench.queue.send(numbered(0..300)).await.unwrap();
    while let received @ [_, ..] = &bench.receive(300).await[..] {
        for message in received {
            bench.queue.acknowledge(&message.handle).await.unwrap();
        }
    }
    bench.queue.flush().await.unwrap();
    assert_eq!(bench.other.depth().await.unwrap(), Depth::default());
}

#[tokio::test]
async fn a_commit_that_fails_later_is_told_by_the_next_receive_and_made_again() {
    let bench = Bench::new().await;
    bench.queue.send(vec![message("a")]).await.unwrap();
    let received = bench.receive(1).await;
    bench
        .execute("CREATE TRIGGER no AFTER DELETE ON messages BEGIN SELECT RAISE(ABORT, 'no'); END")
        .await;
    bench.queue.acknowledge(&received[0].handle).await.unwrap();
    assert_eq!(bench.queue.depth().await.unwrap().pending, 1, "who counts takes no failure away");
    for _ in 0..2 {
        let failed = bench.queue.receive(1, LEASE).await.unwrap_err();
        assert!(failed.to_string().contains("queue.acknowledge"), "{failed}");
    }
    bench.execute("DROP TRIGGER no").await;
    assert!(bench.receive(1).await.is_empty(), "its lease lasts");
    bench.queue.flush().await.unwrap();
    bench.clock.advance(LEASE);
    assert!(bench.receive(1).await.is_empty());
    assert_eq!(bench.other.depth().await.unwrap(), Depth::default());
}

#[tokio::test]
async fn a_message_acknowledged_after_its_lease_is_not_given_out_from_what_was_read_ahead() {
    let bench = Bench::new().await;
    bench.queue.send(numbered(0..3)).await.unwrap();
    let late = bench.receive(3).await;
    bench.clock.advance(LEASE);
    assert_eq!(bench.bodies(1).await, ["0"], "the others were read ahead again");
    bench.queue.acknowledge(&late[1].handle).await.unwrap();
    bench.queue.flush().await.unwrap();
    assert_eq!(bench.bodies(3).await, ["2"]);
}

#[tokio::test]
async fn what_another_process_sends_is_found_though_nothing_was_there_before() {
    let bench = Bench::new().await;
    bench.find_nothing().await;
    bench.other.send(vec![message("a")]).await.unwrap();
    assert_eq!(bench.bodies(1).await, ["a"]);
}

#[tokio::test]
async fn messages_are_counted_anew_when_another_process_sends_one() {
    let bench = Bench::new().await;
    bench.queue.send(numbered(0..2)).await.unwrap();
    bench.age_log();
    for _ in 0..2 {
        assert_eq!(bench.queue.depth().await.unwrap().pending, 2);
    }
    assert!(bench.queue.counted().is_some());
    bench.other.send(numbered(2..3)).await.unwrap();
    assert_eq!(bench.queue.depth().await.unwrap().pending, 3);
}

#[tokio::test]
async fn what_falls_due_is_found_though_nothing_is_written() {
    let bench = Bench::new().await;
    let at = bench.clock.now().plus(10 * SECOND);
    let later = NewMessage { not_before: Some(at), ..message("later") };
    bench.queue.send(vec![later, message("released")]).await.unwrap();
    let released = bench.receive(2).await;
    bench.queue.release(&released[0].handle, 5 * SECOND).await.unwrap();
    for expected in ["released", "later"] {
        bench.find_nothing().await;
        bench.clock.advance(5 * SECOND);
        assert_eq!(bench.bodies(2).await, [expected]);
    }
    bench.find_nothing().await;
    bench.clock.advance(LEASE);
    assert_eq!(bench.bodies(2).await, ["released", "later"], "their leases have run out");
}
