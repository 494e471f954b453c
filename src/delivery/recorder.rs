//! Attempts are recorded beside the pipeline: it hands them over and goes on. What cannot be written
//! costs a fault in the tally, and no delivery.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::keeper::{Keeper, Keeping, Room, Waiting};
use super::sign::Signed;
use crate::domain::delivery_record::{AttemptRow, DeliveryRecord, RecordedAttempt, Recording};
use crate::domain::shown_request::ShownRequest;
use crate::ports::deliveries::AttemptRecord;
use crate::ports::{Clock, Error, Records};
use crate::telemetry::Tally;

/// Most attempts that wait to be written. More are not recorded: the store is out of order, or too slow.
const WAITING: usize = 10_000;
/// Most written at once.
const BATCH: usize = 250;
/// How long the first of a batch waits for more.
const LINGER: Duration = Duration::from_millis(100);

/// What is handed to the writer.
enum Handed {
    Attempt(Box<(RecordedAttempt, Waiting)>),
    Flush(oneshot::Sender<()>),
}

/// Takes attempts and writes them in batches.
pub struct Recorder {
    recording: Recording,
    retention: Duration,
    room: Room,
    sender: mpsc::Sender<Handed>,
    clock: Arc<dyn Clock>,
    tally: Arc<Tally>,
}

impl Recorder {
    /// Begins; `None` where nothing is to be recorded.
    pub fn start(
        recording: Recording,
        keeping: Keeping,
        retention: Duration,
        records: Arc<dyn Records>,
        clock: Arc<dyn Clock>,
        tally: Arc<Tally>,
    ) -> Option<Self> {
        match recording {
            Recording::None => return None,
            Recording::Failures | Recording::All => {}
        }
        let (sender, attempts) = mpsc::channel(WAITING);
        let keeper = Keeper::new(keeping.vault, Arc::clone(&records), Arc::clone(&tally));
        tokio::spawn(write(attempts, records, keeper, Arc::clone(&tally)));
        let room = Room::new(keeping.keep);
        Some(Self { recording, retention, room, sender, clock, tally })
    }

    /// Records an attempt, if it is one of those that are. Never waits.
    pub(super) fn record(&self, signed: &Signed<'_>, record: &AttemptRecord) {
        let AttemptRecord { attempt, disposition } = record;
        let decoded = signed.resolved.decoded;
        if !self.recording.wants(attempt, decoded.key.round) {
            return;
        }
        let event_type = decoded.job.event_type.clone();
        let (key, accepted_at) = (&decoded.key, decoded.state.accepted_at);
        let header = DeliveryRecord::after(key, event_type, accepted_at, attempt, *disposition);
        let shown = ShownRequest::without_body(&signed.request);
        let attempt = AttemptRow::new(attempt.clone(), &shown);
        let until = self.clock.now().plus(self.retention);
        let recorded = RecordedAttempt { header, attempt, until };
        let waiting = self.room.take(&recorded, &decoded.message.body);
        if self.sender.try_send(Handed::Attempt(Box::new((recorded, waiting)))).is_err() {
            let problem = "more attempts wait to be recorded than there is room for";
            self.tally.fault(&Error::new("records.put", problem), key.job_id.as_str());
        }
    }

    /// Waits until everything that was handed over before is written, or given up.
    pub async fn flush(&self) {
        let (reply, written) = oneshot::channel();
        if self.sender.send(Handed::Flush(reply)).await.is_ok() {
            // Gone with the writer, which then writes nothing more.
            let _ = written.await;
        }
    }
}

async fn write(
    mut handed: mpsc::Receiver<Handed>,
    records: Arc<dyn Records>,
    mut keeper: Keeper,
    tally: Arc<Tally>,
) {
    let mut taken = Vec::with_capacity(BATCH);
    while handed.recv_many(&mut taken, BATCH).await > 0 {
        let flushes = |handed: &Handed| matches!(handed, Handed::Flush(_));
        if taken.len() < BATCH && !taken.iter().any(flushes) {
            tokio::time::sleep(LINGER).await;
            let room = BATCH - taken.len();
            taken.extend(std::iter::from_fn(|| handed.try_recv().ok()).take(room));
        }
        let (mut batch, mut flushes) = (Vec::with_capacity(taken.len()), Vec::new());
        for handed in taken.drain(..) {
            match handed {
                Handed::Attempt(attempt) => batch.push(*attempt),
                Handed::Flush(reply) => flushes.push(reply),
            }
        }
        keeper.keep(&mut batch).await;
        let batch: Vec<RecordedAttempt> = batch.into_iter().map(|(recorded, _)| recorded).collect();
        if !batch.is_empty()
            && let Err(error) = records.put(&batch).await
        {
            tally.fault(&error, "records");
        }
        for reply in flushes {
            // Nobody may be waiting any more.
            let _ = reply.send(());
        }
    }
}
