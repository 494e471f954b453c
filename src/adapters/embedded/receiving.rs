//! How the one process that receives waits for messages: what was read ahead is at hand, and where
//! nothing can have come, nothing is read.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use super::acknowledged::Acknowledged;
use super::data_dir::DirectoryLock;
use super::database::Database;
use super::hands::{self, Hands, lock};
use super::in_flight::InFlight;
use super::log_file::{LogFile, Mark};
use super::rows;
use crate::domain::timestamp::Timestamp;
use crate::ports::queue::Received;
use crate::ports::{Clock, Error, Result};

/// How often an idle receiver looks for what other processes have sent, and for what has fallen due.
const POLL: Duration = Duration::from_millis(5);
/// The same once nothing has come for [`QUIET_AFTER`].
const POLL_QUIET: Duration = Duration::from_millis(500);
const QUIET_AFTER: Duration = Duration::from_secs(2);

/// The receiving half of a queue.
pub struct Receiving {
    database: Database,
    clock: Arc<dyn Clock>,
    lease: Duration,
    /// What is in hand.
    pub hands: Arc<Mutex<Hands>>,
    /// What is on its way out.
    pub acknowledged: Acknowledged,
    /// Wakes a receiver that waits.
    sent: Arc<Notify>,
    /// When something came the last time.
    came: Mutex<Instant>,
    _lock: DirectoryLock,
}

impl Receiving {
    /// Begins. Messages that an earlier worker held when it died count one lost receipt. `sent` is told
    /// of what the process itself sends.
    ///
    /// # Errors
    /// If the file of what is in hand cannot be used.
    pub async fn begin(
        (database, clock): (Database, Arc<dyn Clock>),
        lease: Duration,
        sent: Arc<Notify>,
        directory: DirectoryLock,
        in_flight: &Path,
    ) -> Result<Self> {
        let failed = |e: std::io::Error| Error::new("queue.open", e);
        let (mut in_flight, lost) = InFlight::open(in_flight).map_err(failed)?;
        database.write("queue.open", move |c| rows::count_lost(c, &lost)).await?;
        in_flight.clear().map_err(failed)?;
        let hands = Arc::new(Mutex::new(Hands::new(in_flight)));
        let quiet = Quiet {
            log: database.log().clone(),
            clock: Arc::clone(&clock),
            sent: Arc::clone(&sent),
            hands: Arc::downgrade(&hands),
        };
        let watch = thread::Builder::new().name("sealpost-watch".to_owned());
        watch.spawn(move || quiet.watch()).map_err(failed)?;
        let own = (Arc::clone(&clock), Arc::clone(&hands), Arc::clone(&sent));
        let acknowledged = Acknowledged::new(database.clone(), own.0, own.1, own.2);
        let came = Mutex::new(Instant::now());
        Ok(Self { database, clock, lease, hands, acknowledged, sent, came, _lock: directory })
    }

    /// Receives up to `max` messages, waiting up to `wait` for the first.
    pub async fn receive(&self, max: usize, wait: Duration) -> Result<Vec<Received>> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(failure) = self.acknowledged.failure() {
                return Err(failure);
            }
            self.acknowledged.try_again();
            let received = self.take_due(max).await?;
            let now = Instant::now();
            let is_quiet = self.is_quiet(now, !received.is_empty());
            if !received.is_empty() || now >= deadline {
                return Ok(received);
            }
            let next = if is_quiet { deadline } else { deadline.min(now + POLL) };
            // Looks again, told or not.
            let _ = timeout_at(next, self.sent.notified()).await;
        }
    }

    /// Whether nothing has come for a while; `came` if something did just now.
    fn is_quiet(&self, now: Instant, came: bool) -> bool {
        let mut last = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        if came {
            *last = now;
        }
        now.duration_since(*last) >= QUIET_AFTER
    }

    /// Leases what is due. Without a reading where one was made ahead, or where nothing can have come
    /// since the last one found nothing.
    async fn take_due(&self, max: usize) -> Result<Vec<Received>> {
        let now = self.clock.now();
        let log = {
            let mut hands = lock(&self.hands);
            let received = hands.hand_out(max, now, now.plus(self.lease))?;
            if !received.is_empty() {
                let wants_more = hands.wants_more();
                drop(hands);
                if wants_more {
                    self.read_ahead(now, None, |_| ());
                }
                return Ok(received);
            }
            let log = self.database.log().mark();
            if hands.has_nothing(log, now) {
                return Ok(received);
            }
            log
        };
        let (reply, answer) = oneshot::channel();
        self.read_ahead(now, log, |read| drop(reply.send(read)));
        let gone = |_| Err(Error::new("queue.receive", "the database thread has ended"));
        answer.await.unwrap_or_else(gone)?;
        lock(&self.hands).hand_out(max, now, now.plus(self.lease))
    }

    /// Reads ahead; `log` is how the log stood before, where that is known. `then` is told the end.
    fn read_ahead(
        &self,
        now: Timestamp,
        log: Option<Mark>,
        then: impl FnOnce(Result<()>) + Send + 'static,
    ) {
        let (hands, own) = (Arc::clone(&self.hands), Arc::clone(&self.hands));
        let read = move |c: &Connection| hands::read_ahead(c, &hands, now);
        self.database.read_then("queue.receive", read, move |found| {
            then(found.map(|found| lock(&own).end(found, log)).inspect_err(|_| lock(&own).fail()));
        });
    }
}

/// What looks now and then while the queue is quiet: on a thread of its own, for a timer of the runtime's
/// wakes up twice for each look.
struct Quiet {
    log: LogFile,
    clock: Arc<dyn Clock>,
    sent: Arc<Notify>,
    /// Gone once nobody receives any more.
    hands: Weak<Mutex<Hands>>,
}

impl Quiet {
    fn watch(self) {
        while let Some(hands) = self.hands.upgrade() {
            let log = self.log.mark();
            if !lock(&hands).has_nothing(log, self.clock.now()) {
                self.sent.notify_one();
            }
            drop(hands);
            thread::park_timeout(POLL_QUIET);
        }
    }
}
